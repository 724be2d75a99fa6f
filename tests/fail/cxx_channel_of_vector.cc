// expect: a channel copies bytes, and this type has a copy or move of its own
#include <vector>
#include "chanrt.h"

int main() {
#ifdef OK
    chanrt::channel<std::vector<int> *> ch(1);
#else
    chanrt::channel<std::vector<int>> ch(1);
#endif
    return ch.get() == nullptr;
}
