/* Rates and deadlines by a model of its own, from what the client and the handler have done: the
 * engine ends an exchange no earlier than it may, and no later than it must.
 *
 * Over HTTP/1.1 the model is exact: a deadline of n ms passes in the first turn whose clock is n +
 * 1 ms on, for the clock is read once a turn and rounded down. Over HTTP/2 the engine looks at its
 * streams with a clock that ticks each second at most (tick): what lasts is noticed at the next
 * tick, and that it moves no more a tick later. */
#include <nghttp2/nghttp2.h>

#include "http/connection.h"
#include "net/simulated.h"
#include "simulate/world.h"

static uint64_t received(const struct exchange *exchange)
{
    return carom_record_outcome(exchange->record).content_received;
}

/* The longest time between two looks of the engine's at its streams. */
static uint64_t tick(void)
{
    const carom_options *options = &world->options;
    const uint32_t times[] = {options->header_timeout, options->content_window,
                              options->write_timeout, options->linger_timeout};
    uint64_t least = 1000;
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
        least = times[i] < least ? times[i] : least;
    return least + 1 + world->latest;
}

/* ---------------------------------------------------------------- content */

static bool too_slow(const struct exchange *exchange)
{
    const carom_options *options = &world->options;
    return received(exchange) - exchange->wanting.bytes <
           (uint64_t)options->content_rate * options->content_window / 1000;
}

static void begin_window(struct exchange *exchange, uint64_t now)
{
    exchange->wanting.since = now;
    exchange->wanting.bytes = received(exchange);
    exchange->wanting.left = world->options.content_window;
}

void times_wants(struct exchange *exchange)
{
    uint64_t now = world->clock;
    bool paused = exchange->wanting.rests_at != 0 && exchange->wanting.rests_at != now;
    exchange->wanting.rests_at = 0;
    if (exchange->client->session != NULL ? exchange->wanting.since == 0 || paused
                                          : exchange->wanting.left == 0)
        begin_window(exchange, now);
    else if (exchange->wanting.since == 0)
        exchange->wanting.since = now;
}

/* While the handler does not wait the window stands still; it is over when enough has come. */
void times_rests(struct exchange *exchange)
{
    if (exchange->wanting.since == 0)
        return;
    exchange->wanting.rests_at = world->clock;
    if (exchange->client->session != NULL)
        return;
    uint64_t waited = world->clock - exchange->wanting.since;
    uint32_t left = exchange->wanting.left;
    exchange->wanting.left = waited < left ? left - (uint32_t)waited : 1;
    if (!too_slow(exchange))
        exchange->wanting.left = 0;
    exchange->wanting.since = 0;
}

static bool content_timed_out(const struct exchange *exchange, uint64_t now)
{
    const carom_options *options = &world->options;
    if (world->on_ring) /* the VM waits where nobody sees it */
        return now > exchange->handed_at + options->content_window;
    if (exchange->wanting.since == 0)
        return false;
    if (exchange->client->session != NULL)
        return now > exchange->handed_at + options->content_window;
    return now > exchange->wanting.since + exchange->wanting.left && too_slow(exchange);
}

/* What other handlers have not read lets the client send less than it must. */
static bool held_back(const struct client *client)
{
    uint64_t least = (uint64_t)world->options.content_rate * world->options.content_window / 1000;
    return nghttp2_session_get_remote_window_size(client->session) < (int64_t)least;
}

/* The window that the engine looks at begins and ends at ticks: in twice its length there is a
 * whole one. */
static void look_at_stream_content(struct exchange *exchange, uint64_t now)
{
    uint64_t most = 2 * (uint64_t)world->options.content_window + 3 * tick();
    if (exchange->wanting.since != 0 && held_back(exchange->client))
        begin_window(exchange, now);
    if (exchange->wanting.rests_at != 0)
        exchange->wanting.since = exchange->wanting.rests_at = 0;
    if (exchange->wanting.since == 0 || now <= exchange->wanting.since + most)
        return;
    if (too_slow(exchange))
        world_fail("request %u: its content comes too slowly since %llu", exchange->id,
                   (unsigned long long)exchange->wanting.since);
    begin_window(exchange, now);
}

static void look_at_content(struct exchange *exchange, uint64_t now)
{
    if (exchange->client->session != NULL) {
        look_at_stream_content(exchange, now);
        return;
    }
    if (exchange->wanting.since == 0 || now <= exchange->wanting.since + exchange->wanting.left)
        return;
    if (too_slow(exchange))
        world_fail("request %u: its content comes too slowly, %u ms after %llu", exchange->id,
                   exchange->wanting.left, (unsigned long long)exchange->wanting.since);
    begin_window(exchange, now);
}

/* ---------------------------------------------------------------- answers */

void times_written(struct exchange *exchange, uint32_t offered)
{
    if (exchange->seen == exchange->offered)
        exchange->offered_at = world->clock;
    exchange->offered = offered;
}

static bool write_timed_out(const struct exchange *exchange, uint64_t now)
{
    const struct client *client = exchange->client;
    uint64_t timeout = world->options.write_timeout;
    if (world->on_ring)
        return (client->window > 0 || client->session != NULL) &&
               (now > exchange->handed_at + timeout || now > client->progress_at + timeout);
    uint64_t moved_at =
        exchange->seen_at > exchange->offered_at ? exchange->seen_at : exchange->offered_at;
    bool shut = client->session != NULL && exchange->begun && exchange->offered > exchange->seen &&
                now > moved_at + timeout;
    return shut || (client->stalled_since != 0 && now > client->stalled_since + timeout);
}

/* The client gives no credit. */
static void look_at_credit(struct exchange *exchange, uint64_t now)
{
    struct client *client = exchange->client;
    bool none = exchange->is_head || exchange->status == 204 || exchange->status == 304;
    bool shut =
        client->session != NULL && !exchange->gone && client->stalled_since == 0 && !none &&
        exchange->offered > exchange->seen && exchange->seen_at != now &&
        (nghttp2_session_get_local_window_size(client->session) <= 0 ||
         nghttp2_session_get_stream_local_window_size(client->session, exchange->stream) <= 0);
    if (!shut)
        exchange->shut_since = 0;
    else if (exchange->shut_since == 0)
        exchange->shut_since = now;
    else if (now > exchange->shut_since + world->options.write_timeout + 3 * tick())
        world_fail("request %u: its answer stands since %llu", exchange->id,
                   (unsigned long long)exchange->shut_since);
}

/* ---------------------------------------------------------------- the reasons of an end */

bool times_lawful(const struct exchange *exchange, carom_reason reason)
{
    const carom_options *options = &world->options;
    const struct client *client = exchange->client;
    uint64_t now = world_now();
    bool broken = client->reset || carom_peer_failed(client->peer) || world->memory_failed;
    bool h2 = client->session != NULL, unreadable = exchange->unreadable;
    bool calmed = client->calmed || (h2 && client_h2_too_slow(client));
    if (client->mutated)
        return true;
    for (int i = 0; i < client->count && h2; i++)
        broken |= unreadable |= client->exchanges[i]->unreadable;
    for (int i = 0; i < exchange->index && !h2; i++)
        broken |= exchange_ends_connection(client->exchanges[i]);
    switch (reason) {
    case CAROM_REASON_CLIENT_CLOSED:
        return broken || client->finished || calmed;
    case CAROM_REASON_CLIENT_RESET: /* or is taken for dead, because it answers no PING */
        return broken || exchange->resets ||
               (h2 && now >= client->heard_at + options->h2_ping_interval);
    case CAROM_REASON_BAD_REQUEST:
    case CAROM_REASON_OVER_LIMIT:
        return exchange->refused_late || calmed;
    case CAROM_REASON_BODY_TIMEOUT:
        return content_timed_out(exchange, now);
    case CAROM_REASON_WRITE_TIMEOUT:
        return write_timed_out(exchange, now);
    case CAROM_REASON_HANDLER_TIMEOUT:
        return options->handler_timeout != CAROM_OFF &&
               (!exchange->begun || world->on_ring) && /* what it has begun has not been taken */
               now > exchange->handed_at + options->handler_timeout;
    case CAROM_REASON_ABANDONED:
    case CAROM_REASON_CANCELED:
        return exchange->cut;
    case CAROM_REASON_SHUTDOWN:
        return world->draining && now >= world->drain_deadline;
    case CAROM_REASON_NO_MEMORY:
        return world->memory_failed;
    case CAROM_REASON_FILE_FAILED:
        return unreadable;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- after a turn */

void times_look(struct exchange *exchange)
{
    uint64_t now = world_now();
    const carom_options *options = &world->options;
    if (exchange->over || carom_record_outcome(exchange->record).reason != CAROM_REASON_NONE)
        return;
    if (options->handler_timeout != CAROM_OFF && !exchange->begun &&
        now > exchange->handed_at + options->handler_timeout)
        world_fail("request %u: its handler may take too long", exchange->id);
    if (!exchange->upgraded && !exchange->is_connect)
        look_at_content(exchange, now);
    look_at_credit(exchange, now);
}

/* A section that does not come to its end, in a stream. */
static void look_at_sections(const struct client *client, uint64_t now)
{
    uint64_t most = world->options.header_timeout + tick();
    for (int i = 0; i < client->count; i++) {
        struct exchange *exchange = client->exchanges[i];
        if (exchange->section_at == 0 && exchange->from != SIZE_MAX &&
            client->taken >= exchange->from + 9)
            exchange->section_at = now; /* its frame's head */
        if (exchange->section_at != 0 && client->taken < exchange->head_end &&
            now > exchange->section_at + most && !client->closing && !client->finished)
            world_fail("client %d: the head of %u is waited for since %llu", client->number,
                       exchange->id, (unsigned long long)exchange->section_at);
    }
}

static struct carom_connection *connection_of(const struct client *client)
{
    struct carom_socket *socket = client->peer->socket;
    return socket == NULL ? NULL
                          : carom_container(carom_container(socket, struct carom_stream, socket),
                                            struct carom_connection, stream);
}

void times_note(struct client *client)
{
    const struct carom_connection *connection = connection_of(client);
    uint64_t now = world_now();
    size_t got;
    carom_peer_received(client->peer, &got);
    bool stalled = connection != NULL && carom_stream_stalled(&connection->stream);
    bool stuck = stalled && connection->stream.out.length > 0 &&
                 connection->core.state == CAROM_CONNECTION_OPEN;
    if (connection != NULL && connection->core.state == CAROM_CONNECTION_LINGERING &&
        client->lingers_since == 0)
        client->lingers_since = now;
    if (!stalled || client->stalled_since == 0 || got != client->got)
        client->stalled_since = stalled ? now : 0;
    if (!stuck || client->stuck_since == 0 || got != client->got)
        client->stuck_since = stuck ? now : 0;
    client->got = got;
}

void times_closed(const struct client *client)
{
    uint64_t now = world_now();
    bool broken = client->reset || client->mutated || carom_peer_failed(client->peer);
    bool cut =
        (world->draining && now >= world->drain_deadline) ||
        (client->stalled_since != 0 && now > client->stalled_since + world->options.write_timeout);
    if (client->lingers_since != 0 && !client->finished && !broken && !cut &&
        now <= client->lingers_since + world->options.linger_timeout)
        world_fail("client %d: closed %llu ms after the last answer", client->number,
                   (unsigned long long)(now - client->lingers_since));
}

void times_look_at_client(const struct client *client)
{
    uint64_t now = world_now();
    if (client->mutated || client->peer->socket == NULL)
        return;
    if (client->stuck_since != 0 && now > client->stuck_since + world->options.write_timeout)
        world_fail("client %d takes nothing since %llu", client->number,
                   (unsigned long long)client->stuck_since);
    bool hears = client->window == 0 && client->stalled_since == 0 && !client->deaf; /* GOAWAY */
    if (client->session != NULL && line_is_open(client) && hears &&
        !carom_peer_saw_fin(client->peer))
        look_at_sections(client, now);
}
