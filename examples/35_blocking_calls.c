// Shows: calls that block in the kernel run on helper threads, so that even one worker goes on.
// Go:    does this by itself: a goroutine in a system call gives its processor away.
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>
#include <time.h>

static void ask_the_database(void *arg) {
    nanosleep(&(struct timespec){ 0, 50 * CHANRT_MILLISECOND }, NULL); // takes its time
    *(int *)arg *= 2;
}

TASK(question, int, n, chan_sender(int), answers) {
    task_blocking(ask_the_database, &n); // this task waits, its worker does not
    chan_send(answers, n);
}

int main(void) {
    enum { QUESTIONS = 10 };
    chanrt_start(&(chanrt_options){ .workers = 1 });
    chan(int) answers = chan_make(int, 0);
    int64_t start = chanrt_now();
    int sum = 0;
    for (int i = 1; i <= QUESTIONS; i++) go(question, i, answers);
    for (int i = 1; i <= QUESTIONS; i++) sum += chan_get(answers);
    int64_t took = chanrt_now() - start;
    printf("sum %d, %s\n", sum,
           took < QUESTIONS * 50 * CHANRT_MILLISECOND ? "all at once" : "one after the other");
    chan_free(answers);
    return chanrt_shutdown(-1);
}

// Output:
// sum 110, all at once
