/* Fuzzes the chunked decoder: bytes read whole, and again in pieces, must give what a second
 * decoder gives, which is written after the grammar (RFC 9112, 7.1) and knows nothing of states.
 * What was decoded is encoded again with the lines that the engine writes, and decoded once more.
 *
 * Input: cuts (1 byte), chunks. */
#include "fuzz/support.h"

#include <ctype.h>

#include "wire/chunked.h"

#define MAX_BYTES 8192
#define MAX_LINE  256
#define MAX_SIZE  ((uint64_t)1 << 62)

/* What came of it. */
struct decoded {
    enum carom_chunked_result result; /* MORE, LAST or BAD */
    uint32_t taken;                   /* LAST: up to the trailers */
    uint32_t length;
    uint8_t content[MAX_BYTES];
};

/* ---------------------------------------------------------------- the second decoder */

enum { NOT_YET = -1, WRONG = -2 }; /* NOT_YET is EOF, which <ctype.h> allows */

struct cursor {
    const uint8_t *at, *end;
};

static int peek(const struct cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : NOT_YET;
}

static bool is_token(int byte)
{
    return byte > 0x20 && byte < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL;
}

static void skip_blanks(struct cursor *cursor)
{
    while (peek(cursor) == ' ' || peek(cursor) == '\t')
        cursor->at++;
}

/* One of these gives 0, NOT_YET when the bytes end too early, or WRONG. */
static int read_byte(struct cursor *cursor, int byte)
{
    int next = peek(cursor);
    if (next == NOT_YET)
        return NOT_YET;
    if (next != byte)
        return WRONG;
    cursor->at++;
    return 0;
}

static int read_token(struct cursor *cursor)
{
    int first = peek(cursor);
    while (is_token(peek(cursor)))
        cursor->at++;
    if (peek(cursor) == NOT_YET)
        return NOT_YET;
    return is_token(first) ? 0 : WRONG;
}

static int read_quoted(struct cursor *cursor)
{
    cursor->at++;
    for (int byte; (byte = peek(cursor)) != '"'; cursor->at++) {
        if (byte == '\\') {
            cursor->at++;
            byte = peek(cursor);
        }
        if (byte == NOT_YET)
            return NOT_YET;
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return WRONG;
    }
    cursor->at++;
    return 0;
}

/* [ BWS ";" BWS name [ BWS "=" BWS value ] ], again and again */
static int read_extensions(struct cursor *cursor)
{
    for (;;) {
        const uint8_t *before = cursor->at;
        skip_blanks(cursor);
        int next = peek(cursor);
        if (next == NOT_YET)
            return NOT_YET;
        if (next != ';') {
            cursor->at = before; /* blanks before the CRLF are nobody's */
            return 0;
        }
        cursor->at++;
        skip_blanks(cursor);
        int result = read_token(cursor);
        if (result < 0)
            return result;
        before = cursor->at;
        skip_blanks(cursor);
        if (peek(cursor) != '=') {
            cursor->at = before;
            continue;
        }
        cursor->at++;
        skip_blanks(cursor);
        result = peek(cursor) == '"' ? read_quoted(cursor) : read_token(cursor);
        if (result < 0)
            return result;
    }
}

/* More than 16 digits after the zeros, or more than 2^62, is too much. */
static int read_size(struct cursor *cursor, uint64_t *size)
{
    const uint8_t *start = cursor->at;
    unsigned digits = 0;
    *size = 0;
    for (int byte; isxdigit(byte = peek(cursor)); cursor->at++) {
        const char digit[] = {(char)byte, '\0'};
        if (byte != '0' || digits > 0)
            digits++;
        if (digits > 16)
            return WRONG;
        *size = *size * 16 + strtoul(digit, NULL, 16);
        if (*size > MAX_SIZE)
            return WRONG;
    }
    if (peek(cursor) == NOT_YET)
        return NOT_YET;
    return cursor->at > start ? 0 : WRONG;
}

static int read_line(struct cursor *cursor, uint64_t *size)
{
    const uint8_t *start = cursor->at;
    int result = read_size(cursor, size);
    if (result == 0)
        result = read_extensions(cursor);
    if (result == 0)
        result = read_byte(cursor, '\r');
    if (result == 0)
        result = read_byte(cursor, '\n');
    if (cursor->at - start > MAX_LINE)
        return WRONG;
    return result;
}

static int decode_by_grammar(const uint8_t *bytes, uint32_t length, struct decoded *decoded)
{
    struct cursor cursor = {bytes, bytes + length};
    for (;;) {
        uint64_t size;
        int result = read_line(&cursor, &size);
        if (result < 0 || size == 0) {
            decoded->taken = (uint32_t)(cursor.at - bytes);
            return result;
        }
        size_t left = (size_t)(cursor.end - cursor.at);
        size_t here = size < left ? (size_t)size : left;
        memcpy(decoded->content + decoded->length, cursor.at, here);
        decoded->length += (uint32_t)here;
        cursor.at += here;
        if (here < size)
            return NOT_YET;
        result = read_byte(&cursor, '\r');
        if (result == 0)
            result = read_byte(&cursor, '\n');
        if (result < 0)
            return result;
    }
}

/* ---------------------------------------------------------------- the first one */

/* Decode one piece; the last result. */
static enum carom_chunked_result decode_piece(struct carom_chunked *chunked, const uint8_t *bytes,
                                              uint32_t length, struct decoded *decoded)
{
    uint8_t *data = exact(bytes, length);
    uint32_t at = 0;
    enum carom_chunked_result result = CAROM_CHUNKED_DATA;
    while (result == CAROM_CHUNKED_DATA && at < length) {
        uint32_t taken = UINT32_MAX;
        struct carom_chunked_piece piece = {NULL, 0};
        result = carom_chunked_read(chunked, data + at, length - at, &taken, &piece);
        if (result == CAROM_CHUNKED_BAD)
            break;
        carom_assert(taken > 0 && taken <= length - at);
        carom_assert(result != CAROM_CHUNKED_MORE || taken == length - at);
        if (result == CAROM_CHUNKED_DATA) {
            carom_assert(piece.length > 0 && piece.data + piece.length == data + at + taken);
            memcpy(decoded->content + decoded->length, piece.data, piece.length);
            decoded->length += piece.length;
        }
        at += taken;
    }
    decoded->taken += at;
    free(data);
    return result == CAROM_CHUNKED_DATA ? CAROM_CHUNKED_MORE : result;
}

/* In pieces as `cuts` says; NULL: whole. */
static void decode(const uint8_t *bytes, uint32_t length, struct cuts *cuts,
                   struct decoded *decoded)
{
    struct carom_chunked chunked;
    carom_chunked_init(&chunked);
    decoded->taken = decoded->length = 0;
    decoded->result = CAROM_CHUNKED_MORE;
    for (uint32_t at = 0; at < length && decoded->result == CAROM_CHUNKED_MORE;) {
        uint32_t piece = cuts != NULL ? next_piece(cuts) : length;
        if (piece > length - at)
            piece = length - at;
        decoded->result = decode_piece(&chunked, bytes + at, piece, decoded);
        at += piece;
    }
}

/* ---------------------------------------------------------------- comparing */

static void assert_same(const struct decoded *a, const struct decoded *b)
{
    carom_assert(a->result == b->result);
    carom_assert(a->result == CAROM_CHUNKED_BAD || a->taken == b->taken);
    carom_assert(a->length == b->length);
    carom_assert(memcmp(a->content, b->content, a->length) == 0);
}

/* Chunks of the content as the engine writes them. */
static void encode_and_decode(const struct decoded *given, struct cuts *cuts)
{
    static uint8_t bytes[3 * MAX_BYTES + MAX_BYTES * CAROM_CHUNK_LINE];
    static struct decoded again;
    uint32_t used = 0;
    for (uint32_t at = 0; at < given->length;) {
        uint32_t piece = next_piece(cuts);
        if (piece > given->length - at)
            piece = given->length - at;
        uint8_t *line = room_for(CAROM_CHUNK_LINE);
        uint32_t length = carom_chunk_line_write(line, piece);
        carom_assert(length <= CAROM_CHUNK_LINE);
        memcpy(bytes + used, line, length);
        free(line);
        memcpy(bytes + used + length, given->content + at, piece);
        memcpy(bytes + used + length + piece, "\r\n", 2);
        used += length + piece + 2;
        at += piece;
    }
    memcpy(bytes + used, "0\r\n", 3);
    decode(bytes, used + 3, NULL, &again);
    carom_assert(again.result == CAROM_CHUNKED_LAST && again.taken == used + 3);
    carom_assert(again.length == given->length);
    carom_assert(memcmp(again.content, given->content, given->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoded whole, pieces, reference;
    struct input input = {data, size};
    struct cuts cuts = cuts_of(take_byte(&input), input.length);
    uint32_t length = (uint32_t)input.length;
    if (length > MAX_BYTES)
        return 0;
    decode(input.data, length, NULL, &whole);
    decode(input.data, length, &cuts, &pieces);
    assert_same(&whole, &pieces);
    reference.length = 0;
    int result = decode_by_grammar(input.data, length, &reference);
    reference.result = result == 0         ? CAROM_CHUNKED_LAST
                       : result == NOT_YET ? CAROM_CHUNKED_MORE
                                           : CAROM_CHUNKED_BAD;
    if (result == NOT_YET)
        reference.taken = length;
    assert_same(&whole, &reference);
    if (whole.result == CAROM_CHUNKED_LAST)
        encode_and_decode(&whole, &cuts);
    return 0;
}
