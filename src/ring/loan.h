/* Loans: bytes of the VM's under a number, until the engine has sent them. */
#ifndef CAROM_RING_LOAN_H
#define CAROM_RING_LOAN_H

#include "ring/slot.h"

void carom_loans_init(struct carom_ring *ring);
void carom_loans_finish(struct carom_ring *ring);

/* A window is over: give back the memory of chunks that it has not used. */
void carom_loans_tick(struct carom_ring *ring);
/* Whether there are chunks to be given back some time: all but one. */
bool carom_loans_above_floor(const struct carom_ring *ring);

/* The engine needs the bytes of a loan, `owner`, no more (carom_give_back). */
void carom_loan_return(void *owner);
/* Whether a number + 1 is that of a file which is lent; 0 is allowed. */
bool carom_loan_is_file(struct carom_ring *ring, uint32_t number);
/* The loan of a number + 1, which the VM has given and the engine has now; NULL: it is none. */
struct carom_loan *carom_loan_take(struct carom_ring *ring, uint32_t number);
/* The same of one that is bytes; a file stays the VM's. */
struct carom_loan *carom_loan_take_bytes(struct carom_ring *ring, uint32_t number);

#endif
