// Shows: a request with a deadline through three layers, none of which knows the others'
//        limits: the earliest one wins, and every layer can tell why it has to stop. What a
//        layer knows of the request travels in the context, too.
// Go:    ctx, cancel := context.WithTimeout(ctx, 2*time.Second); defer cancel()
//        ctx = context.WithValue(ctx, userKey, "ada")
//        select { case <-ctx.Done(): return context.Cause(ctx); case row := <-rows: ... }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

static const char user_key;             // a key is an address, not a name: no two are alike

// The lowest layer waits, for its answer or for the end of the context, whatever ends it.
static int query_database(task_ctx *ctx, int64_t takes) {
    chan_receiver(int64_t) answer = chan_after(takes);
    int err = 0;
    chan_select_ordered {               // an answer that is there is taken, late or not
        on_recv(answer, NULL)        { }
        on_recv(ctx_done(ctx), NULL) { err = ctx_cause(ctx); }
    }
    chan_free(answer);
    return err;
}

// In the middle: a call may take two seconds, or less if the caller has less.
static int load_profile(task_ctx *ctx, int64_t takes) {
    task_ctx *mine = ctx_with_timeout(ctx, 2 * SECOND);
    if (mine == NULL) return ENOMEM;
    int64_t theirs, ours;
    bool tighter = !ctx_deadline(ctx, &theirs) || (ctx_deadline(mine, &ours) && ours < theirs);
    int err = query_database(mine, takes);
    printf("  for %s, within %s limit: %s\n", (char *)ctx_value(mine, &user_key),
           tighter ? "our" : "the caller's", err == 0 ? "loaded" : strerror(err));
    ctx_free(mine);                     // cancels: whatever was started below for it ends
    return err;
}

// On top: who asks, and how long the client is willing to wait.
TASK_ERR(handle, const char *, user, int64_t, patience, int64_t, takes, bool, hangs_up) {
    task_ctx *request = ctx_with_timeout(ctx_background(), patience);
    task_ctx *ctx = ctx_with_value(request, &user_key, (void *)(uintptr_t)user);
    if (ctx == NULL) return ENOMEM;
    if (hangs_up) ctx_cancel_cause(request, ECONNRESET);
    int err = load_profile(ctx, takes);
    ctx_free(ctx);
    ctx_free(request);
    return err;
}

static void serve(const char *what, const char *user, int64_t patience, int64_t takes, bool cut) {
    printf("%s:\n", what);
    task_group g;
    if (group_init(&g, NULL) != 0) return;
    group_go(&g, handle, user, patience, takes, cut);
    group_wait(&g);
}

int main(void) {
    serve("a quick answer", "ada", 5 * SECOND, SECOND / 50, false);
    serve("a slow database", "ben", 500 * SECOND, 100 * SECOND, false);
    serve("an impatient client", "cleo", SECOND, 100 * SECOND, false);
    serve("a client that has gone", "dan", 5 * SECOND, 100 * SECOND, true);
    return 0;
}

// Output:
// a quick answer:
//   for ada, within our limit: loaded
// a slow database:
//   for ben, within our limit: Connection timed out
// an impatient client:
//   for cleo, within the caller's limit: Connection timed out
// a client that has gone:
//   for dan, within our limit: Connection reset by peer
