/* Counts every request for memory of this program: the malloc family, mmap, mremap, brk and sbrk,
 * interposed by name and handed on. It is linked into the test server only. What malloc itself
 * takes from the system shows as the call of malloc that needed it. */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tool/serve/serve.h"

#if defined(__SANITIZE_ADDRESS__)
#define BUILD "address"
#elif defined(__SANITIZE_THREAD__)
#define BUILD "thread"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILD "address"
#elif __has_feature(thread_sanitizer)
#define BUILD "thread"
#elif __has_feature(memory_sanitizer)
#define BUILD "memory"
#endif
#endif

#ifdef BUILD

int64_t allocations_count(void)
{
    return -1;
}

const char *allocations_build(void)
{
    return BUILD;
}

#else

static _Atomic int64_t count;

int64_t allocations_count(void)
{
    return atomic_load(&count);
}

const char *allocations_build(void)
{
    return "plain";
}

static void counted(void)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

/* The C library's own, under the names that it exports. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size);
void *calloc(size_t number, size_t size);
void *realloc(void *memory, size_t size);
void *reallocarray(void *memory, size_t number, size_t size);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **memory, size_t alignment, size_t size);
void *valloc(size_t size);
void *pvalloc(size_t size);
void free(void *memory);

void *malloc(size_t size)
{
    counted();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    counted();
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
    counted();
    return __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t number, size_t size)
{
    size_t whole;
    if (__builtin_mul_overflow(number, size, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(memory, whole);
}

void *memalign(size_t alignment, size_t size)
{
    counted();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
        return EINVAL;
    void *taken = memalign(alignment, size);
    if (taken == NULL)
        return ENOMEM;
    *memory = taken;
    return 0;
}

void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return memalign(page, (size + page - 1) / page * page);
}

void free(void *memory)
{
    __libc_free(memory);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    counted();
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset); // NOLINT
}

void *mremap(void *address, size_t old_length, size_t new_length, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *wanted = (flags & MREMAP_FIXED) ? va_arg(rest, void *) : NULL;
    va_end(rest);
    counted();
    return (void *)syscall(SYS_mremap, address, old_length, new_length, flags, wanted); // NOLINT
}

/* The name under which the C library moves the end of the heap itself. */
void *__sbrk(intptr_t increment);

void *sbrk(intptr_t increment)
{
    counted();
    return __sbrk(increment);
}

#endif
