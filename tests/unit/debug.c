// CHANRT_DEBUG: what goes wrong is named in one line that says where. The file makes the debug
// build itself, whatever the flags say; every program that stops is a child.
#undef CHANRT_DEBUG
#define CHANRT_DEBUG 1
#include "unit.h"
#include <signal.h>
#include <unistd.h>

enum { PATIENCE = 20000 };


// The child's one line that begins like this; its numbers must be those of the places.
static void check_line(const char *child, int status, const char *want) {
    struct test_child r = test_run_child(child, PATIENCE);
    if (status >= 0) CHECK_EQ(r.status, status);
    if (!CHECK(strstr(r.out, want) != NULL))
        fprintf(stderr, "%s: no '%s' in:\n%s\n", child, want, r.out);
    test_child_free(&r);
}

// The child ends as usual, and says nothing of the kind.
static void check_no_line(const char *child, const char *unwanted) {
    struct test_child r = test_run_child(child, PATIENCE);
    CHECK_EQ(r.status, 7);
    if (!CHECK(strstr(r.out, unwanted) == NULL))
        fprintf(stderr, "%s: '%s' in:\n%s\n", child, unwanted, r.out);
    test_child_free(&r);
}

static char text[1000];
#define LINE(...) (snprintf(text, sizeof text, __VA_ARGS__), text)
enum { ABORTED = 128 + SIGABRT };

//--------------------------------------------------------------------------------------------------
// Channels.

enum { MADE_LINE = __LINE__ + 2 };
static chan(int) make_one(void) {
    return chan_make(int, 1);
}

enum { FREED_LINE = __LINE__ + 2 };
static void free_one(chan(int) ch) {
    chan_free(ch);
}

enum { USED_LINE = __LINE__ + 2 };
TASK(uses_it_later, chan(int), jobs) {
    chan_send(jobs, 1);
}

enum { SPAWNED_LINE = __LINE__ + 4 };
CHILD(a_task_uses_a_freed_channel) {
    chan(int) ch = make_one();
    free_one(ch);
    go(uses_it_later, ch);
    usleep(10000000); // ended before
    return 0;
}

TEST(use_of_a_freed_channel_names_where_it_was_made_and_freed) {
    struct test_child r = test_run_child("a_task_uses_a_freed_channel", PATIENCE);
    CHECK_EQ(r.status, ABORTED);
    const char *parts[] = {
        LINE("fatal error: chan_send jobs at %s:%d: the channel ", __FILE__, USED_LINE), NULL };
    CHECK(strstr(r.out, parts[0]) != NULL);
    CHECK(strstr(r.out, LINE(" was freed at %s:%d, it was made at %s:%d; in task ", __FILE__,
                             FREED_LINE, __FILE__, MADE_LINE)) != NULL);
    if (!CHECK(strstr(r.out, LINE("\"uses_it_later\" spawned at %s:%d\n", __FILE__,
                                  SPAWNED_LINE)) != NULL))
        fputs(r.out, stderr);
    test_child_free(&r);
}

CHILD(main_frees_twice) {
    chan(int) ch = make_one();
    free_one(ch);
    free_one(ch);
    return 0;
}

CHILD(main_selects_a_freed_channel) {
    chan(int) ch = make_one(), other = make_one();
    free_one(ch);
    chan_select {
        on_recv(other, NULL) {}
        on_send(ch, 1) {}
    }
    return 0;
}

CHILD(main_receives_from_no_channel) {
    static long nothing[64];
    chan(int) ch = (chan(int))(void *)nothing;
    chan_recv(ch, NULL);
    return 0;
}

CHILD(a_thousand_channels_later) {
    chan(int) ch = make_one();
    free_one(ch);
    for (int i = 0; i < 1000; i++) chan_free(chan_make(int, 3));
    chan_close(ch);
    return 0;
}

TEST(every_call_notices_a_freed_channel) {
    check_line("main_frees_twice", ABORTED,
               LINE("fatal error: chan_free ch at %s:%d: the channel ", __FILE__, FREED_LINE));
    check_line("main_frees_twice", ABORTED, "; in a thread of the program's own\n");
    check_line("main_selects_a_freed_channel", ABORTED, "fatal error: chan_select at ");
    check_line("main_receives_from_no_channel", ABORTED, " is not a channel; in a thread");
    check_line("a_thousand_channels_later", ABORTED,
               LINE(" was freed at %s:%d, it was made at %s:%d;", __FILE__, FREED_LINE, __FILE__,
                    MADE_LINE));
}

enum { NONE_LINE = __LINE__ + 3 };
CHILD(main_sends_to_none) {
    chan(int) none = NULL;
    bool nothing = chan_send(none, 1) == EINVAL && chan_get(none) == 0;
    chan_free(none);                            // is fine, and so is never being ready
    chan_select {
        on_recv(none, NULL) {}
        on_default {}
    }
    return nothing && chan_len(none) == 0 ? 7 : 1;
}

TEST(a_call_without_a_channel_is_told_by_its_place) {
    check_line("main_sends_to_none", 7,
               LINE("chanrt: chan_send none at %s:%d: the channel is NULL", __FILE__, NONE_LINE));
    check_line("main_sends_to_none", 7,
               LINE("chanrt: chan_get none at %s:%d: the channel is NULL", __FILE__, NONE_LINE));
    check_no_line("main_sends_to_none", "chan_free");
    check_no_line("main_sends_to_none", "chan_select");
}

CHILD(main_forgets_channels) {
    for (int i = 0; i < 3; i++) make_one();
    chan_free(make_one());
    chan_receiver(int64_t) late = chan_after(CHANRT_SECOND);
    (void)late;
    return 7;
}

TEST(channels_never_freed_are_told_by_where_they_were_made) {
    check_line("main_forgets_channels", 7,
               LINE("chanrt: 3 channels were never freed, made at %s:%d\n", __FILE__, MADE_LINE));
    check_line("main_forgets_channels", 7, "chanrt: 1 channel was never freed, made by a timer");
}

//--------------------------------------------------------------------------------------------------
// Contexts and groups.

enum { CONTEXT_LINE = __LINE__ + 2 };
static task_ctx *make_context(task_ctx *parent) {
    return ctx_with_cancel(parent);
}

enum { TIMED_LINE = __LINE__ + 2 };
static task_ctx *make_timed(task_ctx *parent, int64_t ns) {
    return ctx_with_timeout(parent, ns);
}

enum { GROUP_LINE = __LINE__ + 2 };
static void make_group(task_group *g, task_ctx *ctx) {
    group_init(g, ctx);
}

static int no_error(void) { return 0; }
TASK_ERR(does_nothing) { return no_error(); }

// A parent without an owner is kept by its child, and is not the child's owner's to free.
CHILD(main_forgets_contexts) {
    static char key;
    task_ctx *root = make_context(ctx_background());
    make_timed(root, -1);
    make_timed(root, CHANRT_MILLISECOND);
    make_timed(root, 0);
    ctx_free(ctx_with_value(root, &key, NULL));
    ctx_free(ctx_with_deadline(root, chanrt_now() + CHANRT_SECOND));
    ctx_cancel(root);
    return chanrt_shutdown(CHANRT_SECOND) == 0 ? 7 : 8;
}

// The second group takes the place of the first: both are missed.
CHILD(main_forgets_groups) {
    task_group g, waited;
    make_group(&g, NULL);
    make_group(&g, NULL);
    group_go(&g, does_nothing);
    make_group(&waited, NULL);
    group_go(&waited, does_nothing);
    group_wait(&waited);
    return chanrt_shutdown(CHANRT_SECOND) == 0 ? 7 : 8;
}

CHILD(main_forgets_nothing) {
    task_group g;
    task_ctx *root = make_context(NULL); // none is made
    root = make_context(ctx_background());
    task_ctx *child = make_timed(root, CHANRT_MILLISECOND);
    chan_recv(ctx_done(child), NULL);
    make_group(&g, child);
    group_go(&g, does_nothing);
    group_wait(&g);
    chanrt_shutdown(CHANRT_SECOND);
    ctx_free(root); // a context outlives a shutdown
    ctx_free(child);
    return 7;
}

TEST(contexts_never_freed_are_told_by_where_they_were_made) {
    check_line("main_forgets_contexts", 7,
               LINE("chanrt: 1 context was never freed, made at %s:%d\n", __FILE__, CONTEXT_LINE));
    check_line("main_forgets_contexts", 7,
               LINE("chanrt: 3 contexts were never freed, made at %s:%d\n", __FILE__, TIMED_LINE));
    check_no_line("main_forgets_contexts", "task_group");
}

TEST(groups_never_waited_for_are_told_by_where_they_were_made) {
    check_line("main_forgets_groups", 7,
               LINE("chanrt: 2 task_groups were never waited for, made at %s:%d\n", __FILE__,
                    GROUP_LINE));
    check_no_line("main_forgets_groups", "never freed");
    check_no_line("main_forgets_nothing", "never");
}

//--------------------------------------------------------------------------------------------------
// Dumps.

enum { WAITS_LINE = __LINE__ + 2 };
TASK(waits, chan_receiver(int), jobs) {
    chan_recv(jobs, NULL);
}

enum { MAIN_WAITS_LINE = __LINE__ + 5 };
CHILD(everybody_waits) {
    static waitgroup all;
    wg_add(&all, 1);
    go(waits, make_one());
    wg_wait(&all);
    return 0;
}

TEST(dumps_name_the_call_that_waits) {
    check_line("everybody_waits", 2, LINE("in chan_recv jobs at %s:%d, stack", __FILE__,
                                          WAITS_LINE));
    check_line("everybody_waits", 2, LINE("in wg_wait &all at %s:%d,\n", __FILE__,
                                          MAIN_WAITS_LINE));
    check_line("everybody_waits", 2, LINE("0 selects wait, made at %s:%d\n", __FILE__, MADE_LINE));
}

TASK(many_wait, chan_receiver(int), jobs) { chan_recv(jobs, NULL); }

enum { LEAK_LINE = __LINE__ + 3 };
CHILD(tasks_are_left_at_shutdown) {
    chan(int) ch = make_one();
    for (int i = 0; i < 25; i++) go(many_wait, ch);
    go(waits, ch);
    int err = chanrt_shutdown(50 * CHANRT_MILLISECOND);
    chan_free(ch);
    return err == EBUSY ? 3 : 4;
}

TEST(tasks_left_at_shutdown_are_told_by_where_they_were_spawned) {
    check_line("tasks_are_left_at_shutdown", 3, "chanrt: shutdown: 26 tasks had not ended:\n");
    check_line("tasks_are_left_at_shutdown", 3, "25 tasks \"many_wait\" [chan receive ");
    check_line("tasks_are_left_at_shutdown", 3, LINE("spawned at %s:%d, such as", __FILE__,
                                                     LEAK_LINE));
}

//--------------------------------------------------------------------------------------------------
// Stacks and hogs.

static void spin(int turns) {
    for (volatile int i = 0; i < turns; i = i + 1) continue;
}

__attribute__((noinline)) static void write_over(volatile char *p, long n) {
    for (long i = 0; i < n; i++) p[i] = 0x55;
}

// What lies above the first frame, as a write past the end of a local would hit it.
TASK(writes_past_its_local, chan(int), ch) {
    write_over(chanrt__sched_self()->a_current->stack->top, 8);
    chan_recv(ch, NULL);
}

CHILD(a_local_is_overrun) {
    go(writes_past_its_local, make_one());
    usleep(10000000);
    return 0;
}

// Down to the last word that is still no guard page.
TASK(uses_all_of_its_stack) {
    write_over(chanrt__sched_self()->a_current->stack->low, 8);
    task_yield();
}

CHILD(a_stack_is_used_up) {
    go(uses_all_of_its_stack);
    usleep(10000000);
    return 0;
}

TEST(a_spoilt_stack_is_named) {
    check_line("a_local_is_overrun", ABORTED, "\"writes_past_its_local\", spawned at ");
    check_line("a_local_is_overrun", ABORTED, " above its first frame: a write past the end");
    check_line("a_stack_is_used_up", ABORTED, " at its low end: it has overflowed; last seen at ");
}

enum { HOG_SEEN_LINE = __LINE__ + 2 };
TASK(hogs, chan(int), ch, int, ms) {
    chan_try_send(ch, 1);
    for (int64_t end = chanrt_now() + ms * test_unit; chanrt_now() < end;) spin(1000);
}

TASK(naps_in_the_kernel, int, ms) { usleep((useconds_t)(ms * test_unit / 1000)); }

TASK(is_polite) {
    for (int i = 0; i < 2000; i++) {
        spin(20000);
        task_yield();
    }
}

CHILD(a_task_hogs_its_worker) {
    waitgroup wg = {0};
    chan(int) ch = make_one();
    wg_go(&wg, hogs, ch, 500);
    wg_go(&wg, hogs, ch, 500);
    wg_go(&wg, naps_in_the_kernel, 500);
    wg_go(&wg, is_polite);
    wg_wait(&wg);
    chan_free(ch);
    return chanrt_shutdown(CHANRT_SECOND);
}

TEST(a_task_that_hogs_its_worker_is_named_and_a_polite_one_is_not) {
    struct test_child r = test_run_child("a_task_hogs_its_worker", 3 * PATIENCE);
    CHECK_EQ(r.status, 0);
    bool all = CHECK(strstr(r.out, "\"hogs\" spawned at ") != NULL);
    all &= CHECK(strstr(r.out, "has run without a scheduling point for ") != NULL);
    all &= CHECK(strstr(r.out, LINE("last seen in chan_try_send ch at %s:%d\n", __FILE__,
                                    HOG_SEEN_LINE)) != NULL);
    all &= CHECK(strstr(r.out, "\"naps_in_the_kernel\" spawned at ") != NULL);
    all &= CHECK(strstr(r.out, "has been in a system call for ") != NULL);
    all &= CHECK(strstr(r.out, "is_polite") == NULL);
    if (!all) fputs(r.out, stderr);
    test_child_free(&r);
}

TEST(a_program_without_faults_is_left_in_peace) {
    chan(int) ch = chan_make(int, 1);
    waitgroup wg = {0};
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(wg_go(&wg, uses_it_later, ch), 0);
        CHECK_EQ(chan_recv(ch, NULL), 0);
    }
    wg_wait(&wg);
    chan_free(ch);
    for (int i = 0; i < 5000; i++) chan_free(chan_make(int, i % 7)); // more than are kept
}
