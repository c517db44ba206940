/* Lives of records: allocates them in blocks, takes them back, and goes through all of them. */
#include "record/life.h"

#include "base/assert.h"
#include "base/memory.h"

#define BLOCK_LIVES 64

struct carom_life_block {
    struct carom_life_block *next;
    struct carom_life lives[BLOCK_LIVES];
};

static bool add_block(struct carom_lives *lives)
{
    struct carom_life_block *block = carom_memory_take_zeroed(sizeof *block);
    if (block == NULL)
        return false;
    block->next = lives->blocks;
    lives->blocks = block;
    for (int i = BLOCK_LIVES; i-- > 0;) {
        block->lives[i].next = lives->free;
        lives->free = &block->lives[i];
    }
    return true;
}

struct carom_life *carom_life_take(struct carom_lives *lives, struct carom_records *records,
                                   void *object)
{
    if (lives->free == NULL && !add_block(lives))
        return NULL;
    struct carom_life *life = lives->free;
    lives->free = life->next;
    life->records = records;
    life->object = object;
    return life;
}

void carom_life_give(struct carom_lives *lives, struct carom_life *life)
{
    carom_assert(!carom_life_is_held(life));
    life->next = lives->free;
    lives->free = life;
}

void carom_lives_finish(struct carom_lives *lives)
{
    while (lives->blocks != NULL) {
        struct carom_life_block *block = lives->blocks;
        lives->blocks = block->next;
        carom_memory_give(block, sizeof *block);
    }
    lives->free = NULL;
}

void *carom_lives_next(const struct carom_lives *lives, struct carom_life_cursor *cursor)
{
    if (!cursor->begun)
        *cursor = (struct carom_life_cursor){.block = lives->blocks, .begun = true};
    for (; cursor->block != NULL; cursor->block = cursor->block->next, cursor->index = 0)
        while (cursor->index < BLOCK_LIVES) {
            const struct carom_life *life = &cursor->block->lives[cursor->index++];
            if (carom_life_is_held(life))
                return life->object;
        }
    return NULL;
}
