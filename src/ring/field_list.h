/* The fields of a message, read from the bytes of the VM. Their list is the ring's and is used
 * again; it grows as heads need it, and long heads are copied first, because the VM may change its
 * memory under our eyes. */
#ifndef CAROM_RING_FIELD_LIST_H
#define CAROM_RING_FIELD_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carom.h"

struct carom_field_list {
    carom_field *fields;
    size_t capacity;
    uint8_t *copy; /* of a loan */
    size_t copy_size;
    bool lent; /* since the last tick there was one */
};

void carom_field_list_finish(struct carom_field_list *list);
/* A window is over: in which no long head was read, what those before it took goes back. */
void carom_field_list_tick(struct carom_field_list *list);
/* Whether there is something to go back some time. */
static inline bool carom_field_list_above_floor(const struct carom_field_list *list)
{
    return list->copy_size > 0;
}

/* Fields in memory that is ours, with lengths of half a word. How many, -CAROM_EFIELD, or
 * -CAROM_ENOMEM. */
int64_t carom_ring_fields_here(struct carom_field_list *list, const uint8_t *at, size_t length,
                               const carom_field **fields);
/* Fields in memory that is the VM's, with lengths of a word; also -CAROM_ETOOBIG, when they must be
 * more than `most` bytes of names and values. */
int64_t carom_ring_fields_lent(struct carom_field_list *list, const void *data, size_t length,
                               uint32_t most, const carom_field **fields);

#endif
