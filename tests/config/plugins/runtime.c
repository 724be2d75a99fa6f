// The runtime, for all that load it.
#define CHANRT_IMPLEMENTATION
#include "chanrt.h"
