/* Tests of the check of UTF-8: against a judge that knows code points, at every place of a block,
 * in pieces, and as early as can be. */
#include "unit/wire/support.h"

#include "wire/utf8.h"

/* How many bytes the whole character at the beginning has; 0: none begins so. Written from the
 * table of RFC 3629, 3, and by the number that comes out. */
static size_t character(const uint8_t *data, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = data[0] < 0x80             ? 1
                  : (data[0] & 0xe0) == 0xc0 ? 2
                  : (data[0] & 0xf0) == 0xe0 ? 3
                  : (data[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    if (size <= 1)
        return size;
    if (size > length)
        return 0;
    uint32_t code = data[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (data[i] & 0x3f);
    }
    return code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : size;
}

/* The bytes of a code point; returns how many. */
static size_t put(uint8_t *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; code >>= 6)
        to[i] = (uint8_t)(0x80 | (code & 0x3f));
    to[0] = (uint8_t)((0xf00U >> size & 0xf0) | code);
    return size;
}

static bool whole(const uint8_t *data, size_t length)
{
    struct carom_utf8 state = {0};
    return carom_utf8_check(&state, data, length) && carom_utf8_whole(&state);
}

/* All first and second bytes, with a third and a fourth on both sides of their limits. */
static void what_is_a_character_is_told_from_what_is_none(void **state)
{
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0};
    (void)state;
    for (uint32_t value = 0; value < 0x10000; value += 0x10000 / rounds(0x10000))
        for (size_t k = 0; k < COUNT(edges) * COUNT(edges); k++) {
            uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value, edges[k % COUNT(edges)],
                               edges[k / COUNT(edges)]};
            for (size_t length = 1; length <= 4; length++) {
                size_t right = 0, size = 1;
                while (right < length && (size = character(bytes + right, length - right)) > 0)
                    right += size;
                if (whole(bytes, length) != (right == length))
                    fail_msg("%02x %02x %02x %02x, of it %zu", bytes[0], bytes[1], bytes[2],
                             bytes[3], length);
            }
        }
}

static const struct {
    const char *bytes;
    size_t length;
    bool ends; /* nothing that comes can mend it */
} bad[] = {
    {"\x80", 1, true},
    {"\xbf", 1, true},
    {"\xc0", 1, true},
    {"\xc1", 1, true},
    {"\xc2", 1, false},
    {"\xc2\x7f", 2, true},
    {"\xc2\xc0", 2, true},
    {"\xdf", 1, false},
    {"\xdf\xff", 2, true},
    {"\xe0", 1, false},
    {"\xe0\x9f", 2, true},
    {"\xe0\xa0", 2, false},
    {"\xe0\xa0\x7f", 3, true},
    {"\xe1\x80\xc0", 3, true},
    {"\xed\x9f", 2, false},
    {"\xed\xa0", 2, true},
    {"\xef\xbf", 2, false},
    {"\xef\xbf\xf0", 3, true},
    {"\xf0\x8f", 2, true},
    {"\xf0\x90", 2, false},
    {"\xf0\x90\x80", 3, false},
    {"\xf0\x90\x80\x7f", 4, true},
    {"\xf4\x8f", 2, false},
    {"\xf4\x8f\xbf", 3, false},
    {"\xf4\x8f\xbf\xc0", 4, true},
    {"\xf4\x90", 2, true},
    {"\xf5", 1, true},
    {"\xff", 1, true},
    {"\xc3\xa9\xa9", 3, true},
    {"\xe2\x82\xac\x80", 4, true},
    {"\xf0\x9f\x98\x80\x80", 5, true},
    /* as long as it says, and no character all the same */
    {"\xc0\x80", 2, true},
    {"\xc1\xbf", 2, true},
    {"\xe0\x80\x80", 3, true},
    {"\xe0\x9f\xbf", 3, true},
    {"\xed\xa0\x80", 3, true},
    {"\xed\xbf\xbf", 3, true},
    {"\xf0\x80\x80\x80", 4, true},
    {"\xf0\x8f\xbf\xbf", 4, true},
    {"\xf4\x90\x80\x80", 4, true},
    {"\xf4\xbf\xbf\xbf", 4, true},
    {"\xf5\x80\x80\x80", 4, true},
};

/* The text with what is wrong, in memory that ends there: found at once, where nothing can mend it.
 */
static void check_fault(const char *filling, size_t before, size_t k, const char *behind)
{
    size_t unit = strlen(filling), length = before * unit + bad[k].length + strlen(behind);
    struct carom_utf8 check = {0};
    uint8_t *text = room_for(length);
    for (size_t i = 0; i < before; i++)
        memcpy(text + i * unit, filling, unit);
    memcpy(text + before * unit, bad[k].bytes, bad[k].length);
    memcpy(text + before * unit + bad[k].length, behind, strlen(behind));
    bool going = carom_utf8_check(&check, text, length);
    bool ends = bad[k].ends || *behind != '\0';
    if (going == ends || (going && carom_utf8_whole(&check)))
        fail_msg("case %zu behind %zu of \"%s\", before \"%s\"", k, before, filling, behind);
    free(text);
}

/* At every place of texts shorter and longer than blocks, among ASCII and other characters. */
static void faults_are_found_at_every_place_and_at_once(void **state)
{
    static const char *const fillings[] = {"abcd", "a\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    (void)state;
    for (size_t kind = 0; kind < COUNT(fillings); kind++)
        for (size_t before = 0; before < 80; before++)
            for (size_t k = 0; k < COUNT(bad); k++) {
                check_fault(fillings[kind], before, k, "");
                check_fault(fillings[kind], before, k, "abcd");
            }
}

/* A fault is found with more behind it, too, wherever it stands. */
static void no_fault_hides_before_what_is_right(void **state)
{
    uint8_t text[100];
    (void)state;
    for (size_t place = 0; place < sizeof text; place++)
        for (unsigned byte = 0x80; byte < 256; byte++) {
            memset(text, 'a', sizeof text);
            text[place] = (uint8_t)byte;
            if (place == sizeof text - 1 && byte >= 0xc2 && byte <= 0xf4)
                continue; /* may go on */
            struct carom_utf8 check = {0};
            if (carom_utf8_check(&check, text, sizeof text))
                fail_msg("%02x at %zu", byte, place);
        }
}

/* Random texts, cut at random places, some with a byte changed: as the judge says. */
static void pieces_of_any_length_are_one_text(void **state)
{
    static const uint32_t codes[] = {'a',    0x7f,   0x80,   0x7ff,   0x800,
                                     0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    uint64_t seed = random_seed("utf8");
    (void)state;
    for (unsigned round = 0; round < rounds(20000); round++) {
        uint8_t text[200];
        size_t length = 0, size = random_below(&seed, 190);
        size_t kinds = 1 + random_below(&seed, COUNT(codes));
        while (length < size)
            length += put(text + length, codes[random_below(&seed, kinds)]);
        if (round % 2 == 1 && length > 0)
            text[random_below(&seed, length)] ^= (uint8_t)(1 << random_below(&seed, 8));
        size_t right = 0, step = 1;
        while (right < length && (step = character(text + right, length - right)) > 0)
            right += step;
        struct carom_utf8 check = {0};
        bool valid = true;
        for (size_t i = 0, piece; valid && i < length; i += piece) {
            piece = 1 + random_below(&seed, round % 3 == 0 ? 5 : 60);
            if (piece > length - i)
                piece = length - i;
            uint8_t *copy = exact(text + i, piece);
            valid = carom_utf8_check(&check, copy, piece);
            free(copy);
        }
        if ((valid && carom_utf8_whole(&check)) != (right == length))
            fail_msg("round %d: %zu of %zu bytes are right", round, right, length);
    }
}

/* Only that the text itself is looked at, whatever lies before it and behind it. */
static void what_lies_around_a_text_is_none_of_it(void **state)
{
    (void)state;
    uint8_t memory[80];
    for (size_t length = 2; length < 64; length += 2) {
        memset(memory, 0xf4, sizeof memory);
        for (size_t i = 0; i < length; i += 2)
            memcpy(memory + 4 + i, "\xc3\xa4", 2);
        struct carom_utf8 check = {0};
        if (!carom_utf8_check(&check, memory + 4, length) || !carom_utf8_whole(&check))
            fail_msg("%zu bytes are wrong", length);
    }
}

static void nothing_is_a_whole_text(void **state)
{
    struct carom_utf8 check = {0};
    (void)state;
    assert_true(carom_utf8_check(&check, NULL, 0));
    assert_true(carom_utf8_whole(&check));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_character_is_told_from_what_is_none),
        cmocka_unit_test(faults_are_found_at_every_place_and_at_once),
        cmocka_unit_test(no_fault_hides_before_what_is_right),
        cmocka_unit_test(pieces_of_any_length_are_one_text),
        cmocka_unit_test(what_lies_around_a_text_is_none_of_it),
        cmocka_unit_test(nothing_is_a_whole_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
