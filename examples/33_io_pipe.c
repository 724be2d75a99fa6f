// Shows: tasks that wait for descriptors cost no thread: a filter between two pipes, and a reader
//        that gives up on a silent one.
// Go:    r, w := io.Pipe(); go upper(r, w); ... conn.SetReadDeadline(time.Now().Add(d))
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TASK(upper, int, in, int, out) {
    char text[64];
    ssize_t n;
    while ((n = io_read(in, text, sizeof text)) > 0) { // only this task waits
        for (ssize_t i = 0; i < n; i++) text[i] = (char)toupper((unsigned char)text[i]);
        io_write_all(out, text, (size_t)n, -1);
    }
    io_close(in);
    io_close(out);                                     // the reader sees the end
}

int main(void) {
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) return 1;
    go(upper, in[0], out[1]);

    char text[64];
    const char *lines[] = { "hello", "from a pipe" };
    for (int i = 0; i < 2; i++) {
        io_write_all(in[1], lines[i], strlen(lines[i]), -1);
        ssize_t n = io_read(out[0], text, sizeof text);
        printf("%.*s\n", (int)n, text);
    }

    // A descriptor is one more case of a select.
    chan_select {
        on_io(out[0], IO_READ)           { printf("there is more\n"); }
        on_timeout(20 * CHANRT_MILLISECOND) { printf("nothing more\n"); }
    }

    io_close(in[1]);
    printf("read at the end: %d\n", (int)io_read(out[0], text, sizeof text));
    io_close(out[0]);
    return chanrt_shutdown(-1);
}

// Output:
// HELLO
// FROM A PIPE
// nothing more
// read at the end: 0
