// expect: incompatible .*pointer type
#include "chanrt.h"

static void right(void *arg) {
    (void)arg;
}
static int wrong(int arg) {
    return arg;
}

int main(void) {
    wrong(1);
#ifdef OK
    go_fn(right, NULL);
#else
    go_fn(wrong, NULL), right(NULL);
#endif
    return 0;
}
