/* The only way to the allocator. It counts, and tests can freeze it or make the k-th allocation
 * fail. Any thread; never on the request path after warm-up. */
#ifndef CAROM_BASE_MEMORY_H
#define CAROM_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* NULL when out of memory. Alignment is 16, or 64 for sizes of 64 and more. */
void *carom_memory_take(size_t size);
/* The same, zeroed. */
void *carom_memory_take_zeroed(size_t size);
/* `size` as it was taken. NULL is allowed. */
void carom_memory_give(void *memory, size_t size);
/* Ask the C library to hand free memory back to the system. */
void carom_memory_return_to_system(void);

uint64_t carom_memory_held(void);  /* bytes taken and not given */
uint64_t carom_memory_taken(void); /* allocations since the start */

/* For tests: the next allocation but `count` fails, and all after it until the next call;
 * UINT64_MAX (the start): none fails. */
void carom_memory_fail_after(uint64_t count);
/* For tests: the next allocation but `count` fails, and no other. */
void carom_memory_fail_once_after(uint64_t count);
uint64_t carom_memory_failed(void); /* allocations that were made to fail since the start */

#endif
