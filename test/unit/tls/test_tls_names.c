/* Server names: read without regard to case, sorted, found whole or by a wildcard of one label. */
#include "unit/base/support.h"

#include <string.h>

#include "carom.h"
#include "tls/tls_names.h"

static struct carom_tls_names names;
static size_t told[16][2]; /* pairs of certificates with the same name */
static int told_count;

static int begin(void **state)
{
    (void)state;
    names = (struct carom_tls_names){0};
    told_count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    carom_tls_names_finish(&names);
    return 0;
}

static void tell(void *data, size_t first, size_t other)
{
    assert_ptr_equal(data, &names);
    told[told_count][0] = first;
    told[told_count++][1] = other;
}

static void add(const char *text, size_t index)
{
    assert_int_equal(carom_tls_names_add(&names, text, strlen(text), index), 0);
}

static void settle(void)
{
    carom_tls_names_settle(&names, tell, &names);
}

static void names_are_found_whole_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(carom_tls_names_find(&names, "a.example"), SIZE_MAX);
    settle(); /* of nothing */
    add("Zz.Example", 3);
    add("aA.example", 0);
    add("localhost", 1);
    settle();
    assert_int_equal(carom_tls_names_find(&names, "zZ.eXample"), 3);
    assert_int_equal(carom_tls_names_find(&names, "AA.EXAMPLE"), 0);
    assert_int_equal(carom_tls_names_find(&names, "localhost"), 1);
    static const char *const none[] = {"",        "local",       "localhosts", "a.example",
                                       "example", "zz.example.", ".localhost", "aa example"};
    for (size_t i = 0; i < COUNT(none); i++)
        assert_int_equal(carom_tls_names_find(&names, none[i]), SIZE_MAX);
    assert_int_equal(told_count, 0);
}

static void a_wildcard_stands_for_one_whole_label(void **state)
{
    (void)state;
    add("*.example", 1);
    add("www.example", 2);
    add("*.b.example", 4);
    settle();
    assert_int_equal(carom_tls_names_find(&names, "www.example"), 2);
    assert_int_equal(carom_tls_names_find(&names, "w.example"), 1);
    assert_int_equal(carom_tls_names_find(&names, "WWWW.example"), 1);
    assert_int_equal(carom_tls_names_find(&names, "b.example"), 1);
    assert_int_equal(carom_tls_names_find(&names, "a.b.example"), 4);
    assert_int_equal(carom_tls_names_find(&names, "a.c.example"), SIZE_MAX);
    assert_int_equal(carom_tls_names_find(&names, "a.www.example"), SIZE_MAX);
    assert_int_equal(carom_tls_names_find(&names, "example"), SIZE_MAX);
    assert_int_equal(carom_tls_names_find(&names, ".example"), SIZE_MAX);
}

/* The first certificate has it; that others do, too, is told, but not of one that says it twice. */
static void of_a_name_the_first_certificate_counts(void **state)
{
    (void)state;
    add("b.example", 2);
    add("a.example", 3);
    add("B.example", 0);
    add("a.example", 3);
    add("b.example", 1);
    add("c.example", 1);
    settle();
    assert_int_equal(names.count, 3);
    assert_int_equal(carom_tls_names_find(&names, "b.example"), 0);
    assert_int_equal(carom_tls_names_find(&names, "a.example"), 3);
    assert_int_equal(carom_tls_names_find(&names, "c.example"), 1);
    assert_int_equal(told_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(told[i][0], 0);
        assert_int_equal(told[i][1], i + 1);
    }
}

static void there_may_be_many(void **state)
{
    (void)state;
    char text[16];
    for (size_t i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "n%zu.example", i * 37 % 100);
        add(text, i * 37 % 100);
    }
    settle();
    for (size_t i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "n%zu.example", i);
        assert_int_equal(carom_tls_names_find(&names, text), i);
    }
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    char longest[CAROM_TLS_NAME_SIZE + 1], copy[CAROM_TLS_NAME_SIZE];
    memset(longest, 'n', sizeof longest);
    assert_true(carom_tls_name_copy(copy, longest, CAROM_TLS_NAME_SIZE - 1));
    assert_int_equal(strlen(copy), CAROM_TLS_NAME_SIZE - 1);
    assert_false(carom_tls_name_copy(copy, longest, CAROM_TLS_NAME_SIZE));
    assert_false(carom_tls_name_copy(copy, "", 0));
    for (int byte = 0; byte < 256; byte++) {
        const char text[2] = {'a', (char)byte};
        assert_int_equal(carom_tls_name_copy(copy, text, 2), byte > ' ' && byte < 0x7f);
    }
    assert_true(carom_tls_name_copy(copy, "@AZ[`az{", 8));
    assert_string_equal(copy, "@az[`az{");
    assert_int_equal(carom_tls_names_add(&names, "a b", 3, 0), -CAROM_EINVAL);
    assert_int_equal(names.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(names_are_found_whole_in_any_case),
        TEST(a_wildcard_stands_for_one_whole_label),
        TEST(of_a_name_the_first_certificate_counts),
        TEST(there_may_be_many),
        TEST(what_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
