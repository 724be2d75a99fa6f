// Once: one call, all others wait for its end, however it ends (catalogue J, 87).
#include "spec.h"

struct lazy {
    sync_once once;
    atomic_int calls;
    int64_t takes;           // ns that the function sleeps
    int how;                 // 0: returns, 1: task_exit, 2: pthread_exit or task_exit
    bool ended;              // plain: the once orders it
    atomic_int returned;
    waitgroup go_on;
};

static void initialise(void *p) {
    struct lazy *l = p;
    CHECK_EQ(atomic_fetch_add(&l->calls, 1), 0);
    if (l->takes > 0) task_sleep(l->takes);
    else task_yield();
    l->ended = true;
    if (l->how == 1) task_exit();
    if (l->how == 2) pthread_exit(NULL);
}

PARTY(want_it, struct lazy, l) {
    CHECK_EQ(sync_once_do(&l->once, initialise, l), 0);
    CHECK(l->ended);
    atomic_fetch_add(&l->returned, 1);
}

// case 87
TEST(it_is_called_once_and_none_returns_before_its_end) {
    for (long i = 0; i < test_rounds(2000); i++) {
        struct lazy l = { .takes = i % 8 == 0 ? 20 * CHANRT_MICROSECOND : 0 };
        struct crowd c = {0};
        for (int n = 0; n < 10; n++) crowd_add(&c, i % 8 == 0 && n >= 8, want_it, &l);
        crowd_join(&c);
        CHECK_EQ(atomic_load(&l.calls), 1);
        CHECK_EQ(atomic_load(&l.returned), 10);
        CHECK_EQ(sync_once_do(&l.once, initialise, &l), 0);
    }
}

// case 87: Go's rule for a function that panics or calls Goexit.
TEST(a_function_that_ends_its_task_counts_as_done) {
    for (long i = 0; i < test_rounds(500); i++) {
        struct lazy l = { .how = 1, .takes = i % 2 * 50 * CHANRT_MICROSECOND };
        struct crowd c = {0};
        for (int n = 0; n < 10; n++) crowd_task(&c, want_it, &l);
        crowd_join(&c);
        CHECK_EQ(atomic_load(&l.calls), 1);
        CHECK_EQ(atomic_load(&l.returned), 9);
        CHECK_EQ(sync_once_do(&l.once, initialise, &l), 0);
    }
}

static void *thread_wants_it(void *p) {
    struct lazy *l = p;
    CHECK_EQ(sync_once_do(&l->once, initialise, l), 0);
    return NULL;
}

TEST(a_function_that_ends_its_thread_counts_as_done) {
    CHECK_EQ(chanrt_start(NULL), 0);    // else a seed would stop the clock in its sleep
    for (int how = 1; how <= 2; how++) {
        struct lazy l = { .how = how, .takes = 10 * test_unit };
        pthread_t thread;
        struct crowd c = {0};
        CHECK_EQ(pthread_create(&thread, NULL, thread_wants_it, &l), 0);
        while (atomic_load(&l.calls) == 0) task_sleep(CHANRT_MICROSECOND);
        for (int n = 0; n < 4; n++) crowd_add(&c, n == 0, want_it, &l);
        crowd_join(&c);
        CHECK_EQ(join_thread(thread), 0);
        CHECK_EQ(atomic_load(&l.returned), 4);
    }
}

// A once within another one's function, and the end of the task drops both.
struct nested {
    sync_once outer, inner;
    int outer_calls, inner_calls;
    bool leaves;
};

static void run_inner(void *p) {
    struct nested *n = p;
    n->inner_calls++;
    CHECK_EQ(sync_once_do(&n->outer, run_inner, n), EDEADLK);
    CHECK_EQ(sync_once_do(&n->inner, run_inner, n), EDEADLK);
    if (n->leaves) task_exit();
}

static void run_outer(void *p) {
    struct nested *n = p;
    n->outer_calls++;
    CHECK_EQ(sync_once_do(&n->inner, run_inner, n), 0);
}

static void never_called(void *p) {
    (void)p;
    NEVER("called again");
}

PARTY(do_nested, struct nested, n) { CHECK_EQ(sync_once_do(&n->outer, run_outer, n), 0); }

TEST(a_call_from_within_is_told_and_nesting_ends_with_the_task) {
    for (int i = 0; i < 4; i++) {
        struct nested n = { .leaves = i & 1 };
        struct crowd c = {0};
        crowd_add(&c, i & 2, do_nested, &n);
        crowd_join(&c);
        CHECK_EQ(n.outer_calls, 1);
        CHECK_EQ(n.inner_calls, 1);
        CHECK_EQ(sync_once_do(&n.outer, never_called, NULL), 0);
        CHECK_EQ(sync_once_do(&n.inner, never_called, NULL), 0);
    }
}

// A task that has been through one and leaves later drops nothing that is done.
TASK(leaves_after, struct lazy *, l) {
    CHECK_EQ(sync_once_do(&l->once, initialise, l), 0);
    l->ended = true;
    task_exit();
}

TEST(leaving_after_a_once_is_nothing_special) {
    struct lazy l = {0};
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, leaves_after, &l), 0);
    wg_wait(&wg);
    CHECK_EQ(sync_once_do(&l.once, never_called, NULL), 0);
}

TEST(misuse_is_refused_and_changes_nothing) {
    struct lazy l = {0};
    CHECK_EQ(sync_once_do(NULL, initialise, &l), EINVAL);
    CHECK_EQ(sync_once_do(&l.once, NULL, &l), EINVAL);
    CHECK_EQ(atomic_load(&l.calls), 0);
    CHECK_EQ(sync_once_do(&l.once, initialise, &l), 0);
    CHECK_EQ(sync_once_do(&l.once, NULL, &l), EINVAL);
    CHECK_EQ(atomic_load(&l.calls), 1);
}

static void calls_for_the_other(void *p) {
    sync_once **pair = p;
    task_sleep(10 * CHANRT_MILLISECOND);
    sync_once_do(pair[1], never_called, NULL);
}

TASK(crosses, sync_once **, pair) { sync_once_do(pair[0], calls_for_the_other, pair); }

CHILD(two_that_wait_for_each_other) {
    sync_once a = {0}, b = {0};
    sync_once *ab[] = { &a, &b }, *ba[] = { &b, &a };
    waitgroup wg = {0};
    wg_go(&wg, crosses, ab);
    wg_go(&wg, crosses, ba);
    wg_wait(&wg);
    return 0;
}

TEST(two_that_wait_for_each_other_are_a_deadlock) {
    struct test_child r = test_run_child("two_that_wait_for_each_other", 10000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "sync.Once.Do 0x") != NULL);
    test_child_free(&r);
}
