/* Tests of WebSocket's frames: heads by a table and by every two first bytes, masks in memory that
 * ends there. */
#include "unit/wire/support.h"

#include "wire/ws_frame.h"

static int read_exact(struct carom_ws_head *head, const void *bytes, size_t length, bool deflate)
{
    uint8_t *copy = exact(bytes, length);
    int result = carom_ws_head_read(head, copy, length, deflate);
    free(copy);
    return result;
}

/* RFC 6455, 5.7: a masked text "Hello". */
static void the_example_of_the_rfc_is_read(void **state)
{
    static const uint8_t frame[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    struct carom_ws_head head;
    uint8_t text[5];
    (void)state;
    assert_int_equal(read_exact(&head, frame, 11, false), 6);
    assert_int_equal(head.size, 6);
    assert_int_equal(head.length, 5);
    assert_int_equal(head.opcode, CAROM_WS_TEXT);
    assert_true(head.fin);
    assert_false(head.compressed);
    carom_ws_unmask(text, frame + 6, 5, head.mask, 0);
    assert_memory_equal(text, "Hello", 5);
}

static const struct {
    const char *bytes;
    size_t length;
    int result;
    uint64_t payload;
} heads[] = {
    {"", 0, 0, 0},
    {"\x82", 1, 0, 0},
    {"\x82\x80", 2, 0, 0},
    {"\x82\x80\1\2\3", 5, 0, 0},
    {"\x82\x80\1\2\3\4", 6, 6, 0},
    {"\x82\xfd\1\2\3\4", 6, 6, 125},
    {"\x82\xfe\0", 3, 0, 0},
    {"\x82\xfe\0\x7e", 4, 0, 0},
    {"\x82\xfe\0\x7e\1\2\3\4", 8, 8, 126},
    {"\x82\xfe\xff\xff\1\2\3\4", 8, 8, 65535},
    {"\x82\xfe\0\x7d", 4, -1002, 0},
    {"\x82\xfe\0\0\1\2\3\4", 8, -1002, 0},
    {"\x82\xff\0\0\0\0\0\1\0", 9, 0, 0},
    {"\x82\xff\0\0\0\0\0\1\0\0", 10, 0, 0},
    {"\x82\xff\0\0\0\0\0\1\0\0\1\2\3", 13, 0, 0},
    {"\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4", 14, 14, 65536},
    {"\x82\xff\0\0\0\0\0\0\xff\xff", 10, -1002, 0},
    {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4", 14, 14, INT64_MAX},
    {"\x82\xff\x80\0\0\0\0\0\0\0", 10, -1002, 0},
    {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, -1002, 0},
    {"\x82\0", 2, -1002, 0},   /* no mask */
    {"\x82\x7e", 2, -1002, 0}, /* no mask, before its length is there */
    {"\x89\xfd\1\2\3\4", 6, 6, 125},
    {"\x89\xfe", 2, -1002, 0}, /* a long ping */
    {"\x88\xff", 2, -1002, 0},
    {"\x8a\x80\1\2\3\4", 6, 6, 0},
    {"\x09", 1, -1002, 0}, /* a ping in fragments */
    {"\x08", 1, -1002, 0},
    {"\x01", 1, 0, 0},
    {"\x00", 1, 0, 0},
    {"\x80", 1, 0, 0},
};

static void heads_are_read_or_refused_as_soon_as_can_be(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(heads); k++) {
        struct carom_ws_head head = {.size = 99};
        int result = read_exact(&head, heads[k].bytes, heads[k].length, false);
        if (result != heads[k].result)
            fail_msg("case %zu: %d", k, result);
        if (result <= 0) {
            assert_int_equal(head.size, 99);
            continue;
        }
        assert_int_equal(head.size, result);
        assert_true(head.length == heads[k].payload);
        assert_memory_equal(&head.mask, "\1\2\3\4", 4);
    }
}

/* What RFC 6455, 5.2, and RFC 7692, 6, say of the first byte. */
static bool may_begin(unsigned byte, bool deflate)
{
    unsigned opcode = byte & 15;
    bool control = opcode >= 8, rsv1 = (byte & 0x40) != 0;
    if ((byte & 0x30) != 0 || (opcode > 2 && opcode < 8) || opcode > 10)
        return false;
    if (control)
        return byte >= 0x80 && !rsv1;
    return !rsv1 || (deflate && opcode != 0);
}

static void every_first_byte_is_judged(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (int deflate = 0; deflate < 2; deflate++) {
            uint8_t bytes[] = {(uint8_t)byte, 0x83, 9, 8, 7, 6};
            struct carom_ws_head head;
            bool may = may_begin(byte, deflate);
            if (read_exact(&head, bytes, 1, deflate) != (may ? 0 : -1002) ||
                read_exact(&head, bytes, 6, deflate) != (may ? 6 : -1002))
                fail_msg("%02x, deflate %d", byte, deflate);
            if (!may)
                continue;
            assert_int_equal(head.opcode, byte & 15);
            assert_int_equal(head.fin, byte >> 7);
            assert_int_equal(head.compressed, byte >> 6 & 1);
        }
}

/* RFC 6455, 5.7, and both sides of each length. */
static const struct {
    uint8_t opcode;
    bool fin, compressed;
    uint64_t length;
    const char *bytes;
    size_t size;
} written[] = {
    {CAROM_WS_TEXT, true, false, 5, "\x81\x05", 2},
    {CAROM_WS_TEXT, false, false, 3, "\x01\x03", 2},
    {CAROM_WS_CONTINUATION, true, false, 2, "\x80\x02", 2},
    {CAROM_WS_PING, true, false, 5, "\x89\x05", 2},
    {CAROM_WS_BINARY, true, false, 256, "\x82\x7e\x01\x00", 4},
    {CAROM_WS_BINARY, true, false, 65536, "\x82\x7f\0\0\0\0\0\1\0\0", 10},
    {CAROM_WS_TEXT, true, true, 7, "\xc1\x07", 2},
    {CAROM_WS_TEXT, false, true, 0, "\x41\0", 2},
    {CAROM_WS_CLOSE, true, false, 125, "\x88\x7d", 2},
    {CAROM_WS_BINARY, true, false, 126, "\x82\x7e\0\x7e", 4},
    {CAROM_WS_BINARY, true, false, 65535, "\x82\x7e\xff\xff", 4},
    {CAROM_WS_BINARY, true, false, INT64_MAX, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10},
};

static void heads_are_written(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(written); k++) {
        uint8_t bytes[CAROM_WS_HEAD_BYTES];
        size_t size = carom_ws_head_write(bytes, written[k].opcode, written[k].fin,
                                          written[k].compressed, written[k].length);
        if (size != written[k].size || memcmp(bytes, written[k].bytes, size) != 0)
            fail_msg("case %zu", k);
    }
}

/* Every length about those of blocks, every place in the payload, at every distance within memory.
 */
static void masks_are_taken_off(void **state)
{
    const uint8_t mask_bytes[] = {0x12, 0x9f, 0x00, 0xff};
    uint32_t mask;
    (void)state;
    memcpy(&mask, mask_bytes, 4);
    for (size_t length = 0; length < 200; length++)
        for (size_t offset = 0; offset < 6; offset++) {
            uint8_t *from = room_for(length), *to = room_for(length), *expected = room_for(length);
            for (size_t i = 0; i < length; i++) {
                from[i] = (uint8_t)(i * 7 + length);
                expected[i] = from[i] ^ mask_bytes[(offset + i) % 4];
            }
            carom_ws_unmask(to, from, length, mask, offset);
            assert_memory_equal(to, expected, length);
            carom_ws_unmask(from, from, length, mask, offset);
            assert_memory_equal(from, expected, length);
            free(from);
            free(to);
            free(expected);
        }
}

static void what_is_unmasked_may_move_towards_the_beginning(void **state)
{
    const uint32_t mask = 0x04030201;
    uint8_t plain[300], memory[400];
    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 11);
    for (size_t length = 0; length <= sizeof plain; length += length < 70 ? 1 : 23)
        for (size_t distance = 0; distance < 70; distance++) {
            carom_ws_unmask(memory + distance, plain, length, mask, 1);
            carom_ws_unmask(memory, memory + distance, length, mask, 1);
            assert_memory_equal(memory, plain, length);
        }
}

/* In pieces, with a fault somewhere or none: the same as unmasking first and checking then. */
static void a_text_is_unmasked_and_checked_in_one(void **state)
{
    uint64_t seed = random_seed("text");
    static uint8_t plain[12000], masked[12000];
    (void)state;
    for (unsigned round = 0; round < rounds(3000); round++) {
        size_t length = 1 + random_below(&seed, round % 50 == 0 ? 12000 : 70);
        uint32_t mask = (uint32_t)random_below(&seed, UINT32_MAX);
        memset(plain, 'a', length);
        for (size_t k = random_below(&seed, 3), i = 0; k > 0 && i + 3 < length;
             i += 3 + random_below(&seed, 40))
            memcpy(plain + i, "\xe2\x82\xac", 3);
        if (round % 4 == 0)
            plain[random_below(&seed, length)] = (uint8_t)random_below(&seed, 256);
        carom_ws_unmask(masked, plain, length, mask, 0);
        struct carom_utf8 apart = {0}, text = {0};
        bool expected = carom_utf8_check(&apart, plain, length), valid = true;
        for (size_t i = 0, piece; valid && i < length; i += piece) {
            piece = 1 + random_below(&seed, length - i);
            uint8_t *copy = exact(masked + i, piece);
            valid = carom_ws_unmask_text(copy, copy, piece, mask, i, &text);
            if (valid)
                assert_memory_equal(copy, plain + i, piece);
            free(copy);
        }
        assert_int_equal(valid, expected);
        if (valid)
            assert_int_equal(carom_utf8_whole(&text), carom_utf8_whole(&apart));
    }
}

/* RFC 6455, 7.4, and IANA's registry. */
static void close_codes_of_a_peer_are_known(void **state)
{
    static const uint16_t allowed[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                       1009, 1010, 1011, 1012, 1013, 1014};
    (void)state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        bool may = code >= 3000 && code < 5000;
        for (size_t k = 0; k < COUNT(allowed); k++)
            may |= code == allowed[k];
        if (carom_ws_close_code_is_valid((uint16_t)code) != may)
            fail_msg("%u", code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_is_read),
        cmocka_unit_test(heads_are_read_or_refused_as_soon_as_can_be),
        cmocka_unit_test(every_first_byte_is_judged),
        cmocka_unit_test(heads_are_written),
        cmocka_unit_test(masks_are_taken_off),
        cmocka_unit_test(what_is_unmasked_may_move_towards_the_beginning),
        cmocka_unit_test(a_text_is_unmasked_and_checked_in_one),
        cmocka_unit_test(close_codes_of_a_peer_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
