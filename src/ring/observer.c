/* Connections, as the VM hears of them. Worker and VM share a table of them under a lock, which is
 * taken when a connection opens, closes, or has a request; a ring without options.watch has no
 * table. The table grows by chunks. A new connection takes a place in the lowest chunk that has
 * one, so the chunks that only a burst needed become empty and are freed; eight bytes for each of
 * them stay. */
#include "ring/observer.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/memory.h"
#include "net/address.h"

#define CHUNK        64u
#define ALL_FREE     UINT64_MAX
#define FIRST_CHUNKS 16u /* that there is room for */
#define MOST_ENTRIES (1u << 22)
#define MOST_SILENT  32767u /* seconds: the kernel's MAX_TCP_KEEPIDLE */

/* A connection. Its number is its place in the table + 1; links are numbers, 0: none. */
struct entry {
    struct carom_core *core; /* NULL: it has closed. The worker alone follows it */
    uint64_t received, sent;
    struct carom_endpoint peer;
    uint32_t next;       /* with news */
    uint32_t next_asked; /* of which the VM wants something */
    uint32_t keep_alive; /* seconds + 1; 0: nothing is asked of it */
    uint8_t news, asked; /* enum carom_ring_connection_news, enum carom_ring_close */
    uint8_t reason;
    bool secure;
    bool heard;    /* the VM has, that it has closed */
    bool is_asked; /* it is in that list, perhaps for a connection that had the number before */
};

struct chunk {
    struct entry entries[CHUNK];
    uint64_t free; /* a bit each */
    bool used;     /* since the last tick */
};

struct list {
    uint32_t first, last;
};

struct carom_ring_observer {
    struct carom_observer base; /* first member: found from it */
    struct carom_ring *ring;
    pthread_mutex_t lock;  /* of all that follows */
    pthread_t worker;      /* on which connections are opened */
    struct chunk **chunks; /* by number / CHUNK; NULL: there is none */
    uint32_t chunk_room;   /* of that array */
    uint32_t roomy;        /* no chunk before it has room */
    struct list news, asked;
    uint32_t told;        /* how often one came into `news` */
    uint8_t asked_of_all; /* enum carom_ring_close */
    atomic_bool has_work;
    atomic_uint spare; /* chunks without a connection, but the first */
};

static struct entry *entry_of(const struct carom_ring_observer *observer, uint32_t number)
{
    uint32_t place = number - 1;
    if (number == 0 || place / CHUNK >= observer->chunk_room ||
        observer->chunks[place / CHUNK] == NULL)
        return NULL;
    return &observer->chunks[place / CHUNK]->entries[place % CHUNK];
}

/* ---------------------------------------------------------------- the table */

static bool make_room(struct carom_ring_observer *observer)
{
    uint32_t room = observer->chunk_room == 0 ? FIRST_CHUNKS : 2 * observer->chunk_room;
    struct chunk **chunks = carom_memory_take_zeroed(room * sizeof *chunks);
    if (chunks == NULL)
        return false;
    if (observer->chunk_room > 0) {
        memcpy(chunks, observer->chunks, observer->chunk_room * sizeof *chunks);
        carom_memory_give(observer->chunks, observer->chunk_room * sizeof *chunks);
    }
    observer->chunks = chunks;
    observer->chunk_room = room;
    return true;
}

/* In the place of one that is missing. NULL when out of memory. */
static struct chunk *add_chunk(struct carom_ring_observer *observer, uint32_t place)
{
    struct chunk *chunk = carom_memory_take_zeroed(sizeof *chunk);
    if (chunk == NULL)
        return NULL;
    chunk->free = ALL_FREE;
    observer->chunks[place] = chunk;
    observer->spare += place > 0;
    return chunk;
}

/* A free number, the lowest; 0: there are as many as there may be, or no memory. */
static uint32_t take_number(struct carom_ring_observer *observer, uint32_t most)
{
    while (observer->roomy < observer->chunk_room && observer->chunks[observer->roomy] != NULL &&
           observer->chunks[observer->roomy]->free == 0)
        observer->roomy++;
    uint32_t place = observer->roomy;
    if (place * CHUNK >= most || (place == observer->chunk_room && !make_room(observer)))
        return 0;
    struct chunk *chunk = observer->chunks[place];
    if (chunk == NULL)
        chunk = add_chunk(observer, place);
    if (chunk == NULL)
        return 0;
    uint32_t first = (uint32_t)__builtin_ctzll(chunk->free);
    if (place * CHUNK + first >= most)
        return 0;
    if (chunk->free == ALL_FREE)
        observer->spare -= place > 0;
    chunk->free &= chunk->free - 1;
    chunk->used = true;
    return place * CHUNK + first + 1;
}

static void give_number(struct carom_ring_observer *observer, uint32_t number)
{
    uint32_t place = (number - 1) / CHUNK;
    struct chunk *chunk = observer->chunks[place];
    chunk->free |= (uint64_t)1 << (number - 1) % CHUNK;
    if (chunk->free == ALL_FREE)
        observer->spare += place > 0;
    if (place < observer->roomy)
        observer->roomy = place;
}

/* The list of those that are asked for something may have a number that is free. */
static bool is_idle(const struct chunk *chunk)
{
    if (chunk->free != ALL_FREE || chunk->used)
        return false;
    for (uint32_t i = 0; i < CHUNK; i++)
        if (chunk->entries[i].is_asked)
            return false;
    return true;
}

static void drop_chunk(struct carom_ring_observer *observer, uint32_t place)
{
    carom_memory_give(observer->chunks[place], sizeof *observer->chunks[place]);
    observer->chunks[place] = NULL;
}

void carom_ring_observer_tick(struct carom_ring_observer *observer)
{
    pthread_mutex_lock(&observer->lock);
    for (uint32_t place = 1; place < observer->chunk_room; place++) {
        struct chunk *chunk = observer->chunks[place];
        if (chunk == NULL)
            continue;
        if (is_idle(chunk)) {
            drop_chunk(observer, place);
            observer->spare--;
        } else {
            chunk->used = false;
        }
    }
    pthread_mutex_unlock(&observer->lock);
}

bool carom_ring_observer_above_floor(const struct carom_ring_observer *observer)
{
    return atomic_load_explicit(&observer->spare, memory_order_relaxed) > 0;
}

/* Those that the VM has not heard of count, too, so that a VM that stands cannot make it endless.
 */
static uint32_t most_of(const struct carom_core *core)
{
    uint32_t most = core->connections->options->max_connections;
    return most < MOST_ENTRIES / 2 ? 2 * most : MOST_ENTRIES;
}

static void tell(struct carom_ring_observer *observer, uint32_t number, uint8_t news)
{
    struct entry *entry = entry_of(observer, number);
    bool listed = entry->news != 0;
    entry->news |= news;
    if (listed)
        return;
    entry->next = 0;
    if (observer->news.last == 0)
        observer->news.first = number;
    else
        entry_of(observer, observer->news.last)->next = number;
    observer->news.last = number;
    atomic_store(carom_ring_atomic(observer->ring->control, CAROM_RING_CONNECTION_NEWS),
                 ++observer->told);
    observer->ring->news = true;
}

/* ---------------------------------------------------------------- the worker's side */

static uint32_t opened(struct carom_observer *base, struct carom_core *core)
{
    struct carom_ring_observer *observer = (struct carom_ring_observer *)base;
    pthread_mutex_lock(&observer->lock);
    observer->worker = pthread_self();
    uint32_t number = take_number(observer, most_of(core));
    if (number != 0) {
        struct entry *entry = entry_of(observer, number);
        *entry = (struct entry){.core = core,
                                .peer = core->peer,
                                .next_asked = entry->next_asked,
                                .secure = carom_core_observed(core)->secure,
                                .is_asked = entry->is_asked};
        tell(observer, number, CAROM_RING_OPENED);
    }
    pthread_mutex_unlock(&observer->lock);
    return number;
}

static void note_traffic(struct entry *entry)
{
    entry->received = carom_core_observed(entry->core)->received;
    entry->sent = carom_core_sent(entry->core);
}

static void closed(struct carom_observer *base, struct carom_core *core, carom_reason reason)
{
    struct carom_ring_observer *observer = (struct carom_ring_observer *)base;
    uint32_t number = carom_core_number(core);
    pthread_mutex_lock(&observer->lock);
    struct entry *entry = entry_of(observer, number);
    note_traffic(entry);
    entry->core = NULL;
    entry->reason = (uint8_t)reason;
    tell(observer, number, CAROM_RING_CLOSED);
    pthread_mutex_unlock(&observer->lock);
}

uint32_t carom_ring_observer_request(struct carom_ring_observer *observer,
                                     const carom_record *record)
{
    uint32_t number = carom_core_number(record->ops->core(record));
    pthread_mutex_lock(&observer->lock);
    struct entry *entry = entry_of(observer, number);
    if (entry != NULL && entry->core != NULL)
        note_traffic(entry);
    pthread_mutex_unlock(&observer->lock);
    return number;
}

static void close_core(struct carom_core *core, uint8_t how)
{
    if (core == NULL || (how == CAROM_CLOSE_IDLE && !carom_core_is_idle(core)))
        return;
    bool idle = carom_core_is_idle(core);
    carom_core_destroy(core, idle ? CAROM_REASON_CLIENT_CLOSED : CAROM_REASON_CANCELED,
                       how == CAROM_CLOSE_RESET);
}

/* False when none is left. The lock is not held while one closes: that is told, and takes it. */
static bool work_on_next(struct carom_ring_observer *observer)
{
    pthread_mutex_lock(&observer->lock);
    uint32_t number = observer->asked.first;
    struct carom_core *core = NULL;
    uint8_t how = 0;
    uint32_t keep_alive = 0;
    if (number != 0) {
        struct entry *entry = entry_of(observer, number);
        observer->asked.first = entry->next_asked;
        if (observer->asked.first == 0)
            observer->asked.last = 0;
        how = entry->asked;
        keep_alive = entry->keep_alive;
        core = entry->core;
        entry->asked = 0;
        entry->keep_alive = 0;
        entry->is_asked = false;
    }
    pthread_mutex_unlock(&observer->lock);
    if (core != NULL && keep_alive > 0)
        carom_socket_keep_alive(carom_core_carrier(core)->descriptor(core), (int)keep_alive - 1);
    if (how != 0)
        close_core(core, how);
    return number != 0;
}

static void close_all(struct carom_ring_observer *observer, uint8_t how)
{
    uint32_t most = CHUNK;
    for (uint32_t number = 1; number <= most; number++) {
        pthread_mutex_lock(&observer->lock);
        const struct entry *entry = entry_of(observer, number);
        struct carom_core *core = entry == NULL ? NULL : entry->core;
        most = observer->chunk_room * CHUNK;
        pthread_mutex_unlock(&observer->lock);
        close_core(core, how);
    }
}

bool carom_ring_observer_work(struct carom_ring_observer *observer)
{
    if (carom_likely(!carom_ring_observer_has_work(observer)))
        return false;
    atomic_store(&observer->has_work, false);
    pthread_mutex_lock(&observer->lock);
    uint8_t all = observer->asked_of_all;
    observer->asked_of_all = 0;
    pthread_mutex_unlock(&observer->lock);
    if (all != 0)
        close_all(observer, all);
    while (work_on_next(observer)) {
    }
    return true;
}

bool carom_ring_observer_has_work(const struct carom_ring_observer *observer)
{
    return atomic_load(&observer->has_work);
}

/* ---------------------------------------------------------------- the VM's side */

static void describe(carom_address *address, const struct carom_endpoint *peer)
{
    *address = (carom_address){.family = (carom_family)peer->family, .port = ntohs(peer->port)};
    if (peer->family != CAROM_UNIX)
        inet_ntop(peer->family == CAROM_IPV4 ? AF_INET : AF_INET6, peer->bytes, address->text,
                  sizeof address->text);
}

static struct carom_ring_observer *observer_of(const carom_ring *ring)
{
    return ring == NULL ? NULL : ring->observer;
}

int carom_ring_take_connection(carom_ring *ring, carom_ring_connection *connection)
{
    struct carom_ring_observer *observer = observer_of(ring);
    if (observer == NULL || connection == NULL)
        return 0;
    size_t size = connection->size;
    if (size < sizeof size)
        return -CAROM_EINVAL;
    carom_ring_connection found = {.size = size};
    pthread_mutex_lock(&observer->lock);
    uint32_t number = observer->news.first;
    if (number != 0) {
        struct entry *entry = entry_of(observer, number);
        observer->news.first = entry->next;
        if (observer->news.first == 0)
            observer->news.last = 0;
        found.number = number;
        found.news = entry->news;
        found.secure = entry->secure;
        found.reason = (carom_reason)entry->reason;
        found.received = entry->received;
        found.sent = entry->sent;
        describe(&found.peer, &entry->peer);
        entry->heard = (found.news & CAROM_RING_CLOSED) != 0;
        entry->news = 0;
    }
    pthread_mutex_unlock(&observer->lock);
    memset(connection, 0, size);
    memcpy(connection, &found, size < sizeof found ? size : sizeof found);
    return number != 0;
}

void carom_ring_forget_connection(carom_ring *ring, uint32_t number)
{
    struct carom_ring_observer *observer = observer_of(ring);
    if (observer == NULL)
        return;
    pthread_mutex_lock(&observer->lock);
    struct entry *entry = entry_of(observer, number);
    if (entry != NULL && entry->heard) {
        entry->heard = false;
        give_number(observer, number);
    }
    pthread_mutex_unlock(&observer->lock);
}

/* The worker is to look at a connection. With the lock. */
static void ask(struct carom_ring_observer *observer, uint32_t number, struct entry *entry)
{
    if (entry->is_asked)
        return;
    entry->is_asked = true;
    entry->next_asked = 0;
    if (observer->asked.last == 0)
        observer->asked.first = number;
    else
        entry_of(observer, observer->asked.last)->next_asked = number;
    observer->asked.last = number;
}

static void call_worker(struct carom_ring *ring)
{
    atomic_store(&ring->observer->has_work, true);
    if (ring->records != NULL)
        carom_ring_wake(ring);
}

void carom_ring_close_connection(carom_ring *ring, uint32_t number, uint32_t how)
{
    struct carom_ring_observer *observer = observer_of(ring);
    if (observer == NULL || how < CAROM_CLOSE_IDLE || how > CAROM_CLOSE_RESET)
        return;
    pthread_mutex_lock(&observer->lock);
    struct entry *entry = entry_of(observer, number);
    if (number == 0 && observer->asked_of_all < how)
        observer->asked_of_all = (uint8_t)how;
    if (entry != NULL && entry->core != NULL) {
        entry->asked = entry->asked > how ? entry->asked : (uint8_t)how;
        ask(observer, number, entry);
    }
    pthread_mutex_unlock(&observer->lock);
    call_worker(ring);
}

void carom_ring_keep_alive(carom_ring *ring, uint32_t number, uint32_t seconds)
{
    struct carom_ring_observer *observer = observer_of(ring);
    if (observer == NULL)
        return;
    pthread_mutex_lock(&observer->lock);
    struct entry *entry = entry_of(observer, number);
    if (entry != NULL && entry->core != NULL) {
        entry->keep_alive = (seconds < MOST_SILENT ? seconds : MOST_SILENT) + 1;
        ask(observer, number, entry);
    }
    pthread_mutex_unlock(&observer->lock);
    call_worker(ring);
}

void carom_ring_traffic(carom_ring *ring, uint32_t number, uint64_t *received, uint64_t *sent)
{
    struct carom_ring_observer *observer = observer_of(ring);
    if (received == NULL || sent == NULL)
        return;
    *received = *sent = 0;
    if (observer == NULL)
        return;
    pthread_mutex_lock(&observer->lock);
    struct entry *entry = entry_of(observer, number);
    if (entry != NULL) {
        if (entry->core != NULL && pthread_equal(observer->worker, pthread_self()))
            note_traffic(entry);
        *received = entry->received;
        *sent = entry->sent;
    }
    pthread_mutex_unlock(&observer->lock);
}

/* ---------------------------------------------------------------- life */

int carom_ring_observer_create(struct carom_ring *ring)
{
    struct carom_ring_observer *observer = carom_memory_take_zeroed(sizeof *observer);
    if (observer == NULL)
        return -CAROM_ENOMEM;
    observer->base = (struct carom_observer){opened, closed};
    observer->ring = ring;
    pthread_mutex_init(&observer->lock, NULL);
    ring->observer = observer;
    return 0;
}

void carom_ring_observer_destroy(struct carom_ring *ring)
{
    struct carom_ring_observer *observer = ring->observer;
    if (observer == NULL)
        return;
    pthread_mutex_destroy(&observer->lock);
    for (uint32_t place = 0; place < observer->chunk_room; place++)
        if (observer->chunks[place] != NULL)
            drop_chunk(observer, place);
    if (observer->chunk_room > 0)
        carom_memory_give(observer->chunks, observer->chunk_room * sizeof *observer->chunks);
    carom_memory_give(observer, sizeof *observer);
    ring->observer = NULL;
}

struct carom_observer *carom_ring_observer_of(struct carom_ring *ring)
{
    return ring->observer == NULL ? NULL : &ring->observer->base;
}
