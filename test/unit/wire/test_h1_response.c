/* Tests of response heads and trailer sections as bytes. */
#include "unit/wire/support.h"

#include "wire/h1_response.h"

#define DATE  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define ALIVE "Keep-Alive: timeout=75\r\n"
#define KEPT  "Connection: keep-alive\r\n"

static struct carom_h1_extra extra_of(enum carom_h1_connection connection)
{
    return (struct carom_h1_extra){connection, DATE, slice(ALIVE), {NULL, 0}};
}

/* Write into exactly the room that was asked for; the bytes are compared and freed. */
static void check(const struct carom_response_plan *plan, const carom_field *fields, size_t count,
                  const struct carom_h1_extra *extra, const char *expected)
{
    size_t room = carom_h1_head_room(count, carom_fields_bytes(fields, count));
    uint8_t *bytes = room_for(room);
    size_t length = carom_h1_head_write(bytes, plan, fields, count, extra);
    assert_true(length <= room);
    if (length != strlen(expected) || memcmp(bytes, expected, length) != 0)
        fail_msg("\n%.*s-- not --\n%s", (int)length, (char *)bytes, expected);
    free(bytes);
}

static const struct carom_response_plan hello = {
    .status = 200, .body = CAROM_BODY_LENGTH, .length_field = true, .content_length = 12};

static void a_plain_head(void **state)
{
    (void)state;
    struct carom_h1_extra extra = extra_of(CAROM_H1_KEEP);
    const carom_field fields[] = {field("Content-Type", "text/plain"), field("X-Empty", "")};
    check(&hello, fields, 2, &extra,
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Empty: \r\n" DATE
          "Content-Length: 12\r\n" KEPT ALIVE "\r\n");
    check(&hello, NULL, 0, &extra,
          "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 12\r\n" KEPT ALIVE "\r\n");
    extra.keep_alive_line = (carom_slice){NULL, 0};
    check(&hello, NULL, 0, &extra, "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 12\r\n\r\n");
}

static void the_connection_is_told(void **state)
{
    (void)state;
    struct carom_h1_extra extra = extra_of(CAROM_H1_CLOSE);
    check(&hello, NULL, 0, &extra,
          "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 12\r\nConnection: close\r\n\r\n");
    extra = extra_of(CAROM_H1_KEEP_10);
    check(&hello, NULL, 0, &extra,
          "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 12\r\nConnection: keep-alive\r\n" ALIVE
          "\r\n");
}

/* Connection of the handler is in the plan already, and Content-Length is written from it. */
static void lines_of_the_engine_are_written_once(void **state)
{
    (void)state;
    struct carom_h1_extra extra = extra_of(CAROM_H1_CLOSE);
    const carom_field fields[] = {field("connection", "close"), field("A", "1"),
                                  field("CONTENT-LENGTH", "12"), field("Content-Lengths", "2")};
    check(&hello, fields, 4, &extra,
          "HTTP/1.1 200 OK\r\nConnection: close\r\nA: 1\r\nContent-Lengths: 2\r\n" DATE
          "Content-Length: 12\r\n\r\n");
    extra.connection =
        CAROM_H1_KEEP; /* the words are the engine's, and stand where the handler has its own */
    const carom_field twice[] = {field("Connection", "keep-alive"), field("A", "1"),
                                 field("Connection", "keep-alive")};
    check(&hello, twice, 3, &extra,
          "HTTP/1.1 200 OK\r\n" KEPT ALIVE "A: 1\r\n" DATE "Content-Length: 12\r\n\r\n");
    extra = extra_of(CAROM_H1_CLOSE);
    struct carom_response_plan plan = hello;
    plan.own_date = true;
    const carom_field date = field("Date", "x");
    check(&plan, &date, 1, &extra,
          "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
}

static void framing_follows_the_plan(void **state)
{
    (void)state;
    struct carom_h1_extra extra = {.connection = CAROM_H1_KEEP, .date_line = DATE};
    struct carom_response_plan plan = {
        .status = 404, .body = CAROM_BODY_CHUNKED, .chunked_field = true};
    check(&plan, NULL, 0, &extra,
          "HTTP/1.1 404 Not Found\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n");
    plan.body = CAROM_BODY_NONE; /* HEAD */
    check(&plan, NULL, 0, &extra,
          "HTTP/1.1 404 Not Found\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n");
    plan = (struct carom_response_plan){.status = 204, .body = CAROM_BODY_NONE};
    check(&plan, NULL, 0, &extra, "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
    plan = (struct carom_response_plan){.status = 200, .body = CAROM_BODY_UNTIL_CLOSE};
    check(&plan, NULL, 0, &extra, "HTTP/1.1 200 OK\r\n" DATE "\r\n");
    plan.body = CAROM_BODY_NONE;
    plan.length_field = true;
    plan.content_length = UINT64_C(18446744073709551614);
    check(&plan, NULL, 0, &extra,
          "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 18446744073709551614\r\n\r\n");
}

static void a_status_without_a_phrase_keeps_its_blank(void **state)
{
    (void)state;
    struct carom_h1_extra extra = {.connection = CAROM_H1_KEEP, .date_line = DATE};
    const struct carom_response_plan plan = {.status = 299, .body = CAROM_BODY_NONE};
    check(&plan, NULL, 0, &extra, "HTTP/1.1 299 \r\n" DATE "\r\n");
}

/* One that the handler gives stands in the place of the usual one, of each status. */
static void a_phrase_is_the_handlers(void **state)
{
    (void)state;
    struct carom_h1_extra extra = {
        .connection = CAROM_H1_KEEP, .date_line = DATE, .phrase = CAROM_SLICE("Gone Fishing")};
    struct carom_response_plan plan = {.status = 404, .body = CAROM_BODY_NONE};
    check(&plan, NULL, 0, &extra, "HTTP/1.1 404 Gone Fishing\r\n" DATE "\r\n");
    plan.status = 200;
    check(&plan, NULL, 0, &extra, "HTTP/1.1 200 Gone Fishing\r\n" DATE "\r\n");
    extra.phrase = (carom_slice){NULL, 0};
    plan.status = 404;
    check(&plan, NULL, 0, &extra, "HTTP/1.1 404 Not Found\r\n" DATE "\r\n");
}

static void informational_heads_are_bare(void **state)
{
    (void)state;
    struct carom_h1_extra extra = extra_of(CAROM_H1_CLOSE);
    const carom_field link = field("Link", "</a.css>; rel=preload");
    const struct carom_response_plan plan = {.status = 103, .body = CAROM_BODY_NONE};
    check(&plan, &link, 1, &extra,
          "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    const carom_field close_it = field("Connection", "close"); /* which the last head says */
    check(&plan, &close_it, 1, &extra, "HTTP/1.1 103 Early Hints\r\n\r\n");
}

static void upgrades_name_their_connection_option(void **state)
{
    (void)state;
    struct carom_h1_extra extra = extra_of(CAROM_H1_UPGRADE);
    const carom_field upgrade = field("Upgrade", "websocket");
    struct carom_response_plan plan = {
        .status = 101, .body = CAROM_BODY_TUNNEL, .upgrade_field = true};
    check(&plan, &upgrade, 1, &extra,
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" DATE
          "Connection: upgrade\r\n\r\n");
    /* A final response may name what it would speak (RFC 9110, 7.8 and 15.5.22). */
    plan = (struct carom_response_plan){
        .status = 426, .body = CAROM_BODY_LENGTH, .length_field = true, .upgrade_field = true};
    extra.connection = CAROM_H1_CLOSE;
    check(&plan, &upgrade, 1, &extra,
          "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n" DATE
          "Content-Length: 0\r\nConnection: upgrade\r\nConnection: close\r\n\r\n");
}

/* The longest head there is fits in the room; ASan watches the bytes behind it. */
static void the_room_is_enough(void **state)
{
    (void)state;
    char name[300], value[3000];
    memset(name, 'n', sizeof name);
    memset(value, 'v', sizeof value);
    carom_field fields[100] = {{{name, sizeof name}, {value, sizeof value}}};
    for (size_t i = 1; i < COUNT(fields); i++) /* each has a line end of its own */
        fields[i] = field("a", "");
    for (unsigned status = 100; status < 600; status++) {
        struct carom_response_plan plan = {.status = (uint16_t)status,
                                           .body = CAROM_BODY_LENGTH,
                                           .length_field = true,
                                           .upgrade_field = true,
                                           .content_length = UINT64_MAX};
        struct carom_h1_extra extra = extra_of(CAROM_H1_KEEP_10);
        extra.keep_alive_line = slice("Keep-Alive: timeout=4294967, max=4294967295\r\n");
        for (size_t count = 0; count <= COUNT(fields); count += count < 2 ? 1 : 98) {
            size_t room = carom_h1_head_room(count, carom_fields_bytes(fields, count));
            uint8_t *bytes = room_for(room);
            assert_true(carom_h1_head_write(bytes, &plan, fields, count, &extra) <= room);
            free(bytes);
        }
    }
}

static void trailers_are_lines_and_an_empty_one(void **state)
{
    (void)state;
    const carom_field trailers[] = {field("X-Checksum", "abc"), field("Y", "")};
    for (size_t count = 0; count <= 2; count++) {
        static const char *const expected[] = {"\r\n", "X-Checksum: abc\r\n\r\n",
                                               "X-Checksum: abc\r\nY: \r\n\r\n"};
        size_t room = carom_h1_head_room(count, carom_fields_bytes(trailers, count));
        uint8_t *bytes = room_for(room);
        size_t length = carom_h1_trailers_write(bytes, trailers, count);
        assert_true(length <= room);
        assert_int_equal(length, strlen(expected[count]));
        assert_memory_equal(bytes, expected[count], length);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_head),
        cmocka_unit_test(the_connection_is_told),
        cmocka_unit_test(lines_of_the_engine_are_written_once),
        cmocka_unit_test(framing_follows_the_plan),
        cmocka_unit_test(a_status_without_a_phrase_keeps_its_blank),
        cmocka_unit_test(a_phrase_is_the_handlers),
        cmocka_unit_test(informational_heads_are_bare),
        cmocka_unit_test(upgrades_name_their_connection_option),
        cmocka_unit_test(the_room_is_enough),
        cmocka_unit_test(trailers_are_lines_and_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
