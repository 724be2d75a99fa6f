// expect: chan_get: the channel is a send-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
    int v;
#ifdef OK
    v = chan_get(ch);
    chan_send(out, v);
#else
    v = chan_get(out);
    chan_send(out, v);
#endif
    return 0;
}
