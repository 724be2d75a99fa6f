// expect: discards .*qualifier
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    const int fixed = 0;
    int v;
#ifdef OK
    chan_recv(ch, &v);
    v = fixed;
#else
    chan_recv(ch, &fixed);
    v = fixed;
#endif
    return 0;
}
