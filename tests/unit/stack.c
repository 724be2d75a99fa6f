// stack.c - classes of stacks, how they lie, and what happens when there are no more.
#include "fault.h"

static bool within(const struct chanrt__stack *s, const char *p) {
    return p >= s->low && p < s->low + chanrt__stack_bytes(s->class);
}

TEST(class_holds_the_size_asked_for) {
    CHECK_EQ(chanrt__stack_class_of(4096), 0);
    CHECK_EQ(chanrt__stack_class_of(4097), 1);
    CHECK_EQ(chanrt__stack_class_of(64 << 10), 4);
    CHECK_EQ(chanrt__stack_class_of((64 << 10) + 1), 5);
    CHECK_EQ(chanrt__stack_class_of((size_t)1 << 30), CHANRT__STACK_CLASSES - 1);
    const size_t absurd[] = { 0, 1, 4095, ((size_t)1 << 30) + 1, SIZE_MAX };
    for (size_t i = 0; i < 5; i++) CHECK_EQ(chanrt__stack_class_of(absurd[i]), -1);
    for (int class = 0; class < CHANRT__STACK_CLASSES; class++)
        CHECK_EQ(chanrt__stack_class_of(chanrt__stack_size(class)), class);
}

TEST(stacks_lie_apart_and_are_all_usable) {
    enum { COUNT = 50 };
    chanrt__stack_init();
    for (int class = 0; class <= 4; class += 2) {
        struct chanrt__stack *all[COUNT];
        for (int i = 0; i < COUNT; i++) {
            all[i] = chanrt__stack_take(class);
            if (!CHECK(all[i] != NULL)) return;
            CHECK_EQ(all[i]->class, class);
            CHECK(within(all[i], (char *)all[i]) && within(all[i], all[i]->top - 1));
            CHECK_EQ((uintptr_t)all[i]->top % 16, 0);
            *all[i]->low = all[i]->top[-1] = (char)i;
            for (int j = 0; j < i; j++) {
                ptrdiff_t between = all[i]->low - all[j]->low;
                size_t apart = (size_t)(between < 0 ? -between : between);
                CHECK(apart >= chanrt__stack_bytes(class) + chanrt__stack_guard_size());
            }
        }
        for (int i = 0; i < COUNT; i++) CHECK(*all[i]->low == i && all[i]->top[-1] == i);
        CHECK_EQ(chanrt__stacks[class].a_made, COUNT);
    }
    chanrt__stack_shutdown();
    CHECK_EQ(chanrt__stacks[4].a_made + chanrt__stacks[4].a_bytes, 0);
}

TEST(tops_have_sixteen_colours) {
    chanrt__stack_init();
    unsigned seen = 0;
    for (int i = 0; i < 32; i++) {
        struct chanrt__stack *s = chanrt__stack_take(2);
        seen |= 1u << ((char *)s - s->top) / 64;
    }
    CHECK_EQ(seen, 0xffff);
    for (int i = 0; i < 16; i++) {     // the record and the colour are not the task's
        struct chanrt__stack *s = chanrt__stack_take(0);
        CHECK(s->top - s->low >= (ptrdiff_t)chanrt__stack_size(0));
    }
    chanrt__stack_shutdown();
}

TEST(given_stacks_are_taken_again) {
    chanrt__stack_init();
    struct chanrt__stack *a = chanrt__stack_take(1), *b = chanrt__stack_take(1);
    struct chanrt__stack *other = chanrt__stack_take(2);
    CHECK(a != b);
    a->next = b;
    chanrt__stack_give(a, b);
    CHECK(chanrt__stack_take(2) != other);
    CHECK(chanrt__stack_take(1) == a);
    CHECK(chanrt__stack_take(1) == b);
    CHECK(chanrt__stack_take(1) != a);
    CHECK_EQ(chanrt__stacks[1].a_made, 3);
    chanrt__stack_shutdown();
}

//------------------------------------------------------------------------------
// Below each stack.

TEST(overflow_is_told_from_other_faults) {
    chanrt__stack_init();
    struct chanrt__stack *s = chanrt__stack_take(3);
    CHECK(chanrt__stack_overflowed(s, s->low - 1));
    CHECK(chanrt__stack_overflowed(s, s->low - chanrt__stack_guard_size()));
    CHECK(!chanrt__stack_overflowed(s, s->low + 64));
    CHECK(!chanrt__stack_overflowed(s, s->top));
    CHECK(!chanrt__stack_overflowed(s, NULL));
    chanrt__stack_shutdown();
}

#if CHANRT_GUARD
// The 40th: the guards of a second batch are there, too.
static struct chanrt__stack *fortieth(void) {
    struct chanrt__stack *s = NULL;
    chanrt__stack_init();
    for (int i = 0; i < 40; i++) s = chanrt__stack_take(4);
    return s;
}

CHILD(steps_below) { return touch_guard(fortieth()->low - 1); }
CHILD(steps_far_below) { return touch_guard(fortieth()->low - chanrt__stack_guard_size()); }
CHILD(steps_below_without_advice) {
    fault_arm("guard", 1, LONG_MAX);
    return touch_guard(fortieth()->low - 1);
}

TEST(guard_lies_below_each_stack) {
    dies_at_guard("steps_below");
    dies_at_guard("steps_far_below");
    dies_at_guard("steps_below_without_advice");
}
#endif

//------------------------------------------------------------------------------
// Out of address space.

TEST(no_mapping_no_stack_until_there_is_one) {
    chanrt__stack_init();
    fault_arm("mmap", 1, LONG_MAX);
    CHECK(chanrt__stack_take(4) == NULL);
    CHECK(chanrt__stack_take(4) == NULL);
    CHECK_EQ(chanrt__stacks[4].a_made + chanrt__stacks[4].a_bytes, 0);
    CHECK(fault_off() > 0);
    struct chanrt__stack *s = chanrt__stack_take(4);
    if (CHECK(s != NULL)) *s->low = 1;
    chanrt__stack_shutdown();
}

TEST(short_of_space_a_smaller_chunk_will_do) {
    chanrt__stack_init();
    size_t stride = chanrt__stack_guard_size() + chanrt__stack_bytes(4);
    fault_arm("mmap", 1, 2);
    CHECK(chanrt__stack_take(4) != NULL);
    CHECK_EQ(fault_off(), 2);
    CHECK_EQ(chanrt__stacks[4].a_bytes, chanrt__os_page() + 4 * stride);
    for (int i = 1; i < 4; i++) CHECK(chanrt__stack_take(4) != NULL);
    fault_arm("mmap", 1, LONG_MAX);
    CHECK(chanrt__stack_take(4) == NULL);
    fault_off();
    CHECK(chanrt__stack_take(4) != NULL);
    chanrt__stack_shutdown();
}
