// expect: chan_close: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    chan_receiver(int64_t) bell = chan_after(0);
#ifdef OK
    chan_free(bell);
#else
    chan_close(bell);
#endif
    return 0;
}
