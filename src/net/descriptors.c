/* The set of watched descriptors. The kernel is given numbers and no pointers, and `by_number` says
 * whose they are. So what the kernel still tells of a descriptor that is no longer watched finds no
 * owner, and is ignored. */
#include "net/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/memory.h"
#include "carom.h"

/* Events that one call takes. */
#define EVENTS 64

void carom_descriptors_init(struct carom_descriptors *set)
{
    *set = (struct carom_descriptors){.epoll = -1};
}

void carom_descriptors_finish(struct carom_descriptors *set)
{
    if (set->epoll >= 0)
        close(set->epoll);
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

static int control(const struct carom_descriptors *set, int operation, int fd, unsigned events)
{
    struct epoll_event event = {
        .events = (events & CAROM_WATCH_READABLE ? (uint32_t)EPOLLIN : 0u) |
                  (events & CAROM_WATCH_WRITABLE ? (uint32_t)EPOLLOUT : 0u),
        .data.fd = fd,
    };
    if (epoll_ctl(set->epoll, operation, fd, &event) == 0)
        return 0;
    switch (errno) {
    case EEXIST:
        return -CAROM_ESTATE;
    case EPERM: /* a regular file: it is ready always */
    case ELOOP:
    case EINVAL:
        return -CAROM_EUNSUPPORTED;
    case ENOSPC: /* max_user_watches */
        return -CAROM_EMFILE;
    default:
        return carom_error_from_errno(errno);
    }
}

/* A number that is new to the kernel and known here was closed under its watch: it is of somebody
 * else now. */
static int add(struct carom_descriptors *set, struct carom_descriptor *descriptor, unsigned events)
{
    if (descriptor->fd < 0)
        return -CAROM_ENOENT;
    int error = grow(set, (uint32_t)descriptor->fd);
    if (error == 0 && set->epoll < 0) {
        set->epoll = epoll_create1(EPOLL_CLOEXEC);
        error = set->epoll < 0 ? carom_error_from_errno(errno) : 0;
    }
    if (error == 0)
        error = control(set, EPOLL_CTL_ADD, descriptor->fd, events);
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
    int error = control(set, EPOLL_CTL_MOD, descriptor->fd, events);
    if (error == 0)
        descriptor->events = (uint8_t)events;
    return error;
}

void carom_descriptors_unwatch(struct carom_descriptors *set, struct carom_descriptor *descriptor)
{
    if (!is_in(set, descriptor))
        return;
    set->by_number[descriptor->fd] = NULL;
    descriptor->events = 0;
    control(set, EPOLL_CTL_DEL, descriptor->fd, 0); /* fails where it is closed, and gone by that */
}

/* What has failed or was hung up is ready for all that it is watched for: the call says why. */
static unsigned events_of(uint32_t found, unsigned wanted)
{
    if (found & (EPOLLERR | EPOLLHUP))
        return wanted;
    return (found & EPOLLIN ? (unsigned)CAROM_WATCH_READABLE : 0) |
           (found & EPOLLOUT ? (unsigned)CAROM_WATCH_WRITABLE : 0);
}

void carom_descriptors_deliver(struct carom_descriptors *set)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(set->epoll, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct carom_descriptor *descriptor = set->by_number[events[i].data.fd];
        if (descriptor == NULL)
            continue;
        unsigned ready = events_of(events[i].events, descriptor->events) & descriptor->events;
        if (ready != 0)
            descriptor->ready(descriptor, ready);
    }
}
