// What tests/tools/gdb.sh looks at: three tasks that wait, known frames deep, and a main that stops
#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"
#include <stdlib.h>

__attribute__((noinline)) static int third(chan(int) ch) {
    int v = 0;
    chan_recv(ch, &v);
    return v + 1;
}
__attribute__((noinline)) static int second(chan(int) ch) { return third(ch) + 1; }
TASK(digs, chan(int), ch) { chan_send(ch, second(ch)); }
TASK(naps) { task_sleep(1000 * CHANRT_SECOND); }

__attribute__((noinline)) static void all_wait(void) { __asm__ volatile(""); }

int main(int argc, char **argv) {
    (void)argv;
    chan(int) ch = chan_make(int, 0);
    go(digs, ch);
    go(digs, ch);
    go(naps);
    chanrt_statistics s;
    do { // until all three wait
        task_sleep(10 * CHANRT_MILLISECOND);
        chanrt_stats(&s);
    } while (s.parks < 3);
    all_wait();
    if (argc > 1) abort();
    return 0;
}
