/* The options of sockets, defaults filled in: copied once for all sockets that were accepted with
 * the same ones. */
#ifndef CAROM_WEBSOCKET_SETTINGS_H
#define CAROM_WEBSOCKET_SETTINGS_H

#include "carom_websocket.h"
#include "websocket/deflate.h"

struct carom_websockets;

struct carom_ws_settings {
    struct carom_websockets *websockets; /* of the worker, */
    struct carom_ws_settings *next;      /* whose others these are */
    uint32_t holds;                      /* sockets that have it */
    carom_websocket_options given;       /* as the program wrote them, without handlers */
    carom_websocket_options options;
    carom_websocket_handlers handlers;
    carom_slice *protocols, *origins; /* the lists, taken apart */
    uint16_t protocol_count, origin_count;
    struct carom_ws_deflaters deflaters; /* what compresses for all of them */
};

/* Those of these options, held for one socket more; 0, -CAROM_EINVAL or -CAROM_ENOMEM. */
int carom_ws_settings_take(struct carom_websockets *websockets,
                           const carom_websocket_options *options,
                           struct carom_ws_settings **settings);
/* A socket less has them. */
void carom_ws_settings_give(struct carom_websockets *websockets,
                            struct carom_ws_settings *settings);

#endif
