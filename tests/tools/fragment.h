// What a fragment in README.md may take for granted: it becomes the body of a function.
#include <signal.h>
#include <stb/stb_ds.h>
#ifdef __cplusplus
#include <string>
#endif
#include "chanrt.h"

struct point { int x, y; };
TASK(worker, int, id, chan_receiver(int), jobs, chan_sender(int), results) {
    chan_range(int, j, jobs) chan_send(results, id * j);
}
TASK(hello) { }
TASK_ERR(fetch, const char *, url) { return url == NULL ? EINVAL : 0; }
void my_scenario(uint64_t seed);
static inline void function(void *arg) { (void)arg; }
static chan(int) ch, jobs, results;
static chan_receiver(int) stop;
static chan_receiver(int64_t) alarm_clock;
static int v, value, fd;
static char buffer[100];
static waitgroup wg;
static task_ctx *ctx;
static task_group group;
static sync_mutex mutex;
