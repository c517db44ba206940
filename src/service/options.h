/* Options with their defaults filled in, and checked. */
#ifndef CAROM_SERVICE_OPTIONS_H
#define CAROM_SERVICE_OPTIONS_H

#include "carom.h"

/* Fill `to` from what a caller gave. 0, -CAROM_EINVAL, -CAROM_EUNSUPPORTED (backend). */
int carom_options_resolve(carom_options *to, const carom_options *given);

/* The bytes of a page: what a request head needs at most, whole. */
uint32_t carom_options_page_size(const carom_options *options);

#endif
