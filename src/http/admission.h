/* Admission: what is asked of every request whose head is complete, whatever the version of HTTP
 * and whatever carries it, and its way to the handler. */
#ifndef CAROM_HTTP_ADMISSION_H
#define CAROM_HTTP_ADMISSION_H

#include "http/core.h"

/* A head is complete: count it. True when this is the last request of its connection. */
bool carom_admission_count(struct carom_core *core);
/* Compare a complete head with the limits. 0, or the status (413, 503) with which the request is to
 * be refused. */
unsigned carom_admission_status(const struct carom_core *core, const carom_record *record);
/* The reason that stands behind the status of a refusal. */
carom_reason carom_admission_reason(unsigned status);
/* The request cannot be served: the engine answers `status`, where an answer is still possible, and
 * drops the rest of the content. */
void carom_admission_refuse(carom_record *record, unsigned status, carom_reason reason);
/* As carom_admission_refuse, for what came on HTTP/1.1 and is no request, or not whole in time:
 * `length` bytes in `page`. If the connections are watched the handler is called, for something
 * without a method that has these bytes as its target, and may answer in the engine's place. */
void carom_admission_offer(struct carom_connections *connections, carom_record *record,
                           struct carom_page *page, const uint8_t *data, uint32_t length,
                           unsigned status, carom_reason reason);
/* Call the handler, which from now on has its time-out. */
void carom_admission_dispatch(struct carom_connections *connections, carom_record *record);

#endif
