/* The record: one HTTP exchange, from the first byte of its request until both sides have let go.
 *
 * Two parties hold it, each by one bit: the *exchange* (the connection below, from take until the
 * response is sent or never will be) and the *handler* (from its call until carom_release). When
 * both bits are gone the record is recycled; nothing else recycles it, so it happens once.
 *
 * The record keeps the state of the request and of the response, the bytes of both on their way,
 * the reason of its end (written once), and who waits. How bytes get on the wire is the exchange's
 * business: it is reached through carom_exchange_ops, and it may be HTTP/1.1 or anything else. */
#ifndef CAROM_RECORD_RECORD_H
#define CAROM_RECORD_RECORD_H

#include <pthread.h>

#include "base/inbox.h"
#include "base/list.h"
#include "base/page.h"
#include "base/pool.h"
#include "base/queue.h"
#include "base/states.h"
#include "base/wheel.h"
#include "carom.h"
#include "record/fields.h"
#include "record/life.h"

struct carom_core;
struct carom_response_plan;
struct carom_tunnel;

/* What the records of one worker share. The count of records in use is the signal that all is
 * over: a drain ends when it and the connections are at zero. */
struct carom_records {
    struct carom_pool pool;     /* records, each with options.record_state bytes behind it */
    struct carom_lives lives;   /* of all records that the pool has made */
    struct carom_pool segments; /* of all queues */
    struct carom_pool tables;   /* of fields */
    struct carom_pages pages;
    struct carom_arena outgoing; /* response heads, copied content */
    struct carom_wheel wheel;
    struct carom_node ready; /* wakers to fire in the next pass */
    struct carom_inbox inbox;
    void (*rouse)(struct carom_records *records);      /* wake the worker; any thread */
    void (*read_clock)(struct carom_records *records); /* set `now` afresh */
    uint32_t state_size;
    uint32_t max_fields;
    uint32_t write_buffer;
    uint32_t max_response_head;
    struct carom_guest *guest; /* or NULL */
    pthread_t thread;          /* of the last turn */
    bool in_turn;  /* false: the worker is outside its turn and must be told of new work */
    bool draining; /* carom_records_drain */
    uint64_t now;  /* ms of the worker's clock, read once a turn */
    uint64_t ended[CAROM_REASON_COUNT];
    uint64_t cancellations, timeouts;
    uint64_t refused; /* requests that were answered 503, since what they needed was taken */
};

/* Takes part in the turns of a worker, beside the handler: a ring. */
struct carom_guest {
    /* In each round of a turn; true when it has done something. */
    bool (*work)(struct carom_guest *guest);
    /* The worker is about to sleep; false when the guest has work, and the worker must not. */
    bool (*may_sleep)(struct carom_guest *guest);
    /* Whether `most` or more of the requests that were given to it have not been heard of yet by
     * whom it serves, or more than the guest itself allows. After it has answered true, the guest
     * sees to it that a turn comes as soon as the answer would be false. */
    bool (*behind)(struct carom_guest *guest, uint32_t most);
    /* The worker has woken up. */
    void (*awake)(struct carom_guest *guest);
    /* What carom_pool_above_floor and carom_pool_tick are for a pool: whether it holds memory that
     * may go back to the allocator, and a window of time is over. */
    bool (*above_floor)(const struct carom_guest *guest);
    void (*tick)(struct carom_guest *guest);
};

enum carom_request_state {
    CAROM_REQUEST_HEAD,    /* its head is being read */
    CAROM_REQUEST_CONTENT, /* content is to come */
    CAROM_REQUEST_WHOLE,   /* all has come */
    CAROM_REQUEST_DROPPED, /* nobody will read the rest */
};

enum carom_response_state {
    CAROM_RESPONSE_OPEN,      /* no final head yet */
    CAROM_RESPONSE_BEGUN,     /* head given, content to come */
    CAROM_RESPONSE_WHOLE,     /* all given, not all sent */
    CAROM_RESPONSE_SENT,      /* all has left: carom_record_sent */
    CAROM_RESPONSE_CANCELLED, /* will never be whole */
};

/* So few bytes of content are copied faster than they are pointed at. */
#define CAROM_COPY_AT_MOST 256

/* Who holds a record. Beside the handler's hold: another has that (carom_record_take_over). */
enum carom_hold { CAROM_HOLD_EXCHANGE = 1, CAROM_HOLD_HANDLER = 2, CAROM_HOLD_TAKEN = 4 };

/* For what a waker waits: the edges, and the timer. */
enum { CAROM_WAIT_TIMER = CAROM_EDGE_COUNT, CAROM_WAIT_COUNT };

/* What a record asks of its exchange. Called only while the exchange holds the record, but for
 * `core` and `recycled`. */
struct carom_exchange_ops {
    /* Encode a planned head (a final one when plan->status >= 200) into record->out. The content of
     * a whole response may be taken along, copied, when it is small: content_written and
     * content_framed then count it. 0 or error. */
    int (*head)(carom_record *record, const struct carom_response_plan *plan,
                const carom_response *response);
    /* The response is to be bytes as they are, without a head of ours, and the connection ends
     * behind it. NULL: there is no such thing. */
    void (*raw)(carom_record *record);
    /* The response has ended, with these trailers (checked): write what ends it into record->tail.
     * 0 or -CAROM_ENOMEM. */
    int (*end)(carom_record *record, const carom_field *trailers, size_t count);
    /* Something is to be sent, or the response was cancelled: look at it before the turn ends. */
    void (*changed)(carom_record *record);
    /* Somebody wants content (record->wanted): let it come. Or nobody does any more. */
    void (*want)(carom_record *record);
    /* Content that waits below comes into memory of the reader's, behind all that came before: how
     * many bytes. NULL: it cannot. */
    size_t (*receive)(carom_record *record, uint8_t *to, size_t room);
    /* Bytes of this response that left record->body and were not handed to the kernel: what a
     * writer waits for. */
    uint64_t (*unsent)(const carom_record *record);
    /* Those that the peer is not known to have: what carom_outcome does not count. On a stream of
     * bytes the same, for there the kernel sends again what is lost and tells nothing; a transport
     * of our own knows better. */
    uint64_t (*unreceived)(const carom_record *record);
    /* The handler has let go. */
    void (*released)(carom_record *record);
    /* The core of its connection (http/core.h), by which all else is asked that is about that. */
    struct carom_core *(*core)(const carom_record *record);
    /* The record is about to be recycled. */
    void (*recycled)(carom_record *record);
};

/* What is joined to a record and ends with it: a watched descriptor. */
struct carom_joined {
    struct carom_joined *next, **from; /* `from` is what points to it; NULL: joined to nothing */
    /* The exchange is over before the response was complete, or the record is released; then it
     * must leave. */
    void (*over)(struct carom_joined *joined);
    void (*released)(struct carom_joined *joined);
};

struct carom_record {
    /* What can be read while it lies in the pool, too. */
    struct carom_node link;  /* in its connection, in order */
    struct carom_life *life; /* its own, as long as the pool has it */
    struct carom_records *records;
    uint8_t holds;

    const struct carom_exchange_ops *ops;
    void *exchange; /* valid until recycled */

    uint8_t request;   /* enum carom_request_state */
    uint8_t response;  /* enum carom_response_state */
    uint8_t reason;    /* carom_reason; written once */
    uint8_t body_kind; /* enum carom_body of the response, once begun */
    uint8_t waits;     /* a bit for each of `wakers` that is there */
    bool wanted;       /* the reader found nothing: content may come */
    bool collecting;   /* the waiting reader wants all of it */
    bool continue_due; /* 100 Continue is to be sent when content is wanted */
    bool framed;       /* the whole response is in the stream */
    bool closes;       /* the connection ends after this response */
    bool lies_in_file; /* the content of the response */
    uint16_t refused;  /* the status with which the engine answers instead of the handler; or 0 */
    uint16_t refusal;  /* the same, if the handler does not: no request, as carom_admission_offer
                          says */
    uint8_t refusal_reason; /* carom_reason, then */

    struct carom_request_head head;
    struct carom_fields trailers;
    struct carom_queue content; /* of the request, not read yet */
    size_t handed;              /* bytes of its first segment that the reader looks at */
    uint64_t collect_limit;
    uint64_t content_received;
    uint32_t content_rate; /* that is waited for, if not options.content_rate; or 0 */

    struct carom_queue out;    /* heads, ready for the wire */
    struct carom_queue body;   /* content, not framed yet */
    struct carom_queue tail;   /* what follows the content */
    uint64_t content_expected; /* what the handler must write; UINT64_MAX: any */
    uint64_t content_written;  /* by the handler */
    uint64_t content_framed;   /* moved from body into the stream */
    uint64_t content_sent;
    uint64_t owed;       /* of its content, as its connection has counted */
    uint64_t stream_end; /* position in the stream behind the last byte that was moved there */

    carom_waker *wakers[CAROM_WAIT_COUNT];
    struct carom_joined *joined; /* the first */
    struct carom_tunnel *tunnel; /* that holds it in the handler's place; or NULL */
    struct carom_timer deadline; /* of the handler */
    max_align_t state[];         /* the handler's own */
};

/* Make a worker's records ready; nothing is allocated yet. `page_size` bytes make a page. */
void carom_records_init(struct carom_records *records, const carom_options *options,
                        uint32_t page_size, uint64_t now);
/* All records must be recycled. */
void carom_records_finish(struct carom_records *records);
/* A shutdown has begun: handlers that wait for it are told. */
void carom_records_drain(struct carom_records *records);

/* A fresh record, held by the exchange; NULL when out of memory. */
carom_record *carom_record_take(struct carom_records *records, const struct carom_exchange_ops *ops,
                                void *exchange);
/* Let go of one hold; recycles the record with the last. */
void carom_record_drop(carom_record *record, enum carom_hold hold);

/* There is work outside a turn: see that a turn comes. */
void carom_records_work(struct carom_records *records);
/* The time; outside a turn the clock is read. */
uint64_t carom_records_now(struct carom_records *records);

/* Join something to the record, and take it off. */
void carom_record_join(carom_record *record, struct carom_joined *joined);
void carom_joined_leave(struct carom_joined *joined);

/* Give the record to the handler: it holds it, with zeroed state. */
void carom_record_hand_over(carom_record *record);

/* The handler's hold becomes another's, who ends it by carom_record_let_go: for the handler it is
 * as released. */
void carom_record_take_over(carom_record *record);
/* The hold of the handler, or of who took it over, ends: carom_release, behind its checks. */
void carom_record_let_go(carom_record *record);

/* Write the reason, once; later ones are ignored. */
void carom_record_set_reason(carom_record *record, carom_reason reason);
/* Whether the exchange is over for the handler: its calls say ECANCELED. */
static inline bool carom_record_over(const carom_record *record)
{
    return record->reason > CAROM_REASON_COMPLETE;
}

/* Why a public call on a record is refused: -CAROM_EINVAL, there is none, or -CAROM_ESTATE, the
 * handler has released it; in debug builds that ends the program. So does, always, a call on
 * another thread than its worker's: there we may not even look. */
int carom_record_refuses(const carom_record *record, const char *call);

/* Whether the handler holds the record, as far as that can be seen: it may have been released and
 * be another's by now. */
static inline bool carom_record_is_held(const carom_record *record)
{
    return record != NULL &&
           (record->holds & (CAROM_HOLD_HANDLER | CAROM_HOLD_TAKEN)) == CAROM_HOLD_HANDLER;
}

/* What every call of the handler may rely on: it holds the record, and this is its worker's
 * thread. 0, or as carom_record_refuses. */
static inline int carom_record_check(const carom_record *record, const char *call)
{
    if (carom_likely(carom_record_is_held(record) &&
                     pthread_equal(record->records->thread, pthread_self())))
        return 0;
    return carom_record_refuses(record, call);
}

/* The same for what only tells of the record, on whatever thread: false, and the call has nothing
 * to tell. */
static inline bool carom_record_tells(const carom_record *record, const char *call)
{
    if (carom_likely(carom_record_is_held(record)))
        return true;
    carom_record_refuses(record, call);
    return false;
}

/* The one way to cancel: write the reason, drop what was to be sent and what nobody reads, wake
 * everybody. The exchange notices by its own call or by `changed`. Idempotent. */
void carom_record_cancel(carom_record *record, carom_reason reason);
/* The handler is shut out, because the engine answers `status` in its place: like cancel, but the
 * response stays open for that answer. The response must be open. */
void carom_record_refuse(carom_record *record, carom_reason reason, uint16_t status);
/* Whether a connection with `siblings` records may have one more, when `used` of `most` are: not
 * more than it leaves for others, so that whoever has none gets one. */
static inline bool carom_share_is_left(uint32_t siblings, uint32_t used, uint32_t most)
{
    return (uint64_t)siblings + used < most;
}

/* The response has left whole, and the exchange keeps nothing of it: a stream of bytes has handed
 * it to the kernel; of a transport that sends again by itself, the peer has acknowledged it. */
void carom_record_sent(carom_record *record);

/* Read content into `room` bytes at `to`; *copied tells how many. Returns 0 when that was the last
 * of it, 1 when the room is full, or an error of carom_request_read. */
int carom_request_copy(carom_record *record, uint8_t *to, size_t room, size_t *copied);

/* Content has come: wake the reader when it is what it waits for. */
void carom_record_content_added(carom_record *record);
/* The rest of the content will not come, or nobody will read it. */
void carom_record_content_dropped(carom_record *record);
/* All content has come. */
void carom_record_content_whole(carom_record *record);
/* What carom_write compares with options.write_buffer. */
uint64_t carom_record_unsent(const carom_record *record);
/* The kernel has taken bytes: wake the writer when there is room. */
void carom_record_wake_writer(carom_record *record);

void carom_request_move(carom_record *record, enum carom_request_state to);
void carom_response_move(carom_record *record, enum carom_response_state to);

#endif
