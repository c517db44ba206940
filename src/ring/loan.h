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

#endif
