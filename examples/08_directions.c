// Shows: a producer that can only send and a consumer that can only receive;
//        the wrong operation does not compile.
// Go:    func produce(out chan<- int) { ...; close(out) }
//        func consume(in <-chan int, sum chan<- int) { ... }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

TASK(produce, int, n, chan_sender(int), out) {
    for (int i = 1; i <= n; i++) chan_send(out, i * i);
    chan_close(out);
    // chan_get(out) is a compile-time error: out is for sending.
}

TASK(consume, chan_receiver(int), in, chan_sender(int), sum) {
    int total = 0;
    chan_range(int, square, in) {
        printf("consumed %d\n", square);
        total += square;
    }
    chan_send(sum, total);
    // chan_send(in, 1) and chan_close(in) are errors: in is for receiving.
}

int main(void) {
    chan(int) squares = chan_make(int, 0);
    chan(int) sum = chan_make(int, 0);
    go(produce, 5, squares);            // chan(int) becomes a sender,
    go(consume, squares, sum);          // or a receiver, by itself
    printf("sum %d\n", chan_get(sum));
    chan_free(squares);
    chan_free(sum);
    return 0;
}

// Output:
// consumed 1
// consumed 4
// consumed 9
// consumed 16
// consumed 25
// sum 55
