// expect: chan_close: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    task_ctx *c = ctx_with_cancel(ctx_background());
#ifdef OK
    chan_try_recv(ctx_done(c), NULL);
#else
    chan_close(ctx_done(c));
#endif
    ctx_free(c);
    return 0;
}
