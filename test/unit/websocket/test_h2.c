/* Sockets in streams of HTTP/2 (RFC 8441): the same frames, a stream's windows, END_STREAM and
 * RST_STREAM. */
#include "unit/http/h2_client.h"
#include "unit/websocket/sockets.h"

static struct client client;

/* What the client has to say on its streams. */
static struct speech {
    int32_t id;
    uint8_t bytes[4096];
    size_t length;
    bool last;
    size_t taken; /* of the frames that came */
} speeches[8];

static struct speech *speech_of(int32_t id)
{
    for (int i = 0; i < 8; i++)
        if (speeches[i].id == id)
            return &speeches[i];
    return NULL;
}

static ssize_t say_on(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                      uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    struct speech *speech = speech_of(id);
    (void)session, (void)source, (void)user_data;
    if (speech->length < length)
        length = speech->length;
    memcpy(buffer, speech->bytes, length);
    memmove(speech->bytes, speech->bytes + length, speech->length - length);
    speech->length -= length;
    if (speech->length == 0 && speech->last)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (length == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)length;
}

static void speak(int32_t id, uint8_t first, const char *text)
{
    struct speech *speech = speech_of(id);
    speech->length +=
        make_frame(speech->bytes + speech->length, first, text, strlen(text), 0x0a0b0c0d);
    nghttp2_session_resume_data(client.session, id);
    converse(&client);
}

static int32_t open_stream(const char *path)
{
    const nghttp2_data_provider provider = {.read_callback = say_on};
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":protocol", "websocket"),
                                NV(":scheme", "http"),    NV(":path", path),
                                NV(":authority", "a"),    NV("sec-websocket-version", "13")};
    struct speech *speech = speech_of(0);
    int32_t id = nghttp2_submit_request(client.session, NULL, pairs, 6, &provider, NULL);
    *speech = (struct speech){.id = id};
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    return id;
}

static const char *frames_on(int32_t id)
{
    const struct reply *reply = reply_of(&client, id);
    assert_true(reply->body_length < sizeof reply->body);
    return frames_of((const uint8_t *)reply->body, reply->body_length, &speech_of(id)->taken);
}

static void begin_client(uint32_t window)
{
    carom_options options = sockets_options();
    options.h2_connect_protocol = true;
    begin(&options);
    memset(speeches, 0, sizeof speeches);
    client_begin(&client, window, window > 0);
    converse(&client);
}

static void end_client(void)
{
    client_end(&client);
    finish_sockets();
}

static int echo(carom_websocket *socket, carom_websocket_kind kind, const void *data, size_t length)
{
    const carom_content content = {.data = data, .length = length};
    return carom_websocket_send(socket, kind, &content);
}

static void many_sockets_on_one_connection(void **state)
{
    (void)state;
    begin_client(0);
    program.on_message = echo;
    int32_t ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = open_stream("/");
        assert_int_equal(reply_of(&client, ids[i])->status, 200);
        assert_null(strstr(reply_of(&client, ids[i])->fields, "sec-websocket-accept"));
        assert_string_equal(noted(), "open");
        assert_int_equal(carom_service_records(sim.service, 0, NULL, NULL), 0); /* no handler's */
    }
    speak(ids[1], FIN | TEXT, "one");
    speak(ids[2], FIN | TEXT, "two");
    speak(ids[1], TEXT, "th");
    speak(ids[1], FIN, "ree");
    assert_string_equal(noted(), "t:one t:two t:three");
    assert_string_equal(frames_on(ids[0]), "");
    assert_string_equal(frames_on(ids[1]), "t:one t:three");
    assert_string_equal(frames_on(ids[2]), "t:two");
    end_client();
}

static void close_is_end_stream(void **state)
{
    (void)state;
    begin_client(0);
    int32_t id = open_stream("/");
    speak(id, FIN | CLOSE, "\x03\xe9gone");
    assert_string_equal(noted(), "open close:1001+gone");
    assert_string_equal(frames_on(id), "close:1001gone");
    assert_true(reply_of(&client, id)->ended);
    id = open_stream("/");
    carom_websocket_close(program.sockets[0], 4001, (carom_slice)CAROM_SLICE("ours"));
    converse(&client);
    assert_string_equal(frames_on(id), "close:4001ours");
    assert_false(reply_of(&client, id)->ended);
    speech_of(id)->last = true;
    speak(id, FIN | CLOSE, "\x0f\xa1ours");
    assert_string_equal(noted(), "open close:4001+ours");
    assert_true(reply_of(&client, id)->ended && reply_of(&client, id)->closed);
    assert_int_equal(reply_of(&client, id)->code, NGHTTP2_NO_ERROR);
    end_client();
}

static void abort_is_rst_stream(void **state)
{
    (void)state;
    begin_client(0);
    int32_t id = open_stream("/"), other = open_stream("/");
    carom_websocket_abort(program.sockets[0]);
    converse(&client);
    assert_string_equal(noted(), "open open close:1006-");
    assert_true(reply_of(&client, id)->closed && reply_of(&client, id)->code != 0);
    nghttp2_submit_rst_stream(client.session, 0, other, NGHTTP2_CANCEL);
    converse(&client);
    assert_string_equal(noted(), "close:1006-");
    id = open_stream("/");
    speech_of(id)->last = true; /* END_STREAM without a Close */
    nghttp2_session_resume_data(client.session, id);
    converse(&client);
    assert_string_equal(noted(), "open close:1006-");
    end_client();
}

static void a_window_is_backpressure(void **state)
{
    (void)state;
    static char large[30000];
    begin_client(20000);
    memset(large, 'x', sizeof large);
    int32_t id = open_stream("/");
    program.options.write_buffer = 1000;
    const carom_content content = {.data = large, .length = sizeof large};
    int32_t second = open_stream("/"); /* with the small buffer */
    (void)id;
    noted();
    assert_int_equal(carom_websocket_send(program.sockets[1], CAROM_WEBSOCKET_BINARY, &content),
                     -CAROM_EAGAIN);
    converse(&client);
    assert_int_equal(reply_of(&client, second)->body_length, 20000);
    assert_int_equal(carom_websocket_buffered(program.sockets[1]), 10004);
    assert_string_equal(noted(), "");
    nghttp2_session_consume(client.session, second, 20000);
    converse(&client);
    assert_int_equal(reply_of(&client, second)->body_length, 30004);
    assert_string_equal(noted(), "drain");
    end_client();
}

static void a_paused_socket_holds_its_window_only(void **state)
{
    (void)state;
    begin_client(0);
    int32_t paused = open_stream("/"), other = open_stream("/");
    noted();
    carom_websocket_pause(program.sockets[0]);
    speak(paused, FIN | TEXT, "waits");
    speak(other, FIN | TEXT, "comes");
    assert_string_equal(noted(), "t:comes");
    carom_websocket_resume(program.sockets[0]);
    converse(&client);
    assert_string_equal(noted(), "t:waits");
    end_client();
}

static void what_is_refused_is_answered(void **state)
{
    (void)state;
    begin_client(0);
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":protocol", "websocket"),
                                NV(":scheme", "http"),    NV(":path", "/"),
                                NV(":authority", "a"),    NV("sec-websocket-version", "7")};
    int32_t id = request_with(&client, pairs, 6, false);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 426);
    assert_non_null(strstr(reply_of(&client, id)->fields, "sec-websocket-version: 13"));
    end_client();
}

static void a_lost_connection_ends_all(void **state)
{
    (void)state;
    begin_client(0);
    open_stream("/");
    open_stream("/");
    noted();
    carom_peer_reset(client.peer);
    turn();
    assert_string_equal(noted(), "close:1006- close:1006-");
    end_client();
}

static int send_to_first(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    assert_ptr_not_equal(socket, program.sockets[0]);
    assert_int_equal(carom_websocket_get_state(program.sockets[0]), CAROM_WEBSOCKET_OPEN);
    return echo(program.sockets[0], kind, data, length);
}

/* Its connection is gone, and its close has not been told: another socket's message comes before.
 */
static void who_is_lost_can_be_sent_to_until_it_is_told(void **state)
{
    (void)state;
    uint8_t frame[20];
    begin_client(0);
    open_stream("/");
    assert_string_equal(noted(), "open");
    struct socket_client other = open_client();
    program.on_message = send_to_first;
    carom_peer_reset(client.peer);
    carom_peer_send(other.peer, (const char *)frame,
                    make_frame(frame, FIN | TEXT, "for it", 6, 0x0a0b0c0d));
    turn();
    assert_string_equal(noted(), "t:for it close:1006-");
    end_client();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_lost_can_be_sent_to_until_it_is_told),
        cmocka_unit_test(many_sockets_on_one_connection),
        cmocka_unit_test(close_is_end_stream),
        cmocka_unit_test(abort_is_rst_stream),
        cmocka_unit_test(a_window_is_backpressure),
        cmocka_unit_test(a_paused_socket_holds_its_window_only),
        cmocka_unit_test(what_is_refused_is_answered),
        cmocka_unit_test(a_lost_connection_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
