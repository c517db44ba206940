/* Streams over TLS: the flow of pages through a session, both ways.
 *
 * What comes in lies in session->in until it is decrypted: while a handshake waits for its turn, or
 * while the owner does not receive. What goes out is encrypted in batches: bytes stay in
 * stream->out until the kernel has taken the whole batch that they became, so a slow peer costs one
 * batch, not a second copy of its response. */
#include "net/stream_tls.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "carom.h"

/* Plain bytes that are encrypted at once, and in one turn. */
#define BATCH      (4 * CAROM_TLS_RECORD)
#define TURN_BYTES (4 * BATCH)
/* A burst begins with records that fit a segment of TCP: its first bytes can be read when that has
 * come, and not when a whole large record has, for which a slow link or a young connection takes
 * long. So much of a burst, after so many ms in which nothing was sent. */
#define SMALL_RECORD 1300
#define SMALL_BYTES  (uint64_t)(40 * 1024)
#define BURST_PAUSE  1000
/* Encrypted bytes that wait for the peer: a batch, a handshake, and then some. More is a peer who
 * makes us answer (KeyUpdate) and does not read. */
#define MOST_ENCRYPTED (4 * BATCH)
/* Limit of the bytes that are kept for a stream whose handshake waits for its turn; beyond it the
 * socket is not read. */
#define MOST_WAITING (2 * CAROM_TLS_RECORD)
/* The least room for decrypted bytes in a page. */
#define ROOM 4096

static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "Content-Type: text/plain\r\n"
                                   "Content-Length: 57\r\n"
                                   "Connection: close\r\n"
                                   "\r\n"
                                   "This port speaks HTTPS: ask for https:// and not http://\n";

/* ---------------------------------------------------------------- life */

int carom_stream_secure(struct carom_stream *stream, struct carom_tls *certificates)
{
    struct carom_streams *streams = stream->streams;
    struct carom_stream_tls *tls = carom_pool_take(&streams->sessions);
    if (tls == NULL)
        return -CAROM_ENOMEM;
    *tls = (struct carom_stream_tls){.stream = stream, .wanted = true};
    carom_node_init(&tls->waiting);
    int error =
        carom_tls_session_init(&tls->session, certificates, streams->segments, streams->outgoing);
    if (error < 0) {
        carom_pool_give(&streams->sessions, tls);
        return error;
    }
    stream->tls = tls;
    return 0;
}

void carom_stream_tls_dispose(struct carom_stream *stream)
{
    carom_node_remove(&stream->tls->waiting);
    carom_tls_session_finish(&stream->tls->session);
    carom_pool_give(&stream->streams->sessions, stream->tls);
    stream->tls = NULL;
}

struct carom_tls_session *carom_stream_tls_session(const struct carom_stream *stream)
{
    return stream->tls == NULL ? NULL : &stream->tls->session;
}

void carom_stream_tls_close(struct carom_stream *stream, bool reset)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    struct carom_loop *loop = stream->streams->loop;
    if (stream->socket.closing)
        return;
    carom_node_remove(&tls->waiting);
    if (!reset && stream->out.length == 0 && carom_stream_can_send(stream)) {
        carom_tls_close_notify(session);
        /* What does not fit now is lost, as with all that is closed upon. */
        if (session->out.length > 0)
            loop->ops->send(loop, &stream->socket, &session->out);
    }
}

/* ---------------------------------------------------------------- later */

static void go_on_later(struct carom_stream *stream)
{
    if (carom_node_alone(&stream->tls->waiting))
        carom_list_append(&stream->streams->waiting, &stream->tls->waiting);
}

/* It cannot go on, and the loop knows nothing of that: it is told in the next turn. Of what was to
 * be sent only an alert still is. */
static void break_later(struct carom_stream *stream, int error)
{
    stream->tls->session.state = CAROM_TLS_FAILED;
    stream->broken = error != -CAROM_EPROTOCOL;
    stream->file_failed = error == -CAROM_EFILE;
    stream->tls->failure = error;
    go_on_later(stream);
}

/* ---------------------------------------------------------------- sending */

/* A place in stream->out. */
struct cursor {
    const struct carom_segment *segment;
    uint64_t offset; /* in it */
};

/* Copy the next bytes, `length` at most and of one segment; how many, or -CAROM_EFILE. */
static int64_t copy_piece(struct cursor *cursor, uint8_t *to, size_t length)
{
    const struct carom_segment *segment = cursor->segment;
    uint64_t left = segment->length - cursor->offset;
    if (left < length)
        length = (size_t)left;
    if (segment->data != NULL) {
        memcpy(to, segment->data + cursor->offset, length);
        return (int64_t)length;
    }
    ssize_t result;
    do
        result = pread(segment->fd, to, length, (off_t)(segment->offset + cursor->offset));
    while (result < 0 && errno == EINTR);
    return result > 0 ? result : -CAROM_EFILE;
}

static void advance(struct cursor *cursor, uint64_t length)
{
    cursor->offset += length;
    if (cursor->offset < cursor->segment->length)
        return;
    cursor->segment = cursor->segment->next;
    cursor->offset = 0;
}

/* The next bytes, `length` at most: where they lie, or gathered when they are in pieces or in a
 * file. How many: fewer when a file behind them cannot be read; or an error. */
static int64_t next_bytes(struct cursor *cursor, size_t length, uint8_t *gathered,
                          const uint8_t **data)
{
    const struct carom_segment *segment = cursor->segment;
    if (segment->data != NULL && segment->length - cursor->offset >= length) {
        *data = segment->data + cursor->offset;
        advance(cursor, length);
        return (int64_t)length;
    }
    *data = gathered;
    size_t have = 0;
    while (have < length) {
        int64_t piece = copy_piece(cursor, gathered + have, length - have);
        if (piece < 0)
            return have > 0 ? (int64_t)have : piece;
        have += (size_t)piece;
        advance(cursor, (uint64_t)piece);
    }
    return (int64_t)have;
}

static void note_burst(struct carom_stream *stream)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_loop *loop = stream->streams->loop;
    uint64_t now = loop->ops->now(loop);
    if (now - tls->sent_at > BURST_PAUSE)
        tls->burst = 0;
    tls->sent_at = now;
}

/* Encrypt what comes next of `out`: a batch, less when there is less. 0, or an error where nothing
 * could be encrypted: what was encrypted before is sent first. */
static int encrypt_unsent(struct carom_stream *stream)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    struct cursor cursor = {stream->out.first, 0};
    uint8_t gathered[CAROM_TLS_RECORD];
    uint64_t left = stream->out.length < BATCH ? stream->out.length : BATCH;
    note_burst(stream);
    while (left > 0) {
        const uint8_t *data;
        size_t most = tls->burst < SMALL_BYTES ? SMALL_RECORD : CAROM_TLS_RECORD;
        int64_t length = next_bytes(&cursor, left < most ? (size_t)left : most, gathered, &data);
        if (length < 0)
            return tls->encrypted > 0 ? 0 : (int)length;
        int error = carom_tls_write(session, data, (size_t)length);
        if (error < 0)
            return error;
        tls->encrypted += (uint64_t)length;
        tls->burst += (uint64_t)length;
        left -= (uint64_t)length;
    }
    return 0;
}

/* The kernel has all that was encrypted. True when there is more to send, which is encrypted. */
static bool next_batch(struct carom_stream *stream, uint64_t *budget)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    uint64_t encrypted = tls->encrypted;
    tls->encrypted = 0;
    if (encrypted > 0)
        carom_stream_taken(stream, encrypted);
    if (!carom_stream_can_send(stream))
        return false;
    if (stream->out.length == 0 || session->state != CAROM_TLS_OPEN) {
        if (stream->fin_due)
            carom_tls_close_notify(session);
        return session->out.length > 0;
    }
    if (*budget == 0) {
        go_on_later(stream);
        return false;
    }
    int error = encrypt_unsent(stream);
    if (error < 0) {
        break_later(stream, error);
        return false;
    }
    *budget -= tls->encrypted < *budget ? tls->encrypted : *budget;
    return true;
}

void carom_stream_tls_send(struct carom_stream *stream)
{
    struct carom_tls_session *session = &stream->tls->session;
    struct carom_loop *loop = stream->streams->loop;
    uint64_t budget = TURN_BYTES;
    while (carom_stream_can_send(stream)) {
        if (session->out.length == 0 && !next_batch(stream, &budget))
            break;
        int64_t result = loop->ops->send(loop, &stream->socket, &session->out);
        if (result == CAROM_SEND_PENDING)
            break;
        if (result < 0) {
            stream->broken = true;
            break;
        }
        carom_queue_consume(&session->out, stream->streams->segments, (uint64_t)result);
    }
    if (stream->fin_due && !carom_stream_tls_stalled(stream) && carom_stream_can_send(stream)) {
        stream->fin_sent = true;
        loop->ops->shutdown(loop, &stream->socket);
    }
}

void carom_stream_tls_sent(struct carom_stream *stream, uint64_t bytes)
{
    carom_queue_consume(&stream->tls->session.out, stream->streams->segments, bytes);
}

bool carom_stream_tls_stalled(const struct carom_stream *stream)
{
    const struct carom_tls_session *session = &stream->tls->session;
    bool takes_more = session->state != CAROM_TLS_FAILED; /* or `out` stays where it is */
    return !stream->broken && (session->out.length > 0 || (takes_more && stream->out.length > 0));
}

/* ---------------------------------------------------------------- receiving */

/* What has come first is no TLS: a method, before which there may be an empty line (RFC 9112, 2.2).
 * A record of an unknown type may begin with a letter, but then with a small number. */
static bool speaks_plain(const struct carom_tls_session *session)
{
    const struct carom_segment *segment = session->in.first;
    uint8_t first = segment->data[0], letter = first | 0x20;
    bool empty_line = first == '\r' || first == '\n';
    if (session->begun || !((letter >= 'a' && letter <= 'z') || empty_line))
        return false;
    if (session->in.length == 1)
        return !empty_line;
    uint8_t second = segment->length > 1 ? segment->data[1] : segment->next->data[0];
    return second >= ' ' || second == '\r' || second == '\n';
}

static void fail(struct carom_stream *stream, int error)
{
    struct carom_tls_session *session = &stream->tls->session;
    session->state = CAROM_TLS_FAILED;
    stream->streams->handshakes_failed++;
    carom_queue_clear(&session->in, stream->streams->segments);
    stream->streams->events->secured(stream, error);
}

/* One step of the handshake. False: no further one now. */
static bool shake_hands(struct carom_stream *stream)
{
    struct carom_tls_session *session = &stream->tls->session;
    struct carom_streams *streams = stream->streams;
    if (session->in.length == 0)
        return false;
    if (speaks_plain(session)) {
        carom_queue_append_borrowed(&session->out, streams->segments, plain_answer,
                                    sizeof plain_answer - 1, NULL, NULL);
        fail(stream, -CAROM_EUNSUPPORTED);
        return false;
    }
    if (session->in.length == 1 && !session->begun)
        return false; /* what it is the second byte says */
    if (streams->handshakes == 0) {
        go_on_later(stream);
        return false;
    }
    streams->handshakes--;
    session->begun = true;
    int result = carom_tls_handshake(session);
    if (result < 0) {
        fail(stream, result);
        return false;
    }
    if (result == 0)
        return false;
    session->state = CAROM_TLS_OPEN;
    streams->handshakes_done++;
    streams->handshakes_resumed += carom_tls_resumed(session);
    streams->events->secured(stream, 0);
    return true;
}

/* Where decrypted bytes go, as carom_socket_room says it of others. */
static struct carom_page *room_for_plain(struct carom_stream *stream)
{
    struct carom_page *page = stream->tls->landing;
    if (page != NULL && page->used < page->size)
        return page;
    struct carom_arena *arena = &stream->streams->plain;
    uint32_t size = arena->pages->size;
    return carom_arena_room(arena, size < ROOM ? size : ROOM);
}

/* Decrypt one piece and hand it over. False: no further one now. */
static bool decrypt(struct carom_stream *stream)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    if (!tls->wanted || !carom_tls_has_input(session))
        return false;
    struct carom_page *page = room_for_plain(stream);
    if (page == NULL) {
        break_later(stream, -CAROM_ENOMEM);
        return false;
    }
    uint8_t *to = page->data + page->used;
    int64_t length = carom_tls_read(session, to, page->size - page->used);
    if (length < 0)
        break_later(stream, (int)length);
    else if (length == 0 && !session->notify_seen && carom_tls_has_input(session))
        go_on_later(stream); /* a KeyUpdate: it costs as much as many bytes, so one in a turn */
    if (length <= 0)
        return false;
    page->used += (uint32_t)length;
    carom_page_hold(page); /* it outlives a callback that lets go of it */
    stream->streams->events->received(stream, page, to, (uint32_t)length);
    carom_page_drop(page);
    return true;
}

/* Tell the end, once, when all that came before it is told. */
static void tell_end(struct carom_stream *stream)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    bool paused = session->state == CAROM_TLS_OPEN && carom_tls_has_input(session);
    bool waits = session->state == CAROM_TLS_SHAKING && !carom_node_alone(&tls->waiting);
    if (tls->told || stream->broken || tls->failure < 0 || !(tls->fin || session->notify_seen))
        return;
    if ((paused || waits) && !session->notify_seen) {
        if (!tls->wanted && !tls->told_fin) {
            tls->told_fin = true;
            stream->streams->events->fin_queued(stream);
        }
        return;
    }
    tls->told = true;
    stream->truncated = !session->notify_seen;
    stream->streams->events->peer_done(stream, 0);
}

/* Take what has come as far as it goes. An end that came together with bytes is told in the next
 * turn, as TCP's is: a request can be answered till then. */
static void work(struct carom_stream *stream)
{
    struct carom_tls_session *session = &stream->tls->session;
    bool more = true, handed_over = false;
    while (more && !stream->socket.closing && !stream->broken) {
        if (session->state == CAROM_TLS_SHAKING) {
            more = shake_hands(stream);
        } else {
            more = session->state == CAROM_TLS_OPEN && decrypt(stream);
            handed_over |= more;
        }
    }
    if (stream->socket.closing)
        return;
    if (session->notify_seen || session->state == CAROM_TLS_FAILED)
        carom_queue_clear(&session->in, stream->streams->segments);
    if (session->out.length > 0) /* of the handshake, or an alert */
        carom_stream_tls_send(stream);
    if (session->out.length > MOST_ENCRYPTED)
        break_later(stream, -CAROM_ETOOBIG);
    if (stream->socket.closing)
        return;
    if (handed_over && session->notify_seen)
        go_on_later(stream);
    else
        tell_end(stream);
}

/* It waits for its turn, and what it sends waits in the kernel. */
static void hold_back(struct carom_stream *stream)
{
    struct carom_loop *loop = stream->streams->loop;
    if (!stream->socket.receiving)
        return;
    stream->tls->held_back = true;
    loop->ops->receive(loop, &stream->socket, false);
}

static void let_go(struct carom_stream *stream)
{
    struct carom_loop *loop = stream->streams->loop;
    stream->tls->held_back = false;
    loop->ops->receive(loop, &stream->socket, true);
}

void carom_stream_tls_received(struct carom_stream *stream, struct carom_page *page,
                               const uint8_t *data, uint32_t length)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    if (session->state == CAROM_TLS_FAILED || session->notify_seen || stream->broken)
        return;
    if (carom_queue_append_page(&session->in, stream->streams->segments, page, data, length) < 0)
        break_later(stream, -CAROM_ENOMEM);
    else if (carom_node_alone(&tls->waiting)) /* otherwise in its turn */
        work(stream);
    if (!carom_node_alone(&tls->waiting) && session->in.length >= MOST_WAITING)
        hold_back(stream);
}

void carom_stream_tls_peer_done(struct carom_stream *stream)
{
    stream->tls->fin = true;
    tell_end(stream);
}

bool carom_stream_tls_receives(const struct carom_stream *stream)
{
    return stream->tls->wanted;
}

void carom_stream_tls_receive(struct carom_stream *stream, bool on)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    tls->wanted = on;
    tls->held_back = false;
    tls->told_fin &= !on;
    if (on && session->state == CAROM_TLS_OPEN && !stream->socket.closing &&
        (carom_tls_has_input(session) || (tls->fin && !tls->told)))
        go_on_later(stream);
}

void carom_stream_tls_land(struct carom_stream *stream, struct carom_page *page)
{
    stream->tls->landing = page;
}

/* ---------------------------------------------------------------- the turn */

static void go_on(struct carom_stream *stream)
{
    struct carom_stream_tls *tls = stream->tls;
    struct carom_tls_session *session = &tls->session;
    const struct carom_stream_events *events = stream->streams->events;
    uint64_t before = stream->sent_total;
    if (tls->failure < 0) {
        int failure = tls->failure;
        tls->failure = 0;
        events->peer_done(stream, failure);
        if (!stream->socket.closing)
            tell_end(stream);
        return;
    }
    work(stream);
    if (!stream->socket.closing && stream->out.length > 0)
        carom_stream_tls_send(stream);
    if (tls->held_back && session->in.length < MOST_WAITING)
        let_go(stream);
    if (!stream->socket.closing && stream->sent_total > before)
        events->sent(stream);
}

void carom_streams_go_on(struct carom_streams *streams)
{
    struct carom_node now, *node;
    carom_node_init(&now); /* those that wait again do so until the next turn */
    carom_list_splice(&now, &streams->waiting);
    while ((node = carom_list_take(&now)) != NULL)
        go_on(carom_container(node, struct carom_stream_tls, waiting)->stream);
}
