/* The ends of streams and of connections of HTTP/2, where the simulation has found mistakes. */
#include "unit/http/h2_client.h"
#include "unit/http/h2_raw.h"

static struct client client;

static void begin_client(const carom_options *options)
{
    begin(options);
    client_begin(&client, 0, false);
    converse(&client);
}

static void end(void)
{
    client_end(&client);
    finish();
}

static const carom_response streamed = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
static const carom_content piece = {"hello", 5, NULL, NULL};

/* END_STREAM is on the answer's head, and its handler goes on. */
static void an_answer_to_head_is_streamed(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "HEAD", "/hold");
    converse(&client);
    carom_record *record = sim.held[0];
    assert_int_equal(carom_respond_begin(record, &streamed), 0);
    converse(&client);
    assert_true(reply_of(&client, id)->closed && reply_of(&client, id)->code == 0);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_NONE);
    assert_int_equal(carom_write(record, &piece), 0);
    converse(&client);
    assert_int_equal(carom_end(record, NULL, 0), 0);
    converse(&client);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_COMPLETE);
    release(record);
    end();
}

/* What is said before an answer is no answer, and no error. */
static void interim_responses_come_before_the_answer(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(carom_inform(sim.held[0], &(carom_response){.status = 103}), 0);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->informed, 103);
    assert_int_equal(reply_of(&client, id)->status, 0);
    answer_and_release(sim.held[0], "told");
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    end();
}

/* So does a drain wait for it. */
static void a_drain_waits_for_it(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    request(&client, "HEAD", "/hold");
    converse(&client);
    carom_record *record = sim.held[0];
    assert_int_equal(carom_respond_begin(record, &streamed), 0);
    carom_shutdown(sim.service, CAROM_OFF);
    converse(&client);
    pass(3000);
    converse(&client);
    assert_false(carom_peer_saw_fin(client.peer));
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_NONE);
    assert_int_equal(carom_end(record, NULL, 0), 0);
    converse(&client);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_COMPLETE);
    release(record);
    converse(&client);
    assert_true(carom_peer_saw_fin(client.peer));
    end();
}

/* What comes between our decision and the GOAWAY that tells of it may be asked again elsewhere: it
 * must not be served (RFC 9113, 6.8). */
static void nothing_is_served_behind_goaway(void **state)
{
    (void)state;
    static const char answer_and_request[] = "\0\0\10\6\1\0\0\0\0"
                                             "\0\0\0\0\0\0\0\0" /* the PING is answered */
                                             "\0\0\6\1\5\0\0\0\3"
                                             "\x82\x84\x86\1\1a"; /* GET / for "a" */
    const carom_options options = simulation_options();
    begin_client(&options);
    request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(sim.held_count, 1);
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    carom_stats before = CAROM_STATS_INIT, after = CAROM_STATS_INIT;
    carom_service_stats(sim.service, &before);
    carom_peer_send(client.peer, answer_and_request, sizeof answer_and_request - 1);
    turn();
    carom_service_stats(sim.service, &after);
    assert_int_equal(after.responses, before.responses);
    assert_int_equal(after.requests, before.requests);
    const carom_response response = {.status = 200};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    converse(&client);
    end();
}

/* A session that begins within a drain is told at once. */
static void who_comes_late_is_told_so(void **state)
{
    (void)state;
    uint32_t code = UINT32_MAX;
    const carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *other = connect_peer();
    say(other, GET("/hold"));
    peer = connect_peer();
    say(peer, "PRI * HTTP");
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    say(peer, &NGHTTP2_CLIENT_MAGIC[10]);
    frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    turn();
    assert_true(frames(NGHTTP2_GOAWAY, &code) > 0);
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    pass(3000);
    assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer));
    finish();
}

/* Content of no bytes has come with its head. */
static void content_of_no_length_is_whole(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1,
          SECTION(POST LENGTH("0")));
    turn();
    carom_slice slice;
    assert_int_equal(sim.held_count, 1);
    assert_int_equal(carom_request_read(sim.held[0], &slice), 0);
    answer_and_release(sim.held[0], "x");
    turn();
    const carom_stats stats = finish();
    assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 1);
    assert_int_equal(stats.responses, 1);
}

/* A request that turns out to be none while it is answered ends as one. */
static void wrong_trailers_end_an_answer(void **state)
{
    (void)state;
    uint32_t code = UINT32_MAX;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    turn();
    assert_int_equal(carom_respond_begin(sim.held[0], &streamed), 0);
    turn();
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1,
          SECTION("\0\x04host\1a"));
    turn();
    assert_int_equal(frames(NGHTTP2_RST_STREAM, &code), 1);
    assert_int_equal(code, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_BAD_REQUEST);
    finish();
}

/* And is told so: RST_STREAM that lets its client ask again, if GOAWAY has not done it. */
static void what_comes_behind_goaway_may_be_asked_again(void **state)
{
    (void)state;
    uint32_t code = UINT32_MAX;
    const uint8_t whole = NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS;
    const carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, whole, 1, SECTION(HOLD));
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    frame(NGHTTP2_HEADERS, whole, 3, SECTION(HOLD));
    frame(NGHTTP2_HEADERS, whole, 5, SECTION(HOLD));
    turn();
    assert_int_equal(sim.held_count, 1);
    int told = frames(NGHTTP2_RST_STREAM, &code);
    assert_int_equal(told, 2);
    assert_int_equal(code, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 2);
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    answer_and_release(sim.held[0], "held");
    turn();
    assert_true(carom_peer_saw_fin(peer));
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
}

// NOLINTBEGIN(readability-non-const-parameter): the type is nghttp2's
static ssize_t not_yet(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)id, (void)buffer, (void)length, (void)flags, (void)source;
    (void)user_data;
    return NGHTTP2_ERR_DEFERRED;
}
// NOLINTEND(readability-non-const-parameter)

static int32_t post_in_time(const char *target)
{
    const nghttp2_data_provider provider = {.read_callback = not_yet};
    const nghttp2_nv pairs[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", target),
                                NV(":authority", "a")};
    int32_t id = nghttp2_submit_request(client.session, NULL, pairs, 4, &provider, NULL);
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    return id;
}

/* The answer is out at last: that nobody reads the content is said at once, when it is not waited
 * for. */
static void a_reset_follows_an_answer_that_waited(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.linger_timeout = CAROM_OFF;
    begin_client(&options);
    int32_t id = post_in_time("/hold");
    const carom_response response = {.status = 200, .content = piece};
    carom_peer_set_window(client.peer, 3);
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    turn();
    assert_false(reply_of(&client, id)->ended);
    carom_peer_set_window(client.peer, 100000);
    converse(&client);
    assert_true(reply_of(&client, id)->ended && reply_of(&client, id)->closed);
    end();
}

/* A stream that comes right before the others are looked at has its whole time, too. */
static void content_has_its_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.content_window = 1000;
    begin_client(&options);
    request(&client, "GET", "/hold");
    converse(&client);
    pass(990);
    int32_t id = post_in_time("/hold");
    assert_int_equal(sim.held_count, 2);
    carom_slice bytes;
    assert_int_equal(carom_request_read(sim.held[1], &bytes), -CAROM_EAGAIN);
    pass(900);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 0);
    pass(1200);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 408);
    release(sim.held[1]);
    release(sim.held[0]);
    converse(&client);
    end();
}

/* max_content is for content: a tunnel lasts. */
static void a_tunnel_has_no_limit(void **state)
{
    (void)state;
    static char bytes[5000];
    carom_options options = simulation_options();
    options.max_content = 1000;
    begin_client(&options);
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":authority", "a:1")};
    client.content = bytes;
    client.content_length = sizeof bytes;
    request_with(&client, pairs, 2, true);
    converse(&client);
    carom_record *record = sim.held[0];
    assert_int_equal(carom_upgrade(record, &(carom_response){.status = 200}), 0);
    size_t length = 0;
    carom_slice slice;
    while (carom_request_read(record, &slice) > 0)
        length += slice.length;
    assert_int_equal(length, sizeof bytes);
    assert_int_equal(carom_end(record, NULL, 0), 0);
    release(record);
    converse(&client);
    end();
}

static void an_answer_without_content_is_one_frame(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    answer_and_release(sim.held[0], "");
    converse(&client);
    assert_true(reply_of(&client, id)->ended);
    assert_int_equal(reply_of(&client, id)->ended_by, NGHTTP2_HEADERS);
    end();
}

/* Its head is out, and the stream waits for content that never comes. */
static void a_streamed_answer_ends_without_content(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(carom_respond_begin(sim.held[0], &streamed), 0);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    assert_false(reply_of(&client, id)->ended);
    assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
    converse(&client);
    assert_true(reply_of(&client, id)->ended);
    release(sim.held[0]);
    end();
}

/* Connection: close of a handler, in the words of HTTP/2: GOAWAY. */
static void a_handler_ends_the_connection(void **state)
{
    (void)state;
    static const carom_field close_field = {{"Connection", 10}, {"close", 5}};
    const carom_options options = simulation_options();
    begin_client(&options);
    request(&client, "GET", "/hold");
    converse(&client);
    assert_false(client.goaway);
    const carom_response response = {.status = 200, .fields = &close_field, .field_count = 1};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    converse(&client);
    assert_true(client.goaway);
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    assert_true(carom_peer_saw_fin(client.peer));
    end();
}

/* It has asked for all that it wants and hears nothing any more: who answers is told. */
static void fin_cancels_what_was_not_answered(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    carom_peer_shutdown(client.peer);
    turn();
    assert_int_equal(sim.cancelled, 1);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_CLIENT_CLOSED);
    release(sim.held[0]);
    turn();
    converse(&client);
    assert_int_equal(reply_of(&client, id)->code, NGHTTP2_CANCEL);
    end();
}

/* The stream is closed when its last frame is made, which may be long before the network takes it.
 */
static void an_answer_that_waits_in_the_network_is_whole(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    carom_peer_set_window(client.peer, 0);
    answer_and_release(sim.held[0], "whole");
    turn();
    pass(1000);
    carom_peer_set_window(client.peer, SIZE_MAX);
    converse(&client);
    assert_string_equal(reply_of(&client, id)->body, "whole");
    client_end(&client);
    carom_stats stats = finish();
    assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 1);
    assert_int_equal(stats.cancellations, 0);
}

/* With half_close who has sent FIN is still answered. A section that FIN cuts off comes to no end,
 * and nobody waits for that. */
static void fin_in_a_section_leaves_the_answers(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.half_close = true;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, SECTION(HOLD));
    frame(NGHTTP2_HEADERS, 0, 3, SECTION(HOLD));
    turn();
    carom_peer_shutdown(peer);
    turn();
    for (int i = 0; i < 12; i++)
        pass(1000);
    assert_int_equal(sim.held_count, 1);
    answer_and_release(sim.held[0], "late");
    turn();
    carom_stats stats = finish();
    assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 1);
    assert_int_equal(stats.h2_calmed, 0);
    assert_int_equal(stats.timeouts, 0);
}

/* What the client does wrong afterwards is no fault of a request that it has had answered. */
static void a_stream_that_is_closed_is_not_blamed(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "HEAD", "/hold");
    request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(carom_respond_begin(sim.held[0], &streamed), 0); /* and is to be ended */
    converse(&client);
    assert_true(reply_of(&client, id)->ended);
    carom_peer_send(client.peer, "\0\0\1\0\0\0\0\0\0x", 10); /* DATA of no stream */
    turn();
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_CLIENT_CLOSED);
    assert_int_equal(carom_record_outcome(sim.held[1]).reason, CAROM_REASON_BAD_REQUEST);
    release(sim.held[1]);
    release(sim.held[0]);
    client_end(&client);
    finish();
}

/* Fields of one connection of HTTP/1.1 (RFC 9113, 8.2.2). */
static void what_is_of_one_hop_of_h1_is_left_out(void **state)
{
    (void)state;
    static const carom_field fields[] = {
        {CAROM_SLICE("Proxy-Connection"), CAROM_SLICE("keep-alive")},
        {CAROM_SLICE("Connection"), CAROM_SLICE("keep-alive")},
        {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")},
        {CAROM_SLICE("X-Stays"), CAROM_SLICE("y")},
    };
    const carom_options options = simulation_options();
    begin_client(&options);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    const carom_response response = {.status = 200, .fields = fields, .field_count = COUNT(fields)};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    converse(&client);
    const char *got = reply_of(&client, id)->fields;
    assert_null(strstr(got, "connection"));
    assert_null(strstr(got, "upgrade"));
    assert_non_null(strstr(got, "x-stays: y\n"));
    end();
}

/* A length beyond the limit is refused before a handler hears of it, content without a length when
 * it is beyond. */
static void content_has_its_limit(void **state)
{
    (void)state;
    static char bytes[1200];
    carom_options options = simulation_options();
    options.max_content = 1000;
    begin_client(&options);
    const nghttp2_nv pairs[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", "/hold"),
                                NV(":authority", "a"), NV("content-length", "1001")};
    client.content = bytes;
    client.content_length = 1001;
    int32_t id = request_with(&client, pairs, 5, true);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 413);
    assert_int_equal(sim.held_count, 0);
    id = post(&client, "/hold", bytes, 1000);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 0);
    answer_and_release(sim.held[0], "fits");
    converse(&client);
    id = post(&client, "/hold", bytes, 1001);
    converse(&client);
    assert_int_equal(sim.held_count, 0); /* all of it came with its head */
    assert_int_equal(reply_of(&client, id)->status, 413);
    end();
}

/* An id that the client passed over is none that was closed, however far it jumped. */
static void an_id_that_was_passed_over_is_idle(void **state)
{
    (void)state;
    const uint8_t whole = NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS;
    const carom_options options = simulation_options();
    begin_raw(&options);
    for (uint32_t id = 1; id <= 3; id += 2) {
        frame(NGHTTP2_HEADERS, whole, id, SECTION(HOLD));
        turn();
        answer_and_release(sim.held[0], "");
        turn();
    }
    frame(NGHTTP2_HEADERS, whole, 3 + 2 * 64, SECTION(HOLD));
    turn();
    frame(NGHTTP2_DATA, 0, 1 + 2 * 64, "x", 1);
    turn();
    uint32_t code = UINT32_MAX;
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 1);
    assert_int_equal(code, NGHTTP2_PROTOCOL_ERROR);
    release(sim.held[0]);
    turn();
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(an_answer_to_head_is_streamed),
        cmocka_unit_test(interim_responses_come_before_the_answer),
        cmocka_unit_test(a_drain_waits_for_it),
        cmocka_unit_test(nothing_is_served_behind_goaway),
        cmocka_unit_test(who_comes_late_is_told_so),
        cmocka_unit_test(content_of_no_length_is_whole),
        cmocka_unit_test(wrong_trailers_end_an_answer),
        cmocka_unit_test(what_comes_behind_goaway_may_be_asked_again),
        cmocka_unit_test(a_reset_follows_an_answer_that_waited),
        cmocka_unit_test(content_has_its_time),
        cmocka_unit_test(a_tunnel_has_no_limit),
        cmocka_unit_test(an_answer_without_content_is_one_frame),
        cmocka_unit_test(a_streamed_answer_ends_without_content),
        cmocka_unit_test(a_handler_ends_the_connection),
        cmocka_unit_test(fin_cancels_what_was_not_answered),
        cmocka_unit_test(an_answer_that_waits_in_the_network_is_whole),
        cmocka_unit_test(fin_in_a_section_leaves_the_answers),
        cmocka_unit_test(a_stream_that_is_closed_is_not_blamed),
        cmocka_unit_test(what_is_of_one_hop_of_h1_is_left_out),
        cmocka_unit_test(content_has_its_limit),
        cmocka_unit_test(an_id_that_was_passed_over_is_idle),
    };
    return cmocka_run_group_tests_name("http/h2_ends", all, NULL, NULL);
}
