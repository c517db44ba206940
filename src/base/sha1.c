/* SHA-1 of bytes that are all there: blocks of 64 as they lie, and one or two with the end. */
#include "base/sha1.h"

#include <string.h>

#define BLOCK 64

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t load(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static void store(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* FIPS 180-4, 4.1.1 and 4.2.1. */
static uint32_t mixed(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) ^ (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void add_block(uint32_t hash[static 5], const uint8_t *block)
{
    uint32_t words[80];
    for (unsigned i = 0; i < 16; i++)
        words[i] = load(block + 4 * i);
    for (unsigned i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (unsigned i = 0; i < 80; i++) {
        uint32_t next = rotate(a, 5) + mixed(i, b, c, d) + e + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

void carom_sha1(uint8_t digest[static CAROM_SHA1_BYTES], const void *data, size_t length)
{
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *bytes = data;
    size_t left = length;
    for (; left >= BLOCK; left -= BLOCK, bytes += BLOCK)
        add_block(hash, bytes);
    uint8_t end[2 * BLOCK] = {0};
    size_t size = left + 1 + 8 <= BLOCK ? BLOCK : 2 * BLOCK;
    if (left > 0)
        memcpy(end, bytes, left);
    end[left] = 0x80;
    store(end + size - 8, (uint32_t)((uint64_t)length >> 29));
    store(end + size - 4, (uint32_t)((uint64_t)length << 3));
    for (size_t i = 0; i < size; i += BLOCK)
        add_block(hash, end + i);
    for (unsigned i = 0; i < 5; i++)
        store(digest + 4 * i, hash[i]);
}
