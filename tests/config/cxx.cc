// C++ as includer: the declarations and the macros, linked with the implementation in C; tasks that
// are lambdas or take what must be moved; exceptions handled across parks and workers; and what
// an exception that leaves a task says (the program runs itself again for that).
#ifndef _WIN32
#include <sys/wait.h>
#endif
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
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

int failures;
#define EXPECT(cond) \
    ((cond) ? (void)0 : (void)(failures++, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #cond)))

struct shared_count {
    sync_mutex m;
    sync_cond changed;
    sync_rwmutex rw;
    sync_once once;
    sync_sem permits;
    int n, set;
};

void set_up(void *p) { static_cast<shared_count *>(p)->set++; }

TASK(count, shared_count *, s) {
    sync_once_do(&s->once, set_up, s);
    sync_sem_acquire(&s->permits, 1);
    sync_rwmutex_rlock(&s->rw);
    sync_mutex_lock(&s->m);
    s->n++;
    sync_cond_signal(&s->changed);
    sync_mutex_unlock(&s->m);
    sync_rwmutex_runlock(&s->rw);
    sync_sem_release(&s->permits, 1);
}

void locks() {
    static shared_count s;
    waitgroup wg = {};
    EXPECT(sync_sem_init(&s.permits, 2) == 0);
    for (int i = 0; i < 4; i++) EXPECT(wg_go(&wg, count, &s) == 0);
    sync_mutex_lock(&s.m);
    while (s.n < 4) sync_cond_wait(&s.changed, &s.m);
    sync_mutex_unlock(&s.m);
    wg_wait(&wg);
    EXPECT(s.set == 1 && sync_mutex_unlock(&s.m) == EINVAL);
}

TASK_ERR(halve, int, n) {
    return n / 2;
}

void contexts_and_groups() {
    int key = 0;
    task_ctx *top = ctx_with_timeout(ctx_background(), CHANRT_SECOND);
    task_ctx *c = ctx_with_value(top, &key, &key);
    EXPECT(ctx_value(c, &key) == &key);
    task_group g;
    EXPECT(group_init(&g, c) == 0 && group_limit(&g, 1) == 0);
    EXPECT(group_go(&g, halve, 6) == 0 && group_wait(&g) == 3);
    std::vector<int> one = { 1 };
    EXPECT(group_init(&g, c) == 0);
    EXPECT(group_try_go(&g, [&key] { return key++; }) == 0);
    EXPECT(group_go(&g, [one] { return one[0] + 1; }) == 0 && group_wait(&g) == 2 && key == 1);
    ctx_cancel_cause(top, EIO);
    EXPECT(chan_recv(ctx_done(c), nullptr) == EPIPE && ctx_cause(c) == EIO);
    ctx_free(c);
    ctx_free(top);
}

void channels_and_select() {
    chan(point) in = chan_make(point, 1), out = chan_make(point, 2);
    EXPECT(in != nullptr && out != nullptr);
    EXPECT(go(flip, in, out) == 0 && go(hello) == 0);
    chan_send(in, { 1, 2 });
    chan_send(in, { 3, 4 });
    chan_close(in);

    std::vector<point> seen;
    point p = {};
    chan_select {
        on_recv(out, &p)               { seen.push_back(p); }
        on_timeout(10 * CHANRT_SECOND) { EXPECT(seen.size() == 9); }
    }
    chan_range(point, q, out) seen.push_back(q);
    EXPECT(seen.size() == 2 && seen[0].x == 2 && seen[1].y == 3);
    EXPECT(chan_recv(out, &p) == EPIPE && chan_try_send(in, p) == EPIPE);

    waitgroup wg = {};
    EXPECT(wg_go(&wg, hello) == 0);
    wg_wait(&wg);

    chan_receiver(int64_t) bell = chan_after(CHANRT_MILLISECOND);
    EXPECT(chan_get(bell) > 0);
    chan_free(bell);
    chan_free(in);
    chan_free(out);
}

// Counts those alive.
struct counted {
    static std::atomic<int> alive;
    counted() { alive++; }
    counted(const counted &) { alive++; }
    counted(counted &&) noexcept { alive++; }
    ~counted() { alive--; }
};
std::atomic<int> counted::alive(0);

TASK(takes_all, std::unique_ptr<int>, p, std::string, s, chan_sender(int), out, counted, c) {
    (void)c;
    chan_send(out, *p + (int)s.size());
}

int answers_int(int a, const std::string &s) { return a + (int)s.size(); }

void callables() {
    chanrt::channel<int> out(8);
    std::string text = "a text that is too long for a string to hold in itself";
    waitgroup wg = {};
    counted c;
    EXPECT(wg_go(&wg, [text, out, c] { out.send((int)text.size()); }) == 0);
    EXPECT(wg_go(&wg, [&] { out.send(1); }) == 0);
    EXPECT(wg_go(&wg, takes_all, std::unique_ptr<int>(new int(5)), text, out, c) == 0);
    EXPECT(wg_go(&wg, answers_int, 1, "converted") == 0);
    wg_wait(&wg);
    EXPECT(go([out] { out.send(2); }) == 0);
    EXPECT(chanrt::go([out] { out.send(3); }) == 0);
    EXPECT((chanrt::go)([out] { out.send(4); }) == 0);
    EXPECT(go_opt((task_options{ 256 << 10, "big", false }), [out] {
               out.send(std::string("big") == task_name() ? 7 : 0);
           }) == 0);
    EXPECT(go_fn([](void *p) { static_cast<chanrt::channel<int> *>(p)->send(6); }, &out) == 0);

    int sum = 0;
    for (int i = 0; i < 8; i++) sum += chan_get(out.get());
    EXPECT(sum == (int)text.size() + 1 + (int)text.size() + 5 + 2 + 3 + 4 + 7 + 6);
    EXPECT(counted::alive == 1); // with the group's end all copies had gone
    EXPECT(go([out] {
               for (int i = 0; i < 5; i++) out.send(i);
               out.close();
           }) == 0);
    sum = 0;
    for (int v : out) sum += v;
    EXPECT(sum == 10);
    EXPECT(out.send(1) == EPIPE);
}

void channels_of_their_own() {
    chanrt::channel<int> a(1), b = a, c(1);
    EXPECT(a.get() == b.get() && a.send(1) == 0);
    c = std::move(b);
    EXPECT(b.get() == nullptr && c.get() == a.get() && b.send(1) == EINVAL);
    int v = 0;
    EXPECT(c.try_recv(&v) == 0 && v == 1 && c.try_recv(&v) == EAGAIN && c.try_send(2) == 0);
    chan_receiver(int) in = a;
    EXPECT(chan_get(in) == 2);
}

// Catches its own exception, at every depth, however often it parks in between.
int nested(int depth, chan(int) gate, chan(int) back) {
    try {
        throw depth;
    } catch (int caught) {
        chan_send(back, depth);
        chan_get(gate);
        int below = depth > 0 ? nested(depth - 1, gate, back) : 0;
        task_yield();
        if (caught != depth) return -1000;
        try {
            throw;
        } catch (int again) {
            return again == depth ? below + 1 : -1000;
        }
    }
}

struct parks_in_destructor {
    chan(int) back;
    int *seen;
    ~parks_in_destructor() {
        task_yield();
        task_sleep(CHANRT_MICROSECOND);
#if __cplusplus >= 201703L
        *seen = std::uncaught_exceptions();
#else
        *seen = std::uncaught_exception();
#endif
        chan_send(back, 0);
    }
};

TASK(handles, int, depth, chan(int), gate, chan(int), back, chan(int), result) {
    int n = nested(depth, gate, back), unwinding = 0;
    try {
        parks_in_destructor p = { back, &unwinding };
        throw std::runtime_error("out");
    } catch (const std::exception &e) {
        if (std::string("out") != e.what() || unwinding != 1) n = -1;
    }
    if (std::current_exception() != nullptr) n = -2;
    chan_send(result, n);
}

struct parks_when_freed : counted {
    ~parks_when_freed() { task_yield(); }
};

// Out of two handlers, the inner one of an exception that was thrown again. Both are freed.
TASK(leaves_while_handling) {
    try {
        throw parks_when_freed();
    } catch (const parks_when_freed &) {
        try {
            throw counted();
        } catch (const counted &) {
            try {
                throw;
            } catch (const counted &) {
                task_yield();
                task_exit();
            }
        }
    }
}

TASK(is_clean, chan(int), result) {
    bool clean = std::current_exception() == nullptr;
    task_yield();
    chan_send(result, clean && std::current_exception() == nullptr);
}

void exceptions() {
    enum { TASKS = 40, DEPTH = 5 };
    chan(int) gate = chan_make(int, 0), back = chan_make(int, 0), result = chan_make(int, TASKS);
    for (int i = 0; i < TASKS; i++) EXPECT(go(handles, DEPTH, gate, back, result) == 0);
    // All of them stand in their handlers, mixed up on the workers, before any goes on.
    for (int round = 0; round <= DEPTH; round++) {
        for (int i = 0; i < TASKS; i++) chan_get(back);
        for (int i = 0; i < TASKS; i++) chan_send(gate, 0);
    }
    for (int i = 0; i < TASKS; i++) chan_get(back);
    for (int i = 0; i < TASKS; i++) EXPECT(chan_get(result) == DEPTH + 1);
    waitgroup left = {};
    for (int i = 0; i < TASKS; i++) EXPECT(wg_go(&left, leaves_while_handling) == 0);
    wg_wait(&left);
    EXPECT(counted::alive == 0);
    for (int i = 0; i < TASKS; i++) go(is_clean, result);
    for (int i = 0; i < TASKS; i++) EXPECT(chan_get(result) == 1);
    chan_free(gate);
    chan_free(back);
    chan_free(result);
}

TASK(throws_out, int, n) {
    task_yield();
    if (n > 0) throw std::runtime_error("nobody catches this");
}

// What this program, run again for one child, writes to stderr; it must end by a signal.
std::string last_words(const char *self, const char *child) {
    std::string command = std::string(self) + " " + child + " 2>&1";
    FILE *f = popen(command.c_str(), "r");
    if (f == nullptr) return "";
    std::string text;
    for (int c; (c = fgetc(f)) != EOF;) text += (char)c;
    int status = pclose(f);
#ifdef _WIN32
    EXPECT(status == 3); // what abort gives there
#else
    EXPECT(WIFSIGNALED(status) || WEXITSTATUS(status) == 128 + SIGABRT);
#endif
    return text;
}

bool has(const std::string &text, const char *part) {
    if (text.find(part) != std::string::npos) return true;
    std::printf("%s", text.c_str());
    return false;
}

void last_exceptions(const char *self) {
    std::string text = last_words(self, "task");
    EXPECT(has(text, "fatal error: an exception left task"));
    EXPECT(has(text, "\"throws_out\", spawned at"));
    EXPECT(has(text, "nobody catches this"));
    EXPECT(has(last_words(self, "lambda"), "\"lambda\", spawned at"));
}

} // namespace

int main(int argc, char **argv) {
    waitgroup wg = {};
    if (argc > 1 && argv[1][0] == 't') return wg_go(&wg, throws_out, 1), wg_wait(&wg), 0;
    if (argc > 1) return wg_go(&wg, [] { throw 1; }), wg_wait(&wg), 0;
    channels_and_select();
    locks();
    contexts_and_groups();
    callables();
    channels_of_their_own();
    exceptions();
    EXPECT(chanrt_shutdown(CHANRT_SECOND) == 0);
    EXPECT(counted::alive == 0);
    if (getenv("TEST_RUNNER") == nullptr) last_exceptions(argv[0]);
    return failures != 0;
}
