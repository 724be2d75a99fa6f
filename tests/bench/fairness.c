// Fairness: speed must not be bought by starving somebody. And the way in from outside.
#include "bench.h"

#include <pthread.h>
#include <time.h>

TASK(echo, chan_receiver(int64_t), in, chan_sender(int64_t), out, waitgroup *, wg) {
    chan_range(int64_t, v, in) chan_send(out, v + 1);
    wg_done(wg);
}

// A task that answers, and the two channels to talk to it.
struct partner {
    chan(int64_t) there, back;
    waitgroup     wg;
};

static void partner_start(struct partner *p) {
    p->there = chan_make(int64_t, 0);
    p->back = chan_make(int64_t, 0);
    wg_add(&p->wg, 1);
    bench_need(go(echo, p->there, p->back, &p->wg));
}

static uint64_t partner_trip(struct partner *p, int64_t v) {
    chan_send(p->there, v);
    chan_recv(p->back, &v);
    return (uint64_t)v;
}

static void partner_stop(struct partner *p) {
    chan_close(p->there);
    wg_wait(&p->wg);
    chan_free(p->there);
    chan_free(p->back);
}

struct foreigner {
    struct bench  *b;
    struct partner p;
    uint64_t       sum;
};

static void *foreign_trips(void *arg) {
    struct foreigner *f = arg;
    bench_begin(f->b);
    for (int64_t i = 0; i < f->b->n; i++) f->sum += partner_trip(&f->p, i);
    bench_end(f->b);
    return NULL;
}

static void *foreign_echo(void *arg) {
    struct foreigner *f = arg;
    chan_range(int64_t, v, f->p.there) chan_send(f->p.back, v + 1);
    wg_done(&f->p.wg);
    return NULL;
}

// foreign: n round trips of the main thread (a = 0) or another one (1) with a task, or of two
// threads (2).
uint64_t foreign(struct bench *b) {
    struct foreigner f = { .b = b };
    pthread_t trips, echoes;
    if (b->a != 2) {
        partner_start(&f.p);
    } else {
        f.p.there = chan_make(int64_t, 0);
        f.p.back = chan_make(int64_t, 0);
        wg_add(&f.p.wg, 1);
        bench_need(pthread_create(&echoes, NULL, foreign_echo, &f));
    }
    if (b->a == 0) {
        foreign_trips(&f);
    } else {
        bench_need(pthread_create(&trips, NULL, foreign_trips, &f));
        pthread_join(trips, NULL);
    }
    partner_stop(&f.p);
    if (b->a == 2) pthread_join(echoes, NULL);
    return f.sum;
}

struct poked {
    chan(int64_t) in, out;
    waitgroup     wg;
};

TASK(feel, struct poked *, p) {
    chan_range(int64_t, sent, p->in) chan_send(p->out, chanrt_now() - sent);
    wg_done(&p->wg);
}

// Quiet of us microseconds: a short one is spun away, or there would be no quiet of that length.
static void quiet(int us) {
    const int64_t until = chanrt_now() + us * CHANRT_MICROSECOND;
    const struct timespec t = { .tv_nsec = us * 1000L };
    if (us >= 200) nanosleep(&t, NULL);
    while (chanrt_now() < until) continue;
}

// poke: the main thread sends the time to a task that waits, each time a microseconds after the
// last answer. Reports percentile b of how long it took; the checksum counts.
uint64_t poke(struct bench *b) {
    struct poked p = { .in = chan_make(int64_t, 0), .out = chan_make(int64_t, 0) };
    int64_t *took = bench_alloc(b->n, sizeof *took);
    wg_add(&p.wg, 1);
    bench_need(go(feel, &p));
    bench_begin(b);
    for (int64_t i = 0; i < b->n; i++) {
        quiet(b->a);
        chan_send(p.in, chanrt_now());
        chan_recv(p.out, &took[i]);
    }
    bench_end(b);
    chan_close(p.in);
    wg_wait(&p.wg);
    chan_free(p.in);
    chan_free(p.out);
    b->value = bench_percentile(took, b->n, b->b);
    free(took);
    return (uint64_t)b->n;
}

//------------------------------------------------------------------------------
// A hog, a pair and a dozer

TASK(hogging, atomic_bool *, stop, int64_t, until, waitgroup *, wg) {
    volatile uint64_t v = 1;
    while (!atomic_load(stop) && chanrt_now() < until) v = bench_work(v, 10);
    wg_done(wg);
}

// The hog, one more task that sleeps, and the pair. The hog's limit is for a runtime that it stops.
struct hogged {
    atomic_bool    stop, slept;
    int64_t        naps, most, *late;
    struct partner p;
    waitgroup      wg;
};

TASK(dozer, struct hogged *, h) {
    while (h->naps < h->most && !atomic_load(&h->stop)) {
        int64_t start = chanrt_now();
        task_sleep(CHANRT_MILLISECOND);
        h->late[h->naps++] = chanrt_now() - start - CHANRT_MILLISECOND;
    }
    atomic_store(&h->slept, true);
    wg_done(&h->wg);
}

static void hogged_start(struct hogged *h, int64_t naps) {
    if (chanrt_workers() < 2) bench_skip("needs two workers");
    *h = (struct hogged){ .most = naps, .late = bench_alloc(naps, sizeof *h->late) };
    wg_add(&h->wg, 2);
    bench_need(go(hogging, &h->stop, chanrt_now() + 10 * CHANRT_SECOND, &h->wg));
    bench_need(go(dozer, h));
    partner_start(&h->p);
}

static void hogged_stop(struct hogged *h) {
    atomic_store(&h->stop, true);
    partner_stop(&h->p);
    wg_wait(&h->wg);
    free(h->late);
}

// hog: n round trips of the pair. a = 0: time per round trip; 1: its 99th percentile.
uint64_t hog(struct bench *b) {
    struct hogged h;
    int64_t *trips = bench_alloc(b->n, sizeof *trips);
    uint64_t sum = 0;
    hogged_start(&h, 10000);
    bench_begin(b);
    for (int64_t i = 0; i < b->n; i++) {
        int64_t start = chanrt_now();
        sum += partner_trip(&h.p, i);
        trips[i] = chanrt_now() - start;
    }
    bench_end(b);
    hogged_stop(&h);
    if (b->a == 1) b->value = bench_percentile(trips, b->n, 99);
    free(trips);
    return sum;
}

// hog_naps: the pair goes on until the other one has slept n times, which gives every
// implementation as many naps. Reports the 99th percentile of their lateness; the naps count.
uint64_t hog_naps(struct bench *b) {
    struct hogged h;
    hogged_start(&h, b->n);
    bench_begin(b);
    for (int64_t i = 0; !atomic_load(&h.slept); i++) partner_trip(&h.p, i);
    bench_end(b);
    b->value = bench_percentile(h.late, h.naps, 99);
    uint64_t naps = (uint64_t)h.naps;
    hogged_stop(&h);
    return naps;
}

TASK(yielding, atomic_bool *, stop, int64_t *, turns, waitgroup *, wg) {
    while (!atomic_load(stop)) {
        ++*turns;
        task_yield();
    }
    wg_done(wg);
}

// bystander: the time between turns of a task that only yields, beside a ping-pong pair.
uint64_t bystander(struct bench *b) {
    struct partner p = {0};
    atomic_bool stop = false;
    int64_t turns = 0;
    uint64_t sum = 0;
    waitgroup wg = {0};
    wg_add(&wg, 1);
    bench_need(go(yielding, &stop, &turns, &wg));
    partner_start(&p);
    for (int64_t i = 0; i < b->n; i++) sum += partner_trip(&p, i);
    bench_end(b);
    atomic_store(&stop, true);
    partner_stop(&p);
    wg_wait(&wg);
    b->value = (double)b->wall / (double)(turns + 1);
    return sum;
}
