// soak.c - a little of everything at once, for hours. An ordinary thread looks on: how long a new
// task has to wait until it runs, how long any of the parties stands still (a task that is not run,
// or was not woken), how many descriptors are open, and whether memory grows from the second
// quarter of the time to the last.
#include "stress.h"
#include <fcntl.h>
#include <unistd.h>

enum { PAIRS = 8, LOCKERS = 4, PINNED = 2, BURST = 50, PARTIES = PAIRS + LOCKERS + PINNED + 4 };

static chan(char) stop;
static atomic_long operations;
static sync_mutex mutex;
static long guarded;

// What each party has done: nobody may stand still for long, whatever the others do.
static struct {
    atomic_long done;
    long seen;
    int64_t since;
} beat[PARTIES];

static void lives(int party) { atomic_fetch_add(&beat[party].done, 1); }

// For how long somebody has stood still now.
static int64_t standstill(void) {
    int64_t now = chanrt_now(), longest = 0;
    for (int i = 0; i < PARTIES; i++) {
        long done = atomic_load(&beat[i].done);
        if (done != beat[i].seen || beat[i].since == 0) beat[i].since = now;
        beat[i].seen = done;
        if (now - beat[i].since > longest) longest = now - beat[i].since;
    }
    return longest;
}

static bool over(void) { return chan_try_recv(stop, NULL) == EPIPE; }

TASK(pong, chan(long), in, chan(long), out) {
    chan_range(long, v, in) chan_send(out, v + 1);
    chan_close(out);
}

TASK(ping, size_t, cap, int, party) {
    while (!over()) {
        chan(long) there = chan_make(long, cap), back = chan_make(long, 0);
        REQUIRE(go(pong, there, back) == 0);
        for (long i = 0; i < 1000; i++) {
            chan_send(there, i);
            REQUIRE(chan_get(back) == i + 1);
            lives(party);
        }
        chan_close(there);
        REQUIRE(chan_recv(back, NULL) == EPIPE);
        chan_free(there);
        chan_free(back);
        atomic_fetch_add(&operations, 2000);
    }
}

TASK(sends_one, chan(int), ch, int, v) { chan_send(ch, v); }

// Bursts of tasks, gathered by a select with a timeout that does not come.
TASK(bursts, int, party) {
    while (!over()) {
        chan(int) a = chan_make(int, 0), b = chan_make(int, 3);
        int v = 0, sum = 0;
        for (int i = 0; i < BURST; i++) REQUIRE(go(sends_one, i % 2 ? a : b, i) == 0);
        for (int i = 0; i < BURST; i++) {
            chan_select {
                on_recv(a, &v) { sum += v; }
                on_recv(b, &v) { sum += v; }
                on_timeout(60 * CHANRT_SECOND) { REQUIRE(false && "a burst got lost"); }
            }
        }
        REQUIRE(sum == BURST * (BURST - 1) / 2);
        task_sleep(CHANRT_MILLISECOND);
        lives(party);
        chan_free(a);
        chan_free(b);
        atomic_fetch_add(&operations, BURST);
    }
}

TASK(timers, int, party) {
    while (!over()) {
        chan_timer *tick = ticker_make(CHANRT_MILLISECOND / 2);
        for (int i = 0; i < 20; i++) REQUIRE(chan_get(timer_chan(tick)) > 0);
        timer_free(tick);
        chan_receiver(int64_t) after = chan_after(1000);
        REQUIRE(chan_get(after) > 0);
        chan_free(after);
        lives(party);
        atomic_fetch_add(&operations, 21);
    }
}

TASK(locks, long *, mine, int, party) {
    while (!over()) {
        for (int i = 0; i < 100; i++) {
            sync_mutex_lock(&mutex);
            guarded++;
            sync_mutex_unlock(&mutex);
        }
        *mine += 100;
        lives(party);
        task_yield();
    }
}

// Always ready, on its worker: only somebody there who never lets go could keep it from running.
TASK(stays, waitgroup *, wg, int, party) {
    while (!over()) {
        for (int i = 0; i < 100; i++) task_yield();
        lives(party);
        task_sleep(CHANRT_MILLISECOND);
    }
    wg_done(wg);
}

TASK(cancels, int, party) {
    while (!over()) {
        task_ctx *c = ctx_with_timeout(ctx_background(), 100000), *child = ctx_with_cancel(c);
        REQUIRE(chan_recv(ctx_done(child), NULL) == EPIPE);
        ctx_free(child);
        ctx_free(c);
        lives(party);
        atomic_fetch_add(&operations, 1);
    }
}

TASK(echoes, int, from, int, to) {
    char byte;
    while (io_read(from, &byte, 1) == 1) REQUIRE(io_write(to, &byte, 1) == 1);
    close(from);
    close(to);
}

TASK(pipes, int, party) {
    while (!over()) {
        int there[2], back[2];
        REQUIRE(pipe2(there, O_NONBLOCK) == 0 && pipe2(back, O_NONBLOCK) == 0);
        REQUIRE(go(echoes, there[0], back[1]) == 0);
        for (int i = 0; i < 100; i++) {
            char byte = (char)i;
            REQUIRE(io_write(there[1], &byte, 1) == 1);
            REQUIRE(io_read(back[0], &byte, 1) == 1 && byte == (char)i);
        }
        close(there[1]);
        REQUIRE(io_wait(back[0], IO_READ, -1) == 0);
        close(back[0]);
        lives(party);
        atomic_fetch_add(&operations, 200);
    }
}

TASK(says_it_runs, chan(int64_t), ch) { chan_send(ch, chanrt_now()); }

static long resident(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    REQUIRE(f != NULL && fscanf(f, "%*d %ld", &pages) == 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static int descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static long run(void) {
    waitgroup wg = {0};
    long locked[LOCKERS] = {0}, early = 0, late = 0;
    int64_t begin = chanrt_now(), worst = 0, stood = 0, length = stress_end - begin;
    int64_t pause = length / 400 < CHANRT_SECOND ? length / 400 : CHANRT_SECOND;
    int open = descriptors(), most = 0, n_early = 0, n_late = 0, party = 0;
    stop = chan_make(char, 0);
    for (size_t i = 0; i < PAIRS; i++) REQUIRE(wg_go(&wg, ping, i % 3, party++) == 0);
    for (int i = 0; i < LOCKERS; i++) REQUIRE(wg_go(&wg, locks, &locked[i], party++) == 0);
    wg_add(&wg, PINNED);
    for (int i = 0; i < PINNED; i++)
        REQUIRE(go_opt(((task_options){.pinned = true}), stays, &wg, party++) == 0);
    REQUIRE(wg_go(&wg, bursts, party) == 0 && wg_go(&wg, timers, party + 1) == 0);
    REQUIRE(wg_go(&wg, cancels, party + 2) == 0 && wg_go(&wg, pipes, party + 3) == 0);
    chan(int64_t) started = chan_make(int64_t, 1);
    while (stress_goes_on()) {
        int64_t now = chanrt_now(), at = 0, part = 4 * (now - begin) / length;
        REQUIRE(go(says_it_runs, started) == 0);
        REQUIRE(chan_recv_timeout(started, &at, 30 * CHANRT_SECOND) == 0);
        if (at - now > worst) worst = at - now;
        int64_t still = standstill();
        REQUIRE(still < 30 * CHANRT_SECOND);
        if (still > stood) stood = still;
        if (part == 1) early += resident(), n_early++;
        if (part == 3) late += resident(), n_late++;
        int fds = descriptors();
        if (fds > most) most = fds;
        task_sleep(pause);
    }
    chan_close(stop);
    wg_wait(&wg);
    chan_free(stop);
    chan_free(started);
    for (int i = 0; i < LOCKERS; i++) guarded -= locked[i];
    REQUIRE(guarded == 0);
    for (int i = 0; i < LOCKERS; i++) guarded += locked[i];
    REQUIRE(most <= open + 16);
    REQUIRE(worst < 10 * CHANRT_SECOND);
    if (n_early > 10 && n_late > 10) {
        early /= n_early;
        late /= n_late;
        printf("resident %.1f MiB, later %.1f, %+.2f MiB an hour; ", (double)early / 1048576,
               (double)late / 1048576,
               (double)(late - early) / 1048576 / ((double)length / 2 / 3.6e12));
        REQUIRE(late < early + early / 10 + (4 << 20));
    }
    printf("%d descriptors more at most; ", most - open);
    printf("a task waited at most %.1f ms to run, nobody stood still for more than %.1f ms\n",
           (double)worst / 1e6, (double)stood / 1e6);
    return atomic_load(&operations) + guarded;
}
