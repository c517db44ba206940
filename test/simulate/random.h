/* Random numbers from one 64-bit seed (splitmix64): all that a run does follows from them. */
#ifndef CAROM_TEST_SIMULATE_RANDOM_H
#define CAROM_TEST_SIMULATE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to below - 1; `below` is at least 1. */
static inline uint32_t random_below(struct random *random, uint32_t below)
{
    return (uint32_t)((random_next(random) >> 32) * below >> 32);
}

static inline uint32_t random_between(struct random *random, uint32_t least, uint32_t most)
{
    return least + random_below(random, most - least + 1);
}

/* True so many times of 100. */
static inline bool random_chance(struct random *random, uint32_t percent)
{
    return random_below(random, 100) < percent;
}

/* Mostly small, sometimes up to `most`: every order of magnitude is as likely. */
static inline uint32_t random_size(struct random *random, uint32_t most)
{
    uint32_t bits = 32 - (uint32_t)__builtin_clz(most | 1);
    uint32_t size =
        (uint32_t)(random_next(random) & ((UINT64_C(1) << random_below(random, bits + 1)) - 1));
    return size <= most ? size : most;
}

#endif
