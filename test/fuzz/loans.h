/* What a fuzzed VM lends its ring: memory of its own for each, gone as soon as the loan is back, so
 * that the sanitizer sees it being touched later. Each must come back, once. */
#ifndef CAROM_TEST_FUZZ_LOANS_H
#define CAROM_TEST_FUZZ_LOANS_H

#include "fuzz/network.h"

#include "ring/block.h"

#define MOST_LOANS 32

static struct {
    void *bytes[MOST_LOANS];
    uint32_t lent;
} loans;

/* Lending number `loan`, for which `bytes` were taken, came to `error`. */
static void lent(uint32_t loan, void *bytes, int error)
{
    if (error < 0) {
        free(bytes);
        return;
    }
    carom_assert(loans.bytes[loan] == NULL);
    loans.bytes[loan] = bytes;
    loans.lent++;
}

/* Those that have come back. */
static void free_loans(carom_ring *ring)
{
    for (uint32_t i = 0; i < MOST_LOANS; i++)
        if (loans.bytes[i] != NULL &&
            atomic_load(&carom_ring_loan(ring, i)->state) == CAROM_LOAN_FREE) {
            free(loans.bytes[i]);
            loans.bytes[i] = NULL;
        }
}

/* Each loan has come back once, but for those that the VM has never named. None is left. */
static void check_loans(carom_ring *ring)
{
    uint32_t back = ring->return_tail;
    free_loans(ring);
    for (uint32_t i = 0; i < MOST_LOANS; i++) {
        const struct carom_loan *loan = carom_ring_loan(ring, i);
        carom_assert(loan == NULL || atomic_load(&loan->state) != CAROM_LOAN_USED);
        back += loans.bytes[i] != NULL;
        free(loans.bytes[i]);
        loans.bytes[i] = NULL;
    }
    carom_assert(back == loans.lent);
    loans.lent = 0;
}

#endif
