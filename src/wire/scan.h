/* Counts the bytes at the beginning of some that may stand in a token, a value, a target or a host.
 */
#ifndef CAROM_WIRE_SCAN_H
#define CAROM_WIRE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool carom_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* tchar (RFC 9110, 5.6.2), by byte. */
extern const uint8_t carom_token_characters[256];
/* How many of the first bytes are tchar; how many may stand in a field value (no control characters
 * but HTAB); how many in a request target: visible ASCII without "#". Of the characters that URIs
 * exclude (RFC 3986), the rest, such as "|" and "^", are let through, because browsers send them.
 */
uint32_t carom_token_length(const uint8_t *data, uint32_t length);
uint32_t carom_value_length(const uint8_t *data, uint32_t length);
uint32_t carom_target_length(const uint8_t *data, uint32_t length);

/* How many of the first bytes are letters, digits, "-" or ".": of most host names all. */
uint32_t carom_plain_host_length(const uint8_t *data, uint32_t length);

/* ASCII without control characters, without regard to case. `lower` is lower-case and as long. */
bool carom_equals_lower(const uint8_t *data, const char *lower, size_t length);

#endif
