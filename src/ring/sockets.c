/* The sockets of a ring: how their memory is laid out, how they come and go, and the settings with
 * which they are accepted. */
#include <string.h>

#include "base/memory.h"
#include "ring/socket.h"

/* Sockets that are looked at in each round, and still have unsent bytes: enough that none waits for
 * long, and few enough that a thousand slow clients cost the others nothing. */
#define LOOKED_AT 32

/* Bytes of a list of subprotocols; one of them is told with OPENED. */
#define MOST_PROTOCOLS 1024

/* ---------------------------------------------------------------- memory */

static bool is_log_size(uint32_t size)
{
    return size >= CAROM_SOCKETS_LEAST_LOG && size <= 1u << 30 && (size & (size - 1)) == 0;
}

static size_t news_offset(const carom_ring_socket_options *options)
{
    size_t bytes = ((size_t)CAROM_SOCKETS_LEFT_WORD + options->sockets) * sizeof(uint32_t);
    return (bytes + 63) & ~(size_t)63;
}

size_t carom_ring_sockets_size(const carom_ring_socket_options *options)
{
    if (options == NULL || options->size != sizeof *options || options->sockets == 0 ||
        options->sockets > CAROM_SOCKETS_MOST_NUMBER || !is_log_size(options->news_size) ||
        !is_log_size(options->messages_size))
        return 0;
    return news_offset(options) + options->news_size + options->messages_size;
}

static void lay_out(struct carom_ring_sockets *sockets, const carom_ring_socket_options *options,
                    void *memory)
{
    uint32_t news = (uint32_t)news_offset(options);
    uint32_t messages = news + options->news_size;
    sockets->words = memory;
    sockets->news = (struct carom_log){(uint8_t *)memory + news, options->news_size - 1, 0};
    sockets->messages =
        (struct carom_log){(uint8_t *)memory + messages, options->messages_size - 1, 0};
    sockets->words[CAROM_SOCKETS_MOST] = options->sockets;
    sockets->words[CAROM_SOCKETS_NEWS_SIZE] = options->news_size;
    sockets->words[CAROM_SOCKETS_MESSAGES_SIZE] = options->messages_size;
    sockets->words[CAROM_SOCKETS_NEWS_BYTE] = news;
    sockets->words[CAROM_SOCKETS_MESSAGES_BYTE] = messages;
}

int carom_ring_add_sockets(carom_ring *ring, const carom_ring_socket_options *options, void *memory,
                           size_t size)
{
    size_t needed = carom_ring_sockets_size(options);
    if (ring == NULL || memory == NULL || needed == 0 || size < needed ||
        (uintptr_t)memory % 8 != 0)
        return -CAROM_EINVAL;
    if (ring->worker == NULL || atomic_load(&ring->sockets) != NULL)
        return -CAROM_ESTATE;
    struct carom_ring_sockets *sockets = carom_memory_take_zeroed(sizeof *sockets);
    if (sockets == NULL)
        return -CAROM_ENOMEM;
    sockets->ring = ring;
    sockets->most = options->sockets;
    carom_node_init(&sockets->waiting);
    carom_node_init(&sockets->unsent);
    carom_pool_init(&sockets->pool, sizeof(struct carom_ring_socket), 0);
    carom_bins_init(&sockets->bins);
    sockets->by_number =
        carom_memory_take_zeroed(((size_t)sockets->most + 1) * sizeof *sockets->by_number);
    if (sockets->by_number == NULL) {
        carom_ring_sockets_destroy(sockets);
        return -CAROM_ENOMEM;
    }
    lay_out(sockets, options, memory);
    atomic_store(&ring->sockets, sockets);
    return 0;
}

/* ---------------------------------------------------------------- settings */

static char *copy_list(const char *list)
{
    size_t size = strlen(list) + 1;
    char *copy = carom_memory_take(size);
    if (copy != NULL)
        memcpy(copy, list, size);
    return copy;
}

static void free_list(const char *list)
{
    if (list != NULL)
        carom_memory_give((void *)(uintptr_t)list, strlen(list) + 1);
}

static void free_settings(struct carom_ring_settings *settings)
{
    free_list(settings->options.protocols);
    free_list(settings->options.origins);
    carom_memory_give(settings, sizeof *settings);
}

static struct carom_ring_settings *make_settings(const carom_websocket_options *options)
{
    struct carom_ring_settings *settings = carom_memory_take_zeroed(sizeof *settings);
    if (settings == NULL)
        return NULL;
    memcpy(&settings->options, options, options->size);
    settings->options.size = sizeof settings->options;
    settings->options.handlers = &carom_ring_socket_handlers;
    const char *protocols = settings->options.protocols, *origins = settings->options.origins;
    settings->options.protocols = settings->options.origins = NULL;
    if (protocols != NULL)
        settings->options.protocols = copy_list(protocols);
    if (origins != NULL)
        settings->options.origins = copy_list(origins);
    if ((protocols != NULL && settings->options.protocols == NULL) ||
        (origins != NULL && settings->options.origins == NULL)) {
        free_settings(settings);
        return NULL;
    }
    return settings;
}

int carom_ring_add_socket_settings(carom_ring *ring, const carom_websocket_options *options,
                                   bool pings, bool pongs)
{
    if (ring == NULL || options == NULL || options->size < sizeof options->size ||
        options->size > sizeof *options ||
        (options->protocols != NULL && strlen(options->protocols) > MOST_PROTOCOLS))
        return -CAROM_EINVAL;
    struct carom_ring_sockets *sockets = atomic_load(&ring->sockets);
    if (sockets == NULL)
        return -CAROM_ESTATE;
    uint32_t number = atomic_load(&sockets->settings_count);
    if (number == CAROM_SOCKETS_MOST_SETTINGS)
        return -CAROM_ETOOBIG;
    struct carom_ring_settings *settings = make_settings(options);
    if (settings == NULL)
        return -CAROM_ENOMEM;
    settings->pings = pings;
    settings->pongs = pongs;
    sockets->settings[number] = settings;
    atomic_store(&sockets->settings_count, number + 1);
    return (int)number;
}

/* ---------------------------------------------------------------- sockets */

struct carom_ring_socket *carom_ring_socket_of(const struct carom_ring_sockets *sockets,
                                               uint32_t number)
{
    return number == 0 || number > sockets->most ? NULL : sockets->by_number[number];
}

static void tell_left(const struct carom_ring_socket *socket)
{
    atomic_store_explicit(carom_ring_atomic(socket->ring->sockets->words,
                                            CAROM_SOCKETS_LEFT_WORD + socket->number - 1),
                          socket->left, memory_order_relaxed);
}

struct carom_ring_socket *carom_ring_socket_make(struct carom_ring_sockets *sockets,
                                                 uint32_t number)
{
    struct carom_ring_socket *socket = carom_pool_take(&sockets->pool);
    if (socket == NULL)
        return NULL;
    *socket = (struct carom_ring_socket){.ring = sockets->ring, .number = number};
    carom_node_init(&socket->waiting);
    carom_node_init(&socket->unsent);
    sockets->by_number[number] = socket;
    tell_left(socket);
    return socket;
}

void carom_ring_socket_forget(struct carom_ring_socket *socket, struct carom_telling *telling)
{
    if (telling->bytes != NULL)
        carom_bins_give(&socket->ring->sockets->bins, telling->bytes);
    *telling = (struct carom_telling){0};
}

void carom_ring_socket_free(struct carom_ring_socket *socket)
{
    struct carom_ring_sockets *sockets = socket->ring->sockets;
    carom_ring_socket_forget(socket, &socket->telling);
    carom_ring_socket_forget(socket, &socket->closing);
    carom_node_remove(&socket->waiting);
    carom_node_remove(&socket->unsent);
    sockets->by_number[socket->number] = NULL;
    carom_pool_give(&sockets->pool, socket);
}

/* ---------------------------------------------------------------- what has left */

static uint32_t write_buffer(const struct carom_ring_socket *socket)
{
    uint32_t given = socket->settings->options.write_buffer;
    return given == 0 ? 65536 : given;
}

void carom_ring_socket_count(struct carom_ring_socket *socket)
{
    uint64_t buffered = carom_websocket_buffered(socket->socket);
    uint32_t pending = socket->taken - socket->left;
    carom_node_remove(&socket->unsent);
    if (buffered < pending) {
        pending = (uint32_t)buffered;
        socket->left = socket->taken - pending;
        tell_left(socket);
    }
    if (pending > 0)
        carom_list_append(&socket->ring->sockets->unsent, &socket->unsent);
    bool drained = socket->wants_drained && pending <= write_buffer(socket) / 2;
    bool room = socket->wants_room && pending <= socket->room_at;
    socket->wants_drained = socket->wants_drained && !drained;
    socket->wants_room = socket->wants_room && !room;
    if (drained || room)
        carom_ring_socket_tell_drained(socket);
}

/* The first of those that have bytes to send; those that still have go behind the others. */
static void count_some(struct carom_ring_sockets *sockets)
{
    const struct carom_node *last = sockets->unsent.previous;
    int slow = 0;
    while (slow < LOOKED_AT && !carom_node_alone(&sockets->unsent)) {
        struct carom_node *node = sockets->unsent.next;
        carom_ring_socket_count(carom_container(node, struct carom_ring_socket, unsent));
        slow += !carom_node_alone(node);
        if (node == last)
            break;
    }
}

/* ---------------------------------------------------------------- the worker's turn */

bool carom_ring_sockets_work(struct carom_ring_sockets *sockets)
{
    bool done = carom_ring_sockets_take(sockets);
    if (!carom_node_alone(&sockets->unsent))
        count_some(sockets);
    if (!carom_node_alone(&sockets->waiting))
        done |= carom_ring_sockets_tell_waiting(sockets);
    return done;
}

void carom_ring_sockets_before_sleep(struct carom_ring_sockets *sockets)
{
    if (!carom_node_alone(&sockets->unsent))
        count_some(sockets);
}

bool carom_ring_sockets_have_work(const struct carom_ring_sockets *sockets)
{
    uint32_t tail = atomic_load(carom_ring_atomic(sockets->words, CAROM_SOCKETS_MESSAGES_TAIL));
    uint32_t head = atomic_load(carom_ring_atomic(sockets->words, CAROM_SOCKETS_NEWS_HEAD));
    return tail != sockets->messages.at ||
           (!carom_node_alone(&sockets->waiting) && head != sockets->seen_head);
}

bool carom_ring_sockets_hold_memory(const struct carom_ring_sockets *sockets)
{
    bool above = carom_pool_above_floor(&sockets->pool);
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        above |= carom_pool_above_floor(&sockets->bins.pools[i]);
    return above;
}

void carom_ring_sockets_tick(struct carom_ring_sockets *sockets)
{
    carom_pool_tick(&sockets->pool);
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        carom_pool_tick(&sockets->bins.pools[i]);
}

void carom_ring_sockets_abandon(struct carom_ring_sockets *sockets)
{
    for (uint32_t number = 1; number <= sockets->most && sockets->pool.in_use > 0; number++) {
        struct carom_ring_socket *socket = sockets->by_number[number];
        if (socket != NULL && socket->socket != NULL)
            carom_websocket_abort(socket->socket);
    }
}

void carom_ring_sockets_destroy(struct carom_ring_sockets *sockets)
{
    if (sockets == NULL)
        return;
    for (uint32_t number = 1; sockets->by_number != NULL && number <= sockets->most; number++)
        if (sockets->by_number[number] != NULL)
            carom_ring_socket_free(sockets->by_number[number]);
    carom_pool_finish(&sockets->pool);
    carom_bins_finish(&sockets->bins);
    if (sockets->by_number != NULL)
        carom_memory_give(sockets->by_number,
                          ((size_t)sockets->most + 1) * sizeof *sockets->by_number);
    for (uint32_t i = 0; i < sockets->settings_count; i++)
        free_settings(sockets->settings[i]);
    carom_memory_give(sockets, sizeof *sockets);
}
