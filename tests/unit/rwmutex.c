// rwmutex.c - reader-writer mutexes: from one party at a time to several, and back. What another
// thread would do meanwhile is done between two steps of the one that is looked at.
#include "between.h"
#include "unit.h"

static sync_rwmutex rw;
static int steps;

static void begin(void) {
    memset(&rw, 0, sizeof rw);
    steps = 0;
}

static void share(void) {
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_tryrlock(&rw), 0);
    CHECK(rw.a_state & CHANRT_X_SHARED);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK(rw.a_state == CHANRT_X_SHARED && rw.a_alone == 0);
}

//------------------------------------------------------------------------------

TEST(a_rwmutex_that_is_dear_to_share_is_unshared) {
    for (int writer = 0; writer < 2; writer++) {
        begin();
        share();
        for (int dear = 0; dear < 2; dear++) {
            CHECK_EQ(writer ? sync_rwmutex_lock(&rw) : sync_rwmutex_rlock(&rw), 0);
            rw.a_bears = !dear;
            CHECK_EQ(writer ? sync_rwmutex_unlock(&rw) : sync_rwmutex_runlock(&rw), 0);
            CHECK_EQ(rw.a_state, dear ? 0 : CHANRT_X_SHARED);
        }
        CHECK_EQ(rw.a_alone, 0);
        CHECK_EQ(sync_rwmutex_runlock(&rw), EINVAL);
        CHECK_EQ(sync_rwmutex_unlock(&rw), EINVAL);
        CHECK_EQ(sync_rwmutex_lock(&rw), 0);
        CHECK(rw.a_state == 0 && rw.a_alone == CHANRT_X_LOCKED);
        CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
        share();
    }
}

TEST(a_rwmutex_is_not_unshared_beside_others) {
    begin();
    share();
    for (int i = 0; i < 2; i++) CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    rw.a_bears = 0;
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED | CHANRT_X_READER);
    CHECK_EQ(sync_rwmutex_trylock(&rw), EAGAIN);
    CHECK_EQ(sync_rwmutex_rlock_timeout(&rw, 0), 0);
    CHECK_EQ(sync_rwmutex_lock_timeout(&rw, 1000), ETIMEDOUT);
    rw.a_bears = 0;
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    CHECK_EQ(rw.a_state, 0);
}

// Who comes by the long way had others in his way on the short one.
TEST(who_gets_in_the_way_of_others_is_counted) {
    if (CHANRT_DEBUG || chanrt__sched_drawn()) return;
    begin();
    share();
    for (uint32_t i = 2; i > 0; i--) {
        rw.a_bears = i;
        CHECK_EQ(chanrt_x_rwmutex_rlock(&rw, -1), 0);
        CHECK_EQ(rw.a_bears, i - 1);
        rw.a_bears = 1;
        CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
    }
}

// As it is where only readers come: one left plainly, and is counted for as long as nobody looks.
TEST(a_rwmutex_is_unshared_beside_one_who_has_left) {
    for (int gone = 0; gone < 2; gone++) {
        begin();
        rw.a_state = CHANRT_X_SHARED | CHANRT_X_ALONE | CHANRT_X_READER;
        if (!gone) rw.a_alone = CHANRT_X_READER;
        CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
        rw.a_bears = 0;
        CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
        CHECK_EQ(rw.a_state, gone ? 0 : CHANRT_X_SHARED | CHANRT_X_ALONE | CHANRT_X_READER);
    }
    CHECK_EQ(sync_rwmutex_lock(&rw), 0);
    CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
}

TASK(writes, sync_rwmutex *, lock) {
    CHECK_EQ(sync_rwmutex_lock(lock), 0);
    CHECK_EQ(sync_rwmutex_unlock(lock), 0);
}

static uint32_t word_by_then;

static void come_to_wait(void) {
    if (steps++ > 0) return;
    rw.a_state = word_by_then;
    rw.a_alone = 0;
}

// A second unlock of the same lock, which sees that one before: by the time it has the lot's lock
// others have left plainly, and wait.
TEST(a_second_unlock_loses_nobody_who_waits) {
    begin();
    waitgroup wg = {0};
    const uint32_t waits = CHANRT_X_SHARED | CHANRT_X_LOCKED | CHANRT_X_ALONE | CHANRT_X_QUEUED;
    CHECK_EQ(sync_rwmutex_lock(&rw), 0);
    CHECK_EQ(wg_go(&wg, writes, &rw), 0);
    while (chanrt__atom_load(&rw.a_state) != waits) sched_yield();
    word_by_then = waits;
    chanrt__os_lock(chanrt__sync_lock_of(&rw)); // who waits is queued by now
    rw.a_state = CHANRT_X_SHARED | CHANRT_X_LOCKED;
    rw.a_bears = 0;
    chanrt__os_unlock(chanrt__sync_lock_of(&rw));
    between = come_to_wait;
    CHECK(!chanrt__sync_rw_unshare(&rw, CHANRT_X_LOCKED));
    between = NULL;
    CHECK_EQ(rw.a_state, waits);
    rw.a_bears = 1;
    chanrt_x_rwmutex_left(&rw);
    wg_wait(&wg);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED);
}

TEST(a_rwmutex_that_is_shared_again_bears_more) {
    begin();
    uint32_t before = 0;
    for (int i = 0; i < 40; i++) {
        share();
        CHECK(rw.a_bears > before || rw.a_bears > UINT32_MAX / 4);
        before = rw.a_bears;
        rw.a_bears = 0;
        CHECK_EQ(sync_rwmutex_lock(&rw), 0);
        CHECK_EQ(sync_rwmutex_unlock(&rw), 0);
        CHECK_EQ(rw.a_state, 0);
    }
}

//------------------------------------------------------------------------------
// Somebody else has rw to himself: he comes and goes quickly, or stays.

static int leaves_at;

static void come_and_go(void) {
    rw.a_had++;
    if (++steps == leaves_at) rw.a_alone = 0;
}

static void stay(void) { steps++; }

static void find_taken(void (*meanwhile)(void)) {
    begin();
    rw.a_patience = 100;
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0); // his
    between = meanwhile;
    CHECK_EQ(sync_rwmutex_rlock(&rw), 0);
    between = NULL;
}

TEST(who_comes_where_others_are_quick_stands_aside) {
    if (!chanrt__sync_may_spin() || chanrt__sched_drawn()) return;
    leaves_at = CHANRT__SYNC_GLANCE + CHANRT__SYNC_ASIDE / 2;
    find_taken(come_and_go);
    CHECK(rw.a_state == 0 && rw.a_alone == CHANRT_X_READER);
    CHECK(steps > CHANRT__SYNC_GLANCE + CHANRT__SYNC_ASIDE && rw.a_patience == 0);
    CHECK_EQ(sync_rwmutex_runlock(&rw), 0);
}

TEST(nobody_stands_aside_for_ever) {
    if (!chanrt__sync_may_spin() || chanrt__sched_drawn()) return;
    leaves_at = 0;
    find_taken(come_and_go);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED | CHANRT_X_ALONE | 2 * CHANRT_X_READER);
    CHECK(steps > CHANRT__SYNC_TURNS * (CHANRT__SYNC_GLANCE + CHANRT__SYNC_ASIDE));
    CHECK_EQ(sync_rwmutex_runlock(&rw) + sync_rwmutex_runlock(&rw), 0);
}

TEST(nobody_stands_aside_for_one_who_stays) {
    find_taken(stay);
    CHECK_EQ(rw.a_state, CHANRT_X_SHARED | CHANRT_X_ALONE | 2 * CHANRT_X_READER);
    CHECK(steps < CHANRT__SYNC_ASIDE && rw.a_bears > 200 && rw.a_patience > 200);
    CHECK_EQ(sync_rwmutex_runlock(&rw) + sync_rwmutex_runlock(&rw), 0);
}

//------------------------------------------------------------------------------

static void share_at_that_moment(void) {
    if (rw.a_alone != 0 && steps++ == 0) rw.a_state = CHANRT_X_SHARED;
}

// Who takes a_alone while it is being shared is not in.
TEST(who_takes_it_too_late_is_not_in) {
    begin();
    between = share_at_that_moment;
    bool in = chanrt__sync_rw_alone(&rw, CHANRT_X_LOCKED);
    between = NULL;
    CHECK(!in && steps > 0 && rw.a_state == CHANRT_X_SHARED && rw.a_alone == 0);
}

static int take_at;

static void take_in_time(void) {
    if (steps++ == take_at && rw.a_state == 0) rw.a_alone = CHANRT_X_READER;
}

// Who has it by the time that nobody can take it any more is counted.
TEST(who_takes_it_in_time_is_counted) {
    bool taken = false, late = false;
    for (take_at = 0; !late; take_at++) {
        begin();
        between = take_in_time;
        chanrt__sync_rw_enter(&rw);
        between = NULL;
        uint32_t counted = rw.a_alone != 0 ? CHANRT_X_READER | CHANRT_X_ALONE : 0;
        CHECK_EQ(rw.a_state, CHANRT_X_SHARED | counted);
        chanrt__os_unlock(chanrt__sync_lock_of(&rw));
        taken |= rw.a_alone != 0;
        late = steps <= take_at;
    }
    CHECK(taken);
}

static int late_at;

static void take_late(void) {
    if (steps++ == late_at) {
        CHECK_EQ(rw.a_alone, 0);
        rw.a_alone = CHANRT_X_READER;
    }
}

// One has left plainly, and is still counted. Who takes a_alone too late has it until he gives it
// back, whether he comes before the other is counted out or after.
TEST(a_alone_is_left_to_who_took_it_too_late) {
    bool settled = false, unsettled = false;
    do {
        begin();
        rw.a_state = CHANRT_X_SHARED | CHANRT_X_ALONE | CHANRT_X_READER;
        between = take_late;
        chanrt__sync_rw_enter(&rw);
        between = NULL;
        chanrt__os_unlock(chanrt__sync_lock_of(&rw));
        CHECK_EQ(rw.a_alone, steps > late_at ? CHANRT_X_READER : 0);
        if (rw.a_state == CHANRT_X_SHARED) settled = true;
        else unsettled = true;
    } while (steps > late_at++);
    CHECK(settled && unsettled);
    late_at = 0;
}

// While one who shares makes the threads execute a fence, another shares it, is done, and leaves it
// as it was.
static void unshare_meanwhile(void) {
    if (rw.a_state != CHANRT_X_QUEUED || chanrt__atom_load(chanrt__sync_lock_of(&rw)) != 0) return;
    if (steps++ > 0) return;
    rw.a_state = 0;
    rw.x_unshared++;
}

TEST(a_fence_from_before_it_was_unshared_is_of_no_use) {
    begin();
    chanrt__os_lock(chanrt__sync_lock_of(&rw));
    between = unshare_meanwhile;
    chanrt__sync_rw_share_locked(&rw);
    CHECK(steps == 1 && rw.a_state == 0);
    chanrt__os_unlock(chanrt__sync_lock_of(&rw));
    begin();
    chanrt__sync_rw_enter(&rw);
    between = NULL;
    CHECK(steps > 1 && rw.a_state == CHANRT_X_SHARED);
    chanrt__os_unlock(chanrt__sync_lock_of(&rw));
}
