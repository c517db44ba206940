/* The table of the protocols that a connection can speak. A new protocol gets a line here. */
#include "http/protocols.h"

#include "http/h1.h"
#include "http/opening.h"
#include "http/tunnel.h"

const struct carom_protocol *const carom_protocols[CAROM_SPEAKS_COUNT] = {
    [CAROM_SPEAKS_NOTHING_YET] = &carom_opening_protocol.protocol,
    [CAROM_SPEAKS_H1] = &carom_h1_protocol.protocol,
    [CAROM_SPEAKS_H2] = &carom_h2_protocol.protocol,
    [CAROM_SPEAKS_TUNNEL] = &carom_tunnel_protocol.protocol,
};

bool carom_protocols_have_h2(void)
{
    return carom_h2_protocol.protocol.carrier != NULL;
}

int carom_protocols_init(struct carom_connections *connections)
{
    int error = 0;
    for (int i = 0; i < CAROM_SPEAKS_COUNT && error == 0; i++)
        if (carom_protocols[i]->share != NULL)
            error = carom_protocols[i]->share(connections);
    return error;
}

void carom_protocols_finish(struct carom_connections *connections)
{
    for (int i = 0; i < CAROM_SPEAKS_COUNT; i++)
        if (connections->shared[i] != NULL)
            carom_protocols[i]->unshare(connections);
}
