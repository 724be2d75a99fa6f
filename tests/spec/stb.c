// stb.c - channels to and from the arrays of stb_ds.
#include "spec.h"
#include <stb/stb_ds.h>

TASK(count_to, chan_sender(int), out, int, n) {
    for (int i = 0; i < n; i++) CHECK_EQ(chan_send(out, i), 0);
    CHECK_EQ(chan_close(out), 0);
}

TEST(collect_appends_what_comes_until_the_close) {
    for (size_t cap = 0; cap < 3; cap++) {
        waitgroup wg = {0};
        chan(int) ch = chan_make(int, cap);
        CHECK_EQ(wg_go(&wg, count_to, ch, 1000), 0);
        int *all = NULL;
        arrput(all, -1);                       // what is there stays
        chan_collect(ch, all);
        CHECK_EQ(arrlen(all), 1001);
        int bad = 0;
        for (int i = 0; i < arrlen(all); i++) bad += all[i] != i - 1;
        CHECK_EQ(bad, 0);
        wg_wait(&wg);
        arrfree(all);
        chan_free(ch);
    }
}

TEST(collect_from_a_closed_or_null_channel_appends_nothing) {
    chan(int) ch = chan_make(int, 2), none = NULL;
    CHECK_EQ(chan_send(ch, 4), 0);
    CHECK_EQ(chan_close(ch), 0);
    int *all = NULL;
    chan_collect(ch, all);
    CHECK_EQ(arrlen(all), 1);
    if (arrlen(all) == 1) CHECK_EQ(all[0], 4);
    chan_collect(ch, all);
    chan_collect(none, all);
    CHECK_EQ(arrlen(all), 1);
    arrfree(all);
    chan_free(ch);
}

TASK(send_array, chan_sender(int), out, const int *, numbers, int *, err) {
    *err = chan_send_all(out, numbers);
    chan_close(out);
}

TEST(send_all_sends_each_element_in_order) {
    for (size_t cap = 0; cap < 3; cap++) {
        waitgroup wg = {0};
        chan(int) ch = chan_make(int, cap);
        int *numbers = NULL, next = 0, err = -1;
        for (int i = 0; i < 500; i++) arrput(numbers, i * 3);
        CHECK_EQ(wg_go(&wg, send_array, ch, numbers, &err), 0);
        chan_range(int, v, ch) CHECK_EQ(v, 3 * next++);
        CHECK_EQ(next, 500);
        wg_wait(&wg);
        CHECK_EQ(err, 0);
        CHECK_EQ(arrlen(numbers), 500);        // the array is only read
        arrfree(numbers);
        chan_free(ch);
    }
}

TEST(send_all_stops_at_the_first_error) {
    chan(int) ch = chan_make(int, 8), none = NULL;
    int *numbers = NULL, *empty = NULL, v = -1;
    for (int i = 0; i < 3; i++) arrput(numbers, i);
    CHECK_EQ(chan_send_all(ch, empty), 0);
    CHECK_EQ(chan_len(ch), 0);
    CHECK_EQ(chan_send_all(ch, numbers), 0);
    CHECK_EQ(chan_len(ch), 3);
    CHECK_EQ(chan_close(ch), 0);
    CHECK_EQ(chan_send_all(ch, numbers), EPIPE);
    CHECK_EQ(chan_send_all(none, numbers), EINVAL);
    for (int i = 0; i < 3; i++) CHECK_EQ(chan_get(ch), i);
    CHECK_EQ(chan_recv(ch, &v), EPIPE);
    arrfree(numbers);
    chan_free(ch);
}

TASK(send_until_refused, chan(int), ch, const int *, numbers, int *, err) {
    *err = chan_send_all(ch, numbers);
}

TEST(send_all_blocked_half_way_ends_when_the_channel_is_closed) {
    waitgroup wg = {0};
    chan(int) ch = chan_make(int, 2);
    int *numbers = NULL, err = -1;
    for (int i = 0; i < 10; i++) arrput(numbers, i);
    CHECK_EQ(wg_go(&wg, send_until_refused, ch, numbers, &err), 0);
    CHECK_EQ(chan_get(ch), 0);
    until_blocked(1);
    CHECK_EQ(chan_close(ch), 0);
    wg_wait(&wg);
    CHECK_EQ(err, EPIPE);
    int *got = NULL;
    chan_collect(ch, got);
    CHECK_EQ(arrlen(got), 2);
    arrfree(got);
    arrfree(numbers);
    chan_free(ch);
}

struct pair { char *key; int value; };

TEST(elements_may_be_structs_and_travel_through_a_map) {
    waitgroup wg = {0};
    chan(struct pair) ch = chan_make(struct pair, 4);
    struct pair *list = NULL, *back = NULL, *map = NULL;
    static char names[4][8] = { "north", "east", "south", "west" };
    for (int i = 0; i < 4; i++) {
        struct pair p = { names[i], i };
        arrput(list, p);
    }
    CHECK_EQ(chan_send_all(ch, list), 0);
    CHECK_EQ(chan_close(ch), 0);
    chan_collect(ch, back);
    for (int i = 0; i < arrlen(back); i++) shput(map, back[i].key, back[i].value);
    CHECK_EQ(shlen(map), 4);
    CHECK_EQ(shget(map, "south"), 2);
    wg_wait(&wg);
    shfree(map);
    arrfree(list);
    arrfree(back);
    chan_free(ch);
}

static int evaluations;

static chan(int) counted(chan(int) ch) {
    evaluations++;
    return ch;
}

static int *counted_array(int *a) {
    evaluations++;
    return a;
}

TEST(the_operands_of_collect_and_send_all_are_evaluated_once) {
    chan(int) ch = chan_make(int, 4);
    int *numbers = NULL, *got = NULL;
    for (int i = 0; i < 4; i++) arrput(numbers, i);
    evaluations = 0;
    CHECK_EQ(chan_send_all(counted(ch), counted_array(numbers)), 0);
    CHECK_EQ(evaluations, 2);
    CHECK_EQ(chan_close(ch), 0);
    chan_collect(counted(ch), got);
    CHECK_EQ(evaluations, 3);
    CHECK_EQ(arrlen(got), 4);
    arrfree(numbers);
    arrfree(got);
    chan_free(ch);
}
