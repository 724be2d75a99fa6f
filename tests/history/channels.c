// channels.c - small random programs run on the real runtime; each history must be one that can
// have happened. TEST_SCALE makes more rounds, HISTORY_SEED begins elsewhere.
#define CHANRT_IMPLEMENTATION
#include "test.h"
#include "program.h"

static struct {
    struct program p;
    chan(int) ch[H_CHANS];
    atomic_uint clock;
    atomic_int begun;          // parties at the gate, where they wait a while for each other
    uint32_t dice[P_TASKS + 1];
} run;

static unsigned tick(void) {
    return atomic_fetch_add(&run.clock, 1) + 1;
}

// A little time before a call, so that calls meet in every order.
static void dawdle(uint32_t *dice) {
    uint32_t what = p_dice(dice) % 8;
    if (what < 3) chanrt_task_yield();
    else if (what < 6) for (volatile uint32_t i = p_dice(dice) % 300; i > 0; i--) continue;
    else if (what == 6) chanrt_task_sleep(1 + p_dice(dice) % 20000);
}

static int plain_call(chan(int) c, enum h_mode mode, bool send, int *value, int64_t ns) {
    switch (mode) {
    case H_BLOCK: return send ? chan_send(c, *value) : chan_recv(c, value);
    case H_TRY:   return send ? chan_try_send(c, *value) : chan_try_recv(c, value);
    default:      return send ? chan_send_timeout(c, *value, ns) : chan_recv_timeout(c, value, ns);
    }
}

static void take_step(struct h_op *o, uint32_t *dice) {
    int values[H_CASES];
    chan_case cases[H_CASES];
    dawdle(dice);
    for (int k = 0; k < o->n; k++) {
        values[k] = o->cases[k].send ? o->cases[k].value : -1;
        chan(int) c = run.ch[o->cases[k].chan];
        if (o->cases[k].send) cases[k] = case_send(c, &values[k]);
        else cases[k] = case_recv(c, &values[k]);
    }
    bool send = o->cases[0].send, plain = o->n == 1 && p_dice(dice) % 2;
    chan(int) c = run.ch[o->cases[0].chan];
    int64_t ns = -1;
    if (o->mode == H_TRY) ns = 0;
    if (o->mode == H_TIMED) ns = 1 + p_dice(dice) % 60000;
    o->call = tick();
    if (o->kind == H_CLOSE) {
        o->err = chan_close(c);
    } else if (plain) {
        int err = plain_call(c, o->mode, send, &values[0], ns);
        o->chosen = err == EAGAIN || err == ETIMEDOUT ? -1 : 0;
        o->err = o->chosen < 0 ? 0 : err;
    } else {
        o->chosen = chan_select_n(cases, o->n, ns);
        o->err = o->chosen < 0 ? 0 : cases[o->chosen].err;
    }
    o->ret = tick();
    if (o->kind == H_SELECT && o->chosen >= 0 && !o->cases[o->chosen].send)
        o->got = values[o->chosen];
}

static void walk(int task) {
    atomic_fetch_add(&run.begun, 1);
    for (int i = 0; i < 3000 && atomic_load(&run.begun) < run.p.tasks; i++)
        if (i % 256 == 255) chanrt_task_yield();
    for (int i = 0; i < run.p.steps[task]; i++) take_step(&run.p.step[task][i], &run.dice[task]);
}

TASK(party, int, task) { walk(task); }

static void *party_thread(void *task) {
    walk((int)(intptr_t)task);
    return NULL;
}

// Waits until nothing can move any more, but for this thread; the detector of deadlocks knows.
static void settle(void) {
    for (;;) {
        pthread_mutex_lock(&chanrt__pool.mutex);
        chanrt__atom_add(&chanrt__pool.a_blocked, 1);
        bool still = chanrt__sched_stuck_locked();
        chanrt__atom_add(&chanrt__pool.a_blocked, -1);
        pthread_mutex_unlock(&chanrt__pool.mutex);
        if (still) return;
        sched_yield();
    }
}

// One program; with_thread: its first party is a thread of the program's own.
static void perform(struct history *h, uint32_t seed, bool with_thread) {
    waitgroup wg = {0};
    pthread_t thread;
    p_make(&run.p, seed);
    int parties = run.p.tasks;
    for (int c = 0; c < H_CHANS; c++) run.ch[c] = chan_make(int, (size_t)run.p.cap[c]);
    atomic_store(&run.clock, 0);
    atomic_store(&run.begun, 0);
    for (int t = 0; t <= parties; t++)
        run.dice[t] = (seed * 747796405u + (uint32_t)t * 2891336453u) | 1;
    for (int t = 0; t < parties; t++) {
        if (t == 0 && with_thread)
            CHECK_EQ(pthread_create(&thread, NULL, party_thread, (void *)(intptr_t)t), 0);
        else CHECK_EQ(wg_go(&wg, party, t), 0);
    }
    settle();
    unsigned settled = tick();
    walk(parties);
    wg_wait(&wg);
    if (with_thread) pthread_join(thread, NULL);
    for (int c = 0; c < H_CHANS; c++) chan_free(run.ch[c]);
    memcpy(h->cap, run.p.cap, sizeof h->cap);
    h->count = 0;
    for (int t = 0; t <= parties; t++)
        for (int i = 0; i < run.p.steps[t]; i++) h->op[h->count++] = run.p.step[t][i];
    h->op[h->count++] =
        (struct h_op){ .kind = H_SETTLE, .call = settled, .ret = settled, .task = parties };
}

// Pairs of operations of which neither was over before the other began.
static long overlaps(const struct history *h) {
    long n = 0;
    for (int i = 0; i < h->count; i++)
        for (int j = 0; j < i; j++)
            n += h->op[i].call < h->op[j].ret && h->op[j].call < h->op[i].ret;
    return n;
}

static struct history history;

TEST(every_history_can_have_happened) {
    const char *from = getenv("HISTORY_SEED");
    uint32_t first = from != NULL ? (uint32_t)strtoul(from, NULL, 10) : 1;
    long n = test_rounds(10000), states = 0, ops = 0, waited = 0, over = 0;
    CHECK_EQ(chanrt_start(NULL), 0);
    for (uint32_t i = 0; i < n; i++) {
        perform(&history, first + i, i % 8 == 7);
        bool possible = h_check(&history);
        if (!CHECK(possible)) {
            printf("seed %u:\n", first + i);
            h_print(&history, stdout);
            return;
        }
        states += history.states;
        ops += history.count - 1;
        over += overlaps(&history);
        for (int k = 0; k < history.count; k++)
            waited += history.op[k].call < history.settle && history.op[k].ret > history.settle;
    }
    printf("%ld histories of %ld operations, %ld pairs at the same time, %ld known to wait, "
           "%ld states\n", n, ops, over, waited, states);
}
