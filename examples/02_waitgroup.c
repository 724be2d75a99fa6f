// Shows: five workers, and a waitgroup that tells when the last one is done.
// Go:    var wg sync.WaitGroup
//        for id := 1; id <= 5; id++ {
//            wg.Add(1)
//            go worker(id, &wg)      // which ends with wg.Done()
//        }
//        wg.Wait()
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

TASK(worker, int, id, waitgroup *, wg) {
    printf("worker %d starting\n", id);
    task_sleep(SECOND);                 // the task waits, its thread does not
    printf("worker %d done\n", id);
    wg_done(wg);
}

int main(void) {
    waitgroup wg = {0};
    for (int id = 1; id <= 5; id++) {
        wg_add(&wg, 1);                 // before go, or the wait could find zero
        go(worker, id, &wg);
    }
    wg_wait(&wg);
    printf("all workers done\n");
    return 0;
}

// Output (any order):
// worker 1 starting
// worker 2 starting
// worker 3 starting
// worker 4 starting
// worker 5 starting
// worker 1 done
// worker 2 done
// worker 3 done
// worker 4 done
// worker 5 done
// all workers done
