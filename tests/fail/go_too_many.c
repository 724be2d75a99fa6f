// expect: too many arguments
#include "chanrt.h"

TASK(add, int, a, chan_sender(int), out) {
    chan_send(out, a);
}

int main(void) {
    chan(int) ch = chan_make(int, 1);
#ifdef OK
    go(add, 1, ch);
#else
    go(add, 1, ch, 2);
#endif
    return 0;
}
