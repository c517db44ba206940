/* HTTP/2, drain: a connection that takes no further stream says so in two steps (RFC 9113, 6.8),
 * the second of which names the last stream that is served. */
#include "http/h2.h"

/* The second GOAWAY follows the first after so many ms, if the peer does not answer the PING. */
#define NOTICE 1000

void carom_h2_drain(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    if (h2->drain != CAROM_H2_OPEN)
        return;
    h2->drain = CAROM_H2_NOTICED;
    nghttp2_submit_shutdown_notice(h2->session);
    /* When its answer comes, the peer has seen the notice. */
    nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
    carom_connection_read_within(connection, NOTICE);
    carom_connection_touch(connection);
}

void carom_h2_drain_on(struct carom_h2 *h2)
{
    if (h2->drain != CAROM_H2_NOTICED)
        return;
    h2->drain = CAROM_H2_GONE;
    h2->last_served = nghttp2_session_get_last_proc_stream_id(h2->session);
    nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, h2->last_served, NGHTTP2_NO_ERROR, NULL,
                          0);
    carom_connection_touch(h2->connection);
}
