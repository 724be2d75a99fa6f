// Shows: a ring of a thousand tasks with a token going round: tasks are cheap.
// Go:    for i := 0; i < 1000; i++ {
//            go func(in <-chan int, out chan<- int) {
//                for token := range in { out <- token + 1 }
//                close(out)
//            }(ring[i], ring[i+1])
//        }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

enum { TASKS = 1000, LAPS = 10 };

TASK(pass, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, token, in) chan_send(out, token + 1);
    chan_close(out);
}

int main(void) {
    static chan(int) ring[TASKS + 1];
    waitgroup wg = {0};
    for (int i = 0; i <= TASKS; i++) ring[i] = chan_make(int, 0);
    for (int i = 0; i < TASKS; i++) wg_go(&wg, pass, ring[i], ring[i + 1]);

    int token = 0;
    for (int lap = 0; lap < LAPS; lap++) {
        chan_send(ring[0], token);
        token = chan_get(ring[TASKS]);  // main closes the ring
    }
    printf("%d tasks, %d laps: the token is %d\n", TASKS, LAPS, token);

    chan_close(ring[0]);                // goes round like a token
    printf("at the end: %s\n", chan_recv(ring[TASKS], NULL) == EPIPE ? "closed" : "a value?");
    wg_wait(&wg);
    for (int i = 0; i <= TASKS; i++) chan_free(ring[i]);
    return 0;
}

// Output:
// 1000 tasks, 10 laps: the token is 10000
// at the end: closed
