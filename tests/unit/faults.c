// faults.c - each thing the system or the allocator may refuse is refused, at each place it is
// asked for: the error is the documented one, nothing is kept, and the next attempt works.
#include "fault.h"
#include <fcntl.h>
#include <unistd.h>

//------------------------------------------------------------------------------
// Scenarios. Each yields whether it worked, and checks that a failure is a documented one.

static atomic_int ran;

static bool worked(int err, int other) {
    CHECK(err == 0 || err == ENOMEM || err == other);
    return err == 0;
}

static bool starts(void) {
    return worked(chanrt_start(&(chanrt_options){ .workers = 3 }), EAGAIN);
}

TASK(note, waitgroup *, wg) {
    atomic_fetch_add(&ran, 1);
    if (wg != NULL) wg_done(wg);
}

TASK(spawn_another, waitgroup *, wg, bool *, spawned) {
    *spawned = worked(wg_go(wg, note, NULL), EAGAIN);
}

static bool spawns_small(void) {
    waitgroup wg = {0};
    bool spawned = false;
    if (!worked(wg_go(&wg, spawn_another, &wg, &spawned), EAGAIN)) return false;
    return CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0) && spawned;
}

struct large { char bytes[500]; };

TASK(note_large, struct large, value, int, expected) {
    CHECK_EQ(value.bytes[499], expected);
    atomic_fetch_add(&ran, 1);
}

static bool spawns_large(void) {
    waitgroup wg = {0};
    struct large value = {{0}};
    value.bytes[499] = 9;
    if (!worked(wg_go(&wg, note_large, value, 9), EAGAIN)) return false;
    return CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
}

static bool spawns_with(chanrt_task_options options) {
    waitgroup wg = {0};
    CHECK_EQ(wg_add(&wg, 1), 0);
    if (!worked(go_opt(options, note, &wg), EAGAIN)) return false;
    return CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
}

static bool spawns_pinned(void) {
    return spawns_with((chanrt_task_options){ .pinned = true });
}

static bool spawns_on_own_stack_size(void) {
    return spawns_with((chanrt_task_options){ .stack_size = 1 << 20 });
}

static bool makes_channels(void) {
    struct aligned { _Alignas(1024) char bytes[1024]; };
    chan(int) a = chan_make(int, 10);
    chan(struct aligned) b = chan_make(struct aligned, 2);
    bool both = a != NULL && b != NULL;
    if (a != NULL) CHECK_EQ(chan_send(a, 1), 0);
    chan_free(a);
    chan_free(b);
    return both;
}

static bool waits_for_after(void) {
    chan_receiver(int64_t) ch = chan_after(1000);
    if (ch == NULL) return false;
    CHECK(chan_get(ch) > 0);
    chan_free(ch);
    return true;
}

static void count_run(void *unused) {
    (void)unused;
    atomic_fetch_add(&ran, 1);
}

static bool uses_timers(void) {
    chan_timer *once = timer_make(1000), *ticker = ticker_make(1000);
    chan_timer *call = timer_func(1000, count_run, NULL);
    bool all = once != NULL && ticker != NULL && call != NULL;
    if (once != NULL) CHECK(chan_get(timer_chan(once)) > 0);
    for (int i = 0; i < 3 && ticker != NULL; i++) CHECK(chan_get(timer_chan(ticker)) > 0);
    timer_free(once);
    timer_free(ticker);
    timer_free(call);
    return all;
}

static bool selects_of_twenty(void) {
    enum { MANY = 20 };
    int value = 0;
    chan(int) ch = chan_make(int, 0);
    if (ch == NULL) return false;
    chan_case cases[MANY];
    for (int i = 0; i < MANY; i++) cases[i] = case_recv(ch, &value);
    int won = chan_select_n(cases, MANY, 100000);
    CHECK(won == -1 || won == -ENOMEM);
    CHECK(chanrt__chan_of(ch)->recvq.a_first == NULL && chanrt__chan_of(ch)->recvq.claims == 0);
    chan_free(ch);
    return won == -1;
}

static bool ends_contexts(void) {
    task_ctx *top = ctx_with_timeout(ctx_background(), 10000);
    task_ctx *c = top != NULL ? ctx_with_cancel(top) : NULL;
    uint64_t after = ctx_after_func(c, count_run, NULL);
    bool all = top != NULL && c != NULL && after != 0;
    if (c != NULL) {
        CHECK_EQ(chan_recv(ctx_done(c), NULL), EPIPE);
        CHECK_EQ(ctx_cause(c), ETIMEDOUT);
    }
    ctx_free(top);
    ctx_free(c);
    return all;
}

TASK_ERR(fail_large, struct large, value) {
    return value.bytes[499];
}

static bool runs_a_group(void) {
    task_group g;
    struct large value = {{0}};
    value.bytes[499] = 9;
    if (!worked(group_init(&g, NULL), 0)) return false;
    CHECK_EQ(group_limit(&g, 1), 0);
    bool spawned = worked(group_go(&g, fail_large, value), EAGAIN);
    CHECK_EQ(group_wait(&g), spawned ? 9 : 0);
    return spawned;
}

//------------------------------------------------------------------------------
// What allocates nothing must not notice anything, but for the futex.

TASK(sends_and_ends, chan(int), ch, waitgroup *, wg) {
    for (int i = 0; i < 20; i++) chan_send(ch, i);
    wg_done(wg);
}

static bool blocks_on_channels(void) {
    waitgroup wg = {0};
    chan(int) ch = chan_make(int, 0), other = chan_make(int, 2);
    bool all = ch != NULL && other != NULL;
    int got = 0, v = -1, spawned = 0;
    for (int i = 0; all && i < 3; i++) {
        CHECK_EQ(wg_add(&wg, 1), 0);
        if (worked(go(sends_and_ends, i % 2 ? other : ch, &wg), EAGAIN)) spawned++;
        else wg_done(&wg), all = false;
    }
    while (ch != NULL && other != NULL && got < 20 * spawned) {
        chan_select {
            on_recv(ch, &v)    { got++; }
            on_recv(other, &v) { got++; }
            on_timeout(2 * CHANRT_SECOND) { all = CHECK(false); got = 20 * spawned; }
        }
    }
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
    chan_free(ch);
    chan_free(other);
    return all;
}

TASK(blocks_until_closed, chan(int), ch, waitgroup *, wg, bool, send) {
    int v = 7;
    CHECK_EQ(send ? chan_send(ch, v) : chan_recv(ch, &v), EPIPE);
    wg_done(wg);
}

static bool closes_under_the_blocked(void) {
    waitgroup wg = {0};
    bool all = true;
    for (int send = 0; send < 2; send++) {
        chan(int) ch = chan_make(int, 0);
        if (ch == NULL) return false;
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(wg_add(&wg, 1), 0);
            if (worked(go(blocks_until_closed, ch, &wg, send), EAGAIN)) continue;
            wg_done(&wg);
            all = false;
        }
        CHECK_EQ(chan_recv_timeout(send ? NULL : ch, NULL, 200000), send ? EINVAL : ETIMEDOUT);
        chan_close(ch);
        CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
        chan_free(ch);
    }
    return all;
}

TASK(sleeps, int64_t, ns, waitgroup *, wg) {
    int64_t start = chanrt_now();
    task_sleep(ns);
    CHECK(chanrt_now() - start >= ns);
    wg_done(wg);
}

static bool sleeps_in_tasks_and_threads(void) {
    waitgroup wg = {0};
    bool all = true;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(wg_add(&wg, 1), 0);
        if (worked(go(sleeps, 100000 * i, &wg), EAGAIN)) continue;
        wg_done(&wg);
        all = false;
    }
    int64_t start = chanrt_now();
    task_sleep(300000);
    CHECK(chanrt_now() - start >= 300000);
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
    return all;
}

struct locked { sync_mutex m; sync_cond c; int turns; };

TASK(takes_turns, struct locked *, l, waitgroup *, wg) {
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(sync_mutex_lock(&l->m), 0);
        l->turns++;
        task_yield();
        CHECK_EQ(sync_cond_signal(&l->c), 0);
        CHECK_EQ(sync_mutex_unlock(&l->m), 0);
    }
    wg_done(wg);
}

static bool locks_and_waits(void) {
    waitgroup wg = {0};
    struct locked l = {0};
    int spawned = 0;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(wg_add(&wg, 1), 0);
        if (worked(go(takes_turns, &l, &wg), EAGAIN)) spawned++;
        else wg_done(&wg);
    }
    CHECK_EQ(sync_mutex_lock(&l.m), 0);
    while (l.turns < 5 * spawned)
        if (!CHECK_EQ(sync_cond_wait_timeout(&l.c, &l.m, CHANRT_SECOND * 2), 0)) break;
    CHECK_EQ(sync_mutex_unlock(&l.m), 0);
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
    return spawned == 3;
}

TASK(reads_a_byte, int, fd, waitgroup *, wg, int *, err) {
    char byte = 0;
    ssize_t n = io_read(fd, &byte, 1);
    *err = n < 0 ? errno : 0;
    CHECK(n < 0 || byte == 'x');
    wg_done(wg);
}

static bool waits_for_a_descriptor(void) {
    waitgroup wg = {0};
    int ends[2], err = 0;
    if (!CHECK_EQ(pipe(ends), 0)) return false;
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFL, O_NONBLOCK);
    CHECK_EQ(wg_add(&wg, 1), 0);
    bool all = worked(go(reads_a_byte, ends[0], &wg, &err), EAGAIN);
    if (!all) wg_done(&wg);
    task_sleep(200000);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
    CHECK(err == 0 || err == EMFILE || err == ENOMEM || err == ENOSPC);
    for (int i = 0; i < 2; i++) close(ends[i]);
    return all && err == 0;
}

TASK(blocks_a_helper, waitgroup *, wg, int *, err) {
    *err = task_blocking(count_run, NULL);
    wg_done(wg);
}

static bool calls_what_blocks(void) {
    waitgroup wg = {0};
    int err = 0;
    CHECK_EQ(wg_add(&wg, 1), 0);
    bool all = worked(go(blocks_a_helper, &wg, &err), EAGAIN);
    if (!all) wg_done(&wg);
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
    return all && worked(err, EAGAIN);
}

static bool restarts(void) {
    if (!starts()) return false;
    CHECK_EQ(chanrt_start(NULL), EBUSY);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    return starts() && spawns_small();
}

static bool (*const scenarios[])(void) = {
    starts, spawns_small, spawns_large, spawns_pinned, spawns_on_own_stack_size, makes_channels,
    waits_for_after, uses_timers, selects_of_twenty, ends_contexts, runs_a_group,
    blocks_on_channels, closes_under_the_blocked, sleeps_in_tasks_and_threads, locks_and_waits,
    waits_for_a_descriptor, calls_what_blocks, restarts
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

//------------------------------------------------------------------------------
// Each fault at each place.

// What the runtime prints meanwhile. Failed checks still reach the terminal: they do not go
// through stdio.
static char *said;
static size_t said_size;
static FILE *terminal;

static void overhear(void) {
    terminal = stderr;
    stderr = open_memstream(&said, &said_size);
}

// How many lines it was, all of which must contain these words.
static int heard(const char *words, const char *more) {
    int lines = 0;
    fclose(stderr);
    stderr = terminal;
    for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        if (!CHECK(strstr(line, words) != NULL && strstr(line, more) != NULL)) puts(line);
    }
    free(said);
    return lines;
}

static void arm(const char *what, long nth, long count) {
    if (strcmp(what, "alloc") == 0) test_fail_alloc(nth);
    else fault_arm(what, nth, count);
}

static bool disarm(void) {
    bool fired = fault_off() > 0 || test_alloc_failed();
    test_fail_alloc(0);
    return fired;
}

static int descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < 200; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

// The i-th call of that kind is refused, and `count` - 1 after it; i = 1, 2, ... until a run meets
// none. Each time: a documented error or none, nothing kept, and it works at a second attempt.
static void fails_everywhere(const char *what, long count) {
    long injected = 0, runs = 0;
    for (int s = 0; s < SCENARIOS; s++) {
        for (long nth = 1, fired = 1; fired && nth < 60; nth++, runs++) {
            long live = test_alloc_live();
            int open = descriptors();
            overhear();
            arm(what, nth, count);
            bool ok = scenarios[s]();
            fired = disarm();
            injected += fired;
            CHECK(ok || fired);
            CHECK_EQ(chanrt_shutdown(CHANRT_SECOND * 2), 0);
            CHECK_EQ(test_alloc_live(), live);
            CHECK_EQ(descriptors(), open);
            heard("chanrt: ", "");
            if (fired && !CHECK(scenarios[s]())) printf("%s %ld, scenario %d\n", what, nth, s);
            CHECK_EQ(chanrt_shutdown(CHANRT_SECOND * 2), 0);
        }
    }
    printf("%s: %ld faults%s in %ld runs of %d scenarios\n", what, injected,
           count > 1 ? " that last" : "", runs, SCENARIOS);
}

TEST(each_allocation_fails)     { fails_everywhere("alloc", 1); }
TEST(each_mapping_fails)        { fails_everywhere("mmap", 1); }
TEST(mappings_fail_for_a_while) { fails_everywhere("mmap", 12); }
TEST(each_thread_fails)         { fails_everywhere("thread", 1); }
TEST(threads_fail_for_good)     { fails_everywhere("thread", LONG_MAX); }
TEST(membarrier_is_not_there)   { fails_everywhere("membarrier", LONG_MAX); }
#if CHANRT_MEMBARRIER
TEST(each_fence_is_refused)       { fails_everywhere("fence", 1); }
TEST(fences_are_refused_for_long) { fails_everywhere("fence", 40); }
#endif
#if CHANRT_FUTEX
TEST(each_sleep_ends_for_no_reason)   { fails_everywhere("futex", 1); }
TEST(sleeps_end_for_no_reason_always) { fails_everywhere("futex", LONG_MAX); }
#endif
TEST(each_epoll_fails)             { fails_everywhere("epoll_create", 1); }
TEST(epoll_is_not_there)           { fails_everywhere("epoll_create", LONG_MAX); }
TEST(each_eventfd_fails)           { fails_everywhere("eventfd", 1); }
TEST(eventfds_fail_for_good)       { fails_everywhere("eventfd", LONG_MAX); }
TEST(each_registration_fails)      { fails_everywhere("epoll_ctl", 1); }
TEST(registrations_fail_for_good)  { fails_everywhere("epoll_ctl", LONG_MAX); }

//------------------------------------------------------------------------------
// What is said, and what goes on in spite of it.

TEST(one_line_names_the_limit_on_threads) {
    for (int nth = 1; nth <= 3; nth++) {
        char which[40];
        snprintf(which, sizeof which, "thread %d of 3", nth);
        overhear();
        fault_arm("thread", nth, LONG_MAX);
        CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 3 }), EAGAIN);
        CHECK_EQ(fault_off(), 1);
        CHECK_EQ(heard("ulimit -u", which), 1);
    }
    CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 3 }), 0);
    CHECK_EQ(chanrt_workers(), 3);
}

TEST(one_line_says_that_workers_need_memory) {
    overhear();
    fault_arm("mmap", 1, LONG_MAX);
    CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 3 }), ENOMEM);
    CHECK_EQ(fault_off(), 1);
    CHECK_EQ(heard("no memory", "3 workers"), 1);
}

// Without a stack a task waits until there is one; those that have one go on.
TEST(task_without_a_stack_waits_for_one) {
    waitgroup wg = {0};
    CHECK(spawns_small());
    atomic_store(&ran, 0);
    overhear();
    fault_arm("mmap", 1, LONG_MAX);
    CHECK_EQ(wg_add(&wg, 1), 0);
    CHECK_EQ(go_opt(((chanrt_task_options){ .stack_size = 1 << 20 }), note, &wg), 0);
    CHECK_EQ(wg_wait_timeout(&wg, 10 * CHANRT_MILLISECOND), ETIMEDOUT);
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK(spawns_small());
    CHECK(fault_off() > 0);
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND * 2), 0);
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK(heard("no memory for a stack", "1048576") <= 1);     // once in a process
}

#if CHANRT_GUARD
// Guards are given up for good, so that is for a process of its own.
CHILD(has_no_guards) {
    fault_arm("guard", 1, LONG_MAX);
    for (int s = 0; s < SCENARIOS; s++) CHECK(scenarios[s]()), CHECK_EQ(chanrt_shutdown(-1), 0);
    CHECK_EQ(fault_off() > 0, CHANRT_GUARD > 1);
    fault_arm("mprotect", 2, LONG_MAX);
    for (int s = 0; s < SCENARIOS; s++) CHECK(scenarios[s]()), CHECK_EQ(chanrt_shutdown(-1), 0);
    CHECK_EQ(fault_off(), 1);
    return 0;
}

TEST(without_guard_pages_one_line_says_so) {
    struct test_child r = test_run_child("has_no_guards", 10000);
    CHECK_EQ(r.status, 0);
    const char *line = strstr(r.out, "no more guard pages");
    if (CHECK(line != NULL)) {
        CHECK(strstr(line, "vm.max_map_count") != NULL);
        CHECK(strstr(line + 1, "no more guard pages") == NULL);
    }
    if (r.status != 0) puts(r.out);
    test_child_free(&r);
}
#endif

// Two threads spawn first at the same time; the pool one of them starts fails half-way.
static void *spawn_and_wait(void *unused) {
    spawns_small();
    return unused;
}

TEST(failed_start_and_another_at_the_same_time) {
    for (long i = test_rounds(40); i > 0; i--) {
        overhear();
        fault_arm("thread", 1 + i % 2, 1);
        at_once(3, spawn_and_wait, NULL);
        fault_off();
        CHECK(spawns_small());
        CHECK_EQ(chanrt_shutdown(CHANRT_SECOND * 2), 0);
        heard("cannot start worker thread", "");
    }
}
