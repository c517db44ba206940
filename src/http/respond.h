/* Responses as other parts of the engine give them. */
#ifndef CAROM_HTTP_RESPOND_H
#define CAROM_HTTP_RESPOND_H

#include "record/record.h"

/* The engine's own answer, record->refused, in place of the handler's. False when out of memory. */
bool carom_respond_refusal(carom_record *record);
/* carom_respond_begin with a length that is what it says: 0 is no content, and not unknown. */
int carom_response_begin(carom_record *record, const carom_response *response, uint64_t length);
/* carom_end, behind its checks of the record, for whoever has that in the handler's place. */
int carom_response_end(carom_record *record, const carom_field *trailers, size_t trailer_count);

#endif
