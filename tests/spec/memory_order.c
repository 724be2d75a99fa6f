// memory_order.c - what a channel operation publishes. The payload is plain memory, so that
// ThreadSanitizer reports every edge that is missing; elsewhere a wrong value would show.
#include "spec.h"

// One side writes plain memory and then acts on a channel; the other acts and then reads.
struct side {
    chan(int) ch, other;
    int *payload;
    int n, way, bad;
};

enum { PLAIN, TRY, TIMED, SELECTED, ARRAY, WAYS };

static int put(const struct side *s, int v) {
    chan_case cases[] = { case_recv(s->other, NULL), case_send(s->ch, &v) };
    int err = EAGAIN;
    switch (s->way) {
    case PLAIN: return chan_send(s->ch, v);
    case TRY:
        while ((err = chan_try_send(s->ch, v)) == EAGAIN) task_yield();
        return err;
    case TIMED:
        while ((err = chan_send_timeout(s->ch, v, test_unit / 8)) == ETIMEDOUT) continue;
        return err;
    case SELECTED:
        chan_select {
            on_recv(s->other, NULL) { err = EINVAL; }
            on_send(s->ch, v)       { err = select_err(); }
        }
        return err;
    default: return chan_select_n(cases, 2, -1) == 1 ? cases[1].err : EINVAL;
    }
}

static int take(const struct side *s, int *v) {
    chan_case cases[] = { case_recv(s->ch, v), case_recv(s->other, NULL) };
    int err = EAGAIN;
    switch (s->way) {
    case PLAIN: return chan_recv(s->ch, v);
    case TRY:
        while ((err = chan_try_recv(s->ch, v)) == EAGAIN) task_yield();
        return err;
    case TIMED:
        while ((err = chan_recv_timeout(s->ch, v, test_unit / 8)) == ETIMEDOUT) continue;
        return err;
    case SELECTED:
        chan_select {
            on_recv(s->ch, v)       { err = select_err(); }
            on_recv(s->other, NULL) { err = EINVAL; }
        }
        return err;
    default: return chan_select_n(cases, 2, -1) == 0 ? cases[0].err : EINVAL;
    }
}

//------------------------------------------------------------------------------
// A send happens before its receive, whatever the spelling.

PARTY(write_and_put, struct side, s) {
    for (int i = 0; i < s->n; i++) {
        s->payload[i] = i + 1;
        s->bad += put(s, i) != 0;
    }
}

PARTY(take_and_read, struct side, s) {
    for (int i = 0; i < s->n; i++) {
        int v = -1;
        s->bad += take(s, &v) != 0 || v != i || s->payload[v] != i + 1;
    }
}

TEST(what_was_written_before_a_send_is_seen_after_its_receive) { // case 72 *25
    int n = (int)test_rounds(1000);
    for (int i = 0; i < WAYS * WAYS * 4; i++) {
        int put_way = i % WAYS, take_way = i / WAYS % WAYS, cap = i / (WAYS * WAYS);
        if (put_way == TRY && take_way == TRY && cap == 0) continue;   // two tries never meet
        struct crowd crowd = {0};
        int *payload = calloc((size_t)n, sizeof *payload);
        chan(int) ch = chan_make(int, (size_t)cap), other = chan_make(int, 0);
        struct side writer = { ch, other, payload, n, put_way, 0 };
        struct side reader = { ch, other, payload, n, take_way, 0 };
        crowd_add(&crowd, i % 4 == 1, write_and_put, &writer);
        crowd_add(&crowd, i % 4 == 2, take_and_read, &reader);
        crowd_join(&crowd);
        CHECK_EQ(writer.bad, 0);
        CHECK_EQ(reader.bad, 0);
        free(payload);
        chan_free(ch);
        chan_free(other);
    }
}

PARTY(write_and_put_once, struct side, s) {
    *s->payload = 7;
    s->bad += put(s, 1) != 0;
}

TEST(what_a_blocked_sender_wrote_is_seen_by_who_takes_its_value) { // case 72 *25
    for (int i = 0; i < 2 * 40; i++) {
        struct crowd crowd = {0};
        int payload = 0, v = -1, cap = i % 3;
        chan(int) ch = chan_make(int, (size_t)cap), other = chan_make(int, 0);
        int way = i % 2 ? PLAIN : SELECTED;
        struct side writer = { ch, other, &payload, 1, way, 0 };
        struct side reader = { ch, other, NULL, 1, i % WAYS, 0 };
        for (int k = 0; k < cap; k++) CHECK_EQ(chan_send(ch, 0), 0);
        crowd_add(&crowd, i & 4, write_and_put_once, &writer);
        until_blocked(1);
        for (int k = 0; k <= cap; k++) CHECK_EQ(take(&reader, &v), 0);
        CHECK_EQ(v, 1);
        CHECK_EQ(payload, 7);
        crowd_join(&crowd);
        chan_free(ch);
        chan_free(other);
    }
}

//------------------------------------------------------------------------------
// Unbuffered: a receive happens before the return of its send.

PARTY(write_and_take, struct side, s) {
    for (int i = 0; i < s->n; i++) {
        s->payload[i] = i + 1;
        s->bad += take(s, NULL) != 0;
    }
}

PARTY(put_and_read, struct side, s) {
    for (int i = 0; i < s->n; i++) {
        s->bad += put(s, i) != 0 || s->payload[i] != i + 1;
    }
}

TEST(what_was_written_before_an_unbuffered_receive_is_seen_after_its_send) { // case 72 *25
    int n = (int)test_rounds(2000);
    for (int i = 0; i < WAYS * WAYS; i++) {
        if (i % WAYS == TRY && i / WAYS == TRY) continue;
        struct crowd crowd = {0};
        int *payload = calloc((size_t)n, sizeof *payload);
        chan(int) ch = chan_make(int, 0), other = chan_make(int, 0);
        struct side writer = { ch, other, payload, n, i % WAYS, 0 };
        struct side reader = { ch, other, payload, n, i / WAYS, 0 };
        crowd_add(&crowd, i % 4 == 1, write_and_take, &writer);
        crowd_add(&crowd, i % 4 == 2, put_and_read, &reader);
        crowd_join(&crowd);
        CHECK_EQ(writer.bad, 0);
        CHECK_EQ(reader.bad, 0);
        free(payload);
        chan_free(ch);
        chan_free(other);
    }
}

//------------------------------------------------------------------------------
// Capacity C: receive k happens before the return of send k + C.

struct slots {
    chan(int) ch;
    int *slot, cap, n, bad;
};

// Slot i % (C + 2) was last used by value i - C - 2. Send i - 1 has returned, so receive
// i - 1 - C has happened; and before that the receiver was through with the value before it.
PARTY(fill_slots, struct slots, s) {
    for (int i = 0; i < s->n; i++) {
        s->slot[i % (s->cap + 2)] = i;
        s->bad += chan_send(s->ch, i % (s->cap + 2)) != 0;
    }
}

PARTY(empty_slots, struct slots, s) {
    for (int i = 0; i < s->n; i++) {
        int at = chan_get(s->ch);
        s->bad += s->slot[at] != i;
        s->slot[at] = -1;
    }
}

TEST(a_slot_is_reused_only_after_its_receiver_left_it) { // case 72 *25
    for (int i = 0; i < 6; i++) {
        struct crowd crowd = {0};
        int slot[8] = {0}, cap = i % 3;
        struct slots s = { chan_make(int, (size_t)cap), slot, cap, (int)test_rounds(20000), 0 };
        struct slots t = s;
        crowd_add(&crowd, i == 3, fill_slots, &s);
        crowd_add(&crowd, i == 4, empty_slots, &t);
        crowd_join(&crowd);
        CHECK_EQ(s.bad, 0);
        CHECK_EQ(t.bad, 0);
        chan_free(s.ch);
    }
}

struct shared {
    chan(int) ch, done;
    int64_t *counter;
    int n;
};

// Sending acquires and receiving releases: receive k before send k + 1.
PARTY(count_under_a_full_channel, struct shared, s) {
    for (int i = 0; i < s->n; i++) {
        chan_send(s->ch, 1);
        ++*s->counter;
        chan_recv(s->ch, NULL);
    }
}

// Receiving acquires and sending releases: send before receive.
PARTY(count_with_a_token, struct shared, s) {
    for (int i = 0; i < s->n; i++) {
        chan_recv(s->ch, NULL);
        ++*s->counter;
        chan_send(s->ch, 1);
    }
}

PARTY(count_in_a_select, struct shared, s) {
    for (int i = 0; i < s->n; i++) {
        bool mine = false;
        while (!mine) {
            chan_select {
                on_send(s->ch, 1)     { mine = true; }
                on_recv(s->done, NULL) { NEVER("nobody sends there"); }
            }
        }
        ++*s->counter;
        chan_select { on_recv(s->ch, NULL) {} on_default { NEVER("it is ours"); } }
    }
}

PARTY(count_by_tries, struct shared, s) {
    for (int i = 0; i < s->n; i++) {
        while (chan_try_send(s->ch, 1) != 0) task_yield();
        ++*s->counter;
        CHECK_EQ(chan_try_recv(s->ch, NULL), 0);
    }
}

TEST(a_channel_of_one_is_a_mutex) { // case 74, 72 *25
    for (int token = 0; token < 2; token++) {
        struct crowd crowd = {0};
        int64_t counter = 0;
        int n = (int)test_rounds(5000);
        struct shared s = { chan_make(int, 1), chan_make(int, 0), &counter, n };
        if (token) CHECK_EQ(chan_send(s.ch, 1), 0);
        for (int i = 0; i < 4; i++) {
            if (token) {
                crowd_add(&crowd, i == 3, count_with_a_token, &s);
            } else {
                crowd_add(&crowd, i == 3, count_under_a_full_channel, &s);
                crowd_add(&crowd, i == 2, count_in_a_select, &s);
                crowd_add(&crowd, i == 1, count_by_tries, &s);
            }
        }
        crowd_join(&crowd);
        CHECK_EQ(counter, (token ? 4 : 12) * (int64_t)n);
        chan_free(s.ch);
        chan_free(s.done);
    }
}

struct permits {
    chan(int) ch;
    atomic_int *inside;
    int n, most;
};

PARTY(work_with_a_permit, struct permits, p) {
    for (int i = 0; i < p->n; i++) {
        chan_send(p->ch, 1);
        int now = atomic_fetch_add(p->inside, 1) + 1;
        if (now > p->most) p->most = now;
        if (i % 8 == 0) task_yield();
        atomic_fetch_sub(p->inside, 1);
        chan_recv(p->ch, NULL);
    }
}

TEST(a_channel_of_three_is_a_semaphore) { // case 74
    struct crowd crowd = {0};
    atomic_int inside = 0;
    struct permits p[8];
    chan(int) ch = chan_make(int, 3);
    for (int i = 0; i < 8; i++) {
        p[i] = (struct permits){ ch, &inside, (int)test_rounds(5000), 0 };
        crowd_add(&crowd, i == 7, work_with_a_permit, &p[i]);
    }
    crowd_join(&crowd);
    for (int i = 0; i < 8; i++) CHECK(p[i].most <= 3);
    CHECK_EQ(chan_len(ch), 0);
    chan_free(ch);
}

//------------------------------------------------------------------------------
// Close, the end of a task, its start.

PARTY(write_and_close, struct side, s) {
    for (int i = 0; i < s->n; i++) s->payload[i] = i + 1;
    s->bad += chan_close(s->ch) != 0;
}

TEST(what_was_written_before_a_close_is_seen_after_its_zero) { // case 72 *25
    enum { WORDS = 16 };
    for (int i = 0; i < test_rounds(4000); i++) {
        struct crowd crowd = {0};
        int payload[WORDS] = {0}, v = -1, sum = 0;
        chan(int) ch = chan_make(int, (size_t)i % 2), other = chan_make(int, 0);
        struct side closer = { ch, other, payload, WORDS, 0, 0 };
        struct side reader = { ch, other, payload, WORDS, i % WAYS, 0 };
        crowd_add(&crowd, i % 64 == 9, write_and_close, &closer);
        CHECK_EQ(take(&reader, &v), EPIPE);
        for (int k = 0; k < WORDS; k++) sum += payload[k];
        CHECK_EQ(sum, WORDS * (WORDS + 1) / 2);
        crowd_join(&crowd);
        chan_free(ch);
        chan_free(other);
    }
}

PARTY(read_after_close, struct side, s) {
    int v = -1;
    s->bad += take(s, &v) != EPIPE || v != 0;
    for (int i = 0; i < s->n; i++) s->bad += s->payload[i] != i + 1;
}

TEST(a_close_publishes_to_everybody_it_wakes) { // case 72 *25
    for (int round = 0; round < 10; round++) {
        struct crowd crowd = {0};
        enum { READERS = 12, WORDS = 16 };
        int payload[WORDS] = {0};
        chan(int) ch = chan_make(int, 0), other = chan_make(int, 0);
        struct side reader[READERS];
        for (int i = 0; i < READERS; i++) {
            reader[i] = (struct side){ ch, other, payload, WORDS, i % WAYS, 0 };
            crowd_add(&crowd, i % 6 == 5, read_after_close, &reader[i]);
        }
        for (int i = 0; i < WORDS; i++) payload[i] = i + 1;
        CHECK_EQ(chan_close(ch), 0);
        crowd_join(&crowd);
        for (int i = 0; i < READERS; i++) CHECK_EQ(reader[i].bad, 0);
        chan_free(ch);
        chan_free(other);
    }
}

PARTY(increment, struct shared, s) {
    *s->counter += 1;                              // seen from the start, for the end
    chan_send(s->done, 1);
}

TEST(a_channel_is_a_waitgroup) { // case 74
    for (int cap = 0; cap < 3; cap++) {
        struct crowd crowd = {0};
        enum { TASKS = 100 };
        int64_t counter[TASKS];
        struct shared s[TASKS];
        chan(int) done = chan_make(int, (size_t)cap * TASKS);
        for (int i = 0; i < TASKS; i++) {
            counter[i] = i;
            s[i] = (struct shared){ NULL, done, &counter[i], 1 };
            crowd_add(&crowd, i % 16 == 7, increment, &s[i]);
        }
        for (int i = 0; i < TASKS; i++) CHECK_EQ(chan_recv(done, NULL), 0);
        for (int i = 0; i < TASKS; i++) CHECK_EQ(counter[i], i + 1);
        crowd_join(&crowd);
        chan_free(done);
    }
}

TASK(hand_on, chan(int), in, chan(int), out, int *, payload) {
    if (chan_get(in) == 1) *payload += 1;
    chan_send(out, 1);
}

TEST(a_chain_of_channels_publishes_all_that_was_before) { // case 72 *25
    enum { LINKS = 50 };
    for (int round = 0; round < 20; round++) {
        waitgroup wg = {0};
        int payload = 0;
        chan(int) link[LINKS + 1];
        for (int i = 0; i <= LINKS; i++) link[i] = chan_make(int, (size_t)(i & round & 1));
        for (int i = 0; i < LINKS; i++) {
            CHECK_EQ(wg_go(&wg, hand_on, link[i], link[i + 1], &payload), 0);
        }
        CHECK_EQ(chan_send(link[0], 1), 0);
        CHECK_EQ(chan_get(link[LINKS]), 1);
        CHECK_EQ(payload, LINKS);
        wg_wait(&wg);
        for (int i = 0; i <= LINKS; i++) chan_free(link[i]);
    }
}

PARTY(own_and_drop, struct side, s) {
    s->payload[0] = 1;
    s->bad += chan_try_recv(s->ch, NULL) != EAGAIN;
    chan_free(s->ch);
}

TEST(the_last_free_comes_after_every_use) { // case 72 *25
    for (int i = 0; i < test_rounds(2000); i++) {
        struct crowd crowd = {0};
        int payload[2] = {0};
        chan(int) ch = chan_make(int, 1);
        struct side a = { .ch = chan_ref(ch), .payload = &payload[0] };
        struct side b = { .ch = chan_ref(ch), .payload = &payload[1] };
        crowd_add(&crowd, i % 64 == 0, own_and_drop, &a);
        crowd_add(&crowd, i % 64 == 1, own_and_drop, &b);
        chan_free(ch);
        crowd_join(&crowd);
        CHECK_EQ(payload[0] + payload[1], 2);
        CHECK_EQ(a.bad + b.bad, 0);
    }
}
