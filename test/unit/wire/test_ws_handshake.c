/* Tests of WebSocket's handshake: the example of RFC 6455, tables of offers, subprotocols and
 * origins. */
#include "unit/wire/support.h"

#include "wire/ws_handshake.h"

static void the_example_of_the_rfc_is_answered(void **state)
{
    char accept[CAROM_WS_ACCEPT_BYTES];
    (void)state;
    carom_ws_accept(accept, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", sizeof accept);
}

static void keys_are_sixteen_bytes(void **state)
{
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    (void)state;
    assert_true(carom_ws_key_is_valid(slice(key)));
    assert_true(carom_ws_key_is_valid(slice("+/azAZ09+/azAZ09+/azAQ==")));
    for (size_t length = 0; length < 24; length++)
        assert_false(carom_ws_key_is_valid((carom_slice){key, length}));
    assert_false(carom_ws_key_is_valid(slice("dGhlIHNhbXBsZSBub25jZQ===")));
    assert_false(carom_ws_key_is_valid(slice("dGhlIHNhbXBsZSBub25jZQA="))); /* 17 bytes */
    assert_false(carom_ws_key_is_valid(slice("dGhlIHNhbXBsZSBub25jZQAA")));
    for (size_t place = 0; place < 24; place++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char changed[25];
            memcpy(changed, key, 25);
            changed[place] = (char)byte;
            bool letter = byte != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                              "0123456789+/",
                                              (int)byte) != NULL;
            bool expected = place < 22 ? letter : byte == '=';
            if (carom_ws_key_is_valid((carom_slice){changed, 24}) != expected)
                fail_msg("%02x at %zu", byte, place);
        }
}

#define BOTH_NONE "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/* What is answered without takeover, and with a window of 2^12; NULL: 400; "": nothing. */
static const struct {
    const char *offers, *shared, *kept;
} offers[] = {
    {"permessage-deflate", BOTH_NONE,
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
    {"permessage-deflate; client_max_window_bits", BOTH_NONE,
     "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
    {"permessage-deflate ;\tclient_max_window_bits = 10", BOTH_NONE,
     "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10"},
    {"permessage-deflate; client_max_window_bits=15", BOTH_NONE,
     "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
    {"permessage-deflate; client_max_window_bits=8", BOTH_NONE,
     "permessage-deflate; server_max_window_bits=12; client_max_window_bits=8"},
    {"permessage-deflate; server_max_window_bits=10", BOTH_NONE "; server_max_window_bits=10",
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"},
    {"permessage-deflate; server_max_window_bits=15", BOTH_NONE "; server_max_window_bits=15",
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
    {"permessage-deflate; server_max_window_bits=8", BOTH_NONE "; server_max_window_bits=8",
     BOTH_NONE "; server_max_window_bits=8"},
    {"permessage-deflate; server_no_context_takeover; client_max_window_bits", BOTH_NONE,
     "permessage-deflate; server_no_context_takeover; client_max_window_bits=12"},
    {"permessage-deflate; client_no_context_takeover; client_max_window_bits", BOTH_NONE,
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
    {"permessage-deflate; server_max_window_bits=\"1\\0\"", BOTH_NONE "; server_max_window_bits=10",
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"},
    /* passed over, one by one */
    {"permessage-deflate; server_max_window_bits", "", ""},
    {"permessage-deflate; server_max_window_bits=7", "", ""},
    {"permessage-deflate; server_max_window_bits=16", "", ""},
    {"permessage-deflate; server_max_window_bits=08", "", ""},
    {"permessage-deflate; server_max_window_bits=010", "", ""},
    {"permessage-deflate; server_max_window_bits=100", "", ""},
    {"permessage-deflate; server_max_window_bits=80", "", ""},
    {"permessage-deflate; server_max_window_bits=9x", "", ""},
    {"permessage-deflate; server_max_window_bits=1", "", ""},
    {"permessage-deflate; server_max_window_bits=25", "", ""},
    {"permessage-deflate; server_max_window_bits=\"100\"", "", ""},
    {"permessage-deflate; server_max_window_bits=x", "", ""},
    {"permessage-deflate; client_max_window_bits=7", "", ""},
    {"permessage-deflate; client_max_window_bits=16", "", ""},
    {"permessage-deflate; client_max_window_bits; client_max_window_bits=10", "", ""},
    {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "", ""},
    {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "", ""},
    {"permessage-deflate; client_no_context_takeover=1", "", ""},
    {"permessage-deflate; server_no_context_takeover=\"true\"", "", ""},
    {"permessage-deflate; unknown", "", ""},
    {"permessage-deflate; unknown=5", "", ""},
    {"x-webkit-deflate-frame", "", ""},
    {"permessage-deflatex", "", ""},
    {"Permessage-Deflate", "", ""},
    {"foo; a=\"b\"; c, permessage-deflate; unknown, permessage-deflate, permessage-deflate; "
     "server_max_window_bits=9",
     BOTH_NONE, "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
    {" , permessage-deflate ,, ", BOTH_NONE,
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
    /* no lists */
    {"", NULL, NULL},
    {" , ", NULL, NULL},
    {"permessage-deflate;", NULL, NULL},
    {"permessage-deflate; ;", NULL, NULL},
    {"permessage-deflate; a=", NULL, NULL},
    {"permessage-deflate; a=\"", NULL, NULL},
    {"permessage-deflate; a=\"\"", NULL, NULL},
    {"permessage-deflate; a=\"b", NULL, NULL},
    {"permessage-deflate; a=\"b\\", NULL, NULL},
    {"permessage-deflate; a=\"b c\"", NULL, NULL},
    {"permessage-deflate; a=\"b\"c", NULL, NULL},
    {"permessage-deflate; =5", NULL, NULL},
    {"permessage-deflate client_max_window_bits", NULL, NULL},
    {"permessage-deflate, foo bar", NULL, NULL},
    {"permessage-deflate, \"foo\"", NULL, NULL},
    {"; a", NULL, NULL},
};

static void check_answer(const char *offer, const struct carom_ws_deflate_wanted *wanted,
                         const char *expected)
{
    struct carom_ws_deflate_agreed agreed = {.client_bits = 99};
    char answer[CAROM_WS_EXTENSIONS_BYTES];
    uint8_t *copy = exact(offer, strlen(offer));
    const carom_slice value = {(char *)copy, strlen(offer)};
    int length = carom_ws_deflate_agree(&agreed, wanted, &value, 1, answer);
    free(copy);
    if (expected == NULL
            ? length != -CAROM_EFIELD
            : length != (int)strlen(expected) || memcmp(answer, expected, (size_t)length) != 0)
        fail_msg("\"%s\": %d, \"%.*s\"", offer, length, length < 0 ? 0 : length, answer);
    assert_int_equal(agreed.used, length > 0);
    if (length <= 0) {
        assert_int_equal(agreed.client_bits, 0);
        return;
    }
    char text[CAROM_WS_EXTENSIONS_BYTES + 1];
    snprintf(text, sizeof text, "%.*s", length, answer);
    const char *server = strstr(text, "server_max_window_bits="),
               *client = strstr(text, "client_max_window_bits=");
    assert_int_equal(agreed.server_no_takeover, strstr(text, "server_no_") != NULL);
    assert_int_equal(agreed.client_no_takeover, strstr(text, "client_no_") != NULL);
    assert_int_equal(agreed.server_bits, server != NULL ? atoi(server + 23) : 15);
    assert_int_equal(agreed.client_bits, client != NULL ? atoi(client + 23) : 15);
}

static void offers_are_accepted_or_passed_over(void **state)
{
    const struct carom_ws_deflate_wanted shared = {.takeover = false},
                                         kept = {.takeover = true, .bits = 12};
    (void)state;
    for (size_t k = 0; k < COUNT(offers); k++) {
        check_answer(offers[k].offers, &shared, offers[k].shared);
        check_answer(offers[k].offers, &kept, offers[k].kept);
    }
}

static void a_full_window_is_kept_for_whom_bounds_none(void **state)
{
    const struct carom_ws_deflate_wanted wanted = {.takeover = true, .bits = 15};
    (void)state;
    check_answer("permessage-deflate", &wanted, "permessage-deflate");
    check_answer("permessage-deflate; client_max_window_bits", &wanted, "permessage-deflate");
    check_answer("permessage-deflate; client_max_window_bits=11", &wanted,
                 "permessage-deflate; client_max_window_bits=11");
    check_answer("permessage-deflate; server_max_window_bits=15", &wanted,
                 "permessage-deflate; server_max_window_bits=15");
}

static void lines_of_a_field_are_one_list(void **state)
{
    const struct carom_ws_deflate_wanted wanted = {.takeover = false};
    struct carom_ws_deflate_agreed agreed;
    char answer[CAROM_WS_EXTENSIONS_BYTES];
    const carom_slice values[] = {CAROM_SLICE("foo"), CAROM_SLICE("permessage-deflate"),
                                  CAROM_SLICE("bar;")};
    (void)state;
    assert_int_equal(carom_ws_deflate_agree(&agreed, &wanted, values, 0, answer), 0);
    assert_int_equal(carom_ws_deflate_agree(&agreed, &wanted, values, 1, answer), 0);
    assert_int_equal(carom_ws_deflate_agree(&agreed, &wanted, values, 2, answer),
                     strlen(BOTH_NONE));
    assert_true(agreed.used);
    assert_int_equal(carom_ws_deflate_agree(&agreed, &wanted, values, 3, answer), -CAROM_EFIELD);
    assert_false(agreed.used);
}

static const struct {
    const char *offered;
    int chosen; /* of chat, superchat */
} protocols[] = {
    {"chat", 0},
    {"superchat", 1},
    {"superchat, chat", 1},
    {"foo , superchat\t,bar", 1},
    {",chat,", 0},
    {"Chat", CAROM_WS_NO_PROTOCOL},
    {"cha", CAROM_WS_NO_PROTOCOL},
    {"chats", CAROM_WS_NO_PROTOCOL},
    {"chat, chat", -CAROM_EFIELD},
    {"foo, chat, foo", -CAROM_EFIELD},
    {"", -CAROM_EFIELD},
    {" ,", -CAROM_EFIELD},
    {"chat superchat", -CAROM_EFIELD},
    {"chat, \"foo\"", -CAROM_EFIELD},
    {"chat, a/b", -CAROM_EFIELD},
    {"chat; q=1", -CAROM_EFIELD},
};

static void the_first_protocol_that_is_ours_is_chosen(void **state)
{
    static const carom_slice ours[] = {CAROM_SLICE("chat"), CAROM_SLICE("superchat")};
    const carom_slice lines[] = {CAROM_SLICE("foo"), CAROM_SLICE("superchat"), CAROM_SLICE("foo")};
    (void)state;
    for (size_t k = 0; k < COUNT(protocols); k++) {
        uint8_t *copy = exact(protocols[k].offered, strlen(protocols[k].offered));
        const carom_slice value = {(char *)copy, strlen(protocols[k].offered)};
        int chosen = carom_ws_protocol_choose(&value, 1, ours, 2);
        if (chosen != protocols[k].chosen)
            fail_msg("\"%s\": %d", protocols[k].offered, chosen);
        free(copy);
    }
    assert_int_equal(carom_ws_protocol_choose(lines, 0, ours, 2), CAROM_WS_NO_PROTOCOL);
    assert_int_equal(carom_ws_protocol_choose(lines, 2, ours, 2), 1);
    assert_int_equal(carom_ws_protocol_choose(lines, 3, ours, 2), -CAROM_EFIELD);
    assert_int_equal(carom_ws_protocol_choose(lines, 2, NULL, 0), CAROM_WS_NO_PROTOCOL);
}

static void no_more_protocols_are_compared_than_the_limit(void **state)
{
    char text[6 * CAROM_WS_PROTOCOLS + 6];
    size_t length = 0;
    (void)state;
    for (int i = 0; i <= CAROM_WS_PROTOCOLS; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, ",p%03d", i);
    const carom_slice most = {text, length - 5}, more = {text, length};
    assert_int_equal(carom_ws_protocol_choose(&most, 1, NULL, 0), CAROM_WS_NO_PROTOCOL);
    assert_int_equal(carom_ws_protocol_choose(&more, 1, NULL, 0), -CAROM_EFIELD);
}

static const struct {
    const char *origin, *host;
    bool clear, secure; /* whether it is the same on such a connection */
} origins[] = {
    {"http://example.com", "example.com", true, false},
    {"https://example.com", "example.com", true, true},
    {"HTTPS://Example.COM", "eXample.com", true, true},
    {"http://example.com", "example.com:80", true, false},
    {"http://example.com:80", "example.com", true, false},
    {"https://example.com", "example.com:443", true, true},
    {"https://example.com:443", "example.com", true, true},
    {"https://example.com", "example.com:80", false, false},
    {"http://example.com:8080", "example.com:8080", true, false},
    {"http://example.com:8080", "example.com:8081", false, false},
    {"http://example.com:8080", "example.com", false, false},
    {"http://example.com", "example.com:8080", false, false},
    {"http://example.com", "example.org", false, false},
    {"http://example.com.evil.org", "example.com", false, false},
    {"http://evil-example.com", "example.com", false, false},
    {"http://example.com@evil.org", "example.com", false, false},
    {"http://example.com:80@evil.org", "example.com", false, false},
    {"http://example.com/", "example.com", false, false},
    {"http://a[b.com", "a{b.com", false, false}, /* these differ in the bit of case, too */
    {"http://[::1]:8080", "[::1]:8080", true, false},
    {"http://[::1]", "[::1]:80", true, false},
    {"http://[::1]", "[::2]", false, false},
    {"http://a:65535", "a:65535", true, false},
    {"http://a:65536", "a:65536", false, false},
    {"http://80", "80", true, false}, /* a host of digits, and one that is as short as can be */
    {"http://80", "80:80", true, false},
    {"http://80:81", "80:81", true, false},
    {"http://a:", "a", true, false}, /* an empty port is none */
    {"http://a:", "a:80", true, false},
    {"http://a:", "a:81", false, false},
    {"foo+://example.com", "example.com", false, false}, /* as long as http:// is */
    {"httpx://example.com", "/example.com", false, false},
    {"https://example.com:443", "example.com:4294967739", false, false},
    {"https://example.com:65979", "example.com:65979", false, false},
    {"ws://example.com", "example.com", false, false},
    {"file://", "example.com", false, false},
    {"http://", "example.com", false, false},
    {"http://", "", false, false},
    {"null", "null", false, false},
    {"", "", false, false},
    {"example.com", "example.com", false, false},
};

static void the_same_origin_is_told(void **state)
{
    static const carom_slice same[] = {CAROM_SLICE("https://other.org"), CAROM_SLICE("same")};
    (void)state;
    for (size_t k = 0; k < COUNT(origins); k++)
        for (int secure = 0; secure < 2; secure++) {
            uint8_t *copy = exact(origins[k].origin, strlen(origins[k].origin));
            uint8_t *host = exact(origins[k].host, strlen(origins[k].host));
            carom_slice origin = {(char *)copy, strlen(origins[k].origin)};
            carom_slice ours = {(char *)host, strlen(origins[k].host)};
            bool expected = secure ? origins[k].secure : origins[k].clear;
            if (carom_ws_origin_is_allowed(origin, secure, ours, NULL, 0) != expected ||
                carom_ws_origin_is_allowed(origin, secure, ours, same, 2) != expected ||
                carom_ws_origin_is_allowed(origin, secure, ours, same, 1))
                fail_msg("%s at %s, secure %d", origins[k].origin, origins[k].host, secure);
            free(copy);
            free(host);
        }
}

static void origins_of_a_list_are_allowed(void **state)
{
    static const carom_slice list[] = {CAROM_SLICE("https://a.example"), CAROM_SLICE("null")};
    static const carom_slice all[] = {CAROM_SLICE("*")};
    const carom_slice host = CAROM_SLICE("b.example");
    const carom_slice none = {NULL, 0};
    (void)state;
    assert_true(carom_ws_origin_is_allowed(slice("https://a.example"), true, host, list, 2));
    assert_true(carom_ws_origin_is_allowed(slice("https://A.example"), true, host, list, 2));
    assert_true(carom_ws_origin_is_allowed(slice("null"), true, host, list, 2));
    assert_false(carom_ws_origin_is_allowed(slice("http://a.example"), true, host, list, 2));
    assert_false(carom_ws_origin_is_allowed(slice("https://a.example:8443"), true, host, list, 2));
    assert_false(carom_ws_origin_is_allowed(slice("https://b.example"), true, host, list, 2));
    assert_true(carom_ws_origin_is_allowed(slice("https://c.example"), true, host, all, 1));
    assert_true(carom_ws_origin_is_allowed(none, true, host, list, 2));
    assert_false(carom_ws_origin_is_allowed(slice(""), true, host, list, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_is_answered),
        cmocka_unit_test(keys_are_sixteen_bytes),
        cmocka_unit_test(offers_are_accepted_or_passed_over),
        cmocka_unit_test(a_full_window_is_kept_for_whom_bounds_none),
        cmocka_unit_test(lines_of_a_field_are_one_list),
        cmocka_unit_test(the_first_protocol_that_is_ours_is_chosen),
        cmocka_unit_test(no_more_protocols_are_compared_than_the_limit),
        cmocka_unit_test(the_same_origin_is_told),
        cmocka_unit_test(origins_of_a_list_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
