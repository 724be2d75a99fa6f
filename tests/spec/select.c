// select.c - what a select does when nothing races: which case, which effects, which flow.
#include "spec.h"

enum { CASES = 5 };

static void make_all(chan(int) *ch, int n, size_t cap) {
    for (int i = 0; i < n; i++) ch[i] = chan_make(int, cap);
}

static void free_all(chan(int) *ch, int n) {
    for (int i = 0; i < n; i++) chan_free(ch[i]);
}

//------------------------------------------------------------------------------
// None, one, some ready.

CHILD(select_without_cases) {
    chan_select {}
    return 3;
}

CHILD(select_n_without_cases) {
    chan_case none[1];
    return 3 + chan_select_n(none, 0, -1);
}

TEST(a_select_without_cases_blocks_for_ever) { // case 39
    if (!test_sees_deadlocks()) return;
    const char *programs[] = { "select_without_cases", "select_n_without_cases" };
    for (int i = 0; i < 2; i++) {
        struct test_child r = test_run_child(programs[i], 2000);
        CHECK_EQ(r.status, 2);
        CHECK(strstr(r.out, "fatal error: all tasks are asleep - deadlock!") != NULL);
        test_child_free(&r);
    }
}

TEST(a_default_alone_runs_at_once_and_a_timeout_alone_sleeps) { // case 39
    int ran = 0;
    int64_t start = chanrt_now();
    chan_select { on_default { ran = 1; } }
    CHECK_EQ(ran, 1);
    CHECK(chanrt_now() - start < 1000 * test_unit);
    start = chanrt_now();
    chan_select { on_timeout(20 * test_unit) { ran = 2; } }
    CHECK_EQ(ran, 2);
    CHECK(chanrt_now() - start >= 20 * test_unit);
    start = chanrt_now();
    chan_case none[1];
    CHECK_EQ(chan_select_n(none, 0, 20 * test_unit), -1);
    CHECK(chanrt_now() - start >= 20 * test_unit);
}

// A select over five channels, receiving or sending; the case that ran, -1 for the default.
static int five(chan(int) *ch, bool sends, int *v, bool may_block) {
    int ran = -2;
    if (sends && may_block) chan_select {
        on_send(ch[0], *v) { ran = 0; }
        on_send(ch[1], *v) { ran = 1; }
        on_send(ch[2], *v) { ran = 2; }
        on_send(ch[3], *v) { ran = 3; }
        on_send(ch[4], *v) { ran = 4; }
    } else if (sends) chan_select {
        on_send(ch[0], *v) { ran = 0; }
        on_send(ch[1], *v) { ran = 1; }
        on_send(ch[2], *v) { ran = 2; }
        on_send(ch[3], *v) { ran = 3; }
        on_send(ch[4], *v) { ran = 4; }
        on_default         { ran = -1; }
    } else if (may_block) chan_select {
        on_recv(ch[0], v) { ran = 0; }
        on_recv(ch[1], v) { ran = 1; }
        on_recv(ch[2], v) { ran = 2; }
        on_recv(ch[3], v) { ran = 3; }
        on_recv(ch[4], v) { ran = 4; }
    } else chan_select {
        on_recv(ch[0], v) { ran = 0; }
        on_recv(ch[1], v) { ran = 1; }
        on_recv(ch[2], v) { ran = 2; }
        on_recv(ch[3], v) { ran = 3; }
        on_recv(ch[4], v) { ran = 4; }
        on_default        { ran = -1; }
    }
    return ran;
}

TEST(the_one_ready_case_of_five_is_found) { // case 40
    chan(int) ch[CASES];
    make_all(ch, CASES, 1);
    for (int i = 0; i < 2 * CASES; i++) {
        int at = i % CASES, v = -1;
        bool may_block = i >= CASES;
        if (!may_block) CHECK_EQ(five(ch, false, &v, false), -1);
        CHECK_EQ(v, -1);
        CHECK_EQ(chan_send(ch[at], 10 + i), 0);
        CHECK_EQ(five(ch, false, &v, may_block), at);
        CHECK_EQ(v, 10 + i);
    }
    for (int i = 0; i < CASES; i++) CHECK_EQ(chan_send(ch[i], 0), 0);
    for (int i = 0; i < 2 * CASES; i++) {
        int at = i % CASES, v = 20 + i;
        bool may_block = i >= CASES;
        if (!may_block) CHECK_EQ(five(ch, true, &v, false), -1);
        CHECK(chan_get(ch[at]) >= 0);
        CHECK_EQ(five(ch, true, &v, may_block), at);
        CHECK_EQ(v, 20 + i);
        CHECK_EQ(chan_len(ch[at]), 1);
    }
    free_all(ch, CASES);
}

struct five_blocked {
    chan(int) *ch;
    bool sends;
    int value, ran;
};

PARTY(run_five, struct five_blocked, f) {
    f->ran = five(f->ch, f->sends, &f->value, true);
}

TEST(a_blocked_select_is_woken_through_any_of_its_cases) { // case 41
    chan(int) ch[CASES];
    for (int i = 0; i < 8 * CASES; i++) {
        struct crowd crowd = {0};
        int at = i % CASES, way = i / CASES;
        bool buffered = way & 4;
        make_all(ch, CASES, buffered);
        struct five_blocked f = { .ch = ch, .sends = way & 1, .value = 50 + i, .ran = -9 };
        for (int k = 0; f.sends && buffered && k < CASES; k++) chan_send(ch[k], k);
        crowd_add(&crowd, way & 2, run_five, &f);
        until_blocked(1);
        if (f.sends) {
            if (buffered) CHECK_EQ(chan_get(ch[at]), at);
            CHECK_EQ(chan_get(ch[at]), 50 + i);
        } else {
            CHECK_EQ(chan_send(ch[at], 100 + i), 0);
        }
        crowd_join(&crowd);
        CHECK_EQ(f.ran, at);
        CHECK_EQ(f.value, f.sends ? 50 + i : 100 + i);
        for (int k = 0; k < CASES; k++) {
            if (!f.sends) CHECK_EQ(chan_len(ch[k]), 0);
            if (!buffered) CHECK_EQ(chan_try_send(ch[k], 0), EAGAIN);
            if (!buffered) CHECK_EQ(chan_try_recv(ch[k], NULL), EAGAIN);
        }
        free_all(ch, CASES);
    }
}

// Four cases on one channel: which one ran.
static int four_ways(chan(int) ch, bool may_block) {
    int ran = -1, v;
    if (may_block) chan_select {
        on_recv(ch, &v) { ran = 0; }
        on_send(ch, 1)  { ran = 1; }
        on_recv(ch, &v) { ran = 2; }
        on_send(ch, 2)  { ran = 3; }
    } else chan_select {
        on_recv(ch, &v) { ran = 0; }
        on_send(ch, 1)  { ran = 1; }
        on_recv(ch, &v) { ran = 2; }
        on_send(ch, 2)  { ran = 3; }
        on_default      { ran = 4; }
    }
    return ran;
}

struct four_run {
    chan(int) ch;
    int n, ran[5];
};

PARTY(run_four_ways, struct four_run, f) {
    for (int i = 0; i < f->n; i++) f->ran[four_ways(f->ch, true)]++;
}

TEST(two_receives_and_two_sends_on_one_channel_are_all_chosen) { // case 45
    chan(int) ch = chan_make(int, 2);
    int ran[5] = {0};
    CHECK_EQ(chan_send(ch, 0), 0);                      // one of two: every case is ready
    for (int i = 0; i < 1000; i++) {
        int which = four_ways(ch, false);
        ran[which]++;
        if (which % 2 == 0) CHECK_EQ(chan_send(ch, 0), 0);
        else chan_get(ch);
    }
    for (int i = 0; i < 4; i++) CHECK(ran[i] > 0);
    CHECK_EQ(ran[4], 0);
    chan_free(ch);

    // Two that meet each other: blocking. Of a few meetings a case may be absent by chance.
    struct crowd crowd = {0};
    struct four_run f[2] = {{ .ch = chan_make(int, 0), .n = 100 + (int)test_rounds(4000) }};
    f[1] = f[0];
    crowd_task(&crowd, run_four_ways, &f[0]);
    crowd_task(&crowd, run_four_ways, &f[1]);
    crowd_join(&crowd);
    for (int i = 0; i < 4; i++) CHECK(f[0].ran[i] + f[1].ran[i] > 0);
    CHECK_EQ(f[0].ran[0] + f[0].ran[2], f[1].ran[1] + f[1].ran[3]);
    chan_free(f[0].ch);
}

TEST(five_duplicates_get_a_fair_share_each) { // case 45
    chan(int) ch = chan_make(int, 1), same[CASES] = { ch, ch, ch, ch, ch };
    enum { TRIALS = 10000 };
    int got[CASES] = {0}, put[CASES] = {0}, v = 0;
    for (int i = 0; i < TRIALS; i++) {
        put[five(same, true, &v, true)]++;
        got[five(same, false, &v, false)]++;
    }
    for (int i = 0; i < CASES; i++) {
        CHECK(put[i] >= TRIALS / CASES / 2);
        CHECK(got[i] >= TRIALS / CASES / 2);
    }
    chan_free(ch);
}

TEST(a_lone_select_does_not_meet_itself) { // case 47
    chan(int) ch = chan_make(int, 0);
    int v = 5, ran = 0;
    CHECK_EQ(four_ways(ch, false), 4);
    chan_select {
        on_recv(ch, &v)             { ran = 1; }
        on_send(ch, 1)              { ran = 2; }
        on_timeout(2 * test_unit)   { ran = 3; }
    }
    CHECK_EQ(ran, 3);
    CHECK_EQ(v, 5);
    chan_case cases[] = { case_send(ch, &v), case_recv(ch, &v) };
    CHECK_EQ(chan_select_n(cases, 2, 2 * test_unit), -1);
    CHECK_EQ(chan_try_send(ch, 1), EAGAIN);
    CHECK_EQ(chan_try_recv(ch, &v), EAGAIN);
    chan_free(ch);
}

TASK(send_after, chan(int), ch, int64_t, wait) {
    task_sleep(wait);
    CHECK_EQ(chan_send(ch, 1), 0);
}

TEST(a_timeout_fires_late_rather_than_early_and_not_at_all_when_beaten) { // case 50
    chan(int) ch = chan_make(int, 0);
    for (int i = 1; i < 8; i++) {
        int ran = 0;
        int64_t wait = i * test_unit, start = chanrt_now();
        chan_select {
            on_recv(ch, NULL)   { ran = 1; }
            on_timeout(wait)    { ran = 2; }
        }
        CHECK_EQ(ran, 2);
        CHECK(chanrt_now() - start >= wait);
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, send_after, ch, test_unit), 0);
        start = chanrt_now();
        chan_select {
            on_recv(ch, NULL)               { ran = 1; }
            on_timeout(100 * CHANRT_SECOND) { ran = 2; }
        }
        CHECK_EQ(ran, 1);
        CHECK(chanrt_now() - start < 50 * CHANRT_SECOND);
        wg_wait(&wg);
    }
    chan_free(ch);
}

TEST(of_several_timeouts_the_shortest_fires) { // case 50
    chan(int) ch = chan_make(int, 0);
    int ran = 0;
    chan_select {
        on_timeout(100 * CHANRT_SECOND) { ran = 1; }
        on_recv(ch, NULL)               { ran = 2; }
        on_timeout(test_unit)           { ran = 3; }
    }
    CHECK_EQ(ran, 3);
    chan_free(ch);
}

TEST(two_ready_cases_of_both_kinds_are_both_done_in_the_end) { // case 53
    chan(int) in = chan_make(int, 100), out = chan_make(int, 100);
    for (int i = 0; i < 50; i++) CHECK_EQ(chan_send(in, i), 0);
    int got = 0, put = 0, v;
    while (got < 50 || put < 50) {
        chan_select {
            on_recv(got < 50 ? in : NULL, &v)   { CHECK_EQ(v, got++); }
            on_send(put < 50 ? out : NULL, put) { put++; }
        }
        if (got + put < 40) continue;
        CHECK(got > 0);                     // forty tosses of a coin
        CHECK(put > 0);
    }
    for (int i = 0; i < 50; i++) CHECK_EQ(chan_get(out), i);
    chan_free(in);
    chan_free(out);
}

struct relay {
    chan(int) a, b, reply;
    int n;
};

PARTY(serve_both, struct relay, r) {
    int bad = 0;
    for (int i = 0; i < r->n; i++) {
        bad += chan_send(i & 1 ? r->a : r->b, i) != 0;
        bad += chan_get(r->reply) != i;
    }
    CHECK_EQ(bad, 0);
}

TEST(rounds_of_two_receives_stay_in_order) { // case 54
    for (int i = 0; i < 4; i++) {
        struct crowd crowd = {0};
        size_t cap = (size_t)i & 1;
        struct relay r = {
            chan_make(int, cap), chan_make(int, 1 - cap), chan_make(int, 1),
            (int)test_rounds(10000)
        };
        crowd_add(&crowd, i & 2, serve_both, &r);
        int bad = 0;
        for (int k = 0, v = -1; k < r.n; k++) {
            chan_select {
                on_recv(r.a, &v) { bad += v != k || !(k & 1); }
                on_recv(r.b, &v) { bad += v != k || (k & 1); }
            }
            bad += chan_send(r.reply, v) != 0;
        }
        CHECK_EQ(bad, 0);
        crowd_join(&crowd);
        free_all((chan(int)[]){ r.a, r.b, r.reply }, 3);
    }
}

PARTY(take_both, struct relay, r) {
    int bad = 0;
    for (int i = 0; i < r->n; i++) {
        int v = chan_get(i & 1 ? r->a : r->b);
        bad += v != i;
        bad += chan_send(r->reply, v) != 0;
    }
    CHECK_EQ(bad, 0);
}

TEST(rounds_of_two_sends_and_of_mixed_cases_stay_in_order) { // case 54
    for (int mixed = 0; mixed < 2; mixed++) {
        struct crowd crowd = {0};
        struct relay r = {
            chan_make(int, 0), chan_make(int, 0), chan_make(int, 1), (int)test_rounds(10000)
        };
        crowd_task(&crowd, take_both, &r);
        int bad = 0, v;
        for (int sent = 0, got = 0; got < r.n;) {
            if (mixed) chan_select {
                on_send(sent == got ? r.a : NULL, sent) { bad += !(sent++ & 1); }
                on_send(sent == got ? r.b : NULL, sent) { bad += sent++ & 1; }
                on_recv(r.reply, &v)                    { bad += v != got++; }
            } else {
                chan_select {
                    on_send(r.a, sent) { bad += !(sent++ & 1); }
                    on_send(r.b, sent) { bad += sent++ & 1; }
                }
                bad += chan_get(r.reply) != got++;
            }
        }
        CHECK_EQ(bad, 0);
        crowd_join(&crowd);
        free_all((chan(int)[]){ r.a, r.b, r.reply }, 3);
    }
}

//------------------------------------------------------------------------------
// Operands and results.

static int calls;

static chan(int) counted_chan(chan(int) ch) { calls++; return ch; }
static int counted_value(int v)             { calls++; return v; }
static int *counted_out(int *p)             { calls++; return p; }

TEST(operands_are_evaluated_once_whether_or_not_their_case_runs) { // case 56 *21
    chan(int) ready = chan_make(int, 1), never = chan_make(int, 0);
    int v = 0, w = 0, ran = 0;
    CHECK_EQ(chan_send(ready, 1), 0);
    calls = 0;
    chan_select {
        on_recv(counted_chan(never), counted_out(&w)) { ran = 1; }
        on_send(counted_chan(never), counted_value(1)) { ran = 2; }
        on_recv(counted_chan(ready), counted_out(&v)) { ran = 3; }
        on_send(counted_chan(NULL), counted_value(2)) { ran = 4; }
        on_recv(counted_chan(NULL), counted_out(&w))  { ran = 5; }
    }
    CHECK_EQ(ran, 3);
    CHECK_EQ(calls, 10);
    calls = 0;
    chan_select {
        on_recv(counted_chan(never), counted_out(&w)) { ran = 1; }
        on_send(counted_chan(never), counted_value(1)) { ran = 2; }
        on_timeout(counted_value(7))                   { ran = 7; }
    }
    CHECK_EQ(ran, 7);
    CHECK_EQ(calls, 5);
    calls = 0;
    CHECK_EQ(chan_send(counted_chan(ready), counted_value(5)), 0);
    CHECK_EQ(chan_try_send(counted_chan(ready), counted_value(5)), EAGAIN);
    CHECK_EQ(chan_send_timeout(counted_chan(ready), counted_value(5), counted_value(1)), ETIMEDOUT);
    CHECK_EQ(chan_recv(counted_chan(ready), counted_out(&v)), 0);
    CHECK_EQ(chan_try_recv(counted_chan(ready), counted_out(&v)), EAGAIN);
    CHECK_EQ(chan_recv_timeout(counted_chan(ready), counted_out(&v), counted_value(1)), ETIMEDOUT);
    CHECK_EQ(calls, 2 + 2 + 3 + 2 + 2 + 3);
    calls = 0;
    CHECK_EQ(chan_get((chan_close(ready), counted_chan(ready))), 0);
    CHECK_EQ(chan_len(counted_chan(never)) + chan_cap(counted_chan(never)), 0);
    CHECK_EQ(calls, 3);
    calls = 0;
    chan_free(counted_chan(chan_ref(counted_chan(never))));
    CHECK_EQ(calls, 2);
    chan_free(ready);
    chan_free(never);
}

TEST(an_out_variable_is_written_only_when_its_case_is_chosen) { // case 57
    chan(int) a = chan_make(int, 1), b = chan_make(int, 1);
    int va = 1, vb = 2;
    CHECK_EQ(chan_send(b, 9), 0);
    chan_select {
        on_recv(a, &va) { NEVER("a is empty"); }
        on_recv(b, &vb) { CHECK_EQ(select_err(), 0); }
    }
    CHECK_EQ(va, 1);
    CHECK_EQ(vb, 9);
    chan_select {
        on_recv(a, &va)             { NEVER("a is empty"); }
        on_recv(b, &vb)             { NEVER("b is empty"); }
        on_timeout(test_unit)       {}
    }
    chan_select {
        on_recv(a, &va) { NEVER("a is empty"); }
        on_recv(b, &vb) { NEVER("b is empty"); }
        on_default      {}
    }
    CHECK_EQ(va, 1);
    CHECK_EQ(vb, 9);
    CHECK_EQ(chan_close(a), 0);
    chan_select {
        on_recv(a, &va) { CHECK_EQ(select_err(), EPIPE); }
        on_recv(b, &vb) { NEVER("b is empty"); }
    }
    CHECK_EQ(va, 0);
    CHECK_EQ(vb, 9);
    chan_free(a);
    chan_free(b);
}

TEST(a_select_discards_into_null_and_takes_a_brace_initialiser) { // case 57, 71
    struct point { int x, y; } p = { 5, 6 };
    chan(struct point) ch = chan_make(struct point, 2);
    chan_select { on_send(ch, { .x = 1, .y = 2 }) {} }
    chan_select { on_send(ch, { 3, 4 })           {} }
    chan_select { on_recv(ch, NULL)               {} }
    chan_select { on_recv(ch, &p)                 {} }
    CHECK_EQ(p.x, 3);
    CHECK_EQ(p.y, 4);
    chan_free(ch);
}

//------------------------------------------------------------------------------
// Flow.

// Each leaves its select by the same statement in a 1-, 2- or 3-case form.
#define FLOW(n, statement)                                                                 \
    if ((n) == 1) {                                                                        \
        chan_select { on_recv(ch, &v) { statement; trace += 100; } }                       \
    } else if ((n) == 2) {                                                                 \
        chan_select {                                                                      \
            on_recv(never, NULL) { trace += 1000; }                                        \
            on_recv(ch, &v)      { statement; trace += 100; }                              \
        }                                                                                  \
    } else {                                                                               \
        chan_select {                                                                      \
            on_recv(ch, &v)      { statement; trace += 100; }                              \
            on_send(never, 1)    { trace += 1000; }                                        \
            on_default           { trace += 1000; }                                        \
        }                                                                                  \
    }

static int leave(int n, char how, chan(int) ch, chan(int) never) {
    int trace = 0, v = 0;
    for (int turn = 0; turn < 2; turn++) {
        switch (how) {
        case 'b': FLOW(n, if (v) break) break;
        case 'c': FLOW(n, if (v) continue) break;
        case 'r': FLOW(n, if (v) return 50 + trace) break;
        case 'g': FLOW(n, if (v) goto out) break;
        default: FLOW(n, (void)0) break;
        }
        trace++;                     // a select that is left lets its loop go on
    }
    return trace;
out:
    return 60 + trace;
}

TEST(break_and_continue_leave_the_select_return_and_goto_go_where_they_say) { // case 58 *22
    chan(int) ch = chan_make(int, 2), never = chan_make(int, 0);
    for (int n = 1; n <= 3; n++) {
        static const struct { char how; int want; } flows[] = {
            { 'b', 2 }, { 'c', 2 }, { 'r', 50 }, { 'g', 60 }, { ' ', 202 }
        };
        for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
            while (chan_try_send(ch, 1) == 0) continue;
            CHECK_EQ(leave(n, flows[i].how, ch, never), flows[i].want);
        }
    }
    // What was left by return or goto may not be linked anywhere any more.
    CHECK_EQ(chan_try_send(never, 1), EAGAIN);
    CHECK_EQ(chan_try_recv(never, NULL), EAGAIN);
    chan_free(ch);
    chan_free(never);
}

static int return_a_woken_value(chan(int) ch, chan(int) never) {
    int v;
    for (;;) {
        chan_select {
            on_recv(never, NULL) { return -1; }
            on_recv(ch, &v)      { return v; }
            on_recv(ch, &v)      { return v; }
        }
    }
}

TEST(return_out_of_a_select_that_had_blocked_leaves_nothing_behind) { // case 58 *22
    chan(int) ch = chan_make(int, 0), never = chan_make(int, 0);
    for (int i = 0; i < 100; i++) {
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, send_after, ch, i % 4 ? 0 : test_unit / 2), 0);
        CHECK_EQ(return_a_woken_value(ch, never), 1);
        wg_wait(&wg);
        CHECK_EQ(chan_try_send(ch, 1), EAGAIN);
        CHECK_EQ(chan_try_send(never, 1), EAGAIN);
    }
    chan_free(ch);
    chan_free(never);
}

TEST(a_select_is_one_statement) { // case 58 *22
    chan(int) ch = chan_make(int, 1);
    int ran = 0;
    for (int i = 0; i < 4; i++)
        if (i & 1)
            chan_select { on_recv(ch, &ran) { ran += 10; } }
        else
            chan_select { on_send(ch, i) {} }
    CHECK_EQ(ran, 12);
    chan_free(ch);
}

TEST(a_select_in_a_switch_and_a_switch_in_a_select_keep_apart) { // case 58 *22
    chan(int) ch = chan_make(int, 1);
    int trace = 0, v = 0;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(chan_send(ch, i), 0);
        switch (i) {
        case 0:
        case 1:
            chan_select {
                on_recv(ch, &v) {
                    switch (v) {
                    case 0: trace += 1; break;
                    default: trace += 10; break;
                    }
                    trace += 100;
                }
            }
            trace += 1000;
            break;
        default:
            trace += 10000;
        }
    }
    CHECK_EQ(trace, 1 + 10 + 200 + 2000 + 10000);
    chan_free(ch);
}

TEST(selects_nest_and_their_results_stay_apart) { // case 59
    chan(int) a = chan_make(int, 2), b = chan_make(int, 2);
    for (int i = 0; i < 2; i++) CHECK_EQ(chan_send(a, i), 0);
    CHECK_EQ(chan_close(b), 0);
    int v, w, trace = 0;
    for (int i = 0; i < 2; i++) {
        chan_select {
            on_recv(a, &v) {
                CHECK_EQ(select_err(), 0);
                chan_select {
                    on_default      { NEVER("b is closed, so it is ready"); }
                    on_recv(b, &w) {
                        CHECK_EQ(select_err(), EPIPE);
                        chan_select { on_default { trace += 1; break; } }
                        if (i == 0) break;
                        trace += 10;
                    }
                }
                CHECK_EQ(select_err(), 0);          // the outer one again
                trace += 100;
            }
        }
    }
    CHECK_EQ(trace, 212);
    chan_free(a);
    chan_free(b);
}

static int select_a_value(chan(int) from) {
    int v = -1;
    chan_select { on_recv(from, &v) {} }
    return v;
}

TEST(the_value_of_a_send_case_may_itself_receive_or_select) { // case 59
    chan(int) from = chan_make(int, 4), to = chan_make(int, 4);
    for (int i = 0; i < 4; i++) CHECK_EQ(chan_send(from, i), 0);
    chan_select { on_send(to, chan_get(from)) {} }
    chan_select { on_send(to, select_a_value(from)) {} on_send((chan(int))NULL, chan_get(from)) {} }
    CHECK_EQ(chan_send(to, chan_get(from)), 0);
    CHECK_EQ(chan_get(to), 0);
    CHECK_EQ(chan_get(to), 1);
    CHECK_EQ(chan_get(to), 3);              // 2 went to the NULL case, which never ran
    CHECK_EQ(chan_len(from), 0);
    chan_free(from);
    chan_free(to);
}

//------------------------------------------------------------------------------
// The ordered form, the array form, many cases.

TEST(an_ordered_select_takes_the_first_ready_case) { // case 62
    chan(int) a = chan_make(int, 2), b = chan_make(int, 2), c = chan_make(int, 2);
    for (int i = 0; i < 1000; i++) {
        int ran = 0, v;
        bool a_ready = i & 1, b_ready = i & 2;
        if (a_ready) CHECK_EQ(chan_send(a, 1), 0);
        if (b_ready) CHECK_EQ(chan_send(b, 1), 0);
        chan_select_ordered {
            on_recv(a, &v) { ran = 1; }
            on_recv(b, &v) { ran = 2; }
            on_send(c, 1)  { ran = 3; }
            on_default     { ran = 4; }
        }
        int want = a_ready ? 1 : b_ready ? 2 : 3;
        CHECK_EQ(ran, want);
        while (chan_try_recv(a, NULL) == 0 || chan_try_recv(b, NULL) == 0) continue;
        chan_try_recv(c, NULL);
    }
    chan_free(a);
    chan_free(b);
    chan_free(c);
}

TEST(an_ordered_select_blocks_like_any_other) { // case 62
    chan(int) a = chan_make(int, 0), b = chan_make(int, 0);
    for (int i = 0; i < 20; i++) {
        waitgroup wg = {0};
        int ran = 0;
        CHECK_EQ(wg_go(&wg, send_after, i & 1 ? a : b, test_unit / 5), 0);
        chan_select_ordered {
            on_recv(a, NULL)                { ran = 1; }
            on_recv(b, NULL)                { ran = 2; }
            on_timeout(100 * CHANRT_SECOND) { ran = 3; }
        }
        CHECK_EQ(ran, i & 1 ? 1 : 2);
        wg_wait(&wg);
    }
    chan_free(a);
    chan_free(b);
}

#define TWENTY(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) \
    M(10) M(11) M(12) M(13) M(14) M(15) M(16) M(17) M(18) M(19)

static int twenty(chan(int) *ch, int *v) {
    int ran = -1;
    chan_select {
#define TAKE(i) on_recv(ch[i], v) { ran = i; }
        TWENTY(TAKE)
    }
    return ran;
}

struct many {
    chan(int) *ch;
    int n, ran, value;
};

PARTY(wait_for_one_of_twenty, struct many, m) { m->ran = twenty(m->ch, &m->value); }

TEST(a_select_of_twenty_cases_finds_each_blocked_and_ready) { // case 63
    chan(int) ch[20];
    make_all(ch, 20, 0);
    for (int i = 0; i < 40; i++) {
        struct crowd crowd = {0};
        struct many m = { ch, 20, -1, -1 };
        crowd_add(&crowd, i & 1, wait_for_one_of_twenty, &m);
        if (i < 20) until_blocked(1);
        CHECK_EQ(chan_send(ch[i % 20], i), 0);
        crowd_join(&crowd);
        CHECK_EQ(m.ran, i % 20);
        CHECK_EQ(m.value, i);
        for (int k = 0; k < 20; k++) CHECK_EQ(chan_try_send(ch[k], 0), EAGAIN);
    }
    free_all(ch, 20);
}

PARTY(wait_for_one_of_many, struct many, m) {
    chan_case *cases = calloc((size_t)m->n, sizeof *cases);
    for (int i = 0; i < m->n; i++) cases[i] = case_recv(m->ch[i], &m->value);
    m->ran = chan_select_n(cases, m->n, -1);
    free(cases);
}

TEST(a_select_of_a_thousand_cases_works_on_a_small_stack) { // case 63
    enum { MANY = 1000 };
    static chan(int) ch[MANY];
    make_all(ch, MANY, 0);
    for (int i = 0; i < 10; i++) {
        struct crowd crowd = {0};
        struct many m = { ch, MANY, -1, -1 };
        int at = i * 111 % MANY;
        crowd_add(&crowd, i & 1, wait_for_one_of_many, &m);
        until_blocked(1);
        CHECK_EQ(chan_send(ch[at], i), 0);
        crowd_join(&crowd);
        CHECK_EQ(m.ran, at);
        CHECK_EQ(m.value, i);
        int left = 0;
        for (int k = 0; k < MANY; k++) left += chan_try_send(ch[k], 0) != EAGAIN;
        CHECK_EQ(left, 0);
    }
    free_all(ch, MANY);
}

TEST(rounds_of_select_beside_a_quiet_channel_take_no_memory) { // case 65
    struct crowd crowd = {0};
    struct relay r = {
        chan_make(int, 0), chan_make(int, 0), chan_make(int, 1), (int)test_rounds(100000)
    };
    chan(int) quiet = chan_make(int, 0);
    crowd_task(&crowd, serve_both, &r);
    long held = 0;
    int bad = 0;
    for (int i = 0, v = -1; i < r.n; i++) {
        chan_select {
            on_recv(quiet, &v) { bad++; }
            on_recv(r.a, &v)   {}
            on_recv(r.b, &v)   {}
        }
        bad += v != i;
        bad += chan_send(r.reply, v) != 0;
        if (i == r.n / 2) held = test_alloc_live();
    }
    CHECK(test_alloc_live() <= held + 4);      // a free list may still have grown a little
    CHECK_EQ(bad, 0);
    crowd_join(&crowd);
    CHECK_EQ(chan_try_send(quiet, 1), EAGAIN);
    free_all((chan(int)[]){ r.a, r.b, r.reply, quiet }, 4);
}

TEST(one_array_of_cases_serves_ten_thousand_selects) { // case 66
    chan(int) in = chan_make(int, 1), out = chan_make(int, 1), none = NULL;
    int got = -1, put = 0, bad = 0;
    chan_case cases[] = { case_recv(in, &got), case_send(out, &put), case_recv(none, NULL) };
    for (int i = 0; i < test_rounds(10000); i++) {
        bad += chan_select_n(cases, 3, -1) != 1;    // only out has room
        bad += cases[1].err != 0;
        bad += chan_send(in, i) != 0;
        bad += chan_select_n(cases, 3, 0) != 0 || got != i || cases[0].err != 0;
        bad += chan_select_n(cases, 3, 0) != -1;
        bad += chan_get(out) != put++;
    }
    CHECK_EQ(bad, 0);
    chan_close(in);
    chan_send(out, 1);
    CHECK_EQ(chan_select_n(cases, 3, -1), 0);
    CHECK_EQ(cases[0].err, EPIPE);
    CHECK_EQ(got, 0);
    chan_free(in);
    chan_free(out);
}

TEST(closed_and_ready_channels_are_equally_eligible) { // case 67
    enum { TRIALS = 10000 };
    chan(int) closed = chan_make(int, 0), open = chan_make(int, 1), never = chan_make(int, 0);
    CHECK_EQ(chan_close(closed), 0);
    CHECK_EQ(chan_send(open, 1), 0);
    int from_closed = 0, from_open = 0, to_closed = 0, bad = 0;
    for (int i = 0; i < TRIALS; i++) {
        chan_select {
            on_recv(closed, NULL) { from_closed += select_err() == EPIPE; }
            on_recv(never, NULL)  { bad++; }
            on_recv(open, NULL)   { from_open += select_err() == 0; chan_send(open, 1); }
            on_send(closed, 1)    { to_closed += select_err() == EPIPE; }
            on_default            { bad++; }
        }
    }
    CHECK_EQ(bad, 0);
    CHECK_EQ(from_closed + from_open + to_closed, TRIALS);
    CHECK(from_closed > TRIALS / 4);
    CHECK(from_open > TRIALS / 4);
    CHECK(to_closed > TRIALS / 4);
    chan_free(closed);
    chan_free(open);
    chan_free(never);
}
