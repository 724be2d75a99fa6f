// expect: discards .?(const|qualifiers)
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_sender(int) out = ch;
    chan_send(out, chan_get(in));
#else
    chan_sender(int) out = in;
    chan_send(out, 1);
#endif
    return 0;
}
