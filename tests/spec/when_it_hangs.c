// README's "When it hangs": a real case, from the report to the fix. It is from examples/top, where
// a stage left its loop as soon as the next one had closed, with the stage before still sending.
#include "spec.h"

static waitgroup stages;

// drains: goes on receiving when nobody wants the values any more.
TASK(stage, chan_receiver(int), in, chan_sender(int), out, bool, drains) {
    chan_range(int, n, in) {
        if (chan_send(out, n + 1) != 0 && !drains) break;
    }
    chan_close(out);
}

static int pipeline(bool drains) {
    chan(int) a = chan_make(int, 1), b = chan_make(int, 1), c = chan_make(int, 1);
    wg_go(&stages, stage, a, b, drains);
    wg_go(&stages, stage, b, c, drains);
    chan_close(c);                                      // nobody wants the results
    for (int i = 0; i < 10; i++) chan_send(a, i);
    chan_close(a);
    wg_wait(&stages);
    chan_free(a);
    chan_free(b);
    chan_free(c);
    return 7;
}

CHILD(it_hangs) { return pipeline(false); }
CHILD(it_is_fixed) { return pipeline(true); }

TEST(the_report_shows_who_sends_to_a_channel_nobody_receives_from) {
    struct test_child r = test_run_child("it_hangs", 20000);
    CHECK_EQ(r.status, 2);
    const char *words[] = { "fatal error: all tasks are asleep - deadlock!\n",
                            "\"stage\" [chan send ", "(cap 1, 1 queued, 1 waiting), ",
                            "thread [chan send ", "channels waited for:\n",
                            ": 1 senders, 0 receivers, 0 selects wait" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!CHECK(strstr(r.out, words[i]) != NULL)) fputs(r.out, stderr);
    test_child_free(&r);
}

TEST(a_stage_that_drains_lets_the_others_end) {
    struct test_child r = test_run_child("it_is_fixed", 20000);
    CHECK_EQ(r.status, 7);
    CHECK_STR(r.out, "");
    test_child_free(&r);
}
