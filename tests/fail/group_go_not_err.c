// expect: group_go: add is not a TASK_ERR
#include "chanrt.h"

TASK(add, int, a, int, b) { (void)(a + b); }
TASK_ERR(sum, int, a, int, b) { return a + b; }

int main(void) {
    task_group g;
    group_init(&g, NULL);
#ifdef OK
    group_go(&g, sum, 1, 2);
#else
    group_go(&g, add, 1, 2);
#endif
    add(1, 2);
    return group_wait(&g) + sum(0, 0);
}
