/* The log sink: gives each line and its level to the function that the program has set, or to
 * nobody. */
#ifndef CAROM_BASE_LOG_H
#define CAROM_BASE_LOG_H

#include "carom.h"

struct carom_log_sink {
    carom_log *write; /* NULL: silent */
    void *data;
};

/* Format one line (cut at 512 bytes) and write it. */
void carom_log_line(const struct carom_log_sink *sink, carom_log_level level, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

#endif
