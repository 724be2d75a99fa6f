// Shows: calls that block in the kernel run on helper threads, so that even one worker goes on.
// Go:    does this by itself: a goroutine in a system call gives its processor away.
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static atomic_int asking, most;

static void ask_the_database(void *arg) {
    int now = atomic_fetch_add(&asking, 1) + 1, seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {}
    nanosleep(&(struct timespec){ 0, 50 * CHANRT_MILLISECOND }, NULL); // takes its time
    *(int *)arg *= 2;
    atomic_fetch_sub(&asking, 1);
}

TASK(question, int, n, chan_sender(int), answers) {
    task_blocking(ask_the_database, &n); // this task waits, its worker does not
    chan_send(answers, n);
}

int main(void) {
    enum { QUESTIONS = 10 };
    chanrt_start(&(chanrt_options){ .workers = 1 });
    chan(int) answers = chan_make(int, 0);
    int sum = 0;
    for (int i = 1; i <= QUESTIONS; i++) go(question, i, answers);
    for (int i = 1; i <= QUESTIONS; i++) sum += chan_get(answers);
    printf("sum %d, %s\n", sum,
           atomic_load(&most) > 1 ? "several at a time" : "one after the other");
    chan_free(answers);
    return chanrt_shutdown(-1);
}

// Output:
// sum 110, several at a time
