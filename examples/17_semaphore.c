// Shows: a buffered channel is a semaphore: its room is the number of permits.
// Go:    sem := make(chan struct{}, 3)
//        sem <- struct{}{}           // acquire
//        ...
//        <-sem                       // release
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdatomic.h>
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { TASKS = 10, PERMITS = 3 };

static atomic_int inside, most, finished;

TASK(limited, chan(char), sem) {
    chan_send(sem, 1);                  // acquire: blocks while the channel is full
    int now = atomic_fetch_add(&inside, 1) + 1;
    int seen = atomic_load(&most);
    while (seen < now && !atomic_compare_exchange_weak(&most, &seen, now)) {}
    task_sleep(SECOND / 4);
    atomic_fetch_sub(&inside, 1);
    chan_recv(sem, NULL);               // release
    atomic_fetch_add(&finished, 1);
}

int main(void) {
    chan(char) sem = chan_make(char, PERMITS);
    waitgroup wg = {0};
    for (int i = 0; i < TASKS; i++) wg_go(&wg, limited, sem);
    wg_wait(&wg);
    printf("%d tasks finished, at most %d at a time\n", atomic_load(&finished), atomic_load(&most));
    chan_free(sem);
    return 0;
}

// Output:
// 10 tasks finished, at most 3 at a time
