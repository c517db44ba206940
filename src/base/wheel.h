/* Hierarchical timing wheel: 5 levels of 64 buckets, the first of 1 ms. Arming, moving and
 * disarming are O(1) and make no system call; nothing fires early. One thread. */
#ifndef CAROM_BASE_WHEEL_H
#define CAROM_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define CAROM_WHEEL_LEVELS  5
#define CAROM_WHEEL_BUCKETS 64

struct carom_timer {
    struct carom_node node; /* first member */
    uint64_t deadline;      /* ms of the worker's clock; 0: not armed */
    void (*fire)(struct carom_timer *timer);
};

struct carom_wheel {
    uint64_t now; /* ms; everything before it has been taken out */
    uint64_t occupied[CAROM_WHEEL_LEVELS];
    uint32_t armed;
    struct carom_node buckets[CAROM_WHEEL_LEVELS][CAROM_WHEEL_BUCKETS];
};

void carom_wheel_init(struct carom_wheel *wheel, uint64_t now);

void carom_timer_init(struct carom_timer *timer, void (*fire)(struct carom_timer *timer));
/* Arm for `deadline`, wherever it stood before; a deadline that has passed fires at the next
 * advance. */
void carom_timer_arm(struct carom_wheel *wheel, struct carom_timer *timer, uint64_t deadline);
void carom_timer_disarm(struct carom_wheel *wheel, struct carom_timer *timer);
static inline bool carom_timer_armed(const struct carom_timer *timer)
{
    return timer->deadline != 0;
}

/* Disarm all timers with this `fire` and put them into `list`, by their nodes. It is not called
 * while the wheel advances. */
void carom_wheel_take_all(struct carom_wheel *wheel, void (*fire)(struct carom_timer *timer),
                          struct carom_node *list);

/* Move the clock to `now` and fire what is due, each timer disarmed first so that it may arm itself
 * or any other again (one armed for the past by a fire function waits for the next advance). */
void carom_wheel_advance(struct carom_wheel *wheel, uint64_t now);
/* A time at which an advance has work, never later than the next deadline; UINT64_MAX: nothing
 * armed. */
uint64_t carom_wheel_next(const struct carom_wheel *wheel);

#endif
