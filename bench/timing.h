/* Time of the processor, and the median of rounds. */
#ifndef CAROM_BENCH_TIMING_H
#define CAROM_BENCH_TIMING_H

#include <stdlib.h>
#include <time.h>

/* Nanoseconds that this thread has had, user and system. */
static inline double thread_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

/* Sorts them. */
static inline double median(double *times, size_t count)
{
    qsort(times, count, sizeof *times, compare_times);
    return times[count / 2];
}

#endif
