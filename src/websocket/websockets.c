/* What the sockets of a worker share: made, joined to the other workers' and freed. */
#include "websocket/websockets.h"

#include <stddef.h>

#include "http/connection.h"
#include "websocket/publish.h"
#include "websocket/websocket.h"

static int socket_made(struct carom_pool *pool, void *object)
{
    struct carom_websockets *websockets = carom_container(pool, struct carom_websockets, sockets);
    carom_websocket *socket = object;
    socket->life =
        carom_life_take(&websockets->lives, carom_websockets_records(websockets), socket);
    return socket->life == NULL ? -CAROM_ENOMEM : 0;
}

static void socket_unmade(struct carom_pool *pool, void *object)
{
    struct carom_websockets *websockets = carom_container(pool, struct carom_websockets, sockets);
    carom_life_give(&websockets->lives, ((carom_websocket *)object)->life);
}

void carom_websockets_init(struct carom_websockets *websockets,
                           struct carom_connections *connections)
{
    *websockets = (struct carom_websockets){.connections = connections, .next = websockets};
    connections->websockets = websockets;
    carom_pool_init(&websockets->sockets, sizeof(carom_websocket), 0);
    websockets->sockets.kept = offsetof(carom_websocket, tunnel);
    websockets->sockets.made = socket_made;
    websockets->sockets.unmade = socket_unmade;
    carom_pool_init(&websockets->partials, sizeof(struct carom_ws_partial), 0);
    carom_pool_init(&websockets->compressing, sizeof(struct carom_ws_deflate), 0);
    carom_publications_init(websockets);
    carom_bins_init(&websockets->bins);
    carom_topics_init(&websockets->topics);
    carom_arena_init(&websockets->published, &connections->records.pages);
    carom_pages_init(&websockets->long_pages, CAROM_WS_LONG_PAGE, 0);
    carom_arena_init(&websockets->long_room, &websockets->long_pages);
    carom_node_init(&websockets->open);
    carom_node_init(&websockets->due);
    websockets->tell.wake = carom_websockets_tell;
    struct carom_pool *const pools[] = {
        &websockets->sockets,         &websockets->partials, &websockets->compressing,
        &websockets->publications,    &websockets->posts,    &websockets->topics.subscriptions,
        &websockets->long_pages.pool,
    };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        carom_connections_add_pool(connections, pools[i], true);
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        carom_connections_add_pool(connections, &websockets->bins.pools[i], true);
}

void carom_websockets_join(struct carom_websockets *first, struct carom_websockets *other)
{
    other->next = first->next;
    first->next = other;
}

bool carom_websockets_hold_memory(const struct carom_websockets *websockets)
{
    return websockets->deflates || websockets->long_room.page != NULL;
}

static void tick_deflaters(struct carom_websockets *websockets)
{
    if (!websockets->deflates)
        return;
    bool more = false;
    struct carom_ws_settings *settings = websockets->settings;
    for (; settings != NULL; settings = settings->next)
        more |= carom_ws_deflaters_tick(&settings->deflaters);
    websockets->deflates = more;
}

void carom_websockets_tick(struct carom_websockets *websockets)
{
    tick_deflaters(websockets);
    if (!websockets->long_came)
        carom_arena_finish(&websockets->long_room);
    websockets->long_came = false;
}

uint32_t carom_websockets_subscribers(const struct carom_websockets *websockets, carom_slice topic)
{
    /* Nothing is changed but the lock. */
    return carom_topics_count(&((struct carom_websockets *)(uintptr_t)websockets)->topics, topic);
}

void carom_websockets_finish(struct carom_websockets *websockets)
{
    if (websockets->connections == NULL)
        return;
    carom_pool_finish(&websockets->sockets);
    carom_lives_finish(&websockets->lives);
    carom_pool_finish(&websockets->partials);
    carom_pool_finish(&websockets->compressing);
    carom_pool_finish(&websockets->publications);
    carom_pool_finish(&websockets->posts);
    carom_topics_finish(&websockets->topics);
    carom_arena_finish(&websockets->published);
    carom_arena_finish(&websockets->long_room);
    carom_pages_finish(&websockets->long_pages);
    carom_bins_finish(&websockets->bins);
}
