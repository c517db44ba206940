/* Topics: who gets what is published, in which order, and who does not. */
#include "unit/websocket/sockets.h"

static const carom_slice red = CAROM_SLICE("red"), blue = CAROM_SLICE("blue");

static int publish(carom_websocket *socket, carom_slice topic, const char *text)
{
    const carom_content content = {.data = text, .length = strlen(text)};
    return carom_websocket_publish(socket, topic, CAROM_WEBSOCKET_TEXT, &content);
}

static int publish_to_all(carom_slice topic, const char *text)
{
    const carom_content content = {.data = text, .length = strlen(text)};
    return carom_publish(&sim.service->workers[0], topic, CAROM_WEBSOCKET_TEXT, &content);
}

static void subscribers_get_it_in_order(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client a = open_client(), b = open_client(), c = open_client();
    carom_websocket *const *sockets = program.sockets;
    assert_int_equal(carom_websocket_subscribe(sockets[0], red), 0);
    assert_int_equal(carom_websocket_subscribe(sockets[0], red), 0);
    assert_int_equal(carom_websocket_subscribe(sockets[1], red), 0);
    assert_int_equal(carom_websocket_subscribe(sockets[1], blue), 0);
    assert_int_equal(carom_subscribers(sim.service, red), 2);
    assert_int_equal(carom_subscribers(sim.service, blue), 1);
    assert_int_equal(carom_subscribers(sim.service, (carom_slice)CAROM_SLICE("none")), 0);
    send_words(sockets[1], "before");
    assert_int_equal(publish(sockets[0], red, "one"), 0);
    send_words(sockets[1], "between");
    assert_int_equal(publish_to_all(red, "two"), 0);
    assert_int_equal(publish(sockets[2], blue, "three"), 0);
    turn();
    assert_string_equal(frames(&a), "t:two");
    assert_string_equal(frames(&b), "t:before t:one t:between t:two t:three");
    assert_string_equal(frames(&c), "");
    assert_true(carom_websocket_is_subscribed(sockets[1], blue));
    assert_int_equal(carom_websocket_unsubscribe(sockets[1], blue), 1);
    assert_int_equal(carom_websocket_unsubscribe(sockets[1], blue), 0);
    assert_false(carom_websocket_is_subscribed(sockets[1], blue));
    assert_int_equal(carom_subscribers(sim.service, blue), 0);
    publish_to_all(blue, "nobody");
    turn();
    assert_string_equal(frames(&b), "");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websocket_messages_sent, 6);
}

/* Whatever is sent to others between: so a message more costs a subscriber a few bytes and no
 * segment. */
static void what_is_published_in_a_turn_is_one_segment(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client a = open_client(), b = open_client();
    const struct carom_pool *segments = &sim.service->workers[0].connections.records.segments;
    assert_int_equal(carom_websocket_subscribe(program.sockets[1], red), 0);
    turn();
    uint32_t before = segments->in_use;
    for (int i = 0; i < 16; i++) {
        assert_int_equal(publish(program.sockets[0], red, "all"), 0);
        send_words(program.sockets[0], "one");
    }
    assert_int_equal(segments->in_use - before, 2);
    turn();
    assert_int_equal(strlen(frames(&a)), strlen(frames(&b)));
    finish_sockets();
}

static void who_leaves_leaves_its_topics(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client a = open_client(), b = open_client();
    carom_websocket_subscribe(program.sockets[0], red);
    carom_websocket_subscribe(program.sockets[0], blue);
    carom_websocket_subscribe(program.sockets[1], red);
    carom_peer_shutdown(a.peer);
    turn();
    assert_int_equal(carom_subscribers(sim.service, red), 1);
    assert_int_equal(carom_subscribers(sim.service, blue), 0);
    publish_to_all(red, "on");
    turn();
    assert_string_equal(frames(&b), "t:on");
    noted();
    finish_sockets();
}

/* Who reads too slowly misses messages, or is cut off, and holds up nobody. */
static void a_slow_subscriber_holds_up_nobody(void **state)
{
    (void)state;
    for (int cut_off = 0; cut_off < 2; cut_off++) {
        begin_sockets();
        program.options.write_limit = 1000;
        program.options.close_at_limit = cut_off;
        struct socket_client slow = open_client(), other = open_client();
        carom_websocket_subscribe(program.sockets[0], red);
        carom_websocket_subscribe(program.sockets[1], red);
        carom_peer_set_window(slow.peer, 0);
        char text[101];
        memset(text, 'x', 100);
        text[100] = '\0';
        for (int i = 0; i < 30; i++) {
            assert_int_equal(publish_to_all(red, text), 0);
            turn();
            assert_string_equal(frames(&other), "t:#100");
        }
        assert_int_equal(program.count, 2 - cut_off);
        assert_int_equal(carom_subscribers(sim.service, red), 2u - (unsigned)cut_off);
        assert_string_equal(noted(), cut_off ? "close:1006-" : "");
        finish_sockets();
    }
}

/* All at the limit at once: the topic goes with its last subscriber, behind the publish. */
static void all_subscribers_may_end_by_a_publish(void **state)
{
    (void)state;
    begin_sockets();
    program.options.write_limit = 100;
    program.options.close_at_limit = true;
    struct socket_client clients[5];
    char text[91];
    memset(text, 'x', 90);
    text[90] = '\0';
    for (int i = 0; i < 5; i++) {
        clients[i] = open_client();
        carom_peer_set_window(clients[i].peer, 0);
        carom_websocket_subscribe(program.sockets[i], red);
    }
    publish_to_all(red, text);
    turn();
    publish_to_all(red, text);
    assert_int_equal(carom_subscribers(sim.service, red), 5);
    turn();
    assert_int_equal(carom_subscribers(sim.service, red), 0);
    assert_int_equal(program.count, 0);
    assert_int_equal(sim.service->workers[0].websockets.topics.count, 0);
    noted();
    finish_sockets();
}

static void many_topics_are_found(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    char name[32];
    for (int i = 0; i < 1000; i++) {
        int length = snprintf(name, sizeof name, "topic/%d", i);
        assert_int_equal(carom_websocket_subscribe(socket, (carom_slice){name, (size_t)length}), 0);
    }
    publish_to_all((carom_slice)CAROM_SLICE("topic/777"), "found");
    publish_to_all((carom_slice)CAROM_SLICE("topic/1000"), "not");
    turn();
    assert_string_equal(frames(&client), "t:found");
    finish_sockets();
}

/* Frames of two messages must not be mixed (RFC 6455, 5.4). */
static void who_is_sent_pieces_is_left_out(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client a = open_client(), b = open_client();
    const carom_content piece = {.data = "a", .length = 1};
    carom_websocket_subscribe(program.sockets[0], red);
    carom_websocket_subscribe(program.sockets[1], red);
    carom_websocket_send_piece(program.sockets[0], CAROM_WEBSOCKET_TEXT, &piece, false);
    publish_to_all(red, "missed");
    carom_websocket_send_piece(program.sockets[0], CAROM_WEBSOCKET_TEXT, &piece, true);
    publish_to_all(red, "heard");
    turn();
    assert_string_equal(frames(&a), "t,a c:a t:heard");
    assert_string_equal(frames(&b), "t:missed t:heard");
    finish_sockets();
}

static void names_and_contents_are_checked(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    char name[300];
    memset(name, 'n', sizeof name);
    assert_int_equal(carom_websocket_subscribe(socket, (carom_slice){name, 256}), -CAROM_EINVAL);
    assert_int_equal(carom_websocket_subscribe(socket, (carom_slice){name, 255}), 0);
    assert_int_equal(publish_to_all((carom_slice){name, 256}, "long"), -CAROM_EINVAL);
    assert_int_equal(publish_to_all((carom_slice){name, 255}, "longest"), 0);
    turn();
    assert_string_equal(frames(&client), "t:longest");
    assert_int_equal(carom_subscribers(sim.service, (carom_slice){name, 255}), 1);
    assert_int_equal(carom_subscribers(sim.service, (carom_slice){name, 256}), 0);
    assert_int_equal(carom_subscribers(sim.service, (carom_slice){NULL, 3}), 0);
    assert_int_equal(carom_websocket_subscribe(socket, (carom_slice){NULL, 0}), -CAROM_EINVAL);
    assert_int_equal(carom_websocket_publish(socket, red, CAROM_WEBSOCKET_TEXT, NULL),
                     -CAROM_EINVAL);
    assert_int_equal(publish(NULL, red, "x"), -CAROM_EINVAL);
    carom_websocket_abort(socket);
    assert_int_equal(carom_websocket_subscribe(socket, red), -CAROM_ECANCELED);
    turn();
    noted();
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribers_get_it_in_order),
        cmocka_unit_test(what_is_published_in_a_turn_is_one_segment),
        cmocka_unit_test(who_leaves_leaves_its_topics),
        cmocka_unit_test(a_slow_subscriber_holds_up_nobody),
        cmocka_unit_test(all_subscribers_may_end_by_a_publish),
        cmocka_unit_test(many_topics_are_found),
        cmocka_unit_test(who_is_sent_pieces_is_left_out),
        cmocka_unit_test(names_and_contents_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
