// expect: on_recv: the channel is a send-only view
#include "chanrt.h"

int main() {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
    chan_select {
#ifdef OK
        on_send(out, 1) {}
#else
        on_recv(out, NULL) {}
#endif
    }
}
