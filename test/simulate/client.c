/* What clients do: send their requests in pieces, read fast or slowly or not at all, leave. */
#include <stdlib.h>
#include <string.h>

#include "simulate/world.h"

void client_connect(void)
{
    struct random *random = &world->random;
    if (world->client_count == world->clients_most)
        return;
    struct carom_peer *peer = carom_simulated_connect(world->loop);
    if (peer == NULL)
        return;
    struct client *client = &world->clients[world->client_count];
    char *out = client->out;
    size_t out_size = client->out_size;
    *client = (struct client){.peer = peer, .number = world->client_count++};
    client->out = out;
    client->out_size = out_size;
    client->manner = random_chance(random, 55) ? POLITE : (uint8_t)random_below(random, MANNERS);
    client->pieces = (uint8_t)random_below(random, 3);
    client->depth = random_chance(random, 40) ? 1 : random_between(random, 2, 8);
    client->requests = random_below(random, CLIENT_EXCHANGES + 1);
    client->window = random_chance(random, 25) ? random_between(random, 1, 5000) : 0;
    client->leaving = random_size(random, random_chance(random, 50) ? 1000 : 20000);
    client->finishes = random_chance(random, 50);
    client->rude = random_chance(random, 20);
    bool speaks_h2 = world->mixed && random_chance(random, 70);
    if ((speaks_h2 || world->secure) && random_chance(random, 15))
        client->manner = MUTATES;
    client->mute = world->secure && random_chance(random, 3);
    if (client->window > 0)
        carom_peer_set_window(peer, client->window);
    if (speaks_h2)
        client_h2_open(client);
    line_open(client);
    LOG("client %d connects: manner %u, %u requests, %u at a time%s%s", client->number,
        client->manner, client->requests, client->depth, speaks_h2 ? ", HTTP/2" : "",
        client->mute ? ", mute" : "");
}

/* ---------------------------------------------------------------- leaving */

static void reset(struct client *client)
{
    LOG("client %d resets", client->number);
    client->reset = true;
    carom_peer_reset(client->peer);
}

static void finish(struct client *client)
{
    if (client->finished)
        return;
    LOG("client %d sends FIN", client->number);
    line_finish(client);
    client->finished = true;
}

void client_give_up(struct client *client)
{
    if (client->finished || random_chance(&world->random, 50))
        reset(client);
    else
        finish(client);
}

/* ---------------------------------------------------------------- sending */

/* How far the client may send for now. */
static size_t gate(const struct client *client)
{
    if (((client->closing || client->refused) && !client->rude) || !line_is_open(client))
        return client->sent;
    for (int i = client->answered; i < client->count; i++) {
        const struct exchange *exchange = client->exchanges[i];
        if (exchange->expects && exchange->patient && !exchange->continued)
            return exchange->head_end;
        if ((exchange->is_connect || exchange->upgrades) && !exchange->final)
            return exchange->to;
    }
    return client->out_used;
}

static bool may_plan(const struct client *client)
{
    if (client->requests == 0 || (client->closing && !client->rude) || client->refused)
        return false;
    if (client->count - client->answered >= (int)client->depth)
        return false;
    if (client->count == 0)
        return true;
    const struct exchange *last = client->exchanges[client->count - 1];
    bool takes_over = last->is_connect || last->upgrades;
    bool closes = last->closes || (last->old && !last->keeps);
    if (takes_over && (!last->answered || last->upgraded))
        return false;
    return !closes || client->rude;
}

/* From now on anything may be answered. */
static void mutate(struct client *client, size_t length)
{
    client->mutated = true;
    LOG("client %d changes a byte", client->number);
    if (client->line == NULL) /* there the wire's byte is changed */
        client->out[client->sent + random_below(&world->random, (uint32_t)length)] ^=
            (char)(1 << random_below(&world->random, 8));
}

void client_send_piece(struct client *client, size_t most)
{
    struct random *random = &world->random;
    size_t length = most - client->sent;
    if (client->pieces == 1)
        length = 1 + random_below(random, (uint32_t)length);
    else if (client->pieces == 2 && length > 1)
        length = random_between(random, 1, length < 8 ? (uint32_t)length : 8);
    bool leaves = client->manner != POLITE && client->manner != DEAF && client->manner != MUTATES;
    if (leaves && client->sent + length > client->leaving)
        length = client->leaving > client->sent ? client->leaving - client->sent : 0;
    bool mutates = client->manner == MUTATES && !client->mutated && length > 0 &&
                   client->sent + length > client->leaving;
    if (mutates)
        mutate(client, length);
    if (length > 0)
        line_send(client, client->out + client->sent, length, mutates && client->line != NULL);
    client->sent += length;
    LOG("client %d sends %zu bytes, %zu in all", client->number, length, client->sent);
    if (client->sent < client->leaving)
        return;
    if (client->manner == RESETS)
        reset(client);
    else if (client->manner == FINISHES)
        finish(client);
    else if (client->manner == STALLS)
        client->stalled = true;
}

/* ---------------------------------------------------------------- acting */

static bool all_answered(const struct client *client)
{
    return client->answered == client->count && client->requests == 0 &&
           client->sent == client->out_used;
}

/* All is well and nothing more is wanted. */
static bool leave(struct client *client)
{
    if (client->finished || !client->finishes)
        return false;
    finish(client);
    return true;
}

static bool open_window(struct client *client)
{
    if (client->window == 0 || client->deaf)
        return false;
    size_t length;
    carom_peer_received(client->peer, &length);
    if (client->manner == DEAF && length >= client->leaving) {
        LOG("client %d reads no more", client->number);
        carom_peer_set_window(client->peer, 0);
        client->deaf = true;
        return false;
    }
    if (length < client->received + client->window)
        return false;
    client->received = length;
    carom_peer_set_window(client->peer, client->window);
    LOG("client %d reads %u bytes more", client->number, client->window);
    return true;
}

static bool act_h2(struct client *client)
{
    if (client->finished || client->stalled || client->refused)
        return open_window(client);
    if (client_h2_act(client))
        return true;
    bool done = client->answered == client->count && client->requests == 0 && !client->mute;
    return ((done || client->closing) && leave(client)) || open_window(client);
}

bool client_act(struct client *client)
{
    if (client->concluded || client->reset)
        return false;
    if (random_chance(&world->random, 50) && open_window(client))
        return true;
    if (client->session != NULL)
        return act_h2(client);
    if (!client->finished && !client->stalled) {
        size_t most = gate(client);
        if (client->sent < most && random_chance(&world->random, 80)) {
            client_send_piece(client, most);
            return true;
        }
        if (may_plan(client) && plan_exchange(client) != NULL) {
            client->requests--;
            return true;
        }
        if (client->sent < most) {
            client_send_piece(client, most);
            return true;
        }
        bool upgraded = client->count > 0 && client->exchanges[client->count - 1]->upgraded;
        if (upgraded && client->reader == READER_TUNNEL) {
            finish(client);
            return true;
        }
        if ((all_answered(client) || client->closing) && leave(client))
            return true;
    }
    return open_window(client);
}

/* ---------------------------------------------------------------- looking */

static void note_taken(struct client *client)
{
    size_t taken = line_taken(client);
    if (taken == client->taken)
        return;
    client->taken = taken;
    if (client->opened_at == 0)
        client->opened_at = world_now();
    if (client->preface_at == 0 && taken >= H2_PREFACE)
        client->preface_at = world_now();
    client->busy_at = client->heard_at = world_now();
    for (int i = 0; i < client->count; i++) {
        struct exchange *exchange = client->exchanges[i];
        if (exchange->taken_at == 0 && taken > exchange->from)
            exchange->taken_at = world_now();
        if (exchange->begun_at == 0 && taken > exchange->from + 2)
            exchange->begun_at = world_now();
    }
}

static bool all_released(const struct client *client)
{
    for (int i = 0; i < client->count; i++)
        if (client->exchanges[i]->handed && !client->exchanges[i]->released)
            return false;
    return true;
}

static uint64_t may_idle(const struct client *client)
{
    const carom_options *options = &world->options;
    uint64_t most = options->keep_alive + options->keep_alive_grace;
    if (client->count == 0) {
        most = options->first_byte_timeout;
        if (client->line != NULL) /* the end of the handshake may be on the way */
            most += options->handshake_timeout;
    }
    return most;
}

/* Time-outs that must have come by now. */
static void look_for_late(const struct client *client)
{
    const carom_options *options = &world->options;
    uint64_t now = world_now();
    if (client->count > 0 && client->exchanges[client->count - 1]->upgraded)
        return;
    if (client->fin_at > 0 && now > client->fin_at + options->linger_timeout + 2)
        world_fail("client %d: the connection lingers too long", client->number);
    if (client->fin_at > 0 || client->accepted_at == 0 || client->finished || client->reset ||
        client->taken < client->sent || !all_released(client) || client->closing ||
        client->window > 0 || carom_peer_failed(client->peer) || client->mutated)
        return;
    if (!line_is_open(client)) {
        if (now > client->accepted_at + options->handshake_timeout + 2)
            world_fail("client %d: a handshake without an end", client->number);
        return;
    }
    if (client->session != NULL) {
        if (client_h2_late(client))
            world_fail("client %d: idle for too long", client->number);
        return;
    }
    if (client->answered == client->count) {
        uint64_t most = may_idle(client);
        if (client->taken == (client->count == 0 ? 0 : client->exchanges[client->count - 1]->to) &&
            now > client->active_at + most + 2 && now > client->busy_at + most + 2)
            world_fail("client %d: idle for %llu ms and not closed", client->number,
                       (unsigned long long)(now - client->active_at));
        return;
    }
    const struct exchange *exchange = client->exchanges[client->answered];
    size_t length; /* of the refusal, a part may be here */
    carom_peer_received(client->peer, &length);
    if (length == client->seen && options->max_pipeline > 1 &&
        exchange->begun_at > client->active_at && client->taken < exchange->head_end &&
        !exchange->refused && now > exchange->begun_at + options->header_timeout + 2)
        world_fail("client %d: a head that does not come is waited for since %llu", client->number,
                   (unsigned long long)exchange->begun_at);
}

void client_look(struct client *client)
{
    if (client->concluded)
        return;
    struct carom_peer *peer = client->peer;
    if (client->accepted_at == 0 && carom_peer_accepted(peer)) {
        client->accepted_at = client->active_at = client->progress_at = world_now();
        LOG("client %d is accepted", client->number);
    }
    if (!carom_peer_saw_close(peer))
        times_note(client);
    line_turn(client);
    if (!client->shaken && line_is_open(client) && client->line != NULL)
        client->active_at = world_now();
    client->shaken = line_is_open(client);
    note_taken(client);
    if (client->stirred)
        client->busy_at = world_now();
    client->stirred = false;
    if (client->session != NULL)
        client_h2_read(client);
    else
        client_read(client);
    if (client->fin_at == 0 && carom_peer_saw_fin(peer)) {
        LOG("client %d sees FIN", client->number);
        client->fin_at = world_now();
    }
    if (carom_peer_saw_close(peer)) {
        times_closed(client);
        client_conclude(client);
    }
    if (!client->concluded && !carom_simulated_busy(world->loop)) /* nothing is on its way */
        look_for_late(client);
}
