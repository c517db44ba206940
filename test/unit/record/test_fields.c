/* Tests of field tables: the move to a table of the pool, the limit, and looking names up. */
#include "unit/base/support.h"

#include <string.h>

#include "base/memory.h"
#include "record/fields.h"

#define LIMIT 20

static struct carom_pool tables;
static struct carom_fields fields;

static int begin(void **state)
{
    (void)state;
    carom_pool_init(&tables, LIMIT * sizeof(struct carom_field_span), 0);
    carom_fields_init(&fields, &tables, LIMIT);
    return 0;
}

/* Everything must be back: carom_pool_finish asserts it. */
static int end(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    carom_fields_clear(&fields);
    carom_pool_finish(&tables);
    return carom_memory_held() == 0 ? 0 : -1;
}

/* Add a field whose spans tell which it is. */
static int add(uint32_t number)
{
    return carom_fields_add(&fields, (struct carom_span){number, 1},
                            (struct carom_span){number, number});
}

static void fill(uint32_t count)
{
    for (uint32_t i = fields.count; i < count; i++)
        assert_int_equal(add(i), 0);
}

static void assert_filled(uint32_t count)
{
    assert_int_equal(fields.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(fields.spans[i].name.offset, i);
        assert_int_equal(fields.spans[i].value.length, i);
    }
}

static void few_fields_need_no_table(void **state)
{
    (void)state;
    fill(CAROM_FIELDS_INLINE);
    assert_int_equal(tables.in_use, 0);
    assert_filled(CAROM_FIELDS_INLINE);
}

static void more_fields_move_to_a_table(void **state)
{
    (void)state;
    fill(CAROM_FIELDS_INLINE + 1);
    assert_int_equal(tables.in_use, 1);
    assert_filled(CAROM_FIELDS_INLINE + 1);
    fill(LIMIT);
    assert_int_equal(tables.in_use, 1);
    assert_filled(LIMIT);
}

static void one_field_over_the_limit_is_refused(void **state)
{
    (void)state;
    fill(LIMIT);
    assert_int_equal(add(LIMIT), -CAROM_ETOOBIG);
    assert_filled(LIMIT);
}

static void a_limit_may_be_below_what_fits_inline(void **state)
{
    (void)state;
    for (uint32_t limit = 0; limit <= CAROM_FIELDS_INLINE; limit++) {
        carom_fields_init(&fields, &tables, limit);
        fill(limit);
        assert_int_equal(add(limit), -CAROM_ETOOBIG);
        assert_int_equal(tables.in_use, 0);
        carom_fields_clear(&fields);
        fill(limit); /* the limit holds after clearing, too */
        assert_int_equal(add(limit), -CAROM_ETOOBIG);
    }
}

static void without_memory_for_a_table_nothing_changes(void **state)
{
    (void)state;
    fill(CAROM_FIELDS_INLINE);
    carom_memory_fail_after(0);
    assert_int_equal(add(CAROM_FIELDS_INLINE), -CAROM_ENOMEM);
    assert_filled(CAROM_FIELDS_INLINE);
    carom_memory_fail_after(UINT64_MAX);
    fill(CAROM_FIELDS_INLINE + 1);
    assert_filled(CAROM_FIELDS_INLINE + 1);
}

/* The place inline is as small as ever after a table was given back. */
static void cleared_fields_can_be_filled_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        fill(LIMIT);
        carom_fields_clear(&fields);
        assert_int_equal(fields.count, 0);
        assert_int_equal(tables.in_use, 0);
        assert_ptr_equal(fields.spans, fields.here);
        assert_int_equal(fields.capacity, CAROM_FIELDS_INLINE);
    }
    carom_fields_clear(&fields); /* again does no harm */
}

static void clearing_drops_the_page_once(void **state)
{
    (void)state;
    struct carom_pages pages;
    carom_pages_init(&pages, 64, 0);
    struct carom_page *page = carom_page_take(&pages);
    fields.page = carom_page_hold(page);
    carom_fields_clear(&fields);
    assert_null(fields.page);
    assert_int_equal(page->holds, 1);
    carom_fields_clear(&fields);
    assert_int_equal(page->holds, 1);
    carom_page_drop(page);
    carom_pages_finish(&pages);
}

/* ---------------------------------------------------------------- looking up */

/* Take "name:value;..." for the bytes of a section. */
static void read_text(const char *text)
{
    fields.base = (const uint8_t *)text;
    for (const char *at = text; *at != '\0';) {
        const char *colon = strchr(at, ':');
        const char *last = strchr(at, ';');
        struct carom_span name = {(uint32_t)(at - text), (uint32_t)(colon - at)};
        struct carom_span value = {(uint32_t)(colon + 1 - text), (uint32_t)(last - colon - 1)};
        assert_int_equal(carom_fields_add(&fields, name, value), 0);
        at = last + 1;
    }
}

static void assert_slice(carom_slice slice, const char *text)
{
    assert_non_null(slice.data);
    assert_int_equal(slice.length, strlen(text));
    assert_memory_equal(slice.data, text, slice.length);
}

static void fields_are_found_by_place(void **state)
{
    (void)state;
    read_text("Host:a;X-Empty:;");
    assert_slice(carom_fields_at(&fields, 0).name, "Host");
    assert_slice(carom_fields_at(&fields, 0).value, "a");
    assert_slice(carom_fields_at(&fields, 1).name, "X-Empty");
    assert_slice(carom_fields_at(&fields, 1).value, "");
}

static void take_the_second(void *data)
{
    (void)data;
    carom_fields_at(&fields, 1);
}

static void a_place_behind_the_last_is_asserted(void **state)
{
    (void)state;
    read_text("Host:a;");
    assert_true(dies(take_the_second, NULL));
}

static void fields_are_found_by_name_in_any_case(void **state)
{
    (void)state;
    read_text("Accept:1;accept:2;Accept-Charset:3;ACCEPT:4;");
    size_t cursor = 0;
    assert_slice(carom_fields_next(&fields, "aCCEPT", &cursor), "1");
    assert_slice(carom_fields_next(&fields, "Accept", &cursor), "2");
    assert_slice(carom_fields_next(&fields, "accept", &cursor), "4");
    assert_null(carom_fields_next(&fields, "accept", &cursor).data);
    assert_null(carom_fields_next(&fields, "accept", &cursor).data);
    cursor = 0;
    assert_slice(carom_fields_next(&fields, "accept-charset", &cursor), "3");
    cursor = 0;
    assert_null(carom_fields_next(&fields, "accep", &cursor).data);
}

/* Two characters of names that are no letters differ by the bit that tells the cases apart. */
static void only_letters_have_a_case(void **state)
{
    (void)state;
    read_text("x^:1;x~:2;");
    size_t cursor = 0;
    assert_slice(carom_fields_next(&fields, "X~", &cursor), "2");
    cursor = 0;
    assert_slice(carom_fields_next(&fields, "X^", &cursor), "1");
    assert_null(carom_fields_next(&fields, "X^", &cursor).data);
}

static void the_whole_name_counts_from_a_to_z(void **state)
{
    (void)state;
    read_text("aZ-Az:1;");
    static const char *const same[] = {"aZ-Az", "az-az", "AZ-AZ", "Az-aZ"};
    static const char *const other[] = {"aZ-A", "Z-Az", "aZ-Az:", "aZ-Az:1", "", "aZ-Ay"};
    for (size_t i = 0; i < COUNT(same); i++) {
        size_t cursor = 0;
        assert_slice(carom_fields_next(&fields, same[i], &cursor), "1");
    }
    for (size_t i = 0; i < COUNT(other); i++) {
        size_t cursor = 0;
        assert_null(carom_fields_next(&fields, other[i], &cursor).data);
    }
}

static void an_empty_value_is_not_an_absent_field(void **state)
{
    (void)state;
    read_text("Host:;");
    size_t cursor = 0;
    assert_slice(carom_fields_next(&fields, "host", &cursor), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_fields_need_no_table, begin, end),
        cmocka_unit_test_setup_teardown(more_fields_move_to_a_table, begin, end),
        cmocka_unit_test_setup_teardown(one_field_over_the_limit_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_limit_may_be_below_what_fits_inline, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_for_a_table_nothing_changes, begin, end),
        cmocka_unit_test_setup_teardown(cleared_fields_can_be_filled_again, begin, end),
        cmocka_unit_test_setup_teardown(clearing_drops_the_page_once, begin, end),
        cmocka_unit_test_setup_teardown(fields_are_found_by_place, begin, end),
        cmocka_unit_test_setup_teardown(a_place_behind_the_last_is_asserted, begin, end),
        cmocka_unit_test_setup_teardown(fields_are_found_by_name_in_any_case, begin, end),
        cmocka_unit_test_setup_teardown(only_letters_have_a_case, begin, end),
        cmocka_unit_test_setup_teardown(the_whole_name_counts_from_a_to_z, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_value_is_not_an_absent_field, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
