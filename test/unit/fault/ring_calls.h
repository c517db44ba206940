/* The calls of an io_uring, and its operations, in which one is made to fail. The C library has
 * none of these: they are made by syscall(2), which is defined here in its place.
 *
 * An operation fails by becoming one that does nothing, whose result is exchanged. One that takes
 * a single byte is asked for no more. Cancellations cannot fail but by finding nothing. */
#ifndef CAROM_TEST_UNIT_FAULT_RING_CALLS_H
#define CAROM_TEST_UNIT_FAULT_RING_CALLS_H

#include <dlfcn.h>
#include <poll.h>
#include <stdarg.h>

#include "net/uring.h"
#include "unit/fault/system_calls.h"

/* The ring of the service, or NULL. */
static struct carom_uring *ring_of_service(void);

static struct {
    uint64_t user_data; /* of the operation that fails in this call, or 0 */
    int error;
} operation;

/* The same system call, or -1 for what cannot fail. */
static int kind_of(const struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_RECV:
        return CALL_OPERATION_RECEIVE;
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        return CALL_OPERATION_SEND;
    case IORING_OP_POLL_ADD:
        return sqe->poll32_events & POLLOUT ? CALL_OPERATION_ROOM : CALL_OPERATION_POLL;
    default:
        return -1;
    }
}

static void ask_for_one_byte(struct io_uring_sqe *sqe)
{
    if (sqe->opcode == IORING_OP_SENDMSG) {
        const struct msghdr *message = (const struct msghdr *)(uintptr_t)sqe->addr;
        sqe->opcode = IORING_OP_SEND;
        sqe->addr = (uintptr_t)message->msg_iov[0].iov_base;
    }
    sqe->ioprio &= (uint16_t)~IORING_RECV_MULTISHOT;
    sqe->len = 1;
}

static void fail_operation(struct io_uring_sqe *sqe)
{
    int kind = kind_of(sqe);
    int error = kind < 0 ? 0 : fault_of((enum call)kind);
    if (error == SHORT_COUNT) {
        ask_for_one_byte(sqe);
    } else if (error > 0) {
        operation.user_data = sqe->user_data;
        operation.error = error;
        *sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = sqe->user_data};
    }
}

static void fail_submitted(struct carom_uring *ring)
{
    operation.user_data = 0;
    for (uint32_t at = *ring->sq_head; at != *ring->sq_tail; at++)
        fail_operation(&ring->sqes[at & (ring->sq_entries - 1)]);
}

/* It does nothing, so it has completed by now, as the last one with this name. */
static void exchange_result(struct carom_uring *ring)
{
    struct io_uring_cqe *last = NULL;
    for (uint32_t i = 0; i < carom_uring_ready(ring); i++) {
        struct io_uring_cqe *cqe = (struct io_uring_cqe *)(uintptr_t)carom_uring_cqe(ring, i);
        if (cqe->user_data == operation.user_data)
            last = cqe;
    }
    assert_non_null(last);
    assert_int_equal(last->res, 0);
    last->res = -operation.error;
}

static long pass(long number, const long *a)
{
    static long (*real)(long, long, long, long, long, long, long);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long enter_ring(const long *arguments)
{
    struct carom_uring *ring = ring_of_service();
    if (fault_of(CALL_ENTER) != 0)
        return -1;
    if (ring == NULL)
        return pass(SYS_io_uring_enter, arguments);
    fail_submitted(ring);
    long result = pass(SYS_io_uring_enter, arguments);
    int error = errno;
    if (operation.user_data != 0)
        exchange_result(ring);
    errno = error;
    return result;
}

long syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (calls.inside && number == SYS_io_uring_enter)
        return enter_ring(arguments);
    if (number == SYS_io_uring_setup && fault_of(CALL_RING) != 0)
        return -1;
    if (number == SYS_io_uring_register && fault_of(CALL_REGISTER) != 0)
        return -1;
    return pass(number, arguments);
}

#endif
