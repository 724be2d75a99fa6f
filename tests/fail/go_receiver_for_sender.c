// expect: discards .*qualifier
#include "chanrt.h"

TASK(add, int, a, chan_sender(int), out) {
    chan_send(out, a);
}

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    go(add, 1, ch);
    chan_len(in);
#else
    go(add, 1, in);
#endif
    return 0;
}
