// Spawns what another file defines, through a channel that another file made.
#define CHANRT_IMPLEMENTATION
#include "pair.h"

int main(void) {
    chan(struct pair) in = make_pairs(0), out = make_pairs(3);
    if (go(swap, in, out) != 0 || go(nothing) != 0) return 1;
    chan_send(in, { 1, 2 });
    chan_close(in);
    struct pair p = chan_get(out);
    if (p.a != 2 || p.b != 1) return 2;
    if (chan_recv(out, &p) != EPIPE || p.a != 0) return 3;
    chan(struct pair) none = make_pairs(1);
    swap(in, none);               // a task is an ordinary function, too
    if (chan_close(none) != EPIPE) return 4;
    chan_free(none);
    chan_free(in);
    chan_free(out);
    return chanrt_shutdown(CHANRT_SECOND);
}
