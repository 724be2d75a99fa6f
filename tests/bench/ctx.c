// Contexts and groups: made and cancelled, looked at, and as the frame of many tasks.
#include "bench.h"

// ctx_pairs makes a context below another, cancels and frees it; a = 1: with a deadline, 2: and
// with its channel in hand, as who waits for it has.
uint64_t ctx_pairs(struct bench *b) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        task_ctx *c = b->a == 1 ? ctx_with_timeout(top, CHANRT_SECOND) : ctx_with_cancel(top);
        if (c == NULL) bench_need(ENOMEM);
        if (b->a == 2) sum += ctx_done(c) != NULL;
        ctx_cancel(c);
        sum += (uint64_t)(ctx_err(c) == ECANCELED);
        ctx_free(c);
    }
    sum += (uint64_t)ctx_err(top);
    ctx_free(top);
    return sum;
}

// ctx_tree makes trees of a contexts, ten below each, all with their channels, and cancels them
// from the top.
uint64_t ctx_tree(struct bench *b) {
    task_ctx **c = bench_alloc(b->a, sizeof *c);
    uint64_t sum = 0;
    for (int64_t r = 0; r < b->n / b->a; r++) {
        for (int i = 0; i < b->a; i++) {
            c[i] = ctx_with_cancel(i > 0 ? c[(i - 1) / 10] : ctx_background());
            ctx_done(c[i]);
        }
        ctx_cancel(c[0]);
        for (int i = 0; i < b->a; i++) {
            sum += (uint64_t)(ctx_err(c[i]) == ECANCELED);
            ctx_free(c[i]);
        }
    }
    free(c);
    b->ops = (double)sum;
    return sum;
}

// ctx_values looks a contexts up for a value, each of which has one of its own.
uint64_t ctx_values(struct bench *b) {
    static int64_t keys[8];
    task_ctx *c[8], *up = ctx_background();
    for (int i = 0; i < b->a; i++) {
        keys[i] = i + 1;
        up = c[i] = ctx_with_value(up, &keys[i], &keys[i]);
    }
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) sum += *(uint64_t *)ctx_value(up, &keys[0]);
    for (int i = 0; i < b->a; i++) ctx_free(c[i]);
    return sum;
}

// ctx_looks asks a live context for its error.
uint64_t ctx_looks(struct bench *b) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) sum += ctx_err(c) == 0;
    ctx_free(c);
    return sum;
}

TASK_ERR(touch_slot, int32_t *, slot) {
    ++*slot;
    return 0;
}

// groups runs n tasks in groups of a, at most c at a time when c is not 0.
uint64_t groups(struct bench *b) {
    int32_t *slots = bench_alloc(b->a, sizeof *slots);
    int64_t rounds = b->n / b->a;
    bench_begin(b);
    for (int64_t r = 0; r < rounds; r++) {
        task_group g;
        bench_need(group_init(&g, NULL));
        if (b->c != 0) bench_need(group_limit(&g, b->c));
        for (int i = 0; i < b->a; i++) bench_need(group_go(&g, touch_slot, &slots[i]));
        bench_need(group_wait(&g));
    }
    bench_end(b);
    uint64_t sum = 0;
    for (int i = 0; i < b->a; i++) sum += (uint64_t)slots[i];
    free(slots);
    b->ops = (double)sum;
    return sum;
}
