// expect: incompatible pointer type
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    int narrow;
    long wide;
#ifdef OK
    chan_recv(ch, &narrow);
    wide = narrow;
    (void)wide;
#else
    chan_recv(ch, &wide);
    narrow = (int)wide;
    (void)narrow;
#endif
    return 0;
}
