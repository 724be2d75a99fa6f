// faults.c - each thing the system or the allocator may refuse is refused, at each place it is
// asked for: the error is the documented one, nothing is kept, and the next attempt works.
#include "fault.h"

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

static bool restarts(void) {
    if (!starts()) return false;
    CHECK_EQ(chanrt_start(NULL), EBUSY);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    return starts() && spawns_small();
}

static bool (*const scenarios[])(void) = {
    starts, spawns_small, spawns_large, spawns_pinned, spawns_on_own_stack_size, makes_channels,
    waits_for_after, uses_timers, selects_of_twenty, ends_contexts, runs_a_group, restarts
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

static void fails_everywhere(const char *what, long count) {
    for (int s = 0; s < SCENARIOS; s++) {
        for (long nth = 1, fired = 1; fired && nth < 50; nth++) {
            long live = test_alloc_live();
            overhear();
            arm(what, nth, count);
            bool ok = scenarios[s]();
            fired = disarm();
            CHECK(ok || fired);
            CHECK_EQ(chanrt_shutdown(CHANRT_SECOND * 2), 0);
            CHECK_EQ(test_alloc_live(), live);
            heard("chanrt: ", "");
        }
        CHECK(scenarios[s]());
        CHECK_EQ(chanrt_shutdown(CHANRT_SECOND * 2), 0);
    }
}

TEST(each_allocation_fails)     { fails_everywhere("alloc", 1); }
TEST(each_mapping_fails)        { fails_everywhere("mmap", 1); }
TEST(mappings_fail_for_a_while) { fails_everywhere("mmap", 12); }
TEST(each_thread_fails)         { fails_everywhere("thread", 1); }
TEST(threads_fail_for_good)     { fails_everywhere("thread", LONG_MAX); }
TEST(membarrier_is_not_there)   { fails_everywhere("membarrier", LONG_MAX); }

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
