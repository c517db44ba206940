/* A stream: one connection's bytes, both ways, as the protocols see it. Outgoing bytes gather in
 * `out` during a turn and leave by one system call in carom_stream_flush. TLS will be a
 * transform of pages in here; the connection above need not know. */
#ifndef CAROM_NET_STREAM_H
#define CAROM_NET_STREAM_H

#include "base/queue.h"
#include "net/loop.h"

struct carom_stream;

struct carom_stream_events {
    /* As in carom_socket_events. */
    void (*received)(struct carom_stream *stream, struct carom_page *page, const uint8_t *data,
                     uint32_t length);
    /* 0: the peer has finished sending; negative: the stream is broken, both ways. Each once at
     * most, in this order. */
    void (*ended)(struct carom_stream *stream, int error);
    /* The kernel took bytes that had to wait: sent_total has grown. */
    void (*sent)(struct carom_stream *stream);
    /* Last of all: the stream may be freed. */
    void (*closed)(struct carom_stream *stream);
};

struct carom_stream {
    struct carom_socket socket;
    const struct carom_stream_events *events;
    struct carom_loop *loop;
    struct carom_pool *segments;
    struct carom_queue out;
    uint64_t sent_total;
    bool finishing;   /* FIN follows what is in `out` */
    bool finished;    /* FIN is sent */
    bool broken;      /* a send failed: nothing can be sent */
    bool file_failed; /* because a file in `out` could not be read as far as was said */
};

/* Take over a connected descriptor; receiving is on. 0 or negative error (fd still the caller's).
 */
int carom_stream_open(struct carom_stream *stream, struct carom_loop *loop,
                      struct carom_pool *segments, int fd,
                      const struct carom_stream_events *events);
void carom_stream_receive(struct carom_stream *stream, bool on);
/* Send what is in `out`, until it is empty or the kernel takes no more for now; sent_total says how
 * far that went. `sent` follows from a later delivery when bytes had to wait, `ended` with an error
 * when sending fails. No event is called from here. */
void carom_stream_flush(struct carom_stream *stream);
/* Bytes wait for the kernel. */
static inline bool carom_stream_stalled(const struct carom_stream *stream)
{
    return stream->socket.sending != NULL;
}
/* FIN after what is in `out`. */
void carom_stream_finish(struct carom_stream *stream);
/* Close now; `out` is dropped. `closed` follows from reclaim. */
void carom_stream_close(struct carom_stream *stream, bool reset);

#endif
