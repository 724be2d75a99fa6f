// expect: incompatible .*pointer type
#include "chanrt.h"

static void right(void *arg) {
    (void)arg;
}
static void wrong(int arg) {
    (void)arg;
}

int main(void) {
    wrong(1);
#ifdef OK
    ctx_after_func(ctx_background(), right, NULL);
#else
    ctx_after_func(ctx_background(), wrong, NULL), right(NULL);
#endif
    return 0;
}
