/* Timing wheel. Level L has buckets of 64^L ms; a timer lies in the lowest level that its distance
 * from `now` fits, in the bucket of its deadline. When the clock enters a bucket of a higher level,
 * that bucket is emptied into lower ones (cascading), so that every timer passes through level 0,
 * where a bucket is one millisecond, before it fires.
 *
 * Invariants:
 * - every armed timer of level L > 0 lies 1 to 64 buckets ahead of the one `now` is in, so a bucket
 * holds one turn of the wheel only; 64 ahead is the bucket `now` is in, met again after a whole
 * turn;
 * - level 0 holds distances 0 to 63; bucket 0 ahead is for deadlines that have passed;
 * - a bit of `occupied` is set exactly when its bucket is not empty. */
#include "base/wheel.h"

#include "base/assert.h"

#define BUCKET_BITS 6
/* One more than the greatest distance the wheel can hold, about 12 days; what lies beyond is put at
 * its end and placed anew when the clock comes there. */
#define SPAN ((uint64_t)1 << (BUCKET_BITS * CAROM_WHEEL_LEVELS))

_Static_assert(1 << BUCKET_BITS == CAROM_WHEEL_BUCKETS, "buckets are counted in bits");
_Static_assert(CAROM_WHEEL_BUCKETS == 64, "a level's buckets are the bits of one word");

void carom_wheel_init(struct carom_wheel *wheel, uint64_t now)
{
    wheel->now = now;
    wheel->armed = 0;
    for (unsigned level = 0; level < CAROM_WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned bucket = 0; bucket < CAROM_WHEEL_BUCKETS; bucket++)
            carom_node_init(&wheel->buckets[level][bucket]);
    }
}

void carom_timer_init(struct carom_timer *timer, void (*fire)(struct carom_timer *timer))
{
    *timer = (struct carom_timer){.fire = fire};
    carom_node_init(&timer->node);
}

/* Put a timer that is in no list where its deadline belongs. */
static void place(struct carom_wheel *wheel, struct carom_timer *timer)
{
    uint64_t distance = timer->deadline > wheel->now ? timer->deadline - wheel->now : 0;
    if (distance >= SPAN)
        distance = SPAN - 1;
    unsigned level = 0;
    if (distance >= CAROM_WHEEL_BUCKETS)
        level = (unsigned)(63 - __builtin_clzll(distance)) / BUCKET_BITS;
    unsigned bucket =
        (unsigned)((wheel->now + distance) >> (level * BUCKET_BITS)) % CAROM_WHEEL_BUCKETS;
    carom_list_append(&wheel->buckets[level][bucket], &timer->node);
    wheel->occupied[level] |= (uint64_t)1 << bucket;
}

/* Take a timer out of its bucket, or out of the list of those about to fire. */
static void unplace(struct carom_wheel *wheel, struct carom_timer *timer)
{
    struct carom_node *head = timer->node.next;
    bool last = head == timer->node.previous;
    carom_node_remove(&timer->node);
    /* The last node's neighbour is the head; where that lies tells the bucket, if it is one. */
    uintptr_t offset = (uintptr_t)head - (uintptr_t)&wheel->buckets[0][0];
    if (!last || offset >= sizeof wheel->buckets)
        return;
    unsigned index = (unsigned)(offset / sizeof(struct carom_node));
    wheel->occupied[index / CAROM_WHEEL_BUCKETS] &= ~((uint64_t)1 << index % CAROM_WHEEL_BUCKETS);
}

void carom_timer_arm(struct carom_wheel *wheel, struct carom_timer *timer, uint64_t deadline)
{
    carom_check(timer->fire != NULL);
    if (deadline == 0)
        deadline = 1; /* 0 says "not armed" */
    /* A busy connection sets the same deadline many times within a millisecond. (Not for a deadline
     * that has passed: the timer may stand in the list of those about to fire.) */
    if (timer->deadline == deadline && deadline > wheel->now)
        return;
    if (carom_timer_armed(timer))
        unplace(wheel, timer);
    else
        wheel->armed++;
    timer->deadline = deadline;
    place(wheel, timer);
}

void carom_timer_disarm(struct carom_wheel *wheel, struct carom_timer *timer)
{
    if (!carom_timer_armed(timer))
        return;
    unplace(wheel, timer);
    timer->deadline = 0;
    wheel->armed--;
}

/* Those of one bucket. */
static void take_some(struct carom_wheel *wheel, struct carom_node *bucket,
                      void (*fire)(struct carom_timer *timer), struct carom_node *list)
{
    struct carom_node *node = bucket->next;
    while (node != bucket) {
        struct carom_timer *timer = carom_container(node, struct carom_timer, node);
        node = node->next;
        if (timer->fire == fire) {
            carom_timer_disarm(wheel, timer);
            carom_list_append(list, &timer->node);
        }
    }
}

void carom_wheel_take_all(struct carom_wheel *wheel, void (*fire)(struct carom_timer *timer),
                          struct carom_node *list)
{
    for (unsigned level = 0; level < CAROM_WHEEL_LEVELS; level++)
        for (unsigned bucket = 0; bucket < CAROM_WHEEL_BUCKETS; bucket++)
            take_some(wheel, &wheel->buckets[level][bucket], fire, list);
}

/* Rotate right: bit `by` becomes bit 0. */
static uint64_t rotate(uint64_t bits, unsigned by)
{
    by %= 64;
    return bits >> by | bits << (64 - by) % 64;
}

uint64_t carom_wheel_next(const struct carom_wheel *wheel)
{
    uint64_t next = UINT64_MAX;
    uint64_t bits = wheel->occupied[0];
    if (bits != 0) {
        unsigned bucket = (unsigned)(wheel->now % CAROM_WHEEL_BUCKETS);
        next = wheel->now + (unsigned)__builtin_ctzll(rotate(bits, bucket));
    }
    for (unsigned level = 1; level < CAROM_WHEEL_LEVELS; level++) {
        bits = wheel->occupied[level];
        if (bits == 0)
            continue;
        /* Counted from the bucket behind the one `now` is in; that one comes last, a turn later. */
        uint64_t behind = (wheel->now >> (level * BUCKET_BITS)) + 1;
        unsigned ahead =
            (unsigned)__builtin_ctzll(rotate(bits, (unsigned)(behind % CAROM_WHEEL_BUCKETS)));
        uint64_t time = (behind + ahead) << (level * BUCKET_BITS);
        if (time < next)
            next = time;
    }
    return next;
}

/* Empty a bucket into `list`. */
static void empty(struct carom_wheel *wheel, unsigned level, struct carom_node *list)
{
    unsigned bucket = (unsigned)(wheel->now >> (level * BUCKET_BITS)) % CAROM_WHEEL_BUCKETS;
    wheel->occupied[level] &= ~((uint64_t)1 << bucket);
    carom_list_splice(list, &wheel->buckets[level][bucket]);
}

/* Enter the millisecond wheel->now: cascade the buckets that begin with it, the highest first, and
 * put what is due behind `due`. */
static void enter(struct carom_wheel *wheel, struct carom_node *due)
{
    for (unsigned level = CAROM_WHEEL_LEVELS - 1; level > 0; level--) {
        if (wheel->now % ((uint64_t)1 << (level * BUCKET_BITS)) != 0)
            continue;
        struct carom_node cascading, *node;
        carom_node_init(&cascading);
        empty(wheel, level, &cascading);
        while ((node = carom_list_take(&cascading)) != NULL)
            place(wheel, (struct carom_timer *)node);
    }
    empty(wheel, 0, due);
}

void carom_wheel_advance(struct carom_wheel *wheel, uint64_t now)
{
    if (now < wheel->now)
        now = wheel->now;
    /* First everything that is due is taken out, from one occupied bucket to the next, then it is
     * fired: a fire function finds the clock at `now`, and what it arms for the past goes into the
     * bucket of `now`, which has been emptied and is looked at again by the next advance. */
    struct carom_node due, *node;
    carom_node_init(&due);
    for (uint64_t next; (next = carom_wheel_next(wheel)) <= now;) {
        wheel->now = next;
        enter(wheel, &due);
    }
    wheel->now = now;
    while ((node = carom_list_take(&due)) != NULL) {
        struct carom_timer *timer = (struct carom_timer *)node;
        carom_check(timer->deadline <= now);
        timer->deadline = 0;
        wheel->armed--;
        timer->fire(timer);
    }
}
