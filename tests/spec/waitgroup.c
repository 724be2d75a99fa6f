// Waitgroups: the count, its waiters, reuse, timeouts and wg_go (catalogue I).
#include "test.h"

#include <limits.h>
#include <pthread.h>

TASK(pass_gate, waitgroup *, arrived, waitgroup *, gate, chan_sender(int), passed) {
    CHECK_EQ(wg_done(arrived), 0);
    wg_wait(gate);
    CHECK_EQ(chan_send(passed, 1), 0);
}

// case 75
TEST(nobody_passes_before_zero_and_everybody_after_it_round_after_round) {
    enum { TASKS = 16, ROUNDS = 8 };
    waitgroup arrived = {0}, gate = {0};
    chan(int) passed = chan_make(int, TASKS);
    for (int round = 0; round < ROUNDS; round++) {
        CHECK_EQ(wg_add(&arrived, TASKS), 0);
        CHECK_EQ(wg_add(&gate, TASKS), 0);
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(go(pass_gate, &arrived, &gate, passed), 0);
        wg_wait(&arrived);
        for (int i = 0; i < TASKS; i++) {
            CHECK_EQ(chan_len(passed), 0);
            CHECK_EQ(wg_done(&gate), 0);
        }
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(chan_recv(passed, NULL), 0);
    }
    chan_free(passed);
}

// case 76
TEST(a_count_below_zero_is_refused_and_changes_nothing) {
    waitgroup wg = {0};
    CHECK_EQ(wg_done(&wg), EINVAL);
    CHECK_EQ(wg_add(&wg, -1), EINVAL);
    CHECK_EQ(wg_add(&wg, INT_MIN), EINVAL);
    CHECK_EQ(wg_wait_timeout(&wg, 0), 0);

    CHECK_EQ(wg_add(&wg, 2), 0);
    CHECK_EQ(wg_add(&wg, -3), EINVAL);
    CHECK_EQ(wg_wait_timeout(&wg, 0), ETIMEDOUT);
    CHECK_EQ(wg_add(&wg, 0), 0);
    CHECK_EQ(wg_done(&wg), 0);
    CHECK_EQ(wg_wait_timeout(&wg, 0), ETIMEDOUT);
    CHECK_EQ(wg_done(&wg), 0);
    CHECK_EQ(wg_done(&wg), EINVAL);
    wg_wait(&wg);
}

// case 76
TEST(a_huge_count_never_wraps_round_to_zero) {
    waitgroup wg = {0};
    CHECK_EQ(wg_add(&wg, INT_MAX), 0);
    int second = wg_add(&wg, INT_MAX);  // a wide count takes it, a narrow one must refuse it
    CHECK(second == 0 || second == EINVAL);
    CHECK_EQ(wg_wait_timeout(&wg, 0), ETIMEDOUT);
    if (second == 0)
        CHECK_EQ(wg_add(&wg, -INT_MAX), 0);
    CHECK_EQ(wg_wait_timeout(&wg, 0), ETIMEDOUT);
    CHECK_EQ(wg_add(&wg, -INT_MAX), 0);
    CHECK_EQ(wg_wait_timeout(&wg, 0), 0);
}

// case 76
TEST(a_null_waitgroup_is_refused) {
    CHECK_EQ(wg_add(NULL, 1), EINVAL);
    CHECK_EQ(wg_done(NULL), EINVAL);
    CHECK_EQ(wg_wait_timeout(NULL, 0), EINVAL);
}

TASK(write_plain, int *, slot, int, value) {
    *slot = value;
}

// case 77
TEST(after_wait_everything_the_tasks_wrote_is_there) {
    enum { TASKS = 8 };
    for (int round = 0; round < test_rounds(1000); round++) {
        int slots[TASKS] = {0};
        waitgroup wg = {0};
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(wg_go(&wg, write_plain, &slots[i], round + i), 0);
        wg_wait(&wg);
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(slots[i], round + i);
    }
}

// The turner opens and closes generation after generation; who saw one open must not return before
// that one was closed, whatever the turner did meanwhile.
typedef struct turnstile {
    waitgroup wg, ended;
    atomic_long opened, closed;
    atomic_bool over;
} turnstile;

static void turnstile_wait(turnstile *t) {
    long seen = atomic_load(&t->opened);
    wg_wait(&t->wg);
    CHECK(atomic_load(&t->closed) >= seen);
}

TASK(turn, turnstile *, t, long, rounds) {
    for (long i = 1; i <= rounds; i++) {
        CHECK_EQ(wg_add(&t->wg, 1), 0);
        atomic_store(&t->opened, i);
        if (i % 3 == 0)
            task_yield();
        atomic_store(&t->closed, i);
        CHECK_EQ(wg_done(&t->wg), 0);
        if (i % 7 == 0)
            task_yield();
    }
    atomic_store(&t->over, true);
}

TASK(wait_for_turns, turnstile *, t) {
    while (!atomic_load(&t->over)) {
        turnstile_wait(t);
        task_yield();
    }
}

// case 78 *27
TEST(a_wait_racing_with_add_from_zero_never_hangs_nor_returns_early) {
    turnstile t = {.opened = 0};
    CHECK_EQ(wg_go(&t.ended, turn, &t, test_rounds(100000)), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wg_go(&t.ended, wait_for_turns, &t), 0);
    while (!atomic_load(&t.over))
        turnstile_wait(&t);
    wg_wait(&t.ended);
    CHECK_EQ(wg_done(&t.wg), EINVAL);
}

TASK(wait_then_reuse, waitgroup *, wg, long, rounds) {
    for (long i = 0; i < rounds; i++) {
        wg_wait(wg);
        CHECK_EQ(wg_add(wg, 1), 0);
        if (i % 5 == 0)
            task_yield();
        CHECK_EQ(wg_done(wg), 0);
    }
}

// case 78 *27
TEST(a_group_reused_while_earlier_waits_return_releases_everybody) {
    waitgroup wg = {0}, ended = {0};
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wg_go(&ended, wait_then_reuse, &wg, test_rounds(50000)), 0);
    wg_wait(&ended);
    CHECK_EQ(wg_wait_timeout(&wg, 0), 0);
    CHECK_EQ(wg_done(&wg), EINVAL);
}

// case 79
TEST(waiting_on_zero_returns_at_once) {
    waitgroup wg = {0};
    wg_wait(&wg);
    CHECK_EQ(wg_wait_timeout(&wg, 0), 0);
    CHECK_EQ(wg_wait_timeout(&wg, -1), 0);
    CHECK_EQ(wg_add(&wg, 3), 0);
    CHECK_EQ(wg_add(&wg, -3), 0);
    wg_wait(&wg);
}

TASK(count_when_released, waitgroup *, start, atomic_long *, released) {
    wg_wait(start);
    atomic_fetch_add(released, 1);
}

static void *thread_waits(void *arg) {
    wg_wait(arg);
    return NULL;
}

// case 79
TEST(a_thousand_tasks_and_four_threads_are_all_released_by_the_last_done) {
    long tasks = test_rounds(1000);
    waitgroup start = {0}, ended = {0};
    atomic_long released = 0;
    pthread_t threads[4];
    CHECK_EQ(wg_add(&start, 1), 0);
    for (long i = 0; i < tasks; i++)
        CHECK_EQ(wg_go(&ended, count_when_released, &start, &released), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, thread_waits, &start), 0);
    CHECK_EQ(wg_wait_timeout(&ended, test_unit), ETIMEDOUT);
    CHECK_EQ(atomic_load(&released), 0);
    CHECK_EQ(wg_done(&start), 0);
    wg_wait(&ended);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(atomic_load(&released), tasks);
}

static void check_timed_wait(waitgroup *wg) {
    int64_t start = chanrt_now();
    CHECK_EQ(wg_wait_timeout(wg, 0), ETIMEDOUT);
    CHECK_EQ(wg_wait_timeout(wg, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
}

TASK(timed_waiter, waitgroup *, wg) {
    check_timed_wait(wg);
}

// case 79
TEST(a_timed_wait_is_never_short_and_leaves_nothing_behind) {
    waitgroup wg = {0}, ended = {0};
    CHECK_EQ(wg_add(&wg, 1), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(wg_go(&ended, timed_waiter, &wg), 0);
    check_timed_wait(&wg);
    wg_wait(&ended);
    CHECK_EQ(wg_done(&wg), 0);
    CHECK_EQ(wg_wait_timeout(&wg, -1), 0);
}

TASK(finish_after_spinning, waitgroup *, wg, int, turns, bool *, finished) {
    for (volatile int i = 0; i < turns; i++) {}
    *finished = true;
    CHECK_EQ(wg_done(wg), 0);
}

// case 79
TEST(a_timeout_racing_with_the_last_done_has_one_outcome) {
    unsigned random = 1;
    for (long round = 0; round < test_rounds(3000); round++) {
        waitgroup wg = {0};
        bool finished = false;
        random = random * 1664525u + 1013904223u;
        CHECK_EQ(wg_add(&wg, 1), 0);
        CHECK_EQ(go(finish_after_spinning, &wg, (int)(random >> 20), &finished), 0);
        int err = wg_wait_timeout(&wg, (int64_t)(random >> 16 & 0x3fff));
        CHECK(err == 0 || err == ETIMEDOUT);
        if (err == ETIMEDOUT)
            wg_wait(&wg);
        CHECK(finished);
    }
}

TASK(just_done, waitgroup *, wg) {
    CHECK_EQ(wg_done(wg), 0);
}

static void wait_and_free(long rounds) {
    for (long round = 0; round < rounds; round++) {
        waitgroup *wg = calloc(1, sizeof *wg);
        CHECK_EQ(wg_add(wg, 2), 0);
        CHECK_EQ(go(just_done, wg), 0);
        CHECK_EQ(go(just_done, wg), 0);
        wg_wait(wg);
        memset(wg, 0xff, sizeof *wg);  // the waker must not look at it again
        free(wg);
    }
}

TASK(waits_and_frees, long, rounds) {
    wait_and_free(rounds);
}

// case 79
TEST(the_group_may_be_freed_the_moment_its_wait_returns) {
    waitgroup ended = {0};
    CHECK_EQ(wg_go(&ended, waits_and_frees, test_rounds(5000)), 0);
    CHECK_EQ(wg_go(&ended, waits_and_frees, test_rounds(5000)), 0);
    wait_and_free(test_rounds(5000));
    wg_wait(&ended);
}

__attribute__((noinline)) static int leave_from(int depth) {
    volatile int kept = depth;
    if (depth < 0)
        return 0;
    if (depth == 0)
        task_exit();
    return leave_from(depth - 1) + kept;
}

TASK(leave_early, int, depth, atomic_int *, entered, atomic_int *, left_normally) {
    atomic_fetch_add(entered, 1);
    atomic_fetch_add(left_normally, 1 + leave_from(depth));
}

// case 79
TEST(wg_go_counts_a_task_that_leaves_by_task_exit) {
    waitgroup wg = {0};
    atomic_int entered = 0, left_normally = 0;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(wg_go(&wg, leave_early, i, &entered, &left_normally), 0);
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&entered), 100);
    CHECK_EQ(atomic_load(&left_normally), 0);
    CHECK_EQ(wg_done(&wg), EINVAL);
}

TASK(grow, waitgroup *, wg, int, depth, atomic_int *, nodes) {
    atomic_fetch_add(nodes, 1);
    for (int i = 0; depth > 0 && i < 2; i++)
        CHECK_EQ(wg_go(wg, grow, wg, depth - 1, nodes), 0);
}

// case 79
TEST(a_tree_of_tasks_that_spawn_into_their_own_group_is_waited_for_whole) {
    waitgroup wg = {0};
    atomic_int nodes = 0;
    CHECK_EQ(wg_go(&wg, grow, &wg, 10, &nodes), 0);
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&nodes), 2047);
}

TASK(no_arguments) {}

TASK(eight_arguments, char, a, short, b, int, c, long, d, float, e, double, f, long *, sum,
     const char *, text) {
    CHECK_STR(text, "eight");
    *sum = a + b + c + d + (long)e + (long)f;
}

// case 79
TEST(wg_go_takes_no_argument_or_eight) {
    waitgroup wg = {0};
    long sum = 0;
    CHECK_EQ(wg_go(&wg, no_arguments), 0);
    CHECK_EQ(wg_go(&wg, eight_arguments, 1, 2, 3, 4, 5, 6, &sum, "eight"), 0);
    wg_wait(&wg);
    CHECK_EQ(sum, 21);
}

static void *thread_spawns(void *arg) {
    waitgroup *wg = arg;
    for (int i = 0; i < 500; i++)
        CHECK_EQ(wg_go(wg, no_arguments), 0);
    CHECK_EQ(wg_done(wg), 0);
    return NULL;
}

// case 79
TEST(threads_may_add_spawn_and_finish_while_others_wait) {
    waitgroup wg = {0};
    pthread_t threads[4];
    CHECK_EQ(wg_add(&wg, 4), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, thread_spawns, &wg), 0);
    wg_wait(&wg);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(wg_done(&wg), EINVAL);
}
