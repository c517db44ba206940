/* The set of watched descriptors. The kernel is given numbers and no pointers, and `by_number` says
 * whose they are. So what the kernel still tells of a descriptor that is no longer watched finds no
 * owner, and is ignored. */
#include "net/descriptors.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/memory.h"
#include "carom.h"
#include "net/os.h"

/* Events that one call takes. */
#define EVENTS 64

void carom_descriptors_init(struct carom_descriptors *set)
{
    *set = (struct carom_descriptors){.fd = -1};
}

void carom_descriptors_finish(struct carom_descriptors *set)
{
    if (set->fd >= 0)
        close(set->fd);
    carom_memory_give(set->by_number, set->size * sizeof(struct carom_descriptor *));
    carom_descriptors_init(set);
}

/* Room in the table for a number. */
static int grow(struct carom_descriptors *set, uint32_t number)
{
    if (number < set->size)
        return 0;
    uint32_t size = set->size == 0 ? 64 : set->size;
    while (size <= number)
        size *= 2;
    struct carom_descriptor **table = carom_memory_take_zeroed(size * sizeof(*table));
    if (table == NULL)
        return -CAROM_ENOMEM;
    if (set->size > 0)
        memcpy(table, set->by_number, set->size * sizeof(*table));
    carom_memory_give(set->by_number, set->size * sizeof(*table));
    set->by_number = table;
    set->size = size;
    return 0;
}

/* A number that is new to the kernel and known here was closed under its watch: it is of somebody
 * else now. */
static int add(struct carom_descriptors *set, struct carom_descriptor *descriptor, unsigned events)
{
    if (descriptor->fd < 0)
        return -CAROM_ENOENT;
    int error = grow(set, (uint32_t)descriptor->fd);
    if (error == 0 && set->fd < 0) {
        set->fd = carom_os_set_create();
        error = set->fd < 0 ? carom_error_from_errno(errno) : 0;
    }
    if (error == 0)
        error = carom_os_set_change(set->fd, descriptor->fd, 0, events);
    if (error < 0)
        return error;
    set->by_number[descriptor->fd] = descriptor;
    descriptor->events = (uint8_t)events;
    return 0;
}

static bool is_in(const struct carom_descriptors *set, const struct carom_descriptor *descriptor)
{
    return descriptor->fd >= 0 && (uint32_t)descriptor->fd < set->size &&
           set->by_number[descriptor->fd] == descriptor;
}

int carom_descriptors_watch(struct carom_descriptors *set, struct carom_descriptor *descriptor,
                            unsigned events)
{
    if (!is_in(set, descriptor))
        return add(set, descriptor, events);
    if (descriptor->events == events)
        return 0;
    int error = carom_os_set_change(set->fd, descriptor->fd, descriptor->events, events);
    if (error == 0)
        descriptor->events = (uint8_t)events;
    return error;
}

void carom_descriptors_unwatch(struct carom_descriptors *set, struct carom_descriptor *descriptor)
{
    if (!is_in(set, descriptor))
        return;
    set->by_number[descriptor->fd] = NULL;
    /* It fails where the descriptor is closed, and gone by that. */
    carom_os_set_change(set->fd, descriptor->fd, descriptor->events, 0);
    descriptor->events = 0;
}

void carom_descriptors_deliver(struct carom_descriptors *set)
{
    struct carom_os_found found[EVENTS];
    int count = carom_os_set_look(set->fd, found, EVENTS);
    for (int i = 0; i < count; i++) {
        struct carom_descriptor *descriptor = set->by_number[found[i].fd];
        if (descriptor == NULL)
            continue;
        unsigned ready = found[i].events & descriptor->events;
        if (ready != 0)
            descriptor->ready(descriptor, ready);
    }
}
