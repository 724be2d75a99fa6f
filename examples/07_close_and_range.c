// Shows: closing says that nothing more will come; a range ends there.
// Go:    go func() { for i := 1; i <= 5; i++ { ch <- i }; close(ch) }()
//        for v := range ch { fmt.Println(v) }
//        v, ok := <-ch               // 0, false
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

TASK(count, int, n, chan_sender(int), out) {
    for (int i = 1; i <= n; i++) chan_send(out, i);
    chan_close(out);                    // closing is the sender's business
}

int main(void) {
    chan(int) ch = chan_make(int, 2);
    go(count, 5, ch);
    chan_range(int, v, ch) printf("received %d\n", v);

    // From now on every receive returns at once, with EPIPE and a zero.
    int v = 99;
    if (chan_recv(ch, &v) == EPIPE) printf("closed, and v is %d\n", v);
    if (chan_send(ch, 6) == EPIPE) printf("a send fails; Go would panic\n");
    chan_free(ch);
    return 0;
}

// Output:
// received 1
// received 2
// received 3
// received 4
// received 5
// closed, and v is 0
// a send fails; Go would panic
