/* A tiny VM in C: all it knows is its memory and the layout. It answers by the
 * target: "/now" at once, "/echo" streams the content back, "/hold" when the test says so. */
#ifndef CAROM_TEST_UNIT_RING_TINY_VM_H
#define CAROM_TEST_UNIT_RING_TINY_VM_H

#include "unit/http/simulation.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "carom_ring.h"

#define CAPACITY 64
#define SLOTS    CAROM_RING_BLOCK_SLOTS
#define BLOCK    ((size_t)SLOTS * CAROM_RING_SLOT_SIZE)

/* What the VM keeps; the rest is read from its memory. */
static struct vm {
    carom_ring *ring;
    uint32_t *control;
    uint8_t *blocks[CAPACITY / SLOTS + 1];
    int block_count;
    uint32_t given; /* slots of them */
    uint32_t event_head, command_tail, return_head;
    int wakes, requests, ended, errors, returns;
    uint32_t last_error;
    uint32_t reasons[CAROM_REASON_COUNT];
    uint32_t held[CAPACITY]; /* slots of "/hold" */
    int held_count;
    uint32_t streaming[CAPACITY]; /* what is still to be written, by slot */
    bool grows;
    bool pauses;                /* having read once, it reads no more */
    bool late;                  /* it says what it has heard when it is called the next time */
    uint64_t held_bytes;        /* of memory, before there was a ring */
    bool yields;                /* it takes one event at a time */
    void (*before_event)(void); /* then: before each */
} vm;

static inline uint32_t *slot_words(uint32_t index)
{
    return (uint32_t *)(void *)(vm.blocks[index / SLOTS] +
                                (size_t)(index % SLOTS) * CAROM_RING_SLOT_SIZE);
}

static inline void put_command(uint32_t index)
{
    vm.control[vm.control[CAROM_RING_COMMANDS_WORD] + (vm.command_tail++ & (CAPACITY - 1))] = index;
    vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
}

static inline void command(uint32_t index, uint32_t flags)
{
    uint32_t *words = slot_words(index);
    words[CAROM_SLOT_ECHO] = words[CAROM_SLOT_GENERATION];
    words[CAROM_SLOT_FLAGS] = flags;
    put_command(index);
}

/* A field and content into the area for them. */
static inline void compose(uint32_t index, uint32_t status, const char *name, const char *value,
                           const void *data, uint32_t length)
{
    uint32_t *words = slot_words(index);
    uint8_t *out = (uint8_t *)words + CAROM_SLOT_OUT;
    const uint16_t lengths[2] = {(uint16_t)strlen(name), (uint16_t)strlen(value)};
    memcpy(out, lengths, 4);
    memcpy(out + 4, name, lengths[0]);
    memcpy(out + 4 + lengths[0], value, lengths[1]);
    uint32_t fields = 4u + lengths[0] + lengths[1];
    if (length > 0)
        memcpy(out + fields, data, length);
    words[CAROM_SLOT_STATUS] = status;
    words[CAROM_SLOT_FIELDS_LENGTH] = fields;
    words[CAROM_SLOT_DATA_LENGTH] = length;
    words[CAROM_SLOT_DATA_LOAN] = words[CAROM_SLOT_OUT_TRAILERS] = 0;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
}

static inline void vm_answer(uint32_t index, const char *text)
{
    compose(index, 200, "x-vm", "tiny", text, (uint32_t)strlen(text));
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
}

static inline uint8_t *page_at(uint32_t page)
{
    return (uint8_t *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
           (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

/* What lay there is copied. */
static inline void give_page(uint32_t page)
{
    if (page > 0)
        vm.control[CAROM_RING_PAGES_HELD + page - 1] = 0;
}

static inline void vm_request(uint32_t index)
{
    uint32_t *words = slot_words(index);
    const uint8_t *table = words[CAROM_SLOT_HEAD_PAGE] == 0 ? (uint8_t *)words + CAROM_SLOT_IN
                                                            : page_at(words[CAROM_SLOT_HEAD_PAGE]);
    const char *head = (const char *)table + (size_t)words[CAROM_SLOT_FIELD_COUNT] * 8;
    const char *target = head + words[CAROM_SLOT_TARGET];
    vm.requests++;
    vm.streaming[index] = 0;
    if (memcmp(target, "/hold", 5) == 0) {
        vm.held[vm.held_count++] = index;
    } else if (memcmp(target, "/echo", 5) == 0) {
        compose(index, 200, "x-vm", "echo", NULL, 0);
        command(index, CAROM_FLAG_HEAD | CAROM_FLAG_READ);
        vm.streaming[index] = 1;
    } else if (memcmp(target, "/none", 5) == 0) {
        compose(index, 200, "x-vm", "none", NULL, 0);
        command(index, CAROM_FLAG_HEAD | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    } else if (memcmp(target, "/bad", 4) == 0) {
        compose(index, 200, "x-vm", "split\r\nx: y", "no", 2);
        command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    } else {
        char text[64];
        snprintf(text, sizeof text, "%u fields, %u here", words[CAROM_SLOT_FIELD_COUNT],
                 words[CAROM_SLOT_CONTENT_HERE]);
        vm_answer(index, text);
    }
    give_page(words[CAROM_SLOT_HEAD_PAGE]);
}

/* A piece of content goes back as it came; it lies in a page, so it is copied into the slot. */
static inline void vm_content(uint32_t index, uint32_t news)
{
    uint32_t *words = slot_words(index);
    uint8_t *out = (uint8_t *)words + CAROM_SLOT_OUT;
    uint32_t flags = 0;
    words[CAROM_SLOT_FIELDS_LENGTH] = 0;
    words[CAROM_SLOT_DATA_LENGTH] = words[CAROM_SLOT_DATA_LOAN] = 0;
    if (news & CAROM_NEWS_CONTENT) {
        uint32_t length = words[CAROM_SLOT_PIECE_LENGTH];
        assert_true(length <= CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT);
        memcpy(out, page_at(words[CAROM_SLOT_PIECE_PAGE]), length);
        words[CAROM_SLOT_DATA_LENGTH] = length;
        flags |= CAROM_FLAG_DATA;
    }
    words[CAROM_SLOT_OUT_TRAILERS] = 0;
    give_page(words[CAROM_SLOT_PIECE_PAGE]);
    if (vm.pauses)
        flags &= CAROM_FLAG_DATA;
    else if (news & CAROM_NEWS_CONTENT_END)
        flags |= CAROM_FLAG_END | CAROM_FLAG_RELEASE;
    else if (news & CAROM_NEWS_CONTENT_LOST)
        flags |= CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE;
    else
        flags |= CAROM_FLAG_READ;
    if (flags != 0)
        command(index, flags);
}

static inline void vm_event(uint32_t index)
{
    uint32_t *words = slot_words(index);
    uint32_t news = words[CAROM_SLOT_NEWS];
    words[CAROM_SLOT_NEWS] = 0;
    if (news & CAROM_NEWS_REQUEST)
        vm_request(index);
    if (news & CAROM_NEWS_ERROR) {
        vm.errors++;
        vm.last_error = words[CAROM_SLOT_ERROR];
        compose(index, 500, "x-vm", "sorry", NULL, 0);
        command(index, CAROM_FLAG_HEAD | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    }
    if (news & CAROM_NEWS_ENDED) {
        vm.ended++;
        vm.reasons[words[CAROM_SLOT_REASON]]++;
        words[CAROM_SLOT_FIELDS_LENGTH] = 0;
        command(index, CAROM_FLAG_RELEASE);
    } else if (news & (CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END | CAROM_NEWS_CONTENT_LOST)) {
        vm_content(index, news);
    }
}

/* The lowest block that the engine has not; or the error. */
static inline int vm_add_slots(void)
{
    uint32_t number = 0;
    while (vm.blocks[number] != NULL)
        number++;
    uint8_t *block = aligned_alloc(64, BLOCK);
    assert_non_null(block);
    memset(block, 0, BLOCK);
    int error = carom_ring_add_block(vm.ring, number, block);
    if (error == 0) {
        vm.blocks[number] = block;
        vm.given += SLOTS;
        vm.block_count++;
    } else {
        free(block);
    }
    return error;
}

/* The memory of those that the engine gave back is gone at once. */
static inline void vm_take_blocks_back(void)
{
    for (uint32_t i = 0; i < CAPACITY / SLOTS; i++)
        if (vm.blocks[i] != NULL && vm.control[vm.control[CAROM_RING_BLOCKS_WORD] + i] == 0) {
            free(vm.blocks[i]);
            vm.blocks[i] = NULL;
            vm.given -= SLOTS;
            vm.block_count--;
        }
}

/* The engine has something to tell: all of it is taken, then the VM sleeps again. */
static inline void vm_wake(void *data)
{
    (void)data;
    vm.wakes++;
    vm.control[CAROM_RING_EVENT_HEAD] = vm.event_head;
    vm_take_blocks_back();
    while (vm.grows &&
           vm.control[CAROM_RING_SLOTS_WANTED] > vm.given - vm.control[CAROM_RING_SLOTS] &&
           vm_add_slots() == 0) {
    }
    while (vm.event_head != vm.control[CAROM_RING_EVENT_TAIL]) {
        if (vm.yields)
            vm.before_event();
        vm_event(
            vm.control[vm.control[CAROM_RING_EVENTS_WORD] + (vm.event_head++ & (CAPACITY - 1))]);
        if (vm.yields && vm.event_head != vm.control[CAROM_RING_EVENT_TAIL]) {
            vm.control[CAROM_RING_EVENT_HEAD] = vm.event_head;
            vm.control[CAROM_RING_VM_ASLEEP] = 2;
            return;
        }
    }
    if (!vm.late)
        vm.control[CAROM_RING_EVENT_HEAD] = vm.event_head;
    while (vm.return_head != vm.control[CAROM_RING_RETURN_TAIL]) {
        vm.return_head++;
        vm.returns++;
    }
    vm.control[CAROM_RING_VM_ASLEEP] = 1;
}

static inline void vm_begin_unheard(carom_options *options, size_t memory, uint32_t unheard)
{
    const carom_ring_options ring_options = {.size = sizeof(carom_ring_options),
                                             .capacity = CAPACITY,
                                             .memory = memory,
                                             .unheard = unheard,
                                             .wake = vm_wake};
    size_t size = (carom_ring_control_size(CAPACITY) + 63) / 64 * 64;
    vm = (struct vm){.control = aligned_alloc(64, size), .held_bytes = carom_memory_held()};
    assert_non_null(vm.control);
    memset(vm.control, 0, size);
    assert_int_equal(carom_ring_create(&vm.ring, &ring_options, vm.control, size), 0);
    options->handler = carom_ring_handle;
    options->record_state = sizeof(void *);
    create(options);
    assert_int_equal(carom_ring_attach(vm.ring, sim.service, 0), 0);
    start();
    assert_int_equal(vm_add_slots(), 0);
}

static inline void vm_begin_with(carom_options *options, size_t memory)
{
    vm_begin_unheard(options, memory, 0);
}

static inline void vm_begin(carom_options *options)
{
    vm_begin_with(options, 0);
}

static inline carom_stats vm_finish(void)
{
    carom_ring_abandon(vm.ring);
    turn();
    carom_stats stats = finish();
    carom_ring_destroy(vm.ring);
    assert_int_equal(carom_memory_held(), vm.held_bytes);
    for (int i = 0; i <= CAPACITY / SLOTS; i++)
        free(vm.blocks[i]);
    free(vm.control);
    return stats;
}

#endif
