// Many pairs, each exchanging a counter over channels of its own, in every spelling of send and
// receive; one player of every fourth pair is an ordinary thread. The counts must meet.
#include "stress.h"

enum { PAIRS = 12, BATCH = 2000 };

typedef struct pair {
    chan(uint64_t) ping, pong;
    uint64_t random;
    long rounds;
} pair;

static void put(chan(uint64_t) ch, uint64_t value, uint64_t how) {
    if (how % 4 == 0) {
        chan_select {
            on_send(ch, value) { REQUIRE(select_err() == 0); }
        }
    } else if (how % 4 == 1) {
        while (chan_send_timeout(ch, value, (int64_t)(how % 50000)) != 0) {}
    } else {
        REQUIRE(chan_send(ch, value) == 0);
    }
}

static uint64_t take(chan(uint64_t) ch, uint64_t how) {
    uint64_t value = 0;
    if (how % 4 == 0) {
        chan_select {
            on_recv(ch, &value) { REQUIRE(select_err() == 0); }
        }
    } else if (how % 4 == 1) {
        while (chan_recv_timeout(ch, &value, (int64_t)(how % 50000)) != 0) {}
    } else {
        REQUIRE(chan_recv(ch, &value) == 0);
    }
    return value;
}

static void answer(pair *p) {
    uint64_t value;
    while (chan_recv(p->ping, &value) == 0)
        put(p->pong, value * 3 + 1, value);
}

TASK(answer_task, pair *, p) {
    answer(p);
}

static void *answer_thread(void *arg) {
    answer(arg);
    return NULL;
}

TASK(serve, pair *, p) {
    while (stress_goes_on()) {
        for (int i = 0; i < BATCH; i++, p->rounds++) {
            uint64_t value = draw(&p->random);
            put(p->ping, value, value >> 8);
            REQUIRE(take(p->pong, value >> 16) == value * 3 + 1);
        }
    }
    REQUIRE(chan_close(p->ping) == 0);
}

static long run(void) {
    static pair pairs[PAIRS];
    pthread_t threads[PAIRS];
    waitgroup wg = {0};
    long rounds = 0;
    for (unsigned i = 0; i < PAIRS; i++) {
        pair *p = &pairs[i];
        p->random = stress_random(i);
        p->ping = chan_make(uint64_t, i % 3);
        p->pong = chan_make(uint64_t, i % 3 / 2);
        if (i % 4 == 3)
            REQUIRE(pthread_create(&threads[i], NULL, answer_thread, p) == 0);
        else
            REQUIRE(wg_go(&wg, answer_task, p) == 0);
        REQUIRE(wg_go(&wg, serve, p) == 0);
    }
    wg_wait(&wg);
    for (unsigned i = 0; i < PAIRS; i++) {
        if (i % 4 == 3)
            REQUIRE(pthread_join(threads[i], NULL) == 0);
        rounds += pairs[i].rounds;
        chan_free(pairs[i].ping);
        chan_free(pairs[i].pong);
    }
    return rounds;
}
