/* The routes of the test server, and those that answer at once. What a route does stands in
 * `routes` or above its function. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tool/serve/serve.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

char pattern[PIECE_MAX + PATTERN_PERIOD];

uint64_t query_number(const carom_record *record, const char *name, uint64_t otherwise)
{
    carom_slice target = carom_request_target(record);
    size_t length = strlen(name);
    const char *at = memchr(target.data, '?', target.length);
    const char *end = target.data + target.length;
    while (at != NULL && at < end) {
        at++;
        if ((size_t)(end - at) > length && memcmp(at, name, length) == 0 && at[length] == '=') {
            uint64_t number = 0;
            for (at += length + 1; at < end && *at >= '0' && *at <= '9'; at++)
                number = number * 10 + (uint64_t)(*at - '0');
            return number;
        }
        at = memchr(at, '&', (size_t)(end - at));
    }
    return otherwise;
}

void note_result(int result)
{
    if (result < 0 && result != -CAROM_ECANCELED) {
        atomic_fetch_add(&server.refused, 1);
        (void)fprintf(stderr, "serve: unexpected %s\n", carom_error_name(result));
    }
}

static void answer(struct exchange *exchange, uint16_t status, carom_content content)
{
    static const carom_field fields[] = {
        {CAROM_SLICE("Content-Type"), CAROM_SLICE("text/plain")},
    };
    carom_response response = {.status = status, .fields = fields, .field_count = 1};
    response.content = content;
    note_result(carom_respond(exchange->record, &response));
    carom_release(exchange->record);
}

void answer_static(struct exchange *exchange, uint16_t status, const char *data, size_t length)
{
    answer(exchange, status, (carom_content){data, length, carom_static_content, NULL});
}

void answer_text(struct exchange *exchange, uint16_t status, const char *text)
{
    answer(exchange, status, (carom_content){text, strlen(text), NULL, NULL});
}

void wait_edge(struct exchange *exchange, carom_edge edge, carom_wake *wake)
{
    exchange->waker.wake = wake;
    note_result(carom_wait(exchange->record, edge, &exchange->waker));
}

/* /hello */
static void route_hello(struct exchange *exchange)
{
    static const char text[] = "hello\n";
    answer_static(exchange, 200, text, sizeof(text) - 1);
}

static void later_wake(carom_waker *waker, int status)
{
    (void)status;
    static const char text[] = "later\n";
    answer_static(EXCHANGE_OF(waker, waker), 200, text, sizeof(text) - 1);
}

static void later_cancelled(carom_waker *waker, int status)
{
    (void)status;
    carom_release(EXCHANGE_OF(waker, cancelled)->record);
}

/* /later?ms=1 */
static void route_later(struct exchange *exchange)
{
    exchange->waker.wake = later_wake;
    exchange->cancelled.wake = later_cancelled;
    note_result(carom_wait(exchange->record, CAROM_CANCELLED, &exchange->cancelled));
    uint32_t wait = (uint32_t)query_number(exchange->record, "ms", 1);
    note_result(carom_wait_time(exchange->record, wait, &exchange->waker));
}

/* /status?code=204&length=N: the answer has content whatever the code; N is set as a field. */
static void route_status(struct exchange *exchange)
{
    carom_field field = {CAROM_SLICE("Content-Length"), {"1234", 4}};
    bool length = query_number(exchange->record, "length", 0) != 0;
    carom_response response = {.fields = &field, .field_count = length ? 1 : 0};
    response.status = (uint16_t)query_number(exchange->record, "code", 200);
    if (query_number(exchange->record, "content", 1) != 0)
        response.content = (carom_content){"body\n", 5, carom_static_content, NULL};
    note_result(carom_respond(exchange->record, &response));
    carom_release(exchange->record);
}

/* /inform: 103 Early Hints, then 200. */
static void route_inform(struct exchange *exchange)
{
    carom_field link = {CAROM_SLICE("Link"), CAROM_SLICE("</style.css>; rel=preload")};
    carom_response hints = {.status = 103, .fields = &link, .field_count = 1};
    note_result(carom_inform(exchange->record, &hints));
    route_hello(exchange);
}

/* /split: what would split a response is refused with EFIELD, and the record can still be answered.
 */
static void route_split(struct exchange *exchange)
{
    static const carom_field bad[] = {
        {CAROM_SLICE("X-A"), CAROM_SLICE("b\r\nX-C: d")},
        {CAROM_SLICE("X-A"), CAROM_SLICE("b\nX-C: d")},
        {CAROM_SLICE("X-A"), CAROM_SLICE("b\rX-C: d")},
        {CAROM_SLICE("X-A"), {"b\0c", 3}},
        {CAROM_SLICE("X-A\r\nX-B"), CAROM_SLICE("c")},
        {CAROM_SLICE("X A"), CAROM_SLICE("b")},
        {CAROM_SLICE("X-A:"), CAROM_SLICE("b")},
        {CAROM_SLICE(""), CAROM_SLICE("b")},
        {CAROM_SLICE("Transfer-Encoding"), CAROM_SLICE("chunked")},
        {CAROM_SLICE("Connection"), CAROM_SLICE("upgrade")},
        {CAROM_SLICE("Keep-Alive"), CAROM_SLICE("timeout=1")},
    };
    char text[64];
    unsigned refused = 0;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        carom_response response = {.status = 200, .fields = &bad[i], .field_count = 1};
        if (carom_respond(exchange->record, &response) == -CAROM_EFIELD)
            refused++;
        response.content_length = CAROM_LENGTH_UNKNOWN;
        if (carom_respond_begin(exchange->record, &response) == -CAROM_EFIELD)
            refused++;
    }
    (void)snprintf(text, sizeof(text), "%u of %zu refused\n", refused, 2 * COUNT_OF(bad));
    answer_text(exchange, 200, text);
}

/* /abandon: released without an answer. */
static void route_abandon(struct exchange *exchange)
{
    carom_release(exchange->record);
}

/* /cut: released, or with cancel=1 cancelled, in the middle of a response. */
static void route_cut(struct exchange *exchange)
{
    carom_response response = {.status = 200, .content_length = 100};
    note_result(carom_respond_begin(exchange->record, &response));
    note_result(
        carom_write(exchange->record, &(carom_content){"half", 4, carom_static_content, NULL}));
    if (query_number(exchange->record, "cancel", 0) != 0)
        carom_cancel(exchange->record);
    carom_release(exchange->record);
}

/* /peer: both ends of the connection. */
static void route_peer(struct exchange *exchange)
{
    static const char *const families[] = {"none", "ipv4", "ipv6", "unix"};
    carom_address peer;
    carom_address local;
    char text[320];
    carom_record_peer(exchange->record, &peer);
    carom_record_local(exchange->record, &local);
    (void)snprintf(text, sizeof(text), "%s %s %u %s %s %u\n", families[peer.family], peer.text,
                   (unsigned)peer.port, families[local.family], local.text, (unsigned)local.port);
    answer_text(exchange, 200, text);
}

/* /allocations: how often the process has asked for memory; -1 when that is not known. */
static void route_allocations(struct exchange *exchange)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld\n", (long long)allocations_count());
    answer_text(exchange, 200, text);
}

int stats_text(char *text, size_t room)
{
    carom_stats s = CAROM_STATS_INIT;
    carom_service_stats(server.service, &s);
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
#define NUMBER(name) {#name, s.name}
        NUMBER(connections_accepted),
        NUMBER(connections_refused),
        NUMBER(connections_open),
        NUMBER(requests),
        NUMBER(responses),
        NUMBER(bytes_received),
        NUMBER(bytes_sent),
        NUMBER(records_in_flight),
        NUMBER(records_peak),
        NUMBER(records_pooled),
        NUMBER(records_recycled),
        NUMBER(records_allocated),
        NUMBER(pages_in_use),
        NUMBER(pages_pooled),
        NUMBER(memory),
        NUMBER(timeouts),
        NUMBER(cancellations),
        NUMBER(tls_handshakes),
        NUMBER(tls_resumed),
        NUMBER(tls_failed),
        NUMBER(h2_connections),
        NUMBER(h2_calmed),
        NUMBER(websockets_open),
        NUMBER(websockets_accepted),
        NUMBER(websocket_messages_received),
        NUMBER(websocket_messages_sent),
#undef NUMBER
    };
    int length = snprintf(text, room, "{\"refused\": %u", atomic_load(&server.refused));
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        length += snprintf(text + length, room - (size_t)length, ", \"%s\": %llu", numbers[i].name,
                           (unsigned long long)numbers[i].number);
    length += snprintf(text + length, room - (size_t)length, ", \"ended\": {");
    for (unsigned i = 0; i < CAROM_REASON_COUNT; i++)
        length += snprintf(text + length, room - (size_t)length, "%s\"%s\": %llu", i ? ", " : "",
                           carom_reason_name((carom_reason)i), (unsigned long long)s.ended[i]);
    return length + snprintf(text + length, room - (size_t)length, "}}");
}

/* /stats */
static void route_stats(struct exchange *exchange)
{
    char text[STATS_TEXT];
    (void)stats_text(text, sizeof(text));
    answer_text(exchange, 200, text);
}

/* /file?size=N: so much of the pattern, from a file. given=1: the descriptor is given away. */
static void route_file(struct exchange *exchange)
{
    const carom_response response = {.status = 200};
    carom_file file = {
        .descriptor = server.pattern_file,
        .length = query_number(exchange->record, "size", CAROM_LENGTH_UNKNOWN),
        .give_back = carom_static_content,
    };
    if (query_number(exchange->record, "given", 0) != 0) {
        file.descriptor = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0);
        file.give_back = NULL;
    }
    note_result(carom_respond_file(exchange->record, &response, &file));
    carom_release(exchange->record);
}

/* /shutdown?deadline=N (default: that of the command line) */
static void route_shutdown(struct exchange *exchange)
{
    uint32_t deadline = (uint32_t)query_number(exchange->record, "deadline", server.deadline);
    route_hello(exchange);
    carom_shutdown(server.service, deadline);
}

static const struct route {
    const char *path;
    void (*run)(struct exchange *exchange);
} routes[] = {
    {"/hello", route_hello},       {"/later", route_later},
    {"/thread", route_thread},     {"/stream", route_stream},
    {"/echo", route_echo},         {"/count", route_count},
    {"/collect", route_collect},   {"/hold", route_hold},
    {"/release", route_release},   {"/status", route_status},
    {"/inform", route_inform},     {"/tunnel", route_tunnel},
    {"/split", route_split},       {"/cut", route_cut},
    {"/abandon", route_abandon},   {"/peer", route_peer},
    {"/stats", route_stats},       {"/allocations", route_allocations},
    {"/shutdown", route_shutdown}, {"/file", route_file},
    {"/tls", route_tls},           {"/reload", route_reload},
    {"/redirect", route_redirect}, {"/sockets", route_sockets},
    {"/room", route_room},         {"/last", route_last},
};

void serve_handler(carom_record *record, void *data)
{
    (void)data;
    struct exchange *exchange = carom_record_state(record);
    exchange->record = record;
    carom_slice method = carom_request_method(record);
    bool connects = method.length == 7 && memcmp(method.data, "CONNECT", 7) == 0;
    if (connects && !carom_websocket_is_asked(record)) {
        route_tunnel(exchange);
        return;
    }
    carom_slice target = carom_request_target(record);
    const char *query = memchr(target.data, '?', target.length);
    size_t length = query != NULL ? (size_t)(query - target.data) : target.length;
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (strlen(routes[i].path) == length && memcmp(routes[i].path, target.data, length) == 0) {
            routes[i].run(exchange);
            return;
        }
    }
    static const char text[] = "no such route\n";
    answer_static(exchange, 404, text, sizeof(text) - 1);
}
