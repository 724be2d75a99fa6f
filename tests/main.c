// main.c - runs the TESTs of one program under cmocka, and its CHILD programs.
//
//     program [part of a name]         the tests whose name contains it; none: all
//     program --child NAME             one child program
#define _GNU_SOURCE
// The runtime comes with the test program; nothing here calls into it, whatever the flags say.
#undef CHANRT_IMPLEMENTATION
#undef CHANRT_STATIC
#undef CHANRT_KEEP_ERRNO
#define CHANRT_KEEP_ERRNO
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#ifdef _WIN32
#define PRINTF gnu_printf
#else
#define PRINTF printf
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#endif
#include <time.h>
#include "test.h"
#include <cmocka.h>

// How much slower than a plain build this one runs.
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ ||                         \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                 \
    (defined CHANRT_VALGRIND && CHANRT_VALGRIND)
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

enum { WATCHDOG_SECONDS = 30, SHOWN_FAILURES = 20 };

int64_t test_unit = SLOW ? 10 * CHANRT_MILLISECOND : CHANRT_MILLISECOND;

static struct test_case *cases, **cases_end = &cases;
static struct test_case *running;
static atomic_int failures;
static int64_t began;              // ms
static bool in_child;

void test_register(struct test_case *c) {
    *cases_end = c;
    cases_end = &c->next;
}

long test_rounds(long n) {
    const char *scale = getenv("TEST_SCALE");
    double rounds = (double)n * (scale ? atof(scale) : 1) / (SLOW ? 20 : 1);
    return rounds < 1 ? 1 : (long)rounds;
}

static int64_t milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool test_late(void) {
    return milliseconds() - began > WATCHDOG_SECONDS * 1000 / 3 * (SLOW ? 4 : 1);
}

//------------------------------------------------------------------------------
// What a child has run is counted, too, when it ends in the middle (coverage/run.sh).

#ifdef TEST_COVERAGE
#undef _exit
#undef abort
void __gcov_dump(void);
void test_exit(int status) {
    __gcov_dump();
    _exit(status);
}
void test_abort(void) {
    __gcov_dump();
    abort();
}
#endif

//------------------------------------------------------------------------------
// Checks: one write each, so that lines of different threads do not mix.

__attribute__((format(PRINTF, 3, 4)))
static void note_failure(const char *file, int line, const char *format, ...) {
    if (atomic_fetch_add(&failures, 1) >= SHOWN_FAILURES) return;
    char text[1024];
    int at = snprintf(text, sizeof text, "%s:%d: CHECK failed: ", file, line);
    va_list args;
    va_start(args, format);
    at += vsnprintf(text + at, sizeof text - (size_t)at - 1, format, args);
    va_end(args);
    if (at > (int)sizeof text - 2) at = (int)sizeof text - 2;
    text[at++] = '\n';
    if (write(STDERR_FILENO, text, (unsigned)at) < 0) return;
}

bool test_check(bool held, const char *what, const char *file, int line) {
    if (!held) note_failure(file, line, "%s", what);
    return held;
}

bool test_check_eq(long long a, long long b, const char *what, const char *file, int line) {
    if (a != b) note_failure(file, line, "%s: %lld, not %lld", what, a, b);
    return a == b;
}

bool test_check_str(const char *a, const char *b, const char *what, const char *file, int line) {
    bool held = a && b ? strcmp(a, b) == 0 : a == b;
    if (!held) {
        note_failure(file, line, "%s: \"%s\", not \"%s\"", what,
                     a ? a : "(null)", b ? b : "(null)");
    }
    return held;
}

//------------------------------------------------------------------------------
// Child programs.

#ifdef _WIN32
// Here the command processor runs a child; the time limit is run.sh's. After abort a process ends
// with 3, elsewhere by SIGABRT, 6.
static char *self;

struct test_child test_run_child(const char *name, int timeout_ms) {
    char command[1024];
    struct test_child r = { .out = calloc(1, 1 << 16) };
    (void)timeout_ms;
    snprintf(command, sizeof command, "\"\"%s\" --child %s 2>&1\"", self, name);
    FILE *p = _popen(command, "r");
    if (p != NULL) r.out[fread(r.out, 1, (1 << 16) - 1, p)] = 0;
    r.status = p != NULL ? _pclose(p) : 127;
    if (r.status == 3) r.status = 128 + 6;
    return r;
}
#else
// Everything the child writes until it ends, or until the deadline.
static char *read_all(int fd, int64_t deadline) {
    char *out = calloc(1, 1);
    size_t len = 0;
    for (;;) {
        int64_t left = deadline - milliseconds();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (left <= 0 || poll(&p, 1, (int)left) == 0) return out;
        char part[4096];
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return out;
        out = realloc(out, len + (size_t)n + 1);
        memcpy(out + len, part, (size_t)n);
        len += (size_t)n;
        out[len] = 0;
    }
}

// The exit status of pid, which is killed when it is still there at the deadline.
static int reap(pid_t pid, int64_t deadline) {
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (milliseconds() < deadline) usleep(1000);
        else kill(pid, SIGKILL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct test_child test_run_child(const char *name, int timeout_ms) {
    struct test_child r = { .status = 127 };
    int64_t deadline = milliseconds() + timeout_ms * (SLOW ? 4 : 1);
    char self[4096] = "";      // resolved: under Valgrind /proc/self/exe itself is Valgrind
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return r;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return r;

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    char *runner = getenv("TEST_RUNNER");  // an emulator, for programs of another processor
    char *argv[] = { runner, self, (char[]){ "--child" }, (char *)(uintptr_t)name, NULL };
    char **words = runner != NULL ? argv : argv + 1;
    pid_t pid;
    int err = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (err == 0) {
        r.out = read_all(ends[0], deadline);
        r.status = reap(pid, deadline);
    }
    close(ends[0]);
    return r;
}

#endif

void test_child_free(struct test_child *r) {
    free(r->out);
    r->out = NULL;
}

static int run_child(const char *name) {
    in_child = true;
#ifndef _WIN32
    prctl(PR_SET_PDEATHSIG, SIGKILL);      // outlives nobody
    setvbuf(stdout, NULL, _IOLBF, 0);
#endif
    for (struct test_case *c = cases; c; c = c->next) {
        if (c->child == NULL || strcmp(c->name, name) != 0) continue;
        int status = c->child();
        return status == 0 && atomic_load(&failures) ? 1 : status;
    }
    fprintf(stderr, "no child program named %s\n", name);
    return 127;
}

// A child that ends with tasks alive leaks them by design. LeakSanitizer asks here.
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return in_child; }

//------------------------------------------------------------------------------
// Tests.

#ifdef _WIN32
#define watch(seconds) ((void)0)           // run.sh ends what hangs
#else
// A signal, not a thread: a thread of our own would keep the deadlock detector silent.
// The dump may itself hang on a lock; then the second alarm, by default, ends the process.
static void watchdog(int signo) {
    signal(signo, SIG_DFL);
    alarm(5);
    fprintf(stderr, "watchdog: %s hangs\n", running->name);
    running->dump(stderr);
    _exit(124);
}

static void watch(unsigned seconds) {
    struct sigaction bite = { .sa_handler = watchdog, .sa_flags = SA_NODEFER };
    if (seconds != 0) sigaction(SIGALRM, &bite, NULL);
    alarm(seconds);
}
#endif

static void run_one(void **state) {
    struct test_case *c = running = *state;
    long live = test_alloc_live();
    atomic_store(&failures, 0);
    test_fail_alloc(0);

    began = milliseconds();
    watch(WATCHDOG_SECONDS * (SLOW ? 4 : 1));
    c->run();
    test_fail_alloc(0);
    CHECK_EQ(c->shutdown(2 * CHANRT_SECOND * (SLOW ? 5 : 1)), 0);
    watch(0);

    long leaked_blocks = test_alloc_live() - live;
    CHECK_EQ(leaked_blocks, 0);
    if (atomic_load(&failures)) fail_msg("%d checks failed", atomic_load(&failures));
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--child") == 0) return run_child(argv[2]);
#ifdef _WIN32
    self = argv[0];
    setvbuf(stdout, NULL, _IONBF, 0);      // it has no line buffers
    _setmode(STDOUT_FILENO, _O_BINARY);    // lines that run.sh can read
#else
    setvbuf(stdout, NULL, _IOLBF, 0);
#endif

    struct CMUnitTest *tests = NULL;
    size_t count = 0;
    for (struct test_case *c = cases; c; c = c->next) {
        if (c->run == NULL || (argc > 1 && strstr(c->name, argv[1]) == NULL)) continue;
        tests = realloc(tests, (count + 1) * sizeof *tests);
        tests[count++] = (struct CMUnitTest){ c->name, run_one, NULL, NULL, c };
    }
    if (count == 0) {
        fprintf(stderr, "no test matches\n");
        return 1;
    }
    int failed = _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL);
    printf("%d passed, %d failed\n", (int)count - failed, failed);
    free(tests);
    return failed != 0;
}
