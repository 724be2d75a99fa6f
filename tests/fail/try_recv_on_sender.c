// expect: chan_try_recv: the channel is a send-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
#ifdef OK
    chan_try_recv(ch, NULL);
    chan_send(out, 1);
#else
    chan_try_recv(out, NULL);
#endif
    return 0;
}
