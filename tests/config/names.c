// The short names beside all of POSIX, before it and after it. That no alias is a word of
// those headers is checked by names.sh; here both still do their work.
#ifdef POSIX_FIRST
#include "posix.h"
#endif
#include "chanrt.h"
#ifndef POSIX_FIRST
#include "posix.h"
#endif

TASK(answer, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, v, in) chan_send(out, v + 1);
    chan_close(out);
}

int main(void) {
    chan(int) in = chan_make(int, 1), out = chan_make(int, 1);
    if (go(answer, in, out) != 0 || chan_send(in, 1) != 0 || chan_get(out) != 2) return 1;
    chan_close(in);

    struct timeval none = { 0, 0 };
    fd_set fds;
    FD_ZERO(&fds);
    timer_t timer;
    if (select(0, &fds, NULL, NULL, &none) != 0) return 2;
    if (timer_create(CLOCK_MONOTONIC, NULL, &timer) != 0 || timer_delete(timer) != 0) return 3;
    if (close(-1) != -1 || errno != EBADF) return 4;

    chan_free(in);
    chan_free(out);
    return chanrt_shutdown(CHANRT_SECOND);
}
