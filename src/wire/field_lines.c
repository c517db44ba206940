/* Reads many field lines at once. Control characters are looked for in 64 bytes at a time, and a
 * value ends at the next one; a name ends at a colon in the first block of its line. */
#include "wire/field_lines.h"

#include <string.h>

#include "wire/simd.h"

#ifdef CAROM_SIMD
/* Where control characters are in the 64 bytes from `base` on, by bits; none from `end` on. */
struct controls {
    const uint8_t *data;
    uint32_t base, end;
    uint64_t mask;
};

#define CONTROLS (4 * CAROM_SIMD_BYTES)

static inline uint64_t controls_of(const uint8_t *block)
{
    return carom_simd_bits(carom_simd_controls(carom_simd_load(block)));
}

/* Look from `at` on. Before `end` are as many bytes as a block has, but perhaps not as many as are
 * looked at: then some before `at` are seen, too. */
static inline void find_controls(struct controls *controls, uint32_t at)
{
    const uint8_t *data = controls->data;
    uint32_t end = controls->end;
    if (carom_likely(end >= CONTROLS)) {
        at = at < end - CONTROLS ? at : end - CONTROLS;
        controls->mask = controls_of(data + at) | controls_of(data + at + CAROM_SIMD_BYTES) << 16 |
                         controls_of(data + at + 2 * CAROM_SIMD_BYTES) << 32 |
                         controls_of(data + at + 3 * CAROM_SIMD_BYTES) << 48;
    } else {
        controls->mask = controls_of(data + end - CAROM_SIMD_BYTES) << (end - CAROM_SIMD_BYTES);
        for (; at + CAROM_SIMD_BYTES < end; at += CAROM_SIMD_BYTES)
            controls->mask |= controls_of(data + at) << at;
        at = 0;
    }
    controls->base = at;
}

/* The place of the first control character from `at` on, or `end`. */
static inline uint32_t next_control(struct controls *controls, uint32_t at)
{
    while (at < controls->end) {
        if (at >= controls->base + CONTROLS)
            find_controls(controls, at);
        uint64_t rest = controls->mask >> (at - controls->base);
        if (carom_likely(rest != 0))
            return at + (uint32_t)__builtin_ctzll(rest);
        at = controls->base + CONTROLS;
    }
    return controls->end;
}

static inline bool is_line_end(const uint8_t *data)
{
    uint16_t bytes, line_end;
    memcpy(&bytes, data, 2);
    memcpy(&line_end, "\r\n", 2);
    return bytes == line_end;
}

uint32_t carom_field_lines_read(struct carom_fields *fields, const uint8_t *data, uint32_t at,
                                uint32_t end)
{
    if (end < CAROM_SIMD_BYTES || at >= end)
        return at;
    struct controls controls = {.data = data, .end = end};
    find_controls(&controls, at);
    const uint32_t last_block = end - CAROM_SIMD_BYTES;
    struct carom_field_span *field = fields->spans + fields->count;
    const struct carom_field_span *const no_room = fields->spans + fields->capacity;
    while (field < no_room) {
        uint32_t block = at < last_block ? at : last_block;
        carom_simd bytes = carom_simd_load(data + block);
        uint32_t colon = block + carom_simd_first_not(carom_simd_common_token(bytes), at - block);
        if (colon == at || colon + 2 >= end || data[colon] != ':')
            break;
        uint32_t from = colon + 1 + (data[colon + 1] == ' ');
        uint32_t to = next_control(&controls, from);
        if (to + 1 >= end || !is_line_end(data + to) || data[from] == ' ' || data[to - 1] == ' ')
            break;
        field->name.offset = at;
        field->name.length = colon - at;
        field->value.offset = from;
        field->value.length = to - from;
        field++;
        at = to + 2;
        if (at >= end)
            break;
    }
    fields->count = (uint32_t)(field - fields->spans);
    return at;
}
#else
uint32_t carom_field_lines_read(struct carom_fields *fields, const uint8_t *data, uint32_t at,
                                uint32_t end)
{
    (void)fields, (void)data, (void)end;
    return at;
}
#endif
