// Answers, with a task for each of its channels.
#include "plugin.h"

TASK(answer, chan(int), questions, chan(int), answers) {
    chan_range(int, q, questions) chan_send(answers, q + 1);
    chan_close(answers);
}

static int start(struct plugin *p, chan(int) questions, chan(int) answers) {
    p->questions = questions != NULL ? questions : chan_make(int, 2);
    p->answers = answers != NULL ? answers : chan_make(int, 2);
    return go(answer, p->questions, p->answers);
}

static int ask(struct plugin *p, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        chan_send(p->questions, i);
        sum += chan_get(p->answers);
    }
    chan_close(p->questions);
    return sum;
}

static int stop(struct plugin *p) {
    int err = chanrt_shutdown(CHANRT_SECOND);
    chan_free(p->questions);
    chan_free(p->answers);
    return err;
}

struct plugin *plugin(void) {
    static struct plugin self = { NULL, NULL, start, ask, stop };
    return &self;
}
