// Shows: a task that overflows its stack is named; how large a stack is can be
//        chosen for each task. Go's stacks grow, up to a limit and this message:
// Go:    runtime: goroutine stack exceeds 1000000000-byte limit
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

// Recursion without end, near enough, that no compiler turns into a loop.
static int dig(int depth) {
    volatile char earth[256] = { 0 };
    earth[depth % 256] = 1;
    return depth == 0 ? 0 : dig(depth - 1) + earth[depth % 128];
}

TASK(digger, int, depth, chan_sender(int), out) {
    chan_send(out, dig(depth));
}

int main(void) {
    chan(int) out = chan_make(int, 0);
    go_opt(((task_options){ .stack_size = 256 << 10, .name = "careful" }), digger, 100, out);
    printf("dug %d deep\n", chan_get(out) > 0 ? 100 : 0);
    fflush(stdout);
    go_opt(((task_options){ .stack_size = 32 << 10, .name = "reckless" }), digger, 1000000000, out);
    chan_get(out);
    chan_free(out);
    return 0;
}

// Output:
// dug 100 deep
// Exit: 139
// Stderr (pattern):
// *stack overflow*reckless*
