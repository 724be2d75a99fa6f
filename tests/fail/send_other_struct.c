// expect: invalid initializer|incompatible type
#include "chanrt.h"

struct point { int x, y; };
struct size { int w, h; };

int main(void) {
    chan(struct point) ch = chan_make(struct point, 1);
#ifdef OK
    chan_send(ch, (struct point){ 1, 2 });
    chan_send(ch, { .x = 1, .y = 2 });
#else
    chan_send(ch, (struct size){ 1, 2 });
#endif
    return 0;
}
