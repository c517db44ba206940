/* What the unit tests of src/net share: a loop's surroundings, and a socket that remembers what
 * happened to it. */
#ifndef CAROM_TEST_UNIT_NET_SUPPORT_H
#define CAROM_TEST_UNIT_NET_SUPPORT_H

#include "unit/base/support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "carom.h"
#include "net/loop.h"

/* ms until what the kernel does by itself has been done, however busy the machine is. */
#define PATIENCE 20000

static struct carom_pages pages;
static struct carom_arena arena;
static struct carom_pool segments;
static struct carom_loop *loop;

static inline int begin_with(int (*create)(struct carom_loop **loop, struct carom_arena *arena))
{
    carom_pages_init(&pages, CAROM_PAGE_SIZE, 4);
    carom_arena_init(&arena, &pages);
    carom_pool_init(&segments, sizeof(struct carom_segment), 4);
    return create(&loop, &arena);
}

/* Everything must be back: the pools assert it. */
static inline int end_all(void)
{
    carom_memory_fail_after(UINT64_MAX);
    loop->ops->reclaim(loop);
    loop->ops->destroy(loop);
    carom_arena_finish(&arena);
    carom_pages_finish(&pages);
    carom_pool_finish(&segments);
    return carom_memory_held() == 0 ? 0 : -1;
}

/* A socket's owner. */
struct owner {
    struct carom_socket socket;
    char bytes[4096]; /* what was received */
    size_t length;
    int pieces;       /* calls of received */
    int fins, errors; /* calls of ended, with 0 and with an error */
    int lefts;
    size_t length_at_fin;
    int last_error;
    int64_t sent;      /* the last result */
    int sents, closed; /* calls */
    void (*on_received)(struct owner *owner, struct carom_page *page, const uint8_t *data,
                        uint32_t length);
    void (*on_ended)(struct owner *owner, int error);
    void (*on_closed)(struct owner *owner);
    void *data;
};

static struct owner *owner_of(struct carom_socket *socket)
{
    return carom_container(socket, struct owner, socket);
}

static void owner_received(struct carom_socket *socket, struct carom_page *page,
                           const uint8_t *data, uint32_t length)
{
    struct owner *owner = owner_of(socket);
    assert_true(length > 0);
    assert_false(socket->peer_done || socket->closing);
    assert_true(data >= page->data && data + length <= page->data + page->used);
    owner->pieces++;
    for (uint32_t i = 0; i < length && owner->length < sizeof owner->bytes; i++)
        owner->bytes[owner->length++] = (char)data[i];
    if (owner->on_received != NULL)
        owner->on_received(owner, page, data, length);
}

static void owner_ended(struct carom_socket *socket, int error)
{
    struct owner *owner = owner_of(socket);
    assert_true(socket->peer_done && !socket->closing);
    if (error == 0) {
        assert_int_equal(owner->errors, 0);
        owner->fins++;
        owner->length_at_fin = owner->length;
    } else {
        assert_true(error < 0);
        owner->errors++;
        owner->last_error = error;
    }
    if (owner->on_ended != NULL)
        owner->on_ended(owner, error);
}

static void owner_left(struct carom_socket *socket)
{
    struct owner *owner = owner_of(socket);
    assert_false(socket->receiving || socket->peer_done || socket->closing);
    owner->lefts++;
}

static void owner_sent(struct carom_socket *socket, int64_t result)
{
    struct owner *owner = owner_of(socket);
    assert_false(socket->closing);
    assert_null(socket->sending);
    owner->sents++;
    owner->sent = result;
}

static void owner_closed(struct carom_socket *socket)
{
    struct owner *owner = owner_of(socket);
    assert_true(socket->closing);
    owner->closed++;
    if (owner->on_closed != NULL)
        owner->on_closed(owner);
}

static const struct carom_socket_events owner_events = {
    owner_received, owner_ended, owner_left, owner_sent, owner_closed,
};

static inline void owner_open(struct owner *owner, int fd)
{
    *owner = (struct owner){.socket = {.fd = fd}};
    loop->events = &owner_events;
    assert_int_equal(loop->ops->open(loop, &owner->socket), 0);
}

/* The same, and the turn in which it came ends. */
static inline void owner_begin(struct owner *owner, int fd)
{
    owner_open(owner, fd);
    loop->ops->reclaim(loop);
}

static inline void owner_close(struct owner *owner)
{
    loop->ops->close(loop, &owner->socket, false);
    loop->ops->reclaim(loop);
    /* What is on its way in the kernel must come back first, and a busy machine takes its time. */
    uint64_t end = loop->ops->now(loop) + PATIENCE;
    while (owner->closed == 0 && loop->ops->now(loop) < end) {
        loop->ops->wait(loop, end);
        loop->ops->deliver(loop);
        loop->ops->reclaim(loop);
    }
    assert_int_equal(owner->closed, 1);
}

#define assert_got(owner, text)                                                                    \
    do {                                                                                           \
        assert_int_equal((owner)->length, strlen(text));                                           \
        assert_memory_equal((owner)->bytes, text, strlen(text));                                   \
    } while (0)

/* Look, without waiting, and deliver what there is. */
static inline void turn(void)
{
    loop->ops->wait(loop, 0);
    loop->ops->deliver(loop);
}

/* CAROM_BACKEND names the backend that is tested; epoll when it names none. */
static inline bool backend_is_uring(void)
{
    const char *name = getenv("CAROM_BACKEND");
    return name != NULL && strcmp(name, "uring") == 0;
}

/* A test of io_uring where there is none is passed over, and ctest says so. */
static inline void skip_where_refused(void)
{
    if (!backend_is_uring())
        return;
    if (getenv("CAROM_VALGRIND") != NULL) {
        printf("skipped: valgrind knows too little of io_uring\n");
        exit(77);
    }
    struct carom_loop *probe;
    begin_with(carom_loop_epoll_create);
    int error = carom_loop_uring_create(&probe, &arena);
    if (error == -CAROM_EUNSUPPORTED) {
        printf("skipped: io_uring is refused here: %s\n", strerror(errno));
        exit(77);
    }
    assert_int_equal(error, 0);
    probe->ops->destroy(probe);
    end_all();
}

#endif
