/* The calls of carom_vm.h: a small server made of them, and what they answer when they are used
 * wrongly. */
#include "unit/http/simulation.h"

#include <stdio.h>

#include "carom_vm.h"
#include "ring/block.h"
#include "ring/slot.h"

#define CAPACITY 64
#define ANSWER   (CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END)
#define SLICE(text)                                                                                \
    (carom_slice)                                                                                  \
    {                                                                                              \
        (text), strlen(text)                                                                       \
    }

static struct {
    carom_vm *vm;
    carom_vm_event last; /* of the requests */
    carom_vm_event held[CAPACITY];
    int held_count, requests, rooms, ended, errors, times, wakes;
    uint32_t news; /* all that was told */
    char content[512], trailer[64];
} app;

static void answer_text(const carom_vm_event *event, const char *text, uint32_t flags)
{
    assert_int_equal(carom_vm_begin(app.vm, event->slot, event->generation, 200), 0);
    assert_int_equal(carom_vm_add_field(app.vm, event->slot, SLICE("x-vm"), SLICE("c")), 0);
    assert_int_equal(carom_vm_add_content(app.vm, event->slot, text, strlen(text)), strlen(text));
    carom_vm_send(app.vm, event->slot, ANSWER | flags);
}

static void want_content(const carom_vm_event *event)
{
    assert_int_equal(carom_vm_begin(app.vm, event->slot, event->generation, 0), 0);
    carom_vm_send(app.vm, event->slot, CAROM_FLAG_READ);
}

/* "/hold" waits for the test; "/read" is read to its end; others are answered. */
static void hear_request(const carom_vm_event *event)
{
    carom_slice target = carom_vm_target(app.vm, event->slot);
    app.requests++;
    app.last = *event;
    if (memcmp(target.data, "/hold", 5) == 0)
        app.held[app.held_count++] = *event;
    else if (memcmp(target.data, "/read", 5) == 0)
        want_content(event);
    else
        answer_text(event, "fine", CAROM_FLAG_RELEASE);
}

static void hear(const carom_vm_event *event)
{
    carom_field field;
    app.news |= event->news;
    app.rooms += (event->news & CAROM_NEWS_ROOM) != 0;
    app.ended += (event->news & CAROM_NEWS_ENDED) != 0;
    app.errors += (event->news & CAROM_NEWS_ERROR) != 0;
    app.times += (event->news & CAROM_NEWS_TIME) != 0;
    if (event->news & CAROM_NEWS_REQUEST)
        hear_request(event);
    if (event->news & CAROM_NEWS_CONTENT)
        strncat(app.content, event->piece.data, event->piece.length);
    for (uint32_t i = 0; carom_vm_trailer(app.vm, event->slot, i, &field); i++)
        sprintf(app.trailer + strlen(app.trailer), "%.*s=%.*s;", (int)field.name.length,
                field.name.data, (int)field.value.length, field.value.data);
    if (event->news & CAROM_NEWS_CONTENT_END)
        answer_text(event, app.content, CAROM_FLAG_RELEASE);
    else if (event->news & CAROM_NEWS_CONTENT)
        want_content(event);
}

static void wake(void *data)
{
    carom_vm_event event;
    (void)data;
    app.wakes++;
    while (carom_vm_next(app.vm, &event))
        hear(&event);
}

static void vm_begin(void)
{
    carom_options options = simulation_options();
    carom_ring_options ring_options = CAROM_RING_OPTIONS_INIT;
    ring_options.capacity = CAPACITY;
    ring_options.wake = wake;
    memset(&app, 0, sizeof app);
    assert_int_equal(carom_vm_create(&app.vm, &ring_options), 0);
    options.handler = carom_ring_handle;
    create(&options);
    assert_int_equal(carom_ring_attach(carom_vm_ring(app.vm), sim.service, 0), 0);
    start();
}

static void vm_finish(void)
{
    carom_ring_abandon(carom_vm_ring(app.vm));
    turn();
    finish();
    carom_vm_destroy(app.vm);
}

static struct carom_peer *ask(const char *text)
{
    struct carom_peer *peer = connect_peer();
    say(peer, text);
    turn();
    return peer;
}

static void assert_slice(carom_slice slice, const char *text)
{
    assert_int_equal(slice.length, strlen(text));
    assert_memory_equal(slice.data, text, slice.length);
}

/* ---------------------------------------------------------------- tests */

static void a_request_is_read_by_its_parts(void **state)
{
    (void)state;
    vm_begin();
    ask("PUT /hold HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nContent-Length: 3\r\n\r\nabc");
    uint32_t slot = app.last.slot;
    carom_field field;
    assert_slice(carom_vm_method(app.vm, slot), "PUT");
    assert_slice(carom_vm_target(app.vm, slot), "/hold");
    assert_slice(carom_vm_content(app.vm, slot), "abc");
    assert_null(carom_vm_protocol(app.vm, slot).data);
    assert_int_equal(carom_vm_content_length(app.vm, slot), 3);
    assert_int_equal(carom_vm_word(app.vm, slot, CAROM_SLOT_VERSION), 11);
    assert_true(carom_vm_field(app.vm, slot, 1, &field));
    assert_slice(field.name, "X-Y");
    assert_slice(field.value, "z");
    assert_false(carom_vm_field(app.vm, slot, 3, &field));
    ask("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    assert_slice(carom_vm_protocol(app.vm, app.last.slot), "chat");
    assert_null(carom_vm_content(app.vm, app.last.slot).data);
    ask("POST /hold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(carom_vm_content_length(app.vm, app.last.slot), -1);
    vm_finish();
}

static void a_long_head_outlives_its_page(void **state)
{
    (void)state;
    char request[4096];
    struct carom_peer *peers[2 * CAROM_RING_PAGES];
    vm_begin();
    snprintf(request, sizeof request,
             "POST /hold HTTP/1.1\r\nHost: a\r\nX: %03000d\r\nContent-Length: 2\r\n\r\nhi", 7);
    for (int i = 0; i < 2 * CAROM_RING_PAGES; i++)
        peers[i] = ask(request);
    assert_int_equal(app.held_count, 2 * CAROM_RING_PAGES);
    for (int i = 0; i < app.held_count; i++) {
        carom_field field;
        assert_slice(carom_vm_method(app.vm, app.held[i].slot), "POST");
        assert_slice(carom_vm_content(app.vm, app.held[i].slot), "hi");
        assert_true(carom_vm_field(app.vm, app.held[i].slot, 1, &field));
        assert_int_equal(field.value.length, 3000);
        answer_text(&app.held[i], "late", CAROM_FLAG_RELEASE);
        assert_null(carom_vm_method(app.vm, app.held[i].slot).data);
    }
    turn();
    for (int i = 0; i < app.held_count; i++)
        assert_got(peers[i], "late");
    vm_finish();
}

static void long_heads_are_copied_without_an_allocation_each(void **state)
{
    (void)state;
    char request[4096];
    vm_begin();
    struct carom_peer *peer = connect_peer();
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\nX: %03000d\r\n\r\n", 7);
    uint64_t taken = 0;
    for (int i = 0; i < 24; i++) {
        if (i == 20)
            taken = carom_memory_taken();
        say(peer, request);
        turn();
        carom_field field;
        assert_int_equal(app.requests, i + 1);
        assert_true(app.last.generation == (uint32_t)i + 1);
        assert_false(carom_vm_field(app.vm, app.last.slot, 1, &field)); /* it was released */
    }
    assert_int_equal(carom_memory_taken(), taken);
    vm_finish();
}

static void content_and_trailers_come_in_pieces(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer =
        ask("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    say(peer, "6\r\nsecond\r\n0\r\nA: b\r\nC: d\r\n\r\n");
    turn();
    assert_got(peer, "firstsecond");
    assert_string_equal(app.trailer, "A=b;C=d;");
    vm_finish();
}

/* What forty requests at once have left, some time later. */
static uint64_t memory_behind_a_burst(const char *request)
{
    struct carom_peer *peers[40];
    vm_begin();
    uint64_t memory = 0;
    for (int round = 0; round < 2; round++) {
        app.requests = app.held_count = 0;
        for (int i = 0; i < 40; i++)
            peers[i] = ask(request);
        assert_int_equal(app.requests, 40);
        uint64_t burst = stats_now().memory;
        for (int i = 0; i < 40; i++)
            answer_text(&app.held[i], "at last", CAROM_FLAG_RELEASE);
        turn();
        for (int i = 0; i < 40; i++)
            assert_got(peers[i], "at last");
        for (int i = 0; i < 10; i++)
            pass(2 * SECOND);
        ask(GET("/"));
        memory = stats_now().memory;
        assert_true(memory + CAROM_RING_SLOT_SIZE * CAROM_RING_BLOCK_SLOTS < burst);
    }
    vm_finish();
    return memory;
}

/* As many blocks as are wanted, and those that a burst has left come back, with the heads that were
 * too long for their slots: of one block they stay, 4 KiB each. */
static void slots_come_and_go(void **state)
{
    (void)state;
    char request[4096]; /* as long in both cases */
    snprintf(request, sizeof request,
             "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n%03000d", 7);
    uint64_t without = memory_behind_a_burst(request);
    snprintf(request, sizeof request,
             "POST /hold HTTP/1.1\r\nHost: a\r\nX: %03000d\r\nContent-Length: 0\r\n\r\n", 7);
    uint64_t with = memory_behind_a_burst(request);
    assert_true(with < without + 4096 * (CAROM_RING_BLOCK_SLOTS + 1)); /* they, and less than one */
}

/* At the bound, and when no one answers, a VM does not spin; it hears that others were refused. */
static void more_than_the_bound_is_refused(void **state)
{
    (void)state;
    vm_begin();
    for (int i = 0; i < CAPACITY; i++)
        ask(GET("/hold"));
    int wakes = app.wakes;
    struct carom_peer *peer = ask(GET("/hold"));
    assert_got(peer, "HTTP/1.1 503 ");
    assert_int_equal(app.wakes, wakes + 1);
    vm_finish();
}

static void a_message_waits_for_the_one_before(void **state)
{
    (void)state;
    static char bytes[100000];
    vm_begin();
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 0);
    say(peer, GET("/hold"));
    turn();
    const carom_vm_event *held = &app.held[0];
    assert_int_equal(carom_ring_lend(carom_vm_ring(app.vm), 7, bytes, sizeof bytes), 0);
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 200), 0);
    carom_vm_add_loan(app.vm, held->slot, 7);
    assert_int_equal(carom_vm_add_content(app.vm, held->slot, "x", 1), 0); /* it has content */
    carom_vm_send(app.vm, held->slot, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    turn();
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 0), 0);
    assert_int_equal(carom_vm_add_content(app.vm, held->slot, "more", 4), 4);
    carom_vm_send(app.vm, held->slot, CAROM_FLAG_DATA);
    assert_int_equal(carom_vm_word(app.vm, held->slot, CAROM_SLOT_FLAGS), 0); /* not to be told */
    turn();
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 0), -CAROM_EAGAIN);
    assert_int_equal(app.rooms, 0);
    assert_int_equal(carom_vm_take_return(app.vm), -1);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(app.rooms, 1);
    assert_int_equal(carom_vm_take_return(app.vm), 7);
    assert_int_equal(carom_vm_take_return(app.vm), -1);
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 0), 0);
    assert_int_equal(carom_vm_add_trailer(app.vm, held->slot, SLICE("t"), SLICE("u")), 0);
    assert_int_equal(carom_vm_add_content(app.vm, held->slot, "x", 1), 0); /* trailers are last */
    carom_vm_send(app.vm, held->slot, CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    turn();
    size_t length;
    const char *text = carom_peer_received(peer, &length);
    assert_memory_equal(text + length - 17, "more\r\n0\r\nt: u\r\n\r\n", 17);
    vm_finish();
}

static void a_refused_message_leaves_the_slot_to_the_vm(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer = ask(GET("/hold"));
    const carom_vm_event *held = &app.held[0];
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 200), 0);
    assert_int_equal(carom_vm_add_field(app.vm, held->slot, SLICE("a"), SLICE("b\r\nc: d")), 0);
    carom_vm_send(app.vm, held->slot, ANSWER | CAROM_FLAG_RELEASE);
    turn();
    assert_int_equal(app.errors, 1);
    answer_text(held, "otherwise", CAROM_FLAG_RELEASE);
    turn();
    assert_got(peer, "otherwise");
    assert_null(strstr(got(peer), "c: d"));
    vm_finish();
}

/* The one before was refused, which the VM has not heard: had it let go of the slot in between, it
 * would take it for its own again. */
static void nothing_is_said_before_a_refusal_is_heard(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer = ask(GET("/hold"));
    const carom_vm_event *held = &app.held[0];
    /* Of two threads the VM's would be about to call this now. */
    carom_slot_tell(carom_slot_at(carom_vm_ring(app.vm), held->slot), CAROM_NEWS_ERROR);
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 0), -CAROM_EAGAIN);
    carom_ring_wake(carom_vm_ring(app.vm));
    turn();
    assert_int_equal(app.errors, 1);
    answer_text(held, "otherwise", CAROM_FLAG_RELEASE);
    turn();
    assert_got(peer, "otherwise");
    vm_finish();
}

/* A slot of a block that has gone and come again carries requests of other generations than before.
 */
static void a_generation_is_never_that_of_another_request(void **state)
{
    (void)state;
    carom_vm_event last[2] = {0};
    vm_begin();
    for (int round = 0; round < 2; round++) {
        app.held_count = 0;
        for (int i = 0; i <= CAROM_RING_BLOCK_SLOTS; i++)
            ask(GET("/hold"));
        last[round] = app.held[CAROM_RING_BLOCK_SLOTS];
        assert_true(last[round].slot >= CAROM_RING_BLOCK_SLOTS);
        if (round == 1) /* of the first round */
            assert_int_equal(carom_vm_begin(app.vm, last[0].slot, last[0].generation, 200),
                             -CAROM_ECANCELED);
        for (int i = 0; i <= CAROM_RING_BLOCK_SLOTS; i++)
            answer_text(&app.held[i], "at last", CAROM_FLAG_RELEASE);
        for (int i = 0; i < 10; i++)
            pass(2 * SECOND);
        ask(GET("/"));
    }
    assert_int_equal(last[0].slot, last[1].slot);
    vm_finish();
}

/* What is over, or another's, cannot be answered. */
static void a_slot_is_the_vms_from_request_to_release(void **state)
{
    (void)state;
    vm_begin();
    ask(GET("/"));
    const carom_vm_event first = app.last;
    assert_int_equal(carom_vm_begin(app.vm, first.slot, first.generation, 200), -CAROM_ECANCELED);
    ask(GET("/hold"));
    assert_int_equal(app.last.slot, first.slot);
    assert_int_equal(carom_vm_begin(app.vm, first.slot, first.generation, 200), -CAROM_ECANCELED);
    assert_int_equal(carom_vm_begin(app.vm, CAPACITY, 1, 200), -CAROM_ECANCELED);
    assert_int_equal(carom_vm_begin(app.vm, 40, 0, 200), -CAROM_ECANCELED); /* no block has it */
    assert_null(carom_vm_method(app.vm, CAPACITY).data);
    vm_finish();
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    static char bytes[CAROM_RING_SLOT_SIZE];
    vm_begin();
    struct carom_peer *peer = ask(GET("/hold"));
    const carom_vm_event *held = &app.held[0];
    const size_t room = CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT;
    memset(bytes, 'b', sizeof bytes);
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 200), 0);
    assert_int_equal(
        carom_vm_add_field(app.vm, held->slot, SLICE("a"), (carom_slice){bytes, room - 4}),
        -CAROM_ETOOBIG);
    assert_int_equal(carom_vm_add_field(app.vm, held->slot, SLICE("a"), SLICE("b")), 0);
    assert_int_equal(carom_vm_add_content(app.vm, held->slot, bytes, sizeof bytes), room - 6);
    assert_int_equal(carom_vm_add_content(app.vm, held->slot, bytes, 1), 0);
    assert_int_equal(carom_vm_add_field(app.vm, held->slot, SLICE("a"), SLICE("b")), -CAROM_ESTATE);
    assert_int_equal(carom_vm_add_trailer(app.vm, held->slot, SLICE("a"), SLICE("b")),
                     -CAROM_ETOOBIG);
    carom_vm_send(app.vm, held->slot, ANSWER | CAROM_FLAG_RELEASE);
    turn();
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", room - 6);
    assert_got(peer, length);
    vm_finish();
}

static void who_leaves_and_what_time_it_is(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer = ask(GET("/hold"));
    const carom_vm_event *held = &app.held[0];
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 0), 0);
    carom_vm_set_time(app.vm, held->slot, 100);
    carom_vm_send(app.vm, held->slot, CAROM_FLAG_TIMER);
    turn();
    pass(101);
    assert_int_equal(app.times, 1);
    carom_peer_reset(peer);
    turn();
    assert_int_equal(app.ended, 1);
    assert_int_equal(carom_vm_begin(app.vm, held->slot, held->generation, 0), 0);
    carom_vm_send(app.vm, held->slot, CAROM_FLAG_RELEASE);
    turn();
    assert_int_equal(stats_now().records_in_flight, 0);
    vm_finish();
}

static void options_are_checked(void **state)
{
    (void)state;
    carom_vm *vm;
    const size_t size = sizeof(carom_ring_options);
    const carom_ring_options wrong[] = {
        {.size = size, .capacity = 0, .wake = wake},
        {.size = size, .capacity = 24, .wake = wake},
        {.size = size, .capacity = 1u << 21, .wake = wake},
        {.size = size, .capacity = 64},
        {.size = 0, .capacity = 64, .wake = wake},
        {.size = 4, .capacity = 64, .wake = wake},
        {.size = sizeof(size_t), .capacity = 64, .wake = wake}, /* of an engine without capacity */
        {.size = size - 1, .capacity = 64, .wake = wake},
        {.size = size + sizeof(void *), .capacity = 64, .wake = wake}, /* of a later engine */
        {.size = SIZE_MAX, .capacity = 64, .wake = wake},
    };
    uint64_t held = carom_memory_held();
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(carom_vm_create(&vm, &wrong[i]), -CAROM_EINVAL);
    assert_int_equal(carom_vm_create(NULL, &wrong[0]), -CAROM_EINVAL);
    carom_ring_options *shorter = malloc(sizeof(size_t)); /* nothing is read behind its size */
    assert_non_null(shorter);
    shorter->size = sizeof(size_t);
    assert_int_equal(carom_vm_create(&vm, shorter), -CAROM_EINVAL);
    free(shorter);
    assert_int_equal(carom_memory_held(), held);
    carom_vm_destroy(NULL);
}

/* What attaching says with these options. */
static int attach_with(const carom_options *options, uint32_t worker)
{
    carom_ring_options ring_options = CAROM_RING_OPTIONS_INIT;
    carom_vm *vm = NULL;
    ring_options.capacity = CAPACITY;
    ring_options.wake = wake;
    assert_int_equal(carom_vm_create(&vm, &ring_options), 0);
    assert_int_equal(carom_ring_attach(carom_vm_ring(vm), NULL, 0), -CAROM_EINVAL);
    create(options);
    int error = carom_ring_attach(carom_vm_ring(vm), sim.service, worker);
    assert_int_equal(carom_service_destroy(sim.service), 0);
    carom_vm_destroy(vm);
    return error;
}

/* A head lies in a page of the ring, with 256 bytes beside it and 8 for each field. */
static void where_heads_do_not_fit_no_ring_is_attached(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = carom_ring_handle;
    options.max_target = 8192;
    options.max_fields = 100;
    options.max_header_section = CAROM_RING_PAGE_SIZE - 8192 - 256 - 100 * 8;
    assert_int_equal(attach_with(&options, 0), 0);
    assert_int_equal(attach_with(&options, 1), -CAROM_EINVAL);
    options.max_fields++;
    assert_int_equal(attach_with(&options, 0), -CAROM_EINVAL);
    options.max_fields--;
    options.max_header_section++;
    assert_int_equal(attach_with(&options, 0), -CAROM_EINVAL);
    options.max_header_section--;
    options.record_state = 4;
    assert_int_equal(attach_with(&options, 0), -CAROM_EINVAL);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_request_is_read_by_its_parts),
        cmocka_unit_test(a_long_head_outlives_its_page),
        cmocka_unit_test(long_heads_are_copied_without_an_allocation_each),
        cmocka_unit_test(content_and_trailers_come_in_pieces),
        cmocka_unit_test(slots_come_and_go),
        cmocka_unit_test(more_than_the_bound_is_refused),
        cmocka_unit_test(a_message_waits_for_the_one_before),
        cmocka_unit_test(a_refused_message_leaves_the_slot_to_the_vm),
        cmocka_unit_test(nothing_is_said_before_a_refusal_is_heard),
        cmocka_unit_test(a_generation_is_never_that_of_another_request),
        cmocka_unit_test(a_slot_is_the_vms_from_request_to_release),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(who_leaves_and_what_time_it_is),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(where_heads_do_not_fit_no_ring_is_attached),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
