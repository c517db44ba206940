/* Where a failed assertion and a harmful call end: one line on standard error, then abort. The only
 * place of the library that prints, because after a programmer error nothing else of it can be
 * trusted. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void carom_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "carom: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}

void carom_misused(const char *call, const char *what)
{
    fprintf(stderr, "carom: %s: %s\n", call, what);
    abort();
}
