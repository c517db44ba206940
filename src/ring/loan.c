/* Loans. The VM's thread allocates the engine's notes of them, a chunk at a time, when it lends,
 * and the engine frees them. So the VM's thread looks at a chunk under the lock only; the engine
 * takes the lock to remove a chunk, and needs none to look at one. */
#include "ring/loan.h"

#include "base/memory.h"

/* NULL when out of memory. */
static struct carom_loan_chunk *chunk_for(struct carom_ring *ring, uint32_t number)
{
    struct carom_loan_chunk *chunk = atomic_load(&ring->loans[number]);
    if (chunk != NULL)
        return chunk;
    chunk = carom_memory_take_zeroed(sizeof *chunk);
    if (chunk == NULL)
        return NULL;
    for (uint32_t i = 0; i < CAROM_LOAN_CHUNK; i++) {
        chunk->loans[i].ring = ring;
        chunk->loans[i].number = number * CAROM_LOAN_CHUNK + i;
    }
    ring->loan_chunks++;
    atomic_store(&ring->loans[number], chunk);
    return chunk;
}

/* `what` has what is lent: all but its ring, number and state. */
static int lend_from(struct carom_loan_chunk *chunk, uint32_t number, const struct carom_loan *what)
{
    if (chunk == NULL)
        return -CAROM_ENOMEM;
    struct carom_loan *loan = &chunk->loans[number % CAROM_LOAN_CHUNK];
    if (atomic_load(&loan->state) != CAROM_LOAN_FREE)
        return -CAROM_ESTATE;
    chunk->used = true;
    if (what->kind == CAROM_LOAN_FILE)
        loan->offset = what->offset;
    else
        loan->data = what->data;
    loan->length = what->length;
    loan->descriptor = what->descriptor;
    loan->kind = what->kind;
    atomic_store(&loan->state, CAROM_LOAN_GIVEN);
    return 0;
}

static int lend(carom_ring *ring, uint32_t number, const struct carom_loan *what)
{
    if (ring == NULL || number >= CAROM_RING_LOANS)
        return -CAROM_EINVAL;
    pthread_mutex_lock(&ring->loans_lock);
    int error = lend_from(chunk_for(ring, number / CAROM_LOAN_CHUNK), number, what);
    pthread_mutex_unlock(&ring->loans_lock);
    return error;
}

int carom_ring_lend(carom_ring *ring, uint32_t loan, const void *data, size_t length)
{
    const struct carom_loan what = {.data = data, .length = length, .kind = CAROM_LOAN_BYTES};
    return data == NULL && length > 0 ? -CAROM_EINVAL : lend(ring, loan, &what);
}

int carom_ring_lend_file(carom_ring *ring, uint32_t loan, int descriptor, uint64_t offset,
                         uint64_t length)
{
    const struct carom_loan what = {
        .offset = offset, .length = length, .descriptor = descriptor, .kind = CAROM_LOAN_FILE};
    return descriptor < 0 ? -CAROM_EINVAL : lend(ring, loan, &what);
}

int carom_ring_lend_room(carom_ring *ring, uint32_t loan, void *memory, size_t length)
{
    const struct carom_loan what = {.room = memory, .length = length, .kind = CAROM_LOAN_ROOM};
    return memory == NULL || length == 0 || length > UINT32_MAX ? -CAROM_EINVAL
                                                                : lend(ring, loan, &what);
}

/* ---------------------------------------------------------------- in the engine's hands */

struct carom_loan *carom_loan_take(struct carom_ring *ring, uint32_t number,
                                   enum carom_loan_kind kind)
{
    if (number == 0 || number > CAROM_RING_LOANS)
        return NULL;
    struct carom_loan *loan = carom_ring_loan(ring, number - 1);
    int given = CAROM_LOAN_GIVEN;
    if (loan == NULL || atomic_load(&loan->state) != CAROM_LOAN_GIVEN || loan->kind != kind ||
        !atomic_compare_exchange_strong(&loan->state, &given, CAROM_LOAN_USED))
        return NULL;
    return loan;
}

void carom_loan_give_back(struct carom_ring *ring, uint32_t number)
{
    for (int kind = CAROM_LOAN_BYTES; kind <= CAROM_LOAN_ROOM; kind++) {
        struct carom_loan *loan = carom_loan_take(ring, number, (enum carom_loan_kind)kind);
        if (loan != NULL) {
            carom_loan_return(loan);
            return;
        }
    }
}

void carom_loan_return(void *owner)
{
    struct carom_loan *loan = owner;
    struct carom_ring *ring = loan->ring;
    uint32_t *returns = ring->control + CAROM_RING_CONTROL_WORDS + 2 * (size_t)(ring->mask + 1);
    atomic_store(&loan->state, CAROM_LOAN_FREE);
    atomic_store_explicit(carom_ring_atomic(returns, ring->return_tail++ & (CAROM_RING_LOANS - 1)),
                          loan->number, memory_order_relaxed);
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_RETURN_TAIL), ring->return_tail);
    ring->news = true;
}

void carom_slot_return_room(struct carom_slot *slot)
{
    if (slot->room != NULL)
        carom_loan_return(slot->room);
    slot->room = NULL;
}

/* ---------------------------------------------------------------- going back */

static bool is_idle(struct carom_loan_chunk *chunk)
{
    if (chunk->used)
        return false;
    for (uint32_t i = 0; i < CAROM_LOAN_CHUNK; i++)
        if (atomic_load(&chunk->loans[i].state) != CAROM_LOAN_FREE)
            return false;
    return true;
}

void carom_loans_tick(struct carom_ring *ring)
{
    pthread_mutex_lock(&ring->loans_lock);
    for (uint32_t i = 0; i < CAROM_LOAN_CHUNKS && ring->loan_chunks > 1; i++) {
        struct carom_loan_chunk *chunk = atomic_load(&ring->loans[i]);
        if (chunk == NULL)
            continue;
        if (is_idle(chunk)) {
            atomic_store(&ring->loans[i], NULL);
            ring->loan_chunks--;
            carom_memory_give(chunk, sizeof *chunk);
        } else {
            chunk->used = false;
        }
    }
    pthread_mutex_unlock(&ring->loans_lock);
}

bool carom_loans_above_floor(const struct carom_ring *ring)
{
    return atomic_load_explicit(&ring->loan_chunks, memory_order_relaxed) > 1;
}

/* ---------------------------------------------------------------- life */

void carom_loans_init(struct carom_ring *ring)
{
    pthread_mutex_init(&ring->loans_lock, NULL);
}

void carom_loans_finish(struct carom_ring *ring)
{
    for (uint32_t i = 0; i < CAROM_LOAN_CHUNKS; i++) {
        struct carom_loan_chunk *chunk = atomic_load(&ring->loans[i]);
        if (chunk != NULL)
            carom_memory_give(chunk, sizeof *chunk);
    }
    pthread_mutex_destroy(&ring->loans_lock);
}
