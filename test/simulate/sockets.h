/* A world of WebSockets: one service, and clients that talk to it over HTTP/1.1 and HTTP/2, in the
 * clear or over TLS. What
 * either side says follows from the number of the talk and that of the message, so each knows what
 * it must hear, in which order, byte for byte. */
#ifndef CAROM_TEST_SIMULATE_SOCKETS_H
#define CAROM_TEST_SIMULATE_SOCKETS_H

#include <zlib.h>

#include "simulate/world.h"

#define TALKS       40
#define ROADS       24
#define ROAD_TALKS  4
#define HEARD_MOST  400    /* messages to a client */
#define LONGEST     120000 /* bytes of a message */
#define MAX_MESSAGE 150000
#define NO_CODE     1005 /* a Close without one (RFC 6455, 7.1.5), */
#define NO_CLOSE    1006 /* and none at all */

struct road;

/* How a client goes about it. */
enum talk_manner {
    TALK_CLOSES,  /* says all, then Close */
    TALK_LISTENS, /* says all, and waits for the server's Close */
    TALK_LEAVES,  /* is gone in the midst, by a reset */
    TALK_ENDS,    /* in the midst, by FIN */
    TALK_SILENT,  /* from some byte on it says nothing, not a pong either */
    TALK_BREAKS,  /* the protocol, when all is said */
    TALK_MANNERS,
};

/* Bytes that grow. */
struct bytes {
    uint8_t *data;
    size_t used, size;
};

/* One WebSocket, as both sides know it. */
struct talk {
    unsigned number;
    struct road *road;
    uint8_t manner;      /* enum talk_manner */
    uint16_t breaks;     /* with what the server must close it */
    uint32_t says, said; /* messages of the client: in all, and begun */
    uint64_t leaving;    /* bytes until it leaves */

    /* What the client sends, and what it has read. */
    struct bytes out;
    size_t passed; /* of `out`, to the road */
    bool closed, heard_close, left, over;
    uint16_t close_code; /* that it sent */
    struct bytes frame;  /* that comes, not whole */
    struct bytes message;
    uint8_t kind;        /* of the message that comes in frames; 0: none */
    bool deflated;       /* it */
    uint32_t heard;      /* messages */
    uint8_t compression; /* what it offers */
    bool deflates, remembers_in, remembers_out;
    z_stream deflater, inflater;

    /* On a stream of HTTP/2. */
    int32_t stream;
    bool asked, answered, deferred, reset, ended;
    uint32_t owed; /* credit */

    /* The server. */
    carom_websocket *socket;
    carom_websocket_ref ref;
    bool opened, told_close, drains, paused, subscribed, server_closes, aborted;
    bool pieces, in_pieces; /* its messages are sent in pieces; one is in the midst */
    uint64_t silent_since;
    uint32_t understood; /* messages of the client */
    uint32_t piece_at;   /* bytes of the next message that are sent; in pieces */
    uint32_t sent;       /* messages of its own */
    uint32_t
        order[HEARD_MOST]; /* what the client must hear: a message, or PUBLISHED and its number */
    uint32_t order_count;
};

#define PUBLISHED 0x80000000u

/* A connection of a client. */
struct road {
    int number;
    struct carom_peer *peer;
    struct client wire; /* what line.c knows of it: the peer, and TLS where the world has that */
    struct talk *talks[ROAD_TALKS];
    int count;
    uint8_t pieces;
    uint32_t window; /* it reads so much at a time; 0: all */
    size_t received, seen;
    bool is_h2, greeted, gone, finished, head_seen;
    struct nghttp2_session *session;
    struct bytes out; /* of HTTP/2 */
    size_t passed;
};

/* sockets.c: the run, and the server. */
struct talk *sockets_talk(unsigned number);
extern unsigned sockets_talk_count;

/* Message `index` of one side, in a buffer that the next call writes over; `kind` is that of the
 * frame. */
enum message_of { OF_CLIENT, OF_SERVER, OF_ALL };
carom_slice sockets_message(const struct talk *talk, enum message_of whose, uint32_t index,
                            uint8_t *kind);

/* socket_client.c */
void bytes_add(struct bytes *bytes, const void *data, size_t length);
void bytes_free(struct bytes *bytes);
void talk_begin(struct talk *talk);
void talk_free(struct talk *talk);
/* The fields of its request beside those of HTTP: "name: value\r\n". */
const char *talk_offer(const struct talk *talk);
/* What the server has agreed to; data is NULL without. */
void talk_agreed(struct talk *talk, const char *extensions);
/* Say something; false when there is nothing to say. */
bool talk_act(struct talk *talk);
/* Bytes have come. */
void talk_hears(struct talk *talk, const uint8_t *data, size_t length);
/* No more will: it was lawful, or the run fails. */
void talk_is_over(struct talk *talk, bool reset);
/* So many bytes may be passed to the road now. */
size_t talk_may_pass(const struct talk *talk);

/* socket_road.c */
void road_open(struct road *road);
void road_free(struct road *road);
bool road_act(struct road *road);
void road_look(struct road *road);
/* A talk leaves. */
void road_leave(struct road *road, struct talk *talk, bool finishes);

/* socket_h2.c: the same over HTTP/2. */
void road_h2_open(struct road *road);
bool road_h2_act(struct road *road);
void road_h2_look(struct road *road);
void road_h2_leave(struct road *road, struct talk *talk, bool finishes);

#endif
