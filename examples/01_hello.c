// Shows: a task is a function started with go; it runs beside its starter.
// Go:    go hello()
//        time.Sleep(time.Second)     // and hope that it has run by then
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

TASK(hello) {
    printf("hello from a task\n");
}

int main(void) {
    go(hello);
    // Returning from main ends every task with it, as in Go. No sleep here:
    // the shutdown waits as long as there are tasks, and no longer.
    chanrt_shutdown(-1);
    printf("goodbye from main\n");
    return 0;
}

// Output:
// hello from a task
// goodbye from main
