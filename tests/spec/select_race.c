// select_race.c - selects against tasks, threads, timers, closes and each other.
#include "spec.h"

static void free_all(chan(int) *ch, int n) {
    for (int i = 0; i < n; i++) chan_free(ch[i]);
}

//------------------------------------------------------------------------------
// Exactly one case runs.

TASK(forward, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, v, in) CHECK_EQ(chan_send(out, v), 0);
}

struct fan {
    chan(int) way[4];
    int n;
};

PARTY(send_four_ways, struct fan, f) {
    for (int i = 0; i < f->n;) {
        chan_select {
            on_send(f->way[0], i) { i++; }
            on_send(f->way[1], i) { i++; }
            on_send(f->way[2], i) { i++; }
            on_send(f->way[3], i) { i++; }
        }
    }
    for (int k = 0; k < 4; k++) CHECK_EQ(chan_close(f->way[k]), 0);
}

TEST(a_four_way_send_takes_exactly_one_way_each_time) { // case 42 *13
    for (int as_thread = 0; as_thread < 2; as_thread++) {
        struct crowd crowd = {0};
        struct fan f = { .n = (int)test_rounds(as_thread ? 10000 : 50000) };
        chan(int) out = chan_make(int, 0);
        for (int k = 0; k < 4; k++) {
            f.way[k] = chan_make(int, 0);
            CHECK_EQ(wg_go(&crowd.wg, forward, f.way[k], out), 0);
        }
        crowd_add(&crowd, as_thread, send_four_ways, &f);
        unsigned char *seen = calloc((size_t)f.n, 1);
        for (int i = 0; i < f.n; i++) seen[chan_get(out)]++;
        crowd_join(&crowd);
        int bad = 0;
        for (int i = 0; i < f.n; i++) bad += seen[i] != 1;
        CHECK_EQ(bad, 0);
        free(seen);
        free_all(f.way, 4);
        chan_free(out);
    }
}

struct claimant {
    chan(int) ch;
    atomic_int gate;
    int rounds;
    bool *won;
};

PARTY(claim_by_try, struct claimant, c) {
    for (int i = 0; i < c->rounds && meet_again(&c->gate, 3 * i + 1); i++) {
        meet(&c->gate, 3 * i + 2);
        c->won[i] = chan_try_send(c->ch, i) == 0;
        meet(&c->gate, 3 * i + 3);
    }
}

TASK(select_once, chan(int), a, chan(int), b, int *, from) {
    int v;
    chan_select {
        on_recv(a, &v) { *from = 'a'; }
        on_recv(b, &v) { *from = 'b'; }
    }
}

TEST(of_two_at_once_one_wins_a_parked_select) { // case 42 *13
    struct crowd crowd = {0}, selecting = {0};
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    struct claimant c = { .ch = b, .rounds = (int)test_rounds(4000) };
    c.won = calloc((size_t)c.rounds, sizeof *c.won);
    CHECK_EQ(chanrt_start(NULL), 0);            // its workers are not to be put apart
    crowd_thread(&crowd, claim_by_try, &c);
    cpu_set_t cpus = apart(crowd.threads[0]);
    uint32_t seed = 16;
    int bad = 0;
    for (int i = 0; i < c.rounds && meet_again(&c.gate, 3 * i + 1); i++) {
        int from = 0;
        crowd_task(&selecting, select_once, a, b, &from);
        while (tasks_blocked() != 1) task_yield();
        meet(&c.gate, 3 * i + 2);
        spin(dice(&seed) % 64);
        bool won = chan_try_send(a, i) == 0;
        meet(&c.gate, 3 * i + 3);
        bad += won == c.won[i];
        crowd_join(&selecting);
        bad += from != (won ? 'a' : 'b');
    }
    crowd_join(&crowd);
    set_free(cpus);
    CHECK_EQ(bad, 0);
    free(c.won);
    free_all((chan(int)[]){ a, b }, 2);
}

struct source {
    chan(int) ch;
    int first, n;
};

// Blocking and trying senders in turn, so that a select is claimed in both ways.
PARTY(send_distinct, struct source, s) {
    for (int i = 0; i < s->n; i++) {
        if (i & 1) {
            CHECK_EQ(chan_send(s->ch, s->first + i), 0);
        } else {
            while (chan_try_send(s->ch, s->first + i) != 0) task_yield();
        }
    }
}

TEST(a_four_way_receive_gets_each_value_from_exactly_one_case) { // case 42 *13
    struct crowd crowd = {0};
    struct source s[4];
    int n = (int)test_rounds(10000), bad = 0;
    chan(int) ch[4];
    for (int k = 0; k < 4; k++) {
        ch[k] = chan_make(int, 0);
        s[k] = (struct source){ .ch = ch[k], .first = k * n, .n = n };
        crowd_add(&crowd, k == 3, send_distinct, &s[k]);
    }
    int next[4] = { 0, n, 2 * n, 3 * n };
    for (int i = 0; i < 4 * n; i++) {
        int v[4] = { -1, -1, -1, -1 }, from = -1;
        chan_select {
            on_recv(ch[0], &v[0]) { from = 0; }
            on_recv(ch[1], &v[1]) { from = 1; }
            on_recv(ch[2], &v[2]) { from = 2; }
            on_recv(ch[3], &v[3]) { from = 3; }
        }
        bad += v[from] != next[from]++;
        for (int k = 0; k < 4; k++) bad += k != from && v[k] != -1;
    }
    CHECK_EQ(bad, 0);
    crowd_join(&crowd);
    free_all(ch, 4);
}

//------------------------------------------------------------------------------
// Losers leave no trace.

struct waiter {
    chan(int) a, b;
    bool sends;
    int dups, value, err, ran;
};

PARTY(wait_plain, struct waiter, w) {
    w->err = w->sends ? chan_send(w->a, w->value) : chan_recv(w->a, &w->value);
}

// Waits on a (up to three times) and b; only b will come.
PARTY(wait_two, struct waiter, w) {
    int v;
    chan(int) again = w->dups > 1 ? w->a : NULL, more = w->dups > 2 ? w->a : NULL;
    if (w->sends) chan_select {
        on_send(w->a, -1)  { w->ran = 'a'; }
        on_send(again, -2) { w->ran = 'a'; }
        on_recv(w->b, &v)  { w->ran = 'b'; }
        on_send(more, -3)  { w->ran = 'a'; }
    } else chan_select {
        on_recv(w->a, &v)  { w->ran = 'a'; }
        on_recv(again, &v) { w->ran = 'a'; }
        on_recv(w->b, &v)  { w->ran = 'b'; }
        on_recv(more, &v)  { w->ran = 'a'; }
    }
}

// n waiters on a, of which the one at place `at` is a select that is then won by b.
static void lose_in_the_queue(int n, int at, int dups, bool sends, bool threads) {
    struct crowd selecting = {0}, plain = {0};
    struct waiter w[4];
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    for (int i = 0; i < n; i++) {
        w[i] = (struct waiter){ .a = a, .b = b, .sends = sends, .dups = dups, .value = 10 + i };
        if (i == at) crowd_add(&selecting, threads, wait_two, &w[i]);
        else crowd_add(&plain, threads && i & 1, wait_plain, &w[i]);
        until_blocked(i + 1);
    }
    CHECK_EQ(chan_send(b, 1), 0);
    crowd_join(&selecting);
    CHECK_EQ(w[at].ran, 'b');
    for (int i = 0; i < n; i++) {
        if (i == at) continue;
        int v = 20 + i;
        CHECK_EQ(sends ? chan_try_recv(a, &v) : chan_try_send(a, v), 0);
        if (sends) CHECK_EQ(v, 10 + i);
    }
    CHECK_EQ(chan_try_send(a, 0), EAGAIN);
    CHECK_EQ(chan_try_recv(a, NULL), EAGAIN);
    crowd_join(&plain);
    for (int i = 0; i < n; i++) {
        if (i == at) continue;
        CHECK_EQ(w[i].err, 0);
        CHECK_EQ(w[i].value, sends ? 10 + i : 20 + i);
    }
    struct waiter later = { .a = a, .sends = sends, .value = 30 };   // the queue still works
    crowd_task(&plain, wait_plain, &later);
    until_blocked(1);
    int v = 30;
    CHECK_EQ(sends ? chan_try_recv(a, &v) : chan_try_send(a, v), 0);
    CHECK_EQ(v, 30);
    crowd_join(&plain);
    chan_free(a);
    chan_free(b);
}

TEST(a_losing_case_is_unlinked_from_head_middle_and_tail) { // case 43 *14
    for (int n = 1; n <= 4; n++) {
        for (int at = 0; at < n; at++) {
            for (int way = 0; way < 4; way++) lose_in_the_queue(n, at, 1, way & 1, way & 2);
        }
    }
}

TEST(one_channel_several_times_in_a_select_is_unlinked_each_time) { // case 44 *15
    for (int n = 1; n <= 3; n++) {
        for (int at = 0; at < n; at++) {
            for (int way = 0; way < 8; way++) {
                lose_in_the_queue(n, at, 2 + (way >> 2), way & 1, way & 2);
            }
        }
    }
}

TEST(one_channel_several_times_in_a_select_is_served_once) { // case 44 *15
    for (int i = 0; i < 40; i++) {
        struct crowd crowd = {0};
        chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
        struct waiter sel = { .a = a, .b = b, .dups = 3, .sends = i & 1 };
        struct waiter behind = { .a = a, .sends = i & 1, .value = 7 };
        crowd_add(&crowd, i & 2, wait_two, &sel);
        until_blocked(1);
        crowd_add(&crowd, i & 4, wait_plain, &behind);
        until_blocked(2);
        int v[2] = { 1, 2 };
        for (int k = 0; k < 2; k++) {
            CHECK_EQ(sel.sends ? chan_try_recv(a, &v[k]) : chan_try_send(a, v[k]), 0);
        }
        CHECK_EQ(chan_try_send(a, 0), EAGAIN);
        CHECK_EQ(chan_try_recv(a, NULL), EAGAIN);
        CHECK_EQ(chan_try_send(b, 0), EAGAIN);
        crowd_join(&crowd);
        CHECK_EQ(sel.ran, 'a');
        if (sel.sends) CHECK(v[0] < 0);
        CHECK_EQ(behind.value, sel.sends ? 7 : 2);
        if (sel.sends) CHECK_EQ(v[1], 7);
        chan_free(a);
        chan_free(b);
    }
}

//------------------------------------------------------------------------------
// Sending and receiving on one channel in one select.

struct self {
    chan(int) ch;
    int me, n, met_myself;
    bool buffered;
    atomic_int *sends, *receives;
};

PARTY(select_self, struct self, s) {
    for (int i = 0; i < s->n; i++) {
        int v = -1;
        if (i & 1) chan_select {
            on_send(s->ch, s->me)   { atomic_fetch_add(s->sends, 1); }
            on_recv(s->ch, &v)      { atomic_fetch_add(s->receives, 1); }
        } else chan_select {
            on_recv(s->ch, &v)      { atomic_fetch_add(s->receives, 1); }
            on_send(s->ch, s->me)   { atomic_fetch_add(s->sends, 1); }
        }
        s->met_myself += !s->buffered && v == s->me;
    }
}

static void pair_off(int parties, int n, size_t cap, int threads) {
    struct crowd crowd = {0};
    struct self s[60];
    atomic_int sends = 0, receives = 0;
    chan(int) ch = chan_make(int, cap);
    for (int i = 0; i < parties; i++) {
        s[i] = (struct self){ ch, i, n, 0, cap > 0, &sends, &receives };
        crowd_add(&crowd, i < threads, select_self, &s[i]);
    }
    crowd_join(&crowd);
    for (int i = 0; i < parties; i++) CHECK_EQ(s[i].met_myself, 0);
    CHECK_EQ(atomic_load(&sends) - atomic_load(&receives), (int)chan_len(ch));
    CHECK_EQ(atomic_load(&sends) + atomic_load(&receives), parties * n);
    if (cap == 0) CHECK_EQ(chan_try_send(ch, 1), EAGAIN);
    chan_free(ch);
}

TEST(a_select_that_sends_and_receives_on_one_channel_never_meets_itself) { // case 46 *16
    int n = (int)test_rounds(5000);
    pair_off(2, n, 0, 0);
    pair_off(2, n, 0, 1);
    pair_off(2, n, 0, 2);
    pair_off(2, n, 10, 0);
    pair_off(2, n, 10, 1);
}

TEST(selects_that_send_and_receive_on_one_channel_pair_off_without_leftover) { // case 46 *16
    for (int i = 0; i < test_rounds(200); i++) {
        pair_off(44, 1, 0, i % 20 == 0 ? 3 : 0);
        pair_off(56, 1, 0, 0);
    }
}

//------------------------------------------------------------------------------
// A select that does not wait sees one instant.

enum { BY_SEND, BY_CLOSE };

struct snapshot {
    chan(int) *a, *b;
    atomic_int gate;
    int rounds;
    bool timeout, array;
    int missed;
};

static int select_now(chan(int) a, chan(int) b, bool timeout, bool array) {
    int missed = 0;
    chan_case cases[] = { case_recv(a, NULL), case_recv(b, NULL) };
    if (array) return chan_select_n(cases, 2, 0) < 0;
    if (timeout) chan_select {
        on_recv(a, NULL) {}
        on_recv(b, NULL) {}
        on_timeout(0)    { missed = 1; }
    } else chan_select {
        on_recv(a, NULL) {}
        on_recv(b, NULL) {}
        on_default       { missed = 1; }
    }
    return missed;
}

PARTY(select_at_the_change, struct snapshot, s) {
    uint32_t seed = 12;
    for (int i = 0; i < s->rounds && meet_again(&s->gate, i + 1); i++) {
        aim_begin(&seed);
        s->missed += select_now(s->a[i], s->b[i], s->timeout, s->array);
        aim_end();
    }
}

// First a is ready; then b becomes ready, and only then a is drained.
static void change_under_a_select(long rounds, int how, bool timeout, bool array) {
    struct crowd crowd = {0};
    struct snapshot s = { .rounds = (int)rounds, .timeout = timeout, .array = array };
    size_t n = (size_t)rounds;
    s.a = calloc(n, sizeof *s.a);
    s.b = calloc(n, sizeof *s.b);
    for (size_t i = 0; i < n; i++) {
        s.a[i] = chan_make(int, 1);
        s.b[i] = chan_make(int, 1);
        CHECK_EQ(chan_send(s.a[i], 1), 0);
    }
    crowd_thread(&crowd, select_at_the_change, &s);
    cpu_set_t cpus = apart(crowd.threads[0]);
    for (int i = 0; i < s.rounds && meet_again(&s.gate, i + 1); i++) {
        stall(crowd.threads[0]);
        if (how == BY_CLOSE) chan_close(s.b[i]);
        else chan_send(s.b[i], 1);
        chan_try_recv(s.a[i], NULL);
        unstall();
    }
    crowd_join(&crowd);
    set_free(cpus);
    CHECK_EQ(s.missed, 0);
    free_all(s.a, s.rounds);
    free_all(s.b, s.rounds);
    free(s.a);
    free(s.b);
}

TEST(a_select_with_default_is_one_snapshot_of_its_channels) { // case 48 *17
    change_under_a_select(test_rounds(6000), BY_SEND, false, false);
    change_under_a_select(test_rounds(6000), BY_CLOSE, false, false);
}

TEST(a_select_with_timeout_zero_is_one_snapshot_of_its_channels) { // case 49 *17
    change_under_a_select(test_rounds(3000), BY_SEND, true, false);
    change_under_a_select(test_rounds(3000), BY_SEND, false, true);
    change_under_a_select(test_rounds(3000), BY_CLOSE, true, false);
}

TASK(select_now_and_tell, chan(int), a, chan(int), b, atomic_int *, missed) {
    if (select_now(a, b, false, false)) atomic_fetch_add(missed, 1);
}

TEST(a_select_in_a_task_is_one_snapshot_of_its_channels) { // case 48 *17
    atomic_int missed = 0;
    for (int i = 0; i < test_rounds(20000); i++) {
        waitgroup wg = {0};
        chan(int) a = chan_make(int, 1), b = chan_make(int, 1);
        chan_send(a, 1);
        CHECK_EQ(wg_go(&wg, select_now_and_tell, a, b, &missed), 0);
        if (i & 1) chan_close(b);
        else chan_send(b, 1);
        chan_try_recv(a, NULL);
        wg_wait(&wg);
        chan_free(a);
        chan_free(b);
    }
    CHECK_EQ(atomic_load(&missed), 0);
}

// A token that goes round: put down at the next place before it is taken from the last.
struct ring {
    chan(int) at[3];
    atomic_bool stop;
};

PARTY(rotate, struct ring, r) {
    for (int i = 0; !atomic_load(&r->stop); i = (i + 1) % 3) {
        chan_send(r->at[(i + 1) % 3], 1);
        chan_recv(r->at[i], NULL);
    }
}

TEST(a_select_never_misses_a_token_that_only_moves) { // case 48 *17
    for (int way = 0; way < 4; way++) {
        struct crowd crowd = {0};
        struct ring r = { .at = { chan_make(int, 1), chan_make(int, 1), chan_make(int, 1) } };
        chan_case cases[] = {
            case_recv(r.at[0], NULL), case_recv(r.at[1], NULL), case_recv(r.at[2], NULL)
        };
        CHECK_EQ(chan_send(r.at[0], 1), 0);
        crowd_add(&crowd, way & 1, rotate, &r);
        int missed = 0;
        for (int i = 0; i < test_rounds(60000); i++) {
            int at = -1;
            if (way & 2) at = chan_select_n(cases, 3, 0);
            else chan_select {
                on_recv(r.at[0], NULL) { at = 0; }
                on_recv(r.at[1], NULL) { at = 1; }
                on_recv(r.at[2], NULL) { at = 2; }
                on_default             {}
            }
            if (at < 0) missed++;
            else chan_send(r.at[at], 1);        // put back: the ring goes on from here
        }
        atomic_store(&r.stop, true);
        crowd_join(&crowd);
        CHECK_EQ(missed, 0);
        free_all(r.at, 3);
    }
}

//------------------------------------------------------------------------------
// Timeouts and cancellations.

struct pacer {
    chan(int) a, b;
    int n;
    bool *pushed;
};

PARTY(push_then_send, struct pacer, p) {
    uint32_t seed = 21;
    for (int i = 0; i < p->n; i++) {
        spin(dice(&seed) % 8000);
        p->pushed[i] = chan_try_send(p->a, i) == 0;
        chan_send(p->b, i);
    }
}

PARTY(select_with_deadlines, struct pacer, p) {
    uint32_t seed = 22;
    int bad = 0, early = 0;
    for (int i = 0; i < p->n; i++) {
        bool got = false;
        int v = -1, w = -1;
        chan_select {
            on_recv(p->a, &v)                                { got = true; bad += v != i; }
            on_timeout(dice(&seed) % 8 * CHANRT_MICROSECOND) {}
        }
        chan_select {
            on_recv(p->b, &w)               {}
            on_timeout(100 * CHANRT_SECOND) { early++; }
        }
        bad += w != i || got != p->pushed[i];      // b's send publishes pushed[i]
    }
    CHECK_EQ(bad, 0);
    CHECK_EQ(early, 0);
}

TEST(a_timeout_that_lost_does_not_wake_the_next_wait) { // case 51 *18
    for (int way = 0; way < 3; way++) {
        struct crowd crowd = {0};
        int n = (int)test_rounds(20000);
        struct pacer p = { chan_make(int, 0), chan_make(int, 0), n, calloc((size_t)n, 1) };
        crowd_add(&crowd, way == 1, push_then_send, &p);
        crowd_add(&crowd, way == 2, select_with_deadlines, &p);
        crowd_join(&crowd);
        free(p.pushed);
        free_all((chan(int)[]){ p.a, p.b }, 2);
    }
}

PARTY(wait_with_deadlines, struct pacer, p) {
    uint32_t seed = 23;
    int bad = 0;
    for (int i = 0; i < p->n; i++) {
        int64_t wait = dice(&seed) % 8 * CHANRT_MICROSECOND, start = chanrt_now();
        int err = chan_recv_timeout(p->a, NULL, wait);
        bad += err != ETIMEDOUT || chanrt_now() - start < wait;
        int v = -1;
        bad += chan_recv(p->b, &v) != 0 || v != i;     // may not be woken by what was before
    }
    CHECK_EQ(bad, 0);
}

TEST(a_timeout_that_fired_does_not_disturb_the_waits_after_it) { // case 51 *18
    struct crowd crowd = {0};
    struct pacer p = { .a = chan_make(int, 0), .n = (int)test_rounds(3000) };
    chan(int) b[6];
    struct pacer each[6];
    for (int k = 0; k < 6; k++) {
        b[k] = chan_make(int, 0);
        each[k] = (struct pacer){ .a = p.a, .b = b[k], .n = p.n };
        crowd_add(&crowd, k == 0, wait_with_deadlines, &each[k]);
    }
    for (int i = 0; i < p.n; i++) {
        for (int k = 0; k < 6; k++) chan_send(b[k], i);
    }
    crowd_join(&crowd);
    CHECK_EQ(chan_try_send(p.a, 1), EAGAIN);
    chan_free(p.a);
    free_all(b, 6);
}

struct cancel {
    chan(int) token, done;
    int value;
    bool cancelled;
    int err;
};

PARTY(take_unless_done, struct cancel, c) {
    chan_select {
        on_recv(c->token, &c->value) {}
        on_recv(c->done, NULL)       { c->cancelled = true; }
    }
}

PARTY(take_token, struct cancel, c) { c->err = chan_recv(c->token, &c->value); }
PARTY(give_token, struct cancel, c) { c->err = chan_send(c->token, 5); }

TEST(a_token_sent_to_a_select_being_cancelled_is_not_lost) { // case 52 *19
    uint32_t seed = 31;
    for (int i = 0; i < test_rounds(5000); i++) {
        struct crowd taking = {0}, giving = {0};
        chan(int) token = chan_make(int, 0), done = chan_make(int, 0);
        struct cancel taker = { .token = token, .done = done };
        struct cancel giver = { .token = token };
        crowd_add(&taking, i % 16 == 1, take_unless_done, &taker);
        crowd_add(&giving, i % 16 == 2, give_token, &giver);
        spin(dice(&seed) % 3000);
        CHECK_EQ(chan_close(done), 0);
        crowd_join(&taking);
        int v = 5;
        if (taker.cancelled) CHECK_EQ(chan_recv(token, &v), 0);
        else v = taker.value;
        CHECK_EQ(v, 5);
        crowd_join(&giving);
        CHECK_EQ(giver.err, 0);
        CHECK_EQ(chan_try_recv(token, NULL), EAGAIN);
        chan_free(token);
        chan_free(done);
    }
}

TEST(the_waiter_behind_a_cancelled_select_gets_the_token) { // case 52 *19
    for (int i = 0; i < test_rounds(300); i++) {
        struct crowd crowd = {0}, behind = {0};
        chan(int) token = chan_make(int, 0), done = chan_make(int, 1);
        struct cancel first = { .token = token, .done = done };
        struct cancel second = { .token = token };
        struct cancel giver = { .token = token };
        crowd_add(&crowd, i % 8 == 1, take_unless_done, &first);
        until_blocked(1);
        crowd_add(&behind, i % 8 == 2, take_token, &second);
        until_blocked(2);
        crowd_add(&crowd, i % 8 == 3, give_token, &giver);
        spin((uint32_t)i * 16 % 3000);
        CHECK_EQ(chan_send(done, 1), 0);        // 1 stays in the buffer when the token won
        crowd_join(&crowd);
        if (!first.cancelled) {
            CHECK_EQ(first.value, 5);
            CHECK_EQ(chan_send(token, 5), 0);
        }
        crowd_join(&behind);                    // would hang on a token given to nobody
        CHECK_EQ(second.value, 5);
        CHECK_EQ(chan_len(done), first.cancelled ? 0 : 1);
        chan_free(token);
        chan_free(done);
    }
}

//------------------------------------------------------------------------------
// Many at once.

struct stress {
    chan(int) *ch;
    int n, which;
};

PARTY(stress_send, struct stress, s) {
    for (int i = 0; i < s->n; i++) chan_send(s->ch[s->which], i);
}

PARTY(stress_recv, struct stress, s) {
    for (int i = 0; i < s->n; i++) chan_recv(s->ch[s->which], NULL);
}

PARTY(stress_select_send, struct stress, s) {
    chan(int) c[4] = { s->ch[0], s->ch[1], s->ch[2], s->ch[3] };
    int sent[4] = {0};
    for (int i = 0; i < 4 * s->n; i++) {
        int at = -1;
        chan_select {
            on_send(c[3], i) { at = 3; }
            on_send(c[2], i) { at = 2; }
            on_send(c[0], i) { at = 0; }
            on_send(c[1], i) { at = 1; }
        }
        if (++sent[at] == s->n) c[at] = NULL;
    }
    for (int k = 0; k < 4; k++) CHECK_EQ(sent[k], s->n);
}

PARTY(stress_select_recv, struct stress, s) {
    chan(int) c[4] = { s->ch[0], s->ch[1], s->ch[2], s->ch[3] };
    int got[4] = {0};
    for (int i = 0; i < 4 * s->n; i++) {
        int at = -1;
        chan_select {
            on_recv(c[0], NULL) { at = 0; }
            on_recv(c[1], NULL) { at = 1; }
            on_recv(c[2], NULL) { at = 2; }
            on_recv(c[3], NULL) { at = 3; }
        }
        if (++got[at] == s->n) c[at] = NULL;
    }
    for (int k = 0; k < 4; k++) CHECK_EQ(got[k], s->n);
}

TEST(ten_parties_on_four_channels_finish) { // case 55 *20, 35
    for (int threads = 0; threads < 2; threads++) {
        struct crowd crowd = {0};
        chan(int) ch[4] = {
            chan_make(int, 0), chan_make(int, 0), chan_make(int, 2), chan_make(int, 3)
        };
        struct stress s[4], all = { ch, (int)test_rounds(threads ? 5000 : 50000), 0 };
        for (int k = 0; k < 4; k++) {
            s[k] = (struct stress){ ch, all.n, k };
            crowd_add(&crowd, threads && k == 1, stress_send, &s[k]);
            crowd_add(&crowd, threads && k == 2, stress_recv, &s[k]);
        }
        crowd_add(&crowd, threads, stress_select_send, &all);
        crowd_task(&crowd, stress_select_recv, &all);
        crowd_join(&crowd);
        for (int k = 0; k < 4; k++) CHECK_EQ(chan_len(ch[k]), 0);
        free_all(ch, 4);
    }
}

//------------------------------------------------------------------------------
// Fairness.

TEST(two_ready_cases_beside_two_quiet_ones_share_evenly) { // case 60 *23
    enum { TRIALS = 10000, TEN_SIGMA = 500 };          // sigma of 10,000 fair tosses is 50
    for (int mask = 1; mask < 15; mask++) {
        if (__builtin_popcount((unsigned)mask) != 2) continue;
        chan(int) ch[4];
        int count[4] = {0}, by_array[4] = {0};
        for (int k = 0; k < 4; k++) {
            ch[k] = chan_make(int, 1);
            if (mask >> k & 1) CHECK_EQ(chan_close(ch[k]), 0);
        }
        chan_case cases[] = {
            case_recv(ch[0], NULL), case_recv(ch[1], NULL),
            case_recv(ch[2], NULL), case_recv(ch[3], NULL)
        };
        for (int i = 0; i < TRIALS; i++) {
            chan_select {
                on_recv(ch[0], NULL) { count[0]++; }
                on_recv(ch[1], NULL) { count[1]++; }
                on_recv(ch[2], NULL) { count[2]++; }
                on_recv(ch[3], NULL) { count[3]++; }
            }
            by_array[chan_select_n(cases, 4, 0)]++;
        }
        for (int k = 0; k < 4; k++) {
            int want = mask >> k & 1 ? TRIALS / 2 : 0, slack = want ? TEN_SIGMA : 0;
            CHECK(abs(count[k] - want) <= slack);
            CHECK(abs(by_array[k] - want) <= slack);
        }
        free_all(ch, 4);
    }
}

TEST(all_cases_ready_share_evenly_at_every_number) { // case 60 *23
    for (int n = 2; n <= 12; n += 5) {
        chan(int) closed = chan_make(int, 0);
        chan_close(closed);
        chan_case cases[12];
        int count[12] = {0}, trials = 2000 * n;
        for (int k = 0; k < n; k++) cases[k] = case_recv(closed, NULL);
        for (int i = 0; i < trials; i++) count[chan_select_n(cases, n, -1)]++;
        for (int k = 0; k < n; k++) CHECK(abs(count[k] - 2000) <= 450);   // ten sigma
        chan_free(closed);
    }
}

struct partner {
    chan(int) ch, never;
};

PARTY(send_until_closed, struct partner, p) {
    while (chan_send(p->ch, 1) == 0) continue;
}

PARTY(select_until_closed, struct partner, p) {
    for (int err = 0; err == 0;) {
        chan_select {
            on_recv(p->never, NULL) {}
            on_send(p->ch, 1)       { err = select_err(); }
        }
    }
}

// Whether within some batch each of the three got its share, one part in `parts`. A partner
// that the system does not run for a time slice is not the select's fault: so batches are long,
// and there are several.
static bool shares_out(chan(int) *ch, int parts) {
    int batch = (int)test_rounds(100000), least = batch / parts;
    for (int tries = 0; tries < 10; tries++) {
        int got[3] = {0};
        for (int i = 0; i < batch; i++) {
            chan_select {
                on_recv(ch[0], NULL) { got[0]++; }
                on_recv(ch[1], NULL) { got[1]++; }
                on_recv(ch[2], NULL) { got[2]++; }
            }
        }
        if (got[0] >= least && got[1] >= least && (ch[2] == NULL || got[2] >= least)) return true;
    }
    return false;
}

TEST(a_blocking_select_serves_every_kind_of_partner) { // case 61
    struct crowd crowd = {0};
    chan(int) ch[3] = { chan_make(int, 0), chan_make(int, 1), chan_make(int, 0) };
    chan(int) never = chan_make(int, 0);
    struct partner p[3] = {{ ch[0], never }, { ch[1], never }, { ch[2], never }};
    crowd_task(&crowd, send_until_closed, &p[0]);
    crowd_task(&crowd, send_until_closed, &p[1]);
    crowd_task(&crowd, select_until_closed, &p[2]);
    CHECK(shares_out(ch, 50));
    for (int k = 0; k < 3; k++) chan_close(ch[k]);
    crowd_join(&crowd);
    free_all(ch, 3);
    chan_free(never);
}

TEST(two_unbuffered_partners_get_a_quarter_each_at_least) { // case 61
    for (int threads = 0; threads < 2; threads++) {
        struct crowd crowd = {0};
        chan(int) ch[3] = { chan_make(int, 0), chan_make(int, 0), NULL };
        struct partner p[2] = {{ ch[0], NULL }, { ch[1], NULL }};
        crowd_add(&crowd, threads, send_until_closed, &p[0]);
        crowd_add(&crowd, threads, send_until_closed, &p[1]);
        CHECK(shares_out(ch, threads ? 1000 : 4));  // a thread that sleeps takes long to wake
        chan_close(ch[0]);
        chan_close(ch[1]);
        crowd_join(&crowd);
        free_all(ch, 2);
    }
}

//------------------------------------------------------------------------------
// Select against select.

enum { PLAIN, ALONE, BESIDE, SPELLINGS };

struct spelled {
    chan(int) ch, never;
    int spelling, n;
};

PARTY(send_spelled, struct spelled, s) {
    for (int i = 0; i < s->n; i++) {
        if (s->spelling == PLAIN) chan_send(s->ch, i);
        if (s->spelling == ALONE) chan_select { on_send(s->ch, i) {} }
        if (s->spelling == BESIDE) chan_select {
            on_recv(s->never, NULL) { NEVER("nobody sends there"); }
            on_send(s->ch, i)       {}
        }
    }
}

PARTY(recv_spelled, struct spelled, s) {
    int bad = 0;
    for (int i = 0; i < s->n; i++) {
        int v = -1;
        if (s->spelling == PLAIN) chan_recv(s->ch, &v);
        if (s->spelling == ALONE) chan_select { on_recv(s->ch, &v) {} }
        if (s->spelling == BESIDE) chan_select {
            on_recv(s->ch, &v)   {}
            on_send(s->never, 1) { NEVER("nobody receives there"); }
        }
        bad += v != i;
    }
    CHECK_EQ(bad, 0);
}

TEST(every_spelling_of_send_meets_every_spelling_of_receive) { // case 64 *24
    for (int i = 0; i < SPELLINGS * SPELLINGS * 3; i++) {
        struct crowd crowd = {0};
        chan(int) ch = chan_make(int, 0), not_in = chan_make(int, 0), not_out = chan_make(int, 0);
        int kind = i / (SPELLINGS * SPELLINGS), n = (int)test_rounds(kind ? 2000 : 10000);
        struct spelled send = { ch, not_in, i % SPELLINGS, n };
        struct spelled recv = { ch, not_out, i / SPELLINGS % SPELLINGS, n };
        crowd_add(&crowd, kind == 1, send_spelled, &send);
        crowd_add(&crowd, kind == 2, recv_spelled, &recv);
        crowd_join(&crowd);
        free_all((chan(int)[]){ ch, not_in, not_out }, 3);
    }
}

struct duel {
    chan(int) a, b;
    int n, role;
    int sent_a, sent_b, got_a, got_b;
};

// Roles 0 and 1 receive and send on both, in opposite orders; 2 and 3 do one of each.
PARTY(duel, struct duel, d) {
    for (int i = 0; i < d->n; i++) {
        switch (d->role) {
        case 0:
            chan_select {
                on_recv(d->a, NULL) { d->got_a++; }
                on_recv(d->b, NULL) { d->got_b++; }
            }
            break;
        case 1:
            chan_select {
                on_send(d->b, i) { d->sent_b++; }
                on_send(d->a, i) { d->sent_a++; }
            }
            break;
        case 2:
            chan_select {
                on_send(d->a, i)    { d->sent_a++; }
                on_recv(d->b, NULL) { d->got_b++; }
            }
            break;
        case 3:
            chan_select {
                on_send(d->b, i)    { d->sent_b++; }
                on_recv(d->a, NULL) { d->got_a++; }
            }
            break;
        }
    }
}

TEST(selects_on_two_channels_in_opposite_order_meet_in_whole_rendezvous) { // case 64 *24
    for (int i = 0; i < 8; i++) {
        struct crowd crowd = {0};
        int pairs = i < 4 ? 1 : 3;
        int n = (int)test_rounds(i & 2 ? 4000 : 20000) / pairs;
        chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
        struct duel d[6];
        for (int k = 0; k < 2 * pairs; k++) {
            d[k] = (struct duel){ .a = a, .b = b, .n = n, .role = (i & 1 ? 2 : 0) + k % 2 };
            crowd_add(&crowd, i & 2 && k == 0, duel, &d[k]);
        }
        crowd_join(&crowd);
        int balance_a = 0, balance_b = 0, total = 0;
        for (int k = 0; k < 2 * pairs; k++) {
            balance_a += d[k].sent_a - d[k].got_a;
            balance_b += d[k].sent_b - d[k].got_b;
            total += d[k].sent_a + d[k].sent_b;
        }
        CHECK_EQ(balance_a, 0);
        CHECK_EQ(balance_b, 0);
        CHECK_EQ(total, n * pairs);
        chan_free(a);
        chan_free(b);
    }
}
