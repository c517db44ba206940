/* HTTP/1.1, reading: makes requests, their content and trailers of a connection's bytes. */
#include <string.h>

#include "http/admission.h"
#include "http/content.h"
#include "http/h1.h"

enum step {
    STEP_ON,    /* go on with what is left */
    STEP_MORE,  /* more bytes are wanted */
    STEP_PAUSE, /* not now: the rest waits */
    STEP_STOP,  /* the connection takes no more input */
};

static const carom_options *options_of(const struct carom_connection *connection)
{
    return carom_connections_of(connection)->options;
}

static void let_go_of_page(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    carom_stream_land(&connection->stream, NULL);
    if (h1->held != NULL)
        carom_page_drop(h1->held);
    h1->held = NULL;
    h1->page = NULL;
    h1->length = 0;
}

static void take_input(struct carom_h1 *h1, uint32_t length)
{
    h1->data += length;
    h1->length -= length;
}

/* Input that waits while the connection is not read: its page is held as it is. */
static void hold_input(struct carom_h1 *h1)
{
    if (h1->held == NULL)
        h1->held = carom_page_hold(h1->page);
}

/* A section that is not complete must go on in one piece: it lies in a page of the connection's
 * own, small at first, where the next bytes land behind it. False when out of memory. */
static bool keep_section(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    struct carom_connections *connections = carom_connections_of(connection);
    const struct carom_page *held = h1->held;
    if (held != NULL && held->holds == 1 && held->used < held->size &&
        h1->data + h1->length == held->data + held->used) {
        carom_stream_land(&connection->stream, h1->held);
        return true;
    }
    bool small = h1->length < connections->small.size / 2;
    struct carom_page *page =
        carom_page_take(small ? &connections->small : &connections->records.pages);
    if (page == NULL)
        return false;
    uint32_t length = h1->length;
    memcpy(page->data, h1->data, length);
    page->used = length;
    let_go_of_page(connection);
    h1->held = h1->page = page;
    h1->data = page->data;
    h1->length = length;
    carom_stream_land(&connection->stream, page);
    return true;
}

/* ---------------------------------------------------------------- refusals */

/* Not one further byte is taken for a request. */
static enum step stop_reading(struct carom_connection *connection)
{
    connection->core.last = true;
    carom_h1_of(connection)->reading = NULL;
    carom_h1_of(connection)->fresh = NULL;
    carom_h1_of(connection)->phase = CAROM_H1_HEAD;
    let_go_of_page(connection);
    return STEP_STOP;
}

/* The request being read cannot be served: answer `status` if an answer is still possible, and end
 * the connection after it. */
static enum step refuse(struct carom_connection *connection, unsigned status, carom_reason reason)
{
    carom_record *record = carom_h1_of(connection)->reading;
    record->closes = true;
    carom_admission_refuse(record, status, reason);
    carom_connection_touch(connection);
    return stop_reading(connection);
}

/* The same for a head that is none, or late. */
static enum step refuse_head(struct carom_connection *connection, unsigned status,
                             carom_reason reason)
{
    const struct carom_h1 *h1 = carom_h1_of(connection);
    h1->reading->closes = true;
    carom_admission_offer(carom_connections_of(connection), h1->reading, h1->page, h1->data,
                          h1->length, status, reason);
    carom_connection_touch(connection);
    return stop_reading(connection);
}

static enum step out_of_memory(struct carom_connection *connection)
{
    carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
    return STEP_STOP;
}

/* ---------------------------------------------------------------- the handler is called */

static void dispatch(struct carom_connection *connection)
{
    carom_record *record = carom_h1_of(connection)->fresh;
    carom_h1_of(connection)->fresh = NULL;
    if (record != NULL)
        carom_admission_dispatch(carom_connections_of(connection), record);
}

void carom_h1_request_whole(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    carom_record *record = h1->reading;
    h1->reading = NULL;
    connection->core.read_deadline = CAROM_NO_TIME;
    bool held = carom_h1_may_become_tunnel(record) && record->response == CAROM_RESPONSE_OPEN;
    h1->phase = held ? CAROM_H1_HELD : CAROM_H1_HEAD;
    record->continue_due = false; /* chunked content may end without one byte of it */
    carom_record_content_whole(record);
    if (h1->fresh == record)
        dispatch(connection);
    else /* the response may be out, and have waited for this */
        carom_connection_touch(connection);
}

/* ---------------------------------------------------------------- heads */

static carom_record *begin_request(struct carom_connection *connection)
{
    struct carom_records *records = &carom_connections_of(connection)->records;
    carom_record *record = carom_record_take(records, &carom_h1_exchange_ops, connection);
    if (record == NULL)
        return NULL;
    carom_connection_hold(connection);
    carom_list_append(&carom_h1_of(connection)->exchanges, &record->link);
    carom_h1_of(connection)->in_flight++;
    carom_h1_of(connection)->reading = record;
    connection->core.read_deadline = CAROM_NO_TIME;
    struct carom_h1_reader *reader = &carom_h1_of(connection)->reader;
    carom_h1_reader_init(reader);
    reader->framing.any_expectation = carom_connections_of(connection)->observer != NULL;
    reader->framing.host_optional = options_of(connection)->host_optional;
    return record;
}

/* The head of `record` is complete: decide what follows it. */
static enum step accept_head(struct carom_connection *connection, carom_record *record)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    const struct carom_request_head *head = &record->head;
    connection->core.read_deadline = CAROM_NO_TIME;
    if (carom_admission_count(&connection->core))
        record->closes = true;
    if (!head->keep_alive || record->closes)
        connection->core.last = true; /* RFC 9112, 9.6: not one further request is taken */
    unsigned status = carom_admission_status(&connection->core, record);
    if (status != 0)
        return refuse(connection, status, carom_admission_reason(status));
    h1->fresh = record;
    if (head->framing == CAROM_FRAMING_NONE ||
        (head->framing == CAROM_FRAMING_LENGTH && head->content_length == 0)) {
        carom_h1_request_whole(connection);
        return STEP_ON;
    }
    record->continue_due = head->expects_continue;
    carom_request_move(record, CAROM_REQUEST_CONTENT);
    h1->left = head->content_length;
    h1->dropped = 0;
    h1->rate = (struct carom_h1_rate){0};
    carom_chunked_init(&h1->chunked);
    h1->phase = head->framing == CAROM_FRAMING_LENGTH ? CAROM_H1_LENGTH : CAROM_H1_CHUNKED;
    return STEP_ON;
}

static enum step read_head(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    const carom_options *options = options_of(connection);
    if (connection->core.last)
        return STEP_STOP;
    carom_record *record = h1->reading;
    if (record == NULL) {
        /* Some clients send an empty line after content: no reason to begin a record. */
        if (h1->length == 2 && memcmp(h1->data, "\r\n", 2) == 0) {
            take_input(h1, 2);
            return STEP_MORE;
        }
        if (!carom_h1_takes_another(connection)) {
            CAROM_MARK("the pipeline is full");
            return STEP_PAUSE;
        }
        record = begin_request(connection);
        if (record == NULL)
            return out_of_memory(connection);
    }
    const struct carom_h1_limits limits = {options->max_target, options->max_header_section};
    int taken = carom_h1_read_head(&h1->reader, &limits, h1->data, h1->length, &record->head);
    if (carom_likely(taken > 0)) {
        record->head.fields.base = h1->data;
        record->head.fields.page = carom_page_hold(h1->page);
        take_input(h1, (uint32_t)taken);
        return accept_head(connection, record);
    }
    if (taken == 0)
        return STEP_MORE;
    if (taken == -500)
        return out_of_memory(connection);
    return refuse_head(connection, (unsigned)-taken, carom_admission_reason((unsigned)-taken));
}

/* ---------------------------------------------------------------- content */

/* Content of the record that is read: keep it, or drop it. */
static enum step take_content(struct carom_connection *connection, const uint8_t *data,
                              uint32_t length)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    struct carom_connections *connections = carom_connections_of(connection);
    carom_record *record = h1->reading;
    carom_h1_count_content(h1, record, length);
    if (h1->phase == CAROM_H1_CHUNKED &&
        record->content_received > connections->options->max_content)
        return refuse(connection, 413, CAROM_REASON_OVER_LIMIT);
    if (carom_h1_nobody_reads(connection, record) || carom_record_over(record)) {
        h1->dropped += length;
        if (h1->dropped > connections->options->drain_content) {
            CAROM_MARK("released, and more content than is dropped for nothing");
            record->closes = true;
            carom_connection_touch(connection);
            carom_record_content_dropped(record);
            return stop_reading(connection);
        }
        return STEP_ON;
    }
    if (carom_content_keep(carom_connections_of(connection), record, record->collecting, h1->page,
                           data, length) < 0)
        return out_of_memory(connection);
    carom_record_content_added(record);
    return STEP_ON;
}

static enum step read_known_length(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    uint32_t length = h1->left < h1->length ? (uint32_t)h1->left : h1->length;
    const uint8_t *data = h1->data;
    take_input(h1, length);
    h1->left -= length;
    enum step step = take_content(connection, data, length);
    if (step == STEP_ON && h1->left == 0)
        carom_h1_request_whole(connection);
    return step;
}

static enum step read_chunked(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    uint32_t taken;
    struct carom_chunked_piece piece;
    enum carom_chunked_result result =
        carom_chunked_read(&h1->chunked, h1->data, h1->length, &taken, &piece);
    if (result == CAROM_CHUNKED_BAD)
        return refuse(connection, 400, CAROM_REASON_BAD_REQUEST);
    take_input(h1, taken);
    if (result == CAROM_CHUNKED_DATA)
        return take_content(connection, piece.data, piece.length);
    if (result == CAROM_CHUNKED_MORE)
        return STEP_MORE;
    h1->phase = CAROM_H1_TRAILERS;
    carom_h1_reader_init(&h1->reader);
    return STEP_ON;
}

static enum step read_trailers(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    const carom_options *options = options_of(connection);
    carom_record *record = h1->reading;
    const struct carom_h1_limits limits = {options->max_target, options->max_header_section};
    int taken =
        carom_h1_read_trailers(&h1->reader, &limits, h1->data, h1->length, &record->trailers);
    if (taken == 0)
        return STEP_MORE;
    if (taken == -500)
        return out_of_memory(connection);
    if (taken < 0)
        return refuse(connection, (unsigned)-taken, carom_admission_reason((unsigned)-taken));
    if (record->trailers.count > 0) {
        record->trailers.base = h1->data;
        record->trailers.page = carom_page_hold(h1->page);
    }
    take_input(h1, (uint32_t)taken);
    carom_h1_request_whole(connection);
    return STEP_ON;
}

static enum step read_tunnel(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    const uint8_t *data = h1->data;
    uint32_t length = h1->length;
    take_input(h1, length);
    if (h1->reading == NULL || carom_h1_nobody_reads(connection, h1->reading))
        return STEP_ON;
    return take_content(connection, data, length);
}

/* ---------------------------------------------------------------- the loop over input */

static enum step read_step(struct carom_connection *connection)
{
    switch (carom_h1_of(connection)->phase) {
    case CAROM_H1_HEAD:
        return read_head(connection);
    case CAROM_H1_LENGTH:
        return read_known_length(connection);
    case CAROM_H1_CHUNKED:
        return read_chunked(connection);
    case CAROM_H1_TRAILERS:
        return read_trailers(connection);
    case CAROM_H1_HELD: /* it may begin a tunnel, also on the last request */
        return STEP_PAUSE;
    default:
        return read_tunnel(connection);
    }
}

/* What is left of the input is kept for later, or dropped. */
static void keep_rest(struct carom_connection *connection, enum step last)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->length == 0 || last == STEP_STOP) {
        let_go_of_page(connection);
    } else if (last == STEP_PAUSE) {
        hold_input(h1);
    } else if (!keep_section(connection)) {
        out_of_memory(connection);
        return;
    }
    if (h1->phase == CAROM_H1_HEAD && h1->reading != NULL &&
        connection->core.read_deadline == CAROM_NO_TIME) /* its first bytes */
        carom_connection_read_within(connection, options_of(connection)->header_timeout);
}

/* Read what has come, and call the handler. False when the connection has closed meanwhile. */
static bool process(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    enum step step = STEP_ON;
    h1->processing = true;
    while (step == STEP_ON && h1->length > 0) {
        step = read_step(connection);
        if (connection->core.state == CAROM_CONNECTION_CLOSED)
            return false; /* h1 is gone */
    }
    dispatch(connection); /* with the content that came along */
    h1->processing = false;
    keep_rest(connection, step);
    return connection->core.state != CAROM_CONNECTION_CLOSED;
}

/* What has come is read: see to it that more comes, or not. */
static void settle(struct carom_connection *connection)
{
    if (carom_h1_of(connection)->in_flight > 0)
        carom_h1_update_receiving(connection);
    else if (connection->core.read_deadline == CAROM_NO_TIME)
        carom_connection_idle(connection);
    else
        carom_h1_drop(connection); /* only empty lines have come: its time runs on */
}

static bool make_state(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_pool_take(carom_h1_pool(carom_connections_of(connection)));
    if (h1 == NULL)
        return false;
    memset(h1, 0, sizeof *h1);
    carom_node_init(&h1->exchanges);
    carom_owed_init(&h1->owed, &connection->core);
    connection->core.protocol_state = h1;
    return true;
}

static void h1_received(struct carom_connection *connection, struct carom_page *page,
                        const uint8_t *data, uint32_t length)
{
    if (connection->core.protocol_state == NULL && !make_state(connection)) {
        out_of_memory(connection);
        return;
    }
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->length == 0) {
        h1->page = page;
        h1->data = data;
        h1->length = length;
    } else {
        /* The rest of a section: it has landed behind what was kept. */
        carom_assert(page == h1->held && data == h1->data + h1->length);
        h1->length += length;
    }
    if (!process(connection))
        return;
    /* What was answered at once leaves at once, and its records are used again for the next
     * connection while they are still in the cache. The flush sees to what follows; but no bytes
     * may come now behind those that wait. */
    bool answered = connection->core.listed && carom_h1_all_answered(connection);
    if (!answered || h1->length > 0)
        settle(connection);
    if (answered)
        carom_core_flush(&connection->core);
}

static void h1_resume(struct carom_connection *connection)
{
    bool open =
        connection->core.protocol_state != NULL && connection->core.state == CAROM_CONNECTION_OPEN;
    if (open && process(connection))
        settle(connection);
}

/* ---------------------------------------------------------------- FIN, time */

static void h1_peer_done(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    struct carom_connections *connections = carom_connections_of(connection);
    carom_record *reading = h1->reading;
    connection->core.last = true;
    connection->core.read_deadline = CAROM_NO_TIME;
    carom_connection_touch(connection);
    if (h1->phase == CAROM_H1_TUNNEL) {
        if (connection->stream.truncated) { /* only TLS could say that this is all: RFC 8446, 6.1 */
            carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, true);
        } else if (reading != NULL) {
            h1->reading = NULL;
            carom_record_content_whole(reading);
        }
        return;
    }
    if (reading != NULL && h1->phase == CAROM_H1_HEAD && connections->observer != NULL) {
        refuse_head(connection, 400, CAROM_REASON_CLIENT_CLOSED); /* it may want to answer */
    } else if (reading != NULL) {
        stop_reading(connection);
        reading->closes = true;
        carom_record_content_dropped(reading);
        carom_record_cancel(reading, CAROM_REASON_CLIENT_CLOSED);
    }
    CAROM_MARK_IF(connections->options->half_close && h1->in_flight > 0,
                  "FIN, and the answers go on");
    if (connections->options->half_close)
        return;
    for (struct carom_node *node = h1->exchanges.next; node != &h1->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        CAROM_MARK_IF(record->response == CAROM_RESPONSE_WHOLE, "answered whole, then FIN");
        if (record->response < CAROM_RESPONSE_WHOLE && (record->refused | record->refusal) == 0) {
            CAROM_MARK("FIN before the answer");
            carom_record_cancel(record, CAROM_REASON_CLIENT_CLOSED);
        }
    }
    carom_h1_limit_refusals(connection);
}

/* FIN waits behind content that nobody reads now, or behind requests that are not taken yet. Those
 * who are still to answer, or to read, learn of it now; with nobody among them it is in no hurry,
 * and what came before it is taken first. Of a tunnel all that was sent is for its reader. */
static void h1_fin_queued(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    bool waits = h1->reading != NULL && h1->phase != CAROM_H1_HEAD;
    if (h1->phase == CAROM_H1_TUNNEL || options_of(connection)->half_close)
        return;
    struct carom_node *node = h1->exchanges.next;
    for (; node != &h1->exchanges && !waits; node = node->next) {
        const carom_record *record = carom_container(node, carom_record, link);
        waits = record->response < CAROM_RESPONSE_WHOLE && (record->refused | record->refusal) == 0;
    }
    if (!waits)
        return;
    CAROM_MARK("FIN behind what is not read");
    connection->core.peer_done = connection->core.unread = true;
    let_go_of_page(connection);
    h1_peer_done(connection);
}

static void h1_read_timeout(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    h1->rate.since = h1->rate.left = 0;
    if (h1->reading == NULL) {
        carom_h1_cancel_refusals(connection);
    } else if (h1->phase == CAROM_H1_HEAD) {
        refuse_head(connection, 408, CAROM_REASON_HEADER_TIMEOUT);
    } else if (carom_h1_too_slow(connection)) {
        refuse(connection, 408, CAROM_REASON_BODY_TIMEOUT);
    } else {
        carom_h1_update_receiving(connection);
    }
}

static void h1_silent(struct carom_connection *connection)
{
    if (!make_state(connection) || begin_request(connection) == NULL)
        out_of_memory(connection);
    else
        refuse_head(connection, 408, CAROM_REASON_HEADER_TIMEOUT);
}

/* ---------------------------------------------------------------- the end */

void carom_h1_drop(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1 == NULL)
        return;
    let_go_of_page(connection);
    carom_node_remove(&h1->owed.waiting);
    connection->core.protocol_state = NULL;
    carom_pool_give(carom_h1_pool(carom_connections_of(connection)), h1);
}

const struct carom_stream_protocol carom_h1_protocol = {
    .protocol.carrier = &carom_stream_carrier,
    .protocol.share = carom_h1_share,
    .protocol.unshare = carom_h1_unshare,
    .received = h1_received,
    .peer_done = h1_peer_done,
    .fin_queued = h1_fin_queued,
    .resume = h1_resume,
    .read_timeout = h1_read_timeout,
    .silent = h1_silent,
    .flush = carom_h1_flush,
    .file_failed = carom_h1_file_failed,
    .drain = NULL, /* what is in flight is answered; the last says Connection: close */
    .cancel = carom_h1_cancel,
    .drop = carom_h1_drop,
};
