// windows.c - what Windows does in its own way: registers and bounds that go along with a stack,
// calls that block, and what is not to be had there. Beside windows.h, and MinGW's only.
#include <windows.h>

#define CHANRT_IMPLEMENTATION
#include "chanrt.h"

#include <setjmp.h>

static int failures;

#define EXPECT(cond)                                                                       \
    ((cond) ? (void)0 : (failures++, (void)printf("%s:%d: %s\n", __FILE__, __LINE__, #cond)))

// Everything that has to be kept over a call is in use while others run: xmm6 to xmm15, too.
TASK(adds, double, step, chan(int), done) {
    double a = step, b = 2 * step, c = 3 * step, d = 4 * step, e = 5 * step, f = 6 * step;
    long long i = 1, j = 2, k = 3;
    for (int n = 0; n < 1000; n++) {
        task_yield();
        a += step, b += step, c += step, d += step, e += step, f += step;
        i += 1, j += 2, k += 3;
    }
    EXPECT(a == 1001 * step && b == 1002 * step && c == 1003 * step);
    EXPECT(d == 1004 * step && e == 1005 * step && f == 1006 * step);
    EXPECT(i == 1001 && j == 2002 && k == 3003);
    chan_send(done, 1);
}

// Where Windows thinks that the stack lies.
static size_t stack_bounds(char **limit) {
    char *base;
    __asm__ volatile("movq %%gs:8, %0\n\tmovq %%gs:16, %1" : "=&r"(base), "=&r"(*limit));
    return (size_t)(base - *limit);
}

static bool inside_bounds(void) {
    char here = 0, *limit;
    size_t size = stack_bounds(&limit);
    return &here > limit && (size_t)(&here - limit) < size;
}

TASK(stays_inside_its_stack, chan(int), done) {
    static size_t size = 40000; // bytes of a frame, which gcc has probed page by page
    char *limit;
    EXPECT(stack_bounds(&limit) < 80 * 1024); // a task's, not a thread's
    for (int i = 0; i < 100; i++) {
        char big[size];
        memset(big, i, size);
        EXPECT(inside_bounds());
        task_yield();
        EXPECT(big[0] == i && big[size - 1] == i);
    }
    jmp_buf from;
    volatile int jumps = 0;
    if (setjmp(from) < 10) {
        jumps = jumps + 1;
        task_yield();
        longjmp(from, jumps);
    }
    EXPECT(jumps == 10);
    chan_send(done, 1);
}

static void blocks(void *arg) {
    EXPECT(inside_bounds());
    Sleep(50);
    *(DWORD *)arg = GetCurrentThreadId();
}

TASK(calls_what_blocks, chan(int), done) {
    DWORD helper = 0, self = GetCurrentThreadId();
    EXPECT(task_blocking(blocks, &helper) == 0 && helper != 0 && helper != self);
    chan_send(done, 1);
}

TASK(asks_for_descriptors, chan(int), done) {
    char byte;
    int err = 0;
    EXPECT(io_wait(0, IO_READ, -1) == ENOSYS && io_close(99) == ENOSYS);
    EXPECT(io_read(0, &byte, 1) == -1 && errno == ENOSYS);
    EXPECT(io_accept(0, NULL, NULL) == -1 && errno == ENOSYS);
    EXPECT(io_connect(0, NULL, 0) == -1 && errno == ENOSYS);
    chan_select {
        on_io(0, IO_READ | IO_WRITE) { err = select_err(); }
        on_timeout(10 * CHANRT_SECOND) { err = -1; }
    }
    EXPECT(err == ENOSYS);
    EXPECT(chan_signal(SIGINT) == NULL);
    chan_send(done, 1);
}

int main(void) {
    chan(int) done = chan_make(int, 0);
    int spawned = 0;
    for (int i = 1; i <= 20; i++) {
        go(adds, i, done);
        go(stays_inside_its_stack, done);
        go(calls_what_blocks, done);
        go(asks_for_descriptors, done);
        spawned += 4;
    }
    while (spawned-- > 0) chan_recv(done, NULL);
    chan_free(done);
    EXPECT(inside_bounds());
    EXPECT(chanrt_shutdown(CHANRT_SECOND) == 0);
    return failures != 0;
}
