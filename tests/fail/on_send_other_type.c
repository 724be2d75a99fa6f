// expect: makes integer from pointer|incompatible pointer to integer
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
#ifdef OK
    chan_select { on_send(ch, 1) { } }
#else
    chan_select { on_send(ch, "1") { } }
#endif
    return 0;
}
