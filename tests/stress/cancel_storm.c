// Trees of contexts that many hold at once: made, cancelled, timed out, asked, waited for and freed
// at random, with functions to run afterwards and groups in between. What is cancelled has its
// error, its cause and a closed channel; every function runs once or was stopped; and no memory is
// left behind (the frame counts tasks, AddressSanitizer blocks).
#include "stress.h"

enum { TASKS = 12, DEPTH = 6, CAUSE = 1000 };

static atomic_long operations, asked, stopped, ran;

static void note_run(void *arg) {
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void look(task_ctx *c, bool over) {
    int err = ctx_err(c), cause = ctx_cause(c);
    REQUIRE(err == 0 || err == ECANCELED || err == ETIMEDOUT);
    REQUIRE(!over || err != 0);
    if (err != 0) REQUIRE(chan_try_recv(ctx_done(c), NULL) == EPIPE);
    if (chan_try_recv(ctx_done(c), NULL) == EPIPE) {
        REQUIRE(ctx_err(c) != 0 && ctx_cause(c) != 0);
        if (err != 0) REQUIRE(ctx_err(c) == err && ctx_cause(c) == cause);
        if (err == ETIMEDOUT) REQUIRE(cause == ETIMEDOUT);
    }
}

static task_ctx *child_of(task_ctx *up, uint64_t *random) {
    static int key;
    switch (draw(random) % 5) {
    case 0: return ctx_with_timeout(up, (int64_t)(draw(random) % 200000));
    case 1: return ctx_with_deadline(up, chanrt_now() + (int64_t)(draw(random) % 100000));
    case 2: return ctx_with_value(up, &key, &key);
    default: return ctx_with_cancel(up);
    }
}

TASK_ERR(member, task_ctx *, c, uint64_t, random) {
    if (draw(&random) % 2) chan_recv_timeout(ctx_done(c), NULL, (int64_t)(draw(&random) % 20000));
    return draw(&random) % 8 == 0 ? CAUSE : 0;
}

static void use_group(task_ctx *c, uint64_t *random) {
    task_group g;
    REQUIRE(group_init(&g, c) == 0);
    if (draw(random) % 2) REQUIRE(group_limit(&g, 1 + (int)(draw(random) % 3)) == 0);
    for (uint64_t i = draw(random) % 6; i > 0; i--)
        REQUIRE(group_go(&g, member, group_ctx(&g), draw(random) | 1) == 0);
    int err = group_wait(&g);
    REQUIRE(err == 0 || err == CAUSE);
}

static void run_after(task_ctx *c, uint64_t *random) {
    atomic_fetch_add(&asked, 1);
    uint64_t handle = ctx_after_func(c, note_run, NULL);
    REQUIRE(handle != 0);
    if (draw(random) % 2) return;
    spin(draw(random) % 2000);
    if (ctx_after_stop(c, handle)) {
        atomic_fetch_add(&stopped, 1);
        REQUIRE(!ctx_after_stop(c, handle));
    }
}

static void wait_for(task_ctx *c, uint64_t *random) {
    chan_select {
        on_recv(ctx_done(c), NULL) { REQUIRE(select_err() == EPIPE && ctx_err(c) != 0); }
        on_timeout((int64_t)(draw(random) % 50000)) {}
    }
}

// A chain below up, with side branches; freed from either end, or from the middle.
static void grow(task_ctx *up, uint64_t *random) {
    task_ctx *c[DEPTH];
    int n = 1 + (int)(draw(random) % DEPTH);
    for (int i = 0; i < n; i++) {
        c[i] = child_of(i > 0 && draw(random) % 3 ? c[i - 1] : up, random);
        REQUIRE(c[i] != NULL);
    }
    for (int k = 0; k < 4; k++) {
        task_ctx *one = c[draw(random) % (unsigned)n];
        switch (draw(random) % 6) {
        case 0: ctx_cancel_cause(one, CAUSE); look(one, true); break;
        case 1: wait_for(one, random); break;
        case 2: run_after(one, random); break;
        case 3: use_group(one, random); break;
        default: look(one, false);
        }
    }
    int first = (int)(draw(random) % (unsigned)n);
    for (int i = 0; i < n; i++) ctx_free(c[(first + i) % n]);
    atomic_fetch_add(&operations, n + 4);
}

TASK(stormer, unsigned, number, task_ctx *, top) {
    uint64_t random = stress_random(number);
    for (int i = 0; i < 40 && stress_goes_on(); i++) grow(top, &random);
}

static long run(void) {
    uint64_t random = stress_random(TASKS);
    while (stress_goes_on()) {
        waitgroup wg = {0};
        task_ctx *top = child_of(ctx_background(), &random);
        for (unsigned i = 0; i < TASKS; i++)
            REQUIRE(wg_go(&wg, stormer, (unsigned)draw(&random), top) == 0);
        spin(draw(&random) % 200000);
        if (draw(&random) % 2) {
            ctx_cancel_cause(top, CAUSE);
            look(top, true);
        } else {
            grow(top, &random);
        }
        wg_wait(&wg);
        ctx_free(top);
    }
    REQUIRE(chanrt_shutdown(10 * CHANRT_SECOND) == 0);
    REQUIRE(atomic_load(&ran) + atomic_load(&stopped) == atomic_load(&asked));
    return atomic_load(&operations);
}
