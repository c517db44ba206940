/* Frames of WebSocket (RFC 6455, 5): reads the heads of a client's, writes those of a server's, and
 * takes the mask off what lies between. Knows bytes only: what may follow what is the session's. */
#ifndef CAROM_WIRE_WS_FRAME_H
#define CAROM_WIRE_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/utf8.h"

enum carom_ws_opcode {
    CAROM_WS_CONTINUATION = 0,
    CAROM_WS_TEXT = 1,
    CAROM_WS_BINARY = 2,
    CAROM_WS_CLOSE = 8, /* from here on: control frames */
    CAROM_WS_PING = 9,
    CAROM_WS_PONG = 10
};

/* Why a socket is closed (RFC 6455, 7.4.1), as far as the engine says so itself. */
enum carom_ws_code {
    CAROM_WS_CODE_NORMAL = 1000,
    CAROM_WS_CODE_GOING_AWAY = 1001,
    CAROM_WS_CODE_PROTOCOL = 1002,
    CAROM_WS_CODE_NONE = 1005,     /* never sent: the peer's Close had no code */
    CAROM_WS_CODE_ABNORMAL = 1006, /* never sent: there was no Close */
    CAROM_WS_CODE_NOT_UTF8 = 1007,
    CAROM_WS_CODE_POLICY = 1008,
    CAROM_WS_CODE_TOO_BIG = 1009,
    CAROM_WS_CODE_INTERNAL = 1011
};

/* What a control frame may hold (5.5). */
#define CAROM_WS_CONTROL_BYTES 125

struct carom_ws_head {
    uint64_t length; /* of the payload */
    uint32_t mask;   /* the four bytes as they lie in memory */
    uint8_t size;    /* of the head itself */
    uint8_t opcode;  /* enum carom_ws_opcode */
    bool fin;
    bool compressed; /* RSV1 (RFC 7692, 6) */
};

/* Read the head of a client's frame, which is masked. `deflate`: permessage-deflate was agreed on,
 * so the first frame of a message may have RSV1. > 0: the head is whole and this long; 0: more must
 * come; < 0: the negative close code, as early as the bytes tell: reserved bits and opcodes, and
 * control frames in fragments, by the first; no mask and control frames over 125 bytes by the
 * second; a length that is not written as short as can be, or over 2^63 - 1, when its bytes are
 * there. `head` is written when the head is whole only. */
int carom_ws_head_read(struct carom_ws_head *head, const uint8_t *data, size_t length,
                       bool deflate);

/* The longest head of a server's frame. */
#define CAROM_WS_HEAD_BYTES 10
/* Write the head of a server's frame, which has no mask; returns its length. */
size_t carom_ws_head_write(uint8_t to[static CAROM_WS_HEAD_BYTES], uint8_t opcode, bool fin,
                           bool compressed, uint64_t length);

/* Take the mask off a piece of a payload that begins `offset` bytes into it (5.3). `to` may be
 * `from`, or lie before it in the same memory. */
void carom_ws_unmask(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask, size_t offset);

/* The same for a piece of a text, which is checked in the same pass; `text` has seen the pieces
 * before. False: this is no UTF-8, and what is written is not all. */
bool carom_ws_unmask_text(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask,
                          size_t offset, struct carom_utf8 *text);

/* Whether a peer may send this in a Close (7.4, and the registry of IANA, which has 1012 to 1014).
 */
bool carom_ws_close_code_is_valid(uint16_t code);

#endif
