/* Tunnels by themselves, with an owner that may take less than comes: over a connection of HTTP/1.1
 * and over a stream of HTTP/2 the same. */
#include "http/tunnel.h"
#include "unit/http/h2_client.h"

#define UPGRADE "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

static struct {
    struct carom_tunnel tunnel;
    char got[100];
    uint32_t length, room; /* what it has, and how much more it takes */
    int sent, done, over;
    carom_reason reason;
} owner;

static uint32_t on_received(struct carom_tunnel *tunnel, uint8_t *data, uint32_t length)
{
    uint32_t taken = length < owner.room ? length : owner.room;
    assert_int_equal(owner.over + owner.done, 0);
    assert_true(length > 0);
    memcpy(owner.got + owner.length, data, taken);
    owner.length += taken;
    owner.room -= taken;
    if (taken < length)
        carom_tunnel_receive(tunnel, false);
    return taken;
}

static void on_done(struct carom_tunnel *tunnel)
{
    (void)tunnel;
    owner.done++;
}

static void on_sent(struct carom_tunnel *tunnel)
{
    (void)tunnel;
    owner.sent++;
}

static void on_over(struct carom_tunnel *tunnel, carom_reason reason)
{
    (void)tunnel;
    owner.over++;
    owner.reason = reason;
}

static const struct carom_tunnel_events events = {on_received, on_done, on_sent, on_over};

/* ---------------------------------------------------------------- both transports */

static bool h2;
static struct client client; /* of HTTP/1.1 its peer alone */
static int32_t id;

static void go_on(void)
{
    if (h2)
        converse(&client);
    else
        turn();
}

static void speak(const char *bytes, bool last)
{
    if (h2) {
        to_say.bytes = bytes;
        to_say.last = last;
        nghttp2_session_resume_data(client.session, id);
    } else {
        say(client.peer, bytes);
        if (last)
            carom_peer_shutdown(client.peer);
    }
    go_on();
}

static void assert_heard(const char *bytes)
{
    const char *body = h2 ? reply_of(&client, id)->body : strstr(got(client.peer), "\r\n\r\n");
    assert_non_null(body);
    assert_string_equal(h2 ? body : body + 4, bytes);
}

static void ask(void)
{
    if (!h2) {
        client.peer = connect_peer();
        say(client.peer, UPGRADE);
        turn();
    } else {
        const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":protocol", "x"),
                                    NV(":scheme", "http"), NV(":path", "/chat"),
                                    NV(":authority", "a")};
        const nghttp2_data_provider provider = {.read_callback = say_next};
        client_begin(&client, 0, false);
        converse(&client);
        to_say.bytes = "";
        to_say.last = false;
        id = nghttp2_submit_request(client.session, NULL, pairs, 5, &provider, NULL);
        client.replies[client.count++] = (struct reply){.id = id};
        converse(&client);
    }
}

static carom_options tunnel_options(void)
{
    carom_options options = simulation_options();
    options.handler = idle_handler;
    options.h2_connect_protocol = true;
    return options;
}

static void begin_tunnel(uint32_t room)
{
    static const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response response = {
        .status = h2 ? 200 : 101, .fields = &field, .field_count = h2 ? 0 : 1};
    memset(&owner, 0, sizeof owner);
    owner.room = room;
    assert_int_equal(carom_tunnel_begin(&owner.tunnel, &events, sim.held[0], &response), 0);
    forget(sim.held[0]);
}

static void begin_on(uint32_t room)
{
    const carom_options options = tunnel_options();
    begin(&options);
    ask();
    assert_int_equal(sim.held_count, 1);
    begin_tunnel(room);
    go_on();
}

static void end(void)
{
    if (owner.tunnel.is_over)
        carom_tunnel_finish(&owner.tunnel);
    go_on();
    assert_int_equal(stats_now().records_in_flight, 0);
    if (h2)
        client_end(&client);
    finish();
}

static void send_bytes(const char *bytes)
{
    struct carom_records *records = &sim.service->workers[0].connections.records;
    assert_int_equal(carom_queue_append_copy(carom_tunnel_out(&owner.tunnel), &records->segments,
                                             &records->outgoing, bytes, strlen(bytes)),
                     0);
    carom_tunnel_added(&owner.tunnel, strlen(bytes));
}

static void assert_owner_got(const char *bytes)
{
    assert_int_equal(owner.length, strlen(bytes));
    assert_memory_equal(owner.got, bytes, owner.length);
}

static int over_h1(void **state)
{
    (void)state;
    h2 = false;
    return 0;
}

static int over_h2(void **state)
{
    (void)state;
    h2 = true;
    return 0;
}

/* ---------------------------------------------------------------- tests */

static void bytes_go_both_ways(void **state)
{
    (void)state;
    begin_on(UINT32_MAX);
    assert_true(carom_tunnel_core(&owner.tunnel) != NULL);
    speak("ping", false);
    assert_owner_got("ping");
    int sent = owner.sent;
    send_bytes("pong");
    assert_int_equal(carom_tunnel_unsent(&owner.tunnel), 4);
    go_on();
    assert_heard("pong");
    assert_true(owner.sent > sent);
    assert_int_equal(carom_tunnel_unsent(&owner.tunnel), 0);
    send_bytes("!");
    go_on();
    assert_heard("pong!");
    speak("bye", true);
    assert_owner_got("pingbye");
    assert_int_equal(owner.done, 1);
    assert_int_equal(owner.over, 0);
    send_bytes("?"); /* its end is not ours */
    go_on();
    assert_heard("pong!?");
    carom_tunnel_end(&owner.tunnel);
    go_on();
    assert_int_equal(owner.done, 1);
    assert_int_equal(owner.over, 0);
    if (h2)
        assert_true(reply_of(&client, id)->ended);
    else
        assert_true(carom_peer_saw_close(client.peer));
    end();
}

/* What is not taken comes again, in its order, when the owner goes on; and the end behind it. */
static void what_is_not_taken_waits(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        begin_on(3);
        speak("abcdef", false);
        assert_owner_got("abc");
        assert_false(owner.tunnel.receives);
        speak("ghi", last);
        assert_owner_got("abc");
        assert_int_equal(owner.done, 0);
        owner.room = 2;
        carom_tunnel_receive(&owner.tunnel, true);
        assert_owner_got("abc"); /* in a later turn */
        go_on();
        assert_owner_got("abcde");
        assert_int_equal(owner.done, 0);
        owner.room = 100;
        carom_tunnel_receive(&owner.tunnel, true);
        go_on();
        assert_owner_got("abcdefghi");
        assert_int_equal(owner.done, last);
        carom_tunnel_receive(&owner.tunnel, false);
        carom_tunnel_receive(&owner.tunnel, true);
        go_on();
        assert_int_equal(owner.done, last);
        assert_owner_got("abcdefghi");
        if (!last) {
            speak("jk", true);
            assert_owner_got("abcdefghijk");
            assert_int_equal(owner.done, 1);
        }
        carom_tunnel_end(&owner.tunnel);
        end();
    }
}

/* Nothing is told while the owner wants nothing, but the end of all. */
static void who_wants_nothing_hears_of_the_end(void **state)
{
    (void)state;
    begin_on(0);
    speak("x", false);
    assert_owner_got("");
    assert_false(owner.tunnel.receives);
    carom_peer_reset(client.peer);
    turn();
    assert_int_equal(owner.over, 1);
    assert_int_equal(owner.reason, CAROM_REASON_CLIENT_RESET);
    assert_true(owner.tunnel.is_over);
    assert_int_equal(owner.done, 0);
    assert_int_equal(carom_tunnel_unsent(&owner.tunnel), 0);
    carom_tunnel_finish(&owner.tunnel);
    turn();
    if (h2)
        client_end(&client);
    finish();
}

static void an_owner_ends_it_when_all_has_left(void **state)
{
    (void)state;
    begin_on(UINT32_MAX);
    send_bytes("goodbye");
    carom_tunnel_end(&owner.tunnel);
    carom_tunnel_end(&owner.tunnel);
    carom_tunnel_abort(&owner.tunnel, CAROM_REASON_OVER_LIMIT); /* which is too late */
    int sent = owner.sent;
    go_on();
    assert_heard("goodbye");
    speak("late", true);
    assert_owner_got("");
    assert_int_equal(owner.sent, sent);
    assert_int_equal(owner.over + owner.done, 0);
    assert_int_equal(stats_now().ended[CAROM_REASON_OVER_LIMIT], 0);
    end();
}

static void an_owner_breaks_it_off(void **state)
{
    (void)state;
    begin_on(2);
    speak("abcd", false);
    carom_tunnel_abort(&owner.tunnel, CAROM_REASON_OVER_LIMIT);
    go_on();
    assert_int_equal(owner.over, 0);
    if (h2)
        assert_true(reply_of(&client, id)->closed && reply_of(&client, id)->code != 0);
    else
        assert_true(carom_peer_saw_reset(client.peer));
    assert_int_equal(stats_now().ended[CAROM_REASON_OVER_LIMIT], h2);
    end();
}

/* Behind an answer that is to come first, the tunnel is its record's; then the connection's, with
 * what came meanwhile, and what was sent and said of it. */
static void a_tunnel_waits_behind_earlier_answers(void **state)
{
    (void)state;
    for (int receives = 0; receives < 2; receives++) {
        const carom_options options = tunnel_options();
        begin(&options);
        client.peer = connect_peer();
        say(client.peer, GET("/hold") UPGRADE "early");
        turn();
        assert_int_equal(sim.held_count, 2);
        carom_record *first = sim.held[0];
        forget(first);
        begin_tunnel(UINT32_MAX);
        carom_tunnel_receive(&owner.tunnel, receives);
        send_bytes("soon");
        turn();
        assert_owner_got("");
        assert_string_equal(got(client.peer), "");
        uint64_t responses = sim.service->workers[0].connections.responses;
        answer(first, "first");
        carom_release(first);
        turn();
        assert_int_equal(sim.service->workers[0].connections.responses, responses + 2);
        assert_got(client.peer, "first");
        assert_got(client.peer, "\r\n\r\nsoon");
        assert_owner_got(receives ? "early" : "");
        assert_true(owner.tunnel.receives == receives);
        carom_tunnel_receive(&owner.tunnel, true);
        speak(", late", true);
        assert_owner_got("early, late");
        assert_int_equal(owner.done, 1);
        carom_tunnel_end(&owner.tunnel);
        end();
    }
}

/* Its client leaves while it waits. */
static void a_tunnel_that_waits_hears_of_its_end(void **state)
{
    (void)state;
    const carom_options options = tunnel_options();
    begin(&options);
    client.peer = connect_peer();
    say(client.peer, GET("/hold") UPGRADE);
    turn();
    carom_record *first = sim.held[0];
    forget(first);
    begin_tunnel(UINT32_MAX);
    carom_peer_reset(client.peer);
    turn();
    assert_int_equal(owner.over, 1);
    assert_int_equal(owner.reason, CAROM_REASON_CLIENT_RESET);
    carom_release(first);
    end();
}

/* FIN before it began is told when what came before it is taken. */
static void fin_may_come_before_a_tunnel(void **state)
{
    (void)state;
    for (int bytes = 0; bytes < 2; bytes++) { /* without any it is received before */
        carom_options options = tunnel_options();
        options.half_close = true;
        begin(&options);
        client.peer = connect_peer();
        say(client.peer, bytes ? UPGRADE "abc" : UPGRADE);
        turn();
        carom_peer_shutdown(client.peer);
        turn();
        begin_tunnel(UINT32_MAX);
        turn();
        assert_owner_got(bytes ? "abc" : "");
        assert_int_equal(owner.done, 1);
        assert_int_equal(owner.over, 0);
        send_bytes("answer");
        carom_tunnel_end(&owner.tunnel);
        turn();
        assert_heard("answer");
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bytes_go_both_ways, over_h1),
        cmocka_unit_test_setup(bytes_go_both_ways, over_h2),
        cmocka_unit_test_setup(what_is_not_taken_waits, over_h1),
        cmocka_unit_test_setup(what_is_not_taken_waits, over_h2),
        cmocka_unit_test_setup(who_wants_nothing_hears_of_the_end, over_h1),
        cmocka_unit_test_setup(who_wants_nothing_hears_of_the_end, over_h2),
        cmocka_unit_test_setup(an_owner_ends_it_when_all_has_left, over_h1),
        cmocka_unit_test_setup(an_owner_ends_it_when_all_has_left, over_h2),
        cmocka_unit_test_setup(an_owner_breaks_it_off, over_h1),
        cmocka_unit_test_setup(an_owner_breaks_it_off, over_h2),
        cmocka_unit_test_setup(a_tunnel_waits_behind_earlier_answers, over_h1),
        cmocka_unit_test_setup(a_tunnel_that_waits_hears_of_its_end, over_h1),
        cmocka_unit_test_setup(fin_may_come_before_a_tunnel, over_h1),
    };
    return cmocka_run_group_tests_name("http/tunnel", tests, NULL, NULL);
}
