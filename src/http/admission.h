/* Admission: what is asked of every request whose head is complete, whatever the version of HTTP
 * and whatever carries it, and its way to the handler. */
#ifndef CAROM_HTTP_ADMISSION_H
#define CAROM_HTTP_ADMISSION_H

#include "http/core.h"

/* A head is complete: count it. True when this is the last request of its connection. */
bool carom_admission_count(struct carom_core *core);
/* Compare a complete head with the limits. 0, or the status (413, 421, 503) with which it is to
 * be refused. */
static inline unsigned carom_admission_status(const struct carom_core *core,
                                              const carom_record *record)
{
    struct carom_connections *connections = core->connections;
    const carom_options *options = connections->options;
    const struct carom_request_head *head = &record->head;
    if (carom_unlikely(head->asks_https) && carom_core_tls(core) == NULL)
        return 421; /* RFC 9110, 7.4 */
    if (head->framing == CAROM_FRAMING_LENGTH && head->content_length > options->max_content)
        return 413;
    /* Beside the one that has just begun. */
    uint32_t siblings = carom_core_records(core) - 1;
    uint32_t used = connections->records.pool.in_use - 1;
    if (carom_share_is_left(siblings, used, options->max_in_flight))
        return 0;
    connections->records.refused++;
    return 503;
}
/* The reason that stands behind the status of a refusal. */
carom_reason carom_admission_reason(unsigned status);
/* The request cannot be served: the engine answers `status`, where an answer is still possible, and
 * drops the rest of the content. */
void carom_admission_refuse(carom_record *record, unsigned status, carom_reason reason);
/* As carom_admission_refuse, for what came on HTTP/1.1 and is no request, or not whole in time:
 * `length` bytes in `page`. If the connections are observed the handler is called, for something
 * without a method that has these bytes as its target, and may answer in the engine's place. */
void carom_admission_offer(struct carom_connections *connections, carom_record *record,
                           struct carom_page *page, const uint8_t *data, uint32_t length,
                           unsigned status, carom_reason reason);
/* Call the handler, which from now on has its time-out. */
void carom_admission_dispatch(struct carom_connections *connections, carom_record *record);

#endif
