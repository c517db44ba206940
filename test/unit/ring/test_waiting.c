/* Messages that wait for room in the response: parts of them that are done are not done again, they
 * go on by themselves, and a VM that asked to be told is told. */
#include "unit/ring/vm.h"

#define SLOTS        8
#define WRITE_BUFFER 1000
#define PIECE        2000 /* more than the buffer: what follows it waits */

static void begin_small(void)
{
    carom_options options = simulation_options();
    options.write_buffer = WRITE_BUFFER;
    vm_begin_with(&options, SLOTS);
}

/* A request whose client takes nothing yet. */
static uint32_t ask_stalled(struct carom_peer **peer)
{
    uint32_t index = ask(peer, GET("/"));
    carom_peer_set_window(*peer, 0);
    return index;
}

/* `fields` bytes of one field and `data` bytes of content, all of them `byte`. */
static void write_message(uint32_t index, uint32_t status, uint32_t fields, uint32_t data,
                          char byte)
{
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    memset(slot_out(index), byte, fields + data);
    if (fields > 0) {
        const uint16_t lengths[2] = {1, (uint16_t)(fields - 5)};
        memcpy(slot_out(index), lengths, sizeof lengths);
        slot_out(index)[4] = 'f';
    }
    words[CAROM_SLOT_STATUS] = status;
    words[CAROM_SLOT_FIELDS_LENGTH] = fields;
    words[CAROM_SLOT_DATA_LENGTH] = data;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
}

static uint32_t flags_of(uint32_t index)
{
    return slot_words(index)[CAROM_SLOT_FLAGS];
}

/* How many bytes of content say `byte`. */
static size_t count_bytes(struct carom_peer *peer, char byte)
{
    size_t length, count = 0;
    const char *bytes = carom_peer_received(peer, &length);
    const char *content = strstr(got(peer), "\r\n\r\n");
    assert_non_null(content);
    for (size_t i = (size_t)(content - got(peer)); i < length; i++)
        count += bytes[i] == byte;
    return count;
}

static void content_waits_and_goes_on_by_itself(void **state)
{
    (void)state;
    begin_small();
    struct carom_peer *peer;
    uint32_t index = ask_stalled(&peer);
    write_message(index, 200, 0, PIECE, 'X');
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    assert_int_equal(flags_of(index), 0);
    write_message(index, 0, 0, PIECE, 'Y');
    slot_words(index)[CAROM_SLOT_NOTIFY] = 1;
    command(index, CAROM_FLAG_DATA | CAROM_FLAG_WATCH);
    assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
    assert_int_equal(slot_words(index)[CAROM_SLOT_NOTIFY], 1);
    assert_int_equal(news_of(index), 0);
    put_command(index); /* a VM that asks again changes nothing */
    turn();
    assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
    assert_int_equal(bad_commands(), 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(flags_of(index), 0);
    assert_int_equal(slot_words(index)[CAROM_SLOT_NOTIFY], 0);
    assert_int_equal(news_of(index), CAROM_NEWS_ROOM);
    assert_int_equal(count_bytes(peer, 'X'), PIECE);
    assert_int_equal(count_bytes(peer, 'Y'), PIECE);
    write_message(index, 0, 0, 0, 0);
    command(index, CAROM_FLAG_END);
    assert_int_equal(news_of(index), CAROM_NEWS_ENDED); /* watched since the message that waited */
    assert_int_equal(slot_words(index)[CAROM_SLOT_REASON], CAROM_REASON_COMPLETE);
    assert_int_equal(slot_words(index)[CAROM_SLOT_SENT_LOW], 2 * PIECE);
    command(index, CAROM_FLAG_RELEASE);
    vm_finish();
}

static void a_head_that_is_done_is_not_done_again(void **state)
{
    (void)state;
    begin_small();
    struct carom_peer *peer;
    uint32_t index = ask_stalled(&peer);
    write_message(index, 103, PIECE, 0, 'h');
    command(index, CAROM_FLAG_INFORM);
    assert_int_equal(flags_of(index), 0);
    write_message(index, 200, 9, PIECE, 'X');
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_RELEASE);
    assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_RELEASE | CAROM_FLAG_WAITS);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(news_of(index), 0);
    assert_int_equal(flags_of(index), 0);
    assert_got(peer, "HTTP/1.1 103 ");
    assert_got(peer, "HTTP/1.1 200 OK\r\nf: XXXX\r\n");
    assert_null(strstr(strstr(got(peer), " 200 OK") + 1, " 200 OK"));
    assert_true(carom_peer_saw_close(peer)); /* let go of before its end */
    vm_finish();
}

static void the_end_waits_with_its_content(void **state)
{
    (void)state;
    begin_small();
    struct carom_peer *peer;
    uint32_t index = ask_stalled(&peer);
    write_message(index, 200, 0, PIECE, 'X');
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    write_message(index, 0, 0, PIECE, 'Y');
    command(index, CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    assert_int_equal(flags_of(index),
                     CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE | CAROM_FLAG_WAITS);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(flags_of(index), 0);
    assert_int_equal(count_bytes(peer, 'Y'), PIECE);
    assert_got(peer, "Y\r\n0\r\n\r\n");
    struct carom_peer *other;
    assert_int_equal(ask(&other, GET("/")), index); /* the slot is free */
    vm_finish();
}

static void a_loan_waits_and_comes_back_when_its_client_leaves(void **state)
{
    (void)state;
    static char bytes[PIECE];
    memset(bytes, 'L', sizeof bytes);
    for (int leaves = 0; leaves < 2; leaves++) {
        begin_small();
        struct carom_peer *peer;
        uint32_t index = ask_stalled(&peer);
        write_message(index, 200, 0, PIECE, 'X');
        command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
        assert_int_equal(carom_ring_lend(vm.ring, 7, bytes, sizeof bytes), 0);
        write_message(index, 0, 0, 0, 0);
        slot_words(index)[CAROM_SLOT_DATA_LOAN] = 8;
        command(index, CAROM_FLAG_DATA);
        assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
        assert_int_equal(returned(7), 0);
        if (leaves)
            carom_peer_reset(peer);
        else
            carom_peer_set_window(peer, SIZE_MAX);
        turn();
        assert_int_equal(flags_of(index), 0);
        assert_int_equal(returned(7), 1);
        assert_int_equal(news_of(index), leaves ? CAROM_NEWS_ENDED : 0);
        if (!leaves)
            assert_int_equal(count_bytes(peer, 'L'), PIECE);
        assert_int_equal(bad_commands(), 0);
        vm_finish();
    }
}

/* What a VM thinks better of while it waits, and lets go at once or when it hears of the end. */
static void a_message_that_waits_may_be_cancelled(void **state)
{
    (void)state;
    for (int at_once = 0; at_once < 2; at_once++) {
        begin_small();
        struct carom_peer *peer;
        uint32_t index = ask_stalled(&peer);
        write_message(index, 200, 0, PIECE, 'X');
        command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
        write_message(index, 0, 0, PIECE, 'Y');
        command(index, CAROM_FLAG_DATA);
        assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
        command(index, CAROM_FLAG_CANCEL | (at_once ? CAROM_FLAG_RELEASE : 0));
        assert_int_equal(flags_of(index), 0);
        assert_int_equal(bad_commands(), 0);
        assert_true(carom_peer_saw_reset(peer));
        assert_int_equal(news_of(index), at_once ? 0 : CAROM_NEWS_ENDED);
        if (!at_once)
            command(index, CAROM_FLAG_RELEASE);
        struct carom_peer *other;
        assert_int_equal(ask(&other, GET("/")), index);
        carom_peer_set_window(peer, SIZE_MAX);
        turn();
        assert_int_equal(news_of(index), 0);
        assert_int_equal(bad_commands(), 0);
        vm_finish();
    }
}

/* What is added to a message in the way that the header says. */
static void add(uint32_t index, uint32_t flag)
{
    uint32_t before = flags_of(index);
    slot_words(index)[CAROM_SLOT_FLAGS] |= flag;
    if (before == 0 ||
        (before & (CAROM_FLAG_WAITS | CAROM_FLAG_FETCH | CAROM_FLAG_CANCEL)) == CAROM_FLAG_WAITS)
        put_command(index);
}

/* A tunnel whose client takes nothing, and whose next message waits or, `now`, is not taken yet. */
static uint32_t stalled_tunnel(struct carom_peer **peer, bool now)
{
    uint32_t index =
        ask(peer, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    carom_peer_set_window(*peer, 0);
    write_message(index, 101, 0, 0, 0);
    memcpy(slot_out(index), LENGTHS("\7", "\1") "upgradex", 12);
    slot_words(index)[CAROM_SLOT_FIELDS_LENGTH] = 12;
    command(index, CAROM_FLAG_UPGRADE);
    assert_int_equal(news_of(index), 0);
    write_message(index, 0, 0, PIECE, 'X');
    command(index, CAROM_FLAG_DATA);
    assert_int_equal(flags_of(index), 0);
    write_message(index, 0, 0, PIECE, 'Y');
    slot_words(index)[CAROM_SLOT_FLAGS] = CAROM_FLAG_DATA;
    put_command(index);
    if (now)
        return index;
    turn();
    assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
    return index;
}

static void what_a_client_sends_is_fetched_while_a_message_waits(void **state)
{
    (void)state;
    for (int now = 0; now < 2; now++) {
        begin_small();
        struct carom_peer *peer;
        uint32_t index = stalled_tunnel(&peer, now != 0);
        for (int i = 0; i < 3; i++) {
            add(index, CAROM_FLAG_FETCH);
            if (i == 1)
                turn(); /* nothing has come then */
            assert_int_equal(news_of(index), 0);
            say(peer, "ping");
            turn();
            assert_int_equal(news_of(index), CAROM_NEWS_CONTENT);
            assert_int_equal(slot_words(index)[CAROM_SLOT_PIECE_LENGTH], 4);
            give_page(slot_words(index)[CAROM_SLOT_PIECE_PAGE]);
            assert_int_equal(flags_of(index), CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
        }
        carom_peer_set_window(peer, SIZE_MAX);
        turn();
        assert_int_equal(flags_of(index), 0);
        assert_int_equal(count_bytes(peer, 'Y'), PIECE);
        assert_int_equal(bad_commands(), 0);
        command(index, CAROM_FLAG_RELEASE);
        vm_finish();
    }
}

/* Both at once put the slot into the queue once. */
static void a_message_that_waits_is_cancelled_by_what_is_added(void **state)
{
    (void)state;
    for (int now = 0; now < 2; now++) {
        begin_small();
        struct carom_peer *peer;
        uint32_t index = stalled_tunnel(&peer, now != 0);
        uint32_t tail = vm.command_tail;
        add(index, CAROM_FLAG_FETCH);
        add(index, CAROM_FLAG_CANCEL);
        assert_int_equal(vm.command_tail - tail, now ? 0 : 1);
        turn();
        assert_int_equal(flags_of(index), 0);
        assert_int_equal(news_of(index) & ~CAROM_NEWS_CONTENT_LOST, CAROM_NEWS_ENDED);
        assert_true(carom_peer_saw_close(peer));
        assert_int_equal(bad_commands(), 0);
        command(index, CAROM_FLAG_RELEASE);
        vm_finish();
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(content_waits_and_goes_on_by_itself),
        cmocka_unit_test(a_head_that_is_done_is_not_done_again),
        cmocka_unit_test(the_end_waits_with_its_content),
        cmocka_unit_test(a_loan_waits_and_comes_back_when_its_client_leaves),
        cmocka_unit_test(a_message_that_waits_may_be_cancelled),
        cmocka_unit_test(what_a_client_sends_is_fetched_while_a_message_waits),
        cmocka_unit_test(a_message_that_waits_is_cancelled_by_what_is_added),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
