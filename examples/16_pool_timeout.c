// Shows: a pool with a deadline: when time is up, every worker is told, also in
//        the middle of a job.
// Go:    ctx, cancel := context.WithTimeout(context.Background(), ...)
//        select { case <-ctx.Done(): return; case <-time.After(time.Second): }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { JOBS = 100, WORKERS = 3 };

TASK(worker, chan_receiver(int), jobs, chan_sender(int), results, chan_receiver(char), cancelled) {
    chan_range(int, j, jobs) {
        chan_select {
            on_recv(cancelled, NULL) { return; }
            on_timeout(SECOND)       { chan_send(results, j); }     // a second's work
        }
    }
}

int main(void) {
    chan(int) jobs = chan_make(int, JOBS), results = chan_make(int, JOBS);
    chan(char) cancelled = chan_make(char, 0);
    waitgroup wg = {0};
    for (int j = 1; j <= JOBS; j++) chan_send(jobs, j);
    chan_close(jobs);
    for (int i = 0; i < WORKERS; i++) wg_go(&wg, worker, jobs, results, cancelled);

    chan_receiver(int64_t) time_up = chan_after(5 * SECOND / 2);
    int done = 0;
    for (bool running = true; running && done < JOBS;) {
        chan_select {
            on_recv(results, NULL) { done++; }
            on_recv(time_up, NULL) { running = false; }
        }
    }
    chan_close(cancelled);              // one close reaches all of them
    wg_wait(&wg);
    printf("time is up after %d of %d jobs\n", done, JOBS);
    printf("%s\n", done < JOBS ? "the others were cancelled" : "all of them were done");

    chan_free(time_up);
    chan_free(jobs);
    chan_free(results);
    chan_free(cancelled);
    return 0;
}

// Output (pattern):
// time is up after * of 100 jobs
// the others were cancelled
