// Descriptors opened, read, written, waited for in selects and with limits, closed under those who
// wait, and closed by close(2) so that their numbers come again behind the runtime's back; calls
// that block in between. What one end reads is what the other end wrote, and at the end there are
// as many descriptors as at the beginning.
#include "stress.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TASKS = 24 };

static atomic_long operations;

static int descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

// The byte at a place of a stream.
static unsigned char byte(uint64_t key, uint64_t at) {
    return (unsigned char)((key + at * 7) % 251);
}

// Reads until the end, by whatever call; every byte must be the one expected.
TASK(reader, int, fd, uint64_t, key, uint64_t, length, chan_sender(int), out) {
    unsigned char block[3000];
    uint64_t at = 0, random = stress_random(key);
    for (;;) {
        size_t want = 1 + draw(&random) % sizeof block;
        ssize_t n = -1;
        int err = 0;
        switch (draw(&random) % 4) {
        case 0:
            n = io_read(fd, block, want);
            REQUIRE(n >= 0);
            break;
        case 1:
            n = io_read_timeout(fd, block, want, (int64_t)(draw(&random) % 100000));
            REQUIRE(n >= 0 || errno == ETIMEDOUT);
            break;
        case 2:
            err = io_wait(fd, IO_READ, (int64_t)(draw(&random) % 100000));
            REQUIRE(err == 0 || err == ETIMEDOUT);
            break;
        default:
            chan_select {
                on_io(fd, IO_READ) {
                    REQUIRE(select_err() == 0);
                    n = io_read(fd, block, want);
                }
                on_timeout((int64_t)(draw(&random) % 100000)) {}
            }
        }
        if (n == 0) break;
        for (ssize_t i = 0; i < n; i++) REQUIRE(block[i] == byte(key, at + (uint64_t)i));
        if (n > 0) at += (uint64_t)n;
    }
    REQUIRE(at == length);
    io_close(fd);
    chan_send(out, 0);
}

static void writer(int fd, uint64_t key, uint64_t length, uint64_t *random) {
    unsigned char block[5000];
    for (uint64_t at = 0; at < length;) {
        size_t n = 1 + draw(random) % sizeof block;
        if (n > length - at) n = length - at;
        for (size_t i = 0; i < n; i++) block[i] = byte(key, at + i);
        if (draw(random) % 4 == 0) task_sleep((int64_t)(draw(random) % 50000));
        REQUIRE(io_write_all(fd, block, n, -1) == (ssize_t)n);
        at += n;
    }
}

// A stream through a socket pair, a pipe, or a connection to this program's own server.
static void stream(uint64_t *random, chan(int) out) {
    int fds[2] = { -1, -1 };
    uint64_t key = draw(random), length = draw(random) % 200000;
    if (draw(random) % 2) {
        REQUIRE((draw(random) % 2 ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) == 0);
    } else {
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t size = sizeof a;
        REQUIRE(bind(s, (struct sockaddr *)&a, sizeof a) == 0 && listen(s, 1) == 0);
        REQUIRE(getsockname(s, (struct sockaddr *)&a, &size) == 0);
        fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(io_connect(fds[1], (struct sockaddr *)&a, sizeof a) == 0);
        fds[0] = io_accept(s, NULL, NULL);
        REQUIRE(fds[0] >= 0);
        REQUIRE(io_close(s) == 0);
    }
    REQUIRE(go(reader, fds[0], key, length, out) == 0);
    writer(fds[1], key, length, random);
    if (draw(random) % 2) REQUIRE(io_close(fds[1]) == 0);
    else REQUIRE(close(fds[1]) == 0); // nobody waits for it
    chan_get(out);
}

TASK(waiter, int, fd, int64_t, ns, chan_sender(int), out) {
    chan_send(out, io_wait(fd, IO_READ, ns));
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define WATCHED 1
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

// Closed while some wait, with an event under way or not. A waiter that comes late finds the number
// closed, or another task's by now: that must do no harm, but it is a race of this program's, and
// ThreadSanitizer says so. Under it the waiters end first; spec/io closes under those who wait.
static void close_under(uint64_t *random, chan(int) out) {
    int fds[2], waiters = 1 + (int)(draw(random) % 4);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    for (int i = 0; i < waiters; i++)
        go(waiter, fds[0], 1000000 + (int64_t)(draw(random) % 5000000), out);
    if (draw(random) % 2) task_sleep((int64_t)(draw(random) % 300000));
    bool written = draw(random) % 2;
    if (written) REQUIRE(io_write(fds[1], "x", 1) == 1);
    for (int i = 0; i < waiters && WATCHED; i++) chan_get(out);
    REQUIRE(io_close(fds[0]) == 0);
    for (int i = 0; i < waiters && !WATCHED; i++) chan_get(out);
    io_close(fds[1]);
}

// The number comes again at once, by close(2) alone.
static void reuse(uint64_t *random, chan(int) out) {
    for (int i = 0; i < 3; i++) {
        int fds[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        go(waiter, fds[0], -1, out);
        if (draw(random) % 2) task_sleep((int64_t)(draw(random) % 100000));
        REQUIRE(io_write(fds[1], "x", 1) == 1);
        REQUIRE(chan_get(out) == 0);
        close(fds[0]);
        close(fds[1]);
    }
}

static void block(void *arg) {
    usleep(*(useconds_t *)arg);
    *(useconds_t *)arg = 0;
}

static void call(uint64_t *random) {
    useconds_t us = (useconds_t)(draw(random) % 300);
    REQUIRE(task_blocking(block, &us) == 0);
    REQUIRE(us == 0);
}

TASK(user, uint64_t, number, waitgroup *, wg) {
    uint64_t random = stress_random(number);
    chan(int) out = chan_make(int, 8);
    while (stress_goes_on()) {
        switch (draw(&random) % 8) {
        case 0: close_under(&random, out); break;
        case 1: reuse(&random, out); break;
        case 2: call(&random); break;
        default: stream(&random, out);
        }
        atomic_fetch_add(&operations, 1);
    }
    chan_free(out);
    wg_done(wg);
}

static long run(void) {
    waitgroup wg = { 0 };
    int before = descriptors();
    wg_add(&wg, TASKS);
    for (uint64_t i = 0; i < TASKS; i++) REQUIRE(go(user, i, &wg) == 0);
    wg_wait(&wg);
    REQUIRE(chanrt_shutdown(10 * CHANRT_SECOND) == 0);
    REQUIRE(descriptors() == before);
    return atomic_load(&operations);
}
