/* Doors: accept connections as long as the limits allow, and close. */
#include "service/door.h"

#include <string.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/memory.h"
#include "http/accept.h"

/* How long to wait when descriptors have run out, should no connection close before. */
#define ACCEPT_AGAIN 100

static struct carom_door *door_of(struct carom_acceptor *acceptor)
{
    return carom_container(acceptor, struct carom_door, acceptor);
}

static void accepted(struct carom_acceptor *acceptor, int fd, const struct sockaddr *peer,
                     socklen_t length)
{
    const struct carom_door *door = door_of(acceptor);
    (void)length;
    carom_connection_accept(door->doors->connections, door->listener, door->tls, fd, peer);
    carom_doors_update(door->doors);
}

static void failed(struct carom_acceptor *acceptor, int error)
{
    struct carom_doors *doors = door_of(acceptor)->doors;
    struct carom_records *records = &doors->connections->records;
    carom_log_line(doors->log, CAROM_LOG_WARNING, "accepting pauses: %s", carom_error_text(error));
    if (!carom_timer_armed(&doors->again))
        carom_timer_arm(&records->wheel, &doors->again, carom_records_now(records) + ACCEPT_AGAIN);
}

void carom_doors_update(struct carom_doors *doors)
{
    const struct carom_connections *connections = doors->connections;
    struct carom_loop *loop = doors->loop;
    bool open = connections->options->refuse_connections || !carom_connections_full(connections);
    for (struct carom_node *node = doors->open.next; node != &doors->open; node = node->next) {
        struct carom_door *door = carom_container(node, struct carom_door, link);
        if (open == door->acceptor.accepting)
            continue;
        if (!open)
            loop->ops->accept_stop(loop, &door->acceptor);
        else if (loop->ops->accept_start(loop, &door->acceptor, door->shared) < 0)
            failed(&door->acceptor, -CAROM_ENOMEM);
    }
}

static void accept_again(struct carom_timer *timer)
{
    carom_doors_update(carom_container(timer, struct carom_doors, again));
}

static void remove_socket_file(struct carom_door *door)
{
    if (door->socket_file == NULL)
        return;
    unlink(door->socket_file);
    carom_memory_give(door->socket_file, strlen(door->socket_file) + 1);
    door->socket_file = NULL;
}

/* The socket's file goes before its descriptor: once that is closed, another server may make the
 * file its own. */
void carom_door_close(struct carom_door *door)
{
    remove_socket_file(door);
    if (door->acceptor.accepting)
        door->doors->loop->ops->accept_stop(door->doors->loop, &door->acceptor);
    if (door->acceptor.fd >= 0 && !door->shared)
        close(door->acceptor.fd);
    door->acceptor.fd = -1;
    carom_node_remove(&door->link);
}

void carom_doors_close(struct carom_doors *doors)
{
    carom_timer_disarm(&doors->connections->records.wheel, &doors->again);
    while (!carom_node_alone(&doors->open))
        carom_door_close(carom_container(doors->open.next, struct carom_door, link));
}

void carom_doors_init(struct carom_doors *doors, struct carom_connections *connections,
                      const struct carom_log_sink *log)
{
    *doors = (struct carom_doors){.connections = connections, .log = log};
    carom_node_init(&doors->open);
    carom_timer_init(&doors->again, accept_again);
}

void carom_door_init(struct carom_door *door, struct carom_doors *doors, uint16_t listener,
                     struct carom_tls *tls)
{
    *door = (struct carom_door){
        .acceptor = {.accepted = accepted, .failed = failed, .fd = -1},
        .doors = doors,
        .tls = tls,
        .listener = listener,
    };
    carom_node_init(&door->link);
}
