// Shows: concurrency against parallelism. Eight tasks that wait take as long as
//        one even on one worker; eight that compute need processors.
// Go:    runtime.GOMAXPROCS(1)
//        run(compute)
//        runtime.GOMAXPROCS(runtime.NumCPU())
//        run(compute)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { TASKS = 8, STEP = 50000 };

// Counts the primes of its own eighth of the numbers, the slow way.
TASK(compute, int, i, chan_sender(int), out) {
    int found = 0;
    for (int n = i * STEP; n < (i + 1) * STEP; n++) {
        int d = 2;
        while (d < n && d * d <= n && n % d != 0) d++;
        found += n > 1 && d * d > n;
    }
    chan_send(out, found);
}

TASK(snooze, int, i, chan_sender(int), out) {
    task_sleep(SECOND);
    chan_send(out, i);
}

static int sum(chan_receiver(int) in) {
    int total = 0;
    for (int i = 0; i < TASKS; i++) total += chan_get(in);
    return total;
}

// measure runs both kinds on a pool of so many workers; yields the primes found.
static int measure(int workers) {
    chanrt_start(&(chanrt_options){ .workers = workers });
    chan(int) out = chan_make(int, 0);
    int64_t t0 = chanrt_now();
    for (int i = 0; i < TASKS; i++) go(snooze, i, out);
    sum(out);
    int64_t t1 = chanrt_now();
    for (int i = 0; i < TASKS; i++) go(compute, i, out);
    int primes = sum(out);
    int64_t t2 = chanrt_now();
    printf("workers %d: waiting %.3f s, computing %.3f s\n", chanrt_workers(),
           (double)(t1 - t0) / 1e9, (double)(t2 - t1) / 1e9);
    chanrt_shutdown(-1);                // the next one gets a pool of another size
    chan_free(out);
    return primes;
}

int main(void) {
    int one = measure(1);
    int all = measure(0);               // 0: as many as there are processors
    printf("%d primes%s\n", one, one == all ? " both times" : ", but not both times");
    return 0;
}

// Output (pattern):
// workers 1: waiting * s, computing * s
// workers *: waiting * s, computing * s
// 33860 primes both times
