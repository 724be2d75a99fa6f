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
