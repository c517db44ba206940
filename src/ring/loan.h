/* Loans: bytes of the VM's, a file, or room for content, under a number, until the engine is done
 * with them. */
#ifndef CAROM_RING_LOAN_H
#define CAROM_RING_LOAN_H

#include "ring/slot.h"

void carom_loans_init(struct carom_ring *ring);
void carom_loans_finish(struct carom_ring *ring);

/* The loan of a number + 1, which the VM has given and the engine has from now on; NULL: there is
 * none of this kind. */
struct carom_loan *carom_loan_take(struct carom_ring *ring, uint32_t number,
                                   enum carom_loan_kind kind);
/* The engine needs it no more: `owner` is the loan. */
void carom_loan_return(void *owner);

/* Give back what the VM has lent under a number + 1 and nobody took. Other numbers are ignored. */
void carom_loan_give_back(struct carom_ring *ring, uint32_t number);

/* The VM has the room of a slot again, if the engine has one. */
void carom_slot_return_room(struct carom_slot *slot);

/* A window is over: give back the memory of chunks that it has not used. */
void carom_loans_tick(struct carom_ring *ring);
/* Whether there are chunks to be given back some time: all but one. */
bool carom_loans_above_floor(const struct carom_ring *ring);

#endif
