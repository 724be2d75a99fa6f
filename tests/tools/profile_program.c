// What tests/tools/profile.sh measures: tasks that compute, sleep and wait for known times.
#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"

static const int64_t UNIT = 20 * CHANRT_MILLISECOND;

TASK(computes, int, rounds) { // 1 unit a round, as far as the clock tells
    for (int i = 0; i < rounds; i++) {
        int64_t until = chanrt_now() + UNIT;
        while (chanrt_now() < until) {}
        task_yield();
    }
}
TASK(sleeps, int, rounds) {
    for (int i = 0; i < rounds; i++) task_sleep(UNIT);
}
TASK(answers, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, v, in) {
        task_sleep(UNIT);
        chan_send(out, v);
    }
}
TASK(asks, chan_sender(int), out, chan_receiver(int), in, int, rounds) {
    for (int i = 0; i < rounds; i++) {
        chan_send(out, i);
        chan_recv(in, NULL); // a unit each
    }
    chan_close(out);
}
TASK(waits_for_ever, chan_receiver(int), in) { chan_recv(in, NULL); }

int main(int argc, char **argv) {
    (void)argv;
    waitgroup wg = {0};
    chan(int) to = chan_make(int, 0), from = chan_make(int, 0), never = chan_make(int, 0);
    int64_t begun = chanrt_now();
    go(waits_for_ever, never);
    for (int i = 0; i < 2; i++) wg_go(&wg, computes, 3);
    for (int i = 0; i < 3; i++) wg_go(&wg, sleeps, 5);
    wg_go(&wg, answers, to, from);
    wg_go(&wg, asks, to, from, 5);
    wg_wait(&wg);
    printf("%d %lld\n", chanrt_workers(), (long long)((chanrt_now() - begun) / 1000));
    if (argc > 1) return 0; // the process ends with a task that waits
    chan_free(never);
    chanrt_shutdown(-1);
    chan_free(to);
    chan_free(from);
    return 0;
}
