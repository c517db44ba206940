/* Lives. A carom_ref points to a life, which says whether a handler still holds the record that the
 * reference was made of. Each object of a worker's pool of records has a life of its own, whose
 * memory stays until the worker ends, so a reference may be asked after the record's memory has
 * gone back to the allocator. There are as many lives as there ever were records at once. Sockets
 * have lives, too, with a carom_websocket_ref. */
#ifndef CAROM_RECORD_LIFE_H
#define CAROM_RECORD_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "carom.h"

struct carom_records;
struct carom_life_block;

struct carom_life {
    struct carom_records *records;
    union {
        void *object;            /* the record */
        struct carom_life *next; /* of those that are free */
    };
    uint64_t generation; /* odd while a handler holds the object */
    uint64_t since;      /* ms of the worker's clock: when it was given it */
};

/* All of a worker. */
struct carom_lives {
    struct carom_life *free;
    struct carom_life_block *blocks;
};

/* A life for an object of the pool; NULL when out of memory. */
struct carom_life *carom_life_take(struct carom_lives *lives, struct carom_records *records,
                                   void *object);
/* The object goes back to the allocator. */
void carom_life_give(struct carom_lives *lives, struct carom_life *life);
/* None is taken any more, and nobody may ask a reference. */
void carom_lives_finish(struct carom_lives *lives);

/* Where somebody stands who looks at all; begins as zero. */
struct carom_life_cursor {
    const struct carom_life_block *block;
    uint32_t index;
    bool begun;
};

/* The next object that somebody holds; NULL behind the last. They may be released on the way; one
 * that comes meanwhile may be missed. */
void *carom_lives_next(const struct carom_lives *lives, struct carom_life_cursor *cursor);

static inline bool carom_life_is_held(const struct carom_life *life)
{
    return (life->generation & 1) != 0;
}

#endif
