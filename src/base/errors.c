/* The names and texts of errors and reasons, from the tables of carom.h, and the translation of
 * errno into errors. */
#include "base/errors.h"

#include <errno.h>

#include "carom.h"

struct entry {
    const char *name;
    const char *text;
};

/* By number. Numbers that the table does not use stay empty. */
static const struct entry errors[] = {[0] = {"CAROM_OK", "no error"},
#define X(name, number, text) [number] = {"CAROM_" #name, text},
                                      CAROM_ERROR_TABLE(X)
#undef X
};

static const char *const reason_texts[CAROM_REASON_COUNT] = {
#define X(name, text) text,
    CAROM_REASON_TABLE(X)
#undef X
};

/* The preprocessor cannot make lower case; that these are the names of the table, in its order, is
 * tested. */
static const char *const reason_names[] = {
    "none",       "complete",       "client-closed", "client-reset",  "bad-request",
    "over-limit", "header-timeout", "body-timeout",  "write-timeout", "handler-timeout",
    "abandoned",  "canceled",       "shutdown",      "no-memory",     "file-failed",
};

_Static_assert(sizeof reason_names / sizeof reason_names[0] == CAROM_REASON_COUNT,
               "one name for each reason");

static const struct entry *find_error(int error)
{
    static const struct entry unknown = {"CAROM_UNKNOWN", "unknown error"};
    /* Unsigned, because the least int has no positive. */
    unsigned number = error < 0 ? 0u - (unsigned)error : (unsigned)error;
    if (number >= sizeof errors / sizeof errors[0] || errors[number].name == NULL)
        return &unknown;
    return &errors[number];
}

const char *carom_error_name(int error)
{
    return find_error(error)->name;
}

const char *carom_error_text(int error)
{
    return find_error(error)->text;
}

const char *carom_reason_name(carom_reason reason)
{
    return (unsigned)reason < CAROM_REASON_COUNT ? reason_names[reason] : "unknown";
}

const char *carom_reason_text(carom_reason reason)
{
    return (unsigned)reason < CAROM_REASON_COUNT ? reason_texts[reason] : "unknown reason";
}

const char *carom_version(void)
{
    return CAROM_VERSION;
}

int carom_error_from_errno(int error)
{
    switch (error) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
        return -CAROM_EAGAIN;
    case ECANCELED:
        return -CAROM_ECANCELED;
    case EINVAL:
        return -CAROM_EINVAL;
    case ENOMEM:
    case ENOBUFS:
        return -CAROM_ENOMEM;
    case EMSGSIZE:
    case E2BIG:
        return -CAROM_ETOOBIG;
    case EADDRINUSE:
        return -CAROM_EADDRINUSE;
    case EADDRNOTAVAIL:
        return -CAROM_EADDRNOTAVAIL;
    case EACCES:
    case EPERM:
    case EROFS:
        return -CAROM_EACCES;
    case ENOENT:
    case ENOTDIR:
    case EBADF:
        return -CAROM_ENOENT;
    case EMFILE:
    case ENFILE:
        return -CAROM_EMFILE;
    case ENOTSOCK:
    case ENAMETOOLONG:
        return -CAROM_EADDRESS;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EOPNOTSUPP:
    case ENOSYS:
        return -CAROM_EUNSUPPORTED;
    default:
        return -CAROM_ESYSTEM;
    }
}
