// httpd: serves the files below a directory over HTTP/1.1, a task per connection.
//
//     accept loop --a task per connection--> read a request, send a file, again
//          \-- a slot of `slots` for each, so their number has a bound
//
//     httpd [--port P] [--limit CONNECTIONS] [--patience MILLISECONDS] [--log] [directory]
//
// It listens on 127.0.0.1 (port 8000; 0 takes a free one) and prints where. GET and HEAD,
// connections kept open, single ranges, If-Modified-Since, index.html or a list for a
// directory. A request that carries a body is refused. What a path may name: files and
// directories below the one served, by names that do not begin with a dot; symbolic links
// are not followed, so no path leads out.
//
// Every wait has a bound: a request's head must be whole within `patience` of its first
// byte, a reader must take something every `patience`, an idle connection is closed after
// six times that. Descriptors running out, slow clients, resets and refused paths are each
// one line on stderr. Ctrl-C stops accepting, lets requests under way end for five seconds,
// and exits with status 0.
//
// What may block in the kernel is a file that is not in memory: reads try without waiting
// first (RWF_NOWAIT), and the few that would wait go to a helper thread by task_blocking. Of a
// larger file only the beginning is read; the kernel sends the rest (sendfile).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"

enum { HEAD_MOST = 8 << 10, CHUNK = 32 << 10, PART = 256 << 10, PATH_MOST = 1024 };

static int root;                            // the directory served
static int64_t patience = 10 * CHANRT_SECOND;
static bool logging;
static chan(char) slots, stopping;          // one value a connection; closed when we stop
static waitgroup connections;
static atomic_ullong accepted, answered;

struct connection {
    int fd;
    char peer[32];
    size_t have, used;                      // bytes in head; how many of them a request took
    bool keep;                              // open for another request
    char head[HEAD_MOST];
    char out[CHUNK];
};

struct request {
    char *method, *target;                  // into the connection's head
    char path[PATH_MOST];                   // decoded, relative to root, "." for root itself
    bool folder, host, body, keep, ranged;  // folder: the target ends with a slash
    long long from, to;                     // the range asked for; from < 0: the last -from bytes
    time_t since;                           // If-Modified-Since, or -1
};

__attribute__((format(printf, 2, 3)))
static void say(const struct connection *c, const char *format, ...) {
    char line[256 + PATH_MOST];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *p = line; *p != '\0'; p++)
        if (iscntrl((unsigned char)*p)) *p = '?';           // a client's bytes stay on their line
    fprintf(stderr, "httpd: %s%s%s\n", c != NULL ? c->peer : "", c != NULL ? ": " : "", line);
}

//------------------------------------------------------------------------------
// Bytes in and out. Everything waits here.
//------------------------------------------------------------------------------

// Waits until there is something to read, `end` is closed (NULL: never), or it is too late.
static int wait_for(const struct connection *c, int64_t until, chan(char) end) {
    int64_t left = until - chanrt_now();
    int err = 0;
    chan_select {
        on_io(c->fd, IO_READ)          { err = select_err(); }
        on_recv(end, NULL)             { err = ECANCELED; }
        on_timeout(left > 0 ? left : 0) { err = ETIMEDOUT; }
    }
    return err;
}

// 0 once a whole head is there; EPIPE: the client closed between two requests.
static int read_head(struct connection *c) {
    c->have -= c->used;                                     // what came behind the last request
    memmove(c->head, c->head + c->used, c->have);
    c->used = 0;
    bool begun = c->have > 0;
    int64_t until = chanrt_now() + (begun ? patience : 6 * patience);
    for (;;) {
        const char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
        if (end != NULL) {
            c->used = (size_t)(end - c->head) + 4;
            return 0;
        }
        if (c->have == sizeof c->head) return EMSGSIZE;
        ssize_t n = io_read_timeout(c->fd, c->head + c->have, sizeof c->head - c->have, 0);
        if (n > 0) {
            c->have += (size_t)n;
            if (!begun) until = chanrt_now() + patience;
            begun = true;
            continue;
        }
        if (n == 0) return begun ? ECONNRESET : EPIPE;
        if (errno != ETIMEDOUT) return errno;
        int err = wait_for(c, until, begun ? NULL : stopping);
        if (err != 0) return err == ETIMEDOUT && !begun ? EPIPE : err;
    }
}

static int send_all(const struct connection *c, const char *p, size_t size) {
    for (ssize_t n; size > 0; p += n, size -= (size_t)n)
        if ((n = io_write_timeout(c->fd, p, size, patience)) < 0) return errno;
    return 0;
}

struct slow_read { int fd, err; void *to; size_t size; off_t at; ssize_t got; };

static void slow_read(void *arg) {
    struct slow_read *r = arg;
    r->got = pread(r->fd, r->to, r->size, r->at);
    r->err = errno;
}

// pread that leaves waiting for the disk to a helper thread.
static ssize_t read_file(int fd, void *to, size_t size, off_t at) {
    struct iovec v = { to, size };
    ssize_t n = preadv2(fd, &v, 1, at, RWF_NOWAIT);
    if (n >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS)) return n;
    struct slow_read r = { fd, 0, to, size, at, -1 };
    int err = task_blocking(slow_read, &r);
    errno = err != 0 ? err : r.err;
    return err != 0 ? -1 : r.got;
}

struct part { int to, from, err; off_t at; size_t size; ssize_t sent; };

static void send_part(void *arg) {
    struct part *p = arg;
    p->sent = sendfile(p->to, p->from, &p->at, p->size);
    p->err = errno;
}

// Sends of a file what the socket takes now, on a helper thread if its end is not in memory. A
// client that keeps up must not keep the worker: sendfile is no call of chanrt's, so it yields.
static ssize_t send_file(const struct connection *c, int fd, off_t at, size_t size) {
    char last;
    struct iovec v = { &last, 1 };
    struct part p = { c->fd, fd, 0, at, size < PART ? size : PART, -1 };
    if (preadv2(fd, &v, 1, at + (off_t)p.size - 1, RWF_NOWAIT) == 1) {
        send_part(&p);
        task_yield();
    } else {
        int err = task_blocking(send_part, &p);
        if (err != 0) p.err = err;
    }
    errno = p.err;
    return p.sent;
}

//------------------------------------------------------------------------------
// Requests.
//------------------------------------------------------------------------------

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Decodes the target's path. False: not one we serve. Components that begin with a dot are
// hidden files, "." and ".." alike.
static bool decode(struct request *r) {
    const char *p = r->target;
    char *to = r->path, *last = r->path + sizeof r->path - 1;
    if (*p != '/') return false;
    while (*p == '/') p++;
    for (bool begins = true; *p != '\0' && *p != '?' && *p != '#'; begins = to[-1] == '/') {
        char c = *p++;
        if (c == '%') {
            int high = hex(p[0]), low = high < 0 ? -1 : hex(p[1]);
            if (low < 0) return false;
            c = (char)(high * 16 + low);
            p += 2;
        }
        if (iscntrl((unsigned char)c) || (begins && c == '.') || to == last) return false;
        if (!begins || c != '/') *to++ = c;
        if (to == r->path) break;                           // "%2f": nothing came of it
    }
    r->folder = to == r->path || to[-1] == '/';
    if (r->folder && to != r->path) to--;
    if (to == r->path) *to++ = '.';
    *to = '\0';
    return true;
}

static time_t parse_date(const char *text) {
    struct tm t = { 0 };
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &t);
    return end != NULL && *end == '\0' ? timegm(&t) : -1;
}

// "bytes=a-b", "bytes=a-" or "bytes=-n". Anything else counts as no range.
static void parse_range(struct request *r, const char *text) {
    char *end;
    if (strncmp(text, "bytes=", 6) != 0) return;
    text += 6;
    errno = 0;
    r->to = -1;
    r->from = strtoll(text, &end, 10);
    if (errno != 0 || end == text) return;
    if (r->from >= 0 && *text != '-') {
        if (*end++ != '-') return;
        if (*end != '\0') {
            if (!isdigit((unsigned char)*end)) return;
            r->to = strtoll(end, &end, 10);
            if (r->to < r->from) return;
        }
    }
    r->ranged = errno == 0 && *end == '\0';
}

static void parse_header(struct request *r, const char *name, const char *value) {
    if (strcasecmp(name, "Host") == 0) r->host = true;
    else if (strcasecmp(name, "Connection") == 0) {
        if (strcasecmp(value, "close") == 0) r->keep = false;
        else if (strcasecmp(value, "keep-alive") == 0) r->keep = true;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) r->body = true;
    else if (strcasecmp(name, "Content-Length") == 0) r->body = strcmp(value, "0") != 0;
    else if (strcasecmp(name, "If-Modified-Since") == 0) r->since = parse_date(value);
    else if (strcasecmp(name, "Range") == 0) parse_range(r, value);
}

// Takes the head apart where it stands. Returns 0, or the status to refuse it with.
static int parse(struct connection *c, struct request *r) {
    char *line = c->head, *save = NULL;
    *r = (struct request){ .since = -1 };
    if (memchr(c->head, '\0', c->used) != NULL) return 400;
    c->head[c->used - 2] = '\0';                            // the empty line
    char *next = strstr(line, "\r\n");
    *next = '\0';
    r->method = strtok_r(line, " ", &save);
    r->target = strtok_r(NULL, " ", &save);
    const char *version = strtok_r(NULL, " ", &save);
    if (version == NULL || strtok_r(NULL, " ", &save) != NULL) return 400;
    if (strncmp(version, "HTTP/1.", 7) != 0) return 505;
    r->keep = strcmp(version, "HTTP/1.0") != 0;
    bool must_host = r->keep;
    for (line = next + 2; (next = strstr(line, "\r\n")) != NULL; line = next + 2) {
        *next = '\0';
        char *colon = strchr(line, ':');
        if (colon == NULL || colon == line || isspace((unsigned char)colon[-1])) return 400;
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " \t"), *end = value + strlen(value);
        while (end > value && (end[-1] == ' ' || end[-1] == '\t')) *--end = '\0';
        parse_header(r, line, value);
    }
    if ((must_host && !r->host) || r->body) return 400;
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) return 501;
    if (decode(r)) return 0;
    say(c, "refused path %s", r->target);
    return 404;
}

//------------------------------------------------------------------------------
// Answers.
//------------------------------------------------------------------------------

static const char *reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 416: return "Range Not Satisfiable";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default:  return "HTTP Version Not Supported";
    }
}

static const char *type_of(const char *path) {
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" }, { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" }, { ".json", "application/json" },
        { ".txt", "text/plain; charset=utf-8" }, { ".md", "text/plain; charset=utf-8" },
        { ".c", "text/plain; charset=utf-8" }, { ".h", "text/plain; charset=utf-8" },
        { ".svg", "image/svg+xml" }, { ".png", "image/png" }, { ".jpg", "image/jpeg" },
        { ".gif", "image/gif" }, { ".ico", "image/x-icon" }, { ".pdf", "application/pdf" },
        { ".wasm", "application/wasm" }
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot, types[i][0]) == 0) return types[i][1];
    return "application/octet-stream";
}

static size_t date(char *to, size_t size, const char *name, time_t when) {
    struct tm t;
    char format[64];
    snprintf(format, sizeof format, "%s: %%a, %%d %%b %%Y %%H:%%M:%%S GMT\r\n", name);
    return strftime(to, size, format, gmtime_r(&when, &t));
}

// Writes the head of an answer to c->out; `more` are whole lines. Returns its length.
static size_t head(struct connection *c, int status, const char *type, long long length,
                   const char *more) {
    atomic_fetch_add(&answered, 1);
    size_t n = (size_t)snprintf(c->out, sizeof c->out,
                                "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %lld\r\n%s"
                                "Connection: %s\r\n",
                                status, reason(status), type, length, more,
                                c->keep ? "keep-alive" : "close");
    n += date(c->out + n, sizeof c->out - n, "Date", time(NULL));
    memcpy(c->out + n, "\r\n", 2);
    return n + 2;
}

// An answer that is only its status. A HEAD request gets no body.
static int answer_status(struct connection *c, int status, const char *more, bool body) {
    char text[64];
    int length = snprintf(text, sizeof text, "%d %s\n", status, reason(status));
    size_t n = head(c, status, "text/plain; charset=utf-8", status == 304 ? 0 : length, more);
    if (!body || status == 304) length = 0;
    memcpy(c->out + n, text, (size_t)length);
    return send_all(c, c->out, n + (size_t)length);
}

// Cuts the range asked for out of a file. False: nothing of it is there.
static bool cut(const struct request *r, long long size, long long *from, long long *to) {
    *from = 0;
    *to = size - 1;
    if (!r->ranged) return true;
    *from = r->from < 0 ? size + r->from : r->from;
    if (*from < 0) *from = 0;
    if (r->to >= 0 && r->to < *to) *to = r->to;
    return *from <= *to;
}

// The client sees an answer cut short.
static int unreadable(const struct connection *c, const struct request *r, ssize_t got) {
    say(c, "%s: %s", r->path, got < 0 ? strerror(errno) : "shorter than it was");
    return EIO;
}

// What is left of a file when its beginning has been sent.
static int send_rest(const struct connection *c, const struct request *r, int fd, off_t from,
                     size_t left) {
    while (left > 0) {
        ssize_t n = send_file(c, fd, from, left);
        if (n < 0 && errno == EAGAIN) {
            int err = io_wait(c->fd, IO_WRITE, patience);
            if (err != 0) return err;
            continue;
        }
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return errno;
        if (n <= 0) return unreadable(c, r, n);
        from += n;
        left -= (size_t)n;
    }
    return 0;
}

// The head and the beginning of a file go out together, then the rest.
static int answer_file(struct connection *c, const struct request *r, int fd,
                       const struct stat *st) {
    bool get = strcmp(r->method, "GET") == 0;
    long long from, to;
    char more[256];
    size_t n = date(more, sizeof more, "Last-Modified", st->st_mtime);
    if (r->since >= 0 && st->st_mtime <= r->since) return answer_status(c, 304, more, get);
    if (!cut(r, st->st_size, &from, &to)) {
        snprintf(more, sizeof more, "Content-Range: bytes */%lld\r\n", (long long)st->st_size);
        return answer_status(c, 416, more, get);
    }
    if (r->ranged)
        snprintf(more + n, sizeof more - n, "Content-Range: bytes %lld-%lld/%lld\r\n", from, to,
                 (long long)st->st_size);
    n = head(c, r->ranged ? 206 : 200, type_of(r->path), to - from + 1, more);
    size_t left = get ? (size_t)(to - from + 1) : 0, room = sizeof c->out - n;
    size_t want = left < room ? left : room;
    ssize_t got = want > 0 ? read_file(fd, c->out + n, want, (off_t)from) : 0;
    if (got < 0 || (got == 0 && want > 0)) return unreadable(c, r, got);
    int err = send_all(c, c->out, n + (size_t)got);
    if (err != 0) return err;
    return send_rest(c, r, fd, (off_t)from + got, left - (size_t)got);
}

// Opens the path, component by component, so that no link and no race leads out of root.
static int open_below(const char *path) {
    char name[PATH_MOST];
    int at = root;
    for (;;) {
        size_t n = strcspn(path, "/");
        bool last = path[n] == '\0';
        memcpy(name, path, n);
        name[n] = '\0';
        int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
        int fd = openat(at, name, flags), kept = errno;
        if (at != root) close(at);
        errno = kept;
        if (fd < 0 || last) return fd;
        at = fd;
        path += n + 1;
        path += strspn(path, "/");
    }
}

static size_t escape(char *to, size_t size, const char *text) {
    size_t n = 0;
    for (; *text != '\0' && n + 8 < size; text++)
        n += (size_t)(strchr("<>&\"'%", *text) != NULL
                          ? snprintf(to + n, size - n, "&#%d;", *text)
                          : snprintf(to + n, size - n, "%c", *text));
    to[n] = '\0';
    return n;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

// A page with a link for every name in the directory; more than fit are left out, and said so.
static int answer_list(struct connection *c, const struct request *r, int fd) {
    struct dirent **entries;
    int n = scandirat(fd, ".", &entries, visible, alphasort), shown = 0;
    if (n < 0) return answer_status(c, 500, "", strcmp(r->method, "GET") == 0);
    char *page = malloc(CHUNK), name[6 * 256];
    size_t size = 0;
    if (page != NULL)
        size = (size_t)snprintf(page, CHUNK, "<!doctype html><meta charset=utf-8><title>Files"
                                             "</title><ul>\n");
    for (int i = 0; i < n; i++) {
        bool folder = entries[i]->d_type == DT_DIR;
        escape(name, sizeof name, entries[i]->d_name);
        if (page != NULL && size + 2 * strlen(name) + 256 < CHUNK - 1024 && ++shown > 0)
            size += (size_t)snprintf(page + size, CHUNK - size, "<li><a href=\"./%s%s\">%s%s</a>\n",
                                     name, folder ? "/" : "", name, folder ? "/" : "");
        free(entries[i]);
    }
    free(entries);
    if (page == NULL) return answer_status(c, 503, "", true);
    size += (size_t)snprintf(page + size, CHUNK - size, "</ul>%s\n",
                             shown < n ? "<p>and more" : "");
    size_t at = head(c, 200, "text/html; charset=utf-8", (long long)size, "");
    int err = send_all(c, c->out, at);
    if (err == 0 && strcmp(r->method, "GET") == 0) err = send_all(c, page, size);
    free(page);
    return err;
}

static int answer_folder(struct connection *c, struct request *r, int fd) {
    struct stat st;
    char more[3 * PATH_MOST + 32];
    if (!r->folder) {
        size_t n = strcspn(r->target, "?#");
        snprintf(more, sizeof more, "Location: %.*s/\r\n", (int)n, r->target);
        return answer_status(c, 301, more, strcmp(r->method, "GET") == 0);
    }
    int index = openat(fd, "index.html", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (index < 0 || fstat(index, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (index >= 0) close(index);
        return answer_list(c, r, fd);
    }
    snprintf(r->path, sizeof r->path, "index.html");
    int err = answer_file(c, r, index, &st);
    close(index);
    return err;
}

static int answer(struct connection *c, struct request *r) {
    bool get = strcmp(r->method, "GET") == 0;
    struct stat st;
    int fd = open_below(r->path), err;
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        say(c, "out of descriptors: 503 for %s", r->path);
        return answer_status(c, 503, "Retry-After: 1\r\n", get);
    }
    if (fd < 0 && errno == ELOOP) say(c, "refused path %s: a symbolic link", r->path);
    if (fd < 0) return answer_status(c, 404, "", get);
    if (fstat(fd, &st) != 0) err = answer_status(c, 500, "", get);
    else if (S_ISDIR(st.st_mode)) err = answer_folder(c, r, fd);
    else if (S_ISREG(st.st_mode) && !r->folder) err = answer_file(c, r, fd, &st);
    else err = answer_status(c, 404, "", get);
    close(fd);
    return err;
}

//------------------------------------------------------------------------------
// Connections.
//------------------------------------------------------------------------------

static int one_request(struct connection *c) {
    struct request r;
    int err = read_head(c);
    c->keep = false;
    if (err == EMSGSIZE) say(c, "a request's head of more than %d bytes", (int)HEAD_MOST);
    if (err == EMSGSIZE) return answer_status(c, 431, "", true);
    if (err == ETIMEDOUT) {
        say(c, "no whole request within %lld ms", (long long)(patience / CHANRT_MILLISECOND));
        return answer_status(c, 408, "", true);
    }
    if (err != 0) return err;
    int status = parse(c, &r);
    if (status == 0 || status == 404) c->keep = r.keep && chan_try_recv(stopping, NULL) == EAGAIN;
    err = status == 0 ? answer(c, &r) : answer_status(c, status, "", true);
    if (logging) say(c, "%s %s", r.method != NULL ? r.method : "-",
                     r.target != NULL ? r.target : "-");
    return err;
}

TASK(serve, int, fd, struct sockaddr_in, from) {
    struct connection c;
    int yes = 1, err;
    c.fd = fd;
    c.have = c.used = 0;
    inet_ntop(AF_INET, &from.sin_addr, c.peer, sizeof c.peer);
    snprintf(c.peer + strlen(c.peer), 8, ":%u", ntohs(from.sin_port));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    do err = one_request(&c);
    while (err == 0 && c.keep);
    if (err == ETIMEDOUT) say(&c, "takes nothing for %lld ms",
                              (long long)(patience / CHANRT_MILLISECOND));
    else if (err != 0 && err != EPIPE && err != ECANCELED) say(&c, "%s", strerror(err));
    if (err == 0) {                         // what the client still sends must not make the
        shutdown(fd, SHUT_WR);              // kernel reset what it has not read of us yet
        while (wait_for(&c, chanrt_now() + patience / 4, stopping) == 0 &&
               recv(fd, c.head, sizeof c.head, MSG_DONTWAIT) > 0) {}
    }
    io_close(fd);
    chan_recv(slots, NULL);
    wg_done(&connections);
}

// Descriptors or memory have run out: somebody has to leave first.
static bool exhausted(int err) {
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

TASK(accept_loop, int, listener) {
    task_options room = { .stack_size = 128 << 10, .name = "connection" };
    int64_t said = 0;
    for (;;) {
        if (chan_try_send(slots, 0) == EAGAIN) {
            say(NULL, "%zu connections: the next ones wait", chan_cap(slots));
            chan_send(slots, 0);
        }
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        int fd = io_accept(listener, (struct sockaddr *)&from, &size), err = fd < 0 ? errno : 0;
        if (err == ECANCELED || err == EBADF) return;
        if (err == 0) {
            atomic_fetch_add(&accepted, 1);
            wg_add(&connections, 1);
            err = go_opt(room, serve, fd, from);
            if (err == 0) continue;
            wg_done(&connections);
            io_close(fd);
        }
        chan_recv(slots, NULL);
        if (!exhausted(err)) continue;
        if (chanrt_now() - said > CHANRT_SECOND) say(NULL, "cannot accept: %s", strerror(err));
        said = chanrt_now();
        task_sleep(50 * CHANRT_MILLISECOND);
    }
}

//------------------------------------------------------------------------------
// The program.
//------------------------------------------------------------------------------

static void need(bool well, const char *what) {
    if (well) return;
    fprintf(stderr, "httpd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_on(int port) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    need(fd >= 0, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    need(bind(fd, (struct sockaddr *)&at, size) == 0, "bind");
    need(listen(fd, 1024) == 0, "listen");
    getsockname(fd, (struct sockaddr *)&at, &size);
    printf("http://127.0.0.1:%u/\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static long number(const char *option, const char *text, long least, long most) {
    char *end;
    long n = text == NULL ? -1 : strtol(text, &end, 10);
    if (text != NULL && *text != '\0' && *end == '\0' && n >= least && n <= most) return n;
    fprintf(stderr, "httpd: %s wants a number from %ld to %ld\n", option, least, most);
    exit(2);
}

int main(int argc, char **argv) {
    int port = 8000, i = 1;
    size_t limit = 10000;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--log") == 0) logging = true;
        else if (strcmp(argv[i], "--port") == 0)
            port = (int)number(argv[i], argv[i + 1], 0, 65535), i++;
        else if (strcmp(argv[i], "--limit") == 0)
            limit = (size_t)number(argv[i], argv[i + 1], 1, 1000000), i++;
        else if (strcmp(argv[i], "--patience") == 0)
            patience = number(argv[i], argv[i + 1], 1, 3600000) * CHANRT_MILLISECOND, i++;
        else break;
    }
    if (i + 1 < argc || (i < argc && argv[i][0] == '-')) {
        fputs("usage: httpd [--port P] [--limit CONNECTIONS] [--patience MILLISECONDS] [--log] "
              "[directory]\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);           // sendfile has no MSG_NOSIGNAL
    const char *directory = i < argc ? argv[i] : ".";
    root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(root >= 0, directory);
    slots = chan_make(char, limit);
    stopping = chan_make(char, 0);
    chan_receiver(int) interrupts = chan_signal(SIGINT);
    need(slots != NULL && stopping != NULL && interrupts != NULL, "start");
    int listener = listen_on(port);
    errno = wg_go(&connections, accept_loop, listener);
    need(errno == 0, "start");

    chan_recv(interrupts, NULL);            // until Ctrl-C
    io_close(listener);
    chan_close(stopping);
    if (wg_wait_timeout(&connections, 5 * CHANRT_SECOND) != 0) say(NULL, "requests were cut off");
    fprintf(stderr, "httpd: %llu requests on %llu connections\n", atomic_load(&answered),
            atomic_load(&accepted));
    return 0;
}
