// unit.h - what the white-box tests share. The file that includes it holds the runtime.
#ifndef UNIT_H
#define UNIT_H

#ifndef CHANRT_IMPLEMENTATION
#define CHANRT_IMPLEMENTATION
#endif
#include "test.h"
#include <pthread.h>
#include <sched.h>

// Runs fn(arg) on n threads, all let go at once, and waits for them.
enum { MOST_THREADS = 16 };
struct at_once {
    pthread_barrier_t gate;
    void *(*fn)(void *);
    void *arg;
};

static inline void *at_once_thread(void *p) {
    struct at_once *a = p;
    pthread_barrier_wait(&a->gate);
    return a->fn(a->arg);
}

static inline void at_once(int n, void *(*fn)(void *), void *arg) {
    struct at_once a = { .fn = fn, .arg = arg };
    pthread_t threads[MOST_THREADS];
    pthread_barrier_init(&a.gate, NULL, (unsigned)n);
    for (int i = 0; i < n; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, at_once_thread, &a), 0);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&a.gate);
}

// xorshift, seeded: every run is the same run.
static inline uint32_t dice(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

// A child that touches a guard page: it got as far as to say so, and no further.
static inline void dies_at_guard(const char *child) {
    struct test_child r = test_run_child(child, 10000);
    CHECK(r.status != 0);
    CHECK(strstr(r.out, "at the guard") != NULL);
    CHECK(strstr(r.out, "past the guard") == NULL);
    test_child_free(&r);
}

static inline int touch_guard(char *p) {
    fprintf(stderr, "at the guard\n");
    *(volatile char *)p = 1;
    fprintf(stderr, "past the guard\n");
    return 0;
}

#endif
