/* Bins: a label in front of each piece of memory says how large it is, so that it can be given back
 * without its size. */
#include "base/bins.h"

#include <string.h>

#include "base/memory.h"

/* In front of what the caller gets; as large as its alignment. */
struct label {
    size_t size; /* of the whole piece */
    size_t bin;  /* CAROM_BIN_COUNT: none */
};

#define LABEL 16
_Static_assert(sizeof(struct label) <= LABEL, "a label keeps the alignment");

/* Windows and tables of zlib are 4096 and 8192 bytes; then come buffers of one HTTP/2 frame of the
 * default size; and messages of WebSocket that gather, which double up to 1 MiB, and are mostly a
 * little longer than what the program had in mind. */
static const size_t sizes[CAROM_BIN_COUNT] = {48,
                                              80,
                                              128,
                                              256,
                                              512,
                                              1024,
                                              2048,
                                              4096 + LABEL,
                                              8192 + LABEL,
                                              12288,
                                              16384 + 1024,
                                              32768 + 1024,
                                              65536 + 1024,
                                              131072 + 1024,
                                              262144 + 1024,
                                              524288 + 1024,
                                              1048576 + 1024};

void carom_bins_init(struct carom_bins *bins)
{
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        carom_pool_init(&bins->pools[i], sizes[i], 0);
}

void carom_bins_finish(struct carom_bins *bins)
{
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        carom_pool_finish(&bins->pools[i]);
}

static struct label *label_of(void *memory)
{
    return (struct label *)(void *)((char *)memory - LABEL);
}

void *carom_bins_take(struct carom_bins *bins, size_t size)
{
    if (size > SIZE_MAX - LABEL)
        return NULL;
    size += LABEL;
    size_t bin = 0;
    while (bin < CAROM_BIN_COUNT && sizes[bin] < size)
        bin++;
    struct label *label;
    if (bin < CAROM_BIN_COUNT) {
        size = sizes[bin];
        label = carom_pool_take(&bins->pools[bin]);
    } else {
        label = carom_memory_take(size);
    }
    if (label == NULL)
        return NULL;
    *label = (struct label){size, bin};
    return (char *)label + LABEL;
}

void *carom_bins_take_zeroed(struct carom_bins *bins, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    void *memory = carom_bins_take(bins, count * size);
    if (memory != NULL)
        memset(memory, 0, count * size);
    return memory;
}

void *carom_bins_resize(struct carom_bins *bins, void *memory, size_t size)
{
    if (memory == NULL)
        return carom_bins_take(bins, size);
    size_t room = label_of(memory)->size - LABEL;
    if (size <= room)
        return memory;
    void *larger = carom_bins_take(bins, size);
    if (larger == NULL)
        return NULL;
    memcpy(larger, memory, room);
    carom_bins_give(bins, memory);
    return larger;
}

void carom_bins_give(struct carom_bins *bins, void *memory)
{
    if (memory == NULL)
        return;
    struct label *label = label_of(memory);
    if (label->bin < CAROM_BIN_COUNT)
        carom_pool_give(&bins->pools[label->bin], label);
    else
        carom_memory_give(label, label->size);
}
