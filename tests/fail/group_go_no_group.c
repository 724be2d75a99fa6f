// expect: incompatible .*pointer type
#include "chanrt.h"

TASK_ERR(sum, int, a, int, b) { return a + b; }

int main(void) {
    task_group g;
    waitgroup wg = { 0 };
    group_init(&g, NULL);
#ifdef OK
    group_go(&g, sum, 1, 2);
#else
    group_go(&wg, sum, 1, 2);
#endif
    wg_wait(&wg);
    return group_wait(&g);
}
