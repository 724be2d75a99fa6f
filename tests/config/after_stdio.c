// A strict -std=c11 and other headers first: by then libc hides MAP_ANONYMOUS, CLOCK_MONOTONIC,
// struct sigaction and more, and the header may not count on them.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define CHANRT_IMPLEMENTATION
#include "chanrt.h"

TASK(late, chan_sender(int), out) {
    task_sleep(CHANRT_MILLISECOND);
    chan_send(out, 7);
}

int main(void) {
    chan(int) ch = chan_make(int, 0);
    if (go(late, ch) != 0 || chan_get(ch) != 7) return 1;
    chan_free(ch);
    return chanrt_shutdown(CHANRT_SECOND);
}
