// Shows: a million tasks at once, all waiting, and what one of them costs. It
//        wants some 5 GB of memory; a number on the command line makes it less.
//        Before Linux 6.13 a line on stderr tells that guard pages ran out.
// Go:    for i := 0; i < 1_000_000; i++ { go func() { ready.Done(); <-gate }() }
//        ready.Wait()
//        runtime.ReadMemStats(&m)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Under a sanitizer every task costs much more.
#ifdef __has_feature
#define FEATURE(f) __has_feature(f)
#else
#define FEATURE(f) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || FEATURE(address_sanitizer) || \
    FEATURE(thread_sanitizer)
enum { TASKS = 1000 };
#else
enum { TASKS = 1000000 };
#endif

TASK(wait_at, chan_receiver(char), gate, waitgroup *, ready) {
    wg_done(ready);
    chan_recv(gate, NULL);
}

// memory_used: bytes in RAM, the kernel's page tables for them included.
static double memory_used(void) {
    char line[128];
    double kib = 0, n;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %lf", &n) == 1 || sscanf(line, "VmPTE: %lf", &n) == 1) kib += n;
    if (f != NULL) fclose(f);
    return kib * 1024;
}

static double seconds_since(int64_t t) { return (double)(chanrt_now() - t) / 1e9; }

int main(int argc, char **argv) {
    int tasks = argc > 1 ? atoi(argv[1]) : TASKS, started = 0;
    chan(char) gate = chan_make(char, 0);
    waitgroup ready = {0}, ended = {0};
    double before = memory_used();
    int64_t t = chanrt_now();

    for (; started < tasks; started++) {
        wg_add(&ready, 1);
        int err = wg_go(&ended, wait_at, gate, &ready);
        if (err == 0) continue;
        wg_done(&ready);
        fprintf(stderr, "task %d: %s\n", started + 1, strerror(err));
        break;
    }
    wg_wait(&ready);                    // each has run up to the gate
    printf("%d tasks wait after %.2f s\n", started, seconds_since(t));
    printf("%.0f bytes each\n", (memory_used() - before) / (started > 0 ? started : 1));

    t = chanrt_now();
    chan_close(gate);                   // wakes all of them
    wg_wait(&ended);
    printf("all ended after another %.2f s\n", seconds_since(t));
    chan_free(gate);
    return started == tasks ? 0 : 1;
}

// Output (pattern):
// * tasks wait after * s
// * bytes each
// all ended after another * s
// Stderr (pattern):
// *
