/* Accepting: a descriptor becomes a connection, or is told that there are too many. */
#ifndef CAROM_HTTP_ACCEPT_H
#define CAROM_HTTP_ACCEPT_H

#include <stdint.h>
#include <sys/socket.h>

struct carom_connections;
struct carom_tls;

/* Take over a descriptor that a listener, named by its number, has accepted; closes it when that
 * fails. `tls` is NULL on a plain port. When there are as many connections as there may be, this
 * one is told so with 503 (TLS: closed). */
void carom_connection_accept(struct carom_connections *connections, uint16_t listener,
                             struct carom_tls *tls, int fd, const struct sockaddr *peer);

#endif
