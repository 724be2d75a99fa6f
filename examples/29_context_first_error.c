// Shows: tasks that can fail as a group: the first error cancels the rest, and is what
//        the group returns; why it stopped can be asked everywhere below.
// Go:    g, ctx := errgroup.WithContext(context.Background())
//        g.Go(func() error { return fetch(ctx, shard) })
//        if err := g.Wait(); err != nil { ... context.Cause(ctx) }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdatomic.h>
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { SHARDS = 8, BROKEN = 3 };

static atomic_int finished, stopped;

// A task that returns an int: 0, or an error.
TASK_ERR(fetch, task_ctx *, ctx, int, shard) {
    chan_select {
        on_recv(ctx_done(ctx), NULL) {  // somebody else has failed: no need to go on
            atomic_fetch_add(&stopped, 1);
            return ctx_cause(ctx);
        }
        on_timeout(shard == BROKEN ? SECOND : 100 * SECOND) {}
    }
    if (shard == BROKEN) return EIO;
    atomic_fetch_add(&finished, 1);
    return 0;
}

int main(void) {
    int64_t start = chanrt_now();
    task_group g;
    if (group_init(&g, NULL) != 0) return 1;
    for (int shard = 0; shard < SHARDS; shard++)
        if (group_go(&g, fetch, group_ctx(&g), shard) != 0) return 1;

    int err = group_wait(&g);           // when all have ended, the failed and the stopped
    printf("the group failed: %s\n", strerror(err));
    printf("%d finished, %d were stopped\n", atomic_load(&finished), atomic_load(&stopped));
    if (chanrt_now() - start < 50 * SECOND) printf("long before they would have ended\n");
    return 0;
}

// Output:
// the group failed: Input/output error
// 0 finished, 7 were stopped
// long before they would have ended
