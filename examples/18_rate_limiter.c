// Shows: a ticker as a rate limiter: one request per tick, however many wait.
// Go:    limiter := time.Tick(200 * time.Millisecond)
//        for req := range requests { <-limiter; fmt.Println("request", req) }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
#define PERIOD (SECOND / 5)

int main(void) {
    chan(int) requests = chan_make(int, 5);
    for (int r = 1; r <= 5; r++) chan_send(requests, r);
    chan_close(requests);

    int64_t start = chanrt_now();
    chan_timer *limiter = ticker_make(PERIOD);
    chan_range(int, r, requests) {
        chan_recv(timer_chan(limiter), NULL);
        printf("request %d\n", r);
    }
    if (chanrt_now() - start >= 5 * PERIOD) printf("five requests took five periods\n");
    timer_free(limiter);
    chan_free(requests);
    return 0;
}

// Output:
// request 1
// request 2
// request 3
// request 4
// request 5
// five requests took five periods
