// C++ as includer: the declarations and the macros, linked with the implementation in C.
#include <vector>
#include "chanrt.h"

namespace {

struct point { int x, y; };

TASK(flip, chan_receiver(point), in, chan_sender(point), out) {
    chan_range(point, p, in) chan_send(out, { p.y, p.x });
    chan_close(out);
}

TASK(hello) {
    task_yield();
}

int run() {
    chan(point) in = chan_make(point, 1), out = chan_make(point, 2);
    if (in == nullptr || out == nullptr) return 1;
    if (go(flip, in, out) != 0 || go(hello) != 0) return 2;
    chan_send(in, { 1, 2 });
    chan_send(in, { 3, 4 });
    chan_close(in);

    std::vector<point> seen;
    point p = {};
    chan_select {
        on_recv(out, &p)               { seen.push_back(p); }
        on_timeout(10 * CHANRT_SECOND) { return 3; }
    }
    chan_range(point, q, out) seen.push_back(q);
    if (seen.size() != 2 || seen[0].x != 2 || seen[1].y != 3) return 4;
    if (chan_recv(out, &p) != EPIPE || chan_try_send(in, p) != EPIPE) return 5;

    waitgroup wg = {};
    if (wg_go(&wg, hello) != 0) return 6;
    wg_wait(&wg);

    chan_receiver(int64_t) bell = chan_after(CHANRT_MILLISECOND);
    if (chan_get(bell) <= 0) return 7;
    chan_free(bell);
    chan_free(in);
    chan_free(out);
    return chanrt_shutdown(CHANRT_SECOND);
}

}    // namespace

int main() {
    return run();
}
