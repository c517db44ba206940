/* Tests of compressed messages, with zlib itself as the peer; and the examples of RFC 7692, 7.2.3.
 */
#include "unit/websocket/support.h"

/* ---------------------------------------------------------------- inflating */

static void the_examples_of_the_rfc_are_inflated(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *text;
    } examples[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"},
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, "Hello"},
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello"}, /* a final block */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"},     /* and nothing behind it */
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello"},
        {"\x00", 1, ""},
        {"", 0, ""},
    };
    const struct carom_ws_deflate_agreed *const agreed[] = {&alone, &kept};
    (void)state;
    for (size_t mode = 0; mode < COUNT(agreed); mode++)
        for (size_t k = 0; k < COUNT(examples); k++)
            for (size_t cut = 0; cut <= examples[k].length; cut++) {
                struct carom_ws_deflate deflate = {.agreed = *agreed[mode]};
                char text[6] = "";
                carom_slice got;
                assert_int_equal(inflate_copy(&deflate, examples[k].bytes, cut, false, 5, &got), 0);
                size_t first = got.length;
                memcpy(text, got.data, first);
                assert_int_equal(inflate_copy(&deflate, examples[k].bytes + cut,
                                              examples[k].length - cut, true, 5 - first, &got),
                                 0);
                memcpy(text + first, got.data, got.length);
                assert_string_equal(text, examples[k].text);
                assert_int_equal(
                    inflate_copy(&deflate, examples[k].bytes, examples[k].length, true, 5, &got),
                    0);
                assert_text(got, examples[k].text);
                carom_ws_deflate_finish(&deflate, &deflaters);
            }
}

static void the_window_is_kept_with_takeover_only(void **state)
{
    struct carom_ws_deflate takeover = {.agreed = kept}, none = {.agreed = alone};
    static const char first[] = "\xf2\x48\xcd\xc9\xc9\x07", second[] = "\xf2\x00\x11\x00";
    carom_slice got;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(inflate_copy(&takeover, first, sizeof first, true, 5, &got), 0);
        assert_int_equal(inflate_copy(&takeover, second, sizeof second, true, 5, &got), 0);
        assert_text(got, "Hello");
        assert_int_equal(inflate_copy(&none, first, sizeof first, true, 5, &got), 0);
        assert_int_equal(inflate_copy(&none, second, sizeof second, true, 5, &got), -1007);
    }
    carom_ws_deflate_finish(&takeover, &deflaters);
    carom_ws_deflate_finish(&none, &deflaters);
}

static void a_final_block_keeps_the_window(void **state)
{
    struct carom_ws_deflate ours = {.agreed = kept};
    z_stream peer = {0};
    carom_slice got;
    (void)state;
    assert_int_equal(deflateInit2(&peer, 9, Z_DEFLATED, -12, 8, Z_DEFAULT_STRATEGY), Z_OK);
    peer.next_in = (z_const Bytef *)"a sentence for all";
    peer.avail_in = 18;
    peer.next_out = peer_bytes;
    peer.avail_out = sizeof peer_bytes;
    assert_int_equal(deflate(&peer, Z_FINISH), Z_STREAM_END);
    size_t size = sizeof peer_bytes - peer.avail_out;
    assert_int_equal(inflate_copy(&ours, peer_bytes, size, true, 100, &got), 0);
    assert_text(got, "a sentence for all");
    assert_int_equal(deflateReset(&peer), Z_OK);
    assert_int_equal(deflateSetDictionary(&peer, (const Bytef *)"a sentence for all", 18), Z_OK);
    size = peer_compress(&peer, "a sentence for all", 18);
    assert_true(size < 10);
    assert_int_equal(inflate_copy(&ours, peer_bytes, size, true, 100, &got), 0);
    assert_text(got, "a sentence for all");
    deflateEnd(&peer);
    carom_ws_deflate_finish(&ours, &deflaters);
}

static void what_is_cut_short_is_refused(void **state)
{
    uint8_t text[300];
    uint64_t seed = 5;
    z_stream peer = {0};
    carom_slice got;
    (void)state;
    write_text(&seed, text, sizeof text);
    assert_int_equal(deflateInit2(&peer, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t size = peer_compress(&peer, text, sizeof text);
    deflateEnd(&peer);
    for (size_t length = 1; length < size; length += 300 / rounds(300)) {
        struct carom_ws_deflate shared = {.agreed = alone}, own = {.agreed = kept};
        assert_int_equal(inflate_copy(&shared, peer_bytes, length, true, 1000, &got), -1007);
        assert_int_equal(inflate_copy(&own, peer_bytes, length, true, 1000, &got), -1007);
        carom_ws_deflate_finish(&own, &deflaters);
        assert_int_equal(inflate_copy(&shared, peer_bytes, size, true, 1000, &got), 0);
        assert_memory_equal(got.data, text, sizeof text);
    }
}

static void what_is_no_deflate_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\x06", 1},                 /* the type of block that is none */
        {"\x00\x05\x00\xfa\xfe", 5}, /* a length and not its complement */
        {"\x02\x01\x00", 3},         /* back to before the beginning */
        {"\xf2\x48\xcd\xc9\xc9\x07\x00\x06", 8},
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\x06", 8},
    };
    carom_slice got;
    (void)state;
    for (size_t k = 0; k < COUNT(bad); k++) {
        struct carom_ws_deflate deflate = {.agreed = alone};
        if (inflate_copy(&deflate, bad[k].bytes, bad[k].length, true, 100, &got) != -1007)
            fail_msg("case %zu", k);
    }
}

/* Never more than the limit is inflated, however much would come, in one piece or many. */
static void a_message_over_the_limit_is_not_inflated(void **state)
{
    static uint8_t zeros[300000];
    z_stream peer = {0};
    carom_slice got;
    (void)state;
    assert_int_equal(deflateInit2(&peer, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t size = peer_compress(&peer, zeros, sizeof zeros);
    deflateEnd(&peer);
    struct carom_ws_deflate shared = {.agreed = alone};
    for (size_t limit = 0; limit < 40000; limit = 2 * limit + 1) {
        assert_int_equal(inflate_copy(&shared, peer_bytes, size, true, limit, &got), -1009);
        assert_true(got.length <= limit + 1);
        assert_true(deflaters.inflated.size <= 2 * limit + (16 << 10));
    }
    assert_int_equal(inflate_copy(&shared, peer_bytes, size, true, sizeof zeros - 1, &got), -1009);
    assert_int_equal(inflate_copy(&shared, peer_bytes, size, true, sizeof zeros, &got), 0);
    assert_int_equal(got.length, sizeof zeros);
    struct carom_ws_deflate own = {.agreed = kept};
    size_t left = 1000;
    int error = 0;
    for (size_t i = 0; error == 0; i++) {
        assert_true(i < size);
        error = inflate_copy(&own, peer_bytes + i, 1, false, left, &got);
        left -= error == 0 ? got.length : 0;
    }
    assert_int_equal(error, -1009);
    carom_ws_deflate_finish(&own, &deflaters);
}

/* Of two sockets that share all, messages come in pieces, in turn. */
static void pieces_of_sockets_without_takeover_do_not_mix(void **state)
{
    struct carom_ws_deflate sockets[2] = {{.agreed = alone}, {.agreed = alone}};
    uint8_t text[2][500], bytes[2][800];
    size_t sizes[2], at[2] = {0}, got_of[2] = {0};
    uint64_t seed = 9;
    (void)state;
    for (int k = 0; k < 2; k++) {
        z_stream peer = {0};
        write_text(&seed, text[k], sizeof text[k]);
        assert_int_equal(deflateInit2(&peer, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
        sizes[k] = peer_compress(&peer, text[k], sizeof text[k]);
        memcpy(bytes[k], peer_bytes, sizes[k]);
        deflateEnd(&peer);
    }
    for (int k = 0; at[0] < sizes[0] || at[1] < sizes[1]; k = 1 - k) {
        size_t piece = sizes[k] - at[k] < 7 ? sizes[k] - at[k] : 7;
        carom_slice got;
        if (piece == 0)
            continue;
        at[k] += piece;
        assert_int_equal(inflate_copy(&sockets[k], bytes[k] + at[k] - piece, piece,
                                      at[k] == sizes[k], 500, &got),
                         0);
        assert_memory_equal(got.data, text[k] + got_of[k], got.length);
        got_of[k] += got.length;
    }
    assert_int_equal(got_of[0], 500);
    assert_int_equal(got_of[1], 500);
    assert_null(sockets[0].inflater); /* given back with the message */
    assert_null(sockets[1].inflater);
}

/* ---------------------------------------------------------------- both ways */

/* Runs of what was sent before, from near and far, so that there is something to refer to. */
static void quote(uint64_t *seed, uint8_t *text, size_t length, const uint8_t *former,
                  size_t former_length)
{
    for (int i = 0; i < 8 && former_length > 40 && length > 40; i++)
        memcpy(text + random_below(seed, length - 40),
               former + random_below(seed, former_length - 40), 40);
}

/* Messages of any length out and in, for each window, with takeover and without, in random pieces.
 */
static void messages_go_out_and_in(void **state)
{
    static uint8_t text[20000], back[20000], former[240000];
    uint64_t seed = random_seed("deflate");
    (void)state;
    for (unsigned round = 0; round < 56; round += 56 / rounds(56)) {
        uint8_t bits = (uint8_t)(8 + round % 8);
        bool takeover = bits > 8 && round / 8 % 2 == 1;
        struct carom_ws_deflate ours = {.agreed = {.used = true,
                                                   .client_no_takeover = !takeover,
                                                   .server_no_takeover = !takeover,
                                                   .client_bits = bits,
                                                   .server_bits = bits}};
        z_stream out = {0}, in = {0};
        assert_int_equal(inflateInit2(&in, -bits), Z_OK);
        assert_int_equal(
            deflateInit2(&out, 6, Z_DEFLATED, bits > 8 ? -bits : -9, 8, Z_DEFAULT_STRATEGY), Z_OK);
        size_t former_length = 0;
        for (int k = 0; k < 12; k++) {
            size_t length = 1 + random_below(&seed, k % 3 == 0 ? sizeof text : 400);
            carom_slice got;
            write_text(&seed, text, length);
            quote(&seed, text, length, former, former_length);
            if (carom_ws_deflate_message(&ours, &deflaters, text, length, &got)) {
                assert_int_equal(peer_inflate(&in, got), length);
                assert_memory_equal(peer_bytes, text, length);
            }
            size_t size = peer_compress(&out, text, length), got_back = 0;
            for (size_t i = 0, piece; i < size; i += piece) {
                piece = 1 + random_below(&seed, size - i);
                assert_int_equal(inflate_copy(&ours, peer_bytes + i, piece, i + piece == size,
                                              length - got_back, &got),
                                 0);
                memcpy(back + got_back, got.data, got.length);
                got_back += got.length;
            }
            assert_int_equal(got_back, length);
            assert_memory_equal(back, text, length);
            memcpy(former + former_length, text, length);
            former_length += length;
            if (!takeover) {
                inflateReset(&in);
                deflateReset(&out);
            }
        }
        inflateEnd(&in);
        deflateEnd(&out);
        carom_ws_deflate_finish(&ours, &deflaters);
    }
}

static void takeover_refers_to_the_message_before(void **state)
{
    struct carom_ws_deflate takeover = {.agreed = kept}, none = {.agreed = alone};
    carom_slice first, second;
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct carom_ws_deflate *deflate = k == 0 ? &takeover : &none;
        assert_true(carom_ws_deflate_message(deflate, &deflaters, (const uint8_t *)plain,
                                             sizeof plain, &first));
        assert_true(carom_ws_deflate_message(deflate, &deflaters, (const uint8_t *)plain,
                                             sizeof plain, &second));
        if (k == 0)
            assert_true(second.length < 12);
        else
            assert_int_equal(second.length, first.length);
    }
    carom_ws_deflate_forget(&takeover, &deflaters);
    assert_true(carom_ws_deflate_message(&takeover, &deflaters, (const uint8_t *)plain,
                                         sizeof plain, &second));
    assert_int_equal(second.length, first.length);
    carom_ws_deflate_finish(&takeover, &deflaters);
}

/* A message for many between two of its own: the peer with takeover has all three. */
static void what_was_compressed_for_many_goes_to_one_with_takeover(void **state)
{
    struct carom_ws_deflate takeover = {.agreed = kept};
    const uint8_t *text = (const uint8_t *)plain;
    z_stream peer = {0};
    carom_slice got;
    (void)state;
    assert_int_equal(inflateInit2(&peer, -12), Z_OK);
    for (int k = 0; k < 4; k++) {
        if (k % 2 == 0) {
            assert_true(carom_ws_deflate_message(&takeover, &deflaters, text, sizeof plain, &got));
        } else {
            assert_true(carom_ws_deflate_alone(&deflaters, 12, text, sizeof plain, &got));
            carom_ws_deflate_forget(&takeover, &deflaters);
        }
        assert_int_equal(peer_inflate(&peer, got), sizeof plain);
        assert_memory_equal(peer_bytes, plain, sizeof plain);
    }
    inflateEnd(&peer);
    carom_ws_deflate_finish(&takeover, &deflaters);
}

static void what_does_not_pay_is_sent_as_it_is(void **state)
{
    struct carom_ws_deflate takeover = {.agreed = kept}, none = {.agreed = alone};
    const uint8_t *text = (const uint8_t *)plain;
    carom_slice got;
    (void)state;
    assert_false(carom_ws_deflate_message(&takeover, &deflaters, NULL, 0, &got));
    assert_false(carom_ws_deflate_message(&none, &deflaters, NULL, 0, &got));
    assert_false(carom_ws_deflate_message(&none, &deflaters, (const uint8_t *)"xyz", 3, &got));
    /* A stream of zlib has taken it over, so that it must go. */
    assert_int_equal(
        carom_ws_deflate_message(&takeover, &deflaters, (const uint8_t *)"xyz", 3, &got),
        !is_isal());
    deflaters.threshold = 30;
    assert_false(carom_ws_deflate_message(&takeover, &deflaters, text, 29, &got));
    assert_false(carom_ws_deflate_message(&none, &deflaters, text, 29, &got));
    assert_true(carom_ws_deflate_message(&takeover, &deflaters, text, 30, &got));
    assert_true(carom_ws_deflate_message(&none, &deflaters, text, 60, &got));
    carom_ws_deflate_finish(&takeover, &deflaters);
}

static void what_was_sent_as_it_is_is_not_referred_to(void **state)
{
    struct carom_ws_deflate ours = {.agreed = kept};
    uint8_t text[600];
    uint64_t seed = 12;
    z_stream peer = {0};
    carom_slice got;
    (void)state;
    for (size_t i = 0; i < 300; i++)
        text[i] = text[300 + i] = (uint8_t)random_below(&seed, 256);
    assert_int_equal(inflateInit2(&peer, -12), Z_OK);
    bool sent = carom_ws_deflate_message(&ours, &deflaters, text, 300, &got);
    assert_int_equal(sent, !is_isal());
    if (sent)
        assert_int_equal(peer_inflate(&peer, got), 300);
    assert_true(carom_ws_deflate_message(&ours, &deflaters, text, sizeof text, &got));
    assert_int_equal(peer_inflate(&peer, got), sizeof text);
    assert_memory_equal(peer_bytes, text, sizeof text);
    inflateEnd(&peer);
    carom_ws_deflate_finish(&ours, &deflaters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_examples_of_the_rfc_are_inflated, begin, end),
        cmocka_unit_test_setup_teardown(the_window_is_kept_with_takeover_only, begin, end),
        cmocka_unit_test_setup_teardown(a_final_block_keeps_the_window, begin, end),
        cmocka_unit_test_setup_teardown(what_is_cut_short_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_deflate_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_message_over_the_limit_is_not_inflated, begin, end),
        cmocka_unit_test_setup_teardown(pieces_of_sockets_without_takeover_do_not_mix, begin, end),
        cmocka_unit_test_setup_teardown(messages_go_out_and_in, begin, end),
        cmocka_unit_test_setup_teardown(takeover_refers_to_the_message_before, begin, end),
        cmocka_unit_test_setup_teardown(what_was_compressed_for_many_goes_to_one_with_takeover,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_pay_is_sent_as_it_is, begin, end),
        cmocka_unit_test_setup_teardown(what_was_sent_as_it_is_is_not_referred_to, begin, end),
    };
    int failed = 0;
    for (level = 1; level <= 2; level++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
