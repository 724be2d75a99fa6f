// Shows: many connections tried at once, a bounded number at a time, each with a time limit.
// Go:    net.DialTimeout("tcp", addr, d) in a goroutine per port, a channel as a semaphore
//
//     38_port_prober               opens three ports of its own and finds them
//     38_port_prober 1 65535       which ports of this machine's loopback are open
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { AT_ONCE = 200, MINE = 3 };

static struct sockaddr_in port_of(int port) {
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

// Connects without waiting, then waits for the descriptor and no longer than the limit.
static bool is_open(int port) {
    struct sockaddr_in to = port_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err = -1;
    socklen_t size = sizeof err;
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ||
                    (errno == EINPROGRESS && io_wait(fd, IO_WRITE, CHANRT_SECOND) == 0)))
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    if (fd >= 0) io_close(fd);
    return err == 0;
}

TASK(probe, chan_receiver(int), ports, chan_sender(int), open_ports) {
    chan_range(int, port, ports)
        if (is_open(port)) chan_send(open_ports, port);
}

TASK(every_port, int, first, int, last, chan_sender(int), ports) {
    for (int port = first; port <= last; port++) chan_send(ports, port);
    chan_close(ports);
}

TASK(closer, waitgroup *, probers, chan_sender(int), open_ports) {
    wg_wait(probers);
    chan_close(open_ports);
}

int main(int argc, char **argv) {
    int first = argc > 2 ? atoi(argv[1]) : 65535, last = argc > 2 ? atoi(argv[2]) : 1, found = 0;
    for (int i = 0; i < MINE && argc < 3; i++) {            // something to find
        struct sockaddr_in at = port_of(0);
        socklen_t size = sizeof at;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, AT_ONCE) != 0) return 1;
        getsockname(fd, (struct sockaddr *)&at, &size);
        if (ntohs(at.sin_port) < first) first = ntohs(at.sin_port);
        if (ntohs(at.sin_port) > last) last = ntohs(at.sin_port);
    }
    chan(int) ports = chan_make(int, AT_ONCE), open_ports = chan_make(int, 0);
    waitgroup probers = {0};
    go(every_port, first, last, ports);
    for (int i = 0; i < AT_ONCE; i++) wg_go(&probers, probe, ports, open_ports);
    go(closer, &probers, open_ports);
    chan_range(int, port, open_ports) {
        if (argc > 2) printf("%d\n", port);
        found++;
    }
    if (argc < 3) printf("%s\n", found >= MINE ? "found them" : "some are missing");
    return 0;
}

// Output:
// found them
