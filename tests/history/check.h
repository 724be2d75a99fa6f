// check.h - whether a history of channel operations can have happened: one order of instants, each
// within its operation's call, in which every result is what Go's channels would have given.
//
// Wing and Gong's search with Lowe's memory of (operations placed, state) already tried. Three
// things make channels more than a queue:
//   pairs     on an unbuffered channel a send and a receive happen together, at one instant of both
//   select    is one operation on several channels; giving up (default, timeout) is right only
//             at an instant at which no case was ready
//   blocking  at the instant `settle` nothing moves any more: who is in a call then must have had
//             to wait, is known to wait from then on, and is not overtaken
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { H_CHANS = 2, H_CASES = 3, H_MOST = 48, H_MEMO = 1 << 13 };
enum h_kind { H_SELECT, H_CLOSE, H_SETTLE };   // a send or a receive is a select of one case
enum h_mode { H_BLOCK, H_TRY, H_TIMED };

struct h_op {
    enum h_kind kind;
    enum h_mode mode;
    int n;                     // cases; of a close: its channel is that of the first
    struct { bool send; int chan, value; } cases[H_CASES];
    int chosen, err, got;      // the result: -1 gave up
    unsigned call, ret;        // instants; no two are the same
    int task;
};

struct h_state {
    uint8_t n[H_CHANS], closed[H_CHANS], buffer[H_CHANS][2];
};

struct history {
    int cap[H_CHANS], count;
    struct h_op op[H_MOST];
    // The search.
    uint64_t placed;
    unsigned settle, settled;  // its instant; the same, once it has been placed
    struct { uint64_t placed, state; } memo[H_MEMO];
    long states;
};

static inline bool h_is_placed(const struct history *h, int i) {
    return h->placed >> i & 1;
}

// A case that is ready whoever else is there.
static inline bool h_ready(const struct history *h, const struct h_state *s, const struct h_op *o,
                           int k) {
    int c = o->cases[k].chan;
    if (s->closed[c]) return true;
    return o->cases[k].send ? s->n[c] < h->cap[c] : s->n[c] > 0;
}

// Operation i has a case of that direction on c.
static inline bool h_wants(const struct h_op *o, int c, bool send) {
    for (int k = 0; o->kind == H_SELECT && k < o->n; k++)
        if (o->cases[k].chan == c && o->cases[k].send == send) return true;
    return false;
}

// Somebody other than i and j is known to wait on c in that direction.
static inline bool h_waits(const struct history *h, int i, int j, int c, bool send) {
    for (int w = 0; h->settled != 0 && w < h->count; w++)
        if (w != i && w != j && !h_is_placed(h, w) && h->op[w].call < h->settled &&
            h_wants(&h->op[w], c, send))
            return true;
    return false;
}

static inline bool h_newcomer(const struct history *h, int i) {
    return h->settled != 0 && h->op[i].call > h->settled;
}

// Nothing moves: no operation that is under way could go on, alone or with another.
static inline bool h_settle(struct history *h, const struct h_state *s, int self) {
    for (int i = 0; i < h->count; i++) {
        const struct h_op *o = &h->op[i];
        if (i == self || h_is_placed(h, i) || o->call > h->op[self].call) continue;
        if (o->kind != H_SELECT || o->mode != H_BLOCK) return false;
        for (int k = 0; k < o->n; k++) {
            if (h_ready(h, s, o, k)) return false;
            for (int j = 0; j < h->count; j++)
                if (j != i && j != self && !h_is_placed(h, j) && h->op[j].call < h->op[self].call &&
                    h_wants(&h->op[j], o->cases[k].chan, !o->cases[k].send))
                    return false;
        }
    }
    h->settled = h->op[self].call;
    return true;
}

static inline bool h_give_up(const struct history *h, const struct h_state *s, int i) {
    const struct h_op *o = &h->op[i];
    for (int k = 0; k < o->n; k++)
        if (h_ready(h, s, o, k) || h_waits(h, i, i, o->cases[k].chan, !o->cases[k].send))
            return false;
    return o->mode != H_BLOCK;
}

// Whether operation i may be the next: nobody before it has returned, and who sits still at settle
// has done nothing by then.
static inline bool h_may_be_next(const struct history *h, int i, unsigned first) {
    const struct h_op *o = &h->op[i];
    return !h_is_placed(h, i) && o->call <= first && (h->settled != 0 || o->ret <= h->settle);
}

// Operation i alone, at this instant. False: its result would have been another.
static inline bool h_alone(struct history *h, struct h_state *s, int i) {
    const struct h_op *o = &h->op[i];
    if (o->kind == H_SETTLE) return h_settle(h, s, i);
    int c = o->cases[o->chosen < 0 ? 0 : o->chosen].chan;
    if (o->kind == H_CLOSE) {
        bool was = s->closed[c];
        s->closed[c] = 1;
        return (o->err != 0) == was;
    }
    if (o->chosen < 0) return h_give_up(h, s, i);
    bool send = o->cases[o->chosen].send;
    if (o->err != 0) return s->closed[c] && (send || (s->n[c] == 0 && o->got == 0));
    if (h->cap[c] == 0 || (h_newcomer(h, i) && h_waits(h, i, i, c, send))) return false;
    if (send) {
        if (s->closed[c] || s->n[c] == h->cap[c]) return false;
        s->buffer[c][s->n[c]++] = (uint8_t)o->cases[o->chosen].value;
        return true;
    }
    if (s->n[c] == 0 || s->buffer[c][0] != o->got) return false;
    s->buffer[c][0] = s->buffer[c][1];
    s->buffer[c][1] = 0;
    s->n[c]--;
    return true;
}

// A send i and a receive j, together.
static inline bool h_pair(const struct history *h, const struct h_state *s, int i, int j) {
    const struct h_op *a = &h->op[i], *b = &h->op[j];
    if (a->kind != H_SELECT || b->kind != H_SELECT || a->chosen < 0 || b->chosen < 0) return false;
    int c = a->cases[a->chosen].chan;
    if (a->err != 0 || b->err != 0 || h->cap[c] != 0 || s->closed[c]) return false;
    if (!a->cases[a->chosen].send || b->cases[b->chosen].send || b->cases[b->chosen].chan != c)
        return false;
    if (b->got != a->cases[a->chosen].value) return false;
    if (a->mode == H_TRY && b->mode == H_TRY) return false;      // one of them has to wait
    if (h_newcomer(h, i) && h_newcomer(h, j))
        return !h_waits(h, i, j, c, true) && !h_waits(h, i, j, c, false);
    return true;
}

// Whether the rest could have been tried already; notes it.
static inline bool h_seen(struct history *h, const struct h_state *s) {
    uint64_t state = 0;
    for (int c = 0; c < H_CHANS; c++)
        state = state << 24 | (uint64_t)s->buffer[c][0] << 16 | (uint64_t)s->buffer[c][1] << 8 |
                (uint64_t)(s->n[c] << 1 | s->closed[c]);
    uint64_t hash = (h->placed * 0x9E3779B97F4A7C15u ^ state) * 0xD6E8FEB86659FD93u;
    for (size_t at = hash >> 51, tries = 0; tries < 8; at++, tries++) {
        at %= H_MEMO;
        if (h->memo[at].placed == h->placed && h->memo[at].state == state && h->placed != 0)
            return true;
        if (h->memo[at].placed != 0) continue;
        h->memo[at].placed = h->placed;
        h->memo[at].state = state;
        return false;
    }
    return false;                                                // full: searched again
}

static inline bool h_search(struct history *h, const struct h_state *s) {
    unsigned first = UINT32_MAX;
    h->states++;
    for (int i = 0; i < h->count; i++)
        if (!h_is_placed(h, i) && h->op[i].ret < first) first = h->op[i].ret;
    if (first == UINT32_MAX) return true;
    if (h_seen(h, s)) return false;
    uint64_t placed = h->placed;
    unsigned settled = h->settled;
    for (int i = 0; i < h->count; i++) {
        if (!h_may_be_next(h, i, first)) continue;
        struct h_state next = *s;
        if (h_alone(h, &next, i)) {
            h->placed = placed | (uint64_t)1 << i;
            if (h_search(h, &next)) return true;
        }
        h->placed = placed;
        h->settled = settled;
        for (int j = 0; j < h->count; j++) {
            if (j == i || !h_may_be_next(h, j, first) || !h_pair(h, s, i, j)) continue;
            h->placed = placed | (uint64_t)1 << i | (uint64_t)1 << j;
            if (h_search(h, s)) return true;
            h->placed = placed;
            h->settled = settled;
        }
    }
    return false;
}

// Every operation has returned; settle may be one of them.
static inline bool h_check(struct history *h) {
    struct h_state start;
    memset(&start, 0, sizeof start);
    memset(h->memo, 0, sizeof h->memo);
    h->placed = 0;
    h->settled = 0;
    h->states = 0;
    h->settle = UINT32_MAX;
    for (int i = 0; i < h->count; i++)
        if (h->op[i].kind == H_SETTLE) h->settle = h->op[i].call;
    return h_search(h, &start);
}

static inline void h_print(const struct history *h, FILE *f) {
    fprintf(f, "capacities %d and %d\n", h->cap[0], h->cap[1]);
    for (int i = 0; i < h->count; i++) {
        const struct h_op *o = &h->op[i];
        static const char *const modes[] = { "", "try ", "timed " };
        fprintf(f, "%4u-%-4u task %d: %s", o->call, o->ret, o->task, modes[o->mode]);
        if (o->kind == H_SETTLE) fprintf(f, "nothing moves");
        if (o->kind == H_CLOSE) fprintf(f, "close %d", o->cases[0].chan);
        for (int k = 0; o->kind == H_SELECT && k < o->n; k++) {
            fprintf(f, o->cases[k].send ? "%ssend %d" : "%sreceive %d", k ? " or " : "",
                    o->cases[k].chan);
            if (o->cases[k].send) fprintf(f, "<-%d", o->cases[k].value);
        }
        fprintf(f, o->chosen < 0 ? ": gave up\n" : ": case %d, %s, got %d\n", o->chosen,
                o->err ? "closed" : "done", o->got);
    }
}

#endif
