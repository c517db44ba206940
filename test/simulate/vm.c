/* A virtual machine on a ring, which follows the programs of its exchanges as handlers do. It uses
 * nothing but the protocol (docs/internals/ring.md). It runs in the engine's call, or as if on a
 * thread of its own: then the seed says when it takes its next step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "carom_ring.h"
#include "simulate/world.h"

#define CAPACITY 1024 /* as many as there may be requests in flight */
#define BLOCK    CAROM_RING_BLOCK_SLOTS
#define LOANS    4096
#define IN_SLOT  4000 /* bytes of content at most; more is lent */

struct loan {
    size_t length;
    char data[];
};

static struct vm {
    carom_ring *ring;
    uint32_t *control;
    uint8_t *blocks[CAPACITY / BLOCK]; /* by number; NULL: the engine has none */
    uint32_t block_count;              /* that were ever given, by the highest number */
    uint32_t given;                    /* slots of those that the engine has, or is about to */
    uint32_t event_head, command_tail, return_head;
    bool threaded, awake;
    struct exchange *slots[CAPACITY]; /* whose request is in it; NULL: none that the VM holds */
    struct loan *loans[LOANS];
} vm;

static uint32_t *words_of(uint32_t index)
{
    return (uint32_t *)(void *)(vm.blocks[index / BLOCK] +
                                (size_t)(index % BLOCK) * CAROM_RING_SLOT_SIZE);
}

static char *page_of(uint32_t number)
{
    return (char *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
           (size_t)(number - 1) * CAROM_RING_PAGE_SIZE;
}

/* What lies there is copied, or is nobody's. */
static void give_page(uint32_t number)
{
    if (number == 0)
        return;
    if (vm.control[CAROM_RING_PAGES_HELD + number - 1] != 1)
        world_fail("page %u is told of, and is not held", number);
    vm.control[CAROM_RING_PAGES_HELD + number - 1] = 0;
}

/* Of its answer; when the engine has answered in its place the VM may not know yet. */
static uint32_t length_of(const struct exchange *exchange)
{
    return exchange->length == UINT32_MAX ? exchange->written : exchange->length;
}

/* ---------------------------------------------------------------- messages */

static void rouse_engine(void)
{
    if (vm.control[CAROM_RING_ENGINE_ASLEEP] == 0)
        return;
    vm.control[CAROM_RING_ENGINE_ASLEEP] = 0;
    carom_ring_wake(vm.ring);
}

static void put_message(uint32_t index, uint32_t flags)
{
    uint32_t *words = words_of(index);
    words[CAROM_SLOT_ECHO] = words[CAROM_SLOT_GENERATION];
    words[CAROM_SLOT_FLAGS] = flags;
    vm.control[vm.control[CAROM_RING_COMMANDS_WORD] + (vm.command_tail++ & (CAPACITY - 1))] = index;
    vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
    rouse_engine();
}

static void put(struct exchange *exchange, uint32_t flags)
{
    put_message((uint32_t)exchange->slot, flags | exchange->also);
    exchange->also = 0;
}

static uint32_t put_field(uint8_t *to, const char *name, const char *value)
{
    const uint16_t lengths[2] = {(uint16_t)strlen(name), (uint16_t)strlen(value)};
    memcpy(to, lengths, sizeof lengths);
    memcpy(to + 4, name, lengths[0]);
    memcpy(to + 4 + lengths[0], value, lengths[1]);
    return 4u + lengths[0] + lengths[1];
}

static void compose_head(const struct exchange *exchange, unsigned status, bool known)
{
    uint32_t *words = words_of((uint32_t)exchange->slot);
    uint8_t *out = (uint8_t *)words + CAROM_SLOT_OUT;
    char id[16];
    snprintf(id, sizeof id, "%u", exchange->id);
    uint32_t used = put_field(out, "X-Id", id);
    if (status >= 200)
        used += put_field(out + used, exchange->says_close ? "Connection" : "X-Last", "close");
    if (status == 101)
        used += put_field(out + used, "Upgrade", "carom");
    words[CAROM_SLOT_STATUS] = status;
    words[CAROM_SLOT_FIELDS_LENGTH] = used;
    words[CAROM_SLOT_WHOLE_LOW] = known ? length_of(exchange) : UINT32_MAX;
    words[CAROM_SLOT_WHOLE_HIGH] = known ? 0 : UINT32_MAX;
    words[CAROM_SLOT_DATA_LENGTH] = words[CAROM_SLOT_DATA_LOAN] = 0;
    words[CAROM_SLOT_OUT_TRAILERS] = 0;
}

static uint32_t lend(const char *bytes, uint32_t length)
{
    uint32_t number = 0;
    while (vm.loans[number] != NULL)
        if (++number == LOANS)
            world_fail("all loans are lent");
    struct loan *loan = malloc(sizeof *loan + length);
    if (loan == NULL)
        abort();
    loan->length = length;
    memcpy(loan->data, bytes, length);
    vm.loans[number] = loan;
    world->lent++;
    if (carom_ring_lend(vm.ring, number, loan->data, length) != 0)
        world_fail("a loan is refused");
    return number + 1;
}

/* Content behind the fields: in the slot, or lent. */
static void compose_data(const struct exchange *exchange, uint32_t length)
{
    uint32_t *words = words_of((uint32_t)exchange->slot);
    const char *bytes = pattern_of(exchange->id, true) + exchange->written;
    words[CAROM_SLOT_DATA_LENGTH] = length;
    words[CAROM_SLOT_DATA_LOAN] = 0;
    if (length > IN_SLOT || (exchange->lent && length > 0))
        words[CAROM_SLOT_DATA_LOAN] = lend(bytes, length);
    else
        memcpy((char *)words + CAROM_SLOT_OUT + words[CAROM_SLOT_FIELDS_LENGTH], bytes, length);
}

/* ---------------------------------------------------------------- steps */

static void pause_for_now(struct exchange *exchange)
{
    exchange->pausing = PAUSE_OUTSIDE;
}

static void let_go(struct exchange *exchange)
{
    LOG("the VM releases %u", exchange->id);
    if (!exchange->over && exchange->begun && !exchange->whole)
        exchange->cut = true;
    exchange->releasing = true;
    exchange->pausing = PAUSE_NONE;
    exchange->generation = words_of((uint32_t)exchange->slot)[CAROM_SLOT_GENERATION];
    vm.slots[exchange->slot] = NULL;
    put(exchange, CAROM_FLAG_RELEASE);
}

/* A message that begins the answer, or is all of it. */
static void answer(struct exchange *exchange, enum step step)
{
    if (step == STEP_UPGRADE) {
        exchange->status = exchange->is_connect ? 200 : 101;
        exchange->says_close = false;
    }
    compose_head(exchange, exchange->status, step == STEP_BEGIN && exchange->known);
    exchange->begun = true;
    exchange->whole = step == STEP_RESPOND;
    exchange->upgraded = step == STEP_UPGRADE;
    LOG("the VM answers %u to %u", exchange->status, exchange->id);
    uint32_t flags = step == STEP_UPGRADE ? CAROM_FLAG_UPGRADE : CAROM_FLAG_HEAD;
    if (step == STEP_RESPOND) {
        compose_data(exchange, length_of(exchange));
        flags |= CAROM_FLAG_DATA | CAROM_FLAG_END;
    }
    put(exchange, flags);
}

static void write_piece(struct exchange *exchange)
{
    uint32_t left = length_of(exchange) - exchange->written;
    uint32_t least = length_of(exchange) / 200; /* or it would not end */
    uint32_t piece = exchange->piece > least ? exchange->piece : least;
    uint32_t length = left < piece ? left : piece;
    words_of((uint32_t)exchange->slot)[CAROM_SLOT_FIELDS_LENGTH] = 0;
    compose_data(exchange, length);
    exchange->written += length;
    put(exchange, CAROM_FLAG_DATA);
}

static void end(struct exchange *exchange)
{
    uint32_t *words = words_of((uint32_t)exchange->slot);
    words[CAROM_SLOT_FIELDS_LENGTH] = words[CAROM_SLOT_OUT_TRAILERS] = 0;
    if (exchange->trailers_out)
        words[CAROM_SLOT_OUT_TRAILERS] =
            put_field((uint8_t *)words + CAROM_SLOT_OUT, "X-End", "yes");
    exchange->whole = true;
    put(exchange, CAROM_FLAG_END);
}

/* One step. False: the VM waits. */
static bool take_step(struct exchange *exchange, enum step step)
{
    switch (step) {
    case STEP_READ:
    case STEP_COLLECT:
        if (exchange->read_whole || exchange->lost)
            return true;
        exchange->pausing = PAUSE_EDGE;
        put(exchange, CAROM_FLAG_READ);
        return false;
    case STEP_PAUSE:
        exchange->at++;
        pause_for_now(exchange);
        return false;
    case STEP_NEVER:
        exchange->pausing = PAUSE_NEVER;
        return false;
    case STEP_INFORM:
        compose_head(exchange, 103, false);
        exchange->informed = true;
        put(exchange, CAROM_FLAG_INFORM);
        return true;
    case STEP_WRITE:
        if (exchange->written == length_of(exchange))
            return true;
        write_piece(exchange);
        if (random_chance(&world->random, 90))
            return true;
        pause_for_now(exchange);
        return false;
    case STEP_END:
        end(exchange);
        return true;
    case STEP_FINISH:
        if (!exchange->whole || exchange->reason != CAROM_REASON_NONE)
            return true;
        exchange->pausing = PAUSE_END;
        return false;
    case STEP_CANCEL:
        exchange->cut = true;
        put(exchange, CAROM_FLAG_CANCEL);
        return true;
    case STEP_ROOM:
    case STEP_MISTAKE:
        return true;
    default:
        answer(exchange, step);
        return true;
    }
}

/* The message before was taken; otherwise ROOM will tell. */
static bool has_room(struct exchange *exchange)
{
    uint32_t *words = words_of((uint32_t)exchange->slot);
    if (words[CAROM_SLOT_FLAGS] == 0)
        return true;
    words[CAROM_SLOT_NOTIFY] = 1;
    exchange->pausing = PAUSE_POSTED;
    return false;
}

static void act(struct exchange *exchange)
{
    exchange->pausing = PAUSE_NONE;
    while (has_room(exchange)) {
        enum step step = (enum step)exchange->program[exchange->at];
        if (step == STEP_RELEASE || exchange->over) {
            let_go(exchange);
            return;
        }
        bool writes = step == STEP_WRITE && exchange->written < length_of(exchange);
        if (!take_step(exchange, step))
            return;
        if (!writes)
            exchange->at++;
    }
}

/* ---------------------------------------------------------------- news */

static uint32_t number_in(const char *text, size_t length)
{
    char copy[32] = "";
    memcpy(copy, text, length < sizeof copy ? length : sizeof copy - 1);
    return (uint32_t)strtoul(copy + strcspn(copy, "0123456789"), NULL, 10);
}

/* The innocent asks. */
static void answer_at_once(uint32_t index)
{
    uint32_t *words = words_of(index);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_FIELDS_LENGTH] = words[CAROM_SLOT_OUT_TRAILERS] = 0;
    words[CAROM_SLOT_DATA_LENGTH] = words[CAROM_SLOT_WHOLE_LOW] = INNOCENT_CONTENT;
    words[CAROM_SLOT_WHOLE_HIGH] = 0;
    words[CAROM_SLOT_DATA_LOAN] = lend(pattern_of(0, true), INNOCENT_CONTENT);
    put_message(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
}

static void request_comes(uint32_t index)
{
    const uint32_t *words = words_of(index);
    const char *table = words[CAROM_SLOT_HEAD_PAGE] != 0 ? page_of(words[CAROM_SLOT_HEAD_PAGE])
                                                         : (const char *)words + CAROM_SLOT_IN;
    uint32_t count = words[CAROM_SLOT_FIELD_COUNT], named = UINT32_MAX;
    const char *head = table + (size_t)count * 8;
    if (words[CAROM_SLOT_TARGET_LENGTH] == sizeof INNOCENT_TARGET - 1 &&
        memcmp(head + words[CAROM_SLOT_TARGET], INNOCENT_TARGET, sizeof INNOCENT_TARGET - 1) == 0) {
        give_page(words[CAROM_SLOT_HEAD_PAGE]);
        answer_at_once(index);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t entry[4];
        memcpy(entry, table + (size_t)i * 8, sizeof entry);
        if (entry[1] == 4 && strncasecmp(head + entry[0], "x-id", 4) == 0)
            named = number_in(head + entry[2], entry[3]);
    }
    uint32_t id = number_in(head + words[CAROM_SLOT_TARGET], words[CAROM_SLOT_TARGET_LENGTH]);
    if (id >= world->exchange_count || named != id || world->exchanges[id].slot >= 0 ||
        !world->exchanges[id].handed)
        world_fail("the VM is told of request %u, which says that it is %u", id, named);
    struct exchange *exchange = &world->exchanges[id];
    LOG("the VM has request %u", id);
    uint32_t here = words[CAROM_SLOT_CONTENT_HERE];
    const char *content = words[CAROM_SLOT_HEAD_PAGE] != 0 ? (const char *)words + CAROM_SLOT_IN
                                                           : head + words[CAROM_SLOT_HEAD_LENGTH];
    if (here > 0 && !exchange->client->mutated && memcmp(content, pattern_of(id, false), here) != 0)
        world_fail("request %u: its content is wrong", id);
    exchange->read = here;
    exchange->read_whole = here > 0;
    exchange->slot = (int)index;
    exchange->also = CAROM_FLAG_WATCH;
    vm.slots[index] = exchange;
    give_page(words[CAROM_SLOT_HEAD_PAGE]);
    if (here > 0 && here != exchange->content && !exchange->client->mutated)
        world_fail("request %u: %u bytes of %u", id, here, exchange->content);
    act(exchange);
}

static void content_comes(struct exchange *exchange, uint32_t news)
{
    const uint32_t *words = words_of((uint32_t)exchange->slot);
    uint32_t length = news & CAROM_NEWS_CONTENT ? words[CAROM_SLOT_PIECE_LENGTH] : 0;
    if (!exchange->client->mutated && length > 0 &&
        (exchange->read + length > CONTENT_MOST ||
         memcmp(page_of(words[CAROM_SLOT_PIECE_PAGE]),
                pattern_of(exchange->id, false) + exchange->read, length) != 0))
        world_fail("request %u: its content is wrong at %u", exchange->id, exchange->read);
    exchange->read += length;
    exchange->lost |= (news & CAROM_NEWS_CONTENT_LOST) != 0;
    if (!(news & CAROM_NEWS_CONTENT_END))
        return;
    exchange->read_whole = true;
    size_t content = exchange->content;
    if (exchange->upgraded && exchange->client->session == NULL) /* what was sent before FIN */
        content = exchange->client->sent - exchange->head_end;
    if (!exchange->client->mutated &&
        (exchange->read != content ||
         (words[CAROM_SLOT_TRAILERS_LENGTH] > 0) != exchange->trailers))
        world_fail("request %u: %u bytes of %zu", exchange->id, exchange->read, content);
}

static void ends(struct exchange *exchange, carom_reason reason)
{
    LOG("the VM learns of %u: %s", exchange->id, carom_reason_name(reason));
    exchange->reason = reason;
    exchange->over = reason > CAROM_REASON_COMPLETE;
    if (reason == CAROM_REASON_COMPLETE ? !exchange->whole : !times_lawful(exchange, reason))
        world_fail("request %u ended: %s", exchange->id, carom_reason_name(reason));
}

static void event(uint32_t index)
{
    uint32_t *words = words_of(index);
    uint32_t news = words[CAROM_SLOT_NEWS];
    words[CAROM_SLOT_NEWS] = 0;
    if (news == 0)
        world_fail("slot %u is in the queue, with no news", index);
    if (news & CAROM_NEWS_REQUEST) {
        request_comes(index);
        news &= ~(uint32_t)CAROM_NEWS_REQUEST;
    }
    struct exchange *exchange = vm.slots[index];
    uint32_t page =
        news & (CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END) ? words[CAROM_SLOT_PIECE_PAGE] : 0;
    if (exchange == NULL || news == 0) { /* it has let go since */
        give_page(page);
        return;
    }
    if ((news & CAROM_NEWS_ERROR) && world->memory_failed) {
        give_page(page);
        exchange->cut = true;
        let_go(exchange);
        return;
    }
    if (news & CAROM_NEWS_ERROR)
        world_fail("request %u: a message is refused: %s", exchange->id,
                   carom_error_name(-(int)words[CAROM_SLOT_ERROR]));
    uint32_t content = CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END | CAROM_NEWS_CONTENT_LOST;
    if (news & CAROM_NEWS_ENDED)
        ends(exchange, (carom_reason)words[CAROM_SLOT_REASON]);
    if (news & content)
        content_comes(exchange, news);
    give_page(page);
    bool ended = news & CAROM_NEWS_ENDED;
    bool on = (exchange->pausing == PAUSE_EDGE && (news & content)) ||
              (exchange->pausing == PAUSE_POSTED && (news & CAROM_NEWS_ROOM)) ||
              (exchange->pausing == PAUSE_END && ended) ||
              (exchange->pausing == PAUSE_NEVER && exchange->over);
    if (on && exchange->pausing == PAUSE_EDGE && random_chance(&world->random, 20))
        pause_for_now(exchange);
    else if (on)
        act(exchange);
}

/* ---------------------------------------------------------------- running */

static void take_returns(void)
{
    const uint32_t *returns = vm.control + vm.control[CAROM_RING_RETURNS_WORD];
    while (vm.return_head != vm.control[CAROM_RING_RETURN_TAIL]) {
        uint32_t number = returns[vm.return_head++ & (CAROM_RING_LOANS - 1)];
        if (number >= LOANS || vm.loans[number] == NULL)
            world_fail("loan %u comes back, and was not lent", number);
        /* cppcheck-suppress arrayIndexOutOfBoundsCond ; world_fail does not return */
        memset(vm.loans[number]->data, 0xdb, vm.loans[number]->length);
        free(vm.loans[number]);
        vm.loans[number] = NULL;
        world->given_back++;
    }
}

/* False when memory fails for now. */
static bool add_block(void)
{
    size_t size = (size_t)BLOCK * CAROM_RING_SLOT_SIZE;
    uint32_t number = 0;
    while (number < CAPACITY / BLOCK && vm.blocks[number] != NULL)
        number++;
    if (number == CAPACITY / BLOCK)
        return false;
    uint8_t *block = aligned_alloc(64, size);
    if (block == NULL)
        abort();
    memset(block, 0, size);
    if (carom_ring_add_block(vm.ring, number, block) < 0) {
        free(block);
        return false;
    }
    vm.blocks[number] = block;
    vm.given += BLOCK;
    if (number >= vm.block_count)
        vm.block_count = number + 1;
    return true;
}

/* The memory of blocks that the engine has given back is gone at once. */
static void take_blocks_back(void)
{
    const uint32_t *engines = vm.control + vm.control[CAROM_RING_BLOCKS_WORD];
    for (uint32_t i = 0; i < vm.block_count; i++)
        if (vm.blocks[i] != NULL && engines[i] == 0) {
            for (uint32_t slot = i * BLOCK; slot < (i + 1) * BLOCK; slot++)
                if (vm.slots[slot] != NULL)
                    world_fail("slot %u goes back, and is held", slot);
            free(vm.blocks[i]);
            vm.blocks[i] = NULL;
            vm.given -= BLOCK;
        }
}

/* False when the queue is empty: it sleeps. */
static bool take_event(void)
{
    const uint32_t *events = vm.control + vm.control[CAROM_RING_EVENTS_WORD];
    take_returns();
    take_blocks_back();
    while (vm.control[CAROM_RING_SLOTS_WANTED] > vm.given - vm.control[CAROM_RING_SLOTS] &&
           add_block()) {
    }
    if (vm.event_head == vm.control[CAROM_RING_EVENT_TAIL]) {
        vm.control[CAROM_RING_VM_ASLEEP] = 1;
        vm.awake = false;
        rouse_engine();
        return false;
    }
    event(events[vm.event_head++ & (CAPACITY - 1)]);
    vm.control[CAROM_RING_EVENT_HEAD] = vm.event_head;
    return true;
}

static void wake(void *data)
{
    (void)data;
    vm.awake = true;
    if (vm.threaded)
        return;
    while (take_event())
        if (vm.event_head != vm.control[CAROM_RING_EVENT_TAIL] &&
            random_chance(&world->random, 20)) {
            vm.control[CAROM_RING_VM_ASLEEP] = 2; /* what it has answered leaves first */
            return;
        }
}

bool vm_act(bool now)
{
    if (vm.ring == NULL)
        return false;
    if (vm.threaded && vm.awake) {
        take_event();
        return true;
    }
    uint32_t count = vm.block_count * BLOCK;
    uint32_t first = count > 0 ? random_below(&world->random, count) : 0;
    for (uint32_t i = 0; i < count && (now || random_chance(&world->random, 95)); i++) {
        struct exchange *exchange = vm.slots[(first + i) % count];
        if (exchange != NULL && exchange->pausing == PAUSE_OUTSIDE) {
            LOG("the VM goes on with %u", exchange->id);
            act(exchange);
            return true;
        }
    }
    return false;
}

bool vm_busy(void)
{
    if (vm.ring == NULL)
        return false;
    bool told = vm.event_head == vm.control[CAROM_RING_EVENT_TAIL];
    uint32_t asleep = vm.control[CAROM_RING_VM_ASLEEP];
    return carom_ring_has_commands(vm.ring) || asleep == 2 || (asleep == 1 && !told);
}

/* The engine has taken what the VM has let go of. */
void vm_look(void)
{
    for (uint32_t i = 0; vm.ring != NULL && i < world->exchange_count; i++) {
        struct exchange *exchange = &world->exchanges[i];
        if (!exchange->releasing || exchange->released)
            continue;
        uint32_t slot = (uint32_t)exchange->slot;
        const uint32_t *words = vm.blocks[slot / BLOCK] == NULL ? NULL : words_of(slot);
        if (words == NULL || words[CAROM_SLOT_FLAGS] == 0 ||
            words[CAROM_SLOT_GENERATION] != exchange->generation)
            exchange->released = exchange->client->stirred = true;
    }
}

/* ---------------------------------------------------------------- life */

void vm_begin(void)
{
    const carom_ring_options options = {.size = sizeof(carom_ring_options),
                                        .capacity = CAPACITY,
                                        .unheard = 1 + (uint32_t)(world->seed / 48 % 3) * 3,
                                        .wake = wake};
    size_t size = (carom_ring_control_size(CAPACITY) + 63) / 64 * 64;
    vm = (struct vm){.control = aligned_alloc(64, size)};
    if (vm.control == NULL)
        abort();
    memset(vm.control, 0, size);
    vm.threaded = random_chance(&world->random, 50);
    if (carom_ring_create(&vm.ring, &options, vm.control, size) != 0 ||
        carom_ring_attach(vm.ring, world->service, 0) != 0)
        world_fail("no ring");
    add_block();
}

void vm_end(void)
{
    if (vm.ring == NULL)
        return;
    take_returns();
    if (vm.control[CAROM_RING_BAD_COMMANDS] != 0)
        world_fail("%u commands of the VM were bad", vm.control[CAROM_RING_BAD_COMMANDS]);
    carom_ring_destroy(vm.ring);
    for (uint32_t i = 0; i < vm.block_count; i++)
        free(vm.blocks[i]);
    free(vm.control);
    vm = (struct vm){0};
}
