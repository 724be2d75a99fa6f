// cmocka.h - the four words of cmocka that main.c says, for targets that have no package of it.
#ifndef BARE_CMOCKA_H
#define BARE_CMOCKA_H
#include <stdio.h>

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    int (*setup_func)(void **state);
    int (*teardown_func)(void **state);
    void *initial_state;
};

static jmp_buf bare_failed;
#define fail_msg(...) (printf(__VA_ARGS__), putchar('\n'), longjmp(bare_failed, 1))

// How many failed.
static inline int _cmocka_run_group_tests(const char *group, struct CMUnitTest *tests, size_t count,
                                          void *setup, void *teardown) {
    static size_t i; // static, for longjmp
    static int failed;
    (void)group, (void)setup, (void)teardown;
    for (i = 0; i < count; i++) {
        printf("[ RUN      ] %s\n", tests[i].name);
        if (setjmp(bare_failed) == 0) {
            tests[i].test_func(&tests[i].initial_state);
            printf("[       OK ] %s\n", tests[i].name);
        } else {
            printf("[  FAILED  ] %s\n", tests[i].name);
            failed++;
        }
    }
    return failed;
}

#endif
