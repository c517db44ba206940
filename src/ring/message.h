/* Messages: what the VM wrote into a slot is read once, checked, and becomes calls on the record.
 */
#ifndef CAROM_RING_MESSAGE_H
#define CAROM_RING_MESSAGE_H

#include "ring/slot.h"

/* Do what the message in a slot says. */
void carom_slot_take_message(struct carom_slot *slot);

#endif
