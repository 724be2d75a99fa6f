// ctx.c - switching stacks: registers, the commit word, a fresh stack's first frame.
#include "unit.h"
#include <execinfo.h>

// The other side, on a stack of its own; and who switched to it, on a thread's stack.
static struct chanrt__stack *stack;
static struct chanrt__ctx other, *volatile home;
static uint32_t word, nothing;

struct side {
    struct chanrt__ctx ctx;
#if CHANRT_UCONTEXT
    ucontext_t uc;
#endif
};

static struct chanrt__ctx *stand_here(struct side *s) {
#if CHANRT_UCONTEXT
    s->ctx.uc = &s->uc;
#endif
#if CHANRT__TSAN
    s->ctx.fiber = __tsan_get_current_fiber();
#endif
    return &s->ctx;
}

static void make_other(void (*entry)(void)) {
    chanrt__stack_init();
    stack = chanrt__stack_take(CHANRT__STACK_DEFAULT);
    chanrt__stack_enter(stack, &other, entry);
}

static void free_other(void) {
    chanrt__stack_give(stack, stack);
    chanrt__stack_shutdown();
}

static void go_home(uint32_t *commit) {
    chanrt__ctx_switch(&other, home, commit, false);
}

// Switches with more values in hand than there are callee-saved registers; whether all of
// them are there afterwards.
CHANRT__NOINLINE static bool holds(uintptr_t v, struct chanrt__ctx *from, struct chanrt__ctx *to,
                                   uint32_t *commit) {
#define OPAQUE __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f))
    uintptr_t a = v, b = v + 1, c = v + 2, d = v + 3, e = v + 4, f = v + 5;
    double x = (double)v, y = x + 1;
    OPAQUE;
    chanrt__ctx_switch(from, to, commit, false);
    OPAQUE;
    return a == v && b == v + 1 && c == v + 2 && d == v + 3 && e == v + 4 && f == v + 5 &&
           x == (double)v && y == (double)v + 1;
}

// The same with vectors: a call keeps none of them, but a switch that was inlined is no call.
#if defined(__AVX512F__)
enum { VECTOR = 64 };
#elif defined(__AVX__)
enum { VECTOR = 32 };
#else
enum { VECTOR = 16 };
#endif
typedef int64_t vector __attribute__((vector_size(VECTOR)));
enum { VECTORS = 12, LANES = VECTOR / 8 };

CHANRT__NOINLINE static bool holds_vectors(int64_t v, struct chanrt__ctx *from,
                                           struct chanrt__ctx *to, uint32_t *commit) {
    vector in[VECTORS], out[VECTORS];
    for (int i = 0; i < VECTORS * LANES; i++) in[i / LANES][i % LANES] = v + i;
    volatile vector *p = in; // read once, before the switch
    vector a = p[0], b = p[1], c = p[2], d = p[3], e = p[4], f = p[5];
    vector g = p[6], h = p[7], i = p[8], j = p[9], k = p[10], zeros = {0};
    chanrt__ctx_switch(from, to, commit, false);
    vector after[VECTORS] = { a, b, c, d, e, f, g, h, i, j, k, p[11] + zeros };
    memcpy(out, after, sizeof out);
    return memcmp(in, out, sizeof in) == 0;
}

//------------------------------------------------------------------------------
// There and back.

static volatile long entered, lost, uncleared;

static void echo(void) {
    chanrt__ctx_arrived(NULL);
    for (;;) {
        uncleared = uncleared + (word != 0);
        word = 1;
        entered = entered + 1;
        if (!holds(1000000 + (uintptr_t)entered, &other, home, &word)) lost = lost + 1;
    }
}

TEST(switching_keeps_registers_and_clears_the_word) {
    struct side here = {0};
    long n = test_rounds(100000);
    entered = lost = uncleared = 0;
    home = stand_here(&here);
    make_other(echo);
    for (long i = 0; i < n; i++) {
        word = 1;
        if (!holds((uintptr_t)i, home, &other, &word)) lost = lost + 1;
        uncleared = uncleared + (word != 0);
    }
    CHECK_EQ(entered, n);
    CHECK_EQ(lost, 0);
    CHECK_EQ(uncleared, 0);
    free_other();
}

static void echo_vectors(void) {
    chanrt__ctx_arrived(NULL);
    for (;;) {
        entered = entered + 1;
        if (!holds_vectors(-1000000 - entered, &other, home, &word)) lost = lost + 1;
    }
}

TEST(switching_keeps_vectors) {
    struct side here = {0};
    long n = test_rounds(10000);
    entered = lost = 0;
    home = stand_here(&here);
    make_other(echo_vectors);
    for (long i = 0; i < n; i++)
        if (!holds_vectors(i, home, &other, &word)) lost = lost + 1;
    CHECK_EQ(entered, n);
    CHECK_EQ(lost, 0);
    free_other();
}

// Whoever takes the baton goes on where the last one left, on another thread, as soon as the
// switch lets go of it: too early a release would resume registers not saved yet.
static uint32_t baton;
static long rounds;

static void relay(void) {
    chanrt__ctx_arrived(NULL);
    for (;;) {
        entered = entered + 1;
        if (!holds(1000000 + (uintptr_t)entered, &other, home, &baton)) lost = lost + 1;
    }
}

static void *run_relay(void *unused) {
    struct side here = {0};
    uint32_t mine = 0;
    long bad = 0;
    for (long i = 0; i < rounds; i++) {
        chanrt__os_lock(&baton);
        home = stand_here(&here);
        bad += !holds((uintptr_t)i, &here.ctx, &other, &mine);
    }
    CHECK_EQ(bad, 0);
    return unused;
}

TEST(word_is_cleared_after_the_registers_are_saved) {
    rounds = test_rounds(40000);
    entered = lost = 0;
    make_other(relay);
    at_once(3, run_relay, NULL);
    CHECK_EQ(entered, 3 * rounds);
    CHECK_EQ(lost, 0);
    CHECK_EQ(baton, 0);
    free_other();
}

#if !CHANRT__COMMIT_IN_C
// The same without luck: where the registers are saved is write-protected, and the fault tells what
// the word was at the first of the stores.
static struct side *guarded;
static volatile uint32_t word_then;

static void on_first_store(int signo) {
    (void)signo;
    word_then = word;
    if (mprotect(guarded, chanrt__os_page(), PROT_READ | PROT_WRITE) != 0) abort();
}

TEST(word_is_cleared_after_the_first_register_is_saved) {
    guarded = chanrt__os_map(chanrt__os_page());
    home = stand_here(guarded);
    make_other(echo);
    word = 1;
    word_then = 7;
    void (*before)(int) = signal(SIGSEGV, on_first_store);
    CHECK_EQ(mprotect(guarded, chanrt__os_page(), PROT_READ), 0);
    chanrt__ctx_switch(home, &other, &word, false);
    signal(SIGSEGV, before);
    CHECK_EQ(word_then, 1);
    free_other();
    chanrt__os_unmap(guarded, chanrt__os_page());
}
#endif

// A variable whose address nobody takes: the compiler must not think that it knows all who
// write to it, and keep its value over a switch.
static int turns;

static void take_turns(void) {
    chanrt__ctx_arrived(NULL);
    for (;;) {
        turns++;
        go_home(&nothing);
    }
}

TEST(no_value_is_kept_over_a_switch) {
    struct side here = {0};
    home = stand_here(&here);
    make_other(take_turns);
    turns = 0;
    for (int i = 0; i < 10; i++) {
        chanrt__ctx_switch(home, &other, &word, false);
        CHECK_EQ(turns, 2 * i + 1);
        turns++;
    }
    free_other();
}

//------------------------------------------------------------------------------
// A fresh stack.

static volatile uintptr_t first_frame, second_frame;
static volatile int depth;

static void look_around(void) {
    chanrt__ctx_arrived(NULL);
    void *frames[64];
    first_frame = (uintptr_t)__builtin_frame_address(0);
    depth = backtrace(frames, 64);
    for (;;) go_home(&word);
}

TEST(fresh_stack_is_aligned_and_ends_the_backtrace) {
    struct side here = {0};
    void *frames[64];
    backtrace(frames, 1);          // loads what it needs while there is much stack
    home = stand_here(&here);
    make_other(look_around);
    chanrt__ctx_switch(home, &other, &nothing, false);
    CHECK_EQ(first_frame % 16, 0);
    CHECK(first_frame > (uintptr_t)stack->low && first_frame < (uintptr_t)stack->top);
    CHECK(depth >= 1 && depth < 8);
    free_other();
}

static void start_again(void) {
    second_frame = (uintptr_t)__builtin_frame_address(0);
    for (;;) go_home(&word);
}

static volatile bool stay;                 // never; but sink must look like it could return

static void sink(int more) {
    volatile char frame[512] = {0};
    if (more > 0) sink(more - 1);
    else if (!stay) chanrt__ctx_restart(&other, stack->low, stack->top, start_again);
    (void)frame[0];
}

static void start(void) {
    chanrt__ctx_arrived(NULL);
    first_frame = (uintptr_t)__builtin_frame_address(0);
    sink(20);
}

TEST(restart_drops_every_frame) {
    struct side here = {0};
    home = stand_here(&here);
    make_other(start);
    chanrt__ctx_switch(home, &other, &nothing, false);
    CHECK_EQ(second_frame % 16, 0);
    CHECK(first_frame - second_frame + 512 < 1024);
    chanrt__ctx_switch(home, &other, &nothing, false);      // and can be switched to again
    free_other();
}
