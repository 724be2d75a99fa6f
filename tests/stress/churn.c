// Channels and tasks that live for a moment: made, used by a few senders and receivers, closed and
// freed by whoever is last, each side holding a reference of its own. Every value that a send
// reported is either received or still in the buffer when the last receiver leaves.
#include "stress.h"

enum { LANES = 8, MOST = 4 };

typedef struct tally {
    atomic_long sent, sum_sent, received, sum_received;
} tally;

TASK(send_some, chan(long), ch, long, n, long, first, tally *, t) {
    for (long i = 0; i < n; i++) {
        if (chan_send(ch, first + i) != 0)
            break;
        atomic_fetch_add(&t->sent, 1);
        atomic_fetch_add(&t->sum_sent, first + i);
    }
    chan_free(ch);
}

TASK(receive_all, chan(long), ch, tally *, t) {
    long v;
    while (chan_recv(ch, &v) == 0) {
        atomic_fetch_add(&t->received, 1);
        atomic_fetch_add(&t->sum_received, v);
    }
    chan_free(ch);
}

TASK(close_after, chan(long), ch, uint64_t, turns, waitgroup *, senders) {
    if (turns % 2)
        wg_wait(senders);
    else
        spin(turns % 4096);
    REQUIRE(chan_close(ch) == 0);
    chan_free(ch);
}

static long one_life(uint64_t *random) {
    tally t = {.sent = 0};
    waitgroup senders = {0}, all = {0};
    chan(long) ch = chan_make(long, draw(random) % 6);
    REQUIRE(ch != NULL);
    unsigned n = (unsigned)(draw(random) % MOST) + 1, m = (unsigned)(draw(random) % MOST) + 1;
    for (unsigned i = 0; i < n || i < m; i++) {
        if (i < n)
            REQUIRE(wg_go(&senders, send_some, chan_ref(ch), (long)(draw(random) % 40),
                          (long)(draw(random) % 1000), &t) == 0);
        if (i < m)
            REQUIRE(wg_go(&all, receive_all, chan_ref(ch), &t) == 0);
    }
    REQUIRE(wg_go(&all, close_after, chan_ref(ch), draw(random), &senders) == 0);
    chan_free(ch);
    wg_wait(&all);
    wg_wait(&senders);
    REQUIRE(atomic_load(&t.sent) == atomic_load(&t.received));
    REQUIRE(atomic_load(&t.sum_sent) == atomic_load(&t.sum_received));
    return atomic_load(&t.received) + 1;
}

TASK(lane, unsigned, number, atomic_long *, operations) {
    uint64_t random = stress_random(number);
    while (stress_goes_on())
        atomic_fetch_add(operations, one_life(&random));
}

static long run(void) {
    atomic_long operations = 0;
    waitgroup wg = {0};
    for (unsigned i = 0; i < LANES; i++)
        REQUIRE(wg_go(&wg, lane, i, &operations) == 0);
    uint64_t random = stress_random(LANES);
    while (stress_goes_on())
        atomic_fetch_add(&operations, one_life(&random));
    wg_wait(&wg);
    return atomic_load(&operations);
}
