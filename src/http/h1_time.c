/* HTTP/1.1, time: content that comes too slowly while somebody waits for it; refusals that nobody
 * answers. */
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

/* Whether a virtual machine was told that this is no request, and has not answered. */
static bool is_open_refusal(const carom_record *record)
{
    return record->response < CAROM_RESPONSE_WHOLE && record->refusal != 0;
}

void carom_h1_limit_refusals(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    uint32_t timeout = carom_connections_of(connection)->options->linger_timeout;
    struct carom_node *node = h1->exchanges.next;
    for (; node != &h1->exchanges; node = node->next)
        if (is_open_refusal(carom_container(node, carom_record, link)))
            carom_connection_read_within(connection, timeout);
}

void carom_h1_cancel_refusals(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    struct carom_node *node = h1->exchanges.next;
    for (; connection->core.peer_done && node != &h1->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        if (is_open_refusal(record)) {
            carom_record_cancel(record, CAROM_REASON_CLIENT_CLOSED);
            carom_connection_touch(connection); /* it ends, whoever still holds the record */
        }
    }
}
