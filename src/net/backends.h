/* Which backends there are: a new one has its line in backends.c. */
#ifndef CAROM_NET_BACKENDS_H
#define CAROM_NET_BACKENDS_H

#include "net/loop.h"

/* Makes a loop that receives into `arena`; 0 or a negative error. */
typedef int carom_loop_create(struct carom_loop **loop, struct carom_arena *arena);

struct carom_backend {
    const char *name;  /* as in carom_options.backend */
    const char *title; /* as people know it */
    carom_loop_create *create;
};

/* The backend of that name, or NULL. Without a name, the one that works everywhere. */
const struct carom_backend *carom_backend_find(const char *name);

#endif
