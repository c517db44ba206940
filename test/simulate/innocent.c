/* A client that asks again and again while others hold what they can of a ring, and that must be
 * answered before anything else happens. It has one connection; each of its requests needs a slot,
 * a page and a loan. It draws no random number. */
#include <stdio.h>
#include <string.h>

#include "simulate/world.h"

#define ASKS  8    /* in a run */
#define OFTEN 50   /* once in so many steps */
#define FILL  3000 /* bytes of a field, which make its head too long for a slot */

static struct {
    struct carom_peer *peer;
    int asks;
    bool waits;
    size_t seen; /* bytes of answers */
} innocent;

void innocent_begin(void)
{
    memset(&innocent, 0, sizeof innocent);
}

/* Its connection has ended, as one that was idle for long. */
static bool is_over(void)
{
    struct carom_peer *peer = innocent.peer;
    return carom_peer_failed(peer) || carom_peer_saw_close(peer) || carom_peer_saw_fin(peer) ||
           carom_peer_saw_reset(peer);
}

/* One who was not let in, or finds no memory, is not answered. */
static bool is_gone(void)
{
    return is_over() || !carom_peer_accepted(innocent.peer) || world->memory_failed ||
           world->draining;
}

static void ask(void)
{
    static char text[FILL + 100];
    if (innocent.peer == NULL || is_over()) {
        innocent.peer = carom_simulated_connect(world->loop);
        innocent.seen = 0;
    }
    if (innocent.peer == NULL)
        return;
    int fill = world->options.max_header_section > FILL + 100 ? FILL : 1;
    int length =
        snprintf(text, sizeof text,
                 "GET " INNOCENT_TARGET " HTTP/1.1\r\nHost: a\r\nX-Fill: %0*d\r\n\r\n", fill, 1);
    LOG("the innocent asks");
    carom_peer_send(innocent.peer, text, (size_t)length);
    innocent.asks++;
    innocent.waits = true;
}

/* The answer to what was asked last. */
static bool is_answered(void)
{
    size_t length;
    const char *bytes = carom_peer_received(innocent.peer, &length);
    static const char refused[] = "HTTP/1.1 503";
    bool few = world->options.max_in_flight < 1000;
    if (few && length - innocent.seen >= sizeof refused - 1 &&
        memcmp(bytes + innocent.seen, refused, sizeof refused - 1) == 0)
        return true;
    return length - innocent.seen > INNOCENT_CONTENT;
}

/* What it has asked is answered, or will not be. */
static void look(void)
{
    if (!innocent.waits)
        return;
    if (is_answered()) {
        carom_peer_received(innocent.peer, &innocent.seen);
        innocent.waits = false;
    } else if (is_over()) {
        innocent.waits = false;
    }
}

void innocent_acts(void)
{
    look();
    if (!innocent.waits && innocent.asks < ASKS && world->steps % OFTEN == 0 && !world->draining)
        ask();
}

void innocent_look(void)
{
    look();
    if (innocent.waits && !is_gone())
        world_fail("the innocent waits");
}
