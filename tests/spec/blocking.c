// Calls that block: the task waits on a helper thread's work, its worker runs on.
#include "test.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void nap(int64_t ns) {
    struct timespec t = { ns / CHANRT_SECOND, ns % CHANRT_SECOND };
    nanosleep(&t, NULL);
}

struct call {
    pthread_t thread;
    uint64_t task;
    int64_t ns;
    int value;
};

static void block(void *arg) {
    struct call *c = arg;
    c->thread = pthread_self();
    c->task = task_id();
    if (c->ns > 0) nap(c->ns);
    c->value++;
}

TASK(calls, int64_t, ns, chan_sender(int), out) {
    struct call c = { .task = 1, .ns = ns, .value = 41 };
    pthread_t self = pthread_self();
    int err = task_blocking(block, &c);
    CHECK_EQ(c.value, 42);
    CHECK(!pthread_equal(self, c.thread));
    CHECK_EQ(c.task, 0); // over there is no task
    chan_send(out, err);
}

TEST(a_call_runs_elsewhere_and_returns) {
    chan(int) out = chan_make(int, 0);
    go(calls, 0, out);
    CHECK_EQ(chan_get(out), 0);
    go(calls, test_unit, out);
    CHECK_EQ(chan_get(out), 0);
    chan_free(out);
}

TEST(on_a_thread_it_is_a_call) {
    struct call c = { .value = 1 };
    CHECK_EQ(task_blocking(block, &c), 0);
    CHECK(pthread_equal(c.thread, pthread_self()));
    CHECK_EQ(c.value, 2);
    CHECK_EQ(task_blocking(NULL, &c), EINVAL);
}

TASK(counts, atomic_long *, n, chan_receiver(int), stop) {
    while (chan_try_recv(stop, NULL) == EAGAIN) {
        atomic_fetch_add(n, 1);
        task_yield();
    }
}

TEST(other_tasks_run_meanwhile) {
    static atomic_long n;
    atomic_store(&n, 0);
    chan(int) out = chan_make(int, 0), stop = chan_make(int, 0);
    waitgroup wg = { 0 };
    wg_go(&wg, counts, &n, stop);
    enum { CALLS = 8 };
    int64_t start = chanrt_now();
    for (int i = 0; i < CALLS; i++) go(calls, 20 * test_unit, out);
    for (int i = 0; i < CALLS; i++) CHECK_EQ(chan_get(out), 0);
    CHECK(chanrt_now() - start < CALLS * 20 * test_unit); // at the same time, on any pool
    CHECK(atomic_load(&n) > 100);
    chan_close(stop);
    wg_wait(&wg);
    chan_free(out);
    chan_free(stop);
}
