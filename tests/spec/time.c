// Sleeps, timers, tickers and timeouts (catalogue K). Lower bounds are exact: nothing may fire
// early. Upper bounds are generous, or retried with doubled units, for the machine may be busy.
#include "test.h"

#include <pthread.h>
#include <time.h>

#define LATE (5 * CHANRT_SECOND)  // later than this is not a busy machine but a lost timer
#define FAR (20 * CHANRT_SECOND)

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void spin(uint64_t turns) {
    for (volatile uint64_t i = 0; i < turns; i++) {}
}

// A thread's pause the runtime knows nothing of: it gives idle workers the time to go to sleep.
static void let_workers_park(void) {
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static int64_t wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void check_sleep(int64_t ns) {
    int64_t now = chanrt_now(), start = wall();
    task_sleep(ns);
    CHECK(chanrt_now() - now >= ns);
    CHECK(wall() - start >= ns);
}

TASK(sleep_and_check, int64_t, ns) {
    check_sleep(ns);
}

// case 95
TEST(a_sleep_is_never_short) {
    if (test_seeded()) return; // time jumps
    waitgroup wg = {0};
    for (int64_t ns = 1; ns < 20 * CHANRT_MILLISECOND; ns = ns * 3 / 2 + 1) {
        CHECK_EQ(wg_go(&wg, sleep_and_check, ns), 0);
        CHECK_EQ(wg_go(&wg, sleep_and_check, ns), 0);
    }
    for (int64_t ns = 1; ns < 4 * CHANRT_MILLISECOND; ns *= 3)
        check_sleep(ns);
    wg_wait(&wg);
}

TASK(sleep_zero_until, atomic_bool *, flag) {
    while (!atomic_load(flag))
        task_sleep(0);
}

TASK(raise_flag, atomic_bool *, flag) {
    atomic_store(flag, true);
}

// case 95
TEST(a_sleep_of_zero_lets_the_others_run) {
    chanrt_options one = {.workers = 1};
    CHECK_EQ(chanrt_start(&one), 0);
    waitgroup wg = {0};
    atomic_bool flag = false;
    CHECK_EQ(wg_go(&wg, sleep_zero_until, &flag), 0);
    CHECK_EQ(wg_go(&wg, sleep_zero_until, &flag), 0);
    CHECK_EQ(wg_go(&wg, raise_flag, &flag), 0);
    wg_wait(&wg);
}

static void sleep_negative(void) {
    int64_t start = chanrt_now();
    for (int i = 0; i < 100; i++) {
        task_sleep(-1);
        task_sleep(-CHANRT_SECOND);
        task_sleep(INT64_MIN);
    }
    CHECK(chanrt_now() - start < LATE);
}

TASK(sleeps_negative) {
    sleep_negative();
}

// case 95
TEST(a_negative_sleep_returns_at_once) {
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, sleeps_negative), 0);
    sleep_negative();
    wg_wait(&wg);
}

TASK(sleep_for_ever, int64_t, ns, atomic_int *, woken) {
    task_sleep(ns);
    atomic_fetch_add(woken, 1);
}

CHILD(sleeps_for_ever_beside_short_ones) {
    static atomic_int woken;
    for (int i = 0; i < 4; i++) {
        go(sleep_for_ever, INT64_MAX, &woken);
        go(sleep_for_ever, INT64_MAX - i, &woken);
        go(sleep_for_ever, INT64_MAX / 2 + i, &woken);
    }
    chan_timer *endless = timer_make(INT64_MAX);
    chan_receiver(int64_t) after = chan_after(INT64_MAX);
    for (int i = 0; i < 20; i++)
        task_sleep(CHANRT_MILLISECOND);
    if (chan_try_recv(timer_chan(endless), NULL) != EAGAIN || chan_try_recv(after, NULL) != EAGAIN)
        return 3;
    if (!timer_stop(endless))
        return 4;
    timer_free(endless);
    chan_free(after);
    return atomic_load(&woken) == 0 ? 0 : 5;
}

// case 95
TEST(the_longest_sleep_never_ends_and_disturbs_nobody) {
    struct test_child r = test_run_child("sleeps_for_ever_beside_short_ones", 20000);
    CHECK_EQ(r.status, 0);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}

TASK(send_one, chan(int), ch) {
    CHECK_EQ(chan_send(ch, 1), 0);
}

// case 95
TEST(the_longest_timeout_is_as_good_as_none) {
    chan(int) ch = chan_make(int, 0);
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, send_one, ch), 0);
    CHECK_EQ(chan_recv_timeout(ch, NULL, INT64_MAX), 0);
    CHECK_EQ(wg_go(&wg, send_one, ch), 0);
    int got = 0;
    chan_select {
        on_recv(ch, &got) {}
        on_timeout(INT64_MAX) { got = -1; }
    }
    CHECK_EQ(got, 1);
    CHECK_EQ(wg_wait_timeout(&wg, INT64_MAX), 0);
    chan_free(ch);
}

static const int slots[13] = {5, 3, 6, 1, 6, 2, 2, 9, 8, 8, 4, 7, 3};

TASK(sleep_sort, int, slot, int64_t, unit, chan_sender(int), out) {
    task_sleep(slot * unit);
    CHECK_EQ(chan_send(out, slot), 0);
}

TASK(after_sort, int, slot, int64_t, unit, chan_sender(int), out) {
    int64_t start = chanrt_now(), when = 0;
    chan_receiver(int64_t) after = chan_after(slot * unit);
    CHECK_EQ(chan_recv(after, &when), 0);
    CHECK(when >= start + slot * unit);
    CHECK(when <= chanrt_now());
    CHECK_EQ(chan_try_recv(after, NULL), EAGAIN);
    chan_free(after);
    CHECK_EQ(chan_send(out, slot), 0);
}

// Starts all of them; true: they came in the order of their slots.
static bool comes_in_order(bool by_sleep) {
    chan(int) out = chan_make(int, 13);
    bool ordered = true;
    int sum = 0;
    for (int i = 0; i < 13; i++) {
        if (by_sleep)
            CHECK_EQ(go(sleep_sort, slots[i], test_unit, out), 0);
        else
            CHECK_EQ(go(after_sort, slots[i], test_unit, out), 0);
    }
    for (int i = 0, last = 0; i < 13; i++) {
        int slot = chan_get(out);
        ordered = ordered && slot >= last;
        last = slot;
        sum += slot;
    }
    CHECK_EQ(sum, 64);
    chan_free(out);
    return ordered;
}

// Who is woken first may be the last to get a processor: the order is a promise only where time
// stands still while somebody runs. By the real clock all of them come, and none early.
static void check_order(bool by_sleep) {
    comes_in_order(by_sleep);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        CHECK_EQ(chanrt_start(&(chanrt_options){ .seed = seed, .virtual_time = true }), 0);
        CHECK(comes_in_order(by_sleep));
        CHECK_EQ(chanrt_shutdown(-1), 0);
    }
}

// case 96
TEST(thirteen_sleeps_with_ties_end_in_the_order_of_their_length) {
    check_order(true);
}

// case 96
TEST(thirteen_timers_with_ties_fire_in_the_order_of_their_deadlines) {
    check_order(false);
}

typedef struct appointment {
    int64_t due;
    atomic_int *kept;
    waitgroup *wg;
} appointment;

static void keep_appointment(void *arg) {
    appointment *a = arg;
    CHECK(chanrt_now() >= a->due);
    atomic_fetch_add(a->kept, 1);
    CHECK_EQ(wg_done(a->wg), 0);
}

// case 96
TEST(ten_thousand_timers_all_fire_once_and_none_early) {
    if (test_seeded()) return; // time jumps
    size_t n = (size_t)test_rounds(10000);
    appointment *all = calloc(n, sizeof *all);
    chan_timer **timers = calloc(n, sizeof *timers);
    waitgroup wg = {0};
    atomic_int kept = 0;
    uint64_t random = 96;
    for (size_t i = 0; i < n; i++) {
        // multiples of a millisecond: hundreds of timers share each deadline
        int64_t delay = (int64_t)(draw(&random) % 30) * CHANRT_MILLISECOND;
        all[i] = (appointment){chanrt_now() + delay, &kept, &wg};
        CHECK_EQ(wg_add(&wg, 1), 0);
        timers[i] = timer_func(delay, keep_appointment, &all[i]);
        CHECK(timers[i] != NULL);
    }
    wg_wait(&wg);
    CHECK_EQ(atomic_load(&kept), (int)n);
    for (size_t i = 0; i < n; i++) {
        CHECK(!timer_stop(timers[i]));
        timer_free(timers[i]);
    }
    free(timers);
    free(all);
}

static void zero_timers(long rounds) {
    for (long i = 0; i < rounds; i++) {
        int64_t start = chanrt_now(), when = 0;
        chan_timer *t = timer_make(-(i & 1));
        CHECK_EQ(chan_recv(timer_chan(t), &when), 0);
        CHECK(when >= start - 1);
        CHECK(chanrt_now() - start < LATE);
        timer_free(t);
    }
}

TASK(makes_zero_timers, long, rounds) {
    zero_timers(rounds);
}

// case 97
TEST(a_timer_of_zero_fires_at_once_every_time) {
    waitgroup wg = {0};
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wg_go(&wg, makes_zero_timers, test_rounds(10000)), 0);
    zero_timers(test_rounds(10000));
    wg_wait(&wg);
}

// case 98 *31
TEST(a_timer_moved_earlier_rearms_the_worker_that_sleeps_for_it) {
    for (long round = 0; round < test_rounds(500); round++) {
        chan_timer *t = timer_make(FAR);
        let_workers_park();
        for (int64_t ns = FAR / 2; ns > CHANRT_MILLISECOND; ns /= 8)
            CHECK(timer_reset(t, ns));
        int64_t start = chanrt_now(), when = 0;
        CHECK(timer_reset(t, 100 * CHANRT_MICROSECOND));
        // no timeout here: it would arm a timer of its own and hide the missing wake
        CHECK_EQ(chan_recv(timer_chan(t), &when), 0);
        CHECK(when - start >= 100 * CHANRT_MICROSECOND);
        int64_t late = chanrt_now() - start;
        timer_free(t);
        CHECK(late < LATE);
        if (late >= LATE)
            break;
    }
}

// case 98 *31
TEST(a_new_timer_before_all_others_rearms_the_worker_that_sleeps_for_them) {
    chan_timer *far = timer_make(FAR);
    for (long round = 0; round < test_rounds(500); round++) {
        let_workers_park();
        int64_t start = chanrt_now();
        chan_receiver(int64_t) near = chan_after(100 * CHANRT_MICROSECOND);
        CHECK_EQ(chan_recv(near, NULL), 0);
        int64_t late = chanrt_now() - start;
        chan_free(near);
        CHECK(late < LATE);
        if (late >= LATE)
            break;
    }
    CHECK(timer_stop(far));
    timer_free(far);
}

// case 98 *31
TEST(a_task_that_sleeps_briefly_wakes_although_a_worker_sleeps_for_long) {
    if (test_seeded()) return; // time jumps
    chan_timer *far = timer_make(FAR);
    for (long round = 0; round < test_rounds(500); round++) {
        waitgroup wg = {0};
        let_workers_park();
        int64_t start = chanrt_now();
        CHECK_EQ(wg_go(&wg, sleep_and_check, 50 * CHANRT_MICROSECOND), 0);
        wg_wait(&wg);
        CHECK(chanrt_now() - start < LATE);
        if (chanrt_now() - start >= LATE)
            break;
    }
    CHECK(timer_stop(far));
    timer_free(far);
}

// case 98 *31
TEST(stopping_the_first_timer_neither_loses_nor_hastens_the_next) {
    for (long round = 0; round < test_rounds(100); round++) {
        chan_timer *first = timer_make(CHANRT_MILLISECOND);
        int64_t start = chanrt_now(), when = 0;
        chan_timer *next = timer_make(2 * CHANRT_MILLISECOND);
        CHECK(timer_stop(first));
        CHECK_EQ(chan_recv(timer_chan(next), &when), 0);
        CHECK(when - start >= 2 * CHANRT_MILLISECOND);
        CHECK(chanrt_now() - start < LATE);
        CHECK_EQ(chan_try_recv(timer_chan(first), NULL), EAGAIN);
        timer_free(first);
        timer_free(next);
    }
}

// case 99 *32
TEST(stop_tells_whether_the_timer_was_pending) {
    chan_timer *t = timer_make(FAR);
    CHECK(timer_stop(t));
    CHECK(!timer_stop(t));
    CHECK(!timer_reset(t, FAR));
    CHECK(timer_reset(t, 0));
    CHECK_EQ(chan_recv(timer_chan(t), NULL), 0);
    CHECK(!timer_stop(t));
    CHECK(!timer_reset(t, FAR));
    CHECK(timer_stop(t));
    CHECK_EQ(chan_try_recv(timer_chan(t), NULL), EAGAIN);
    timer_free(t);
}

// case 99 *32
TEST(no_old_value_is_received_after_stop_although_the_timer_had_expired) {
    for (long round = 0; round < test_rounds(100); round++) {
        chan_timer *t = timer_make(0);
        task_sleep(round % 3 == 0 ? test_unit : 50 * CHANRT_MICROSECOND);
        CHECK(timer_stop(t));  // not delivered yet, so it still was pending
        CHECK_EQ(chan_try_recv(timer_chan(t), NULL), EAGAIN);
        CHECK_EQ(chan_recv_timeout(timer_chan(t), NULL, 100 * CHANRT_MICROSECOND), ETIMEDOUT);
        CHECK(!timer_stop(t));
        timer_free(t);
    }
}

// case 99 *32
TEST(no_old_value_is_received_after_reset_although_the_timer_had_expired) {
    for (long round = 0; round < test_rounds(100); round++) {
        int64_t when = 0;
        chan_timer *t = timer_make(0);
        task_sleep(round % 3 == 0 ? test_unit : 50 * CHANRT_MICROSECOND);
        int64_t start = chanrt_now();
        CHECK(timer_reset(t, 500 * CHANRT_MICROSECOND));
        CHECK_EQ(chan_recv(timer_chan(t), &when), 0);
        CHECK(when - start >= 500 * CHANRT_MICROSECOND);
        CHECK_EQ(chan_try_recv(timer_chan(t), NULL), EAGAIN);
        timer_free(t);
    }
}

TASK(take_tick, chan_receiver(int64_t), tick, chan_receiver(int), quit, chan_sender(int), taken) {
    int n = 0;
    chan_select {
        on_recv(tick, NULL) { n = 1; }
        on_recv(quit, NULL) {}
    }
    CHECK_EQ(chan_send(taken, n), 0);
}

// case 99 *32
TEST(a_stop_racing_with_the_receiver_either_prevents_the_tick_or_says_it_did_not) {
    uint64_t random = 99;
    chan(int) quit = chan_make(int, 0), taken = chan_make(int, 1);
    for (long round = 0; round < test_rounds(3000); round++) {
        chan_timer *t = timer_make((int64_t)(draw(&random) % 30000));
        CHECK_EQ(go(take_tick, timer_chan(t), quit, taken), 0);
        spin(draw(&random) % 8000);
        int stopped = timer_stop(t), got = 0;
        int sent = 0;
        chan_select {
            on_send(quit, 1) { sent = 1; }
            on_recv(taken, &got) {}
        }
        if (sent)
            got = chan_get(taken);
        CHECK_EQ(stopped + got, 1);
        timer_free(t);
    }
    chan_free(quit);
    chan_free(taken);
}

static void count_run(void *arg) {
    atomic_fetch_add((atomic_long *)arg, 1);
}

// case 99 *32
TEST(a_function_timer_runs_exactly_when_stop_says_it_was_too_late) {
    uint64_t random = 991;
    atomic_long runs = 0;
    long stops = 0, rounds = test_rounds(3000);
    for (long round = 0; round < rounds; round++) {
        chan_timer *t = timer_func((int64_t)(draw(&random) % 20000), count_run, &runs);
        spin(draw(&random) % 8000);
        stops += timer_stop(t);
        timer_free(t);
    }
    CHECK_EQ(chanrt_shutdown(LATE), 0);  // all that were started have run now
    CHECK_EQ(atomic_load(&runs) + stops, rounds);
}

// case 99
TEST(a_function_timer_that_is_freed_pending_does_not_run) {
    atomic_long runs = 0;
    for (int i = 0; i < 100; i++)
        timer_free(timer_func(CHANRT_MILLISECOND, count_run, &runs));
    task_sleep(3 * CHANRT_MILLISECOND);
    CHECK_EQ(atomic_load(&runs), 0);
}

// case 99
TEST(a_timer_can_be_reset_again_and_again_after_firing) {
    chan_timer *t = timer_make(0);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(chan_recv(timer_chan(t), NULL), 0);
        CHECK_EQ(chan_try_recv(timer_chan(t), NULL), EAGAIN);
        CHECK(!timer_reset(t, i % 10 * CHANRT_MICROSECOND));
    }
    CHECK_EQ(chan_recv(timer_chan(t), NULL), 0);
    timer_free(t);
}

// case 100
TEST(the_nth_tick_is_not_before_n_periods) {
    if (test_seeded()) return; // time jumps
    int64_t start = chanrt_now(), period = CHANRT_MILLISECOND;
    chan_timer *t = ticker_make(period);
    for (int n = 1; n <= 20; n++) {
        int64_t when = 0;
        CHECK_EQ(chan_recv(timer_chan(t), &when), 0);
        CHECK(when >= start + n * period);
        CHECK(when <= chanrt_now());
    }
    CHECK(timer_stop(t));
    CHECK(!timer_stop(t));
    CHECK_EQ(chan_recv_timeout(timer_chan(t), NULL, 3 * period), ETIMEDOUT);
    timer_free(t);
}

// The ticks a reader finds who comes after ten periods.
static int ticks_after_ten(int64_t period) {
    chan_timer *t = ticker_make(period);
    task_sleep(10 * period);
    int64_t start = chanrt_now();
    int ticks = 0;
    while (chan_try_recv(timer_chan(t), NULL) == 0)
        ticks++;
    CHECK(ticks <= 2 + (chanrt_now() - start) / period);
    timer_free(t);
    return ticks;
}

// case 100
TEST(a_slow_reader_loses_ticks_and_gets_no_burst) {
    int64_t period = test_unit;
    while (ticks_after_ten(period) == 0 && period < 100 * test_unit)
        period *= 2;
    CHECK(period < 100 * test_unit);
}

// case 100
TEST(a_ticker_can_change_its_period) {
    int64_t when = 0, period = CHANRT_MILLISECOND;
    chan_timer *t = ticker_make(FAR);
    let_workers_park();
    int64_t start = chanrt_now();
    CHECK(timer_reset(t, period));
    for (int n = 1; n <= 5; n++) {
        CHECK_EQ(chan_recv(timer_chan(t), &when), 0);
        CHECK(when >= start + n * period);
    }
    CHECK(chanrt_now() - start < LATE);
    CHECK(!timer_reset(t, 0)); // no period, and no change
    CHECK(timer_stop(t));
    CHECK(!timer_reset(t, period));
    CHECK_EQ(chan_recv(timer_chan(t), NULL), 0);
    CHECK_EQ(chan_recv(timer_chan(t), NULL), 0);
    timer_free(t);
}

// case 100
TEST(a_ticker_without_a_period_is_refused) {
    CHECK(ticker_make(0) == NULL);
    CHECK(ticker_make(-1) == NULL);
    CHECK(ticker_make(INT64_MIN) == NULL);
}

typedef struct self_timer {
    chan(chan_timer *) handle;
    chan(int) runs;
    int n;
} self_timer;

// Stops itself, which is too late; arms itself twice more; frees itself at the end.
static void handle_own_timer(void *arg) {
    self_timer *self = arg;
    chan_timer *t = chan_get(self->handle);
    CHECK(!timer_stop(t));
    if (++self->n < 3) {
        CHECK_EQ(chan_send(self->handle, t), 0);
        CHECK(!timer_reset(t, CHANRT_MICROSECOND));
    } else {
        timer_free(t);
    }
    CHECK_EQ(chan_send(self->runs, 1), 0);
}

// case 100
TEST(a_function_timer_may_stop_reset_and_free_itself) {
    for (int round = 0; round < 50; round++) {
        self_timer self = {chan_make(chan_timer *, 1), chan_make(int, 3), 0};
        chan_timer *t = timer_func(0, handle_own_timer, &self);
        CHECK_EQ(chan_send(self.handle, t), 0);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(chan_recv(self.runs, NULL), 0);
        CHECK_EQ(self.n, 3);
        chan_free(self.handle);
        chan_free(self.runs);
    }
}

// case 101
TEST(of_two_tasks_that_wait_for_one_timer_one_gets_it) {
    chan(int) taken = chan_make(int, 2);
    for (long round = 0; round < test_rounds(500); round++) {
        chan(int) quit = chan_make(int, 0);
        chan_timer *t = timer_make(20 * CHANRT_MICROSECOND);
        CHECK_EQ(go(take_tick, timer_chan(t), quit, taken), 0);
        CHECK_EQ(go(take_tick, timer_chan(t), quit, taken), 0);
        CHECK_EQ(chan_get(taken), 1);
        CHECK_EQ(chan_close(quit), 0);
        CHECK_EQ(chan_get(taken), 0);
        timer_free(t);
        chan_free(quit);
    }
    chan_free(taken);
}

// Plays until told to stop, or until it is clear that nobody else gets to run.
TASK(rally, chan(int), in, chan(int), out, int64_t, until, atomic_bool *, over) {
    int n;
    while (chan_recv(in, &n) == 0 && !atomic_load(over) && chanrt_now() < until) {
        if (chan_send(out, n + 1) != 0)
            break;
    }
    chan_close(in);
    chan_close(out);
}

TASK(yield_until, int64_t, until, atomic_bool *, over) {
    while (!atomic_load(over) && chanrt_now() < until)
        task_yield();
}

static void check_others_run(void) {
    int64_t start = chanrt_now();
    chan_receiver(int64_t) after = chan_after(CHANRT_MILLISECOND);
    CHECK_EQ(chan_recv(after, NULL), 0);
    chan_free(after);
    CHECK(chanrt_now() - start < LATE);

    waitgroup wg = {0};
    start = chanrt_now();
    CHECK_EQ(wg_go(&wg, sleep_and_check, CHANRT_MILLISECOND), 0);
    wg_wait(&wg);
    CHECK(chanrt_now() - start < LATE);
}

// case 102 *33
TEST(pairs_that_play_for_ever_stop_neither_timers_nor_a_third_task) {
    if (test_seeded()) return; // time passes by itself only
    enum { MOST = 64 };
    int pairs = test_workers() < MOST ? test_workers() : MOST;
    chan(int) ball[2 * MOST];
    waitgroup wg = {0};
    atomic_bool over = false;
    int64_t until = chanrt_now() + 2 * LATE;
    for (int i = 0; i < pairs; i++) {
        chan(int) a = ball[2 * i] = chan_make(int, 0);
        chan(int) b = ball[2 * i + 1] = chan_make(int, 0);
        CHECK_EQ(wg_go(&wg, rally, a, b, until, &over), 0);
        CHECK_EQ(wg_go(&wg, rally, b, a, until, &over), 0);
        CHECK_EQ(chan_send(a, 0), 0);
    }
    for (int i = 0; i < 3; i++)
        check_others_run();
    atomic_store(&over, true);
    wg_wait(&wg);
    for (int i = 0; i < 2 * pairs; i++)
        chan_free(ball[i]);
}

// case 102 *33
TEST(tasks_that_yield_for_ever_stop_neither_timers_nor_a_third_task) {
    if (test_seeded()) return; // time passes by itself only
    waitgroup wg = {0};
    atomic_bool over = false;
    int64_t until = chanrt_now() + 2 * LATE;
    for (int i = 0; i < 2 * test_workers(); i++)
        CHECK_EQ(wg_go(&wg, yield_until, until, &over), 0);
    for (int i = 0; i < 3; i++)
        check_others_run();
    atomic_store(&over, true);
    wg_wait(&wg);
}

// One timer of the automaton: what a correct timer must answer follows from these two.
typedef struct modelled {
    chan_timer *timer;
    int64_t due;
    bool pending;  // armed, and its value not received yet
} modelled;

static void step(modelled *m, uint64_t *random) {
    switch (draw(random) % 4) {
    case 0:
        CHECK_EQ(timer_stop(m->timer), m->pending);
        m->pending = false;
        break;
    case 1: {
        int64_t ns = draw(random) % 3 == 0 ? FAR : (int64_t)(draw(random) % 2000000);
        m->due = chanrt_now() + ns;
        CHECK_EQ(timer_reset(m->timer, ns), m->pending);
        m->pending = true;
        break;
    }
    default: {
        int64_t when = 0;
        int err = chan_try_recv(timer_chan(m->timer), &when);
        if (err == 0) {
            CHECK(m->pending);
            CHECK(when >= m->due);
            m->pending = false;
        } else {
            CHECK_EQ(err, EAGAIN);
            CHECK(!m->pending || chanrt_now() < m->due + LATE);
        }
    }
    }
}

// case 103
TEST(a_hundred_timers_stopped_reset_and_read_at_random_follow_the_model) {
    enum { TIMERS = 100 };
    static modelled all[TIMERS];
    uint64_t random = 103;
    for (int i = 0; i < TIMERS; i++)
        all[i] = (modelled){timer_make(FAR), chanrt_now() + FAR, true};
    for (long n = 0; n < test_rounds(100000); n++) {
        step(&all[draw(&random) % TIMERS], &random);
        if (n % 1000 == 0)
            task_sleep(CHANRT_MILLISECOND / 2);
    }
    for (int i = 0; i < TIMERS; i++) {
        CHECK_EQ(timer_stop(all[i].timer), all[i].pending);
        timer_free(all[i].timer);
    }
}

static void check_timeout(int64_t ns) {
    chan(int) never = chan_make(int, 0);
    int64_t start = chanrt_now();
    bool timed_out = false;
    chan_select {
        on_recv(never, NULL) {}
        on_timeout(ns) { timed_out = true; }
    }
    CHECK(timed_out);
    CHECK(chanrt_now() - start >= ns);
    chan_free(never);
}

TASK(checks_timeout, int64_t, ns) {
    check_timeout(ns);
}

// case 50
TEST(a_select_times_out_never_early) {
    waitgroup wg = {0};
    for (int64_t ns = 0; ns < 10 * CHANRT_MILLISECOND; ns = ns * 2 + 1)
        CHECK_EQ(wg_go(&wg, checks_timeout, ns), 0);
    check_timeout(0);
    check_timeout(CHANRT_MILLISECOND);
    wg_wait(&wg);
}

// case 50
TEST(a_timeout_alone_is_a_sleep_and_a_ready_case_beats_a_timeout_of_zero) {
    int64_t start = chanrt_now();
    chan_select {
        on_timeout(2 * CHANRT_MILLISECOND) {}
    }
    CHECK(chanrt_now() - start >= 2 * CHANRT_MILLISECOND);

    chan(int) ch = chan_make(int, 1);
    for (int i = 0; i < 1000; i++) {
        int got = -1;
        CHECK_EQ(chan_send(ch, i), 0);
        chan_select {
            on_recv(ch, &got) {}
            on_timeout(0) {}
        }
        CHECK_EQ(got, i);
    }
    chan_free(ch);
}

TASK(send_late, chan(int), ch, uint64_t, turns) {
    spin(turns);
    chan_send_timeout(ch, 1, 40 * CHANRT_MICROSECOND);
}

static void wait_twice(long rounds, uint64_t random) {
    chan(int) ch = chan_make(int, 0), never = chan_make(int, 0);
    waitgroup wg = {0};
    for (long round = 0; round < rounds; round++) {
        CHECK_EQ(wg_go(&wg, send_late, ch, draw(&random) % 20000), 0);
        chan_select {
            on_recv(ch, NULL) {}
            on_timeout(30 * CHANRT_MICROSECOND) {}
        }
        int64_t start = chanrt_now();
        CHECK_EQ(chan_recv_timeout(never, NULL, 300 * CHANRT_MICROSECOND), ETIMEDOUT);
        CHECK(chanrt_now() - start >= 300 * CHANRT_MICROSECOND);
    }
    wg_wait(&wg);
    chan_free(ch);
    chan_free(never);
}

TASK(waits_twice, long, rounds, uint64_t, random) {
    wait_twice(rounds, random);
}

// case 51 *18
TEST(the_timer_of_one_wait_never_wakes_the_next) {
    waitgroup wg = {0};
    for (uint64_t i = 0; i < 3; i++)
        CHECK_EQ(wg_go(&wg, waits_twice, test_rounds(500), 51 + i), 0);
    wait_twice(test_rounds(500), 50);
    wg_wait(&wg);
}

static void *thread_uses_timers(void *arg) {
    (void)arg;
    for (int i = 0; i < 50; i++) {
        chan_receiver(int64_t) after = chan_after(i * CHANRT_MICROSECOND);
        chan_timer *t = timer_make(i * CHANRT_MICROSECOND);
        CHECK_EQ(chan_recv(timer_chan(t), NULL), 0);
        CHECK_EQ(chan_recv(after, NULL), 0);
        chan_free(after);
        timer_free(t);
        check_sleep(i * CHANRT_MICROSECOND);
    }
    return NULL;
}

// case 124
TEST(ordinary_threads_use_timers_as_tasks_do) {
    if (test_seeded()) return; // time jumps
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, thread_uses_timers, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

// case 95
TEST(a_pending_timer_may_be_freed_and_gives_everything_back) {
    for (long i = 0; i < test_rounds(20000); i++) {
        chan_free(chan_after(3600 * CHANRT_SECOND));
        timer_free(timer_make(3600 * CHANRT_SECOND));
        timer_free(ticker_make(3600 * CHANRT_SECOND));
    }
    timer_free(NULL);
}
