/* Addresses: parsing what to listen on, making listening sockets, describing endpoints. */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/errors.h"
#include "net/os.h"

/* ---------------------------------------------------------------- parsing */

/* Decimal digits to the end of the text, at most `most`; -1 when it is anything else. */
static int number(const char *text, int most)
{
    int value = 0;
    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
        if (value > most)
            return -1;
    }
    return value;
}

/* "8080" and ":8080" are "*:8080"; "localhost" is 127.0.0.1, which no name service is asked for. */
static int parse_tcp(const char *text, struct carom_listen_spec *spec)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    int port = number(colon == NULL ? text : colon + 1, UINT16_MAX);
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    if (length == 0) {
        text = "*";
        length = 1;
    } else if (length == 9 && memcmp(text, "localhost", 9) == 0) {
        text = "127.0.0.1";
    }
    bool brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    if (brackets) {
        text++;
        length -= 2;
    }
    if (port < 0 || length == 0 || length >= sizeof host)
        return -CAROM_EADDRESS;
    memcpy(host, text, length);
    host[length] = '\0';

    struct sockaddr_in *in = (struct sockaddr_in *)&spec->address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&spec->address;
    spec->kind = CAROM_LISTEN_TCP;
    spec->any = !brackets && strcmp(host, "*") == 0;
    if (!brackets && inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        spec->address_length = sizeof *in;
        return 0;
    }
    if (!spec->any && (!brackets || inet_pton(AF_INET6, host, &in6->sin6_addr) != 1))
        return -CAROM_EADDRESS;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    spec->address_length = sizeof *in6;
    return 0;
}

static int parse_unix(const char *text, struct carom_listen_spec *spec)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&spec->address;
    const char *query = strchr(text, '?');
    size_t length = query != NULL ? (size_t)(query - text) : strlen(text);
    bool abstract = text[0] == '@';
    spec->kind = CAROM_LISTEN_UNIX;
    if (query != NULL) {
        static const char mode[] = "?mode=";
        if (strncmp(query, mode, sizeof mode - 1) != 0 || abstract)
            return -CAROM_EADDRESS;
        const char *digits = query + sizeof mode - 1;
        char *end;
        long value = strtol(digits, &end, 8);
        if (*digits < '0' || *digits > '7' || *end != '\0' || value > 0777)
            return -CAROM_EADDRESS;
        spec->mode = (int)value;
    }
    if (length <= (abstract ? 1u : 0u) || length >= sizeof un->sun_path)
        return -CAROM_EADDRESS;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, text, length);
    if (abstract)
        un->sun_path[0] = '\0';
    size_t end = abstract ? length : length + 1;
    spec->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + end);
    return 0;
}

int carom_listen_parse(const char *text, struct carom_listen_spec *spec)
{
    *spec = (struct carom_listen_spec){.mode = -1, .fd = -1};
    if (text == NULL)
        return -CAROM_EADDRESS;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, spec);
    if (strcmp(text, "systemd:") == 0) {
        spec->kind = CAROM_LISTEN_SYSTEMD;
        return 0;
    }
    if (strncmp(text, "fd:", 3) == 0) {
        spec->kind = CAROM_LISTEN_FD;
        spec->fd = number(text + 3, INT16_MAX);
        return spec->fd >= 0 ? 0 : -CAROM_EADDRESS;
    }
    return parse_tcp(text, spec);
}

int carom_listen_systemd_count(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    if (pid == NULL || fds == NULL || number(pid, INT32_MAX / 10 - 1) != getpid())
        return 0;
    int count = number(fds, INT16_MAX);
    return count > 0 ? count : 0;
}

/* ---------------------------------------------------------------- sockets */

static int fail(int fd)
{
    int error = carom_error_from_errno(errno);
    close(fd);
    return error;
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

/* A socket file that nobody listens on any more may be replaced; anything else may not. */
static int remove_stale(const struct carom_listen_spec *spec)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&spec->address;
    struct stat status;
    if (un->sun_path[0] == '\0' || lstat(un->sun_path, &status) < 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return -CAROM_EADDRINUSE;
    int fd = carom_os_socket(AF_UNIX);
    if (fd < 0)
        return carom_error_from_errno(errno);
    int result = connect(fd, (const struct sockaddr *)&spec->address, spec->address_length);
    bool stale = result < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return -CAROM_EADDRINUSE;
    return unlink(un->sun_path) < 0 && errno != ENOENT ? carom_error_from_errno(errno) : 0;
}

static int open_unix(const struct carom_listen_spec *spec, int backlog)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&spec->address;
    int error = remove_stale(spec);
    if (error < 0)
        return error;
    int fd = carom_os_socket(AF_UNIX);
    if (fd < 0)
        return carom_error_from_errno(errno);
    if (bind(fd, (const struct sockaddr *)&spec->address, spec->address_length) < 0)
        return fail(fd);
    /* The mode is set before anybody can connect. */
    if ((spec->mode >= 0 && chmod(un->sun_path, (mode_t)spec->mode) < 0) ||
        listen(fd, backlog) < 0) {
        error = fail(fd);
        if (un->sun_path[0] != '\0')
            unlink(un->sun_path);
        return error;
    }
    return fd;
}

/* Bytes that the kernel takes beyond those on their way, of each connection: what more a client is
 * sent, and takes its time for, waits with us, where it is counted. Connections have it of their
 * listener. */
#define KERNEL_AHEAD (256 * 1024)

static int open_tcp(const struct carom_listen_spec *spec, bool reuse_port, int backlog)
{
    int family = spec->address.ss_family;
    int fd = carom_os_socket(family);
    if (fd < 0)
        return carom_error_from_errno(errno);
    if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
        carom_os_limit_unsent(fd, KERNEL_AHEAD) < 0 ||
        (reuse_port && set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
        (family == AF_INET6 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !spec->any) < 0) ||
        bind(fd, (const struct sockaddr *)&spec->address, spec->address_length) < 0 ||
        listen(fd, backlog) < 0)
        return fail(fd);
    return fd;
}

/* "*" on a host without IPv6. */
static int open_any4(const struct carom_listen_spec *spec, bool reuse_port, int backlog)
{
    struct carom_listen_spec four = {.kind = CAROM_LISTEN_TCP, .mode = -1, .fd = -1};
    struct sockaddr_in *in = (struct sockaddr_in *)&four.address;
    in->sin_family = AF_INET;
    in->sin_port = ((const struct sockaddr_in6 *)&spec->address)->sin6_port;
    in->sin_addr.s_addr = htonl(INADDR_ANY);
    four.address_length = sizeof *in;
    return open_tcp(&four, reuse_port, backlog);
}

static int check_inherited(int fd)
{
    int listening = 0, type = 0;
    socklen_t length = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || !listening)
        return -CAROM_ENOENT;
    length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM)
        return -CAROM_ENOENT;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return carom_error_from_errno(errno);
    /* These fail for Unix sockets, which do not need them. */
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    carom_os_limit_unsent(fd, KERNEL_AHEAD);
    return fd;
}

void carom_socket_keep_alive(int fd, int seconds)
{
    if (seconds == 0 || carom_os_set_silence(fd, seconds) == 0)
        set(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
}

int carom_listen_open(const struct carom_listen_spec *spec, bool reuse_port, int backlog)
{
    switch (spec->kind) {
    case CAROM_LISTEN_UNIX:
        return open_unix(spec, backlog);
    case CAROM_LISTEN_FD:
    case CAROM_LISTEN_SYSTEMD:
        return check_inherited(spec->fd);
    case CAROM_LISTEN_TCP:
        break;
    }
    int fd = open_tcp(spec, reuse_port, backlog);
    bool no_ipv6 = fd == -CAROM_EUNSUPPORTED || fd == -CAROM_EADDRNOTAVAIL;
    if (no_ipv6 && spec->any && spec->address.ss_family == AF_INET6)
        return open_any4(spec, reuse_port, backlog);
    return fd;
}

/* ---------------------------------------------------------------- description */

static void describe_unix(const struct sockaddr_un *un, socklen_t length, carom_address *to)
{
    size_t path = length - offsetof(struct sockaddr_un, sun_path);
    bool abstract = path > 0 && un->sun_path[0] == '\0';
    if (!abstract)
        path = strnlen(un->sun_path, path);
    if (path >= sizeof to->text)
        path = sizeof to->text - 1;
    memcpy(to->text, un->sun_path, path);
    if (abstract)
        to->text[0] = '@';
}

void carom_address_describe(const struct sockaddr *address, socklen_t length, carom_address *to)
{
    *to = (carom_address){0};
    if (length < sizeof address->sa_family)
        return;
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        to->family = CAROM_IPV4;
        to->port = ntohs(in->sin_port);
        inet_ntop(AF_INET, &in->sin_addr, to->text, sizeof to->text);
    } else if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        to->family = CAROM_IPV6;
        to->port = ntohs(in6->sin6_port);
        inet_ntop(AF_INET6, &in6->sin6_addr, to->text, sizeof to->text);
    } else if (address->sa_family == AF_UNIX) {
        to->family = CAROM_UNIX;
        if (length > offsetof(struct sockaddr_un, sun_path))
            describe_unix((const struct sockaddr_un *)(const void *)address, length, to);
    }
}
