// Tasks spawned by tasks, by threads and by the main thread, in trees and in bursts, with and
// without options, that end at once, late, or by task_exit. Every one runs exactly once, and the
// runtime is shut down and started again in between.
#include "stress.h"

enum { THREADS = 3, BURST = 300 };

static atomic_long spawned, ran;
static atomic_bool round_over;

TASK(leaf, uint64_t, how) {
    atomic_fetch_add(&ran, 1);
    if (how % 5 == 0)
        task_yield();
    if (how % 31 == 0)
        task_sleep((int64_t)(how % 20000));
    if (how % 3 == 0)
        task_exit();
}

static void spawn_leaf(waitgroup *wg, uint64_t how) {
    atomic_fetch_add(&spawned, 1);
    REQUIRE(wg_go(wg, leaf, how) == 0);
}

TASK(tree, waitgroup *, wg, int, depth, uint64_t, random) {
    atomic_fetch_add(&ran, 1);
    for (int i = 0; i < 3; i++) {
        if (depth > 0) {
            atomic_fetch_add(&spawned, 1);
            REQUIRE(wg_go(wg, tree, wg, depth - 1, draw(&random)) == 0);
        } else {
            spawn_leaf(wg, draw(&random));
        }
    }
}

TASK(odd_one, waitgroup *, wg) {
    volatile char deep[20 << 10];
    deep[0] = deep[sizeof deep - 1] = 1;
    atomic_fetch_add(&ran, deep[0]);
    task_yield();
    REQUIRE(wg_done(wg) == 0);
}

static void burst(uint64_t *random) {
    waitgroup wg = {0};
    int n = (int)(draw(random) % BURST);
    for (int i = 0; i < n; i++) {
        spawn_leaf(&wg, draw(random));
        if (draw(random) % 16 == 0)
            spin(draw(random) % 4000);
    }
    atomic_fetch_add(&spawned, 1);
    REQUIRE(wg_go(&wg, tree, &wg, (int)(draw(random) % 5), draw(random)) == 0);
    for (int i = 0; i < 4; i++) {
        task_options o = {.stack_size = (size_t)32 << (10 + draw(random) % 5), .name = "odd",
                          .pinned = draw(random) % 2};
        atomic_fetch_add(&spawned, 1);
        REQUIRE(wg_add(&wg, 1) == 0);
        REQUIRE(go_opt(o, odd_one, &wg) == 0);
    }
    wg_wait(&wg);
}

static void *bursts(void *arg) {
    uint64_t random = stress_random((uint64_t)(uintptr_t)arg);
    while (!atomic_load(&round_over))
        burst(&random);
    return NULL;
}

static long run(void) {
    uint64_t random = stress_random(0);
    while (stress_goes_on()) {
        pthread_t threads[THREADS];
        chanrt_options o = {.workers = (int)(draw(&random) % 9)};
        if (draw(&random) % 2)
            REQUIRE(chanrt_start(&o) == 0);
        atomic_store(&round_over, false);
        for (uintptr_t i = 0; i < THREADS; i++)
            REQUIRE(pthread_create(&threads[i], NULL, bursts, (void *)(draw(&random) + i)) == 0);
        for (int i = 0; i < 20; i++)
            burst(&random);
        atomic_store(&round_over, true);
        for (int i = 0; i < THREADS; i++)
            REQUIRE(pthread_join(threads[i], NULL) == 0);
        REQUIRE(chanrt_shutdown(10 * CHANRT_SECOND) == 0);
        REQUIRE(atomic_load(&spawned) == atomic_load(&ran));
    }
    return atomic_load(&ran);
}
