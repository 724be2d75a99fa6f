// expect: discards .*qualifier
#include "chanrt.h"

int main(void) {
    chan(char *) ch = chan_make(char *, 1);
    char mine[] = "a";
    const char *theirs = mine;
#ifdef OK
    chan_send(ch, mine);
    (void)theirs;
#else
    chan_send(ch, theirs);
#endif
    return 0;
}
