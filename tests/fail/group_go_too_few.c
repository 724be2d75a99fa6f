// expect: too few arguments
#include "chanrt.h"

TASK_ERR(sum, int, a, int, b) { return a + b; }

int main(void) {
    task_group g;
    group_init(&g, NULL);
#ifdef OK
    group_go(&g, sum, 1, 2);
#else
    group_go(&g, sum, 1);
#endif
    return group_wait(&g);
}
