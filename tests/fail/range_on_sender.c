// expect: chan_range: the channel is a send-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
#ifdef OK
    chan_range(int, v, ch) chan_send(out, v);
#else
    chan_range(int, v, out) chan_send(out, v);
#endif
    return 0;
}
