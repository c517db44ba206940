/* Tests of what compressed messages cost in memory: nothing for each once they have come, what is
 * said for a window, and nothing when all is quiet; and of each allocation that fails. */
#include "unit/websocket/support.h"

/* Out and back in, as a client whose window is the same would send it. */
static void exchange(struct carom_ws_deflate *deflate, const uint8_t *text, size_t length)
{
    static uint8_t sent[70000];
    carom_slice got;
    assert_true(carom_ws_deflate_message(deflate, &deflaters, text, length, &got));
    size_t size = got.length;
    memcpy(sent, got.data, size);
    assert_int_equal(inflate_copy(deflate, sent, size, true, sizeof sent, &got), 0);
    assert_int_equal(got.length, length);
    assert_memory_equal(got.data, text, length);
}

static void nothing_is_allocated_for_a_message(void **state)
{
    struct carom_ws_deflate takeover = {.agreed = kept}, none = {.agreed = alone};
    static uint8_t text[60000];
    uint64_t seed = 3;
    (void)state;
    write_text(&seed, text, sizeof text);
    for (int warm = 0; warm < 2; warm++) {
        uint64_t taken = carom_memory_taken();
        for (size_t length = 100; length < sizeof text; length *= 3) {
            exchange(&takeover, text, length);
            exchange(&none, text, length);
        }
        if (warm == 1)
            assert_int_equal(carom_memory_taken(), taken);
    }
    uint64_t taken = carom_memory_taken(); /* nor for a socket after another */
    carom_ws_deflate_finish(&takeover, &deflaters);
    exchange(&takeover, text, 1000);
    assert_int_equal(carom_memory_taken(), taken);
    carom_ws_deflate_finish(&takeover, &deflaters);
}

/* What deflate.h says of the default; zlib of other versions may differ a little. */
static void a_window_costs_what_is_said(void **state)
{
    struct carom_ws_deflate takeover = {.agreed = kept};
    carom_slice got;
    (void)state;
    if (is_isal()) /* what all sockets share */
        assert_true(
            carom_ws_deflate_alone(&deflaters, 12, (const uint8_t *)plain, sizeof plain, &got));
    uint64_t before = carom_memory_held() - deflaters.compressed.size;
    assert_true(carom_ws_deflate_message(&takeover, &deflaters, (const uint8_t *)plain,
                                         sizeof plain, &got));
    uint64_t sending = carom_memory_held() - before - deflaters.compressed.size;
    assert_int_equal(inflate_copy(&takeover, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, true, 100, &got),
                     0);
    uint64_t receiving = carom_memory_held() - before - sending - deflaters.compressed.size -
                         deflaters.inflated.size;
    print_message("takeover: %llu bytes to send, %llu to receive\n", (unsigned long long)sending,
                  (unsigned long long)receiving);
    assert_true(sending <= (is_isal() ? 5 : 42) * 1024);
    assert_true(receiving <= 13 * 1024);
    assert_true(sizeof takeover <= 32);
    carom_ws_deflate_finish(&takeover, &deflaters);
}

static void what_is_not_used_is_given_back(void **state)
{
    struct carom_ws_deflate none = {.agreed = alone};
    static uint8_t text[60000];
    uint64_t seed = 4;
    (void)state;
    write_text(&seed, text, sizeof text);
    exchange(&none, text, sizeof text);
    assert_int_equal(deflaters.large != NULL, !is_isal());
    assert_int_equal(deflaters.isal != NULL, is_isal());
    assert_int_equal(deflaters.inflated.size, 64 << 10);
    assert_true(carom_ws_deflaters_tick(&deflaters));
    assert_int_equal(deflaters.large != NULL, !is_isal());
    exchange(&none, text, 1000);
    assert_true(carom_ws_deflaters_tick(&deflaters));
    assert_null(deflaters.large);
    assert_int_equal(deflaters.small != NULL, !is_isal());
    assert_int_equal(deflaters.isal != NULL, is_isal());
    assert_int_equal(deflaters.inflated.size, 64 << 10); /* small enough to be kept */
    for (int i = 0; i < 4; i++)
        (void)carom_ws_deflaters_tick(&deflaters);
    assert_false(carom_ws_deflaters_tick(&deflaters));
    assert_int_equal(carom_memory_held(), 0);
}

static void a_large_room_shrinks_though_it_is_used(void **state)
{
    struct carom_ws_deflate none = {.agreed = alone};
    static uint8_t zeros[300000];
    z_stream peer = {0};
    carom_slice got;
    (void)state;
    assert_int_equal(deflateInit2(&peer, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t size = peer_compress(&peer, zeros, sizeof zeros);
    deflateEnd(&peer);
    assert_int_equal(inflate_copy(&none, peer_bytes, size, true, sizeof zeros, &got), 0);
    assert_int_equal(deflaters.inflated.size, 512 << 10);
    (void)carom_ws_deflaters_tick(&deflaters);
    assert_int_equal(deflaters.inflated.size, 512 << 10);
    exchange(&none, (const uint8_t *)plain, sizeof plain);
    (void)carom_ws_deflaters_tick(&deflaters);
    assert_int_equal(deflaters.inflated.size, 0);
    exchange(&none, (const uint8_t *)plain, sizeof plain);
}

/* Every allocation fails once: what is sent is right or as it is, what comes is right or 1011, and
 * the next message of the socket, too. */
static void every_allocation_may_fail(void **state)
{
    static uint8_t text[40000];
    uint64_t seed = 6;
    z_stream out = {0};
    (void)state;
    write_text(&seed, text, sizeof text);
    assert_int_equal(deflateInit2(&out, 6, Z_DEFLATED, -12, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t size = peer_compress(&out, text, sizeof text);
    uint8_t *message = malloc(size);
    assert_non_null(message);
    memcpy(message, peer_bytes, size);
    deflateEnd(&out);
    uint64_t k = 0, before;
    do {
        before = carom_memory_failed();
        struct carom_ws_deflate sockets[2] = {{.agreed = kept}, {.agreed = alone}};
        z_stream in[2] = {{0}, {0}};
        carom_memory_fail_once_after(k);
        for (int i = 0; i < 6; i++) {
            carom_slice got;
            struct carom_ws_deflate *socket = &sockets[i % 2];
            size_t length = i < 2 ? 1000 : sizeof text;
            if (i < 2)
                assert_int_equal(inflateInit2(&in[i], i == 0 ? -12 : -15), Z_OK);
            if (carom_ws_deflate_message(socket, &deflaters, text, length, &got)) {
                assert_int_equal(peer_inflate(&in[i % 2], got), length);
                assert_memory_equal(peer_bytes, text, length);
            }
            int error =
                carom_ws_inflate(socket, &deflaters, message, size, true, sizeof text, &got);
            if (error == 0)
                assert_memory_equal(got.data, text, sizeof text);
            else
                assert_int_equal(error, -1011);
            if (error < 0)
                carom_ws_deflate_finish(socket, &deflaters);
            if (i % 2 == 1)
                inflateReset(&in[1]);
            else if (error < 0)
                inflateReset(&in[0]);
        }
        carom_memory_fail_after(UINT64_MAX);
        for (int i = 0; i < 2; i++) {
            inflateEnd(&in[i]);
            carom_ws_deflate_finish(&sockets[i], &deflaters);
        }
        carom_ws_deflaters_finish(&deflaters);
        assert_int_equal(carom_memory_held(), 0);
        assert_int_equal(begin(NULL), 0);
        k++;
    } while (carom_memory_failed() > before);
    assert_true(k > (is_isal() ? 5 : 20));
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_allocated_for_a_message, begin, end),
        cmocka_unit_test_setup_teardown(a_window_costs_what_is_said, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_used_is_given_back, begin, end),
        cmocka_unit_test_setup_teardown(a_large_room_shrinks_though_it_is_used, begin, end),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, begin, end),
    };
    int failed = 0;
    for (level = 1; level <= 2; level++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
