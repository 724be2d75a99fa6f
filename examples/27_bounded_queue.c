// Shows: a queue with room for a few, from a mutex and two conditions. (A buffered channel is one
//        already; this is how to wait for a condition that no channel stands for.)
// Go:    for len(q) == max { notFull.Wait() }
//        q = append(q, v); notEmpty.Signal()
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

enum { ROOM = 4, ITEMS = 300, PRODUCERS = 3, CONSUMERS = 2 };

struct queue {
    sync_mutex m;
    sync_cond not_empty, not_full;
    int item[ROOM], first, count, most;
    bool closed;
};

static void put(struct queue *q, int v) {
    sync_mutex_lock(&q->m);
    while (q->count == ROOM) sync_cond_wait(&q->not_full, &q->m);
    q->item[(q->first + q->count++) % ROOM] = v;
    if (q->count > q->most) q->most = q->count;
    sync_cond_signal(&q->not_empty);
    sync_mutex_unlock(&q->m);
}

static bool take(struct queue *q, int *v) {
    sync_mutex_lock(&q->m);
    while (q->count == 0 && !q->closed) sync_cond_wait(&q->not_empty, &q->m);
    bool got = q->count > 0;
    if (got) {
        *v = q->item[q->first];
        q->first = (q->first + 1) % ROOM;
        q->count--;
        sync_cond_signal(&q->not_full);
    }
    sync_mutex_unlock(&q->m);
    return got;
}

static void end(struct queue *q) {
    sync_mutex_lock(&q->m);
    q->closed = true;
    sync_cond_broadcast(&q->not_empty);
    sync_mutex_unlock(&q->m);
}

TASK(producer, struct queue *, q, int, first) {
    for (int i = first; i <= ITEMS; i += PRODUCERS) put(q, i);
}

TASK(consumer, struct queue *, q, long *, sum) {
    int v = 0;
    while (take(q, &v)) *sum += v;
}

int main(void) {
    static struct queue q;
    long sums[CONSUMERS] = {0};
    waitgroup producers = {0}, consumers = {0};
    for (int i = 0; i < CONSUMERS; i++) wg_go(&consumers, consumer, &q, &sums[i]);
    for (int i = 1; i <= PRODUCERS; i++) wg_go(&producers, producer, &q, i);
    wg_wait(&producers);
    end(&q);
    wg_wait(&consumers);
    printf("%d items, sum %ld, never more than %d queued: %s\n", ITEMS, sums[0] + sums[1], ROOM,
           q.most <= ROOM ? "yes" : "no");
    return chanrt_shutdown(CHANRT_SECOND);
}

// Output:
// 300 items, sum 45150, never more than 4 queued: yes
