// bench.h - what every row has at hand. The table of rows is rows.def; peers/go has the same
// files, function for function.
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../chanrt.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// One run of one row. The clock runs from before the row's function until it returns; a row may
// start it again after its setup and stop it before its teardown.
struct bench {
    int64_t n;                    // size of this sample
    int     a, b, c;              // the row's parameters, see rows.def
    double  ops;                  // n, unless the row says otherwise
    double  value;                // reported instead of time / ops when not 0
    int64_t wall, cpu;            // measured, ns
    int64_t wall_start, cpu_start;
    bool    stopped;
};

void bench_begin(struct bench *b);
void bench_end(struct bench *b);

// bench_need ends the process when a call that must work did not.
void bench_need(int err);

// bench_skip ends the process with the status that tells run.sh: no such row in this setting.
_Noreturn void bench_skip(const char *why);

// bench_alloc gives zeroed, touched memory, so that its page faults fall outside the clock.
void *bench_alloc(int64_t count, size_t size);

// bench_resident is what the process holds now in bytes, page tables included.
int64_t bench_resident(void);

double bench_percentile(int64_t *values, int64_t n, int percent);

static inline uint64_t bench_sum(const int64_t *values, int64_t n) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (uint64_t)values[i];
    return sum;
}

// bench_work is a chain of dependent operations, about 1 us per 600 on a 3.5 GHz core, so that
// compilers cannot differ by much.
static inline uint64_t bench_work(uint64_t v, int us) {
    for (int i = 0; i < us * 600; i++) {
        v ^= v << 13;
        v ^= v >> 7;
        v ^= v << 17;
    }
    return v;
}

#define ROW(name, fn, a, b, c, n, workers, what) uint64_t fn(struct bench *b_);
#define ROW_MAIN ROW
#include "rows.def"
#undef ROW
#undef ROW_MAIN

#endif
