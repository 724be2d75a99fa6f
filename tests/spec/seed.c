// The deterministic mode: one seed is one run, another seed another; virtual time; deadlocks that
// name the seed; the environment's replay; the program's own threads.
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

// What a run did, in words; the same words are the same run.
static struct {
    char text[1 << 14];
    size_t length;
} trace;

__attribute__((format(printf, 1, 2)))
static void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t room = sizeof trace.text - trace.length;
    int n = vsnprintf(trace.text + trace.length, room, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < room) trace.length += (size_t)n;
}

static int64_t ms(void) { return (chanrt_now() - CHANRT_SECOND) / CHANRT_MILLISECOND; }

static void begin(uint64_t seed) {
    trace.text[trace.length = 0] = 0;
    CHECK_EQ(chanrt_start(&(chanrt_options){ .seed = seed, .virtual_time = true }), 0);
}

static void end(void) { CHECK_EQ(chanrt_shutdown(-1), 0); }

//--------------------------------------------------------------------------------------------------
// A program with everything in it that could turn out differently.

TASK(work, int, id, chan_receiver(int), jobs, chan_sender(int), results) {
    for (bool open = true; open;) {
        int job = 0;
        bool got = false;
        chan_select {
            on_recv(jobs, &job) {
                open = select_err() == 0;
                got = open;
            }
            on_timeout(3 * CHANRT_MILLISECOND) { note("t%d ", id); }
        }
        if (!got) continue;
        note("w%d=%d ", id, job);
        if (job % 3 == 0) task_sleep(job * CHANRT_MILLISECOND);
        if (job % 4 == 0) task_yield();
        chan_send(results, job * 10 + id);
    }
}

TASK(tick, chan_receiver(bool), stop) {
    chan_timer *t = ticker_make(2 * CHANRT_MILLISECOND);
    for (bool on = true; on;) {
        chan_select {
            on_recv(timer_chan(t), NULL) { note("tick@%d ", (int)ms()); }
            on_recv(stop, NULL) { on = false; }
        }
    }
    timer_free(t);
}

static void bell(void *word) { note("%s%llu ", (char *)word, (unsigned long long)task_id()); }

static void play(uint64_t seed) {
    enum { JOBS = 10 };
    begin(seed);
    chan(int) jobs = chan_make(int, 1), results = chan_make(int, 2);
    chan(bool) stop = chan_make(bool, 0);
    waitgroup wg = {0};
    for (int i = 0; i < 3; i++) CHECK_EQ(wg_go(&wg, work, i, jobs, results), 0);
    CHECK_EQ(wg_go(&wg, tick, stop), 0);
    chan_timer *func = timer_func(5 * CHANRT_MILLISECOND, bell, "bell");
    for (int got = 0, sent = 0, v = 0; got < JOBS;) {
        chan_select {
            on_send(sent < JOBS ? jobs : NULL, sent) { note("s%d ", sent++); }
            on_recv(results, &v) { note("r%d ", v), got++; }
        }
    }
    chan_close(jobs);
    chan_close(stop);
    wg_wait(&wg);
    note("end@%d", (int)ms());
    timer_free(func);
    end();
    chan_free(jobs);
    chan_free(results);
    chan_free(stop);
}

TEST(one_seed_is_one_run) {
    char first[sizeof trace.text];
    for (uint64_t seed = 1; seed <= 4; seed++) {
        play(seed);
        strcpy(first, trace.text);
        CHECK(strlen(first) > 100);
        for (long i = 0, n = test_rounds(100); i < n; i++) {
            play(seed);
            if (!CHECK_STR(trace.text, first)) break;
        }
    }
}

TEST(other_seeds_are_other_runs) {
    enum { SEEDS = 200 };
    char *seen[SEEDS];
    int distinct = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        play(seed);
        int i = 0;
        while (i < distinct && strcmp(seen[i], trace.text) != 0) i++;
        if (i == distinct) seen[distinct++] = strdup(trace.text);
    }
    CHECK(distinct > SEEDS / 2);
    while (distinct > 0) free(seen[--distinct]);
}

TEST(there_is_one_worker_whatever_was_asked_for) {
    CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 4, .seed = 9 }), 0);
    CHECK_EQ(chanrt_workers(), 1);
}

TEST(virtual_time_without_a_seed_is_refused) {
    CHECK_EQ(chanrt_start(&(chanrt_options){ .virtual_time = true }), EINVAL);
}

//--------------------------------------------------------------------------------------------------
// Time.

static int64_t wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * CHANRT_SECOND + t.tv_nsec;
}

TASK(sleep_and_note, int, id, int, hours) {
    task_sleep(hours * 3600 * CHANRT_SECOND);
    note("%d ", id);
}

TEST(hours_pass_in_no_time_and_in_order) {
    int64_t wall_start = wall();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        begin(seed);
        int64_t start = chanrt_now();
        waitgroup wg = {0};
        for (int i = 0; i < 5; i++) CHECK_EQ(wg_go(&wg, sleep_and_note, i, 5 - i), 0);
        task_sleep(6 * 3600 * CHANRT_SECOND);              // main sleeps as they do
        note("main");
        CHECK_EQ(chanrt_now() - start, 6 * 3600 * CHANRT_SECOND);
        CHECK_STR(trace.text, "4 3 2 1 0 main");
        CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND), 0);
        end();
    }
    CHECK(wall() - wall_start < 60 * CHANRT_SECOND);
}

TEST(timeouts_of_main_and_of_tasks_come_exactly_then) {
    begin(5);
    int64_t start = chanrt_now();
    chan(int) ch = chan_make(int, 0);
    CHECK_EQ(chan_recv_timeout(ch, NULL, 7 * CHANRT_SECOND), ETIMEDOUT);
    CHECK_EQ(chanrt_now() - start, 7 * CHANRT_SECOND);
    waitgroup wg = {0};
    wg_add(&wg, 1);
    CHECK_EQ(wg_wait_timeout(&wg, CHANRT_SECOND), ETIMEDOUT);
    CHECK_EQ(chanrt_now() - start, 8 * CHANRT_SECOND);
    end();
    chan_free(ch);
}

TASK(poll_the_clock, int64_t, until, bool *, done) {
    while (chanrt_now() < until) task_yield();
    *done = true;
}

TEST(who_polls_the_clock_sees_it_move) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        bool done = false;
        begin(seed);
        go(poll_the_clock, chanrt_now() + 20 * CHANRT_MILLISECOND, &done);
        int64_t until = chanrt_now() + 20 * CHANRT_MILLISECOND;
        while (chanrt_now() < until) continue;             // main does it without any call
        end();
        CHECK(done);
    }
}

TEST(without_virtual_time_sleeps_are_real) {
    CHECK_EQ(chanrt_start(&(chanrt_options){ .seed = 3 }), 0);
    int64_t start = wall(), ours = chanrt_now();
    CHECK(ours - start < CHANRT_SECOND && ours >= start);
    waitgroup wg = {0};
    chan(int) ch = chan_make(int, 0);
    CHECK_EQ(chan_recv_timeout(ch, NULL, 5 * test_unit), ETIMEDOUT);
    CHECK(wall() - start >= 5 * test_unit);
    wg_wait(&wg);
    chan_free(ch);
}

//--------------------------------------------------------------------------------------------------
// Every order that could be is found.

TASK(add_slowly, int *, sum, chan(int), ch) {
    int seen = *sum;
    chan_len(ch);                                          // somebody else may go on here
    *sum = seen + 1;
}

TEST(a_lost_update_is_found_soon) {
    chan(int) ch = chan_make(int, 1);
    int lost = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        int sum = 0;
        begin(seed);
        waitgroup wg = {0};
        for (int i = 0; i < 2; i++) CHECK_EQ(wg_go(&wg, add_slowly, &sum, ch), 0);
        wg_wait(&wg);
        end();
        lost += sum == 1;
    }
    CHECK(lost > 2 && lost < 38);
    chan_free(ch);
}

TASK(say, int, id) { note("%d", id); }

// Spawning, too, is a point: a child may run before or after what its parent does next.
TEST(all_orders_of_three_tasks_and_main_occur) {
    bool seen[4][4][4] = {{{false}}};
    int orders = 0;
    for (uint64_t seed = 1; seed <= 3000 && orders < 24; seed++) {
        begin(seed);
        waitgroup wg = {0};
        for (int i = 0; i < 3; i++) CHECK_EQ(wg_go(&wg, say, i), 0);
        wg_add(&wg, 1);
        note("3");
        wg_done(&wg);
        wg_wait(&wg);
        end();
        bool *at = &seen[trace.text[0] - '0'][trace.text[1] - '0'][trace.text[2] - '0'];
        orders += !*at;
        *at = true;
    }
    CHECK_EQ(orders, 24);
}

TEST(both_cases_of_a_select_occur_and_the_seed_says_which) {
    int counts[2] = {0, 0};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        int chosen[2];
        for (int round = 0; round < 2; round++) {
            begin(seed);
            chan(int) a = chan_make(int, 1), b = chan_make(int, 1);
            chan_send(a, 0);
            chan_send(b, 1);
            chan_select {
                on_recv(a, &chosen[round]) {}
                on_recv(b, &chosen[round]) {}
            }
            end();
            chan_free(a);
            chan_free(b);
        }
        CHECK_EQ(chosen[0], chosen[1]);
        counts[chosen[0]]++;
    }
    CHECK(counts[0] > 5 && counts[1] > 5);
}

TASK(yield_until, bool *, flag) {
    while (!*flag) task_yield();
}

TASK(set, bool *, flag) { *flag = true; }

TEST(a_task_that_polls_starves_nobody) {
    for (uint64_t seed = 1; seed <= 30; seed++) {
        bool flag = false;
        begin(seed);
        go(yield_until, &flag);
        go(set, &flag);
        end();
    }
}

TASK(send_one, chan_sender(int), ch) { chan_send(ch, 1); }

TEST(many_more_tasks_than_are_looked_at_together_all_run) {
    atomic_int ran = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        begin(seed);
        chan(int) ch = chan_make(int, 0);
        for (int i = 0; i < 1000; i++)
            CHECK_EQ(go_opt(((task_options){ .pinned = i % 3 == 0 }), send_one, ch), 0);
        for (int i = 0; i < 1000; i++) {
            int v = -1;
            CHECK_EQ(chan_recv(ch, &v), 0);
            atomic_fetch_add(&ran, v);
        }
        end();
        chan_free(ch);
    }
    CHECK_EQ(atomic_load(&ran), 6000);
}

//--------------------------------------------------------------------------------------------------
// Every call is a place where somebody else may go on.

static struct {
    chan(int) full, empty, spare;
    waitgroup wg;
    sync_mutex mutex;
    sync_rwmutex rw;
    sync_once once;
    sync_cond cond;
    sync_sem sem;
    chan_timer *timer;
    task_ctx *ctx, *other_ctx;
    task_group group;
    int pipe[2];
    char byte;
} s;

static void set_the_stage(uint64_t seed) {
    begin(seed);
    memset(&s, 0, sizeof s);
    s.full = chan_make(int, 2), s.empty = chan_make(int, 2), s.spare = chan_make(int, 0);
    chan_send(s.full, 1);
    CHECK_EQ(sync_sem_init(&s.sem, 1), 0);
    s.timer = timer_make(3600 * CHANRT_SECOND);
    s.ctx = ctx_with_cancel(ctx_background()), s.other_ctx = ctx_with_cancel(ctx_background());
    CHECK_EQ(group_init(&s.group, NULL), 0);
    CHECK_EQ(pipe(s.pipe), 0);
    CHECK_EQ(write(s.pipe[1], "x", 1), 1);
}

static void clear_the_stage(void) {
    chan_free(s.full), chan_free(s.empty), chan_free(s.spare);
    timer_free(s.timer);
    ctx_free(s.ctx), ctx_free(s.other_ctx);
    group_wait(&s.group);
    for (int i = 0; i < 2; i++)
        if (s.pipe[i] >= 0) close(s.pipe[i]);
    end();
}

static void nothing(void *arg) { (void)arg; }
TASK(nothing_to_do) {}
TASK_ERR(no_error) { return 0; }

static void select_send(chan(int) ch) {
    chan_select { on_send(ch, 1) {} }
}

static void select_default(void) {
    chan_select {
        on_recv(s.empty, NULL) {}
        on_default {}
    }
}

// Makes one of the calls. Its text, or NULL when there are no more.
static const char *make_call(int which) {
    int n = 0;
#define CALL(...) if (which == n++) return (void)(__VA_ARGS__), #__VA_ARGS__
    CALL(go(nothing_to_do));
    CALL(task_yield());
    CALL(task_sleep(1));
    CALL(task_blocking(nothing, NULL));
    CALL(chan_send(s.empty, 1));
    CALL(chan_try_send(s.empty, 1));
    CALL(chan_recv(s.full, NULL));
    CALL(chan_try_recv(s.empty, NULL));
    CALL(chan_recv_timeout(s.empty, NULL, 0));
    CALL(chan_len(s.full));
    CALL(chan_close(s.empty));
    CALL(chan_free(s.spare), s.spare = NULL);
    CALL(select_send(s.empty));
    CALL(select_default());
    CALL(chan_select_n((chan_case[]){ case_recv(s.full, NULL) }, 1, -1));
    CALL(chan_free(chan_signal(SIGUSR1)));
    CALL(wg_add(&s.wg, 1));
    CALL(wg_wait(&s.wg));
    CALL(sync_mutex_lock(&s.mutex), sync_mutex_unlock(&s.mutex));
    CALL(sync_mutex_trylock(&s.mutex), sync_mutex_unlock(&s.mutex));
    CALL(sync_rwmutex_rlock(&s.rw), sync_rwmutex_runlock(&s.rw));
    CALL(sync_rwmutex_tryrlock(&s.rw), sync_rwmutex_runlock(&s.rw));
    CALL(sync_rwmutex_lock(&s.rw), sync_rwmutex_unlock(&s.rw));
    CALL(sync_once_do(&s.once, nothing, NULL));
    CALL(sync_cond_signal(&s.cond));
    CALL(sync_cond_broadcast(&s.cond));
    CALL(sync_sem_acquire(&s.sem, 1));
    CALL(sync_sem_tryacquire(&s.sem, 1));
    CALL(timer_stop(s.timer));
    CALL(timer_reset(s.timer, CHANRT_SECOND));
    CALL(timer_free(s.timer), s.timer = NULL);
    CALL(ctx_free(ctx_with_cancel(s.ctx)));
    CALL(ctx_cancel(s.ctx));
    CALL(ctx_cancel_cause(s.ctx, 5));
    CALL(ctx_done(s.ctx));
    CALL(ctx_err(s.ctx));
    CALL(ctx_cause(s.ctx));
    CALL(ctx_after_func(s.ctx, nothing, NULL));
    CALL(ctx_after_stop(s.ctx, 1));
    CALL(ctx_free(s.other_ctx), s.other_ctx = NULL);
    CALL(group_go(&s.group, no_error));
    CALL(group_try_go(&s.group, no_error));
    CALL(group_limit(&s.group, 3));
    CALL(group_ctx(&s.group));
    CALL(group_wait(&s.group));
    CALL(io_read(s.pipe[0], &s.byte, 1));
    CALL(io_write(s.pipe[1], "y", 1));
    CALL(io_wait(s.pipe[0], IO_READ, -1));
    CALL(io_close(s.pipe[1]), s.pipe[1] = -1);
    return NULL;
}

TASK(make_a_call, int, which, const char **, name) {
    note("<");
    *name = make_call(which);
    note(">");
}

TASK(be_ready) { note("b"); }

TEST(every_call_lets_somebody_else_go_on) {
    const char *name = "";
    for (int which = 0; name != NULL; which++) {
        bool between = false;
        for (uint64_t seed = 1; seed <= 100 && !between && name != NULL; seed++) {
            waitgroup wg = {0};
            set_the_stage(seed);
            CHECK_EQ(wg_go(&wg, make_a_call, which, &name), 0);
            CHECK_EQ(wg_go(&wg, be_ready), 0);
            wg_wait(&wg);
            clear_the_stage();
            between = strcmp(trace.text, "<b>") == 0;
        }
        if (name != NULL && !between) test_check(false, name, __FILE__, __LINE__);
    }
}

static void wait_for_signal(void) {
    sync_mutex_lock(&s.mutex);
    sync_cond_wait(&s.cond, &s.mutex);
    sync_mutex_unlock(&s.mutex);
}

// One of the calls that end somebody's wait: what comes before it, the call, and the wait.
enum { BEFORE, CALLED, WAITING };
static const char *wake_by_call(int which, int part) {
    int n = 0;
#define WAKES(before, call, wait)                                                          \
    if (which == n++) return part == BEFORE ? (void)(before) : part == CALLED ? (void)(call) \
                                            : (void)(wait), #call
    WAKES(sync_mutex_lock(&s.mutex), sync_mutex_unlock(&s.mutex), sync_mutex_lock(&s.mutex));
    WAKES(sync_rwmutex_lock(&s.rw), sync_rwmutex_unlock(&s.rw), sync_rwmutex_rlock(&s.rw));
    WAKES(sync_rwmutex_rlock(&s.rw), sync_rwmutex_runlock(&s.rw), sync_rwmutex_lock(&s.rw));
    WAKES(sync_sem_acquire(&s.sem, 1), sync_sem_release(&s.sem, 1), sync_sem_acquire(&s.sem, 1));
    WAKES(0, sync_cond_signal(&s.cond), wait_for_signal());
    WAKES(0, sync_cond_broadcast(&s.cond), wait_for_signal());
    WAKES(wg_add(&s.wg, 1), wg_done(&s.wg), wg_wait(&s.wg));
    WAKES(0, ctx_cancel(s.ctx), chan_recv(ctx_done(s.ctx), NULL));
    WAKES(0, ctx_free(s.other_ctx), chan_recv(ctx_done(s.other_ctx), NULL));
    WAKES(group_limit(&s.group, 0), group_limit(&s.group, 1), group_go(&s.group, no_error));
    WAKES(0, chan_close(s.spare), chan_recv(s.spare, NULL));
    WAKES(0, chan_send(s.spare, 1), chan_recv(s.spare, NULL));
    WAKES(0, chan_recv(s.spare, NULL), chan_send(s.spare, 1));
    WAKES(0, select_send(s.spare), chan_recv(s.spare, NULL));
    return NULL;
}

TASK(wake, int, which, const char **, name) {
    *name = wake_by_call(which, BEFORE);
    task_sleep(2);          // virtual time: the other one waits by now
    note("<");
    wake_by_call(which, CALLED);
    note(">");
}

TASK(wait_to_be_woken, int, which) {
    task_sleep(1);
    wake_by_call(which, WAITING);
    note("b");
}

TEST(who_is_woken_may_go_on_before_the_call_returns_or_later) {
    const char *name = "";
    for (int which = 0; name != NULL; which++) {
        bool before = false, later = false;
        for (uint64_t seed = 1; seed <= 100 && !(before && later) && name != NULL; seed++) {
            waitgroup wg = {0};
            set_the_stage(seed);
            CHECK_EQ(wg_go(&wg, wake, which, &name), 0);
            if (name != NULL) CHECK_EQ(wg_go(&wg, wait_to_be_woken, which), 0);
            wg_wait(&wg);
            s.other_ctx = name != NULL && strstr(name, "other_ctx") ? NULL : s.other_ctx;
            clear_the_stage();
            before |= strcmp(trace.text, "<b>") == 0;
            later |= strcmp(trace.text, "<>b") == 0;
        }
        if (name != NULL && !(before && later)) test_check(false, name, __FILE__, __LINE__);
    }
}

TASK_ERR(end_later) {
    task_sleep(1);
    return 0;
}

TASK(wait_for_the_group, task_group *, g, task_ctx *, below) {
    CHECK_EQ(group_wait(g), 0);
    CHECK_EQ(ctx_err(below), ECANCELED);
}

TEST(who_waited_for_a_group_finds_its_context_cancelled) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        task_group g;
        begin(seed);
        CHECK_EQ(group_init(&g, NULL), 0);
        task_ctx *below = ctx_with_cancel(group_ctx(&g));
        CHECK_EQ(group_go(&g, end_later), 0);
        CHECK_EQ(go(wait_for_the_group, &g, below), 0);
        end();
        ctx_free(below);
    }
}

//--------------------------------------------------------------------------------------------------
// Deadlocks, and the environment.

TASK(take_two, chan(int), a, chan(int), b) {
    chan_recv(a, NULL);
    chan_recv(b, NULL);
}

CHILD(both_wait_for_the_other) {
    begin(417);
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    go(take_two, a, b);
    chan_send(b, 1);
    return 0;
}

TEST(a_deadlock_names_the_seed) {
    struct test_child r = test_run_child("both_wait_for_the_other", 20000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "fatal error: all tasks are asleep - deadlock!\n") == r.out);
    CHECK(strstr(r.out, "CHANRT_SEED=417") != NULL);
    CHECK(strstr(r.out, "\"take_two\" [chan receive") != NULL);
    test_child_free(&r);
}

CHILD(nobody_is_left) {
    begin(3);
    chan(int) ch = chan_make(int, 0);
    chan_recv(ch, NULL);
    return 0;
}

TEST(main_alone_blocked_for_ever_is_a_deadlock) {
    struct test_child r = test_run_child("nobody_is_left", 20000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "CHANRT_SEED=3 ") != NULL);
    test_child_free(&r);
}

TASK(wait_for, chan(int), ch) { chan_recv(ch, NULL); }

CHILD(tasks_are_left_blocked) {
    chanrt_start(&(chanrt_options){ .seed = 8, .virtual_time = true });
    chan(int) ch = chan_make(int, 0);
    go(wait_for, ch);
    int64_t start = chanrt_now();
    int timed = chanrt_shutdown(CHANRT_SECOND);
    bool exact = chanrt_now() - start >= 0;
    chanrt_start(&(chanrt_options){ .seed = 8, .virtual_time = true });
    go(wait_for, ch);
    int forever = chanrt_shutdown(-1);
    chan_free(ch);
    return timed == EBUSY && forever == EBUSY && exact ? 5 : 1;
}

TEST(a_shutdown_gives_up_tasks_that_nothing_can_end) {
    struct test_child r = test_run_child("tasks_are_left_blocked", 20000);
    CHECK_EQ(r.status, 5);
    test_child_free(&r);
}

TASK(send_number, chan_sender(int), ch, int, n) { chan_send(ch, n); }

// Starts nothing by itself: the first spawn does.
CHILD(an_ordinary_program) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 6; i++) go(send_number, ch, i);
    for (int i = 0; i < 6; i++) printf("%d", chan_get(ch));
    task_sleep(3600 * CHANRT_SECOND);
    printf(" %d workers, %lld s\n", chanrt_workers(), (long long)(chanrt_now() / CHANRT_SECOND));
    chanrt_shutdown(-1);
    chan_free(ch);
    return 0;
}

CHILD(a_program_with_a_seed_of_its_own) {
    play(1);
    puts(trace.text);
    return 0;
}

static struct test_child with_seed(const char *child, const char *seed) {
    setenv("CHANRT_SEED", seed, 1);
    struct test_child r = test_run_child(child, 20000);
    unsetenv("CHANRT_SEED");
    return r;
}

TEST(the_environment_makes_any_program_deterministic) {
    int same = 0;
    struct test_child other = with_seed("an_ordinary_program", "0x11");
    CHECK(strstr(other.out, " 1 workers, 3601 s\n") != NULL);
    for (int seed = 1; seed <= 8; seed++) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        struct test_child r = with_seed("an_ordinary_program", text);
        struct test_child again = with_seed("an_ordinary_program", text);
        CHECK_EQ(r.status, 0);
        CHECK_STR(r.out, again.out);
        same += strcmp(r.out, other.out) == 0;
        test_child_free(&r);
        test_child_free(&again);
    }
    CHECK(same < 4);
    test_child_free(&other);
}

TEST(the_environment_takes_the_place_of_the_programs_seed) {
    play(7);
    struct test_child r = with_seed("a_program_with_a_seed_of_its_own", "7");
    CHECK_EQ(strncmp(r.out, trace.text, trace.length), 0);
    test_child_free(&r);
    r = test_run_child("a_program_with_a_seed_of_its_own", 20000);
    CHECK(strncmp(r.out, trace.text, trace.length) != 0);
    test_child_free(&r);
}

CHILD(a_nap) {
    int64_t start = wall();
    go(sleep_and_note, 0, 0);
    task_sleep(20 * CHANRT_MILLISECOND);
    bool real = wall() - start >= 20 * CHANRT_MILLISECOND && chanrt_now() - start < CHANRT_SECOND;
    chanrt_shutdown(-1);
    return real;
}

TEST(the_environment_may_ask_for_real_time) {
    setenv("CHANRT_VIRTUAL_TIME", "0", 1);
    struct test_child r = with_seed("a_nap", "2");
    unsetenv("CHANRT_VIRTUAL_TIME");
    CHECK_EQ(r.status, 1);
    test_child_free(&r);
}

//--------------------------------------------------------------------------------------------------
// The program's own threads.

struct party {
    chan(int) in, out;
    waitgroup wg;
};

static void *echo(void *arg) {
    struct party *p = arg;
    int v;
    while (chan_recv(p->in, &v) == 0) chan_send(p->out, v + 1);
    wg_done(&p->wg);
    return NULL;
}

TEST(several_threads_take_part_and_end) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        enum { THREADS = 3, N = 50 };
        pthread_t threads[THREADS];
        struct party p = { chan_make(int, 0), chan_make(int, 1), {0} };
        begin(seed);
        wg_add(&p.wg, THREADS);
        for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, echo, &p);
        int sum = 0;
        for (int sent = 0, got = 0, v; got < N;) {
            chan_select {
                on_send(sent < N ? p.in : NULL, sent) { sent++; }
                on_recv(p.out, &v) { sum += v, got++; }
            }
        }
        CHECK_EQ(sum, N * (N + 1) / 2);
        chan_close(p.in);
        wg_wait(&p.wg);        // not pthread_join yet: that would be to be away
        task_sleep(CHANRT_MILLISECOND);
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        end();
        chan_free(p.in);
        chan_free(p.out);
    }
}

static void *late(void *arg) {
    chan(int) ch = arg;
    usleep(50000);
    chan_send(ch, 5);
    return NULL;
}

static void *sleep_for_a_millisecond(void *woken) {
    task_sleep(CHANRT_MILLISECOND);
    atomic_store((atomic_bool *)woken, true);
    return NULL;
}

TEST(a_thread_that_polls_sees_another_ones_sleep_end) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        pthread_t thread;
        atomic_bool woken = false;
        begin(seed);
        pthread_create(&thread, NULL, sleep_for_a_millisecond, &woken);
        while (!atomic_load(&woken)) task_yield();
        pthread_join(thread, NULL);
        end();
    }
}

// No deadlock while a thread is left that could call in.
TEST(a_thread_that_calls_in_late_is_waited_for) {
    pthread_t thread;
    chan(int) ch = chan_make(int, 0);
    begin(2);
    pthread_create(&thread, NULL, late, ch);
    CHECK_EQ(chan_get(ch), 5);
    end();
    pthread_join(thread, NULL);
    chan_free(ch);
}

CHILD(main_blocks_elsewhere) {
    pthread_t thread;
    chan(int) ch = chan_make(int, 0);
    begin(2);
    pthread_create(&thread, NULL, late, ch);
    go(wait_for, ch);
    pthread_join(thread, NULL);
    end();
    chan_free(ch);
    return 6;
}

TEST(a_thread_that_blocks_elsewhere_is_left_behind_and_said_to_be) {
    struct test_child r = test_run_child("main_blocks_elsewhere", 20000);
    CHECK_EQ(r.status, 6);
    CHECK(strstr(r.out, "the seed no longer decides") != NULL);
    test_child_free(&r);
}
