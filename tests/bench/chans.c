// Channels: the bare operation, streams in every shape, streaming through memory.
#include "bench.h"

uint64_t pairs(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, (size_t)b->c);
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t v = 0;
        chan_send(ch, i);
        chan_recv(ch, &v);
        sum += (uint64_t)v;
    }
    chan_free(ch);
    return sum;
}

uint64_t seq(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, (size_t)b->n);
    uint64_t sum = 0;
    if (ch == NULL) bench_need(ENOMEM);
    for (int64_t i = 0; i < b->n; i++) chan_send(ch, i);
    for (int64_t i = 0; i < b->n; i++) {
        int64_t v = 0;
        chan_recv(ch, &v);
        sum += (uint64_t)v;
    }
    chan_free(ch);
    return sum;
}

struct message64  { int64_t v, pad[7]; };
struct message256 { int64_t v, pad[31]; };

#define WHOLE(m)  (m)
#define MEMBER(m) (m).v

// STREAM defines a row that sends the numbers below n from a tasks to b tasks over capacity c.
#define STREAM(row, T, VALUE)                                                              \
    TASK(row##_send, chan_sender(T), out, int64_t, from, int64_t, to, waitgroup *, wg) {   \
        T m = {0};                                                                         \
        for (VALUE(m) = from; VALUE(m) < to; VALUE(m)++) chan_send(out, m);                \
        wg_done(wg);                                                                       \
    }                                                                                      \
    TASK(row##_recv, chan_receiver(T), in, int64_t *, out, waitgroup *, wg) {              \
        int64_t sum = 0;                                                                   \
        chan_range(T, m, in) sum += VALUE(m);                                              \
        *out = sum;                                                                        \
        wg_done(wg);                                                                       \
    }                                                                                      \
    uint64_t row(struct bench *b) {                                                        \
        chan(T) ch = chan_make(T, (size_t)b->c);                                           \
        int64_t sums[32] = {0};                                                             \
        waitgroup senders = {0}, receivers = {0};                                          \
        wg_add(&senders, b->a);                                                            \
        wg_add(&receivers, b->b);                                                          \
        for (int i = 0; i < b->b; i++) {                                                   \
            bench_need(go(row##_recv, ch, &sums[i], &receivers));                          \
        }                                                                                  \
        for (int i = 0; i < b->a; i++) {                                                   \
            bench_need(go(row##_send, ch, b->n * i / b->a, b->n * (i + 1) / b->a,          \
                          &senders));                                                      \
        }                                                                                  \
        wg_wait(&senders);                                                                 \
        chan_close(ch);                                                                    \
        wg_wait(&receivers);                                                               \
        chan_free(ch);                                                                     \
        return bench_sum(sums, 32);                                                        \
    }

STREAM(stream8, int64_t, WHOLE)
STREAM(stream64, struct message64, MEMBER)
STREAM(stream256, struct message256, MEMBER)
