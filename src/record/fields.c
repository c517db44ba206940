/* Field tables: growing, looking up. */
#include "record/fields.h"

#include <string.h>
#include <strings.h>

void carom_fields_init(struct carom_fields *fields, struct carom_pool *tables, uint32_t limit)
{
    fields->base = NULL;
    fields->page = NULL;
    fields->spans = fields->here;
    fields->count = 0;
    fields->capacity = limit < CAROM_FIELDS_INLINE ? limit : CAROM_FIELDS_INLINE;
    fields->tables = tables;
    fields->limit = limit;
}

void carom_fields_clear(struct carom_fields *fields)
{
    if (fields->spans != fields->here)
        carom_pool_give(fields->tables, fields->spans);
    fields->spans = fields->here;
    fields->count = 0;
    if (fields->page != NULL)
        carom_page_drop(fields->page);
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

carom_slice carom_fields_next(const struct carom_fields *fields, const char *name, size_t *cursor)
{
    size_t length = strlen(name);
    while (*cursor < fields->count) {
        const struct carom_field_span *span = &fields->spans[(*cursor)++];
        if (span->name.length == length &&
            strncasecmp((const char *)fields->base + span->name.offset, name, length) == 0)
            return carom_fields_slice(fields, span->value);
    }
    return (carom_slice){NULL, 0};
}
