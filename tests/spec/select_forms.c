// select_forms.c - every form of a select of one to three cases, enumerated: each case a
// receive or a send; a default or a timeout first, last or nowhere; fair or ordered; each
// subset of its channels ready. Every operand leaves a letter, so that a trace shows that it
// was evaluated once and in the order written, whichever case then runs.
#include "spec.h"

enum { EXTRA = 9 };             // the default's or the timeout's body ran

static chan(int) channel[3];
static int out[3];
static char trace[32];
static int traced;

static void note(char c) {
    if (traced < (int)sizeof trace - 1) trace[traced++] = c;
}

static chan(int) ch(int k) { note((char)('0' + k)); return channel[k]; }
static int *to(int k)      { note('r'); return &out[k]; }
static int val(int k)      { note('s'); return 100 + k; }
static int64_t ns(void)    { note('t'); return 0; }

// The pieces of a form.
#define CASE_r(k) on_recv(ch(k), to(k)) { ran = k; }
#define CASE_s(k) on_send(ch(k), val(k)) { ran = k; }
#define EXTRA_none
#define EXTRA_default on_default { ran = EXTRA; }
#define EXTRA_timeout on_timeout(ns()) { ran = EXTRA; }

// A form is a function; it returns what ran.
#define FORM(name, select, first, cases, last)                                             \
    static int name(void) {                                                                \
        int ran = -1;                                                                      \
        select { EXTRA_##first cases EXTRA_##last }                                        \
        return ran;                                                                        \
    }

#define FORM_FAIR(id, first, last, cases)                                                  \
    FORM(fair_##id##_##first##_##last, chan_select, first, cases, last)                    \
    FORM(ordered_##id##_##first##_##last, chan_select_ordered, first, cases, last)

#define FORMS(id, cases)                                                                   \
    FORM_FAIR(id, none, none, cases)                                                       \
    FORM_FAIR(id, default, none, cases)                                                    \
    FORM_FAIR(id, none, default, cases)                                                    \
    FORM_FAIR(id, timeout, none, cases)                                                    \
    FORM_FAIR(id, none, timeout, cases)

#define ROW(id, select, order, first, last)                                                \
    { select##_##id##_##first##_##last, #id, #first, #last, order },
#define ROWS(id, cases)                                                                    \
    ROW(id, fair, false, none, none)        ROW(id, ordered, true, none, none)             \
    ROW(id, fair, false, default, none)     ROW(id, ordered, true, default, none)          \
    ROW(id, fair, false, none, default)     ROW(id, ordered, true, none, default)          \
    ROW(id, fair, false, timeout, none)     ROW(id, ordered, true, timeout, none)          \
    ROW(id, fair, false, none, timeout)     ROW(id, ordered, true, none, timeout)

#define ALL(M)                                                                             \
    M(r, CASE_r(0))                     M(s, CASE_s(0))                                    \
    M(rr, CASE_r(0) CASE_r(1))          M(rs, CASE_r(0) CASE_s(1))                         \
    M(sr, CASE_s(0) CASE_r(1))          M(ss, CASE_s(0) CASE_s(1))                         \
    M(rrr, CASE_r(0) CASE_r(1) CASE_r(2)) M(rrs, CASE_r(0) CASE_r(1) CASE_s(2))            \
    M(rsr, CASE_r(0) CASE_s(1) CASE_r(2)) M(rss, CASE_r(0) CASE_s(1) CASE_s(2))            \
    M(srr, CASE_s(0) CASE_r(1) CASE_r(2)) M(srs, CASE_s(0) CASE_r(1) CASE_s(2))            \
    M(ssr, CASE_s(0) CASE_s(1) CASE_r(2)) M(sss, CASE_s(0) CASE_s(1) CASE_s(2))

ALL(FORMS)

static const struct form {
    int (*run)(void);
    const char *kinds, *first, *last;
    bool ordered;
} forms[] = { ALL(ROWS) };

enum { FORM_COUNT = sizeof forms / sizeof *forms };

static const char *wanted_trace(const struct form *f) {
    static char want[32];
    char *at = want;
    if (*f->first == 't') *at++ = 't';
    for (int k = 0; f->kinds[k]; k++) {
        *at++ = (char)('0' + k);
        *at++ = f->kinds[k];
    }
    if (*f->last == 't') *at++ = 't';
    *at = 0;
    return want;
}

static bool has_extra(const struct form *f) { return f->first[0] != 'n' || f->last[0] != 'n'; }

// Buffers of one: a receive is ready on a full one, a send on an empty one.
static void set_up(const struct form *f, int ready) {
    for (int k = 0; f->kinds[k]; k++) {
        channel[k] = chan_make(int, 1);
        bool full = (f->kinds[k] == 'r') == (ready >> k & 1);
        if (full) CHECK_EQ(chan_send(channel[k], 10 + k), 0);
        out[k] = -1;
    }
    traced = 0;
    memset(trace, 0, sizeof trace);
}

// That exactly case ran had its effect; k's own value is in the channel or in out[k].
static void check_effects(const struct form *f, int ready, int ran) {
    for (int k = 0; f->kinds[k]; k++) {
        bool receives = f->kinds[k] == 'r', was_full = receives == (ready >> k & 1);
        if (k == ran && receives) {
            CHECK_EQ(out[k], 10 + k);
            CHECK_EQ(chan_len(channel[k]), 0);
        } else if (k == ran) {
            CHECK_EQ(chan_get(channel[k]), 100 + k);
        } else {
            CHECK_EQ(out[k], -1);
            CHECK_EQ(chan_len(channel[k]), was_full);
            if (was_full) CHECK_EQ(chan_get(channel[k]), 10 + k);
        }
    }
}

static void take_down(const struct form *f) {
    for (int k = 0; f->kinds[k]; k++) chan_free(channel[k]);
}

static void check_form(const struct form *f, int ready) {
    set_up(f, ready);
    int ran = f->run();
    CHECK_STR(trace, wanted_trace(f));
    if (ready == 0) {
        CHECK_EQ(ran, EXTRA);
    } else {
        CHECK(ran >= 0 && ran < 3 && ready >> ran & 1);
        if (f->ordered) CHECK_EQ(ran, __builtin_ctz((unsigned)ready));
    }
    check_effects(f, ready, ran);
    take_down(f);
}

TEST(every_form_evaluates_its_operands_once_in_order_and_runs_one_ready_case) { // case 56 *21
    for (int i = 0; i < FORM_COUNT; i++) {
        int subsets = 1 << strlen(forms[i].kinds);
        for (int ready = has_extra(&forms[i]) ? 0 : 1; ready < subsets; ready++) {
            check_form(&forms[i], ready);
        }
    }
}

TASK(make_ready, chan(int), target, bool, by_send, int, value) {
    if (by_send) CHECK_EQ(chan_send(target, value), 0);
    else CHECK_EQ(chan_recv(target, NULL), 0);
}

TEST(every_form_that_blocks_is_woken_by_any_of_its_cases) { // case 56 *21, 41
    for (int i = 0; i < FORM_COUNT; i++) {
        const struct form *f = &forms[i];
        if (has_extra(f)) continue;
        for (int k = 0; f->kinds[k]; k++) {
            waitgroup wg = {0};
            set_up(f, 0);
            CHECK_EQ(wg_go(&wg, make_ready, channel[k], f->kinds[k] == 'r', 10 + k), 0);
            int ran = f->run();
            CHECK_STR(trace, wanted_trace(f));
            CHECK_EQ(ran, k);
            check_effects(f, 0, ran);
            wg_wait(&wg);
            take_down(f);
        }
    }
}

TEST(every_form_finds_a_closed_channel_ready) { // case 56 *21, 24
    for (int i = 0; i < FORM_COUNT; i++) {
        const struct form *f = &forms[i];
        for (int k = 0; f->kinds[k]; k++) {
            set_up(f, 0);
            CHECK_EQ(chan_close(channel[k]), 0);
            CHECK_EQ(f->run(), k);
            CHECK_STR(trace, wanted_trace(f));
            if (f->kinds[k] == 'r') CHECK_EQ(out[k], 0);
            take_down(f);
        }
    }
}
