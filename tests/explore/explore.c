// explore.c - small programs, each run in many orders of the runtime's own steps (sim.h).
//
//     explore                      the names
//     explore NAME FIRST COUNT     seeds FIRST, FIRST + 1, ...; status 1 at the first that fails
//     explore NAME exhaust MOST    every schedule with 0, 1, 2 preemptions; of those with 2 every
//                                  n-th, if there are more than MOST
//     explore NAME list S:T [S:T]  the one that preempts at step S for thread T
//     TRACE=1 explore NAME SEED 1  says every switch
#include "sim.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>

// What the runtime gives back is buried, too.
static void bury(void *p, size_t size);
static void bury_block(void *p) {
    if (p != NULL) bury(p, malloc_usable_size(p));
}
#define CHANRT_MALLOC malloc
#define CHANRT_REALLOC realloc
#define CHANRT_FREE bury_block

// One thread runs at a time, three times as quick where all are on one processor. The runtime
// sees two, on whatever machine, so that a seed is the same schedule everywhere.
static long two_processors(int name) {
    return name == _SC_NPROCESSORS_ONLN ? 2 : sysconf(name);
}
#undef SYS_sched_getaffinity
#define SYS_sched_getaffinity (-1L)
#define sysconf two_processors

static void stay_on_one_processor(void) {
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0) return;
    const char *lane = getenv("LANE");
    int cpu = sched_getcpu(), skip = lane != NULL ? atoi(lane) % CPU_COUNT(&all) : 0;
    if (lane != NULL)
        for (cpu = 0; !CPU_ISSET(cpu, &all) || skip-- > 0;) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"

#define WANT(cond) ((cond) ? (void)0 : sim_fail("%s:%d: not %s", __FILE__, __LINE__, #cond))

struct scenario {
    const char *name;
    void (*run)(void);
    struct scenario *next;
};
static struct scenario *scenarios, **scenarios_end = &scenarios;

#define SCENARIO(name)                                              \
    static void name##_run(void);                                   \
    __attribute__((constructor)) static void name##_add(void) {     \
        static struct scenario self = { #name, name##_run, NULL };  \
        *scenarios_end = &self;                                     \
        scenarios_end = &self.next;                                 \
    }                                                               \
    static void name##_run(void)

// What a call has given back must not be touched any more: freed memory that can be looked at.
enum { BURIED = 0x5a, GRAVES = 256 };
static unsigned char *graves[GRAVES];
static size_t grave_sizes[GRAVES];
static int buried;

static void bury(void *p, size_t size) {
    WANT(buried < GRAVES);
    memset(p, BURIED, size);
    graves[buried] = p;
    grave_sizes[buried++] = size;
}

static void look_at_graves(void) {
    for (int i = 0; i < buried; i++) {
        for (size_t k = 0; k < grave_sizes[i]; k++) WANT(graves[i][k] == BURIED);
        free(graves[i]);
    }
    buried = 0;
}

//--------------------------------------------------------------------------------------------------
// Parking and waking.

TASK(send_n, chan(int), ch, int, from, int, n) {
    for (int i = 0; i < n; i++) WANT(chan_send(ch, from + i) == 0);
}
TASK(recv_into, chan(int), ch, int *, out) { chan_recv(ch, out); }
TASK(set_flag, int *, flag) { *flag = 1; }

SCENARIO(a_task_parks_and_main_wakes_it) {
    chan(int) ch = chan_make(int, 0);
    int got = 0;
    waitgroup wg = {0};
    wg_go(&wg, recv_into, ch, &got);
    WANT(chan_send(ch, 7) == 0);
    wg_wait(&wg);
    WANT(got == 7);
    chan_free(ch);
}

SCENARIO(two_tasks_hand_over) {
    chan(int) ch = chan_make(int, 0);
    go(send_n, ch, 1, 2);
    go(send_n, ch, 10, 1);
    int sum = 0;
    for (int i = 0; i < 3; i++) sum += chan_get(ch);
    WANT(sum == 13);
    chan_free(ch);
}

SCENARIO(a_full_buffer_keeps_the_order) {
    chan(int) ch = chan_make(int, 1);
    go(send_n, ch, 1, 4);
    for (int i = 1; i <= 4; i++) WANT(chan_get(ch) == i);
    chan_free(ch);
}

TASK(recv_and_tell, chan(int), ch, int *, done) {
    WANT(chan_get(ch) == 1);
    __atomic_store_n(done, 1, __ATOMIC_RELAXED);
}

SCENARIO(a_ring_that_a_blocked_sender_fills_up_again_is_full_all_the_time) {
    chan(int) ch = chan_make(int, 1);
    int done = 0;
    go(send_n, ch, 1, 2);
    while (chanrt__atom_load_acq(&chanrt__chan_of(ch)->sendq.a_first) == NULL) sim_yield();
    go(recv_and_tell, ch, &done);
    for (int looks = 0; looks < 40; looks++) {
        sim_point(false, __LINE__);
        WANT(chan_len(ch) == 1);
    }
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) sim_yield();
    WANT(chan_get(ch) == 2);
    chan_free(ch);
}

static void *thread_sends(void *arg) {
    WANT(chan_send((chan(int))arg, 3) == 0);
    return NULL;
}

SCENARIO(a_thread_and_a_task_send_to_main) {
    pthread_t thread;
    chan(int) ch = chan_make(int, 0);
    pthread_create(&thread, NULL, thread_sends, ch);
    go(send_n, ch, 4, 1);
    WANT(chan_get(ch) + chan_get(ch) == 7);
    pthread_join(thread, NULL);
    chan_free(ch);
}

TASK(spawn_three, waitgroup *, wg, int *, flags) {
    for (int i = 0; i < 3; i++) wg_go(wg, set_flag, &flags[i]);
    wg_done(wg);
}

SCENARIO(whatever_is_spawned_is_run) {
    int flags[3] = {0};
    waitgroup wg = {0};
    wg_add(&wg, 1);
    go(spawn_three, &wg, flags);
    wg_wait(&wg);
    WANT(flags[0] + flags[1] + flags[2] == 3);
}

SCENARIO(a_pinned_task_is_woken_from_outside) {
    int got[2] = {0};
    chan(int) ch = chan_make(int, 0);
    go_opt(((task_options){ .pinned = true }), recv_into, ch, &got[0]);
    go_opt(((task_options){ .pinned = true }), recv_into, ch, &got[1]);
    WANT(chan_send(ch, 1) == 0 && chan_send(ch, 1) == 0);
    WANT(chanrt_shutdown(-1) == 0);
    WANT(got[0] + got[1] == 2);
    chan_free(ch);
}

TASK(yield_twice, int *, count) {
    task_yield();
    task_yield();
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

SCENARIO(yielding_tasks_end) {
    int count = 0;
    for (int i = 0; i < 3; i++) go(yield_twice, &count);
    WANT(chanrt_shutdown(-1) == 0);
    WANT(count == 3);
}

//--------------------------------------------------------------------------------------------------
// Closing and freeing.

TASK(send_and_count, chan(int), ch, int *, sent) {
    if (chan_send(ch, 1) == 0) __atomic_fetch_add(sent, 1, __ATOMIC_RELAXED);
}
TASK(close_it, chan(int), ch) { chan_close(ch); }

static void close_while_two_send(size_t cap) {
    chan(int) ch = chan_make(int, cap);
    int sent = 0, got = 0;
    waitgroup wg = {0};
    for (int i = 0; i < 2; i++) wg_go(&wg, send_and_count, ch, &sent);
    wg_go(&wg, close_it, ch);
    chan_range(int, v, ch) got += v;
    wg_wait(&wg);
    WANT(got == sent);
    chan_free(ch);
}

SCENARIO(what_a_close_lets_through_is_received) { close_while_two_send(0); }
SCENARIO(what_a_close_leaves_in_the_ring_is_received) { close_while_two_send(1); }

TASK(recv_closed, chan(int), ch) {
    int v = 9;
    WANT(chan_recv(ch, &v) == EPIPE && v == 0);
}

SCENARIO(a_close_wakes_every_receiver) {
    chan(int) ch = chan_make(int, 0);
    waitgroup wg = {0};
    for (int i = 0; i < 2; i++) wg_go(&wg, recv_closed, ch);
    WANT(chan_close(ch) == 0);
    wg_wait(&wg);
    chan_free(ch);
}

TASK(send_and_free, chan(int), ch) {
    chan_send(ch, 5);
    chan_free(ch);
}

SCENARIO(the_last_reference_frees_while_the_other_side_leaves) {
    chan(int) ch = chan_make(int, 0);
    go(send_and_free, chan_ref(ch));
    WANT(chan_get(ch) == 5);
    chan_free(ch);
    WANT(chanrt_shutdown(-1) == 0);
}

TASK(send_one, chan(int), ch) { chan_send(ch, 5); }

SCENARIO(who_receives_may_free) {
    chan(int) ch = chan_make(int, 0);
    go(send_one, ch);
    WANT(chan_get(ch) == 5);
    chan_free(ch);          // the sender's call touches it no longer
    WANT(chanrt_shutdown(-1) == 0);
}

SCENARIO(a_select_leaves_a_channel_that_is_closed_and_freed) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    go(close_it, a);
    go(send_one, b);
    for (int left = 2; left > 0; left--) {
        int v = 0;
        chan_select {
            on_recv(a, &v) { WANT(select_err() == EPIPE); chan_free(a), a = NULL; }
            on_recv(b, &v) { WANT(v == 5); }
        }
    }
    chan_free(b);
}

//--------------------------------------------------------------------------------------------------
// Select.

TASK(either, chan(int), a, chan(int), b, int *, done) {
    int v;
    chan_select {
        on_send(a, 1) { *done = 1; }
        on_recv(b, &v) { *done = 2; }
    }
}

SCENARIO(select_meets_select) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    int one = 0, two = 0;
    waitgroup wg = {0};
    wg_go(&wg, either, a, b, &one);
    wg_go(&wg, either, b, a, &two);
    wg_wait(&wg);
    WANT(one != 0 && one + two == 3);      // who sent on a was received from by who listens to a
    chan_free(a);
    chan_free(b);
}

SCENARIO(a_select_takes_one_of_two_senders_and_the_other_still_waits) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    go(send_n, a, 1, 1);
    go(send_n, b, 2, 1);
    int v = 0, sum = 0;
    for (int i = 0; i < 2; i++) {
        chan_select {
            on_recv(a, &v) {}
            on_recv(b, &v) {}
        }
        sum += v;
    }
    WANT(sum == 3);
    chan_free(a);
    chan_free(b);
}

TASK(select_both, chan(int), a, chan(int), b, int *, got) {
    chan_select {
        on_recv(a, got) {}
        on_recv(b, got) {}
    }
}

SCENARIO(a_try_skips_a_select_that_another_has_won) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    int got = 0;
    waitgroup wg = {0};
    wg_go(&wg, select_both, a, b, &got);
    wg_add(&wg, 1);
    go(send_one, a);
    int err = chan_try_send(b, 6);
    if (err == 0) {         // then the other one still waits
        WANT(chan_get(a) == 5);
        wg_done(&wg);
        wg_wait(&wg);
        WANT(got == 6);
    } else {
        WANT(err == EAGAIN);
        wg_done(&wg);
        wg_wait(&wg);
        WANT(got == 5);
    }
    chan_free(a);
    chan_free(b);
}

TASK(fill_then_drain, chan(int), a, chan(int), b) {
    chan_send(b, 1);        // from here on one of the two has a value at each instant
    int v;
    chan_try_recv(a, &v);
}

SCENARIO(a_default_is_one_instant) {
    chan(int) a = chan_make(int, 1), b = chan_make(int, 1);
    chan_send(a, 1);
    go(fill_then_drain, a, b);
    chan_select {
        on_recv(a, NULL) {}
        on_recv(b, NULL) {}
        on_default { WANT(!"a default"); }
    }
    WANT(chanrt_shutdown(-1) == 0);
    chan_free(a);
    chan_free(b);
}

//--------------------------------------------------------------------------------------------------
// Time.

SCENARIO(a_timeout_meets_a_hand_over) {
    chan(int) ch = chan_make(int, 0);
    int sent = 0, v = 0;
    waitgroup wg = {0};
    wg_go(&wg, send_and_count, ch, &sent);
    int err = chan_recv_timeout(ch, &v, 5 * CHANRT_MICROSECOND);
    WANT(err == 0 ? v == 1 : err == ETIMEDOUT && v == 0);
    if (err == ETIMEDOUT) WANT(chan_get(ch) == 1);
    wg_wait(&wg);
    WANT(sent == 1);
    chan_free(ch);
}

TASK(recv_in_time, chan(int), ch, int *, got) {
    int v = 0;
    if (chan_recv_timeout(ch, &v, 4 * CHANRT_MICROSECOND) == 0) *got = v;
}

SCENARIO(a_tasks_timeout_meets_a_hand_over) {
    chan(int) ch = chan_make(int, 0);
    int got = 0;
    waitgroup wg = {0};
    wg_go(&wg, recv_in_time, ch, &got);
    int err = chan_send_timeout(ch, 8, 4 * CHANRT_MICROSECOND);
    wg_wait(&wg);
    WANT(err == 0 ? got == 8 : got == 0);
    chan_free(ch);
}

TASK(sleep_ns, int64_t, ns, int *, flag) {
    int64_t start = chanrt_now();
    task_sleep(ns);
    WANT(chanrt_now() - start >= ns);
    *flag = 1;
}

SCENARIO(a_shorter_sleep_does_not_wait_for_a_longer_one) {
    int flags[2] = {0};
    waitgroup wg = {0}, first = {0};
    wg_go(&wg, sleep_ns, 100 * CHANRT_SECOND, &flags[0]);
    wg_go(&first, sleep_ns, CHANRT_MICROSECOND, &flags[1]);
    wg_wait(&first);
    WANT(flags[1]);
    wg_wait(&wg);
}

SCENARIO(a_stopped_timer_delivers_nothing) {
    chan_timer *t = timer_make(3 * CHANRT_MICROSECOND);
    task_sleep(2 * CHANRT_MICROSECOND);
    bool pending = timer_stop(t);
    WANT(chan_try_recv(timer_chan(t), NULL) == EAGAIN);
    WANT(pending);           // nobody has received it
    timer_free(t);
}

//--------------------------------------------------------------------------------------------------
// Wait groups and locks: given back as soon as the wait is over.

TASK(wg_done_once, waitgroup *, wg) { wg_done(wg); }

SCENARIO(a_group_is_buried_when_its_wait_returns) {
    waitgroup *wg = calloc(1, sizeof *wg);
    wg_add(wg, 2);
    for (int i = 0; i < 2; i++) go(wg_done_once, wg);
    wg_wait(wg);
    bury(wg, sizeof *wg);
    WANT(chanrt_shutdown(-1) == 0);
}

TASK(wg_wait_and_count, waitgroup *, wg, waitgroup *, gone) {
    wg_wait(wg);
    wg_done(gone);
}

SCENARIO(a_group_with_two_waiters_is_buried) {
    waitgroup *wg = calloc(1, sizeof *wg), gone = {0};
    wg_add(wg, 1);
    wg_add(&gone, 2);
    for (int i = 0; i < 2; i++) go(wg_wait_and_count, wg, &gone);
    go(wg_done_once, wg);
    wg_wait(&gone);
    WANT(chanrt_shutdown(-1) == 0);
    free(wg);
}

SCENARIO(a_group_is_used_again_at_once) {
    waitgroup wg = {0};
    int flags[2] = {0};
    for (int i = 0; i < 2; i++) {
        wg_go(&wg, set_flag, &flags[i]);
        wg_wait(&wg);
        WANT(flags[i]);
    }
}

SCENARIO(a_wait_with_a_timeout_meets_done) {
    waitgroup *wg = calloc(1, sizeof *wg);
    wg_add(wg, 1);
    go(wg_done_once, wg);
    int err = wg_wait_timeout(wg, 3 * CHANRT_MICROSECOND);
    WANT(err == 0 || err == ETIMEDOUT);
    if (err != 0) wg_wait(wg);
    bury(wg, sizeof *wg);
    WANT(chanrt_shutdown(-1) == 0);
}

TASK(add_under, chanrt_sync_mutex *, m, int *, sum) {
    for (int i = 0; i < 2; i++) {
        chanrt_sync_mutex_lock(m);
        int seen = *sum;
        sim_point(false, 0);
        *sum = seen + 1;
        chanrt_sync_mutex_unlock(m);
    }
}

SCENARIO(a_mutex_keeps_others_out) {
    chanrt_sync_mutex m = {0};
    int sum = 0;
    waitgroup wg = {0};
    for (int i = 0; i < 2; i++) wg_go(&wg, add_under, &m, &sum);
    chanrt_sync_mutex_lock(&m);
    sum++;
    chanrt_sync_mutex_unlock(&m);
    wg_wait(&wg);
    WANT(sum == 5);
}

TASK(acquire_unit, chanrt_sync_sem *, s, int *, inside) {
    chanrt_sync_sem_acquire(s, 1);
    WANT(__atomic_add_fetch(inside, 1, __ATOMIC_SEQ_CST) == 1);
    task_yield();
    __atomic_add_fetch(inside, -1, __ATOMIC_SEQ_CST);
    chanrt_sync_sem_release(s, 1);
}

SCENARIO(a_semaphore_of_one_admits_one) {
    chanrt_sync_sem s;
    int inside = 0;
    chanrt_sync_sem_init(&s, 1);
    for (int i = 0; i < 3; i++) go(acquire_unit, &s, &inside);
    WANT(chanrt_shutdown(-1) == 0);
}

struct box {
    chanrt_sync_mutex m;
    chanrt_sync_cond c;
    int full;
};

TASK(fill_box, struct box *, b) {
    chanrt_sync_mutex_lock(&b->m);
    b->full = 1;
    chanrt_sync_mutex_unlock(&b->m);
    chanrt_sync_cond_signal(&b->c);
}

SCENARIO(a_signal_is_not_lost) {
    struct box b = {0};
    go(fill_box, &b);
    chanrt_sync_mutex_lock(&b.m);
    while (!b.full) chanrt_sync_cond_wait(&b.c, &b.m);
    chanrt_sync_mutex_unlock(&b.m);
    WANT(chanrt_shutdown(-1) == 0);
}

// What is inlined, one step at a time.
static void leave_rwmutex(chanrt_sync_rwmutex *rw, uint32_t how) {
    const uint32_t *quiet = &chanrt_x_sync_quiet[chanrt_x_sync_lot(rw)];
    if (chanrt__atom_load_acq(&rw->a_state) == 0 && chanrt__atom_load_acq(&rw->a_alone) == how) {
        chanrt__atom_store_rel(&rw->a_alone, 0);
        if (chanrt__atom_load_acq(quiet) == 0) chanrt_x_rwmutex_left(rw);
    } else if (how == CHANRT_X_READER) {
        WANT(chanrt_x_rwmutex_runlock(rw) == 0);
    } else {
        WANT(chanrt_x_rwmutex_unlock(rw) == 0);
    }
}

static void trust_lot(const void *object) { // as it is after a thousand unlocks
    chanrt_x_sync_quiet[chanrt_x_sync_lot(object)] = 1;
    chanrt__sync_lot_of(object)->quiets++;
}

TASK(read_it, chanrt_sync_rwmutex *, rw, int *, inside) {
    WANT(chanrt_x_rwmutex_rlock(rw, -1) == 0);
    WANT(__atomic_load_n(inside, __ATOMIC_SEQ_CST) == 0);
    leave_rwmutex(rw, CHANRT_X_READER);
}

static void write_it(chanrt_sync_rwmutex *rw, int *inside) {
    WANT(chanrt_x_rwmutex_lock(rw, -1) == 0);
    WANT(__atomic_exchange_n(inside, 1, __ATOMIC_SEQ_CST) == 0);
    sim_point(false, 0);
    __atomic_store_n(inside, 0, __ATOMIC_SEQ_CST);
    leave_rwmutex(rw, CHANRT_X_LOCKED);
}
TASK(writes_it, chanrt_sync_rwmutex *, rw, int *, inside) { write_it(rw, inside); }

SCENARIO(an_only_reader_leaves_while_others_come) {
    chanrt_sync_rwmutex rw = {0};
    int inside = 0;
    waitgroup wg = {0};
    trust_lot(&rw);
    for (int i = 0; i < 2; i++) wg_go(&wg, read_it, &rw, &inside);
    write_it(&rw, &inside);
    wg_wait(&wg);
    WANT(chanrt_sync_rwmutex_trylock(&rw) == 0);
}

TASK(tries_it, chanrt_sync_rwmutex *, rw, int *, inside) {
    if (chanrt_x_rwmutex_rlock(rw, 0) != 0) return;
    WANT(__atomic_load_n(inside, __ATOMIC_SEQ_CST) == 0);
    leave_rwmutex(rw, CHANRT_X_READER);
}

// One has it as a reader and leaves; who takes it at that moment, as if he were alone, is not.
struct late { chanrt_sync_rwmutex rw; int inside; };

static void *reads_late(void *arg) {
    struct late *l = arg;
    WANT(chanrt_x_rwmutex_rlock(&l->rw, -1) == 0);
    WANT(__atomic_load_n(&l->inside, __ATOMIC_SEQ_CST) == 0);
    leave_rwmutex(&l->rw, CHANRT_X_READER);
    return NULL;
}

static void *writes_late(void *arg) {
    struct late *l = arg;
    write_it(&l->rw, &l->inside);
    return NULL;
}

SCENARIO(who_takes_a_rwmutex_too_late_is_not_in) {
    struct late l = {0};
    pthread_t reader, writer;
    WANT(chanrt_x_rwmutex_rlock(&l.rw, -1) == 0);
    WANT(pthread_create(&reader, NULL, reads_late, &l) == 0);
    WANT(pthread_create(&writer, NULL, writes_late, &l) == 0);
    sim_point(false, 0);
    leave_rwmutex(&l.rw, CHANRT_X_READER);
    WANT(pthread_join(reader, NULL) == 0 && pthread_join(writer, NULL) == 0);
    WANT(chanrt_sync_rwmutex_trylock(&l.rw) == 0);
}

// Who tries, and finds it shared just now, must not keep from waking whom he kept out.
SCENARIO(a_writer_leaves_while_others_come) {
    chanrt_sync_rwmutex rw = {0};
    int inside = 0;
    waitgroup wg = {0};
    trust_lot(&rw);
    wg_go(&wg, writes_it, &rw, &inside);
    wg_go(&wg, tries_it, &rw, &inside);
    write_it(&rw, &inside);
    wg_wait(&wg);
    WANT(chanrt_sync_rwmutex_trylock(&rw) == 0);
}

// Whoever is in, nobody beside him, leaves it as if it had never been shared, whatever the others
// are about to do.
static void leave_unshared(chanrt_sync_rwmutex *rw, uint32_t how) {
    chanrt__atom_store_rel(&rw->a_bears, 0);
    leave_rwmutex(rw, how);
}

TASK(reads_twice, struct late *, l) {
    for (int i = 0; i < 2; i++) {
        WANT(chanrt_x_rwmutex_rlock(&l->rw, -1) == 0);
        WANT(__atomic_load_n(&l->inside, __ATOMIC_SEQ_CST) == 0);
        leave_unshared(&l->rw, CHANRT_X_READER);
    }
}

static void *reads_beside(void *arg) {
    struct late *l = arg;
    WANT(chanrt_x_rwmutex_rlock(&l->rw, -1) == 0);
    WANT(__atomic_load_n(&l->inside, __ATOMIC_SEQ_CST) == 0);
    leave_unshared(&l->rw, CHANRT_X_READER);
    return NULL;
}

SCENARIO(a_rwmutex_is_unshared_while_others_come) {
    struct late l = {0};
    waitgroup wg = {0};
    pthread_t reader;
    trust_lot(&l.rw);
    WANT(pthread_create(&reader, NULL, reads_beside, &l) == 0);
    wg_go(&wg, reads_twice, &l);
    WANT(chanrt_x_rwmutex_lock(&l.rw, -1) == 0);
    WANT(__atomic_exchange_n(&l.inside, 1, __ATOMIC_SEQ_CST) == 0);
    sim_point(false, 0);
    __atomic_store_n(&l.inside, 0, __ATOMIC_SEQ_CST);
    leave_unshared(&l.rw, CHANRT_X_LOCKED);
    wg_wait(&wg);
    WANT(pthread_join(reader, NULL) == 0);
    WANT(chanrt_sync_rwmutex_trylock(&l.rw) == 0);
    WANT(chanrt_sync_rwmutex_unlock(&l.rw) == 0);
    WANT(chanrt_sync_rwmutex_tryrlock(&l.rw) == 0);
}

//--------------------------------------------------------------------------------------------------
// Contexts and groups.

TASK(cancel_it, task_ctx *, c) { ctx_cancel(c); }
TASK(free_it, task_ctx *, c) { ctx_free(c); }

SCENARIO(a_context_is_cancelled_while_its_child_is_freed) {
    task_ctx *c = ctx_with_cancel(ctx_background()), *child = ctx_with_cancel(c);
    go(free_it, child);
    ctx_cancel(c);
    WANT(ctx_err(c) == ECANCELED);
    ctx_free(c);
    WANT(chanrt_shutdown(-1) == 0);
}

SCENARIO(a_deadline_meets_a_cancel) {
    task_ctx *c = ctx_with_timeout(ctx_background(), 3 * CHANRT_MICROSECOND);
    go(cancel_it, c);
    WANT(chan_recv(ctx_done(c), NULL) == EPIPE);
    WANT(ctx_err(c) == ECANCELED || ctx_err(c) == ETIMEDOUT);
    WANT(chanrt_shutdown(-1) == 0);
    ctx_free(c);
}

TASK_ERR(end_with, int, err) { return err; }

SCENARIO(a_group_with_a_limit_is_buried_when_its_wait_returns) {
    task_group *g = malloc(sizeof *g);
    WANT(group_init(g, NULL) == 0 && group_limit(g, 1) == 0);
    for (int i = 0; i < 3; i++) WANT(group_go(g, end_with, i == 1 ? 5 : 0) == 0);
    WANT(group_wait(g) == 5);
    bury(g, sizeof *g);
    WANT(chanrt_shutdown(-1) == 0);
}

//--------------------------------------------------------------------------------------------------
// The detector: a false report ends the process with status 2.

SCENARIO(there_is_no_deadlock_while_a_thread_may_still_send) {
    pthread_t thread;
    chan(int) ch = chan_make(int, 0), idle = chan_make(int, 0);
    int never = 0;
    go(recv_into, idle, &never);
    pthread_create(&thread, NULL, thread_sends, ch);
    WANT(chan_get(ch) == 3);
    pthread_join(thread, NULL);
    chan_close(idle);
    WANT(chanrt_shutdown(-1) == 0);
    chan_free(ch);
    chan_free(idle);
}

//--------------------------------------------------------------------------------------------------

static void run(const struct scenario *s) {
    if (chanrt_start(&(chanrt_options){ .workers = 2 }) != 0) sim_fail("no start");
    s->run();
    WANT(chanrt_shutdown(-1) == 0);
    sim_end();
    look_at_graves();
    if (sim.verbose) sim_print_trace();
}

static void run_one(const struct scenario *s, int64_t seed) {
    sim_begin(seed);
    run(s);
}

static void same_chance(int id) {
    chanrt__os_self()->random = (uint32_t)id + 1;
}

static void run_listed(const struct scenario *s, int listed) {
    alarm(60);
    sim.listed = listed;
    sim.started = same_chance;
    sim_begin_listed();
    run(s);
    if (sim.used != listed) sim_fail("step %u never came", sim.list[sim.used].step);
}

// The same in a process of its own, so that no run finds what another one has left. The points at
// which it can be preempted once more come back in memory both share; it must not fail.
static struct shared {
    uint32_t n;
    struct sim_preemption points[SIM_POINTS];
} *shared;

static void run_apart(const struct scenario *s, int listed) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        run_listed(s, listed);
        shared->n = sim.point_count;
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 ||
        shared->n == SIM_POINTS) {
        fprintf(stderr, "failed:");
        sim_print_list(listed);
        exit(1);
    }
}

static struct sim_preemption *points_kept(uint32_t *n) {
    struct sim_preemption *p = malloc((shared->n + 1) * sizeof *p);
    *n = shared->n;
    memcpy(p, shared->points, shared->n * sizeof *p);
    return p;
}

static void exhaust(const struct scenario *s, long most) {
    uint32_t ones;
    long total = 0, ran = 0, next = 0;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) exit(2);
    sim.points = shared->points;
    run_apart(s, 0);
    struct sim_preemption *one = points_kept(&ones);
    struct sim_preemption **twos = calloc(ones + 1, sizeof *twos);
    uint32_t *counts = calloc(ones + 1, sizeof *counts);
    for (uint32_t i = 0; i < ones; i++) {
        sim.list[0] = one[i];
        run_apart(s, 1);
        twos[i] = points_kept(&counts[i]);
        total += counts[i];
    }
    long every = (total + most - 1) / most + (total == 0);
    for (uint32_t i = 0; i < ones; free(twos[i++]))
        for (uint32_t k = 0; k < counts[i]; k++) {
            if (next++ % every != 0) continue;
            sim.list[0] = one[i];
            sim.list[1] = twos[i][k];
            run_apart(s, 2);
            ran++;
        }
    free(one), free(twos), free(counts);
    printf("1 schedule without a preemption, %u with one, %ld of %ld with two\n", ones, ran, total);
}

static void died(int signo) {
    fprintf(stderr, "signal %d", signo);
    sim_print_seed();
    sim_print_trace();
    _exit(1);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        for (struct scenario *s = scenarios; s != NULL; s = s->next) puts(s->name);
        return 0;
    }
    stay_on_one_processor();
    sim.verbose = getenv("TRACE") != NULL;
    signal(SIGSEGV, died);
    signal(SIGABRT, died);
    signal(SIGALRM, died);
    int64_t first = strtoll(argv[2], NULL, 10), count = strtoll(argv[3], NULL, 10);
    for (struct scenario *s = scenarios; s != NULL; s = s->next) {
        if (strcmp(s->name, argv[1]) != 0) continue;
        if (strcmp(argv[2], "exhaust") == 0) return exhaust(s, strtol(argv[3], NULL, 10)), 0;
        if (strcmp(argv[2], "list") == 0) {
            for (int i = 0; i < SIM_PREEMPTIONS && i + 3 < argc; i++)
                if (sscanf(argv[i + 3], "%u:%d", &sim.list[i].step, &sim.list[i].to) != 2) return 2;
            return run_listed(s, argc - 3), 0;
        }
        for (int64_t i = 0; first > 0 && i < count; i++) {
            alarm(60);
            sim.longest = 1000; // the same for a seed whichever came before it
            run_one(s, first + i);
        }
        return 0;
    }
    fprintf(stderr, "no scenario %s\n", argv[1]);
    return 2;
}
