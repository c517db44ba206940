/* What a client must see: the answers to its requests, in order and byte for byte, or a lawful end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "simulate/world.h"

static struct exchange *current(const struct client *client)
{
    return client->answered < client->count ? client->exchanges[client->answered] : NULL;
}

/* ---------------------------------------------------------------- the end */

bool exchange_ends_connection(const struct exchange *exchange)
{
    const struct client *client = exchange->client;
    return exchange->closes || (exchange->old && !exchange->keeps) || exchange->says_close ||
           exchange->refused || exchange->refused_late || exchange->cut || exchange->over ||
           exchange->expects || exchange->upgraded || exchange->reason > CAROM_REASON_COMPLETE ||
           (exchange->old && !exchange->known) ||
           (exchange->final && (client->closing || client->refused)) ||
           ((exchange->content > 0 || exchange->chunked) && !exchange->read_whole) ||
           (uint32_t)exchange->index + 1 >= world->options.max_connection_requests;
}

/* Whether the answer to `exchange` may be missing, or cut short, now that the connection is gone.
 */
static bool excused(const struct client *client, const struct exchange *exchange)
{
    const carom_options *options = &world->options;
    uint64_t now = world_now();
    if (client->reset || client->refused || client->deaf || client->mutated ||
        world->memory_failed || carom_peer_failed(client->peer))
        return true;
    if (client->line != NULL && !exchange->handed &&
        now >= client->accepted_at + options->handshake_timeout)
        return true;
    bool lingered = now >= client->accepted_at + options->linger_timeout;
    if (options->refuse_connections && client->answered == 0 && !exchange->handed &&
        (client->window > 0 || lingered))
        return true; /* the refusal did not get through */
    if (world->draining && (!exchange->handed || now >= world->drain_deadline))
        return true;
    for (int i = 0; i <= exchange->index; i++) {
        const struct exchange *before = client->exchanges[i];
        if (before->cut || (i < exchange->index && exchange_ends_connection(before)))
            return true;
        /* Its FIN cancels what is not answered; what was answered whole is sent. */
        if (client->finished && client->sent < before->to)
            return true;
        if (client->finished && (world->on_ring || !before->whole) &&
            !(options->half_close && before->handed && client->taken >= before->to))
            return true;
    }
    if (client->window > 0 && now >= client->progress_at + options->write_timeout)
        return true;
    /* It was closed as idle when the request was on its way. */
    uint64_t idle = options->keep_alive + options->keep_alive_grace;
    if (exchange->index == 0 && options->first_byte_timeout < idle)
        idle = options->first_byte_timeout;
    return client->answered == exchange->index && !exchange->handed &&
           now >= client->active_at + idle;
}

void client_conclude(struct client *client)
{
    client->concluded = true;
    bool reset = carom_peer_saw_reset(client->peer);
    LOG("client %d: the connection is closed%s, %d of %d answered", client->number,
        reset ? " with a reset" : "", client->answered, client->count);
    if (client->session != NULL) {
        client_h2_conclude(client);
        return;
    }
    if (client->mutated || !line_is_open(client))
        return;
    struct exchange *exchange = current(client);
    if (exchange != NULL && exchange->from < client->sent && !excused(client, exchange))
        world_fail("client %d: request %u was not answered%s", client->number, exchange->id,
                   exchange->final ? " whole" : "");
    if (exchange == NULL && client->count == 0 && !client->finished && !client->reset &&
        !client->refused && !client->deaf && client->window == 0 &&
        !world->options.refuse_connections && !world->draining && !world->memory_failed &&
        !carom_peer_failed(client->peer) &&
        world_now() < client->accepted_at + world->options.first_byte_timeout)
        world_fail("client %d: closed before it could ask", client->number);
    if (exchange == NULL && client->count > 0 && !client->closing && !client->finished &&
        !client->reset && !world->draining && !world->memory_failed &&
        !carom_peer_failed(client->peer) && client->reader != READER_TUNNEL &&
        !exchange_ends_connection(client->exchanges[client->count - 1]) &&
        world_now() <=
            client->active_at + world->options.keep_alive + world->options.keep_alive_grace)
        world_fail("client %d: closed though it is kept alive", client->number);
}

/* ---------------------------------------------------------------- heads */

static bool starts(const char *line, const char *with)
{
    return strncasecmp(line, with, strlen(with)) == 0;
}

/* A head of `length` bytes, its empty line among them. */
static struct head parse_head(const struct client *client, const char *bytes, size_t length)
{
    struct head head = {0};
    char text[4096];
    if (length >= sizeof text)
        world_fail("client %d: a head of %zu bytes", client->number, length);
    memcpy(text, bytes, length);
    text[length] = '\0';
    if (!starts(text, "HTTP/1.1 ") || strlen(text) != length)
        world_fail("client %d: no response begins so: %.40s", client->number, text);
    head.status = (unsigned)strtoul(text + 9, NULL, 10);
    for (char *line = strstr(text, "\r\n") + 2; *line != '\r'; line = strstr(line, "\r\n") + 2) {
        head.close |= starts(line, "connection: close\r\n");
        head.keep |= starts(line, "connection: keep-alive\r\n");
        head.upgrade |= starts(line, "connection: upgrade\r\n");
        head.chunked |= starts(line, "transfer-encoding: chunked\r\n");
        if (starts(line, "content-length: ")) {
            if (head.has_length)
                world_fail("client %d: Content-Length twice", client->number);
            head.has_length = true;
            head.length = strtoull(line + 16, NULL, 10);
        } else if (starts(line, "x-id: ")) {
            head.has_id = true;
            head.id = (uint32_t)strtoul(line + 6, NULL, 10);
        }
    }
    return head;
}

/* The engine answers in the handler's place: with this status, and lawfully. */
void reader_refusal(const struct exchange *exchange, const struct head *head)
{
    const carom_options *options = &world->options;
    uint64_t now = world_now();
    bool lawful = false;
    switch (head->status) {
    case 408: /* of the head, or of the content */
        lawful = !exchange->handed && exchange->taken_at > 0 &&
                 now > exchange->taken_at + options->header_timeout;
        lawful |= exchange->handed && now > exchange->handed_at + options->content_window;
        break;
    case 405: /* a tunnel that nobody made */
    case 500:
        lawful = exchange->is_connect == (head->status == 405) && exchange->handed &&
                 exchange->released && !exchange->begun;
        break;
    case 503:
        lawful = !exchange->handed &&
                 (world->overload_seen || (exchange->client->session != NULL &&
                                           exchange->index >= (int)options->h2_max_streams));
        lawful |= exchange->handed && options->handler_timeout != CAROM_OFF &&
                  now > exchange->handed_at + options->handler_timeout;
        break;
    default:
        break;
    }
    if (exchange->refused)
        lawful = head->status == exchange->refused ||
                 (exchange->refused != 0 && lawful && head->status == 408);
    else if (exchange->refused_late && (head->status == 400 || head->status == 413))
        lawful = true;
    if (!lawful && !world->memory_failed)
        world_fail("client %d: request %u is answered %u by the engine, %llu ms after it began",
                   exchange->client->number, exchange->id, head->status,
                   (unsigned long long)(now - exchange->taken_at));
    bool must_close = head->status != 500 && !(head->status == 503 && exchange->handed);
    if (must_close && !head->close && !world->memory_failed && exchange->client->session == NULL)
        world_fail("client %d: kept alive after a refusal", exchange->client->number);
}

/* The handler's own head. */
void reader_answer(const struct exchange *exchange, const struct head *head)
{
    int number = exchange->client->number;
    if (!exchange->begun || head->id != exchange->id || head->status != exchange->status)
        world_fail("client %d: expects the answer to %u, sees %u to %u", number, exchange->id,
                   head->status, head->id);
    if (exchange->refused)
        world_fail("client %d: a malformed request was served", number);
    bool none = exchange->status == 204 || exchange->status == 304;
    if (none && (head->chunked || (head->has_length && exchange->status == 204)))
        world_fail("client %d: framing of a %u", number, head->status);
    if (!none && head->has_length && head->length != exchange->length)
        world_fail("client %d: %llu bytes are announced, not %u", number,
                   (unsigned long long)head->length, exchange->length);
    if (exchange->client->session != NULL)
        return; /* GOAWAY says so */
    bool ends = exchange_ends_connection(exchange) || exchange->client->finished || world->draining;
    if (head->close && !ends)
        world_fail("client %d: closed after request %u for no reason", number, exchange->id);
    bool must = exchange->closes || exchange->says_close || (exchange->old && !exchange->keeps) ||
                (uint32_t)exchange->index + 1 >= world->options.max_connection_requests;
    if (must && !head->close && head->status != 101 && !exchange->upgraded)
        world_fail("client %d: kept alive after request %u", number, exchange->id);
}

static void begin_tunnel(struct client *client, struct exchange *exchange)
{
    exchange->content = random_size(&world->random, 20000);
    client_append(client, pattern_of(exchange->id, false), exchange->content);
    exchange->to = client->out_used;
    client->reader = READER_TUNNEL;
    client->offset = 0;
    client->requests = 0;
}

static void begin_content(struct client *client, struct exchange *exchange, const struct head *head)
{
    bool none = exchange->is_head || head->status == 204 || head->status == 304;
    client->offset = 0;
    client->left = none ? 0 : head->length;
    client->reader = READER_LENGTH;
    if (none)
        return;
    if (head->chunked)
        client->reader = READER_CHUNK_LINE;
    else if (!head->has_length)
        client->reader = READER_UNTIL_CLOSE;
    if (head->chunked && (head->has_length || exchange->old))
        world_fail("client %d: framing of the answer to %u", client->number, exchange->id);
    if (client->reader == READER_UNTIL_CLOSE && !exchange->old)
        world_fail("client %d: the answer to %u has no framing", client->number, exchange->id);
}

/* An informational response. */
void reader_informational(struct exchange *exchange, const struct head *head)
{
    int number = exchange->client->number;
    LOG("client %d sees %u for %u", number, head->status, exchange->id);
    if (head->status == 100) {
        if (!exchange->expects || exchange->continued)
            world_fail("client %d: 100 Continue, not expected", number);
        exchange->continued = true;
    } else {
        if (head->status != 103 || !exchange->informed || head->id != exchange->id)
            world_fail("client %d: %u, not expected", number, head->status);
        exchange->hinted = true;
    }
}

static void take_head(struct client *client, const struct head *head)
{
    struct exchange *exchange = current(client);
    if (client->closing || client->refused)
        world_fail("client %d: an answer after the last one", client->number);
    if (exchange == NULL || exchange->from >= client->sent) {
        if (head->status != 503 || !head->close || client->answered > 0 ||
            !world->options.refuse_connections)
            world_fail("client %d: an answer (%u) to nothing", client->number, head->status);
        client->refused = true;
        return;
    }
    if (!exchange->handed && client->answered == 0 && head->status == 503 &&
        world->options.refuse_connections) {
        client->refused = true;
        return;
    }
    if (head->status < 200 && head->status != 101) {
        reader_informational(exchange, head);
        return;
    }
    LOG("client %d sees %u for %u", client->number, head->status, exchange->id);
    exchange->final = true;
    client->closing = head->close;
    if (!head->has_id) {
        reader_refusal(exchange, head);
        client->offset = 0;
        client->left = exchange->is_head ? 0 : head->length;
        client->reader = READER_LENGTH;
        exchange->cut = exchange->cut || !exchange->released;
        exchange->length = UINT32_MAX; /* the content is the engine's */
        return;
    }
    reader_answer(exchange, head);
    if (exchange->upgraded)
        begin_tunnel(client, exchange);
    else
        begin_content(client, exchange, head);
}

/* ---------------------------------------------------------------- content */

static void check_bytes(struct client *client, const char *bytes, size_t length)
{
    const struct exchange *exchange = current(client);
    if (exchange->length != UINT32_MAX) {
        if (client->offset + length > exchange->length ||
            memcmp(bytes, pattern_of(exchange->id, true) + client->offset, length) != 0)
            world_fail("client %d: the content of %u is wrong at %llu", client->number,
                       exchange->id, (unsigned long long)client->offset);
    }
    client->offset += length;
}

static void answer_is_whole(struct client *client)
{
    struct exchange *exchange = current(client);
    bool none = exchange->is_head || exchange->status == 204 || exchange->status == 304;
    if (exchange->length != UINT32_MAX && !none && client->offset != exchange->length)
        world_fail("client %d: %llu bytes of %u for %u", client->number,
                   (unsigned long long)client->offset, exchange->length, exchange->id);
    LOG("client %d has the whole answer to %u", client->number, exchange->id);
    exchange->answered = true;
    client->answered++;
    client->active_at = world_now();
    client->reader = READER_HEAD;
    world->answered++;
}

/* Bytes up to and with the next CRLF; 0 when it has not come. */
static size_t line_length(const char *bytes, size_t length)
{
    const char *feed = memchr(bytes, '\n', length);
    return feed == NULL ? 0 : (size_t)(feed - bytes) + 1;
}

static size_t read_chunk_line(struct client *client, const char *bytes, size_t length)
{
    size_t line = line_length(bytes, length);
    char *end;
    if (line == 0)
        return 0;
    client->left = strtoull(bytes, &end, 16);
    if (end == bytes || end[0] != '\r')
        world_fail("client %d: no chunk begins so", client->number);
    client->reader = client->left > 0 ? READER_CHUNK : READER_TRAILERS;
    return line;
}

static size_t read_trailers(struct client *client, const char *bytes, size_t length)
{
    size_t line = line_length(bytes, length);
    if (line == 0)
        return 0;
    if (line == 2)
        answer_is_whole(client);
    else if (!current(client)->trailers_out || !starts(bytes, "X-End: yes\r\n"))
        world_fail("client %d: a strange trailer", client->number);
    return line;
}

static size_t read_content(struct client *client, const char *bytes, size_t length)
{
    size_t size = length < client->left ? length : client->left;
    check_bytes(client, bytes, size);
    client->left -= size;
    if (client->left > 0)
        return size;
    if (client->reader == READER_LENGTH)
        answer_is_whole(client);
    else
        client->reader = READER_CHUNK_END;
    return size;
}

static size_t read_head(struct client *client, const char *bytes, size_t length)
{
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t size = (size_t)(end - bytes) + 4;
    struct head head = parse_head(client, bytes, size);
    take_head(client, &head);
    return size;
}

/* One step over what has come; returns the bytes that are done with. */
static size_t read_some(struct client *client, const char *bytes, size_t length)
{
    switch (client->reader) {
    case READER_HEAD:
        return read_head(client, bytes, length);
    case READER_LENGTH:
    case READER_CHUNK:
        return read_content(client, bytes, length);
    case READER_CHUNK_LINE:
        return read_chunk_line(client, bytes, length);
    case READER_CHUNK_END:
        if (length < 2)
            return 0;
        if (memcmp(bytes, "\r\n", 2) != 0)
            world_fail("client %d: a chunk does not end", client->number);
        client->reader = READER_CHUNK_LINE;
        return 2;
    case READER_TRAILERS:
        return read_trailers(client, bytes, length);
    default:
        check_bytes(client, bytes, length);
        return length;
    }
}

void client_read(struct client *client)
{
    size_t length;
    const char *bytes = line_received(client, &length);
    bool came = false;
    for (;;) { /* until a step changes nothing */
        int answered = client->answered;
        size_t size = 0;
        bool nothing_comes = client->reader == READER_LENGTH && client->left == 0;
        if (client->seen < length || nothing_comes)
            size = read_some(client, bytes + client->seen, length - client->seen);
        if (size == 0 && client->answered == answered)
            break;
        client->seen += size;
        came |= size > 0;
    }
    if (came)
        client->progress_at = world_now();
    bool until_fin = client->reader == READER_TUNNEL || client->reader == READER_UNTIL_CLOSE;
    /* Bytes that nobody reads may make the orderly end a reset. */
    if (until_fin && (carom_peer_saw_fin(client->peer) || carom_peer_saw_close(client->peer))) {
        struct exchange *exchange = current(client);
        if (exchange != NULL && client->offset == exchange->length) {
            exchange->answered = true;
            client->answered++;
            client->active_at = world_now();
            world->answered++;
        }
    }
}
