// A channel closed while tasks and a thread send to it, receive from it and select on it in every
// way. What was reported as sent must be received, everybody must get away, and exactly one close
// may succeed.
#include "stress.h"

enum { MOST = 6 };

typedef struct race {
    chan(uint64_t) ch, other;
    atomic_long sent, received, closes;
    atomic_ulong sum_sent, sum_received;
    waitgroup all;
} race;

static int send_somehow(race *r, uint64_t value, uint64_t how) {
    int err = 0;
    switch (how % 4) {
    case 0:
        return chan_send(r->ch, value);
    case 1:
        return chan_try_send(r->ch, value);
    case 2:
        return chan_send_timeout(r->ch, value, (int64_t)(how & 0x3fff));
    default:
        chan_select {
            on_send(r->ch, value) { err = select_err(); }
            on_recv(r->other, NULL) { err = EPIPE; }
        }
        return err;
    }
}

static int receive_somehow(race *r, uint64_t *value, uint64_t how) {
    int err = 0;
    switch (how % 4) {
    case 0:
        return chan_recv(r->ch, value);
    case 1:
        return chan_try_recv(r->ch, value);
    case 2:
        return chan_recv_timeout(r->ch, value, (int64_t)(how & 0x3fff));
    default:
        chan_select {
            on_recv(r->ch, value) { err = select_err(); }
            on_send(r->other, 1) { err = EPIPE; }
        }
        return err;
    }
}

TASK(sender, race *, r, uint64_t, random) {
    int err;
    do {
        uint64_t value = draw(&random);
        err = send_somehow(r, value, draw(&random));
        REQUIRE(err == 0 || err == EPIPE || err == EAGAIN || err == ETIMEDOUT);
        if (err == 0) {
            atomic_fetch_add(&r->sent, 1);
            atomic_fetch_add(&r->sum_sent, value);
        } else if (err == EAGAIN) {
            task_yield();
        }
    } while (err != EPIPE);
}

static void receive(race *r, uint64_t random) {
    int err;
    do {
        uint64_t value = 0;
        err = receive_somehow(r, &value, draw(&random));
        REQUIRE(err == 0 || err == EPIPE || err == EAGAIN || err == ETIMEDOUT);
        if (err == 0) {
            atomic_fetch_add(&r->received, 1);
            atomic_fetch_add(&r->sum_received, value);
        } else if (err == EAGAIN) {
            task_yield();
        } else if (err == EPIPE) {
            REQUIRE(value == 0);
        }
    } while (err != EPIPE);
}

TASK(receiver, race *, r, uint64_t, random) {
    receive(r, random);
}

TASK(closer, race *, r, uint64_t, turns) {
    if (turns % 3 == 0)
        task_sleep((int64_t)(turns % 100000));
    else
        spin(turns % 10000);
    int err = chan_close(r->ch);
    REQUIRE(err == 0 || err == EPIPE);
    atomic_fetch_add(&r->closes, err == 0);
}

static long run(void) {
    uint64_t random = stress_random(0);
    long operations = 0;
    while (stress_goes_on()) {
        race r = {.ch = chan_make(uint64_t, draw(&random) % 5), .other = chan_make(uint64_t, 0)};
        uint64_t senders = draw(&random) % MOST + 1, receivers = draw(&random) % MOST;
        for (uint64_t i = 0; i < senders || i < receivers; i++) {
            if (i < senders)
                REQUIRE(wg_go(&r.all, sender, &r, draw(&random)) == 0);
            if (i < receivers)
                REQUIRE(wg_go(&r.all, receiver, &r, draw(&random)) == 0);
        }
        for (int i = 0; i < 3; i++)
            REQUIRE(wg_go(&r.all, closer, &r, draw(&random)) == 0);
        receive(&r, draw(&random));
        wg_wait(&r.all);
        REQUIRE(atomic_load(&r.closes) == 1);
        // the main thread may have left before the buffer was empty, by way of the other channel
        uint64_t value;
        while (chan_recv(r.ch, &value) == 0) {
            atomic_fetch_add(&r.received, 1);
            atomic_fetch_add(&r.sum_received, value);
        }
        REQUIRE(atomic_load(&r.sent) == atomic_load(&r.received));
        REQUIRE(atomic_load(&r.sum_sent) == atomic_load(&r.sum_received));
        operations += atomic_load(&r.sent) + 1;
        chan_free(r.ch);
        chan_free(r.other);
    }
    return operations;
}
