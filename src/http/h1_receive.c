/* HTTP/1.1, receiving: when bytes may come, and content that goes straight into memory of its
 * reader's. */
#include "http/h1.h"

void carom_h1_update_receiving(struct carom_connection *connection)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->processing || connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    carom_record *record = h1->reading;
    bool content = record != NULL && h1->phase != CAROM_H1_HEAD;
    bool on;
    if (content)
        on = record->wanted || record->collecting || carom_h1_nobody_reads(connection, record);
    else
        on = h1->length == 0 || carom_h1_in_section(h1);
    if (on && !content && record == NULL && !connection->core.last)
        on = carom_h1_takes_another(connection);
    bool timed = content && on && h1->phase != CAROM_H1_TUNNEL;
    if (timed)
        carom_h1_rate_start(connection);
    else if (content)
        carom_h1_rate_stop(connection);
    if (on != carom_stream_receives(&connection->stream))
        carom_stream_receive(&connection->stream, on);
}

void carom_h1_set_phase(struct carom_connection *connection, enum carom_h1_phase phase)
{
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->phase != CAROM_H1_HELD)
        return;
    h1->phase = (uint8_t)phase;
    if (h1->length > 0 && !h1->processing)
        carom_connection_resume(connection);
    else
        carom_h1_update_receiving(connection);
}

size_t carom_h1_receive(carom_record *record, uint8_t *to, size_t room)
{
    struct carom_connection *connection = record->exchange;
    struct carom_h1 *h1 = carom_h1_of(connection);
    if (h1->reading != record || h1->phase != CAROM_H1_LENGTH || h1->processing || h1->length > 0)
        return 0;
    size_t most = h1->left < room ? (size_t)h1->left : room;
    size_t length = carom_stream_receive_now(&connection->stream, to, most);
    if (length == 0)
        return 0;
    if (carom_unlikely(carom_connections_of(connection)->observer != NULL))
        carom_core_observed(&connection->core)->received += length;
    carom_h1_count_content(h1, record, length);
    h1->left -= length;
    record->wanted = false;
    if (h1->left == 0)
        carom_h1_request_whole(connection);
    carom_h1_update_receiving(connection);
    return length;
}
