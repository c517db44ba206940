/* Tests of the state-machine masks, and through them of the assertion itself. */
#include "unit/base/support.h"

#include "base/states.h"

enum { OPEN, HEADED, ENDED, TORN };

static const uint8_t moves[] = {
    [OPEN] = CAROM_TO(HEADED) | CAROM_TO(ENDED) | CAROM_TO(TORN),
    [HEADED] = CAROM_TO(ENDED) | CAROM_TO(TORN),
    [ENDED] = 0,
    [TORN] = 0,
};

struct move {
    uint8_t from, to;
};

static void make(void *data)
{
    struct move *move = data;
    carom_state_move(moves, &move->from, move->to);
}

static void moves_of_the_table_and_no_others(void **state)
{
    (void)state;
    for (unsigned from = OPEN; from <= TORN; from++) {
        for (unsigned to = OPEN; to <= TORN; to++) {
            struct move move = {(uint8_t)from, (uint8_t)to};
            bool allowed = (moves[from] & CAROM_TO(to)) != 0;
            assert_int_equal(dies(make, &move), !allowed);
            if (allowed) {
                make(&move);
                assert_int_equal(move.from, to);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_of_the_table_and_no_others),
    };
    return cmocka_run_group_tests_name("base/states", tests, NULL, NULL);
}
