// Shows: one stream of numbers fans out to three squarers, each with an output
//        of its own, and the three outputs are merged into one again.
// Go:    in := gen(1, 2, 3, 4, 5, 6)
//        for n := range merge(sq(in), sq(in), sq(in)) { fmt.Println(n) }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

enum { SQUARERS = 3 };

TASK(generate, int, n, chan_sender(int), out) {
    for (int i = 1; i <= n; i++) chan_send(out, i);
    chan_close(out);
}

TASK(square, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, n, in) chan_send(out, n * n);
    chan_close(out);
}

TASK(copy, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, n, in) chan_send(out, n);
}

// merge ends its output once every one of its inputs has ended.
TASK(merge, chan(int) *, in, int, n, chan_sender(int), out) {
    waitgroup wg = {0};
    for (int i = 0; i < n; i++) wg_go(&wg, copy, in[i], out);
    wg_wait(&wg);
    chan_close(out);
}

int main(void) {
    chan(int) numbers = chan_make(int, 0);
    chan(int) squares[SQUARERS];
    chan(int) merged = chan_make(int, 0);
    go(generate, 6, numbers);
    for (int i = 0; i < SQUARERS; i++) {
        squares[i] = chan_make(int, 0);
        go(square, numbers, squares[i]);
    }
    go(merge, squares, SQUARERS, merged);

    int sum = 0;
    chan_range(int, n, merged) {
        printf("%d\n", n);
        sum += n;
    }
    printf("sum %d\n", sum);

    for (int i = 0; i < SQUARERS; i++) chan_free(squares[i]);
    chan_free(numbers);
    chan_free(merged);
    return 0;
}

// Output (any order):
// 1
// 4
// 9
// 16
// 25
// 36
// sum 91
