// expect: no member named .z|designator .z
#include "chanrt.h"

struct point { int x, y; };

int main(void) {
    chan(struct point) ch = chan_make(struct point, 1);
#ifdef OK
    chan_send(ch, { .x = 1, .y = 2 });
#else
    chan_send(ch, { .x = 1, .z = 2 });
#endif
    return 0;
}
