/* The C library's memory, of which JavaScript's buffers are. */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

#ifdef __GLIBC__

/* Where glibc ends by itself in a program that has once freed a block of 32 MiB (mallopt(3),
 * "dynamic mmap threshold"): shorter blocks are of the heap, and the heap keeps so much at its end.
 * Before that each collection of JavaScript's that frees buffers gives their memory to the system,
 * and the next content that comes faults it in again, page by page, for more than its copying
 * takes. */
#define OWN_MAPPING (32 << 20)
#define KEPT_AT_END (64 << 20)

/* Whether who runs the program has said how it is to be. */
static bool is_chosen(void)
{
    const char *tunables = getenv("GLIBC_TUNABLES");
    return getenv("MALLOC_TRIM_THRESHOLD_") != NULL || getenv("MALLOC_MMAP_THRESHOLD_") != NULL ||
           (tunables != NULL && strstr(tunables, "glibc.malloc.") != NULL);
}

static void keep(void)
{
    if (is_chosen())
        return;
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING);
    mallopt(M_TRIM_THRESHOLD, KEPT_AT_END);
}

#else /* others have nothing to set */

static void keep(void)
{
}

#endif

void memory_keep(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, keep);
}
