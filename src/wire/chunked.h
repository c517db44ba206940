/* Reads the chunked transfer coding (RFC 9112, 7.1), strictly and as bytes come; and writes its
 * chunk lines. */
#ifndef CAROM_WIRE_CHUNKED_H
#define CAROM_WIRE_CHUNKED_H

#include <stdint.h>

struct carom_chunked {
    uint64_t left; /* of the chunk that is being read */
    uint32_t line; /* bytes of the chunk line so far */
    uint8_t state;
};

enum carom_chunked_result {
    CAROM_CHUNKED_MORE, /* all bytes were taken; more are wanted */
    CAROM_CHUNKED_DATA, /* *piece lies in the input; call again with what was not taken */
    CAROM_CHUNKED_LAST, /* the last chunk's line was taken: the trailer section follows */
    CAROM_CHUNKED_BAD,  /* refused: 400; the connection must not be read further */
};

struct carom_chunked_piece {
    const uint8_t *data;
    uint32_t length;
};

void carom_chunked_init(struct carom_chunked *chunked);

/* Read from data[0..length); *taken says how many bytes were used, the piece of data included.
 * Chunk lines are at most 256 bytes, extensions included (they are checked and dropped). Sizes over
 * 2^62 are refused. */
enum carom_chunked_result carom_chunked_read(struct carom_chunked *chunked, const uint8_t *data,
                                             uint32_t length, uint32_t *taken,
                                             struct carom_chunked_piece *piece);

/* Room that a chunk line needs: 16 digits, CR, LF. */
#define CAROM_CHUNK_LINE 18
/* Write the line that begins a chunk of `size` bytes; returns its length. */
uint32_t carom_chunk_line_write(uint8_t *to, uint64_t size);

#endif
