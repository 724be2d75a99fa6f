// Shows: Ctrl-C as the end of a context: the server takes no more requests, those it has
//        are finished, up to a limit of time, and only then does the program end.
// Go:    ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
//        <-ctx.Done(); server.Shutdown(drain)    // drain: WithTimeout(..., 5*time.Second)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

static atomic_int served, given_up;

// What turns a signal into the end of a context; it ends with it, too.
TASK(cancel_on_signal, int, sig, task_ctx *, ctx) {
    chan_receiver(int) arrived = chan_signal(sig);
    chan_select {
        on_recv(arrived, NULL)       { ctx_cancel_cause(ctx, EINTR); }
        on_recv(ctx_done(ctx), NULL) { }
    }
    chan_free(arrived);                 // the signal does again what it did before
}

// Leaves the requests in hand five seconds, or less if they need less.
TASK(cut_off, task_ctx *, drain) {
    if (chan_recv_timeout(ctx_done(drain), NULL, 5 * SECOND) == ETIMEDOUT) ctx_cancel(drain);
}

TASK_ERR(request, task_ctx *, drain, int64_t, takes) {
    chan_select {
        on_recv(ctx_done(drain), NULL) { atomic_fetch_add(&given_up, 1); }
        on_timeout(takes)              { atomic_fetch_add(&served, 1); }
    }
    return 0;
}

int main(void) {
    task_ctx *serving = ctx_with_cancel(ctx_background());      // until somebody says stop
    task_ctx *drain = ctx_with_cancel(ctx_background());        // what requests look at
    waitgroup watchers = {0};
    task_group requests;
    if (group_init(&requests, NULL) != 0) return 1;
    if (wg_go(&watchers, cancel_on_signal, SIGINT, serving) != 0) return 1;

    chan_timer *client = ticker_make(SECOND / 4);
    for (int n = 1; ctx_err(serving) == 0; n++) {
        int64_t takes = n == 3 ? 100 * SECOND : SECOND;
        chan_select {
            on_recv(ctx_done(serving), NULL)  { }
            on_recv(timer_chan(client), NULL) { group_go(&requests, request, drain, takes); }
        }
        if (n == 10) raise(SIGINT);     // as Ctrl-C would
    }
    timer_free(client);
    printf("stopping: %s\n", strerror(ctx_cause(serving)));

    wg_go(&watchers, cut_off, drain);
    group_wait(&requests);
    ctx_cancel(drain);
    wg_wait(&watchers);
    printf("%s\n", atomic_load(&served) >= 9 ? "requests in hand were finished" : "cut off");
    printf("%d was too slow\n", atomic_load(&given_up));
    ctx_free(drain);
    ctx_free(serving);
    chanrt_shutdown(CHANRT_SECOND);
    return 0;
}

// Output:
// stopping: Interrupted system call
// requests in hand were finished
// 1 was too slow
