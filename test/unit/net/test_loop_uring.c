/* Tests of what only the io_uring backend has: bytes that came before a pause, buffers that run
 * out, operations that outlive what they were for, and a kernel that refuses. */
#include "base/clock.h"
#include "net/uring_sockets.h"

#include <dlfcn.h>
#include <stdarg.h>

#include "unit/net/sockets.h"

/* ---------------------------------------------------------------- system calls that fail */

static struct {
    long number; /* of the call that fails */
    int error;
    int after, times; /* calls before it fails, and how often it does */
} plan;

/* Instead of the C library's. */
long syscall(long number, ...)
{
    static long (*real)(long, long, long, long, long, long, long);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == plan.number && plan.times > 0 && plan.after-- <= 0) {
        plan.times--;
        errno = plan.error;
        return -1;
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void fail_call(long number, int error, int after, int times)
{
    plan.number = number;
    plan.error = error;
    plan.after = after;
    plan.times = times;
}

static void creating_is_refused(void **state)
{
    (void)state;
    static const struct {
        long number;
        int error, result;
    } refusals[] = {{SYS_io_uring_setup, ENOSYS, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_setup, EPERM, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_setup, EINVAL, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_setup, ENOMEM, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_setup, EMFILE, -CAROM_EMFILE},
                    {SYS_io_uring_setup, ENFILE, -CAROM_EMFILE},
                    {SYS_io_uring_enter, EPERM, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_enter, ENOSYS, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_register, EINVAL, -CAROM_EUNSUPPORTED},
                    {SYS_io_uring_register, ENOMEM, -CAROM_EUNSUPPORTED}};
    struct carom_loop *other = NULL;
    uint64_t held = carom_memory_held();
    int next = dup(0);
    close(next);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        fail_call(refusals[i].number, refusals[i].error, 0, 1);
        assert_int_equal(carom_loop_uring_create(&other, &arena), refusals[i].result);
        assert_int_equal(errno, refusals[i].error);
        assert_null(other);
        assert_int_equal(carom_memory_held(), held);
        int again = dup(0);
        assert_int_equal(again, next);
        close(again);
    }
}

static void no_memory_to_create(void **state)
{
    (void)state;
    struct carom_loop *other = NULL;
    uint64_t held = carom_memory_held();
    for (uint64_t after = 0; after < 100; after++) {
        carom_memory_fail_after(after);
        int error = carom_loop_uring_create(&other, &arena);
        carom_memory_fail_after(UINT64_MAX);
        assert_int_equal(error, -CAROM_ENOMEM);
        carom_pool_tick(&pages.pool);
        carom_pool_tick(&pages.pool);
        assert_true(carom_memory_held() <= held + 4 * sizeof(struct carom_page) + 4 * pages.size);
    }
}

/* What the kernel does not take now it takes later; nothing is lost. */
static void entering_fails_for_a_while(void **state)
{
    (void)state;
    static const int errors[] = {EINTR, EAGAIN, EBUSY, ENOMEM};
    for (size_t i = 0; i < COUNT(errors); i++) {
        int peer = open_tcp(&one);
        put(peer, "hello");
        fail_call(SYS_io_uring_enter, errors[i], 0, 3);
        for (int turns = 0; turns < 3; turns++) {
            wait_and_deliver();
            assert_int_equal(one.pieces, 0);
        }
        turn_until(one.pieces == 1);
        fail_call(SYS_io_uring_enter, errors[i], 0, 2);
        owner_close(&one);
        close(peer);
    }
}

static void enabling_fails_for_a_while(void **state)
{
    (void)state;
    assert_int_equal(end_all(), 0);
    assert_int_equal(begin_with(carom_loop_uring_create), 0); /* nobody has waited in it yet */
    int peer = open_tcp(&one);
    put(peer, "hello");
    fail_call(SYS_io_uring_register, ENOMEM, 0, 3);
    for (int turns = 0; turns < 3; turns++) {
        wait_and_deliver();
        assert_int_equal(one.pieces, 0);
    }
    turn_until(one.pieces == 1);
    owner_close(&one);
    close(peer);
}

/* Whoever waits in a loop must not take a processor for it. */
static void a_refusal_that_lasts_takes_time(void **state)
{
    (void)state;
    fail_call(SYS_io_uring_enter, EPERM, 0, 20);
    uint64_t begun = carom_clock_milliseconds(CLOCK_MONOTONIC);
    for (int turns = 0; turns < 20; turns++)
        wait_and_deliver();
    assert_int_equal(plan.times, 0);
    assert_true(carom_clock_milliseconds(CLOCK_MONOTONIC) - begun >= 19);
}

static void a_full_queue_of_submissions_is_given_to_the_kernel(void **state)
{
    (void)state;
    struct carom_uring *ring = &carom_uring_of(loop)->ring;
    fail_call(SYS_io_uring_enter, EAGAIN, 0, 3);
    for (uint32_t i = 0; i < 5 * ring->sq_entries; i++) /* more than there is room to complete */
        carom_uring_operation(loop, IORING_OP_NOP, -1, 0);
    int peer = open_tcp(&one);
    put(peer, "last");
    turn_until(one.pieces == 1);
    assert_int_equal(plan.times, 0);
    owner_close(&one);
    close(peer);
}

static void withdrawn_submissions_do_nothing(void **state)
{
    (void)state;
    struct carom_uring *ring = &carom_uring_of(loop)->ring;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct io_uring_sqe *sqe = carom_uring_operation(loop, IORING_OP_WRITE, fds[1], 808);
    sqe->addr = (uintptr_t) "x";
    sqe->len = 1;
    assert_false(carom_uring_withdraw(ring, 800));
    assert_true(carom_uring_withdraw(ring, 808));
    assert_false(carom_uring_withdraw(ring, 808));
    turn();
    assert_false(carom_uring_withdraw(ring, 0));
    struct pollfd poll_for = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&poll_for, 1, 0), 0);
    close(fds[0]);
    close(fds[1]);
}

/* ---------------------------------------------------------------- bytes before a pause */

#define LONG (200 * 1000)

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at % 251);
}

static size_t checked;

static void check_and_pause(struct owner *owner, struct carom_page *page, const uint8_t *data,
                            uint32_t length)
{
    (void)page;
    for (uint32_t i = 0; i < length; i++)
        assert_int_equal(data[i], byte_at(checked++));
    if (owner->socket.landing != NULL)
        owner->socket.landing->used = 0; /* so that a piece is handed over in parts */
    loop->ops->receive(loop, &owner->socket, false);
}

static void put_long(int peer)
{
    static uint8_t bytes[LONG];
    for (size_t i = 0; i < LONG; i++)
        bytes[i] = byte_at(i);
    assert_int_equal(write(peer, bytes, LONG), LONG);
}

/* Each piece pauses, so most of them have come before they were wanted. */
static void bytes_that_came_before_a_pause_are_kept_in_order(void **state)
{
    (void)state;
    for (int small = 0; small < 2; small++) {
        struct carom_pages landings;
        carom_pages_init(&landings, 1000, 0);
        struct carom_page *landing = small ? carom_page_take(&landings) : NULL;
        int peer = open_unix(&one);
        checked = 0;
        one.on_received = check_and_pause;
        one.socket.landing = landing;
        put_long(peer);
        put(peer, "");
        close(peer);
        for (int turns = 0; checked < LONG && turns < 1000; turns++) {
            loop->ops->receive(loop, &one.socket, true);
            wait_and_deliver();
        }
        assert_int_equal(checked, LONG);
        assert_int_equal(one.fins, 0);
        loop->ops->receive(loop, &one.socket, true);
        turn_until(one.errors == 1);
        assert_int_equal(one.fins, 1);
        assert_int_equal(carom_uring_of(loop)->kept.in_use, 0);
        owner_close(&one);
        if (landing != NULL)
            carom_page_drop(landing);
        carom_pages_finish(&landings);
    }
}

static void kept_bytes_are_dropped_with_their_socket(void **state)
{
    (void)state;
    for (int with_reset = 0; with_reset < 2; with_reset++) {
        int peer = open_tcp(&one);
        checked = 0;
        one.on_received = check_and_pause;
        put_long(peer);
        turn_until(carom_uring_of(loop)->kept.in_use > 0);
        if (with_reset) {
            reset(peer);
            turn_until(one.errors == 1);
            assert_int_equal(carom_uring_of(loop)->kept.in_use, 0);
        }
        owner_close(&one);
        assert_int_equal(carom_uring_of(loop)->kept.in_use, 0);
        if (!with_reset)
            close(peer);
    }
}

static void no_memory_to_keep_bytes(void **state)
{
    (void)state;
    struct carom_pool *kept = &carom_uring_of(loop)->kept;
    kept->floor = 0;
    carom_pool_tick(kept);
    carom_pool_tick(kept);
    int peer = open_unix(&one);
    checked = 0;
    one.on_received = check_and_pause;
    put_long(peer);
    carom_memory_fail_after(1); /* a page for the first piece, should it be small */
    turn_until(one.errors == 1);
    assert_int_equal(one.last_error, -CAROM_ENOMEM);
    owner_close(&one);
    close(peer);
}

/* ---------------------------------------------------------------- buffers */

#define MANY 200 /* more than there are buffers */

static void hold_page(struct owner *owner, struct carom_page *page, const uint8_t *data,
                      uint32_t length)
{
    (void)data;
    (void)length;
    assert_null(owner->data);
    owner->data = carom_page_hold(page);
}

/* All receive at once, and keep what they get, page by page. */
static void buffers_that_run_out_are_filled_again(void **state)
{
    (void)state;
    static struct owner owners[MANY];
    static const char bytes[8000];
    int peers[MANY], received = 0;
    for (int i = 0; i < MANY; i++) {
        peers[i] = open_unix(&owners[i]);
        owners[i].on_received = hold_page;
    }
    turn();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(write(peers[i], bytes, sizeof bytes), sizeof bytes);
    for (int turns = 0; received < MANY && turns < 100; turns++) {
        wait_and_deliver();
        received = 0;
        for (int i = 0; i < MANY; i++)
            received += owners[i].pieces;
    }
    assert_int_equal(received, MANY);
    for (int i = 0; i < MANY; i++) {
        carom_page_drop(owners[i].data);
        owner_close(&owners[i]);
        close(peers[i]);
    }
}

/* Without memory for new ones the buffers get fewer, and then none is left. */
static void buffers_without_memory(void **state)
{
    (void)state;
    static struct owner owners[MANY];
    static const char bytes[8000];
    int peers[MANY], held = 0, errors = 0;
    carom_pool_tick(&pages.pool);
    for (int i = 0; i < MANY; i++) {
        peers[i] = open_unix(&owners[i]);
        owners[i].on_received = hold_page;
        assert_int_equal(write(peers[i], bytes, sizeof bytes), sizeof bytes);
    }
    carom_memory_fail_after(0);
    for (int turns = 0; held + errors < MANY && turns < 100; turns++) {
        wait_and_deliver();
        held = errors = 0;
        for (int i = 0; i < MANY; i++) {
            held += owners[i].data != NULL;
            errors += owners[i].errors;
        }
    }
    assert_int_equal(held + errors, MANY);
    assert_true(held >= CAROM_URING_BUFFERS);
    carom_memory_fail_after(UINT64_MAX);
    for (int i = 0; i < MANY; i++) {
        if (owners[i].data != NULL)
            carom_page_drop(owners[i].data);
        owner_close(&owners[i]);
        close(peers[i]);
    }
    assert_int_equal(carom_uring_of(loop)->missing, 0);
    int peer = open_unix(&one);
    put(peer, "as before");
    turn_until(one.pieces == 1);
    owner_close(&one);
    close(peer);
}

/* ---------------------------------------------------------------- sends */

/* The memory of a dropped send is used again at once; nobody may see what is there then. */
static void a_dropped_send_is_not_read_any_more(void **state)
{
    (void)state;
    static char bytes[1 << 20], got[1 << 16];
    for (int submitted = 0; submitted < 2; submitted++) {
        struct carom_queue queue;
        int peer = open_unix(&one);
        int64_t total = fill(&one, &queue);
        if (submitted)
            turn();
        loop->ops->close(loop, &one.socket, false);
        /* The queue's first segment is of zeros: now it says something else. */
        queue.first->data = (const uint8_t *)memset(bytes, 'x', sizeof bytes);
        assert_int_equal(queue.first->length, sizeof bytes);
        ssize_t length;
        owner_close(&one);
        while ((length = read(peer, got, sizeof got)) > 0) {
            assert_null(memchr(got, 'x', (size_t)length));
            total -= length;
        }
        assert_int_equal(total, 0);
        carom_queue_clear(&queue, &segments);
        close(peer);
    }
}

/* An operation that was not submitted must not find another socket behind the number. */
static void the_descriptor_of_a_closed_socket_is_used_again(void **state)
{
    (void)state;
    int peer = open_unix(&one), fd = one.socket.fd;
    put(peer, "not wanted");
    loop->ops->close(loop, &one.socket, false);
    int other = open_unix(&two);
    assert_int_equal(two.socket.fd, fd);
    put(other, "mine");
    turn_until(two.pieces == 1);
    assert_got(&two, "mine");
    owner_close(&one);
    owner_close(&two);
    close(peer);
    close(other);
}

static void many_pending_sends_of_many_segments(void **state)
{
    (void)state;
    static struct owner owners[100];
    static struct carom_queue queues[100];
    int peers[100];
    int64_t totals[100];
    for (int i = 0; i < 100; i++) {
        peers[i] = open_unix(&owners[i]);
        totals[i] = fill(&owners[i], &queues[i]);
        /* It is pending; what is sent when it goes on has two segments at least. */
        carom_queue_append_borrowed(&queues[i], &segments, "end", 3, NULL, NULL);
    }
    turn();
    for (int i = 0; i < 100; i++)
        drain(peers[i], totals[i]);
    for (int i = 0; i < 100; i++) {
        turn_until(owners[i].sents == 1);
        assert_true(owners[i].sent > 0);
        drain(peers[i], owners[i].sent);
        carom_queue_clear(&queues[i], &segments);
        owner_close(&owners[i]);
        close(peers[i]);
    }
}

/* ---------------------------------------------------------------- completions with errors */

/* Wait until an operation of the socket has completed, and give it another result. */
static void complete_with(struct owner *owner, enum carom_uring_tag tag, int result)
{
    struct carom_uring *ring = &carom_uring_of(loop)->ring;
    uint64_t user_data = carom_uring_tagged(&owner->socket, tag);
    for (int turns = 0; turns < 1000; turns++) {
        loop->ops->wait(loop, loop->ops->now(loop) + 10000);
        for (uint32_t i = 0; i < carom_uring_of(loop)->found; i++) {
            struct io_uring_cqe *cqe = (struct io_uring_cqe *)(uintptr_t)carom_uring_cqe(ring, i);
            if (cqe->user_data == user_data) {
                cqe->res = result;
                loop->ops->deliver(loop);
                return;
            }
        }
        loop->ops->deliver(loop);
    }
    fail_msg("no completion");
}

static void a_receive_that_fails_breaks_the_connection(void **state)
{
    (void)state;
    static const int errors[] = {ECONNRESET, ETIMEDOUT, ENOMEM, EFAULT, EINVAL, EIO};
    for (size_t i = 0; i < COUNT(errors); i++) {
        int peer = open_tcp(&one);
        put(peer, "x");
        complete_with(&one, CAROM_URING_RECEIVE, -errors[i]);
        assert_int_equal(one.errors, 1);
        assert_int_equal(one.pieces, 0);
        turn();
        assert_int_equal(one.errors, 1);
        owner_close(&one);
        close(peer);
    }
}

static void a_receive_that_is_interrupted_goes_on(void **state)
{
    (void)state;
    static const int errors[] = {EINTR, EAGAIN, ENOBUFS, ECANCELED};
    int peer = open_tcp(&one), other = open_tcp(&two);
    for (int i = 0; i < (int)COUNT(errors); i++) {
        put(peer, "lost by this test");
        complete_with(&one, CAROM_URING_RECEIVE, -errors[i]);
        assert_int_equal(one.errors, 0);
        put(peer, "x");
        turn_until(one.pieces == i + 1);
    }
    put(other, "y");
    turn_until(two.pieces == 1);
    owner_close(&one);
    owner_close(&two);
    close(peer);
    close(other);
}

static void a_pending_send_that_fails_says_so(void **state)
{
    (void)state;
    static const int errors[] = {EPIPE, ECONNRESET, ETIMEDOUT, ENOBUFS, ENOMEM, ECANCELED};
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct carom_queue queue;
        int peer = open_unix(&one);
        drain(peer, fill(&one, &queue));
        complete_with(&one, CAROM_URING_SEND, -errors[i]);
        assert_int_equal(one.sents, 1);
        assert_true(one.sent < 0);
        assert_int_equal(one.errors, 1);
        carom_queue_clear(&queue, &segments);
        owner_close(&one);
        close(peer);
    }
}

static void a_pending_send_that_is_interrupted_goes_on(void **state)
{
    static char bytes[1 << 16];
    (void)state;
    struct carom_queue queue;
    int peer = open_unix(&one);
    drain(peer, fill(&one, &queue));
    for (int i = 0; i < 2; i++) {
        complete_with(&one, CAROM_URING_SEND, i == 0 ? -EINTR : -EAGAIN);
        assert_int_equal(one.sents, 0);
        assert_ptr_equal(one.socket.sending, &queue);
        while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0) { /* it was sent in truth */
        }
    }
    turn_until(one.sents == 1);
    assert_true(one.sent > 0);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

int main(void)
{
    setenv("CAROM_BACKEND", "uring", 1);
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(creating_is_refused),
        TEST(no_memory_to_create),
        TEST(entering_fails_for_a_while),
        TEST(enabling_fails_for_a_while),
        TEST(a_refusal_that_lasts_takes_time),
        TEST(a_full_queue_of_submissions_is_given_to_the_kernel),
        TEST(withdrawn_submissions_do_nothing),
        TEST(bytes_that_came_before_a_pause_are_kept_in_order),
        TEST(kept_bytes_are_dropped_with_their_socket),
        TEST(no_memory_to_keep_bytes),
        TEST(buffers_that_run_out_are_filled_again),
        TEST(buffers_without_memory),
        TEST(a_dropped_send_is_not_read_any_more),
        TEST(the_descriptor_of_a_closed_socket_is_used_again),
        TEST(many_pending_sends_of_many_segments),
        TEST(a_receive_that_fails_breaks_the_connection),
        TEST(a_receive_that_is_interrupted_goes_on),
        TEST(a_pending_send_that_fails_says_so),
        TEST(a_pending_send_that_is_interrupted_goes_on),
    };
    return cmocka_run_group_tests_name("net/loop_uring", tests, NULL, NULL);
}
