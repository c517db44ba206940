/* Messages to all subscribers of a topic: on this worker at once, on the others by posts. */
#ifndef CAROM_WEBSOCKET_PUBLISH_H
#define CAROM_WEBSOCKET_PUBLISH_H

#include "carom_websocket.h"

struct carom_websockets;

/* The pools of what is on its way to other workers. */
void carom_publications_init(struct carom_websockets *websockets);

/* To all subscribers but `except`, which may be NULL, on all workers. Content is given back. 0, or
 * -CAROM_EINVAL, -CAROM_ENOMEM. On the worker's thread. */
int carom_publish_from(struct carom_websockets *websockets, carom_slice topic,
                       carom_websocket_kind kind, const carom_content *content,
                       const carom_websocket *except);

#endif
