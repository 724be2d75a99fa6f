#define CHANRT_IMPLEMENTATION
#include "pool.h"

TASK(square, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, n, in) chan_send(out, n * n);
}

TASK(run, int, n, chan_receiver(int), in, chan(int), out) {
    waitgroup wg = {0};
    for (int i = 0; i < n; i++) wg_go(&wg, square, in, out);
    wg_wait(&wg);
    chan_close(out);
}

int pool_start(int n, chan_receiver(int) in, chan(int) out) {
    return go(run, n, in, out);
}
