// expect: on_send: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_select { on_send(ch, 1) { chan_len(in); } }
#else
    chan_select { on_send(in, 1) { } }
#endif
    return 0;
}
