/* Stands in for isal.c in a build without ISA-L: zlib compresses all messages. */
#include "websocket/isal.h"

size_t carom_ws_isal_size(void)
{
    return 0;
}

size_t carom_ws_isal_deflate(struct carom_ws_isal *memory, uint8_t bits, carom_slice before,
                             // NOLINTNEXTLINE(readability-non-const-parameter): isal.c writes there
                             const uint8_t *data, size_t length, uint8_t *to, size_t room)
{
    (void)memory;
    (void)bits;
    (void)before;
    (void)data;
    (void)length;
    (void)to;
    (void)room;
    return 0;
}
