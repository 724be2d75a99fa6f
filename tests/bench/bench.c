// bench ROW [N] - runs one row once and prints: row ns/op cpu-ns/op peak-rss-KiB checksum faults.
// Without N the size is the one in rows.def; without arguments the rows are listed.
#define CHANRT_IMPLEMENTATION
#include "bench.h"

#include <string.h>
#include <sys/resource.h>

struct row {
    const char *name;
    uint64_t  (*run)(struct bench *);
    int         a, b, c;
    int64_t     n;
    bool        on_main;
};

static const struct row rows[] = {
#define ROW(name, fn, a, b, c, n, workers, what)      { #name, fn, a, b, c, n, false },
#define ROW_MAIN(name, fn, a, b, c, n, workers, what) { #name, fn, a, b, c, n, true },
#include "rows.def"
#undef ROW
#undef ROW_MAIN
};
enum { ROWS = sizeof rows / sizeof *rows };

static int64_t cpu_time(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    int64_t us = (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000
               + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
    return us * 1000;
}

void bench_begin(struct bench *b) {
    b->stopped = false;
    b->cpu_start = cpu_time();
    b->wall_start = chanrt_now();
}

void bench_end(struct bench *b) {
    if (b->stopped) return;
    b->wall = chanrt_now() - b->wall_start;
    b->cpu = cpu_time() - b->cpu_start;
    b->stopped = true;
}

void bench_need(int err) {
    if (err == 0) return;
    fprintf(stderr, "bench: %s\n", strerror(err));
    exit(1);
}

_Noreturn void bench_skip(const char *why) {
    fprintf(stderr, "bench: %s\n", why);
    exit(77);
}

void *bench_alloc(int64_t count, size_t size) {
    void *p = malloc((size_t)count * size);
    if (p == NULL) bench_need(ENOMEM);
    return memset(p, 0, (size_t)count * size);
}

// One field of /proc/self/status in KiB. The peak comes from here and not from getrusage, which
// carries the parent's over exec.
static int64_t status_kib(const char *field) {
    char line[256];
    long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) kib = atoll(line + strlen(field));
    }
    fclose(f);
    return kib;
}

int64_t bench_resident(void) {
    return (status_kib("VmRSS:") + status_kib("VmPTE:")) * 1024;
}

static int ascending(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

double bench_percentile(int64_t *values, int64_t n, int percent) {
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (double)values[(n - 1) * percent / 100];
}

static uint64_t run(const struct row *r, struct bench *b) {
    bench_begin(b);
    uint64_t sum = r->run(b);
    bench_end(b);
    return sum;
}

// Go's main is a goroutine, so ours is a task.
TASK(root, const struct row *, r, struct bench *, b, uint64_t *, sum) {
    *sum = run(r, b);
}

static const struct row *find(const char *name) {
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc == 1) {
        for (int i = 0; i < ROWS; i++) puts(rows[i].name);
        return 0;
    }
    const struct row *r = find(argv[1]);
    int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : r != NULL ? r->n : 0;
    if (r == NULL || n < 1 || argc > 3) {
        fputs("usage: bench [ROW [N]]   (no arguments: the rows)\n", stderr);
        return 2;
    }
    struct bench b = { .n = n, .a = r->a, .b = r->b, .c = r->c, .ops = (double)n };
    uint64_t sum = 0;
    if (r->on_main) {
        sum = run(r, &b);
    } else {
        waitgroup wg = {0};
        bench_need(wg_go(&wg, root, r, &b, &sum));
        wg_wait(&wg);
    }
    double value = b.value > 0 || b.value < 0 ? b.value : (double)b.wall / b.ops;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%s %.2f %.2f %lld %llu %ld\n", r->name, value, (double)b.cpu / b.ops,
           (long long)status_kib("VmHWM:"), (unsigned long long)sum, u.ru_minflt);
    return 0;
}
