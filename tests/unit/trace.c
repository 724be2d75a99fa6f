// CHANRT_TRACE: the file is JSON, its slices are closed and do not overlap, its arrows have both
// ends, and it says what was lost. The file makes the build with traces itself, whatever the flags
// say.
#undef CHANRT_TRACE
#define CHANRT_TRACE 1
#include "unit.h"
#include "json.h"
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static void trace_to_file(const char *events) {
    snprintf(path, sizeof path, "/tmp/chanrt-trace-%d.json", (int)getpid());
    unlink(path);
    setenv("CHANRT_TRACE_FILE", path, 1);
    if (events != NULL) setenv("CHANRT_TRACE_EVENTS", events, 1);
    else unsetenv("CHANRT_TRACE_EVENTS");
}

static char *contents(const char *name) {
    FILE *f = fopen(name, "r");
    if (f == NULL) return NULL;
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, size + 1);
    if (fread(text, 1, size, f) != size) text[0] = 0;
    fclose(f);
    return text;
}

//--------------------------------------------------------------------------------------------------
// What must hold of every file.

struct slice {
    int64_t from, until; // ns
    double pid, tid;
    struct json *event;
};

struct arrow {
    double id;
    struct json *ends[2]; // s, f
};

struct trace {
    struct json *whole;
    struct slice *slices;
    struct arrow *arrows;
    size_t slice_count, arrow_count, instants;
    double lost;
};

static int64_t ns(struct json *event, const char *name) {
    return (int64_t)(json_number(event, name) * 1000 + 0.5);
}

static int by_track_and_time(const void *x, const void *y) {
    const struct slice *a = x, *b = y;
    if (a->pid != b->pid) return a->pid < b->pid ? -1 : 1;
    if (a->tid != b->tid) return a->tid < b->tid ? -1 : 1;
    return a->from < b->from ? -1 : a->from > b->from;
}

// The slice of the event's track that it is in. NULL: none.
static struct slice *slice_at(struct trace *t, struct json *event) {
    struct slice key = { ns(event, "ts"), 0, json_number(event, "pid"), json_number(event, "tid"),
                         NULL };
    size_t low = 0, high = t->slice_count; // the last one that is not after it
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_track_and_time(&t->slices[middle], &key) <= 0) low = middle + 1;
        else high = middle;
    }
    struct slice *s = low > 0 ? &t->slices[low - 1] : NULL;
    return s != NULL && s->pid == key.pid && s->tid == key.tid && key.from < s->until ? s : NULL;
}

static void check_slices(struct trace *t) {
    qsort(t->slices, t->slice_count, sizeof *t->slices, by_track_and_time);
    for (size_t i = 0; i < t->slice_count; i++) {
        struct slice *s = &t->slices[i], *next = i + 1 < t->slice_count ? s + 1 : NULL;
        CHECK(s->from >= 0 && s->from < s->until);
        if (next != NULL && next->pid == s->pid && next->tid == s->tid)
            CHECK(s->until <= next->from);
    }
}

static void check_arrows(struct trace *t) {
    for (size_t i = 0; i < t->arrow_count; i++) {
        struct arrow *a = &t->arrows[i];
        if (!CHECK(a->ends[0] != NULL && a->ends[1] != NULL)) continue;
        CHECK(ns(a->ends[0], "ts") < ns(a->ends[1], "ts"));
        CHECK_STR(json_text(a->ends[0], "name"), json_text(a->ends[1], "name"));
        struct slice *to = slice_at(t, a->ends[1]);
        CHECK(slice_at(t, a->ends[0]) != NULL);
        CHECK(to != NULL && to->from == ns(a->ends[1], "ts"));
    }
}

static void take_event(struct trace *t, struct json *e) {
    const char *ph = json_text(e, "ph");
    CHECK(json_number(e, "pid") == 1 || json_number(e, "pid") == 2);
    CHECK(json_number(e, "tid") >= 0);
    if (strcmp(ph, "X") == 0) {
        t->slices[t->slice_count++] =
            (struct slice){ ns(e, "ts"), ns(e, "ts") + ns(e, "dur"), json_number(e, "pid"),
                            json_number(e, "tid"), e };
    } else if (strcmp(ph, "s") == 0 || strcmp(ph, "f") == 0) {
        size_t id = (size_t)json_number(e, "id"); // counted from 1
        if (!CHECK(id >= 1 && id <= (size_t)json_number(json_get(t->whole, "otherData"), "arrows")))
            return;
        if (id > t->arrow_count) t->arrow_count = id;
        struct json **end = &t->arrows[id - 1].ends[*ph == 'f'];
        CHECK(*end == NULL);
        *end = e;
    } else if (strcmp(ph, "C") == 0) {
        CHECK(json_number(json_get(e, "args"), "tasks") >= 0);
    } else if (strcmp(ph, "i") == 0) {
        t->instants++;
    } else {
        CHECK_STR(ph, "M");
    }
}

static struct trace read_trace(const char *name) {
    struct trace t = { .whole = NULL };
    char *text = contents(name);
    if (CHECK(text != NULL)) t.whole = json_read(text);
    free(text);
    CHECK(t.whole != NULL);
    struct json *events = json_get(t.whole, "traceEvents"), *about = json_get(t.whole, "otherData");
    size_t count = 0;
    for (struct json *e = events != NULL ? events->first : NULL; e != NULL; e = e->next) count++;
    t.slices = calloc(count + 1, sizeof *t.slices);
    t.arrows = calloc(count + 1, sizeof *t.arrows);
    for (struct json *e = events != NULL ? events->first : NULL; e != NULL; e = e->next)
        take_event(&t, e);
    check_slices(&t);
    check_arrows(&t);
    CHECK_EQ(t.arrow_count, json_number(about, "arrows"));
    t.lost = json_number(about, "lost");
    CHECK(t.lost >= 0);
    return t;
}

static void free_trace(struct trace *t) {
    json_free(t->whole);
    free(t->slices);
    free(t->arrows);
    unlink(path);
}

// Slices that end with these words, instants or arrows of the name.
static int count_then(struct trace *t, const char *words) {
    int n = 0;
    for (size_t i = 0; i < t->slice_count; i++)
        n += strncmp(json_text(json_get(t->slices[i].event, "args"), "then"), words,
                     strlen(words)) == 0;
    return n;
}

static int count_named(struct trace *t, const char *ph, const char *name) {
    int n = 0;
    for (struct json *e = json_get(t->whole, "traceEvents")->first; e != NULL; e = e->next)
        n += strcmp(json_text(e, "ph"), ph) == 0 && strcmp(json_text(e, "name"), name) == 0;
    return n;
}

static int count_spawns(struct trace *t) {
    int n = 0;
    for (struct json *e = json_get(t->whole, "traceEvents")->first; e != NULL; e = e->next)
        n += strcmp(json_text(e, "cat"), "spawn") == 0;
    return n;
}

//--------------------------------------------------------------------------------------------------
// A program that does a bit of everything.

enum { VALUES = 200 };
static sync_mutex mutex;
static int64_t total;

TASK(produces, chan_sender(int), out, int, n) {
    for (int i = 0; i < n; i++) chan_send(out, i);
}

TASK(adds, chan_receiver(int), in, waitgroup *, done) {
    chan_range(int, v, in) {
        sync_mutex_lock(&mutex);
        total += v;
        if (v % 16 == 0) task_yield(); // with the lock: others wait for it
        sync_mutex_unlock(&mutex);
    }
    wg_done(done);
}

TASK(merges, chan_receiver(int), a, chan_receiver(int), b, chan_sender(int), out, int, n) {
    for (int v = 0, i = 0; i < n; i++) {
        chan_select {
            on_recv(a, &v) {}
            on_recv(b, &v) {}
        }
        chan_send(out, v);
    }
    chan_close(out);
}

TASK(naps, waitgroup *, done) {
    for (int i = 0; i < 5; i++) task_sleep(CHANRT_MILLISECOND / 5);
    wg_done(done);
}

static void *thread_sends(void *to) {
    chan(int) ch = to;
    for (int i = 0; i < VALUES; i++) chan_send(ch, i);
    return NULL;
}

static void fires(void *done) {
    wg_done(done);
}

static void everything(bool with_a_thread) {
    chan(int) a = chan_make(int, 0), b = chan_make(int, 3), both = chan_make(int, 1);
    waitgroup done = { 0 };
    pthread_t thread;
    total = 0;
    wg_add(&done, 5);
    for (int i = 0; i < 3; i++) go(adds, both, &done);
    go(merges, a, b, both, 2 * VALUES);
    go(produces, a, VALUES);
    go(naps, &done);
    chan_timer *timer = timer_func(CHANRT_MILLISECOND, fires, &done);
    if (with_a_thread) CHECK_EQ(pthread_create(&thread, NULL, thread_sends, b), 0);
    else go(produces, b, VALUES);
    wg_wait(&done);
    if (with_a_thread) pthread_join(thread, NULL);
    timer_free(timer);
    CHECK_EQ(total, VALUES * (VALUES - 1));
    CHECK_EQ(chanrt_shutdown(-1), 0);
    chan_free(a);
    chan_free(b);
    chan_free(both);
}

TEST(a_program_of_everything) {
    trace_to_file(NULL);
    everything(true);
    struct trace t = read_trace(path);
    CHECK_EQ(t.lost, 0);
    CHECK_EQ(count_spawns(&t), 7);
    CHECK_EQ(count_named(&t, "s", "spawn"), 7);
    CHECK_EQ(count_then(&t, "ended"), 7);
    CHECK(count_then(&t, "chan receive 0x") > 0);
    CHECK(count_then(&t, "chan send 0x") > 0);
    CHECK(count_then(&t, "select") > 0);
    CHECK(count_then(&t, "waitgroup wait 0x") > 0);
    CHECK(count_then(&t, "runnable") > 0);
    CHECK_EQ(count_then(&t, "sleep"), 5);
    CHECK_EQ(count_named(&t, "f", "sleep"), 5);
    CHECK(count_named(&t, "i", "timer") >= 6);
    CHECK(count_named(&t, "f", "chan receive") + count_named(&t, "f", "chan send") > 0);
    CHECK(count_named(&t, "i", "close") > 0);
    CHECK_EQ(count_named(&t, "i", "shutdown"), 1);
    // Every start of a task has its arrow, and every end of a wait.
    int waits = (int)t.slice_count - count_then(&t, "runnable") - count_then(&t, "ended") -
                count_then(&t, "still running") - count_named(&t, "X", "scheduler");
    CHECK_EQ(t.arrow_count, 7 + waits);
    free_trace(&t);
}

static atomic_bool reading;

TASK(reads, int, fd) {
    char byte;
    atomic_store(&reading, true);
    CHECK_EQ(io_read(fd, &byte, 1), 1);
    io_close(fd);
}

static void blocks(void *fd) {
    while (!atomic_load(&reading)) usleep(1000);
    usleep(30000); // until it waits
    CHECK_EQ(write(*(int *)fd, "x", 1), 1);
}

TASK(calls, int *, fd) {
    CHECK_EQ(task_blocking(blocks, fd), 0);
}

TEST(descriptors_and_helper_threads) {
    int ends[2];
    trace_to_file(NULL);
    CHECK_EQ(pipe(ends), 0);
    go(reads, ends[0]);
    go(calls, &ends[1]);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    close(ends[1]);
    struct trace t = read_trace(path);
    char words[32];
    snprintf(words, sizeof words, "IO wait fd %d", ends[0]);
    CHECK_EQ(count_then(&t, words), 1);
    CHECK_EQ(count_named(&t, "f", "IO wait"), 1);
    CHECK_EQ(count_then(&t, "blocking call"), 1);
    CHECK_EQ(count_named(&t, "f", "blocking call"), 1);
    int helpers = 0;
    for (struct json *e = json_get(t.whole, "traceEvents")->first; e != NULL; e = e->next)
        helpers += strcmp(json_text(e, "name"), "thread_name") == 0 &&
                   strncmp(json_text(json_get(e, "args"), "name"), "helper ", 7) == 0;
    CHECK_EQ(helpers, 1);
    free_trace(&t);
}

//--------------------------------------------------------------------------------------------------
// Bounded.

TASK(bounces, chan_receiver(int), in, chan_sender(int), out) {
    chan_range(int, v, in) chan_send(out, v);
    chan_close(out);
}

static void many_events(int rounds) {
    chan(int) there = chan_make(int, 0), back = chan_make(int, 0);
    go(bounces, there, back);
    for (int i = 0; i < rounds; i++) {
        chan_send(there, i);
        CHECK_EQ(chan_get(back), i);
    }
    chan_close(there);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    chan_free(there);
    chan_free(back);
}

TASK(sends_and_gets, chan_sender(int), there, chan_receiver(int), back, int, rounds) {
    for (int i = 0; i < rounds; i++) {
        chan_send(there, i);
        CHECK_EQ(chan_get(back), i);
    }
    chan_close(there);
}

// Between tasks: main might be the slower one, and never wait.
TEST(the_oldest_events_are_lost_and_counted) {
    trace_to_file("100");                    // 128 of them
    chan(int) there = chan_make(int, 0), back = chan_make(int, 0);
    go(bounces, there, back);
    go(sends_and_gets, there, back, 1000);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    chan_free(there);
    chan_free(back);
    struct trace t = read_trace(path);
    struct json *about = json_get(t.whole, "otherData");
    CHECK(t.lost > 1000);
    CHECK(json_number(about, "events") <= 127 * (1 + chanrt_workers() + 1));
    CHECK(json_number(about, "events") >= 127);
    CHECK(t.arrow_count > 0);
    free_trace(&t);
}

TEST(a_second_run_has_a_file_of_its_own) {
    trace_to_file(NULL);
    many_events(100);
    many_events(3);
    struct trace t = read_trace(path);
    CHECK_EQ(count_spawns(&t), 1);
    CHECK(json_number(json_get(t.whole, "otherData"), "events") < 60);
    free_trace(&t);
}

static void *thread_wakes(void *to) {
    chan(int) ch = to;
    task_sleep(1); // recorded in any case: whether the send wakes somebody is left to chance
    chan_send(ch, 1);
    return NULL;
}

TEST(too_many_threads_are_left_out_and_counted) {
    enum { THREADS = CHANRT__TRACE_THREADS + 10 };
    trace_to_file("64");
    chan(int) there = chan_make(int, THREADS), back = chan_make(int, THREADS);
    go(bounces, there, back);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (!CHECK(pthread_create(&thread, NULL, thread_wakes, there) == 0)) break;
        pthread_join(thread, NULL);
        chan_get(back);
    }
    chan_close(there);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    struct trace t = read_trace(path);
    double out = json_number(json_get(t.whole, "otherData"), "threads left out");
    CHECK_EQ(out, THREADS + 1 - CHANRT__TRACE_THREADS); // and main
    free_trace(&t);
    chan_free(there);
    chan_free(back);
}

//--------------------------------------------------------------------------------------------------
// What else may happen to the file.

TEST(without_a_file_nothing_is_recorded) {
    trace_to_file(NULL);
    unsetenv("CHANRT_TRACE_FILE");
    uint32_t before = chanrt__trace.runs;
    many_events(10);
    CHECK_EQ(chanrt__trace.runs, before);
    CHECK_EQ(chanrt__atom_load(&chanrt__trace.a_run), 0);
    CHECK(access(path, F_OK) != 0);
}

TASK(waits_for_ever, chan(int), ch) {
    chan_get(ch);
}

TASK(computes, atomic_int *, started) {
    atomic_store(started, 1);
    for (;;) {}
}

// The parent's path.
static void child_path(void) {
    snprintf(path, sizeof path, "/tmp/chanrt-trace-%d.json", (int)getppid());
    setenv("CHANRT_TRACE_FILE", path, 1);
}

CHILD(deadlock) {
    child_path();
    chan(int) ch = chan_make(int, 0);
    go(waits_for_ever, ch);
    chan_get(ch);
    return 0;
}

CHILD(exit_with_a_task_that_computes) {
    static atomic_int started;
    child_path();
    go(computes, &started);
    while (!atomic_load(&started)) usleep(1000);
    return 7;
}

TASK(exits, int, status) {
    exit(status);
}

CHILD(exit_by_a_task) {
    child_path();
    go(exits, 7);
    usleep(20000000); // ended before
    return 0;
}

static atomic_int rounds_begun;

TASK(never_stops, chan(int), there, chan(int), back) {
    for (;;) {
        atomic_fetch_add(&rounds_begun, 1);
        chan_send(there, 1);
        chan_get(back);
    }
}

CHILD(exit_while_others_go_on) {
    setenv("CHANRT_TRACE_EVENTS", "64", 1);
    child_path();
    for (int i = 0; i < 8; i++) {
        chan(int) there = chan_make(int, 0), back = chan_make(int, 0);
        go(never_stops, there, back);
        go(bounces, there, back);
    }
    while (atomic_load(&rounds_begun) < 5000) usleep(1000); // more than all rings hold
    return 7;
}

CHILD(misuse) {
    child_path();
    chan(int) ch = chan_make(int, 0);
    go(waits_for_ever, ch);
    task_sleep(CHANRT_MILLISECOND);
    chanrt__fail_stop("as after a rule was broken");
}

CHILD(a_directory_that_is_not_there) {
    setenv("CHANRT_TRACE_FILE", "/nowhere/at/all.json", 1);
    many_events(1);
    return 7;
}

static struct trace trace_of_child(const char *name, int status) {
    trace_to_file(NULL);
    struct test_child r = test_run_child(name, 20000);
    if (status >= 0 && !CHECK_EQ(r.status, status)) fputs(r.out, stderr);
    test_child_free(&r);
    return read_trace(path);
}

TEST(a_deadlock_writes_it) {
    if (!test_sees_deadlocks()) return;
    struct trace t = trace_of_child("deadlock", 2);
    CHECK_EQ(count_named(&t, "i", "deadlock"), 1);
    CHECK_EQ(count_then(&t, "chan receive 0x"), 2);
    free_trace(&t);
}

TEST(an_exit_writes_it_with_who_is_still_running) {
    struct trace t = trace_of_child("exit_with_a_task_that_computes", 7);
    CHECK_EQ(count_named(&t, "i", "exit"), 1);
    CHECK_EQ(count_then(&t, "still running"), 2); // main, too
    CHECK_EQ(count_named(&t, "X", "computes"), 1);
    free_trace(&t);
}

TEST(so_does_an_exit_by_a_task) {
    struct trace t = trace_of_child("exit_by_a_task", 7);
    CHECK_EQ(count_named(&t, "i", "exit"), 1);
    CHECK_EQ(count_named(&t, "X", "exits"), 1);
    free_trace(&t);
}

// Rings that are full are read while their threads were adding to them a moment ago (R2).
TEST(an_exit_writes_it_whatever_the_others_do) {
    for (int i = 0; i < 10; i++) {
        struct trace t = trace_of_child("exit_while_others_go_on", 7);
        CHECK(t.lost > 0 && t.slice_count > 10);
        free_trace(&t);
    }
}

TEST(a_fatal_error_writes_it) {
    struct trace t = trace_of_child("misuse", 128 + SIGABRT);
    CHECK_EQ(count_named(&t, "i", "fatal error"), 1);
    CHECK_EQ(count_then(&t, "sleep"), 1);
    free_trace(&t);
}

TEST(a_file_that_cannot_be_written_is_one_line) {
    struct test_child r = test_run_child("a_directory_that_is_not_there", 20000);
    CHECK_EQ(r.status, 7);
    CHECK_STR(r.out, "chanrt: the trace could not be written to /nowhere/at/all.json\n");
    test_child_free(&r);
}

TEST(a_child_made_by_fork_leaves_it_alone) {
    int status = -1;
    trace_to_file(NULL);
    chanrt_start(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        chanrt__trace_finish("exit", true); // what an exit does
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(access(path, F_OK) != 0);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    struct trace t = read_trace(path);
    free_trace(&t);
}

TASK(nothing, int, n) { (void)n; }

TEST(names_are_copied_and_may_be_anything) {
    trace_to_file(NULL);
    char *name = strdup("a \"name\" with \\ and \n, \303\244, \377 and \303");
    go_opt(((task_options){ .name = name }), nothing, 1);
    const char *long_name = "one that is longer than there is room, by far, so it is cut";
    go_opt(((task_options){ .name = long_name }), nothing, 2);
    go(nothing, 3);
    CHECK_EQ(chanrt_shutdown(-1), 0);
    struct trace t = read_trace(path);
    const char *escaped = "a \\\"name\\\" with \\\\ and \\u000a, \303\244, ? and ?";
    CHECK_EQ(count_named(&t, "X", escaped), 1);
    CHECK_EQ(count_named(&t, "X", "one that is longer than there is room, by far, "), 1);
    CHECK_EQ(count_named(&t, "X", "nothing"), 1);
    free_trace(&t);
    free(name);
}

TEST(more_names_than_there_is_room_for_are_called_task) {
    enum { NAMES = 2 * CHANRT__TRACE_PLACES };
    trace_to_file("32768");
    char(*names)[24] = calloc(NAMES, sizeof *names);
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof names[i], "task-%d", i);
        go_opt(((task_options){ .name = names[i] }), nothing, i);
    }
    CHECK_EQ(chanrt_shutdown(-1), 0);
    struct trace t = read_trace(path);
    int unknown = count_named(&t, "X", "task");
    CHECK(unknown >= NAMES - CHANRT__TRACE_PLACES && unknown < NAMES - CHANRT__TRACE_PLACES / 2);
    free_trace(&t);
    free(names);
}

// The order of what happened, without the times.
static char *order_of(uint64_t seed) {
    char *text = calloc(1, 1 << 20), *end = text;
    trace_to_file(NULL);
    chanrt_start(&(chanrt_options){ .seed = seed, .virtual_time = true });
    everything(false);
    struct trace t = read_trace(path);
    for (size_t i = 0; i < t.slice_count && t.slices[i].pid == 1; i++) {
        struct json *args = json_get(t.slices[i].event, "args");
        if (args == NULL) continue;
        end += snprintf(end, 64, "%.0f %.7s\n", json_number(args, "task"), // without addresses
                        json_text(args, "then"));
    }
    free_trace(&t);
    return text;
}

TEST(a_seed_makes_the_same_trace_again) {
    char *first = order_of(11), *again = order_of(11), *other = order_of(12);
    CHECK(strlen(first) > 1000);
    CHECK_STR(first, again);
    CHECK(strcmp(first, other) != 0);
    free(first);
    free(again);
    free(other);
}

//--------------------------------------------------------------------------------------------------
// The law of the ring.

TEST(records_are_later_than_those_before_and_than_what_woke) {
    chanrt__trace.events = 64;
    chanrt__os_self()->traced = 0;
    struct chanrt__trace_ring *r = chanrt__trace_join(1);
    if (!CHECK(r != NULL)) return;
    int64_t future = chanrt__os_clock() + CHANRT_SECOND * 1000;
    chanrt__trace_begin(r, CHANRT__TRACE_WAKE, future);
    chanrt__trace_add(r);
    CHECK_EQ(r->time, future + 1);
    chanrt__trace_begin(r, CHANRT__TRACE_WAKE, 0);
    CHECK_EQ(r->time, future + 2);
    CHECK_EQ(chanrt__trace_add(r) / CHANRT__TRACE_RINGS, 3); // joined, and two
    for (int i = 0; i < 100; i++) {
        chanrt__trace_begin(r, CHANRT__TRACE_WAKE, 0);
        chanrt__trace_add(r);
    }
    chanrt__trace_survey();
    CHECK_EQ(r->end - r->first, 63); // the oldest may be being written over
    CHECK_EQ(r->known, r->end);      // nothing tells what runs
    chanrt__trace.a_ring[r->slot] = NULL;
    chanrt__os_unmap(r, r->bytes);
}
