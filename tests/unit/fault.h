// fault.h - system calls that fail on demand. Included first: the header asks CHANRT__FAULT
// before each call that the system may refuse.
#ifndef FAULT_H
#define FAULT_H

static int fault_hits(const char *call);
#define CHANRT__FAULT(call) fault_hits(#call)
#include "unit.h"

static struct {
    const char *_Atomic call;
    atomic_long seen, first, count, fired;
} fault;

static int fault_hits(const char *call) {
    const char *armed = atomic_load(&fault.call);
    if (armed == NULL || strcmp(armed, call) != 0) return 0;
    long n = atomic_fetch_add(&fault.seen, 1) + 1, first = atomic_load(&fault.first);
    if (n < first || n - first >= atomic_load(&fault.count)) return 0;
    atomic_fetch_add(&fault.fired, 1);
    return 1;
}

// From now on `count` calls of that name fail, beginning with the first-th.
static inline void fault_arm(const char *call, long first, long count) {
    atomic_store(&fault.call, NULL);
    atomic_store(&fault.seen, 0);
    atomic_store(&fault.first, first);
    atomic_store(&fault.count, count);
    atomic_store(&fault.fired, 0);
    atomic_store(&fault.call, call);
}

// Lets every call succeed again. Returns how many have failed.
static inline long fault_off(void) {
    atomic_store(&fault.call, NULL);
    return atomic_load(&fault.fired);
}

#endif
