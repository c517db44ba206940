/* Tests of SHA-1, by the vectors of FIPS 180 and RFC 3174, and by each length about a block's. */
#include "unit/base/support.h"

#include <string.h>

#include "base/sha1.h"

static const char *hex(const uint8_t digest[static CAROM_SHA1_BYTES])
{
    static char text[2 * CAROM_SHA1_BYTES + 1];
    for (size_t i = 0; i < CAROM_SHA1_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static const struct {
    const char *text, *digest;
} vectors[] = {
    {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {"0123456701234567012345670123456701234567012345670123456701234567",
     "e0c094e867ef46c350ef54a7f59dd60bed92ae83"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmno"
     "pqrsmnopqrstnopqrstu",
     "a49b2446a02c645bf419f995b67091253a04a259"},
    {"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
     "b37a4f2cc0624f1690f64606cf385945b2bec4ea"}, /* RFC 6455, 1.3 */
};

static void the_vectors_come_out(void **state)
{
    uint8_t digest[CAROM_SHA1_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        carom_sha1(digest, vectors[i].text, strlen(vectors[i].text));
        assert_string_equal(hex(digest), vectors[i].digest);
    }
}

/* The digest of all digests of 0 to 200 times "a", as Python's hashlib has it. */
static void every_length_about_a_block_comes_out(void **state)
{
    uint8_t text[200], digests[201 * CAROM_SHA1_BYTES], digest[CAROM_SHA1_BYTES];
    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length <= sizeof text; length++)
        carom_sha1(digests + length * CAROM_SHA1_BYTES, text, length);
    carom_sha1(digest, digests, sizeof digests);
    assert_string_equal(hex(digest), "f6f332e8f89c35ee3df74d34ef8fda777d9647b9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_come_out),
        cmocka_unit_test(every_length_about_a_block_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
