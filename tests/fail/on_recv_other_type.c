// expect: incompatible pointer type
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    int narrow;
    char tiny;
#ifdef OK
    chan_select { on_recv(ch, &narrow) { tiny = (char)narrow; } }
    (void)tiny;
#else
    chan_select { on_recv(ch, &tiny) { narrow = tiny; } }
    (void)narrow;
#endif
    return 0;
}
