/* Under AddressSanitizer: memory that is there, and that nobody shall touch for now. In other
 * builds these do nothing. */
#ifndef CAROM_BASE_POISON_H
#define CAROM_BASE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define CAROM_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAROM_POISONS 1
#endif
#endif
#ifdef CAROM_POISONS
#include <sanitizer/asan_interface.h>
#endif

static inline void carom_poison(const void *memory, size_t size)
{
#ifdef CAROM_POISONS
    __asan_poison_memory_region(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

static inline void carom_unpoison(const void *memory, size_t size)
{
#ifdef CAROM_POISONS
    __asan_unpoison_memory_region(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

#endif
