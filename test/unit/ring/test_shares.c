/* The ring gives everybody a share: pages, slots and loans that one client, or a handler that
 * hangs, would like to hold. */
#include "ring/slot.h"
#include "unit/ring/tiny_vm.h"

/* Uploads that are not read on, more than there are pages, take none from others. */
static void who_reads_slowly_holds_no_page(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    vm.grows = vm.pauses = true;
    for (int i = 0; i < 3 * CAROM_RING_PAGES / 2; i++) {
        struct carom_peer *peer = connect_peer();
        say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        turn();
        assert_got(peer, "abc");
    }
    vm.pauses = false;
    struct carom_peer *other = connect_peer();
    say(other, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    turn();
    say(other, "def");
    turn();
    assert_got(other, "def");
    for (int i = 0; i < CAROM_RING_PAGES; i++)
        assert_int_equal(vm.control[CAROM_RING_PAGES_HELD + i], 0);
    vm_finish();
}

/* The VM stands still with all pages in its queue, and the worker sleeps: it is woken by who
 * copies. */
static void who_starves_goes_on_when_a_page_is_back(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    for (int i = 0; i < CAROM_RING_PAGES; i++)
        vm.control[CAROM_RING_PAGES_HELD + i] = 1;
    struct carom_peer *peer = connect_peer();
    say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    turn();
    struct carom_guest *guest = sim.service->workers[0].connections.records.guest;
    assert_true(guest->may_sleep(guest));
    give_page(7);
    assert_false(guest->may_sleep(guest));
    turn();
    assert_got(peer, "ab");
    vm_finish();
}

/* What was told and not heard before the slot went on to another request gives its page back. */
static void news_that_are_void_hold_no_page(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    for (int round = 0; round < 2 * CAROM_RING_PAGES; round++) {
        vm.control[CAROM_RING_VM_ASLEEP] = 1;
        struct carom_peer *peer = connect_peer();
        say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        turn();
        vm.control[CAROM_RING_VM_ASLEEP] = 0; /* it hears nothing */
        uint32_t index = vm.held[--vm.held_count];
        compose(index, 200, "x-vm", "late", NULL, 0);
        command(index, CAROM_FLAG_READ);
        carom_ring_wake(vm.ring);
        turn();
        command(index, CAROM_FLAG_RELEASE);
        carom_ring_wake(vm.ring);
        turn();
    }
    assert_int_equal(vm.requests, 2 * CAROM_RING_PAGES);
    uint32_t held = 0;
    for (int i = 0; i < CAROM_RING_PAGES; i++)
        held += vm.control[CAROM_RING_PAGES_HELD + i];
    assert_true(held <= 1); /* that of the last one, which it may still hear of */
    vm_finish();
}

static void slots_go_back_after_a_burst(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    vm.grows = true;
    for (int round = 0; round < 2; round++) {
        struct carom_peer *peers[3 * SLOTS];
        for (int i = 0; i < 3 * SLOTS; i++) {
            peers[i] = connect_peer();
            say(peers[i], GET("/hold"));
        }
        turn();
        assert_int_equal(vm.block_count, 3);
        uint32_t last = vm.held[--vm.held_count];
        while (vm.held_count > 0)
            vm_answer(vm.held[--vm.held_count], "at last");
        carom_ring_wake(vm.ring);
        turn();
        /* The one that is still held keeps its block and no other, beside those that stay. */
        pass(CAROM_POOL_WINDOW);
        pass(CAROM_POOL_WINDOW);
        pass(CAROM_POOL_WINDOW);
        uint32_t kept = last / SLOTS, gone = 3 - kept;
        assert_in_range(kept, 1, 2);
        assert_int_equal(vm.block_count, 2);
        assert_int_equal(vm.control[CAROM_RING_SLOTS], 2 * SLOTS);
        vm_answer(last, "at last");
        put_command(gone * SLOTS);
        carom_ring_wake(vm.ring);
        turn();
        assert_int_equal(vm.control[CAROM_RING_BAD_COMMANDS], round + 1);
        for (int i = 0; i < 3 * SLOTS; i++)
            assert_got(peers[i], "at last");
    }
    /* Then nothing is left to go back, and nobody looks for it. */
    struct carom_guest *guest = sim.service->workers[0].connections.records.guest;
    assert_true(guest->above_floor(guest));
    pass(CAROM_POOL_WINDOW);
    pass(CAROM_POOL_WINDOW);
    pass(CAROM_POOL_WINDOW);
    assert_int_equal(vm.block_count, 1);
    assert_false(guest->above_floor(guest));
    vm_finish();
}

/* One connection takes as many slots as it leaves for others, and they find them; the last of all
 * are held, and who comes then is told so. */
static void nobody_takes_the_last_slots(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_pipeline = 1000;
    vm_begin_with(&options, 2 * BLOCK);
    vm.grows = true;
    struct carom_peer *greedy = connect_peer();
    for (int i = 0; i < 2 * SLOTS; i++)
        say(greedy, GET("/hold"));
    turn();
    assert_int_equal(vm.requests, SLOTS);
    struct carom_peer *others[SLOTS];
    for (int i = 0; i < SLOTS; i++) {
        others[i] = connect_peer();
        say(others[i], GET("/hold"));
    }
    turn();
    assert_int_equal(vm.requests, 2 * SLOTS);
    assert_int_equal(vm.control[CAROM_RING_REFUSED], SLOTS);
    struct carom_peer *late = connect_peer();
    say(late, GET("/now"));
    turn();
    assert_got(late, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_got(late, "Retry-After: 1\r\n");
    assert_int_equal(vm.control[CAROM_RING_REFUSED], SLOTS + 1);
    while (vm.held_count > 0)
        vm_answer(vm.held[--vm.held_count], "at last");
    carom_ring_wake(vm.ring);
    turn();
    for (int i = 0; i < SLOTS; i++)
        assert_got(others[i], "at last");
    struct carom_peer *after = connect_peer();
    say(after, GET("/now"));
    turn();
    assert_got(after, "1 fields");
    carom_stats stats = vm_finish();
    assert_int_equal(stats.requests_refused, SLOTS + 1);
    assert_int_equal(stats.ended[CAROM_REASON_OVER_LIMIT], SLOTS + 1);
}

/* As many as are wanted: what a loan costs is taken when it is lent. */
static void loans_are_as_many_as_are_wanted(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    static char big[10000];
    vm_begin(&options);
    uint64_t before = carom_memory_held();
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(carom_ring_lend(vm.ring, i, big, sizeof big), 0);
    assert_true(carom_memory_held() - before < 600000);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    compose(vm.held[0], 200, "x-vm", "loan", NULL, 0);
    slot_words(vm.held[0])[CAROM_SLOT_DATA_LOAN] = 9000 + 1;
    command(vm.held[0], CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    turn();
    pass(1);
    assert_int_equal(vm.returns, 1);
    assert_int_equal(vm.control[vm.control[CAROM_RING_RETURNS_WORD]], 9000);
    /* One that was never lent is refused. */
    say(peer, GET("/hold"));
    turn();
    compose(vm.held[1], 200, "x-vm", "loan", NULL, 0);
    slot_words(vm.held[1])[CAROM_SLOT_DATA_LOAN] = 200000;
    command(vm.held[1], CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END);
    turn();
    assert_int_equal(vm.errors, 1);
    vm_finish();
}

/* The numbers that a burst has used cost nothing two windows later; those that are lent stay,
 * wherever they lie. */
static void loans_go_back_after_a_burst(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    static char big[10000];
    vm_begin(&options);
    assert_int_equal(carom_ring_lend(vm.ring, 5000, big, sizeof big), 0);
    for (uint32_t i = 0; i < 600; i++)
        assert_int_equal(carom_ring_lend(vm.ring, i, big, sizeof big), 0);
    assert_int_equal(vm.ring->loan_chunks, 3 + 1);
    struct carom_peer *peer = connect_peer();
    for (uint32_t i = 1; i < 600; i++) {
        say(peer, GET("/hold"));
        turn();
        uint32_t slot = vm.held[--vm.held_count];
        compose(slot, 200, "x-vm", "loan", NULL, 0);
        slot_words(slot)[CAROM_SLOT_DATA_LOAN] = i + 1;
        command(slot, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
        turn();
    }
    assert_int_equal(vm.returns, 599);
    for (int i = 0; i < 4; i++)
        pass(CAROM_POOL_WINDOW);
    assert_int_equal(vm.ring->loan_chunks, 2);
    assert_int_equal(carom_ring_lend(vm.ring, 0, big, sizeof big), -CAROM_ESTATE);
    assert_int_equal(carom_ring_lend(vm.ring, 5000, big, sizeof big), -CAROM_ESTATE);
    assert_int_equal(carom_ring_lend(vm.ring, 400, big, sizeof big), 0);
    vm_finish();
}

/* What one loan after the other needs is not taken anew each time. */
static void the_first_loans_stay(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    static char big[10000];
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    assert_int_equal(carom_ring_lend(vm.ring, 0, big, sizeof big), 0);
    say(peer, GET("/hold"));
    turn();
    uint32_t slot = vm.held[--vm.held_count];
    compose(slot, 200, "x-vm", "loan", NULL, 0);
    slot_words(slot)[CAROM_SLOT_DATA_LOAN] = 1;
    command(slot, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    turn();
    assert_int_equal(vm.returns, 1);
    struct carom_guest *guest = sim.service->workers[0].connections.records.guest;
    for (int i = 0; i < 4; i++)
        guest->tick(guest);
    assert_int_equal(vm.ring->loan_chunks, 1);
    vm_finish();
}

static void stand_still(void)
{
    vm.control[CAROM_RING_VM_ASLEEP] = 0;
}

/* A VM that has not heard of what it was given is given one request of each connection more, and
 * goes on with all of them, each connection in turn, as it hears. */
static void who_comes_late_waits_for_one_of_each(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_unheard(&options, 0, 8);
    vm.grows = true;
    stand_still();
    struct carom_peer *greedy[2];
    for (int i = 0; i < 2; i++) {
        greedy[i] = connect_peer();
        for (int k = 0; k < 20; k++)
            say(greedy[i], GET("/now"));
        turn();
    }
    struct carom_peer *late = connect_peer();
    say(late, GET("/now"));
    turn();
    assert_int_equal(vm.control[CAROM_RING_EVENT_TAIL], 8 + 1 + 1);
    vm_wake(NULL);
    carom_ring_wake(vm.ring);
    turn();
    assert_got(late, "1 fields");
    pass(1);
    assert_int_equal(vm.requests, 2 * 20 + 1);
    vm_finish();
}

/* Requests that wait for those before them to be heard of need no answer to any. */
static void who_is_heard_of_need_not_be_answered(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_unheard(&options, 0, 4);
    vm.grows = true;
    stand_still();
    for (int i = 0; i < 3; i++) {
        struct carom_peer *peer = connect_peer();
        for (int k = 0; k < 8; k++)
            say(peer, GET("/hold"));
        turn();
    }
    assert_int_equal(vm.control[CAROM_RING_EVENT_TAIL], 4 + 1 + 1);
    assert_false(carom_ring_has_commands(vm.ring));
    vm_wake(NULL);
    assert_true(carom_ring_has_commands(vm.ring)); /* whose loop drives the engine is to call it */
    carom_ring_wake(vm.ring);
    turn();
    pass(1);
    assert_int_equal(vm.held_count, 3 * 8);
    vm_finish();
}

/* A VM that says what it has heard when it is called the next time is called for that, once, when
 * somebody waits: each of these connections, which may have a further request. */
static void who_is_late_to_say_what_it_has_heard_is_called(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_unheard(&options, 0, 4);
    vm.grows = vm.late = true;
    struct carom_peer *peers[5];
    for (int i = 0; i < 5; i++) {
        peers[i] = connect_peer();
        say(peers[i], GET("/hold"));
    }
    turn();
    assert_int_equal(vm.held_count, 5);
    assert_int_equal(vm.control[CAROM_RING_EVENT_HEAD], 5);
    assert_int_equal(vm.wakes, 2);
    say(peers[0], GET("/hold"));
    turn();
    assert_int_equal(vm.held_count, 5 + 1);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_reads_slowly_holds_no_page),
        cmocka_unit_test(who_starves_goes_on_when_a_page_is_back),
        cmocka_unit_test(news_that_are_void_hold_no_page),
        cmocka_unit_test(slots_go_back_after_a_burst),
        cmocka_unit_test(nobody_takes_the_last_slots),
        cmocka_unit_test(loans_are_as_many_as_are_wanted),
        cmocka_unit_test(loans_go_back_after_a_burst),
        cmocka_unit_test(the_first_loans_stay),
        cmocka_unit_test(who_comes_late_waits_for_one_of_each),
        cmocka_unit_test(who_is_heard_of_need_not_be_answered),
        cmocka_unit_test(who_is_late_to_say_what_it_has_heard_is_called),
    };
    return cmocka_run_group_tests_name("ring/shares", tests, NULL, NULL);
}
