// Shows: the first error of a pool is reported and stops all the others.
// Go:    errs := make(chan error, 1)     // later errors find it full
//        select { case errs <- err: close(quit) default: }
//        ...
//        select { case <-quit: return; case j := <-jobs: ... }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { JOBS = 100, WORKERS = 3 };

struct failure { int job; const char *why; };

struct pool {
    chan(int) jobs;
    chan(struct failure) errors;        // room for one: the first
    chan(char) quit;                    // never sent on; closed, it stops everybody
    chan(int) finished;
};

static bool process(struct pool *p, int job) {
    if (job == 3) {
        // Only the first one gets its report in, and only he stops the others.
        if (chan_try_send(p->errors, { job, "disk full" }) == 0) chan_close(p->quit);
        return false;
    }
    chan_select {                       // a second's work, given up when told to
        on_recv(p->quit, NULL) { return false; }
        on_timeout(SECOND)     { }
    }
    return true;
}

TASK(worker, struct pool *, p) {
    for (;;) {
        int job;
        chan_select_ordered {           // quit goes before one more job
            on_recv(p->quit, NULL) { return; }
            on_recv(p->jobs, &job) { if (select_err() != 0) return; }
        }
        if (process(p, job)) chan_send(p->finished, job);
    }
}

int main(void) {
    struct pool p = { chan_make(int, JOBS), chan_make(struct failure, 1), chan_make(char, 0),
                      chan_make(int, JOBS) };
    waitgroup wg = {0};
    for (int job = 1; job <= JOBS; job++) chan_send(p.jobs, job);
    chan_close(p.jobs);
    for (int i = 0; i < WORKERS; i++) wg_go(&wg, worker, &p);
    wg_wait(&wg);

    struct failure f;
    if (chan_try_recv(p.errors, &f) == 0) printf("job %d failed: %s\n", f.job, f.why);
    if (chan_len(p.finished) < JOBS / 2) printf("most jobs were never started\n");

    chan_free(p.jobs);
    chan_free(p.errors);
    chan_free(p.quit);
    chan_free(p.finished);
    return 0;
}

// Output:
// job 3 failed: disk full
// most jobs were never started
