/* Runs the cases of test/wire: Markdown files of bytes and what must come of them. Each case is
 * read whole, cut in two at every byte, and byte by byte; the result must be the same. README.md
 * there tells the form. */
#include "unit/wire/support.h"

#include <glob.h>

#include "wire/chunked.h"
#include "wire/h1_request.h"

#define MAX_CASES  500
#define MAX_BYTES  2048
#define MAX_FIELDS 100

/* A text that grows within its place. */
struct text {
    size_t length;
    char bytes[2 * MAX_BYTES];
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format, arguments);
    va_end(arguments);
    assert_in_range(length, 0, sizeof text->bytes - text->length - 1);
    text->length += (size_t)length;
}

/* Bytes as they stand in a case: escaped, but for visible ASCII and blanks. */
static void add_bytes(struct text *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\\')
            add(text, "\\\\");
        else if (bytes[i] >= 0x20 && bytes[i] < 0x7f)
            add(text, "%c", bytes[i]);
        else if (bytes[i] == '\t')
            add(text, "\\t");
        else if (bytes[i] == '\r')
            add(text, "\\r");
        else if (bytes[i] == '\n')
            add(text, "\\n");
        else
            add(text, "\\x%02x", bytes[i]);
    }
}

/* ---------------------------------------------------------------- a connection */

struct wire_case {
    char name[120];
    uint8_t bytes[MAX_BYTES];
    uint32_t length;
    struct carom_h1_limits limits;
    uint32_t max_fields;
    struct text expected;
};

enum phase { PHASE_HEAD, PHASE_LENGTH, PHASE_CHUNKED, PHASE_TRAILERS, PHASE_REFUSED };

/* What a connection does with the wire, without one. */
struct play {
    const struct wire_case *wire;
    enum phase phase;
    uint32_t at; /* everything before was taken */
    uint64_t left;
    struct carom_pool tables;
    struct carom_fields trailers;
    struct carom_request_head head;
    struct carom_h1_reader reader;
    struct carom_chunked chunked;
    struct text content, events;
};

static void begin_section(struct play *play, enum phase phase, struct carom_fields *fields)
{
    play->phase = phase;
    carom_fields_clear(fields);
    carom_h1_reader_init(&play->reader);
}

static void show_fields(struct play *play, const char *word, struct carom_fields *fields,
                        const uint8_t *base)
{
    fields->base = base;
    for (uint32_t i = 0; i < fields->count; i++) {
        carom_field field = carom_fields_at(fields, i);
        add(&play->events, "%s ", word);
        add_bytes(&play->events, (const uint8_t *)field.name.data, field.name.length);
        add(&play->events, ":%s", field.value.length > 0 ? " " : "");
        add_bytes(&play->events, (const uint8_t *)field.value.data, field.value.length);
        add(&play->events, "\n");
    }
}

static void show_head(struct play *play, const uint8_t *base)
{
    const struct carom_request_head *head = &play->head;
    struct text *events = &play->events;
    add(events, "request ");
    add_bytes(events, base + head->method.offset, head->method.length);
    add(events, " ");
    add_bytes(events, base + head->target.offset, head->target.length);
    add(events, " %d.%d", head->version / 10, head->version % 10);
    add(events, head->keep_alive ? " keep-alive" : " close");
    if (head->framing == CAROM_FRAMING_LENGTH)
        add(events, " length=%llu", (unsigned long long)head->content_length);
    if (head->framing == CAROM_FRAMING_CHUNKED)
        add(events, " chunked");
    if (head->expects_continue)
        add(events, " continue");
    if (head->wants_upgrade)
        add(events, " upgrade");
    if (head->is_head)
        add(events, " head");
    if (head->is_connect)
        add(events, " connect");
    add(events, "\n");
    show_fields(play, "field", &play->head.fields, base);
}

static void show_content(struct play *play)
{
    if (play->content.length > 0)
        add(&play->events, "content %s\n", play->content.bytes);
    play->content.length = 0;
}

static void end_message(struct play *play)
{
    show_content(play);
    add(&play->events, "end\n");
    begin_section(play, PHASE_HEAD, &play->head.fields);
}

static void refuse(struct play *play, int status)
{
    show_content(play);
    add(&play->events, "refused %d\n", status);
    play->phase = PHASE_REFUSED;
}

static uint32_t step_head(struct play *play, const uint8_t *data, uint32_t length)
{
    int taken = carom_h1_read_head(&play->reader, &play->wire->limits, data, length, &play->head);
    if (taken < 0)
        refuse(play, -taken);
    if (taken <= 0)
        return 0;
    show_head(play, data);
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
    add_bytes(&play->content, data, taken);
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
        add_bytes(&play->content, piece.data, piece.length);
        break;
    case CAROM_CHUNKED_LAST:
        begin_section(play, PHASE_TRAILERS, &play->trailers);
        break;
    default:
        break;
    }
    return taken;
}

static uint32_t step_trailers(struct play *play, const uint8_t *data, uint32_t length)
{
    int taken =
        carom_h1_read_trailers(&play->reader, &play->wire->limits, data, length, &play->trailers);
    if (taken < 0)
        refuse(play, -taken);
    if (taken <= 0)
        return 0;
    show_content(play);
    show_fields(play, "trailer", &play->trailers, data);
    end_message(play);
    return (uint32_t)taken;
}

/* All bytes up to `end` have come. Each step sees them in memory that ends behind them. */
static void play_up_to(struct play *play, uint32_t end)
{
    uint32_t taken = 1;
    while (taken > 0 && play->at < end && play->phase != PHASE_REFUSED) {
        uint32_t length = end - play->at;
        uint8_t *data = exact(play->wire->bytes + play->at, length);
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

static struct play *play_new(const struct wire_case *wire)
{
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->wire = wire;
    carom_pool_init(&play->tables, MAX_FIELDS * sizeof(struct carom_field_span), 0);
    carom_fields_init(&play->head.fields, &play->tables, wire->max_fields);
    carom_fields_init(&play->trailers, &play->tables, wire->max_fields);
    begin_section(play, PHASE_HEAD, &play->head.fields);
    return play;
}

/* Compare what came of the case, and free it. */
static void play_end(struct play *play, const char *cut, uint32_t place)
{
    const struct wire_case *wire = play->wire;
    if (play->phase != PHASE_REFUSED && (play->phase != PHASE_HEAD || play->at < wire->length)) {
        show_content(play);
        add(&play->events, "more\n");
    }
    if (strcmp(play->events.bytes, wire->expected.bytes) != 0)
        fail_msg("%s (%s %u)\n%s-- instead of --\n%s", wire->name, cut, place, play->events.bytes,
                 wire->expected.bytes);
    carom_fields_clear(&play->head.fields);
    carom_fields_clear(&play->trailers);
    carom_pool_finish(&play->tables);
    free(play);
}

static void replay(void **state)
{
    const struct wire_case *wire = *state;
    struct play *play = play_new(wire);
    play_up_to(play, wire->length);
    play_end(play, "whole", 0);
    for (uint32_t cut = 1; cut < wire->length; cut++) {
        play = play_new(wire);
        play_up_to(play, cut);
        play_up_to(play, wire->length);
        play_end(play, "cut at", cut);
    }
    play = play_new(wire);
    for (uint32_t end = 1; end <= wire->length; end++)
        play_up_to(play, end);
    play_end(play, "byte by byte", 0);
}

/* ---------------------------------------------------------------- the files */

static struct wire_case *cases[MAX_CASES];
static struct CMUnitTest tests[MAX_CASES];
static size_t case_count;

static _Noreturn void stop(const char *path, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", path, line, what);
    exit(1);
}

/* The bytes of a line of a case; false when an escape is not known. */
static bool unescape(struct wire_case *wire, const char *line)
{
    for (const char *at = line; *at != '\0'; at++) {
        unsigned byte = (uint8_t)*at;
        if (wire->length == MAX_BYTES)
            return false;
        if (byte == '\\') {
            static const char letters[] = "rnt0\\", bytes[] = "\r\n\t\0\\";
            const char *letter = *++at != '\0' ? strchr(letters, *at) : NULL;
            if (letter != NULL)
                byte = (uint8_t)bytes[letter - letters];
            else if (*at == 'x' && sscanf(at + 1, "%2x", &byte) == 1)
                at += 2;
            else
                return false;
        }
        wire->bytes[wire->length++] = (uint8_t)byte;
    }
    return true;
}

/* "target 16", "section 40" or "fields 2". */
static bool set_limit(struct wire_case *wire, const char *line)
{
    return sscanf(line, "target %u", &wire->limits.max_target) == 1 ||
           sscanf(line, "section %u", &wire->limits.max_header_section) == 1 ||
           sscanf(line, "fields %u", &wire->max_fields) == 1;
}

static struct wire_case *begin_case(const char *path, int line, const char *name)
{
    if (case_count == MAX_CASES)
        stop(path, line, "too many cases: raise MAX_CASES");
    struct wire_case *wire = calloc(1, sizeof *wire);
    if (wire == NULL)
        stop(path, line, "out of memory");
    const char *file = strrchr(path, '/') + 1;
    snprintf(wire->name, sizeof wire->name, "%.*s: %.80s", (int)strcspn(file, "."), file, name);
    wire->limits = (struct carom_h1_limits){1000, 1000};
    wire->max_fields = MAX_FIELDS;
    tests[case_count] = (struct CMUnitTest){wire->name, replay, NULL, NULL, wire};
    cases[case_count++] = wire;
    return wire;
}

static void read_cases(const char *path)
{
    char line[MAX_BYTES], block[16] = "";
    struct wire_case *wire = NULL;
    bool open = false; /* a case without its expect */
    FILE *file = fopen(path, "r");
    if (file == NULL)
        stop(path, 0, "cannot be read");
    for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "## ", 3) == 0 && block[0] == '\0') {
            if (open)
                stop(path, number, "the case before has no expect");
            wire = begin_case(path, number, line + 3);
            open = true;
        } else if (strncmp(line, "```", 3) == 0) {
            if (wire == NULL || (block[0] != '\0' && line[3] != '\0'))
                stop(path, number, "a block where none can be");
            snprintf(block, sizeof block, "%.15s", block[0] == '\0' ? line + 3 : "");
        } else if (wire == NULL || block[0] == '\0') {
            continue; /* explanation */
        } else if (strcmp(block, "http") == 0) {
            if (!unescape(wire, line))
                stop(path, number, "an escape that is not known, or too many bytes");
        } else if (strcmp(block, "expect") == 0) {
            add(&wire->expected, "%s\n", line);
            open = false;
        } else if (strcmp(block, "limits") == 0) {
            if (!set_limit(wire, line))
                stop(path, number, "a limit that is not known");
        } else {
            stop(path, number, "a block that is not known");
        }
    }
    fclose(file);
    if (open || block[0] != '\0')
        stop(path, 0, "the last case is not complete");
}

int main(void)
{
    const char *source = getenv("CAROM_SOURCE");
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/test/wire/[a-z]*.md", source != NULL ? source : ".");
    if (glob(pattern, 0, NULL, &found) != 0)
        stop(pattern, 0, "no cases: set CAROM_SOURCE to the project's folder");
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_cases(found.gl_pathv[i]);
    globfree(&found);
    int failed = _cmocka_run_group_tests("wire", tests, case_count, NULL, NULL);
    for (size_t i = 0; i < case_count; i++)
        free(cases[i]);
    return failed;
}
