/* SHA-1 (FIPS 180-4), for WebSocket's handshake alone, where it proves nothing but that a server
 * has read the request. Ours, because a library without OpenSSL has WebSocket, too. */
#ifndef CAROM_BASE_SHA1_H
#define CAROM_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define CAROM_SHA1_BYTES 20

void carom_sha1(uint8_t digest[static CAROM_SHA1_BYTES], const void *data, size_t length);

#endif
