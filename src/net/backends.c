/* The table of backends. The simulated one is not in it: tests make it themselves. */
#include "net/backends.h"

#include <string.h>

static const struct carom_backend backends[] = {
    {"epoll", "epoll", carom_loop_epoll_create}, /* the one that works everywhere */
    {"uring", "io_uring", carom_loop_uring_create},
};

const struct carom_backend *carom_backend_find(const char *name)
{
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (name == NULL || strcmp(backends[i].name, name) == 0)
            return &backends[i];
    return NULL;
}
