/* Statistics: counted by the workers in plain words, published once a turn, summed by any thread.
 */
#ifndef CAROM_SERVICE_STATS_H
#define CAROM_SERVICE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "carom.h"

struct carom_worker;

enum { CAROM_STATS_WORDS = sizeof(carom_stats) / sizeof(uint64_t) };

/* What a worker lets others see: a carom_stats of its own, word by word. */
struct carom_stats_shared {
    _Atomic uint64_t words[CAROM_STATS_WORDS];
};

/* Publish the worker's counters; on its thread. */
void carom_stats_publish(struct carom_worker *worker);

#endif
