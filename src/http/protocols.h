/* The protocols that a connection may speak. */
#ifndef CAROM_HTTP_PROTOCOLS_H
#define CAROM_HTTP_PROTOCOLS_H

#include "http/connection.h"

/* Let the connections of a worker speak all of them; 0 or -CAROM_ENOMEM. */
int carom_protocols_init(struct carom_connections *connections);
/* Nothing may be open. After a failure of init, too, and when it was not called. */
void carom_protocols_finish(struct carom_connections *connections);

#endif
