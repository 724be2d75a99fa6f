// expect: incompatible .*pointer type
#include "chanrt.h"

int main(void) {
    chan(chan(int)) ch = chan_make(chan(int), 1);
#ifdef OK
    chan_send(ch, chan_make(int, 0));
#else
    chan_send(ch, chan_make(char, 0));
#endif
    return 0;
}
