// Shows: main goes on with its own work while a task is still busy, and waits
//        only where it needs the answer.
// Go:    go func() { time.Sleep(2 * time.Second); answer <- 42 }()
//        fmt.Println("main goes on")
//        fmt.Println("the answer is", <-answer)
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

TASK(think, chan_sender(int), answer) {
    task_sleep(2 * SECOND);
    chan_send(answer, 42);
}

int main(void) {
    chan(int) answer = chan_make(int, 0);
    int64_t start = chanrt_now();
    go(think, answer);
    printf("main goes on\n");
    printf("the answer is %d\n", chan_get(answer));
    if (chanrt_now() - start >= 2 * SECOND) printf("it took two seconds\n");
    chan_free(answer);
    return 0;
}

// Output:
// main goes on
// the answer is 42
// it took two seconds
