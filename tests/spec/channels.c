// channels.c - what unbuffered and buffered channels do, seen from outside.
#include "spec.h"

// One call on a channel, made by a party of its own.
struct call {
    chan(int) ch;
    int value, err;
    atomic_int done;
};

PARTY(receive_one, struct call, c) {
    c->err = chan_recv(c->ch, &c->value);
    atomic_store(&c->done, 1);
}

PARTY(send_one, struct call, c) {
    c->err = chan_send(c->ch, c->value);
    atomic_store(&c->done, 1);
}

// A run of numbers, first <= i < end, sent or expected in order.
struct run {
    chan(int) ch;
    int first, end;
};

PARTY(send_run, struct run, r) {
    int bad = 0;
    for (int i = r->first; i < r->end; i++) bad += chan_send(r->ch, i) != 0;
    CHECK_EQ(bad, 0);
}

PARTY(receive_run, struct run, r) {
    int bad = 0;
    for (int i = r->first; i < r->end; i++) {
        int v = -1;
        bad += chan_recv(r->ch, &v) != 0 || v != i;
    }
    CHECK_EQ(bad, 0);
}

//------------------------------------------------------------------------------
// Unbuffered.

TEST(a_receive_on_an_empty_channel_blocks_at_every_capacity) { // case 1
    for (int cap = 0; cap < test_rounds(200); cap++) {
        struct crowd crowd = {0};
        struct call c = { .ch = chan_make(int, (size_t)cap), .value = -1 };
        int v = 7;
        CHECK_EQ(chan_try_recv(c.ch, &v), EAGAIN);
        CHECK_EQ(v, 7);
        crowd_add(&crowd, cap % 8 == 7, receive_one, &c);
        until_blocked(1);
        CHECK_EQ(atomic_load(&c.done), 0);
        CHECK_EQ(chan_send(c.ch, cap), 0);
        crowd_join(&crowd);
        CHECK_EQ(c.err, 0);
        CHECK_EQ(c.value, cap);
        chan_free(c.ch);
    }
}

TEST(a_send_without_a_receiver_blocks_and_a_try_leaves_nothing_behind) { // case 2
    for (int i = 0; i < 20; i++) {
        struct crowd crowd = {0};
        struct call c = { .ch = chan_make(int, 0), .value = i };
        CHECK_EQ(chan_try_send(c.ch, 99), EAGAIN);
        CHECK_EQ(chan_len(c.ch), 0);
        CHECK_EQ(chan_try_recv(c.ch, NULL), EAGAIN);
        crowd_add(&crowd, i % 2, send_one, &c);
        until_blocked(1);
        CHECK_EQ(atomic_load(&c.done), 0);
        int v = -1;
        CHECK_EQ(chan_recv(c.ch, &v), 0);
        CHECK_EQ(v, i);
        crowd_join(&crowd);
        CHECK_EQ(c.err, 0);
        chan_free(c.ch);
    }
}

enum { WIDE = 24 };
struct wide {
    int64_t word[WIDE];
};

struct wide_run {
    chan(struct wide) ch;
    int n;
    atomic_int sent;
};

static __attribute__((noinline)) int send_wide(chan(struct wide) ch, int64_t tag) {
    struct wide w;
    for (int i = 0; i < WIDE; i++) w.word[i] = tag * 31 + i;
    return chan_send(ch, w);
}

// Overwrites the stack where send_wide had its value.
static __attribute__((noinline)) int64_t scribble(void) {
    volatile int64_t junk[8 * WIDE];
    for (int i = 0; i < 8 * WIDE; i++) junk[i] = -1;
    return junk[WIDE];
}

PARTY(send_wide_run, struct wide_run, r) {
    int bad = 0;
    uint32_t seed = 1;
    for (int i = 0; i < r->n; i++) {
        bad += send_wide(r->ch, i) != 0;
        bad += scribble() != -1;
        atomic_store(&r->sent, i + 1);
        if (dice(&seed) % 4 == 0) task_yield();
    }
    CHECK_EQ(bad, 0);
}

static void receive_wide_run(struct wide_run *r) {
    int early = 0, torn = 0;
    uint32_t seed = 2;
    for (int i = 0; i < r->n; i++) {
        if (dice(&seed) % 4 == 0) task_yield();
        early += atomic_load(&r->sent) > i;
        struct wide w;
        CHECK_EQ(chan_recv(r->ch, &w), 0);
        for (int k = 0; k < WIDE; k++) torn += w.word[k] != (int64_t)i * 31 + k;
    }
    CHECK_EQ(early, 0);
    CHECK_EQ(torn, 0);
}

TASK(receive_wide, struct wide_run *, r) { receive_wide_run(r); }

TEST(a_send_returns_only_when_a_receiver_has_the_value) { // case 3 *1
    for (int parties = 0; parties < 3; parties++) {
        struct crowd crowd = {0};
        struct wide_run r = {
            .ch = chan_make(struct wide, 0), .n = (int)test_rounds(20000)
        };
        crowd_add(&crowd, parties == 1, send_wide_run, &r);
        if (parties == 2) crowd_task(&crowd, receive_wide, &r);
        else receive_wide_run(&r);
        crowd_join(&crowd);
        chan_free(r.ch);
    }
}

TEST(a_blocked_send_does_not_return_when_its_channel_is_only_looked_at) { // case 3 *1
    struct crowd crowd = {0};
    struct call c[2] = {{ .ch = chan_make(int, 0), .value = 1 }};
    c[1] = (struct call){ .ch = c[0].ch, .value = 2 };
    crowd_task(&crowd, send_one, &c[0]);
    crowd_thread(&crowd, send_one, &c[1]);
    until_blocked(2);
    CHECK_EQ(chan_len(c[0].ch), 0);
    CHECK_EQ(chan_try_send(c[0].ch, 3), EAGAIN);
    CHECK_EQ(chan_send_timeout(c[0].ch, 3, test_unit), ETIMEDOUT);
    until_blocked(2);
    int sum = chan_get(c[0].ch);
    sum += chan_get(c[0].ch);
    CHECK_EQ(sum, 3);
    crowd_join(&crowd);
    CHECK_EQ(c[0].err, 0);
    CHECK_EQ(c[1].err, 0);
    chan_free(c[0].ch);
}

// One transfer of each element type, the sender first or the receiver first.
#define ORDER_TEST(name, type, sample)                                                     \
    struct name##_call { chan(type) ch; type value; int err; };                            \
    PARTY(name##_send, struct name##_call, c) { c->err = chan_send(c->ch, c->value); }     \
    PARTY(name##_recv, struct name##_call, c) { c->err = chan_recv(c->ch, &c->value); }    \
    static void name##_either_order(void) {                                                \
        for (int i = 0; i < 8; i++) {                                                      \
            bool sender_first = i & 1;                                                     \
            struct crowd crowd = {0};                                                      \
            chan(type) ch = chan_make(type, 0);                                            \
            struct name##_call send = { .ch = ch, .value = sample, .err = -1 };            \
            struct name##_call recv = { .ch = ch, .err = -1 };                             \
            if (sender_first) crowd_add(&crowd, i & 2, name##_send, &send);                \
            else crowd_add(&crowd, i & 2, name##_recv, &recv);                             \
            until_blocked(1);                                                              \
            if (sender_first) crowd_add(&crowd, i & 4, name##_recv, &recv);                \
            else crowd_add(&crowd, i & 4, name##_send, &send);                             \
            crowd_join(&crowd);                                                            \
            CHECK_EQ(send.err, 0);                                                         \
            CHECK_EQ(recv.err, 0);                                                         \
            CHECK(memcmp(&send.value, &recv.value, sizeof recv.value) == 0);               \
            chan_free(ch);                                                                 \
        }                                                                                  \
    }

struct point { int64_t x, y, z; };
static const struct point a_point = { 1, -2, 3 };

ORDER_TEST(of_char, char, 'x')
ORDER_TEST(of_int, int, 1234567)
ORDER_TEST(of_double, double, 2.5)
ORDER_TEST(of_struct, struct point, a_point)

TEST(sender_first_and_receiver_first_give_the_same_result) { // case 4
    of_char_either_order();
    of_int_either_order();
    of_double_either_order();
    of_struct_either_order();
}

enum { QUEUE = 10 };

TEST(blocked_senders_are_served_in_the_order_they_came) { // case 5 *2
    for (int cap = 0; cap < 4; cap++) {
        struct crowd crowd = {0};
        struct call calls[QUEUE];
        chan(int) ch = chan_make(int, (size_t)cap);
        for (int i = 0; i < cap; i++) CHECK_EQ(chan_send(ch, i), 0);
        for (int i = 0; i < QUEUE; i++) {
            calls[i] = (struct call){ .ch = ch, .value = cap + i };
            crowd_add(&crowd, i % 3 == 2, send_one, &calls[i]);
            until_blocked(i + 1);
        }
        for (int i = 0; i < cap + QUEUE; i++) {
            int v = -1;
            CHECK_EQ(chan_recv(ch, &v), 0);
            CHECK_EQ(v, i);
        }
        crowd_join(&crowd);
        for (int i = 0; i < QUEUE; i++) CHECK_EQ(calls[i].err, 0);
        chan_free(ch);
    }
}

TEST(blocked_receivers_are_served_in_the_order_they_came_and_nobody_barges) { // case 5 *2
    for (int cap = 0; cap < 4; cap++) {
        struct crowd crowd = {0};
        struct call calls[QUEUE];
        chan(int) ch = chan_make(int, (size_t)cap);
        for (int i = 0; i < QUEUE; i++) {
            calls[i] = (struct call){ .ch = ch, .value = -1 };
            crowd_add(&crowd, i % 3 == 2, receive_one, &calls[i]);
            until_blocked(i + 1);
        }
        for (int i = 0; i < QUEUE; i++) {
            CHECK_EQ(chan_send(ch, i), 0);
            CHECK_EQ(chan_len(ch), 0);              // it went to the waiter, not past it
            CHECK_EQ(chan_try_recv(ch, NULL), EAGAIN);
        }
        crowd_join(&crowd);
        for (int i = 0; i < QUEUE; i++) CHECK_EQ(calls[i].value, i);
        chan_free(ch);
    }
}

TASK(pass_on, chan_receiver(int), in, chan_sender(int), out) {
    chan_send(out, chan_get(in) + 1);
}

TEST(a_daisy_chain_of_a_thousand_tasks_passes_one_value_along) { // case 5 *2
    enum { LINKS = 1000 };
    static chan(int) link[LINKS + 1];
    for (int i = 0; i <= LINKS; i++) link[i] = chan_make(int, 0);
    waitgroup wg = {0};
    for (int i = 0; i < LINKS; i++) CHECK_EQ(wg_go(&wg, pass_on, link[i], link[i + 1]), 0);
    CHECK_EQ(chan_send(link[0], 0), 0);
    CHECK_EQ(chan_get(link[LINKS]), LINKS);
    wg_wait(&wg);
    for (int i = 0; i <= LINKS; i++) chan_free(link[i]);
}

TEST(an_unbuffered_channel_is_always_both_empty_and_full) { // case 6
    struct crowd crowd = {0};
    int n = (int)test_rounds(25000);
    chan(int) ch = chan_make(int, 0);
    struct run r = { ch, 0, n };
    CHECK_EQ(chan_len(ch), 0);
    CHECK_EQ(chan_cap(ch), 0);
    CHECK_EQ(chan_try_send(ch, 1), EAGAIN);
    CHECK_EQ(chan_try_recv(ch, NULL), EAGAIN);
    crowd_task(&crowd, send_run, &r);
    size_t seen = 0;
    int bad = 0;
    for (int i = 0; i < n; i++) {
        seen += chan_len(ch) + chan_cap(ch);
        bad += chan_get(ch) != i;
    }
    crowd_join(&crowd);
    CHECK_EQ(seen, 0);
    CHECK_EQ(bad, 0);
    CHECK_EQ(chan_len(ch), 0);
    CHECK_EQ(chan_try_send(ch, 1), EAGAIN);
    CHECK_EQ(chan_try_recv(ch, NULL), EAGAIN);
    chan_free(ch);
}

TEST(one_pair_moves_a_hundred_thousand_values_in_order) { // case 7
    for (int cap = 0; cap < 3; cap++) {
        struct crowd crowd = {0};
        struct run r = { chan_make(int, (size_t)cap), 0, (int)test_rounds(100000) };
        crowd_task(&crowd, send_run, &r);
        crowd_task(&crowd, receive_run, &r);
        crowd_join(&crowd);
        chan_free(r.ch);
    }
}

TEST(a_thread_and_a_task_move_values_in_order_both_ways) { // case 7
    struct crowd crowd = {0};
    struct run there = { chan_make(int, 0), 0, (int)test_rounds(10000) };
    struct run back = { chan_make(int, 1), 0, (int)test_rounds(10000) };
    crowd_task(&crowd, send_run, &there);
    crowd_thread(&crowd, receive_run, &there);
    crowd_thread(&crowd, send_run, &back);
    crowd_task(&crowd, receive_run, &back);
    crowd_join(&crowd);
    chan_free(there.ch);
    chan_free(back.ch);
}

struct tally {
    chan(int) ch;
    int n;
    atomic_int *seen;
};

PARTY(tally_values, struct tally, t) {
    for (int i = 0; i < t->n; i++) atomic_fetch_add(&t->seen[chan_get(t->ch)], 1);
}

TEST(four_senders_and_four_receivers_lose_and_double_nothing) { // case 7
    for (int cap = 0; cap < 4; cap += 3) {
        struct crowd crowd = {0};
        int n = (int)test_rounds(25000);
        atomic_int *seen = calloc((size_t)n, sizeof *seen);
        struct run r = { chan_make(int, (size_t)cap), 0, n };
        struct tally t = { r.ch, n, seen };
        for (int i = 0; i < 4; i++) {
            crowd_add(&crowd, i == 3, send_run, &r);
            crowd_add(&crowd, i == 3, tally_values, &t);
        }
        crowd_join(&crowd);
        int bad = 0;
        for (int i = 0; i < n; i++) bad += atomic_load(&seen[i]) != 4;
        CHECK_EQ(bad, 0);
        free(seen);
        chan_free(r.ch);
    }
}

TASK(send_then_free, chan(int), ch, int, v) {
    CHECK_EQ(chan_send(ch, v), 0);
    chan_free(ch);
}

TEST(ten_thousand_fresh_channels_carry_one_value_each) { // case 8
    waitgroup wg = {0};
    int bad = 0;
    for (int i = 0; i < test_rounds(10000); i++) {
        chan(int) ch = chan_make(int, (size_t)(i % 3));
        CHECK_EQ(wg_go(&wg, send_then_free, chan_ref(ch), i), 0);
        int v = -1;
        bad += chan_recv(ch, &v) != 0 || v != i;
        chan_free(ch);
    }
    wg_wait(&wg);
    CHECK_EQ(bad, 0);
}

TEST(a_try_succeeds_exactly_when_the_other_side_is_parked) { // case 9
    chan(int) ch = chan_make(int, 0);
    for (int i = 0; i < 40; i++) {
        struct crowd crowd = {0};
        struct call c = { .ch = ch, .value = i };
        CHECK_EQ(chan_try_send(ch, -1), EAGAIN);
        CHECK_EQ(chan_try_recv(ch, NULL), EAGAIN);
        if (i & 1) crowd_add(&crowd, i & 2, receive_one, &c);
        else crowd_add(&crowd, i & 2, send_one, &c);
        until_blocked(1);
        int v = -1;
        if (i & 1) {
            CHECK_EQ(chan_try_recv(ch, &v), EAGAIN);      // two receivers do not meet
            CHECK_EQ(chan_try_send(ch, 100 + i), 0);
        } else {
            CHECK_EQ(chan_try_send(ch, -1), EAGAIN);
            CHECK_EQ(chan_try_recv(ch, &v), 0);
            CHECK_EQ(v, i);
        }
        CHECK_EQ(chan_try_send(ch, -1), EAGAIN);
        CHECK_EQ(chan_try_recv(ch, NULL), EAGAIN);
        crowd_join(&crowd);
        CHECK_EQ(c.err, 0);
        if (i & 1) CHECK_EQ(c.value, 100 + i);
    }
    chan_free(ch);
}

// A select on two channels that takes one value and notes whence.
struct pick {
    chan(int) a, b;
    int from, value;
};

PARTY(pick_one, struct pick, p) {
    chan_select {
        on_recv(p->a, &p->value) { p->from = 'a'; }
        on_recv(p->b, &p->value) { p->from = 'b'; }
    }
}

TEST(a_try_send_skips_a_parked_select_that_is_already_won) { // case 10 *3
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    for (int i = 0; i < test_rounds(400); i++) {
        struct crowd crowd = {0};
        struct pick p = { .a = a, .b = b };
        struct call behind = { .ch = b, .value = -1 };
        bool someone_behind = i & 2;
        crowd_add(&crowd, i & 1, pick_one, &p);
        until_blocked(1);
        if (someone_behind) {
            crowd_add(&crowd, i & 4, receive_one, &behind);
            until_blocked(2);
        }
        CHECK_EQ(chan_try_send(a, 1), 0);
        CHECK_EQ(chan_try_send(b, 2), someone_behind ? 0 : EAGAIN);
        CHECK_EQ(chan_try_send(a, 3), EAGAIN);
        crowd_join(&crowd);
        CHECK_EQ(p.from, 'a');
        CHECK_EQ(p.value, 1);
        if (someone_behind) CHECK_EQ(behind.value, 2);
    }
    chan_free(a);
    chan_free(b);
}

struct pusher {
    chan(int) ch;
    atomic_bool *stop;
    int64_t sent;
    atomic_int tried;
};

PARTY(push_by_tries, struct pusher, p) {
    while (!atomic_load(p->stop)) {
        if (chan_try_send(p->ch, 1) == 0) p->sent++;
        else if (atomic_fetch_add(&p->tried, 1) % 8 == 7) task_yield();
    }
}

TEST(every_try_send_that_succeeds_into_a_select_is_received) { // case 10 *3
    struct crowd crowd = {0};
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    atomic_bool stop = false;
    struct pusher pa = { a, &stop, 0, 0 }, pb = { b, &stop, 0, 0 }, pt = { b, &stop, 0, 0 };
    crowd_task(&crowd, push_by_tries, &pa);
    crowd_task(&crowd, push_by_tries, &pb);
    crowd_thread(&crowd, push_by_tries, &pt);
    int64_t from_a = 0, from_b = 0;
    long n = test_rounds(40000);
    while (from_a + from_b < n) {
        chan_select {
            on_recv(a, NULL) { from_a++; }
            on_recv(b, NULL) { from_b++; }
        }
    }
    atomic_store(&stop, true);
    crowd_join(&crowd);
    CHECK_EQ(pa.sent, from_a);
    CHECK_EQ(pb.sent + pt.sent, from_b);
    chan_free(a);
    chan_free(b);
}

// Timed sends against timed receives, both with deadlines of a few microseconds.
struct timed {
    chan(int) ch;
    int n;
    bool *sent;
};

PARTY(send_in_time, struct timed, t) {
    uint32_t seed = 7;
    for (int i = 0; i < t->n; i++) {
        int64_t wait = dice(&seed) % 20 * CHANRT_MICROSECOND;
        int err = chan_send_timeout(t->ch, i, wait);
        t->sent[i] = err == 0;
        if (err != 0 && err != ETIMEDOUT) CHECK_EQ(err, ETIMEDOUT);
    }
    chan_close(t->ch);
}

TEST(a_timed_send_is_either_delivered_or_timed_out) { // case 11 *4
    for (int as_thread = 0; as_thread < 2; as_thread++) {
        struct crowd crowd = {0};
        int n = (int)test_rounds(20000), lost = 0;
        bool *sent = calloc((size_t)n, sizeof *sent);
        int *got = calloc((size_t)n, sizeof *got);
        struct timed t = { chan_make(int, 0), n, sent };
        crowd_add(&crowd, as_thread, send_in_time, &t);
        uint32_t seed = 8;
        for (int v, err = 0; err != EPIPE;) {
            err = chan_recv_timeout(t.ch, &v, dice(&seed) % 20 * CHANRT_MICROSECOND);
            if (err == 0) got[v]++;
        }
        crowd_join(&crowd);
        for (int i = 0; i < n; i++) lost += got[i] != (int)sent[i];
        CHECK_EQ(lost, 0);
        free(sent);
        free(got);
        chan_free(t.ch);
    }
}

// A channel whose values hold the next channel.
struct hop {
    chan(struct hop *) next;
};

struct trip {
    chan(struct hop *) start;
    size_t cap;
    int hops;
};

PARTY(send_trip, struct trip, t) {
    chan(struct hop *) at = t->start;
    for (int i = 0; i < t->hops; i++) {
        struct hop *h = malloc(sizeof *h);
        h->next = chan_make(struct hop *, t->cap);
        chan(struct hop *) next = h->next;
        CHECK_EQ(chan_send(at, h), 0);
        at = next;
    }
    CHECK_EQ(chan_close(at), 0);
}

TEST(channels_travel_through_channels_a_thousand_deep) { // case 12
    for (size_t cap = 0; cap < 3; cap++) {
        struct crowd crowd = {0};
        struct trip t = { chan_make(struct hop *, cap), cap, 1000 };
        crowd_task(&crowd, send_trip, &t);
        chan(struct hop *) at = t.start;
        int hops = 0;
        for (struct hop *h; chan_recv(at, &h) == 0; hops++) {
            chan_free(at);
            at = h->next;
            free(h);
        }
        chan_free(at);
        crowd_join(&crowd);
        CHECK_EQ(hops, 1000);
    }
}

TASK(answer_once, chan(chan(int)), asks) {
    chan(int) reply;
    while (chan_recv(asks, &reply) == 0) CHECK_EQ(chan_send(reply, 42), 0);
}

TEST(a_channel_of_channels_carries_replies) { // case 12
    waitgroup wg = {0};
    chan(chan(int)) asks = chan_make(chan(int), 1);
    CHECK_EQ(wg_go(&wg, answer_once, asks), 0);
    for (int i = 0; i < 100; i++) {
        chan(int) reply = chan_make(int, 0);
        CHECK_EQ(chan_send(asks, reply), 0);
        CHECK_EQ(chan_get(reply), 42);
        chan_free(reply);
    }
    CHECK_EQ(chan_close(asks), 0);
    wg_wait(&wg);
    chan_free(asks);
}

// Sends from the bottom of a deep stack; every frame on the way must come back unharmed.
static __attribute__((noinline)) int send_from_depth(chan(struct wide) ch, int depth, int tag) {
    volatile int guard[16];
    for (int i = 0; i < 16; i++) guard[i] = tag * depth + i;
    int bad = depth ? send_from_depth(ch, depth - 1, tag) : send_wide(ch, tag) != 0;
    for (int i = 0; i < 16; i++) bad += guard[i] != tag * depth + i;
    return bad;
}

TASK(send_deep, chan(struct wide), ch, int, tag) {
    int bad = 0;
    for (int depth = 0; depth < 40; depth += 13) bad += send_from_depth(ch, depth, tag);
    CHECK_EQ(bad, 0);
}

TEST(a_value_on_a_deep_blocked_stack_arrives_whole) { // case 13
    for (int round = 0; round < test_rounds(20); round++) {
        waitgroup wg = {0};
        chan(struct wide) ch = chan_make(struct wide, 0);
        for (int tag = 0; tag < 8; tag++) CHECK_EQ(wg_go(&wg, send_deep, ch, tag), 0);
        until_blocked(8);
        int count[8] = {0}, torn = 0;
        for (int i = 0; i < 8 * 4; i++) {
            struct wide w = chan_get(ch);
            int64_t tag = w.word[0] / 31;
            for (int k = 0; k < WIDE; k++) torn += w.word[k] != tag * 31 + k;
            count[tag & 7]++;
        }
        wg_wait(&wg);
        CHECK_EQ(torn, 0);
        for (int tag = 0; tag < 8; tag++) CHECK_EQ(count[tag], 4);
        chan_free(ch);
    }
}

//------------------------------------------------------------------------------
// Buffered.

TEST(sends_into_free_space_succeed_and_the_next_one_blocks) { // case 14
    for (int cap = 1; cap <= 40; cap++) {
        struct crowd crowd = {0};
        chan(int) ch = chan_make(int, (size_t)cap);
        CHECK_EQ(chan_cap(ch), cap);
        for (int i = 0; i < cap; i++) {
            CHECK_EQ(chan_len(ch), i);
            if (i & 1) CHECK_EQ(chan_try_send(ch, i), 0);
            else CHECK_EQ(chan_send(ch, i), 0);
        }
        CHECK_EQ(chan_len(ch), cap);
        CHECK_EQ(chan_try_send(ch, -1), EAGAIN);
        CHECK_EQ(chan_send_timeout(ch, -1, 0), ETIMEDOUT);
        struct call c = { .ch = ch, .value = cap };
        crowd_add(&crowd, cap & 1, send_one, &c);
        until_blocked(1);
        CHECK_EQ(atomic_load(&c.done), 0);
        CHECK_EQ(chan_len(ch), cap);
        for (int i = 0; i <= cap; i++) CHECK_EQ(chan_get(ch), i);
        CHECK_EQ(chan_len(ch), 0);
        CHECK_EQ(chan_try_recv(ch, NULL), EAGAIN);
        crowd_join(&crowd);
        chan_free(ch);
    }
}

TEST(a_buffer_is_first_in_first_out_at_every_size_and_offset) { // case 15
    for (int cap = 1; cap <= test_rounds(200); cap++) {
        chan(int64_t) ch = chan_make(int64_t, (size_t)cap);
        int64_t in = 0, out = 0;
        int bad = 0;
        for (int offset = 0; offset < cap; offset++) {
            for (int i = 0; i < cap; i++) bad += chan_try_send(ch, in++) != 0;
            bad += chan_try_send(ch, -1) != EAGAIN;
            for (int i = 0; i < cap; i++) bad += chan_get(ch) != out++;
            bad += chan_send(ch, in++) != 0;      // moves the ring on by one
            bad += chan_get(ch) != out++;
        }
        CHECK_EQ(bad, 0);
        chan_free(ch);
    }
}

TEST(a_receive_from_a_full_buffer_lets_the_first_blocked_sender_in) { // case 16 *5
    for (int cap = 1; cap < 4; cap++) {
        for (int how = 0; how < 3; how++) {
            struct crowd crowd = {0};
            struct call calls[QUEUE];
            chan(int) ch = chan_make(int, (size_t)cap);
            for (int i = 0; i < cap; i++) CHECK_EQ(chan_send(ch, i), 0);
            for (int i = 0; i < QUEUE; i++) {
                calls[i] = (struct call){ .ch = ch, .value = cap + i };
                crowd_add(&crowd, i % 4 == 1, send_one, &calls[i]);
                until_blocked(i + 1);
            }
            for (int i = 0; i < cap + QUEUE; i++) {
                int v = -1;
                if (how == 0) CHECK_EQ(chan_recv(ch, &v), 0);
                if (how == 1) CHECK_EQ(chan_try_recv(ch, &v), 0);
                if (how == 2) {
                    chan_select {
                        on_recv(ch, &v) {}
                        on_default { NEVER("the buffer is full"); }
                    }
                }
                CHECK_EQ(v, i);
                if (i >= QUEUE) continue;
                CHECK_EQ(chan_len(ch), cap);              // full again at once:
                CHECK_EQ(chan_try_send(ch, -1), EAGAIN);  // nobody can slip in between
            }
            crowd_join(&crowd);
            for (int i = 0; i < QUEUE; i++) CHECK_EQ(calls[i].err, 0);
            chan_free(ch);
        }
    }
}

TEST(no_newcomer_overtakes_a_blocked_sender) { // case 16 *5
    for (int round = 0; round < test_rounds(60); round++) {
        struct crowd senders = {0}, bargers = {0};
        struct call calls[QUEUE];
        int cap = 1 + round % 3;
        chan(int) ch = chan_make(int, (size_t)cap);
        for (int i = 0; i < cap; i++) CHECK_EQ(chan_send(ch, i), 0);
        for (int i = 0; i < QUEUE; i++) {
            calls[i] = (struct call){ .ch = ch, .value = cap + i };
            crowd_task(&senders, send_one, &calls[i]);
            until_blocked(i + 1);
        }
        atomic_bool stop = false;
        struct pusher p = { ch, &stop, 0, 0 };
        crowd_add(&bargers, round & 1, push_by_tries, &p);
        for (int i = 0; i < cap + QUEUE; i++) {
            int v = -1, tried = atomic_load(&p.tried);
            while (i < QUEUE && atomic_load(&p.tried) < tried + 2) give_way();
            CHECK_EQ(chan_recv(ch, &v), 0);
            CHECK_EQ(v, i);
        }
        crowd_join(&senders);
        atomic_store(&stop, true);
        crowd_join(&bargers);
        chan_free(ch);
    }
}

TEST(every_kind_of_receive_wakes_a_blocked_sender) { // case 17
    enum { KINDS = 8 };
    for (int i = 0; i < 4 * KINDS; i++) {
        struct crowd crowd = {0};
        bool buffered = i & 1;
        chan(int) ch = chan_make(int, buffered), never = chan_make(int, 0);
        struct call c = { .ch = ch, .value = buffered + 1 };
        if (buffered) CHECK_EQ(chan_send(ch, 1), 0);
        crowd_add(&crowd, i & 2, send_one, &c);
        until_blocked(1);
        int v = -1;
        chan_case cases[] = { case_recv(never, NULL), case_recv(ch, &v) };
        switch (i / 4) {
        case 0: CHECK_EQ(chan_recv(ch, &v), 0); break;
        case 1: CHECK_EQ(chan_try_recv(ch, &v), 0); break;
        case 2: CHECK_EQ(chan_recv_timeout(ch, &v, 0), 0); break;
        case 3: v = chan_get(ch); break;
        case 4: chan_select { on_recv(ch, &v) {} } break;
        case 5: chan_select { on_recv(ch, &v) {} on_default {} } break;
        case 6: chan_select { on_recv(never, NULL) {} on_recv(ch, &v) {} } break;
        case 7: CHECK_EQ(chan_select_n(cases, 2, 0), 1); break;
        }
        CHECK_EQ(v, 1);
        crowd_join(&crowd);             // would hang if the sender slept on
        CHECK_EQ(c.err, 0);
        if (buffered) CHECK_EQ(chan_get(ch), 2);
        CHECK_EQ(chan_len(ch), 0);
        chan_free(ch);
        chan_free(never);
    }
}

struct owner {
    chan(int) ch;
    int n;
    atomic_int *present, *ended;
};

PARTY(send_then_try, struct owner, o) {
    int bad = 0;
    for (atomic_fetch_add(o->present, 1); atomic_load(o->present) < 4;) task_yield();
    for (int i = 0; i < o->n; i++) {
        bad += chan_send(o->ch, i) != 0;
        bad += chan_try_recv(o->ch, NULL) != 0;
    }
    CHECK_EQ(bad, 0);
    atomic_fetch_add(o->ended, 1);
}

TEST(a_try_receive_never_misses_a_value_that_is_there) { // case 18 *6
    for (int threads = 0; threads <= 2; threads += 2) {
        struct crowd crowd = {0};
        atomic_int present = 0, ended = 0;      // they start together
        int n = (int)test_rounds(threads ? 250000 : 25000);
        struct owner o = { chan_make(int, 4), n, &present, &ended };
        for (int i = 0; i < 4; i++) crowd_add(&crowd, i < threads, send_then_try, &o);
        for (int i = 0; threads && !test_seeded() && atomic_load(&ended) < 4; i++) {
            stall(crowd.threads[i % threads]);  // often in its critical section
            spin(3000);
            unstall();
        }
        crowd_join(&crowd);
        CHECK_EQ(chan_len(o.ch), 0);
        chan_free(o.ch);
    }
}

struct taker {
    chan(int) ch;
    pthread_t rival;
    atomic_int gate;
    int rounds, missed;
};

// One value is for the rival and one for us, so a try finds one: also in the middle of what
// the rival does.
PARTY(take_by_try, struct taker, t) {
    for (int round = 1; round <= t->rounds && meet_again(&t->gate, 2 * round - 1); round++) {
        meet(&t->gate, 2 * round);
        stall(t->rival);
        t->missed += chan_try_recv(t->ch, NULL) != 0;
        unstall();
    }
}

TEST(a_full_buffer_is_not_empty_while_its_blocked_sender_moves_up) { // case 18 *6, 16 *5
    struct crowd sender = {0}, taker = {0};
    struct taker t = { chan_make(int, 1), pthread_self(), 0, (int)test_rounds(3000), 0 };
    CHECK_EQ(chanrt_start(NULL), 0);            // its workers are not to be put apart
    crowd_thread(&taker, take_by_try, &t);
    cpu_set_t cpus = apart(taker.threads[0]);
    uint32_t seed = 13;
    for (int round = 1; round <= t.rounds && meet_again(&t.gate, 2 * round - 1); round++) {
        struct call c = { .ch = t.ch, .value = 1 };
        CHECK_EQ(chan_send(t.ch, 0), 0);
        crowd_task(&sender, send_one, &c);
        while (tasks_blocked() != 1) task_yield();
        meet(&t.gate, 2 * round);
        aim_begin(&seed);
        chan_recv(t.ch, NULL);
        aim_end();
        crowd_join(&sender);
        while (chan_len(t.ch) != 0 && atomic_load(&t.gate) < 4 * round + 1) give_way();
        chan_try_recv(t.ch, NULL);              // what the try has missed
    }
    crowd_join(&taker);
    set_free(cpus);
    CHECK_EQ(t.missed, 0);
    chan_free(t.ch);
}

TASK(consume, chan_receiver(int), in, chan_sender(int64_t), sums) {
    int64_t sum = 0, count = 0;
    chan_range(int, v, in) {
        sum += v;
        count++;
    }
    CHECK_EQ(chan_send(sums, sum), 0);
    CHECK_EQ(chan_send(sums, count), 0);
}

TEST(many_consumers_share_one_channel_through_range_and_close) { // case 19
    enum { WORKERS = 23 };
    int n = (int)test_rounds(271828);
    chan(int) in = chan_make(int, WORKERS);
    chan(int64_t) sums = chan_make(int64_t, 2 * WORKERS);
    waitgroup wg = {0};
    for (int i = 0; i < WORKERS; i++) CHECK_EQ(wg_go(&wg, consume, in, sums), 0);
    int64_t want = n;
    for (int i = 0; i < n; i++) {
        want += i % 101;
        chan_send(in, i % 101);
    }
    CHECK_EQ(chan_close(in), 0);
    wg_wait(&wg);
    int64_t got = 0;
    for (int i = 0; i < 2 * WORKERS; i++) got += chan_get(sums);
    CHECK_EQ(got, want);
    chan_free(in);
    chan_free(sums);
}

TASK(echo, chan_receiver(int), in, chan(int), out) {
    chan_range(int, v, in) CHECK_EQ(chan_send(out, v), 0);
    CHECK_EQ(chan_close(out), 0);
}

TEST(a_request_loop_mixes_tries_with_blocking_sends) { // case 20
    enum { ROUNDS = 1000 };
    waitgroup wg = {0};
    chan(int) asks = chan_make(int, 0), replies = chan_make(int, ROUNDS);
    CHECK_EQ(wg_go(&wg, echo, asks, replies), 0);
    int got = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int v;
        while (chan_try_recv(replies, &v) == 0) CHECK_EQ(v, got++);
        CHECK_EQ(chan_send(asks, i), 0);
    }
    CHECK_EQ(chan_close(asks), 0);
    chan_range(int, v, replies) CHECK_EQ(v, got++);
    CHECK_EQ(got, ROUNDS);
    wg_wait(&wg);
    chan_free(asks);
    chan_free(replies);
}

// An owned object per number; dropped[] counts how often each was let go.
struct owned {
    chan(int) ch;
    int n;
    atomic_uchar *dropped;
};

PARTY(produce_owned, struct owned, o) {
    for (int i = 0; i < o->n; i++) {
        if (chan_send(o->ch, i) != 0) atomic_fetch_add(&o->dropped[i], 1);
    }
    chan_free(o->ch);
}

PARTY(consume_owned, struct owned, o) {
    for (int i = 0; i < o->n; i++) {
        int v;
        if (chan_recv(o->ch, &v) != 0) break;
        atomic_fetch_add(&o->dropped[v], 1);
    }
    // The last reader closes, then empties: what it does not find, the producer still has.
    chan_close(o->ch);
    chan_range(int, v, o->ch) atomic_fetch_add(&o->dropped[v], 1);
    chan_free(o->ch);
}

TEST(each_value_of_a_channel_torn_down_has_exactly_one_owner) { // case 21 *7
    uint32_t seed = 3;
    for (int round = 0; round < test_rounds(100); round++) {
        struct crowd crowd = {0};
        int steps = (int)(dice(&seed) % 10000) + 1;
        chan(int) ch = chan_make(int, round % 5 * 10);
        struct owned in = { ch, steps, calloc((size_t)steps, sizeof *in.dropped) };
        struct owned out = { chan_ref(ch), (int)(dice(&seed) % (uint32_t)steps), in.dropped };
        crowd_add(&crowd, round % 4 == 1, produce_owned, &in);
        crowd_add(&crowd, round % 4 == 2, consume_owned, &out);
        crowd_join(&crowd);
        int bad = 0;
        for (int i = 0; i < steps; i++) bad += atomic_load(&in.dropped[i]) != 1;
        CHECK_EQ(bad, 0);
        free(in.dropped);
    }
}

struct shared_ends {
    chan(int) *ch;
    atomic_int gate;
    int rounds;
};

PARTY(drop_the_other_end, struct shared_ends, s) {
    for (int i = 0; i < s->rounds && meet_again(&s->gate, 2 * i + 1); i++) {
        meet(&s->gate, 2 * i + 2);
        if (i & 1) chan_try_recv(s->ch[i], NULL);
        chan_free(s->ch[i]);
    }
}

TEST(a_channel_with_values_left_is_freed_once_by_whoever_is_last) { // case 21 *7
    for (int as_thread = 0; as_thread < 2; as_thread++) {
        struct crowd crowd = {0};
        struct shared_ends s = { .rounds = (int)test_rounds(20000) };
        long held = test_alloc_live();
        (void)held;
        s.ch = calloc((size_t)s.rounds, sizeof *s.ch);
        CHECK_EQ(chanrt_start(NULL), as_thread ? EBUSY : 0);
        crowd_add(&crowd, as_thread, drop_the_other_end, &s);
        cpu_set_t cpus = apart(as_thread ? crowd.threads[0] : pthread_self());
        uint32_t seed = 14;
        for (int i = 0; i < s.rounds && meet_again(&s.gate, 2 * i + 1); i++) {
            chan(int) ch = s.ch[i] = chan_ref(chan_make(int, 2));
            CHECK_EQ(chan_send(ch, i), 0);
            meet(&s.gate, 2 * i + 2);
            spin(dice(&seed) % 64);
            if (i & 2) chan_try_send(ch, 2);
            chan_free(ch);
        }
        crowd_join(&crowd);
        set_free(cpus);
#ifndef CHANRT_DEBUG // which keeps the last few hundred freed, to know them
        if (as_thread) CHECK(test_alloc_live() < held + s.rounds / 100);
#endif
        free(s.ch);
    }
}

TASK(pause_and_send, chan(int), ch, int, n) {
    for (int i = 0; i < n; i++) {
        if (i % 2 == 0) task_sleep(test_unit);
        while (chan_send_timeout(ch, i, test_unit / 5) != 0) continue;
    }
}

TEST(pauses_and_short_timeouts_on_both_sides_lose_nothing) { // case 22
    for (size_t cap = 0; cap < 2; cap++) {
        waitgroup wg = {0};
        chan(int) ch = chan_make(int, cap);
        CHECK_EQ(wg_go(&wg, pause_and_send, ch, 100), 0);
        for (int i = 0, v = -1; i < 100; i++) {
            if (i % 3 == 0) task_sleep(test_unit);
            int err;
            do err = chan_recv_timeout(ch, &v, test_unit / 5); while (err == ETIMEDOUT);
            CHECK_EQ(err, 0);
            CHECK_EQ(v, i);
        }
        wg_wait(&wg);
        chan_free(ch);
    }
}

TEST(what_is_ready_beats_a_deadline_that_has_passed) { // case 23
    chan(int) ch = chan_make(int, 1);
    int bad = 0, v;
    for (int i = 0; i < 1000; i++) {
        bad += chan_send_timeout(ch, i, 0) != 0;
        bad += chan_send_timeout(ch, i, 0) != ETIMEDOUT;
        bad += chan_recv_timeout(ch, &v, 0) != 0 || v != i;
        bad += chan_recv_timeout(ch, &v, 0) != ETIMEDOUT;
        chan_select {
            on_timeout(0) { bad++; }
            on_send(ch, i) {}
        }
        chan_select {
            on_recv(ch, &v) { bad += v != i; }
            on_timeout(0) { bad++; }
        }
        chan_case cases[] = { case_send(ch, &v) };
        bad += chan_select_n(cases, 1, 0) != 0;
        bad += chan_get(ch) != v;
    }
    CHECK_EQ(bad, 0);
    chan_free(ch);
}

TEST(a_timed_receive_does_not_give_up_early) { // case 23
    chan(int) ch = chan_make(int, 0);
    for (int i = 1; i < 5; i++) {
        int64_t wait = i * test_unit, start = chanrt_now();
        int v = 5;
        CHECK_EQ(chan_recv_timeout(ch, &v, wait), ETIMEDOUT);
        CHECK(chanrt_now() - start >= wait);
        CHECK_EQ(v, 5);
        start = chanrt_now();
        CHECK_EQ(chan_send_timeout(ch, v, wait), ETIMEDOUT);
        CHECK(chanrt_now() - start >= wait);
    }
    chan_free(ch);
}

TEST(a_negative_timeout_waits_until_the_partner_comes) { // case 23
    struct crowd crowd = {0};
    struct call c = { .ch = chan_make(int, 0) };
    crowd_task(&crowd, receive_one, &c);
    CHECK_EQ(chan_send_timeout(c.ch, 6, -1), 0);
    crowd_join(&crowd);
    CHECK_EQ(c.value, 6);
    crowd_task(&crowd, send_one, &c);
    int v = -1;
    CHECK_EQ(chan_recv_timeout(c.ch, &v, -1), 0);
    CHECK_EQ(v, 6);
    crowd_join(&crowd);
    chan_free(c.ch);
}
