// Tasks: yielding, handing over, spawning, waiting for many.
#include "bench.h"

TASK(yielder, int64_t, turns, int64_t *, out, waitgroup *, wg) {
    for (int64_t i = 0; i < turns; i++) task_yield();
    *out = turns;
    wg_done(wg);
}

uint64_t yields(struct bench *b) {
    int64_t *turns = bench_alloc(b->a, sizeof *turns);
    waitgroup wg = {0};
    wg_add(&wg, b->a);
    for (int i = 0; i < b->a; i++) bench_need(go(yielder, b->n / b->a, &turns[i], &wg));
    wg_wait(&wg);
    uint64_t sum = bench_sum(turns, b->a);
    b->ops = (double)sum;
    free(turns);
    return sum;
}

//------------------------------------------------------------------------------
// Ping-pong: one function at both ends, or one at each. The difference is what a return
// predictor makes of the switch.

TASK(player, chan_receiver(int64_t), in, chan_sender(int64_t), out, int64_t, n, bool, serves,
     int64_t *, sum, waitgroup *, wg) {
    int64_t total = 0;
    if (serves) chan_send(out, 0);
    for (int64_t i = 1; i <= n; i++) {
        int64_t v = 0;
        chan_recv(in, &v);
        total += v;
        if (!serves || i < n) chan_send(out, v + 1);
    }
    *sum = total;
    wg_done(wg);
}

TASK(pinger, chan_receiver(int64_t), in, chan_sender(int64_t), out, int64_t, n, int64_t *, sum,
     waitgroup *, wg) {
    int64_t total = 0, v = 0;
    for (int64_t i = 0; i < n; i++) {
        chan_send(out, v);
        chan_recv(in, &v);
        total += v;
        v++;
    }
    *sum = total;
    wg_done(wg);
}

TASK(ponger, chan_receiver(int64_t), in, chan_sender(int64_t), out, int64_t, n, int64_t *, sum,
     waitgroup *, wg) {
    int64_t total = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t v = 0;
        chan_recv(in, &v);
        total += v;
        chan_send(out, v + 1);
    }
    *sum = total;
    wg_done(wg);
}

uint64_t pingpong(struct bench *b) {
    chan(int64_t) there = chan_make(int64_t, 0);
    chan(int64_t) back = chan_make(int64_t, 0);
    int64_t sums[2] = {0};
    waitgroup wg = {0};
    wg_add(&wg, 2);
    if (b->a == 0) {
        bench_need(go(player, back, there, b->n, true, &sums[0], &wg));
        bench_need(go(player, there, back, b->n, false, &sums[1], &wg));
    } else {
        bench_need(go(pinger, back, there, b->n, &sums[0], &wg));
        bench_need(go(ponger, there, back, b->n, &sums[1], &wg));
    }
    wg_wait(&wg);
    chan_free(there);
    chan_free(back);
    return bench_sum(sums, 2);
}

// Pairs that have nothing to do with each other: a of them share n round trips.
uint64_t pingpong_many(struct bench *b) {
    int pairs = b->a;
    chan(int64_t) *ends = bench_alloc(2 * pairs, sizeof *ends);
    int64_t *sums = bench_alloc(2 * pairs, sizeof *sums), each = b->n / pairs;
    waitgroup wg = {0};
    wg_add(&wg, 2 * pairs);
    for (int i = 0; i < pairs; i++) {
        chan(int64_t) there = ends[2 * i] = chan_make(int64_t, 0);
        chan(int64_t) back = ends[2 * i + 1] = chan_make(int64_t, 0);
        bench_need(go(pinger, back, there, each, &sums[2 * i], &wg));
        bench_need(go(ponger, there, back, each, &sums[2 * i + 1], &wg));
    }
    wg_wait(&wg);
    bench_end(b);
    b->ops = (double)(each * pairs);
    for (int i = 0; i < 2 * pairs; i++) chan_free(ends[i]);
    uint64_t sum = bench_sum(sums, 2 * pairs);
    free(ends);
    free(sums);
    return sum;
}

// A pinned task stays where it first ran. Both spin, never yielding, until the other has started:
// only two workers can get them past that.
TASK(pinned_player, chan_receiver(int64_t), in, chan_sender(int64_t), out, int64_t, n,
     bool, serves, int64_t *, sum, waitgroup *, wg, atomic_int *, started) {
    atomic_fetch_add(started, 1);
    while (atomic_load(started) < 2) continue;
    player(in, out, n, serves, sum, wg);
}

uint64_t pingpong_cross(struct bench *b) {
    if (chanrt_workers() < 2) bench_skip("needs two workers");
    const task_options pinned = { .pinned = true };
    chan(int64_t) there = chan_make(int64_t, 0);
    chan(int64_t) back = chan_make(int64_t, 0);
    int64_t sums[2] = {0};
    atomic_int started = 0;
    waitgroup wg = {0};
    wg_add(&wg, 2);
    bench_need(go_opt(pinned, pinned_player, back, there, b->n, true, &sums[0], &wg, &started));
    bench_need(go_opt(pinned, pinned_player, there, back, b->n, false, &sums[1], &wg, &started));
    wg_wait(&wg);
    chan_free(there);
    chan_free(back);
    return bench_sum(sums, 2);
}

//------------------------------------------------------------------------------
// Spawning

TASK(touch, int32_t *, slot, waitgroup *, wg) {
    ++*slot;
    wg_done(wg);
}

static uint64_t touches(int32_t *slots, int64_t n) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (uint64_t)slots[i];
    free(slots);
    return sum;
}

// spawn_finish runs n tasks in batches of a; a = 0 means all of them in one.
uint64_t spawn_finish(struct bench *b) {
    int64_t batch = b->a != 0 ? b->a : b->n, rounds = b->n / batch;
    int32_t *slots = bench_alloc(batch, sizeof *slots);
    waitgroup wg = {0};
    bench_begin(b);
    for (int64_t r = 0; r < rounds; r++) {
        wg_add(&wg, (int)batch);
        for (int64_t i = 0; i < batch; i++) bench_need(go(touch, &slots[i], &wg));
        wg_wait(&wg);
    }
    bench_end(b);
    b->ops = (double)(rounds * batch);
    return touches(slots, batch);
}

TASK(answer, int64_t, v, chan_sender(int64_t), out) {
    chan_send(out, v);
}

uint64_t spawn_join(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, 0);
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        bench_need(go(answer, i, ch));
        sum += (uint64_t)chan_get(ch);
    }
    chan_free(ch);
    return sum;
}

//------------------------------------------------------------------------------
// Waitgroups

uint64_t wg_pairs(struct bench *b) {
    waitgroup wg = {0};
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        wg_add(&wg, 1);
        sum++;
        wg_done(&wg);
    }
    wg_wait(&wg);
    return sum;
}

struct gate {
    waitgroup armed, open, through;
};

TASK(pass_gate, struct gate *, g, int32_t *, slot) {
    wg_done(&g->armed);
    wg_wait(&g->open);
    ++*slot;
    wg_done(&g->through);
}

uint64_t wg_gate(struct bench *b) {
    struct gate g = {0};
    int32_t *slots = bench_alloc(b->a, sizeof *slots);
    int64_t rounds = b->n / b->a;
    for (int64_t r = 0; r < rounds; r++) {
        wg_add(&g.armed, b->a);
        wg_add(&g.open, 1);
        wg_add(&g.through, b->a);
        for (int i = 0; i < b->a; i++) bench_need(go(pass_gate, &g, &slots[i]));
        wg_wait(&g.armed);
        wg_done(&g.open);
        wg_wait(&g.through);
    }
    bench_end(b);
    b->ops = (double)(rounds * b->a);
    return touches(slots, b->a);
}
