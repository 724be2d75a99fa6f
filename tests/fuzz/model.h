// model.h - whether what a deterministic run was seen to do can be right: the states that channels
// under one lock could be in, followed from event to event.
//
// The log has each operation's beginning and end, in order, with the time and with who is parked.
// In between it takes effect at one instant, or joins those who wait and is completed by somebody
// else. One thing happens at a time, and time stands still until everybody waits, so a set of
// states is enough: after each event all those that any order of the effects can have led to. No
// state left: what was seen cannot happen. Since every result is known when its effect is placed,
// most orders end at once.
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { M_TASKS = 6, M_PARTIES, M_CHANS = 4, M_ROOM = 3, M_CASES = 3 };     // the last party: main
enum { M_STEPS = 8, M_OPS = 400, M_STATES = 3000 };
enum m_kind { M_SELECT, M_CLOSE, M_LEN, M_WG_ADD, M_WG_WAIT, M_LOCK, M_UNLOCK, M_SLEEP, M_KINDS };
enum m_phase { M_IDLE, M_BEGUN, M_WAITS, M_DONE };
enum m_result { M_OK, M_CLOSED, M_GAVE_UP, M_INVALID, M_NEVER };

struct m_op {
    enum m_kind kind;          // a send or a receive is a select of one case
    bool ordered, block_form;
    int n;                     // cases; of a close or len: its channel is that of the first
    struct { bool send; int chan, value; } cases[M_CASES];
    int add;
    int64_t ns, from, to;      // ns < 0: for ever, 0: not at all
    int chosen, got;
    enum m_result result;
};

struct m_event {
    struct m_op *op;
    int64_t now;
    uint8_t party, parked;     // a bit for each task that sits in a wait
    bool end;
};

struct m_state {
    uint8_t n[M_CHANS], closed[M_CHANS], buffer[M_CHANS][M_ROOM];
    uint8_t phase[M_PARTIES], line[M_PARTIES], in_line;    // those who wait, first come first
    uint8_t count, locked;
};

struct m_run {
    int cap[M_CHANS], ops, events;
    struct m_op op[M_OPS];
    struct m_event event[2 * M_OPS];
    // The search.
    struct m_op *now[M_PARTIES];
    struct m_state state[M_STATES];
    int states, most;
    int64_t time;
    bool overflow;
};

static inline bool m_wants(const struct m_op *o, int c, bool send) {
    for (int k = 0; o->kind == M_SELECT && k < o->n; k++)
        if (o->cases[k].chan == c && o->cases[k].send == send) return true;
    return false;
}

// The place in line of the first who waits to do that; -1: nobody.
static inline int m_first(const struct m_run *r, const struct m_state *s, int c, bool send) {
    for (int i = 0; i < s->in_line; i++)
        if (m_wants(r->now[s->line[i]], c, send)) return i;
    return -1;
}

static inline bool m_ready(const struct m_run *r, const struct m_state *s, int c, bool send) {
    if (s->closed[c] || m_first(r, s, c, !send) >= 0) return true;
    return send ? s->n[c] < r->cap[c] : s->n[c] > 0;
}

// Whoever is there in line is done. False: it was seen to end otherwise.
static inline bool m_release(const struct m_run *r, struct m_state *s, int place, int c, bool send,
                             enum m_result result, int value) {
    int party = s->line[place];
    const struct m_op *o = r->now[party];
    for (int i = place; i + 1 < s->in_line; i++) s->line[i] = s->line[i + 1];
    s->line[--s->in_line] = 0;
    s->phase[party] = M_DONE;
    if (o->result != result) return false;
    if (o->kind != M_SELECT) return true;
    if (result == M_GAVE_UP) return true;
    if (o->cases[o->chosen].chan != c || o->cases[o->chosen].send != send) return false;
    return send ? result == M_CLOSED || o->cases[o->chosen].value == value : o->got == value;
}

// The value that the sender at that place in line was seen to send.
static inline int m_offer(const struct m_run *r, const struct m_state *s, int place) {
    const struct m_op *o = r->now[s->line[place]];
    return o->chosen >= 0 ? o->cases[o->chosen].value : -1;
}

static inline bool m_send(const struct m_run *r, struct m_state *s, int c, int value) {
    int place = m_first(r, s, c, false);
    if (place >= 0) return m_release(r, s, place, c, false, M_OK, value);
    s->buffer[c][s->n[c]++] = (uint8_t)value;
    return true;
}

static inline bool m_receive(const struct m_run *r, struct m_state *s, int c, int got) {
    int place = m_first(r, s, c, true), value = place >= 0 ? m_offer(r, s, place) : -1;
    if (place >= 0 && !m_release(r, s, place, c, true, M_OK, value)) return false;
    if (s->n[c] == 0) return value == got;
    int oldest = s->buffer[c][0];
    for (int i = 0; i + 1 < M_ROOM; i++) s->buffer[c][i] = s->buffer[c][i + 1];
    s->buffer[c][M_ROOM - 1] = 0;
    s->n[c]--;
    if (place >= 0) s->buffer[c][s->n[c]++] = (uint8_t)value;
    return oldest == got;
}

static inline void m_wait(struct m_state *s, int party) {
    s->phase[party] = M_WAITS;
    s->line[s->in_line++] = (uint8_t)party;
}

static inline bool m_do_select(const struct m_run *r, struct m_state *s, int party) {
    const struct m_op *o = r->now[party];
    bool any = false;
    for (int k = 0; k < o->n; k++) {
        bool ready = m_ready(r, s, o->cases[k].chan, o->cases[k].send);
        if (ready && o->ordered && !any && o->chosen != k) return false;
        any |= ready;
    }
    if (!any && o->ns != 0) return m_wait(s, party), true;
    s->phase[party] = M_DONE;
    if (!any) return o->result == M_GAVE_UP;
    if (o->chosen < 0) return false;
    int c = o->cases[o->chosen].chan;
    bool send = o->cases[o->chosen].send;
    if (!m_ready(r, s, c, send)) return false;
    if (s->closed[c] && (send || s->n[c] == 0))
        return o->result == M_CLOSED && (send || o->got == 0);
    if (o->result != M_OK) return false;
    return send ? m_send(r, s, c, o->cases[o->chosen].value) : m_receive(r, s, c, o->got);
}

static inline bool m_do_close(const struct m_run *r, struct m_state *s, int party) {
    const struct m_op *o = r->now[party];
    int c = o->cases[0].chan;
    bool was = s->closed[c];
    s->closed[c] = 1;
    s->phase[party] = M_DONE;
    for (int send = 0; send < 2 && !was; send++)
        for (int at; (at = m_first(r, s, c, send)) >= 0;)
            if (!m_release(r, s, at, c, send, M_CLOSED, 0)) return false;
    return (o->result == M_CLOSED) == was;
}

static inline bool m_do_wg(const struct m_run *r, struct m_state *s, int party) {
    const struct m_op *o = r->now[party];
    if (o->kind == M_WG_WAIT) {
        if (s->count != 0) return m_wait(s, party), true;
        s->phase[party] = M_DONE;
        return o->result == M_OK;
    }
    s->phase[party] = M_DONE;
    if (s->count + o->add < 0) return o->result == M_INVALID;
    s->count = (uint8_t)(s->count + o->add);
    for (int i = s->in_line - 1; s->count == 0 && i >= 0; i--)
        if (r->now[s->line[i]]->kind == M_WG_WAIT && !m_release(r, s, i, 0, false, M_OK, 0))
            return false;
    return o->result == M_OK;
}

// Who waits for the mutex may be overtaken, so nobody is in line for it.
static inline bool m_do_mutex(const struct m_run *r, struct m_state *s, int party) {
    const struct m_op *o = r->now[party];
    s->phase[party] = M_DONE;
    if (o->kind == M_UNLOCK) {
        bool was = s->locked;
        s->locked = 0;
        return o->result == (was ? M_OK : M_INVALID);
    }
    if (o->result == M_GAVE_UP) return o->ns == 0 ? s->locked : r->time == o->from + o->ns;
    if (o->result != M_OK || s->locked) return false;
    s->locked = 1;
    return true;
}

// The operation takes effect now, or begins to wait. False: not with that result.
static inline bool m_do(const struct m_run *r, struct m_state *s, int party) {
    const struct m_op *o = r->now[party];
    switch (o->kind) {
    case M_SELECT: return m_do_select(r, s, party);
    case M_CLOSE:  return m_do_close(r, s, party);
    case M_LEN:    s->phase[party] = M_DONE; return o->got == s->n[o->cases[0].chan];
    case M_SLEEP:  s->phase[party] = M_DONE; return r->time == o->from + o->ns;
    case M_LOCK:
    case M_UNLOCK: return m_do_mutex(r, s, party);
    default:       return m_do_wg(r, s, party);
    }
}

static inline void m_add(struct m_run *r, const struct m_state *s) {
    for (int i = 0; i < r->states; i++)
        if (memcmp(&r->state[i], s, sizeof *s) == 0) return;
    if (r->states == M_STATES) r->overflow = true;
    else r->state[r->states++] = *s;
    if (r->states > r->most) r->most = r->states;
}

// And all that can follow before the next event.
static inline void m_close(struct m_run *r) {
    for (int i = 0; i < r->states; i++)
        for (int p = 0; p < M_PARTIES; p++) {
            struct m_state next = r->state[i];
            const struct m_op *o = r->now[p];
            if (next.phase[p] == M_BEGUN && m_do(r, &next, p)) m_add(r, &next);
            if (next.phase[p] != M_WAITS || o->ns <= 0 || r->time != o->from + o->ns) continue;
            int place = 0;
            while (next.line[place] != p) place++;
            if (m_release(r, &next, place, 0, false, M_GAVE_UP, 0)) m_add(r, &next);
        }
}

// Time passes only when everybody who has begun something waits, and not past the next timeout.
static inline bool m_may_pass(const struct m_run *r, const struct m_state *s, int64_t to) {
    for (int p = 0; p < M_PARTIES; p++) {
        const struct m_op *o = r->now[p];
        if (o == NULL) continue;
        if (o->ns > 0 && to > o->from + o->ns) return false;
        if (s->phase[p] == M_WAITS || (s->phase[p] == M_BEGUN && o->kind == M_SLEEP)) continue;
        if (s->phase[p] != M_BEGUN || o->kind != M_LOCK || !s->locked) return false;
    }
    return true;
}

// Who is parked has begun to wait, and the other way round. (A wait for the mutex is not modelled.)
static inline bool m_agrees(const struct m_run *r, const struct m_state *s,
                            const struct m_event *e) {
    for (int p = 0; p < M_TASKS; p++) {
        if (r->now[p] == NULL || p == e->party) continue;
        if (r->now[p]->kind == M_LOCK || r->now[p]->kind == M_SLEEP) continue;
        if (s->phase[p] == (e->parked >> p & 1 ? M_BEGUN : M_WAITS)) return false;
    }
    return true;
}

static inline void m_step(struct m_run *r, const struct m_event *e) {
    int kept = 0;
    for (int i = 0; i < r->states; i++) {
        struct m_state s = r->state[i];
        if (!m_agrees(r, &s, e) || (e->end && s.phase[e->party] != M_DONE)) continue;
        s.phase[e->party] = e->end ? M_IDLE : M_BEGUN;
        r->state[kept++] = s;
    }
    r->states = kept;
    r->now[e->party] = e->end ? NULL : e->op;
}

// The index of the first event that no state explains; -1: all of them can have happened.
static inline int m_check(struct m_run *r) {
    memset(r->now, 0, sizeof r->now);
    memset(&r->state[0], 0, sizeof r->state[0]);
    r->states = r->most = 1;
    r->overflow = false;
    r->time = r->events > 0 ? r->event[0].now : 0;
    for (int i = 0; i < r->events; i++) {
        const struct m_event *e = &r->event[i];
        m_close(r);
        if (e->now != r->time) {
            int kept = 0;
            for (int k = 0; k < r->states; k++)
                if (m_may_pass(r, &r->state[k], e->now)) r->state[kept++] = r->state[k];
            r->states = kept;
            r->time = e->now;
            m_close(r);
        }
        m_step(r, e);
        if (r->overflow) return -1;
        if (r->states == 0) return i;
    }
    return -1;
}

static inline void m_print_op(const struct m_op *o, FILE *f) {
    static const char *const names[M_KINDS] = { "select", "close", "len", "wg_add", "wg_wait",
                                                "lock", "unlock", "sleep" };
    fprintf(f, "%s%s", o->ordered ? "ordered " : "", names[o->kind]);
    if (o->kind == M_CLOSE || o->kind == M_LEN) fprintf(f, " %d", o->cases[0].chan);
    for (int k = 0; o->kind == M_SELECT && k < o->n; k++) {
        fprintf(f, o->cases[k].send ? "%s send %d" : "%s receive %d", k ? " or" : "",
                o->cases[k].chan);
        if (o->cases[k].send) fprintf(f, "<-%d", o->cases[k].value);
    }
    if (o->kind == M_WG_ADD) fprintf(f, " %d", o->add);
    if (o->ns >= 0) fprintf(f, " for %lld us", (long long)(o->ns / 1000));
}

static inline void m_print(const struct m_run *r, int upto, FILE *f) {
    static const char *const results[] = { "done", "closed", "gave up", "invalid", "never ended" };
    fprintf(f, "capacities %d %d %d %d\n", r->cap[0], r->cap[1], r->cap[2], r->cap[3]);
    for (int i = 0; i <= upto && i < r->events; i++) {
        const struct m_event *e = &r->event[i];
        fprintf(f, "%4d %10lld us, parked %02x, %d %s ", i, (long long)(e->now / 1000), e->parked,
                e->party, e->end ? "ends  " : "begins");
        m_print_op(e->op, f);
        if (e->end) fprintf(f, ": %s", results[e->op->result]);
        if (e->end && e->op->kind == M_SELECT && e->op->chosen >= 0)
            fprintf(f, ", case %d", e->op->chosen);
        if (e->end) fprintf(f, ", got %d", e->op->got);
        fprintf(f, "\n");
    }
}

#endif
