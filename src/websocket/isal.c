/* permessage-deflate over ISA-L. Its level 1 makes Huffman codes for each block, as zlib's does. */
#include "websocket/isal.h"

#include <isa-l/igzip_lib.h>

/* With the least room that its level 1 can have, long messages take half as much time again. */
struct carom_ws_isal {
    struct isal_zstream stream;
    uint8_t room[ISAL_DEF_LVL1_MEDIUM];
};

size_t carom_ws_isal_size(void)
{
    return sizeof(struct carom_ws_isal);
}

/* It takes no pointers to const, though it only reads. */
static uint8_t *readable(const void *data)
{
    return (uint8_t *)(uintptr_t)data;
}

size_t carom_ws_isal_deflate(struct carom_ws_isal *memory, uint8_t bits, carom_slice before,
                             const uint8_t *data, size_t length, uint8_t *to, size_t room)
{
    struct isal_zstream *stream = &memory->stream;
    isal_deflate_init(stream);
    stream->level = 1;
    stream->level_buf = memory->room;
    stream->level_buf_size = sizeof memory->room;
    stream->hist_bits = bits;
    stream->flush = SYNC_FLUSH;
    if (before.length > 0 &&
        isal_deflate_set_dict(stream, readable(before.data), (uint32_t)before.length) != COMP_OK)
        return 0;
    stream->next_in = readable(data);
    stream->avail_in = (uint32_t)length;
    stream->next_out = to;
    stream->avail_out = (uint32_t)room;
    bool done = isal_deflate(stream) == COMP_OK && stream->avail_in == 0 && stream->avail_out > 0;
    return done ? stream->total_out : 0;
}
