/* Records that handlers hold: a timer looks at them and logs those that are held for too long; the
 * program may ask how each stands. */
#include "service/held.h"

#include <stdio.h>

#include "base/assert.h"

/* Looked at so often in the time after which a record is told of: it is told late by that much. */
#define LOOKS 4
/* Bytes of a target that a line of log has room for. */
#define TARGET_SHOWN 200

static uint64_t age_of(const carom_record *record)
{
    return record->records->now - record->life->since;
}

static carom_progress progress_of(const carom_record *record)
{
    switch ((enum carom_response_state)record->response) {
    case CAROM_RESPONSE_OPEN:
        return CAROM_PROGRESS_UNANSWERED;
    case CAROM_RESPONSE_BEGUN:
        return CAROM_PROGRESS_BEGUN;
    case CAROM_RESPONSE_WHOLE:
    case CAROM_RESPONSE_SENT:
        return CAROM_PROGRESS_ANSWERED;
    case CAROM_RESPONSE_CANCELLED:
        break;
    }
    return CAROM_PROGRESS_CANCELLED;
}

/* ---------------------------------------------------------------- the log */

/* Tell of those records that have come of age, being held for `limit`, after `before`. */
static void tell(const struct carom_held *held, uint64_t limit, uint64_t before, const char *what)
{
    struct carom_life_cursor cursor = {0};
    const carom_record *record, *oldest = NULL;
    unsigned count = 0;
    while ((record = carom_lives_next(&held->records->lives, &cursor)) != NULL) {
        uint64_t of_age = record->life->since + limit;
        if (of_age <= before || of_age > held->records->now)
            continue;
        count++;
        if (oldest == NULL || record->life->since < oldest->life->since)
            oldest = record;
    }
    if (oldest == NULL)
        return;
    carom_slice target = carom_request_target(oldest);
    int shown = (int)(target.length < TARGET_SHOWN ? target.length : TARGET_SHOWN);
    carom_log_line(held->log, CAROM_LOG_WARNING,
                   "%s, and %u %s not released; the oldest, after %llu ms, is %s: %.*s", what,
                   count, count == 1 ? "record is" : "records are",
                   (unsigned long long)age_of(oldest), carom_progress_name(progress_of(oldest)),
                   shown, target.data);
}

void carom_held_tell_shutdown(const struct carom_held *held)
{
    tell(held, 0, 0, "the deadline of the shutdown has passed");
}

/* Each is told of once: in the first look after it has come of age. */
static void look(struct carom_timer *timer)
{
    struct carom_held *held = carom_container(timer, struct carom_held, timer);
    char what[64];
    snprintf(what, sizeof what, "held_warning: %u ms have passed", held->limit);
    tell(held, held->limit, held->looked, what);
    held->looked = held->records->now;
}

void carom_held_init(struct carom_held *held, struct carom_records *records,
                     const struct carom_log_sink *log, uint32_t limit)
{
    *held = (struct carom_held){.records = records, .log = log, .limit = limit};
    carom_timer_init(&held->timer, look);
}

void carom_held_turn(struct carom_held *held)
{
    if (carom_likely(held->limit == CAROM_OFF) || held->records->pool.in_use == 0 ||
        carom_timer_armed(&held->timer))
        return;
    uint32_t pause = held->limit / LOOKS > 0 ? held->limit / LOOKS : 1;
    carom_timer_arm(&held->records->wheel, &held->timer, held->records->now + pause);
}

/* ---------------------------------------------------------------- the program */

carom_record_info carom_held_info(carom_record *record)
{
    carom_outcome outcome = carom_record_outcome(record);
    return (carom_record_info){
        .method = carom_request_method(record),
        .target = carom_request_target(record),
        .progress = progress_of(record),
        .age = age_of(record),
        .content_received = outcome.content_received,
        .content_sent = outcome.content_sent,
        .ref = carom_record_ref(record),
    };
}

const char *carom_progress_name(carom_progress progress)
{
    static const char *const names[] = {"unanswered", "begun", "answered", "cancelled"};
    return (unsigned)progress < sizeof names / sizeof *names ? names[progress] : "unknown";
}
