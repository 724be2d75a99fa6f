// expect: chanrt__select. undeclared|undeclared identifier .chanrt__select
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
#ifdef OK
    chan_select { on_recv(ch, NULL) { } }
#else
    on_recv(ch, NULL) { }
#endif
    return 0;
}
