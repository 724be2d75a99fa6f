// os.c - spin locks, deadlines, sleeping on a word, counting, threads, guard pages.
#include "unit.h"

//------------------------------------------------------------------------------
// Spin locks.

static uint32_t word;
static long rounds, counter;

static void *count_under_lock(void *unused) {
    for (long i = 0; i < rounds; i++) {
        chanrt__os_lock(&word);
        counter++;
        chanrt__os_unlock(&word);
    }
    return unused;
}

TEST(spin_lock_excludes_under_contention) {
    rounds = test_rounds(50000);
    counter = 0;
    at_once(4, count_under_lock, NULL);
    CHECK_EQ(counter, 4 * rounds);
    CHECK_EQ(word, 0);
}

TEST(back_off_grows_and_ends) {
    uint32_t tries = 0;
    for (int i = 0; i < 20; i++) chanrt__os_back_off(&tries);
    CHECK(tries >= 64 && tries < 256);
}

//------------------------------------------------------------------------------
// Instants.

TEST(deadlines_saturate) {
    CHECK_EQ(chanrt__os_deadline(-1), CHANRT__FOREVER);
    CHECK_EQ(chanrt__os_deadline(INT64_MIN), CHANRT__FOREVER);
    CHECK_EQ(chanrt__os_deadline(INT64_MAX), CHANRT__FOREVER - 1);
    CHECK_EQ(chanrt__os_deadline(INT64_MAX - 2), CHANRT__FOREVER - 1);
    CHECK(chanrt__os_deadline(INT64_MAX / 2) < CHANRT__FOREVER - 1);
    int64_t before = chanrt_now(), at = chanrt__os_deadline(1000), after = chanrt_now();
    CHECK(at >= before + 1000 && at <= after + 1000);
}

//------------------------------------------------------------------------------
// Sleeping on a word.

TEST(sleep_returns_at_once_when_the_word_differs) {
    uint32_t here = 1;
    errno = 77;
    chanrt__os_sleep(&here, 0, CHANRT__FOREVER);       // a hang would be the failure
    CHECK_EQ(errno, 77);
}

TEST(sleep_ends_at_its_deadline) {
    uint32_t here = 0;
    int64_t deadline = chanrt_now() + 5 * CHANRT_MILLISECOND;
    int turns = 0;
    errno = 77;
    for (; chanrt_now() < deadline; turns++) chanrt__os_sleep(&here, 0, deadline);
    CHECK_EQ(errno, 77);
    CHECK(turns < 100);                                // it slept; it did not spin
    chanrt__os_sleep(&here, 0, deadline);              // an instant gone by
    chanrt__os_sleep(&here, 0, 0);
}

static uint32_t ball;

static void until_ball_is(uint32_t value) {
    for (uint32_t now; (now = __atomic_load_n(&ball, __ATOMIC_ACQUIRE)) != value;)
        chanrt__os_sleep(&ball, now, CHANRT__FOREVER);
}

static void throw(uint32_t value) {
    __atomic_store_n(&ball, value, __ATOMIC_RELEASE);
    chanrt__os_wake(&ball);
}

static void *catch_and_return(void *unused) {
    for (uint32_t i = 0; i < rounds; i++) {
        until_ball_is(2 * i + 1);
        throw(2 * i + 2);
    }
    return unused;
}

TEST(no_wake_is_lost) {
    rounds = test_rounds(5000);
    throw(0);
    pthread_t other;
    pthread_create(&other, NULL, catch_and_return, NULL);
    for (uint32_t i = 0; i < rounds; i++) {
        throw(2 * i + 1);
        until_ball_is(2 * i + 2);
    }
    pthread_join(other, NULL);
    CHECK_EQ(ball, 2 * rounds);
}

//------------------------------------------------------------------------------
// Random numbers, processors, threads.

TEST(random_is_never_zero_and_spreads) {
    struct chanrt__os_thread self = { .random = 0 };
    int buckets[16] = {0};
    CHECK(chanrt__os_random(&self) != 0);              // seeds itself
    for (long i = 0; i < 16000; i++) {
        uint32_t x = chanrt__os_random(&self);
        CHECK(x != 0 && self.random == x);
        buckets[x % 16]++;
    }
    for (int i = 0; i < 16; i++) CHECK(buckets[i] > 500 && buckets[i] < 1500);
}

TEST(usable_processors_are_those_of_the_affinity_mask) {
    cpu_set_t all, one;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CHECK_EQ(chanrt__os_cpus(), CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    sched_setaffinity(0, sizeof one, &one);
    CHECK_EQ(chanrt__os_cpus(), 1);
    sched_setaffinity(0, sizeof all, &all);
}

static pthread_barrier_t counted;

static void *be_counted(void *unused) {
    pthread_barrier_wait(&counted);
    pthread_barrier_wait(&counted);
    return unused;
}

TEST(threads_of_the_process_are_counted) {
    enum { EXTRA = CHANRT__TSAN };                     // the sanitizer has a thread of its own
    pthread_t threads[3];
    pthread_barrier_init(&counted, NULL, 4);
    for (int i = 0; i < 3; i++) {
        int err = i == 0 ? chanrt__os_thread_start(&threads[i], be_counted, NULL)
                         : pthread_create(&threads[i], NULL, be_counted, NULL);
        CHECK_EQ(err, 0);
    }
    pthread_barrier_wait(&counted);
    // A thread that was joined may be on its way out for a moment more.
    for (int i = 0; i < 1000 && chanrt__os_threads() != 4 + EXTRA; i++) usleep(100);
    CHECK_EQ(chanrt__os_threads(), 4 + EXTRA);
    pthread_barrier_wait(&counted);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 1000 && chanrt__os_threads() != 1 + EXTRA; i++) usleep(100);
    CHECK_EQ(chanrt__os_threads(), 1 + EXTRA);
    pthread_barrier_destroy(&counted);
}

static void *read_signal_mask(void *mask) {
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return NULL;
}

TEST(our_threads_take_no_signals_but_faults) {
    sigset_t before, after, theirs;
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_EQ(chanrt__os_thread_start(&thread, read_signal_mask, &theirs), 0);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    CHECK_EQ(sigismember(&theirs, SIGINT), 1);
    CHECK_EQ(sigismember(&theirs, SIGALRM), 1);
    CHECK_EQ(sigismember(&theirs, SIGSEGV), 0);
    CHECK_EQ(sigismember(&theirs, SIGBUS), 0);
    for (int sig = 1; sig < 32; sig++)
        CHECK_EQ(sigismember(&after, sig), sigismember(&before, sig));
}

//------------------------------------------------------------------------------
// Memory.

TEST(absurd_mapping_is_refused_and_errno_kept) {
    errno = 77;
    CHECK(chanrt__os_map(SIZE_MAX / 2) == NULL);
    CHECK_EQ(errno, 77);
}

#if CHANRT_GUARD
// Three guards, a stride of two pages apart; what lies between them is ordinary memory.
static char *guarded(int which) {
    size_t page = chanrt__os_page();
    char *p = chanrt__os_map(6 * page);
    chanrt__os_guard(p, page, 2 * page, 3);
    for (size_t i = 0; i < 3; i++) memset(p + (2 * i + 1) * page, 1, page);
    return p + 2 * (size_t)which * page;
}

CHILD(touches_first_guard) { return touch_guard(guarded(0)); }
CHILD(touches_last_guard) { return touch_guard(guarded(2) + chanrt__os_page() - 1); }

TEST(touched_guard_page_faults) {
    dies_at_guard("touches_first_guard");
    dies_at_guard("touches_last_guard");
}
#endif

TEST(signals_have_their_names_with_and_without_sig_and_numbers) {
    CHECK_EQ(chanrt__os_signal_named("USR1"), SIGUSR1);
    CHECK_EQ(chanrt__os_signal_named("SIGUSR1"), SIGUSR1);
    CHECK_EQ(chanrt__os_signal_named("12"), 12);
    CHECK_EQ(chanrt__os_signal_named(NULL), 0);
    CHECK_EQ(chanrt__os_signal_named("nothing"), 0);
    CHECK_EQ(chanrt__os_signal_named("32"), 0);
    CHECK_EQ(chanrt__os_signal_named("-1"), 0);
}
