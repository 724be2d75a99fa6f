// neco's answer to the rows it can do honestly. Arguments are passed as pointers, since that is
// what its coroutines take; a select there receives only, so the select rows with a block do.
#include "../frame.h"
#include "neco.h"

static void need(int err) {
    if (err != NECO_OK && err != NECO_CLOSED) abort();
}

struct crew {
    neco_chan     *there, *back;
    neco_waitgroup wg;
    int64_t        n, from, to, sum;
};

static void yielder(int argc, void *argv[]) {
    (void)argc;
    struct crew *c = argv[0];
    for (int64_t i = 0; i < c->n; i++) neco_yield();
    c->sum += c->n;
    neco_waitgroup_done(&c->wg);
}

static uint64_t yields(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    struct crew c = { .n = n / a };
    neco_waitgroup_init(&c.wg);
    neco_waitgroup_add(&c.wg, a);
    for (int i = 0; i < a; i++) need(neco_start(yielder, 1, &c));
    neco_waitgroup_wait(&c.wg);
    return (uint64_t)c.sum;
}

static void pinger(int argc, void *argv[]) {
    (void)argc;
    struct crew *c = argv[0];
    int64_t v = 0, sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        neco_chan_send(c->there, &v);
        neco_chan_recv(c->back, &v);
        sum += v++;
    }
    c->sum += sum;
    neco_waitgroup_done(&c->wg);
}

static void ponger(int argc, void *argv[]) {
    (void)argc;
    struct crew *c = argv[0];
    int64_t sum = 0;
    for (int64_t i = 0, v = 0; i < c->n; i++) {
        neco_chan_recv(c->there, &v);
        sum += v++;
        neco_chan_send(c->back, &v);
    }
    c->sum += sum;
    neco_waitgroup_done(&c->wg);
}

static uint64_t pingpong(int64_t n, int a, int b, int cap) {
    (void)a, (void)b, (void)cap;
    struct crew c = { .n = n };
    need(neco_chan_make(&c.there, sizeof(int64_t), 0));
    need(neco_chan_make(&c.back, sizeof(int64_t), 0));
    neco_waitgroup_init(&c.wg);
    neco_waitgroup_add(&c.wg, 2);
    need(neco_start(pinger, 1, &c));
    need(neco_start(ponger, 1, &c));
    neco_waitgroup_wait(&c.wg);
    neco_chan_release(c.there);
    neco_chan_release(c.back);
    return (uint64_t)c.sum;
}

static uint64_t pairs(int64_t n, int a, int b, int cap) {
    (void)a, (void)b;
    neco_chan *ch;
    uint64_t sum = 0;
    need(neco_chan_make(&ch, sizeof(int64_t), (size_t)cap));
    for (int64_t i = 0; i < n; i++) {
        int64_t v = 0;
        neco_chan_send(ch, &i);
        neco_chan_recv(ch, &v);
        sum += (uint64_t)v;
    }
    neco_chan_release(ch);
    return sum;
}

static void sender(int argc, void *argv[]) {
    (void)argc;
    struct crew *c = argv[0];
    for (int64_t i = c->from; i < c->to; i++) neco_chan_send(c->there, &i);
    neco_waitgroup_done(&c->wg);
}

static void receiver(int argc, void *argv[]) {
    (void)argc;
    struct crew *c = argv[0];
    for (int64_t v; neco_chan_recv(c->there, &v) == NECO_OK;) c->sum += v;
    neco_waitgroup_done(&c->wg);
}

static uint64_t stream(int64_t n, int a, int b, int cap) {
    struct crew out[4] = {{0}}, in[4] = {{0}};
    neco_chan *ch;
    uint64_t sum = 0;
    need(neco_chan_make(&ch, sizeof(int64_t), (size_t)cap));
    for (int i = 0; i < b; i++) {
        in[i].there = ch;
        neco_waitgroup_init(&in[i].wg);
        neco_waitgroup_add(&in[i].wg, 1);
        need(neco_start(receiver, 1, &in[i]));
    }
    for (int i = 0; i < a; i++) {
        out[i] = (struct crew){ .there = ch, .from = n * i / a, .to = n * (i + 1) / a };
        neco_waitgroup_init(&out[i].wg);
        neco_waitgroup_add(&out[i].wg, 1);
        need(neco_start(sender, 1, &out[i]));
    }
    for (int i = 0; i < a; i++) neco_waitgroup_wait(&out[i].wg);
    neco_chan_close(ch);
    for (int i = 0; i < b; i++) {
        neco_waitgroup_wait(&in[i].wg);
        sum += (uint64_t)in[i].sum;
    }
    neco_chan_release(ch);
    return sum;
}

static void toucher(int argc, void *argv[]) {
    (void)argc;
    struct crew *c = argv[0];
    c->sum++;
    neco_waitgroup_done(&c->wg);
}

static uint64_t spawn_finish(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    struct crew c = {0};
    neco_waitgroup_init(&c.wg);
    for (int64_t i = 0; i < n / a; i++) {
        neco_waitgroup_add(&c.wg, a);
        for (int j = 0; j < a; j++) need(neco_start(toucher, 1, &c));
        neco_waitgroup_wait(&c.wg);
    }
    return (uint64_t)c.sum;
}

static void answer(int argc, void *argv[]) {
    (void)argc;
    neco_chan_send(argv[0], argv[1]);
}

static uint64_t spawn_join(int64_t n, int a, int b, int cap) {
    (void)a, (void)b, (void)cap;
    neco_chan *ch;
    uint64_t sum = 0;
    need(neco_chan_make(&ch, sizeof(int64_t), 0));
    for (int64_t i = 0; i < n; i++) {
        int64_t v = 0;
        need(neco_start(answer, 2, ch, &i));
        neco_chan_recv(ch, &v);
        sum += (uint64_t)v;
    }
    neco_chan_release(ch);
    return sum;
}

static const struct peer_row rows[] = {
    { "yield2", yields, 2, 0, 0, 1 },
    { "yield10", yields, 10, 0, 0, 1 },
    { "yield1000", yields, 1000, 0, 0, 1 },
    { "pingpong_two", pingpong, 0, 0, 0, 4 },
    { "buf_pair", pairs, 0, 0, 16, 1 },
    { "spsc0", stream, 1, 1, 0, 4 },
    { "spsc1", stream, 1, 1, 1, 4 },
    { "spsc16", stream, 1, 1, 16, 4 },
    { "spsc128", stream, 1, 1, 128, 4 },
    { "mpsc4_128", stream, 4, 1, 128, 4 },
    { "mpmc4x4_128", stream, 4, 4, 128, 4 },
    { "spawn_finish", spawn_finish, 1000, 0, 0, 4 },
    { "spawn_join", spawn_join, 0, 0, 0, 4 },
};

static int status;

static void program(int argc, void *argv[]) {
    (void)argc;
    status = peer_main(*(int *)argv[0], argv[1], rows, (int)(sizeof rows / sizeof *rows));
}

int main(int argc, char **argv) {
    need(neco_start(program, 2, &argc, argv));
    return status;
}
