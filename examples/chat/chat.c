// chat: a chat server for nc and telnet. A task per client, and one broker that owns the list
// of who is there, so nobody locks anything.
//
//     client --joins, lines, leaves--> broker --outbox of each--> client
//
//     chat [--port P] [--quiet SECONDS]
//
// It listens on 127.0.0.1 (port 7777; 0 takes a free one) and prints where. A line is told to
// everybody else; "/name NAME" changes one's name, "/who" asks who is there, "/quit" leaves.
// Who says nothing for `quiet` seconds (600) is asked to leave; who does not read what is said
// is dropped, so a slow client costs the others nothing. Ctrl-C tells everybody and ends.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define STB_DS_IMPLEMENTATION
#include <stb/stb_ds.h>

#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"

enum { NAME = 24, TEXT = 400, BEHIND = 64 };     // BEHIND: lines a client may be behind

struct line {
    int from;                                   // 0: the server
    char text[TEXT];
};
struct member {
    int id;
    char name[NAME];
    chan(struct line) outbox;                   // closed by the broker: you are out
};

static chan(struct member) joins;               // a new member, or a new name
static chan(struct line) lines;
static chan(int) leaves, asks;                  // ids: leaving, asking who is there
static waitgroup clients;
static int64_t quiet = 600 * CHANRT_SECOND;

//------------------------------------------------------------------------------
// The broker: the only one that touches the list of members.
//------------------------------------------------------------------------------

struct room { struct member *all; };            // an stb_ds array

static ptrdiff_t find(const struct room *r, int id) {
    for (ptrdiff_t i = 0; i < arrlen(r->all); i++)
        if (r->all[i].id == id) return i;
    return -1;
}

static void tell(struct room *r, struct line l);

__attribute__((format(printf, 2, 3)))
static void announce(struct room *r, const char *format, ...) {
    struct line l = { 0, "" };
    va_list args;
    va_start(args, format);
    vsnprintf(l.text, sizeof l.text, format, args);
    va_end(args);
    tell(r, l);
}

static void drop(struct member m) {
    chan_close(m.outbox);
    chan_free(m.outbox);
}

// Tells everybody but the one it comes from. Who is too far behind is dropped, and that is
// said to the rest.
static void tell(struct room *r, struct line l) {
    struct member *slow = NULL;
    for (ptrdiff_t i = 0; i < arrlen(r->all);) {
        if (r->all[i].id == l.from || chan_try_send(r->all[i].outbox, l) == 0) {
            i++;
        } else {
            arrput(slow, r->all[i]);
            arrdel(r->all, (size_t)i);
        }
    }
    for (ptrdiff_t i = 0; i < arrlen(slow); i++) {
        drop(slow[i]);
        announce(r, "* %s did not keep up\n", slow[i].name);
    }
    arrfree(slow);
}

static void join(struct room *r, struct member m) {
    ptrdiff_t i = find(r, m.id);
    if (i >= 0) {
        announce(r, "* %s is now %s\n", r->all[i].name, m.name);
        if ((i = find(r, m.id)) >= 0) r->all[i] = m;
    } else {
        announce(r, "* %s joined\n", m.name);
        arrput(r->all, m);
    }
}

static void leave(struct room *r, int id) {
    ptrdiff_t i = find(r, id);
    if (i < 0) return;                          // dropped meanwhile
    struct member m = r->all[i];
    arrdel(r->all, (size_t)i);
    drop(m);
    announce(r, "* %s left\n", m.name);
}

static void list(const struct room *r, int id) {
    ptrdiff_t at = find(r, id);
    struct line l = { 0, "* here:" };
    size_t n = strlen(l.text);
    for (ptrdiff_t i = 0; i < arrlen(r->all) && n + NAME + 2 < sizeof l.text; i++)
        n += (size_t)snprintf(l.text + n, sizeof l.text - n, " %s", r->all[i].name);
    snprintf(l.text + n, sizeof l.text - n, "\n");
    if (at >= 0) chan_try_send(r->all[at].outbox, l);
}

TASK(broker, chan_receiver(int), interrupts) {
    struct room room = { NULL };
    struct member m;
    struct line l;
    int id;
    chan_timer *hour = ticker_make(3600 * CHANRT_SECOND);
    for (bool on = true; on;) {
        chan_select {
            on_recv(joins, &m)               { join(&room, m); }
            on_recv(lines, &l)               { tell(&room, l); }
            on_recv(asks, &id)               { list(&room, id); }
            on_recv(leaves, &id)             { leave(&room, id); }
            on_recv(timer_chan(hour), NULL)  { announce(&room, "* another hour has passed\n"); }
            on_recv(interrupts, NULL)        { on = false; }
        }
    }
    announce(&room, "* the server goes down\n");
    chan_close(joins);                          // whoever still comes gets EPIPE
    chan_close(lines);
    chan_close(asks);
    chan_close(leaves);
    for (ptrdiff_t i = 0; i < arrlen(room.all); i++) drop(room.all[i]);
    arrfree(room.all);
    timer_free(hour);
}

//------------------------------------------------------------------------------
// A client: one task that waits for its socket and its outbox at once.
//------------------------------------------------------------------------------

struct client {
    int fd;
    struct member self;
    size_t have;
    char in[TEXT / 2];
};

// False: gone, or takes nothing for five seconds.
static bool say(const struct client *c, const char *text) {
    for (size_t n = strlen(text); n > 0;) {
        ssize_t k = send(c->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && (errno != EAGAIN || io_wait(c->fd, IO_WRITE, 5 * CHANRT_SECOND) != 0))
            return false;
        if (k > 0) text += k, n -= (size_t)k;
    }
    return true;
}

// What a line the client typed means. False: it wants to leave, or the server does.
static bool heard(struct client *c, char *text) {
    for (char *p = text; *p != '\0'; p++)
        if (iscntrl((unsigned char)*p)) *p = ' ';   // nobody else's terminal is his
    if (strcmp(text, "/quit") == 0) return false;
    if (strcmp(text, "/who") == 0) return chan_send(asks, c->self.id) == 0;
    if (strncmp(text, "/name ", 6) == 0) {
        snprintf(c->self.name, sizeof c->self.name, "%.*s", (int)strcspn(text + 6, " "), text + 6);
        chan_ref(c->self.outbox);               // the broker's reference goes on with the new name
        struct member m = c->self;
        int err = chan_send(joins, m);
        chan_free(c->self.outbox);
        return err == 0;
    }
    struct line l = { c->self.id, "" };
    snprintf(l.text, sizeof l.text, "%s: %s\n", c->self.name, text);
    return *text == '\0' || chan_send(lines, l) == 0;
}

// Reads what is there and acts on each whole line; one that is too long is cut.
static bool listen_to(struct client *c) {
    ssize_t n = recv(c->fd, c->in + c->have, sizeof c->in - 1 - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    char *line = c->in;
    for (size_t size; (size = strcspn(line, "\n")), line[size] == '\n'; line += size + 1) {
        line[size] = '\0';
        if (size > 0 && line[size - 1] == '\r') line[size - 1] = '\0';
        if (!heard(c, line)) return false;
    }
    c->have -= (size_t)(line - c->in);
    memmove(c->in, line, c->have);
    if (c->have < sizeof c->in - 1) return true;
    c->in[c->have] = '\0';
    c->have = 0;
    return heard(c, c->in);
}

TASK(serve, int, fd, int, id) {
    struct client c = { .fd = fd, .self = { id, "", chan_make(struct line, BEHIND) } };
    struct line l;
    snprintf(c.self.name, sizeof c.self.name, "guest%d", id);
    bool joined = false;
    if (c.self.outbox != NULL && say(&c, "* welcome; /name NAME, /who, /quit\n")) {
        chan_ref(c.self.outbox);                // the broker's
        joined = chan_send(joins, c.self) == 0;
        if (!joined) chan_free(c.self.outbox);
    }
    for (bool on = joined; on;) {
        chan_select {
            on_io(fd, IO_READ)         { on = listen_to(&c); }
            on_recv(c.self.outbox, &l) { on = select_err() == 0 && say(&c, l.text); }
            on_timeout(quiet)          { say(&c, "* so quiet? good bye\n"), on = false; }
        }
    }
    if (joined) {
        chan_send(leaves, id);
        while (chan_recv(c.self.outbox, &l) == 0) say(&c, l.text);  // until the broker closes it
    }
    chan_free(c.self.outbox);
    io_close(fd);
}

TASK(accept_loop, int, listener) {
    for (int id = 1;; id++) {
        int fd = io_accept(listener, NULL, NULL);
        if (fd >= 0) {
            if (wg_go(&clients, serve, fd, id) != 0) io_close(fd);
        } else if (errno == ECANCELED || errno == EBADF) {
            return;
        } else if (errno == EMFILE || errno == ENFILE) {
            fputs("chat: out of descriptors: new clients wait\n", stderr);
            task_sleep(CHANRT_SECOND / 5);
        }
    }
}

//------------------------------------------------------------------------------
// The program.
//------------------------------------------------------------------------------

static int listen_on(int port) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 1024) != 0) return -1;
    getsockname(fd, (struct sockaddr *)&at, &size);
    printf("nc 127.0.0.1 %u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    int port = 7777;
    for (int i = 1; i < argc; i += 2) {
        bool known = i + 1 < argc;
        if (known && strcmp(argv[i], "--port") == 0) port = atoi(argv[i + 1]);
        else if (known && strcmp(argv[i], "--quiet") == 0)
            quiet = atoi(argv[i + 1]) * CHANRT_SECOND;
        else return fputs("usage: chat [--port P] [--quiet SECONDS]\n", stderr), 2;
    }
    joins = chan_make(struct member, 0);
    lines = chan_make(struct line, 0);
    leaves = chan_make(int, 0);
    asks = chan_make(int, 0);
    chan_receiver(int) interrupts = chan_signal(SIGINT);
    int listener = listen_on(port);
    if (listener < 0 || interrupts == NULL) return perror("chat"), 1;
    waitgroup brokers = {0};
    if (wg_go(&brokers, broker, interrupts) != 0 || go(accept_loop, listener) != 0)
        return fputs("chat: cannot start\n", stderr), 1;

    wg_wait(&brokers);                          // until Ctrl-C
    io_close(listener);
    wg_wait_timeout(&clients, 6 * CHANRT_SECOND);
    return 0;
}
