// Shows: fetching many things in parallel, but never more than a few at a time: starting one
//        more waits for a free place, or is refused with group_try_go.
// Go:    g.SetLimit(4); for _, u := range urls { g.Go(func() error { return fetch(u) }) }
//        if !g.TryGo(f) { ... }
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdatomic.h>
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down
enum { PAGES = 20, AT_A_TIME = 4 };

static atomic_int running, most;
static int sizes[PAGES];                // each task writes its own, group_wait orders them

TASK_ERR(fetch, int, page, chan_receiver(char), online) {
    int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {}
    chan_recv(online, NULL);            // closed: go ahead
    task_sleep(SECOND);                 // a request is on its way
    sizes[page] = 100 + page;
    atomic_fetch_sub(&running, 1);
    return 0;
}

int main(void) {
    task_group g;
    if (group_init(&g, NULL) != 0) return 1;
    group_limit(&g, AT_A_TIME);
    chan(char) online = chan_make(char, 0);
    for (int page = 0; page < PAGES; page++) {
        if (group_go(&g, fetch, page, online) != 0) return 1;   // waits while four are running
        if (page != AT_A_TIME - 1) continue;
        if (group_try_go(&g, fetch, page, online) == EAGAIN)
            printf("all %d places are taken\n", AT_A_TIME);
        chan_close(online);
    }
    if (group_wait(&g) != 0) return 1;
    chan_free(online);

    int total = 0;
    for (int page = 0; page < PAGES; page++) total += sizes[page];
    printf("%d pages, %d bytes, never more than %d at a time\n", PAGES, total,
           atomic_load(&most));
    return 0;
}

// Output:
// all 4 places are taken
// 20 pages, 2190 bytes, never more than 4 at a time
