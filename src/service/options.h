/* Fills in the defaults of options, and checks them. */
#ifndef CAROM_SERVICE_OPTIONS_H
#define CAROM_SERVICE_OPTIONS_H

#include "carom.h"

/* Fill `to` from what a caller gave. 0, -CAROM_EINVAL, -CAROM_EUNSUPPORTED (backend). */
int carom_options_resolve(carom_options *to, const carom_options *given);

/* The size of a page in bytes: the largest request head that the options allow lies whole in one.
 */
uint32_t carom_options_page_size(const carom_options *options);

#endif
