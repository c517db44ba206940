/* The opening of a connection: its first bytes tell whether it speaks HTTP/1.1 or, by prior
 * knowledge, HTTP/2 (RFC 9113, 3.3 and 3.4). Its state is the page in which the beginning of a
 * preface lies while the rest is to come. */
#ifndef CAROM_HTTP_OPENING_H
#define CAROM_HTTP_OPENING_H

#include "http/protocol.h"

extern const struct carom_stream_protocol carom_opening_protocol;

#endif
