/* Log sink: formats one line on the stack. What a peer sent may be in it, so control characters are
 * replaced: a line stays a line, and a terminal is not driven by it. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_LENGTH 512

void carom_log_line(const struct carom_log_sink *sink, carom_log_level level, const char *format,
                    ...)
{
    if (sink->write == NULL)
        return;
    char line[LINE_LENGTH + 1];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    for (char *c = line; *c != 0; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    sink->write(sink->data, level, line);
}
