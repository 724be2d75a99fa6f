// expect: incompatible type for argument|passing .* to parameter of incompatible type
#include "chanrt.h"

static sync_mutex m;
static sync_cond c;

int main(void) {
#ifdef OK
    return sync_cond_wait(&c, &m);
#else
    return sync_cond_wait(&c, m);
#endif
}
