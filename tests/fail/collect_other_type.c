// expect: assigning to|incompatible types when assigning
#include <stb/stb_ds.h>
#include "chanrt.h"

struct point { int x, y; };

int main(void) {
    chan(struct point) ch = chan_make(struct point, 1);
#ifdef OK
    struct point *all = NULL;
    chan_collect(ch, all);
#else
    int *all = NULL;
    chan_collect(ch, all);
#endif
    arrfree(all);
    return 0;
}
