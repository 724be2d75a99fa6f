// frame.h - what the C peers have in common: a table of rows, measuring one, printing what
// ../bench.c prints. Without arguments: the rows, each with what run.sh divides its N by.
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct peer_row {
    const char *name;
    uint64_t  (*run)(int64_t n, int a, int b, int cap);
    int         a, b, cap;
    int         shrink;           // of n, where it would take minutes
};

static inline int64_t peer_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t peer_cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec
            + u.ru_stime.tv_usec) * 1000;
}

static inline long long peer_peak_kib(void) {
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

// One thread is all that most of these have: no row with two workers.
#ifndef PEER_WORKERS
#define PEER_WORKERS 1
#endif

static inline int peer_workers(void) {
    const char *workers = getenv("CHANRT_WORKERS");
    return workers != NULL ? atoi(workers) : 1;
}

static inline int peer_main(int argc, char **argv, const struct peer_row *rows, int count) {
    int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    if (argc > 1 && peer_workers() > PEER_WORKERS) return 77;
    for (int i = 0; i < count; i++) {
        const struct peer_row *r = &rows[i];
        if (argc == 1) printf("%s %d\n", r->name, r->shrink);
        if (n < 1 || strcmp(argv[1], r->name) != 0) continue;
        int64_t cpu = peer_cpu(), wall = peer_now();
        uint64_t sum = r->run(n, r->a, r->b, r->cap);
        wall = peer_now() - wall;
        cpu = peer_cpu() - cpu;
        printf("%s %.2f %.2f %lld %llu\n", r->name, (double)wall / (double)n,
               (double)cpu / (double)n, peer_peak_kib(), (unsigned long long)sum);
        return 0;
    }
    if (argc == 1) return 0;
    fputs("usage: bench [ROW N]   (no arguments: the rows)\n", stderr);
    return 2;
}

#endif
