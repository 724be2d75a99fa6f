// impl.c - the one file of a test program that holds the implementation, over an allocator
// that counts what is out, spoils what comes in and goes out, and fails on demand.
#ifndef TEST_IMPL_C
#define TEST_IMPL_C

#include <stddef.h>
void *test_malloc(size_t n);
void *test_realloc(void *p, size_t n);
void  test_free(void *p);

#define CHANRT_MALLOC(n)     test_malloc(n)
#define CHANRT_REALLOC(p, n) test_realloc(p, n)
#define CHANRT_FREE(p)       test_free(p)
#ifndef CHANRT_IMPLEMENTATION
#define CHANRT_IMPLEMENTATION
#endif
#include "../chanrt.h"

#ifndef CHANRT__STB_DS    // a debug build has brought it
#define STB_DS_IMPLEMENTATION
#endif
#include <stb/stb_ds.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

long test_alloc_live(void);
bool test_alloc_failed(void);
void test_fail_alloc(long n);

// Each block is preceded by its size, in a header that keeps malloc's alignment.
enum { TEST_HEADER = 16 };

static atomic_long test_live, test_countdown;
static atomic_bool test_fired;

long test_alloc_live(void)   { return atomic_load(&test_live); }
bool test_alloc_failed(void) { return atomic_load(&test_fired); }

void test_fail_alloc(long n) {
    atomic_store(&test_fired, false);
    atomic_store(&test_countdown, n);
}

static bool test_fails_now(void) {
    long left = atomic_load(&test_countdown);
    while (left > 0) {
        if (!atomic_compare_exchange_weak(&test_countdown, &left, left - 1)) continue;
        if (left == 1) atomic_store(&test_fired, true);
        return left == 1;
    }
    return false;
}

void *test_malloc(size_t n) {
    if (test_fails_now() || n > SIZE_MAX - TEST_HEADER) return NULL;
    unsigned char *p = malloc(n + TEST_HEADER);
    if (p == NULL) return NULL;
    memcpy(p, &n, sizeof n);
    memset(p + TEST_HEADER, 0xCD, n);      // nobody may count on zeros
    atomic_fetch_add(&test_live, 1);
    return p + TEST_HEADER;
}

void test_free(void *p) {
    if (p == NULL) return;
    size_t n;
    unsigned char *block = (unsigned char *)p - TEST_HEADER;
    memcpy(&n, block, sizeof n);
    memset(p, 0xDD, n);                    // nor read on after free
    atomic_fetch_sub(&test_live, 1);
    free(block);
}

// Always moves, so that a stale pointer into the old block shows.
void *test_realloc(void *p, size_t n) {
    void *q = test_malloc(n);
    if (q == NULL || p == NULL) return q;
    size_t old;
    memcpy(&old, (unsigned char *)p - TEST_HEADER, sizeof old);
    memcpy(q, p, old < n ? old : n);
    test_free(p);
    return q;
}

#endif
