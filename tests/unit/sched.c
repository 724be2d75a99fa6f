// sched.c - one worker's queue: order, budget, what a thief takes, and the lock that is
// cheap for the owner.
#include "unit.h"

static struct chanrt__worker owner, thief;
static struct chanrt__stack started;       // what makes a task one that has begun

static struct chanrt__task *some_tasks(int n, struct chanrt__stack *stack) {
    static struct chanrt__task tasks[2048];
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < n; i++) tasks[i].stack = stack;
    return tasks;
}

static void blank_workers(void) {
    memset(&owner, 0, sizeof owner);
    memset(&thief, 0, sizeof thief);
}

//------------------------------------------------------------------------------
// Order.

TEST(ready_tasks_run_first_come_first_served) {
    blank_workers();
    struct chanrt__task *t = some_tasks(10, &started);
    for (int i = 0; i < 10; i++) chanrt__sched_push(&owner, &t[i]);
    CHECK_EQ(owner.a_len, 10);
    for (int i = 0; i < 10; i++) CHECK(chanrt__sched_pop(&owner) == &t[i]);
    CHECK(chanrt__sched_pop(&owner) == NULL);
    CHECK_EQ(owner.a_len, 0);
}

TEST(tasks_yet_to_start_run_youngest_first_until_they_are_old) {
    blank_workers();
    struct chanrt__task *t = some_tasks(10, NULL);
    for (int i = 0; i < 4; i++) chanrt__sched_push(&owner, &t[i]);
    owner.budget = CHANRT__LIFO_BUDGET;
    CHECK(chanrt__sched_pop(&owner) == &t[3]);
    chanrt__sched_age(&owner);
    for (int i = 4; i < 6; i++) chanrt__sched_push(&owner, &t[i]);
    CHECK_EQ(owner.a_len, 5);
    owner.budget = 0;                      // from now on only what is queued
    CHECK(chanrt__sched_pop(&owner) == &t[2]);
    CHECK(chanrt__sched_pop(&owner) == &t[5]);
    CHECK(chanrt__sched_pop(&owner) == &t[4]);
    CHECK(chanrt__sched_pop(&owner) == &t[1]);
    CHECK(chanrt__sched_pop(&owner) == &t[0]);
    CHECK_EQ(owner.a_len, 0);
}

TEST(one_made_ready_is_next_and_the_former_next_is_queued) {
    blank_workers();
    struct chanrt__task *t = some_tasks(3, &started);
    owner.budget = CHANRT__LIFO_BUDGET;
    for (int i = 0; i < 3; i++) chanrt__sched_push_next(&owner, &t[i]);
    CHECK(owner.a_next == &t[2]);
    CHECK(chanrt__sched_pop(&owner) == &t[2]);
    CHECK(chanrt__sched_pop(&owner) == &t[0]);
    CHECK(chanrt__sched_pop(&owner) == &t[1]);
}

TEST(hand_offs_have_a_budget) {
    blank_workers();
    struct chanrt__task *t = some_tasks(2, &started);
    owner.budget = CHANRT__LIFO_BUDGET;
    for (int turn = 0; turn < 3; turn++) {
        chanrt__sched_push(&owner, &t[1]);
        int in_a_row = 0;
        for (;; in_a_row++) {              // t[0] makes itself ready again and again
            chanrt__sched_push_next(&owner, &t[0]);
            if (chanrt__sched_pop(&owner) == &t[1] || in_a_row > 1000) break;
            CHECK(owner.a_next == NULL);
        }
        CHECK_EQ(in_a_row, CHANRT__LIFO_BUDGET);
        CHECK(chanrt__sched_pop(&owner) == &t[0]);
        owner.budget = CHANRT__LIFO_BUDGET;
    }
}

TEST(who_is_made_ready_beside_a_pair_comes_before_its_hand_offs) {
    blank_workers();
    struct chanrt__task *t = some_tasks(3, &started);
    for (int turn = 0; turn < 2 * CHANRT__LIFO_BUDGET; turn++) { // t[0] alone
        chanrt__sched_push_next(&owner, &t[0]);
        CHECK(chanrt__sched_pop(&owner) == &t[0]);
    }
    CHECK_EQ(owner.budget, 0);
    chanrt__sched_push_next(&owner, &t[0]);
    for (int turn = 0; turn < CHANRT__LIFO_LEFT; turn++) { // say, t[1] has slept enough
        chanrt__sched_push_next(&owner, &t[1]);
        CHECK(chanrt__sched_pop(&owner) == &t[1]);
    }
    chanrt__sched_push_next(&owner, &t[2]);
    CHECK(chanrt__sched_pop(&owner) == &t[0]);
    CHECK(chanrt__sched_pop(&owner) == &t[2]);
}

TEST(who_has_yet_to_start_is_not_behind_all_hand_offs) {
    blank_workers();
    struct chanrt__task *t = some_tasks(2, &started);
    t[1].stack = NULL;
    chanrt__sched_push(&owner, &t[1]);
    owner.budget = 3;
    for (int turn = 0; turn < 3; turn++) {
        chanrt__sched_push_next(&owner, &t[0]);
        CHECK(chanrt__sched_pop(&owner) == &t[0]);
    }
    chanrt__sched_push_next(&owner, &t[0]);
    CHECK(chanrt__sched_pop(&owner) == &t[1]);
    CHECK(chanrt__sched_pop(&owner) == &t[0]);
    CHECK_EQ(owner.a_len, 0);
}

//------------------------------------------------------------------------------
// What a thief takes.

static int length(const struct chanrt__task *t) {
    int n = 0;
    for (; t != NULL; t = t->next) n++;
    return n;
}

TEST(thief_takes_the_older_half_of_those_that_wait) {
    const int lengths[] = { 1, 2, 3, 10, 11, 2000 }, taken[] = { 1, 1, 2, 5, 6, 64 };
    for (int k = 0; k < 6; k++) {
        blank_workers();
        struct chanrt__task *t = some_tasks(lengths[k], &started);
        for (int i = 0; i < lengths[k]; i++) chanrt__sched_push(&owner, &t[i]);
        struct chanrt__sched_list cut = chanrt__sched_cut(&owner);
        CHECK_EQ(cut.n, taken[k]);
        CHECK_EQ(length(cut.first), taken[k]);
        CHECK(cut.first == &t[0] && cut.last == &t[taken[k] - 1]);
        CHECK_EQ(owner.a_len, lengths[k] - taken[k]);
        CHECK_EQ(length(owner.head), lengths[k] - taken[k]);
    }
}

TEST(thief_leaves_the_youngest_that_have_yet_to_start) {
    const int lengths[] = { 1, 2, 3, 10, 2000 }, kept[] = { 0, 1, 1, 5, 16 };
    for (int k = 0; k < 5; k++) {
        blank_workers();
        struct chanrt__task *t = some_tasks(lengths[k], NULL);
        for (int i = 0; i < lengths[k]; i++) chanrt__sched_push(&owner, &t[i]);
        struct chanrt__sched_list cut = chanrt__sched_cut(&owner);
        CHECK_EQ(cut.n, lengths[k] - kept[k]);
        CHECK_EQ(length(cut.first), lengths[k] - kept[k]);
        CHECK(cut.last == &t[0]);
        CHECK_EQ(owner.a_len, kept[k]);
        CHECK_EQ(owner.fresh_len, kept[k]);
        CHECK_EQ(length(owner.fresh), kept[k]);
        if (kept[k] > 0) CHECK(owner.fresh == &t[lengths[k] - 1] && owner.fresh_last->next == NULL);
    }
}

TEST(thief_takes_the_next_one_last_of_all) {
    blank_workers();
    struct chanrt__task *t = some_tasks(1, &started);
    CHECK(chanrt__sched_rob(&thief, &owner) == NULL);
    CHECK_EQ(thief.a_steals, 0);
    chanrt__sched_push_next(&owner, &t[0]);
    CHECK(chanrt__sched_rob(&thief, &owner) == &t[0]);
    CHECK(owner.a_next == NULL && !chanrt__sched_has_work(&owner));
    CHECK_EQ(thief.a_steals, 1);
}

TEST(only_one_thief_at_a_time) {
    blank_workers();
    struct chanrt__task *t = some_tasks(1, &started);
    chanrt__sched_push(&owner, &t[0]);
    owner.a_thief = 1;
    CHECK(chanrt__sched_rob(&thief, &owner) == NULL);
    owner.a_thief = 0;
    CHECK(chanrt__sched_rob(&thief, &owner) == &t[0]);
}

TEST(thief_gives_up_while_the_owner_is_inside) {
    blank_workers();
    struct chanrt__task *t = some_tasks(2, &started);
    for (int i = 0; i < 2; i++) chanrt__sched_push(&owner, &t[i]);
    owner.a_in = 1;
    CHECK(chanrt__sched_rob(&thief, &owner) == NULL);
    CHECK_EQ(owner.a_len, 2);
    CHECK_EQ(owner.a_request, 0);
    owner.a_in = 0;
    CHECK(chanrt__sched_rob(&thief, &owner) == &t[0]);
}

// Lets go of what another thread waits for, and says when.
static atomic_bool let_go;
static void *clear_later(void *task) {
    chanrt__os_nap(20 * CHANRT_MILLISECOND);
    atomic_store(&let_go, true);
    if (task != NULL) chanrt__atom_store_rel(&((struct chanrt__task *)task)->a_on_cpu, 0);
    else chanrt__atom_store_rel(&owner.a_request, 0);
    return NULL;
}

static pthread_t clearing(struct chanrt__task *t) {
    pthread_t thread;
    atomic_store(&let_go, false);
    if (t != NULL) t->a_on_cpu = 1;
    else owner.a_request = 1;
    CHECK_EQ(pthread_create(&thread, NULL, clear_later, t), 0);
    return thread;
}

TEST(owner_waits_until_the_thief_has_gone) {
    blank_workers();
    pthread_t other = clearing(NULL);
    chanrt__sched_enter(&owner);
    CHECK(atomic_load(&let_go));
    CHECK_EQ(owner.a_in, 1);
    CHECK(owner.robbed);
    chanrt__sched_leave(&owner);
    pthread_join(other, NULL);
}

TEST(base_stack_waits_until_a_task_is_saved) {
    blank_workers();
    struct chanrt__task *t = some_tasks(1, &started);
    pthread_t other = clearing(t);
    CHECK(chanrt__sched_make_runnable(&owner, t));
    CHECK(atomic_load(&let_go));
    pthread_join(other, NULL);
}

TASK(looks_at_its_mark, bool *, marked) {
    struct chanrt__task *t = chanrt__sched_self()->a_current;
    struct chanrt__wait wait;
    marked[0] = chanrt__atom_load(&t->a_on_cpu);
    chanrt__wait_begin(&wait, NULL, false);
    marked[1] = chanrt__atom_load(&t->a_on_cpu);
    chanrt__wait_begin(&wait, NULL, true);
    marked[2] = chanrt__atom_load(&t->a_on_cpu);
    chanrt__wait_cancel(&wait);
    chanrt__wait_cancelled(&wait);
    marked[3] = chanrt__atom_load(&t->a_on_cpu);
}

TEST(wait_of_several_sources_is_marked_until_it_is_over) {
    bool marked[4] = { true, true, false, true };
    waitgroup wg = {0};
    CHECK_EQ(wg_go(&wg, looks_at_its_mark, marked), 0);
    wg_wait(&wg);
    CHECK(!marked[0] && !marked[1] && marked[2] && !marked[3]);
}

// A thief that finds in the queue who is still running there: he is marked.
static atomic_bool yielded_enough;
TASK(yields) {
    while (!atomic_load(&yielded_enough)) task_yield();
}

TEST(yielding_task_is_marked_until_it_is_saved) {
    long early = 0, stolen = 0;
    blank_workers();
    atomic_store(&yielded_enough, false);
    CHECK_EQ(chanrt_start(&(chanrt_options){ .workers = 1 }), 0);
    CHECK_EQ(go(yields), 0);
    struct chanrt__worker *w = &chanrt__pool.workers[0];
    for (long i = test_rounds(100000); i > 0 || stolen == 0; i--) {
        struct chanrt__task *t = chanrt__sched_rob(&thief, w);
        if (t == NULL) continue;
        stolen++;
        early += chanrt__atom_load_acq(&t->a_on_cpu) == 0 && chanrt__atom_load(&w->a_current) == t;
        chanrt__sched_push_shared(t, t, 1);
    }
    CHECK_EQ(early, 0);
    atomic_store(&yielded_enough, true);
}

#if !CHANRT__COMMIT_IN_C
// A worker on a task's stack picks one that is still on its way out: that is for the base stack.
static struct chanrt__ctx stood;
static volatile int came_by;
static void back_by(int way) {
    came_by = way;
    chanrt__ctx_switch(&owner.scratch, &stood, &owner.nothing, true);
}
static void by_base(void) { back_by(1); }
static void by_task(void) { back_by(2); }

TEST(task_not_saved_is_left_to_the_base_stack) {
    blank_workers();
    chanrt__stack_init();
    struct chanrt__task *t = some_tasks(1, &started);
    struct chanrt__stack *s = chanrt__stack_take(CHANRT__STACK_DEFAULT);
    for (int saved = 0; saved < 2; saved++) {
        chanrt__stack_enter(s, &owner.base, by_base);
        chanrt__stack_enter(s, &t->ctx, by_task);
        t->a_on_cpu = !saved;
        came_by = 0;
        chanrt__sched_switch(&owner, &stood, t, &owner.nothing, false);
        CHECK_EQ(came_by, saved ? 2 : 1);
        CHECK(owner.pending == (saved ? NULL : t));
        owner.pending = NULL;
    }
    chanrt__stack_give(s, s);
    chanrt__stack_shutdown();
}
#endif

//------------------------------------------------------------------------------
// Sleep. What was pushed before the announcement could be seen must be found by the look after it:
// the pusher saw a searcher and woke nobody.

CHILD(lies_down_beside_work) {
    blank_workers();
    static struct chanrt__task t;
    chanrt__pool.workers = &owner;
    chanrt__pool.count = 1;
    chanrt__pool.shared_head = chanrt__pool.shared_tail = &t;
    chanrt__pool.a_shared_len = 1;
    chanrt__pool.a_announce = CHANRT__SPIN_ONE;
    CHECK(!chanrt__sched_sleep(&owner));
    CHECK_EQ(chanrt__pool.a_announce, CHANRT__SPIN_ONE);
    CHECK_EQ(chanrt__pool.idle_count, 0);
    return 0;
}

TEST(worker_that_lies_down_looks_again) {
    struct test_child r = test_run_child("lies_down_beside_work", 5000);
    if (!CHECK_EQ(r.status, 0)) puts(r.out);
    test_child_free(&r);
}

//------------------------------------------------------------------------------
// When a busy worker looks at the clock.

TEST(a_look_comes_within_the_time_there_is) {
    CHECK_EQ(chanrt__sched_picks(15, CHANRT__FOREVER - 1), CHANRT__LOOK_EVERY);
    CHECK_EQ(chanrt__sched_picks(15, 15 * CHANRT__LOOK_EVERY), CHANRT__LOOK_EVERY);
    CHECK_EQ(chanrt__sched_picks(15, 15 * CHANRT__LOOK_EVERY - 1), CHANRT__LOOK_EVERY - 1);
    CHECK_EQ(chanrt__sched_picks(15, 30), 2);
    for (int64_t ns = 0; ns < 20000; ns += 100) CHECK_EQ(chanrt__sched_picks(ns, -1), 1);
    CHECK_EQ(chanrt__sched_picks(CHANRT_SECOND, 5), 1);
}

// A look before each pick, and each time there is somebody in the shared queue.
CHILD(finds_by_turns) {
    blank_workers();
    chanrt__pool.workers = &owner;
    chanrt__pool.count = 1;
    chanrt__pool.a_timer_next = CHANRT__FOREVER;
    struct chanrt__task *t = some_tasks(8, &started), *found[4];
    for (int i = 0; i < 4; i++) {
        chanrt__sched_push_shared(&t[i], &t[i], 1);
        chanrt__sched_push(&owner, &t[4 + i]);
        owner.a_tick++;
        owner.look_every = 1;
        owner.watched = chanrt_now();
        found[i] = chanrt__sched_find(&owner);
        owner.a_switches++;
    }
    CHECK(found[0] == &t[0] && found[1] == &t[4] && found[2] == &t[1] && found[3] == &t[5]);
    return 0;
}

// Picks take a second each, and a timer is due in ten.
CHILD(looks_before_a_timer) {
    blank_workers();
    chanrt__pool.workers = &owner;
    chanrt__pool.count = 1;
    int64_t now = chanrt_now();
    owner.a_tick = CHANRT__LOOK_EVERY;
    owner.now = now - CHANRT__LOOK_EVERY * CHANRT_SECOND;
    owner.watched = now;
    chanrt__pool.a_timer_next = now + 10 * CHANRT_SECOND;
    CHECK(chanrt__sched_look(&owner) == NULL);
    CHECK(owner.look_every >= 7 && owner.look_every <= 10); // the clock is read again
    return 0;
}

// The same for a timer that is armed after the third pick.
CHILD(looks_before_a_new_timer) {
    blank_workers();
    static struct chanrt__node early, late;
    int64_t now = chanrt_now();
    chanrt__os_self()->worker = &owner;
    owner.a_tick = 3;
    owner.a_slice = (uint32_t)CHANRT_SECOND;
    owner.now = now - 3 * CHANRT_SECOND;
    owner.look_every = CHANRT__LOOK_EVERY;
    chanrt__sched_arm(&late, now + 100 * CHANRT_SECOND);
    CHECK_EQ(owner.look_every, CHANRT__LOOK_EVERY);
    chanrt__sched_arm(&early, now + 10 * CHANRT_SECOND);
    CHECK_EQ(owner.look_every, 13);
    return 0;
}

static void goes_well(const char *child) {
    struct test_child r = test_run_child(child, 5000);
    if (!CHECK_EQ(r.status, 0)) puts(r.out);
    test_child_free(&r);
}

TEST(shared_tasks_take_turns_with_those_here) {
    goes_well("finds_by_turns");
}

TEST(the_next_look_comes_when_a_timer_is_due) {
    goes_well("looks_before_a_timer");
    goes_well("looks_before_a_new_timer");
}

//------------------------------------------------------------------------------
// The lock between owner and thief. Each task is run once; `ran` is not atomic, so that a
// sanitizer sees a theft that does not order what came before.

static long n_tasks;
static struct chanrt__task *crowd;
static unsigned char *ran;
static atomic_bool owner_is_done;

static void run_one_task(struct chanrt__task *t) {
    ran[t - crowd]++;
}

static void *steal_all_along(void *unused) {
    while (!atomic_load(&owner_is_done)) {
        for (struct chanrt__task *t = chanrt__sched_rob(&thief, &owner); t != NULL;
             t = chanrt__sched_pop(&thief))
            run_one_task(t);
    }
    return unused;
}

TEST(owner_and_thief_lose_nothing_and_double_nothing) {
    blank_workers();
    chanrt__os_fences_init();
    n_tasks = test_rounds(20000);
    crowd = calloc((size_t)n_tasks, sizeof *crowd);
    ran = calloc((size_t)n_tasks, 1);
    atomic_store(&owner_is_done, false);
    pthread_t other;
    pthread_create(&other, NULL, steal_all_along, NULL);

    uint32_t seed = 4711;
    for (long i = 0; i < n_tasks; i++) {
        crowd[i].stack = dice(&seed) % 2 ? &started : NULL;
        if (dice(&seed) % 2) chanrt__sched_push(&owner, &crowd[i]);
        else chanrt__sched_push_next(&owner, &crowd[i]);
        struct chanrt__task *t = dice(&seed) % 3 ? chanrt__sched_pop(&owner) : NULL;
        if (t != NULL) run_one_task(t);
        if (i != n_tasks / 2) continue;
        while (chanrt__atom_load(&thief.a_steals) == 0 && chanrt__sched_has_work(&owner))
            sched_yield();                 // there is something to steal: it will be stolen
    }
    for (struct chanrt__task *t; (t = chanrt__sched_pop(&owner)) != NULL;) run_one_task(t);
    atomic_store(&owner_is_done, true);
    pthread_join(other, NULL);

    long once = 0;
    for (long i = 0; i < n_tasks; i++) once += ran[i] == 1;
    CHECK_EQ(once, n_tasks);
    CHECK_EQ(owner.a_len + thief.a_len, 0);
    CHECK(thief.a_steals > 0);
    free(crowd);
    free(ran);
}
