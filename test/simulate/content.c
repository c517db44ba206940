/* Content as handlers read it, which stays as it was given to them until they read on or release;
 * and as they write it, which they lend: the engine may read it until it gives it back, and no
 * longer. */
#include <stdlib.h>
#include <string.h>

#include "simulate/world.h"

/* ---------------------------------------------------------------- of requests */

void content_check(const struct exchange *exchange)
{
    if (exchange->slice.length > 0 &&
        memcmp(exchange->slice.data, pattern_of(exchange->id, false) + exchange->slice_at,
               exchange->slice.length) != 0)
        world_fail("request %u: the content in its hands is another", exchange->id);
}

static void take(struct exchange *exchange, carom_slice bytes)
{
    if (exchange->client->mutated)
        return;
    if (bytes.length == 0 || exchange->read + bytes.length > CONTENT_MOST)
        world_fail("request %u: a piece of %zu bytes", exchange->id, bytes.length);
    exchange->slice = bytes;
    exchange->slice_at = exchange->read;
    exchange->read += (uint32_t)bytes.length;
    content_check(exchange);
}

static void check_end(struct exchange *exchange)
{
    size_t content = exchange->content;
    exchange->read_whole = true;
    if (exchange->client->mutated)
        return;
    if (exchange->upgraded && exchange->client->session == NULL) /* what was sent before FIN */
        content = exchange->client->sent - exchange->head_end;
    if (exchange->read != content)
        world_fail("request %u: %u bytes of %zu", exchange->id, exchange->read, content);
    if (carom_request_trailer_count(exchange->record) != exchange->trailers)
        world_fail("request %u: its trailers are wrong", exchange->id);
}

static void wait_for_more(struct exchange *exchange)
{
    if (random_chance(&world->random, 50)) {
        waiting_pause(exchange);
        return;
    }
    if (carom_request_buffered(exchange->record) == 0)
        times_wants(exchange);
    waiting_begin(exchange, CAROM_READABLE, false);
}

bool content_read(struct exchange *exchange)
{
    for (;;) {
        carom_slice bytes;
        content_check(exchange);
        exchange->slice.length = 0;
        int result = carom_request_read(exchange->record, &bytes);
        bool promised = exchange->readable_now;
        exchange->readable_now = false;
        if (result == 0)
            break;
        if (result == -CAROM_EAGAIN) {
            if (promised)
                world_fail("request %u: READABLE, and nothing is there", exchange->id);
            times_wants(exchange);
            waiting_begin(exchange, CAROM_READABLE, false);
            return false;
        }
        if (result == -CAROM_ECANCELED && exchange->whole &&
            carom_record_outcome(exchange->record).reason <= CAROM_REASON_COMPLETE)
            return true; /* the rest was dropped after the answer */
        if (!handler_went_well(exchange, result)) {
            handler_act(exchange);
            return false;
        }
        take(exchange, bytes);
        if (random_chance(&world->random, 8)) { /* with this in its hands */
            wait_for_more(exchange);
            return false;
        }
    }
    check_end(exchange);
    return true;
}

/* ---------------------------------------------------------------- of answers */

struct loan {
    size_t length;
    char data[];
};

void content_given_back(void *owner)
{
    struct loan *loan = owner;
    world->given_back++;
    if (loan == NULL)
        return;
    memset(loan->data, 0xdb, loan->length); /* who still sends it shall be seen to */
    free(loan);
}

carom_content content_lend(const struct exchange *exchange, uint32_t length)
{
    const char *bytes = pattern_of(exchange->id, true) + exchange->written;
    carom_content content = {bytes, length, NULL, NULL};
    if (!exchange->lent)
        return content;
    struct loan *loan = malloc(sizeof *loan + length);
    if (loan == NULL)
        abort();
    loan->length = length;
    memcpy(loan->data, bytes, length);
    world->lent++;
    content.data = loan->data;
    content.give_back = content_given_back;
    content.owner = loan;
    return content;
}
