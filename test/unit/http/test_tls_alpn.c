/* Which protocol a connection of TLS speaks: what was agreed on (RFC 7301), or what its first bytes
 * say where nothing was. */
#include "unit/http/tls_client.h"

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define REQUEST  "GET /now HTTP/1.1\r\nHost: t\r\n\r\n"

/* The first frame of a type that the client has got; NULL: none. */
static const uint8_t *frame_of(const struct client *client, uint8_t type)
{
    const uint8_t *at = (const uint8_t *)client->got, *end = at + client->got_length;
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (at[3] == type)
            return at;
        at += 9 + size;
    }
    return NULL;
}

static void say_bytes(struct client *client, const char *bytes, size_t length)
{
    size_t written;
    assert_int_equal(SSL_write_ex(client->ssl, bytes, length, &written), 1);
    exchange(client);
    exchange(client);
    client_read(client);
}

static void what_was_agreed_on_is_spoken(void **state)
{
    (void)state;
    static const struct {
        const char *offered; /* as ALPN has it; NULL: nothing */
        const char *bytes;
        size_t length;
        const char *answer; /* of HTTP/1.1; NULL: frames */
        bool mistaken;      /* GOAWAY is one of them */
    } cases[] = {
        {NULL, REQUEST, sizeof REQUEST - 1, "HTTP/1.1 200 OK\r\n", false},
        {NULL, PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1, NULL, false},
        {"\x08http/1.1", REQUEST, sizeof REQUEST - 1, "HTTP/1.1 200 OK\r\n", false},
        {"\x08http/1.1", PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1, "HTTP/1.1 505 ", false},
        {"\x02h2\x08http/1.1", PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1, NULL, false},
        {"\x02h2", REQUEST, sizeof REQUEST - 1, NULL, true},
    };
    const carom_options options = simulation_options();
    const carom_tls_options tls = tls_options();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client client;
        begin_tls(&options, &tls);
        client_init(&client);
        if (cases[i].offered != NULL)
            SSL_set_alpn_protos(client.ssl, (const uint8_t *)cases[i].offered,
                                (unsigned)strlen(cases[i].offered));
        shake_hands(&client);
        say_bytes(&client, cases[i].bytes, cases[i].length);
        if (cases[i].answer != NULL) {
            assert_client_got(&client, cases[i].answer);
            assert_int_equal(stats_now().h2_connections, 0);
        } else {
            assert_non_null(frame_of(&client, 4));
            assert_int_equal(stats_now().h2_connections, 1);
            const uint8_t *goaway = frame_of(&client, 7);
            assert_true((goaway != NULL) == cases[i].mistaken);
            if (goaway != NULL)
                assert_int_equal(goaway[9 + 7], 1); /* PROTOCOL_ERROR */
        }
        client_finish(&client);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_agreed_on_is_spoken),
    };
    return cmocka_run_group_tests_name("http/tls_alpn", tests, prepare, unprepare);
}
