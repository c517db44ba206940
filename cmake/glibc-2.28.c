/* What became a function of its own in glibc 2.33, for a carom.node that an older one can load
 * (tools/packages): by the functions that are in every glibc of these machines. Without its
 * headers, which declare the same with other types. */

#ifdef __x86_64__
#define STAT_VERSION 1
#else
#define STAT_VERSION 0
#endif
#define HIDDEN __attribute__((visibility("hidden")))

extern int __fxstat(int version, int descriptor, void *status);
extern int __xstat(int version, const char *path, void *status);
extern int __lxstat(int version, const char *path, void *status);

HIDDEN int fstat(int descriptor, void *status)
{
    return __fxstat(STAT_VERSION, descriptor, status);
}

HIDDEN int stat(const char *path, void *status)
{
    return __xstat(STAT_VERSION, path, status);
}

HIDDEN int lstat(const char *path, void *status)
{
    return __lxstat(STAT_VERSION, path, status);
}

/* In programs of 64 bits both kinds of files are one. */
HIDDEN int fstat64(int descriptor, void *status) __attribute__((alias("fstat")));
HIDDEN int stat64(const char *path, void *status) __attribute__((alias("stat")));
HIDDEN int lstat64(const char *path, void *status) __attribute__((alias("lstat")));
