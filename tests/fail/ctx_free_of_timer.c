// expect: incompatible .*pointer type
#include "chanrt.h"

int main(void) {
    task_ctx *c = ctx_with_timeout(ctx_background(), 1);
    chan_timer *t = timer_make(1);
#ifdef OK
    ctx_free(c);
#else
    ctx_free(t);
#endif
    ctx_free(c);
    timer_free(t);
    return 0;
}
