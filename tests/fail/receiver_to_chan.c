// expect: discards .?(const|qualifiers)
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan(int) both = ch;
    chan_send(both, chan_get(in));
#else
    chan(int) both = in;
    chan_send(both, 1);
#endif
    return 0;
}
