// What main.c may start of squares.c.
#ifndef SQUARES_H
#define SQUARES_H

#include "../../chanrt.h"

TASK_DECLARE(square, chan_receiver(int), in, chan_sender(int), out);

#endif
