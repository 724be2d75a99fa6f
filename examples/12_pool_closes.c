// Shows: the same pool when nobody counts: a task waits for the workers, then
//        closes the results, and main ranges over them.
// Go:    go func() { wg.Wait(); close(results) }()
//        for r := range results { fmt.Println(r) }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

TASK(worker, chan_receiver(int), jobs, chan_sender(int), results) {
    chan_range(int, j, jobs) {
        task_sleep(SECOND);
        chan_send(results, j * 2);
    }
}

TASK(close_after, waitgroup *, wg, chan_sender(int), results) {
    wg_wait(wg);
    chan_close(results);
}

int main(void) {
    chan(int) jobs = chan_make(int, 100);
    chan(int) results = chan_make(int, 0);
    waitgroup wg = {0};
    for (int w = 0; w < 3; w++) wg_go(&wg, worker, jobs, results);  // add, go, and done at its end
    go(close_after, &wg, results);

    for (int j = 1; j <= 5; j++) chan_send(jobs, j);
    chan_close(jobs);
    chan_range(int, r, results) printf("result %d\n", r);
    printf("no more results\n");

    chan_free(jobs);
    chan_free(results);
    return 0;
}

// Output (any order):
// result 2
// result 4
// result 6
// result 8
// result 10
// no more results
