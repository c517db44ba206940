/* Fuzzes responses as a handler gives them: any status and any fields, any bytes in them. What is
 * not refused must be one lawful head, framed as the plan says, with the handler's fields and
 * nothing else of the handler's; it must fit in the room that was asked for. The same for trailers.
 *
 * Input: kind and request (1 byte), status (2), length (1, or 5 when it is odd), then fields: name,
 * 0xfe, value, 0xff. */
#include "fuzz/reply.h"

#include "wire/h1_response.h"

#define MAX_FIELDS 64
#define NAME_ENDS  0xfe
#define FIELD_ENDS 0xff

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static carom_field fields[MAX_FIELDS];
static size_t field_count;

static size_t up_to(const struct input *input, uint8_t byte)
{
    const uint8_t *end = input->length > 0 ? memchr(input->data, byte, input->length) : NULL;
    return end != NULL ? (size_t)(end - input->data) : input->length;
}

static carom_slice take_slice(struct input *input, size_t length)
{
    carom_slice slice = {exact(input->data, length), length};
    bool behind = length < input->length; /* the byte that ended it */
    input->data += length + behind;
    input->length -= length + behind;
    return slice;
}

static void take_fields(struct input *input)
{
    for (field_count = 0; field_count < MAX_FIELDS && input->length > 0; field_count++) {
        struct input line = {input->data, up_to(input, FIELD_ENDS)};
        size_t length = line.length;
        carom_field *field = &fields[field_count];
        field->name = take_slice(&line, up_to(&line, NAME_ENDS));
        field->value = take_slice(&line, line.length);
        input->data += length + (length < input->length);
        input->length -= length + (length < input->length);
    }
}

static void free_fields(void)
{
    for (size_t i = 0; i < field_count; i++) {
        free((char *)fields[i].name.data);
        free((char *)fields[i].value.data);
    }
}

/* ---------------------------------------------------------------- heads */

/* The handler's fields stand first, as they were given. */
static size_t expected_fields(const char *at, const char *end)
{
    size_t lines = 0;
    for (size_t i = 0; i < field_count; i++) {
        carom_slice name = fields[i].name, value = fields[i].value;
        if (same_text(name.data, name.length, "connection") ||
            same_text(name.data, name.length, "content-length"))
            continue;
        carom_assert((size_t)(end - at) >= name.length + value.length + 4);
        carom_assert(memcmp(at, name.data, name.length) == 0);
        at += name.length;
        carom_assert(memcmp(at, ": ", 2) == 0);
        carom_assert(memcmp(at + 2, value.data, value.length) == 0);
        at += 2 + value.length;
        carom_assert(memcmp(at, "\r\n", 2) == 0);
        at += 2;
        lines++;
    }
    return lines;
}

static struct carom_h1_extra extra_of(const struct carom_response_plan *plan,
                                      const struct asked *asked)
{
    struct carom_h1_extra extra = {.date_line = DATE,
                                   .keep_alive_line = CAROM_SLICE("Keep-Alive: timeout=75\r\n")};
    extra.connection = asked->old ? CAROM_H1_KEEP_10 : CAROM_H1_KEEP;
    if (plan->close || plan->body == CAROM_BODY_UNTIL_CLOSE)
        extra.connection = CAROM_H1_CLOSE;
    if (plan->body == CAROM_BODY_TUNNEL && !asked->connect)
        extra.connection = CAROM_H1_UPGRADE;
    return extra;
}

static void check_head(const struct carom_response_plan *plan, const struct asked *asked,
                       unsigned status)
{
    static const enum reply_body bodies[] = {
        [CAROM_BODY_NONE] = REPLY_NONE,       [CAROM_BODY_LENGTH] = REPLY_LENGTH,
        [CAROM_BODY_CHUNKED] = REPLY_CHUNKED, [CAROM_BODY_UNTIL_CLOSE] = REPLY_UNTIL_CLOSE,
        [CAROM_BODY_TUNNEL] = REPLY_TUNNEL,
    };
    struct carom_h1_extra extra = extra_of(plan, asked);
    size_t room = carom_h1_head_room(field_count, carom_fields_bytes(fields, field_count));
    char *bytes = room_for(room);
    size_t length = carom_h1_head_write((uint8_t *)bytes, plan, fields, field_count, &extra);
    carom_assert(length <= room);

    struct bytes_left left = {bytes, bytes + length};
    struct reply reply;
    carom_assert(reply_head(&left, &reply) && left.at == left.end);
    carom_assert(reply.status == status && reply_body(&reply, asked) == bodies[plan->body]);
    carom_assert(!reply.has_length || reply.length == plan->content_length);
    const char *first = memchr(bytes, '\n', length);
    size_t lines = expected_fields(first + 1, bytes + length);
    carom_assert(reply.fields >= lines && reply.fields <= lines + 5);
    free(bytes);
}

static void check_trailers(void)
{
    if (carom_trailers_check(fields, field_count) < 0)
        return;
    size_t room = carom_h1_head_room(field_count, carom_fields_bytes(fields, field_count));
    char *bytes = room_for(room);
    size_t length = carom_h1_trailers_write((uint8_t *)bytes, fields, field_count);
    carom_assert(length <= room);
    struct bytes_left left = {bytes, bytes + length};
    carom_assert(reply_trailers(&left) && left.at == left.end);
    carom_assert(expected_fields(bytes, bytes + length) == field_count);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t bits = take_byte(&input);
    const struct asked asked = {bits & 1, bits & 2, bits & 4};
    enum carom_response_kind kind = (bits >> 3) % 3;
    struct carom_request_head request = {
        .is_head = asked.head, .is_connect = asked.connect, .version = asked.old ? 10 : 11};
    unsigned status = take_number(&input, 2);
    uint64_t length = take_byte(&input);
    if (length & 1)
        length = length == UINT8_MAX ? CAROM_LENGTH_UNKNOWN : length << 32 | take_number(&input, 4);
    take_fields(&input);

    const carom_response response = {
        .status = (uint16_t)status, .fields = fields, .field_count = field_count};
    struct carom_response_plan plan;
    int error = carom_response_plan(&plan, kind, &request, &response, length);
    carom_assert(error == 0 || error == -CAROM_EINVAL || error == -CAROM_EFIELD ||
                 error == -CAROM_ELENGTH);
    if (error == 0)
        check_head(&plan, &asked, status);
    check_trailers();
    free_fields();
    return 0;
}
