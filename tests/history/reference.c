// reference.c - the checker itself is checked: histories of a simulated channel that is right are
// all accepted, and those of a dozen that are wrong in one way are rejected.
#define CHANRT_IMPLEMENTATION
#include "test.h"
#include "program.h"

enum bug {
    NO_BUG, DOUBLED, OVERWRITTEN, LAST_IN_FIRST_OUT, SENT_TO_NOBODY, CLOSE_DROPS,
    SENT_AFTER_CLOSE, SENDER_NOT_LET_IN, TWO_CASES_RUN, DEFAULT_POLLS, TRY_MISSES,
    CLOSE_WAKES_ONE, TIMED_OUT_BUT_SENT, OVERTAKEN, MEETS_ITSELF, CLOSED_TWICE, BUGS
};

enum { IDLE, CALLED, WAITING, ENDED, DONE };

// One simulation: in each step some task goes on a little.
struct sim {
    enum bug bug;
    uint32_t dice;
    unsigned clock;
    struct program p;
    struct h_state s;
    struct {
        int at, phase, polled;   // polled: cases looked at one by one, DEFAULT_POLLS
        unsigned since;          // when it began to wait
    } task[P_TASKS + 1];
    bool settled;
};

static struct h_op *step_of(struct sim *s, int t) {
    return &s->p.step[t][s->task[t].at];
}

static void end(struct sim *s, int t, int chosen, int err, int got) {
    struct h_op *o = step_of(s, t);
    o->chosen = chosen;
    o->err = err;
    o->got = got;
    s->task[t].phase = ENDED;
}

// Who waits on c in that direction, the first that came; -1: nobody.
static int first_waiter(struct sim *s, int me, int c, bool send, int *which) {
    int best = -1;
    for (int t = 0; t <= s->p.tasks; t++) {
        if (s->task[t].phase != WAITING && !(s->bug == MEETS_ITSELF && t == me)) continue;
        if (t == me && s->bug != MEETS_ITSELF) continue;
        const struct h_op *o = step_of(s, t);
        if (t == me && o->n < 2) continue;
        for (int k = 0; k < o->n; k++) {
            if (o->cases[k].chan != c || o->cases[k].send != send) continue;
            if (best >= 0 && s->task[t].since >= s->task[best].since) continue;
            best = t;
            *which = k;
        }
    }
    return best;
}

static void push(struct sim *s, int c, int value) {
    if (s->s.n[c] == 2 || s->s.n[c] >= s->p.cap[c]) s->s.n[c]--;      // OVERWRITTEN only
    if (s->bug == LAST_IN_FIRST_OUT && s->s.n[c] == 1) {
        s->s.buffer[c][1] = s->s.buffer[c][0];
        s->s.buffer[c][0] = (uint8_t)value;
        s->s.n[c]++;
    } else {
        s->s.buffer[c][s->s.n[c]++] = (uint8_t)value;
    }
}

static int pull(struct sim *s, int c) {
    int value = s->s.buffer[c][0];
    if (s->bug == DOUBLED && p_dice(&s->dice) % 4 == 0) return value;
    s->s.buffer[c][0] = s->s.buffer[c][1];
    s->s.buffer[c][1] = 0;
    s->s.n[c]--;
    return value;
}

// Case k of task t, if it is ready.
static bool attempt_send(struct sim *s, int t, int k) {
    const struct h_op *o = step_of(s, t);
    int c = o->cases[k].chan, which = 0, value = o->cases[k].value;
    if (s->s.closed[c] && s->bug != SENT_AFTER_CLOSE) return end(s, t, k, EPIPE, 0), true;
    int r = first_waiter(s, t, c, false, &which);
    if (r >= 0) {
        if (r != t) end(s, r, which, 0, value);
        return end(s, t, k, 0, 0), true;
    }
    if (s->s.n[c] < s->p.cap[c] || (s->bug == OVERWRITTEN && s->p.cap[c] > 0)) {
        push(s, c, value);
        return end(s, t, k, 0, 0), true;
    }
    if (s->bug == SENT_TO_NOBODY && s->p.cap[c] == 0) return end(s, t, k, 0, 0), true;
    return false;
}

static bool attempt_receive(struct sim *s, int t, int k) {
    const struct h_op *o = step_of(s, t);
    int c = o->cases[k].chan, which = 0;
    int sender = first_waiter(s, t, c, true, &which);
    int value = sender >= 0 ? step_of(s, sender)->cases[which].value : 0;
    if (s->s.n[c] > 0) {
        if (s->bug == TRY_MISSES && o->mode == H_TRY && p_dice(&s->dice) % 2) return false;
        end(s, t, k, 0, pull(s, c));
        if (sender < 0 || s->bug == SENDER_NOT_LET_IN || s->s.n[c] == s->p.cap[c]) return true;
        if (s->bug == OVERTAKEN) {          // woken to try again, behind whoever comes meanwhile
            s->task[sender].phase = CALLED;
            return true;
        }
        push(s, c, value);
        end(s, sender, which, 0, 0);
        return true;
    }
    if (sender >= 0) {
        if (sender != t) end(s, sender, which, 0, 0);
        return end(s, t, k, 0, value), true;
    }
    if (s->s.closed[c]) return end(s, t, k, EPIPE, 0), true;
    return false;
}

static bool attempt(struct sim *s, int t, int k) {
    return step_of(s, t)->cases[k].send ? attempt_send(s, t, k) : attempt_receive(s, t, k);
}

static void do_close(struct sim *s, int t) {
    int c = step_of(s, t)->cases[0].chan, which = 0, woken = 0;
    if (s->s.closed[c] && s->bug != CLOSED_TWICE) {
        end(s, t, 0, EPIPE, 0);
        return;
    }
    s->s.closed[c] = 1;
    if (s->bug == CLOSE_DROPS) s->s.n[c] = 0;
    end(s, t, 0, 0, 0);
    for (int send = 0; send < 2; send++)
        for (int w; (w = first_waiter(s, -1, c, send, &which)) >= 0; woken++) {
            if (s->bug == CLOSE_WAKES_ONE && woken > 0) return;
            end(s, w, which, EPIPE, 0);
        }
}

// The step of a task that is in its call and does not wait.
static void act(struct sim *s, int t) {
    struct h_op *o = step_of(s, t);
    if (o->kind == H_CLOSE) {
        do_close(s, t);
        return;
    }
    if (s->bug == DEFAULT_POLLS && o->mode == H_TRY && o->n > 1) {
        if (attempt(s, t, s->task[t].polled)) return;
        if (++s->task[t].polled == o->n) end(s, t, -1, 0, 0);
        return;
    }
    int from = (int)(p_dice(&s->dice) % (uint32_t)o->n);
    for (int i = 0; i < o->n; i++) {
        int k = (from + i) % o->n;
        if (!attempt(s, t, k)) continue;
        if (s->bug == TWO_CASES_RUN && i + 1 < o->n) {
            struct h_op kept = *o;
            attempt(s, t, (from + i + 1) % o->n);
            *o = kept;
        }
        return;
    }
    if (o->mode == H_TRY) end(s, t, -1, 0, 0);
    else s->task[t].phase = WAITING, s->task[t].since = s->clock;
}

// Task t goes on a little. False: it cannot.
static bool go_on(struct sim *s, int t) {
    struct h_op *o = step_of(s, t);
    switch (s->task[t].phase) {
    case IDLE:
        if (t == s->p.tasks && !s->settled) return false;
        if (s->task[t].at == s->p.steps[t]) {
            s->task[t].phase = DONE;
            return true;
        }
        o->call = ++s->clock;
        s->task[t].phase = CALLED;
        s->task[t].polled = 0;
        return true;
    case CALLED:
        act(s, t);
        return true;
    case WAITING:
        if (o->mode != H_TIMED || p_dice(&s->dice) % 4 != 0) return o->mode == H_TIMED;
        if (s->bug == TIMED_OUT_BUT_SENT && o->n == 1 && o->cases[0].send) {
            int which = 0, r = first_waiter(s, t, o->cases[0].chan, false, &which);
            if (r >= 0) end(s, r, which, 0, o->cases[0].value);
        }
        end(s, t, -1, 0, 0);
        return true;
    case ENDED:
        o->ret = ++s->clock;
        s->task[t].at++;
        s->task[t].phase = IDLE;
        return true;
    }
    return false;
}

// TIMED_OUT_BUT_SENT needs a partner that comes between the timeout and the withdrawal.
static void late_delivery(struct sim *s) {
    for (int t = 0; t < s->p.tasks; t++) {
        struct h_op *o = step_of(s, t);
        if (s->task[t].phase != ENDED || o->chosen != -1 || o->mode != H_TIMED || o->n != 1 ||
            !o->cases[0].send)
            continue;
        for (int r = 0; r <= s->p.tasks; r++) {
            struct h_op *other = step_of(s, r);
            if (s->task[r].phase == CALLED && other->kind == H_SELECT && other->n == 1 &&
                !other->cases[0].send && other->cases[0].chan == o->cases[0].chan &&
                !s->s.closed[o->cases[0].chan] && s->s.n[o->cases[0].chan] == 0) {
                end(s, r, 0, 0, o->cases[0].value);
                return;
            }
        }
    }
}

// Runs the program of that seed to its end and writes the history down. False: it hung for good,
// which only a bug does.
static bool simulate(struct history *h, uint32_t seed, enum bug bug) {
    static struct sim s;
    memset(&s, 0, sizeof s);
    p_make(&s.p, seed);
    s.bug = bug;
    s.dice = seed * 40503u + 77;
    unsigned settled = 0;
    for (int turn = 0; turn < 2; turn++) {
        for (bool moved = true; moved;) {
            int from = (int)(p_dice(&s.dice) % (uint32_t)(s.p.tasks + 1));
            if (bug == TIMED_OUT_BUT_SENT) late_delivery(&s);
            moved = false;
            for (int i = 0; i <= s.p.tasks && !moved; i++)
                moved = go_on(&s, (from + i) % (s.p.tasks + 1));
        }
        if (turn == 0) s.settled = true, settled = ++s.clock;
    }
    memcpy(h->cap, s.p.cap, sizeof h->cap);
    h->count = 0;
    for (int t = 0; t <= s.p.tasks; t++) {
        if (s.task[t].at != s.p.steps[t]) return false;
        for (int i = 0; i < s.p.steps[t]; i++) h->op[h->count++] = s.p.step[t][i];
    }
    h->op[h->count++] =
        (struct h_op){ .kind = H_SETTLE, .call = settled, .ret = settled, .task = s.p.tasks };
    return true;
}

static struct history history;

TEST(a_channel_that_is_right_is_never_rejected) {
    long states = 0, most = 0, n = test_rounds(20000);
    for (long seed = 1; seed <= n; seed++) {
        if (!CHECK(simulate(&history, (uint32_t)seed, NO_BUG))) return;
        if (!CHECK(h_check(&history))) {
            printf("seed %ld\n", seed);
            h_print(&history, stdout);
            return;
        }
        states += history.states;
        if (history.states > most) most = history.states;
    }
    printf("%ld histories accepted, %ld states, at most %ld\n", n, states, most);
}

TEST(each_broken_channel_is_rejected) {
    static const char *const names[] = {
        "", "a value received twice", "a full ring overwritten", "last in first out",
        "an unbuffered send to nobody", "close drops what is buffered", "a send after close",
        "a receive lets no blocked sender in", "two cases of a select run",
        "a default polls one channel after the other", "a try misses a value that is there",
        "close wakes one waiter", "a send that timed out is delivered", "a waiter is overtaken",
        "a select meets itself", "a second close succeeds"
    };
    for (int bug = NO_BUG + 1; bug < BUGS; bug++) {
        long hung = 0, rejected = 0, n = 20000;
        uint32_t first = 0;
        for (uint32_t seed = 1; seed <= n; seed++) {
            if (!simulate(&history, seed, (enum bug)bug)) {
                hung++;
                continue;
            }
            if (h_check(&history)) continue;
            if (rejected++ == 0) first = seed;
        }
        if (!CHECK(rejected > 0)) printf("not rejected: %s (%ld hung)\n", names[bug], hung);
        printf("%-45s %4ld of %ld rejected, the first with seed %u\n", names[bug], rejected, n,
               first);
    }
}

// By hand: what the search must tell apart.
static void add(struct history *h, unsigned call, unsigned ret, struct h_op o) {
    o.call = call;
    o.ret = ret;
    h->op[h->count++] = o;
}
static struct h_op sends(int c, int value) {
    return (struct h_op){ .n = 1, .cases = { { true, c, value } } };
}
static struct h_op receives(int c, int got) {
    return (struct h_op){ .n = 1, .cases = { { false, c, 0 } }, .got = got };
}
static void empty(struct history *h, int cap) {
    h->count = 0;
    h->cap[0] = h->cap[1] = cap;
}

TEST(pairs_must_overlap_and_waiters_must_have_had_to_wait) {
    struct history *h = &history;
    struct h_op settle = { .kind = H_SETTLE };
    empty(h, 0);
    add(h, 1, 3, sends(0, 5));
    add(h, 2, 4, receives(0, 5));
    CHECK(h_check(h));
    empty(h, 0);
    add(h, 1, 2, sends(0, 5));
    add(h, 3, 4, receives(0, 5));
    CHECK(!h_check(h));
    empty(h, 1);
    add(h, 1, 2, sends(0, 5));
    add(h, 3, 4, receives(0, 5));
    CHECK(h_check(h));
    empty(h, 1);                          // the receiver sat there although the value was in
    add(h, 1, 2, sends(0, 5));
    add(h, 3, 9, receives(0, 5));
    add(h, 5, 5, settle);
    CHECK(!h_check(h));
    empty(h, 1);                          // order of values
    add(h, 1, 10, sends(0, 5));
    add(h, 11, 20, sends(0, 6));
    add(h, 2, 30, receives(0, 6));
    add(h, 31, 40, receives(0, 5));
    CHECK(!h_check(h));
    empty(h, 0);                          // a try beside a waiter may not give up
    struct h_op tries = receives(0, 0);
    tries.mode = H_TRY;
    tries.chosen = -1;
    add(h, 1, 9, sends(0, 5));
    add(h, 2, 2, settle);
    add(h, 3, 4, tries);
    add(h, 5, 8, receives(0, 5));
    CHECK(!h_check(h));
    h->op[2].call = 6, h->op[2].ret = 7;  // but it may when the waiter may be gone
    CHECK(h_check(h));
}
