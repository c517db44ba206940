/* Tests of the intrusive list. */
#include "unit/base/support.h"

#include "base/list.h"

static struct carom_node head, other, nodes[4];

static int begin(void **state)
{
    (void)state;
    carom_node_init(&head);
    carom_node_init(&other);
    for (size_t i = 0; i < COUNT(nodes); i++)
        carom_node_init(&nodes[i]);
    return 0;
}

/* Take everything out of the first list: these nodes of `nodes`, in this order, -1 at the end. */
static void assert_holds(const int *expected)
{
    for (; *expected >= 0; expected++)
        assert_ptr_equal(carom_list_take(&head), &nodes[*expected]);
    assert_null(carom_list_take(&head));
    assert_true(carom_node_alone(&head));
}

static void takes_in_order(void **state)
{
    (void)state;
    assert_null(carom_list_take(&head));
    for (size_t i = 0; i < COUNT(nodes); i++)
        carom_list_append(&head, &nodes[i]);
    assert_false(carom_node_alone(&nodes[0]));
    assert_holds((const int[]){0, 1, 2, 3, -1});
    assert_true(carom_node_alone(&nodes[0]));
}

static void prepends_before_the_first(void **state)
{
    (void)state;
    carom_list_prepend(&head, &nodes[2]);
    carom_list_append(&head, &nodes[3]);
    carom_list_prepend(&head, &nodes[1]);
    carom_list_prepend(&head, &nodes[0]);
    assert_holds((const int[]){0, 1, 2, 3, -1});
}

static void removes_anywhere_and_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(nodes); i++)
        carom_list_append(&head, &nodes[i]);
    carom_node_remove(&nodes[1]);
    carom_node_remove(&nodes[1]);
    carom_node_remove(&nodes[3]);
    assert_holds((const int[]){0, 2, -1});
}

static void splices(void **state)
{
    (void)state;
    carom_list_splice(&head, &other);
    assert_true(carom_node_alone(&head));
    carom_list_append(&other, &nodes[0]);
    carom_list_append(&other, &nodes[1]);
    carom_list_splice(&head, &other);
    assert_true(carom_node_alone(&other));
    carom_list_append(&other, &nodes[2]);
    carom_list_splice(&head, &other);
    carom_list_splice(&head, &other);
    carom_list_append(&head, &nodes[3]);
    assert_holds((const int[]){0, 1, 2, 3, -1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_in_order, begin),
        cmocka_unit_test_setup(prepends_before_the_first, begin),
        cmocka_unit_test_setup(removes_anywhere_and_twice, begin),
        cmocka_unit_test_setup(splices, begin),
    };
    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
