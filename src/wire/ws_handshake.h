/* What WebSocket's handshake says in fields (RFC 6455, 4.2; RFC 7692, 7): key and accept,
 * extensions, subprotocols, origin. Over HTTP/2 (RFC 8441) it is the same without a key. A field
 * may come in several lines, so the values of all are handed in, in their order. */
#ifndef CAROM_WIRE_WS_HANDSHAKE_H
#define CAROM_WIRE_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carom.h"

#define CAROM_WS_KEY_BYTES    24
#define CAROM_WS_ACCEPT_BYTES 28

/* Whether a Sec-WebSocket-Key is sixteen bytes in base64. */
bool carom_ws_key_is_valid(carom_slice key);
/* Write the Sec-WebSocket-Accept that answers a valid key, without a zero (4.2.2). */
void carom_ws_accept(char to[static CAROM_WS_ACCEPT_BYTES], const char *key);

/* What the server is willing to do. With `takeover`, each side may keep a window of 2^bits bytes
 * from one message to the next, `bits` being 9 to 15; without, every message stands for itself. */
struct carom_ws_deflate_wanted {
    bool takeover;
    uint8_t bits;
};

struct carom_ws_deflate_agreed {
    bool used;
    bool client_no_takeover, server_no_takeover;
    uint8_t client_bits, server_bits; /* 8 to 15: of the window that each compresses with */
};

/* Room for the longest answer. */
#define CAROM_WS_EXTENSIONS_BYTES 128
/* Agree on permessage-deflate by the Sec-WebSocket-Extensions of a request, and write the field's
 * value of the answer. The first offer is taken that can be; offers of other extensions, and those
 * with parameters that are unknown, twice there or have values they may not have, are passed over
 * (RFC 7692, 7.1). A window that the client would not bound is one that it may not keep, nor is one
 * of 2^8 bytes kept by us, since zlib cannot have it. Returns the answer's length, 0 for none;
 * -CAROM_EFIELD: this is no list of extensions, so 400 (RFC 6455, 9.1). `agreed` is written always.
 */
int carom_ws_deflate_agree(struct carom_ws_deflate_agreed *agreed,
                           const struct carom_ws_deflate_wanted *wanted, const carom_slice *values,
                           size_t count, char to[static CAROM_WS_EXTENSIONS_BYTES]);

/* More subprotocols than this are refused: each is compared with all others. */
#define CAROM_WS_PROTOCOLS 64
/* Choose of the subprotocols in Sec-WebSocket-Protocol the client's first that `ours` has, with
 * regard to case. Returns its place in `ours`, or -1 for none; -CAROM_EFIELD: the value is no list
 * of tokens, each there once, of at most CAROM_WS_PROTOCOLS, so 400 (RFC 6455, 4.1). */
#define CAROM_WS_NO_PROTOCOL (-1)
int carom_ws_protocol_choose(const carom_slice *values, size_t count, const carom_slice *ours,
                             size_t our_count);

/* Whether a page of this Origin may open a socket (RFC 6455, 10.2). `secure`: the connection is.
 * `allowed` holds origins ("https://example.com", "null"), "*" for all, and "same" for that of the
 * server itself, which is what an empty list means. No Origin (data NULL) is allowed, since that is
 * no browser. The same origin is that with the host and the port of Host (of :authority), without
 * regard to case and with the scheme's port where none is named. Its scheme is https on a secure
 * connection; on another it may be either, because a proxy may have the TLS. */
bool carom_ws_origin_is_allowed(carom_slice origin, bool secure, carom_slice host,
                                const carom_slice *allowed, size_t count);

#endif
