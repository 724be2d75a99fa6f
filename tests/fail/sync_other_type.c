// expect: incompatible.*pointer type
#include "chanrt.h"

static sync_mutex m;
static sync_rwmutex rw;

int main(void) {
#ifdef OK
    sync_rwmutex_lock(&rw);
    return sync_mutex_lock(&m);
#else
    return sync_mutex_lock(&rw);
#endif
}
