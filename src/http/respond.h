/* What the engine answers by itself, by way of the record's exchange. */
#ifndef CAROM_HTTP_RESPOND_H
#define CAROM_HTTP_RESPOND_H

#include "record/record.h"

/* The engine's own answer, record->refused, in place of the handler's. False when out of memory. */
bool carom_respond_refusal(carom_record *record);

#endif
