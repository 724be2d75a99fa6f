// The deadlock detector (catalogue N): it reports what can never go on, says who waits where, and
// never ends a program that something could still wake. Every program that may end is a child.
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REPORT "fatal error: all tasks are asleep - deadlock!\n"
enum { PATIENCE = 10000, RANG = 7 };

static void nap(int milliseconds) {
    struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static void ring(int signo) {
    (void)signo;
    _exit(RANG);
}

// Ends the process with RANG later on: neither a thread nor a timer of the runtime's, so it is no
// reason for the detector to stay silent.
static void ring_after(int milliseconds) {
    signal(SIGALRM, ring);
    struct itimerval t = {.it_value = {.tv_usec = milliseconds * 1000}};
    setitimer(ITIMER_REAL, &t, NULL);
}

// words: what the dump has to contain, ended by NULL.
static void check_report(const char *child, const char *const *words) {
    struct test_child r = test_run_child(child, PATIENCE);
    CHECK_EQ(r.status, 2);
    if (CHECK(strncmp(r.out, REPORT, strlen(REPORT)) == 0))
        CHECK(strstr(r.out + 1, REPORT) == NULL);
    for (; *words; words++) {
        if (!CHECK(strstr(r.out, *words) != NULL))
            fprintf(stderr, "%s: no '%s' in:\n%s\n", child, *words, r.out);
    }
    test_child_free(&r);
}

#define CHECK_REPORT(child, ...) check_report(child, (const char *const[]){__VA_ARGS__, NULL})

// A debug build has more to say: of channels left behind, of calls that take a worker.
static void check_silent(const char *child, int status) {
    struct test_child r = test_run_child(child, PATIENCE);
    CHECK_EQ(r.status, status);
#if defined CHANRT_DEBUG && CHANRT_DEBUG
    CHECK(strstr(r.out, "all tasks are asleep") == NULL);
#else
    CHECK_STR(r.out, "");
#endif
    test_child_free(&r);
}

//--------------------------------------------------------------------------------------------------
// What is a deadlock.

CHILD(main_receives) {
    chan(int) ch = chan_make(int, 0);
    chan_recv(ch, NULL);
    return 0;
}

CHILD(main_sends_into_a_full_channel) {
    chan(int) ch = chan_make(int, 1);
    chan_send(ch, 1);
    chan_send(ch, 2);
    return 0;
}

CHILD(main_selects_nothing) {
    chan_select {}
    return 0;
}

CHILD(main_selects_only_null) {
    chan(int) ch = NULL;
    chan_select {
        on_recv(ch, NULL) {}
        on_send(ch, 1) {}
    }
    return 0;
}

CHILD(main_selects_idle_channels) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    chan_select {
        on_recv(a, NULL) {}
        on_send(b, 1) {}
    }
    return 0;
}

CHILD(main_selects_an_array_for_ever) {
    chan(int) a = chan_make(int, 0);
    chan_case cases[] = {case_recv(a, NULL)};
    chan_select_n(cases, 1, -1);
    return 0;
}

// case 112 *35
TEST(a_main_thread_that_waits_for_nobody_is_a_deadlock) {
    CHECK_REPORT("main_receives", "1 thread");
    CHECK_REPORT("main_sends_into_a_full_channel", "1 thread");
    CHECK_REPORT("main_selects_nothing", "1 thread");
    CHECK_REPORT("main_selects_only_null", "1 thread");
    CHECK_REPORT("main_selects_idle_channels", "1 thread");
    CHECK_REPORT("main_selects_an_array_for_ever", "1 thread");
}

TASK(receives, chan_receiver(int), ch) {
    chan_recv(ch, NULL);
}

TASK(sends, chan_sender(int), ch) {
    chan_send(ch, 1);
}

TASK(waits, waitgroup *, wg) {
    wg_wait(wg);
}

TASK(selects, chan_receiver(int), a, chan_sender(int), b) {
    chan_select {
        on_recv(a, NULL) {}
        on_send(b, 1) {}
    }
}

TASK(selects_nothing) {
    chan_select {}
}

#define GO_NAMED(name_, ...) go_opt(((task_options){.name = name_}), __VA_ARGS__)

CHILD(everybody_waits) {
    static waitgroup never, all;
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0), c = chan_make(int, 0);
    wg_add(&never, 1);
    wg_add(&all, 1);
    GO_NAMED("reader", receives, a);
    GO_NAMED("writer", sends, b);
    GO_NAMED("joiner", waits, &never);
    GO_NAMED("chooser", selects, c, c);
    GO_NAMED("nobody", selects_nothing);
    wg_wait(&all);
    return 0;
}

// case 112 *35
TEST(the_report_names_every_task_and_what_it_waits_for) {
    CHECK_REPORT("everybody_waits", "reader", "writer", "joiner", "chooser", "nobody",
                 "chan receive", "chan send", "select", "waitgroup", "deadlock.c");
}

TASK(never_done, waitgroup *, wg, chan_receiver(int), ch) {
    chan_recv(ch, NULL);
    wg_done(wg);
}

CHILD(main_waits_for_a_task_that_waits_for_ever) {
    static waitgroup wg;
    chan(int) ch = chan_make(int, 0);
    wg_add(&wg, 1);
    GO_NAMED("forgotten", never_done, &wg, ch);
    wg_wait(&wg);
    return 0;
}

TASK(crossed, chan(int), mine, chan(int), theirs) {
    chan_send(mine, 1);
    chan_recv(theirs, NULL);
}

CHILD(two_tasks_wait_for_each_other) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    waitgroup wg = {0};
    wg_go(&wg, crossed, a, b);
    wg_go(&wg, crossed, b, a);
    wg_wait(&wg);
    return 0;
}

TASK(works_then_leaves, int, rounds) {
    for (int i = 0; i < rounds; i++)
        task_yield();
}

CHILD(the_last_working_task_ends) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 100; i++)
        go(works_then_leaves, 10 * i);
    GO_NAMED("left behind", receives, ch);
    chan_recv(ch, NULL);
    return 0;
}

CHILD(the_last_timer_fires) {
    chan(int) ch = chan_make(int, 0);
    chan_recv_timeout(ch, NULL, 20 * CHANRT_MILLISECOND);
    task_sleep(20 * CHANRT_MILLISECOND);
    chan_timer *stopped = timer_make(3600 * CHANRT_SECOND);
    timer_stop(stopped);
    chan_free(chan_after(3600 * CHANRT_SECOND));
    chan_recv(ch, NULL);
    return 0;
}

CHILD(after_a_restart) {
    waitgroup wg = {0};
    for (int i = 0; i < 3; i++) {
        wg_go(&wg, works_then_leaves, 3);
        wg_wait(&wg);
        if (chanrt_shutdown(CHANRT_SECOND) != 0)
            return 9;
    }
    chan(int) ch = chan_make(int, 0);
    GO_NAMED("second life", receives, ch);
    chan_recv(ch, NULL);
    return 0;
}

// case 112 *35
TEST(a_deadlock_among_tasks_is_reported_however_it_came_about) {
    CHECK_REPORT("main_waits_for_a_task_that_waits_for_ever", "forgotten", "chan receive");
    CHECK_REPORT("two_tasks_wait_for_each_other", "crossed", "chan send");
    CHECK_REPORT("the_last_working_task_ends", "left behind");
    CHECK_REPORT("the_last_timer_fires", "1 thread");
    CHECK_REPORT("after_a_restart", "second life");
}

static void begin_thread(void *(*fn)(void *), void *arg) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, fn, arg) != 0 || pthread_detach(thread) != 0)
        _exit(8);
}

static void *nap_200(void *arg) {
    (void)arg;
    nap(200);
    return NULL;
}

static void *receive_for_ever(void *arg) {
    chan(int) ch = arg;
    chan_recv(ch, NULL);
    return NULL;
}

CHILD(a_thread_naps_and_exits) {
    chan(int) ch = chan_make(int, 0);
    begin_thread(nap_200, NULL);
    chan_recv(ch, NULL);
    return 0;
}

static void *use_channel_and_nap(void *arg) {
    chan(int) ch = arg;
    chan_send(ch, 1);
    nap(100);
    return NULL;
}

CHILD(a_thread_that_used_the_runtime_exits) {
    chan(int) ch = chan_make(int, 0);
    GO_NAMED("orphan", receives, chan_make(int, 0));
    begin_thread(use_channel_and_nap, ch);
    chan_recv(ch, NULL);
    chan_recv(ch, NULL);
    return 0;
}

CHILD(all_threads_wait) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 3; i++)
        begin_thread(receive_for_ever, ch);
    chan_recv(ch, NULL);
    return 0;
}

static void *shut_down(void *arg) {
    (void)arg;
    nap(200);                // main waits by then
    if (chanrt_shutdown(0) != 0) _exit(9);
    return NULL;
}

TASK(does_nothing, int, n) { (void)n; }

CHILD(a_thread_shuts_the_pool_down_and_exits) {
    chan(int) ch = chan_make(int, 0);
    go(does_nothing, 0);     // there is a pool
    begin_thread(shut_down, NULL);
    chan_recv(ch, NULL);
    return 0;
}

// case 112 *35
TEST(a_deadlock_is_noticed_after_the_last_other_thread_has_gone_or_blocked) {
    int64_t start = chanrt_now();
    CHECK_REPORT("a_thread_naps_and_exits", "1 thread");
    CHECK(chanrt_now() - start >= 200 * CHANRT_MILLISECOND);
    CHECK_REPORT("a_thread_that_used_the_runtime_exits", "orphan");
    CHECK_REPORT("all_threads_wait", "4 threads");
    if (!test_seeded()) CHECK_REPORT("a_thread_shuts_the_pool_down_and_exits", "1 thread");
}

//--------------------------------------------------------------------------------------------------
// What is not.

TASK(sends_after, chan_sender(int), ch, int64_t, ns) {
    task_sleep(ns);
    chan_send(ch, 5);
}

CHILD(a_task_sleeps) {
    chan(int) ch = chan_make(int, 0);
    go(sends_after, ch, 200 * CHANRT_MILLISECOND);
    return chan_get(ch);
}

static void send_five(void *arg) {
    chan(int) ch = arg;
    chan_send(ch, 5);
}

CHILD(a_function_timer_is_pending) {
    chan(int) ch = chan_make(int, 0);
    timer_func(200 * CHANRT_MILLISECOND, send_five, ch);
    return chan_get(ch);
}

CHILD(a_select_has_a_timeout) {
    chan(int) ch = chan_make(int, 0);
    chan_select {
        on_recv(ch, NULL) {}
        on_timeout(200 * CHANRT_MILLISECOND) { return 5; }
    }
    return 0;
}

CHILD(a_far_timer_is_pending) {
    chan(int) ch = chan_make(int, 0);
    timer_make(INT64_MAX);
    ring_after(300);
    chan_recv(ch, NULL);
    return 0;
}

CHILD(a_ticker_nobody_reads) {
    chan(int) ch = chan_make(int, 0);
    ticker_make(10 * CHANRT_MILLISECOND);
    ring_after(300);
    chan_recv(ch, NULL);
    return 0;
}

CHILD(a_task_sleeps_for_ever) {
    chan(int) ch = chan_make(int, 0);
    go(sends_after, ch, INT64_MAX);
    ring_after(300);
    chan_recv(ch, NULL);
    return 0;
}

// case 113 *35
TEST(there_is_no_report_while_a_timer_is_pending) {
    if (test_seeded()) return; // time jumps, to the farthest as well
    check_silent("a_task_sleeps", 5);
    check_silent("a_function_timer_is_pending", 5);
    check_silent("a_select_has_a_timeout", 5);
    check_silent("a_far_timer_is_pending", RANG);
    check_silent("a_ticker_nobody_reads", RANG);
    check_silent("a_task_sleeps_for_ever", RANG);
}

static void *nap_and_send(void *arg) {
    chan(int) ch = arg;
    nap(200);
    chan_send(ch, 5);
    return NULL;
}

CHILD(a_thread_naps_and_sends) {
    chan(int) ch = chan_make(int, 0);
    begin_thread(nap_and_send, ch);
    return chan_get(ch);
}

static void *spin_and_send(void *arg) {
    chan(int) ch = arg;
    for (int64_t end = chanrt_now() + 200 * CHANRT_MILLISECOND; chanrt_now() < end;) {}
    chan_send(ch, 5);
    return NULL;
}

CHILD(a_thread_spins_and_sends) {
    chan(int) ch = chan_make(int, 0);
    begin_thread(spin_and_send, ch);
    return chan_get(ch);
}

static int line[2];

static void *read_line_and_send(void *arg) {
    chan(int) ch = arg;
    char byte = 0;
    if (read(line[0], &byte, 1) == 1)
        chan_send(ch, byte);
    return NULL;
}

static void *nap_and_write(void *arg) {
    (void)arg;
    nap(200);
    return write(line[1], "\5", 1) == 1 ? NULL : line;
}

CHILD(a_thread_reads_a_pipe) {
    chan(int) ch = chan_make(int, 0);
    if (pipe(line) != 0)
        return 9;
    begin_thread(read_line_and_send, ch);
    begin_thread(nap_and_write, NULL);
    return chan_get(ch);
}

CHILD(main_joins_a_blocked_thread) {
    pthread_t thread;
    chan(int) ch = chan_make(int, 0);
    pthread_create(&thread, NULL, receive_for_ever, ch);
    ring_after(300);
    pthread_join(thread, NULL);
    return 0;
}

CHILD(main_naps_while_a_task_waits) {
    chan(int) ch = chan_make(int, 1);
    go(receives, ch);
    nap(200);
    return chan_send(ch, 1) == 0 ? 5 : 0;
}

TASK(naps_and_sends, chan_sender(int), ch) {
    nap(200);
    chan_send(ch, 5);
}

CHILD(a_task_naps_on_its_worker) {
    chan(int) ch = chan_make(int, 0);
    go(naps_and_sends, ch);
    return chan_get(ch);
}

// case 113 *35
TEST(there_is_no_report_while_a_thread_or_a_task_is_busy_elsewhere) {
    check_silent("a_thread_naps_and_sends", 5);
    check_silent("a_thread_spins_and_sends", 5);
    check_silent("a_thread_reads_a_pipe", 5);
    check_silent("main_joins_a_blocked_thread", RANG);
    check_silent("main_naps_while_a_task_waits", 5);
    check_silent("a_task_naps_on_its_worker", 5);
}

TASK(echo, chan(int), in, chan(int), out) {
    chan_range(int, n, in) chan_send(out, n);
}

static void *thread_echo(void *arg) {
    chan(int) *ch = arg;
    chan_range(int, n, ch[0]) chan_send(ch[1], n);
    return NULL;
}

// Everybody but one is blocked at any time, and often the wake is still on its way.
CHILD(the_wake_is_always_in_flight) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    go(echo, a, b);
    for (int i = 0; i < test_rounds(30000); i++) {
        chan_send(a, i);
        if (chan_get(b) != i)
            return 1;
    }
    chan_close(a);

    chan(int) pair[2] = {chan_make(int, 0), chan_make(int, 0)};
    pthread_t thread;
    pthread_create(&thread, NULL, thread_echo, pair);
    for (int i = 0; i < test_rounds(10000); i++) {
        chan_send(pair[0], i);
        if (chan_get(pair[1]) != i)
            return 2;
    }
    chan_close(pair[0]);
    pthread_join(thread, NULL);
    return 5;
}

static void *send_and_exit(void *arg) {
    chan(int) ch = arg;
    chan_send(ch, 1);
    return NULL;
}

// The thread that is to send has just been made, or is just going away.
CHILD(threads_come_and_go) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < test_rounds(1000); i++) {
        begin_thread(send_and_exit, ch);
        chan_recv(ch, NULL);
    }
    return 5;
}

CHILD(short_timers_are_all_there_is) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < test_rounds(2000); i++) {
        if (chan_recv_timeout(ch, NULL, i % 50 * CHANRT_MICROSECOND) != ETIMEDOUT)
            return 1;
        go(sends_after, ch, i % 50 * CHANRT_MICROSECOND);
        if (chan_recv(ch, NULL) != 0)
            return 2;
    }
    return 5;
}

// case 112 *35
TEST(there_is_no_report_while_a_wake_is_in_flight) {
    if (test_seeded()) return; // who computes for long is left behind
    check_silent("the_wake_is_always_in_flight", 5);
    check_silent("threads_come_and_go", 5);
    check_silent("short_timers_are_all_there_is", 5);
}

CHILD(main_ends_while_others_wait) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 10; i++)
        go(receives, ch);
    return 6;
}

TASK(exits_later, int, status) {
    task_sleep(50 * CHANRT_MILLISECOND);
    exit(status);
}

CHILD(main_thread_leaves_while_a_task_sleeps) {
    go(exits_later, 6);
    pthread_exit(NULL);
}

CHILD(a_blocked_task_beside_a_living_main) {
    chan(int) ch = chan_make(int, 0), never = chan_make(int, 0);
    go(receives, never);
    go(echo, ch, ch);
    for (int i = 0; i < 1000; i++)
        task_yield();
    nap(50);
    return 6;
}

// case 114
TEST(main_may_end_or_leave_while_tasks_wait) {
    check_silent("main_ends_while_others_wait", 6);
    check_silent("main_thread_leaves_while_a_task_sleeps", 6);
    check_silent("a_blocked_task_beside_a_living_main", 6);
}
