// Shows: giving up on an answer that takes too long.
// Go:    select {
//        case res := <-c:              fmt.Println(res)
//        case <-time.After(time.Second): fmt.Println("timeout")
//        }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

// The answer may come when nobody listens any more. Room for one lets the task
// end all the same, and a reference of its own keeps the channel alive so long.
TASK(answer, int64_t, delay, const char *, what, chan_sender(const char *), out) {
    task_sleep(delay);
    chan_send(out, what);
    chan_free(out);
}

static void ask(const char *what, int64_t delay, int64_t patience) {
    chan(const char *) c = chan_make(const char *, 1);
    go(answer, delay, what, chan_ref(c));
    const char *res;
    chan_select {
        on_recv(c, &res)     { printf("%s\n", res); }
        on_timeout(patience) { printf("timeout waiting for %s\n", what); }
    }
    chan_free(c);
}

int main(void) {
    ask("result 1", 10 * SECOND, SECOND);
    ask("result 2", SECOND, 100 * SECOND);
    return chanrt_shutdown(-1);         // let the late one end, too
}

// Output:
// timeout waiting for result 1
// result 2
