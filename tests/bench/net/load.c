// load.c - a client that keeps C connections busy: each sends a message, waits for its echo,
// and sends the next. One thread and one epoll of its own, so that it costs the same beside
// every server; nothing of chanrt in it.
//
//     load PORT CONNECTIONS SECONDS [BYTES]
//
// One line: requests per second, then the median and the 99th percentile of the time from
// write to last byte read, in microseconds, then how many answers were wrong.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUCKETS = 1 << 16 };     // of 1 us; what takes longer counts in the last

struct connection {
    int fd;
    size_t got;                 // bytes of the answer so far
    int64_t sent;               // when the message went out
    uint64_t number;            // of the message: its first bytes, so that no answer passes for
};                              // another's

static size_t size = 64;
static char *message, *answer;
static uint64_t histogram[BUCKETS], requests, wrong, next_number;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stop(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_next(struct connection *c) {
    c->number = next_number++;
    memcpy(message, &c->number, sizeof c->number);
    c->got = 0;
    c->sent = now();
    if (write(c->fd, message, size) != (ssize_t)size) stop("write");
}

static void receive(struct connection *c, int64_t started) {
    ssize_t n = read(c->fd, answer, size - c->got);
    if (n <= 0) stop(n == 0 ? "the server closed" : "read");
    if (c->got == 0 && n >= (ssize_t)sizeof c->number)
        wrong += memcmp(answer, &c->number, sizeof c->number) != 0;
    c->got += (size_t)n;
    if (c->got < size) return;
    int64_t end = now(), us = (end - c->sent) / 1000;
    if (end - started > 200000000) {        // the first moments are not counted
        requests++;
        histogram[us < BUCKETS ? us : BUCKETS - 1]++;
    }
    send_next(c);
}

static int64_t percentile(double p) {
    uint64_t below = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((below += histogram[i]) >= (uint64_t)(p * (double)requests)) return i;
    return BUCKETS;
}

int main(int argc, char **argv) {
    if (argc < 4) return fputs("usage: load PORT CONNECTIONS SECONDS [BYTES]\n", stderr), 2;
    int count = atoi(argv[2]), ep = epoll_create1(0), yes = 1;
    double seconds = atof(argv[3]);
    if (argc > 4) size = (size_t)atol(argv[4]);
    if (size < sizeof(uint64_t)) size = sizeof(uint64_t);
    struct rlimit files = { 0, 0 };
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    message = calloc(1, size);
    answer = malloc(size);
    struct connection *all = calloc((size_t)count, sizeof *all);
    if (message == NULL || answer == NULL || all == NULL) stop("memory");
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (int i = 0; i < count; i++) {
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (all[i].fd < 0 || connect(all[i].fd, (struct sockaddr *)&to, sizeof to) != 0)
            stop("connect");
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &all[i] };
        epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &e);
    }
    int64_t started = now();
    for (int i = 0; i < count; i++) send_next(&all[i]);
    struct epoll_event events[256];
    while (now() - started < (int64_t)(seconds * 1e9)) {
        int n = epoll_wait(ep, events, 256, 1000);
        if (n == 0) {
            errno = ETIMEDOUT;
            stop("a second without an answer");
        }
        for (int i = 0; i < n; i++) receive(events[i].data.ptr, started);
    }
    printf("%.0f req/s p50 %lld us p99 %lld us wrong %llu\n",
           (double)requests / (seconds - 0.2), (long long)percentile(0.5),
           (long long)percentile(0.99), (unsigned long long)wrong);
    return wrong != 0;
}
