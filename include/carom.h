/* Carom: serve HTTP from a handler that answers when it likes.
 *
 * A *service* has one or more *workers* (threads). A worker owns its connections and their
 * *records*; a record is one HTTP exchange. The handler is given each record on its worker's
 * thread, answers it there now or later, and releases it. Work done on other threads comes back
 * with carom_post().
 *
 * Unless a function says otherwise, a call that takes a record must be made on the record's worker
 * thread, by the handler, between being given the record and releasing it. Functions that can fail
 * return 0 (or a count) or a negative error: -CAROM_EAGAIN, -CAROM_ECANCELED, ... Times are in
 * milliseconds, sizes in bytes.
 *
 * Any function may fail with -CAROM_EINVAL, too: a pointer is NULL where there must be something.
 * One that takes a record may fail with -CAROM_ESTATE: it was released. Those that only tell of a
 * record have nothing to tell then: data NULL, 0. This is noticed until the record's memory is
 * another's; a pointer to a record that was released cannot be told from one to the exchange that
 * has its memory next. So keep a carom_ref where a record is kept across time, threads or queues.
 * On the wrong thread a call ends the program, with a line that names it on standard error; so does
 * a second carom_release, and in a build with CAROM_DEBUG_CHECKS every call after it.
 *
 * tidy: long because it is the whole interface
 */
#ifndef CAROM_H
#define CAROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; carom_version has that of the library. */
#define CAROM_VERSION "0.1.0"

/* Stands before each function that the library shows. */
#if defined(__GNUC__)
#define CAROM_API __attribute__((visibility("default")))
#else
#define CAROM_API
#endif

/* ------------------------------------------------------------------ errors and reasons */

/* Every error: name, number, text. */
#define CAROM_ERROR_TABLE(X)                                                                       \
    X(EAGAIN, 1, "not now: wait for the edge and call again")                                      \
    X(ECANCELED, 2, "the exchange is over: the client has gone or the record was cancelled")       \
    X(EINVAL, 3, "an argument or option is not valid")                                             \
    X(ENOMEM, 4, "out of memory")                                                                  \
    X(ESTATE, 5, "not allowed in this state of the record or service")                             \
    X(ETOOBIG, 6, "over the limit that was set")                                                   \
    X(EFIELD, 7, "a field name or value that may not be sent")                                     \
    X(ELENGTH, 8, "content does not match the Content-Length that was given")                      \
    X(EADDRINUSE, 9, "the address is in use")                                                      \
    X(EADDRNOTAVAIL, 10, "the address is not available on this host")                              \
    X(EACCES, 11, "permission denied")                                                             \
    X(ENOENT, 12, "no such file, directory or descriptor")                                         \
    X(EMFILE, 13, "out of file descriptors")                                                       \
    X(EADDRESS, 14, "not an address that can be listened on")                                      \
    X(EUNSUPPORTED, 15, "not supported on this system or in this build")                           \
    X(ESYSTEM, 16, "the system refused, for a reason without a name here")                         \
    X(EFILE, 17, "not a regular file, or it cannot be read as far as was said")                    \
    X(ECERTIFICATE, 18, "a certificate cannot be used: the log says which file and why")           \
    X(EKEY, 19, "a private key cannot be used: the log says which file and why")                   \
    X(EPROTOCOL, 20, "the peer broke the protocol of the connection")

/* The numbers of the errors; functions return them negative. */
enum carom_error {
#define X(name, number, text) CAROM_##name = (number),
    CAROM_ERROR_TABLE(X)
#undef X
};

/* Why a record ended: name, text. The counters of carom_stats.ended follow this order. */
#define CAROM_REASON_TABLE(X)                                                                      \
    X(NONE, "not ended")                                                                           \
    X(COMPLETE, "the whole response was handed to the kernel")                                     \
    X(CLIENT_CLOSED, "the client closed its side before the response was complete")                \
    X(CLIENT_RESET, "the connection was reset or failed")                                          \
    X(BAD_REQUEST, "the request broke the protocol")                                               \
    X(OVER_LIMIT, "a limit was reached")                                                           \
    X(HEADER_TIMEOUT, "the header section came too late")                                          \
    X(BODY_TIMEOUT, "the request body came too slowly")                                            \
    X(WRITE_TIMEOUT, "the client stopped reading the response")                                    \
    X(HANDLER_TIMEOUT, "the handler took too long")                                                \
    X(ABANDONED, "the handler released the record before the response was complete")               \
    X(CANCELED, "the handler cancelled the record")                                                \
    X(SHUTDOWN, "the deadline of a shutdown passed")                                               \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(FILE_FAILED, "the file of the response could not be read as far as was said")

/* The reasons, in the order of the table. */
typedef enum carom_reason {
#define X(name, text) CAROM_REASON_##name,
    CAROM_REASON_TABLE(X)
#undef X
        CAROM_REASON_COUNT /* how many this version has */
} carom_reason;

/* The name ("CAROM_EAGAIN") and the text of an error, given negative or positive; never NULL.
 * Static memory. Any thread. */
CAROM_API const char *carom_error_name(int error);
/* The one-line text of an error; never NULL. Static memory. Any thread. */
CAROM_API const char *carom_error_text(int error);
/* The lower-case name ("client-closed") of a reason; never NULL. Static memory. Any thread. */
CAROM_API const char *carom_reason_name(carom_reason reason);
/* The one-line text of a reason; never NULL. Static memory. Any thread. */
CAROM_API const char *carom_reason_text(carom_reason reason);
/* The version of the library that runs, as "major.minor.patch". Any thread. */
CAROM_API const char *carom_version(void);

/* ------------------------------------------------------------------ memory */

/* Where the library takes memory from: all that it asks for goes through here, but OpenSSL's own
 * (CRYPTO_set_mem_functions) and what libc takes for threads. Called on any thread; neither may
 * call the library. Nothing is taken for a request once pools are warm. */
typedef struct carom_allocator {
    /* `size` bytes, at least 1, at a multiple of `alignment`, which is a power of two; NULL: there
     * are none. */
    void *(*allocate)(void *data, size_t size, size_t alignment);
    /* Give back what allocate gave, with the same size; never NULL. */
    void (*release)(void *data, void *memory, size_t size);
    void *data; /* for both */
} carom_allocator;

/* Let memory come from `allocator`, which is copied, for the whole process and until its end.
 * Before any other call of the library that makes something. Errors: EINVAL (a function is
 * missing), ESTATE (memory was taken already). Not beside other calls of the library. */
CAROM_API int carom_set_allocator(const carom_allocator *allocator);

/* ------------------------------------------------------------------ values */

/* Bytes that somebody else owns; not terminated by a zero. */
typedef struct carom_slice {
    const char *data; /* NULL where there is nothing, which is not the same as empty */
    size_t length;    /* in bytes */
} carom_slice;

/* A slice of a string literal, as an initializer. */
#define CAROM_SLICE(literal)                                                                       \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* A field line (RFC 9110, 5): the name as sent, the value without surrounding white space. */
typedef struct carom_field {
    carom_slice name;  /* compared without regard to case */
    carom_slice value; /* without line ends and NUL */
} carom_field;

/* What kind of address. */
typedef enum carom_family {
    CAROM_FAMILY_NONE, /* there is nothing to say */
    CAROM_IPV4,        /* of the internet, 4 bytes */
    CAROM_IPV6,        /* of the internet, 16 bytes */
    CAROM_UNIX         /* of a Unix socket */
} carom_family;

/* An endpoint. */
typedef struct carom_address {
    carom_family family; /* what kind */
    uint16_t port;       /* of IPv4 and IPv6 */
    char text[110];      /* "192.0.2.1", "2001:db8::1", "/run/x.sock", "@abstract", or "" */
} carom_address;

/* A service, opaque: made by carom_service_create, freed by carom_service_destroy. */
typedef struct carom_service carom_service;
/* One thread of a service with its loop, opaque: it lives as long as the service. */
typedef struct carom_worker carom_worker;
/* One HTTP exchange, opaque: given to the handler, who lets go of it by carom_release. */
typedef struct carom_record carom_record;

/* ------------------------------------------------------------------ wakers */

typedef struct carom_waker carom_waker;

/* Called once per wait, on the worker's thread, never inside another call of this library. `status`
 * is 0, or a negative error (-CAROM_ECANCELED: the exchange is over; -CAROM_ETOOBIG: see
 * carom_request_collect). It may wait again, answer, or release the record. */
typedef void carom_wake(carom_waker *waker, int status);

/* A one-shot callback that its owner embeds in a struct of its own. Set `wake` and zero the rest;
 * do not touch, move or free it while it waits. Releasing a record disarms all its wakers. */
struct carom_waker {
    carom_wake *wake;     /* what is called */
    uint64_t reserved[6]; /* the library's: zero before the first wait */
};

/* What can be waited for on a record; each has one place for a waker. */
typedef enum carom_edge {
    CAROM_READABLE,  /* carom_request_read would not say EAGAIN */
    CAROM_WRITABLE,  /* carom_write would not say EAGAIN */
    CAROM_ENDED,     /* the response has been handed to the kernel whole, or never will be */
    CAROM_CANCELLED, /* the exchange ended before the response was complete */
    CAROM_DRAINING,  /* a shutdown has begun: what has no end of its own, such as a stream of events
                        or a long poll, should come to one */
    CAROM_EDGE_COUNT /* how many this version has */
} carom_edge;

/* ------------------------------------------------------------------ service */

/* Given each request, on its worker's thread, when its header section is complete. It owns a hold
 * on the record until it calls carom_release. */
typedef void carom_handler(carom_record *record, void *data);

/* A worker begins, on its thread, before anything else happens there; `data` is
 * options.worker_data. 0, or a negative error, which shuts the service down at once: carom_run, or
 * the last carom_service_turn, returns it. */
typedef int carom_on_start(carom_worker *worker, void *data);
/* A worker whose carom_on_start has returned 0 ends, on its thread: the last that happens there. It
 * has drained, and what was watched, waited for or posted by then has fired. */
typedef void carom_on_stop(carom_worker *worker, void *data);

/* A connection has ended, and all its records are released: its state (carom_connection_state)
 * goes. `data` is options.worker_data. On the worker's thread, perhaps inside carom_release: of
 * this library it may call carom_post_worker only. */
typedef void carom_on_connection_end(void *state, void *data);

/* How much a line of log matters. */
typedef enum carom_log_level { CAROM_LOG_ERROR, CAROM_LOG_WARNING, CAROM_LOG_INFO } carom_log_level;

/* Takes one line of log without its newline. Any worker's thread; must not call the library. */
typedef void carom_log(void *data, carom_log_level level, const char *line);

#define CAROM_OFF UINT32_MAX /* switches a limit or a time-out off */

/* Options. Start from CAROM_OPTIONS_INIT; zero means the default that stands beside the option. */
typedef struct carom_options {
    size_t size;                                /* set by CAROM_OPTIONS_INIT */
    carom_handler *handler;                     /* there is no default: EINVAL */
    void *handler_data;                         /* for the handler */
    carom_log *log;                             /* NULL: silent */
    void *log_data;                             /* for the log */
    carom_on_start *on_start;                   /* NULL: nothing is to be done */
    carom_on_stop *on_stop;                     /* the same */
    carom_on_connection_end *on_connection_end; /* the same */
    void *worker_data;                          /* for these three */
    const char *backend;   /* "epoll" (default); "uring": io_uring, where the kernel (6.1 or newer)
                              allows it, otherwise epoll; the log says which */
    uint32_t workers;      /* 1 */
    uint32_t backlog;      /* 4096: connections the kernel queues for accept */
    uint32_t record_state; /* 0: bytes of the handler's own memory with each record; at most
                              1 MiB */
    uint32_t connection_state; /* 0: and with each connection; 1 MiB at most */
    uint32_t pool_floor;       /* 64: objects each pool has from the start and keeps */

    /* Limits: what happens when one is reached stands behind it. */
    uint32_t max_target;         /* 8 KiB: 414 */
    uint32_t max_header_section; /* 16 KiB: 431; trailers too */
    uint32_t max_fields;         /* 100: 431; trailers too */
    uint64_t max_content;        /* 1 GiB: 413 (UINT64_MAX: no limit) */
    uint32_t max_connections;    /* 16,384 per worker */
    bool refuse_connections;     /* at max_connections: false leaves new ones queued in the kernel,
                                    true answers 503 and closes */
    uint32_t max_in_flight; /* 16,384 records per worker: 503 with Retry-After. A connection has
                               as many as it leaves: then 503, or (HTTP/1.1) it is not read */
    uint32_t max_connection_requests; /* off: the last one is answered with Connection: close */
    uint32_t max_pipeline;  /* 32 requests of a connection in flight; then it is not read; fewer,
                               where answers are large or not taken; 65,535 are the most */
    uint32_t write_buffer;  /* 64 KiB of unsent response: carom_write says EAGAIN */
    uint32_t drain_content; /* 256 KiB of unread request content are read and dropped to
                               keep a connection; beyond, it is closed */
    uint32_t max_response_head; /* 64 KiB of names and values of a response's fields, and its reason
                                   phrase, in all; also of its trailers: -CAROM_ETOOBIG */
    uint64_t max_unsent; /* 64 MiB per worker of answers that wait for their clients (UINT64_MAX: no
                            limit). A connection that is owed more than it leaves of these, the
                            largest of its answers not counted, has its further requests wait; one
                            that is owed a single answer, or none, never does. What lies in files
                            does not count */

    /* Time-outs. */
    uint32_t header_timeout;     /* 10 s from a request's first byte: 408 */
    uint32_t first_byte_timeout; /* 15 s from accept to a request's first byte: closed */
    uint32_t keep_alive;         /* 75 s idle between requests, advertised in Keep-Alive: closed */
    uint32_t keep_alive_grace;   /* 1 s: idle connections are closed this much after `keep_alive` */
    uint32_t content_rate;       /* 240 bytes a second, least rate of content that is waited for,
                                    over windows of `content_window`: 408 */
    uint32_t content_window;     /* 5 s */
    uint32_t write_timeout;      /* 30 s without the peer taking a byte: reset */
    uint32_t handler_timeout;    /* off: from handler to response head: 503 */
    uint32_t linger_timeout;     /* 2 s of reading on after a close, so that the answer arrives */
    uint32_t held_warning;       /* off: ms that a handler may hold a record before a warning in
                                    the log names the oldest of those; each counts once */

    bool half_close;    /* keep answering a peer that has sent FIN (default: it cancels) */
    bool host_optional; /* take requests of HTTP/1.1 without Host (default: 400, as RFC 9112, 3.2,
                           wants it) */
    bool reuse_port; /* share TCP ports with other services and processes of this user that ask for
                        it too (SO_REUSEPORT): the kernel spreads connections over them */

    uint32_t handshake_timeout; /* 10 s from accept to the end of the TLS handshake: closed */
    uint32_t max_handshakes; /* 16 steps of TLS handshakes in a turn of a worker; the rest waits */

    /* HTTP/2 (RFC 9113), on the same port. The limits above hold too, but for max_pipeline and
     * drain_content: header_timeout for a section from its first frame, keep_alive without streams,
     * content_rate, write_timeout and linger_timeout (content behind its answer) of each stream. */
    bool no_http2;             /* only HTTP/1.1 is spoken */
    bool h2_connect_protocol;  /* extended CONNECT is taken (RFC 8441, 3): carom_request_protocol */
    uint32_t h2_max_streams;   /* 128 at once on a connection: REFUSED_STREAM, or GOAWAY once the
                                  client has acknowledged the limit; 16,384 are the most */
    uint32_t h2_stream_window; /* 64 KiB of unread content of a stream (RFC 9113, 6.9); it grows on
                                  a fast link up to: */
    uint32_t h2_stream_window_max; /* 1 MiB */
    uint32_t h2_connection_window; /* 1 MiB of unread content of a connection; it grows up to: */
    uint32_t h2_connection_window_max; /* 4 MiB */
    uint32_t h2_max_resets; /* 200 streams reset by the client, or for its fault, in 10 s: GOAWAY
                               with ENHANCE_YOUR_CALM (RFC 9113, 10.5) */
    uint32_t h2_max_control_frames; /* 1,000 SETTINGS, PING, PRIORITY, PRIORITY_UPDATE, empty
                                       DATA and tiny WINDOW_UPDATE frames in 10 s: the same */
    uint32_t h2_ping_interval;      /* 30 s of silence while streams are open: PING; as long again
                                       without an answer: reset */
} carom_options;

/* Options that are all at their defaults, as an initializer. */
#ifdef __cplusplus
#define CAROM_OPTIONS_INIT carom_options_init()
/* Options that are all at their defaults: C++ before C++20 cannot name a member. Any thread. */
static inline carom_options carom_options_init()
{
    carom_options options = carom_options();
    options.size = sizeof options;
    return options;
}
#else
#define CAROM_OPTIONS_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(carom_options)                                                              \
    }
#endif

/* What an option is by its name. */
typedef enum carom_option_type {
    CAROM_OPTION_FLAG,   /* "true" or "false" */
    CAROM_OPTION_NUMBER, /* "4096", "64 KiB", "10 s", "off" */
    CAROM_OPTION_TEXT    /* a word */
} carom_option_type;

/* An option that has a name: a member of carom_options. Static memory; a later version may add to
 * its end. */
typedef struct carom_option {
    const char *name;       /* of the member */
    carom_option_type type; /* what its text may be */
    const char *unit;       /* of a number: "bytes", "ms", or "": pieces */
    uint64_t usual;         /* the default of a number; CAROM_OFF, or UINT64_MAX: off */
    uint64_t least;         /* what a number may be */
    uint64_t most;          /* the same */
} carom_option;

/* Option `index`, in the order of carom_options, or NULL behind the last: all numbers, all that are
 * true or false, and the backend. Any thread. */
CAROM_API const carom_option *carom_option_at(size_t index);
/* Set an option by its name, as configuration files, command lines and foreign languages do. A
 * number of bytes may have KiB, MiB or GiB behind it, one of milliseconds ms, s or min; "0" is the
 * default, "off" is CAROM_OFF. Both texts are the caller's. Errors: ENOENT (no such option), EINVAL
 * (value, or options->size); a line of options->log says which and why, so set that first. Any
 * thread. */
CAROM_API int carom_options_set(carom_options *options, const char *name, const char *value);
/* The bytes of carom_options in the library that runs, for languages that cannot read this header:
 * take so many zeros, put this number where `size` is, and set the four members behind it, each of
 * a pointer, which will stay where they are: handler, handler_data, log, log_data. The rest has
 * names. Any thread. */
CAROM_API size_t carom_options_size(void);

/* Make a service in *service; nothing listens yet. Options are copied. Errors: EINVAL (no handler,
 * or a limit that cannot be: the log says which option and why), ENOMEM, EMFILE, EUNSUPPORTED
 * (backend). Any thread. */
CAROM_API int carom_service_create(carom_service **service, const carom_options *options);

/* Free a service that is not running: never run, or drained. Listening sockets are closed and Unix
 * socket files that it made are removed. Waits for calls of carom_post and carom_shutdown that are
 * still inside. NULL is allowed. Errors: ESTATE (running, or records are still held). */
CAROM_API int carom_service_destroy(carom_service *service);

/* Listen on `address`, before the service runs; more than one call is more than one listener:
 *   "127.0.0.1:8080", "[::1]:8080", "*:8080" (all IPv6 and IPv4), port 0 for any free port;
 *   "localhost:8080" (127.0.0.1), ":8080" and "8080" (as "*:8080");
 *   "unix:/run/app.sock", "unix:/run/app.sock?mode=0660" (a stale socket file is replaced);
 *   "unix:@name" (abstract); "fd:3" (a listening socket that was inherited);
 *   "systemd:" (all descriptors of LISTEN_FDS, sd_listen_fds(3)).
 * Errors: EADDRESS, EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOENT, EMFILE, ESTATE. */
CAROM_API int carom_service_listen(carom_service *service, const char *address);

/* A certificate for TLS, with its chain and private key, in PEM: from files, or from memory where
 * the name of the file is NULL. It serves the names that stand in it (subjectAltName), wildcards
 * too. */
typedef struct carom_tls_certificate {
    const char *certificate_file; /* the certificate, then those that lead to its root */
    const char *key_file;         /* not encrypted; NULL, and `key` empty: with the certificate */
    carom_slice certificate;      /* the same, from memory */
    carom_slice key;              /* the same */
    const char *ocsp_file;        /* an OCSP response (DER) to staple (RFC 6066, 8); NULL: none */
    const char *server_names;     /* "example.org,*.example.org": for clients that ask for these, in
                                     the place of the names that stand in it; NULL: those */
    uint64_t reserved[4];         /* zero, or EINVAL */
} carom_tls_certificate;

/* Whether clients are asked for a certificate. */
typedef enum carom_tls_client {
    CAROM_TLS_CLIENT_OFF,     /* they are not */
    CAROM_TLS_CLIENT_WANTED,  /* they may have none; a bad one ends the handshake */
    CAROM_TLS_CLIENT_REQUIRED /* without a good one there is no connection */
} carom_tls_client;

/* The bytes of one ticket key: its name (16), AES-256 key (32), HMAC-SHA-256 key (32). */
#define CAROM_TLS_TICKET_KEY 80

/* TLS on a listener. Start from CAROM_TLS_OPTIONS_INIT; zero means the default that stands beside
 * the option. All is copied. */
typedef struct carom_tls_options {
    size_t size;                               /* set by CAROM_TLS_OPTIONS_INIT */
    const carom_tls_certificate *certificates; /* the first is for clients that name no server, or
                                                  one that is in no certificate */
    size_t certificate_count;                  /* at least 1 */
    bool refuse_unknown_names;    /* false: see above; true: unrecognized_name ends the handshake */
    const char *const *protocols; /* ALPN (RFC 7301), ours by preference: "h2" (unless
                                     options.no_http2), "http/1.1", "http/1.0" */
    size_t protocol_count;        /* 0: those that the service speaks */
    uint16_t min_version;         /* 12: TLS 1.2; 13: TLS 1.3 only */
    const char *ciphers; /* of TLS 1.2 and before, as in openssl-ciphers(1): ECDHE with AES-GCM or
                            ChaCha20-Poly1305 */
    const char *suites;  /* of TLS 1.3: all three */
    const char *groups;  /* X25519:P-256:P-384 */
    carom_tls_client client;    /* off */
    const char *client_ca_file; /* PEM: whom to trust for that */
    carom_slice client_ca;      /* the same, from memory, where client_ca_file is NULL */
    carom_slice ticket_keys;    /* 1 to 8 keys, the first one for new tickets: the same in all
                                   processes that are to know each other's clients; empty: random,
                                   changed every half `ticket_lifetime` */
    uint32_t ticket_lifetime;   /* 7,200 s (RFC 8446, 4.6.1); CAROM_OFF: no tickets */
    uint32_t watch; /* never: ms between checks for changed files, which are then loaded again */
} carom_tls_options;

/* Options of TLS that are all at their defaults, as an initializer. */
#ifdef __cplusplus
#define CAROM_TLS_OPTIONS_INIT carom_tls_options_init()
/* The same of TLS. Any thread. */
static inline carom_tls_options carom_tls_options_init()
{
    carom_tls_options options = carom_tls_options();
    options.size = sizeof options;
    return options;
}
#else
#define CAROM_TLS_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .size = sizeof(carom_tls_options)                                                          \
    }
#endif

/* As carom_service_listen, for TLS 1.2 and 1.3. Errors: also EINVAL (options, ciphers),
 * ECERTIFICATE and EKEY (a line of log says which file and why), EUNSUPPORTED (a build without
 * TLS). */
CAROM_API int carom_service_listen_tls(carom_service *service, const char *address,
                                       const carom_tls_options *options);
/* Load the certificates of all listeners again. New connections get them; those that are open stay
 * as they are. Any thread, but not a signal handler. Errors: as carom_service_listen_tls; what
 * cannot be loaded stays as it was. */
CAROM_API int carom_tls_reload(carom_service *service);
/* Let `options` take the place of those of all listeners with TLS, but for `watch`;
 * ticket keys stay where none are given. Connections that are open stay as they are. Any thread.
 * Errors: as carom_service_listen_tls, after which a listener that was not reached has what it had;
 * ENOENT (no listener with TLS). */
CAROM_API int carom_tls_replace(carom_service *service, const carom_tls_options *options);
/* Put ticket keys, 1 to 8, in the place of those of all listeners; they are copied, as
 * carom_tls_options.ticket_keys. Any thread. Errors: EINVAL (none, too many, or part of a key). */
CAROM_API int carom_tls_set_ticket_keys(carom_service *service, carom_slice keys);

/* Make a certificate with its key for development, signed by itself, for 30 days: `names` are host
 * names and addresses, as "localhost,127.0.0.1,::1". In memory, to be freed by
 * carom_tls_certificate_free. Errors: EINVAL (names), ENOMEM, EUNSUPPORTED. Any thread. */
CAROM_API int carom_tls_self_signed(carom_tls_certificate *made, const char *names);
/* Free what carom_tls_self_signed has made. Any thread. */
CAROM_API void carom_tls_certificate_free(carom_tls_certificate *made);

/* How many listeners there are, and the real address of one (the port that 0 became). Error of the
 * second: EINVAL (index). Any thread. */
CAROM_API size_t carom_service_listener_count(const carom_service *service);
/* The real address of listener `index`, with the port that 0 became. Errors: EINVAL. Any thread. */
CAROM_API int carom_service_listener(const carom_service *service, size_t index,
                                     carom_address *address);

/* Run on this thread and workers - 1 threads of its own; returns 0 when a shutdown has drained.
 * Errors: ESTATE (already running or drained), ENOMEM (threads). SIGPIPE is never raised; it is
 * blocked in this thread until the call returns, and in the workers' own. */
CAROM_API int carom_run(carom_service *service);

/* For a foreign loop (workers = 1): a descriptor that is readable (level-triggered) when
 * carom_service_turn has work, timers included. Owned by the service. Errors: ESTATE, EMFILE. */
CAROM_API int carom_service_descriptor(carom_service *service);
/* One turn, never blocking, on the thread that is then the worker's. Returns 1 while the service
 * lives, 0 when a shutdown has drained. Errors: ESTATE. Not from inside a handler or waker. */
CAROM_API int carom_service_turn(carom_service *service);

/* Shut down: stop accepting, close idle connections, answer what is in flight with Connection:
 * close, and after `deadline` milliseconds (CAROM_OFF: never) cancel the rest. Calling again may
 * only bring the deadline nearer. carom_run returns when all records are released. Any thread, and
 * from a signal handler (async-signal-safe). */
CAROM_API void carom_shutdown(carom_service *service, uint32_t deadline);

/* Fire `waker` on worker 0's thread when the service has drained. Before it runs or on worker 0's
 * thread. Errors: ESTATE (somebody waits already). */
CAROM_API int carom_service_wait_drained(carom_service *service, carom_waker *waker);

/* Places for reasons in carom_stats.ended: later versions have more reasons. */
#define CAROM_REASONS_MOST 32

/* Counters since the start, summed over the workers; gauges are of this moment. Start from
 * CAROM_STATS_INIT. */
typedef struct carom_stats {
    uint64_t size;                 /* set by CAROM_STATS_INIT */
    uint64_t connections_accepted; /* by the listeners */
    uint64_t connections_refused; /* answered 503 at max_connections (options.refuse_connections) */
    uint64_t connections_open;    /* gauge */
    uint64_t requests;            /* heads that were parsed */
    uint64_t responses;           /* that were handed to the kernel whole */
    uint64_t requests_refused;    /* answered 503, because there was no room */
    uint64_t bytes_received;      /* on the sockets */
    uint64_t bytes_sent;          /* the same */
    uint64_t records_in_flight;   /* gauge: taken from the pool */
    uint64_t records_peak;        /* the most of them since the start */
    uint64_t records_pooled;      /* gauge: in the pool */
    uint64_t records_recycled;    /* that came back to the pool */
    uint64_t records_allocated;   /* for which the pool asked for memory */
    uint64_t pages_in_use;        /* gauge: pages of received and unsent bytes */
    uint64_t pages_pooled;        /* gauge: in the pool */
    uint64_t memory;              /* gauge: bytes held by the library, whole process */
    uint64_t allocations;         /* how often it has asked for memory, whole process */
    uint64_t timeouts;            /* records and connections that a time-out ended */
    uint64_t cancellations;       /* records that ended before their response was complete, while
                                     the handler held them */
    uint64_t ended[CAROM_REASONS_MOST];   /* records, by carom_reason */
    uint64_t tls_handshakes;              /* that were done */
    uint64_t tls_resumed;                 /* of these, without a new exchange of certificates */
    uint64_t tls_failed;                  /* that were not done */
    uint64_t h2_connections;              /* that spoke HTTP/2 */
    uint64_t h2_calmed;                   /* of these, ended with ENHANCE_YOUR_CALM */
    uint64_t websockets_open;             /* gauge: those whose `close` has not returned */
    uint64_t websockets_accepted;         /* by carom_websocket_accept */
    uint64_t websockets_refused;          /* answered 400, 403 or 426 by it */
    uint64_t websocket_messages_received; /* whole messages */
    uint64_t websocket_messages_sent;     /* that were queued, to each socket */
    uint64_t websocket_bytes_received;    /* of messages, inflated */
    uint64_t websocket_bytes_sent;        /* of messages, before they are compressed */
    uint64_t websocket_bytes_saved;       /* of these, by compression */
    /* Sockets, by the code that their `close` was told: 1000 to 1014; the last: others. */
    uint64_t websockets_closed[16];
} carom_stats;

/* Statistics that carom_service_stats can fill, as an initializer. */
#ifdef __cplusplus
#define CAROM_STATS_INIT carom_stats_init()
/* Statistics that carom_service_stats can fill. Any thread. */
static inline carom_stats carom_stats_init()
{
    carom_stats stats = carom_stats();
    stats.size = sizeof stats;
    return stats;
}
#else
#define CAROM_STATS_INIT                                                                           \
    {                                                                                              \
        .size = sizeof(carom_stats)                                                                \
    }
#endif

/* Change max_connections, max_connection_requests, header_timeout, first_byte_timeout, keep_alive,
 * keep_alive_grace: those that are not 0; and switch half_close on, if it is true. Time-outs that
 * run keep their time. For one worker, on the thread that gives it turns. Errors: EINVAL (size),
 * ESTATE (more workers, or carom_run). */
CAROM_API int carom_service_adjust(carom_service *service, const carom_options *options);

/* Read the statistics; what the library that runs does not count is 0. Any thread; each number is
 * exact, together they are of about one moment. Errors: EINVAL (stats->size is not set). */
CAROM_API int carom_service_stats(const carom_service *service, carom_stats *stats);

/* The backend that a service runs on, "epoll" or "uring": what options.backend asked for, or what
 * there was instead. Static text. Any thread. */
CAROM_API const char *carom_service_backend(const carom_service *service);

/* ------------------------------------------------------------------ record: the request */

/* The method, case kept ("GET"). Valid until release. RFC 9110, 9. */
CAROM_API carom_slice carom_request_method(const carom_record *record);
/* The request target as sent; of HTTP/2, :path, or the :authority of a CONNECT. Valid until
 * release. RFC 9112, 3.2; RFC 9113, 8.3.1. */
CAROM_API carom_slice carom_request_target(const carom_record *record);
/* 10 for HTTP/1.0, 11 for HTTP/1.1, 20 for HTTP/2. RFC 9110, 2.5. */
CAROM_API int carom_request_version(const carom_record *record);
/* What the client would speak when carom_upgrade agrees: the Upgrade field (with 101: RFC
 * 9110, 7.8) or :protocol of an extended CONNECT over HTTP/2 (with 200: RFC 8441). data is NULL
 * when it asks for nothing, or for a plain tunnel (CONNECT). Valid until release. */
CAROM_API carom_slice carom_request_protocol(const carom_record *record);
/* How many field lines there are, and field line `index` in the order received (index < count, or
 * the program ends). Of HTTP/2, :authority is Host, the first, and Cookie is one line (RFC
 * 9113, 8.2.3). Valid until release. RFC 9110, 5. */
CAROM_API size_t carom_request_field_count(const carom_record *record);
/* Field line `index` in the order received; index < count is asserted. Valid until release. */
CAROM_API carom_field carom_request_field_at(const carom_record *record, size_t index);
/* The first value of field `name`, compared without regard to case; data is NULL when absent. */
CAROM_API carom_slice carom_request_field(const carom_record *record, const char *name);
/* The next value of a repeated field: start with *cursor = 0. data is NULL after the last. */
CAROM_API carom_slice carom_request_field_next(const carom_record *record, const char *name,
                                               size_t *cursor);
/* The same three for the trailer section (RFC 9110, 6.5); empty until the content has ended. */
CAROM_API size_t carom_request_trailer_count(const carom_record *record);
/* Trailer line `index` in the order received; index < count is asserted. Valid until release. */
CAROM_API carom_field carom_request_trailer_at(const carom_record *record, size_t index);
/* The Content-Length; 0 without content; -1 when only the end will tell (chunked, tunnel). */
CAROM_API int64_t carom_request_content_length(const carom_record *record);
/* The peer's address. */
CAROM_API void carom_record_peer(const carom_record *record, carom_address *address);
/* The local address of the connection. */
CAROM_API void carom_record_local(const carom_record *record, carom_address *address);
/* What is known of the TLS connection of a record; empty slices where there is nothing to say. */
typedef struct carom_tls_info {
    carom_slice version;     /* "TLSv1.3" */
    carom_slice cipher;      /* "TLS_AES_256_GCM_SHA384" (IANA) */
    carom_slice protocol;    /* ALPN */
    carom_slice server_name; /* that the client has named */
    bool resumed;            /* from a ticket */
    bool client_certificate; /* it has a certificate, and we trust it */
    uint64_t reserved[4];    /* the library's */
} carom_tls_info;

/* The TLS below a record. Valid until release. Errors: ENOENT (none: plain). */
CAROM_API int carom_record_tls(const carom_record *record, carom_tls_info *info);
/* The client's certificate (X.509, DER). Valid until release. Errors: ENOENT (none). */
CAROM_API int carom_record_tls_certificate(const carom_record *record, carom_slice *der);

/* The handler's own memory: options.record_state bytes, zeroed before the handler is called; NULL
 * when that is 0. It lives until release. */
CAROM_API void *carom_record_state(carom_record *record);

/* The program's own memory with the connection of a record, the same for all its records:
 * options.connection_state bytes, zeroed when it is first asked for; NULL when that is 0. It lives
 * until the connection has ended and all its records are released; then on_connection_end is
 * told, if it was ever asked for. */
CAROM_API void *carom_connection_state(const carom_record *record);
/* The socket of a record's connection, to ask the kernel of it by getsockopt (SO_PEERCRED,
 * TCP_INFO): it stays the library's, and must not be read, written, watched or closed. Of HTTP/2
 * all streams have the same one. Errors: ENOENT (it has closed). */
CAROM_API int carom_connection_descriptor(const carom_record *record);

/* Let the response head take `milliseconds` from now, in the place of options.handler_timeout;
 * CAROM_OFF: as long as it likes. Errors: ECANCELED, ESTATE (it has begun). */
CAROM_API int carom_set_handler_timeout(carom_record *record, uint32_t milliseconds);
/* The least rate of content that is waited for, in bytes a second over options.content_window, in
 * the place of options.content_rate; CAROM_OFF: as slow as it likes, 0: that of the options. */
CAROM_API void carom_set_content_rate(carom_record *record, uint32_t rate);

/* Take the next piece of content in *bytes: valid until the next read or the release. Returns 1, or
 * 0 at the end. Errors: EAGAIN (wait for CAROM_READABLE), ECANCELED. The socket is read only while
 * somebody waits, so a slow reader slows the sender down. The first call sends 100 Continue when
 * the client expects it (RFC 9110, 10.1.1). After carom_upgrade it reads the raw stream. */
CAROM_API int carom_request_read(carom_record *record, carom_slice *bytes);

/* Gather the whole content, then fire `waker`: with 0, after which carom_request_read gives it
 * without waiting; with -CAROM_ETOOBIG when it is over `limit`; with -CAROM_ECANCELED. Holds the
 * place of CAROM_READABLE. Errors: ESTATE (somebody waits). */
CAROM_API int carom_request_collect(carom_record *record, uint64_t limit, carom_waker *waker);
/* How much content lies ready for carom_request_read: after collect, all of it. */
CAROM_API uint64_t carom_request_buffered(const carom_record *record);

/* ------------------------------------------------------------------ record: the response */

/* Gives borrowed bytes back, on the worker's thread, once, when they are sent or dropped. */
typedef void carom_give_back(void *owner);

/* Content to send. With give_back NULL the bytes are copied before the call returns; otherwise they
 * are borrowed, must not change, and are given back later (also when the call fails, before it
 * returns). For bytes that live for ever use carom_static_content. */
typedef struct carom_content {
    const void *data;           /* NULL only when there is no length */
    size_t length;              /* in bytes */
    carom_give_back *give_back; /* NULL: copy them */
    void *owner;                /* for give_back */
} carom_content;

/* A give_back that does nothing: the bytes outlive the service. */
CAROM_API void carom_static_content(void *owner);

/* A length that is not known. */
#define CAROM_LENGTH_UNKNOWN UINT64_MAX

/* A response head, and for carom_respond its whole content. */
typedef struct carom_response {
    uint16_t status;           /* 200 to 999; 102 to 199 for inform; 101 or 2xx for upgrade */
    const carom_field *fields; /* copied before the call returns */
    size_t field_count;        /* 0: none */
    carom_content content;     /* carom_respond; none for calls that send a head alone: EINVAL */
    uint64_t content_length;   /* carom_respond_begin: the length; 0, or CAROM_LENGTH_UNKNOWN: it is
                                  not known. carom_respond: 0, or that of the content: ELENGTH */
    carom_slice phrase;        /* of HTTP/1, copied; empty: that of the status (RFC 9112, 4) */
    uint64_t reserved[2];      /* zero, or EINVAL: a later version may have a meaning for it */
} carom_response;

/* Answer, whole. Date and Content-Length are added (unless Date is set); HEAD, 204 and 304 get no
 * content whatever is given (RFC 9112, 6.3); for HEAD and 304 a Content-Length field may be set.
 * Connection: close is obeyed. Errors: ECANCELED, ESTATE (answered before), EFIELD (CR, LF, NUL, a
 * bad name, a phrase with these, or framing fields that are the engine's), EINVAL (status),
 * ELENGTH, ETOOBIG (options.max_response_head), ENOMEM. A call that failed with EFIELD, EINVAL,
 * ELENGTH or ETOOBIG has sent nothing: answer again. */
CAROM_API int carom_respond(carom_record *record, const carom_response *response);

/* Content that lies in a file: `length` bytes from `offset`, or CAROM_LENGTH_UNKNOWN for all from
 * there to the end. With give_back NULL the library takes the descriptor over and closes it, which
 * suits a file that was opened for this answer; otherwise the descriptor is borrowed, must stay
 * open, and is given back: for one that is kept open for many answers. Its position is neither used
 * nor changed, so one descriptor may serve several answers at once. */
typedef struct carom_file {
    int descriptor;             /* of a regular file, open for reading */
    uint64_t offset;            /* of the first byte */
    uint64_t length;            /* in bytes, or CAROM_LENGTH_UNKNOWN */
    carom_give_back *give_back; /* NULL: the descriptor is closed */
    void *owner;                /* for give_back */
    uint64_t reserved[2];       /* zero, or EINVAL */
} carom_file;

/* Answer, whole, with content from a file; response->content is not looked at. Otherwise like
 * carom_respond, and with its errors, but EFILE (a directory, a pipe, ...), ENOENT (no descriptor)
 * and ELENGTH (the file ends before offset + length) also have sent nothing. The descriptor is
 * closed or given back once, whatever happens: when the content is sent or dropped, or before a
 * call that fails returns, or one that has no content to send (HEAD, 204, 304).
 *
 * The bytes go from the file to the socket in the kernel, on the worker's thread: a file that is
 * not in the page cache holds the worker up while it is read. It must not change meanwhile; when it
 * is cut short before all is sent, or cannot be read, the connection is reset and the record ends
 * with CAROM_REASON_FILE_FAILED. */
CAROM_API int carom_respond_file(carom_record *record, const carom_response *response,
                                 const carom_file *file);

/* Answer with a redirect to the same URI with https and `port` (RFC 9110, 15.4.9): for the handler
 * of a plain listener. The host is that of the target where it has one, or of the Host field;
 * without either it is a 400. Release follows, as after carom_respond, whose errors it has. */
CAROM_API int carom_redirect_to_https(carom_record *record, uint16_t port);

/* A field for responses over TLS: for a year the host shall be asked by https only (RFC 6797). */
#define CAROM_STRICT_TRANSPORT_SECURITY                                                            \
    {                                                                                              \
        CAROM_SLICE("Strict-Transport-Security"), CAROM_SLICE("max-age=31536000")                  \
    }

/* Answer with a head now and content by carom_write and carom_end. An unknown length is chunked, or
 * ends with the connection for HTTP/1.0. What is written for HEAD, 204 and 304 is dropped, so they
 * need no path of their own. Errors as carom_respond. */
CAROM_API int carom_respond_begin(carom_record *record, const carom_response *response);

/* Add content: all of it, however long, while less than options.write_buffer is unsent; otherwise
 * nothing, and -CAROM_EAGAIN: wait for CAROM_WRITABLE and call again. Borrowed bytes are given back
 * then, too, so whoever frees them there has none to call again with: keep them until it is 0, or
 * let them be copied. What is written in one turn leaves in one system call. Errors: EAGAIN,
 * ECANCELED, ESTATE (no head, or ended), ELENGTH (more than was said), ENOMEM. */
CAROM_API int carom_write(carom_record *record, const carom_content *content);

/* End the response, with a trailer section (dropped where the framing has no room for it). Errors:
 * ECANCELED, ESTATE, EFIELD, ELENGTH (less than was said), ETOOBIG (options.max_response_head).
 * After EFIELD, ELENGTH or ETOOBIG the response is still open: write the rest, end with other or
 * fewer trailers, or cancel. */
CAROM_API int carom_end(carom_record *record, const carom_field *trailers, size_t trailer_count);

/* Send an informational response (RFC 9110, 15.2), such as 103 Early Hints, before the final one;
 * dropped for HTTP/1.0. Errors: ECANCELED, ESTATE, EFIELD, EINVAL (status; 101 and 100 are not for
 * here). */
CAROM_API int carom_inform(carom_record *record, const carom_response *response);

/* Begin a response that is written as bytes, its head included: what carom_write is given goes to
 * the client as it is, and the connection ends behind carom_end. Nothing looks at these bytes, so
 * never write there what a client could have made up. Errors: ECANCELED, ESTATE, EUNSUPPORTED
 * (HTTP/2). */
CAROM_API int carom_respond_raw(carom_record *record);

/* Take over the connection as a raw stream: status 101 for a request with Upgrade (RFC 9110, 7.8;
 * set the Upgrade field; Connection is added), or 2xx for CONNECT (RFC 9110, 9.3.6). Then
 * carom_request_read, carom_write and carom_end work on raw bytes both ways. Errors as
 * carom_respond; ESTATE when the request did not ask for it or its content has not ended. A CONNECT
 * that is answered by carom_respond instead ends the connection (RFC 9931). */
CAROM_API int carom_upgrade(carom_record *record, const carom_response *response);

/* Cancel: the client sees a reset, or a truncated response. Nothing to do when it is over already.
 */
CAROM_API void carom_cancel(carom_record *record);

/* Let go of the record: the last call on it. Its wakers are disarmed. An unanswered record becomes
 * a 500, or a 405 to a CONNECT (RFC 9110, 9.3.6); an unended one a reset. */
CAROM_API void carom_release(carom_record *record);

/* A record to come back to: a pointer that outlives it, and a number. It may be copied, stored and
 * handed to other threads. All zeros is a reference to nothing. */
typedef struct carom_ref {
    struct carom_life *life; /* the library's: do not look at it */
    uint64_t generation;     /* the same */
} carom_ref;

/* A reference to the record, for what is kept across time, threads or queues: unlike the pointer,
 * it can be asked whether the record is still yours. To nothing, if the record is NULL or was
 * released.
 */
CAROM_API carom_ref carom_record_ref(carom_record *record);
/* The record, or NULL: it was released. A client that has left does not make it NULL: the record is
 * to be released all the same. On the record's worker thread, until the service is destroyed. */
CAROM_API carom_record *carom_record_get(carom_ref ref);

/* How a record stands; the byte counts are of content. */
typedef struct carom_outcome {
    carom_reason reason;       /* CAROM_REASON_NONE while it runs */
    uint64_t content_received; /* by the library */
    uint64_t content_sent;     /* handed to the kernel */
} carom_outcome;

/* How the record stands or ended. */
CAROM_API carom_outcome carom_record_outcome(const carom_record *record);

/* How far the response of a record is that its handler holds. */
typedef enum carom_progress {
    CAROM_PROGRESS_UNANSWERED, /* no final head yet */
    CAROM_PROGRESS_BEGUN,      /* content is to come */
    CAROM_PROGRESS_ANSWERED,   /* all is given: what is missing is carom_release */
    CAROM_PROGRESS_CANCELLED   /* the exchange is over: the same */
} carom_progress;

/* The lower-case name ("unanswered") of how far a response is; never NULL. Static memory. Any
 * thread. */
CAROM_API const char *carom_progress_name(carom_progress progress);

/* A record that a handler holds. Valid until the callback returns; a later version may add to its
 * end. */
typedef struct carom_record_info {
    carom_slice method;        /* as carom_request_method */
    carom_slice target;        /* as carom_request_target */
    carom_progress progress;   /* how far its response is */
    uint64_t age;              /* milliseconds since the handler was given it */
    uint64_t content_received; /* bytes of content */
    uint64_t content_sent;     /* the same, handed to the kernel */
    carom_ref ref;             /* to come back to it */
} carom_record_info;

/* Sees one record, on its worker's thread; `data` is the caller's. It may answer or release this
 * record. */
typedef void carom_see_record(void *data, const carom_record_info *info);

/* See each record that handlers hold on worker `worker` (below options.workers), in no order, and
 * return how many; `see` may be NULL. On that worker's thread: carom_post_worker leads there.
 * Allocates nothing. 0 when there is no such worker. */
CAROM_API size_t carom_service_records(const carom_service *service, uint32_t worker,
                                       carom_see_record *see, void *data);

/* ------------------------------------------------------------------ waiting */

/* Whether a shutdown has begun, so that nothing should go on for long. Its worker's thread. */
CAROM_API bool carom_record_draining(const carom_record *record);

/* Fire `waker` at `edge`, with 0; in the next pass when it is true already. When the exchange ends
 * first, READABLE, WRITABLE and DRAINING fire with -CAROM_ECANCELED, in no order with CANCELLED, so
 * let one of them release; CANCELLED does not fire for a record that ended well. What waits at the
 * same time has a waker each. Errors: ESTATE (somebody waits on this edge). Never allocates. */
CAROM_API int carom_wait(carom_record *record, carom_edge edge, carom_waker *waker);
/* Fire `waker` after `milliseconds`, never early; with -CAROM_ECANCELED at once when the exchange
 * is cancelled first. One such wait per record. Errors: ESTATE. */
CAROM_API int carom_wait_time(carom_record *record, uint32_t milliseconds, carom_waker *waker);
/* Stop waiting: a waker that waits on `record` is disarmed; otherwise nothing happens. Not for a
 * waker given to carom_post. */
CAROM_API void carom_unwait(carom_record *record, carom_waker *waker);
/* Fire `waker` on the record's worker thread: how a thread pool comes back to answer. Any thread.
 * The caller's side keeps the record until the waker has fired. Never allocates. Errors: EINVAL (no
 * record, or no function), ESTATE (it is posted or waits already, or the record was released): it
 * will not be fired for this call. */
CAROM_API int carom_post(carom_record *record, carom_waker *waker);

/* ------------------------------------------------------------------ workers */

/* Which of the service's workers it is, from 0. Any thread. */
CAROM_API uint32_t carom_worker_index(const carom_worker *worker);
/* The worker of that index; NULL behind the last one. Any thread. */
CAROM_API carom_worker *carom_service_worker(carom_service *service, uint32_t index);
/* The worker of a record. Any thread that keeps the record. */
CAROM_API carom_worker *carom_record_worker(const carom_record *record);
/* Give a worker data of the program's, such as its pool of connections: carom_on_start is the place
 * for it. Its thread. */
CAROM_API void carom_worker_set_data(carom_worker *worker, void *data);
/* What carom_worker_set_data has given, or NULL. Its thread. */
CAROM_API void *carom_worker_data(const carom_worker *worker);

/* Fire `waker` on a worker's thread. Any thread, before the service runs, too. What one thread
 * posts to one worker, by this call or by carom_post, fires in the order in which it was posted; of
 * several threads, in the order in which the calls took effect. The waker is the worker's until it
 * has fired. When the worker stops first it fires with -CAROM_ECANCELED, before carom_on_stop; in a
 * service that never runs it does not. Never allocates. Errors: EINVAL (no function), ESTATE (it
 * waits or was posted and has not fired, or the worker has stopped): it will not fire for this
 * call. */
CAROM_API int carom_post_worker(carom_worker *worker, carom_waker *waker);
/* Fire `waker` on the worker after `milliseconds`, never early; with -CAROM_ECANCELED when the
 * worker stops first, which it does without waiting for it. As many at a time as you like, each
 * with a waker of its own. Its thread. Never allocates. Errors: ESTATE (the waker waits already, or
 * the worker has stopped). */
CAROM_API int carom_wait_time_worker(carom_worker *worker, uint32_t milliseconds,
                                     carom_waker *waker);
/* Disarm a waker of carom_wait_time_worker; nothing happens when it does not wait. Its thread. */
CAROM_API void carom_unwait_worker(carom_worker *worker, carom_waker *waker);

/* ------------------------------------------------------------------ descriptors of the program */

typedef struct carom_io carom_io;

/* Called on the worker's thread, never inside another call of this library, while the descriptor is
 * ready: for `events`, CAROM_WATCH_READABLE and CAROM_WATCH_WRITABLE, of those that are watched
 * for; what has failed or was hung up is ready for all. Or, the last time, with -CAROM_ECANCELED:
 * the exchange of its record is over, or its worker stops. It may watch again, unwatch any, close
 * descriptors, and answer or release records. */
typedef void carom_io_ready(carom_io *io, int events);

/* A descriptor of the program's that is watched, embedded by its owner in a struct of its own. Set
 * `ready` and zero the rest; do not touch, move or free it while it is watched. */
struct carom_io {
    carom_io_ready *ready; /* what is called */
    uint64_t reserved[17]; /* the library's: zero before it is first watched */
};

/* What a descriptor is watched for: one of the first two, or both. */
enum {
    CAROM_WATCH_READABLE = 1, /* there is something to read, or its end */
    CAROM_WATCH_WRITABLE = 2, /* there is room to write, or nobody who reads */
    CAROM_WATCH_ONCE = 4 /* it is unwatched before `ready` is called; otherwise carom_unwatch ends
                            it, or the end of its record or worker */
};

/* Watch a descriptor that the program opened, such as the socket of a database, on the worker of a
 * record: `io->ready` is called for as long as it is ready (level-triggered). It should not block.
 * It ends with the record: when the exchange is over, after which it fires with -CAROM_ECANCELED
 * once; and by carom_release, after which it does not. Called again for what is watched it changes
 * what for, and nothing else.
 *
 * The descriptor stays the program's: unwatch it before you close it. One that was closed while it
 * was watched is not told of any more, even when its number is another's by then; carom_unwatch is
 * allowed and changes nothing. (Where a child process has inherited it, the kernel goes on
 * telling.) Allocates only for more descriptors at once than ever before. Errors: EINVAL (events,
 * no function), ENOENT (no descriptor), EUNSUPPORTED (a regular file, which is ready always),
 * ESTATE (its number is watched by another carom_io; `io` is watched for another descriptor, record
 * or worker), EMFILE, ENOMEM. */
CAROM_API int carom_watch(carom_record *record, carom_io *io, int descriptor, unsigned events);
/* The same, joined to the worker alone: it ends with it. Its thread. Errors: as carom_watch; ESTATE
 * when the worker has stopped. */
CAROM_API int carom_watch_worker(carom_worker *worker, carom_io *io, int descriptor,
                                 unsigned events);
/* Watch it no more: it does not fire, and may be freed. Nothing happens when it is not watched. The
 * worker's thread. */
CAROM_API void carom_unwatch(carom_io *io);

#ifdef __cplusplus
}
#endif

#include "carom_websocket.h"

#endif
