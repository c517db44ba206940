/* A client of HTTP/2 on the simulated network: nghttp2's client session over a peer. */
#ifndef CAROM_TEST_UNIT_HTTP_H2_CLIENT_H
#define CAROM_TEST_UNIT_HTTP_H2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "unit/http/simulation.h"

#define REPLIES_MAX 64

/* What came back on one stream. */
struct reply {
    int32_t id;
    int status, informed; /* the final status; the last of 1xx */
    char body[256];
    size_t body_length; /* all that came; only the beginning is kept */
    char fields[1024];  /* "name: value\n" each, trailers too */
    bool ended, closed; /* END_STREAM; closed by whatever */
    uint8_t ended_by;   /* the type of the frame with END_STREAM */
    uint32_t code;      /* of the close */
};

struct client {
    struct carom_peer *peer;
    nghttp2_session *session;
    struct reply replies[REPLIES_MAX];
    int count;
    size_t taken; /* of what the peer has received */
    bool goaway;
    uint32_t goaway_code;
    int32_t goaway_last;
    int goaways;
    const char *content; /* of the request being sent */
    size_t content_length, content_sent;
    const nghttp2_nv *trailers; /* one */
};

static struct reply *reply_of(struct client *client, int32_t id)
{
    for (int i = 0; i < client->count; i++)
        if (client->replies[i].id == id)
            return &client->replies[i];
    return NULL;
}

static inline int client_header(nghttp2_session *session, const nghttp2_frame *frame,
                                const uint8_t *name, size_t name_length, const uint8_t *value,
                                size_t value_length, uint8_t flags, void *user_data)
{
    struct reply *reply = reply_of(user_data, frame->hd.stream_id);
    (void)session, (void)flags;
    if (reply == NULL)
        return 0;
    if (name_length == 7 && memcmp(name, ":status", 7) == 0) {
        int status = atoi((const char *)value);
        if (status < 200)
            reply->informed = status;
        else
            reply->status = status;
    }
    size_t used = strlen(reply->fields);
    snprintf(reply->fields + used, sizeof reply->fields - used, "%.*s: %.*s\n", (int)name_length,
             (const char *)name, (int)value_length, (const char *)value);
    return 0;
}

static inline int client_data(nghttp2_session *session, uint8_t flags, int32_t id,
                              const uint8_t *data, size_t length, void *user_data)
{
    struct reply *reply = reply_of(user_data, id);
    (void)session, (void)flags;
    size_t room = sizeof reply->body - 1;
    if (reply->body_length < room) {
        size_t kept = length < room - reply->body_length ? length : room - reply->body_length;
        memcpy(reply->body + reply->body_length, data, kept);
    }
    reply->body_length += length;
    return 0;
}

static inline int client_frame(nghttp2_session *session, const nghttp2_frame *frame,
                               void *user_data)
{
    struct client *client = user_data;
    (void)session;
    struct reply *reply = reply_of(client, frame->hd.stream_id);
    bool ends = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (reply != NULL && ends && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        reply->ended = true;
        reply->ended_by = frame->hd.type;
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaway = true;
        client->goaways++;
        client->goaway_code = frame->goaway.error_code;
        client->goaway_last = frame->goaway.last_stream_id;
    }
    return 0;
}

static inline int client_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    struct reply *reply = reply_of(user_data, id);
    (void)session;
    if (reply != NULL) {
        reply->closed = true;
        reply->code = code;
    }
    return 0;
}

/* `window`: of each stream, for what the server sends; 0: the default. */
static inline void client_begin(struct client *client, uint32_t window, bool no_auto_window)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    *client = (struct client){.peer = connect_peer()};
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
    nghttp2_option_set_no_auto_window_update(option, no_auto_window);
    nghttp2_option_set_no_http_messaging(option, 1); /* so that what is wrong can be sent */
    assert_int_equal(nghttp2_session_client_new2(&client->session, callbacks, client, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
    nghttp2_submit_settings(client->session, 0, &entry, window > 0 ? 1 : 0);
}

/* Both sides talk until neither has more to say. */
static inline void converse(struct client *client)
{
    bool busy = true;
    while (busy) {
        const uint8_t *data;
        ssize_t length;
        busy = false;
        while ((length = nghttp2_session_mem_send(client->session, &data)) > 0) {
            carom_peer_send(client->peer, (const char *)data, (size_t)length);
            busy = true;
        }
        assert_true(length == 0);
        turn();
        size_t whole;
        const char *bytes = carom_peer_received(client->peer, &whole);
        if (whole > client->taken) {
            ssize_t taken = nghttp2_session_mem_recv(
                client->session, (const uint8_t *)bytes + client->taken, whole - client->taken);
            assert_true(taken >= 0);
            client->taken = whole;
            busy = true;
        }
    }
}

static inline ssize_t client_content(nghttp2_session *session, int32_t id, uint8_t *buffer,
                                     size_t length, uint32_t *flags, nghttp2_data_source *source,
                                     void *user_data)
{
    struct client *client = user_data;
    (void)source;
    size_t left = client->content_length - client->content_sent;
    if (length > left)
        length = left;
    memcpy(buffer, client->content + client->content_sent, length);
    client->content_sent += length;
    if (length == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (client->trailers != NULL) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, client->trailers, 1);
        }
    }
    return (ssize_t)length;
}

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value),  \
            0                                                                                      \
    }

static inline int32_t request_with(struct client *client, const nghttp2_nv *pairs, size_t count,
                                   bool content)
{
    const nghttp2_data_provider provider = {.read_callback = client_content};
    assert_true(client->count < REPLIES_MAX);
    int32_t id = nghttp2_submit_request(client->session, NULL, pairs, count,
                                        content ? &provider : NULL, NULL);
    assert_true(id > 0);
    client->replies[client->count] = (struct reply){.id = id};
    client->count++;
    return id;
}

static inline int32_t request(struct client *client, const char *method, const char *target)
{
    const nghttp2_nv pairs[] = {NV(":method", method), NV(":scheme", "http"), NV(":path", target),
                                NV(":authority", "a")};
    return request_with(client, pairs, 4, false);
}

static inline int32_t post(struct client *client, const char *target, const char *content,
                           size_t length)
{
    const nghttp2_nv pairs[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", target),
                                NV(":authority", "a")};
    client->content = content;
    client->content_length = length;
    client->content_sent = 0;
    return request_with(client, pairs, 4, true);
}

static inline void client_end(struct client *client)
{
    nghttp2_session_del(client->session);
}

/* What a client says on a tunnel's stream, as the source of its DATA. */
static struct {
    const char *bytes; /* next */
    bool last;         /* and then END_STREAM */
} to_say;

static inline ssize_t say_next(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)id, (void)source, (void)user_data;
    size_t count = strlen(to_say.bytes);
    assert_true(count <= length);
    memcpy(buffer, to_say.bytes, count);
    to_say.bytes = "";
    if (to_say.last)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (count == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)count;
}

#endif
