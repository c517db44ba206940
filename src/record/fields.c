/* Field tables: adding fields, for which a table grows, and finding them by name. */
#include "record/fields.h"

#include <string.h>

static uint32_t inline_capacity(uint32_t limit)
{
    return limit < CAROM_FIELDS_INLINE ? limit : CAROM_FIELDS_INLINE;
}

void carom_fields_init(struct carom_fields *fields, struct carom_pool *tables, uint32_t limit)
{
    fields->base = NULL;
    fields->page = NULL;
    fields->spans = fields->here;
    fields->count = 0;
    fields->capacity = inline_capacity(limit);
    fields->tables = tables;
    fields->limit = limit;
}

void carom_fields_clear(struct carom_fields *fields)
{
    if (fields->spans != fields->here)
        carom_pool_give(fields->tables, fields->spans);
    fields->spans = fields->here;
    fields->count = 0;
    fields->capacity = inline_capacity(fields->limit);
    if (fields->page != NULL)
        carom_page_drop(fields->page);
    fields->base = NULL;
    fields->page = NULL;
}

int carom_fields_grow(struct carom_fields *fields)
{
    if (fields->capacity == fields->limit)
        return -CAROM_ETOOBIG;
    struct carom_field_span *table = carom_pool_take(fields->tables);
    if (table == NULL)
        return -CAROM_ENOMEM;
    memcpy(table, fields->here, fields->count * sizeof *table);
    fields->spans = table;
    fields->capacity = fields->limit;
    return 0;
}

carom_field carom_fields_at(const struct carom_fields *fields, size_t index)
{
    carom_assert(index < fields->count);
    const struct carom_field_span *span = &fields->spans[index];
    return (carom_field){carom_fields_slice(fields, span->name),
                         carom_fields_slice(fields, span->value)};
}

static uint8_t lower_case(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* Not strncasecmp, which follows the locale of the program. */
static bool same_name(const uint8_t *a, const uint8_t *b, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (lower_case(a[i]) != lower_case(b[i]))
            return false;
    return true;
}

carom_slice carom_fields_next(const struct carom_fields *fields, const char *name, size_t *cursor)
{
    size_t length = strlen(name);
    while (*cursor < fields->count) {
        const struct carom_field_span *span = &fields->spans[(*cursor)++];
        if (span->name.length == length &&
            same_name(fields->base + span->name.offset, (const uint8_t *)name, length))
            return carom_fields_slice(fields, span->value);
    }
    return (carom_slice){NULL, 0};
}
