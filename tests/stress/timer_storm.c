// Timers, tickers, function timers and timeouts made, moved, stopped and freed at random from tasks
// and from the main thread. Nothing fires early, nothing stopped fires, every function timer either
// runs once or was stopped.
#include "stress.h"

enum { TASKS = 12, TIMERS = 8, LATE_SECONDS = 10 };

static atomic_long operations, functions_made, functions_stopped, functions_run;

typedef struct slot {
    chan_timer *timer;
    int64_t due;
    bool pending;
} slot;

static void count_function(void *arg) {
    int64_t *due = arg;
    REQUIRE(chanrt_now() >= *due);
    free(due);
    atomic_fetch_add(&functions_run, 1);
}

static void use_slot(slot *t, uint64_t *random) {
    int64_t ns = (int64_t)(draw(random) % 200000), when = 0;
    switch (draw(random) % 4) {
    case 0:
        REQUIRE(timer_stop(t->timer) == t->pending);
        t->pending = false;
        break;
    case 1:
        t->due = chanrt_now() + ns;
        REQUIRE(timer_reset(t->timer, ns) == t->pending);
        t->pending = true;
        break;
    case 2:
        if (chan_try_recv(timer_chan(t->timer), &when) == 0) {
            REQUIRE(t->pending && when >= t->due);
            t->pending = false;
        } else {
            REQUIRE(!t->pending || chanrt_now() < t->due + LATE_SECONDS * CHANRT_SECOND);
        }
        break;
    default:
        if (t->pending && t->due < chanrt_now() + CHANRT_SECOND) {
            REQUIRE(chan_recv(timer_chan(t->timer), &when) == 0);
            REQUIRE(when >= t->due);
            t->pending = false;
        }
    }
}

static void function_timer(uint64_t *random) {
    int64_t *due = malloc(sizeof *due), ns = (int64_t)(draw(random) % 20000);
    *due = chanrt_now() + ns;
    atomic_fetch_add(&functions_made, 1);
    chan_timer *t = timer_func(ns, count_function, due);
    REQUIRE(t != NULL);
    spin(draw(random) % 4000);
    if (timer_stop(t)) {
        atomic_fetch_add(&functions_stopped, 1);
        free(due);
    }
    timer_free(t);
}

static void wait_somehow(uint64_t *random) {
    int64_t ns = (int64_t)(draw(random) % 50000), start = chanrt_now();
    chan(int) never = chan_make(int, 0);
    switch (draw(random) % 4) {
    case 0:
        task_sleep(ns);
        break;
    case 1:
        REQUIRE(chan_recv_timeout(never, NULL, ns) == ETIMEDOUT);
        break;
    case 2:
        chan_select {
            on_recv(never, NULL) { REQUIRE(select_err() != 0); }
            on_timeout(ns) {}
        }
        break;
    default: {
        chan_receiver(int64_t) after = chan_after(ns);
        if (draw(random) % 2)
            REQUIRE(chan_recv(after, NULL) == 0);
        else
            ns = 0;  // freed before it fires, as often as not
        chan_free(after);
    }
    }
    REQUIRE(chanrt_now() - start >= ns);
    chan_free(never);
}

static void two_ticks(uint64_t *random) {
    int64_t period = 1000 + (int64_t)(draw(random) % 30000), start = chanrt_now(), when = 0;
    chan_timer *t = ticker_make(period);
    for (int n = 1; n <= 2; n++) {
        REQUIRE(chan_recv(timer_chan(t), &when) == 0);
        REQUIRE(when >= start + n * period);
    }
    timer_free(t);
}

static void storm(uint64_t random) {
    slot slots[TIMERS];
    for (int i = 0; i < TIMERS; i++)
        slots[i] = (slot){timer_make(CHANRT_SECOND * 3600), chanrt_now() + CHANRT_SECOND * 3600,
                          true};
    while (stress_goes_on()) {
        for (int i = 0; i < 50; i++)
            use_slot(&slots[draw(&random) % TIMERS], &random);
        function_timer(&random);
        wait_somehow(&random);
        if (draw(&random) % 8 == 0)
            two_ticks(&random);
        atomic_fetch_add(&operations, 52);
    }
    for (int i = 0; i < TIMERS; i++) {
        REQUIRE(timer_stop(slots[i].timer) == slots[i].pending);
        timer_free(slots[i].timer);
    }
}

TASK(stormer, unsigned, number) {
    storm(stress_random(number));
}

static long run(void) {
    waitgroup wg = {0};
    for (unsigned i = 0; i < TASKS; i++)
        REQUIRE(wg_go(&wg, stormer, i) == 0);
    storm(stress_random(TASKS));
    wg_wait(&wg);
    REQUIRE(chanrt_shutdown(LATE_SECONDS * CHANRT_SECOND) == 0);
    REQUIRE(atomic_load(&functions_run) + atomic_load(&functions_stopped) ==
            atomic_load(&functions_made));
    return atomic_load(&operations);
}
