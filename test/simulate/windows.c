/* What clients of HTTP/2 may send. All that comes as content uses up what was granted, of its
 * stream and of its connection; all of it is given back, once, when the handler has read it or will
 * not. The engine's calls of nghttp2 are counted on their way: the linker puts these in their
 * place. */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "http/h2.h"
#include "net/simulated.h"
#include "service/service.h"
#include "simulate/world.h"

#define STREAMS 64 /* of a connection, in its whole life */

struct window {
    uint64_t came, back; /* bytes of content, and of credit for it */
};

static struct session {
    const nghttp2_session *session;
    struct window whole;
    struct window streams[STREAMS];
} sessions[CLIENTS];

static nghttp2_on_data_chunk_recv_callback on_data; /* the engine's */

static struct session *find(const nghttp2_session *session)
{
    for (int i = 0; i < CLIENTS; i++)
        if (sessions[i].session == session)
            return &sessions[i];
    return NULL; /* a client's */
}

static struct window *window_of(struct session *session, int32_t id)
{
    if (id / 2 >= STREAMS && !world->memory_failed) /* more than a client asks for; changed bytes */
        return &session->streams[STREAMS - 1];
    return &session->streams[id / 2 % STREAMS];
}

/* ---------------------------------------------------------------- in place of nghttp2 */

/* NOLINTBEGIN(bugprone-reserved-identifier): the names are the linker's */
#define REPLACED(type, name, ...)                                                                  \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

REPLACED(int, nghttp2_session_server_new3, nghttp2_session **, const nghttp2_session_callbacks *,
         void *, const nghttp2_option *, nghttp2_mem *);
REPLACED(void, nghttp2_session_del, nghttp2_session *);
REPLACED(int, nghttp2_session_consume, nghttp2_session *, int32_t, size_t);
REPLACED(int, nghttp2_session_consume_connection, nghttp2_session *, size_t);
REPLACED(void, nghttp2_session_callbacks_set_on_data_chunk_recv_callback,
         nghttp2_session_callbacks *, nghttp2_on_data_chunk_recv_callback);

static int counted(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *user_data)
{
    struct session *its = find(session);
    its->whole.came += length;
    window_of(its, id)->came += length;
    return on_data(session, flags, id, data, length, user_data);
}

/* The service's, which is being made; later ones are those of clients. */
void __wrap_nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
    nghttp2_session_callbacks *callbacks, nghttp2_on_data_chunk_recv_callback callback)
{
    if (world->service == NULL) {
        on_data = callback;
        callback = counted;
    }
    __real_nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, callback);
}

int __wrap_nghttp2_session_server_new3(nghttp2_session **session,
                                       const nghttp2_session_callbacks *callbacks, void *user_data,
                                       const nghttp2_option *option, nghttp2_mem *memory)
{
    int error = __real_nghttp2_session_server_new3(session, callbacks, user_data, option, memory);
    if (error == 0)
        *find(NULL) = (struct session){.session = *session};
    return error;
}

void __wrap_nghttp2_session_del(nghttp2_session *session)
{
    struct session *its = session == NULL ? NULL : find(session);
    if (its != NULL)
        its->session = NULL;
    __real_nghttp2_session_del(session);
}

int __wrap_nghttp2_session_consume(nghttp2_session *session, int32_t id, size_t size)
{
    struct session *its = find(session);
    if (its != NULL) {
        its->whole.back += size;
        window_of(its, id)->back += size;
    }
    return __real_nghttp2_session_consume(session, id, size);
}

int __wrap_nghttp2_session_consume_connection(nghttp2_session *session, size_t size)
{
    struct session *its = find(session);
    if (its != NULL)
        its->whole.back += size;
    return __real_nghttp2_session_consume_connection(session, size);
}

/* NOLINTEND(bugprone-reserved-identifier) */

/* ---------------------------------------------------------------- after a turn */

static const struct client *client_of(const struct carom_connection *connection)
{
    for (int i = 0; i < world->client_count; i++)
        if (world->clients[i].peer->socket == &connection->stream.socket)
            return &world->clients[i];
    return NULL;
}

/* What the handler has not read it has not freed; when it waits for more, all before it is free. */
static uint64_t look_at_exchange(const struct exchange *exchange, const struct window *window)
{
    if (exchange->record == NULL || exchange->over || exchange->collected || exchange->whole)
        return 0;
    uint64_t unread = window->came - exchange->read + exchange->slice.length;
    if (window->came < window->back + unread)
        world_fail("request %u: credit of %llu for %u bytes that were read", exchange->id,
                   (unsigned long long)window->back, exchange->read);
    if (exchange->wanting.since != 0 && window->came != window->back + exchange->slice.length)
        world_fail("request %u waits, with credit of %llu for %llu bytes", exchange->id,
                   (unsigned long long)window->back, (unsigned long long)window->came);
    return unread;
}

/* Nothing is under way: both sides know the same of the connection's window. */
static void look_at_grant(const struct client *client, const struct carom_connection *connection,
                          nghttp2_session *session)
{
    if (client->sent < client->out_used || client->taken < client->sent || client->mutated ||
        connection->stream.out.length > 0 || nghttp2_session_want_write(session) ||
        nghttp2_session_want_write(client->session) || client->closing || client->line != NULL)
        return;
    int32_t granted = nghttp2_session_get_remote_window_size(client->session);
    int32_t known = nghttp2_session_get_local_window_size(session);
    int32_t whole = nghttp2_session_get_effective_local_window_size(session);
    if (granted != known)
        world_fail("client %d may send %d bytes, and the engine takes %d", client->number, granted,
                   known);
    if (whole < (int32_t)world->options.h2_connection_window)
        world_fail("client %d: a window of %d bytes", client->number, whole);
}

static void look_at_connection(const struct carom_connection *connection)
{
    const struct carom_h2 *h2 = carom_h2_of(connection);
    const struct client *client = client_of(connection);
    struct session *session = find(h2->session);
    uint64_t least = 0, most = 0, held = session->whole.came - session->whole.back;
    const struct carom_node *node = h2->exchanges.next;
    for (; node != &h2->exchanges; node = node->next) {
        int32_t id = carom_h2_stream_of(carom_container(node, carom_record, link))->id;
        most += window_of(session, id)->came;
    }
    for (int i = 0; i < client->count && !client->mutated; i++)
        if (client->exchanges[i]->stream > 0 && !client->exchanges[i]->gone)
            least += look_at_exchange(client->exchanges[i],
                                      window_of(session, client->exchanges[i]->stream));
    if (session->whole.back > session->whole.came)
        world_fail("client %d: credit of %llu for %llu bytes", client->number,
                   (unsigned long long)session->whole.back,
                   (unsigned long long)session->whole.came);
    if (held < least || held > most)
        world_fail("client %d: %llu bytes of its window are held, for %llu to %llu that are there",
                   client->number, (unsigned long long)held, (unsigned long long)least,
                   (unsigned long long)most);
    look_at_grant(client, connection, h2->session);
}

void windows_look(void)
{
    if (!world->mixed || world->memory_failed)
        return;
    const struct carom_node *open = &world->service->workers[0].connections.open;
    for (const struct carom_node *node = open->next; node != open; node = node->next) {
        const struct carom_connection *connection =
            carom_container(node, struct carom_connection, core.link);
        if (connection->core.speaks == CAROM_SPEAKS_H2 && connection->core.protocol_state != NULL &&
            connection->core.state == CAROM_CONNECTION_OPEN)
            look_at_connection(connection);
    }
}
