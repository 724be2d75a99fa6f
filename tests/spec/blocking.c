// Calls that block: the task waits on a helper thread's work, its worker runs on.
#include "test.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void nap(int64_t ns) {
    struct timespec t = { ns / CHANRT_SECOND, ns % CHANRT_SECOND };
    nanosleep(&t, NULL);
}

struct call {
    pthread_t thread;
    uint64_t task;
    int64_t ns;
    int value;
};

static atomic_int under_way, most_under_way;

static void block(void *arg) {
    struct call *c = arg;
    int n = atomic_fetch_add(&under_way, 1) + 1, most = atomic_load(&most_under_way);
    while (n > most && !atomic_compare_exchange_weak(&most_under_way, &most, n)) {}
    c->thread = pthread_self();
    c->task = task_id();
    if (c->ns > 0) nap(c->ns);
    c->value++;
    atomic_fetch_sub(&under_way, 1);
}

TASK(calls, int64_t, ns, chan_sender(int), out) {
    struct call c = { .task = 1, .ns = ns, .value = 41 };
    pthread_t self = pthread_self();
    int err = task_blocking(block, &c);
    CHECK_EQ(c.value, 42);
    CHECK(!pthread_equal(self, c.thread));
    CHECK_EQ(c.task, 0); // over there is no task
    chan_send(out, err);
}

TEST(a_call_runs_elsewhere_and_returns) {
    chan(int) out = chan_make(int, 0);
    go(calls, 0, out);
    CHECK_EQ(chan_get(out), 0);
    go(calls, test_unit, out);
    CHECK_EQ(chan_get(out), 0);
    chan_free(out);
}

TEST(on_a_thread_it_is_a_call) {
    struct call c = { .value = 1 };
    CHECK_EQ(task_blocking(block, &c), 0);
    CHECK(pthread_equal(c.thread, pthread_self()));
    CHECK_EQ(c.value, 2);
    CHECK_EQ(task_blocking(NULL, &c), EINVAL);
}

TASK(counts, atomic_long *, n, chan_receiver(int), stop) {
    while (chan_try_recv(stop, NULL) == EAGAIN) {
        atomic_fetch_add(n, 1);
        task_yield();
    }
}

TEST(other_tasks_run_meanwhile) {
    if (test_seeded()) return; // others wait, so that it ends at one place
    static atomic_long n;
    atomic_store(&n, 0);
    chan(int) out = chan_make(int, 0), stop = chan_make(int, 0);
    waitgroup wg = { 0 };
    wg_go(&wg, counts, &n, stop);
    enum { CALLS = 8 };
    atomic_store(&most_under_way, 0);
    for (int i = 0; i < CALLS; i++) go(calls, 20 * test_unit, out);
    for (int i = 0; i < CALLS; i++) CHECK_EQ(chan_get(out), 0);
    CHECK(atomic_load(&most_under_way) > 1); // at the same time, on any pool
    CHECK(atomic_load(&n) > 100);
    chan_close(stop);
    wg_wait(&wg);
    chan_free(out);
    chan_free(stop);
}

// With a seed others wait for the call, wherever it is made; the run is the same each time.
TASK(notes, int, id, char *, text) {
    for (int i = 0; i < 3; i++) {
        struct call c = { .ns = i * CHANRT_MILLISECOND / 10, .value = 0 };
        size_t n = strlen(text);
        text[n] = (char)('a' + id);
        CHECK_EQ(task_blocking(block, &c), 0);
        CHECK_EQ(c.value, 1);
        CHECK_EQ(c.task, 0);
        text[strlen(text)] = (char)('A' + id);
    }
}

TEST(with_a_seed_calls_end_at_the_same_place_each_time) {
    char first[32] = "";
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (int run = 0; run < 5; run++) {
            char text[32] = "";
            waitgroup wg = { 0 };
            CHECK_EQ(chanrt_start(&(chanrt_options){ .seed = seed, .virtual_time = true }), 0);
            for (int i = 0; i < 3; i++) CHECK_EQ(wg_go(&wg, notes, i, text), 0);
            wg_wait(&wg);
            CHECK_EQ(chanrt_shutdown(-1), 0);
            CHECK_EQ(strlen(text), 18);
            if (run == 0) strcpy(first, text);
            CHECK_STR(text, first);
        }
    }
}

//--------------------------------------------------------------------------------------------------
// io_resolve: no name here needs more than this machine.

static void same_answer(const char *host, int flags) {
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags };
    struct addrinfo *a = NULL, *b = NULL;
    int err = getaddrinfo(host, "80", &hints, &a);
    CHECK_EQ(io_resolve(host, "80", &hints, &b), err);
    if (err != 0) return;
    CHECK_EQ(a->ai_addrlen, b->ai_addrlen);
    CHECK(memcmp(a->ai_addr, b->ai_addr, a->ai_addrlen) == 0);
    freeaddrinfo(a);
    freeaddrinfo(b);
}

static void resolve_all(void) {
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST };
    struct addrinfo *list = NULL;
    if (CHECK_EQ(io_resolve("127.0.0.1", "8080", &hints, &list), 0)) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)list->ai_addr;
        CHECK_EQ(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
        CHECK_EQ(ntohs(in->sin_port), 8080);
        freeaddrinfo(list);
    }
    CHECK_EQ(io_resolve("no number", "80", &hints, &list), EAI_NONAME);
    CHECK_EQ(io_resolve("127.0.0.1", "no service", &hints, &list),
             getaddrinfo("127.0.0.1", "no service", &hints, &list));
    same_answer("127.0.0.1", 0);
    same_answer("localhost", 0);
}

TASK(resolves, chan_sender(int), out) {
    resolve_all();
    chan_send(out, 0);
}

TEST(names_are_resolved_as_getaddrinfo_does) {
    chan(int) out = chan_make(int, 0);
    resolve_all(); // on a thread of the program's own
    for (int i = 0; i < 20; i++) CHECK_EQ(go(resolves, out), 0);
    for (int i = 0; i < 20; i++) CHECK_EQ(chan_get(out), 0);
    chan_free(out);
}

// Stands in for a name server that takes its time.
static int slow_answer(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list) {
    (void)service, (void)hints;
    usleep((useconds_t)(20 * test_unit / 1000));
    *list = (struct addrinfo *)(uintptr_t)host;
    return EAI_FAIL;
}

TASK(resolves_slowly, chan_sender(int), out) {
    struct addrinfo *list = NULL;
    int err = chanrt_x_io_resolve(slow_answer, EAI_AGAIN, "host", "80", NULL, &list);
    CHECK_STR((const char *)(void *)list, "host");
    chan_send(out, err);
}

TEST(a_slow_name_server_keeps_no_worker) {
    enum { QUERIES = 16 };
    chan(int) out = chan_make(int, 0);
    int64_t start = chanrt_now();
    for (int i = 0; i < QUERIES; i++) CHECK_EQ(go(resolves_slowly, out), 0);
    for (int i = 0; i < QUERIES; i++) CHECK_EQ(chan_get(out), EAI_FAIL);
    CHECK(chanrt_now() - start < QUERIES * 20 * test_unit); // all at the same time
    chan_free(out);
}
