/* The opening of a connection: compares its first bytes with the preface of HTTP/2, and hands them
 * to the protocol that they belong to. */
#include "http/opening.h"

#include <string.h>

#include "http/connection.h"
#include "tls/tls_session.h"

/* RFC 9113, 3.4. */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static struct carom_page *page_of(const struct carom_connection *connection)
{
    return connection->core.protocol_state;
}

static void out_of_memory(struct carom_connection *connection)
{
    carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
}

/* Switch to the detected protocol and feed it the bytes so far. The caller holds `page`. */
static void go_on(struct carom_connection *connection, bool h2, struct carom_page *page,
                  const uint8_t *data, uint32_t length)
{
    connection->core.protocol_state = NULL;
    carom_stream_land(&connection->stream, NULL);
    connection->core.speaks = h2 ? CAROM_SPEAKS_H2 : CAROM_SPEAKS_H1;
    bool (*begin)(struct carom_connection *) = carom_connection_protocol(connection)->begin;
    if (begin != NULL && !begin(connection)) {
        out_of_memory(connection);
        return;
    }
    carom_connection_protocol(connection)->received(connection, page, data, length);
}

/* The beginning of a preface waits in a page where the rest lands behind it. */
static void keep(struct carom_connection *connection, const uint8_t *data, uint32_t length)
{
    struct carom_connections *connections = carom_connections_of(connection);
    struct carom_page *page = carom_page_take(&connections->small);
    if (page == NULL) {
        out_of_memory(connection);
        return;
    }
    memcpy(page->data, data, length);
    page->used = length;
    connection->core.protocol_state = page;
    carom_stream_land(&connection->stream, page);
    carom_connection_read_within(connection, connections->options->header_timeout);
}

/* What TLS has agreed on (RFC 7301); where nothing was, the preface says it. */
static bool agreed(const struct carom_connection *connection, bool *h2)
{
    if (connection->stream.tls == NULL)
        return false;
    carom_slice protocol = carom_tls_alpn(carom_stream_tls_session(&connection->stream));
    *h2 = protocol.length == 2 && memcmp(protocol.data, "h2", 2) == 0;
    return protocol.length > 0;
}

static void opening_received(struct carom_connection *connection, struct carom_page *page,
                             const uint8_t *data, uint32_t length)
{
    struct carom_page *kept = page_of(connection);
    bool h2;
    if (agreed(connection, &h2)) {
        go_on(connection, h2, page, data, length);
        return;
    }
    if (kept != NULL) {
        carom_assert(page == kept);
        length += (uint32_t)(data - kept->data);
        data = kept->data;
    }
    uint32_t compared = length < sizeof preface - 1 ? length : sizeof preface - 1;
    bool same = memcmp(data, preface, compared) == 0 &&
                !carom_connections_of(connection)->options->no_http2;
    if (same && compared < sizeof preface - 1) {
        if (kept == NULL)
            keep(connection, data, length);
        return;
    }
    go_on(connection, same, page, data, length);
    if (kept != NULL)
        carom_page_drop(kept);
}

/* No more comes, or not in time: what has come is an unfinished head of HTTP/1.1. */
static void become_h1(struct carom_connection *connection)
{
    struct carom_page *page = page_of(connection);
    go_on(connection, false, page, page->data, page->used);
    carom_page_drop(page);
}

static void opening_peer_done(struct carom_connection *connection)
{
    become_h1(connection);
    if (connection->core.protocol_state != NULL)
        carom_connection_protocol(connection)->peer_done(connection);
}

static void opening_read_timeout(struct carom_connection *connection)
{
    become_h1(connection);
    if (connection->core.protocol_state != NULL)
        carom_connection_protocol(connection)->read_timeout(connection);
}

static void opening_nothing(struct carom_connection *connection)
{
    (void)connection;
}

static void opening_cancel(struct carom_connection *connection, carom_reason reason)
{
    (void)connection;
    (void)reason;
}

static void opening_drop(struct carom_connection *connection)
{
    if (page_of(connection) == NULL)
        return;
    carom_stream_land(&connection->stream, NULL);
    carom_page_drop(page_of(connection));
    connection->core.protocol_state = NULL;
}

const struct carom_stream_protocol carom_opening_protocol = {
    .protocol.carrier = &carom_stream_carrier,
    .received = opening_received,
    .peer_done = opening_peer_done,
    .resume = opening_nothing,
    .read_timeout = opening_read_timeout,
    .flush = opening_nothing,
    .file_failed = opening_nothing,
    .cancel = opening_cancel,
    .drop = opening_drop,
};
