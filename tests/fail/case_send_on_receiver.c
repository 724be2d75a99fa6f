// expect: case_send: the channel is a receive-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
    int v = 1;
#ifdef OK
    chan_case cases[] = { case_send(ch, &v), case_recv(in, &v) };
    chan_select_n(cases, 2, 0);
#else
    chan_case cases[] = { case_send(in, &v) };
    chan_select_n(cases, 1, 0);
#endif
    return 0;
}
