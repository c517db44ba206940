/* Descriptors of the program that a loop watches: how the backends with a kernel do it. They are in
 * a set of their own (an epoll set, on Linux), which is made with the first one and is itself one
 * descriptor more for the loop: whoever watches nothing pays nothing, and the program's descriptors
 * mean the same on all backends. */
#ifndef CAROM_NET_DESCRIPTORS_H
#define CAROM_NET_DESCRIPTORS_H

#include "net/loop.h"

struct carom_descriptors {
    int fd;                              /* of the set; -1 until something is watched */
    uint32_t size;                       /* of `by_number` */
    struct carom_descriptor **by_number; /* whose watch a descriptor is in; NULL: nobody's */
};

void carom_descriptors_init(struct carom_descriptors *set);
void carom_descriptors_finish(struct carom_descriptors *set);

/* As `watch` and `unwatch` of carom_loop_ops. When `set->fd` becomes a descriptor, its readiness
 * (level-triggered) is the loop's to watch. */
int carom_descriptors_watch(struct carom_descriptors *set, struct carom_descriptor *descriptor,
                            unsigned events);
void carom_descriptors_unwatch(struct carom_descriptors *set, struct carom_descriptor *descriptor);

/* Tell the owners of those that are ready; what does not fit into one call is told in the next
 * turn. */
void carom_descriptors_deliver(struct carom_descriptors *set);

#endif
