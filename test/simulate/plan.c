/* What an exchange will be: the request and its bytes, valid, odd or malicious, and what its
 * handler will do. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/world.h"

void client_append(struct client *client, const void *data, size_t length)
{
    if (length > client->out_size - client->out_used) {
        client->out_size = 2 * (client->out_used + length);
        client->out = realloc(client->out, client->out_size);
        if (client->out == NULL)
            world_fail("out of memory");
    }
    memcpy(client->out + client->out_used, data, length);
    client->out_used += length;
}

static void say(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct client *client, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    client_append(client, text, (size_t)length);
}

static void say_many(struct client *client, char letter, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        client_append(client, &letter, 1);
}

/* ---------------------------------------------------------------- requests that must be refused */

/* Each writes a whole head; `id` stands in the target, where there is one. */
static void write_malformed(struct exchange *exchange)
{
    static const struct {
        const char *text; /* with the id's place */
        uint16_t status;
    } heads[] = {
        {"GET /%u HTTP/1.1\r\n\r\n", 400},
        {"GET /%u HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET /%u HTTP/1.1\nHost: a\n\n", 400},
        {"GET  /%u HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%u HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET /%u HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET /%u HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
        {"POST /%u HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413},
        {"POST /%u HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN /%u HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"CONNECT /%u HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"\x16\x03\x01\x02%u\r\n", 400},
    };
    struct client *client = exchange->client;
    uint32_t kind = random_below(&world->random, sizeof heads / sizeof *heads + 3);
    uint32_t known = sizeof heads / sizeof *heads;
    if (kind < known) {
        const char *text = heads[kind].text;
        const char *id = strstr(text, "%u");
        client_append(client, text, (size_t)(id - text));
        say(client, "%u%s", exchange->id, id + 2);
        exchange->refused = heads[kind].status;
    } else if (kind == known) {
        say(client, "GET /%u/", exchange->id);
        say_many(client, 'x', world->options.max_target);
        say(client, " HTTP/1.1\r\nHost: a\r\n\r\n");
        exchange->refused = 414;
    } else if (kind == known + 1) {
        say(client, "GET /%u HTTP/1.1\r\nHost: a\r\nX-Long: ", exchange->id);
        say_many(client, 'x', world->options.max_header_section);
        say(client, "\r\n\r\n");
        exchange->refused = 431;
    } else {
        say(client, "GET /%u HTTP/1.1\r\nHost: a\r\n", exchange->id);
        for (uint32_t i = 0; i < world->options.max_fields; i++)
            say(client, "X: 1\r\n");
        say(client, "\r\n");
        exchange->refused = 431;
    }
    exchange->head_end = client->out_used;
}

/* ---------------------------------------------------------------- requests */

/* Chunks of any size, with the oddities that are allowed; or broken somewhere. */
static void write_chunked(struct exchange *exchange)
{
    struct client *client = exchange->client;
    struct random *random = &world->random;
    const char *content = pattern_of(exchange->id, false);
    uint32_t at = 0;
    while (at < exchange->content) {
        uint32_t size = 1 + random_size(random, exchange->content - at - 1);
        uint32_t oddity = random_below(random, 12);
        const char *extension = oddity == 0 ? ";a=b" : oddity == 1 ? " ;a=\"x;\\\"y\"" : "";
        say(client, oddity == 2 ? "%04X%s\r\n" : "%x%s\r\n", size, extension);
        client_append(client, content + at, size);
        client_append(client, "\r\n", 2);
        at += size;
        if (exchange->refused_late && random_chance(random, 50))
            break;
    }
    if (exchange->refused_late) {
        static const char *const broken[] = {"xyz\r\n", "5\nabcde", "-1\r\n\r\n",
                                             "0\r\nTransfer-Encoding: a\r\n\r\n",
                                             "0\r\n: a\r\n\r\n"};
        say(client, "%s", broken[random_below(random, sizeof broken / sizeof *broken)]);
        return;
    }
    say(client, "0\r\n");
    if (exchange->trailers)
        say(client, "X-Sum: %u\r\n", exchange->id);
    say(client, "\r\n");
}

static const char *method_of(const struct exchange *exchange)
{
    if (exchange->is_connect)
        return "CONNECT";
    if (exchange->is_head)
        return "HEAD";
    return exchange->content > 0 || exchange->chunked ? "POST" : "GET";
}

static void write_request(struct exchange *exchange)
{
    struct client *client = exchange->client;
    const char *line = random_chance(&world->random, 5) ? "\r\n" : "";
    if (exchange->is_connect)
        say(client, "%sCONNECT host.%u:%u HTTP/1.1\r\n", line, exchange->id, exchange->id + 1);
    else
        say(client, "%s%s /%u HTTP/1.%d\r\n", line, method_of(exchange), exchange->id,
            exchange->old ? 0 : 1);
    say(client, "Host: example.org\r\nX-Id:  %u \r\n", exchange->id);
    if (exchange->fill > 0) {
        say(client, "X-Fill: ");
        client_append(client, "", 0);
        say_many(client, 'f', exchange->fill);
        say(client, "\r\n");
    }
    if (exchange->closes)
        say(client, "Connection: close\r\n");
    if (exchange->keeps)
        say(client, "Connection: keep-alive\r\n");
    if (exchange->upgrades)
        say(client, "Connection: upgrade\r\nUpgrade: carom\r\n");
    if (exchange->expects)
        say(client, "Expect: 100-continue\r\n");
    if (exchange->chunked)
        say(client, "Transfer-Encoding: chunked\r\n");
    else if (exchange->content > 0)
        say(client, "Content-Length: %u\r\n", exchange->content);
    say(client, "\r\n");
    exchange->head_end = client->out_used;
    if (exchange->chunked)
        write_chunked(exchange);
    else
        client_append(client, pattern_of(exchange->id, false), exchange->content);
}

static void draw_request(struct exchange *exchange)
{
    struct random *random = &world->random;
    uint32_t kind = random_below(random, 100);
    if (kind < 4) {
        exchange->is_connect = true;
    } else if (kind < 9) {
        exchange->upgrades = true;
    } else if (kind < 14) {
        exchange->is_head = true;
    } else if (kind < 22) {
        exchange->old = true;
        exchange->keeps = random_chance(random, 50);
    }
    bool may_have_content = !exchange->is_connect && !exchange->upgrades && !exchange->is_head;
    if (may_have_content && random_chance(random, 50)) {
        exchange->chunked = !exchange->old && random_chance(random, 50);
        exchange->content = random_size(random, random_chance(random, 10) ? 100000 : 4000);
        exchange->trailers = exchange->chunked && random_chance(random, 30);
        exchange->refused_late = exchange->chunked && random_chance(random, 8);
        bool content = exchange->chunked || exchange->content > 0;
        exchange->expects = content && !exchange->old && random_chance(random, 20);
        exchange->patient = random_chance(random, 70);
    }
    exchange->closes = !exchange->keeps && !exchange->upgrades && random_chance(random, 6);
    exchange->fill = random_chance(random, 20) ? random_size(random, 3000) : 0;
}

/* ---------------------------------------------------------------- handlers */

static void add(struct exchange *exchange, int *count, enum step step)
{
    exchange->program[(*count)++] = (uint8_t)step;
}

static void draw_answer(struct exchange *exchange, int *count)
{
    struct random *random = &world->random;
    if (random_chance(random, 5))
        add(exchange, count, STEP_MISTAKE);
    if (random_chance(random, 5))
        add(exchange, count, STEP_INFORM);
    bool takes_over = exchange->is_connect || exchange->upgrades;
    if (takes_over && random_chance(random, 75)) {
        add(exchange, count, STEP_UPGRADE);
        add(exchange, count, STEP_WRITE);
        add(exchange, count, STEP_END);
        add(exchange, count, STEP_READ);
        return;
    }
    if (exchange->is_connect)
        exchange->status = 403;
    if (random_chance(random, 65)) {
        add(exchange, count, STEP_RESPOND);
        return;
    }
    add(exchange, count, STEP_BEGIN);
    add(exchange, count, STEP_WRITE);
    add(exchange, count, STEP_END);
}

/* An end too early, in place of what comes last. */
static void draw_bad_end(struct exchange *exchange, int *count)
{
    struct random *random = &world->random;
    uint32_t kind = random_below(random, 100);
    if (kind < 3) {
        *count = (int)random_below(random, (uint32_t)*count + 1); /* release whatever is done */
    } else if (kind < 6) {
        *count = (int)random_below(random, (uint32_t)*count + 1);
        add(exchange, count, STEP_CANCEL);
    } else if (kind < 9) {
        *count = (int)random_below(random, (uint32_t)*count + 1);
        add(exchange, count, STEP_NEVER);
    }
}

static void draw_handler(struct exchange *exchange)
{
    static const uint16_t statuses[] = {200, 200, 200, 200, 201, 204, 304, 404, 500};
    struct random *random = &world->random;
    int count = 0;
    exchange->status = statuses[random_below(random, sizeof statuses / sizeof *statuses)];
    exchange->length = random_size(random, random_chance(random, 10) ? 200000 : 3000);
    exchange->piece = 1 + random_size(random, exchange->length / 4 + 20);
    /* In C a length of 0 is one that is not known. */
    exchange->known = random_chance(random, 50) && (exchange->length > 0 || world->on_ring);
    exchange->lent = random_chance(random, 50);
    exchange->stubborn = random_chance(random, 30);
    exchange->twice = random_chance(random, 10);
    exchange->says_close = random_chance(random, 4);
    exchange->trailers_out = random_chance(random, 20);
    bool content = exchange->content > 0 || exchange->chunked;
    bool reads = content && random_chance(random, 85);
    bool first = random_chance(random, 80); /* reads before it answers */
    enum step how = random_chance(random, 50) ? STEP_READ : STEP_COLLECT;
    if (reads && first)
        add(exchange, &count, how);
    if (random_chance(random, 60))
        add(exchange, &count, STEP_PAUSE);
    draw_answer(exchange, &count);
    if (reads && !first)
        add(exchange, &count, how);
    if (random_chance(random, 15))
        add(exchange, &count, STEP_ROOM);
    draw_bad_end(exchange, &count);
    if (random_chance(random, 25))
        add(exchange, &count, STEP_PAUSE);
    if (random_chance(random, 15))
        add(exchange, &count, STEP_FINISH);
    add(exchange, &count, STEP_RELEASE);
}

/* ---------------------------------------------------------------- on a stream */

struct fields {
    const char *pairs[H2_FIELDS][2];
    size_t count;
    char text[3][64];
    char long_text[20000];
};

static void add_field(struct fields *fields, const char *name, const char *value)
{
    fields->pairs[fields->count][0] = name;
    fields->pairs[fields->count++][1] = value;
}

/* Something that must be refused, and with what. */
static void spoil(struct exchange *exchange, struct fields *fields, const char *id)
{
    const carom_options *options = &world->options;
    switch (random_below(&world->random, 5)) {
    case 0:
        snprintf(fields->long_text, sizeof fields->long_text, "/%s/%0*d", id,
                 (int)options->max_target, 0);
        fields->pairs[1][1] = fields->long_text;
        exchange->refused = 414;
        break;
    case 1:
        snprintf(fields->long_text, sizeof fields->long_text, "%0*d",
                 (int)options->max_header_section, 0);
        add_field(fields, "x-long", fields->long_text);
        exchange->refused = 431;
        break;
    case 2:
        for (uint32_t i = 0; i < options->max_fields; i++)
            add_field(fields, "x", "1");
        exchange->refused = 431;
        break;
    case 3:
        add_field(fields, "expect", "tea");
        exchange->refused = 417;
        break;
    default:
        fields->pairs[0][1] = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN";
        exchange->refused = 501;
        break;
    }
}

static void ask(struct exchange *exchange, bool spoilt)
{
    static struct fields fields;
    char *id = fields.text[0], *target = fields.text[1], *length = fields.text[2];
    fields.count = 0;
    snprintf(id, 64, "%u", exchange->id);
    snprintf(target, 64, exchange->is_connect ? "host.%s:1" : "/%s", id);
    snprintf(length, 64, "%u", exchange->content);
    add_field(&fields, ":method", method_of(exchange));
    if (!exchange->is_connect) {
        add_field(&fields, ":path", target);
        add_field(&fields, ":scheme", "http");
    }
    add_field(&fields, ":authority", exchange->is_connect ? target : "example.org");
    add_field(&fields, "x-id", id);
    if (exchange->fill > 0) {
        memset(fields.long_text, 'f', exchange->fill);
        fields.long_text[exchange->fill] = '\0';
        add_field(&fields, "x-fill", fields.long_text);
    }
    if (exchange->expects)
        add_field(&fields, "expect", "100-continue");
    if (!exchange->chunked && exchange->content > 0)
        add_field(&fields, "content-length", length);
    if (spoilt)
        spoil(exchange, &fields, id);
    client_h2_ask(exchange, (const char *const(*)[2])fields.pairs, fields.count);
}

/* As HTTP/2 has it. */
static void plan_stream(struct exchange *exchange)
{
    bool spoilt = random_chance(&world->random, 6);
    if (!spoilt)
        draw_request(exchange);
    exchange->upgrades = exchange->old = exchange->keeps = exchange->closes = false;
    exchange->refused_late = exchange->content > world->options.max_content && exchange->chunked;
    if (exchange->content > world->options.max_content && !exchange->chunked)
        exchange->refused = 413;
    ask(exchange, spoilt);
}

struct exchange *plan_exchange(struct client *client)
{
    if (world->exchange_count == EXCHANGES || client->count == CLIENT_EXCHANGES)
        return NULL;
    struct exchange *exchange = &world->exchanges[world->exchange_count];
    *exchange = (struct exchange){.id = world->exchange_count++, .client = client, .slot = -1};
    exchange->index = client->count;
    exchange->from = client->out_used;
    if (client->session != NULL) {
        plan_stream(exchange);
    } else if (random_chance(&world->random, 6)) {
        write_malformed(exchange);
    } else {
        draw_request(exchange);
        write_request(exchange);
        bool over = exchange->content > world->options.max_content;
        exchange->refused_late |= over && exchange->chunked;
        if (over && !exchange->chunked)
            exchange->refused = 413;
    }
    draw_handler(exchange);
    if (client->session == NULL)
        exchange->to = client->out_used;
    client->exchanges[client->count++] = exchange;
    LOG("client %d: request %u is %s%s%s, content %u%s, answer %u of %u bytes", client->number,
        exchange->id, exchange->refused ? "malformed " : "", method_of(exchange),
        exchange->upgrades ? " to upgrade" : "", exchange->content,
        exchange->chunked ? " in chunks" : "", exchange->status, exchange->length);
    return exchange;
}
