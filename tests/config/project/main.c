#include "pool.h"
#include <stdio.h>

int main(void) {
    chan(int) in = chan_make(int, 10), out = chan_make(int, 0);
    if (in == NULL || out == NULL || pool_start(3, in, out) != 0) return 1;
    for (int i = 1; i <= 10; i++) chan_send(in, i);
    chan_close(in);
    int sum = 0;
    chan_range(int, n, out) sum += n;
    printf("%d\n", sum);
    chan_free(in);
    chan_free(out);
    return chanrt_shutdown(CHANRT_SECOND);
}
