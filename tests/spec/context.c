// Contexts: trees cancelled from any node downwards, deadlines, values, what runs afterwards
// (catalogue L).
#include "spec.h"

#include <limits.h>

static bool is_closed(chan_receiver(char) ch) { return chan_try_recv(ch, NULL) == EPIPE; }

// Alive, or cancelled in every way one can look at it.
static bool alive(task_ctx *c) {
    return !is_closed(ctx_done(c)) && ctx_err(c) == 0 && ctx_cause(c) == 0;
}
static void ended(task_ctx *c, int err, int cause) {
    CHECK_EQ(ctx_err(c), err);
    CHECK_EQ(ctx_cause(c), cause);
    CHECK(is_closed(ctx_done(c)));
}

TEST(the_background_is_never_done) {
    task_ctx *c = ctx_background();
    CHECK(c != NULL && c == ctx_background());
    ctx_cancel(c);
    ctx_cancel_cause(c, EIO);
    ctx_free(c);
    CHECK(c == ctx_background());
    CHECK(ctx_done(c) == NULL);
    CHECK_EQ(ctx_err(c), 0);
    CHECK_EQ(ctx_cause(c), 0);
    int64_t t = 7;
    CHECK(!ctx_deadline(c, &t) && t == 7);
    CHECK(ctx_value(c, &t) == NULL);
    int chosen = 0;
    chan_select {
        on_recv(ctx_done(c), NULL) { chosen = 1; }
        on_default                 { chosen = 2; }
    }
    CHECK_EQ(chosen, 2);
}

static void never_runs(void *arg) {
    (void)arg;
    NEVER("this function was stopped, or had no context");
}

TEST(null_is_refused_everywhere) {
    int64_t t = 7;
    CHECK(ctx_with_cancel(NULL) == NULL);
    CHECK(ctx_with_timeout(NULL, 1) == NULL);
    CHECK(ctx_with_timeout(NULL, -1) == NULL);
    CHECK(ctx_with_deadline(NULL, INT64_MAX) == NULL);
    CHECK(ctx_with_value(NULL, &t, &t) == NULL);
    CHECK(ctx_with_value(ctx_background(), NULL, &t) == NULL);
    CHECK(ctx_value(NULL, &t) == NULL);
    CHECK(ctx_value(ctx_background(), NULL) == NULL);
    ctx_cancel(NULL);
    ctx_cancel_cause(NULL, EIO);
    ctx_free(NULL);
    CHECK(ctx_done(NULL) == NULL);
    CHECK_EQ(ctx_err(NULL), EINVAL);
    CHECK_EQ(ctx_cause(NULL), EINVAL);
    CHECK(!ctx_deadline(NULL, &t) && t == 7);
    CHECK_EQ(ctx_after_func(NULL, never_runs, NULL), 0);
    CHECK_EQ(ctx_after_func(ctx_background(), NULL, NULL), 0);
    CHECK(!ctx_after_stop(NULL, 1));
    CHECK(!ctx_after_stop(ctx_background(), 0));
}

// case 104
TEST(cancelling_reaches_everything_below_and_nothing_else) {
    int key;
    task_ctx *top = ctx_with_cancel(ctx_background());
    task_ctx *beside = ctx_with_cancel(top);
    task_ctx *c = ctx_with_cancel(top);
    task_ctx *below[4] = { ctx_with_cancel(c), ctx_with_value(c, &key, &key),
                           ctx_with_timeout(c, CHANRT_SECOND * 3600), ctx_with_timeout(c, -1) };
    task_ctx *deep = ctx_with_cancel(below[1]);
    CHECK(alive(top) && alive(beside) && alive(c) && alive(deep));
    ctx_cancel(c);
    ended(c, ECANCELED, ECANCELED);
    for (int i = 0; i < 4; i++) ended(below[i], ECANCELED, ECANCELED);
    ended(deep, ECANCELED, ECANCELED);
    CHECK(alive(top) && alive(beside));

    task_ctx *late = ctx_with_cancel(deep);            // born cancelled
    ended(late, ECANCELED, ECANCELED);
    CHECK(alive(top) && alive(beside));

    task_ctx *all[] = { late, top, deep, below[0], c, below[3], beside, below[2], below[1] };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ctx_free(all[i]);
}

// case 104, 108
TEST(the_first_cancellation_stays_and_its_cause_goes_down) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    task_ctx *c = ctx_with_cancel(top), *own = ctx_with_cancel(c);
    ctx_cancel_cause(own, ENOSPC);
    ctx_cancel_cause(own, EIO);
    ctx_cancel_cause(c, EIO);
    ctx_cancel(c);
    ctx_cancel_cause(top, -3);                         // any cause that is not 0
    ended(own, ECANCELED, ENOSPC);
    ended(c, ECANCELED, EIO);
    ended(top, ECANCELED, -3);
    task_ctx *late = ctx_with_timeout(c, 0), *plain = ctx_with_cancel(ctx_background());
    ended(late, ECANCELED, EIO);
    ctx_cancel_cause(plain, 0);
    ended(plain, ECANCELED, ECANCELED);
    ctx_free(own);
    ctx_free(late);
    ctx_free(c);
    ctx_free(top);
    ctx_free(plain);
}

// case 105
TEST(a_past_deadline_is_done_at_once) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    int64_t now = chanrt_now(), t = 0;
    task_ctx *c[] = { ctx_with_deadline(top, now), ctx_with_deadline(top, now - CHANRT_SECOND),
                      ctx_with_deadline(top, 0), ctx_with_deadline(top, INT64_MIN),
                      ctx_with_timeout(top, 0) };
    const int64_t want[] = { now, now - CHANRT_SECOND, 0, INT64_MIN };
    for (int i = 0; i < 5; i++) {
        ended(c[i], ETIMEDOUT, ETIMEDOUT);
        CHECK(ctx_deadline(c[i], &t) && (i == 4 || t == want[i]));
        task_ctx *child = ctx_with_cancel(c[i]);
        ended(child, ETIMEDOUT, ETIMEDOUT);
        ctx_free(c[i]);
        ctx_free(child);
    }
    CHECK(alive(top));
    ctx_free(top);
}

// case 105
TEST(the_earliest_deadline_wins) {
    int64_t soon = chanrt_now() + 20 * test_unit, late = soon + 3600 * CHANRT_SECOND, t = 0;
    task_ctx *a = ctx_with_deadline(ctx_background(), late);
    task_ctx *b = ctx_with_deadline(a, soon);
    task_ctx *c = ctx_with_deadline(b, late);          // adds nothing
    task_ctx *d = ctx_with_timeout(c, -1);             // has none of its own
    CHECK(ctx_deadline(a, &t) && t == late);
    CHECK(ctx_deadline(b, &t) && t == soon);
    CHECK(ctx_deadline(c, &t) && t == soon);
    CHECK(ctx_deadline(d, &t) && t == soon);
    CHECK(ctx_deadline(d, NULL));
    CHECK_EQ(chan_recv(ctx_done(d), NULL), EPIPE);
    CHECK(chanrt_now() >= soon);
    ended(b, ETIMEDOUT, ETIMEDOUT);
    ended(c, ETIMEDOUT, ETIMEDOUT);
    ended(d, ETIMEDOUT, ETIMEDOUT);
    CHECK(alive(a));
    ctx_free(a);
    ctx_free(c);
    ctx_free(b);
    ctx_free(d);
}

TEST(a_timeout_that_is_huge_or_negative_is_no_past_one) {
    const int64_t ns[] = { INT64_MAX, INT64_MAX - 1, 3600 * CHANRT_SECOND, -1, INT64_MIN };
    for (int i = 0; i < 5; i++) {
        task_ctx *c = ctx_with_timeout(ctx_background(), ns[i]);
        CHECK(alive(c));
        int64_t t = 7;
        CHECK_EQ(ctx_deadline(c, &t), ns[i] >= 0);
        CHECK(ns[i] < 0 ? t == 7 : t > chanrt_now());
        ctx_free(c);
    }
    task_ctx *c = ctx_with_deadline(ctx_background(), INT64_MAX);
    CHECK(alive(c));
    ctx_free(c);
}

// case 105
TEST(cancelled_and_too_late_stay_apart) {
    for (int64_t unit = test_unit, tries = 0; tries < 8; unit *= 2, tries++) {
        task_ctx *c = ctx_with_timeout(ctx_background(), unit);
        task_ctx *in_time = ctx_with_timeout(ctx_background(), unit);
        ctx_cancel_cause(in_time, EINTR);
        bool early = ctx_cause(in_time) == EINTR;      // else the machine slept over it
        CHECK_EQ(chan_recv(ctx_done(c), NULL), EPIPE);
        ctx_cancel_cause(c, EINTR);                    // too late
        ended(c, ETIMEDOUT, ETIMEDOUT);
        task_sleep(unit);
        if (early) ended(in_time, ECANCELED, EINTR);
        ctx_free(c);
        ctx_free(in_time);
        if (early) return;
    }
    NEVER("a cancellation never came before a deadline");
}

TEST(a_cancelled_parent_goes_before_a_past_deadline) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    ctx_cancel_cause(top, EIO);
    task_ctx *c = ctx_with_deadline(top, 1), *d = ctx_with_timeout(top, 3600 * CHANRT_SECOND);
    ended(c, ECANCELED, EIO);
    ended(d, ECANCELED, EIO);
    int64_t t = 0;
    CHECK(ctx_deadline(c, &t) && t == 1);
    CHECK(ctx_deadline(d, &t) && t > chanrt_now());
    ctx_free(c);
    ctx_free(top);
    ctx_free(d);
}

// A deadline that was called off, or that has passed, is no timer that could still end a wait.
CHILD(blocks_beside_contexts_that_are_over) {
    task_ctx *c = ctx_with_timeout(ctx_background(), 3600 * CHANRT_SECOND);
    task_ctx *below = ctx_with_timeout(c, 1800 * CHANRT_SECOND);
    task_ctx *passed = ctx_with_timeout(ctx_background(), CHANRT_MILLISECOND);
    chan_recv(ctx_done(passed), NULL);
    ctx_cancel(c);
    ctx_free(below);
    chan(int) ch = chan_make(int, 0);
    chan_recv(ch, NULL);
    return 0;
}

TEST(a_cancelled_context_leaves_no_timer) {
    if (!test_sees_deadlocks()) return;
    struct test_child r = test_run_child("blocks_beside_contexts_that_are_over", 10000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "all tasks are asleep - deadlock!") != NULL);
    test_child_free(&r);
}

// case 107
TEST(children_of_a_long_life_cost_nothing_once_they_are_freed) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    long live = test_alloc_live();
    for (long i = test_rounds(20000); i > 0; i--) {
        task_ctx *c = ctx_with_timeout(top, 3600 * CHANRT_SECOND), *d = ctx_with_cancel(c);
        if (i % 2) ctx_cancel(c);
        if (i % 3) ctx_free(c);
        ctx_free(d);
        if (i % 3 == 0) ctx_free(c);
    }
    CHECK_EQ(test_alloc_live(), live);
    CHECK(alive(top));
    ctx_free(top);
}

// case 108
TEST(values_are_seen_through_all_layers_and_the_innermost_wins) {
    enum { LAYERS = 30, KEYS = 5 };
    static int keys[KEYS], values[LAYERS];
    uint32_t seed = 11;
    for (long round = test_rounds(200); round > 0; round--) {
        task_ctx *c[LAYERS], *up = ctx_background();
        int *want[KEYS] = { NULL };
        for (int i = 0; i < LAYERS; i++) {
            uint32_t kind = dice(&seed) % 4, key = dice(&seed) % KEYS;
            c[i] = kind == 0   ? ctx_with_cancel(up)
                   : kind == 1 ? ctx_with_timeout(up, 3600 * CHANRT_SECOND)
                               : ctx_with_value(up, &keys[key], &values[i]);
            up = c[i];
            if (kind > 1) want[key] = &values[i];
            for (int k = 0; k < KEYS; k++) CHECK(ctx_value(up, &keys[k]) == want[k]);
            CHECK(ctx_value(up, &seed) == NULL);
        }
        for (int i = 0; i < LAYERS; i++) {             // top first; values stay to the last
            for (int k = 0; k < KEYS; k++) CHECK(ctx_value(up, &keys[k]) == want[k]);
            if (i + 1 < LAYERS) ctx_free(c[i]);
        }
        ended(up, ECANCELED, ECANCELED);
        ctx_free(up);
    }
}

TEST(a_value_may_be_null_and_hides_the_one_above) {
    int key = 0;
    task_ctx *a = ctx_with_value(ctx_background(), &key, &key);
    task_ctx *b = ctx_with_value(a, &key, NULL);
    CHECK(ctx_value(a, &key) == &key && ctx_value(b, &key) == NULL);
    CHECK(alive(b));
    ctx_free(a);
    ctx_free(b);
}

//------------------------------------------------------------------------------
// The done channel.

PARTY(wait_for_end, task_ctx, c) {
    CHECK_EQ(chan_recv(ctx_done(c), NULL), EPIPE);
    CHECK_EQ(ctx_err(c), ECANCELED);
    CHECK_EQ(ctx_cause(c), EIO);
}

PARTY(select_end, task_ctx, c) {
    chan(int) never = chan_make(int, 0);
    chan_select {
        on_recv(ctx_done(c), NULL) { CHECK_EQ(select_err(), EPIPE); }
        on_recv(never, NULL)       { NEVER("nobody sends"); }
    }
    CHECK_EQ(ctx_cause(c), EIO);
    chan_free(never);
}

TEST(everybody_who_waits_for_the_end_is_woken) {
    for (int kind = 0; kind < 3; kind++) {
        struct crowd crowd = {0};
        task_ctx *top = ctx_with_cancel(ctx_background()), *c = ctx_with_cancel(top);
        for (int i = 0; i < 8; i++) crowd_add(&crowd, i % 4 == 3, wait_for_end, c);
        for (int i = 0; i < 8; i++) crowd_add(&crowd, i % 4 == 3, select_end, c);
        until_blocked(16);
        if (kind == 0) ctx_cancel_cause(c, EIO);
        else ctx_cancel_cause(top, EIO);
        if (kind == 2) ctx_free(top);
        crowd_join(&crowd);
        ctx_free(c);
        if (kind < 2) ctx_free(top);
    }
}

TEST(the_channel_is_one_and_can_be_kept) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    chan_receiver(char) done = ctx_done(c);
    CHECK(done != NULL && done == ctx_done(c) && !is_closed(done));
    CHECK_EQ(chan_cap(done), 0);
    chan_ref(done);
    ctx_free(c);
    CHECK(is_closed(done));
    chan_free(done);

    c = ctx_with_cancel(ctx_background());             // asked for when it is over already
    ctx_cancel(c);
    done = ctx_done(c);
    CHECK(is_closed(done) && is_closed(ctx_done(c)));
    ctx_free(c);
}

// Selects that have yet to leave the channel when its context is freed.
TASK(select_two, chan_receiver(char), a, chan_receiver(char), b, waitgroup *, ready) {
    wg_done(ready);
    chan_select {
        on_recv(a, NULL) {}
        on_recv(b, NULL) {}
    }
}

TEST(a_context_can_be_freed_while_selects_leave) {
    for (long round = test_rounds(3000); round > 0; round--) {
        waitgroup ready = {0}, all = {0};
        task_ctx *a = ctx_with_cancel(ctx_background()), *b = ctx_with_cancel(ctx_background());
        CHECK_EQ(wg_add(&ready, 4), 0);
        // The channels must live until the selects have begun, which nobody can see: references.
        chan_receiver(char) da = chan_ref(ctx_done(a));
        chan_receiver(char) db = chan_ref(ctx_done(b));
        for (int i = 0; i < 4; i++) CHECK_EQ(wg_go(&all, select_two, da, db, &ready), 0);
        wg_wait(&ready);
        ctx_free(a);
        ctx_free(b);
        wg_wait(&all);
        chan_free(da);
        chan_free(db);
    }
}

// PEERS 2.8.8, and the other way round: looks from another party, from before the end to after it.
struct watched {
    task_ctx *c;
    bool by_error;
    atomic_int gate;
};

PARTY(watch_the_end, struct watched, w) {
    chan_receiver(char) done = ctx_done(w->c);
    meet(&w->gate, 1);
    if (w->by_error) {
        while (ctx_err(w->c) == 0) spin(1);
        CHECK(is_closed(done));
    } else {
        while (!is_closed(done)) spin(1);
        CHECK_EQ(ctx_err(w->c), ECANCELED);
        CHECK_EQ(ctx_cause(w->c), EIO);
    }
}

TEST(the_closed_channel_and_the_error_are_seen_together) {
    uint32_t seed = 3;
    for (long round = test_rounds(3000); round > 0 && !test_late(); round--) {
        task_ctx *top = ctx_with_cancel(ctx_background());
        task_ctx *c = round % 4 < 2 ? ctx_with_cancel(top) : top;
        struct watched w = { .c = c, .by_error = round % 2 };
        pthread_t t;
        pthread_create(&t, NULL, watch_the_end_thread, &w);
        meet(&w.gate, 1);
        spin(dice(&seed) % 200);
        ctx_cancel_cause(top, EIO);
        join_thread(t);
        if (c != top) ctx_free(c);
        ctx_free(top);
    }
}

//------------------------------------------------------------------------------
// Many at once.

struct tree {
    task_ctx *c[100];
    atomic_int closed;
};

TASK(count_the_end, struct tree *, t, int, i) {
    CHECK_EQ(chan_recv(ctx_done(t->c[i]), NULL), EPIPE);
    atomic_fetch_add(&t->closed, 1);
}

TASK(cancel_one, struct tree *, t, int, i) { ctx_cancel(t->c[i]); }

// case 106, star 34
TEST(a_tree_of_100_is_cancelled_by_100_tasks_at_once) {
    for (long round = test_rounds(300); round > 0; round--) {
        struct tree t = { .closed = 0 };
        waitgroup wg = {0};
        t.c[0] = ctx_with_cancel(ctx_background());
        for (int i = 1; i < 100; i++) t.c[i] = ctx_with_cancel(t.c[round % 2 ? i / 2 : i - 1]);
        for (int i = 0; i < 100; i++) CHECK_EQ(wg_go(&wg, count_the_end, &t, i), 0);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(wg_go(&wg, cancel_one, &t, round % 3 ? i : 99 - i), 0);
        wg_wait(&wg);
        CHECK_EQ(atomic_load(&t.closed), 100);
        for (int i = 0; i < 100; i++) {
            ended(t.c[i], ECANCELED, ECANCELED);
            ctx_free(t.c[i]);
        }
    }
}

// What a cancel promises when it returns, also to one who found the work begun by another.
struct rivals {
    task_ctx *top, *c[40];
    atomic_int gate;
    bool below;                 // the other one cancels in the middle of the tree
};

static void all_over(struct rivals *r, int from) {
    for (int i = from; i < 40; i++) CHECK(ctx_err(r->c[i]) != 0 && is_closed(ctx_done(r->c[i])));
}

PARTY(cancel_too, struct rivals, r) {
    meet(&r->gate, 1);
    ctx_cancel(r->below ? r->c[20] : r->top);
    all_over(r, r->below ? 20 : 0);
}

// case 106, star 34: parent and child cancelled against each other
TEST(when_a_cancel_returns_all_below_is_over_whoever_did_it) {
    uint32_t seed = 17;
    for (long round = test_rounds(2000); round > 0 && !test_late(); round--) {
        struct rivals r = { .below = round % 2, .top = ctx_with_cancel(ctx_background()) };
        for (int i = 0; i < 40; i++) {                 // 20 to 39 are a tree of their own, below
            task_ctx *head = i > 20 ? r.c[20] : i > 2 ? r.c[i - 3] : r.top;
            r.c[i] = ctx_with_cancel(i % 3 ? r.c[i - 1] : head);
        }
        for (int i = 0; i < 40; i += 2) ctx_done(r.c[i]);
        pthread_t t;
        pthread_create(&t, NULL, cancel_too_thread, &r);
        meet(&r.gate, 1);
        spin(dice(&seed) % 300);
        ctx_cancel(r.top);
        all_over(&r, 0);
        join_thread(t);
        ctx_free(r.top);
        for (int i = 0; i < 40; i++) ctx_free(r.c[i]);
    }
}

// Trees made, cancelled, timed out and freed from everywhere, in any order.
struct life {
    task_ctx *top;
    uint32_t seed;
};

static void grow(task_ctx *up, uint32_t *seed, int depth) {
    task_ctx *c[3];
    int n = 1 + (int)(dice(seed) % 3);
    for (int i = 0; i < n; i++)
        c[i] = dice(seed) % 2 ? ctx_with_cancel(up) : ctx_with_timeout(up, dice(seed) % 100000);
    if (depth > 0) grow(c[dice(seed) % (unsigned)n], seed, depth - 1);
    if (dice(seed) % 4 == 0) ctx_cancel(c[0]);
    if (dice(seed) % 8 == 0) chan_recv_timeout(ctx_done(c[n - 1]), NULL, dice(seed) % 50000);
    bool oldest_first = dice(seed) % 2;
    for (int i = 0; i < n; i++) ctx_free(c[oldest_first ? i : n - 1 - i]);
}

PARTY(live, struct life, l) {
    for (int i = 0; i < 60; i++) grow(l->top, &l->seed, (int)(dice(&l->seed) % 4));
}

TEST(trees_grow_and_die_in_any_order) {
    for (long round = test_rounds(60); round > 0; round--) {
        struct crowd crowd = {0};
        struct life l[6];
        task_ctx *top = round % 2 ? ctx_with_cancel(ctx_background())
                                  : ctx_with_timeout(ctx_background(), 2 * test_unit);
        for (int i = 0; i < 6; i++) {
            l[i] = (struct life){ top, (uint32_t)(round * 6 + i + 1) };
            crowd_add(&crowd, i % 3 == 2, live, &l[i]);
        }
        spin(2000);
        if (round % 4 == 1) ctx_cancel(top);
        crowd_join(&crowd);
        ctx_free(top);
    }
}

// The wait for a sweep, and the walk over a tree, must not be recursions.
TEST(a_chain_of_100000_is_cancelled_and_freed) {
    enum { DEEP = 100000 };
    task_ctx **c = malloc(DEEP * sizeof *c);
    for (int i = 0; i < DEEP; i++) c[i] = ctx_with_cancel(i > 0 ? c[i - 1] : ctx_background());
    ctx_cancel_cause(c[0], EIO);
    ended(c[DEEP - 1], ECANCELED, EIO);
    for (int i = 0; i < DEEP; i++) ctx_free(c[i]);     // all records go with the last one
    free(c);
}

//------------------------------------------------------------------------------
// After the end.

static void add_one(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static void name_me(void *arg) { CHECK(task_id() != 0 && chan_send(*(chan(int) *)arg, 1) == 0); }

// case 109
TEST(what_comes_after_runs_once_as_a_task) {
    chan(int) ran = chan_make(int, 0);
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = ctx_with_cancel(top);
    uint64_t h = ctx_after_func(c, name_me, &ran), other = ctx_after_func(c, name_me, &ran);
    CHECK(h != 0 && other != 0 && h != other);
    CHECK_EQ(chan_recv_timeout(ran, NULL, 5 * test_unit), ETIMEDOUT);
    ctx_cancel(top);                                   // does not wait for them: they wait for us
    CHECK(!ctx_after_stop(c, h));
    CHECK_EQ(chan_get(ran), 1);
    CHECK_EQ(chan_get(ran), 1);
    CHECK(!ctx_after_stop(c, h) && !ctx_after_stop(c, other));

    h = ctx_after_func(c, name_me, &ran);              // at once
    CHECK(h != 0);
    CHECK_EQ(chan_get(ran), 1);
    CHECK(!ctx_after_stop(c, h));
    ctx_cancel(c);
    ctx_free(c);
    ctx_free(top);
    CHECK_EQ(chan_recv_timeout(ran, NULL, 5 * test_unit), ETIMEDOUT);
    chan_free(ran);
}

// case 109
TEST(what_was_stopped_does_not_run_and_the_others_do) {
    static atomic_int ran;
    atomic_store(&ran, 0);
    task_ctx *c = ctx_with_cancel(ctx_background()), *other = ctx_with_cancel(ctx_background());
    uint64_t h[10];
    for (int i = 0; i < 10; i++) h[i] = ctx_after_func(c, i % 3 ? add_one : never_runs, &ran);
    for (int i = 9; i >= 0; i -= 3) {
        CHECK(!ctx_after_stop(other, h[i]));
        CHECK(ctx_after_stop(c, h[i]));
        CHECK(!ctx_after_stop(c, h[i]));
    }
    ctx_free(c);                                       // cancels
    ctx_free(other);
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK_EQ(atomic_load(&ran), 6);

    uint64_t never = ctx_after_func(ctx_background(), never_runs, NULL);
    CHECK(never != 0 && ctx_after_stop(ctx_background(), never));
    CHECK(!ctx_after_stop(ctx_background(), never));
}

TEST(what_comes_after_a_deadline_runs_too) {
    chan(int) ran = chan_make(int, 1);
    task_ctx *c = ctx_with_timeout(ctx_background(), 2 * test_unit), *below = ctx_with_cancel(c);
    CHECK(ctx_after_func(below, name_me, &ran) != 0);
    CHECK_EQ(chan_get(ran), 1);
    ended(below, ETIMEDOUT, ETIMEDOUT);
    ctx_free(c);
    ctx_free(below);
    chan_free(ran);
}

// A cancel in the moment in which the deadline fires: one of them has done it, the whole of it, and
// nothing is left of the other. A million rounds with all rounds, ten thousand otherwise.
TEST(a_cancel_that_races_with_the_deadline_neither_loses_nor_mixes) {
    long rounds = test_rounds(1000000), cancelled = 0;
    uint32_t seed = 23;
    if (rounds < 1000000) rounds = rounds / 30 + 1;
    CHECK_EQ(chanrt_start(NULL), 0);
    long live = test_alloc_live();
    for (long i = 0; i < rounds; i++) {
        task_ctx *c = ctx_with_timeout(ctx_background(), 1 + dice(&seed) % 2000);
        task_ctx *below = i % 4 == 0 ? ctx_with_cancel(c) : c;
        chan_receiver(char) done = i % 2 ? ctx_done(below) : NULL;
        spin(dice(&seed) % (i % 16 == 0 ? 8192 : 64));
        ctx_cancel_cause(c, EIO);
        int err = ctx_err(below), cause = ctx_cause(below);
        CHECK(err == ECANCELED ? cause == EIO : err == ETIMEDOUT && cause == ETIMEDOUT);
        CHECK(ctx_err(c) == err && (done == NULL || is_closed(done)));
        cancelled += err == ECANCELED;
        if (below != c) ctx_free(below);
        ctx_free(c);
    }
    CHECK(cancelled > 0 && (rounds < 1000000 || cancelled < rounds)); // a busy worker is late
    CHECK_EQ(chanrt_shutdown(5 * CHANRT_SECOND), 0);
    CHECK(test_alloc_live() <= live);
}

// Exactly one of stop and run, for each of many; stops from both ends of the list.
struct stopping {
    task_ctx *c;
    uint64_t h[8];
    atomic_int gate, stopped;
};

PARTY(stop_all, struct stopping, s) {
    meet(&s->gate, 1);
    for (int i = 0; i < 8; i++) atomic_fetch_add(&s->stopped, ctx_after_stop(s->c, s->h[i]));
}

TEST(a_function_is_stopped_or_runs_never_both) {
    static atomic_int ran;
    uint32_t seed = 5;
    long rounds = test_rounds(2000), round = 0, stopped = 0;
    atomic_store(&ran, 0);
    for (; round < rounds && !test_late(); round++) {
        struct stopping s = { .c = ctx_with_cancel(ctx_background()) };
        for (int i = 0; i < 8; i++) s.h[i] = ctx_after_func(s.c, add_one, &ran);
        pthread_t t;
        pthread_create(&t, NULL, stop_all_thread, &s);
        meet(&s.gate, 1);
        spin(dice(&seed) % 400);
        ctx_cancel(s.c);
        join_thread(t);
        stopped += atomic_load(&s.stopped);
        ctx_free(s.c);
    }
    CHECK_EQ(chanrt_shutdown(5 * CHANRT_SECOND), 0);
    CHECK_EQ(atomic_load(&ran) + stopped, 8 * round);
}

// Memory is asked for when something is made, so that the end of a tree cannot want for any.
TEST(cancelling_asks_for_no_memory) {
    static atomic_int ran;
    atomic_store(&ran, 0);
    task_ctx *c = ctx_with_timeout(ctx_background(), 3600 * CHANRT_SECOND);
    task_ctx *below = ctx_with_timeout(c, CHANRT_SECOND);
    for (int i = 0; i < 100; i++) CHECK(ctx_after_func(i % 2 ? c : below, add_one, &ran) != 0);
    test_fail_alloc(1);
    ctx_done(below);
    ctx_cancel(c);
    ctx_done(c);
    ctx_free(c);
    ctx_free(below);
    CHECK(!test_alloc_failed());
    test_fail_alloc(0);
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK_EQ(atomic_load(&ran), 100);
}

static task_ctx *make_kind(int kind, task_ctx *up) {
    static int key;
    switch (kind) {
    case 0: return ctx_with_cancel(up);
    case 1: return ctx_with_timeout(up, 3600 * CHANRT_SECOND);
    case 2: return ctx_with_timeout(up, 0);
    case 3: return ctx_with_deadline(up, INT64_MAX);
    default: return ctx_with_value(up, &key, &key);
    }
}

TEST(without_memory_there_is_no_context_and_nothing_is_lost) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    for (int kind = 0; kind < 5; kind++) {
        for (long n = 1;; n++) {
            test_fail_alloc(n);
            task_ctx *c = make_kind(kind, top);
            bool failed = test_alloc_failed();
            test_fail_alloc(0);
            CHECK_EQ(c == NULL, failed);
            ctx_free(c);
            if (!failed) break;
        }
    }
    CHECK(alive(top));
    ctx_free(top);
}

//------------------------------------------------------------------------------
// Where and when.

static void *thread_life(void *p) {
    task_ctx *c = ctx_with_cancel((task_ctx *)p), *d = ctx_with_cancel(c);
    CHECK(alive(d));
    ctx_cancel(c);
    ended(d, ECANCELED, ECANCELED);
    CHECK(ctx_value(d, p) == NULL);
    ctx_free(c);
    ctx_free(d);
    return NULL;
}

CHILD(has_contexts_without_a_pool) {
    pthread_t t;
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = ctx_with_value(top, &t, &t);
    pthread_create(&t, NULL, thread_life, c);
    join_thread(t);
    CHECK(alive(c) && ctx_value(c, &t) == &t);
    ctx_free(top);
    ended(c, ECANCELED, ECANCELED);
    ctx_free(c);
    chanrt_statistics s;
    chanrt_stats(&s);
    return s.workers == 0 ? 0 : 3;                     // nothing of this has started one
}

TEST(contexts_need_no_pool) {
    struct test_child r = test_run_child("has_contexts_without_a_pool", 10000);
    CHECK_EQ(r.status, 0);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}

// Deadlines and functions belong to the pool that was to run them.
TEST(a_shutdown_forgets_deadlines_and_functions_but_no_context) {
    static atomic_int ran;
    atomic_store(&ran, 0);
    task_ctx *c = ctx_with_timeout(ctx_background(), 3600 * CHANRT_SECOND);
    task_ctx *d = ctx_with_cancel(c);
    CHECK(ctx_after_func(c, never_runs, NULL) != 0);
    uint64_t h = ctx_after_func(d, never_runs, NULL);
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK(alive(c) && alive(d));
    CHECK(!ctx_after_stop(d, h));
    CHECK(ctx_after_func(d, add_one, &ran) != 0);      // by the next pool
    ctx_cancel_cause(c, EIO);
    ended(d, ECANCELED, EIO);
    ctx_free(c);
    ctx_free(d);
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK_EQ(atomic_load(&ran), 1);
}
