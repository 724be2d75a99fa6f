// Groups: the first error, the limit, the context (catalogue M).
#include "spec.h"

#include <limits.h>

TASK_ERR(result_of, int, result) { return result; }

TASK_ERR(write_slot, int *, slot, int, value) {
    task_yield();
    *slot = value;                                     // plain: ordered by the group
    return 0;
}

TASK_ERR(no_arguments) { return 0; }

// case 110
TEST(a_group_waits_for_all_its_tasks) {
    enum { TASKS = 1000 };
    static int slots[TASKS];
    for (int round = 0; round < 4; round++) {
        task_group g;
        CHECK_EQ(group_init(&g, NULL), 0);
        for (int i = 0; i < TASKS; i++) CHECK_EQ(group_go(&g, write_slot, &slots[i], i + round), 0);
        CHECK_EQ(group_go(&g, no_arguments), 0);
        CHECK_EQ(group_try_go(&g, no_arguments), 0);
        CHECK_EQ(group_wait(&g), 0);
        for (int i = 0; i < TASKS; i++) CHECK_EQ(slots[i], i + round);
    }
}

TASK_ERR(fail_when_told, chan_receiver(int), in) {
    int result = EINVAL;
    chan_recv(in, &result);
    return result;
}

TASK_ERR(work_until_stopped, task_ctx *, ctx, atomic_int *, ended, int, result) {
    CHECK_EQ(chan_recv(ctx_done(ctx), NULL), EPIPE);
    CHECK_EQ(ctx_err(ctx), ECANCELED);
    CHECK_EQ(ctx_cause(ctx), ENOSPC);
    task_sleep(test_unit);
    atomic_fetch_add(ended, 1);
    return result;
}

// case 110
TEST(the_first_error_stops_the_others_and_is_the_result_of_all) {
    for (int round = 0; round < 4; round++) {
        atomic_int ended = 0;
        chan(int) in = chan_make(int, 0);
        task_ctx *above = ctx_with_cancel(ctx_background());
        task_group g;
        CHECK_EQ(group_init(&g, round % 2 ? above : NULL), 0);
        CHECK_EQ(group_go(&g, fail_when_told, in), 0);
        for (int i = 0; i < 10; i++)
            CHECK_EQ(group_go(&g, work_until_stopped, group_ctx(&g), &ended, i % 2 ? EIO : 0), 0);
        until_blocked(11);
        CHECK_EQ(ctx_err(group_ctx(&g)), 0);
        CHECK_EQ(chan_send(in, ENOSPC), 0);
        CHECK_EQ(group_wait(&g), ENOSPC);
        CHECK_EQ(atomic_load(&ended), 10);             // all had ended, not only the first
        CHECK_EQ(ctx_err(above), 0);
        ctx_free(above);
        chan_free(in);
    }
}

TEST(any_result_but_zero_is_an_error) {
    const int results[] = { -1, INT_MIN, INT_MAX, EAGAIN, 1 };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        task_group g;
        CHECK_EQ(group_init(&g, NULL), 0);
        CHECK_EQ(group_go(&g, result_of, 0), 0);
        CHECK_EQ(group_go(&g, result_of, results[i]), 0);
        chan_receiver(char) done = ctx_done(group_ctx(&g));
        CHECK_EQ(chan_recv(done, NULL), EPIPE);
        CHECK_EQ(ctx_cause(group_ctx(&g)), results[i]);
        CHECK_EQ(group_go(&g, result_of, 77), 0);      // still starts, and is too late
        CHECK_EQ(group_wait(&g), results[i]);
    }
}

// case 110
TEST(the_context_ends_with_the_wait) {
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    task_ctx *below = ctx_with_cancel(group_ctx(&g));
    chan_receiver(char) done = ctx_done(group_ctx(&g));
    chan_ref(done);
    CHECK_EQ(group_go(&g, result_of, 0), 0);
    CHECK_EQ(chan_try_recv(done, NULL), EAGAIN);
    CHECK_EQ(group_wait(&g), 0);
    CHECK_EQ(chan_try_recv(done, NULL), EPIPE);
    CHECK_EQ(ctx_err(below), ECANCELED);
    CHECK_EQ(ctx_cause(below), ECANCELED);
    CHECK(group_ctx(&g) == NULL);
    chan_free(done);
    ctx_free(below);

    CHECK_EQ(group_init(&g, NULL), 0);                 // without any task
    below = ctx_with_cancel(group_ctx(&g));
    CHECK_EQ(group_wait(&g), 0);
    CHECK_EQ(ctx_err(below), ECANCELED);
    ctx_free(below);
}

TASK_ERR(cause_of_the_end, task_ctx *, ctx) {
    chan_recv(ctx_done(ctx), NULL);
    return ctx_cause(ctx);
}

TEST(what_is_above_the_group_cancels_it) {
    task_ctx *above = ctx_with_cancel(ctx_background());
    task_group g;
    CHECK_EQ(group_init(&g, above), 0);
    for (int i = 0; i < 5; i++) CHECK_EQ(group_go(&g, cause_of_the_end, group_ctx(&g)), 0);
    ctx_cancel_cause(above, EINTR);
    CHECK_EQ(group_go(&g, result_of, 0), 0);
    CHECK_EQ(group_wait(&g), EINTR);
    CHECK_EQ(group_init(&g, above), 0);                // born cancelled
    CHECK_EQ(ctx_cause(group_ctx(&g)), EINTR);
    CHECK_EQ(group_go(&g, cause_of_the_end, group_ctx(&g)), 0);
    CHECK_EQ(group_wait(&g), EINTR);
    ctx_free(above);

    above = ctx_with_timeout(ctx_background(), test_unit);
    CHECK_EQ(group_init(&g, above), 0);
    CHECK_EQ(group_go(&g, cause_of_the_end, group_ctx(&g)), 0);
    CHECK_EQ(group_wait(&g), ETIMEDOUT);
    ctx_free(above);
}

static void leave(void) { task_exit(); }

TASK_ERR(exit_from_below, bool, exits) {
    if (exits) leave();
    return EIO;
}

TEST(a_task_that_exits_has_ended_well) {
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 1), 0);
    for (int i = 0; i < 10; i++) CHECK_EQ(group_go(&g, exit_from_below, true), 0);
    CHECK_EQ(ctx_err(group_ctx(&g)), 0);
    CHECK_EQ(group_wait(&g), 0);
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_go(&g, exit_from_below, true), 0);
    CHECK_EQ(group_go(&g, exit_from_below, false), 0);
    CHECK_EQ(group_wait(&g), EIO);
}

//------------------------------------------------------------------------------
// The limit.

struct meter {
    atomic_int now, most, runs;
};

TASK_ERR(measure, struct meter *, m) {
    int now = atomic_fetch_add(&m->now, 1) + 1, most = atomic_load(&m->most);
    while (now > most && !atomic_compare_exchange_weak(&m->most, &most, now)) continue;
    for (int i = 0; i < 3; i++) task_yield();
    atomic_fetch_add(&m->runs, 1);
    atomic_fetch_sub(&m->now, 1);
    return 0;
}

// case 111
TEST(never_more_than_the_limit_run_at_a_time) {
    const int limits[] = { 10, 1, 3, INT_MAX, -1 };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct meter m = {0};
        task_group g;
        CHECK_EQ(group_init(&g, NULL), 0);
        CHECK_EQ(group_limit(&g, limits[i]), 0);
        for (int k = 0; k < 1025; k++) CHECK_EQ(group_go(&g, measure, &m), 0);
        CHECK_EQ(group_wait(&g), 0);
        CHECK_EQ(atomic_load(&m.runs), 1025);
        if (limits[i] > 0) CHECK(atomic_load(&m.most) <= limits[i]);
    }
}

TASK_ERR(hold, chan_receiver(int), until) {
    chan_recv(until, NULL);
    return 0;
}

// case 111
TEST(at_the_limit_a_try_is_refused) {
    chan(int) until = chan_make(int, 0);
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 2), 0);
    CHECK_EQ(group_try_go(&g, hold, until), 0);
    CHECK_EQ(group_go(&g, hold, until), 0);
    CHECK_EQ(group_try_go(&g, hold, until), EAGAIN);
    until_blocked(2);
    CHECK_EQ(group_try_go(&g, hold, until), EAGAIN);
    CHECK_EQ(group_limit(&g, 3), EBUSY);               // while tasks run
    CHECK_EQ(group_limit(&g, 2), EBUSY);
    CHECK_EQ(group_try_go(&g, hold, until), EAGAIN);
    CHECK_EQ(chan_send(until, 1), 0);
    while (group_try_go(&g, hold, until) != 0) task_yield();
    CHECK_EQ(group_try_go(&g, hold, until), EAGAIN);
    chan_close(until);
    CHECK_EQ(group_wait(&g), 0);
    chan_free(until);
}

// case 111
TEST(a_limit_of_none_refuses_all_and_can_be_raised_later) {
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 0), 0);
    CHECK_EQ(group_try_go(&g, result_of, 1), EAGAIN);
    CHECK_EQ(group_limit(&g, -5), 0);
    CHECK_EQ(group_try_go(&g, result_of, 2), 0);
    CHECK_EQ(group_wait(&g), 2);
}

TASK(bring, task_group *, g, struct meter *, m, int, want) {
    CHECK_EQ(group_go(g, measure, m), want);
}

TEST(whoever_is_blocked_hears_of_a_new_limit_or_of_the_end) {
    struct meter m = {0};
    waitgroup wg = {0};
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 0), 0);
    for (int i = 0; i < 5; i++) CHECK_EQ(wg_go(&wg, bring, &g, &m, 0), 0);
    until_blocked(5);
    CHECK_EQ(group_limit(&g, 2), 0);                   // two at once, the others after them
    wg_wait(&wg);
    CHECK_EQ(group_wait(&g), 0);
    CHECK_EQ(atomic_load(&m.runs), 5);
    CHECK(atomic_load(&m.most) <= 2);

    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 0), 0);
    for (int i = 0; i < 5; i++) CHECK_EQ(wg_go(&wg, bring, &g, &m, EINVAL), 0);
    until_blocked(5);
    CHECK_EQ(group_wait(&g), 0);
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&m.runs), 5);
}

struct line {
    task_group g;
    chan(int) until;
    chan(int) served;
};

TASK_ERR(note_turn, struct line *, l, int, i) {
    chan_send(l->served, i);
    chan_recv(l->until, NULL);
    return 0;
}

TASK(stand_in_line, struct line *, l, int, i) { CHECK_EQ(group_go(&l->g, note_turn, l, i), 0); }

TEST(blocked_spawns_are_served_first_come_first_served) {
    enum { LINE = 8 };
    struct line l = { .until = chan_make(int, 0), .served = chan_make(int, LINE + 1) };
    CHECK_EQ(group_init(&l.g, NULL), 0);
    CHECK_EQ(group_limit(&l.g, 1), 0);
    CHECK_EQ(group_go(&l.g, note_turn, &l, 0), 0);
    until_blocked(1);
    for (int i = 1; i <= LINE; i++) {
        CHECK_EQ(go(stand_in_line, &l, i), 0);
        until_blocked(1 + i);
    }
    for (int i = 0; i <= LINE; i++) {
        CHECK_EQ(group_try_go(&l.g, note_turn, &l, 99), EAGAIN);   // nobody overtakes
        CHECK_EQ(chan_send(l.until, 1), 0);
        if (i < LINE) until_blocked(LINE - i);
    }
    CHECK_EQ(group_wait(&l.g), 0);
    for (int i = 0; i <= LINE; i++) CHECK_EQ(chan_get(l.served), i);
    chan_free(l.until);
    chan_free(l.served);
}

// Waiting for room takes no worker: with one only, the tasks that make room still run.
PARTY(fill, struct line, l) {
    struct meter m = {0};
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 2), 0);
    for (int i = 0; i < 200; i++) CHECK_EQ(group_go(&g, measure, &m), 0);
    CHECK_EQ(group_wait(&g), 0);
    CHECK_EQ(atomic_load(&m.runs), 200);
    CHECK(atomic_load(&m.most) <= 2);
    (void)l;
}

TEST(tasks_and_threads_can_be_blocked_at_the_limit) {
    struct crowd crowd = {0};
    for (int i = 0; i < 8; i++) crowd_add(&crowd, i % 2, fill, NULL);
    crowd_join(&crowd);
}

//------------------------------------------------------------------------------
// Being spawned.

PARTY(end_of, task_group, g) { CHECK_EQ(group_wait(g), 0); }


TEST(a_dump_says_how_many_tasks_a_wait_is_for) {
    chan(int) until = chan_make(int, 0);
    struct crowd crowd = {0};
    struct meter m = {0};
    waitgroup wg = {0};
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 3), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(group_go(&g, hold, until), 0);
    CHECK_EQ(wg_go(&wg, bring, &g, &m, 0), 0);
    crowd_task(&crowd, end_of, &g);
    until_blocked(5);
    char *text = dump_text(), want[2][80];
    // What another stack holds is read by the kernel, which POSIX calls alone cannot ask.
    const char *running = test_sees_stacks() ? " (3 running)" : "";
    snprintf(want[0], sizeof want[0], "[task group limit %p%s, ", (void *)&g, running);
    snprintf(want[1], sizeof want[1], "[task group wait %p%s, ", (void *)&g, running);
    if (!CHECK(strstr(text, want[0]) != NULL && strstr(text, want[1]) != NULL)) puts(text);
    free(text);
    chan_close(until);
    wg_wait(&wg);
    crowd_join(&crowd);
    CHECK_EQ(atomic_load(&m.runs), 1);
    chan_free(until);
}

static int counted;
static int count_up(void) { return ++counted; }

TEST(arguments_are_evaluated_once_whatever_comes_of_it) {
    chan(int) until = chan_make(int, 0);
    task_group groups[2], *g = groups;
    counted = 0;
    CHECK_EQ(group_init(&groups[0], NULL), 0);
    CHECK_EQ(group_limit(&groups[0], 1), 0);
    CHECK_EQ(group_go(g++, hold, until), 0);
    CHECK(g == &groups[1]);
    CHECK_EQ(group_try_go(--g, result_of, count_up()), EAGAIN);
    CHECK(g == groups && counted == 1);
    CHECK_EQ(group_go((task_group *)NULL, result_of, count_up()), EINVAL);
    CHECK_EQ(counted, 2);
    CHECK_EQ(chan_send(until, 1), 0);
    CHECK_EQ(group_go(g, result_of, 4 + count_up()), 0);
    CHECK_EQ(counted, 3);
    CHECK_EQ(group_wait(g), 7);
    chan_free(until);
}

struct big { char bytes[200]; };

TASK_ERR(use_big, struct big, b) { return b.bytes[199]; }

TEST(a_spawn_that_fails_gives_its_place_back) {
    struct big b = { { 0 } };
    b.bytes[199] = 42;
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_limit(&g, 1), 0);
    for (int i = 0; i < 3; i++) {
        test_fail_alloc(1);
        CHECK_EQ(group_go(&g, use_big, b), ENOMEM);
        CHECK(test_alloc_failed());
    }
    CHECK_EQ(ctx_err(group_ctx(&g)), 0);
    CHECK_EQ(group_try_go(&g, use_big, b), 0);
    CHECK_EQ(group_wait(&g), 42);

    test_fail_alloc(1);
    CHECK_EQ(group_init(&g, NULL), ENOMEM);
    CHECK(test_alloc_failed());
    CHECK_EQ(group_go(&g, result_of, 0), EINVAL);
    CHECK_EQ(group_wait(&g), EINVAL);
}

TASK_ERR(spawn_more, task_group *, g, int, depth, atomic_int *, runs) {
    atomic_fetch_add(runs, 1);
    for (int i = 0; i < 3 && depth > 0; i++)
        if (group_go(g, spawn_more, g, depth - 1, runs) != 0) return ENOMEM;
    return 0;
}

TEST(tasks_may_spawn_into_their_own_group) {
    atomic_int runs = 0;
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK_EQ(group_go(&g, spawn_more, &g, 6, &runs), 0);
    CHECK_EQ(group_wait(&g), 0);
    CHECK_EQ(atomic_load(&runs), 1093);                // 3^0 + ... + 3^6
}

//------------------------------------------------------------------------------
// Misuse, and the end.

TEST(what_is_no_group_is_refused) {
    task_group zero = {0}, over, copy;
    CHECK_EQ(group_init(NULL, NULL), EINVAL);
    CHECK_EQ(group_init(&over, NULL), 0);
    copy = over;                                       // not copied, says the reference
    CHECK_EQ(group_wait(&copy), EINVAL);
    CHECK_EQ(group_wait(&over), 0);
    task_group *no[] = { NULL, &zero, &over, &copy };
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(group_go(no[i], result_of, 1), EINVAL);
        CHECK_EQ(group_try_go(no[i], result_of, 1), EINVAL);
        CHECK_EQ(group_limit(no[i], 1), EINVAL);
        CHECK_EQ(group_wait(no[i]), EINVAL);
        CHECK(group_ctx(no[i]) == NULL);
    }
    CHECK_EQ(group_init(&over, NULL), 0);              // new again
    CHECK_EQ(group_go(&over, result_of, 5), 0);
    CHECK_EQ(group_wait(&over), 5);
}

// Like star 12: who waited frees the group at once, while the last task is still in its end.
TEST(a_group_may_be_freed_the_moment_its_wait_returns) {
    for (long round = test_rounds(20000); round > 0; round--) {
        task_group *g = malloc(sizeof *g);
        CHECK_EQ(group_init(g, NULL), 0);
        CHECK_EQ(group_go(g, result_of, round % 3 == 0), 0);
        CHECK_EQ(group_go(g, result_of, 0), 0);
        CHECK_EQ(group_wait(g), round % 3 == 0);
        memset(g, 0xDD, sizeof *g);
        free(g);
    }
}

PARTY(wait_for_group, task_group, g) { CHECK_EQ(group_wait(g), ENOSPC); }

TEST(all_who_wait_get_the_same_result) {
    for (int round = 0; round < 20; round++) {
        struct crowd crowd = {0};
        chan(int) in = chan_make(int, 0);
        task_group g;
        CHECK_EQ(group_init(&g, NULL), 0);
        CHECK_EQ(group_go(&g, fail_when_told, in), 0);
        for (int i = 0; i < 8; i++) crowd_add(&crowd, i % 4 == 3, wait_for_group, &g);
        until_blocked(9);
        CHECK_EQ(chan_send(in, ENOSPC), 0);
        crowd_join(&crowd);
        CHECK_EQ(group_wait(&g), EINVAL);
        chan_free(in);
    }
}

// Spawning, failing, waiting and being cancelled from above, all at once.
struct rush {
    task_ctx *top;
    uint32_t seed;
};

PARTY(rush_on, struct rush, r) {
    for (int i = 0; i < 40; i++) {
        task_group g;
        CHECK_EQ(group_init(&g, r->top), 0);
        CHECK_EQ(group_limit(&g, (int)(dice(&r->seed) % 4) + 1), 0);
        int failing = 0;
        for (int k = 0; k < 10; k++) {
            int result = dice(&r->seed) % 16 == 0 ? EIO : 0;
            failing |= result;
            CHECK_EQ(group_go(&g, result_of, result), 0);
        }
        CHECK_EQ(group_wait(&g), failing);
    }
}

TEST(groups_rush_through_a_context_that_is_cancelled) {
    for (long round = test_rounds(100); round > 0; round--) {
        struct crowd crowd = {0};
        struct rush r[8];
        task_ctx *top = ctx_with_timeout(ctx_background(), (round % 4) * test_unit / 4);
        for (int i = 0; i < 8; i++) {
            r[i] = (struct rush){ top, (uint32_t)(round * 8 + i + 1) };
            crowd_add(&crowd, i % 4 == 3, rush_on, &r[i]);
        }
        crowd_join(&crowd);
        ctx_free(top);
    }
}
