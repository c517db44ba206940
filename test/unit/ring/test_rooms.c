/* Rooms: memory of the VM's into which the engine copies content of requests. */
#include "unit/ring/vm.h"

#define ROOM_LENGTH 8
#define PIECE       2000 /* more than the buffer for responses below */
#define CHUNKED     "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void vm_begin(void)
{
    carom_options options = simulation_options();
    vm_begin_with(&options, CAROM_RING_BLOCK_SLOTS);
}

static const uint8_t *page_at(uint32_t page)
{
    return (const uint8_t *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
           (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

/* READ into the room of loan `number`. */
static void read_into(uint32_t index, uint32_t number, uint32_t flags)
{
    slot_words(index)[CAROM_SLOT_ROOM_LOAN] = number + 1;
    command(index, CAROM_FLAG_READ | flags);
}

static uint32_t begin_upload(struct carom_peer **peer, uint8_t *room)
{
    memset(room, '.', ROOM_LENGTH);
    assert_int_equal(carom_ring_lend_room(vm.ring, 7, room, ROOM_LENGTH), 0);
    return ask(peer, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123");
}

/* What has come is copied into the room, and the page is nobody's. What has no place in it stays.
 */
static void content_comes_into_a_room(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[ROOM_LENGTH];
    uint32_t index = begin_upload(&peer, room);
    const uint32_t *words = slot_words(index);
    read_into(index, 7, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
    assert_int_equal(words[CAROM_SLOT_PIECE_PAGE], 0);
    assert_int_equal(words[CAROM_SLOT_PIECE_LENGTH], 4);
    assert_memory_equal(room, "0123....", ROOM_LENGTH);
    assert_int_equal(returned(7), 1);
    for (int i = 0; i < CAROM_RING_PAGES; i++)
        assert_int_equal(vm.control[CAROM_RING_PAGES_HELD + i], 0);
    say(peer, "456789abcdefghij");
    turn();
    assert_int_equal(carom_ring_lend_room(vm.ring, 7, room, ROOM_LENGTH), 0);
    read_into(index, 7, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
    assert_memory_equal(room, "456789ab", ROOM_LENGTH);
    assert_int_equal(carom_ring_lend_room(vm.ring, 8, room, ROOM_LENGTH), 0);
    read_into(index, 8, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_memory_equal(room, "cdefghij", ROOM_LENGTH);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* Nothing is told before it is full, and the rest before the end is. */
static void a_room_is_filled(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[ROOM_LENGTH];
    uint32_t index = begin_upload(&peer, room);
    read_into(index, 7, CAROM_FLAG_FILL);
    assert_int_equal(news_of(index), 0);
    assert_int_equal(returned(7), 0);
    say(peer, "45678");
    turn();
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
    assert_memory_equal(room, "01234567", ROOM_LENGTH);
    assert_int_equal(returned(7), 1);
    uint8_t larger[64];
    assert_int_equal(carom_ring_lend_room(vm.ring, 7, larger, sizeof larger), 0);
    read_into(index, 7, CAROM_FLAG_FILL);
    assert_int_equal(news_of(index), 0);
    say(peer, "9abcdefghij");
    turn();
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_int_equal(slot_words(index)[CAROM_SLOT_PIECE_LENGTH], 12);
    assert_memory_equal(larger, "89abcdefghij", 12);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

static struct carom_records *records(void)
{
    return &sim.service->workers[0].connections.records;
}

/* Content that waits below comes straight into the room: it lies in no queue before. What follows
 * it is the next request's. */
static void content_comes_into_a_room_without_a_page(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[32] = {0};
    uint32_t index = ask(&peer, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n");
    say(peer, "0123456789abcdefghijGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(carom_ring_lend_room(vm.ring, 7, room, sizeof room), 0);
    read_into(index, 7, CAROM_FLAG_FILL);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_int_equal(slot_words(index)[CAROM_SLOT_PIECE_LENGTH], 20);
    assert_memory_equal(room, "0123456789abcdefghij\0", 21);
    assert_int_equal(records()->segments.peak, 0);
    assert_int_equal(new_request(), index + 1);
    command(index + 1, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* Bytes of a chunked content have its framing between them. */
static void chunked_content_does_not_come_straight(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[32];
    uint32_t index = ask(&peer, CHUNKED);
    say(peer, "3\r\nabc\r\n0\r\n\r\n");
    assert_int_equal(carom_ring_lend_room(vm.ring, 7, room, sizeof room), 0);
    read_into(index, 7, CAROM_FLAG_FILL);
    turn();
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_int_equal(slot_words(index)[CAROM_SLOT_PIECE_LENGTH], 3);
    assert_memory_equal(room, "abc", 3);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* It counts for content_rate as all content does: a window with enough of it is no time-out. */
static void content_without_a_page_has_a_rate(void **state)
{
    (void)state;
    vm_begin();
    static uint8_t room[4000];
    char bytes[1301];
    memset(bytes, 'x', sizeof bytes - 1);
    bytes[sizeof bytes - 1] = '\0';
    struct carom_peer *peer;
    uint32_t index = ask(&peer, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n");
    for (uint32_t window = 0; window < 2; window++) {
        assert_int_equal(carom_ring_lend_room(vm.ring, window, room, sizeof room), 0);
        say(peer, bytes);
        read_into(index, window, 0);
        assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
        assert_int_equal(carom_ring_lend_room(vm.ring, 2 + window, room, 1), 0);
        read_into(index, 2 + window, CAROM_FLAG_FILL);
        pass(5 * SECOND);
        assert_int_equal(stats_now().timeouts, 0);
        say(peer, "y");
        turn();
        assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
    }
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* Trailers are told in a page, behind nothing, since the content is in the room. */
static void trailers_come_beside_a_room(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[ROOM_LENGTH];
    assert_int_equal(carom_ring_lend_room(vm.ring, 0, room, sizeof room), 0);
    uint32_t index = ask(&peer, CHUNKED "3\r\nabc\r\n0\r\nX-T: uv\r\n\r\n");
    const uint32_t *words = slot_words(index);
    read_into(index, 0, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_int_equal(words[CAROM_SLOT_PIECE_LENGTH], 3);
    assert_memory_equal(room, "abc", 3);
    assert_int_equal(words[CAROM_SLOT_TRAILERS_LENGTH], 4 + 3 + 2);
    assert_memory_equal(page_at(words[CAROM_SLOT_PIECE_PAGE]), LENGTHS("\3", "\2") "X-Tuv", 9);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* The VM has its room again when the client leaves, and when it lets go of the slot. */
static void a_room_comes_back_when_no_content_does(void **state)
{
    (void)state;
    vm_begin();
    for (int leaves = 0; leaves < 2; leaves++) {
        struct carom_peer *peer;
        uint8_t room[ROOM_LENGTH];
        uint32_t index = begin_upload(&peer, room);
        read_into(index, 7, CAROM_FLAG_FILL);
        assert_int_equal(returned(7), 0);
        if (leaves) {
            carom_peer_reset(peer);
            turn();
            assert_int_equal(news_of(index),
                             CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_LOST | CAROM_NEWS_ENDED);
            assert_int_equal(returned(7), 1);
        }
        command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
        assert_int_equal(returned(7), leaves ? 0 : 1);
    }
    vm_finish();
}

/* One that was named in the last message comes back with the slot, however it was asked for. */
static void a_room_that_nobody_has_taken_comes_back(void **state)
{
    (void)state;
    vm_begin();
    const uint32_t asked[] = {CAROM_FLAG_READ, CAROM_FLAG_FETCH};
    for (int i = 0; i < 2; i++) {
        struct carom_peer *peer;
        uint8_t room[ROOM_LENGTH];
        uint32_t index = begin_upload(&peer, room);
        slot_words(index)[CAROM_SLOT_ROOM_LOAN] = 7 + 1;
        command(index, asked[i] | CAROM_FLAG_FILL | CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
        assert_int_equal(returned(7), 1);
        assert_memory_equal(room, "........", ROOM_LENGTH);
    }
    vm_finish();
}

/* READ stays in a message that waits for the client, and so does what it said of the room. */
static void a_room_is_filled_behind_a_message_that_waited(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_buffer = PIECE / 2;
    vm_begin_with(&options, CAROM_RING_BLOCK_SLOTS);
    struct carom_peer *peer;
    uint8_t room[ROOM_LENGTH];
    uint32_t index = begin_upload(&peer, room);
    uint32_t *words = slot_words(index);
    carom_peer_set_window(peer, 0);
    memset(slot_out(index), 'x', PIECE);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_DATA_LENGTH] = PIECE;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    assert_int_equal(words[CAROM_SLOT_FLAGS], 0);
    read_into(index, 7, CAROM_FLAG_DATA | CAROM_FLAG_FILL);
    assert_int_not_equal(words[CAROM_SLOT_FLAGS] & CAROM_FLAG_WAITS, 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(words[CAROM_SLOT_FLAGS], 0);
    assert_int_equal(news_of(index), 0);
    say(peer, "4567");
    turn();
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
    assert_memory_equal(room, "01234567", ROOM_LENGTH);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* A VM that waits for a page and lends a room all the same has its answer: a page that comes later
 * is not for this slot, and its request is not told anew. */
static void a_room_ends_the_wait_for_a_page(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[ROOM_LENGTH];
    uint32_t index = begin_upload(&peer, room);
    for (uint32_t page = 1; page <= CAROM_RING_PAGES; page++)
        vm.control[CAROM_RING_PAGES_HELD + page - 1] = 1;
    slot_words(index)[CAROM_SLOT_ROOM_LOAN] = 0;
    command(index, CAROM_FLAG_READ);
    assert_int_equal(news_of(index), 0);
    read_into(index, 7, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
    for (uint32_t page = 1; page <= CAROM_RING_PAGES; page++)
        give_page(page);
    turn();
    assert_int_equal(news_of(index), 0);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

/* Bytes that are lent to be sent are not written to, a room is not sent, and a second one is not
 * taken; what was named comes back. */
static void only_rooms_are_written_to(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint8_t room[ROOM_LENGTH];
    assert_int_equal(carom_ring_lend_room(vm.ring, 1, NULL, 4), -CAROM_EINVAL);
    assert_int_equal(carom_ring_lend_room(vm.ring, 1, room, 0), -CAROM_EINVAL);
    assert_int_equal(carom_ring_lend_room(vm.ring, 1, room, (size_t)UINT32_MAX + 1), -CAROM_EINVAL);
    uint32_t index = begin_upload(&peer, room);
    uint8_t bytes[4] = "abcd";
    assert_int_equal(carom_ring_lend(vm.ring, 1, bytes, sizeof bytes), 0);
    read_into(index, 1, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_ERROR);
    assert_int_equal(slot_words(index)[CAROM_SLOT_ERROR], CAROM_EINVAL);
    assert_memory_equal(bytes, "abcd", 4);
    assert_int_equal(returned(1), 1);
    read_into(index, 1, 0); /* nothing is lent under that */
    assert_int_equal(news_of(index), CAROM_NEWS_ERROR);
    read_into(index, 7, CAROM_FLAG_FILL);
    assert_int_equal(carom_ring_lend_room(vm.ring, 8, room, 4), 0);
    read_into(index, 8, 0);
    assert_int_equal(news_of(index), CAROM_NEWS_ERROR);
    assert_int_equal(returned(8), 1);
    assert_int_equal(returned(7), 0);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(content_comes_into_a_room),
        cmocka_unit_test(a_room_is_filled),
        cmocka_unit_test(content_comes_into_a_room_without_a_page),
        cmocka_unit_test(chunked_content_does_not_come_straight),
        cmocka_unit_test(content_without_a_page_has_a_rate),
        cmocka_unit_test(trailers_come_beside_a_room),
        cmocka_unit_test(a_room_comes_back_when_no_content_does),
        cmocka_unit_test(a_room_that_nobody_has_taken_comes_back),
        cmocka_unit_test(a_room_is_filled_behind_a_message_that_waited),
        cmocka_unit_test(a_room_ends_the_wait_for_a_page),
        cmocka_unit_test(only_rooms_are_written_to),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
