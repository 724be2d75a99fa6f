// between.h - before unit.h: a test comes between any two steps of the runtime on its own thread.
#include <stddef.h>

static _Thread_local void (*between)(void);
static inline void come_between(void) {
    void (*now)(void) = between;
    if (!now) return;
    between = NULL; // its own steps are its own
    now();
    between = now;
}
#define CHANRT__POINT(waits) come_between()
