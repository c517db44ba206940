/* Each allocation of a conversation fails, alone or with all that follow it: sockets end with 1006
 * or go on, the program is told of each end once, and nothing stays allocated. */
#include "unit/websocket/sockets.h"

static void (*const failures[])(uint64_t count) = {
    carom_memory_fail_once_after,
    carom_memory_fail_after,
};

static int echo(carom_websocket *socket, carom_websocket_kind kind, const void *data, size_t length)
{
    static const carom_slice topic = CAROM_SLICE("all");
    const carom_content content = {.data = data, .length = length};
    carom_websocket_subscribe(socket, topic);
    carom_websocket_publish(socket, topic, kind, &content);
    return carom_websocket_send(socket, kind, &content);
}

/* So that what is taken is allocated. */
static void empty_pools(void)
{
    struct carom_worker *worker = &sim.service->workers[0];
    struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(worker, i)) != NULL; i++) {
        pool->floor = 0;
        carom_pool_tick(pool);
        carom_pool_tick(pool);
    }
}

static void send_frames(struct carom_peer *peer, const char *text, size_t split)
{
    uint8_t frame[3000];
    size_t length = strlen(text);
    empty_pools();
    size_t size = make_frame(frame, split > 0 ? TEXT : FIN | TEXT, text, length, 7);
    if (split > 0)
        size += make_frame(frame + size, FIN, text, length, 9);
    carom_peer_send(peer, (const char *)frame, size);
    turn();
}

static void converse(struct carom_peer *peer)
{
    static char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    send_frames(peer, "hello", 0);
    send_frames(peer, "in two", 1);
    carom_peer_set_piece(peer, 50);
    send_frames(peer, long_text, 1);
    carom_peer_set_piece(peer, 100000);
    uint8_t frame[40];
    size_t size = make_frame(frame, FIN | CLOSE,
                             "\x03\xe8"
                             "bye",
                             5, 3);
    empty_pools();
    carom_peer_send(peer, (const char *)frame, size);
    turn();
}

/* Whether an allocation failed. */
static bool fail_one(uint64_t k, void (*fail_after)(uint64_t), bool deflate)
{
    uint64_t held = carom_memory_held(), failed_before = carom_memory_failed();
    const carom_options options = sockets_options();
    program.on_message = echo;
    if (deflate) {
        program.options.deflate = CAROM_WEBSOCKET_DEFLATE_OWN;
        program.options.deflate_threshold = 1;
    }
    begin(&options);
    struct carom_peer *neighbour = connect_peer(), *peer = connect_peer();
    say(neighbour, HANDSHAKE("/", ""));
    turn();
    send_frames(neighbour, "first", 0);
    empty_pools();
    fail_after(k);
    say(peer, HANDSHAKE("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    turn();
    converse(peer);
    carom_memory_fail_after(UINT64_MAX);
    bool failed = carom_memory_failed() > failed_before;
    turn();
    pass(200);
    /* Another is served as if nothing had been. */
    struct socket_client client = open_with(HANDSHAKE("/", ""));
    assert_got(client.peer, "HTTP/1.1 101 ");
    send_text(&client, "after");
    assert_string_equal(frames(&client), "t:after");
    int opened = count(noted(), "open");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websockets_accepted, opened);
    assert_true(opened >= 2);
    if (!failed)
        assert_int_equal(stats.websockets_closed[0], 1);
    assert_int_equal(carom_memory_held(), held);
    return failed;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    for (int deflate = 0; deflate < 2; deflate++)
        for (size_t f = 0; f < 2; f++) {
            unsigned faults = 0;
            for (uint64_t k = 0; fail_one(k, failures[f], deflate); k++)
                faults++;
            print_message("%u allocations failed\n", faults);
            assert_true(faults > 5);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
