/* Server names: a sorted table. */
#include "tls/tls_names.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "carom.h"

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct carom_tls_name *)a)->text,
                  ((const struct carom_tls_name *)b)->text);
}

/* Of one name's certificates the first comes first. */
static int order(const void *a, const void *b)
{
    const struct carom_tls_name *left = a, *right = b;
    int by_text = compare(a, b);
    return by_text != 0 ? by_text : (left->index > right->index) - (left->index < right->index);
}

bool carom_tls_name_copy(char to[CAROM_TLS_NAME_SIZE], const char *from, size_t length)
{
    if (length == 0 || length >= CAROM_TLS_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (from[i] <= ' ' || from[i] >= 0x7f)
            return false;
        to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + ('a' - 'A') : from[i]);
    }
    to[length] = '\0';
    return true;
}

int carom_tls_names_add(struct carom_tls_names *names, const char *text, size_t length,
                        size_t index)
{
    char lower[CAROM_TLS_NAME_SIZE];
    if (!carom_tls_name_copy(lower, text, length))
        return -CAROM_EINVAL;
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 8 : 2 * names->room;
        struct carom_tls_name *longer = OPENSSL_realloc(names->names, room * sizeof *longer);
        if (longer == NULL)
            return -CAROM_ENOMEM;
        names->names = longer;
        names->room = room;
    }
    char *copy = OPENSSL_strdup(lower);
    if (copy == NULL)
        return -CAROM_ENOMEM;
    names->names[names->count++] = (struct carom_tls_name){copy, index};
    return 0;
}

void carom_tls_names_settle(struct carom_tls_names *names,
                            void (*same)(void *data, size_t first, size_t other), void *data)
{
    if (names->count == 0)
        return;
    qsort(names->names, names->count, sizeof *names->names, order);
    size_t last = 0;
    for (size_t i = 1; i < names->count; i++) {
        struct carom_tls_name *name = &names->names[i];
        if (compare(name, &names->names[last]) != 0) {
            names->names[++last] = *name;
            continue;
        }
        if (name->index != names->names[last].index)
            same(data, names->names[last].index, name->index);
        OPENSSL_free(name->text);
    }
    names->count = last + 1;
}

static size_t find_exact(const struct carom_tls_names *names, const char *text)
{
    const struct carom_tls_name key = {.text = (char *)(uintptr_t)text};
    const struct carom_tls_name *found =
        names->count == 0
            ? NULL
            : bsearch(&key, names->names, names->count, sizeof *names->names, compare);
    return found == NULL ? SIZE_MAX : found->index;
}

size_t carom_tls_names_find(const struct carom_tls_names *names, const char *name)
{
    char text[CAROM_TLS_NAME_SIZE];
    if (!carom_tls_name_copy(text, name, strlen(name)))
        return SIZE_MAX;
    size_t found = find_exact(names, text);
    char *dot = strchr(text, '.');
    if (found != SIZE_MAX || dot == NULL || dot == text)
        return found;
    dot[-1] = '*';
    return find_exact(names, dot - 1);
}

void carom_tls_names_finish(struct carom_tls_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        OPENSSL_free(names->names[i].text);
    OPENSSL_free(names->names);
}
