/* The public calls on WebSockets that need the service: a socket's worker, and topics of all
 * workers. */
#include "service/service.h"
#include "websocket/publish.h"
#include "websocket/websocket.h"

carom_worker *carom_websocket_worker(const carom_websocket *socket)
{
    return carom_ws_check(socket, __func__) < 0
               ? NULL
               : carom_container(carom_ws_shared(socket), struct carom_worker, websockets);
}

int carom_publish(carom_worker *worker, carom_slice topic, carom_websocket_kind kind,
                  const carom_content *content)
{
    if (worker == NULL) {
        if (content != NULL && content->give_back != NULL)
            content->give_back(content->owner);
        return -CAROM_EINVAL;
    }
    carom_worker_assert_here(worker, __func__);
    return carom_publish_from(&worker->websockets, topic, kind, content, NULL);
}

uint64_t carom_subscribers(const carom_service *service, carom_slice topic)
{
    if (service == NULL || topic.data == NULL || topic.length > CAROM_TOPIC_NAME_MOST)
        return 0;
    uint64_t count = 0;
    for (uint32_t i = 0; i < service->options.workers; i++)
        count += carom_websockets_subscribers(&service->workers[i].websockets, topic);
    return count;
}
