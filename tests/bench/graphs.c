// Whole graphs of tasks: trees, chains, rings, a sieve, a pool. A task frees the channel it
// receives from, whose other end has nothing more to say.
#include "bench.h"

//------------------------------------------------------------------------------
// Trees

static int64_t fib_of(int n);

TASK(fib_task, int, n, chan_sender(int64_t), out) {
    chan_send(out, fib_of(n));
}

static int64_t fib_of(int n) {
    if (n < 2) return n;
    chan(int64_t) ch = chan_make(int64_t, 1);
    bench_need(go(fib_task, n - 1, ch));
    int64_t v = fib_of(n - 2);
    v += chan_get(ch);
    chan_free(ch);
    return v;
}

static int64_t fib_calls(int n) {
    return n < 2 ? 1 : 1 + fib_calls(n - 1) + fib_calls(n - 2);
}

uint64_t fib(struct bench *b) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) sum += (uint64_t)fib_of(b->a);
    bench_end(b);
    b->ops = (double)(b->n * fib_calls(b->a));
    return sum;
}

TASK(skynet_node, int64_t, num, int64_t, size, chan_sender(int64_t), out) {
    if (size == 1) {
        chan_send(out, num);
        return;
    }
    chan(int64_t) ch = chan_make(int64_t, 0);
    int64_t part = size / 10, sum = 0;
    for (int i = 0; i < 10; i++) bench_need(go(skynet_node, num + i * part, part, ch));
    for (int i = 0; i < 10; i++) sum += chan_get(ch);
    chan_free(ch);
    chan_send(out, sum);
}

uint64_t skynet(struct bench *b) {
    chan(int64_t) ch = chan_make(int64_t, 0);
    uint64_t sum = 0;
    int64_t tasks = 0;
    for (int64_t i = 0; i < b->n; i++) {
        bench_need(go(skynet_node, 0, b->a, ch));
        sum += (uint64_t)chan_get(ch);
    }
    for (int64_t level = b->a; level > 0; level /= 10) tasks += level;
    b->ops = (double)(b->n * tasks);
    chan_free(ch);
    return sum;
}

//------------------------------------------------------------------------------
// Sieve

TASK(generate, int64_t, limit, chan_sender(int64_t), out) {
    for (int64_t v = 2; v <= limit; v++) chan_send(out, v);
    chan_close(out);
}

TASK(filter, chan_receiver(int64_t), in, chan_sender(int64_t), out, int64_t, prime) {
    chan_range(int64_t, v, in) {
        if (v % prime != 0) chan_send(out, v);
    }
    chan_close(out);
    chan_free(in);
}

// A number crosses one channel for each prime up to the one that drops it, and a prime also the
// channel it is found on.
static int64_t sieve_messages(int64_t limit) {
    int64_t *primes = bench_alloc(limit, sizeof *primes), found = 0, messages = 0;
    for (int64_t v = 2; v <= limit; v++) {
        int64_t k = 0;
        while (k < found && v % primes[k] != 0) k++;
        messages += k + 1;
        if (k == found) primes[found++] = v;
    }
    free(primes);
    return messages;
}

// sieve finds the primes up to a.
uint64_t sieve(struct bench *b) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < b->n; i++) {
        chan(int64_t) in = chan_make(int64_t, 0);
        bench_need(go(generate, b->a, in));
        for (int64_t prime; chan_recv(in, &prime) == 0;) {
            chan(int64_t) out = chan_make(int64_t, 0);
            bench_need(go(filter, in, out, prime));
            sum += (uint64_t)prime;
            in = out;
        }
        chan_free(in);
    }
    bench_end(b);
    b->ops = (double)(b->n * sieve_messages(b->a));
    return sum;
}

//------------------------------------------------------------------------------
// Ring and chain

TASK(pass, chan_receiver(int64_t), in, chan_sender(int64_t), out) {
    chan_range(int64_t, v, in) chan_send(out, v + 1);
    chan_close(out);
    chan_free(in);
}

// ring has a members, the calling task among them. The first lap touches every stack and is not
// measured.
uint64_t ring(struct bench *b) {
    chan(int64_t) first = chan_make(int64_t, 0);
    chan(int64_t) last = first;
    int64_t v = 0, laps = b->n / b->a > 0 ? b->n / b->a : 1;
    for (int i = 1; i < b->a; i++) {
        chan(int64_t) next = chan_make(int64_t, 0);
        bench_need(go(pass, last, next));
        last = next;
    }
    for (int64_t lap = -1; lap < laps; lap++) {
        if (lap == 0) bench_begin(b);
        chan_send(first, v + 1);
        chan_recv(last, &v);
    }
    bench_end(b);
    chan_close(first);
    int64_t end;
    while (chan_recv(last, &end) == 0) continue;
    chan_free(last);
    b->ops = (double)(laps * b->a);
    return (uint64_t)v;
}

TASK(join, chan_sender(int64_t), left, chan_receiver(int64_t), right) {
    chan_send(left, 1 + chan_get(right));
    chan_free(right);
}

// daisy builds and runs the chain a times; the last time is measured.
uint64_t daisy(struct bench *b) {
    int64_t v = 0;
    for (int i = 0; i < b->a; i++) {
        bench_begin(b);
        chan(int64_t) leftmost = chan_make(int64_t, 0);
        chan(int64_t) left = leftmost;
        for (int64_t j = 0; j < b->n; j++) {
            chan(int64_t) right = chan_make(int64_t, 0);
            bench_need(go(join, left, right));
            left = right;
        }
        chan_send(left, 1);
        chan_recv(leftmost, &v);
        chan_free(leftmost);
    }
    bench_end(b);
    return (uint64_t)v;
}

//------------------------------------------------------------------------------
// Pool: b workers between the caller and a collector.

TASK(workman, chan_receiver(uint64_t), jobs, chan_sender(uint64_t), results, int, us,
     waitgroup *, wg) {
    chan_range(uint64_t, v, jobs) chan_send(results, bench_work(v, us));
    wg_done(wg);
}

TASK(collect, chan_receiver(uint64_t), results, int64_t, n, uint64_t *, out, waitgroup *, wg) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += chan_get(results);
    *out = sum;
    wg_done(wg);
}

uint64_t fanout(struct bench *b) {
    chan(uint64_t) jobs = chan_make(uint64_t, 16);
    chan(uint64_t) results = chan_make(uint64_t, 16);
    uint64_t sum = 0;
    waitgroup wg = {0};
    wg_add(&wg, b->b + 1);
    for (int i = 0; i < b->b; i++) bench_need(go(workman, jobs, results, b->a, &wg));
    bench_need(go(collect, results, b->n, &sum, &wg));
    for (int64_t i = 1; i <= b->n; i++) chan_send(jobs, (uint64_t)i);
    chan_close(jobs);
    wg_wait(&wg);
    chan_free(jobs);
    chan_free(results);
    return sum;
}
