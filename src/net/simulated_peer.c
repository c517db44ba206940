/* The peers at the far ends of simulated connections: a test tells them what to do, and asks what
 * they have received. */
#include "net/loop_simulated.h"

#include <string.h>

#include "base/memory.h"

bool carom_simulated_append(struct carom_simulated_bytes *bytes, const void *data, size_t length)
{
    if (length == 0)
        return true;
    if (length > bytes->size - bytes->used) {
        size_t size = 2 * (bytes->used + length);
        char *grown = carom_memory_take(size);
        if (grown == NULL)
            return false;
        if (bytes->used > 0)
            memcpy(grown, bytes->data, bytes->used);
        carom_memory_give(bytes->data, bytes->size);
        bytes->data = grown;
        bytes->size = size;
    }
    memcpy(bytes->data + bytes->used, data, length);
    bytes->used += length;
    return true;
}

/* Room for one more peer in the two tables, which lie side by side; what a wait has found is kept.
 * False when out of memory. */
static bool grow(struct carom_simulated *self)
{
    if (self->peer_count < self->peer_size)
        return true;
    size_t size = 2 * self->peer_size + 16;
    struct carom_peer **peers = carom_memory_take(2 * size * sizeof *peers);
    if (peers == NULL)
        return false;
    if (self->peer_count > 0)
        memcpy(peers, self->peers, self->peer_count * sizeof *peers);
    if (self->found_count > 0)
        memcpy(peers + size, self->found, self->found_count * sizeof *peers);
    carom_memory_give(self->peers, 2 * self->peer_size * sizeof *peers);
    self->peers = peers;
    self->found = peers + size;
    self->peer_size = size;
    return true;
}

struct carom_peer *carom_simulated_connect(struct carom_loop *loop)
{
    struct carom_simulated *self = (struct carom_simulated *)loop;
    struct carom_peer *peer = grow(self) ? carom_memory_take_zeroed(sizeof *peer) : NULL;
    if (peer == NULL)
        return NULL;
    peer->piece = peer->window = SIZE_MAX;
    peer->fd = CAROM_SIMULATED_FIRST_FD + (int)self->peer_count;
    self->peers[self->peer_count++] = peer;
    return peer;
}

void carom_peer_send(struct carom_peer *peer, const void *data, size_t length)
{
    carom_assert(!peer->fin_sent);
    if (length == 0 || peer->reset)
        return;
    if (peer->saw_close)
        peer->saw_reset = true;
    else if (!carom_simulated_append(&peer->sent, data, length))
        peer->failed = true;
}

void carom_peer_set_piece(struct carom_peer *peer, size_t piece)
{
    carom_assert(piece > 0);
    peer->piece = piece;
}

void carom_peer_set_window(struct carom_peer *peer, size_t window)
{
    peer->window = window;
}

void carom_peer_shutdown(struct carom_peer *peer)
{
    peer->fin_sent = true;
}

void carom_peer_reset(struct carom_peer *peer)
{
    peer->reset = true;
}

const char *carom_peer_received(const struct carom_peer *peer, size_t *length)
{
    *length = peer->received.used;
    return peer->received.data != NULL ? peer->received.data : "";
}

void carom_peer_forget(struct carom_peer *peer)
{
    peer->received.used = 0;
}

bool carom_peer_saw_fin(const struct carom_peer *peer)
{
    return peer->saw_fin;
}

bool carom_peer_saw_reset(const struct carom_peer *peer)
{
    return peer->saw_reset;
}

bool carom_peer_saw_close(const struct carom_peer *peer)
{
    return peer->saw_close;
}

bool carom_peer_accepted(const struct carom_peer *peer)
{
    return peer->socket != NULL || peer->saw_close;
}

bool carom_peer_failed(const struct carom_peer *peer)
{
    return peer->failed;
}

size_t carom_peer_unread(const struct carom_peer *peer)
{
    return peer->sent.used - peer->sent.taken;
}
