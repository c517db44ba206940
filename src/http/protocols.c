/* The table of protocols: a new one has its line here. */
#include "http/protocols.h"

#include "http/h1.h"
#include "http/h2.h"
#include "http/opening.h"

static const struct carom_protocol *const protocols[CAROM_SPEAKS_COUNT] = {
    [CAROM_SPEAKS_NOTHING_YET] = &carom_opening_protocol,
    [CAROM_SPEAKS_H1] = &carom_h1_protocol,
    [CAROM_SPEAKS_H2] = &carom_h2_protocol,
};

int carom_protocols_init(struct carom_connections *connections)
{
    int error = 0;
    connections->protocols = protocols;
    for (int i = 0; i < CAROM_SPEAKS_COUNT && error == 0; i++)
        if (protocols[i]->share != NULL)
            error = protocols[i]->share(connections);
    return error;
}

void carom_protocols_finish(struct carom_connections *connections)
{
    for (int i = 0; i < CAROM_SPEAKS_COUNT; i++)
        if (connections->shared[i] != NULL)
            protocols[i]->unshare(connections);
}
