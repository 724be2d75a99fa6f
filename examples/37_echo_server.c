// Shows: a server with a task per connection. A task that waits for its socket costs no
//        worker, so ten thousand quiet clients are ten thousand parked tasks.
// Go:    for { conn, err := ln.Accept(); if err != nil { return }; go serve(conn) }
//
//     37_echo_server          serves a hundred clients of its own, and stops
//     37_echo_server 7000     serves port 7000 of this machine until Ctrl-C
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct sockaddr_in address = { .sin_family = AF_INET };

static bool write_all(int fd, const char *p, size_t n) {
    for (ssize_t k; n > 0; p += k, n -= (size_t)k)
        if ((k = io_write(fd, p, n)) < 0) return false;
    return true;
}

TASK(serve, int, fd) {
    char bytes[4096];
    for (ssize_t n; (n = io_read(fd, bytes, sizeof bytes)) > 0;)
        if (!write_all(fd, bytes, (size_t)n)) break;
    io_close(fd);
}

TASK(accept_loop, int, listener) {
    for (;;) {
        int fd = io_accept(listener, NULL, NULL);
        if (fd < 0 && (errno == ECANCELED || errno == EBADF)) return;   // closed: the end
        if (fd < 0) task_sleep(10 * CHANRT_MILLISECOND);    // out of descriptors: later, then
        else if (go(serve, fd) != 0) io_close(fd);
    }
}

TASK(client, int, id, chan_sender(int), answers) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), answer = -1;
    if (io_connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        write_all(fd, (char *)&id, sizeof id))
        if (io_read(fd, &answer, sizeof answer) != (ssize_t)sizeof answer) answer = -1;
    io_close(fd);
    chan_send(answers, answer);
}

int main(int argc, char **argv) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0) {
        perror("37_echo_server");
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&address, &size);
    go(accept_loop, listener);

    if (argc > 1) {
        chan_receiver(int) interrupts = chan_signal(SIGINT);
        chan_recv(interrupts, NULL);
        chan_free(interrupts);
    } else {
        chan(int) answers = chan_make(int, 0);
        int sum = 0;
        for (int i = 1; i <= 100; i++) go(client, i, answers);
        for (int i = 1; i <= 100; i++) sum += chan_get(answers);
        printf("100 clients, the sum of what they got back is %d\n", sum);
        chan_free(answers);
    }
    io_close(listener);                 // ends the accept loop
    return 0;
}

// Output:
// 100 clients, the sum of what they got back is 5050
