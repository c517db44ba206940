/* Bytes that were lent are given back in the midst of something else, and their owner does what it
 * likes then: sends on, ends its socket or another, leaves a topic. */
#include "unit/websocket/sockets.h"

static const carom_slice red = CAROM_SLICE("red");
static char large[1000];

/* What an owner does, and how often it was called. */
static struct {
    void (*act)(void);
    bool acts;
    int times;
    int result; /* of what it did last */
} owner;

static void given_back(void *data)
{
    (void)data;
    owner.times++;
    if (!owner.acts) {
        owner.acts = true; /* what is refused is given back, too */
        owner.act();
        owner.acts = false;
    }
}

static int lend(carom_websocket *socket, size_t length)
{
    const carom_content content = {.data = large, .length = length, .give_back = given_back};
    return carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &content);
}

static void begin_owner(void (*act)(void))
{
    begin_sockets();
    memset(large, 'x', sizeof large);
    owner.act = act;
    owner.acts = false;
    owner.times = 0;
    owner.result = 1;
}

/* ---------------------------------------------------------------- publishing */

static void leave_the_others(void)
{
    carom_websocket_unsubscribe(program.sockets[1], red);
    carom_websocket_abort(program.sockets[2]);
}

/* The first takes nothing, and what was lent to it waits. */
static void subscribe_four(struct socket_client clients[4])
{
    for (int i = 0; i < 4; i++) {
        clients[i] = open_client();
        assert_int_equal(carom_websocket_subscribe(program.sockets[i], red), 0);
    }
    carom_peer_set_window(clients[0].peer, 0);
    assert_int_equal(lend(program.sockets[0], sizeof large), 0);
}

/* Who is too slow is cut off by what is published; the owner of what waited for it takes the next
 * subscribers away. */
static void subscribers_leave_while_it_is_published(void **state)
{
    (void)state;
    begin_owner(leave_the_others);
    program.options.write_limit = sizeof large + 100;
    program.options.close_at_limit = true;
    struct socket_client clients[4];
    subscribe_four(clients);
    turn();
    const carom_content content = {.data = large, .length = 200};
    assert_int_equal(carom_publish(&sim.service->workers[0], red, CAROM_WEBSOCKET_BINARY, &content),
                     0);
    assert_int_equal(owner.times, 0); /* not in the midst of it */
    assert_int_equal(carom_subscribers(sim.service, red), 4);
    turn();
    assert_int_equal(owner.times, 1);
    assert_int_equal(carom_subscribers(sim.service, red), 1);
    assert_string_equal(noted(), "close:1006- close:1006-");
    assert_string_equal(frames(&clients[1]), "b:#200");
    assert_string_equal(frames(&clients[3]), "b:#200");
    finish_sockets();
}

/* Without memory for its segment a subscriber is over; others are not. */
static void a_publication_without_memory_ends_who_misses_it(void **state)
{
    (void)state;
    begin_owner(leave_the_others);
    struct socket_client clients[4];
    subscribe_four(clients);
    const carom_content content = {.data = large, .length = 200};
    carom_worker *worker = &sim.service->workers[0];
    assert_int_equal(carom_publish(worker, red, CAROM_WEBSOCKET_BINARY, &content), 0);
    turn();
    struct carom_pool *segments = &worker->connections.records.segments;
    segments->floor = 0;
    while (segments->free_count > 0)
        carom_pool_tick(segments);
    carom_memory_fail_after(0);
    int error = carom_publish(worker, red, CAROM_WEBSOCKET_BINARY, &content);
    carom_memory_fail_after(UINT64_MAX);
    assert_int_equal(error, -CAROM_ENOMEM);
    assert_int_equal(program.count, 4);
    turn();
    assert_string_equal(noted(), "close:1006- close:1006- close:1006-"); /* the first had one */
    assert_int_equal(program.count, 1);
    owner.acts = true; /* those whom it would take away have ended */
    finish_sockets();
}

/* ---------------------------------------------------------------- sending on */

static void send_on(void)
{
    assert_true(owner.times < 100); /* else it would be given back for ever */
    owner.result = lend(program.sockets[0], sizeof large);
}

enum ending {
    ABORT,
    CLIENT_RESETS,
    CLIENT_ENDS,
    CLIENT_CLOSES,
    CLIENT_IS_WRONG,
    OVER_LIMIT,
    ENDINGS
};

static void end_it(struct socket_client *client, enum ending ending)
{
    switch (ending) {
    case ABORT:
        carom_websocket_abort(program.sockets[0]);
        break;
    case CLIENT_RESETS:
        carom_peer_reset(client->peer);
        break;
    case CLIENT_ENDS:
        carom_peer_shutdown(client->peer);
        break;
    case CLIENT_CLOSES:
        send_close_code(client, 1000, "");
        break;
    case CLIENT_IS_WRONG:
        send_frame_of(client, FIN | 3, "", 0);
        break;
    default:
        assert_int_equal(lend(program.sockets[0], 900), -CAROM_ETOOBIG);
    }
}

/* However a socket ends: nothing goes behind that, and the owner is told so. */
static void nothing_is_sent_behind_the_end(void **state)
{
    (void)state;
    for (int ending = 0; ending < ENDINGS; ending++) {
        begin_owner(send_on);
        program.options.close_at_limit = true;
        program.options.write_limit = 1500;
        struct socket_client client = open_client();
        carom_peer_set_window(client.peer, 0);
        assert_int_equal(lend(program.sockets[0], sizeof large), 0);
        turn();
        carom_peer_set_window(client.peer, ending >= CLIENT_ENDS && ending < OVER_LIMIT ? 5000 : 0);
        end_it(&client, (enum ending)ending);
        turn();
        assert_int_equal(owner.result, -CAROM_ECANCELED);
        assert_int_equal(program.count, 0);
        noted();
        finish_sockets();
    }
}

static void abort_it(void)
{
    if (program.count > 0)
        carom_websocket_abort(program.sockets[0]);
}

/* The first of what leaves at once is given back, and its owner ends the socket: what is behind it
 * goes back, too, and is not looked for in the queue. */
static void who_is_given_back_the_first_ends_it(void **state)
{
    (void)state;
    begin_owner(abort_it);
    struct socket_client client = open_client();
    for (int i = 0; i < 3; i++)
        assert_int_equal(lend(program.sockets[0], sizeof large), 0);
    turn();
    assert_int_equal(owner.times, 3);
    assert_string_equal(noted(), "close:1006-");
    (void)client;
    finish_sockets();
}

/* ---------------------------------------------------------------- its beginning */

static void send_once_more(void)
{
    if (owner.times < 3)
        owner.result = lend(program.sockets[0], sizeof large);
}

static void lend_at_once(carom_websocket *socket)
{
    program.sockets[program.count++] = socket;
    assert_int_equal(lend(socket, sizeof large), 0);
}

/* Its first message leaves with the 101, and what is sent when that is given back follows, though
 * the connection is only now the socket's. */
static void what_is_sent_while_it_begins_comes(void **state)
{
    (void)state;
    begin_owner(send_once_more);
    carom_websocket_handlers first = handlers;
    first.open = lend_at_once;
    program.options.handlers = &first;
    struct socket_client client = open_with(HANDSHAKE("/", ""));
    turn();
    assert_int_equal(owner.times, 3);
    assert_string_equal(frames(&client), "b:#1000 b:#1000 b:#1000");
    carom_websocket_abort(program.sockets[0]);
    turn();
    noted();
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribers_leave_while_it_is_published),
        cmocka_unit_test(a_publication_without_memory_ends_who_misses_it),
        cmocka_unit_test(nothing_is_sent_behind_the_end),
        cmocka_unit_test(who_is_given_back_the_first_ends_it),
        cmocka_unit_test(what_is_sent_while_it_begins_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
