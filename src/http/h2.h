/* HTTP/2 on a connection: nghttp2's session between the stream's bytes and the streams' records
 * (h2_session.c), the record's side of a stream (h2_stream.c), frames as they come (h2_frames.c),
 * which requests are given on (h2_dispatch.c), limits (h2_limits.c), time (h2_time.c), and the end
 * of a connection (h2_drain.c).
 * No user code runs inside a callback of nghttp2: callbacks record what has happened on streams,
 * and what follows from it is done when nghttp2 has returned. */
#ifndef CAROM_HTTP_H2_H
#define CAROM_HTTP_H2_H

#include <nghttp2/nghttp2.h>

#include "base/bins.h"
#include "http/connection.h"
#include "http/owed.h"
#include "record/record.h"
#include "wire/h2_section.h"

/* What a peer may do only so often. */
enum carom_h2_counted {
    CAROM_H2_RESETS,  /* streams that end by RST_STREAM, the peer's or, for its fault, ours */
    CAROM_H2_CONTROL, /* frames that cost it nothing and move nothing */
    CAROM_H2_COUNTED
};

struct carom_h2_count {
    uint64_t since; /* up to when the level has fallen */
    uint32_t level; /* falls to nothing within CAROM_H2_COUNT_WINDOW */
};

/* The greatest id of the peer's streams, and what has become of the 64 odd ids up to it: bit 0 is
 * its own. */
struct carom_h2_ids {
    int32_t last;
    uint64_t seen;   /* in HEADERS */
    uint64_t closed; /* it was a stream and is none any more, */
    uint64_t reset;  /* because we have reset it */
};

/* Where input stands among frames. */
struct carom_h2_frames {
    uint32_t skip;     /* bytes to the next frame's head */
    uint32_t have;     /* bytes of that head that have come */
    uint8_t head[13];  /* with the payload's beginning, where that is looked at */
    bool ends_section; /* the frame being skipped */
    uint8_t continued; /* CONTINUATION frames of the section */
};

/* What the sessions of a worker share. */
struct carom_h2_shared {
    struct carom_pool sessions, streams; /* struct carom_h2, struct carom_h2_stream */
    struct carom_bins bins;              /* nghttp2's memory */
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
};

enum carom_h2_drain { CAROM_H2_OPEN, CAROM_H2_NOTICED, CAROM_H2_GONE };

struct carom_h2 {
    struct carom_connection *connection;
    nghttp2_session *session;
    struct carom_node exchanges; /* records in flight */
    uint32_t in_flight;          /* how many */
    struct carom_page *page;     /* in a delivery: where its bytes lie */
    struct carom_node fresh;     /* streams whose handler is to be called, */
    uint32_t fresh_count;        /* and how many */
    struct carom_owed owed;
    struct carom_node changed; /* streams that have something to do in the next flush */
    struct carom_node sending; /* streams with bytes in connection->stream.out, by their end */
    struct carom_h2_stream *reading; /* whose section is being received */
    struct carom_h2_section section;
    uint64_t section_size; /* of the section being received, read or not */
    struct carom_h2_count counts[CAROM_H2_COUNTED];
    struct carom_h2_ids ids;
    struct carom_h2_frames frames;
    uint64_t heard;         /* when bytes last came */
    uint64_t pinged;        /* when the PING was sent that is not answered; 0: none */
    uint64_t section_since; /* when the section began that is not complete */
    int64_t widest; /* before SETTINGS: how far a stream's window was above the initial one */
    uint64_t window_since; /* when `window_used` began to count, for the connection's window */
    uint64_t window_used;
    uint64_t framed, framed_then; /* content of all streams; that of the last look at them */
    uint32_t idle_after;          /* requests, when the deadline of an idle connection was set */
    bool ticking;                 /* the deadline is that of the next look at the streams */
    uint8_t drain;                /* enum carom_h2_drain */
    int32_t last_served; /* the last stream of a drained peer: GOAWAY says so, or is about to */
    bool processing;     /* in nghttp2_session_mem_recv or what follows it */
    bool calm;           /* told to be calm: nothing more is done for this peer */
};

/* A stream: from its HEADERS until its record is recycled. */
struct carom_h2_stream {
    struct carom_node link;    /* of fresh or changed */
    struct carom_node sending; /* of h2->sending */
    struct carom_connection *connection;
    carom_record *record;
    int32_t id;
    uint32_t window;                    /* how much the peer may send before credit returns */
    uint64_t credited;                  /* content given back to the peer as credit */
    uint64_t window_since, window_used; /* as in struct carom_h2 */
    uint64_t waits_since, rate_bytes;   /* when content was found to be waited for, and the
                                         * content_received of then; 0: it is not */
    uint64_t shut_since, sent_bytes;    /* when nothing was found to be sent, though there is what
                                         * to send; the content_framed of the last look */
    uint64_t lingers_since; /* when the answer was out before the content; 0: it is not */
    bool fresh;             /* the handler is to be called */
    bool closed;            /* nghttp2 knows it no more, or RST_STREAM is on its way */
    bool lost;              /* it was closed before the response was out */
    bool deferred;          /* nghttp2 waits to be told of content */
    bool continued;         /* 100 Continue was said */
    bool detached;          /* the record has left the connection */
};

extern const struct carom_exchange_ops carom_h2_exchange_ops;

static inline struct carom_h2_shared *
carom_h2_shared_of(const struct carom_connections *connections)
{
    return connections->shared[CAROM_SPEAKS_H2];
}

static inline struct carom_h2 *carom_h2_of(const struct carom_connection *connection)
{
    return connection->core.protocol_state;
}

static inline struct carom_h2_stream *carom_h2_stream_of(const carom_record *record)
{
    return record->exchange;
}

/* A stream with its record has begun; NULL when out of memory. */
struct carom_h2_stream *carom_h2_stream_create(struct carom_h2 *h2, int32_t id);
/* Take the record out of the connection and let go of it. */
void carom_h2_stream_detach(struct carom_h2 *h2, struct carom_h2_stream *stream);
/* The handler is to be called with its request. */
void carom_h2_stream_begin(struct carom_h2 *h2, struct carom_h2_stream *stream);
/* Take it out of the list of those that are fresh, or changed. */
void carom_h2_stream_unlist(struct carom_h2 *h2, struct carom_h2_stream *stream);
/* Look at the stream in the next flush. */
void carom_h2_stream_touch(struct carom_h2_stream *stream);
/* The request cannot be served: answer `status` while that is possible. */
void carom_h2_stream_refuse(struct carom_h2_stream *stream, unsigned status, carom_reason reason);
/* Do what has become due on a stream. False when out of memory. */
bool carom_h2_stream_advance(struct carom_h2 *h2, struct carom_h2_stream *stream);
/* All of the response is with the kernel. */
void carom_h2_stream_sent(struct carom_h2 *h2, struct carom_h2_stream *stream);
/* Give credit for content that nobody holds any more. */
void carom_h2_stream_credit(struct carom_h2 *h2, struct carom_h2_stream *stream);
/* Content for nghttp2 (nghttp2_data_source_read_callback). */
ssize_t carom_h2_read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *user_data);

/* The rest of the section that is being read will not come: forget what has come of it. */
void carom_h2_section_lost(struct carom_h2 *h2);

/* The bit of a stream; 0 when it lies too far back. */
uint64_t carom_h2_ids_bit(const struct carom_h2_ids *ids, int32_t id);
/* Give all of `data` to nghttp2, and check by ourselves the frames that it would let pass, or would
 * answer otherwise than we want (h2_frames.c says which). False when out of memory. */
bool carom_h2_frames_receive(struct carom_h2 *h2, const uint8_t *data, size_t length);
/* SETTINGS were read: they must let no window overflow (RFC 9113, 6.9.2); nghttp2 would end only
 * its stream. */
void carom_h2_frames_settings(struct carom_h2 *h2);

/* Call the handler for fresh streams, as many as may be. Not within a callback of nghttp2. */
void carom_h2_dispatch(struct carom_h2 *h2);

#define CAROM_H2_COUNT_WINDOW 10000
/* One more; tells the peer to be calm when it is too many. */
void carom_h2_count(struct carom_h2 *h2, enum carom_h2_counted counted);
/* Count a reset of ours, where it is the peer's fault. */
void carom_h2_count_verdict(struct carom_h2 *h2, uint32_t code);
/* End the connection with ENHANCE_YOUR_CALM (RFC 9113, 7). */
void carom_h2_calm(struct carom_h2 *h2);
/* Keep time while something is in flight, or while nothing is. */
void carom_h2_keep_time(struct carom_connection *connection);
void carom_h2_read_timeout(struct carom_connection *connection);
/* Say that no further stream is taken, in two steps (RFC 9113, 6.8). */
void carom_h2_drain(struct carom_connection *connection);
/* The second step. */
void carom_h2_drain_on(struct carom_h2 *h2);

#endif
