// expect: chan_make: a channel copies bytes, and this type has a copy or move of its own
#include <string>
#include "chanrt.h"

int main() {
#ifdef OK
    chan(std::string *) ch = chan_make(std::string *, 1);
#else
    chan(std::string) ch = chan_make(std::string, 1);
#endif
    chan_free(ch);
}
