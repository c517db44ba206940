/* Reads and writes chunked content: chunk lines byte by byte, data in pieces as long as they can
 * be. */
#include "wire/chunked.h"

#include <stdbool.h>

#include "wire/scan.h"

enum state {
    STATE_SIZE_FIRST, /* the first digit of a size */
    STATE_SIZE,
    STATE_BLANK,      /* after the size: blanks before ";" (RFC 9112, 7.1.1) */
    STATE_NAME_FIRST, /* of an extension */
    STATE_NAME,
    STATE_AFTER_NAME, /* blanks before "=" or ";" */
    STATE_VALUE_FIRST,
    STATE_VALUE,
    STATE_QUOTED,
    STATE_ESCAPED,
    STATE_AFTER_QUOTED,
    STATE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_DONE,
};

#define MAX_LINE 256
#define MAX_SIZE (UINT64_C(1) << 62)

void carom_chunked_init(struct carom_chunked *chunked)
{
    *chunked = (struct carom_chunked){.state = STATE_SIZE_FIRST};
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool add_digit(struct carom_chunked *chunked, uint8_t byte)
{
    int digit = hex_digit(byte);
    if (digit < 0 || chunked->left > MAX_SIZE >> 4)
        return false;
    chunked->left = chunked->left << 4 | (uint64_t)digit;
    return chunked->left <= MAX_SIZE;
}

static bool blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* What may follow a size, an extension's name or its value; -1 when `byte` is none of it. */
static int delimiter(uint8_t byte)
{
    if (byte == ';')
        return STATE_NAME_FIRST;
    if (byte == '\r')
        return STATE_LF;
    return blank(byte) ? STATE_BLANK : -1;
}

/* One byte of a chunk line: the next state, or -1. Extensions are checked and forgotten. */
static int line_step(struct carom_chunked *chunked, uint8_t byte)
{
    switch (chunked->state) {
    case STATE_SIZE_FIRST:
        return add_digit(chunked, byte) ? STATE_SIZE : -1;
    case STATE_SIZE: {
        int next = delimiter(byte);
        if (next >= 0)
            return next;
        return add_digit(chunked, byte) ? STATE_SIZE : -1;
    }
    case STATE_BLANK:
        if (blank(byte))
            return STATE_BLANK;
        return byte == ';' ? STATE_NAME_FIRST : -1;
    case STATE_NAME_FIRST:
        if (blank(byte))
            return STATE_NAME_FIRST;
        return carom_token_characters[byte] ? STATE_NAME : -1;
    case STATE_NAME:
        if (carom_token_characters[byte])
            return STATE_NAME;
        if (byte == '=')
            return STATE_VALUE_FIRST;
        return blank(byte) ? STATE_AFTER_NAME : delimiter(byte);
    case STATE_AFTER_NAME:
        if (byte == '=')
            return STATE_VALUE_FIRST;
        if (byte == ';')
            return STATE_NAME_FIRST;
        return blank(byte) ? STATE_AFTER_NAME : -1;
    case STATE_VALUE_FIRST:
        if (blank(byte))
            return STATE_VALUE_FIRST;
        if (byte == '"')
            return STATE_QUOTED;
        return carom_token_characters[byte] ? STATE_VALUE : -1;
    case STATE_VALUE:
        return carom_token_characters[byte] ? STATE_VALUE : delimiter(byte);
    case STATE_QUOTED:
        if (byte == '"')
            return STATE_AFTER_QUOTED;
        if (byte == '\\')
            return STATE_ESCAPED;
        return (byte >= 0x20 && byte != 0x7f) || byte == '\t' ? STATE_QUOTED : -1;
    case STATE_ESCAPED:
        return (byte >= 0x20 && byte != 0x7f) || byte == '\t' ? STATE_QUOTED : -1;
    case STATE_AFTER_QUOTED:
        return delimiter(byte);
    default:
        if (byte != '\n')
            return -1;
        return chunked->left > 0 ? STATE_DATA : STATE_DONE;
    }
}

static enum carom_chunked_result take_data(struct carom_chunked *chunked, const uint8_t *data,
                                           uint32_t length, struct carom_chunked_piece *piece)
{
    uint32_t size = chunked->left < length ? (uint32_t)chunked->left : length;
    *piece = (struct carom_chunked_piece){data, size};
    chunked->left -= size;
    if (chunked->left == 0)
        chunked->state = STATE_DATA_CR;
    return CAROM_CHUNKED_DATA;
}

enum carom_chunked_result carom_chunked_read(struct carom_chunked *chunked, const uint8_t *data,
                                             uint32_t length, uint32_t *taken,
                                             struct carom_chunked_piece *piece)
{
    for (uint32_t i = 0; i < length; i++) {
        switch (chunked->state) {
        case STATE_DATA: {
            enum carom_chunked_result result = take_data(chunked, data + i, length - i, piece);
            *taken = i + piece->length;
            return result;
        }
        case STATE_DATA_CR:
            if (data[i] != '\r')
                return CAROM_CHUNKED_BAD;
            chunked->state = STATE_DATA_LF;
            break;
        case STATE_DATA_LF:
            if (data[i] != '\n')
                return CAROM_CHUNKED_BAD;
            carom_chunked_init(chunked);
            break;
        default: {
            int next = line_step(chunked, data[i]);
            if (next < 0 || ++chunked->line > MAX_LINE)
                return CAROM_CHUNKED_BAD;
            chunked->state = (uint8_t)next;
            if (next == STATE_DONE) {
                *taken = i + 1;
                return CAROM_CHUNKED_LAST;
            }
        }
        }
    }
    *taken = length;
    return CAROM_CHUNKED_MORE;
}

uint32_t carom_chunk_line_write(uint8_t *to, uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t length = 1;
    for (uint64_t rest = size >> 4; rest > 0; rest >>= 4)
        length++;
    for (uint32_t i = length; i > 0; i--, size >>= 4)
        to[i - 1] = (uint8_t)digits[size & 15];
    to[length] = '\r';
    to[length + 1] = '\n';
    return length + 2;
}
