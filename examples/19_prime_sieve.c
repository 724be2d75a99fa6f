// Shows: a chain of tasks that grows as it runs: each filter lets through what
//        its prime does not divide.
// Go:    ch := make(chan int)
//        go generate(ch)
//        for i := 0; i < 10; i++ {
//            prime := <-ch
//            next := make(chan int)
//            go filter(ch, next, prime)
//            ch = next
//        }
// Go leaves the chain blocked for good. Here it is taken down from the end: a
// closed channel fails the sender, who closes his own input, and so on. Every
// channel has two users, each with a reference that it drops when it is done.
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

TASK(generate, chan(int), out) {
    for (int i = 2; chan_send(out, i) == 0; i++) {}
    chan_free(out);
}

TASK(filter, chan(int), in, chan(int), out, int, prime) {
    chan_range(int, i, in) {
        if (i % prime != 0 && chan_send(out, i) == EPIPE) break;
    }
    chan_close(in);
    chan_free(in);
    chan_free(out);
}

int main(void) {
    chan(int) ch = chan_make(int, 0);
    go(generate, chan_ref(ch));
    for (int i = 0; i < 10; i++) {
        int prime = chan_get(ch);
        printf("%d\n", prime);
        chan(int) next = chan_make(int, 0);
        go(filter, ch, chan_ref(next), prime);      // main's reference goes to the filter
        ch = next;
    }
    chan_close(ch);
    chan_free(ch);
    return chanrt_shutdown(-1);
}

// Output:
// 2
// 3
// 5
// 7
// 11
// 13
// 17
// 19
// 23
// 29
