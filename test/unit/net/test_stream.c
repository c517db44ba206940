/* Tests of streams: what gathers in `out` leaves by as few calls as can be, in order, with FIN
 * behind it, and failures are told once. Over the simulated network; the number of calls over
 * a real one. */
#include "net/loop_simulated.h"
#include "net/stream.h"
#include "unit/net/support.h"

#include <sys/mman.h>

#include "unit/net/calls.h"

static struct client {
    struct carom_stream stream;
    size_t received;
    int fins, errors, sents, closed, given_back;
    void (*on_sent)(void);
    void (*on_give_back)(void);
} client;
static struct carom_stream *const stream = &client.stream;
static struct carom_peer *peer;

static void received(struct carom_stream *from, struct carom_page *page, const uint8_t *data,
                     uint32_t length)
{
    assert_ptr_equal(from, stream);
    assert_true(data >= page->data);
    client.received += length;
}

static void peer_done(struct carom_stream *from, int error)
{
    assert_ptr_equal(from, stream);
    if (error < 0)
        client.errors++;
    else
        client.fins++;
}

static void sent(struct carom_stream *from)
{
    assert_ptr_equal(from, stream);
    assert_false(stream->socket.closing);
    client.sents++;
    if (client.on_sent != NULL)
        client.on_sent();
}

static void closed(struct carom_stream *from)
{
    assert_ptr_equal(from, stream);
    client.closed++;
}

static const struct carom_stream_events events = {received, peer_done, NULL, sent, closed, NULL};

static struct carom_streams streams;

static int open_stream(int fd)
{
    carom_streams_init(&streams, &segments, &pages, NULL, &events);
    carom_streams_attach(&streams, loop);
    return carom_stream_open(stream, &streams, fd);
}

static void accepted(struct carom_acceptor *acceptor, int fd, const struct sockaddr *name,
                     socklen_t length)
{
    (void)name;
    (void)length;
    assert_int_equal(open_stream(fd), 0);
    loop->ops->accept_stop(loop, acceptor);
}

static int begin(void **state)
{
    (void)state;
    static struct carom_acceptor door = {.accepted = accepted, .fd = -1};
    memset(&client, 0, sizeof client);
    if (begin_with(carom_loop_simulated_create) < 0)
        return -1;
    loop->ops->accept_start(loop, &door, false);
    peer = carom_simulated_connect(loop);
    turn();
    return stream->streams == &streams ? 0 : -1;
}

/* Over real sockets, by the backend that CAROM_BACKEND names. */
static int begin_real(void **state)
{
    (void)state;
    memset(&client, 0, sizeof client);
    int error = begin_with(backend_is_uring() ? carom_loop_uring_create : carom_loop_epoll_create);
    memset(&calls, 0, sizeof calls);
    return error;
}

static int end(void **state)
{
    (void)state;
    carom_stream_close(stream, false);
    loop->ops->reclaim(loop);
    for (int turns = 0; turns < 10 && client.closed == 0; turns++)
        turn(); /* what was on its way is cancelled first */
    assert_int_equal(client.closed, 1);
    return end_all();
}

static void give_back(void *owner)
{
    (void)owner;
    client.given_back++;
    if (client.on_give_back != NULL)
        client.on_give_back();
}

static void append(const char *text)
{
    assert_int_equal(
        carom_queue_append_borrowed(&stream->out, &segments, text, strlen(text), give_back, NULL),
        0);
}

static void assert_peer_got(const char *text)
{
    size_t length;
    const char *bytes = carom_peer_received(peer, &length);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, length);
}

/* ---------------------------------------------------------------- sending */

static void what_has_gathered_leaves_by_a_flush(void **state)
{
    (void)state;
    append("one ");
    append("two");
    turn();
    assert_peer_got("");
    carom_stream_flush(stream);
    assert_peer_got("one two");
    assert_int_equal(stream->sent_total, 7);
    assert_int_equal(stream->out.length, 0);
    assert_int_equal(client.given_back, 2);
    assert_false(carom_stream_stalled(stream));
    carom_stream_flush(stream); /* nothing to do */
    turn();
    assert_int_equal(client.sents, 0);
}

static void what_does_not_fit_waits(void **state)
{
    (void)state;
    carom_peer_set_window(peer, 5);
    append("one ");
    append("two ");
    carom_stream_flush(stream);
    assert_true(carom_stream_stalled(stream));
    assert_int_equal(stream->sent_total, 5);
    assert_int_equal(client.given_back, 1);
    append("three");
    carom_stream_flush(stream); /* does not send beside a pending send */
    carom_peer_set_window(peer, 4);
    turn();
    assert_int_equal(client.sents, 1);
    assert_int_equal(stream->sent_total, 9);
    assert_true(carom_stream_stalled(stream));
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_peer_got("one two three");
    assert_int_equal(client.sents, 2);
    assert_false(carom_stream_stalled(stream));
    assert_int_equal(client.given_back, 3);
}

/* A queue of the caller's: what leaves at once, and nothing behind others. */
static void what_leaves_now_is_not_queued(void **state)
{
    (void)state;
    static const char text[] = "one two";
    struct carom_segment segment = {.data = (const uint8_t *)text, .length = 7};
    const struct carom_queue queue = {.first = &segment, .last = &segment, .length = 7};
    carom_peer_set_window(peer, 5);
    assert_int_equal(carom_stream_send_now(stream, &queue), 5);
    assert_int_equal(carom_stream_send_now(stream, &queue), 0);
    assert_false(carom_stream_stalled(stream));
    assert_int_equal(stream->sent_total, 5);
    append("wo");
    carom_peer_set_window(peer, SIZE_MAX);
    assert_int_equal(carom_stream_send_now(stream, &queue), 0);
    carom_stream_flush(stream);
    assert_peer_got("one two");
    carom_stream_shutdown(stream);
    assert_int_equal(carom_stream_send_now(stream, &queue), 0);
}

static void append_and_flush(void)
{
    if (stream->out.length > 0 || stream->sent_total > 20)
        return;
    append("more");
    carom_stream_flush(stream);
}

static void sent_may_flush_again(void **state)
{
    (void)state;
    client.on_sent = append_and_flush;
    carom_peer_set_window(peer, 0);
    append("more");
    carom_stream_flush(stream);
    for (int i = 0; i < 30; i++) {
        carom_peer_set_window(peer, 1);
        turn();
    }
    assert_peer_got("moremoremoremoremoremore");
    assert_int_equal(stream->sent_total, 24);
    assert_int_equal(stream->out.length, 0);
}

static void more_segments_than_one_call_takes(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++)
        append("x");
    carom_stream_flush(stream);
    assert_int_equal(stream->sent_total, 150);
    assert_int_equal(client.given_back, 150);
}

/* ---------------------------------------------------------------- finishing */

static void fin_follows_what_is_in_out(void **state)
{
    (void)state;
    carom_peer_set_window(peer, 1);
    append("end");
    carom_stream_shutdown(stream);
    assert_false(carom_peer_saw_fin(peer));
    carom_stream_flush(stream);
    assert_false(carom_peer_saw_fin(peer));
    carom_peer_set_window(peer, 2);
    turn();
    assert_true(carom_peer_saw_fin(peer));
    assert_true(stream->fin_sent);
    assert_peer_got("end");
    carom_stream_shutdown(stream);
    append("too late");
    carom_stream_flush(stream);
    assert_peer_got("end");
    carom_peer_send(peer, "heard", 5);
    turn();
    assert_int_equal(client.received, 5);
}

static void fin_of_an_empty_stream_goes_at_once(void **state)
{
    (void)state;
    carom_stream_shutdown(stream);
    assert_true(carom_peer_saw_fin(peer));
}

static void the_peer_may_finish_first(void **state)
{
    (void)state;
    carom_peer_shutdown(peer);
    turn();
    assert_int_equal(client.fins, 1);
    assert_false(stream->broken);
    append("answer");
    carom_stream_shutdown(stream);
    carom_stream_flush(stream);
    assert_peer_got("answer");
    assert_true(carom_peer_saw_fin(peer));
}

/* ---------------------------------------------------------------- breaking and closing */

static void a_failed_flush_is_told_later_and_once(void **state)
{
    (void)state;
    append("lost");
    carom_peer_reset(peer);
    carom_stream_receive(stream, false);
    carom_stream_flush(stream);
    assert_true(stream->broken);
    assert_int_equal(client.errors, 0);
    carom_stream_flush(stream);
    carom_stream_shutdown(stream);
    assert_false(stream->fin_sent);
    turn();
    turn();
    assert_int_equal(client.errors, 1);
    assert_int_equal(stream->sent_total, 0);
}

static void a_reset_breaks_the_stream(void **state)
{
    (void)state;
    carom_peer_set_window(peer, 1);
    append("lost");
    carom_stream_flush(stream);
    carom_peer_reset(peer);
    turn();
    assert_int_equal(client.errors, 1);
    assert_int_equal(client.sents, 0);
    assert_true(stream->broken);
    assert_false(carom_stream_stalled(stream));
    carom_stream_flush(stream);
    assert_int_equal(client.given_back, 0); /* `out` is dropped by the close */
    carom_stream_close(stream, true);
    assert_int_equal(client.given_back, 1);
}

static uint32_t smallest(void *source, uint32_t below)
{
    (void)source;
    (void)below;
    return 0;
}

/* Of a send that waited and then fails the owner hears by `peer_done` alone. */
static void a_pending_send_that_fails_breaks_the_stream(void **state)
{
    (void)state;
    carom_peer_set_window(peer, 0);
    append("lost");
    carom_stream_flush(stream);
    assert_true(carom_stream_stalled(stream));
    carom_simulated_set_whims(loop,
                              &(struct carom_simulated_whims){.random = smallest, .no_buffers = 1});
    carom_peer_set_window(peer, 100);
    turn();
    assert_int_equal(client.sents, 0);
    assert_int_equal(client.errors, 1);
    assert_true(stream->broken);
    assert_false(stream->file_failed);
}

/* It is not the peer's fault, and the owner can tell. */
static void a_file_that_fails_later_is_the_files_fault(void **state)
{
    (void)state;
    int file = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(file, 100), 0);
    carom_peer_set_window(peer, 0);
    assert_int_equal(carom_queue_append_file(&stream->out, &segments, file, 0, 100, NULL, NULL), 0);
    carom_stream_flush(stream);
    assert_true(carom_stream_stalled(stream));
    assert_int_equal(ftruncate(file, 0), 0);
    carom_peer_set_window(peer, 100);
    turn();
    assert_int_equal(client.sents, 0);
    assert_int_equal(client.errors, 1);
    assert_true(stream->file_failed);
    close(file);
}

static void a_pause_holds_bytes_back(void **state)
{
    (void)state;
    carom_stream_receive(stream, false);
    carom_peer_send(peer, "x", 1);
    turn();
    assert_int_equal(client.received, 0);
    carom_stream_receive(stream, true);
    turn();
    assert_int_equal(client.received, 1);
    assert_int_equal(loop->bytes_received, client.received);
}

static void closing_drops_what_is_in_out(void **state)
{
    (void)state;
    carom_peer_set_window(peer, 1);
    append("dropped");
    carom_stream_flush(stream);
    carom_stream_close(stream, false);
    assert_int_equal(client.given_back, 1);
    assert_int_equal(stream->out.length, 0);
    carom_stream_receive(stream, true);
    carom_stream_flush(stream);
    carom_stream_shutdown(stream);
    carom_peer_set_window(peer, 100);
    turn();
    assert_peer_got("d");
    assert_int_equal(client.sents + client.closed, 0);
    assert_true(carom_peer_saw_close(peer));
}

static void close_it(void)
{
    carom_stream_close(stream, false);
}

static void giving_bytes_back_may_close_the_stream(void **state)
{
    (void)state;
    client.on_give_back = close_it;
    append("first");
    append("second");
    carom_peer_set_window(peer, 5);
    carom_stream_flush(stream);
    assert_true(stream->socket.closing);
    assert_int_equal(client.given_back, 2);
    assert_peer_got("first");
}

static void giving_bytes_back_may_close_the_stream_when_sent(void **state)
{
    (void)state;
    carom_peer_set_window(peer, 0);
    append("first");
    carom_stream_flush(stream);
    client.on_give_back = close_it;
    carom_peer_set_window(peer, 5);
    turn();
    assert_true(stream->socket.closing);
    assert_int_equal(client.sents, 0);
}

/* ---------------------------------------------------------------- calls */

static void a_flush_is_one_call(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(open_stream(fds[0]), 0);
    loop->ops->reclaim(loop);
    append("one");
    carom_stream_flush(stream);
    assert_int_equal(calls.send, 1);
    assert_int_equal(calls.sendmsg, 0);
    append("two ");
    append("three");
    carom_stream_flush(stream);
    assert_int_equal(calls.send, 1);
    assert_int_equal(calls.sendmsg, 1);
    carom_stream_flush(stream);
    assert_int_equal(calls.send + calls.sendmsg, 2);
    assert_int_equal(calls.control, backend_is_uring() ? 0 : 1); /* that of opening */
    close(fds[1]);
}

static void an_interrupted_send_is_made_again(void **state)
{
    (void)state;
    int fds[2];
    char bytes[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(open_stream(fds[0]), 0);
    for (int segments_sent = 1; segments_sent <= 2; segments_sent++) { /* send, and sendmsg */
        for (int i = 0; i < segments_sent; i++)
            append("a");
        calls.send_error = EINTR;
        carom_stream_flush(stream);
        assert_int_equal(calls.send_error, 0);
        assert_false(stream->broken || carom_stream_stalled(stream));
        assert_int_equal(recv(fds[1], bytes, sizeof bytes, 0), segments_sent);
    }
    assert_int_equal(loop->bytes_sent, 3);
    assert_int_equal(stream->sent_total, 3);
    close(fds[1]);
}

static void a_failure_of_the_kernel_is_told_once(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(open_stream(fds[0]), 0);
    close(fds[1]);
    append("lost");
    carom_stream_flush(stream); /* EPIPE, and no signal */
    assert_true(stream->broken);
    carom_stream_flush(stream);
    assert_int_equal(calls.send, 1);
    assert_int_equal(client.errors, 0);
    for (int i = 0; i < 3; i++)
        turn();
    assert_int_equal(client.errors, 1);
}

static void a_bad_descriptor_is_told(void **state)
{
    (void)state;
    assert_int_equal(open_stream(9999), 0);
    loop->ops->reclaim(loop);
    for (int i = 0; i < 3; i++)
        turn();
    assert_int_equal(client.errors, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define REAL(name) cmocka_unit_test_setup_teardown(name, begin_real, end)
    skip_where_refused();
    const struct CMUnitTest tests[] = {
        TEST(what_has_gathered_leaves_by_a_flush),
        TEST(what_does_not_fit_waits),
        TEST(what_leaves_now_is_not_queued),
        TEST(sent_may_flush_again),
        TEST(more_segments_than_one_call_takes),
        TEST(fin_follows_what_is_in_out),
        TEST(fin_of_an_empty_stream_goes_at_once),
        TEST(the_peer_may_finish_first),
        TEST(a_failed_flush_is_told_later_and_once),
        TEST(a_reset_breaks_the_stream),
        TEST(a_pending_send_that_fails_breaks_the_stream),
        TEST(a_file_that_fails_later_is_the_files_fault),
        TEST(a_pause_holds_bytes_back),
        TEST(closing_drops_what_is_in_out),
        TEST(giving_bytes_back_may_close_the_stream),
        TEST(giving_bytes_back_may_close_the_stream_when_sent),
        REAL(a_flush_is_one_call),
        REAL(an_interrupted_send_is_made_again),
        REAL(a_failure_of_the_kernel_is_told_once),
        REAL(a_bad_descriptor_is_told),
    };
    return cmocka_run_group_tests_name("net/stream", tests, NULL, NULL);
}
