/* The way of a message from its slot: checked, and made calls on the record. */
#ifndef CAROM_RING_MESSAGE_H
#define CAROM_RING_MESSAGE_H

#include "ring/slot.h"

/* Do what the message in a slot says. */
void carom_slot_take_message(struct carom_slot *slot);

#endif
