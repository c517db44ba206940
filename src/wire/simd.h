/* Sixteen bytes at once: SSE2 on x86-64, NEON on 64-bit ARM. Where neither is there, CAROM_SIMD
 * is not defined and bytes are looked at one by one. (AVX2 was measured and does not pay: names and
 * most values fit in one block, and longer ones in few.) */
#ifndef CAROM_WIRE_SIMD_H
#define CAROM_WIRE_SIMD_H

#include <stdbool.h>
#include <stdint.h>

#define CAROM_SIMD_BYTES 16

#if defined(__SSE2__)
#define CAROM_SIMD 1
#include <emmintrin.h>

typedef __m128i carom_simd;

static inline carom_simd carom_simd_load(const uint8_t *data)
{
    return _mm_loadu_si128((const __m128i *)(const void *)data);
}

/* All bytes of a string of 8 to 15, some of them twice. */
static inline carom_simd carom_simd_load_short(const uint8_t *data, uint32_t length)
{
    const __m128i *first = (const void *)data;
    const __m128i *last = (const void *)(data + length - 8);
    return _mm_unpacklo_epi64(_mm_loadl_epi64(first), _mm_loadl_epi64(last));
}

static inline carom_simd carom_simd_equal(carom_simd bytes, uint8_t byte)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)byte));
}

static inline carom_simd carom_simd_at_most(carom_simd bytes, uint8_t highest)
{
    carom_simd bound = _mm_set1_epi8((char)highest);
    return _mm_cmpeq_epi8(_mm_max_epu8(bytes, bound), bound);
}

static inline carom_simd carom_simd_minus(carom_simd bytes, uint8_t byte)
{
    return _mm_sub_epi8(bytes, _mm_set1_epi8((char)byte));
}

static inline carom_simd carom_simd_or(carom_simd a, carom_simd b)
{
    return _mm_or_si128(a, b);
}

/* Those of `b` that are not in `a`. */
static inline carom_simd carom_simd_without(carom_simd a, carom_simd b)
{
    return _mm_andnot_si128(a, b);
}

/* With 0x20 in each byte: letters in lower case. */
static inline carom_simd carom_simd_lower(carom_simd bytes)
{
    return _mm_or_si128(bytes, _mm_set1_epi8(0x20));
}

static inline void carom_simd_store(uint8_t *to, carom_simd bytes)
{
    _mm_storeu_si128((__m128i *)(void *)to, bytes);
}

/* Four bytes, as they lie in memory, four times. */
static inline carom_simd carom_simd_repeat(uint32_t bytes)
{
    return _mm_set1_epi32((int)bytes);
}

static inline carom_simd carom_simd_at_least(carom_simd bytes, uint8_t lowest)
{
    carom_simd bound = _mm_set1_epi8((char)lowest);
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, bound), bound);
}

static inline carom_simd carom_simd_and(carom_simd a, carom_simd b)
{
    return _mm_and_si128(a, b);
}

static inline carom_simd carom_simd_xor(carom_simd a, carom_simd b)
{
    return _mm_xor_si128(a, b);
}

/* Each byte `count` places further on, behind zeros; `count` is a constant. */
#define carom_simd_behind(bytes, count) _mm_slli_si128(bytes, count)

static inline bool carom_simd_is_ascii(carom_simd bytes)
{
    return _mm_movemask_epi8(bytes) == 0;
}

/* Whether a byte is marked. */
static inline bool carom_simd_any(carom_simd marks)
{
    return _mm_movemask_epi8(marks) != 0;
}

/* A bit for each byte that is marked, the first one lowest. */
static inline uint32_t carom_simd_bits(carom_simd marks)
{
    return (uint32_t)_mm_movemask_epi8(marks);
}

#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CAROM_SIMD 1
#include <arm_neon.h>

typedef uint8x16_t carom_simd;

static inline carom_simd carom_simd_load(const uint8_t *data)
{
    return vld1q_u8(data);
}

static inline carom_simd carom_simd_load_short(const uint8_t *data, uint32_t length)
{
    return vcombine_u8(vld1_u8(data), vld1_u8(data + length - 8));
}

static inline carom_simd carom_simd_equal(carom_simd bytes, uint8_t byte)
{
    return vceqq_u8(bytes, vdupq_n_u8(byte));
}

static inline carom_simd carom_simd_at_most(carom_simd bytes, uint8_t highest)
{
    return vcleq_u8(bytes, vdupq_n_u8(highest));
}

static inline carom_simd carom_simd_minus(carom_simd bytes, uint8_t byte)
{
    return vsubq_u8(bytes, vdupq_n_u8(byte));
}

static inline carom_simd carom_simd_or(carom_simd a, carom_simd b)
{
    return vorrq_u8(a, b);
}

static inline carom_simd carom_simd_without(carom_simd a, carom_simd b)
{
    return vbicq_u8(b, a);
}

static inline carom_simd carom_simd_lower(carom_simd bytes)
{
    return vorrq_u8(bytes, vdupq_n_u8(0x20));
}

static inline void carom_simd_store(uint8_t *to, carom_simd bytes)
{
    vst1q_u8(to, bytes);
}

static inline carom_simd carom_simd_repeat(uint32_t bytes)
{
    return vreinterpretq_u8_u32(vdupq_n_u32(bytes));
}

static inline carom_simd carom_simd_at_least(carom_simd bytes, uint8_t lowest)
{
    return vcgeq_u8(bytes, vdupq_n_u8(lowest));
}

static inline carom_simd carom_simd_and(carom_simd a, carom_simd b)
{
    return vandq_u8(a, b);
}

static inline carom_simd carom_simd_xor(carom_simd a, carom_simd b)
{
    return veorq_u8(a, b);
}

#define carom_simd_behind(bytes, count) vextq_u8(vdupq_n_u8(0), bytes, 16 - (count))

static inline bool carom_simd_is_ascii(carom_simd bytes)
{
    return vmaxvq_u8(bytes) < 0x80;
}

static inline bool carom_simd_any(carom_simd marks)
{
    return vmaxvq_u8(marks) != 0;
}

static inline uint32_t carom_simd_bits(carom_simd marks)
{
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t sums = vandq_u8(marks, vld1q_u8(weights));
    for (int i = 0; i < 3; i++)
        sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u16(vreinterpretq_u16_u8(sums), 0);
}
#endif

#ifdef CAROM_SIMD
/* The place of the first byte from `skip` on that is marked, or 16. */
static inline uint32_t carom_simd_first(carom_simd marks, uint32_t skip)
{
    uint32_t bits = carom_simd_bits(marks) | 0x10000;
    return (uint32_t)__builtin_ctz(bits >> skip) + skip;
}

/* The place of the first byte from `skip` on that is not marked, or 16. */
static inline uint32_t carom_simd_first_not(carom_simd marks, uint32_t skip)
{
    uint32_t bits = ~carom_simd_bits(marks);
    return (uint32_t)__builtin_ctz(bits >> skip) + skip;
}

/* Letters, digits and "-": nearly all names have no others. */
static inline carom_simd carom_simd_common_token(carom_simd bytes)
{
    carom_simd letter = carom_simd_at_most(carom_simd_minus(carom_simd_lower(bytes), 'a'), 25);
    carom_simd digit = carom_simd_at_most(carom_simd_minus(bytes, '0'), 9);
    return carom_simd_or(carom_simd_or(letter, digit), carom_simd_equal(bytes, '-'));
}

/* Control characters. */
static inline carom_simd carom_simd_controls(carom_simd bytes)
{
    return carom_simd_or(carom_simd_at_most(bytes, 0x1f), carom_simd_equal(bytes, 0x7f));
}

/* Control characters but HTAB. */
static inline carom_simd carom_simd_not_in_value(carom_simd bytes)
{
    return carom_simd_without(carom_simd_equal(bytes, '\t'), carom_simd_controls(bytes));
}
#endif

#endif
