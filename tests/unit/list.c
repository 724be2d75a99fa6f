// list.c - the timer heap beside an array that is searched from end to end.
#include "unit.h"

enum { MOST = 400 };

static struct chanrt__node nodes[MOST], *root;
static struct chanrt__node *live[MOST], *idle[MOST];
static int n_live, n_idle;
static uint64_t order;

static void all_idle(void) {
    root = NULL;
    order = 0;
    n_live = n_idle = 0;
    for (int i = 0; i < MOST; i++) idle[n_idle++] = &nodes[i];
}

static void insert(int64_t when) {
    struct chanrt__node *n = live[n_live++] = idle[--n_idle];
    n->when = when;
    n->order = order++;
    chanrt__list_insert(&root, n);
}

static void drop(int i) {
    struct chanrt__node *n = live[i];
    chanrt__list_remove(&root, n);
    CHECK(!n->linked);
    live[i] = live[--n_live];
    idle[n_idle++] = n;
}

static int earliest(void) {
    int best = 0;
    for (int i = 1; i < n_live; i++)
        if (chanrt__list_before(live[i], live[best])) best = i;
    return best;
}

// How many nodes hang under parent; every link is right, and nobody is before its parent.
static int well_formed(struct chanrt__node *parent) {
    struct chanrt__node *before = parent;
    int count = 0;
    for (struct chanrt__node *n = parent->child; n != NULL; before = n, n = n->next) {
        CHECK(n->linked && n->prev == before && !chanrt__list_before(n, parent));
        count += 1 + well_formed(n);
    }
    return count;
}

TEST(random_inserts_and_removes_keep_the_earliest_first) {
    uint32_t seed = 12345;
    all_idle();
    for (long i = 0; i < 20000; i++) {
        uint32_t what = dice(&seed) % 8;
        bool grow = i / 1000 % 2 == 0;             // phases of growing and shrinking
        if (n_live == 0 || (what < (grow ? 5u : 2u) && n_idle > 0))
            insert(dice(&seed) % 100);             // with many ties
        else if (what < 6) drop((int)(dice(&seed) % (uint32_t)n_live));
        else drop(earliest());
        if (n_live > 0) CHECK(root == live[earliest()]);
        else CHECK(root == NULL);
        if (i % 100 == 0 && root != NULL) CHECK_EQ(1 + well_formed(root), n_live);
    }
}

TEST(equal_deadlines_leave_in_the_order_they_came) {
    uint32_t seed = 99;
    all_idle();
    for (int i = 0; i < MOST; i++) insert(dice(&seed) % 4);
    while (n_live > 0) {
        int64_t when = root->when;
        uint64_t came = root->order;
        drop(earliest());
        if (root != NULL) CHECK(root->when > when || (root->when == when && root->order > came));
    }
    CHECK(root == NULL);
}

// Long runs of one shape: a child list of all nodes, and a chain of all nodes.
TEST(sorted_input_in_either_direction_is_no_trouble) {
    for (int backwards = 0; backwards < 2; backwards++) {
        all_idle();
        for (int i = 0; i < MOST; i++) insert(backwards ? MOST - i : i);
        CHECK_EQ(1 + well_formed(root), MOST);
        for (int64_t last = -1; root != NULL; drop(earliest())) {
            CHECK(root->when > last);
            last = root->when;
        }
        CHECK_EQ(n_live, 0);
    }
}

TEST(extreme_instants_compare) {
    all_idle();
    insert(INT64_MAX);
    insert(INT64_MIN);
    insert(0);
    insert(INT64_MAX - 1);
    const int64_t sorted[] = { INT64_MIN, 0, INT64_MAX - 1, INT64_MAX };
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(root->when, sorted[i]);
        drop(earliest());
    }
}
