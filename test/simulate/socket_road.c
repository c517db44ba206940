/* The connections of clients of WebSockets: over HTTP/1.1, one for each talk. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/sockets.h"

void road_open(struct road *road)
{
    struct random *random = &world->random;
    road->pieces = (uint8_t)random_below(random, 3);
    road->window = random_chance(random, 25) ? random_between(random, 100, 20000) : 0;
    if (road->window > 0)
        carom_peer_set_window(road->peer, road->window);
    LOG("road %d: %d talks, HTTP/%s%s", road->number, road->count, road->is_h2 ? "2" : "1.1",
        road->window > 0 ? ", slow" : "");
    if (road->is_h2)
        road_h2_open(road);
    road->wire = (struct client){.peer = road->peer, .session = road->session};
    line_open(&road->wire);
}

void road_free(struct road *road)
{
    for (int i = 0; i < road->count; i++)
        talk_free(road->talks[i]);
    line_close(&road->wire);
    bytes_free(&road->out);
    if (road->session != NULL)
        nghttp2_session_del(road->session);
    road->session = NULL;
}

static void reset(struct road *road)
{
    LOG("road %d is reset by its client", road->number);
    road->gone = road->wire.reset = true;
    for (int i = 0; i < road->count; i++)
        road->talks[i]->left = true;
    carom_peer_reset(road->peer);
}

static void finish(struct road *road)
{
    if (road->finished || road->gone)
        return;
    LOG("road %d: the client sends FIN", road->number);
    road->finished = true;
    line_finish(&road->wire);
    road->wire.finished = true;
}

void road_leave(struct road *road, struct talk *talk, bool finishes)
{
    talk->left = true;
    if (road->is_h2)
        road_h2_leave(road, talk, finishes);
    else if (finishes)
        finish(road);
    else
        reset(road);
}

/* ---------------------------------------------------------------- acting */

static size_t piece_of(const struct road *road, size_t most)
{
    if (most == 0 || road->pieces == 0)
        return most;
    if (road->pieces == 2 && most > 8 && random_chance(&world->random, 60))
        most = 8;
    return 1 + random_below(&world->random, (uint32_t)most);
}

static bool open_window(struct road *road)
{
    size_t length;
    if (road->window == 0 || road->gone)
        return false;
    carom_peer_received(road->peer, &length);
    if (length < road->received + road->window)
        return false;
    road->received = length;
    carom_peer_set_window(road->peer, road->window);
    return true;
}

static void ask(struct road *road)
{
    struct talk *talk = road->talks[0];
    char text[512];
    const char *offer = talk_offer(talk);
    int length =
        snprintf(text, sizeof text,
                 "GET /%u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "%s%s%s\r\n",
                 talk->number, *offer != '\0' ? "Sec-WebSocket-Extensions: " : "", offer,
                 *offer != '\0' ? "\r\n" : "");
    line_send(&road->wire, text, (size_t)length, false);
    talk->asked = true;
}

static bool pass(struct road *road, struct talk *talk)
{
    size_t length = piece_of(road, talk_may_pass(talk));
    if (length == 0)
        return false;
    line_send(&road->wire, talk->out.data + talk->passed, length, false);
    talk->passed += length;
    bool leaves = talk->manner == TALK_LEAVES || talk->manner == TALK_ENDS;
    if (leaves && talk->passed >= talk->leaving)
        road_leave(road, talk, talk->manner == TALK_ENDS);
    return true;
}

bool road_act(struct road *road)
{
    if (road->gone)
        return false;
    if (random_chance(&world->random, 50) && open_window(road))
        return true;
    if (!line_is_open(&road->wire))
        return open_window(road);
    if (road->is_h2)
        return road_h2_act(road) || open_window(road);
    struct talk *talk = road->talks[0];
    if (!talk->asked) {
        ask(road);
        return true;
    }
    if (road->finished || talk->left)
        return open_window(road);
    bool speaks = random_chance(&world->random, 50);
    if ((speaks && talk_act(talk)) || pass(road, talk) || (!speaks && talk_act(talk)))
        return true;
    if (talk->heard_close && talk->closed && carom_peer_saw_fin(road->peer)) {
        finish(road);
        return true;
    }
    return open_window(road);
}

/* ---------------------------------------------------------------- looking */

/* The answer's head; false while it has not come. */
static bool take_head(struct road *road, const char *bytes, size_t length)
{
    struct talk *talk = road->talks[0];
    const char *end = length == 0 ? NULL : memmem(bytes, length, "\r\n\r\n", 4);
    char head[1024];
    if (end == NULL)
        return false;
    size_t size = (size_t)(end + 4 - bytes);
    if (size >= sizeof head)
        world_fail("road %d: a head of %zu bytes", road->number, size);
    memcpy(head, bytes, size);
    head[size] = '\0';
    road->seen = size;
    road->head_seen = true;
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
        if (!world->memory_failed && !world->draining)
            world_fail("talk %u is answered %.20s", talk->number, head);
        talk->left = talk->over = true;
        return true;
    }
    char *extensions = strcasestr(head, "sec-websocket-extensions: ");
    if (extensions != NULL) {
        extensions += 26;
        *strstr(extensions, "\r\n") = '\0';
    }
    talk_agreed(talk, extensions);
    talk->answered = true;
    return true;
}

void road_look(struct road *road)
{
    size_t length;
    if (road->gone)
        return;
    line_turn(&road->wire);
    const char *bytes = line_received(&road->wire, &length);
    if (road->is_h2) {
        road_h2_look(road);
    } else if (road->head_seen || take_head(road, bytes, length)) {
        if (length > road->seen && road->talks[0]->answered)
            talk_hears(road->talks[0], (const uint8_t *)bytes + road->seen, length - road->seen);
        road->seen = length;
    }
    bool closed = carom_peer_saw_close(road->peer);
    for (int i = 0; i < road->count; i++)
        if ((closed || (!road->is_h2 && carom_peer_saw_fin(road->peer))) && road->talks[i]->asked)
            talk_is_over(road->talks[i], carom_peer_saw_reset(road->peer));
    road->gone |= closed;
}
