/* HTTP/2: looks at frames as they come, before nghttp2 reads them. nghttp2 ignores some without
 * telling us. Here every frame is counted, and one for a stream that no longer exists is answered
 * as RFC 9113 says. */
#include <string.h>

#include "http/h2.h"

#define HEAD 9
#define WORD 4 /* the payload's beginning, where it counts */

struct frame {
    uint32_t length;
    uint8_t type, flags;
    int32_t stream;
    int32_t other; /* of PRIORITY and PRIORITY_UPDATE: the stream that they name */
};

static int32_t stream_of(const uint8_t *word)
{
    return (int32_t)((uint32_t)(word[0] & 0x7f) << 24 | (uint32_t)word[1] << 16 |
                     (uint32_t)word[2] << 8 | word[3]);
}

static struct frame frame_of(const uint8_t *head)
{
    return (struct frame){
        .length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
        .type = head[3],
        .flags = head[4],
        .stream = stream_of(head + 5),
        .other = stream_of(head + HEAD),
    };
}

/* How much of a frame is looked at; only what nghttp2 finds well formed is looked into. */
static uint32_t looked_at(const uint8_t *head)
{
    struct frame frame = frame_of(head);
    bool names = (frame.type == NGHTTP2_PRIORITY && frame.length == WORD + 1) ||
                 (frame.type == NGHTTP2_PRIORITY_UPDATE && frame.length >= WORD);
    return names ? HEAD + WORD : HEAD;
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

/* ---------------------------------------------------------------- sections */

/* So many CONTINUATION frames may a section have: full ones are far over any limit of a section.
 * nghttp2's own count is off, since it grows with the pieces in which a frame's head comes. */
#define CONTINUATIONS 8

/* A section lasts from its HEADERS to the end of the frame with END_HEADERS, whether anybody reads
 * it or not. */
static void section_goes_on(struct carom_h2 *h2, const struct frame *frame)
{
    bool part = frame->type == NGHTTP2_HEADERS || frame->type == NGHTTP2_CONTINUATION;
    if (frame->type == NGHTTP2_HEADERS && h2->section_since == 0)
        h2->section_since = carom_connections_of(h2->connection)->records.now;
    h2->frames.continued = frame->type == NGHTTP2_CONTINUATION ? h2->frames.continued + 1 : 0;
    h2->frames.ends_section = part && (frame->flags & NGHTTP2_FLAG_END_HEADERS);
}

static void frame_ended(struct carom_h2 *h2)
{
    if (h2->frames.ends_section)
        h2->section_since = 0;
    h2->frames.ends_section = false;
}

/* ---------------------------------------------------------------- windows */

static int64_t initial_window(const struct carom_h2 *h2)
{
    return nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
}

/* SETTINGS are about to be read. */
static void note_widest(struct carom_h2 *h2)
{
    int64_t widest = 0;
    for (struct carom_node *node = h2->exchanges.next; node != &h2->exchanges; node = node->next) {
        const carom_record *record = carom_container(node, carom_record, link);
        int64_t window = nghttp2_session_get_stream_remote_window_size(
            h2->session, carom_h2_stream_of(record)->id);
        widest = window > widest ? window : widest;
    }
    h2->widest = widest - initial_window(h2);
}

void carom_h2_frames_settings(struct carom_h2 *h2)
{
    if (h2->widest + initial_window(h2) > INT32_MAX)
        nghttp2_session_terminate_session(h2->session, NGHTTP2_FLOW_CONTROL_ERROR);
}

/* ---------------------------------------------------------------- frames */

static bool is_new(const struct carom_h2 *h2, const struct frame *frame)
{
    return frame->type == NGHTTP2_HEADERS && (frame->stream & 1) && frame->stream > h2->ids.last;
}

/* Most frames of most clients. */
static bool harmless(const struct carom_h2 *h2, const struct frame *frame)
{
    if (frame->type == NGHTTP2_CONTINUATION) /* nghttp2 knows what it may follow */
        return h2->frames.continued <= CONTINUATIONS;
    return frame->type == NGHTTP2_WINDOW_UPDATE || /* looked at when its increment is known */
           (is_new(h2, frame) && h2->drain != CAROM_H2_GONE);
}

/* Its answer is out: to reset it saves the rest of its content, and wastes nothing of ours. */
static bool lingers(const struct carom_h2 *h2, int32_t id)
{
    const struct carom_h2_stream *stream = nghttp2_session_get_stream_user_data(h2->session, id);
    return stream != NULL && stream->lingers_since != 0;
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
        if (!lingers(h2, frame->stream))
            carom_h2_count(h2, CAROM_H2_RESETS);
        break;
    case NGHTTP2_CONTINUATION:
        carom_h2_calm(h2);
        break;
    case NGHTTP2_DATA: /* counted when its padding is known */
        break;
    case NGHTTP2_HEADERS:
        if (!is_new(h2, frame))
            break;
        see(&h2->ids, frame->stream);
        carom_h2_count(h2, CAROM_H2_CONTROL); /* GOAWAY has said that it is for nothing */
        break;
    case NGHTTP2_PRIORITY:
        /* RFC 9113 has no word for a stream that depends on itself; RFC 7540, 5.3.1, has. */
        if (frame->stream == 0 || (frame->length == WORD + 1 && frame->other == frame->stream))
            nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
        carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    case NGHTTP2_PRIORITY_UPDATE: /* RFC 9218, 7.1 */
        if (frame->length >= WORD && frame->other == 0)
            nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
        carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    case NGHTTP2_SETTINGS:
        note_widest(h2);
        carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    default: /* PING, its ACK, GOAWAY, and what nobody knows */
        carom_h2_count(h2, CAROM_H2_CONTROL);
        break;
    }
}

/* The next byte is the last that is looked at: nghttp2 has read all up to it. */
static ssize_t look(struct carom_h2 *h2, const struct frame *frame, const uint8_t *data,
                    size_t length)
{
    ssize_t taken = length > 0 ? nghttp2_session_mem_recv(h2->session, data, length) : 0;
    if (taken >= 0)
        judge(h2, frame);
    return taken;
}

static ssize_t receive(struct carom_h2 *h2, const uint8_t *data, size_t length)
{
    struct carom_h2_frames *frames = &h2->frames;
    size_t given = 0, at = 0;
    while (at < length) {
        if (frames->skip > 0) {
            uint32_t skipped = frames->skip < length - at ? frames->skip : (uint32_t)(length - at);
            frames->skip -= skipped;
            at += skipped;
            if (frames->skip == 0)
                frame_ended(h2);
            continue;
        }
        frames->head[frames->have++] = data[at++];
        if (frames->have < HEAD || frames->have < looked_at(frames->head))
            continue;
        struct frame frame = frame_of(frames->head);
        frames->skip = frame.length - (frames->have - HEAD);
        frames->have = 0;
        section_goes_on(h2, &frame);
        if (frames->skip == 0)
            frame_ended(h2);
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

bool carom_h2_frames_receive(struct carom_h2 *h2, const uint8_t *data, size_t length)
{
    ssize_t taken = receive(h2, data, length);
    if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC) /* TLS has agreed on what is not spoken */
        nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
    else if (taken == NGHTTP2_ERR_FLOODED)
        carom_h2_calm(h2);
    else
        return taken >= 0;
    return true;
}
