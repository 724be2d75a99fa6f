// Shows: a program of several files: all of them include chanrt.h, exactly one
//        of them with the implementation, and a task declared in a header can be
//        started from anywhere.
// Go:    go squares.Square(in, out)      // from another package
#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"
#include "squares.h"
#include <stdio.h>

int main(void) {
    chan(int) in = chan_make(int, 3), out = chan_make(int, 0);
    go(square, in, out);                // the task is in squares.c
    for (int n = 1; n <= 3; n++) chan_send(in, n);
    chan_close(in);
    chan_range(int, n, out) printf("%d\n", n);

    square(in, out);                    // an ordinary function, too; in is empty and closed,
    printf("called\n");                 // so it returns at once
    chan_free(in);
    chan_free(out);
    return 0;
}

// Output:
// 1
// 4
// 9
// called
