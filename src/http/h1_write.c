/* HTTP/1.1, writing: the responses of records become bytes of the connection, in the order of the
 * requests. A response that is ready before its turn waits in its record. */
#include <string.h>

#include "base/copy.h"
#include "http/h1.h"
#include "http/respond.h"
#include "http/tunnel.h"
#include "wire/chunked.h"
#include "wire/h1_response.h"

static struct carom_connection *connection_of(const carom_record *record)
{
    return record->exchange;
}

static carom_record *first_of(struct carom_connection *connection)
{
    const struct carom_h1 *h1 = carom_h1_of(connection);
    if (carom_node_alone(&h1->exchanges))
        return NULL;
    return carom_container(h1->exchanges.next, carom_record, link);
}

static void count_owed(carom_record *record)
{
    struct carom_connection *connection = connection_of(record);
    carom_owed_count(carom_connections_of(connection), &carom_h1_of(connection)->owed, record);
}

/* ---------------------------------------------------------------- heads */

/* Content that is still to come is more than we would read for nothing. */
static bool content_in_the_way(const carom_record *record)
{
    const struct carom_connection *connection = connection_of(record);
    if (record->request == CAROM_REQUEST_DROPPED)
        return true;
    if (record->request == CAROM_REQUEST_WHOLE)
        return false;
    if (record->continue_due)
        return true; /* it may come or not: RFC 9110, 10.1.1 */
    return carom_h1_of(connection)->phase == CAROM_H1_LENGTH && !record->wanted &&
           !record->collecting &&
           carom_h1_of(connection)->left > carom_connections_of(connection)->options->drain_content;
}

static enum carom_h1_connection connection_lines(carom_record *record,
                                                 const struct carom_response_plan *plan)
{
    struct carom_connection *connection = connection_of(record);
    CAROM_MARK_IF(carom_connections_of(connection)->records.draining,
                  "drain with requests in flight");
    if (plan->body == CAROM_BODY_TUNNEL) {
        CAROM_MARK_IF(carom_connections_of(connection)->records.draining, "drain, then an upgrade");
        return record->head.is_connect ? CAROM_H1_KEEP : CAROM_H1_UPGRADE;
    }
    /* What was taken in before the end is still answered: the last of it says so. */
    bool ending = connection->core.peer_done || carom_connections_of(connection)->records.draining;
    bool last = record->link.next == &carom_h1_of(connection)->exchanges;
    /* No tunnel: what follows was meant for its other end, and is no request (RFC 9931). */
    bool refused = record->head.is_connect;
    if (!record->head.keep_alive || plan->close || plan->body == CAROM_BODY_UNTIL_CLOSE ||
        refused || (ending && last) || record->continue_due ||
        (plan->whole && content_in_the_way(record)))
        record->closes = true;
    if (record->closes) {
        connection->core.last = true;
        return CAROM_H1_CLOSE;
    }
    return record->head.version == 10 ? CAROM_H1_KEEP_10 : CAROM_H1_KEEP;
}

/* Whether the content of a whole response is copied behind its head, where there is `room`. */
static bool goes_along(const struct carom_response_plan *plan, const carom_content *content,
                       size_t room)
{
    return plan->whole && plan->body == CAROM_BODY_LENGTH && content->length > 0 &&
           content->length <= CAROM_COPY_AT_MOST && content->length <= room;
}

/* Append what was written at the end of a page of carom_arena_hold. */
static int append_written(struct carom_queue *queue, struct carom_records *records,
                          struct carom_page *page, size_t length)
{
    uint8_t *at = page->data + page->used;
    page->used += (uint32_t)length;
    int error = carom_queue_append_page(queue, &records->segments, page, at, length);
    if (error < 0)
        page->used -= (uint32_t)length;
    carom_page_drop(page);
    return error;
}

static void h1_raw(carom_record *record)
{
    record->closes = true;
    connection_of(record)->core.last = true;
}

static int h1_head(carom_record *record, const struct carom_response_plan *plan,
                   const carom_response *response)
{
    struct carom_connection *connection = connection_of(record);
    struct carom_connections *connections = carom_connections_of(connection);
    struct carom_arena *arena = &record->records->outgoing;
    size_t room = carom_h1_head_room(response->field_count, plan->head_bytes);
    size_t left = arena->pages->size > room ? arena->pages->size - room : 0;
    bool along = goes_along(plan, &response->content, left);
    if (along)
        room += response->content.length;
    struct carom_page *page = carom_arena_hold(arena, room);
    if (page == NULL)
        return -CAROM_ENOMEM;
    struct carom_h1_extra extra = {
        .connection = CAROM_H1_KEEP,
        .date_line = connections->date_line,
        .phrase = response->phrase,
        .keep_alive_line = {connections->keep_alive_line, connections->keep_alive_length},
    };
    bool final = plan->status >= 200 || plan->body == CAROM_BODY_TUNNEL;
    if (final)
        extra.connection = connection_lines(record, plan);
    if (plan->body == CAROM_BODY_TUNNEL)
        extra.keep_alive_line = (carom_slice){NULL, 0};
    uint8_t *to = page->data + page->used;
    size_t length = carom_h1_head_write(to, plan, response->fields, response->field_count, &extra);
    if (along) {
        carom_copy(to + length, response->content.data, response->content.length);
        length += response->content.length;
    }
    int error = append_written(&record->out, record->records, page, length);
    if (error < 0)
        return error;
    if (along)
        record->content_written = record->content_framed = response->content.length;
    if (final) {
        record->continue_due = false;
        bool tunnel = plan->body == CAROM_BODY_TUNNEL;
        if (carom_h1_may_become_tunnel(record) && record->tunnel == NULL)
            carom_h1_set_phase(connection, tunnel ? CAROM_H1_TUNNEL : CAROM_H1_HEAD);
        if (tunnel && record->tunnel == NULL)
            carom_h1_of(connection)->reading = record;
    }
    return 0;
}

static int h1_end(carom_record *record, const carom_field *trailers, size_t count)
{
    static const char last_chunk[] = "0\r\n";
    if (record->body_kind != CAROM_BODY_CHUNKED)
        return 0;
    size_t room =
        sizeof last_chunk + carom_h1_head_room(count, carom_fields_bytes(trailers, count));
    struct carom_page *page = carom_arena_hold(&record->records->outgoing, room);
    if (page == NULL)
        return -CAROM_ENOMEM;
    uint8_t *to = page->data + page->used;
    memcpy(to, last_chunk, 3);
    size_t length = 3 + carom_h1_trailers_write(to + 3, trailers, count);
    return append_written(&record->tail, record->records, page, length);
}

/* ---------------------------------------------------------------- into the stream, in order */

/* All content that has gathered leaves as one chunk. False when out of memory. */
static bool frame_body(struct carom_connection *connection, carom_record *record)
{
    struct carom_records *records = record->records;
    struct carom_queue *out = &connection->stream.out;
    uint64_t length = record->body.length;
    if (length == 0)
        return true;
    bool chunked = record->body_kind == CAROM_BODY_CHUNKED;
    if (chunked) {
        uint8_t line[CAROM_CHUNK_LINE];
        uint32_t line_length = carom_chunk_line_write(line, length);
        if (carom_queue_append_copy(out, &records->segments, &records->outgoing, line,
                                    line_length) < 0)
            return false;
    }
    carom_queue_splice(out, &record->body, &records->segments);
    if (chunked && carom_queue_append_copy(out, &records->segments, &records->outgoing, "\r\n", 2))
        return false;
    record->content_framed += length;
    return true;
}

/* Move what a record has ready into the stream. False when the connection cannot go on. */
static bool move_out(struct carom_connection *connection, carom_record *record)
{
    struct carom_queue *out = &connection->stream.out;
    struct carom_pool *segments = &record->records->segments;
    if (record->response == CAROM_RESPONSE_OPEN && record->refused != 0 &&
        !carom_respond_refusal(record))
        return false;
    carom_queue_splice(out, &record->out, segments);
    if (!frame_body(connection, record))
        return false;
    if (record->response == CAROM_RESPONSE_WHOLE) {
        carom_queue_splice(out, &record->tail, segments);
        record->framed = true;
        carom_owed_learn(carom_connections_of(connection), record->content_framed);
    }
    record->stream_end = connection->stream.sent_total + out->length;
    count_owed(record);
    return true;
}

/* A cancelled response has come to the front: all before it is sent, and here the connection ends.
 * Orderly when it is the client who has closed, otherwise with a reset. */
static void end_at_cancelled(struct carom_connection *connection)
{
    if (connection->core.unread)
        carom_connection_end(connection, true);
    else
        carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, !connection->core.peer_done);
}

/* ---------------------------------------------------------------- completion */

bool carom_h1_all_answered(const struct carom_connection *connection)
{
    const struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->in_flight == 0 || h1->reading != NULL)
        return false;
    const struct carom_node *first = h1->exchanges.next, *last = h1->exchanges.previous;
    return carom_container(first, carom_record, link)->response == CAROM_RESPONSE_WHOLE &&
           carom_container(last, carom_record, link)->response == CAROM_RESPONSE_WHOLE;
}

void carom_h1_detach(struct carom_connection *connection, carom_record *record)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->reading == record)
        h1->reading = NULL;
    if (h1->fresh == record)
        h1->fresh = NULL;
    carom_node_remove(&record->link);
    carom_owed_forget(carom_connections_of(connection), &h1->owed, record);
    h1->in_flight--;
    carom_record_drop(record, CAROM_HOLD_EXCHANGE);
}

void carom_h1_cancel(struct carom_connection *connection, carom_reason reason)
{
    carom_record *record;
    CAROM_MARK_IF(reason == CAROM_REASON_CLIENT_RESET && first_of(connection) != NULL,
                  "reset with requests in flight");
    while ((record = first_of(connection)) != NULL) {
        carom_record_cancel(record, reason);
        carom_h1_detach(connection, record);
    }
}

/* The response of the first record is out. True when the record is done with, too. */
static bool finish_first(struct carom_connection *connection, carom_record *record)
{
    if (record->response != CAROM_RESPONSE_SENT) {
        carom_record_sent(record);
        carom_connections_of(connection)->responses++;
    }
    bool tunnel = record->body_kind == CAROM_BODY_TUNNEL;
    bool content = record->request < CAROM_REQUEST_WHOLE;
    if (tunnel && content && (record->holds & CAROM_HOLD_HANDLER)) {
        if (!connection->stream.fin_due && !connection->stream.fin_sent)
            carom_stream_shutdown(&connection->stream);
        return false;
    }
    if (record->closes || tunnel) {
        bool whole = record->request == CAROM_REQUEST_WHOLE && carom_h1_of(connection)->length == 0;
        CAROM_MARK_IF(content && !tunnel && (record->holds & CAROM_HOLD_HANDLER),
                      "answered before the request has ended, and reads on");
        if (content && !tunnel && (record->holds & CAROM_HOLD_HANDLER))
            return false; /* it reads on */
        carom_connection_end(connection, !whole);
        return false;
    }
    if (content) {
        carom_h1_update_receiving(connection); /* it is read on, or dropped */
        return false;
    }
    carom_h1_detach(connection, record);
    return true;
}

/* Let go of the records whose responses are out. False when the connection has ended, or ends here.
 */
static bool finish_sent(struct carom_connection *connection)
{
    carom_record *record;
    /* One that was cancelled when its last bytes had just left is for carom_h1_flush all the same.
     */
    while ((record = first_of(connection)) != NULL && record->framed &&
           record->response != CAROM_RESPONSE_CANCELLED &&
           record->stream_end <= connection->stream.sent_total)
        if (!finish_first(connection, record))
            break;
    if (connection->core.state != CAROM_CONNECTION_OPEN || connection->core.protocol_state == NULL)
        return false;
    bool cancelled = record != NULL && record->response == CAROM_RESPONSE_CANCELLED;
    if (cancelled)
        end_at_cancelled(connection);
    return !cancelled;
}

/* All requests before the one that has become a tunnel are answered, and its own answer is with the
 * stream: the connection is the tunnel's, with what has come behind that request. False when the
 * tunnel is over. */
static bool become_tunnel(struct carom_connection *connection, carom_record *record)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (record->tunnel->is_over || record->response == CAROM_RESPONSE_CANCELLED)
        return false;
    (void)frame_body(connection, record); /* what was sent by an owner whose bytes have just left */
    carom_request_move(record, CAROM_REQUEST_WHOLE);
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    carom_record_sent(record);
    carom_connections_of(connection)->responses++;
    carom_h1_detach(connection, record);
    struct carom_page *page = h1->length > 0 ? carom_page_hold(h1->page) : NULL;
    const uint8_t *data = h1->data;
    uint32_t length = h1->length;
    carom_h1_drop(connection);
    carom_tunnel_take_connection(record, connection, page, data, length);
    carom_connection_touch(connection); /* its owner is told what has left */
    return true;
}

/* The kernel has taken bytes: complete the responses that are out, and see to what follows. */
static void complete(struct carom_connection *connection)
{
    if (!finish_sent(connection))
        return;
    carom_record *record = first_of(connection);
    if (record != NULL) {
        if (record->tunnel != NULL && become_tunnel(connection, record))
            return;
        carom_record_wake_writer(record);
        count_owed(record);
    }
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->in_flight == 0 && h1->length == 0)
        carom_connection_idle(connection);
    else if (h1->length > 0 && h1->reading == NULL && h1->phase == CAROM_H1_HEAD &&
             carom_h1_takes_another(connection))
        carom_connection_resume(connection);
    else if (h1->reading == NULL)
        carom_h1_update_receiving(connection);
}

void carom_h1_flush(struct carom_connection *connection)
{
    if (!finish_sent(connection))
        return;
    struct carom_h1 *h1 = carom_h1_of(connection);
    struct carom_node *node = h1->exchanges.next;
    for (; node != &h1->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        if (record->response == CAROM_RESPONSE_CANCELLED) {
            CAROM_MARK_IF(record != first_of(connection), "cancelled behind others in a pipeline");
            break;
        }
        if (!record->framed && !move_out(connection, record)) {
            carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
            return;
        }
        if (!record->framed || record->closes) {
            CAROM_MARK_IF(node->next != &h1->exchanges &&
                              carom_container(node->next, carom_record, link)->response ==
                                  CAROM_RESPONSE_WHOLE,
                          "an answer waits for its turn");
            break;
        }
    }
    carom_stream_flush(&connection->stream);
    complete(connection);
}

void carom_h1_file_failed(struct carom_connection *connection)
{
    /* Those before it are out, though nobody may have looked yet. */
    struct carom_h1 *h1 = carom_h1_of(connection);
    struct carom_node *node = h1->exchanges.next;
    for (; node != &h1->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        if (record->response == CAROM_RESPONSE_WHOLE && record->framed &&
            record->stream_end <= connection->stream.sent_total) {
            carom_record_sent(record);
            carom_connections_of(connection)->responses++;
        } else if (record->response < CAROM_RESPONSE_SENT) {
            carom_record_cancel(record, CAROM_REASON_FILE_FAILED);
            return;
        }
    }
}

/* ---------------------------------------------------------------- the record's side */

static void h1_changed(carom_record *record)
{
    struct carom_connection *connection = connection_of(record);
    count_owed(record);
    carom_connection_touch(connection);
}

static void h1_want(carom_record *record)
{
    struct carom_connection *connection = connection_of(record);
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (record->continue_due && record->response == CAROM_RESPONSE_OPEN) {
        struct carom_records *records = record->records;
        record->continue_due = false;
        if (carom_queue_append_copy(&record->out, &records->segments, &records->outgoing, go_on,
                                    sizeof go_on - 1) == 0)
            h1_changed(record);
    }
    carom_h1_update_receiving(connection);
    carom_records_work(record->records);
}

static uint64_t h1_unsent(const carom_record *record)
{
    uint64_t sent = connection_of(record)->stream.sent_total;
    return record->stream_end > sent ? record->stream_end - sent : 0;
}

static void h1_released(carom_record *record)
{
    struct carom_connection *connection = connection_of(record);
    carom_h1_update_receiving(connection);
    h1_changed(record);
}

static void h1_recycled(carom_record *record)
{
    carom_connection_drop(connection_of(record));
}

static struct carom_core *h1_core(const carom_record *record)
{
    return &connection_of(record)->core;
}

const struct carom_exchange_ops carom_h1_exchange_ops = {
    .head = h1_head,
    .raw = h1_raw,
    .end = h1_end,
    .changed = h1_changed,
    .want = h1_want,
    .receive = carom_h1_receive,
    .unsent = h1_unsent,
    .unreceived = h1_unsent,
    .released = h1_released,
    .core = h1_core,
    .recycled = h1_recycled,
};
