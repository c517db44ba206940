/* The ring, with a tiny VM. */
#include "unit/ring/tiny_vm.h"

/* ---------------------------------------------------------------- tests */

static void a_batch_costs_one_wake(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peers[4];
    for (int i = 0; i < 4; i++) {
        peers[i] = connect_peer();
        turn();
    }
    int before = vm.wakes;
    for (int i = 0; i < 4; i++)
        say(peers[i], "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    turn();
    assert_int_equal(vm.wakes - before, 1);
    for (int i = 0; i < 4; i++) {
        assert_got(peers[i], "HTTP/1.1 200 OK\r\nx-vm: tiny\r\n");
        assert_got(peers[i], "2 fields, 3 here");
    }
    assert_int_equal(vm_finish().ended[CAROM_REASON_COMPLETE], 4);
}

static struct carom_peer *yielding_peers[12];

/* What was answered before has left. */
static void assert_earlier_answers_left(void)
{
    for (int i = 0; i < vm.requests; i++)
        assert_got(yielding_peers[i], "1 fields, 0 here");
}

static void a_vm_that_yields_is_called_when_its_answers_have_left(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    vm.yields = true;
    vm.before_event = assert_earlier_answers_left;
    for (int i = 0; i < 12; i++) {
        yielding_peers[i] = connect_peer();
        turn();
    }
    int before = vm.wakes;
    for (int i = 0; i < 12; i++)
        say(yielding_peers[i], GET("/now"));
    struct carom_worker *worker = &sim.service->workers[0];
    struct carom_guest *guest = worker->connections.records.guest;
    carom_worker_turn(worker, false);
    for (int turns = 0; vm.requests < 12; turns++) { /* the rounds of one turn were too few */
        assert_true(turns < 12);
        assert_false(guest->may_sleep(guest));
        carom_worker_turn(worker, true);
    }
    assert_earlier_answers_left();
    assert_int_equal(vm.wakes - before, 12);
    assert_int_equal(vm_finish().ended[CAROM_REASON_COMPLETE], 12);
}

static void content_of_any_size_is_echoed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (size_t piece = 1; piece < 9; piece++) {
        vm_begin(&options);
        struct carom_peer *peer = connect_peer();
        carom_peer_set_piece(peer, piece);
        say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n" GET("/now"));
        turn();
        char echoed[64] = "";
        for (const char *at = strstr(got(peer), "\r\n\r\n") + 4; *at != '\0' && *at != '0';) {
            size_t length = strtoul(at, NULL, 16);
            at = strchr(at, '\n') + 1;
            strncat(echoed, at, length);
            at += length + 2;
        }
        assert_string_equal(echoed, "abcdefgh");
        assert_got(peer, "1 fields, 0 here");
        vm_finish();
    }
}

/* A head and an end without content: of GET that is all, of HEAD nobody knows. */
static void what_head_leaves_out_has_no_length(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/none"));
    turn();
    assert_got(peer, "Content-Length: 0\r\n");
    struct carom_peer *asking = connect_peer();
    say(asking, "HEAD /none HTTP/1.1\r\nHost: a\r\n\r\nHEAD /now HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    assert_got(asking, "x-vm: none\r\n");
    assert_got(asking, "Content-Length: 16\r\n"); /* of the second, which says its content */
    assert_null(strstr(got(asking), "Content-Length: 0"));
    assert_int_equal(vm_finish().ended[CAROM_REASON_COMPLETE], 3);
}

static void answers_may_come_late(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") GET("/now"));
    turn();
    assert_string_equal(got(peer), "");
    carom_tls_info info;
    assert_int_equal(carom_ring_tls(vm.ring, vm.held[0], &info, NULL), -CAROM_ENOENT);
    assert_int_equal(carom_ring_tls(vm.ring, vm.held[0] + 1, &info, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_ring_tls(vm.ring, CAPACITY, &info, NULL), -CAROM_EINVAL);
    vm_answer(vm.held[0], "late");
    carom_ring_wake(vm.ring);
    turn();
    assert_true(strstr(got(peer), "late") < strstr(got(peer), "1 fields"));
    vm_finish();
}

static void the_vm_hears_of_clients_that_leave(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_peer_reset(peer);
    turn();
    assert_int_equal(vm.ended, 1);
    assert_int_equal(vm.reasons[CAROM_REASON_CLIENT_RESET], 1);
    /* An answer all the same: silently nobody's. */
    uint32_t bad = vm.control[CAROM_RING_BAD_COMMANDS];
    vm_answer(vm.held[0], "for nobody");
    turn();
    assert_int_equal(vm.control[CAROM_RING_BAD_COMMANDS], bad + 1);
    vm_finish();
}

static void slots_grow_with_the_requests(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peers[3 * SLOTS];
    for (int i = 0; i < 3 * SLOTS; i++) {
        peers[i] = connect_peer();
        say(peers[i], GET("/hold"));
    }
    turn();
    assert_int_equal(vm.requests, SLOTS);
    assert_int_equal(vm.control[CAROM_RING_SLOTS_WANTED], 2 * SLOTS);
    vm.grows = true;
    assert_int_equal(vm_add_slots(), 0);
    carom_ring_wake(vm.ring);
    turn();
    assert_int_equal(vm.requests, 3 * SLOTS);
    assert_int_equal(vm.given, 3 * SLOTS); /* and not one more than was wanted */
    while (vm.held_count > 0)
        vm_answer(vm.held[--vm.held_count], "at last");
    turn();
    for (int i = 0; i < 3 * SLOTS; i++)
        assert_got(peers[i], "at last");
    vm_finish();
}

static void long_heads_lie_in_pages(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 1000;
    vm_begin(&options);
    vm.grows = true;
    char request[4096];
    snprintf(request, sizeof request, "GET /hold HTTP/1.1\r\nHost: a\r\nX: %03000d\r\n\r\n", 7);
    struct carom_peer *peers[2 * CAROM_RING_PAGES];
    for (int i = 0; i < 2 * CAROM_RING_PAGES; i++) {
        peers[i] = connect_peer();
        say(peers[i], request);
    }
    turn();
    assert_int_equal(vm.requests, 2 * CAROM_RING_PAGES);
    vm_finish();
}

static void a_bad_field_is_an_error_event(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/bad"));
    turn();
    assert_int_equal(vm.errors, 1);
    assert_int_equal(vm.last_error, CAROM_EFIELD);
    assert_got(peer, "HTTP/1.1 500 ");
    assert_null(strstr(got(peer), "x: y"));
    vm_finish();
}

static void loans_come_back_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    static char big[100000];
    memset(big, 'b', sizeof big);
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 1000);
    say(peer, GET("/hold"));
    turn();
    uint32_t slot = vm.held[0];
    assert_int_equal(carom_ring_lend(vm.ring, 5, big, sizeof big), 0);
    assert_int_equal(carom_ring_lend(vm.ring, 5, big, sizeof big), -CAROM_ESTATE);
    assert_int_equal(carom_ring_lend(vm.ring, CAROM_RING_LOANS, big, 1), -CAROM_EINVAL);
    compose(slot, 200, "x-vm", "loan", NULL, 0);
    slot_words(slot)[CAROM_SLOT_DATA_LOAN] = 6;
    command(slot, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    turn();
    assert_int_equal(vm.returns, 0);
    /* Who names it meanwhile does not have it, and does not give it back. */
    say(connect_peer(), GET("/hold"));
    turn();
    slot_words(vm.held[1])[CAROM_SLOT_ROOM_LOAN] = 6;
    command(vm.held[1], CAROM_FLAG_READ);
    turn();
    pass(1);
    assert_int_equal(vm.errors, 1);
    assert_int_equal(vm.returns, 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    pass(1);
    assert_int_equal(vm.returns, 1);
    size_t length;
    carom_peer_received(peer, &length);
    assert_true(length > sizeof big);
    assert_int_equal(carom_ring_lend(vm.ring, 5, big, sizeof big), 0);
    vm_finish();
}

/* The word that counts the slots is the VM's to read, not to write. */
static void no_more_slots_than_the_capacity(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    for (int i = 1; i < CAPACITY / SLOTS; i++)
        assert_int_equal(vm_add_slots(), 0);
    assert_int_equal(vm.block_count, CAPACITY / SLOTS);
    vm.control[CAROM_RING_SLOTS] = 0;
    assert_int_equal(vm_add_slots(), -CAROM_ETOOBIG);
    assert_int_equal(carom_ring_add_block(vm.ring, 0, vm.blocks[0]), -CAROM_ESTATE);
    assert_int_equal(carom_ring_add_block(vm.ring, 0, vm.blocks[0] + 4), -CAROM_EINVAL);
    assert_int_equal(vm.block_count, CAPACITY / SLOTS);
    vm_finish();
}

static uint32_t random_word(uint64_t *seed)
{
    return (uint32_t)random_next(seed);
}

/* Whatever the VM writes, wherever: nothing is accessed that must not be, and all ends. */
static void a_mad_vm_harms_nobody(void **state)
{
    (void)state;
    static uint8_t rooms[8][5]; /* too small for most content, and with nothing behind them */
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        carom_options options = simulation_options();
        vm_begin(&options);
        for (int step = 0; step < 60; step++) {
            struct carom_peer *peer = connect_peer();
            say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
            turn();
            vm.held_count = 0;
            for (int i = 0; i < 200; i++) {
                uint32_t value = random_word(&random);
                uint32_t *words = slot_words(random_word(&random) % SLOTS);
                if (i % 4 != 0)
                    value %= 1024;
                words[random_word(&random) % 48] = value;
            }
            for (uint32_t loan = 0; loan < 8; loan++) /* those that are back */
                (void)carom_ring_lend_room(vm.ring, loan, rooms[loan], 1 + loan % sizeof rooms[0]);
            for (int i = 0; i < 20; i++) {
                uint32_t index = random_word(&random) % SLOTS;
                slot_words(index)[CAROM_SLOT_FLAGS] = random_word(&random) % 16384;
                if (i % 2 == 0)
                    slot_words(index)[CAROM_SLOT_ROOM_LOAN] = random_word(&random) % 12;
                vm.control[vm.control[CAROM_RING_COMMANDS_WORD] +
                           (vm.command_tail++ & (CAPACITY - 1))] =
                    i % 5 == 0 ? random_word(&random) : index;
            }
            vm.control[CAROM_RING_COMMAND_TAIL] =
                step % 7 == 0 ? random_word(&random) : vm.command_tail;
            vm.control[CAROM_RING_VM_ASLEEP] = 0; /* it hears nothing */
            carom_ring_wake(vm.ring);
            turn();
            vm.command_tail = vm.control[CAROM_RING_COMMAND_TAIL];
        }
        vm_finish();
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_batch_costs_one_wake),
        cmocka_unit_test(a_vm_that_yields_is_called_when_its_answers_have_left),
        cmocka_unit_test(content_of_any_size_is_echoed),
        cmocka_unit_test(what_head_leaves_out_has_no_length),
        cmocka_unit_test(answers_may_come_late),
        cmocka_unit_test(the_vm_hears_of_clients_that_leave),
        cmocka_unit_test(slots_grow_with_the_requests),
        cmocka_unit_test(long_heads_lie_in_pages),
        cmocka_unit_test(a_bad_field_is_an_error_event),
        cmocka_unit_test(loans_come_back_once),
        cmocka_unit_test(no_more_slots_than_the_capacity),
        cmocka_unit_test(a_mad_vm_harms_nobody),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
