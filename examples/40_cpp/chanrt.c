// The implementation is C, in a file of its own; the rest of the program may be C++.
#define CHANRT_IMPLEMENTATION
#include "../../chanrt.h"
