// Conditions: one signal, one waiter, in their order; timeouts (catalogue J, 88 to 91, and 31).
#include "spec.h"

struct ring {
    sync_mutex m;
    sync_cond c;
    int awake, generation;   // changed with m locked
    long rounds;
};

TASK(wait_once, struct ring *, r, int, id, chan(int), woken) {
    CHECK_EQ(sync_mutex_lock(&r->m), 0);
    CHECK_EQ(sync_cond_wait(&r->c, &r->m), 0);
    r->awake++;
    CHECK_EQ(sync_mutex_trylock(&r->m), EAGAIN);
    CHECK_EQ(sync_mutex_unlock(&r->m), 0);
    CHECK_EQ(chan_send(woken, id), 0);
}

static void *signal_it(void *c) {
    CHECK_EQ(sync_cond_signal(c), 0);
    return NULL;
}

// case 88
TEST(a_signal_wakes_exactly_one_in_the_order_they_came) {
    enum { WAITERS = 100 };
    struct ring r = {0};
    chan(int) woken = chan_make(int, WAITERS);
    CHECK_EQ(sync_cond_signal(&r.c), 0);         // nobody waits: it is not kept
    CHECK_EQ(sync_cond_broadcast(&r.c), 0);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(go(wait_once, &r, i, woken), 0);
        until_blocked(i + 1);
    }
    for (int i = 0; i < WAITERS; i++) {
        if (i % 10 == 0) {
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, NULL, signal_it, &r.c), 0);
            CHECK_EQ(join_thread(thread), 0);
        } else {
            if (i % 2) CHECK_EQ(sync_mutex_lock(&r.m), 0);
            CHECK_EQ(sync_cond_signal(&r.c), 0);
            if (i % 2) CHECK_EQ(sync_mutex_unlock(&r.m), 0);
        }
        CHECK_EQ(chan_get(woken), i);
        CHECK_EQ(chan_len(woken), 0);
    }
    chan_free(woken);
}

// case 88: each wakes for its own turn only, generation after generation.
PARTY(take_turns, struct ring, r) {
    CHECK_EQ(sync_mutex_lock(&r->m), 0);
    for (long i = 0; i < r->rounds; i++) {
        int mine = r->generation++;
        while (r->awake < mine) CHECK_EQ(sync_cond_wait(&r->c, &r->m), 0);
        CHECK_EQ(r->awake, mine);
        r->awake++;
        CHECK_EQ(sync_cond_broadcast(&r->c), 0);
        if (i % 3 == 0) {
            CHECK_EQ(sync_mutex_unlock(&r->m), 0);
            task_yield();
            CHECK_EQ(sync_mutex_lock(&r->m), 0);
        }
    }
    CHECK_EQ(sync_mutex_unlock(&r->m), 0);
}

TEST(tasks_and_threads_take_turns) {
    struct ring r = { .rounds = test_rounds(3000) };
    struct crowd c = {0};
    for (int i = 0; i < 6; i++) crowd_add(&c, i >= 4, take_turns, &r);
    crowd_join(&c);
    CHECK_EQ(r.awake, 6 * r.rounds);
}

struct herd {
    sync_mutex m;
    sync_cond all, last;
    int waiting, round, rounds, size;
};

PARTY(follow, struct herd, h) {
    CHECK_EQ(sync_mutex_lock(&h->m), 0);
    for (int i = 0; i < h->rounds; i++) {
        if (++h->waiting == h->size) CHECK_EQ(sync_cond_signal(&h->last), 0);
        CHECK_EQ(sync_cond_wait(&h->all, &h->m), 0);
        CHECK_EQ(h->round, i + 1);               // woken once in each round, by its broadcast
    }
    CHECK_EQ(sync_mutex_unlock(&h->m), 0);
}

// case 89
TEST(a_broadcast_wakes_every_waiter_once_a_round) {
    struct herd h = { .rounds = (int)test_rounds(200), .size = 204 };
    struct crowd c = {0};
    for (int i = 0; i < h.size; i++) crowd_add(&c, i >= 200, follow, &h);
    CHECK_EQ(sync_mutex_lock(&h.m), 0);
    for (int i = 0; i < h.rounds; i++) {
        while (h.waiting < h.size) CHECK_EQ(sync_cond_wait(&h.last, &h.m), 0);
        h.waiting = 0;
        h.round++;
        CHECK_EQ(sync_cond_broadcast(&h.all), 0);
    }
    CHECK_EQ(sync_mutex_unlock(&h.m), 0);
    crowd_join(&c);
}

// Waits after the signal was given, and before the one it was for has got going.
struct thief {
    sync_mutex m;
    sync_cond c;
    bool signalled;
    atomic_bool first_woke, thief_in;
};

PARTY(wait_honestly, struct thief, t) {
    CHECK_EQ(sync_mutex_lock(&t->m), 0);
    CHECK_EQ(sync_cond_wait(&t->c, &t->m), 0);
    CHECK(t->signalled);
    atomic_store(&t->first_woke, true);
    CHECK_EQ(sync_mutex_unlock(&t->m), 0);
}

PARTY(wait_like_a_thief, struct thief, t) {
    CHECK_EQ(sync_mutex_lock(&t->m), 0);
    CHECK(t->signalled);
    atomic_store(&t->thief_in, true);
    CHECK_EQ(sync_cond_wait(&t->c, &t->m), 0);
    CHECK(atomic_load(&t->first_woke));
    CHECK_EQ(sync_mutex_unlock(&t->m), 0);
}

// case 90 *30
TEST(who_waits_after_the_signal_cannot_steal_it) {
    for (long i = 0; i < test_rounds(1000); i++) {
        struct thief t = {0};
        struct crowd c = {0};
        crowd_add(&c, i % 16 == 0, wait_honestly, &t);
        until_blocked(1);
        CHECK_EQ(sync_mutex_lock(&t.m), 0);
        t.signalled = true;
        CHECK_EQ(sync_cond_signal(&t.c), 0);     // nobody gets m before the thief is there, too
        crowd_add(&c, i % 16 == 8, wait_like_a_thief, &t);
        if (i % 2) task_yield();
        CHECK_EQ(sync_mutex_unlock(&t.m), 0);
        int64_t end = chanrt_now() + 5000 * test_unit;
        while (!atomic_load(&t.first_woke) && chanrt_now() < end) task_sleep(CHANRT_MICROSECOND);
        CHECK(atomic_load(&t.first_woke));
        while (!atomic_load(&t.thief_in) && chanrt_now() < end) task_sleep(CHANRT_MICROSECOND);
        CHECK_EQ(sync_mutex_lock(&t.m), 0);      // now it waits for the signal, no longer for m
        CHECK_EQ(sync_cond_signal(&t.c), 0);
        CHECK_EQ(sync_mutex_unlock(&t.m), 0);
        crowd_join(&c);
    }
}

PARTY(wait_in_vain, struct ring, r) {
    CHECK_EQ(sync_mutex_lock(&r->m), 0);
    int64_t start = chanrt_now();
    CHECK_EQ(sync_cond_wait_timeout(&r->c, &r->m, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
    CHECK_EQ(r->awake++, r->generation++);       // with m locked, both are one
    CHECK_EQ(sync_cond_wait_timeout(&r->c, &r->m, 0), ETIMEDOUT);
    CHECK_EQ(sync_mutex_trylock(&r->m), EAGAIN);
    CHECK_EQ(sync_mutex_unlock(&r->m), 0);
}

// case 91
TEST(a_wait_that_times_out_has_the_mutex_again) {
    struct ring r = {0};
    struct crowd c = {0};
    for (int i = 0; i < 10; i++) crowd_add(&c, i >= 8, wait_in_vain, &r);
    wait_in_vain_body(&r);
    crowd_join(&c);
    CHECK_EQ(r.awake, 11);
    CHECK_EQ(sync_mutex_unlock(&r.m), EINVAL);
}

// Signals are counted out and in: one that falls to a waiter whose time is up must fall to the
// next, and one waiter never takes two.
struct count {
    sync_mutex m;
    sync_cond c;
    long sent, taken, waiting, rounds;
    bool stop;
};

PARTY(wait_for_a_while, struct count, k) {
    uint32_t seed = (uint32_t)(uintptr_t)&seed | 1;
    CHECK_EQ(sync_mutex_lock(&k->m), 0);
    while (!k->stop) {
        k->waiting++;
        int err = sync_cond_wait_timeout(&k->c, &k->m, (int64_t)(dice(&seed) % 20000));
        k->waiting--;
        CHECK(err == 0 || err == ETIMEDOUT);
        k->taken += err == 0;
    }
    CHECK_EQ(sync_mutex_unlock(&k->m), 0);
}

PARTY(wait_patiently, struct count, k) {
    CHECK_EQ(sync_mutex_lock(&k->m), 0);
    while (!k->stop) {
        CHECK_EQ(sync_cond_wait(&k->c, &k->m), 0);
        k->taken++;
    }
    CHECK_EQ(sync_mutex_unlock(&k->m), 0);
}

PARTY(send_signals, struct count, k) {
    uint32_t seed = 5;
    for (long i = 0; i < k->rounds && in_time(i); i++) {
        CHECK_EQ(sync_mutex_lock(&k->m), 0);
        CHECK_EQ(sync_cond_signal(&k->c), 0);
        k->sent++;
        CHECK_EQ(sync_mutex_unlock(&k->m), 0);
        // The patient one always waits when all that was sent was taken: nothing sent is lost.
        for (;;) {
            CHECK_EQ(sync_mutex_lock(&k->m), 0);
            CHECK(k->taken <= k->sent);
            bool all = k->taken == k->sent;
            CHECK_EQ(sync_mutex_unlock(&k->m), 0);
            if (all) break;
            task_yield();
        }
        if (i % 4 == 0) spin(dice(&seed) % 1024);
    }
    CHECK_EQ(sync_mutex_lock(&k->m), 0);
    k->stop = true;
    CHECK_EQ(sync_cond_broadcast(&k->c), 0);
    CHECK_EQ(sync_mutex_unlock(&k->m), 0);
}

// case 91, 83
TEST(a_signal_is_never_lost_to_a_waiter_whose_time_is_up) {
    struct count k = { .rounds = test_rounds(30000) };
    struct crowd c = {0};
    crowd_task(&c, wait_patiently, &k);
    until_blocked(1);
    for (int i = 0; i < 4; i++) crowd_add(&c, i == 3, wait_for_a_while, &k);
    crowd_add(&c, test_workers() == 1, send_signals, &k);
    crowd_join(&c);
    CHECK_EQ(k.waiting, 0);
}

TEST(misuse_is_refused_and_changes_nothing) {
    struct ring r = {0};
    CHECK_EQ(sync_cond_wait(NULL, &r.m), EINVAL);
    CHECK_EQ(sync_cond_wait(&r.c, NULL), EINVAL);
    CHECK_EQ(sync_cond_wait(&r.c, &r.m), EINVAL);        // not locked
    CHECK_EQ(sync_cond_wait_timeout(&r.c, &r.m, 1000), EINVAL);
    CHECK_EQ(sync_cond_wait_timeout(&r.c, &r.m, 0), EINVAL);
    CHECK_EQ(sync_cond_signal(NULL), EINVAL);
    CHECK_EQ(sync_cond_broadcast(NULL), EINVAL);
    CHECK_EQ(sync_mutex_trylock(&r.m), 0);
    CHECK_EQ(sync_cond_wait(NULL, &r.m), EINVAL);
    CHECK_EQ(sync_mutex_unlock(&r.m), 0);
}

struct passing {
    sync_mutex m;
    sync_cond c;
    bool there;
};

TASK(pass_on, struct passing *, p) {
    CHECK_EQ(sync_mutex_lock(&p->m), 0);
    p->there = true;
    CHECK_EQ(sync_cond_broadcast(&p->c), 0);
    CHECK_EQ(sync_mutex_unlock(&p->m), 0);
}

PARTY(receive_and_free, long, rounds) {
    for (long i = 0; i < *rounds; i++) {
        struct passing *p = calloc(1, sizeof *p);
        CHECK_EQ(go(pass_on, p), 0);
        CHECK_EQ(sync_mutex_lock(&p->m), 0);
        while (!p->there) CHECK_EQ(sync_cond_wait(&p->c, &p->m), 0);
        CHECK_EQ(sync_mutex_unlock(&p->m), 0);
        memset(p, 0xff, sizeof *p);              // the waker must not look at it again
        free(p);
    }
}

// case 31
TEST(both_may_be_freed_the_moment_the_wait_returns) {
    long rounds = test_rounds(5000);
    struct crowd c = {0};
    for (int i = 0; i < 4; i++) crowd_add(&c, i == 3, receive_and_free, &rounds);
    crowd_join(&c);
}

CHILD(nobody_signals) {
    static struct ring r;
    static sync_sem s;
    chan(int) never = chan_make(int, 0);
    sync_sem_init(&s, 1);
    sync_sem_acquire(&s, 1);
    go(wait_once, &r, 1, never);
    until_blocked(1);
    sync_sem_acquire(&s, 1);
    return 0;
}

TEST(a_deadlock_report_names_what_is_waited_for) {
    struct test_child r = test_run_child("nobody_signals", 10000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "\"wait_once\" [sync.Cond.Wait 0x") != NULL);
    CHECK(strstr(r.out, "thread [semacquire 0x") != NULL);
    test_child_free(&r);
}
