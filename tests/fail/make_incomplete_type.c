// expect: incomplete type .*struct nowhere
#include "chanrt.h"

struct here { int a; };

int main(void) {
#ifdef OK
    chan_free(chan_make(struct here, 0));
#else
    chan_free(chan_make(struct nowhere, 0));
#endif
    return 0;
}
