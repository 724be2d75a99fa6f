// context.c - what a tree of contexts looks like inside while it grows and dies.
#include "unit.h"

static int children(const task_ctx *c) {
    int n = 0;
    const task_ctx *prev = NULL;
    for (const task_ctx *k = c->child; k != NULL; prev = k, k = k->next, n++) {
        CHECK(k->parent == c && k->prev == prev && k->a_linked);
    }
    return n;
}

static task_ctx *far_off(task_ctx *up) {
    return ctx_with_timeout(up, 3600 * CHANRT_SECOND);
}

// Case 107: whatever of the list is freed or cancelled leaves it, and the rest stays linked.
TEST(child_leaves_the_list_from_any_place) {
    enum { N = 5 };
    for (int first = 0; first < N; first++) {
        task_ctx *top = ctx_with_cancel(ctx_background()), *c[N];
        for (int i = 0; i < N; i++) {
            c[i] = i % 2 ? ctx_with_cancel(top) : far_off(top);
            CHECK_EQ(children(top), i + 1);
        }
        CHECK_EQ(top->a_refs, 1 + N);
        for (int k = 0; k < N; k++) {
            task_ctx *gone = c[(first + 2 * k) % N];
            if (k % 2) {
                ctx_cancel(gone);
                CHECK_EQ(children(top), N - 1 - k);
                CHECK(!gone->a_linked && gone->a_swept);
                CHECK_EQ(gone->a_refs, 1);
            }
            ctx_free(gone);
            CHECK_EQ(children(top), N - 1 - k);
            CHECK_EQ(top->a_refs, N - k);
        }
        CHECK(top->child == NULL && top->a_error == 0);
        ctx_free(top);
    }
}

TEST(children_of_the_background_are_not_held) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    CHECK(c->parent == NULL && !c->a_linked && chanrt__context_background.child == NULL);
    CHECK_EQ(c->a_refs, 1);
    CHECK_EQ(chanrt__context_background.a_refs, 0);
    ctx_free(c);
}

// X1: each reference is somebody's.
TEST(references_are_those_of_the_law) {
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = far_off(top);
    CHECK_EQ(c->a_refs, 3);                            // owner, list, deadline
    task_ctx *d = ctx_with_cancel(c), *later = far_off(c);
    CHECK_EQ(c->a_refs, 5);
    CHECK(!later->timed);                              // the deadline above is sooner
    CHECK_EQ(d->a_refs, 2);
    ctx_free(c);                                       // the records below remain
    CHECK_EQ(c->a_refs, 2);
    CHECK(c->a_swept && !c->a_armed && !c->node.linked && d->a_swept);
    CHECK_EQ(d->a_refs, 1);                            // its list was swept
    CHECK_EQ(top->a_refs, 2);                          // c's record
    ctx_free(d);
    CHECK_EQ(c->a_refs, 1);
    ctx_free(top);
    CHECK_EQ(top->a_refs, 1);
    ctx_free(later);                                   // the last one takes all with it
}

TEST(child_of_a_cancelled_parent_is_in_no_list) {
    task_ctx *top = ctx_with_cancel(ctx_background());
    ctx_cancel_cause(top, EIO);
    task_ctx *c = far_off(top), *d = ctx_with_cancel(top);
    CHECK(top->child == NULL && !c->a_linked && !d->a_linked);
    CHECK(!c->timed && c->task == NULL);               // nor does it arm anything
    CHECK(c->a_swept && d->a_swept && d->cause == EIO);
    CHECK_EQ(c->a_refs, 1);
    CHECK_EQ(top->a_refs, 3);
    ctx_free(top);
    ctx_free(c);
    ctx_free(d);
}

// The parent is cancelled between the look at it and the link.
TEST(armed_child_that_comes_too_late_is_disarmed) {
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = chanrt__context_new(top);
    c->deadline = chanrt_now() + 3600 * CHANRT_SECOND;
    CHECK(chanrt__context_arm(c));
    CHECK(c->node.linked && c->a_armed);
    ctx_cancel_cause(top, EIO);
    CHECK(chanrt__context_link(c) == c);
    CHECK(!c->node.linked && !c->a_armed && !c->a_linked);
    CHECK_EQ(c->a_refs, 1);
    CHECK_EQ(c->cause, EIO);
    ctx_free(c);
    ctx_free(top);
}

// The deadline fires before the parent knows the child: it is linked, over as it is.
TEST(child_may_expire_before_it_is_linked) {
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = chanrt__context_new(top);
    c->deadline = chanrt_now() + 3600 * CHANRT_SECOND;
    CHECK(chanrt__context_arm(c));
    CHECK(chanrt__sched_disarm(&c->node));             // fires, by hand
    chanrt__sched_discard(NULL, c->task);
    chanrt__context_expire(c);
    CHECK_EQ(c->a_error, ETIMEDOUT);
    CHECK_EQ(top->a_refs, 1);
    chanrt__context_link(c);
    CHECK_EQ(children(top), 1);
    task_ctx *d = ctx_with_cancel(top);
    ctx_free(c);
    CHECK_EQ(children(top), 1);
    CHECK(top->child == d && d->a_error == 0);
    ctx_free(d);
    ctx_free(top);
}

// A sweeper has set the error and not come to the channel yet: whoever looks sees it closed.
TEST(who_sees_the_error_closes_the_channel) {
    for (int how = 0; how < 3; how++) {
        task_ctx *c = ctx_with_cancel(ctx_background());
        chan_receiver(char) done = ctx_done(c);
        c->cause = EIO;
        chanrt__atom_store(&c->a_error, ECANCELED);
        CHECK_EQ(chan_try_recv(done, NULL), EAGAIN);
        if (how == 0) CHECK_EQ(ctx_err(c), ECANCELED);
        if (how == 1) CHECK_EQ(ctx_cause(c), EIO);
        if (how == 2) CHECK(ctx_done(c) == done);
        CHECK_EQ(chan_try_recv(done, NULL), EPIPE);
        c->a_error = 0;
        ctx_free(c);
    }
}

TEST(channel_is_made_at_the_first_question) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    CHECK(c->a_done == NULL);
    CHECK_EQ(ctx_err(c), 0);
    ctx_cancel(c);
    CHECK(c->a_done == NULL && ctx_err(c) == ECANCELED);
    CHECK_EQ(chan_recv(ctx_done(c), NULL), EPIPE);
    CHECK(c->a_done == &c->chan);
    ctx_free(c);
}

// Every context of a tree is swept, each sibling and each level, from any node.
TEST(sweep_walks_the_whole_subtree_and_nothing_else) {
    enum { N = 40 };
    uint32_t seed = 9;
    for (int round = 0; round < 200; round++) {
        task_ctx *c[N];
        int up[N];
        for (int i = 0; i < N; i++) {
            up[i] = i > 0 ? (int)(dice(&seed) % (unsigned)i) : -1;
            c[i] = ctx_with_cancel(i > 0 ? c[up[i]] : ctx_background());
        }
        int from = (int)(dice(&seed) % N);
        ctx_cancel(c[from]);
        for (int i = 0; i < N; i++) {
            bool below = false;
            for (int k = i; k >= 0; k = up[k]) below |= k == from;
            CHECK_EQ(c[i]->a_swept, below);
            CHECK_EQ(c[i]->a_error != 0, below);
        }
        for (int i = 0; i < N; i++) ctx_free(c[(i + from) % N]);
    }
}

TEST(stopped_function_leaves_the_list_from_any_place) {
    task_ctx *c = ctx_with_cancel(ctx_background());
    for (int first = 0; first < 4; first++) {
        uint64_t h[4];
        for (int i = 0; i < 4; i++) h[i] = ctx_after_func(c, free, NULL);
        for (int k = 0; k < 4; k++) {
            CHECK(ctx_after_stop(c, h[(first + 3 * k) % 4]));
            int n = 0;
            for (struct chanrt__task *t = c->after; t != NULL; t = t->next) n++;
            CHECK_EQ(n, 3 - k);
        }
    }
    ctx_free(c);
}

// A deadline fires, and its task is taken away by a shutdown before it runs: its reference must
// not keep the record.
TEST(reference_of_a_deadline_lost_in_a_shutdown_is_given_up) {
    task_ctx *top = ctx_with_cancel(ctx_background()), *c = far_off(top);
    CHECK(chanrt__sched_disarm(&c->node));             // fired; the task is in no queue
    CHECK_EQ(chanrt_shutdown(CHANRT_SECOND), 0);
    CHECK(c->a_armed && c->a_refs == 3);
    ctx_free(top);
    CHECK_EQ(c->a_error, ECANCELED);
    ctx_free(c);                                       // the frame counts blocks
}
