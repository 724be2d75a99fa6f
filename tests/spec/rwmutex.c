// Reader-writer mutexes: who gets in with whom, in which order, timeouts, misuse (catalogue J, 81,
// 85, 86, and 31).
#include "spec.h"

enum { WRITER = 10000 };     // what a writer adds to the activity, where a reader adds 1

struct hammer {
    sync_rwmutex rw;
    atomic_int activity;
    long plain;              // written by writers, read by readers
    long rounds;
    atomic_long writes;
    bool timed;
};

static int64_t some_time(struct hammer *h, uint32_t *seed) {
    return h->timed ? (int64_t)(dice(seed) % 3000) : -1;
}

PARTY(hammer_reading, struct hammer, h) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    for (long i = 0; i < h->rounds && in_time(i); i++) {
        int err = i % 16 == 0 ? sync_rwmutex_tryrlock(&h->rw)
                              : sync_rwmutex_rlock_timeout(&h->rw, some_time(h, &seed));
        if (err != 0) {
            CHECK(err == (i % 16 == 0 ? EAGAIN : ETIMEDOUT));
            continue;
        }
        int now = atomic_fetch_add(&h->activity, 1) + 1;
        CHECK(now >= 1 && now < WRITER);
        CHECK(h->plain >= 0);
        if (i % 3 == 0) spin(dice(&seed) % 128);
        if (i % 5 == 0) task_yield();
        atomic_fetch_sub(&h->activity, 1);
        CHECK_EQ(sync_rwmutex_runlock(&h->rw), 0);
    }
}

PARTY(hammer_writing, struct hammer, h) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    for (long i = 0; i < h->rounds && in_time(i); i++) {
        int err = i % 16 == 0 ? sync_rwmutex_trylock(&h->rw)
                              : sync_rwmutex_lock_timeout(&h->rw, some_time(h, &seed));
        if (err != 0) {
            CHECK(err == (i % 16 == 0 ? EAGAIN : ETIMEDOUT));
            continue;
        }
        CHECK_EQ(atomic_fetch_add(&h->activity, WRITER), 0);
        h->plain++;
        atomic_fetch_add(&h->writes, 1);
        if (i % 3 == 0) spin(dice(&seed) % 128);
        if (i % 5 == 0) task_yield();
        CHECK_EQ(atomic_fetch_sub(&h->activity, WRITER), WRITER);
        CHECK_EQ(sync_rwmutex_unlock(&h->rw), 0);
    }
}

static void check_hammer(int readers, int writers, int threads, long rounds, bool timed) {
    struct hammer h = { .rounds = rounds, .timed = timed };
    struct crowd c = {0};
    for (int i = 0; i < readers; i++) crowd_add(&c, i < threads, hammer_reading, &h);
    for (int i = 0; i < writers; i++) crowd_add(&c, i < threads, hammer_writing, &h);
    crowd_join(&c);
    CHECK_EQ(h.plain, atomic_load(&h.writes));
    CHECK_EQ(sync_rwmutex_unlock(&h.rw), EINVAL);
    CHECK_EQ(sync_rwmutex_runlock(&h.rw), EINVAL);
    CHECK_EQ(sync_rwmutex_trylock(&h.rw), 0);
    CHECK_EQ(sync_rwmutex_unlock(&h.rw), 0);
}

// case 85
TEST(readers_overlap_and_writers_exclude_in_every_mix) {
    static const int mix[][3] = { { 1, 1, 0 }, { 3, 1, 1 }, { 10, 1, 0 }, { 10, 2, 2 },
                                  { 4, 4, 2 }, { 1, 8, 1 }, { 0, 4, 2 }, { 8, 0, 2 },
                                  { 20, 3, 3 }, { 2, 2, 2 } };
    for (size_t i = 0; i < sizeof mix / sizeof mix[0]; i++)
        check_hammer(mix[i][0], mix[i][1], mix[i][2], test_rounds(10000), false);
}

enum { ROAD = 200 };

// Rwmutexes one after the other, all of them fresh: on each, readers overlap for the first time,
// and writers meet an only reader.
struct road {
    sync_rwmutex rw[ROAD];
    long writes[ROAD];
    atomic_int inside[ROAD];
};

PARTY(going_along, struct road, r) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    for (int i = 0; i < ROAD; i++) {
        for (uint32_t k = dice(&seed) % 40; k > 0; k--) {
            if (k % 7 == 0 ? sync_rwmutex_tryrlock(&r->rw[i]) : sync_rwmutex_rlock(&r->rw[i]))
                continue;
            CHECK(atomic_fetch_add(&r->inside[i], 1) >= 0);
            CHECK(r->writes[i] >= 0);
            if (k % 5 == 0) task_yield();
            CHECK(atomic_fetch_sub(&r->inside[i], 1) > 0);
            CHECK_EQ(sync_rwmutex_runlock(&r->rw[i]), 0);
        }
        CHECK_EQ(sync_rwmutex_lock(&r->rw[i]), 0);
        CHECK_EQ(atomic_fetch_add(&r->inside[i], -WRITER), 0);
        r->writes[i]++;
        CHECK_EQ(atomic_fetch_add(&r->inside[i], WRITER), -WRITER);
        CHECK_EQ(sync_rwmutex_unlock(&r->rw[i]), 0);
    }
}

// case 85
TEST(nobody_is_lost_when_an_only_reader_gets_company) {
    enum { TASKS = 3, THREADS = 1 };
    for (int round = 0; round < test_rounds(100); round++) {
        struct road *r = calloc(1, sizeof *r);
        struct crowd c = {0};
        for (int i = 0; i < TASKS + THREADS; i++) crowd_add(&c, i < THREADS, going_along, r);
        crowd_join(&c);
        for (int i = 0; i < ROAD; i++) {
            CHECK_EQ(r->writes[i], TASKS + THREADS);
            CHECK_EQ(sync_rwmutex_runlock(&r->rw[i]), EINVAL);
            CHECK_EQ(sync_rwmutex_trylock(&r->rw[i]), 0);
            CHECK_EQ(sync_rwmutex_unlock(&r->rw[i]), 0);
        }
        free(r);
    }
}

struct guest {
    sync_rwmutex rw;
    atomic_int here, stop;
};

TASK(comes_and_goes, struct guest *, g) {
    atomic_store(&g->here, 1);
    while (!atomic_load_explicit(&g->stop, memory_order_relaxed)) {
        sync_rwmutex_rlock(&g->rw);
        sync_rwmutex_runlock(&g->rw);
    }
}

// case 85: the thread's reading counts, whatever the task is just doing.
TEST(who_joins_a_reader_that_comes_and_goes_keeps_writers_out) {
    uint32_t seed = 7;
    for (int round = 0; round < test_rounds(20000) && in_time(round); round++) {
        struct guest g = {0};
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, comes_and_goes, &g), 0);
        while (!atomic_load(&g.here)) give_way();
        spin(dice(&seed) % 1024);
        CHECK_EQ(sync_rwmutex_rlock(&g.rw), 0);
        for (int i = 0; i < 30; i++)
            if (!CHECK_EQ(sync_rwmutex_trylock(&g.rw), EAGAIN)) break;
        CHECK_EQ(sync_rwmutex_runlock(&g.rw), 0);
        atomic_store(&g.stop, 1);
        wg_wait(&wg);
        CHECK_EQ(sync_rwmutex_trylock(&g.rw), 0);
        CHECK_EQ(sync_rwmutex_unlock(&g.rw), 0);
    }
}

// case 84, 86 *29: hundreds of thousands of times somebody gives up while the lock comes to him.
TEST(a_timeout_that_races_with_a_hand_off_neither_loses_nor_doubles_the_lock) {
    check_hammer(6, 3, 1, test_rounds(1000000) / 9, true);
}

// case 81
TEST(misuse_is_refused_and_changes_nothing) {
    sync_rwmutex rw = {0};
    CHECK_EQ(sync_rwmutex_unlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_unlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_trylock(&rw), EAGAIN);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_lock(&rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_tryrlock(&rw), EAGAIN);
    CHECK_EQ(sync_rwmutex_trylock(&rw), EAGAIN);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_unlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_rlock(NULL), EINVAL);
    CHECK_EQ(sync_rwmutex_tryrlock(NULL), EINVAL);
    CHECK_EQ(sync_rwmutex_rlock_timeout(NULL, 1), EINVAL);
    CHECK_EQ(sync_rwmutex_runlock(NULL), EINVAL);
    CHECK_EQ(sync_rwmutex_lock(NULL), EINVAL);
    CHECK_EQ(sync_rwmutex_trylock(NULL), EINVAL);
    CHECK_EQ(sync_rwmutex_lock_timeout(NULL, 1), EINVAL);
    CHECK_EQ(sync_rwmutex_unlock(NULL), EINVAL);
}

// Parties that say how far they are, by name, and let go when told.
struct scene {
    sync_rwmutex rw;
    chan(int) in;           // who has got in; small letters read
    waitgroup out;           // counted down: everybody may leave
};

TASK(reads, struct scene *, s, char, name, int64_t, ns) {
    int err = sync_rwmutex_rlock_timeout(&s->rw, ns);
    CHECK_EQ(chan_send(s->in, err == 0 ? name : '-'), 0);
    if (err != 0) return;
    wg_wait(&s->out);
    CHECK_EQ(sync_rwmutex_runlock(&s->rw), 0);
}

TASK(writes, struct scene *, s, char, name, int64_t, ns) {
    int err = sync_rwmutex_lock_timeout(&s->rw, ns);
    CHECK_EQ(chan_send(s->in, err == 0 ? name : '-'), 0);
    if (err == 0) CHECK_EQ(sync_rwmutex_unlock(&s->rw), 0);
}

static void open_scene(struct scene *s) {
    *s = (struct scene){ .in = chan_make(int, 16) };
    CHECK_EQ(wg_add(&s->out, 1), 0);
}

static void close_scene(struct scene *s) {
    chan_free(s->in);
    CHECK_EQ(sync_rwmutex_lock_timeout(&s->rw, 1000 * test_unit), 0);
    CHECK_EQ(sync_rwmutex_unlock(&s->rw), 0);
}

// case 86 *29
TEST(a_waiting_writer_keeps_new_readers_out_and_goes_first) {
    struct scene s;
    open_scene(&s);
    CHECK_EQ(sync_rwmutex_rlock(&s.rw), 0);
    CHECK_EQ(go(writes, &s, 'W', -1), 0);
    until_blocked(1);
    CHECK_EQ(sync_rwmutex_tryrlock(&s.rw), EAGAIN);
    CHECK_EQ(sync_rwmutex_rlock_timeout(&s.rw, test_unit), ETIMEDOUT);
    CHECK_EQ(go(reads, &s, 'a', -1), 0);
    CHECK_EQ(go(reads, &s, 'b', -1), 0);
    until_blocked(3);
    CHECK_EQ(chan_len(s.in), 0);
    CHECK_EQ(sync_rwmutex_runlock(&s.rw), 0);
    CHECK_EQ(chan_get(s.in), 'W');
    CHECK_EQ(chan_get(s.in) + chan_get(s.in), 'a' + 'b');
    CHECK_EQ(wg_done(&s.out), 0);
    close_scene(&s);
}

// case 86 *29: once more, with more time, until the readers came while the writer waited.
TEST(a_writer_that_gives_up_lets_the_readers_behind_it_in) {
    bool behind = false;
    for (int64_t ns = 50 * test_unit; !behind; ns *= 2) {
        struct scene s;
        open_scene(&s);
        CHECK_EQ(sync_rwmutex_rlock(&s.rw), 0);
        CHECK_EQ(go(writes, &s, 'W', ns), 0);
        behind = blocked_before(1, s.in);
        for (char c = 'a'; c < 'd'; c++) CHECK_EQ(go(reads, &s, c, -1), 0);
        behind = behind && blocked_before(4, s.in);
        int sum = 0;
        for (int i = 0; i < 4; i++) sum += chan_get(s.in);
        CHECK_EQ(sum, '-' + 'a' + 'b' + 'c');
        CHECK_EQ(sync_rwmutex_tryrlock(&s.rw), 0);
        CHECK_EQ(sync_rwmutex_runlock(&s.rw), 0);
        CHECK_EQ(sync_rwmutex_runlock(&s.rw), 0);
        CHECK_EQ(wg_done(&s.out), 0);
        close_scene(&s);
    }
}

// case 86 *29: of two writers one gives up: the readers go on waiting for the other.
TEST(a_writer_that_gives_up_leaves_another_ones_place) {
    bool behind = false;
    for (int64_t ns = 50 * test_unit; !behind; ns *= 2) {
        struct scene s;
        open_scene(&s);
        CHECK_EQ(sync_rwmutex_rlock(&s.rw), 0);
        CHECK_EQ(go(writes, &s, 'V', ns), 0);
        behind = blocked_before(1, s.in);
        CHECK_EQ(go(writes, &s, 'W', -1), 0);
        behind = behind && blocked_before(2, s.in);
        CHECK_EQ(go(reads, &s, 'a', -1), 0);
        behind = behind && blocked_before(3, s.in);
        CHECK_EQ(chan_get(s.in), '-');
        until_blocked(2);
        CHECK_EQ(chan_len(s.in), 0);
        CHECK_EQ(sync_rwmutex_runlock(&s.rw), 0);
        CHECK_EQ(chan_get(s.in), 'W');
        CHECK_EQ(chan_get(s.in), 'a');
        CHECK_EQ(wg_done(&s.out), 0);
        close_scene(&s);
    }
}

// case 86: all readers that wait get in when a writer leaves, before the writers that came first.
TEST(readers_that_waited_get_in_before_the_next_writer) {
    struct scene s;
    open_scene(&s);
    CHECK_EQ(sync_rwmutex_lock(&s.rw), 0);
    CHECK_EQ(go(writes, &s, 'V', -1), 0);
    CHECK_EQ(go(writes, &s, 'W', -1), 0);
    until_blocked(2);
    for (char c = 'a'; c < 'e'; c++) CHECK_EQ(go(reads, &s, c, -1), 0);
    until_blocked(6);
    CHECK_EQ(sync_rwmutex_unlock(&s.rw), 0);
    int sum = 0;
    for (int i = 0; i < 4; i++) sum += chan_get(s.in);
    CHECK_EQ(sum, 'a' + 'b' + 'c' + 'd');
    until_blocked(6);        // the readers are in, and the writers wait for all of them
    CHECK_EQ(chan_len(s.in), 0);
    CHECK_EQ(wg_done(&s.out), 0);
    CHECK_EQ(chan_get(s.in) + chan_get(s.in), 'V' + 'W');
    close_scene(&s);
}

// On one worker nobody is interrupted, so after the first wait there is nothing to wait for; but
// everybody would, for those who were handed the lock while they waited and do not run yet.
struct convoy {
    sync_rwmutex rw;
    long value;
    waitgroup done;
};

TASK(writes_once_in_a_hundred, struct convoy *, c) {
    for (int i = 1; i <= 10000; i++) {
        if (i % 100 == 0) {
            CHECK_EQ(sync_rwmutex_lock(&c->rw), 0);
            c->value++;
            CHECK_EQ(sync_rwmutex_unlock(&c->rw), 0);
        } else {
            CHECK_EQ(sync_rwmutex_rlock(&c->rw), 0);
            if (i == 50) task_yield();
            CHECK_EQ(sync_rwmutex_runlock(&c->rw), 0);
        }
    }
    CHECK_EQ(wg_done(&c->done), 0);
}

TEST(a_wait_does_not_lead_to_a_wait_for_every_lock_after_it) {
    for (int tasks = 2; tasks <= 4; tasks++) {
        struct convoy c = {0};
        chanrt_statistics before, after;
        chanrt_stats(&before);
        CHECK_EQ(wg_add(&c.done, tasks), 0);
        for (int i = 0; i < tasks; i++) CHECK_EQ(go(writes_once_in_a_hundred, &c), 0);
        wg_wait(&c.done);
        chanrt_stats(&after);
        CHECK_EQ(c.value, tasks * 100);
        if (chanrt_workers() == 1 && !test_seeded()) CHECK(after.parks - before.parks < 50);
    }
}

// Readers that never leave a gap do not starve a writer, nor writers a reader.
struct crowded {
    sync_rwmutex rw;
    atomic_bool stop;
    atomic_long reads, writes;
};

PARTY(read_without_a_gap, struct crowded, k) {
    while (!atomic_load(&k->stop)) {
        CHECK_EQ(sync_rwmutex_rlock(&k->rw), 0);
        atomic_fetch_add(&k->reads, 1);
        task_yield();
        CHECK_EQ(sync_rwmutex_runlock(&k->rw), 0);
    }
}

PARTY(write_without_a_gap, struct crowded, k) {
    while (!atomic_load(&k->stop)) {
        CHECK_EQ(sync_rwmutex_lock(&k->rw), 0);
        atomic_fetch_add(&k->writes, 1);
        task_yield();
        CHECK_EQ(sync_rwmutex_unlock(&k->rw), 0);
    }
}

// A seed may let everybody else go first for long, while time stands still but for jumps: then it
// is enough that nobody waits for ever.
TEST(neither_readers_nor_writers_starve_the_others) {
    struct crowded k = {0};
    struct crowd c = {0};
    int64_t most = test_seeded() ? -1 : 1000 * test_unit;
    for (int i = 0; i < 6; i++) crowd_add(&c, i == 0, read_without_a_gap, &k);
    for (int i = 0; i < 100 || atomic_load(&k.reads) == 0; i++) {
        CHECK_EQ(sync_rwmutex_lock_timeout(&k.rw, most), 0);
        CHECK_EQ(sync_rwmutex_unlock(&k.rw), 0);
    }
    for (int i = 0; i < 6; i++) crowd_add(&c, i == 0, write_without_a_gap, &k);
    for (int i = 0; i < 100 || atomic_load(&k.writes) == 0; i++) {
        CHECK_EQ(sync_rwmutex_rlock_timeout(&k.rw, most), 0);
        CHECK_EQ(sync_rwmutex_runlock(&k.rw), 0);
    }
    atomic_store(&k.stop, true);
    crowd_join(&c);
}

PARTY(times_out, sync_rwmutex, rw) {
    int64_t start = chanrt_now();
    CHECK_EQ(sync_rwmutex_rlock_timeout(rw, 3 * test_unit), ETIMEDOUT);
    CHECK_EQ(sync_rwmutex_lock_timeout(rw, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 6 * test_unit);
    CHECK_EQ(sync_rwmutex_rlock_timeout(rw, 0), ETIMEDOUT);
    CHECK_EQ(sync_rwmutex_lock_timeout(rw, 0), ETIMEDOUT);
}

// case 84
TEST(a_timed_lock_is_never_short_and_leaves_nothing_behind) {
    sync_rwmutex rw = {0};
    struct crowd c = {0};
    CHECK_EQ(sync_rwmutex_lock_timeout(&rw, INT64_MAX), 0);
    for (int i = 0; i < 10; i++) crowd_add(&c, i >= 8, times_out, &rw);
    crowd_join(&c);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_rlock_timeout(&rw, 0), 0);
    CHECK_EQ(sync_rwmutex_rlock_timeout(&rw, INT64_MAX), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_trylock(&rw), 0);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
}

struct counted {
    sync_rwmutex rw;
    atomic_int users;
};

PARTY(read_and_free, struct counted *, slot) {
    struct counted *k = *slot;
    CHECK_EQ(sync_rwmutex_rlock(&k->rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&k->rw), 0);
    CHECK_EQ(sync_rwmutex_lock(&k->rw), 0);
    bool last = atomic_fetch_sub(&k->users, 1) == 1;
    CHECK_EQ(sync_rwmutex_unlock(&k->rw), 0);
    if (last) {
        memset(k, 0xff, sizeof *k);
        free(k);
    }
}

// case 31
TEST(it_may_be_freed_by_whoever_unlocks_it_last) {
    for (long i = 0; i < test_rounds(20000); i++) {
        struct counted *k = calloc(1, sizeof *k);
        struct crowd c = {0};
        atomic_store(&k->users, 4);
        for (int n = 0; n < 4; n++) crowd_task(&c, read_and_free, &k);
        crowd_join(&c);
    }
}

static sync_rwmutex outlives;

TASK(reads_for_ever, chan(int), ch) {
    CHECK_EQ(sync_rwmutex_rlock(&outlives), 0);
    chan_recv(ch, NULL);
}

TASK(queues, bool, writer) {
    if (writer) sync_rwmutex_lock(&outlives);
    else sync_rwmutex_rlock(&outlives);
}

CHILD(shutdown_with_waiters) {
    chan(int) ch = chan_make(int, 0);
    go(reads_for_ever, ch);
    until_blocked(1);
    go(queues, true);
    until_blocked(2);
    go(queues, false);
    until_blocked(3);
    if (chanrt_shutdown(0) != EBUSY) return 1;
    if (sync_rwmutex_runlock(&outlives) != 0) return 2;
    if (sync_rwmutex_rlock_timeout(&outlives, CHANRT_SECOND) != 0) return 3;
    if (sync_rwmutex_runlock(&outlives) != 0) return 4;
    if (sync_rwmutex_lock_timeout(&outlives, CHANRT_SECOND) != 0) return 5;
    return sync_rwmutex_unlock(&outlives) != 0 ? 6 : 7;
}

TEST(a_shutdown_reclaims_those_who_wait) {
    struct test_child r = test_run_child("shutdown_with_waiters", 20000);
    if (!CHECK_EQ(r.status, 7)) fprintf(stderr, "%s\n", r.out);
    CHECK(strstr(r.out, "sync.RWMutex.Lock " POINTER) != NULL);
    CHECK(strstr(r.out, "sync.RWMutex.RLock " POINTER) != NULL);
    test_child_free(&r);
}
