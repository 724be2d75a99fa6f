// expect: chanrt_x_start_plain
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
