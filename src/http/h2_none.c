/* Stands in for all of HTTP/2 in a build without it (CAROM_HTTP2=OFF): no connection speaks it,
 * since options.no_http2 is set there. */
#include "http/protocols.h"

const struct carom_stream_protocol carom_h2_protocol = {0};
