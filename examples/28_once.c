// Shows: what is needed by everybody is made once, by whoever comes first; the others wait.
// Go:    var once sync.Once
//        once.Do(load)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

static sync_once once;
static char config[64];                 // written in load, read after sync_once_do

static void load(void *unused) {
    (void)unused;
    printf("loading\n");
    task_sleep(CHANRT_MILLISECOND);
    snprintf(config, sizeof config, "the configuration");
}

TASK(worker, chan_sender(bool), ready) {
    sync_once_do(&once, load, NULL);
    chan_send(ready, config[0] != 0);
}

int main(void) {
    chan(bool) ready = chan_make(bool, 0);
    int seen = 0;
    for (int i = 0; i < 10; i++) go(worker, ready);
    for (int i = 0; i < 10; i++) seen += chan_get(ready);
    printf("%d of 10 have seen %s\n", seen, config);
    chan_free(ready);
    return chanrt_shutdown(CHANRT_SECOND);
}

// Output:
// loading
// 10 of 10 have seen the configuration
