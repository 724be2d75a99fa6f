// Shows: a cache that is read by many and written by few: a rwmutex lets all readers in at once.
// Go:    var mu sync.RWMutex
//        mu.RLock(); v, ok := cache[k]; mu.RUnlock()
//        if !ok { mu.Lock(); cache[k] = slow(k); mu.Unlock() }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdatomic.h>
#include <stdio.h>

enum { KEYS = 16, READERS = 8, LOOKUPS = 2000 };

struct cache {
    sync_rwmutex rw;
    long value[KEYS];                   // 0: not there yet
    int computed;                       // changed by writers only
};

static long slow(int key) {
    task_sleep(CHANRT_MILLISECOND / 10);
    return (long)key * key + 1;
}

static long lookup(struct cache *c, int key) {
    sync_rwmutex_rlock(&c->rw);
    long v = c->value[key];
    sync_rwmutex_runlock(&c->rw);
    if (v != 0) return v;
    sync_rwmutex_lock(&c->rw);
    if (c->value[key] == 0) {           // nobody else was faster
        c->value[key] = slow(key);
        c->computed++;
    }
    v = c->value[key];
    sync_rwmutex_unlock(&c->rw);
    return v;
}

TASK(reader, struct cache *, c, int, first, atomic_long *, sum) {
    long mine = 0;
    for (int i = 0; i < LOOKUPS; i++) mine += lookup(c, (first + i) % KEYS);
    atomic_fetch_add(sum, mine);
}

int main(void) {
    static struct cache c;              // zero: ready for use
    atomic_long sum = 0;
    waitgroup wg = {0};
    for (int i = 0; i < READERS; i++) wg_go(&wg, reader, &c, i, &sum);
    wg_wait(&wg);
    printf("%d lookups, %d computed, sum %ld\n", READERS * LOOKUPS, c.computed, atomic_load(&sum));
    return chanrt_shutdown(CHANRT_SECOND);
}

// Output:
// 16000 lookups, 16 computed, sum 1256000
