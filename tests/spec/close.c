// close.c - what close does to values, to the blocked, and to those who race with it.
#include "spec.h"

//------------------------------------------------------------------------------
// After the close.

// Four element types times every way to receive: the buffered first, then zero for ever.
#define DRAIN_TEST(name, type, sample)                                                     \
    static void drain_##name(int way) {                                                    \
        type zero;                                                                         \
        type v;                                                                            \
        memset(&zero, 0, sizeof zero);                                                     \
        chan(type) ch = chan_make(type, 2), never = chan_make(type, 0);                    \
        CHECK_EQ(chan_send(ch, sample), 0);                                                \
        CHECK_EQ(chan_send(ch, sample), 0);                                                \
        CHECK_EQ(chan_close(ch), 0);                                                       \
        for (int i = 0; i < 6; i++) {                                                      \
            int err = -1, want = i < 2 ? 0 : EPIPE;                                        \
            memset(&v, 0x55, sizeof v);                                                    \
            chan_case cases[] = { case_recv(never, &v), case_recv(ch, &v) };               \
            switch (way) {                                                                 \
            case 0: err = chan_recv(ch, &v); break;                                        \
            case 1: err = chan_try_recv(ch, &v); break;                                    \
            case 2: err = chan_recv_timeout(ch, &v, i % 3 - 1); break;                     \
            case 3: v = chan_get(ch); err = want; break;                                   \
            case 4: chan_select { on_recv(ch, &v) { err = select_err(); } } break;         \
            case 5:                                                                        \
                chan_select {                                                              \
                    on_recv(never, &v) { err = -2; }                                       \
                    on_recv(ch, &v)    { err = select_err(); }                             \
                    on_default         { err = -3; }                                       \
                }                                                                          \
                break;                                                                     \
            case 6:                                                                        \
                chan_select_ordered {                                                      \
                    on_recv(never, &v) { err = -2; }                                       \
                    on_recv(NULL_##name, &v) { err = -3; }                                 \
                    on_recv(ch, &v)    { err = select_err(); }                             \
                }                                                                          \
                break;                                                                     \
            case 7:                                                                        \
                CHECK_EQ(chan_select_n(cases, 2, -1), 1);                                  \
                err = cases[1].err;                                                        \
                break;                                                                     \
            }                                                                              \
            CHECK_EQ(err, want);                                                           \
            type expect = want ? zero : sample;                                            \
            CHECK(memcmp(&v, &expect, sizeof v) == 0);                                     \
        }                                                                                  \
        CHECK_EQ(chan_len(ch), 0);                                                         \
        chan_free(ch);                                                                     \
        chan_free(never);                                                                  \
    }

struct point { int64_t x, y, z; };
static const struct point a_point = { 1, -2, 3 };
static chan(char) NULL_of_char;
static chan(int64_t) NULL_of_int64;
static chan(void *) NULL_of_pointer;
static chan(struct point) NULL_of_struct;
DRAIN_TEST(of_char, char, 'x')
DRAIN_TEST(of_int64, int64_t, INT64_MIN)
DRAIN_TEST(of_pointer, void *, &NULL_of_char)
DRAIN_TEST(of_struct, struct point, a_point)

TEST(after_close_come_the_buffered_values_and_then_zeros) { // case 24
    for (int way = 0; way < 8; way++) {
        drain_of_char(way);
        drain_of_int64(way);
        drain_of_pointer(way);
        drain_of_struct(way);
    }
}

TEST(a_send_on_a_closed_channel_is_refused_in_every_spelling) { // case 25
    for (size_t cap = 0; cap < 3; cap++) {
        chan(int) ch = chan_make(int, cap), never = chan_make(int, 0);
        CHECK_EQ(chan_close(ch), 0);
        int v = 1, err = 0;
        CHECK_EQ(chan_send(ch, 1), EPIPE);
        CHECK_EQ(chan_try_send(ch, 1), EPIPE);
        CHECK_EQ(chan_send_timeout(ch, 1, 0), EPIPE);
        CHECK_EQ(chan_send_timeout(ch, 1, -1), EPIPE);
        chan_select { on_send(ch, 1) { err = select_err(); } }
        CHECK_EQ(err, EPIPE);
        err = 0;
        chan_select {
            on_default          {}
            on_recv(never, &v)  {}
            on_send(ch, 1)      { err = select_err(); }
        }
        CHECK_EQ(err, EPIPE);
        chan_case cases[] = { case_recv(never, NULL), case_send(ch, &v) };
        CHECK_EQ(chan_select_n(cases, 2, -1), 1);
        CHECK_EQ(cases[1].err, EPIPE);
        CHECK_EQ(chan_len(ch), 0);
        CHECK_EQ(chan_try_recv(ch, &v), EPIPE);
        chan_free(ch);
        chan_free(never);
    }
}

TEST(a_second_close_and_impossible_channels_are_refused) { // case 26
    chan(int) ch = chan_make(int, 1), none = NULL;
    CHECK_EQ(chan_close(ch), 0);
    CHECK_EQ(chan_close(ch), EPIPE);
    CHECK_EQ(chan_close(ch), EPIPE);
    chan_free(ch);
    CHECK_EQ(chan_close(none), EINVAL);
    volatile size_t huge = SIZE_MAX;
    CHECK(chan_make(int, huge) == NULL);
    CHECK(chan_make(int, huge / sizeof(int)) == NULL);
    CHECK(chan_make(char, huge) == NULL);
    CHECK(chan_make(int64_t, huge / sizeof(int64_t) + 2) == NULL);
}

TEST(a_sender_view_can_close_its_channel) { // case 26
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
    chan_receiver(int) in = ch;
    CHECK_EQ(chan_send(out, 4), 0);
    CHECK_EQ(chan_close(out), 0);
    CHECK_EQ(chan_close(ch), EPIPE);
    CHECK_EQ(chan_get(in), 4);
    CHECK_EQ(chan_recv(in, NULL), EPIPE);
    chan_free(in);
}

//------------------------------------------------------------------------------
// The blocked.

// A party blocked on ch in one of several ways; what came of it.
struct blocked {
    chan(int) ch, other;
    int way, value, err, ended;
};

PARTY(block_in_receive, struct blocked, b) {
    switch (b->way) {
    case 0: b->err = chan_recv(b->ch, &b->value); break;
    case 1: b->err = chan_recv_timeout(b->ch, &b->value, CHANRT_SECOND * 100); break;
    case 2: chan_select { on_recv(b->ch, &b->value) { b->err = select_err(); } } break;
    case 3:
        chan_select {
            on_recv(b->ch, &b->value)    { b->err = select_err(); }
            on_recv(b->other, &b->value) { b->err = -2; }
            on_recv(b->ch, &b->value)    { b->err = select_err(); }
        }
        break;
    case 4: chan_range(int, v, b->ch) b->err = -2 - v; b->value = 0; b->err = EPIPE; break;
    }
    b->ended++;
}

PARTY(block_in_send, struct blocked, b) {
    chan_case cases[] = { case_recv(b->other, NULL), case_send(b->ch, &b->value) };
    switch (b->way) {
    case 0: b->err = chan_send(b->ch, b->value); break;
    case 1: b->err = chan_send_timeout(b->ch, b->value, CHANRT_SECOND * 100); break;
    case 2: chan_select { on_send(b->ch, b->value) { b->err = select_err(); } } break;
    case 3:
        chan_select {
            on_send(b->ch, b->value)    { b->err = select_err(); }
            on_recv(b->other, NULL)     { b->err = -2; }
            on_send(b->ch, b->value)    { b->err = select_err(); }
        }
        break;
    case 4: b->err = chan_select_n(cases, 2, -1) == 1 ? cases[1].err : -2; break;
    }
    b->ended++;
}

enum { WAYS = 5, EACH = 4 };

TEST(close_wakes_every_blocked_receiver_once) { // case 27 *8
    for (size_t cap = 0; cap < 2; cap++) {
        struct crowd crowd = {0};
        struct blocked b[WAYS * EACH];
        chan(int) ch = chan_make(int, cap), other = chan_make(int, 0);
        for (int i = 0; i < WAYS * EACH; i++) {
            b[i] = (struct blocked){ .ch = ch, .other = other, .way = i % WAYS, .value = 77 };
            crowd_add(&crowd, i / WAYS == 1 && (i % WAYS != 1 || POSIX), block_in_receive,
                      &b[i]);
            until_blocked(i + 1);
        }
        CHECK_EQ(chan_close(ch), 0);
        crowd_join(&crowd);
        for (int i = 0; i < WAYS * EACH; i++) {
            CHECK_EQ(b[i].ended, 1);
            CHECK_EQ(b[i].err, EPIPE);
            CHECK_EQ(b[i].value, 0);
        }
        CHECK_EQ(chan_try_send(other, 1), EAGAIN);       // no select is left there
        chan_free(ch);
        chan_free(other);
    }
}

TEST(close_wakes_every_blocked_sender_and_delivers_nothing_of_theirs) { // case 28 *9
    for (int cap = 0; cap < 3; cap++) {
        struct crowd crowd = {0};
        struct blocked b[WAYS * EACH];
        chan(int) ch = chan_make(int, (size_t)cap), other = chan_make(int, 0);
        for (int i = 0; i < cap; i++) CHECK_EQ(chan_send(ch, i), 0);
        for (int i = 0; i < WAYS * EACH; i++) {
            b[i] = (struct blocked){ .ch = ch, .other = other, .way = i % WAYS, .value = 100 + i };
            crowd_add(&crowd, i / WAYS == 2 && (i % WAYS != 1 || POSIX), block_in_send,
                      &b[i]);
            until_blocked(i + 1);
        }
        CHECK_EQ(chan_close(ch), 0);
        crowd_join(&crowd);
        for (int i = 0; i < WAYS * EACH; i++) {
            CHECK_EQ(b[i].ended, 1);
            CHECK_EQ(b[i].err, EPIPE);
            CHECK_EQ(b[i].value, 100 + i);
        }
        CHECK_EQ(chan_len(ch), cap);
        for (int i = 0; i < cap; i++) CHECK_EQ(chan_get(ch), i);
        CHECK_EQ(chan_recv(ch, NULL), EPIPE);
        CHECK_EQ(chan_try_send(other, 1), EAGAIN);
        chan_free(ch);
        chan_free(other);
    }
}

TEST(the_last_free_closes_under_the_blocked) { // case 27 *8, 28 *9
    for (int i = 0; i < 2 * WAYS; i++) {
        struct crowd crowd = {0};
        struct blocked b = { .ch = chan_make(int, 0), .way = i / 2, .value = 77 };
        b.other = chan_make(int, 0);
        if (i & 1) crowd_task(&crowd, block_in_send, &b);
        else crowd_task(&crowd, block_in_receive, &b);
        until_blocked(1);
        chan_free(b.ch);
        crowd_join(&crowd);
        CHECK_EQ(b.err, EPIPE);
        chan_free(b.other);
    }
}

TEST(close_ends_a_select_that_wants_to_send_and_unlinks_its_other_cases) { // case 32
    for (int i = 0; i < 8; i++) {
        struct crowd crowd = {0};
        struct blocked in_select = { .ch = chan_make(int, i & 1), .way = 3, .value = 5 };
        struct blocked behind = { .ch = chan_make(int, 0), .value = -1 };
        in_select.other = behind.ch;
        if (i & 1) CHECK_EQ(chan_send(in_select.ch, 1), 0);
        crowd_add(&crowd, i & 2, block_in_send, &in_select);
        until_blocked(1);
        crowd_add(&crowd, i & 4, block_in_receive, &behind);
        until_blocked(2);
        CHECK_EQ(chan_close(in_select.ch), 0);
        until_blocked(1);
        CHECK_EQ(chan_try_send(behind.ch, 9), 0);       // reaches the one behind the select
        CHECK_EQ(chan_try_send(behind.ch, 9), EAGAIN);  // and nobody else is left
        crowd_join(&crowd);
        CHECK_EQ(in_select.err, EPIPE);
        CHECK_EQ(behind.err, 0);
        CHECK_EQ(behind.value, 9);
        if (i & 1) CHECK_EQ(chan_get(in_select.ch), 1);
        CHECK_EQ(chan_recv(in_select.ch, NULL), EPIPE);
        chan_free(in_select.ch);
        chan_free(behind.ch);
    }
}

//------------------------------------------------------------------------------
// Races with close.

enum { STOCK = 512 };

struct tries {
    chan(int) *ch;
    atomic_int gate;
    int rounds, missed;
    int64_t taken;
};

// Less than the stock is taken, so until the close a value is there at every instant, and
// after it the channel is closed: no try may find that it would have to wait.
PARTY(try_until_the_close, struct tries, t) {
    for (int i = 0; i < t->rounds && meet_again(&t->gate, i + 1); i++) {
        int err = 0;
        for (int k = 1; k < STOCK && err == 0; k++) {
            err = chan_try_recv(t->ch[i], NULL);
            t->taken += err == 0;
        }
        t->missed += err == EAGAIN;
    }
}

TEST(a_try_receive_racing_with_close_and_drain_never_would_block) { // case 29 *10
    struct tries t = { .rounds = (int)test_rounds(5000) };
    t.ch = calloc((size_t)t.rounds, sizeof *t.ch);
    struct crowd crowd = {0};
    uint32_t seed = 5;
    int64_t drained = 0;
    int round = 0;
    crowd_thread(&crowd, try_until_the_close, &t);
    cpu_set_t cpus = apart(crowd.threads[0]);
    for (; round < t.rounds; round++) {
        chan(int) ch = t.ch[round] = chan_make(int, STOCK);
        for (int k = 0; k < STOCK; k++) chan_send(ch, k);
        if (!meet_again(&t.gate, round + 1)) break;
        spin(dice(&seed) % 1024);
        stall(crowd.threads[0]);
        chan_close(ch);
        while (chan_try_recv(ch, NULL) == 0) drained++;
        unstall();
    }
    crowd_join(&crowd);
    set_free(cpus);
    CHECK_EQ(t.missed, 0);
    CHECK_EQ(drained + t.taken, (int64_t)STOCK * round);
    for (int i = 0; i < t.rounds; i++) chan_free(t.ch[i]);
    free(t.ch);
}

TASK(select_at_the_close, chan(int), ch, chan(int), never, atomic_int *, missed) {
    chan_select {
        on_recv(ch, NULL)    {}
        on_recv(never, NULL) { atomic_fetch_add(missed, 1); }
        on_default           { atomic_fetch_add(missed, 1); }
    }
}

TEST(a_select_racing_with_close_and_drain_never_takes_its_default) { // case 29 *10
    waitgroup wg = {0};
    atomic_int missed = 0;
    chan(int) never = chan_make(int, 0);
    for (int i = 0; i < test_rounds(10000); i++) {
        chan(int) ch = chan_make(int, 1);
        chan_send(ch, 1);
        CHECK_EQ(wg_go(&wg, select_at_the_close, ch, never, &missed), 0);
        chan_close(ch);
        chan_recv(ch, NULL);
        wg_wait(&wg);
        chan_free(ch);
    }
    CHECK_EQ(atomic_load(&missed), 0);
    chan_free(never);
}

struct stream {
    chan(int) ch;
    atomic_int *next, *sent, *received;
};

// Sends until refused.
PARTY(send_until_closed, struct stream, s) {
    while (chan_send(s->ch, atomic_fetch_add(s->next, 1)) == 0) atomic_fetch_add(s->sent, 1);
}

PARTY(send_by_select_until_closed, struct stream, s) {
    for (int err = 0; err == 0;) {
        chan_select {
            on_send(s->ch, atomic_fetch_add(s->next, 1)) { err = select_err(); }
            on_send((chan(int))NULL, 1)                  { err = -1; }
        }
        if (err == 0) atomic_fetch_add(s->sent, 1);
    }
}

PARTY(try_until_closed, struct stream, s) {
    for (int err = 0; err != EPIPE;) {
        err = chan_try_send(s->ch, 1);
        if (err == 0) atomic_fetch_add(s->sent, 1);
        else task_yield();
    }
}

PARTY(receive_until_closed, struct stream, s) {
    chan_range(int, v, s->ch) {
        (void)v;
        atomic_fetch_add(s->received, 1);
    }
}

TEST(a_send_that_reports_success_beside_a_close_was_delivered) { // case 30 *11
    uint32_t seed = 9;
    for (int round = 0; round < test_rounds(600); round++) {
        struct crowd crowd = {0};
        atomic_int next = 0, sent = 0, received = 0;
        struct stream s = { chan_make(int, (size_t)round % 3), &next, &sent, &received };
        bool threads = round % 8 == 0;
        crowd_task(&crowd, receive_until_closed, &s);
        crowd_task(&crowd, send_until_closed, &s);
        crowd_task(&crowd, send_until_closed, &s);
        crowd_add(&crowd, threads, send_until_closed, &s);
        crowd_task(&crowd, send_by_select_until_closed, &s);
        crowd_task(&crowd, try_until_closed, &s);
        crowd_add(&crowd, threads, receive_until_closed, &s);
        int64_t end = chanrt_now() + dice(&seed) % 60 * CHANRT_MICROSECOND;
        while (chanrt_now() < end) task_yield();
        CHECK_EQ(chan_close(s.ch), 0);
        crowd_join(&crowd);
        CHECK_EQ(atomic_load(&sent), atomic_load(&received));
        CHECK_EQ(chan_len(s.ch), 0);
        chan_free(s.ch);
    }
}

struct hand_over {
    chan(int) *ch, ready;   // ready: closed, so always
    waitgroup **wg;
    atomic_int gate;
    int rounds, way;
    bool aimed;
};

// Both cases are ready, and a select takes either.
static void send_beside_a_ready_case(chan(int) ch, chan(int) ready) {
    for (bool sent = false; !sent;) {
        chan_select {
            on_send(ch, 1)       { sent = true; }
            on_recv(ready, NULL) { give_way(); }
        }
    }
}

// The waker's last touch of each channel is the call itself: it holds no reference, and the
// other side cannot return before this call has had its effect.
PARTY(wake_and_forget, struct hand_over, h) {
    uint32_t seed = 15;
    for (int i = 0; i < h->rounds && meet_again(&h->gate, 2 * i + 1); i++) {
        meet(&h->gate, 2 * i + 2);
        chan(int) ch = h->ch[i];
        if (h->aimed) aim_begin(&seed);
        if (h->way == 0) chan_send(ch, 1);
        if (h->way == 1) chan_close(ch);
        if (h->way == 2) chan_recv(ch, NULL);
        if (h->way == 3) chan_select { on_send(ch, 1) {} }
        if (h->way == 4) send_beside_a_ready_case(ch, h->ready);
        if (h->way == 5) wg_done(h->wg[i]);
        if (h->aimed) aim_end();
    }
}

TEST(the_woken_may_free_the_channel_while_the_waker_is_still_in_its_call) { // case 31 *12
    enum { CAPS = 2, WAKES = 5 };
    chan(int) ready = chan_make(int, 0);
    chan_close(ready);
    for (int way = 0; way < CAPS * WAKES * 2; way++) {
        struct crowd crowd = {0};
        size_t cap = (size_t)way % CAPS;
        bool as_thread = way >= CAPS * WAKES;
        struct hand_over h = { .ready = ready, .rounds = (int)test_rounds(3000),
                               .way = way / CAPS % WAKES };
        int round = 0;
        h.ch = calloc((size_t)h.rounds, sizeof *h.ch);
        for (int i = 0; i < h.rounds; i++) {
            h.ch[i] = chan_make(int, cap);
            if (h.way == 2 && cap) CHECK_EQ(chan_send(h.ch[i], 1), 0);
        }
        crowd_add(&crowd, as_thread, wake_and_forget, &h);
        cpu_set_t cpus = apart(as_thread ? crowd.threads[0] : pthread_self());
        for (; round < h.rounds && meet_again(&h.gate, 2 * round + 1); round++) {
            meet(&h.gate, 2 * round + 2);
            if (h.way == 2) chan_send(h.ch[round], 2);
            else chan_recv(h.ch[round], NULL);
            chan_free(h.ch[round]);
        }
        for (; round < h.rounds; round++) chan_free(h.ch[round]);
        crowd_join(&crowd);
        set_free(cpus);
        free(h.ch);
    }
    chan_free(ready);
}

TASK(wait_then_free, chan(int), ch, bool, sends) {
    if (sends) chan_send(ch, 2);
    else chan_recv(ch, NULL);
    chan_free(ch);
}

TASK(wait_then_free_group, waitgroup *, wg) {
    wg_wait(wg);
    memset(wg, 0xDD, sizeof *wg);
    free(wg);
}

TEST(a_waker_stalled_in_its_call_touches_nothing_that_the_woken_freed) { // case 31 *12
    if (!POSIX || test_emulated()) return; // no signals; whose signals arrive late
    if (test_seeded()) return;             // nobody is in the middle of a call
    enum { ROUNDS = 500 };                      // also in slow builds: they are what sees it
    static chan(int) ch[ROUNDS];
    static waitgroup *wg[ROUNDS];
    stall_limit = CHANRT_MILLISECOND;           // the woken must get going meanwhile
    chan(int) ready = chan_make(int, 0);
    chan_close(ready);
    for (int way = 0; way < 6; way++) {
        struct crowd crowd = {0}, woken = {0};
        struct hand_over h = { .ch = ch, .ready = ready, .wg = wg, .rounds = ROUNDS, .way = way,
                               .aimed = true };
        CHECK_EQ(chanrt_start(NULL), way == 0 ? 0 : EBUSY);
        crowd_thread(&crowd, wake_and_forget, &h);
        cpu_set_t cpus = apart(crowd.threads[0]);
        for (int i = 0; i < ROUNDS && meet_again(&h.gate, 2 * i + 1); i++) {
            if (way < 5) {
                ch[i] = chan_make(int, 0);
                crowd_task(&woken, wait_then_free, ch[i], way == 2);
            } else {
                wg[i] = calloc(1, sizeof *wg[i]);
                wg_add(wg[i], 1);
                crowd_task(&woken, wait_then_free_group, wg[i]);
            }
            while (tasks_blocked() != 1) task_yield();
            meet(&h.gate, 2 * i + 2);
            stall(crowd.threads[0]);
            crowd_join(&woken);
            unstall();
        }
        crowd_join(&crowd);
        set_free(cpus);
    }
    chan_free(ready);
}

TASK(finish, waitgroup *, wg) { wg_done(wg); }

TEST(the_woken_may_free_its_waitgroup_at_once) { // case 31 *12
    for (int i = 0; i < test_rounds(10000); i++) {
        waitgroup *wg = calloc(1, sizeof *wg);
        wg_add(wg, 2);
        CHECK_EQ(go(finish, wg), 0);
        CHECK_EQ(go(finish, wg), 0);
        wg_wait(wg);
        memset(wg, 0xDD, sizeof *wg);
        free(wg);
    }
}

TASK(send_to_frame, chan(int), ch) { chan_send(ch, 1); }

static __attribute__((noinline)) int rendezvous_in_a_frame(void) {
    waitgroup wg = {0};
    chan(int) ch = chan_make(int, 0);
    CHECK_EQ(wg_go(&wg, send_to_frame, ch), 0);
    int v = 0;
    chan_recv(ch, &v);
    chan_free(ch);
    wg_wait(&wg);
    return v;
}

static __attribute__((noinline)) int overwrite_frame(void) {
    volatile unsigned char junk[512];
    for (size_t i = 0; i < sizeof junk; i++) junk[i] = 0xEE;
    return junk[17];
}

TEST(the_frame_a_receive_has_left_is_not_written_any_more) { // case 31 *12
    int bad = 0;
    for (int i = 0; i < test_rounds(10000); i++) {
        bad += rendezvous_in_a_frame() != 1;
        bad += overwrite_frame() != 0xEE;
    }
    CHECK_EQ(bad, 0);
}
