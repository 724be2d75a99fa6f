// wait.c - queues of waiters, and the claim that decides who wakes one.
#include "unit.h"

static uint32_t lock;                      // stands for the objects' locks where one thread plays

// A wait of this thread with one node in q.
struct one {
    struct chanrt__wait wait;
    struct chanrt__waiter node;
};

static void queue(struct one *w, struct chanrt_x_queue *q, bool shared, uint32_t claim) {
    chanrt__wait_begin(&w->wait, &w->node, shared);
    chanrt__wait_enqueue(&w->wait, q, &lock, NULL, 0);
    w->wait.a_claim = claim;
}

// Whether q holds exactly these, in this order, linked both ways.
static bool holds(const struct chanrt_x_queue *q, int n, struct one *const *all) {
    const struct chanrt__waiter *at = q->a_first, *prev = NULL;
    for (int i = 0; i < n; i++, prev = at, at = at->next)
        if (at != &all[i]->node || at->prev != prev || !at->linked) return false;
    return at == NULL && q->last == prev;
}

TEST(queue_keeps_its_order_whoever_leaves) {
    struct one w[4];
    struct chanrt_x_queue q = {0};
    for (int i = 0; i < 4; i++) queue(&w[i], &q, false, CHANRT__OPEN);
    CHECK(holds(&q, 4, (struct one *[]){ &w[0], &w[1], &w[2], &w[3] }));
    CHECK_EQ(q.claims, 0);                 // none has a second source
    chanrt__wait_unlink(&w[1].node);
    CHECK(holds(&q, 3, (struct one *[]){ &w[0], &w[2], &w[3] }));
    chanrt__wait_unlink(&w[3].node);
    CHECK(holds(&q, 2, (struct one *[]){ &w[0], &w[2] }));
    chanrt__wait_unlink(&w[0].node);
    CHECK(holds(&q, 1, (struct one *[]){ &w[2] }));
    CHECK(!w[0].node.linked && !w[1].node.linked && !w[3].node.linked);
    queue(&w[1], &q, false, CHANRT__OPEN);
    CHECK(holds(&q, 2, (struct one *[]){ &w[2], &w[1] }));
    chanrt__wait_unlink(&w[2].node);
    chanrt__wait_unlink(&w[1].node);
    CHECK(holds(&q, 0, NULL));
}

TEST(plain_waiter_is_taken_as_it_is) {
    struct one w[2];
    struct chanrt_x_queue q = {0};
    struct chanrt__waiter *n = NULL;
    for (int i = 0; i < 2; i++) queue(&w[i], &q, false, CHANRT__BUSY);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_ONE);
        CHECK(n == &w[i].node && !n->linked);
    }
    CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_NONE);
}

TEST(open_wait_is_claimed_once) {
    struct one w;
    struct chanrt_x_queue q = {0};
    struct chanrt__waiter *n = NULL;
    queue(&w, &q, true, CHANRT__BUSY);
    CHECK_EQ(q.claims, 1);
    chanrt__wait_open(&w.wait);
    CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_ONE);
    CHECK(n == &w.node);
    CHECK_EQ(w.wait.a_claim, CHANRT__DONE);
    CHECK_EQ(q.claims, 0);
    CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_NONE);
}

TEST(busy_wait_is_reported_and_left_in_place) {
    struct one w[2];
    struct chanrt_x_queue q = {0};
    struct chanrt__waiter *n = NULL;
    queue(&w[0], &q, true, CHANRT__BUSY);
    queue(&w[1], &q, false, CHANRT__OPEN);
    CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_BUSY);    // nobody overtakes it
    CHECK(n == NULL && holds(&q, 2, (struct one *[]){ &w[0], &w[1] }));
    chanrt__wait_leave(&w[0].node);
    chanrt__wait_unlink(&w[1].node);
    CHECK_EQ(q.claims, 0);
}

TEST(done_wait_is_dropped_and_still_leaves_by_itself) {
    struct one w[3];
    struct chanrt_x_queue q = {0};
    struct chanrt__waiter *n = NULL;
    queue(&w[0], &q, true, CHANRT__DONE);
    queue(&w[1], &q, true, CHANRT__DONE);
    queue(&w[2], &q, true, CHANRT__OPEN);
    CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_ONE);
    CHECK(n == &w[2].node && holds(&q, 0, NULL));
    CHECK_EQ(q.claims, 2);                 // what keeps a freed channel's memory
    chanrt__wait_leave(&w[0].node);
    chanrt__wait_leave(&w[1].node);
    CHECK_EQ(q.claims, 0);
}

TEST(nobody_meets_his_own_nodes) {
    struct one mine, other;
    struct chanrt_x_queue q = {0};
    struct chanrt__waiter *n = NULL;
    queue(&mine, &q, true, CHANRT__BUSY);
    CHECK_EQ(chanrt__wait_take(&q, &mine.wait, &n), CHANRT__TAKE_NONE);
    queue(&other, &q, true, CHANRT__OPEN);
    CHECK_EQ(chanrt__wait_take(&q, &mine.wait, &n), CHANRT__TAKE_ONE);
    CHECK(n == &other.node && holds(&q, 1, (struct one *[]){ &mine }));
    chanrt__wait_leave(&mine.node);
}

// A notice that comes before the thread blocks is there when it does, once.
TEST(thread_takes_a_notice_that_came_before) {
    struct chanrt__os_thread *self = chanrt__os_self();
    chanrt__sched_thread_unblock(self);
    CHECK(chanrt__sched_thread_block(chanrt_now() + 10 * CHANRT_SECOND));
    CHECK_EQ(self->a_park, CHANRT__EMPTY);
    CHECK(!chanrt__sched_thread_block(chanrt_now() + 1));
    CHECK_EQ(self->a_park, CHANRT__EMPTY);
}

TEST(timer_claims_an_open_wait_only) {
    struct one w;
    struct chanrt_x_queue q = {0};
    struct chanrt__wait_timer timer = { .wait = &w.wait };
    queue(&w, &q, true, CHANRT__DONE);
    CHECK_EQ(chanrt__wait_fire(&timer.node, 0), 0);
    CHECK(!w.wait.timed_out);
    w.wait.a_claim = CHANRT__OPEN;
    CHECK_EQ(chanrt__wait_fire(&timer.node, 0), w.wait.owner);
    CHECK(w.wait.timed_out && w.wait.a_claim == CHANRT__DONE);
    CHECK_EQ(w.wait.owner & 1, 1);         // a thread's
    chanrt__wait_leave(&w.node);
}

TASK(cancels_and_waits_again, chan(int), ch, waitgroup *, wg) {
    struct chanrt__wait wait;
    chanrt__wait_begin(&wait, NULL, true);
    chanrt__wait_cancel(&wait);
    chanrt__wait_cancelled(&wait);
    CHECK_EQ(chanrt__atom_load(&chanrt__sched_self()->a_current->a_on_cpu), 0);
    CHECK_EQ(chan_get(ch), 7);
    wg_done(wg);
}

TEST(whoever_cancelled_a_wait_can_be_woken_from_the_next_one) {
    chan(int) ch = chan_make(int, 0);
    waitgroup wg = {0};
    wg_add(&wg, 1);
    CHECK_EQ(go(cancels_and_waits_again, ch, &wg), 0);
    CHECK_EQ(chan_send(ch, 7), 0);
    wg_wait(&wg);
    chan_free(ch);
}

TEST(cancelled_wait_cannot_be_claimed) {
    struct one w;
    struct chanrt_x_queue q = {0};
    struct chanrt__waiter *n = NULL;
    queue(&w, &q, true, CHANRT__BUSY);
    chanrt__wait_cancel(&w.wait);
    CHECK_EQ(chanrt__wait_take(&q, NULL, &n), CHANRT__TAKE_NONE);
    chanrt__wait_leave(&w.node);
    CHECK_EQ(q.claims, 0);
}

//------------------------------------------------------------------------------
// One wait in three queues, each with a taker of its own: one claim wins (W2).

static struct {
    uint32_t lock;
    struct chanrt_x_queue q;
} source[3];
static struct chanrt__wait wait;
static struct chanrt__waiter nodes[3];
static pthread_barrier_t gate;
static atomic_int next_source, winners;
static long rounds;

static void *take_when_open(void *unused) {
    int i = atomic_fetch_add(&next_source, 1);
    for (long r = 0; r < rounds; r++) {
        struct chanrt__waiter *n;
        enum chanrt__take take = CHANRT__TAKE_BUSY;
        pthread_barrier_wait(&gate);
        while (take == CHANRT__TAKE_BUSY) {
            chanrt__os_lock(&source[i].lock);
            take = chanrt__wait_take(&source[i].q, NULL, &n);
            chanrt__os_unlock(&source[i].lock);
        }
        if (take == CHANRT__TAKE_ONE) atomic_fetch_add(&winners, n->index == i ? 1 : 100);
        pthread_barrier_wait(&gate);
        if (i == 0) {
            CHECK_EQ(atomic_exchange(&winners, 0), 1);
            for (int k = 0; k < 3; k++) CHECK(source[k].q.a_first == NULL);
            chanrt__wait_begin(&wait, nodes, true);
            for (int k = 0; k < 3; k++) {
                source[k].q.claims = 0;
                chanrt__wait_enqueue(&wait, &source[k].q, &source[k].lock, NULL, k);
            }
        }
        pthread_barrier_wait(&gate);
        if (i == 0) chanrt__wait_open(&wait);      // while the others look
    }
    return unused;
}

TEST(one_claim_wins_a_wait_in_three_queues) {
    rounds = test_rounds(3000);
    atomic_store(&winners, 1);             // the round before the first
    pthread_barrier_init(&gate, NULL, 3);
    at_once(3, take_when_open, NULL);
    pthread_barrier_destroy(&gate);
    for (int k = 0; k < 3; k++) source[k].q = (struct chanrt_x_queue){0};
}
