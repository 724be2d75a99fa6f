// expect: on_recv: the channel is a send-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
    int v;
#ifdef OK
    chan_select { on_recv(ch, &v) { chan_send(out, v); } }
#else
    chan_select { on_recv(out, &v) { } }
#endif
    return 0;
}
