/* What a connection asks of the protocol that is spoken on its stream of bytes: HTTP/1.1 (h1.h),
 * HTTP/2 (h2.h), or, before the first bytes have told which, opening.c.
 * The protocol's state is connection->core.protocol_state, which exists only while the protocol
 * needs it; a call that is said to need it is made only then. */
#ifndef CAROM_HTTP_STREAM_PROTOCOL_H
#define CAROM_HTTP_STREAM_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "carom.h"
#include "http/protocol.h"

struct carom_connection;
struct carom_page;

struct carom_stream_protocol {
    struct carom_protocol protocol; /* first member; its carrier is carom_stream_carrier */
    /* The connection speaks it from now on: make its state, if that is needed at once. False when
     * out of memory. NULL: the first bytes make it. */
    bool (*begin)(struct carom_connection *connection);
    /* Bytes have come; as in carom_stream_events. */
    void (*received)(struct carom_connection *connection, struct carom_page *page,
                     const uint8_t *data, uint32_t length);
    /* FIN has come. Needs the state. */
    void (*peer_done)(struct carom_connection *connection);
    /* While receiving is off, FIN has come behind what is not received. Needs the state. NULL:
     * receiving is never off. */
    void (*fin_queued)(struct carom_connection *connection);
    /* Go on with input that waited. */
    void (*resume)(struct carom_connection *connection);
    /* The read deadline has passed. Needs the state. */
    void (*read_timeout)(struct carom_connection *connection);
    /* Not one byte has come in time: offer the observer a refusal. NULL: it is not spoken unasked.
     */
    void (*silent)(struct carom_connection *connection);
    /* Move what is ready into the stream and send it; complete what was sent. Needs the state. */
    void (*flush)(struct carom_connection *connection);
    /* The file of the response that is being sent has failed: cancel it, and no other. Needs the
     * state. */
    void (*file_failed)(struct carom_connection *connection);
    /* A drain begins. Needs the state. NULL: there is nothing to say. */
    void (*drain)(struct carom_connection *connection);
    /* Cancel all records, take them out of the connection and let go of them. Needs the state. */
    void (*cancel)(struct carom_connection *connection, carom_reason reason);
    /* Free the state, if there is any, and what it holds. */
    void (*drop)(struct carom_connection *connection);
};

#endif
