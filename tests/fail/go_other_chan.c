// expect: incompatible .*pointer type
#include "chanrt.h"

TASK(add, int, a, chan_sender(int), out) {
    chan_send(out, a);
}

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan(long) wide = chan_make(long, 1);
#ifdef OK
    go(add, 1, ch);
    chan_free(wide);
#else
    go(add, 1, wide);
    chan_free(ch);
#endif
    return 0;
}
