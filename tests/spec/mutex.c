// Mutexes: exclusion, hand-off, timeouts, misuse (catalogue J, 80 to 84, and 31).
#include "spec.h"

// What a mutex protects, and who works on it.
struct shared {
    sync_mutex m;
    long plain;              // changed only with m locked
    atomic_int inside;
    long rounds;
    atomic_long tried, timeouts, locked;
};

static void enter(struct shared *s) {
    CHECK_EQ(atomic_fetch_add(&s->inside, 1), 0);
    s->plain++;
}

static void leave(struct shared *s) {
    CHECK_EQ(atomic_fetch_sub(&s->inside, 1), 1);
    CHECK_EQ(sync_mutex_unlock(&s->m), 0);
}

PARTY(count_up, struct shared, s) {
    for (long i = 0; i < s->rounds; i++) {
        CHECK_EQ(sync_mutex_lock(&s->m), 0);
        enter(s);
        leave(s);
    }
}

// case 80
TEST(ten_tasks_and_four_threads_count_exactly) {
    struct shared s = { .rounds = test_rounds(50000) };
    struct crowd c = {0};
    for (int i = 0; i < 14; i++) crowd_add(&c, i >= 10, count_up, &s);
    crowd_join(&c);
    CHECK_EQ(s.plain, 14 * s.rounds);
    CHECK_EQ(sync_mutex_unlock(&s.m), EINVAL);
}

// With parks in the critical section every lock is contended, on one worker, too.
PARTY(count_and_yield, struct shared, s) {
    for (long i = 0; i < s->rounds; i++) {
        CHECK_EQ(sync_mutex_lock(&s->m), 0);
        enter(s);
        if (i % 3 == 0) task_yield();
        leave(s);
        if (i % 7 == 0) task_yield();
    }
}

// case 80
TEST(a_holder_that_waits_keeps_all_others_out) {
    struct shared s = { .rounds = test_rounds(10000) };
    struct crowd c = {0};
    for (int i = 0; i < 12; i++) crowd_add(&c, i >= 10, count_and_yield, &s);
    crowd_join(&c);
    CHECK_EQ(s.plain, 12 * s.rounds);
}

TASK(unlock_it, sync_mutex *, m) { CHECK_EQ(sync_mutex_unlock(m), 0); }

static void *unlock_on_a_thread(void *m) {
    CHECK_EQ(sync_mutex_unlock(m), 0);
    return NULL;
}

// case 80
TEST(who_unlocks_need_not_be_who_locked) {
    sync_mutex m = {0};
    pthread_t thread;
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(go(unlock_it, &m), 0);
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(sync_mutex_trylock(&m), EAGAIN);
        CHECK_EQ(pthread_create(&thread, NULL, unlock_on_a_thread, &m), 0);
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(join_thread(thread), 0);
        CHECK_EQ(sync_mutex_unlock(&m), 0);
    }
}

// case 81
TEST(misuse_is_refused_and_changes_nothing) {
    sync_mutex m = {0};
    CHECK_EQ(sync_mutex_unlock(&m), EINVAL);
    CHECK_EQ(sync_mutex_lock(&m), 0);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK_EQ(sync_mutex_unlock(&m), EINVAL);
    CHECK_EQ(sync_mutex_trylock(&m), 0);
    CHECK_EQ(sync_mutex_trylock(&m), EAGAIN);
    CHECK_EQ(sync_mutex_lock_timeout(&m, 0), ETIMEDOUT);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK_EQ(sync_mutex_lock(NULL), EINVAL);
    CHECK_EQ(sync_mutex_trylock(NULL), EINVAL);
    CHECK_EQ(sync_mutex_lock_timeout(NULL, 0), EINVAL);
    CHECK_EQ(sync_mutex_lock_timeout(NULL, -1), EINVAL);
    CHECK_EQ(sync_mutex_unlock(NULL), EINVAL);
}

// case 81: whatever its lot has seen, an unlock too many is told.
TEST(an_unlock_too_many_is_told_after_any_number_of_good_ones) {
    sync_mutex m = {0};
    for (int i = 0; i < 5000; i++) {
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(sync_mutex_unlock(&m), 0);
        CHECK_EQ(sync_mutex_unlock(&m), EINVAL);
    }
}

struct greedy {
    sync_mutex m;
    atomic_bool stop;
    int64_t hold;            // ns asleep with m locked; 0: a tight loop
    atomic_long greedy_rounds;
    int64_t worst;
};

PARTY(lock_greedily, struct greedy, g) {
    while (!atomic_load(&g->stop)) {
        CHECK_EQ(sync_mutex_lock(&g->m), 0);
        atomic_fetch_add(&g->greedy_rounds, 1);
        if (g->hold > 0) task_sleep(g->hold);
        CHECK_EQ(sync_mutex_unlock(&g->m), 0);
    }
}

PARTY(lock_now_and_then, struct greedy, g) {
    while (atomic_load(&g->greedy_rounds) == 0) task_sleep(CHANRT_MICROSECOND);
    for (int i = 0; i < 10; i++) {
        task_sleep(100 * CHANRT_MICROSECOND);
        int64_t start = chanrt_now();
        CHECK_EQ(sync_mutex_lock(&g->m), 0);
        int64_t waited = chanrt_now() - start;
        if (waited > g->worst) g->worst = waited;
        CHECK_EQ(sync_mutex_unlock(&g->m), 0);
    }
    atomic_store(&g->stop, true);
}

// case 82: who unlocks and locks again at once finds the mutex free before anybody who was woken
// has got going; only the hand-off lets others in. A greedy task that never parks needs a second
// worker for the modest one to run at all.
static void check_fairness(int64_t hold, bool greedy_thread, bool modest_thread) {
    for (int64_t unit = test_unit;; unit *= 2) {
        struct greedy g = { .hold = hold };
        struct crowd c = {0};
        crowd_add(&c, greedy_thread, lock_greedily, &g);
        crowd_add(&c, modest_thread, lock_now_and_then, &g);
        crowd_join(&c);
        if (g.worst < 100 * unit || unit >= 16 * test_unit) {
            CHECK(g.worst < 100 * unit);
            return;
        }
    }
}

TEST(a_greedy_holder_cannot_starve_the_others) {
    for (int i = 0; i < 4; i++) check_fairness(100 * CHANRT_MICROSECOND, i & 1, i & 2);
    if (test_seeded()) return;      // nobody sleeps from here on, and time would stand still
    check_fairness(0, true, true);
    check_fairness(0, true, false);
    if (test_workers() > 1) {
        check_fairness(0, false, true);
        check_fairness(0, false, false);
    }
}

struct line {
    sync_mutex m;
    chan(int) in;
};

TASK(gives_up, struct line *, l, int64_t, ns) {
    CHECK_EQ(sync_mutex_lock_timeout(&l->m, ns), ETIMEDOUT);
    CHECK_EQ(chan_send(l->in, 1), 0);
}

TASK(waits_for_ever, struct line *, l) {
    CHECK_EQ(sync_mutex_lock(&l->m), 0);
    CHECK_EQ(sync_mutex_unlock(&l->m), 0);
    CHECK_EQ(chan_send(l->in, 2), 0);
}

// case 83 *28
TEST(an_unlock_reaches_the_waiter_behind_those_who_gave_up) {
    struct line l = { .in = chan_make(int, 4) };
    int64_t ns = 50 * test_unit;
    for (int i = 0; i < 10;) {          // times that the third one came in time
        CHECK_EQ(sync_mutex_lock(&l.m), 0);
        CHECK_EQ(go(gives_up, &l, ns), 0);
        CHECK_EQ(go(gives_up, &l, ns), 0);
        bool in_time = blocked_before(2, l.in);
        CHECK_EQ(go(waits_for_ever, &l), 0);
        if (in_time && blocked_before(3, l.in)) i++;
        else ns *= 2;
        CHECK_EQ(chan_get(l.in), 1);
        CHECK_EQ(chan_get(l.in), 1);
        CHECK_EQ(sync_mutex_unlock(&l.m), 0);
        CHECK_EQ(chan_get(l.in), 2);
    }
    chan_free(l.in);
}

static void check_lock_times_out(sync_mutex *m) {
    int64_t start = chanrt_now();
    CHECK_EQ(sync_mutex_lock_timeout(m, 0), ETIMEDOUT);
    CHECK_EQ(sync_mutex_lock_timeout(m, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
}

PARTY(times_out, sync_mutex, m) { check_lock_times_out(m); }

// case 84
TEST(a_timed_lock_is_never_short_and_leaves_nothing_behind) {
    sync_mutex m = {0};
    struct crowd c = {0};
    CHECK_EQ(sync_mutex_lock_timeout(&m, 1), 0);
    for (int i = 0; i < 10; i++) crowd_add(&c, i >= 8, times_out, &m);
    check_lock_times_out(&m);
    crowd_join(&c);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK_EQ(sync_mutex_lock_timeout(&m, INT64_MAX), 0);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK_EQ(sync_mutex_lock_timeout(&m, -1), 0);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
}

// Holds for about as long as the others are ready to wait.
PARTY(race_with_time, struct shared, s) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    for (long i = 0; i < s->rounds && in_time(i); i++) {
        atomic_fetch_add(&s->tried, 1);
        int64_t ns = i % 5 == 0 ? -1 : (int64_t)(dice(&seed) % 4000);
        int err = sync_mutex_lock_timeout(&s->m, ns);
        if (err == 0) {
            enter(s);
            if (i % 4 == 0) spin(dice(&seed) % 512);
            if (i % 64 == 0) task_yield();
            leave(s);
            atomic_fetch_add(&s->locked, 1);
        } else {
            CHECK_EQ(err, ETIMEDOUT);
            atomic_fetch_add(&s->timeouts, 1);
        }
    }
}

// case 83 *28, 84: a million rounds in which the time is up just when the mutex is handed over.
TEST(a_timeout_that_races_with_a_hand_off_neither_loses_nor_doubles_the_lock) {
    struct shared s = { .rounds = test_rounds(1000000) / 6 };
    struct crowd c = {0};
    for (int i = 0; i < 6; i++) crowd_add(&c, i >= 4, race_with_time, &s);
    crowd_join(&c);
    CHECK_EQ(s.plain, atomic_load(&s.locked));
    CHECK_EQ(atomic_load(&s.locked) + atomic_load(&s.timeouts), atomic_load(&s.tried));
    CHECK_EQ(sync_mutex_lock_timeout(&s.m, test_unit), 0);
    CHECK_EQ(sync_mutex_unlock(&s.m), 0);
}

struct holder {
    sync_mutex m;
    atomic_int gate;
    long rounds;
    atomic_int outcome;
};

// Unlocks at the moment in which the other one's time is up: the lock is had by one of them.
PARTY(unlock_at_the_last_moment, struct holder, h) {
    uint32_t seed = 7;
    for (int i = 1; i <= h->rounds; i++) {
        CHECK_EQ(sync_mutex_lock(&h->m), 0);
        bool again = meet_again(&h->gate, 2 * i - 1);
        spin(dice(&seed) % 2048);
        CHECK_EQ(sync_mutex_unlock(&h->m), 0);
        if (!again) break;
        meet(&h->gate, 2 * i);
        int err = sync_mutex_lock_timeout(&h->m, CHANRT_SECOND);
        CHECK_EQ(err, 0);
        CHECK_EQ(sync_mutex_unlock(&h->m), 0);
    }
}

PARTY(wait_till_the_last_moment, struct holder, h) {
    uint32_t seed = 3;
    for (int i = 1; i <= h->rounds && meet_again(&h->gate, 2 * i - 1); i++) {
        if (sync_mutex_lock_timeout(&h->m, (int64_t)(dice(&seed) % 6000)) == 0)
            CHECK_EQ(sync_mutex_unlock(&h->m), 0);
        meet(&h->gate, 2 * i);
    }
}

TEST(after_any_outcome_of_that_race_the_mutex_is_free) {
    struct holder h = { .rounds = test_rounds(20000) };
    struct crowd c = {0};
    crowd_thread(&c, unlock_at_the_last_moment, &h);
    crowd_add(&c, test_workers() == 1, wait_till_the_last_moment, &h);
    crowd_join(&c);
}

// The quick unlock, caught in the middle: between its looks and its store, or while the store is on
// its way. The waiter that has queued just then must be woken by it, since no other unlock comes.
struct caught {
    sync_mutex m;
    atomic_int gate;
    uint32_t seed;
    int rounds;
};

static void *unlock_quickly(void *p) {
    struct caught *k = p;
    for (int i = 1; i <= k->rounds; i++) {
        for (int n = 0; n < 1100; n++) {         // so that nobody has waited for long
            CHECK_EQ(sync_mutex_lock(&k->m), 0);
            CHECK_EQ(sync_mutex_unlock(&k->m), 0);
        }
        CHECK_EQ(sync_mutex_lock(&k->m), 0);
        bool again = meet_again(&k->gate, 2 * i - 1);
        if (i % 2) aim_begin(&k->seed);
        else spin(dice(&k->seed) % 4096);
        CHECK_EQ(sync_mutex_unlock(&k->m), 0);
        aim_end();
        if (!again) break;
        meet(&k->gate, 2 * i);
    }
    return NULL;
}

TEST(the_quick_unlock_reaches_a_waiter_that_comes_in_the_middle_of_it) {
    if (test_seeded()) return;                   // nobody comes in the middle
    struct caught k = { .seed = 11, .rounds = (int)test_rounds(4000) };
    pthread_t thread;
    CHECK_EQ(chanrt_start(NULL), 0);             // unlocks are quick only once the pool runs
    CHECK_EQ(pthread_create(&thread, NULL, unlock_quickly, &k), 0);
    cpu_set_t all = apart(thread);
    for (int i = 1; i <= k.rounds && meet_again(&k.gate, 2 * i - 1); i++) {
        if (i % 2) stall(thread);
        int err = sync_mutex_lock_timeout(&k.m, 2000 * test_unit);
        unstall();
        if (CHECK_EQ(err, 0)) CHECK_EQ(sync_mutex_unlock(&k.m), 0);
        meet(&k.gate, 2 * i);
    }
    CHECK_EQ(join_thread(thread), 0);
    set_free(all);
}

struct counted {
    sync_mutex m;
    int users;
};

// The last user frees what the mutex is in as soon as it has unlocked it; the others are about to
// return from their unlock.
PARTY(use_and_free, struct counted *, slot) {
    struct counted *k = *slot;
    CHECK_EQ(sync_mutex_lock(&k->m), 0);
    bool last = --k->users == 0;
    CHECK_EQ(sync_mutex_unlock(&k->m), 0);
    if (last) {
        memset(k, 0xff, sizeof *k);
        free(k);
    }
}

// case 31
TEST(the_mutex_may_be_freed_by_whoever_unlocks_it_last) {
    for (long i = 0; i < test_rounds(20000); i++) {
        struct counted *k = calloc(1, sizeof *k);
        struct crowd c = {0};
        k->users = 4;
        for (int n = 0; n < 4; n++) crowd_task(&c, use_and_free, &k);
        crowd_join(&c);
    }
}

TASK(blocked_user, struct shared *, s) {
    CHECK_EQ(sync_mutex_lock(&s->m), 0);
    enter(s);
    leave(s);
}

TASK(echo, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, v, in) chan_send(out, v + 1);
    chan_close(out);
}

TEST(a_thousand_that_wait_take_no_worker) {
    struct shared s = { .rounds = 0 };
    struct crowd c = {0};
    CHECK_EQ(sync_mutex_lock(&s.m), 0);
    for (int i = 0; i < 1000; i++) crowd_task(&c, blocked_user, &s);
    until_blocked(1000);
    chan(int) in = chan_make(int, 0), out = chan_make(int, 0);
    CHECK_EQ(go(echo, in, out), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(chan_send(in, i), 0);
        CHECK_EQ(chan_get(out), i + 1);
    }
    chan_close(in);
    CHECK_EQ(chan_recv(out, NULL), EPIPE);
    CHECK_EQ(sync_mutex_unlock(&s.m), 0);
    crowd_join(&c);
    CHECK_EQ(s.plain, 1000);
    chan_free(in);
    chan_free(out);
}

// Many mutexes at once, so that several share what the runtime keeps per address.
struct field {
    sync_mutex m[1000];
    long count[1000];
    long rounds;
};

PARTY(work_the_field, struct field, f) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    for (long i = 0; i < f->rounds; i++) {
        uint32_t at = dice(&seed) % 1000;
        if (i % 2) at %= 4;
        CHECK_EQ(sync_mutex_lock(&f->m[at]), 0);
        f->count[at]++;
        if (i % 16 == 0) task_yield();
        CHECK_EQ(sync_mutex_unlock(&f->m[at]), 0);
    }
}

TEST(mutexes_do_not_disturb_one_another) {
    struct field *f = calloc(1, sizeof *f);
    struct crowd c = {0};
    f->rounds = test_rounds(50000);
    for (int i = 0; i < 8; i++) crowd_add(&c, i >= 6, work_the_field, f);
    crowd_join(&c);
    long sum = 0;
    for (int i = 0; i < 1000; i++) {
        sum += f->count[i];
        CHECK_EQ(sync_mutex_unlock(&f->m[i]), EINVAL);
    }
    CHECK_EQ(sum, 8 * f->rounds);
    free(f);
}

// case 94
static struct {
    char odd;
    sync_mutex m;
    char after;
    sync_mutex n;
} aligned_by_nobody;

TEST(statics_and_members_need_no_initialiser) {
    CHECK_EQ(sync_mutex_lock(&aligned_by_nobody.m), 0);
    CHECK_EQ(sync_mutex_lock(&aligned_by_nobody.n), 0);
    CHECK_EQ(aligned_by_nobody.odd + aligned_by_nobody.after, 0);
    CHECK_EQ(sync_mutex_unlock(&aligned_by_nobody.m), 0);
    CHECK_EQ(sync_mutex_unlock(&aligned_by_nobody.n), 0);
}

static sync_mutex outlives;

TASK(holds_for_ever, chan(int), ch) {
    CHECK_EQ(sync_mutex_lock(&outlives), 0);
    chan_recv(ch, NULL);
}

TASK(wants_it, int, unused) {
    (void)unused;
    sync_mutex_lock(&outlives);
}

// Tasks that wait for a mutex are reclaimed by a shutdown; what they have locked stays locked,
// and the mutex goes on working.
CHILD(shutdown_with_waiters) {
    chan(int) ch = chan_make(int, 0);
    go(holds_for_ever, ch);
    until_blocked(1);
    for (int i = 0; i < 5; i++) go(wants_it, i);
    until_blocked(6);
    if (chanrt_shutdown(0) != EBUSY) return 1;
    if (sync_mutex_trylock(&outlives) != EAGAIN) return 2;
    if (sync_mutex_unlock(&outlives) != 0) return 3;
    struct shared s = { .rounds = 1000 };
    struct crowd c = {0};
    for (int i = 0; i < 8; i++) crowd_add(&c, i >= 6, count_and_yield, &s);
    crowd_join(&c);
    if (s.plain != 8000 || sync_mutex_trylock(&outlives) != 0) return 4;
    return 7;
}

TEST(a_shutdown_reclaims_those_who_wait) {
    struct test_child r = test_run_child("shutdown_with_waiters", 20000);
    if (!CHECK_EQ(r.status, 7)) fprintf(stderr, "%s\n", r.out);
    CHECK(strstr(r.out, "sync.Mutex.Lock " POINTER) != NULL);
    test_child_free(&r);
}
