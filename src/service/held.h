/* Records that handlers hold: those that are held for too long are logged, and the program may ask
 * for all of them. */
#ifndef CAROM_SERVICE_HELD_H
#define CAROM_SERVICE_HELD_H

#include "base/log.h"
#include "record/record.h"

/* Of a worker: looks at its records from time to time, where options.held_warning is set. */
struct carom_held {
    struct carom_records *records;
    const struct carom_log_sink *log;
    uint32_t limit;           /* ms that a record may be held before the log says so; CAROM_OFF */
    struct carom_timer timer; /* armed while records are in use */
    uint64_t looked;          /* when it looked the last time */
};

void carom_held_init(struct carom_held *held, struct carom_records *records,
                     const struct carom_log_sink *log, uint32_t limit);
/* At the end of a turn: while records are in use, let the timer run that looks for those held for
 * too long. */
void carom_held_turn(struct carom_held *held);
/* The deadline of a shutdown has passed, and handlers have had a turn to release their records. Log
 * those that they still hold, since the service cannot end before they are released. */
void carom_held_tell_shutdown(const struct carom_held *held);

/* What the program is told of a record that a handler holds. */
carom_record_info carom_held_info(carom_record *record);

#endif
