// expect: a channel copies bytes.*: send a pointer \(of a unique_ptr its release
#include <memory>
#include "chanrt.h"

#ifdef OK
void give(chan(int *) ch, std::unique_ptr<int> p) {
    chan_send(ch, p.release());
}
#else
void give(chan(std::unique_ptr<int>) ch, std::unique_ptr<int> p) {
    chan_send(ch, std::move(p));
}
#endif
