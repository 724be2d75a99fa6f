// expect: discards .?(volatile|qualifiers)
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
#ifdef OK
    chan(int) both = ch;
    chan_send(out, chan_get(both));
#else
    chan(int) both = out;
    chan_send(both, 1);
#endif
    return 0;
}
