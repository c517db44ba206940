/* Server names (RFC 6066, 3), and the certificate that each of them has. */
#ifndef CAROM_TLS_NAMES_H
#define CAROM_TLS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* The longest host name (RFC 1035, 2.3.4), and a zero. */
#define CAROM_TLS_NAME_SIZE 256

struct carom_tls_name {
    char *text; /* lower case */
    size_t index;
};

/* Begins all zero. */
struct carom_tls_names {
    struct carom_tls_name *names; /* sorted, once they are settled */
    size_t count, room;
};

/* Copy a name in lower case, with a zero behind it; false when it is no host's name. */
bool carom_tls_name_copy(char to[CAROM_TLS_NAME_SIZE], const char *from, size_t length);

/* Add a name of certificate `index`; its first label may be "*". 0; -CAROM_EINVAL: it is no host's
 * name; -CAROM_ENOMEM. */
int carom_tls_names_add(struct carom_tls_names *names, const char *text, size_t length,
                        size_t index);
/* All names have been added: make them ready to be found. A name that several certificates have is
 * that of the first, and `same` is called for each of the others. */
void carom_tls_names_settle(struct carom_tls_names *names,
                            void (*same)(void *data, size_t first, size_t other), void *data);
/* The index of the certificate that has a name, or has it by a wildcard for its first label (RFC
 * 9525, 6.3); SIZE_MAX: none has. */
size_t carom_tls_names_find(const struct carom_tls_names *names, const char *name);
void carom_tls_names_finish(struct carom_tls_names *names);

#endif
