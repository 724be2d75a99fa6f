// plugin.h - what main.c knows of a plugin: one function, which answers n questions.
#ifndef PLUGIN_H
#define PLUGIN_H

#ifdef OWN_RUNTIME
#define CHANRT_IMPLEMENTATION
#define CHANRT_STATIC
#endif
#include "chanrt.h"

// Of a runtime that both share, the other plugin's tasks answer; else the plugin's own.
struct plugin {
    chan(int) questions, answers;
    int (*start)(struct plugin *p, chan(int) questions, chan(int) answers);
    int (*ask)(struct plugin *p, int n);    // the sum of the answers, each question plus one
    int (*stop)(struct plugin *p);
};

struct plugin *plugin(void);

#endif
