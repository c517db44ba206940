/* The request as the handler sees it: head, content, trailers. */
#include <string.h>

#include "record/record.h"
#include "record/waker.h"

carom_slice carom_request_method(const carom_record *record)
{
    return carom_fields_slice(&record->head.fields, record->head.method);
}

carom_slice carom_request_target(const carom_record *record)
{
    return carom_fields_slice(&record->head.fields, record->head.target);
}

int carom_request_version(const carom_record *record)
{
    return record->head.version;
}

size_t carom_request_field_count(const carom_record *record)
{
    return record->head.fields.count;
}

carom_field carom_request_field_at(const carom_record *record, size_t index)
{
    return carom_fields_at(&record->head.fields, index);
}

carom_slice carom_request_field_next(const carom_record *record, const char *name, size_t *cursor)
{
    return carom_fields_next(&record->head.fields, name, cursor);
}

carom_slice carom_request_field(const carom_record *record, const char *name)
{
    size_t cursor = 0;
    return carom_fields_next(&record->head.fields, name, &cursor);
}

carom_slice carom_request_protocol(const carom_record *record)
{
    if (record->head.protocol.length > 0)
        return carom_fields_slice(&record->head.fields, record->head.protocol);
    if (record->head.wants_upgrade)
        return carom_request_field(record, "upgrade");
    return (carom_slice){NULL, 0};
}

size_t carom_request_trailer_count(const carom_record *record)
{
    return record->request == CAROM_REQUEST_WHOLE ? record->trailers.count : 0;
}

carom_field carom_request_trailer_at(const carom_record *record, size_t index)
{
    return carom_fields_at(&record->trailers, index);
}

int64_t carom_request_content_length(const carom_record *record)
{
    switch (record->head.framing) {
    case CAROM_FRAMING_LENGTH:
        return (int64_t)record->head.content_length;
    case CAROM_FRAMING_CHUNKED:
        return -1;
    default:
        return record->head.is_connect ? -1 : 0;
    }
}

int carom_request_read(carom_record *record, carom_slice *bytes)
{
    carom_record_assert_held(record);
    *bytes = (carom_slice){NULL, 0};
    carom_queue_consume(&record->content, &record->records->segments, record->handed);
    record->handed = 0;
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
    carom_record_assert_held(record);
    int error = carom_waker_wait(record, CAROM_READABLE, waker);
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
    return record->content.length - record->handed;
}
