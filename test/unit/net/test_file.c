/* Tests of sending what lies in a file, over real sockets of both backends: what the kernel moves,
 * what is read where it does not, pieces and turns, and whose fault a failure is. */
#include "unit/net/sockets.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#define PIECE (1024 * 1024) /* of file.c */

static struct {
    int calls, reads;
    int error; /* errno of the next ones; 0: they are made */
    int times; /* how many of them fail */
} sendfiles;

ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
    sendfiles.calls++;
    if (sendfiles.times > 0) {
        sendfiles.times--;
        errno = sendfiles.error;
        return -1;
    }
    return syscall(SYS_SENDFILE, to, from, offset, length);
}

ssize_t pread(int fd, void *to, size_t length, off_t offset)
{
    sendfiles.reads++;
    return syscall(SYS_pread64, fd, to, length, WORDS(offset));
}

static int file = -1;
static struct carom_queue queue;

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

/* A file of `length` bytes, the last `written` of which are no hole. */
static void make_file(uint64_t length, size_t written)
{
    static uint8_t bytes[1 << 16];
    file = memfd_create("test", MFD_CLOEXEC);
    assert_true(file >= 0 && ftruncate(file, (off_t)length) == 0);
    for (uint64_t at = length - written; at < length;) {
        size_t part = length - at < sizeof bytes ? (size_t)(length - at) : sizeof bytes;
        for (size_t i = 0; i < part; i++)
            bytes[i] = byte_at(at + i);
        assert_int_equal(pwrite(file, bytes, part, (off_t)at), part);
        at += part;
    }
}

static int begin_file(void **state)
{
    memset(&sendfiles, 0, sizeof sendfiles);
    carom_queue_init(&queue);
    return begin(state);
}

static int end_file(void **state)
{
    carom_queue_clear(&queue, &segments);
    if (file >= 0)
        close(file);
    file = -1;
    return end(state);
}

static void append_file(uint64_t offset, uint64_t length)
{
    assert_int_equal(carom_queue_append_file(&queue, &segments, file, offset, length, NULL, NULL),
                     0);
}

static int64_t send_queue(struct owner *owner)
{
    int64_t result = loop->ops->send(loop, &owner->socket, &queue);
    if (result > 0)
        carom_queue_consume(&queue, &segments, (uint64_t)result);
    return result;
}

static uint64_t read_at; /* what the peer has got of the file */

static void take(int peer)
{
    static uint8_t bytes[1 << 16];
    ssize_t got;
    while ((got = (ssize_t)syscall(SYS_recvfrom, peer, bytes, sizeof bytes, MSG_DONTWAIT, 0L, 0L)) >
           0)
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal(bytes[i], byte_at(read_at++));
}

/* Until all is sent: as a stream does it. */
static void send_all(struct owner *owner, int peer)
{
    int waits = 0;
    while (queue.length > 0) {
        int64_t result = send_queue(owner);
        assert_true(result > 0 || result == CAROM_SEND_PENDING);
        take(peer);
        if (result > 0)
            continue;
        int before = owner->sents;
        turn_until(owner->sents > before);
        assert_true(owner->sent > 0);
        carom_queue_consume(&queue, &segments, (uint64_t)owner->sent);
        take(peer);
        assert_true(waits++ < 10000);
    }
    take(peer);
}

static void a_small_file_leaves_by_one_call(void **state)
{
    (void)state;
    make_file(1000, 1000);
    for (int unix_socket = 0; unix_socket < 2; unix_socket++) {
        int peer = unix_socket ? open_unix(&one) : open_tcp(&one);
        memset(&calls, 0, sizeof calls);
        sendfiles.calls = 0;
        append_file(100, 850);
        assert_int_equal(send_queue(&one), 850);
        assert_int_equal(sendfiles.calls, 1);
        assert_int_equal(calls.send + calls.sendmsg + calls.control + sendfiles.reads, 0);
        assert_null(queue.first);
        read_at = 100;
        uint8_t bytes[1000];
        assert_int_equal(read(peer, bytes, sizeof bytes), 850);
        for (int i = 0; i < 850; i++)
            assert_int_equal(bytes[i], byte_at(100 + i));
        owner_close(&one);
        close(peer);
    }
}

/* What stands before it waits for it: both leave in one packet. */
static void bytes_before_a_file_say_that_more_comes(void **state)
{
    (void)state;
    make_file(100, 100);
    int peer = open_tcp(&one);
    assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "head", 4, NULL, NULL), 0);
    append_file(0, 100);
    assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "next", 4, NULL, NULL), 0);
    assert_int_equal(send_queue(&one), 4);
    assert_true(calls.send_flags & MSG_MORE);
    assert_int_equal(send_queue(&one), 100);
    assert_int_equal(send_queue(&one), 4);
    assert_false(calls.send_flags & MSG_MORE);
    owner_close(&one);
    close(peer);
}

static void a_large_file_goes_in_pieces_and_others_have_their_turn(void **state)
{
    (void)state;
    const uint64_t length = 5 * PIECE + 77;
    make_file(length, length);
    int peer = open_tcp(&one), other = open_tcp(&two);
    put(other, "me too");
    append_file(0, length);
    int64_t first = send_queue(&one);
    assert_in_range(first, 1, PIECE);
    assert_true(send_queue(&one) == CAROM_SEND_PENDING);
    assert_int_equal(sendfiles.calls, 1); /* the socket was not even asked */
    read_at = 0;
    take(peer);
    turn_until(one.sents == 1);
    carom_queue_consume(&queue, &segments, (uint64_t)one.sent);
    assert_in_range(one.sent, 1, PIECE);
    turn_until(two.pieces == 1);
    assert_true(queue.length > 0);
    send_all(&one, peer);
    while (read_at < length)
        take(peer);
    assert_int_equal(read_at, length);
    assert_int_equal(loop->bytes_sent, length);
    assert_int_equal(sendfiles.reads, 0);
    assert_true(soon_quiet());
    owner_close(&one);
    owner_close(&two);
    close(other);
    close(peer);
}

/* Only who has sent a piece rests, and only until another has had its turn. */
static void another_connection_need_not_rest(void **state)
{
    (void)state;
    make_file(4 * PIECE, 0);
    int peer = open_unix(&one), other = open_unix(&two); /* they take less than a piece */
    struct carom_queue others;
    carom_queue_init(&others);
    append_file(0, 4 * PIECE);
    assert_int_equal(carom_queue_append_file(&others, &segments, file, 0, 4 * PIECE, NULL, NULL),
                     0);
    assert_true(send_queue(&one) > 0);
    assert_true(loop->ops->send(loop, &two.socket, &others) > 0);
    char bytes[1 << 16];
    while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
    assert_true(send_queue(&one) > 0);
    carom_queue_clear(&others, &segments);
    owner_close(&one);
    owner_close(&two);
    close(other);
    close(peer);
}

/* What is read of a file waits for what follows as well: each send but the last says so. */
static void bytes_behind_a_file_that_is_read_share_its_packet(void **state)
{
    (void)state;
    make_file(100, 100);
    for (int followed = 0; followed < 2; followed++) {
        int peer = open_tcp(&one);
        sendfiles.error = EINVAL;
        sendfiles.times = 1;
        append_file(0, 100);
        if (followed)
            assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "next", 4, NULL, NULL),
                             0);
        assert_int_equal(send_queue(&one), 100);
        assert_int_equal(calls.send_flags & MSG_MORE, followed ? MSG_MORE : 0);
        assert_true(calls.send_flags & MSG_NOSIGNAL);
        carom_queue_clear(&queue, &segments);
        owner_close(&one);
        close(peer);
    }
}

static void what_was_read_for_nothing_is_dropped(void **state)
{
    (void)state;
    make_file(100, 100);
    int peer = open_tcp(&one);
    uint32_t in_use = pages.pool.in_use;
    append_file(0, 100);
    sendfiles.error = EINVAL;
    sendfiles.times = 1;
    calls.send_error = EAGAIN;
    assert_true(send_queue(&one) == CAROM_SEND_PENDING);
    assert_int_equal(pages.pool.in_use, in_use);
    calls.send_error = EINTR; /* that one is made again */
    turn_until(one.sents == 1);
    assert_int_equal(one.sent, 100);
    read_at = 0;
    take(peer);
    assert_int_equal(read_at, 100);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

static void offsets_are_of_64_bits(void **state)
{
    (void)state;
    const uint64_t length = 5000000000;
    make_file(length, 70000);
    for (int refused = 0; refused < 2; refused++) {
        int peer = open_tcp(&one);
        sendfiles.error = EINVAL;
        sendfiles.times = refused;
        append_file(length - 70000, 70000);
        read_at = length - 70000;
        send_all(&one, peer);
        while (read_at < length)
            take(peer);
        owner_close(&one);
        close(peer);
    }
}

static void what_the_kernel_does_not_move_is_read(void **state)
{
    (void)state;
    static const int errors[] = {EINVAL, ENOSYS, EIO, EOVERFLOW, ENOMEM};
    const uint64_t length = 3 * PIECE;
    make_file(length, length);
    for (size_t i = 0; i < COUNT(errors); i++) {
        int peer = open_tcp(&one);
        sendfiles.calls = sendfiles.reads = 0;
        sendfiles.error = errors[i];
        sendfiles.times = 1;
        append_file(0, length);
        read_at = 0;
        send_all(&one, peer);
        while (read_at < length)
            take(peer);
        assert_int_equal(sendfiles.calls, 1); /* and is not asked again */
        assert_true(sendfiles.reads >= 3 * PIECE / CAROM_PAGE_SIZE);
        assert_int_equal(pages.pool.in_use, pages_at_first + (arena.page != NULL && !on_uring));
        owner_close(&one);
        close(peer);
    }
}

static void no_more_is_read_than_was_asked_for(void **state)
{
    (void)state;
    make_file(10000, 10000);
    int peer = open_tcp(&one);
    sendfiles.error = EINVAL;
    sendfiles.times = 1;
    append_file(100, 500);
    read_at = 100;
    send_all(&one, peer);
    while (read_at < 600)
        take(peer);
    assert_int_equal(read_at, 600);
    assert_int_equal(loop->bytes_sent, 500);
    owner_close(&one);
    close(peer);
}

static void an_interrupted_call_is_made_again_and_a_full_socket_waits(void **state)
{
    (void)state;
    make_file(1000, 1000);
    int peer = open_tcp(&one);
    append_file(0, 1000);
    sendfiles.error = EINTR;
    sendfiles.times = 3;
    assert_int_equal(send_queue(&one), 1000);
    append_file(0, 1000);
    sendfiles.error = EAGAIN;
    sendfiles.times = 1;
    assert_true(send_queue(&one) == CAROM_SEND_PENDING);
    turn_until(one.sents == 1);
    assert_int_equal(one.sent, 1000);
    assert_int_equal(sendfiles.reads, 0);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

static void a_file_that_is_too_short_is_its_own_fault(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        make_file(1000, 1000);
        int peer = open_tcp(&one);
        append_file(0, 1000);
        assert_int_equal(ftruncate(file, 400), 0);
        sendfiles.error = EINVAL;
        sendfiles.times = refused;
        assert_int_equal(send_queue(&one), 400);
        if (send_queue(&one) != -CAROM_EFILE) { /* after its turn */
            turn_until(one.sents == 1);
            assert_int_equal(one.sent, -CAROM_EFILE);
        }
        turn_until(one.errors == 1);
        carom_queue_clear(&queue, &segments);
        owner_close(&one);
        close(peer);
        close(file);
    }
    file = -1;
}

static void a_file_that_cannot_be_read_is_its_own_fault(void **state)
{
    (void)state;
    make_file(1000, 1000);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int only_written = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(only_written >= 0);
    close(file);
    file = only_written;
    int peer = open_tcp(&one);
    append_file(0, 1000);
    assert_int_equal(send_queue(&one), -CAROM_EFILE);
    turn_until(one.errors == 1);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

/* sendfile would raise SIGPIPE, which by default ends the program. */
static void a_peer_that_has_gone_raises_no_signal(void **state)
{
    (void)state;
    sigset_t pipe, mask;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    make_file(1000, 1000);
    for (int way = 0; way < 3; way++) {
        int peer = open_unix(&one);
        bool blocked = way > 0;
        loop->sigpipe_blocked = way == 1;
        if (blocked)
            pthread_sigmask(SIG_BLOCK, &pipe, NULL);
        if (way == 2)
            raise(SIGPIPE); /* the program's own, which waits */
        close(peer);
        append_file(0, 1000);
        assert_true(send_queue(&one) < -1);
        sigpending(&mask);
        assert_int_equal(sigismember(&mask, SIGPIPE), blocked);
        if (blocked) {
            int number;
            sigwait(&pipe, &number);
        }
        pthread_sigmask(SIG_UNBLOCK, &pipe, &mask);
        assert_int_equal(sigismember(&mask, SIGPIPE), blocked);
        carom_queue_clear(&queue, &segments);
        owner_close(&one);
    }
}

/* The peer goes while the socket waits for room. */
static void a_pending_file_ends_with_its_socket(void **state)
{
    (void)state;
    const uint64_t length = 64u * PIECE;
    make_file(length, 0);
    for (int resets = 0; resets < 2; resets++) {
        int peer = open_tcp(&one);
        append_file(0, length);
        while (send_queue(&one) > 0) {
        }
        assert_ptr_equal(one.socket.sending, &queue);
        if (resets) {
            reset(peer);
            for (int rounds_left = 1000; one.errors == 0 && rounds_left > 0; rounds_left--) {
                wait_and_deliver();
                if (one.sents > 0 && one.sent > 0) { /* there was room yet */
                    carom_queue_consume(&queue, &segments, (uint64_t)one.sent);
                    one.sents = 0;
                    while (send_queue(&one) > 0) {
                    }
                }
            }
            assert_int_equal(one.errors, 1);
        }
        carom_queue_clear(&queue, &segments);
        owner_close(&one);
        if (!resets)
            close(peer);
    }
}

int main(void)
{
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_file, end_file)
    const struct CMUnitTest tests[] = {
        TEST(a_small_file_leaves_by_one_call),
        TEST(bytes_before_a_file_say_that_more_comes),
        TEST(a_large_file_goes_in_pieces_and_others_have_their_turn),
        TEST(another_connection_need_not_rest),
        TEST(bytes_behind_a_file_that_is_read_share_its_packet),
        TEST(what_was_read_for_nothing_is_dropped),
        TEST(offsets_are_of_64_bits),
        TEST(what_the_kernel_does_not_move_is_read),
        TEST(no_more_is_read_than_was_asked_for),
        TEST(an_interrupted_call_is_made_again_and_a_full_socket_waits),
        TEST(a_file_that_is_too_short_is_its_own_fault),
        TEST(a_file_that_cannot_be_read_is_its_own_fault),
        TEST(a_peer_that_has_gone_raises_no_signal),
        TEST(a_pending_file_ends_with_its_socket),
    };
    return cmocka_run_group_tests_name("net/file", tests, NULL, NULL);
}
