/* Tests of the redirect to https: the target in each of its forms. */
#include "unit/http/simulation.h"

static void every_form_of_target_is_redirected(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *host, *expected;
    } cases[] = {
        {"POST", "/x?y=1", "a.example:80",
         "308 Permanent Redirect\r\nLocation: https://a.example/x?y=1\r\n"},
        {"POST", "http://b.example:1/x?y", "b.example:1", "Location: https://b.example/x?y\r\n"},
        {"POST", "http://b.example", "b.example", "Location: https://b.example/\r\n"},
        {"POST", "http://b.example?y", "b.example", "Location: https://b.example/?y\r\n"},
        {"POST", "http://b.example/x", "other", "Location: https://b.example/x\r\n"},
        {"POST", "/x?u=http://c.example/", "b.example",
         "Location: https://b.example/x?u=http://c.example/\r\n"},
        {"OPTIONS", "*", "b.example", "Location: https://b.example/\r\n"},
        {"POST", "/x", "[2001:db8::1]:8080", "Location: https://[2001:db8::1]/x\r\n"},
        {"POST", "/x", "", "400 Bad Request\r\n"},
    };
    carom_options options = simulation_options();
    begin(&options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        struct carom_peer *peer = connect_peer();
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n\r\n",
                 cases[i].method, cases[i].target, cases[i].host);
        say(peer, text);
        turn();
        assert_int_equal(sim.held_count, 1);
        assert_int_equal(carom_redirect_to_https(sim.held[0], 443), 0);
        release(sim.held[0]);
        turn();
        assert_got(peer, cases[i].expected);
    }
    finish();
}

static void a_port_is_named_unless_it_is_that_of_https(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "POST /x HTTP/1.1\r\nHost: t:1\r\nContent-Length: 1\r\n\r\n");
    turn();
    assert_int_equal(carom_redirect_to_https(sim.held[0], 80), 0);
    release(sim.held[0]);
    turn();
    assert_got(peer, "Location: https://t:80/x\r\n");
    finish();
}

/* What is asked of a proxy is asked of the host. */
static void a_connect_is_redirected_to_its_host(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin(&options);
    static const char *const hosts[] = {"b:1", "b.example:4430"};
    for (size_t i = 0; i < 2; i++) {
        char text[100];
        struct carom_peer *peer = connect_peer();
        snprintf(text, sizeof text, "CONNECT %s HTTP/1.1\r\nHost: c\r\n\r\n", hosts[i]);
        say(peer, text);
        turn();
        assert_int_equal(carom_redirect_to_https(sim.held[0], 443), 0);
        assert_int_equal(carom_redirect_to_https(sim.held[0], 443), -CAROM_ESTATE);
        release(sim.held[0]);
        turn();
        assert_got(peer, "308 Permanent Redirect\r\nLocation: https://c/\r\n");
    }
    finish();
}

/* A target that is too long for the line is not cut. */
static void the_longest_target_is_redirected_whole(void **state)
{
    (void)state;
    enum { MOST = 10 * 1024 - (int)sizeof "https://:65535/" - 1 }; /* with the host "t" */
    static char text[2 * MOST];
    carom_options options = simulation_options();
    options.max_target = 16 * 1024;
    begin(&options);
    for (int over = 0; over < 2; over++) {
        struct carom_peer *peer = connect_peer();
        memset(text, 'x', sizeof text);
        memcpy(text, "POST /", 6);
        strcpy(text + 5 + MOST + over, " HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n");
        say(peer, text);
        turn();
        assert_int_equal(carom_redirect_to_https(sim.held[0], 65535), 0);
        release(sim.held[0]);
        turn();
        assert_got(peer, over ? "HTTP/1.1 414 " : "xxx\r\n");
    }
    finish();
}

static void the_field_for_https_is_a_field(void **state)
{
    (void)state;
    static const carom_field field = CAROM_STRICT_TRANSPORT_SECURITY;
    static const carom_response response = {.status = 200, .fields = &field, .field_count = 1};
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n");
    turn();
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    turn();
    assert_got(peer, "\r\nStrict-Transport-Security: max-age=31536000\r\n");
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_target_is_redirected),
        cmocka_unit_test(a_port_is_named_unless_it_is_that_of_https),
        cmocka_unit_test(a_connect_is_redirected_to_its_host),
        cmocka_unit_test(the_longest_target_is_redirected_whole),
        cmocka_unit_test(the_field_for_https_is_a_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
