/* pools: an experiment. When should a pool hand free objects back to the allocator?
 *
 *     pools
 *     pools --burst     objects held and allocator calls over a burst, as columns: for bench/plot
 *
 * Two forms of the naive rule, "at each recycle free the object (or all the surplus) when the free
 * ones exceed the ones in use", against the windowed rule of base/pool.h, under three loads:
 * steady, in batches, and one request at a time. Prints allocator calls per 1000 requests and
 * nanoseconds per take and give. No rule has a floor here, so that only the rules differ.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "timing.h"

#define OBJECT_SIZE 1024
#define BATCH       256
#define REQUESTS    (BATCH * 8192u)
#define TICK        (BATCH * 256u) /* requests between ticks: half a second of 131,000 a second */
#define ROUNDS      5

struct rule {
    const char *name;
    void *(*take)(void);
    void (*give)(void *object);
    void (*tick)(void);
};

/* ---------------------------------------------------------------- the rules */

struct naive {
    void *free; /* first free object; its first word points to the next */
    uint32_t free_count, in_use;
};

static struct naive naive;
static struct carom_pool windowed;

static void release_one(void)
{
    void *object = naive.free;

    naive.free = *(void **)object;
    naive.free_count--;
    carom_memory_give(object, OBJECT_SIZE);
}

static void *naive_take(void)
{
    void *object = naive.free;

    naive.in_use++;
    if (object == NULL)
        return carom_memory_take(OBJECT_SIZE);
    naive.free = *(void **)object;
    naive.free_count--;
    return object;
}

static void put_back(void *object)
{
    *(void **)object = naive.free;
    naive.free = object;
    naive.free_count++;
    naive.in_use--;
}

static void naive_give_one(void *object)
{
    put_back(object);
    if (naive.free_count > naive.in_use)
        release_one();
}

static void naive_give_surplus(void *object)
{
    put_back(object);
    while (naive.free_count > naive.in_use)
        release_one();
}

static void naive_tick(void)
{
}

static void *windowed_take(void)
{
    return carom_pool_take(&windowed);
}

static void windowed_give(void *object)
{
    carom_pool_give(&windowed, object);
}

static void windowed_tick(void)
{
    carom_pool_tick(&windowed);
}

static const struct rule rules[] = {
    {"naive: free the object", naive_take, naive_give_one, naive_tick},
    {"naive: free the surplus", naive_take, naive_give_surplus, naive_tick},
    {"windowed (base/pool.h)", windowed_take, windowed_give, windowed_tick},
};

/* ---------------------------------------------------------------- the loads */

static void *objects[BATCH];

/* A request writes to the first cache line of its object, as a record does. */
static void *begin(const struct rule *rule)
{
    void *object = rule->take();

    if (object == NULL) {
        fprintf(stderr, "pools: out of memory\n");
        exit(1);
    }
    memset(object, 1, 64);
    return object;
}

/* BATCH requests are in flight all the time; the oldest ends when one begins. */
static void steady(const struct rule *rule)
{
    for (uint32_t i = 0; i < BATCH; i++)
        objects[i] = begin(rule);
    for (uint32_t i = 0; i < REQUESTS - BATCH; i++) {
        rule->give(objects[i % BATCH]);
        objects[i % BATCH] = begin(rule);
        if (i % TICK == 0)
            rule->tick();
    }
    for (uint32_t i = 0; i < BATCH; i++)
        rule->give(objects[i]);
}

/* BATCH requests begin, then all of them end. */
static void batches(const struct rule *rule)
{
    for (uint32_t i = 0; i < REQUESTS; i += BATCH) {
        for (uint32_t k = 0; k < BATCH; k++)
            objects[k] = begin(rule);
        for (uint32_t k = 0; k < BATCH; k++)
            rule->give(objects[k]);
        if (i % TICK == 0)
            rule->tick();
    }
}

static void one_by_one(const struct rule *rule)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        rule->give(begin(rule));
        if (i % TICK == 0)
            rule->tick();
    }
}

/* ---------------------------------------------------------------- measuring */

static void measure(const char *load, void (*run)(const struct rule *), const struct rule *rule)
{
    double times[ROUNDS];
    uint64_t taken = 0;

    for (int i = 0; i < ROUNDS; i++) {
        naive = (struct naive){0};
        carom_pool_init(&windowed, OBJECT_SIZE, 0);
        uint64_t before = carom_memory_taken();
        double start = thread_time();
        run(rule);
        times[i] = (thread_time() - start) / REQUESTS;
        taken = carom_memory_taken() - before;
        while (naive.free != NULL)
            release_one();
        carom_pool_finish(&windowed);
    }
    double middle = median(times, ROUNDS);
    /* Each object that was taken from the allocator is given back once: two calls. */
    printf("| %-10s | %-23s | %8.1f | %6.1f |\n", load, rule->name,
           2000.0 * (double)taken / REQUESTS, middle);
}

/* ---------------------------------------------------------------- a burst */

#define PEAK   2000u
#define LENGTH 14000 /* ms */

/* Twenty in flight; in the third second as many as PEAK, for one second. */
static uint32_t wanted(int millisecond)
{
    int in = millisecond - 2000;

    if (in < 0 || in >= 1500)
        return 20;
    if (in < 250)
        return 20 + (PEAK - 20) * (uint32_t)in / 250;
    return in < 1250 ? PEAK : 20 + (PEAK - 20) * (uint32_t)(1500 - in) / 250;
}

/* In each millisecond those in flight end, then others begin: a turn of an event loop. */
static void burst(const struct rule *rule, uint32_t *held, uint64_t *calls, int length)
{
    static void *flying[PEAK];
    uint32_t count = 0;
    uint64_t before = carom_memory_taken();

    naive = (struct naive){0};
    carom_pool_init(&windowed, OBJECT_SIZE, 0);
    for (int t = 0; t < length; t++) {
        while (count > 0)
            rule->give(flying[--count]);
        while (count < wanted(t))
            flying[count++] = begin(rule);
        if (t % CAROM_POOL_WINDOW == 0)
            rule->tick();
        held[t] = count + naive.free_count + windowed.free_count;
        calls[t] = carom_memory_taken() - before;
    }
    while (count > 0)
        rule->give(flying[--count]);
    while (naive.free != NULL)
        release_one();
    carom_pool_finish(&windowed);
}

static void print_burst(void)
{
    static uint32_t held[2][LENGTH];
    static uint64_t calls[2][LENGTH];

    burst(&rules[2], held[0], calls[0], LENGTH);
    burst(&rules[0], held[1], calls[1], LENGTH);
    printf("ms in-flight held held-naive allocated allocated-naive\n");
    for (int t = 0; t < LENGTH; t += 10)
        printf("%d %u %u %u %llu %llu\n", t, wanted(t), held[0][t], held[1][t],
               (unsigned long long)calls[0][t], (unsigned long long)calls[1][t]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct rule *);
    } loads[] = {{"steady", steady}, {"batches", batches}, {"one by one", one_by_one}};

    if (argc > 1 && strcmp(argv[1], "--burst") == 0) {
        print_burst();
        return 0;
    }
    printf("| load       | rule                    | allocator calls per 1000 requests | "
           "ns per take and give |\n| --- | --- | ---: | ---: |\n");
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++)
        for (size_t k = 0; k < sizeof rules / sizeof rules[0]; k++)
            measure(loads[i].name, loads[i].run, &rules[k]);
    return 0;
}
