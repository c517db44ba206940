/* HTTP/2: frames as they come, before nghttp2 reads them. It leaves some out without a word; here
 * all are counted, and those for streams that are no more get what RFC 9113 says. */
#include <string.h>

#include "service/h2.h"

#define HEAD 9

struct frame {
    uint32_t length;
    uint8_t type, flags;
    int32_t stream;
};

static struct frame frame_of(const uint8_t *head)
{
    return (struct frame){
        .length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
        .type = head[3],
        .flags = head[4],
        .stream = (int32_t)((uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                            (uint32_t)head[7] << 8 | head[8]),
    };
}

/* ---------------------------------------------------------------- ids */

static void see(struct carom_h2_ids *ids, int32_t id)
{
    unsigned further = (unsigned)(id - ids->last) / 2;
    ids->seen = further < 64 ? ids->seen << further : 0;
    ids->closed = further < 64 ? ids->closed << further : 0;
    ids->reset = further < 64 ? ids->reset << further : 0;
    ids->seen |= 1;
    ids->last = id;
}

uint64_t carom_h2_ids_bit(const struct carom_h2_ids *ids, int32_t id)
{
    unsigned back = (unsigned)(ids->last - id) / 2;
    return id <= ids->last && back < 64 ? (uint64_t)1 << back : 0;
}

/* HEADERS or DATA for a stream that is none (RFC 9113, 5.1 and 5.1.1). Where we may be the cause,
 * frames that were under way are forgiven, but counted; nghttp2 leaves them out. */
static void stale(struct carom_h2 *h2, int32_t id)
{
    uint64_t bit = carom_h2_ids_bit(&h2->ids, id);
    if (bit & h2->ids.closed & ~h2->ids.reset)
        nghttp2_session_terminate_session(h2->session, NGHTTP2_STREAM_CLOSED);
    else if (bit & ~h2->ids.seen)
        nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
    else
        carom_h2_count(h2, CAROM_H2_CONTROL);
}

/* ---------------------------------------------------------------- frames */

static bool is_new(const struct carom_h2 *h2, const struct frame *frame)
{
    return frame->type == NGHTTP2_HEADERS && (frame->stream & 1) && frame->stream > h2->ids.last;
}

/* Most frames of most clients. */
static bool harmless(const struct carom_h2 *h2, const struct frame *frame)
{
    return frame->type == NGHTTP2_CONTINUATION ||  /* nghttp2 knows what it may follow */
           frame->type == NGHTTP2_WINDOW_UPDATE || /* looked at when its increment is known */
           is_new(h2, frame);
}

/* What came before it is read. */
static void judge(struct carom_h2 *h2, const struct frame *frame)
{
    bool content = frame->type == NGHTTP2_DATA;
    if ((content || frame->type == NGHTTP2_HEADERS) && (frame->stream & 1) &&
        frame->stream <= h2->ids.last &&
        nghttp2_session_find_stream(h2->session, frame->stream) == NULL)
        stale(h2, frame->stream);
    switch (frame->type) {
    case NGHTTP2_RST_STREAM:
        carom_h2_count(h2, CAROM_H2_RESETS);
        break;
    case NGHTTP2_DATA:
        if (frame->length == 0 && !(frame->flags & NGHTTP2_FLAG_END_STREAM))
            carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
        if (!(frame->flags & NGHTTP2_FLAG_ACK))
            carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    case NGHTTP2_HEADERS:
        break;
    case NGHTTP2_PRIORITY:
        if (frame->stream == 0)
            nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
        carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    default: /* PRIORITY_UPDATE, GOAWAY, and what nobody knows */
        carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    }
}

/* The next byte is the last of a head: nghttp2 has read all up to it. */
static ssize_t look(struct carom_h2 *h2, const struct frame *frame, const uint8_t *data,
                    size_t length)
{
    ssize_t taken = length > 0 ? nghttp2_session_mem_recv(h2->session, data, length) : 0;
    if (taken >= 0)
        judge(h2, frame);
    return taken;
}

ssize_t carom_h2_frames_receive(struct carom_h2 *h2, const uint8_t *data, size_t length)
{
    struct carom_h2_frames *frames = &h2->frames;
    size_t given = 0, at = 0;
    while (at < length) {
        if (frames->skip > 0) {
            uint32_t skipped = frames->skip < length - at ? frames->skip : (uint32_t)(length - at);
            frames->skip -= skipped;
            at += skipped;
            continue;
        }
        frames->head[frames->have++] = data[at++];
        if (frames->have < HEAD)
            continue;
        struct frame frame = frame_of(frames->head);
        frames->have = 0;
        frames->skip = frame.length;
        if (!harmless(h2, &frame)) {
            ssize_t taken = look(h2, &frame, data + given, at - 1 - given);
            if (taken < 0)
                return taken;
            given = at - 1;
        } else if (is_new(h2, &frame)) {
            see(&h2->ids, frame.stream);
        }
    }
    return nghttp2_session_mem_recv(h2->session, data + given, length - given);
}
