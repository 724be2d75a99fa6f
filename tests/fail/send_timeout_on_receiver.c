// expect: chan_send_timeout: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_send_timeout(ch, 1, 0);
    chan_recv(in, NULL);
#else
    chan_send_timeout(in, 1, 0);
#endif
    return 0;
}
