// group.c - what a group counts, and who is in its queues.
#include "unit.h"

TASK_ERR(give, int, result) { return result; }

struct big { char bytes[100]; };
TASK_ERR(big, struct big, b) { return b.bytes[0]; }

static bool is_idle(task_group *g) {
    return g->a_self == g && g->a_lock == 0 && g->x_active == 0 &&
           g->x_waiting.a_first == NULL && g->x_blocked.a_first == NULL;
}

static bool is_over(task_group *g) {
    return g->a_self == NULL && g->a_lock == 0 && g->x_active == 0 && g->x_ctx == NULL &&
           g->x_waiting.a_first == NULL && g->x_blocked.a_first == NULL;
}

TEST(places_are_counted_and_given_back) {
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    CHECK(is_idle(&g) && g.x_limit == -1);
    CHECK_EQ(group_limit(&g, 2), 0);
    CHECK_EQ(chanrt_x_group_begin(&g), 0);
    CHECK_EQ(chanrt_x_group_try_begin(&g), 0);
    CHECK_EQ(chanrt_x_group_try_begin(&g), EAGAIN);
    CHECK_EQ(g.x_active, 2);
    chanrt_x_group_end(&g, 0);
    CHECK_EQ(g.x_active, 1);
    CHECK_EQ(chanrt_x_group_begin(&g), 0);
    chanrt_x_group_end(&g, 0);
    chanrt_x_group_end(&g, 0);
    CHECK(is_idle(&g));
    CHECK_EQ(group_wait(&g), 0);
    CHECK(is_over(&g));
}

TEST(first_error_is_kept_and_cancels_while_the_place_is_held) {
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(chanrt_x_group_begin(&g), 0);
    chanrt_x_group_end(&g, EIO);
    CHECK_EQ(g.x_error, EIO);
    CHECK_EQ(ctx_cause(g.x_ctx), EIO);
    chanrt_x_group_end(&g, ENOSPC);
    chanrt_x_group_end(&g, 0);
    CHECK_EQ(g.x_error, EIO);
    CHECK(is_idle(&g));
    CHECK_EQ(group_wait(&g), EIO);
    CHECK(is_over(&g));
}

TEST(failed_spawn_leaves_no_trace) {
    task_group g;
    CHECK_EQ(group_init(&g, NULL), 0);
    test_fail_alloc(1);
    CHECK_EQ(group_go(&g, big, (struct big){ { 1 } }), ENOMEM);
    CHECK(is_idle(&g) && g.x_error == 0 && ctx_err(g.x_ctx) == 0);
    CHECK_EQ(group_wait(&g), 0);
}

// G1 to G3 looked at under the lock, while tasks and threads come and go.
static task_group shared;
static long rounds;

static void check_laws(void) {
    chanrt__os_lock(&shared.a_lock);
    bool full = shared.x_active == shared.x_limit;
    CHECK(shared.x_active >= 0 && shared.x_active <= shared.x_limit);  // G1
    CHECK(full || shared.x_blocked.a_first == NULL);                   // G2
    CHECK(shared.x_active > 0 || shared.x_waiting.a_first == NULL);    // G3
    chanrt__os_unlock(&shared.a_lock);
}

static void *spawn_and_look(void *unused) {
    for (long i = 0; i < rounds; i++) {
        CHECK_EQ(group_go(&shared, give, 0), 0);
        check_laws();
    }
    return unused;
}

TEST(laws_hold_under_contention) {
    rounds = test_rounds(4000);
    CHECK_EQ(group_init(&shared, NULL), 0);
    CHECK_EQ(group_limit(&shared, 3), 0);
    at_once(4, spawn_and_look, NULL);
    CHECK_EQ(group_wait(&shared), 0);
    CHECK(is_over(&shared));
}
