/* The request as the handler sees it: head, content, trailers. */
#include <string.h>

#include "record/record.h"
#include "record/waker.h"

static const carom_slice nothing = {NULL, 0};

carom_slice carom_request_method(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return nothing;
    return carom_fields_slice(&record->head.fields, record->head.method);
}

carom_slice carom_request_target(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return nothing;
    return carom_fields_slice(&record->head.fields, record->head.target);
}

int carom_request_version(const carom_record *record)
{
    return carom_record_tells(record, __func__) ? record->head.version : 0;
}

size_t carom_request_field_count(const carom_record *record)
{
    return carom_record_tells(record, __func__) ? record->head.fields.count : 0;
}

static carom_field field_at(const struct carom_fields *fields, size_t index, const char *call)
{
    if (index >= fields->count)
        carom_misused(call, "there is no line of this index");
    return carom_fields_at(fields, index);
}

carom_field carom_request_field_at(const carom_record *record, size_t index)
{
    if (!carom_record_tells(record, __func__))
        return (carom_field){nothing, nothing};
    return field_at(&record->head.fields, index, __func__);
}

carom_slice carom_request_field_next(const carom_record *record, const char *name, size_t *cursor)
{
    if (!carom_record_tells(record, __func__) || name == NULL || cursor == NULL)
        return nothing;
    return carom_fields_next(&record->head.fields, name, cursor);
}

carom_slice carom_request_field(const carom_record *record, const char *name)
{
    size_t cursor = 0;
    if (!carom_record_tells(record, __func__) || name == NULL)
        return nothing;
    return carom_fields_next(&record->head.fields, name, &cursor);
}

carom_slice carom_request_protocol(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return nothing;
    if (record->head.protocol.length > 0)
        return carom_fields_slice(&record->head.fields, record->head.protocol);
    if (record->head.wants_upgrade)
        return carom_request_field(record, "upgrade");
    return nothing;
}

size_t carom_request_trailer_count(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return 0;
    return record->request == CAROM_REQUEST_WHOLE ? record->trailers.count : 0;
}

carom_field carom_request_trailer_at(const carom_record *record, size_t index)
{
    if (!carom_record_tells(record, __func__))
        return (carom_field){nothing, nothing};
    return field_at(&record->trailers, index, __func__);
}

int64_t carom_request_content_length(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return 0;
    switch (record->head.framing) {
    case CAROM_FRAMING_LENGTH:
        return (int64_t)record->head.content_length;
    case CAROM_FRAMING_CHUNKED:
        return -1;
    default:
        return record->head.is_connect ? -1 : 0;
    }
}

/* The reader has what it was handed. */
static void drop_handed(carom_record *record)
{
    carom_queue_consume(&record->content, &record->records->segments, record->handed);
    record->handed = 0;
}

int carom_request_read(carom_record *record, carom_slice *bytes)
{
    int error = carom_record_check(record, __func__);
    if (bytes == NULL)
        return -CAROM_EINVAL;
    *bytes = nothing;
    if (error < 0)
        return error;
    drop_handed(record);
    if (carom_record_over(record)) {
        carom_queue_clear(&record->content, &record->records->segments);
        return -CAROM_ECANCELED;
    }
    const struct carom_segment *first = record->content.first;
    if (first != NULL) {
        record->handed = (size_t)first->length;
        *bytes = (carom_slice){(const char *)first->data, record->handed};
        return 1;
    }
    if (record->request == CAROM_REQUEST_WHOLE)
        return 0;
    if (record->request == CAROM_REQUEST_DROPPED)
        return -CAROM_ECANCELED;
    record->wanted = true;
    record->ops->want(record);
    return -CAROM_EAGAIN;
}

/* What has come, as carom_request_copy. */
static int copy_pieces(carom_record *record, uint8_t *to, size_t room, size_t *copied)
{
    carom_slice piece;
    int result = 1;
    while (*copied < room && (result = carom_request_read(record, &piece)) > 0) {
        size_t left = room - *copied;
        record->handed = piece.length < left ? piece.length : left;
        memcpy(to + *copied, piece.data, record->handed);
        *copied += record->handed;
    }
    return result;
}

int carom_request_copy(carom_record *record, uint8_t *to, size_t room, size_t *copied)
{
    *copied = 0;
    int result = copy_pieces(record, to, room, copied);
    if (result == -CAROM_EAGAIN && record->ops->receive != NULL) {
        size_t more = record->ops->receive(record, to + *copied, room - *copied);
        *copied += more;
        if (more > 0)
            result = *copied == room ? 1 : copy_pieces(record, to, room, copied);
    }
    if (result <= 0)
        return result;
    drop_handed(record);
    return record->content.length == 0 && record->request == CAROM_REQUEST_WHOLE ? 0 : 1;
}

/* Whether more than `limit` has come, or is announced. */
static bool content_exceeds(const carom_record *record, uint64_t limit)
{
    if (record->content.length > limit)
        return true;
    return record->head.framing == CAROM_FRAMING_LENGTH &&
           record->request == CAROM_REQUEST_CONTENT && record->head.content_length > limit;
}

int carom_request_collect(carom_record *record, uint64_t limit, carom_waker *waker)
{
    int error = carom_record_check(record, __func__);
    if (error == 0)
        error = carom_waker_wait(record, CAROM_READABLE, waker);
    if (error < 0)
        return error;
    if (carom_record_over(record) || record->request == CAROM_REQUEST_DROPPED) {
        carom_waker_ready(record, CAROM_READABLE, -CAROM_ECANCELED);
    } else if (content_exceeds(record, limit)) {
        carom_waker_ready(record, CAROM_READABLE, -CAROM_ETOOBIG);
    } else if (record->request != CAROM_REQUEST_CONTENT) {
        carom_waker_ready(record, CAROM_READABLE, 0);
    } else {
        record->collecting = true;
        record->collect_limit = limit;
        record->wanted = true;
        record->ops->want(record);
    }
    return 0;
}

uint64_t carom_request_buffered(const carom_record *record)
{
    return carom_record_tells(record, __func__) ? record->content.length - record->handed : 0;
}
