// null_and_range.c - channels that are NULL, and the range loop.
#include "spec.h"

//------------------------------------------------------------------------------
// NULL. Calls refuse it; in a select it is a case that never is ready.

TEST(every_call_refuses_a_null_channel) { // case 33
    chan(int) none = NULL;
    chan_receiver(int) in = none;
    chan_sender(int) out = none;
    int v = 5;
    CHECK_EQ(chan_send(none, 1), EINVAL);
    CHECK_EQ(chan_send(out, 1), EINVAL);
    CHECK_EQ(chan_recv(none, &v), EINVAL);
    CHECK_EQ(chan_recv(in, NULL), EINVAL);
    CHECK_EQ(chan_try_send(none, 1), EINVAL);
    CHECK_EQ(chan_try_recv(none, &v), EINVAL);
    CHECK_EQ(chan_send_timeout(none, 1, 0), EINVAL);
    CHECK_EQ(chan_recv_timeout(none, &v, -1), EINVAL);
    CHECK_EQ(chan_close(none), EINVAL);
    CHECK_EQ(v, 5);
    CHECK_EQ(chan_get(none), 0);
    CHECK_EQ(chan_len(none), 0);
    CHECK_EQ(chan_cap(in), 0);
    chan_free(none);
    chan_free(out);
}

TEST(a_null_case_never_fires) { // case 34
    chan(int) none = NULL, ready = chan_make(int, 1);
    int v = 5, bad = 0;
    for (int i = 0; i < 200; i++) {
        int hit = 0;
        chan_select {
            on_recv(none, &v) { bad++; }
            on_send(none, 1)  { bad++; }
            on_default        { hit = 1; }
        }
        bad += hit != 1;
        CHECK_EQ(chan_send(ready, i), 0);
        chan_select {
            on_send(none, 1)   { bad++; }
            on_recv(ready, &v) { hit = 2; }
            on_recv(none, &v)  { bad++; }
        }
        bad += hit != 2 || v != i;
        chan_select {
            on_recv(none, &v)  { bad++; }
            on_send(ready, 7)  { hit = 3; }
        }
        bad += hit != 3 || chan_get(ready) != 7;
    }
    CHECK_EQ(bad, 0);
    chan_free(ready);
}

TEST(a_select_of_nulls_waits_for_its_timeout) { // case 34
    chan(int) none = NULL;
    int v = 5, hit = 0;
    int64_t start = chanrt_now();
    chan_select {
        on_recv(none, &v)         { hit = 1; }
        on_send(none, 1)          { hit = 2; }
        on_timeout(5 * test_unit) { hit = 3; }
    }
    CHECK_EQ(hit, 3);
    CHECK(chanrt_now() - start >= 5 * test_unit);
    CHECK_EQ(v, 5);
    start = chanrt_now();
    chan_case cases[] = { case_recv(none, &v), case_send(none, &v) };
    CHECK_EQ(chan_select_n(cases, 2, 5 * test_unit), -1);
    CHECK(chanrt_now() - start >= 5 * test_unit);
    CHECK_EQ(chan_select_n(cases, 2, 0), -1);
}

// A select that can never end blocks its party like any other, and the detector counts it.
CHILD(select_of_nulls) {
    chan(int) none = NULL;
    chan_select {
        on_recv(none, NULL) { return 3; }
        on_send(none, 1)    { return 3; }
    }
    return 4;
}

CHILD(select_of_nulls_as_an_array) {
    chan(int) none = NULL;
    chan_case cases[] = { case_recv(none, NULL) };
    return 3 + chan_select_n(cases, 1, -1);
}

TASK(select_null_for_ever, chan(int), none) {
    chan_select { on_recv(none, NULL) { _Exit(3); } }
    _Exit(4);
}

CHILD(select_of_nulls_in_a_task) {
    chan(int) done = chan_make(int, 0), none = NULL;
    if (go(select_null_for_ever, none) != 0) return 5;
    chan_recv(done, NULL);
    return 4;
}

TEST(a_select_of_nulls_alone_blocks_for_ever) { // case 34
    if (!test_sees_deadlocks()) return;
    const char *programs[] = {
        "select_of_nulls", "select_of_nulls_as_an_array", "select_of_nulls_in_a_task"
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct test_child r = test_run_child(programs[i], 2000);
        CHECK_EQ(r.status, 2);
        CHECK(strstr(r.out, "fatal error: all tasks are asleep - deadlock!") != NULL);
        test_child_free(&r);
    }
}

TASK(send_numbers, chan_sender(int), out, int, n) {
    for (int i = 0; i < n; i++) CHECK_EQ(chan_send(out, i), 0);
}

TEST(a_case_set_to_null_in_a_loop_is_switched_off) { // case 35
    int n = (int)test_rounds(20000);
    for (size_t cap = 0; cap < 3; cap++) {
        waitgroup wg = {0};
        chan(int) a = chan_make(int, cap), b = chan_make(int, 2 - cap);
        chan(int) from_a = a, from_b = b;
        CHECK_EQ(wg_go(&wg, send_numbers, a, n), 0);
        CHECK_EQ(wg_go(&wg, send_numbers, b, n), 0);
        int got_a = 0, got_b = 0, bad = 0, v;
        while (from_a || from_b) {
            chan_select {
                on_recv(from_a, &v) {
                    bad += v != got_a;
                    if (++got_a == n) from_a = NULL;
                }
                on_recv(from_b, &v) {
                    bad += v != got_b;
                    if (++got_b == n) from_b = NULL;
                }
            }
        }
        wg_wait(&wg);
        CHECK_EQ(bad, 0);
        CHECK_EQ(got_a, n);
        CHECK_EQ(got_b, n);
        chan_free(a);
        chan_free(b);
    }
}

//------------------------------------------------------------------------------
// Range.

TASK(count_to, chan(int), out, int, n) {
    for (int i = 0; i < n; i++) CHECK_EQ(chan_send(out, i), 0);
    CHECK_EQ(chan_close(out), 0);
}

TEST(range_drains_what_was_sent_before_the_close) { // case 36
    for (size_t cap = 0; cap < 4; cap++) {
        waitgroup wg = {0};
        chan(int) ch = chan_make(int, cap);
        CHECK_EQ(wg_go(&wg, count_to, ch, 100), 0);
        int next = 0;
        chan_range(int, v, ch) CHECK_EQ(v, next++);
        CHECK_EQ(next, 100);
        chan_range(int, v, ch) CHECK_EQ(v, -1);      // closed and empty: no turn at all
        wg_wait(&wg);
        chan_free(ch);
    }
}

TEST(range_over_null_has_no_turn) { // case 33, 36
    chan(int) none = NULL;
    chan_range(int, v, none) CHECK_EQ(v, -1);
}

TEST(break_leaves_a_ranged_channel_usable) { // case 36
    chan(int) ch = chan_make(int, 8);
    for (int i = 0; i < 8; i++) CHECK_EQ(chan_send(ch, i), 0);
    chan_range(int, v, ch) {
        if (v == 2) break;
    }
    CHECK_EQ(chan_len(ch), 5);                     // nothing was taken ahead
    CHECK_EQ(chan_get(ch), 3);
    CHECK_EQ(chan_close(ch), 0);
    int sum = 0;
    chan_range(int, v, ch) sum += v;
    CHECK_EQ(sum, 4 + 5 + 6 + 7);
    chan_free(ch);
}

TEST(ranges_nest_also_over_the_same_channel) { // case 36
    chan(int) outer = chan_make(int, 3), inner = chan_make(int, 6);
    for (int i = 0; i < 3; i++) CHECK_EQ(chan_send(outer, i), 0);
    for (int i = 0; i < 6; i++) CHECK_EQ(chan_send(inner, i), 0);
    CHECK_EQ(chan_close(outer), 0);
    int pairs = 0;
    chan_range(int, v, outer) {
        chan_range(int, w, inner) {
            CHECK_EQ(w / 2, v);
            if (++pairs % 2 == 0) break;           // the inner loop only
        }
    }
    CHECK_EQ(pairs, 6);
    for (int i = 0; i < 6; i++) CHECK_EQ(chan_send(inner, i), 0);
    CHECK_EQ(chan_close(inner), 0);
    int turns = 0, sum = 0;
    chan_range(int, v, inner) {
        turns++;
        sum += v;
        chan_range(int, w, inner) sum += w;
    }
    CHECK_EQ(turns, 1);
    CHECK_EQ(sum, 15);
    chan_free(outer);
    chan_free(inner);
}

TEST(a_loop_of_tries_stops_when_the_channel_is_empty) { // case 36
    chan(int) ch = chan_make(int, 5);
    int v, n = 0, err;
    for (int i = 0; i < 5; i++) CHECK_EQ(chan_send(ch, i), 0);
    while ((err = chan_try_recv(ch, &v)) == 0) CHECK_EQ(v, n++);
    CHECK_EQ(err, EAGAIN);
    CHECK_EQ(n, 5);
    chan_free(ch);
}

static int evaluations;

static chan(int) counted(chan(int) ch) {
    evaluations++;
    return ch;
}

TEST(range_evaluates_its_channel_once) { // case 36
    chan(int) ch = chan_make(int, 4);
    for (int i = 0; i < 4; i++) CHECK_EQ(chan_send(ch, i), 0);
    CHECK_EQ(chan_close(ch), 0);
    evaluations = 0;
    int turns = 0;
    chan_range(int, v, counted(ch)) turns += v >= 0;
    CHECK_EQ(turns, 4);
    CHECK_EQ(evaluations, 1);
    chan_free(ch);
}

struct share {
    chan(int) ch;
    atomic_uchar *seen;
};

PARTY(range_share, struct share, s) {
    chan_range(int, v, s->ch) atomic_fetch_add(&s->seen[v], 1);
}

TEST(rangers_of_one_channel_share_its_values_out) { // case 37
    for (size_t cap = 0; cap < 6; cap += 5) {
        struct crowd crowd = {0};
        int n = (int)test_rounds(50000), bad = 0;
        struct share s = { chan_make(int, cap), calloc((size_t)n, sizeof *s.seen) };
        for (int i = 0; i < 6; i++) crowd_add(&crowd, i == 5, range_share, &s);
        for (int i = 0; i < n; i++) bad += chan_send(s.ch, i) != 0;
        CHECK_EQ(chan_close(s.ch), 0);
        crowd_join(&crowd);
        for (int i = 0; i < n; i++) bad += atomic_load(&s.seen[i]) != 1;
        CHECK_EQ(bad, 0);
        free(s.seen);
        chan_free(s.ch);
    }
}

static chan(int) zero_to_nine(void) {
    chan(int) ch = chan_make(int, 10);
    for (int i = 0; i < 10; i++) CHECK_EQ(chan_send(ch, i), 0);
    CHECK_EQ(chan_close(ch), 0);
    return ch;
}

static int return_from_range(chan(int) ch) {
    chan_range(int, v, ch) {
        if (v == 4) return v;
    }
    return -1;
}

static int goto_from_range(chan(int) ch) {
    int last = -1;
    for (int outer = 0; outer < 3; outer++) {
        chan_range(int, v, ch) {
            last = v;
            if (v == 5) goto out;
        }
    }
    return -1;
out:
    return last;
}

TEST(break_continue_return_and_goto_act_on_the_range_one_sees) { // case 38
    chan(int) ch = zero_to_nine();
    int odd = 0, turns = 0;
    for (int i = 0; i < 2; i++) {              // continue and break stay out of this loop
        chan_range(int, v, ch) {
            turns++;
            if (v % 2 == 0) continue;
            odd++;
            if (v == 3) break;
        }
        if (i == 0) CHECK_EQ(turns, 4);
    }
    CHECK_EQ(turns, 10);
    CHECK_EQ(odd, 5);
    chan_free(ch);

    ch = zero_to_nine();
    CHECK_EQ(return_from_range(ch), 4);
    CHECK_EQ(chan_get(ch), 5);
    chan_free(ch);

    ch = zero_to_nine();
    CHECK_EQ(goto_from_range(ch), 5);
    CHECK_EQ(chan_get(ch), 6);
    chan_free(ch);
}

TEST(range_is_one_statement_with_or_without_braces) { // case 38
    chan(int) ch = zero_to_nine();
    int sum = 0, other = 0;
    if (chan_len(ch) == 10)
        chan_range(int, v, ch) sum += v;
    else
        other = 1;
    CHECK_EQ(sum, 45);
    CHECK_EQ(other, 0);
    chan_free(ch);

    ch = zero_to_nine();
    chan_range(int, v, ch)
        if (v < 5) sum -= v;
        else if (v == 7) break;
    CHECK_EQ(sum, 35);
    CHECK_EQ(chan_len(ch), 2);
    chan_free(ch);
}

TEST(a_range_body_may_change_its_variable) { // case 38
    chan(int) ch = zero_to_nine();
    int sum = 0;
    chan_range(int, v, ch) {
        v *= 2;
        sum += v;
    }
    CHECK_EQ(sum, 90);
    chan_free(ch);
}
