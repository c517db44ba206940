/* HTTP/2, the session: gives the bytes of the connection to nghttp2, notes in nghttp2's callbacks
 * what has happened, and gives the bytes that nghttp2 makes to the stream of the connection. */
#include <string.h>

#include "base/memory.h"
#include "http/admission.h"
#include "http/content.h"
#include "http/h2.h"
#include "http/h2_memory.h"
#include "http/protocols.h"

/* Not every nghttp2 from 1.52 on has it: Debian's does by a security update, others from 1.61 on.
 * Without it nghttp2 has no limit of its own that would have to be lifted. */
static void set_max_continuations(nghttp2_option *option, size_t count)
    __attribute__((weakref("nghttp2_option_set_max_continuations")));

/* What gathers for the kernel at a time: more would only be late for what is more urgent. */
#define OUT_AT_MOST ((uint64_t)128 * 1024)

static const carom_options *options_of(const struct carom_connection *connection)
{
    return carom_connections_of(connection)->options;
}

static void abort_for_memory(struct carom_connection *connection)
{
    carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
}

/* ---------------------------------------------------------------- sections */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct carom_h2 *h2 = user_data;
    struct carom_connections *connections = carom_connections_of(h2->connection);
    const carom_options *options = connections->options;
    int32_t id = frame->hd.stream_id;
    struct carom_h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    bool trailers = frame->headers.cat != NGHTTP2_HCAT_REQUEST;
    carom_h2_section_lost(h2); /* the one before was not valid: its stream is about to be reset */
    h2->section_size = 0;
    if (!trailers && h2->drain == CAROM_H2_GONE && id > h2->last_served) {
        /* GOAWAY, which lets the peer ask again elsewhere, may not have left yet. */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    if (!trailers)
        stream = carom_h2_stream_create(h2, id);
    else if (stream == NULL || stream->record->request != CAROM_REQUEST_CONTENT)
        return 0; /* nobody wants them */
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct carom_fields *fields =
        trailers ? &stream->record->trailers : &stream->record->head.fields;
    const struct carom_h2_limits limits = {options->max_target, options->max_header_section};
    h2->reading = stream;
    carom_h2_section_begin(&h2->section, fields, &connections->small, &connections->records.pages,
                           &limits, trailers);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user_data)
{
    struct carom_h2 *h2 = user_data;
    (void)session;
    (void)frame;
    (void)flags;
    /* A section far over the limit is no mistake: a few bytes of HPACK can stand for very many. */
    h2->section_size += name_length + value_length + CAROM_H2_LINE_COST;
    if (h2->section_size / 8 > options_of(h2->connection)->max_header_section)
        carom_h2_calm(h2);
    if (h2->reading != NULL)
        carom_h2_section_add(&h2->section, (carom_slice){(const char *)name, name_length},
                             (carom_slice){(const char *)value, value_length});
    return 0;
}

/* nghttp2 would leave it out and go on. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_length, const uint8_t *value,
                             size_t value_length, uint8_t flags, void *user_data)
{
    (void)session, (void)frame, (void)name, (void)name_length, (void)value, (void)value_length;
    (void)flags, (void)user_data;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void head_complete(struct carom_h2 *h2, struct carom_h2_stream *stream, bool end_stream)
{
    struct carom_connection *connection = h2->connection;
    struct carom_connections *connections = carom_connections_of(connection);
    carom_record *record = stream->record;
    struct carom_request_head *head = &record->head;
    carom_h2_section_head(&h2->section, &connections->records.outgoing, head, end_stream);
    if (carom_admission_count(&connection->core))
        carom_h2_drain(connection);
    bool content = head->framing != CAROM_FRAMING_NONE && !end_stream;
    carom_request_move(record, content ? CAROM_REQUEST_CONTENT : CAROM_REQUEST_WHOLE);
    unsigned status = h2->section.status;
    if (status == 0)
        status = carom_admission_status(&connection->core, record);
    if (status == 0 && connection->core.refs > 4 * connections->options->h2_max_streams) {
        connections->records.refused++;
        status = 503; /* clients have left their streams, and the handlers still hold them */
    }
    if (status == 0) {
        record->continue_due = head->expects_continue && content;
        carom_h2_stream_begin(h2, stream);
        return;
    }
    carom_h2_stream_refuse(stream, status, carom_admission_reason(status));
}

static void content_complete(struct carom_h2_stream *stream)
{
    carom_record *record = stream->record;
    record->continue_due = false;
    if (record->request != CAROM_REQUEST_CONTENT)
        return;
    carom_record_content_whole(record);
    carom_h2_stream_touch(stream);
}

static void section_complete(struct carom_h2 *h2, bool end_stream)
{
    struct carom_h2_stream *stream = h2->reading;
    h2->reading = NULL;
    if (!h2->section.trailers) {
        head_complete(h2, stream, end_stream);
        return;
    }
    carom_h2_section_trailers(&h2->section,
                              &carom_connections_of(h2->connection)->records.outgoing);
    if (h2->section.status == 0)
        content_complete(stream);
    else
        carom_h2_stream_refuse(stream, h2->section.status,
                               carom_admission_reason(h2->section.status));
}

/* ---------------------------------------------------------------- frames that come */

/* So small a credit costs more than what it lets us send. */
#define TINY_CREDIT 64

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct carom_h2 *h2 = user_data;
    bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (h2->reading != NULL)
            section_complete(h2, end_stream);
        break;
    case NGHTTP2_DATA:
        if (!end_stream && frame->hd.length == frame->data.padlen)
            carom_h2_count(h2, CAROM_H2_CONTROL);
        if (end_stream) {
            struct carom_h2_stream *stream =
                nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
            if (stream != NULL)
                content_complete(stream);
        }
        break;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            carom_h2_frames_settings(h2);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
            h2->pinged = 0;
            carom_h2_drain_on(h2);
        }
        break;
    case NGHTTP2_WINDOW_UPDATE:
        if (frame->window_update.window_size_increment < TINY_CREDIT)
            carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *user_data)
{
    struct carom_h2 *h2 = user_data;
    (void)flags;
    struct carom_h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == NULL) {
        nghttp2_session_consume(session, id, length);
        return 0;
    }
    carom_record *record = stream->record;
    record->content_received += length;
    record->continue_due = false;
    bool fresh = record->holds == CAROM_HOLD_EXCHANGE && record->response == CAROM_RESPONSE_OPEN &&
                 record->refused == 0;
    bool unread = carom_record_over(record) || record->request == CAROM_REQUEST_DROPPED ||
                  (!(record->holds & CAROM_HOLD_HANDLER) && !fresh);
    bool over = record->content_received > options_of(h2->connection)->max_content;
    if (!unread && over && !record->head.is_connect) { /* a tunnel has no end to wait for */
        carom_h2_stream_refuse(stream, 413, CAROM_REASON_OVER_LIMIT);
        unread = true;
    }
    if (!unread) {
        if (carom_content_keep(carom_connections_of(h2->connection), record, true, h2->page, data,
                               (uint32_t)length) < 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        bool collecting = record->collecting;
        carom_record_content_added(record);
        if (!collecting)
            return 0;
    }
    carom_h2_stream_credit(h2, stream);
    if (stream->lingers_since != 0)
        carom_h2_stream_touch(stream);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    struct carom_h2 *h2 = user_data;
    (void)code;
    h2->ids.closed |= carom_h2_ids_bit(&h2->ids, id);
    struct carom_h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == NULL)
        return 0;
    stream->closed = true;
    if (h2->reading == stream)
        carom_h2_section_lost(h2);
    carom_record *record = stream->record;
    if (record->request == CAROM_REQUEST_HEAD) /* its section was not valid */
        carom_request_move(record, CAROM_REQUEST_DROPPED);
    stream->lost = !record->framed;
    carom_h2_stream_touch(stream);
    return 0;
}

/* ---------------------------------------------------------------- frames that go */

/* The last of what a stream has in the output lies at its end. */
static void note_sending(struct carom_h2 *h2, struct carom_h2_stream *stream)
{
    struct carom_stream *out = &h2->connection->stream;
    stream->record->stream_end = out->sent_total + out->out.length;
    carom_node_remove(&stream->sending);
    carom_list_append(&h2->sending, &stream->sending);
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd,
                     size_t length, nghttp2_data_source *source, void *user_data)
{
    struct carom_h2 *h2 = user_data;
    struct carom_records *records = &carom_connections_of(h2->connection)->records;
    struct carom_queue *out = &h2->connection->stream.out;
    (void)source;
    struct carom_h2_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    carom_record *record = stream->record;
    carom_assert(frame->data.padlen == 0); /* we pad nothing */
    if (carom_queue_append_copy(out, &records->segments, &records->outgoing, framehd, 9) < 0 ||
        carom_queue_move(out, &record->body, length, &records->segments) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    record->content_framed += length;
    h2->framed += length;
    note_sending(h2, stream);
    carom_owed_count(carom_connections_of(h2->connection), &h2->owed, record);
    return out->length < OUT_AT_MOST ? 0 : NGHTTP2_ERR_PAUSE; /* it would go on by itself */
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct carom_h2 *h2 = user_data;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h2->ids.reset |= carom_h2_ids_bit(&h2->ids, frame->hd.stream_id);
        carom_h2_count_verdict(h2, frame->rst_stream.error_code);
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct carom_h2_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream == NULL || stream->detached)
        return 0;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        stream->record->framed = true;
        carom_owed_learn(carom_connections_of(h2->connection), stream->record->content_framed);
    }
    note_sending(h2, stream);
    return 0;
}

/* ---------------------------------------------------------------- output */

/* Move what nghttp2 has to say into the stream. False when the connection is over. */
static bool pump(struct carom_h2 *h2)
{
    struct carom_connection *connection = h2->connection;
    struct carom_records *records = &carom_connections_of(connection)->records;
    while (connection->stream.out.length < OUT_AT_MOST) {
        const uint8_t *data;
        ssize_t length = nghttp2_session_mem_send(h2->session, &data);
        if (length == 0)
            return true;
        if (length < 0 || carom_queue_append_copy(&connection->stream.out, &records->segments,
                                                  &records->outgoing, data, (size_t)length) < 0) {
            abort_for_memory(connection);
            return false;
        }
    }
    return true;
}

/* Complete what the kernel has taken. Whether that was anything: there may be more to say then. */
static bool complete(struct carom_h2 *h2)
{
    uint64_t sent = h2->connection->stream.sent_total;
    bool some = false;
    while (!carom_node_alone(&h2->sending)) {
        struct carom_h2_stream *stream =
            carom_container(h2->sending.next, struct carom_h2_stream, sending);
        if (stream->record->stream_end > sent)
            break;
        carom_node_remove(&stream->sending);
        carom_h2_stream_sent(h2, stream);
        some = true;
    }
    return some;
}

/* All that is in flight are handlers that go on with an answer whose END_STREAM is out, as to HEAD.
 */
static bool only_handlers(const struct carom_h2 *h2)
{
    const struct carom_node *node = h2->exchanges.next;
    while (node != &h2->exchanges &&
           carom_h2_stream_of(carom_container(node, carom_record, link))->closed)
        node = node->next;
    return h2->in_flight > 0 && node == &h2->exchanges;
}

/* Nothing more can come of this connection. */
static bool over(const struct carom_h2 *h2)
{
    const struct carom_connection *connection = h2->connection;
    if (connection->stream.out.length > 0 || nghttp2_session_want_write(h2->session))
        return false;
    bool drained = !nghttp2_session_want_read(h2->session);
    if (drained && h2->drain == CAROM_H2_GONE && only_handlers(h2))
        return false;
    return drained || (connection->core.peer_done && h2->in_flight == 0);
}

static void end(struct carom_h2 *h2)
{
    struct carom_connection *connection = h2->connection;
    carom_reason why = h2->calm ? CAROM_REASON_OVER_LIMIT : CAROM_REASON_BAD_REQUEST;
    struct carom_node *node = h2->exchanges.next;
    for (; node != &h2->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        bool closed = carom_h2_stream_of(record)->closed;
        carom_record_cancel(record, closed ? CAROM_REASON_CLIENT_CLOSED : why);
    }
    carom_connection_end(connection, true);
}

static void h2_flush(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    if (h2->processing || connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    bool more;
    do {
        struct carom_node *node;
        uint64_t before = connection->stream.sent_total;
        while ((node = carom_list_take(&h2->changed)) != NULL)
            if (!carom_h2_stream_advance(h2, carom_container(node, struct carom_h2_stream, link))) {
                abort_for_memory(connection);
                return;
            }
        if (!carom_stream_stalled(&connection->stream) && !pump(h2))
            return;
        carom_stream_flush(&connection->stream);
        more = complete(h2) || connection->stream.sent_total != before;
    } while (more && !carom_stream_stalled(&connection->stream));
    carom_h2_dispatch(h2);
    if (over(h2))
        end(h2);
    else
        carom_h2_keep_time(connection);
}

/* ---------------------------------------------------------------- input */

static void h2_received(struct carom_connection *connection, struct carom_page *page,
                        const uint8_t *data, uint32_t length)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    struct carom_connections *connections = carom_connections_of(connection);
    h2->page = page;
    h2->heard = connections->records.now;
    h2->processing = true;
    bool taken = carom_h2_frames_receive(h2, data, length);
    h2->page = NULL;
    if (!taken) {
        abort_for_memory(connection);
        return;
    }
    carom_h2_dispatch(h2);
    h2->processing = false;
    carom_connection_touch(connection);
}

static void h2_peer_done(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    struct carom_node *node = h2->exchanges.next;
    for (; node != &h2->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        if (record->request < CAROM_REQUEST_WHOLE)
            carom_record_content_dropped(record);
        else if (options_of(connection)->half_close)
            continue;
        if (record->response < CAROM_RESPONSE_WHOLE)
            carom_record_cancel(record, CAROM_REASON_CLIENT_CLOSED);
        carom_h2_stream_touch(carom_h2_stream_of(record));
    }
    carom_h2_section_lost(h2);
    h2->section_since = 0;
    carom_connection_touch(connection);
}

static void h2_resume(struct carom_connection *connection)
{
    (void)connection; /* no input waits: windows hold it back */
}

/* A frame is cut off in the middle, which is the end of the connection. The first stream that has
 * bytes left is told why; with others among them it may be another's file. */
static void h2_file_failed(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    complete(h2);
    if (!carom_node_alone(&h2->sending))
        carom_record_cancel(
            carom_container(h2->sending.next, struct carom_h2_stream, sending)->record,
            CAROM_REASON_FILE_FAILED);
}

/* ---------------------------------------------------------------- life */

static void h2_cancel(struct carom_connection *connection, carom_reason reason)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    while (!carom_node_alone(&h2->exchanges)) {
        carom_record *record = carom_container(h2->exchanges.next, carom_record, link);
        carom_record_cancel(record, reason);
        carom_h2_stream_detach(h2, carom_h2_stream_of(record));
    }
}

static void h2_drop(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    if (h2 == NULL)
        return;
    carom_h2_section_lost(h2);
    carom_node_remove(&h2->owed.waiting);
    nghttp2_session_del(h2->session);
    connection->core.protocol_state = NULL;
    carom_pool_give(&carom_h2_shared_of(carom_connections_of(connection))->sessions, h2);
}

static bool submit_settings(struct carom_h2 *h2)
{
    const carom_options *options = options_of(h2->connection);
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->h2_max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options->h2_stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options->max_header_section},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* RFC 9218, 2.1 */
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, options->h2_connect_protocol},
    };
    return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries,
                                   sizeof entries / sizeof *entries) == 0 &&
           nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)options->h2_connection_window) == 0;
}

static bool h2_begin(struct carom_connection *connection)
{
    struct carom_connections *connections = carom_connections_of(connection);
    struct carom_h2_shared *shared = carom_h2_shared_of(connections);
    struct carom_h2 *h2 = carom_pool_take(&shared->sessions);
    if (h2 == NULL)
        return false;
    connections->look_at_all_pools = true;
    connections->h2_connections++;
    *h2 = (struct carom_h2){.connection = connection, .frames = {.skip = NGHTTP2_CLIENT_MAGIC_LEN}};
    carom_node_init(&h2->exchanges);
    carom_owed_init(&h2->owed, &connection->core);
    carom_node_init(&h2->fresh);
    carom_node_init(&h2->changed);
    carom_node_init(&h2->sending);
    h2->heard = carom_records_now(&connections->records);
    nghttp2_mem memory = carom_h2_memory(&shared->bins);
    if (nghttp2_session_server_new3(&h2->session, shared->callbacks, h2, shared->option, &memory) !=
        0) {
        carom_pool_give(&shared->sessions, h2);
        return false;
    }
    connection->core.protocol_state = h2;
    if (!submit_settings(h2)) {
        h2_drop(connection);
        return false;
    }
    carom_connection_read_within(connection, connections->options->first_byte_timeout);
    if (connections->records.draining)
        carom_h2_drain(connection);
    return true;
}

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
}

/* ---------------------------------------------------------------- what they share */

static int h2_share(struct carom_connections *connections)
{
    struct carom_h2_shared *shared = carom_memory_take_zeroed(sizeof *shared);
    if (shared == NULL)
        return -CAROM_ENOMEM;
    connections->shared[CAROM_SPEAKS_H2] = shared;
    carom_pool_init(&shared->sessions, sizeof(struct carom_h2), 0);
    carom_pool_init(&shared->streams, sizeof(struct carom_h2_stream), 0);
    carom_bins_init(&shared->bins);
    carom_connections_add_pool(connections, &shared->sessions, true);
    carom_connections_add_pool(connections, &shared->streams, true);
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        carom_connections_add_pool(connections, &shared->bins.pools[i], true);
    if (nghttp2_session_callbacks_new(&shared->callbacks) != 0 ||
        nghttp2_option_new(&shared->option) != 0)
        return -CAROM_ENOMEM;
    set_callbacks(shared->callbacks);
    nghttp2_option_set_no_auto_window_update(shared->option, 1);
    nghttp2_option_set_no_closed_streams(shared->option, 1);
    nghttp2_option_set_builtin_recv_extension_type(shared->option, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_max_settings(shared->option, 32);
    /* We limit it. nghttp2 adds to this, so it is less than the most of 32 bits. */
    nghttp2_option_set_max_send_header_block_length(shared->option, INT32_MAX);
    if (set_max_continuations != NULL) /* h2_frames.c counts */
        set_max_continuations(shared->option, SIZE_MAX);
    return 0;
}

static void h2_unshare(struct carom_connections *connections)
{
    struct carom_h2_shared *shared = carom_h2_shared_of(connections);
    carom_pool_finish(&shared->sessions);
    carom_pool_finish(&shared->streams);
    carom_bins_finish(&shared->bins);
    nghttp2_session_callbacks_del(shared->callbacks);
    nghttp2_option_del(shared->option);
    carom_memory_give(shared, sizeof *shared);
}

const struct carom_stream_protocol carom_h2_protocol = {
    .protocol.carrier = &carom_stream_carrier,
    .protocol.share = h2_share,
    .protocol.unshare = h2_unshare,
    .begin = h2_begin,
    .received = h2_received,
    .peer_done = h2_peer_done,
    .resume = h2_resume,
    .read_timeout = carom_h2_read_timeout,
    .flush = h2_flush,
    .file_failed = h2_file_failed,
    .drain = carom_h2_drain,
    .cancel = h2_cancel,
    .drop = h2_drop,
};
