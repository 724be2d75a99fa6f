// expect: incompatible.*pointer type
#include "chanrt.h"

static sync_once once;
static void with_pointer(void *arg) { (void)arg; }
static void with_number(int arg) { (void)arg; }

int main(void) {
#ifdef OK
    (void)with_number;
    return sync_once_do(&once, with_pointer, NULL);
#else
    (void)with_pointer;
    return sync_once_do(&once, with_number, NULL);
#endif
}
