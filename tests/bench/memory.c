// Memory: what a task costs while it waits, and before it has run.
#include "bench.h"

TASK(parker, chan_receiver(int64_t), ch, waitgroup *, armed, waitgroup *, done) {
    wg_done(armed);
    chan_recv(ch, NULL);
    wg_done(done);
}

// parked measures n tasks blocked in a receive: the time to get there, or with a = 1 the bytes.
uint64_t parked(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, 0);
    waitgroup armed = {0}, done = {0};
    int64_t before = bench_resident();
    wg_add(&armed, (int)b->n);
    wg_add(&done, (int)b->n);
    bench_begin(b);
    for (int64_t i = 0; i < b->n; i++) bench_need(go(parker, ch, &armed, &done));
    wg_wait(&armed);
    bench_end(b);
    if (b->a != 0) b->value = (double)(bench_resident() - before) / (double)b->n;
    chan_close(ch);
    wg_wait(&done);
    chan_free(ch);
    return (uint64_t)b->n;
}

TASK(count_run, uint64_t *, ran, waitgroup *, wg) {
    ++*ran;
    wg_done(wg);
}

// unstarted measures tasks that no worker has run yet: one worker, and the parent never yields.
uint64_t unstarted(struct bench *b) {
    if (chanrt_workers() != 1) bench_skip("needs one worker");
    uint64_t ran = 0;
    waitgroup wg = {0};
    int64_t before = bench_resident();
    wg_add(&wg, (int)b->n);
    for (int64_t i = 0; i < b->n; i++) bench_need(go(count_run, &ran, &wg));
    bench_end(b);
    b->value = (double)(bench_resident() - before) / (double)b->n;
    wg_wait(&wg);
    return ran;
}
