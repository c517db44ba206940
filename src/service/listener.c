/* Listeners: turn addresses into listening sockets in the workers. */
#include "service/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/memory.h"
#include "net/address.h"
#include "tls/tls.h"

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
    char **file = &listener->doors[0].socket_file; /* the first worker has it */
    *file = carom_memory_take(size);
    if (*file == NULL) {
        unlink(un->sun_path);
        return -CAROM_ENOMEM;
    }
    memcpy(*file, un->sun_path, size);
    return 0;
}

static void destroy(struct carom_listener *listener, uint32_t workers)
{
    for (uint32_t i = 0; i < workers; i++)
        carom_door_close(&listener->doors[i]);
    if (listener->shared_fd >= 0)
        close(listener->shared_fd);
    if (listener->tls != NULL)
        carom_tls_destroy(listener->tls);
    carom_memory_give(listener, listener->size);
}

/* A listener whose doors have no sockets yet. */
static int create(struct carom_listener **made, const struct carom_listeners *listeners,
                  const carom_tls_options *tls)
{
    const carom_options *options = listeners->options;
    size_t size = sizeof(struct carom_listener) + options->workers * sizeof(struct carom_door);
    struct carom_listener *listener = carom_memory_take_zeroed(size);
    if (listener == NULL)
        return -CAROM_ENOMEM;
    listener->size = size;
    listener->shared_fd = -1;
    int error =
        tls == NULL ? 0 : carom_tls_create(&listener->tls, tls, listeners->log, !options->no_http2);
    for (uint32_t i = 0; i < options->workers; i++)
        carom_door_init(&listener->doors[i], &listeners->workers[i].doors,
                        (uint16_t)listeners->count, listener->tls);
    if (error < 0) {
        destroy(listener, options->workers);
        return error;
    }
    *made = listener;
    return 0;
}

static int open_listener(struct carom_listener **made, const struct carom_listeners *listeners,
                         const struct carom_listen_spec *given, const carom_tls_options *tls)
{
    struct carom_listen_spec spec = *given;
    struct carom_listener *listener;
    uint32_t workers = listeners->options->workers;
    int error = create(&listener, listeners, tls);
    if (error < 0)
        return error;
    for (uint32_t i = 0; i < workers && error == 0; i++) {
        error = open_door(listener, i, &spec, listeners->options);
        if (i == 0 && error == 0)
            error = keep_socket_file(listener, &spec);
        if (i == 0 && error == 0)
            error = keep_address(listener, &spec);
    }
    if (error < 0) {
        destroy(listener, workers);
        return error;
    }
    for (uint32_t i = 0; i < workers; i++)
        carom_list_append(&listener->doors[i].doors->open, &listener->doors[i].link);
    *made = listener;
    return 0;
}

/* ---------------------------------------------------------------- all of them */

static int add(struct carom_listeners *listeners, const struct carom_listen_spec *spec,
               const carom_tls_options *tls)
{
    struct carom_listener *listener;
    if (listeners->count > UINT16_MAX)
        return -CAROM_EMFILE;
    size_t size = listeners->count * sizeof(struct carom_listener *);
    struct carom_listener **longer = carom_memory_take(size + sizeof(struct carom_listener *));
    if (longer == NULL)
        return -CAROM_ENOMEM;
    int error = open_listener(&listener, listeners, spec, tls);
    if (error < 0) {
        carom_memory_give(longer, size + sizeof(struct carom_listener *));
        return error;
    }
    if (size > 0)
        memcpy(longer, listeners->list, size);
    longer[listeners->count++] = listener;
    carom_memory_give(listeners->list, size);
    listeners->list = longer;
    return 0;
}

int carom_listeners_add(struct carom_listeners *listeners, const char *address,
                        const carom_tls_options *tls)
{
    struct carom_listen_spec spec;
    int error = carom_listen_parse(address, &spec);
    if (error < 0)
        return error;
    if (spec.kind != CAROM_LISTEN_SYSTEMD)
        return add(listeners, &spec, tls);
    int count = carom_listen_systemd_count();
    if (count == 0)
        return -CAROM_ENOENT;
    for (int i = 0; i < count && error == 0; i++) {
        spec.kind = CAROM_LISTEN_FD;
        spec.fd = 3 + i;
        error = add(listeners, &spec, tls);
    }
    return error;
}

void carom_listeners_finish(struct carom_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        destroy(listeners->list[i], listeners->options->workers);
    carom_memory_give(listeners->list, listeners->count * sizeof(struct carom_listener *));
    listeners->count = 0;
}
