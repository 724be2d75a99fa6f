// users.c - ThreadSanitizer in a program of the user's: what the memory model grants is not
// reported, everything else is. The runtime is compiled without -fsanitize=thread
// (CHANRT_TSAN_USER=1), the programs with it; each is a process of its own. RACE is one with
// a planted race, CLEAN one without.
//
// Time orders nothing: who shall come second sleeps, so that a race is there every time, on a busy
// machine at a second try that sleeps longer.
#include "test.h"
#include <pthread.h>
#include <unistd.h>

static int data;

static bool reported(const char *name, bool race) {
    struct test_child r = test_run_child(name, 20000);
    bool seen = strstr(r.out, "ThreadSanitizer: data race") != NULL;
    bool right = seen == race && r.status == (race ? 66 : 0);
    if (!right && !race) printf("%d: %s\n", r.status, r.out);
    test_child_free(&r);
    return right;
}

static void report_of(const char *name, bool race) {
    bool right = false;
    char unit[20];
    setenv("TSAN_OPTIONS", "atexit_sleep_ms=0 report_thread_leaks=0 exitcode=66", 1);
    for (int ms = 20; ms <= (race ? 320 : 20) && !right; ms *= 2) {
        snprintf(unit, sizeof unit, "%d", ms);
        setenv("RACES_UNIT", unit, 1);
        right = reported(name, race);
    }
    CHECK(right);
}

#define RACE(name)                                                                         \
    static void name##_program(void);                                                      \
    CHILD(name) { name##_program(); return 0; }                                            \
    TEST(race_##name) { report_of(#name, true); }                                          \
    static void name##_program(void)
#define CLEAN(name)                                                                        \
    static void name##_program(void);                                                      \
    CHILD(name) { name##_program(); return 0; }                                            \
    TEST(clean_##name) { report_of(#name, false); }                                        \
    static void name##_program(void)

// Long enough for whoever comes first.
static void later(int n) { task_sleep(n * atoi(getenv("RACES_UNIT")) * CHANRT_MILLISECOND); }

TASK(writes, int, when) {
    later(when);
    data++;
}
TASK(writes_then_sends, int, when, chan(int), ch) {
    later(when);
    data++;
    chan_send(ch, 1);
}
TASK(sends_then_writes, int, when, chan(int), ch) {
    later(when);
    chan_send(ch, 1);
    data++;
}
TASK(receives_then_writes, int, when, chan(int), ch) {
    later(when);
    chan_recv(ch, NULL);
    data++;
}
TASK(writes_then_receives, int, when, chan(int), ch) {
    later(when);
    data++;
    chan_recv(ch, NULL);
}
TASK(writes_then_closes, int, when, chan(int), ch) {
    later(when);
    data++;
    chan_close(ch);
}
TASK(closes_then_writes, int, when, chan(int), ch) {
    later(when);
    chan_close(ch);
    data++;
}

//------------------------------------------------------------------------------
// Planted races.

RACE(two_tasks_write) {
    go(writes, 0);
    go(writes, 1);
    later(2);
}

RACE(two_tasks_one_after_the_other_on_one_worker) {
    chanrt_start(&(chanrt_options){ .workers = 1 });
    go(writes, 0);
    later(1);
    go(writes, 0);
    later(2);
}

RACE(main_writes_after_the_spawn) {
    go(writes, 1);
    data++;
    later(2);
}

RACE(main_reads_without_waiting) {
    go(writes, 0);
    later(1);
    printf("%d\n", data);
}

RACE(write_after_the_send) {
    chan(int) ch = chan_make(int, 1);
    go(sends_then_writes, 0, ch);
    later(1);
    chan_recv(ch, NULL);
    data++;
}

RACE(write_after_an_unbuffered_send) {
    chan(int) ch = chan_make(int, 0);
    go(sends_then_writes, 0, ch);
    chan_recv(ch, NULL);
    later(1);
    data++;
}

RACE(write_before_the_receive_on_a_buffer) {
    chan(int) ch = chan_make(int, 1);
    go(writes_then_receives, 1, ch);
    chan_send(ch, 1);
    later(2);
    data++;
}

RACE(second_send_into_a_buffer_of_two) {
    chan(int) ch = chan_make(int, 2);
    chan_send(ch, 1);
    go(writes_then_receives, 0, ch);
    later(1);
    chan_send(ch, 2);               // the first receive is before the third send only
    data++;
}

RACE(write_before_the_receive_against_the_writer) {
    chan(int) ch = chan_make(int, 1);
    go(writes_then_sends, 0, ch);
    later(1);
    data++;
    chan_recv(ch, NULL);
}

RACE(a_try_that_fails_publishes_nothing) {
    chan(int) ch = chan_make(int, 1);
    chan_send(ch, 1);
    go(writes_then_receives, 1, ch);
    data++;
    chan_try_send(ch, 2);
    later(2);
}

RACE(a_try_receive_that_fails_sees_nothing) {
    chan(int) ch = chan_make(int, 1);
    go(writes_then_sends, 0, ch);
    chan(int) other = chan_make(int, 1);
    later(1);
    chan_try_recv(other, NULL);
    data++;
}

RACE(the_length_is_no_signal) {
    chan(int) ch = chan_make(int, 1);
    go(writes_then_sends, 0, ch);
    while (chan_len(ch) == 0) usleep(1000);
    data++;
}

RACE(write_after_the_close) {
    chan(int) ch = chan_make(int, 0);
    go(closes_then_writes, 0, ch);
    later(1);
    chan_recv(ch, NULL);
    data++;
}

RACE(closer_reads_what_the_receiver_wrote) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_receives, 0, ch);
    later(1);
    chan_close(ch);
    data++;
}

TASK(holds, int, when, chan(int), sem) {
    later(when);
    chan_send(sem, 1);
    data++;
    chan_recv(sem, NULL);
}

RACE(a_semaphore_of_two_is_no_mutex) {
    chan(int) sem = chan_make(int, 2);
    go(holds, 0, sem);
    go(holds, 1, sem);
    later(2);
}

RACE(two_channels_are_no_mutex) {
    go(holds, 0, chan_make(int, 1));
    go(holds, 1, chan_make(int, 1));
    later(2);
}

RACE(two_senders_are_not_ordered) {
    chan(int) ch = chan_make(int, 2);
    go(writes_then_sends, 0, ch);
    go(sends_then_writes, 1, ch);
    later(2);
}

RACE(two_receivers_are_not_ordered) {
    chan(int) ch = chan_make(int, 2);
    chan_send(ch, 1);
    chan_send(ch, 2);
    go(receives_then_writes, 0, ch);
    go(receives_then_writes, 1, ch);
    later(2);
}

TASK(done_then_writes, waitgroup *, wg) {
    wg_done(wg);
    data++;
}

RACE(write_after_done) {
    static waitgroup wg;
    wg_add(&wg, 1);
    go(done_then_writes, &wg);
    wg_wait(&wg);
    later(1);
    data++;
}

RACE(a_wait_that_times_out_sees_nothing) {
    static waitgroup wg;
    wg_add(&wg, 1);
    go(writes, 0);
    wg_wait_timeout(&wg, 20 * CHANRT_MILLISECOND);
    data++;
}

TASK(yields_and_writes) {
    for (int i = 0; i < 10; i++) task_yield();
    data++;
}

RACE(a_yield_is_no_signal) {
    chanrt_start(&(chanrt_options){ .workers = 1 });
    go(yields_and_writes);
    go(yields_and_writes);
    later(1);
}

static void write_from_timer(void *unused) {
    (void)unused;
    data++;
}

RACE(a_timer_does_not_see_what_came_after_it_was_made) {
    chan_timer *t = timer_func(20 * CHANRT_MILLISECOND, write_from_timer, NULL);
    data++;
    later(3);
    timer_free(t);
}

RACE(a_default_is_no_signal) {
    chan(int) ch = chan_make(int, 1);
    go(writes_then_sends, 0, ch);
    chan(int) other = chan_make(int, 1);
    later(1);
    chan_select {
        on_recv(other, NULL) {}
        on_default { data++; }
    }
}

RACE(a_select_sees_the_case_that_ran_only) {
    chan(int) a = chan_make(int, 1), b = chan_make(int, 1);
    chan_send(b, 1);
    go(writes_then_sends, 0, a);
    later(1);
    chan_select_ordered {
        on_recv(b, NULL) { data++; }
        on_recv(a, NULL) {}
    }
}

static void *thread_writes(void *unused) {
    (void)unused;
    usleep(20000);
    data++;
    return NULL;
}

RACE(a_thread_and_a_task) {
    pthread_t thread;
    pthread_create(&thread, NULL, thread_writes, NULL);
    go(writes, 0);
    later(2);
    pthread_join(thread, NULL);
}

TASK(cancels_then_writes, int, when, task_ctx *, c) {
    later(when);
    ctx_cancel(c);
    data++;
}
TASK(writes_then_cancels, int, when, task_ctx *, c) {
    later(when);
    data++;
    ctx_cancel(c);
}
TASK_ERR(adds, int, when) {
    later(when);
    data++;
    return 0;
}
TASK_ERR(writes_and_fails, int, when) {
    later(when);
    data++;
    return EIO;
}

RACE(write_after_the_cancel) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    go(cancels_then_writes, 0, c);
    chan_recv(ctx_done(c), NULL);
    later(1);
    printf("%d\n", data);
}

RACE(who_cancels_second_publishes_nothing) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    ctx_cancel(c);
    go(writes_then_cancels, 0, c);
    later(1);
    if (ctx_err(c) != 0) data++;
}

RACE(a_group_orders_no_tasks_without_a_limit) {
    task_group g;
    group_init(&g, NULL);
    group_go(&g, adds, 0);
    group_go(&g, adds, 1);
    group_wait(&g);
}

static sync_mutex mutex_a, mutex_b;
static sync_rwmutex rw_mutex;

TASK(locks_and_writes, int, when, sync_mutex *, m) {
    later(when);
    sync_mutex_lock(m);
    data++;
    sync_mutex_unlock(m);
}

RACE(two_mutexes_are_not_one) {
    go(locks_and_writes, 0, &mutex_a);
    go(locks_and_writes, 1, &mutex_b);
    later(2);
}

TASK(locks_before_it_writes, int, when) {
    later(when);
    sync_mutex_lock(&mutex_a);
    sync_mutex_unlock(&mutex_a);
    data++;
}

RACE(write_after_the_unlock) {
    go(locks_before_it_writes, 0);
    go(locks_before_it_writes, 1);
    later(2);
}

RACE(a_failed_trylock_sees_nothing) {
    sync_mutex_lock(&mutex_a);
    go(writes, 0);
    later(1);
    if (sync_mutex_trylock(&mutex_a) == EAGAIN) data++;
}

//------------------------------------------------------------------------------
// Correct programs.

TASK(adds_locked, sync_mutex *, m, waitgroup *, wg) {
    for (int i = 0; i < 100; i++) {
        sync_mutex_lock(m);
        data++;
        if (i % 8 == 0) task_yield();
        sync_mutex_unlock(m);
    }
    wg_done(wg);
}

CLEAN(a_mutex_that_is_fought_for) {
    static waitgroup wg;
    wg_add(&wg, 8);
    for (int i = 0; i < 8; i++) go(adds_locked, &mutex_a, &wg);
    wg_wait(&wg);
    data++;
}

TASK(reads_or_writes, int, n, waitgroup *, wg) {
    static int sums[8];
    for (int i = 0; i < 100; i++) {
        if (i % 8 == n) {
            sync_rwmutex_lock(&rw_mutex);
            data++;
            sync_rwmutex_unlock(&rw_mutex);
        } else {
            sync_rwmutex_rlock(&rw_mutex);
            sums[n] += data;
            if (i % 16 == 0) task_yield();
            sync_rwmutex_runlock(&rw_mutex);
        }
    }
    wg_done(wg);
}

CLEAN(readers_and_writers) {
    static waitgroup wg;
    wg_add(&wg, 8);
    for (int i = 0; i < 8; i++) go(reads_or_writes, i, &wg);
    wg_wait(&wg);
    data++;
}

static sync_once only_once;
static void write_slowly(void *unused) {
    (void)unused;
    later(1);
    data++;
}

TASK(does_once, int, when, chan(int), sum) {
    later(when);
    sync_once_do(&only_once, write_slowly, NULL);
    chan_send(sum, data);
}

CLEAN(what_was_done_once_is_seen_by_all) {
    chan(int) sum = chan_make(int, 8);
    for (int i = 0; i < 8; i++) go(does_once, i / 2, sum);
    for (int i = 0; i < 8; i++) chan_recv(sum, NULL);
    data++;
}

static sync_cond changed;
TASK(waits_for_the_change, int, n, waitgroup *, wg) {
    sync_mutex_lock(&mutex_a);
    while (data < n) sync_cond_wait(&changed, &mutex_a);
    data++;
    sync_cond_broadcast(&changed);
    sync_mutex_unlock(&mutex_a);
    wg_done(wg);
}

CLEAN(a_condition_and_its_mutex) {
    static waitgroup wg;
    wg_add(&wg, 8);
    for (int i = 0; i < 8; i++) go(waits_for_the_change, i, &wg);
    wg_wait(&wg);
    data++;
}

TASK(adds_with_a_unit, sync_sem *, sem, waitgroup *, wg) {
    for (int i = 0; i < 50; i++) {
        sync_sem_acquire(sem, 2);
        data++;
        if (i % 8 == 0) task_yield();
        sync_sem_release(sem, 2);
    }
    wg_done(wg);
}

CLEAN(a_semaphore_taken_whole) {
    static waitgroup wg;
    static sync_sem sem;
    sync_sem_init(&sem, 2);
    wg_add(&wg, 6);
    for (int i = 0; i < 6; i++) go(adds_with_a_unit, &sem, &wg);
    wg_wait(&wg);
    data++;
}

TASK(sees_the_end, task_ctx *, c, waitgroup *, wg) {
    chan_recv(ctx_done(c), NULL);
    data++;
    wg_done(wg);
}

CLEAN(a_cancel_comes_before_its_end) {
    static waitgroup wg;
    task_ctx *c = ctx_with_cancel(ctx_background());
    wg_add(&wg, 1);
    go(sees_the_end, c, &wg);
    later(1);
    data++;
    ctx_cancel(c);
    wg_wait(&wg);
    ctx_free(c);
}

CLEAN(send_before_receive_unbuffered) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_sends, 0, ch);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(send_before_receive_unbuffered_sender_waits) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_sends, 0, ch);
    later(1);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(receive_before_the_end_of_an_unbuffered_send) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_receives, 0, ch);
    chan_send(ch, 1);
    data++;
}

CLEAN(receive_before_the_end_of_an_unbuffered_send_sender_waits) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_receives, 1, ch);
    chan_send(ch, 1);
    data++;
}

CLEAN(send_before_receive_buffered) {
    chan(int) ch = chan_make(int, 4);
    go(writes_then_sends, 0, ch);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(send_before_receive_buffered_value_waits) {
    chan(int) ch = chan_make(int, 4);
    go(writes_then_sends, 0, ch);
    later(1);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(the_receive_is_before_the_send_that_reuses_its_slot) {
    chan(int) ch = chan_make(int, 2);
    chan_send(ch, 1);
    chan_send(ch, 2);
    go(writes_then_receives, 0, ch);
    chan_send(ch, 3);
    data++;
}

CLEAN(what_a_blocked_sender_wrote) {
    chan(int) ch = chan_make(int, 1);
    chan_send(ch, 1);
    go(writes_then_sends, 0, ch);
    later(1);
    chan_recv(ch, NULL);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(close_before_the_zero) {
    chan(int) ch = chan_make(int, 3);
    go(writes_then_closes, 1, ch);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(close_before_a_later_zero) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_closes, 0, ch);
    later(1);
    chan_recv(ch, NULL);
    data++;
}

TASK(writes_alone, int *, p, waitgroup *, wg) {
    (*p)++;
    wg_done(wg);
}

CLEAN(done_before_the_end_of_wait) {
    static int each[20];
    static waitgroup wg;
    for (int i = 0; i < 20; i++) {
        wg_add(&wg, 1);
        go(writes_alone, &each[i], &wg);
    }
    wg_wait(&wg);
    for (int i = 0; i < 20; i++) data += each[i];
}

CLEAN(a_wait_that_need_not_block) {
    static waitgroup wg;
    wg_go(&wg, writes, 0);
    later(2);
    wg_wait(&wg);
    data++;
}

TASK(exits) {
    data++;
    task_exit();
}

CLEAN(task_exit_before_the_end_of_wait) {
    static waitgroup wg;
    for (int i = 0; i < 20; i++) {
        wg_go(&wg, exits);
        wg_wait(&wg);
    }
}

CLEAN(before_the_spawn_before_the_task) {
    static waitgroup wg;
    data++;
    wg_go(&wg, writes, 0);
    wg_wait(&wg);
}

TASK(fills_its_stack, chan(int), ch) {
    int deep[2000];
    for (int i = 0; i < 2000; i++) deep[i] = i;
    chan_send(ch, deep[1999]);
}

CLEAN(tasks_on_the_same_stack) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 300; i++) {
        go(fills_its_stack, ch);
        if (i % 3 == 0) go(fills_its_stack, ch), chan_recv(ch, NULL);
        chan_recv(ch, NULL);
    }
}

TASK(adds_under, chan(int), mutex, waitgroup *, wg) {
    for (int i = 0; i < 50; i++) {
        chan_send(mutex, 1);
        data++;
        chan_recv(mutex, NULL);
    }
    wg_done(wg);
}

CLEAN(a_channel_of_one_is_a_mutex) {
    static waitgroup wg;
    chan(int) mutex = chan_make(int, 1);
    wg_add(&wg, 8);
    for (int i = 0; i < 8; i++) go(adds_under, mutex, &wg);
    wg_wait(&wg);
    data++;
}

// Several threads at one rwmutex, one step after the other, in an order that nothing else tells of.
static sync_rwmutex shared;
static int turn;

static void at(int n) {
    while (__atomic_load_n(&turn, __ATOMIC_RELAXED) != n) usleep(1000);
}
static void next_turn(void) { __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED); }

static void *writes_first(void *arg) {
    at(0);
    sync_rwmutex_lock(&shared);
    data = 1;
    sync_rwmutex_unlock(&shared);
    return next_turn(), arg;
}
static void *reads_until_4(void *arg) {
    at(1);
    sync_rwmutex_rlock(&shared);
    next_turn(), at(4);
    sync_rwmutex_runlock(&shared);
    return next_turn(), arg;
}
static void *reads_beside(void *arg) {
    at(2);
    sync_rwmutex_rlock(&shared);
    next_turn(), at(5);
    sync_rwmutex_runlock(&shared);
    return arg;
}
static void *looks(void *arg) {
    at(3);
    sync_rwmutex_rlock(&shared);
    if (data != 1) _exit(1);
    sync_rwmutex_runlock(&shared);
    return next_turn(), arg;
}

static void run_threads(void *(*const *fn)(void *), int n) {
    pthread_t threads[4];
    for (int i = 0; i < n; i++) pthread_create(&threads[i], NULL, fn[i], NULL);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

// Only the one who reads beside him has seen that the writer, who was alone, has left.
CLEAN(a_rwmutex_shared_by_a_third) {
    void *(*fn[])(void *) = { writes_first, reads_until_4, reads_beside, looks };
    run_threads(fn, 4);
}

static void *reads_and_leaves_slowly(void *arg) {
    at(0);
    sync_rwmutex_rlock(&shared);
    int seen = data;
    uint32_t state = chanrt_x_sync_look(&shared.a_state); // in runlock; the other one comes
    next_turn(), at(2);
    if (!chanrt_x_rwmutex_leave(&shared, CHANRT_X_READER, state)) _exit(2);
    return next_turn(), seen == 0 ? arg : NULL;
}
static void *reads_meanwhile(void *arg) {
    at(1);
    sync_rwmutex_rlock(&shared);
    next_turn(), at(3);
    sync_rwmutex_runlock(&shared);
    return next_turn(), arg;
}
static void *writes_last(void *arg) {
    at(4);
    sync_rwmutex_lock(&shared);
    data = 2;
    sync_rwmutex_unlock(&shared);
    return arg;
}

CLEAN(a_rwmutex_left_while_it_is_shared) {
    void *(*fn[])(void *) = { reads_and_leaves_slowly, reads_meanwhile, writes_last };
    run_threads(fn, 3);
}

TASK(adds_by_select, chan(int), mutex, chan(int), never, waitgroup *, wg) {
    for (int i = 0; i < 50; i++) {
        chan_select {
            on_send(mutex, 1) { data++; }
            on_recv(never, NULL) {}
        }
        chan_select {
            on_recv(mutex, NULL) {}
            on_timeout(CHANRT_SECOND) {}
        }
    }
    wg_done(wg);
}

CLEAN(a_mutex_taken_by_select) {
    static waitgroup wg;
    chan(int) mutex = chan_make(int, 1), never = chan_make(int, 0);
    wg_add(&wg, 8);
    for (int i = 0; i < 8; i++) go(adds_by_select, mutex, never, &wg);
    wg_wait(&wg);
    data++;
}

struct large { int words[500]; };
TASK(sends_large, chan(struct large), ch, int, n) {
    struct large value;
    for (int i = 0; i < 500; i++) value.words[i] = n;
    chan_send(ch, value);
    for (int i = 0; i < 500; i++) value.words[i] = -1;
}

static void receive_large(size_t cap) {
    chan(struct large) ch = chan_make(struct large, cap);
    for (int i = 0; i < 10; i++) go(sends_large, ch, i);
    for (int i = 0; i < 10; i++) {
        struct large value = { { 0 } };
        chan_recv(ch, &value);
        for (int k = 0; k < 500; k++) data += value.words[k];
    }
    chan_free(ch);
}

CLEAN(large_values_off_a_stack) { receive_large(0); }
CLEAN(large_values_through_a_ring) { receive_large(3); }

TASK(stage, chan(int *), in, chan(int *), out) {
    chan_range(int *, p, in) {
        (*p)++;
        chan_send(out, p);
    }
    chan_close(out);
}

CLEAN(a_pipeline_hands_memory_on) {
    static int cells[30];
    chan(int *) first = chan_make(int *, 2), at = first;
    for (int i = 0; i < 5; i++) {
        chan(int *) next = chan_make(int *, (size_t)(i % 3));
        go(stage, at, next);
        at = next;
    }
    for (int i = 0; i < 30; i++) {
        cells[i] = i;
        chan_send(first, &cells[i]);
        int *done = NULL;
        chan_recv(at, &done);
        data += *done;
    }
    chan_close(first);
    chan_recv(at, NULL);
}

CLEAN(a_timer_sees_what_came_before_it_was_made) {
    data++;
    chan_timer *t = timer_func(1000, write_from_timer, NULL);
    later(2);
    timer_free(t);
}

static void *thread_sends(void *ch) {
    data++;
    chan_send((chan(int))ch, 1);
    return NULL;
}

CLEAN(a_thread_sends_to_a_task) {
    static waitgroup wg;
    chan(int) ch = chan_make(int, 0);
    pthread_t thread;
    wg_go(&wg, receives_then_writes, 0, ch);
    pthread_create(&thread, NULL, thread_sends, (void *)ch);
    wg_wait(&wg);
    pthread_join(thread, NULL);
    data++;
}

CLEAN(a_select_sees_the_case_that_ran) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 1);
    go(writes_then_sends, 0, b);
    chan_select {
        on_recv(a, NULL) {}
        on_recv(b, NULL) { data++; }
    }
}

CLEAN(a_select_publishes_what_it_sends) {
    static waitgroup wg;
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    wg_go(&wg, receives_then_writes, 1, b);
    data++;
    chan_select {
        on_recv(a, NULL) {}
        on_send(b, 1) {}
    }
    wg_wait(&wg);
    data++;
}

CLEAN(a_timed_receive_that_gets_a_value) {
    chan(int) ch = chan_make(int, 0);
    go(writes_then_sends, 1, ch);
    if (chan_recv_timeout(ch, NULL, CHANRT_SECOND) == 0) data++;
}

static void write_here(void *unused) {
    (void)unused;
    data++;
}

TASK(blocks_and_writes, waitgroup *, wg) {
    for (int i = 0; i < 20; i++) {
        data++;
        task_blocking(write_here, NULL);
        data++;
    }
    wg_done(wg);
}

CLEAN(a_call_that_blocks_runs_in_its_place) {
    static waitgroup wg;
    wg_add(&wg, 1);
    go(blocks_and_writes, &wg);
    wg_wait(&wg);
    data++;
}

CLEAN(a_thousand_tasks_come_and_go) {
    static waitgroup wg;
    chan(int) mutex = chan_make(int, 1);
    for (int i = 0; i < 200; i++) {
        wg_add(&wg, 1);
        go(adds_under, mutex, &wg);
    }
    wg_wait(&wg);
    data++;
}

CLEAN(write_before_the_cancel_seen_by_the_channel) {
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = ctx_with_cancel(top);
    go(writes_then_cancels, 0, top);
    chan_recv(ctx_done(c), NULL);
    data++;
}

CLEAN(write_before_the_cancel_seen_by_the_error) {
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = ctx_with_cancel(top);
    go(writes_then_cancels, 0, top);
    later(1);
    while (ctx_err(c) == 0) later(1);
    data++;
}

CLEAN(write_before_the_cancel_seen_by_a_later_child) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    go(writes_then_cancels, 0, top);
    later(1);
    task_ctx *c = ctx_with_cancel(top);
    while (ctx_err(top) == 0) {
        later(1);
        ctx_free(c);
        c = ctx_with_cancel(top);
    }
    chan_recv(ctx_done(c), NULL);
    data++;
}

static void write_and_tell(void *ch) {
    data++;
    chan_send(*(chan(int) *)ch, 1);
}

CLEAN(what_comes_after_sees_the_canceller_and_who_asked_for_it) {
    static chan(int) ch;
    ch = chan_make(int, 0);
    task_ctx *c = ctx_with_cancel(ctx_background());
    data++;
    ctx_after_func(c, write_and_tell, &ch);
    go(writes_then_cancels, 0, c);
    chan_recv(ch, NULL);
    data++;
}

CLEAN(a_group_sees_what_its_tasks_wrote) {
    for (int when = 0; when < 2; when++) {
        task_group g;
        data++;
        group_init(&g, NULL);
        group_go(&g, writes_and_fails, when);
        if (when == 0) later(1);
        group_wait(&g);
        data++;
    }
}

CLEAN(the_error_of_a_group_comes_after_what_its_task_wrote) {
    task_group g;
    group_init(&g, NULL);
    group_go(&g, writes_and_fails, 1);
    chan_recv(ctx_done(group_ctx(&g)), NULL);
    data++;
    group_wait(&g);
}

CLEAN(a_group_of_one_is_a_queue) {
    task_group g;
    group_init(&g, NULL);
    group_limit(&g, 1);
    for (int i = 0; i < 20; i++) group_go(&g, adds, 0);
    group_wait(&g);
    data++;
}
