/* Keys of session tickets (RFC 5077; RFC 8446, 4.6.1): the first makes new tickets, all open old
 * ones. The program gives them, and may share them between processes; or they are random, and
 * changed from time to time. Any thread. */
#ifndef CAROM_TLS_TICKETS_H
#define CAROM_TLS_TICKETS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <time.h>

#include "carom.h"

#define CAROM_TLS_MOST_KEYS 8

struct carom_tls_tickets {
    pthread_mutex_t lock;
    uint8_t keys[CAROM_TLS_MOST_KEYS][CAROM_TLS_TICKET_KEY];
    size_t count;
    bool own;          /* random, and changed by us */
    time_t born;       /* of the first, when they are our own */
    uint32_t lifetime; /* of tickets, s */
};

/* `keys` empty: random ones. 0, -CAROM_EINVAL, or -CAROM_ESYSTEM (no random bytes). */
int carom_tls_tickets_init(struct carom_tls_tickets *tickets, carom_slice keys, uint32_t lifetime);
void carom_tls_tickets_finish(struct carom_tls_tickets *tickets);
/* Whether these bytes can be the keys: whole ones, and not too many. */
bool carom_tls_tickets_valid(carom_slice keys);
/* 0 or -CAROM_EINVAL. */
int carom_tls_tickets_replace(struct carom_tls_tickets *tickets, carom_slice keys);
/* Tickets live so long from now on, s. */
void carom_tls_tickets_set_lifetime(struct carom_tls_tickets *tickets, uint32_t lifetime);
/* Let a context use the keys, which must outlive it. */
void carom_tls_tickets_attach(struct carom_tls_tickets *tickets, SSL_CTX *context);

#endif
