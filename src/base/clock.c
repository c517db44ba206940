/* Reads the system's clocks, and computes how long a sleep may last. */
#include "base/clock.h"

uint64_t carom_clock_milliseconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* The clock is cut to whole milliseconds, so sleeping the difference never ends before `deadline`.
 * It is read once more before a sleep (no system call), because a turn may have taken its time. */
int carom_clock_sleep(uint64_t now, uint64_t deadline)
{
    if (deadline == UINT64_MAX)
        return -1;
    if (deadline > now)
        now = carom_clock_milliseconds(CLOCK_MONOTONIC);
    if (deadline <= now)
        return 0;
    uint64_t left = deadline - now;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}
