// What the two files share: a task of one, spawned by the other, and a channel's type.
#include "chanrt.h"

struct pair { int a, b; };
TASK_DECLARE(swap, chan_receiver(struct pair), in, chan_sender(struct pair), out);
TASK_DECLARE(nothing);
chan(struct pair) make_pairs(size_t cap);
