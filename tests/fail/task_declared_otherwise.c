// expect: conflicting types
#include "chanrt.h"

#ifdef OK
TASK_DECLARE(add, int, a, int, b);
#else
TASK_DECLARE(add, int, a, long, b);
#endif
TASK_EXTERN(add, int, a, int, b) {
    (void)a, (void)b;
}

int main(void) {
    return go(add, 1, 2);
}
