// expect: incompatible .*pointer type
#include "chanrt.h"

int main(void) {
    chan(long) ch = chan_make(long, 0);
#ifdef OK
    chan_receiver(long) in = ch;
    chan_free(in);
#else
    chan_receiver(int) in = ch;
    chan_free(in);
#endif
    return 0;
}
