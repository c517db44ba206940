/* Content of a request on its way to its reader, whatever brings it: where it is kept, and how fast
 * it must come. */
#ifndef CAROM_HTTP_CONTENT_H
#define CAROM_HTTP_CONTENT_H

#include "http/connections.h"

/* Put content of a request, `data` in `page`, where its reader finds it. What may wait for long
 * (`packed`) is copied behind the piece before it when it is small, or else a few bytes would each
 * keep the whole page in which they came. 0 or -CAROM_ENOMEM. */
int carom_content_keep(struct carom_connections *connections, carom_record *record, bool packed,
                       struct carom_page *page, const uint8_t *data, uint32_t length);
/* The least rate of content of a record, or of none, that is waited for. */
static inline uint32_t carom_content_rate(const carom_record *record, const carom_options *options)
{
    return record != NULL && record->content_rate != 0 ? record->content_rate
                                                       : options->content_rate;
}

#endif
