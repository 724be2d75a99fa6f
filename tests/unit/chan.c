// chan.c - the ring, sizes and alignments, and the laws C1 to C5 checked at every unlock.
#include <stdbool.h>
static void law_broken(const char *law);
#define CHANRT_CHECK 1
#define CHANRT_ASSERT(x) ((x) ? (void)0 : law_broken(#x))
#include "unit.h"

static atomic_int laws_broken;
static bool laws_are_for_real = true;

static void law_broken(const char *law) {
    atomic_fetch_add(&laws_broken, 1);
    if (laws_are_for_real) test_check(false, law, __FILE__, __LINE__);
}

static size_t block_size(const struct chanrt__chan *c) {
    size_t n;
    memcpy(&n, (char *)c->block - TEST_HEADER, sizeof n);
    return n;
}

//------------------------------------------------------------------------------
// The ring.

TEST(ring_wraps_at_every_place_of_every_capacity) {
    for (uint32_t cap = 1; cap <= 64; cap++) {
        chan(uint32_t) ch = chan_make(uint32_t, cap);
        struct chanrt__chan *c = chanrt__chan_of(ch);
        uint32_t in = 0, out = 0, v;
        for (uint32_t start = 0; start < cap; start++) {
            while (chan_try_send(ch, in) == 0) in++;             // full, from every place
            CHECK_EQ(chan_len(ch), cap);
            CHECK_EQ(c->head, c->tail);
            while (chan_try_recv(ch, &v) == 0) CHECK_EQ(v, out++);
            CHECK_EQ(in, out);
            CHECK_EQ(chan_try_send(ch, in++), 0);                // one place on
            CHECK_EQ(chan_try_recv(ch, &v), 0);
            CHECK_EQ(v, out++);
        }
        CHECK(c->head < c->size && c->size == cap * sizeof v);
        chan_free(ch);
    }
}

// Who looks without the lock never sees room in a full ring whose blocked sender moves up, nor, in
// an empty moment of it, nothing to receive.
static chan(int) full;
static atomic_bool looked_enough;

static void *rotate(void *unused) {
    struct chanrt__chan *c = chanrt__chan_of(full);
    struct chanrt__wait wait = { .shared = false };
    struct chanrt__waiter node, *peer;
    int in = 2, out;
    for (long i = test_rounds(1000000); i > 0; i--) {
        chanrt__os_lock(&c->a_lock);
        wait.nodes = &node;
        wait.count = 0;
        chanrt__wait_enqueue(&wait, &c->sendq, &c->a_lock, &in, 0);
        CHECK_EQ(chanrt__chan_accept_locked(c, &out, NULL, &peer), CHANRT__STEP_DONE);
        chanrt__os_unlock(&c->a_lock);
    }
    atomic_store(&looked_enough, true);
    return unused;
}

TEST(ring_that_rotates_is_full_all_the_time) {
    pthread_t other;
    long room = 0;
    full = chan_make(int, 1);
    struct chanrt__chan *c = chanrt__chan_of(full);
    CHECK_EQ(chan_send(full, 1), 0);
    atomic_store(&looked_enough, false);
    pthread_create(&other, NULL, rotate, NULL);
    while (!atomic_load(&looked_enough)) room += chanrt__atom_load_acq(&c->a_count) != 1;
    pthread_join(other, NULL);
    CHECK_EQ(room, 0);
    chan_free(full);
}

TEST(elements_of_every_size_are_copied_whole) {
    for (size_t elem = 0; elem <= 130; elem++) {
        unsigned char in[130], out[132];
        void *ch = chanrt_x_chan_make(elem, 1, 3);
        for (unsigned k = 0; k < 7; k++) {
            for (size_t i = 0; i < elem; i++) in[i] = (unsigned char)(i + k);
            memset(out, 0xEE, sizeof out);
            CHECK_EQ(chanrt_x_chan_try_send(ch, in), 0);
            CHECK_EQ(chanrt_x_chan_try_recv(ch, out + 1), 0);
            CHECK(memcmp(in, out + 1, elem) == 0);
            CHECK(out[0] == 0xEE && out[elem + 1] == 0xEE);
        }
        chanrt_x_chan_free(ch);
    }
}

//------------------------------------------------------------------------------
// Making one.

TEST(sizes_that_overflow_are_refused) {
    const size_t all = SIZE_MAX, absurd[][2] = {               // size of an element, capacity
        { 1, all }, { all, 1 }, { 16, all / 16 }, { 16, all / 16 + 1 }, { all / 2, 2 },
        { all / 2, 1 }, { 1, all / 2 }, { (size_t)1 << 32, (size_t)1 << 32 }, { 0, all },
        { 3, all / 3 + 1 }
    };
    long live = test_alloc_live();
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        void *ch = chanrt_x_chan_make(absurd[i][0], 1, absurd[i][1]);
        CHECK(ch == NULL);
        chanrt_x_chan_free(ch);
    }
    CHECK_EQ(test_alloc_live(), live);
}

TEST(ring_is_aligned_and_within_its_block) {
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t cap = 0; cap < 4; cap++) {
            struct chanrt__chan *made[8];
            for (int k = 0; k < 8; k++) {                      // wherever the allocator puts it
                struct chanrt__chan *c = made[k] = chanrt_x_chan_make(align, align, cap);
                if (!CHECK(c != NULL)) return;
                char *block = c->block;
                CHECK_EQ((uintptr_t)c % 64, 0);
                CHECK_EQ((uintptr_t)c->ring % align, 0);
                CHECK((char *)c >= block && c->ring >= (unsigned char *)(c + 1));
                CHECK((char *)c->ring + align * cap <= block + block_size(c));
                memset(c->ring, k, align * cap);
            }
            for (int k = 0; k < 8; k++) chanrt_x_chan_free(made[k]);
        }
    }
}

TEST(no_memory_no_channel_whatever_the_alignment) {
    for (size_t align = 1; align <= 4096; align *= 64) {
        for (long n = 1;; n++) {
            test_fail_alloc(n);
            void *ch = chanrt_x_chan_make(8, align, 5);
            CHECK_EQ(ch == NULL, test_alloc_failed());
            chanrt_x_chan_free(ch);
            if (!test_alloc_failed()) break;
        }
    }
    test_fail_alloc(0);
}

//------------------------------------------------------------------------------
// The laws.

// A plain waiter where none may be; how many laws say so.
static int laws_against(size_t cap, int sent, bool closed, bool receiver, bool sender) {
    struct chanrt__chan *c = chanrt_x_chan_make(4, 4, cap);
    struct chanrt__wait waits[2];
    struct chanrt__waiter nodes[2];
    int value = 0;
    for (int i = 0; i < sent; i++) CHECK_EQ(chanrt_x_chan_try_send(c, &value), 0);
    c->a_closed = closed;
    laws_are_for_real = false;
    atomic_store(&laws_broken, 0);
    for (int i = 0; i < 2; i++) {
        chanrt__wait_begin(&waits[i], &nodes[i], false);
        if (i == 0 ? receiver : sender)
            chanrt__wait_enqueue(&waits[i], i == 0 ? &c->recvq : &c->sendq, &c->a_lock, NULL, 0);
    }
    chanrt__os_lock(&c->a_lock);
    chanrt__chan_unlock(c);
    if (receiver) chanrt__wait_unlink(&nodes[0]);
    if (sender) chanrt__wait_unlink(&nodes[1]);
    int broken = atomic_load(&laws_broken);
    laws_are_for_real = true;
    c->a_closed = 0;
    chanrt_x_chan_free(c);
    return broken;
}

TEST(check_of_the_laws_finds_what_breaks_them) {
    CHECK_EQ(laws_against(2, 0, false, true, false), 0);
    CHECK_EQ(laws_against(2, 2, false, false, true), 0);
    CHECK_EQ(laws_against(0, 0, false, false, true), 0);
    CHECK_EQ(laws_against(2, 2, true, false, false), 0);
    CHECK_EQ(laws_against(2, 1, false, true, false), 1);       // C2
    CHECK_EQ(laws_against(2, 1, false, false, true), 1);       // C3
    CHECK_EQ(laws_against(0, 0, false, true, true), 1);        // C4
    CHECK_EQ(laws_against(2, 0, true, true, false), 1);        // C5
    CHECK_EQ(laws_against(0, 0, true, false, true), 1);        // C5
}

// Everything at once on two channels: plain operations, tries, deadlines, selects of both
// directions, and at last a close with all of them under way.
static chan(long) left, right;
static atomic_long total_in, total_out;
static long n_sends;

TASK(send_some, uint32_t, seed) {
    for (long i = 0, v = 1; i < n_sends; i++, v = i % 7) {
        int err = 0;
        switch (dice(&seed) % 4) {
        case 0: err = chan_send(left, v); break;
        case 1: err = chan_try_send(right, v); break;
        case 2: err = chan_send_timeout(left, v, 2000); break;
        default:
            chan_select {
                on_send(left, v) { err = select_err(); }
                on_send(right, v) { err = select_err(); }
            }
        }
        if (err == 0) atomic_fetch_add(&total_in, v);
    }
}

TASK(receive_all, uint32_t, seed) {
    for (int ended = 0; ended < 20;) {         // until told often enough that it is over
        long v = 0, other = 0;
        int err = 0;
        switch (dice(&seed) % 4) {
        case 0: err = chan_recv(left, &v); break;
        case 1: err = chan_try_recv(right, &v); break;
        case 2: err = chan_recv_timeout(right, &v, 2000); break;
        default:
            chan_select {
                on_recv(right, &v) { err = select_err(); }
                on_recv(left, &other) { err = select_err(); }
            }
        }
        if (err == 0) atomic_fetch_add(&total_out, v + other);
        ended += err == EPIPE;
    }
}

TEST(laws_hold_at_every_unlock) {
    n_sends = test_rounds(2500);
    for (size_t cap = 0; cap <= 3; cap += cap + 1) {
        waitgroup senders = {0}, receivers = {0};
        left = chan_make(long, cap);
        right = chan_make(long, cap);
        atomic_store(&total_in, 0);
        atomic_store(&total_out, 0);
        for (uint32_t i = 0; i < 4; i++) {
            CHECK_EQ(wg_go(&senders, send_some, 77 + i), 0);
            CHECK_EQ(wg_go(&receivers, receive_all, 99 + i), 0);
        }
        wg_wait(&senders);
        CHECK_EQ(chan_close(left), 0);
        CHECK_EQ(chan_close(right), 0);
        wg_wait(&receivers);
        for (long v; chan_recv(right, &v) == 0;) atomic_fetch_add(&total_out, v);
        for (long v; chan_recv(left, &v) == 0;) atomic_fetch_add(&total_out, v);
        CHECK_EQ(atomic_load(&total_out), atomic_load(&total_in));
        CHECK_EQ(chanrt__chan_of(left)->recvq.claims + chanrt__chan_of(left)->sendq.claims, 0);
        chan_free(left);
        chan_free(right);
    }
}
