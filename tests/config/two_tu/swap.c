// No implementation here: this file gets it from main.c.
#include "pair.h"

TASK_EXTERN(swap, chan_receiver(struct pair), in, chan_sender(struct pair), out) {
    chan_range(struct pair, p, in) chan_send(out, { .a = p.b, .b = p.a });
    chan_close(out);
}

TASK_EXTERN(nothing) {
    task_yield();
}

chan(struct pair) make_pairs(size_t cap) {
    return chan_make(struct pair, cap);
}
