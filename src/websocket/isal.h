/* Messages compressed by ISA-L (libisal), where zlib would do it at its level 1: in less time, and
 * to a little less. It keeps nothing from one message to the next; what a message may
 * refer to is handed in. In a build without it isal_none.c stands here, and zlib compresses all. */
#ifndef CAROM_WEBSOCKET_ISAL_H
#define CAROM_WEBSOCKET_ISAL_H

#include <stddef.h>
#include <stdint.h>

#include "carom.h"

struct carom_ws_isal;

/* The bytes of its memory, which the caller takes; what they hold is of no matter. 0: this build
 * has none. */
size_t carom_ws_isal_size(void);

/* Compress a whole message, of which nothing refers further back than 2^bits bytes (8 to 15); so
 * many bytes at most stand `before` it, and the peer has them. How many bytes lie in to[0..room),
 * the last four of a flush among them; 0: it takes more. `length` is at most 2^30. */
size_t carom_ws_isal_deflate(struct carom_ws_isal *memory, uint8_t bits, carom_slice before,
                             const uint8_t *data, size_t length, uint8_t *to, size_t room);

#endif
