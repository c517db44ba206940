/* Requests: the head of a record is copied into its slot, and then its content, piece by piece. */
#ifndef CAROM_RING_REQUEST_H
#define CAROM_RING_REQUEST_H

#include "ring/slot.h"

/* Write the request of its record into a slot; false when it needs a page and none is free. */
bool carom_slot_write_request(struct carom_slot *slot);
/* Give the next piece of content to the VM, or wait for it. */
void carom_slot_read(struct carom_slot *slot);

#endif
