/* A client of HTTP/2: nghttp2's client session between what was planned and the line. What comes
 * back is looked at stream by stream; in one with a byte changed on its way there, only that it
 * ends. */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/world.h"

static struct client *client_of(void *user_data)
{
    return user_data;
}

static struct exchange *exchange_on(const struct client *client, int32_t stream)
{
    for (int i = 0; i < client->count; i++)
        if (client->exchanges[i]->stream == stream)
            return client->exchanges[i];
    return NULL;
}

/* ---------------------------------------------------------------- requests */

// NOLINTNEXTLINE(readability-non-const-parameter): the type is nghttp2's
static ssize_t give_content(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    struct exchange *exchange = source->ptr;
    (void)user_data;
    bool tunnel = exchange->is_connect;
    if ((tunnel && !exchange->upgraded_here) ||
        (exchange->expects && exchange->patient && !exchange->continued && !exchange->final)) {
        exchange->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    uint32_t left = exchange->content - exchange->given;
    if (room > left)
        room = left;
    if (room > 1 && random_chance(&world->random, 30))
        room = 1 + random_size(&world->random, (uint32_t)room - 1);
    memcpy(to, pattern_of(exchange->id, false) + exchange->given, room);
    exchange->given += (uint32_t)room;
    if (exchange->given < exchange->content)
        return (ssize_t)room;
    *flags = NGHTTP2_DATA_FLAG_EOF;
    if (exchange->trailers) {
        const nghttp2_nv sum = {(uint8_t *)"x-sum", (uint8_t *)"1", 5, 1, 0};
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, id, &sum, 1) != 0)
            world_fail("client %d: no trailers", exchange->client->number);
    }
    return (ssize_t)room;
}

void client_h2_ask(struct exchange *exchange, const char *const (*fields)[2], size_t count)
{
    nghttp2_nv pairs[H2_FIELDS];
    for (size_t i = 0; i < count; i++)
        pairs[i] =
            (nghttp2_nv){(uint8_t *)(uintptr_t)fields[i][0], (uint8_t *)(uintptr_t)fields[i][1],
                         strlen(fields[i][0]), strlen(fields[i][1]), 0};
    const nghttp2_data_provider provider = {{.ptr = exchange}, give_content};
    bool content = exchange->content > 0 || exchange->chunked || exchange->is_connect;
    exchange->from = exchange->head_end = exchange->to = SIZE_MAX;
    exchange->stream = nghttp2_submit_request(exchange->client->session, NULL, pairs, count,
                                              content ? &provider : NULL, NULL);
    if (exchange->stream < 0)
        world_fail("client %d cannot ask: %s", exchange->client->number,
                   nghttp2_strerror(exchange->stream));
}

static int before_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct client *client = client_of(user_data);
    struct exchange *exchange = exchange_on(client, frame->hd.stream_id);
    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && exchange != NULL && exchange->from == SIZE_MAX)
        exchange->from = client->out_used;
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct client *client = client_of(user_data);
    struct exchange *exchange = exchange_on(client, frame->hd.stream_id);
    (void)session;
    bool of_request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (exchange == NULL || !of_request)
        return 0;
    exchange->head_leaves = exchange->head_end == SIZE_MAX;
    exchange->end_leaves = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    return 0;
}

static void over(struct exchange *exchange)
{
    if (exchange->gone)
        return;
    exchange->gone = true;
    exchange->client->answered++;
    if (!exchange->resets)
        exchange->client->active_at = world_now();
}

static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *user_data)
{
    struct exchange *exchange = exchange_on(client_of(user_data), frame->hd.stream_id);
    (void)session, (void)code;
    if (frame->hd.type == NGHTTP2_HEADERS && exchange != NULL && exchange->from == SIZE_MAX)
        over(exchange); /* it was told to ask no more */
    return 0;
}

/* ---------------------------------------------------------------- answers */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct client *client = client_of(user_data);
    (void)session, (void)frame;
    client->head = (struct head){0};
    client->trailer_seen = false;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user_data)
{
    struct client *client = client_of(user_data);
    struct head *head = &client->head;
    char text[32] = "";
    (void)session, (void)frame, (void)flags;
    memcpy(text, value, value_length < sizeof text ? value_length : sizeof text - 1);
    if (name_length == 7 && memcmp(name, ":status", 7) == 0) {
        head->status = (unsigned)strtoul(text, NULL, 10);
    } else if (name_length == 4 && memcmp(name, "x-id", 4) == 0) {
        head->has_id = true;
        head->id = (uint32_t)strtoul(text, NULL, 10);
    } else if (name_length == 14 && memcmp(name, "content-length", 14) == 0) {
        head->has_length = true;
        head->length = strtoull(text, NULL, 10);
    } else if (name_length == 5 && memcmp(name, "x-end", 5) == 0) {
        client->trailer_seen = true;
    }
    return 0;
}

static void resume(struct exchange *exchange)
{
    if (exchange->deferred && !exchange->gone)
        nghttp2_session_resume_data(exchange->client->session, exchange->stream);
    exchange->deferred = false;
}

static void take_head(struct exchange *exchange, const struct head *head)
{
    struct client *client = exchange->client;
    if (exchange->final) { /* trailers */
        if (!exchange->trailers_out || !client->trailer_seen)
            world_fail("client %d: strange trailers", client->number);
        return;
    }
    if (head->status < 200) {
        reader_informational(exchange, head);
        resume(exchange);
        return;
    }
    LOG("client %d sees %u for %u", client->number, head->status, exchange->id);
    exchange->final = true;
    if (!head->has_id) {
        reader_refusal(exchange, head);
        exchange->cut = exchange->cut || !exchange->released;
        exchange->length = UINT32_MAX; /* the content is the engine's */
    } else {
        reader_answer(exchange, head);
        exchange->upgraded_here = exchange->upgraded;
        if (exchange->upgraded)
            exchange->content = random_size(&world->random, 20000);
    }
    resume(exchange);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *user_data)
{
    struct client *client = client_of(user_data);
    struct exchange *exchange = exchange_on(client, id);
    (void)session, (void)flags;
    client->owed += (uint32_t)length;
    if (exchange == NULL || exchange->gone || client->mutated)
        return 0;
    exchange->owed += (uint32_t)length;
    if (exchange->length != UINT32_MAX &&
        (exchange->seen + length > exchange->length ||
         memcmp(data, pattern_of(exchange->id, true) + exchange->seen, length) != 0))
        world_fail("client %d: the content of %u is wrong at %u", client->number, exchange->id,
                   exchange->seen);
    exchange->seen += (uint32_t)length;
    exchange->seen_at = world_now();
    return 0;
}

static void answer_is_whole(struct exchange *exchange)
{
    bool none = exchange->is_head || exchange->status == 204 || exchange->status == 304;
    if (exchange->length != UINT32_MAX && !none && exchange->seen != exchange->length)
        world_fail("client %d: %u bytes of %u for %u", exchange->client->number, exchange->seen,
                   exchange->length, exchange->id);
    LOG("client %d has the whole answer to %u", exchange->client->number, exchange->id);
    exchange->answered = true;
    world->answered++;
}

/* Half a head, or half of the trailers, has been there for long. */
bool client_h2_too_slow(const struct client *client)
{
    uint64_t now = world_now();
    for (int i = 0; i < client->count; i++) {
        const struct exchange *exchange = client->exchanges[i];
        bool section = !exchange->handed || (exchange->trailers && client->taken < exchange->to);
        if (section && exchange->taken_at > 0 &&
            now > exchange->taken_at + world->options.header_timeout)
            return true;
    }
    return false;
}

/* Whether the peer may say that it takes no more. */
static bool may_go_away(const struct client *client)
{
    const carom_options *options = &world->options;
    uint64_t now = world_now();
    uint64_t asked_at = client->accepted_at;
    uint64_t idle = (uint64_t)options->keep_alive + options->keep_alive_grace;
    uint32_t asked = 0;
    bool told = false;
    for (int i = 0; i < client->count; i++) {
        asked += client->exchanges[i]->from < client->sent;
        told |= client->exchanges[i]->says_close && client->exchanges[i]->begun;
        if (client->exchanges[i]->taken_at > asked_at)
            asked_at = client->exchanges[i]->taken_at;
    }
    return told || world->draining || client->mutated || client_h2_too_slow(client) ||
           world->memory_failed || asked >= options->max_connection_requests ||
           now >= client->accepted_at + options->first_byte_timeout || now > asked_at + idle ||
           now > client->active_at + idle;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct client *client = client_of(user_data);
    struct exchange *exchange = exchange_on(client, frame->hd.stream_id);
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        LOG("client %d sees GOAWAY %u, up to %d", client->number, frame->goaway.error_code,
            frame->goaway.last_stream_id);
        client->closing = true;
        client->last_stream = frame->goaway.last_stream_id;
        client->calmed = frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM;
        bool orderly = frame->goaway.error_code == NGHTTP2_NO_ERROR || client->mutated ||
                       (client->calmed && client_h2_too_slow(client));
        if (!may_go_away(client) || !orderly)
            world_fail("client %d: GOAWAY %u for no reason", client->number,
                       frame->goaway.error_code);
    }
    bool of_answer = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!of_answer || exchange == NULL || exchange->gone || client->mutated)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS)
        take_head(exchange, &client->head);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        answer_is_whole(exchange);
    return 0;
}

bool client_h2_is_slow(const struct client *client)
{
    return client->window > 0 || client->stingy || client->pieces > 0 || client->stalled ||
           client->finished || client->refused;
}

/* Whether the answer to `exchange` may be missing, or cut short. */
static bool excused(const struct client *client, const struct exchange *exchange)
{
    const carom_options *options = &world->options;
    uint64_t now = world_now();
    if (exchange->answered || exchange->resets || exchange->cut || exchange->over ||
        client->reset || client->mutated || client->calmed || client->deaf || client->stalled ||
        client->refused || world->memory_failed || carom_peer_failed(client->peer))
        return true;
    for (int i = 0; i < client->count; i++)
        if (client->exchanges[i]->unreadable)
            return true;
    if (!exchange->handed && (world->draining || options->refuse_connections ||
                              (client->closing && exchange->stream > client->last_stream)))
        return true;
    if (world->draining && now >= world->drain_deadline)
        return true;
    bool small = exchange->length < 16000 && !client->stingy && client->window == 0;
    /* What a VM has said to be whole the engine may not have taken. */
    if (client->finished && (world->on_ring || !(exchange->whole && small)))
        return true;
    uint64_t answerable = exchange->handed ? exchange->handed_at : exchange->taken_at;
    if (client_h2_is_slow(client) && answerable != 0 && /* a refusal has no more time */
        now >= answerable + options->write_timeout)
        return true;
    if (client->window > 0 && now >= client->progress_at + options->write_timeout)
        return true;
    if (client->taken < NGHTTP2_CLIENT_MAGIC_LEN && /* all that was sent may be one record of TLS */
        now >= client->accepted_at + options->first_byte_timeout)
        return true;
    return !exchange->handed && now >= client->active_at + options->keep_alive;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    struct client *client = client_of(user_data);
    struct exchange *exchange = exchange_on(client, id);
    (void)session;
    if (exchange == NULL || exchange->gone)
        return 0;
    LOG("client %d: the stream of %u is closed: %u", client->number, exchange->id, code);
    bool too_many = code == NGHTTP2_REFUSED_STREAM && !exchange->handed &&
                    client->count > (int)world->options.h2_max_streams;
    if (!too_many && !excused(client, exchange))
        world_fail("client %d: request %u was not answered: %u", client->number, exchange->id,
                   code);
    if (client->closing && id > client->last_stream && exchange->handed)
        world_fail("client %d: request %u was served behind the last one", client->number,
                   exchange->id);
    over(exchange);
    return 0;
}

/* ---------------------------------------------------------------- life */

static nghttp2_session_callbacks *callbacks(void)
{
    static nghttp2_session_callbacks *all;
    if (all != NULL)
        return all;
    if (nghttp2_session_callbacks_new(&all) != 0)
        abort();
    nghttp2_session_callbacks_set_before_frame_send_callback(all, before_frame_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(all, on_frame_not_send);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(all, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, on_stream_close);
    return all;
}

void client_h2_open(struct client *client)
{
    struct random *random = &world->random;
    nghttp2_option *option;
    client->stingy = random_chance(random, 25);
    client->last_stream = INT32_MAX;
    if (nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_option_set_no_auto_window_update(option, client->stingy);
    if (nghttp2_session_client_new2(&client->session, callbacks(), client, option) != 0)
        abort();
    nghttp2_option_del(option);
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
         client->stingy ? 1 + random_size(random, 100000) : 65535},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, random_size(random, 8192)},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, random_between(random, 16384, 60000)},
    };
    if (nghttp2_submit_settings(client->session, 0, entries, sizeof entries / sizeof *entries) != 0)
        abort();
}

void client_h2_close(struct client *client)
{
    nghttp2_session_del(client->session);
    client->session = NULL;
}

/* ---------------------------------------------------------------- acting */

/* Its frames end with what was appended now, or before. */
static void note_place(const struct client *client, struct exchange *exchange)
{
    if (exchange->head_leaves)
        exchange->head_end = client->out_used;
    if (exchange->end_leaves)
        exchange->to = client->out_used;
    exchange->head_leaves = exchange->end_leaves = false;
}

/* What the session has to say is behind what is to be sent. */
static void speak(struct client *client)
{
    const uint8_t *data;
    ssize_t length;
    while ((length = nghttp2_session_mem_send(client->session, &data)) > 0) {
        client_append(client, data, (size_t)length);
        for (int i = 0; i < client->count; i++)
            note_place(client, client->exchanges[i]);
    }
    if (length < 0)
        world_fail("client %d cannot speak: %s", client->number, nghttp2_strerror((int)length));
}

static bool give_credit(struct client *client)
{
    if (!client->stingy || client->owed == 0)
        return false;
    nghttp2_session_consume_connection(client->session, client->owed);
    client->owed = 0;
    for (int i = 0; i < client->count; i++) {
        struct exchange *exchange = client->exchanges[i];
        if (exchange->owed > 0 && !exchange->gone)
            nghttp2_session_consume_stream(client->session, exchange->stream, exchange->owed);
        exchange->owed = 0;
    }
    LOG("client %d gives credit", client->number);
    return true;
}

static void reset_one(struct client *client)
{
    struct exchange *exchange =
        client->exchanges[random_below(&world->random, (uint32_t)client->count)];
    if (exchange->gone || exchange->from == SIZE_MAX)
        return;
    LOG("client %d resets the stream of %u", client->number, exchange->id);
    exchange->resets = true;
    nghttp2_submit_rst_stream(client->session, 0, exchange->stream, NGHTTP2_CANCEL);
}

static bool may_ask(const struct client *client)
{
    return client->requests > 0 && !client->closing && !client->refused &&
           client->count - client->answered < (int)client->depth &&
           nghttp2_session_check_request_allowed(client->session);
}

bool client_h2_act(struct client *client)
{
    struct random *random = &world->random;
    if (client->mute)
        return false;
    if (client->count > 0 && random_chance(random, 2))
        reset_one(client);
    if (random_chance(random, 1))
        nghttp2_submit_ping(client->session, 0, NULL);
    bool acts = random_chance(random, 50) && give_credit(client);
    if (may_ask(client) && random_chance(random, 60) && plan_exchange(client) != NULL) {
        client->requests--;
        acts = true;
    }
    speak(client);
    if (client->sent < client->out_used && line_is_open(client)) {
        client_send_piece(client, client->out_used);
        return true;
    }
    if (acts || give_credit(client))
        return true;
    if (may_ask(client) && plan_exchange(client) != NULL) {
        client->requests--;
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- looking */

void client_h2_read(struct client *client)
{
    size_t length;
    const char *bytes = line_received(client, &length);
    if (client->seen == length)
        return;
    client->progress_at = world_now();
    bool refusal = client->seen == 0 && memcmp(bytes, "HTTP", length < 4 ? length : 4) == 0;
    if (refusal || client->refused) { /* nobody knew what it speaks */
        client->refused = true;
        if (!world->options.refuse_connections && !client->mutated && !world->memory_failed &&
            client->preface_at != 0 &&
            client->preface_at <= client->opened_at + world->options.header_timeout)
            world_fail("client %d: answered in HTTP/1.1", client->number);
        return;
    }
    ssize_t taken = nghttp2_session_mem_recv(client->session, (const uint8_t *)bytes + client->seen,
                                             length - client->seen);
    client->seen = length;
    if (taken < 0 && !client->mutated)
        world_fail("client %d does not understand: %s", client->number,
                   nghttp2_strerror((int)taken));
}

void client_h2_conclude(struct client *client)
{
    for (int i = 0; i < client->count; i++) {
        struct exchange *exchange = client->exchanges[i];
        if (!exchange->gone && exchange->from < client->sent && !excused(client, exchange))
            world_fail("client %d: request %u was not answered%s", client->number, exchange->id,
                       exchange->final ? " whole" : "");
    }
    bool orderly = !client->finished && !client->reset && !client->refused && !client->stalled &&
                   !client->deaf && !client->mutated && !world->memory_failed &&
                   !carom_peer_failed(client->peer) && client->window == 0;
    for (int i = 0; i < client->count; i++)
        orderly &= !client->exchanges[i]->unreadable;
    if (orderly && !client->closing && !world->draining &&
        client->taken >= NGHTTP2_CLIENT_MAGIC_LEN && !world->options.refuse_connections)
        world_fail("client %d: closed without GOAWAY", client->number);
}

/* The last of its streams may have ended by our word alone: an answer that it does not let through,
 * or content that is not to come any more. */
bool client_h2_late(const struct client *client)
{
    const carom_options *options = &world->options;
    uint64_t most = options->keep_alive + options->keep_alive_grace, now = world_now();
    if (options->first_byte_timeout > most)
        most = options->first_byte_timeout;
    if (options->header_timeout > most)
        most = options->header_timeout; /* of a preface, or of a head */
    if (client->line != NULL)
        most += options->handshake_timeout;
    most += 1002; /* a clock ticks each second */
    return client->answered == client->count && client->fin_at == 0 && !client->closing &&
           now > client->active_at + most && now > client->busy_at + most &&
           now > client->progress_at + most;
}
