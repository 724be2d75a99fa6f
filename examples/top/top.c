// top: one line about a running program that refreshes in place, like top(1).
//
//     top [SECONDS] [INTERVAL IN MS]
//
// `top_start` is what to take along: it starts a thread of its own, so the line goes on while
// every worker computes. What it watches here is a crowd of tasks that pass values on, compute
// and sleep. On a terminal the line refreshes in place, elsewhere a new one is printed each time.
//
//     tasks 64  queued 12  switches 812k/s  parks 790k/s  steals 41/s  wakes 12/s
//     stacks 80 5.1MB  [97% 12 | asleep]
//
// (in one line). In brackets the workers: the share of looks that found one running a task, and
// how many wait in its queue.
#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"
#include <pthread.h>
#include <stdlib.h>

enum { MOST_WORKERS = 64, LOOKS = 50 };

struct top {
    pthread_t thread;
    FILE *out;
    int64_t interval;
    bool stop;    // atomic
};

// 1234567 as 1.2M: four figures at most.
static const char *brief(char text[16], double n) {
    const char *unit = " kMGT";
    while (n >= 1000 && unit[1] != 0) n /= 1000, unit++;
    snprintf(text, 16, n < 10 && *unit != ' ' ? "%.1f%c" : "%.0f%c", n, *unit);
    char *end = strchr(text, ' ');
    if (end != NULL) *end = 0;
    return text;
}

static void print_line(FILE *out, const chanrt_statistics *was, const chanrt_statistics *now,
                       double seconds, const int *busy) {
    char a[16], b[16], c[16], d[16];
    fprintf(out, "tasks %llu  queued %llu  ", (unsigned long long)now->tasks_live,
            (unsigned long long)now->queued);
    fprintf(out, "switches %s/s  parks %s/s  steals %s/s  wakes %s/s  ",
            brief(a, (double)(now->switches - was->switches) / seconds),
            brief(b, (double)(now->parks - was->parks) / seconds),
            brief(c, (double)(now->steals - was->steals) / seconds),
            brief(d, (double)(now->wakes - was->wakes) / seconds));
    fprintf(out, "stacks %llu %sB  [", (unsigned long long)now->stacks,
            brief(a, (double)now->bytes_held));
    chanrt_worker_statistics w;
    for (int i = 0; i < MOST_WORKERS && chanrt_worker_stats(i, &w) == 0; i++) {
        if (i > 0) fputs(" | ", out);
        if (busy[i] == 0 && w.idle) fputs("asleep", out);
        else fprintf(out, "%d%% %llu", busy[i] * 100 / LOOKS, (unsigned long long)w.queued);
    }
    fputs(isatty(fileno(out)) ? "]\033[K\r" : "]\n", out);
    fflush(out);
}

static void *top_main(void *arg) {
    struct top *t = arg;
    chanrt_statistics was, now;
    chanrt_stats(&was);
    while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
        int busy[MOST_WORKERS] = { 0 };
        int64_t start = chanrt_now();
        for (int look = 0; look < LOOKS; look++) {
            chanrt_worker_statistics w;
            task_sleep(t->interval / LOOKS);
            for (int i = 0; i < MOST_WORKERS && chanrt_worker_stats(i, &w) == 0; i++)
                busy[i] += w.task != 0;
        }
        chanrt_stats(&now);
        print_line(t->out, &was, &now, (double)(chanrt_now() - start) / 1e9, busy);
        was = now;
    }
    if (isatty(fileno(t->out))) fputc('\n', t->out);
    return NULL;
}

static int top_start(struct top *t, FILE *out, int64_t interval) {
    *t = (struct top){ .out = out, .interval = interval };
    return pthread_create(&t->thread, NULL, top_main, t);
}

static void top_stop(struct top *t) {
    __atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
    pthread_join(t->thread, NULL);
}

// --- something to watch

TASK(pass_on, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, n, in) {
        if (n % 50 == 0) task_sleep(CHANRT_MILLISECOND);
        for (volatile int i = 0; i < n % 1000; i = i + 1) continue;
        chan_send(out, n + 1); // closed: goes on receiving, or whoever sends to us would hang
    }
    chan_close(out);
}

int main(int argc, char **argv) {
    enum { RING = 40, VALUES = 60 };
    int seconds = argc > 1 ? atoi(argv[1]) : 5, ms = argc > 2 ? atoi(argv[2]) : 500;
    chan(int) ring[RING];
    waitgroup wg = {0};
    for (int i = 0; i < RING; i++) ring[i] = chan_make(int, 8);
    for (int i = 0; i < RING; i++) wg_go(&wg, pass_on, ring[i], ring[(i + 1) % RING]);
    for (int i = 0; i < VALUES; i++) chan_send(ring[i % RING], 17 * i);

    struct top top;
    if (top_start(&top, stdout, ms * CHANRT_MILLISECOND) != 0) return 1;
    task_sleep(seconds * CHANRT_SECOND);
    top_stop(&top);

    chan_close(ring[0]); // each closes the next one
    wg_wait(&wg);
    int err = chanrt_shutdown(CHANRT_SECOND);
    for (int i = 0; i < RING; i++) chan_free(ring[i]);
    return err;
}
