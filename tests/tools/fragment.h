// What a fragment in README.md may take for granted: it becomes the body of a function.
#include <stb/stb_ds.h>
#include "chanrt.h"

struct point { int x, y; };
TASK(worker, int, id, chan_receiver(int), jobs, chan_sender(int), results) {
    chan_range(int, j, jobs) chan_send(results, id * j);
}
TASK(hello) { }
static chan(int) ch, jobs, results;
static int v, value;

void my_scenario(uint64_t seed);
