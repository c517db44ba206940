/* Coverage marks: places in the code that the simulation must reach. Compiled to nothing unless
 * CAROM_MARKS is defined, as it is for the simulation alone (test/simulate), which fails when a
 * mark, or an edge of a marked table of moves, was never reached. Not for threads. */
#ifndef CAROM_BASE_MARK_H
#define CAROM_BASE_MARK_H

#ifdef CAROM_MARKS

#include <stdint.h>

struct carom_mark {
    const char *name;
    uint64_t count;
};

#define CAROM_MARK_STATES 8

/* A state machine: its table of moves, and how often each was made. */
struct carom_mark_table {
    const char *name;
    const uint8_t *moves;
    uint32_t states;
    uint64_t counts[CAROM_MARK_STATES][CAROM_MARK_STATES];
};

/* The linker gathers the marks of all files, reached or not: pointers, as those lie without gaps.
 */
extern struct carom_mark *const __start_carom_marks[], *const __stop_carom_marks[];
extern struct carom_mark_table *const __start_carom_mark_tables[],
    *const __stop_carom_mark_tables[];

#define CAROM_MARK_GATHER(section_name) __attribute__((section(section_name), used))

#define CAROM_MARK(text)                                                                           \
    do {                                                                                           \
        static struct carom_mark carom_mark_here = {text, 0};                                      \
        static struct carom_mark *const carom_mark_place CAROM_MARK_GATHER("carom_marks") =        \
            &carom_mark_here;                                                                      \
        (void)carom_mark_place;                                                                    \
        carom_mark_here.count++;                                                                   \
    } while (0)
#define CAROM_MARK_IF(condition, text)                                                             \
    do {                                                                                           \
        if (condition)                                                                             \
            CAROM_MARK(text);                                                                      \
    } while (0)
#define carom_mark_states(text, table)                                                             \
    static struct carom_mark_table carom_mark_of_##table = {                                       \
        text, table, sizeof(table) / sizeof *(table), {{0}}};                                      \
    static struct carom_mark_table *const carom_mark_place_of_##table CAROM_MARK_GATHER(           \
        "carom_mark_tables") = &carom_mark_of_##table

static inline void carom_mark_move(const uint8_t *moves, uint8_t from, uint8_t to)
{
    struct carom_mark_table *const *table = __start_carom_mark_tables;
    for (; table < __stop_carom_mark_tables; table++)
        if ((*table)->moves == moves)
            (*table)->counts[from][to]++;
}

#else

#define CAROM_MARK(text)                 ((void)0)
#define CAROM_MARK_IF(condition, text)   ((void)sizeof(!(condition)))
#define carom_mark_states(text, table)   _Static_assert(sizeof(table) > 0, text)
#define carom_mark_move(moves, from, to) ((void)0)

#endif

#endif
