/* Tests of an observer of connections: what it is told when they open and end, and what its handler
 * is given in the place of what is no request. */
#include <arpa/inet.h>

#include "unit/http/simulation.h"

static struct {
    struct carom_observer observer;
    uint32_t opened, closed;
    carom_reason reason; /* of the last that closed */
    bool refuses;
    struct carom_endpoint local;
} seen;

static uint32_t note_opened(struct carom_observer *observer, struct carom_core *core)
{
    assert_ptr_equal(observer, &seen.observer);
    assert_false(carom_core_observed(core)->secure);
    seen.opened++;
    seen.local = *carom_core_local(core);
    assert_memory_equal(&seen.local, carom_core_local(core), sizeof seen.local); /* asked once */
    return seen.refuses ? 0 : seen.opened;
}

static void note_closed(struct carom_observer *observer, struct carom_core *core,
                        carom_reason reason)
{
    assert_ptr_equal(observer, &seen.observer);
    assert_int_equal(carom_core_number(core), seen.opened);
    seen.closed++;
    seen.reason = reason;
}

static carom_options observed_options(void)
{
    carom_options options = simulation_options();
    options.handler = idle_handler;
    return options;
}

/* An observed service, and its first client. */
static struct carom_peer *begin_observed(const carom_options *options)
{
    memset(&seen, 0, sizeof seen);
    seen.observer = (struct carom_observer){.opened = note_opened, .closed = note_closed};
    create(options);
    assert_int_equal(
        carom_connections_observe(&sim.service->workers[0].connections, &seen.observer), 0);
    start();
    return connect_peer();
}

/* It has ended by now, for this reason. */
static void assert_ended(carom_reason reason)
{
    turn();
    assert_int_equal(seen.opened, 1);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.reason, reason);
    finish();
}

static carom_address near_end;

static void tell_near_end(const struct carom_connections *connections, uint16_t listener,
                          carom_address *address)
{
    (void)connections, (void)listener;
    *address = near_end;
}

/* The near end in each family, as the address of a peer is kept. */
static void the_near_end_is_told(void **state)
{
    (void)state;
    static const struct {
        carom_address address;
        uint8_t bytes[16];
    } cases[] = {
        {{.family = CAROM_IPV4, .port = 80, .text = "127.0.0.1"}, {127, 0, 0, 1}},
        {{.family = CAROM_IPV6, .port = 443, .text = "::1"}, {[15] = 1}},
        {{.family = CAROM_IPV6, .port = 1, .text = "2001:db8::7"}, {32, 1, 13, 184, [15] = 7}},
        {{.family = CAROM_UNIX, .text = "/run/127.0.0.1"}, {0}},
    };
    const carom_options options = observed_options();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct carom_peer *peer = begin_observed(&options);
        near_end = cases[i].address;
        sim.service->workers[0].connections.local_address = tell_near_end;
        turn();
        assert_int_equal(seen.opened, 1);
        assert_int_equal(seen.local.family, near_end.family);
        assert_int_equal(ntohs(seen.local.port), near_end.port);
        assert_memory_equal(seen.local.bytes, cases[i].bytes, sizeof cases[i].bytes);
        carom_address address;
        carom_endpoint_describe(&seen.local, &address);
        assert_int_equal(address.family, near_end.family);
        assert_int_equal(address.port, near_end.port);
        assert_string_equal(address.text, near_end.family == CAROM_UNIX ? "" : near_end.text);
        carom_peer_shutdown(peer);
        assert_ended(CAROM_REASON_CLIENT_CLOSED);
    }
}

/* The one record that is held is no request: why, and what came. */
static void assert_offered(unsigned status, carom_reason reason, const char *bytes)
{
    assert_int_equal(sim.held_count, 1);
    const carom_record *record = sim.held[0];
    assert_int_equal(record->refusal, status);
    assert_int_equal(record->refusal_reason, reason);
    assert_int_equal(carom_request_field_count(record), 0);
    assert_int_equal(record->head.method.length, 0);
    assert_int_equal(record->head.target.length, strlen(bytes));
    if (*bytes != '\0')
        assert_memory_equal(carom_request_target(record).data, bytes, strlen(bytes));
}

static void who_leaves_has_closed(void **state)
{
    (void)state;
    const carom_options options = observed_options();
    struct carom_peer *peer = begin_observed(&options);
    turn();
    assert_int_equal(seen.opened, 1);
    say(peer, GET("/"));
    turn();
    answer_and_release(sim.held[0], "x");
    turn();
    assert_int_equal(seen.closed, 0);
    carom_peer_shutdown(peer);
    assert_ended(CAROM_REASON_CLIENT_CLOSED);
    for (int asked = 0; asked < 2; asked++) {
        peer = begin_observed(&options);
        if (asked)
            say(peer, GET("/"));
        turn();
        carom_peer_reset(peer);
        assert_ended(CAROM_REASON_CLIENT_RESET);
    }
}

/* Also where we were to end it, and its client does not. */
static void who_lingers_is_closed_in_the_end(void **state)
{
    (void)state;
    carom_options options = observed_options();
    options.linger_timeout = 500;
    struct carom_peer *peer = begin_observed(&options);
    say(peer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx");
    turn();
    answer_and_release(sim.held[0], "x");
    turn();
    assert_got(peer, "Connection: close\r\n");
    assert_true(carom_peer_saw_fin(peer));
    assert_int_equal(seen.closed, 0);
    pass(600);
    assert_ended(CAROM_REASON_CLIENT_CLOSED);
}

static void times_have_their_reasons(void **state)
{
    (void)state;
    static char large[300000];
    carom_options options = observed_options();
    options.write_timeout = 500;
    struct carom_peer *peer = begin_observed(&options);
    carom_peer_set_window(peer, 100);
    say(peer, GET("/"));
    turn();
    const carom_response response = {.status = 200,
                                     .content = {large, sizeof large, carom_static_content, NULL}};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    turn();
    pass(600);
    assert_ended(CAROM_REASON_WRITE_TIMEOUT);
    peer = begin_observed(&options);
    say(peer, GET("/"));
    turn();
    carom_shutdown(sim.service, 100);
    turn();
    pass(200);
    assert_ended(CAROM_REASON_SHUTDOWN);
}

static void who_asks_nothing_more_is_late(void **state)
{
    (void)state;
    carom_options options = observed_options();
    options.keep_alive = 500;
    options.keep_alive_grace = 100;
    struct carom_peer *peer = begin_observed(&options);
    say(peer, GET("/"));
    turn();
    answer_and_release(sim.held[0], "x");
    turn();
    pass(550);
    assert_int_equal(seen.closed, 0);
    pass(100);
    assert_true(carom_peer_saw_close(peer));
    assert_ended(CAROM_REASON_HEADER_TIMEOUT);
}

/* Such a connection is none. */
static void who_is_not_wanted_goes(void **state)
{
    (void)state;
    const carom_options options = observed_options();
    struct carom_peer *peer = begin_observed(&options);
    seen.refuses = true;
    say(peer, GET("/"));
    turn();
    assert_int_equal(seen.opened, 1);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(sim.held_count, 0);
    assert_int_equal(stats_now().connections_open, 0);
    assert_int_equal(seen.closed, 0);
    finish();
}

/* Heads that are none, and heads that do not end: whoever observes may answer them. */
static void what_is_no_request_is_offered(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool fin;      /* or time passes */
        uint64_t wait; /* before the rest */
        const char *rest;
        unsigned status;
        carom_reason reason;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC : d\r\n\r\n", false, 0, "", 400,
         CAROM_REASON_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n", false, 0, "C : d\r\n\r\n", 400,
         CAROM_REASON_BAD_REQUEST},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n", true, 0, "", 400, CAROM_REASON_CLIENT_CLOSED},
        {"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n", false, 1000, "", 408,
         CAROM_REASON_HEADER_TIMEOUT},
        {"", false, 1000, "", 408, CAROM_REASON_HEADER_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int answered = 0; answered < 2; answered++) {
            carom_options options = observed_options();
            options.header_timeout = options.first_byte_timeout = 500;
            options.linger_timeout = 500;
            struct carom_peer *peer = begin_observed(&options);
            say(peer, cases[i].bytes);
            turn();
            say(peer, cases[i].rest);
            if (cases[i].fin)
                carom_peer_shutdown(peer);
            turn();
            if (cases[i].wait > 0)
                pass(cases[i].wait);
            char bytes[256];
            snprintf(bytes, sizeof bytes, "%s%s", cases[i].bytes, cases[i].rest);
            assert_offered(cases[i].status, cases[i].reason, bytes);
            if (answered)
                assert_int_equal(carom_respond(sim.held[0], &(carom_response){.status = 499}), 0);
            release(sim.held[0]); /* or it is answered by the engine */
            turn();
            char line[32];
            snprintf(line, sizeof line, "HTTP/1.1 %u ", answered ? 499 : cases[i].status);
            assert_got(peer, line);
            assert_got(peer, "Connection: close\r\n");
            assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer));
            carom_peer_shutdown(peer);
            assert_ended(CAROM_REASON_CLIENT_CLOSED);
        }
}

/* Who has sent FIN and is owed such an answer is kept for a time only. */
static void an_offer_after_fin_has_an_end(void **state)
{
    (void)state;
    carom_options options = observed_options();
    options.linger_timeout = 500;
    struct carom_peer *peer = begin_observed(&options);
    say(peer, "GET / HTTP/1.1\r\n");
    turn();
    carom_peer_shutdown(peer);
    turn();
    pass(400);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_NONE);
    pass(200);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_CLIENT_CLOSED);
    assert_true(carom_peer_saw_close(peer)); /* though the record is held on */
    assert_int_equal(seen.closed, 1);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_leaves_has_closed),
        cmocka_unit_test(the_near_end_is_told),
        cmocka_unit_test(who_lingers_is_closed_in_the_end),
        cmocka_unit_test(times_have_their_reasons),
        cmocka_unit_test(who_asks_nothing_more_is_late),
        cmocka_unit_test(who_is_not_wanted_goes),
        cmocka_unit_test(what_is_no_request_is_offered),
        cmocka_unit_test(an_offer_after_fin_has_an_end),
    };
    return cmocka_run_group_tests_name("http/observed", tests, NULL, NULL);
}
