// main PING PONG same|own - opens both plugins; `same`: they share one runtime, and ping's
// channels go to pong; `own`: each works by itself, at the same time in one process.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "plugin.h"

enum { N = 2000 };

static struct plugin *load(const char *path) {
    struct plugin *(*find)(void) = NULL;
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = so != NULL ? dlsym(so, "plugin") : NULL;
    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }
    memcpy(&find, &symbol, sizeof find);
    return find();
}

static int wrong(const char *what, int n) {
    fprintf(stderr, "%s: %d\n", what, n);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    struct plugin *ping = load(argv[1]), *pong = load(argv[2]);
    if (ping == NULL || pong == NULL) return 1;
    bool own = strcmp(argv[3], "own") == 0;
    int sum = N * (N + 1) / 2, n;
    if (ping->start(ping, NULL, NULL) != 0) return wrong("start", 1);
    n = own ? pong->start(pong, NULL, NULL) : pong->start(pong, ping->questions, ping->answers);
    if (n != 0) return wrong("start", n);
    if ((n = ping->ask(ping, N)) != sum) return wrong("ping", n);
    if (own && (n = pong->ask(pong, N)) != sum) return wrong("pong", n);
    if ((n = ping->stop(ping)) != 0) return wrong("stop", n);
    return own ? pong->stop(pong) : 0;
}
