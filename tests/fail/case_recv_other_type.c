// expect: incompatible pointer type
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    int narrow;
    long wide = 0;
#ifdef OK
    chan_case cases[] = { case_recv(ch, &narrow) };
    wide = chan_select_n(cases, 1, 0);
    (void)wide;
#else
    chan_case cases[] = { case_recv(ch, &wide) };
    narrow = chan_select_n(cases, 1, 0);
    (void)narrow;
#endif
    return 0;
}
