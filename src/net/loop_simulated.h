/* The simulated backend: connections, clock and accepts are made by a test, in one thread, and the
 * engine above cannot tell. Descriptors are numbers of simulated peers. */
#ifndef CAROM_NET_LOOP_SIMULATED_H
#define CAROM_NET_LOOP_SIMULATED_H

#include "net/simulated.h"

/* Clock starts at 1,000 ms; time moves only by carom_simulated_advance. */
int carom_loop_simulated_create(struct carom_loop **loop, struct carom_arena *arena);

/* Connect: the first acceptor that accepts, now or later, will get it. The peer is freed with the
 * loop. NULL: out of memory. */
struct carom_peer *carom_simulated_connect(struct carom_loop *loop);
/* Bytes towards the engine; they are received in pieces of at most the peer's `piece` (default:
 * all). When there is no memory for them, or for what the engine sends, the connection fails. */
void carom_peer_send(struct carom_peer *peer, const void *data, size_t length);
void carom_peer_set_piece(struct carom_peer *peer, size_t piece);
/* How many more bytes the peer takes before the engine's sends are pending (default: no limit). */
void carom_peer_set_window(struct carom_peer *peer, size_t window);
void carom_peer_shutdown(struct carom_peer *peer); /* FIN, after what was sent */
void carom_peer_reset(struct carom_peer *peer);    /* RST, at once */
/* What the engine has sent so far, since it was last forgotten; and how its side stands. */
const char *carom_peer_received(const struct carom_peer *peer, size_t *length);
void carom_peer_forget(struct carom_peer *peer);
bool carom_peer_saw_fin(const struct carom_peer *peer);
/* RST, which the engine asked for, or caused as with TCP: by closing while bytes were unread, or
 * before more came. */
bool carom_peer_saw_reset(const struct carom_peer *peer);
bool carom_peer_saw_close(const struct carom_peer *peer); /* closed whole, either way */
/* The engine has accepted it. */
bool carom_peer_accepted(const struct carom_peer *peer);
/* The connection failed for want of buffers or memory. */
bool carom_peer_failed(const struct carom_peer *peer);
/* Bytes sent by the peer that the engine has not taken. */
size_t carom_peer_unread(const struct carom_peer *peer);

/* What descriptor CAROM_SIMULATED_WATCHED_FD + `index` of the program is ready for, from now on
 * (CAROM_WATCH_READABLE, CAROM_WATCH_WRITABLE). */
void carom_simulated_set_ready(struct carom_loop *loop, unsigned index, unsigned events);
/* Whether somebody watches it, and for what. */
unsigned carom_simulated_watched(struct carom_loop *loop, unsigned index);

void carom_simulated_advance(struct carom_loop *loop, uint64_t milliseconds);
/* Whether a wait(0) and deliver would do anything. */
bool carom_simulated_busy(struct carom_loop *loop);
/* Whether the descriptor is readable: busy, or the alarm has come. */
bool carom_simulated_readable(struct carom_loop *loop);
void carom_simulated_set_whims(struct carom_loop *loop, const struct carom_simulated_whims *whims);
/* Let `idle` be called in each wait: once, and again while the wait would sleep. It is what happens
 * in the world meanwhile: it must move the clock, or make something ready, in the end. */
void carom_simulated_set_idle(struct carom_loop *loop, void (*idle)(void *data), void *data);

#endif
