// sizes.c - elements of every size, alignment and kind.
#include "spec.h"

//------------------------------------------------------------------------------
// Nothing at all.

__extension__ typedef struct {} nothing;
static nothing nothing_at_all;

TASK(send_nothing, chan(nothing), ch, int, n) {
    for (int i = 0; i < n; i++) CHECK_EQ(chan_send(ch, nothing_at_all), 0);
    CHECK_EQ(chan_close(ch), 0);
}

TEST(elements_without_size_are_counted_like_any_other) { // case 68
    chan(nothing) ch = chan_make(nothing, 3);
    nothing none = nothing_at_all;
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(chan_len(ch), i);
        CHECK_EQ(chan_try_send(ch, none), 0);
    }
    CHECK_EQ(chan_try_send(ch, none), EAGAIN);
    CHECK_EQ(chan_recv(ch, &none), 0);
    CHECK_EQ(chan_recv(ch, NULL), 0);
    CHECK_EQ(chan_len(ch), 1);
    CHECK_EQ(chan_close(ch), 0);
    CHECK_EQ(chan_send(ch, none), EPIPE);
    CHECK_EQ(chan_recv(ch, &none), 0);
    CHECK_EQ(chan_recv(ch, &none), EPIPE);
    chan_free(ch);
    for (size_t cap = 0; cap < 2; cap++) {
        waitgroup wg = {0};
        ch = chan_make(nothing, cap);
        CHECK_EQ(wg_go(&wg, send_nothing, ch, 1000), 0);
        int n = 0, ran = 0;
        while (chan_recv(ch, &none) == 0) n++;
        CHECK_EQ(n, 1000);
        chan_select { on_recv(ch, &none) { ran = select_err(); } }
        CHECK_EQ(ran, EPIPE);
        wg_wait(&wg);
        chan_free(ch);
    }
    volatile size_t huge = SIZE_MAX;
    ch = chan_make(nothing, huge / 4);              // fits: it takes no bytes
    if (CHECK(ch != NULL)) CHECK_EQ(chan_try_send(ch, none), 0);
    if (ch) CHECK_EQ(chan_len(ch), 1);
    chan_free(ch);
}

//------------------------------------------------------------------------------
// Every size: through a buffer, hand to hand in both orders, by select, and after close.

static bool is_filled(const void *p, size_t size, unsigned seed) {
    const unsigned char *byte = p;
    for (size_t i = 0; i < size; i++) {
        if (byte[i] != (unsigned char)(seed + i * 7)) return false;
    }
    return true;
}

static void fill(void *p, size_t size, unsigned seed) {
    unsigned char *byte = p;
    for (size_t i = 0; i < size; i++) byte[i] = (unsigned char)(seed + i * 7);
}

static bool is_zero(const void *p, size_t size) {
    const unsigned char *byte = p;
    for (size_t i = 0; i < size; i++) {
        if (byte[i] != 0) return false;
    }
    return true;
}

// The out value lies between two guards that no copy may touch. Static: of the big ones a
// task's stack could not hold three.
#define SIZE_TEST(name, type, align)                                                       \
    struct name##_job { chan(type) ch; int n; };                                           \
    TASK(send_##name, struct name##_job *, job) {                                          \
        static type v;                                                                     \
        for (int i = 0; i < job->n; i++) {                                                 \
            fill(&v, sizeof v, (unsigned)i);                                               \
            chan_case cases[] = { case_send(job->ch, &v) };                                \
            CHECK_EQ(chan_select_n(cases, 1, -1), 0);                                      \
            memset(&v, 0xEE, sizeof v);                                                    \
        }                                                                                  \
        CHECK_EQ(chan_close(job->ch), 0);                                                  \
    }                                                                                      \
    static void through_##name(size_t cap) {                                               \
        static struct { unsigned char before[64]; type v; unsigned char after[64]; } out;  \
        memset(&out, 0xAB, sizeof out);                                                    \
        waitgroup wg = {0};                                                                \
        struct name##_job job = { chan_make(type, cap), 50 };                              \
        CHECK_EQ(wg_go(&wg, send_##name, &job), 0);                                        \
        int bad = 0;                                                                       \
        for (int i = 0; i < job.n; i++) {                                                  \
            if (i % 8 == 0) task_yield();                                                  \
            if (i % 3 == 0) chan_select { on_recv(job.ch, &out.v) {} }                     \
            else bad += chan_recv(job.ch, &out.v) != 0;                                    \
            bad += !is_filled(&out.v, sizeof out.v, (unsigned)i);                          \
        }                                                                                  \
        CHECK_EQ(bad, 0);                                                                  \
        CHECK_EQ(chan_recv(job.ch, &out.v), EPIPE);                                        \
        CHECK(is_zero(&out.v, sizeof out.v));                                              \
        for (size_t i = 0; i < 64; i++) {                                                  \
            bad += out.before[i] != 0xAB || out.after[i] != 0xAB;                          \
        }                                                                                  \
        CHECK_EQ(bad, 0);                                                                  \
        CHECK_EQ((uintptr_t)&out.v % (align), 0);                                          \
        wg_wait(&wg);                                                                      \
        chan_free(job.ch);                                                                 \
    }

#define BYTES_TEST(n)                                                                      \
    struct bytes##n { unsigned char byte[n]; };                                            \
    SIZE_TEST(bytes##n, struct bytes##n, 1)

BYTES_TEST(1)
BYTES_TEST(2)
BYTES_TEST(3)
BYTES_TEST(7)
BYTES_TEST(8)
BYTES_TEST(16)
BYTES_TEST(24)
BYTES_TEST(1024)
BYTES_TEST(32768)

TEST(elements_of_every_size_arrive_whole_and_touch_nothing_else) { // case 69
    for (size_t cap = 0; cap < 4; cap++) {
        through_bytes1(cap);
        through_bytes2(cap);
        through_bytes3(cap);
        through_bytes7(cap);
        through_bytes8(cap);
        through_bytes16(cap);
        through_bytes24(cap);
        through_bytes1024(cap);
        through_bytes32768(cap);
    }
}

#define ALIGNED_TEST(n)                                                                    \
    struct aligned##n { _Alignas(n) unsigned char byte[n + n / 2]; };                      \
    SIZE_TEST(aligned##n, struct aligned##n, n)                                            \
    TASK(range_aligned##n, chan(struct aligned##n), ch) {                                  \
        chan_range(struct aligned##n, v, ch) CHECK_EQ((uintptr_t)&v % n, 0);               \
    }

ALIGNED_TEST(16)
ALIGNED_TEST(32)
ALIGNED_TEST(64)

// The vectors make the compiler use instructions that fault on a wrong address.
typedef float vec4 __attribute__((vector_size(16)));
struct vectors { vec4 a, b; };

TASK(send_vectors, chan(struct vectors), ch, int, n) {
    for (int i = 0; i < n; i++) {
        float f = (float)i;
        struct vectors v = {{ f, f, f, f }, { 1, 2, 3, f }};
        CHECK_EQ(chan_send(ch, v), 0);
    }
    CHECK_EQ(chan_close(ch), 0);
}

TEST(alignment_is_kept_in_out_slots_and_task_frames) { // case 69
    for (size_t cap = 0; cap < 3; cap++) {
        through_aligned16(cap);
        through_aligned32(cap);
        through_aligned64(cap);
    }
    waitgroup wg = {0};
    chan(struct aligned64) ch = chan_make(struct aligned64, 1);
    CHECK_EQ(wg_go(&wg, range_aligned64, ch), 0);
    struct aligned64 v = {{ 1 }};
    for (int i = 0; i < 10; i++) CHECK_EQ(chan_send(ch, v), 0);
    CHECK_EQ(chan_close(ch), 0);
    wg_wait(&wg);
    chan_free(ch);

    chan(struct aligned32) ch32 = chan_make(struct aligned32, 0);
    chan(struct aligned16) ch16 = chan_make(struct aligned16, 0);
    CHECK_EQ(wg_go(&wg, range_aligned32, ch32), 0);
    CHECK_EQ(wg_go(&wg, range_aligned16, ch16), 0);
    CHECK_EQ(chan_send(ch32, {{ 1 }}), 0);
    CHECK_EQ(chan_send(ch16, {{ 1 }}), 0);
    chan_close(ch32);
    chan_close(ch16);
    wg_wait(&wg);
    chan_free(ch32);
    chan_free(ch16);

    chan(struct vectors) vectors = chan_make(struct vectors, 3);
    CHECK_EQ(wg_go(&wg, send_vectors, vectors, 100), 0);
    float sum = 0;
    chan_range(struct vectors, w, vectors) {
        vec4 s = w.a + w.b;
        sum += s[0] - s[1] + s[2] - s[3] + 2 * w.b[3] + 1 - 3 + w.a[0];
    }
    wg_wait(&wg);
    CHECK_EQ(sum, 9900);
    chan_free(vectors);
}

TEST(a_capacity_that_cannot_be_is_refused) { // case 70
    volatile size_t huge = SIZE_MAX;
    CHECK(chan_make(struct bytes1024, huge / 1024) == NULL);
    CHECK(chan_make(struct bytes1024, huge / 1024 + 2) == NULL);
    CHECK(chan_make(struct bytes3, huge / 3 + 1) == NULL);
    CHECK(chan_make(struct bytes8, huge / 8 + 1) == NULL);
    CHECK(chan_make(struct bytes1, huge) == NULL);
    CHECK(chan_make(struct bytes1, huge - 64) == NULL);
    CHECK(chan_make(struct aligned64, huge / 128) == NULL);
}

TEST(a_channel_that_cannot_be_allocated_is_null) { // case 70
    for (long n = 1; n < 4; n++) {
        test_fail_alloc(n);
        chan(int) ch = chan_make(int, 8);
        CHECK_EQ(ch == NULL, test_alloc_failed());
        test_fail_alloc(0);
        if (n == 1) CHECK(ch == NULL);
        chan_free(ch);
    }
}

enum { MEBIBYTE = 1 << 20 };
struct mebibyte { unsigned char byte[MEBIBYTE]; };

TASK(relay_mebibytes, chan(struct mebibyte), in, chan(struct mebibyte), out) {
    struct mebibyte *v = malloc(sizeof *v);
    chan_case cases[] = { case_send(out, v) };
    while (chan_recv(in, v) == 0) {
        CHECK_EQ(chan_select_n(cases, 1, -1), 0);
        CHECK_EQ(chan_recv(in, NULL), 0);           // discarded without a place to put it
    }
    free(v);
}

TEST(an_element_of_a_mebibyte_does_not_land_on_a_task_stack) { // case 70
    for (size_t cap = 0; cap < 2; cap++) {
        waitgroup wg = {0};
        chan(struct mebibyte) in = chan_make(struct mebibyte, cap);
        chan(struct mebibyte) out = chan_make(struct mebibyte, cap);
        struct mebibyte *v = malloc(sizeof *v);
        CHECK_EQ(wg_go(&wg, relay_mebibytes, in, out), 0);
        for (unsigned i = 0; i < 3; i++) {
            fill(v, sizeof *v, i);
            CHECK_EQ(chan_send(in, *v), 0);
            memset(v, 0, sizeof *v);
            CHECK_EQ(chan_recv(out, v), 0);
            CHECK(is_filled(v, sizeof *v, i));
            CHECK_EQ(chan_send(in, *v), 0);
        }
        CHECK_EQ(chan_close(in), 0);
        wg_wait(&wg);
        free(v);
        chan_free(in);
        chan_free(out);
    }
}

TEST(a_wide_select_case_survives_until_it_is_sent) { // case 70
    waitgroup wg = {0};
    chan(struct mebibyte) ch = chan_make(struct mebibyte, 0), back = chan_make(struct mebibyte, 1);
    struct mebibyte *v = malloc(sizeof *v);
    CHECK_EQ(wg_go(&wg, relay_mebibytes, ch, back), 0);
    fill(v, sizeof *v, 3);
    for (int i = 0; i < 2; i++) chan_select { on_send(ch, *v) {} }     // kept and thrown away
    memset(v, 0, sizeof *v);
    CHECK_EQ(chan_recv(back, v), 0);
    CHECK(is_filled(v, sizeof *v, 3));
    chan_close(ch);
    wg_wait(&wg);
    free(v);
    chan_free(ch);
    chan_free(back);
}

//------------------------------------------------------------------------------
// Every kind.

struct named { char name[24]; int age; };
union either { int64_t number; double real; void *pointer; };
enum colour { RED, GREEN = 70000, BLUE };
typedef int (*function)(const char *, const char *);

static int first_of_two(const char *a, const char *b) { return a[0] - b[0]; }

TEST(a_null_destination_discards_the_value) { // case 71
    chan(struct named) ch = chan_make(struct named, 2);
    CHECK_EQ(chan_send(ch, { "discarded", 1 }), 0);
    CHECK_EQ(chan_send(ch, { .name = "kept", .age = 2 }), 0);
    CHECK_EQ(chan_recv(ch, NULL), 0);
    CHECK_EQ(chan_try_send(ch, { "after", 3 }), 0);
    struct named got = chan_get(ch);
    CHECK_STR(got.name, "kept");
    CHECK_EQ(got.age, 2);
    CHECK_EQ(chan_try_recv(ch, NULL), 0);
    CHECK_EQ(chan_recv_timeout(ch, NULL, 0), ETIMEDOUT);
    chan_free(ch);
}

TEST(structs_unions_pointers_functions_and_numbers_travel_as_they_are) { // case 71
    chan(double) reals = chan_make(double, 1);
    chan(long double) wide = chan_make(long double, 1);
    chan(bool) bools = chan_make(bool, 1);
    chan(union either) unions = chan_make(union either, 1);
    chan(enum colour) colours = chan_make(enum colour, 1);
    chan(function) functions = chan_make(function, 1);
    chan(const char *) texts = chan_make(const char *, 1);
    chan(uint64_t) big = chan_make(uint64_t, 1);
    chan(signed char) small = chan_make(signed char, 1);
    chan(float _Complex) complex = chan_make(float _Complex, 1);

    CHECK_EQ(chan_send(reals, -0.125), 0);
    CHECK(chan_get(reals) == -0.125);
    CHECK_EQ(chan_send(reals, 3), 0);                    // converted as in an assignment
    CHECK(chan_get(reals) == 3.0);
    CHECK_EQ(chan_send(wide, 1.0L / 3), 0);
    CHECK(chan_get(wide) == 1.0L / 3);
    CHECK_EQ(chan_send(bools, 2 > 1), 0);
    CHECK_EQ(chan_get(bools), true);
    CHECK_EQ(chan_send(unions, { .real = 2.5 }), 0);
    CHECK(chan_get(unions).real == 2.5);
    CHECK_EQ(chan_send(colours, BLUE), 0);
    CHECK_EQ(chan_get(colours), BLUE);
    CHECK_EQ(chan_send(functions, first_of_two), 0);
    CHECK_EQ(chan_get(functions)("b", "a"), 1);
    CHECK_EQ(chan_send(texts, "a text"), 0);
    CHECK_STR(chan_get(texts), "a text");
    CHECK_EQ(chan_send(big, UINT64_MAX), 0);
    CHECK(chan_get(big) == UINT64_MAX);
    CHECK_EQ(chan_send(small, -128), 0);
    CHECK_EQ(chan_get(small), -128);
    CHECK_EQ(chan_send(complex, 1.5f), 0);
    CHECK(__real__ chan_get(complex) == 1.5f);

    chan_free(reals);
    chan_free(wide);
    chan_free(bools);
    chan_free(unions);
    chan_free(colours);
    chan_free(functions);
    chan_free(texts);
    chan_free(big);
    chan_free(small);
    chan_free(complex);
}

struct holder {
    chan(int) one, several[2];
    chan_receiver(int) in;
    chan_sender(int) out;
};

TEST(channels_live_in_members_arrays_and_channels) { // case 71
    struct holder h = { .several = { chan_make(int, 1), chan_make(int, 1) } };
    chan(int) a, b;
    a = b = h.several[1];
    h.one = h.several[0];
    h.in = h.one;
    h.out = h.one;
    CHECK_EQ(chan_send(h.out, 4), 0);
    CHECK_EQ(chan_len(h.in), 1);
    CHECK_EQ(chan_get(h.in), 4);
    CHECK_EQ(chan_send(a, 5), 0);
    CHECK_EQ(chan_get(b), 5);
    chan(chan_receiver(int)) views = chan_make(chan_receiver(int), 1);
    CHECK_EQ(chan_send(views, h.one), 0);
    CHECK_EQ(chan_send(h.one, 6), 0);
    CHECK_EQ(chan_get(chan_get(views)), 6);
    chan(chan(chan(int))) deep = chan_make(chan(chan(int)), 1);
    chan(chan(int)) middle = chan_make(chan(int), 1);
    CHECK_EQ(chan_send(deep, middle), 0);
    CHECK_EQ(chan_send(middle, a), 0);
    CHECK_EQ(chan_send(a, 7), 0);
    CHECK_EQ(chan_get(chan_get(chan_get(deep))), 7);
    chan_free(views);
    chan_free(deep);
    chan_free(middle);
    chan_free(h.in);
    chan_free(a);
}
