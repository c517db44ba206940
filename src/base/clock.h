/* Clocks, in milliseconds. */
#ifndef CAROM_BASE_CLOCK_H
#define CAROM_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock of the system. Async-signal-safe. */
uint64_t carom_clock_milliseconds(clockid_t clock);
/* How many milliseconds to sleep (0: not; -1: for ever) from `now`, as last read of
 * CLOCK_MONOTONIC, so as not to wake before `deadline` (UINT64_MAX: none). */
int carom_clock_sleep(uint64_t now, uint64_t deadline);

#endif
