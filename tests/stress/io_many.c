// Ten thousand connections over the loopback, both ends here, each echoing numbered messages until
// the time is over: none is lost, none is another one's. CONNECTIONS= makes it another number; the
// limit on descriptors is raised, and if that is not enough there are fewer.
#include "stress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 64, CONNECT_AT_ONCE = 64 };

static atomic_long echoed;
static struct sockaddr_in address;

static long resident(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f != NULL) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

TASK(echo, int, fd) {
    char block[MESSAGE];
    ssize_t n;
    while ((n = io_read(fd, block, sizeof block)) > 0)
        REQUIRE(io_write_all(fd, block, (size_t)n, -1) == n);
    REQUIRE(n == 0);
    io_close(fd);
}

TASK(serve, int, s) {
    for (;;) {
        int fd = io_accept(s, NULL, NULL);
        if (fd < 0) break;
        REQUIRE(go(echo, fd) == 0);
    }
}

TASK(client, long, number, chan(int), room, waitgroup *, connected, chan_receiver(int), begin,
     waitgroup *, ended) {
    long sent[MESSAGE / sizeof(long)] = { number, 0 }, got[MESSAGE / sizeof(long)];
    chan_send(room, 1); // not all at once: the queue of the listening socket is short
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    REQUIRE(io_connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    chan_recv(room, NULL);
    wg_done(connected);
    chan_recv(begin, NULL);
    do {
        REQUIRE(io_write_all(fd, sent, sizeof sent, -1) == sizeof sent);
        for (size_t have = 0; have < sizeof got;) {
            ssize_t n = io_read(fd, (char *)got + have, sizeof got - have);
            REQUIRE(n > 0);
            have += (size_t)n;
        }
        REQUIRE(memcmp(sent, got, sizeof got) == 0);
        sent[1]++;
        atomic_fetch_add(&echoed, 1);
    } while (stress_goes_on());
    io_close(fd);
    wg_done(ended);
}

static long connections(void) {
    const char *text = getenv("CONNECTIONS");
    long n = text != NULL ? atol(text) : 10000;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit more = { (rlim_t)n * 2 + 200, (rlim_t)n * 2 + 200 };
    if (limit.rlim_max < more.rlim_max && setrlimit(RLIMIT_NOFILE, &more) == 0) limit = more;
    limit.rlim_cur = limit.rlim_max; // only root may raise that
    setrlimit(RLIMIT_NOFILE, &limit);
    long most = limit.rlim_cur > 1000000 ? 400000 : ((long)limit.rlim_cur - 100) / 2;
    if (n > most) n = most;
    return n > 25000 ? 25000 : n; // one address has about 28,000 ports to connect from
}

static long run(void) {
    long n = connections();
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address;
    address = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
    REQUIRE(bind(s, (struct sockaddr *)&address, sizeof address) == 0 && listen(s, 4096) == 0);
    REQUIRE(getsockname(s, (struct sockaddr *)&address, &size) == 0);
    int64_t seconds = stress_end - chanrt_now();
    chan(int) room = chan_make(int, CONNECT_AT_ONCE), begin = chan_make(int, 0);
    waitgroup connected = { 0 }, ended = { 0 };
    go(serve, s);
    task_sleep(CHANRT_MILLISECOND);
    long before = resident();
    wg_add(&connected, (int)n);
    wg_add(&ended, (int)n);
    for (long i = 0; i < n; i++) REQUIRE(go(client, i, room, &connected, begin, &ended) == 0);
    wg_wait(&connected);
    long idle = resident();
    stress_end = chanrt_now() + seconds; // connecting does not count
    chan_close(begin);
    wg_wait(&ended);
    long busy = resident();
    REQUIRE(io_close(s) == 0);
    REQUIRE(atomic_load(&echoed) >= n);
    printf("%ld connections: %ld bytes each end when idle, %ld when all have echoed; ", n,
           (idle - before) / n / 2, (busy - before) / n / 2);
    chan_free(room);
    chan_free(begin);
    return atomic_load(&echoed);
}
