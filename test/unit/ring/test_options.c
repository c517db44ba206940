/* A ring that is attached to no service: what its options may be, what its calls say to nothing,
 * and that it is made whole or not at all. */
#include "unit/ring/vm.h"

#include "carom_vm.h"

static uint64_t control[2 * 1024 * 1024];

static void options_have_limits(void **state)
{
    (void)state;
    static const struct {
        uint32_t capacity;
        int error;
    } table[] = {{CAROM_RING_BLOCK_SLOTS / 2, -CAROM_EINVAL},
                 {CAROM_RING_BLOCK_SLOTS, 0},
                 {3 * CAROM_RING_BLOCK_SLOTS, -CAROM_EINVAL},
                 {1u << 20, 0},
                 {1u << 21, -CAROM_EINVAL}};
    uint64_t held = carom_memory_held();
    for (size_t i = 0; i < COUNT(table); i++) {
        const carom_ring_options options = {
            .size = sizeof options, .capacity = table[i].capacity, .wake = sleep_on};
        carom_ring *ring = NULL;
        carom_vm *engine = NULL;
        int error = table[i].error;
        assert_int_equal(carom_ring_create(&ring, &options, control, sizeof control), error);
        assert_int_equal(carom_vm_create(&engine, &options), error);
        assert_int_equal(ring == NULL, error < 0);
        carom_ring_destroy(ring);
        carom_vm_destroy(engine);
        assert_int_equal(carom_memory_held(), held);
    }
}

static void no_ring_is_no_fault(void **state)
{
    (void)state;
    carom_tls_info info;
    static uint64_t memory[8];
    assert_int_equal(carom_ring_tls(NULL, 0, &info, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_ring_add_block(NULL, 0, memory), -CAROM_EINVAL);
    assert_int_equal(carom_ring_lend(NULL, 0, memory, 8), -CAROM_EINVAL);
    carom_ring_abandon(NULL);
    carom_ring_wake(NULL);
    carom_ring_keep_alive(NULL, 1, 1);
    const carom_ring_options options = {
        .size = sizeof options, .capacity = CAPACITY, .wake = sleep_on};
    carom_ring *ring;
    assert_int_equal(carom_ring_create(&ring, &options, control, sizeof control), 0);
    carom_ring_wake(ring); /* nobody serves it */
    assert_int_equal(carom_ring_lend_file(ring, 0, -1, 0, 1), -CAROM_EINVAL);
    assert_int_equal(carom_ring_lend_file(ring, 0, 0, 0, 1), 0); /* standard input is a file */
    carom_ring_destroy(ring);
}

/* What is made, in order, until an allocation fails. */
static int make(carom_ring **ring, carom_vm **engine)
{
    static uint64_t block[CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE / 8];
    const carom_ring_options options = {
        .size = sizeof options, .capacity = CAPACITY, .wake = sleep_on, .watch = true};
    int error = carom_ring_create(ring, &options, control, sizeof control);
    if (error == 0)
        error = carom_ring_add_block(*ring, 0, block);
    if (error == 0)
        error = carom_ring_lend(*ring, 0, block, 1);
    if (error == 0)
        error = carom_vm_create(engine, &options);
    return error;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    uint64_t held = carom_memory_held();
    int error = -CAROM_ENOMEM;
    uint64_t k = 0;
    for (; error < 0; k++) {
        carom_ring *ring = NULL;
        carom_vm *engine = NULL;
        carom_memory_fail_once_after(k);
        error = make(&ring, &engine);
        carom_memory_fail_once_after(UINT64_MAX);
        assert_true(error == 0 || error == -CAROM_ENOMEM);
        carom_ring_destroy(ring);
        carom_vm_destroy(engine);
        assert_int_equal(carom_memory_held(), held);
    }
    assert_true(k > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_limits),
        cmocka_unit_test(no_ring_is_no_fault),
        cmocka_unit_test(every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
