/* The VM's side of a ring, in C. It sees what any VM sees: carom_ring.h and the memory that it
 * shares with the engine, and nothing of the engine's own. */
#include "carom_vm.h"

#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

#define BLOCK_SIZE ((size_t)CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE)
#define ROOM       (CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT)
#define LEAST_HEAD 4096 /* bytes: the least that is allocated for a head */
#define NOTHING    ((carom_slice){NULL, 0})

/* What is kept of a slot. */
struct held {
    uint8_t *head; /* a copy of one that lay in a page, which is to be given back at once. The
                      memory stays for the next one, until the block goes; or NULL */
    size_t room;   /* bytes of it */
    bool held;     /* the VM has heard REQUEST, and has not sent RELEASE */
};

struct carom_vm {
    carom_ring *ring;
    uint32_t *control;
    uint32_t capacity;
    uint8_t **blocks;     /* by number; NULL: the engine has none of it */
    struct held *held;    /* by slot */
    uint32_t given;       /* slots that the engine was given */
    uint32_t blocks_back; /* as counted when last looked at */
    uint32_t event_head, command_tail, return_head;
    uint32_t page;  /* of the event that was taken last, + 1; 0: none */
    bool in_batch;  /* the engine is woken at its end */
    bool no_memory; /* for another block, in this batch */
};

static _Atomic uint32_t *at(uint32_t *words, uint32_t index)
{
    return (_Atomic uint32_t *)(void *)&words[index];
}

static uint32_t control_word(const carom_vm *vm, uint32_t index)
{
    return atomic_load(at(vm->control, index));
}

static uint32_t *words_of(const carom_vm *vm, uint32_t slot)
{
    uint8_t *block = slot < vm->capacity ? vm->blocks[slot / CAROM_RING_BLOCK_SLOTS] : NULL;
    size_t place = slot % CAROM_RING_BLOCK_SLOTS * (size_t)CAROM_RING_SLOT_SIZE;
    return block == NULL ? NULL : (uint32_t *)(void *)(block + place);
}

static uint8_t *page_of(const carom_vm *vm, uint32_t page)
{
    return (uint8_t *)vm->control + vm->control[CAROM_RING_PAGES_BYTE] +
           (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

static void give_page(carom_vm *vm, uint32_t page)
{
    if (page > 0)
        atomic_store(at(vm->control, CAROM_RING_PAGES_HELD + page - 1), 0);
}

static void wake_engine(carom_vm *vm)
{
    if (atomic_exchange(at(vm->control, CAROM_RING_ENGINE_ASLEEP), 0) != 0)
        carom_ring_wake(vm->ring);
}

/* ---------------------------------------------------------------- slots */

/* False: there is no memory, or no number. */
static bool add_block(carom_vm *vm)
{
    uint32_t number = 0;
    while (number < vm->capacity / CAROM_RING_BLOCK_SLOTS && vm->blocks[number] != NULL)
        number++;
    uint8_t *block = carom_memory_take_zeroed(BLOCK_SIZE);
    if (block == NULL)
        return false;
    if (carom_ring_add_block(vm->ring, number, block) < 0) {
        carom_memory_give(block, BLOCK_SIZE);
        return false;
    }
    vm->blocks[number] = block;
    vm->given += CAROM_RING_BLOCK_SLOTS;
    return true;
}

/* What was given and has not been taken yet is on its way. */
static bool is_wanting(const carom_vm *vm)
{
    return control_word(vm, CAROM_RING_SLOTS_WANTED) >
           vm->given - control_word(vm, CAROM_RING_SLOTS);
}

static void grow_if_wanted(carom_vm *vm)
{
    vm->no_memory = false; /* perhaps there is some now */
    while (!vm->no_memory && is_wanting(vm))
        vm->no_memory = !add_block(vm);
}

static void forget_head(struct held *held)
{
    carom_memory_give(held->head, held->room);
    held->head = NULL;
    held->room = 0;
}

static void take_block_back(carom_vm *vm, uint32_t number)
{
    carom_memory_give(vm->blocks[number], BLOCK_SIZE);
    vm->blocks[number] = NULL;
    vm->given -= CAROM_RING_BLOCK_SLOTS;
    for (uint32_t i = 0; i < CAROM_RING_BLOCK_SLOTS; i++)
        forget_head(&vm->held[number * CAROM_RING_BLOCK_SLOTS + i]);
}

static void take_blocks_back(carom_vm *vm)
{
    uint32_t back = control_word(vm, CAROM_RING_BLOCKS_BACK);
    if (back == vm->blocks_back)
        return;
    vm->blocks_back = back;
    for (uint32_t i = 0; i < vm->capacity / CAROM_RING_BLOCK_SLOTS; i++)
        if (vm->blocks[i] != NULL && control_word(vm, vm->control[CAROM_RING_BLOCKS_WORD] + i) == 0)
            take_block_back(vm, i);
}

/* Room for a head of `size` bytes; in powers of two, so that it grows a few times at most. */
static void make_room(struct held *held, size_t size)
{
    size_t room = LEAST_HEAD;
    while (room < size)
        room *= 2;
    if (held->room >= room)
        return;
    forget_head(held);
    held->head = carom_memory_take(room);
    held->room = held->head == NULL ? 0 : room;
}

/* A new request. A head that lies in a page is copied; without memory for that the request has
 * none, and no method. */
static void take_head(carom_vm *vm, uint32_t slot)
{
    const uint32_t *words = words_of(vm, slot);
    uint32_t page = words[CAROM_SLOT_HEAD_PAGE];
    struct held *held = &vm->held[slot];
    held->held = true;
    if (page == 0)
        return;
    size_t size = (size_t)words[CAROM_SLOT_FIELD_COUNT] * 8 + words[CAROM_SLOT_HEAD_LENGTH];
    make_room(held, size);
    if (held->head != NULL)
        memcpy(held->head, page_of(vm, page), size);
    give_page(vm, page);
}

/* ---------------------------------------------------------------- news */

static bool take_event(carom_vm *vm, carom_vm_event *event)
{
    const uint32_t *events = vm->control + vm->control[CAROM_RING_EVENTS_WORD];
    uint32_t slot = events[vm->event_head++ & (vm->capacity - 1)];
    uint32_t *words = words_of(vm, slot);
    if (words == NULL)
        return false;
    uint32_t news = atomic_exchange(at(words, CAROM_SLOT_NEWS), 0);
    *event =
        (carom_vm_event){.slot = slot, .generation = words[CAROM_SLOT_GENERATION], .news = news};
    if (news & CAROM_NEWS_REQUEST)
        take_head(vm, slot);
    if (news & (CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END))
        vm->page = words[CAROM_SLOT_PIECE_PAGE];
    if (news & CAROM_NEWS_CONTENT)
        event->piece =
            (carom_slice){(const char *)page_of(vm, vm->page), words[CAROM_SLOT_PIECE_LENGTH]};
    if (news & CAROM_NEWS_ENDED)
        event->reason = (carom_reason)words[CAROM_SLOT_REASON];
    if (news & CAROM_NEWS_ERROR) {
        event->error = -(int)words[CAROM_SLOT_ERROR];
        vm->held[slot].held = true; /* its RELEASE was not done, either */
    }
    return news != 0;
}

bool carom_vm_next(carom_vm *vm, carom_vm_event *event)
{
    give_page(vm, vm->page);
    vm->page = 0;
    vm->in_batch = true;
    atomic_store(at(vm->control, CAROM_RING_EVENT_HEAD), vm->event_head);
    for (;;) {
        take_blocks_back(vm);
        grow_if_wanted(vm);
        while (control_word(vm, CAROM_RING_EVENT_TAIL) != vm->event_head)
            if (take_event(vm, event))
                return true;
        atomic_store(at(vm->control, CAROM_RING_EVENT_HEAD), vm->event_head);
        atomic_store(at(vm->control, CAROM_RING_VM_ASLEEP), 1);
        /* What came just before that store woke nobody. */
        bool more = control_word(vm, CAROM_RING_EVENT_TAIL) != vm->event_head ||
                    (!vm->no_memory && is_wanting(vm));
        if (!more || atomic_exchange(at(vm->control, CAROM_RING_VM_ASLEEP), 0) == 0)
            break;
    }
    vm->in_batch = false;
    wake_engine(vm);
    return false;
}

int64_t carom_vm_take_return(carom_vm *vm)
{
    if (control_word(vm, CAROM_RING_RETURN_TAIL) == vm->return_head)
        return -1;
    const uint32_t *returns = vm->control + vm->control[CAROM_RING_RETURNS_WORD];
    return returns[vm->return_head++ & (CAROM_RING_LOANS - 1)];
}

/* ---------------------------------------------------------------- a request */

uint32_t carom_vm_word(const carom_vm *vm, uint32_t slot, uint32_t word)
{
    const uint32_t *words = words_of(vm, slot);
    return words == NULL || word >= CAROM_SLOT_FLAGS ? 0 : words[word];
}

/* The table of fields; the head lies behind it. NULL: there is none. */
static const uint8_t *table_of(const carom_vm *vm, uint32_t slot)
{
    const uint32_t *words = words_of(vm, slot);
    if (words == NULL)
        return NULL;
    if (words[CAROM_SLOT_HEAD_PAGE] == 0)
        return (const uint8_t *)words + CAROM_SLOT_IN;
    return vm->held[slot].held ? vm->held[slot].head : NULL;
}

/* A part of the head. */
static carom_slice part(const carom_vm *vm, uint32_t slot, uint32_t offset, uint32_t length)
{
    const uint8_t *table = table_of(vm, slot);
    if (table == NULL)
        return NOTHING;
    const uint8_t *head = table + (size_t)carom_vm_word(vm, slot, CAROM_SLOT_FIELD_COUNT) * 8;
    return (carom_slice){(const char *)head + offset, length};
}

carom_slice carom_vm_method(const carom_vm *vm, uint32_t slot)
{
    return part(vm, slot, 0, carom_vm_word(vm, slot, CAROM_SLOT_METHOD_LENGTH));
}

carom_slice carom_vm_target(const carom_vm *vm, uint32_t slot)
{
    return part(vm, slot, carom_vm_word(vm, slot, CAROM_SLOT_TARGET),
                carom_vm_word(vm, slot, CAROM_SLOT_TARGET_LENGTH));
}

carom_slice carom_vm_protocol(const carom_vm *vm, uint32_t slot)
{
    uint32_t place = carom_vm_word(vm, slot, CAROM_SLOT_PROTOCOL);
    return place == 0 ? NOTHING : part(vm, slot, place & 0xffff, place >> 16);
}

bool carom_vm_field(const carom_vm *vm, uint32_t slot, uint32_t index, carom_field *field)
{
    const uint8_t *table = table_of(vm, slot);
    if (table == NULL || index >= carom_vm_word(vm, slot, CAROM_SLOT_FIELD_COUNT))
        return false;
    uint16_t entry[4];
    memcpy(entry, table + (size_t)index * 8, sizeof entry);
    field->name = part(vm, slot, entry[0], entry[1]);
    field->value = part(vm, slot, entry[2], entry[3]);
    return true;
}

carom_slice carom_vm_content(const carom_vm *vm, uint32_t slot)
{
    uint32_t length = carom_vm_word(vm, slot, CAROM_SLOT_CONTENT_HERE);
    if (length == 0)
        return NOTHING;
    if (carom_vm_word(vm, slot, CAROM_SLOT_HEAD_PAGE) != 0) /* behind a long head it is alone */
        return (carom_slice){(const char *)words_of(vm, slot) + CAROM_SLOT_IN, length};
    return part(vm, slot, carom_vm_word(vm, slot, CAROM_SLOT_HEAD_LENGTH), length);
}

int64_t carom_vm_content_length(const carom_vm *vm, uint32_t slot)
{
    uint64_t high = carom_vm_word(vm, slot, CAROM_SLOT_LENGTH_HIGH);
    return (int64_t)(high << 32 | carom_vm_word(vm, slot, CAROM_SLOT_LENGTH_LOW));
}

bool carom_vm_trailer(const carom_vm *vm, uint32_t slot, uint32_t index, carom_field *field)
{
    if (vm->page == 0)
        return false;
    const uint8_t *from = page_of(vm, vm->page) + carom_vm_word(vm, slot, CAROM_SLOT_PIECE_LENGTH);
    const uint8_t *end = from + carom_vm_word(vm, slot, CAROM_SLOT_TRAILERS_LENGTH);
    for (; from < end; index--) {
        uint16_t lengths[2];
        memcpy(lengths, from, sizeof lengths);
        const char *name = (const char *)from + sizeof lengths;
        if (index == 0) {
            field->name = (carom_slice){name, lengths[0]};
            field->value = (carom_slice){name + lengths[0], lengths[1]};
            return true;
        }
        from += sizeof lengths + lengths[0] + lengths[1];
    }
    return false;
}

/* ---------------------------------------------------------------- a message */

int carom_vm_begin(carom_vm *vm, uint32_t slot, uint32_t generation, uint32_t status)
{
    uint32_t *words = words_of(vm, slot);
    if (words == NULL || !vm->held[slot].held || words[CAROM_SLOT_GENERATION] != generation)
        return -CAROM_ECANCELED;
    atomic_store(at(words, CAROM_SLOT_NOTIFY), 1);
    /* It would not be known which message was refused, and so whose the slot is, if there were one
     * more: ERROR is told before FLAGS are 0. */
    if (atomic_load(at(words, CAROM_SLOT_FLAGS)) != 0 ||
        (atomic_load(at(words, CAROM_SLOT_NEWS)) & CAROM_NEWS_ERROR) != 0)
        return -CAROM_EAGAIN;
    atomic_store(at(words, CAROM_SLOT_NOTIFY), 0);
    for (uint32_t word = CAROM_SLOT_STATUS; word < CAROM_SLOT_NOTIFY; word++)
        words[word] = 0;
    words[CAROM_SLOT_FIELDS_LOAN] = words[CAROM_SLOT_TIME] = 0;
    words[CAROM_SLOT_ECHO] = generation;
    words[CAROM_SLOT_STATUS] = status;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    return 0;
}

/* Where `length` more bytes go in the slot; NULL: they do not fit. */
static uint8_t *room_for(const uint32_t *words, size_t length)
{
    size_t used = (size_t)words[CAROM_SLOT_FIELDS_LENGTH] + words[CAROM_SLOT_OUT_TRAILERS] +
                  (words[CAROM_SLOT_DATA_LOAN] == 0 ? words[CAROM_SLOT_DATA_LENGTH] : 0);
    return length > ROOM - used ? NULL : (uint8_t *)words + CAROM_SLOT_OUT + used;
}

/* `counted`: the word that counts the bytes of such fields. */
static int add_line(const carom_vm *vm, uint32_t slot, carom_slice name, carom_slice value,
                    uint32_t counted)
{
    uint32_t *words = words_of(vm, slot);
    const uint16_t lengths[2] = {(uint16_t)name.length, (uint16_t)value.length};
    if (words == NULL)
        return -CAROM_ECANCELED;
    if (name.length > ROOM || value.length > ROOM)
        return -CAROM_ETOOBIG;
    size_t length = sizeof lengths + name.length + value.length;
    uint8_t *to = room_for(words, length);
    if (to == NULL)
        return -CAROM_ETOOBIG;
    memcpy(to, lengths, sizeof lengths);
    if (name.length > 0)
        memcpy(to + sizeof lengths, name.data, name.length);
    if (value.length > 0)
        memcpy(to + sizeof lengths + name.length, value.data, value.length);
    words[counted] += (uint32_t)length;
    return 0;
}

int carom_vm_add_field(carom_vm *vm, uint32_t slot, carom_slice name, carom_slice value)
{
    const uint32_t *words = words_of(vm, slot);
    if (words != NULL && (words[CAROM_SLOT_DATA_LENGTH] | words[CAROM_SLOT_OUT_TRAILERS]) != 0)
        return -CAROM_ESTATE;
    return add_line(vm, slot, name, value, CAROM_SLOT_FIELDS_LENGTH);
}

int carom_vm_add_trailer(carom_vm *vm, uint32_t slot, carom_slice name, carom_slice value)
{
    return add_line(vm, slot, name, value, CAROM_SLOT_OUT_TRAILERS);
}

size_t carom_vm_add_content(carom_vm *vm, uint32_t slot, const void *data, size_t length)
{
    uint32_t *words = words_of(vm, slot);
    if (words == NULL || length == 0 ||
        (words[CAROM_SLOT_DATA_LOAN] | words[CAROM_SLOT_OUT_TRAILERS]) != 0)
        return 0;
    const uint8_t *free_from = room_for(words, 0);
    size_t room = (size_t)((const uint8_t *)words + CAROM_RING_SLOT_SIZE - free_from);
    size_t taken = length < room ? length : room;
    memcpy(room_for(words, taken), data, taken);
    words[CAROM_SLOT_DATA_LENGTH] += (uint32_t)taken;
    return taken;
}

static void set_word(const carom_vm *vm, uint32_t slot, uint32_t word, uint32_t value)
{
    uint32_t *words = words_of(vm, slot);
    if (words != NULL)
        words[word] = value;
}

void carom_vm_add_loan(carom_vm *vm, uint32_t slot, uint32_t loan)
{
    set_word(vm, slot, CAROM_SLOT_DATA_LOAN, loan + 1);
}

void carom_vm_set_length(carom_vm *vm, uint32_t slot, uint64_t length)
{
    set_word(vm, slot, CAROM_SLOT_WHOLE_LOW, (uint32_t)length);
    set_word(vm, slot, CAROM_SLOT_WHOLE_HIGH, (uint32_t)(length >> 32));
}

void carom_vm_set_time(carom_vm *vm, uint32_t slot, uint32_t milliseconds)
{
    set_word(vm, slot, CAROM_SLOT_TIME, milliseconds);
}

void carom_vm_send(carom_vm *vm, uint32_t slot, uint32_t flags)
{
    uint32_t *words = words_of(vm, slot);
    if (words == NULL || flags == 0)
        return;
    if (flags & CAROM_FLAG_RELEASE)
        vm->held[slot].held = false;
    atomic_store(at(words, CAROM_SLOT_FLAGS), flags);
    uint32_t *commands = vm->control + vm->control[CAROM_RING_COMMANDS_WORD];
    commands[vm->command_tail++ & (vm->capacity - 1)] = slot;
    atomic_store(at(vm->control, CAROM_RING_COMMAND_TAIL), vm->command_tail);
    if (!vm->in_batch)
        wake_engine(vm);
}

/* ---------------------------------------------------------------- life */

static void free_memory(carom_vm *vm)
{
    uint32_t blocks = vm->capacity / CAROM_RING_BLOCK_SLOTS;
    for (uint32_t i = 0; vm->held != NULL && i < vm->capacity; i++)
        forget_head(&vm->held[i]);
    for (uint32_t i = 0; vm->blocks != NULL && i < blocks; i++)
        if (vm->blocks[i] != NULL)
            carom_memory_give(vm->blocks[i], BLOCK_SIZE);
    carom_memory_give(vm->blocks, blocks * sizeof *vm->blocks);
    carom_memory_give(vm->held, vm->capacity * sizeof *vm->held);
    carom_memory_give(vm->control, carom_ring_control_size(vm->capacity));
    carom_memory_give(vm, sizeof *vm);
}

int carom_vm_create(carom_vm **made, const carom_ring_options *options)
{
    if (made == NULL || options == NULL ||
        options->size <= offsetof(carom_ring_options, capacity) ||
        options->capacity < CAROM_RING_BLOCK_SLOTS || options->capacity > 1u << 20)
        return -CAROM_EINVAL;
    uint32_t capacity = options->capacity, blocks = capacity / CAROM_RING_BLOCK_SLOTS;
    size_t size = carom_ring_control_size(capacity);
    carom_vm *vm = carom_memory_take_zeroed(sizeof *vm);
    if (vm == NULL)
        return -CAROM_ENOMEM;
    vm->capacity = capacity;
    vm->control = carom_memory_take_zeroed(size);
    vm->blocks = carom_memory_take_zeroed(blocks * sizeof *vm->blocks);
    vm->held = carom_memory_take_zeroed(capacity * sizeof *vm->held);
    int error = vm->control == NULL || vm->blocks == NULL || vm->held == NULL ? -CAROM_ENOMEM : 0;
    if (error == 0)
        error = carom_ring_create(&vm->ring, options, vm->control, size);
    if (error < 0) {
        free_memory(vm);
        return error;
    }
    *made = vm;
    return 0;
}

void carom_vm_destroy(carom_vm *vm)
{
    if (vm == NULL)
        return;
    carom_ring_destroy(vm->ring);
    free_memory(vm);
}

carom_ring *carom_vm_ring(const carom_vm *vm)
{
    return vm->ring;
}
