// program.h - small random programs of tasks that work on one or two channels.
#ifndef PROGRAM_H
#define PROGRAM_H

#include "check.h"

enum { P_TASKS = 4, P_STEPS = 4 };

struct program {
    int cap[H_CHANS], tasks, steps[P_TASKS + 1];
    struct h_op step[P_TASKS + 1][P_STEPS + 4];   // the last: what happens once nothing moves
};

static inline uint32_t p_dice(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static inline struct h_op p_step(uint32_t *dice, int task, int value, int chans, bool tries) {
    struct h_op o;
    memset(&o, 0, sizeof o);
    o.task = task;
    uint32_t kind = p_dice(dice) % 16;
    if (kind == 0 && !tries) {
        o.kind = H_CLOSE;
        o.n = 1;
        o.cases[0].chan = (int)(p_dice(dice) % (uint32_t)chans);
        return o;
    }
    uint32_t mode = p_dice(dice) % 8;
    o.mode = tries || mode == 0 ? H_TRY : mode == 1 ? H_TIMED : H_BLOCK;
    o.n = kind < 10 ? 1 : (int)(1 + p_dice(dice) % H_CASES);
    for (int k = 0; k < o.n; k++) {
        o.cases[k].chan = (int)(p_dice(dice) % (uint32_t)chans);
        o.cases[k].send = p_dice(dice) % 2;
        o.cases[k].value = 1 + value * H_CASES + k;
    }
    return o;
}

static inline void p_make(struct program *p, uint32_t seed) {
    uint32_t dice = seed * 2654435761u | 1;
    int value = 0, chans = 1 + (int)(p_dice(&dice) % H_CHANS);
    for (int c = 0; c < H_CHANS; c++) p->cap[c] = (int)(p_dice(&dice) % 3);
    p->tasks = 2 + (int)(p_dice(&dice) % (P_TASKS - 1));
    for (int t = 0; t < p->tasks; t++) {
        p->steps[t] = 1 + (int)(p_dice(&dice) % P_STEPS);
        for (int i = 0; i < p->steps[t]; i++, value++)
            p->step[t][i] = p_step(&dice, t, value, chans, false);
    }
    // Somebody from outside tries a few things, then closes both channels.
    int last = p->tasks, n = (int)(p_dice(&dice) % 4);
    for (int i = 0; i < n; i++, value++) p->step[last][i] = p_step(&dice, last, value, chans, true);
    for (int c = 0; c < H_CHANS; c++, n++) {
        memset(&p->step[last][n], 0, sizeof p->step[last][n]);
        p->step[last][n] = (struct h_op){ .kind = H_CLOSE, .n = 1, .task = last };
        p->step[last][n].cases[0].chan = c;
    }
    p->steps[last] = n;
}

#endif
