// test.h - the frame of every test program: one .c file of TESTs is one program.
//
//     #include "test.h"
//     TEST(a_sentence_that_should_hold) { CHECK_EQ(chan_send(ch, 1), EPIPE); }
//
// cmocka runs, counts and reports (main.c). CHECK is our own: cmocka's assertions leave a
// failed test by longjmp, and a check made in a task runs on another stack and often on
// another thread, where that jump would tear up both. So CHECK notes the failure with an
// atomic add, and the test goes on.
//
// After each test the runtime is shut down (no task may be left) and every block it took
// from its allocator must have come back. A test that hangs is dumped and fails.
//
// A white-box test says `#define CHANRT_IMPLEMENTATION` first and gets the implementation
// into its own file; every other program is linked against impl.c.
#ifndef TEST_H
#define TEST_H

#ifdef CHANRT_IMPLEMENTATION
#include "impl.c"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE        // pthread and clock calls under a strict -std=c11; here, not in impl.c:
#endif                     // the header has to find its own way there
#include "../chanrt.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a program is made of. The runtime's functions come with each case because in a
// CHANRT_STATIC build only this file can see them.
struct test_case {
    const char *name;
    void      (*run)(void);
    int       (*child)(void);
    int       (*shutdown)(int64_t timeout);
    void      (*dump)(FILE *f);
    struct test_case *next;
};
void test_register(struct test_case *c);

// A test, run in the order written, on the main thread.
#define TEST(name)                                                                         \
    static void name##_test(void);                                                         \
    __attribute__((constructor)) static void name##_register(void) {                       \
        static struct test_case self = { #name, name##_test, NULL, chanrt_shutdown,        \
                                         chanrt_dump, NULL };                              \
        test_register(&self);                                                              \
    }                                                                                      \
    static void name##_test(void)

// A program within the program, for what ends a process: run by test_run_child only.
#define CHILD(name)                                                                        \
    static int name##_child(void);                                                         \
    __attribute__((constructor)) static void name##_register(void) {                       \
        static struct test_case self = { #name, NULL, name##_child, chanrt_shutdown,       \
                                         chanrt_dump, NULL };                              \
        test_register(&self);                                                              \
    }                                                                                      \
    static int name##_child(void)

struct test_child {
    int   status;       // exit code, or 128 + the signal that ended it
    char *out;          // stdout and stderr together
};
struct test_child test_run_child(const char *name, int timeout_ms);
void test_child_free(struct test_child *r);

// Checks, for any task and any thread. Each yields whether it held.
#define CHECK(cond)     test_check(!!(cond), #cond, __FILE__, __LINE__)
#define CHECK_EQ(a, b)                                                                     \
    test_check_eq((long long)(a), (long long)(b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_STR(a, b) test_check_str((a), (b), #a " equals " #b, __FILE__, __LINE__)

bool test_check(bool held, const char *what, const char *file, int line);
bool test_check_eq(long long a, long long b, const char *what, const char *file, int line);
bool test_check_str(const char *a, const char *b, const char *what, const char *file, int line);

// n, or less of it: TEST_SCALE in the environment multiplies, slow builds divide.
long test_rounds(long n);

// Whether this test has run for so long that its rounds should end here: where two have to meet
// in each, a busy machine makes them wait for a processor each time.
bool test_late(void);

// The base unit of tests in real time: 1 ms, longer in slow builds. A lower bound may be
// asserted tightly; an upper bound gets another try with the unit doubled.
extern int64_t test_unit;

#define test_workers() chanrt_workers()

// Whether CHANRT_SEED asks for the deterministic mode: one runs at a time, until its next call. Who
// waits for somebody has to make one; and time jumps.
#define test_seeded() (getenv("CHANRT_SEED") != NULL)

#define test_emulated() (getenv("TEST_RUNNER") != NULL)

// How printf begins a pointer.
#ifdef _WIN32
#define POINTER "0000"
#else
#define POINTER "0x"
#endif

// Whether a child would be told of its deadlock: not by POSIX calls alone, nor in an emulator,
// which has a thread of its own. And whether a dump sees what other stacks hold.
#if defined _WIN32
#define test_sees_deadlocks() false
#define test_sees_stacks() true
#elif defined CHANRT_LINUX && !CHANRT_LINUX
#define test_sees_deadlocks() false
#define test_sees_stacks() false
#else
#define test_sees_deadlocks() (!test_emulated())
#define test_sees_stacks() (!test_emulated())
#endif

// The counting allocator of impl.c.
long test_alloc_live(void);        // blocks that the runtime holds now
void test_fail_alloc(long n);      // the n-th allocation from now fails, once; 0: none does
bool test_alloc_failed(void);      // it has, since test_fail_alloc was last called

#endif
