// The plain C way: pthreads, and a channel of one mutex and two condition variables.
// bench ROW N prints what ../../bench.c prints; only rows that threads can do honestly. Without
// arguments: the rows, each with what run.sh divides its N by.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

// A ring of cap values, or with cap = 0 one slot whose sender waits until it is taken.
struct channel {
    pthread_mutex_t lock;
    pthread_cond_t  can_recv, can_send, taken;
    int64_t        *ring;
    int             cap, at, count;
    int64_t         sent, received;
    bool            closed;
};

static void channel_init(struct channel *ch, int cap) {
    *ch = (struct channel){ .cap = cap };
    pthread_mutex_init(&ch->lock, NULL);
    pthread_cond_init(&ch->can_recv, NULL);
    pthread_cond_init(&ch->can_send, NULL);
    pthread_cond_init(&ch->taken, NULL);
    ch->ring = calloc((size_t)(cap > 0 ? cap : 1), sizeof *ch->ring);
    if (ch->ring == NULL) abort();
}

static void channel_send(struct channel *ch, int64_t v) {
    int room = ch->cap > 0 ? ch->cap : 1;
    pthread_mutex_lock(&ch->lock);
    while (ch->count == room) pthread_cond_wait(&ch->can_send, &ch->lock);
    ch->ring[(ch->at + ch->count) % room] = v;
    ch->count++;
    int64_t ticket = ++ch->sent;
    pthread_cond_signal(&ch->can_recv);
    while (ch->cap == 0 && ch->received < ticket) pthread_cond_wait(&ch->taken, &ch->lock);
    pthread_mutex_unlock(&ch->lock);
}

static bool channel_recv(struct channel *ch, int64_t *v) {
    pthread_mutex_lock(&ch->lock);
    while (ch->count == 0 && !ch->closed) pthread_cond_wait(&ch->can_recv, &ch->lock);
    bool got = ch->count > 0;
    if (got) {
        *v = ch->ring[ch->at];
        ch->at = ch->at + 1 < ch->cap ? ch->at + 1 : 0;
        ch->count--;
        ch->received++;
        pthread_cond_signal(&ch->can_send);
        if (ch->cap == 0) pthread_cond_broadcast(&ch->taken);
    }
    pthread_mutex_unlock(&ch->lock);
    return got;
}

static void channel_close(struct channel *ch) {
    pthread_mutex_lock(&ch->lock);
    ch->closed = true;
    pthread_cond_broadcast(&ch->can_recv);
    pthread_mutex_unlock(&ch->lock);
}

//------------------------------------------------------------------------------
// Rows

struct side {
    struct channel *in, *out;
    int64_t         from, to, sum;
};

static void *sender(void *arg) {
    struct side *s = arg;
    for (int64_t i = s->from; i < s->to; i++) channel_send(s->out, i);
    return NULL;
}

static void *receiver(void *arg) {
    struct side *s = arg;
    for (int64_t v; channel_recv(s->in, &v);) s->sum += v;
    return NULL;
}

static void *pong(void *arg) {
    struct side *s = arg;
    for (int64_t v; channel_recv(s->in, &v);) {
        s->sum += v;
        channel_send(s->out, v + 1);
    }
    return NULL;
}

static uint64_t pairs(int64_t n, int senders, int cap) {
    (void)senders;
    struct channel ch;
    uint64_t sum = 0;
    channel_init(&ch, cap);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = 0;
        channel_send(&ch, i);
        channel_recv(&ch, &v);
        sum += (uint64_t)v;
    }
    return sum;
}

static uint64_t stream(int64_t n, int senders, int cap) {
    struct channel ch;
    struct side out[4], in = { .in = &ch };
    pthread_t threads[4], last;
    channel_init(&ch, cap);
    if (pthread_create(&last, NULL, receiver, &in) != 0) abort();
    for (int i = 0; i < senders; i++) {
        out[i] = (struct side){ .out = &ch, .from = n * i / senders, .to = n * (i + 1) / senders };
        if (pthread_create(&threads[i], NULL, sender, &out[i]) != 0) abort();
    }
    for (int i = 0; i < senders; i++) pthread_join(threads[i], NULL);
    channel_close(&ch);
    pthread_join(last, NULL);
    return (uint64_t)in.sum;
}

static uint64_t pingpong(int64_t n, int senders, int cap) {
    (void)senders;
    struct channel there, back;
    struct side other = { .in = &there, .out = &back };
    pthread_t thread;
    int64_t sum = 0, v = 0;
    channel_init(&there, cap);
    channel_init(&back, cap);
    if (pthread_create(&thread, NULL, pong, &other) != 0) abort();
    for (int64_t i = 0; i < n; i++) {
        channel_send(&there, v);
        channel_recv(&back, &v);
        sum += v;
        v++;
    }
    channel_close(&there);
    pthread_join(thread, NULL);
    return (uint64_t)(sum + other.sum);
}

static const struct row {
    const char *name;
    uint64_t  (*run)(int64_t n, int senders, int cap);
    int         senders, cap;
    int         shrink;           // of n, where a futex per message would take minutes
} rows[] = {
    { "pingpong_same", pingpong, 1, 0, 200 },
    { "pingpong_cross", pingpong, 1, 0, 1 },
    { "buf_pair", pairs, 1, 16, 1 },
    { "spsc0", stream, 1, 0, 100 },
    { "spsc16", stream, 1, 16, 50 },
    { "spsc128", stream, 1, 128, 5 },
    { "mpsc4_128", stream, 4, 128, 10 },
};
enum { ROWS = sizeof rows / sizeof *rows };

//------------------------------------------------------------------------------
// The frame

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t cpu_time(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec
            + u.ru_stime.tv_usec) * 1000;
}

static long long peak_kib(void) {
    char line[256];
    long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) kib = atoll(line + 6);
    }
    fclose(f);
    return kib;
}

int main(int argc, char **argv) {
    int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    for (int i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (argc == 1) printf("%s %d\n", r->name, r->shrink);
        if (n < 1 || strcmp(argv[1], r->name) != 0) continue;
        int64_t cpu = cpu_time(), wall = now();
        uint64_t sum = r->run(n, r->senders, r->cap);
        wall = now() - wall;
        cpu = cpu_time() - cpu;
        printf("%s %.2f %.2f %lld %llu\n", r->name, (double)wall / (double)n,
               (double)cpu / (double)n, peak_kib(), (unsigned long long)sum);
        return 0;
    }
    if (argc == 1) return 0;
    fputs("usage: bench [ROW N]   (no arguments: the rows)\n", stderr);
    return 2;
}
