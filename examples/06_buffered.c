// Shows: a channel with room for two takes two values before anybody receives.
// Go:    ch := make(chan string, 2)
//        ch <- "first"
//        ch <- "second"
//        fmt.Println(<-ch, <-ch)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

int main(void) {
    chan(const char *) ch = chan_make(const char *, 2);
    chan_send(ch, "first");             // no receiver yet: kept in the buffer
    chan_send(ch, "second");
    printf("holds %zu of %zu\n", chan_len(ch), chan_cap(ch));

    // A third one would block, here for ever: there is nobody else to receive.
    if (chan_try_send(ch, "third") == EAGAIN) printf("full\n");

    printf("%s\n", chan_get(ch));
    printf("%s\n", chan_get(ch));
    chan_free(ch);
    return 0;
}

// Output:
// holds 2 of 2
// full
// first
// second
