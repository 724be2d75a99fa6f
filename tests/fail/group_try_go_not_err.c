// expect: group_go: hello is not a TASK_ERR
#include "chanrt.h"

TASK(hello) {}
TASK_ERR(nothing) { return 0; }

int main(void) {
    task_group g;
    group_init(&g, NULL);
#ifdef OK
    group_try_go(&g, nothing);
#else
    group_try_go(&g, hello);
#endif
    hello();
    return group_wait(&g) + nothing();
}
