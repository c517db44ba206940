/* The memory of nghttp2's sessions: bins. */
#ifndef CAROM_HTTP_H2_MEMORY_H
#define CAROM_HTTP_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

#include "base/bins.h"

/* For nghttp2_session_server_new3, which copies it; `bins` outlive the session. */
nghttp2_mem carom_h2_memory(struct carom_bins *bins);

#endif
