/* The run of a world of WebSockets, and its server: what that is told must be what clients have
 * said, in their order, and an end that is lawful. */
#include "simulate/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "service/service.h"

#define KINDS 3 /* of options: they differ in compression */

static struct talk talks[TALKS];
unsigned sockets_talk_count;
static struct road roads[ROADS];
static int road_count, roads_most;
static carom_websocket_options options[KINDS];
static uint32_t published, closed;
static const carom_slice topic = CAROM_SLICE("all");

struct talk *sockets_talk(unsigned number)
{
    return number < sockets_talk_count ? &talks[number] : NULL;
}

/* ---------------------------------------------------------------- messages */

/* Text is letters, one in sixteen of two bytes, so that a frame may end within it. */
static void write_text(uint8_t *to, size_t length, uint32_t first)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (uint8_t)('a' + (first + i) % 23);
    for (size_t i = 15; i + 1 < length; i += 16)
        memcpy(to + i, "\xc3\x9f", 2);
}

carom_slice sockets_message(const struct talk *talk, enum message_of whose, uint32_t index,
                            uint8_t *kind)
{
    static uint8_t room[LONGEST];
    unsigned number = whose == OF_ALL ? TALKS : talk->number;
    struct random own = {world->seed * 1000003 + number * 7919 + index * 3 + whose};
    uint32_t length = random_size(&own, random_chance(&own, 5) ? LONGEST : 2000);
    *kind = random_chance(&own, 50) ? CAROM_WEBSOCKET_TEXT : CAROM_WEBSOCKET_BINARY;
    uint32_t first = random_below(&own, 1 << 16);
    if (*kind == CAROM_WEBSOCKET_TEXT)
        write_text(room, length, first);
    else
        memcpy(room, pattern_of(first, whose != OF_CLIENT), length);
    return (carom_slice){(const char *)room, length};
}

/* ---------------------------------------------------------------- the server says */

static bool may_say(const struct talk *talk)
{
    return talk->socket != NULL && talk->order_count < HEARD_MOST;
}

/* What a call that sends has returned. True: the message is on its way. */
static bool is_sent(struct talk *talk, int result)
{
    bool open =
        talk->socket != NULL && carom_websocket_get_state(talk->socket) == CAROM_WEBSOCKET_OPEN;
    talk->drains |= result == -CAROM_EAGAIN || result == -CAROM_ETOOBIG;
    if (result == 0 || result == -CAROM_EAGAIN)
        return true;
    if (result == -CAROM_ENOMEM && world->memory_failed) {
        talk->aborted = true;
        return false;
    }
    if (result == -CAROM_ETOOBIG && options[0].close_at_limit)
        talk->aborted = true;
    else if (result == -CAROM_ETOOBIG ? !open : result != -CAROM_ECANCELED || open)
        world_fail("talk %u: a call that sends says %s", talk->number, carom_error_name(result));
    return false;
}

/* Lent, or to be copied. */
static carom_content content_of(const void *data, size_t length, bool lent)
{
    carom_content content = {data, length, NULL, NULL};
    if (!lent)
        return content;
    size_t *loan = malloc(sizeof *loan + length);
    if (loan == NULL)
        abort();
    *loan = length;
    if (length > 0)
        memcpy(loan + 1, data, length);
    world->lent++;
    content.data = loan + 1;
    content.owner = loan;
    content.give_back = content_given_back;
    return content;
}

static void say(struct talk *talk)
{
    uint8_t kind;
    carom_slice message = sockets_message(talk, OF_SERVER, talk->sent, &kind);
    bool lent = random_chance(&world->random, 30), last = true;
    int result;
    if (talk->pieces) {
        size_t left = message.length - talk->piece_at;
        size_t length =
            random_chance(&world->random, 50) ? left : random_size(&world->random, (uint32_t)left);
        last = length == left;
        const carom_content content = content_of(message.data + talk->piece_at, length, lent);
        result =
            carom_websocket_send_piece(talk->socket, (carom_websocket_kind)kind, &content, last);
        if (is_sent(talk, result)) {
            talk->piece_at += (uint32_t)length;
            talk->in_pieces = !last;
        }
    } else {
        const carom_content content = content_of(message.data, message.length, lent);
        result = carom_websocket_send(talk->socket, (carom_websocket_kind)kind, &content);
        (void)is_sent(talk, result);
    }
    if (!last || (result != 0 && result != -CAROM_EAGAIN))
        return;
    talk->order[talk->order_count++] = talk->sent++;
    talk->piece_at = 0;
}

/* So many bytes may wait, and a message that is longer than the limit is the first. */
#define PING_AND_PONG (2u * (2 + 125))

/* Who will get what is published now. */
static bool gets(const struct talk *talk, size_t length)
{
    if (talk->socket == NULL || !talk->subscribed || talk->in_pieces ||
        carom_websocket_get_state(talk->socket) != CAROM_WEBSOCKET_OPEN)
        return false;
    uint64_t unsent = carom_websocket_buffered(talk->socket), most = options[0].write_limit;
    bool is_first = unsent == 0 || (unsent <= PING_AND_PONG && length > most);
    return is_first || unsent + length <= most;
}

static void publish(carom_websocket *except)
{
    uint8_t kind;
    carom_slice message = sockets_message(NULL, OF_ALL, published, &kind);
    for (unsigned i = 0; i < sockets_talk_count; i++) {
        struct talk *talk = &talks[i];
        if (talk->subscribed && talk->socket != except && talk->order_count == HEARD_MOST)
            return; /* there is no room to note it */
    }
    for (unsigned i = 0; i < sockets_talk_count; i++) {
        struct talk *talk = &talks[i];
        if (talk->socket != except && gets(talk, message.length))
            talk->order[talk->order_count++] = PUBLISHED | published;
        else if (talk->socket != except && talk->subscribed && options[0].close_at_limit)
            talk->aborted = true;
    }
    const carom_content content =
        content_of(message.data, message.length, random_chance(&world->random, 50));
    int error = except == NULL
                    ? carom_publish(&world->service->workers[0], topic, (carom_websocket_kind)kind,
                                    &content)
                    : carom_websocket_publish(except, topic, (carom_websocket_kind)kind, &content);
    if (error < 0 && !(error == -CAROM_ENOMEM && world->memory_failed))
        world_fail("a publication says %s", carom_error_name(error));
    LOG("publication %u", published);
    published++;
}

static void close_talk(struct talk *talk)
{
    static const uint16_t codes[] = {1000, 1008, 1011, 3333, 0};
    uint16_t code = codes[random_below(&world->random, 5)];
    int error = carom_websocket_close(talk->socket, code, (carom_slice){"why", code == 0 ? 0 : 3});
    LOG("the server closes talk %u with %u: %d", talk->number, code, error);
    if (error == 0)
        talk->server_closes = true;
    else if (error != -CAROM_ECANCELED)
        world_fail("talk %u: close says %s", talk->number, carom_error_name(error));
}

/* Something that the server does by itself, or in a handler. */
static void serve(struct talk *talk)
{
    uint32_t what = random_below(&world->random, 100);
    if (!may_say(talk))
        return;
    if (what < 60) {
        say(talk);
    } else if (what < 70) {
        publish(random_chance(&world->random, 50) && talk->opened ? talk->socket : NULL);
    } else if (what < 80) {
        int error = carom_websocket_subscribe(talk->socket, topic);
        talk->subscribed |= error == 0;
    } else if (what < 83) {
        if (carom_websocket_unsubscribe(talk->socket, topic) != talk->subscribed)
            world_fail("talk %u: it is not known whether it is subscribed", talk->number);
        talk->subscribed = false;
    } else if (what < 88) {
        int error = carom_websocket_ping(talk->socket, "x", 1);
        if (error < 0 && error != -CAROM_ECANCELED && !world->memory_failed)
            world_fail("talk %u: ping says %s", talk->number, carom_error_name(error));
    } else if (what < 93) {
        carom_websocket_pause(talk->socket);
        talk->paused = true;
    } else if (what < 95) {
        close_talk(talk);
    } else if (what == 95) {
        LOG("the server aborts talk %u", talk->number);
        carom_websocket_abort(talk->socket);
        talk->aborted = true;
    }
}

/* ---------------------------------------------------------------- the server hears */

static struct talk *talk_of(const carom_websocket *socket)
{
    struct talk *talk = carom_websocket_data(socket);
    if (talk->socket != socket || talk->told_close)
        world_fail("talk %u: something is told behind its close", talk->number);
    return talk;
}

static void socket_opened(carom_websocket *socket)
{
    struct talk *talk = talk_of(socket);
    if (talk->opened)
        world_fail("talk %u is opened twice", talk->number);
    LOG("talk %u is open", talk->number);
    talk->opened = true;
    serve(talk);
}

static void socket_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                           size_t length)
{
    struct talk *talk = talk_of(socket);
    uint8_t said_kind;
    uint32_t index = talk->understood++;
    carom_slice said = sockets_message(talk, OF_CLIENT, index, &said_kind);
    if (!talk->opened || talk->paused || index >= talk->said || kind != said_kind ||
        length != said.length || (length > 0 && memcmp(data, said.data, length) != 0))
        world_fail("talk %u: message %u is another than was sent, or must not come", talk->number,
                   index);
    serve(talk);
}

static void socket_drained(carom_websocket *socket)
{
    struct talk *talk = talk_of(socket);
    if (!talk->drains)
        world_fail("talk %u: a drain that nobody waits for", talk->number);
    talk->drains = false;
    serve(talk);
}

static bool may_be_unclean(const struct talk *talk)
{
    return talk->left || talk->aborted || talk->manner == TALK_SILENT || world->draining ||
           world->memory_failed || talk->road->window > 0 || carom_peer_failed(talk->road->peer) ||
           talk->road->gone || talk->paused;
}

static void socket_closed(carom_websocket *socket, uint16_t code, carom_slice reason, bool clean)
{
    struct talk *talk = talk_of(socket);
    (void)reason;
    LOG("talk %u: close is told, %u%s", talk->number, code, clean ? ", clean" : "");
    if (!talk->opened)
        world_fail("talk %u: close without open", talk->number);
    bool is_its = talk->closed && talk->breaks == 0 && code == talk->close_code;
    bool broken = talk->breaks != 0 && code == talk->breaks;
    bool lawful = clean ? is_its
                        : broken || (code == NO_CLOSE && may_be_unclean(talk)) ||
                              (code == 1001 && world->draining) ||
                              (code == 1011 && world->memory_failed);
    if (!lawful)
        world_fail("talk %u was closed with %u%s", talk->number, code, clean ? ", clean" : "");
    if (clean && !talk->server_closes && talk->understood != talk->says && !world->draining)
        world_fail("talk %u: %u of %u messages were told", talk->number, talk->understood,
                   talk->says);
    talk->told_close = true;
    talk->socket = NULL;
    closed++;
}

static void handle(carom_record *record, void *data)
{
    carom_slice target = carom_request_target(record);
    char text[16] = "";
    (void)data;
    if (target.length < sizeof text)
        memcpy(text, target.data, target.length);
    struct talk *talk = sockets_talk((unsigned)strtoul(text + 1, NULL, 10));
    if (talk == NULL || !carom_websocket_is_asked(record))
        world_fail("a request that nobody sent: %s", text);
    carom_websocket *socket;
    int error = carom_websocket_accept(record, &options[random_below(&world->random, KINDS)], NULL,
                                       0, talk, &socket);
    if (error == 0) {
        talk->socket = socket;
        talk->ref = carom_websocket_get_ref(socket);
        return;
    }
    if (error != -CAROM_ECANCELED && !(error == -CAROM_ENOMEM && world->memory_failed))
        world_fail("talk %u is not accepted: %s", talk->number, carom_error_name(error));
    carom_release(record);
}

/* ---------------------------------------------------------------- the run */

static struct carom_worker *worker_of(void)
{
    return &world->service->workers[0];
}

static void draw_options(carom_options *service)
{
    static const carom_websocket_handlers handlers = {
        .size = sizeof handlers,
        .open = socket_opened,
        .message = socket_message,
        .drain = socket_drained,
        .close = socket_closed,
    };
    struct random *random = &world->random;
    *service = (carom_options)CAROM_OPTIONS_INIT;
    service->handler = handle;
    service->h2_connect_protocol = true;
    service->pool_floor = random_between(random, 1, 8);
    service->linger_timeout = random_between(random, 100, 2000);
    service->write_timeout = random_between(random, 500, 10000);
    service->h2_stream_window = random_between(random, 1024, 100000);
    service->h2_connection_window = random_between(random, 65535, 200000);
    options[0] = (carom_websocket_options)CAROM_WEBSOCKET_OPTIONS_INIT;
    options[0].handlers = &handlers;
    options[0].max_message = MAX_MESSAGE;
    options[0].ping_interval = random_between(random, 500, 5000);
    options[0].pong_timeout = random_between(random, 300, 5000);
    options[0].close_timeout = random_between(random, 300, 5000);
    options[0].write_buffer = random_between(random, 100, 50000);
    options[0].write_limit = random_between(random, 50000, 500000);
    options[0].close_at_limit = random_chance(random, 20);
    options[0].deflate_threshold = random_between(random, 1, 200);
    options[0].deflate_window = (uint8_t)random_between(random, 9, 15);
    options[1] = options[2] = options[0];
    options[1].deflate = CAROM_WEBSOCKET_DEFLATE_SHARED;
    options[2].deflate = CAROM_WEBSOCKET_DEFLATE_OWN;
}

static void draw_whims(void)
{
    struct random *random = &world->random;
    struct carom_simulated_whims whims = {.random = (uint32_t(*)(void *, uint32_t))random_below,
                                          .source = random};
    whims.partial = random_chance(random, 60) ? (uint16_t)random_below(random, 700) : 0;
    whims.no_buffers = random_chance(random, 10) ? 3 : 0;
    whims.shuffled = random_chance(random, 60) ? 500 : 0;
    carom_simulated_set_whims(world->loop, &whims);
}

static void connect_road(void)
{
    unsigned count = 1;
    if (road_count == roads_most || sockets_talk_count == TALKS || world->draining)
        return;
    struct road *road = &roads[road_count];
    *road = (struct road){.number = road_count, .is_h2 = random_chance(&world->random, 50)};
    road->peer = carom_simulated_connect(world->loop);
    if (road->peer == NULL)
        return;
    road_count++;
    if (road->is_h2)
        count = random_between(&world->random, 1, ROAD_TALKS);
    for (unsigned i = 0; i < count && sockets_talk_count < TALKS; i++) {
        struct talk *talk = &talks[sockets_talk_count];
        *talk = (struct talk){
            .number = sockets_talk_count++, .road = road, .silent_since = world->clock};
        road->talks[road->count++] = talk;
        talk_begin(talk);
    }
    road_open(road);
}

static void advance(uint64_t milliseconds)
{
    world->clock += milliseconds;
    carom_simulated_advance(world->loop, milliseconds);
}

static void shut_down(uint32_t deadline)
{
    LOG("shutdown within %u ms", deadline);
    world->draining = true;
    carom_shutdown(world->service, deadline);
}

static void toggle_memory(void)
{
    world->memory_failing = !world->memory_failing;
    world->memory_failed = true;
    LOG("memory %s", world->memory_failing ? "fails" : "is there again");
    carom_memory_fail_after(world->memory_failing ? random_below(&world->random, 20) : UINT64_MAX);
}

/* It has said its last word, and the server reads. */
static bool is_silent(const struct talk *talk)
{
    return talk->socket != NULL && talk->manner == TALK_SILENT && talk->passed >= talk->leaving &&
           !talk->paused && talk->road->passed == talk->road->out.used &&
           carom_peer_unread(talk->road->peer) == 0;
}

static void look(void)
{
    world->turns++;
    for (int i = 0; i < road_count; i++)
        road_look(&roads[i]);
    for (unsigned i = 0; i < sockets_talk_count; i++) {
        struct talk *talk = &talks[i];
        if (!is_silent(talk))
            talk->silent_since = world->clock;
        if (talk->opened && carom_websocket_get(talk->ref) != talk->socket)
            world_fail("talk %u: its reference leads elsewhere", talk->number);
    }
}

static bool some_road_acts(void)
{
    if (road_count == 0)
        return false;
    int first = (int)random_below(&world->random, (uint32_t)road_count);
    for (int i = 0; i < road_count; i++)
        if (road_act(&roads[(first + i) % road_count]))
            return true;
    return false;
}

static bool resume_one(void)
{
    for (unsigned i = 0; i < sockets_talk_count; i++)
        if (talks[i].socket != NULL && talks[i].paused) {
            talks[i].paused = false;
            carom_websocket_resume(talks[i].socket);
            return true;
        }
    return false;
}

/* Nothing is on its way, and nobody does anything. */
static void quiet(void)
{
    uint64_t next = carom_wheel_next(&worker_of()->connections.records.wheel);
    if (world->memory_failing) {
        toggle_memory();
    } else if (road_count < roads_most && sockets_talk_count < TALKS && !world->draining) {
        connect_road();
    } else if (resume_one()) {
        return;
    } else {
        bool all = true;
        for (unsigned i = 0; i < sockets_talk_count; i++)
            all = all && (talks[i].over || talks[i].told_close || !talks[i].asked);
        if (all && !world->draining)
            shut_down(random_chance(&world->random, 50) ? 0 : 2000);
        else if (next == UINT64_MAX)
            world_fail("nobody does anything any more");
        else
            advance(next > world->clock ? next - world->clock : 0);
    }
}

/* Nothing is under way: who was to be told that all has left has been, and a client that has gone
 * without a word is found out by its pongs. */
static void look_for_late(void)
{
    uint64_t interval = options[0].ping_interval, pong = options[0].pong_timeout;
    uint64_t most =
        pong + (interval > pong ? 2 * interval : interval + pong) + 1000; /* the clock jumps */
    for (unsigned i = 0; i < sockets_talk_count; i++) {
        const struct talk *talk = &talks[i];
        bool open =
            talk->socket != NULL && carom_websocket_get_state(talk->socket) == CAROM_WEBSOCKET_OPEN;
        if (open && talk->drains && carom_websocket_buffered(talk->socket) == 0)
            world_fail("talk %u waits for a drain that does not come", talk->number);
        if (open && is_silent(talk) && world->clock > talk->silent_since + most)
            world_fail("talk %u is silent since %llu ms, and not over", talk->number,
                       (unsigned long long)talk->silent_since);
    }
}

static void step(void)
{
    struct random *random = &world->random;
    if (++world->steps > world->steps_most)
        world_fail("it does not end");
    uint32_t kind = random_below(random, 1000);
    if (kind < 60)
        connect_road();
    else if (kind < 200 && sockets_talk_count > 0)
        serve(&talks[random_below(random, sockets_talk_count)]);
    else if (kind < 240)
        (void)resume_one();
    else if (kind < 250)
        advance(random_size(random, 200));
    else if (kind == 999 && world->may_drain && random_chance(random, 30))
        shut_down(random_chance(random, 30) ? CAROM_OFF : random_size(random, 5000));
    else if (kind == 998 && (world->memory_failing || (world->seed % 8 == 0 && world->may_drain)))
        toggle_memory();
    else if (!some_road_acts() && !carom_simulated_busy(world->loop) &&
             !carom_worker_busy(worker_of())) {
        look_for_late();
        quiet();
    }
}

static void look_at_the_end(void)
{
    carom_stats stats = CAROM_STATS_INIT;
    uint64_t ends = 0;
    carom_service_stats(world->service, &stats);
    for (int i = 0; i < 16; i++)
        ends += stats.websockets_closed[i];
    if (stats.websockets_open != 0 || ends != stats.websockets_accepted || ends != closed ||
        stats.connections_open != 0)
        world_fail("%llu sockets were accepted, %llu counted closed, %u told",
                   (unsigned long long)stats.websockets_accepted, (unsigned long long)ends, closed);
    if (world->secure ? stats.tls_handshakes == 0 && closed > 0 : stats.tls_handshakes > 0)
        world_fail("%llu sockets, and %llu handshakes", (unsigned long long)ends,
                   (unsigned long long)stats.tls_handshakes);
    if (world->lent != world->given_back)
        world_fail("%u pieces were lent and %u given back", world->lent, world->given_back);
}

void sockets_run(uint64_t seed)
{
    static struct world it;
    world = &it;
    it = (struct world){.seed = seed, .random = {~seed}, .clock = 1000, .steps_most = 300000};
    it.secure = seed % 40 >= 30; /* of every tenth seed, too, a quarter */
    it.tls_random.state = seed;
    line_prepare();
    sockets_talk_count = published = closed = 0;
    road_count = 0;
    roads_most = (int)random_between(&it.random, 1, ROADS);
    it.may_drain = random_chance(&it.random, 25);
    uint64_t held = carom_memory_held();
    draw_options(&it.options);
    if (carom_service_create_on(&it.service, &it.options, carom_loop_simulated_create) != 0 ||
        (it.secure ? line_listen() : carom_service_listen(it.service, "127.0.0.1:0")) != 0 ||
        carom_service_descriptor(it.service) < 0)
        world_fail("no service");
    it.loop = it.service->workers[0].loop;
    draw_whims();
    for (int alive = 1; alive == 1;) {
        step();
        if (carom_simulated_readable(it.loop) && random_chance(&it.random, 70)) {
            alive = carom_service_turn(it.service);
            look();
        }
    }
    carom_memory_fail_after(UINT64_MAX);
    look_at_the_end();
    for (int i = 0; i < road_count; i++)
        road_free(&roads[i]);
    if (carom_service_destroy(it.service) != 0 || carom_memory_held() != held)
        world_fail("memory is left");
    totals.sockets += closed;
    totals.turns += it.turns;
}
