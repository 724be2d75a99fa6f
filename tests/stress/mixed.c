// Everything at once: a pool of numbered tokens that tasks and threads pass on through channels by
// whatever operation the generator draws, while channels of a private kind come and go, timers fire
// and tasks are born and die. At the end every token exists exactly once.
#include "stress.h"

enum { TOKENS = 64, CHANNELS = 6, TASKS = 12, THREADS = 2 };

typedef struct token {
    uint32_t number, hops;
} token;

static chan(token) pool[CHANNELS];
static chan(char) stop;
static atomic_long operations;

// Hands the token back to the pool, wherever it is wanted first. The channels together have room
// for every token, so this cannot block for ever.
static void put(token t, uint64_t bits) {
    t.hops++;
    if (chan_try_send(pool[bits % CHANNELS], t) == 0)
        return;
    if (chan_send_timeout(pool[bits / 8 % CHANNELS], t, (int64_t)(bits & 0x7fff)) == 0)
        return;
    chan_case cases[CHANNELS];
    for (int i = 0; i < CHANNELS; i++)
        cases[i] = case_send(pool[i], &t);
    int i = chan_select_n(cases, CHANNELS, -1);
    REQUIRE(i >= 0 && cases[i].err == 0);
}

// A token, or false when the show is over.
static bool take(token *t, uint64_t bits) {
    chan(token) a = pool[bits % CHANNELS];
    chan(token) b = pool[bits / 8 % CHANNELS];
    bool over = false, got = false;
    if (bits & 1024 && chan_try_recv(a, t) == 0)
        return true;
    if (bits & 2048 && chan_recv_timeout(b, t, (int64_t)(bits >> 16 & 0x7fff)) == 0)
        return true;
    while (!over && !got) {
        chan_select {
            on_recv(a, t) { got = true; }
            on_recv(b, t) { got = true; }
            on_recv(stop, NULL) { over = true; }
            on_timeout(50 * CHANRT_MICROSECOND) {
                a = pool[(bits = bits * 5 + 1) % CHANNELS];
                b = pool[bits / 8 % CHANNELS];
            }
        }
    }
    return got;
}

TASK(errand, token, t, uint64_t, random, waitgroup *, wg) {
    if (random % 3 == 0)
        task_sleep((int64_t)(random % 30000));
    put(t, draw(&random));
    REQUIRE(wg_done(wg) == 0);
}

static void wait_on_a_timer(uint64_t *random) {
    chan_timer *t = timer_make((int64_t)(draw(random) % 10000));
    if (draw(random) % 2)
        REQUIRE(chan_recv(timer_chan(t), NULL) == 0);
    else
        timer_stop(t);
    timer_free(t);
}

// Carries the token through a channel made for this one trip.
TASK(ferry, chan(token), here, chan(token), there) {
    token t;
    while (chan_recv(here, &t) == 0)
        REQUIRE(chan_send(there, t) == 0);
    chan_free(here);
    chan_free(there);
}

static void send_by_ferry(token *t, uint64_t *random) {
    chan(token) here = chan_make(token, draw(random) % 2);
    chan(token) there = chan_make(token, draw(random) % 2);
    REQUIRE(go(ferry, chan_ref(here), chan_ref(there)) == 0);
    uint32_t number = t->number;
    REQUIRE(chan_send(here, *t) == 0);
    REQUIRE(chan_recv(there, t) == 0);
    REQUIRE(t->number == number);
    REQUIRE(chan_close(here) == 0);
    chan_free(here);
    chan_free(there);
}

static void play(uint64_t random) {
    waitgroup wg = {0};
    token t;
    while (take(&t, draw(&random))) {
        REQUIRE(t.number < TOKENS);
        switch (draw(&random) % 8) {
        case 0:
            REQUIRE(wg_add(&wg, 1) == 0);
            REQUIRE(go(errand, t, draw(&random), &wg) == 0);
            break;
        case 1:
            send_by_ferry(&t, &random);
            put(t, draw(&random));
            break;
        case 2:
            wait_on_a_timer(&random);
            put(t, draw(&random));
            break;
        case 3:
            task_yield();
            put(t, draw(&random));
            break;
        default:
            put(t, draw(&random));
        }
        atomic_fetch_add(&operations, 1);
    }
    wg_wait(&wg);
}

TASK(player, unsigned, number) {
    play(stress_random(number));
}

static void *play_on_a_thread(void *arg) {
    play(stress_random((uint64_t)(uintptr_t)arg));
    return NULL;
}

static long run(void) {
    pthread_t threads[THREADS];
    waitgroup wg = {0};
    stop = chan_make(char, 0);
    for (size_t i = 0; i < CHANNELS; i++)
        pool[i] = chan_make(token, i == 0 ? TOKENS : i % 3);
    for (unsigned i = 0; i < TASKS; i++)
        REQUIRE(wg_go(&wg, player, i) == 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, play_on_a_thread, (void *)(100 + i)) == 0);
    for (uint32_t i = 0; i < TOKENS; i++)
        put((token){.number = i}, i);
    while (stress_goes_on())
        task_sleep(CHANRT_MILLISECOND);
    REQUIRE(chan_close(stop) == 0);
    wg_wait(&wg);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    bool seen[TOKENS] = {false};
    int left = 0;
    for (int i = 0; i < CHANNELS; i++) {
        REQUIRE(chan_close(pool[i]) == 0);
        chan_range(token, t, pool[i]) {
            REQUIRE(!seen[t.number]);
            seen[t.number] = true;
            left++;
        }
        chan_free(pool[i]);
    }
    REQUIRE(left == TOKENS);
    chan_free(stop);
    return atomic_load(&operations);
}
