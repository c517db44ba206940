/* A VM that is the test itself: it writes the words and reads the news, and nothing happens that
 * the test does not do. */
#ifndef CAROM_TEST_UNIT_RING_VM_H
#define CAROM_TEST_UNIT_RING_VM_H

#include "unit/http/simulation.h"

#include <stdlib.h>

#include "base/memory.h"
#include "carom_ring.h"

#define CAPACITY 64
#define ROOM_OUT (CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT)

/* Bytes of a half-word, and of a word that is less than 256, as they lie in this machine's memory;
 * and the lengths of a field's name and value. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define HALF(low, high) high low
#define WORD(low)       "\0\0\0" low
#else
#define HALF(low, high) low high
#define WORD(low)       low "\0\0\0"
#endif
#define LENGTHS(name, value) HALF(name, "\0") HALF(value, "\0")

static struct vm {
    carom_ring *ring;
    uint32_t *control, *slots;
    uint32_t slot_count, command_tail, return_head;
    int wakes;
    uint64_t held; /* bytes, before there was a ring */
} vm;

static uint32_t *slot_words(uint32_t index)
{
    return vm.slots + (size_t)index * (CAROM_RING_SLOT_SIZE / sizeof(uint32_t));
}

static inline uint8_t *slot_out(uint32_t index)
{
    return (uint8_t *)slot_words(index) + CAROM_SLOT_OUT;
}

static void sleep_on(void *data)
{
    (void)data;
    vm.wakes++;
    vm.control[CAROM_RING_VM_ASLEEP] = 1;
}

/* What lay in a page is copied. */
static inline void give_page(uint32_t page)
{
    vm.control[CAROM_RING_PAGES_HELD + page - 1] = 0;
}

/* A service with a ring of `slots` slots at least: whole blocks of them. */
static void vm_begin_watching(carom_options *options, uint32_t slots, bool watch)
{
    const uint32_t blocks = (slots + CAROM_RING_BLOCK_SLOTS - 1) / CAROM_RING_BLOCK_SLOTS;
    slots = blocks * CAROM_RING_BLOCK_SLOTS;
    const carom_ring_options ring_options = {
        .size = sizeof(carom_ring_options), .capacity = CAPACITY, .wake = sleep_on, .watch = watch};
    size_t size = (carom_ring_control_size(CAPACITY) + 63) / 64 * 64;
    size_t memory = (size_t)slots * CAROM_RING_SLOT_SIZE;
    vm = (struct vm){.slot_count = slots,
                     .held = carom_memory_held(),
                     .control = aligned_alloc(64, size),
                     .slots = aligned_alloc(64, memory)};
    assert_non_null(vm.control);
    assert_non_null(vm.slots);
    memset(vm.control, 0, size);
    memset(vm.slots, 0, memory);
    assert_int_equal(carom_ring_create(&vm.ring, &ring_options, vm.control, size), 0);
    options->handler = carom_ring_handle;
    options->record_state = sizeof(void *);
    create(options);
    assert_int_equal(carom_ring_attach(vm.ring, sim.service, 0), 0);
    assert_int_equal(carom_ring_attach(vm.ring, sim.service, 0), -CAROM_ESTATE); /* it has one */
    start();
    for (uint32_t i = 0; i < blocks; i++)
        assert_int_equal(
            carom_ring_add_block(vm.ring, i, (uint8_t *)vm.slots + i * memory / blocks), 0);
}

static inline void vm_begin_with(carom_options *options, uint32_t slots)
{
    vm_begin_watching(options, slots, false);
}

static inline void vm_finish(void)
{
    carom_ring_abandon(vm.ring);
    turn();
    finish();
    carom_ring_destroy(vm.ring);
    assert_int_equal(carom_memory_held(), vm.held);
    free(vm.slots);
    free(vm.control);
}

/* The news of a slot, taken. */
static inline uint32_t news_of(uint32_t index)
{
    uint32_t news = slot_words(index)[CAROM_SLOT_NEWS];
    slot_words(index)[CAROM_SLOT_NEWS] = 0;
    return news;
}

static void put_command(uint32_t index)
{
    uint32_t *commands = vm.control + vm.control[CAROM_RING_COMMANDS_WORD];
    commands[vm.command_tail++ & (CAPACITY - 1)] = index;
    vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
}

static inline void command(uint32_t index, uint32_t flags)
{
    uint32_t *words = slot_words(index);
    words[CAROM_SLOT_ECHO] = words[CAROM_SLOT_GENERATION];
    words[CAROM_SLOT_FLAGS] = flags;
    put_command(index);
    carom_ring_wake(vm.ring);
    turn();
}

/* How many loans have come back since the last call, each of them `loan`. */
static inline uint32_t returned(uint32_t loan)
{
    uint32_t count = vm.control[CAROM_RING_RETURN_TAIL] - vm.return_head;
    const uint32_t *returns = vm.control + vm.control[CAROM_RING_RETURNS_WORD];
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(returns[vm.return_head++ & (CAROM_RING_LOANS - 1)], loan);
    return count;
}

static inline uint32_t bad_commands(void)
{
    return vm.control[CAROM_RING_BAD_COMMANDS];
}

/* The slot that carries a new request, or `vm.slot_count`: none does. */
static inline uint32_t new_request(void)
{
    uint32_t index = 0;
    while (index < vm.slot_count && !(news_of(index) & CAROM_NEWS_REQUEST))
        index++;
    return index;
}

/* The slot of a new request of a new client. */
static inline uint32_t ask(struct carom_peer **peer, const char *request)
{
    *peer = connect_peer();
    say(*peer, request);
    turn();
    uint32_t index = new_request();
    assert_int_not_equal(index, vm.slot_count);
    return index;
}

/* The field lines "a" that a peer has got. */
static inline int lines_of(struct carom_peer *peer)
{
    size_t length;
    const char *at = carom_peer_received(peer, &length), *end = at + length;
    int lines = 0;
    while ((at = memmem(at, (size_t)(end - at), "\r\na: ", 5)) != NULL) {
        at += 5;
        lines++;
    }
    return lines;
}

/* Requests that are held, so that one slot is left of a ring of one block. */
static inline void leave_one_slot(void)
{
    struct carom_peer *peer;
    for (int i = 1; i < CAROM_RING_BLOCK_SLOTS; i++)
        ask(&peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#endif
