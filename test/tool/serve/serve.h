/* The server that the system tests talk to: what its files share. It uses the public API only. */
#ifndef CAROM_TEST_SERVE_H
#define CAROM_TEST_SERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "carom.h"
#include "carom_websocket.h"

/* The content of /stream is this pattern from its first byte on: byte `o` is 'a' + o % 26. */
#define PATTERN_PERIOD 26
#define PIECE_MAX      (64 * 1024)
extern char pattern[PIECE_MAX + PATTERN_PERIOD];

/* One exchange: lies in the record's own memory, so that no route allocates. */
struct exchange {
    carom_record *record;
    carom_waker waker;            /* the step that the exchange waits for */
    carom_waker cancelled;        /* CAROM_CANCELLED, by /hold and /later */
    struct exchange *next, *last; /* among the held ones, or in the queue of the threads */
    carom_slice pending;          /* read and not yet written */
    uint64_t offset, left, piece; /* of a stream */
    uint64_t sum;                 /* of an upload */
    uint32_t milliseconds;
    bool begun, copy, linked, wait_ended, no_content, tunnel;
};

/* What the routes need to know of the process. */
struct server {
    carom_service *service;
    uint32_t deadline;   /* of a shutdown by signal or by /shutdown */
    atomic_uint refused; /* calls that failed with an error that no route expects */
    int pattern_file;    /* `pattern` in a file */
};
extern struct server server;

/* The waker's exchange. */
#define EXCHANGE_OF(pointer, member)                                                               \
    ((struct exchange *)(void *)((char *)(pointer)-offsetof(struct exchange, member)))

/* A number of the query of the request target ("/stream?pieces=3"), or `otherwise`. */
uint64_t query_number(const carom_record *record, const char *name, uint64_t otherwise);

/* Answer with a status and bytes that live for ever, and release. */
void answer_static(struct exchange *exchange, uint16_t status, const char *data, size_t length);
/* Answer with a copy of a text, and release. */
void answer_text(struct exchange *exchange, uint16_t status, const char *text);
/* A result that ends the exchange is 0 or "it is over"; anything else is counted in `refused`. */
void note_result(int result);
/* Let the exchange wait for an edge. */
void wait_edge(struct exchange *exchange, carom_edge edge, carom_wake *wake);

/* routes.c: the service's handler; data is not used. */
void serve_handler(carom_record *record, void *data);

/* streams.c */
void route_stream(struct exchange *exchange);
void route_echo(struct exchange *exchange);
void route_count(struct exchange *exchange);
void route_collect(struct exchange *exchange);
void route_tunnel(struct exchange *exchange);

/* sockets.c */
void route_sockets(struct exchange *exchange);
void route_room(struct exchange *exchange);
void route_last(struct exchange *exchange);

/* tls.c */
bool tls_option(const char *name, const char *value);
int tls_listen(const char *address);
void route_tls(struct exchange *exchange);
void route_reload(struct exchange *exchange);
void route_redirect(struct exchange *exchange);

/* threads.c: a fixed pool of threads, and the exchanges that are held. */
int threads_start(unsigned count);
void threads_stop(void);
void route_thread(struct exchange *exchange);
void route_hold(struct exchange *exchange);
void route_release(struct exchange *exchange);

/* allocations.c: how often the process has asked for memory; -1 in builds with a sanitizer, which
 * has an allocator of its own. */
int64_t allocations_count(void);
/* "plain", "address" or "thread". */
const char *allocations_build(void);

/* Write the statistics as one line of JSON; returns its length. */
#define STATS_TEXT 3072
int stats_text(char *text, size_t room);

#endif
