// timer.c - what firing, stopping and shutting down do to a timer.
#include "unit.h"

// Fires t by hand, as a worker does under the heap's lock.
static uintptr_t fire(chan_timer *t, int64_t now) {
    chanrt__os_lock(&chanrt__pool.a_timer_lock);
    if (t->node.linked) chanrt__list_remove(&chanrt__pool.timers, &t->node);
    uintptr_t owner = chanrt__timer_fire(&t->node, now);
    chanrt__os_unlock(&chanrt__pool.a_timer_lock);
    return owner;
}

static chan_timer *far_off(int64_t period) {
    chan_timer *t = period > 0 ? ticker_make(period) : timer_make(CHANRT_SECOND * 3600);
    CHECK(t != NULL && t->node.linked);
    return t;
}

TEST(ticker_goes_on_at_the_next_multiple) {
    const int64_t period = 3600 * CHANRT_SECOND;
    chan_timer *t = far_off(period);
    int64_t due = t->node.when, now = due;
    const int64_t late[] = { 0, 1, period - 1, period, 5 * period + 7 };
    for (int i = 0; i < 5; i++) {
        now = t->node.when + late[i];
        CHECK_EQ(fire(t, now), 0);
        CHECK(t->node.linked && t->node.when > now && t->node.when <= now + period);
        CHECK_EQ((t->node.when - due) % period, 0);
    }
    CHECK_EQ(chan_len(timer_chan(t)), 1);          // the slow reader lost the rest
    CHECK_EQ(chan_get(timer_chan(t)), due);
    timer_free(t);
}

TEST(only_what_is_due_fires) {
    chan_timer *first = far_off(0), *second = far_off(0);
    int64_t due = first->node.when;
    chanrt__sched_arm(&second->node, due + 1000);
    chanrt__sched_fire_due(due - 1);
    CHECK(first->node.linked && second->node.linked);
    chanrt__sched_fire_due(due);
    CHECK(!first->node.linked && second->node.linked);
    CHECK_EQ(chan_len(timer_chan(first)), 1);
    CHECK_EQ(chanrt__pool.a_timer_next, due + 1000);
    timer_free(first);
    timer_free(second);
}

TEST(ticker_that_would_pass_the_end_of_time_stops) {
    chan_timer *t = far_off(INT64_MAX);
    fire(t, t->node.when);
    CHECK(!t->node.linked);
    CHECK_EQ(chan_len(timer_chan(t)), 1);
    timer_free(t);
    t = far_off(INT64_MAX / 2);
    fire(t, t->node.when);
    timer_free(t);
}

TEST(stop_takes_the_instant_back) {
    chan_timer *t = far_off(0);
    CHECK(timer_stop(t));
    CHECK(!t->node.linked && !timer_stop(t));
    CHECK(!timer_reset(t, CHANRT_SECOND * 3600));
    fire(t, 5);
    CHECK_EQ(chan_len(timer_chan(t)), 1);
    CHECK(timer_stop(t));
    CHECK_EQ(chan_len(timer_chan(t)), 0);
    fire(t, 6);
    CHECK(timer_reset(t, CHANRT_SECOND * 3600));
    CHECK(t->node.linked);
    CHECK_EQ(chan_len(timer_chan(t)), 0);
    timer_free(t);
}

// A worker in the middle of firing t: off the heap, and not done with it.
static atomic_int firing, passed, gone;
static void *fire_slowly(void *arg) {
    chan_timer *t = arg;
    chanrt__os_lock(&chanrt__pool.a_timer_lock);
    chanrt__list_remove(&chanrt__pool.timers, &t->node);
    chanrt__atom_store(&chanrt__pool.a_timer_next, CHANRT__FOREVER);
    atomic_store(&firing, 1);
    while (!atomic_load(&passed) && !test_late()) sched_yield();
    bool waited = !atomic_load(&passed);
    for (int i = 0; i < 100 && !atomic_load(&gone); i++) chanrt__os_nap(CHANRT_MILLISECOND / 10);
    int early = atomic_load(&gone);
    chanrt__os_unlock(&chanrt__pool.a_timer_lock);
    return early || waited ? arg : NULL;
}

TEST(free_waits_for_a_timer_that_is_firing_and_not_for_a_stopped_one) {
    chan_timer *t = far_off(0), *stopped = far_off(0);
    void *wrong = t;
    pthread_t other;
    CHECK(timer_stop(stopped));
    atomic_store(&firing, 0);
    atomic_store(&passed, 0);
    atomic_store(&gone, 0);
    CHECK_EQ(pthread_create(&other, NULL, fire_slowly, t), 0);
    while (!atomic_load(&firing)) sched_yield();
    timer_free(stopped);                           // the heap's lock is taken
    atomic_store(&passed, 1);
    timer_free(t);
    atomic_store(&gone, 1);
    pthread_join(other, &wrong);
    CHECK(wrong == NULL);
}

TEST(earliest_deadline_is_always_known) {
    enum { COUNT = 50 };
    chan_timer *all[COUNT];
    uint32_t seed = 31;
    CHECK_EQ(chanrt_start(NULL), 0);
    for (int i = 0; i < COUNT; i++)
        all[i] = timer_make(CHANRT_SECOND * (1000 + dice(&seed) % 1000));
    for (int left = COUNT; left > 0; left--) {
        int64_t first = CHANRT__FOREVER;
        int any = (int)(dice(&seed) % (uint32_t)left);
        for (int i = 0; i < left; i++)
            if (all[i]->node.when < first) first = all[i]->node.when;
        CHECK_EQ(chanrt__pool.a_timer_next, first);
        timer_free(all[any]);
        all[any] = all[left - 1];
    }
    CHECK_EQ(chanrt__pool.a_timer_next, CHANRT__FOREVER);
    CHECK(chanrt__pool.timers == NULL);
}

//------------------------------------------------------------------------------
// The record a timer_func keeps for its next task.

static atomic_int calls;
static void count_call(void *by) { atomic_fetch_add(&calls, *(int *)by); }

static void until_calls_are(int n) {
    int64_t deadline = chanrt_now() + 5000 * test_unit;
    while (atomic_load(&calls) != n && chanrt_now() < deadline) task_sleep(20000);
    CHECK_EQ(atomic_load(&calls), n);
}

TEST(func_keeps_a_record_until_it_fires_and_gets_another_at_reset) {
    int by = 1;
    atomic_store(&calls, 0);
    chan_timer *t = timer_func(CHANRT_SECOND * 3600, count_call, &by);
    struct chanrt__task *record = t->task;
    CHECK(record != NULL && record->a_id != 0);
    CHECK(timer_reset(t, CHANRT_SECOND * 3600));
    CHECK(t->task == record);                      // not used up: the same one
    timer_reset(t, 1);
    until_calls_are(1);
    CHECK(t->task == NULL);
    CHECK(!timer_reset(t, 1));
    until_calls_are(2);
    CHECK(timer_chan(t) == NULL);
    timer_free(t);
}

// The record went with the runtime it came from.
TEST(func_outlives_a_shutdown) {
    int by = 1;
    atomic_store(&calls, 0);
    chan_timer *a = timer_func(CHANRT_SECOND * 3600, count_call, &by);
    chan_timer *b = timer_func(CHANRT_SECOND * 3600, count_call, &by);
    chan_timer *c = far_off(0);
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK(!a->node.linked && !b->node.linked && !c->node.linked);
    CHECK(!timer_stop(c));
    timer_free(b);                                 // its record is not given back twice
    CHECK(!timer_reset(a, 1));
    until_calls_are(1);
    CHECK(!timer_reset(c, 1));
    CHECK(chan_get(timer_chan(c)) > 0);
    timer_free(a);
    timer_free(c);
}
