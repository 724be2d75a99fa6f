// Locks in a debug build: who unlocks what is not his, waits for long with it, or takes it in an
// order that can end in a deadlock is told so in one line that names places.
#undef CHANRT_DEBUG
#define CHANRT_DEBUG 1
#include "unit.h"

static sync_mutex a, b, c;
static sync_rwmutex rw;

enum { PATIENCE = 20000 };

// Runs the child and looks for the words in one and the same line of what it says.
static void check_says(const char *child, int status, int lines, const char *const *words) {
    struct test_child r = test_run_child(child, PATIENCE);
    int said = 0;
    bool found = false;
    CHECK_EQ(r.status, status);
    char *copy = strdup(r.out);
    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool all = true;
        said += strncmp(line, "chanrt: ", 8) == 0;
        for (const char *const *w = words; *w != NULL; w++) all &= strstr(line, *w) != NULL;
        found |= all;
    }
    if (!CHECK(found) || !CHECK_EQ(said, lines)) fprintf(stderr, "%s says:\n%s\n", child, r.out);
    free(copy);
    test_child_free(&r);
}

#define CHECK_SAYS(child, status, lines, ...) \
    check_says(child, status, lines, (const char *const[]){ __VA_ARGS__, NULL })

TASK(locks_a, waitgroup *, wg) {
    sync_mutex_lock(&a);
    wg_done(wg);
}

TASK(unlocks_a, waitgroup *, wg) {
    if (sync_mutex_unlock(&a) == 0) wg_done(wg);
}

CHILD(a_stranger_unlocks) {
    waitgroup wg = {0};
    wg_add(&wg, 1);
    go(locks_a, &wg);
    wg_wait(&wg);
    wg_add(&wg, 1);
    go(unlocks_a, &wg);
    wg_wait(&wg);
    return 7;
}

TEST(unlocking_by_a_stranger_names_both) {
    CHECK_SAYS("a_stranger_unlocks", 7, 1, "sync_mutex_unlock at ", "held.c:", "was locked at ",
               "\"locks_a\" spawned at ", "is unlocked by task ", "\"unlocks_a\"");
}

CHILD(unlocks_the_unlocked) {
    if (sync_mutex_unlock(&a) != EINVAL || sync_rwmutex_runlock(&rw) != EINVAL) return 1;
    sync_rwmutex_rlock(&rw);
    if (sync_rwmutex_unlock(&rw) != EINVAL) return 2;
    return sync_rwmutex_runlock(&rw) == 0 ? 7 : 3;
}

TEST(unlocking_the_unlocked_is_told_and_changes_nothing) {
    CHECK_SAYS("unlocks_the_unlocked", 7, 3, "sync_rwmutex_unlock at ", "is not locked that way");
    CHECK_SAYS("unlocks_the_unlocked", 7, 3, "sync_mutex_unlock at ", "a thread of the program");
}

TASK(sleeps_with_it, waitgroup *, wg) {
    sync_mutex_lock(&a);
    task_sleep(1200 * CHANRT_MILLISECOND);
    sync_mutex_unlock(&a);
    sync_mutex_lock(&b);
    task_sleep(20 * CHANRT_MILLISECOND);
    sync_mutex_unlock(&b);
    task_sleep(1100 * CHANRT_MILLISECOND);       // holds nothing
    wg_done(wg);
}

CHILD(holds_over_a_long_wait) {
    waitgroup wg = {0};
    wg_add(&wg, 1);
    go(sleeps_with_it, &wg);
    wg_wait(&wg);
    return 7;
}

TEST(a_lock_held_over_a_wait_of_more_than_a_second_is_told) {
    CHECK_SAYS("holds_over_a_long_wait", 7, 1, "locked at ", "was held over a wait of ",
               " s (sleep)", "\"sleeps_with_it\"");
}

// Each order on its own is fine, and nothing ever blocks: only together they may.
TASK(locks_in_turn, sync_mutex *, first, sync_mutex *, then, waitgroup *, wg) {
    sync_mutex_lock(first);
    sync_mutex_lock(then);
    sync_mutex_unlock(then);
    sync_mutex_unlock(first);
    wg_done(wg);
}

static void in_turn(sync_mutex *first, sync_mutex *then) {
    waitgroup wg = {0};
    wg_add(&wg, 1);
    go(locks_in_turn, first, then, &wg);
    wg_wait(&wg);
}

CHILD(two_locks_both_ways) {
    for (int i = 0; i < 3; i++) in_turn(&a, &b);
    for (int i = 0; i < 3; i++) in_turn(&b, &a);
    return 7;
}

CHILD(three_locks_in_a_circle) {
    in_turn(&a, &b);
    in_turn(&b, &c);
    in_turn(&c, &a);
    return 7;
}

CHILD(a_rwmutex_in_the_circle) {
    sync_rwmutex_rlock(&rw);
    sync_mutex_lock(&a);
    sync_mutex_unlock(&a);
    sync_rwmutex_runlock(&rw);
    sync_mutex_lock(&a);
    sync_rwmutex_lock(&rw);
    sync_rwmutex_unlock(&rw);
    sync_mutex_unlock(&a);
    return 7;
}

TEST(an_order_that_can_end_in_a_deadlock_is_told_once) {
    CHECK_SAYS("two_locks_both_ways", 7, 1, "sync_mutex_lock at ", "the other way round at ",
               "\"locks_in_turn\"");
    CHECK_SAYS("three_locks_in_a_circle", 7, 1, "sync_mutex_lock at ", "the other way round at ");
    CHECK_SAYS("a_rwmutex_in_the_circle", 7, 1, "sync_rwmutex_lock at ", "the other way round");
}

CHILD(orderly) {
    static sync_cond cond;
    for (int i = 0; i < 3; i++) {
        in_turn(&a, &b);
        in_turn(&a, &c);
        in_turn(&b, &c);
        sync_mutex_lock(&b);
        if (sync_mutex_trylock(&a) == 0) sync_mutex_unlock(&a);  // cannot end in a deadlock
        if (sync_mutex_lock_timeout(&a, 1000) == 0) sync_mutex_unlock(&a);
        sync_mutex_unlock(&b);
        sync_mutex_lock(&c);
        if (sync_cond_wait_timeout(&cond, &c, 1000) != ETIMEDOUT) return 1;
        sync_mutex_unlock(&c);
    }
    return 7;
}

TEST(a_good_program_is_told_nothing) {
    struct test_child r = test_run_child("orderly", PATIENCE);
    CHECK_EQ(r.status, 7);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}
