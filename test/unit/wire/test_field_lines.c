/* Tests of reading many field lines at once, beside a slow way that has no blocks. */
#include "unit/wire/support.h"

#include <ctype.h>
#include <stdio.h>

#include "wire/field_lines.h"
#include "wire/simd.h"

#define MOST 8

#ifdef CAROM_SIMD /* otherwise nothing is read here */
static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Whether data[at..end) begins with a common line, by the rules, byte by byte; where the next one
 * begins, or 0. */
static uint32_t line_slowly(const uint8_t *data, uint32_t at, uint32_t end,
                            struct carom_field_span *field)
{
    uint32_t colon = at;
    while (colon < end && (isalnum(data[colon]) || data[colon] == '-'))
        colon++;
    if (colon == at || colon - at > CAROM_SIMD_BYTES || colon == end || data[colon] != ':')
        return 0;
    uint32_t from = colon + 1;
    if (from < end && data[from] == ' ')
        from++;
    uint32_t to = from;
    while (to < end && !is_control(data[to]))
        to++;
    if (to + 1 >= end || data[to] != '\r' || data[to + 1] != '\n')
        return 0;
    /* A value that is nothing but the blank before it may be left to a careful reader, too. */
    if (data[from] == ' ' || data[to - 1] == ' ')
        return 0;
    field->name = (struct carom_span){at, colon - at};
    field->value = (struct carom_span){from, to - from};
    return to + 2;
}
#endif

/* What is read from `at` of `length` bytes, which end where memory does, with room for so many
 * fields, is what the slow way reads. */
static void check(const char *text, uint32_t at, uint32_t length, uint32_t room)
{
    uint8_t *data = exact(text, length);
    struct carom_fields quick = {.capacity = room};
    struct carom_field_span slow[MOST] = {0}, spans[MOST] = {0};
    quick.spans = spans;
    uint32_t end = at, count = 0;
#ifdef CAROM_SIMD
    uint32_t next;
    while (length >= CAROM_SIMD_BYTES && count < room &&
           (next = line_slowly(data, end, length, &slow[count])) != 0) {
        end = next;
        count++;
    }
#endif
    uint32_t stopped = carom_field_lines_read(&quick, data, at, length);
    if (stopped != end || quick.count != count || memcmp(spans, slow, count * sizeof *spans) != 0)
        fail_msg("%u fields up to %u, not %u up to %u, in %u bytes from %u of \"%.*s\"",
                 quick.count, stopped, count, end, length, at, (int)length, text);
    free(data);
}

/* Lines of all lengths that matter, at the end of the bytes and before others, whole and cut. */
static void lines_of_all_lengths_are_read_as_the_rules_say(void **state)
{
    (void)state;
    static const uint32_t values[] = {0,  1,  2,  7,  13, 14, 15, 16, 17,
                                      31, 32, 33, 40, 47, 63, 64, 65, 100};
    char text[256];
    for (uint32_t name = 1; name <= 17; name++)
        for (size_t i = 0; i < COUNT(values); i++) {
            int line = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%.*s: %.*s\r\n", (int)name,
                                "Accept-Languages9", (int)values[i],
                                "text/html;q=0.8,\xc3\xa4 b/c;d=\"e f\" ghijklmnop and what goes "
                                "on, and on, and on "
                                "until the third block of a window is over, and more");
            check(text, 16, (uint32_t)line, MOST);
            for (uint32_t cut = 16; cut < (uint32_t)line; cut++)
                check(text, 16, cut, MOST);
            snprintf(text + line, sizeof text - (size_t)line,
                     "Accept: */*\r\nA:b\r\n\r\nPOST /next HTTP/1.1\r\n");
            for (uint32_t room = 0; room < 4; room++)
                check(text, 16, (uint32_t)strlen(text), room);
            for (uint32_t more = (uint32_t)line; more < strlen(text); more++)
                check(text, 16, more, MOST);
        }
}

/* Every byte at every place of short lines, with more or less behind them. */
static void every_byte_is_looked_at(void **state)
{
    (void)state;
    char text[160];
    for (uint32_t tail = 0; tail <= 80; tail += 8) {
        int line =
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: an.example.org:80\r\nX: y\r\n");
        memset(text + line, 'x', tail);
        for (int place = 16; place < line; place++)
            for (int byte = 0; byte < 256; byte++) {
                char kept = text[place];
                text[place] = (char)byte;
                check(text, 16, (uint32_t)line + tail, MOST);
                text[place] = kept;
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_all_lengths_are_read_as_the_rules_say),
        cmocka_unit_test(every_byte_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
