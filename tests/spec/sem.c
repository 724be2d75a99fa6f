// Semaphores: weights, order, timeouts, misuse (catalogue J, 83, 84, 92, 93, and 31).
#include "spec.h"

#include <limits.h>

struct pool {
    sync_sem s;
    int size;
    atomic_int taken;
    long rounds;
    bool timed;
    atomic_long tried, got, timeouts;
};

PARTY(take_and_give, struct pool, p) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    for (long i = 0; i < p->rounds && in_time(i); i++) {
        atomic_fetch_add(&p->tried, 1);
        int k = 1 + (int)(dice(&seed) % (uint32_t)p->size);
        int err = sync_sem_acquire_timeout(&p->s, k, p->timed ? (int64_t)(dice(&seed) % 4000) : -1);
        if (err != 0) {
            CHECK_EQ(err, ETIMEDOUT);
            atomic_fetch_add(&p->timeouts, 1);
            continue;
        }
        CHECK(atomic_fetch_add(&p->taken, k) + k <= p->size);
        if (i % 3 == 0) task_yield();
        if (i % 5 == 0) spin(dice(&seed) % 128);
        atomic_fetch_sub(&p->taken, k);
        atomic_fetch_add(&p->got, 1);
        CHECK_EQ(sync_sem_release(&p->s, k), 0);
    }
}

static void check_pool(int size, long rounds, bool timed) {
    struct pool p = { .size = size, .rounds = rounds, .timed = timed };
    struct crowd c = {0};
    CHECK_EQ(sync_sem_init(&p.s, size), 0);
    for (int i = 0; i < 8; i++) crowd_add(&c, i >= 6, take_and_give, &p);
    crowd_join(&c);
    CHECK_EQ(atomic_load(&p.got) + atomic_load(&p.timeouts), atomic_load(&p.tried));
    CHECK_EQ(sync_sem_release(&p.s, 1), EINVAL);
    CHECK_EQ(sync_sem_tryacquire(&p.s, size), 0);
    CHECK_EQ(sync_sem_tryacquire(&p.s, 1), EAGAIN);
    CHECK_EQ(sync_sem_release(&p.s, size), 0);
}

TEST(never_more_is_taken_than_there_is) {
    check_pool(1, test_rounds(20000), false);
    check_pool(7, test_rounds(20000), false);
    check_pool(INT_MAX, test_rounds(5000), false);
}

// case 83 *28, 84
TEST(a_timeout_that_races_with_a_release_neither_loses_nor_doubles_a_unit) {
    check_pool(1, test_rounds(500000) / 8, true);
    check_pool(7, test_rounds(500000) / 8, true);
}

struct order {
    sync_sem s;
    chan(int) got;
};

TASK(takes, struct order *, o, int, k, int64_t, ns) {
    int err = sync_sem_acquire_timeout(&o->s, k, ns);
    CHECK_EQ(chan_send(o->got, err == 0 ? k : -err), 0);
}

// case 92
TEST(a_large_request_is_not_overtaken_by_small_ones) {
    struct order o = { .got = chan_make(int, 16) };
    CHECK_EQ(sync_sem_init(&o.s, 4), 0);
    CHECK_EQ(sync_sem_acquire(&o.s, 2), 0);
    CHECK_EQ(go(takes, &o, 4, -1), 0);
    until_blocked(1);
    CHECK_EQ(sync_sem_tryacquire(&o.s, 1), EAGAIN);      // two are free, but not its
    CHECK_EQ(sync_sem_acquire_timeout(&o.s, 1, test_unit), ETIMEDOUT);
    CHECK_EQ(go(takes, &o, 1, -1), 0);
    CHECK_EQ(go(takes, &o, 1, -1), 0);
    until_blocked(3);
    CHECK_EQ(sync_sem_release(&o.s, 1), 0);
    until_blocked(3);
    CHECK_EQ(chan_len(o.got), 0);
    CHECK_EQ(sync_sem_release(&o.s, 1), 0);
    CHECK_EQ(chan_get(o.got), 4);
    until_blocked(2);
    CHECK_EQ(sync_sem_release(&o.s, 1), 0);
    CHECK_EQ(chan_get(o.got), 1);
    CHECK_EQ(sync_sem_release(&o.s, 3), 0);
    CHECK_EQ(chan_get(o.got), 1);
    CHECK_EQ(sync_sem_release(&o.s, 2), 0);
    CHECK_EQ(sync_sem_release(&o.s, 1), EINVAL);
    chan_free(o.got);
}

// case 83 *28, 92: the large one gives up, and those behind it fit at once.
TEST(a_large_request_that_gives_up_lets_the_small_ones_pass) {
    struct order o = { .got = chan_make(int, 16) };
    bool in_time = false;               // the small ones came
    for (int64_t ns = 50 * test_unit; !in_time; ns *= 2) {
        CHECK_EQ(sync_sem_init(&o.s, 5), 0);
        CHECK_EQ(sync_sem_acquire(&o.s, 2), 0);
        CHECK_EQ(go(takes, &o, 5, ns), 0);
        in_time = blocked_before(1, o.got);
        CHECK_EQ(go(takes, &o, 1, -1), 0);
        CHECK_EQ(go(takes, &o, 2, -1), 0);
        in_time = in_time && blocked_before(3, o.got);
        int sum = 0;
        for (int i = 0; i < 3; i++) sum += chan_get(o.got);
        CHECK_EQ(sum, 1 + 2 - ETIMEDOUT);
        CHECK_EQ(sync_sem_release(&o.s, 5), 0);
    }
    chan_free(o.got);
}

// case 92: x/sync lets it wait for its context; nothing could ever come of it.
TEST(an_impossible_request_is_refused_and_blocks_nobody) {
    sync_sem s;
    CHECK_EQ(sync_sem_init(&s, 2), 0);
    CHECK_EQ(sync_sem_acquire(&s, 3), EDEADLK);
    CHECK_EQ(sync_sem_acquire_timeout(&s, INT_MAX, 1000), EDEADLK);
    CHECK_EQ(sync_sem_tryacquire(&s, 3), EDEADLK);
    CHECK_EQ(sync_sem_acquire(&s, 2), 0);
    CHECK_EQ(sync_sem_release(&s, 2), 0);
}

// case 92, 94
TEST(misuse_is_refused_and_changes_nothing) {
    static sync_sem none;
    sync_sem s;
    CHECK_EQ(sync_sem_init(NULL, 1), EINVAL);
    CHECK_EQ(sync_sem_init(&s, 3), 0);
    CHECK_EQ(sync_sem_init(&s, -1), EINVAL);
    CHECK_EQ(sync_sem_release(&s, 1), EINVAL);
    CHECK_EQ(sync_sem_release(&s, INT_MAX), EINVAL);
    CHECK_EQ(sync_sem_acquire(&s, -1), EINVAL);
    CHECK_EQ(sync_sem_release(&s, -1), EINVAL);
    CHECK_EQ(sync_sem_release(&s, INT_MIN), EINVAL);
    CHECK_EQ(sync_sem_acquire(NULL, 1), EINVAL);
    CHECK_EQ(sync_sem_tryacquire(NULL, 1), EINVAL);
    CHECK_EQ(sync_sem_acquire_timeout(NULL, 1, 1), EINVAL);
    CHECK_EQ(sync_sem_release(NULL, 1), EINVAL);
    CHECK_EQ(sync_sem_acquire(&s, 0), 0);
    CHECK_EQ(sync_sem_release(&s, 0), 0);
    CHECK_EQ(sync_sem_acquire(&s, 2), 0);
    CHECK_EQ(sync_sem_release(&s, 3), EINVAL);
    CHECK_EQ(sync_sem_tryacquire(&s, 1), 0);
    CHECK_EQ(sync_sem_tryacquire(&s, 1), EAGAIN);
    CHECK_EQ(sync_sem_acquire_timeout(&s, 1, 0), ETIMEDOUT);
    CHECK_EQ(sync_sem_release(&s, 3), 0);
    CHECK_EQ(sync_sem_release(&none, 1), EINVAL);
    CHECK_EQ(sync_sem_acquire(&none, 1), EDEADLK);
    CHECK_EQ(sync_sem_acquire(&none, 0), 0);
}

PARTY(times_out, sync_sem, s) {
    int64_t start = chanrt_now();
    CHECK_EQ(sync_sem_acquire_timeout(s, 2, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
}

// case 84
TEST(a_timed_acquire_is_never_short_and_leaves_nothing_behind) {
    sync_sem s;
    struct crowd c = {0};
    CHECK_EQ(sync_sem_init(&s, 2), 0);
    CHECK_EQ(sync_sem_acquire_timeout(&s, 1, INT64_MAX), 0);
    for (int i = 0; i < 10; i++) crowd_add(&c, i >= 8, times_out, &s);
    crowd_join(&c);
    CHECK_EQ(sync_sem_tryacquire(&s, 1), 0);
    CHECK_EQ(sync_sem_release(&s, 2), 0);
}

TASK(pass_it_on, sync_sem *, s, atomic_long *, links) {
    CHECK_EQ(sync_sem_acquire(s, 1), 0);
    atomic_fetch_add(links, 1);
    CHECK_EQ(sync_sem_release(s, 1), 0);
}

// case 93
TEST(a_hundred_thousand_tasks_pass_one_semaphore) {
    sync_sem s;
    waitgroup wg = {0};
    atomic_long links = 0;
    long n = test_rounds(100000);
    CHECK_EQ(sync_sem_init(&s, 1), 0);
    CHECK_EQ(sync_sem_acquire(&s, 1), 0);
    for (long i = 0; i < n; i++) CHECK_EQ(wg_go(&wg, pass_it_on, &s, &links), 0);
    CHECK_EQ(atomic_load(&links), 0);
    CHECK_EQ(sync_sem_release(&s, 1), 0);
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&links), n);
}

// A release orders what came before it, through plain memory.
struct handed {
    sync_sem empty, full;
    long value;
    long rounds;
};

PARTY(hand_out, struct handed, h) {
    for (long i = 1; i <= h->rounds; i++) {
        CHECK_EQ(sync_sem_acquire(&h->empty, 1), 0);
        h->value = i;
        CHECK_EQ(sync_sem_release(&h->full, 1), 0);
    }
}

TEST(a_release_happens_before_the_acquire_it_allows) {
    for (int thread = 0; thread < 2; thread++) {
        struct handed h = { .rounds = test_rounds(20000) };
        struct crowd c = {0};
        CHECK_EQ(sync_sem_init(&h.empty, 1), 0);
        CHECK_EQ(sync_sem_init(&h.full, 1), 0);
        CHECK_EQ(sync_sem_acquire(&h.full, 1), 0);
        crowd_add(&c, thread, hand_out, &h);
        for (long i = 1; i <= h.rounds; i++) {
            CHECK_EQ(sync_sem_acquire(&h.full, 1), 0);
            CHECK_EQ(h.value, i);
            CHECK_EQ(sync_sem_release(&h.empty, 1), 0);
        }
        crowd_join(&c);
    }
}

TASK(give_back, sync_sem *, s) { CHECK_EQ(sync_sem_release(s, 1), 0); }

// case 31
TEST(it_may_be_freed_the_moment_the_acquire_returns) {
    for (long i = 0; i < test_rounds(20000); i++) {
        sync_sem *s = malloc(sizeof *s);
        CHECK_EQ(sync_sem_init(s, 1), 0);
        CHECK_EQ(sync_sem_acquire(s, 1), 0);
        CHECK_EQ(go(give_back, s), 0);
        CHECK_EQ(sync_sem_acquire(s, 1), 0);
        memset(s, 0xff, sizeof *s);
        free(s);
    }
}

static sync_sem outlives;

TASK(wants_all, int, k) { sync_sem_acquire(&outlives, k); }

CHILD(shutdown_with_waiters) {
    sync_sem_init(&outlives, 5);
    sync_sem_acquire(&outlives, 1);
    go(wants_all, 5);
    go(wants_all, 5);
    until_blocked(2);
    if (chanrt_shutdown(0) != EBUSY) return 1;
    if (sync_sem_acquire_timeout(&outlives, 2, CHANRT_SECOND) != 0) return 2;
    if (sync_sem_release(&outlives, 3) != 0) return 3;
    return sync_sem_tryacquire(&outlives, 5) != 0 ? 4 : 7;
}

TEST(a_shutdown_reclaims_those_who_wait) {
    struct test_child r = test_run_child("shutdown_with_waiters", 20000);
    if (!CHECK_EQ(r.status, 7)) fprintf(stderr, "%s\n", r.out);
    CHECK(strstr(r.out, "semacquire " POINTER) != NULL);
    test_child_free(&r);
}
