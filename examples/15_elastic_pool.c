// Shows: a pool whose size follows the load: a job that waits too long brings
//        in a worker, a worker without jobs goes home.
// Go:    for {
//            select {
//            case jobs <- job: return
//            case <-time.After(patience): if size < max { size++; go worker() }
//            }
//        }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdatomic.h>
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { MAX_WORKERS = 4 };

struct pool {
    chan(int) jobs;
    atomic_int size;
    waitgroup workers;
};

TASK(worker, struct pool *, p) {
    while (chan_recv_timeout(p->jobs, NULL, 2 * SECOND) == 0) task_sleep(SECOND);
    atomic_fetch_sub(&p->size, 1);
}

static void submit(struct pool *p, int job) {
    while (chan_send_timeout(p->jobs, job, SECOND / 10) == ETIMEDOUT) {
        if (atomic_load(&p->size) == MAX_WORKERS) continue;     // wait for one of them
        atomic_fetch_add(&p->size, 1);
        wg_go(&p->workers, worker, p);
    }
}

int main(void) {
    struct pool p = { .jobs = chan_make(int, 0) };

    for (int job = 1; job <= 12; job++) submit(&p, job);
    printf("twelve jobs at once: %d workers\n", atomic_load(&p.size));

    wg_wait(&p.workers);                // nothing to do: they leave one by one
    printf("no jobs: %d workers\n", atomic_load(&p.size));

    submit(&p, 13);
    printf("one job: %d of %d workers\n", atomic_load(&p.size), MAX_WORKERS);

    wg_wait(&p.workers);
    chan_free(p.jobs);
    return 0;
}

// Output (pattern):
// twelve jobs at once: 4 workers
// no jobs: 0 workers
// one job: * of 4 workers
