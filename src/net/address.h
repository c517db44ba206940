/* Addresses: the text that carom_service_listen takes, listening sockets, endpoints as text, and
 * the one option of a connection that somebody may change. */
#ifndef CAROM_NET_ADDRESS_H
#define CAROM_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "carom.h"

enum carom_listen_kind {
    CAROM_LISTEN_TCP,
    CAROM_LISTEN_UNIX,
    CAROM_LISTEN_FD,
    CAROM_LISTEN_SYSTEMD
};

/* A parsed listen address. */
struct carom_listen_spec {
    enum carom_listen_kind kind;
    struct sockaddr_storage address; /* TCP, UNIX */
    socklen_t address_length;
    bool any; /* "*": IPv6 and IPv4, or IPv4 alone where there is no IPv6 */
    int mode; /* UNIX: file mode, or -1 */
    int fd;   /* FD */
};

/* Parse what carom_service_listen documents. 0 or -CAROM_EADDRESS. */
int carom_listen_parse(const char *text, struct carom_listen_spec *spec);

/* Make a bound, listening, non-blocking, close-on-exec socket with TCP_NODELAY set (accepted ones
 * inherit it). A stale Unix socket file (nobody accepts there) is replaced, a live one is
 * -CAROM_EADDRINUSE, a file that is no socket is left alone (-CAROM_EADDRINUSE). For FD and
 * SYSTEMD: check that fd is a listening stream socket (else -CAROM_ENOENT) and set its flags.
 * `reuse_port`: several sockets share a TCP port. Returns the descriptor or a negative error. */
int carom_listen_open(const struct carom_listen_spec *spec, bool reuse_port, int backlog);

/* systemd's descriptors: LISTEN_PID must be this process (sd_listen_fds(3)). Returns how many, the
 * first being 3; 0 when there are none. */
int carom_listen_systemd_count(void);

/* Let the kernel ask a peer that has been silent for `seconds` whether it is there; 0: no more. For
 * what is no TCP socket nothing happens. */
void carom_socket_keep_alive(int fd, int seconds);

/* Describe an endpoint. */
void carom_address_describe(const struct sockaddr *address, socklen_t length, carom_address *to);

#endif
