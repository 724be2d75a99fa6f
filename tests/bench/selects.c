// Select: choosing among ready channels, blocking on many, both sides choosing, and not waiting.
#include "bench.h"

enum { MOST = 64 };

// The channels a select picks from; cases is the same set for the form with a number of cases.
struct picks {
    chan(int64_t) c[MOST];
    chan_case     cases[MOST];
    int64_t       v;
    int           n;
};

static void picks_make(struct picks *p, int n) {
    p->n = n;
    for (int i = 0; i < n; i++) {
        p->c[i] = chan_make(int64_t, 0);
        p->cases[i] = case_recv(p->c[i], &p->v);
    }
}

static void picks_free(struct picks *p) {
    for (int i = 0; i < p->n; i++) chan_free(p->c[i]);
}

// pickN receives into v and returns which channel it was.
static int pick2(struct picks *p) {
    chan_select {
        on_recv(p->c[0], &p->v) { return 0; }
        on_recv(p->c[1], &p->v) { return 1; }
    }
    return -1;
}

static int pick4(struct picks *p) {
    chan_select {
        on_recv(p->c[0], &p->v) { return 0; }
        on_recv(p->c[1], &p->v) { return 1; }
        on_recv(p->c[2], &p->v) { return 2; }
        on_recv(p->c[3], &p->v) { return 3; }
    }
    return -1;
}

static int pick8(struct picks *p) {
    chan_select {
        on_recv(p->c[0], &p->v) { return 0; }
        on_recv(p->c[1], &p->v) { return 1; }
        on_recv(p->c[2], &p->v) { return 2; }
        on_recv(p->c[3], &p->v) { return 3; }
        on_recv(p->c[4], &p->v) { return 4; }
        on_recv(p->c[5], &p->v) { return 5; }
        on_recv(p->c[6], &p->v) { return 6; }
        on_recv(p->c[7], &p->v) { return 7; }
    }
    return -1;
}

static int pick64(struct picks *p) {
    return chan_select_n(p->cases, MOST, -1);
}

static int (*picker(int n))(struct picks *) {
    return n == 2 ? pick2 : n == 4 ? pick4 : n == 8 ? pick8 : pick64;
}

// Channels that are closed are ready without a refill: all of them when b is set, else the last
// one. Which of several is chosen is random, so that form only counts.
uint64_t select_ready(struct bench *b) {
    struct picks p = {0};
    int (*pick)(struct picks *) = picker(b->a);
    int64_t sum = 0;
    picks_make(&p, b->a);
    for (int i = 0; i < b->a; i++) {
        if (b->b != 0 || i == b->a - 1) chan_close(p.c[i]);
    }
    bench_begin(b);
    for (int64_t i = 0; i < b->n; i++) {
        int which = pick(&p);
        sum += (b->b != 0 ? 1 : which) + p.v;
    }
    bench_end(b);
    picks_free(&p);
    return (uint64_t)sum;
}

TASK(cycler, struct picks *, p, int64_t, n, waitgroup *, wg) {
    for (int64_t i = 0, at = 0; i < n; i++) {
        chan_send(p->c[at], i);
        if (++at == p->n) at = 0;
    }
    wg_done(wg);
}

uint64_t select_block(struct bench *b) {
    struct picks p = {0};
    int (*pick)(struct picks *) = picker(b->a);
    uint64_t sum = 0;
    waitgroup wg = {0};
    picks_make(&p, b->a);
    wg_add(&wg, 1);
    bench_need(go(cycler, &p, b->n, &wg));
    for (int64_t i = 0; i < b->n; i++) {
        pick(&p);
        sum += (uint64_t)p.v;
    }
    bench_end(b);
    wg_wait(&wg);
    picks_free(&p);
    return sum;
}

TASK(mixed_sender, struct picks *, p, int64_t, from, int64_t, to, waitgroup *, wg) {
    for (int64_t i = from; i < to; i++) {
        chan_select {
            on_send(p->c[0], i) {}
            on_send(p->c[1], i) {}
            on_send(p->c[2], i) {}
            on_send(p->c[3], i) {}
        }
    }
    wg_done(wg);
}

TASK(mixed_receiver, struct picks *, shared, int64_t, n, int64_t *, out, waitgroup *, wg) {
    struct picks p = *shared;     // a v of its own
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        pick4(&p);
        sum += p.v;
    }
    *out = sum;
    wg_done(wg);
}

uint64_t select_both(struct bench *b) {
    struct picks p = {0};
    int64_t half = b->n / 2, sums[2] = {0};
    waitgroup wg = {0};
    picks_make(&p, 4);
    wg_add(&wg, 4);
    bench_need(go(mixed_sender, &p, 0, half, &wg));
    bench_need(go(mixed_sender, &p, half, 2 * half, &wg));
    bench_need(go(mixed_receiver, &p, half, &sums[0], &wg));
    bench_need(go(mixed_receiver, &p, half, &sums[1], &wg));
    wg_wait(&wg);
    b->ops = (double)(2 * half);
    picks_free(&p);
    return bench_sum(sums, 2);
}

//------------------------------------------------------------------------------
// Not waiting

uint64_t try_recv(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, 16);
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t v;
        sum += chan_try_recv(ch, &v) == EAGAIN;
    }
    chan_free(ch);
    return sum;
}

uint64_t try_send(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, 1);
    uint64_t sum = 0;
    chan_send(ch, 0);
    for (int64_t i = 0; i < b->n; i++) sum += chan_try_send(ch, i) == EAGAIN;
    chan_free(ch);
    return sum;
}

uint64_t try_select(struct bench *b) {
    chan(int64_t) x = chan_make(int64_t, 16);
    chan(int64_t) y = chan_make(int64_t, 16);
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t v;
        chan_select {
            on_recv(x, &v) {}
            on_recv(y, &v) {}
            on_default     { sum++; }
        }
    }
    chan_free(x);
    chan_free(y);
    return sum;
}
