// Shows: tail -f of several files, fanned into one stream: a task per file that waits for
//        inotify's descriptor, and a printer that ends when told to.
// Go:    for name := range names { go follow(name, lines) }; for l := range lines { print(l) }
//
//     39_tail               follows two files of its own while they are written
//     39_tail a.log b.log   prints what is appended to them, until Ctrl-C
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

struct piece { const char *name; size_t size; char text[512]; };

// A regular file is always ready to be read, even at its end; so what is waited for is news
// of it. Ends when the receiver has gone.
TASK(follow, const char *, name, bool, from_end, chan_sender(struct piece), out) {
    struct piece p = { .name = name };
    char news[4096];
    int file = open(name, O_RDONLY), watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (file < 0 || inotify_add_watch(watch, name, IN_MODIFY) < 0) perror(name);
    else if (from_end) lseek(file, 0, SEEK_END);
    for (bool on = file >= 0; on;) {
        ssize_t n = read(file, p.text, sizeof p.text);
        p.size = n > 0 ? (size_t)n : 0;
        on = n > 0 ? chan_send(out, p) == 0 : n == 0 && io_read(watch, news, sizeof news) > 0;
    }
    if (file >= 0) close(file);
    io_close(watch);
}

TASK(write_slowly, const char *, name) {
    for (int i = 1; i <= 3; i++) {
        FILE *f = fopen(name, "a");
        if (f == NULL) return;
        fprintf(f, "line %d\n", i);
        fclose(f);
        task_sleep(CHANRT_MILLISECOND);
    }
}

static size_t count_lines(struct piece p) {
    size_t lines = 0;
    for (size_t i = 0; i < p.size; i++) lines += p.text[i] == '\n';
    return lines;
}

int main(int argc, char **argv) {
    chan(struct piece) pieces = chan_make(struct piece, 16);
    struct piece p;
    if (argc > 1) {
        chan_receiver(int) interrupts = chan_signal(SIGINT);
        for (int i = 1; i < argc; i++) go(follow, argv[i], true, pieces);
        for (bool on = true; on;) {
            chan_select {
                on_recv(pieces, &p)       { printf("%s: %.*s", p.name, (int)p.size, p.text); }
                on_recv(interrupts, NULL) { on = false; }
            }
            fflush(stdout);
        }
        return 0;
    }
    char names[2][32];
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "/tmp/chanrt-tail-" "XX" "XX" "XX");
        close(mkstemp(names[i]));
        go(follow, names[i], false, pieces);
        go(write_slowly, names[i]);
    }
    for (size_t lines = 0; lines < 6; lines += count_lines(p)) p = chan_get(pieces);
    puts("six lines from two files");
    for (int i = 0; i < 2; i++) unlink(names[i]);
    return 0;
}

// Output:
// six lines from two files
