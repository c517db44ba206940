/* Submits operations of io_uring: any one, a poll, a cancellation. */
#include "net/uring_operations.h"

struct io_uring_sqe *carom_uring_operation(struct carom_loop *loop, uint8_t code, int fd,
                                           uint64_t user_data)
{
    struct io_uring_sqe *sqe = carom_uring_sqe(&carom_uring_of(loop)->ring);
    sqe->opcode = code;
    sqe->fd = fd;
    sqe->user_data = user_data;
    return sqe;
}

struct io_uring_sqe *carom_uring_poll(struct carom_loop *loop, int fd, uint32_t events,
                                      uint64_t user_data)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events = events << 16 | events >> 16;
#endif
    struct io_uring_sqe *sqe = carom_uring_operation(loop, IORING_OP_POLL_ADD, fd, user_data);
    sqe->poll32_events = events;
    return sqe;
}

bool carom_uring_cancel(struct carom_loop *loop, uint64_t user_data)
{
    if (carom_uring_withdraw(&carom_uring_of(loop)->ring, user_data))
        return false;
    struct io_uring_sqe *sqe = carom_uring_operation(loop, IORING_OP_ASYNC_CANCEL, -1,
                                                     carom_uring_tagged(NULL, CAROM_URING_NOTHING));
    sqe->addr = user_data;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    return true;
}
