// expect: no matching function for call to .*chanrt_x_go
#include "chanrt.h"

TASK(add, int, a, int, b) { (void)(a + b); }

int main() {
#ifdef OK
    return go(add, 1, 2);
#else
    return go(add, 1);
#endif
}
