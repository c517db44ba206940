/* Clients of HTTP/2 in front of a VM that has not heard yet of what it was given. */
#include "unit/http/h2_raw.h"
#include "unit/ring/tiny_vm.h"

#define STREAMS 8

static void ask_often(void)
{
    peer = connect_peer();
    say(peer, NGHTTP2_CLIENT_MAGIC);
    frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    for (uint32_t i = 0; i < STREAMS; i++)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
              SECTION(HOLD));
    turn();
}

/* Two connections wait with their further streams: each gives one on when it has its turn, though
 * the other waits, too. */
static void each_connection_has_its_turn(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_unheard(&options, 0, 4);
    vm.grows = true;
    vm.control[CAROM_RING_VM_ASLEEP] = 0; /* it hears of nothing */
    ask_often();
    ask_often();
    assert_int_equal(vm.control[CAROM_RING_EVENT_TAIL], 4 + 1);
    vm_wake(NULL);
    carom_ring_wake(vm.ring);
    turn();
    pass(1);
    assert_int_equal(vm.held_count, 2 * STREAMS);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_connection_has_its_turn),
    };
    return cmocka_run_group_tests_name("ring/h2", tests, NULL, NULL);
}
