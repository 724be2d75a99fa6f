// expect: invalid conversion|cannot initialize|no known conversion|discards qualifiers
#include "chanrt.h"

int main() {
    chan(int) ch = chan_make(int, 1);
    chan_receiver(int) in = ch;
#ifdef OK
    chan_receiver(int) back = in;
#else
    chan(int) back = in;
#endif
    chan_free(back);
}
