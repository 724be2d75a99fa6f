// expect: chan_close: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_close(ch);
    chan_recv(in, NULL);
#else
    chan_close(in);
#endif
    return 0;
}
