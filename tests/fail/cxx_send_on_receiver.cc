// expect: chan_send: the channel is a receive-only view
#include "chanrt.h"

int main() {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_recv(in, NULL);
#else
    chan_send(in, 1);
#endif
}
