/* The response as the handler gives it: whole, streamed, informational, or taking the connection
 * over. Here it is checked and gathered in the record; the exchange puts it on the wire. */
#include "http/respond.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"
#include "wire/semantics.h"

void carom_static_content(void *owner)
{
    (void)owner;
}

static void give_back(const carom_content *content)
{
    if (content->give_back != NULL)
        content->give_back(content->owner);
}

/* Whether there is what is said to be there. */
static int check_content(const carom_content *content)
{
    return content->data == NULL && content->length > 0 ? -CAROM_EINVAL : 0;
}

/* Whether a length that is said beside the content is that of the content. */
static int check_length(const carom_response *response)
{
    uint64_t said = response->content_length;
    bool free = said == 0 || said == CAROM_LENGTH_UNKNOWN;
    return free || said == response->content.length ? 0 : -CAROM_ELENGTH;
}

/* Whether the handler may call at all. */
static int guard(const carom_record *record, const char *call)
{
    int error = carom_record_check(record, call);
    if (error < 0)
        return error;
    if (carom_record_over(record)) {
        CAROM_MARK_IF(record->refused == 0, "cancelled, then answered");
        CAROM_MARK_IF(record->refused != 0, "refused, then answered");
        return -CAROM_ECANCELED;
    }
    return 0;
}

/* Whether a final head may be given. */
static int guard_open(const carom_record *record, const char *call)
{
    int error = guard(record, call);
    return error == 0 && record->response != CAROM_RESPONSE_OPEN ? -CAROM_ESTATE : error;
}

/* What a later version has a meaning for, and a struct that nobody has cleared, are not taken. */
static bool is_clear(const uint64_t reserved[2])
{
    return (reserved[0] | reserved[1]) == 0;
}

/* And there is one. */
static int guard_head(const carom_record *record, const carom_response *response, const char *call)
{
    int error = guard_open(record, call);
    if (error == 0 && (response == NULL || !is_clear(response->reserved)))
        error = -CAROM_EINVAL;
    return error;
}

/* The same of a head without content, which would be lost. */
static int guard_bare_head(const carom_record *record, const carom_response *response,
                           const char *call)
{
    int error = guard_head(record, response, call);
    if (response == NULL || response->content.length == 0)
        return error;
    give_back(&response->content);
    return error < 0 ? error : -CAROM_EINVAL;
}

/* Check a response, and that its head is within the limit. */
static int plan_response(struct carom_response_plan *plan, enum carom_response_kind kind,
                         const carom_record *record, const carom_response *response,
                         uint64_t length)
{
    int error = carom_response_plan(plan, kind, &record->head, response, length);
    if (error == 0 && plan->head_bytes > record->records->max_response_head)
        error = -CAROM_ETOOBIG;
    return error;
}

/* Take content over: it is in record->body or given back, whatever the result. */
static int take_content(carom_record *record, const carom_content *content)
{
    struct carom_records *records = record->records;
    record->content_written += content->length;
    if (record->body_kind == CAROM_BODY_NONE) {
        give_back(content);
        return 0;
    }
    bool small = content->length <= CAROM_COPY_AT_MOST;
    int error;
    if (content->give_back == NULL || small) {
        error = carom_queue_append_copy(&record->body, &records->segments, &records->outgoing,
                                        content->data, content->length);
        give_back(content);
        return error;
    }
    error = carom_queue_append_borrowed(&record->body, &records->segments, content->data,
                                        content->length, content->give_back, content->owner);
    if (error < 0)
        give_back(content);
    return error;
}

/* Encode the head and open the way for what follows. */
static int take_head(carom_record *record, const struct carom_response_plan *plan,
                     const carom_response *response)
{
    int error = record->ops->head(record, plan, response);
    if (error < 0)
        return error;
    record->body_kind = plan->body;
    carom_timer_disarm(&record->records->wheel, &record->deadline);
    record->content_expected = plan->expected;
    return 0;
}

int carom_respond(carom_record *record, const carom_response *response)
{
    struct carom_response_plan plan;
    int error = guard_head(record, response, __func__);
    if (error == 0)
        error = check_content(&response->content);
    if (error == 0)
        error = check_length(response);
    if (error == 0)
        error = plan_response(&plan, CAROM_HEAD_FINAL, record, response, response->content.length);
    plan.whole = true;
    if (error == 0)
        error = take_head(record, &plan, response);
    if (error < 0) {
        if (response != NULL)
            give_back(&response->content);
        return error;
    }
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    if (record->content_written > 0)
        give_back(&response->content); /* it went with the head */
    else
        error = take_content(record, &response->content);
    if (error < 0)
        carom_record_cancel(record, CAROM_REASON_NO_MEMORY);
    record->ops->changed(record);
    return error;
}

static void close_descriptor(void *owner)
{
    close((int)(intptr_t)owner);
}

/* What is to be sent of the file is there now: its length is made known. */
static int find_content(carom_file *file)
{
    struct stat status;
    if (fstat(file->descriptor, &status) < 0)
        return carom_error_from_errno(errno);
    if (!S_ISREG(status.st_mode))
        return -CAROM_EFILE;
    uint64_t size = (uint64_t)status.st_size;
    if (file->offset > size)
        return -CAROM_ELENGTH;
    if (file->length == CAROM_LENGTH_UNKNOWN)
        file->length = size - file->offset;
    return file->length <= size - file->offset ? 0 : -CAROM_ELENGTH;
}

/* The same for the content of a file. */
static int take_file(carom_record *record, const carom_file *file)
{
    record->content_written += file->length;
    record->lies_in_file = true;
    int error = 0;
    if (record->body_kind != CAROM_BODY_NONE)
        error = carom_queue_append_file(&record->body, &record->records->segments, file->descriptor,
                                        file->offset, file->length, file->give_back, file->owner);
    if (error < 0 || record->body_kind == CAROM_BODY_NONE)
        file->give_back(file->owner);
    return error;
}

int carom_respond_file(carom_record *record, const carom_response *response, const carom_file *file)
{
    if (file == NULL)
        return -CAROM_EINVAL;
    carom_file taken = *file;
    if (taken.give_back == NULL) {
        taken.give_back = close_descriptor;
        taken.owner = (void *)(intptr_t)taken.descriptor;
    }
    carom_response bare = {0};
    if (response != NULL)
        bare = *response;
    bare.content = (carom_content){0};
    struct carom_response_plan plan;
    int error = guard_head(record, response, __func__);
    if (error == 0 && !is_clear(file->reserved))
        error = -CAROM_EINVAL;
    if (error == 0)
        error = find_content(&taken);
    if (error == 0)
        error = plan_response(&plan, CAROM_HEAD_FINAL, record, &bare, taken.length);
    plan.whole = true;
    if (error == 0)
        error = take_head(record, &plan, &bare);
    if (error < 0) {
        taken.give_back(taken.owner);
        return error;
    }
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    error = take_file(record, &taken);
    if (error < 0)
        carom_record_cancel(record, CAROM_REASON_NO_MEMORY);
    record->ops->changed(record);
    return error;
}

int carom_response_begin(carom_record *record, const carom_response *response, uint64_t length)
{
    struct carom_response_plan plan;
    int error = guard_bare_head(record, response, "carom_respond_begin");
    if (error == 0)
        error = plan_response(&plan, CAROM_HEAD_FINAL, record, response, length);
    if (error == 0)
        error = take_head(record, &plan, response);
    if (error < 0)
        return error;
    carom_response_move(record, CAROM_RESPONSE_BEGUN);
    record->ops->changed(record);
    return 0;
}

int carom_respond_begin(carom_record *record, const carom_response *response)
{
    bool known = response != NULL && response->content_length > 0;
    return carom_response_begin(record, response,
                                known ? response->content_length : CAROM_LENGTH_UNKNOWN);
}

int carom_respond_raw(carom_record *record)
{
    int error = guard_open(record, __func__);
    if (error < 0)
        return error;
    if (record->ops->raw == NULL)
        return -CAROM_EUNSUPPORTED;
    record->ops->raw(record);
    record->body_kind = CAROM_BODY_UNTIL_CLOSE;
    record->content_expected = UINT64_MAX;
    carom_timer_disarm(&record->records->wheel, &record->deadline);
    carom_response_move(record, CAROM_RESPONSE_BEGUN);
    record->ops->changed(record);
    return 0;
}

int carom_write(carom_record *record, const carom_content *content)
{
    int error = guard(record, __func__);
    if (content == NULL)
        return error < 0 ? error : -CAROM_EINVAL;
    if (error == 0)
        error = check_content(content);
    if (error == 0 && record->response != CAROM_RESPONSE_BEGUN)
        error = -CAROM_ESTATE;
    else if (error == 0 && content->length > record->content_expected - record->content_written)
        error = -CAROM_ELENGTH;
    else if (error == 0 && carom_record_unsent(record) >= record->records->write_buffer)
        error = -CAROM_EAGAIN;
    if (error < 0) {
        give_back(content);
        return error;
    }
    error = take_content(record, content);
    if (error < 0)
        carom_record_cancel(record, CAROM_REASON_NO_MEMORY);
    record->ops->changed(record);
    return error;
}

int carom_end(carom_record *record, const carom_field *trailers, size_t trailer_count)
{
    int error = guard(record, __func__);
    return error < 0 ? error : carom_response_end(record, trailers, trailer_count);
}

int carom_response_end(carom_record *record, const carom_field *trailers, size_t trailer_count)
{
    if (record->response != CAROM_RESPONSE_BEGUN)
        return -CAROM_ESTATE;
    if (record->content_expected != UINT64_MAX &&
        record->content_written < record->content_expected)
        return -CAROM_ELENGTH;
    int error = carom_trailers_check(trailers, trailer_count);
    if (error == 0 &&
        carom_fields_bytes(trailers, trailer_count) > record->records->max_response_head)
        error = -CAROM_ETOOBIG;
    if (error == 0)
        error = record->ops->end(record, trailers, trailer_count);
    if (error < 0)
        return error;
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    record->ops->changed(record);
    return 0;
}

int carom_inform(carom_record *record, const carom_response *response)
{
    struct carom_response_plan plan;
    int error = guard_bare_head(record, response, __func__);
    if (error == 0)
        error = plan_response(&plan, CAROM_HEAD_INFORM, record, response, 0);
    if (error < 0 || record->head.version == 10)
        return error;
    error = record->ops->head(record, &plan, response);
    if (error == 0)
        record->ops->changed(record);
    return error;
}

int carom_upgrade(carom_record *record, const carom_response *response)
{
    struct carom_response_plan plan;
    int error = guard_bare_head(record, response, __func__);
    if (error < 0)
        return error;
    if (record->request != CAROM_REQUEST_WHOLE ||
        !(record->head.is_connect || record->head.wants_upgrade))
        return -CAROM_ESTATE;
    error = plan_response(&plan, CAROM_HEAD_UPGRADE, record, response, CAROM_LENGTH_UNKNOWN);
    if (error == 0)
        error = take_head(record, &plan, response);
    if (error < 0)
        return error;
    carom_request_move(record, CAROM_REQUEST_CONTENT);
    carom_response_move(record, CAROM_RESPONSE_BEGUN);
    record->ops->changed(record);
    return 0;
}

bool carom_respond_refusal(carom_record *record)
{
    static const carom_field retry_after = {CAROM_SLICE("Retry-After"), CAROM_SLICE("1")};
    static const carom_field allow = {CAROM_SLICE("Allow"), CAROM_SLICE("")};
    static const carom_field type = {CAROM_SLICE("Content-Type"), CAROM_SLICE("text/plain")};
    char text[64];
    uint32_t length = carom_decimal_write((uint8_t *)text, record->refused);
    const char *phrase = carom_status_phrase(record->refused);
    size_t phrase_length = strlen(phrase);
    carom_assert(length + phrase_length + 2 < sizeof text);
    text[length++] = ' ';
    memcpy(text + length, phrase, phrase_length);
    length += (uint32_t)phrase_length;
    text[length++] = '\n';

    bool busy = record->refused == 503, method = record->refused == 405; /* that of a CONNECT */
    const carom_field fields[] = {type, busy ? retry_after : allow};
    const carom_response response = {
        .status = record->refused,
        .fields = fields,
        .field_count = busy || method ? 2 : 1,
        .content = {text, length, NULL, NULL},
    };
    struct carom_response_plan plan;
    int error = carom_response_plan(&plan, CAROM_HEAD_FINAL, &record->head, &response, length);
    carom_assert(error == 0);
    plan.whole = true;
    if (take_head(record, &plan, &response) < 0 ||
        (record->content_written == 0 && take_content(record, &response.content) < 0))
        return false;
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    return true;
}
