// wordcount: the commonest words of any number of files, counted on all CPUs.
//
//     reader --chunks--> counter 1..N --maps--> merger --total--> main
//
// The reader cuts the files into chunks that end between words. Each counter
// fills a hash map of its own, so nobody shares or locks anything; at the end it
// passes the map itself through a channel, and with it the right to touch it.
// The bound of the chunk channel is the bound of the memory used.
//
// A word is a run of ASCII letters and digits; upper case counts as lower case;
// every other byte, those of UTF-8 letters included, separates words.
//
//     wordcount [--workers N] [--top K] [--sequential] [file or directory ...]
//
// Without names: the text of this repository, seen from its top. A directory
// stands for the text files below it. What cannot be read is reported, the rest
// is counted, and the exit status is 1. Counts go to stdout and depend on the
// input alone: they are the same bytes for every N and for --sequential, which
// counts in one plain loop. Times and progress go to stderr. --top 0: all words.
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *need(void *p) {
    if (p != NULL) return p;
    fputs("wordcount: out of memory\n", stderr);
    exit(1);
}

#define STBDS_REALLOC(context, p, size) need(realloc(p, size))
#define STBDS_FREE(context, p) free(p)
#define STB_DS_IMPLEMENTATION
#include <stb/stb_ds.h>

#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"

enum { CHUNK = 64 << 10 };

struct count { char *key; unsigned long long value; };      // an stb_ds string map of these
struct chunk { char *text; size_t size; };                  // owned; has room for one byte more
struct result { struct count *words; unsigned long long files, bytes; double seconds; };

static const char *default_names[] = { "chanrt.h", "README.md", "LICENSE", "Makefile", "examples",
                                       "tests" };
static bool failed;                         // something could not be read
static atomic_ullong bytes_counted;         // for the progress line
static bool progress;                       // stderr is a terminal

static void complain(const char *path, const char *why) {
    failed = true;
    fprintf(stderr, "%swordcount: %s: %s\n", progress ? "\r\033[K" : "", path, why);
}

//------------------------------------------------------------------------------
// Which files: the names given, directories replaced by what is below them.
//------------------------------------------------------------------------------

static bool looks_like_text(const char *path) {
    char head[512];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof head);
    if (fd >= 0) close(fd);
    return n <= 0 || memchr(head, '\0', (size_t)n) == NULL;     // unreadable: the reader says so
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

// Links are followed only when named: a link below a directory could lead back
// up. For the same reason of least surprise, build/ holds no text of anybody's.
static void add_path(char ***files, const char *path, bool named) {
    struct stat st;
    if ((named ? stat(path, &st) : lstat(path, &st)) != 0) {
        complain(path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        struct dirent **entries;
        int n = scandir(path, &entries, visible, alphasort);
        if (n < 0) {
            complain(path, strerror(errno));
            return;
        }
        for (int i = 0; i < n; i++) {
            size_t size = strlen(path) + strlen(entries[i]->d_name) + 2;
            char *below = need(malloc(size));
            snprintf(below, size, "%s/%s", path, entries[i]->d_name);
            if (strcmp(entries[i]->d_name, "build") != 0) add_path(files, below, false);
            free(below);
            free(entries[i]);
        }
        free(entries);
    } else if (!S_ISREG(st.st_mode)) {
        if (named) complain(path, "not a regular file or directory");
    } else if (named || looks_like_text(path)) {
        arrput(*files, need(strdup(path)));
    }
}

//------------------------------------------------------------------------------
// Reading: one chunk after the other, from file to file.
//------------------------------------------------------------------------------

struct source {
    char **files;                           // stb_ds array
    size_t next;                            // the first file not opened yet
    int fd;                                 // the one being read, or -1
    char *carry;                            // stb_ds array: the cut-off head of a word
    bool report;                            // complain about what cannot be read
    unsigned long long read_files, read_bytes;
};

static bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

static bool open_next(struct source *s) {
    while (s->next < arrlenu(s->files)) {
        const char *path = s->files[s->next++];
        s->fd = open(path, O_RDONLY);
        if (s->fd >= 0) return true;
        if (s->report) complain(path, strerror(errno));
    }
    return false;
}

// fill reads up to size bytes; fewer only at the end of the file, which it closes.
static size_t fill(struct source *s, char *to, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(s->fd, to + have, size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && s->report) complain(s->files[s->next - 1], strerror(errno));
        if (n <= 0) {
            close(s->fd);
            s->fd = -1;
            s->read_files += n == 0;
            break;
        }
        have += (size_t)n;
    }
    s->read_bytes += have;
    return have;
}

// next_chunk yields false after the last one. A word that reaches the end of a
// chunk is carried over to the next; one longer than a chunk makes a larger one.
static bool next_chunk(struct source *s, struct chunk *c) {
    if (s->fd < 0 && !open_next(s)) return false;
    size_t size = 0, room = 0, keep;
    char *text = NULL;
    do {
        room += CHUNK + arrlenu(s->carry);
        text = need(realloc(text, room + 1));
        if (arrlenu(s->carry) > 0) memcpy(text + size, s->carry, arrlenu(s->carry));
        size += arrlenu(s->carry);
        arrsetlen(s->carry, 0);
        size += fill(s, text + size, room - size);
        keep = size;
        while (s->fd >= 0 && keep > 0 && in_word(text[keep - 1])) keep--;
    } while (s->fd >= 0 && keep == 0);
    if (keep < size) memcpy(arraddnptr(s->carry, size - keep), text + keep, size - keep);
    *c = (struct chunk){ text, keep };
    return true;
}

//------------------------------------------------------------------------------
// Counting.
//------------------------------------------------------------------------------

static struct count *new_map(void) {
    struct count *map = NULL;
    sh_new_strdup(map);                     // the map copies its keys
    return map;
}

// The chunk is ours: words become lower-case strings where they stand.
static struct count *count_words(struct count *map, struct chunk c) {
    c.text[c.size] = '\0';
    for (char *p = c.text, *end = c.text + c.size; p < end; p++) {
        if (!in_word(*p)) continue;
        char *word = p;
        for (; p < end && in_word(*p); p++) *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        *p = '\0';
        ptrdiff_t at = shgeti(map, word);
        if (at >= 0) map[at].value++;
        else shput(map, word, 1);
    }
    free(c.text);
    return map;
}

static struct count *merge(struct count *into, struct count *from) {
    for (ptrdiff_t i = 0; i < shlen(from); i++) {
        ptrdiff_t at = shgeti(into, from[i].key);
        if (at >= 0) into[at].value += from[i].value;
        else shput(into, from[i].key, from[i].value);
    }
    shfree(from);
    return into;
}

typedef struct count *count_map;            // one name, so that it can be a channel's type

TASK(reader, struct source *, s, chan_sender(struct chunk), chunks) {
    struct chunk c;
    while (next_chunk(s, &c)) chan_send(chunks, c);
    chan_close(chunks);
}

TASK(counter, chan_receiver(struct chunk), chunks, count_map, map, chan_sender(count_map), maps) {
    chan_range(struct chunk, c, chunks) {
        map = count_words(map, c);
        atomic_fetch_add_explicit(&bytes_counted, c.size, memory_order_relaxed);
    }
    chan_send(maps, map);
}

TASK(merger, int, n, chan_receiver(count_map), maps, chan_sender(count_map), total) {
    count_map all = chan_get(maps);
    for (int i = 1; i < n; i++) all = merge(all, chan_get(maps));
    chan_send(total, all);
}

static void must(int err, const char *what) {
    if (err == 0) return;
    fprintf(stderr, "wordcount: %s: %s\n", what, strerror(err));
    exit(1);
}

static count_map wait_for(chan_receiver(count_map) total) {
    if (!progress) return chan_get(total);
    count_map all = NULL;
    chan_timer *tick = need(ticker_make(CHANRT_SECOND / 10));
    for (bool waiting = true; waiting;) {
        chan_select {
            on_recv(total, &all) { waiting = false; }
            on_recv(timer_chan(tick), NULL) {
                fprintf(stderr, "\r%.1f MB counted", (double)atomic_load(&bytes_counted) / 1e6);
            }
        }
    }
    timer_free(tick);
    fputs("\r\033[K", stderr);
    return all;
}

// count_parallel: workers 0 means one for each CPU this process may use.
static struct result count_parallel(struct source s, int *workers) {
    must(chanrt_start(&(chanrt_options){ .workers = *workers }), "cannot start the workers");
    int n = *workers = chanrt_workers();
    int64_t start = chanrt_now();
    atomic_store(&bytes_counted, 0);

    chan(struct chunk) chunks = need(chan_make(struct chunk, 2 * (size_t)n));
    chan(count_map) maps = need(chan_make(count_map, (size_t)n));
    chan(count_map) total = need(chan_make(count_map, 0));
    must(go(reader, &s, chunks), "cannot start the reader");
    // All maps are made here: making one changes a seed that stb_ds shares.
    for (int i = 0; i < n; i++)
        must(go(counter, chunks, new_map(), maps), "cannot start a counter");
    must(go(merger, n, maps, total), "cannot start the merger");
    struct result r = { wait_for(total), 0, 0, (double)(chanrt_now() - start) / 1e9 };

    chanrt_shutdown(-1);                    // the reader has ended: s is ours again
    r.files = s.read_files;
    r.bytes = s.read_bytes;
    arrfree(s.carry);
    chan_free(chunks);
    chan_free(maps);
    chan_free(total);
    return r;
}

static struct result count_sequential(struct source s) {
    int64_t start = chanrt_now();
    struct result r = { .words = new_map() };
    struct chunk c;
    while (next_chunk(&s, &c)) r.words = count_words(r.words, c);
    r.files = s.read_files;
    r.bytes = s.read_bytes;
    r.seconds = (double)(chanrt_now() - start) / 1e9;
    arrfree(s.carry);
    return r;
}

//------------------------------------------------------------------------------
// The report.
//------------------------------------------------------------------------------

static int by_count_then_word(const void *a, const void *b) {
    const struct count *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return strcmp(x->key, y->key);
}

// same tells whether two runs counted the same; the maps' own order is free.
static bool same(struct result a, struct result b) {
    bool equal = a.files == b.files && a.bytes == b.bytes && shlen(a.words) == shlen(b.words);
    for (ptrdiff_t i = 0; equal && i < shlen(a.words); i++) {
        ptrdiff_t at = shgeti(b.words, a.words[i].key);
        equal = at >= 0 && b.words[at].value == a.words[i].value;
    }
    return equal;
}

static void print_counts(struct result r, size_t top) {
    unsigned long long words = 0;
    size_t different = (size_t)shlen(r.words);
    struct count *sorted = need(malloc((different + 1) * sizeof *sorted));
    for (size_t i = 0; i < different; i++) words += (sorted[i] = r.words[i]).value;
    qsort(sorted, different, sizeof *sorted, by_count_then_word);
    for (size_t i = 0; i < different && (top == 0 || i < top); i++)
        printf("%10llu %s\n", sorted[i].value, sorted[i].key);
    printf("%llu words, %zu different, in %llu files, %llu bytes\n", words, different, r.files,
           r.bytes);
    free(sorted);
}

// compare measures one worker against all of them, more than once while that is
// cheap, and keeps the best time of each. first is the run that was printed: on
// large input the only one with all workers, and perhaps the one that had to
// wait for the disk, so that the speed-up is rather under- than overstated.
static void compare(struct source s, struct result first, int workers) {
    double best = first.seconds, alone = 1e9, spent = 0;
    s.report = false;
    for (int i = 0; i < 20 && (i == 0 || spent < 0.3); i++) {
        for (int turn = 0; turn < 2; turn++) {
            int n = turn == 0 ? 1 : workers;
            if (turn == 1 && i == 0 && first.seconds > 0.3) continue;
            struct result r = count_parallel(s, &n);
            if (!same(first, r)) complain("two runs", "different counts; did a file change?");
            double *keep = turn == 0 ? &alone : &best;
            if (r.seconds < *keep) *keep = r.seconds;
            spent += r.seconds;
            shfree(r.words);
        }
    }
    fprintf(stderr, "%.4f s with %d worker%s, %.4f s with one: speed-up %.2f\n", best, workers,
            workers == 1 ? "" : "s", alone, alone / best);
}

static long number(const char *option, const char *text) {
    char *end;
    long n = text == NULL ? -1 : strtol(text, &end, 10);
    if (n >= 0 && *end == '\0' && n <= 1000000) return n;
    fprintf(stderr, "wordcount: %s wants a number\n", option);
    exit(2);
}

int main(int argc, char **argv) {
    int workers = 0, i = 1;
    size_t top = 10;
    bool sequential = false;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--workers") == 0) workers = (int)number(argv[i], argv[i + 1]), i++;
        else if (strcmp(argv[i], "--top") == 0) top = (size_t)number(argv[i], argv[i + 1]), i++;
        else if (strcmp(argv[i], "--sequential") == 0) sequential = true;
        else {
            fprintf(stderr, "usage: wordcount [--workers N] [--top K] [--sequential] [path ...]\n");
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    progress = isatty(STDERR_FILENO) == 1;

    struct source s = { .fd = -1, .report = true };
    size_t names = sizeof default_names / sizeof *default_names;
    for (size_t k = 0; i == argc && k < names; k++) add_path(&s.files, default_names[k], true);
    for (int k = i; k < argc; k++) add_path(&s.files, argv[k], true);

    struct result r = sequential ? count_sequential(s) : count_parallel(s, &workers);
    print_counts(r, top);
    fflush(stdout);
    if (sequential) fprintf(stderr, "%.4f s in one plain loop\n", r.seconds);
    else compare(s, r, workers);

    shfree(r.words);
    for (size_t k = 0; k < arrlenu(s.files); k++) free(s.files[k]);
    arrfree(s.files);
    return failed ? 1 : 0;
}
