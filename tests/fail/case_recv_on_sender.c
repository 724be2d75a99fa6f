// expect: case_recv: the channel is a send-only view
#include "chanrt.h"

int main(void) {
    chan(int) ch = chan_make(int, 1);
    chan_sender(int) out = ch;
    int v = 1;
#ifdef OK
    chan_case cases[] = { case_recv(ch, &v), case_send(out, &v) };
    chan_select_n(cases, 2, 0);
#else
    chan_case cases[] = { case_recv(out, &v) };
    chan_select_n(cases, 1, 0);
#endif
    return 0;
}
