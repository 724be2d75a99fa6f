// expect: chan_send: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_send(ch, 1);
    chan_recv(in, NULL);
#else
    chan_send(in, 1);
#endif
    return 0;
}
