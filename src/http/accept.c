/* Accepting: makes a connection of a descriptor, or answers it with 503 when there are too many. */
#include "http/accept.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "http/connection.h"

/* Connections beyond the limit that may stand at once to be told so with 503. */
#define REFUSALS 64

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\n"
                              "Content-Length: 0\r\n"
                              "Retry-After: 1\r\n"
                              "Connection: close\r\n"
                              "\r\n";

static void keep_peer(struct carom_endpoint *name, const struct sockaddr *peer)
{
    name->family = CAROM_UNIX;
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        memcpy(name->bytes, &in.sin_addr, sizeof in.sin_addr);
        name->port = in.sin_port;
        name->family = CAROM_IPV4;
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        memcpy(name->bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
        name->port = in6.sin6_port;
        name->family = CAROM_IPV6;
    }
}

static void refuse_connection(struct carom_connection *connection)
{
    struct carom_connections *connections = carom_connections_of(connection);
    connections->refused++;
    uint32_t most = connections->options->max_connections + REFUSALS;
    if (connections->count > most || connection->stream.tls != NULL) {
        carom_connection_abort(connection, CAROM_REASON_OVER_LIMIT, false);
        return;
    }
    connection->core.last = true;
    if (carom_queue_append_borrowed(&connection->stream.out, &connections->records.segments,
                                    refusal, sizeof refusal - 1, NULL, NULL) == 0)
        carom_stream_flush(&connection->stream);
    carom_connection_end(connection, true);
}

void carom_connection_accept(struct carom_connections *connections, uint16_t listener,
                             struct carom_tls *tls, int fd, const struct sockaddr *peer)
{
    const carom_options *options = connections->options;
    bool refuse = carom_connections_full(connections);
    struct carom_connection *connection = carom_pool_take(&connections->pool);
    if (connection == NULL) {
        close(fd);
        return;
    }
    carom_core_init(&connection->core, connections, listener);
    keep_peer(&connection->core.peer, peer);
    if (carom_stream_open(&connection->stream, &connections->streams, fd) < 0) {
        close(fd);
        carom_connection_drop(connection);
        return;
    }
    connections->accepted++;
    carom_list_append(&connections->open, &connection->core.link);
    bool begun = tls != NULL ? carom_stream_secure(&connection->stream, tls) >= 0
                             : refuse || carom_core_tell_opened(&connection->core, false);
    if (!begun)
        carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
    else if (refuse)
        refuse_connection(connection);
    else
        carom_connection_read_within(connection, tls != NULL ? options->handshake_timeout
                                                             : options->first_byte_timeout);
}
