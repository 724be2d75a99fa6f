// sim.h - the threads of one process run one at a time, and a seed says which, at every step of the
// runtime that others can see: ordered atomics, locks, mutexes, sleeps, wakes, pauses. The
// threads are real, so thread-locals are; the clock, futexes, mutexes and joins are simulated.
// Orders are sequentially consistent: missing fences are for the models (tests/model).
//
//   seed % 4:  0, 1  at each step a switch with chance 1/2, 1/4 ... 1/32
//              2, 3  ranks with up to three changes at random steps (PCT)
//
// Or a list of preemptions says it: a thread runs on until it can do nothing but wait, then the
// next one in their order does; at each step in the list another one goes on instead. explore.c
// goes through all lists of up to two (exhaust). A time is up only when nobody else can go on.
#ifndef SIM_H
#define SIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIM_THREADS = 12, SIM_STEPS = 400000, SIM_TRACE = 4096 };
enum { SIM_LISTED = 4, SIM_PREEMPTIONS = 2, SIM_POINTS = 1 << 16 };
enum sim_state { SIM_RUNS, SIM_SLEEPS, SIM_LOCKS, SIM_JOINS, SIM_ENDED };

struct sim_thread {
    int id;
    enum sim_state state;
    const void *on;         // word, mutex, thread
    int64_t until;          // of a sleep
    uint64_t rank;
    sem_t go;
    pthread_t thread;
    void *(*fn)(void *);
    void *arg;
};

static struct {
    struct sim_thread threads[SIM_THREADS];
    int count, style, shift, line;
    bool on, verbose, spent;
    int64_t seed, now, tick;
    struct sim_preemption { uint32_t step; int to; } list[SIM_PREEMPTIONS];
    int listed, used;       // of the list
    struct sim_preemption *points; // where the last run could be preempted once more, by whom
    uint32_t point_count;
    void (*started)(int id); // called by each thread of a run
    uint64_t state, lowest;
    uint32_t steps, change[3], longest;
    long switches;
    struct { int from, to, line; uint32_t step; } trace[SIM_TRACE];
} sim;
static __thread struct sim_thread *sim_me;

static uint32_t sim_random(void) {
    uint64_t x = sim.state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((x ^ (x >> 31)) >> 32);
}

static void sim_print_trace(void) {
    long from = sim.switches > 60 && !sim.verbose ? sim.switches - 60 : 0;
    if (sim.switches - from > SIM_TRACE) from = sim.switches - SIM_TRACE;
    for (long i = from; i < sim.switches; i++)
        fprintf(stderr, "  step %u: thread %d at chanrt.h:%d gives way to thread %d\n",
                sim.trace[i % SIM_TRACE].step, sim.trace[i % SIM_TRACE].from,
                sim.trace[i % SIM_TRACE].line, sim.trace[i % SIM_TRACE].to);
}

static void sim_print_list(int listed) {
    fprintf(stderr, " (preemptions:");
    for (int i = 0; i < listed; i++)
        fprintf(stderr, " %u:%d", sim.list[i].step, sim.list[i].to);
    fprintf(stderr, ")\n");
}

static void sim_print_seed(void) {
    if (sim.style == SIM_LISTED) sim_print_list(sim.listed);
    else fprintf(stderr, " (seed %lld)\n", (long long)sim.seed);
}

__attribute__((noreturn, format(printf, 1, 2)))
static void sim_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    sim_print_seed();
    sim_print_trace();
    _exit(1);
}

// The same by the list of preemptions. A thread that waits for a time goes on when nobody else can.
static int sim_choose_listed(const int *ready, int n, bool stay, bool waits) {
    if (!stay || waits) {
        for (int i = 0; i < n; i++)
            if (ready[i] > sim_me->id) return ready[i];
        return ready[0];
    }
    if (sim.used < sim.listed && sim.list[sim.used].step == sim.steps) {
        int to = sim.list[sim.used++].to;
        for (int i = 0; i < n; i++)
            if (ready[i] == to) return to;
        sim_fail("thread %d cannot go on at step %u", to, sim.steps);
    }
    for (int i = 0; i < n && sim.used == sim.listed && sim.point_count < SIM_POINTS; i++)
        if (ready[i] != sim_me->id)
            sim.points[sim.point_count++] = (struct sim_preemption){ sim.steps, ready[i] };
    return sim_me->id;
}

// Who goes on; -1: nobody can. `stay`: the caller could.
static int sim_choose(bool stay, bool waits) {
    int ready[SIM_THREADS], n = 0, best = -1;
    struct sim_thread *sleeper = NULL;
    for (int i = 0; i < sim.count; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (t->state == SIM_RUNS) ready[n++] = i;
        if (t->state == SIM_SLEEPS && t->until != INT64_MAX &&
            (sleeper == NULL || t->until < sleeper->until))
            sleeper = t;
    }
    if (sleeper != NULL && (n == 0 || (sim.style != SIM_LISTED && sim_random() % 256 == 0))) {
        if (sim.now < sleeper->until) sim.now = sleeper->until; // time is up, perhaps early
        sleeper->state = SIM_RUNS;
        ready[n++] = sleeper->id;
    }
    if (n == 0) return -1;
    if (sim.style == SIM_LISTED) return sim_choose_listed(ready, n, stay, waits);
    if (sim.style < 2) {
        if (stay && !waits && sim_random() % (1u << sim.shift) != 0) return sim_me->id;
        return ready[sim_random() % (uint32_t)n];
    }
    for (int i = 0; i < 3; i++)
        if (stay && sim.steps == sim.change[i]) sim_me->rank = --sim.lowest;
    if (stay && waits) sim_me->rank = --sim.lowest;
    for (int i = 0; i < n; i++)
        if (best < 0 || sim.threads[ready[i]].rank > sim.threads[best].rank) best = ready[i];
    return best;
}

static void sim_switch(bool stay, bool waits, int line) {
    struct sim_thread *me = sim_me;
    if (++sim.steps > SIM_STEPS) sim_fail("no end after %u steps", sim.steps);
    int next = sim_choose(stay, waits);
    if (next < 0) sim_fail("nobody can go on");
    if (next == me->id) return;
    long i = sim.switches++ % SIM_TRACE;
    sim.trace[i].from = me->id;
    sim.trace[i].to = next;
    sim.trace[i].line = line;
    sim.trace[i].step = sim.steps;
    sem_post(&sim.threads[next].go);
    if (me->state != SIM_ENDED)
        while (sem_wait(&me->go) != 0) continue;
}

static void sim_point(bool waits, int line) {
    if (sim.on && sim_me != NULL) sim_switch(true, waits, line);
}

static int sim_yield(void) {
    sim_point(true, 0);
    return 0;
}

static int sim_mutex_lock(pthread_mutex_t *m) {
    if (!sim.on || sim_me == NULL) return pthread_mutex_lock(m);
    sim_point(false, 0);
    while (pthread_mutex_trylock(m) != 0) {
        sim_me->state = SIM_LOCKS;
        sim_me->on = m;
        sim_switch(false, true, 0);
    }
    return 0;
}

static void sim_wake_all(enum sim_state state, const void *on) {
    for (int i = 0; i < sim.count; i++)
        if (sim.threads[i].state == state && sim.threads[i].on == on)
            sim.threads[i].state = SIM_RUNS;
}

static int sim_mutex_unlock(pthread_mutex_t *m) {
    int err = pthread_mutex_unlock(m);
    if (!sim.on || sim_me == NULL) return err;
    sim_wake_all(SIM_LOCKS, m);
    sim_point(false, 0);
    return err;
}

static int sim_clock(int clock, struct timespec *t) {
    if (!sim.on || sim_me == NULL) return clock_gettime(clock, t);
    sim.now += sim.tick;
    t->tv_sec = sim.now / 1000000000;
    t->tv_nsec = sim.now % 1000000000;
    return 0;
}

static long sim_futex(const uint32_t *word, int op, uint32_t value, const struct timespec *until) {
    if ((op & 127) == FUTEX_WAKE) {
        sim_wake_all(SIM_SLEEPS, word);
        sim_point(false, 0);
        return 1;
    }
    sim_point(false, 0);
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) return -1;
    sim_me->state = SIM_SLEEPS;
    sim_me->on = word;
    sim_me->until = until != NULL ? until->tv_sec * 1000000000 + until->tv_nsec : INT64_MAX;
    sim_switch(false, true, 0);
    sim_me->on = NULL;
    return 0;
}

static long sim_syscall(long number, ...) {
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (sim.on && sim_me != NULL && number == SYS_futex)
        return sim_futex((const uint32_t *)a[0], (int)a[1], (uint32_t)a[2],
                         (const struct timespec *)a[3]);
    if (sim.on && number == SYS_membarrier) return 0;
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void *sim_main(void *arg) {
    sim_me = arg;
    while (sem_wait(&sim_me->go) != 0) continue;
    if (sim.started != NULL) sim.started(sim_me->id);
    sim_me->fn(sim_me->arg);
    sim_me->state = SIM_ENDED;
    sim_wake_all(SIM_JOINS, sim_me);
    sim_switch(false, true, 0);
    return NULL;
}

static int sim_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) {
    if (!sim.on || sim.count == SIM_THREADS) return EAGAIN;
    struct sim_thread *t = &sim.threads[sim.count];
    *t = (struct sim_thread){ .id = sim.count, .fn = fn, .arg = arg,
                              .rank = ((uint64_t)1 << 62) | sim_random() };
    sem_init(&t->go, 0, 0);
    int err = pthread_create(&t->thread, attr, sim_main, t);
    if (err != 0) return err;
    *out = t->thread;
    sim.count++;
    sim_point(false, 0);
    return 0;
}

static int sim_join(pthread_t thread, void **result) {
    for (int i = 0; sim.on && i < sim.count; i++) {
        struct sim_thread *t = &sim.threads[i];
        if (!pthread_equal(t->thread, thread) || t == sim_me) continue;
        while (t->state != SIM_ENDED) {
            sim_me->state = SIM_JOINS;
            sim_me->on = t;
            sim_switch(false, true, 0);
        }
    }
    return pthread_join(thread, result);
}

// The calling thread becomes thread 0 of a run.
static void sim_begin(int64_t seed) {
    sim.seed = seed;
    sim.state = (uint64_t)seed;
    sim.now = 1000000000;
    sim.lowest = (uint64_t)1 << 32;
    sim.steps = 0;
    sim.switches = 0;
    sim.tick = 500;
    sim.style = (int)(seed & 3);
    sim.shift = 1 + (int)(sim_random() % 5);
    for (int i = 0; i < 3; i++)
        sim.change[i] = sim_random() % (sim.longest + 64) * (i <= (int)(sim_random() % 3));
    sim_me = &sim.threads[0];
    *sim_me = (struct sim_thread){ .rank = ((uint64_t)1 << 62) | sim_random(),
                                   .thread = pthread_self() };
    sem_init(&sim_me->go, 0, 0);
    sim.count = 1;
    sim.on = true;
}

// The same, for the list in sim.list.
static void sim_begin_listed(void) {
    sim_begin(0);
    sim.style = SIM_LISTED;
    sim.tick = 10000; // an idle worker does not search for long
    sim.used = 0;
    sim.point_count = 0;
    if (sim.points == NULL) sim.points = malloc(SIM_POINTS * sizeof *sim.points);
    if (sim.started != NULL) sim.started(0);
}

static void sim_end(void) {
    sim.on = false;
    if (sim.steps > sim.longest) sim.longest = sim.steps;
}

#define CHANRT__POINT(waits) sim_point(waits, __LINE__)
#define sched_yield sim_yield
#define pthread_mutex_lock sim_mutex_lock
#define pthread_mutex_unlock sim_mutex_unlock
#define pthread_create sim_create
#define pthread_join sim_join
#define clock_gettime sim_clock
#define syscall sim_syscall
#endif
