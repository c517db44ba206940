/* HTTP/2, limits: what a peer may do how often, which of its requests wait, and the end of a
 * connection. */
#include "http/admission.h"
#include "http/h2.h"

/* The second GOAWAY follows the first after so many ms, if the peer does not answer the PING. */
#define NOTICE 1000

static struct carom_connections *connections_of(const struct carom_h2 *h2)
{
    return carom_connections_of(h2->connection);
}

/* ---------------------------------------------------------------- counts */

void carom_h2_calm(struct carom_h2 *h2)
{
    if (h2->calm)
        return;
    h2->calm = true;
    connections_of(h2)->h2_calmed++;
    nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

void carom_h2_count(struct carom_h2 *h2, enum carom_h2_counted counted)
{
    const carom_options *options = connections_of(h2)->options;
    uint32_t limit =
        counted == CAROM_H2_RESETS ? options->h2_max_resets : options->h2_max_control_frames;
    struct carom_h2_count *count = &h2->counts[counted];
    uint64_t now = connections_of(h2)->records.now;
    if (limit == CAROM_OFF)
        return;
    uint64_t falls = (now - count->since) * limit / CAROM_H2_COUNT_WINDOW;
    if (falls > 0) {
        count->level = falls < count->level ? count->level - (uint32_t)falls : 0;
        count->since = now;
    }
    if (++count->level > limit)
        carom_h2_calm(h2);
}

void carom_h2_count_verdict(struct carom_h2 *h2, uint32_t code)
{
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_CANCEL && code != NGHTTP2_INTERNAL_ERROR)
        carom_h2_count(h2, CAROM_H2_RESETS);
}

/* ---------------------------------------------------------------- requests that are given on */

/* Whether the next one is: the first always; others while whoever answers has heard of those
 * before, or when they have waited for that in turn, and while their answers leave room for
 * others'. */
static bool goes_on(struct carom_h2 *h2)
{
    struct carom_connections *connections = connections_of(h2);
    bool turn = h2->owed.turn;
    h2->owed.turn = false;
    if (h2->fresh_count == h2->in_flight)
        return true;
    bool others = !turn && !carom_node_alone(&connections->crowded);
    if (carom_owed_waits(connections, &h2->owed) || others) {
        CAROM_MARK("a stream waits for those before it to be heard of");
        if (carom_node_alone(&h2->owed.waiting))
            carom_list_append(&connections->crowded, &h2->owed.waiting);
        return false;
    }
    return carom_owed_leaves_room(connections, &h2->owed, &h2->exchanges);
}

void carom_h2_dispatch(struct carom_h2 *h2)
{
    while (h2->fresh_count > 0 && goes_on(h2)) {
        struct carom_h2_stream *stream =
            carom_container(h2->fresh.next, struct carom_h2_stream, link);
        carom_h2_stream_unlist(h2, stream);
        carom_admission_dispatch(connections_of(h2), stream->record);
    }
}

/* ---------------------------------------------------------------- drain */

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
