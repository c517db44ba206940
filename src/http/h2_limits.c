/* HTTP/2, limits: how often a peer may do what costs it nothing, before its connection is ended
 * with ENHANCE_YOUR_CALM. */
#include "http/h2.h"

static struct carom_connections *connections_of(const struct carom_h2 *h2)
{
    return carom_connections_of(h2->connection);
}

void carom_h2_calm(struct carom_h2 *h2)
{
    if (h2->calm)
        return;
    h2->calm = true;
    connections_of(h2)->h2_calmed++;
    nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

void carom_h2_count(struct carom_h2 *h2, enum carom_h2_counted counted)
{
    const carom_options *options = connections_of(h2)->options;
    uint32_t limit =
        counted == CAROM_H2_RESETS ? options->h2_max_resets : options->h2_max_control_frames;
    struct carom_h2_count *count = &h2->counts[counted];
    uint64_t now = connections_of(h2)->records.now;
    if (limit == CAROM_OFF)
        return;
    uint64_t falls = (now - count->since) * limit / CAROM_H2_COUNT_WINDOW;
    if (falls > 0) {
        count->level = falls < count->level ? count->level - (uint32_t)falls : 0;
        count->since = now;
    }
    if (++count->level > limit)
        carom_h2_calm(h2);
}

void carom_h2_count_verdict(struct carom_h2 *h2, uint32_t code)
{
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_CANCEL && code != NGHTTP2_INTERNAL_ERROR)
        carom_h2_count(h2, CAROM_H2_RESETS);
}
