/* The protocols that a connection may speak. */
#ifndef CAROM_HTTP_PROTOCOLS_H
#define CAROM_HTTP_PROTOCOLS_H

#include "http/connection.h"
#include "http/stream_protocol.h"

/* HTTP/2; in a build without it (h2_none.c) nothing of it is set. */
extern const struct carom_stream_protocol carom_h2_protocol;

/* Whether this build has HTTP/2 (CAROM_HTTP2). */
bool carom_protocols_have_h2(void);
/* Let the connections of a worker speak all of them; 0 or -CAROM_ENOMEM. */
int carom_protocols_init(struct carom_connections *connections);
/* Nothing may be open. After a failure of init, too, and when it was not called. */
void carom_protocols_finish(struct carom_connections *connections);

#endif
