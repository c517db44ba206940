/* Clients of WebSockets over HTTP/2 (RFC 8441): several talks on a connection, each a stream. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/sockets.h"

static struct talk *talk_on(const struct road *road, int32_t stream)
{
    for (int i = 0; i < road->count; i++)
        if (road->talks[i]->stream == stream)
            return road->talks[i];
    return NULL;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type is nghttp2's
static ssize_t give(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                    nghttp2_data_source *source, void *user_data)
{
    struct talk *talk = source->ptr;
    size_t length = talk_may_pass(talk);
    (void)session, (void)id, (void)user_data;
    if (talk->ended) {
        *flags = NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    if (length > room)
        length = room;
    if (length > 1 && random_chance(&world->random, 40))
        length = 1 + random_size(&world->random, (uint32_t)length - 1);
    talk->deferred = length == 0;
    if (length == 0)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(to, talk->out.data + talk->passed, length);
    talk->passed += length;
    return (ssize_t)length;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user_data)
{
    struct talk *talk = talk_on(user_data, frame->hd.stream_id);
    (void)session, (void)flags, (void)value_length;
    if (talk == NULL)
        return 0;
    if (name_length == 7 && memcmp(name, ":status", 7) == 0) {
        bool well = memcmp(value, "200", 3) == 0;
        if (!well && !world->memory_failed && !world->draining)
            world_fail("talk %u is answered %.3s", talk->number, (const char *)value);
        talk->answered = well;
        talk->left |= !well;
    } else if (name_length == 24 && memcmp(name, "sec-websocket-extensions", 24) == 0) {
        talk_agreed(talk, (const char *)value); /* nghttp2 ends it with a zero */
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *user_data)
{
    struct talk *talk = talk_on(user_data, id);
    (void)flags;
    nghttp2_session_consume_connection(session, length);
    if (talk == NULL)
        return 0;
    talk->owed += (uint32_t)length;
    if (!talk->left)
        talk_hears(talk, data, length);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct road *road = user_data;
    struct talk *talk = talk_on(road, frame->hd.stream_id);
    (void)session;
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        bool connects = false;
        for (size_t i = 0; i < frame->settings.niv; i++)
            connects |=
                frame->settings.iv[i].settings_id == NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL &&
                frame->settings.iv[i].value == 1;
        if (!connects)
            world_fail("road %d: no extended CONNECT", road->number);
        road->greeted = true;
    }
    bool ends = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (talk != NULL && ends && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        talk_is_over(talk, false);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    struct talk *talk = talk_on(user_data, id);
    (void)session;
    if (talk == NULL)
        return 0;
    talk->reset = true;
    talk_is_over(talk, code != 0);
    return 0;
}

void road_h2_open(struct road *road)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    if (nghttp2_session_client_new2(&road->session, callbacks, road, option) != 0 ||
        nghttp2_submit_settings(road->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), 0};
}

static void ask(struct road *road, struct talk *talk)
{
    char path[16];
    const char *offer = talk_offer(talk);
    snprintf(path, sizeof path, "/%u", talk->number);
    const nghttp2_nv fields[] = {
        field(":method", "CONNECT"),
        field(":protocol", "websocket"),
        field(":scheme", "http"),
        field(":path", path),
        field(":authority", "a"),
        field("sec-websocket-version", "13"),
        field("sec-websocket-extensions", offer),
    };
    const nghttp2_data_provider provider = {{.ptr = talk}, give};
    talk->stream = nghttp2_submit_request(road->session, NULL, fields, *offer == '\0' ? 6 : 7,
                                          &provider, NULL);
    if (talk->stream < 0)
        world_fail("road %d cannot ask", road->number);
    talk->asked = true;
}

void road_h2_leave(struct road *road, struct talk *talk, bool finishes)
{
    LOG("talk %u leaves its stream%s", talk->number, finishes ? ", in order" : "");
    if (finishes)
        talk->ended = true;
    else
        nghttp2_submit_rst_stream(road->session, NGHTTP2_FLAG_NONE, talk->stream, NGHTTP2_CANCEL);
}

static bool talk_acts(struct road *road, struct talk *talk)
{
    if (!talk->asked) {
        if (!road->greeted || world->draining)
            return false;
        ask(road, talk);
        return true;
    }
    if (talk->reset)
        return false;
    bool leaves = talk->manner == TALK_LEAVES || talk->manner == TALK_ENDS;
    if (leaves && !talk->left && talk->answered && talk->passed >= talk->leaving)
        road_leave(road, talk, talk->manner == TALK_ENDS);
    if (talk->heard_close && talk->closed && talk->passed == talk->out.used)
        talk->ended = true;
    bool acts = talk_act(talk);
    if (talk->deferred && (talk->ended || talk_may_pass(talk) > 0)) {
        talk->deferred = false;
        nghttp2_session_resume_data(road->session, talk->stream);
        acts = true;
    }
    if (talk->owed > 0 && (road->window == 0 || random_chance(&world->random, 30))) {
        nghttp2_session_consume_stream(road->session, talk->stream, talk->owed);
        talk->owed = 0;
        acts = true;
    }
    return acts;
}

bool road_h2_act(struct road *road)
{
    bool acts = false;
    const uint8_t *data;
    ssize_t length;
    for (int i = 0; i < road->count; i++)
        acts = talk_acts(road, road->talks[i]) || acts;
    while ((length = nghttp2_session_mem_send(road->session, &data)) > 0)
        bytes_add(&road->out, data, (size_t)length);
    size_t left = road->out.used - road->passed;
    if (left == 0 || road->finished)
        return acts;
    if (road->pieces > 0)
        left = 1 + random_below(&world->random, (uint32_t)left);
    line_send(&road->wire, road->out.data + road->passed, left, false);
    road->passed += left;
    return true;
}

void road_h2_look(struct road *road)
{
    size_t length;
    const char *bytes = line_received(&road->wire, &length);
    if (length <= road->seen)
        return;
    ssize_t taken = nghttp2_session_mem_recv(road->session, (const uint8_t *)bytes + road->seen,
                                             length - road->seen);
    if (taken < 0)
        world_fail("road %d: what came is no HTTP/2: %s", road->number,
                   nghttp2_strerror((int)taken));
    road->seen = length;
}
