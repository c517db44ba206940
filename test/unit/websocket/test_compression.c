/* Sockets with permessage-deflate: what is compressed, what is not, and what that is said to have
 * saved. */
#include "unit/websocket/sockets.h"

#include <zlib.h>

#define OFFER         "Sec-WebSocket-Extensions: permessage-deflate\r\n"
#define OFFER_OF_OURS "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"

static uint8_t level; /* 1, which is ISA-L's where that is there, or 2, which is zlib's */

static carom_websocket *open_compressing(struct socket_client *client,
                                         carom_websocket_deflate deflate)
{
    const carom_options options = sockets_options();
    program.options.deflate = deflate;
    program.options.deflate_level = level;
    begin(&options);
    *client = open_with(HANDSHAKE("/", OFFER));
    assert_got(client->peer, "Sec-WebSocket-Extensions: permessage-deflate");
    noted();
    assert_true(carom_websocket_is_compressed(program.sockets[0]));
    return program.sockets[0];
}

static int send_bytes(carom_websocket *socket, const void *data, size_t length)
{
    const carom_content content = {.data = data, .length = length};
    return carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &content);
}

/* Bytes of which nothing can be left out. */
static void make_noise(uint8_t *bytes, size_t length)
{
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
}

static void what_is_saved_is_counted(void **state)
{
    (void)state;
    static const carom_websocket_deflate ways[] = {CAROM_WEBSOCKET_DEFLATE_SHARED,
                                                   CAROM_WEBSOCKET_DEFLATE_OWN};
    for (int i = 0; i < 2; i++) {
        struct socket_client client;
        carom_websocket *socket = open_compressing(&client, ways[i]);
        uint8_t bytes[1000];
        make_noise(bytes, sizeof bytes);
        assert_int_equal(send_bytes(socket, bytes, sizeof bytes), 0);
        turn();
        assert_int_equal(stats_now().websocket_bytes_saved, 0); /* not less than nothing */
        memset(bytes, 'x', sizeof bytes);
        assert_int_equal(send_bytes(socket, bytes, sizeof bytes), 0);
        turn();
        carom_stats stats = finish_sockets();
        assert_int_equal(stats.websocket_bytes_sent, 2000);
        assert_in_range(stats.websocket_bytes_saved, 900, 999);
        noted();
    }
}

static void what_is_short_is_sent_as_it_is(void **state)
{
    (void)state;
    struct socket_client client;
    carom_websocket *socket = open_compressing(&client, CAROM_WEBSOCKET_DEFLATE_SHARED);
    char text[65];
    memset(text, 'x', sizeof text);
    text[64] = '\0';
    assert_int_equal(send_words(socket, text), 0);
    text[40] = '\0';
    assert_int_equal(send_words(socket, text), 0);
    turn();
    const char *came = frames(&client);
    assert_int_equal(strncmp(came, "zt:#", 4), 0);
    assert_non_null(strstr(came, " t:xxxx"));
    finish_sockets();
}

static void what_is_plain_is_sent_as_it_is(void **state)
{
    (void)state;
    static const carom_slice topic = CAROM_SLICE("t");
    struct socket_client client;
    carom_websocket *socket = open_compressing(&client, CAROM_WEBSOCKET_DEFLATE_OWN);
    carom_worker *worker = &sim.service->workers[0];
    char text[501];
    memset(text, 'x', 500);
    text[500] = '\0';
    const carom_content content = {.data = text, .length = 500};
    unsigned plain = CAROM_WEBSOCKET_TEXT | CAROM_WEBSOCKET_PLAIN;
    assert_int_equal(carom_websocket_subscribe(socket, topic), 0);
    assert_int_equal(carom_websocket_send(socket, (carom_websocket_kind)plain, &content), 0);
    assert_int_equal(carom_publish(worker, topic, (carom_websocket_kind)plain, &content), 0);
    assert_int_equal(
        carom_websocket_send_piece(socket, (carom_websocket_kind)plain, &content, false), 0);
    assert_int_equal(
        carom_websocket_send_piece(socket, (carom_websocket_kind)plain, &content, true), 0);
    turn();
    assert_string_equal(frames(&client), "t:#500 t:#500 t,#500 c:#500");
    assert_int_equal(stats_now().websocket_bytes_saved, 0);
    assert_int_equal(
        carom_websocket_send(socket, (carom_websocket_kind)CAROM_WEBSOCKET_PLAIN, &content),
        -CAROM_EINVAL);
    finish_sockets();
}

/* One that has agreed and one that has not: the same message, compressed once, and as it is. */
static void what_is_published_is_compressed_once(void **state)
{
    (void)state;
    static const carom_slice topic = CAROM_SLICE("t");
    struct socket_client clients[3];
    open_compressing(&clients[0], CAROM_WEBSOCKET_DEFLATE_SHARED);
    clients[1] = open_with(HANDSHAKE("/", OFFER_OF_OURS)); /* as much as all have */
    clients[2] = open_with(HANDSHAKE("/", ""));
    for (int i = 0; i < 3; i++)
        assert_int_equal(carom_websocket_subscribe(program.sockets[i], topic), 0);
    char text[501];
    memset(text, 'x', 500);
    text[500] = '\0';
    const carom_content content = {.data = text, .length = 500};
    assert_int_equal(carom_publish(&sim.service->workers[0], topic, CAROM_WEBSOCKET_TEXT, &content),
                     0);
    turn();
    char first[64];
    snprintf(first, sizeof first, "%s", frames(&clients[0]));
    assert_int_equal(strncmp(first, "zt:#", 4), 0);
    assert_string_equal(frames(&clients[1]), first);
    assert_string_equal(frames(&clients[2]), "t:#500");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websocket_bytes_sent, 1500);
    assert_in_range(stats.websocket_bytes_saved, 900, 999);
}

/* Inflate the next frame of a client as it would, with one window for all. */
static void assert_inflates(struct socket_client *client, z_stream *window, const char *text)
{
    static const uint8_t tail[] = {0, 0, 0xff, 0xff};
    size_t length, start = client->taken;
    const uint8_t *bytes = (const uint8_t *)carom_peer_received(client->peer, &length);
    assert_true(length >= start + 2 && (bytes[start] & 0x40) != 0);
    size_t head = bytes[start + 1] < 126 ? 2 : 4;
    size_t size = head == 2 ? bytes[start + 1] : (size_t)bytes[start + 2] << 8 | bytes[start + 3];
    uint8_t frame[1024], message[1024];
    assert_true(length >= start + head + size && size + sizeof tail <= sizeof frame);
    memcpy(frame, bytes + start + head, size);
    memcpy(frame + size, tail, sizeof tail);
    window->next_in = frame;
    window->avail_in = (uInt)(size + sizeof tail);
    window->next_out = message;
    window->avail_out = sizeof message;
    assert_int_equal(inflate(window, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(sizeof message - window->avail_out, strlen(text));
    assert_memory_equal(message, text, strlen(text));
    client->taken += head + size;
}

/* What is published is compressed by itself, and moves the window of a client that keeps one. */
static void what_follows_a_publication_can_be_inflated(void **state)
{
    (void)state;
    static const carom_slice topic = CAROM_SLICE("t");
    static const char words[] = "neither rain nor snow nor heat nor gloom of night stays these "
                                "couriers from the swift completion of their rounds";
    struct socket_client client;
    carom_websocket *socket = open_compressing(&client, CAROM_WEBSOCKET_DEFLATE_OWN);
    z_stream window = {0};
    assert_int_equal(inflateInit2(&window, -15), Z_OK);
    char other[301];
    for (int i = 0; i < 300; i++)
        other[i] = (char)('a' + i % 17);
    other[300] = '\0';
    const carom_content content = {.data = other, .length = 300};
    assert_int_equal(carom_websocket_subscribe(socket, topic), 0);
    assert_int_equal(send_words(socket, words), 0);
    assert_int_equal(carom_publish(&sim.service->workers[0], topic, CAROM_WEBSOCKET_TEXT, &content),
                     0);
    assert_int_equal(send_words(socket, words), 0);
    turn();
    assert_inflates(&client, &window, words);
    assert_inflates(&client, &window, other);
    assert_inflates(&client, &window, words);
    inflateEnd(&window);
    finish_sockets();
}

/* A compressed message of `length` bytes that are only stored (RFC 1951, 3.2.4): six more. */
static size_t store(uint8_t *to, size_t length)
{
    const uint8_t head[] = {0, (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)~length,
                            (uint8_t)(~length >> 8)};
    memcpy(to, head, sizeof head);
    make_noise(to + sizeof head, length);
    to[sizeof head + length] = 0;
    return length + 6;
}

/* max_message is of what a message stands for; what cannot be compressed is longer as it comes. */
static void what_cannot_be_compressed_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    enum { COMPRESSED = 0x40 };
    const carom_options options = sockets_options();
    program.options.deflate = CAROM_WEBSOCKET_DEFLATE_SHARED;
    program.options.max_message = 1000;
    begin(&options);
    struct socket_client client = open_with(HANDSHAKE("/", OFFER));
    noted();
    uint8_t bytes[4000];
    size_t size = store(bytes, 1000);
    send_frame_of(&client, FIN | COMPRESSED | BINARY, bytes, size);
    assert_string_equal(noted(), "b#1000");
    send_frame_of(&client, COMPRESSED | BINARY, bytes, 500);
    send_frame_of(&client, FIN, bytes + 500, size - 500);
    assert_string_equal(noted(), "b#1000");
    struct socket_client longer = open_with(HANDSHAKE("/", OFFER));
    size = store(bytes, 1001);
    send_frame_of(&longer, FIN | COMPRESSED | BINARY, bytes, size);
    assert_string_equal(frames(&longer), "close:1009");
    struct socket_client endless = open_with(HANDSHAKE("/", OFFER));
    send_frame_of(&endless, COMPRESSED | BINARY, bytes, 1000);
    send_frame_of(&endless, 0, bytes, 1000); /* it is not gathered until its end */
    assert_string_equal(frames(&endless), "close:1009");
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_counted),
        cmocka_unit_test(what_is_short_is_sent_as_it_is),
        cmocka_unit_test(what_is_plain_is_sent_as_it_is),
        cmocka_unit_test(what_is_published_is_compressed_once),
        cmocka_unit_test(what_follows_a_publication_can_be_inflated),
        cmocka_unit_test(what_cannot_be_compressed_may_be_as_long_as_the_limit),
    };
    int failed = 0;
    for (level = 1; level <= 2; level++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
