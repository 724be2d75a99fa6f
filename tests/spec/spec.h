// spec.h - parties for the tests of the language: crowds of tasks and of ordinary threads,
// and the proof that somebody is blocked.
#ifndef SPEC_H
#define SPEC_H

#include "test.h"
#include <pthread.h>
#include <sched.h>
#ifndef _WIN32
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// A body that a task and a thread can both run; p points to what it works on.
#define PARTY(name, type, p)                                                               \
    static void name##_body(type *p);                                                      \
    TASK(name, type *, p) { name##_body(p); }                                              \
    __attribute__((unused)) static void *name##_thread(void *p) {                          \
        atomic_int *self = thread_begins();                                                \
        name##_body(p);                                                                    \
        atomic_store(self, 0);                                                             \
        return NULL;                                                                       \
    }                                                                                      \
    static void name##_body(type *p)

// For a place that may not be reached.
#define NEVER(why) test_check(false, why, __FILE__, __LINE__)

enum { CROWD_THREADS = 16 };

// The system's numbers of the threads that are parties now.
static atomic_int party_threads[2 * CROWD_THREADS];

#ifdef _WIN32
// What others hear from the system the runtime is asked for: only threads blocked for ever count
// as asleep. Nobody is stalled, or sent to a processor.
enum { POSIX = 0 };
typedef int cpu_set_t;
static inline int thread_number(void) { return 1; }
static inline cpu_set_t apart(pthread_t other) { return (void)other, 0; }
static inline void set_free(cpu_set_t all) { (void)all; }
static inline void stall(pthread_t thread) { (void)thread; }

static inline int threads_asleep(void) {
    chanrt_statistics s;
    chanrt_stats(&s);
    return (int)s.threads_blocked;
}

__attribute__((noinline, unused)) static char *dump_text(void) {
    FILE *f = tmpfile();
    chanrt_dump(f);
    size_t size = (size_t)ftell(f);
    char *text = calloc(1, size + 1);
    rewind(f);
    text[fread(text, 1, size, f)] = 0;
    fclose(f);
    return text;
}
#else
enum { POSIX = 1 };
static inline int thread_number(void) { return (int)syscall(SYS_gettid); }

__attribute__((noinline, unused)) static char *dump_text(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    chanrt_dump(f);
    fclose(f);
    return text;
}
#endif

static inline atomic_int *thread_begins(void) {
    for (size_t i = 0;; i = (i + 1) % (2 * CROWD_THREADS)) {
        int none = 0;
        int self = thread_number();
        if (atomic_compare_exchange_strong(&party_threads[i], &none, self))
            return &party_threads[i];
    }
}

struct crowd {
    waitgroup wg;
    pthread_t threads[CROWD_THREADS];
    int n_threads;
};

#define crowd_task(c, name, ...)  CHECK_EQ(wg_go(&(c)->wg, name, __VA_ARGS__), 0)
#define crowd_thread(c, name, p)  crowd_start_thread((c), name##_thread, (p))

// A task or a thread.
#define crowd_add(c, as_thread, name, p)                                                   \
    do {                                                                                   \
        if (as_thread) crowd_thread(c, name, p);                                           \
        else crowd_task(c, name, p);                                                       \
    } while (0)

static inline void crowd_start_thread(struct crowd *c, void *(*run)(void *), void *arg) {
    if (!CHECK(c->n_threads < CROWD_THREADS)) return;
    if (CHECK_EQ(pthread_create(&c->threads[c->n_threads], NULL, run, arg), 0)) c->n_threads++;
}

// pthread_join, but for the deterministic mode, where it would be to be away with the turn.
static inline int join_thread(pthread_t thread) {
#ifndef _WIN32
    if (test_seeded()) {
        int err;
        while ((err = pthread_tryjoin_np(thread, NULL)) == EBUSY) task_sleep(CHANRT_MICROSECOND);
        return err;
    }
#endif
    return pthread_join(thread, NULL);
}

// Waits until every party has ended; the crowd can be used again.
static inline void crowd_join(struct crowd *c) {
    while (c->n_threads > 0) join_thread(c->threads[--c->n_threads]);
    wg_wait(&c->wg);
}

// How many tasks the runtime says wait for somebody else.
static inline int tasks_blocked(void) {
    char *text = dump_text();
    int n = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool one = strncmp(line, "task ", 5) == 0, many = line[0] >= '1' && line[0] <= '9';
        char *at = one || (many && strstr(line, " tasks \"")) ? strchr(line, '[') : NULL;
        if (at != NULL && strncmp(at, "[run", 4) != 0 && strncmp(at, "[sleep", 6) != 0)
            n += one ? 1 : atoi(line);
    }
    free(text);
    return n;
}

#ifndef _WIN32
// How many of the party threads sleep: in what they do here, that is in the runtime.
static inline int threads_asleep(void) {
    int n = 0;
    for (size_t i = 0; i < 2 * CROWD_THREADS; i++) {
        char path[64], line[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(&party_threads[i]));
        FILE *f = fopen(path, "r");
        if (f == NULL) continue;
        if (fgets(line, sizeof line, f) != NULL) n += strstr(line, ") S ") != NULL;
        fclose(f);
    }
    return n;
}
#endif

// Returns once n parties are blocked. No channel could tell: a party that is about to block
// cannot say that it has. Seen twice, because a thread may sleep for a moment elsewhere.
static inline void until_blocked(int n) {
    int64_t deadline = chanrt_now() + 10000 * test_unit;
    for (int seen = 0; seen < 2;) {
        int now = tasks_blocked() + threads_asleep();
        seen = now == n ? seen + 1 : 0;
        if (chanrt_now() > deadline) {
            CHECK_EQ(now, n);
            return;
        }
        task_sleep(20 * CHANRT_MICROSECOND);
    }
}

// Returns true once n tasks are blocked; false when the channel has a value before that, by which
// one of them says that its time was up already.
static inline bool blocked_before(int n, chan_receiver(int) gave_up) {
    while (tasks_blocked() != n) {
        if (chan_len(gave_up) != 0) return false;
        task_sleep(20 * CHANRT_MICROSECOND);
    }
    return true;
}

// xorshift: small, seeded, good enough to vary the timing.
static inline uint32_t dice(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

// Whether round i of a loop is to be: looked at every 64 rounds, because a look takes time.
static inline bool in_time(long i) { return i % 64 != 0 || !test_late(); }

// Burns a little time without entering the runtime.
static inline void spin(uint32_t turns) {
    for (volatile uint32_t i = 0; i < turns; i = i + 1) continue;
}

// For one who polls: the others' turn.
static inline void give_way(void) {
    if (test_seeded()) task_yield();
    else sched_yield();
}

// A meeting point for two that must leave it at the same instant; a channel would order them.
enum { MEET_OVER = 1 << 30 };

static inline void spin_here(int turn, bool seeded) {
    if (seeded) task_yield();
    else if (turn % 64 == 63) sched_yield();
}

static inline void meet(atomic_int *gate, int generation) {
    bool seeded = test_seeded();
    atomic_fetch_add(gate, 1);
    for (int turn = 0; (atomic_load(gate) & (MEET_OVER - 1)) < 2 * generation; turn++)
        spin_here(turn, seeded);
}

// The same at the start of a round: false for both when either finds that it is late.
static inline bool meet_again(atomic_int *gate, int generation) {
    bool seeded = test_seeded();
    if (test_late()) atomic_fetch_or(gate, MEET_OVER);
    if (atomic_load(gate) & MEET_OVER) return false;
    atomic_fetch_add(gate, 1);
    for (int turn = 0;; turn++) {
        int now = atomic_load(gate);
        if ((now & (MEET_OVER - 1)) >= 2 * generation) return true;
        if (now & MEET_OVER) return false;
        spin_here(turn, seeded);
    }
}

#ifndef _WIN32
// Puts the calling thread and another one on two CPUs, for races that need both to run at
// once: on a busy machine the system likes to keep a pair that meets often on one. Yields
// what set_free needs.
static inline cpu_set_t apart(pthread_t other) {
    cpu_set_t all, one;
    pthread_getaffinity_np(pthread_self(), sizeof all, &all);
    pthread_t threads[2] = { pthread_self(), other };
    if (pthread_equal(threads[0], other)) return all;
    int k = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && k < 2; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(threads[k++], sizeof one, &one);
    }
    return all;
}

static inline void set_free(cpu_set_t all) {
    pthread_setaffinity_np(pthread_self(), sizeof all, &all);
}
#endif

// Stalls: stall(thread) stops another thread wherever it is just then, between two loads of a
// fast path as well as anywhere else, until unstall() or until stall_limit is over (it may
// hold a lock that the caller needs). Races of a few instructions need this.
enum { STALL_OFF, STALL_ASKED, STALL_BEGUN };
static atomic_int stalled;
static int64_t stall_limit = 50 * CHANRT_MICROSECOND;

// For one who wants to be stalled in the middle of a short act: phase is 0 before it, 1 in
// it, 2 after it; what the last stall met moves the start of the next act towards it.
static struct {
    atomic_int phase, met;
    int delay;
} aim;

static inline void aim_begin(uint32_t *seed) {
    int met = atomic_exchange(&aim.met, 0);
    aim.delay += met == 2 ? 16 : met == 0 && aim.delay > 0 ? -16 : 0;
    atomic_store(&aim.phase, 0);
    spin((uint32_t)aim.delay + dice(seed) % 32);
    atomic_store(&aim.phase, 1);
}

static inline void aim_end(void) { atomic_store(&aim.phase, 2); }

static inline void stall_here(int signo) {
    (void)signo;
    int asked = STALL_ASKED, err = errno;
    int64_t end = chanrt_now() + stall_limit;
    atomic_store(&aim.met, atomic_load(&aim.phase));
    atomic_compare_exchange_strong(&stalled, &asked, STALL_BEGUN);
    while (atomic_load(&stalled) != STALL_OFF && chanrt_now() < end) continue;
    errno = err;
}

#ifndef _WIN32
static inline void stall(pthread_t thread) {
    static bool ready;
    if (test_seeded()) return; // who has no turn is stalled already
    struct sigaction act = { .sa_handler = stall_here, .sa_flags = SA_RESTART };
    if (!ready) sigaction(SIGUSR2, &act, NULL);
    ready = true;
    int64_t end = chanrt_now() + 200 * CHANRT_MICROSECOND;
    atomic_store(&stalled, STALL_ASKED);
    if (pthread_kill(thread, SIGUSR2) != 0) return;
    while (atomic_load(&stalled) != STALL_BEGUN && chanrt_now() < end) continue;
}
#endif

static inline void unstall(void) { atomic_store(&stalled, STALL_OFF); }

#endif
