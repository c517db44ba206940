/* A WebSocket, inside the engine (RFC 6455): a tunnel, what has come of an unfinished message, and
 * how far it is. accept.c makes one, receive.c has what comes, send.c what goes, end.c its closing
 * and its times; topics.c publishes.
 *
 * An idle socket is this struct and its tunnel's connection, so its size counts. No handler of the
 * program is called inside a call that the program makes: what a call leads to is told in the next
 * pass of wakers (carom_ws_due). */
#ifndef CAROM_WEBSOCKET_WEBSOCKET_H
#define CAROM_WEBSOCKET_WEBSOCKET_H

#include "carom_websocket.h"
#include "http/tunnel.h"
#include "websocket/settings.h"
#include "websocket/shared.h"
#include "wire/ws_frame.h"

struct carom_topic_subscription;

/* What has come of a frame, or of a message, that is not whole. */
struct carom_ws_partial {
    uint8_t head[14];  /* of the frame, */
    uint8_t head_have; /* as far as it has come */
    bool in_frame;     /* the head is whole, and the payload comes */
    struct carom_ws_head frame;
    uint64_t frame_have;                     /* bytes of its payload that have come */
    uint8_t control[CAROM_WS_CONTROL_BYTES]; /* its payload, of a control frame */
    uint8_t reason_length;                   /* of a Close that has come: behind its code there */
    uint8_t kind;           /* of the message, carom_websocket_kind; 0: none has begun */
    bool compressed;        /* the message */
    bool streams;           /* it is given in pieces */
    uint32_t fragments;     /* frames of it so far */
    uint8_t *bytes;         /* of it so far, in the worker's bins */
    size_t length, size;    /* how many, and how many there is room for */
    struct carom_utf8 text; /* what its bytes were so far, if it is one */
};

struct carom_websocket {
    struct carom_node link; /* of shared->open or shared->due */
    struct carom_life *life;
    struct carom_tunnel tunnel;
    struct carom_ws_settings *settings;
    void *data; /* the program's */
    struct carom_timer timer;
    struct carom_ws_partial *partial; /* or NULL: whole frames have come */
    struct carom_topic_subscription *subscriptions;
    struct carom_ws_deflate *deflate; /* or NULL: messages are not compressed */
    uint8_t protocol;                 /* the subprotocol, its place in the settings, and one; 0 */
    uint8_t state : 2;                /* carom_websocket_state */
    uint8_t piece_kind : 2;           /* of the message that is sent in pieces; 0: none */
    bool opens : 1;                   /* `open` is due, */
    bool drains : 1;                  /* `drain` follows when room is there, */
    bool drained : 1;                 /* and is due */
    bool clean : 1;                   /* both have sent a Close */
    bool is_due : 1;                  /* it is in shared->due */
    bool heard : 1;                   /* bytes have come since the timer was set, */
    bool spoke : 1;                   /* were sent; when it is closing: have left, */
    bool pinged : 1;                  /* and a ping is to be answered until it fires */
    bool failed : 1; /* `error` was told `code`, and the Close waits for the program */
    uint8_t cut_for; /* carom_reason: it is to be abandoned in the next pass; 0: it is not */
    uint16_t code;   /* of its end */
};

_Static_assert(sizeof(void *) != 8 || sizeof(carom_websocket) <= 136,
               "with its connection, its life and the allocator's words an idle socket costs at "
               "most 400 bytes");

/* Why a public call on a socket is refused: -CAROM_EINVAL, there is none, or -CAROM_ESTATE, its
 * `close` has returned; in debug builds that ends the program. So does, always, a call on another
 * thread than its worker's. */
int carom_ws_refuses(const carom_websocket *socket, const char *call);

/* What every public call on a socket may rely on: it is there, as far as that can be seen, since
 * its memory may be another's by now, and this is its worker's thread. 0, or as
 * carom_ws_refuses. */
static inline int carom_ws_check(const carom_websocket *socket, const char *call)
{
    if (carom_likely(socket != NULL && carom_life_is_held(socket->life) &&
                     pthread_equal(socket->life->records->thread, pthread_self())))
        return 0;
    return carom_ws_refuses(socket, call);
}

/* The partial; a fresh one, if there is none; NULL: no memory, and the socket is over. */
struct carom_ws_partial *carom_ws_partial_of(carom_websocket *socket);
/* Give it back, if there is one, with what has come. */
void carom_ws_drop_partial(carom_websocket *socket);

/* Bytes have come (carom_tunnel_events.received). */
uint32_t carom_ws_received(struct carom_tunnel *tunnel, uint8_t *data, uint32_t length);

/* Append a control frame; 0 or -CAROM_ENOMEM, after which the socket is over. */
int carom_ws_send_control(carom_websocket *socket, uint8_t opcode, const void *data, size_t length);
/* Whether a message of so many bytes may be sent to it now, by a publisher. Who is over its limit
 * may be abandoned for that, in the next pass: a publisher goes through a list, which nothing that
 * is given back may change under its feet. */
bool carom_ws_takes(carom_websocket *socket, size_t length);
/* Append a frame that lies in a page; `length` bytes of payload. 0 or -CAROM_ENOMEM, and then the
 * socket is abandoned in the next pass. */
int carom_ws_send_framed(carom_websocket *socket, struct carom_page *page, const uint8_t *frame,
                         size_t size, size_t length);
/* Some of what waited has left (carom_tunnel_events.sent). */
void carom_ws_sent(struct carom_tunnel *tunnel);

/* The program is to be told in the next pass of wakers. */
void carom_ws_due(carom_websocket *socket);
/* The waker of those that are due. */
void carom_websockets_tell(carom_waker *waker, int status);
/* Call `open`, if it is due. */
void carom_ws_tell_open(carom_websocket *socket);

/* Its time begins to run. */
void carom_ws_keep_time(carom_websocket *socket);
/* The client has broken the protocol, or a limit: say so with this code, and end it; a program with
 * a handler `error` is told, and does that. Nothing more is read. */
void carom_ws_fail(carom_websocket *socket, uint16_t code);
/* It is closing, and some of what waited has left. */
void carom_ws_close_moves(carom_websocket *socket);
/* A Close has come. */
void carom_ws_close_came(carom_websocket *socket, const uint8_t *data, size_t length);
/* No memory, no answer, or no room: end it without a word; `close` is told 1006. */
void carom_ws_abandon(carom_websocket *socket, carom_reason reason);
/* The events of its tunnel. */
extern const struct carom_tunnel_events carom_ws_tunnel_events;

/* What it shares with the others of its worker. */
static inline struct carom_websockets *carom_ws_shared(const carom_websocket *socket)
{
    return socket->settings->websockets;
}

/* What a program may say that a message is: text or bytes, and beside it that it is PLAIN. */
static inline uint8_t carom_ws_opcode_of(unsigned kind)
{
    return (uint8_t)(kind & ~(unsigned)CAROM_WEBSOCKET_PLAIN);
}

static inline bool carom_ws_kind_is_known(unsigned kind)
{
    unsigned opcode = kind & ~(unsigned)CAROM_WEBSOCKET_PLAIN;
    return opcode == CAROM_WEBSOCKET_TEXT || opcode == CAROM_WEBSOCKET_BINARY;
}

/* Whether messages may be sent. */
static inline bool carom_ws_is_open(const carom_websocket *socket)
{
    return socket->state == CAROM_WEBSOCKET_OPEN;
}

/* Whether messages may be compressed. */
static inline bool carom_ws_deflates(const carom_websocket *socket)
{
    return socket->deflate != NULL;
}

#endif
