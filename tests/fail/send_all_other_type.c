// expect: incompatible pointer type
#include <stb/stb_ds.h>
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
#ifdef OK
    int *all = NULL;
    chan_send_all(ch, all);
#else
    long *all = NULL;
    chan_send_all(ch, all);
#endif
    arrfree(all);
    return 0;
}
