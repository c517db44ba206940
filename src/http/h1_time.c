/* HTTP/1.1, time: content that comes too slowly while somebody waits for it. */
#include "http/content.h"
#include "http/h1.h"

bool carom_h1_too_slow(struct carom_connection *connection)
{
    const carom_options *options = carom_connections_of(connection)->options;
    const struct carom_h1 *h1 = carom_h1_of(connection);
    uint32_t rate = carom_content_rate(h1->reading, options);
    uint64_t least = (uint64_t)rate * options->content_window / 1000;
    return rate != CAROM_OFF && h1->rate.bytes < least;
}

void carom_h1_rate_start(struct carom_connection *connection)
{
    struct carom_h1_rate *rate = &carom_h1_of(connection)->rate;
    if (rate->since != 0 || carom_connections_of(connection)->options->content_window == CAROM_OFF)
        return;
    rate->since = carom_records_now(&carom_connections_of(connection)->records);
    if (rate->left == 0) {
        rate->left = carom_connections_of(connection)->options->content_window;
        rate->bytes = 0;
    }
    carom_connection_read_within(connection, rate->left);
}

void carom_h1_rate_stop(struct carom_connection *connection)
{
    struct carom_h1_rate *rate = &carom_h1_of(connection)->rate;
    if (rate->since == 0)
        return;
    uint64_t waited = carom_records_now(&carom_connections_of(connection)->records) - rate->since;
    rate->since = 0;
    connection->core.read_deadline = CAROM_NO_TIME;
    if (!carom_h1_too_slow(connection))
        rate->left = 0;
    else
        rate->left = waited < rate->left ? rate->left - (uint32_t)waited : 1;
}
