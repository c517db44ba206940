/* Listeners: sockets in the workers, accepting as limits allow. */
#include "service/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/memory.h"
#include "http/accept.h"
#include "service/service.h"

/* How long to wait when descriptors have run out, should no connection close before. */
#define ACCEPT_AGAIN 100

static struct carom_door *door_of(struct carom_acceptor *acceptor)
{
    return carom_container(acceptor, struct carom_door, acceptor);
}

static void accepted(struct carom_acceptor *acceptor, int fd, const struct sockaddr *peer,
                     socklen_t length)
{
    struct carom_door *door = door_of(acceptor);
    (void)length;
    carom_connection_accept(&door->worker->connections, door->listener->index, door->listener->tls,
                            fd, peer);
    carom_doors_update(door->worker);
}

static void failed(struct carom_acceptor *acceptor, int error)
{
    struct carom_worker *worker = door_of(acceptor)->worker;
    carom_log_line(&worker->service->log, CAROM_LOG_WARNING, "accepting pauses: %s",
                   carom_error_text(error));
    if (!carom_timer_armed(&worker->accept_again))
        carom_timer_arm(&worker->connections.records.wheel, &worker->accept_again,
                        carom_records_now(&worker->connections.records) + ACCEPT_AGAIN);
}

void carom_doors_update(struct carom_worker *worker)
{
    const struct carom_connections *connections = &worker->connections;
    bool open = !connections->draining &&
                (connections->options->refuse_connections || !carom_connections_full(connections));
    for (struct carom_node *node = worker->doors.next; node != &worker->doors; node = node->next) {
        struct carom_door *door = carom_container(node, struct carom_door, link);
        if (open == door->acceptor.accepting)
            continue;
        if (!open)
            worker->loop->ops->accept_stop(worker->loop, &door->acceptor);
        else if (worker->loop->ops->accept_start(worker->loop, &door->acceptor, door->shared) < 0)
            failed(&door->acceptor, -CAROM_ENOMEM);
    }
}

void carom_doors_retry(struct carom_timer *timer)
{
    carom_doors_update(carom_container(timer, struct carom_worker, accept_again));
}

static void close_door(struct carom_door *door)
{
    if (door->acceptor.accepting)
        door->worker->loop->ops->accept_stop(door->worker->loop, &door->acceptor);
    if (door->acceptor.fd >= 0 && !door->shared)
        close(door->acceptor.fd);
    door->acceptor.fd = -1;
    carom_node_remove(&door->link);
}

static void remove_socket_file(struct carom_listener *listener)
{
    if (listener->socket_file == NULL)
        return;
    unlink(listener->socket_file);
    carom_memory_give(listener->socket_file, strlen(listener->socket_file) + 1);
    listener->socket_file = NULL;
}

/* The socket's file goes before its descriptor: once that is closed, another server may make the
 * file its own. The first worker has it while the workers run. */
void carom_doors_close(struct carom_worker *worker)
{
    carom_timer_disarm(&worker->connections.records.wheel, &worker->accept_again);
    while (!carom_node_alone(&worker->doors)) {
        struct carom_door *door = carom_container(worker->doors.next, struct carom_door, link);
        if (door == &door->listener->doors[0])
            remove_socket_file(door->listener);
        close_door(door);
    }
}

/* ---------------------------------------------------------------- life */

/* Several workers listen on a port with SO_REUSEPORT. That nobody else does is seen without it. */
static int check_alone(const struct carom_listen_spec *spec)
{
    int fd = carom_listen_open(spec, false, 1);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* The workers share one descriptor, unless the kernel can spread connections over several. */
static int open_door(struct carom_listener *listener, uint32_t index,
                     const struct carom_listen_spec *spec, const carom_options *options)
{
    struct carom_door *door = &listener->doors[index];
    bool shared = options->workers > 1 && spec->kind != CAROM_LISTEN_TCP;
    bool several = options->workers > 1 && !shared;
    int fd = listener->shared_fd;
    if (index == 0 && several && !options->reuse_port && (fd = check_alone(spec)) < 0)
        return fd;
    if (listener->shared_fd < 0)
        fd = carom_listen_open(spec, several || options->reuse_port, (int)options->backlog);
    if (fd < 0)
        return fd;
    if (shared)
        listener->shared_fd = fd;
    door->shared = shared;
    door->acceptor.fd = fd;
    return 0;
}

/* Port 0 became a port: the other workers listen on the same one. */
static int keep_address(struct carom_listener *listener, struct carom_listen_spec *spec)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (getsockname(listener->doors[0].acceptor.fd, (struct sockaddr *)&name, &length) < 0)
        return carom_error_from_errno(errno);
    carom_address_describe((const struct sockaddr *)&name, length, &listener->address);
    if (spec->kind == CAROM_LISTEN_TCP) {
        spec->address = name;
        spec->address_length = length;
    }
    return 0;
}

static int keep_socket_file(struct carom_listener *listener, const struct carom_listen_spec *spec)
{
    const struct sockaddr_un *un = (const void *)&spec->address;
    if (spec->kind != CAROM_LISTEN_UNIX || un->sun_path[0] == '\0')
        return 0;
    size_t size = strlen(un->sun_path) + 1;
    listener->socket_file = carom_memory_take(size);
    if (listener->socket_file == NULL) {
        unlink(un->sun_path);
        return -CAROM_ENOMEM;
    }
    memcpy(listener->socket_file, un->sun_path, size);
    return 0;
}

int carom_listener_create(struct carom_listener **made, struct carom_service *service,
                          const struct carom_listen_spec *given, const carom_tls_options *tls)
{
    struct carom_listen_spec spec = *given;
    uint32_t workers = service->options.workers;
    size_t size = sizeof(struct carom_listener) + workers * sizeof(struct carom_door);
    struct carom_listener *listener = carom_memory_take_zeroed(size);
    if (listener == NULL)
        return -CAROM_ENOMEM;
    listener->size = size;
    listener->shared_fd = -1;
    for (uint32_t i = 0; i < workers; i++) {
        struct carom_door *door = &listener->doors[i];
        door->acceptor = (struct carom_acceptor){.accepted = accepted, .failed = failed, .fd = -1};
        door->worker = &service->workers[i];
        door->listener = listener;
        carom_node_init(&door->link);
    }
    int error = tls == NULL ? 0
                            : carom_tls_create(&listener->tls, tls, &service->log,
                                               !service->options.no_http2);
    for (uint32_t i = 0; i < workers && error == 0; i++) {
        error = open_door(listener, i, &spec, &service->options);
        if (i == 0 && error == 0)
            error = keep_socket_file(listener, &spec);
        if (i == 0 && error == 0)
            error = keep_address(listener, &spec);
    }
    if (error < 0) {
        carom_listener_destroy(listener, service);
        return error;
    }
    for (uint32_t i = 0; i < workers; i++)
        carom_list_append(&service->workers[i].doors, &listener->doors[i].link);
    *made = listener;
    return 0;
}

void carom_listener_destroy(struct carom_listener *listener, struct carom_service *service)
{
    remove_socket_file(listener);
    if (listener->shared_fd >= 0)
        close(listener->shared_fd);
    for (uint32_t i = 0; i < service->options.workers; i++)
        close_door(&listener->doors[i]);
    if (listener->tls != NULL)
        carom_tls_destroy(listener->tls);
    carom_memory_give(listener, listener->size);
}
