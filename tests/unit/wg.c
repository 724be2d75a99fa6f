// wg.c - wait groups: the count's bounds, and what is left behind in the queue.
#include "unit.h"

static bool is_blank(const waitgroup *wg) {
    return wg->a_lock == 0 && wg->x_count == 0 && wg->x_queue.a_first == NULL &&
           wg->x_queue.last == NULL && wg->x_queue.claims == 0;
}

TEST(count_stays_within_its_bounds) {
    waitgroup wg = {0};
    CHECK_EQ(wg_add(&wg, -1), EINVAL);
    CHECK_EQ(wg_add(&wg, INT_MIN), EINVAL);
    CHECK(is_blank(&wg));
    CHECK_EQ(wg_add(&wg, INT_MAX), 0);
    CHECK_EQ(wg_add(&wg, 1), EINVAL);
    CHECK_EQ(wg_add(&wg, INT_MAX), EINVAL);
    CHECK_EQ(wg.x_count, INT_MAX);
    CHECK_EQ(wg_add(&wg, -INT_MAX), 0);
    CHECK_EQ(wg_done(&wg), EINVAL);
    CHECK(is_blank(&wg));
}

TEST(no_wait_leaves_a_node_behind) {
    waitgroup wg = {0};
    wg_wait(&wg);
    CHECK_EQ(wg_wait_timeout(&wg, 0), 0);
    CHECK_EQ(wg_wait_timeout(&wg, INT64_MAX), 0);
    CHECK_EQ(wg_add(&wg, 1), 0);
    CHECK_EQ(wg_wait_timeout(&wg, 0), ETIMEDOUT);
    CHECK_EQ(wg_wait_timeout(&wg, 1000), ETIMEDOUT);
    CHECK(wg.x_queue.a_first == NULL && wg.x_queue.claims == 0);
    CHECK_EQ(wg_done(&wg), 0);
    CHECK(is_blank(&wg));
}

TEST(failed_spawn_is_uncounted) {
    waitgroup wg = {0};
    chanrt_x_how how = { NULL, NULL, NULL, NULL };
    CHECK_EQ(chanrt_x_wg_begin(&wg, &how), 0);
    CHECK_EQ(wg.x_count, 1);
    CHECK_EQ(chanrt_x_wg_undo(&how, 0), 0);
    CHECK_EQ(wg.x_count, 1);
    CHECK_EQ(chanrt_x_wg_undo(&how, ENOMEM), ENOMEM);
    CHECK(is_blank(&wg));
    CHECK_EQ(chanrt_x_wg_begin(NULL, &how), EINVAL);
}

// Waits with and without a deadline in one queue; the last done releases all of them, and
// those whose time is up just then must not be lost or woken twice.
static long rounds;
static waitgroup shared;
static atomic_long released, expired;

TASK(wait_for_group, int64_t, ns) {
    int err = wg_wait_timeout(&shared, ns);
    atomic_fetch_add(err == 0 ? &released : &expired, 1);
}

TEST(last_done_releases_every_waiter) {
    rounds = test_rounds(400);
    for (long r = 0; r < rounds; r++) {
        waitgroup all = {0};
        atomic_store(&released, 0);
        atomic_store(&expired, 0);
        CHECK_EQ(wg_add(&shared, 2), 0);
        for (int i = 0; i < 6; i++)
            CHECK_EQ(wg_go(&all, wait_for_group, i < 3 ? -1 : i * 10000), 0);
        CHECK_EQ(wg_done(&shared), 0);
        if (r % 2) usleep(30);                     // about when the time of some is up
        CHECK_EQ(wg_done(&shared), 0);
        wg_wait(&all);
        CHECK_EQ(atomic_load(&released) + atomic_load(&expired), 6);
        CHECK(atomic_load(&released) >= 3);
        CHECK(is_blank(&shared));
    }
}

// Threads only: each adds and takes away, and now and then waits for an instant of zero.
static void *add_and_done(void *unused) {
    for (long i = 0; i < rounds; i++) {
        CHECK_EQ(wg_add(&shared, 2), 0);
        CHECK_EQ(wg_done(&shared), 0);
        if (i % 8 == 0) wg_wait_timeout(&shared, 1000);
        CHECK_EQ(wg_done(&shared), 0);
        if (i % 64 == 0) wg_wait(&shared);
    }
    return unused;
}

TEST(count_is_exact_under_contention) {
    rounds = test_rounds(8000);
    at_once(4, add_and_done, NULL);
    CHECK(is_blank(&shared));
}
