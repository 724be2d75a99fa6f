// chanrt.h - Go's concurrency model for C: tasks, channels, select, in one header.
// SPDX-License-Identifier: MIT OR Unlicense                    (full text at the end)
//
// >>manual
//
//   Tasks are stackful and cheap; a fixed pool of pthreads runs them. A task that
//   waits costs its worker nothing: the worker runs something else. Tasks talk
//   through typed channels, and wait for several at once with a fair select.
//
//       #define CHANRT_IMPLEMENTATION        // in exactly one file of the program
//       #include "chanrt.h"
//       #include <stdio.h>
//
//       TASK(square, chan_receiver(int), in, chan_sender(int), out) {
//           chan_range(int, n, in) chan_send(out, n * n);
//           chan_close(out);
//       }
//
//       int main(void) {
//           chan(int) in = chan_make(int, 4), out = chan_make(int, 4);
//           go(square, in, out);
//           for (int i = 1; i <= 4; i++) chan_send(in, i);
//           chan_close(in);
//           chan_range(int, n, out) printf("%d\n", n);
//           chan_free(in);
//           chan_free(out);
//       }
//
//   Build it with:  cc -O2 -pthread main.c
//
// HOW TO READ THIS FILE
//
//   `grep -n '// >>' chanrt.h` prints the table of contents. First the interface,
//   with the only copy of each function's reference; then the implementation, in
//   rooms, lowest first. No function is declared before it is defined there, so a
//   room can only call rooms above it in the file; the seven ways up are data, not
//   calls: a spawn's begin, a task's entry and its end, what its task_exit passes on
//   the way, a timer's fire, the failure's dump, and the pool's start, for the thread
//   that watches it. (A build with traces has an eighth: a failure's last write.)
//   The life of one value: >>chan, chanrt__chan_send and chanrt__chan_recv.
//   The life of one task:  >>sched, chanrt_x_spawn and chanrt__sched_task_main.
//   Every wait of a task ends in one place: chanrt__wait_block in >>wait.
//
// RULES OF THE ROAD
//
//   - Every call may be made from a task or from any thread. A task parks, a
//     thread blocks. The runtime starts by itself when the first task is spawned.
//   - Returning from main ends the process, with every task in it.
//   - Errors are returned errno values. Blocking is Go's.
//   - A task is not preempted: one that computes for long calls task_yield now and
//     then. A call that blocks in the kernel blocks its worker.
//   - After a blocking call a task may be on another thread. Do not keep the
//     address of a thread-local across one. errno is taken care of (below).
//   - The floating-point environment belongs to the worker; restore it before
//     blocking if you change it.
//   - fork() is for exec: the child has no workers. A call there that needs them stops it
//     with one line.
//
// OPTIONS
//
//   For every file that includes the header, the same in all:
//     CHANRT_NO_SHORT_NAMES  only chanrt_/CHANRT_ names
//     CHANRT_KEEP_ERRNO      leave the errno macro as libc made it
//     CHANRT_STATIC          everything static to the one file that uses it
//     CHANRT_DEBUG           1: finds misuse, names places; see >>debug. Files compiled without
//                            it can be linked in, and are not named. Needs stb_ds.h
//   For the file with CHANRT_IMPLEMENTATION:
//     CHANRT_MALLOC(n) CHANRT_REALLOC(p, n) CHANRT_FREE(p)    all three or none
//     CHANRT_ASSERT(x)       what checks our own bugs (assert)
//     CHANRT_UCONTEXT        1: switch stacks with ucontext instead of assembly
//     CHANRT_LINUX           0: POSIX calls only, as on other systems
//     CHANRT_FUTEX           0: park threads on mutex and condition variable
//     CHANRT_MEMBARRIER      0: locked instructions instead of membarrier(2)
//     CHANRT_EPOLL           0: wait for descriptors with poll(2)
//     CHANRT_HELPERS         most threads at a time for calls that block (64)
//     CHANRT_GUARD           2: guard pages by madvise, falling back to mprotect;
//                            1: by mprotect; 0: none
//     CHANRT_VALGRIND        1: tell Valgrind about stacks (needs its header)
//     CHANRT_CHECK           1: check the laws of every channel at every unlock
//     CHANRT_PROFILE         1: run and blocked time by spawn place, when CHANRT_PROFILE_FILE is
//                            in the environment; see >>profile
//     CHANRT_TRACE           1: a timeline, when CHANRT_TRACE_FILE is in the environment; see
//                            >>trace
//     CHANRT_TSAN_USER       1: for finding races in a program, not in the runtime: this one
//                            file compiled by clang without -fsanitize=thread, all others with

#ifndef CHANRT_H
#define CHANRT_H
#define CHANRT_VERSION "0.9.0"

#if defined(CHANRT_IMPLEMENTATION) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1 // helps if nothing was included yet; >>os manages if something was
#endif

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#ifdef __cplusplus
#ifdef _WIN32
#include <cxxabi.h>
#endif
#include <exception>
#include <new>
#include <type_traits>
#include <utility>
#endif

#if !defined(__GNUC__) && !defined(__TINYC__)
#error "chanrt.h needs GNU C's __typeof__ and statement expressions: use gcc or clang"
#elif defined(CHANRT_IMPLEMENTATION) && defined(__TINYC__)
#error "chanrt.h: compile the file with CHANRT_IMPLEMENTATION with gcc or clang; tcc may include \
the rest"
#elif defined(_WIN32) && !defined(__x86_64__)
#error "chanrt.h: on Windows for x86-64 only (MinGW-w64's gcc with posix threads); else WSL, Cygwin"
#endif

#ifndef CHANRT_DEBUG
#define CHANRT_DEBUG 0
#endif

#ifdef CHANRT_STATIC
#define CHANRT_API static __attribute__((unused))
#else
#define CHANRT_API extern
#endif

#ifdef __cplusplus
#define CHANRT__ALIGNOF(T) alignof(T)
#define CHANRT__CHECK(cond, text) static_assert(cond, text)
extern "C" {
#else
#define CHANRT__ALIGNOF(T) _Alignof(T)
#define CHANRT__CHECK(cond, text) _Static_assert(cond, text)
#endif

// Preprocessor helpers. ONE yields `one` or `more`; COUNT the number of arguments.
#define CHANRT__CAT_(a, b) a##b
#define CHANRT__CAT(a, b) CHANRT__CAT_(a, b)
#define CHANRT__PICK(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, \
                     z, ...) z
#define CHANRT__ONE(...)                                                                        \
    CHANRT__PICK(__VA_ARGS__, more, more, more, more, more, more, more, more, more, more, more, \
                 more, more, more, more, more, more, more, more, more, more, more, more, more,  \
                 one, ~)
#define CHANRT__COUNT(...)                                                                    \
    CHANRT__PICK(__VA_ARGS__, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, \
                 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, ~)

//------------------------------------------------------------------------------
// >>types
//------------------------------------------------------------------------------

#define CHANRT_MICROSECOND ((int64_t)1000)
#define CHANRT_MILLISECOND ((int64_t)1000000)
#define CHANRT_SECOND ((int64_t)1000000000)

typedef struct chanrt_options {
    int workers;       // pool size; 0: CHANRT_WORKERS from the environment, else the usable CPUs
    size_t stack_size; // bytes of stack a task gets, guard excluded; 0: 64 KiB
    uint64_t seed;     // not 0: deterministic mode, see chanrt_start
    bool virtual_time; // with a seed: time jumps to the next timer when everything is blocked
} chanrt_options;

typedef struct chanrt_task_options {
    size_t stack_size; // bytes; 0: the pool's
    const char *name;  // must outlive the task; NULL: the function's name
    bool pinned;       // stays on the worker that first ran it
} chanrt_task_options;

typedef struct chanrt_statistics {
    uint64_t workers;       // threads in the pool
    uint64_t tasks_live;    // spawned and not ended
    uint64_t tasks_peak;    // most live at one time, as seen at spawns and calls of chanrt_stats
    uint64_t tasks_spawned; // since the runtime started
    uint64_t switches;      // tasks entered by a worker
    uint64_t parks;         // times a task gave up its worker to wait
    uint64_t steals;        // tasks taken from another worker
    uint64_t wakes;         // sleeping workers woken
    uint64_t stacks;        // stacks in existence, in use or cached
    uint64_t bytes_held;    // address space held for stacks and task records
    uint64_t queued;        // tasks that could run and wait for a worker
    uint64_t queued_shared; // of those, in the queue that all workers share
    uint64_t workers_idle;  // workers asleep
    uint64_t threads_blocked; // the program's own threads that are blocked for ever
} chanrt_statistics;

typedef struct chanrt_worker_statistics {
    uint64_t task;          // id of the task that runs there now; 0: none
    bool idle;              // asleep
    uint64_t queued;        // tasks in its queues
    uint64_t run_ns;        // how long a task ran there, on average of the last few
    uint64_t spawned, finished, switches, parks, steals;
} chanrt_worker_statistics;

// Who waits on an object, first come first. Private, but part of zero-initialised objects.
struct chanrt_x_queue {
    struct chanrt__waiter *a_first, *last;
    uint32_t claims; // nodes of waits with several sources that have not left yet
};

// A wait group: zero-initialised, not copied while in use. Fields are private.
typedef struct chanrt_waitgroup {
    uint32_t a_lock;
    int64_t x_count;
    struct chanrt_x_queue x_queue;
} chanrt_waitgroup;

typedef struct chanrt_chan_timer chanrt_chan_timer;

typedef struct chanrt_task_ctx chanrt_task_ctx;

// A group of tasks, made by group_init, not copied. Fields are private.
typedef struct chanrt_task_group {
    uint32_t a_lock;
    int x_error;
    int64_t x_limit, x_active;
    struct chanrt_task_group *a_self;
    chanrt_task_ctx *x_ctx;
    struct chanrt_x_queue x_waiting, x_blocked;
} chanrt_task_group;

// One case of chan_select_n. Made by chan_case's makers below; `err` is the result.
typedef struct chanrt_chan_case {
    const volatile void *x_chan;
    void *x_ptr;
    int x_op;
    int x_place;
    uint32_t x_version, x_closes;
    bool x_ready, x_io;
    int err; // after the call, for the case that ran: 0, or EPIPE; see chanrt_on_io
} chanrt_chan_case;

// What macros expand to; not for hands.
struct chanrt_x_tag; // the argument type that marks channel types
typedef struct chanrt_x_site {
    const char *name, *file;
    int line;
} chanrt_x_site;
typedef struct chanrt_x_how {
    const chanrt_task_options *options;
    void (*end)(void *object, int result); // told of the task's end
    void *object;
    int (*begin)(void *object); // asked before the task is made, may block; an error: no task
} chanrt_x_how;
enum { CHANRT_X_RECV = 1, CHANRT_X_SEND = 2, CHANRT_X_IO_READ = 3, CHANRT_X_IO_WRITE = 4 };

// Notes the place of a call, in a debug build; what: the call in words.
#if CHANRT_DEBUG
CHANRT_API void chanrt_x_at(const chanrt_x_site *site);
#define CHANRT__NOTE(what)                                                                  \
    chanrt_x_at(__extension__({                                                             \
        static const chanrt_x_site chanrt__here = { what, __FILE__, __LINE__ };             \
        &chanrt__here;                                                                      \
    }))
#else
#define CHANRT__NOTE(what) ((void)0)
#endif

//------------------------------------------------------------------------------
// >>api-task    The runtime and its tasks.
//------------------------------------------------------------------------------

// chanrt_start starts the pool with other options than the defaults (opts may be
// NULL). Optional: the first spawn starts it.
// Returns: 0, EBUSY when running, EINVAL, ENOMEM, EAGAIN (a thread could not be had;
// one line on stderr names the limit).
//
// With a seed the run is deterministic, for tests: one worker, and one thing at a time. At every
// operation of this library the seed decides who goes on, among all tasks that could and all
// ordinary threads that have called in; it decides selects, too. The same seed makes the same run
// again, other seeds make others. The thread that starts the runtime is part of it at once, others
// from their first call, which comes when the system lets it; a thread that blocks elsewhere for
// more than a second is left behind, with a line on stderr.
// With virtual_time nothing sleeps: when everything is blocked, the clock of chanrt_now jumps to
// the next timer. (Whoever polls without ever blocking moves it on, too, in small steps.)
// CHANRT_SEED=n in the environment does both without a change to the program, and takes the place
// of a seed given here; CHANRT_VIRTUAL_TIME=0 or 1 decides about the time. EINVAL: virtual_time
// without a seed. A deadlock report names the seed.
CHANRT_API int chanrt_start(const chanrt_options *opts);

// chanrt_shutdown waits for every task to end, then frees all the runtime holds. It
// can be started again afterwards. Channels and other objects of the program's stay
// valid; armed timers are disarmed. No other thread may be inside a call meanwhile.
// Blocks: up to timeout ns, and until running tasks wait; < 0: until all ended or nothing can
// end them.
// Returns: 0, also when not running; EBUSY: tasks were still blocked; they are reported
// on stderr and reclaimed without running; EDEADLK: called from a task.
CHANRT_API int chanrt_shutdown(int64_t timeout);

// chanrt_workers is the size of the pool: the running one, or the one a start with
// the defaults would make.
CHANRT_API int chanrt_workers(void);

// chanrt_now reads the monotonic clock, in nanoseconds.
CHANRT_API int64_t chanrt_now(void);

// chanrt_task_yield goes to the end of its worker's queue of ready tasks.
CHANRT_API void chanrt_task_yield(void);

// chanrt_task_sleep waits ns nanoseconds, never less; <= 0 yields.
CHANRT_API void chanrt_task_sleep(int64_t ns);

// chanrt_task_exit ends the calling task from any depth. On an ordinary thread it ends
// that thread, as pthread_exit does; the process goes on while workers are left.
CHANRT_API void chanrt_task_exit(void) __attribute__((noreturn));

// chanrt_task_id and chanrt_task_name tell the calling task's; 0 and NULL on a thread.
CHANRT_API uint64_t chanrt_task_id(void);
CHANRT_API const char *chanrt_task_name(void);

// chanrt_dump writes a line per task: id, name, state in Go's words, what it waits for and for
// how long, its stack, where it was spawned. Four or more tasks of one place in one state share
// a line. Then the program's own threads that are blocked for ever, and the channels waited for.
// The tasks run on meanwhile: each line is true for its moment, and times are as of the worker's
// last look at the clock. With CHANRT_DUMP_SIGNAL=USR1 in the environment (a name or a number) the
// signal writes one to stderr, from a thread that waits for nothing else.
CHANRT_API void chanrt_dump(FILE *f);

// chanrt_leaks finds tasks that wait for what nobody can reach any more, so that they will wait for
// ever: as Go's goroutine leak profile does. It writes a line for each to f (NULL: none), or for
// four and more of one place in one state, with what they wait for and why that is in vain.
// A task is in reach if it runs, can run, sleeps, has a deadline, or waits for a descriptor, a
// signal or a call; so is one that waits for an object whose address stands on the stack of a task
// in reach or of a thread, in data, or in the heap. What is left is leaked. In a debug build so is
// who waits for a lock held by a task that has ended.
// Exact: who waits for what; that a select without a case never ends. Heuristic: reach. Memory is
// searched for what looks like an address while the program runs on, six times, a moment apart.
// Leaks are missed where an old address was left behind: in a block of the heap that is itself
// forgotten, or unused parts of the stack of a thread or of a task that runs. A task is named
// wrongly if the only address is where nobody looks. First of all that is a register: of a thread
// that is in read(2), poll(2) and their like, or of a task that computes and makes no call. Then
// what is unaligned, changed (xor, tags in the high bits), outside the process, in memory mapped
// read-only or shared and not touched yet, or low in memory whose top is a thread's stack.
// Linux only. It costs a read of all the memory in use; nobody is stopped or kept from anything
// but starting and ending the runtime.
// Returns: how many leaked; -EBUSY: the runtime starts or ends, or somebody else is looking;
// -ENOMEM; -EAGAIN: tasks came too fast; -ENOSYS: elsewhere, or the system does not let us look.
CHANRT_API int chanrt_leaks(FILE *f);

// chanrt_stats fills *s, chanrt_worker_stats what one worker did, worker 0 to chanrt_workers() - 1.
// Figures of running workers may be a few switches old.
// Returns: 0; EINVAL: s is NULL, or there is no such worker (now).
CHANRT_API void chanrt_stats(chanrt_statistics *s);
CHANRT_API int chanrt_worker_stats(int worker, chanrt_worker_statistics *s);

// errno, never cached: a task may wake on another thread, and libc lets compilers keep
// the address of errno over a call.
CHANRT_API int *chanrt_x_errno(void);
#ifndef CHANRT_KEEP_ERRNO
#pragma push_macro("errno")
#undef errno
#define errno (*chanrt_x_errno())
#endif

CHANRT_API int chanrt_x_spawn(const chanrt_x_site *site, const chanrt_x_how *how,
                              int (*entry)(void *), const void *args, size_t size, size_t align);
CHANRT_API int chanrt_x_spawn_fn(const chanrt_x_site *site, const chanrt_x_how *how,
                                 void (*fn)(void *), void *arg);
CHANRT_API void chanrt_x_uncaught(void); // says which task an exception left

// CHANRT_TASK(name, type, param, type, param, ...) { body } defines a function with 0 to 8
// parameters that chanrt_go can spawn; it can be called as an ordinary function, too.
// CHANRT_TASK_EXTERN gives it external linkage, and CHANRT_TASK_DECLARE, in a header,
// makes it spawnable in other files. CHANRT_TASK_ERR is for tasks that return int.
#define CHANRT_TASK(...) CHANRT__TASK(static, void, CHANRT__RUN_VOID, __VA_ARGS__)
#define CHANRT_TASK_ERR(...) CHANRT__TASK(static, int, CHANRT__RUN_INT, __VA_ARGS__)
#define CHANRT_TASK_EXTERN(...) CHANRT__TASK(extern, void, CHANRT__RUN_VOID, __VA_ARGS__)
#define CHANRT_TASK_DECLARE(...) \
    CHANRT__CAT(CHANRT__DECLARE_, CHANRT__COUNT(__VA_ARGS__))(__VA_ARGS__)

// chanrt_go(task, args...) spawns the task; the arguments are checked and converted as in
// a call, and copied. chanrt_go_opt takes task options first; chanrt_go_fn(fn, arg) spawns
// void (*fn)(void *). Never blocks.
// Returns: 0, ENOMEM, or EAGAIN (the pool could not be started); EINVAL for bad options.
// Order: what the caller did before happens before the task's first step.
#define chanrt_go(...) CHANRT__GO(__COUNTER__, NULL, __VA_ARGS__)
#define chanrt_go_opt(opts, ...) CHANRT__GO_OPT(__COUNTER__, opts, __VA_ARGS__)
#define chanrt_go_fn(fn, arg) CHANRT__GO_FN(__COUNTER__, fn, arg)

#define CHANRT__RUN_VOID(call) \
    call;                      \
    return 0
#define CHANRT__RUN_INT(call) return call

#define CHANRT__TASK(link, ret, run, ...) \
    CHANRT__CAT(CHANRT__TASK_, CHANRT__ONE(__VA_ARGS__))(link, ret, run, __VA_ARGS__)
#ifdef __cplusplus // where chanrt_go takes any function, and only C needs more to spawn it
#define CHANRT__TASK_one(link, ret, run, name)                                                \
    link ret name(void);                                                                      \
    CHANRT__START_##link(name, (const chanrt_x_site *chanrt__s, const chanrt_x_how *chanrt__h), \
                         (chanrt__s, chanrt__h, name))                                        \
    CHANRT__LINK_##link ret name(void)
#define CHANRT__TASK_more(link, ret, run, name, ...)                                          \
    CHANRT__TASK_N(link, ret, run, name, CHANRT__COUNT(__VA_ARGS__), __VA_ARGS__)
#define CHANRT__TASK_N(link, ret, run, name, n, ...)                                          \
    CHANRT__PAIRS(n);                                                                         \
    link ret name(CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__));                              \
    CHANRT__START_##link(name, (const chanrt_x_site *chanrt__s, const chanrt_x_how *chanrt__h, \
                                CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__)),                \
                         (chanrt__s, chanrt__h, name,                                         \
                          CHANRT__CAT(CHANRT__NAMES_, n)(__VA_ARGS__)))                       \
    CHANRT__LINK_##link ret name(CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__))
#define CHANRT__START_static(name, params, args)
#define CHANRT__START_extern(name, params, args) \
    extern int chanrt_x_start_##name params;     \
    int chanrt_x_start_##name params { return chanrt_x_go args; }
#else
#define CHANRT__TASK_one(link, ret, run, name)                                                \
    CHANRT__KNOW(name)                                                                        \
    link ret name(void);                                                                      \
    link int chanrt_x_start_##name(const chanrt_x_site *, const chanrt_x_how *)               \
        __attribute__((unused));                                                              \
    static int chanrt_x_entry_##name(void *chanrt__p) {                                       \
        (void)chanrt__p;                                                                      \
        run(name());                                                                          \
    }                                                                                         \
    CHANRT__LINK_##link int chanrt_x_start_##name(const chanrt_x_site *chanrt__s,             \
                                                  const chanrt_x_how *chanrt__h) {            \
        return chanrt_x_spawn(chanrt__s, chanrt__h, chanrt_x_entry_##name, NULL, 0, 1);       \
    }                                                                                         \
    CHANRT__LINK_##link ret name(void)
#define CHANRT__TASK_more(link, ret, run, name, ...)                                          \
    CHANRT__TASK_N(link, ret, run, name, CHANRT__COUNT(__VA_ARGS__), __VA_ARGS__)
#define CHANRT__TASK_N(link, ret, run, name, n, ...)                                          \
    CHANRT__PAIRS(n);                                                                         \
    CHANRT__KNOW(name)                                                                        \
    link ret name(CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__));                              \
    link int chanrt_x_start_##name(const chanrt_x_site *, const chanrt_x_how *,               \
                                   CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__))              \
        __attribute__((unused));                                                              \
    struct chanrt_x_args_##name {                                                             \
        CHANRT__CAT(CHANRT__FIELDS_, n)(__VA_ARGS__)                                          \
    };                                                                                        \
    static int chanrt_x_entry_##name(void *chanrt__p) {                                       \
        struct chanrt_x_args_##name *chanrt__a = (struct chanrt_x_args_##name *)chanrt__p;    \
        run(name(CHANRT__CAT(CHANRT__LOADS_, n)(__VA_ARGS__)));                               \
    }                                                                                         \
    CHANRT__LINK_##link int chanrt_x_start_##name(                                            \
        const chanrt_x_site *chanrt__s, const chanrt_x_how *chanrt__h,                        \
        CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__)) {                                       \
        struct chanrt_x_args_##name chanrt__a = { CHANRT__CAT(CHANRT__NAMES_,                 \
                                                              n)(__VA_ARGS__) };              \
        return chanrt_x_spawn(chanrt__s, chanrt__h, chanrt_x_entry_##name, &chanrt__a,        \
                              sizeof chanrt__a, CHANRT__ALIGNOF(struct chanrt_x_args_##name)); \
    }                                                                                         \
    CHANRT__LINK_##link ret name(CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__))
#endif
#define CHANRT__LINK_static static
#define CHANRT__LINK_extern

#define CHANRT__PAIRS(n)                                                                 \
    CHANRT__CHECK((n) % 2 == 0 && (n) <= 16,                                             \
                  "TASK(name, type, parameter, type, parameter, ...): a comma between "  \
                  "each type and its name, and at most 8 of them")
// Undeclared for what is no task: go asks for it, so that the compiler says what is missing.
#define CHANRT__KNOWN(name) chanrt_x_TASK_or_TASK_DECLARE_of_##name
#ifdef __cplusplus // whose go takes anything that can be called
#define CHANRT__KNOW(name)
#else
#define CHANRT__KNOW(name) extern char CHANRT__KNOWN(name);
#endif
#define CHANRT__DECLARE_1(name)       \
    CHANRT__KNOW(name)                \
    void name(void);                  \
    int chanrt_x_start_##name(const chanrt_x_site *, const chanrt_x_how *)
#define CHANRT__DECLARE_N(name, n, ...)                                     \
    CHANRT__KNOW(name)                                                      \
    void name(CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__));                \
    int chanrt_x_start_##name(const chanrt_x_site *, const chanrt_x_how *,  \
                              CHANRT__CAT(CHANRT__PARAMS_, n)(__VA_ARGS__))
#define CHANRT__DECLARE_3(name, ...) CHANRT__DECLARE_N(name, 2, __VA_ARGS__)
#define CHANRT__DECLARE_5(name, ...) CHANRT__DECLARE_N(name, 4, __VA_ARGS__)
#define CHANRT__DECLARE_7(name, ...) CHANRT__DECLARE_N(name, 6, __VA_ARGS__)
#define CHANRT__DECLARE_9(name, ...) CHANRT__DECLARE_N(name, 8, __VA_ARGS__)
#define CHANRT__DECLARE_11(name, ...) CHANRT__DECLARE_N(name, 10, __VA_ARGS__)
#define CHANRT__DECLARE_13(name, ...) CHANRT__DECLARE_N(name, 12, __VA_ARGS__)
#define CHANRT__DECLARE_15(name, ...) CHANRT__DECLARE_N(name, 14, __VA_ARGS__)
#define CHANRT__DECLARE_17(name, ...) CHANRT__DECLARE_N(name, 16, __VA_ARGS__)

#define CHANRT__PARAMS_2(T, a) __typeof__(T) a
#define CHANRT__PARAMS_4(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_2(__VA_ARGS__)
#define CHANRT__PARAMS_6(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_4(__VA_ARGS__)
#define CHANRT__PARAMS_8(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_6(__VA_ARGS__)
#define CHANRT__PARAMS_10(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_8(__VA_ARGS__)
#define CHANRT__PARAMS_12(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_10(__VA_ARGS__)
#define CHANRT__PARAMS_14(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_12(__VA_ARGS__)
#define CHANRT__PARAMS_16(T, a, ...) __typeof__(T) a, CHANRT__PARAMS_14(__VA_ARGS__)
#define CHANRT__FIELDS_2(T, a) __typeof__(T) a;
#define CHANRT__FIELDS_4(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_2(__VA_ARGS__)
#define CHANRT__FIELDS_6(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_4(__VA_ARGS__)
#define CHANRT__FIELDS_8(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_6(__VA_ARGS__)
#define CHANRT__FIELDS_10(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_8(__VA_ARGS__)
#define CHANRT__FIELDS_12(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_10(__VA_ARGS__)
#define CHANRT__FIELDS_14(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_12(__VA_ARGS__)
#define CHANRT__FIELDS_16(T, a, ...) __typeof__(T) a; CHANRT__FIELDS_14(__VA_ARGS__)
#define CHANRT__LOADS_2(T, a) chanrt__a->a
#define CHANRT__LOADS_4(T, a, ...) chanrt__a->a, CHANRT__LOADS_2(__VA_ARGS__)
#define CHANRT__LOADS_6(T, a, ...) chanrt__a->a, CHANRT__LOADS_4(__VA_ARGS__)
#define CHANRT__LOADS_8(T, a, ...) chanrt__a->a, CHANRT__LOADS_6(__VA_ARGS__)
#define CHANRT__LOADS_10(T, a, ...) chanrt__a->a, CHANRT__LOADS_8(__VA_ARGS__)
#define CHANRT__LOADS_12(T, a, ...) chanrt__a->a, CHANRT__LOADS_10(__VA_ARGS__)
#define CHANRT__LOADS_14(T, a, ...) chanrt__a->a, CHANRT__LOADS_12(__VA_ARGS__)
#define CHANRT__LOADS_16(T, a, ...) chanrt__a->a, CHANRT__LOADS_14(__VA_ARGS__)
#define CHANRT__NAMES_2(T, a) CHANRT__MOVED(a)
#define CHANRT__NAMES_4(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_2(__VA_ARGS__)
#define CHANRT__NAMES_6(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_4(__VA_ARGS__)
#define CHANRT__NAMES_8(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_6(__VA_ARGS__)
#define CHANRT__NAMES_10(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_8(__VA_ARGS__)
#define CHANRT__NAMES_12(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_10(__VA_ARGS__)
#define CHANRT__NAMES_14(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_12(__VA_ARGS__)
#define CHANRT__NAMES_16(T, a, ...) CHANRT__MOVED(a), CHANRT__NAMES_14(__VA_ARGS__)

#ifdef __cplusplus
#define CHANRT__MOVED(a) std::move(a)
#else
#define CHANRT__MOVED(a) a
#endif

#define CHANRT__SITE(id, label) \
    static const chanrt_x_site CHANRT__CAT(chanrt__site, id) = { label, __FILE__, __LINE__ }
#ifdef __cplusplus
#define CHANRT__GO(id, how, ...) chanrt_x_go(CHANRT__HERE(__VA_ARGS__, ~), how, __VA_ARGS__)
#define CHANRT__HERE(callable, ...)                                                      \
    []() -> const chanrt_x_site * {                                                      \
        static const chanrt_x_site chanrt__site = {                                      \
            #callable[0] == '[' ? "lambda" : #callable, __FILE__, __LINE__               \
        };                                                                               \
        return &chanrt__site;                                                            \
    }()
#else
#define CHANRT__GO(id, how, ...) \
    CHANRT__CAT(CHANRT__GO_, CHANRT__ONE(__VA_ARGS__))(id, how, __VA_ARGS__)
#define CHANRT__GO_one(id, how, name)                                       \
    __extension__({                                                         \
        (void)sizeof(CHANRT__KNOWN(name));                                  \
        CHANRT__SITE(id, #name);                                            \
        chanrt_x_start_##name(&CHANRT__CAT(chanrt__site, id), how);         \
    })
#define CHANRT__GO_more(id, how, name, ...)                                        \
    __extension__({                                                                \
        (void)sizeof(CHANRT__KNOWN(name));                                         \
        CHANRT__SITE(id, #name);                                                   \
        chanrt_x_start_##name(&CHANRT__CAT(chanrt__site, id), how, __VA_ARGS__);   \
    })
#endif
#define CHANRT__GO_OPT(id, opts, ...)                                              \
    __extension__({                                                                \
        const chanrt_task_options CHANRT__CAT(chanrt__opt, id) = (opts);           \
        const chanrt_x_how CHANRT__CAT(chanrt__how, id) = {                        \
            &CHANRT__CAT(chanrt__opt, id), NULL, NULL, NULL                        \
        };                                                                         \
        CHANRT__GO(id, &CHANRT__CAT(chanrt__how, id), __VA_ARGS__);                \
    })
#ifdef __cplusplus
#define CHANRT__GO_FN(id, fn, arg) CHANRT__GO(id, NULL, (void (*)(void *))(fn), arg)
#else
#define CHANRT__GO_FN(id, fn, arg)                                              \
    __extension__({                                                             \
        CHANRT__SITE(id, #fn);                                                  \
        chanrt_x_spawn_fn(&CHANRT__CAT(chanrt__site, id), NULL, (fn), (arg));   \
    })
#endif

//------------------------------------------------------------------------------
// >>api-chan    Channels.
//------------------------------------------------------------------------------

// chanrt_chan(T) is a channel of T: a complete type, usable as T itself. The views
// chanrt_chan_receiver(T) and chanrt_chan_sender(T) are what it converts to by itself; the
// wrong operation on a view does not compile. (The type is a pointer to a pointer to a
// function returning T, never called: a structural type, so that chan(int) is the same
// type wherever it is written. The views add const and volatile, which C converts one way.)
#define chanrt_chan(T) __typeof__(__typeof__(T) (**)(struct chanrt_x_tag *))
#define chanrt_chan_receiver(T) __typeof__(__typeof__(T) (*const *)(struct chanrt_x_tag *))
#define chanrt_chan_sender(T) __typeof__(__typeof__(T) (*volatile *)(struct chanrt_x_tag *))
#define CHANRT__ELEM(ch) __typeof__((**(ch))((struct chanrt_x_tag *)0))
#ifdef __cplusplus
#define CHANRT__MAY_SEND(ch, op)                                              \
    CHANRT__BYTES(CHANRT__ELEM(ch), op);                                      \
    static_assert(chanrt::x::view<__typeof__(ch)>::sends,                     \
                  op ": the channel is a receive-only view (chan_receiver)")
#define CHANRT__MAY_RECV(ch, op)                                              \
    CHANRT__BYTES(CHANRT__ELEM(ch), op);                                      \
    static_assert(chanrt::x::view<__typeof__(ch)>::receives,                  \
                  op ": the channel is a send-only view (chan_sender)")
#define CHANRT__BYTES(T, op)                                                  \
    static_assert(std::is_trivially_copyable<T>::value,                       \
                  op ": a channel copies bytes, and this type has a copy or move of its own: " \
                     "send a pointer (of a unique_ptr its release())")
#else
#define CHANRT__MAY_SEND(ch, op)                                                        \
    CHANRT__CHECK(_Generic((ch), chanrt_chan_receiver(CHANRT__ELEM(ch)): 0, default: 1), \
                  op ": the channel is a receive-only view (chan_receiver)")
#define CHANRT__MAY_RECV(ch, op)                                                      \
    CHANRT__CHECK(_Generic((ch), chanrt_chan_sender(CHANRT__ELEM(ch)): 0, default: 1), \
                  op ": the channel is a send-only view (chan_sender)")
#endif

// chanrt_chan_make(T, cap) makes a channel with one reference; capacity 0 hands over directly.
// Returns: the channel, or NULL (out of memory, or cap * sizeof(T) overflows).
#ifdef __cplusplus
#define chanrt_chan_make(T, cap) \
    (CHANRT__NOTE("chan_make"), chanrt::x::make<__typeof__(T)>((size_t)(cap)))
#else
#define chanrt_chan_make(T, cap) \
    ((chanrt_chan(T))(CHANRT__NOTE("chan_make"),                                            \
                      chanrt_x_chan_make(sizeof(T), CHANRT__ALIGNOF(T), (size_t)(cap))))
#endif

// chanrt_chan_send sends a value (an expression, or a brace initialiser of a struct).
// Blocks: until received or buffered. Returns: 0; EPIPE: closed, the value was not sent;
// EINVAL: ch is NULL. try: EAGAIN instead of blocking; timeout: ETIMEDOUT after ns.
// Order: a send happens before its receive returns; with capacity C, receive k happens
// before send k + C returns.
#define chanrt_chan_send(ch, ...) \
    CHANRT__SEND(__COUNTER__, "chan_send", ch, CHANRT__CALL_SEND, ~, __VA_ARGS__)
#define chanrt_chan_try_send(ch, ...) \
    CHANRT__SEND(__COUNTER__, "chan_try_send", ch, CHANRT__CALL_TRY_SEND, ~, __VA_ARGS__)
#define chanrt_chan_send_timeout(ch, value, ns) \
    CHANRT__SEND(__COUNTER__, "chan_send_timeout", ch, CHANRT__CALL_SEND_TIMEOUT, ns, value)

// chanrt_chan_recv(ch, ptr) receives into *ptr; NULL discards the value.
// Blocks: until there is a value. Returns: 0; EPIPE: closed and drained, *ptr is zeroed;
// EINVAL: ch is NULL. try: EAGAIN instead of blocking; timeout: ETIMEDOUT after ns.
#define chanrt_chan_recv(ch, ptr) \
    CHANRT__RECV(__COUNTER__, "chan_recv", ch, CHANRT__CALL_RECV, ~, ptr)
#define chanrt_chan_try_recv(ch, ptr) \
    CHANRT__RECV(__COUNTER__, "chan_try_recv", ch, CHANRT__CALL_TRY_RECV, ~, ptr)
#define chanrt_chan_recv_timeout(ch, ptr, ns) \
    CHANRT__RECV(__COUNTER__, "chan_recv_timeout", ch, CHANRT__CALL_RECV_TIMEOUT, ns, ptr)

// chanrt_chan_get receives and yields the value; zero when closed.
#define chanrt_chan_get(ch) CHANRT__GET(__COUNTER__, ch)

// chanrt_chan_range(T, v, ch) { body } receives until the channel is closed and drained.
#define chanrt_chan_range(T, v, ch) CHANRT__RANGE(__COUNTER__, T, v, ch)

// chanrt_chan_close ends the sending. Buffered values stay receivable; blocked receivers
// get EPIPE, blocked senders get EPIPE and keep their value.
// Returns: 0, EPIPE when closed already, EINVAL for NULL.
#define chanrt_chan_close(ch)                \
    __extension__({                          \
        CHANRT__MAY_SEND(ch, "chan_close");  \
        CHANRT__NOTE("chan_close " #ch);     \
        chanrt_x_chan_close(ch);             \
    })

// chanrt_chan_len and chanrt_chan_cap: values buffered now, and at most. 0 for NULL.
#define chanrt_chan_len(ch) chanrt_x_chan_len(ch)
#define chanrt_chan_cap(ch) chanrt_x_chan_cap(ch)

// chanrt_chan_ref takes one more reference and yields ch. chanrt_chan_free drops one, of any
// view; the last one closes the channel, and frees it once every wait on it has ended. A value or
// EPIPE received from a task says that the task's call no longer touches the channel.
#define chanrt_chan_ref(ch) ((__typeof__((ch) + 0))chanrt_x_chan_ref(ch))
#define chanrt_chan_free(ch) (CHANRT__NOTE("chan_free " #ch), chanrt_x_chan_free(ch))

// chanrt_chan_collect(ch, array) receives until closed and appends to an stb_ds array.
// chanrt_chan_send_all(ch, array) sends each element; it returns 0 or the first error.
// Both need stb_ds.h to be included where they are used.
#define chanrt_chan_collect(ch, array) CHANRT__COLLECT(__COUNTER__, ch, array)
#define chanrt_chan_send_all(ch, array) CHANRT__SEND_ALL(__COUNTER__, ch, array)

CHANRT_API void *chanrt_x_chan_make(size_t elem, size_t align, size_t cap);
CHANRT_API int chanrt_x_chan_send(const volatile void *ch, const void *value);
CHANRT_API int chanrt_x_chan_try_send(const volatile void *ch, const void *value);
CHANRT_API int chanrt_x_chan_send_timeout(const volatile void *ch, const void *value, int64_t ns);
CHANRT_API int chanrt_x_chan_recv(const volatile void *ch, void *ptr);
CHANRT_API int chanrt_x_chan_try_recv(const volatile void *ch, void *ptr);
CHANRT_API int chanrt_x_chan_recv_timeout(const volatile void *ch, void *ptr, int64_t ns);
CHANRT_API void chanrt_x_chan_get(const volatile void *ch, void *ptr, size_t size);
CHANRT_API int chanrt_x_chan_close(const volatile void *ch);
CHANRT_API size_t chanrt_x_chan_len(const volatile void *ch);
CHANRT_API size_t chanrt_x_chan_cap(const volatile void *ch);
CHANRT_API void *chanrt_x_chan_ref(const volatile void *ch);
CHANRT_API void chanrt_x_chan_free(const volatile void *ch);

#define CHANRT__CALL_SEND(c, v, ns) chanrt_x_chan_send(c, v)
#define CHANRT__CALL_TRY_SEND(c, v, ns) chanrt_x_chan_try_send(c, v)
#define CHANRT__CALL_SEND_TIMEOUT(c, v, ns) chanrt_x_chan_send_timeout(c, v, ns)
#define CHANRT__CALL_RECV(c, p, ns) chanrt_x_chan_recv(c, p)
#define CHANRT__CALL_TRY_RECV(c, p, ns) chanrt_x_chan_try_recv(c, p)
#define CHANRT__CALL_RECV_TIMEOUT(c, p, ns) chanrt_x_chan_recv_timeout(c, p, ns)
#define CHANRT__SEND(id, op, ch, call, ns, ...)                                   \
    __extension__({                                                               \
        CHANRT__MAY_SEND(ch, op);                                                 \
        const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                   \
        CHANRT__ELEM(ch) CHANRT__CAT(chanrt__v, id) = __VA_ARGS__;                \
        CHANRT__NOTE(op " " #ch);                                                 \
        call(CHANRT__CAT(chanrt__c, id), &CHANRT__CAT(chanrt__v, id), ns);        \
    })
#define CHANRT__RECV(id, op, ch, call, ns, ptr)                                   \
    __extension__({                                                               \
        CHANRT__MAY_RECV(ch, op);                                                 \
        const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                   \
        CHANRT__ELEM(ch) *CHANRT__CAT(chanrt__p, id) = (ptr);                     \
        CHANRT__NOTE(op " " #ch);                                                 \
        call(CHANRT__CAT(chanrt__c, id), CHANRT__CAT(chanrt__p, id), ns);         \
    })
#define CHANRT__GET(id, ch)                                                          \
    __extension__({                                                                  \
        CHANRT__MAY_RECV(ch, "chan_get");                                            \
        CHANRT__ELEM(ch) CHANRT__CAT(chanrt__v, id);                                 \
        CHANRT__NOTE("chan_get " #ch);                                               \
        chanrt_x_chan_get((ch), &CHANRT__CAT(chanrt__v, id), sizeof(CHANRT__ELEM(ch))); \
        CHANRT__CAT(chanrt__v, id);                                                  \
    })
#define CHANRT__RANGE(id, T, v, ch)                                                         \
    for (const volatile void *CHANRT__CAT(chanrt__c, id) = (ch),                            \
                             *CHANRT__CAT(chanrt__o, id) = NULL;                            \
         CHANRT__CAT(chanrt__o, id) == NULL; CHANRT__CAT(chanrt__o, id) = "")               \
        for (__typeof__(T) v; __extension__({                                               \
                 CHANRT__MAY_RECV(ch, "chan_range");                                        \
                 CHANRT__ELEM(ch) *CHANRT__CAT(chanrt__p, id) = &v;                         \
                 CHANRT__NOTE("chan_range " #ch);                                           \
                 chanrt_x_chan_recv(CHANRT__CAT(chanrt__c, id), CHANRT__CAT(chanrt__p, id)); \
             }) == 0;)
#define CHANRT__COLLECT(id, ch, array)                                                  \
    do {                                                                                \
        CHANRT__RANGE(id, CHANRT__ELEM(ch), CHANRT__CAT(chanrt__e, id), ch)             \
            stbds_arrput(array, CHANRT__CAT(chanrt__e, id));                            \
    } while (0)
#define CHANRT__SEND_ALL(id, ch, array)                                                  \
    __extension__({                                                                      \
        CHANRT__MAY_SEND(ch, "chan_send_all");                                           \
        const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                          \
        const CHANRT__ELEM(ch) *CHANRT__CAT(chanrt__a, id) = (array);                    \
        int CHANRT__CAT(chanrt__e, id) = CHANRT__CAT(chanrt__c, id) != NULL ? 0 : EINVAL; \
        size_t CHANRT__CAT(chanrt__n, id) =                                              \
            CHANRT__CAT(chanrt__a, id) != NULL                                           \
                ? (size_t)stbds_arrlen(CHANRT__CAT(chanrt__a, id)) : 0;                  \
        for (size_t CHANRT__CAT(chanrt__i, id) = 0;                                      \
             CHANRT__CAT(chanrt__e, id) == 0 &&                                          \
             CHANRT__CAT(chanrt__i, id) < CHANRT__CAT(chanrt__n, id);                    \
             CHANRT__CAT(chanrt__i, id)++)                                               \
            CHANRT__CAT(chanrt__e, id) =                                                 \
                chanrt_x_chan_send(CHANRT__CAT(chanrt__c, id),                           \
                                   &CHANRT__CAT(chanrt__a, id)[CHANRT__CAT(chanrt__i, id)]); \
        CHANRT__CAT(chanrt__e, id);                                                      \
    })

//------------------------------------------------------------------------------
// >>api-select    Waiting for several channels at once.
//------------------------------------------------------------------------------

// chanrt_chan_select { chanrt_on_recv(ch, ptr) { } chanrt_on_send(ch, value) { }
//                      chanrt_on_timeout(ns) { } chanrt_on_default { } }
// runs the body of exactly one case. Operands are evaluated once, top to bottom, before
// anything blocks. Of several ready cases one is picked uniformly at random; the ordered
// form picks the first one written. A NULL channel is never ready. None ready: the default
// if there is one, else blocks. `break` and `continue` leave the select. Inside a body
// chanrt_select_err() is 0, or EPIPE when the case was chosen because the channel is closed.
// More than 8 cases or 128 bytes of values take memory from the allocator; when it has none
// the process stops with one line, since no case could be run.
// How: the braces are run twice. The first time each case records its operands and skips
// its body; the second time the chosen body runs. The diagnostic pragma is here because
// nested selects share the name of their record, on purpose.
#define chanrt_chan_select CHANRT__SELECT(0)
#define chanrt_chan_select_ordered CHANRT__SELECT(1)
#define chanrt_on_recv(ch, ptr) CHANRT__ON_RECV(__COUNTER__, ch, ptr)
#define chanrt_on_send(ch, ...) CHANRT__ON_SEND(__COUNTER__, ch, __VA_ARGS__)
#define chanrt_on_timeout(ns)                                                       \
    if (!(chanrt__select.running ? chanrt_x_select_hit(&chanrt__select)             \
                                 : chanrt_x_select_timeout(&chanrt__select, (ns)))) { \
    } else
#define chanrt_on_default                                                     \
    if (!(chanrt__select.running ? chanrt_x_select_hit(&chanrt__select)       \
                                 : chanrt_x_select_default(&chanrt__select))) { \
    } else
#define chanrt_select_err() (chanrt__select.err)

// chanrt_chan_select_n(cases, n, timeout) is the form for a number known at run time; make
// cases with chanrt_case_recv(ch, ptr) and chanrt_case_send(ch, ptr).
// Blocks: up to timeout ns; < 0: for ever; 0: not at all.
// Returns: the index of the case that ran (cases[i].err is 0 or EPIPE), -1 on timeout,
// -EINVAL (cases NULL or n < 0), -ENOMEM (more than 8 cases and none was ready).
CHANRT_API int chanrt_chan_select_n(chanrt_chan_case *cases, int n, int64_t timeout);
#define chanrt_case_recv(ch, ptr) CHANRT__CASE_RECV(__COUNTER__, ch, ptr)
#define chanrt_case_send(ch, ptr) CHANRT__CASE_SEND(__COUNTER__, ch, ptr)

enum { CHANRT_X_CASES = 8, CHANRT_X_BYTES = 128 };
struct chanrt_x_select {
    int count, place, chosen, err; // cases recorded, cases seen, the one to run, its result
    int timeout_place, default_place;
    bool running, ordered, begun, io;
    int64_t timeout;
    size_t used; // bytes of values
    chanrt_chan_case *cases;
    void *heap; // values and cases that did not fit; freed before a body runs
    chanrt_chan_case fixed[CHANRT_X_CASES];
    long double values[CHANRT_X_BYTES / sizeof(long double)];
};
CHANRT_API int chanrt_x_select_run(struct chanrt_x_select *s);
CHANRT_API int chanrt_x_select_grow(struct chanrt_x_select *s);
CHANRT_API void *chanrt_x_select_space(struct chanrt_x_select *s, size_t size);

static inline struct chanrt_x_select *chanrt_x_select_begin(struct chanrt_x_select *s,
                                                            bool ordered) {
    s->count = s->place = s->err = 0;
    s->chosen = s->timeout_place = s->default_place = -1;
    s->running = s->begun = s->io = false;
    s->ordered = ordered;
    s->timeout = -1;
    s->used = 0;
    s->cases = s->fixed;
    s->heap = NULL;
    return s;
}

static inline int chanrt_x_select_next(struct chanrt_x_select *s) {
    if (s->running) return 0;
    if (s->begun) return chanrt_x_select_run(s);
    s->begun = true;
    return 1;
}

static inline int chanrt_x_select_hit(struct chanrt_x_select *s) {
    return s->place++ == s->chosen;
}

static inline int chanrt_x_select_add(struct chanrt_x_select *s, const volatile void *ch, void *ptr,
                                      int op) {
    if (s->count >= CHANRT_X_CASES) chanrt_x_select_grow(s);
    chanrt_chan_case *c = &s->cases[s->count++];
    c->x_chan = ch;
    c->x_ptr = ptr;
    c->x_op = op;
    c->x_place = s->place++;
    return 0;
}

static inline int chanrt_x_select_add_send(struct chanrt_x_select *s, const volatile void *ch,
                                           const void *value, size_t size) {
    size_t at = s->used, room = (size + 15) & ~(size_t)15;
    void *copy;
    if (room <= CHANRT_X_BYTES - at) {
        copy = (char *)s->values + at;
        s->used += room;
    } else {
        copy = chanrt_x_select_space(s, size);
    }
    memcpy(copy, value, size);
    return chanrt_x_select_add(s, ch, copy, CHANRT_X_SEND);
}

static inline int chanrt_x_select_timeout(struct chanrt_x_select *s, int64_t ns) {
    if (ns >= 0 && (s->timeout < 0 || ns < s->timeout)) {
        s->timeout = ns;
        s->timeout_place = s->place;
    }
    s->place++;
    return 0;
}

static inline int chanrt_x_select_default(struct chanrt_x_select *s) {
    if (s->default_place < 0) s->default_place = s->place;
    s->place++;
    return 0;
}

static inline chanrt_chan_case chanrt_x_case(const volatile void *ch, const void *ptr, int op) {
    chanrt_chan_case c = { ch, (void *)(uintptr_t)ptr, op, 0, 0, 0, false, false, 0 };
    return c;
}

#if defined(__TINYC__) || (!defined(__clang__) && __GNUC__ < 12)
// tcc has no _Pragma; gcc 11 takes one for the loop's body, and warns of nested selects.
#define CHANRT__SELECT(order)                                                             \
    for (struct chanrt_x_select chanrt__select,                                           \
         *chanrt__selecting = chanrt_x_select_begin(&chanrt__select, order);              \
         CHANRT__NOTE("chan_select"), chanrt_x_select_next(chanrt__selecting);)
#else
#define CHANRT__SELECT(order)                                                             \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wshadow\"")         \
    for (struct chanrt_x_select chanrt__select,                                           \
         *chanrt__selecting = chanrt_x_select_begin(&chanrt__select, order);              \
         CHANRT__NOTE("chan_select"), chanrt_x_select_next(chanrt__selecting);)           \
        _Pragma("GCC diagnostic pop")
#endif
#define CHANRT__ON_RECV(id, ch, ptr)                                                       \
    if (!(chanrt__select.running ? chanrt_x_select_hit(&chanrt__select) : __extension__({  \
              CHANRT__MAY_RECV(ch, "on_recv");                                             \
              const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                      \
              CHANRT__ELEM(ch) *CHANRT__CAT(chanrt__p, id) = (ptr);                        \
              chanrt_x_select_add(&chanrt__select, CHANRT__CAT(chanrt__c, id),             \
                                  CHANRT__CAT(chanrt__p, id), CHANRT_X_RECV);              \
          }))) {                                                                           \
    } else
#define CHANRT__ON_SEND(id, ch, ...)                                                       \
    if (!(chanrt__select.running ? chanrt_x_select_hit(&chanrt__select) : __extension__({  \
              CHANRT__MAY_SEND(ch, "on_send");                                             \
              const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                      \
              CHANRT__ELEM(ch) CHANRT__CAT(chanrt__v, id) = __VA_ARGS__;                   \
              chanrt_x_select_add_send(&chanrt__select, CHANRT__CAT(chanrt__c, id),        \
                                       &CHANRT__CAT(chanrt__v, id),                        \
                                       sizeof CHANRT__CAT(chanrt__v, id));                 \
          }))) {                                                                           \
    } else
#define CHANRT__CASE_RECV(id, ch, ptr)                                                     \
    __extension__({                                                                        \
        CHANRT__MAY_RECV(ch, "case_recv");                                                 \
        const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                            \
        CHANRT__ELEM(ch) *CHANRT__CAT(chanrt__p, id) = (ptr);                              \
        chanrt_x_case(CHANRT__CAT(chanrt__c, id), CHANRT__CAT(chanrt__p, id), CHANRT_X_RECV); \
    })
#define CHANRT__CASE_SEND(id, ch, ptr)                                                     \
    __extension__({                                                                        \
        CHANRT__MAY_SEND(ch, "case_send");                                                 \
        const volatile void *CHANRT__CAT(chanrt__c, id) = (ch);                            \
        const CHANRT__ELEM(ch) *CHANRT__CAT(chanrt__p, id) = (ptr);                        \
        chanrt_x_case(CHANRT__CAT(chanrt__c, id), CHANRT__CAT(chanrt__p, id), CHANRT_X_SEND); \
    })

//------------------------------------------------------------------------------
// >>api-timer    Timers as channels.
//------------------------------------------------------------------------------

// chanrt_chan_after makes a channel that delivers the instant once, ns from now. The caller
// frees it, fired or not. NULL: out of memory.
CHANRT_API chanrt_chan_receiver(int64_t) chanrt_chan_after(int64_t ns);

// chanrt_timer_make: one instant after ns. chanrt_ticker_make: one every period; a slow reader
// loses ticks, it never gets a burst. chanrt_timer_func: fn(arg) runs as a task after ns.
// Returns: NULL when out of memory, period <= 0, or fn is NULL.
CHANRT_API chanrt_chan_timer *chanrt_timer_make(int64_t ns);
CHANRT_API chanrt_chan_timer *chanrt_ticker_make(int64_t period);
CHANRT_API chanrt_chan_timer *chanrt_timer_func(int64_t ns, void (*fn)(void *), void *arg);

// chanrt_timer_chan is the timer's channel, owned by the timer (chan_ref it to keep it); NULL
// for timer_func and NULL timers.
CHANRT_API chanrt_chan_receiver(int64_t) chanrt_timer_chan(chanrt_chan_timer *t);

// chanrt_timer_stop disarms; chanrt_timer_reset arms anew (for a ticker: with a new period).
// Returns: true when the timer was still pending: not fired, or fired and the instant not
// received yet. After either no instant of before can be received.
CHANRT_API bool chanrt_timer_stop(chanrt_chan_timer *t);
CHANRT_API bool chanrt_timer_reset(chanrt_chan_timer *t, int64_t ns);

// chanrt_timer_free stops and frees; NULL is fine.
CHANRT_API void chanrt_timer_free(chanrt_chan_timer *t);

//------------------------------------------------------------------------------
// >>api-wg    Waiting for tasks.
//------------------------------------------------------------------------------

// chanrt_wg_add adds n to the count; waiters are released when it becomes 0.
// Returns: 0; EINVAL, and nothing changes: wg is NULL, the count would become negative or
// overflow. chanrt_wg_done is add(-1).
CHANRT_API int chanrt_wg_add(chanrt_waitgroup *wg, int n);
CHANRT_API int chanrt_wg_done(chanrt_waitgroup *wg);

// chanrt_wg_wait blocks until the count is 0. Order: everything before the wg_done calls
// happens before it returns. The group may be reused or freed as soon as it has returned.
// timeout: ETIMEDOUT after ns, else 0; EINVAL for NULL.
CHANRT_API void chanrt_wg_wait(chanrt_waitgroup *wg);
CHANRT_API int chanrt_wg_wait_timeout(chanrt_waitgroup *wg, int64_t ns);

// chanrt_wg_go(wg, task, args...): add 1, spawn, and done when the task ends, by task_exit
// too. Returns what chanrt_go returns; on an error the count is as before.
#define chanrt_wg_go(wg, ...) CHANRT__WG_GO(__COUNTER__, wg, __VA_ARGS__)
#define CHANRT__WG_GO(id, wg, ...)                                                       \
    __extension__({                                                                      \
        chanrt_x_how CHANRT__CAT(chanrt__how, id) = { NULL, NULL, NULL, NULL };          \
        int CHANRT__CAT(chanrt__e, id) =                                                 \
            chanrt_x_wg_begin((wg), &CHANRT__CAT(chanrt__how, id));                      \
        if (CHANRT__CAT(chanrt__e, id) == 0)                                             \
            CHANRT__CAT(chanrt__e, id) = chanrt_x_wg_undo(                               \
                &CHANRT__CAT(chanrt__how, id),                                           \
                CHANRT__GO(id, &CHANRT__CAT(chanrt__how, id), __VA_ARGS__));             \
        CHANRT__CAT(chanrt__e, id);                                                      \
    })
CHANRT_API int chanrt_x_wg_begin(chanrt_waitgroup *wg, chanrt_x_how *how);
CHANRT_API int chanrt_x_wg_undo(const chanrt_x_how *how, int err);

// In a debug build these note their place, too. The implementation lays the macros aside.
#if CHANRT_DEBUG
#define chanrt_task_sleep(ns) (CHANRT__NOTE("task_sleep"), chanrt_task_sleep(ns))
#define chanrt_wg_wait(wg) (CHANRT__NOTE("wg_wait " #wg), chanrt_wg_wait(wg))
#define chanrt_wg_wait_timeout(wg, ns) \
    (CHANRT__NOTE("wg_wait_timeout " #wg), chanrt_wg_wait_timeout(wg, ns))
#endif

//------------------------------------------------------------------------------
// >>api-sync    Locks: who has to wait parks, and its worker runs on.
//------------------------------------------------------------------------------

// All of them are zero-initialised, and not copied while in use; fields are private. They
// serve tasks and ordinary threads alike, and belong to nobody: who unlocks need not be who
// locked. An object may be freed as soon as its user's last call on it has returned, whatever
// calls of others on it are about to return. A task that ends, or is reclaimed by a shutdown,
// leaves what it has locked locked.
typedef struct chanrt_sync_mutex {
    uint32_t a_state;
    struct chanrt_sync_mutex *x_next;
    struct chanrt_x_queue x_queue;
} chanrt_sync_mutex;

typedef struct chanrt_sync_rwmutex {
    uint32_t a_state, a_alone, a_had, a_bears, a_patience, x_unshared;
    struct chanrt_sync_rwmutex *x_next;
    struct chanrt_x_queue x_readers, x_writers;
} chanrt_sync_rwmutex;

typedef struct chanrt_sync_once {
    uint32_t a_state;
    uintptr_t x_runner;
    struct chanrt_x_queue x_queue;
} chanrt_sync_once;

typedef struct chanrt_sync_cond {
    struct chanrt_x_queue x_queue;
} chanrt_sync_cond;

typedef struct chanrt_sync_sem {
    uint32_t a_state;
    int x_size;
    struct chanrt_x_queue x_queue;
} chanrt_sync_sem;

// chanrt_sync_mutex_lock locks m. Who comes may overtake those who wait, until one of them has
// waited for a millisecond: from then on the mutex is handed to them in turn.
// Blocks: until locked. Not recursive. Returns: 0, EINVAL for NULL. trylock: EAGAIN instead of
// blocking. timeout: ETIMEDOUT after ns; 0 does not wait, < 0 waits for ever.
// Order: an unlock happens before every later lock returns.
static inline int chanrt_sync_mutex_lock(chanrt_sync_mutex *m);
static inline int chanrt_sync_mutex_trylock(chanrt_sync_mutex *m);
static inline int chanrt_sync_mutex_lock_timeout(chanrt_sync_mutex *m, int64_t ns);

// chanrt_sync_mutex_unlock unlocks m. Returns: 0; EINVAL, and nothing changes: m is NULL or not
// locked.
static inline int chanrt_sync_mutex_unlock(chanrt_sync_mutex *m);

// chanrt_sync_rwmutex_rlock locks for reading, along with other readers, chanrt_sync_rwmutex_lock
// for writing, alone. A writer that waits keeps new readers out; readers that wait get in when a
// writer leaves, all of them, before the next writer. No upgrade: who has it for reading and locks
// for writing waits for himself, and so does who locks for reading twice with a writer in between.
// Where others come and go in no time, who comes looks on for some 0.1 ms at most before it waits.
// Returns: as for the mutex. Order: an unlock happens before every later rlock and lock, a runlock
// before every later lock.
static inline int chanrt_sync_rwmutex_rlock(chanrt_sync_rwmutex *rw);
static inline int chanrt_sync_rwmutex_tryrlock(chanrt_sync_rwmutex *rw);
static inline int chanrt_sync_rwmutex_rlock_timeout(chanrt_sync_rwmutex *rw, int64_t ns);
static inline int chanrt_sync_rwmutex_lock(chanrt_sync_rwmutex *rw);
static inline int chanrt_sync_rwmutex_trylock(chanrt_sync_rwmutex *rw);
static inline int chanrt_sync_rwmutex_lock_timeout(chanrt_sync_rwmutex *rw, int64_t ns);

// chanrt_sync_rwmutex_runlock ends one rlock, chanrt_sync_rwmutex_unlock a lock.
// Returns: 0; EINVAL, and nothing changes: rw is NULL or not locked that way.
static inline int chanrt_sync_rwmutex_runlock(chanrt_sync_rwmutex *rw);
static inline int chanrt_sync_rwmutex_unlock(chanrt_sync_rwmutex *rw);

// chanrt_sync_once_do calls fn(arg) if no call on o has done so yet. A call that ends by
// task_exit, or pthread_exit on a thread, counts.
// Blocks: until that one call of fn has ended, whoever made it. Returns: 0; EINVAL: o or fn is
// NULL; EDEADLK: called by fn itself. Order: the end of fn happens before every return.
static inline int chanrt_sync_once_do(chanrt_sync_once *o, void (*fn)(void *), void *arg);

// chanrt_sync_cond_wait unlocks m, waits for a signal, and locks m again, whatever it returns.
// It never wakes without a signal, and a signal wakes somebody who waited before it, first come
// first served. One condition may serve several mutexes.
// Blocks: until signalled, or ns have passed, and until m is locked. Returns: 0, ETIMEDOUT (0 ns:
// at once, m stays locked); EINVAL, and nothing changes: NULL, or m is not locked.
CHANRT_API int chanrt_sync_cond_wait(chanrt_sync_cond *c, chanrt_sync_mutex *m);
CHANRT_API int chanrt_sync_cond_wait_timeout(chanrt_sync_cond *c, chanrt_sync_mutex *m, int64_t ns);

// chanrt_sync_cond_signal wakes the one who has waited longest, chanrt_sync_cond_broadcast all who
// wait now; nobody waits: nothing happens. The mutex may be locked or not, but change what they
// wait for with it locked. Returns: 0, EINVAL for NULL.
CHANRT_API int chanrt_sync_cond_signal(chanrt_sync_cond *c);
CHANRT_API int chanrt_sync_cond_broadcast(chanrt_sync_cond *c);

// chanrt_sync_sem_init gives s n units, all of them free. Returns: 0, EINVAL (NULL, n < 0).
CHANRT_API int chanrt_sync_sem_init(chanrt_sync_sem *s, int n);

// chanrt_sync_sem_acquire takes k units. First come, first served: a large request is not
// overtaken by small ones that would fit.
// Blocks: until all k are there. Returns: 0; EINVAL: s is NULL, k < 0; EDEADLK: k is more than s
// has. tryacquire: EAGAIN instead of blocking, also while others wait. timeout: ETIMEDOUT.
// Order: a release happens before the acquire that takes what it gave.
static inline int chanrt_sync_sem_acquire(chanrt_sync_sem *s, int k);
static inline int chanrt_sync_sem_tryacquire(chanrt_sync_sem *s, int k);
static inline int chanrt_sync_sem_acquire_timeout(chanrt_sync_sem *s, int k, int64_t ns);

// chanrt_sync_sem_release gives k units back. Returns: 0; EINVAL, and nothing changes: s is NULL,
// k < 0, or more than are taken.
static inline int chanrt_sync_sem_release(chanrt_sync_sem *s, int k);

// What follows are the cases in which nobody waits, one locked instruction each; the unlocking of
// a mutex, and of a rwmutex that one party has to itself, need none. >>sync says why that is
// enough, and does the rest.
enum { CHANRT_X_LOCKED = 1, CHANRT_X_QUEUED = 2, CHANRT_X_SHARED = 4, CHANRT_X_ALONE = 8,
       CHANRT_X_READER = 16, CHANRT_X_ONCE_DONE = 2, CHANRT_X_LOTS = 256 };
CHANRT_API uint32_t chanrt_x_sync_quiet[CHANRT_X_LOTS];
CHANRT_API uint32_t chanrt_x_drawn; // not 0: a seed decides who goes on, also before a free lock
CHANRT_API int chanrt_x_mutex_lock(chanrt_sync_mutex *m, int64_t ns);
CHANRT_API int chanrt_x_mutex_unlock(chanrt_sync_mutex *m);
CHANRT_API int chanrt_x_mutex_wake(const chanrt_sync_mutex *m);
CHANRT_API int chanrt_x_rwmutex_rlock(chanrt_sync_rwmutex *rw, int64_t ns);
CHANRT_API int chanrt_x_rwmutex_runlock(chanrt_sync_rwmutex *rw);
CHANRT_API int chanrt_x_rwmutex_lock(chanrt_sync_rwmutex *rw, int64_t ns);
CHANRT_API int chanrt_x_rwmutex_unlock(chanrt_sync_rwmutex *rw);
CHANRT_API void chanrt_x_rwmutex_left(const chanrt_sync_rwmutex *rw);
CHANRT_API void chanrt_x_rwmutex_back(chanrt_sync_rwmutex *rw);
CHANRT_API int chanrt_x_once_do(chanrt_sync_once *o, void (*fn)(void *), void *arg);
CHANRT_API int chanrt_x_sem_acquire(chanrt_sync_sem *s, int k, int64_t ns);
CHANRT_API int chanrt_x_sem_release(chanrt_sync_sem *s, int k);

#ifdef __TINYC__ // has no such builtins, and on x86 its plain accesses are in this order
static inline bool chanrt_x_sync_swap(uint32_t *p, uint32_t from, uint32_t to) {
    return (void)p, (void)from, (void)to, false; // as if others were there: not the short way
}
#define chanrt_x_sync_claim(p, to) chanrt_x_sync_swap((p), 0, (to))
#define CHANRT__SYNC_AGAIN(p) CHANRT__SYNC_SEEN(p)
#define CHANRT__SYNC_SEEN(p) (*(const volatile uint32_t *)(p))
#define CHANRT__SYNC_CLEAR(p) (*(volatile uint32_t *)(p) = 0)
#define CHANRT__SYNC_COUNT(p) (++*(volatile uint32_t *)(p))
#define chanrt_x_sync_look(p) CHANRT__SYNC_SEEN(p)
#else
static inline bool chanrt_x_sync_swap(uint32_t *p, uint32_t from, uint32_t to) {
    return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline uint32_t chanrt_x_sync_look(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

// Takes a free word, before anything that is looked at AGAIN after it.
static inline bool chanrt_x_sync_claim(uint32_t *p, uint32_t to) {
    uint32_t from = 0;
    return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
#define CHANRT__SYNC_AGAIN(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define CHANRT__SYNC_SEEN(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define CHANRT__SYNC_CLEAR(p)                   \
    (__atomic_store_n((p), 0, __ATOMIC_RELEASE), \
     __atomic_signal_fence(__ATOMIC_SEQ_CST))
#define CHANRT__SYNC_COUNT(p) \
    __atomic_store_n((p), __atomic_load_n((p), __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED)
#endif

// Hides where a pointer comes from: seeing it compared with NULL, gcc would warn of what the
// program does with the object around it.
#define CHANRT__SYNC_HIDE(p) __asm__("" : "+r"(p))

// Keeps the quick way free of jumps: with five taken ones a pair of a rwmutex takes 3.4 or 7.4 ns,
// as the processor happens to predict them, without 3.3 (EPYC).
#define CHANRT__LIKELY(x) __builtin_expect(!!(x), 1)

// The place of an object's address among the lots.
static inline uint32_t chanrt_x_sync_lot(const void *object) {
    return ((uint32_t)((uintptr_t)object >> 4) * 2654435769u) >> 24;
}

static inline int chanrt_sync_mutex_lock_timeout(chanrt_sync_mutex *m, int64_t ns) {
    CHANRT__SYNC_HIDE(m);
    if (CHANRT__LIKELY(!CHANRT_DEBUG && m != NULL && chanrt_x_sync_look(&chanrt_x_drawn) == 0 &&
                       chanrt_x_sync_swap(&m->a_state, 0, CHANRT_X_LOCKED)))
        return 0;
    return chanrt_x_mutex_lock(m, ns);
}

static inline int chanrt_sync_mutex_lock(chanrt_sync_mutex *m) {
    return chanrt_sync_mutex_lock_timeout(m, -1);
}

static inline int chanrt_sync_mutex_trylock(chanrt_sync_mutex *m) {
    int err = chanrt_sync_mutex_lock_timeout(m, 0);
    return err == ETIMEDOUT ? EAGAIN : err;
}

static inline int chanrt_sync_mutex_unlock(chanrt_sync_mutex *m) {
    CHANRT__SYNC_HIDE(m);
    const uint32_t *quiet = &chanrt_x_sync_quiet[chanrt_x_sync_lot(m)];
    if (!CHANRT__LIKELY(!CHANRT_DEBUG && m != NULL &&
                        chanrt_x_sync_look(&m->a_state) == CHANRT_X_LOCKED &&
                        chanrt_x_sync_look(quiet) != 0))
        return chanrt_x_mutex_unlock(m);
    CHANRT__SYNC_CLEAR(&m->a_state);
    // Somebody else may lock, unlock and free it from here on.
    return CHANRT__LIKELY(chanrt_x_sync_look(quiet) != 0) ? 0 : chanrt_x_mutex_wake(m);
}

// Has rw, which is not shared, to itself, for reading or writing. Counting that costs nothing here,
// in the shadow of the locked instruction; where a_alone becomes 0 it took a tenth of the pair.
static inline bool chanrt_x_rwmutex_alone(chanrt_sync_rwmutex *rw, uint32_t how) {
    if (!CHANRT__LIKELY(chanrt_x_sync_claim(&rw->a_alone, how))) return false;
    CHANRT__SYNC_COUNT(&rw->a_had);
    if (CHANRT__LIKELY(CHANRT__SYNC_AGAIN(&rw->a_state) == 0)) return true;
    chanrt_x_rwmutex_back(rw); // it was shared, or about to be
    return false;
}

// Leaves rw, if it has it to itself. False: it has not, or others are there.
static inline bool chanrt_x_rwmutex_leave(chanrt_sync_rwmutex *rw, uint32_t how, uint32_t state) {
    const uint32_t *quiet = &chanrt_x_sync_quiet[chanrt_x_sync_lot(rw)];
    if (!CHANRT__LIKELY(state == 0 && chanrt_x_sync_look(&rw->a_alone) == how)) return false;
    CHANRT__SYNC_CLEAR(&rw->a_alone);
    // Somebody else may lock, unlock and free it from here on.
    if (!CHANRT__LIKELY(chanrt_x_sync_look(quiet) != 0)) chanrt_x_rwmutex_left(rw);
    return true;
}

static inline int chanrt_sync_rwmutex_rlock_timeout(chanrt_sync_rwmutex *rw, int64_t ns) {
    CHANRT__SYNC_HIDE(rw);
    if (CHANRT__LIKELY(!CHANRT_DEBUG && rw != NULL && chanrt_x_sync_look(&chanrt_x_drawn) == 0)) {
        uint32_t s = chanrt_x_sync_look(&rw->a_state);
        if (CHANRT__LIKELY(s == 0)) {
            if (chanrt_x_rwmutex_alone(rw, CHANRT_X_READER)) return 0;
        } else if ((s & (CHANRT_X_LOCKED | CHANRT_X_QUEUED)) == 0 &&
                   chanrt_x_sync_swap(&rw->a_state, s, s + CHANRT_X_READER)) {
            return 0;
        }
    }
    return chanrt_x_rwmutex_rlock(rw, ns);
}

static inline int chanrt_sync_rwmutex_rlock(chanrt_sync_rwmutex *rw) {
    return chanrt_sync_rwmutex_rlock_timeout(rw, -1);
}

static inline int chanrt_sync_rwmutex_tryrlock(chanrt_sync_rwmutex *rw) {
    int err = chanrt_sync_rwmutex_rlock_timeout(rw, 0);
    return err == ETIMEDOUT ? EAGAIN : err;
}

static inline int chanrt_sync_rwmutex_runlock(chanrt_sync_rwmutex *rw) {
    CHANRT__SYNC_HIDE(rw);
    if (CHANRT__LIKELY(!CHANRT_DEBUG && rw != NULL)) {
        uint32_t s = chanrt_x_sync_look(&rw->a_state);
        if (chanrt_x_rwmutex_leave(rw, CHANRT_X_READER, s)) return 0;
        if (s == (CHANRT_X_SHARED | CHANRT_X_READER) &&
            chanrt_x_sync_look(&rw->a_bears) != 0 &&
            chanrt_x_sync_swap(&rw->a_state, s, CHANRT_X_SHARED))
            return 0;
    }
    return chanrt_x_rwmutex_runlock(rw);
}

static inline int chanrt_sync_rwmutex_lock_timeout(chanrt_sync_rwmutex *rw, int64_t ns) {
    CHANRT__SYNC_HIDE(rw);
    if (CHANRT__LIKELY(!CHANRT_DEBUG && rw != NULL && chanrt_x_sync_look(&chanrt_x_drawn) == 0)) {
        uint32_t s = chanrt_x_sync_look(&rw->a_state);
        if (CHANRT__LIKELY(s == 0)) {
            if (chanrt_x_rwmutex_alone(rw, CHANRT_X_LOCKED)) return 0;
        } else if (s == CHANRT_X_SHARED &&
                   chanrt_x_sync_swap(&rw->a_state, s, s | CHANRT_X_LOCKED)) {
            return 0;
        }
    }
    return chanrt_x_rwmutex_lock(rw, ns);
}

static inline int chanrt_sync_rwmutex_lock(chanrt_sync_rwmutex *rw) {
    return chanrt_sync_rwmutex_lock_timeout(rw, -1);
}

static inline int chanrt_sync_rwmutex_trylock(chanrt_sync_rwmutex *rw) {
    int err = chanrt_sync_rwmutex_lock_timeout(rw, 0);
    return err == ETIMEDOUT ? EAGAIN : err;
}

static inline int chanrt_sync_rwmutex_unlock(chanrt_sync_rwmutex *rw) {
    CHANRT__SYNC_HIDE(rw);
    if (!CHANRT_DEBUG && rw != NULL) {
        uint32_t s = chanrt_x_sync_look(&rw->a_state);
        if (chanrt_x_rwmutex_leave(rw, CHANRT_X_LOCKED, s)) return 0;
        if (s == (CHANRT_X_SHARED | CHANRT_X_LOCKED) &&
            chanrt_x_sync_look(&rw->a_bears) != 0 &&
            chanrt_x_sync_swap(&rw->a_state, s, CHANRT_X_SHARED))
            return 0;
    }
    return chanrt_x_rwmutex_unlock(rw);
}

static inline int chanrt_sync_once_do(chanrt_sync_once *o, void (*fn)(void *), void *arg) {
    CHANRT__SYNC_HIDE(o);
    if (o != NULL && fn != NULL &&
        CHANRT__SYNC_SEEN(&o->a_state) == CHANRT_X_ONCE_DONE)
        return 0;
    return chanrt_x_once_do(o, fn, arg);
}

// The semaphore's word: twice the free units, and 1 while somebody waits.
static inline int chanrt_sync_sem_acquire_timeout(chanrt_sync_sem *s, int k, int64_t ns) {
    CHANRT__SYNC_HIDE(s);
    uint32_t old = s != NULL ? chanrt_x_sync_look(&s->a_state) : 1;
    if (CHANRT__LIKELY(k > 0 && (old & 1) == 0 && (uint32_t)k <= old >> 1 &&
                       chanrt_x_sync_look(&chanrt_x_drawn) == 0 &&
                       chanrt_x_sync_swap(&s->a_state, old, old - 2 * (uint32_t)k)))
        return 0;
    return chanrt_x_sem_acquire(s, k, ns);
}

static inline int chanrt_sync_sem_acquire(chanrt_sync_sem *s, int k) {
    return chanrt_sync_sem_acquire_timeout(s, k, -1);
}

static inline int chanrt_sync_sem_tryacquire(chanrt_sync_sem *s, int k) {
    int err = chanrt_sync_sem_acquire_timeout(s, k, 0);
    return err == ETIMEDOUT ? EAGAIN : err;
}

static inline int chanrt_sync_sem_release(chanrt_sync_sem *s, int k) {
    CHANRT__SYNC_HIDE(s);
    uint32_t old = s != NULL ? chanrt_x_sync_look(&s->a_state) : 1;
    if (CHANRT__LIKELY(k > 0 && (old & 1) == 0 &&
                       (uint32_t)k <= (uint32_t)s->x_size - (old >> 1) &&
                       chanrt_x_sync_swap(&s->a_state, old, old + 2 * (uint32_t)k)))
        return 0;
    return chanrt_x_sem_release(s, k);
}

// In a debug build these note their place. The implementation goes round the macros.
#if CHANRT_DEBUG
#define chanrt_sync_mutex_lock(m) (CHANRT__NOTE("sync_mutex_lock"), chanrt_sync_mutex_lock(m))
#define chanrt_sync_mutex_trylock(m) \
    (CHANRT__NOTE("sync_mutex_trylock"), chanrt_sync_mutex_trylock(m))
#define chanrt_sync_mutex_lock_timeout(m, ns) \
    (CHANRT__NOTE("sync_mutex_lock_timeout"), chanrt_sync_mutex_lock_timeout(m, ns))
#define chanrt_sync_mutex_unlock(m) \
    (CHANRT__NOTE("sync_mutex_unlock"), chanrt_sync_mutex_unlock(m))
#define chanrt_sync_rwmutex_rlock(rw) \
    (CHANRT__NOTE("sync_rwmutex_rlock"), chanrt_sync_rwmutex_rlock(rw))
#define chanrt_sync_rwmutex_tryrlock(rw) \
    (CHANRT__NOTE("sync_rwmutex_tryrlock"), chanrt_sync_rwmutex_tryrlock(rw))
#define chanrt_sync_rwmutex_rlock_timeout(rw, ns) \
    (CHANRT__NOTE("sync_rwmutex_rlock_timeout"), chanrt_sync_rwmutex_rlock_timeout(rw, ns))
#define chanrt_sync_rwmutex_runlock(rw) \
    (CHANRT__NOTE("sync_rwmutex_runlock"), chanrt_sync_rwmutex_runlock(rw))
#define chanrt_sync_rwmutex_lock(rw) \
    (CHANRT__NOTE("sync_rwmutex_lock"), chanrt_sync_rwmutex_lock(rw))
#define chanrt_sync_rwmutex_trylock(rw) \
    (CHANRT__NOTE("sync_rwmutex_trylock"), chanrt_sync_rwmutex_trylock(rw))
#define chanrt_sync_rwmutex_lock_timeout(rw, ns) \
    (CHANRT__NOTE("sync_rwmutex_lock_timeout"), chanrt_sync_rwmutex_lock_timeout(rw, ns))
#define chanrt_sync_rwmutex_unlock(rw) \
    (CHANRT__NOTE("sync_rwmutex_unlock"), chanrt_sync_rwmutex_unlock(rw))
#define chanrt_sync_cond_wait(c, m) \
    (CHANRT__NOTE("sync_cond_wait"), chanrt_sync_cond_wait(c, m))
#define chanrt_sync_cond_wait_timeout(c, m, ns) \
    (CHANRT__NOTE("sync_cond_wait_timeout"), chanrt_sync_cond_wait_timeout(c, m, ns))
#define chanrt_sync_once_do(o, fn, arg) \
    (CHANRT__NOTE("sync_once_do"), chanrt_sync_once_do(o, fn, arg))
#define chanrt_sync_sem_acquire(s, k) \
    (CHANRT__NOTE("sync_sem_acquire"), chanrt_sync_sem_acquire(s, k))
#define chanrt_sync_sem_acquire_timeout(s, k, ns) \
    (CHANRT__NOTE("sync_sem_acquire_timeout"), chanrt_sync_sem_acquire_timeout(s, k, ns))
#endif

//------------------------------------------------------------------------------
// >>api-ctx    Contexts: when to stop and why, for everything below.
//------------------------------------------------------------------------------

// chanrt_ctx_background is the root of all contexts: never cancelled, without deadline or values,
// never freed. The others make a child of parent, which is cancelled with it: with_cancel; with a
// deadline ns from now (< 0: none of its own) or at an instant of chanrt_now, unless the parent's
// is earlier; with a value under key, an address that is compared and not looked at. Every context
// can be cancelled. A child of a cancelled parent is born cancelled, with its error and cause.
// Returns: NULL: out of memory, the pool could not be started (for a deadline), parent or key is
// NULL. To be freed by ctx_free. No pool is needed but for deadlines and ctx_after_func.
CHANRT_API chanrt_task_ctx *chanrt_ctx_background(void);
CHANRT_API chanrt_task_ctx *chanrt_ctx_with_cancel(chanrt_task_ctx *parent);
CHANRT_API chanrt_task_ctx *chanrt_ctx_with_timeout(chanrt_task_ctx *parent, int64_t ns);
CHANRT_API chanrt_task_ctx *chanrt_ctx_with_deadline(chanrt_task_ctx *parent, int64_t t);
CHANRT_API chanrt_task_ctx *chanrt_ctx_with_value(chanrt_task_ctx *parent, const void *key,
                                                  void *value);

// chanrt_ctx_value is the value under key of the nearest context upwards that has one, else NULL.
CHANRT_API void *chanrt_ctx_value(chanrt_task_ctx *c, const void *key);

// chanrt_ctx_cancel cancels c and everything below it, never what is above. The first cancellation
// stays: later ones change nothing. chanrt_ctx_cancel_cause gives a cause of the program's own (0:
// none, as ctx_cancel). Neither blocks or fails; NULL and the background are left alone.
// Order: when it returns all below is cancelled, by whomever; what its first caller did before
// happens before ctx_err is seen, and ctx_done's end is received.
CHANRT_API void chanrt_ctx_cancel(chanrt_task_ctx *c);
CHANRT_API void chanrt_ctx_cancel_cause(chanrt_task_ctx *c, int err);

// chanrt_ctx_done is a channel that is closed when c is cancelled; nothing is ever sent. It belongs
// to c (chan_ref it to keep it longer). NULL for the background and for NULL: never ready.
// Order: once its end is seen ctx_err is set, and the other way round.
CHANRT_API chanrt_chan_receiver(char) chanrt_ctx_done(chanrt_task_ctx *c);

// chanrt_ctx_err is 0 until c is cancelled, then for ever ECANCELED, or ETIMEDOUT when a deadline
// did it. chanrt_ctx_cause is the cause given by whoever cancelled it, here or above; without one
// the same as ctx_err. EINVAL for NULL.
CHANRT_API int chanrt_ctx_err(chanrt_task_ctx *c);
CHANRT_API int chanrt_ctx_cause(chanrt_task_ctx *c);

// chanrt_ctx_after_func: fn(arg) runs as a task once c is cancelled, at once if it is.
// Returns: a handle; 0: out of memory, the pool could not be started, c or fn is NULL.
// chanrt_ctx_after_stop: true: fn will not run; false: it runs, has run, or was stopped before.
// It does not wait for fn. A shutdown of the runtime forgets what has not started.
CHANRT_API uint64_t chanrt_ctx_after_func(chanrt_task_ctx *c, void (*fn)(void *), void *arg);
CHANRT_API bool chanrt_ctx_after_stop(chanrt_task_ctx *c, uint64_t handle);

// chanrt_ctx_deadline: true, and *t is the earliest deadline of c and those above it; false: there
// is none, and *t is as before. t may be NULL.
CHANRT_API bool chanrt_ctx_deadline(chanrt_task_ctx *c, int64_t *t);

// chanrt_ctx_free cancels c, and gives it up; its children may be freed before or after. The other
// calls may be made by many at once; this one ends them for this context. NULL is fine.
CHANRT_API void chanrt_ctx_free(chanrt_task_ctx *c);

// In a debug build these note their place.
#if CHANRT_DEBUG
#define chanrt_ctx_with_cancel(parent) \
    (CHANRT__NOTE("ctx_with_cancel"), chanrt_ctx_with_cancel(parent))
#define chanrt_ctx_with_timeout(parent, ns) \
    (CHANRT__NOTE("ctx_with_timeout"), chanrt_ctx_with_timeout(parent, ns))
#define chanrt_ctx_with_deadline(parent, t) \
    (CHANRT__NOTE("ctx_with_deadline"), chanrt_ctx_with_deadline(parent, t))
#define chanrt_ctx_with_value(parent, key, value) \
    (CHANRT__NOTE("ctx_with_value"), chanrt_ctx_with_value(parent, key, value))
#endif

//------------------------------------------------------------------------------
// >>api-group    Groups: tasks that return errors, and the first one that does.
//------------------------------------------------------------------------------

// chanrt_group_init makes a group whose tasks share a context below ctx (NULL: the background):
// it is cancelled when a task fails, that error being the cause, and when the group is waited for.
// Returns: 0, ENOMEM, EINVAL (g is NULL).
CHANRT_API int chanrt_group_init(chanrt_task_group *g, chanrt_task_ctx *ctx);

// chanrt_group_ctx is that context; it belongs to the group. NULL before init and after wait.
CHANRT_API chanrt_task_ctx *chanrt_group_ctx(chanrt_task_group *g);

// chanrt_group_limit lets at most n tasks run at a time; 0: none, < 0: any number.
// Returns: 0; EBUSY: tasks are running; EINVAL: g is not a group, or has been waited for.
CHANRT_API int chanrt_group_limit(chanrt_task_group *g, int n);

// chanrt_group_go(g, task, args...) spawns a TASK_ERR in the group. Its result, when not 0, is an
// error; a task that ends by task_exit has none. Arguments are evaluated once, also when there is
// no room. A cancelled group still starts what it is given: tasks look at the context.
// Blocks: while the group is at its limit, first come, first served; try: EAGAIN instead.
// Order: the end of a task happens before the start of the one that gets its place.
// Returns: what chanrt_go returns; EINVAL: g is not a group, or has been waited for.
#define chanrt_group_go(g, ...) \
    CHANRT__GROUP_GO(__COUNTER__, chanrt_x_group_begin, g, __VA_ARGS__)
#define chanrt_group_try_go(g, ...) \
    CHANRT__GROUP_GO(__COUNTER__, chanrt_x_group_try_begin, g, __VA_ARGS__)

// chanrt_group_wait waits until no task of the group is left, and releases what the group holds;
// group_init makes it new. Whoever still blocks in group_go then gets EINVAL.
// Returns: the first error of a task, else 0; several that wait get the same; EINVAL as above.
// Order: everything the tasks did happens before it returns.
CHANRT_API int chanrt_group_wait(chanrt_task_group *g);

#define CHANRT__GROUP_GO(id, begins, g, ...)                                                \
    __extension__({                                                                         \
        chanrt_task_group *CHANRT__CAT(chanrt__g, id) = (g);                                \
        const chanrt_x_how CHANRT__CAT(chanrt__how, id) = {                                 \
            NULL, chanrt_x_group_end, CHANRT__CAT(chanrt__g, id), begins                    \
        };                                                                                  \
        CHANRT__GO_ERR(id, &CHANRT__CAT(chanrt__how, id), __VA_ARGS__);                     \
    })
#ifdef __cplusplus
#define CHANRT__GO_ERR(id, how, ...) \
    chanrt_x_go_err(CHANRT__HERE(__VA_ARGS__, ~), how, __VA_ARGS__)
#else
#define CHANRT__GO_ERR(id, how, ...)                                                        \
    __extension__({                                                                         \
        CHANRT__CAT(CHANRT__IS_ERR_, CHANRT__ONE(__VA_ARGS__))(__VA_ARGS__);                \
        CHANRT__GO(id, how, __VA_ARGS__);                                                   \
    })
#define CHANRT__IS_ERR_one(name) CHANRT__IS_ERR(name(), #name)
#define CHANRT__IS_ERR_more(name, ...) CHANRT__IS_ERR(name(__VA_ARGS__), #name)
#define CHANRT__IS_ERR(call, name)                                     \
    CHANRT__CHECK(__builtin_types_compatible_p(__typeof__(call), int), \
                  "group_go: " name " is not a TASK_ERR: it must return int")
#endif
CHANRT_API int chanrt_x_group_begin(void *g);
CHANRT_API int chanrt_x_group_try_begin(void *g);
CHANRT_API void chanrt_x_group_end(void *g, int result);
#if CHANRT_DEBUG
#define chanrt_group_init(g, ctx) (CHANRT__NOTE("group_init"), chanrt_group_init(g, ctx))
#endif

//------------------------------------------------------------------------------
// >>api-io    Input, output, calls that block, signals.
//------------------------------------------------------------------------------

// Descriptors: sockets, pipes, terminals, whatever poll(2) can wait for. Only the task waits; an
// ordinary thread blocks. Several may wait for one descriptor, one to read and one to write or
// many at a time; what makes it ready wakes all of them, and each looks again. Close descriptors
// with chanrt_io_close: after close(2) whoever waits goes on waiting, and when the number comes
// again the first wait on it can take 50 ms longer, once in the life of the process.
// Windows: nothing here but chanrt_task_blocking and chanrt_io_resolve. The other calls give
// ENOSYS, chanrt_chan_signal NULL.
enum { CHANRT_IO_READ = 1, CHANRT_IO_WRITE = 2 };
struct sockaddr;
struct addrinfo;
typedef unsigned int chanrt_socklen; // socklen_t, without its header

// chanrt_io_wait waits until fd can be read or written without blocking, whichever of the events
// asked for (CHANRT_IO_READ, CHANRT_IO_WRITE, or both) comes first. The other side's end and
// errors count as both; a file is always ready.
// Blocks: up to timeout ns; < 0: for ever; 0: not at all.
// Returns: 0, ETIMEDOUT, EBADF, ECANCELED (chanrt_io_close meanwhile), EINVAL; ENOMEM, EMFILE or
// ENOSPC when the kernel cannot watch one more.
CHANRT_API int chanrt_io_wait(int fd, int events, int64_t timeout);

// chanrt_on_io(fd, events) is a case of chanrt_chan_select that is ready when the descriptor is, as
// for chanrt_io_wait. Inside its body chanrt_select_err() is 0, or what chanrt_io_wait would have
// returned. So every wait can have a limit, or end with a context:
//     chan_select { on_io(fd, IO_READ) { } on_recv(ctx_done(c), NULL) { } on_timeout(ns) { } }
// chanrt_case_io(fd, event) is the case for chanrt_chan_select_n, of one direction.
#define chanrt_on_io(fd, events)                                                        \
    if (!(chanrt__select.running ? chanrt_x_select_hit(&chanrt__select)                 \
                                 : chanrt_x_select_io(&chanrt__select, (fd), (events)))) { \
    } else
static inline int chanrt_x_select_io(struct chanrt_x_select *s, int fd, int events) {
    int place = s->place;
    s->io = true;
    void *number = (void *)(intptr_t)fd;
    if (events & CHANRT_IO_READ) chanrt_x_select_add(s, NULL, number, CHANRT_X_IO_READ);
    s->place = place;
    if (events & CHANRT_IO_WRITE) chanrt_x_select_add(s, NULL, number, CHANRT_X_IO_WRITE);
    s->place = place + 1;
    return 0;
}
static inline chanrt_chan_case chanrt_case_io(int fd, int event) {
    return chanrt_x_case(NULL, (const void *)(intptr_t)fd,
                         event == CHANRT_IO_READ ? CHANRT_X_IO_READ : CHANRT_X_IO_WRITE);
}

// chanrt_io_read, _write, _accept and _connect do what their namesakes in POSIX do and return
// what they return, -1 with errno set for an error; ECANCELED when chanrt_io_close closed fd
// meanwhile. Calls that signals interrupt are made again.
// Blocks: until something could be read or written; io_write may write less than n.
// A task whose calls never have to wait yields after 16 of them.
// A socket need not be non-blocking and raises no SIGPIPE; accept and connect make it
// non-blocking, and accepted sockets are non-blocking and close-on-exec. Pipes and terminals that
// are blocking stay so and are asked first. Files go to a helper thread, as chanrt_task_blocking.
CHANRT_API ssize_t chanrt_io_read(int fd, void *buf, size_t n);
CHANRT_API ssize_t chanrt_io_write(int fd, const void *buf, size_t n);
CHANRT_API int chanrt_io_accept(int fd, struct sockaddr *addr, chanrt_socklen *len);
CHANRT_API int chanrt_io_connect(int fd, const struct sockaddr *addr, chanrt_socklen len);

// The same with a limit: -1 and ETIMEDOUT after ns; 0: not waiting at all; < 0: for ever.
CHANRT_API ssize_t chanrt_io_read_timeout(int fd, void *buf, size_t n, int64_t ns);
CHANRT_API ssize_t chanrt_io_write_timeout(int fd, const void *buf, size_t n, int64_t ns);
CHANRT_API int chanrt_io_accept_timeout(int fd, struct sockaddr *addr, chanrt_socklen *len,
                                        int64_t ns);
CHANRT_API int chanrt_io_connect_timeout(int fd, const struct sockaddr *addr, chanrt_socklen len,
                                         int64_t ns);

// chanrt_io_write_all writes all n bytes, however many calls that takes, within ns altogether.
// Returns: n, or -1 with errno set; how much of it was written is then not known.
CHANRT_API ssize_t chanrt_io_write_all(int fd, const void *buf, size_t n, int64_t ns);

// chanrt_io_close closes fd; whoever waits for it gets ECANCELED.
// Returns: 0, or EBADF, EIO and the like as close(2) sets them.
CHANRT_API int chanrt_io_close(int fd);

// chanrt_task_blocking runs fn(arg), which may block in the kernel, on a helper thread, and returns
// when it has returned; the task waits, its worker does not. On an ordinary thread it is a call.
// There are at most CHANRT_HELPERS (64) helpers; when all are busy the call waits for one. They
// end after ten idle seconds. A shutdown waits for calls that run.
// Returns: 0; EINVAL for NULL; EAGAIN, ENOMEM: there is no helper and none could be had.
// Order: fn sees what the caller did before, and the caller what fn did.
CHANRT_API int chanrt_task_blocking(void (*fn)(void *), void *arg);

// chanrt_chan_signal makes a channel that receives the number of a signal each time the process
// gets it, instead of what the signal would do. It holds 8; a reader slower than that loses
// some. Several channels for one signal get it each. chanrt_chan_free ends that, and with the
// last channel for a signal its earlier action is back, as it is after a shutdown.
// On Linux a signal to the process that every thread blocks is received as well, and one that a
// task raises, or a function called by chanrt_task_blocking.
// Returns: NULL when the signal cannot be caught (SIGKILL, SIGSTOP), or tells of a fault of the
// program's own (SIGSEGV, SIGBUS, SIGFPE, SIGILL), or there is no memory or no descriptor.
CHANRT_API chanrt_chan_receiver(int) chanrt_chan_signal(int sig);

// chanrt_io_resolve(host, service, hints, &list) is getaddrinfo(3) on a helper thread, and returns
// what it returns (EAI_AGAIN without a helper). Include <netdb.h> where it is used.
#define chanrt_io_resolve(host, service, hints, list) \
    chanrt_x_io_resolve(getaddrinfo, EAI_AGAIN, host, service, hints, list)
typedef int chanrt_x_resolver(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);
CHANRT_API int chanrt_x_io_resolve(chanrt_x_resolver *fn, int again, const char *host,
                                   const char *service, const struct addrinfo *hints,
                                   struct addrinfo **list);

#ifdef __cplusplus
}
#endif

//------------------------------------------------------------------------------
// >>api-cxx    C++11 and later: callables as tasks, exceptions, a channel that frees itself.
//------------------------------------------------------------------------------
#ifdef __cplusplus

// In C++ chanrt_go (go, chanrt::go, go_opt, wg_go, group_go) takes any function with its arguments,
// and any callable without: a lambda with what it captures. Arguments and captures are moved into
// the task, and destroyed at its end; what lambdas refer to must outlive it.
//   - A task may block while it handles an exception or unwinds: what is caught goes along when
//     it moves to another worker.
//   - An exception that leaves a task calls std::terminate, after a line with the task's name.
//   - task_exit ends a task without running destructors; the exceptions it handles are freed, one
//     that is still on its way to a handler (in a destructor) is not.
//   - A channel's element must be trivially copyable.
//
// chanrt::channel<T> is a channel that counts its references: made with one, one more per copy.
// It converts to chan(T) and its views; get() is the channel for chan_select and the like.
// Methods return what their functions do; `for (T v : ch)` receives until closed.

#ifdef _WIN32 // where no name is weak, the runtime is told where exceptions are kept
extern "C" void *(*chanrt_x_exceptions)(bool end_catch);
#endif

namespace chanrt {
namespace x {

#ifdef _WIN32
__attribute__((unused)) static const bool told =
    (chanrt_x_exceptions = [](bool end_catch) -> void * {
        if (end_catch) abi::__cxa_end_catch();
        return abi::__cxa_get_globals();
    }, true);
#endif

template <class C> struct view_of { static constexpr bool sends = false, receives = false; };
template <class T> struct view_of<T (**)(struct chanrt_x_tag *)> {
    static constexpr bool sends = true, receives = true;
};
template <class T> struct view_of<T (*const *)(struct chanrt_x_tag *)> {
    static constexpr bool sends = false, receives = true;
};
template <class T> struct view_of<T (*volatile *)(struct chanrt_x_tag *)> {
    static constexpr bool sends = true, receives = false;
};
template <class C>
struct view : view_of<typename std::remove_cv<typename std::remove_reference<C>::type>::type> {};

template <class T> chanrt_chan(T) make(size_t cap) {
    CHANRT__BYTES(T, "chan_make");
    return (chanrt_chan(T))chanrt_x_chan_make(sizeof(T), alignof(T), cap);
}

// A function's result for whoever waits for the task: an int, or 0.
template <class R> struct result {
    template <class F, class... A> static int of(F &f, A &&...a) {
        return (void)f(std::forward<A>(a)...), 0;
    }
};
template <> struct result<int> {
    template <class F, class... A> static int of(F &f, A &&...a) {
        return f(std::forward<A>(a)...);
    }
};

// Arguments side by side; trivially copyable when they are, which std::tuple is not.
template <class... T> struct pack {
    template <class R, class F, class... A> int call(F &f, A &&...a) {
        return result<R>::of(f, std::forward<A>(a)...);
    }
};
template <class H, class... T> struct pack<H, T...> {
    H head;
    pack<T...> tail;
    template <class A, class... B>
    explicit pack(A &&a, B &&...b) : head(std::forward<A>(a)), tail(std::forward<B>(b)...) {}
    template <class R, class F, class... A> int call(F &f, A &&...a) {
        return tail.template call<R>(f, std::forward<A>(a)..., std::move(head));
    }
};

template <class R, class... P> struct bound {
    R (*f)(P...);
    pack<typename std::decay<P>::type...> args;
    int operator()() { return args.template call<R>(f); }
};
template <class F> struct callable {
    F f;
    int operator()() { return result<decltype(f())>::of(f); }
};

template <class Call> int run(Call &call) {
#ifdef __cpp_exceptions
    try {
        return call();
    } catch (...) {
        chanrt_x_uncaught();
        std::terminate();
    }
#else
    return call();
#endif
}

// What a task is entered with: the call itself, or where it lies.
template <class Call> int enter(void *p) {
    Call call = *(Call *)p;
    return run(call);
}
template <class Call> int enter_far(void *p) {
    Call *call = *(Call **)p;
    int n = run(*call);
    delete call;
    return n;
}

template <class Call>
int spawn(const chanrt_x_site *site, const chanrt_x_how *how, Call &&call, std::true_type) {
    return chanrt_x_spawn(site, how, enter<Call>, &call, sizeof call, alignof(Call));
}
template <class Call>
int spawn(const chanrt_x_site *site, const chanrt_x_how *how, Call &&call, std::false_type) {
    Call *moved = new (std::nothrow) Call(std::move(call));
    if (moved == nullptr) return ENOMEM;
    int err = chanrt_x_spawn(site, how, enter_far<Call>, &moved, sizeof moved, alignof(Call *));
    if (err != 0) delete moved;
    return err;
}

template <class T> struct same { using type = T; };

} // namespace x

// Arguments are converted as in a call, so braces work.
template <class R, class... P>
int chanrt_x_go(const chanrt_x_site *site, const chanrt_x_how *how, R (*f)(P...),
                typename x::same<P>::type... args) {
    using Call = x::bound<R, P...>;
    using Args = x::pack<typename std::decay<P>::type...>;
    return x::spawn<Call>(site, how, Call{ f, Args(std::forward<P>(args)...) },
                          std::is_trivially_copyable<Call>());
}

template <class F, class D = typename std::decay<F>::type>
typename std::enable_if<!std::is_pointer<D>::value, int>::type
chanrt_x_go(const chanrt_x_site *site, const chanrt_x_how *how, F &&f) {
    using Call = x::callable<D>;
    return x::spawn<Call>(site, how, Call{ std::forward<F>(f) },
                          std::is_trivially_copyable<Call>());
}

// For group_go: only what returns int.
template <class R, class... P>
int chanrt_x_go_err(const chanrt_x_site *site, const chanrt_x_how *how, R (*f)(P...),
                    typename x::same<P>::type... args) {
    static_assert(std::is_same<R, int>::value, "group_go: not a TASK_ERR: it must return int");
    return chanrt_x_go(site, how, f, std::forward<P>(args)...);
}

template <class F, class D = typename std::decay<F>::type>
typename std::enable_if<!std::is_pointer<D>::value, int>::type
chanrt_x_go_err(const chanrt_x_site *site, const chanrt_x_how *how, F &&f) {
    static_assert(std::is_same<decltype(std::declval<D &>()()), int>::value,
                  "group_go: the callable must return int");
    return chanrt_x_go(site, how, std::forward<F>(f));
}

// chanrt::go without the macro, for CHANRT_NO_SHORT_NAMES.
template <class F>
int go(F &&f, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    static const chanrt_x_site site = { "lambda", file, line };
    return chanrt_x_go(&site, nullptr, std::forward<F>(f));
}

template <class T> class channel {
    using raw = chanrt_chan(T);
    raw ch;

  public:
    explicit channel(size_t cap = 0) : ch(x::make<T>(cap)) {
#ifdef __cpp_exceptions
        if (ch == nullptr) throw std::bad_alloc();
#endif
    }
    channel(const channel &o) : ch((raw)chanrt_x_chan_ref(o.ch)) {}
    channel(channel &&o) noexcept : ch(o.ch) { o.ch = nullptr; }
    channel &operator=(channel o) noexcept {
        std::swap(ch, o.ch);
        return *this;
    }
    ~channel() { chanrt_x_chan_free(ch); }

    raw get() const { return ch; }
    operator raw() const { return ch; }
    int send(const T &v) const { return chanrt_x_chan_send(ch, &v); }
    int try_send(const T &v) const { return chanrt_x_chan_try_send(ch, &v); }
    int recv(T *v) const { return chanrt_x_chan_recv(ch, v); }
    int try_recv(T *v) const { return chanrt_x_chan_try_recv(ch, v); }
    int close() const { return chanrt_x_chan_close(ch); }

    class iterator {
        raw ch;
        T value;
        bool more;

      public:
        explicit iterator(raw c)
            : ch(c), value(), more(c != nullptr && chanrt_x_chan_recv(c, &value) == 0) {}
        const T &operator*() const { return value; }
        iterator &operator++() {
            more = chanrt_x_chan_recv(ch, &value) == 0;
            return *this;
        }
        bool operator!=(const iterator &) const { return more; }
    };
    iterator begin() const { return iterator(ch); }
    iterator end() const { return iterator(nullptr); }
};

} // namespace chanrt
using chanrt::chanrt_x_go;
using chanrt::chanrt_x_go_err;
#endif

//------------------------------------------------------------------------------
// >>short-names
//------------------------------------------------------------------------------
#ifndef CHANRT_NO_SHORT_NAMES
#define TASK(...) CHANRT_TASK(__VA_ARGS__)
#define TASK_ERR(...) CHANRT_TASK_ERR(__VA_ARGS__)
#define TASK_EXTERN(...) CHANRT_TASK_EXTERN(__VA_ARGS__)
#define TASK_DECLARE(...) CHANRT_TASK_DECLARE(__VA_ARGS__)
#define go(...) chanrt_go(__VA_ARGS__)
#define go_opt(...) chanrt_go_opt(__VA_ARGS__)
#define go_fn(fn, arg) chanrt_go_fn(fn, arg)
#define task_options chanrt_task_options
#define task_yield chanrt_task_yield
#define task_sleep chanrt_task_sleep
#define task_exit chanrt_task_exit
#define task_id chanrt_task_id
#define task_name chanrt_task_name
#define chan(T) chanrt_chan(T)
#define chan_receiver(T) chanrt_chan_receiver(T)
#define chan_sender(T) chanrt_chan_sender(T)
#define chan_make(T, cap) chanrt_chan_make(T, cap)
#define chan_send(ch, ...) chanrt_chan_send(ch, __VA_ARGS__)
#define chan_try_send(ch, ...) chanrt_chan_try_send(ch, __VA_ARGS__)
#define chan_send_timeout(ch, value, ns) chanrt_chan_send_timeout(ch, value, ns)
#define chan_recv(ch, ptr) chanrt_chan_recv(ch, ptr)
#define chan_try_recv(ch, ptr) chanrt_chan_try_recv(ch, ptr)
#define chan_recv_timeout(ch, ptr, ns) chanrt_chan_recv_timeout(ch, ptr, ns)
#define chan_get(ch) chanrt_chan_get(ch)
#define chan_range(T, v, ch) chanrt_chan_range(T, v, ch)
#define chan_close(ch) chanrt_chan_close(ch)
#define chan_len(ch) chanrt_chan_len(ch)
#define chan_cap(ch) chanrt_chan_cap(ch)
#define chan_ref(ch) chanrt_chan_ref(ch)
#define chan_free(ch) chanrt_chan_free(ch)
#define chan_collect(ch, array) chanrt_chan_collect(ch, array)
#define chan_send_all(ch, array) chanrt_chan_send_all(ch, array)
#define chan_select chanrt_chan_select
#define chan_select_ordered chanrt_chan_select_ordered
#define chan_select_n chanrt_chan_select_n
#define chan_case chanrt_chan_case
#define case_recv(ch, ptr) chanrt_case_recv(ch, ptr)
#define case_send(ch, ptr) chanrt_case_send(ch, ptr)
#define on_recv(ch, ptr) chanrt_on_recv(ch, ptr)
#define on_send(ch, ...) chanrt_on_send(ch, __VA_ARGS__)
#define on_timeout(ns) chanrt_on_timeout(ns)
#define on_default chanrt_on_default
#define select_err() chanrt_select_err()
#define chan_after chanrt_chan_after
#define chan_timer chanrt_chan_timer
#define timer_make chanrt_timer_make
#define ticker_make chanrt_ticker_make
#define timer_func chanrt_timer_func
#define timer_chan chanrt_timer_chan
#define timer_stop chanrt_timer_stop
#define timer_reset chanrt_timer_reset
#define timer_free chanrt_timer_free
#define waitgroup chanrt_waitgroup
#define wg_add chanrt_wg_add
#define wg_done chanrt_wg_done
#define wg_wait chanrt_wg_wait
#define wg_wait_timeout chanrt_wg_wait_timeout
#define wg_go(wg, ...) chanrt_wg_go(wg, __VA_ARGS__)
#define sync_mutex chanrt_sync_mutex
#define sync_mutex_lock chanrt_sync_mutex_lock
#define sync_mutex_trylock chanrt_sync_mutex_trylock
#define sync_mutex_lock_timeout chanrt_sync_mutex_lock_timeout
#define sync_mutex_unlock chanrt_sync_mutex_unlock
#define sync_rwmutex chanrt_sync_rwmutex
#define sync_rwmutex_rlock chanrt_sync_rwmutex_rlock
#define sync_rwmutex_tryrlock chanrt_sync_rwmutex_tryrlock
#define sync_rwmutex_rlock_timeout chanrt_sync_rwmutex_rlock_timeout
#define sync_rwmutex_runlock chanrt_sync_rwmutex_runlock
#define sync_rwmutex_lock chanrt_sync_rwmutex_lock
#define sync_rwmutex_trylock chanrt_sync_rwmutex_trylock
#define sync_rwmutex_lock_timeout chanrt_sync_rwmutex_lock_timeout
#define sync_rwmutex_unlock chanrt_sync_rwmutex_unlock
#define sync_once chanrt_sync_once
#define sync_once_do chanrt_sync_once_do
#define sync_cond chanrt_sync_cond
#define sync_cond_wait chanrt_sync_cond_wait
#define sync_cond_wait_timeout chanrt_sync_cond_wait_timeout
#define sync_cond_signal chanrt_sync_cond_signal
#define sync_cond_broadcast chanrt_sync_cond_broadcast
#define sync_sem chanrt_sync_sem
#define sync_sem_init chanrt_sync_sem_init
#define sync_sem_acquire chanrt_sync_sem_acquire
#define sync_sem_tryacquire chanrt_sync_sem_tryacquire
#define sync_sem_acquire_timeout chanrt_sync_sem_acquire_timeout
#define sync_sem_release chanrt_sync_sem_release
#define task_ctx chanrt_task_ctx
#define ctx_background chanrt_ctx_background
#define ctx_with_cancel chanrt_ctx_with_cancel
#define ctx_with_timeout chanrt_ctx_with_timeout
#define ctx_with_deadline chanrt_ctx_with_deadline
#define ctx_with_value chanrt_ctx_with_value
#define ctx_value chanrt_ctx_value
#define ctx_cancel chanrt_ctx_cancel
#define ctx_cancel_cause chanrt_ctx_cancel_cause
#define ctx_done chanrt_ctx_done
#define ctx_err chanrt_ctx_err
#define ctx_cause chanrt_ctx_cause
#define ctx_after_func chanrt_ctx_after_func
#define ctx_after_stop chanrt_ctx_after_stop
#define ctx_deadline chanrt_ctx_deadline
#define ctx_free chanrt_ctx_free
#define task_group chanrt_task_group
#define group_init chanrt_group_init
#define group_ctx chanrt_group_ctx
#define group_limit chanrt_group_limit
#define group_go(g, ...) chanrt_group_go(g, __VA_ARGS__)
#define group_try_go(g, ...) chanrt_group_try_go(g, __VA_ARGS__)
#define group_wait chanrt_group_wait
#define IO_READ CHANRT_IO_READ
#define IO_WRITE CHANRT_IO_WRITE
#define io_wait chanrt_io_wait
#define io_read chanrt_io_read
#define io_write chanrt_io_write
#define io_write_all chanrt_io_write_all
#define io_accept chanrt_io_accept
#define io_connect chanrt_io_connect
#define io_close chanrt_io_close
#define io_read_timeout chanrt_io_read_timeout
#define io_write_timeout chanrt_io_write_timeout
#define io_accept_timeout chanrt_io_accept_timeout
#define io_connect_timeout chanrt_io_connect_timeout
#define io_resolve(host, service, hints, list) chanrt_io_resolve(host, service, hints, list)
#define on_io(fd, events) chanrt_on_io(fd, events)
#define case_io chanrt_case_io
#define task_blocking chanrt_task_blocking
#define chan_signal chanrt_chan_signal
#endif

#endif // CHANRT_H

#if defined(CHANRT_IMPLEMENTATION) && !defined(CHANRT__IMPLEMENTED)
#define CHANRT__IMPLEMENTED
#ifdef __cplusplus
#error "chanrt.h: compile the file with CHANRT_IMPLEMENTATION as C; C++ may include the rest"
#endif

//------------------------------------------------------------------------------
// >>port    Compiler, system, sanitizers: every switch is 0 or 1 from here on.
//   uses    nothing
//------------------------------------------------------------------------------

#if defined(_WIN32)
#define CHANRT__WINDOWS 1 // with MinGW's libc and pthreads, and a few calls of its own in >>os
#else
#define CHANRT__WINDOWS 0
#endif
#define CHANRT__DESCRIPTORS !CHANRT__WINDOWS // and signals: else the calls give ENOSYS

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if !CHANRT__WINDOWS
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#endif

#if !defined(CHANRT_LINUX) && defined(__linux__)
#define CHANRT_LINUX 1
#elif !defined(CHANRT_LINUX)
#define CHANRT_LINUX 0
#endif
#define CHANRT__LINUX CHANRT_LINUX
// Structures and numbers of our own for signals: for Linux, and for POSIX alone where a strict mode
// hides those of libc there.
#if CHANRT__LINUX || (defined(__linux__) && !defined(SA_ONSTACK))
#define CHANRT__OWN_SIGNALS 1
#include <sys/syscall.h>
#else
#define CHANRT__OWN_SIGNALS 0
#endif
#if CHANRT__LINUX
#include <dirent.h>
#endif

#if defined(__has_feature)
#define CHANRT__FEATURE(x) __has_feature(x)
#else
#define CHANRT__FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || CHANRT__FEATURE(address_sanitizer)
#define CHANRT__ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define CHANRT__ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || CHANRT__FEATURE(thread_sanitizer)
#define CHANRT__TSAN 1
#else
#define CHANRT__TSAN 0
#endif
#ifndef CHANRT_TSAN_USER
#define CHANRT_TSAN_USER 0
#endif
#if CHANRT_TSAN_USER && CHANRT__TSAN
#error "chanrt.h: CHANRT_TSAN_USER wants the implementation compiled without -fsanitize=thread"
#endif
// ThreadSanitizer's fibers. The runtime's view: one a stack, a switch orders. The users' view: one
// a task, and nothing orders but what the memory model grants (chanrt__atom_grant).
#define CHANRT__FIBERS (CHANRT__TSAN || CHANRT_TSAN_USER)
#if CHANRT__FIBERS
#include <sanitizer/tsan_interface.h>
#endif

#ifndef CHANRT_VALGRIND
#define CHANRT_VALGRIND 0
#endif
#if CHANRT_VALGRIND
#include <valgrind/valgrind.h>
#endif

#if (defined(__x86_64__) && !defined(__ILP32__)) || defined(__aarch64__) || \
    (defined(__riscv) && __riscv_xlen == 64)
#define CHANRT__ASSEMBLY 1
#else
#define CHANRT__ASSEMBLY 0
#endif
#ifndef CHANRT_UCONTEXT
#define CHANRT_UCONTEXT !CHANRT__ASSEMBLY
#if !CHANRT__ASSEMBLY && defined(__linux__) && !defined(__GLIBC__)
#error "chanrt.h: no assembly for this processor, and musl has no makecontext: link libucontext \
and compile with -DCHANRT_UCONTEXT=1"
#endif
#elif !CHANRT_UCONTEXT && !CHANRT__ASSEMBLY
#error "chanrt.h: no assembly for this processor; compile with -DCHANRT_UCONTEXT=1"
#endif
#if CHANRT_UCONTEXT
#include <ucontext.h>
#endif
#ifndef CHANRT_FUTEX
#define CHANRT_FUTEX CHANRT__LINUX
#endif
#ifndef CHANRT_EPOLL
#define CHANRT_EPOLL CHANRT__LINUX
#endif
#if CHANRT_EPOLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif
#ifndef CHANRT_HELPERS
#define CHANRT_HELPERS 64
#endif
#ifndef CHANRT_MEMBARRIER
#define CHANRT_MEMBARRIER (CHANRT__LINUX && !CHANRT__TSAN) // TSan cannot see membarrier's order
#endif
#if !defined(CHANRT_GUARD) && CHANRT_VALGRIND
#define CHANRT_GUARD 1 // Valgrind complains of advice it does not know
#elif !defined(CHANRT_GUARD)
#define CHANRT_GUARD 2
#endif
#ifndef CHANRT_CHECK
#define CHANRT_CHECK 0
#endif
#ifndef CHANRT_TRACE
#define CHANRT_TRACE 0
#endif
// What only a build with traces does: likewise.
#if CHANRT_TRACE
#define CHANRT__IF_TRACE(...) __VA_ARGS__
#else
#define CHANRT__IF_TRACE(...)
#endif
#ifndef CHANRT_PROFILE
#define CHANRT_PROFILE 0
#endif
// What only a build with profiles does: likewise.
#if CHANRT_PROFILE
#define CHANRT__IF_PROFILE(...) __VA_ARGS__
#else
#define CHANRT__IF_PROFILE(...)
#endif
// What only a debug build does: one line in the room it happens in, nothing otherwise.
#if CHANRT_DEBUG
#define CHANRT__IF_DEBUG(...) __VA_ARGS__
#pragma push_macro("chanrt_task_sleep")
#pragma push_macro("chanrt_wg_wait")
#pragma push_macro("chanrt_wg_wait_timeout")
#pragma push_macro("chanrt_ctx_with_cancel")
#pragma push_macro("chanrt_ctx_with_timeout")
#pragma push_macro("chanrt_ctx_with_deadline")
#pragma push_macro("chanrt_ctx_with_value")
#pragma push_macro("chanrt_group_init")
#undef chanrt_task_sleep
#undef chanrt_wg_wait
#undef chanrt_wg_wait_timeout
#undef chanrt_ctx_with_cancel
#undef chanrt_ctx_with_timeout
#undef chanrt_ctx_with_deadline
#undef chanrt_ctx_with_value
#undef chanrt_group_init
#else
#define CHANRT__IF_DEBUG(...)
#endif
// The post-switch store is made by C code where the switch is not ours to extend.
#define CHANRT__COMMIT_IN_C (CHANRT_UCONTEXT || CHANRT__ASAN || CHANRT__TSAN)
#if CHANRT__COMMIT_IN_C || CHANRT__FIBERS || CHANRT__WINDOWS
#define CHANRT__SWAP CHANRT__NOINLINE static // what a sanitizer leaves out must be a function
#else
#define CHANRT__SWAP CHANRT__INLINE
#endif

#define CHANRT__INLINE static inline __attribute__((always_inline))
// For what runs elsewhere before it returns: gcc must not look inside either, or it keeps a static
// variable in a register over a switch, since it can see that the function does not touch it.
#if defined(__clang__)
#define CHANRT__NOINLINE __attribute__((noinline))
#else
#define CHANRT__NOINLINE __attribute__((noipa))
#endif
#define CHANRT__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CHANRT__ALIGNED(n) __attribute__((aligned(n)))
#if CHANRT__WINDOWS
#define CHANRT__PRINTF gnu_printf // MinGW's own stdio
#else
#define CHANRT__PRINTF printf
#endif

// What strict ISO C modes hide when another header came first.
#if !defined(MAP_ANONYMOUS) && defined(__linux__)
#define MAP_ANONYMOUS 0x20
#elif !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS 0x1000
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef SIG_SETMASK
#define SIG_SETMASK 2
#endif
#if !defined(O_CLOEXEC) && defined(__linux__)
#define O_CLOEXEC 02000000
#elif !defined(O_CLOEXEC)
#define O_CLOEXEC 0
#endif

#ifndef CHANRT_ASSERT
#include <assert.h>
#define CHANRT_ASSERT(x) assert(x)
#endif
#if defined(CHANRT_MALLOC) && defined(CHANRT_REALLOC) && defined(CHANRT_FREE)
#elif !defined(CHANRT_MALLOC) && !defined(CHANRT_REALLOC) && !defined(CHANRT_FREE)
#define CHANRT_MALLOC(n) malloc(n)
#define CHANRT_REALLOC(p, n) realloc(p, n)
#define CHANRT_FREE(p) free(p)
#else
#error "chanrt.h: define all of CHANRT_MALLOC, CHANRT_REALLOC, CHANRT_FREE, or none"
#endif

// The tables of debug builds. Their functions are weak: a program may have them already. A file
// that includes stb_ds.h with STB_DS_IMPLEMENTATION does so before this implementation.
#if CHANRT_DEBUG
#ifndef __has_include
#error "chanrt.h: CHANRT_DEBUG needs a compiler with __has_include"
#elif __has_include(<stb/stb_ds.h>)
#define CHANRT__STB_DS <stb/stb_ds.h>
#elif __has_include(<stb_ds.h>)
#define CHANRT__STB_DS <stb_ds.h>
#else
#error "chanrt.h: CHANRT_DEBUG needs stb_ds.h on the include path (Debian: libstb-dev)"
#endif
#ifndef STB_DS_IMPLEMENTATION
#define STB_DS_IMPLEMENTATION
#pragma weak stbds_rand_seed
#pragma weak stbds_hash_bytes
#pragma weak stbds_hash_string
#pragma weak stbds_stralloc
#pragma weak stbds_strreset
#pragma weak stbds_arrgrowf
#pragma weak stbds_arrfreef
#pragma weak stbds_hmfree_func
#pragma weak stbds_hmget_key
#pragma weak stbds_hmget_key_ts
#pragma weak stbds_hmput_default
#pragma weak stbds_hmput_key
#pragma weak stbds_hmdel_key
#pragma weak stbds_shmode_func
#include CHANRT__STB_DS
#undef STB_DS_IMPLEMENTATION
#else
#include CHANRT__STB_DS
#endif
#pragma push_macro("typeof")
#define typeof __typeof__ // what its macros say, and a strict gcc does not know
#endif

// A test build makes the named call fail by defining CHANRT__FAULT.
#ifndef CHANRT__FAULT
#define CHANRT__FAULT(call) 0
#endif

//------------------------------------------------------------------------------
// >>fail    Stopping the process with a sentence.
//   uses    port
//   owns    chanrt__fail_dump, set by >>inside: prints every task; and what >>trace sets
//------------------------------------------------------------------------------

static void (*chanrt__fail_dump)(FILE *f);
CHANRT__IF_TRACE(static void (*chanrt__fail_trace)(const char *how);)
static uint64_t chanrt__fail_seed; // not 0: what makes this run again

static void chanrt__fail_say_seed(void) {
    if (chanrt__fail_seed != 0)
        fprintf(stderr, "chanrt: deterministic run; CHANRT_SEED=%llu repeats it\n",
                (unsigned long long)chanrt__fail_seed);
}

// One line on stderr that does not stop anything.
__attribute__((format(CHANRT__PRINTF, 1, 2)))
static void chanrt__fail_say(const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "chanrt: %s\n", line); // one call: lines of several threads do not mix
}

// The caller broke a rule for which the contract has no error code.
__attribute__((format(CHANRT__PRINTF, 1, 2), noreturn))
static void chanrt__fail_stop(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("fatal error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    chanrt__fail_say_seed();
    CHANRT__IF_TRACE(if (chanrt__fail_trace) chanrt__fail_trace("fatal error");)
    abort();
}

// Go's words and Go's exit status. Nothing can run any more, so nothing races with the dump;
// _exit, because exit handlers could wait for tasks that will never move.
__attribute__((noreturn))
static void chanrt__fail_deadlock(void) {
    fflush(stdout);
    fputs("fatal error: all tasks are asleep - deadlock!\n\n", stderr);
    chanrt__fail_say_seed();
    if (chanrt__fail_dump) chanrt__fail_dump(stderr);
    if (!CHANRT_DEBUG)
        fputs("chanrt: compiled with -DCHANRT_DEBUG=1 it names the lines they wait in\n", stderr);
    fflush(stderr);
    CHANRT__IF_TRACE(if (chanrt__fail_trace) chanrt__fail_trace("deadlock");)
    _exit(2);
}

//------------------------------------------------------------------------------
// >>atom    The only spelling of memory orders.
//   uses    port
//   laws    Every ordered access carries a [tag] that its partner carries, too.
//           Relaxed accesses publish nothing: counters, and hints that are looked
//           at again under a lock before anybody relies on them.
//------------------------------------------------------------------------------

// A test build comes between any two steps that others can see by defining CHANRT__POINT; waits:
// the caller can do nothing but look again (tests/explore, tests/unit/between.h).
#ifndef CHANRT__POINT
#define CHANRT__POINT(waits) ((void)0)
#endif

#define chanrt__atom_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define chanrt__atom_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define chanrt__atom_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define chanrt__atom_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define chanrt__atom_load_acq(p) (CHANRT__POINT(0), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define chanrt__atom_load_seq(p) (CHANRT__POINT(0), __atomic_load_n((p), __ATOMIC_SEQ_CST))
#define chanrt__atom_store_rel(p, v) \
    (CHANRT__POINT(0), __atomic_store_n((p), (v), __ATOMIC_RELEASE))
#define chanrt__atom_swap_acq(p, v) \
    (CHANRT__POINT(0), __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE))
#define chanrt__atom_swap_acqrel(p, v) \
    (CHANRT__POINT(0), __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define chanrt__atom_sub_acqrel(p, v) \
    (CHANRT__POINT(0), __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL))
#define chanrt__atom_add_seq(p, v) \
    (CHANRT__POINT(0), __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST))
#define chanrt__atom_compiler_barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)

static inline void chanrt__atom_fence_seq(void) {
#if CHANRT__TSAN
    static uint32_t word; // TSan does not model fences; this is one to the processor
    __atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

// What the memory model grants the program, for the users' view of ThreadSanitizer, which sees
// nothing else of this file: what was done before a grant at a place happens before what is done
// after a take there.
static inline void chanrt__atom_grant(void *place) {
#if CHANRT_TSAN_USER
    __tsan_release(place);
#endif
    (void)place;
}

static inline void chanrt__atom_take(void *place) {
#if CHANRT_TSAN_USER
    __tsan_acquire(place);
#endif
    (void)place;
}

// A value goes through a place of a ring: after who used it last, before who does next.
static inline void chanrt__atom_pass(void *place) {
    chanrt__atom_take(place);
    chanrt__atom_grant(place);
}

// Compare and swap that publishes and acquires when it wins.
static inline bool chanrt__atom_cas_acqrel(uint32_t *p, uint32_t from, uint32_t to) {
    CHANRT__POINT(0);
    return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

// The same, before anything that is looked at with load_seq after it.
static inline bool chanrt__atom_cas_seq(uint32_t *p, uint32_t from, uint32_t to) {
    CHANRT__POINT(0);
    return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

static inline void chanrt__atom_pause(void) {
    CHANRT__POINT(1);
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); // yield is a no-op on most cores; isb waits
#elif defined(__riscv)
    __asm__ volatile(".4byte 0x0100000f" ::: "memory"); // pause: a fence of nothing to older cores
#else
    chanrt__atom_compiler_barrier();
#endif
}

//------------------------------------------------------------------------------
// >>os    The only system calls: memory, clock, threads, sleeping, the thread record.
//   uses    port fail atom
//   owns    the one thread-local of the file, read only by chanrt__os_self and _self_here
//   laws    No system call is made under a spin lock (M2).
//   not     pthread condition variables for sleeping on Linux: glibc before 2.41 can
//           lose a signal (its bug 25847)
//   tests   unit/os.c
//------------------------------------------------------------------------------

#define CHANRT__FOREVER INT64_MAX // a deadline that never comes

#if CHANRT_TSAN_USER
// ThreadSanitizer watches libc's mutexes wherever they are called; the runtime's own order nothing.
void AnnotateIgnoreSyncBegin(const char *file, int line);
void AnnotateIgnoreSyncEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
static inline int chanrt__os_quietly(int (*call)(pthread_mutex_t *), pthread_mutex_t *mutex) {
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    int err = call(mutex);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
    return err;
}
#define pthread_mutex_lock(mutex) chanrt__os_quietly(pthread_mutex_lock, mutex)
#define pthread_mutex_unlock(mutex) chanrt__os_quietly(pthread_mutex_unlock, mutex)
#endif

// What this room needs and strict ISO C modes hide; the same declarations as libc's.
#if CHANRT__OWN_SIGNALS
long syscall(long number, ...);
int clock_gettime(int clock, struct timespec *t);
#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif
#ifndef CLOCK_THREAD_CPUTIME_ID
#define CLOCK_THREAD_CPUTIME_ID 3
#endif
#endif

enum { CHANRT__EMPTY, CHANRT__NOTIFIED, CHANRT__PARKED, CHANRT__PARKED_TIMED };

#if CHANRT_TRACE
// What whoever makes somebody ready leaves with him, for >>trace.
struct chanrt__os_arrow {
    uint64_t from;        // where the other end is noted; 0: nowhere
    int64_t time;
};
#endif

// One per thread that ever called in: of a worker, or of the program's own.
struct chanrt__os_thread {
    void *worker;         // struct chanrt__worker, NULL on the program's own threads
    uint32_t a_park;      // the word an ordinary thread sleeps on
    uint32_t random;      // state of the thread's generator, never 0 once used
    uint32_t back_off;    // ns it waits when a spin lock is taken, and when that last ended
    int64_t contended;
    int reason;           // while blocked for ever: why, on what, since when (pool mutex)
    const void *object;
    int64_t since;
    struct chanrt__os_thread *next, *prev; // among those
    uint32_t a_turn;      // deterministic mode: 1 when it is this thread's turn (>>det)
    bool aside;           // a thread of ours: it takes no part
    uint32_t run, number; // in which run it took part, and as which thread
    int waits;            // what for (det mutex)
    int64_t until;        // and until when
    struct chanrt__os_thread *turn_next;
    uint32_t *a_commit;   // CHANRT__COMMIT_IN_C: the word to clear after the switch
    struct chanrt__ctx *from; // likewise: the context that was left
#if CHANRT_DEBUG
    const chanrt_x_site *at;  // of the last call that noted its place, on an ordinary thread
#endif
#if CHANRT_TRACE
    void *ring;           // where its events go in the run `traced`; NULL: nowhere
    uint32_t traced;
    int worker_number;    // counted from 1; 0: it is none
    struct chanrt__os_arrow arrow;
#endif
};

static _Thread_local struct chanrt__os_thread chanrt__os_thread;

// For a function that is not inlined and parks nowhere after it has asked.
static inline struct chanrt__os_thread *chanrt__os_self_here(void) {
    return &chanrt__os_thread;
}

// The only other reader of the thread-local. A task wakes on another thread, so each park makes
// what an earlier call returned worthless. Not inlined; and the address goes through an asm,
// because clang knows what a function returns that only returns an address, and keeps that over a
// park.
CHANRT__NOINLINE static struct chanrt__os_thread *chanrt__os_self(void) {
    struct chanrt__os_thread *self = &chanrt__os_thread;
    __asm__ volatile("" : "+r"(self) : : "memory");
    return self;
}

#ifndef CHANRT_KEEP_ERRNO
#pragma pop_macro("errno")
#endif
CHANRT__NOINLINE CHANRT_API int *chanrt_x_errno(void) {
    int *here = &errno;
    __asm__ volatile("" : "+r"(here) : : "memory");
    return here;
}

// Time and chance as the deterministic mode makes them (>>det): one clock that stands still but for
// its jumps, one generator for everybody. Who has the turn uses them, so nothing is lost by plain
// loads and stores.
static struct {
    bool a_random, a_clock; // whether they are in use
    uint64_t a_state;
    int64_t a_now;
    uint32_t a_polls;       // uses of either since all were blocked
} chanrt__os_fake;
enum { CHANRT__POLLS = 10000, CHANRT__POLL_COST = 1000 };

// Whoever polls without ever blocking must see time pass: 1 us each time, after a while.
CHANRT__NOINLINE static int64_t chanrt__os_fake_now(void) {
    int64_t now = chanrt__atom_load(&chanrt__os_fake.a_now);
    uint32_t polls = chanrt__atom_load(&chanrt__os_fake.a_polls);
    if (polls >= CHANRT__POLLS) {
        now += CHANRT__POLL_COST;
        chanrt__atom_store(&chanrt__os_fake.a_now, now);
    } else {
        chanrt__atom_store(&chanrt__os_fake.a_polls, polls + 1);
    }
    return now;
}

// splitmix64: a counter, well stirred.
static uint64_t chanrt__os_stir(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

CHANRT__NOINLINE static uint32_t chanrt__os_fake_random(void) {
    uint64_t x = chanrt__atom_load(&chanrt__os_fake.a_state) + 0x9e3779b97f4a7c15u;
    chanrt__atom_store(&chanrt__os_fake.a_state, x);
    return (uint32_t)(chanrt__os_stir(x) >> 32);
}

// The system's clock, whatever the program sees; sleeps end by it.
static int64_t chanrt__os_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// The processor time of the calling thread: a system call.
static int64_t chanrt__os_thread_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

CHANRT_API int64_t chanrt_now(void) {
    if (CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__os_fake.a_clock))) return chanrt__os_fake_now();
    return chanrt__os_clock();
}

// The instant ns from now, for ever if ns < 0. Saturates just short of that: a huge timeout is
// still a timer that is armed, and keeps the deadlock detector silent.
static int64_t chanrt__os_deadline(int64_t ns) {
    int64_t now = chanrt_now();
    if (ns < 0) return CHANRT__FOREVER;
    if (ns >= CHANRT__FOREVER - 1 - now) return CHANRT__FOREVER - 1;
    return now + ns;
}

// xorshift: fair enough for select, and a few instructions.
static uint32_t chanrt__os_random(struct chanrt__os_thread *self) {
    if (CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__os_fake.a_random)))
        return chanrt__os_fake_random();
    uint32_t x = self->random;
    if (CHANRT__UNLIKELY(x == 0)) x = (uint32_t)((uintptr_t)self >> 4) ^ (uint32_t)chanrt_now();
    x |= x == 0;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return self->random = x;
}

// A number below n, by a multiplication: a division takes as long as all the rest.
static inline uint32_t chanrt__os_random_below(struct chanrt__os_thread *self, uint32_t n) {
    return (uint32_t)((uint64_t)chanrt__os_random(self) * n >> 32);
}

static int chanrt__os_cpus(void) {
#if CHANRT__LINUX
    unsigned long mask[128]; // 8192 processors
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int n = 0;
    for (size_t i = 0; bytes > 0 && i < (size_t)bytes / sizeof mask[0]; i++)
        n += __builtin_popcountl(mask[i]);
    if (n > 0) return n;
#endif
#if CHANRT__WINDOWS
    long online = pthread_num_processors_np();
#else
    long online = sysconf(_SC_NPROCESSORS_ONLN);
#endif
    return online > 0 && online <= INT_MAX ? (int)online : 1;
}

// Threads in the process now; 0: cannot be told here.
static long chanrt__os_threads(void) {
#if CHANRT__LINUX
    struct stat s;
    int kept = errno, err = stat("/proc/self/task", &s);
    errno = kept;
    if (err == 0 && s.st_nlink > 2) return (long)s.st_nlink - 2;
#endif
    return 0;
}

// --- asymmetric fences: the common side writes plainly, the rare side makes every running
// thread of the process execute a full barrier.

static bool chanrt__os_asymmetric;

static void chanrt__os_fences_init(void) {
#if CHANRT_MEMBARRIER
    enum { REGISTER_PRIVATE_EXPEDITED = 1 << 4 };
    chanrt__os_asymmetric =
        !CHANRT__FAULT(membarrier) &&
        syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

// The common side: keeps a later load on this thread from overtaking an earlier store.
static inline void chanrt__os_light_fence(void) {
    if (CHANRT__LIKELY(chanrt__os_asymmetric)) chanrt__atom_compiler_barrier();
    else chanrt__atom_fence_seq(); // [fence]
}

// The rare side: the same, for this thread and every other one of the process.
static void chanrt__os_heavy_fence(void) {
#if CHANRT_MEMBARRIER
    enum { PRIVATE_EXPEDITED = 1 << 3, TRIES = 100000 };
    for (int i = 0; chanrt__os_asymmetric; i++) { // short of memory, the kernel may refuse
        if (!CHANRT__FAULT(fence) && syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0) return;
        if (i == TRIES) chanrt__fail_stop("membarrier(2) is refused since the runtime started");
        sched_yield();
    }
#endif
    chanrt__atom_fence_seq(); // [fence]
}

// --- sleeping on a word

#if CHANRT_FUTEX
// Sleeps while *word is value, until woken, the deadline (an instant), or for no reason.
static void chanrt__os_sleep(uint32_t *word, uint32_t value, int64_t deadline) {
    enum { WAIT_BITSET_PRIVATE = 9 | 128 };
#if CHANRT__FIBERS
    // TSan holds a signal back until the thread calls something of libc's that it watches, and the
    // kernel goes on with a sleep it interrupted: so in pieces, each begun with such a call.
    int64_t most = chanrt__os_clock() + CHANRT_SECOND / 10;
    if (deadline > most) deadline = most;
#endif
    struct timespec t = { .tv_sec = (time_t)(deadline / 1000000000),
                          .tv_nsec = (long)(deadline % 1000000000) };
    int kept = errno; // what the program sees of it is not ours to change
    if (CHANRT__FAULT(futex)) return;
    syscall(SYS_futex, word, WAIT_BITSET_PRIVATE, value, deadline == CHANRT__FOREVER ? NULL : &t,
            NULL, 0xffffffffu);
    errno = kept;
}

static void chanrt__os_wake(uint32_t *word) {
    enum { WAKE_PRIVATE = 1 | 128 };
    syscall(SYS_futex, word, WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
// The same contract from a mutex and a condition variable, shared by all words of a bucket.
// A condition variable of another clock would be needed for exact monotonic deadlines; 1 ms
// slices keep a clock change from stretching a sleep.
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
} chanrt__os_buckets[8] = {
#define CHANRT__BUCKET { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER }
    CHANRT__BUCKET, CHANRT__BUCKET, CHANRT__BUCKET, CHANRT__BUCKET,
    CHANRT__BUCKET, CHANRT__BUCKET, CHANRT__BUCKET, CHANRT__BUCKET
};

static void chanrt__os_sleep(uint32_t *word, uint32_t value, int64_t deadline) {
    size_t b = ((uintptr_t)word >> 4) % 8;
    pthread_mutex_lock(&chanrt__os_buckets[b].mutex);
    while (chanrt__atom_load(word) == value) {
        int64_t left = deadline == CHANRT__FOREVER ? CHANRT_SECOND : deadline - chanrt__os_clock();
        if (left <= 0) break;
        struct timespec t;
        clock_gettime(0, &t); // CLOCK_REALTIME, what the condition variable waits by
        int64_t until = (int64_t)t.tv_nsec + (left < CHANRT_MILLISECOND || left > CHANRT_SECOND / 2
                                                  ? left : left - left / 8);
        t.tv_sec += (time_t)(until / 1000000000);
        t.tv_nsec = (long)(until % 1000000000);
        pthread_cond_timedwait(&chanrt__os_buckets[b].cond, &chanrt__os_buckets[b].mutex, &t);
    }
    pthread_mutex_unlock(&chanrt__os_buckets[b].mutex);
}

static void chanrt__os_wake(uint32_t *word) {
    size_t b = ((uintptr_t)word >> 4) % 8;
    pthread_mutex_lock(&chanrt__os_buckets[b].mutex);
    pthread_cond_broadcast(&chanrt__os_buckets[b].cond);
    pthread_mutex_unlock(&chanrt__os_buckets[b].mutex);
}
#endif

static void chanrt__os_nap(int64_t ns) {
    uint32_t word = 0;
    chanrt__os_sleep(&word, 0, chanrt__os_clock() + ns);
}

// --- C++ exceptions. Which are being handled is a fact of the task, but the C++ runtime keeps it
// by thread, where this points: for a program that has a C++ runtime, else NULL.

struct chanrt__os_exceptions {
    void *caught;
    unsigned uncaught;
#if defined(__ARM_EABI__) && !defined(__aarch64__)
    void *propagating;
#endif
};
#if defined(__ELF__)
struct chanrt__os_exceptions *__cxa_get_globals(void) __attribute__((weak));
void __cxa_end_catch(void) __attribute__((weak));
#elif CHANRT__WINDOWS
CHANRT_API void *(*chanrt_x_exceptions)(bool end_catch); // set by files in C++ (>>api-cxx)
#ifndef CHANRT_STATIC
void *(*chanrt_x_exceptions)(bool end_catch);
#endif
#endif

static struct chanrt__os_exceptions *chanrt__os_exceptions(void) {
#if defined(__ELF__)
    if (__cxa_get_globals) return __cxa_get_globals();
#elif CHANRT__WINDOWS
    if (chanrt_x_exceptions) return (struct chanrt__os_exceptions *)chanrt_x_exceptions(false);
#endif
    return NULL;
}

// Leaves the innermost handler that the calling thread is in: its exception is freed.
static void chanrt__os_end_catch(void) {
#if defined(__ELF__)
    __cxa_end_catch(); // there, because __cxa_begin_catch is
#elif CHANRT__WINDOWS
    chanrt_x_exceptions(true);
#endif
}

// --- spin locks: taken with one locked instruction, released with a plain store. A lock that many
// want is fastest when each of them has it to itself for a while: its lines, and those of what it
// guards, move once and not at every turn. So a loser stays away, without a look, for long enough
// that whoever holds it can go on; and for longer when it had hardly run itself since it last lost,
// or finds it taken again. Undisturbed for 1 us and away for 32 at most, one channel took 400 ns an
// operation on 8 cores, for 3 us 53; with losers that looked 64 times and came again after 128 ns
// 480 ns on 16 cores, with these 35 (tests/bench: mpmc32x32_128).

enum {
    CHANRT__AWAY_RUN = 4000,    // ns undisturbed that make the move of the lines worth it
    CHANRT__AWAY_LEAST = 128,
    CHANRT__AWAY_POLLS = 8,     // looks at the word by one that has come back
    CHANRT__AWAY_SLEEP = 40000, // from here on the processor is given away
    CHANRT__AWAY_MOST = 1 << 17
};

static uint32_t chanrt__os_away(struct chanrt__os_thread *self, int64_t ran) {
    uint32_t away = self->back_off;
    if (ran < CHANRT__AWAY_RUN) away *= 2;
    else away /= ran > 8 * CHANRT__AWAY_RUN ? 8 : 2;
    if (away < CHANRT__AWAY_LEAST) away = CHANRT__AWAY_LEAST;
    if (away > CHANRT__AWAY_MOST) away = CHANRT__AWAY_MOST;
    self->back_off = away;
    return away / 2 + chanrt__os_random(self) % away;
}

CHANRT__NOINLINE static void chanrt__os_lock_slow(uint32_t *word) {
    struct chanrt__os_thread *self = chanrt__os_self();
    int64_t now = chanrt__os_clock(), ran = now - self->contended;
    uint32_t nothing = 0;
    for (;; ran = 0) {
        int64_t away = chanrt__os_away(self, ran), until = now + away;
        do {
            if (away >= CHANRT__AWAY_SLEEP) chanrt__os_sleep(&nothing, 0, until);
            else for (int i = 0; i < 16; i++) chanrt__atom_pause();
            now = chanrt__os_clock();
        } while (now < until);
        for (int i = 0; i < CHANRT__AWAY_POLLS; i++) {
            if (chanrt__atom_load(word) == 0 &&
                chanrt__atom_swap_acq(word, 1) == 0) { // [lock] pairs with the unlock's store
                self->contended = now;
                return;
            }
            chanrt__atom_pause();
        }
        sched_yield(); // its holder may have lost the processor; or too many have come back
    }
}

// Between two attempts that found somebody in the middle of something: longer each time.
static void chanrt__os_back_off(uint32_t *tries) {
    for (uint32_t i = 0; i <= *tries; i++) chanrt__atom_pause();
    if (*tries < 64) *tries = 2 * *tries + 1;
    else sched_yield();
}

static inline bool chanrt__os_lock_try(uint32_t *word) {
    return CHANRT__LIKELY(chanrt__atom_swap_acq(word, 1) == 0); // [lock]
}

static inline void chanrt__os_lock(uint32_t *word) {
    if (!chanrt__os_lock_try(word)) chanrt__os_lock_slow(word);
}

// For who holds another lock already: it does not stay away.
static inline void chanrt__os_lock_inner(uint32_t *word) {
    for (uint32_t tries = 0; !chanrt__os_lock_try(word);) chanrt__os_back_off(&tries);
}

static inline void chanrt__os_unlock(uint32_t *word) {
    chanrt__atom_store_rel(word, 0); // [lock] what the section wrote is the next holder's
}

// --- threads

// Starts a thread that leaves the program's signals to the program's own threads: it blocks them
// all but those that a thread gets for what it does itself, and those libc needs (setuid).
// A child forked by a task inherits the mask, over exec too.
static int chanrt__os_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg) {
    if (CHANRT__FAULT(thread)) return EAGAIN;
#if CHANRT__LINUX
    uint64_t all = ~((uint64_t)7 << 31), old = 0; // 32 to 34 are libc's
    // Strict modes hide the names of the second line: TRAP BUS PIPE XCPU XFSZ PROF SYS.
    const int kept[] = { SIGSEGV, SIGILL, SIGFPE, SIGABRT,
                         5, 7, 13, 24, 25, 27, 31 };
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        all &= ~((uint64_t)1 << (kept[i] - 1));
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
    int err = pthread_create(thread, NULL, fn, arg);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    return err;
#else
    return pthread_create(thread, NULL, fn, arg);
#endif
}

// Names the calling thread for debuggers, and asks for exact sleeps.
static void chanrt__os_thread_setup(int index) {
#if CHANRT__LINUX
    enum { SET_NAME = 15, SET_TIMERSLACK = 29 };
    char name[16];
    snprintf(name, sizeof name, "chanrt-%d", index);
    syscall(SYS_prctl, SET_NAME, name, 0, 0, 0);
    syscall(SYS_prctl, SET_TIMERSLACK, 1, 0, 0, 0);
#else
    (void)index;
#endif
}

#if CHANRT_DEBUG || CHANRT_TRACE
// The system's number of the calling thread; 0: it has none.
static int chanrt__os_thread_number(void) {
#if CHANRT__LINUX
    return (int)syscall(SYS_gettid);
#else
    return 0;
#endif
}
#endif

#if CHANRT_DEBUG
// Processor time that thread has had, and whether it sleeps in the kernel. False: cannot be told.
static bool chanrt__os_thread_look(int number, int64_t *time, bool *asleep) {
#if CHANRT__LINUX
    enum { OF_THREAD = 6 }; // how Linux makes a clock's number of a thread's
    struct timespec t;
    char path[64], state = 0;
    if (clock_gettime((int)((~(unsigned)number << 3) | OF_THREAD), &t) != 0) return false;
    *time = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", number);
    FILE *f = fopen(path, "r");
    if (f == NULL) return false;
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    fclose(f);
    *asleep = state == 'S' || state == 'D';
    return true;
#else
    (void)number, (void)time, (void)asleep;
    return false;
#endif
}
#endif

// --- faults: the signals an access to a guard page raises

typedef void chanrt__os_handler(int sig, void *info, void *context);

#if CHANRT__WINDOWS
// --- Windows, in place of all that follows up to the guards. There are no signals. An access to a
// guard page ends the process: a handler would run on the very stack that has none left.

static void chanrt__os_catch_faults(chanrt__os_handler *fn) { (void)fn; }
static void chanrt__os_release_faults(void) {}
static void chanrt__os_pass_fault(int sig, void *info, void *context) {
    (void)sig, (void)info, (void)context;
}
static const char *chanrt__os_fault_address(const void *info) { return (const char *)info; }
static void chanrt__os_set_altstack(void *low, size_t size) { (void)low, (void)size; }
static void chanrt__os_tell(const char *text, size_t n) { (void)text, (void)n; }
static int chanrt__os_signal_named(const char *text) { return (void)text, 0; }

// The bell has a word where others have a pipe.
static uint32_t chanrt__os_bell;

static bool chanrt__os_bell_open(void) {
    chanrt__atom_store(&chanrt__os_bell, 0);
    return true;
}
static void chanrt__os_ring(int sig, void *info, void *context) {
    (void)sig, (void)info, (void)context;
    chanrt__atom_store(&chanrt__os_bell, 1);
    chanrt__os_wake(&chanrt__os_bell);
}
static int chanrt__os_bell_wait(int ms) {
    chanrt__os_sleep(&chanrt__os_bell, 0, chanrt__os_deadline(ms * CHANRT_MILLISECOND));
    return 0;
}
static void chanrt__os_bell_hang(int sig) { (void)sig; }
static void chanrt__os_bell_take(int sig) { (void)sig; }
static void chanrt__os_bell_close(void) {}
static void chanrt__os_unblock(int sig) { (void)sig; }

// The same declarations as in windows.h, which a program may or may not have included.
#define CHANRT__IMPORT __declspec(dllimport)
CHANRT__IMPORT void *__stdcall VirtualAlloc(void *, size_t, unsigned long, unsigned long);
CHANRT__IMPORT int __stdcall VirtualFree(void *, size_t, unsigned long);
CHANRT__IMPORT int __stdcall VirtualProtect(void *, size_t, unsigned long, unsigned long *);
CHANRT__IMPORT void *__stdcall GetCurrentProcess(void);
CHANRT__IMPORT int __stdcall ReadProcessMemory(void *, const void *, void *, size_t, size_t *);

static size_t chanrt__os_peek(void *to, const void *from, size_t n) {
    size_t got = 0;
    ReadProcessMemory(GetCurrentProcess(), from, to, n, &got);
    return got;
}

static size_t chanrt__os_page(void) { return 4096; }

// Memory only where touched, too; but all of it counts as promised, to the system's commit limit.
static void *chanrt__os_map(size_t size) {
    enum { RESERVE_AND_COMMIT = 0x3000, READWRITE = 4 };
    if (CHANRT__FAULT(mmap)) return NULL;
    return VirtualAlloc(NULL, size, RESERVE_AND_COMMIT, READWRITE);
}

static void chanrt__os_unmap(void *p, size_t size) {
    enum { RELEASE = 0x8000 };
    (void)size;
    VirtualFree(p, 0, RELEASE);
}

static inline bool chanrt__os_forbid(void *p, size_t size) {
    enum { NOACCESS = 1 };
    unsigned long old;
    return VirtualProtect(p, size, NOACCESS, &old) != 0;
}
#else // not Windows
#if CHANRT__OWN_SIGNALS
// libc's own struct sigaction and stack_t, which strict modes hide.
struct chanrt__os_sigaction {
#if defined(__mips__)
    int flags;
#endif
    chanrt__os_handler *fn;
#if defined(__s390x__)
    int unused, flags;
    void (*restorer)(void);
#endif
    unsigned long mask[128 / sizeof(unsigned long)];
#if !defined(__mips__) && !defined(__s390x__)
    int flags;
#endif
#if !defined(__s390x__)
    void (*restorer)(void);
#endif
};
struct chanrt__os_altstack {
    void *low;
    int flags;
    size_t size;
};
int chanrt__os_libc_sigaction(int sig, const struct chanrt__os_sigaction *now,
                              struct chanrt__os_sigaction *old) __asm__("sigaction");
static struct chanrt__os_sigaction chanrt__os_old[2]; // SIGSEGV, SIGBUS

static void chanrt__os_catch_faults(chanrt__os_handler *fn) {
    struct chanrt__os_sigaction now = { .fn = fn, .flags = 4 | 0x08000000 }; // SIGINFO, ONSTACK
    chanrt__os_libc_sigaction(SIGSEGV, &now, &chanrt__os_old[0]);
    chanrt__os_libc_sigaction(SIGBUS, &now, &chanrt__os_old[1]);
}

static void chanrt__os_release_faults(void) {
    chanrt__os_libc_sigaction(SIGSEGV, &chanrt__os_old[0], NULL);
    chanrt__os_libc_sigaction(SIGBUS, &chanrt__os_old[1], NULL);
}

// Hands a fault to whoever was there before us; with nobody, it happens again and kills.
static void chanrt__os_pass_fault(int sig, void *info, void *context) {
    struct chanrt__os_sigaction *old = &chanrt__os_old[sig == SIGBUS];
    if ((uintptr_t)old->fn > 1) old->fn(sig, info, context);
    else chanrt__os_libc_sigaction(sig, old, NULL);
}

static const char *chanrt__os_fault_address(const void *info) {
    void *address;
    memcpy(&address, (const char *)info + (sizeof(void *) == 8 ? 16 : 12), sizeof address);
    return (const char *)address;
}

// Gives the calling thread a stack for its fault handler, unless it has one.
static void chanrt__os_set_altstack(void *low, size_t size) {
    struct chanrt__os_altstack now = { .low = low, .size = size }, old = { .flags = 0 };
    enum { DISABLED = 2 };
    syscall(SYS_sigaltstack, NULL, &old);
    if (old.flags & DISABLED) syscall(SYS_sigaltstack, &now, NULL);
}
#else
static struct sigaction chanrt__os_old[2];

static void chanrt__os_catch_faults(chanrt__os_handler *fn) {
    struct sigaction now;
    memset(&now, 0, sizeof now);
    now.sa_sigaction = (void (*)(int, siginfo_t *, void *))fn;
    now.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &now, &chanrt__os_old[0]);
    sigaction(SIGBUS, &now, &chanrt__os_old[1]);
}

static void chanrt__os_release_faults(void) {
    sigaction(SIGSEGV, &chanrt__os_old[0], NULL);
    sigaction(SIGBUS, &chanrt__os_old[1], NULL);
}

static void chanrt__os_pass_fault(int sig, void *info, void *context) {
    struct sigaction *old = &chanrt__os_old[sig == SIGBUS];
    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(sig, (siginfo_t *)info, context);
    else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
        old->sa_handler(sig);
    else
        sigaction(sig, old, NULL);
}

static const char *chanrt__os_fault_address(const void *info) {
    return (const char *)((const siginfo_t *)info)->si_addr;
}

static void chanrt__os_set_altstack(void *low, size_t size) {
    stack_t now = { .ss_sp = low, .ss_size = size }, old;
    if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE)) sigaltstack(&now, NULL);
}
#endif

// Writes to stderr from a handler.
static inline void chanrt__os_tell(const char *text, size_t n) {
    if (write(2, text, n) < 0) (void)0; // nobody listens
}

// --- signals that the program wants to know of

#if CHANRT__OWN_SIGNALS
typedef struct chanrt__os_sigaction chanrt__os_action;

// Has fn called for the signal, on whatever thread; *old is what was there. 0 or an error.
static int chanrt__os_catch(int sig, chanrt__os_handler *fn, chanrt__os_action *old) {
    chanrt__os_action now = { .fn = fn, .flags = 4 | 0x08000000 | 0x10000000 };
    // SIGINFO, ONSTACK, RESTART
    return chanrt__os_libc_sigaction(sig, &now, old) == 0 ? 0 : errno;
}

static void chanrt__os_uncatch(int sig, const chanrt__os_action *old) {
    chanrt__os_libc_sigaction(sig, old, NULL);
}
#else
typedef struct sigaction chanrt__os_action;

static int chanrt__os_catch(int sig, chanrt__os_handler *fn, chanrt__os_action *old) {
    struct sigaction now;
    memset(&now, 0, sizeof now);
    now.sa_sigaction = (void (*)(int, siginfo_t *, void *))fn;
    now.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    return sigaction(sig, &now, old) == 0 ? 0 : errno;
}

static void chanrt__os_uncatch(int sig, const chanrt__os_action *old) {
    sigaction(sig, old, NULL);
}
#endif

// --- a signal that writes to a pipe, for a thread that waits at its other end

static int chanrt__os_pipe[2] = { -1, -1 };

static void chanrt__os_ring(int sig, void *info, void *context) {
    int kept = errno;
    char byte = (char)sig;
    (void)info, (void)context;
    if (write(chanrt__os_pipe[1], &byte, 1) < 0) errno = kept; // full: it will be heard anyway
    errno = kept;
}

#if CHANRT__OWN_SIGNALS
static struct chanrt__os_sigaction chanrt__os_unrung;

static bool chanrt__os_bell_open(void) {
    return syscall(SYS_pipe2, chanrt__os_pipe, 02000000 | 04000) == 0; // CLOEXEC, NONBLOCK
}

static void chanrt__os_bell_hang(int sig) {
    struct chanrt__os_sigaction now = { .fn = chanrt__os_ring, .flags = 4 | 0x10000000 }; // RESTART
    chanrt__os_libc_sigaction(sig, &now, &chanrt__os_unrung);
}

static void chanrt__os_bell_take(int sig) {
    chanrt__os_libc_sigaction(sig, &chanrt__os_unrung, NULL);
}

// Lets the calling thread take the signal: the program's own may be gone.
static void chanrt__os_unblock(int sig) {
    enum { UNBLOCK = 1 };
    uint64_t set = (uint64_t)1 << (sig - 1);
    syscall(SYS_rt_sigprocmask, UNBLOCK, &set, NULL, sizeof set);
}
#else
static struct sigaction chanrt__os_unrung;

static bool chanrt__os_bell_open(void) {
    return pipe(chanrt__os_pipe) == 0;
}

static void chanrt__os_bell_hang(int sig) {
    struct sigaction now;
    memset(&now, 0, sizeof now);
    now.sa_sigaction = (void (*)(int, siginfo_t *, void *))chanrt__os_ring;
    now.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(sig, &now, &chanrt__os_unrung);
}

static void chanrt__os_bell_take(int sig) {
    sigaction(sig, &chanrt__os_unrung, NULL);
}

static void chanrt__os_unblock(int sig) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
#endif

// Waits for a ring, up to ms milliseconds; < 0: for ever. Returns the signal, 0: none came.
static int chanrt__os_bell_wait(int ms) {
    struct pollfd p = { .fd = chanrt__os_pipe[0], .events = POLLIN };
    char byte = 0;
    if (poll(&p, 1, ms) <= 0 || read(chanrt__os_pipe[0], &byte, 1) != 1) return 0;
    return byte;
}

static void chanrt__os_bell_close(void) {
    for (int i = 0; i < 2; i++) {
        if (chanrt__os_pipe[i] >= 0) close(chanrt__os_pipe[i]);
        chanrt__os_pipe[i] = -1;
    }
}

// The signal that a text names: "USR1", "SIGUSR1", "10"; 0: none.
static int chanrt__os_signal_named(const char *text) {
    static const struct {
        const char *name;
        int number;
    } known[] = { { "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "TERM", SIGTERM },
                  { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 } };
    if (text == NULL) return 0;
    if (strncmp(text, "SIG", 3) == 0) text += 3;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(text, known[i].name) == 0) return known[i].number;
    long n = strtol(text, NULL, 10);
    return n > 0 && n < 32 ? (int)n : 0;
}

// --- memory

// Clears a record of up to 224 bytes. In pieces, because gcc makes a rep stos of more than 96
// bytes, which takes 10 ns to begin (tests/bench: timer_stop).
CHANRT__INLINE void chanrt__os_clear(void *record, size_t size) {
    const size_t first = size < 64 ? size : 64, second = size - first < 64 ? size - first : 64;
    memset(record, 0, first);
    memset((char *)record + first, 0, second);
    memset((char *)record + first + second, 0, size - first - second);
}

// Copies up to n bytes from where memory may be gone by now; returns how many. The kernel copies
// them, and fails where we would crash. 0 also where it cannot be asked.
static size_t chanrt__os_peek(void *to, const void *from, size_t n) {
#if CHANRT__LINUX
    struct {
        void *base;
        size_t len;
    } local = { to, n }, remote = { (void *)(uintptr_t)from, n };
    int kept = errno;
    long got = syscall(SYS_process_vm_readv, getpid(), &local, 1L, &remote, 1L, 0L);
    errno = kept;
    return got > 0 ? (size_t)got : 0;
#else
    (void)to, (void)from, (void)n;
    return 0;
#endif
}

static size_t chanrt__os_page(void) {
    static size_t page;
    size_t p = chanrt__atom_load(&page);
    if (p == 0) {
        long n = sysconf(_SC_PAGESIZE);
        p = n > 0 ? (size_t)n : 4096;
        chanrt__atom_store(&page, p);
    }
    return p;
}

// Address space that costs memory only where touched. NULL when there is none.
static void *chanrt__os_map(size_t size) {
    if (CHANRT__FAULT(mmap)) return NULL;
    int kept = errno;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = kept;
    return p == MAP_FAILED ? NULL : p;
}

static void chanrt__os_unmap(void *p, size_t size) {
    munmap(p, size);
}

static inline bool chanrt__os_forbid(void *p, size_t size) {
    return mprotect(p, size, PROT_NONE) == 0;
}
#endif // Windows

// What is mapped where, lowest first, for those who look at all of memory (>>leaks).
struct chanrt__os_mapping {
    uintptr_t low, high;
    bool readable, writable;
    char name; // the first letter: '/' a file, '[' the system's (heap, stack), 0 none
    bool stack; // the main thread's
};

// Calls visit for each; false: they cannot be told here.
static bool chanrt__os_each_mapping(void (*visit)(const struct chanrt__os_mapping *, void *),
                                    void *arg) {
#if CHANRT__LINUX
    FILE *f = fopen("/proc/self/maps", "re");
    char line[512], rights[8], name[16];
    bool whole = true;
    if (f == NULL) return false;
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long low = 0, high = 0;
        name[0] = 0;
        if (whole && sscanf(line, "%lx-%lx %7s %*s %*s %*s %15s", &low, &high, rights, name) >= 3)
            visit(&(struct chanrt__os_mapping){ low, high, rights[0] == 'r', rights[1] == 'w',
                                                name[0], strcmp(name, "[stack]") == 0 }, arg);
        whole = strchr(line, '\n') != NULL;
    }
    fclose(f);
    return true;
#else
    (void)visit, (void)arg;
    return false;
#endif
}

// Calls visit with the stack pointer of every other thread, and whether it is the main one; 0: it
// runs just now. False: they cannot be told.
static bool chanrt__os_each_stack(void (*visit)(uintptr_t sp, bool main, void *), void *arg) {
#if CHANRT__LINUX
    DIR *all = opendir("/proc/self/task");
    int me = (int)syscall(SYS_gettid);
    if (all == NULL) return false;
    for (struct dirent *d; (d = readdir(all)) != NULL;) {
        int number = atoi(d->d_name);
        char path[64], line[256] = "";
        unsigned long sp = 0;
        if (number <= 0 || number == me) continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall", number);
        FILE *f = fopen(path, "re");
        if (f != NULL && fgets(line, sizeof line, f) != NULL &&
            sscanf(line, "%*d %*x %*x %*x %*x %*x %*x %lx", &sp) != 1)
            (void)sscanf(line, "-1 %lx", &sp); // in the kernel, but in no call
        if (f != NULL) fclose(f);
        visit(sp, number == getpid(), arg);
    }
    closedir(all);
    return true;
#else
    (void)visit, (void)arg;
    return false;
#endif
}

// Which of up to 512 pages from low on are there at all; those that were never touched hold nothing
// and are not to be read. False: not known, look at all of them.
#if CHANRT__WINDOWS
static bool chanrt__os_touched(int map, uintptr_t low, size_t pages, uint64_t *bits) {
    (void)map, (void)low, (void)pages, (void)bits;
    return false;
}
static int chanrt__os_touched_open(void) { return -1; }
#else
static bool chanrt__os_touched(int map, uintptr_t low, size_t pages, uint64_t *bits) {
    off_t at = (off_t)(low / chanrt__os_page() * sizeof *bits);
    size_t bytes = pages * sizeof *bits;
    return map >= 0 && lseek(map, at, SEEK_SET) == at && read(map, bits, bytes) == (ssize_t)bytes;
}

static int chanrt__os_touched_open(void) {
    return CHANRT__LINUX ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
}
#endif

#if defined(__GLIBC__) && defined(__LP64__)
// Whether what glibc's malloc writes between blocks says that p is the start of one that reaches
// beyond `at`; the next two must look like blocks, too.
static bool chanrt__os_is_block(uintptr_t p, uintptr_t at) {
    uintptr_t head = p - 2 * sizeof(size_t);
    for (int i = 0; i < 3; i++) {
        size_t word[2]; // what the one before may use, and the size with three flags
        if (chanrt__os_peek(word, (const void *)head, sizeof word) != sizeof word) return i == 2;
        size_t size = word[1] & ~(size_t)7;
        if (size < 32 || size % 16 != 0 || size > SIZE_MAX / 4) return false;
        if (i == 0 && head + size + sizeof(size_t) <= at) return false;
        if (i == 0 && (word[1] & 2) != 0) return head % chanrt__os_page() == 0; // mapped alone
        if (i == 1 && (word[1] & 1) == 0) return false; // the first would be free
        head += size;
    }
    return true;
}
#endif

// The start of malloc's block in which `at` lies, up to most bytes before it; 0: it cannot be told.
static uintptr_t chanrt__os_block_of(uintptr_t at, size_t most) {
#if defined(__GLIBC__) && defined(__LP64__)
    for (uintptr_t p = at & ~(uintptr_t)15; at - p < most; p -= 16)
        if (chanrt__os_is_block(p, at)) return p;
#endif
    (void)at, (void)most;
    return 0;
}

#if CHANRT_TSAN_USER
// Puts a new mapping in the place of whole pages: ThreadSanitizer forgets who has written there.
static void chanrt__os_renew(void *p, size_t size) {
    size_t page = chanrt__os_page(), whole = (size + page - 1) & ~(page - 1);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    if (mmap(p, whole, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        chanrt__fail_stop("no memory for a stack that ThreadSanitizer takes for new");
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
}
#endif

// Whether huge pages may back the range: yes for dense records, no for sparse stacks.
static void chanrt__os_huge(void *p, size_t size, bool yes) {
#if CHANRT__LINUX
    enum { HUGEPAGE = 14, NOHUGEPAGE = 15 };
    syscall(SYS_madvise, p, size, yes ? HUGEPAGE : NOHUGEPAGE);
#else
    (void)p, (void)size, (void)yes;
#endif
}

// How guard pages are made: 2 by advice, 1 by mprotect, 0 not at all. It only ever falls.
static int chanrt__os_guard_mode = CHANRT__LINUX || CHANRT_GUARD < 2 ? CHANRT_GUARD : 1;

// By advice (Linux 6.13), which needs no mapping of its own: n ranges, at most 64, in one call or
// one by one. Emulators accept advice they do not know, so the first guard is tried out: a system
// call that writes there must fail.
static bool chanrt__os_guard_by_advice(char *first, size_t size, size_t stride, int n) {
#if CHANRT__LINUX
    enum { GUARD_INSTALL = 102, PROCESS_MADVISE = 440, SELF = -10000 };
    struct {
        void *base;
        size_t len;
    } ranges[64];
    if (CHANRT__FAULT(guard)) return false;
    for (int i = 0; i < n; i++) {
        ranges[i].base = first + (size_t)i * stride;
        ranges[i].len = size;
    }
    long done = syscall(PROCESS_MADVISE, SELF, ranges, n, GUARD_INSTALL, 0);
    for (int i = 0; done != (long)size * n && i < n; i++)
        if (syscall(SYS_madvise, ranges[i].base, size, GUARD_INSTALL) != 0) return false;
    static uint32_t tried;
    if (!chanrt__atom_load(&tried)) {
        enum { BYTES = 1, NONBLOCK = 1 };
        if (syscall(SYS_getrandom, first, BYTES, NONBLOCK) == BYTES) return false;
        chanrt__atom_store(&tried, 1);
    }
    return true;
#else
    (void)first, (void)size, (void)stride, (void)n;
    return false;
#endif
}

// By mprotect, which splits the mapping: it stops while the program has mappings left.
static uint32_t chanrt__os_guards_protected;

static bool chanrt__os_guard_by_mprotect(char *first, size_t size, size_t stride, int n) {
    // Of the 65530 that vm.max_map_count allows by default, two each. Windows has no such limit.
    enum { MOST = CHANRT__WINDOWS ? INT_MAX : 24000 };
    for (int i = 0; i < n; i++) {
        if (chanrt__atom_add(&chanrt__os_guards_protected, 1) >= MOST || CHANRT__FAULT(mprotect) ||
            !chanrt__os_forbid(first + (size_t)i * stride, size))
            return false;
    }
    return true;
}

// Makes n ranges of `size` bytes, `stride` apart, fault on access.
static void chanrt__os_guard(char *first, size_t size, size_t stride, int n) {
    int *mode = &chanrt__os_guard_mode, kept = errno;
    if (chanrt__atom_load(mode) == 2 && !chanrt__os_guard_by_advice(first, size, stride, n))
        chanrt__atom_store(mode, 1);
    if (chanrt__atom_load(mode) == 1 && !chanrt__os_guard_by_mprotect(first, size, stride, n)) {
        chanrt__atom_store(mode, 0);
        chanrt__fail_say("no more guard pages: stacks made from now on have none "
                         "(Linux 6.13 needs no mappings for them; see vm.max_map_count)");
    }
    errno = kept;
}

//------------------------------------------------------------------------------
// >>ctx    Switching stacks.
//   uses    port fail atom os
//   laws    The word passed to a switch is cleared only when every register of the
//           context left is saved and its stack is no longer in use (T2). Nothing
//           may make a task runnable earlier: this store is what publishes it.
//   not     saving the floating-point control words: two slow instructions a switch;
//           the manual says so. swapcontext: 350 cycles, for other processors only.
//   tests   unit/ctx.c spec/scheduler.c
//------------------------------------------------------------------------------

struct chanrt__ctx {
#if CHANRT_UCONTEXT
    ucontext_t *uc;
#else
    void *sp, *fp;
    uintptr_t pc;
#endif
#if CHANRT__ASAN
    void *fake;
    const void *low;
    size_t size;
#endif
#if CHANRT__FIBERS
    void *fiber;
#endif
};

// x86-64, narrated; aarch64 and riscv64 below are the same in their own words. The caller's
// callee-saved registers are on the clobber list, so the compiler keeps them on this stack itself;
// by hand go only the frame pointer, the stack pointer and where to continue. Resuming is a jump,
// not a return: the return predictor would be wrong each time. Inlined, so that only what is in
// use is kept; whoever switches is not (CHANRT__NOINLINE).
#if !CHANRT_UCONTEXT
#if CHANRT__WINDOWS // into the thread's record
#define CHANRT__ON_STACK \
    "popq %%gs:0x1478\n\tpopq %%gs:0x10\n\tpopq %%gs:0x8\n\tpopq %%gs:0x0\n\t"
#endif
#if CHANRT__TSAN
__attribute__((no_sanitize("thread")))
#endif
#if CHANRT__ASAN
__attribute__((no_sanitize("address")))
#endif
CHANRT__SWAP void chanrt__ctx_swap(struct chanrt__ctx *from, const struct chanrt__ctx *to,
                                   uint32_t *word) {
#if CHANRT__FIBERS // the last call before the jump, or frames get mixed up
    __tsan_switch_to_fiber(to->fiber, CHANRT_TSAN_USER ? __tsan_switch_to_fiber_no_sync : 0);
#endif
#if CHANRT__WINDOWS
    // A function of its own, which keeps what Windows wants kept. What exceptions, longjmp and
    // stack probes go by stands in the thread's record: where the stack lies (base, limit, end)
    // and the innermost handler (used by Wine). It stays on the stack that is left, and comes
    // from the one gone to.
    register uint32_t *r8 __asm__("r8") = word;
    __asm__ volatile("pushq %%gs:0x0\n\t"
                     "pushq %%gs:0x8\n\t"
                     "pushq %%gs:0x10\n\t"
                     "pushq %%gs:0x1478\n\t"
                     "leaq  1f(%%rip), %%rax\n\t"
                     "movq  %%rax, 16(%%rcx)\n\t"
                     "movq  %%rbp, 8(%%rcx)\n\t"
                     "movq  %%rsp, 0(%%rcx)\n\t"
                     "movq  0(%%rdx), %%rsp\n\t"
                     "movq  8(%%rdx), %%rbp\n\t"
                     CHANRT__ON_STACK
                     "movl  $0, (%%r8)\n\t"      // [lock] publish
                     "jmp   *16(%%rdx)\n\t"
                     "1:"
                     : "+c"(from), "+d"(to), "+r"(r8)
                     :
                     : "rax", "rbx", "rsi", "rdi", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15", "memory", "cc");
#elif defined(__x86_64__)
#if defined(__CET__)
#define CHANRT__LANDING "endbr64\n\t"
#else
#define CHANRT__LANDING
#endif
#if defined(__AVX512F__)
#define CHANRT__VECTORS                                                                        \
    "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",  \
    "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define CHANRT__VECTORS
#endif
    __asm__ volatile("leaq  1f(%%rip), %%rax\n\t"
                     "movq  %%rax, 16(%%rdi)\n\t"  // from->pc: the label below
                     "movq  %%rbp, 8(%%rdi)\n\t"   // from->fp
                     "movq  %%rsp, 0(%%rdi)\n\t"   // from->sp: all is saved
                     "movq  0(%%rsi), %%rsp\n\t"   // on the other stack from here
                     "movq  8(%%rsi), %%rbp\n\t"
                     "movl  $0, (%%rdx)\n\t"       // [lock] publish: x86 keeps stores in order
                     "jmp   *16(%%rsi)\n\t"
                     "1:\n\t" CHANRT__LANDING
                     : "+D"(from), "+S"(to), "+d"(word)
                     :
                     : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       CHANRT__VECTORS "memory", "cc");
#elif defined(__aarch64__)
    register struct chanrt__ctx *x0 __asm__("x0") = from;
    register const struct chanrt__ctx *x1 __asm__("x1") = to;
    register uint32_t *x2 __asm__("x2") = word;
    __asm__ volatile("adr   x9, 1f\n\t"
                     "stp   x29, x9, [x0, #8]\n\t"
                     "mov   x10, sp\n\t"
                     "str   x10, [x0]\n\t"
                     "ldr   x10, [x1]\n\t"
                     "ldp   x29, x16, [x1, #8]\n\t"
                     "mov   sp, x10\n\t"
                     "mov   x30, xzr\n\t"          // a fresh stack's first frame ends the backtrace
                     "stlr  wzr, [x2]\n\t"         // [lock] publish
                     "br    x16\n\t"
                     "1:    hint #36\n\t"          // a landing pad where branch targets are checked
                     : "+r"(x0), "+r"(x1), "+r"(x2)
                     :
                     : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
                       "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
                       "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8",
                       "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19",
                       "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
                       "v31", "memory", "cc");
    (void)x0, (void)x1, (void)x2;
#elif defined(__riscv)
#if defined(__riscv_flen)
#define CHANRT__FLOATS                                                                         \
    "fs0", "fs1", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11",      \
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "ft8", "ft9", "ft10", "ft11",      \
    "fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7",
#else
#define CHANRT__FLOATS
#endif
    register struct chanrt__ctx *a0 __asm__("a0") = from;
    register const struct chanrt__ctx *a1 __asm__("a1") = to;
    register uint32_t *a2 __asm__("a2") = word;
    __asm__ volatile("lla   t0, 1f\n\t"
                     "sd    t0, 16(a0)\n\t"
                     "sd    s0, 8(a0)\n\t"
                     "sd    sp, 0(a0)\n\t"
                     "ld    sp, 0(a1)\n\t"
                     "ld    s0, 8(a1)\n\t"
                     "ld    t1, 16(a1)\n\t"
                     "li    ra, 0\n\t"            // ends the backtrace of a fresh stack
                     "fence rw, w\n\t"
                     "sw    zero, 0(a2)\n\t"     // [lock] publish
                     "jr    t1\n\t"
                     "1:"
                     : "+r"(a0), "+r"(a1), "+r"(a2)
                     :
                     : CHANRT__FLOATS "ra", "t0", "t1", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
                       "s8", "s9", "s10", "s11", "memory");
    (void)a0, (void)a1, (void)a2;
#endif
}
#endif

// The first thing on the stack switched to, where the switch cannot do it by itself.
static void chanrt__ctx_arrived(struct chanrt__ctx *self) {
#if CHANRT__COMMIT_IN_C
    struct chanrt__os_thread *thread = chanrt__os_self();
#if CHANRT__ASAN
    __sanitizer_finish_switch_fiber(self ? self->fake : NULL, &thread->from->low,
                                    &thread->from->size);
#endif
    uint32_t *word = chanrt__atom_load(&thread->a_commit);
    chanrt__atom_store(&thread->a_commit, NULL); // it would look like a use of what was waited for
    chanrt__os_unlock(word);
#endif
    (void)self;
}

// In the first function of a stack: whoever unwinds ends there, not at an address 0 below it.
#if defined(__GCC_HAVE_DWARF2_CFI_ASM) && defined(__x86_64__)
#define CHANRT__CTX_OUTERMOST __asm__ volatile(".cfi_undefined rip")
#elif defined(__GCC_HAVE_DWARF2_CFI_ASM) && defined(__aarch64__)
#define CHANRT__CTX_OUTERMOST __asm__ volatile(".cfi_undefined x30")
#else
#define CHANRT__CTX_OUTERMOST (void)0
#endif

// Leaves `from` for `to`, then clears *word. Returns when somebody switches to `from`, perhaps
// on another thread. Dying: nobody will, and the stack may be used again once *word is clear.
static inline void chanrt__ctx_switch(struct chanrt__ctx *from, struct chanrt__ctx *to,
                                      uint32_t *word, bool dying) {
    (void)dying;
#if CHANRT__COMMIT_IN_C
    struct chanrt__os_thread *thread = chanrt__os_self();
    static uint32_t unused;
    chanrt__atom_store(&thread->a_commit, word);
#if CHANRT__ASAN
    thread->from = from;
#endif
    word = &unused;
    (void)word;
#if CHANRT__ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake, to->low, to->size);
#endif
#endif
#if CHANRT_UCONTEXT
#if CHANRT__FIBERS
    __tsan_switch_to_fiber(to->fiber, CHANRT_TSAN_USER ? __tsan_switch_to_fiber_no_sync : 0);
#endif
#if defined(__powerpc__) && defined(__ALTIVEC__)
    // glibc gives vector registers back only if this one is not 0: so on Linux, not in qemu-user.
    __asm__ volatile("mtvrsave %0" : : "r"(-1));
#endif
    swapcontext(from->uc, to->uc);
#else
    chanrt__ctx_swap(from, to, word);
#endif
    chanrt__ctx_arrived(from);
}

// Calls what may park, and comes back by a jump: where it woke, the return predictor holds the
// addresses of the task that ran before. All of them went through here, so within parking code
// it is right, but the way out leads to each program's own place (tests/bench: pingpong_two).
typedef int chanrt__ctx_parking(void *, void *, void *, int);
#if defined(__x86_64__) && !CHANRT__COMMIT_IN_C && !CHANRT__WINDOWS
#if defined(__CET__)
#define CHANRT__JUMP "notrack jmp *%rcx"
#else
#define CHANRT__JUMP "jmp *%rcx"
#endif
__attribute__((naked, noinline))
static int chanrt__ctx_detour(void *a __attribute__((unused)), void *b __attribute__((unused)),
                              void *c __attribute__((unused)), int d __attribute__((unused)),
                              chanrt__ctx_parking *fn __attribute__((unused))) {
    __asm__("subq  $8, %rsp\n\t"
            ".cfi_adjust_cfa_offset 8\n\t"
            "call  *%r8\n\t"
            "addq  $8, %rsp\n\t"
            ".cfi_adjust_cfa_offset -8\n\t"
            "popq  %rcx\n\t"
            ".cfi_adjust_cfa_offset -8\n\t"
            CHANRT__JUMP);
}
#else
static inline int chanrt__ctx_detour(void *a, void *b, void *c, int d, chanrt__ctx_parking *fn) {
    return fn(a, b, c, d);
}
#endif

// Makes ctx start entry() at `top` of a fresh stack; entry never returns.
static void chanrt__ctx_init(struct chanrt__ctx *ctx, char *low, char *top, void (*entry)(void)) {
#if CHANRT_UCONTEXT
    getcontext(ctx->uc);
    ctx->uc->uc_stack.ss_sp = low;
    ctx->uc->uc_stack.ss_size = (size_t)(top - low);
    ctx->uc->uc_link = NULL;
    makecontext(ctx->uc, entry, 0);
#else
    uintptr_t *sp = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15);
#if CHANRT__WINDOWS
    sp -= 4; // the caller's room for arguments
#endif
#if defined(__x86_64__)
    *--sp = 0; // as after a call, with a return address that ends the backtrace
#endif
#if CHANRT__WINDOWS
    *--sp = UINTPTR_MAX; // what the switch takes from here: no handler; base, limit, end
    *--sp = (uintptr_t)top;
    *--sp = (uintptr_t)low;
    *--sp = (uintptr_t)low;
#endif
    ctx->sp = sp;
    ctx->fp = NULL;
    ctx->pc = (uintptr_t)entry;
#endif
    (void)low;
}

// The users' view: the fiber of a task begins after what its parent has done, and is destroyed when
// the next one ends on the same worker: by then nothing stands on it.
static inline void chanrt__ctx_born(struct chanrt__ctx *ctx) {
#if CHANRT_TSAN_USER
    ctx->fiber = __tsan_create_fiber(0);
#endif
    (void)ctx;
}

static inline void chanrt__ctx_died(void **ended) {
#if CHANRT_TSAN_USER
    if (*ended != NULL) __tsan_destroy_fiber(*ended);
    *ended = __tsan_get_current_fiber();
#endif
    (void)ended;
}

// Goes on with entry() at `top` of the stack it stands on: the frames in between are gone.
__attribute__((noreturn))
static void chanrt__ctx_restart(struct chanrt__ctx *ctx, char *low, char *top,
                                void (*entry)(void)) {
#if CHANRT__ASAN
    __asan_handle_no_return();
#endif
    chanrt__ctx_init(ctx, low, top, entry);
#if CHANRT_UCONTEXT
    setcontext(ctx->uc);
#elif CHANRT__WINDOWS
    __asm__ volatile("movq %0, %%rsp\n\txorl %%ebp, %%ebp\n\t" CHANRT__ON_STACK "jmp *%1"
                     : : "a"(ctx->sp), "d"(ctx->pc) : "memory");
#elif defined(__x86_64__)
    __asm__ volatile("movq %0, %%rsp\n\txorl %%ebp, %%ebp\n\tjmp *%1"
                     : : "a"(ctx->sp), "d"(ctx->pc) : "memory");
#elif defined(__aarch64__)
    register void *x9 __asm__("x9") = ctx->sp;
    register uintptr_t x16 __asm__("x16") = ctx->pc;
    __asm__ volatile("mov sp, %0\n\tmov x29, xzr\n\tmov x30, xzr\n\tbr %1"
                     : : "r"(x9), "r"(x16) : "memory");
#elif defined(__riscv)
    register void *t0 __asm__("t0") = ctx->sp;
    register uintptr_t t1 __asm__("t1") = ctx->pc;
    __asm__ volatile("mv sp, %0\n\tli s0, 0\n\tli ra, 0\n\tjr %1"
                     : : "r"(t0), "r"(t1) : "memory");
#endif
    __builtin_unreachable();
}

//------------------------------------------------------------------------------
// >>stack    Guarded stacks, one arena per size class.
//   uses    port fail atom os ctx
//   owns    chanrt__stacks: chunks of address space and the shared free lists
//   lock    one mutex a class; system calls are made under it, so never under a spin lock
//   laws    A stack on a free list is in use by no processor (T2): a worker frees the
//           stack it stands on only to its own cache, and takes from there only after
//           it has switched away.
//   not     stacks of 2 KiB side by side, half the memory and a fifth of the time: without a
//           guard page printf's sparse buffers step over any mark into a neighbour's frames;
//           the next pages populated ahead: as dear as the faults (tests/bench/LOST.md)
//   tests   unit/stack.c spec/scheduler.c (overflow)
//
//   A chunk:   | header page | guard | stack | guard | stack | ...
//   A stack:   low [ ... grows down ...  frames | colour | struct chanrt__stack ] top
//------------------------------------------------------------------------------

enum {
    CHANRT__STACK_CLASSES = 19,          // 4 KiB << class, up to 1 GiB
    CHANRT__STACK_GUARD = 16 << 10,      // a frame smaller than this cannot step over
    CHANRT__STACK_BATCH = 32,            // stacks guarded by one system call
    CHANRT__STACK_COLOURS = 16           // tops that differ in the first-level cache
};

struct chanrt__stack {
#if CHANRT_DEBUG
    uint64_t mark;              // first: what runs over the first frame hits it, or its like
#endif
    struct chanrt__stack *next; // on a free list
    char *low, *top;            // usable bytes; top is where frames start
    int class;
#if CHANRT_UCONTEXT
    ucontext_t uc;
#endif
#if CHANRT__TSAN
    void *fiber;
    bool dirty; // left from the middle: its fiber's call depth is off
#endif
};

struct chanrt__stack_chunk {
    struct chanrt__stack_chunk *next;
    size_t size;
};

static struct chanrt__stack_class {
    pthread_mutex_t mutex;
    struct chanrt__stack *free;
    struct chanrt__stack_chunk *chunks;
    char *at, *guarded, *end; // next stack's guard, end of those guarded, end of the chunk
    size_t a_made;            // stacks handed out for the first time
    size_t a_bytes;           // address space
} chanrt__stacks[CHANRT__STACK_CLASSES];

static size_t chanrt__stack_size(int class) {
    return (size_t)4096 << class;
}

static size_t chanrt__stack_guard_size(void) {
    size_t page = chanrt__os_page();
    return !CHANRT_GUARD ? 0 : page > CHANRT__STACK_GUARD ? page : (size_t)CHANRT__STACK_GUARD;
}

// With what a page more holds: the record at the top and the colour.
static size_t chanrt__stack_bytes(int class) {
    return chanrt__stack_size(class) + chanrt__os_page();
}

// The class whose stacks hold at least size bytes; -1: absurd.
static int chanrt__stack_class_of(size_t size) {
    if (size < 4096) return -1;
    for (int class = 0; class < CHANRT__STACK_CLASSES; class ++)
        if (size <= chanrt__stack_size(class) && chanrt__stack_size(class) >= chanrt__os_page())
            return class;
    return -1;
}

#if CHANRT_DEBUG
// Both ends of a stack are marked; the low one costs a page.
static const uint64_t chanrt__stack_sign = 0xC4A27B0552D1E3A9u;

static void chanrt__stack_mark(struct chanrt__stack *s) {
    memcpy(s->low, &chanrt__stack_sign, sizeof chanrt__stack_sign);
    memcpy(s->top, &chanrt__stack_sign, sizeof chanrt__stack_sign);
}

// Which end was written over, in words; NULL: none.
#if CHANRT__ASAN
__attribute__((no_sanitize("address")))
#endif
static const char *chanrt__stack_spoilt(const struct chanrt__stack *s) {
    const volatile uint64_t *low = (const volatile uint64_t *)(const void *)s->low;
    const volatile uint64_t *top = (const volatile uint64_t *)(const void *)s->top;
    if (*low != chanrt__stack_sign) return "at its low end: it has overflowed";
    if (*top != chanrt__stack_sign) return "above its first frame: a write past the end of a local";
    return NULL;
}
#endif

static void chanrt__stack_init(void) {
    for (int class = 0; class < CHANRT__STACK_CLASSES; class ++)
        pthread_mutex_init(&chanrt__stacks[class].mutex, NULL);
}

// A new chunk, larger each time, smaller when the address space is short.
static bool chanrt__stack_grow_locked(struct chanrt__stack_class *k, size_t stride) {
    size_t page = chanrt__os_page();
    size_t count = k->a_made < 16 ? 16 : k->a_made > 2048 ? 2048 : k->a_made;
    while (count * stride > ((size_t)256 << 20) && count > 1) count /= 2;
    for (; count > 0; count /= 2) {
        size_t size = page + count * stride;
        char *p = chanrt__os_map(size);
        if (p == NULL) continue;
        chanrt__os_huge(p, size, false);
        struct chanrt__stack_chunk *chunk = (struct chanrt__stack_chunk *)p;
        chunk->next = k->chunks;
        chunk->size = size;
        k->chunks = chunk;
        k->at = k->guarded = p + page;
        k->end = p + size;
        chanrt__atom_add(&k->a_bytes, size);
        return true;
    }
    return false;
}

// Where the class's next stack lies, and which it is. Its page is not touched here: the fault takes
// longer than all the rest, and other workers may want one, too (tests/bench: parked_time).
static char *chanrt__stack_carve_locked(int class, size_t *number) {
    struct chanrt__stack_class *k = &chanrt__stacks[class];
    size_t guard = chanrt__stack_guard_size(), stride = guard + chanrt__stack_bytes(class);
    if (k->at == k->end && !chanrt__stack_grow_locked(k, stride)) return NULL;
    if (k->at == k->guarded) {
        size_t left = (size_t)(k->end - k->at) / stride;
        int n = left < CHANRT__STACK_BATCH ? (int)left : CHANRT__STACK_BATCH;
        chanrt__os_guard(k->at, guard, stride, n);
        k->guarded += (size_t)n * stride;
    }
    char *low = k->at + guard;
    k->at += stride;
    *number = k->a_made;
    chanrt__atom_add(&k->a_made, 1);
    return low;
}

static struct chanrt__stack *chanrt__stack_begin(char *low, int class, size_t number) {
    struct chanrt__stack *s =
        (struct chanrt__stack *)(low + chanrt__stack_bytes(class) - sizeof(struct chanrt__stack));
    s = (struct chanrt__stack *)((uintptr_t)s & ~(uintptr_t)63);
    size_t colour = 64 * (number % CHANRT__STACK_COLOURS);
    *s = (struct chanrt__stack){ .low = low, .top = (char *)s - colour, .class = class };
    CHANRT__IF_DEBUG(chanrt__stack_mark(s);)
#if CHANRT_VALGRIND
    VALGRIND_STACK_REGISTER(low, (char *)s);
#endif
    return s;
}

// A stack of the class, or NULL when there is no memory.
static struct chanrt__stack *chanrt__stack_take(int class) {
    struct chanrt__stack_class *k = &chanrt__stacks[class];
    char *low = NULL;
    size_t number = 0;
    pthread_mutex_lock(&k->mutex);
    struct chanrt__stack *s = k->free;
    if (s != NULL) k->free = s->next;
    else low = chanrt__stack_carve_locked(class, &number);
    pthread_mutex_unlock(&k->mutex);
    return low != NULL ? chanrt__stack_begin(low, class, number) : s;
}

// Gives a list of stacks, first to last, back to all workers.
static void chanrt__stack_give(struct chanrt__stack *first, struct chanrt__stack *last) {
    struct chanrt__stack_class *k = &chanrt__stacks[first->class];
    pthread_mutex_lock(&k->mutex);
    last->next = k->free;
    k->free = first;
    pthread_mutex_unlock(&k->mutex);
}

// Makes ctx stand for what runs on s.
static void chanrt__stack_adopt(struct chanrt__stack *s, struct chanrt__ctx *ctx) {
    (void)s, (void)ctx;
#if CHANRT_UCONTEXT
    ctx->uc = &s->uc;
#endif
#if CHANRT__ASAN
    ctx->fake = NULL;
    ctx->low = s->low;
    ctx->size = (size_t)(s->top - s->low);
#endif
#if CHANRT__TSAN
    ctx->fiber = s->fiber;
#endif
}

// The users' view: who used a stack before does not race with who does now.
static void chanrt__stack_forget(struct chanrt__stack *s) {
#if CHANRT_TSAN_USER
    struct chanrt__stack kept = *s;
    chanrt__os_renew(s->low, (size_t)((char *)(s + 1) - s->low));
    *s = kept;
#endif
    (void)s;
}

// Makes ctx start entry() on s.
static void chanrt__stack_enter(struct chanrt__stack *s, struct chanrt__ctx *ctx,
                                void (*entry)(void)) {
    chanrt__stack_forget(s);
#if CHANRT__ASAN
    __asan_unpoison_memory_region(s->low, (size_t)(s->top - s->low));
#endif
#if CHANRT__TSAN
    if (s->dirty) __tsan_destroy_fiber(s->fiber), s->fiber = NULL, s->dirty = false;
    if (s->fiber == NULL) s->fiber = __tsan_create_fiber(0);
#endif
    chanrt__stack_adopt(s, ctx);
    chanrt__ctx_init(ctx, s->low, s->top, entry);
}

static bool chanrt__stack_overflowed(const struct chanrt__stack *s, const char *address) {
    return address < s->low + 64 && address >= s->low - chanrt__stack_guard_size() - 4096;
}

// Unmaps everything; no task exists any more.
static void chanrt__stack_shutdown(void) {
    for (int class = 0; class < CHANRT__STACK_CLASSES; class ++) {
        struct chanrt__stack_class *k = &chanrt__stacks[class];
#if CHANRT__TSAN
        for (struct chanrt__stack *s = k->free; s != NULL; s = s->next)
            if (s->fiber != NULL) __tsan_destroy_fiber(s->fiber);
#endif
        while (k->chunks != NULL) {
            struct chanrt__stack_chunk *chunk = k->chunks;
            k->chunks = chunk->next;
#if CHANRT__ASAN
            __asan_unpoison_memory_region(chunk, chunk->size);
#endif
            chanrt__os_unmap(chunk, chunk->size);
        }
        pthread_mutex_destroy(&k->mutex);
        *k = (struct chanrt__stack_class){ .free = NULL };
    }
    chanrt__atom_store(&chanrt__os_guards_protected, 0);
}

//------------------------------------------------------------------------------
// >>list    The timer heap: a pairing heap, linked through its nodes.
//   uses    port
//   laws    No allocation, so arming a timer cannot fail; equal deadlines leave in
//           the order they came.
//   not     a binary heap in an array: it would have to grow under a spin lock
//   tests   unit/list.c
//------------------------------------------------------------------------------

struct chanrt__node {
    int64_t when;
    uint64_t order;
    struct chanrt__node *child, *next, *prev; // prev: the left sibling, or the parent
    bool linked;
    bool armed;           // since it was last disarmed: it may be firing (>>sched)
    uintptr_t (*fire)(struct chanrt__node *, int64_t now); // returns whom to make ready, or 0
};

static bool chanrt__list_before(const struct chanrt__node *a, const struct chanrt__node *b) {
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static struct chanrt__node *chanrt__list_meld(struct chanrt__node *a, struct chanrt__node *b) {
    if (a == NULL) return b;
    if (b == NULL) return a;
    if (chanrt__list_before(b, a)) {
        struct chanrt__node *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    b->prev = a;
    if (a->child != NULL) a->child->prev = b;
    a->child = b;
    return a;
}

// Melds a list of siblings in two passes: pairs left to right, then right to left.
static struct chanrt__node *chanrt__list_merge(struct chanrt__node *first) {
    struct chanrt__node *pairs = NULL, *root = NULL;
    while (first != NULL) {
        struct chanrt__node *a = first, *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL) b->next = b->prev = NULL;
        a = chanrt__list_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct chanrt__node *a = pairs;
        pairs = a->next;
        a->next = NULL;
        root = chanrt__list_meld(root, a);
    }
    return root;
}

static void chanrt__list_insert(struct chanrt__node **root, struct chanrt__node *n) {
    n->child = n->next = n->prev = NULL;
    n->linked = true;
    *root = chanrt__list_meld(*root, n);
}

static void chanrt__list_remove(struct chanrt__node **root, struct chanrt__node *n) {
    n->linked = false;
    if (*root == n) {
        *root = chanrt__list_merge(n->child);
        return;
    }
    if (n->prev->child == n) n->prev->child = n->next;
    else n->prev->next = n->next;
    if (n->next != NULL) n->next->prev = n->prev;
    *root = chanrt__list_meld(*root, chanrt__list_merge(n->child));
}

//------------------------------------------------------------------------------
// >>poll    Descriptors the kernel watches: one epoll instance, or poll(2).
//   uses    port fail atom os
//   owns    chanrt__poll; a_interest of every source
//   lock    chanrt__poll.mutex, for registrations; never with a spin lock held
//   laws    P1 an event is a hint: whoever it wakes looks at the descriptor again. So an event
//           of a closed descriptor, or of the number's former owner, costs a look and no more.
//           P2 one thread at a time blocks here; the kick wakes that one, and only it drains
//           the kick.
//           P3 the kernel forgets a descriptor that close(2) closes, and the number may come
//           again: a wait that lasts has its registration looked at again, by the worker that
//           noted it. The first one that was lost makes every wait renew its own from then on.
//   not     EPOLLONESHOT, or EPOLL_CTL_MOD before each wait: a system call more per wait
//   tests   unit/io.c spec/io.c model/io.pml
//------------------------------------------------------------------------------

enum {
    CHANRT__POLL_END = 4,      // besides the directions: no more than this, or out of line
    CHANRT__POLL_BATCH = 128,  // events taken at a time
    CHANRT__POLL_NOTES = 4096, // registrations a worker has yet to look at again; a power of two
    CHANRT__POLL_REVIEW = 32   // of them it looks at in a row
};
static const int64_t chanrt__poll_patience = 50000000; // ns of a wait that lasts
static const int64_t chanrt__poll_every = 100000;      // ns between looks of busy workers

// What has a descriptor. Its memory stays as long as the poller is open.
struct chanrt__source {
    void (*fire)(struct chanrt__source *s, int directions); // upward; on a worker's base stack
    int fd;
    uint32_t a_interest; // directions the kernel was asked to watch
    uint32_t a_kind;     // for >>fd; 0 again after each new registration
    uint32_t a_edges[2]; // events so far: to read, to write
};

struct chanrt__poll_event {
    struct chanrt__source *source;
    int directions;
};

struct chanrt__poll_note {
    struct chanrt__source *source;
    int64_t when;
    uint32_t edges, direction;
};

struct chanrt__poll_ring { // a worker's own
    uint32_t head, tail;
    struct chanrt__poll_note notes[CHANRT__POLL_NOTES];
};

static struct {
    pthread_mutex_t mutex;
    uint32_t a_open, a_careful;
    int64_t a_looked;                // when somebody last looked
    void (*a_own)(void);             // upward: takes what is for the calling thread alone
    int epoll, kick[2];              // kick: where to read, where to write
    struct chanrt__poll_ring *rings; // one per worker
    size_t bytes;
#if !CHANRT_EPOLL
    pthread_mutex_t look;            // one at a time: the arrays below
    struct chanrt__source **sources; // those with an interest
    struct pollfd *fds;
    struct chanrt__source **of;      // whose fds[i] is
    int count, room, fds_room;
#endif
} chanrt__poll = { .mutex = PTHREAD_MUTEX_INITIALIZER, .epoll = -1, .kick = { -1, -1 }
#if !CHANRT_EPOLL
                   , .look = PTHREAD_MUTEX_INITIALIZER
#endif
};

static void chanrt__poll_fire(const struct chanrt__poll_event *e) {
    chanrt__atom_load_acq(&e->source->fire)(e->source, e->directions); // [fire]
}

static inline bool chanrt__poll_open(void) {
    return chanrt__atom_load_acq(&chanrt__poll.a_open) != 0; // [poll] its fields
}

// What the kernel keeps for one thread, no event tells another one of: each asks for its own.
static inline void chanrt__poll_ask_own(void) {
    void (*own)(void) = chanrt__atom_load(&chanrt__poll.a_own);
    if (CHANRT__UNLIKELY(own != NULL)) own();
}

// Wakes the thread that blocks in chanrt__poll_look.
static void chanrt__poll_kick(void) {
    uint64_t one = 1;
    int kept = errno;
    if (write(chanrt__poll.kick[1], &one, CHANRT_EPOLL ? sizeof one : 1) < 0)
        (void)0; // full: it is awake
    errno = kept;
}

__attribute__((unused)) static void chanrt__poll_drain(void) {
    uint64_t word;
    ssize_t n;
    do n = read(chanrt__poll.kick[0], &word, sizeof word);
    while (n > 0 && !CHANRT_EPOLL);
}

static void chanrt__poll_close_all(void) {
    if (chanrt__poll.epoll >= 0) close(chanrt__poll.epoll);
    if (chanrt__poll.kick[0] >= 0) close(chanrt__poll.kick[0]);
    if (chanrt__poll.kick[1] >= 0 && chanrt__poll.kick[1] != chanrt__poll.kick[0])
        close(chanrt__poll.kick[1]);
    chanrt__poll.epoll = chanrt__poll.kick[0] = chanrt__poll.kick[1] = -1;
    if (chanrt__poll.rings != NULL) chanrt__os_unmap(chanrt__poll.rings, chanrt__poll.bytes);
    chanrt__poll.rings = NULL;
}

#if CHANRT_EPOLL
static uint32_t chanrt__poll_bits(uint32_t directions) {
    return (directions & CHANRT_IO_READ ? EPOLLIN | EPOLLPRI | EPOLLRDHUP : 0u) |
           (directions & CHANRT_IO_WRITE ? (uint32_t)EPOLLOUT : 0u);
}

// Past TSan, which takes a close of the number meanwhile for a race: here it is foreseen (P3).
static int chanrt__poll_ctl(int op, int fd, struct epoll_event *ev) {
    return (int)syscall(SYS_epoll_ctl, chanrt__poll.epoll, op, fd, ev);
}

// Opens the epoll instance; the kick is level-triggered, so that it stays until the one it is
// for has drained it, whoever sees it meanwhile. 0 or an error.
static int chanrt__poll_open_os(void) {
    if (CHANRT__FAULT(epoll_create)) return EMFILE;
    chanrt__poll.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (chanrt__poll.epoll < 0) return errno;
    if (CHANRT__FAULT(eventfd)) return EMFILE;
    int kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (kick < 0) return errno;
    chanrt__poll.kick[0] = chanrt__poll.kick[1] = kick;
    struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = NULL } };
    return chanrt__poll_ctl(EPOLL_CTL_ADD, kick, &ev) == 0 ? 0 : errno;
}

// Has the kernel watch s in these directions. If it is ready now, that is an event.
static int chanrt__poll_register_locked(struct chanrt__source *s, uint32_t directions) {
    struct epoll_event ev = { .events = chanrt__poll_bits(directions) | (uint32_t)EPOLLET,
                              .data = { .ptr = s } };
    if (CHANRT__FAULT(epoll_ctl)) return ENOSPC;
    bool known = chanrt__atom_load(&s->a_interest) != 0;
    int fd = chanrt__atom_load(&s->fd); // several may arm it first, with one number
    int err = chanrt__poll_ctl(known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
    if (err != 0 && errno == (known ? ENOENT : EEXIST)) {
        if (known) chanrt__atom_store(&chanrt__poll.a_careful, 1); // P3
        chanrt__atom_store(&s->a_kind, 0);
        err = chanrt__poll_ctl(known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
    }
    if (err != 0) return errno;
    if (chanrt__atom_load(&s->a_interest) == 0) chanrt__atom_store(&s->a_kind, 0);
    chanrt__atom_store(&s->a_interest, directions);
    return 0;
}

static void chanrt__poll_forget_locked(struct chanrt__source *s) {
    struct epoll_event ev = { .events = 0, .data = { .ptr = s } };
    chanrt__poll_ctl(EPOLL_CTL_DEL, chanrt__atom_load(&s->fd), &ev);
}

static int chanrt__poll_wait_os(struct epoll_event *found, int64_t until) {
    enum { EPOLL_PWAIT2 = 441 };
    int64_t left = until == CHANRT__FOREVER ? -1 : until > 0 ? until - chanrt_now() : 0;
    if (until != CHANRT__FOREVER && left < 0) left = 0;
    static uint32_t coarse; // the kernel is older than 5.11
    if (left > 0 && !chanrt__atom_load(&coarse)) {
        struct { int64_t seconds, nanoseconds; } t = { left / 1000000000, left % 1000000000 };
        long n = syscall(EPOLL_PWAIT2, chanrt__poll.epoll, found, CHANRT__POLL_BATCH, &t, NULL, 0);
        if (n >= 0 || errno != ENOSYS) return (int)n;
        chanrt__atom_store(&coarse, 1);
    }
    int ms = left < 0 ? -1 : left >= (int64_t)INT_MAX * 1000000 ? INT_MAX
                                                                 : (int)((left + 999999) / 1000000);
    return epoll_wait(chanrt__poll.epoll, found, CHANRT__POLL_BATCH, ms);
}

// Takes events; waits for some until the instant, FOREVER, or not at all: 0. Returns how many;
// one that waited returns early after a kick.
static int chanrt__poll_look(struct chanrt__poll_event *out, int64_t until) {
    struct epoll_event found[CHANRT__POLL_BATCH];
    int kept = errno, n = chanrt__poll_wait_os(found, until), count = 0;
    for (int i = 0; i < n; i++) {
        uint32_t e = found[i].events;
        if (found[i].data.ptr == NULL) {
            if (until != 0) chanrt__poll_drain(); // P2
            continue;
        }
        out[count].source = (struct chanrt__source *)found[i].data.ptr;
        out[count++].directions =
            (e & ~(uint32_t)EPOLLOUT ? CHANRT_IO_READ : 0) |
            (e & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? CHANRT_IO_WRITE : 0) |
            (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI) ? CHANRT__POLL_END : 0);
    }
    errno = kept;
    return count;
}
#elif !CHANRT__DESCRIPTORS
// Nothing can be watched.
static int chanrt__poll_open_os(void) { return ENOSYS; }
static int chanrt__poll_register_locked(struct chanrt__source *s, uint32_t directions) {
    (void)s, (void)directions;
    return ENOSYS;
}
static void chanrt__poll_forget_locked(struct chanrt__source *s) { (void)s; }
static int chanrt__poll_look(struct chanrt__poll_event *out, int64_t until) {
    (void)out, (void)until;
    return 0;
}
#else
// poll(2): the interest of a source lasts until its next event, and the array is made anew for
// each look.
static int chanrt__poll_open_os(void) {
    if (CHANRT__FAULT(pipe)) return EMFILE;
    if (pipe(chanrt__poll.kick) != 0) return errno;
    for (int i = 0; i < 2; i++) {
        fcntl(chanrt__poll.kick[i], F_SETFD, FD_CLOEXEC);
        fcntl(chanrt__poll.kick[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int chanrt__poll_register_locked(struct chanrt__source *s, uint32_t directions) {
    if (chanrt__atom_load(&s->a_interest) == 0) {
        if (chanrt__poll.count == chanrt__poll.room) {
            int room = chanrt__poll.room * 2 + 64;
            void *more = CHANRT_REALLOC(chanrt__poll.sources,
                                        (size_t)room * sizeof(struct chanrt__source *));
            if (more == NULL) return ENOMEM;
            chanrt__poll.sources = (struct chanrt__source **)more;
            chanrt__poll.room = room;
        }
        chanrt__poll.sources[chanrt__poll.count++] = s;
    }
    chanrt__atom_store(&s->a_interest, directions);
    chanrt__poll_kick(); // who waits does so without it
    return 0;
}

static void chanrt__poll_forget_locked(struct chanrt__source *s) {
    for (int i = 0; i < chanrt__poll.count; i++)
        if (chanrt__poll.sources[i] == s)
            chanrt__poll.sources[i--] = chanrt__poll.sources[--chanrt__poll.count];
}

// The array for poll(2), the kick first. Its length; 0: no memory.
static int chanrt__poll_collect(void) {
    pthread_mutex_lock(&chanrt__poll.mutex);
    int n = 0, want = chanrt__poll.count + 1;
    if (want > chanrt__poll.fds_room) {
        size_t room = (size_t)want + 64;
        CHANRT_FREE(chanrt__poll.fds);
        CHANRT_FREE(chanrt__poll.of);
        chanrt__poll.fds = (struct pollfd *)CHANRT_MALLOC(room * sizeof(struct pollfd));
        chanrt__poll.of =
            (struct chanrt__source **)CHANRT_MALLOC(room * sizeof(struct chanrt__source *));
        bool got = chanrt__poll.fds != NULL && chanrt__poll.of != NULL;
        chanrt__poll.fds_room = got ? (int)room : 0;
    }
    if (chanrt__poll.fds_room >= want) {
        chanrt__poll.fds[n++] = (struct pollfd){ chanrt__poll.kick[0], POLLIN, 0 };
        for (int i = 0; i < chanrt__poll.count; i++) {
            struct chanrt__source *s = chanrt__poll.sources[i];
            uint32_t d = chanrt__atom_load(&s->a_interest);
            chanrt__poll.of[n] = s;
            chanrt__poll.fds[n++] = (struct pollfd){
                s->fd, (short)((d & CHANRT_IO_READ ? POLLIN | POLLPRI : 0) |
                               (d & CHANRT_IO_WRITE ? POLLOUT : 0)), 0 };
        }
    }
    pthread_mutex_unlock(&chanrt__poll.mutex);
    return n;
}

// Ends the interest of s in these directions; the caller has an event of them.
static void chanrt__poll_spend(struct chanrt__source *s, int directions) {
    pthread_mutex_lock(&chanrt__poll.mutex);
    uint32_t left = chanrt__atom_load(&s->a_interest) & ~(uint32_t)directions;
    chanrt__atom_store(&s->a_interest, left);
    if (left == 0) chanrt__poll_forget_locked(s);
    pthread_mutex_unlock(&chanrt__poll.mutex);
}

static int chanrt__poll_look(struct chanrt__poll_event *out, int64_t until) {
    if (until == 0 && pthread_mutex_trylock(&chanrt__poll.look) != 0) return 0;
    if (until != 0) pthread_mutex_lock(&chanrt__poll.look);
    int kept = errno, count = 0, n = chanrt__poll_collect();
    int64_t left = until == CHANRT__FOREVER ? -1 : until > 0 ? until - chanrt_now() : 0;
    if (until != CHANRT__FOREVER && left < 0) left = 0;
    int ms = left < 0 ? -1 : left > 1000000000 ? 1000 : (int)((left + 999999) / 1000000);
    struct pollfd only = { chanrt__poll.kick[0], POLLIN, 0 };
    if (poll(n > 0 ? chanrt__poll.fds : &only, (nfds_t)(n > 0 ? n : 1), ms) > 0 && n > 0) {
        if (chanrt__poll.fds[0].revents != 0 && until != 0) chanrt__poll_drain();
        for (int i = 1; i < n && count < CHANRT__POLL_BATCH; i++) {
            int e = chanrt__poll.fds[i].revents, d = 0;
            if (e == 0) continue;
            if (e & ~POLLOUT) d |= CHANRT_IO_READ;
            if (e & ~(POLLIN | POLLPRI)) d |= CHANRT_IO_WRITE;
            if (e & ~(POLLIN | POLLPRI | POLLOUT)) d |= CHANRT__POLL_END;
            chanrt__poll_spend(chanrt__poll.of[i], d);
            out[count].source = chanrt__poll.of[i];
            out[count++].directions = d;
        }
    }
    errno = kept;
    pthread_mutex_unlock(&chanrt__poll.look);
    return count;
}
#endif

// Opens the poller for a pool of so many workers. 0 or an error.
static int chanrt__poll_start(int workers) {
    int kept = errno, err = 0;
    pthread_mutex_lock(&chanrt__poll.mutex);
    if (!chanrt__poll.a_open) {
        chanrt__poll.bytes = (size_t)workers * sizeof(struct chanrt__poll_ring);
        chanrt__poll.rings = (struct chanrt__poll_ring *)chanrt__os_map(chanrt__poll.bytes);
        err = chanrt__poll.rings != NULL ? chanrt__poll_open_os() : ENOMEM;
        if (err != 0) chanrt__poll_close_all();
        else chanrt__atom_store_rel(&chanrt__poll.a_open, 1); // [poll]
    }
    pthread_mutex_unlock(&chanrt__poll.mutex);
    errno = kept;
    return err;
}

// Closes it; no worker runs, and no thread waits.
static void chanrt__poll_shutdown(void) {
    chanrt__poll_close_all();
#if !CHANRT_EPOLL
    CHANRT_FREE(chanrt__poll.sources);
    CHANRT_FREE(chanrt__poll.fds);
    CHANRT_FREE(chanrt__poll.of);
    chanrt__poll.sources = chanrt__poll.of = NULL;
    chanrt__poll.fds = NULL;
    chanrt__poll.count = chanrt__poll.room = chanrt__poll.fds_room = 0;
#endif
    chanrt__atom_store(&chanrt__poll.a_careful, 0);
    chanrt__atom_store(&chanrt__poll.a_open, 0);
}

static int chanrt__poll_register(struct chanrt__source *s, uint32_t directions) {
    int kept = errno;
    pthread_mutex_lock(&chanrt__poll.mutex);
    directions |= chanrt__atom_load(&s->a_interest);
    int err = directions != 0 ? chanrt__poll_register_locked(s, directions) : 0;
    pthread_mutex_unlock(&chanrt__poll.mutex);
    errno = kept;
    return err;
}

// The descriptor is about to be closed, or another one has got its number.
static void chanrt__poll_forget(struct chanrt__source *s) {
    if (chanrt__atom_load(&s->a_interest) == 0) return;
    int kept = errno;
    pthread_mutex_lock(&chanrt__poll.mutex);
    chanrt__atom_store(&s->a_interest, 0);
    chanrt__atom_store(&s->a_kind, 0);
    if (chanrt__poll_open()) chanrt__poll_forget_locked(s);
    pthread_mutex_unlock(&chanrt__poll.mutex);
    errno = kept;
}

// Looks again at registrations whose waits have lasted (P3). Returns when the next one is due.
static int64_t chanrt__poll_review(int worker, int64_t now) {
    struct chanrt__poll_ring *ring = &chanrt__poll.rings[worker];
    for (int n = 0; ring->head != ring->tail; ring->head++) {
        struct chanrt__poll_note *note = &ring->notes[ring->head % CHANRT__POLL_NOTES];
        struct chanrt__source *s = note->source;
        if (chanrt__atom_load(&s->a_edges[note->direction]) != note->edges) continue;
        if (now - note->when < chanrt__poll_patience) return note->when + chanrt__poll_patience;
        if (n++ == CHANRT__POLL_REVIEW) return now;
        if (chanrt__poll_register(s, 0) != 0) // closed: let those who wait see it
            s->fire(s, CHANRT_IO_READ | CHANRT_IO_WRITE | CHANRT__POLL_END);
    }
    return CHANRT__FOREVER;
}

// Sees to it that events of s in this direction (one of the two) are fired from now on. worker:
// the calling worker's index, or -1.
static int chanrt__poll_arm(struct chanrt__source *s, int direction, int worker, int64_t now) {
    bool known = (chanrt__atom_load(&s->a_interest) & (uint32_t)direction) != 0;
    if (!known || !CHANRT_EPOLL || worker < 0 ||
        chanrt__atom_load(&chanrt__poll.a_careful) != 0) { // poll(2) watches the old file: anew
        int err = chanrt__poll_register(s, (uint32_t)direction);
        if (err != 0) return err;
    }
    if (!CHANRT_EPOLL || worker < 0) return 0;
    struct chanrt__poll_ring *ring = &chanrt__poll.rings[worker];
    if (ring->tail - ring->head == CHANRT__POLL_NOTES) // too many to remember: now, then
        return chanrt__poll_register(s, (uint32_t)direction);
    uint32_t d = direction == CHANRT_IO_WRITE;
    ring->notes[ring->tail++ % CHANRT__POLL_NOTES] =
        (struct chanrt__poll_note){ s, now, chanrt__atom_load(&s->a_edges[d]), d };
    return 0;
}

//------------------------------------------------------------------------------
// >>task    The task record and its memory.
//   uses    port fail atom os ctx stack list
//   owns    chanrt__slabs: all records, in use or free, for the life of the runtime
//   laws    T1 a task is in exactly one place: a queue, a worker, a wait, or ended.
//           A record not in use has id 0.
//
//   prepared --ready--> new --first run--> running <--> waiting
//                       (no stack)            |   \--> ready (a queue)
//                                             ended: record and stack go back
//------------------------------------------------------------------------------

// Why a task waits, in Go's words.
enum chanrt__reason {
    CHANRT__NOT_WAITING, CHANRT__WAIT_SEND, CHANRT__WAIT_RECV, CHANRT__WAIT_SELECT,
    CHANRT__WAIT_SELECT_NONE, CHANRT__WAIT_SLEEP, CHANRT__WAIT_GROUP, CHANRT__WAIT_MUTEX,
    CHANRT__WAIT_RLOCK, CHANRT__WAIT_WLOCK, CHANRT__WAIT_ONCE, CHANRT__WAIT_COND, CHANRT__WAIT_SEM,
    CHANRT__WAIT_TASKS, CHANRT__WAIT_LIMIT, CHANRT__WAIT_IO, CHANRT__WAIT_BLOCKING,
    CHANRT__PREPARED // not a task yet: a timer's, until it fires
};
static const char *const chanrt__task_reasons[] = {
    "runnable", "chan send", "chan receive", "select", "select (no cases)", "sleep",
    "waitgroup wait", "sync.Mutex.Lock", "sync.RWMutex.RLock", "sync.RWMutex.Lock", "sync.Once.Do",
    "sync.Cond.Wait", "semacquire", "task group wait", "task group limit", "IO wait",
    "blocking call"
};

// What a frame of a task wants called if task_exit drops it.
struct chanrt__unwind {
    struct chanrt__unwind *outer;
    void (*call)(void *arg);      // upward; does not wait
    void *arg;
};

struct chanrt__task {
    struct chanrt__task *next;    // in a queue or on a free list
    struct chanrt__ctx ctx;
    uint32_t a_on_cpu;            // may be woken early: 1 until its registers are saved
    uint16_t place;               // the stack's class until it starts, then a pinned one's worker
    uint8_t a_reason, flags;
    struct chanrt__stack *stack;  // NULL until it first runs
    const chanrt_x_site *a_site;
    uint64_t a_id;
    int (*entry)(void *);         // upward: the user's function
    void (*end)(void *object, int result); // upward: who is told of the end
    void *end_object;
    const char *a_name;
    union {
        unsigned char args[64];   // until it starts
        struct {                  // until it starts, if the arguments do not fit above
            void *args, *block;
        } large;
        struct {                  // from its start
            void *large;          // what to free at the end
            void *a_object;       // what it waits on, for the dump
            int64_t a_since;
            struct chanrt__wait *wait;
            struct chanrt__unwind *unwind; // valid with CHANRT__UNWINDS
        } run;
    } u CHANRT__ALIGNED(32);
#if CHANRT_DEBUG
    const chanrt_x_site *a_at;    // of the last call that noted its place
    const chanrt_x_site *a_waits; // of the call it waits in, if that did
#endif
#if CHANRT_PROFILE
    int64_t a_left;               // when it stopped running; 0: it runs, or never has
    uint32_t profiled;            // its place in >>profile's table
#endif
#if CHANRT_TRACE
    struct chanrt__os_arrow arrow;
    uint32_t traced;              // its place in >>trace's table
#endif
};
enum { CHANRT__PINNED = 1, CHANRT__EXITED = 2, CHANRT__LARGE = 4, CHANRT__UNWINDS = 8 };
#if defined(__LP64__) && !CHANRT_UCONTEXT && !CHANRT__ASAN && !CHANRT__FIBERS && !CHANRT_DEBUG && \
    !CHANRT_TRACE && !CHANRT_PROFILE
_Static_assert(sizeof(struct chanrt__task) == 160, "what a spawned task costs until it runs");
#endif

struct chanrt__slab {
    struct chanrt__slab *next;
    size_t bytes, count;
    struct chanrt__task *tasks;
};

static struct {
    pthread_mutex_t mutex;
    struct chanrt__slab *first;
    struct chanrt__task *free;
    size_t a_bytes;
} chanrt__slabs = { PTHREAD_MUTEX_INITIALIZER, NULL, NULL, 0 };

// Adds a slab: 64 KiB first, then 2 MiB, on a huge page if the kernel has one.
static bool chanrt__task_grow_locked(void) {
    size_t bytes = chanrt__slabs.first == NULL ? (size_t)64 << 10 : (size_t)2 << 20;
    char *p = chanrt__os_map(bytes);
    if (p == NULL) return false;
    if (bytes > (size_t)64 << 10) chanrt__os_huge(p, bytes, true);
    struct chanrt__slab *slab = (struct chanrt__slab *)p;
    slab->bytes = bytes;
    slab->tasks = (struct chanrt__task *)(p + 64);
    slab->count = (bytes - 64) / sizeof(struct chanrt__task);
    slab->next = chanrt__slabs.first;
    chanrt__atom_store_rel(&chanrt__slabs.first, slab); // [slab] its fields, for the dump
    chanrt__atom_add(&chanrt__slabs.a_bytes, bytes);
    for (size_t i = slab->count; i-- > 0;) {
        slab->tasks[i].next = chanrt__slabs.free;
        chanrt__slabs.free = &slab->tasks[i];
    }
    return true;
}

// Takes up to n records off the shared list; *got tells how many.
static struct chanrt__task *chanrt__task_take(int n, int *got) {
    pthread_mutex_lock(&chanrt__slabs.mutex);
    if (chanrt__slabs.free == NULL) chanrt__task_grow_locked();
    struct chanrt__task *first = chanrt__slabs.free, *last = NULL;
    *got = 0;
    for (struct chanrt__task *t = first; t != NULL && *got < n; t = t->next, ++*got) last = t;
    if (last != NULL) {
        chanrt__slabs.free = last->next;
        last->next = NULL;
    }
    pthread_mutex_unlock(&chanrt__slabs.mutex);
    return first;
}

static void chanrt__task_give(struct chanrt__task *first, struct chanrt__task *last) {
    pthread_mutex_lock(&chanrt__slabs.mutex);
    last->next = chanrt__slabs.free;
    chanrt__slabs.free = first;
    pthread_mutex_unlock(&chanrt__slabs.mutex);
}

static void chanrt__task_shutdown(void) {
    while (chanrt__slabs.first != NULL) {
        struct chanrt__slab *slab = chanrt__slabs.first;
        chanrt__slabs.first = slab->next;
        chanrt__os_unmap(slab, slab->bytes);
    }
    chanrt__slabs.free = NULL;
    chanrt__slabs.a_bytes = 0;
}

// Copies the arguments in. False: no memory for those that do not fit.
static bool chanrt__task_pack(struct chanrt__task *t, const void *args, size_t size,
                              size_t align) {
    if (size <= sizeof t->u.args && align <= 32) {
        if (size != 0) memcpy(t->u.args, args, size);
        return true;
    }
    char *block = size > SIZE_MAX - align ? NULL : (char *)CHANRT_MALLOC(size + align);
    if (block == NULL) return false;
    t->flags |= CHANRT__LARGE;
    t->u.large.block = block;
    t->u.large.args = (void *)(((uintptr_t)block + align - 1) & ~(uintptr_t)(align - 1));
    memcpy(t->u.large.args, args, size);
    return true;
}

// Runs the task's function to its end. Its arguments are read before anything else happens,
// so from then on their place holds the fields of a task that has started.
static int chanrt__task_run(struct chanrt__task *t) {
    chanrt__atom_take(t); // of a timer's task; others follow their parent anyway
    if (!(t->flags & CHANRT__LARGE)) return t->entry(t->u.args);
    void *args = t->u.large.args;
    t->u.run.large = t->u.large.block;
    return t->entry(args);
}

#if CHANRT_PROFILE
//------------------------------------------------------------------------------
// >>profile  Where the time goes: run time and blocked time by spawn place, for flame graphs.
//   uses    port fail atom os task
//   owns    chanrt__profile
//   laws    Every instant of a task's life after its first run counts once: as run, from a switch
//           to it to the next switch of its worker, or as blocked. So all run time together is
//           at most the time that passed, times workers.
//           Nothing of this exists in other builds: other rooms name it only in
//           CHANRT__IF_PROFILE (tests/tools/hook_free.sh).
//   tests   tests/tools/profile.sh
//
//   In the environment: CHANRT_PROFILE_FILE=out.folded, without which nothing is recorded. A
//   shutdown and the end of the process write it (not a deadlock or a fatal error): a line for each
//   spawn place and reason, in microseconds, as flame graphs are made of (tests/tools/flame.awk):
//       run;name (file:line) 1234
//       blocked;name (file:line);chan receive 5678
//   Blocked is until it runs again, so the wait for a worker is part of it; `runnable` is that
//   wait alone, after a yield. Tasks of more than 1023 places are one, "others".
//   Round trips took 2.0 times as long while it recorded, and 1.1 times without the file; buffered
//   sends and receives as long as ever (tests/bench: pingpong_same, buf_pair; x86-64 EPYC).
//------------------------------------------------------------------------------

enum { CHANRT__PROFILE_PLACES = 1024, CHANRT__PROFILE_REASONS = CHANRT__PREPARED };

struct chanrt__profile_place {
    const chanrt_x_site *a_site;
    char name[48], file[96];
    int line;
    int64_t a_run, a_blocked[CHANRT__PROFILE_REASONS]; // ns
};

// What a worker is at.
struct chanrt__profile_worker {
    int64_t a_since;
    uint32_t a_place;                // 0: nothing of a task's
};

static struct {
    pthread_mutex_t mutex;           // who adds a place, who writes the file
    uint32_t a_on;
    int process;                     // a child made by fork writes nothing
    char file[1024];
    struct chanrt__profile_place places[CHANRT__PROFILE_PLACES]; // 0: others
} chanrt__profile = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void chanrt__profile_start(void) {
    const char *file = getenv("CHANRT_PROFILE_FILE");
    if (file == NULL || strlen(file) >= sizeof chanrt__profile.file) return;
    memcpy(chanrt__profile.file, file, strlen(file) + 1);
    chanrt__profile.process = (int)getpid();
    chanrt__atom_store(&chanrt__profile.a_on, 1);
}

// The number of a spawn place; the first time it is copied, for its site may be gone at the end.
static uint32_t chanrt__profile_place(const chanrt_x_site *site) {
    uint32_t at = (uint32_t)((uintptr_t)site >> 3) * 2654435761u >> 8;
    if (!chanrt__atom_load(&chanrt__profile.a_on)) return 0;
    for (uint32_t i = 0; i < CHANRT__PROFILE_PLACES; i++, at++) {
        uint32_t n = at % CHANRT__PROFILE_PLACES;
        struct chanrt__profile_place *p = &chanrt__profile.places[n];
        if (n == 0) continue;
        if (chanrt__atom_load_acq(&p->a_site) == site) return n; // [profile]
        if (chanrt__atom_load(&p->a_site) != NULL) continue;
        pthread_mutex_lock(&chanrt__profile.mutex);
        bool mine = chanrt__atom_load(&p->a_site) == NULL;
        if (mine) {
            snprintf(p->name, sizeof p->name, "%s", site->name);
            snprintf(p->file, sizeof p->file, "%s", site->file);
            p->line = site->line;
            chanrt__atom_store_rel(&p->a_site, site); // [profile] its texts
        }
        mine = chanrt__atom_load(&p->a_site) == site;
        pthread_mutex_unlock(&chanrt__profile.mutex);
        if (mine) return n;
    }
    return 0;
}

// The worker goes on with next, NULL: on its base stack. left: who waits, or is still ready; NULL:
// who ran has ended, or there was nobody.
CHANRT__NOINLINE static void chanrt__profile_switch(struct chanrt__profile_worker *w,
                                                    struct chanrt__task *left,
                                                    struct chanrt__task *next) {
    static const uint32_t none = UINT32_MAX;
    if (!chanrt__atom_load(&chanrt__profile.a_on)) return;
    int64_t now = chanrt__os_clock(), since = w->a_since;
    uint32_t place = w->a_place;
    if (since != 0 && place != none)
        chanrt__atom_add(&chanrt__profile.places[place].a_run, now - since);
    chanrt__atom_store(&w->a_place, next != NULL ? next->profiled : none);
    chanrt__atom_store(&w->a_since, now);
    if (left != NULL) chanrt__atom_store(&left->a_left, now);
    if (next == NULL || next->a_left == 0) return;
    struct chanrt__profile_place *p = &chanrt__profile.places[next->profiled];
    chanrt__atom_add(&p->a_blocked[chanrt__atom_load(&next->a_reason)], now - next->a_left);
    chanrt__atom_store(&next->a_left, 0);
}

static void chanrt__profile_line(FILE *f, const struct chanrt__profile_place *p, const char *how,
                                 const char *reason, int64_t ns) {
    if (ns < 1000) return;
    if (p == chanrt__profile.places) fprintf(f, "%s;others", how);
    else fprintf(f, "%s;%s (%s:%d)", how, p->name, p->file, p->line);
    fprintf(f, "%s%s %lld\n", reason != NULL ? ";" : "", reason != NULL ? reason : "",
            (long long)(ns / 1000));
}

// With those who wait even now.
static void chanrt__profile_write_locked(FILE *f) {
    static int64_t blocked[CHANRT__PROFILE_PLACES][CHANRT__PROFILE_REASONS];
    int64_t now = chanrt__os_clock();
    memset(blocked, 0, sizeof blocked);
    for (struct chanrt__slab *s = chanrt__atom_load_acq(&chanrt__slabs.first); s != NULL; // [slab]
         s = s->next)
        for (size_t i = 0; i < s->count; i++) {
            struct chanrt__task *t = &s->tasks[i];
            int64_t left = chanrt__atom_load(&t->a_left);
            uint8_t reason = chanrt__atom_load(&t->a_reason);
            if (chanrt__atom_load(&t->a_id) == 0 || left == 0 || left > now) continue;
            if (reason < CHANRT__PROFILE_REASONS) blocked[t->profiled][reason] += now - left;
        }
    for (int n = 0; n < CHANRT__PROFILE_PLACES; n++) {
        struct chanrt__profile_place *p = &chanrt__profile.places[n];
        if (n > 0 && chanrt__atom_load_acq(&p->a_site) == NULL) continue; // [profile]
        chanrt__profile_line(f, p, "run", NULL, chanrt__atom_load(&p->a_run));
        for (int r = 0; r < CHANRT__PROFILE_REASONS; r++)
            chanrt__profile_line(f, p, "blocked", chanrt__task_reasons[r],
                                 chanrt__atom_load(&p->a_blocked[r]) + blocked[n][r]);
    }
}

// Also at the end of the process, with workers running.
__attribute__((destructor)) static void chanrt__profile_write(void) {
    if (!chanrt__atom_load(&chanrt__profile.a_on)) return;
    if (chanrt__profile.process != (int)getpid()) return;
    pthread_mutex_lock(&chanrt__profile.mutex);
    FILE *f = fopen(chanrt__profile.file, "w");
    if (f != NULL) chanrt__profile_write_locked(f);
    if (f == NULL || fclose(f) != 0)
        chanrt__fail_say("the profile cannot be written to %s: %s", chanrt__profile.file,
                         strerror(errno));
    pthread_mutex_unlock(&chanrt__profile.mutex);
}
#endif

//------------------------------------------------------------------------------
// >>det    The deterministic mode: one seed, one order.
//   uses    port fail atom os task
//   owns    chanrt__det: whose turn it is, and how the next one is drawn
//   lock    chanrt__det.mutex: the turn and the threads' lists; taken last
//   laws    D1 of the worker and the ordinary threads that have called in, one has the turn and
//           runs; who has it decides alone, with the seed, who is next. D2 only the worker
//           touches the window and its queues: a thread that was left behind and comes back
//           out of turn disturbs the order, not the memory.
//   not     the threads as coroutines of the worker: their thread-locals would be the worker's.
//           Drawing on the thread that has the turn: it would read the worker's queues (D2)
//   tests   spec/seed.c
//
//   The worker draws. A thread that is drawn gets the turn until its next call; there it gives it
//   back if anybody else could go on, and is drawn again, or blocks.
//------------------------------------------------------------------------------

enum {
    CHANRT__DET_WINDOW = 128,  // ready tasks and threads among which the next is drawn
    CHANRT__DET_DEMOTED = 16,  // remembered; later ones come after
    CHANRT__DET_FAIR_AFTER = 2000 // draws without a pause until priorities give way to chance
};
// For a thread that has the turn and is away; and once that has happened, and order is lost.
static const int64_t chanrt__det_patience = 1000000000, chanrt__det_impatience = 5000000;

enum chanrt__det_style { CHANRT__DET_UNIFORM, CHANRT__DET_STICKY, CHANRT__DET_RANKED };
enum { CHANRT__DET_RUNS, CHANRT__DET_READY, CHANRT__DET_BLOCKED, CHANRT__DET_DRAINS };

#ifndef CHANRT_STATIC
uint32_t chanrt_x_drawn; // the same as a_on, for what is inlined into programs
#endif
static struct {
    pthread_mutex_t mutex;
    bool a_on;                         // read by every operation of the library
    uint32_t a_worker_turn;            // 1: it is the worker's turn
    uint32_t a_stop;
    uint32_t a_ready;                  // threads that are ready
    uint32_t a_busy;                   // calls on helper threads
    uint32_t a_turns;                  // turns so far: a sign of life
    uint32_t run, threads;             // which run this is; threads that have called in
    struct chanrt__os_thread *holder;  // whose turn it is; NULL: the worker's
    struct chanrt__os_thread *ready, *ready_last, *blocked;
    pthread_key_t key;                 // tells of a thread's end
    bool keyed, a_lost;                // a thread has been left behind
    // The worker's own.
    enum chanrt__det_style style;
    uint32_t stick;                    // one draw in so many may change who runs
    uint64_t salt;                     // of the ranks
    uint32_t draws, since_pause;       // draws of this run
    uint32_t change[2];                // those at which who ran last is demoted
    uint64_t demoted[CHANRT__DET_DEMOTED];
    uint32_t demotions;
    uint64_t last;                     // who was drawn last
    uintptr_t window[CHANRT__DET_WINDOW]; // owners, as in a wait
    int a_count;
} chanrt__det = { .mutex = PTHREAD_MUTEX_INITIALIZER };

// The seed the environment asks for, 0 if none.
static uint64_t chanrt__det_environment(void) {
    const char *text = getenv("CHANRT_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : 0;
}

// --- whose turn it is

static void chanrt__det_pass_locked(struct chanrt__os_thread *to) {
    uint32_t *word = to != NULL ? &to->a_turn : &chanrt__det.a_worker_turn;
    chanrt__det.holder = to;
    chanrt__atom_add(&chanrt__det.a_turns, 1);
    chanrt__atom_store_rel(word, 1); // [turn] all that was done so far
    chanrt__os_wake(word);
}

// Order is lost; how long to wait for it is shorter from now on.
static void chanrt__det_lose(void) {
    if (chanrt__atom_load(&chanrt__det.a_lost)) return;
    chanrt__atom_store(&chanrt__det.a_lost, true);
    chanrt__fail_say("a thread has been away for a second, outside the deterministic run: the seed "
                     "no longer decides when it comes back");
}

static int64_t chanrt__det_patient_until(void) {
    return chanrt__os_clock() + (chanrt__atom_load(&chanrt__det.a_lost) ? chanrt__det_impatience
                                                                       : chanrt__det_patience);
}

// The thread that has the turn computes or blocks elsewhere: the worker goes on without it.
static void chanrt__det_leave_behind(uint32_t turns) {
    pthread_mutex_lock(&chanrt__det.mutex);
    bool away = chanrt__atom_load(&chanrt__det.a_turns) == turns && chanrt__det.holder != NULL;
    if (away) chanrt__det_pass_locked(NULL);
    pthread_mutex_unlock(&chanrt__det.mutex);
    if (away) chanrt__det_lose();
}

// Waits for the turn. The worker returns at the end, too.
static void chanrt__det_await(uint32_t *word) {
    uint32_t turns = 0;
    int64_t until = 0; // how long to wait while no turn ends
    while (chanrt__atom_load_acq(word) == 0) { // [turn]
        if (chanrt__atom_load_acq(&chanrt__det.a_stop)) return; // [turn]
        uint32_t seen = chanrt__atom_load(&chanrt__det.a_turns);
        if (until == 0 || seen != turns) until = chanrt__det_patient_until();
        turns = seen;
        chanrt__os_sleep(word, 0, until);
        if (chanrt__os_clock() < until) continue;
        chanrt__det_leave_behind(turns);
        until = 0;
    }
    chanrt__atom_store(word, 0);
}

static void chanrt__det_thread_ready_locked(struct chanrt__os_thread *t) {
    t->waits = CHANRT__DET_READY;
    t->turn_next = NULL;
    if (chanrt__det.ready == NULL) chanrt__det.ready = t;
    else chanrt__det.ready_last->turn_next = t;
    chanrt__det.ready_last = t;
    chanrt__atom_add(&chanrt__det.a_ready, 1);
    chanrt__os_wake(&chanrt__det.a_ready); // the worker may have nothing else to do
}

static void chanrt__det_unblock_locked(struct chanrt__os_thread *t) {
    struct chanrt__os_thread **at = &chanrt__det.blocked;
    while (*at != t) at = &(*at)->turn_next;
    *at = t->turn_next;
    chanrt__det_thread_ready_locked(t);
}

// A call on a helper thread begins (1) or ends (-1). Everything else waits for it, so that it ends
// at the same place in every run.
static void chanrt__det_busy(int n) {
    if (!chanrt__atom_load(&chanrt__det.a_on)) return;
    chanrt__atom_add(&chanrt__det.a_busy, (uint32_t)n);
    if (n < 0) chanrt__os_wake(&chanrt__det.a_busy);
}

static void chanrt__det_await_helpers(void) {
    int64_t until = 0;
    for (uint32_t n; (n = chanrt__atom_load(&chanrt__det.a_busy)) != 0;) {
        if (until == 0) until = chanrt__det_patient_until();
        chanrt__os_sleep(&chanrt__det.a_busy, n, until);
        if (chanrt__os_clock() < until) continue;
        chanrt__det_lose();
        return;
    }
}

// A thread that has the turn ends.
static void chanrt__det_gone(void *self) {
    pthread_mutex_lock(&chanrt__det.mutex);
    if (chanrt__atom_load(&chanrt__det.a_on) && chanrt__det.holder == self)
        chanrt__det_pass_locked(NULL);
    pthread_mutex_unlock(&chanrt__det.mutex);
}

static void chanrt__det_number_locked(struct chanrt__os_thread *self) {
    if (self->run == chanrt__det.run) return;
    self->run = chanrt__det.run;
    self->number = ++chanrt__det.threads;
    pthread_setspecific(chanrt__det.key, self);
}

// A thread calls in. Others: whether anything else could go on.
static void chanrt__det_thread_point(struct chanrt__os_thread *self, bool others) {
    pthread_mutex_lock(&chanrt__det.mutex);
    bool mine = chanrt__det.holder == self;
    chanrt__atom_add(&chanrt__det.a_turns, 1);
    chanrt__det_number_locked(self);
    others = others || chanrt__atom_load(&chanrt__det.a_ready) != 0;
    if (others || !mine) chanrt__det_thread_ready_locked(self);
    if (others && mine) chanrt__det_pass_locked(NULL);
    pthread_mutex_unlock(&chanrt__det.mutex);
    if (others || !mine) chanrt__det_await(&self->a_turn);
}

// A thread waits until it is made ready, *word is `enough` already, or the instant has come;
// draining: or until nothing else is left to do.
static void chanrt__det_thread_wait(struct chanrt__os_thread *self, const uint32_t *word,
                                    uint32_t enough, int64_t until, bool draining) {
    pthread_mutex_lock(&chanrt__det.mutex);
    if (word != NULL && chanrt__atom_load_acq(word) == enough) { // [wake]
        chanrt__det_thread_ready_locked(self);
    } else {
        self->waits = draining ? CHANRT__DET_DRAINS : CHANRT__DET_BLOCKED;
        self->until = until;
        self->turn_next = chanrt__det.blocked;
        chanrt__det.blocked = self;
    }
    if (chanrt__det.holder == self) chanrt__det_pass_locked(NULL);
    pthread_mutex_unlock(&chanrt__det.mutex);
    chanrt__det_await(&self->a_turn);
}

// Stores what a thread waits for and makes it ready in one step, so that it cannot be gone.
static uint32_t chanrt__det_thread_wake(struct chanrt__os_thread *t, uint32_t *word,
                                        uint32_t enough) {
    pthread_mutex_lock(&chanrt__det.mutex);
    uint32_t old = chanrt__atom_swap_acqrel(word, enough); // [wake]
    if (t->waits == CHANRT__DET_BLOCKED) chanrt__det_unblock_locked(t);
    pthread_mutex_unlock(&chanrt__det.mutex);
    return old;
}

// The worker gives the turn to a thread and waits until it comes back.
static void chanrt__det_lend(struct chanrt__os_thread *t) {
    pthread_mutex_lock(&chanrt__det.mutex);
    t->waits = CHANRT__DET_RUNS;
    chanrt__det_pass_locked(t);
    pthread_mutex_unlock(&chanrt__det.mutex);
    chanrt__det_await(&chanrt__det.a_worker_turn);
}

// --- time

// The earliest instant a blocked thread waits for.
static int64_t chanrt__det_next_deadline(void) {
    int64_t next = CHANRT__FOREVER;
    pthread_mutex_lock(&chanrt__det.mutex);
    for (struct chanrt__os_thread *t = chanrt__det.blocked; t != NULL; t = t->turn_next)
        if (t->until < next) next = t->until;
    pthread_mutex_unlock(&chanrt__det.mutex);
    return next;
}

// Makes those ready whose time has come; `drained`: whoever drains, too. Whether there were any.
static bool chanrt__det_expire(int64_t now, bool drained) {
    bool any = false;
    pthread_mutex_lock(&chanrt__det.mutex);
    for (struct chanrt__os_thread *t = chanrt__det.blocked, *next; t != NULL; t = next) {
        next = t->turn_next;
        if (t->until > now && !(drained && t->waits == CHANRT__DET_DRAINS)) continue;
        chanrt__det_unblock_locked(t);
        any = true;
    }
    pthread_mutex_unlock(&chanrt__det.mutex);
    return any;
}

// All are blocked until the instant: time jumps, or the worker sleeps until a thread calls in.
static void chanrt__det_pause(int64_t until) {
    chanrt__atom_store(&chanrt__os_fake.a_polls, 0);
    chanrt__det.since_pause = 0;
    if (!chanrt__atom_load(&chanrt__os_fake.a_clock))
        chanrt__os_sleep(&chanrt__det.a_ready, 0, until);
    else if (until > chanrt__atom_load(&chanrt__os_fake.a_now))
        chanrt__atom_store(&chanrt__os_fake.a_now, until);
}

// --- who is next. A seed stands for one of three ways to look for trouble: each one ready as
// likely as the other; long runs of one with rare changes; or strict ranks, with two changes, which
// finds what needs somebody to be late for long (probabilistic concurrency testing).

static uint64_t chanrt__det_id(uintptr_t owner) {
    if (owner & 1) return ~(uint64_t)((struct chanrt__os_thread *)(owner & ~(uintptr_t)1))->number;
    return chanrt__atom_load(&((struct chanrt__task *)owner)->a_id);
}

static uint64_t chanrt__det_rank(uint64_t id) {
    uint32_t n = chanrt__det.demotions;
    for (uint32_t i = n; i > 0 && n - i < CHANRT__DET_DEMOTED; i--)
        if (chanrt__det.demoted[(i - 1) % CHANRT__DET_DEMOTED] == id) return UINT32_MAX - i;
    return chanrt__os_stir(id ^ chanrt__det.salt) | (uint64_t)1 << 63;
}

// Puts a task or thread behind all others that are ranked.
static void chanrt__det_demote(uint64_t id) {
    chanrt__det.demoted[chanrt__det.demotions++ % CHANRT__DET_DEMOTED] = id;
}

static int chanrt__det_choose(void) {
    int n = chanrt__atom_load(&chanrt__det.a_count), best = 0;
    uint32_t draw = chanrt__det.draws++;
    bool fair = chanrt__det.since_pause++ >= CHANRT__DET_FAIR_AFTER;
    if (chanrt__det.style == CHANRT__DET_RANKED && !fair) {
        if (draw == chanrt__det.change[0] || draw == chanrt__det.change[1])
            chanrt__det_demote(chanrt__det.last);
        uint64_t top = 0;
        for (int i = 0; i < n; i++) {
            uint64_t rank = chanrt__det_rank(chanrt__det_id(chanrt__det.window[i]));
            if (rank > top) top = rank, best = i;
        }
        return best;
    }
    if (chanrt__det.style == CHANRT__DET_STICKY &&
        chanrt__os_fake_random() % chanrt__det.stick != 0)
        for (int i = 0; i < n; i++)
            if (chanrt__det_id(chanrt__det.window[i]) == chanrt__det.last) return i;
    return (int)(chanrt__os_fake_random() % (uint32_t)n);
}

// Takes the next one out of the window, which is not empty.
static uintptr_t chanrt__det_take(void) {
    int i = chanrt__det_choose();
    uintptr_t owner = chanrt__det.window[i];
    int n = chanrt__atom_load(&chanrt__det.a_count) - 1;
    chanrt__det.window[i] = chanrt__det.window[n];
    chanrt__atom_store(&chanrt__det.a_count, n);
    chanrt__det.last = chanrt__det_id(owner);
    return owner;
}

static bool chanrt__det_has_room(void) {
    return chanrt__atom_load(&chanrt__det.a_count) < CHANRT__DET_WINDOW;
}

static void chanrt__det_add(uintptr_t owner) {
    int n = chanrt__atom_load(&chanrt__det.a_count);
    chanrt__det.window[n] = owner;
    chanrt__atom_store(&chanrt__det.a_count, n + 1);
}

// Threads that are ready go into the window while there is room.
static void chanrt__det_gather_threads(void) {
    if (chanrt__atom_load(&chanrt__det.a_ready) == 0) return;
    pthread_mutex_lock(&chanrt__det.mutex);
    while (chanrt__det.ready != NULL && chanrt__det_has_room()) {
        struct chanrt__os_thread *t = chanrt__det.ready;
        chanrt__det.ready = t->turn_next;
        chanrt__atom_add(&chanrt__det.a_ready, (uint32_t)-1);
        chanrt__det_add((uintptr_t)t | 1);
    }
    pthread_mutex_unlock(&chanrt__det.mutex);
}

// --- beginning and end

// The calling thread has the first turn.
static void chanrt__det_begin(uint64_t seed, bool fake_clock, struct chanrt__os_thread *self) {
    if (!chanrt__det.keyed) pthread_key_create(&chanrt__det.key, chanrt__det_gone);
    chanrt__det.keyed = true;
    chanrt__det.a_lost = false;
    chanrt__det.holder = self;
    chanrt__det.ready = chanrt__det.ready_last = chanrt__det.blocked = NULL;
    chanrt__det.a_worker_turn = chanrt__det.a_stop = chanrt__det.a_ready = 0;
    chanrt__det.a_busy = 0;
    chanrt__det.threads = chanrt__det.demotions = 0;
    chanrt__det.draws = chanrt__det.since_pause = 0;
    chanrt__det.a_count = 0;
    chanrt__det.last = 0;
    chanrt__det.run++;
    chanrt__det_number_locked(self);
    chanrt__atom_store(&chanrt__os_fake.a_state, seed);
    chanrt__atom_store(&chanrt__os_fake.a_now, CHANRT_SECOND);
    chanrt__atom_store(&chanrt__os_fake.a_polls, 0);
    chanrt__atom_store(&chanrt__os_fake.a_clock, fake_clock);
    chanrt__atom_store(&chanrt__os_fake.a_random, true);
    chanrt__det.style = (enum chanrt__det_style)(chanrt__os_fake_random() % 3);
    chanrt__det.salt = (uint64_t)chanrt__os_fake_random() << 32 | chanrt__os_fake_random();
    chanrt__det.stick = 2u << chanrt__os_fake_random() % 3;
    uint32_t steps = 16u << chanrt__os_fake_random() % 6;
    for (int i = 0; i < 2; i++) chanrt__det.change[i] = chanrt__os_fake_random() % steps;
    chanrt__fail_seed = seed;
    chanrt__atom_store(&chanrt__det.a_on, true);
    chanrt__atom_store(&chanrt_x_drawn, 1);
}

static void chanrt__det_stop_worker(void) {
    chanrt__atom_store_rel(&chanrt__det.a_stop, 1); // [turn]
    chanrt__os_wake(&chanrt__det.a_worker_turn);
    chanrt__os_wake(&chanrt__det.a_ready);
}

static void chanrt__det_end(void) {
    chanrt__atom_store(&chanrt__det.a_on, false);
    chanrt__atom_store(&chanrt_x_drawn, 0);
    chanrt__atom_store(&chanrt__os_fake.a_random, false);
    chanrt__atom_store(&chanrt__os_fake.a_clock, false);
    chanrt__fail_seed = 0;
}

#if CHANRT_TRACE
//------------------------------------------------------------------------------
// >>trace    What ran where and who woke it: a ring of records per thread, a timeline at the end.
//   uses    port fail atom os task
//   owns    chanrt__trace; a ring is the thread's that joined with it
//   lock    its mutex: who writes the file; a_places_lock: who adds a place
//   laws    R1 a ring has one writer, its thread; its head is stored after the record counted.
//           R2 rings are read once a_run is 0 and a heavy fence is past: a thread that has not
//           seen it adds one more record at most, over the oldest, which is not read.
//           R3 an arrow is the place of its tail in a ring: whoever reads its head finds the
//           tail there, or it is overwritten, and the arrow is not drawn. R4 a head is later
//           than its tail, records of a ring are later than those before it, so slices
//           neither overlap nor end before they begin.
//           Nothing of this exists in other builds: other rooms name it only in
//           CHANRT__IF_TRACE (tests/tools/hook_free.sh).
//   tests   unit/trace.c model/trace.pml tests/tools/trace.sh
//
//   A thread: not joined --its first event of a run--> writes to its ring --the run ends-->
//   not joined. A run: chanrt__trace_start --> recorded --> a shutdown, an exit, a deadlock or a
//   fatal error writes the file, in the form of Chrome's trace viewer and of Perfetto's; _exit and
//   a signal that kills do not. An arrow is a waking, named for the wait it ends, and from a sender
//   to the receiver that waited: a value that goes through a buffer to nobody yet has none.
//
//   In the environment: CHANRT_TRACE_FILE=out.json, without which nothing is recorded, and
//   CHANRT_TRACE_EVENTS=n, how many records a thread keeps, the last ones (65536; rounded up to a
//   power of two; 48 bytes each, taken as they are used). Of the program's own threads 256 are
//   recorded, of names and spawn places 4096. A runtime started again writes the file anew.
//   An event, of which a hand-off from task to task has two, takes 112 instructions and a look at
//   the clock, and 6 without the file (callgrind). Unbuffered round trips on one worker took three
//   times as long (2.8 and 3.5, fastest of 8 and of 10 runs on a busy machine): 75 ns an event,
//   where the look alone took 45 to 65.
//------------------------------------------------------------------------------

enum {
    CHANRT__TRACE_RUNS,   // from here on it runs `id`, a task or the thread itself; 0: neither
    CHANRT__TRACE_WAKE,   // it makes `id` ready: the tail of an arrow
    CHANRT__TRACE_SPAWN,  // likewise, for the first time
    CHANRT__TRACE_CLOSE,  // it closes the channel `object`
    CHANRT__TRACE_TIMER,  // a timer has fired
    CHANRT__TRACE_LENGTH, // so many tasks are in the shared queue now
    CHANRT__TRACE_GOES_ON = 254, CHANRT__TRACE_ENDED, // instead of a reason to wait
    CHANRT__TRACE_THREADS = 256,
    CHANRT__TRACE_RINGS = 2048, // a power of two: arrows are made with it
    CHANRT__TRACE_PLACES = 4096,
    CHANRT__TRACE_EVENTS = 65536
};

struct chanrt__trace_record {
    int64_t time;
    uint64_t id;
    uint64_t arrow;      // RUNS: whose head this is
    const void *object;  // RUNS: what who left waits for
    uint32_t place;      // of the task `id`
    uint32_t length;     // RUNS: of the worker's queues
    uint8_t kind;
    uint8_t reason;      // RUNS: why who left does not run on
    uint8_t waited;      // RUNS: why `id` did not run
};
_Static_assert(sizeof(struct chanrt__trace_record) <= 48, "what an event takes");

struct chanrt__trace_ring {
    uint64_t a_head;     // records ever written
    int64_t time;        // of the last one
    uint64_t mask;
    size_t bytes;
    int slot;
    bool worker, helper; // helper: a thread of >>blocking
    unsigned long long number; // the worker's, or the thread's as the system counts
    uint64_t first, end; // the reader's: records there
    uint64_t known;      // from here on it is clear what runs
    struct chanrt__trace_record records[];
};

// A task's name and where it was spawned, copied: both may be gone when the file is written.
struct chanrt__trace_place {
    const chanrt_x_site *a_site;
    bool named;          // by the spawn, not by its function
    int line;
    char name[48], file[96];
};

static struct {
    pthread_mutex_t mutex;
    uint32_t a_run, runs;  // the run that is recorded, 0: none; runs so far
    uint32_t a_rings, a_threads, a_refused;
    uint32_t a_places_lock;
    int process;           // a child made by fork writes nothing
    const void *a_writer;  // which thread has the mutex to write the file
    size_t events;         // of a ring
    int64_t begun, ended;
    char file[1024];
    struct chanrt__trace_place *places;
    struct chanrt__trace_ring *a_ring[CHANRT__TRACE_RINGS];
} chanrt__trace = { .mutex = PTHREAD_MUTEX_INITIALIZER };

// --- recording

// Whether anything is recorded: looked at first, since mostly nothing is.
CHANRT__INLINE bool chanrt__trace_on(void) {
    return CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__trace.a_run) != 0);
}

// A record of this kind, later than `after`, which the caller fills and then adds.
CHANRT__INLINE struct chanrt__trace_record *chanrt__trace_begin(struct chanrt__trace_ring *r,
                                                                int kind, int64_t after) {
    struct chanrt__trace_record *e = &r->records[r->a_head & r->mask];
    int64_t now = chanrt__os_clock();
    if (after < r->time) after = r->time;
    if (now <= after) now = after + 1; // R4
    *e = (struct chanrt__trace_record){ .time = now, .kind = (uint8_t)kind };
    r->time = now;
    return e;
}

// Returns its place, for an arrow: not 0.
CHANRT__INLINE uint64_t chanrt__trace_add(struct chanrt__trace_ring *r) {
    uint64_t head = r->a_head + 1;
    chanrt__atom_store_rel(&r->a_head, head); // [trace] the record
    return head * CHANRT__TRACE_RINGS + (uint64_t)r->slot;
}

// A ring for the calling thread. NULL: there are too many, or no memory.
CHANRT__NOINLINE static struct chanrt__trace_ring *chanrt__trace_join(uint32_t run) {
    struct chanrt__os_thread *self = chanrt__os_self();
    bool worker = self->worker_number != 0;
    uint32_t slot = CHANRT__TRACE_RINGS;
    size_t bytes = sizeof(struct chanrt__trace_ring) +
                   chanrt__trace.events * sizeof(struct chanrt__trace_record);
    self->traced = run;
    self->ring = NULL;
    if (worker || chanrt__atom_add(&chanrt__trace.a_threads, 1) < CHANRT__TRACE_THREADS)
        slot = chanrt__atom_add(&chanrt__trace.a_rings, 1);
    struct chanrt__trace_ring *r = NULL;
    if (slot < CHANRT__TRACE_RINGS) r = (struct chanrt__trace_ring *)chanrt__os_map(bytes);
    if (r == NULL) {
        chanrt__atom_add(&chanrt__trace.a_refused, 1);
        return NULL;
    }
    r->mask = chanrt__trace.events - 1;
    r->bytes = bytes;
    r->slot = (int)slot;
    r->worker = worker;
    r->helper = self->aside;
    r->number = (unsigned)(worker ? self->worker_number - 1 : chanrt__os_thread_number());
    if (!worker && r->number == 0) r->number = slot + 1; // the system has no numbers
    if (!worker) {
        chanrt__trace_begin(r, CHANRT__TRACE_RUNS, 0)->id = 1;
        chanrt__trace_add(r);
    }
    chanrt__atom_store_rel(&chanrt__trace.a_ring[slot], r); // [ring] its fields
    self->ring = r;
    return r;
}

// The calling thread's ring. NULL: nothing is to be recorded.
static struct chanrt__trace_ring *chanrt__trace_ring(bool join) {
    chanrt__os_light_fence(); // R2: the last record is seen by who ends the run before this load
    uint32_t run = chanrt__atom_load_acq(&chanrt__trace.a_run); // [run]
    if (CHANRT__LIKELY(run == 0)) return NULL;
    struct chanrt__os_thread *self = chanrt__os_self();
    if (CHANRT__LIKELY(self->traced == run)) return (struct chanrt__trace_ring *)self->ring;
    return join ? chanrt__trace_join(run) : NULL;
}

// The caller is about to make somebody ready, whose wait is his alone. Under no spin lock.
CHANRT__NOINLINE static void chanrt__trace_wake(uintptr_t owner) {
    struct chanrt__trace_ring *r = chanrt__trace_ring(true);
    struct chanrt__task *t = owner & 1 ? NULL : (struct chanrt__task *)owner;
    struct chanrt__os_thread *thread = (struct chanrt__os_thread *)(owner & ~(uintptr_t)1);
    struct chanrt__os_arrow *arrow = t != NULL ? &t->arrow : &thread->arrow;
    arrow->from = 0;
    arrow->time = 0;
    if (r == NULL) return;
    bool fresh = t != NULL && t->stack == NULL;
    struct chanrt__trace_record *e =
        chanrt__trace_begin(r, fresh ? CHANRT__TRACE_SPAWN : CHANRT__TRACE_WAKE, 0);
    if (t != NULL) {
        e->id = t->a_id;
        e->place = t->traced;
    }
    arrow->from = chanrt__trace_add(r);
    arrow->time = r->time;
}

// The caller's worker goes on with next, NULL: on its base stack. left: who waits, or is still
// ready; NULL: who ran has ended, or there was nobody.
CHANRT__NOINLINE static void chanrt__trace_switch(const struct chanrt__task *left,
                                                  struct chanrt__task *next, uint32_t length) {
    struct chanrt__trace_ring *r = chanrt__trace_ring(true);
    if (r == NULL) return;
    struct chanrt__trace_record *e =
        chanrt__trace_begin(r, CHANRT__TRACE_RUNS, next != NULL ? next->arrow.time : 0);
    e->length = length;
    e->reason = left != NULL ? chanrt__atom_load(&left->a_reason) : (uint8_t)CHANRT__TRACE_ENDED;
    if (left != NULL && e->reason != CHANRT__NOT_WAITING)
        e->object = chanrt__atom_load(&left->u.run.a_object);
    if (next != NULL) {
        e->id = next->a_id;
        e->place = next->traced;
        e->waited = chanrt__atom_load(&next->a_reason);
        e->arrow = next->arrow.from;
        next->arrow.from = 0; // drawn once: next may yield
        next->arrow.time = 0;
    }
    chanrt__trace_add(r);
}

// A thread of the program's own blocks, and goes on.
static void chanrt__trace_thread_waits(enum chanrt__reason reason, const void *object) {
    struct chanrt__trace_ring *r = chanrt__trace_ring(true);
    if (r == NULL) return;
    struct chanrt__trace_record *e = chanrt__trace_begin(r, CHANRT__TRACE_RUNS, 0);
    e->reason = (uint8_t)reason;
    e->object = object;
    chanrt__trace_add(r);
}

static void chanrt__trace_thread_runs(enum chanrt__reason waited) {
    struct chanrt__trace_ring *r = chanrt__trace_ring(true);
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__os_arrow arrow = self->arrow;
    self->arrow.from = 0;
    self->arrow.time = 0;
    if (r == NULL) return;
    struct chanrt__trace_record *e = chanrt__trace_begin(r, CHANRT__TRACE_RUNS, arrow.time);
    e->id = 1;
    e->waited = (uint8_t)waited;
    e->arrow = arrow.from;
    chanrt__trace_add(r);
}

// What has no duration. join: under no spin lock, so that a thread may get its ring here.
static void chanrt__trace_mark(int kind, const void *object, bool join) {
    struct chanrt__trace_ring *r = chanrt__trace_ring(join);
    if (r == NULL) return;
    chanrt__trace_begin(r, kind, 0)->object = object;
    chanrt__trace_add(r);
}

// Under the queue's lock.
static void chanrt__trace_length(uint32_t length) {
    struct chanrt__trace_ring *r = chanrt__trace_ring(false);
    if (r == NULL) return;
    chanrt__trace_begin(r, CHANRT__TRACE_LENGTH, 0)->length = length;
    chanrt__trace_add(r);
}

// --- places

static bool chanrt__trace_is(const struct chanrt__trace_place *p, const chanrt_x_site *site,
                             const char *name) {
    bool named = name != site->name;
    return p->named == named && (!named || strncmp(p->name, name, sizeof p->name - 1) == 0);
}

// The number of a spawn's name and place. 0: nothing is recorded, or there are too many.
static uint32_t chanrt__trace_place(const chanrt_x_site *site, const char *name) {
    uint32_t hash = (uint32_t)((uintptr_t)site >> 3) * 2654435761u, at = 0;
    struct chanrt__trace_place *places = chanrt__trace.places, *p = NULL;
    if (chanrt__atom_load_acq(&chanrt__trace.a_run) == 0) return 0; // [run]
    if (name != site->name)
        for (size_t i = 0; i < sizeof p->name - 1 && name[i] != 0; i++)
            hash = hash * 31 + (unsigned char)name[i];
    for (uint32_t i = 0; i < 32; i++) {
        at = (hash + i) % CHANRT__TRACE_PLACES;
        p = &places[at];
        const chanrt_x_site *there = chanrt__atom_load_acq(&p->a_site); // [traced]
        if (there == site && chanrt__trace_is(p, site, name)) return at;
        if (there != NULL || at == 0) continue;
        chanrt__os_lock(&chanrt__trace.a_places_lock);
        bool free = chanrt__atom_load(&p->a_site) == NULL;
        if (free) {
            p->named = name != site->name;
            p->line = site->line;
            snprintf(p->name, sizeof p->name, "%s", name);
            snprintf(p->file, sizeof p->file, "%s", site->file);
            chanrt__atom_store_rel(&p->a_site, site); // [traced] the rest
        }
        chanrt__os_unlock(&chanrt__trace.a_places_lock);
        if (free || (p->a_site == site && chanrt__trace_is(p, site, name))) return at;
    }
    return 0;
}

// --- the file. Times are in microseconds, from the start of the run.

// A string of JSON. What is not UTF-8 becomes a question mark.
static void chanrt__trace_text(FILE *f, const char *s) {
    fputc('"', f);
    while (*s != 0) {
        unsigned char c = (unsigned char)*s;
        int more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1, n = 0;
        while (n < more && ((unsigned char)s[n + 1] & 0xc0) == 0x80) n++;
        if (c < 32) fprintf(f, "\\u%04x", c);
        else if (c == '"' || c == '\\') fprintf(f, "\\%c", c);
        else if (n == more && (c < 0x80 || (c >= 0xc2 && c < 0xf5))) fwrite(s, 1, 1 + (size_t)n, f);
        else fputc('?', f);
        s += 1 + n;
    }
    fputc('"', f);
}

static void chanrt__trace_time(FILE *f, const char *what, int64_t ns) {
    fprintf(f, ",\"%s\":%lld.%03d", what, (long long)(ns / 1000), (int)(ns % 1000));
}

// The beginning of an event on a ring's track.
static void chanrt__trace_event(FILE *f, const struct chanrt__trace_ring *r, char phase,
                                int64_t time) {
    fprintf(f, ",\n{\"ph\":\"%c\",\"pid\":%d,\"tid\":%llu", phase, r->worker ? 1 : 2,
            r->number);
    chanrt__trace_time(f, "ts", time - chanrt__trace.begun);
}

static void chanrt__trace_name(FILE *f, const struct chanrt__trace_ring *r) {
    const char *kind = r->worker ? "worker" : r->helper ? "helper" : "thread";
    if (!r->worker && r->number == (unsigned)chanrt__trace.process) fputs("\"main\"", f);
    else fprintf(f, "\"%s %llu\"", kind, r->number);
}

static const struct chanrt__trace_place *chanrt__trace_where(uint32_t place) {
    static const struct chanrt__trace_place unknown = { NULL, false, 0, "task", "unknown" };
    return place != 0 ? &chanrt__trace.places[place] : &unknown;
}

// The name of an event that is about a task, and the beginning of its arguments.
static void chanrt__trace_task(FILE *f, const char *cat, const struct chanrt__trace_record *e) {
    const struct chanrt__trace_place *p = chanrt__trace_where(e->place);
    char at[128];
    snprintf(at, sizeof at, "%s:%d", p->file, p->line);
    fprintf(f, ",\"cat\":\"%s\",\"name\":", cat);
    chanrt__trace_text(f, p->name);
    fprintf(f, ",\"args\":{\"task\":%llu,\"spawned\":", (unsigned long long)e->id);
    chanrt__trace_text(f, at);
}

// Why a slice is no longer.
static void chanrt__trace_then(FILE *f, int reason, const void *object) {
    if (reason == CHANRT__TRACE_ENDED) fputs("\"then\":\"ended\"}}", f);
    else if (reason == CHANRT__TRACE_GOES_ON) fputs("\"then\":\"still running\"}}", f);
    else if (reason == CHANRT__WAIT_IO)
        fprintf(f, "\"then\":\"IO wait fd %d\"}}", (int)(intptr_t)object);
    else if (object != NULL)
        fprintf(f, "\"then\":\"%s %p\"}}", chanrt__task_reasons[reason], object);
    else
        fprintf(f, "\"then\":\"%s\"}}", chanrt__task_reasons[reason]);
}

static void chanrt__trace_slice(FILE *f, const struct chanrt__trace_ring *r,
                                const struct chanrt__trace_record *from, int64_t until, int reason,
                                const void *object) {
    chanrt__trace_event(f, r, 'X', from->time);
    chanrt__trace_time(f, "dur", until - from->time);
    if (r->worker) {
        chanrt__trace_task(f, "task", from);
        fputc(',', f);
    } else {
        fputs(",\"cat\":\"thread\",\"name\":", f);
        chanrt__trace_name(f, r);
        fputs(",\"args\":{", f);
    }
    chanrt__trace_then(f, reason, object);
}

// A worker that makes others ready without a task: timers, descriptors. Arrows must begin in a
// slice.
static void chanrt__trace_base(FILE *f, const struct chanrt__trace_ring *r, int64_t from,
                               int64_t until) {
    chanrt__trace_event(f, r, 'X', from);
    chanrt__trace_time(f, "dur", until - from);
    fputs(",\"cat\":\"scheduler\",\"name\":\"scheduler\"}", f);
}

static void chanrt__trace_counter(FILE *f, const struct chanrt__trace_ring *r, int64_t time,
                                  uint32_t length, bool shared) {
    chanrt__trace_event(f, r, 'C', time);
    if (shared) fputs(",\"name\":\"shared queue\"", f);
    else fprintf(f, ",\"name\":\"queue of worker %llu\"", r->number);
    fprintf(f, ",\"args\":{\"tasks\":%u}}", length);
}

// What has no duration.
static void chanrt__trace_instant(FILE *f, const struct chanrt__trace_ring *r,
                                  const struct chanrt__trace_record *e) {
    if (e->kind == CHANRT__TRACE_WAKE) return; // the arrow shows it
    if (e->kind == CHANRT__TRACE_LENGTH) {
        chanrt__trace_counter(f, r, e->time, e->length, true);
        return;
    }
    chanrt__trace_event(f, r, 'i', e->time);
    fputs(",\"s\":\"t\"", f);
    if (e->kind == CHANRT__TRACE_SPAWN) {
        chanrt__trace_task(f, "spawn", e);
        fputs("}}", f);
    } else if (e->kind == CHANRT__TRACE_CLOSE) {
        fprintf(f, ",\"cat\":\"close\",\"name\":\"close\",\"args\":{\"chan\":\"%p\"}}", e->object);
    } else {
        fputs(",\"cat\":\"timer\",\"name\":\"timer\"}", f);
    }
}

// One thread's slices, instants, queue lengths.
static void chanrt__trace_track(FILE *f, const struct chanrt__trace_ring *r) {
    const struct chanrt__trace_record *runs = NULL;
    int64_t gap = 0, last = 0; // the first and the last waking without a task
    int64_t length = -1;
    for (uint64_t at = r->first; at < r->end; at++) {
        const struct chanrt__trace_record *e = &r->records[at & r->mask];
        if (e->kind != CHANRT__TRACE_RUNS) {
            chanrt__trace_instant(f, r, e);
            if (e->kind == CHANRT__TRACE_LENGTH || runs != NULL || at < r->known) continue;
            if (gap == 0) gap = e->time;
            last = e->time;
            continue;
        }
        int64_t until = last + CHANRT_MICROSECOND < e->time ? last + CHANRT_MICROSECOND : e->time;
        if (gap != 0) chanrt__trace_base(f, r, gap, until);
        if (runs != NULL) chanrt__trace_slice(f, r, runs, e->time, e->reason, e->object);
        if (r->worker && e->length != length)
            chanrt__trace_counter(f, r, e->time, e->length, false);
        length = e->length;
        runs = e->id != 0 ? e : NULL;
        gap = 0;
    }
    if (gap != 0) chanrt__trace_base(f, r, gap, chanrt__trace.ended);
    if (runs != NULL)
        chanrt__trace_slice(f, r, runs, chanrt__trace.ended, CHANRT__TRACE_GOES_ON, NULL);
}

static void chanrt__trace_arrow_end(FILE *f, const struct chanrt__trace_ring *r, char phase,
                                    int64_t time, uint64_t id, const char *name) {
    chanrt__trace_event(f, r, phase, time);
    fprintf(f, ",\"id\":%llu,\"cat\":\"wake\",\"name\":\"%s\"%s}", (unsigned long long)id, name,
            phase == 'f' ? ",\"bp\":\"e\"" : "");
}

// Threads may still join at an exit: such a ring has nothing that was surveyed.
static struct chanrt__trace_ring *chanrt__trace_joined(uint64_t slot) {
    return chanrt__atom_load_acq(&chanrt__trace.a_ring[slot]); // [ring]
}

// The arrows that end on r's track, after all the slices: both ends, or none (R3).
static uint64_t chanrt__trace_arrows(FILE *f, const struct chanrt__trace_ring *r, uint64_t drawn) {
    for (uint64_t at = r->known; at < r->end; at++) {
        const struct chanrt__trace_record *e = &r->records[at & r->mask];
        if (e->kind != CHANRT__TRACE_RUNS || e->arrow == 0) continue;
        const struct chanrt__trace_ring *from =
            chanrt__trace_joined(e->arrow % CHANRT__TRACE_RINGS);
        uint64_t place = e->arrow / CHANRT__TRACE_RINGS - 1;
        if (place < from->known || place >= from->end) continue;
        const struct chanrt__trace_record *tail = &from->records[place & from->mask];
        const char *name = tail->kind == CHANRT__TRACE_SPAWN    ? "spawn"
                           : e->waited == CHANRT__NOT_WAITING ? "wake"
                                                              : chanrt__task_reasons[e->waited];
        drawn++;
        chanrt__trace_arrow_end(f, from, 's', tail->time, drawn, name);
        chanrt__trace_arrow_end(f, r, 'f', e->time, drawn, name);
    }
    return drawn;
}

// What there is to read of each ring, now that nobody adds to it but one record over the oldest.
static uint32_t chanrt__trace_survey(void) {
    uint32_t n = chanrt__atom_load(&chanrt__trace.a_rings);
    if (n > CHANRT__TRACE_RINGS) n = CHANRT__TRACE_RINGS;
    chanrt__trace.ended = chanrt__os_clock();
    for (uint32_t i = 0; i < n; i++) {
        struct chanrt__trace_ring *r = chanrt__trace_joined(i);
        if (r == NULL) continue;
        r->end = chanrt__atom_load_acq(&r->a_head); // [trace]
        r->first = r->end > r->mask ? r->end - r->mask : 0; // R2
        r->known = r->first;
        while (r->first > 0 && r->known < r->end &&
               r->records[r->known & r->mask].kind != CHANRT__TRACE_RUNS)
            r->known++;
        if (r->end > 0 && r->records[(r->end - 1) & r->mask].time >= chanrt__trace.ended)
            chanrt__trace.ended = r->records[(r->end - 1) & r->mask].time + 1;
    }
    return n;
}

static void chanrt__trace_write(FILE *f, const char *how) {
    uint32_t n = chanrt__trace_survey();
    uint64_t events = 0, lost = 0, arrows = 0;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", f);
    for (int pid = 1; pid <= 2; pid++)
        fprintf(f, "%s{\"ph\":\"M\",\"pid\":%d,\"tid\":0,\"name\":\"process_name\","
                   "\"args\":{\"name\":\"%s\"}}",
                pid == 1 ? "" : ",\n", pid, pid == 1 ? "workers" : "threads");
    for (uint32_t i = 0; i < n; i++) {
        const struct chanrt__trace_ring *r = chanrt__trace_joined(i);
        if (r == NULL) continue;
        chanrt__trace_event(f, r, 'M', chanrt__trace.begun);
        fputs(",\"name\":\"thread_name\",\"args\":{\"name\":", f);
        chanrt__trace_name(f, r);
        fputs("}}", f);
        chanrt__trace_track(f, r);
        events += r->end - r->first;
        lost += r->first;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct chanrt__trace_ring *r = chanrt__trace_joined(i);
        if (r != NULL) arrows = chanrt__trace_arrows(f, r, arrows);
    }
    fprintf(f, ",\n{\"ph\":\"i\",\"pid\":1,\"tid\":0,\"s\":\"g\",\"name\":\"%s\"", how);
    chanrt__trace_time(f, "ts", chanrt__trace.ended - chanrt__trace.begun);
    fprintf(f, "}\n],\"otherData\":{\"ended by\":\"%s\",\"events\":%llu,\"lost\":%llu,"
               "\"arrows\":%llu,\"threads left out\":%u}}\n",
            how, (unsigned long long)events, (unsigned long long)lost,
            (unsigned long long)arrows, chanrt__atom_load(&chanrt__trace.a_refused));
}

// A failure while this thread writes the file already does not wait for itself; one of another
// thread lets it end, within two seconds.
static bool chanrt__trace_enter(bool fails) {
    const void *self = chanrt__os_self();
    if (!fails) pthread_mutex_lock(&chanrt__trace.mutex);
    for (int i = 0; fails && pthread_mutex_trylock(&chanrt__trace.mutex) != 0; i++) {
        if (i == 2000 || chanrt__atom_load(&chanrt__trace.a_writer) == self) return false;
        chanrt__os_nap(CHANRT_MILLISECOND);
    }
    chanrt__atom_store(&chanrt__trace.a_writer, self);
    return true;
}

// Ends the run that is recorded, if one is, with its file. A child made by fork may have got the
// mutex locked.
static void chanrt__trace_finish(const char *how, bool fails) {
    if (chanrt__trace.process != (int)getpid() || !chanrt__trace_enter(fails)) return;
    if (chanrt__atom_load(&chanrt__trace.a_run) != 0) {
        chanrt__atom_store_rel(&chanrt__trace.a_run, 0); // [run]
        chanrt__os_heavy_fence();
        FILE *f = fopen(chanrt__trace.file, "w");
        if (f != NULL) chanrt__trace_write(f, how);
        if (f == NULL || (ferror(f) | fclose(f)) != 0)
            chanrt__fail_say("the trace could not be written to %s", chanrt__trace.file);
    }
    chanrt__atom_store(&chanrt__trace.a_writer, NULL);
    pthread_mutex_unlock(&chanrt__trace.mutex);
}

static void chanrt__trace_fail(const char *how) {
    chanrt__trace_finish(how, true);
}

__attribute__((destructor)) static void chanrt__trace_exit(void) {
    chanrt__trace_finish("exit", false);
}

// At a shutdown: no worker is left, and no other thread is in a call.
static void chanrt__trace_stop(void) {
    size_t n = sizeof *chanrt__trace.places * CHANRT__TRACE_PLACES;
    chanrt__trace_finish("shutdown", false);
    if (chanrt__trace.places == NULL) return;
    for (int i = 0; i < CHANRT__TRACE_RINGS; i++) {
        struct chanrt__trace_ring *r = chanrt__trace.a_ring[i];
        if (r != NULL) chanrt__os_unmap(r, r->bytes);
        chanrt__trace.a_ring[i] = NULL;
    }
    chanrt__os_unmap(chanrt__trace.places, n);
    chanrt__trace.places = NULL;
}

// A new run, when the environment asks for it: just before there are tasks.
static void chanrt__trace_start(void) {
    const char *file = getenv("CHANRT_TRACE_FILE"), *text = getenv("CHANRT_TRACE_EVENTS");
    long wanted = text != NULL ? strtol(text, NULL, 10) : CHANRT__TRACE_EVENTS;
    if (file == NULL || *file == 0) return;
    pthread_mutex_lock(&chanrt__trace.mutex);
    snprintf(chanrt__trace.file, sizeof chanrt__trace.file, "%s", file);
    chanrt__trace.events = 64;
    while (chanrt__trace.events < (size_t)1 << 24 && (long)chanrt__trace.events < wanted)
        chanrt__trace.events *= 2;
    chanrt__trace.process = (int)getpid();
    chanrt__trace.begun = chanrt__os_clock();
    chanrt__trace.a_rings = chanrt__trace.a_threads = chanrt__trace.a_refused = 0;
    chanrt__trace.places = (struct chanrt__trace_place *)chanrt__os_map(
        sizeof *chanrt__trace.places * CHANRT__TRACE_PLACES);
    chanrt__fail_trace = chanrt__trace_fail;
    if (chanrt__trace.places == NULL) chanrt__fail_say("no memory for a trace");
    else chanrt__atom_store_rel(&chanrt__trace.a_run, ++chanrt__trace.runs); // [run]
    pthread_mutex_unlock(&chanrt__trace.mutex);
}
#endif

//------------------------------------------------------------------------------
// >>sched    Workers: queues, stealing, sleeping, spawning, parking, timers.
//   uses    port fail atom os ctx stack list poll task profile det trace
//   owns    chanrt__pool; a worker's private queue (next, head, tail) is its own, and a
//           thief's under the biased lock
//   lock    pool mutex: idle list, blocked threads, start and stop. Spin locks: the
//           shared queue, the timer heap; taken with no other lock but a timer's channel.
//   laws    S1 runnable work is found by some worker in bounded time. S2 no runnable
//           task waits for ever: the hand-off slot has a budget, every 32nd pick at the
//           latest, and sooner for a timer, looks at the shared queue, the clock, and now
//           and then at the other workers. While descriptors are watched, looks are at most
//           100 us of short tasks apart.
//           S3 once the poller is open, it is looked at by whoever has nothing else to do,
//           and the first to sleep sleeps in it.
//           T2 a task with a_on_cpu set is not run; only a worker on its base stack may
//           wait for the word to clear.
//   not     spawned tasks first come, first served: trees of tasks grow breadth first and
//           park a stack per node (tests/bench: fib25, skynet);
//           a ring with a CAS per pop: the private list costs no locked instruction;
//           waking a worker for each hand-off: hand-offs between short tasks are faster
//           on one worker (tests/bench: pingpong, spsc), so only long tasks wake one
//   tests   unit/sched.c spec/scheduler.c spec/deadlock.c model/park.pml model/idle.pml
//           model/bias.pml model/deadlock.pml
//------------------------------------------------------------------------------

enum {
    CHANRT__MAX_WORKERS = 1024,
    CHANRT__LIFO_BUDGET = 64,      // hand-offs in a row while others wait in the queue
    CHANRT__LIFO_LEFT = 8,         // of them, at least, once somebody does
    CHANRT__YIELDS = 2,            // of the only processor before sleeping (tests/bench: foreign)
    CHANRT__LOOK_EVERY = 32,       // most picks between two looks at clock and shared queue
    CHANRT__STEAL_MOST = 64,       // started tasks taken by one theft; the owner waits meanwhile
    CHANRT__STEAL_LEAVE = 16,      // tasks yet to start that a theft leaves
    CHANRT__TASK_BATCH = 64,       // records moved between a worker and the shared list
    CHANRT__STACK_KEEP = 64,       // free stacks a worker keeps per class
    CHANRT__ID_BATCH = 16,         // task ids a worker takes at a time
    CHANRT__ALTSTACK = 64 << 10,   // bytes for a fault handler
    CHANRT__STACK_DEFAULT = 4 + 2 * (CHANRT__ASAN || CHANRT__FIBERS), // 64 KiB; frames grow there
    CHANRT__STOPPING = 1,          // workers are to end
    CHANRT__DRAWN = 2,             // the deterministic mode: every pick is made on the base stack
    CHANRT__IDLE_ONE = 1,          // the announcement: idle workers in the low half,
    CHANRT__SPIN_ONE = 1 << 16     // searching workers in the high half
};
static const int64_t chanrt__sched_short = 4000;        // ns a task runs on average to be short
// A theft stops the victim for a moment: 10 us on a virtual machine with membarrier.
static const uint64_t chanrt__sched_theft = 40000;      // ns of queued work that is worth one
static const int64_t chanrt__sched_theft_rest = 100000; // ns until one that may not be worth it
static const int64_t chanrt__sched_patience = 15000;    // ns a thief waits to be let in
static const int64_t chanrt__sched_spin = 20000;        // ns an idle worker searches
static const int64_t chanrt__sched_watch_min = 200000;  // ns between looks at busy workers
static const int64_t chanrt__sched_watch_max = 2000000;

struct chanrt__worker {
    // The owner's, and in the section marked a thief's.
    struct chanrt__task *a_current;   // running now; NULL on the base stack
    struct chanrt__task *a_next;      // the hand-off slot: runs before the queue
    struct chanrt__task *head, *tail; // the queue: first come, first served
    struct chanrt__task *fresh, *fresh_last; // tasks yet to start, the youngest first
    uint32_t fresh_len;
    uint32_t a_len;                   // of both; for others a hint
    uint32_t a_in;                    // biased lock: the owner is inside
    uint32_t a_tick;                  // picks and tasks made ready so far: a sign of life
    uint32_t budget;                  // hand-offs left
    bool turn;                        // the last was that of the tasks pinned here
    uint64_t shared;                  // a_switches when a look last took a shared task
    uint32_t a_slice;                 // ns a task runs here on average
    int *error;                       // this thread's errno
    struct chanrt__os_exceptions *exceptions; // likewise: nothing in them but while a task runs
    struct chanrt__ctx base;
    struct chanrt__task *pending;     // picked on a task's stack, to be started from the base
    struct chanrt__task *free;        // records
    int free_count;
    uint32_t id_left;                 // ids still to give away
    uint64_t id_next;
    int64_t now;                      // the clock when last looked at
    uint32_t looked;                  // the tick then
    uint32_t look_every;              // picks until the next look
    int64_t a_expects;                // waits begun here, less ended here, that the kernel may end
    uint64_t io_run;                  // a_switches at the last call of >>io that did not wait
    uint32_t io_calls;                // those since the task was switched to
    uint64_t asked;                   // a_switches when it last asked for its own (>>poll)
    int64_t asked_at;
    bool robbed;                      // waited for a thief since then
    bool metered;                     // what follows is of now: no search since
    uint32_t meter_tick;              // the tick when the thread's processor time was last read
    int64_t meter;                    // that time
    int64_t watch, watched;           // interval of looks at the others; the last one
    struct chanrt__ctx scratch;       // where a dying context is saved
    void *ended;                      // the fiber of the last task that ended (chanrt__ctx_died)
    uint32_t nothing;                 // a word for switches that publish nothing
    int index;
    pthread_t thread;
    char *altstack;                   // for the fault handler
    uint64_t a_spawned, a_finished, a_parks, a_switches, a_steals;
    struct {
        struct chanrt__stack *first;
        int count;
    } stacks[CHANRT__STACK_CLASSES];

    // Others'.
    uint64_t a_request CHANRT__ALIGNED(64); // biased lock: the ticket of a thief who wants in
    uint64_t a_granted CHANRT__ALIGNED(64); // the one the owner has let in
    uint64_t ticket;                  // the last one given out (a_thief)
    int64_t a_stolen;                 // when something was last taken
    uint32_t a_thief;                 // one thief at a time
    uint32_t a_wake CHANRT__ALIGNED(64); // the word the worker sleeps on
    bool idle;                        // on the idle list (pool mutex)
    bool polls;                       // sleeps in the poller, not on the word (pool mutex)
    struct chanrt__worker *idle_next, *idle_prev;
    uint32_t a_pinned_lock, a_pinned_len;
    struct chanrt__task *pinned_head, *pinned_tail;
    uint32_t *seen;                   // ticks of the others at the last look
#if CHANRT_DEBUG
    int a_number;                     // the system's of the thread
#endif
#if CHANRT_PROFILE
    struct chanrt__profile_worker profile;
#endif
#if CHANRT_UCONTEXT
    ucontext_t base_uc, scratch_uc;
#endif
} CHANRT__ALIGNED(128);

static struct {
    pthread_mutex_t life;              // one start or shutdown at a time; taken before mutex
    pthread_mutex_t mutex;
    uint32_t a_running, a_special;     // CHANRT__STOPPING, CHANRT__DRAWN
    uint32_t a_forked;                 // this is a child
    int count, a_cpus;
    struct chanrt__worker *workers;
    size_t bytes;                      // of their mapping
    int stack_class;
    void (*task_main)(void);           // what a fresh stack starts with
    struct chanrt__worker *idle_first; // sleeping workers, the keeper last
    struct chanrt__worker *keeper;     // the one idle worker that sleeps with a timeout
    struct chanrt__worker *a_poller;   // the one that blocks in the poller
    int idle_count;
    long a_blocked;                    // the program's threads blocked for ever
    int64_t a_expects;                 // a worker's a_expects, of the program's threads
    long a_idle_helpers;               // threads of >>blocking
    struct chanrt__os_thread *threads; // those
    long checks;                       // looks for a deadlock that did not find one, in a row
    long a_helpers;                    // threads of ours that wake nobody: >>watch
    void (*started)(void);             // upward: the pool runs (>>watch)
    uint64_t a_spawned_outside;        // by the program's own threads
    uint64_t a_wakes, a_peak, a_ids;
    uint64_t epoch;                    // shutdowns so far
    uint32_t a_announce CHANRT__ALIGNED(64); // see CHANRT__IDLE_ONE
    uint32_t a_shared_lock CHANRT__ALIGNED(64);
    uint32_t a_shared_len;
    struct chanrt__task *shared_head, *shared_tail;
    uint32_t a_timer_lock CHANRT__ALIGNED(64);
    struct chanrt__node *timers;
    uint64_t timer_order;
    int64_t a_timer_next;              // earliest deadline, CHANRT__FOREVER if none
    int64_t a_keeper_until;            // what the keeper sleeps for
} chanrt__pool = { .life = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER,
                   .a_timer_next = INT64_MAX, .a_keeper_until = INT64_MAX };

static inline struct chanrt__worker *chanrt__sched_self(void) {
    return (struct chanrt__worker *)chanrt__os_self()->worker;
}

static bool chanrt__sched_stopping(void) {
    return (chanrt__atom_load(&chanrt__pool.a_special) & CHANRT__STOPPING) != 0;
}

// --- the biased lock on a worker's queue. The owner pays two plain stores and a load. A thief
// asks, and the owner lets it in when it comes by, which is soon while its tasks are short; for
// one that does not come by the thief pays with a fence in every running thread. [bias]

CHANRT__NOINLINE static void chanrt__sched_enter_slow(struct chanrt__worker *w) {
    w->robbed = true;
    do {
        uint64_t ticket;
        chanrt__atom_store_rel(&w->a_in, 0); // [bias] let the thief in
        for (int i = 0; (ticket = chanrt__atom_load_acq(&w->a_request)) != 0; i++) { // [bias]
            // The owner of this ticket knows: until it is taken back the queue is not touched here.
            chanrt__atom_store_rel(&w->a_granted, ticket); // [bias]
            chanrt__atom_pause();
            if (i % 64 == 63) sched_yield();
        }
        chanrt__atom_store(&w->a_in, 1);
        chanrt__os_light_fence();
    } while (chanrt__atom_load_acq(&w->a_request) != 0); // [bias]
}

static inline void chanrt__sched_enter(struct chanrt__worker *w) {
    chanrt__atom_store(&w->a_in, 1);
    chanrt__os_light_fence();
    if (CHANRT__UNLIKELY(chanrt__atom_load_acq(&w->a_request) != 0)) // [bias]
        chanrt__sched_enter_slow(w);
}

static inline void chanrt__sched_leave(struct chanrt__worker *w) {
    chanrt__atom_store_rel(&w->a_in, 0); // [bias] the queue as it is now
}

// A piece of somebody's queue.
struct chanrt__sched_list {
    struct chanrt__task *first, *last;
    uint32_t n;
    bool fresh;
};

static inline void chanrt__sched_append_list(struct chanrt__worker *w,
                                             struct chanrt__sched_list list) {
    if (list.fresh && w->fresh == NULL) {
        w->fresh = list.first;
        w->fresh_last = list.last;
        w->fresh_len = list.n;
    } else {
        if (w->head == NULL) w->head = list.first;
        else w->tail->next = list.first;
        w->tail = list.last;
    }
    chanrt__atom_store(&w->a_len, chanrt__atom_load(&w->a_len) + list.n);
}

static inline void chanrt__sched_append(struct chanrt__worker *w, struct chanrt__task *t) {
    t->next = NULL;
    chanrt__sched_append_list(w, (struct chanrt__sched_list){ t, t, 1, false });
}

static inline void chanrt__sched_add_fresh(struct chanrt__worker *w, struct chanrt__task *t) {
    t->next = w->fresh;
    if (w->fresh == NULL) w->fresh_last = t;
    w->fresh = t;
    w->fresh_len++;
    chanrt__atom_store(&w->a_len, chanrt__atom_load(&w->a_len) + 1);
}

static inline struct chanrt__task *chanrt__sched_take_fresh(struct chanrt__worker *w) {
    struct chanrt__task *t = w->fresh;
    if (t == NULL) return NULL;
    w->fresh = t->next;
    w->fresh_len--;
    chanrt__atom_store(&w->a_len, chanrt__atom_load(&w->a_len) - 1);
    return t;
}

static inline struct chanrt__task *chanrt__sched_shift(struct chanrt__worker *w) {
    struct chanrt__task *t = w->head;
    if (t == NULL) return NULL;
    w->head = t->next;
    chanrt__atom_store(&w->a_len, chanrt__atom_load(&w->a_len) - 1);
    return t;
}

// --- waking workers. Whoever makes work visible looks at the announcement afterwards; whoever
// goes to sleep announces it, fences, and looks at the work again (model/idle.pml). [idle]

// Takes w off the idle list. A keeper that lay down when nobody was busy may sleep for long; with
// somebody busy there must be one that looks after him, so it loses its office, and the next
// searcher that stops sees to a new one (model/idle.pml, BUG_BLIND).
static void chanrt__sched_unlink_idle_locked(struct chanrt__worker *w) {
    bool blind = chanrt__pool.idle_count == chanrt__pool.count &&
                 chanrt__atom_load(&chanrt__pool.a_keeper_until) - chanrt_now() >
                     chanrt__sched_watch_max;
    if (chanrt__pool.keeper == w || blind) {
        chanrt__pool.keeper = NULL;
        chanrt__atom_store(&chanrt__pool.a_keeper_until, CHANRT__FOREVER);
    }
    if (w->idle_prev != NULL) w->idle_prev->idle_next = w->idle_next;
    else chanrt__pool.idle_first = w->idle_next;
    if (w->idle_next != NULL) w->idle_next->idle_prev = w->idle_prev;
    w->idle = false;
    chanrt__pool.idle_count--;
}

// Where calls end up that need the workers a fork has not brought along.
static inline void chanrt__sched_refuse_child(void) {
    if (CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__pool.a_forked) != 0))
        chanrt__fail_stop("this process was forked from one with tasks, and has none of its "
                          "workers: only exec may follow");
}

// Ends a sleep: where the sleeper sleeps was fixed before it could be found.
static void chanrt__sched_wake(struct chanrt__worker *w, bool polls) {
    if (polls) chanrt__poll_kick();
    else chanrt__os_wake(&w->a_wake);
}

// Wakes w, if it is idle, as a searcher.
static void chanrt__sched_rouse(struct chanrt__worker *w) {
    pthread_mutex_lock(&chanrt__pool.mutex);
    bool idle = w != NULL && w->idle, polls = idle && w->polls;
    if (idle) {
        chanrt__sched_unlink_idle_locked(w);
        chanrt__atom_add_seq(&chanrt__pool.a_announce, // [idle]
                             CHANRT__SPIN_ONE - (uint32_t)CHANRT__IDLE_ONE);
        chanrt__atom_store_rel(&w->a_wake, 1); // [wake]
        chanrt__pool.a_wakes++;
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    if (idle) chanrt__sched_wake(w, polls);
}

// Wakes any idle worker; the caller has counted it as searching already. Both counts are right
// again before the mutex is free: a searcher that does not exist would keep others from waking
// one (model/idle.pml, BUG_LATESUB).
static void chanrt__sched_rouse_any(void) {
    pthread_mutex_lock(&chanrt__pool.mutex);
    struct chanrt__worker *w = chanrt__pool.idle_first;
    bool polls = w != NULL && w->polls;
    if (w != NULL) {
        chanrt__sched_unlink_idle_locked(w);
        chanrt__atom_add_seq(&chanrt__pool.a_announce, (uint32_t)-CHANRT__IDLE_ONE); // [idle]
        chanrt__atom_store_rel(&w->a_wake, 1); // [wake]
        chanrt__pool.a_wakes++;
    } else {
        chanrt__atom_add_seq(&chanrt__pool.a_announce, (uint32_t)-CHANRT__SPIN_ONE); // [idle]
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    if (w != NULL) chanrt__sched_wake(w, polls);
}

// After work became visible: one searcher is enough, and enough to find all of it, because a
// searcher that finds work wakes the next (chanrt__sched_stop_search).
static inline void chanrt__sched_announce(void) {
    uint32_t a = chanrt__atom_load(&chanrt__pool.a_announce);
    if (CHANRT__LIKELY((a & 0xffff) == 0 || a >= CHANRT__SPIN_ONE)) return;
    if (chanrt__atom_cas_acqrel(&chanrt__pool.a_announce, a, a + CHANRT__SPIN_ONE)) // [idle]
        chanrt__sched_rouse_any();
}

static inline void chanrt__sched_announce_work(void) {
    chanrt__os_light_fence();
    chanrt__sched_announce();
}

static void chanrt__sched_push_shared(struct chanrt__task *first, struct chanrt__task *last,
                                      uint32_t n) {
    chanrt__sched_refuse_child();
    chanrt__os_lock(&chanrt__pool.a_shared_lock);
    {
        last->next = NULL;
        if (chanrt__pool.shared_head == NULL) chanrt__pool.shared_head = first;
        else chanrt__pool.shared_tail->next = first;
        chanrt__pool.shared_tail = last;
        chanrt__atom_store(&chanrt__pool.a_shared_len,
                           chanrt__atom_load(&chanrt__pool.a_shared_len) + n);
        CHANRT__IF_TRACE(chanrt__trace_length(chanrt__atom_load(&chanrt__pool.a_shared_len));)
    }
    chanrt__os_unlock(&chanrt__pool.a_shared_lock);
    chanrt__atom_fence_seq(); // [fence] a searcher that we trust in sees it when it stops
    chanrt__sched_announce();
}

// A pinned task goes to its own worker, wherever it is made ready.
static void chanrt__sched_push_pinned(struct chanrt__task *t) {
    struct chanrt__worker *w = &chanrt__pool.workers[t->place];
    chanrt__os_lock(&w->a_pinned_lock);
    {
        t->next = NULL;
        if (w->pinned_head == NULL) w->pinned_head = t;
        else w->pinned_tail->next = t;
        w->pinned_tail = t;
        chanrt__atom_store(&w->a_pinned_len, chanrt__atom_load(&w->a_pinned_len) + 1);
    }
    chanrt__os_unlock(&w->a_pinned_lock);
    chanrt__os_light_fence();
    if ((chanrt__atom_load(&chanrt__pool.a_announce) & 0xffff) != 0) chanrt__sched_rouse(w);
}

// Whether tasks here run for so long that a hand-off is worth waking somebody.
static inline bool chanrt__sched_long(struct chanrt__worker *w) {
    return chanrt__atom_load(&w->a_slice) > chanrt__sched_short;
}

// Whether what is queued at v is worth a theft.
static bool chanrt__sched_worth(struct chanrt__worker *v) {
    uint64_t len = chanrt__atom_load(&v->a_len);
    return len * chanrt__atom_load(&v->a_slice) >= chanrt__sched_theft;
}

// One task that makes many ready does not pick, so nobody looks how long tasks run; if it goes on
// like this, what it makes is short (tests/bench: spawn_burst).
static void chanrt__sched_gauge(struct chanrt__worker *w) {
    int64_t made = chanrt__atom_load(&w->a_tick) - w->looked;
    int64_t slice = (chanrt_now() - w->now) / made;
    if (slice < chanrt__atom_load(&w->a_slice)) chanrt__atom_store(&w->a_slice, (uint32_t)slice);
}

// A ready task to the end of w's queue. Someone searching gets a long one at once. Who was made
// ready in its place, say by a timer, and whom that one wakes, run before it: a pair that had the
// worker to itself has used up the budget, and they would come after the pair's next 64 hand-offs
// (tests/bench: hog_timer_p99).
CHANRT__NOINLINE static void chanrt__sched_push(struct chanrt__worker *w, struct chanrt__task *t) {
    if (CHANRT__UNLIKELY(chanrt__sched_long(w))) {
        uint32_t made = chanrt__atom_load(&w->a_tick) - w->looked;
        if (made != 0 && made % (2 * CHANRT__LOOK_EVERY) == 0) chanrt__sched_gauge(w);
    }
    if (chanrt__atom_load(&chanrt__pool.a_announce) >= CHANRT__SPIN_ONE &&
        chanrt__sched_long(w)) {
        chanrt__sched_push_shared(t, t, 1);
        return;
    }
    if (w->budget < CHANRT__LIFO_LEFT && chanrt__atom_load(&w->a_len) == 0)
        w->budget = CHANRT__LIFO_LEFT;
    chanrt__sched_enter(w);
    if (t->stack == NULL) chanrt__sched_add_fresh(w, t);
    else chanrt__sched_append(w, t);
    chanrt__sched_leave(w);
    chanrt__sched_announce_work();
}

CHANRT__NOINLINE static void chanrt__sched_announce_long(void) {
    chanrt__sched_announce_work();
}

// Makes t the next task w runs; who was to be next goes to the queue.
CHANRT__INLINE void chanrt__sched_push_next(struct chanrt__worker *w, struct chanrt__task *t) {
    chanrt__atom_store(&w->a_tick, chanrt__atom_load(&w->a_tick) + 1);
    chanrt__sched_enter(w);
    struct chanrt__task *old = chanrt__atom_load(&w->a_next);
    chanrt__atom_store(&w->a_next, t);
    chanrt__sched_leave(w);
    if (old != NULL) chanrt__sched_push(w, old);
    else if (CHANRT__UNLIKELY(chanrt__sched_long(w))) chanrt__sched_announce_long();
}

// --- the program's own threads, and the end of all hope

// Tasks spawned and not ended. Exact when nothing runs: ends are read before spawns.
static uint64_t chanrt__sched_live(void) {
    uint64_t finished = 0, spawned = 0;
    for (int i = 0; i < chanrt__pool.count; i++)
        finished += chanrt__atom_load_acq(&chanrt__pool.workers[i].a_finished); // [ended]
    for (int i = 0; i < chanrt__pool.count; i++)
        spawned += chanrt__atom_load(&chanrt__pool.workers[i].a_spawned);
    spawned += chanrt__atom_load(&chanrt__pool.a_spawned_outside);
    return spawned > finished ? spawned - finished : 0;
}

static bool chanrt__sched_has_work(struct chanrt__worker *v) {
    return chanrt__atom_load(&v->a_len) != 0 || chanrt__atom_load(&v->a_next) != NULL;
}

// Notes that from now on (n > 0), or no longer (< 0), something outside the process may end n
// waits: input, a signal.
static void chanrt__sched_expect(int n) {
    struct chanrt__worker *w = chanrt__sched_self();
    if (w != NULL) chanrt__atom_store(&w->a_expects, w->a_expects + n);
    else chanrt__atom_add(&chanrt__pool.a_expects, n);
}

static bool chanrt__sched_expects(void) {
    int64_t sum = chanrt__atom_load(&chanrt__pool.a_expects);
    for (int i = 0; i < chanrt__pool.count; i++)
        sum += chanrt__atom_load(&chanrt__pool.workers[i].a_expects);
    return sum != 0;
}

// Helper threads that are idle cannot call in.
static void chanrt__sched_add_helpers(int n) {
    chanrt__atom_add(&chanrt__pool.a_idle_helpers, n);
}

// Something is blocked, and no thread of the process is left that could free it.
static bool chanrt__sched_nobody_left_locked(void) {
    long blocked = chanrt__atom_load(&chanrt__pool.a_blocked);
    if (blocked == 0 && chanrt__sched_live() == 0) return false;
    long others = chanrt__os_threads() - chanrt__pool.count - blocked -
                  chanrt__atom_load(&chanrt__pool.a_helpers) -
                  chanrt__atom_load(&chanrt__pool.a_idle_helpers);
    return others == 0 || (CHANRT__FIBERS && others == 1); // TSan has a thread of its own, later on
}

// Nothing can ever run again: every worker idle, every thread of the process blocked for ever or
// a worker, no work queued, no timer armed, nothing expected from outside (model/deadlock.pml).
// Whoever makes work or wakes somebody is a running worker or an unblocked thread, so none can be
// missed.
static bool chanrt__sched_stuck_locked(void) {
    if (chanrt__pool.idle_count != chanrt__pool.count) return false;
    if (chanrt__atom_load(&chanrt__pool.a_shared_len) != 0) return false;
    if (chanrt__atom_load(&chanrt__pool.a_timer_next) != CHANRT__FOREVER) return false;
    if (chanrt__sched_expects()) return false;
    for (int i = 0; i < chanrt__pool.count; i++) {
        struct chanrt__worker *w = &chanrt__pool.workers[i];
        if (chanrt__sched_has_work(w) || chanrt__atom_load(&w->a_pinned_len) != 0) return false;
    }
    return chanrt__sched_nobody_left_locked();
}

static void chanrt__sched_check_stuck(void) {
    pthread_mutex_lock(&chanrt__pool.mutex);
    if (chanrt__sched_stuck_locked()) chanrt__fail_deadlock();
    pthread_mutex_unlock(&chanrt__pool.mutex);
}

// Usable processors: as of the start, or of the first thread that waits before there is one.
static int chanrt__sched_cpus(void) {
    int n = chanrt__atom_load(&chanrt__pool.a_cpus);
    if (CHANRT__UNLIKELY(n == 0)) chanrt__atom_store(&chanrt__pool.a_cpus, n = chanrt__os_cpus());
    return n;
}

// Blocks the calling thread until notified, or the deadline. Returns false on the deadline.
static bool chanrt__sched_thread_block(int64_t deadline) {
    chanrt__sched_refuse_child();
    struct chanrt__os_thread *self = chanrt__os_self();
    bool drawn = chanrt__atom_load(&chanrt__det.a_on), alone = chanrt__sched_cpus() == 1;
    int64_t nap = 10 * CHANRT_MILLISECOND;
    for (int i = 0; !drawn && i < (alone ? CHANRT__YIELDS : 200); i++) {
        if (chanrt__atom_load_acq(&self->a_park) == CHANRT__NOTIFIED) break; // [wake]
        if (alone) sched_yield(); // only then can another thread answer
        else chanrt__atom_pause();
    }
    uint32_t state = deadline == CHANRT__FOREVER ? CHANRT__PARKED : CHANRT__PARKED_TIMED;
    pthread_mutex_lock(&chanrt__pool.mutex);
    bool park = chanrt__atom_cas_acqrel(&self->a_park, CHANRT__EMPTY, state); // [wake]
    if (park && state == CHANRT__PARKED) {
        chanrt__atom_add(&chanrt__pool.a_blocked, 1);
        self->since = chanrt_now();
        self->prev = NULL;
        self->next = chanrt__pool.threads;
        if (self->next != NULL) self->next->prev = self;
        chanrt__pool.threads = self;
        chanrt__pool.checks = 0;
        if (chanrt__atom_load(&chanrt__pool.a_running) && chanrt__sched_stuck_locked())
            chanrt__fail_deadlock();
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    while (park && chanrt__atom_load_acq(&self->a_park) != CHANRT__NOTIFIED) { // [wake]
        if (deadline != CHANRT__FOREVER && chanrt_now() >= deadline)
            if (chanrt__atom_cas_acqrel(&self->a_park, state, CHANRT__EMPTY)) // [wake]
                return false;
        if (drawn) {
            chanrt__det_thread_wait(self, &self->a_park, CHANRT__NOTIFIED, deadline, false);
        } else if (deadline == CHANRT__FOREVER && !chanrt__atom_load(&chanrt__pool.a_running)) {
            // No worker looks whether the program's other threads have gone; so this one does, but
            // not at once: that would cost as much as the hand-over (tests/bench: foreign_two).
            chanrt__os_sleep(&self->a_park, state, chanrt__os_clock() + nap);
            if (chanrt__atom_load(&self->a_park) != CHANRT__NOTIFIED) chanrt__sched_check_stuck();
            nap = 100 * CHANRT_MILLISECOND;
        } else if (deadline == CHANRT__FOREVER) { // meanwhile somebody may shut the pool down
            chanrt__os_sleep(&self->a_park, state, chanrt__os_clock() + CHANRT_SECOND);
        } else {
            chanrt__os_sleep(&self->a_park, state, deadline);
        }
    }
    chanrt__atom_store(&self->a_park, CHANRT__EMPTY);
    return true;
}

// Wakes a blocked thread. The swap and the count are one step under the mutex: the thread cannot
// block again, and be counted twice, in between (model/deadlock.pml, BUG_XCHG).
static void chanrt__sched_thread_unblock(struct chanrt__os_thread *thread) {
    uint32_t *word = &thread->a_park;
    if (chanrt__atom_cas_acqrel(word, CHANRT__EMPTY, CHANRT__NOTIFIED)) return; // [wake]
    pthread_mutex_lock(&chanrt__pool.mutex);
    struct chanrt__os_thread *next = thread->next, *prev = thread->prev;
    uint32_t old;
    if (CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__det.a_on)))
        old = chanrt__det_thread_wake(thread, word, CHANRT__NOTIFIED);
    else old = chanrt__atom_swap_acqrel(word, CHANRT__NOTIFIED); // [wake] *thread is done with
    if (old == CHANRT__PARKED) {
        chanrt__atom_add(&chanrt__pool.a_blocked, -1);
        if (prev != NULL) prev->next = next;
        else chanrt__pool.threads = next;
        if (next != NULL) next->prev = prev;
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    if (old != CHANRT__EMPTY) chanrt__os_wake(word);
}

// A thread, a pinned task, or a task made ready from outside the pool.
CHANRT__NOINLINE static void chanrt__sched_ready_far(uintptr_t owner) {
    struct chanrt__task *t = (struct chanrt__task *)owner;
    if (owner & 1)
        chanrt__sched_thread_unblock((struct chanrt__os_thread *)(owner & ~(uintptr_t)1));
    else if ((t->flags & CHANRT__PINNED) && t->stack != NULL) chanrt__sched_push_pinned(t);
    else if (chanrt__sched_self() != NULL) chanrt__sched_push_next(chanrt__sched_self(), t);
    else chanrt__sched_push_shared(t, t, 1);
}

// Makes whoever waited ready to run. The caller touches nothing of its wait afterwards (M1).
CHANRT__INLINE void chanrt__sched_ready(uintptr_t owner) {
    struct chanrt__task *t = (struct chanrt__task *)owner;
    struct chanrt__worker *w = chanrt__sched_self();
    CHANRT__IF_TRACE(if (chanrt__trace_on()) chanrt__trace_wake(owner);)
    if (CHANRT__UNLIKELY((owner & 1) || w == NULL || (t->flags & CHANRT__PINNED)))
        chanrt__sched_ready_far(owner);
    else chanrt__sched_push_next(w, t);
}

// --- picking

// The hand-off slot, then the youngest task yet to start, then the queue; when the budget is used
// up, first one of the queue or, if that is empty, of those yet to start.
CHANRT__INLINE struct chanrt__task *chanrt__sched_pop(struct chanrt__worker *w) {
    chanrt__sched_enter(w);
    struct chanrt__task *t = NULL;
    if (w->budget > 0 || chanrt__atom_load(&w->a_len) == 0) {
        t = chanrt__atom_load(&w->a_next);
        if (t != NULL) chanrt__atom_store(&w->a_next, NULL);
        else t = chanrt__sched_take_fresh(w);
        w->budget -= w->budget > 0;
    }
    if (t == NULL) {
        t = chanrt__sched_shift(w);
        if (t == NULL) t = chanrt__sched_take_fresh(w);
        w->budget = CHANRT__LIFO_BUDGET;
    }
    chanrt__sched_leave(w);
    return t;
}

// What a task's stack may pick. NULL: go to the base stack, where there is time to look around.
CHANRT__INLINE struct chanrt__task *chanrt__sched_pick(struct chanrt__worker *w) {
    uint32_t tick = chanrt__atom_load(&w->a_tick) + 1;
    chanrt__atom_store(&w->a_tick, tick);
    if (CHANRT__UNLIKELY(tick - w->looked >= w->look_every ||
                         chanrt__atom_load(&w->a_pinned_len) != 0 ||
                         chanrt__atom_load(&chanrt__pool.a_special) != 0))
        return NULL;
    return chanrt__sched_pop(w);
}

// --- switching to tasks

static inline bool chanrt__sched_has_stack(struct chanrt__worker *w, struct chanrt__task *t) {
    return t->stack != NULL || w->stacks[t->place].first != NULL;
}

// Gives an unstarted task a stack of the worker's cache, which must not be empty.
static void chanrt__sched_prepare(struct chanrt__worker *w, struct chanrt__task *t) {
    int class = t->place;
    struct chanrt__stack *s = w->stacks[class].first;
    w->stacks[class].first = s->next;
    w->stacks[class].count--;
    t->stack = s;
    if (t->flags & CHANRT__PINNED) t->place = (uint16_t)w->index;
    chanrt__stack_enter(s, &t->ctx, chanrt__pool.task_main);
}

#if CHANRT_TRACE
// w goes on with its current task, or on the base stack; `left` waits, or is still ready. NULL:
// it has ended, or there was none.
CHANRT__INLINE void chanrt__sched_trace(struct chanrt__worker *w,
                                        const struct chanrt__task *left) {
    if (!chanrt__trace_on()) return;
    uint32_t length = chanrt__atom_load(&w->a_len) + chanrt__atom_load(&w->a_pinned_len);
    chanrt__trace_switch(left, w->a_current, length + (chanrt__atom_load(&w->a_next) != NULL));
}
#endif

// Leaves the context `from` for t, or for the base stack when t is NULL or cannot be run from
// here; then clears *word.
CHANRT__INLINE void chanrt__sched_switch(struct chanrt__worker *w, struct chanrt__ctx *from,
                                        struct chanrt__task *t, uint32_t *word, bool dying) {
    struct chanrt__ctx *to = &w->base;
    CHANRT__IF_TRACE(const struct chanrt__task *left = dying ? NULL : w->a_current;)
    CHANRT__IF_PROFILE(struct chanrt__task *leaves = dying ? NULL : w->a_current;)
    if (CHANRT__LIKELY(t != NULL && chanrt__atom_load_acq(&t->a_on_cpu) == 0 && // [saved]
                       chanrt__sched_has_stack(w, t))) {
        if (CHANRT__UNLIKELY(t->stack == NULL)) chanrt__sched_prepare(w, t);
        chanrt__atom_store_rel(&w->a_current, t); // [current] its page may be new
        to = &t->ctx;
        chanrt__atom_store(&w->a_switches, w->a_switches + 1);
    } else {
        if (t != NULL) w->pending = t;
        chanrt__atom_store(&w->a_current, NULL);
    }
    CHANRT__IF_TRACE(chanrt__sched_trace(w, left);)
    CHANRT__IF_PROFILE(chanrt__profile_switch(&w->profile, leaves, w->a_current);)
    chanrt__ctx_switch(from, to, word, dying);
}

#if CHANRT_DEBUG
static void chanrt__sched_check_stack(const struct chanrt__task *t) {
    const char *end = chanrt__stack_spoilt(t->stack);
    if (end == NULL) return;
    const chanrt_x_site *at = t->a_at != NULL ? t->a_at : t->a_site;
    chanrt__fail_stop("task %llu \"%s\", spawned at %s:%d, has spoilt its stack of %zu bytes %s; "
                      "last seen at %s:%d",
                      (unsigned long long)t->a_id, t->a_name, t->a_site->file, t->a_site->line,
                      chanrt__stack_size(t->stack->class), end, at->file, at->line);
}
#endif

// Parks the task running on w; *word is cleared once its registers are saved: the lock of the one
// thing it waits for, or its own a_on_cpu when it may be woken before that (model/park.pml).
// Returns when it has been made ready, perhaps on another worker. Keeps errno.
CHANRT__INLINE void chanrt__sched_park_plain(struct chanrt__worker *w, uint32_t *word) {
    struct chanrt__task *t = w->a_current;
    int error = *w->error;
    CHANRT__IF_DEBUG(chanrt__sched_check_stack(t);)
    chanrt__atom_store(&w->a_parks, w->a_parks + 1);
    struct chanrt__task *next = chanrt__sched_pick(w);
    if (CHANRT__UNLIKELY(next == t)) { // woken already
        CHANRT__IF_TRACE(chanrt__sched_trace(w, t);)
        chanrt__os_unlock(word);
        return;
    }
    chanrt__sched_switch(w, &t->ctx, next, word, false);
    *chanrt__sched_self()->error = error;
}

// The same in a task that handles an exception or unwinds: that goes along with it.
CHANRT__NOINLINE static void chanrt__sched_park_handling(struct chanrt__worker *w,
                                                         uint32_t *word) {
    struct chanrt__os_exceptions kept = *w->exceptions;
    memset(w->exceptions, 0, sizeof kept);
    chanrt__sched_park_plain(w, word);
    *chanrt__sched_self()->exceptions = kept;
}

CHANRT__INLINE void chanrt__sched_park(struct chanrt__worker *w, uint32_t *word) {
    struct chanrt__os_exceptions *e = w->exceptions;
    if (CHANRT__UNLIKELY(e != NULL) && (e->caught != NULL || e->uncaught != 0))
        chanrt__sched_park_handling(w, word);
    else
        chanrt__sched_park_plain(w, word);
}

// --- points, where the deterministic mode may go on with somebody else. Every public operation
// begins with one, and those that wake somebody, take or give something away end with one, since
// what their caller does next may come too late; only unlocking what nobody waits for has none.
// Never under a spin lock.

// A ready task to the end of the queue, and its worker to whatever is next.
static void chanrt__sched_requeue(struct chanrt__worker *w) {
    struct chanrt__task *t = w->a_current;
    chanrt__atom_store(&t->a_on_cpu, 1); // in the queue before its registers are saved
    if (t->flags & CHANRT__PINNED) {
        chanrt__sched_push_pinned(t);
    } else {
        chanrt__sched_enter(w);
        chanrt__sched_append(w, t);
        chanrt__sched_leave(w);
    }
    chanrt__sched_park(w, &t->a_on_cpu);
}

// Whether anything but the caller could go on. If not yet, but at some instant, the caller's
// asking makes time pass.
static bool chanrt__sched_others(struct chanrt__worker *w) {
    if (chanrt__sched_has_work(w) || chanrt__atom_load(&chanrt__det.a_count) != 0 ||
        chanrt__atom_load(&chanrt__pool.a_shared_len) != 0 ||
        chanrt__atom_load(&w->a_pinned_len) != 0 || chanrt__atom_load(&chanrt__det.a_ready) != 0)
        return true;
    int64_t due = chanrt__atom_load(&chanrt__pool.a_timer_next);
    int64_t until = chanrt__det_next_deadline();
    if (until < due) due = until;
    return due != CHANRT__FOREVER && due <= chanrt_now();
}

CHANRT__NOINLINE static void chanrt__sched_point_drawn(void) {
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__worker *w = (struct chanrt__worker *)self->worker;
    if (w == NULL) {
        if (self->aside || !chanrt__atom_load_acq(&chanrt__pool.a_running)) return; // [start]
        chanrt__det_thread_point(self, chanrt__sched_others(&chanrt__pool.workers[0]));
        return;
    }
    // A task that has begun to wait may be woken, and must not be in a queue twice.
    struct chanrt__task *t = w->a_current;
    if (t != NULL && chanrt__atom_load(&t->a_on_cpu) == 0 && chanrt__sched_others(w))
        chanrt__sched_requeue(w);
}

static inline bool chanrt__sched_drawn(void) {
    return CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__det.a_on));
}

static inline void chanrt__sched_point(void) {
    if (chanrt__sched_drawn()) chanrt__sched_point_drawn();
}

// --- the end of a task

static void chanrt__sched_free_stack(struct chanrt__worker *w, struct chanrt__stack *s) {
    int class = s->class;
    if (w->stacks[class].count >= CHANRT__STACK_KEEP) { // older ones go; s is still stood on
        struct chanrt__stack *first = w->stacks[class].first, *last = first;
        for (int i = 1; i < CHANRT__STACK_KEEP / 2; i++) last = last->next;
        w->stacks[class].first = last->next;
        w->stacks[class].count -= CHANRT__STACK_KEEP / 2;
        chanrt__stack_give(first, last);
    }
    s->next = w->stacks[class].first;
    w->stacks[class].first = s;
    w->stacks[class].count++;
}

static void chanrt__sched_free_task(struct chanrt__worker *w, struct chanrt__task *t) {
    chanrt__atom_store(&t->a_id, 0);
    t->next = w->free;
    w->free = t;
    if (++w->free_count < 4 * CHANRT__TASK_BATCH) return;
    struct chanrt__task *last = t;
    for (int i = 1; i < 2 * CHANRT__TASK_BATCH; i++) last = last->next;
    w->free = last->next;
    w->free_count -= 2 * CHANRT__TASK_BATCH;
    chanrt__task_give(t, last);
}

static void chanrt__sched_finish(struct chanrt__worker *w, struct chanrt__task *t, int result) {
    CHANRT__IF_DEBUG(chanrt__sched_check_stack(t);)
    if (t->flags & CHANRT__LARGE) CHANRT_FREE(t->u.run.large);
    if (t->end != NULL) t->end(t->end_object, result);
    chanrt__sched_free_task(w, t);
    chanrt__atom_store_rel(&w->a_finished, w->a_finished + 1); // [ended] for a shutdown's sum
}

// What every task stack runs: one task after the other for as long as the next one has not
// started yet and can use this same stack, still warm.
CHANRT__NOINLINE static void chanrt__sched_task_main(void) {
    CHANRT__CTX_OUTERMOST;
    struct chanrt__worker *w = chanrt__sched_self();
    struct chanrt__task *t = w->a_current;
    if (!(t->flags & CHANRT__EXITED)) chanrt__ctx_arrived(NULL);
    for (;;) {
        int result = 0;
        if (!(t->flags & CHANRT__EXITED)) result = chanrt__task_run(t);
        w = chanrt__sched_self();
        if (CHANRT__UNLIKELY(w == NULL)) chanrt__sched_refuse_child();
        struct chanrt__stack *s = t->stack;
        bool reuse = !CHANRT_TSAN_USER && !(CHANRT__TSAN && (t->flags & CHANRT__EXITED));
        chanrt__sched_finish(w, t, result);
        t = chanrt__sched_pick(w);
        if (t != NULL && t->stack == NULL && t->place == s->class && reuse) {
            t->stack = s;
            if (t->flags & CHANRT__PINNED) t->place = (uint16_t)w->index;
            chanrt__stack_adopt(s, &t->ctx);
            chanrt__atom_store_rel(&w->a_current, t); // [current]
            chanrt__atom_store(&w->a_switches, w->a_switches + 1);
            CHANRT__IF_TRACE(chanrt__sched_trace(w, NULL);)
            CHANRT__IF_PROFILE(chanrt__profile_switch(&w->profile, NULL, t);)
            continue;
        }
#if CHANRT__TSAN
        s->dirty = !reuse;
#endif
        chanrt__ctx_died(&w->ended);
        if (!reuse) { // it could get this very stack: from the base, then
            w->pending = t;
            t = NULL;
        }
        chanrt__sched_free_stack(w, s);
        chanrt__sched_switch(w, &w->scratch, t, &w->nothing, true);
    }
}

static void chanrt__sched_unwind_push(struct chanrt__unwind *u, void (*call)(void *), void *arg) {
    struct chanrt__task *t = chanrt__sched_self()->a_current;
    *u = (struct chanrt__unwind){ t->flags & CHANRT__UNWINDS ? t->u.run.unwind : NULL, call, arg };
    t->u.run.unwind = u;
    t->flags |= CHANRT__UNWINDS;
}

static void chanrt__sched_unwind_pop(const struct chanrt__unwind *u) {
    struct chanrt__task *t = chanrt__sched_self()->a_current;
    t->u.run.unwind = u->outer;
}

// Leaves every handler the calling task is in. An exception's destructor is the program's, and may
// block, so the worker is another one each time.
static void chanrt__sched_end_catches(void) {
    while (chanrt__sched_self()->exceptions->caught != NULL) chanrt__os_end_catch();
    struct chanrt__os_exceptions *left = chanrt__sched_self()->exceptions;
    memset(left, 0, sizeof *left);
}

CHANRT_API void chanrt_task_exit(void) {
    struct chanrt__worker *w = chanrt__sched_self();
    if (w == NULL) pthread_exit(NULL);
    struct chanrt__task *t = w->a_current;
    if (w->exceptions != NULL) chanrt__sched_end_catches();
    if (t->flags & CHANRT__UNWINDS)
        for (struct chanrt__unwind *u = t->u.run.unwind; u != NULL; u = u->outer) u->call(u->arg);
    t->flags |= CHANRT__EXITED;
    chanrt__ctx_restart(&t->ctx, t->stack->low, t->stack->top, chanrt__sched_task_main);
}

// Says whose exception it is that nobody caught; the caller terminates.
CHANRT_API void chanrt_x_uncaught(void) {
    struct chanrt__worker *w = chanrt__sched_self();
    struct chanrt__task *t = w != NULL ? w->a_current : NULL;
    if (t == NULL) return;
    fprintf(stderr, "fatal error: an exception left task %llu \"%s\", spawned at %s:%d\n",
            (unsigned long long)t->a_id, t->a_name, t->a_site->file, t->a_site->line);
}

// --- timers. Any worker fires what is due; one idle worker, the keeper, sleeps until then.

// How many picks of slice ns until a look that has to come within so many ns.
static uint32_t chanrt__sched_picks(int64_t slice, int64_t within) {
    if (within >= slice * CHANRT__LOOK_EVERY) return CHANRT__LOOK_EVERY;
    return within > slice ? (uint32_t)(within / slice) : 1;
}

// The calling worker's next look, counted from the last one, comes when a timer armed now is due.
static void chanrt__sched_look_sooner(int64_t when) {
    struct chanrt__worker *w = chanrt__sched_self();
    if (w == NULL) return;
    int64_t slice = chanrt__atom_load(&w->a_slice), due = when - w->now;
    if (due >= 2 * CHANRT__LOOK_EVERY * slice) return;
    uint32_t made = chanrt__atom_load(&w->a_tick) - w->looked;
    uint32_t picks = made + chanrt__sched_picks(slice, due - made * slice);
    if (picks < w->look_every) w->look_every = picks;
}

static void chanrt__sched_arm(struct chanrt__node *n, int64_t when) {
    bool sooner;
    chanrt__os_lock(&chanrt__pool.a_timer_lock);
    {
        if (n->linked) chanrt__list_remove(&chanrt__pool.timers, n); // two reset it at once
        n->when = when;
        n->armed = true;
        n->order = chanrt__pool.timer_order++;
        chanrt__list_insert(&chanrt__pool.timers, n);
        sooner = when < chanrt__atom_load(&chanrt__pool.a_timer_next);
        if (sooner) chanrt__atom_store(&chanrt__pool.a_timer_next, when);
    }
    chanrt__os_unlock(&chanrt__pool.a_timer_lock);
    // n may have fired and be gone by now. The keeper must not sleep past it. [idle]
    chanrt__os_light_fence();
    if (!sooner) return;
    chanrt__sched_look_sooner(when);
    if ((chanrt__atom_load(&chanrt__pool.a_announce) & 0xffff) == 0) return;
    if (chanrt__atom_load(&chanrt__pool.a_timer_next) >=
        chanrt__atom_load(&chanrt__pool.a_keeper_until))
        return;
    pthread_mutex_lock(&chanrt__pool.mutex);
    struct chanrt__worker *keeper = chanrt__pool.keeper;
    if (keeper == NULL) keeper = chanrt__pool.idle_first;
    pthread_mutex_unlock(&chanrt__pool.mutex);
    chanrt__sched_rouse(keeper);
}

// Arms n again from within its fire.
static void chanrt__sched_rearm_locked(struct chanrt__node *n) {
    n->order = chanrt__pool.timer_order++;
    chanrt__list_insert(&chanrt__pool.timers, n);
}

// Disarms n; false: it has fired, and whoever fired it is done with it.
static bool chanrt__sched_disarm(struct chanrt__node *n) {
    chanrt__os_lock(&chanrt__pool.a_timer_lock);
    bool linked = n->linked;
    n->armed = false;
    if (linked) {
        chanrt__list_remove(&chanrt__pool.timers, n);
        struct chanrt__node *first = chanrt__pool.timers;
        chanrt__atom_store(&chanrt__pool.a_timer_next,
                           first != NULL ? first->when : CHANRT__FOREVER);
    }
    chanrt__os_unlock(&chanrt__pool.a_timer_lock);
    return linked;
}

static void chanrt__sched_fire_due(int64_t now) {
    while (chanrt__atom_load(&chanrt__pool.a_timer_next) <= now) {
        uintptr_t owner = 0;
        chanrt__os_lock(&chanrt__pool.a_timer_lock);
        struct chanrt__node *n = chanrt__pool.timers;
        if (n != NULL && n->when <= now) {
            chanrt__list_remove(&chanrt__pool.timers, n);
            owner = n->fire(n, now);
            n = chanrt__pool.timers;
        }
        chanrt__atom_store(&chanrt__pool.a_timer_next, n != NULL ? n->when : CHANRT__FOREVER);
        chanrt__os_unlock(&chanrt__pool.a_timer_lock);
        CHANRT__IF_TRACE(if (owner != 0) chanrt__trace_mark(CHANRT__TRACE_TIMER, NULL, true);)
        if (owner != 0) chanrt__sched_ready(owner);
    }
}

// --- looking for work, on the base stack only

// Up to a fair share of the shared queue; the first is returned, the rest queued here.
static struct chanrt__task *chanrt__sched_take_shared(struct chanrt__worker *w) {
    if (chanrt__atom_load(&chanrt__pool.a_shared_len) == 0) return NULL;
    struct chanrt__task *first, *rest = NULL, *last = NULL;
    uint32_t n = 0;
    CHANRT__IF_TRACE(chanrt__trace_ring(true);)
    chanrt__os_lock(&chanrt__pool.a_shared_lock);
    {
        uint32_t len = chanrt__atom_load(&chanrt__pool.a_shared_len);
        uint32_t share = len / (uint32_t)chanrt__pool.count + 1;
        if (share > 128) share = 128;
        first = chanrt__pool.shared_head;
        for (struct chanrt__task *t = first; t != NULL && n < share; t = t->next, n++) last = t;
        if (last != NULL) {
            chanrt__pool.shared_head = last->next;
            last->next = NULL;
            rest = first->next;
        }
        chanrt__atom_store(&chanrt__pool.a_shared_len, len - n);
        CHANRT__IF_TRACE(chanrt__trace_length(len - n);)
    }
    chanrt__os_unlock(&chanrt__pool.a_shared_lock);
    if (rest != NULL) {
        chanrt__sched_enter(w);
        chanrt__sched_append_list(w, (struct chanrt__sched_list){ rest, last, n - 1, false });
        chanrt__sched_leave(w);
    }
    return first;
}

static struct chanrt__task *chanrt__sched_take_pinned(struct chanrt__worker *w) {
    if (chanrt__atom_load(&w->a_pinned_len) == 0) return NULL;
    chanrt__os_lock(&w->a_pinned_lock);
    struct chanrt__task *t = w->pinned_head;
    if (t != NULL) {
        w->pinned_head = t->next;
        chanrt__atom_store(&w->a_pinned_len, chanrt__atom_load(&w->a_pinned_len) - 1);
    }
    chanrt__os_unlock(&w->a_pinned_lock);
    return t;
}

// Cuts off what a thief takes: of the tasks yet to start all but the youngest few, else the older
// half of those that wait, else the hand-off slot.
static struct chanrt__sched_list chanrt__sched_cut(struct chanrt__worker *v) {
    struct chanrt__sched_list cut = { NULL, NULL, 0, v->fresh_len > 1 || v->head == NULL };
    if (cut.fresh && v->fresh != NULL) {
        uint32_t keep = v->fresh_len / 2;
        if (keep > CHANRT__STEAL_LEAVE) keep = CHANRT__STEAL_LEAVE;
        struct chanrt__task **at = &v->fresh, *youngest = NULL;
        for (uint32_t i = 0; i < keep; i++) youngest = *at, at = &youngest->next;
        cut.first = *at;
        cut.last = v->fresh_last;
        cut.n = v->fresh_len - keep;
        *at = NULL;
        v->fresh_last = youngest;
        v->fresh_len = keep;
    } else if (v->head != NULL) {
        uint32_t most = (chanrt__atom_load(&v->a_len) - v->fresh_len + 1) / 2;
        if (most > CHANRT__STEAL_MOST) most = CHANRT__STEAL_MOST;
        cut.first = cut.last = v->head;
        for (cut.n = 1; cut.n < most; cut.n++) cut.last = cut.last->next;
        v->head = cut.last->next;
    } else {
        cut.first = cut.last = chanrt__atom_load(&v->a_next);
        chanrt__atom_store(&v->a_next, NULL);
    }
    chanrt__atom_store(&v->a_len, chanrt__atom_load(&v->a_len) - cut.n);
    if (cut.last != NULL) cut.last->next = NULL;
    return cut;
}

// Asks to be let into the victim's queue; the caller holds a_thief.
static bool chanrt__sched_let_in(struct chanrt__worker *victim) {
    uint64_t ticket = ++victim->ticket;
    chanrt__atom_store_rel(&victim->a_request, ticket); // [bias]
    for (int64_t until = chanrt__os_clock() + chanrt__sched_patience; chanrt__os_clock() < until;)
        for (int i = 0; i < 8; i++) {
            if (chanrt__atom_load_acq(&victim->a_granted) == ticket) return true; // [bias]
            chanrt__atom_pause();
        }
    chanrt__os_heavy_fence(); // the owner sees the request, or we see it inside
    for (int i = 0; i < 1000 && chanrt__atom_load(&victim->a_in) != 0; i++) chanrt__atom_pause();
    return chanrt__atom_load_acq(&victim->a_in) == 0; // [bias]
}

// Steals from the victim. The first task taken is returned, the rest is queued here.
static struct chanrt__task *chanrt__sched_rob(struct chanrt__worker *w,
                                              struct chanrt__worker *victim) {
    if (chanrt__atom_swap_acq(&victim->a_thief, 1) != 0) return NULL; // [thief]
    struct chanrt__sched_list cut = { NULL, NULL, 0, false };
    if (chanrt__sched_let_in(victim)) cut = chanrt__sched_cut(victim);
    chanrt__atom_store(&victim->a_stolen, w->now);
    chanrt__atom_store_rel(&victim->a_request, 0); // [bias]
    chanrt__atom_store_rel(&victim->a_thief, 0);   // [thief]
    struct chanrt__task *first = cut.first;
    if (first != NULL) chanrt__atom_store(&w->a_steals, w->a_steals + (cut.n > 0 ? cut.n : 1));
    if (cut.n > 1) {
        cut.first = first->next;
        cut.n--;
        chanrt__sched_enter(w);
        chanrt__sched_append_list(w, cut);
        chanrt__sched_leave(w);
    }
    return first;
}

// One round over the others. A theft must be worth it: enough work by its measure, an owner that
// has shown no sign of life since the last look, or, since the measure knows nothing of what a
// task will spawn, a good while since somebody last stole there.
static struct chanrt__task *chanrt__sched_steal(struct chanrt__worker *w, bool look) {
    int count = chanrt__pool.count;
    int start = (int)(chanrt__os_random(chanrt__os_self()) % (uint32_t)count);
    for (int i = 0; i < count; i++) {
        struct chanrt__worker *v = &chanrt__pool.workers[(start + i) % count];
        if (v == w) continue;
        uint32_t tick = chanrt__atom_load(&v->a_tick), len = chanrt__atom_load(&v->a_len);
        bool still = look && tick == w->seen[v->index];
        if (look) w->seen[v->index] = tick;
        if (!chanrt__sched_has_work(v)) continue;
        if (!still && !chanrt__sched_worth(v) &&
            (len <= 1 || w->now - chanrt__atom_load(&v->a_stolen) < chanrt__sched_theft_rest))
            continue;
        struct chanrt__task *t = chanrt__sched_rob(w, v);
        if (t != NULL) return t;
    }
    return NULL;
}

// Younger tasks overtake older ones while both have yet to start; not for ever (S2).
static void chanrt__sched_age(struct chanrt__worker *w) {
    chanrt__sched_enter(w);
    if (w->fresh != NULL) {
        struct chanrt__sched_list all = { w->fresh, w->fresh_last, w->fresh_len, false };
        w->fresh = NULL;
        w->fresh_len = 0;
        chanrt__atom_store(&w->a_len, chanrt__atom_load(&w->a_len) - all.n);
        chanrt__sched_append_list(w, all);
    }
    chanrt__sched_leave(w);
}

// Only a task that ran since the last time can have made anything (>>signal).
static void chanrt__sched_ask_own(struct chanrt__worker *w) {
    if (w->asked == chanrt__atom_load(&w->a_switches)) return;
    w->asked = chanrt__atom_load(&w->a_switches);
    w->asked_at = w->now;
    chanrt__poll_ask_own();
}

// Takes what the poller has, without waiting for it (0) or until the instant.
static int chanrt__sched_poll(struct chanrt__worker *w, int64_t until) {
    struct chanrt__poll_event events[CHANRT__POLL_BATCH];
    chanrt__atom_store(&chanrt__poll.a_looked, w->now);
    int n = chanrt__poll_look(events, until);
    for (int i = 0; i < n; i++) chanrt__poll_fire(&events[i]);
    chanrt__sched_ask_own(w);
    return n;
}

// A busy worker's look: somebody looks every 100 us, whatever each does.
static void chanrt__sched_look_poll(struct chanrt__worker *w, int64_t slice) {
    uint32_t picks = chanrt__sched_picks(slice, chanrt__poll_every);
    if (picks < w->look_every) w->look_every = picks;
    if (w->now - chanrt__atom_load(&chanrt__poll.a_looked) >= chanrt__poll_every / 2)
        chanrt__sched_poll(w, 0);
    else if (w->now - w->asked_at >= chanrt__poll_every / 2)
        chanrt__sched_ask_own(w);
    chanrt__poll_review(w->index, w->now);
}

// Tasks that seem long: on a busy machine that may be somebody else's time, and who takes them
// for long wakes workers that have nothing to do, who take more of it (tests/bench: cond_pingpong).
// So it is the processor's time that counts, from one such look to the next.
static int64_t chanrt__sched_meter(struct chanrt__worker *w, uint32_t tick, int64_t slice) {
    int64_t used = chanrt__os_thread_clock(), own = chanrt__atom_load(&w->a_slice);
    if (w->metered) own = (used - w->meter) / (tick - w->meter_tick);
    w->metered = true;
    w->meter = used;
    w->meter_tick = tick;
    return own < slice ? own : slice;
}

// Every look_every picks: the clock, the timers, how long tasks run; whether somebody
// sleeps who could help; and now and then whether tasks are stuck behind one that computes.
static struct chanrt__task *chanrt__sched_look(struct chanrt__worker *w) {
    uint32_t tick = chanrt__atom_load(&w->a_tick), picks = tick - w->looked;
    int64_t now = chanrt_now();
    // Being robbed takes time, and must not look like work worth stealing.
    int64_t slice = (now - w->now) / picks;
    if (slice > chanrt__sched_short && chanrt__pool.count > 1)
        slice = chanrt__sched_meter(w, tick, slice);
    else if (w->robbed && slice < 16 * chanrt__sched_short)
        slice = chanrt__atom_load(&w->a_slice);
    chanrt__atom_store(&w->a_slice, slice < INT32_MAX ? (uint32_t)slice : INT32_MAX);
    w->now = now;
    w->looked = tick;
    w->robbed = false;
    if (chanrt__atom_load(&chanrt__pool.a_timer_next) <= now) chanrt__sched_fire_due(now);
    w->look_every =
        chanrt__sched_picks(slice, chanrt__atom_load(&chanrt__pool.a_timer_next) - now);
    if (chanrt__poll_open()) chanrt__sched_look_poll(w, slice);
    if (chanrt__sched_long(w) && chanrt__atom_load(&w->a_len) != 0) chanrt__sched_announce_work();
    if (now - w->watched < chanrt__sched_watch_max) return NULL;
    w->watched = now;
    chanrt__sched_age(w);
    return chanrt__sched_steal(w, true);
}

// The next task to run: what is due, what is shared, what is here. What a look finds shared and
// those pinned take turns with the others, however often there is a look.
static struct chanrt__task *chanrt__sched_find(struct chanrt__worker *w) {
    struct chanrt__task *t = w->pending;
    w->pending = NULL;
    if (t == NULL && chanrt__atom_load(&w->a_tick) - w->looked >= w->look_every) {
        t = chanrt__sched_look(w);
        if (t == NULL && w->a_switches != w->shared + 1) {
            t = chanrt__sched_take_shared(w);
            if (t != NULL) w->shared = w->a_switches;
        }
    }
    if (t == NULL) {
        w->turn = !w->turn;
        if (w->turn) t = chanrt__sched_take_pinned(w);
    }
    if (t == NULL) t = chanrt__sched_pop(w);
    if (t == NULL) t = chanrt__sched_take_pinned(w);
    if (t == NULL) t = chanrt__sched_take_shared(w);
    return t;
}

// --- sleeping

// Anything to do, seen after the announcement and the fence. Queues that a theft would not be
// worth are left to their owners, and to the keeper's looks.
static bool chanrt__sched_rescan(struct chanrt__worker *w) {
    if (chanrt__sched_stopping()) return true;
    if (chanrt__atom_load(&chanrt__pool.a_shared_len) != 0) return true;
    if (chanrt__atom_load(&w->a_pinned_len) != 0) return true;
    if (chanrt__poll_open() && chanrt__atom_load(&chanrt__pool.a_poller) == NULL) return true; // S3
    if (chanrt__atom_load(&chanrt__pool.a_timer_next) <
        chanrt__atom_load(&chanrt__pool.a_keeper_until))
        return true;
    for (int i = 0; i < chanrt__pool.count; i++) {
        if (chanrt__sched_worth(&chanrt__pool.workers[i])) return true;
    }
    return false;
}

// Puts w on the idle list, the keeper and the poller at its end: others are woken before them.
static void chanrt__sched_link_idle_locked(struct chanrt__worker *w, bool keeper) {
    struct chanrt__worker **at = &chanrt__pool.idle_first, *prev = NULL;
    while ((keeper || w->polls) && *at != NULL) prev = *at, at = &(*at)->idle_next;
    w->idle_prev = prev;
    w->idle_next = *at;
    if (*at != NULL) (*at)->idle_prev = w;
    *at = w;
    w->idle = true;
    chanrt__pool.idle_count++;
    if (keeper) chanrt__pool.keeper = w;
}

// How long the keeper may sleep: until the next timer; while others are busy, or were a moment
// ago, until the next look at them; while something is blocked that only a thread outside could
// free, until the next look at whether such a thread is left.
static int64_t chanrt__sched_keeper_until_locked(struct chanrt__worker *w, int64_t now) {
    int64_t until = chanrt__atom_load(&chanrt__pool.a_timer_next), nap = CHANRT__FOREVER;
    if (chanrt__pool.idle_count < chanrt__pool.count || w->watch < chanrt__sched_watch_max) {
        nap = w->watch < chanrt__sched_watch_min ? chanrt__sched_watch_min : w->watch;
        w->watch = nap * 2 < chanrt__sched_watch_max ? nap * 2 : chanrt__sched_watch_max;
    } else if (chanrt__atom_load(&chanrt__pool.a_blocked) > 0 || chanrt__sched_live() > 0) {
        nap = chanrt__pool.checks < 10 ? 20 * CHANRT_MILLISECOND << chanrt__pool.checks / 2
                                       : CHANRT_SECOND;
    }
    return nap < CHANRT__FOREVER && now + nap < until ? now + nap : until;
}

// Sleeps until woken, a timer is due, or a look at busy workers is. Enters and returns as a
// searcher; true: nobody called, it was time. The order of steps is the law here: announce,
// fence, look, sleep. [idle]
static bool chanrt__sched_sleep(struct chanrt__worker *w) {
    struct chanrt__poll_event events[CHANRT__POLL_BATCH];
    int64_t until = CHANRT__FOREVER;
    int n = 0;
    if (chanrt__poll_open()) until = chanrt__poll_review(w->index, chanrt_now());
    chanrt__atom_store(&w->a_wake, 0);
    pthread_mutex_lock(&chanrt__pool.mutex);
    {
        bool keeper = chanrt__pool.keeper == NULL;
        w->polls = chanrt__poll_open() && chanrt__atom_load(&chanrt__pool.a_poller) == NULL;
        if (w->polls) chanrt__atom_store(&chanrt__pool.a_poller, w);
        chanrt__sched_link_idle_locked(w, keeper);
        chanrt__atom_add_seq(&chanrt__pool.a_announce, // [idle]
                             CHANRT__IDLE_ONE - (uint32_t)CHANRT__SPIN_ONE);
        if (keeper) {
            int64_t keep = chanrt__sched_keeper_until_locked(w, chanrt_now());
            chanrt__atom_store(&chanrt__pool.a_keeper_until, keep);
            if (keep < until) until = keep;
        }
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    chanrt__os_heavy_fence();
    bool found = chanrt__sched_rescan(w), timeout = false;
    if (!found) {
        pthread_mutex_lock(&chanrt__pool.mutex);
        if (w->idle && chanrt__pool.idle_count == chanrt__pool.count) {
            if (chanrt__sched_stuck_locked()) chanrt__fail_deadlock();
            chanrt__pool.checks++;
        }
        pthread_mutex_unlock(&chanrt__pool.mutex);
        while (chanrt__atom_load_acq(&w->a_wake) == 0) { // [wake]
            if (w->polls) n = chanrt__poll_look(events, until);
            else chanrt__os_sleep(&w->a_wake, 0, until);
            timeout = until != CHANRT__FOREVER && chanrt_now() >= until;
            if (timeout || n > 0) break;
        }
    }
    pthread_mutex_lock(&chanrt__pool.mutex);
    if (w->polls) chanrt__atom_store(&chanrt__pool.a_poller, NULL);
    w->polls = false;
    if (w->idle) { // nobody woke us: we are not counted as searching yet
        chanrt__sched_unlink_idle_locked(w);
        chanrt__atom_add_seq(&chanrt__pool.a_announce, // [idle]
                             (uint32_t)CHANRT__SPIN_ONE - CHANRT__IDLE_ONE);
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    for (int i = 0; i < n; i++) chanrt__poll_fire(&events[i]); // not idle: it makes work
    return timeout;
}

// A searcher that found work. The last one wakes another if there is more to do, or if the idle
// ones are left without a keeper.
static void chanrt__sched_stop_search(struct chanrt__worker *w) {
    uint32_t a = chanrt__atom_add_seq(&chanrt__pool.a_announce, // [idle]
                                      (uint32_t)-CHANRT__SPIN_ONE) - CHANRT__SPIN_ONE;
    if (a >= CHANRT__SPIN_ONE || (a & 0xffff) == 0) return;
    // Whoever pushed and saw us searching wakes nobody. Shared work is visible by now: it is pushed
    // with a fence, and looked for after one: the change of the word alone keeps no later load back
    // (ARM). Of a worker's own queue the last store may be missed, and a heavy fence here would
    // cost every hand-over between threads more than the keeper's next look.
    chanrt__atom_fence_seq(); // [fence]
    bool more = chanrt__sched_rescan(w);
    pthread_mutex_lock(&chanrt__pool.mutex);
    if (chanrt__pool.keeper == NULL) more = true;
    pthread_mutex_unlock(&chanrt__pool.mutex);
    if (more) chanrt__sched_announce_work();
}

// Searches for a while, then sleeps, until there is a task or the pool stops (NULL).
static struct chanrt__task *chanrt__sched_search(struct chanrt__worker *w) {
    struct chanrt__task *t = NULL;
    bool spin = true, alone = chanrt__atom_load(&chanrt__pool.a_cpus) == 1;
    int yields = CHANRT__YIELDS;
    chanrt__atom_add_seq(&chanrt__pool.a_announce, CHANRT__SPIN_ONE); // [idle]
    while (t == NULL && !chanrt__sched_stopping()) {
        int64_t start = chanrt_now(), looked = start, now = start;
        bool look = true;
        uint32_t searchers = chanrt__atom_load(&chanrt__pool.a_announce) / CHANRT__SPIN_ONE;
        if (searchers * 2 > (uint32_t)chanrt__atom_load(&chanrt__pool.a_cpus)) spin = false;
        for (;;) {
            w->now = now;
            w->metered = false;
            w->looked = chanrt__atom_load(&w->a_tick);
            chanrt__sched_fire_due(now);
            if (look && chanrt__poll_open()) {
                chanrt__sched_poll(w, 0);
                chanrt__poll_review(w->index, now);
            }
            t = chanrt__sched_find(w);
            if (t == NULL) t = chanrt__sched_steal(w, look);
            if (t != NULL || (alone ? yields-- <= 0 : !spin || now - start >= chanrt__sched_spin))
                break;
            if (alone) sched_yield(); // only then can a thread outside bring work
            else for (int i = 0; i < 32; i++) chanrt__atom_pause();
            now = chanrt_now();
            look = now - looked >= 3000; // an owner that has not picked for 3 us computes
            if (look) looked = now;
        }
        if (t == NULL) spin = !chanrt__sched_sleep(w);
    }
    w->watch = 0;
    chanrt__sched_stop_search(w);
    return t;
}

// --- the deterministic mode: whatever is ready is gathered, and the next one is drawn (>>det)

static void chanrt__sched_gather(struct chanrt__worker *w) {
    chanrt__det_gather_threads();
    while (chanrt__det_has_room()) {
        struct chanrt__task *t = chanrt__sched_pop(w);
        if (t == NULL) t = chanrt__sched_take_pinned(w);
        if (t == NULL) t = chanrt__sched_take_shared(w);
        if (t == NULL) break;
        chanrt__det_add((uintptr_t)t);
    }
}

// Nothing is ready: time goes on, or a thread that has been away calls in, or this is the end.
static void chanrt__sched_pause(struct chanrt__worker *w) {
    if (chanrt__poll_open() && chanrt__sched_expects()) {
        chanrt__poll_review(w->index, w->now);
        if (chanrt__sched_poll(w, chanrt_now() + CHANRT_MILLISECOND) != 0) return;
    }
    int64_t next = chanrt__atom_load(&chanrt__pool.a_timer_next);
    int64_t until = chanrt__det_next_deadline();
    if (until < next) next = until;
    if (chanrt__sched_live() == 0 && chanrt__det_expire(0, true)) return;
    if (next != CHANRT__FOREVER) {
        chanrt__det_pause(next);
        return;
    }
    pthread_mutex_lock(&chanrt__pool.mutex);
    bool expects = chanrt__sched_expects();
    bool hopeless = !expects && chanrt__sched_nobody_left_locked();
    if (hopeless && !chanrt__det_expire(0, true)) chanrt__fail_deadlock();
    pthread_mutex_unlock(&chanrt__pool.mutex);
    if (!expects) // else the next look at the descriptors sleeps
        chanrt__os_sleep(&chanrt__det.a_ready, 0, chanrt__os_clock() + 20 * CHANRT_MILLISECOND);
}

// The next task to run; threads that are drawn get their turn in between. NULL: the pool stops.
static struct chanrt__task *chanrt__sched_draw(struct chanrt__worker *w) {
    while (!chanrt__sched_stopping()) {
        w->now = chanrt_now();
        chanrt__sched_fire_due(w->now);
        chanrt__det_expire(w->now, false);
        chanrt__det_await_helpers();
        if (chanrt__poll_open()) chanrt__sched_poll(w, 0);
        chanrt__sched_gather(w);
        if (chanrt__atom_load(&chanrt__det.a_count) == 0) {
            chanrt__sched_pause(w);
            continue;
        }
        uintptr_t owner = chanrt__det_take();
        if ((owner & 1) == 0) return (struct chanrt__task *)owner;
        chanrt__det_lend((struct chanrt__os_thread *)(owner & ~(uintptr_t)1));
    }
    return NULL;
}

// Waits, on the base stack, until t can be run here.
static bool chanrt__sched_make_runnable(struct chanrt__worker *w, struct chanrt__task *t) {
    for (int i = 0; chanrt__atom_load_acq(&t->a_on_cpu) != 0; i++) { // [saved]
        chanrt__atom_pause();
        if (i % 64 == 63) sched_yield();
    }
    if (chanrt__sched_has_stack(w, t)) return true;
    struct chanrt__stack *s = chanrt__stack_take(t->place);
    if (s != NULL) {
        chanrt__sched_free_stack(w, s);
        return true;
    }
    // No memory for a stack: the task waits in the queue until another one gives its up.
    static uint32_t said;
    if (chanrt__atom_add(&said, 1) == 0)
        chanrt__fail_say("no memory for a stack of %zu bytes: tasks wait for others to end",
                         chanrt__stack_size(t->place));
    chanrt__sched_push_shared(t, t, 1); // behind all that can run
    chanrt__atom_store(&w->a_tick, chanrt__atom_load(&w->a_tick) + 1);
    chanrt__sched_fire_due(chanrt_now());
    chanrt__os_sleep(&w->nothing, 0, chanrt_now() + CHANRT_MILLISECOND);
    return false;
}

CHANRT__NOINLINE static void *chanrt__sched_worker_main(void *arg) {
    struct chanrt__worker *w = (struct chanrt__worker *)arg;
    struct chanrt__os_thread *self = chanrt__os_self();
    self->worker = w;
    CHANRT__IF_TRACE(self->worker_number = w->index + 1;)
    w->error = &errno;
    w->exceptions = chanrt__os_exceptions();
    CHANRT__IF_DEBUG(chanrt__atom_store(&w->a_number, chanrt__os_thread_number());)
    chanrt__atom_store(&w->a_slice, 16 * (uint32_t)chanrt__sched_short); // until shown otherwise
    w->now = chanrt_now();
    w->look_every = CHANRT__LOOK_EVERY;
    chanrt__os_set_altstack(w->altstack, CHANRT__ALTSTACK);
    chanrt__os_thread_setup(w->index);
#if CHANRT_UCONTEXT
    w->base.uc = &w->base_uc;
    w->scratch.uc = &w->scratch_uc;
#else
    w->base.sp = __builtin_frame_address(0); // until it has switched: for >>leaks
#endif
#if CHANRT__FIBERS
    w->base.fiber = __tsan_get_current_fiber();
#endif
    bool drawn = chanrt__atom_load(&chanrt__det.a_on);
    if (drawn) chanrt__det_await(&chanrt__det.a_worker_turn);
    while (!chanrt__sched_stopping()) {
        struct chanrt__task *t = drawn ? chanrt__sched_draw(w) : chanrt__sched_find(w);
        if (t == NULL && !drawn) t = chanrt__sched_search(w);
        if (t != NULL && chanrt__sched_make_runnable(w, t))
            chanrt__sched_switch(w, &w->base, t, &w->nothing, false);
    }
    self->worker = NULL;
    chanrt__ctx_died(&w->ended);
    return NULL;
}

// --- starting and stopping

// A guard page was touched: names the task, then lets the fault happen.
static void chanrt__sched_on_fault(int sig, void *info, void *context) {
    struct chanrt__worker *w = chanrt__sched_self();
    struct chanrt__task *t = w != NULL ? w->a_current : NULL;
    if (t != NULL && t->stack != NULL &&
        chanrt__stack_overflowed(t->stack, chanrt__os_fault_address(info))) {
        char line[512];
        int n = snprintf(line, sizeof line,
                         "fatal error: stack overflow in task %llu \"%s\", spawned at %s:%d: "
                         "its stack has %zu bytes (task_options.stack_size gives more)\n",
                         (unsigned long long)t->a_id, t->a_name, t->a_site->file, t->a_site->line,
                         chanrt__stack_size(t->stack->class));
        if (n > 0) chanrt__os_tell(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    }
    chanrt__os_pass_fault(sig, info, context);
}

// Ends the workers that were started; each leaves at its next pick.
static void chanrt__sched_join(int started) {
    uint32_t special = chanrt__atom_load(&chanrt__pool.a_special) | CHANRT__STOPPING;
    chanrt__atom_store(&chanrt__pool.a_special, special);
    chanrt__os_heavy_fence();
    chanrt__det_stop_worker();
    for (int i = 0; i < started; i++) {
        chanrt__sched_rouse(&chanrt__pool.workers[i]);
    }
    for (int i = 0; i < started; i++) pthread_join(chanrt__pool.workers[i].thread, NULL);
}

// Frees what the pool holds; no worker runs.
static void chanrt__sched_release(void) {
    size_t n = (size_t)chanrt__pool.count;
    for (size_t i = 0; i < n && chanrt__pool.workers != NULL; i++) {
        struct chanrt__worker *w = &chanrt__pool.workers[i];
        for (int class = 0; class < CHANRT__STACK_CLASSES; class ++)
            while (w->stacks[class].first != NULL) {
                struct chanrt__stack *s = w->stacks[class].first;
                w->stacks[class].first = s->next;
                chanrt__stack_give(s, s);
            }
    }
    if (chanrt__pool.workers != NULL) chanrt__os_unmap(chanrt__pool.workers, chanrt__pool.bytes);
    chanrt__stack_shutdown();
    chanrt__task_shutdown();
    chanrt__pool.workers = NULL;
    chanrt__pool.shared_head = chanrt__pool.shared_tail = NULL;
    chanrt__pool.a_shared_len = chanrt__pool.a_announce = chanrt__pool.a_special = 0;
    chanrt__det_end();
    chanrt__pool.count = chanrt__pool.idle_count = 0;
    chanrt__pool.idle_first = chanrt__pool.keeper = chanrt__pool.a_poller = NULL;
    chanrt__pool.a_expects = 0;
    chanrt__pool.a_spawned_outside = chanrt__pool.a_wakes = chanrt__pool.a_peak = 0;
    chanrt__pool.a_keeper_until = CHANRT__FOREVER;
}

// The pool size the environment asks for, else the usable processors.
static int chanrt__sched_default_workers(void) {
    if (chanrt__det_environment() != 0) return 1;
    const char *text = getenv("CHANRT_WORKERS");
    long n = text != NULL ? strtol(text, NULL, 10) : 0;
    if (n >= 1 && n <= CHANRT__MAX_WORKERS) return (int)n;
    n = chanrt__os_cpus();
    return n <= CHANRT__MAX_WORKERS ? (int)n : CHANRT__MAX_WORKERS;
}

// One mapping for all workers: records, what each saw of the others, fault stacks.
static bool chanrt__sched_alloc_workers(int count) {
    size_t n = (size_t)count, records = n * sizeof(struct chanrt__worker);
    size_t seen = n * n * sizeof(uint32_t);
    seen = (seen + 63) & ~(size_t)63;
    chanrt__pool.bytes = records + seen + n * CHANRT__ALTSTACK;
    char *p = chanrt__os_map(chanrt__pool.bytes);
    if (p == NULL) return false;
    chanrt__pool.workers = (struct chanrt__worker *)p;
    for (size_t i = 0; i < n; i++) {
        struct chanrt__worker *w = &chanrt__pool.workers[i];
        w->index = (int)i;
        w->seen = (uint32_t *)(p + records) + i * n;
        w->altstack = p + records + seen + i * CHANRT__ALTSTACK;
    }
    chanrt__pool.count = count;
    return true;
}

// In a child that fork left without workers: its one thread goes on as an ordinary one, whatever
// it was, and exec is all that may follow.
__attribute__((unused)) // by libcs without fork: pthread_atfork is a macro then
static void chanrt__sched_in_child(void) {
    chanrt__os_self()->worker = NULL;
    chanrt__atom_store(&chanrt__det.a_on, false); // nobody is there to pass a turn
    chanrt__atom_store(&chanrt_x_drawn, 0);
    chanrt__atom_store(&chanrt__pool.a_forked, 1);
}

// Turns the deterministic mode on if the program or its environment asks for it. True: it is.
static bool chanrt__sched_start_drawn(uint64_t seed, bool fake_clock) {
    uint64_t wanted = chanrt__det_environment();
    const char *text = getenv("CHANRT_VIRTUAL_TIME");
    if (wanted == 0) wanted = seed;
    if (wanted == 0) return false;
    if (seed == 0) fake_clock = true;
    if (text != NULL && *text != 0) fake_clock = strcmp(text, "0") != 0;
    chanrt__det_begin(wanted, fake_clock, chanrt__os_self());
    chanrt__atom_store(&chanrt__pool.a_special, CHANRT__DRAWN);
    chanrt__atom_store(&chanrt__pool.a_ids, 0); // the same names in every run, too
    return true;
}

static int chanrt__sched_start_locked(int workers, int stack_class, uint64_t seed,
                                      bool fake_clock) {
    if (chanrt__sched_start_drawn(seed, fake_clock)) workers = 1;
    chanrt__os_fences_init();
    chanrt__stack_init();
    chanrt__atom_store(&chanrt__pool.a_cpus, chanrt__os_cpus());
    chanrt__pool.stack_class = stack_class;
    chanrt__pool.task_main = chanrt__sched_task_main;
    if (!chanrt__sched_alloc_workers(workers)) {
        chanrt__sched_release();
        chanrt__fail_say("cannot start: no memory for %d workers", workers);
        return ENOMEM;
    }
    for (int i = 0; i < workers; i++) {
        struct chanrt__worker *w = &chanrt__pool.workers[i];
        int err = chanrt__os_thread_start(&w->thread, chanrt__sched_worker_main, w);
        if (err == 0) continue;
        pthread_mutex_unlock(&chanrt__pool.mutex);
        chanrt__sched_join(i);
        pthread_mutex_lock(&chanrt__pool.mutex);
        chanrt__sched_release();
        chanrt__fail_say("cannot start worker thread %d of %d (%s): raise the limit on threads "
                         "(ulimit -u, the cgroup's pids.max) or set CHANRT_WORKERS lower",
                         i + 1, workers, strerror(err));
        return EAGAIN;
    }
    chanrt__os_catch_faults(chanrt__sched_on_fault);
    static bool asked;
    if (!asked) asked = pthread_atfork(NULL, NULL, chanrt__sched_in_child) == 0;
    CHANRT__IF_TRACE(chanrt__trace_start();)
    CHANRT__IF_PROFILE(chanrt__profile_start();)
    chanrt__atom_store_rel(&chanrt__pool.a_running, 1); // [start] the pool's fields
    if (chanrt__pool.started != NULL) chanrt__pool.started();
    return 0;
}

// Starts the pool with the defaults unless it runs.
static int chanrt__sched_ensure(void) {
    chanrt__sched_refuse_child();
    if (chanrt__atom_load_acq(&chanrt__pool.a_running)) return 0; // [start]
    pthread_mutex_lock(&chanrt__pool.life);
    pthread_mutex_lock(&chanrt__pool.mutex);
    int err = 0;
    if (!chanrt__atom_load(&chanrt__pool.a_running))
        err = chanrt__sched_start_locked(chanrt__sched_default_workers(),
                                         CHANRT__STACK_DEFAULT, 0, false);
    pthread_mutex_unlock(&chanrt__pool.mutex);
    pthread_mutex_unlock(&chanrt__pool.life);
    return err;
}

// Opens the poller at first use. Somebody who sleeps on his word has to come and sleep in it. 0 or
// an error.
static int chanrt__sched_watch(void) {
    if (CHANRT__LIKELY(chanrt__poll_open())) return 0;
    if (chanrt__sched_self() == NULL && chanrt__sched_ensure() != 0) return ENOMEM;
    int err = chanrt__poll_start(chanrt__pool.count);
    if (err == 0) chanrt__sched_announce_work();
    return err;
}

// --- spawning

static void chanrt__sched_note_peak(void) {
    uint64_t live = chanrt__sched_live();
    if (live > chanrt__atom_load(&chanrt__pool.a_peak))
        chanrt__atom_store(&chanrt__pool.a_peak, live);
}

// A record, blank but for its id. w: the calling worker, or NULL. NULL when out of memory.
static struct chanrt__task *chanrt__sched_alloc_task(struct chanrt__worker *w) {
    struct chanrt__task *t;
    int got;
    if (w == NULL) {
        t = chanrt__task_take(1, &got);
        if (t != NULL) chanrt__atom_store(&t->a_id, 1 + chanrt__atom_add(&chanrt__pool.a_ids, 1));
        return t;
    }
    if (w->free == NULL) {
        w->free = chanrt__task_take(CHANRT__TASK_BATCH, &w->free_count);
        if (w->free == NULL) return NULL;
        chanrt__sched_note_peak();
    }
    if (w->id_left == 0) {
        w->id_left = CHANRT__ID_BATCH;
        w->id_next = 1 + chanrt__atom_add(&chanrt__pool.a_ids, CHANRT__ID_BATCH);
    }
    t = w->free;
    w->free = t->next;
    w->free_count--;
    w->id_left--;
    chanrt__atom_store(&t->a_id, w->id_next++);
    return t;
}

// A prepared task that is not wanted any more.
static void chanrt__sched_discard(struct chanrt__worker *w, struct chanrt__task *t) {
    chanrt__atom_store(&t->a_id, 0);
    if (w != NULL) chanrt__sched_free_task(w, t);
    else chanrt__task_give(t, t);
}

// A task ready to be pushed, not yet counted as spawned.
CHANRT__INLINE int chanrt__sched_make_task(struct chanrt__worker *w, struct chanrt__task **out,
                                           const chanrt_x_site *site, const chanrt_x_how *how,
                                           int (*entry)(void *), const void *args, size_t size,
                                           size_t align) {
    const chanrt_task_options *options = how != NULL ? how->options : NULL;
    int class = chanrt__pool.stack_class;
    if (options != NULL && options->stack_size != 0)
        class = chanrt__stack_class_of(options->stack_size);
    if (class < 0) return EINVAL;
    struct chanrt__task *t = chanrt__sched_alloc_task(w);
    if (t == NULL) return ENOMEM;
    t->a_on_cpu = 0;
    t->place = (uint16_t)class;
    chanrt__atom_store(&t->a_reason, (uint8_t)CHANRT__PREPARED);
    t->flags = options != NULL && options->pinned ? CHANRT__PINNED : 0;
    t->stack = NULL;
    chanrt__atom_store(&t->a_site, site);
    CHANRT__IF_DEBUG(chanrt__atom_store(&t->a_at, NULL); chanrt__atom_store(&t->a_waits, NULL);)
    t->entry = entry;
    t->end = how != NULL ? how->end : NULL;
    t->end_object = how != NULL ? how->object : NULL;
    chanrt__atom_store(&t->a_name, options != NULL && options->name != NULL ? options->name
                                                                            : site->name);
    CHANRT__IF_TRACE(t->traced = chanrt__trace_place(site, t->a_name);)
    CHANRT__IF_PROFILE(chanrt__atom_store(&t->a_left, 0);)
    CHANRT__IF_PROFILE(t->profiled = chanrt__profile_place(site);)
    if (CHANRT__LIKELY(chanrt__task_pack(t, args, size, align))) {
        *out = t;
        return 0;
    }
    chanrt__sched_discard(w, t);
    return ENOMEM;
}

// A task that was only prepared starts its life. w: the calling worker, or NULL.
static inline void chanrt__sched_launch(struct chanrt__worker *w, struct chanrt__task *t) {
    chanrt__ctx_born(&t->ctx);
    chanrt__atom_store(&t->a_reason, (uint8_t)CHANRT__NOT_WAITING);
    CHANRT__IF_TRACE(if (chanrt__trace_on()) chanrt__trace_wake((uintptr_t)t);)
    if (w != NULL) {
        chanrt__atom_store(&w->a_spawned, w->a_spawned + 1);
        chanrt__sched_push_next(w, t);
    } else {
        chanrt__atom_add(&chanrt__pool.a_spawned_outside, 1);
        chanrt__sched_push_shared(t, t, 1);
    }
}

// The same under the heap's lock, from a timer's fire, which returns the task to be made ready.
static uintptr_t chanrt__sched_launch_fired(struct chanrt__task *t) {
    struct chanrt__worker *w = chanrt__sched_self();
    chanrt__ctx_born(&t->ctx);
    chanrt__atom_store(&t->a_reason, (uint8_t)CHANRT__NOT_WAITING);
    chanrt__atom_store(&w->a_spawned, w->a_spawned + 1);
    return (uintptr_t)t;
}

// The start of a task's life; it goes on in chanrt__sched_task_main.
CHANRT_API int chanrt_x_spawn(const chanrt_x_site *site, const chanrt_x_how *how,
                              int (*entry)(void *), const void *args, size_t size, size_t align) {
    bool begins = how != NULL && how->begin != NULL;
    int err = begins ? how->begin(how->object) : 0; // may park: the worker is asked for after it
    if (err != 0) return err;
    struct chanrt__worker *w = chanrt__sched_self();
    struct chanrt__task *t;
    if (w == NULL) err = chanrt__sched_ensure();
    if (err == 0) err = chanrt__sched_make_task(w, &t, site, how, entry, args, size, align);
    if (err == 0) chanrt__sched_launch(w, t);
    else if (begins) how->end(how->object, 0);
    if (err == 0) chanrt__sched_point();
    return err;
}

struct chanrt__sched_call {
    void (*fn)(void *);
    void *arg;
};

static int chanrt__sched_call_entry(void *args) {
    struct chanrt__sched_call *call = (struct chanrt__sched_call *)args;
    call->fn(call->arg);
    return 0;
}

CHANRT_API int chanrt_x_spawn_fn(const chanrt_x_site *site, const chanrt_x_how *how,
                                 void (*fn)(void *), void *arg) {
    if (fn == NULL) return EINVAL;
    struct chanrt__sched_call call = { fn, arg };
    return chanrt_x_spawn(site, how, chanrt__sched_call_entry, &call, sizeof call,
                          CHANRT__ALIGNOF(struct chanrt__sched_call));
}

// A task to come, not yet counted as spawned, that runs fn(arg). NULL: no memory.
CHANRT__NOINLINE static struct chanrt__task *
chanrt__sched_make_call(const chanrt_x_site *site, void (*fn)(void *), void *arg) {
    struct chanrt__sched_call call = { fn, arg };
    struct chanrt__task *t = NULL;
    chanrt__sched_make_task(chanrt__sched_self(), &t, site, NULL, chanrt__sched_call_entry, &call,
                            sizeof call, CHANRT__ALIGNOF(struct chanrt__sched_call));
    return t;
}

CHANRT__NOINLINE static int chanrt__sched_yield(void *worker, void *b, void *c, int d) {
    (void)b, (void)c, (void)d;
    chanrt__sched_requeue((struct chanrt__worker *)worker);
    return 0;
}

CHANRT_API void chanrt_task_yield(void) {
    struct chanrt__worker *w = chanrt__sched_self();
    if (w != NULL) {
        if (CHANRT__UNLIKELY(chanrt__atom_load(&chanrt__det.a_on)))
            chanrt__det_demote(w->a_current->a_id); // others are meant to go on
        chanrt__ctx_detour(w, NULL, NULL, 0, chanrt__sched_yield);
    } else {
        chanrt__sched_point();
        sched_yield();
    }
}

CHANRT_API uint64_t chanrt_task_id(void) {
    struct chanrt__worker *w = chanrt__sched_self();
    return w != NULL ? w->a_current->a_id : 0;
}

CHANRT_API const char *chanrt_task_name(void) {
    struct chanrt__worker *w = chanrt__sched_self();
    return w != NULL ? w->a_current->a_name : NULL;
}

#if CHANRT_DEBUG
//------------------------------------------------------------------------------
// >>debug    What a debug build knows: places; channels and contexts alive or freed.
//   uses    port fail atom os task sched
//   owns    chanrt__debug: every channel and context made and not freed, the last channels freed
//   lock    its mutex, taken with nothing else but the pool's
//   laws    A freed channel's block is kept until a thousand others were freed, so whoever uses
//           it meets its mark. Nothing of this exists in a build without CHANRT_DEBUG: other
//           rooms name it only in CHANRT__IF_DEBUG (tests/tools/debug_free.sh).
//   tests   unit/debug.c
//
//   What it costs, times the time of a release build on one worker (x86-64 EPYC, tests/bench, least
//   processor time of 8 runs in turns): pingpong_same 3.6, buf_pair 2.2, select_all2 1.0,
//   select_block2 1.6, spawn_join 1.9; mutex_pair 30, 83 ns instead of 2.8, for >>held.
//------------------------------------------------------------------------------

enum { CHANRT__DEBUG_KEEP = 1024 };
static const uint64_t chanrt__debug_alive = 0x616c697665206368u, chanrt__debug_dead = 0x64656164u;

struct chanrt__debug_chan {
    const chanrt_x_site *made, *freed; // NULL: not known
    size_t elem, cap;
    bool gone;
};

static struct {
    pthread_mutex_t mutex;
    struct {
        uint64_t key;
        struct chanrt__debug_chan value;
    } *chans;                          // stb_ds map
    struct {
        const void *chan;
        void *block;
    } kept[CHANRT__DEBUG_KEEP];        // ring: the last ones freed
    uint32_t next;
    struct {
        uint64_t key;
        uint64_t value;
    } *told;                           // stb_ds map: spawn places of tasks that hogged a worker
    struct {
        uint64_t key;
        struct chanrt__debug_context {
            const chanrt_x_site *made;
            bool group;                // it is a group's own
        } value;
    } *contexts;                       // stb_ds map: those not freed
} chanrt__debug = { .mutex = PTHREAD_MUTEX_INITIALIZER };

// An address as a key, and back. stb_ds shifts the fourth byte of a key into an int's sign, which
// the sanitizer of undefined behaviour, in a program's debug build, would report: it is below 128.
static uint64_t chanrt__debug_key(const void *p) {
    uint64_t n = (uint64_t)(uintptr_t)p;
    return n >> 31 << 32 | (n & 0x7fffffff);
}

static const void *chanrt__debug_address(uint64_t key) {
    return (const void *)(uintptr_t)(key >> 32 << 31 | (key & 0x7fffffff));
}

// The place of the call that is being made. NULL: its file is not compiled for debugging.
static const chanrt_x_site *chanrt__debug_here(void) {
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__worker *w = (struct chanrt__worker *)self->worker;
    struct chanrt__task *t = w != NULL ? chanrt__atom_load(&w->a_current) : NULL;
    return t != NULL ? chanrt__atom_load(&t->a_at) : self->at;
}

CHANRT_API void chanrt_x_at(const chanrt_x_site *site) {
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__worker *w = (struct chanrt__worker *)self->worker;
    struct chanrt__task *t = w != NULL ? chanrt__atom_load(&w->a_current) : NULL;
    if (t != NULL) chanrt__atom_store(&t->a_at, site);
    else self->at = site;
}

// Whether calls that wait for this reason note their places.
static bool chanrt__debug_places(enum chanrt__reason reason) {
    return reason == CHANRT__WAIT_SEND || reason == CHANRT__WAIT_RECV ||
           reason == CHANRT__WAIT_SELECT || reason == CHANRT__WAIT_SELECT_NONE ||
           reason == CHANRT__WAIT_SLEEP || reason == CHANRT__WAIT_GROUP ||
           (reason >= CHANRT__WAIT_MUTEX && reason <= CHANRT__WAIT_SEM);
}

static void chanrt__debug_waits(struct chanrt__task *t, enum chanrt__reason reason) {
    chanrt__atom_store(&t->a_waits, chanrt__debug_places(reason) ? t->a_at : NULL);
}

static const char *chanrt__debug_place(char text[256], const chanrt_x_site *site) {
    if (site == NULL) return "a place unknown";
    snprintf(text, 256, "%s:%d", site->file, site->line);
    return text;
}

// Who is calling, for the end of a sentence.
static const char *chanrt__debug_who(char text[256]) {
    struct chanrt__worker *w = chanrt__sched_self();
    struct chanrt__task *t = w != NULL ? chanrt__atom_load(&w->a_current) : NULL;
    if (t == NULL) return "a thread of the program's own";
    snprintf(text, 256, "task %llu \"%s\" spawned at %s:%d", (unsigned long long)t->a_id,
             t->a_name, t->a_site->file, t->a_site->line);
    return text;
}

// --- channels

static void chanrt__debug_forget_locked(const void *chan) {
    (void)stbds_hmdel(chanrt__debug.chans, chanrt__debug_key(chan));
}

static void chanrt__debug_alive_at(uint64_t *a_mark) {
    chanrt__atom_store(a_mark, chanrt__debug_alive);
}

static void chanrt__debug_made(const void *chan) {
    struct chanrt__debug_chan made = { NULL, NULL, 0, 0, false };
    pthread_mutex_lock(&chanrt__debug.mutex);
    stbds_hmput(chanrt__debug.chans, chanrt__debug_key(chan), made);
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

// By a call of the program's, not by a timer.
static void chanrt__debug_made_here(const void *chan, size_t elem, size_t cap) {
    struct chanrt__debug_chan made = { chanrt__debug_here(), NULL, elem, cap, false };
    pthread_mutex_lock(&chanrt__debug.mutex);
    stbds_hmput(chanrt__debug.chans, chanrt__debug_key(chan), made);
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

// The last reference goes here and now; selects may have yet to leave.
static void chanrt__debug_dropped(const void *chan) {
    pthread_mutex_lock(&chanrt__debug.mutex);
    ptrdiff_t i = stbds_hmgeti(chanrt__debug.chans, chanrt__debug_key(chan));
    if (i >= 0) chanrt__debug.chans[i].value.freed = chanrt__debug_here();
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

// Keeps the block of a channel that is freed, and returns one that was kept for long.
static void *chanrt__debug_freed(const void *chan, uint64_t *a_mark, void *block) {
    chanrt__atom_store(a_mark, chanrt__debug_dead);
    pthread_mutex_lock(&chanrt__debug.mutex);
    uint32_t at = chanrt__debug.next++ % CHANRT__DEBUG_KEEP;
    void *old = chanrt__debug.kept[at].block;
    if (old != NULL) chanrt__debug_forget_locked(chanrt__debug.kept[at].chan);
    chanrt__debug.kept[at].chan = chan;
    chanrt__debug.kept[at].block = block;
    struct chanrt__debug_chan gone = stbds_hmget(chanrt__debug.chans, chanrt__debug_key(chan));
    gone.gone = true; // a context's was not in the table
    stbds_hmput(chanrt__debug.chans, chanrt__debug_key(chan), gone);
    pthread_mutex_unlock(&chanrt__debug.mutex);
    return old;
}

// Lets go of what is kept, at a shutdown.
static void chanrt__debug_release(void) {
    for (uint32_t at = 0; at < CHANRT__DEBUG_KEEP; at++) {
        pthread_mutex_lock(&chanrt__debug.mutex);
        void *old = chanrt__debug.kept[at].block;
        if (old != NULL) chanrt__debug_forget_locked(chanrt__debug.kept[at].chan);
        chanrt__debug.kept[at].block = NULL;
        pthread_mutex_unlock(&chanrt__debug.mutex);
        if (old != NULL) CHANRT_FREE(old);
    }
}

__attribute__((noreturn))
static void chanrt__debug_stop(const void *chan) {
    char made[256], freed[256], here[256], who[256];
    struct chanrt__debug_chan known = { NULL, NULL, 0, 0, false };
    pthread_mutex_lock(&chanrt__debug.mutex);
    ptrdiff_t i = stbds_hmgeti(chanrt__debug.chans, chanrt__debug_key(chan));
    if (i >= 0) known = chanrt__debug.chans[i].value;
    pthread_mutex_unlock(&chanrt__debug.mutex);
    const chanrt_x_site *at = chanrt__debug_here();
    const char *call = at != NULL ? at->name : "a call";
    chanrt__debug_place(here, at);
    if (!known.gone)
        chanrt__fail_stop("%s at %s: %p is not a channel; in %s", call,
                          chanrt__debug_place(here, at), chan, chanrt__debug_who(who));
    chanrt__fail_stop("%s at %s: the channel %p was freed at %s, it was made at %s; in %s", call,
                      chanrt__debug_place(here, at), chan, chanrt__debug_place(freed, known.freed),
                      chanrt__debug_place(made, known.made), chanrt__debug_who(who));
}

// A call without a channel, which only gives EINVAL.
static void chanrt__debug_none(void) {
    char here[256], who[256];
    const chanrt_x_site *at = chanrt__debug_here();
    chanrt__fail_say("%s at %s: the channel is NULL, nothing is done; in %s",
                     at != NULL ? at->name : "a call", chanrt__debug_place(here, at),
                     chanrt__debug_who(who));
}

static void chanrt__debug_use(const void *chan, const uint64_t *a_mark) {
    if (CHANRT__UNLIKELY(chanrt__atom_load(a_mark) != chanrt__debug_alive))
        chanrt__debug_stop(chan);
}

static void chanrt__debug_tell_made(FILE *f, const void *chan) {
    char place[256];
    pthread_mutex_lock(&chanrt__debug.mutex);
    ptrdiff_t i = stbds_hmgeti(chanrt__debug.chans, chanrt__debug_key(chan));
    if (i >= 0)
        fprintf(f, ", made at %s", chanrt__debug_place(place, chanrt__debug.chans[i].value.made));
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

// --- contexts and groups: a group is known by its context, whose address is nobody else's

static void chanrt__debug_context_made(const void *c) {
    struct chanrt__debug_context made = { chanrt__debug_here(), false };
    pthread_mutex_lock(&chanrt__debug.mutex);
    stbds_hmput(chanrt__debug.contexts, chanrt__debug_key(c), made);
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

static void chanrt__debug_context_of_group(const void *c) {
    struct chanrt__debug_context made = { chanrt__debug_here(), true };
    pthread_mutex_lock(&chanrt__debug.mutex);
    stbds_hmput(chanrt__debug.contexts, chanrt__debug_key(c), made);
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

static void chanrt__debug_context_freed(const void *c) {
    pthread_mutex_lock(&chanrt__debug.mutex);
    (void)stbds_hmdel(chanrt__debug.contexts, chanrt__debug_key(c));
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

// --- at exit: what nobody freed, by the place it was made at

struct chanrt__debug_tally {
    uint64_t key;
    uint64_t value;
}; // an stb_ds map

static struct chanrt__debug_tally *chanrt__debug_tally(struct chanrt__debug_tally *places,
                                                       const chanrt_x_site *made) {
    uint64_t before = stbds_hmget(places, chanrt__debug_key(made));
    stbds_hmput(places, chanrt__debug_key(made), before + 1);
    return places;
}

static void chanrt__debug_tell(struct chanrt__debug_tally *places, const char *what,
                               const char *done, const char *unknown) {
    char text[256];
    for (ptrdiff_t i = 0; i < stbds_hmlen(places); i++) {
        const chanrt_x_site *made =
            (const chanrt_x_site *)chanrt__debug_address(places[i].key);
        chanrt__fail_say("%llu %s%s never %s, made %s%s", (unsigned long long)places[i].value,
                         what, places[i].value == 1 ? " was" : "s were", done,
                         made != NULL ? "at " : unknown, chanrt__debug_place(text, made));
    }
    stbds_hmfree(places);
}

__attribute__((destructor)) static void chanrt__debug_report(void) {
    struct chanrt__debug_tally *chans = NULL, *contexts = NULL, *groups = NULL;
    pthread_mutex_lock(&chanrt__debug.mutex);
    for (ptrdiff_t i = 0; i < stbds_hmlen(chanrt__debug.chans); i++) {
        const struct chanrt__debug_chan *c = &chanrt__debug.chans[i].value;
        if (!c->gone) chans = chanrt__debug_tally(chans, c->made);
    }
    for (ptrdiff_t i = 0; i < stbds_hmlen(chanrt__debug.contexts); i++) {
        const struct chanrt__debug_context *c = &chanrt__debug.contexts[i].value;
        if (c->group) groups = chanrt__debug_tally(groups, c->made);
        else contexts = chanrt__debug_tally(contexts, c->made);
    }
    chanrt__debug_tell(chans, "channel", "freed", "by a timer, or at ");
    chanrt__debug_tell(contexts, "context", "freed", "at ");
    chanrt__debug_tell(groups, "task_group", "waited for", "at ");
    stbds_hmfree(chanrt__debug.chans);
    stbds_hmfree(chanrt__debug.contexts);
    stbds_hmfree(chanrt__debug.told);
    pthread_mutex_unlock(&chanrt__debug.mutex);
}

// --- hogs: each spawn place is told of once

static bool chanrt__debug_tell_once(const chanrt_x_site *site) {
    pthread_mutex_lock(&chanrt__debug.mutex);
    uint64_t before = stbds_hmget(chanrt__debug.told, chanrt__debug_key(site));
    stbds_hmput(chanrt__debug.told, chanrt__debug_key(site), before + 1);
    pthread_mutex_unlock(&chanrt__debug.mutex);
    return before == 0;
}
#endif

//------------------------------------------------------------------------------
// >>held    Which locks are held, by whom, and in which order they were taken: debug builds.
//   uses    port fail atom os task sched debug
//   owns    chanrt__held
//   lock    its mutex, under which nothing is called but stdio
//   laws    A lock is noted after it was taken and forgotten before it is given back, so nobody
//           meets another one's note. Reports never change what a call does. Locks are known by
//           their address: one that is freed while it has an order leaves that behind.
//   tests   unit/held.c
//------------------------------------------------------------------------------

// Nothing of this exists in other builds.
#if CHANRT_DEBUG
enum { CHANRT__HELD_MOST = 4096, CHANRT__HELD_ORDERS = 4096 };

struct chanrt__held_note {
    const void *lock;
    uintptr_t owner;             // a task, or a thread's record with the low bit set
    uint64_t id;                 // of the task; 0: a thread
    const chanrt_x_site *spawned, *at;
    bool reader;
};

struct chanrt__held_order {      // `then` was wanted by somebody who held `first`
    const void *first, *then;
    const chanrt_x_site *at;
};

static struct {
    pthread_mutex_t mutex;
    int count;                   // locks beyond the most are not noted
    struct chanrt__held_note notes[CHANRT__HELD_MOST];
    int orders;
    struct chanrt__held_order order[CHANRT__HELD_ORDERS];
} chanrt__held = { .mutex = PTHREAD_MUTEX_INITIALIZER };

// Who calls, and from where.
static struct chanrt__held_note chanrt__held_caller(void) {
    static const chanrt_x_site unknown = { "a call", "(not compiled with CHANRT_DEBUG)", 0 };
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__worker *w = (struct chanrt__worker *)self->worker;
    struct chanrt__task *t = w != NULL ? chanrt__atom_load(&w->a_current) : NULL;
    struct chanrt__held_note n = { .owner = (uintptr_t)self | 1 };
    n.at = chanrt__debug_here();
    if (n.at == NULL) n.at = &unknown;
    if (t == NULL) return n;
    n.owner = (uintptr_t)t;
    n.id = t->a_id;
    n.spawned = t->a_site;
    return n;
}

static const char *chanrt__held_name(char text[256], const struct chanrt__held_note *n) {
    if (n->id == 0) return "a thread of the program's own";
    snprintf(text, 256, "task %llu \"%s\" spawned at %s:%d", (unsigned long long)n->id,
             n->spawned->name, n->spawned->file, n->spawned->line);
    return text;
}

// Whether `to` was ever wanted, over any number of steps, by who held `from`.
static const struct chanrt__held_order *chanrt__held_path_locked(const void *from, const void *to,
                                                                 bool *seen) {
    for (int i = 0; i < chanrt__held.orders; i++) {
        const struct chanrt__held_order *o = &chanrt__held.order[i];
        if (o->first != from || seen[i]) continue;
        seen[i] = true;
        if (o->then == to || chanrt__held_path_locked(o->then, to, seen) != NULL) return o;
    }
    return NULL;
}

static bool chanrt__held_known_locked(const void *first, const void *then) {
    for (int i = 0; i < chanrt__held.orders; i++)
        if (chanrt__held.order[i].first == first && chanrt__held.order[i].then == then) return true;
    return false;
}

// Before the caller waits for a lock: every lock it holds comes before this one. The other way
// round was seen before: a deadlock that only has to happen.
static void chanrt__held_want(const void *lock) {
    struct chanrt__held_note me = chanrt__held_caller();
    char who[256];
    pthread_mutex_lock(&chanrt__held.mutex);
    for (int i = 0; i < chanrt__held.count; i++) {
        const struct chanrt__held_note *n = &chanrt__held.notes[i];
        if (n->owner != me.owner || n->id != me.id || n->lock == lock) continue;
        if (chanrt__held_known_locked(n->lock, lock)) continue;
        static bool seen[CHANRT__HELD_ORDERS];
        memset(seen, 0, sizeof seen);
        const struct chanrt__held_order *o = chanrt__held_path_locked(lock, n->lock, seen);
        if (o != NULL)
            chanrt__fail_say("%s at %s:%d: the lock %p is taken with %p held (since %s:%d), which "
                             "was taken the other way round at %s:%d; by %s", me.at->name,
                             me.at->file, me.at->line, lock, n->lock, n->at->file, n->at->line,
                             o->at->file, o->at->line, chanrt__held_name(who, &me));
        if (chanrt__held.orders < CHANRT__HELD_ORDERS)
            chanrt__held.order[chanrt__held.orders++] =
                (struct chanrt__held_order){ n->lock, lock, me.at };
    }
    pthread_mutex_unlock(&chanrt__held.mutex);
}

static void chanrt__held_got(const void *lock, bool reader) {
    struct chanrt__held_note me = chanrt__held_caller();
    me.lock = lock;
    me.reader = reader;
    pthread_mutex_lock(&chanrt__held.mutex);
    if (chanrt__held.count < CHANRT__HELD_MOST) chanrt__held.notes[chanrt__held.count++] = me;
    pthread_mutex_unlock(&chanrt__held.mutex);
}

// Before the caller gives the lock back.
static void chanrt__held_drop(const void *lock, bool reader) {
    struct chanrt__held_note me = chanrt__held_caller();
    char who[256], owner[256];
    int found = -1;
    bool mine = false;
    pthread_mutex_lock(&chanrt__held.mutex);
    for (int i = 0; i < chanrt__held.count && !mine; i++) {
        const struct chanrt__held_note *n = &chanrt__held.notes[i];
        if (n->lock != lock || n->reader != reader) continue;
        found = i;
        mine = n->owner == me.owner && n->id == me.id;
    }
    if (found >= 0) {
        struct chanrt__held_note n = chanrt__held.notes[found];
        chanrt__held.notes[found] = chanrt__held.notes[--chanrt__held.count];
        if (!mine)
            chanrt__fail_say("%s at %s:%d: the lock %p was locked at %s:%d by %s, and is unlocked "
                             "by %s", me.at->name, me.at->file, me.at->line, lock, n.at->file,
                             n.at->line, chanrt__held_name(owner, &n),
                             chanrt__held_name(who, &me));
    }
    pthread_mutex_unlock(&chanrt__held.mutex);
}

static void chanrt__held_misuse(const void *lock) {
    struct chanrt__held_note me = chanrt__held_caller();
    char who[256];
    chanrt__fail_say("%s at %s:%d: the lock %p is not locked that way; by %s", me.at->name,
                     me.at->file, me.at->line, lock, chanrt__held_name(who, &me));
}

// Whether the lock is held by a task that has ended; f, if not NULL, gets the end of a line.
static bool chanrt__held_left_behind(const void *lock, FILE *f) {
    bool left = false;
    pthread_mutex_lock(&chanrt__held.mutex);
    for (int i = 0; i < chanrt__held.count && !left; i++) {
        const struct chanrt__held_note *n = &chanrt__held.notes[i];
        if (n->lock != lock || n->id == 0) continue;
        left = chanrt__atom_load(&((struct chanrt__task *)n->owner)->a_id) != n->id;
        if (left && f != NULL)
            fprintf(f, ": leaked, task %llu \"%s\", which locked it at %s:%d, has ended\n",
                    (unsigned long long)n->id, n->spawned->name, n->at->file, n->at->line);
    }
    pthread_mutex_unlock(&chanrt__held.mutex);
    return left;
}

// After a wait: a second is long for those who wait for what the caller holds.
static void chanrt__held_waited(int64_t since, const char *reason) {
    struct chanrt__held_note me;
    char who[256];
    double seconds = (double)(chanrt_now() - since) / 1e9;
    if (seconds < 1) return;
    me = chanrt__held_caller();
    pthread_mutex_lock(&chanrt__held.mutex);
    for (int i = 0; i < chanrt__held.count; i++) {
        const struct chanrt__held_note *n = &chanrt__held.notes[i];
        if (n->owner != me.owner || n->id != me.id) continue;
        chanrt__fail_say("the lock %p, locked at %s:%d, was held over a wait of %.1f s (%s) by %s",
                         n->lock, n->at->file, n->at->line, seconds, reason,
                         chanrt__held_name(who, &me));
    }
    pthread_mutex_unlock(&chanrt__held.mutex);
}
#endif

//------------------------------------------------------------------------------
// >>wait    One record for everything that waits.
//   uses    port atom os list task det trace sched debug held
//   owns    the claim word of a wait; queues belong to the object whose lock guards them
//   laws    W1 a waiter is in a queue exactly while its owner may still be woken through
//           it, or was claimed elsewhere and has not left yet. W2 one claim wins a wait,
//           made under the lock of the queue (or the timers) the claimed node is in.
//           W3 while a wait queues its nodes it is BUSY, and does so in the order of the
//           channels' addresses, all nodes of a channel under one lock: who meets it lets
//           go of its lock and comes again, and since all wait upwards nobody waits in a
//           circle.
//   not     locking all of a select's channels: a ready case would cost n locked
//           instructions, a blocking one 4n. OPEN from the first node on: a waker could
//           decide the select, and the program free a channel not yet looked at
//           (model/select.pml, BUG_OPENEARLY)
//   tests   unit/wait.c model/select.pml
//
//   claim:   BUSY (queueing) --last node queued--> OPEN --a waker, a timer--> DONE
//              \--a case was ready: own--> DONE
//------------------------------------------------------------------------------

enum { CHANRT__OPEN, CHANRT__BUSY, CHANRT__DONE };

struct chanrt__wait {
    uint32_t a_claim;     // used when shared
    bool shared;          // several sources can wake it: claimed
    bool allocated;       // its nodes are, of a large select; only if shared
    bool timed;           // it has a deadline; only if shared
    bool timed_out;
    int chosen, err;      // set by the waker: which node, with what result
    uintptr_t owner;      // whom to wake: a task, or a thread's record with the low bit set
    struct chanrt__worker *worker; // where the task runs that is about to wait
    struct chanrt__waiter *nodes;
    int count;            // nodes ever queued
};

struct chanrt__waiter {
    struct chanrt__waiter *next, *prev;
    struct chanrt_x_queue *queue;
    uint32_t *lock;       // the queue's
    struct chanrt__wait *wait;
    void *ptr;            // where the value is, or goes
    int index;            // the node's, for wait.chosen
    uint32_t linked;
};

CHANRT__INLINE void chanrt__wait_begin(struct chanrt__wait *wait, struct chanrt__waiter *nodes,
                                       bool shared) {
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__worker *w = (struct chanrt__worker *)self->worker;
    wait->a_claim = CHANRT__BUSY;
    wait->shared = shared;
    if (shared) wait->allocated = wait->timed = false;
    wait->timed_out = false;
    wait->chosen = -1;
    wait->err = 0;
    wait->worker = w;
    wait->nodes = nodes;
    wait->count = 0;
    wait->owner = w != NULL ? (uintptr_t)w->a_current : (uintptr_t)self | 1;
    chanrt__atom_grant(wait);
    // From its first node on others may wake it, before it has parked.
    if (shared && w != NULL) chanrt__atom_store(&w->a_current->a_on_cpu, 1);
}

// From here on a shared wait can be claimed. Under the lock of its last queue, if it has any.
static void chanrt__wait_open(struct chanrt__wait *wait) {
    chanrt__atom_store_rel(&wait->a_claim, CHANRT__OPEN); // [claim]
}

// Appends the next node of the wait to q, whose lock is held.
CHANRT__INLINE void chanrt__wait_enqueue(struct chanrt__wait *wait, struct chanrt_x_queue *q,
                                         uint32_t *lock, void *ptr, int index) {
    struct chanrt__waiter *n = &wait->nodes[wait->count++];
    n->next = NULL;
    n->prev = q->last;
    n->queue = q;
    n->lock = lock;
    n->wait = wait;
    n->ptr = ptr;
    n->index = index;
    n->linked = true;
    q->claims += wait->shared;
    if (q->last != NULL) q->last->next = n;
    else chanrt__atom_store_rel(&q->a_first, n); // [peek]
    q->last = n;
}

// The same at its head, for a wait of one node that has been there before.
static void chanrt__wait_enqueue_first(struct chanrt__wait *wait, struct chanrt_x_queue *q,
                                       uint32_t *lock, void *ptr) {
    struct chanrt__waiter *first = chanrt__atom_load(&q->a_first);
    if (first == NULL) {
        chanrt__wait_enqueue(wait, q, lock, ptr, 0);
        return;
    }
    struct chanrt__waiter *n = &wait->nodes[wait->count++];
    *n = (struct chanrt__waiter){ .next = first, .queue = q, .lock = lock, .wait = wait,
                                  .ptr = ptr, .linked = true };
    q->claims += wait->shared;
    first->prev = n;
    chanrt__atom_store_rel(&q->a_first, n); // [peek]
}

static void chanrt__wait_unlink(struct chanrt__waiter *n) {
    struct chanrt_x_queue *q = n->queue;
    if (n->prev != NULL) n->prev->next = n->next;
    else chanrt__atom_store_rel(&q->a_first, n->next); // [peek]
    if (n->next != NULL) n->next->prev = n->prev;
    else q->last = n->prev;
    n->linked = false;
}

// A select's node leaves its queue for good, unless it is the one that was claimed.
static void chanrt__wait_leave(struct chanrt__waiter *n) {
    if (n->linked) chanrt__wait_unlink(n);
    n->queue->claims--;
}

enum chanrt__take {
    CHANRT__TAKE_NONE, // nobody waits
    CHANRT__TAKE_ONE,  // *out is unlinked and claimed: the caller must make its owner ready
    CHANRT__TAKE_BUSY  // the first is still queueing itself: let go of the lock, come again
};

// Takes the first waiter of q that can still be woken. `mine`: the caller's own wait, when it has
// nodes queued already; it never meets itself.
static enum chanrt__take chanrt__wait_take_any(struct chanrt_x_queue *q,
                                               const struct chanrt__wait *mine,
                                               struct chanrt__waiter **out) {
    for (struct chanrt__waiter *n = chanrt__atom_load(&q->a_first), *next; n != NULL; n = next) {
        next = n->next;
        struct chanrt__wait *peer = n->wait;
        if (peer == mine) continue;
        if (!peer->shared || chanrt__atom_cas_acqrel(&peer->a_claim, CHANRT__OPEN, // [claim]
                                                     CHANRT__DONE)) {
            chanrt__wait_unlink(n);
            q->claims -= peer->shared;
            *out = n;
            return CHANRT__TAKE_ONE;
        }
        if (chanrt__atom_load_acq(&peer->a_claim) != CHANRT__DONE) // [claim]
            return CHANRT__TAKE_BUSY;
        chanrt__wait_unlink(n); // woken elsewhere; its owner still comes to leave
    }
    return CHANRT__TAKE_NONE;
}

// Takes this very node, of a wait that is no select, off its queue. False: its time is up.
static bool chanrt__wait_take_node(struct chanrt__waiter *n) {
    struct chanrt__wait *peer = n->wait;
    bool won = !peer->shared || chanrt__atom_cas_acqrel(&peer->a_claim, CHANRT__OPEN, // [claim]
                                                        CHANRT__DONE);
    chanrt__wait_unlink(n);
    if (won) n->queue->claims -= peer->shared;
    return won;
}

// Takes the first waiter of q, which is plain.
static inline void chanrt__wait_shift(struct chanrt_x_queue *q, struct chanrt__waiter *n) {
    struct chanrt__waiter *next = n->next;
    chanrt__atom_store_rel(&q->a_first, next); // [peek]
    if (next != NULL) next->prev = NULL;
    else q->last = NULL;
    n->linked = false;
}

// The common case first: a plain wait's node at the head.
CHANRT__INLINE enum chanrt__take chanrt__wait_take(struct chanrt_x_queue *q,
                                                   const struct chanrt__wait *mine,
                                                   struct chanrt__waiter **out) {
    struct chanrt__waiter *n = chanrt__atom_load(&q->a_first);
    if (CHANRT__UNLIKELY(n == NULL || n->wait->shared)) return chanrt__wait_take_any(q, mine, out);
    chanrt__wait_shift(q, n);
    *out = n;
    return CHANRT__TAKE_ONE;
}

// Takes every waiter of q, appended to a list in their order. False: one is busy; let go of the
// lock and come again for the rest.
static bool chanrt__wait_take_all(struct chanrt_x_queue *q, struct chanrt__waiter **first,
                                  struct chanrt__waiter **last) {
    struct chanrt__waiter *n;
    enum chanrt__take take;
    while ((take = chanrt__wait_take(q, NULL, &n)) == CHANRT__TAKE_ONE) {
        n->next = NULL;
        if (*last != NULL) (*last)->next = n;
        else *first = n;
        *last = n;
    }
    return take != CHANRT__TAKE_BUSY;
}

// Tells the taken waiter how its wait ended and makes its owner ready. n and all of its wait are
// gone when this returns (M1).
static void chanrt__wait_finish(struct chanrt__waiter *n, int err) {
    struct chanrt__wait *wait = n->wait;
    wait->chosen = n->index;
    wait->err = err;
    chanrt__atom_grant(wait);
    chanrt__sched_ready(wait->owner);
}

// The same for a plain wait that ended well: its fields say so since chanrt__wait_begin. Returns 0,
// for the tail of a function that does.
CHANRT__NOINLINE static int chanrt__wait_finish_plain(struct chanrt__waiter *n) {
    chanrt__sched_ready(n->wait->owner);
    return 0;
}

struct chanrt__wait_timer {
    struct chanrt__node node; // first, so that fire finds the rest
    struct chanrt__wait *wait;
};

static uintptr_t chanrt__wait_fire(struct chanrt__node *n, int64_t now) {
    (void)now;
    struct chanrt__wait *wait = ((struct chanrt__wait_timer *)n)->wait;
    if (!chanrt__atom_cas_acqrel(&wait->a_claim, CHANRT__OPEN, CHANRT__DONE)) // [claim]
        return 0;
    wait->timed_out = true;
    return wait->owner;
}

static bool chanrt__wait_block_thread(struct chanrt__wait *wait, int64_t deadline) {
    if (chanrt__sched_thread_block(deadline)) return true;
    if (chanrt__atom_cas_acqrel(&wait->a_claim, CHANRT__OPEN, CHANRT__DONE)) // [claim]
        return false;
    return chanrt__sched_thread_block(CHANRT__FOREVER); // claimed just now: the notice comes
}

CHANRT__NOINLINE static bool chanrt__wait_block_outside(struct chanrt__wait *wait, uint32_t *lock,
                                                        int64_t deadline,
                                                        enum chanrt__reason reason,
                                                        const void *object) {
    struct chanrt__os_thread *self = (struct chanrt__os_thread *)(wait->owner & ~(uintptr_t)1);
    CHANRT__IF_DEBUG(if (!chanrt__debug_places(reason)) self->at = NULL;)
    self->reason = (int)reason; // read once it is on the list
    self->object = object;
    if (!wait->shared) chanrt__os_unlock(lock);
    CHANRT__IF_TRACE(chanrt__trace_thread_waits(reason, object);)
    bool served = chanrt__wait_block_thread(wait, deadline);
    CHANRT__IF_TRACE(chanrt__trace_thread_runs(reason);)
    self->object = NULL; // what it keeps is not in use for that (>>leaks)
    chanrt__atom_take(wait);
    return served;
}

// Blocks until the wait is finished by a waker (true) or the deadline claims it (false). *lock is
// released once nobody can miss the sleeper: that of a wait with one source, or, if the waker need
// not hold it, the task's a_on_cpu; a shared wait has that of itself. Only a shared one may have a
// deadline.
// Inlined where it is called all the time; that function must not be (CHANRT__NOINLINE).
CHANRT__INLINE bool chanrt__wait_block_here(struct chanrt__wait *wait, uint32_t *lock,
                                            int64_t deadline, enum chanrt__reason reason,
                                            const void *object) {
    CHANRT__IF_DEBUG(int64_t begun = chanrt_now();)
    struct chanrt__worker *w = wait->worker;
    if (CHANRT__UNLIKELY(w == NULL)) {
        bool woken = chanrt__wait_block_outside(wait, lock, deadline, reason, object);
        CHANRT__IF_DEBUG(chanrt__held_waited(begun, chanrt__task_reasons[reason]);)
        return woken;
    }
    struct chanrt__task *t = w->a_current;
    struct chanrt__wait_timer timer;
    chanrt__atom_store(&t->u.run.a_object, (void *)(uintptr_t)object);
    chanrt__atom_store(&t->u.run.a_since, w->now);
    t->u.run.wait = wait;
    CHANRT__IF_DEBUG(chanrt__debug_waits(t, reason);)
    chanrt__atom_store(&t->a_reason, (uint8_t)reason);
    if (deadline != CHANRT__FOREVER) {
        timer.node.linked = false;
        timer.node.fire = chanrt__wait_fire;
        timer.wait = wait;
        wait->timed = true;
        chanrt__sched_arm(&timer.node, deadline);
    }
    chanrt__sched_park(w, wait->shared ? &t->a_on_cpu : lock);
    if (deadline != CHANRT__FOREVER) chanrt__sched_disarm(&timer.node);
    chanrt__atom_store(&t->a_reason, (uint8_t)CHANRT__NOT_WAITING);
    chanrt__atom_take(wait);
    CHANRT__IF_DEBUG(chanrt__held_waited(begun, chanrt__task_reasons[reason]);)
    return !wait->timed_out;
}

CHANRT__NOINLINE static bool chanrt__wait_block(struct chanrt__wait *wait, uint32_t *lock,
                                                int64_t deadline, enum chanrt__reason reason,
                                                const void *object) {
    return chanrt__wait_block_here(wait, lock, deadline, reason, object);
}

// The caller found a case ready itself, while still queueing. It has yet to leave the queues, and
// then to say so.
static void chanrt__wait_cancel(struct chanrt__wait *wait) {
    chanrt__atom_store_rel(&wait->a_claim, CHANRT__DONE); // [claim]
}

static void chanrt__wait_cancelled(struct chanrt__wait *wait) {
    if (wait->worker != NULL) chanrt__atom_store(&wait->worker->a_current->a_on_cpu, 0);
}

CHANRT_API void chanrt_task_sleep(int64_t ns) {
    if (ns <= 0) {
        chanrt_task_yield();
        return;
    }
    int64_t deadline = chanrt__os_deadline(ns);
    if (chanrt__sched_self() == NULL) {
        uint32_t word = 0;
        chanrt__sched_point();
        CHANRT__IF_TRACE(chanrt__trace_thread_waits(CHANRT__WAIT_SLEEP, NULL);)
        while (chanrt_now() < deadline) {
            if (!chanrt__atom_load(&chanrt__det.a_on)) chanrt__os_sleep(&word, 0, deadline);
            else chanrt__det_thread_wait(chanrt__os_self(), NULL, 0, deadline, false);
        }
        CHANRT__IF_TRACE(chanrt__trace_thread_runs(CHANRT__WAIT_SLEEP);)
        return;
    }
    struct chanrt__wait wait;
    chanrt__wait_begin(&wait, NULL, true);
    chanrt__wait_open(&wait);
    chanrt__wait_block(&wait, NULL, deadline, CHANRT__WAIT_SLEEP, NULL);
}

//------------------------------------------------------------------------------
// >>chan    Channels: one lock, one ring, two queues of waiters.
//   uses    port fail atom os ctx trace sched debug wait
//   owns    struct chanrt__chan; no other room writes its fields but >>timer's one value and
//           >>select's a_plenty
//   lock    a_lock; never two at once; held over a park only for the switch to release it
//   laws    C1 count <= cap. C2 a value in the buffer: no unclaimed receiver waits.
//           C3 room in the buffer: no unclaimed sender waits. C4 both queues wait: every
//           waiter is a select's case. C5 closed: no unclaimed waiter at all.
//   not     a lock-free ring: two locked instructions a message where this has one
//   tests   unit/chan.c spec/channels.c spec/close.c model/channel.pml model/select.pml
//           model/waiter_free.pml
//------------------------------------------------------------------------------

struct chanrt__chan {
    uint32_t a_lock;
    uint32_t a_version;      // changes after whatever may make a case ready, for >>select
    uint32_t a_refs;
    uint8_t a_closed;
    bool quick;              // open, and elements of 4 or 8 bytes: the short way in and out
    bool zombie;             // freed, but selects have yet to leave
    uint8_t a_plenty;        // how often of late a select that begins here found most ready
    size_t elem, cap, a_count;
    size_t head, tail, size; // byte offsets into the ring, its size
    unsigned char *ring;
    struct chanrt_x_queue recvq, sendq;
    struct chanrt_chan_timer *timer; // of chan_after: freed with the channel
    void (*freed)(struct chanrt__chan *c); // upward: the last reference is gone, before the end
    void *block;             // what the allocator gets back when the channel is destroyed
#if CHANRT_DEBUG
    uint64_t a_mark;         // alive, or freed and kept for a while
#endif
};

enum chanrt__step {
    CHANRT__STEP_DONE,   // the value has moved, or moves once the lock is dropped
    CHANRT__STEP_CLOSED, // chosen because the channel is closed
    CHANRT__STEP_WAIT,   // not possible now
    CHANRT__STEP_AGAIN   // drop the lock and come again
};

static struct chanrt__chan *chanrt__chan_of(const volatile void *ch) {
    struct chanrt__chan *c = (struct chanrt__chan *)(uintptr_t)ch;
    CHANRT__IF_DEBUG(if (c != NULL) chanrt__debug_use(c, &c->a_mark);)
    return c;
}

// The laws, executable: asserted at every unlock when CHANRT_CHECK is 1. Selects are left out:
// whether one has been claimed can change at any moment.
__attribute__((unused))
static bool chanrt__chan_has_plain(const struct chanrt_x_queue *q) {
    for (const struct chanrt__waiter *n = q->a_first; n != NULL; n = n->next)
        if (!n->wait->shared) return true;
    return false;
}

__attribute__((unused))
static void chanrt__chan_check(const struct chanrt__chan *c) {
    bool receiver = chanrt__chan_has_plain(&c->recvq), sender = chanrt__chan_has_plain(&c->sendq);
    CHANRT_ASSERT(c->a_count <= c->cap);                // C1
    CHANRT_ASSERT(c->a_count == 0 || !receiver);        // C2
    CHANRT_ASSERT(c->a_count == c->cap || !sender);     // C3
    CHANRT_ASSERT(!receiver || !sender);                // C4
    CHANRT_ASSERT(!c->a_closed || !(receiver || sender)); // C5
    (void)c, (void)receiver, (void)sender;
}

static inline void chanrt__chan_unlock(struct chanrt__chan *c) {
    if (CHANRT_CHECK) chanrt__chan_check(c);
    chanrt__os_unlock(&c->a_lock);
}

// The common sizes as single moves. The asm forgets what the pointers point to: inlined into a
// program, gcc would warn of the moves that are too long for its value and never made.
static inline void chanrt__chan_copy(void *to, const void *from, size_t size) {
#if CHANRT_TSAN_USER // libc's would be seen
    for (size_t i = 0; i < size; i++) ((volatile char *)to)[i] = ((const volatile char *)from)[i];
    return;
#endif
    __asm__("" : "+r"(to), "+r"(from));
    switch (size) {
    case 0: break;
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    case 16: memcpy(to, from, 16); break;
    default: memcpy(to, from, size);
    }
}

// What a receiver gets from a closed channel.
static inline void chanrt__chan_zero(void *to, size_t size) {
#if CHANRT_TSAN_USER
    for (size_t i = 0; i < size; i++) ((volatile char *)to)[i] = 0;
#else
    memset(to, 0, size);
#endif
}

// The same as chanrt__chan_copy for a quick channel.
static inline void chanrt__chan_move(void *to, const void *from, size_t size) {
    __asm__("" : "+r"(to), "+r"(from));
    if (CHANRT__LIKELY(size == 8)) memcpy(to, from, 8);
    else memcpy(to, from, 4);
}

static inline void chanrt__chan_changed(struct chanrt__chan *c) {
    chanrt__atom_store_rel(&c->a_version, chanrt__atom_load(&c->a_version) + 1); // [peek]
}

// A value has been copied to the tail of the ring.
static inline void chanrt__chan_put(struct chanrt__chan *c) {
    chanrt__atom_pass(c->ring + c->tail);
    c->tail += c->elem;
    if (c->tail == c->size) c->tail = 0;
    chanrt__atom_store_rel(&c->a_count, chanrt__atom_load(&c->a_count) + 1); // [peek]
    chanrt__chan_changed(c);
}

// The value at the head of the ring has been copied out, or is given up.
static inline void chanrt__chan_pull(struct chanrt__chan *c) {
    chanrt__atom_pass(c->ring + c->head);
    c->head += c->elem;
    if (c->head == c->size) c->head = 0;
    chanrt__atom_store_rel(&c->a_count, chanrt__atom_load(&c->a_count) - 1); // [peek]
    chanrt__chan_changed(c);
}

// A full ring, and a sender that waits: the oldest value goes out and the sender's takes its slot,
// which is the end of the line. The count stays: who looks without the lock must not see room, or
// nothing to receive, that never was there.
static inline void chanrt__chan_rotate(struct chanrt__chan *c, void *ptr, const void *value) {
    if (ptr != NULL) chanrt__chan_copy(ptr, c->ring + c->head, c->elem);
    chanrt__chan_copy(c->ring + c->head, value, c->elem);
    chanrt__atom_pass(c->ring + c->head);
    c->head += c->elem;
    if (c->head == c->size) c->head = 0;
    c->tail = c->head;
}

// One attempt to send. DONE with a *peer: the value goes straight to it, after the unlock.
CHANRT__INLINE enum chanrt__step chanrt__chan_offer_locked(struct chanrt__chan *c,
                                                           const void *value,
                                                           const struct chanrt__wait *mine,
                                                           struct chanrt__waiter **peer) {
    if (CHANRT__UNLIKELY(c->a_closed)) return CHANRT__STEP_CLOSED;
    if (c->recvq.a_first != NULL) {
        enum chanrt__take take = chanrt__wait_take(&c->recvq, mine, peer);
        if (take == CHANRT__TAKE_ONE) return CHANRT__STEP_DONE;
        if (take == CHANRT__TAKE_BUSY) return CHANRT__STEP_AGAIN;
    }
    if (c->a_count == c->cap) return CHANRT__STEP_WAIT;
    chanrt__chan_copy(c->ring + c->tail, value, c->elem);
    chanrt__chan_put(c);
    return CHANRT__STEP_DONE;
}

// One attempt to receive. DONE with a *peer: a sender to make ready after the unlock, and
// unbuffered its value is still with it. All under one lock, so nobody overtakes.
CHANRT__INLINE enum chanrt__step chanrt__chan_accept_locked(struct chanrt__chan *c, void *ptr,
                                                            const struct chanrt__wait *mine,
                                                            struct chanrt__waiter **peer) {
    enum chanrt__take take = CHANRT__TAKE_NONE;
    if (c->sendq.a_first != NULL) take = chanrt__wait_take(&c->sendq, mine, peer);
    if (take == CHANRT__TAKE_BUSY) return CHANRT__STEP_AGAIN;
    if (c->a_count != 0) {
        if (take == CHANRT__TAKE_ONE) {
            chanrt__atom_take((*peer)->wait);
            chanrt__chan_rotate(c, ptr, (*peer)->ptr);
            return CHANRT__STEP_DONE;
        }
        if (ptr != NULL) chanrt__chan_copy(ptr, c->ring + c->head, c->elem);
        chanrt__chan_pull(c);
        return CHANRT__STEP_DONE;
    }
    if (take == CHANRT__TAKE_ONE) return CHANRT__STEP_DONE;
    if (!c->a_closed) return CHANRT__STEP_WAIT;
    chanrt__atom_take(&c->a_closed);
    return CHANRT__STEP_CLOSED;
}

// What is left to do after the unlock, with the waiter that was taken. The channel's sizes are
// the caller's copies: its last touch of the channel was the unlock (M1).
static inline void chanrt__chan_sent(size_t elem, const void *value,
                                     struct chanrt__waiter *receiver) {
    if (receiver->ptr != NULL) chanrt__chan_copy(receiver->ptr, value, elem);
    chanrt__atom_take(receiver->wait);
    chanrt__wait_finish(receiver, 0);
}

static inline void chanrt__chan_received(size_t elem, bool buffered, void *ptr,
                                         struct chanrt__waiter *sender) {
    if (!buffered && ptr != NULL) chanrt__chan_copy(ptr, sender->ptr, elem);
    chanrt__atom_take(sender->wait);
    chanrt__wait_finish(sender, 0);
}

// Queues the caller, who holds the lock, and blocks until somebody finishes its operation.
CHANRT__NOINLINE static int chanrt__chan_block(void *chan, void *queue, void *ptr, int reason) {
    struct chanrt__chan *c = (struct chanrt__chan *)chan;
    struct chanrt_x_queue *q = (struct chanrt_x_queue *)queue;
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    chanrt__wait_begin(&wait, &node, false);
    chanrt__wait_enqueue(&wait, q, &c->a_lock, ptr, 0);
    chanrt__chan_changed(c);
    if (CHANRT_CHECK) chanrt__chan_check(c);
    chanrt__wait_block_here(&wait, &c->a_lock, CHANRT__FOREVER, (enum chanrt__reason)reason, c);
    return wait.err;
}

// The life of a value, one half: to a waiting receiver, or into the ring, or wait here with it.
// The long way, for all that chanrt__chan_send does not do itself; the caller holds the lock.
CHANRT__NOINLINE static int chanrt__chan_send_unlock(struct chanrt__chan *c, const void *value,
                                                     bool block) {
    const size_t elem = c->elem;
    for (uint32_t tries = 0;; chanrt__os_lock(&c->a_lock)) {
        struct chanrt__waiter *peer = NULL;
        enum chanrt__step step = chanrt__chan_offer_locked(c, value, NULL, &peer);
        if (step == CHANRT__STEP_WAIT && block)
            return chanrt__ctx_detour(c, &c->sendq, (void *)(uintptr_t)value, CHANRT__WAIT_SEND,
                                      chanrt__chan_block);
        chanrt__chan_unlock(c); // the last touch of c: a receiver may free it (M1)
        if (CHANRT__LIKELY(step == CHANRT__STEP_DONE)) {
            if (peer != NULL) chanrt__chan_sent(elem, value, peer);
            return 0;
        }
        if (step == CHANRT__STEP_CLOSED) return EPIPE;
        if (step == CHANRT__STEP_WAIT) return EAGAIN;
        chanrt__os_back_off(&tries);
    }
}

CHANRT__NOINLINE static int chanrt__chan_send_contended(struct chanrt__chan *c, const void *value,
                                                        bool block) {
    chanrt__os_lock_slow(&c->a_lock);
    return chanrt__chan_send_unlock(c, value, block);
}

// The short way has no calls but at its end, so it saves no registers.
CHANRT__INLINE int chanrt__chan_send(struct chanrt__chan *c, const void *value, bool block) {
    if (CHANRT__UNLIKELY(!chanrt__os_lock_try(&c->a_lock)))
        return chanrt__chan_send_contended(c, value, block);
    struct chanrt__waiter *receiver = c->recvq.a_first;
    if (CHANRT__UNLIKELY(!c->quick)) return chanrt__chan_send_unlock(c, value, block);
    if (receiver == NULL && c->a_count != c->cap) {
        chanrt__chan_move(c->ring + c->tail, value, c->elem);
        chanrt__chan_put(c);
        chanrt__os_unlock(&c->a_lock);
        return 0;
    }
    if (receiver == NULL && block)
        return chanrt__ctx_detour(c, &c->sendq, (void *)(uintptr_t)value, CHANRT__WAIT_SEND,
                                  chanrt__chan_block);
    if (receiver == NULL || receiver->wait->shared)
        return chanrt__chan_send_unlock(c, value, block);
    chanrt__wait_shift(&c->recvq, receiver);
    size_t elem = c->elem;
    chanrt__os_unlock(&c->a_lock);
    if (receiver->ptr != NULL) chanrt__chan_move(receiver->ptr, value, elem);
    return chanrt__wait_finish_plain(receiver);
}

// The other half: from the ring, or from a waiting sender, or wait here for one.
CHANRT__NOINLINE static int chanrt__chan_recv_unlock(struct chanrt__chan *c, void *ptr,
                                                     bool block) {
    const size_t elem = c->elem;
    const bool buffered = c->cap != 0;
    for (uint32_t tries = 0;; chanrt__os_lock(&c->a_lock)) {
        struct chanrt__waiter *peer = NULL;
        enum chanrt__step step = chanrt__chan_accept_locked(c, ptr, NULL, &peer);
        if (step == CHANRT__STEP_WAIT && block)
            return chanrt__ctx_detour(c, &c->recvq, ptr, CHANRT__WAIT_RECV, chanrt__chan_block);
        chanrt__chan_unlock(c);
        if (CHANRT__LIKELY(step == CHANRT__STEP_DONE)) {
            if (peer != NULL) chanrt__chan_received(elem, buffered, ptr, peer);
            return 0;
        }
        if (step == CHANRT__STEP_CLOSED) {
            if (ptr != NULL) chanrt__chan_zero(ptr, elem);
            return EPIPE;
        }
        if (step == CHANRT__STEP_WAIT) return EAGAIN;
        chanrt__os_back_off(&tries);
    }
}

CHANRT__NOINLINE static int chanrt__chan_recv_contended(struct chanrt__chan *c, void *ptr,
                                                        bool block) {
    chanrt__os_lock_slow(&c->a_lock);
    return chanrt__chan_recv_unlock(c, ptr, block);
}

CHANRT__INLINE int chanrt__chan_recv(struct chanrt__chan *c, void *ptr, bool block) {
    if (CHANRT__UNLIKELY(!chanrt__os_lock_try(&c->a_lock)))
        return chanrt__chan_recv_contended(c, ptr, block);
    struct chanrt__waiter *sender = c->sendq.a_first;
    if (CHANRT__UNLIKELY(!c->quick)) return chanrt__chan_recv_unlock(c, ptr, block);
    if (sender == NULL && c->a_count != 0) {
        if (ptr != NULL) chanrt__chan_move(ptr, c->ring + c->head, c->elem);
        chanrt__chan_pull(c);
        chanrt__os_unlock(&c->a_lock);
        return 0;
    }
    if (sender == NULL && block)
        return chanrt__ctx_detour(c, &c->recvq, ptr, CHANRT__WAIT_RECV, chanrt__chan_block);
    if (sender == NULL || sender->wait->shared || c->cap != 0)
        return chanrt__chan_recv_unlock(c, ptr, block);
    chanrt__wait_shift(&c->sendq, sender);
    size_t elem = c->elem;
    chanrt__os_unlock(&c->a_lock);
    if (ptr != NULL) chanrt__chan_move(ptr, sender->ptr, elem);
    return chanrt__wait_finish_plain(sender);
}

// Whether a case would find something to do, without the lock. Not closed at the second look
// means not closed at the first, so "not ready" was true at one instant.
static inline bool chanrt__chan_may_recv(struct chanrt__chan *c) {
    return chanrt__atom_load_acq(&c->a_count) != 0 ||        // [peek]
           chanrt__atom_load_acq(&c->sendq.a_first) != NULL || // [peek]
           chanrt__atom_load_acq(&c->a_closed) != 0;         // [peek]
}

static inline bool chanrt__chan_may_send(struct chanrt__chan *c) {
    return chanrt__atom_load_acq(&c->a_count) != c->cap ||   // [peek]
           chanrt__atom_load_acq(&c->recvq.a_first) != NULL || // [peek]
           chanrt__atom_load_acq(&c->a_closed) != 0;         // [peek]
}

static void chanrt__chan_destroy(struct chanrt__chan *c) {
    void *block = c->block;
    CHANRT__IF_DEBUG(block = chanrt__debug_freed(c, &c->a_mark, block);)
    CHANRT_FREE(block);
}

static void chanrt__chan_free(struct chanrt__chan *c) {
    chanrt__os_lock(&c->a_lock);
    c->zombie = true;
    bool destroy = c->recvq.claims + c->sendq.claims == 0;
    chanrt__os_unlock(&c->a_lock);
    if (destroy) chanrt__chan_destroy(c);
}

// Closes and frees a channel whose last reference is gone, unless somebody waits at it (false).
static bool chanrt__chan_end(struct chanrt__chan *c) {
    chanrt__os_lock(&c->a_lock);
    bool alone = c->recvq.a_first == NULL && c->sendq.a_first == NULL;
    bool destroy = alone && c->recvq.claims + c->sendq.claims == 0;
    c->zombie = alone;
    CHANRT__IF_TRACE(bool closes = alone && !c->a_closed;)
    chanrt__os_unlock(&c->a_lock);
    CHANRT__IF_TRACE(if (closes) chanrt__trace_mark(CHANRT__TRACE_CLOSE, c, false);)
    if (destroy) chanrt__chan_destroy(c);
    return alone;
}

static int chanrt__chan_close(struct chanrt__chan *c) {
    struct chanrt__waiter *receivers = NULL, *senders = NULL, *r_last = NULL, *s_last = NULL;
    size_t elem = c->elem;
    chanrt__os_lock(&c->a_lock);
    if (c->a_closed) {
        chanrt__os_unlock(&c->a_lock);
        return EPIPE;
    }
    chanrt__atom_store_rel(&c->a_closed, 1); // [peek]
    chanrt__atom_grant(&c->a_closed);
    c->quick = false;
    chanrt__chan_changed(c);
    bool held = false;
    for (uint32_t tries = 0; !chanrt__wait_take_all(&c->recvq, &receivers, &r_last) ||
                             !chanrt__wait_take_all(&c->sendq, &senders, &s_last);) {
        // Somebody may see that the channel is closed, and free it, before we come again.
        if (!held) chanrt__atom_add(&c->a_refs, 1);
        held = true;
        chanrt__os_unlock(&c->a_lock);
        chanrt__os_back_off(&tries);
        chanrt__os_lock(&c->a_lock);
    }
    chanrt__chan_unlock(c);
    CHANRT__IF_TRACE(chanrt__trace_mark(CHANRT__TRACE_CLOSE, c, false);)
    if (held && chanrt__atom_sub_acqrel(&c->a_refs, 1) == 1) chanrt__chan_free(c); // [refs]
    for (struct chanrt__waiter *n = receivers, *next; n != NULL; n = next) {
        next = n->next; // n is gone once its owner is ready
        if (n->ptr != NULL) chanrt__chan_zero(n->ptr, elem);
        chanrt__wait_finish(n, EPIPE);
    }
    for (struct chanrt__waiter *n = senders, *next; n != NULL; n = next) {
        next = n->next;
        chanrt__wait_finish(n, EPIPE);
    }
    return 0;
}

// A select's node leaves the channel; the last one out of a freed channel destroys it.
static void chanrt__chan_leave(struct chanrt__chan *c, struct chanrt__waiter *n) {
    chanrt__os_lock(&c->a_lock);
    chanrt__wait_leave(n);
    bool destroy = c->zombie && c->recvq.claims + c->sendq.claims == 0;
    chanrt__chan_unlock(c);
    if (destroy) chanrt__chan_destroy(c);
}

// Drops a reference; true: it was the last one. Who has the only one has nobody to agree with.
static bool chanrt__chan_drop(struct chanrt__chan *c) {
    if (chanrt__atom_load_acq(&c->a_refs) == 1) { // [refs] all uses before the free
        chanrt__atom_store(&c->a_refs, 0);
    } else {
        uint32_t refs = chanrt__atom_sub_acqrel(&c->a_refs, 1); // [refs] likewise
        if (refs == 0 || refs > UINT32_MAX / 2)
            chanrt__fail_stop("chan_free: the channel %p has no reference left", (void *)c);
        if (refs != 1) return false;
    }
    CHANRT__IF_DEBUG(chanrt__debug_dropped(c);)
    return true;
}

static void chanrt__chan_init(struct chanrt__chan *c, size_t elem, size_t cap, void *ring,
                              void *block) {
    chanrt__os_clear(c, sizeof *c);
    c->a_refs = 1;
    c->quick = !CHANRT_CHECK && !CHANRT_TSAN_USER && (elem == 4 || elem == 8);
    c->elem = elem;
    c->cap = cap;
    c->size = elem * cap;
    c->ring = (unsigned char *)ring;
    c->block = block;
    CHANRT__IF_DEBUG(chanrt__debug_alive_at(&c->a_mark);)
}

// One block: the header on a cache line of its own, then the ring, aligned for its elements, then
// some bytes for who makes it.
static struct chanrt__chan *chanrt__chan_make(size_t elem, size_t align, size_t cap,
                                              size_t behind) {
    if (align < 64) align = 64;
    size_t head = (sizeof(struct chanrt__chan) + align - 1) & ~(align - 1);
    size_t most = SIZE_MAX / 2 - head - align - behind;
    if (cap > most || (elem != 0 && cap > most / elem)) return NULL;
    char *block = (char *)CHANRT_MALLOC(head + elem * cap + behind + align);
    if (block == NULL) return NULL;
    char *at = (char *)(((uintptr_t)block + align - 1) & ~(uintptr_t)(align - 1));
    chanrt__chan_init((struct chanrt__chan *)at, elem, cap, at + head, block);
    CHANRT__IF_DEBUG(chanrt__debug_made(at);)
    return (struct chanrt__chan *)at;
}

CHANRT_API void *chanrt_x_chan_make(size_t elem, size_t align, size_t cap) {
    void *ch = chanrt__chan_make(elem, align, cap, 0);
    CHANRT__IF_DEBUG(if (ch != NULL) chanrt__debug_made_here(ch, elem, cap);)
    return ch;
}

// The same in the deterministic mode, out of the way of the others.
CHANRT__NOINLINE static int chanrt__chan_send_drawn(struct chanrt__chan *c, const void *value,
                                                    bool block) {
    chanrt__sched_point();
    int err = block || chanrt__chan_may_send(c) ? chanrt__chan_send(c, value, block) : EAGAIN;
    chanrt__sched_point();
    return err;
}

CHANRT__NOINLINE static int chanrt__chan_recv_drawn(struct chanrt__chan *c, void *ptr, bool block) {
    chanrt__sched_point();
    int err = block || chanrt__chan_may_recv(c) ? chanrt__chan_recv(c, ptr, block) : EAGAIN;
    chanrt__sched_point();
    return err;
}

static int chanrt__chan_none(void) {
    CHANRT__IF_DEBUG(chanrt__debug_none();)
    return EINVAL;
}

CHANRT_API int chanrt_x_chan_send(const volatile void *ch, const void *value) {
    if (CHANRT__UNLIKELY(ch == NULL)) return chanrt__chan_none();
    struct chanrt__chan *c = chanrt__chan_of(ch);
    if (chanrt__sched_drawn()) return chanrt__chan_send_drawn(c, value, true);
    return chanrt__chan_send(c, value, true);
}

CHANRT_API int chanrt_x_chan_try_send(const volatile void *ch, const void *value) {
    if (CHANRT__UNLIKELY(ch == NULL)) return chanrt__chan_none();
    struct chanrt__chan *c = chanrt__chan_of(ch);
    if (chanrt__sched_drawn()) return chanrt__chan_send_drawn(c, value, false);
    return chanrt__chan_may_send(c) ? chanrt__chan_send(c, value, false) : EAGAIN;
}

CHANRT_API int chanrt_x_chan_recv(const volatile void *ch, void *ptr) {
    if (CHANRT__UNLIKELY(ch == NULL)) return chanrt__chan_none();
    struct chanrt__chan *c = chanrt__chan_of(ch);
    if (chanrt__sched_drawn()) return chanrt__chan_recv_drawn(c, ptr, true);
    return chanrt__chan_recv(c, ptr, true);
}

CHANRT_API int chanrt_x_chan_try_recv(const volatile void *ch, void *ptr) {
    if (CHANRT__UNLIKELY(ch == NULL)) return chanrt__chan_none();
    struct chanrt__chan *c = chanrt__chan_of(ch);
    if (chanrt__sched_drawn()) return chanrt__chan_recv_drawn(c, ptr, false);
    return chanrt__chan_may_recv(c) ? chanrt__chan_recv(c, ptr, false) : EAGAIN;
}

CHANRT_API void chanrt_x_chan_get(const volatile void *ch, void *ptr, size_t size) {
    if (ch != NULL) {
        chanrt_x_chan_recv(ch, ptr);
        return;
    }
    chanrt__chan_none();
    chanrt__chan_zero(ptr, size);
}

CHANRT_API int chanrt_x_chan_close(const volatile void *ch) {
    if (ch == NULL) return chanrt__chan_none();
    chanrt__sched_point();
    int err = chanrt__chan_close(chanrt__chan_of(ch));
    chanrt__sched_point();
    return err;
}

CHANRT_API size_t chanrt_x_chan_len(const volatile void *ch) {
    chanrt__sched_point();
    return ch != NULL ? chanrt__atom_load(&chanrt__chan_of(ch)->a_count) : 0;
}

CHANRT_API size_t chanrt_x_chan_cap(const volatile void *ch) {
    return ch != NULL ? chanrt__chan_of(ch)->cap : 0;
}

CHANRT_API void *chanrt_x_chan_ref(const volatile void *ch) {
    struct chanrt__chan *c = chanrt__chan_of(ch);
    if (c != NULL) chanrt__atom_add(&c->a_refs, 1); // the caller's own reference keeps it alive
    return c;
}

//------------------------------------------------------------------------------
// >>fd    Who waits for a descriptor: a record per number.
//   uses    port fail atom os poll task sched wait
//   owns    struct chanrt__fd, all of them, for the life of the runtime
//   lock    a_lock; no system call is made under it
//   laws    F1 look, then wait: whoever found a descriptor not ready has read a_edges before,
//           and queues, under the lock, only if it is unchanged; else it looks again. An event
//           changes it under the lock and then takes all who wait. So no event between a
//           look and its wait is missed, and several may wait in one direction (a flag that
//           the waiter clears would lose the other's: model/io.pml, BUG_FLAG).
//           F2 a closer counts a_closes up and takes all who wait, before the number can
//           come again; whoever looked before that gets ECANCELED, wherever it was. Who comes
//           between that and close(2) is woken by an event made up afterwards.
//           F3 woken means look again (P1).
//           F4 a TCP socket that gave less than was asked for is empty until its next event:
//           a read then waits without an attempt. Not after its end, an error or urgent data,
//           which an earlier event may have told of; and were it wrong, P3 would tell.
//   not     waking the first waiter only: one event can stand for two connections
//   tests   unit/io.c spec/io.c stress/io_storm.c model/io.pml
//------------------------------------------------------------------------------

struct chanrt__fd {
    struct chanrt__source source; // first, so that fire finds the rest
    uint32_t a_lock;
    uint32_t a_closes;            // times this number was closed
    uint32_t a_plain;             // not a socket when last looked at: a hint
    uint32_t a_drained;           // a_edges[0] when it was last found empty, if it is ALIVE
    struct chanrt_x_queue queue[2]; // to read, to write
};

enum { CHANRT__FD_ALIVE = 1, CHANRT__FD_OTHER = 2 }; // a_kind: TCP and no end seen; all else
enum { CHANRT__FD_CHUNK = 1024, CHANRT__FD_CHUNKS = 4096 };
static struct chanrt__fd *chanrt__fd_chunks[CHANRT__FD_CHUNKS];

// What a caller saw before it looked at the descriptor.
struct chanrt__fd_look {
    struct chanrt__fd *d;
    uint32_t edges[2], closes;
};

// Wakes all who wait in these directions.
static void chanrt__fd_fire(struct chanrt__source *s, int directions) {
    struct chanrt__fd *d = (struct chanrt__fd *)s;
    struct chanrt__waiter *first = NULL, *last = NULL;
    bool r = directions & CHANRT_IO_READ, w = directions & CHANRT_IO_WRITE;
    if (directions & CHANRT__POLL_END) chanrt__atom_store(&s->a_kind, CHANRT__FD_OTHER);
    chanrt__os_lock(&d->a_lock);
    // [edge] whoever sees the new count looks at the descriptor after the event
    if (r) chanrt__atom_store_rel(&s->a_edges[0], chanrt__atom_load(&s->a_edges[0]) + 1);
    if (w) chanrt__atom_store_rel(&s->a_edges[1], chanrt__atom_load(&s->a_edges[1]) + 1); // [edge]
    for (uint32_t tries = 0; (r && !chanrt__wait_take_all(&d->queue[0], &first, &last)) ||
                             (w && !chanrt__wait_take_all(&d->queue[1], &first, &last));) {
        chanrt__os_unlock(&d->a_lock);
        chanrt__os_back_off(&tries);
        chanrt__os_lock(&d->a_lock);
    }
    chanrt__os_unlock(&d->a_lock);
    for (struct chanrt__waiter *next; first != NULL; first = next) {
        next = first->next;
        chanrt__wait_finish(first, 0);
    }
}

// The record of a number; NULL and *err: EBADF, EMFILE (beyond four million), ENOMEM.
static struct chanrt__fd *chanrt__fd_get(int fd, int *err) {
    size_t i = (size_t)fd / CHANRT__FD_CHUNK, bytes = CHANRT__FD_CHUNK * sizeof(struct chanrt__fd);
    if (fd < 0 || i >= CHANRT__FD_CHUNKS) {
        *err = fd < 0 ? EBADF : EMFILE;
        return NULL;
    }
    struct chanrt__fd *chunk = chanrt__atom_load_acq(&chanrt__fd_chunks[i]); // [chunk]
    if (CHANRT__UNLIKELY(chunk == NULL)) {
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&mutex);
        chunk = chanrt__atom_load(&chanrt__fd_chunks[i]);
        if (chunk == NULL) chunk = (struct chanrt__fd *)chanrt__os_map(bytes);
        chanrt__atom_store_rel(&chanrt__fd_chunks[i], chunk); // [chunk] zeros
        pthread_mutex_unlock(&mutex);
        if (chunk == NULL) {
            *err = ENOMEM;
            return NULL;
        }
    }
    return &chunk[fd % CHANRT__FD_CHUNK];
}

static void chanrt__fd_shutdown(void) {
    for (size_t i = 0; i < CHANRT__FD_CHUNKS; i++) {
        if (chanrt__fd_chunks[i] == NULL) continue;
        chanrt__os_unmap(chanrt__fd_chunks[i], CHANRT__FD_CHUNK * sizeof(struct chanrt__fd));
        chanrt__fd_chunks[i] = NULL;
    }
}

// To be called before a look at the descriptor that may lead to a wait (F1). 0 or an error.
static int chanrt__fd_begin(struct chanrt__fd_look *look, int fd) {
    int err = 0;
    if (!CHANRT__DESCRIPTORS) return ENOSYS;
    look->d = chanrt__fd_get(fd, &err);
    if (look->d == NULL) return err;
    look->edges[0] = chanrt__atom_load_acq(&look->d->source.a_edges[0]); // [edge]
    look->edges[1] = chanrt__atom_load_acq(&look->d->source.a_edges[1]); // [edge]
    look->closes = chanrt__atom_load_acq(&look->d->a_closes); // [closes]
    return 0;
}

// Whether a read would find nothing (F4).
static inline bool chanrt__fd_empty(const struct chanrt__fd_look *look) {
    return chanrt__atom_load(&look->d->source.a_kind) == CHANRT__FD_ALIVE &&
           chanrt__atom_load(&look->d->a_drained) == look->edges[0];
}

// Has the kernel watch the descriptor in these directions from now on. 0; EPERM: it is a file,
// which is always ready; another error.
static int chanrt__fd_arm(struct chanrt__fd *d, int fd, int events) {
    int err = chanrt__sched_watch();
    struct chanrt__worker *w = chanrt__sched_self();
    if (chanrt__atom_load_acq(&d->source.fire) == NULL) { // [fire] several may do it at once
        chanrt__atom_store(&d->source.fd, fd);
        chanrt__atom_store_rel(&d->source.fire, chanrt__fd_fire); // [fire] and the number
    }
    for (int one = CHANRT_IO_READ; err == 0 && one <= CHANRT_IO_WRITE; one *= 2)
        if (events & one)
            err = chanrt__poll_arm(&d->source, one, w != NULL ? w->index : -1,
                                   w != NULL ? w->now : 0);
    return err;
}

// Under the lock: 0 if what the caller saw still holds and it may queue; else ECANCELED, or
// EAGAIN: look again.
static int chanrt__fd_check_locked(const struct chanrt__fd_look *look, int events) {
    struct chanrt__fd *d = look->d;
    if (chanrt__atom_load(&d->a_closes) != look->closes) return ECANCELED;
    if ((events & CHANRT_IO_READ) && chanrt__atom_load(&d->source.a_edges[0]) != look->edges[0])
        return EAGAIN;
    if ((events & CHANRT_IO_WRITE) && chanrt__atom_load(&d->source.a_edges[1]) != look->edges[1])
        return EAGAIN;
    return 0;
}

// 1: ready, 0: not, or minus errno.
CHANRT__NOINLINE static int chanrt__fd_ready(int fd, int events) {
#if CHANRT__DESCRIPTORS
    struct pollfd p = { fd, (short)((events & CHANRT_IO_READ ? POLLIN | POLLPRI : 0) |
                                    (events & CHANRT_IO_WRITE ? POLLOUT : 0)), 0 };
    int n;
    do n = poll(&p, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    return p.revents & POLLNVAL ? -EBADF : p.revents != 0;
#else
    (void)fd, (void)events;
    return -ENOSYS;
#endif
}

// Waits for a descriptor found not ready after `look` was begun. Returns 0: look again;
// ETIMEDOUT, ECANCELED, or what keeps the kernel from watching it.
static int chanrt__fd_wait(const struct chanrt__fd_look *look, int fd, int events,
                           int64_t deadline) {
    struct chanrt__fd *d = look->d;
    struct chanrt__wait wait;
    struct chanrt__waiter nodes[2];
    int err = chanrt__fd_arm(d, fd, events);
    if (err != 0) return err == EPERM ? 0 : err;
    bool shared = deadline != CHANRT__FOREVER || events == (CHANRT_IO_READ | CHANRT_IO_WRITE);
    chanrt__os_lock(&d->a_lock);
    err = chanrt__fd_check_locked(look, events);
    if (err != 0) {
        chanrt__os_unlock(&d->a_lock);
        return err == EAGAIN ? 0 : err;
    }
    chanrt__wait_begin(&wait, nodes, shared);
    for (int i = 0; i < 2; i++)
        if (events & (1 << i))
            chanrt__wait_enqueue(&wait, &d->queue[i], &d->a_lock, NULL, i);
    chanrt__wait_open(&wait);
    if (shared) chanrt__os_unlock(&d->a_lock);
    chanrt__sched_expect(1);
    bool woken = chanrt__wait_block(&wait, &d->a_lock, deadline, CHANRT__WAIT_IO,
                                    (void *)(intptr_t)fd);
    chanrt__sched_expect(-1);
    if (shared) {
        chanrt__os_lock(&d->a_lock);
        for (int i = 0; i < wait.count; i++)
            if (nodes[i].index != wait.chosen) chanrt__wait_leave(&nodes[i]);
        chanrt__os_unlock(&d->a_lock);
    }
    return woken ? wait.err : ETIMEDOUT;
}

// A node of a select leaves its queue for good.
static void chanrt__fd_leave(struct chanrt__waiter *n) {
    chanrt__os_lock(n->lock);
    chanrt__wait_leave(n);
    chanrt__os_unlock(n->lock);
}

// The number is about to be closed: whoever waits, or is about to, gets ECANCELED (F2).
static void chanrt__fd_cancel(struct chanrt__fd *d) {
    struct chanrt__waiter *first = NULL, *last = NULL;
    chanrt__poll_forget(&d->source);
    chanrt__os_lock(&d->a_lock);
    chanrt__atom_store_rel(&d->a_closes, chanrt__atom_load(&d->a_closes) + 1); // [closes]
    chanrt__atom_store(&d->a_plain, 0);
    for (uint32_t tries = 0; !chanrt__wait_take_all(&d->queue[0], &first, &last) ||
                             !chanrt__wait_take_all(&d->queue[1], &first, &last);) {
        chanrt__os_unlock(&d->a_lock);
        chanrt__os_back_off(&tries);
        chanrt__os_lock(&d->a_lock);
    }
    chanrt__os_unlock(&d->a_lock);
    for (struct chanrt__waiter *next; first != NULL; first = next) {
        next = first->next;
        chanrt__wait_finish(first, ECANCELED);
    }
}

// The number has been closed: whoever came to wait meanwhile looks again. It may be a new
// descriptor's by now, which arms again.
static void chanrt__fd_closed(struct chanrt__fd *d) {
    chanrt__poll_forget(&d->source);
    chanrt__fd_fire(&d->source, CHANRT_IO_READ | CHANRT_IO_WRITE);
}

//------------------------------------------------------------------------------
// >>select    Several channels at once: poll, queue and claim, leave.
//   uses    port fail atom os sched wait chan fd
//   laws    Exactly one case runs (W2). Every node queued is left again before the frame
//           is (W1). A default runs only if at one instant no channel was ready; descriptors
//           are looked at before that. Descriptors are queued before channels: who queues
//           there waits for nobody, so W3 is about channels only. A select woken by a
//           descriptor looks again (F3).
//   tests   unit/select.c spec/select.c spec/select_race.c model/select.pml
//           model/snapshot.pml
//------------------------------------------------------------------------------

enum { CHANRT__SELECT_AGAIN = INT_MIN }; // an attempt's result: begin anew
enum { CHANRT__SELECT_PLENTY = 16 };     // looks that found most ready, before a guess

CHANRT__INLINE bool chanrt__select_may(const chanrt_chan_case *k) {
    struct chanrt__chan *c = chanrt__chan_of(k->x_chan);
    if (c == NULL) return k->x_op > CHANRT_X_SEND && k->x_io;
    return k->x_op == CHANRT_X_SEND ? chanrt__chan_may_send(c) : chanrt__chan_may_recv(c);
}

// What one locked attempt left to do after the unlock.
struct chanrt__select_end {
    enum chanrt__step step;
    struct chanrt__waiter *peer;
    size_t elem;
    bool buffered;
};

CHANRT__INLINE enum chanrt__step chanrt__select_try_locked(struct chanrt__chan *c,
                                                           chanrt_chan_case *k,
                                                           const struct chanrt__wait *mine,
                                                           struct chanrt__select_end *end) {
    end->peer = NULL;
    end->elem = c->elem;
    end->buffered = c->cap != 0;
    return end->step = k->x_op == CHANRT_X_SEND
                           ? chanrt__chan_offer_locked(c, k->x_ptr, mine, &end->peer)
                           : chanrt__chan_accept_locked(c, k->x_ptr, mine, &end->peer);
}

CHANRT__INLINE void chanrt__select_settle(chanrt_chan_case *k,
                                          const struct chanrt__select_end *end) {
    bool send = k->x_op == CHANRT_X_SEND;
    if (end->peer != NULL && send) chanrt__chan_sent(end->elem, k->x_ptr, end->peer);
    if (end->peer != NULL && !send)
        chanrt__chan_received(end->elem, end->buffered, k->x_ptr, end->peer);
    if (end->step == CHANRT__STEP_CLOSED && !send && k->x_ptr != NULL)
        chanrt__chan_zero(k->x_ptr, end->elem);
    k->err = end->step == CHANRT__STEP_CLOSED ? EPIPE : 0;
}

// --- descriptors among the cases: x_ptr is the number, x_io says that it was found ready

static inline bool chanrt__select_is_io(const chanrt_chan_case *k) {
    return k->x_op > CHANRT_X_SEND;
}

static int chanrt__select_events(const chanrt_chan_case *k) {
    return k->x_op == CHANRT_X_IO_READ ? CHANRT_IO_READ : CHANRT_IO_WRITE;
}

// Looks at each, noting what a wait has to compare (F1).
static void chanrt__select_look_io(chanrt_chan_case *cases, int n) {
    for (int i = 0; i < n; i++) {
        chanrt_chan_case *k = &cases[i];
        struct chanrt__fd_look look = { NULL, { 0, 0 }, 0 }; // gcc with -flto cannot see it set
        if (!chanrt__select_is_io(k)) continue;
        int fd = (int)(intptr_t)k->x_ptr, err = chanrt__fd_begin(&look, fd);
        int ready = err != 0 ? -err : chanrt__fd_ready(fd, chanrt__select_events(k));
        k->x_io = ready != 0;
        k->err = ready < 0 ? -ready : 0;
        if (ready != 0) continue;
        k->x_version = look.edges[k->x_op == CHANRT_X_IO_WRITE];
        k->x_closes = look.closes;
    }
}

// Has the kernel watch them. Returns the first that it cannot watch, with its err, or -1.
static int chanrt__select_arm(chanrt_chan_case *cases, int n) {
    for (int i = 0; i < n; i++) {
        int err = 0, fd = (int)(intptr_t)cases[i].x_ptr;
        if (!chanrt__select_is_io(&cases[i])) continue;
        struct chanrt__fd *d = chanrt__fd_get(fd, &err);
        if (d != NULL) err = chanrt__fd_arm(d, fd, chanrt__select_events(&cases[i]));
        if (err == 0) continue;
        cases[i].err = err == EPERM ? 0 : err; // EPERM: a file, always ready
        return i;
    }
    return -1;
}

// Queues them. Returns -1; SELECT_AGAIN: something has happened since the look; or the index of
// one that was closed.
static int chanrt__select_queue_io(chanrt_chan_case *cases, int n, struct chanrt__wait *wait) {
    for (int i = 0; i < n; i++) {
        chanrt_chan_case *k = &cases[i];
        int none = 0;
        if (!chanrt__select_is_io(k)) continue;
        struct chanrt__fd *d = chanrt__fd_get((int)(intptr_t)k->x_ptr, &none);
        bool writes = k->x_op == CHANRT_X_IO_WRITE;
        struct chanrt__fd_look look = { d, { k->x_version, k->x_version }, k->x_closes };
        chanrt__os_lock(&d->a_lock);
        int err = chanrt__fd_check_locked(&look, chanrt__select_events(k));
        if (err == 0) chanrt__wait_enqueue(wait, &d->queue[writes], &d->a_lock, d, i);
        chanrt__os_unlock(&d->a_lock);
        if (err == 0) continue;
        chanrt__wait_cancel(wait);
        k->err = err;
        return err == EAGAIN ? CHANRT__SELECT_AGAIN : i;
    }
    return -1;
}

// Tries a case of a channel that looked ready.
CHANRT__INLINE enum chanrt__step chanrt__select_try(chanrt_chan_case *k) {
    struct chanrt__chan *c = chanrt__chan_of(k->x_chan);
    struct chanrt__select_end end;
    chanrt__os_lock(&c->a_lock);
    enum chanrt__step step = chanrt__select_try_locked(c, k, NULL, &end);
    chanrt__chan_unlock(c);
    if (step == CHANRT__STEP_DONE || step == CHANRT__STEP_CLOSED) chanrt__select_settle(k, &end);
    return step;
}

// The first case's channel, if there is one, counts the looks that found most cases ready. A debug
// build looks at all, always: it says at once which channel was freed.
CHANRT__INLINE bool chanrt__select_plenty(const chanrt_chan_case *cases) {
    struct chanrt__chan *first = chanrt__chan_of(cases[0].x_chan);
    return !CHANRT_DEBUG && first != NULL &&
           chanrt__atom_load(&first->a_plenty) == CHANRT__SELECT_PLENTY;
}

// Before a case is tried: once one has run, all channels may be gone (M1).
CHANRT__NOINLINE static void chanrt__select_note(const chanrt_chan_case *cases, bool most) {
    struct chanrt__chan *first = chanrt__chan_of(cases[0].x_chan);
    if (first == NULL) return;
    int before = chanrt__atom_load(&first->a_plenty), now = most ? before + 1 : 0;
    if (now != before && now <= CHANRT__SELECT_PLENTY)
        chanrt__atom_store(&first->a_plenty, (uint8_t)now);
}

// Where most are always ready, one at random is tried before all are looked at. Each ready one is
// equally likely, by this draw or, if it hit one that is not, the next. Returns which ran, or -1.
CHANRT__NOINLINE static int chanrt__select_guess(chanrt_chan_case *cases, int n) {
    int i = (int)chanrt__os_random_below(chanrt__os_self(), (uint32_t)n);
    enum chanrt__step step = CHANRT__STEP_WAIT;
    if (cases[i].x_chan != NULL && chanrt__select_may(&cases[i]))
        step = chanrt__select_try(&cases[i]);
    if (step == CHANRT__STEP_DONE || step == CHANRT__STEP_CLOSED) return i;
    chanrt__select_note(cases, false);
    return -1;
}

// Looks at all, noting what chanrt__select_same compares, and whether most are ready. Returns how
// many are; *last is one.
CHANRT__INLINE int chanrt__select_count(chanrt_chan_case *cases, int n, int *last) {
    int ready = 0;
    for (int i = 0; i < n; i++) {
        struct chanrt__chan *c = chanrt__chan_of(cases[i].x_chan);
        if (c != NULL) cases[i].x_version = chanrt__atom_load_acq(&c->a_version); // [peek]
        cases[i].x_ready = chanrt__select_may(&cases[i]);
        if (CHANRT__UNLIKELY(cases[i].x_ready)) *last = i, ready++;
    }
    if (CHANRT__UNLIKELY(ready > 1)) chanrt__select_note(cases, 2 * ready > n);
    return ready;
}

// Which of the ready cases, whose number is not 0, to try: any, or the first.
CHANRT__INLINE int chanrt__select_draw(const chanrt_chan_case *cases, int ready, bool ordered) {
    uint32_t skip = 0;
    if (ready > 1 && !ordered)
        skip = chanrt__os_random_below(chanrt__os_self(), (uint32_t)ready);
    int i = 0;
    while (!cases[i].x_ready || skip-- > 0) i++;
    return i;
}

// Whether what the poll saw was so at one instant for all: ready states are read again, and
// unchanged versions say that none was ready in between (model/snapshot.pml).
static bool chanrt__select_same(const chanrt_chan_case *cases, int n) {
    for (int i = 0; i < n && n > 1; i++) {
        struct chanrt__chan *c = chanrt__chan_of(cases[i].x_chan);
        if (c == NULL) continue;
        if (chanrt__select_may(&cases[i]) ||
            chanrt__atom_load_acq(&c->a_version) != cases[i].x_version) // [peek]
            return false;
    }
    return true;
}

// Tries the ready cases in random (or written) order. Returns the one that ran, or -1; exact: only
// if at one instant none was ready.
CHANRT__INLINE int chanrt__select_poll(chanrt_chan_case *cases, int n, bool ordered, bool exact) {
    for (uint32_t tries = 0;; chanrt__os_back_off(&tries)) {
        int i = -1, ready = chanrt__select_count(cases, n, &i);
        while (ready > 0) {
            if (ready > 1 || i < 0) i = chanrt__select_draw(cases, ready, ordered);
            if (cases[i].x_chan == NULL) return i; // a descriptor
            enum chanrt__step step = chanrt__select_try(&cases[i]);
            if (step == CHANRT__STEP_DONE || step == CHANRT__STEP_CLOSED) return i;
            if (step == CHANRT__STEP_WAIT) cases[i].x_ready = false, ready--, i = -1;
            else chanrt__os_back_off(&tries);
        }
        if (!exact || chanrt__select_same(cases, n)) return -1;
    }
}

// Puts into order[] the cases that have a channel, by the channel's address (law W3). Channels made
// one after the other mostly are in order as they are.
static int chanrt__select_sort(const chanrt_chan_case *cases, int n, int *order) {
    int count = 0;
    uintptr_t last = 0;
    bool sorted = true;
    for (int i = 0; i < n; i++) {
        uintptr_t at = (uintptr_t)cases[i].x_chan;
        if (at == 0) continue;
        sorted &= last <= at;
        last = at;
        order[count++] = i;
    }
    for (int gap = sorted ? 0 : count > 8 ? count / 2 : 1; gap > 0; gap /= 2)
        for (int i = gap; i < count; i++) {
            int moved = order[i], at = i;
            for (; at >= gap && (uintptr_t)cases[order[at - gap]].x_chan >
                                    (uintptr_t)cases[moved].x_chan; at -= gap)
                order[at] = order[at - gap];
            order[at] = moved;
        }
    return count;
}

// A case of the channel c, whose lock is held, may be ready. Returns the index of one that was;
// -1, with the lock held: none was after all; CHANRT__SELECT_AGAIN. An ordered select takes none
// here, where channels come by address: it looks at all of them again.
CHANRT__NOINLINE static int chanrt__select_take_unlock(struct chanrt__chan *c,
                                                       chanrt_chan_case *cases,
                                                       struct chanrt__wait *wait, const int *order,
                                                       int count, bool ordered) {
    for (uint32_t tries = 0;; chanrt__os_back_off(&tries), chanrt__os_lock(&c->a_lock)) {
        struct chanrt__select_end end = { .step = CHANRT__STEP_WAIT };
        int k = 0;
        for (; k < count && end.step == CHANRT__STEP_WAIT; k++) {
            if (ordered && chanrt__select_may(&cases[order[k]])) {
                chanrt__chan_unlock(c);
                chanrt__wait_cancel(wait);
                return CHANRT__SELECT_AGAIN;
            }
            chanrt__select_try_locked(c, &cases[order[k]], wait, &end);
        }
        if (end.step == CHANRT__STEP_WAIT) return -1;
        chanrt__chan_unlock(c);
        if (end.step == CHANRT__STEP_AGAIN) continue;
        chanrt__wait_cancel(wait);
        chanrt__select_settle(&cases[order[k - 1]], &end);
        return order[k - 1];
    }
}

// Tries and, if none is ready, queues the cases order[0..count), which are all those of one
// channel, under one lock. Returns as chanrt__select_take_unlock, -1 with the lock released; the
// last channel's lock is where the wait is opened to wakers.
CHANRT__INLINE int chanrt__select_queue_one(chanrt_chan_case *cases, struct chanrt__wait *wait,
                                            const int *order, int count, bool last, bool ordered) {
    struct chanrt__chan *c = chanrt__chan_of(cases[order[0]].x_chan);
    bool ready = false;
    chanrt__os_lock(&c->a_lock);
    for (int k = 0; k < count; k++) ready |= chanrt__select_may(&cases[order[k]]);
    if (CHANRT__UNLIKELY(ready)) {
        int won = chanrt__select_take_unlock(c, cases, wait, order, count, ordered);
        if (won != -1) return won;
    }
    for (int k = 0; k < count; k++) {
        const chanrt_chan_case *one = &cases[order[k]];
        chanrt__wait_enqueue(wait, one->x_op == CHANRT_X_SEND ? &c->sendq : &c->recvq, &c->a_lock,
                             one->x_ptr, order[k]);
    }
    chanrt__chan_changed(c);
    if (last) chanrt__wait_open(wait);
    chanrt__chan_unlock(c);
    return -1;
}

// The same for every channel in turn.
static int chanrt__select_queue(chanrt_chan_case *cases, struct chanrt__wait *wait,
                                const int *order, int count, bool ordered) {
    if (count == 0) chanrt__wait_open(wait);
    for (int from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count; to++)
            if (cases[order[to]].x_chan != cases[order[from]].x_chan) break;
        int won = chanrt__select_queue_one(cases, wait, order + from, to - from, to == count,
                                           ordered);
        if (won != -1) return won;
    }
    return -1;
}

// Queues, blocks, and leaves the cases that did not win.
static int chanrt__select_block(chanrt_chan_case *cases, int n, int64_t deadline, bool ordered,
                                bool io) {
    struct chanrt__waiter fixed[CHANRT_X_CASES], *nodes = fixed;
    int fixed_order[CHANRT_X_CASES] = { 0 }, *order = fixed_order;
    if (n > CHANRT_X_CASES) {
        nodes = (struct chanrt__waiter *)CHANRT_MALLOC((size_t)n * (sizeof *nodes + sizeof *order));
        if (nodes == NULL) return -ENOMEM;
        order = (int *)(void *)(nodes + n);
    }
    struct chanrt__wait wait;
    chanrt__wait_begin(&wait, nodes, true);
    wait.allocated = nodes != fixed;
    int count = chanrt__select_sort(cases, n, order);
    int won = io ? chanrt__select_queue_io(cases, n, &wait) : -1;
    if (won == -1) won = chanrt__select_queue(cases, &wait, order, count, ordered);
    bool found = won != -1;
    if (io && !found) chanrt__sched_expect(1);
    if (!found && chanrt__wait_block(&wait, NULL, deadline,
                                     count > 0 || io ? CHANRT__WAIT_SELECT
                                                     : CHANRT__WAIT_SELECT_NONE,
                                     n == 1 ? (const void *)(uintptr_t)cases[0].x_chan : NULL)) {
        won = wait.chosen;
        cases[won].err = wait.err;
    }
    if (io && !found) chanrt__sched_expect(-1);
    for (int i = 0; i < wait.count; i++) {
        const chanrt_chan_case *k = &cases[nodes[i].index];
        if (!found && nodes[i].index == wait.chosen) continue;
        if (chanrt__select_is_io(k)) chanrt__fd_leave(&nodes[i]);
        else chanrt__chan_leave(chanrt__chan_of(k->x_chan), &nodes[i]);
    }
    if (found) chanrt__wait_cancelled(&wait);
    if (nodes != fixed) CHANRT_FREE(nodes);
    bool look = io && !found && won >= 0 && chanrt__select_is_io(&cases[won]) && wait.err == 0;
    return look ? (int)CHANRT__SELECT_AGAIN : won; // F3
}

// Looks at all, and waits until one is ready or the time is up.
CHANRT__NOINLINE static int chanrt__select_look(chanrt_chan_case *cases, int n, int64_t timeout,
                                                bool ordered, bool io) {
    int64_t deadline = CHANRT__FOREVER;
    for (uint32_t tries = 0;; chanrt__os_back_off(&tries)) {
        if (io) chanrt__select_look_io(cases, n);
        int i = chanrt__select_poll(cases, n, ordered, timeout == 0);
        if (i >= 0 || timeout == 0) return i;
        // The clock is read once it matters: a ready case needs none.
        if (timeout > 0 && deadline == CHANRT__FOREVER) deadline = chanrt__os_deadline(timeout);
        i = io ? chanrt__select_arm(cases, n) : -1; // before others can meet the wait
        if (i < 0) i = chanrt__select_block(cases, n, deadline, ordered, io);
        if (i != CHANRT__SELECT_AGAIN) return i;
    }
}

static int chanrt__select_attempt(chanrt_chan_case *cases, int n, int64_t timeout, bool ordered,
                                  bool io) {
    if (n > 1 && CHANRT__UNLIKELY(chanrt__select_plenty(cases)) && !ordered && !io) {
        int i = chanrt__select_guess(cases, n);
        if (i >= 0) return i;
    }
    return chanrt__select_look(cases, n, timeout, ordered, io);
}

// The same in the deterministic mode, out of the way of the others, and without a guess: a channel
// that outlives a run would bring one into the next.
CHANRT__NOINLINE static int chanrt__select_run_drawn(chanrt_chan_case *cases, int n,
                                                     int64_t timeout, bool ordered, bool io) {
    chanrt__sched_point();
    int i = chanrt__select_look(cases, n, timeout, ordered, io);
    chanrt__sched_point();
    return i;
}

static int chanrt__select_run(chanrt_chan_case *cases, int n, int64_t timeout, bool ordered,
                              bool io) {
    if (chanrt__sched_drawn()) return chanrt__select_run_drawn(cases, n, timeout, ordered, io);
    return chanrt__select_attempt(cases, n, timeout, ordered, io);
}

CHANRT_API int chanrt_chan_select_n(chanrt_chan_case *cases, int n, int64_t timeout) {
    if (n < 0 || (cases == NULL && n > 0)) return -EINVAL;
    bool io = false;
    for (int i = 0; i < n; i++) io |= chanrt__select_is_io(&cases[i]);
    return chanrt__select_run(cases, n, timeout, false, io);
}

// One operation with a timeout that has to wait is a select of one case: chanrt__select_block, in a
// straight line.
static int chanrt__select_one(const volatile void *ch, void *ptr, int op, int64_t ns) {
    chanrt_chan_case one = { .x_chan = ch, .x_ptr = ptr, .x_op = op };
    const int order = 0;
    struct chanrt__waiter node;
    struct chanrt__wait wait;
    chanrt__sched_point();
    int64_t deadline = chanrt__os_deadline(ns);
    chanrt__wait_begin(&wait, &node, true);
    int err = ETIMEDOUT;
    if (chanrt__select_queue_one(&one, &wait, &order, 1, true, false) == 0) {
        chanrt__wait_cancelled(&wait);
        err = one.err;
    } else if (chanrt__wait_block(&wait, NULL, deadline, CHANRT__WAIT_SELECT,
                                  (const void *)(uintptr_t)ch)) {
        err = wait.err;
    } else {
        chanrt__chan_leave(chanrt__chan_of(ch), &node);
    }
    chanrt__sched_point();
    return err;
}

CHANRT_API int chanrt_x_chan_send_timeout(const volatile void *ch, const void *value, int64_t ns) {
    int err = ns < 0 ? chanrt_x_chan_send(ch, value) : chanrt_x_chan_try_send(ch, value);
    if (err != EAGAIN) return err;
    if (ns == 0) return ETIMEDOUT;
    return chanrt__select_one(ch, (void *)(uintptr_t)value, CHANRT_X_SEND, ns);
}

CHANRT_API int chanrt_x_chan_recv_timeout(const volatile void *ch, void *ptr, int64_t ns) {
    int err = ns < 0 ? chanrt_x_chan_recv(ch, ptr) : chanrt_x_chan_try_recv(ch, ptr);
    if (err != EAGAIN) return err;
    return ns == 0 ? ETIMEDOUT : chanrt__select_one(ch, ptr, CHANRT_X_RECV, ns);
}

// What the block form took from the allocator, newest first.
struct chanrt__select_heap {
    struct chanrt__select_heap *next;
    long double bytes[];
};

CHANRT_API void *chanrt_x_select_space(struct chanrt_x_select *s, size_t size) {
    struct chanrt__select_heap *h = NULL;
    if (size < SIZE_MAX - sizeof *h)
        h = (struct chanrt__select_heap *)CHANRT_MALLOC(sizeof *h + size);
    if (h == NULL)
        chanrt__fail_stop("chan_select: no memory for %d cases and a value of %zu bytes",
                          s->count + 1, size);
    h->next = (struct chanrt__select_heap *)s->heap;
    s->heap = h;
    return h->bytes;
}

// Called with the cases so far full: at 8, 16, 32, ...
CHANRT_API int chanrt_x_select_grow(struct chanrt_x_select *s) {
    size_t n = (size_t)s->count;
    if ((n & (n - 1)) != 0) return 0;
    chanrt_chan_case *more =
        (chanrt_chan_case *)chanrt_x_select_space(s, 2 * n * sizeof *more);
    memcpy(more, s->cases, n * sizeof *more);
    s->cases = more;
    return 0;
}

CHANRT_API int chanrt_x_select_run(struct chanrt_x_select *s) {
    bool waits = s->default_place < 0;
    int i = chanrt__select_run(s->cases, s->count, waits ? s->timeout : 0, s->ordered, s->io);
    if (i == -ENOMEM) chanrt__fail_stop("chan_select: no memory for %d cases", s->count);
    s->chosen = i >= 0 ? s->cases[i].x_place : waits ? s->timeout_place : s->default_place;
    s->err = i >= 0 ? s->cases[i].err : 0;
    s->running = true;
    s->place = 0;
    while (s->heap != NULL) {
        struct chanrt__select_heap *h = (struct chanrt__select_heap *)s->heap;
        s->heap = h->next;
        CHANRT_FREE(h);
    }
    return 1;
}

//------------------------------------------------------------------------------
// >>timer    Timers as channels of one instant, or as tasks to come.
//   uses    port fail atom os ctx list task sched wait chan
//   owns    struct chanrt_chan_timer
//   lock    the timer heap's, then the timer's channel: the only order of two locks
//   laws    After stop or reset no earlier instant can be received: firing puts the
//           instant into the channel under the heap's lock, stopping takes it out after.
//   tests   unit/timer.c spec/time.c
//------------------------------------------------------------------------------

struct chanrt_chan_timer {     // one with a channel lies behind its ring
    struct chanrt__node node; // first, so that fire finds the rest
    struct chanrt__chan *chan;
    int64_t period;           // of a ticker, else 0
    void (*fn)(void *);       // of timer_func
    void *arg;
    struct chanrt__task *task; // ready to be spawned, so that firing cannot fail
    uint64_t epoch;           // the start of the runtime the task's record belongs to
};

// Puts the instant where a receiver finds it; full means a slow reader, who loses it. Called under
// the heap's lock: whoever is BUSY here never wants that lock before it is OPEN.
static uintptr_t chanrt__timer_deliver(struct chanrt__chan *c, int64_t now) {
    struct chanrt__waiter *peer = NULL;
    enum chanrt__step step;
    uint32_t tries = 0;
    chanrt__os_lock_inner(&c->a_lock);
    while ((step = chanrt__chan_offer_locked(c, &now, NULL, &peer)) == CHANRT__STEP_AGAIN) {
        chanrt__os_unlock(&c->a_lock);
        chanrt__os_back_off(&tries);
        chanrt__os_lock_inner(&c->a_lock);
    }
    chanrt__chan_unlock(c);
    if (step != CHANRT__STEP_DONE || peer == NULL) return 0;
    struct chanrt__wait *wait = peer->wait;
    if (peer->ptr != NULL) memcpy(peer->ptr, &now, sizeof now);
    wait->chosen = peer->index;
    return wait->owner; // its err is 0 since chanrt__wait_begin
}

// Fires under the heap's lock, on a worker.
static uintptr_t chanrt__timer_fire(struct chanrt__node *n, int64_t now) {
    struct chanrt_chan_timer *t = (struct chanrt_chan_timer *)n;
    if (t->period > 0) { // the next multiple that is still to come: no drift, no burst
        int64_t late = (now - n->when) / t->period;
        if (n->when < CHANRT__FOREVER - 1 - (late + 1) * t->period) {
            n->when += (late + 1) * t->period;
            chanrt__sched_rearm_locked(n);
        }
    }
    if (t->chan != NULL) return chanrt__timer_deliver(t->chan, now);
    struct chanrt__task *task = t->task;
    t->task = NULL;
    if (task == NULL || t->epoch != chanrt__pool.epoch) return 0;
    return chanrt__sched_launch_fired(task);
}

// A task record for the next firing. False: no memory.
static bool chanrt__timer_prepare(struct chanrt_chan_timer *t) {
    static const chanrt_x_site site = { "timer_func", "(timer)", 0 };
    if (t->fn == NULL || (t->task != NULL && t->epoch == chanrt__pool.epoch)) return true;
    t->task = NULL; // before the epoch: two may reset it at once
    t->epoch = chanrt__pool.epoch;
    t->task = chanrt__sched_make_call(&site, t->fn, t->arg);
    return t->task != NULL;
}

static void chanrt__timer_arm(struct chanrt_chan_timer *t, int64_t ns) {
    if (t->task != NULL) chanrt__atom_grant(t->task);
    t->node.fire = chanrt__timer_fire;
    chanrt__sched_arm(&t->node, chanrt__os_deadline(ns > 0 ? ns : 0));
}

static struct chanrt_chan_timer *chanrt__timer_new(int64_t ns, int64_t period, void (*fn)(void *),
                                              void *arg) {
    if (chanrt__sched_self() == NULL && chanrt__sched_ensure() != 0) return NULL;
    struct chanrt__chan *c = NULL;
    struct chanrt_chan_timer *t;
    const size_t instant = sizeof(int64_t);
    if (fn == NULL) {
        c = chanrt__chan_make(instant, CHANRT__ALIGNOF(int64_t), 1, sizeof *t);
        t = c != NULL ? (struct chanrt_chan_timer *)(void *)(c->ring + instant) : NULL;
    } else {
        t = (struct chanrt_chan_timer *)CHANRT_MALLOC(sizeof *t);
    }
    if (t == NULL) return NULL;
    chanrt__os_clear(t, sizeof *t);
    t->chan = c;
    t->period = period;
    t->fn = fn;
    t->arg = arg;
    if (!chanrt__timer_prepare(t)) {
        CHANRT_FREE(t);
        return NULL;
    }
    chanrt__timer_arm(t, ns);
    return t;
}

// Disarms, and takes back an instant nobody has received yet. What was ever delivered, under the
// heap's lock, is seen after it.
static bool chanrt__timer_disarm(struct chanrt_chan_timer *t) {
    bool pending = chanrt__sched_disarm(&t->node);
    struct chanrt__chan *c = t->chan;
    if (c == NULL || chanrt__atom_load(&c->a_count) == 0) return pending;
    chanrt__os_lock(&c->a_lock);
    if (c->a_count != 0) {
        chanrt__chan_pull(c);
        pending = true;
    }
    chanrt__chan_unlock(c);
    return pending;
}

// Frees a channel; chan_after's takes its timer along.
CHANRT_API void chanrt_x_chan_free(const volatile void *ch) {
    struct chanrt__chan *c = chanrt__chan_of(ch);
    if (c == NULL) return;
    chanrt__sched_point();
    if (!chanrt__chan_drop(c)) return;
    if (c->timer == NULL && c->freed == NULL && chanrt__chan_end(c)) return;
    chanrt__atom_store(&c->a_refs, 1); // closing may take and drop one, which is not to be the last
    chanrt__chan_close(c);
    if (c->timer != NULL) chanrt__sched_disarm(&c->timer->node);
    if (c->freed != NULL) c->freed(c);
    chanrt__chan_free(c);
}

CHANRT_API chanrt_chan_receiver(int64_t) chanrt_chan_after(int64_t ns) {
    struct chanrt_chan_timer *t = chanrt__timer_new(ns, 0, NULL, NULL);
    if (t == NULL) return NULL;
    t->chan->timer = t;
    return (chanrt_chan_receiver(int64_t))(void *)t->chan;
}

CHANRT_API chanrt_chan_timer *chanrt_timer_make(int64_t ns) {
    return chanrt__timer_new(ns, 0, NULL, NULL);
}

CHANRT_API chanrt_chan_timer *chanrt_ticker_make(int64_t period) {
    return period > 0 ? chanrt__timer_new(period, period, NULL, NULL) : NULL;
}

CHANRT_API chanrt_chan_timer *chanrt_timer_func(int64_t ns, void (*fn)(void *), void *arg) {
    return fn != NULL ? chanrt__timer_new(ns, 0, fn, arg) : NULL;
}

CHANRT_API chanrt_chan_receiver(int64_t) chanrt_timer_chan(chanrt_chan_timer *t) {
    return t != NULL ? (chanrt_chan_receiver(int64_t))(void *)t->chan : NULL;
}

CHANRT_API bool chanrt_timer_stop(chanrt_chan_timer *t) {
    if (t == NULL) return false;
    chanrt__sched_point();
    return chanrt__timer_disarm(t);
}

CHANRT_API bool chanrt_timer_reset(chanrt_chan_timer *t, int64_t ns) {
    if (t == NULL || (t->period > 0 && ns <= 0)) return false;
    chanrt__sched_point();
    bool pending = chanrt__timer_disarm(t);
    if (t->period > 0) t->period = ns;
    if ((chanrt__sched_self() == NULL && chanrt__sched_ensure() != 0) || !chanrt__timer_prepare(t))
        chanrt__fail_stop("timer_reset: no memory to arm the timer again");
    chanrt__timer_arm(t, ns);
    return pending;
}

CHANRT_API void chanrt_timer_free(chanrt_chan_timer *t) {
    if (t == NULL) return;
    chanrt__sched_point();
    if (t->node.armed) chanrt__timer_disarm(t); // else stopped, and nothing is left of it
    if (t->chan != NULL) {
        chanrt_x_chan_free(t->chan); // and with it t, if nobody else refers to it
        return;
    }
    if (t->task != NULL && t->epoch == chanrt__pool.epoch)
        chanrt__sched_discard(chanrt__sched_self(), t->task);
    CHANRT_FREE(t);
}

//------------------------------------------------------------------------------
// >>wg    Wait groups: a count and a queue.
//   uses    port atom os task sched wait
//   owns    the private fields of chanrt_waitgroup
//   lock    a_lock; its release is the last touch of the group, so a waiter may free it
//   not     one atomic word for count and waiters: add is one locked instruction either
//           way, and reuse while earlier waiters leave needs the queue swapped with it
//   tests   unit/wg.c spec/waitgroup.c model/waiter_free.pml
//------------------------------------------------------------------------------

CHANRT_API int chanrt_wg_add(chanrt_waitgroup *wg, int n) {
    if (wg == NULL) return EINVAL;
    chanrt__sched_point();
    struct chanrt__waiter *first = NULL, *last = NULL;
    chanrt__os_lock(&wg->a_lock);
    {
        if (n < 0) chanrt__atom_grant(&wg->x_count);
        int64_t count = wg->x_count + n;
        if (count < 0 || count > INT32_MAX) {
            chanrt__os_unlock(&wg->a_lock);
            return EINVAL;
        }
        wg->x_count = count;
        if (count == 0 && wg->x_queue.a_first != NULL)
            chanrt__wait_take_all(&wg->x_queue, &first, &last); // no select: never busy
    }
    chanrt__os_unlock(&wg->a_lock);
    if (first == NULL) return 0;
    for (struct chanrt__waiter *next; first != NULL; first = next) {
        next = first->next;
        chanrt__wait_finish(first, 0);
    }
    chanrt__sched_point();
    return 0;
}

CHANRT_API int chanrt_wg_done(chanrt_waitgroup *wg) {
    return chanrt_wg_add(wg, -1);
}

CHANRT_API int chanrt_wg_wait_timeout(chanrt_waitgroup *wg, int64_t ns) {
    if (wg == NULL) return EINVAL;
    chanrt__sched_point();
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    int64_t deadline = ns > 0 ? chanrt__os_deadline(ns) : CHANRT__FOREVER;
    chanrt__os_lock(&wg->a_lock);
    if (wg->x_count == 0 || ns == 0) {
        bool zero = wg->x_count == 0;
        if (zero) chanrt__atom_take(&wg->x_count);
        chanrt__os_unlock(&wg->a_lock);
        return zero ? 0 : ETIMEDOUT;
    }
    chanrt__wait_begin(&wait, &node, ns > 0);
    chanrt__wait_enqueue(&wait, &wg->x_queue, &wg->a_lock, NULL, 0);
    chanrt__wait_open(&wait);
    if (ns > 0) chanrt__os_unlock(&wg->a_lock);
    if (chanrt__wait_block(&wait, &wg->a_lock, deadline, CHANRT__WAIT_GROUP, wg)) {
        chanrt__atom_take(&wg->x_count);
        return 0;
    }
    chanrt__os_lock(&wg->a_lock);
    chanrt__wait_leave(&node);
    chanrt__os_unlock(&wg->a_lock);
    return ETIMEDOUT;
}

CHANRT_API void chanrt_wg_wait(chanrt_waitgroup *wg) {
    chanrt_wg_wait_timeout(wg, -1);
}

static void chanrt__wg_end(void *object, int result) {
    (void)result;
    chanrt_wg_add((chanrt_waitgroup *)object, -1);
}

CHANRT_API int chanrt_x_wg_begin(chanrt_waitgroup *wg, chanrt_x_how *how) {
    how->end = chanrt__wg_end;
    how->object = wg;
    return chanrt_wg_add(wg, 1);
}

CHANRT_API int chanrt_x_wg_undo(const chanrt_x_how *how, int err) {
    if (err != 0) chanrt_wg_add((chanrt_waitgroup *)how->object, -1);
    return err;
}

//------------------------------------------------------------------------------
// >>sync    Mutexes, conditions, semaphores: a word each, and who waits for it to change.
//   uses    port atom os task sched wait held
//   owns    the private fields of the chanrt_sync types, the lots
//   lock    a lot's a_lock, chosen by the object's address, guards the queues of the objects in
//           it. It is not in the object, so that the last touch of an object is the change of
//           its word: whoever takes it over from there may free it (M1).
//   laws    L1 a mutex has a queue: its lot is not quiet and lists it. So an unlock that stores
//           plainly, and then sees its lot still quiet, has nobody to wake: the lot was made
//           unquiet, then every thread executed a fence, and the waiter looked at the word after
//           that (model/mutex.pml). [mutex]
//           L2 WOKEN: a waiter taken from the queue is on its way to try again; HANDOFF: one has
//           tried in vain for a millisecond, and the mutex goes from hand to hand, LOCKED.
//           L3 a rwmutex or semaphore that is QUEUED changes only under its lot's lock.
//           L4 a rwmutex read, or free: no reader waits unless a writer waits before it.
//           L5 a rwmutex that is not SHARED has one party at a time, in a_alone, READER or LOCKED;
//           one that is SHARED counts everybody in a_state. Who takes a_alone looks at
//           a_state after that, and gives it back if it is not 0; who shares says so there, makes
//           every thread execute a fence, and then counts whom it sees in a_alone, ALONE. So who
//           has it may leave with a plain store of 0. ALONE: one of those counted may do so. He
//           finds the lot unquiet if it lists the rwmutex, which it does while somebody waits as
//           well; else he stays counted until somebody finds a_alone 0 (model/rwmutex.pml). [alone]
//           L6 a_alone is stored 0 by who took it, or for him by the last one counted: SHARED and
//           not ALONE, it is 0, but for those who took it too late and are about to give it back.
//           So who is in, the only one, may leave a SHARED rwmutex with a_state 0, under the lot's
//           lock. He does where sharing is dear, so many having failed to change the word as
//           a_bears says: twice as many each time that it was of no use. x_unshared tells those
//           who were about to share it: their fence was before.
//   not     releasing a mutex with a locked instruction as well: 11.8 ns the pair instead of
//           5.6 (EPYC), for a heavy fence of 0.2 to 0.4 us when a quiet lot is woken up;
//           waiters found by address alone, like a futex's: a queue of 100,000 would be searched
//           by every neighbour in its lot; counting a rwmutex's readers per worker: a stray
//           runlock could not be told any more; an only reader who marks his worker while he
//           leaves: who joins him has to look at all workers, and wait for who is marked;
//           standing aside before a mutex: no gain, its unlocks are slow while somebody waits
//   tests   unit/sync.c unit/rwmutex.c spec/mutex.c spec/rwmutex.c spec/once.c spec/cond.c
//           spec/sem.c stress/locks.c model/mutex.pml model/rwmutex.pml model/cond.pml
//
//   mutex:   0 --lock--> LOCKED --unlock, nobody waits--> 0
//                          \--unlock, one is woken--> WOKEN --by him or who overtakes--> LOCKED
//                          \--HANDOFF set: unlock--> LOCKED, by the first in the queue
//------------------------------------------------------------------------------

enum { CHANRT__SYNC_WOKEN = 2, CHANRT__SYNC_HANDOFF = 4 };
enum {
    CHANRT__SYNC_SPINS = 4,          // looks at a locked mutex before waiting, with more than one
    CHANRT__SYNC_PAUSES = 30,        // worker; pauses between two
    CHANRT__SYNC_GLANCE = 24,        // pauses, to see who has a rwmutex to himself:
    CHANRT__SYNC_QUICK = 16,         // so many come and go meanwhile: they are quick
    CHANRT__SYNC_ASIDE = 240,        // pauses to stand aside then (8 us on an EPYC)
    CHANRT__SYNC_TURNS = 8,          // times to do so before sharing it all the same
    CHANRT__SYNC_PATIENCE = 4,       // failed changes of its word until it is unshared, then more
    CHANRT__SYNC_QUIET_AFTER = 1024  // unlocks of a lot in which nobody waits until it is quiet
};
static const int64_t chanrt__sync_starved = 1000000; // ns a mutex may be overtaken

#ifndef CHANRT_STATIC
uint32_t chanrt_x_sync_quiet[CHANRT_X_LOTS]; // read by unlocks without the lot's lock
#endif
static struct chanrt__sync_lot {
    uint32_t a_lock;
    uint32_t unneeded;         // unlocks in a row that had nobody to wake
    uint32_t quiets, fenced;   // how often it became quiet; up to which a fence has ended since
    chanrt_sync_mutex *first;  // the mutexes that have a queue
    chanrt_sync_rwmutex *rws;  // the rwmutexes that are ALONE and have one
} CHANRT__ALIGNED(64) chanrt__sync_lots[CHANRT_X_LOTS];

static inline struct chanrt__sync_lot *chanrt__sync_lot_of(const void *object) {
    return &chanrt__sync_lots[chanrt_x_sync_lot(object)];
}

static inline uint32_t *chanrt__sync_lock_of(const void *object) {
    return &chanrt__sync_lot_of(object)->a_lock;
}

// Queues the caller, who holds the lot's lock, and blocks. True: woken, wait->err says with what.
// False: the deadline has passed, and the node has yet to leave.
static bool chanrt__sync_wait_unlock(struct chanrt__wait *wait, struct chanrt__waiter *node,
                                     struct chanrt_x_queue *q, void *ptr, int64_t deadline,
                                     enum chanrt__reason reason, const void *object) {
    uint32_t *lock = chanrt__sync_lock_of(object);
    bool timed = deadline != CHANRT__FOREVER;
    chanrt__wait_begin(wait, node, timed);
    chanrt__wait_enqueue(wait, q, lock, ptr, 0);
    chanrt__wait_open(wait);
    if (timed) chanrt__os_unlock(lock);
    return chanrt__wait_block(wait, lock, deadline, reason, object);
}

// Makes all of a list of taken waiters ready.
static void chanrt__sync_finish_all(struct chanrt__waiter *first) {
    for (struct chanrt__waiter *next; first != NULL; first = next) {
        next = first->next; // gone once its owner is ready
        chanrt__wait_finish(first, 0);
    }
}

// The deadline of a wait that has to be made; false: there is no time at all.
static bool chanrt__sync_deadline(int64_t ns, int64_t *deadline) {
    *deadline = ns > 0 ? chanrt__os_deadline(ns) : CHANRT__FOREVER;
    return ns != 0;
}

// The caller has the object now, with all that was done before it was given away.
static inline int chanrt__sync_taken(uint32_t *word) {
    chanrt__atom_take(word);
    return 0;
}

// --- mutexes

// After nodes have left the queue: the lot lists m only while it has any (L1).
static void chanrt__sync_mutex_settle_locked(chanrt_sync_mutex *m) {
    if (m->x_queue.a_first != NULL) return;
    chanrt_sync_mutex **at = &chanrt__sync_lot_of(m)->first;
    while (*at != NULL && *at != m) at = &(*at)->x_next;
    if (*at == m) *at = m->x_next;
}

static struct chanrt__waiter *chanrt__sync_mutex_take_locked(chanrt_sync_mutex *m) {
    struct chanrt__waiter *n = NULL;
    if (m->x_queue.a_first == NULL) return NULL;
    chanrt__wait_take(&m->x_queue, NULL, &n); // no select: never busy
    chanrt__sync_mutex_settle_locked(m);
    return n;
}

// Locks m if nobody has it. Whoever was woken for it is no longer on his way.
static inline bool chanrt__sync_mutex_try(chanrt_sync_mutex *m, bool woken) {
    uint32_t s = chanrt__atom_load(&m->a_state);
    uint32_t kept = ~(woken ? (uint32_t)CHANRT__SYNC_WOKEN : 0u);
    while (!(s & CHANRT_X_LOCKED)) {
        if (chanrt__atom_cas_acqrel(&m->a_state, s, (s | CHANRT_X_LOCKED) & kept)) // [mutex]
            return true;
        s = chanrt__atom_load(&m->a_state);
    }
    return false;
}

// Whether looking again and again may help: the holder runs at the same time.
static inline bool chanrt__sync_may_spin(void) {
    return chanrt__atom_load(&chanrt__pool.a_cpus) > 1 &&
           (chanrt__sched_self() == NULL || chanrt__pool.count > 1);
}

static void chanrt__sync_pause(uint32_t n) {
    while (n-- > 0) chanrt__atom_pause();
}

static bool chanrt__sync_mutex_spin(chanrt_sync_mutex *m, bool woken) {
    for (int i = 0; i < CHANRT__SYNC_SPINS; i++) {
        if (chanrt__sync_mutex_try(m, woken)) return true;
        chanrt__sync_pause(CHANRT__SYNC_PAUSES);
    }
    return false;
}

// The lot's lock held: the lot is no longer quiet, and every thread was fenced since it was, by the
// caller or by somebody else: that is why an unlock needs none (model/mutex.pml, BUG_TRUST).
// fence: by the caller in any case. Lets go of the lock in between.
static void chanrt__sync_rouse_locked(const void *object, bool fence) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(object);
    uint32_t *quiet = &chanrt_x_sync_quiet[chanrt_x_sync_lot(object)];
    lot->unneeded = 0;
    while (CHANRT__UNLIKELY(fence || chanrt__atom_load(quiet) != 0 ||
                            lot->quiets != lot->fenced)) {
        uint32_t upto = lot->quiets;
        fence = false;
        chanrt__atom_store(quiet, 0);
        chanrt__os_unlock(&lot->a_lock);
        chanrt__os_heavy_fence(); // who unlocks has stored the word, or will see the lot unquiet
        chanrt__os_lock(&lot->a_lock);
        if (lot->quiets == upto) lot->fenced = upto;
    }
}

// Under the lot's lock: says in the word that the caller is about to queue again, and whether it
// has waited for too long. False: m is free now.
static bool chanrt__sync_mutex_note_locked(chanrt_sync_mutex *m, bool woken, bool starved) {
    for (;;) {
        uint32_t s = chanrt__atom_load(&m->a_state), t = s;
        if (!(s & CHANRT_X_LOCKED)) return false;
        if (woken) t &= ~(uint32_t)CHANRT__SYNC_WOKEN;
        if (starved) t |= CHANRT__SYNC_HANDOFF;
        if (s == t || chanrt__atom_cas_acqrel(&m->a_state, s, t)) return true; // [mutex]
    }
}

// Queues the caller, the lot's lock held, in front if it was woken once already, and blocks.
static bool chanrt__sync_mutex_queue_unlock(chanrt_sync_mutex *m, struct chanrt__wait *wait,
                                            struct chanrt__waiter *node, bool again,
                                            int64_t *since, int64_t deadline) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(m);
    bool timed = deadline != CHANRT__FOREVER;
    if (m->x_queue.a_first == NULL) {
        m->x_next = lot->first;
        lot->first = m;
    }
    chanrt__wait_begin(wait, node, timed);
    if (again) chanrt__wait_enqueue_first(wait, &m->x_queue, &lot->a_lock, since);
    else chanrt__wait_enqueue(wait, &m->x_queue, &lot->a_lock, since, 0);
    chanrt__wait_open(wait);
    if (timed) chanrt__os_unlock(&lot->a_lock);
    return chanrt__wait_block(wait, &lot->a_lock, deadline, CHANRT__WAIT_MUTEX, m);
}

CHANRT__NOINLINE static int chanrt__sync_mutex_wait(chanrt_sync_mutex *m, int64_t deadline) {
    int64_t since = chanrt_now();
    bool woken = false, starved = false;
    for (;;) {
        struct chanrt__wait wait;
        struct chanrt__waiter node;
        chanrt__os_lock(chanrt__sync_lock_of(m));
        chanrt__sync_rouse_locked(m, false);
        if (!chanrt__sync_mutex_note_locked(m, woken, starved)) {
            chanrt__os_unlock(chanrt__sync_lock_of(m));
            if (chanrt__sync_mutex_try(m, woken)) return 0;
            continue;
        }
        if (!chanrt__sync_mutex_queue_unlock(m, &wait, &node, woken, &since, deadline)) {
            chanrt__os_lock(chanrt__sync_lock_of(m));
            chanrt__wait_leave(&node);
            chanrt__sync_mutex_settle_locked(m);
            chanrt__os_unlock(chanrt__sync_lock_of(m));
            return ETIMEDOUT;
        }
        if (wait.err == 0) return 0; // handed over
        woken = true;
        if (chanrt__sync_mutex_try(m, true)) return 0;
        starved = chanrt_now() - since > chanrt__sync_starved;
    }
}

static int chanrt__sync_mutex_lock(chanrt_sync_mutex *m, int64_t ns) {
    int64_t deadline;
    if (chanrt__sync_mutex_try(m, false)) return chanrt__sync_taken(&m->a_state);
    if (!chanrt__sync_deadline(ns, &deadline)) return ETIMEDOUT;
    if (chanrt__sync_may_spin() && chanrt__sync_mutex_spin(m, false))
        return chanrt__sync_taken(&m->a_state);
    int err = chanrt__sync_mutex_wait(m, deadline);
    return err == 0 ? chanrt__sync_taken(&m->a_state) : err;
}

CHANRT_API int chanrt_x_mutex_lock(chanrt_sync_mutex *m, int64_t ns) {
    if (m == NULL) return EINVAL;
    chanrt__sched_point();
    CHANRT__IF_DEBUG(if (ns < 0) chanrt__held_want(m);)
    int err = chanrt__sync_mutex_lock(m, ns);
    CHANRT__IF_DEBUG(if (err == 0) chanrt__held_got(m, false);)
    chanrt__sched_point(); // inside: others may find it locked
    return err;
}

// What the word becomes when n, who waited, gets the mutex: the one after him may be starved, too.
static uint32_t chanrt__sync_mutex_after_locked(const chanrt_sync_mutex *m, uint32_t s) {
    const struct chanrt__waiter *next = m->x_queue.a_first;
    s &= ~(uint32_t)CHANRT__SYNC_HANDOFF;
    if (next != NULL && chanrt_now() - *(const int64_t *)next->ptr > chanrt__sync_starved)
        s |= CHANRT__SYNC_HANDOFF;
    return s;
}

// Nobody waited: a lot in which that is so for long becomes quiet.
static void chanrt__sync_unneeded_locked(const void *object) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(object);
    bool listed = lot->first != NULL || lot->rws != NULL;
    if (listed || !chanrt__os_asymmetric || CHANRT_DEBUG) return;
    if (++lot->unneeded < CHANRT__SYNC_QUIET_AFTER) return;
    lot->unneeded = 0;
    lot->quiets++;
    chanrt__atom_store(&chanrt_x_sync_quiet[chanrt_x_sync_lot(object)], 1);
}

static int chanrt__sync_mutex_unlock(chanrt_sync_mutex *m) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(m);
    chanrt__atom_grant(&m->a_state);
    for (;;) {
        uint32_t s = chanrt__atom_load(&m->a_state);
        if (!(s & CHANRT_X_LOCKED)) return EINVAL;
        if ((s & (CHANRT__SYNC_WOKEN | CHANRT__SYNC_HANDOFF)) != CHANRT__SYNC_WOKEN) break;
        if (chanrt__atom_cas_acqrel(&m->a_state, s, CHANRT__SYNC_WOKEN)) return 0; // [mutex]
    }
    struct chanrt__waiter *n = NULL;
    bool given = false;
    chanrt__os_lock(&lot->a_lock);
    uint32_t s = chanrt__atom_load(&m->a_state);
    if (!(s & CHANRT_X_LOCKED)) { // unlocked twice at once
        chanrt__os_unlock(&lot->a_lock);
        return EINVAL;
    }
    if ((s & CHANRT__SYNC_HANDOFF) || !(s & CHANRT__SYNC_WOKEN))
        n = chanrt__sync_mutex_take_locked(m);
    if (n == NULL) {
        chanrt__sync_unneeded_locked(m);
        s &= CHANRT__SYNC_WOKEN;
    } else if (s & CHANRT__SYNC_HANDOFF) {
        given = true;
        s = chanrt__sync_mutex_after_locked(m, s);
    } else {
        s = CHANRT__SYNC_WOKEN;
    }
    chanrt__atom_store_rel(&m->a_state, s); // [mutex] the last touch of m
    chanrt__os_unlock(&lot->a_lock);
    if (n == NULL) return 0;
    chanrt__wait_finish(n, given ? 0 : EAGAIN);
    chanrt__sched_point();
    return 0;
}

CHANRT_API int chanrt_x_mutex_unlock(chanrt_sync_mutex *m) {
    if (m == NULL) return EINVAL;
    CHANRT__IF_DEBUG(chanrt__held_drop(m, false);)
    int err = chanrt__sync_mutex_unlock(m);
    CHANRT__IF_DEBUG(if (err != 0) chanrt__held_misuse(m);)
    return err;
}

// After an unlock that stored plainly and found the lot unquiet: m may be gone. It is there if the
// lot lists it, since who waits in it cannot leave without the lot's lock.
CHANRT_API int chanrt_x_mutex_wake(const chanrt_sync_mutex *m) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(m);
    struct chanrt__waiter *n = NULL;
    chanrt__os_lock(&lot->a_lock);
    chanrt_sync_mutex *at = lot->first;
    while (at != NULL && at != m) at = at->x_next;
    if (at != NULL &&
        !(chanrt__atom_load(&at->a_state) & (CHANRT__SYNC_WOKEN | CHANRT__SYNC_HANDOFF)))
        n = chanrt__sync_mutex_take_locked(at);
    if (n != NULL) chanrt__atom_or(&at->a_state, CHANRT__SYNC_WOKEN);
    chanrt__os_unlock(&lot->a_lock);
    if (n != NULL) chanrt__wait_finish(n, EAGAIN);
    return 0;
}

// --- reader-writer mutexes: handed over, never overtaken

// The word's flag for what is queued now.
static uint32_t chanrt__sync_rw_queued_locked(const chanrt_sync_rwmutex *rw) {
    return rw->x_readers.a_first != NULL || rw->x_writers.a_first != NULL ? CHANRT_X_QUEUED : 0;
}

// The lot lists rw while it is ALONE and somebody waits, as the word is about to say (L5).
static void chanrt__sync_rw_list_locked(chanrt_sync_rwmutex *rw, uint32_t word) {
    const uint32_t listed = CHANRT_X_ALONE | CHANRT_X_QUEUED;
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(rw);
    chanrt_sync_rwmutex **at = &lot->rws;
    while (*at != NULL && *at != rw) at = &(*at)->x_next;
    if ((word & listed) != listed) {
        if (*at != NULL) *at = rw->x_next;
    } else if (*at == NULL) {
        rw->x_next = lot->rws;
        lot->rws = rw;
    }
}

// A word that changes only under the lot's lock, being QUEUED or LOCKED, becomes this: the last
// touch of rw.
static void chanrt__sync_rw_put_locked(chanrt_sync_rwmutex *rw, uint32_t word) {
    chanrt__sync_rw_list_locked(rw, word);
    chanrt__atom_store_rel(&rw->a_state, word); // [rwmutex]
}

// rw is to be had by those who wait, `kept`, readers and ALONE, having it already: all readers or
// the first writer, whoever comes first. Returns whom to make ready; rw is touched no more.
static struct chanrt__waiter *chanrt__sync_rw_pass_locked(chanrt_sync_rwmutex *rw, uint32_t kept,
                                                          bool readers_first) {
    struct chanrt__waiter *first = NULL, *last = NULL;
    uint32_t s = kept;
    for (int turn = 0; turn < 2 && first == NULL; turn++) {
        if (readers_first == (turn == 0)) {
            chanrt__wait_take_all(&rw->x_readers, &first, &last); // no select: never busy
            for (struct chanrt__waiter *n = first; n != NULL; n = n->next) s += CHANRT_X_READER;
        } else if (s == 0) {
            chanrt__wait_take(&rw->x_writers, NULL, &first);
            if (first != NULL) first->next = NULL, s = CHANRT_X_LOCKED;
        }
    }
    chanrt__sync_rw_put_locked(rw, s | CHANRT_X_SHARED | chanrt__sync_rw_queued_locked(rw));
    return first;
}

// The last one counted leaves, and sees the word be s: nobody will leave through a_alone any more.
// Frees it, once nobody can come in beside him (L6). False: the word has changed.
static bool chanrt__sync_rw_free_locked(chanrt_sync_rwmutex *rw, uint32_t s) {
    if (!(s & (CHANRT_X_LOCKED | CHANRT_X_QUEUED))) {
        chanrt__atom_cas_acqrel(&rw->a_state, s, s | CHANRT_X_QUEUED); // [rwmutex]
        return false;
    }
    chanrt__atom_store_rel(&rw->a_alone, 0); // [alone]
    return true;
}

// One party less. Not ALONE any more, but if readers are left and it stays so. Returns whom to make
// ready.
static struct chanrt__waiter *chanrt__sync_rw_drop_locked(chanrt_sync_rwmutex *rw, bool alone) {
    for (;;) {
        uint32_t s = chanrt__atom_load(&rw->a_state), t = s - CHANRT_X_READER;
        bool last = (s & CHANRT_X_LOCKED) || t < CHANRT_X_READER;
        bool owner = last && alone && (s & CHANRT_X_ALONE);
        if (owner && !chanrt__sync_rw_free_locked(rw, s)) continue;
        if (s & CHANRT_X_LOCKED) return chanrt__sync_rw_pass_locked(rw, 0, true);
        if (last && (s & CHANRT_X_QUEUED)) return chanrt__sync_rw_pass_locked(rw, 0, false);
        if (!alone) t &= ~(uint32_t)CHANRT_X_ALONE;
        if (s & CHANRT_X_QUEUED)
            chanrt__sync_rw_put_locked(rw, (t & ~(uint32_t)CHANRT_X_QUEUED) |
                                           chanrt__sync_rw_queued_locked(rw));
        else if (!chanrt__atom_cas_acqrel(&rw->a_state, s, t)) continue; // [rwmutex]
        return NULL;
    }
}

// Of the one who is ALONE, and of those before him, nobody else has said in a_state what they did.
static inline void chanrt__sync_rw_vouch(chanrt_sync_rwmutex *rw) {
    chanrt__atom_take(&rw->a_alone);
    chanrt__atom_grant(&rw->a_state);
}

// If the one who was ALONE has left plainly, he is counted no more.
static struct chanrt__waiter *chanrt__sync_rw_settle_locked(chanrt_sync_rwmutex *rw) {
    if (!(chanrt__atom_load(&rw->a_state) & CHANRT_X_ALONE) ||
        chanrt__atom_load_acq(&rw->a_alone) != 0) // [alone] what he did
        return NULL;
    chanrt__sync_rw_vouch(rw);
    return chanrt__sync_rw_drop_locked(rw, false);
}

// After a_alone became 0: rw may be gone. It is there if the lot lists it.
CHANRT_API void chanrt_x_rwmutex_left(const chanrt_sync_rwmutex *rw) {
    struct chanrt__sync_lot *lot = chanrt__sync_lot_of(rw);
    struct chanrt__waiter *in = NULL;
    chanrt__os_lock(&lot->a_lock);
    chanrt_sync_rwmutex *at = lot->rws;
    while (at != NULL && at != rw) at = at->x_next;
    if (at != NULL) in = chanrt__sync_rw_settle_locked(at);
    else chanrt__sync_unneeded_locked(rw);
    chanrt__os_unlock(&lot->a_lock);
    chanrt__sync_finish_all(in);
    if (in != NULL) chanrt__sched_point();
}

// a_alone was taken, and rw was shared by then, or about to be. Whoever has left it before may have
// found it taken, and leaves the rest to the caller.
CHANRT_API void chanrt_x_rwmutex_back(chanrt_sync_rwmutex *rw) {
    chanrt__atom_store_rel(&rw->a_alone, 0); // [alone]
    chanrt_x_rwmutex_left(rw);
}

// As inlined: has rw to itself.
static bool chanrt__sync_rw_alone(chanrt_sync_rwmutex *rw, uint32_t how) {
    if (chanrt__atom_load(&rw->a_state) != 0 ||
        !chanrt__atom_cas_seq(&rw->a_alone, 0, how)) // [alone] before the look
        return false;
    chanrt__atom_store(&rw->a_had, chanrt__atom_load(&rw->a_had) + 1);
    if (chanrt__atom_load_seq(&rw->a_state) == 0) return true; // [alone]
    chanrt_x_rwmutex_back(rw);
    return false;
}

// The caller has a shared rw, which others kept him from having by what is inlined.
static void chanrt__sync_rw_met(chanrt_sync_rwmutex *rw) {
    uint32_t bears = chanrt__atom_load(&rw->a_bears);
    if (bears == 0 || CHANRT_DEBUG || chanrt__sched_drawn()) return; // nothing is inlined there
    chanrt__atom_store(&rw->a_bears, bears - 1);
}

// Takes rw if it may be had now, without the lot's lock.
static bool chanrt__sync_rw_try(chanrt_sync_rwmutex *rw, bool reader) {
    for (;;) {
        if (chanrt__sync_rw_alone(rw, reader ? CHANRT_X_READER : CHANRT_X_LOCKED)) return true;
        uint32_t s = chanrt__atom_load(&rw->a_state);
        uint32_t t = reader ? s + CHANRT_X_READER : s | CHANRT_X_LOCKED;
        if (reader ? (s & (CHANRT_X_LOCKED | CHANRT_X_QUEUED | CHANRT_X_SHARED)) != CHANRT_X_SHARED
                   : s != CHANRT_X_SHARED)
            return false;
        if (!chanrt__atom_cas_acqrel(&rw->a_state, s, t)) continue; // [rwmutex]
        chanrt__sync_rw_met(rw);
        return true;
    }
}

// Before rw, which somebody else has to himself, is shared. Where they come and go in no time that
// would slow down all of them: a line that two processors write is dearer than what they do. So
// who comes stands aside for a while, and then has it to himself. (Where a pause is a cycle or two
// nobody is so quick.) True: the caller has rw.
static bool chanrt__sync_rw_turn(chanrt_sync_rwmutex *rw, bool reader) {
    if (!chanrt__sync_may_spin() || chanrt__sched_drawn()) return false;
    for (int i = 0; i < CHANRT__SYNC_TURNS && chanrt__atom_load(&rw->a_state) == 0; i++) {
        uint32_t had = chanrt__atom_load(&rw->a_had);
        chanrt__sync_pause(CHANRT__SYNC_GLANCE);
        if (chanrt__atom_load(&rw->a_had) - had < CHANRT__SYNC_QUICK)
            return chanrt__sync_rw_try(rw, reader);
        chanrt__sync_pause(CHANRT__SYNC_ASIDE);
        if (!chanrt__sync_rw_try(rw, reader)) continue;
        chanrt__atom_store(&rw->a_patience, 0); // it was right to unshare it
        return true;
    }
    return false;
}

// Under the lot's lock, and rw is shared. queue: if it may not be had, the word says that the
// caller is about to wait.
static bool chanrt__sync_rw_try_locked(chanrt_sync_rwmutex *rw, bool reader, bool queue) {
    for (;;) {
        uint32_t s = chanrt__atom_load(&rw->a_state), t = s | CHANRT_X_QUEUED;
        if ((s & CHANRT_X_QUEUED) && !chanrt__sync_rw_queued_locked(rw)) {
            s &= ~(uint32_t)CHANRT_X_QUEUED; // a shutdown has reclaimed those who waited
            chanrt__sync_rw_put_locked(rw, s); // theirs
        }
        bool free = reader ? (s & (CHANRT_X_LOCKED | CHANRT_X_QUEUED)) == 0 : s == CHANRT_X_SHARED;
        if (free) t = reader ? s + CHANRT_X_READER : s | CHANRT_X_LOCKED;
        else if (!queue || s == t) return false;
        if (!chanrt__atom_cas_acqrel(&rw->a_state, s, t)) continue; // [rwmutex]
        if (!free) chanrt__sync_rw_list_locked(rw, t);
        return free;
    }
}

// Under the lot's lock, which it lets go of in between: makes rw shared. If others did so meanwhile
// and it was unshared again it is not, and is to be tried again.
static void chanrt__sync_rw_share_locked(chanrt_sync_rwmutex *rw) {
    uint32_t s = chanrt__atom_load(&rw->a_state), before = rw->x_unshared;
    if (s == 0) chanrt__atom_store(&rw->a_state, CHANRT_X_QUEUED); // from the fence on no a_alone
    chanrt__sync_rouse_locked(rw, !(s & CHANRT_X_SHARED));
    if ((chanrt__atom_load(&rw->a_state) & CHANRT_X_SHARED) || rw->x_unshared != before) return;
    uint32_t has = chanrt__atom_load_acq(&rw->a_alone); // [alone]
    if (has != 0) has |= CHANRT_X_ALONE;
    uint32_t patience = chanrt__atom_load(&rw->a_patience) * 2 + CHANRT__SYNC_PATIENCE;
    chanrt__atom_store(&rw->a_bears, patience);
    if (patience < UINT32_MAX / 4) chanrt__atom_store(&rw->a_patience, patience);
    chanrt__sync_rw_vouch(rw);
    chanrt__atom_store_rel(&rw->a_state, CHANRT_X_SHARED | has); // [rwmutex]
}

// Takes the lot's lock, with rw shared, and nobody counted who has left.
static void chanrt__sync_rw_enter(chanrt_sync_rwmutex *rw) {
    const uint32_t seen = CHANRT_X_SHARED | CHANRT_X_ALONE;
    for (;;) {
        chanrt__os_lock(chanrt__sync_lock_of(rw));
        if ((chanrt__atom_load(&rw->a_state) & seen) == CHANRT_X_SHARED) return;
        chanrt__sync_rw_share_locked(rw);
        struct chanrt__waiter *in = chanrt__sync_rw_settle_locked(rw);
        if (in == NULL && (chanrt__atom_load(&rw->a_state) & CHANRT_X_SHARED)) return;
        chanrt__os_unlock(chanrt__sync_lock_of(rw));
        chanrt__sync_finish_all(in);
    }
}

// A waiter whose time is up leaves. The last writer to go lets the readers behind it in. If others
// have taken the waiter out of the queue, rw may be unshared by now, or about to be shared again.
static void chanrt__sync_rw_leave(chanrt_sync_rwmutex *rw, struct chanrt__waiter *node) {
    struct chanrt__waiter *in = NULL;
    uint32_t *lock = chanrt__sync_lock_of(rw);
    chanrt__os_lock(lock);
    chanrt__wait_leave(node);
    uint32_t s = chanrt__atom_load(&rw->a_state), held = s & ~(uint32_t)CHANRT_X_QUEUED;
    if ((s & CHANRT_X_QUEUED) && (s & CHANRT_X_SHARED)) {
        if (!(s & CHANRT_X_LOCKED) && rw->x_writers.a_first == NULL)
            in = chanrt__sync_rw_pass_locked(rw, held & ~(uint32_t)CHANRT_X_SHARED, true);
        else
            chanrt__sync_rw_put_locked(rw, held | chanrt__sync_rw_queued_locked(rw));
    }
    chanrt__os_unlock(lock);
    chanrt__sync_finish_all(in);
}

// Whether rw, which the caller could not have, is no reason to give up at once.
static bool chanrt__sync_rw_promises(const chanrt_sync_rwmutex *rw, bool reader) {
    uint32_t s = chanrt__atom_load(&rw->a_state);
    if (s & CHANRT_X_ALONE) return true; // who may have left
    if (s == 0) return reader && chanrt__atom_load(&rw->a_alone) != CHANRT_X_LOCKED;
    return reader && (!(s & CHANRT_X_SHARED) || !(s & (CHANRT_X_LOCKED | CHANRT_X_QUEUED)));
}

// The caller has rw now, with all that was done before it was given away.
static int chanrt__sync_rw_taken(chanrt_sync_rwmutex *rw) {
    chanrt__atom_take(&rw->a_alone);
    return chanrt__sync_taken(&rw->a_state);
}

// Before the caller waits: those who were handed rw while they waited have it although they do not
// run yet. Each who waits because of them will be handed it in turn, and every lock waits then,
// for ever (tests/bench: rwmutex_mostly, four parks per write). Lets them on once, if what is
// queued here is soon done; a seed has let on whom it wanted. True: the caller has rw.
static bool chanrt__sync_rw_lets_on(chanrt_sync_rwmutex *rw, bool reader) {
    struct chanrt__worker *w = chanrt__sched_self();
    if (w == NULL || chanrt__sched_drawn()) return false;
    if (!chanrt__sched_has_work(w) || chanrt__sched_worth(w)) return false;
    chanrt_task_yield();
    return chanrt__sync_rw_try(rw, reader);
}

static int chanrt__sync_rw_lock(chanrt_sync_rwmutex *rw, int64_t ns, bool reader) {
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    int64_t deadline;
    if (rw == NULL) return EINVAL;
    if (chanrt__sync_rw_try(rw, reader)) return chanrt__sync_rw_taken(rw);
    bool waits = chanrt__sync_deadline(ns, &deadline);
    if (!waits && !chanrt__sync_rw_promises(rw, reader)) return ETIMEDOUT;
    if (waits && (chanrt__sync_rw_turn(rw, reader) || chanrt__sync_rw_lets_on(rw, reader)))
        return chanrt__sync_rw_taken(rw);
    chanrt__sync_rw_enter(rw);
    bool got = chanrt__sync_rw_try_locked(rw, reader, waits);
    if (got || !waits) {
        chanrt__os_unlock(chanrt__sync_lock_of(rw));
        return got ? chanrt__sync_rw_taken(rw) : ETIMEDOUT;
    }
    if (chanrt__sync_wait_unlock(&wait, &node, reader ? &rw->x_readers : &rw->x_writers, NULL,
                                 deadline, reader ? CHANRT__WAIT_RLOCK : CHANRT__WAIT_WLOCK, rw))
        return chanrt__sync_rw_taken(rw);
    chanrt__sync_rw_leave(rw, &node);
    return ETIMEDOUT;
}

CHANRT_API int chanrt_x_rwmutex_rlock(chanrt_sync_rwmutex *rw, int64_t ns) {
    chanrt__sched_point();
    CHANRT__IF_DEBUG(if (rw != NULL && ns < 0) chanrt__held_want(rw);)
    int err = chanrt__sync_rw_lock(rw, ns, true);
    CHANRT__IF_DEBUG(if (err == 0) chanrt__held_got(rw, true);)
    chanrt__sched_point(); // inside
    return err;
}

CHANRT_API int chanrt_x_rwmutex_lock(chanrt_sync_rwmutex *rw, int64_t ns) {
    chanrt__sched_point();
    CHANRT__IF_DEBUG(if (rw != NULL && ns < 0) chanrt__held_want(rw);)
    int err = chanrt__sync_rw_lock(rw, ns, false);
    CHANRT__IF_DEBUG(if (err == 0) chanrt__held_got(rw, false);)
    chanrt__sched_point(); // inside
    return err;
}

// One reader less of a shared rw, if that is all. Of several any may be the one who is ALONE.
// False: it is not all, or there is none.
static bool chanrt__sync_rw_drop_reader(chanrt_sync_rwmutex *rw) {
    for (;;) {
        uint32_t s = chanrt__atom_load(&rw->a_state);
        uint32_t least = s & CHANRT_X_ALONE ? 2 * CHANRT_X_READER : CHANRT_X_READER;
        if (s < least || (s & CHANRT_X_QUEUED)) return false;
        if (chanrt__atom_cas_acqrel(&rw->a_state, s, s - CHANRT_X_READER)) // [rwmutex]
            return true;
    }
}

// Leaves rw as the only one, and as it was before it was shared, if that has become dear (L6).
// Beside a reader may be counted one who has left plainly, for whom nobody has looked.
static bool chanrt__sync_rw_unshare(chanrt_sync_rwmutex *rw, uint32_t how) {
    const uint32_t only = CHANRT_X_SHARED | how, two = (only | CHANRT_X_ALONE) + CHANRT_X_READER;
    uint32_t s = chanrt__atom_load(&rw->a_state);
    bool left = s == two && chanrt__atom_load(&rw->a_alone) == 0;
    if (chanrt__atom_load(&rw->a_bears) != 0 || (s != only && !left)) return false;
    uint32_t *lock = chanrt__sync_lock_of(rw);
    chanrt__os_lock(lock);
    if (chanrt__atom_load(&rw->a_state) == two) chanrt__sync_rw_settle_locked(rw); // nobody waits
    rw->x_unshared++;
    bool done = chanrt__atom_cas_acqrel(&rw->a_state, only, 0); // [rwmutex]
    chanrt__os_unlock(lock);
    return done;
}

// A reader or writer leaves, by the lot's lock. Returns 0, or EINVAL: nobody has it so.
static int chanrt__sync_rw_unlock_locked(chanrt_sync_rwmutex *rw, uint32_t how,
                                         struct chanrt__waiter **in) {
    if (!(chanrt__atom_load(&rw->a_state) & CHANRT_X_SHARED)) {
        if (chanrt__atom_load(&rw->a_alone) != how) return EINVAL;
        chanrt__atom_store_rel(&rw->a_alone, 0); // [alone] who is about to share it will see that
        return 0;
    }
    *in = chanrt__sync_rw_settle_locked(rw);
    uint32_t s = chanrt__atom_load(&rw->a_state);
    bool writer = (s & CHANRT_X_LOCKED) != 0;
    if (*in != NULL || writer != (how == CHANRT_X_LOCKED) || (!writer && s < CHANRT_X_READER))
        return EINVAL;
    *in = chanrt__sync_rw_drop_locked(rw, true);
    return 0;
}

static int chanrt__sync_rw_unlock(chanrt_sync_rwmutex *rw, uint32_t how) {
    struct chanrt__waiter *in = NULL;
    if (rw == NULL) return EINVAL;
    CHANRT__IF_DEBUG(chanrt__held_drop(rw, how == CHANRT_X_READER);)
    chanrt__atom_grant(&rw->a_alone);
    chanrt__atom_grant(&rw->a_state);
    if (chanrt__sync_rw_unshare(rw, how)) return 0;
    if (how == CHANRT_X_READER && chanrt__sync_rw_drop_reader(rw)) return 0;
    uint32_t *lock = chanrt__sync_lock_of(rw);
    chanrt__os_lock(lock);
    int err = chanrt__sync_rw_unlock_locked(rw, how, &in);
    chanrt__os_unlock(lock);
    chanrt__sync_finish_all(in);
    CHANRT__IF_DEBUG(if (err != 0) chanrt__held_misuse(rw);)
    chanrt__sched_point();
    return err;
}

CHANRT_API int chanrt_x_rwmutex_runlock(chanrt_sync_rwmutex *rw) {
    return chanrt__sync_rw_unlock(rw, CHANRT_X_READER);
}

CHANRT_API int chanrt_x_rwmutex_unlock(chanrt_sync_rwmutex *rw) {
    return chanrt__sync_rw_unlock(rw, CHANRT_X_LOCKED);
}

// --- once

enum { CHANRT__SYNC_ONCE_RUNNING = 1 };

// Whoever calls: a task, or a thread's record with the low bit set.
static uintptr_t chanrt__sync_caller(void) {
    struct chanrt__os_thread *self = chanrt__os_self();
    struct chanrt__worker *w = (struct chanrt__worker *)self->worker;
    return w != NULL ? (uintptr_t)w->a_current : (uintptr_t)self | 1;
}

static void chanrt__sync_once_end(void *arg) {
    chanrt_sync_once *o = (chanrt_sync_once *)arg;
    struct chanrt__waiter *first = NULL, *last = NULL;
    uint32_t *lock = chanrt__sync_lock_of(o);
    chanrt__os_lock(lock);
    chanrt__wait_take_all(&o->x_queue, &first, &last); // no select: never busy
    chanrt__atom_grant(&o->a_state);
    chanrt__atom_store_rel(&o->a_state, CHANRT_X_ONCE_DONE); // [once] what fn did; the last touch
    chanrt__os_unlock(lock);
    chanrt__sync_finish_all(first);
}

// fn may end its task or its thread: those who wait are told all the same.
static void chanrt__sync_once_run(chanrt_sync_once *o, void (*fn)(void *), void *arg) {
    if (chanrt__sched_self() != NULL) {
        struct chanrt__unwind unwind;
        chanrt__sched_unwind_push(&unwind, chanrt__sync_once_end, o);
        fn(arg);
        chanrt__sched_unwind_pop(&unwind);
        chanrt__sync_once_end(o);
    } else {
        pthread_cleanup_push(chanrt__sync_once_end, o);
        fn(arg);
        pthread_cleanup_pop(1);
    }
}

CHANRT_API int chanrt_x_once_do(chanrt_sync_once *o, void (*fn)(void *), void *arg) {
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    if (o == NULL || fn == NULL) return EINVAL;
    chanrt__sched_point();
    uintptr_t caller = chanrt__sync_caller();
    uint32_t *lock = chanrt__sync_lock_of(o);
    chanrt__os_lock(lock);
    uint32_t s = chanrt__atom_load_acq(&o->a_state); // [once]
    if (s == CHANRT__SYNC_ONCE_RUNNING && o->x_runner != caller) {
        chanrt__sync_wait_unlock(&wait, &node, &o->x_queue, NULL, CHANRT__FOREVER,
                                 CHANRT__WAIT_ONCE, o);
        return 0;
    }
    if (s == 0) {
        chanrt__atom_store(&o->a_state, CHANRT__SYNC_ONCE_RUNNING);
        o->x_runner = caller;
    }
    chanrt__os_unlock(lock);
    if (s == 0) chanrt__sync_once_run(o, fn, arg);
    else chanrt__atom_take(&o->a_state);
    chanrt__sched_point();
    return s == CHANRT__SYNC_ONCE_RUNNING ? EDEADLK : 0;
}

// --- conditions

CHANRT_API int (chanrt_sync_cond_wait_timeout)(chanrt_sync_cond *c, chanrt_sync_mutex *m,
                                               int64_t ns) {
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    int64_t deadline;
    if (c == NULL || m == NULL || !(chanrt__atom_load(&m->a_state) & CHANRT_X_LOCKED))
        return EINVAL;
    chanrt__sched_point();
    if (!chanrt__sync_deadline(ns, &deadline)) return ETIMEDOUT;
    uint32_t *lock = chanrt__sync_lock_of(c), *word = NULL;
    struct chanrt__worker *w = chanrt__sched_self();
    // It may be woken before it has parked. Without a deadline only by a signal, so a task needs no
    // claim; a thread has no word that says it is saved.
    bool shared = w == NULL || deadline != CHANRT__FOREVER;
    if (!shared) word = &w->a_current->a_on_cpu;
    chanrt__wait_begin(&wait, &node, shared);
    if (!shared) chanrt__atom_store(word, 1);
    chanrt__os_lock(lock);
    chanrt__wait_enqueue(&wait, &c->x_queue, lock, NULL, 0);
    chanrt__wait_open(&wait);
    chanrt__os_unlock(lock);
    chanrt__atom_grant(&m->a_state);
    (chanrt_sync_mutex_unlock)(m);
    bool signalled = chanrt__wait_block(&wait, word, deadline, CHANRT__WAIT_COND, c);
    if (!signalled) {
        chanrt__os_lock(lock);
        chanrt__wait_leave(&node);
        chanrt__os_unlock(lock);
    }
    (chanrt_sync_mutex_lock)(m);
    chanrt__atom_take(&m->a_state);
    return signalled ? 0 : ETIMEDOUT;
}

CHANRT_API int (chanrt_sync_cond_wait)(chanrt_sync_cond *c, chanrt_sync_mutex *m) {
    return (chanrt_sync_cond_wait_timeout)(c, m, -1);
}

CHANRT_API int chanrt_sync_cond_signal(chanrt_sync_cond *c) {
    struct chanrt__waiter *n = NULL;
    if (c == NULL) return EINVAL;
    chanrt__sched_point();
    if (chanrt__atom_load_acq(&c->x_queue.a_first) == NULL) return 0; // [peek]
    uint32_t *lock = chanrt__sync_lock_of(c);
    chanrt__os_lock(lock);
    chanrt__wait_take(&c->x_queue, NULL, &n); // no select: never busy
    chanrt__os_unlock(lock);
    if (n != NULL) chanrt__wait_finish(n, 0);
    chanrt__sched_point();
    return 0;
}

CHANRT_API int chanrt_sync_cond_broadcast(chanrt_sync_cond *c) {
    struct chanrt__waiter *first = NULL, *last = NULL;
    if (c == NULL) return EINVAL;
    chanrt__sched_point();
    if (chanrt__atom_load_acq(&c->x_queue.a_first) == NULL) return 0; // [peek]
    uint32_t *lock = chanrt__sync_lock_of(c);
    chanrt__os_lock(lock);
    chanrt__wait_take_all(&c->x_queue, &first, &last);
    chanrt__os_unlock(lock);
    chanrt__sync_finish_all(first);
    chanrt__sched_point();
    return 0;
}

// --- semaphores

// Gives `free` units to those who wait, in their order, as far as they go, and notes the rest.
// Returns whom to make ready; s is touched no more.
static struct chanrt__waiter *chanrt__sync_sem_serve_locked(chanrt_sync_sem *s, uint32_t free) {
    struct chanrt__waiter *first = NULL, *last = NULL, *n;
    while ((n = s->x_queue.a_first) != NULL && (uintptr_t)n->ptr <= free) {
        if (!chanrt__wait_take_node(n)) continue; // its time is up
        free -= (uint32_t)(uintptr_t)n->ptr;
        n->next = NULL;
        if (last != NULL) last->next = n;
        else first = n;
        last = n;
    }
    uint32_t word = 2 * free | (s->x_queue.a_first != NULL);
    chanrt__atom_store_rel(&s->a_state, word); // [sem]
    return first;
}

// Takes k units if they are there. mark, under the lot's lock: else says in the word that the
// caller is about to queue.
static bool chanrt__sync_sem_try(chanrt_sync_sem *s, uint32_t k, bool mark) {
    for (;;) {
        uint32_t old = chanrt__atom_load(&s->a_state), now = old | 1;
        if (mark && (old & 1) && s->x_queue.a_first == NULL) {
            old &= ~(uint32_t)1; // a shutdown has reclaimed those who waited
            chanrt__atom_store_rel(&s->a_state, old); // [sem] theirs
        }
        bool free = (old & 1) == 0 && k <= old >> 1;
        if (free) now = old - 2 * k;
        else if (!mark || (old & 1)) return false;
        if (chanrt__atom_cas_acqrel(&s->a_state, old, now)) return free; // [sem]
    }
}

CHANRT_API int chanrt_sync_sem_init(chanrt_sync_sem *s, int n) {
    if (s == NULL || n < 0) return EINVAL;
    memset(s, 0, sizeof *s);
    s->x_size = n;
    s->a_state = 2 * (uint32_t)n;
    return 0;
}

static int chanrt__sync_sem_acquire(chanrt_sync_sem *s, int k, int64_t ns) {
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    int64_t deadline;
    if (k == 0 || chanrt__sync_sem_try(s, (uint32_t)k, false))
        return chanrt__sync_taken(&s->a_state);
    if (!chanrt__sync_deadline(ns, &deadline)) return ETIMEDOUT;
    uint32_t *lock = chanrt__sync_lock_of(s);
    chanrt__os_lock(lock);
    if (chanrt__sync_sem_try(s, (uint32_t)k, true)) {
        chanrt__os_unlock(lock);
        return chanrt__sync_taken(&s->a_state);
    }
    if (chanrt__sync_wait_unlock(&wait, &node, &s->x_queue, (void *)(uintptr_t)k, deadline,
                                 CHANRT__WAIT_SEM, s))
        return chanrt__sync_taken(&s->a_state);
    struct chanrt__waiter *in = NULL; // those behind may fit, now that this one is gone
    chanrt__os_lock(lock);
    chanrt__wait_leave(&node);
    uint32_t word = chanrt__atom_load(&s->a_state);
    if (word & 1) in = chanrt__sync_sem_serve_locked(s, word >> 1);
    chanrt__os_unlock(lock);
    chanrt__sync_finish_all(in);
    return ETIMEDOUT;
}

CHANRT_API int chanrt_x_sem_acquire(chanrt_sync_sem *s, int k, int64_t ns) {
    if (s == NULL || k < 0) return EINVAL;
    if (k > s->x_size) return EDEADLK;
    chanrt__sched_point();
    int err = chanrt__sync_sem_acquire(s, k, ns);
    chanrt__sched_point();
    return err;
}

CHANRT_API int chanrt_x_sem_release(chanrt_sync_sem *s, int k) {
    struct chanrt__waiter *in = NULL;
    int err = 0;
    if (s == NULL || k < 0) return EINVAL;
    chanrt__sched_point();
    uint32_t *lock = chanrt__sync_lock_of(s), old;
    chanrt__atom_grant(&s->a_state);
    chanrt__os_lock(lock);
    do {
        old = chanrt__atom_load(&s->a_state);
        if ((uint32_t)k > (uint32_t)s->x_size - (old >> 1)) err = EINVAL;
        else if (old & 1) in = chanrt__sync_sem_serve_locked(s, (old >> 1) + (uint32_t)k);
    } while (err == 0 && !(old & 1) &&
             !chanrt__atom_cas_acqrel(&s->a_state, old, old + 2 * (uint32_t)k)); // [sem]
    chanrt__os_unlock(lock);
    chanrt__sync_finish_all(in);
    chanrt__sched_point();
    return err;
}

// After a shutdown has reclaimed tasks: what nobody waits for any more is not listed (L1, L5).
static void chanrt__sync_forget(void) {
    for (int i = 0; i < CHANRT_X_LOTS; i++) {
        struct chanrt__sync_lot *lot = &chanrt__sync_lots[i];
        chanrt__os_lock(&lot->a_lock);
        chanrt_sync_mutex **at = &lot->first;
        while (*at != NULL)
            if ((*at)->x_queue.a_first == NULL) *at = (*at)->x_next;
            else at = &(*at)->x_next;
        chanrt_sync_rwmutex **rw = &lot->rws;
        while (*rw != NULL)
            if (chanrt__sync_rw_queued_locked(*rw) == 0) *rw = (*rw)->x_next;
            else rw = &(*rw)->x_next;
        chanrt__os_unlock(&lot->a_lock);
    }
}

//------------------------------------------------------------------------------
// >>context    Contexts: a tree that is cancelled from any node downwards.
//   uses    port atom os list task sched debug chan timer
//   owns    struct chanrt_task_ctx
//   lock    a_lock, a few instructions, never two at once: of the context for its error and
//           its functions to come, of the parent for its list of children
//   laws    X1 a context lives while referred to: by its owner, by the parent's list, by each
//           child's record, by an armed deadline. X2 cause, then error, are set once, before
//           the done channel is closed and the context leaves its parent's list. X3 from its
//           error on, a context's list of children is the sweeper's alone, its references
//           included. X4 a context is swept when all below it is; whoever finds an error set
//           waits for that, and so only for somebody below: nobody waits in a circle. A sweep
//           never parks and allocates nothing. X5 a deadline that fires, under the heap's
//           lock, hands over a task made when it was armed; that task sweeps (M2).
//   not     one lock for a tree: a sweep would hold it for as long as the tree is large.
//           Locks held from parent to child: frames and locks as deep as the tree
//   tests   unit/context.c spec/context.c stress/cancel_storm.c model/context.pml
//------------------------------------------------------------------------------

struct chanrt_task_ctx {
    uint32_t a_lock;
    uint32_t a_refs;
    int a_error;                     // 0 until cancelled
    int cause;
    uint8_t a_swept;                 // everything below is cancelled, too
    uint8_t a_linked;                // in the parent's list; says nothing once that is cancelled
    uint8_t a_armed;                 // the deadline's reference is out
    bool timed;                      // it has a deadline of its own
    struct chanrt_task_ctx *parent;  // NULL: the background
    struct chanrt_task_ctx *child;   // the youngest
    struct chanrt_task_ctx *next, *prev; // among the parent's
    const struct chanrt_task_ctx *values; // the nearest with a key, from here upwards
    const void *key;
    void *value;
    int64_t deadline;                // CHANRT__FOREVER: none
    struct chanrt__node node;        // its timer
    struct chanrt__task *task;       // what fires, prepared
    uint64_t epoch;                  // the start of the runtime it belongs to
    struct chanrt__task *after;      // functions to run, prepared
    uint64_t after_epoch;            // likewise
    struct chanrt__chan *a_done;     // chan, once somebody has asked for it
    struct chanrt__chan chan;        // its block is the whole record
};

static struct chanrt_task_ctx chanrt__context_background = { .deadline = CHANRT__FOREVER };

// Drops a reference; the last one frees the record and drops the one it has to its parent.
static void chanrt__context_drop(struct chanrt_task_ctx *c) {
    while (c != NULL) {
        // [held] all uses before the free; the only reference left needs no locked instruction
        if (chanrt__atom_load_acq(&c->a_refs) != 1 && chanrt__atom_sub_acqrel(&c->a_refs, 1) != 1)
            return;
        struct chanrt_task_ctx *parent = c->parent;
        if (c->a_done != NULL) chanrt_x_chan_free(c->a_done);
        else CHANRT_FREE(c);
        c = parent;
    }
}

// --- cancelling

// Starts the functions that were to run after the end of c.
static void chanrt__context_start(struct chanrt_task_ctx *c, struct chanrt__task *after) {
    struct chanrt__worker *w = chanrt__sched_self();
    while (after != NULL && c->after_epoch == chanrt__pool.epoch) {
        struct chanrt__task *t = after;
        after = t->next;
        chanrt__sched_launch(w, t);
    }
}

// What the end of c means to others: its channel, its functions, its timer.
static void chanrt__context_settle(struct chanrt_task_ctx *c, struct chanrt__task *after) {
    struct chanrt__chan *done = chanrt__atom_load_acq(&c->a_done); // [done]
    if (done != NULL) chanrt__chan_close(done);
    if (after != NULL) chanrt__context_start(c, after);
    if (!c->timed || !chanrt__sched_disarm(&c->node)) return; // fired: its task sees to the rest
    if (c->epoch == chanrt__pool.epoch) chanrt__sched_discard(chanrt__sched_self(), c->task);
    chanrt__atom_store(&c->a_armed, 0);
    chanrt__context_drop(c); // never the last: the sweeper has one
}

// Gives c its error. False: it had one, and all below c is cancelled, too.
static bool chanrt__context_mark(struct chanrt_task_ctx *c, int error, int cause) {
    struct chanrt__task *after = NULL;
    bool mine;
    chanrt__os_lock(&c->a_lock);
    {
        mine = chanrt__atom_load(&c->a_error) == 0;
        if (mine) {
            c->cause = cause;
            chanrt__atom_grant(&c->a_error);
            chanrt__atom_store_rel(&c->a_error, error); // [cancel] the cause, and the caller's past
            after = c->after;
            c->after = NULL;
        }
    }
    chanrt__os_unlock(&c->a_lock);
    if (mine) chanrt__context_settle(c, after);
    else for (uint32_t tries = 0; !chanrt__atom_load_acq(&c->a_swept);) // [swept]
        chanrt__os_back_off(&tries);
    return mine;
}

// Cancels c and all below it, depth first: down along the lists of children, up along the parents.
// The caller has a reference to c; those of the others are their lists', which are the sweeper's.
static void chanrt__context_sweep(struct chanrt_task_ctx *c, int error, int cause) {
    struct chanrt_task_ctx *n = c;
    for (;;) {
        struct chanrt_task_ctx *child = chanrt__context_mark(n, error, cause) ? n->child : NULL;
        while (child == NULL) {
            chanrt__atom_store_rel(&n->a_swept, 1); // [swept] all that was done below
            if (n == c) return;
            struct chanrt_task_ctx *parent = n->parent;
            child = n->next;
            chanrt__context_drop(n);
            n = parent;
        }
        n = child;
    }
}

// Takes c off its parent's list, unless it is a sweeper's by now.
static void chanrt__context_leave(struct chanrt_task_ctx *c) {
    struct chanrt_task_ctx *parent = c->parent;
    if (parent == NULL || !chanrt__atom_load(&c->a_linked)) return;
    chanrt__os_lock(&parent->a_lock);
    bool listed = chanrt__atom_load(&c->a_linked) && chanrt__atom_load(&parent->a_error) == 0;
    if (listed) {
        if (c->prev != NULL) c->prev->next = c->next;
        else parent->child = c->next;
        if (c->next != NULL) c->next->prev = c->prev;
        chanrt__atom_store(&c->a_linked, 0);
    }
    chanrt__os_unlock(&parent->a_lock);
    if (listed) chanrt__context_drop(c);
}

static void chanrt__context_cancel(struct chanrt_task_ctx *c, int error, int cause) {
    chanrt__context_sweep(c, error, cause);
    chanrt__context_leave(c);
}

// --- deadlines

// The task of a deadline that has fired.
static void chanrt__context_expire(void *arg) {
    struct chanrt_task_ctx *c = (struct chanrt_task_ctx *)arg;
    chanrt__context_cancel(c, ETIMEDOUT, ETIMEDOUT);
    chanrt__atom_store(&c->a_armed, 0);
    chanrt__context_drop(c);
}

static uintptr_t chanrt__context_fire(struct chanrt__node *n, int64_t now) {
    (void)now;
    struct chanrt_task_ctx *c =
        (struct chanrt_task_ctx *)((char *)n - offsetof(struct chanrt_task_ctx, node));
    return chanrt__sched_launch_fired(c->task);
}

// A task to run fn(arg), prepared so that starting it cannot fail. NULL: no memory, or no pool.
static struct chanrt__task *chanrt__context_prepare(const chanrt_x_site *site, void (*fn)(void *),
                                                    void *arg) {
    if (chanrt__sched_self() == NULL && chanrt__sched_ensure() != 0) return NULL;
    struct chanrt__task *t = chanrt__sched_make_call(site, fn, arg);
    if (t != NULL) chanrt__atom_grant(t);
    return t;
}

// Arms c's timer. Before c is linked: it may fire at once, but nobody can cancel c before.
static bool chanrt__context_arm(struct chanrt_task_ctx *c) {
    static const chanrt_x_site site = { "ctx_deadline", "(context)", 0 };
    c->task = chanrt__context_prepare(&site, chanrt__context_expire, c);
    if (c->task == NULL) return false;
    c->epoch = chanrt__pool.epoch;
    c->timed = true;
    c->a_armed = 1;
    c->a_refs++;
    c->node.fire = chanrt__context_fire;
    chanrt__sched_arm(&c->node, c->deadline);
    return true;
}

// --- making

// A blank child that the parent does not know yet.
static struct chanrt_task_ctx *chanrt__context_new(struct chanrt_task_ctx *parent) {
    if (parent == NULL) return NULL;
    struct chanrt_task_ctx *c = (struct chanrt_task_ctx *)CHANRT_MALLOC(sizeof *c);
    if (c == NULL) return NULL;
    chanrt__os_clear(c, offsetof(struct chanrt_task_ctx, chan));
    c->parent = parent != &chanrt__context_background ? parent : NULL;
    c->a_refs = 1 + (c->parent != NULL); // the owner's, and that of the list it is to be in
    c->values = parent->values;
    c->deadline = parent->deadline;
    CHANRT__IF_DEBUG(chanrt__debug_context_made(c);)
    return c;
}

// Makes c known to its parent, or cancels it with the parent's error.
static struct chanrt_task_ctx *chanrt__context_link(struct chanrt_task_ctx *c) {
    struct chanrt_task_ctx *parent = c->parent;
    if (parent == NULL) return c;
    chanrt__atom_add(&parent->a_refs, 1); // the caller's own keeps it alive
    chanrt__os_lock(&parent->a_lock);
    int error = chanrt__atom_load(&parent->a_error);
    if (error == 0) {
        c->next = parent->child;
        if (c->next != NULL) c->next->prev = c;
        parent->child = c;
        chanrt__atom_store(&c->a_linked, 1);
    }
    chanrt__os_unlock(&parent->a_lock);
    if (error == 0) return c;
    chanrt__atom_take(&parent->a_error);
    chanrt__context_sweep(c, error, parent->cause);
    chanrt__context_drop(c); // the list's
    return c;
}

CHANRT_API chanrt_task_ctx *chanrt_ctx_background(void) {
    return &chanrt__context_background;
}

CHANRT_API chanrt_task_ctx *chanrt_ctx_with_cancel(chanrt_task_ctx *parent) {
    chanrt__sched_point(); // before it sees whether the parent is cancelled
    struct chanrt_task_ctx *c = chanrt__context_new(parent);
    return c != NULL ? chanrt__context_link(c) : NULL;
}

// A child with the deadline t; FOREVER: none of its own.
static struct chanrt_task_ctx *chanrt__context_timed(struct chanrt_task_ctx *parent, int64_t t,
                                                     int64_t now) {
    chanrt__sched_point();
    struct chanrt_task_ctx *c = chanrt__context_new(parent);
    if (c == NULL) return NULL;
    bool sooner = t < c->deadline, late = t <= now;
    if (sooner) c->deadline = t;
    if (sooner && !late && chanrt__atom_load(&parent->a_error) == 0 && !chanrt__context_arm(c)) {
        CHANRT__IF_DEBUG(chanrt__debug_context_freed(c);)
        CHANRT_FREE(c);
        return NULL;
    }
    chanrt__context_link(c);
    if (sooner && late) chanrt__context_cancel(c, ETIMEDOUT, ETIMEDOUT);
    return c;
}

CHANRT_API chanrt_task_ctx *chanrt_ctx_with_timeout(chanrt_task_ctx *parent, int64_t ns) {
    int64_t t = ns < 0 ? CHANRT__FOREVER : chanrt__os_deadline(ns);
    return chanrt__context_timed(parent, t, ns > 0 ? t - 1 : CHANRT__FOREVER);
}

CHANRT_API chanrt_task_ctx *chanrt_ctx_with_deadline(chanrt_task_ctx *parent, int64_t t) {
    if (t == CHANRT__FOREVER) t--; // an armed timer, though a late one
    return chanrt__context_timed(parent, t, chanrt_now());
}

CHANRT_API chanrt_task_ctx *chanrt_ctx_with_value(chanrt_task_ctx *parent, const void *key,
                                                  void *value) {
    chanrt__sched_point();
    struct chanrt_task_ctx *c = key != NULL ? chanrt__context_new(parent) : NULL;
    if (c == NULL) return NULL;
    c->key = key;
    c->value = value;
    c->values = c;
    return chanrt__context_link(c);
}

// --- asking

CHANRT_API void *chanrt_ctx_value(chanrt_task_ctx *c, const void *key) {
    const struct chanrt_task_ctx *v = c != NULL && key != NULL ? c->values : NULL;
    while (v != NULL && v->key != key) v = v->parent != NULL ? v->parent->values : NULL;
    return v != NULL ? v->value : NULL;
}

CHANRT_API void chanrt_ctx_cancel_cause(chanrt_task_ctx *c, int err) {
    if (c == NULL || c == &chanrt__context_background) return;
    chanrt__sched_point();
    chanrt__context_cancel(c, ECANCELED, err != 0 ? err : ECANCELED);
    chanrt__sched_point();
}

CHANRT_API void chanrt_ctx_cancel(chanrt_task_ctx *c) {
    chanrt_ctx_cancel_cause(c, 0);
}

// The error is set, but a sweeper may not have come to close the channel yet.
static void chanrt__context_help(struct chanrt_task_ctx *c) {
    chanrt__atom_take(&c->a_error);
    struct chanrt__chan *done = chanrt__atom_load_acq(&c->a_done); // [done]
    if (done != NULL && !chanrt__atom_load_acq(&done->a_closed)) chanrt__chan_close(done); // [peek]
}

CHANRT_API chanrt_chan_receiver(char) chanrt_ctx_done(chanrt_task_ctx *c) {
    if (c == NULL || c == &chanrt__context_background) return NULL;
    chanrt__sched_point();
    if (chanrt__atom_load_acq(&c->a_done) == NULL) { // [done]
        chanrt__os_lock(&c->a_lock);
        if (chanrt__atom_load(&c->a_done) == NULL) {
            chanrt__chan_init(&c->chan, sizeof(char), 0, NULL, c);
            if (chanrt__atom_load(&c->a_error) != 0) {
                chanrt__atom_take(&c->a_error);
                chanrt__chan_close(&c->chan); // nobody waits
            }
            chanrt__atom_store_rel(&c->a_done, &c->chan); // [done] its fields
        }
        chanrt__os_unlock(&c->a_lock);
    } else if (chanrt__atom_load(&c->a_error) != 0) {
        chanrt__context_help(c);
    }
    return (chanrt_chan_receiver(char))(void *)&c->chan;
}

CHANRT_API int chanrt_ctx_err(chanrt_task_ctx *c) {
    if (CHANRT__UNLIKELY(c == NULL)) return EINVAL;
    chanrt__sched_point(); // who asks again and again lets those run who would cancel it
    int error = chanrt__atom_load_acq(&c->a_error); // [cancel]
    if (CHANRT__UNLIKELY(error != 0)) chanrt__context_help(c);
    return error;
}

CHANRT_API int chanrt_ctx_cause(chanrt_task_ctx *c) {
    int error = chanrt_ctx_err(c);
    return error != 0 && c != NULL ? c->cause : error;
}

CHANRT_API bool chanrt_ctx_deadline(chanrt_task_ctx *c, int64_t *t) {
    if (c == NULL || c->deadline == CHANRT__FOREVER) return false;
    if (t != NULL) *t = c->deadline;
    return true;
}

// --- what runs afterwards

CHANRT_API uint64_t chanrt_ctx_after_func(chanrt_task_ctx *c, void (*fn)(void *), void *arg) {
    static const chanrt_x_site site = { "ctx_after_func", "(context)", 0 };
    if (c == NULL || fn == NULL) return 0;
    chanrt__sched_point();
    struct chanrt__task *t = chanrt__context_prepare(&site, fn, arg);
    if (t == NULL) return 0;
    uint64_t handle = t->a_id; // t may have ended when we come to return it
    chanrt__os_lock(&c->a_lock);
    bool now = chanrt__atom_load(&c->a_error) != 0;
    if (!now) {
        if (c->after_epoch != chanrt__pool.epoch) c->after = NULL; // those went with their pool
        c->after_epoch = chanrt__pool.epoch;
        t->next = c->after;
        c->after = t;
    }
    chanrt__os_unlock(&c->a_lock);
    if (now) chanrt__sched_launch(chanrt__sched_self(), t);
    chanrt__sched_point();
    return handle;
}

CHANRT_API bool chanrt_ctx_after_stop(chanrt_task_ctx *c, uint64_t handle) {
    if (c == NULL) return false;
    struct chanrt__task *t = NULL;
    chanrt__sched_point();
    chanrt__os_lock(&c->a_lock);
    if (c->after_epoch == chanrt__pool.epoch) {
        struct chanrt__task **at = &c->after;
        while (*at != NULL && (*at)->a_id != handle) at = &(*at)->next;
        t = *at;
        if (t != NULL) *at = t->next;
    }
    chanrt__os_unlock(&c->a_lock);
    if (t != NULL) chanrt__sched_discard(chanrt__sched_self(), t);
    return t != NULL;
}

CHANRT_API void chanrt_ctx_free(chanrt_task_ctx *c) {
    if (c == NULL || c == &chanrt__context_background) return;
    chanrt__sched_point();
    CHANRT__IF_DEBUG(chanrt__debug_context_freed(c);) // before its address can be another's
    chanrt__context_cancel(c, ECANCELED, ECANCELED);
    // A deadline that fired into a shutdown has no task any more to give up its reference.
    if (c->timed && c->epoch != chanrt__pool.epoch && chanrt__atom_load(&c->a_armed)) {
        chanrt__atom_store(&c->a_armed, 0);
        chanrt__context_drop(c);
    }
    chanrt__context_drop(c);
    chanrt__sched_point();
}

//------------------------------------------------------------------------------
// >>group    Groups: a count with a limit, the first error, a context.
//   uses    port atom os task sched debug wait context
//   owns    the private fields of chanrt_task_group
//   lock    a_lock; its release is the last touch of a group that ends, so that who waited
//           may free it
//   laws    G1 x_active <= limit. G2 room below the limit: nobody is blocked in group_go; a
//           task that ends hands its place over. G3 nobody waits for a group without tasks.
//           G4 the context is cancelled before a waiter hears that the group has ended.
//   tests   unit/group.c spec/group.c
//------------------------------------------------------------------------------

static bool chanrt__group_alive(struct chanrt_task_group *g) {
    return g != NULL && chanrt__atom_load(&g->a_self) == g; // else its lock means nothing either
}

// Wakes those on the list; each may be the last to know of the group.
static void chanrt__group_wake(struct chanrt__waiter *first, int err) {
    for (struct chanrt__waiter *next; first != NULL; first = next) {
        next = first->next;
        chanrt__wait_finish(first, err);
    }
}

// The end of a group without tasks: drops the lock, and returns the first error.
static int chanrt__group_release_unlock(struct chanrt_task_group *g) {
    struct chanrt__waiter *waiting = NULL, *blocked = NULL, *last = NULL, *last_blocked = NULL;
    struct chanrt_task_ctx *ctx = g->x_ctx;
    int error = g->x_error;
    chanrt__wait_take_all(&g->x_waiting, &waiting, &last); // no select: never busy
    chanrt__wait_take_all(&g->x_blocked, &blocked, &last_blocked);
    g->x_ctx = NULL;
    chanrt__atom_store(&g->a_self, NULL);
    chanrt__os_unlock(&g->a_lock);
    chanrt_ctx_free(ctx);
    chanrt__group_wake(blocked, EINVAL);
    chanrt__group_wake(waiting, error);
    return error;
}

CHANRT_API int chanrt_group_init(chanrt_task_group *g, chanrt_task_ctx *ctx) {
    if (g == NULL) return EINVAL;
    memset(g, 0, sizeof *g);
    g->x_limit = -1;
    g->x_ctx = chanrt_ctx_with_cancel(ctx != NULL ? ctx : chanrt_ctx_background());
    if (g->x_ctx == NULL) return ENOMEM;
    CHANRT__IF_DEBUG(chanrt__debug_context_of_group(g->x_ctx);)
    chanrt__atom_store(&g->a_self, g);
    return 0;
}

CHANRT_API chanrt_task_ctx *chanrt_group_ctx(chanrt_task_group *g) {
    chanrt__sched_point(); // a wait elsewhere ends the group
    return chanrt__group_alive(g) ? g->x_ctx : NULL;
}

CHANRT_API int chanrt_group_limit(chanrt_task_group *g, int n) {
    chanrt__sched_point();
    if (!chanrt__group_alive(g)) return EINVAL;
    struct chanrt__waiter *first = NULL, *last = NULL, *node;
    chanrt__os_lock(&g->a_lock);
    int err = g->x_active > 0 ? EBUSY : 0;
    if (err == 0) g->x_limit = n < 0 ? -1 : n;
    while (err == 0 && (g->x_limit < 0 || g->x_active < g->x_limit) &&
           chanrt__wait_take(&g->x_blocked, NULL, &node) == CHANRT__TAKE_ONE) {
        g->x_active++;
        node->next = NULL;
        if (last != NULL) last->next = node;
        else first = node;
        last = node;
    }
    chanrt__os_unlock(&g->a_lock);
    chanrt__group_wake(first, 0);
    chanrt__sched_point();
    return err;
}

// A place in the group: taken, or waited for.
static int chanrt__group_enter(struct chanrt_task_group *g, bool block) {
    chanrt__sched_point();
    if (!chanrt__group_alive(g)) return EINVAL;
    chanrt__os_lock(&g->a_lock);
    if (CHANRT__LIKELY(g->x_limit < 0 || g->x_active < g->x_limit)) {
        if (g->x_limit > 0) chanrt__atom_take(&g->x_active);
        g->x_active++;
        chanrt__os_unlock(&g->a_lock);
        return 0;
    }
    if (!block) {
        chanrt__os_unlock(&g->a_lock);
        return EAGAIN;
    }
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    chanrt__wait_begin(&wait, &node, false);
    chanrt__wait_enqueue(&wait, &g->x_blocked, &g->a_lock, NULL, 0);
    chanrt__wait_block(&wait, &g->a_lock, CHANRT__FOREVER, CHANRT__WAIT_LIMIT, g);
    chanrt__atom_take(&g->x_active);
    return wait.err;
}

CHANRT_API int chanrt_x_group_begin(void *g) {
    return chanrt__group_enter((struct chanrt_task_group *)g, true);
}

CHANRT_API int chanrt_x_group_try_begin(void *g) {
    return chanrt__group_enter((struct chanrt_task_group *)g, false);
}

// A task of the group has ended, or could not be spawned. Its place keeps the group and its
// context alive until it is given up.
CHANRT_API void chanrt_x_group_end(void *object, int result) {
    struct chanrt_task_group *g = (struct chanrt_task_group *)object;
    struct chanrt__waiter *heir = NULL;
    chanrt__os_lock(&g->a_lock);
    chanrt__atom_grant(&g->x_active);
    if (CHANRT__UNLIKELY(result != 0 && g->x_error == 0)) {
        g->x_error = result;
        chanrt__os_unlock(&g->a_lock);
        chanrt_ctx_cancel_cause(g->x_ctx, result);
        chanrt__os_lock(&g->a_lock);
    }
    if (chanrt__wait_take(&g->x_blocked, NULL, &heir) != CHANRT__TAKE_ONE) g->x_active--;
    if (CHANRT__UNLIKELY(g->x_active == 0 && g->x_waiting.a_first != NULL)) {
        chanrt__group_release_unlock(g);
        return;
    }
    chanrt__os_unlock(&g->a_lock);
    if (heir != NULL) chanrt__wait_finish(heir, 0);
}

CHANRT_API int chanrt_group_wait(chanrt_task_group *g) {
    chanrt__sched_point();
    if (!chanrt__group_alive(g)) return EINVAL;
    chanrt__os_lock(&g->a_lock);
    if (g->x_active == 0) {
        chanrt__atom_take(&g->x_active);
        return chanrt__group_release_unlock(g);
    }
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    chanrt__wait_begin(&wait, &node, false);
    chanrt__wait_enqueue(&wait, &g->x_waiting, &g->a_lock, NULL, 0);
    chanrt__wait_block(&wait, &g->a_lock, CHANRT__FOREVER, CHANRT__WAIT_TASKS, g);
    chanrt__atom_take(&g->x_active);
    return wait.err;
}

//------------------------------------------------------------------------------
// >>blocking    Calls that block, on helper threads.
//   uses    port fail atom os poll task det sched wait
//   owns    chanrt__blocking, the helpers' records
//   lock    chanrt__blocking.mutex: queue, idle helpers; a job's a_lock, with no other
//   laws    B1 a job is with a helper, or every helper is busy. B2 a helper that is idle sleeps
//           on its own word, and whoever takes it off the idle list gives it a job: idle ones
//           are no reason for the deadlock detector to be silent, busy ones are.
//           B3 the unlock of a job that is done is the helper's last touch of it.
//   not     a condition variable for idle helpers (see >>os)
//   tests   unit/io.c spec/blocking.c
//------------------------------------------------------------------------------

struct chanrt__blocking_job { // on the stack of the task that waits
    struct chanrt__blocking_job *next;
    void (*fn)(void *);
    void *arg;
    uint32_t a_lock;
    bool done;
    struct chanrt_x_queue queue;
};

struct chanrt__blocking_helper {
    struct chanrt__blocking_helper *next; // idle, or ended and to be joined
    struct chanrt__blocking_job *job;
    pthread_t thread;
    uint32_t a_wake;
};

static int64_t chanrt__blocking_patience = 10000000000; // ns until an idle helper ends

static struct {
    pthread_mutex_t mutex;
    struct chanrt__blocking_job *first, *last; // jobs that wait for a helper
    struct chanrt__blocking_helper *idle, *ended;
    int count;                                 // helpers, idle and busy
    bool stop;
} chanrt__blocking = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void chanrt__blocking_run(struct chanrt__blocking_job *job) {
    struct chanrt__waiter *n = NULL;
    chanrt__atom_take(job);
    job->fn(job->arg);
    chanrt__atom_grant(job);
    chanrt__os_lock(&job->a_lock);
    job->done = true;
    chanrt__wait_take(&job->queue, NULL, &n); // never a select: never busy
    chanrt__os_unlock(&job->a_lock); // without a waiter the last touch (B3)
    if (n != NULL) chanrt__wait_finish(n, 0);
}

// The next job, or NULL: this helper is to end.
static struct chanrt__blocking_job *chanrt__blocking_next(struct chanrt__blocking_helper *h) {
    pthread_mutex_lock(&chanrt__blocking.mutex);
    struct chanrt__blocking_job *job = chanrt__blocking.first;
    if (job != NULL) {
        chanrt__blocking.first = job->next;
    } else if (!chanrt__blocking.stop) {
        h->next = chanrt__blocking.idle;
        chanrt__blocking.idle = h;
        chanrt__atom_store(&h->a_wake, 0);
        h->job = NULL;
        chanrt__sched_add_helpers(1);
        int64_t until = chanrt__os_clock() + chanrt__blocking_patience;
        while (chanrt__atom_load_acq(&h->a_wake) == 0 && chanrt__os_clock() < until) { // [wake]
            pthread_mutex_unlock(&chanrt__blocking.mutex);
            chanrt__os_sleep(&h->a_wake, 0, until);
            pthread_mutex_lock(&chanrt__blocking.mutex);
        }
        if (chanrt__atom_load(&h->a_wake) == 0) { // nobody took us off the list
            struct chanrt__blocking_helper **at = &chanrt__blocking.idle;
            while (*at != h) at = &(*at)->next;
            *at = h->next;
            chanrt__sched_add_helpers(-1);
        }
        job = h->job;
    }
    if (job == NULL) {
        h->next = chanrt__blocking.ended;
        chanrt__blocking.ended = h;
        chanrt__blocking.count--;
    }
    pthread_mutex_unlock(&chanrt__blocking.mutex);
    return job;
}

static void *chanrt__blocking_main(void *arg) {
    struct chanrt__blocking_helper *h = (struct chanrt__blocking_helper *)arg;
    chanrt__os_self()->aside = true;
    for (struct chanrt__blocking_job *job = h->job; job != NULL; job = chanrt__blocking_next(h)) {
        chanrt__blocking_run(job);
        chanrt__poll_ask_own();
        chanrt__det_busy(-1);
    }
    return NULL;
}

// Takes helpers that have ended away.
static void chanrt__blocking_reap(struct chanrt__blocking_helper *ended) {
    for (struct chanrt__blocking_helper *next; ended != NULL; ended = next) {
        next = ended->next;
        pthread_join(ended->thread, NULL);
        CHANRT_FREE(ended);
    }
}

static void chanrt__blocking_queue_locked(struct chanrt__blocking_job *job) {
    job->next = NULL;
    if (chanrt__blocking.first == NULL) chanrt__blocking.first = job;
    else chanrt__blocking.last->next = job;
    chanrt__blocking.last = job;
}

// Starts a helper with its first job; it waits for the mutex before it can end. 0 or an error.
static int chanrt__blocking_start_locked(struct chanrt__blocking_job *job) {
    if (chanrt__blocking.count >= CHANRT_HELPERS) return EAGAIN;
    struct chanrt__blocking_helper *h = (struct chanrt__blocking_helper *)CHANRT_MALLOC(sizeof *h);
    if (h == NULL) return ENOMEM;
    memset(h, 0, sizeof *h);
    h->job = job;
    int err = chanrt__os_thread_start(&h->thread, chanrt__blocking_main, h);
    if (err == 0) chanrt__blocking.count++;
    else CHANRT_FREE(h);
    return err;
}

// Gives a job to an idle helper, else to a new one, else to the queue, where one of the helpers,
// all of them busy, comes for it (B1). An error: there is none.
static int chanrt__blocking_submit(struct chanrt__blocking_job *job) {
    int err = 0;
    pthread_mutex_lock(&chanrt__blocking.mutex);
    struct chanrt__blocking_helper *h = chanrt__blocking.idle, *ended = chanrt__blocking.ended;
    chanrt__blocking.ended = NULL;
    if (h != NULL) {
        chanrt__blocking.idle = h->next;
        h->job = job;
        chanrt__sched_add_helpers(-1);
        chanrt__atom_store_rel(&h->a_wake, 1); // [wake] the job
    } else {
        err = chanrt__blocking_start_locked(job);
        if (err != 0 && chanrt__blocking.count > 0) {
            chanrt__blocking_queue_locked(job);
            err = 0;
        }
    }
    pthread_mutex_unlock(&chanrt__blocking.mutex);
    if (h != NULL) chanrt__os_wake(&h->a_wake); // until the shutdown its record stays
    chanrt__blocking_reap(ended);
    return err;
}

// Runs fn(arg) on a helper; the calling task waits.
static int chanrt__blocking_call(void (*fn)(void *), void *arg) {
    struct chanrt__blocking_job job = { .fn = fn, .arg = arg };
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    chanrt__sched_point();
    chanrt__atom_grant(&job);
    chanrt__det_busy(1);
    int err = chanrt__blocking_submit(&job);
    if (err != 0) chanrt__det_busy(-1);
    if (err != 0) return err;
    if (chanrt__sched_drawn()) chanrt__det_await_helpers(); // else it may park, or not
    chanrt__os_lock(&job.a_lock);
    if (job.done) {
        chanrt__os_unlock(&job.a_lock);
        chanrt__atom_take(&job);
        return 0;
    }
    chanrt__wait_begin(&wait, &node, false);
    chanrt__wait_enqueue(&wait, &job.queue, &job.a_lock, NULL, 0);
    chanrt__wait_block(&wait, &job.a_lock, CHANRT__FOREVER, CHANRT__WAIT_BLOCKING, NULL);
    return 0;
}

// Ends all helpers; calls that run are waited for, calls that wait for a helper never run.
static void chanrt__blocking_shutdown(void) {
    pthread_mutex_lock(&chanrt__blocking.mutex);
    chanrt__blocking.stop = true;
    chanrt__blocking.first = chanrt__blocking.last = NULL;
    while (chanrt__blocking.count > 0) {
        struct chanrt__blocking_helper *h = chanrt__blocking.idle, *ended = chanrt__blocking.ended;
        if (h != NULL) {
            chanrt__blocking.idle = h->next;
            chanrt__sched_add_helpers(-1);
            chanrt__atom_store_rel(&h->a_wake, 1); // [wake] no job
        }
        chanrt__blocking.ended = NULL;
        pthread_mutex_unlock(&chanrt__blocking.mutex);
        if (h != NULL) chanrt__os_wake(&h->a_wake);
        else chanrt__os_nap(CHANRT_MILLISECOND / 4);
        chanrt__blocking_reap(ended);
        pthread_mutex_lock(&chanrt__blocking.mutex);
    }
    struct chanrt__blocking_helper *ended = chanrt__blocking.ended;
    chanrt__blocking.ended = NULL;
    chanrt__blocking.stop = false;
    pthread_mutex_unlock(&chanrt__blocking.mutex);
    chanrt__blocking_reap(ended);
}

CHANRT_API int chanrt_task_blocking(void (*fn)(void *), void *arg) {
    if (fn == NULL) return EINVAL;
    if (chanrt__sched_self() == NULL) {
        fn(arg);
        return 0;
    }
    int err = chanrt__blocking_call(fn, arg);
    chanrt__sched_point();
    return err;
}

//------------------------------------------------------------------------------
// >>io    Reading, writing, connecting: an attempt, and a wait when it would block.
//   uses    port fail atom os poll sched wait fd blocking
//   laws    I1 nothing here blocks a worker, whatever the descriptor's flags: sockets are asked
//           not to wait, files go to a helper, other blocking descriptors are polled first.
//           I2 nothing about a descriptor is remembered that is not looked at again (a_plain
//           is a hint), so a number that comes again is treated as what it is then.
//           I3 a peer that keeps up with its task does not keep the worker: a task whose calls
//           never have to wait yields after CHANRT__IO_TURN of them.
//   not     setting O_NONBLOCK on pipes and terminals: other processes share that flag
//   tests   unit/io.c spec/io.c stress/io_storm.c stress/io_many.c
//------------------------------------------------------------------------------

enum chanrt__io_op { CHANRT__IO_RECV, CHANRT__IO_SEND, CHANRT__IO_ACCEPT, CHANRT__IO_CONNECT };

struct chanrt__io_call {
    enum chanrt__io_op op;
    int fd;
    void *buf;              // or the address
    size_t n;
    chanrt_socklen *len;    // of accept
    bool begun;             // connect: under way
    ssize_t result;         // of a file's, from the helper
};
enum {
    CHANRT__IO_FILE = -100000, // an attempt's result: it would wait for a disk
    CHANRT__IO_TURN = 16       // calls: some 100 us
};

#if CHANRT__DESCRIPTORS
_Static_assert(__builtin_types_compatible_p(chanrt_socklen, socklen_t), "struct sockaddr's length");
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

// All attempts return their result or minus errno, and are not inlined: errno must be read on the
// thread that made the call.
CHANRT__NOINLINE static ssize_t chanrt__io_try_socket(const struct chanrt__io_call *c) {
    ssize_t r;
    do {
        r = c->op == CHANRT__IO_RECV ? recv(c->fd, c->buf, c->n, MSG_DONTWAIT)
                                     : send(c->fd, c->buf, c->n, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    return r >= 0 ? r : -errno;
}

CHANRT__NOINLINE static ssize_t chanrt__io_move(const struct chanrt__io_call *c, size_t n) {
    ssize_t r;
    do {
        r = c->op == CHANRT__IO_RECV ? read(c->fd, c->buf, n) : write(c->fd, c->buf, n);
    } while (r < 0 && errno == EINTR);
    return r >= 0 ? r : -errno;
}

// The same on a descriptor that would block: not at all if it can be helped.
CHANRT__NOINLINE static ssize_t chanrt__io_move_now(const struct chanrt__io_call *c, size_t n) {
#if CHANRT__LINUX && defined(SYS_preadv2)
    enum { NOWAIT = 8 };
    struct { void *base; size_t n; } part = { c->buf, n };
    long r;
    do {
        r = syscall(c->op == CHANRT__IO_RECV ? SYS_preadv2 : SYS_pwritev2, c->fd, &part, 1, -1L,
                    -1L, NOWAIT);
    } while (r < 0 && errno == EINTR);
    if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
        return r >= 0 ? r : -errno;
#endif
    return chanrt__io_move(c, n);
}

// What is no socket: a file, or one that is ready or not.
CHANRT__NOINLINE static ssize_t chanrt__io_try_plain(const struct chanrt__io_call *c) {
    enum { KIND = 0170000, DIRECTORY = 0040000, BLOCK = 0060000, REGULAR = 0100000 };
    struct stat s;
    if (fstat(c->fd, &s) != 0) return -errno;
    int kind = s.st_mode & KIND;
    if (kind == DIRECTORY || kind == BLOCK || kind == REGULAR) return CHANRT__IO_FILE;
    int flags = fcntl(c->fd, F_GETFL);
    if (flags < 0) return -errno;
    if (flags & O_NONBLOCK) return chanrt__io_move(c, c->n);
    int ready = chanrt__fd_ready(c->fd, c->op == CHANRT__IO_RECV ? CHANRT_IO_READ
                                                                 : CHANRT_IO_WRITE);
    if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
    // A pipe that is ready takes PIPE_BUF bytes, which is at least 512 and here 4096.
    size_t most = c->op == CHANRT__IO_SEND && c->n > 4096 ? 4096 : c->n;
    return chanrt__io_move_now(c, most);
}

static ssize_t chanrt__io_try_move(const struct chanrt__io_call *c, struct chanrt__fd *d) {
    if (!chanrt__atom_load(&d->a_plain) && c->n != 0) {
        ssize_t r = chanrt__io_try_socket(c);
        if (r != -ENOTSOCK) return r;
        chanrt__atom_store(&d->a_plain, 1);
    }
    return chanrt__io_try_plain(c);
}

CHANRT__NOINLINE static int chanrt__io_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    return 0;
}

CHANRT__NOINLINE static ssize_t chanrt__io_try_accept(const struct chanrt__io_call *c) {
    int err = chanrt__io_set_nonblocking(c->fd), fd;
    if (err < 0) return err;
    do {
#if CHANRT__LINUX
        fd = (int)syscall(SYS_accept4, c->fd, c->buf, c->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
        fd = accept(c->fd, (struct sockaddr *)c->buf, c->len);
#endif
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) return -errno;
#if !CHANRT__LINUX
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    chanrt__io_set_nonblocking(fd);
#endif
    return fd;
}

// Connects without waiting; then, each time the socket is writable, asks how it went.
CHANRT__NOINLINE static ssize_t chanrt__io_try_connect(struct chanrt__io_call *c) {
    if (!c->begun) {
        int err = chanrt__io_set_nonblocking(c->fd);
        if (err < 0) return err;
        if (connect(c->fd, (const struct sockaddr *)c->buf, (chanrt_socklen)c->n) == 0) return 0;
        if (errno == EAGAIN) return CHANRT__IO_FILE; // a local socket whose queue is full
        if (errno != EINPROGRESS && errno != EINTR && errno != EALREADY) return -errno;
        c->begun = true;
        return -EAGAIN;
    }
    int ready = chanrt__fd_ready(c->fd, CHANRT_IO_WRITE), err = 0;
    chanrt_socklen size = sizeof err;
    if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size) != 0) return -errno;
    return -err;
}

// Notes whether a read has emptied a TCP socket (F4). The edges are those of before the read.
CHANRT__NOINLINE static void chanrt__io_note(const struct chanrt__fd_look *look, int fd,
                                             bool emptied) {
    struct chanrt__fd *d = look->d;
    uint32_t kind = chanrt__atom_load(&d->source.a_kind);
    if (kind == CHANRT__FD_OTHER || !(chanrt__atom_load(&d->source.a_interest) & CHANRT_IO_READ))
        return;
    chanrt__atom_store(&d->a_drained, look->edges[0] - !emptied);
#if CHANRT_EPOLL && defined(SO_PROTOCOL)
    if (kind != 0) return;
    int protocol = 0;
    chanrt_socklen size = sizeof protocol;
    bool tcp = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == 6;
    // Only if no event has told of an end meanwhile.
    chanrt__atom_cas_acqrel(&d->source.a_kind, 0, // [kind]
                            tcp ? CHANRT__FD_ALIVE : CHANRT__FD_OTHER);
#else
    (void)fd;
#endif
}

static ssize_t chanrt__io_try(struct chanrt__io_call *c, struct chanrt__fd *d) {
    switch (c->op) {
    case CHANRT__IO_ACCEPT: return chanrt__io_try_accept(c);
    case CHANRT__IO_CONNECT: return chanrt__io_try_connect(c);
    default: return chanrt__io_try_move(c, d);
    }
}

static void chanrt__io_on_helper(void *arg) {
    struct chanrt__io_call *c = (struct chanrt__io_call *)arg;
    c->result = chanrt__io_move(c, c->n);
}
#else
static ssize_t chanrt__io_try(struct chanrt__io_call *c, struct chanrt__fd *d) {
    (void)c, (void)d;
    return -ENOSYS;
}

static void chanrt__io_on_helper(void *arg) { (void)arg; }
static void chanrt__io_note(const struct chanrt__fd_look *look, int fd, bool emptied) {
    (void)look, (void)fd, (void)emptied;
}
#endif

// Closing under somebody who reads is what chanrt_io_close is for. For TSan, which takes it for a
// race, each use of a descriptor comes before its close.
static inline void chanrt__io_order(struct chanrt__fd *d, bool closing) {
#if CHANRT__FIBERS
    if (d != NULL && closing) __tsan_acquire(d);
    else if (d != NULL) __tsan_release(d);
#else
    (void)d, (void)closing;
#endif
}

// An attempt that cannot be waited for by the poller.
static ssize_t chanrt__io_elsewhere(struct chanrt__io_call *c) {
    if (c->op == CHANRT__IO_CONNECT) {
        chanrt_task_sleep(CHANRT_MILLISECOND);
        return -EAGAIN;
    }
    int err = chanrt_task_blocking(chanrt__io_on_helper, c);
    return err != 0 ? -err : c->result;
}

// A call has succeeded (I3).
static void chanrt__io_take_turns(void) {
    struct chanrt__worker *w = chanrt__sched_self();
    if (w == NULL) return;
    if (w->io_run != w->a_switches) w->io_calls = 0;
    w->io_run = w->a_switches;
    if (++w->io_calls < CHANRT__IO_TURN) return;
    w->io_calls = 0;
    chanrt_task_yield();
}

// Attempts, waits, attempts again. Returns the result, or -1 with errno set.
static ssize_t chanrt__io_run(struct chanrt__io_call *c, int64_t ns) {
    int64_t deadline = ns < 0 ? CHANRT__FOREVER : chanrt__os_deadline(ns);
    int events = c->op == CHANRT__IO_RECV || c->op == CHANRT__IO_ACCEPT ? CHANRT_IO_READ
                                                                       : CHANRT_IO_WRITE;
    bool reads = c->op == CHANRT__IO_RECV && c->n > 0;
    struct chanrt__fd_look look;
    ssize_t r;
    chanrt__sched_point();
    for (;;) {
        r = -chanrt__fd_begin(&look, c->fd);
        if (r != 0) break;
        bool empty = reads && ns != 0 && chanrt__fd_empty(&look);
        r = empty ? -EAGAIN : chanrt__io_try(c, look.d);
        chanrt__io_order(look.d, false);
        if (reads && r > 0) chanrt__io_note(&look, c->fd, (size_t)r < c->n);
        bool elsewhere = r == CHANRT__IO_FILE;
        if (elsewhere) r = chanrt__io_elsewhere(c);
        if (r != -EAGAIN) break;
        if (ns >= 0 && chanrt_now() >= deadline) r = -ETIMEDOUT;
        else if (!elsewhere) r = -chanrt__fd_wait(&look, c->fd, events, deadline);
        else r = 0;
        if (r != 0) break;
    }
    chanrt__sched_point();
    if (r >= 0) {
        chanrt__io_take_turns();
        return r;
    }
    *chanrt_x_errno() = (int)-r;
    return -1;
}

CHANRT_API ssize_t chanrt_io_read_timeout(int fd, void *buf, size_t n, int64_t ns) {
    struct chanrt__io_call c = { .op = CHANRT__IO_RECV, .fd = fd, .buf = buf, .n = n };
    return chanrt__io_run(&c, ns);
}

CHANRT_API ssize_t chanrt_io_read(int fd, void *buf, size_t n) {
    return chanrt_io_read_timeout(fd, buf, n, -1);
}

CHANRT_API ssize_t chanrt_io_write_timeout(int fd, const void *buf, size_t n, int64_t ns) {
    struct chanrt__io_call c = { .op = CHANRT__IO_SEND, .fd = fd, .buf = (void *)(uintptr_t)buf,
                                 .n = n };
    return chanrt__io_run(&c, ns);
}

CHANRT_API ssize_t chanrt_io_write(int fd, const void *buf, size_t n) {
    return chanrt_io_write_timeout(fd, buf, n, -1);
}

CHANRT_API ssize_t chanrt_io_write_all(int fd, const void *buf, size_t n, int64_t ns) {
    int64_t deadline = ns < 0 ? -1 : chanrt__os_deadline(ns), left = ns;
    for (size_t done = 0; done < n || n == 0;) {
        ssize_t r = chanrt_io_write_timeout(fd, (const char *)buf + done, n - done, left);
        if (r < 0 || n == 0) return r;
        done += (size_t)r;
        if (ns > 0) left = deadline - chanrt_now() > 0 ? deadline - chanrt_now() : 0;
    }
    return (ssize_t)n;
}

CHANRT_API int chanrt_io_accept_timeout(int fd, struct sockaddr *addr, chanrt_socklen *len,
                                        int64_t ns) {
    struct chanrt__io_call c = { .op = CHANRT__IO_ACCEPT, .fd = fd, .buf = addr, .len = len };
    int got = (int)chanrt__io_run(&c, ns), err = 0;
    struct chanrt__fd *d = got >= 0 ? chanrt__fd_get(got, &err) : NULL;
    if (d != NULL) chanrt__poll_forget(&d->source); // who had the number closed it unseen
    return got;
}

CHANRT_API int chanrt_io_accept(int fd, struct sockaddr *addr, chanrt_socklen *len) {
    return chanrt_io_accept_timeout(fd, addr, len, -1);
}

CHANRT_API int chanrt_io_connect_timeout(int fd, const struct sockaddr *addr, chanrt_socklen len,
                                         int64_t ns) {
    struct chanrt__io_call c = { .op = CHANRT__IO_CONNECT, .fd = fd,
                                 .buf = (void *)(uintptr_t)addr, .n = len };
    int err = 0;
    struct chanrt__fd *d = chanrt__fd_get(fd, &err);
    if (d != NULL) chanrt__poll_forget(&d->source); // a new socket, most likely
    return (int)chanrt__io_run(&c, ns);
}

CHANRT_API int chanrt_io_connect(int fd, const struct sockaddr *addr, chanrt_socklen len) {
    return chanrt_io_connect_timeout(fd, addr, len, -1);
}

CHANRT_API int chanrt_io_wait(int fd, int events, int64_t timeout) {
    if (events <= 0 || events > (CHANRT_IO_READ | CHANRT_IO_WRITE)) return EINVAL;
    chanrt__sched_point();
    int64_t deadline = timeout < 0 ? CHANRT__FOREVER : chanrt__os_deadline(timeout);
    for (;;) {
        struct chanrt__fd_look look;
        int err = chanrt__fd_begin(&look, fd);
        if (err != 0) return err;
        int ready = chanrt__fd_ready(fd, events);
        if (ready != 0) return ready < 0 ? -ready : 0;
        if (timeout >= 0 && chanrt_now() >= deadline) return ETIMEDOUT;
        err = chanrt__fd_wait(&look, fd, events, deadline);
        if (err != 0) return err;
    }
}

CHANRT_API int chanrt_io_close(int fd) {
    int err = 0, kept = *chanrt_x_errno();
    chanrt__sched_point();
    if (!CHANRT__DESCRIPTORS) return ENOSYS;
    struct chanrt__fd *d = chanrt__fd_get(fd, &err);
    if (d != NULL) chanrt__fd_cancel(d);
    chanrt__io_order(d, true);
    if (close(fd) != 0 && *chanrt_x_errno() != EINTR) // which says that it is closed
        err = *chanrt_x_errno();
    else err = 0;
    if (d != NULL) chanrt__fd_closed(d);
    chanrt__sched_point();
    *chanrt_x_errno() = kept;
    return err;
}

struct chanrt__io_query {
    chanrt_x_resolver *fn;
    const char *host, *service;
    const struct addrinfo *hints;
    struct addrinfo **list;
    int result;
};

static void chanrt__io_ask(void *arg) {
    struct chanrt__io_query *q = (struct chanrt__io_query *)arg;
    q->result = q->fn(q->host, q->service, q->hints, q->list);
}

CHANRT_API int chanrt_x_io_resolve(chanrt_x_resolver *fn, int again, const char *host,
                                   const char *service, const struct addrinfo *hints,
                                   struct addrinfo **list) {
    struct chanrt__io_query q = { fn, host, service, hints, list, again };
    if (chanrt_task_blocking(chanrt__io_ask, &q) != 0) return again;
    return q.result;
}

//------------------------------------------------------------------------------
// >>signal    Signals as values.
//   uses    port fail atom os poll sched chan
//   owns    chanrt__signals, chanrt__signal_rung, chanrt__signal_bell
//   lock    chanrt__signals.mutex; under it a channel's, and what sched_ready takes
//   laws    G1 the handler counts, then rings: who hears the bell empties it, then takes the
//           counts. It calls write(2) and nothing else.
//           G2 what every thread blocks stays pending, where the second descriptor reads it: so
//           a signal arrives whoever is left to take it. Workers and helpers block most of them,
//           so one that is raised there is that thread's alone, who asks (chanrt__poll_ask_own).
//           G3 a channel is told of its end before its memory goes: it is on the list or gone.
//   not     signalfd alone: it needs the signal blocked in every thread, the program's too
//   tests   unit/io.c spec/signals.c
//------------------------------------------------------------------------------

#if CHANRT__DESCRIPTORS
enum { CHANRT__SIGNAL_MOST = 64, CHANRT__SIGNAL_ROOM = 8 };

struct chanrt__signal_channel {
    struct chanrt__signal_channel *next;
    struct chanrt__chan *chan;
    int sig;
};

static uint32_t chanrt__signal_rung[CHANRT__SIGNAL_MOST + 1]; // the handler's
static int chanrt__signal_bell = -1;                          // where it rings

static struct {
    pthread_mutex_t mutex;
    struct chanrt__source bell, blocked; // the other end; signals that nobody takes
    struct chanrt__signal_channel *first;
    int count[CHANRT__SIGNAL_MOST + 1];  // channels for each
    uint64_t mask;                       // those with any
    chanrt__os_action old[CHANRT__SIGNAL_MOST + 1];
} chanrt__signals = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void chanrt__signal_handler(int sig, void *info, void *context) {
    int kept = errno;
    uint64_t one = 1;
    (void)info, (void)context;
    chanrt__atom_add_seq(&chanrt__signal_rung[sig], 1); // [rung] before the bell
    int bell = chanrt__atom_load_acq(&chanrt__signal_bell); // [rung]
    if (write(bell, &one, CHANRT_EPOLL ? sizeof one : 1) < 0) errno = kept; // it rings already
    errno = kept;
}

static void chanrt__signal_deliver_locked(int sig, uint32_t times) {
    for (struct chanrt__signal_channel *c = chanrt__signals.first; c != NULL; c = c->next)
        for (uint32_t i = 0; c->sig == sig && i < times && i < CHANRT__SIGNAL_ROOM; i++)
            chanrt__chan_send(c->chan, &sig, false); // full: a slow reader loses it
}

// Empties one of the two descriptors.
static void chanrt__signal_read_locked(const struct chanrt__source *s) {
    union {
        uint32_t signal; // the first field of the kernel's record of 128 bytes
        char record[128];
    } got;
    while (read(s->fd, got.record, sizeof got.record) > 0)
        if (s == &chanrt__signals.blocked && got.signal <= CHANRT__SIGNAL_MOST)
            chanrt__signal_deliver_locked((int)got.signal, 1);
}

// What was raised on the calling thread, which blocks it.
static void chanrt__signal_own(void) {
    int kept = errno;
    pthread_mutex_lock(&chanrt__signals.mutex);
    chanrt__signal_read_locked(&chanrt__signals.blocked);
    pthread_mutex_unlock(&chanrt__signals.mutex);
    errno = kept;
}

// One of the two is readable.
static void chanrt__signal_fire(struct chanrt__source *s, int directions) {
    (void)directions;
    chanrt__atom_store(&s->a_edges[0], chanrt__atom_load(&s->a_edges[0]) + 1);
    pthread_mutex_lock(&chanrt__signals.mutex);
    chanrt__signal_read_locked(s);
    for (int sig = 1; sig <= CHANRT__SIGNAL_MOST; sig++) {
        if (chanrt__atom_load(&chanrt__signal_rung[sig]) == 0) continue;
        uint32_t n = chanrt__atom_swap_acqrel(&chanrt__signal_rung[sig], 0); // [rung]
        chanrt__signal_deliver_locked(sig, n);
    }
    if (!CHANRT_EPOLL && s->fd >= 0) chanrt__poll_arm(s, CHANRT_IO_READ, -1, 0);
    pthread_mutex_unlock(&chanrt__signals.mutex);
}

static void chanrt__signal_close_locked(void) {
    struct chanrt__source *two[] = { &chanrt__signals.bell, &chanrt__signals.blocked };
    if (chanrt__signal_bell < 0) return;
    for (int i = 0; i < 2; i++) {
        if (two[i]->fd >= 0) {
            chanrt__poll_forget(two[i]);
            close(two[i]->fd);
        }
        two[i]->fd = -1;
    }
    if (!CHANRT_EPOLL) close(chanrt__signal_bell);
    chanrt__atom_store(&chanrt__signal_bell, -1);
    chanrt__atom_store(&chanrt__poll.a_own, NULL);
}

// The descriptor that reads the signals of the mask which every thread blocks.
static int chanrt__signal_set_blocked(int fd) {
#if CHANRT__LINUX
    if (CHANRT__FAULT(signalfd)) return -1;
    return (int)syscall(SYS_signalfd4, fd, &chanrt__signals.mask, sizeof chanrt__signals.mask,
                        02000000 | 04000); // CLOEXEC, NONBLOCK
#else
    return fd;
#endif
}

static bool chanrt__signal_open_locked(void) {
    int ends[2] = { -1, -1 };
    if (chanrt__signal_bell >= 0) return true;
#if CHANRT_EPOLL
    ends[0] = ends[1] = CHANRT__FAULT(eventfd) ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
#else
    if (!CHANRT__FAULT(pipe) && pipe(ends) != 0) ends[0] = ends[1] = -1;
    for (int i = 0; i < 2 && ends[0] >= 0; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
#endif
    chanrt__signals.bell.fd = ends[0];
    chanrt__atom_store_rel(&chanrt__signals.bell.fire, chanrt__signal_fire);    // [fire]
    chanrt__atom_store_rel(&chanrt__signals.blocked.fire, chanrt__signal_fire); // [fire]
    chanrt__signals.blocked.fd = -1;
    if (ends[0] < 0) return false;
    chanrt__atom_store_rel(&chanrt__signal_bell, ends[1]); // [rung]
    chanrt__signals.blocked.fd = chanrt__signal_set_blocked(-1);
    bool good = chanrt__poll_arm(&chanrt__signals.bell, CHANRT_IO_READ, -1, 0) == 0;
    if (CHANRT__LINUX)
        good = good && chanrt__signals.blocked.fd >= 0 &&
               chanrt__poll_arm(&chanrt__signals.blocked, CHANRT_IO_READ, -1, 0) == 0;
    if (!good) chanrt__signal_close_locked();
    else if (CHANRT__LINUX) chanrt__atom_store(&chanrt__poll.a_own, chanrt__signal_own);
    return good;
}

// One more or one less channel for the signal. 0 or an error.
static int chanrt__signal_count_locked(int sig, int n) {
    int err = 0, had = chanrt__signals.count[sig];
    if (had == 0)
        err = chanrt__os_catch(sig, chanrt__signal_handler, &chanrt__signals.old[sig]);
    if (err != 0) return err;
    chanrt__signals.count[sig] += n;
    uint64_t bit = (uint64_t)1 << (sig - 1);
    if (had + n == 0) chanrt__os_uncatch(sig, &chanrt__signals.old[sig]);
    if (had + n == 0) chanrt__signals.mask &= ~bit;
    else chanrt__signals.mask |= bit;
    if (had == 0 || had + n == 0) chanrt__signal_set_blocked(chanrt__signals.blocked.fd);
    return 0;
}

// The channel's last reference is gone.
static void chanrt__signal_freed(struct chanrt__chan *c) {
    struct chanrt__signal_channel *gone = NULL;
    pthread_mutex_lock(&chanrt__signals.mutex);
    struct chanrt__signal_channel **at = &chanrt__signals.first;
    while (*at != NULL && (*at)->chan != c) at = &(*at)->next;
    gone = *at;
    if (gone != NULL) {
        *at = gone->next;
        chanrt__signal_count_locked(gone->sig, -1);
        chanrt__sched_expect(-1);
        if (chanrt__signals.first == NULL) chanrt__signal_close_locked();
    }
    pthread_mutex_unlock(&chanrt__signals.mutex);
    CHANRT_FREE(gone);
}

CHANRT_API chanrt_chan_receiver(int) chanrt_chan_signal(int sig) {
    chanrt__sched_point();
    if (sig < 1 || sig > CHANRT__SIGNAL_MOST || sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE ||
        sig == SIGILL || chanrt__sched_watch() != 0)
        return NULL;
    struct chanrt__signal_channel *s =
        (struct chanrt__signal_channel *)CHANRT_MALLOC(sizeof *s);
    struct chanrt__chan *c =
        chanrt__chan_make(sizeof(int), CHANRT__ALIGNOF(int), CHANRT__SIGNAL_ROOM, 0);
    pthread_mutex_lock(&chanrt__signals.mutex);
    bool good = s != NULL && c != NULL && chanrt__signal_open_locked() &&
                chanrt__signal_count_locked(sig, 1) == 0;
    if (good) {
        *s = (struct chanrt__signal_channel){ chanrt__signals.first, c, sig };
        chanrt__signals.first = s;
        c->freed = chanrt__signal_freed;
        chanrt__sched_expect(1);
    } else if (chanrt__signals.first == NULL) {
        chanrt__signal_close_locked();
    }
    pthread_mutex_unlock(&chanrt__signals.mutex);
    if (good) return (chanrt_chan_receiver(int))(void *)c;
    CHANRT_FREE(s);
    if (c != NULL) chanrt__chan_destroy(c);
    return NULL;
}

// Gives all signals back; channels that are left receive no more.
static void chanrt__signal_shutdown(void) {
    pthread_mutex_lock(&chanrt__signals.mutex);
    while (chanrt__signals.first != NULL) {
        struct chanrt__signal_channel *s = chanrt__signals.first;
        chanrt__signals.first = s->next;
        s->chan->freed = NULL;
        chanrt__signal_count_locked(s->sig, -1);
        CHANRT_FREE(s);
    }
    chanrt__signal_close_locked();
    pthread_mutex_unlock(&chanrt__signals.mutex);
}
#else
CHANRT_API chanrt_chan_receiver(int) chanrt_chan_signal(int sig) { return (void)sig, NULL; }
static void chanrt__signal_shutdown(void) {}
#endif

//------------------------------------------------------------------------------
// >>inside    Looking at a running program.
//   uses    port fail atom os stack task sched debug wait chan
//   laws    What is looked at may change and go meanwhile: whatever a task's own record does not
//           hold is read by the kernel (chanrt__os_peek), and believed only if the task was seen
//           in the same wait before and after. Nothing is allocated but address space.
//   tests   spec/inside.c spec/runtime.c spec/deadlock.c
//
//   To tell more of a new reason to wait: a line in chanrt__task_reasons (>>task), and if its
//   object has something to say, a case in chanrt__inside_operand.
//------------------------------------------------------------------------------

enum {
    CHANRT__INSIDE_CASES = 3,     // of a select that are printed
    CHANRT__INSIDE_NODES = 64,    // of a select that are counted
    CHANRT__INSIDE_GROUPS = 1024, // kinds of tasks told apart
    CHANRT__INSIDE_OBJECTS = 8192,
    CHANRT__INSIDE_ALIKE = 4,     // so many tasks of a kind share a line
    CHANRT__INSIDE_CHANNELS = 50  // listed at the end
};

// One task, or thread, as it was at one moment.
struct chanrt__inside_seen {
    uint64_t id;                  // 0: a thread
    char name[48];
    const chanrt_x_site *site;
    int reason;
    bool running;
    const void *object;
    int64_t since;
    size_t used, size;            // bytes of stack; size 0: it has none, or it is not known
    const chanrt_x_site *at;      // of the call it waits in; NULL: it noted none
    int cases;                    // of a select
    struct {
        const void *object;
        bool send;
    } first[CHANRT__INSIDE_NODES];
};

// Tasks spawned at one place that are in one state.
struct chanrt__inside_group {
    const chanrt_x_site *site;
    int reason;
    bool running, same, told;     // same: they all wait for one object
    uint64_t count;
    const void *object;
    int64_t oldest, youngest;     // since when they wait
};

struct chanrt__inside_object {
    const void *object;
    bool chan;
    uint32_t waiting[2], selects; // receivers or others, senders
};

struct chanrt__inside_view {
    struct chanrt__inside_group groups[CHANRT__INSIDE_GROUPS];
    struct chanrt__inside_object objects[CHANRT__INSIDE_OBJECTS];
};

static bool chanrt__inside_running(struct chanrt__task *t) {
    for (int i = 0; i < chanrt__pool.count; i++)
        if (chanrt__atom_load(&chanrt__pool.workers[i].a_current) == t) return true;
    return false;
}

// The cases of a select, from the wait on the task's stack: a node's lock is its channel.
static void chanrt__inside_cases(const void *wait_at, struct chanrt__inside_seen *e) {
    struct chanrt__wait wait = { .count = 0 };
    struct chanrt__waiter node = { .next = NULL };
    if (chanrt__os_peek(&wait, wait_at, sizeof wait) != sizeof wait) return;
    if (wait.count < 0 || wait.count > CHANRT__INSIDE_NODES) wait.count = CHANRT__INSIDE_NODES;
    for (; e->cases < wait.count; e->cases++) {
        if (chanrt__os_peek(&node, wait.nodes + e->cases, sizeof node) != sizeof node) break;
        struct chanrt__chan *c = (struct chanrt__chan *)(void *)node.lock;
        e->first[e->cases].object = c;
        e->first[e->cases].send = (uintptr_t)node.queue == (uintptr_t)c +
                                                               offsetof(struct chanrt__chan, sendq);
    }
}

static void chanrt__inside_stack(const struct chanrt__task *copy, struct chanrt__inside_seen *e) {
#if !CHANRT_UCONTEXT
    struct chanrt__stack stack = { .next = NULL };
    if (copy->stack == NULL) return;
    if (chanrt__os_peek(&stack, copy->stack, sizeof stack) != sizeof stack) return;
    if ((char *)copy->ctx.sp < stack.low || (char *)copy->ctx.sp > stack.top) return;
    e->used = (size_t)(stack.top - (char *)copy->ctx.sp);
    e->size = chanrt__stack_size(stack.class);
#else
    (void)copy, (void)e;
#endif
}

// The record as it is now; its owner may be writing to it. False: no task is in it.
static bool chanrt__inside_copy(struct chanrt__task *copy, struct chanrt__task *t) {
    if (chanrt__atom_load(&t->a_id) == 0) return false;
    if (chanrt__os_peek(copy, t, sizeof *copy) != sizeof *copy) {
        memset(copy, 0, sizeof *copy);
        copy->a_id = chanrt__atom_load(&t->a_id);
        copy->a_reason = chanrt__atom_load(&t->a_reason);
        copy->a_site = chanrt__atom_load(&t->a_site);
        copy->a_name = chanrt__atom_load(&t->a_name);
        copy->u.run.a_object = chanrt__atom_load(&t->u.run.a_object);
        copy->u.run.a_since = chanrt__atom_load(&t->u.run.a_since);
    }
    return copy->a_id != 0 && copy->a_site != NULL && copy->a_reason != CHANRT__PREPARED;
}

// Looks at t; false: there is no task in the record.
static bool chanrt__inside_look(struct chanrt__task *t, struct chanrt__inside_seen *e) {
    struct chanrt__task seen, again;
    for (int tries = 0; chanrt__inside_copy(&seen, t); tries++) {
        memset(e, 0, offsetof(struct chanrt__inside_seen, first));
        e->id = seen.a_id;
        e->site = seen.a_site;
        e->reason = seen.a_reason;
        if (seen.a_name == seen.a_site->name ||
            chanrt__os_peek(e->name, seen.a_name, sizeof e->name - 1) == 0)
            snprintf(e->name, sizeof e->name, "%s", e->site->name);
        e->running = e->reason == CHANRT__NOT_WAITING && chanrt__inside_running(t);
        if (e->reason == CHANRT__NOT_WAITING) return true;
        e->since = seen.u.run.a_since;
        CHANRT__IF_DEBUG(e->at = seen.a_waits;)
        if (tries == 3) return true; // it comes and goes: without its object
        e->object = seen.u.run.a_object;
        if (e->reason == CHANRT__WAIT_SELECT) chanrt__inside_cases(seen.u.run.wait, e);
        chanrt__inside_stack(&seen, e);
        if (chanrt__inside_copy(&again, t) && seen.a_id == again.a_id &&
            seen.a_reason == again.a_reason && seen.u.run.a_object == again.u.run.a_object &&
            seen.u.run.a_since == again.u.run.a_since)
            return true;
    }
    return false;
}

static void chanrt__inside_look_thread(struct chanrt__os_thread *t, struct chanrt__inside_seen *e) {
    memset(e, 0, offsetof(struct chanrt__inside_seen, first));
    e->reason = t->reason;
    e->object = t->object;
    e->since = t->since;
    CHANRT__IF_DEBUG(e->at = t->at;)
}

// --- who waits for what

static struct chanrt__inside_object *chanrt__inside_object(struct chanrt__inside_view *v,
                                                           const void *object) {
    if (v == NULL || object == NULL) return NULL;
    uint32_t at = (uint32_t)((uintptr_t)object >> 4) * 2654435761u;
    for (uint32_t i = 0; i < 64; i++) {
        struct chanrt__inside_object *o = &v->objects[(at + i) % CHANRT__INSIDE_OBJECTS];
        if (o->object == NULL) o->object = object;
        if (o->object == object) return o;
    }
    return NULL; // too many: it goes uncounted
}

static struct chanrt__inside_group *chanrt__inside_group(struct chanrt__inside_view *v,
                                                         const struct chanrt__inside_seen *e) {
    if (v == NULL) return NULL;
    uint32_t at = (uint32_t)((uintptr_t)e->site >> 3) * 2654435761u + (uint32_t)e->reason;
    for (uint32_t i = 0; i < 64; i++) {
        struct chanrt__inside_group *g = &v->groups[(at + i) % CHANRT__INSIDE_GROUPS];
        if (g->site == NULL) {
            *g = (struct chanrt__inside_group){
                .site = e->site, .reason = e->reason, .running = e->running, .same = true,
                .object = e->object, .oldest = e->since, .youngest = e->since
            };
        }
        if (g->site == e->site && g->reason == e->reason && g->running == e->running) return g;
    }
    return NULL;
}

static void chanrt__inside_count(struct chanrt__inside_view *v,
                                 const struct chanrt__inside_seen *e) {
    bool chan = e->reason == CHANRT__WAIT_SEND || e->reason == CHANRT__WAIT_RECV;
    struct chanrt__inside_object *o = chanrt__inside_object(v, e->object);
    if (o != NULL && e->cases == 0) {
        o->waiting[e->reason == CHANRT__WAIT_SEND]++;
        o->chan |= chan;
    }
    for (int i = 0; i < e->cases; i++) {
        o = chanrt__inside_object(v, e->first[i].object);
        if (o == NULL) continue;
        o->selects++;
        o->chan = true;
    }
    struct chanrt__inside_group *g = e->id != 0 ? chanrt__inside_group(v, e) : NULL;
    if (g == NULL) return;
    g->count++;
    g->same = g->same && g->object == e->object;
    if (e->since < g->oldest) g->oldest = e->since;
    if (e->since > g->youngest) g->youngest = e->since;
}

// --- printing

static void chanrt__inside_chan(FILE *f, const void *object, uint32_t waiting) {
    struct chanrt__chan c = { .a_lock = 0 };
    fprintf(f, " %p", object);
    if (chanrt__os_peek(&c, object, sizeof c) != sizeof c) return;
    fprintf(f, " (cap %zu, %zu queued", c.cap, c.a_count);
    if (c.a_closed) fputs(", closed", f);
    if (waiting > 0) fprintf(f, ", %u waiting", waiting);
    fputc(')', f);
}

// What a task waits for. Rooms above may have their own cases here.
static void chanrt__inside_operand(FILE *f, struct chanrt__inside_view *v,
                                   const struct chanrt__inside_seen *e) {
    struct chanrt__inside_object *o = chanrt__inside_object(v, e->object);
    chanrt_waitgroup wg = { .x_count = 0 };
    chanrt_sync_sem sem = { .a_state = 0 };
    uint32_t word = 0; // of a rwmutex, its first field
    chanrt_task_group g = { .x_active = 0 };
    switch (e->reason) {
    case CHANRT__WAIT_SEND:
    case CHANRT__WAIT_RECV:
        if (e->object == NULL) break;
        chanrt__inside_chan(f, e->object,
                            o != NULL ? o->waiting[e->reason == CHANRT__WAIT_SEND] : 0);
        break;
    case CHANRT__WAIT_SELECT:
        for (int i = 0; i < e->cases && i < CHANRT__INSIDE_CASES; i++)
            fprintf(f, "%s%s %p", i == 0 ? " (" : ", ", e->first[i].send ? "send" : "receive",
                    e->first[i].object);
        if (e->cases > CHANRT__INSIDE_CASES)
            fprintf(f, ", %d more", e->cases - CHANRT__INSIDE_CASES);
        if (e->cases > 0) fputc(')', f);
        break;
    case CHANRT__WAIT_GROUP:
        fprintf(f, " %p", e->object);
        if (e->object != NULL && chanrt__os_peek(&wg, e->object, sizeof wg) == sizeof wg)
            fprintf(f, " (count %lld)", (long long)wg.x_count);
        break;
    case CHANRT__WAIT_TASKS:
    case CHANRT__WAIT_LIMIT:
        fprintf(f, " %p", e->object);
        if (chanrt__os_peek(&g, e->object, sizeof g) == sizeof g)
            fprintf(f, " (%lld running)", (long long)g.x_active);
        break;
    case CHANRT__WAIT_IO: fprintf(f, " fd %d", (int)(intptr_t)e->object); break;
    case CHANRT__WAIT_RLOCK:
    case CHANRT__WAIT_WLOCK:
        fprintf(f, " %p", e->object);
        if (e->object == NULL || chanrt__os_peek(&word, e->object, sizeof word) != sizeof word)
            break;
        if (word & CHANRT_X_LOCKED) fputs(" (a writer has it)", f);
        else fprintf(f, " (%u readers have it)", word / CHANRT_X_READER);
        break;
    case CHANRT__WAIT_SEM:
        fprintf(f, " %p", e->object);
        if (e->object != NULL && chanrt__os_peek(&sem, e->object, sizeof sem) == sizeof sem)
            fprintf(f, " (%u of %d free)", sem.a_state >> 1, sem.x_size);
        break;
    default:
        if (e->object != NULL) fprintf(f, " %p", e->object);
    }
}

static double chanrt__inside_age(int64_t since) {
    int64_t age = chanrt_now() - since;
    return (double)(age > 0 ? age : 0) / 1e9;
}

static void chanrt__inside_state(FILE *f, struct chanrt__inside_view *v,
                                 const struct chanrt__inside_seen *e) {
    if (e->reason == CHANRT__NOT_WAITING) {
        fputs(e->running ? "[running]" : "[runnable]", f);
        return;
    }
    fprintf(f, "[%s", chanrt__task_reasons[e->reason]);
    chanrt__inside_operand(f, v, e);
    fprintf(f, ", %.3f s]", chanrt__inside_age(e->since));
    if (e->at != NULL) fprintf(f, " in %s at %s:%d,", e->at->name, e->at->file, e->at->line);
}

static void chanrt__inside_print(FILE *f, struct chanrt__inside_view *v,
                                 const struct chanrt__inside_seen *e) {
    fprintf(f, "task %llu \"%s\" ", (unsigned long long)e->id, e->name);
    chanrt__inside_state(f, v, e);
    if (e->size > 0)
        fprintf(f, " stack %.1f of %zu KiB,", (double)e->used / 1024, e->size >> 10);
    fprintf(f, " spawned at %s:%d", e->site->file, e->site->line);
}

static void chanrt__inside_print_group(FILE *f, struct chanrt__inside_view *v,
                                       const struct chanrt__inside_group *g,
                                       const struct chanrt__inside_seen *e) {
    fprintf(f, "%llu tasks \"%s\" [", (unsigned long long)g->count, g->site->name);
    if (g->reason == CHANRT__NOT_WAITING) {
        fputs(g->running ? "running" : "runnable", f);
    } else {
        fputs(chanrt__task_reasons[g->reason], f);
        if (g->same) chanrt__inside_operand(f, v, e);
        fprintf(f, ", %.3f to %.3f s", chanrt__inside_age(g->youngest),
                chanrt__inside_age(g->oldest));
    }
    fprintf(f, "] spawned at %s:%d, such as task %llu", g->site->file, g->site->line,
            (unsigned long long)e->id);
}

static void chanrt__inside_print_channels(FILE *f, struct chanrt__inside_view *v) {
    int listed = 0, left = 0;
    for (int i = 0; v != NULL && i < CHANRT__INSIDE_OBJECTS; i++) {
        struct chanrt__inside_object *o = &v->objects[i];
        if (!o->chan) continue;
        if (listed == CHANRT__INSIDE_CHANNELS) {
            left++;
            continue;
        }
        if (listed++ == 0) fputs("channels waited for:\n", f);
        fputs("chan", f);
        chanrt__inside_chan(f, o->object, 0);
        fprintf(f, ": %u senders, %u receivers, %u selects wait", o->waiting[1], o->waiting[0],
                o->selects);
        CHANRT__IF_DEBUG(chanrt__debug_tell_made(f, o->object);)
        fputc('\n', f);
    }
    if (left > 0) fprintf(f, "and %d more\n", left);
}

// Calls visit for every task.
static void chanrt__inside_each(void (*visit)(struct chanrt__inside_seen *, void *), void *arg) {
    struct chanrt__inside_seen e;
    for (struct chanrt__slab *s = chanrt__atom_load_acq(&chanrt__slabs.first); s != NULL; // [slab]
         s = s->next)
        for (size_t i = 0; i < s->count; i++)
            if (chanrt__inside_look(&s->tasks[i], &e)) visit(&e, arg);
}

struct chanrt__inside_dump {
    FILE *f;
    struct chanrt__inside_view *view;
};

static void chanrt__inside_visit_count(struct chanrt__inside_seen *e, void *arg) {
    chanrt__inside_count(((struct chanrt__inside_dump *)arg)->view, e);
}

// The line of a task, or of all that are like it; false: that one has been written.
static bool chanrt__inside_tell(FILE *f, struct chanrt__inside_view *v,
                                const struct chanrt__inside_seen *e) {
    struct chanrt__inside_group *g = chanrt__inside_group(v, e);
    if (g != NULL && g->told) return false;
    if (g == NULL || g->count < CHANRT__INSIDE_ALIKE) {
        chanrt__inside_print(f, v, e);
    } else {
        g->told = true;
        chanrt__inside_print_group(f, v, g, e);
    }
    return true;
}

static void chanrt__inside_visit_print(struct chanrt__inside_seen *e, void *arg) {
    struct chanrt__inside_dump *d = (struct chanrt__inside_dump *)arg;
    if (chanrt__inside_tell(d->f, d->view, e)) fputc('\n', d->f);
}

// Every task, every ordinary thread that is blocked for ever, the channels they wait for. Without
// memory for the view nothing is counted or grouped. The pool mutex is held.
static void chanrt__inside_dump_locked(FILE *f) {
    struct chanrt__inside_seen e;
    struct chanrt__inside_dump dump = { f, NULL };
    dump.view = (struct chanrt__inside_view *)chanrt__os_map(sizeof *dump.view);
    if (dump.view != NULL) chanrt__inside_each(chanrt__inside_visit_count, &dump);
    long blocked = chanrt__atom_load(&chanrt__pool.a_blocked);
    for (struct chanrt__os_thread *t = chanrt__pool.threads; t != NULL; t = t->next) {
        chanrt__inside_look_thread(t, &e);
        if (dump.view != NULL) chanrt__inside_count(dump.view, &e);
    }
    chanrt__inside_each(chanrt__inside_visit_print, &dump);
    if (blocked > 0)
        fprintf(f, "%ld thread%s of the program's own, blocked for ever:\n", blocked,
                blocked == 1 ? "" : "s");
    for (struct chanrt__os_thread *t = chanrt__pool.threads; t != NULL; t = t->next) {
        chanrt__inside_look_thread(t, &e);
        fputs("thread ", f);
        chanrt__inside_state(f, dump.view, &e);
        fputc('\n', f);
    }
    chanrt__inside_print_channels(f, dump.view);
    if (dump.view != NULL) chanrt__os_unmap(dump.view, sizeof *dump.view);
}

CHANRT_API void chanrt_dump(FILE *f) {
    if (f == NULL) return;
    chanrt__sched_point();
    pthread_mutex_lock(&chanrt__pool.mutex);
    chanrt__inside_dump_locked(f);
    pthread_mutex_unlock(&chanrt__pool.mutex);
}

// --- figures

static uint64_t chanrt__inside_queued(struct chanrt__worker *w) {
    return (uint64_t)chanrt__atom_load(&w->a_len) + chanrt__atom_load(&w->a_pinned_len) +
           (chanrt__atom_load(&w->a_next) != NULL);
}

CHANRT_API void chanrt_stats(chanrt_statistics *s) {
    if (s == NULL) return;
    chanrt__sched_point();
    memset(s, 0, sizeof *s);
    pthread_mutex_lock(&chanrt__pool.mutex);
    chanrt__sched_note_peak();
    s->workers = (uint64_t)chanrt__pool.count;
    s->workers_idle = (uint64_t)chanrt__pool.idle_count;
    s->threads_blocked = (uint64_t)chanrt__atom_load(&chanrt__pool.a_blocked);
    s->tasks_live = chanrt__sched_live();
    s->tasks_peak = chanrt__atom_load(&chanrt__pool.a_peak);
    s->tasks_spawned = chanrt__atom_load(&chanrt__pool.a_spawned_outside);
    s->queued = s->queued_shared = chanrt__atom_load(&chanrt__pool.a_shared_len);
    s->wakes = chanrt__pool.a_wakes;
    for (int i = 0; i < chanrt__pool.count; i++) {
        struct chanrt__worker *w = &chanrt__pool.workers[i];
        s->tasks_spawned += chanrt__atom_load(&w->a_spawned);
        s->switches += chanrt__atom_load(&w->a_switches);
        s->parks += chanrt__atom_load(&w->a_parks);
        s->steals += chanrt__atom_load(&w->a_steals);
        s->queued += chanrt__inside_queued(w);
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    for (int class = 0; class < CHANRT__STACK_CLASSES; class ++) {
        s->stacks += chanrt__atom_load(&chanrt__stacks[class].a_made);
        s->bytes_held += chanrt__atom_load(&chanrt__stacks[class].a_bytes);
    }
    s->bytes_held += chanrt__atom_load(&chanrt__slabs.a_bytes);
}

CHANRT_API int chanrt_worker_stats(int worker, chanrt_worker_statistics *s) {
    if (s == NULL) return EINVAL;
    int err = EINVAL;
    pthread_mutex_lock(&chanrt__pool.mutex);
    if (worker >= 0 && worker < chanrt__pool.count) {
        struct chanrt__worker *w = &chanrt__pool.workers[worker];
        struct chanrt__task *t = chanrt__atom_load_acq(&w->a_current); // [current]
        *s = (chanrt_worker_statistics){
            .task = t != NULL ? chanrt__atom_load(&t->a_id) : 0,
            .idle = w->idle,
            .queued = chanrt__inside_queued(w),
            .run_ns = chanrt__atom_load(&w->a_slice),
            .spawned = chanrt__atom_load(&w->a_spawned),
            .finished = chanrt__atom_load(&w->a_finished),
            .switches = chanrt__atom_load(&w->a_switches),
            .parks = chanrt__atom_load(&w->a_parks),
            .steals = chanrt__atom_load(&w->a_steals),
        };
        err = 0;
    }
    pthread_mutex_unlock(&chanrt__pool.mutex);
    return err;
}

//------------------------------------------------------------------------------
// >>leaks   Tasks that wait for what nothing can reach that could still run.
//   uses    port atom os stack task det trace sched held wait chan sync inside
//   laws    As a garbage collector marks: what a task waits for for ever is in reach if its address
//           stands in memory that is in reach, and then so are the task and its stack. In reach
//           from the start: the stacks of tasks that run, can run or will by themselves, threads'
//           stacks, data, the heap. Not looked at, or everything would be in reach: this
//           library's records, wait queues, stacks not in use, and the objects' own bodies.
//           The program's memory is read by the kernel, as in >>inside; records and stacks, which
//           stay where they are until a shutdown, are read directly. Nobody is stopped: what is
//           looked at may change meanwhile, so who is named was found in the same wait by several
//           looks, a moment apart.
//   not     stopping the threads by a signal: it would end their poll and nanosleep with EINTR
//   tests   spec/leaks.c
//
//   An address in an object, or of the block or stack frames around it up to it, stands for it:
//   programs keep locks in structs, and hold those. A channel's is its own.
//------------------------------------------------------------------------------

enum {
    CHANRT__LEAKS_WORDS = 8192,       // read at a time
    CHANRT__LEAKS_PAGES = 512,
    CHANRT__LEAKS_LOOKS = 6,          // that have to agree
    CHANRT__LEAKS_FILTER = 1 << 20,   // bits
    CHANRT__LEAKS_THREADS = 4096,
    CHANRT__LEAKS_BLOCK = 64 << 10    // at most so far into its block an object is looked for
};

struct chanrt__leaks_pair {
    uint64_t key, value;
};
static const uint64_t chanrt__leaks_embedded = (uint64_t)1 << 63; // in a key: not a channel

struct chanrt__leaks_object {
    uintptr_t at, low, end;           // low: the least address that stands for it; 0: not known
    uintptr_t body;                   // a channel's end with its values
    size_t first, count;              // who waits: refs
    bool live;
};

struct chanrt__leaks_task {
    struct chanrt__task *task;
    uint64_t turn;                    // its id and since when it waits: this wait and no other
    uintptr_t low, sp, top;           // of its stack; 0: it has none
    bool live;
};

struct chanrt__leaks {
    size_t bytes, room;               // of all this; of each array
    struct chanrt__leaks_task *tasks;
    struct chanrt__leaks_pair *refs;   // an object, and in value a task and the object's size
    struct chanrt__leaks_pair *ranges; // not to be read
    struct chanrt__leaks_pair *stacks; // its low end, and whose
    struct chanrt__leaks_pair *found;  // the leaked of the last look: task, turn
    struct chanrt__leaks_object *objects; // channels first, each kind by address
    uint64_t *work;                   // live, and yet to be read: a task, or an object with bit 0
    size_t task_count, ref_count, range_count, stack_count, found_count, object_count, chan_count;
    size_t work_count;
    bool full;                        // more than there was room for
    uintptr_t here, main_sp;          // the caller's frame; the main thread's, 0: not known
    bool unknown;                     // some thread's stack is not known: it may be any memory
    uintptr_t data_end, guard_end;    // of the data segment, or what may not be read, just visited
    uintptr_t least, most;            // of what stands for any object
    uintptr_t widest;                 // the most from an object's low to itself
    size_t next_range;                // of a walk in order
    uintptr_t skip;
    int map;
    size_t thread_count;
    uintptr_t threads[CHANRT__LEAKS_THREADS];
    uint64_t filter[CHANRT__LEAKS_FILTER / 64];
    uint64_t touched[CHANRT__LEAKS_PAGES];
    uintptr_t words[CHANRT__LEAKS_WORDS];
};

// --- sorted arrays

static void chanrt__leaks_sift(struct chanrt__leaks_pair *a, size_t i, size_t n) {
    struct chanrt__leaks_pair x = a[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && a[child + 1].key > a[child].key) child++;
        if (a[child].key <= x.key) break;
        a[i] = a[child];
    }
    a[i] = x;
}

static void chanrt__leaks_sort(struct chanrt__leaks_pair *a, size_t n) {
    for (size_t i = n / 2; i-- > 0;) chanrt__leaks_sift(a, i, n);
    while (n-- > 1) {
        struct chanrt__leaks_pair most = a[0];
        a[0] = a[n];
        a[n] = most;
        chanrt__leaks_sift(a, 0, n);
    }
}

// The first of those whose key is above `key`, and n if there is none.
static size_t chanrt__leaks_above(const struct chanrt__leaks_pair *a, size_t n, uint64_t key) {
    size_t low = 0;
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        if (a[mid].key > key) n = mid;
        else low = mid + 1;
    }
    return low;
}

// The first object from `low` on that ends above v.
static size_t chanrt__leaks_ends_above(const struct chanrt__leaks *l, size_t low, size_t n,
                                       uintptr_t v) {
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        if (l->objects[mid].end > v) n = mid;
        else low = mid + 1;
    }
    return low;
}

static void chanrt__leaks_push(struct chanrt__leaks *l, struct chanrt__leaks_pair *a, size_t *n,
                               uint64_t key, uint64_t value) {
    if (*n < l->room) a[(*n)++] = (struct chanrt__leaks_pair){ key, value };
    else l->full = true;
}

static void chanrt__leaks_leave_out(struct chanrt__leaks *l, const void *low, size_t size) {
    chanrt__leaks_push(l, l->ranges, &l->range_count, (uintptr_t)low, (uintptr_t)low + size);
}

// --- marking

static void chanrt__leaks_mark_task(struct chanrt__leaks *l, uint64_t i) {
    if (l->tasks[i].live) return;
    l->tasks[i].live = true;
    l->work[l->work_count++] = i << 1;
}

static void chanrt__leaks_mark(struct chanrt__leaks *l, size_t i) {
    struct chanrt__leaks_object *o = &l->objects[i];
    if (o->live) return;
    o->live = true;
    if (i < l->chan_count) l->work[l->work_count++] = (uint64_t)i << 1 | 1;
    for (size_t k = 0; k < o->count; k++)
        chanrt__leaks_mark_task(l, (uint32_t)l->refs[o->first + k].value);
}

static uint64_t *chanrt__leaks_bit(struct chanrt__leaks *l, uintptr_t page, uint64_t *bit) {
    uint64_t at = (uint64_t)page * 0x9e3779b97f4a7c15u >> 44;
    *bit = (uint64_t)1 << at % 64;
    return &l->filter[at / 64];
}

static void chanrt__leaks_read_word(struct chanrt__leaks *l, uintptr_t v) {
    if (v < l->least || v > l->most) return;
    uint64_t bit, *in = chanrt__leaks_bit(l, v >> 12, &bit);
    if ((*in & bit) == 0) return;
    size_t i = chanrt__leaks_ends_above(l, 0, l->chan_count, v);
    if (i < l->chan_count && l->objects[i].low <= v) chanrt__leaks_mark(l, i);
    i = chanrt__leaks_ends_above(l, l->chan_count, l->object_count, v);
    for (; i < l->object_count; i++) {
        if (l->objects[i].low <= v) chanrt__leaks_mark(l, i);
        else if (l->objects[i].at - v > l->widest) break;
    }
}

// The first word from `at` on that is not left out; asked for in order.
static uintptr_t chanrt__leaks_next(struct chanrt__leaks *l, uintptr_t at) {
    const uintptr_t word = sizeof at;
    for (; l->next_range < l->range_count && l->ranges[l->next_range].key <= at; l->next_range++) {
        uintptr_t end = (uintptr_t)l->ranges[l->next_range].value;
        if (end > l->skip) l->skip = (end + word - 1) & ~(word - 1);
    }
    return at > l->skip ? at : l->skip;
}

// The program's memory, which may not be there.
static void chanrt__leaks_read(struct chanrt__leaks *l, uintptr_t low, uintptr_t high) {
    size_t page = chanrt__os_page();
    while ((low = chanrt__leaks_next(l, low)) < high) {
        size_t want = high - low < sizeof l->words ? high - low : sizeof l->words;
        size_t got = chanrt__os_peek(l->words, (const void *)low, want) & ~(sizeof low - 1);
        uintptr_t end = low + got;
        for (uintptr_t at = low; (at = chanrt__leaks_next(l, at)) < end;) {
            uintptr_t to = end;
            if (l->next_range < l->range_count && l->ranges[l->next_range].key < end)
                to = (uintptr_t)l->ranges[l->next_range].key;
            for (; at < to; at += sizeof at)
                chanrt__leaks_read_word(l, l->words[(at - low) / sizeof at]);
        }
        low = got < want ? (end + page) & ~(page - 1) : end; // not there: on to the next page
    }
}

// The same out of order, and whatever else was left out.
static void chanrt__leaks_read_afresh(struct chanrt__leaks *l, uintptr_t low, uintptr_t high) {
    l->next_range = l->range_count;
    l->skip = 0;
    chanrt__leaks_read(l, low, high);
}

// Records and stacks. Sanitizers would complain of what the kernel may do.
typedef uintptr_t chanrt__leaks_word __attribute__((may_alias));
enum { CHANRT__LEAKS_ASK = CHANRT__ASAN || CHANRT__TSAN || CHANRT_VALGRIND };

static void chanrt__leaks_read_ours(struct chanrt__leaks *l, uintptr_t low, uintptr_t high) {
    low = (low + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
    while (!CHANRT__LEAKS_ASK && low < high) {
        chanrt__leaks_read_word(l, chanrt__atom_load((chanrt__leaks_word *)low));
        low += sizeof(uintptr_t);
    }
    if (CHANRT__LEAKS_ASK) chanrt__leaks_read_afresh(l, low, high);
}

// A copy of a record or of part of a stack. False: it cannot be had.
static bool chanrt__leaks_copy(void *to, const void *from, size_t size) {
    chanrt__leaks_word *out = (chanrt__leaks_word *)to;
    chanrt__leaks_word *in = (chanrt__leaks_word *)(uintptr_t)from;
    if (CHANRT__LEAKS_ASK) return chanrt__os_peek(to, from, size) == size;
    for (size_t i = 0; i < size / sizeof *in; i++) out[i] = chanrt__atom_load(&in[i]);
    return true;
}

// The same if it lies on that stack.
static bool chanrt__leaks_copy_frame(const struct chanrt__leaks_task *t, void *to,
                                     const void *from, size_t size) {
    uintptr_t at = (uintptr_t)from;
    return at >= t->low && at % sizeof at == 0 && t->top - t->low > size && at < t->top - size &&
           chanrt__leaks_copy(to, from, size);
}

// The program's memory, without the pages that nobody ever touched.
static void chanrt__leaks_read_touched(struct chanrt__leaks *l, uintptr_t low, uintptr_t high) {
    size_t page = chanrt__os_page();
    while (low < high) {
        uintptr_t first = low & ~(page - 1);
        size_t pages = (high - first + page - 1) / page;
        if (pages > CHANRT__LEAKS_PAGES) pages = CHANRT__LEAKS_PAGES;
        bool known = chanrt__os_touched(l->map, first, pages, l->touched);
        for (size_t i = 0, n; i < pages; i += n) {
            bool there = !known || l->touched[i] >> 62 != 0;
            for (n = 1; i + n < pages && there == (!known || l->touched[i + n] >> 62 != 0);) n++;
            uintptr_t from = first + i * page, to = from + n * page;
            if (there) chanrt__leaks_read(l, from > low ? from : low, to < high ? to : high);
        }
        low = first + pages * page;
    }
}

// A live task: its record, its stack, and what lies there.
static void chanrt__leaks_read_task(struct chanrt__leaks *l, const struct chanrt__leaks_task *t) {
    chanrt__leaks_read_ours(l, (uintptr_t)t->task, (uintptr_t)(t->task + 1));
    chanrt__leaks_read_ours(l, t->sp, t->top);
    size_t i = chanrt__leaks_ends_above(l, l->chan_count, l->object_count, t->low);
    for (; i < l->object_count && l->objects[i].at < t->top; i++) chanrt__leaks_mark(l, i);
}

static void chanrt__leaks_work(struct chanrt__leaks *l) {
    while (l->work_count > 0) {
        uint64_t item = l->work[--l->work_count];
        if ((item & 1) == 0) {
            chanrt__leaks_read_task(l, &l->tasks[item >> 1]);
        } else {
            struct chanrt__leaks_object *o = &l->objects[item >> 1];
            chanrt__leaks_read_afresh(l, o->end, o->body); // its values
        }
    }
}

// --- who waits, and for what

static size_t chanrt__leaks_size(enum chanrt__reason reason) {
    switch (reason) {
    case CHANRT__WAIT_GROUP: return sizeof(chanrt_waitgroup);
    case CHANRT__WAIT_MUTEX: return sizeof(chanrt_sync_mutex);
    case CHANRT__WAIT_RLOCK:
    case CHANRT__WAIT_WLOCK: return sizeof(chanrt_sync_rwmutex);
    case CHANRT__WAIT_ONCE: return sizeof(chanrt_sync_once);
    case CHANRT__WAIT_COND: return sizeof(chanrt_sync_cond);
    case CHANRT__WAIT_SEM: return sizeof(chanrt_sync_sem);
    case CHANRT__WAIT_TASKS:
    case CHANRT__WAIT_LIMIT: return sizeof(chanrt_task_group);
    default: return 0;
    }
}

// The cases of a select. False: one of them is a descriptor's, or they have gone.
static bool chanrt__leaks_cases(struct chanrt__leaks *l, const struct chanrt__wait *wait,
                                const struct chanrt__leaks_task *t) {
    struct chanrt__waiter n = { .next = NULL };
    bool on_stack = (uintptr_t)wait->nodes >= t->low && (uintptr_t)wait->nodes < t->top;
    for (int i = 0; i < wait->count; i++) {
        const struct chanrt__waiter *at = wait->nodes + i;
        if (on_stack ? !chanrt__leaks_copy_frame(t, &n, at, sizeof n)
                     : chanrt__os_peek(&n, at, sizeof n) != sizeof n)
            return false;
        uintptr_t c = (uintptr_t)n.lock, q = (uintptr_t)n.queue; // a channel begins with its lock
        if (q - c != offsetof(struct chanrt__chan, recvq) &&
            q - c != offsetof(struct chanrt__chan, sendq))
            return false;
        chanrt__leaks_push(l, l->refs, &l->ref_count, c, l->task_count);
    }
    if (wait->count > 0 && !on_stack)
        chanrt__leaks_leave_out(l, wait->nodes, (size_t)wait->count * sizeof n);
    return true;
}

// Whether the task waits for what only somebody else can do, and has not been woken; then what it
// waits for is noted.
static bool chanrt__leaks_waits(struct chanrt__leaks *l, const struct chanrt__task *copy,
                                const struct chanrt__leaks_task *t) {
    struct chanrt__wait wait = { .count = 0 };
    struct chanrt__waiter n = { .next = NULL };
    enum chanrt__reason reason = (enum chanrt__reason)copy->a_reason;
    const void *object = copy->u.run.a_object;
    uint64_t task = l->task_count, size = chanrt__leaks_size(reason);
    bool chan = reason == CHANRT__WAIT_SEND || reason == CHANRT__WAIT_RECV;
    bool select = reason == CHANRT__WAIT_SELECT || reason == CHANRT__WAIT_SELECT_NONE;
    if ((!chan && !select && size == 0) || copy->a_on_cpu != 0) return false;
    if (!chanrt__leaks_copy_frame(t, &wait, copy->u.run.wait, sizeof wait)) return false;
    if (wait.owner != (uintptr_t)t->task) return false;
    if (wait.shared && (wait.timed || wait.a_claim != CHANRT__OPEN)) return false;
    if (select) return chanrt__leaks_cases(l, &wait, t);
    if (!chanrt__leaks_copy_frame(t, &n, wait.nodes, sizeof n) || !n.linked) return false;
    CHANRT__IF_DEBUG(if (chanrt__held_left_behind(object, NULL)) return true;)
    uint64_t key = (uintptr_t)object | (chan ? 0 : chanrt__leaks_embedded);
    chanrt__leaks_push(l, l->refs, &l->ref_count, key, size << 32 | task);
    return true;
}

static uint64_t chanrt__leaks_turn(uint64_t id, int64_t since) {
    return id * 0x9e3779b97f4a7c15u ^ (uint64_t)since;
}

// Where the task's frames lie; all of the stack if that is not known.
static void chanrt__leaks_stack(const struct chanrt__leaks *l, const struct chanrt__task *copy,
                                struct chanrt__leaks_task *t) {
    struct chanrt__stack stack = { .next = NULL };
    if (copy->stack == NULL) return;
    if (!chanrt__leaks_copy(&stack, copy->stack, sizeof stack)) return;
    t->low = t->sp = (uintptr_t)stack.low;
    t->top = (uintptr_t)stack.top;
    if (l->here >= t->low && l->here < t->top) t->sp = l->here;
    else if (copy->a_on_cpu != 0 || chanrt__inside_running(t->task)) return;
#if !CHANRT_UCONTEXT
    else if ((uintptr_t)copy->ctx.sp > t->low && (uintptr_t)copy->ctx.sp <= t->top)
        t->sp = (uintptr_t)copy->ctx.sp;
#else
    t->top = (uintptr_t)(copy->stack + 1); // its registers are there
#endif
}

static void chanrt__leaks_look(struct chanrt__leaks *l, struct chanrt__task *task) {
    struct chanrt__task copy;
    struct chanrt__leaks_task t = { .task = task };
    if (chanrt__atom_load(&task->a_id) == 0) return;
    if (!chanrt__leaks_copy(&copy, task, sizeof copy) || copy.a_id == 0) return;
    if (l->task_count == l->room) {
        l->full = true;
        return;
    }
    t.turn = chanrt__leaks_turn(copy.a_id, copy.u.run.a_since);
    chanrt__leaks_stack(l, &copy, &t);
    size_t refs = l->ref_count;
    if (t.top != 0)
        chanrt__leaks_push(l, l->stacks, &l->stack_count, t.low, l->task_count);
    t.live = copy.a_reason == CHANRT__NOT_WAITING || t.top == 0 ||
             !chanrt__leaks_waits(l, &copy, &t);
    if (t.live) {
        l->ref_count = refs;
        l->work[l->work_count++] = (uint64_t)l->task_count << 1;
    }
    l->tasks[l->task_count++] = t;
}

// --- where it lies

// One object from all of its references.
static void chanrt__leaks_object_of(struct chanrt__leaks *l, size_t first, size_t count) {
    struct chanrt__leaks_pair r = l->refs[first];
    struct chanrt__leaks_object o = { .first = first, .count = count };
    struct chanrt__chan c = { .a_lock = 0 };
    o.at = (uintptr_t)(r.key & ~chanrt__leaks_embedded);
    if (r.key & chanrt__leaks_embedded) {
        o.end = o.at + (size_t)(r.value >> 32);
    } else {
        l->chan_count++;
        o.low = o.at;
        o.end = o.body = o.at + sizeof c;
        if (chanrt__os_peek(&c, (const void *)o.at, sizeof c) == sizeof c &&
            (uintptr_t)c.ring >= o.end && (uintptr_t)c.ring - o.end < CHANRT__LEAKS_BLOCK &&
            c.size == c.elem * c.cap && c.size < SIZE_MAX / 4) // else it has just gone
            o.body = (uintptr_t)c.ring + c.size;
    }
    l->objects[l->object_count++] = o;
    chanrt__leaks_leave_out(l, (const void *)o.at, (o.body != 0 ? o.body : o.end) - o.at);
}

static void chanrt__leaks_objects(struct chanrt__leaks *l) {
    chanrt__leaks_sort(l->refs, l->ref_count);
    for (size_t i = 0, n; i < l->ref_count; i += n) {
        for (n = 1; i + n < l->ref_count && l->refs[i + n].key == l->refs[i].key;) n++;
        chanrt__leaks_object_of(l, i, n);
    }
    chanrt__leaks_sort(l->ranges, l->range_count);
    chanrt__leaks_sort(l->stacks, l->stack_count);
}

// Those on the stack of a task are in reach with it, or by an address from its frames up to them.
static void chanrt__leaks_place_on_stacks(struct chanrt__leaks *l) {
    for (size_t i = l->chan_count; i < l->object_count; i++) {
        struct chanrt__leaks_object *o = &l->objects[i];
        size_t k = chanrt__leaks_above(l->stacks, l->stack_count, o->at);
        if (k == 0) continue;
        struct chanrt__leaks_task *t = &l->tasks[l->stacks[k - 1].value];
        if (o->at < t->top) o->low = t->sp < o->at ? t->sp : o->at;
    }
}

// The others: data and threads' stacks are in reach by themselves; of the heap, the block.
static void chanrt__leaks_place(const struct chanrt__os_mapping *m, void *arg) {
    struct chanrt__leaks *l = (struct chanrt__leaks *)arg;
    bool data = m->name == '/' || (m->name == 0 && m->low == l->data_end);
    bool stack = m->stack || (l->here >= m->low && l->here < m->high) ||
                 (m->name == 0 && l->unknown);
    if (data) l->data_end = m->high;
    for (size_t i = 0; i < l->thread_count; i++)
        stack |= l->threads[i] >= m->low && l->threads[i] < m->high;
    size_t i = chanrt__leaks_ends_above(l, l->chan_count, l->object_count, m->low);
    for (; i < l->object_count && l->objects[i].at < m->high; i++) {
        struct chanrt__leaks_object *o = &l->objects[i];
        if (o->low != 0) continue;
        o->low = o->at;
        if (data || stack) {
            chanrt__leaks_mark(l, i);
        } else {
            uintptr_t block = chanrt__os_block_of(o->at, CHANRT__LEAKS_BLOCK);
            o->low = block != 0 ? block
                     : o->at - m->low < CHANRT__LEAKS_BLOCK ? m->low
                                                            : o->at - CHANRT__LEAKS_BLOCK;
        }
    }
}

static void chanrt__leaks_fill_filter(struct chanrt__leaks *l) {
    memset(l->filter, 0, sizeof l->filter);
    for (size_t i = 0; i < l->object_count; i++) {
        struct chanrt__leaks_object *o = &l->objects[i];
        if (o->low == 0) chanrt__leaks_mark(l, i); // nowhere
        else if (o->at - o->low > l->widest) l->widest = o->at - o->low;
        if (o->low < l->least) l->least = o->low;
        if (o->end > l->most) l->most = o->end;
        for (uintptr_t page = o->low >> 12; page <= o->end >> 12 && !o->live; page++) {
            uint64_t bit, *in = chanrt__leaks_bit(l, page, &bit);
            *in |= bit;
        }
    }
}

// --- all of memory

static void chanrt__leaks_thread(uintptr_t sp, bool is_main, void *arg) {
    struct chanrt__leaks *l = (struct chanrt__leaks *)arg;
    if (is_main) l->main_sp = sp;
    if (sp == 0 || l->thread_count == CHANRT__LEAKS_THREADS) l->unknown = l->unknown || !is_main;
    else l->threads[l->thread_count++] = sp;
}

// The lowest address in a stack's mapping that is in use. A worker's own stack holds nothing of the
// program's but its thread-locals, above all frames. A guard below tells a stack of libc's from
// one that the program took from its heap, with other things below it.
static uintptr_t chanrt__leaks_used(const struct chanrt__leaks *l,
                                    const struct chanrt__os_mapping *m, bool guarded) {
    enum { BELOW = 128, ARENA = 64 << 20 }; // what a leaf keeps below its sp; glibc's heaps
    uintptr_t low = m->low, least = m->high;
    if (l->here >= m->low && l->here < m->high) return m->stack ? l->here : low;
    if (m->stack && l->main_sp > m->low + BELOW && l->main_sp < m->high) return l->main_sp - BELOW;
    for (size_t i = 0; i < l->thread_count && !l->unknown && guarded; i++)
        if (l->threads[i] >= m->low + BELOW && l->threads[i] < least) least = l->threads[i];
    if (least < m->high && m->low % ARENA != 0) low = least - BELOW;
#if !CHANRT_UCONTEXT
    for (int i = 0; i < chanrt__pool.count && m->name == 0; i++) {
        uintptr_t sp = 0;
        (void)chanrt__os_peek(&sp, &chanrt__pool.workers[i].base.sp, sizeof sp);
        if (sp >= m->low && sp < m->high) low = sp;
    }
#endif
    return low;
}

static void chanrt__leaks_read_mapping(const struct chanrt__os_mapping *m, void *arg) {
    struct chanrt__leaks *l = (struct chanrt__leaks *)arg;
    bool guarded = m->name == 0 && m->low == l->guard_end;
    if (!m->readable) l->guard_end = m->high;
    if (!m->readable || (!m->writable && m->name != 0)) return;
    if ((CHANRT__ASAN || CHANRT__TSAN) && (m->high - m->low) >> 20 > 64 << 10) return; // shadow
    chanrt__leaks_read_touched(l, chanrt__leaks_used(l, m, guarded), m->high);
}

static void chanrt__leaks_leave_out_ours(struct chanrt__leaks *l) {
    enum { FRAMES = 32 << 10 }; // of these functions
    chanrt__leaks_leave_out(l, l, l->bytes);
    chanrt__leaks_leave_out(l, (const void *)(l->here - FRAMES), FRAMES);
    chanrt__leaks_leave_out(l, chanrt__sync_lots, sizeof chanrt__sync_lots);
    chanrt__leaks_leave_out(l, chanrt__os_self(), sizeof(struct chanrt__os_thread));
    CHANRT__IF_DEBUG(chanrt__leaks_leave_out(l, &chanrt__held, sizeof chanrt__held);)
    CHANRT__IF_DEBUG(chanrt__leaks_leave_out(l, &chanrt__debug, sizeof chanrt__debug);)
#if CHANRT_TRACE
    for (int i = 0; i < CHANRT__TRACE_RINGS; i++) {
        // [ring] its size
        struct chanrt__trace_ring *r = chanrt__atom_load_acq(&chanrt__trace.a_ring[i]);
        if (r != NULL) chanrt__leaks_leave_out(l, r, r->bytes);
    }
#endif
    for (struct chanrt__slab *s = chanrt__atom_load_acq(&chanrt__slabs.first); s != NULL; // [slab]
         s = s->next)
        chanrt__leaks_leave_out(l, s, s->bytes);
    for (int class = 0; class < CHANRT__STACK_CLASSES; class ++) {
        pthread_mutex_lock(&chanrt__stacks[class].mutex);
        for (struct chanrt__stack_chunk *c = chanrt__stacks[class].chunks; c != NULL; c = c->next)
            chanrt__leaks_leave_out(l, c, c->size);
        pthread_mutex_unlock(&chanrt__stacks[class].mutex);
    }
}

// One look at everything. 0 or an error.
static int chanrt__leaks_pass(struct chanrt__leaks *l) {
    l->task_count = l->ref_count = l->range_count = l->stack_count = l->work_count = 0;
    l->object_count = l->chan_count = l->thread_count = l->next_range = 0;
    l->main_sp = l->data_end = l->guard_end = l->skip = l->widest = l->most = 0;
    l->least = UINTPTR_MAX;
    l->full = false;
    l->unknown = !chanrt__os_each_stack(chanrt__leaks_thread, l);
    chanrt__leaks_leave_out_ours(l);
    for (struct chanrt__slab *s = chanrt__atom_load_acq(&chanrt__slabs.first); s != NULL; // [slab]
         s = s->next)
        for (size_t i = 0; i < s->count; i++) chanrt__leaks_look(l, &s->tasks[i]);
    chanrt__leaks_objects(l);
    if (l->full) return EAGAIN;
    chanrt__leaks_place_on_stacks(l);
    if (!chanrt__os_each_mapping(chanrt__leaks_place, l)) return ENOSYS;
    chanrt__leaks_fill_filter(l);
    chanrt__os_each_mapping(chanrt__leaks_read_mapping, l);
    chanrt__leaks_work(l);
    return 0;
}

// --- the report

// How many array elements a look needs: with room for what is spawned meanwhile.
static size_t chanrt__leaks_room(void) {
    size_t n = 0;
    struct chanrt__task copy;
    struct chanrt__wait wait;
    for (struct chanrt__slab *s = chanrt__atom_load_acq(&chanrt__slabs.first); s != NULL; // [slab]
         s = s->next)
        for (size_t i = 0; i < s->count; i++) {
            if (chanrt__atom_load(&s->tasks[i].a_id) == 0) continue;
            n++;
            if (chanrt__atom_load(&s->tasks[i].a_reason) == CHANRT__WAIT_SELECT &&
                chanrt__os_peek(&copy, &s->tasks[i], sizeof copy) == sizeof copy &&
                chanrt__os_peek(&wait, copy.u.run.wait, sizeof wait) == sizeof wait &&
                wait.count > 0)
                n += (size_t)wait.count;
        }
    return n + n / 2 + 1024;
}

// Arrays for a look. NULL: no address space.
static struct chanrt__leaks *chanrt__leaks_open(uintptr_t here) {
    size_t n = chanrt__leaks_room();
    size_t each = sizeof(struct chanrt__leaks_task) + sizeof(struct chanrt__leaks_object) +
                  5 * sizeof(struct chanrt__leaks_pair) + 2 * sizeof(uint64_t);
    size_t bytes = sizeof(struct chanrt__leaks) + n * each;
    struct chanrt__leaks *l = (struct chanrt__leaks *)chanrt__os_map(bytes);
    if (l == NULL) return NULL;
    l->bytes = bytes;
    l->room = n;
    l->here = here;
    l->map = chanrt__os_touched_open();
    l->tasks = (struct chanrt__leaks_task *)(void *)(l + 1);
    l->objects = (struct chanrt__leaks_object *)(void *)(l->tasks + n);
    l->refs = (struct chanrt__leaks_pair *)(void *)(l->objects + n);
    l->ranges = l->refs + n;
    l->stacks = l->ranges + n;
    l->found = l->stacks + n;
    l->work = (uint64_t *)(void *)(l->found + n);
    return l;
}

static void chanrt__leaks_close(struct chanrt__leaks *l) {
    if (l->map >= 0) close(l->map);
    chanrt__os_unmap(l, l->bytes);
}

// Keeps those who were found leaked by this look, and by the one before if there was one.
static void chanrt__leaks_keep(struct chanrt__leaks *l, bool again) {
    struct chanrt__leaks_pair *before = l->stacks; // done with
    size_t had = again ? l->found_count : 0;
    memcpy(before, l->found, had * sizeof *before);
    l->found_count = 0;
    for (size_t i = 0; i < l->task_count; i++) {
        const struct chanrt__leaks_task *t = &l->tasks[i];
        if (t->live) continue;
        size_t k = chanrt__leaks_above(before, had, (uintptr_t)t->task);
        if (again && (k == 0 || before[k - 1].key != (uintptr_t)t->task ||
                      before[k - 1].value != t->turn))
            continue;
        chanrt__leaks_push(l, l->found, &l->found_count, (uintptr_t)t->task, t->turn);
    }
    chanrt__leaks_sort(l->found, l->found_count);
}

static bool chanrt__leaks_still(const struct chanrt__leaks_pair *found,
                                struct chanrt__inside_seen *e) {
    return chanrt__inside_look((struct chanrt__task *)(uintptr_t)found->key, e) &&
           chanrt__leaks_turn(e->id, e->since) == found->value && e->reason != CHANRT__NOT_WAITING;
}

static void chanrt__leaks_why(FILE *f, const struct chanrt__inside_seen *e) {
    const char *what = e->reason == CHANRT__WAIT_SEND || e->reason == CHANRT__WAIT_RECV
                           ? "the channel"
                       : e->reason == CHANRT__WAIT_SELECT ? "any of its channels"
                       : e->reason == CHANRT__WAIT_GROUP  ? "the wait group"
                       : e->reason == CHANRT__WAIT_COND   ? "the condition"
                       : e->reason == CHANRT__WAIT_TASKS || e->reason == CHANRT__WAIT_LIMIT
                           ? "the group"
                           : "the lock";
    CHANRT__IF_DEBUG(if (chanrt__held_left_behind(e->object, f)) return;)
    if (e->reason == CHANRT__WAIT_SELECT_NONE)
        fputs(": leaked, no case of its select can ever be ready\n", f);
    else fprintf(f, ": leaked, nothing that could still run has %s\n", what);
}

static void chanrt__leaks_tell(struct chanrt__leaks *l, FILE *f) {
    struct chanrt__inside_seen e;
    struct chanrt__inside_view *v = (struct chanrt__inside_view *)chanrt__os_map(sizeof *v);
    for (size_t i = 0; v != NULL && i < l->found_count; i++)
        if (chanrt__leaks_still(&l->found[i], &e)) chanrt__inside_count(v, &e);
    for (size_t i = 0; i < l->found_count; i++)
        if (chanrt__leaks_still(&l->found[i], &e) && chanrt__inside_tell(f, v, &e))
            chanrt__leaks_why(f, &e);
    if (v != NULL) chanrt__os_unmap(v, sizeof *v);
}

// Looks until so many looks agree, or one finds nobody: an address that moves while one goes on,
// from where it has not been yet to where it has, is seen nowhere. 0 or an error.
static int chanrt__leaks_search(struct chanrt__leaks *l) {
    uint32_t word = 0;
    int err = chanrt__leaks_pass(l);
    if (err != 0) return err;
    chanrt__leaks_keep(l, false);
    for (int i = 1; i < CHANRT__LEAKS_LOOKS && l->found_count > 0 && err == 0; i++) {
        if (!chanrt__atom_load(&chanrt__det.a_on))
            chanrt__os_sleep(&word, 0, chanrt_now() + CHANRT_MILLISECOND);
        err = chanrt__leaks_pass(l);
        if (err == 0) chanrt__leaks_keep(l, true);
    }
    return err;
}

// The caller's frames begin at this one's.
CHANRT__NOINLINE static int chanrt__leaks_report(FILE *f) {
    int err = EAGAIN, found = 0;
    for (int tries = 0; err == EAGAIN && tries < 4; tries++) {
        struct chanrt__leaks *l = chanrt__leaks_open((uintptr_t)__builtin_frame_address(0));
        if (l == NULL) return -ENOMEM;
        err = chanrt__leaks_search(l);
        found = l->found_count < INT_MAX ? (int)l->found_count : INT_MAX;
        if (err == 0 && f != NULL) chanrt__leaks_tell(l, f);
        chanrt__leaks_close(l);
    }
    return err != 0 ? -err : found;
}

CHANRT_API int chanrt_leaks(FILE *f) {
    char byte = 0;
    chanrt__sched_point();
    if (!CHANRT__LINUX || chanrt__os_peek(&byte, &byte, 1) != 1) {
        if (f != NULL) fputs("chanrt_leaks: memory cannot be searched here\n", f);
        return -ENOSYS;
    }
    int found = 0;
    if (pthread_mutex_trylock(&chanrt__pool.life) != 0) return -EBUSY;
    __builtin_unwind_init(); // what the caller has in registers is on the stack now
    if (chanrt__atom_load_acq(&chanrt__pool.a_running)) found = chanrt__leaks_report(f); // [start]
    pthread_mutex_unlock(&chanrt__pool.life);
    return found;
}

//------------------------------------------------------------------------------
// >>watch    A thread that only looks: a dump when a signal asks for one, and in a debug build
//            tasks that keep their worker for too long.
//   uses    port fail atom os task sched debug inside
//   owns    chanrt__watch
//   laws    It runs only when somebody asked for it, and wakes nobody, so the deadlock detector
//           does not count it (a_helpers). The signal's handler does nothing but ring.
//   tests   spec/inside.c unit/debug.c
//------------------------------------------------------------------------------

static struct {
    pthread_t thread;
    bool running;
    int signal;    // 0: none
} chanrt__watch;

#if CHANRT_DEBUG
enum { CHANRT__WATCH_SLOW = CHANRT__ASAN || CHANRT__TSAN || CHANRT_VALGRIND ? 20 : 1 };
static const int64_t chanrt__watch_most = 10 * CHANRT__WATCH_SLOW * CHANRT_MILLISECOND;

// What a worker was at when last looked at.
struct chanrt__watch_seen {
    uint64_t points;    // scheduling points passed
    int64_t since, time; // the clock and the thread's processor time then
    int asleep;         // looks in a row that found the thread asleep in the kernel
    bool told;
};

static void chanrt__watch_tell(struct chanrt__task *t, int64_t ns, bool asleep) {
    struct chanrt__inside_seen e;
    const chanrt_x_site *at = chanrt__atom_load(&t->a_at);
    char seen[512] = "";
    if (!chanrt__inside_look(t, &e) || !chanrt__debug_tell_once(e.site)) return;
    if (at != NULL)
        snprintf(seen, sizeof seen, "; last seen in %s at %s:%d", at->name, at->file, at->line);
    chanrt__fail_say("task %llu \"%s\" spawned at %s:%d has %s for %lld ms, and its worker can run "
                     "nobody else%s",
                     (unsigned long long)e.id, e.name, e.site->file, e.site->line,
                     asleep ? "been in a system call" : "run without a scheduling point",
                     (long long)(ns / CHANRT_MILLISECOND), seen);
}

// A task that used the processor for 10 ms without a scheduling point, or has been asleep in the
// kernel for as long. Processor time, because a worker the system does not run is not to blame.
static void chanrt__watch_look(struct chanrt__worker *w, struct chanrt__watch_seen *seen) {
    int64_t now = chanrt_now(), time = now;
    bool asleep = false;
    struct chanrt__task *t = chanrt__atom_load_acq(&w->a_current); // [current]
    uint64_t points = chanrt__atom_load(&w->a_switches) + chanrt__atom_load(&w->a_parks) +
                      chanrt__atom_load(&w->a_tick);
    int number = chanrt__atom_load(&w->a_number);
    if (number != 0) chanrt__os_thread_look(number, &time, &asleep);
    if (t == NULL || points != seen->points) {
        *seen = (struct chanrt__watch_seen){ points, now, time, 0, false };
        return;
    }
    seen->asleep = asleep ? seen->asleep + 1 : 0;
    bool hog = time - seen->time >= chanrt__watch_most;
    bool gone = seen->asleep > 1 && now - seen->since >= chanrt__watch_most;
    if (seen->told || (!hog && !gone)) return;
    seen->told = true;
    chanrt__watch_tell(t, hog ? time - seen->time : now - seen->since, !hog);
}

static int chanrt__watch_round(void) {
    static struct chanrt__watch_seen seen[CHANRT__MAX_WORKERS];
    for (int i = 0; i < chanrt__pool.count; i++)
        chanrt__watch_look(&chanrt__pool.workers[i], &seen[i]);
    return (int)(chanrt__watch_most / 4 / CHANRT_MILLISECOND);
}
#endif

static void *chanrt__watch_main(void *arg) {
    int ms = -1; // until the next look
    (void)arg;
    chanrt__os_self()->aside = true;
    if (chanrt__watch.signal != 0) chanrt__os_unblock(chanrt__watch.signal);
    while (chanrt__atom_load_acq(&chanrt__pool.a_helpers) > 0) { // [watch]
        CHANRT__IF_DEBUG(ms = chanrt__watch_round();)
        int rung = chanrt__os_bell_wait(ms);
        if (rung == 0 || rung != chanrt__watch.signal) continue;
        fputs("chanrt: dump on a signal\n", stderr);
        chanrt_dump(stderr);
        fflush(stderr);
    }
    return NULL;
}

// Called at the end of the pool's start.
static void chanrt__watch_start_locked(void) {
    int sig = chanrt__os_signal_named(getenv("CHANRT_DUMP_SIGNAL"));
    if ((sig == 0 && !CHANRT_DEBUG) || !chanrt__os_bell_open()) return;
    chanrt__watch.signal = sig;
    chanrt__atom_store_rel(&chanrt__pool.a_helpers, 1); // [watch]
    int err = chanrt__os_thread_start(&chanrt__watch.thread, chanrt__watch_main, NULL);
    chanrt__watch.running = err == 0;
    if (err == 0) {
        if (sig != 0) chanrt__os_bell_hang(sig);
        return;
    }
    chanrt__atom_store_rel(&chanrt__pool.a_helpers, 0); // [watch]
    chanrt__os_bell_close();
    chanrt__fail_say("no thread to watch the others: %s", strerror(err));
}

// Before the workers go, whom it looks at.
static void chanrt__watch_stop(void) {
    if (!chanrt__watch.running) return;
    if (chanrt__watch.signal != 0) chanrt__os_bell_take(chanrt__watch.signal);
    chanrt__atom_store_rel(&chanrt__pool.a_helpers, 0); // [watch] 1 to 0: the thread leaves
    chanrt__os_ring(0, NULL, NULL);
    pthread_join(chanrt__watch.thread, NULL);
    chanrt__os_bell_close();
    chanrt__watch.running = false;
}

//------------------------------------------------------------------------------
// >>rt    Starting and shutting down, as the program sees it.
//   uses    port fail atom os stack poll task profile det trace sched debug wait sync fd
//   uses    blocking signal inside watch
//   tests   spec/runtime.c spec/seed.c
//------------------------------------------------------------------------------

CHANRT_API int chanrt_workers(void) {
    pthread_mutex_lock(&chanrt__pool.mutex);
    int n = chanrt__atom_load(&chanrt__pool.a_running) ? chanrt__pool.count
                                                       : chanrt__sched_default_workers();
    pthread_mutex_unlock(&chanrt__pool.mutex);
    return n;
}

CHANRT_API int chanrt_start(const chanrt_options *opts) {
    const chanrt_options none = { 0, 0, 0, false };
    const chanrt_options *o = opts != NULL ? opts : &none;
    if (o->workers < 0 || o->workers > CHANRT__MAX_WORKERS) return EINVAL;
    int class = o->stack_size != 0 ? chanrt__stack_class_of(o->stack_size)
                                   : (int)CHANRT__STACK_DEFAULT;
    if (class < 0) return EINVAL;
    if (o->virtual_time && o->seed == 0 && chanrt__det_environment() == 0) return EINVAL;
    if (chanrt__sched_self() != NULL) return EBUSY;
    if (chanrt__atom_load_acq(&chanrt__pool.a_running)) return EBUSY; // [start]
    pthread_mutex_lock(&chanrt__pool.life);
    pthread_mutex_lock(&chanrt__pool.mutex);
    int err = EBUSY;
    if (!chanrt__atom_load(&chanrt__pool.a_running))
        err = chanrt__sched_start_locked(o->workers != 0 ? o->workers
                                                         : chanrt__sched_default_workers(),
                                         class, o->seed, o->virtual_time);
    pthread_mutex_unlock(&chanrt__pool.mutex);
    pthread_mutex_unlock(&chanrt__pool.life);
    return err;
}

// Waits until no task is left. False: some are, and the deadline has passed, or nothing that
// is left could end them.
static bool chanrt__rt_drain(int64_t deadline, bool forever) {
    uint32_t word = 0;
    int64_t nap = 20 * CHANRT_MICROSECOND;
    while (chanrt__sched_live() != 0) {
        int64_t now = chanrt_now();
        if (!forever && now >= deadline) return false;
        if (forever) {
            pthread_mutex_lock(&chanrt__pool.mutex);
            chanrt__atom_add(&chanrt__pool.a_blocked, 1); // this thread can do nothing but wait
            bool stuck = chanrt__sched_stuck_locked();
            chanrt__atom_add(&chanrt__pool.a_blocked, -1);
            pthread_mutex_unlock(&chanrt__pool.mutex);
            if (stuck) return false;
        }
        if (chanrt__atom_load(&chanrt__det.a_on)) {
            chanrt__atom_add(&chanrt__pool.a_blocked, forever);
            chanrt__det_thread_wait(chanrt__os_self(), NULL, 0, deadline, true);
            chanrt__atom_add(&chanrt__pool.a_blocked, -(long)forever);
            if (forever && chanrt__sched_live() != 0) return false; // nothing else was left to do
            continue;
        }
        int64_t until = now + nap;
        chanrt__os_sleep(&word, 0, !forever && deadline < until ? deadline : until);
        if (nap < 2 * CHANRT_MILLISECOND) nap *= 2;
    }
    return true;
}

// Takes a task that will never run again out of every queue it waits in.
static void chanrt__rt_reclaim(struct chanrt__task *t) {
    if (t->flags & CHANRT__LARGE) CHANRT_FREE(t->stack != NULL ? t->u.run.large : t->u.large.block);
    if (t->stack == NULL || t->a_reason == CHANRT__NOT_WAITING) return;
    struct chanrt__wait *wait = t->u.run.wait;
    for (int i = 0; i < wait->count; i++) {
        struct chanrt__waiter *n = &wait->nodes[i];
        if (n->index == wait->chosen || (!wait->shared && !n->linked)) continue;
        chanrt__os_lock(n->lock);
        if (wait->shared) chanrt__wait_leave(n);
        else chanrt__wait_unlink(n);
        chanrt__os_unlock(n->lock);
    }
    if (wait->shared && wait->allocated) CHANRT_FREE(wait->nodes);
}

CHANRT_API int chanrt_shutdown(int64_t timeout) {
    if (chanrt__sched_self() != NULL) return EDEADLK;
    CHANRT__IF_DEBUG(chanrt__debug_release();)
    chanrt__sched_refuse_child();
    chanrt__sched_point();
    pthread_mutex_lock(&chanrt__pool.life); // a second caller finds it done
    if (!chanrt__atom_load_acq(&chanrt__pool.a_running)) { // [start]
        pthread_mutex_unlock(&chanrt__pool.life);
        return 0;
    }
    bool ended = chanrt__rt_drain(chanrt__os_deadline(timeout), timeout < 0); // or gave up
    chanrt__sched_join(chanrt__pool.count);
    chanrt__blocking_shutdown();
    chanrt__signal_shutdown();
    chanrt__watch_stop();
    CHANRT__IF_TRACE(chanrt__trace_stop();)
    CHANRT__IF_PROFILE(chanrt__profile_write();)
    pthread_mutex_lock(&chanrt__pool.mutex);
    ended = chanrt__sched_live() == 0;
    if (!ended) {
        chanrt__fail_say("shutdown: %llu tasks had not ended:",
                         (unsigned long long)chanrt__sched_live());
        chanrt__inside_dump_locked(stderr);
    }
    for (struct chanrt__slab *s = chanrt__slabs.first; s != NULL; s = s->next)
        for (size_t i = 0; i < s->count; i++)
            if (s->tasks[i].a_id != 0) chanrt__rt_reclaim(&s->tasks[i]);
    chanrt__sync_forget();
    while (chanrt__pool.timers != NULL) chanrt__sched_disarm(chanrt__pool.timers);
    chanrt__pool.epoch++;
    chanrt__os_release_faults();
    chanrt__poll_shutdown();
    chanrt__fd_shutdown();
    chanrt__sched_release();
    chanrt__atom_store_rel(&chanrt__pool.a_running, 0); // [start]
    pthread_mutex_unlock(&chanrt__pool.mutex);
    pthread_mutex_unlock(&chanrt__pool.life);
    CHANRT__IF_DEBUG(chanrt__debug_release();)
    return ended ? 0 : EBUSY;
}

// Two of the ways up: a report from deep inside prints every task, a start starts the watch.
__attribute__((constructor)) static void chanrt__rt_init(void) {
    chanrt__fail_dump = chanrt__inside_dump_locked;
    chanrt__pool.started = chanrt__watch_start_locked;
}

#if CHANRT_TSAN_USER
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#endif
#if CHANRT_DEBUG
#pragma pop_macro("typeof")
#pragma pop_macro("chanrt_task_sleep")
#pragma pop_macro("chanrt_wg_wait")
#pragma pop_macro("chanrt_wg_wait_timeout")
#pragma pop_macro("chanrt_ctx_with_cancel")
#pragma pop_macro("chanrt_ctx_with_timeout")
#pragma pop_macro("chanrt_ctx_with_deadline")
#pragma pop_macro("chanrt_ctx_with_value")
#pragma pop_macro("chanrt_group_init")
#endif

#ifndef CHANRT_KEEP_ERRNO
#pragma push_macro("errno")
#undef errno
#define errno (*chanrt_x_errno())
#endif

#endif // CHANRT_IMPLEMENTATION

//------------------------------------------------------------------------------
// >>licence    Choose either.
//------------------------------------------------------------------------------
//
// ALTERNATIVE A - MIT License
//
// Copyright (c) 2026 chanrt contributors
//
// Permission is hereby granted, free of charge, to any person obtaining a copy of this software
// and associated documentation files (the "Software"), to deal in the Software without
// restriction, including without limitation the rights to use, copy, modify, merge, publish,
// distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
// Software is furnished to do so, subject to the following conditions:
//
// The above copyright notice and this permission notice shall be included in all copies or
// substantial portions of the Software.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
// BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
// NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
// DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
// OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
//
// ALTERNATIVE B - Public Domain (www.unlicense.org)
//
// This is free and unencumbered software released into the public domain.
//
// Anyone is free to copy, modify, publish, use, compile, sell, or distribute this software,
// either in source code form or as a compiled binary, for any purpose, commercial or
// non-commercial, and by any means.
//
// In jurisdictions that recognize copyright laws, the author or authors of this software dedicate
// any and all copyright interest in the software to the public domain. We make this dedication
// for the benefit of the public at large and to the detriment of our heirs and successors. We
// intend this dedication to be an overt act of relinquishment in perpetuity of all present and
// future rights to this software under copyright law.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
// BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
// NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
// LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
// CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
