/* What a record can tell of the TLS below its connection, for the engine's own use. */
#ifndef CAROM_HTTP_RECORD_TLS_H
#define CAROM_HTTP_RECORD_TLS_H

#include "record/record.h"

/* Fill what is not NULL; nothing is written without TLS: -CAROM_ENOENT. On any thread, as long as
 * somebody holds the record. */
int carom_tls_of_record(const carom_record *record, carom_tls_info *info, carom_slice *der);

#endif
