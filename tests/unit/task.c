// task.c - the task record: packing arguments, and the slabs that records come from.
#include "fault.h"

//------------------------------------------------------------------------------
// Arguments.

static const void *read_at;
static size_t read_size;
static unsigned char read_sum;

static int read_args(void *args) {
    const unsigned char *p = read_at = args;
    read_sum = 0;
    for (size_t i = 0; i < read_size; i++) read_sum = (unsigned char)(read_sum + p[i]);
    return 7;
}

// One record as the slabs align it.
static struct chanrt__task *blank(void) {
    static struct chanrt__task t;
    memset(&t, 0, sizeof t);
    t.entry = read_args;
    return &t;
}

TEST(arguments_of_every_size_and_alignment_arrive) {
    unsigned char args[300];
    for (size_t i = 0; i < sizeof args; i++) args[i] = (unsigned char)(i * 7 + 1);
    long before = test_alloc_live();
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t size = 0; size <= sizeof args; size += size < 70 ? 1 : 23) {
            struct chanrt__task *t = blank();
            if (!CHECK(chanrt__task_pack(t, args, size, align))) return;
            bool large = size > sizeof t->u.args || align > 32;
            CHECK_EQ((t->flags & CHANRT__LARGE) != 0, large);
            CHECK_EQ(test_alloc_live() - before, large);
            read_size = size;
            CHECK_EQ(chanrt__task_run(t), 7);
            unsigned char sum = 0;
            for (size_t i = 0; i < size; i++) sum = (unsigned char)(sum + args[i]);
            CHECK_EQ(read_sum, sum);
            CHECK_EQ((uintptr_t)read_at % align, 0);
            if (large) CHANRT_FREE(t->u.run.large);        // as the end of a task does
        }
    }
    CHECK(chanrt__task_pack(blank(), NULL, 0, 1));         // a task without parameters
}

TEST(arguments_that_do_not_fit_in_memory_are_refused) {
    char args[100] = {0};
    struct chanrt__task *t = blank();
    CHECK(!chanrt__task_pack(t, args, SIZE_MAX, 1));
    CHECK(!chanrt__task_pack(t, args, SIZE_MAX - 4, 64));
    test_fail_alloc(1);
    CHECK(!chanrt__task_pack(t, args, sizeof args, 1));
    CHECK(test_alloc_failed());
    CHECK_EQ(t->flags, 0);                                 // as if nothing had been tried
}

//------------------------------------------------------------------------------
// Records.

static int by_address(const void *a, const void *b) {
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

TEST(slabs_grow_and_no_record_is_given_twice) {
    enum { COUNT = 2000 };                   // more than the first slab holds
    static struct chanrt__task *all[COUNT], *sorted[COUNT];
    int n = 0, got;
    while (n < COUNT) {
        struct chanrt__task *t = chanrt__task_take(n % 3 ? 64 : 1, &got);
        if (!CHECK(t != NULL && got >= 1)) return;
        int listed = 0;
        for (; t != NULL; t = t->next, listed++) {
            CHECK_EQ(t->a_id, 0);            // free, to whoever walks the slabs
            CHECK_EQ((uintptr_t)t->u.args % 32, 0);
            if (n < COUNT) all[n++] = t;
        }
        CHECK_EQ(listed, got);
    }
    CHECK(chanrt__slabs.first != NULL && chanrt__slabs.first->next != NULL);
    CHECK_EQ(chanrt__slabs.a_bytes, (64 << 10) + (2 << 20));
    memcpy(sorted, all, sizeof all);
    qsort(sorted, COUNT, sizeof sorted[0], by_address);
    for (int i = 1; i < COUNT; i++) CHECK(sorted[i] >= sorted[i - 1] + 1);

    all[0]->next = all[1];
    chanrt__task_give(all[0], all[1]);
    CHECK(chanrt__task_take(1, &got) == all[0]);
    CHECK(chanrt__task_take(1, &got) == all[1]);
    chanrt__task_shutdown();
    CHECK(chanrt__slabs.first == NULL && chanrt__slabs.free == NULL);
    CHECK_EQ(chanrt__slabs.a_bytes, 0);
}

TEST(no_mapping_no_record_until_there_is_one) {
    int got = 9;
    fault_arm("mmap", 1, LONG_MAX);
    CHECK(chanrt__task_take(64, &got) == NULL);
    CHECK_EQ(got, 0);
    CHECK_EQ(chanrt__slabs.a_bytes, 0);
    CHECK_EQ(fault_off(), 1);
    CHECK(chanrt__task_take(64, &got) != NULL);
    CHECK_EQ(got, 64);
    chanrt__task_shutdown();
}

static atomic_int go_on;
static void end_when_told(void *unused) {
    (void)unused;
    while (!atomic_load(&go_on)) task_yield();
}

static int in_use(void) {
    int n = 0;
    for (struct chanrt__slab *s = chanrt__slabs.first; s != NULL; s = s->next)
        for (size_t i = 0; i < s->count; i++)
            n += __atomic_load_n(&s->tasks[i].a_id, __ATOMIC_RELAXED) != 0;
    return n;
}

TEST(record_not_in_use_has_no_id) {
    atomic_store(&go_on, 0);
    for (int i = 0; i < 10; i++) CHECK_EQ(go_fn(end_when_told, NULL), 0);
    CHECK_EQ(in_use(), 10);
    atomic_store(&go_on, 1);
    while (chanrt__sched_live() != 0) usleep(100);
    CHECK_EQ(in_use(), 0);
}
