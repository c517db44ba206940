/* The way of a request into its slot: its head, and then its content. */
#ifndef CAROM_RING_REQUEST_H
#define CAROM_RING_REQUEST_H

#include "ring/slot.h"

/* Write the request of its record into a slot; false when it needs a page and none is free. */
bool carom_slot_write_request(struct carom_slot *slot);
/* Give the next piece of content to the VM, or wait for it. */
void carom_slot_read(struct carom_slot *slot);

#endif
