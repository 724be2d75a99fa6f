// fuzz.c - bytes are a program of up to six tasks on four channels, a wait group and a mutex, and
// the seed of its schedule. It runs in the deterministic mode with virtual time, and model.h says
// whether what was seen can be right.
//
//     fuzz FILE...             those inputs
//     fuzz -n N [-s SEED]      N made-up ones; who fails is left in build/fuzz.failed
//     fuzz -v FILE             what happens
//
// With -DFUZZ_LIBFUZZER it is a target of libFuzzer. afl-clang-fast makes a persistent one, any
// other compiler of AFL++ one run a file.
#define CHANRT_IMPLEMENTATION
#include "test.h"

#include <fcntl.h>
#include <unistd.h>
#include "model.h"

enum { BYTES_MOST = 512, ROUNDS = 60 };
static const int64_t hour = 3600 * CHANRT_SECOND;

struct step {
    struct m_op op;
    bool yields, try_form;
};

static struct {
    chan(int) ch[M_CHANS];
    waitgroup wg;
    sync_mutex mutex;
    int tasks, steps[M_TASKS], live;
    struct step step[M_TASKS][M_STEPS];
    uint64_t seed;
    bool frees, abandons;              // at the end: in place of close; tasks are left blocked
    struct chanrt__task *task[M_TASKS];
    struct m_run log;
} run;

static struct {
    long inputs, ops, parked, gave_up, closed, selects, undecided, abandoned, states;
} sum;

//--------------------------------------------------------------------------------------------------
// Bytes to a program: every string is one.

struct bytes {
    const uint8_t *at, *end;
};

static unsigned next_byte(struct bytes *b) { return b->at < b->end ? *b->at++ : 0; }

static void decode_select(struct bytes *b, struct step *s, unsigned mode, int n) {
    static const int64_t timeouts[] = { CHANRT_MILLISECOND, 3 * CHANRT_MILLISECOND };
    struct m_op *o = &s->op;
    o->n = n;
    o->ns = mode < 2 ? -1 : mode == 2 ? 0 : timeouts[next_byte(b) % 2];
    for (int k = 0; k < n; k++) {
        unsigned what = next_byte(b);
        o->cases[k].chan = (int)(what % M_CHANS);
        o->cases[k].send = what >> 2 & 1;
        if (k == 0) o->block_form = what >> 3 & 1;
        if (k == 0) o->ordered = o->block_form && n > 1 && (what >> 4 & 1);
    }
}

static void decode_step(struct bytes *b, struct step *s) {
    unsigned what = next_byte(b), kind = what % 16, mode = what >> 4 & 3;
    s->yields = what >> 6 & 1;
    s->op.ns = -1;
    if (kind < 6) {
        s->op.kind = M_SELECT;
        decode_select(b, s, mode, 1);
    } else if (kind < 11) {
        s->op.kind = M_SELECT;
        decode_select(b, s, mode, 2 + (int)(kind & 1));
    } else if (kind < 13) {
        s->op.kind = kind == 11 ? M_CLOSE : M_LEN;
        s->op.cases[0].chan = (int)mode;
    } else if (kind == 13) {
        s->op.kind = mode < 2 ? M_WG_ADD : M_WG_WAIT;
        s->op.add = mode == 0 ? 1 : -1;
        if (mode == 3) s->op.ns = 2 * CHANRT_MILLISECOND;
    } else if (kind == 14) {
        s->op.kind = mode == 3 ? M_UNLOCK : M_LOCK;
        s->op.ns = mode == 1 ? 0 : mode == 2 ? 2 * CHANRT_MILLISECOND : -1;
    } else {
        s->op.kind = M_SLEEP;
        s->op.ns = (1 + mode) * CHANRT_MILLISECOND;
    }
}

static void decode(const uint8_t *data, size_t size) {
    struct bytes b = { data, data + size };
    memset(&run, 0, offsetof(__typeof__(run), log));
    run.seed = next_byte(&b);
    run.seed = 1 + (run.seed | next_byte(&b) << 8);
    unsigned caps = next_byte(&b), shape = next_byte(&b);
    for (int c = 0; c < M_CHANS; c++) run.log.cap[c] = (int)(caps >> (2 * c) & 3);
    run.tasks = 1 + (int)(shape & 7) % M_TASKS;
    run.frees = shape >> 3 & 1;
    run.abandons = (shape >> 4) == 15;
    while (b.at < b.end) {
        int t = (int)(next_byte(&b) % (unsigned)run.tasks);
        if (run.steps[t] == M_STEPS) continue;
        struct step *s = &run.step[t][run.steps[t]];
        decode_step(&b, s);
        for (int k = 0; k < s->op.n; k++)
            s->op.cases[k].value = 1 + (t * M_STEPS + run.steps[t]) * M_CASES + k;
        run.steps[t]++;
    }
}

//--------------------------------------------------------------------------------------------------
// The program runs; each beginning and end is noted.

static void note(int party, struct m_op *o, bool end) {
    struct m_event *e = &run.log.event[run.log.events++];
    *e = (struct m_event){ .op = o, .now = chanrt__os_fake.a_now, .party = (uint8_t)party,
                           .end = end };
    for (int t = 0; t < run.tasks; t++)
        if (run.task[t] != NULL && run.task[t]->a_reason != CHANRT__NOT_WAITING)
            e->parked |= (uint8_t)(1 << t);
    if (end) o->to = e->now;
    else o->from = e->now;
}

static enum m_result result_of(int err) {
    switch (err) {
    case 0:         return M_OK;
    case EPIPE:     return M_CLOSED;
    case EAGAIN:
    case ETIMEDOUT: return M_GAVE_UP;
    case EINVAL:    return M_INVALID;
    default:        return M_NEVER;
    }
}

// One case, by the functions for one.
static int do_one(const struct m_op *o, int *value) {
    chan(int) c = run.ch[o->cases[0].chan];
    if (o->cases[0].send)
        return o->ns < 0 ? chan_send(c, *value) : o->ns == 0 ? chan_try_send(c, *value)
                                                : chan_send_timeout(c, *value, o->ns);
    return o->ns < 0 ? chan_recv(c, value) : o->ns == 0 ? chan_try_recv(c, value)
                                           : chan_recv_timeout(c, value, o->ns);
}

// A case as a pair, of which one has no channel: which it is shows only now.
#define A_CASE(k)                                                                          \
    on_recv(k < o->n && !o->cases[k].send ? run.ch[o->cases[k].chan] : NULL, &values[k]) { \
        chosen = k;                                                                        \
        *err = select_err();                                                               \
    }                                                                                      \
    on_send(k < o->n && o->cases[k].send ? run.ch[o->cases[k].chan] : NULL, values[k]) {   \
        chosen = k;                                                                        \
        *err = select_err();                                                               \
    }

static int do_block(const struct m_op *o, int values[M_CASES], int *err) {
    int chosen = -2;
    if (o->ordered) {
        chan_select_ordered {
            A_CASE(0) A_CASE(1) A_CASE(2)
            on_timeout(o->ns) { chosen = -1; }
        }
    } else if (o->ns == 0) {
        chan_select {
            A_CASE(0) A_CASE(1) A_CASE(2)
            on_default { chosen = -1; }
        }
    } else {
        chan_select {
            A_CASE(0) A_CASE(1) A_CASE(2)
            on_timeout(o->ns) { chosen = -1; }
        }
    }
    return chosen;
}

static int do_n(const struct m_op *o, int values[M_CASES], int *err) {
    chan_case cases[M_CASES];
    for (int k = 0; k < o->n; k++) {
        chan(int) c = run.ch[o->cases[k].chan];
        if (o->cases[k].send) cases[k] = case_send(c, &values[k]);
        else cases[k] = case_recv(c, &values[k]);
    }
    int chosen = chan_select_n(cases, o->n, o->ns);
    if (chosen >= 0) *err = cases[chosen].err;
    return chosen;
}

static void do_select(struct m_op *o) {
    int values[M_CASES] = { 0 }, err = 0;
    for (int k = 0; k < o->n; k++) values[k] = o->cases[k].send ? o->cases[k].value : -1;
    if (o->n == 1 && !o->block_form) {
        err = do_one(o, &values[0]);
        o->chosen = err == EAGAIN || err == ETIMEDOUT ? -1 : 0;
        // Each says it in its own way.
        if (err == (o->ns == 0 ? ETIMEDOUT : EAGAIN)) err = EDOM;
    } else {
        o->chosen = o->block_form ? do_block(o, values, &err) : do_n(o, values, &err);
        if (o->chosen == -1) err = EAGAIN;
    }
    o->result = result_of(err);
    if (o->chosen >= 0 && !o->cases[o->chosen].send) o->got = values[o->chosen];
}

static int do_lock(const struct m_op *o) {
    if (o->ns < 0) return sync_mutex_lock(&run.mutex);
    return o->ns == 0 ? sync_mutex_trylock(&run.mutex) : sync_mutex_lock_timeout(&run.mutex, o->ns);
}

static void perform(struct m_op *o) {
    switch (o->kind) {
    case M_SELECT: do_select(o); return;
    case M_CLOSE:  o->result = result_of(chan_close(run.ch[o->cases[0].chan])); return;
    case M_LEN:    o->got = (int)chan_len(run.ch[o->cases[0].chan]); break;
    case M_WG_ADD: o->result = result_of(wg_add(&run.wg, o->add)); return;
    case M_WG_WAIT:
        if (o->ns >= 0) o->result = result_of(wg_wait_timeout(&run.wg, o->ns));
        else wg_wait(&run.wg), o->result = M_OK;
        return;
    case M_LOCK:   o->result = result_of(do_lock(o)); return;
    case M_UNLOCK: o->result = result_of(sync_mutex_unlock(&run.mutex)); return;
    default:       task_sleep(o->ns); break;
    }
    o->result = M_OK;
}

// Freed channels are left alone by those that come later.
static bool possible(const struct m_op *o) {
    if (run.log.ops == M_OPS) return false;
    int n = o->kind == M_SELECT ? o->n : o->kind == M_CLOSE || o->kind == M_LEN;
    for (int k = 0; k < n; k++)
        if (run.ch[o->cases[k].chan] == NULL) return false;
    return true;
}

static int take(int party, const struct m_op *wanted) {
    if (!possible(wanted)) return -1;
    struct m_op *o = &run.log.op[run.log.ops++];
    *o = *wanted;
    o->chosen = -1;
    o->result = M_NEVER;
    note(party, o, false);
    perform(o);
    note(party, o, true);
    return o->result;
}

TASK(party, int, self) {
    run.task[self] = chanrt__sched_self()->a_current;
    for (int i = 0; i < run.steps[self]; i++) {
        if (run.step[self][i].yields) task_yield();
        take(self, &run.step[self][i].op);
    }
    run.task[self] = NULL;
    run.live--;
}

// Main: everybody is blocked by then.
static void settle(void) {
    take(M_TASKS, &(struct m_op){ .kind = M_SLEEP, .ns = hour });
}

// Frees a channel, which nobody comes to any more. To those who wait, that is a close.
static void free_channel(int c, chan(int) gone) {
    struct m_op *o = &run.log.op[run.log.ops++];
    *o = (struct m_op){ .kind = M_CLOSE, .n = 1, .ns = -1, .chosen = -1 };
    o->cases[0].chan = c;
    o->result = chanrt__chan_of(gone)->a_closed ? M_CLOSED : M_OK;
    note(M_TASKS, o, false);
    chan_free(gone);
    note(M_TASKS, o, true);
}

static void free_all(void) {
    chan(int) gone[M_CHANS];
    memcpy(gone, run.ch, sizeof gone);
    memset(run.ch, 0, sizeof run.ch);
    for (int c = 0; c < M_CHANS; c++)
        if (gone[c] != NULL) free_channel(c, gone[c]);
}

// Main lets everybody go that is left.
static void release(void) {
    struct m_op o = { .kind = M_CLOSE, .ns = -1 };
    if (run.frees) free_all();
    else for (int c = 0; c < M_CHANS; c++) {
        o.cases[0].chan = c;
        take(M_TASKS, &o);
    }
    o.kind = M_WG_ADD;
    o.add = -1;
    while (take(M_TASKS, &o) == M_OK) continue;
    o.kind = M_UNLOCK;
    take(M_TASKS, &o);
}

static int quiet_shutdown(void) {
    int kept = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fflush(stderr);
    dup2(null, 2);
    int err = chanrt_shutdown(hour);   // -1 would wait for libFuzzer's own thread to call in
    fflush(stderr);
    dup2(kept, 2);
    close(null);
    close(kept);
    return err;
}

// NULL: all went well.
static const char *play(void) {
    long before = test_alloc_live();
    run.log.ops = run.log.events = 0;
    if (chanrt_start(&(chanrt_options){ .seed = run.seed, .virtual_time = true }) != 0)
        return "no start";
    for (int c = 0; c < M_CHANS; c++) run.ch[c] = chan_make(int, (size_t)run.log.cap[c]);
    run.live = run.tasks;
    for (int t = 0; t < run.tasks; t++)
        if (go(party, t) != 0) return "no task";
    settle();
    bool left = run.abandons && run.live > 0;
    for (int i = 0; i < ROUNDS && run.live > 0 && !left; i++) {
        release();
        settle();
    }
    if (!left && run.live > 0) return "a task does not end";
    int err = left ? quiet_shutdown() : chanrt_shutdown(-1);
    if (err != (left ? EBUSY : 0)) return "shutdown says otherwise";
    for (int c = 0; c < M_CHANS; c++) chan_free(run.ch[c]);
    if (test_alloc_live() != before) return "a leak";
    sum.abandoned += left;
    return NULL;
}

static void count(void) {
    sum.inputs++;
    sum.ops += run.log.ops;
    sum.states += run.log.most;
    sum.undecided += run.log.overflow;
    for (int i = 0; i < run.log.events; i++)
        if (run.log.event[i].party != M_TASKS) sum.parked += run.log.event[i].parked != 0;
    for (int i = 0; i < run.log.ops; i++) {
        const struct m_op *o = &run.log.op[i];
        sum.gave_up += o->result == M_GAVE_UP;
        sum.closed += o->kind == M_SELECT && o->result == M_CLOSED;
        sum.selects += o->kind == M_SELECT && o->n > 1;
    }
}

static bool verbose;

// Whether the input went well; if not, says what was seen.
static bool try_input(const uint8_t *data, size_t size) {
    decode(data, size < BYTES_MOST ? size : BYTES_MOST);
    const char *wrong = play();
    int at = m_check(&run.log);
    count();
    if (verbose) m_print(&run.log, run.log.events, stdout);
    if (wrong == NULL && at < 0) return true;
    fprintf(stderr, "seed %llu, %d tasks: %s\n", (unsigned long long)run.seed, run.tasks,
            at >= 0 ? "the last of these cannot be:" : wrong);
    m_print(&run.log, at >= 0 ? at : run.log.events, stderr);
    return false;
}

//--------------------------------------------------------------------------------------------------
// Three ways to be run.

#ifdef FUZZ_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!try_input(data, size)) abort();
    return 0;
}
#else

static bool try_file(const char *path) {
    uint8_t data[BYTES_MOST];
    FILE *f = fopen(path, "rb");
    if (f == NULL) return perror(path), false;
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    bool well = try_input(data, n);
    if (!well) fprintf(stderr, "input %s\n", path);
    return well;
}

static uint32_t dice(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static bool try_made_up(uint32_t seed) {
    uint8_t data[200];
    uint32_t state = seed * 2654435761u | 1;
    size_t n = 12 + dice(&state) % (sizeof data - 12);
    for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(dice(&state) >> 8);
    if (try_input(data, n)) return true;
    FILE *f = fopen("build/fuzz.failed", "wb");
    if (f == NULL) return false;
    fwrite(data, 1, n, f);
    fclose(f);
    fprintf(stderr, "made up from seed %u, kept as build/fuzz.failed\n", seed);
    return false;
}

// Made-up inputs that never block, close or give up would show nothing.
static bool worth_it(void) {
    return sum.parked > sum.inputs && sum.selects > sum.inputs && sum.gave_up > sum.inputs &&
           sum.closed > sum.inputs / 2 && sum.abandoned > 0 && sum.undecided <= sum.inputs / 500;
}

static int run_all(int argc, char **argv) {
    long passed = 0, failed = 0, n = 0;
    uint32_t seed = 1;
    for (int i = 1; i < argc && failed == 0; i++) {
        alarm(60);                     // a hang is a failure: the signal ends the process
        if (strcmp(argv[i], "-v") == 0) verbose = true;
        else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) n = atol(argv[++i]);
        else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) seed = (uint32_t)atol(argv[++i]);
        else if (try_file(argv[i])) passed++;
        else failed++;
    }
    for (long i = 0; i < n && failed == 0; i++) {
        if (i % 100 == 0) alarm(60);
        if (try_made_up(seed + (uint32_t)i)) passed++;
        else failed++;
    }
    if (n >= 1000 && failed == 0 && !worth_it()) failed++;
    printf("%ld inputs, %ld operations: %ld selects, %ld gave up, %ld closed; parked at %ld "
           "events, %ld left blocked; at most %.1f states, %ld undecided\n", sum.inputs, sum.ops,
           sum.selects, sum.gave_up, sum.closed, sum.parked, sum.abandoned,
           (double)sum.states / (double)(sum.inputs + !sum.inputs), sum.undecided);
    printf("%ld passed, %ld failed\n", passed, failed);
    return failed != 0;
}

#ifdef __AFL_FUZZ_TESTCASE_LEN
__AFL_FUZZ_INIT();
#endif

int main(int argc, char **argv) {
    unsetenv("CHANRT_SEED");
    unsetenv("CHANRT_VIRTUAL_TIME");
#ifdef __AFL_FUZZ_TESTCASE_LEN
    if (argc == 1) {
        const uint8_t *data = __AFL_FUZZ_TESTCASE_BUF;
        while (__AFL_LOOP(10000))
            if (!try_input(data, (size_t)__AFL_FUZZ_TESTCASE_LEN)) abort();
        return 0;
    }
#endif
    int status = run_all(argc, argv);
    if (status != 0 && getenv("AFL_MAP_SIZE") != NULL) abort();
    return status;
}
#endif
