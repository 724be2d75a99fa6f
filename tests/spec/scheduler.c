// The scheduler (catalogue O): fairness, wakes that are never lost, migration, spawning, starting
// and shutting down, stacks.
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LATE (5 * CHANRT_SECOND)  // a runnable task that has not run by then is stranded

// By system call: the compiler may keep pthread_self, and a task may have moved since.
static long thread_id(void) {
    return syscall(SYS_gettid);
}

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void spin(uint64_t turns) {
    for (volatile uint64_t i = 0; i < turns; i++) {}
}

// Waits without a call into the runtime, which could run the task that is being waited for.
static bool reaches(atomic_long *counter, long value) {
    int64_t until = chanrt_now() + LATE;
    for (unsigned i = 0; atomic_load(counter) < value; i++) {
        if (i % 1024 == 1023) {
            sched_yield();
            if (chanrt_now() > until)
                return false;
        }
    }
    return true;
}

static void start_with(int workers) {
    CHECK_EQ(chanrt_start(&(chanrt_options){.workers = workers}), 0);
    CHECK_EQ(chanrt_workers(), workers);
}

TASK(count, atomic_long *, counter) {
    atomic_fetch_add(counter, 1);
}

TASK(nothing) {}

//--------------------------------------------------------------------------------------------------
// Fairness.

TASK(poll_flag, atomic_bool *, flag) {
    while (!atomic_load(flag))
        task_yield();
}

TASK(raise_flag, atomic_bool *, flag) {
    atomic_store(flag, true);
}

// case 115
TEST(a_task_that_yields_lets_the_others_run) {
    start_with(1);
    waitgroup wg = {0};
    atomic_bool flag = false;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wg_go(&wg, poll_flag, &flag), 0);
    CHECK_EQ(wg_go(&wg, raise_flag, &flag), 0);
    wg_wait(&wg);
}

enum { YIELDERS = 5 };

typedef struct progress {
    long turns[YIELDERS];
    long widest;
    int running;
} progress;

TASK(yield_in_turn, progress *, p, int, me, long, rounds) {
    p->running++;
    for (long i = 0; i < rounds; i++) {
        p->turns[me]++;
        for (int k = 0; p->running == YIELDERS && k < YIELDERS; k++) {
            long ahead = p->turns[me] - p->turns[k];
            p->widest = ahead > p->widest ? ahead : p->widest;
        }
        task_yield();
    }
    p->running = 0;
}

TASK(spawn_yielders, progress *, p, waitgroup *, wg, long, rounds) {
    for (int i = 0; i < YIELDERS; i++)
        CHECK_EQ(wg_go(wg, yield_in_turn, p, i, rounds), 0);
}

// case 115
TEST(tasks_that_yield_on_one_worker_take_turns) {
    if (test_seeded()) return; // the seed says who is next
    start_with(1);
    progress p = {.widest = 0};
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, spawn_yielders, &p, &wg, test_rounds(10000)), 0);
    wg_wait(&wg);
    CHECK(p.widest <= 8);
}

TASK(log_turns, int, me, int, yields, char *, log) {
    for (int i = 0; i <= yields; i++) {
        log[strlen(log)] = (char)('a' + me);
        task_yield();
    }
}

TASK(spawn_three, waitgroup *, wg, char *, log) {
    CHECK_EQ(wg_go(wg, log_turns, 0, 3, log), 0);
    CHECK_EQ(wg_go(wg, log_turns, 1, 1, log), 0);
    CHECK_EQ(wg_go(wg, log_turns, 2, 2, log), 0);
}

// case 115
TEST(three_one_and_two_yields_interleave) {
    if (test_seeded()) return; // the seed says who is next
    start_with(1);
    char log[16] = "";
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, spawn_three, &wg, log), 0);
    wg_wait(&wg);
    CHECK_EQ(strlen(log), 9);
    // whoever begins: in each of the first two rounds everybody once, and never twice in a row
    for (int round = 0; round < 2; round++) {
        int seen = 0;
        for (int i = 0; i < 3; i++)
            seen |= 1 << (log[3 * round + i] - 'a');
        CHECK_EQ(seen, 7);
    }
}

typedef struct court {
    atomic_bool over;
    int64_t until;
} court;

TASK(rally, chan(int), in, chan(int), out, court *, c) {
    int n;
    while (chan_recv(in, &n) == 0 && !atomic_load(&c->over) && chanrt_now() < c->until) {
        if (chan_send(out, n + 1) != 0)
            break;
    }
    chan_close(in);
    chan_close(out);
}

TASK(end_game, court *, c) {
    CHECK(chanrt_now() < c->until);
    atomic_store(&c->over, true);
}

static void third_task_gets_in(size_t capacity) {
    court c = {.until = chanrt_now() + LATE};
    waitgroup wg = {0};
    chan(int) a = chan_make(int, capacity), b = chan_make(int, capacity);
    CHECK_EQ(wg_go(&wg, rally, a, b, &c), 0);
    CHECK_EQ(wg_go(&wg, rally, b, a, &c), 0);
    CHECK_EQ(chan_send(a, 0), 0);
    CHECK_EQ(wg_go(&wg, end_game, &c), 0);
    wg_wait(&wg);
    chan_free(a);
    chan_free(b);
}

// case 120
TEST(a_pair_that_hands_over_for_ever_does_not_starve_a_third_task) {
    start_with(1);
    third_task_gets_in(0);
    third_task_gets_in(1);
}

TASK(spawn_third, court *, c, waitgroup *, wg, chan(int), a, chan(int), b) {
    CHECK_EQ(wg_go(wg, end_game, c), 0);
    CHECK_EQ(wg_go(wg, rally, a, b, c), 0);
    CHECK_EQ(wg_go(wg, rally, b, a, c), 0);
    CHECK_EQ(chan_send(a, 0), 0);
}

// case 120
TEST(a_task_that_was_queued_before_a_pair_began_to_play_gets_its_turn) {
    start_with(1);
    court c = {.until = chanrt_now() + LATE};
    waitgroup wg = {0};
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    CHECK_EQ(wg_go(&wg, spawn_third, &c, &wg, a, b), 0);
    wg_wait(&wg);
    chan_free(a);
    chan_free(b);
}

TASK(work_pair, chan(int), in, chan(int), out, uint64_t, turns, atomic_long *, done, court *, c) {
    while (chan_recv(in, NULL) == 0 && !atomic_load(&c->over)) {
        spin(turns);
        atomic_fetch_add(done, 1);
        if (chan_send(out, 1) != 0)
            break;
    }
    chan_close(in);
    chan_close(out);
}

// case 120
TEST(a_heavy_and_a_light_pair_progress_within_twenty_times) {
    enum { HEAVY = 5 };
    start_with(1);
    court c = {.until = 0};
    waitgroup wg = {0};
    atomic_long done[2] = {0, 0};
    chan(int) ball[4];
    for (int i = 0; i < 4; i++)
        ball[i] = chan_make(int, 0);
    for (int i = 0; i < 2; i++) {
        chan(int) a = ball[2 * i];
        chan(int) b = ball[2 * i + 1];
        uint64_t turns = i == 0 ? 2000 * HEAVY : 2000;
        CHECK_EQ(wg_go(&wg, work_pair, a, b, turns, &done[i], &c), 0);
        CHECK_EQ(wg_go(&wg, work_pair, b, a, turns, &done[i], &c), 0);
    }
    CHECK_EQ(chan_send(ball[0], 1), 0);
    CHECK_EQ(chan_send(ball[2], 1), 0);
    task_sleep(200 * test_unit);
    atomic_store(&c.over, true);
    wg_wait(&wg);
    long heavy = atomic_load(&done[0]), light = atomic_load(&done[1]);
    CHECK(heavy > 0 && light > 0);
    CHECK(light <= 20 * heavy);
    CHECK(heavy <= 20 * light);
    for (int i = 0; i < 4; i++)
        chan_free(ball[i]);
}

//--------------------------------------------------------------------------------------------------
// No wake is lost, whatever the workers are just doing.

// case 116 *36
TEST(a_task_spawned_while_the_workers_go_to_sleep_starts_at_once) {
    uint64_t random = 116;
    atomic_long started = 0;
    for (long i = 1; i <= test_rounds(10000); i++) {
        spin(draw(&random) % 3000);
        CHECK_EQ(go(count, &started), 0);
        if (!CHECK(reaches(&started, i)))
            break;
    }
}

TASK(count_values, chan_receiver(int), in, atomic_long *, counter) {
    chan_range(int, v, in) atomic_fetch_add(counter, v);
}

// case 116 *36
TEST(a_task_woken_while_the_workers_go_to_sleep_runs_at_once) {
    uint64_t random = 1161;
    atomic_long received = 0;
    chan(int) ch = chan_make(int, 1);
    CHECK_EQ(go(count_values, ch, &received), 0);
    for (long i = 1; i <= test_rounds(10000); i++) {
        spin(draw(&random) % 3000);
        CHECK_EQ(chan_send(ch, 1), 0);
        if (!CHECK(reaches(&received, i)))
            break;
    }
    chan_close(ch);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    chan_free(ch);
}

// case 116 *36
TEST(tasks_spawned_in_bursts_at_random_instants_all_start) {
    uint64_t random = 1162;
    atomic_long started = 0;
    long total = 0;
    for (long i = 0; i < test_rounds(5000); i++) {
        long burst = (long)(draw(&random) % 4) + 1;
        for (long k = 0; k < burst; k++)
            CHECK_EQ(go(count, &started), 0);
        total += burst;
        spin(draw(&random) % 20000);
        if (!CHECK(reaches(&started, total)))
            break;
    }
}

TASK(in_lock_step, atomic_long *, turn, int, me, int, all, long, rounds) {
    int64_t until = chanrt_now() + LATE;
    for (long i = 0; i < rounds; i++) {
        while (atomic_load(turn) != i * all + me) {
            if (chanrt_now() > until)
                return;
            sched_yield();
        }
        atomic_fetch_add(turn, 1);
    }
}

TASK(spawn_in_lock_step, atomic_long *, turn, int, all, long, rounds, waitgroup *, wg) {
    for (int i = 1; i < all; i++)
        CHECK_EQ(wg_go(wg, in_lock_step, turn, i, all, rounds), 0);
    in_lock_step(turn, 0, all, rounds);
}

// case 117
TEST(as_many_spinning_tasks_as_workers_run_all_at_once) {
    int all = test_workers();
    long rounds = test_rounds(200);
    for (int i = 0; i < 2; i++) {
        atomic_long turn = 0;
        waitgroup wg = {0};
        if (i == 0) {
            for (int k = 0; k < all; k++)
                CHECK_EQ(wg_go(&wg, in_lock_step, &turn, k, all, rounds), 0);
        } else {
            CHECK_EQ(wg_go(&wg, spawn_in_lock_step, &turn, all, rounds, &wg), 0);
        }
        wg_wait(&wg);
        CHECK_EQ(atomic_load(&turn), all * rounds);
    }
}

TASK(hog_after_spawning, atomic_long *, ran) {
    for (int i = 0; i < 10; i++)
        CHECK_EQ(go(count, ran), 0);
    CHECK(reaches(ran, 10));
}

// case 117
TEST(tasks_queued_behind_a_hog_are_run_by_the_other_worker) {
    if (test_seeded()) return; // there is one worker
    start_with(2);
    for (long i = 0; i < test_rounds(200); i++) {
        waitgroup wg = {0};
        atomic_long ran = 0;
        CHECK_EQ(wg_go(&wg, hog_after_spawning, &ran), 0);
        wg_wait(&wg);
        if (!CHECK_EQ(atomic_load(&ran), 10))
            break;
    }
}

TASK(hog_after_waking, chan_sender(int), ch, atomic_long *, counter) {
    for (int i = 1; i <= 10; i++) {
        CHECK_EQ(chan_send(ch, 1), 0);
        if (!CHECK(reaches(counter, i)))
            break;
    }
}

// case 117
TEST(a_task_that_a_hog_has_woken_is_run_by_the_other_worker) {
    if (test_seeded()) return; // there is one worker
    start_with(2);
    for (long i = 0; i < test_rounds(200); i++) {
        waitgroup wg = {0};
        atomic_long received = 0;
        chan(int) ch = chan_make(int, 0);
        CHECK_EQ(wg_go(&wg, count_values, ch, &received), 0);
        CHECK_EQ(wg_go(&wg, hog_after_waking, ch, &received), 0);
        while (atomic_load(&received) < 10 && wg_wait_timeout(&wg, test_unit) == ETIMEDOUT) {}
        chan_close(ch);
        wg_wait(&wg);
        chan_free(ch);
        if (!CHECK_EQ(atomic_load(&received), 10))
            break;
    }
}

// A token channel is a one-bit memory: a wake that comes before its wait is remembered, several
// coalesce into one, and a timed wait takes it too.
typedef struct token_box {
    chan(char) token;
    atomic_long work, taken;
    long total;
} token_box;

TASK(take_work, token_box *, box) {
    for (long got = 0, i = 0; got < box->total; i++) {
        int err = i % 2 ? chan_recv(box->token, NULL) : chan_recv_timeout(box->token, NULL, LATE);
        if (!CHECK_EQ(err, 0))
            break;
        got += atomic_exchange(&box->work, 0);
        atomic_store(&box->taken, got);
    }
}

// case 122 *38
TEST(a_wake_before_the_wait_is_remembered_once) {
    if (test_seeded()) return; // main looks on without a call, and time jumps
    uint64_t random = 122;
    token_box box = {.token = chan_make(char, 1), .total = test_rounds(30000)};
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, take_work, &box), 0);
    for (long i = 1; i <= box.total; i++) {
        atomic_fetch_add(&box.work, 1);
        int err = chan_try_send(box.token, 't');
        CHECK(err == 0 || err == EAGAIN);
        if (draw(&random) % 16 == 0)
            spin(draw(&random) % 500);
        if (i % 64 == 0 && !CHECK(reaches(&box.taken, i)))
            break;
    }
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&box.work), 0);
    chan_free(box.token);
}

// The receiver of an unbuffered channel is visible to a try-send the instant it queues itself: a
// thread that tries without end hits exactly the moment before the task's registers are saved.
TASK(receive_with_canaries, chan(long), in, long, rounds) {
    volatile uint64_t canary[64];
    for (long i = 0; i < rounds; i++) {
        uint64_t mark = (uint64_t)i * 0x9e3779b97f4a7c15u;
        for (int k = 0; k < 64; k++)
            canary[k] = mark + (uint64_t)k;
        long got = -1;
        bool intact = true;
        if (i % 2) {
            chan_select {
                on_recv(in, &got) {}
            }
        } else {
            intact = chan_recv(in, &got) == 0;
        }
        for (int k = 0; k < 64; k++)
            intact = intact && canary[k] == mark + (uint64_t)k;
        if (!CHECK(intact) || !CHECK_EQ(got, i))
            break;
    }
    chan_close(in);
}

static void try_until_sent(chan(long) ch, long rounds) {
    for (long i = 0; i < rounds; i++) {
        int err;
        while ((err = chan_try_send(ch, i)) == EAGAIN) {}
        if (err != 0)
            break;
    }
}

TASK(try_sends, chan(long), ch, long, rounds) {
    for (long i = 0; i < rounds; i++) {
        int err;
        while ((err = chan_try_send(ch, i)) == EAGAIN)
            task_yield();
        if (err != 0)
            break;
    }
}

// case 123 *39
TEST(a_wake_that_comes_before_the_stack_is_saved_does_not_run_the_task_twice) {
    long rounds = test_rounds(15000);
    for (int by_thread = 0; by_thread < 2; by_thread++) {
        waitgroup wg = {0};
        chan(long) ch = chan_make(long, 0);
        CHECK_EQ(wg_go(&wg, receive_with_canaries, ch, rounds), 0);
        if (by_thread)
            try_until_sent(ch, rounds);
        else
            CHECK_EQ(wg_go(&wg, try_sends, ch, rounds), 0);
        wg_wait(&wg);
        chan_free(ch);
    }
}

TASK(pass_on_with_canaries, chan(long), in, chan(long), out) {
    long kept = 0;
    chan_range(long, n, in) {
        if (!CHECK_EQ(n, kept))
            break;
        kept++;
        if (chan_send(out, n) != 0)
            break;
    }
    chan_close(out);
}

// case 123 *39
TEST(a_chain_of_tasks_between_two_threads_keeps_every_value) {
    enum { LINKS = 8 };
    chan(long) link[LINKS + 1];
    waitgroup wg = {0};
    for (int i = 0; i <= LINKS; i++)
        link[i] = chan_make(long, 0);
    for (int i = 0; i < LINKS; i++)
        CHECK_EQ(wg_go(&wg, pass_on_with_canaries, link[i], link[i + 1]), 0);
    CHECK_EQ(wg_go(&wg, try_sends, link[0], test_rounds(10000)), 0);
    for (long i = 0; i < test_rounds(10000); i++) {
        long got = -1;
        CHECK_EQ(chan_recv(link[LINKS], &got), 0);
        if (!CHECK_EQ(got, i))
            break;
    }
    chan_close(link[0]);
    wg_wait(&wg);
    for (int i = 0; i <= LINKS; i++)
        chan_free(link[i]);
}

//--------------------------------------------------------------------------------------------------
// Migration.

typedef struct ring_end {
    chan(int) in, out;
} ring_end;

// Six values live across the park, kept in registers as far as there are any.
__attribute__((noinline)) static uint64_t mix_across_park(ring_end *e, uint64_t x, int *value) {
    uint64_t a = x * 3, b = x ^ 0x55, c = x + 7, d = x * x, f = x >> 3, g = ~x;
    double h = (double)x * 0.5;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(f), "+r"(g));
    int err = chan_recv(e->in, value);
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(f), "+r"(g));
    bool intact = a == x * 3 && b == (x ^ 0x55) && c == x + 7 && d == x * x && f == x >> 3 &&
                  g == ~x && h == (double)x * 0.5;
    return err == 0 && intact ? x : ~x;
}

TASK(keep_registers, ring_end *, e, int, me, long, rounds, atomic_long *, moves) {
    long home = thread_id();
    for (long i = 0; i < rounds; i++) {
        int value = 0;
        uint64_t x = (uint64_t)me << 32 | (uint64_t)i;
        errno = 1000 + me;
        if (!CHECK(mix_across_park(e, x, &value) == x) || !CHECK_EQ(errno, 1000 + me))
            break;
        CHECK_EQ(chan_send(e->out, value + 1), 0);
        CHECK_EQ(errno, 1000 + me);
        if (i % 16 == 0 && thread_id() != home) {
            atomic_fetch_add(moves, 1);
            home = thread_id();
        }
    }
}

// case 121 *37
TEST(registers_and_errno_are_the_tasks_own_across_parks) {
    enum { TASKS = 16 };
    long rounds = test_rounds(8000);
    static ring_end ends[TASKS];
    atomic_long moves = 0;
    waitgroup wg = {0};
    for (int i = 0; i < TASKS; i++)
        ends[i].in = chan_make(int, 2);
    for (int i = 0; i < TASKS; i++) {
        ends[i].out = ends[(i + 1) % TASKS].in;
        CHECK_EQ(wg_go(&wg, keep_registers, &ends[i], i, rounds, &moves), 0);
    }
    errno = EXDEV;
    for (int i = 0; i < TASKS / 2; i++)
        CHECK_EQ(chan_send(ends[2 * i].in, 0), 0);
    wg_wait(&wg);
    CHECK_EQ(errno, EXDEV);
    int left = 0;
    for (int i = 0; i < TASKS; i++) {
        left += (int)chan_len(ends[i].in);
        chan_free(ends[i].in);
    }
    CHECK_EQ(left, TASKS / 2);
}

TASK(hog_until, atomic_long *, hogging, atomic_long *, release) {
    atomic_fetch_add(hogging, 1);
    CHECK(reaches(release, 1));
}

TASK(park_beside_hog, chan_receiver(int), wake, atomic_long *, hogging, atomic_long *, release,
     waitgroup *, wg, atomic_long *, moves) {
    long before = thread_id();
    CHECK_EQ(wg_go(wg, hog_until, hogging, release), 0);
    errno = ENOTTY;
    CHECK_EQ(chan_recv(wake, NULL), 0);
    CHECK_EQ(errno, ENOTTY);
    atomic_fetch_add(moves, thread_id() != before);
    atomic_store(release, 1);
}

// case 121 *37
TEST(a_woken_task_moves_away_from_a_worker_that_is_busy) {
    if (test_seeded()) return; // there is one worker
    start_with(2);
    atomic_long moves = 0;
    chan(int) wake = chan_make(int, 0);
    for (int i = 0; i < 200 && atomic_load(&moves) == 0; i++) {
        atomic_long hogging = 0, release = 0;
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, park_beside_hog, wake, &hogging, &release, &wg, &moves), 0);
        CHECK(reaches(&hogging, 1));
        CHECK_EQ(chan_send(wake, 1), 0);
        wg_wait(&wg);
    }
    CHECK(atomic_load(&moves) > 0);
    chan_free(wake);
}

TASK(stays_put, ring_end *, e, long, rounds, long *, home) {
    *home = thread_id();
    for (long i = 0; i < rounds; i++) {
        int value = chan_get(e->in);
        if (!CHECK_EQ(thread_id(), *home))
            break;
        CHECK_EQ(chan_send(e->out, value), 0);
        if (i % 100 == 0) {
            task_sleep(CHANRT_MICROSECOND);
            task_yield();
        }
        CHECK_EQ(thread_id(), *home);
    }
}

// case 121 *37
TEST(a_pinned_task_stays_on_the_worker_that_first_ran_it) {
    enum { TASKS = 8 };
    long rounds = test_rounds(4000), home[TASKS], used = 0;
    static ring_end ends[TASKS];
    atomic_long moves = 0;
    waitgroup wg = {0};
    CHECK_EQ(wg_add(&wg, 0), 0);
    for (int i = 0; i < TASKS; i++)
        ends[i].in = chan_make(int, 4);
    for (int i = 0; i < TASKS; i++) {
        ends[i].out = ends[(i + 1) % TASKS].in;
        if (i % 2)
            CHECK_EQ(wg_go(&wg, keep_registers, &ends[i], i, rounds, &moves), 0);
        else
            CHECK_EQ(go_opt(((task_options){.pinned = true}), stays_put, &ends[i], rounds,
                            &home[i]), 0);
    }
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(chan_send(ends[i].in, i), 0);
    wg_wait(&wg);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    for (int i = 0; i < TASKS; i++) {
        used += (long)chan_len(ends[i].in);
        chan_free(ends[i].in);
    }
    CHECK_EQ(used, TASKS);
}

TASK(echoes_pinned, chan_receiver(int), in, chan_sender(int), out) {
    long home = thread_id();
    chan_range(int, v, in) {
        CHECK_EQ(thread_id(), home);
        CHECK_EQ(chan_send(out, v), 0);
    }
    chan_close(out);
}

// Its own worker is the one to be woken, whoever else sleeps.
TEST(a_pinned_task_is_woken_by_a_thread_although_all_workers_sleep) {
    chan(int) in = chan_make(int, 0), out = chan_make(int, 0);
    CHECK_EQ(go_opt(((task_options){.pinned = true}), echoes_pinned, in, out), 0);
    for (int i = 0; i < 20; i++) {
        task_sleep(CHANRT_MILLISECOND); // workers may, and mostly do, fall asleep
        CHECK_EQ(chan_send(in, i), 0);
        CHECK_EQ(chan_get(out), i);
    }
    chan_close(in);
    CHECK_EQ(chan_recv(out, NULL), EPIPE);
    chan_free(in);
    chan_free(out);
}

TASK(takes_turns, atomic_long *, turns, atomic_bool *, stop, waitgroup *, wg) {
    for (; !atomic_load(stop); atomic_fetch_add(turns, 1)) task_yield();
    wg_done(wg);
}

TASK(answers_all, chan(int), there, chan(int), back) {
    chan_range(int, v, there) chan_send(back, v);
}

TASK(asks_until, atomic_long *, turns, long, most, chan(int), there, chan(int), back) {
    most += atomic_load(turns);
    for (int trip = 0; trip < 20000000 && atomic_load(turns) < most && !test_late(); trip++) {
        chan_send(there, trip);
        CHECK_EQ(chan_get(back), trip);
    }
    CHECK(atomic_load(turns) >= most);
    chan_close(there);
}

// A pair that hands over makes two steps a turn: nobody's turn may depend on their number.
TEST(a_pinned_task_has_its_turns_beside_a_pair) {
    chan(int) there = chan_make(int, 0), back = chan_make(int, 0);
    atomic_long turns = 0;
    atomic_bool stop = false;
    waitgroup pair = {0}, pinned = {0};
    wg_add(&pinned, 1);
    CHECK_EQ(go_opt(((task_options){.pinned = true}), takes_turns, &turns, &stop, &pinned), 0);
    CHECK_EQ(wg_go(&pair, answers_all, there, back), 0);
    CHECK_EQ(wg_go(&pair, asks_until, &turns, 1000L, there, back), 0);
    wg_wait(&pair);
    atomic_store(&stop, true);
    wg_wait(&pinned);
    chan_free(there);
    chan_free(back);
}

//--------------------------------------------------------------------------------------------------
// Many tasks.

TASK(mark, atomic_uchar *, seen) {
    atomic_fetch_add(seen, 1);
}

TASK(spawn_marks, atomic_uchar *, seen, long, n, waitgroup *, wg) {
    for (long i = 0; i < n; i++)
        CHECK_EQ(wg_go(wg, mark, &seen[i]), 0);
}

// case 118
TEST(of_tasks_spawned_by_tasks_everyone_runs_exactly_once) {
    enum { SPAWNERS = 16 };
    long each = test_rounds(4000), wrong = 0;
    atomic_uchar *seen = calloc((size_t)(each * SPAWNERS), 1);
    waitgroup wg = {0};
    for (long i = 0; i < SPAWNERS; i++)
        CHECK_EQ(wg_go(&wg, spawn_marks, &seen[i * each], each, &wg), 0);
    wg_wait(&wg);
    for (long i = 0; i < each * SPAWNERS; i++)
        wrong += atomic_load(&seen[i]) != 1;
    CHECK_EQ(wrong, 0);
    free(seen);
}

TASK(add_one, chan_receiver(int), right, chan_sender(int), left) {
    CHECK_EQ(chan_send(left, 1 + chan_get(right)), 0);
}

// case 119
TEST(a_daisy_chain_of_ten_thousand_tasks_adds_up) {
    int n = (int)test_rounds(10000);
    chan(int) *link = calloc((size_t)n + 1, sizeof *link);
    for (int i = 0; i <= n; i++)
        link[i] = chan_make(int, 0);
    for (int i = 0; i < n; i++)
        CHECK_EQ(go(add_one, link[i + 1], link[i]), 0);
    CHECK_EQ(chan_send(link[n], 0), 0);
    CHECK_EQ(chan_get(link[0]), n);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    for (int i = 0; i <= n; i++)
        chan_free(link[i]);
    free(link);
}

TASK(answer, chan_receiver(int), gate, atomic_long *, sum) {
    int n = chan_get(gate);
    atomic_fetch_add(sum, n);
}

// case 119
TEST(a_hundred_thousand_tasks_blocked_on_channels_are_all_served) {
    if (test_seeded()) return; // main looks on without a call
    start_with(2);
    long n = test_rounds(100000);
    atomic_long sum = 0;
    waitgroup wg = {0};
    chan(int) gate[4];
    for (int i = 0; i < 4; i++)
        gate[i] = chan_make(int, 0);
    for (long i = 0; i < n; i++)
        CHECK_EQ(wg_go(&wg, answer, gate[i % 4], &sum), 0);
    chanrt_statistics s;
    chanrt_stats(&s);
    CHECK_EQ(s.tasks_live, n);
    for (long i = 0; i < n; i++)
        CHECK_EQ(chan_send(gate[i % 4], 3), 0);
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&sum), 3 * n);
    for (int i = 0; i < 4; i++)
        chan_free(gate[i]);
}

static long resident_bytes(void) {
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

TASK(churn, long, n) {
    waitgroup wg = {0};
    for (long i = 0; i < n; i++) {
        CHECK_EQ(wg_go(&wg, nothing), 0);
        if (i % 1000 == 999)
            wg_wait(&wg);
    }
    wg_wait(&wg);
}

// case 119
TEST(a_million_tasks_created_and_ended_leave_the_memory_flat) {
    long n = test_rounds(getenv("TEST_LONG") ? 10000000 : 1000000);
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, churn, n / 10), 0);
    wg_wait(&wg);
    long before = resident_bytes();
    CHECK_EQ(wg_go(&wg, churn, n / 2), 0);
    churn(n / 2);
    wg_wait(&wg);
    // a sanitizer's own books grow, too
    CHECK(resident_bytes() - before < (test_unit > CHANRT_MILLISECOND ? 256 : 16) << 20);
}

//--------------------------------------------------------------------------------------------------
// What a task is given and knows.

typedef struct large {
    char bytes[3000];
    double number;
} large;

typedef struct given {
    atomic_int right;
    waitgroup wg;
} given;

TASK(take_large, large, a, large, b, given *, g) {
    bool right = a.number == 1.5 && b.number == 2.5;
    for (size_t i = 0; i < sizeof a.bytes; i++)
        right = right && a.bytes[i] == (char)i && b.bytes[i] == (char)(2 * i);
    atomic_fetch_add(&g->right, right);
}

// case 119
TEST(arguments_are_copied_at_the_call_however_large) {
    given g = {.right = 0};
    large a, b;
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof a.bytes; i++) {
            a.bytes[i] = (char)i;
            b.bytes[i] = (char)(2 * i);
        }
        a.number = 1.5;
        b.number = 2.5;
        CHECK_EQ(wg_go(&g.wg, take_large, a, b, &g), 0);
        memset(&a, 0xee, sizeof a);
        memset(&b, 0xee, sizeof b);
    }
    wg_wait(&g.wg);
    CHECK_EQ(atomic_load(&g.right), 20);
}

typedef struct aligned {
    _Alignas(16) char line[48];
} aligned;

TASK(take_aligned, char, odd, aligned, a, char, odd2, aligned *, copy) {
    volatile uintptr_t address = (uintptr_t)&a;
    CHECK_EQ(address % 16, 0);
    CHECK_EQ(odd + odd2, 3);
    *copy = a;
}

TASK(check_frame, waitgroup *, wg, int, depth) {
    volatile uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    _Alignas(16) volatile char block[16] = {1};
    volatile uintptr_t address = (uintptr_t)block;
    CHECK_EQ(frame % 16, 0);
    CHECK_EQ(address % 16, 0);
    if (depth > 0)
        CHECK_EQ(wg_go(wg, check_frame, wg, depth - 1), 0);
}

// case 125
TEST(stacks_and_arguments_are_aligned) {
    waitgroup wg = {0};
    aligned sent = {"aligned by sixteen"}, got = {""};
    CHECK_EQ(wg_go(&wg, take_aligned, 1, sent, 2, &got), 0);
    CHECK_EQ(wg_go(&wg, check_frame, &wg, 20), 0);
    wg_wait(&wg);
    CHECK_STR(got.line, "aligned by sixteen");
}

TASK(take_eight, signed char, a, unsigned short, b, int64_t, c, float, d, double, e,
     const char *, f, void *, g, chan_sender(double), out) {
    CHECK_STR(f, "six");
    CHECK(g == (void *)0);
    CHECK_EQ(chan_send(out, a + b + (double)c + (double)d + e), 0);
}

// case 119
TEST(eight_arguments_are_converted_as_in_a_call) {
    chan(double) out = chan_make(double, 1);
    int evaluated = 0;
    CHECK_EQ(go(take_eight, -1, 2, 3, 0.5, 4, "six", NULL, (evaluated++, out)), 0);
    CHECK(chan_get(out) == 8.5);
    CHECK_EQ(evaluated, 1);
    take_eight(1, 2, 3, 4, 5, "six", NULL, out);
    CHECK(chan_get(out) == 15.0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    chan_free(out);
}

TASK(tell_name, uint64_t *, id, chan_sender(const char *), out) {
    *id = task_id();
    CHECK_EQ(chan_send(out, task_name()), 0);
}

static void tell_id(void *arg) {
    *(uint64_t *)arg = task_id();
}

// case 119
TEST(every_task_has_an_id_of_its_own_and_a_name) {
    chan(const char *) out = chan_make(const char *, 0);
    uint64_t id[4] = {0};
    CHECK_EQ(task_id(), 0);
    CHECK(task_name() == NULL);
    CHECK_EQ(go(tell_name, &id[0], out), 0);
    CHECK_STR(chan_get(out), "tell_name");
    CHECK_EQ(go_opt(((task_options){.name = "parser"}), tell_name, &id[1], out), 0);
    CHECK_STR(chan_get(out), "parser");
    CHECK_EQ(go_fn(tell_id, &id[2]), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK(id[0] != 0 && id[1] != 0 && id[2] != 0);
    CHECK(id[0] != id[1] && id[1] != id[2] && id[0] != id[2]);
    tell_id(&id[3]);
    CHECK_EQ(id[3], 0);
    chan_free(out);
}

__attribute__((noinline)) static size_t use_stack(size_t bytes) {
    volatile char frame[1024];
    for (size_t i = 0; i < sizeof frame; i += 64)
        frame[i] = (char)bytes;
    return bytes > sizeof frame ? use_stack(bytes - sizeof frame) + (size_t)frame[64] : 1;
}

TASK(use_much_stack, size_t, bytes, atomic_long *, done) {
    CHECK(use_stack(bytes) != 0);
    task_yield();
    atomic_fetch_add(done, 1);
}

// case 125
TEST(a_task_gets_the_stack_it_asks_for) {
    atomic_long done = 0;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(go_opt(((task_options){.stack_size = 1 << 20}), use_much_stack,
                        (size_t)400 << 10, &done), 0);
        CHECK_EQ(go(use_much_stack, (size_t)20 << 10, &done), 0);
        CHECK_EQ(go_opt(((task_options){.stack_size = 256 << 10}), use_much_stack,
                        (size_t)100 << 10, &done), 0);
    }
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&done), 60);
    CHECK_EQ(chanrt_start(&(chanrt_options){.stack_size = 512 << 10}), 0);
    CHECK_EQ(go(use_much_stack, (size_t)200 << 10, &done), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&done), 61);
}

static atomic_long left;

__attribute__((noinline)) static int leave_from(int depth) {
    volatile int kept = depth;
    if (depth < 0)
        return 0;
    if (depth == 0) {
        atomic_fetch_add(&left, 1);
        task_exit();
    }
    return leave_from(depth - 1) + kept;
}

TASK(leaves_from, int, depth) {
    bool went_on = leave_from(depth) >= 0;
    CHECK(!went_on);
}

// case 114
TEST(task_exit_ends_the_task_from_any_depth) {
    atomic_store(&left, 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(go(leaves_from, i), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&left), 100);
}

static void *leave_thread(void *arg) {
    *(int *)arg = 1;
    bool went_on = leave_from(3) >= 0;
    CHECK(!went_on);
    return NULL;
}

// case 114
TEST(task_exit_on_an_ordinary_thread_ends_that_thread) {
    pthread_t thread;
    int begun = 0;
    CHECK_EQ(pthread_create(&thread, NULL, leave_thread, &begun), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(begun, 1);
}

//--------------------------------------------------------------------------------------------------
// Start, shutdown, the end.

// case 125
TEST(a_start_is_refused_while_running_however_the_runtime_was_started) {
    atomic_long counter = 0;
    CHECK_EQ(go(count, &counter), 0);
    CHECK_EQ(chanrt_start(NULL), EBUSY);
    CHECK_EQ(chanrt_start(&(chanrt_options){.workers = 3}), EBUSY);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&counter), 1);
    CHECK_EQ(chanrt_start(NULL), 0);
    CHECK_EQ(chanrt_start(NULL), EBUSY);
    CHECK_EQ(go(count, &counter), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&counter), 2);
    CHECK_EQ(chanrt_shutdown(0), 0);
    CHECK_EQ(chanrt_shutdown(-1), 0);
}

// case 125
TEST(bad_options_are_refused_and_change_nothing) {
    if (test_seeded()) return; // there is one worker
    CHECK_EQ(chanrt_start(&(chanrt_options){.workers = -1}), EINVAL);
    CHECK_EQ(chanrt_start(&(chanrt_options){.workers = 1025}), EINVAL);
    CHECK_EQ(chanrt_start(&(chanrt_options){.stack_size = 100}), EINVAL);
    CHECK_EQ(chanrt_start(&(chanrt_options){.stack_size = (size_t)2 << 30}), EINVAL);
    CHECK_EQ(chanrt_start(&(chanrt_options){.stack_size = SIZE_MAX}), EINVAL);
    start_with(3);
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, nothing), 0);
    wg_wait(&wg);
}

// case 125
TEST(the_runtime_starts_again_after_every_shutdown) {
    for (int i = 0; i < test_rounds(60); i++) {
        atomic_long counter = 0;
        if (i % 3)
            start_with(1 + i % 5);
        for (int k = 0; k < 100; k++)
            CHECK_EQ(go(count, &counter), 0);
        CHECK_EQ(chanrt_shutdown(i % 2 ? -1 : LATE), 0);
        CHECK_EQ(atomic_load(&counter), 100);
    }
}

TASK(sleep_then_count, atomic_long *, counter) {
    task_sleep(5 * test_unit);
    atomic_fetch_add(counter, 1);
}

// case 125
TEST(a_shutdown_waits_for_tasks_that_sleep) {
    atomic_long counter = 0;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(go(sleep_then_count, &counter), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&counter), 10);
}

TASK(shuts_down, atomic_long *, refused) {
    atomic_fetch_add(refused, chanrt_shutdown(0) == EDEADLK);
    atomic_fetch_add(refused, chanrt_shutdown(-1) == EDEADLK);
    atomic_fetch_add(refused, chanrt_start(NULL) == EBUSY);
}

// case 125
TEST(a_task_cannot_shut_the_runtime_down) {
    atomic_long refused = 0;
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, shuts_down, &refused), 0);
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&refused), 3);
}

TASK(wait_for_ever, chan_receiver(int), ch, atomic_long *, woken) {
    chan_recv(ch, NULL);
    atomic_fetch_add(woken, 1);
}

CHILD(shuts_down_over_blocked_tasks) {
    static atomic_long woken, counter;
    chan(int) ch = chan_make(int, 1);
    for (int i = 0; i < 3; i++)
        go_opt(((task_options){.name = "lonely"}), wait_for_ever, ch, &woken);
    if (chanrt_shutdown(20 * CHANRT_MILLISECOND) != EBUSY)
        return 3;
    if (chan_send(ch, 1) != 0 || atomic_load(&woken) != 0)  // the waiters are gone
        return 4;
    if (chan_try_recv(ch, NULL) != 0)
        return 5;
    go(count, &counter);
    if (chanrt_shutdown(LATE) != 0 || atomic_load(&counter) != 1)
        return 6;
    chan_free(ch);
    return test_alloc_live() == 0 ? 0 : 7;
}

// case 125
TEST(a_shutdown_over_blocked_tasks_reports_them_and_reclaims_them) {
    struct test_child r = test_run_child("shuts_down_over_blocked_tasks", 20000);
    CHECK_EQ(r.status, 0);
    int lonely = 0;
    for (const char *at = r.out; (at = strstr(at, "lonely")) != NULL; at++)
        lonely++;
    CHECK_EQ(lonely, 3);
    CHECK(strstr(r.out, "scheduler.c:") != NULL);
    CHECK(strstr(r.out, "chan receive") != NULL);
    if (r.status != 0 || lonely != 3)
        fprintf(stderr, "%s\n", r.out);
    test_child_free(&r);
}

CHILD(shuts_down_for_ever_over_a_blocked_task) {
    static atomic_long woken, counter;
    chan(int) ch = chan_make(int, 0);
    go(sleep_then_count, &counter);
    go_opt(((task_options){.name = "lonely"}), wait_for_ever, ch, &woken);
    int err = chanrt_shutdown(-1);
    return err == EBUSY && atomic_load(&counter) == 1 && atomic_load(&woken) == 0 ? 5 : 3;
}

// case 125
TEST(a_shutdown_without_limit_gives_up_once_nothing_can_end_the_tasks) {
    struct test_child r = test_run_child("shuts_down_for_ever_over_a_blocked_task", 20000);
    CHECK_EQ(r.status, 5);
    CHECK(strstr(r.out, "lonely") != NULL);
    test_child_free(&r);
}

CHILD(overflows_its_stack) {
    go_opt(((task_options){.name = "digger", .stack_size = 128 << 10}), use_much_stack,
           (size_t)8 << 20, NULL);
    task_sleep(20 * CHANRT_SECOND);
    return 0;
}

// case 125
TEST(a_stack_overflow_stops_the_process_with_one_line_that_tells_whose_it_was) {
    struct test_child r = test_run_child("overflows_its_stack", 20000);
    CHECK(r.status != 0);
    bool told = strstr(r.out, "digger") && strstr(r.out, "scheduler.c:") &&
                strstr(r.out, "stack") && (strstr(r.out, "131072") || strstr(r.out, "128"));
    if (!CHECK(told))
        fprintf(stderr, "status %d:\n%s\n", r.status, r.out);
    test_child_free(&r);
}

TASK(run_for_ever) {
    for (;;)
        task_yield();
}

CHILD(returns_from_main) {
    chan(int) never = chan_make(int, 0);
    static atomic_long woken;
    for (int i = 0; i < 5; i++) {
        go(run_for_ever);
        go(wait_for_ever, never, &woken);
    }
    return 3;
}

TASK(exit_with, int, status) {
    exit(status);
}

CHILD(exits_from_a_task) {
    go(exit_with, 4);
    for (int64_t until = chanrt_now() + LATE; chanrt_now() < until;)
        task_yield();
    return 0;
}

// case 114
TEST(the_end_of_main_and_exit_in_a_task_end_the_process) {
    struct test_child r = test_run_child("returns_from_main", 20000);
    CHECK_EQ(r.status, 3);
    CHECK_STR(r.out, "");
    test_child_free(&r);
    r = test_run_child("exits_from_a_task", 20000);
    CHECK_EQ(r.status, 4);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}

//--------------------------------------------------------------------------------------------------
// Threads of the program's own.

TASK(double_values, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, n, in) CHECK_EQ(chan_send(out, 2 * n), 0);
}

static void *use_everything(void *arg) {
    atomic_long *counter = arg;
    chan(int) in = chan_make(int, 0), out = chan_make(int, 1);
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, double_values, in, out), 0);
    for (int i = 0; i < test_rounds(500); i++) {
        int got = -1, sent = 0;
        errno = ERANGE;
        bool late = false;
        while (got < 0 && CHECK(!late)) {
            chan_select {
                on_recv(out, &got) {}
                on_send(sent ? NULL : in, i) { sent = 1; }
                on_timeout(LATE) { late = true; }
            }
        }
        CHECK_EQ(got, 2 * i);
        CHECK_EQ(errno, ERANGE);
        CHECK_EQ(chan_recv_timeout(out, NULL, 100), ETIMEDOUT);
        CHECK_EQ(go(count, counter), 0);
        CHECK_EQ(task_id(), 0);
        task_yield();
    }
    CHECK_EQ(chan_close(in), 0);
    wg_wait(&wg);
    chan_free(in);
    chan_free(out);
    return NULL;
}

// case 124
TEST(ordinary_threads_spawn_send_receive_select_close_and_wait) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    atomic_long counter = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_everything, &counter), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(chanrt_shutdown(LATE), 0);
    CHECK_EQ(atomic_load(&counter), THREADS * test_rounds(500));
}

TASK(naps, atomic_long *, napping, atomic_long *, release) {
    atomic_fetch_add(napping, 1);
    while (atomic_load(release) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

// case 124
TEST(a_task_that_blocks_its_worker_in_the_kernel_does_not_stop_the_others) {
    if (test_seeded()) return; // there is one worker
    start_with(2);
    atomic_long napping = 0, release = 0, counter = 0;
    chan(int) ch = chan_make(int, 0);
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, naps, &napping, &release), 0);
    CHECK(reaches(&napping, 1));
    CHECK_EQ(wg_go(&wg, count_values, ch, &counter), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(chan_send_timeout(ch, 1, LATE), 0);
    chan_close(ch);
    CHECK(reaches(&counter, 1000));
    atomic_store(&release, 1);
    wg_wait(&wg);
    chan_free(ch);
}
