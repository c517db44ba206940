/* Tests of the chunked coding: pieces, limits, writing, and a round trip in random cuts. What its
 * grammar allows is in test/wire/chunked.md. */
#include "unit/wire/support.h"

#include <inttypes.h>

#include "wire/chunked.h"

/* Read `text`, of which everything but content is taken at once; the result that ends it. */
static enum carom_chunked_result read_text(struct carom_chunked *chunked, const char *text,
                                           char *content, uint32_t *taken)
{
    uint32_t length = (uint32_t)strlen(text);
    uint8_t *data = exact(text, length);
    *content = '\0';
    *taken = 0;
    for (;;) {
        uint32_t took = 0;
        struct carom_chunked_piece piece = {NULL, 0};
        enum carom_chunked_result result =
            carom_chunked_read(chunked, data + *taken, length - *taken, &took, &piece);
        if (result == CAROM_CHUNKED_BAD) {
            free(data);
            return result;
        }
        *taken += took;
        if (result != CAROM_CHUNKED_DATA) {
            free(data);
            return result;
        }
        assert_true(piece.length > 0);
        assert_ptr_equal(piece.data + piece.length, data + *taken);
        strncat(content, (const char *)piece.data, piece.length);
    }
}

static enum carom_chunked_result read_once(const char *text)
{
    struct carom_chunked chunked;
    char content[64];
    uint32_t taken;
    carom_chunked_init(&chunked);
    return read_text(&chunked, text, content, &taken);
}

static void chunks_are_read_up_to_the_trailers(void **state)
{
    (void)state;
    struct carom_chunked chunked;
    char content[64];
    uint32_t taken;
    carom_chunked_init(&chunked);
    assert_int_equal(read_text(&chunked, "5\r\nhello\r\nA;x=1\r\n, 90123456\r\n0\r\nX: y\r\n\r\n",
                               content, &taken),
                     CAROM_CHUNKED_LAST);
    assert_string_equal(content, "hello, 90123456");
    assert_int_equal(taken, strlen("5\r\nhello\r\nA;x=1\r\n, 90123456\r\n0\r\n"));
}

static void a_piece_is_what_has_come_of_a_chunk(void **state)
{
    (void)state;
    struct carom_chunked chunked;
    char content[64];
    uint32_t taken;
    carom_chunked_init(&chunked);
    assert_int_equal(read_text(&chunked, "5\r\nhe", content, &taken), CAROM_CHUNKED_MORE);
    assert_string_equal(content, "he");
    assert_int_equal(read_text(&chunked, "llo\r", content, &taken), CAROM_CHUNKED_MORE);
    assert_string_equal(content, "llo");
    assert_int_equal(taken, 4);
    assert_int_equal(read_text(&chunked, "\n", content, &taken), CAROM_CHUNKED_MORE);
    assert_int_equal(read_text(&chunked, "", content, &taken), CAROM_CHUNKED_MORE);
    assert_int_equal(read_text(&chunked, "0\r\n", content, &taken), CAROM_CHUNKED_LAST);
}

static void sizes_have_a_limit(void **state)
{
    (void)state;
    assert_int_equal(read_once("4000000000000000\r\n"), CAROM_CHUNKED_MORE);
    assert_int_equal(read_once("3fffffffffffffff\r\nx"), CAROM_CHUNKED_MORE);
    assert_int_equal(read_once("00000000004000000000000000\r\n"), CAROM_CHUNKED_MORE);
    assert_int_equal(read_once("4000000000000001\r\n"), CAROM_CHUNKED_BAD);
    assert_int_equal(read_once("400000000000000f\r\n"), CAROM_CHUNKED_BAD);
    assert_int_equal(read_once("8000000000000000\r\n"), CAROM_CHUNKED_BAD);
    assert_int_equal(read_once("ffffffffffffffff\r\n"), CAROM_CHUNKED_BAD);
    assert_int_equal(read_once("10000000000000001\r\n"), CAROM_CHUNKED_BAD); /* 1, cut to 64 bits */
}

static void a_size_is_hexadecimal_digits(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdefABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        const uint8_t line[] = {'1', (uint8_t)byte};
        const char *digit = byte == 0 ? NULL : strchr(digits, byte);
        bool delimits = byte == ';' || byte == ' ' || byte == '\t' || byte == '\r';
        struct carom_chunked chunked;
        struct carom_chunked_piece piece;
        uint32_t taken;
        carom_chunked_init(&chunked);
        assert_int_equal(carom_chunked_read(&chunked, line, 2, &taken, &piece),
                         digit != NULL || delimits ? CAROM_CHUNKED_MORE : CAROM_CHUNKED_BAD);
        if (digit != NULL) {
            long place = digit - digits;
            assert_int_equal(chunked.left, 16 + (place < 16 ? place : place - 6));
        }
    }
}

/* `length` with its CRLF, as zeros before a size or as an extension. */
static enum carom_chunked_result read_line_of(uint32_t length, bool extension)
{
    char line[512];
    memset(line, extension ? 'x' : '0', length);
    line[length - 3] = '5';
    memcpy(line, extension ? "5;" : "00", 2);
    memcpy(line + length - 2, "\r\n", 3);
    return read_once(line);
}

static void lines_have_a_limit(void **state)
{
    (void)state;
    assert_int_equal(read_line_of(256, true), CAROM_CHUNKED_MORE);
    assert_int_equal(read_line_of(257, true), CAROM_CHUNKED_BAD);
    assert_int_equal(read_line_of(256, false), CAROM_CHUNKED_MORE);
    assert_int_equal(read_line_of(257, false), CAROM_CHUNKED_BAD);
    /* It counts for each line by itself. */
    struct carom_chunked chunked;
    char content[512];
    uint32_t taken;
    carom_chunked_init(&chunked);
    for (int i = 0; i < 300; i++)
        assert_int_equal(read_text(&chunked, "1;a=b\r\nx\r\n", content, &taken),
                         CAROM_CHUNKED_MORE);
}

static void chunk_lines_are_written(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {
        0,         1, 9, 10, 15, 16, 255, 256, 4096, 65535, 1u << 31, UINT64_C(0x123456789abcdef0),
        UINT64_MAX};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint8_t line[CAROM_CHUNK_LINE];
        char expected[32];
        uint32_t length = carom_chunk_line_write(line, sizes[i]);
        assert_int_equal(length, snprintf(expected, sizeof expected, "%" PRIx64 "\r\n", sizes[i]));
        assert_memory_equal(line, expected, length);
    }
}

/* Chunks of random sizes, cut up at random, come out as the bytes that went in. */
static void a_round_trip_in_random_cuts(void **state)
{
    (void)state;
    uint64_t seed = random_seed("a_round_trip_in_random_cuts");
    for (unsigned i = 0; i < rounds(2000); i++) {
        uint8_t content[600], coded[4096], out[600];
        uint32_t length = (uint32_t)random_below(&seed, sizeof content);
        uint32_t size = 0;
        for (uint32_t k = 0; k < length; k++)
            content[k] = (uint8_t)random_below(&seed, 256);
        for (uint32_t from = 0; from < length;) {
            uint32_t chunk = 1 + (uint32_t)random_below(&seed, length - from);
            size += carom_chunk_line_write(coded + size, chunk);
            memcpy(coded + size, content + from, chunk);
            memcpy(coded + size + chunk, "\r\n", 2);
            size += chunk + 2;
            from += chunk;
        }
        size += carom_chunk_line_write(coded + size, 0);

        struct carom_chunked chunked;
        enum carom_chunked_result result = CAROM_CHUNKED_MORE;
        uint32_t at = 0, got = 0;
        carom_chunked_init(&chunked);
        while (at < size) {
            uint32_t part = 1 + (uint32_t)random_below(&seed, size - at);
            uint32_t taken;
            struct carom_chunked_piece piece;
            result = carom_chunked_read(&chunked, coded + at, part, &taken, &piece);
            assert_true(result != CAROM_CHUNKED_BAD && taken <= part);
            if (result == CAROM_CHUNKED_DATA) {
                memcpy(out + got, piece.data, piece.length);
                got += piece.length;
            }
            at += taken;
        }
        assert_int_equal(result, CAROM_CHUNKED_LAST);
        assert_int_equal(got, length);
        assert_memory_equal(out, content, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_read_up_to_the_trailers),
        cmocka_unit_test(a_piece_is_what_has_come_of_a_chunk),
        cmocka_unit_test(sizes_have_a_limit),
        cmocka_unit_test(a_size_is_hexadecimal_digits),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(chunk_lines_are_written),
        cmocka_unit_test(a_round_trip_in_random_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
