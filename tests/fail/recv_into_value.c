// expect: makes pointer from integer|incompatible integer to pointer
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    int v = 0;
#ifdef OK
    chan_recv(ch, &v);
#else
    chan_recv(ch, v);
#endif
    return 0;
}
