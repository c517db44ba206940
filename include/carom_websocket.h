/* WebSocket (RFC 6455), over HTTP/1.1 and HTTP/2 (RFC 8441), with permessage-deflate (RFC 7692).
 * carom.h includes this page.
 *
 * A handler accepts a request by carom_websocket_accept, which takes the record over: from then on
 * there is a *socket*. It lives on the worker of its connection, whose thread makes all its calls
 * and calls its handlers, none of them inside another call of the library that was made by a
 * handler. A socket ends when `close` is called: always, once, and last; before that its pointer is
 * good, whatever has become of the client. Across time and threads keep a carom_websocket_ref.
 *
 * A call that takes a socket may fail with -CAROM_EINVAL, too: it is NULL; and with -CAROM_ESTATE:
 * its `close` has returned, which is noticed until its memory is another's, and in a build with
 * CAROM_DEBUG_CHECKS ends the program. Calls that only tell have nothing to tell then. On the wrong
 * thread a call ends the program, with a line that names it on standard error.
 *
 * An idle socket holds no buffer, and after warm-up no message allocates. */
#ifndef CAROM_WEBSOCKET_H
#define CAROM_WEBSOCKET_H

#include "carom.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One WebSocket, opaque: made by carom_websocket_accept, gone when its `close` has returned. */
typedef struct carom_websocket carom_websocket;

/* What a message is (RFC 6455, 5.6); the numbers are those of the frames. */
typedef enum carom_websocket_kind {
    CAROM_WEBSOCKET_TEXT = 1,   /* UTF-8, checked when it comes */
    CAROM_WEBSOCKET_BINARY = 2, /* bytes */
    CAROM_WEBSOCKET_PLAIN = 16 /* beside one of them, where a message is sent: it is not compressed,
                                  as what is secret should not be beside what others may write */
} carom_websocket_kind;

/* How far a socket is. */
typedef enum carom_websocket_state {
    CAROM_WEBSOCKET_OPEN,    /* messages go both ways */
    CAROM_WEBSOCKET_CLOSING, /* a Close was sent, and its answer has not come */
    CAROM_WEBSOCKET_CLOSED   /* it is over: `close` is about to be called, or is being called */
} carom_websocket_state;

/* What a program is told of its sockets; each may be NULL. Bytes are the library's, and valid until
 * the call returns. */
typedef struct carom_websocket_handlers {
    size_t size; /* sizeof(carom_websocket_handlers) */
    /* It is open: the first call, and no message comes before it. Not inside accept. */
    void (*open)(carom_websocket *socket);
    /* A message has come, whole and in one piece; text is valid UTF-8. */
    void (*message)(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                    size_t length);
    /* A piece of a message has come, the last one with `last`: given in place of `message`, if it
     * is set, for messages that are not to be held. A piece of text may end within a character.
     * Such messages have no options.max_message; compressed ones are inflated whole, and have. */
    void (*piece)(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                  size_t length, bool last);
    /* After a call said EAGAIN: half of what was buffered has left. */
    void (*drain)(carom_websocket *socket);
    /* A ping has come, and was answered; or a pong. At most 125 bytes. */
    void (*ping)(carom_websocket *socket, const void *data, size_t length);
    /* The same of a pong. */
    void (*pong)(carom_websocket *socket, const void *data, size_t length);
    /* The last call, once: `code` and `reason` are those of the client's Close (RFC 6455, 7.4);
     * 1005 when that had none; 1006 when there was no Close; or those with which this side ended
     * it: 1002, 1007, 1009 for the client's fault, 1001 by a shutdown. `clean`: both sides have
     * sent a Close. */
    void (*close)(carom_websocket *socket, uint16_t code, carom_slice reason, bool clean);
    /* The client has broken the protocol or a limit: 1002, 1007, 1008 or 1009. Nothing more is
     * read; what came before may still be answered. The program ends the socket by
     * carom_websocket_close, in this call or later; after options.close_timeout it is ended with
     * `code`. Without this handler it is at once. */
    void (*error)(carom_websocket *socket, uint16_t code);
} carom_websocket_handlers;

/* How messages are compressed where the client offers it (RFC 7692). */
typedef enum carom_websocket_deflate {
    CAROM_WEBSOCKET_DEFLATE_OFF,    /* not at all */
    CAROM_WEBSOCKET_DEFLATE_SHARED, /* each message by itself, by what all sockets of a worker
                                       share: nearly no memory for a socket */
    CAROM_WEBSOCKET_DEFLATE_OWN /* each socket remembers what came before (context takeover): better
                                   for small messages that are alike, and some KiB for each */
} carom_websocket_deflate;

/* Options of sockets. Start from CAROM_WEBSOCKET_OPTIONS_INIT; zero means the default that stands
 * beside the option. Copied, handlers too; the texts are not, and stay for as long as a socket
 * lives that has them. */
typedef struct carom_websocket_options {
    size_t size;                              /* set by CAROM_WEBSOCKET_OPTIONS_INIT */
    const carom_websocket_handlers *handlers; /* there is no default: EINVAL */
    const char *protocols;  /* "chat, superchat": those that are spoken, by preference; the first
                               that the client offers, too, is agreed (RFC 6455, 1.9). NULL: none */
    const char *origins;    /* who may connect from a browser: NULL: pages of the same origin;
                               "https://a.example, https://b.example": these; "*": all. Without an
                               Origin it is no browser, and may */
    uint64_t max_message;   /* 1 MiB: close with 1009, inflated size included. Of a message that
                               comes in parts no more is held than twice what has come, so that of
                               all sockets of a worker at most twice this for each */
    uint32_t max_fragments; /* 1,024 frames of a message, empty ones too: 1008 */
    uint32_t write_limit;   /* 1 MiB of unsent messages: ETOOBIG for the next */
    uint32_t write_buffer;  /* 64 KiB of these: EAGAIN, and `drain` follows */
    bool close_at_limit;    /* at write_limit the socket is aborted, too */
    uint32_t ping_interval; /* 25 s without a frame in one direction: ping (CAROM_OFF: never) */
    uint32_t pong_timeout;  /* 20 s without a byte after a ping: over, 1006 */
    uint32_t close_timeout; /* 5 s from Close to its answer, and as long as a client may take
                               nothing of what is sent before it: over, 1006 */
    carom_websocket_deflate deflate; /* off */
    uint32_t deflate_threshold;      /* 64 bytes: smaller messages are sent as they are */
    uint8_t deflate_window;          /* 12: bits of the window, 9 to 15 (RFC 7692, 7.1.2) */
    uint8_t deflate_memory;          /* 5: memLevel of zlib, 1 to 9 */
    uint8_t deflate_level;           /* 1: of zlib, 1 to 9; ISA-L does 1, if it is there */
} carom_websocket_options;

/* Options that are all at their defaults, as an initializer. */
#ifdef __cplusplus
#define CAROM_WEBSOCKET_OPTIONS_INIT carom_websocket_options_init()
/* Options that are all at their defaults. Any thread. */
static inline carom_websocket_options carom_websocket_options_init()
{
    carom_websocket_options options = carom_websocket_options();
    options.size = sizeof options;
    return options;
}
#else
#define CAROM_WEBSOCKET_OPTIONS_INIT                                                               \
    {                                                                                              \
        .size = sizeof(carom_websocket_options)                                                    \
    }
#endif

/* ------------------------------------------------------------------ accepting */

/* Whether the request asks for a WebSocket: Upgrade: websocket (RFC 6455, 4.2.1), or an extended
 * CONNECT with :protocol websocket (RFC 8441), which clients send only where
 * options.h2_connect_protocol is set. */
CAROM_API bool carom_websocket_is_asked(const carom_record *record);

/* Make the request a socket, in *socket: the answer is 101 (200 over HTTP/2) with `fields`, which
 * are copied (Set-Cookie, say); `data` is for carom_websocket_data. On 0 the record is the
 * library's, as after carom_release, and `open` follows. A request that is none by RFC 6455, 4.2.1
 * is answered here: 426 with Sec-WebSocket-Version for another version, 400 for a bad key or
 * method, 403 for an origin that options.origins does not name: then the call returns EPROTOCOL,
 * and the record is to be released as always. Errors: EINVAL (options), EPROTOCOL, EFIELD (fields),
 * ETOOBIG, ECANCELED, ESTATE (answered before; or the request asks for nothing of the kind: answer
 * it otherwise), ENOMEM. */
CAROM_API int carom_websocket_accept(carom_record *record, const carom_websocket_options *options,
                                     const carom_field *fields, size_t field_count, void *data,
                                     carom_websocket **socket);

/* ------------------------------------------------------------------ sending */

/* Send a message. Content is copied, or lent until its give_back, as in carom_write; lent bytes
 * must not change, and are copied all the same where they are few or compressed. Text must be
 * UTF-8, which is not checked: a client ends the connection for other text. Returns 0: sent, or
 * soon will be; -CAROM_EAGAIN: it is queued, and more than options.write_buffer waits for the
 * client: go on when `drain` is called; -CAROM_ETOOBIG: not queued, for over options.write_limit
 * would wait (the first message may have any length); -CAROM_ECANCELED: not queued, the socket is
 * not open any more; -CAROM_ENOMEM: not queued, and the socket is aborted; -CAROM_EINVAL. */
CAROM_API int carom_websocket_send(carom_websocket *socket, carom_websocket_kind kind,
                                   const carom_content *content);
/* Send a message piece by piece, each as a frame, the last one with `last`; `kind` is that of the
 * message. Pieces are not compressed. No other message may be sent between them: ESTATE. Otherwise
 * like carom_websocket_send. */
CAROM_API int carom_websocket_send_piece(carom_websocket *socket, carom_websocket_kind kind,
                                         const carom_content *content, bool last);
/* Send a ping with at most 125 bytes; the library sends its own (options.ping_interval). Errors:
 * ETOOBIG, ECANCELED, ENOMEM. */
CAROM_API int carom_websocket_ping(carom_websocket *socket, const void *data, size_t length);
/* Send a pong that was not asked for (RFC 6455, 5.5.3); pings are answered by the library. Errors
 * as carom_websocket_ping. */
CAROM_API int carom_websocket_pong(carom_websocket *socket, const void *data, size_t length);
/* Bytes that wait for the client, frames included. */
CAROM_API uint64_t carom_websocket_buffered(const carom_websocket *socket);

/* ------------------------------------------------------------------ reading, ending */

/* Take no more messages until carom_websocket_resume: the client is slowed down by its windows.
 * Nothing comes after the call, not from what was received already either. Pings are not answered
 * meanwhile, and a client that leaves is noticed when reading goes on, or by pongs that are
 * missing only then. */
CAROM_API void carom_websocket_pause(carom_websocket *socket);
/* Go on; messages come in the next turn, not inside the call. */
CAROM_API void carom_websocket_resume(carom_websocket *socket);

/* Begin to close: what was queued is sent, then a Close with `code` (1000 to 1014 but 1004 to 1006,
 * or 3000 to 4999; 0: none) and `reason` (UTF-8 of at most 123 bytes). No message comes any more;
 * `close` is called when the client has answered, or after options.close_timeout; after `error`, in
 * the next pass, with the code that it had. Errors: EINVAL (code or reason), ECANCELED (closing
 * already). */
CAROM_API int carom_websocket_close(carom_websocket *socket, uint16_t code, carom_slice reason);
/* End it at once: the client sees a reset. `close` follows with 1006. */
CAROM_API void carom_websocket_abort(carom_websocket *socket);

/* ------------------------------------------------------------------ what it is */

/* How far it is. */
CAROM_API carom_websocket_state carom_websocket_get_state(const carom_websocket *socket);
/* What was given to accept, or carom_websocket_set_data. */
CAROM_API void *carom_websocket_data(const carom_websocket *socket);
/* Give it other data. */
CAROM_API void carom_websocket_set_data(carom_websocket *socket, void *data);
/* The subprotocol that was agreed, one of options.protocols; data is NULL without. */
CAROM_API carom_slice carom_websocket_protocol(const carom_websocket *socket);
/* Whether messages may be compressed. */
CAROM_API bool carom_websocket_is_compressed(const carom_websocket *socket);
/* The client's address. */
CAROM_API void carom_websocket_peer(const carom_websocket *socket, carom_address *address);
/* Its worker. */
CAROM_API carom_worker *carom_websocket_worker(const carom_websocket *socket);

/* A socket to come back to, as carom_ref is a record: it may be copied, stored and handed to other
 * threads. All zeros is a reference to nothing. */
typedef struct carom_websocket_ref {
    struct carom_life *life; /* the library's: do not look at it */
    uint64_t generation;     /* the same */
} carom_websocket_ref;

/* A reference to the socket. */
CAROM_API carom_websocket_ref carom_websocket_get_ref(carom_websocket *socket);
/* The socket, or NULL: its `close` has returned. On its worker's thread (carom_post_worker leads
 * there), until the service is destroyed. */
CAROM_API carom_websocket *carom_websocket_get(carom_websocket_ref ref);

/* ------------------------------------------------------------------ topics */

/* Let the socket be sent what is published to `topic`, a name of at most 255 bytes, for as long as
 * it is open. The topics of one socket are a list, which this call and the next two go through:
 * meant for hundreds, not for thousands. 0, also when it is subscribed already. Errors: EINVAL
 * (topic), ECANCELED, ENOMEM. */
CAROM_API int carom_websocket_subscribe(carom_websocket *socket, carom_slice topic);
/* No more of them. 1 when it was subscribed, 0 when not. */
CAROM_API int carom_websocket_unsubscribe(carom_websocket *socket, carom_slice topic);
/* Whether it is subscribed. */
CAROM_API bool carom_websocket_is_subscribed(const carom_websocket *socket, carom_slice topic);
/* Send a message to all subscribers of a topic, but this socket, on all workers of its service.
 * Content is copied once, framed once for a worker, and shared. In the order of this worker's sends
 * and publishes for each of its sockets; sockets of other workers get what this worker publishes in
 * its order. A subscriber that is over its options.write_limit, or in the midst of a message that
 * is sent in pieces, does not get it, and others do. Errors: EINVAL, ENOMEM (some may have it). */
CAROM_API int carom_websocket_publish(carom_websocket *socket, carom_slice topic,
                                      carom_websocket_kind kind, const carom_content *content);
/* The same to all subscribers. On the worker's thread. */
CAROM_API int carom_publish(carom_worker *worker, carom_slice topic, carom_websocket_kind kind,
                            const carom_content *content);
/* How many sockets of all workers are subscribed to the topic, at about this moment. Any thread. */
CAROM_API uint64_t carom_subscribers(const carom_service *service, carom_slice topic);

#ifdef __cplusplus
}
#endif
#endif
