// expect: incompatible .*pointer type
#include "chanrt.h"

int main(void) {
#ifdef OK
    chan(int) ch = chan_make(int, 0);
    chan_free(ch);
#else
    chan(int) ch = chan_make(long, 0);
    chan_free(ch);
#endif
    return 0;
}
