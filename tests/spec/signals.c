// Signals as values, and what a forked child may do.
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(int64_t ns) {
    struct timespec t = { ns / CHANRT_SECOND, ns % CHANRT_SECOND };
    nanosleep(&t, NULL);
}

TEST(a_signal_is_a_value) {
    chan_receiver(int) c = chan_signal(SIGUSR1);
    if (!CHECK(c != NULL)) return;
    for (int i = 0; i < 5; i++) {
        int got = 0;
        kill(getpid(), SIGUSR1);
        CHECK_EQ(chan_recv_timeout(c, &got, 10 * CHANRT_SECOND), 0);
        CHECK_EQ(got, SIGUSR1);
    }
    chan_free(c);
}

TASK(raises, int, sig) { raise(sig); }

static void raise_it(void *sig) { raise(*(int *)sig); }

TASK(raises_aside, int, sig) { task_blocking(raise_it, &sig); }

// It is for the task's own worker, which blocks it, whoever looks at the descriptors.
TEST(what_a_task_raises_is_received) {
    chan_receiver(int) c = chan_signal(SIGUSR1);
    if (!CHECK(c != NULL)) return;
    for (int i = 0; i < test_rounds(2000); i++) {
        int got = 0;
        if (i % 4 == 0) go(raises_aside, SIGUSR1);
        else go(raises, SIGUSR1);
        if (!CHECK_EQ(chan_recv_timeout(c, &got, 10 * CHANRT_SECOND), 0)) break;
        CHECK_EQ(got, SIGUSR1);
    }
    chan_free(c);
}

TASK(receives, chan_receiver(int), c, chan_sender(int), out) {
    chan_send(out, chan_get(c));
}

TEST(several_channels_get_each_signal) {
    enum { CHANNELS = 3 };
    chan_receiver(int) c[CHANNELS];
    chan(int) out = chan_make(int, 0);
    for (int i = 0; i < CHANNELS; i++) {
        c[i] = chan_signal(SIGUSR2);
        go(receives, c[i], out);
    }
    chan_receiver(int) other = chan_signal(SIGUSR1);
    kill(getpid(), SIGUSR2);
    for (int i = 0; i < CHANNELS; i++) CHECK_EQ(chan_get(out), SIGUSR2);
    CHECK_EQ(chan_try_recv(other, NULL), EAGAIN);
    chan_free(c[1]); // the others still get it
    kill(getpid(), SIGUSR2);
    CHECK_EQ(chan_get(c[0]), SIGUSR2);
    CHECK_EQ(chan_get(c[2]), SIGUSR2);
    chan_free(c[0]);
    chan_free(c[2]);
    chan_free(other);
    chan_free(out);
}

TEST(a_select_waits_for_a_signal) {
    chan_receiver(int) c = chan_signal(SIGINT);
    chan(int) never = chan_make(int, 0);
    int got = 0;
    kill(getpid(), SIGINT);
    chan_select {
        on_recv(c, &got) {}
        on_recv(never, NULL) {}
        on_timeout(10 * CHANRT_SECOND) {}
    }
    CHECK_EQ(got, SIGINT);
    chan_free(c);
    chan_free(never);
}

TEST(a_slow_reader_loses_all_but_eight) {
    if (test_seeded()) return; // nobody looks while main naps
    chan_receiver(int) c = chan_signal(SIGUSR1);
    for (int i = 0; i < 20; i++) {
        kill(getpid(), SIGUSR1);
        nap(CHANRT_MILLISECOND / 5);
    }
    nap(20 * test_unit);
    int n = 0;
    while (chan_try_recv(c, NULL) == 0) n++;
    CHECK(n >= 1 && n <= 8);
    chan_free(c);
}

TEST(what_cannot_be_caught_is_refused) {
    CHECK(chan_signal(SIGKILL) == NULL);
    CHECK(chan_signal(SIGSTOP) == NULL);
    CHECK(chan_signal(SIGSEGV) == NULL);
    CHECK(chan_signal(0) == NULL);
    CHECK(chan_signal(65) == NULL);
    CHECK(chan_signal(-1) == NULL);
}

// A signal that every thread of the program blocks comes all the same.
TEST(a_blocked_signal_is_received) {
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    chan_receiver(int) c = chan_signal(SIGUSR1);
    for (int i = 0; i < 3; i++) {
        int got = 0;
        kill(getpid(), SIGUSR1);
        CHECK_EQ(chan_recv_timeout(c, &got, 10 * CHANRT_SECOND), 0);
        CHECK_EQ(got, SIGUSR1);
    }
    chan_free(c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static volatile sig_atomic_t handled;
static void handle(int sig) {
    handled = sig;
}

TEST(the_earlier_action_comes_back) {
    struct sigaction mine = { .sa_handler = handle }, old, now;
    sigaction(SIGUSR1, &mine, &old);
    handled = 0;
    chan_receiver(int) a = chan_signal(SIGUSR1), b = chan_signal(SIGUSR1);
    chan_free(a);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(chan_get(b), SIGUSR1);
    CHECK_EQ(handled, 0);
    chan_free(b);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(handled, SIGUSR1);
    chan_receiver(int) c = chan_signal(SIGUSR1);
    CHECK_EQ(chanrt_shutdown(-1), 0); // as does a shutdown
    sigaction(SIGUSR1, NULL, &now);
    CHECK(now.sa_handler == handle);
    chan_free(c);
    sigaction(SIGUSR1, &old, NULL);
}

CHILD(dies_of_the_signal) {
    chan_receiver(int) c = chan_signal(SIGTERM);
    kill(getpid(), SIGTERM);
    if (chan_get(c) != SIGTERM) return 1;
    chan_free(c);
    kill(getpid(), SIGTERM);
    nap(CHANRT_SECOND);
    return 2;
}

TEST(the_default_action_comes_back) {
    struct test_child r = test_run_child("dies_of_the_signal", 10000);
    CHECK_EQ(r.status, 128 + SIGTERM);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}

// Nothing but a signal can end the wait: no deadlock.
CHILD(waits_for_a_signal_only) {
    chan_receiver(int) c = chan_signal(SIGALRM);
    alarm(2);
    return chan_get(c) == SIGALRM ? 7 : 1;
}

TEST(a_wait_for_a_signal_is_no_deadlock) {
    struct test_child r = test_run_child("waits_for_a_signal_only", 10000);
    CHECK_EQ(r.status, 7);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}

// With the last channel freed it is one again.
CHILD(waits_after_the_free) {
    chan_receiver(int) c = chan_signal(SIGUSR1);
    chan(int) never = chan_make(int, 0);
    chan_free(c);
    chan_recv(never, NULL);
    return 0;
}

TEST(without_channels_for_signals_a_deadlock_is_one) {
    struct test_child r = test_run_child("waits_after_the_free", 10000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "all tasks are asleep") != NULL);
    test_child_free(&r);
}

//--------------------------------------------------------------------------------------------------
// fork

TASK(forks, int, how, chan_sender(int), out) {
    pid_t pid = fork();
    if (pid == 0) {
        chan(int) c = chan_make(int, 0);
        if (how == 0) execl("/bin/true", "true", (char *)NULL);
        if (how == 1) chan_recv(c, NULL);
        if (how == 2) go(receives, c, c);
        if (how == 3) task_sleep(CHANRT_MILLISECOND), chanrt_shutdown(0);
        if (how == 4) return;
        _exit(99);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    chan_send(out, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

CHILD(forks_and_execs) {
    chan(int) out = chan_make(int, 0);
    go(forks, 0, out);
    return chan_get(out);
}
static int forks_and_calls(int how) {
    chan(int) out = chan_make(int, 0);
    go(forks, how, out);
    int status = chan_get(out);
    chan_free(out);
    return status == 99 ? 99 : status > 128 ? 3 : 4;
}
CHILD(forks_and_blocks) { return forks_and_calls(1); }
CHILD(forks_and_spawns) { return forks_and_calls(2); }
CHILD(forks_and_shuts_down) { return forks_and_calls(3); }
CHILD(forks_and_ends) { return forks_and_calls(4); }

TEST(a_forked_child_may_exec_and_nothing_else) {
    static const char *const bad[] = { "forks_and_blocks", "forks_and_spawns",
                                       "forks_and_shuts_down", "forks_and_ends" };
    struct test_child r = test_run_child("forks_and_execs", 10000);
    CHECK_EQ(r.status, 0);
    CHECK_STR(r.out, "");
    test_child_free(&r);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        r = test_run_child(bad[i], 10000);
        CHECK_EQ(r.status, 3); // ended by a signal
        CHECK(strstr(r.out, "fatal error: this process was forked") != NULL);
        test_child_free(&r);
    }
}
