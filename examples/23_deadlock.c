// Shows: a deadlock is found and reported with who waits where, as in Go.
// Go:    ch := make(chan int)
//        go func() { ch <- <-other }()
//        fmt.Println(<-ch)
//        // fatal error: all goroutines are asleep - deadlock!
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

TASK(forward, chan_receiver(int), in, chan_sender(int), out) {
    chan_send(out, chan_get(in));
}

int main(void) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    printf("nobody sends the first value\n");
    fflush(stdout);
    go(forward, a, b);                  // waits for a value from a,
    printf("%d\n", chan_get(b));        // main for one from the task
    chan_free(a);
    chan_free(b);
    return 0;
}

// Output:
// nobody sends the first value
// Exit: 2
// Stderr (pattern):
// fatal error: all tasks are asleep - deadlock!
// *
