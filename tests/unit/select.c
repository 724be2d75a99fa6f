// select.c - the order cases are queued in, the exactness of a default, and what is left behind.
#include "between.h"
#include "unit.h"

//------------------------------------------------------------------------------
// Order.

TEST(cases_are_sorted_by_address_without_those_that_have_none) {
    enum { MOST = 100 };
    static char addresses[40];
    uint32_t seed = 5;
    for (int n = 0; n <= MOST; n++) {
        chan_case cases[MOST];
        int order[MOST], seen[MOST] = {0}, channels = 0;
        for (int i = 0; i < n; i++) {
            uint32_t at = dice(&seed) % 41;            // 40: none
            cases[i].x_chan = at < 40 ? &addresses[at] : NULL;
            channels += at < 40;
        }
        CHECK_EQ(chanrt__select_sort(cases, n, order), channels);
        for (int i = 0; i < channels; i++) {
            CHECK(cases[order[i]].x_chan != NULL && seen[order[i]]++ == 0);
            if (i > 0) CHECK((uintptr_t)cases[order[i - 1]].x_chan <=
                             (uintptr_t)cases[order[i]].x_chan);
        }
    }
}

//------------------------------------------------------------------------------
// Exactness: the token is always in one of the channels, though never for long in one.
// A poll that looks at one after the other would miss it now and then.

static chan(int) here, there;
static atomic_bool enough;

static void *carry_about(void *unused) {
    while (!atomic_load(&enough)) {
        CHECK_EQ(chan_send(there, 1), 0);              // there are two of it for a moment
        CHECK_EQ(chan_recv(here, NULL), 0);
        CHECK_EQ(chan_send(here, 1), 0);
        CHECK_EQ(chan_recv(there, NULL), 0);
    }
    return unused;
}

TEST(poll_never_misses_what_is_always_somewhere) {
    pthread_t carrier;
    int value;
    here = chan_make(int, 3);
    there = chan_make(int, 3);
    CHECK_EQ(chan_send(here, 1), 0);
    atomic_store(&enough, false);
    pthread_create(&carrier, NULL, carry_about, NULL);
    long missed = 0;
    for (long i = test_rounds(100000); i > 0; i--) {
        chan_case cases[] = { case_recv(here, &value), case_recv(there, &value) };
        int won = chanrt__select_poll(cases, 2, i % 2 == 0, true);
        missed += won < 0;
        if (won >= 0) CHECK_EQ(chan_send(won == 0 ? here : there, 1), 0);      // put it back
    }
    CHECK_EQ(missed, 0);
    atomic_store(&enough, true);
    pthread_join(carrier, NULL);
    chan_free(here);
    chan_free(there);
}

// The same without luck, in every way there is: what is always in one of the two is carried to the
// other, four times, each time at some step of the look. Both can be found unready twice, each
// while the other is not, and only the versions tell.
enum { CARRIES = 4 };

static struct {
    bool room;              // is carried, not a value
    bool at_there;
    int step, done;
    int when[CARRIES];      // the steps to carry it at, in order
} carrier;

static void carry(void) {
    chan(int) from = carrier.at_there ? there : here, to = carrier.at_there ? here : there;
    CHECK_EQ(carrier.room ? chan_try_recv(to, NULL) : chan_try_send(to, 1), 0);
    CHECK_EQ(carrier.room ? chan_try_send(from, 1) : chan_try_recv(from, NULL), 0);
    carrier.at_there = !carrier.at_there;
}

static bool is_locked(const volatile void *ch) {
    return chanrt__atom_load(&chanrt__chan_of(ch)->a_lock) != 0;
}

static void carry_between(void) {
    if (is_locked(here) || is_locked(there)) return;   // no other thread would get in
    for (; carrier.done < CARRIES && carrier.when[carrier.done] == carrier.step; carrier.done++)
        carry();
    carrier.step++;
}

static int look_and_carry(bool exact) {
    int v = 1;
    chan_case recvs[] = { case_recv(here, &v), case_recv(there, &v) };
    chan_case sends[] = { case_send(here, &v), case_send(there, &v) };
    chan_case *cases = carrier.room ? sends : recvs;
    carrier.step = 0;
    between = carry_between;
    int won = exact ? chan_select_n(cases, 2, 0) : chanrt__select_poll(cases, 2, true, false);
    between = NULL;
    return won;
}

// Whether a look that begins with it here does not find it.
static bool misses(bool exact) {
    for (int k = 0; k < 2; k++) {
        chan(int) ch = k ? there : here;
        chan_try_recv(ch, NULL);
        if (carrier.room == k) CHECK_EQ(chan_try_send(ch, 1), 0);
    }
    carrier.at_there = false;
    carrier.done = 0;
    return look_and_carry(exact) < 0;
}

// The next way, from { 0, 0, ... } to { last, last, ... }; false: that was it.
static bool next_way(int last) {
    int i = CARRIES - 1;
    while (i >= 0 && carrier.when[i] == last) i--;
    if (i < 0) return false;
    for (int step = carrier.when[i] + 1; i < CARRIES; i++) carrier.when[i] = step;
    return true;
}

TEST(select_finds_what_is_always_somewhere_whenever_it_moves) {
    for (int room = 0; room < 2; room++) {
        here = chan_make(int, 1);
        there = chan_make(int, 1);
        if (room) CHECK_EQ(chan_send(here, 1) + chan_send(there, 1), 0);
        carrier.room = room;
        carrier.done = CARRIES;
        CHECK_EQ(look_and_carry(true), -1);            // nothing to find, nor to carry
        int steps = carrier.step + 4;                  // a try at what has gone takes some more
        long missed = 0, missed_by_one_look = 0;
        memset(carrier.when, 0, sizeof carrier.when);
        do {
            missed += misses(true);
            missed_by_one_look += misses(false);
        } while (next_way(steps));
        CHECK_EQ(missed, 0);
        CHECK(missed_by_one_look > 0);                 // the carrier does get between
        chan_free(here);
        chan_free(there);
    }
}

TEST(poll_of_nothing_ready_takes_nothing) {
    int v = 7;
    here = chan_make(int, 1);
    there = chan_make(int, 0);
    CHECK_EQ(chan_send(here, 1), 0);
    chan(int) none = NULL;
    chan_case cases[] = { case_send(here, &v), case_recv(there, &v), case_send(there, &v),
                          case_recv(none, &v) };
    CHECK_EQ(chanrt__select_poll(cases, 4, false, true), -1);
    CHECK_EQ(chanrt__select_poll(cases, 4, true, false), -1);
    CHECK_EQ(chan_len(here), 1);
    CHECK_EQ(v, 7);
    chan_free(here);
    chan_free(there);
}

// A default trusts in the version: whatever may make a case ready changes it.
TASK(waits_on, bool, send) {
    if (send) chan_send(here, 3);
    else chan_recv(here, NULL);
}

static void changes(uint32_t *before) {
    struct chanrt__chan *c = chanrt__chan_of(here);
    CHECK(chanrt__atom_load(&c->a_version) != *before);
    *before = chanrt__atom_load(&c->a_version);
}

TEST(whatever_may_make_a_case_ready_changes_the_version) {
    for (int direction = 0; direction < 2; direction++) {
        here = chan_make(int, 1);
        struct chanrt__chan *c = chanrt__chan_of(here);
        struct chanrt_x_queue *q = direction ? &c->sendq : &c->recvq;
        uint32_t version = c->a_version;
        CHECK_EQ(chan_send(here, 1), 0);
        changes(&version);                             // something to receive
        CHECK_EQ(chan_recv(here, NULL), 0);
        changes(&version);                             // room
        if (direction) CHECK_EQ(chan_send(here, 1), 0);
        version = c->a_version;
        CHECK_EQ(go(waits_on, direction), 0);
        while (chanrt__atom_load(&q->a_first) == NULL) chanrt__os_nap(CHANRT_MILLISECOND / 10);
        chanrt__os_lock(&c->a_lock);                   // it has queued itself, and changed that
        chanrt__os_unlock(&c->a_lock);
        changes(&version);                             // a partner
        CHECK_EQ(chan_close(here), 0);
        changes(&version);
        CHECK_EQ(chanrt_shutdown(-1), 0);
        chan_free(here);
    }
}

//------------------------------------------------------------------------------
// What is left behind.

static bool nobody_waits(const volatile void *ch) {
    const struct chanrt__chan *c = chanrt__chan_of(ch);
    return c->recvq.a_first == NULL && c->recvq.claims == 0 &&
           c->sendq.a_first == NULL && c->sendq.claims == 0;
}

enum { MANY = 20 };

TASK(wait_for_many, chan(int) *, all, int64_t, ns, int, expected) {
    int v = 0;
    chan_case cases[MANY];
    for (int i = 0; i < MANY; i++) cases[i] = case_recv(all[i], &v);
    CHECK_EQ(chan_select_n(cases, MANY, ns), expected);
    if (expected >= 0) CHECK_EQ(v, 1000 + expected);
}

TEST(every_node_is_left_again) {
    chan(int) all[MANY];
    for (int i = 0; i < MANY; i++) all[i] = chan_make(int, 0);
    for (int i = 0; i < MANY; i++) {
        waitgroup wg = {0};
        CHECK_EQ(wg_go(&wg, wait_for_many, all, i % 5 ? -1 : 200000, i % 5 ? i : -1), 0);
        if (i % 5) CHECK_EQ(chan_send(all[i], 1000 + i), 0);
        wg_wait(&wg);
        for (int k = 0; k < MANY; k++) CHECK(nobody_waits(all[k]));
    }
    wait_for_many(all, 1000, -1);                      // a thread, too
    for (int k = 0; k < MANY; k++) CHECK(nobody_waits(all[k]));
    for (int i = 0; i < MANY; i++) chan_free(all[i]);
}

TEST(one_channel_in_many_cases_never_meets_itself) {
    here = chan_make(int, 0);
    int v = 3;
    chan_case cases[] = { case_send(here, &v), case_recv(here, &v), case_send(here, &v),
                          case_recv(here, NULL) };
    for (int k = 0; k < 20; k++) CHECK_EQ(chan_select_n(cases, 4, 20000), -1);
    CHECK(nobody_waits(here));
    chan_free(here);
}

TEST(case_found_ready_while_queueing_cancels_the_rest) {
    here = chan_make(int, 0);
    there = chan_make(int, 1);
    CHECK_EQ(chan_send(there, 5), 0);
    int v = 0;
    chan_case cases[] = { case_recv(here, &v), case_recv(there, &v) };
    CHECK_EQ(chanrt__select_block(cases, 2, CHANRT__FOREVER, false, false), 1);
    CHECK_EQ(v, 5);
    CHECK(nobody_waits(here) && nobody_waits(there));
    chan_free(here);
    chan_free(there);
}

// Channels come by address there, and what is written first shall win.
TEST(ordered_select_that_finds_one_ready_while_queueing_looks_again) {
    int v = 0;
    here = chan_make(int, 1);
    there = chan_make(int, 1);
    bool swapped = (uintptr_t)here > (uintptr_t)there;
    chan(int) low = swapped ? there : here, high = swapped ? here : there;
    chan_case cases[] = { case_recv(high, &v), case_recv(low, &v) };
    CHECK_EQ(chan_send(low, 5), 0);
    CHECK_EQ(chanrt__select_block(cases, 2, CHANRT__FOREVER, true, false),
             CHANRT__SELECT_AGAIN);
    CHECK(nobody_waits(here) && nobody_waits(there));
    CHECK_EQ(chan_len(low), 1);
    chan_free(here);
    chan_free(there);
}

// A select that is still queueing itself keeps a close in the channel's lock again and again;
// meanwhile the last reference goes.
static void *close_here(void *unused) {
    CHECK_EQ(chan_close(here), 0);
    return unused;
}

TEST(close_that_has_to_come_again_keeps_the_channel) {
    pthread_t closer;
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    here = chan_make(int, 0);
    struct chanrt__chan *c = chanrt__chan_of(here);
    chanrt__wait_begin(&wait, &node, true);            // BUSY
    chanrt__wait_enqueue(&wait, &c->recvq, &c->a_lock, NULL, 0);
    pthread_create(&closer, NULL, close_here, NULL);
    while (!chanrt__atom_load(&c->a_closed)) sched_yield();
    for (int i = 0; i < 20 && chanrt__atom_load(&c->a_refs) == 1; i++)
        chanrt__os_nap(CHANRT_MILLISECOND);
    CHECK_EQ(chanrt__atom_load(&c->a_refs), 2);
    chan_free(here);
    CHECK_EQ(chanrt__atom_load(&c->a_refs), 1);
    chanrt__wait_cancel(&wait);
    chanrt__chan_leave(c, &node);
    pthread_join(closer, NULL);                        // and frees it
}

//------------------------------------------------------------------------------
// Guesses.

enum { FOUR = 4, TRIALS = 4000 };

// Four channels, of which those of the mask are closed, so always ready.
static void some_of_four(chan(int) *ch, chan_case *cases, int mask) {
    for (int i = 0; i < FOUR; i++) {
        ch[i] = chan_make(int, 1);
        if (mask >> i & 1) chan_close(ch[i]);
        cases[i] = case_recv(ch[i], NULL);
    }
}

static void free_four(chan(int) *ch) {
    for (int i = 0; i < FOUR; i++) chan_free(ch[i]);
}

static uint8_t *plenty_of(chan(int) ch) {
    return &chanrt__chan_of(ch)->a_plenty;
}

// Nine sigma of TRIALS tosses are below 300.
static void share_evenly(chan_case *cases, uint8_t *plenty, int mask) {
    int count[FOUR] = {0};
    for (int i = 0; i < TRIALS; i++) {
        *plenty = CHANRT__SELECT_PLENTY;
        count[chan_select_n(cases, FOUR, i % 2 - 1)]++;
    }
    for (int i = 0; i < FOUR; i++) {
        int want = mask >> i & 1 ? TRIALS / __builtin_popcount((unsigned)mask) : 0;
        CHECK(abs(count[i] - want) <= (want == 0 || want == TRIALS ? 0 : 300));
    }
}

TEST(a_guess_leaves_each_ready_case_as_likely) {
    for (int mask = 1; mask < 1 << FOUR; mask++) {
        chan(int) ch[FOUR];
        chan_case cases[FOUR];
        some_of_four(ch, cases, mask);
        share_evenly(cases, plenty_of(ch[0]), mask);
        free_four(ch);
    }
}

TEST(descriptors_are_as_likely_as_channels_where_one_would_guess) {
    int fds[2];
    chan(int) ch[FOUR];
    chan_case cases[FOUR];
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    some_of_four(ch, cases, 0xf);
    cases[2] = case_io(fds[0], CHANRT_IO_READ);
    share_evenly(cases, plenty_of(ch[0]), 0xf);
    free_four(ch);
    close(fds[0]);
    close(fds[1]);
}

TEST(an_ordered_select_does_not_guess) {
    chan(int) ch[FOUR];
    chan_case cases[FOUR];
    some_of_four(ch, cases, 0xe);
    *plenty_of(ch[0]) = CHANRT__SELECT_PLENTY;
    for (int i = 0, got = 0; i < 100; i++, got = 0) {
        chan_select_ordered {
            on_recv(ch[0], NULL) { got = 1; }
            on_recv(ch[1], NULL) { got = 2; }
            on_recv(ch[2], NULL) { got = 3; }
        }
        CHECK_EQ(got, 2);
    }
    free_four(ch);
}

TEST(a_guess_comes_after_sixteen_looks_and_the_first_that_fails_is_the_last) {
    if (CHANRT_DEBUG) return;                          // looks at all, always
    chan(int) ch[FOUR], none[FOUR];
    chan_case cases[FOUR], unready[FOUR];
    some_of_four(ch, cases, 0xf);
    some_of_four(none, unready, 0);
    uint8_t *plenty = plenty_of(ch[0]);
    for (int i = 1; i < 40; i++) {
        CHECK(chan_select_n(cases, FOUR, -1) >= 0);
        CHECK_EQ(*plenty, i < CHANRT__SELECT_PLENTY ? i : CHANRT__SELECT_PLENTY);
    }
    *plenty_of(none[0]) = CHANRT__SELECT_PLENTY;
    CHECK_EQ(chan_select_n(unready, FOUR, 0), -1);
    CHECK_EQ(*plenty_of(none[0]), 0);
    unready[3] = cases[3];                             // only one is ready, so nothing is counted
    CHECK_EQ(chan_select_n(unready, FOUR, 0), 3);
    CHECK_EQ(*plenty_of(none[0]), 0);
    free_four(ch);
    free_four(none);
}

//------------------------------------------------------------------------------
// The record of the block form.

TEST(record_grows_and_gives_everything_back) {
    struct big { char bytes[100]; } value = { "x" };
    chan(struct big) big = chan_make(struct big, 100);
    long live = test_alloc_live();
    for (int n = 1; n <= 40; n++) {
        struct chanrt_x_select s;
        CHECK_EQ(chanrt_x_select_next(chanrt_x_select_begin(&s, true)), 1);
        for (int i = 0; i < n; i++)                    // only the last has a channel
            chanrt_x_select_add_send(&s, i == n - 1 ? big : NULL, &value, sizeof value);
        CHECK_EQ(s.count, n);
        CHECK_EQ(chanrt_x_select_next(&s), 1);
        CHECK_EQ(s.chosen, n - 1);
        CHECK_EQ(test_alloc_live(), live);
        CHECK_EQ(chanrt_x_select_next(&s), 0);
    }
    CHECK_EQ(chan_len(big), 40);
    chan_free(big);
}

//------------------------------------------------------------------------------
// A channel whose last reference goes while a select that another case has won has yet to leave
// it: its memory stays until then, whether its node is still in the queue or not.

TEST(a_freed_channel_stays_until_the_losers_have_left) {
    for (int seen = 0; seen < 2; seen++) {
        long before = test_alloc_live();
        chan(int) made = chan_make(int, 0);
        struct chanrt__chan *c = chanrt__chan_of(made);
        struct chanrt__wait wait;
        struct chanrt__waiter node, *none = NULL;
        chanrt__wait_begin(&wait, &node, true);
        chanrt__os_lock(&c->a_lock);
        chanrt__wait_enqueue(&wait, &c->recvq, &c->a_lock, NULL, 0);
        chanrt__wait_cancel(&wait);
        if (seen) CHECK_EQ(chanrt__wait_take(&c->recvq, NULL, &none), CHANRT__TAKE_NONE);
        chanrt__os_unlock(&c->a_lock);
        chanrt_x_chan_free(c);
        if (!CHECK_EQ(test_alloc_live(), before + 1)) return; // it is gone
        chanrt__chan_leave(c, &node);
        CHECK_EQ(test_alloc_live(), before);
    }
}

// The same while the select is still busy: closing then holds a reference for as long as it tries
// again, and that one is not the last.
static void *free_it(void *c) {
    chanrt_x_chan_free(c);
    return NULL;
}

TEST(a_channel_freed_under_a_busy_select_is_freed_once) {
    long before = test_alloc_live();
    chan(int) made = chan_make(int, 0);
    struct chanrt__chan *c = chanrt__chan_of(made);
    struct chanrt__wait wait;
    struct chanrt__waiter node;
    pthread_t thread;
    chanrt__wait_begin(&wait, &node, true);            // BUSY
    chanrt__os_lock(&c->a_lock);
    chanrt__wait_enqueue(&wait, &c->recvq, &c->a_lock, NULL, 0);
    chanrt__os_unlock(&c->a_lock);
    CHECK_EQ(pthread_create(&thread, NULL, free_it, c), 0);
    while (chanrt__atom_load(&c->a_refs) < 2 && !test_late()) sched_yield();
    CHECK_EQ(chanrt__atom_load(&c->a_refs), 2);        // that of another attempt is among them
    chanrt__wait_cancel(&wait);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    if (!CHECK_EQ(test_alloc_live(), before + 1)) return; // the select has yet to leave
    chanrt__chan_leave(c, &node);
    CHECK_EQ(test_alloc_live(), before);
}
