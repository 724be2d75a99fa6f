// expect: incompatible pointer type
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
#ifdef OK
    chan_range(int, v, ch) (void)v;
#else
    chan_range(long, v, ch) (void)v;
#endif
    return 0;
}
