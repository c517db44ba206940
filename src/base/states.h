/* State machines as a table of masks: moves[from] has bit `to` set when the move is allowed. */
#ifndef CAROM_BASE_STATES_H
#define CAROM_BASE_STATES_H

#include <stdint.h>

#include "base/assert.h"
#include "base/mark.h"

#define CAROM_TO(state) (1u << (state))

/* Move *state to `to`; a move that is not in the table is a programmer error. */
static inline void carom_state_move(const uint8_t *moves, uint8_t *state, uint8_t to)
{
    carom_assert(moves[*state] & CAROM_TO(to));
    carom_mark_move(moves, *state, to);
    *state = to;
}

#endif
