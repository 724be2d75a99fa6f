// Shows: two different functions side by side; together they take as long as
//        the slower one.
// Go:    wg.Add(2)
//        go boilWater(&wg)
//        go grindCoffee(&wg)
//        wg.Wait()
#define CHANRT_IMPLEMENTATION
#include "../chanrt.h"
#include <stdio.h>

#define SECOND (CHANRT_SECOND / 20)     // waits are scaled down

TASK(boil_water, waitgroup *, wg) {
    task_sleep(3 * SECOND);
    printf("the water boils\n");
    wg_done(wg);
}

TASK(grind_coffee, waitgroup *, wg) {
    task_sleep(SECOND);
    printf("the coffee is ground\n");
    wg_done(wg);
}

int main(void) {
    waitgroup wg = {0};
    wg_add(&wg, 2);
    go(boil_water, &wg);
    go(grind_coffee, &wg);
    wg_wait(&wg);
    printf("both are ready\n");
    return 0;
}

// Output (any order):
// the coffee is ground
// the water boils
// both are ready
