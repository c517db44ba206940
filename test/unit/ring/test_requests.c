/* What the VM reads of a request: the words and bytes of its slot and of its pages, and when a slot
 * or a page is its own. */
#include "unit/http/h2_client.h"
#include "unit/ring/vm.h"

#define SLOTS   8
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define END     (CAROM_FLAG_HEAD | CAROM_FLAG_END | CAROM_FLAG_RELEASE)

static struct carom_peer *peer;

static uint32_t ask_text(const char *text)
{
    return ask(&peer, text);
}

static void vm_begin(void)
{
    carom_options options = simulation_options();
    vm_begin_with(&options, SLOTS);
}

static void finish_slot(uint32_t index)
{
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 204;
    command(index, END);
}

static const uint8_t *page_of(uint32_t page)
{
    return (const uint8_t *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
           (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

/* The head's bytes, behind its table, and an entry of that. */
static const char *head_of(uint32_t index, uint32_t field, uint16_t entry[4])
{
    const uint32_t *words = slot_words(index);
    const uint8_t *table = words[CAROM_SLOT_HEAD_PAGE] == 0 ? (const uint8_t *)words + CAROM_SLOT_IN
                                                            : page_of(words[CAROM_SLOT_HEAD_PAGE]);
    memcpy(entry, table + (size_t)field * 8, 8);
    return (const char *)table + (size_t)words[CAROM_SLOT_FIELD_COUNT] * 8;
}

static void a_head_is_told_by_places_from_its_method_on(void **state)
{
    (void)state;
    static const char *const before[] = {"", "\r\n", "\r\n\r\n"};
    vm_begin();
    for (size_t i = 0; i < COUNT(before); i++) {
        char text[128];
        uint16_t entry[4];
        snprintf(text, sizeof text, "%sPUT /place HTTP/1.1\r\nHost: abc\r\nX-Y:z\r\n\r\n",
                 before[i]);
        uint32_t index = ask_text(text);
        const uint32_t *words = slot_words(index);
        const char *head = head_of(index, 0, entry);
        assert_int_equal(words[CAROM_SLOT_METHOD_LENGTH], 3);
        assert_memory_equal(head, "PUT", 3);
        assert_int_equal(words[CAROM_SLOT_TARGET], 4);
        assert_int_equal(words[CAROM_SLOT_TARGET_LENGTH], 6);
        assert_memory_equal(head + 4, "/place", 6);
        assert_int_equal(words[CAROM_SLOT_VERSION], 11);
        assert_int_equal(words[CAROM_SLOT_FIELD_COUNT], 2);
        assert_memory_equal(head + entry[0], "Host", entry[1]);
        assert_memory_equal(head + entry[2], "abc", entry[3]);
        assert_int_equal(entry[1] * 8 + entry[3], 4 * 8 + 3);
        head = head_of(index, 1, entry);
        assert_memory_equal(head + entry[0], "X-Y", entry[1]);
        assert_memory_equal(head + entry[2], "z", entry[3]);
        assert_int_equal(words[CAROM_SLOT_HEAD_LENGTH], entry[2] + entry[3]);
        assert_int_equal(words[CAROM_SLOT_LENGTH_LOW] | words[CAROM_SLOT_LENGTH_HIGH], 0);
        assert_int_equal(words[CAROM_SLOT_CONTENT_HERE] | words[CAROM_SLOT_PIECE_PAGE], 0);
        assert_int_equal(words[CAROM_SLOT_PEER] & 0xffff, CAROM_IPV4);
        assert_int_equal(words[CAROM_SLOT_PEER] >> 16, i + 1); /* the ports of the simulation */
        assert_memory_equal(&words[CAROM_SLOT_ADDRESS], "\177\0\0\1", 4);
        finish_slot(index);
    }
    vm_finish();
}

/* Told with every request; on the simulated network all are local to the listener's address. */
static void the_local_address_is_told(void **state)
{
    (void)state;
    vm_begin();
    carom_address listener;
    assert_int_equal(carom_service_listener(sim.service, 0, &listener), 0);
    for (int i = 0; i < 2; i++) {
        const uint32_t *words = slot_words(ask_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_int_equal(words[CAROM_SLOT_LOCAL] & 0xffff, CAROM_IPV4);
        assert_int_equal(words[CAROM_SLOT_LOCAL] >> 16, listener.port);
        assert_memory_equal(&words[CAROM_SLOT_LOCAL + 1], "\177\0\0\1", 4);
    }
    vm_finish();
}

static void assert_protocol(uint32_t index, const char *protocol)
{
    uint16_t entry[4];
    uint32_t place = slot_words(index)[CAROM_SLOT_PROTOCOL];
    assert_int_equal(place >> 16, strlen(protocol));
    assert_memory_equal(head_of(index, 0, entry) + (place & 0xffff), protocol, strlen(protocol));
}

static void what_the_client_would_speak_is_told(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask_text("\r\nGET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo/1\r\n"
                              "Connection: upgrade\r\n\r\n");
    assert_protocol(index, "echo/1");
    assert_int_equal(slot_words(index)[CAROM_SLOT_VERSION], 11 + 256);
    /* Upgrade alone is a field like others. */
    index = ask_text("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo/1\r\n\r\n");
    assert_int_equal(slot_words(index)[CAROM_SLOT_PROTOCOL], 0);
    index = ask_text("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    assert_int_equal(slot_words(index)[CAROM_SLOT_PROTOCOL], 0);
    vm_finish();
}

/* NOLINTBEGIN(readability-non-const-parameter): the type is nghttp2's */
static ssize_t send_nothing(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *data)
{
    (void)session, (void)id, (void)to, (void)room, (void)flags, (void)source, (void)data;
    return NGHTTP2_ERR_DEFERRED;
}
/* NOLINTEND(readability-non-const-parameter) */

static uint32_t extended_connect(struct client *client)
{
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":protocol", "websocket"),
                                NV(":scheme", "http"), NV(":path", "/chat"), NV(":authority", "a")};
    const nghttp2_data_provider open = {.read_callback = send_nothing};
    client_begin(client, 0, false);
    converse(client);
    client->replies[client->count++].id =
        nghttp2_submit_request(client->session, NULL, pairs, 5, &open, NULL);
    converse(client);
    return new_request();
}

static void an_extended_connect_tells_its_protocol(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    options.h2_connect_protocol = true;
    vm_begin_with(&options, SLOTS);
    uint32_t index = extended_connect(&client);
    assert_int_not_equal(index, vm.slot_count);
    assert_int_equal(slot_words(index)[CAROM_SLOT_VERSION], 20);
    assert_protocol(index, "websocket");
    memset(slot_words(index) + CAROM_SLOT_STATUS, 0, 8 * sizeof(uint32_t));
    slot_words(index)[CAROM_SLOT_STATUS] = 200;
    command(index, CAROM_FLAG_UPGRADE);
    assert_int_equal(news_of(index), 0);
    converse(&client);
    assert_int_equal(reply_of(&client, 1)->status, 200);
    assert_false(reply_of(&client, 1)->ended);
    command(index, CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    client_end(&client);
    vm_finish();
}

static void lengths_are_of_64_bits(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_content = UINT64_MAX;
    vm_begin_with(&options, SLOTS);
    uint32_t index = ask_text("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967298\r\n\r\n");
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_LOW], 2);
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_HIGH], 1);
    index = ask_text(CHUNKED);
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_LOW], UINT32_MAX);
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_HIGH], UINT32_MAX);
    vm_finish();
}

/* Content that has come whole lies behind its head, up to the last byte of the area. */
static void content_goes_with_the_head_where_it_fits(void **state)
{
    (void)state;
    vm_begin();
    uint16_t entry[4];
    /* Table and head of a request whose length has four digits. */
    const uint32_t used =
        2 * 8 + (uint32_t)strlen("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000");
    const uint32_t room = CAROM_SLOT_OUT - CAROM_SLOT_IN - used;
    for (uint32_t length = room - 1; length <= room + 1; length++) {
        char text[4096];
        int head = snprintf(text, sizeof text,
                            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n", length);
        memset(text + head, 'c', length);
        text[(size_t)head + length] = '\0';
        slot_out(0)[0] = 'o';
        uint32_t index = ask_text(text);
        const uint32_t *words = slot_words(index);
        assert_int_equal(index, 0);
        assert_int_equal(words[CAROM_SLOT_CONTENT_HERE], length <= room ? length : 0);
        assert_int_equal(slot_out(0)[0], 'o');
        if (length <= room) {
            const char *content = head_of(index, 0, entry) + words[CAROM_SLOT_HEAD_LENGTH];
            assert_memory_equal(content, text + head, length);
        } else {
            command(index, CAROM_FLAG_READ);
            assert_int_equal(news_of(index) & CAROM_NEWS_CONTENT, CAROM_NEWS_CONTENT);
            assert_int_equal(words[CAROM_SLOT_PIECE_LENGTH], length);
            assert_memory_equal(page_of(words[CAROM_SLOT_PIECE_PAGE]), text + head, length);
        }
        finish_slot(index);
    }
    vm_finish();
}

/* Trailers are told with the end of the content, so that is not told before. */
static void content_with_trailers_is_read(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask_text(CHUNKED "3\r\nabc\r\n0\r\nX-T: uv\r\n\r\n");
    const uint32_t *words = slot_words(index);
    assert_int_equal(words[CAROM_SLOT_CONTENT_HERE], 0);
    command(index, CAROM_FLAG_READ);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_int_equal(words[CAROM_SLOT_PIECE_LENGTH], 3);
    assert_int_equal(words[CAROM_SLOT_TRAILERS_LENGTH], 4 + 3 + 2);
    assert_memory_equal(page_of(words[CAROM_SLOT_PIECE_PAGE]), "abc" LENGTHS("\3", "\2") "X-Tuv",
                        3 + 9);
    finish_slot(index);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_head_is_told_by_places_from_its_method_on),
        cmocka_unit_test(the_local_address_is_told),
        cmocka_unit_test(what_the_client_would_speak_is_told),
        cmocka_unit_test(an_extended_connect_tells_its_protocol),
        cmocka_unit_test(lengths_are_of_64_bits),
        cmocka_unit_test(content_goes_with_the_head_where_it_fits),
        cmocka_unit_test(content_with_trailers_is_read),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
