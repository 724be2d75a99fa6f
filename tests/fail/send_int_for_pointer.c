// expect: makes pointer from integer|incompatible integer to pointer
#include "chanrt.h"

int main(void) {
    chan(const char *) ch = chan_make(const char *, 1);
#ifdef OK
    chan_send(ch, "1");
#else
    chan_send(ch, 1);
#endif
    return 0;
}
