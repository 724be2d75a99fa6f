// Shows: select waits for several channels at once and takes what comes first.
// Go:    for i := 0; i < 2; i++ {
//            select {
//            case msg := <-one: fmt.Println("received", msg)
//            case msg := <-two: fmt.Println("received", msg)
//            }
//        }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

TASK(say_later, int64_t, delay, const char *, what, chan_sender(const char *), out) {
    task_sleep(delay);
    chan_send(out, what);
}

int main(void) {
    chan(const char *) one = chan_make(const char *, 0);
    chan(const char *) two = chan_make(const char *, 0);
    go(say_later, SECOND, "one", one);
    go(say_later, 2 * SECOND, "two", two);

    for (int i = 0; i < 2; i++) {       // two seconds in all, not three
        const char *msg;
        chan_select {
            on_recv(one, &msg) { printf("received %s\n", msg); }
            on_recv(two, &msg) { printf("received %s\n", msg); }
        }
    }
    chan_free(one);
    chan_free(two);
    return 0;
}

// Output (any order):
// received one
// received two
