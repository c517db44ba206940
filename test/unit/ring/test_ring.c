/* The ring with a tiny VM in C: all it knows is its memory and the layout. It answers by the
 * target: "/now" at once, "/echo" streams the content back, "/hold" when the test says so. */
#include "unit/http/simulation.h"

#include <stdio.h>
#include <stdlib.h>

#include "carom_ring.h"

#define CAPACITY    64
#define SLOTS       8
#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* What the VM keeps; the rest is read from its memory. */
static struct vm {
    carom_ring *ring;
    uint32_t *control;
    uint8_t *blocks[CAPACITY / SLOTS + 1];
    int block_count;
    uint32_t event_head, command_tail, return_head;
    int wakes, requests, ended, errors, returns;
    uint32_t last_error;
    uint32_t reasons[CAROM_REASON_COUNT];
    uint32_t held[CAPACITY]; /* slots of "/hold" */
    int held_count;
    uint32_t streaming[CAPACITY]; /* what is still to be written, by slot */
    bool grows;
    bool yields;                /* it takes one event at a time */
    void (*before_event)(void); /* then: before each */
} vm;

static uint32_t *slot_words(uint32_t index)
{
    return (uint32_t *)(void *)(vm.blocks[index / SLOTS] +
                                (size_t)(index % SLOTS) * CAROM_RING_SLOT_SIZE);
}

static void command(uint32_t index, uint32_t flags)
{
    uint32_t *words = slot_words(index);
    words[CAROM_SLOT_ECHO] = words[CAROM_SLOT_GENERATION];
    words[CAROM_SLOT_FLAGS] = flags;
    vm.control[vm.control[CAROM_RING_COMMANDS_WORD] + (vm.command_tail++ & (CAPACITY - 1))] = index;
    vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
}

/* A field and content into the area for them. */
static void compose(uint32_t index, uint32_t status, const char *name, const char *value,
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

static void vm_answer(uint32_t index, const char *text)
{
    compose(index, 200, "x-vm", "tiny", text, (uint32_t)strlen(text));
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
}

static void vm_request(uint32_t index)
{
    uint32_t *words = slot_words(index);
    const uint8_t *table =
        words[CAROM_SLOT_HEAD_PAGE] == 0
            ? (uint8_t *)words + CAROM_SLOT_IN
            : (uint8_t *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
                  (size_t)(words[CAROM_SLOT_HEAD_PAGE] - 1) * CAROM_RING_PAGE_SIZE;
    const char *head = (const char *)table + (size_t)words[CAROM_SLOT_FIELD_COUNT] * 8;
    const char *target = head + words[CAROM_SLOT_TARGET];
    vm.requests++;
    vm.streaming[index] = 0;
    if (memcmp(target, "/hold", 5) == 0) {
        vm.held[vm.held_count++] = index;
        if (words[CAROM_SLOT_HEAD_PAGE] != 0) {
            words[CAROM_SLOT_FIELDS_LENGTH] = 0;
            command(index, CAROM_FLAG_HEAD_TAKEN);
        }
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
}

/* A piece of content goes back as it came; it lies in a page, so it is copied into the slot. */
static void vm_content(uint32_t index, uint32_t news)
{
    uint32_t *words = slot_words(index);
    uint8_t *out = (uint8_t *)words + CAROM_SLOT_OUT;
    uint32_t flags = 0;
    words[CAROM_SLOT_FIELDS_LENGTH] = 0;
    words[CAROM_SLOT_DATA_LENGTH] = words[CAROM_SLOT_DATA_LOAN] = 0;
    if (news & CAROM_NEWS_CONTENT) {
        const uint8_t *page = (uint8_t *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
                              (size_t)(words[CAROM_SLOT_PIECE_PAGE] - 1) * CAROM_RING_PAGE_SIZE;
        uint32_t length = words[CAROM_SLOT_PIECE_LENGTH];
        assert_true(length <= CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT);
        memcpy(out, page, length);
        words[CAROM_SLOT_DATA_LENGTH] = length;
        flags |= CAROM_FLAG_DATA;
    }
    words[CAROM_SLOT_OUT_TRAILERS] = 0;
    if (news & CAROM_NEWS_CONTENT_END)
        flags |= CAROM_FLAG_END | CAROM_FLAG_RELEASE;
    else if (news & CAROM_NEWS_CONTENT_LOST)
        flags |= CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE;
    else
        flags |= CAROM_FLAG_READ;
    command(index, flags);
}

static void vm_event(uint32_t index)
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

static void vm_add_slots(void)
{
    size_t size = (size_t)SLOTS * CAROM_RING_SLOT_SIZE;
    uint8_t *block = aligned_alloc(64, size);
    assert_non_null(block);
    vm.blocks[vm.block_count] = block;
    if (carom_ring_add_slots(vm.ring, block, size) == 0)
        vm.block_count++;
    else
        free(block);
}

/* The engine has something to tell: all of it is taken, then the VM sleeps again. */
static void vm_wake(void *data)
{
    (void)data;
    vm.wakes++;
    if (vm.grows && vm.control[CAROM_RING_SLOTS_WANTED] > 0)
        vm_add_slots();
    while (vm.event_head != vm.control[CAROM_RING_EVENT_TAIL]) {
        if (vm.yields)
            vm.before_event();
        vm_event(
            vm.control[vm.control[CAROM_RING_EVENTS_WORD] + (vm.event_head++ & (CAPACITY - 1))]);
        if (vm.yields && vm.event_head != vm.control[CAROM_RING_EVENT_TAIL]) {
            vm.control[CAROM_RING_VM_ASLEEP] = 2;
            return;
        }
    }
    while (vm.return_head != vm.control[CAROM_RING_RETURN_TAIL]) {
        vm.return_head++;
        vm.returns++;
    }
    vm.control[CAROM_RING_VM_ASLEEP] = 1;
}

static void vm_begin(carom_options *options)
{
    const carom_ring_options ring_options = {.capacity = CAPACITY, .wake = vm_wake};
    size_t size = (carom_ring_control_size(CAPACITY) + 63) / 64 * 64;
    vm = (struct vm){.control = aligned_alloc(64, size)};
    assert_non_null(vm.control);
    assert_int_equal(carom_ring_create(&vm.ring, &ring_options, vm.control, size), 0);
    options->handler = carom_ring_handle;
    options->record_state = sizeof(void *);
    create(options);
    assert_int_equal(carom_ring_attach(vm.ring, sim.service, 0), 0);
    start();
    vm_add_slots();
}

static carom_stats vm_finish(void)
{
    carom_ring_abandon(vm.ring);
    turn();
    carom_stats stats = finish();
    carom_ring_destroy(vm.ring);
    for (int i = 0; i < vm.block_count; i++)
        free(vm.blocks[i]);
    free(vm.control);
    return stats;
}

/* ---------------------------------------------------------------- tests */

static void a_batch_costs_one_wake(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peers[4];
    for (int i = 0; i < 4; i++) {
        peers[i] = connect_peer();
        turn();
    }
    int before = vm.wakes;
    for (int i = 0; i < 4; i++)
        say(peers[i], "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    turn();
    assert_int_equal(vm.wakes - before, 1);
    for (int i = 0; i < 4; i++) {
        assert_got(peers[i], "HTTP/1.1 200 OK\r\nx-vm: tiny\r\n");
        assert_got(peers[i], "2 fields, 3 here");
    }
    assert_int_equal(vm_finish().ended[CAROM_REASON_COMPLETE], 4);
}

static struct carom_peer *yielding_peers[12];

/* What was answered before has left. */
static void assert_earlier_answers_left(void)
{
    for (int i = 0; i < vm.requests; i++)
        assert_got(yielding_peers[i], "1 fields, 0 here");
}

static void a_vm_that_yields_is_called_when_its_answers_have_left(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    vm.yields = true;
    vm.before_event = assert_earlier_answers_left;
    for (int i = 0; i < 12; i++) {
        yielding_peers[i] = connect_peer();
        turn();
    }
    int before = vm.wakes;
    for (int i = 0; i < 12; i++)
        say(yielding_peers[i], GET("/now"));
    struct carom_worker *worker = &sim.service->workers[0];
    struct carom_guest *guest = worker->connections.records.guest;
    carom_worker_turn(worker, false);
    for (int turns = 0; vm.requests < 12; turns++) { /* the rounds of one turn were too few */
        assert_true(turns < 12);
        assert_false(guest->may_sleep(guest));
        carom_worker_turn(worker, true);
    }
    assert_earlier_answers_left();
    assert_int_equal(vm.wakes - before, 12);
    assert_int_equal(vm_finish().ended[CAROM_REASON_COMPLETE], 12);
}

static void content_of_any_size_is_echoed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (size_t piece = 1; piece < 9; piece++) {
        vm_begin(&options);
        struct carom_peer *peer = connect_peer();
        carom_peer_set_piece(peer, piece);
        say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n" GET("/now"));
        turn();
        char echoed[64] = "";
        for (const char *at = strstr(got(peer), "\r\n\r\n") + 4; *at != '\0' && *at != '0';) {
            size_t length = strtoul(at, NULL, 16);
            at = strchr(at, '\n') + 1;
            strncat(echoed, at, length);
            at += length + 2;
        }
        assert_string_equal(echoed, "abcdefgh");
        assert_got(peer, "1 fields, 0 here");
        vm_finish();
    }
}

/* A head and an end without content: of GET that is all, of HEAD nobody knows. */
static void what_head_leaves_out_has_no_length(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/none"));
    turn();
    assert_got(peer, "Content-Length: 0\r\n");
    struct carom_peer *asking = connect_peer();
    say(asking, "HEAD /none HTTP/1.1\r\nHost: a\r\n\r\nHEAD /now HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    assert_got(asking, "x-vm: none\r\n");
    assert_got(asking, "Content-Length: 16\r\n"); /* of the second, which says its content */
    assert_null(strstr(got(asking), "Content-Length: 0"));
    assert_int_equal(vm_finish().ended[CAROM_REASON_COMPLETE], 3);
}

static void answers_may_come_late(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") GET("/now"));
    turn();
    assert_string_equal(got(peer), "");
    carom_tls_info info;
    assert_int_equal(carom_ring_tls(vm.ring, vm.held[0], &info, NULL), -CAROM_ENOENT);
    assert_int_equal(carom_ring_tls(vm.ring, vm.held[0] + 1, &info, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_ring_tls(vm.ring, CAPACITY, &info, NULL), -CAROM_EINVAL);
    vm_answer(vm.held[0], "late");
    carom_ring_wake(vm.ring);
    turn();
    assert_true(strstr(got(peer), "late") < strstr(got(peer), "1 fields"));
    vm_finish();
}

static void the_vm_hears_of_clients_that_leave(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_peer_reset(peer);
    turn();
    assert_int_equal(vm.ended, 1);
    assert_int_equal(vm.reasons[CAROM_REASON_CLIENT_RESET], 1);
    /* An answer all the same: silently nobody's. */
    uint32_t bad = vm.control[CAROM_RING_BAD_COMMANDS];
    vm_answer(vm.held[0], "for nobody");
    turn();
    assert_int_equal(vm.control[CAROM_RING_BAD_COMMANDS], bad + 1);
    vm_finish();
}

static void slots_grow_with_the_requests(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peers[3 * SLOTS];
    for (int i = 0; i < 3 * SLOTS; i++) {
        peers[i] = connect_peer();
        say(peers[i], GET("/hold"));
    }
    turn();
    assert_int_equal(vm.requests, SLOTS);
    assert_int_equal(vm.control[CAROM_RING_SLOTS_WANTED], 2 * SLOTS);
    vm.grows = true;
    vm_add_slots();
    turn();
    assert_int_equal(vm.requests, 3 * SLOTS);
    while (vm.held_count > 0)
        vm_answer(vm.held[--vm.held_count], "at last");
    turn();
    for (int i = 0; i < 3 * SLOTS; i++)
        assert_got(peers[i], "at last");
    vm_finish();
}

static void long_heads_lie_in_pages(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 1000;
    vm_begin(&options);
    vm.grows = true;
    char request[4096];
    snprintf(request, sizeof request, "GET /hold HTTP/1.1\r\nHost: a\r\nX: %03000d\r\n\r\n", 7);
    struct carom_peer *peers[2 * CAROM_RING_PAGES];
    for (int i = 0; i < 2 * CAROM_RING_PAGES; i++) {
        peers[i] = connect_peer();
        say(peers[i], request);
    }
    turn();
    assert_int_equal(vm.requests, 2 * CAROM_RING_PAGES);
    vm_finish();
}

static void a_bad_field_is_an_error_event(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/bad"));
    turn();
    assert_int_equal(vm.errors, 1);
    assert_int_equal(vm.last_error, CAROM_EFIELD);
    assert_got(peer, "HTTP/1.1 500 ");
    assert_null(strstr(got(peer), "x: y"));
    vm_finish();
}

static void loans_come_back_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    static char big[100000];
    memset(big, 'b', sizeof big);
    vm_begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 1000);
    say(peer, GET("/hold"));
    turn();
    uint32_t slot = vm.held[0];
    assert_int_equal(carom_ring_lend(vm.ring, 5, big, sizeof big), 0);
    assert_int_equal(carom_ring_lend(vm.ring, 5, big, sizeof big), -CAROM_ESTATE);
    assert_int_equal(carom_ring_lend(vm.ring, CAROM_RING_LOANS, big, 1), -CAROM_EINVAL);
    compose(slot, 200, "x-vm", "loan", NULL, 0);
    slot_words(slot)[CAROM_SLOT_DATA_LOAN] = 6;
    command(slot, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    turn();
    assert_int_equal(vm.returns, 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    pass(1);
    assert_int_equal(vm.returns, 1);
    size_t length;
    carom_peer_received(peer, &length);
    assert_true(length > sizeof big);
    assert_int_equal(carom_ring_lend(vm.ring, 5, big, sizeof big), 0);
    vm_finish();
}

/* The word that counts the slots is the VM's to read, not to write. */
static void no_more_slots_than_the_capacity(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin(&options);
    for (int i = 1; i < CAPACITY / SLOTS; i++)
        vm_add_slots();
    assert_int_equal(vm.block_count, CAPACITY / SLOTS);
    vm.control[CAROM_RING_SLOTS] = 0;
    vm_add_slots();
    assert_int_equal(vm.block_count, CAPACITY / SLOTS);
    vm_finish();
}

static uint32_t random_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Whatever the VM writes, wherever: nothing is accessed that must not be, and all ends. */
static void a_mad_vm_harms_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        carom_options options = simulation_options();
        vm_begin(&options);
        for (int step = 0; step < 60; step++) {
            struct carom_peer *peer = connect_peer();
            say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
            turn();
            vm.held_count = 0;
            for (int i = 0; i < 200; i++) {
                uint32_t value = random_next(&random);
                uint32_t *words = slot_words(random_next(&random) % SLOTS);
                if (i % 4 != 0)
                    value %= 1024;
                words[random_next(&random) % 48] = value;
            }
            for (int i = 0; i < 20; i++) {
                uint32_t index = random_next(&random) % SLOTS;
                slot_words(index)[CAROM_SLOT_FLAGS] = random_next(&random) % 1024;
                vm.control[vm.control[CAROM_RING_COMMANDS_WORD] +
                           (vm.command_tail++ & (CAPACITY - 1))] =
                    i % 5 == 0 ? random_next(&random) : index;
            }
            vm.control[CAROM_RING_COMMAND_TAIL] =
                step % 7 == 0 ? random_next(&random) : vm.command_tail;
            vm.control[CAROM_RING_VM_ASLEEP] = 0; /* it hears nothing */
            carom_ring_wake(vm.ring);
            turn();
            vm.command_tail = vm.control[CAROM_RING_COMMAND_TAIL];
        }
        vm_finish();
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_batch_costs_one_wake),
        cmocka_unit_test(a_vm_that_yields_is_called_when_its_answers_have_left),
        cmocka_unit_test(content_of_any_size_is_echoed),
        cmocka_unit_test(what_head_leaves_out_has_no_length),
        cmocka_unit_test(answers_may_come_late),
        cmocka_unit_test(the_vm_hears_of_clients_that_leave),
        cmocka_unit_test(slots_grow_with_the_requests),
        cmocka_unit_test(long_heads_lie_in_pages),
        cmocka_unit_test(a_bad_field_is_an_error_event),
        cmocka_unit_test(loans_come_back_once),
        cmocka_unit_test(no_more_slots_than_the_capacity),
        cmocka_unit_test(a_mad_vm_harms_nobody),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
