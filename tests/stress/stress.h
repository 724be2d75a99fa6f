// stress.h - what every stress program shares: `program SECONDS SEED` runs run() until the time is
// over, checks that the runtime ends clean, and prints one line. The seed draws the load; the
// interleaving stays the machine's.
#ifndef STRESS_H
#define STRESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../chanrt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Stops the program with the place and the seed: what goes wrong once in a million rounds must be
// seen where it happened. Holds in every build, unlike assert.
#define REQUIRE(cond) ((cond) ? (void)0 : stress_fail(#cond, __FILE__, __LINE__))

// The work itself: returns the number of operations done and verified.
static long run(void);

static int64_t stress_end;
static uint64_t stress_seed;

_Noreturn static void stress_fail(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: seed %llu: not so: %s\n", file, line, (unsigned long long)stress_seed,
            what);
    chanrt_dump(stderr);
    fflush(NULL);
    _Exit(1);
}

static inline bool stress_goes_on(void) {
    return chanrt_now() < stress_end;
}

// A generator of its own for each task: seed and number make the state.
static inline uint64_t stress_random(uint64_t number) {
    uint64_t x = stress_seed * 0x9e3779b97f4a7c15u + (number + 1) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    return x ? x : 1;
}

static inline uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static inline void spin(uint64_t turns) {
    for (volatile uint64_t i = 0; i < turns; i++) {}
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    stress_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    stress_end = chanrt_now() + (int64_t)(seconds * 1e9);
    long operations = run();
    REQUIRE(operations > 0);
    REQUIRE(chanrt_shutdown(10 * CHANRT_SECOND) == 0);
    const char *name = strrchr(argv[0], '/');
    printf("%s: %ld operations, seed %llu, ok\n", name ? name + 1 : argv[0], operations,
           (unsigned long long)stress_seed);
    return 0;
}

#endif
