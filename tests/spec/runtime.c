// The runtime seen from outside: figures, dumps, the clock, refused arguments, no memory.
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIMITS_WORK 0  // a sanitizer takes terabytes of address space for itself
#else
#define LIMITS_WORK 1
#endif

#define LATE (5 * CHANRT_SECOND)

TASK(nothing) {}

TASK(wait_on, chan_receiver(int), ch) {
    chan_recv(ch, NULL);
}

TASK(yield_often, int, n) {
    for (int i = 0; i < n; i++)
        task_yield();
}

// case 118
TEST(the_statistics_follow_what_happens) {
    if (test_seeded()) return; // there is one worker
    chanrt_statistics before, during, after;
    CHECK_EQ(chanrt_start(&(chanrt_options){.workers = 2}), 0);
    chanrt_stats(&before);
    CHECK_EQ(before.workers, 2);
    CHECK_EQ(before.tasks_live, 0);
    CHECK_EQ(before.tasks_spawned, 0);

    waitgroup wg = {0};
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(wg_go(&wg, wait_on, ch), 0);
    chanrt_stats(&during);
    CHECK_EQ(during.tasks_live, 50);
    CHECK_EQ(during.tasks_spawned, 50);
    CHECK(during.tasks_peak >= 50);

    for (int i = 0; i < 50; i++)
        CHECK_EQ(chan_send(ch, i), 0);
    CHECK_EQ(wg_go(&wg, yield_often, 1000), 0);
    wg_wait(&wg);
    chanrt_stats(&after);
    CHECK_EQ(after.tasks_spawned, 51);
    CHECK(after.tasks_live <= 51);
    CHECK(after.tasks_peak >= 50);
    CHECK(after.switches >= 51);
    CHECK(after.stacks >= 1);
    CHECK(after.bytes_held > 0);
    chan_free(ch);
}

// case 118
TEST(an_idle_runtime_has_no_live_tasks_and_forgets_its_figures_when_shut_down) {
    chanrt_statistics s;
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, nothing), 0);
    wg_wait(&wg);
    int64_t until = chanrt_now() + LATE;
    do {  // the task may still be on its last steps
        chanrt_stats(&s);
        sched_yield();
    } while (s.tasks_live != 0 && chanrt_now() < until);
    CHECK_EQ(s.tasks_live, 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    memset(&s, 0xff, sizeof s);
    chanrt_stats(&s);
    CHECK_EQ(s.tasks_live, 0);
    CHECK_EQ(s.bytes_held, 0);
}

static char *dump_text(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    chanrt_dump(f);
    fclose(f);
    return text;
}

// The longest wait that the text tells of, in seconds; -1: it tells of none.
static double longest_wait(const char *text) {
    double longest = -1;
    for (const char *at = text; (at = strstr(at, " s]")) != NULL; at++) {
        const char *from = at;
        while (from > text && from[-1] != ' ')
            from--;
        double seconds = atof(from);
        longest = seconds > longest ? seconds : longest;
    }
    return longest;
}

static bool dump_shows(const char *const *words) {
    char *text = dump_text();
    bool all = true;
    for (; *words; words++)
        all = all && strstr(text, *words) != NULL;
    free(text);
    return all;
}

TASK(wait_in_select, chan_receiver(int), a, chan_receiver(int), b) {
    chan_select {
        on_recv(a, NULL) {}
        on_recv(b, NULL) {}
    }
}

TASK(wait_to_send, chan_sender(int), ch) {
    chan_send(ch, 1);
}

TASK(wait_for_group, waitgroup *, wg) {
    wg_wait(wg);
}

TASK(wait_for_time) {
    task_sleep(200 * test_unit);
}

// case 112
TEST(a_dump_tells_who_waits_for_what_and_where_he_was_spawned) {
    chan(int) in = chan_make(int, 0), out = chan_make(int, 0);
    waitgroup gate = {0};
    CHECK_EQ(wg_add(&gate, 1), 0);
    CHECK_EQ(go(wait_on, in), 0);
    CHECK_EQ(go_opt(((task_options){.name = "pusher"}), wait_to_send, out), 0);
    CHECK_EQ(go(wait_in_select, in, in), 0);
    CHECK_EQ(go(wait_for_group, &gate), 0);
    CHECK_EQ(go(wait_for_time), 0);
    const char *words[] = {"wait_on", "pusher", "wait_in_select", "wait_for_group",
                           "wait_for_time", "runtime.c:", "chan receive", "chan send", "select",
                           "waitgroup", "sleep", NULL};
    int64_t until = chanrt_now() + 100 * test_unit;
    while (!dump_shows(words) && chanrt_now() < until)
        task_yield();
    char *text = dump_text();
    bool shown = CHECK(dump_shows(words));
    bool timed = CHECK(longest_wait(text) >= 0 && longest_wait(text) < 10);
    if (!shown || !timed)
        fputs(text, stderr);
    free(text);
    CHECK_EQ(chan_recv(out, NULL), 0);
    CHECK_EQ(chan_close(in), 0);
    CHECK_EQ(wg_done(&gate), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    chan_free(in);
    chan_free(out);
}

TASK(dump_meanwhile, atomic_bool *, over) {
    while (!atomic_load(over)) {
        char *text = dump_text();
        CHECK(text != NULL);
        free(text);
        chanrt_statistics s;
        chanrt_stats(&s);
        task_yield();
    }
}

// case 118
TEST(dumps_and_statistics_may_be_taken_while_tasks_come_and_go) {
    atomic_bool over = false;
    waitgroup dumper = {0}, wg = {0};
    chan(int) ch = chan_make(int, 0);
    CHECK_EQ(wg_go(&dumper, dump_meanwhile, &over), 0);
    for (long i = 0; i < test_rounds(3000); i++) {
        CHECK_EQ(wg_go(&wg, wait_on, ch), 0);
        CHECK_EQ(wg_go(&wg, wait_to_send, ch), 0);
        CHECK_EQ(wg_go(&wg, yield_often, 2), 0);
        if (i % 50 == 0) {
            free(dump_text());
            wg_wait(&wg);
        }
    }
    wg_wait(&wg);
    atomic_store(&over, true);
    wg_wait(&dumper);
    chan_free(ch);
}

// case 125
TEST(the_pool_has_the_size_that_was_asked_for) {
    if (test_seeded()) return; // there is one worker
    const char *asked = getenv("CHANRT_WORKERS");
    CHECK(chanrt_workers() >= 1);
    if (asked)
        CHECK_EQ(chanrt_workers(), atoi(asked));
    CHECK_EQ(chanrt_start(NULL), 0);
    if (asked)
        CHECK_EQ(chanrt_workers(), atoi(asked));
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    for (int n = 1; n <= 16; n *= 4) {
        CHECK_EQ(chanrt_start(&(chanrt_options){.workers = n}), 0);
        CHECK_EQ(chanrt_workers(), n);
        CHECK_EQ(chanrt_shutdown(LATE), 0);
    }
}

CHILD(reads_its_pool_size) {
    const char *values[] = {"3", "", "0", "-2", "x", "99999999", "2x"};
    for (int i = 0; i < 7; i++) {
        setenv("CHANRT_WORKERS", values[i], 1);
        int n = chanrt_workers();
        if (n < 1 || n > 1024 || (i == 0 && n != 3))
            return 3 + i;
    }
    unsetenv("CHANRT_WORKERS");
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof cpus, &cpus);
    return chanrt_workers() == CPU_COUNT(&cpus) ? 0 : 20;
}

// case 125
TEST(the_pool_size_comes_from_the_environment_else_from_the_usable_processors) {
    if (test_seeded()) return; // there is one worker
    struct test_child r = test_run_child("reads_its_pool_size", 20000);
    CHECK_EQ(r.status, 0);
    test_child_free(&r);
}

TASK(watch_clock, int64_t, start, long, rounds) {
    int64_t last = start;
    for (long i = 0; i < rounds; i++) {
        int64_t now = chanrt_now();
        CHECK(now >= last);
        last = now;
        if (i % 100 == 0)
            task_yield();
    }
}

// case 95
// Nothing but the running runtime orders the two: the second one comes later by the clock only.
TASK(is_spawned, atomic_int *, n) { atomic_fetch_add_explicit(n, 1, memory_order_relaxed); }

static atomic_int spawned_by_threads;

static void *spawns_later(void *ms) {
    struct timespec t = { .tv_nsec = 1000000 * (long)(intptr_t)ms };
    nanosleep(&t, NULL);
    CHECK_EQ(go(is_spawned, &spawned_by_threads), 0);
    return NULL;
}

TEST(a_thread_that_finds_the_runtime_running_sees_it_whole) {
    pthread_t first, second;
    pthread_create(&second, NULL, spawns_later, (void *)(intptr_t)30);
    pthread_create(&first, NULL, spawns_later, NULL);
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    CHECK_EQ(atomic_load(&spawned_by_threads), 2);
}

TEST(the_clock_never_goes_back_and_is_the_monotonic_one) {
    if (test_seeded()) return; // time jumps
    waitgroup wg = {0};
    for (int i = 0; i < 8; i++)
        CHECK_EQ(wg_go(&wg, watch_clock, chanrt_now(), test_rounds(10000)), 0);
    wg_wait(&wg);
    for (int i = 0; i < 100; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        int64_t now = chanrt_now();
        clock_gettime(CLOCK_MONOTONIC, &b);
        CHECK(now >= (int64_t)a.tv_sec * 1000000000 + a.tv_nsec);
        CHECK(now <= (int64_t)b.tv_sec * 1000000000 + b.tv_nsec);
    }
}

//--------------------------------------------------------------------------------------------------
// What is refused.

// case 26
TEST(operations_on_a_null_channel_are_refused) {
    chan(int) none = NULL;
    int v = 5;
    CHECK_EQ(chan_send(none, 1), EINVAL);
    CHECK_EQ(chan_recv(none, &v), EINVAL);
    CHECK_EQ(chan_try_send(none, 1), EINVAL);
    CHECK_EQ(chan_try_recv(none, &v), EINVAL);
    CHECK_EQ(chan_send_timeout(none, 1, CHANRT_SECOND), EINVAL);
    CHECK_EQ(chan_recv_timeout(none, &v, CHANRT_SECOND), EINVAL);
    CHECK_EQ(chan_close(none), EINVAL);
    CHECK_EQ(v, 5);
    CHECK_EQ(chan_len(none), 0);
    CHECK_EQ(chan_cap(none), 0);
    CHECK_EQ(chan_get(none), 0);
    CHECK(chan_ref(none) == NULL);
    chan_free(none);
    chan_range(int, never, none) CHECK_EQ(never, 0);
}

// case 26
TEST(a_channel_that_cannot_be_is_not_made) {
    CHECK(chan_make(int, SIZE_MAX) == NULL);
    CHECK(chan_make(int, SIZE_MAX / sizeof(int)) == NULL);
    CHECK(chan_make(int, SIZE_MAX / sizeof(int) + 2) == NULL);  // wraps to a few bytes
    CHECK(chan_make(char, SIZE_MAX) == NULL);
    typedef struct page { char bytes[4096]; } page;
    CHECK(chan_make(page, (SIZE_MAX >> 12) + 1) == NULL);
}

// case 33
TEST(a_select_over_bad_cases_is_refused_or_times_out) {
    chan(int) none = NULL;
    int v = 7;
    chan_case cases[] = {case_recv(none, &v), case_send(none, &v)};
    CHECK_EQ(chan_select_n(cases, 2, 0), -1);
    CHECK_EQ(chan_select_n(cases, 2, CHANRT_MILLISECOND), -1);
    CHECK_EQ(chan_select_n(cases, 0, 0), -1);
    CHECK_EQ(chan_select_n(NULL, 0, 0), -1);
    CHECK_EQ(chan_select_n(cases, -1, 0), -EINVAL);
    CHECK_EQ(chan_select_n(NULL, 2, 0), -EINVAL);
    CHECK_EQ(v, 7);
}

// case 100
TEST(timers_that_cannot_be_are_not_made_and_null_ones_do_nothing) {
    CHECK(ticker_make(0) == NULL);
    CHECK(ticker_make(-5) == NULL);
    CHECK(timer_func(0, NULL, NULL) == NULL);
    CHECK(!timer_stop(NULL));
    CHECK(!timer_reset(NULL, 5));
    CHECK(timer_chan(NULL) == NULL);
    timer_free(NULL);
}

// case 76
TEST(a_bad_waitgroup_is_refused_by_every_call) {
    CHECK_EQ(wg_add(NULL, 1), EINVAL);
    CHECK_EQ(wg_done(NULL), EINVAL);
    CHECK_EQ(wg_wait_timeout(NULL, 0), EINVAL);
    CHECK_EQ(wg_wait_timeout(NULL, -1), EINVAL);
    CHECK_EQ(wg_go(NULL, nothing), EINVAL);
    wg_wait(NULL);
}

// case 125
TEST(a_task_with_an_absurd_stack_is_refused) {
    CHECK_EQ(go_opt(((task_options){.stack_size = SIZE_MAX}), nothing), EINVAL);
    CHECK_EQ(go_opt(((task_options){.stack_size = SIZE_MAX / 2}), nothing), EINVAL);
    CHECK_EQ(go_opt(((task_options){.stack_size = 1}), nothing), EINVAL);
    CHECK_EQ(go_fn(NULL, NULL), EINVAL);
}

//--------------------------------------------------------------------------------------------------
// No memory. Every allocation of a call fails once, the first, the second ..., until the call
// needs no more of them; each time it says so, leaves nothing behind, and works when repeated.

typedef struct blob {
    char bytes[2000];
} blob;

TASK(take_blob, blob, b, atomic_long *, ran) {
    atomic_fetch_add(ran, b.bytes[1999]);
}

typedef bool attempt(void *arg);  // true: the call succeeded, and all it made was undone

static void fail_each_allocation(attempt *try, void *arg) {
    long live = test_alloc_live();
    bool failed = true;
    for (long n = 1; failed && n < 100; n++) {
        test_fail_alloc(n);
        bool succeeded = try(arg);
        failed = test_alloc_failed();
        test_fail_alloc(0);
        CHECK(succeeded || failed);
        if (!succeeded)
            CHECK_EQ(test_alloc_live(), live);
        CHECK(try(arg));
    }
    CHECK(!failed);
}

static bool make_channel(void *arg) {
    chan(blob) ch = chan_make(blob, *(size_t *)arg);
    if (ch == NULL)
        return false;
    CHECK_EQ(chan_cap(ch), *(size_t *)arg);
    chan_free(ch);
    return true;
}

// case 70
TEST(a_channel_is_made_whole_or_not_at_all) {
    for (size_t capacity = 0; capacity < 100; capacity += 33)
        fail_each_allocation(make_channel, &capacity);
}

static bool make_timer(void *arg) {
    (void)arg;
    chan_timer *t = timer_make(CHANRT_SECOND);
    if (t == NULL)
        return false;
    CHECK(timer_stop(t));
    timer_free(t);
    return true;
}

static bool make_ticker(void *arg) {
    (void)arg;
    chan_timer *t = ticker_make(CHANRT_SECOND);
    if (t == NULL)
        return false;
    timer_free(t);
    return true;
}

static void ignore(void *arg) {
    (void)arg;
}

static bool make_timer_func(void *arg) {
    (void)arg;
    chan_timer *t = timer_func(CHANRT_SECOND, ignore, NULL);
    if (t == NULL)
        return false;
    CHECK(timer_stop(t));
    timer_free(t);
    return true;
}

static bool make_after(void *arg) {
    (void)arg;
    chan_receiver(int64_t) after = chan_after(CHANRT_SECOND);
    if (after == NULL)
        return false;
    chan_free(after);
    return true;
}

// case 100
TEST(timers_are_made_whole_or_not_at_all) {
    CHECK_EQ(chanrt_start(NULL), 0);
    // once without failure, so that what the runtime keeps for all timers is there
    make_timer(NULL);
    fail_each_allocation(make_timer, NULL);
    fail_each_allocation(make_ticker, NULL);
    fail_each_allocation(make_timer_func, NULL);
    fail_each_allocation(make_after, NULL);
}

static bool start_and_stop(void *arg) {
    (void)arg;
    int err = chanrt_start(&(chanrt_options){.workers = 4});
    CHECK(err == 0 || err == ENOMEM || err == EAGAIN);
    if (err != 0)
        return false;
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    return true;
}

// case 125
TEST(the_runtime_starts_whole_or_not_at_all) {
    fail_each_allocation(start_and_stop, NULL);
}

// What the runtime keeps of ended tasks makes exact balances pointless here; the end of the test
// checks them.
// case 119
TEST(a_task_is_spawned_whole_or_not_at_all) {
    waitgroup wg = {0};
    atomic_long ran = 0;
    long spawned = 0, refused = 0;
    blob b = {{0}};
    b.bytes[1999] = 1;
    CHECK_EQ(wg_go(&wg, take_blob, b, &ran), 0);
    spawned++;
    for (long i = 0; i < test_rounds(2000); i++) {
        test_fail_alloc(i % 7 + 1);
        int err = wg_go(&wg, take_blob, b, &ran);
        test_fail_alloc(0);
        CHECK(err == 0 || err == ENOMEM);
        spawned += err == 0;
        refused += err != 0;
    }
    wg_wait(&wg);
    CHECK_EQ(wg_done(&wg), EINVAL);
    CHECK_EQ(atomic_load(&ran), spawned);
    CHECK_EQ(spawned + refused, test_rounds(2000) + 1);
}

// case 63
TEST(a_large_select_says_that_there_is_no_memory_and_leaves_nothing_queued) {
    enum { CASES = 40 };
    chan(int) ch[CASES];
    chan_case cases[CASES];
    int v = 0;
    for (int i = 0; i < CASES; i++) {
        ch[i] = chan_make(int, 0);
        cases[i] = case_recv(ch[i], &v);
    }
    for (long n = 1; n < 50; n++) {
        test_fail_alloc(n);
        int got = chan_select_n(cases, CASES, 10 * CHANRT_MICROSECOND);
        bool failed = test_alloc_failed();
        test_fail_alloc(0);
        CHECK(got == -1 || (failed && got == -ENOMEM));
        for (int i = 0; i < CASES; i++)
            CHECK_EQ(chan_try_send(ch[i], 1), EAGAIN);
        if (!failed)
            break;
    }
    for (int i = 0; i < CASES; i++)
        chan_free(ch[i]);
}

// The address space there is, and so much more.
static bool limit_memory(long more) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    bool read = f != NULL && fscanf(f, "%ld", &pages) == 1;
    if (f != NULL)
        fclose(f);
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = more < 0 ? limit.rlim_max : (rlim_t)(pages * 4096 + more);
    return read && setrlimit(RLIMIT_AS, &limit) == 0;
}

CHILD(has_no_room_for_many_threads) {
    static atomic_long ran;
    for (long more = 0; more < 64 << 20; more += 8 << 20) {
        if (!limit_memory(more))
            return 3;
        int err = chanrt_start(&(chanrt_options){.workers = 64});
        if (err == 0)
            err = chanrt_shutdown(LATE);
        if (err != 0 && err != ENOMEM && err != EAGAIN)
            return 4;
        if (more == 0 && err == 0)
            return 5;
    }
    limit_memory(-1);
    blob b = {{0}};
    b.bytes[1999] = 1;
    if (go(take_blob, b, &ran) != 0 || chanrt_shutdown(LATE) != 0)
        return 6;
    return atomic_load(&ran) == 1 && test_alloc_live() == 0 ? 0 : 7;
}

// case 125
TEST(a_pool_that_finds_no_room_is_taken_down_again) {
    if (!LIMITS_WORK)
        return;
    struct test_child r = test_run_child("has_no_room_for_many_threads", 20000);
    if (!CHECK_EQ(r.status, 0))
        fprintf(stderr, "%s\n", r.out);
    test_child_free(&r);
}

CHILD(has_no_room_for_many_stacks) {
    static atomic_long ran;
    waitgroup wg = {0};
    chan(int) gate = chan_make(int, 0);
    if (chanrt_start(&(chanrt_options){.workers = 2}) != 0 || !limit_memory(16 << 20))
        return 3;
    long spawned = 0;
    int err = 0;
    for (; spawned < 1000000 && err == 0; spawned++)
        err = wg_go(&wg, wait_on, gate);
    if (err != ENOMEM && err != EAGAIN)
        return 4;
    limit_memory(-1);  // those without a stack get one now
    chan_close(gate);
    wg_wait(&wg);
    blob b = {{0}};
    b.bytes[1999] = 1;
    if (go(take_blob, b, &ran) != 0 || chanrt_shutdown(LATE) != 0)
        return 5;
    chan_free(gate);
    return atomic_load(&ran) == 1 && test_alloc_live() == 0 ? 0 : 6;
}

// case 125
TEST(spawning_without_end_says_that_there_is_no_memory_and_goes_on_later) {
    if (!LIMITS_WORK)
        return;
    struct test_child r = test_run_child("has_no_room_for_many_stacks", 20000);
    if (!CHECK_EQ(r.status, 0))
        fprintf(stderr, "%s\n", r.out);
    test_child_free(&r);
}
