// Everybody selects over random subsets of the same few channels, sending and receiving at once,
// with defaults and timeouts mixed in. Sums and counts of all that was sent must have arrived.
#include "stress.h"

enum { CHANNELS = 5, TASKS = 16, BATCH = 200 };

typedef struct storm {
    chan(uint64_t) ch[CHANNELS];
    chan(char) stop;
    atomic_ulong sent, sum_sent, received, sum_received;
} storm;

static storm s;

static void note(atomic_ulong *count, atomic_ulong *sum, uint64_t value) {
    atomic_fetch_add(count, 1);
    atomic_fetch_add(sum, value);
}

// One select of the macro form; true when it did something.
static bool by_macro(uint64_t *random) {
    uint64_t bits = draw(random), value = draw(random), got = 0;
    chan(uint64_t) a = s.ch[bits % CHANNELS];
    chan(uint64_t) b = s.ch[bits / 8 % CHANNELS];
    chan(uint64_t) c = bits & 1024 ? s.ch[bits / 64 % CHANNELS] : NULL;
    bool done = true;
    if (bits & 4096) {
        chan_select {
            on_recv(a, &got) { note(&s.received, &s.sum_received, got); }
            on_send(b, value) { note(&s.sent, &s.sum_sent, value); }
            on_recv(c, &got) { note(&s.received, &s.sum_received, got); }
            on_default { done = false; }
        }
    } else {
        chan_select {
            on_send(a, value) { note(&s.sent, &s.sum_sent, value); }
            on_recv(b, &got) { note(&s.received, &s.sum_received, got); }
            on_send(c, value) { note(&s.sent, &s.sum_sent, value); }
            on_timeout((int64_t)(bits >> 20 & 0xffff)) { done = false; }
        }
    }
    return done;
}

// One select of the array form over every channel in random directions.
static bool by_array(uint64_t *random) {
    uint64_t bits = draw(random), value = draw(random), got[CHANNELS];
    chan_case cases[CHANNELS];
    for (unsigned i = 0; i < CHANNELS; i++)
        cases[i] = bits >> i & 1 ? case_send(s.ch[i], &value) : case_recv(s.ch[i], &got[i]);
    int i = chan_select_n(cases, CHANNELS, (int64_t)(bits >> 20 & 0xffff));
    if (i < 0)
        return false;
    REQUIRE(cases[i].err == 0);
    if (bits >> i & 1)
        note(&s.sent, &s.sum_sent, value);
    else
        note(&s.received, &s.sum_received, got[i]);
    return true;
}

static long rage(uint64_t random) {
    long operations = 0;
    while (stress_goes_on()) {
        for (int i = 0; i < BATCH; i++)
            operations += draw(&random) % 2 ? by_macro(&random) : by_array(&random);
        task_yield();
    }
    return operations;
}

TASK(rager, unsigned, number, atomic_long *, operations) {
    atomic_fetch_add(operations, rage(stress_random(number)));
}

static long run(void) {
    static const size_t capacity[CHANNELS] = {0, 0, 1, 3, 16};
    atomic_long operations = 0;
    waitgroup wg = {0};
    for (int i = 0; i < CHANNELS; i++)
        s.ch[i] = chan_make(uint64_t, capacity[i]);
    for (unsigned i = 0; i < TASKS; i++)
        REQUIRE(wg_go(&wg, rager, i, &operations) == 0);
    atomic_fetch_add(&operations, rage(stress_random(TASKS)));
    wg_wait(&wg);
    for (int i = 0; i < CHANNELS; i++) {
        uint64_t got;
        REQUIRE(chan_close(s.ch[i]) == 0);
        while (chan_recv(s.ch[i], &got) == 0)
            note(&s.received, &s.sum_received, got);
        chan_free(s.ch[i]);
    }
    REQUIRE(atomic_load(&s.sent) == atomic_load(&s.received));
    REQUIRE(atomic_load(&s.sum_sent) == atomic_load(&s.sum_received));
    return atomic_load(&operations);
}
