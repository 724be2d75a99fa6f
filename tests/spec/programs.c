// Whole programs whose output is known (catalogue Q). Each ends by closing its channels, and each
// has to leave no task behind.
#include "test.h"

#define LATE (5 * CHANRT_SECOND)

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

//--------------------------------------------------------------------------------------------------
// Prime sieves.

static const int first_primes[25] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
                                     43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97};

static bool is_prime(int n) {
    for (int d = 2; d * d <= n; d++) {
        if (n % d == 0)
            return false;
    }
    return n >= 2;
}

static int next_prime(int n) {
    do {
        n++;
    } while (!is_prime(n));
    return n;
}

TASK(count_up, chan(int), out) {
    for (int n = 2; chan_send(out, n) == 0; n++) {}
}

// Who can no longer send closes its input, so that the end travels up the chain.
TASK(drop_multiples, int, prime, chan(int), in, chan(int), out) {
    chan_range(int, n, in) {
        if (n % prime != 0 && chan_send(out, n) != 0)
            break;
    }
    chan_close(in);
}

static void endless_sieve(int primes) {
    waitgroup wg = {0};
    chan(int) *link = calloc((size_t)primes + 1, sizeof *link);
    link[0] = chan_make(int, 0);
    CHECK_EQ(wg_go(&wg, count_up, link[0]), 0);
    for (int i = 0, expected = 1; i < primes; i++) {
        int prime = chan_get(link[i]);
        expected = next_prime(expected);
        CHECK_EQ(prime, expected);
        if (i < 25)
            CHECK_EQ(prime, first_primes[i]);
        link[i + 1] = chan_make(int, 0);
        CHECK_EQ(wg_go(&wg, drop_multiples, prime, link[i], link[i + 1]), 0);
    }
    CHECK_EQ(chan_close(link[primes]), 0);
    wg_wait(&wg);
    for (int i = 0; i <= primes; i++)
        chan_free(link[i]);
    free(link);
}

// case 128
TEST(an_endless_chain_of_filters_yields_the_primes) {
    endless_sieve(25);
    endless_sieve((int)test_rounds(1000));
}

TASK(count_to, int, last, chan_sender(int), out) {
    for (int n = 2; n <= last; n++)
        CHECK_EQ(chan_send(out, n), 0);
    chan_close(out);
}

// A stage takes the first number it gets for its prime and makes its own successor.
TASK(sieve_stage, chan(int), in, chan_sender(int), primes, waitgroup *, wg) {
    int prime;
    if (chan_recv(in, &prime) == 0) {
        CHECK_EQ(chan_send(primes, prime), 0);
        chan(int) out = chan_make(int, 16);
        CHECK_EQ(wg_go(wg, sieve_stage, out, primes, wg), 0);
        chan_range(int, n, in) {
            if (n % prime != 0)
                CHECK_EQ(chan_send(out, n), 0);
        }
        chan_close(out);
    }
    chan_free(in);
}

static void finite_sieve(int last, int count) {
    waitgroup wg = {0};
    chan(int) numbers = chan_make(int, 16), primes = chan_make(int, 4);
    CHECK_EQ(wg_go(&wg, count_to, last, numbers), 0);
    CHECK_EQ(wg_go(&wg, sieve_stage, numbers, primes, &wg), 0);
    for (int i = 0, expected = 1; i < count; i++) {
        expected = next_prime(expected);
        CHECK_EQ(chan_get(primes), expected);
    }
    wg_wait(&wg);
    CHECK_EQ(chan_try_recv(primes, NULL), EAGAIN);
    chan_free(primes);
}

// case 128
TEST(a_growing_chain_of_stages_yields_the_primes_up_to_a_bound) {
    finite_sieve(97, 25);
    if (test_rounds(1000) >= 1000)
        finite_sieve(7919, 1000);
    else
        finite_sieve(541, 100);
}

//--------------------------------------------------------------------------------------------------
// Power series: a series is a channel of its coefficients, an operation a task. Series defined by
// themselves are networks with feedback; the end travels against the stream, by closing.

typedef struct rat {
    int64_t num, den;
} rat;

static rat reduced(int64_t num, int64_t den) {
    int64_t a = num < 0 ? -num : num, b = den;
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a == 0 ? (rat){0, 1} : (rat){num / a, den / a};
}

static rat plus(rat a, rat b) {
    return reduced(a.num * b.den + b.num * a.den, a.den * b.den);
}

static rat times(rat a, rat b) {
    return reduced(a.num * b.num, a.den * b.den);
}

// first + the integral of the series
TASK(integrate, rat, first, chan(rat), in, chan(rat), out) {
    rat next = first;
    for (int64_t n = 1; chan_send(out, next) == 0; n++) {
        if (chan_recv(in, &next) != 0)
            break;
        next = times(next, (rat){1, n});
    }
    chan_close(in);
    chan_close(out);
}

enum { MOST_TERMS = 32 };

TASK(multiply, chan(rat), f, chan(rat), g, chan(rat), out) {
    rat a[MOST_TERMS], b[MOST_TERMS];
    for (int n = 0; n < MOST_TERMS; n++) {
        if (chan_recv(f, &a[n]) != 0 || chan_recv(g, &b[n]) != 0)
            break;
        rat sum = {0, 1};
        for (int k = 0; k <= n; k++)
            sum = plus(sum, times(a[k], b[n - k]));
        if (chan_send(out, sum) != 0)
            break;
    }
    chan_close(f);
    chan_close(g);
    chan_close(out);
}

TASK(add_constant, rat, c, chan(rat), in, chan(rat), out) {
    rat value;
    while (chan_recv(in, &value) == 0 && chan_send(out, plus(value, c)) == 0)
        c = (rat){0, 1};
    chan_close(in);
    chan_close(out);
}

// Every value of in to each of the three others, in whichever order they are ready.
TASK(split, chan(rat), in, chan(rat), a, chan(rat), b, chan(rat), c) {
    chan(rat) out[3] = {a, b, c};
    bool open = true;
    rat value;
    while (open && chan_recv(in, &value) == 0) {
        chan_sender(rat) left[3] = {a, b, c};
        for (int i = 0; i < 3 && open; i++) {
            chan_select {
                on_send(left[0], value) { left[0] = NULL; open = select_err() == 0; }
                on_send(left[1], value) { left[1] = NULL; open = select_err() == 0; }
                on_send(left[2], value) { left[2] = NULL; open = select_err() == 0; }
            }
        }
    }
    chan_close(in);
    for (int i = 0; i < 3; i++)
        chan_close(out[i]);
}

static void check_series(chan(rat) series, const rat *expected, int terms) {
    for (int i = 0; i < terms; i++) {
        rat got = chan_get(series);
        CHECK_EQ(got.num, expected[i].num);
        CHECK_EQ(got.den, expected[i].den);
    }
    chan_close(series);
}

TASK(swallow, chan(rat), in) {
    while (chan_recv(in, NULL) == 0) {}
}

// case 128
TEST(the_exponential_is_its_own_integral_plus_one) {
    static const rat expected[] = {{1, 1}, {1, 1}, {1, 2}, {1, 6}, {1, 24}, {1, 120}, {1, 720},
                                   {1, 5040}, {1, 40320}, {1, 362880}, {1, 3628800}};
    chan(rat) ch[4];
    waitgroup wg = {0};
    for (int i = 0; i < 4; i++)
        ch[i] = chan_make(rat, 0);
    CHECK_EQ(wg_go(&wg, integrate, (rat){1, 1}, ch[1], ch[0]), 0);
    CHECK_EQ(wg_go(&wg, split, ch[0], ch[1], ch[2], ch[3]), 0);
    CHECK_EQ(wg_go(&wg, swallow, ch[3]), 0);
    check_series(ch[2], expected, 11);
    wg_wait(&wg);
    for (int i = 0; i < 4; i++)
        chan_free(ch[i]);
}

// case 128
TEST(the_tangent_is_the_integral_of_one_plus_its_square) {
    static const rat expected[] = {{0, 1}, {1, 1}, {0, 1}, {1, 3}, {0, 1}, {2, 15}, {0, 1},
                                   {17, 315}, {0, 1}, {62, 2835}, {0, 1}, {1382, 155925}};
    chan(rat) ch[6];
    waitgroup wg = {0};
    for (int i = 0; i < 6; i++)
        ch[i] = chan_make(rat, 0);
    CHECK_EQ(wg_go(&wg, integrate, (rat){0, 1}, ch[5], ch[0]), 0);
    CHECK_EQ(wg_go(&wg, split, ch[0], ch[1], ch[2], ch[3]), 0);
    CHECK_EQ(wg_go(&wg, multiply, ch[1], ch[2], ch[4]), 0);
    CHECK_EQ(wg_go(&wg, add_constant, (rat){1, 1}, ch[4], ch[5]), 0);
    check_series(ch[3], expected, 12);
    wg_wait(&wg);
    for (int i = 0; i < 6; i++)
        chan_free(ch[i]);
}

//--------------------------------------------------------------------------------------------------
// Games of passing on.

TASK(return_ball, chan_receiver(long), in, chan_sender(long), out) {
    chan_range(long, n, in) CHECK_EQ(chan_send(out, n + 1), 0);
}

TASK(serve, chan(long), out, chan_receiver(long), in, long, rounds, long *, last) {
    long n = 0;
    while (n < 2 * rounds && chan_send(out, n) == 0)
        n = chan_get(in) + 1;
    chan_close(out);
    *last = n;
}

// case 128
TEST(ping_and_pong_count_to_two_hundred_thousand) {
    long rounds = test_rounds(100000), last = 0;
    for (size_t capacity = 0; capacity < 2; capacity++) {
        chan(long) ping = chan_make(long, capacity), pong = chan_make(long, capacity);
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, return_ball, ping, pong), 0);
        CHECK_EQ(wg_go(&wg, serve, ping, pong, rounds, &last), 0);
        wg_wait(&wg);
        CHECK_EQ(last, 2 * rounds);
        chan_free(ping);
        chan_free(pong);
    }
}

TASK(pass_token, chan_receiver(long), in, chan(long), out, chan_sender(long), end) {
    chan_range(long, n, in) {
        if (n == 0)
            CHECK_EQ(chan_send(end, 1), 0);
        else
            CHECK_EQ(chan_send(out, n - 1), 0);
    }
    chan_close(out);
}

// case 128
TEST(a_token_goes_round_a_ring_of_a_thousand) {
    enum { SEATS = 1000 };
    static chan(long) seat[SEATS];
    chan(long) end = chan_make(long, 0);
    waitgroup wg = {0};
    for (int i = 0; i < SEATS; i++)
        seat[i] = chan_make(long, 0);
    for (int i = 0; i < SEATS; i++)
        CHECK_EQ(wg_go(&wg, pass_token, seat[i], seat[(i + 1) % SEATS], end), 0);
    for (int lap = 1; lap <= 3; lap++) {
        CHECK_EQ(chan_send(seat[lap], test_rounds(30000)), 0);
        CHECK_EQ(chan_get(end), 1);
    }
    CHECK_EQ(chan_close(seat[0]), 0);
    wg_wait(&wg);
    for (int i = 0; i < SEATS; i++)
        chan_free(seat[i]);
    chan_free(end);
}

enum { NODES = 12 };

typedef struct mesh {
    chan(long) in[NODES];
    chan(char) all_sent;
    waitgroup sending;
    atomic_long sent, received, sum_sent, sum_received;
} mesh;

// Sends its quota to random others, receiving meanwhile; then receives until everybody has sent.
TASK(mesh_node, mesh *, m, int, me, long, quota) {
    uint64_t random = 128 + (uint64_t)me;
    bool sending = quota > 0, open = true;
    for (long sent = 0; open;) {
        long got, value = (long)(draw(&random) % 1000);
        int to = (me + 1 + (int)(draw(&random) % (NODES - 1))) % NODES;
        chan(long) target = sending ? m->in[to] : NULL;
        chan_select {
            on_recv(m->in[me], &got) {
                atomic_fetch_add(&m->received, 1);
                atomic_fetch_add(&m->sum_received, got);
            }
            on_send(target, value) {
                atomic_fetch_add(&m->sent, 1);
                atomic_fetch_add(&m->sum_sent, value);
                if (++sent == quota) {
                    sending = false;
                    CHECK_EQ(wg_done(&m->sending), 0);
                }
            }
            on_recv(m->all_sent, NULL) { open = false; }
        }
    }
}

static void run_mesh(size_t capacity) {
    static mesh m;
    memset(&m, 0, sizeof m);
    m.all_sent = chan_make(char, 0);
    waitgroup wg = {0};
    long quota = test_rounds(2000);
    CHECK_EQ(wg_add(&m.sending, NODES), 0);
    for (int i = 0; i < NODES; i++)
        m.in[i] = chan_make(long, capacity);
    for (int i = 0; i < NODES; i++)
        CHECK_EQ(wg_go(&wg, mesh_node, &m, i, quota), 0);
    wg_wait(&m.sending);
    chan_close(m.all_sent);
    wg_wait(&wg);
    long left = 0;
    for (int i = 0; i < NODES; i++) {
        chan_close(m.in[i]);
        chan_range(long, v, m.in[i]) {
            left++;
            atomic_fetch_add(&m.sum_received, v);
        }
        chan_free(m.in[i]);
    }
    chan_free(m.all_sent);
    CHECK_EQ(atomic_load(&m.sent), NODES * quota);
    CHECK_EQ(atomic_load(&m.received) + left, NODES * quota);
    CHECK_EQ(atomic_load(&m.sum_received), atomic_load(&m.sum_sent));
    CHECK(capacity > 0 || left == 0);
}

// case 128
TEST(a_random_mesh_receives_what_it_sends) {
    run_mesh(0);
    run_mesh(3);
}

//--------------------------------------------------------------------------------------------------
// Pipelines and farms.

TASK(generate, chan(long), out) {
    for (long n = 1; chan_send(out, n) == 0; n++) {}
}

TASK(square_all, chan(long), in, chan(long), out) {
    chan_range(long, n, in) {
        if (chan_send(out, n * n) != 0)
            break;
    }
    chan_close(in);
}

// case 128
TEST(closing_the_end_of_a_pipeline_stops_all_of_it) {
    enum { SQUARERS = 4 };
    for (int round = 0; round < 20; round++) {
        chan(long) numbers = chan_make(long, (size_t)round % 3);
        chan(long) squares = chan_make(long, (size_t)round % 5);
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, generate, numbers), 0);
        for (int i = 0; i < SQUARERS; i++)
            CHECK_EQ(wg_go(&wg, square_all, numbers, squares), 0);
        for (int i = 0; i < 100; i++) {
            long square = chan_get(squares), root = 1;
            while (root * root < square)
                root++;
            CHECK_EQ(root * root, square);
        }
        CHECK_EQ(chan_close(squares), 0);
        wg_wait(&wg);
        chan_free(numbers);
        chan_free(squares);
    }
}

enum { SIZE = 96 };

typedef struct product {
    double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
} product;

static void multiply_row(product *p, int row) {
    for (int j = 0; j < SIZE; j++) {
        double sum = 0;
        for (int k = 0; k < SIZE; k++)
            sum += p->a[row][k] * p->b[k][j];
        p->c[row][j] = sum;
    }
}

TASK(multiply_rows, product *, p, chan_receiver(int), rows, chan_sender(int), done) {
    chan_range(int, row, rows) {
        multiply_row(p, row);
        CHECK_EQ(chan_send(done, row), 0);
    }
}

// case 128
TEST(a_matrix_product_by_rows_is_the_product) {
    product *parallel = calloc(1, sizeof *parallel), *serial = calloc(1, sizeof *serial);
    uint64_t random = 96;
    for (int i = 0; i < SIZE * SIZE; i++) {
        parallel->a[i / SIZE][i % SIZE] = (double)(draw(&random) % 1000);
        parallel->b[i / SIZE][i % SIZE] = (double)(draw(&random) % 1000);
    }
    memcpy(serial, parallel, sizeof *serial);

    chan(int) rows = chan_make(int, 8), done = chan_make(int, SIZE);
    waitgroup wg = {0};
    bool seen[SIZE] = {false};
    for (int i = 0; i < 6; i++)
        CHECK_EQ(wg_go(&wg, multiply_rows, parallel, rows, done), 0);
    for (int row = 0; row < SIZE; row++)
        CHECK_EQ(chan_send(rows, row), 0);
    CHECK_EQ(chan_close(rows), 0);
    for (int i = 0; i < SIZE; i++) {
        int row = chan_get(done);
        CHECK(!seen[row]);
        seen[row] = true;
    }
    wg_wait(&wg);
    for (int row = 0; row < SIZE; row++)
        multiply_row(serial, row);
    CHECK_EQ(memcmp(serial->c, parallel->c, sizeof serial->c), 0);
    chan_free(rows);
    chan_free(done);
    free(parallel);
    free(serial);
}
