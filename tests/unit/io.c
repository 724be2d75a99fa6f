// io.c - the rooms poll, fd, blocking, io, signal: what happens between a look and a wait, lost
// registrations, helpers that run out, and every system call refused once.
#define CHANRT_HELPERS 3
#include "fault.h"

#include <sys/socket.h>

static void pair(int fds[2]) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void close_both(int fds[2]) {
    io_close(fds[0]);
    io_close(fds[1]);
}

//------------------------------------------------------------------------------
// >>fd

TEST(an_event_between_look_and_wait_is_seen) {
    int fds[2];
    struct chanrt__fd_look look;
    pair(fds);
    CHECK_EQ(chanrt__fd_begin(&look, fds[0]), 0);
    chanrt__fd_fire(&look.d->source, IO_READ);
    CHECK_EQ(chanrt__fd_wait(&look, fds[0], IO_READ, CHANRT__FOREVER), 0);
    CHECK_EQ(chanrt__fd_wait(&look, fds[0], IO_READ | IO_WRITE, CHANRT__FOREVER), 0);
    CHECK_EQ(chanrt__fd_begin(&look, fds[0]), 0); // seen now: waits
    CHECK_EQ(chanrt__fd_wait(&look, fds[0], IO_READ, chanrt_now() + test_unit), ETIMEDOUT);
    chanrt__fd_fire(&look.d->source, IO_WRITE);   // the other direction
    CHECK_EQ(chanrt__fd_wait(&look, fds[0], IO_READ, chanrt_now() + test_unit), ETIMEDOUT);
    close_both(fds);
}

TEST(a_close_between_look_and_wait_cancels) {
    int fds[2];
    struct chanrt__fd_look look;
    pair(fds);
    CHECK_EQ(chanrt__fd_begin(&look, fds[0]), 0);
    close_both(fds);
    int again[2];
    pair(again); // the same numbers
    CHECK_EQ(again[0], fds[0]);
    CHECK_EQ(chanrt__fd_wait(&look, fds[0], IO_READ, CHANRT__FOREVER), ECANCELED);
    CHECK_EQ(chanrt__fd_wait(&look, fds[0], IO_READ, chanrt_now()), ECANCELED);
    close_both(again);
}

TEST(waiters_leave_no_trace) {
    int fds[2];
    pair(fds);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(io_wait(fds[0], IO_READ, test_unit / 20), ETIMEDOUT);
        chan_select {
            on_io(fds[0], IO_READ) {}
            on_timeout(test_unit / 20) {}
        }
    }
    int err = 0;
    struct chanrt__fd *d = chanrt__fd_get(fds[0], &err);
    for (int i = 0; i < 2; i++) {
        CHECK(d->queue[i].a_first == NULL && d->queue[i].last == NULL);
        CHECK_EQ(d->queue[i].claims, 0);
    }
    CHECK_EQ(d->a_lock, 0);
    CHECK(!chanrt__sched_expects());
    close_both(fds);
}

// F4: what a read says of what is left.
TEST(a_read_that_got_all_it_asked_for_has_not_emptied_the_socket) {
    int fds[2];
    struct chanrt__fd_look look;
    pair(fds);
    CHECK_EQ(io_wait(fds[0], IO_READ, test_unit / 20), ETIMEDOUT); // it is watched now
    CHECK_EQ(chanrt__fd_begin(&look, fds[0]), 0);
    chanrt__atom_store(&look.d->source.a_kind, CHANRT__FD_ALIVE);
    chanrt__io_note(&look, fds[0], false);
    CHECK(!chanrt__fd_empty(&look));
    chanrt__io_note(&look, fds[0], true);
    CHECK(chanrt__fd_empty(&look));
    chanrt__fd_fire(&look.d->source, IO_READ);
    CHECK_EQ(chanrt__fd_begin(&look, fds[0]), 0);
    CHECK(!chanrt__fd_empty(&look));
    close_both(fds);
}

TEST(numbers_beyond_the_table_are_refused) {
    int err = 0;
    CHECK(chanrt__fd_get(-1, &err) == NULL);
    CHECK_EQ(err, EBADF);
    CHECK(chanrt__fd_get(CHANRT__FD_CHUNK * CHANRT__FD_CHUNKS, &err) == NULL);
    CHECK_EQ(err, EMFILE);
    CHECK(chanrt__fd_get(CHANRT__FD_CHUNK * CHANRT__FD_CHUNKS - 1, &err) != NULL);
}

//------------------------------------------------------------------------------
// >>poll

#if CHANRT_EPOLL
TASK(waits, int, fd, int64_t, ns, chan_sender(int), out) {
    chan_send(out, io_wait(fd, IO_READ, ns));
}

static int task_wait(int fd, int64_t ns) {
    chan(int) out = chan_make(int, 1);
    go(waits, fd, ns, out);
    int err = chan_get(out);
    chan_free(out);
    return err;
}

// Closed by close(2), and the number comes again: found out once, then expected.
TEST(a_lost_registration_is_found_once) {
    for (int i = 0; i < 5; i++) {
        int a[2], b[2];
        pair(a);
        CHECK_EQ(task_wait(a[0], test_unit / 4), ETIMEDOUT);
        close(a[0]);
        close(a[1]);
        pair(b);
        chan(int) out = chan_make(int, 1);
        int64_t start = chanrt_now();
        go(waits, b[0], -1, out);
        task_sleep(test_unit);
        CHECK_EQ(write(b[1], "x", 1), 1);
        CHECK_EQ(chan_get(out), 0);
        if (i > 0) CHECK(chanrt__poll.a_careful == 1);
        if (i > 0 && test_unit == CHANRT_MILLISECOND)
            CHECK(chanrt_now() - start < 2 * CHANRT_SECOND);
        chan_free(out);
        close(b[0]);
        close(b[1]);
    }
}

// More waits that last than a worker can note: those too are looked at again.
TEST(notes_that_do_not_fit_are_registered_at_once) {
    int fds[2], err = 0;
    pair(fds);
    CHECK_EQ(task_wait(fds[0], test_unit / 4), ETIMEDOUT);
    struct chanrt__fd *d = chanrt__fd_get(fds[0], &err);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    CHECK_EQ(chanrt__poll_start(1), 0); // no worker: its ring is ours
    d = chanrt__fd_get(fds[0], &err);
    d->source.fd = fds[0];
    d->source.fire = chanrt__fd_fire;
    for (int i = 0; i < CHANRT__POLL_NOTES + 3; i++)
        CHECK_EQ(chanrt__poll_arm(&d->source, IO_READ, 0, 0), 0);
    struct chanrt__poll_ring *ring = &chanrt__poll.rings[0];
    CHECK_EQ(ring->tail - ring->head, CHANRT__POLL_NOTES);
    CHECK_EQ(chanrt__poll_review(0, chanrt__poll_patience - 1), chanrt__poll_patience);
    CHECK_EQ(chanrt__poll_review(0, chanrt__poll_patience), chanrt__poll_patience); // some
    CHECK_EQ(ring->tail - ring->head, CHANRT__POLL_NOTES - CHANRT__POLL_REVIEW);
    chanrt__fd_fire(&d->source, IO_READ); // an event proves the others
    CHECK_EQ(chanrt__poll_review(0, 0), CHANRT__FOREVER);
    CHECK_EQ(ring->tail - ring->head, 0);
    CHECK_EQ(chanrt__poll_arm(&d->source, IO_READ, 0, 0), 0);
    close(fds[0]); // closed while somebody waits: he is told to look
    uint32_t edges = d->source.a_edges[0];
    CHECK_EQ(chanrt__poll_review(0, chanrt__poll_patience), CHANRT__FOREVER);
    CHECK_EQ(d->source.a_edges[0], edges + 1);
    close(fds[1]);
    chanrt__poll_shutdown();
    chanrt__fd_shutdown();
}
#endif

//------------------------------------------------------------------------------
// >>blocking

static atomic_int inside, most;

static void enter(void *arg) {
    int now = atomic_fetch_add(&inside, 1) + 1, old = atomic_load(&most);
    while (now > old && !atomic_compare_exchange_weak(&most, &old, now)) {}
    chanrt__os_nap(test_unit);
    atomic_fetch_sub(&inside, 1);
    *(int *)arg = 1;
}

TASK(calls, chan_sender(int), out) {
    int done = 0, err = task_blocking(enter, &done);
    CHECK_EQ(done, err == 0);
    chan_send(out, err);
}

static int helpers(void) {
    pthread_mutex_lock(&chanrt__blocking.mutex);
    int n = chanrt__blocking.count;
    pthread_mutex_unlock(&chanrt__blocking.mutex);
    return n;
}

TEST(calls_wait_for_one_of_three_helpers) {
    enum { CALLS = 30 };
    chan(int) out = chan_make(int, 0);
    atomic_store(&most, 0);
    for (int i = 0; i < CALLS; i++) go(calls, out);
    for (int i = 0; i < CALLS; i++) CHECK_EQ(chan_get(out), 0);
    CHECK_EQ(atomic_load(&most), CHANRT_HELPERS);
    CHECK_EQ(helpers(), CHANRT_HELPERS);
    chan_free(out);
}

TEST(idle_helpers_end) {
    int64_t kept = chanrt__blocking_patience;
    chanrt__blocking_patience = test_unit;
    chan(int) out = chan_make(int, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) go(calls, out);
        for (int i = 0; i < 3; i++) CHECK_EQ(chan_get(out), 0);
        for (int i = 0; i < 2000 && helpers() > 0; i++) task_sleep(test_unit);
        CHECK_EQ(helpers(), 0);
        CHECK_EQ(chanrt__pool.a_idle_helpers, 0);
    }
    chanrt__blocking_patience = kept;
    chan_free(out);
}

TEST(a_helper_that_cannot_be_had_is_done_without) {
    chan(int) out = chan_make(int, 0);
    CHECK_EQ(chanrt_start(NULL), 0);
    fault_arm("thread", 1, 1000);
    go(calls, out);
    CHECK_EQ(chan_get(out), EAGAIN); // there is none
    CHECK(fault_off() > 0);
    go(calls, out);
    CHECK_EQ(chan_get(out), 0);
    fault_arm("thread", 1, 1000); // there is one, for all
    for (int i = 0; i < 5; i++) go(calls, out);
    for (int i = 0; i < 5; i++) CHECK_EQ(chan_get(out), 0);
    fault_off();
    CHECK_EQ(helpers(), 1);
    test_fail_alloc(1);
    chan_free(out);
    test_fail_alloc(0);
}

//------------------------------------------------------------------------------
// Refusals: the error is a documented one, nothing is kept, the next attempt works.

static bool waits_once(void) {
    int fds[2];
    pair(fds);
    int err = io_wait(fds[0], IO_READ, test_unit / 4);
    close_both(fds);
    CHECK(err == ETIMEDOUT || err == EMFILE || err == ENOSPC || err == ENOMEM);
    return err == ETIMEDOUT;
}

static bool selects_once(void) {
    int fds[2], err = 0;
    pair(fds);
    chan_select {
        on_io(fds[0], IO_READ) { err = select_err(); }
        on_timeout(test_unit / 4) { err = ETIMEDOUT; }
    }
    close_both(fds);
    CHECK(err == ETIMEDOUT || err == EMFILE || err == ENOSPC || err == ENOMEM);
    return err == ETIMEDOUT;
}

static bool reads_once(void) {
    int fds[2];
    char c;
    pair(fds);
    CHECK_EQ(io_read_timeout(fds[0], &c, 1, test_unit / 4), -1);
    int err = errno;
    close_both(fds);
    CHECK(err == ETIMEDOUT || err == EMFILE || err == ENOSPC || err == ENOMEM);
    return err == ETIMEDOUT;
}

static bool signals_once(void) {
    chan_receiver(int) c = chan_signal(SIGUSR1), d = chan_signal(SIGUSR1);
    bool both = c != NULL && d != NULL;
    int got = 0;
    if (c != NULL) {
        kill(getpid(), SIGUSR1);
        CHECK_EQ(chan_recv_timeout(c, &got, 10 * CHANRT_SECOND), 0);
        CHECK_EQ(got, SIGUSR1);
    }
    chan_free(c);
    chan_free(d);
    return both;
}

static void refuse(const char *call, bool (*scenario)(void)) {
    for (long at = 1; at < 20; at++) {
        CHECK_EQ(chanrt_shutdown(-1), 0);
        CHECK_EQ(chanrt_start(NULL), 0);
        long live = test_alloc_live();
        fault_arm(call, at, 1);
        bool good = scenario();
        bool fired = fault_off() > 0;
        CHECK(good || fired);
        CHECK(scenario());
        CHECK_EQ(test_alloc_live(), live);
        if (!fired) return;
    }
}

static void refuse_all(bool (*scenario)(void)) {
    static const char *const calls[] = { "epoll_create", "eventfd", "epoll_ctl", "signalfd", "pipe",
                                         "mmap" };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) refuse(calls[i], scenario);
}

TEST(refused_calls_fail_a_wait) { refuse_all(waits_once); }
TEST(refused_calls_fail_a_select) { refuse_all(selects_once); }
TEST(refused_calls_fail_a_read) { refuse_all(reads_once); }
TEST(refused_calls_fail_a_signal) { refuse_all(signals_once); }

static void deliver(int sig, uint32_t times) {
    pthread_mutex_lock(&chanrt__signals.mutex);
    chanrt__signal_deliver_locked(sig, times);
    pthread_mutex_unlock(&chanrt__signals.mutex);
}

TEST(each_delivery_of_a_signal_is_a_value_while_there_is_room) {
    chan_receiver(int) ch = chan_signal(SIGUSR1);
    deliver(SIGUSR1, 3);
    deliver(SIGUSR2, 1);
    CHECK_EQ(chan_len(ch), 3);
    deliver(SIGUSR1, 100);
    CHECK_EQ(chan_len(ch), CHANRT__SIGNAL_ROOM);
    while (chan_len(ch) > 0) CHECK_EQ(chan_get(ch), SIGUSR1);
    chan_free(ch);
}

TEST(without_memory_there_is_no_signal_channel) {
    CHECK(signals_once());
    for (long at = 1; at < 10; at++) {
        test_fail_alloc(at);
        bool good = signals_once();
        if (!test_alloc_failed()) break;
        CHECK(!good);
    }
    test_fail_alloc(0);
    CHECK(signals_once());
}
