// Shows: a signal is a value in a channel: work until somebody says stop, then tidy up.
// Go:    c := make(chan os.Signal, 1); signal.Notify(c, os.Interrupt); <-c; signal.Stop(c)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

TASK(user, int, ticks) {
    task_sleep(ticks * 10 * CHANRT_MILLISECOND);
    kill(getpid(), SIGHUP);             // as if from another terminal
    task_sleep(ticks * 10 * CHANRT_MILLISECOND);
    kill(getpid(), SIGINT);             // Ctrl-C
}

int main(void) {
    chan_receiver(int) interrupt = chan_signal(SIGINT), hangup = chan_signal(SIGHUP);
    if (interrupt == NULL || hangup == NULL) return 1;
    chan_timer *ticker = ticker_make(10 * CHANRT_MILLISECOND);
    int64_t when;
    bool worked = false;
    go(user, 5);
    for (bool running = true; running;) {
        chan_select_ordered {           // if several have come, the first of these
            on_recv(timer_chan(ticker), &when) { worked = true; }
            on_recv(hangup, NULL)              { printf("reading the settings again\n"); }
            on_recv(interrupt, NULL)           { running = false; }
        }
    }
    printf("interrupted, tidying up; worked before: %s\n", worked ? "yes" : "no");
    timer_free(ticker);
    chan_free(interrupt);               // from here on Ctrl-C ends the process again
    chan_free(hangup);
    return chanrt_shutdown(-1);
}

// Output:
// reading the settings again
// interrupted, tidying up; worked before: yes
