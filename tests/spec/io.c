// Descriptors (catalogue P): only the task waits, readiness is never missed, a close wakes, a
// number that comes again is a new descriptor.
#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { BOTH = IO_READ | IO_WRITE };

static void pair(int fds[2]) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

// A listening socket on the loopback, with its address.
static int listener(struct sockaddr_in *a) {
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof *a;
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    CHECK_EQ(bind(s, (struct sockaddr *)a, sizeof *a), 0);
    CHECK_EQ(listen(s, 1024), 0);
    CHECK_EQ(getsockname(s, (struct sockaddr *)a, &len), 0);
    return s;
}

//--------------------------------------------------------------------------------------------------
// io_wait

TEST(a_bad_descriptor_is_reported) {
    int fds[2];
    pair(fds);
    close(fds[0]);
    close(fds[1]);
    CHECK_EQ(io_wait(-1, IO_READ, -1), EBADF);
    CHECK_EQ(io_wait(fds[0], IO_READ, -1), EBADF);
    CHECK_EQ(io_wait(fds[0], 0, -1), EINVAL);
    CHECK_EQ(io_wait(fds[0], 4, -1), EINVAL);
    char c;
    errno = 0;
    CHECK_EQ(io_read(fds[0], &c, 1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(io_write(-1, &c, 1), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(io_accept(fds[0], NULL, NULL), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(io_close(fds[0]), EBADF);
    CHECK_EQ(io_close(-1), EBADF);
}

TASK(waits, int, fd, int, events, int64_t, ns, chan_sender(int), out) {
    chan_send(out, io_wait(fd, events, ns));
}

// The result of a wait made by a task.
static int task_wait(int fd, int events, int64_t ns) {
    chan(int) out = chan_make(int, 1);
    go(waits, fd, events, ns, out);
    int err = chan_get(out);
    chan_free(out);
    return err;
}

// The first wait opens the poller; later on that could take a number that somebody hopes for.
static void open_poller(void) {
    int fds[2];
    pair(fds);
    CHECK_EQ(task_wait(fds[0], IO_READ, 1), ETIMEDOUT);
    io_close(fds[0]);
    io_close(fds[1]);
}

TEST(readiness_before_the_wait_is_seen) {
    int fds[2];
    pair(fds);
    CHECK_EQ(task_wait(fds[0], IO_WRITE, -1), 0);
    CHECK_EQ(task_wait(fds[0], IO_READ, 0), ETIMEDOUT);
    CHECK_EQ(task_wait(fds[0], BOTH, 0), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(task_wait(fds[0], IO_READ, 0), 0); // waiting takes nothing
        CHECK_EQ(task_wait(fds[0], IO_READ, -1), 0);
        CHECK_EQ(io_wait(fds[0], IO_READ, -1), 0);
    }
    io_close(fds[0]);
    io_close(fds[1]);
}

TEST(a_wait_is_never_short) {
    int fds[2];
    pair(fds);
    chanrt_start(NULL); // with a seed its time begins here
    int64_t start = chanrt_now();
    CHECK_EQ(task_wait(fds[0], IO_READ, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
    start = chanrt_now();
    CHECK_EQ(io_wait(fds[0], IO_READ, 3 * test_unit), ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
    io_close(fds[0]);
    io_close(fds[1]);
}

TEST(a_wait_that_began_before_is_woken) {
    for (int round = 0; round < 20; round++) {
        int fds[2];
        pair(fds);
        chan(int) out = chan_make(int, 4);
        go(waits, fds[0], IO_READ, -1, out);
        go(waits, fds[0], IO_READ, 10 * CHANRT_SECOND, out);
        task_sleep(round % 2 * test_unit);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(chan_get(out), 0);
        CHECK_EQ(chan_get(out), 0);
        io_close(fds[0]);
        io_close(fds[1]);
        chan_free(out);
    }
}

TEST(the_other_sides_end_wakes_both_directions) {
    int fds[2], pipes[2];
    chan(int) out = chan_make(int, 4);
    pair(fds);
    char block[4096] = "";
    while (send(fds[0], block, sizeof block, MSG_DONTWAIT) > 0) {} // so that writing waits, too
    go(waits, fds[0], IO_READ, -1, out);
    go(waits, fds[0], IO_WRITE, -1, out);
    task_sleep(test_unit);
    CHECK_EQ(chan_len(out), 0);
    close(fds[1]);
    CHECK_EQ(chan_get(out), 0);
    CHECK_EQ(chan_get(out), 0);
    io_close(fds[0]);
    CHECK_EQ(pipe(pipes), 0); // an empty pipe reports nothing but the end itself
    go(waits, pipes[0], IO_READ, -1, out);
    task_sleep(test_unit);
    close(pipes[1]);
    CHECK_EQ(chan_get(out), 0);
    io_close(pipes[0]);
    chan_free(out);
}

//--------------------------------------------------------------------------------------------------
// Closing, and numbers that come again

TASK(reads, int, fd, chan_sender(int), out) {
    char c;
    chan_send(out, io_read(fd, &c, 1) == -1 ? errno : 0);
}

TEST(a_close_wakes_whoever_waits) {
    int warm[2];
    pair(warm); // the poller's own descriptors get no number of these
    CHECK_EQ(task_wait(warm[0], IO_READ, test_unit / 4), ETIMEDOUT);
    io_close(warm[0]);
    io_close(warm[1]);
    for (long round = test_rounds(1000); round > 0; round--) {
        int fds[2];
        pair(fds);
        chan(int) out = chan_make(int, 4);
        go(waits, fds[0], IO_READ, -1, out);
        go(waits, fds[0], IO_READ, 10 * CHANRT_SECOND, out);
        go(reads, fds[0], out);
        while (round % 8 == 0 && chan_len(out) == 0 && round > 1) {
            task_sleep(test_unit / 4);
            break;
        }
        task_yield();
        CHECK_EQ(io_close(fds[0]), 0);
        for (int i = 0; i < 3; i++) {
            int err = chan_get(out);
            CHECK(err == ECANCELED || err == EBADF); // EBADF: it had not begun to wait
        }
        io_close(fds[1]);
        chan_free(out);
    }
}

// The number comes again at once, closed by close(2) behind the runtime's back: the old
// registration is gone with the old descriptor, and nobody said so.
TEST(a_number_that_comes_again_is_a_new_descriptor) {
    chan(int) out = chan_make(int, 4);
    for (long round = test_rounds(200); round > 0; round--) {
        int a[2], b[2];
        pair(a);
        CHECK_EQ(task_wait(a[0], IO_READ, test_unit / 8), ETIMEDOUT); // it is watched
        CHECK_EQ(write(a[1], "x", 1), 1);                             // its event is under way
        close(a[0]);
        close(a[1]);
        pair(b);
        if (!CHECK(b[0] == a[0])) break;
        if (round % 2) {
            CHECK_EQ(task_wait(b[0], IO_READ, test_unit / 8), ETIMEDOUT);
            go(waits, b[0], IO_READ, -1, out);
        } else {
            go(reads, b[0], out);
        }
        task_yield();
        CHECK_EQ(write(b[1], "y", 1), 1);
        CHECK_EQ(chan_get(out), 0);
        io_close(b[0]);
        io_close(b[1]);
    }
    chan_free(out);
}

// The same while somebody waits, and the new owner is another task: the old one gets an error,
// and the old descriptor's event does not end the new one's wait.
TEST(a_close_and_reuse_while_waiting) {
    chan(int) old = chan_make(int, 1), new = chan_make(int, 1);
    open_poller();
    for (long round = test_rounds(1000); round > 0; round--) {
        int a[2], b[2];
        pair(a);
        go(waits, a[0], IO_READ, 3 * test_unit, old);
        if (round % 4 == 0) task_sleep(test_unit);
        else task_yield(); // then it may be anywhere between its spawn and its wait
        if (round % 2) CHECK_EQ(write(a[1], "x", 1), 1); // an event that nobody has seen yet
        CHECK_EQ(io_close(a[0]), 0);
        pair(b);
        CHECK(b[0] == a[0]);
        go(waits, b[0], IO_READ, 2 * test_unit, new);
        int err = chan_get(old);
        CHECK(err == ECANCELED || err == 0 || err == EBADF || err == ETIMEDOUT);
        if (round % 2 == 0) CHECK(err != 0);
        if (round % 8 == 0) CHECK(err == ECANCELED || err == ETIMEDOUT);
        CHECK_EQ(chan_get(new), ETIMEDOUT);
        io_close(a[1]);
        io_close(b[0]);
        io_close(b[1]);
    }
    chan_free(old);
    chan_free(new);
}

// A copy keeps the old description open, so that its events go on under the old number.
TEST(a_copy_of_a_closed_descriptor_does_no_harm) {
    for (long round = test_rounds(200); round > 0; round--) {
        int a[2], b[2];
        pair(a);
        CHECK_EQ(task_wait(a[0], IO_READ, 0), ETIMEDOUT);
        CHECK_EQ(task_wait(a[0], IO_READ, test_unit / 8), ETIMEDOUT);
        int copy = dup(a[0]);
        close(a[0]);
        pair(b);
        CHECK_EQ(b[0], a[0]);
        chan(int) out = chan_make(int, 1);
        go(waits, b[0], IO_READ, test_unit, out);
        task_yield();
        CHECK_EQ(write(a[1], "x", 1), 1);
        CHECK_EQ(chan_get(out), ETIMEDOUT);
        chan_free(out);
        close(copy);
        close(a[1]);
        io_close(b[0]);
        io_close(b[1]);
    }
}

//--------------------------------------------------------------------------------------------------
// In a select

TASK(echo_one, int, fd) {
    char c;
    if (io_read(fd, &c, 1) == 1) io_write(fd, &c, 1);
}

// Waits until one byte of any has been its own.
TASK(takes_one, int *, fds, int, pipes, chan_sender(int), out) {
    chan_case cases[40];
    int n = 0;
    char c;
    for (int i = 0; i < pipes; i++) cases[n++] = case_io(fds[2 * i], IO_READ);
    cases[n++] = case_io(fds[0], IO_READ);
    for (;;) {
        int i = chan_select_n(cases, n, -1);
        if (!CHECK(i >= 0 && cases[i].err == 0)) break;
        if (recv(fds[i < pipes ? 2 * i : 0], &c, 1, MSG_DONTWAIT) == 1) break;
    }
    chan_send(out, 1);
}

TASK(selects, int, fd, int, events, chan_receiver(int), in, int64_t, ns, chan_sender(int), out) {
    int result = -1;
    chan_select {
        on_io(fd, events) { result = select_err(); }
        on_recv(in, NULL) { result = 1000; }
        on_timeout(ns)    { result = 2000; }
    }
    chan_send(out, result);
}

TEST(a_select_waits_for_a_descriptor_a_channel_and_a_time) {
    chan(int) in = chan_make(int, 1), out = chan_make(int, 1);
    for (long round = test_rounds(100); round > 0; round--) {
        int fds[2];
        pair(fds);
        go(selects, fds[0], IO_READ, in, -1, out);
        if (round % 2) task_sleep(test_unit / 4);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(chan_get(out), 0);
        char c;
        CHECK_EQ(io_read(fds[0], &c, 1), 1);
        go(selects, fds[0], IO_READ, in, -1, out);
        if (round % 2) task_sleep(test_unit / 4);
        chan_send(in, 1);
        CHECK_EQ(chan_get(out), 1000);
        go(selects, fds[0], IO_READ, in, test_unit / 4, out);
        CHECK_EQ(chan_get(out), 2000);
        go(selects, fds[0], BOTH, in, -1, out);
        CHECK_EQ(chan_get(out), 0);
        go(selects, fds[0], IO_READ, in, 20 * CHANRT_SECOND, out);
        task_yield();
        io_close(fds[0]);
        int err = chan_get(out);
        CHECK(err == ECANCELED || err == EBADF);
        go(selects, fds[0], IO_READ, in, -1, out);
        CHECK_EQ(chan_get(out), EBADF);
        io_close(fds[1]);
    }
    chan_free(in);
    chan_free(out);
}

TASK(selects_until_cancelled, int, fd, task_ctx *, c, chan_sender(int), out) {
    int result = -1;
    chan_select {
        on_io(fd, IO_READ)          { result = select_err(); }
        on_recv(ctx_done(c), NULL)  { result = 1000 + ctx_err(c); }
    }
    chan_send(out, result);
}

TEST(a_select_waits_for_a_descriptor_and_the_end_of_a_context) {
    chan(int) out = chan_make(int, 1);
    for (long round = test_rounds(100); round > 0; round--) {
        int fds[2];
        pair(fds);
        task_ctx *c = ctx_with_cancel(ctx_background());
        go(selects_until_cancelled, fds[0], c, out);
        if (round % 2) task_sleep(test_unit / 4);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(chan_get(out), 0);
        char byte;
        CHECK_EQ(io_read(fds[0], &byte, 1), 1);
        go(selects_until_cancelled, fds[0], c, out);
        if (round % 2) task_sleep(test_unit / 4);
        ctx_cancel(c);
        CHECK_EQ(chan_get(out), 1000 + ECANCELED);
        go(selects_until_cancelled, fds[0], c, out); // over before it begins
        CHECK_EQ(chan_get(out), 1000 + ECANCELED);
        ctx_free(c);
        c = ctx_with_timeout(ctx_background(), test_unit / 4);
        go(selects_until_cancelled, fds[0], c, out);
        CHECK_EQ(chan_get(out), 1000 + ETIMEDOUT);
        ctx_free(c);
        CHECK_EQ(write(fds[1], "y", 1), 1);          // the descriptor is as it was
        CHECK_EQ(io_read(fds[0], &byte, 1), 1);
        CHECK_EQ(byte, 'y');
        CHECK_EQ(io_close(fds[0]), 0);
        io_close(fds[1]);
    }
    chan_free(out);
}

TEST(a_select_on_a_thread_waits_for_descriptors) {
    int fds[2], none[2];
    pair(fds);
    pair(none);
    chan(int) never = chan_make(int, 0);
    for (int i = 0; i < 20; i++) {
        char c;
        int hit = 0;
        go(echo_one, fds[0]);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        chan_select_ordered {
            on_io(none[0], IO_READ) { hit = 1; }
            on_recv(never, NULL)    { hit = 2; }
            on_io(fds[1], IO_READ)  { hit = 3; }
        }
        CHECK_EQ(hit, 3);
        CHECK_EQ(io_read(fds[1], &c, 1), 1);
        chan_select {
            on_io(fds[1], IO_READ) { hit = 4; }
            on_default             { hit = 5; }
        }
        CHECK_EQ(hit, 5);
    }
    chan_case cases[] = { case_io(none[0], IO_READ), case_recv(never, NULL),
                          case_io(fds[0], IO_WRITE) };
    CHECK_EQ(chan_select_n(cases, 3, -1), 2);
    CHECK_EQ(cases[2].err, 0);
    CHECK_EQ(chan_select_n(cases, 2, test_unit), -1);
    chan_free(never);
    for (int i = 0; i < 2; i++) io_close(fds[i]), io_close(none[i]);
}

// More cases than fit without memory, a descriptor twice, one that other selects wait for.
TEST(many_selects_on_many_descriptors) {
    enum { PIPES = 20, TASKS = 8 };
    static int fds[PIPES][2];
    chan(int) out = chan_make(int, TASKS);
    for (int i = 0; i < PIPES; i++) pair(fds[i]);
    for (int i = 0; i < TASKS; i++) go(takes_one, &fds[0][0], PIPES, out);
    for (int i = 0; i < TASKS; i++) {
        task_yield();
        CHECK_EQ(write(fds[i * 7 % PIPES][1], "x", 1), 1);
    }
    for (int i = 0; i < TASKS; i++) CHECK_EQ(chan_get(out), 1);
    for (int i = 0; i < PIPES; i++) io_close(fds[i][0]), io_close(fds[i][1]);
    chan_free(out);
}

//--------------------------------------------------------------------------------------------------
// Reading and writing

TASK(echo, int, fd) {
    char block[4096];
    ssize_t n;
    while ((n = io_read(fd, block, sizeof block)) > 0)
        if (io_write_all(fd, block, (size_t)n, -1) != n) break;
    io_close(fd);
}

TASK(talk, int, fd, long, rounds, chan_sender(int), out) {
    int bad = 0;
    for (long i = 0; i < rounds; i++) {
        long got = 0;
        bad |= io_write(fd, &i, sizeof i) != sizeof i;
        for (size_t have = 0; have < sizeof got;) {
            ssize_t n = io_read(fd, (char *)&got + have, sizeof got - have);
            if (n <= 0) {
                bad = 2;
                break;
            }
            have += (size_t)n;
        }
        bad |= got != i;
    }
    io_close(fd);
    chan_send(out, bad);
}

TEST(two_tasks_talk) {
    enum { PAIRS = 20 };
    chan(int) out = chan_make(int, PAIRS);
    for (int i = 0; i < PAIRS; i++) {
        int fds[2];
        pair(fds);
        go(echo, fds[0]);
        go(talk, fds[1], test_rounds(1000), out);
    }
    for (int i = 0; i < PAIRS; i++) CHECK_EQ(chan_get(out), 0);
    chan_free(out);
}

TASK(serve, int, s) {
    int fd;
    while ((fd = io_accept(s, NULL, NULL)) >= 0) go(echo, fd);
}

TASK(visit, struct sockaddr_in, a, long, rounds, chan_sender(int), out) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!CHECK_EQ(io_connect(fd, (struct sockaddr *)&a, sizeof a), 0)) chan_send(out, 1);
    else talk(fd, rounds, out);
}

TEST(clients_and_a_server_over_tcp) {
    enum { CLIENTS = 50 };
    struct sockaddr_in a;
    int s = listener(&a);
    chan(int) out = chan_make(int, CLIENTS);
    go(serve, s);
    for (int i = 0; i < CLIENTS; i++) go(visit, a, test_rounds(200), out);
    for (int i = 0; i < CLIENTS; i++) CHECK_EQ(chan_get(out), 0);
    CHECK_EQ(io_close(s), 0); // ends the server
    chan_free(out);
}

TEST(a_thread_of_the_programs_own_reads_and_writes) {
    int fds[2];
    pair(fds);
    go(echo, fds[0]);
    for (int i = 0; i < 100; i++) {
        int got = -1;
        CHECK_EQ(io_write(fds[1], &i, sizeof i), sizeof i);
        CHECK_EQ(io_read(fds[1], &got, sizeof got), sizeof got);
        CHECK_EQ(got, i);
    }
    io_close(fds[1]);
}

TEST(a_shutdown_leaves_no_descriptor_behind) {
    CHECK_EQ(chanrt_shutdown(-1), 0);
    int before = open_descriptors();
    for (int i = 0; i < 3; i++) {
        int fds[2];
        pair(fds);
        CHECK_EQ(task_wait(fds[0], IO_READ, test_unit), ETIMEDOUT);
        io_close(fds[0]);
        io_close(fds[1]);
        CHECK_EQ(chanrt_shutdown(-1), 0);
        CHECK_EQ(open_descriptors(), before);
    }
}

TEST(limits_of_time) {
    int fds[2];
    char c, block[4096] = "";
    pair(fds);
    CHECK_EQ(io_read_timeout(fds[0], &c, 1, 0), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    int64_t start = chanrt_now();
    CHECK_EQ(io_read_timeout(fds[0], &c, 1, 2 * test_unit), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK(chanrt_now() - start >= 2 * test_unit);
    while (io_write_timeout(fds[0], block, sizeof block, 0) > 0) {}
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK_EQ(io_write_all(fds[0], block, sizeof block, test_unit), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    struct sockaddr_in a;
    int s = listener(&a);
    CHECK_EQ(io_accept_timeout(s, NULL, NULL, test_unit), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    io_close(s);
    io_close(fds[0]);
    io_close(fds[1]);
}

TEST(a_refused_connection_is_reported) {
    struct sockaddr_in a;
    int s = listener(&a);
    io_close(s);
    for (int i = 0; i < 3; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(io_connect(fd, (struct sockaddr *)&a, sizeof a), -1);
        CHECK_EQ(errno, ECONNREFUSED);
        io_close(fd);
    }
}

TASK(connects, int, fd, struct sockaddr_un *, a, chan_sender(int), out) {
    chan_send(out, io_connect(fd, (struct sockaddr *)a, sizeof *a));
}

TEST(a_full_local_queue_is_waited_for) {
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "chanrt-test-%d", (int)getpid());
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd[3];
    CHECK_EQ(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_EQ(listen(s, 0), 0);
    chan(int) out = chan_make(int, 3);
    for (int i = 0; i < 3; i++) {
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        go(connects, fd[i], &a, out);
    }
    while (chan_len(out) == 0) task_sleep(test_unit / 4); // one is in the queue, which is full
    int64_t start = chanrt_now();
    int more = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(io_connect_timeout(more, (struct sockaddr *)&a, sizeof a, 3 * test_unit), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK(chanrt_now() - start >= 3 * test_unit);
    for (int i = 0; i < 3; i++) io_close(io_accept(s, NULL, NULL));
    for (int i = 0; i < 3; i++) CHECK_EQ(chan_get(out), 0);
    for (int i = 0; i < 3; i++) io_close(fd[i]);
    io_close(more);
    io_close(s);
    chan_free(out);
}

TEST(an_accepted_socket_is_non_blocking_and_close_on_exec) {
    struct sockaddr_in a, peer, name;
    socklen_t len = sizeof peer, name_len = sizeof name;
    int s = listener(&a), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(io_connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    int got = io_accept(s, (struct sockaddr *)&peer, &len);
    CHECK(got >= 0);
    CHECK(fcntl(got, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(got, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&name, &name_len), 0);
    CHECK_EQ(peer.sin_port, name.sin_port);
    io_close(got);
    io_close(fd);
    io_close(s);
}

TEST(a_closed_socket_raises_no_signal) {
    int fds[2];
    pair(fds);
    close(fds[1]);
    CHECK_EQ(io_write(fds[0], "x", 1), -1); // SIGPIPE would end the process
    CHECK_EQ(errno, EPIPE);
    char c;
    CHECK_EQ(io_read(fds[0], &c, 1), 0);
    io_close(fds[0]);
}

TASK(fills, int, fd, long, bytes, chan_sender(int), out) {
    char block[10000];
    for (long done = 0; done < bytes;) {
        for (size_t i = 0; i < sizeof block; i++) block[i] = (char)((done + (long)i) % 251);
        long n = bytes - done < (long)sizeof block ? bytes - done : (long)sizeof block;
        n = io_write(fd, block, (size_t)n);
        if (!CHECK(n > 0)) break;
        done += n;
    }
    io_close(fd);
    chan_send(out, 0);
}

TASK(drains, int, fd, long *, got, long *, bad, chan_sender(int), out) {
    char block[7777];
    ssize_t n;
    while ((n = io_read(fd, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < n; i++) *bad += block[i] != (char)((*got + i) % 251);
        *got += n;
    }
    chan_send(out, (int)n);
}

// Pipes without O_NONBLOCK keep it that way, and still no worker waits in them: with one worker
// the other end would never run.
TEST(a_blocking_pipe_blocks_no_worker) {
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        int fds[2];
        long bytes = test_rounds(2000000), got = 0, bad = 0;
        CHECK_EQ(pipe2(fds, flags), 0);
        chan(int) out = chan_make(int, 1);
        go(fills, fds[1], bytes, out);
        go(drains, fds[0], &got, &bad, out);
        CHECK_EQ(chan_get(out) + chan_get(out), 0);
        CHECK_EQ(got, bytes);
        CHECK_EQ(bad, 0);
        CHECK_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, flags);
        io_close(fds[0]);
        chan_free(out);
    }
}

TASK(uses_file, int, fd, const char *, text, char *, back, chan_sender(int), out) {
    CHECK_EQ(io_write_all(fd, text, strlen(text), -1), strlen(text));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    ssize_t n = io_read(fd, back, 31);
    CHECK_EQ(n, strlen(text));
    back[n > 0 ? n : 0] = 0;
    CHECK_EQ(io_read(fd, back + 31, 1), 0);
    chan_send(out, 0);
}

TEST(a_file_is_always_ready_and_read_elsewhere) {
    char text[] = "twelve bytes", back[32];
    FILE *f = tmpfile();
    int fd = dup(fileno(f));
    fclose(f);
    chan(int) out = chan_make(int, 1);
    go(waits, fd, IO_READ, -1, out);
    CHECK_EQ(chan_get(out), 0);
    go(uses_file, fd, text, back, out);
    CHECK_EQ(chan_get(out), 0);
    CHECK_STR(back, text);
    int result = -1;
    chan_select {
        on_io(fd, IO_READ) { result = select_err(); }
    }
    CHECK_EQ(result, 0);
    CHECK_EQ(io_close(fd), 0);
    chan_free(out);
}

TEST(a_datagram_is_read_whole) {
    int fds[2];
    char block[64];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    CHECK_EQ(io_write(fds[0], "one", 3), 3);
    CHECK_EQ(io_write(fds[0], "three", 5), 5);
    CHECK_EQ(io_read(fds[1], block, sizeof block), 3);
    CHECK_EQ(io_read(fds[1], block, sizeof block), 5);
    CHECK_EQ(io_read_timeout(fds[1], block, sizeof block, test_unit), -1);
    io_close(fds[0]);
    io_close(fds[1]);
}

static void ignore(int sig) {
    (void)sig;
}

static atomic_bool storming;
static void *rain(void *target) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (atomic_load(&storming)) {
        pthread_kill(*(pthread_t *)target, SIGUSR1);
        usleep(50);
    }
    return NULL;
}

// Signals hit the thread all the time.
TEST(a_storm_of_signals_interrupts_nothing) {
    struct sigaction mine = { .sa_handler = ignore }, old;
    sigaction(SIGUSR1, &mine, &old); // no SA_RESTART: calls fail with EINTR
    pthread_t self = pthread_self(), storm;
    atomic_store(&storming, true);
    pthread_create(&storm, NULL, rain, &self);
    int fds[2];
    pair(fds);
    go(echo, fds[0]);
    for (long i = test_rounds(1000); i > 0; i--) {
        long got = 0;
        CHECK_EQ(io_write(fds[1], &i, sizeof i), sizeof i);
        CHECK_EQ(io_wait(fds[1], IO_READ, -1), 0);
        CHECK_EQ(io_read(fds[1], &got, sizeof got), sizeof got);
        CHECK_EQ(got, i);
    }
    CHECK_EQ(io_wait(fds[1], IO_READ, 2 * test_unit), ETIMEDOUT);
    io_close(fds[1]);
    struct sockaddr_in a;
    int s = listener(&a), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(io_connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    io_close(io_accept(s, NULL, NULL));
    io_close(fd);
    io_close(s);
    atomic_store(&storming, false);
    pthread_join(storm, NULL);
    sigaction(SIGUSR1, &old, NULL);
}

// No descriptor is left: accept says so, and goes on once there is one again.
TEST(a_server_survives_when_descriptors_run_out) {
    struct sockaddr_in a;
    int s = listener(&a), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), kept[256], n = 0;
    CHECK_EQ(task_wait(s, IO_READ, 0), ETIMEDOUT);
    CHECK_EQ(task_wait(s, IO_READ, test_unit), ETIMEDOUT); // the poller is open
    struct rlimit old, low = { 0, 0 };
    getrlimit(RLIMIT_NOFILE, &old);
    low = (struct rlimit){ 64, old.rlim_max };
    setrlimit(RLIMIT_NOFILE, &low);
    CHECK_EQ(io_connect(client, (struct sockaddr *)&a, sizeof a), 0);
    while (n < 256 && (kept[n] = dup(s)) >= 0) n++;
    CHECK_EQ(io_accept(s, NULL, NULL), -1);
    CHECK_EQ(errno, EMFILE);
    io_close(kept[--n]);
    int got = io_accept(s, NULL, NULL);
    CHECK(got >= 0);
    setrlimit(RLIMIT_NOFILE, &old);
    io_close(got);
    while (n > 0) io_close(kept[--n]);
    io_close(client);
    io_close(s);
}

// The poller cannot be opened: the wait says why, and works later on.
TEST(a_wait_without_a_poller_says_so) {
    CHECK_EQ(chanrt_shutdown(-1), 0);
    int fds[2], kept[256], n = 0;
    pair(fds);
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    low = (struct rlimit){ 64, old.rlim_max };
    setrlimit(RLIMIT_NOFILE, &low);
    while (n < 256 && (kept[n] = dup(fds[0])) >= 0) n++;
    CHECK_EQ(task_wait(fds[0], IO_READ, 10 * CHANRT_SECOND), EMFILE);
    char c;
    CHECK_EQ(io_read(fds[0], &c, 1), -1);
    CHECK_EQ(errno, EMFILE);
    int err = 0;
    chan_select {
        on_io(fds[0], IO_READ) { err = select_err(); }
    }
    CHECK_EQ(err, EMFILE);
    CHECK(chan_signal(SIGUSR1) == NULL);
    while (n > 0) close(kept[--n]);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK_EQ(task_wait(fds[0], IO_READ, test_unit), ETIMEDOUT);
    io_close(fds[0]);
    io_close(fds[1]);
}

//--------------------------------------------------------------------------------------------------
// Turns.

// Its reads and writes never have to wait.
TASK(talks_to_itself, const int *, fds, const int *, a_stop) {
    char c = 'x';
    while (!__atomic_load_n(a_stop, __ATOMIC_RELAXED)) {
        CHECK_EQ(io_write(fds[1], &c, 1), 1);
        CHECK_EQ(io_read(fds[0], &c, 1), 1);
    }
}

TASK(stops_it, int, fd, int *, a_stop) {
    char c;
    CHECK_EQ(io_read(fd, &c, 1), 1);
    __atomic_store_n(a_stop, 1, __ATOMIC_RELAXED);
}

// Others get the worker, those the kernel has yet to tell of among them.
TEST(a_peer_that_keeps_up_does_not_keep_the_worker) {
    int busy[2], quiet[2], a_stop = 0;
    waitgroup wg = {0};
    pair(busy);
    pair(quiet);
    wg_go(&wg, stops_it, quiet[0], &a_stop);
    wg_go(&wg, talks_to_itself, busy, &a_stop);
    usleep(20000);
    CHECK_EQ(write(quiet[1], "x", 1), 1);
    CHECK_EQ(wg_wait_timeout(&wg, 20 * CHANRT_SECOND), 0);
    for (int i = 0; i < 2; i++) close(busy[i]), close(quiet[i]);
}

//--------------------------------------------------------------------------------------------------
// The scheduler, the deadlock detector, the dump

TASK(hits, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, v, in)
        if (chan_send(out, v) != 0) break;
}

// Two tasks that hand on to each other for ever keep no third one's input from it.
TEST(input_reaches_a_busy_pool) {
    chan(int) ping = chan_make(int, 0), pong = chan_make(int, 0);
    waitgroup wg = { 0 };
    for (int i = 0; i < 2 * test_workers(); i++) {
        wg_go(&wg, hits, ping, pong);
        wg_go(&wg, hits, pong, ping);
    }
    chan_send(ping, 1);
    int fds[2];
    pair(fds);
    go(echo, fds[0]);
    for (int i = 0; i < 20; i++) {
        int64_t start = chanrt_now();
        char c = 0;
        CHECK_EQ(io_write(fds[1], "x", 1), 1);
        CHECK_EQ(io_read(fds[1], &c, 1), 1);
        CHECK(chanrt_now() - start < 2 * CHANRT_SECOND);
    }
    io_close(fds[1]);
    chan_close(ping);
    chan_close(pong);
    wg_wait(&wg);
    chan_free(ping);
    chan_free(pong);
}

static int echo_to_parent(void) {
    int fds[2];
    chan(int) out = chan_make(int, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
    pid_t pid = fork(); // before there is a pool
    if (pid == 0) {
        usleep(1500000);
        if (write(fds[1], "x", 1) != 1) _exit(1);
        _exit(0);
    }
    go(waits, fds[0], IO_READ, -1, out);
    return chan_get(out) == 0 ? 7 : 1;
}
CHILD(waits_for_another_process) { return echo_to_parent(); }

CHILD(main_waits_for_another_process) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
    pid_t pid = fork();
    if (pid == 0) {
        usleep(1500000);
        if (write(fds[1], "x", 1) != 1) _exit(1);
        _exit(0);
    }
    return io_wait(fds[0], IO_READ, -1) == 0 ? 7 : 1;
}

TEST(a_wait_for_input_is_no_deadlock) {
    const char *const child[] = { "waits_for_another_process", "main_waits_for_another_process" };
    for (int i = 0; i < 2; i++) {
        struct test_child r = test_run_child(child[i], 10000);
        CHECK_EQ(r.status, 7);
        CHECK_STR(r.out, "");
        test_child_free(&r);
    }
}

CHILD(waits_after_input) {
    int fds[2];
    chan(int) never = chan_make(int, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
    if (task_wait(fds[0], IO_READ, CHANRT_MILLISECOND) != ETIMEDOUT) return 1;
    chan_recv(never, NULL);
    return 1;
}

TEST(a_descriptor_nobody_waits_for_hides_no_deadlock) {
    struct test_child r = test_run_child("waits_after_input", 10000);
    CHECK_EQ(r.status, 2);
    CHECK(strstr(r.out, "all tasks are asleep") != NULL);
    test_child_free(&r);
}

TEST(the_dump_names_the_descriptor) {
    int fds[2];
    char *text = NULL, name[32];
    size_t size = 0;
    pair(fds);
    chan(int) out = chan_make(int, 1);
    go(waits, fds[0], IO_READ, -1, out);
    snprintf(name, sizeof name, "[IO wait fd %d", fds[0]);
    for (int i = 0; i < 1000 && (text == NULL || strstr(text, name) == NULL); i++) {
        free(text);
        task_sleep(2 * test_unit);
        FILE *f = open_memstream(&text, &size);
        chanrt_dump(f);
        fclose(f);
    }
    if (!CHECK(strstr(text, name) != NULL)) fprintf(stderr, "%s", text);
    free(text);
    io_close(fds[0]);
    io_close(fds[1]);
    CHECK_EQ(chan_get(out), ECANCELED);
    chan_free(out);
}

CHILD(shuts_down_with_waits) {
    int fds[2];
    chan(int) never = chan_make(int, 0), out = chan_make(int, 4);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
    int before = open_descriptors();
    go(waits, fds[0], IO_READ, -1, out);
    go(waits, fds[0], BOTH & IO_READ, CHANRT_SECOND * 100, out);
    go(selects, fds[0], IO_READ, never, -1, out);
    task_sleep(20 * CHANRT_MILLISECOND);
    if (chanrt_shutdown(0) != EBUSY) return 1;
    return open_descriptors() == before && chan_len(out) == 0 ? 7 : 2;
}

TEST(a_shutdown_reclaims_those_who_wait) {
    struct test_child r = test_run_child("shuts_down_with_waits", 10000);
    CHECK_EQ(r.status, 7);
    CHECK(strstr(r.out, "3 tasks had not ended") != NULL);
    CHECK(strstr(r.out, "IO wait fd") != NULL);
    test_child_free(&r);
}
