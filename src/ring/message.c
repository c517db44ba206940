/* Messages of the VM: reads each once, checks it, and does what it says. */
#include "ring/message.h"

#include <string.h>

#include "http/respond.h"
#include "ring/block.h"
#include "ring/field_list.h"
#include "ring/loan.h"
#include "ring/request.h"

#define ROOM_OUT (CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT)
/* A message as it was when it was taken: the VM may change its memory under our eyes. */
struct message {
    uint32_t flags, status, fields, data, loan, trailers;
    uint32_t fields_loan;
    bool loan_used; /* it comes back by itself */
    uint64_t length;
    uint8_t out[ROOM_OUT]; /* fields, content in the slot, trailers */
};

static uint32_t word(const struct carom_slot *slot, unsigned index)
{
    return atomic_load_explicit(carom_ring_atomic(slot->words, index), memory_order_relaxed);
}

/* False when its parts do not fit. Only what the flags mention is looked at. */
static bool copy_message(struct carom_slot *slot, uint32_t flags, struct message *message)
{
    bool head = (flags & (CAROM_FLAG_HEAD | CAROM_FLAG_INFORM | CAROM_FLAG_UPGRADE)) != 0;
    bool data = (flags & CAROM_FLAG_DATA) != 0;
    message->flags = flags;
    message->loan_used = false;
    message->status = head ? word(slot, CAROM_SLOT_STATUS) : 0;
    message->fields =
        word(slot, CAROM_SLOT_FIELDS_LENGTH); /* also where the head was done before */
    message->data = data ? word(slot, CAROM_SLOT_DATA_LENGTH) : 0;
    message->loan = data ? word(slot, CAROM_SLOT_DATA_LOAN) : 0;
    bool lone_end = (flags & (CAROM_FLAG_END | CAROM_FLAG_DATA)) == CAROM_FLAG_END;
    message->fields_loan = head || lone_end ? word(slot, CAROM_SLOT_FIELDS_LOAN) : 0;
    message->trailers = flags & CAROM_FLAG_END ? word(slot, CAROM_SLOT_OUT_TRAILERS) : 0;
    message->length =
        (uint64_t)word(slot, CAROM_SLOT_WHOLE_HIGH) << 32 | word(slot, CAROM_SLOT_WHOLE_LOW);
    uint64_t here = message->loan == 0 ? message->data : 0;
    uint64_t total = here + message->fields + message->trailers;
    if (total > ROOM_OUT || message->status > 999 || message->loan > CAROM_RING_LOANS ||
        message->fields_loan > CAROM_RING_LOANS)
        return false;
    memcpy(message->out, (const uint8_t *)slot->words + CAROM_SLOT_OUT, (size_t)total);
    return true;
}

/* ---------------------------------------------------------------- loans */

/* Whether a number + 1 is that of a file which is lent; 0 is allowed. */
static bool names_file(struct carom_ring *ring, uint32_t number)
{
    const struct carom_loan *loan = number == 0 ? NULL : carom_ring_loan(ring, number - 1);
    return loan != NULL && atomic_load(&loan->state) == CAROM_LOAN_GIVEN &&
           loan->kind == CAROM_LOAN_FILE;
}

/* The content of a message; false when its loan is none of bytes. */
static bool content_of(struct carom_slot *slot, struct message *message, carom_content *content)
{
    *content = (carom_content){.data = message->out + message->fields, .length = message->data};
    if (message->loan == 0)
        return true;
    struct carom_loan *loan = carom_loan_take(slot->ring, message->loan, CAROM_LOAN_BYTES);
    if (loan == NULL)
        return false;
    message->loan_used = true;
    *content = (carom_content){loan->data, (size_t)loan->length, carom_loan_return, loan};
    return true;
}

/* A whole answer, with the content of the message, or of the file that it names. */
static int respond(struct carom_slot *slot, struct message *message, carom_response *response)
{
    if (!names_file(slot->ring, message->loan)) {
        if (!content_of(slot, message, &response->content))
            return -CAROM_EINVAL;
        return carom_respond(slot->record, response);
    }
    struct carom_loan *loan = carom_loan_take(slot->ring, message->loan, CAROM_LOAN_FILE);
    if (loan == NULL)
        return -CAROM_EINVAL;
    message->loan_used = true;
    const carom_file file = {.descriptor = loan->descriptor,
                             .offset = loan->offset,
                             .length = loan->length,
                             .give_back = carom_loan_return,
                             .owner = loan};
    return carom_respond_file(slot->record, response, &file);
}

/* ---------------------------------------------------------------- fields */

/* The fields that lie in the message, or in the loan that it names: how many, or an error. They are
 * valid until the next message is taken. */
static int64_t take_fields(struct carom_ring *ring, struct message *message, const uint8_t *at,
                           uint32_t length, const carom_field **fields)
{
    if (message->fields_loan == 0)
        return carom_ring_fields_here(&ring->fields, at, length, fields);
    struct carom_loan *loan = carom_loan_take(ring, message->fields_loan, CAROM_LOAN_BYTES);
    if (loan == NULL)
        return -CAROM_EINVAL;
    message->fields_loan = 0;
    int64_t count = carom_ring_fields_lent(&ring->fields, loan->data, (size_t)loan->length,
                                           ring->records->max_response_head, fields);
    carom_loan_return(loan);
    return count;
}

/* ---------------------------------------------------------------- doing it */

/* Whether head and end are a whole response. With trailers they are not, nor where HEAD is answered
 * without a word of the length: what it leaves out is not known to be empty. */
static bool is_whole(const struct carom_slot *slot, const struct message *message)
{
    bool open = !(message->flags & CAROM_FLAG_DATA) && message->length == CAROM_LENGTH_UNKNOWN;
    return (message->flags & CAROM_FLAG_END) && message->trailers == 0 &&
           !(open && slot->record->head.is_head);
}

static int do_head(struct carom_slot *slot, struct message *message)
{
    const carom_field *fields;
    int64_t count = take_fields(slot->ring, message, message->out, message->fields, &fields);
    if (count < 0)
        return (int)count;
    bool phrase = count > 0 && fields[0].name.length == 0;
    carom_response response = {
        .status = (uint16_t)message->status,
        .fields = phrase ? fields + 1 : fields, /* there may be none */
        .field_count = (size_t)count - phrase,
    };
    if (phrase)
        response.phrase = fields[0].value;
    if (message->flags & CAROM_FLAG_INFORM)
        return carom_inform(slot->record, &response);
    if (message->flags & CAROM_FLAG_UPGRADE)
        return carom_upgrade(slot->record, &response);
    if (!is_whole(slot, message))
        return carom_response_begin(slot->record, &response, message->length);
    return respond(slot, message, &response);
}

static int do_data(struct carom_slot *slot, struct message *message)
{
    /* Looked at before the loan is taken, for a failed write gives it back. */
    if (carom_record_unsent(slot->record) >= slot->ring->records->write_buffer &&
        !carom_record_over(slot->record))
        return -CAROM_EAGAIN;
    carom_content content;
    if (!content_of(slot, message, &content))
        return -CAROM_EINVAL;
    return carom_write(slot->record, &content);
}

static int do_end(struct carom_slot *slot, struct message *message)
{
    const carom_field *trailers;
    uint32_t here = message->loan == 0 ? message->data : 0;
    int64_t count = take_fields(slot->ring, message, message->out + message->fields + here,
                                message->trailers, &trailers);
    return count < 0 ? (int)count : carom_end(slot->record, trailers, (size_t)count);
}

/* Head, content and end in order. *left: the flags that are still to be done after EAGAIN. */
static int do_response(struct carom_slot *slot, struct message *message, uint32_t *left)
{
    uint32_t flags = message->flags;
    int error = 0;
    *left = flags;
    if (flags & CAROM_FLAG_RAW) {
        error = carom_respond_raw(slot->record);
        if (error < 0)
            return error;
        *left &= ~(uint32_t)CAROM_FLAG_RAW;
    }
    if (flags & (CAROM_FLAG_HEAD | CAROM_FLAG_INFORM | CAROM_FLAG_UPGRADE)) {
        error = do_head(slot, message);
        if (error < 0 || (flags & (CAROM_FLAG_INFORM | CAROM_FLAG_UPGRADE)))
            return error;
        *left &= ~(uint32_t)CAROM_FLAG_HEAD;
        if (is_whole(slot, message))
            return 0;
    }
    if (flags & CAROM_FLAG_DATA)
        error = do_data(slot, message);
    if (error < 0)
        return error;
    *left &= ~(uint32_t)CAROM_FLAG_DATA;
    return flags & CAROM_FLAG_END ? do_end(slot, message) : 0;
}

/* Loans that a refused message named and nobody took: the VM gets them back. (One that was taken
 * has come back already, and the VM may have lent its number again.) */
static void return_unused(struct carom_slot *slot, const struct message *message)
{
    const uint32_t named[] = {message->loan_used ? 0 : message->loan, message->fields_loan};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        carom_loan_give_back(slot->ring, named[i]);
}

/* ---------------------------------------------------------------- taking it */

static void refuse(struct carom_slot *slot, int error)
{
    slot->words[CAROM_SLOT_ERROR] = (uint32_t)-error;
    carom_slot_tell(slot, CAROM_NEWS_ERROR);
}

/* The VM wants content: into the room that it names, or into a page. */
static void read_content(struct carom_slot *slot, uint32_t flags)
{
    uint32_t number = word(slot, CAROM_SLOT_ROOM_LOAN);
    if (number != 0) {
        struct carom_loan *room =
            slot->room == NULL ? carom_loan_take(slot->ring, number, CAROM_LOAN_ROOM) : NULL;
        if (room == NULL) {
            carom_loan_give_back(slot->ring, number);
            refuse(slot, -CAROM_EINVAL);
            return;
        }
        slot->room = room;
        slot->filled = 0;
        slot->fills = (flags & CAROM_FLAG_FILL) != 0;
    }
    carom_slot_read(slot);
}

/* Leave `flags` in the message, and do what the VM has added to it since it was looked at. FETCH is
 * done from here alone, so that one that is added once the VM has heard of the last is another. */
static void leave_flags(struct carom_slot *slot, uint32_t seen, uint32_t flags)
{
    uint32_t now = atomic_exchange(carom_ring_atomic(slot->words, CAROM_SLOT_FLAGS), flags);
    if (now & ~seen & CAROM_FLAG_CANCEL)
        carom_cancel(slot->record);
    if (now & CAROM_FLAG_FETCH)
        read_content(slot, now);
}

/* Who waits for the message to be taken, hears of that. */
static void tell_room(struct carom_slot *slot)
{
    if (atomic_exchange(carom_ring_atomic(slot->words, CAROM_SLOT_NOTIFY), 0) != 0)
        carom_slot_tell(slot, CAROM_NEWS_ROOM);
}

static void taken(struct carom_slot *slot, uint32_t flags)
{
    slot->state = CAROM_SLOT_HELD;
    if (flags & CAROM_FLAG_RELEASE) {
        if (flags & (CAROM_FLAG_READ | CAROM_FLAG_FETCH))
            carom_loan_give_back(slot->ring, word(slot, CAROM_SLOT_ROOM_LOAN));
        atomic_store(carom_ring_atomic(slot->words, CAROM_SLOT_FLAGS), 0);
        carom_slot_release(slot);
        return;
    }
    if (flags & CAROM_FLAG_READ)
        read_content(slot, flags);
    leave_flags(slot, flags, 0);
    tell_room(slot);
}

static void set_timer(struct carom_slot *slot)
{
    uint32_t time = word(slot, CAROM_SLOT_TIME);
    carom_unwait(slot->record, &slot->timer);
    if (time != CAROM_OFF)
        carom_wait_time(slot->record, time, &slot->timer);
}

/* The message waits for room in the response; what is done already is struck out of it. The VM sees
 * that it waits, and puts the slot into the queue again when it adds something. */
static void block(struct carom_slot *slot, uint32_t seen, uint32_t left)
{
    uint32_t done = CAROM_FLAG_WATCH | CAROM_FLAG_TIMER | CAROM_FLAG_CANCEL | CAROM_FLAG_FETCH;
    if ((left & CAROM_FLAG_READ) == 0) /* else FILL is that one's */
        done |= CAROM_FLAG_FILL;
    slot->state = CAROM_SLOT_BLOCKED;
    carom_wait(slot->record, CAROM_WRITABLE, &slot->writable);
    leave_flags(slot, seen, (left & ~done) | CAROM_FLAG_WAITS);
}

/* A message for another request than the slot's, or for none. It goes all the same: what the VM has
 * to say of the request that is there would wait for it for ever. */
static void drop_message(struct carom_slot *slot)
{
    slot->ring->control[CAROM_RING_BAD_COMMANDS]++;
    atomic_store(carom_ring_atomic(slot->words, CAROM_SLOT_FLAGS), 0);
    if (slot->state < CAROM_SLOT_HELD)
        return;
    carom_unwait(slot->record, &slot->writable);
    slot->state = CAROM_SLOT_HELD;
    tell_room(slot);
}

void carom_slot_take_message(struct carom_slot *slot)
{
    uint32_t flags = atomic_load(carom_ring_atomic(slot->words, CAROM_SLOT_FLAGS));
    if (flags == 0) /* it was added to a message, and taken with that */
        return;
    if (slot->state < CAROM_SLOT_HELD || word(slot, CAROM_SLOT_ECHO) != slot->generation) {
        drop_message(slot);
        return;
    }
    carom_unwait(slot->record, &slot->writable);
    if (flags & CAROM_FLAG_WATCH)
        slot->watched = true;
    if (flags & CAROM_FLAG_TIMER)
        set_timer(slot);
    if (flags & CAROM_FLAG_CANCEL)
        carom_cancel(slot->record);
    const uint32_t response = CAROM_FLAG_RAW | CAROM_FLAG_INFORM | CAROM_FLAG_UPGRADE |
                              CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END;
    if (flags & response) {
        struct message message;
        uint32_t left = flags;
        int error = copy_message(slot, flags, &message) ? do_response(slot, &message, &left)
                                                        : -CAROM_EINVAL;
        if (error == -CAROM_EAGAIN) {
            block(slot, flags, left);
            return;
        }
        if (error < 0)
            return_unused(slot, &message);
        if (error < 0 && error != -CAROM_ECANCELED) {
            refuse(slot, error);
            flags &= ~(uint32_t)CAROM_FLAG_RELEASE; /* the VM answers otherwise */
        }
    }
    taken(slot, flags);
}
