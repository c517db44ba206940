/* The public calls by which sockets subscribe to topics. */
#include "websocket/websocket.h"

static bool is_name(carom_slice name)
{
    return name.data != NULL && name.length <= CAROM_TOPIC_NAME_MOST;
}

int carom_websocket_subscribe(carom_websocket *socket, carom_slice topic)
{
    int error = carom_ws_check(socket, __func__);
    if (error < 0)
        return error;
    if (!is_name(topic))
        return -CAROM_EINVAL;
    if (!carom_ws_is_open(socket))
        return -CAROM_ECANCELED;
    carom_ws_shared(socket)->connections->look_at_all_pools = true;
    return carom_topics_join(&carom_ws_shared(socket)->topics, &socket->subscriptions, socket,
                             topic);
}

int carom_websocket_unsubscribe(carom_websocket *socket, carom_slice topic)
{
    return carom_ws_check(socket, __func__) == 0 && is_name(topic) &&
           carom_topics_leave(&carom_ws_shared(socket)->topics, &socket->subscriptions, topic);
}

bool carom_websocket_is_subscribed(const carom_websocket *socket, carom_slice topic)
{
    return carom_ws_check(socket, __func__) == 0 && is_name(topic) &&
           carom_topics_have(&socket->subscriptions, topic);
}
