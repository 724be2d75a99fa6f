// Shows: three workers share five jobs; main collects exactly five results.
// Go:    jobs, results := make(chan int, 100), make(chan int, 100)
//        for w := 1; w <= 3; w++ { go worker(w, jobs, results) }
//        for j := 1; j <= 5; j++ { jobs <- j }
//        close(jobs)
//        for a := 1; a <= 5; a++ { <-results }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

TASK(worker, int, id, chan_receiver(int), jobs, chan_sender(int), results) {
    (void)id;                           // who gets which job is left to chance
    chan_range(int, j, jobs) {
        printf("job %d started\n", j);
        task_sleep(SECOND);
        printf("job %d finished\n", j);
        chan_send(results, j * 2);
    }
}

int main(void) {
    chan(int) jobs = chan_make(int, 100);
    chan(int) results = chan_make(int, 100);
    for (int id = 1; id <= 3; id++) go(worker, id, jobs, results);
    for (int j = 1; j <= 5; j++) chan_send(jobs, j);
    chan_close(jobs);                   // the workers' loops end after the last

    int sum = 0;
    for (int a = 1; a <= 5; a++) sum += chan_get(results);
    printf("sum of the results %d\n", sum);

    // Five results do not mean that the workers have left their loops.
    chanrt_shutdown(-1);
    chan_free(jobs);
    chan_free(results);
    return 0;
}

// Output (any order):
// job 1 started
// job 2 started
// job 3 started
// job 4 started
// job 5 started
// job 1 finished
// job 2 finished
// job 3 finished
// job 4 finished
// job 5 finished
// sum of the results 30
