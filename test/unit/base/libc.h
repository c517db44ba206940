/* How the calls are declared that tests define in the place of the C library's, and which calls of
 * the kernel they are, with another library than the GNU one and with 32 bits. */
#ifndef CAROM_TEST_UNIT_BASE_LIBC_H
#define CAROM_TEST_UNIT_BASE_LIBC_H

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the GNU C library declares as the address of a socket may be any kind. */
#ifdef __GLIBC__
#define ADDRESS_OF(name) (name).__sockaddr__
#else
#define __SOCKADDR_ARG       struct sockaddr *restrict
#define __CONST_SOCKADDR_ARG const struct sockaddr *
#define ADDRESS_OF(name)     (name)
#endif

/* With 32 bits a position is two words, and there are calls of their own for it. */
#if __SIZEOF_LONG__ == 4
#define SYS_SENDFILE  SYS_sendfile64
#define SYS_CLOCK     SYS_clock_gettime64
#define WORDS(offset) (long)(offset), (long)((offset) >> 32) /* the lower one stands first */
#else
#define SYS_SENDFILE  SYS_sendfile
#define SYS_CLOCK     SYS_clock_gettime
#define WORDS(offset) offset
#endif

/* fstatat; with 32 bits a struct of the kernel's is no struct stat, whose times have 64. */
static inline int stat_at(int folder, const char *name, struct stat *status, int flags)
{
#if __SIZEOF_LONG__ == 4
    struct statx all;
    int result = (int)syscall(SYS_statx, folder, name, flags, STATX_BASIC_STATS, &all);
    if (result == 0)
        *status = (struct stat){.st_mode = all.stx_mode,
                                .st_ino = (ino_t)all.stx_ino,
                                .st_size = (off_t)all.stx_size,
                                .st_mtim.tv_sec = (time_t)all.stx_mtime.tv_sec};
    return result;
#else
    return (int)syscall(SYS_newfstatat, folder, name, status, flags);
#endif
}

#endif
