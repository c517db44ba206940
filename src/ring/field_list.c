/* Reads the fields of a message once, since the VM may change them at any time, and checks them. */
#include "ring/field_list.h"

#include <string.h>

#include "base/memory.h"

#define FIRST_FIELDS 32

void carom_field_list_finish(struct carom_field_list *list)
{
    carom_memory_give(list->fields, list->capacity * sizeof *list->fields);
    carom_memory_give(list->copy, list->copy_size);
    *list = (struct carom_field_list){0};
}

void carom_field_list_tick(struct carom_field_list *list)
{
    if (carom_field_list_above_floor(list) && !list->lent)
        carom_field_list_finish(list);
    list->lent = false;
}

/* Room for one more than `count`. */
static bool grow(struct carom_field_list *list, size_t count)
{
    size_t capacity = count == 0 ? FIRST_FIELDS : count * 2;
    carom_field *fields = carom_memory_take(capacity * sizeof *fields);
    if (fields == NULL)
        return false;
    if (count > 0)
        memcpy(fields, list->fields, count * sizeof *fields);
    carom_memory_give(list->fields, list->capacity * sizeof *list->fields);
    list->fields = fields;
    list->capacity = capacity;
    return true;
}

static uint32_t read_length(const uint8_t *at, size_t size)
{
    uint16_t half;
    uint32_t whole;
    if (size == sizeof half) {
        memcpy(&half, at, sizeof half);
        return half;
    }
    memcpy(&whole, at, sizeof whole);
    return whole;
}

/* `size`: the bytes of each of the two lengths. */
static int64_t read_fields(struct carom_field_list *list, const uint8_t *at, size_t length,
                           size_t size, const carom_field **fields)
{
    const uint8_t *end = at + length;
    size_t count = 0;
    while (at < end) {
        if ((size_t)(end - at) <= 2 * size)
            return -CAROM_EFIELD;
        uint32_t name = read_length(at, size), value = read_length(at + size, size);
        at += 2 * size;
        if ((uint64_t)name + value > (uint64_t)(end - at))
            return -CAROM_EFIELD;
        if (count == list->capacity && !grow(list, count))
            return -CAROM_ENOMEM;
        list->fields[count].name = (carom_slice){(const char *)at, name};
        list->fields[count].value = (carom_slice){(const char *)at + name, value};
        at += name + value;
        count++;
    }
    *fields = list->fields;
    return (int64_t)count;
}

int64_t carom_ring_fields_here(struct carom_field_list *list, const uint8_t *at, size_t length,
                               const carom_field **fields)
{
    return read_fields(list, at, length, sizeof(uint16_t), fields);
}

int64_t carom_ring_fields_lent(struct carom_field_list *list, const void *data, size_t length,
                               uint32_t most, const carom_field **fields)
{
    /* No name is empty, so there are no more fields than bytes; but for a reason phrase's. */
    if (length > ((uint64_t)most + 1) * (1 + 2 * sizeof(uint32_t)))
        return -CAROM_ETOOBIG;
    if (length > list->copy_size) {
        uint8_t *copy = carom_memory_take(length);
        if (copy == NULL)
            return -CAROM_ENOMEM;
        carom_memory_give(list->copy, list->copy_size);
        list->copy = copy;
        list->copy_size = length;
    }
    list->lent = true;
    if (length > 0)
        memcpy(list->copy, data, length);
    return read_fields(list, list->copy, length, sizeof(uint32_t), fields);
}
