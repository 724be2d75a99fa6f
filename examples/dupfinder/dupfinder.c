// dupfinder - checksums of all files below the given paths, and which of them are the same.
//
//     dupfinder [--sums] [--jobs N] [path ...]
//
// A group with a limit hashes that many files at a time; reading blocks, so it happens on helper
// threads, while the workers compute. Results come back through a channel, and a map of stb_ds
// collects them by checksum. Ctrl-C cancels the context that everybody looks at: what is finished
// by then is reported, with how much was left.
//
// --sums prints `checksum  path` lines, as sha256sum does. Exit status: 0; 1: a file could not be
// read; 2: usage; 130: interrupted.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"

#define STB_DS_IMPLEMENTATION
#include <stb/stb_ds.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 17 };

struct sum { char hex[65]; };

struct result {
    char *path;                     // the collector's from here on
    int err;
    unsigned long long size;
    struct sum sum;
};

static atomic_ullong files_found, files_done, bytes_done;

static void *need(void *p) {
    if (p != NULL) return p;
    fputs("dupfinder: out of memory\n", stderr);
    exit(1);
}

//------------------------------------------------------------------------------
// SHA-256 (FIPS 180-4).
//------------------------------------------------------------------------------

struct sha256 {
    uint32_t h[8];
    unsigned long long length;      // bytes so far
    unsigned char rest[64];
};

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha256_block(struct sha256 *s, const unsigned char *p) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(v, s->h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t1 = v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                      ((e & v[5]) ^ (~e & v[6])) + sha256_k[i] + w[i];
        uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) s->h[i] += v[i];
}

static void sha256_begin(struct sha256 *s) {
    static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    memcpy(s->h, start, sizeof start);
    s->length = 0;
}

static void sha256_add(struct sha256 *s, const unsigned char *p, size_t n) {
    size_t have = s->length % 64;
    s->length += n;
    if (have > 0) {
        size_t take = n < 64 - have ? n : 64 - have;
        memcpy(s->rest + have, p, take);
        p += take;
        n -= take;
        if (have + take < 64) return;
        sha256_block(s, s->rest);
    }
    for (; n >= 64; p += 64, n -= 64) sha256_block(s, p);
    memcpy(s->rest, p, n);
}

static struct sum sha256_end(struct sha256 *s) {
    struct sum sum;
    unsigned char tail[72] = { 0x80 };
    unsigned long long bits = s->length * 8;
    size_t have = s->length % 64, pad = (have < 56 ? 56 : 120) - have;
    for (int i = 0; i < 8; i++) tail[pad + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(s, tail, pad + 8);
    for (int i = 0; i < 8; i++) sprintf(sum.hex + 8 * i, "%08x", s->h[i]);
    return sum;
}

//------------------------------------------------------------------------------
// Hashing one file: a block on its way from a helper thread, the next computed here.
//------------------------------------------------------------------------------

struct reading {                    // one blocking call
    const char *path;
    int fd;
    unsigned char *block;
    ssize_t n;
    int err;
};

static void open_file(void *arg) {
    struct reading *r = arg;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    r->err = r->fd < 0 ? errno : 0;
}

static void read_block(void *arg) {
    struct reading *r = arg;
    do r->n = read(r->fd, r->block, BLOCK);
    while (r->n < 0 && errno == EINTR);
    r->err = r->n < 0 ? errno : 0;
}

// hash_file stops with the context's cause when that ends.
static int hash_file(task_ctx *ctx, struct result *result) {
    struct reading r = { .path = result->path, .fd = -1, .block = malloc(BLOCK) };
    struct sha256 sha;
    sha256_begin(&sha);
    int err = r.block == NULL ? ENOMEM : task_blocking(open_file, &r);
    if (err == 0) err = r.err;
    for (r.n = 1; err == 0 && r.n > 0;) {
        err = ctx_err(ctx) != 0 ? ctx_cause(ctx) : task_blocking(read_block, &r);
        if (err == 0) err = r.err;
        if (err != 0) break;
        sha256_add(&sha, r.block, (size_t)r.n);
        atomic_fetch_add(&bytes_done, (unsigned long long)r.n);
        task_yield();               // a large file must not keep the worker
    }
    if (r.fd >= 0) close(r.fd);
    free(r.block);
    result->size = sha.length;
    result->sum = sha256_end(&sha);
    return err;
}

// A file that cannot be read is reported and stops nobody; the end of the context does.
TASK_ERR(hash, task_ctx *, ctx, char *, path, chan_sender(struct result), results) {
    struct result result = { .path = path };
    result.err = hash_file(ctx, &result);
    if (result.err == 0) atomic_fetch_add(&files_done, 1);
    chan_send(results, result);
    return result.err != 0 && ctx_err(ctx) != 0 ? result.err : 0;
}

//------------------------------------------------------------------------------
// Walking: finds files and starts a task for each, when there is a free place.
//------------------------------------------------------------------------------

struct walk {
    task_ctx *ctx;
    task_group *group;
    chan(struct result) results;
};

static void report(struct walk *w, const char *path, int err) {
    chan_send(w->results, ((struct result){ .path = need(strdup(path)), .err = err }));
}

static void walk(struct walk *w, const char *path) {
    struct stat st;
    if (ctx_err(w->ctx) != 0) return;
    if (lstat(path, &st) != 0) {
        report(w, path, errno);
    } else if (S_ISREG(st.st_mode)) {
        atomic_fetch_add(&files_found, 1);
        char *copy = need(strdup(path));
        int err = group_go(w->group, hash, w->ctx, copy, w->results);
        if (err != 0) {
            free(copy);
            report(w, path, err);
        }
    } else if (S_ISDIR(st.st_mode)) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort);
        if (n < 0) {
            report(w, path, errno);
            return;
        }
        for (int i = 0; i < n; i++) {
            const char *name = entries[i]->d_name;
            char *below = need(malloc(strlen(path) + strlen(name) + 2));
            sprintf(below, "%s/%s", path, name);
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) walk(w, below);
            free(below);
            free(entries[i]);
        }
        free(entries);
    }
}

TASK(walk_all, struct walk *, w, char **, paths) {
    for (; *paths != NULL; paths++) walk(w, *paths);
    group_wait(w->group);
    chan_close(w->results);
}

//------------------------------------------------------------------------------
// Ctrl-C, progress, the report.
//------------------------------------------------------------------------------

TASK(watch, chan_receiver(int), interrupt, task_ctx *, ctx, task_ctx *, over) {
    bool shows = isatty(STDERR_FILENO) == 1;
    chan_timer *tick = shows ? ticker_make(CHANRT_SECOND / 5) : NULL;
    for (bool running = true; running;) {
        chan_select {
            on_recv(interrupt, NULL)        { ctx_cancel_cause(ctx, EINTR); }
            on_recv(timer_chan(tick), NULL) {
                fprintf(stderr, "\r%llu of %llu files, %.1f MB", atomic_load(&files_done),
                        atomic_load(&files_found), (double)atomic_load(&bytes_done) / 1e6);
            }
            on_recv(ctx_done(over), NULL)   { running = false; }
        }
    }
    if (shows) fputs("\r\033[K", stderr);
    timer_free(tick);
}

struct same {                       // an entry of the map: the files with one checksum
    char *key;
    struct result *value;           // stb_ds array
};

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct result *)a)->path, ((const struct result *)b)->path);
}

static void print_same(struct result *files) {
    ptrdiff_t n = arrlen(files);
    qsort(files, (size_t)n, sizeof *files, by_path);
    if (n < 2) return;
    printf("%td files of %llu bytes:\n", n, files[0].size);
    for (ptrdiff_t i = 0; i < n; i++) printf("    %s\n", files[i].path);
}

// One block for each checksum, in the order of the first path of each.
static int by_first(const void *a, const void *b) {
    return by_path(((const struct same *)a)->value, ((const struct same *)b)->value);
}

static unsigned long long print_duplicates(struct same *map) {
    unsigned long long wasted = 0;
    ptrdiff_t n = shlen(map);
    struct same *sorted = need(malloc(((size_t)n + 1) * sizeof *sorted));
    for (ptrdiff_t i = 0; i < n; i++) {
        sorted[i] = map[i];
        qsort(sorted[i].value, arrlenu(sorted[i].value), sizeof *sorted[i].value, by_path);
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_first);
    for (ptrdiff_t i = 0; i < n; i++) {
        print_same(sorted[i].value);
        wasted += sorted[i].value[0].size * (arrlenu(sorted[i].value) - 1);
    }
    free(sorted);
    return wasted;
}

// collect receives until the walk is over, and prints what it was asked for.
static bool collect(chan(struct result) results, bool sums) {
    struct same *map = NULL;
    sh_new_strdup(map);             // the map copies its keys
    struct result *all = NULL;
    bool failed = false;
    chan_range(struct result, r, results) {
        if (r.err != 0) {
            bool stopped = r.err == EINTR;  // by Ctrl-C, and no fault of the file's
            if (!stopped) fprintf(stderr, "dupfinder: %s: %s\n", r.path, strerror(r.err));
            failed |= !stopped;
            free(r.path);
            continue;
        }
        arrput(all, r);
        ptrdiff_t at = shgeti(map, r.sum.hex);
        struct result *list = at >= 0 ? map[at].value : NULL;
        arrput(list, r);
        shput(map, r.sum.hex, list);
    }
    if (sums && all != NULL) qsort(all, arrlenu(all), sizeof *all, by_path);
    for (ptrdiff_t i = 0; sums && i < arrlen(all); i++)
        printf("%s  %s\n", all[i].sum.hex, all[i].path);
    unsigned long long wasted = sums ? 0 : print_duplicates(map);
    if (!sums)
        printf("%td files, %td different, %llu bytes in copies\n", (ptrdiff_t)arrlen(all),
               (ptrdiff_t)shlen(map), wasted);
    for (ptrdiff_t i = 0; i < arrlen(all); i++) free(all[i].path);
    for (ptrdiff_t i = 0; i < shlen(map); i++) arrfree(map[i].value);
    arrfree(all);
    shfree(map);
    return failed;
}

static int find(char **paths, int jobs, bool sums) {
    task_ctx *ctx = need(ctx_with_cancel(ctx_background()));
    task_ctx *over = need(ctx_with_cancel(ctx_background()));
    chan_receiver(int) interrupt = chan_signal(SIGINT);
    task_group group;
    struct walk w = { ctx, &group, need(chan_make(struct result, 64)) };
    waitgroup wg = {0};
    if (group_init(&group, ctx) != 0 || group_limit(&group, jobs) != 0) need(NULL);
    if (wg_go(&wg, watch, interrupt, ctx, over) != 0) need(NULL);
    if (wg_go(&wg, walk_all, &w, paths) != 0) need(NULL);

    bool failed = collect(w.results, sums);
    bool interrupted = ctx_err(ctx) != 0;
    ctx_cancel(over);
    wg_wait(&wg);
    fflush(stdout);
    if (interrupted)
        fprintf(stderr, "dupfinder: interrupted: %llu of the %llu files found so far were read\n",
                atomic_load(&files_done), atomic_load(&files_found));
    chan_free(interrupt);
    chan_free(w.results);
    ctx_free(over);
    ctx_free(ctx);
    chanrt_shutdown(-1);
    return interrupted ? 130 : failed;
}

int main(int argc, char **argv) {
    int jobs = 0, i = 1;
    bool sums = false;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--sums") == 0) {
            sums = true;
        } else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0) {
            jobs = atoi(argv[++i]);
        } else {
            fputs("usage: dupfinder [--sums] [--jobs N] [path ...]\n", stderr);
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    static char here[] = ".", *only_here[] = { here, NULL };
    return find(i < argc ? argv + i : only_here, jobs > 0 ? jobs : 2 * chanrt_workers(), sums);
}
