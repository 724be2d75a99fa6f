// argobots' answer to the rows it can do honestly: it has threads of its own and locks for them,
// no channels. Tasks are its user-level threads, joined by freeing them. With W=2 there are two
// execution streams with a pool each, and its stealing scheduler; tasks start in turns on both.
#define PEER_WORKERS 2
#include "../frame.h"
#include <abt.h>

static ABT_pool pools[PEER_WORKERS];
static int streams = 1;

static void need(int err) {
    if (err != ABT_SUCCESS) abort();
}

static ABT_thread start(int64_t i, void (*run)(void *), void *arg) {
    ABT_thread t;
    need(ABT_thread_create(pools[i % streams], run, arg, ABT_THREAD_ATTR_NULL, &t));
    return t;
}

// What a row's tasks share, and what one of them is told and answers.
struct shared {
    ABT_mutex  m;
    ABT_cond   c[2];
    ABT_rwlock rw;
    int64_t    value, every;
};

struct job {
    struct shared *s;
    int64_t        n, sum;
    int            side;
};

// crew runs a jobs beside each other and returns what they answer together.
static uint64_t crew(struct job *jobs, int a, void (*run)(void *)) {
    static ABT_thread threads[1000];
    uint64_t sum = 0;
    for (int i = 0; i < a; i++) threads[i] = start(i, run, &jobs[i]);
    need(ABT_thread_free_many(a, threads));
    for (int i = 0; i < a; i++) sum += (uint64_t)jobs[i].sum;
    return sum;
}

static struct job jobs[1000];

static void yielder(void *arg) {
    struct job *j = arg;
    for (int64_t i = 0; i < j->n; i++) ABT_self_yield();
    j->sum = j->n;
}

static uint64_t yields(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    for (int i = 0; i < a; i++) jobs[i].n = n / a;
    return crew(jobs, a, yielder);
}

static void toucher(void *arg) {
    ++*(int32_t *)arg;
}

static uint64_t spawn_finish(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    static int32_t slots[1000];
    static ABT_thread threads[1000];
    uint64_t sum = 0;
    for (int64_t i = 0; i < n / a; i++) {
        for (int j = 0; j < a; j++) threads[j] = start(j, toucher, &slots[j]);
        need(ABT_thread_free_many(a, threads));
    }
    for (int j = 0; j < a; j++) sum += (uint64_t)slots[j];
    return sum;
}

struct answer {
    ABT_eventual to;
    int64_t      v;
};

static void answer(void *arg) {
    struct answer *a = arg;
    need(ABT_eventual_set(a->to, &a->v, sizeof a->v));
}

static uint64_t spawn_join(int64_t n, int a, int b, int cap) {
    (void)a, (void)b, (void)cap;
    struct answer task;
    uint64_t sum = 0;
    need(ABT_eventual_create(sizeof(int64_t), &task.to));
    for (int64_t i = 0; i < n; i++) {
        void *v;
        task.v = i;
        ABT_thread t = start(i, answer, &task);
        need(ABT_eventual_wait(task.to, &v));
        sum += (uint64_t)*(int64_t *)v;
        need(ABT_thread_free(&t));
        need(ABT_eventual_reset(task.to));
    }
    need(ABT_eventual_free(&task.to));
    return sum;
}

static void count_locked(void *arg) {
    struct job *j = arg;
    for (int64_t i = 0; i < j->n; i++) {
        ABT_mutex_lock(j->s->m);
        j->s->value++;
        ABT_mutex_unlock(j->s->m);
    }
}

static uint64_t mutexes(int64_t n, int a, int b, int cap) {
    (void)b, (void)cap;
    struct shared s = {0};
    need(ABT_mutex_create(&s.m));
    for (int i = 0; i < a; i++) jobs[i] = (struct job){ .s = &s, .n = n / a };
    crew(jobs, a, count_locked);
    need(ABT_mutex_free(&s.m));
    return (uint64_t)s.value;
}

static void use_table(void *arg) {
    struct job *j = arg;
    struct shared *t = j->s;
    for (int64_t i = 1; i <= j->n; i++) {
        if (t->every != 0 && i % t->every == 0) {
            ABT_rwlock_wrlock(t->rw);
            t->value++;
        } else {
            ABT_rwlock_rdlock(t->rw);
            j->sum += t->value >= 0;
        }
        ABT_rwlock_unlock(t->rw);
    }
}

// One access in b is a write.
static uint64_t tables(int64_t n, int a, int b, int cap) {
    (void)cap;
    struct shared t = { .every = b };
    need(ABT_rwlock_create(&t.rw));
    for (int i = 0; i < a; i++) jobs[i] = (struct job){ .s = &t, .n = n / a };
    uint64_t sum = crew(jobs, a, use_table);
    need(ABT_rwlock_free(&t.rw));
    return sum + 1000 * (uint64_t)t.value;
}

static void play(void *arg) {
    struct job *j = arg;
    struct shared *k = j->s;
    ABT_mutex_lock(k->m);
    for (int64_t i = 0; i < j->n; i++) {
        while (k->value % 2 != j->side) ABT_cond_wait(k->c[j->side], k->m);
        k->value++;
        ABT_cond_signal(k->c[1 - j->side]);
    }
    ABT_mutex_unlock(k->m);
}

static uint64_t cond_pingpong(int64_t n, int a, int b, int cap) {
    (void)a, (void)b, (void)cap;
    struct shared k = {0};
    need(ABT_mutex_create(&k.m));
    for (int i = 0; i < 2; i++) {
        need(ABT_cond_create(&k.c[i]));
        jobs[i] = (struct job){ .s = &k, .n = n, .side = i };
    }
    crew(jobs, 2, play);
    for (int i = 0; i < 2; i++) need(ABT_cond_free(&k.c[i]));
    need(ABT_mutex_free(&k.m));
    return (uint64_t)k.value;
}

static const struct peer_row rows[] = {
    { "yield2", yields, 2, 0, 0, 1 },
    { "yield10", yields, 10, 0, 0, 1 },
    { "yield1000", yields, 1000, 0, 0, 1 },
    { "spawn_finish", spawn_finish, 1000, 0, 0, 1 },
    { "spawn_join", spawn_join, 0, 0, 0, 1 },
    { "mutex_pair", mutexes, 1, 0, 0, 1 },
    { "mutex4", mutexes, 4, 0, 0, 1 },
    { "mutex64", mutexes, 64, 0, 0, 1 },
    { "rwmutex_read", tables, 1, 0, 0, 1 },
    { "rwmutex_write", tables, 1, 1, 0, 1 },
    { "rwmutex_mostly", tables, 4, 100, 0, 1 },
    { "cond_pingpong", cond_pingpong, 0, 0, 0, 1 },
};

int main(int argc, char **argv) {
    ABT_xstream self, second = ABT_XSTREAM_NULL;
    streams = peer_workers() == 2 ? 2 : 1;
    need(ABT_init(argc, argv));
    for (int i = 0; i < streams; i++) {
        need(ABT_pool_create_basic(ABT_POOL_FIFO, ABT_POOL_ACCESS_MPMC, ABT_TRUE, &pools[i]));
    }
    need(ABT_xstream_self(&self));
    need(ABT_xstream_set_main_sched_basic(self, ABT_SCHED_RANDWS, streams, pools));
    if (streams == 2) {
        ABT_pool mine_first[] = { pools[1], pools[0] };
        need(ABT_xstream_create_basic(ABT_SCHED_RANDWS, 2, mine_first, ABT_SCHED_CONFIG_NULL,
                                      &second));
    }
    int status = peer_main(argc, argv, rows, (int)(sizeof rows / sizeof *rows));
    if (second != ABT_XSTREAM_NULL) need(ABT_xstream_free(&second));
    need(ABT_finalize());
    return status;
}
