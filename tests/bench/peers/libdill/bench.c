// libdill's answer to the rows it can do honestly: its channels are unbuffered, and a pair of
// handles that every operation looks up.
#include "../frame.h"
#include <libdill.h>

static void need(int result) {
    if (result < 0) abort();
}

static coroutine void yielder(int64_t turns, int64_t *sum) {
    for (int64_t i = 0; i < turns; i++) yield();
    *sum += turns;
}

static uint64_t yields(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    int64_t sum = 0;
    int all = bundle();
    need(all);
    for (int i = 0; i < a; i++) need(bundle_go(all, yielder(n / a, &sum)));
    need(bundle_wait(all, -1));
    hclose(all);
    return (uint64_t)sum;
}

static coroutine void pinger(int in, int out, int64_t n, int64_t *sum) {
    for (int64_t i = 0, v = 0; i < n; i++) {
        chsend(out, &v, sizeof v, -1);
        chrecv(in, &v, sizeof v, -1);
        *sum += v++;
    }
}

static coroutine void ponger(int in, int out, int64_t n, int64_t *sum) {
    for (int64_t i = 0, v = 0; i < n; i++) {
        chrecv(in, &v, sizeof v, -1);
        *sum += v++;
        chsend(out, &v, sizeof v, -1);
    }
}

static uint64_t pingpong(int64_t n, int a, int b, int cap) {
    (void)a, (void)b, (void)cap;
    int there[2], back[2], both = bundle();
    int64_t sums[2] = {0};
    need(chmake(there));
    need(chmake(back));
    need(both);
    need(bundle_go(both, pinger(back[0], there[0], n, &sums[0])));
    need(bundle_go(both, ponger(there[1], back[1], n, &sums[1])));
    need(bundle_wait(both, -1));
    hclose(both);
    for (int i = 0; i < 2; i++) {
        hclose(there[i]);
        hclose(back[i]);
    }
    return (uint64_t)(sums[0] + sums[1]);
}

static coroutine void sender(int out, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) chsend(out, &i, sizeof i, -1);
}

static coroutine void receiver(int in, int64_t *sum) {
    for (int64_t v; chrecv(in, &v, sizeof v, -1) == 0;) *sum += v;
}

static uint64_t stream(int64_t n, int a, int b, int cap) {
    (void)cap;
    int ch[2], senders = bundle(), receivers = bundle();
    int64_t sums[4] = {0};
    need(chmake(ch));
    for (int i = 0; i < b; i++) need(bundle_go(receivers, receiver(ch[0], &sums[i])));
    for (int i = 0; i < a; i++)
        need(bundle_go(senders, sender(ch[1], n * i / a, n * (i + 1) / a)));
    need(bundle_wait(senders, -1));
    need(chdone(ch[1]));
    need(bundle_wait(receivers, -1));
    hclose(senders);
    hclose(receivers);
    hclose(ch[0]);
    hclose(ch[1]);
    return (uint64_t)(sums[0] + sums[1] + sums[2] + sums[3]);
}

static coroutine void cycler(int (*ends)[2], int a, int64_t n) {
    for (int64_t i = 0; i < n; i++) chsend(ends[i % a][1], &i, sizeof i, -1);
}

static uint64_t select_block(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    int ends[64][2], one = bundle();
    uint64_t sum = 0;
    int64_t v = 0;
    struct chclause clauses[64];
    for (int i = 0; i < a; i++) {
        need(chmake(ends[i]));
        clauses[i] = (struct chclause){ CHRECV, ends[i][0], &v, sizeof v };
    }
    need(bundle_go(one, cycler(ends, a, n)));
    for (int64_t i = 0; i < n; i++) {
        choose(clauses, a, -1);
        sum += (uint64_t)v;
    }
    need(bundle_wait(one, -1));
    hclose(one);
    for (int i = 0; i < a; i++) {
        hclose(ends[i][0]);
        hclose(ends[i][1]);
    }
    return sum;
}

static coroutine void toucher(int64_t *sum) {
    ++*sum;
}

static uint64_t spawn_finish(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    int64_t sum = 0;
    int batch = bundle();
    need(batch);
    for (int64_t i = 0; i < n / a; i++) {
        for (int j = 0; j < a; j++) need(bundle_go(batch, toucher(&sum)));
        need(bundle_wait(batch, -1));
    }
    hclose(batch);
    return (uint64_t)sum;
}

static const struct peer_row rows[] = {
    { "yield2", yields, 2, 0, 0, 1 },
    { "yield10", yields, 10, 0, 0, 1 },
    { "yield1000", yields, 1000, 0, 0, 1 },
    { "pingpong_two", pingpong, 0, 0, 0, 1 },
    { "spsc0", stream, 1, 1, 0, 1 },
    { "mpsc4_0", stream, 4, 1, 0, 1 },
    { "mpmc4x4_0", stream, 4, 4, 0, 1 },
    { "select_block2", select_block, 2, 0, 0, 1 },
    { "select_block4", select_block, 4, 0, 0, 1 },
    { "select_block8", select_block, 8, 0, 0, 1 },
    { "select_block64", select_block, 64, 0, 0, 1 },
    { "spawn_finish", spawn_finish, 1000, 0, 0, 1 },
};

int main(int argc, char **argv) {
    return peer_main(argc, argv, rows, (int)(sizeof rows / sizeof *rows));
}
