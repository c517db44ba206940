/* Server names (RFC 6066, 3), and which certificate is each one's. */
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

/* Copy in lower case, with an end; false for what is no host's name. */
bool carom_tls_name_copy(char to[CAROM_TLS_NAME_SIZE], const char *from, size_t length);

/* Add a name, perhaps with "*" for its first label, of certificate `index`. 0; -CAROM_EINVAL: that
 * is no host's name; -CAROM_ENOMEM. */
int carom_tls_names_add(struct carom_tls_names *names, const char *text, size_t length,
                        size_t index);
/* All are there: make them ready to be looked up. Where a name has several certificates the first
 * has it, and `same` is told of each of the others. */
void carom_tls_names_settle(struct carom_tls_names *names,
                            void (*same)(void *data, size_t first, size_t other), void *data);
/* Whose a name is: exact, or by a wildcard for its first label (RFC 9525, 6.3). SIZE_MAX: nobody's.
 */
size_t carom_tls_names_find(const struct carom_tls_names *names, const char *name);
void carom_tls_names_finish(struct carom_tls_names *names);

#endif
