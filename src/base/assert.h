/* Assertions in two tiers: `carom_assert` stays on in release builds and is cheap; `carom_check` is
 * for debug builds and may cost. Both are for programmer errors, never for what a peer sent. */
#ifndef CAROM_BASE_ASSERT_H
#define CAROM_BASE_ASSERT_H

_Noreturn void carom_assert_failed(const char *expression, const char *file, int line);
/* The program has called us as it must not, and going on would do harm: `call` is the public
 * function, `what` is what is wrong with the call. */
_Noreturn void carom_misused(const char *call, const char *what);

#define carom_assert(expression)                                                                   \
    (__builtin_expect(!!(expression), 1) ? (void)0                                                 \
                                         : carom_assert_failed(#expression, __FILE__, __LINE__))
#ifdef CAROM_EXPENSIVE_CHECKS
#define carom_check(expression) carom_assert(expression)
#else
#define carom_check(expression) ((void)sizeof(!(expression)))
#endif

#define carom_container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define carom_likely(x)                        __builtin_expect(!!(x), 1)
#define carom_unlikely(x)                      __builtin_expect(!!(x), 0)

#endif
