// Everybody locks everything in every way: a bank of accounts under mutexes and rwmutexes, with a
// semaphore at the door and conditions for who is short of money. Timed calls give up at random;
// accounts are freed by their last user. Money is neither made nor lost, nobody is where he may not
// be.
#include "stress.h"

enum { ACCOUNTS = 12, CLERKS = 10, THREADS = 3, DOOR = 5, START = 100, BATCH = 500 };

struct account {
    sync_mutex m;
    sync_cond paid_in;
    long money, waiting;
    atomic_int inside;
};

static struct account bank[ACCOUNTS];
static sync_rwmutex audit;           // held for reading by who moves money, for writing by auditors
static atomic_int movers;
static sync_sem door;
static atomic_int indoors;
static sync_once opened;
static int openings;

static void open_bank(void *unused) {
    (void)unused;
    task_yield();
    openings++;
    for (int i = 0; i < ACCOUNTS; i++) bank[i].money = START;
}

static bool lock_account(struct account *a, uint64_t how) {
    int err = how % 4 == 0 ? sync_mutex_lock_timeout(&a->m, (int64_t)(how % 20000))
            : how % 4 == 1 ? sync_mutex_trylock(&a->m) : sync_mutex_lock(&a->m);
    REQUIRE(err == 0 || err == (how % 4 == 1 ? EAGAIN : ETIMEDOUT));
    if (err == 0) REQUIRE(atomic_fetch_add(&a->inside, 1) == 0);
    return err == 0;
}

static void unlock_account(struct account *a) {
    REQUIRE(atomic_fetch_sub(&a->inside, 1) == 1);
    REQUIRE(sync_mutex_unlock(&a->m) == 0);
}

static bool enter(int64_t ns) {
    int err = sync_sem_acquire_timeout(&door, 1, ns);
    REQUIRE(err == 0 || err == ETIMEDOUT);
    if (err == 0) REQUIRE(atomic_fetch_add(&indoors, 1) < DOOR);
    return err == 0;
}

static void leave(void) {
    atomic_fetch_sub(&indoors, 1);
    REQUIRE(sync_sem_release(&door, 1) == 0);
}

// Takes from one account, waiting a little for money to come in, and pays into another.
static void move(uint64_t *random) {
    uint64_t how = draw(random);
    struct account *from = &bank[how % ACCOUNTS], *to = &bank[how / ACCOUNTS % ACCOUNTS];
    long sum = (long)(how >> 16 & 63);
    if (!enter(how % 8 == 0 ? (int64_t)(how % 30000) : -1)) return;
    int err = sync_rwmutex_rlock_timeout(&audit, how % 3 == 0 ? (int64_t)(how % 40000) : -1);
    REQUIRE(err == 0 || err == ETIMEDOUT);
    if (err == 0) {
        REQUIRE(atomic_fetch_add(&movers, 1) >= 0);
        bool paid = false;
        if (lock_account(from, how >> 24)) {
            if (from->money < sum) {
                atomic_fetch_sub(&from->inside, 1);
                err = sync_cond_wait_timeout(&from->paid_in, &from->m, (int64_t)(how % 50000));
                REQUIRE(err == 0 || err == ETIMEDOUT);
                REQUIRE(atomic_fetch_add(&from->inside, 1) == 0);
            }
            paid = from->money >= sum;
            if (paid) from->money -= sum;
            if (how % 16 == 0) task_yield();
            unlock_account(from);
        }
        if (paid) {
            while (!lock_account(to, how >> 32)) task_yield();
            to->money += sum;
            if (how % 32 == 1) sync_cond_broadcast(&to->paid_in);
            else sync_cond_signal(&to->paid_in);
            unlock_account(to);
        }
        atomic_fetch_sub(&movers, 1);
        REQUIRE(sync_rwmutex_runlock(&audit) == 0);
    }
    leave();
}

static void check_books(uint64_t how) {
    int err = how % 2 ? sync_rwmutex_lock_timeout(&audit, (int64_t)(how % 100000))
                      : sync_rwmutex_lock(&audit);
    REQUIRE(err == 0 || err == ETIMEDOUT);
    if (err != 0) return;
    long sum = 0;
    REQUIRE(atomic_load(&movers) == 0);
    for (int i = 0; i < ACCOUNTS; i++) sum += bank[i].money;
    REQUIRE(sum == ACCOUNTS * START);
    REQUIRE(sync_rwmutex_unlock(&audit) == 0);
}

// An object of four users, one of whom frees it.
struct brief {
    sync_mutex m;
    int users;
};

static void use(struct brief *b) {
    REQUIRE(sync_mutex_lock(&b->m) == 0);
    bool last = --b->users == 0;
    REQUIRE(sync_mutex_unlock(&b->m) == 0);
    if (!last) return;
    memset(b, 0xff, sizeof *b);
    free(b);
}

TASK(use_brief, struct brief *, b) {
    use(b);
}

static void work(uint64_t number, long *done) {
    uint64_t random = stress_random(number);
    REQUIRE(sync_once_do(&opened, open_bank, NULL) == 0);
    REQUIRE(openings == 1);
    while (stress_goes_on()) {
        for (int i = 0; i < BATCH; i++) {
            uint64_t how = draw(&random);
            if (how % 64 == 0) {
                check_books(how >> 8);
            } else if (how % 64 == 1) {
                struct brief *b = calloc(1, sizeof *b);
                REQUIRE(b != NULL);
                b->users = 4;
                for (int k = 0; k < 3; k++) REQUIRE(go(use_brief, b) == 0);
                use(b);
            } else {
                move(&random);
            }
        }
        *done += BATCH;
    }
}

TASK(clerk, uint64_t, number, long *, done) {
    work(number, done);
}

struct outside {
    uint64_t number;
    long done;
};

static void *clerk_thread(void *arg) {
    struct outside *o = arg;
    work(o->number, &o->done);
    return NULL;
}

static long run(void) {
    static long done[CLERKS];
    static struct outside outside[THREADS];
    pthread_t threads[THREADS];
    waitgroup wg = {0};
    REQUIRE(sync_sem_init(&door, DOOR) == 0);
    for (int i = 0; i < CLERKS; i++) REQUIRE(wg_go(&wg, clerk, (uint64_t)i, &done[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        outside[i].number = (uint64_t)(100 + i);
        REQUIRE(pthread_create(&threads[i], NULL, clerk_thread, &outside[i]) == 0);
    }
    wg_wait(&wg);
    long sum = 0;
    for (int i = 0; i < CLERKS; i++) sum += done[i];
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
        sum += outside[i].done;
    }
    check_books(0);
    REQUIRE(sync_sem_tryacquire(&door, DOOR) == 0);
    REQUIRE(sync_mutex_unlock(&bank[0].m) == EINVAL);
    return sum;
}
