/* Protocols, whatever carries their bytes: what a core (core.h) asks by way of the protocol that it
 * speaks. Which there are is known to protocols.c alone. Those that are spoken on a stream of bytes
 * have more to do: stream_protocol.h. */
#ifndef CAROM_HTTP_PROTOCOL_H
#define CAROM_HTTP_PROTOCOL_H

struct carom_carrier;
struct carom_connections;

struct carom_protocol {
    /* What carries its bytes (core.h). */
    const struct carom_carrier *carrier;
    /* Make what the connections of a worker share that speak it, and tell of its pools; 0 or
     * -CAROM_ENOMEM. NULL: they share nothing. `unshare` is called in any case. */
    int (*share)(struct carom_connections *connections);
    void (*unshare)(struct carom_connections *connections);
};

enum carom_speaks {
    CAROM_SPEAKS_NOTHING_YET,
    CAROM_SPEAKS_H1,
    CAROM_SPEAKS_H2,
    CAROM_SPEAKS_TUNNEL,
    CAROM_SPEAKS_COUNT
};

/* By enum carom_speaks; protocols.c has it. */
extern const struct carom_protocol *const carom_protocols[CAROM_SPEAKS_COUNT];

#endif
