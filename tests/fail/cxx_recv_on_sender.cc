// expect: chan_recv: the channel is a send-only view
#include "chanrt.h"

int main() {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
#ifdef OK
    chan_send(out, 1);
#else
    chan_recv(out, NULL);
#endif
}
