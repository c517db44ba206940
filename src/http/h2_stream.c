/* HTTP/2, one stream and its record: gives the record's response to nghttp2, ends the stream, and
 * gives the client credit for content that the handler has read. */
#include <netinet/in.h>
#include <string.h>

#include "http/admission.h"
#include "http/h2.h"
#include "http/respond.h"
#include "http/tunnel.h"
#include "wire/h2_response.h"

/* A window that is used up in less than this is too small for its link. */
#define FAST 500

static struct carom_h2 *h2_of(const struct carom_h2_stream *stream)
{
    return carom_h2_of(stream->connection);
}

struct carom_h2_stream *carom_h2_stream_create(struct carom_h2 *h2, int32_t id)
{
    struct carom_connection *connection = h2->connection;
    struct carom_connections *connections = carom_connections_of(connection);
    struct carom_h2_stream *stream = carom_pool_take(&carom_h2_shared_of(connections)->streams);
    if (stream == NULL)
        return NULL;
    *stream = (struct carom_h2_stream){
        .connection = connection,
        .id = id,
        .window = connections->options->h2_stream_window,
    };
    carom_node_init(&stream->link);
    carom_node_init(&stream->sending);
    stream->record = carom_record_take(&connections->records, &carom_h2_exchange_ops, stream);
    if (stream->record == NULL) {
        carom_pool_give(&carom_h2_shared_of(connections)->streams, stream);
        return NULL;
    }
    carom_connection_hold(connection);
    carom_list_append(&h2->exchanges, &stream->record->link);
    h2->in_flight++;
    nghttp2_session_set_stream_user_data(h2->session, id, stream);
    return stream;
}

void carom_h2_section_lost(struct carom_h2 *h2)
{
    if (h2->reading != NULL)
        carom_h2_section_finish(&h2->section);
    h2->reading = NULL;
}

void carom_h2_stream_detach(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    carom_record *record = stream->record;
    stream->detached = true;
    if (!stream->closed)
        nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
    if (h2->reading == stream)
        carom_h2_section_lost(h2);
    carom_h2_stream_unlist(h2, stream);
    carom_node_remove(&stream->sending);
    carom_node_remove(&record->link);
    carom_owed_forget(carom_connections_of(stream->connection), &h2->owed, record);
    h2->in_flight--;
    carom_record_drop(record, CAROM_HOLD_EXCHANGE);
}

void carom_h2_stream_begin(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    stream->fresh = true;
    h2->fresh_count++;
    carom_list_append(&h2->fresh, &stream->link);
}

void carom_h2_stream_unlist(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    carom_node_remove(&stream->link);
    h2->fresh_count -= stream->fresh;
    stream->fresh = false;
}

void carom_h2_stream_touch(struct carom_h2_stream *stream)
{
    if (stream->detached)
        return;
    if (stream->fresh && (stream->closed || carom_record_over(stream->record)))
        carom_h2_stream_unlist(h2_of(stream), stream); /* no handler gets it any more */
    if (carom_node_alone(&stream->link))
        carom_list_append(&h2_of(stream)->changed, &stream->link);
    carom_connection_touch(stream->connection);
}

void carom_h2_stream_refuse(struct carom_h2_stream *stream, unsigned status, carom_reason reason)
{
    carom_admission_refuse(stream->record, status, reason);
    carom_h2_stream_touch(stream);
}

/* ---------------------------------------------------------------- credit */

/* The size a window should have, when `used` more of it has been used up at `now`. */
static uint32_t window_for(uint32_t window, uint32_t most, uint64_t used, uint64_t now,
                           uint64_t *since, uint64_t *counted)
{
    if (*counted == 0)
        *since = now;
    *counted += used;
    if (*counted < window)
        return window;
    bool fast = now - *since < FAST;
    *counted = 0;
    if (!fast || window >= most)
        return window;
    return window > most / 2 ? most : window * 2;
}

static void grow_windows(struct carom_h2 *h2, struct carom_h2_stream *stream, uint64_t used)
{
    const struct carom_connections *connections = carom_connections_of(h2->connection);
    const carom_options *options = connections->options;
    uint64_t now = connections->records.now;
    uint32_t window = window_for(stream->window, options->h2_stream_window_max, used, now,
                                 &stream->window_since, &stream->window_used);
    if (window > stream->window) {
        stream->window = window;
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, stream->id,
                                              (int32_t)window);
    }
    int32_t whole = nghttp2_session_get_effective_local_window_size(h2->session);
    window = window_for((uint32_t)whole, options->h2_connection_window_max, used, now,
                        &h2->window_since, &h2->window_used);
    if (window > (uint32_t)whole)
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, (int32_t)window);
}

void carom_h2_stream_credit(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    const carom_record *record = stream->record;
    uint64_t waiting = record->collecting ? 0 : record->content.length;
    uint64_t given = record->content_received - waiting;
    if (given <= stream->credited)
        return;
    uint64_t owed = given - stream->credited;
    stream->credited = given;
    if (stream->closed || record->request != CAROM_REQUEST_CONTENT) {
        nghttp2_session_consume_connection(h2->session, (size_t)owed);
        return;
    }
    nghttp2_session_consume(h2->session, stream->id, (size_t)owed);
    grow_windows(h2, stream, owed);
}

/* What its content held of the connection's window is free. */
static void leave(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    uint64_t owed = stream->record->content_received - stream->credited;
    if (owed > 0)
        nghttp2_session_consume_connection(h2->session, (size_t)owed);
    stream->credited += owed;
    carom_h2_stream_detach(h2, stream);
}

/* ---------------------------------------------------------------- heads, trailers, content */

/* Room for so many pairs, of which nothing stays, in a page that the caller drops. */
static nghttp2_nv *room_for_pairs(struct carom_arena *arena, size_t count, struct carom_page **page)
{
    const uintptr_t mask = _Alignof(nghttp2_nv) - 1;
    *page = carom_arena_hold(arena, count * sizeof(nghttp2_nv) + mask);
    if (*page == NULL)
        return NULL;
    uintptr_t place = ((uintptr_t)((*page)->data + (*page)->used) + mask) & ~mask;
    return (nghttp2_nv *)place; // NOLINT(performance-no-int-to-ptr): aligned upwards
}

static int submit_head(struct carom_h2 *h2, struct carom_h2_stream *stream,
                       const struct carom_response_plan *plan, const nghttp2_nv *pairs,
                       size_t count)
{
    if (stream->closed)
        return 0;
    if (plan->status < 200)
        return nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, pairs,
                                      count, NULL);
    const nghttp2_data_provider provider = {.read_callback = carom_h2_read_body};
    bool empty = plan->body == CAROM_BODY_NONE ||
                 (plan->body == CAROM_BODY_LENGTH && plan->content_length == 0);
    return nghttp2_submit_response(h2->session, stream->id, pairs, count, empty ? NULL : &provider);
}

static int h2_head(carom_record *record, const struct carom_response_plan *plan,
                   const carom_response *response)
{
    struct carom_h2_stream *stream = carom_h2_stream_of(record);
    struct carom_connections *connections = carom_connections_of(stream->connection);
    struct carom_page *page;
    nghttp2_nv *pairs = room_for_pairs(&record->records->outgoing,
                                       response->field_count + CAROM_H2_EXTRA_PAIRS, &page);
    if (pairs == NULL)
        return -CAROM_ENOMEM;
    struct carom_h2_extra extra = {
        .date = {(const char *)connections->date_line + 6, CAROM_DATE_LINE - 8},
    };
    size_t count =
        carom_h2_head_pairs(pairs, plan, response->fields, response->field_count, &extra);
    int failed = submit_head(h2_of(stream), stream, plan, pairs, count);
    carom_page_drop(page);
    if (failed != 0)
        return -CAROM_ENOMEM;
    if (plan->status >= 200)
        record->continue_due = false;
    if (plan->close) /* Connection: close, in the words of HTTP/2 */
        carom_h2_drain(stream->connection);
    return 0;
}

/* Trailers wait in record->tail until the content is out: one copied piece with the lengths in
 * front of each name and value. */
static int h2_end(carom_record *record, const carom_field *trailers, size_t count)
{
    struct carom_records *records = record->records;
    if (record->body_kind != CAROM_BODY_CHUNKED || count == 0)
        return 0;
    size_t room = 2 * sizeof(uint32_t) * count + (size_t)carom_fields_bytes(trailers, count);
    struct carom_page *page = carom_arena_hold(&records->outgoing, room);
    if (page == NULL)
        return -CAROM_ENOMEM;
    uint8_t *start = page->data + page->used;
    uint8_t *to = start;
    for (size_t i = 0; i < count; i++) {
        const carom_field *field = &trailers[i];
        const uint32_t lengths[2] = {(uint32_t)field->name.length, (uint32_t)field->value.length};
        memcpy(to, lengths, sizeof lengths);
        to += sizeof lengths;
        memcpy(to, field->name.data, lengths[0]);
        to += lengths[0];
        if (lengths[1] > 0)
            memcpy(to, field->value.data, lengths[1]);
        to += lengths[1];
    }
    page->used += (uint32_t)room;
    int error = carom_queue_append_page(&record->tail, &records->segments, page, start, room);
    if (error < 0)
        page->used -= (uint32_t)room;
    carom_page_drop(page);
    return error;
}

/* The trailer that begins there, and where the next one does. */
static const char *trailer_at(const char *at, nghttp2_nv *pair)
{
    uint32_t lengths[2];
    memcpy(lengths, at, sizeof lengths);
    const carom_slice name = {at + sizeof lengths, lengths[0]};
    const carom_slice value = {name.data + lengths[0], lengths[1]};
    *pair = carom_h2_pair(name, value);
    return value.data + lengths[1];
}

static int submit_trailers(nghttp2_session *session, struct carom_h2_stream *stream)
{
    const struct carom_segment *segment = stream->record->tail.first;
    const char *start = (const char *)segment->data, *end = start + segment->length;
    size_t count = 0;
    nghttp2_nv pair;
    for (const char *at = start; at < end; count++)
        at = trailer_at(at, &pair);
    struct carom_page *page;
    nghttp2_nv *pairs = room_for_pairs(&stream->record->records->outgoing, count, &page);
    if (pairs == NULL)
        return NGHTTP2_ERR_NOMEM;
    const char *at = start;
    for (size_t i = 0; i < count; i++)
        at = trailer_at(at, &pairs[i]);
    int error = nghttp2_submit_trailer(session, stream->id, pairs, count);
    carom_page_drop(page);
    return error;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type is nghttp2's
ssize_t carom_h2_read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)buffer, (void)source, (void)user_data;
    struct carom_h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == NULL)
        return NGHTTP2_ERR_DEFERRED; /* its RST_STREAM is on its way */
    carom_record *record = stream->record;
    if (record->response == CAROM_RESPONSE_CANCELLED ||
        (record->body.length == 0 && record->response < CAROM_RESPONSE_WHOLE)) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    uint64_t taken = record->body.length < length ? record->body.length : length;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (record->response >= CAROM_RESPONSE_WHOLE && taken == record->body.length) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (record->tail.length > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(session, stream) != 0)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)taken;
}

/* ---------------------------------------------------------------- what becomes due */

static void reset(struct carom_h2 *h2, struct carom_h2_stream *stream, uint32_t code)
{
    if (!stream->closed)
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, code);
}

static uint32_t reset_code(const carom_record *record)
{
    switch (record->reason) {
    case CAROM_REASON_BAD_REQUEST:
        return NGHTTP2_PROTOCOL_ERROR;
    case CAROM_REASON_CLIENT_CLOSED:
    case CAROM_REASON_CLIENT_RESET:
        return NGHTTP2_CANCEL;
    default: /* not CANCEL, which clients (hyper, Node) take for the end of a response */
        return NGHTTP2_INTERNAL_ERROR;
    }
}

bool carom_h2_stream_advance(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    carom_record *record = stream->record;
    if (stream->lost && record->response < CAROM_RESPONSE_SENT)
        carom_record_cancel(record, stream->connection->core.peer_done ? CAROM_REASON_CLIENT_CLOSED
                                                                       : CAROM_REASON_CLIENT_RESET);
    if (record->response == CAROM_RESPONSE_CANCELLED) {
        reset(h2, stream, reset_code(record));
        leave(h2, stream);
        return true;
    }
    bool told = record->framed && carom_node_alone(&stream->sending); /* and the kernel has it */
    if (record->response == CAROM_RESPONSE_SENT ||
        (record->response == CAROM_RESPONSE_WHOLE && told)) {
        carom_h2_stream_sent(h2, stream);
        return true;
    }
    if (record->response == CAROM_RESPONSE_OPEN && record->refused != 0 &&
        !carom_respond_refusal(record))
        return false;
    carom_h2_stream_credit(h2, stream);
    if (stream->deferred && (record->body.length > 0 || record->response == CAROM_RESPONSE_WHOLE)) {
        stream->deferred = false;
        nghttp2_session_resume_data(h2->session, stream->id);
    }
    return true;
}

/* Whether the rest of the content is waited for, now that the answer is out: for a while, and up to
 * where new credit would be due. A reset that meets it makes some clients lose the answer, and what
 * is wrong with it is to be told. */
static bool lingers(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    carom_record *record = stream->record;
    const struct carom_connections *connections = carom_connections_of(stream->connection);
    uint32_t timeout = connections->options->linger_timeout;
    bool waits = record->head.expects_continue && !stream->continued && /* for our word */
                 record->content_received == 0;
    if (record->head.is_connect || waits || timeout == CAROM_OFF)
        return false;
    if (record->request < CAROM_REQUEST_WHOLE)
        carom_record_content_dropped(record);
    carom_h2_stream_credit(h2, stream);
    if (stream->lingers_since == 0)
        stream->lingers_since = connections->records.now;
    int32_t left = nghttp2_session_get_stream_local_window_size(h2->session, stream->id);
    return connections->records.now - stream->lingers_since < timeout &&
           left > (int32_t)(stream->window / 2);
}

void carom_h2_stream_sent(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    carom_record *record = stream->record;
    if (record->response == CAROM_RESPONSE_CANCELLED)
        return;                                                       /* the next flush ends it */
    if (!record->framed || record->response < CAROM_RESPONSE_WHOLE) { /* END_STREAM may lead */
        if (record->tunnel != NULL)
            carom_tunnel_sent(record->tunnel);
        else
            carom_record_wake_writer(record);
        return;
    }
    if (record->response != CAROM_RESPONSE_SENT) {
        carom_record_sent(record);
        carom_connections_of(stream->connection)->responses++;
    }
    if (!stream->closed && !stream->connection->core.peer_done) {
        bool reads_on =
            record->request < CAROM_REQUEST_WHOLE && (record->holds & CAROM_HOLD_HANDLER);
        if (reads_on || lingers(h2, stream))
            return;
        reset(h2, stream, NGHTTP2_NO_ERROR); /* RFC 9113, 8.1 */
    }
    leave(h2, stream);
}

/* ---------------------------------------------------------------- the record's calls */

static void h2_changed(carom_record *record)
{
    struct carom_h2_stream *stream = carom_h2_stream_of(record);
    carom_owed_count(carom_connections_of(stream->connection), &h2_of(stream)->owed, record);
    carom_h2_stream_touch(stream);
}

static void h2_want(carom_record *record)
{
    struct carom_h2_stream *stream = carom_h2_stream_of(record);
    struct carom_h2 *h2 = h2_of(stream);
    if (record->continue_due && record->response == CAROM_RESPONSE_OPEN && !stream->closed) {
        static const carom_slice name = CAROM_SLICE(":status");
        static const carom_slice value = CAROM_SLICE("100");
        const nghttp2_nv status = carom_h2_pair(name, value);
        nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, &status, 1, NULL);
        stream->continued = true;
    }
    record->continue_due = false;
    carom_h2_stream_credit(h2, stream);
    carom_h2_stream_touch(stream);
}

/* Others' bytes may lie among ours: at most what is not sent of the output, and of ours. */
static uint64_t h2_unsent(const carom_record *record)
{
    uint64_t sent = carom_h2_stream_of(record)->connection->stream.sent_total;
    uint64_t behind = record->stream_end > sent ? record->stream_end - sent : 0;
    return behind < record->content_framed ? behind : record->content_framed;
}

static void h2_recycled(carom_record *record)
{
    struct carom_h2_stream *stream = carom_h2_stream_of(record);
    struct carom_connection *connection = stream->connection;
    carom_pool_give(&carom_h2_shared_of(carom_connections_of(connection))->streams, stream);
    carom_connection_drop(connection);
}

static struct carom_core *h2_core(const carom_record *record)
{
    return &carom_h2_stream_of(record)->connection->core;
}

const struct carom_exchange_ops carom_h2_exchange_ops = {
    .head = h2_head,
    .end = h2_end,
    .changed = h2_changed,
    .want = h2_want,
    .unsent = h2_unsent,
    .unreceived = h2_unsent,
    .released = h2_changed,
    .core = h2_core,
    .recycled = h2_recycled,
};
