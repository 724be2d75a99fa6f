// Shows: a message through a channel: the receiver waits until it is there.
// Go:    messages := make(chan string)
//        go func() { messages <- "ping" }()
//        fmt.Println(<-messages)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

TASK(ping, chan_sender(const char *), messages) {
    chan_send(messages, "ping");
}

int main(void) {
    chan(const char *) messages = chan_make(const char *, 0);
    go(ping, messages);
    printf("%s\n", chan_get(messages));
    chan_free(messages);                // there is no collector in C
    return 0;
}

// Output:
// ping
