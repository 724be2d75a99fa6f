// pool.h - a pool of tasks that square numbers.
#ifndef POOL_H
#define POOL_H
#include <chanrt.h>

// Starts n workers; out is closed when in has been and all is done.
int pool_start(int n, chan_receiver(int) in, chan(int) out);

#endif
