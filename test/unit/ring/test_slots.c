/* Slots: who gets one, who waits, what the VM is told of them and when; a message that waits for
 * room.
 */
#include "unit/ring/vm.h"

#include "record/record.h"
#include "ring/block.h"
#include "ring/slot.h"

/* A message without fields or trailers: a status, and content from the slot. */
static void write_content(uint32_t index, uint32_t status, const char *content)
{
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    words[CAROM_SLOT_STATUS] = status;
    words[CAROM_SLOT_DATA_LENGTH] = (uint32_t)strlen(content);
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    memcpy(slot_out(index), content, strlen(content));
}

static void answer_whole(uint32_t index, uint32_t flags)
{
    write_content(index, 200, "fine");
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | flags);
}

static uint64_t in_flight(void)
{
    return stats_now().records_in_flight;
}

static struct carom_guest *guest(void)
{
    return sim.service->workers[0].connections.records.guest;
}

/* ---------------------------------------------------------------- messages that wait */

/* Its head is done when its content must wait: what is left of it is done later, once. */
static void a_message_waits_for_room(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_buffer = 1;
    vm_begin_with(&options, 1);
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    carom_peer_set_window(peer, 0);
    write_content(index, 103, "");
    command(index, CAROM_FLAG_INFORM);
    write_content(index, 200, "fine");
    slot_words(index)[CAROM_SLOT_NOTIFY] = 1;
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    assert_int_equal(slot_words(index)[CAROM_SLOT_FLAGS], CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
    assert_int_equal(news_of(index), 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(slot_words(index)[CAROM_SLOT_FLAGS], 0);
    assert_int_equal(news_of(index), CAROM_NEWS_ROOM);
    assert_int_equal(slot_words(index)[CAROM_SLOT_NOTIFY], 0);
    assert_got(peer, "HTTP/1.1 103 ");
    assert_got(peer, "\r\n\r\n4\r\nfine\r\n");
    write_content(index, 0, "");
    command(index, CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    assert_got(peer, "fine\r\n0\r\n\r\n");
    vm_finish();
}

static void who_asks_is_told_that_a_message_is_taken(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    write_content(index, 200, "fine");
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    assert_int_equal(news_of(index), 0);
    slot_words(index)[CAROM_SLOT_NOTIFY] = 1;
    command(index, CAROM_FLAG_END);
    assert_int_equal(news_of(index), CAROM_NEWS_ROOM);
    command(index, CAROM_FLAG_RELEASE);
    vm_finish();
}

/* ---------------------------------------------------------------- one request after the other */

/* What was asked for the last request does not hold for the next. */
static void a_slot_is_new_for_each_request(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/")), generation = slot_words(index)[CAROM_SLOT_GENERATION];
    answer_whole(index, CAROM_FLAG_WATCH);
    assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
    assert_int_equal(slot_words(index)[CAROM_SLOT_REASON], CAROM_REASON_COMPLETE);
    assert_int_equal(slot_words(index)[CAROM_SLOT_SENT_LOW], 4);
    command(index, CAROM_FLAG_RELEASE);
    assert_int_equal(ask(&peer, GET("/")), index);
    assert_int_not_equal(slot_words(index)[CAROM_SLOT_GENERATION], generation);
    answer_whole(index, 0);
    assert_int_equal(news_of(index), 0);
    command(index, CAROM_FLAG_RELEASE);
    vm_finish();
}

/* ---------------------------------------------------------------- waiting for a slot */

static void who_has_gone_while_it_waited_gets_no_slot(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    leave_one_slot();
    struct carom_peer *first, *second = connect_peer(), *third = connect_peer();
    uint32_t index = ask(&first, GET("/"));
    say(second, GET("/"));
    turn();
    say(third, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    assert_int_equal(vm.control[CAROM_RING_SLOTS_WANTED], 2);
    carom_peer_reset(second);
    turn();
    answer_whole(index, CAROM_FLAG_RELEASE);
    assert_int_equal(news_of(index), CAROM_NEWS_REQUEST);
    assert_int_equal(slot_words(index)[CAROM_SLOT_METHOD_LENGTH], 4); /* of the third */
    assert_int_equal(vm.control[CAROM_RING_SLOTS_WANTED], 0);
    answer_whole(index, CAROM_FLAG_RELEASE);
    assert_int_equal(in_flight(), CAROM_RING_BLOCK_SLOTS - 1);
    vm_finish();
}

static void a_ring_that_is_given_up_lets_go_of_who_waits(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    leave_one_slot();
    struct carom_peer *first, *second = connect_peer();
    ask(&first, GET("/"));
    say(second, GET("/"));
    turn();
    carom_ring_abandon(vm.ring);
    assert_false(guest()->may_sleep(guest()));
    turn();
    assert_got(first, "HTTP/1.1 500 ");
    assert_got(second, "HTTP/1.1 500 ");
    assert_int_equal(in_flight(), 0);
    assert_true(guest()->may_sleep(guest())); /* there is nothing left to do */
    say(first, GET("/"));
    turn();
    assert_got(first, "HTTP/1.1 500 ");
    assert_true(guest()->may_sleep(guest()));
    vm_finish();
}

/* ---------------------------------------------------------------- waiting for a page */

/* A request whose head does not fit into a slot. */
static const char *long_head(void)
{
    static char request[4096];
    snprintf(request, sizeof request, "GET /long HTTP/1.1\r\nHost: a\r\nX: %03000d\r\n\r\n", 7);
    return request;
}

static void a_request_without_a_page_is_told_when_there_is_one(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, CAROM_RING_PAGES + 2);
    struct carom_peer *peers[CAROM_RING_PAGES], *gone = connect_peer(), *waits = connect_peer();
    uint32_t first = 0;
    for (int i = 0; i < CAROM_RING_PAGES; i++)
        first = ask(&peers[i], long_head());
    say(gone, long_head());
    turn();
    say(waits, long_head());
    turn();
    assert_int_equal(new_request(), vm.slot_count);
    carom_peer_reset(gone); /* the VM never hears of it */
    turn();
    for (uint32_t index = 0; index < vm.slot_count; index++)
        assert_int_equal(news_of(index), 0);
    assert_int_equal(in_flight(), CAROM_RING_PAGES + 1);
    assert_int_not_equal(slot_words(first)[CAROM_SLOT_HEAD_PAGE], 0);
    give_page(slot_words(first)[CAROM_SLOT_HEAD_PAGE]);
    carom_ring_wake(vm.ring);
    turn();
    uint32_t index = new_request();
    assert_int_not_equal(index, vm.slot_count);
    assert_int_not_equal(slot_words(index)[CAROM_SLOT_HEAD_PAGE], 0);
    answer_whole(index, CAROM_FLAG_RELEASE);
    assert_got(waits, "fine");
    vm_finish();
}

/* The page of a piece is the engine's again as soon as the VM says so, whatever it does then. */
static void pages_of_content_come_back(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    for (int i = 0; i < 2 * CAROM_RING_PAGES; i++) {
        struct carom_peer *peer;
        uint32_t index = ask(&peer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
        write_content(index, 0, "");
        command(index, CAROM_FLAG_READ);
        assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
        assert_int_equal(slot_words(index)[CAROM_SLOT_PIECE_LENGTH], 3);
        give_page(slot_words(index)[CAROM_SLOT_PIECE_PAGE]);
        command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    }
    vm_finish();
}

/* ---------------------------------------------------------------- sleeping, slots that are added
 */

static void the_engine_sleeps_only_when_nothing_is_there(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    vm.control[CAROM_RING_ENGINE_ASLEEP] = 0;
    assert_true(guest()->may_sleep(guest()));
    assert_int_equal(vm.control[CAROM_RING_ENGINE_ASLEEP], 1);
    guest()->awake(guest());
    assert_int_equal(vm.control[CAROM_RING_ENGINE_ASLEEP], 0);
    write_content(index, 200, "fine");
    slot_words(index)[CAROM_SLOT_ECHO] = slot_words(index)[CAROM_SLOT_GENERATION];
    slot_words(index)[CAROM_SLOT_FLAGS] =
        CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE;
    put_command(index);
    assert_false(guest()->may_sleep(guest()));
    carom_ring_wake(vm.ring);
    turn();
    assert_got(peer, "fine");
    assert_true(guest()->may_sleep(guest()));
    vm_finish();
}

/* The VM looks for its number in the queue as long as it has not heard what is told of a slot. */
static void a_block_stays_as_long_as_news_lie_in_it(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, CAROM_RING_BLOCK_SLOTS + 1);
    leave_one_slot();
    struct carom_peer *peer;
    ask(&peer, GET("/"));
    uint32_t index = ask(&peer, GET("/"));
    assert_int_equal(index, CAROM_RING_BLOCK_SLOTS); /* the first of the second block */
    carom_peer_reset(peer);
    turn();
    command(index, CAROM_FLAG_RELEASE);
    const uint32_t *whose = vm.control + vm.control[CAROM_RING_BLOCKS_WORD] + 1;
    for (int i = 0; i < 5; i++)
        pass(CAROM_POOL_WINDOW);
    assert_int_equal(*whose, 1);
    assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
    for (int i = 0; i < 2; i++)
        pass(CAROM_POOL_WINDOW);
    assert_int_equal(*whose, 0);
    vm_finish();
}

/* More than 32 bits of bytes, which a test does not send. */
static void what_was_sent_is_told_in_two_words(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    struct carom_slot *slot = carom_slot_at(vm.ring, index);
    write_content(index, 200, "fine");
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_WATCH);
    slot->record->content_framed += (uint64_t)5 << 32;
    write_content(index, 0, "");
    command(index, CAROM_FLAG_END);
    assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
    assert_int_equal(slot_words(index)[CAROM_SLOT_SENT_LOW], 4);
    assert_int_equal(slot_words(index)[CAROM_SLOT_SENT_HIGH], 5);
    command(index, CAROM_FLAG_RELEASE);
    vm_finish();
}

/* Of what the engine and the VM can bear the lesser. */
static void behind_is_who_has_not_heard_of_so_many(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, CAROM_RING_BLOCK_SLOTS);
    struct carom_peer *peer;
    for (int i = 0; i < 6; i++)
        ask(&peer, GET("/"));
    vm.control[CAROM_RING_EVENT_HEAD] = 0;
    assert_true(guest()->behind(guest(), 6));
    assert_false(guest()->behind(guest(), 7));
    vm.control[CAROM_RING_EVENT_HEAD] = vm.control[CAROM_RING_EVENT_TAIL];
    assert_false(guest()->behind(guest(), 6));
    vm_finish();
}

/* Memory for less than a block is none. */
static void the_least_memory_is_a_block(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    const size_t block = (size_t)CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE;
    size_t size = (carom_ring_control_size(CAPACITY) + 63) / 64 * 64;
    void *control = aligned_alloc(64, size);
    assert_non_null(control);
    for (size_t less = 0; less < 2; less++) {
        carom_ring *ring = NULL;
        const carom_ring_options given = {
            .size = sizeof given, .capacity = CAPACITY, .memory = block - less, .wake = sleep_on};
        assert_int_equal(carom_ring_create(&ring, &given, control, size),
                         less > 0 ? -CAROM_EINVAL : 0);
        carom_ring_destroy(ring);
    }
    free(control);
    vm_finish();
}

static void memory_of_slots_is_whole_and_aligned(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    static uint64_t memory[2 * CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE / sizeof(uint64_t)];
    assert_int_equal(carom_ring_add_block(vm.ring, 1, (uint8_t *)memory + 4), -CAROM_EINVAL);
    assert_int_equal(carom_ring_add_block(vm.ring, 1, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_ring_add_block(vm.ring, CAPACITY / CAROM_RING_BLOCK_SLOTS, memory),
                     -CAROM_ETOOBIG);
    turn();
    assert_false(carom_ring_has_commands(vm.ring));
    assert_int_equal(carom_ring_add_block(vm.ring, 1, memory), 0);
    assert_int_equal(carom_ring_add_block(vm.ring, 1, memory), -CAROM_ESTATE);
    assert_true(carom_ring_has_commands(vm.ring)); /* it is to be taken */
    assert_false(guest()->may_sleep(guest()));
    turn();
    assert_false(carom_ring_has_commands(vm.ring));
    assert_int_equal(vm.control[CAROM_RING_SLOTS], 2 * CAROM_RING_BLOCK_SLOTS);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_waits_for_room),
        cmocka_unit_test(who_asks_is_told_that_a_message_is_taken),
        cmocka_unit_test(a_slot_is_new_for_each_request),
        cmocka_unit_test(who_has_gone_while_it_waited_gets_no_slot),
        cmocka_unit_test(a_ring_that_is_given_up_lets_go_of_who_waits),
        cmocka_unit_test(a_request_without_a_page_is_told_when_there_is_one),
        cmocka_unit_test(pages_of_content_come_back),
        cmocka_unit_test(the_engine_sleeps_only_when_nothing_is_there),
        cmocka_unit_test(memory_of_slots_is_whole_and_aligned),
        cmocka_unit_test(a_block_stays_as_long_as_news_lie_in_it),
        cmocka_unit_test(what_was_sent_is_told_in_two_words),
        cmocka_unit_test(behind_is_who_has_not_heard_of_so_many),
        cmocka_unit_test(the_least_memory_is_a_block),
    };
    return cmocka_run_group_tests_name("ring/slots", tests, NULL, NULL);
}
