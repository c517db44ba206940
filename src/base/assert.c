/* Where a failed assertion ends: one line on standard error, then abort. The only place of the
 * library that prints, because after a programmer error nothing else of it can be trusted. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void carom_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "carom: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
