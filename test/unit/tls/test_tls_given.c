/* Options of TLS as they are taken from a program: limits at their edges, defaults, what is copied;
 * and the names of a certificate for development. */
#include "unit/base/support.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/memory.h"
#include "tls/tls_options.h"

static const struct carom_log_sink silent;

/* It need not be one: nothing is loaded. */
static const carom_tls_certificate certificate = {.certificate_file = "a.pem"};

static carom_tls_options given(void)
{
    carom_tls_options options = CAROM_TLS_OPTIONS_INIT;
    options.certificates = &certificate;
    options.certificate_count = 1;
    return options;
}

/* 0, or -CAROM_EINVAL; nothing stays. */
static int keep(const carom_tls_options *options)
{
    struct carom_tls_kept *kept = NULL;
    uint64_t held = carom_memory_held();
    int error = carom_tls_keep(&kept, options, true, &silent);
    assert_true((kept == NULL) == (error < 0));
    carom_tls_kept_drop(kept);
    assert_int_equal(carom_memory_held(), held);
    return error;
}

static void limits_are_the_last_that_is_taken(void **state)
{
    (void)state;
    static const uint32_t lifetimes[][2] = {{1, 0},
                                            {604800, 0},
                                            {604801, -CAROM_EINVAL},
                                            {CAROM_OFF - 1, -CAROM_EINVAL},
                                            {CAROM_OFF, 0}};
    for (size_t i = 0; i < COUNT(lifetimes); i++) {
        carom_tls_options options = given();
        options.ticket_lifetime = lifetimes[i][0];
        assert_int_equal(keep(&options), (int)lifetimes[i][1]);
    }
    for (uint16_t version = 1; version < 20; version++) {
        carom_tls_options options = given();
        options.min_version = version;
        assert_int_equal(keep(&options), version == 12 || version == 13 ? 0 : -CAROM_EINVAL);
    }
    char name[257];
    const char *names[65];
    for (size_t i = 0; i < COUNT(names); i++)
        names[i] = name;
    memset(name, 'n', sizeof name);
    for (size_t length = 254; length <= 256; length++)
        for (size_t count = 63; count <= 65; count++) {
            carom_tls_options options = given();
            name[length] = '\0';
            options.protocols = names;
            options.protocol_count = count;
            assert_int_equal(keep(&options), length <= 255 && count <= 64 ? 0 : -CAROM_EINVAL);
            name[length] = 'n';
        }
    carom_tls_options options = given();
    options.protocols = NULL;
    options.protocol_count = 1;
    assert_int_equal(keep(&options), -CAROM_EINVAL);
    name[1] = '\0';
    names[1] = NULL;
    options.protocols = names;
    options.protocol_count = 2;
    assert_int_equal(keep(&options), -CAROM_EINVAL);
}

static void whom_to_trust_is_a_file_or_memory(void **state)
{
    (void)state;
    for (int client = CAROM_TLS_CLIENT_OFF; client <= CAROM_TLS_CLIENT_REQUIRED; client++)
        for (int how = 0; how < 3; how++) {
            carom_tls_options options = given();
            options.client = (carom_tls_client)client;
            if (how == 1)
                options.client_ca_file = "ca.pem";
            if (how == 2)
                options.client_ca = (carom_slice)CAROM_SLICE("a certificate");
            bool fine = client == CAROM_TLS_CLIENT_OFF || how > 0;
            assert_int_equal(keep(&options), fine ? 0 : -CAROM_EINVAL);
        }
}

static void what_is_not_said_has_a_default(void **state)
{
    (void)state;
    for (int http2 = 0; http2 < 2; http2++) {
        const carom_tls_options options = given();
        struct carom_tls_kept *kept;
        const char *wire = http2 ? "\2h2\x08http/1.1\x08http/1.0" : "\x08http/1.1\x08http/1.0";
        assert_int_equal(carom_tls_keep(&kept, &options, http2, &silent), 0);
        assert_int_equal(kept->options.size, sizeof options);
        assert_int_equal(kept->options.min_version, 12);
        assert_int_equal(kept->options.ticket_lifetime, 7200);
        assert_int_equal(kept->options.protocol_count, 2 + http2);
        assert_int_equal(kept->protocols.length, strlen(wire));
        assert_memory_equal(kept->protocols.data, wire, strlen(wire));
        carom_tls_kept_drop(kept);
    }
}

/* That of a program that was compiled against an earlier header ends before the newest members. */
static void a_shorter_struct_is_an_older_one(void **state)
{
    (void)state;
    static const char keys[CAROM_TLS_TICKET_KEY];
    carom_tls_options options = given();
    options.ticket_keys = (carom_slice){keys, sizeof keys};
    options.ticket_lifetime = 1;
    assert_int_equal(carom_tls_given_keys(&options).length, sizeof keys);
    struct carom_tls_kept *kept;
    options.size = offsetof(carom_tls_options, ticket_lifetime);
    assert_int_equal(options.size % _Alignof(carom_tls_options), 0);
    assert_int_equal(carom_tls_given_keys(&options).length, sizeof keys);
    assert_int_equal(carom_tls_keep(&kept, &options, true, &silent), 0);
    assert_int_equal(kept->options.ticket_lifetime, 7200);
    assert_int_equal(kept->options.size, sizeof options);
    carom_tls_kept_drop(kept);
    options.size -= _Alignof(carom_tls_options);
    assert_int_equal(carom_tls_given_keys(&options).length, 0);
    assert_int_equal(keep(&options), 0);
    options.size = sizeof options + _Alignof(carom_tls_options);
    assert_int_equal(keep(&options), -CAROM_EINVAL);
    options.size = sizeof options - 1;
    assert_int_equal(keep(&options), -CAROM_EINVAL);
    assert_int_equal(keep(NULL), -CAROM_EINVAL);
}

/* Nothing of it is the caller's; keys are kept elsewhere. */
static void all_is_copied(void **state)
{
    (void)state;
    static const char keys[CAROM_TLS_TICKET_KEY];
    char texts[8][8] = {"one", "two", "three", "four", "five", "six", "seven", "eight"};
    carom_tls_certificate both[2] = {
        {.certificate_file = texts[0], .key_file = texts[1], .ocsp_file = texts[2]},
        {.certificate = {texts[3], 4}, .key = {texts[4], 4}, .server_names = texts[5]}};
    const char *protocol = texts[6];
    carom_tls_options options = given();
    options.certificates = both;
    options.certificate_count = 2;
    options.ciphers = options.suites = options.groups = options.client_ca_file = texts[7];
    options.client_ca = (carom_slice){texts[3], 4};
    options.protocols = &protocol;
    options.protocol_count = 1;
    options.ticket_keys = (carom_slice){keys, sizeof keys};
    struct carom_tls_kept *kept;
    assert_int_equal(carom_tls_keep(&kept, &options, true, &silent), 0);
    memset(texts, 'x', sizeof texts);
    memset(both, 0, sizeof both);
    const carom_tls_certificate *own = kept->options.certificates;
    assert_ptr_not_equal(own, both);
    assert_string_equal(own[0].certificate_file, "one");
    assert_string_equal(own[0].key_file, "two");
    assert_string_equal(own[0].ocsp_file, "three");
    assert_null(own[0].server_names);
    assert_null(own[0].certificate.data);
    assert_int_equal(own[1].certificate.length, 4);
    assert_memory_equal(own[1].certificate.data, "four", 4);
    assert_memory_equal(own[1].key.data, "five", 4);
    assert_string_equal(own[1].server_names, "six");
    assert_string_equal(kept->options.ciphers, "eight");
    assert_string_equal(kept->options.suites, "eight");
    assert_string_equal(kept->options.groups, "eight");
    assert_string_equal(kept->options.client_ca_file, "eight");
    assert_memory_equal(kept->options.client_ca.data, "four", 4);
    assert_int_equal(kept->protocols.length, 6);
    assert_memory_equal(kept->protocols.data, "\5seven", 6);
    assert_null(kept->options.protocols);
    assert_null(kept->options.ticket_keys.data);
    assert_ptr_equal(carom_tls_kept_hold(kept), kept);
    carom_tls_kept_drop(kept);
    assert_string_equal(kept->options.ciphers, "eight");
    carom_tls_kept_drop(kept);
    carom_tls_kept_drop(NULL);
}

static void names_for_development_are_names(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      ",",   "a,",    ",a",    "a,,b", "a b",  "a;b",       "a@b",
        "a\x7f", "a\t", "1.2.3", "::1::", "a ",   "\x80", "1.2.3.4.5", "256.1.1.1"};
    carom_tls_certificate made;
    uint64_t held = carom_memory_held();
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (carom_tls_self_signed(&made, bad[i]) != -CAROM_EINVAL)
            fail_msg("\"%s\"", bad[i]);
        assert_null(made.certificate.data);
    }
    assert_int_equal(carom_tls_self_signed(&made, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_tls_self_signed(NULL, "a"), -CAROM_EINVAL);
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(carom_tls_self_signed(&made, "a.example,127.0.0.1,::1,1.example"), 0);
    BIO *from = BIO_new_mem_buf(made.certificate.data, (int)made.certificate.length);
    X509 *read = PEM_read_bio_X509(from, NULL, NULL, NULL);
    assert_non_null(read);
    assert_int_equal(X509_check_host(read, "a.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(read, "1.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(read, "b.example", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(read, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(read, "::1", 0), 1);
    assert_int_equal(X509_get_version(read), X509_VERSION_3);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(read), X509_get_subject_name(read)), 0);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(read);
    assert_int_equal(ASN1_STRING_length(serial), 16);
    assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER); /* a positive one */
    int days = 0, seconds = 0;
    assert_int_equal(
        ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(read), X509_get0_notAfter(read)), 1);
    assert_in_range(days, 30, 31);
    X509_free(read);
    BIO_free(from);
    carom_tls_certificate_free(&made);
    assert_null(made.key.data);
    carom_tls_certificate_free(&made);
    carom_tls_certificate_free(NULL);
    assert_int_equal(carom_memory_held(), held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_the_last_that_is_taken),
        cmocka_unit_test(whom_to_trust_is_a_file_or_memory),
        cmocka_unit_test(what_is_not_said_has_a_default),
        cmocka_unit_test(a_shorter_struct_is_an_older_one),
        cmocka_unit_test(all_is_copied),
        cmocka_unit_test(names_for_development_are_names),
    };
    return cmocka_run_group_tests_name("tls/tls_given", tests, NULL, NULL);
}
