// A program that knows only the long names; the short ones are its own.
#define CHANRT_NO_SHORT_NAMES
#define CHANRT_IMPLEMENTATION
#include "chanrt.h"

static int go = 1, chan = 2, chan_send = 3, task_sleep = 4, waitgroup = 5;

CHANRT_TASK(twice, chanrt_chan_receiver(int), in, chanrt_chan_sender(int), out) {
    chanrt_chan_range(int, v, in) chanrt_chan_send(out, 2 * v);
    chanrt_chan_close(out);
}

CHANRT_TASK(add, int *, sum, int, v) {
    chanrt_task_yield();
    *sum += v;
}

int main(void) {
    chanrt_chan(int) in = chanrt_chan_make(int, 0), out = chanrt_chan_make(int, 4);
    if (chanrt_go(twice, in, out) != 0) return 1;
    chanrt_chan_send(in, go + chan);
    chanrt_chan_send(in, chan_send);
    chanrt_chan_close(in);

    int sum = 0, v = 0;
    chanrt_chan_select {
        chanrt_on_recv(out, &v) { sum += v + chanrt_select_err(); }
        chanrt_on_timeout(10 * CHANRT_SECOND) { return 2; }
    }
    chanrt_chan_range(int, w, out) sum += w;
    if (sum != 12) return 3;

    chanrt_waitgroup wg = { 0 };
    chanrt_wg_go(&wg, add, &sum, task_sleep);
    chanrt_wg_wait(&wg);
    if (sum != 11 + waitgroup) return 4;

    chanrt_chan_case cases[] = { chanrt_case_recv(out, &v), chanrt_case_recv(in, &v) };
    if (chanrt_chan_select_n(cases, 2, -1) < 0) return 5;
    chanrt_chan_free(in);
    chanrt_chan_free(out);
    return chanrt_shutdown(CHANRT_SECOND);
}
