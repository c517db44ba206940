/* Fuzzes what a connection does with the wire: heads, content and trailers of its requests, one
 * after the other. The bytes are read whole and again in pieces: the same must come of them. A head
 * that is accepted, written anew in its plainest form, must be read as the same head.
 *
 * Input: limits (1 byte), cuts (1 byte), the bytes of a connection. */
#include "fuzz/support.h"

#include <ctype.h>
#include <strings.h>

#include "wire/chunked.h"
#include "wire/h1_request.h"

#define MAX_BYTES 8192

enum phase { PHASE_HEAD, PHASE_LENGTH, PHASE_CHUNKED, PHASE_TRAILERS, PHASE_REFUSED };

/* What came of an input, as bytes that can be compared. */
struct log {
    size_t length;
    uint8_t bytes[8 * MAX_BYTES];
};

struct play {
    enum phase phase;
    uint32_t at; /* everything before was taken */
    uint64_t left;
    struct carom_h1_limits limits;
    struct carom_pool tables;
    struct carom_fields trailers;
    struct carom_request_head head;
    struct carom_h1_reader reader;
    struct carom_chunked chunked;
    struct log *log;
};

static struct log whole_log, pieces_log;

static void note(struct log *log, char tag, const void *bytes, size_t length)
{
    carom_assert(log->length + length + 2 <= sizeof log->bytes);
    log->bytes[log->length++] = (uint8_t)tag;
    if (length > 0)
        memcpy(log->bytes + log->length, bytes, length);
    log->length += length;
    log->bytes[log->length++] = '\n';
}

/* Content is one run, however it was cut up. */
static void note_content(struct log *log, const uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        note(log, 'c', bytes + i, 1);
}

/* ---------------------------------------------------------------- heads */

static void note_fields(struct log *log, char tag, struct carom_fields *fields, const uint8_t *base,
                        uint32_t taken)
{
    fields->base = base;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct carom_field_span *span = &fields->spans[i];
        carom_assert(span->name.length > 0 && span->name.offset + span->name.length < taken);
        carom_assert(span->value.offset > span->name.offset + span->name.length);
        carom_assert(span->value.offset + span->value.length < taken);
        for (uint32_t k = 0; k < span->value.length; k++) {
            uint8_t byte = base[span->value.offset + k];
            carom_assert(byte == '\t' || (byte >= 0x20 && byte != 0x7f));
        }
        note(log, tag, base + span->name.offset, span->name.length);
        note(log, ':', base + span->value.offset, span->value.length);
    }
}

static void note_head(struct log *log, struct carom_request_head *head, const uint8_t *base,
                      uint32_t taken)
{
    const uint8_t numbers[] = {head->version,      head->framing,    head->is_head,
                               head->is_connect,   head->keep_alive, head->expects_continue,
                               head->wants_upgrade};
    note(log, 'n', numbers, sizeof numbers);
    if (head->framing == CAROM_FRAMING_LENGTH)
        note(log, 'l', &head->content_length, sizeof head->content_length);
    note(log, 'm', base + head->method.offset, head->method.length);
    note(log, 't', base + head->target.offset, head->target.length);
    note_fields(log, 'f', &head->fields, base, taken);
}

static bool is_named(const uint8_t *base, const struct carom_field_span *span, const char *name)
{
    return span->name.length == strlen(name) &&
           strncasecmp((const char *)base + span->name.offset, name, span->name.length) == 0;
}

/* What is left of a list when blanks and commas are taken out, behind what is there. */
static size_t squeeze(char *to, size_t used, size_t size, carom_slice list)
{
    for (size_t i = 0; i < list.length && used < size; i++)
        if (strchr(" \t,", list.data[i]) == NULL)
            to[used++] = list.data[i];
    return used;
}

/* Nobody who reads these fields could think otherwise of the end of the content (RFC 9112, 6.3). */
static void check_framing(const struct carom_request_head *head, const uint8_t *base)
{
    unsigned hosts = 0, lengths = 0, codings = 0;
    char coding[16];
    size_t used = 0;
    for (uint32_t i = 0; i < head->fields.count; i++) {
        const struct carom_field_span *span = &head->fields.spans[i];
        carom_slice value = carom_fields_slice(&head->fields, span->value);
        hosts += is_named(base, span, "host");
        if (is_named(base, span, "content-length")) {
            char *end;
            lengths++;
            carom_assert(value.length > 0 && isdigit((unsigned char)value.data[0]));
            carom_assert(strtoull(value.data, &end, 10) == head->content_length);
            carom_assert(end == value.data + value.length);
        } else if (is_named(base, span, "transfer-encoding")) {
            codings++;
            used = squeeze(coding, used, sizeof coding, value);
        }
    }
    bool chunked = used == 7 && strncasecmp(coding, "chunked", 7) == 0;
    carom_assert(hosts == 1 || (hosts == 0 && head->version == 10));
    carom_assert(lengths == (head->framing == CAROM_FRAMING_LENGTH));
    carom_assert((codings > 0) == (head->framing == CAROM_FRAMING_CHUNKED));
    carom_assert(codings == 0 || (chunked && head->version != 10));
}

static size_t put(uint8_t *to, const void *bytes, size_t length)
{
    memcpy(to, bytes, length);
    return length;
}

/* The head again, with single blanks and nothing before or behind it. */
static void read_again(struct carom_request_head *head, const uint8_t *base, uint32_t size)
{
    static struct log first, second;
    static uint8_t text[4 * MAX_BYTES];
    size_t length = put(text, base + head->method.offset, head->method.length);
    length += put(text + length, " ", 1);
    length += put(text + length, base + head->target.offset, head->target.length);
    length += put(text + length, head->version == 10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n", 11);
    for (uint32_t i = 0; i < head->fields.count; i++) {
        const struct carom_field_span *span = &head->fields.spans[i];
        length += put(text + length, base + span->name.offset, span->name.length);
        length += put(text + length, ": ", 2);
        length += put(text + length, base + span->value.offset, span->value.length);
        length += put(text + length, "\r\n", 2);
    }
    length += put(text + length, "\r\n", 2);

    const struct carom_h1_limits limits = {sizeof text, sizeof text};
    struct carom_request_head again = {0};
    struct carom_h1_reader reader;
    struct carom_pool tables;
    carom_pool_init(&tables, head->fields.limit * sizeof(struct carom_field_span), 0);
    carom_fields_init(&again.fields, &tables, head->fields.limit);
    carom_h1_reader_init(&reader);
    int taken = carom_h1_read_head(&reader, &limits, text, (uint32_t)length, &again);
    carom_assert(taken == (int)length);
    first.length = second.length = 0;
    note_head(&first, head, base, size);
    note_head(&second, &again, text, (uint32_t)length);
    carom_assert(first.length == second.length);
    carom_assert(memcmp(first.bytes, second.bytes, first.length) == 0);
    carom_fields_clear(&again.fields);
    carom_pool_finish(&tables);
}

/* ---------------------------------------------------------------- steps */

static void begin_section(struct play *play, enum phase phase, struct carom_fields *fields)
{
    play->phase = phase;
    carom_fields_clear(fields);
    carom_h1_reader_init(&play->reader);
}

static void end_message(struct play *play)
{
    note(play->log, 'e', NULL, 0);
    begin_section(play, PHASE_HEAD, &play->head.fields);
}

static void refuse(struct play *play, int status)
{
    carom_assert(status == 400 || status == 414 || status == 417 || status == 431 ||
                 status == 501 || status == 505);
    note(play->log, 'r', &status, sizeof status);
    play->phase = PHASE_REFUSED;
}

static uint32_t step_head(struct play *play, const uint8_t *data, uint32_t length)
{
    int taken = carom_h1_read_head(&play->reader, &play->limits, data, length, &play->head);
    if (taken < 0)
        refuse(play, -taken);
    if (taken <= 0)
        return 0;
    carom_assert((uint32_t)taken <= length);
    note_head(play->log, &play->head, data, (uint32_t)taken);
    if (play->log == &whole_log) {
        check_framing(&play->head, data);
        read_again(&play->head, data, (uint32_t)taken);
    }
    play->left = play->head.content_length;
    carom_chunked_init(&play->chunked);
    if (play->head.framing == CAROM_FRAMING_CHUNKED)
        play->phase = PHASE_CHUNKED;
    else if (play->head.framing == CAROM_FRAMING_LENGTH && play->left > 0)
        play->phase = PHASE_LENGTH;
    else
        end_message(play);
    return (uint32_t)taken;
}

static uint32_t step_length(struct play *play, const uint8_t *data, uint32_t length)
{
    uint32_t taken = length < play->left ? length : (uint32_t)play->left;
    note_content(play->log, data, taken);
    play->left -= taken;
    if (play->left == 0)
        end_message(play);
    return taken;
}

static uint32_t step_chunked(struct play *play, const uint8_t *data, uint32_t length)
{
    uint32_t taken = 0;
    struct carom_chunked_piece piece;
    switch (carom_chunked_read(&play->chunked, data, length, &taken, &piece)) {
    case CAROM_CHUNKED_BAD:
        refuse(play, 400);
        return 0;
    case CAROM_CHUNKED_DATA:
        note_content(play->log, piece.data, piece.length);
        break;
    case CAROM_CHUNKED_LAST:
        begin_section(play, PHASE_TRAILERS, &play->trailers);
        break;
    default:
        break;
    }
    carom_assert(taken <= length);
    return taken;
}

static uint32_t step_trailers(struct play *play, const uint8_t *data, uint32_t length)
{
    int taken = carom_h1_read_trailers(&play->reader, &play->limits, data, length, &play->trailers);
    if (taken < 0)
        refuse(play, -taken);
    if (taken <= 0)
        return 0;
    carom_assert((uint32_t)taken <= length);
    note_fields(play->log, 'T', &play->trailers, data, (uint32_t)taken);
    end_message(play);
    return (uint32_t)taken;
}

/* All bytes up to `end` have come. Each step sees them in memory that ends behind them. */
static void play_up_to(struct play *play, const uint8_t *bytes, uint32_t end)
{
    uint32_t taken = 1;
    while (taken > 0 && play->at < end && play->phase != PHASE_REFUSED) {
        uint32_t length = end - play->at;
        uint8_t *data = exact(bytes + play->at, length);
        switch (play->phase) {
        case PHASE_HEAD:
            taken = step_head(play, data, length);
            break;
        case PHASE_LENGTH:
            taken = step_length(play, data, length);
            break;
        case PHASE_CHUNKED:
            taken = step_chunked(play, data, length);
            break;
        default:
            taken = step_trailers(play, data, length);
            break;
        }
        free(data);
        play->at += taken;
    }
}

/* Read it all, in pieces as `cuts` says; NULL: whole. */
static void play_all(struct log *log, uint8_t limits, struct cuts *cuts, const uint8_t *bytes,
                     uint32_t length)
{
    struct play play = {.log = log};
    uint32_t max_fields = limits & 1 ? 100 : 3;
    play.limits.max_target = limits & 2 ? 8192 : 16;
    play.limits.max_header_section = limits & 4 ? 16384 : 64;
    log->length = 0;
    carom_pool_init(&play.tables, max_fields * sizeof(struct carom_field_span), 2);
    carom_fields_init(&play.head.fields, &play.tables, max_fields);
    carom_fields_init(&play.trailers, &play.tables, max_fields);
    begin_section(&play, PHASE_HEAD, &play.head.fields);
    for (uint32_t end = 0; end < length;) {
        uint32_t piece = cuts != NULL ? next_piece(cuts) : length;
        end = piece < length - end ? end + piece : length;
        play_up_to(&play, bytes, end);
    }
    note(log, 'p', &play.phase, sizeof play.phase);
    note(log, 'a', &play.at, play.phase == PHASE_REFUSED ? 0 : sizeof play.at);
    carom_fields_clear(&play.head.fields);
    carom_fields_clear(&play.trailers);
    carom_pool_finish(&play.tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t limits = take_byte(&input);
    struct cuts cuts = cuts_of(take_byte(&input), input.length);
    if (input.length > MAX_BYTES)
        return 0;
    play_all(&whole_log, limits, NULL, input.data, (uint32_t)input.length);
    play_all(&pieces_log, limits, &cuts, input.data, (uint32_t)input.length);
    carom_assert(whole_log.length == pieces_log.length);
    carom_assert(memcmp(whole_log.bytes, pieces_log.bytes, whole_log.length) == 0);
    return 0;
}
