// expect: _TASK_DECLARE_of_plain. undeclared|undeclared .*_TASK_DECLARE_of_plain
#include "chanrt.h"

static void plain(void *arg) {
    (void)arg;
}

int main(void) {
#ifdef OK
    go_fn(plain, NULL);
#else
    go(plain, NULL);
#endif
    return 0;
}
