// expect: invalid initializer|incompatible type
#include "chanrt.h"

struct point { int x, y; };
struct size { int w, h; };

int main(void) {
    chan(struct point) ch = chan_make(struct point, 1);
#ifdef OK
    struct point v = chan_get(ch);
    (void)v;
#else
    struct size v = chan_get(ch);
    (void)v;
#endif
    return 0;
}
