// Looking inside: what a dump says of whom, a dump on a signal, figures per worker.
#include "spec.h"

static const int64_t LATE = 10 * CHANRT_SECOND;
enum { PATIENCE = 20000 };

static bool shows(const char *text, const char *words) {
    if (strstr(text, words) != NULL) return true;
    fprintf(stderr, "no '%s' in:\n%s\n", words, text);
    return false;
}

static int count(const char *text, const char *word) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) n++;
    return n;
}

TASK(sends, chan_sender(int), ch, int, v) { chan_send(ch, v); }
TASK(receives, chan_receiver(int), ch) { chan_recv(ch, NULL); }
TASK(chooses, chan_receiver(int), a, chan_sender(int), b) {
    chan_select {
        on_recv(a, NULL) {}
        on_send(b, 1) {}
    }
}
TASK(joins, waitgroup *, wg) { wg_wait(wg); }

TEST(a_dump_tells_operands_and_what_the_stack_holds) {
    chan(int) full = chan_make(int, 2), none = chan_make(int, 0);
    waitgroup gate = {0};
    CHECK_EQ(chan_send(full, 1), 0);
    CHECK_EQ(chan_send(full, 2), 0);
    CHECK_EQ(wg_add(&gate, 3), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(go(sends, full, i), 0);
    CHECK_EQ(go(chooses, none, full), 0);
    CHECK_EQ(go(joins, &gate), 0);
    until_blocked(5);

    char *text = dump_text(), want[200];
    snprintf(want, sizeof want, "[chan send %p (cap 2, 2 queued, 3 waiting), ", (void *)full);
    CHECK_EQ(count(text, want), 3);
    snprintf(want, sizeof want, "receive %p", (void *)none);
    CHECK(shows(text, want));
    snprintf(want, sizeof want, "send %p", (void *)full);
    CHECK(shows(text, want));
    snprintf(want, sizeof want, "[waitgroup wait %p (count 3), ", (void *)&gate);
    CHECK(shows(text, want));
    snprintf(want, sizeof want, "chan %p (cap 2, 2 queued): 3 senders, 0 receivers, 1 selects wait",
             (void *)full);
    CHECK(shows(text, want));
#if !defined(CHANRT_UCONTEXT)
    double used = 0;
    const char *stack = strstr(text, " stack ");
    if (CHECK(stack != NULL)) used = atof(stack + 7);
    CHECK(used > 0 && used < 32);
#endif
    free(text);

    for (int i = 0; i < 5; i++) CHECK_EQ(chan_recv(full, NULL), 0);
    chan_close(none);
    CHECK_EQ(wg_add(&gate, -3), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    chan_free(full);
    chan_free(none);
}

TEST(many_alike_share_a_line_and_one_of_another_place_has_its_own) {
    enum { MANY = 300 };
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < MANY; i++) CHECK_EQ(go(receives, ch), 0);
    CHECK_EQ(go_opt(((task_options){ .name = "loner" }), receives, ch), 0);
    until_blocked(MANY + 1);
    char *text = dump_text();
    CHECK(shows(text, "300 tasks \"receives\" [chan receive "));
    CHECK(shows(text, "(cap 0, 0 queued, 301 waiting), "));
    CHECK(shows(text, "\"loner\" [chan receive "));
    CHECK_EQ(count(text, "\ntask ") + (strncmp(text, "task ", 5) == 0), 1);
    free(text);
    chan_close(ch);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    chan_free(ch);
}

// What is looked at goes away all the time.
TASK(short_lived, int, n) {
    chan(int) ch = chan_make(int, 0);
    waitgroup *gate = calloc(1, sizeof *gate), over = {0};
    wg_add(gate, 2);
    wg_go(&over, joins, gate);
    wg_go(&over, sends, ch, n);
    chan_select {
        on_recv(ch, NULL) {}
        on_timeout(10 * CHANRT_SECOND) { NEVER("somebody sends"); }
    }
    wg_add(gate, -2);
    wg_wait(&over);
    chan_free(ch);
    free(gate);
}

TEST(dumps_survive_channels_that_are_freed_meanwhile) {
    waitgroup wg = {0};
    for (long i = 0; i < test_rounds(300); i++) {
        for (int k = 0; k < 8; k++) CHECK_EQ(wg_go(&wg, short_lived, k), 0);
        for (int k = 0; k < 4; k++) free(dump_text());
        wg_wait(&wg);
    }
    CHECK_EQ(chanrt_shutdown(LATE), 0);
}

//--------------------------------------------------------------------------------------------------
// A dump on a signal.

TASK(computes) { for (;;) spin(1000); }

static int ask_for_a_dump(void) {
    usleep(100000);
    kill(getpid(), SIGUSR1);
    usleep(200000);
    return 5;
}

CHILD(every_worker_is_busy) {
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 3 * chanrt_workers(); i++) go(computes);
    go(receives, ch);
    return ask_for_a_dump();
}

CHILD(every_worker_sleeps) {
    chan(int) ch = chan_make(int, 0);
    go(receives, ch);
    return ask_for_a_dump();
}

TASK(asks_from_here) { exit(ask_for_a_dump()); }

CHILD(main_has_left) {
    go(asks_from_here);
    pthread_exit(NULL);
}

CHILD(all_wait_but_the_watch) {
    chan(int) ch = chan_make(int, 0);
    go(receives, ch);
    chan_recv(ch, NULL);
    return 0;
}

TEST(a_signal_brings_a_dump_whatever_the_workers_do) {
    if (test_seeded()) return; // one runs at a time
    setenv("CHANRT_DUMP_SIGNAL", "USR1", 1);
    const char *children[] = { "every_worker_is_busy", "every_worker_sleeps", "main_has_left" };
    const char *words[] = { "\"computes\" [run", "\"receives\" [chan receive ",
                            "\"asks_from_here\" [running]" };
    for (int i = 0; i < 3; i++) {
        struct test_child r = test_run_child(children[i], PATIENCE);
        CHECK_EQ(r.status, 5);
        CHECK(shows(r.out, "chanrt: dump on a signal\n"));
        CHECK(shows(r.out, words[i]));
        test_child_free(&r);
    }
    struct test_child r = test_run_child("all_wait_but_the_watch", PATIENCE);
    CHECK_EQ(r.status, 2); // the watch itself keeps nobody alive
    CHECK(shows(r.out, "deadlock!\n"));
    test_child_free(&r);
    unsetenv("CHANRT_DUMP_SIGNAL");
    r = test_run_child("every_worker_sleeps", PATIENCE);
    CHECK_EQ(r.status, 128 + SIGUSR1);
    test_child_free(&r);
}

TEST(the_watch_starts_and_ends_with_the_pool) {
    setenv("CHANRT_DUMP_SIGNAL", "12", 1);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(chanrt_start(NULL), 0);
        CHECK_EQ(chanrt_shutdown(LATE), 0);
    }
    unsetenv("CHANRT_DUMP_SIGNAL");
    struct sigaction now;
    CHECK_EQ(sigaction(SIGUSR2, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
}

//--------------------------------------------------------------------------------------------------
// Figures.

TASK(yields, int, n) { for (int i = 0; i < n; i++) task_yield(); }

TEST(the_figures_of_the_workers_add_up) {
    waitgroup wg = {0};
    for (int i = 0; i < 50; i++) CHECK_EQ(wg_go(&wg, yields, 50), 0);
    wg_wait(&wg);
    chanrt_statistics all;
    chanrt_worker_statistics one;
    uint64_t switches = 0, finished = 0;
    int64_t until = chanrt_now() + LATE;
    do { // the last task may still be on its last steps
        task_sleep(CHANRT_MILLISECOND);
        chanrt_stats(&all);
    } while (all.tasks_live != 0 && chanrt_now() < until);
    for (int i = 0; i < chanrt_workers(); i++) {
        CHECK_EQ(chanrt_worker_stats(i, &one), 0);
        CHECK_EQ(one.task, 0);
        CHECK_EQ(one.queued, 0);
        switches += one.switches;
        finished += one.finished;
    }
    CHECK_EQ(switches, all.switches);
    CHECK_EQ(finished, 50);
    CHECK_EQ(all.queued, 0);
    CHECK_EQ(chanrt_worker_stats(-1, &one), EINVAL);
    CHECK_EQ(chanrt_worker_stats(chanrt_workers(), &one), EINVAL);
    CHECK_EQ(chanrt_worker_stats(0, NULL), EINVAL);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(chanrt_worker_stats(0, &one), EINVAL);
}

TASK(looks_at_queue, int, others, uint64_t *, queued) {
    chanrt_statistics s;
    for (int i = 0; i < others; i++)
        CHECK_EQ(go_opt(((task_options){ .pinned = i % 2 == 0 }), yields, 1), 0);
    chanrt_stats(&s);
    *queued = s.queued;
}

TEST(queued_tasks_are_counted) {
    if (test_seeded()) return; // they run before the count
    CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 1 }), 0);
    uint64_t queued = 0;
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, looks_at_queue, 10, &queued), 0);
    wg_wait(&wg);
    CHECK_EQ(queued, 10);
}
