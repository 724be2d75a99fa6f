// The other half of main.c: a task that other files can start.
#include "squares.h"

TASK_EXTERN(square, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, n, in) chan_send(out, n * n);
    chan_close(out);
}
