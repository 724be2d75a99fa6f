// Timers: armed and stopped, as timeouts, firing in crowds, and how late sleeps end.
#include "bench.h"

uint64_t timer_stops(struct bench *b) {
    uint64_t stopped = 0;
    for (int64_t i = 0; i < b->n; i++) {
        chan_timer *t = timer_make(CHANRT_SECOND);
        stopped += timer_stop(t);
        timer_free(t);
    }
    return stopped;
}

TASK(feed, chan_sender(int64_t), out, int64_t, n, waitgroup *, wg) {
    for (int64_t i = 0; i < n; i++) chan_send(out, i);
    wg_done(wg);
}

// a = 0: the value is buffered already; a = 1: the receiver blocks until the sender comes.
uint64_t timeouts(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, (size_t)(1 - b->a));
    uint64_t sum = 0;
    waitgroup wg = {0};
    wg_add(&wg, 1);
    if (b->a != 0) bench_need(go(feed, ch, b->n, &wg));
    for (int64_t i = 0; i < b->n; i++) {
        int64_t v = 0;
        if (b->a == 0) chan_send(ch, i);
        chan_recv_timeout(ch, &v, CHANRT_SECOND);
        sum += (uint64_t)v;
    }
    bench_end(b);
    if (b->a == 0) wg_done(&wg);
    wg_wait(&wg);
    chan_free(ch);
    return sum;
}

// due spreads n deadlines over 10 ns each, in shuffled order.
static int64_t due(int64_t i, int64_t n) {
    return i * 7919 % n * 10;
}

struct firing {
    waitgroup  *wg;
    chan_timer *timer;
    uint64_t    fired;
};

static void fire(void *arg) {
    struct firing *f = arg;
    f->fired++;
    wg_done(f->wg);
}

// timers_fire measures arming n timers, their firing and freeing them, without the wait between.
uint64_t timers_fire(struct bench *b) {
    const int64_t head = 300 * CHANRT_MILLISECOND;
    struct firing *all = bench_alloc(b->n, sizeof *all);
    uint64_t sum = 0;
    waitgroup wg = {0};
    wg_add(&wg, (int)b->n);
    bench_begin(b);
    int64_t start = chanrt_now();
    for (int64_t i = 0; i < b->n; i++) {
        all[i].wg = &wg;
        all[i].timer = timer_func(start + head + due(i, b->n) - chanrt_now(), fire, &all[i]);
    }
    int64_t idle = start + head - chanrt_now();
    wg_wait(&wg);
    for (int64_t i = 0; i < b->n; i++) timer_free(all[i].timer);
    bench_end(b);
    b->value = (double)(b->wall - (idle > 0 ? idle : 0)) / (double)b->n;
    for (int64_t i = 0; i < b->n; i++) sum += all[i].fired;
    free(all);
    return sum;
}

TASK(sleeper, int64_t, until, waitgroup *, armed, waitgroup *, done) {
    wg_done(armed);
    task_sleep(until - chanrt_now());
    wg_done(done);
}

// sleepers is the same with n tasks that sleep.
uint64_t sleepers(struct bench *b) {
    const int64_t head = 400 * CHANRT_MILLISECOND;
    waitgroup armed = {0}, done = {0};
    wg_add(&armed, (int)b->n);
    wg_add(&done, (int)b->n);
    int64_t start = chanrt_now();
    for (int64_t i = 0; i < b->n; i++) {
        bench_need(go(sleeper, start + head + due(i, b->n), &armed, &done));
    }
    wg_wait(&armed);
    int64_t idle = start + head - chanrt_now();
    wg_wait(&done);
    bench_end(b);
    b->value = (double)(b->wall - (idle > 0 ? idle : 0)) / (double)b->n;
    return (uint64_t)b->n;
}

TASK(yields_on, atomic_bool *, stop, waitgroup *, wg) {
    while (!atomic_load(stop)) task_yield();
    wg_done(wg);
}

// sleep_busy is sleep_late beside four tasks that yield.
uint64_t sleep_busy(struct bench *b) {
    atomic_bool stop = false;
    waitgroup wg = {0};
    wg_add(&wg, 4);
    for (int i = 0; i < 4; i++) bench_need(go(yields_on, &stop, &wg));
    uint64_t early = sleep_late(b);
    atomic_store(&stop, true);
    wg_wait(&wg);
    return early;
}

// sleep_late reports percentile b of how late a sleep of a microseconds ends; the checksum counts
// those that ended early.
uint64_t sleep_late(struct bench *b) {
    int64_t want = b->a * CHANRT_MICROSECOND;
    int64_t *late = bench_alloc(b->n, sizeof *late);
    uint64_t early = 0;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t start = chanrt_now();
        task_sleep(want);
        late[i] = chanrt_now() - start - want;
        early += late[i] < 0;
    }
    bench_end(b);
    b->value = bench_percentile(late, b->n, b->b);
    free(late);
    return early;
}
