// expect: incompatible .*pointer type
#include "chanrt.h"

TASK(add, int, a, chan_sender(int), out) {
    chan_send(out, a);
}

int main(void) {
    chan(int) ch = chan_make(int, 1);
    waitgroup wg = { 0 };
#ifdef OK
    wg_go(&wg, add, 1, ch);
#else
    wg_go(ch, add, 1, ch), wg_wait(&wg);
#endif
    return 0;
}
