/* Tests of looking through bytes: every byte, at every place, in memory that ends there. */
#include "unit/wire/support.h"

#include <ctype.h>

#include "wire/scan.h"

static bool may_be_in_token(uint8_t byte)
{
    return byte != 0 && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                               byte) != NULL;
}

static bool may_be_in_value(uint8_t byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static bool may_be_in_target(uint8_t byte)
{
    return byte >= 0x21 && byte <= 0x7e && byte != '#';
}

static void the_table_holds_the_token_characters(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        assert_int_equal(carom_token_characters[byte], may_be_in_token((uint8_t)byte));
}

typedef uint32_t measure(const uint8_t *data, uint32_t length);
typedef bool allowed(uint8_t byte);

/* Every byte at every place of runs that are shorter, as long as, and longer than a vector. */
static void check_measure(measure *run, allowed *may, const char *filling)
{
    static const uint32_t lengths[] = {1, 2, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 50};
    size_t kinds = strlen(filling);
    assert_int_equal(run(NULL, 0), 0);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint32_t length = lengths[i];
        uint8_t *data = room_for(length);
        for (uint32_t k = 0; k < length; k++)
            data[k] = (uint8_t)filling[k % kinds];
        for (uint32_t place = 0; place < length; place++) {
            uint8_t kept = data[place];
            for (unsigned byte = 0; byte < 256; byte++) {
                data[place] = (uint8_t)byte;
                uint32_t expected = may((uint8_t)byte) ? length : place;
                if (run(data, length) != expected)
                    fail_msg("byte %#x at %u of %u: %u, not %u", byte, place, length,
                             run(data, length), expected);
            }
            data[place] = kept;
        }
        free(data);
    }
}

static void tokens_are_measured(void **state)
{
    (void)state;
    check_measure(carom_token_length, may_be_in_token, "Sec-Fetch-Site9");
    check_measure(carom_token_length, may_be_in_token, "x!_Y");
}

static void values_are_measured(void **state)
{
    (void)state;
    check_measure(carom_value_length, may_be_in_value, "text/html,\t \xff;q=0.8\x80~");
}

static bool may_be_in_plain_host(uint8_t byte)
{
    return byte != 0 &&
           strchr("-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", byte) != NULL;
}

static void hosts_are_measured(void **state)
{
    (void)state;
    check_measure(carom_plain_host_length, may_be_in_plain_host, "www.Example-9.org");
}

static void targets_are_measured(void **state)
{
    (void)state;
    check_measure(carom_target_length, may_be_in_target, "/a?b=c%20|^{\"`<>\\~");
}

/* `right` at a place of a run of "a", against all bytes that are not control characters there. */
static void check_case(uint32_t length, uint32_t place, char right)
{
    char lower[32];
    memset(lower, 'a', length);
    lower[place] = right;
    uint8_t *data = room_for(length);
    memset(data, 'A', length);
    for (unsigned byte = 0x20; byte < 256; byte++) {
        if (byte == 0x7f)
            continue;
        data[place] = (uint8_t)byte;
        bool same = byte < 128 && tolower((int)byte) == right;
        if (carom_equals_lower(data, lower, length) != same)
            fail_msg("%#x and %c at %u of %u", byte, right, place, length);
    }
    free(data);
}

static void letters_are_compared_without_case(void **state)
{
    (void)state;
    assert_true(carom_equals_lower((const uint8_t *)"CoNtEnT-LeNgTh", "content-length", 14));
    assert_true(carom_equals_lower((const uint8_t *)"az-AZ", "az-az", 5));
    assert_false(carom_equals_lower((const uint8_t *)"hosT", "hose", 4));
    assert_true(carom_equals_lower((const uint8_t *)"", "", 0));
    /* Every visible byte against every one that may stand in a name, at each place of each length.
     */
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    for (uint32_t length = 1; length <= 17; length++)
        for (uint32_t place = 0; place < length; place++)
            check_case(length, place, alphabet[(length * 17 + place) % (sizeof alphabet - 1)]);
    for (size_t i = 0; alphabet[i] != '\0'; i++)
        check_case(1, 0, alphabet[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_holds_the_token_characters),
        cmocka_unit_test(tokens_are_measured),
        cmocka_unit_test(values_are_measured),
        cmocka_unit_test(targets_are_measured),
        cmocka_unit_test(hosts_are_measured),
        cmocka_unit_test(letters_are_compared_without_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
