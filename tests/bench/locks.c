// Locks: a counter under a mutex, a table read mostly, two that wake each other, permits.
#include "bench.h"

struct locked {
    sync_mutex m;
    int64_t count;
};

TASK(count_locked, struct locked *, l, int64_t, n, waitgroup *, wg) {
    for (int64_t i = 0; i < n; i++) {
        sync_mutex_lock(&l->m);
        l->count++;
        sync_mutex_unlock(&l->m);
    }
    wg_done(wg);
}

// mutexes: a tasks count to n together.
uint64_t mutexes(struct bench *b) {
    struct locked l = {0};
    waitgroup wg = {0};
    wg_add(&wg, b->a);
    for (int i = 0; i < b->a; i++) bench_need(go(count_locked, &l, b->n / b->a, &wg));
    wg_wait(&wg);
    return (uint64_t)l.count;
}

struct table {
    sync_rwmutex rw;
    int64_t value;
};

// Every every-th access of a task writes; 0: none does.
TASK(use_table, struct table *, t, int64_t, n, int64_t, every, int64_t *, seen, waitgroup *, wg) {
    int64_t sum = 0;
    for (int64_t i = 1; i <= n; i++) {
        if (every != 0 && i % every == 0) {
            sync_rwmutex_lock(&t->rw);
            t->value++;
            sync_rwmutex_unlock(&t->rw);
        } else {
            sync_rwmutex_rlock(&t->rw);
            sum += t->value >= 0;
            sync_rwmutex_runlock(&t->rw);
        }
    }
    *seen = sum;
    wg_done(wg);
}

// tables: a tasks, n accesses in all, one in b a write.
uint64_t tables(struct bench *b) {
    struct table t = {0};
    int64_t *seen = bench_alloc(b->a, sizeof *seen);
    waitgroup wg = {0};
    wg_add(&wg, b->a);
    for (int i = 0; i < b->a; i++)
        bench_need(go(use_table, &t, b->n / b->a, b->b, &seen[i], &wg));
    wg_wait(&wg);
    uint64_t sum = bench_sum(seen, b->a) + 1000 * (uint64_t)t.value;
    free(seen);
    return sum;
}

struct court {
    sync_mutex m;
    sync_cond c[2];
    int64_t turns;
};

TASK(play, struct court *, k, int, side, int64_t, n, waitgroup *, wg) {
    sync_mutex_lock(&k->m);
    for (int64_t i = 0; i < n; i++) {
        while (k->turns % 2 != side) sync_cond_wait(&k->c[side], &k->m);
        k->turns++;
        sync_cond_signal(&k->c[1 - side]);
    }
    sync_mutex_unlock(&k->m);
    wg_done(wg);
}

uint64_t cond_pingpong(struct bench *b) {
    struct court k = {0};
    waitgroup wg = {0};
    wg_add(&wg, 2);
    for (int side = 0; side < 2; side++) bench_need(go(play, &k, side, b->n, &wg));
    wg_wait(&wg);
    return (uint64_t)k.turns;
}

TASK(use_permit, sync_sem *, s, int64_t, n, bool, yields, int64_t *, out, waitgroup *, wg) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sync_sem_acquire(s, 1);
        sum++;
        if (yields) task_yield();
        sync_sem_release(s, 1);
    }
    *out = sum;
    wg_done(wg);
}

// permits: a tasks, b permits; c: a task yields with one in its hand.
uint64_t permits(struct bench *b) {
    sync_sem s;
    int64_t *sums = bench_alloc(b->a, sizeof *sums);
    waitgroup wg = {0};
    bench_need(sync_sem_init(&s, b->b));
    wg_add(&wg, b->a);
    for (int i = 0; i < b->a; i++)
        bench_need(go(use_permit, &s, b->n / b->a, b->c != 0, &sums[i], &wg));
    wg_wait(&wg);
    uint64_t sum = bench_sum(sums, b->a);
    free(sums);
    return sum;
}
