// sync.c - locks: their words, their lots, and what is left behind.
#include "unit.h"
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

static uint32_t *quiet_of(const void *object) {
    return &chanrt_x_sync_quiet[chanrt_x_sync_lot(object)];
}

static bool listed(const sync_mutex *m) {
    bool found = false;
    chanrt__os_lock(chanrt__sync_lock_of(m));
    for (sync_mutex *at = chanrt__sync_lot_of(m)->first; at != NULL; at = at->x_next)
        found |= at == m;
    chanrt__os_unlock(chanrt__sync_lock_of(m));
    return found;
}

static bool queue_is_blank(const struct chanrt_x_queue *q) {
    return q->a_first == NULL && q->last == NULL && q->claims == 0;
}

static bool mutex_is_blank(const sync_mutex *m) {
    return m->a_state == 0 && queue_is_blank(&m->x_queue) && !listed(m);
}

static void wait_until(bool (*holds)(const void *), const void *arg) {
    int64_t end = chanrt_now() + 5 * CHANRT_SECOND;
    while (!holds(arg) && chanrt_now() < end) usleep(50);
    CHECK(holds(arg));
}

static bool has_queue(const void *m) {
    return chanrt__atom_load(&((const sync_mutex *)m)->x_queue.a_first) != NULL;
}

static bool starves(const void *m) {
    return chanrt__atom_load(&((const sync_mutex *)m)->a_state) & CHANRT__SYNC_HANDOFF;
}

// Every object's own bits are told apart, and addresses spread over the lots.
TEST(addresses_spread_over_the_lots) {
    static sync_mutex field[4096];
    int hits[CHANRT_X_LOTS] = {0}, most = 0;
    for (size_t i = 0; i < 4096; i++) hits[chanrt_x_sync_lot(&field[i])]++;
    for (int i = 0; i < CHANRT_X_LOTS; i++) most = hits[i] > most ? hits[i] : most;
    CHECK(most < 64);
    CHECK_EQ(((size_t)chanrt__sync_lots) % 64, 0);
}

// A lot is quiet after so many unlocks that had nobody to wake, if the system has membarrier, and
// no longer once somebody waits.
TASK(lock_it, sync_mutex *, m) {
    CHECK_EQ(sync_mutex_lock(m), 0);
    CHECK_EQ(sync_mutex_unlock(m), 0);
}

TEST(a_lot_is_quiet_only_while_nobody_waits) {
    sync_mutex m = {0};
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, lock_it, &m), 0);        // starts the pool, which looks for membarrier
    wg_wait(&wg);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i <= CHANRT__SYNC_QUIET_AFTER; i++) {
            CHECK_EQ(sync_mutex_lock(&m), 0);
            CHECK_EQ(sync_mutex_unlock(&m), 0);
        }
        CHECK_EQ(*quiet_of(&m) != 0, chanrt__os_asymmetric && !CHANRT_DEBUG); // that looks at all
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(wg_go(&wg, lock_it, &m), 0);
        wait_until(has_queue, &m);
        CHECK_EQ(*quiet_of(&m), 0);
        CHECK(listed(&m));
        CHECK_EQ(m.a_state, CHANRT_X_LOCKED);
        CHECK_EQ(sync_mutex_unlock(&m), 0);
        wg_wait(&wg);
        CHECK(mutex_is_blank(&m));
    }
}

// The word that tells an unlock that somebody is on his way, and who may take the mutex meanwhile.
TEST(a_woken_waiter_may_be_overtaken) {
    sync_mutex m = { .a_state = CHANRT__SYNC_WOKEN };
    CHECK_EQ(sync_mutex_unlock(&m), EINVAL);
    CHECK_EQ(sync_mutex_trylock(&m), 0);
    CHECK_EQ(m.a_state, CHANRT_X_LOCKED | CHANRT__SYNC_WOKEN);
    CHECK_EQ(sync_mutex_trylock(&m), EAGAIN);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK_EQ(m.a_state, CHANRT__SYNC_WOKEN);
    CHECK(chanrt__sync_mutex_try(&m, true));     // he is there
    CHECK_EQ(m.a_state, CHANRT_X_LOCKED);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK(mutex_is_blank(&m));
}

// With a starved waiter the mutex is never free in between.
TEST(a_starved_waiter_is_handed_the_mutex) {
    sync_mutex m = {0};
    waitgroup wg = {0};
    CHECK_EQ(sync_mutex_lock(&m), 0);
    CHECK_EQ(wg_go(&wg, lock_it, &m), 0);
    wait_until(has_queue, &m);
    usleep(3000);
    CHECK_EQ(sync_mutex_unlock(&m), 0);          // he is woken, and may find it locked again
    for (int i = 0; i < 100000 && !starves(&m) && has_queue(&m); i++)
        if (sync_mutex_trylock(&m) == 0) CHECK_EQ(sync_mutex_unlock(&m), 0);
    wg_wait(&wg);

    m.a_state = CHANRT_X_LOCKED | CHANRT__SYNC_HANDOFF;
    CHECK_EQ(wg_go(&wg, lock_it, &m), 0);
    wait_until(has_queue, &m);
    CHECK_EQ(sync_mutex_trylock(&m), EAGAIN);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    wg_wait(&wg);
    CHECK(mutex_is_blank(&m));
}

TEST(a_hand_off_without_a_taker_frees_the_mutex) {
    sync_mutex m = { .a_state = CHANRT_X_LOCKED | CHANRT__SYNC_HANDOFF };
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK(mutex_is_blank(&m));
}

// A wake for a mutex that nobody waits for, or that is gone, finds nothing and touches nothing.
TEST(a_late_wake_finds_nothing) {
    const sync_mutex *m = (const sync_mutex *)(uintptr_t)64;     // touching it would be the end
    CHECK_EQ(chanrt_x_mutex_wake(m), 0);
}

TASK(lock_late, sync_mutex *, m, int64_t, ns, int, err) {
    CHECK_EQ(sync_mutex_lock_timeout(m, ns), err);
    if (err == 0) CHECK_EQ(sync_mutex_unlock(m), 0);
}

// Somebody who waits for a neighbour has made the lot unquiet, and his fence has yet to end.
TEST(who_waits_in_a_lot_that_is_just_being_woken_up_fences_too) {
    sync_mutex m = {0};
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(&m);
    CHECK_EQ(sync_mutex_lock(&m), 0);
    lot->quiets++;
    CHECK_EQ(sync_mutex_lock_timeout(&m, 1000), ETIMEDOUT);
    CHECK_EQ(lot->fenced, lot->quiets);
    CHECK_EQ(sync_mutex_unlock(&m), 0);
}

// The wake by address: stores plainly, as the quick unlock does, then says so.
TEST(a_wake_by_address_reaches_the_waiter) {
    sync_mutex m = {0};
    waitgroup wg = {0};
    for (int i = 0; i < test_rounds(300); i++) {
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(wg_go(&wg, lock_late, &m, -1, 0), 0);
        wait_until(has_queue, &m);
        chanrt__atom_store_rel(&m.a_state, 0);
        CHECK_EQ(chanrt_x_mutex_wake(&m), 0);
        wg_wait(&wg);
        CHECK(mutex_is_blank(&m));
    }
}

TEST(no_wait_leaves_a_node_behind) {
    sync_mutex m = {0};
    sync_rwmutex rw = {0};
    sync_sem s;
    sync_cond c = {0};
    CHECK_EQ(sync_sem_init(&s, 2), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sync_mutex_lock(&m), 0);
        CHECK_EQ(sync_mutex_lock_timeout(&m, 1000), ETIMEDOUT);
        CHECK(queue_is_blank(&m.x_queue) && !listed(&m));
        CHECK_EQ(sync_cond_wait_timeout(&c, &m, 1000), ETIMEDOUT);
        CHECK(queue_is_blank(&c.x_queue));
        CHECK_EQ(sync_mutex_unlock(&m), 0);
        CHECK(mutex_is_blank(&m));
        CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
        CHECK_EQ(sync_rwmutex_lock_timeout(&rw, 1000), ETIMEDOUT);
        CHECK_EQ(rw.a_state & ~(uint32_t)CHANRT_X_ALONE, CHANRT_X_READER | CHANRT_X_SHARED);
        CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
        CHECK_EQ(sync_rwmutex_lock(&rw), 0);
        CHECK_EQ(sync_rwmutex_rlock_timeout(&rw, 1000), ETIMEDOUT);
        CHECK_EQ(sync_rwmutex_lock_timeout(&rw, 1000), ETIMEDOUT);
        CHECK_EQ(rw.a_state, CHANRT_X_LOCKED | CHANRT_X_SHARED);
        CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
        CHECK(rw.a_state == CHANRT_X_SHARED);
        CHECK(queue_is_blank(&rw.x_readers) && queue_is_blank(&rw.x_writers));
        CHECK_EQ(sync_sem_acquire(&s, 1), 0);
        CHECK_EQ(sync_sem_acquire_timeout(&s, 2, 1000), ETIMEDOUT);
        CHECK_EQ(s.a_state, 2);
        CHECK_EQ(sync_sem_release(&s, 1), 0);
        CHECK(s.a_state == 4 && queue_is_blank(&s.x_queue));
    }
}

// Shared once two have wanted it at a time, not before: nobody pays for a fence twice.
TEST(a_rwmutex_is_shared_from_the_first_overlap_on) {
    sync_rwmutex rw = {0};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
        CHECK_EQ(rw.a_alone, CHANRT_X_READER);
        CHECK_EQ(sync_rwmutex_trylock(&rw), EAGAIN);
        CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
        CHECK_EQ(sync_rwmutex_lock(&rw), 0);
        CHECK_EQ(rw.a_alone, CHANRT_X_LOCKED);
        CHECK_EQ(sync_rwmutex_tryrlock(&rw), EAGAIN);
        CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
        CHECK(rw.a_alone == 0 && rw.a_state == 0);
    }
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_tryrlock(&rw), 0);
    CHECK_EQ(rw.a_state, 2 * CHANRT_X_READER + CHANRT_X_ALONE + CHANRT_X_SHARED);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_trylock(&rw), EAGAIN);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
    CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_trylock(&rw), 0);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
}

static bool rw_listed(const sync_rwmutex *rw) {
    bool found = false;
    chanrt__os_lock(chanrt__sync_lock_of(rw));
    for (const sync_rwmutex *at = chanrt__sync_lot_of(rw)->rws; at != NULL; at = at->x_next)
        found |= at == rw;
    chanrt__os_unlock(chanrt__sync_lock_of(rw));
    return found;
}

TASK(locks_rw, sync_rwmutex *, rw, bool, reader) {
    CHECK_EQ(reader ? sync_rwmutex_rlock(rw) : sync_rwmutex_lock(rw), 0);
    CHECK_EQ(reader ? sync_rwmutex_runlock(rw) : sync_rwmutex_unlock(rw), 0);
}

// By hand what who has it to himself does when he leaves, and others are there by then.
TEST(who_leaves_a_rwmutex_plainly_is_seen_to_have_left) {
    sync_rwmutex rw = {0};
    // Nobody waits: he is counted until somebody looks.
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_tryrlock(&rw), 0);
    chanrt__atom_store_rel(&rw.a_alone, 0);
    chanrt_x_rwmutex_left(&rw);
    CHECK(!rw_listed(&rw) && rw.a_state >= 2 * CHANRT_X_READER);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(rw.a_state, CHANRT_X_READER | CHANRT_X_ALONE | CHANRT_X_SHARED);
    CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
    // A writer and a reader wait: each lets the next one in.
    for (int turn = 0; turn < 3; turn++) {
        sync_rwmutex fresh = {0};
        waitgroup wg = {0};
        CHECK_EQ(turn % 2 ? sync_rwmutex_rlock(&fresh) : sync_rwmutex_lock(&fresh), 0);
        CHECK_EQ(wg_go(&wg, locks_rw, &fresh, turn == 2), 0);
        while (!rw_listed(&fresh)) sched_yield();
        CHECK(chanrt__atom_load(&fresh.a_state) & CHANRT_X_ALONE);
        chanrt__atom_store_rel(&fresh.a_alone, 0);
        chanrt_x_rwmutex_left(&fresh);
        wg_wait(&wg);
        CHECK(!rw_listed(&fresh));
        CHECK_EQ(fresh.a_state, CHANRT_X_SHARED);
    }
}

// One who left while it was being shared, and nobody waits: a second unlock is none.
TEST(a_rwmutex_left_plainly_is_not_unlocked_again) {
    sync_rwmutex rw = {0};
    CHECK_EQ(sync_rwmutex_lock(&rw), 0);
    CHECK_EQ(sync_rwmutex_rlock_timeout(&rw, 1000), ETIMEDOUT);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED | CHANRT_X_LOCKED | CHANRT_X_ALONE);
    chanrt__atom_store_rel(&rw.a_alone, 0);
    chanrt_x_rwmutex_left(&rw);
    CHECK_EQ(sync_rwmutex_unlock(&rw), EINVAL);
    CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
}

// Who took a_alone too late gives it back, and wakes on behalf of one who found it taken.
TEST(who_takes_a_rwmutex_too_late_gives_it_back) {
    sync_rwmutex rw = {0};
    waitgroup wg = {0};
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    CHECK_EQ(wg_go(&wg, locks_rw, &rw, false), 0);
    while (!rw_listed(&rw)) sched_yield();
    chanrt__atom_store_rel(&rw.a_alone, 0); // left
    CHECK(!chanrt_x_rwmutex_alone(&rw, CHANRT_X_READER)); // takes it, and gives it back
    wg_wait(&wg);
    CHECK(rw.a_state == CHANRT_X_SHARED && rw.a_alone == 0);
}

// A lot that was quiet when he left lists nobody, however long others have been there.
TEST(a_quiet_lot_is_roused_by_who_waits_for_a_rwmutex) {
    if (CHANRT_DEBUG || !chanrt__os_asymmetric) return;
    sync_rwmutex rw = {0};
    waitgroup wg = {0};
    const uint32_t *quiet = &chanrt_x_sync_quiet[chanrt_x_sync_lot(&rw)];
    for (int i = 0; i < 3 * CHANRT__SYNC_QUIET_AFTER; i++) {
        CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
        CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    }
    CHECK_EQ(chanrt__atom_load(quiet), 1);
    CHECK_EQ(sync_rwmutex_lock(&rw), 0);
    CHECK_EQ(wg_go(&wg, locks_rw, &rw, true), 0);
    while (!rw_listed(&rw)) sched_yield();
    CHECK_EQ(chanrt__atom_load(quiet), 0);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
    wg_wait(&wg);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
}

// What is handed over to nobody, since all have timed out just now, is free.
struct gone {
    struct chanrt__wait wait;
    struct chanrt__waiter node;
};

static void queue_dead(struct gone *g, struct chanrt_x_queue *q, const void *object, void *ptr) {
    chanrt__wait_begin(&g->wait, &g->node, true);
    chanrt__wait_enqueue(&g->wait, q, chanrt__sync_lock_of(object), ptr, 0);
    g->wait.a_claim = CHANRT__DONE;              // its timer was faster
}

TEST(those_whose_time_is_up_are_passed_over) {
    struct gone a, b;
    sync_rwmutex rw = { .a_state = CHANRT_X_SHARED | CHANRT_X_LOCKED | CHANRT_X_QUEUED };
    queue_dead(&a, &rw.x_readers, &rw, NULL);
    queue_dead(&b, &rw.x_writers, &rw, NULL);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
    chanrt__sync_rw_leave(&rw, &a.node);
    chanrt__sync_rw_leave(&rw, &b.node);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
    CHECK(queue_is_blank(&rw.x_readers) && queue_is_blank(&rw.x_writers));

    sync_sem s;
    CHECK_EQ(sync_sem_init(&s, 4), 0);
    CHECK_EQ(sync_sem_acquire(&s, 4), 0);
    s.a_state |= 1;
    queue_dead(&a, &s.x_queue, &s, (void *)4);
    queue_dead(&b, &s.x_queue, &s, (void *)1);
    CHECK_EQ(sync_sem_release(&s, 2), 0);        // the first needs more, and has yet to leave
    CHECK_EQ(s.a_state, 2 * 2 + 1);
    CHECK_EQ(sync_sem_release(&s, 2), 0);
    CHECK_EQ(s.a_state, 4 * 2);
    chanrt__wait_leave(&a.node);
    chanrt__wait_leave(&b.node);
    CHECK(queue_is_blank(&s.x_queue));

    sync_mutex m = { .a_state = CHANRT_X_LOCKED };
    queue_dead(&a, &m.x_queue, &m, NULL);
    m.x_next = chanrt__sync_lot_of(&m)->first;
    chanrt__sync_lot_of(&m)->first = &m;
    CHECK_EQ(sync_mutex_unlock(&m), 0);
    CHECK(m.a_state == 0 && !listed(&m));
    chanrt__wait_leave(&a.node);
    CHECK(mutex_is_blank(&m));
}

// Requeueing in front: a waiter that was woken in vain is the next one again.
TEST(who_was_woken_in_vain_goes_to_the_front) {
    struct gone w[3];
    struct chanrt_x_queue q = { NULL, NULL, 0 };
    uint32_t lock = 0;
    for (int i = 0; i < 3; i++) {
        chanrt__wait_begin(&w[i].wait, &w[i].node, i == 1);
        if (i < 2) chanrt__wait_enqueue_first(&w[i].wait, &q, &lock, NULL);
        else chanrt__wait_enqueue(&w[i].wait, &q, &lock, NULL, 0);
        chanrt__wait_open(&w[i].wait);
    }
    CHECK_EQ(q.claims, 1);
    const int order[] = { 1, 0, 2 };
    for (int i = 0; i < 3; i++) {
        struct chanrt__waiter *n = NULL;
        CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_ONE);
        CHECK(n == &w[order[i]].node);
    }
    CHECK(queue_is_blank(&q));
}

TASK(waits_for_the_bell, sync_mutex *, m, sync_cond *, c) {
    sync_mutex_lock(m);
    chanrt__atom_or(&m->a_state, CHANRT__SYNC_HANDOFF); // as if somebody were to be given it
    CHECK_EQ(sync_cond_wait(c, m), 0);
    sync_mutex_unlock(m);
}

// A signal may come before the task has parked. Here it stands before the lock of the mutex's lot.
TEST(who_waits_for_a_condition_is_marked_until_it_is_saved) {
    sync_mutex m = {0};
    sync_cond some[64] = {0}, *c = some;
    while (chanrt_x_sync_lot(c) == chanrt_x_sync_lot(&m)) c++;
    waitgroup wg = {0};
    CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 1 }), 0);
    chanrt__os_lock(chanrt__sync_lock_of(&m));
    CHECK_EQ(wg_go(&wg, waits_for_the_bell, &m, c), 0);
    while (chanrt__atom_load_acq(&c->x_queue.a_first) == NULL) sched_yield();
    struct chanrt__task *t = (struct chanrt__task *)c->x_queue.a_first->wait->owner;
    CHECK_EQ(chanrt__atom_load(&t->a_on_cpu), 1);
    chanrt__os_unlock(chanrt__sync_lock_of(&m));
    CHECK_EQ(sync_cond_signal(c), 0);
    wg_wait(&wg);
    CHECK(mutex_is_blank(&m) && queue_is_blank(&c->x_queue));
}

TEST(once_runs_through_its_states) {
    sync_once o = {0};
    CHECK_EQ(o.a_state, 0);
    o.a_state = CHANRT__SYNC_ONCE_RUNNING;
    o.x_runner = chanrt__sync_caller();
    CHECK_EQ(sync_once_do(&o, free, NULL), EDEADLK);
    chanrt__sync_once_end(&o);
    CHECK_EQ(o.a_state, CHANRT_X_ONCE_DONE);
    CHECK_EQ(sync_once_do(&o, free, NULL), 0);
}

// Quick unlocks on one side, waiters that come and go on the other: the lot changes its mood all
// the time, and nobody may sleep on. Threads, because they really run at once.
static sync_mutex moody;
static long rounds, plain;

// What a thousand unlocks that wake nobody do.
static void fall_quiet(const sync_mutex *m) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(m);
    chanrt__os_lock(&lot->a_lock);
    lot->unneeded = CHANRT__SYNC_QUIET_AFTER;
    chanrt__sync_unneeded_locked(m);
    chanrt__os_unlock(&lot->a_lock);
}

static void *lock_often(void *unused) {
    for (long i = 0; i < rounds; i++) {
        CHECK_EQ(sync_mutex_lock(&moody), 0);
        plain++;
        CHECK_EQ(sync_mutex_unlock(&moody), 0);
        if (i % 16 == 0) fall_quiet(&moody);
    }
    return unused;
}

static void *lock_rarely(void *unused) {
    uint32_t seed = 9;
    for (long i = 0; i < rounds / 64; i++) {
        int err = sync_mutex_lock_timeout(&moody, i % 3 ? -1 : (int64_t)(dice(&seed) % 5000));
        if (err == 0) {
            plain += 64;
            if (i % 8 == 0) usleep(1);
            CHECK_EQ(sync_mutex_unlock(&moody), 0);
        }
        for (uint32_t k = dice(&seed) % 4096; k > 0; k--) chanrt__atom_pause();
    }
    return unused;
}

static void *either(void *ids) {
    return atomic_fetch_add((atomic_int *)ids, 1) % 2 ? lock_rarely(NULL) : lock_often(NULL);
}

TEST(a_quiet_lot_that_is_woken_up_loses_nobody) {
    atomic_int ids = 0;
    rounds = test_rounds(400000);
    CHECK_EQ(go(lock_it, &moody), 0);
    at_once(4, either, &ids);
    CHECK_EQ(sync_mutex_lock(&moody), 0);
    CHECK(plain >= 2 * rounds);
    CHECK_EQ(sync_mutex_unlock(&moody), 0);
}

static void *page(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void goes_well(const char *child) {
    struct test_child r = test_run_child(child, 20000);
    if (!CHECK_EQ(r.status, 0)) fputs(r.out, stderr);
    test_child_free(&r);
}

//--------------------------------------------------------------------------------------------------
// The last touch (M1). An unlock is executed one instruction at a time; as soon as the word has
// changed, the object is gone, as if who had it next had freed it there and then.
#if defined(__x86_64__) && defined(__linux__) && !CHANRT__TSAN && !CHANRT_DEBUG
enum { STEP = 0x100 }; // of the flags: a trap after every instruction

static struct {
    const uint32_t *word;
    uint32_t before;
    bool gone;
} watched;

static void step(int sig, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    (void)sig, (void)info;
    u->uc_mcontext.gregs[REG_EFL] |= STEP;
    if (__atomic_load_n(watched.word, __ATOMIC_RELAXED) == watched.before) return;
    u->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)STEP;
    uintptr_t page = (uintptr_t)watched.word & ~(uintptr_t)4095;
    watched.gone = mprotect((void *)page, 4096, PROT_NONE) == 0;
}

static void watch(const uint32_t *word) {
    struct sigaction trap = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
    watched.word = word;
    watched.before = *word;
    watched.gone = false;
    sigaction(SIGTRAP, &trap, NULL);
    raise(SIGTRAP);
}

TASK(get_it, sync_mutex *, m) { sync_mutex_lock(m); }
TASK(read_it, sync_rwmutex *, rw) { sync_rwmutex_rlock(rw); }

static bool rw_has_queue(const void *rw) {
    return chanrt__atom_load(&((const sync_rwmutex *)rw)->x_readers.a_first) != NULL;
}

CHILD(everything_is_gone_once_its_word_has_changed) {
    for (int i = 0; i < 10; i++) {
        void *object = page();
        sync_mutex *m = object;
        sync_rwmutex *rw = object;
        sync_sem *s = object;
        const uint32_t *word = &m->a_state;
        int err = 0;
        if (i >= 6) sync_rwmutex_rlock(rw);
        else if (i >= 4) sync_rwmutex_lock(rw);
        else if (i == 3) sync_sem_init(s, 3), sync_sem_acquire(s, 2);
        else sync_mutex_lock(m);
        if (i == 2) go(get_it, m), wait_until(has_queue, m);
        if (i == 2) m->a_state |= CHANRT__SYNC_HANDOFF;
        if (i == 5) go(read_it, rw), wait_until(rw_has_queue, rw);
        if (i == 6) sync_rwmutex_tryrlock(rw), sync_rwmutex_runlock(rw), sync_rwmutex_runlock(rw);
        if (i == 6) sync_rwmutex_rlock(rw); // it is shared now
        if (i == 4 || i >= 7) word = &rw->a_alone;
        *quiet_of(object) = i == 0 || i == 7; // nothing but the quick one
        printf("case %d\n", i);
        fflush(stdout);
        watch(i == 3 ? &s->a_state : word);
        switch (i) {
        case 0: err = sync_mutex_unlock(m); break;
        case 1: case 2: err = chanrt_x_mutex_unlock(m); break;
        case 3: err = chanrt_x_sem_release(s, 2); break;
        case 4: case 5: err = chanrt_x_rwmutex_unlock(rw); break;
        case 7: case 8: err = sync_rwmutex_runlock(rw); break;
        default: err = chanrt_x_rwmutex_runlock(rw);
        }
        if (err != 0 || !watched.gone) return 1;
    }
    return chanrt_shutdown(CHANRT_SECOND);
}

TEST(the_change_of_its_word_is_the_last_touch_of_an_object) {
    goes_well("everything_is_gone_once_its_word_has_changed");
}
#endif

//--------------------------------------------------------------------------------------------------
// A mutex may go away after a shutdown that has reclaimed who waited for it. Nothing knows of it.
CHILD(a_mutex_goes_after_the_shutdown) {
    sync_mutex *m = page();
    sync_mutex_lock(m);
    go(lock_it, m);
    wait_until(has_queue, m);
    if (chanrt_shutdown(0) != EBUSY) return 1;
    munmap(m, 4096);

    sync_mutex field[4096] = {{0}}, *other = field; // another one of its lot
    while (chanrt_x_sync_lot(other) != chanrt_x_sync_lot(m)) other++;
    waitgroup wg = {0};
    sync_mutex_lock(other);
    wg_go(&wg, lock_it, other);                     // another start
    wait_until(has_queue, other);
    sync_mutex_unlock(other);
    wg_wait(&wg);
    chanrt_x_mutex_wake(other);                     // late, as after a quick unlock
    for (int i = 0; i <= CHANRT__SYNC_QUIET_AFTER; i++) {
        sync_mutex_lock(other);
        sync_mutex_unlock(other);
    }
    if ((*quiet_of(other) != 0) != (chanrt__os_asymmetric && !CHANRT_DEBUG)) return 2;
    return chanrt_shutdown(CHANRT_SECOND) == 0 ? 0 : 3;
}

static struct { sync_rwmutex *rw; uint32_t a_in; } reclaimed;

TASK(reads_for_ever, int, unused) {
    (void)unused;
    sync_rwmutex_rlock(reclaimed.rw);
    chanrt__atom_store_rel(&reclaimed.a_in, 1);
    for (;;) task_sleep(CHANRT_SECOND);
}

// beside: another reader is there, who leaves after the shutdown.
static int rwmutex_goes(bool beside) {
    sync_rwmutex *rw = reclaimed.rw = page();
    chanrt__atom_store_rel(&reclaimed.a_in, 0);
    go(reads_for_ever, 0);
    while (chanrt__atom_load_acq(&reclaimed.a_in) == 0) sched_yield();
    if (beside) sync_rwmutex_rlock(rw);
    go(locks_rw, rw, false);
    while (!rw_listed(rw)) sched_yield();
    if (chanrt_shutdown(0) != EBUSY) return 1;
    if (beside && sync_rwmutex_runlock(rw) != 0) return 2;
    if (rw_listed(rw)) return 3;
    munmap(rw, 4096);

    sync_rwmutex field[4096] = {{0}}, *other = field; // another one of its lot
    while (chanrt_x_sync_lot(other) != chanrt_x_sync_lot(rw)) other++;
    waitgroup wg = {0};
    sync_rwmutex_lock(other);
    wg_go(&wg, locks_rw, other, true);
    while (!rw_listed(other)) sched_yield();
    sync_rwmutex_unlock(other);
    wg_wait(&wg);
    chanrt_x_rwmutex_left(other);                   // late, as after a quick unlock
    return chanrt_shutdown(CHANRT_SECOND) == 0 ? 0 : 4;
}

CHILD(a_rwmutex_goes_after_the_shutdown) {
    int status = rwmutex_goes(false);
    return status == 0 ? rwmutex_goes(true) : status;
}

TEST(after_a_shutdown_no_lot_lists_a_mutex_that_is_gone) {
    goes_well("a_mutex_goes_after_the_shutdown");
    goes_well("a_rwmutex_goes_after_the_shutdown");
}
