// expect: (makes|to) integer from pointer|pointer to integer
#include "chanrt.h"

TASK_ERR(sum, int, a, int, b) { return a + b; }

int main(void) {
    task_group g;
    group_init(&g, NULL);
#ifdef OK
    group_go(&g, sum, 1, 2);
#else
    group_go(&g, sum, 1, "2");
#endif
    return group_wait(&g);
}
