/* Tests of what the options of TLS may be, and of what is loaded, again and in its place: chains,
 * protocols, files that are watched. */
#include "unit/http/tls_client.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls.h"
#include "tls/tls_session.h"

static const char hold[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";
static const struct carom_log_sink silent;

static carom_tls_certificate other; /* than that of the clients' header */
static char path[] = "/tmp/carom-certificate-XXXXXX";

static int prepare_both(void **state)
{
    int descriptor = mkstemp(path);
    close(descriptor);
    return descriptor < 0 || carom_tls_self_signed(&other, "other") < 0 ? -1 : prepare(state);
}

static int unprepare_both(void **state)
{
    unlink(path);
    carom_tls_certificate_free(&other);
    return unprepare(state);
}

/* The file at `path` is a certificate and its key, or cannot be used when it is of NULL. */
static void write_file(const carom_tls_certificate *from)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    if (from == NULL)
        fputs("nothing", stream);
    else
        fprintf(stream, "%.*s\n%.*s", (int)from->certificate.length, from->certificate.data,
                (int)from->key.length, from->key.data);
    fclose(stream);
}

static char last_line[200]; /* of the log */

static void keep_line(void *data, carom_log_level level, const char *line)
{
    (void)data;
    (void)level;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static void what_may_not_be_is_refused(void **state)
{
    (void)state;
    static const char *const empty[] = {"http/1.1", ""};
    static const char *const says[] = {
        "protocols are not 1 to 64 names of 1 to 255 bytes",
        "client asks for certificates, and neither client_ca_file nor client_ca says whom to trust",
        "client asks for certificates, and neither client_ca_file nor client_ca says whom to trust",
        "min_version may be 12 or 13",
        "their size is not set: begin with CAROM_TLS_OPTIONS_INIT",
        "a carom_tls_certificate was not cleared before it was filled in",
        "there is no certificate",
        "ticket_lifetime may be 604800 at most",
        "ticket_keys have a length and no bytes",
        "client is none of CAROM_TLS_CLIENT_...",
    };
    carom_tls_options table[COUNT(says)];
    for (size_t i = 0; i < COUNT(says); i++)
        table[i] = tls_options();
    carom_tls_certificate not_cleared = table[0].certificates[0];
    not_cleared.reserved[3] = 1;
    table[0].protocols = empty;
    table[0].protocol_count = 2;
    table[1].client = CAROM_TLS_CLIENT_WANTED;
    table[2].client = CAROM_TLS_CLIENT_REQUIRED;
    table[3].min_version = 11;
    table[4].size = 0;
    table[5].certificates = &not_cleared;
    table[6].certificate_count = 0;
    table[7].ticket_lifetime = 604801;
    table[8].ticket_keys.length = CAROM_TLS_TICKET_KEY;
    table[9].client = (carom_tls_client)3;
    carom_options options = simulation_options();
    options.log = keep_line;
    create(&options);
    uint64_t held = carom_memory_held();
    for (size_t i = 0; i < COUNT(says); i++) {
        char line[200];
        snprintf(line, sizeof line, "TLS: options: %s", says[i]);
        assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &table[i]),
                         -CAROM_EINVAL);
        assert_string_equal(last_line, line);
    }
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    assert_int_equal(carom_tls_replace(sim.service, &table[0]), -CAROM_ENOENT); /* none has TLS */
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

static int dates_told;

static void count_dates(void *data, carom_log_level level, const char *line)
{
    (void)data;
    dates_told += level == CAROM_LOG_WARNING && strstr(line, "the certificate is expired") != NULL;
}

/* It serves all the same: who runs it is told. */
static void a_certificate_that_is_expired_is_told(void **state)
{
    (void)state;
    BIO *from = BIO_new_mem_buf(certificate.certificate.data, (int)certificate.certificate.length);
    BIO *key_from = BIO_new_mem_buf(certificate.key.data, (int)certificate.key.length);
    BIO *to = BIO_new(BIO_s_mem());
    X509 *old = PEM_read_bio_X509(from, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_from, NULL, NULL, NULL);
    X509_gmtime_adj(X509_getm_notBefore(old), -20);
    X509_gmtime_adj(X509_getm_notAfter(old), -10);
    assert_true(X509_sign(old, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(to, old), 1);
    char *text;
    size_t length = (size_t)BIO_get_mem_data(to, &text);
    const carom_tls_certificate expired = {.certificate = {text, length}, .key = certificate.key};
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.log = count_dates;
    dates_told = 0;
    create(&options);
    for (int i = 0; i < 2; i++) {
        tls.certificates = i == 0 ? &certificate : &expired;
        assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), 0);
        assert_int_equal(dates_told, i);
    }
    assert_int_equal(carom_service_destroy(sim.service), 0);
    EVP_PKEY_free(key);
    X509_free(old);
    BIO_free(to);
    BIO_free(key_from);
    BIO_free(from);
}

/* RFC 8446, 4.4.2: in the order of the file. */
static void a_chain_is_sent_whole(void **state)
{
    (void)state;
    static char chain[16384];
    int length = 0;
    for (int i = 0; i < 3; i++) {
        const carom_slice *pem = i == 0 ? &certificate.certificate : &other.certificate;
        length += snprintf(chain + length, sizeof chain - (size_t)length, "%.*s\n",
                           (int)pem->length, pem->data);
    }
    const carom_tls_certificate whole = {.certificate = {chain, (size_t)length},
                                         .key = certificate.key};
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.certificates = &whole;
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(client.ssl)), 3);
    finish();
    client_finish(&client);
}

/* RFC 7301, 3.2: the server's most preferred. */
static void protocols_are_chosen_in_our_order(void **state)
{
    (void)state;
    static const unsigned char offered[] = "\1a\1b\1c";
    static const char *const ours[] = {"x", "b", "a"};
    struct client client;
    carom_tls_info info;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.protocols = ours;
    tls.protocol_count = 3;
    begin_tls(&options, &tls);
    client_init(&client);
    SSL_set_alpn_protos(client.ssl, offered, sizeof offered - 1);
    shake_hands(&client);
    client_say(&client, hold);
    assert_int_equal(carom_record_tls(sim.held[0], &info), 0);
    assert_int_equal(info.protocol.length, 1);
    assert_memory_equal(info.protocol.data, "b", 1);
    finish();
    client_finish(&client);
}

/* ---------------------------------------------------------------- again, and in its place */

/* A file that is bad is told once, and not tried again before it is another. */
static void what_could_not_be_loaded_waits_for_a_change(void **state)
{
    (void)state;
    struct carom_tls *loaded;
    const carom_tls_certificate named = {.certificate_file = path};
    carom_tls_options tls = tls_options();
    tls.certificates = &named;
    write_file(&certificate);
    assert_int_equal(carom_tls_create(&loaded, &tls, &silent, false), 0);
    assert_false(carom_tls_changed(loaded));
    write_file(NULL);
    assert_true(carom_tls_changed(loaded));
    assert_int_equal(carom_tls_load(loaded), -CAROM_ECERTIFICATE);
    assert_false(carom_tls_changed(loaded));
    write_file(&other);
    assert_true(carom_tls_changed(loaded));
    assert_int_equal(carom_tls_load(loaded), 0);
    assert_false(carom_tls_changed(loaded));
    carom_tls_destroy(loaded);
}

/* What could not take its place is no reason to load it again. */
static void what_was_refused_changes_nothing(void **state)
{
    (void)state;
    struct carom_tls *loaded;
    const carom_tls_certificate named = {.certificate_file = path};
    const carom_tls_certificate missing = {.certificate_file = "/nonexistent/certificate"};
    carom_tls_options tls = tls_options(), refused = tls_options();
    tls.certificates = &named;
    refused.certificates = &missing;
    write_file(&certificate);
    assert_int_equal(carom_tls_create(&loaded, &tls, &silent, false), 0);
    assert_int_equal(carom_tls_replace_options(loaded, &refused), -CAROM_ECERTIFICATE);
    assert_false(carom_tls_changed(loaded));
    write_file(&other);
    assert_true(carom_tls_changed(loaded));
    carom_tls_destroy(loaded);
}

/* As whoever renews a certificate may keep its time, and the new one is as long. */
static void a_file_in_the_place_of_another_is_a_change(void **state)
{
    (void)state;
    struct carom_tls *loaded;
    char second[sizeof path + 2];
    struct stat before;
    const carom_tls_certificate named = {.certificate_file = path};
    carom_tls_options tls = tls_options();
    tls.certificates = &named;
    write_file(&certificate);
    assert_int_equal(carom_tls_create(&loaded, &tls, &silent, false), 0);
    assert_int_equal(stat(path, &before), 0);
    snprintf(second, sizeof second, "%s-2", path);
    assert_int_equal(rename(path, second), 0);
    write_file(&certificate);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_true(carom_tls_changed(loaded));
    assert_int_equal(rename(second, path), 0);
    assert_false(carom_tls_changed(loaded));
    carom_tls_destroy(loaded);
}

/* The texts of the options are the caller's, and may be gone when files are loaded again. */
static void texts_are_kept(void **state)
{
    (void)state;
    struct carom_tls *loaded;
    char groups[] = "P-256", ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
    char suites[] = "TLS_AES_128_GCM_SHA256";
    carom_tls_options tls = tls_options();
    tls.groups = groups;
    tls.ciphers = ciphers;
    tls.suites = suites;
    assert_int_equal(carom_tls_create(&loaded, &tls, &silent, false), 0);
    memset(groups, 'x', sizeof groups - 1);
    memset(ciphers, 'x', sizeof ciphers - 1);
    memset(suites, 'x', sizeof suites - 1);
    assert_int_equal(carom_tls_load(loaded), 0);
    carom_tls_destroy(loaded);
}

static void what_was_exchanged_is_freed(void **state)
{
    (void)state;
    struct carom_tls *loaded;
    uint64_t before = carom_memory_held();
    carom_tls_options tls = tls_options();
    assert_int_equal(carom_tls_create(&loaded, &tls, &silent, false), 0);
    uint64_t once = carom_memory_held();
    for (int i = 0; i < 3; i++)
        assert_int_equal(carom_tls_replace_options(loaded, &tls), 0);
    assert_int_equal(carom_memory_held(), once);
    carom_tls_destroy(loaded);
    assert_int_equal(carom_memory_held(), before);
}

/* Of several listeners the first error is told, and the others are loaded all the same. */
static void one_bad_file_is_told(void **state)
{
    (void)state;
    const carom_tls_certificate named = {.certificate_file = path};
    carom_options options = simulation_options();
    carom_tls_options good = tls_options(), bad = tls_options();
    bad.certificates = &named;
    write_file(&certificate);
    create(&options);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &bad), 0);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &good), 0);
    assert_int_equal(carom_tls_reload(sim.service), 0);
    write_file(NULL);
    assert_int_equal(carom_tls_reload(sim.service), -CAROM_ECERTIFICATE);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

static bool is_shown(const char *name)
{
    struct client client;
    client_init(&client);
    shake_hands(&client);
    bool same = X509_check_host(SSL_get0_peer_certificate(client.ssl), name, 0, 0, NULL) == 1;
    carom_peer_shutdown(client.peer);
    turn();
    client_finish(&client);
    return same;
}

/* Wherever it stands among those that look seldom or never. */
static void the_shortest_time_of_all_is_watched(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        const carom_tls_certificate named = {.certificate_file = path};
        carom_options options = simulation_options();
        carom_tls_options often = tls_options(), seldom = tls_options(), never = tls_options();
        often.certificates = &named;
        often.watch = 100;
        seldom.watch = 100000;
        write_file(&certificate);
        create(&options);
        if (first == 0) /* the simulated network's clients come to the first listener */
            assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &often), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(
                carom_service_listen_tls(sim.service, "127.0.0.1:0", i ? &never : &seldom), 0);
        if (first == 1)
            assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &often), 0);
        assert_int_equal(carom_service_start(sim.service), 0);
        write_file(&other);
        struct carom_tls *tls = sim.service->listeners.list[first == 0 ? 0 : 2]->tls;
        assert_true(carom_tls_changed(tls));
        pass(150);
        assert_false(carom_tls_changed(tls));
        if (first == 0)
            assert_true(is_shown("other"));
        finish();
    }
}

/* ---------------------------------------------------------------- sessions */

/* No page for what is encrypted: that is our fault, and the peer is not told of its own. */
static void want_of_memory_is_no_fault_of_the_peer(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    client_say(&client, hold);
    struct carom_tls_session *session = carom_core_tls(sim.held[0]->ops->core(sim.held[0]));
    struct carom_pages pages;
    struct carom_arena arena, *outgoing = session->outgoing;
    carom_pages_init(&pages, 4096, 0);
    carom_arena_init(&arena, &pages);
    session->outgoing = &arena;
    carom_memory_fail_after(0);
    int error = carom_tls_write(session, (const uint8_t *)"x", 1);
    carom_memory_fail_after(UINT64_MAX);
    assert_int_equal(error, -CAROM_ENOMEM);
    session->outgoing = outgoing;
    carom_arena_finish(&arena);
    carom_pages_finish(&pages);
    finish();
    client_finish(&client);
}

/* RFC 8446, 6.1: the peer sends no more, so there will be no handshake. */
static void close_notify_instead_of_hands_ends_it(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    struct carom_peer *peer = connect_peer();
    turn();
    carom_peer_send(peer, "\x15\x03\x03\x00\x02\x01\x00", 7);
    turn();
    assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_reset(peer));
    assert_int_equal(finish().tls_failed, 1);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(what_may_not_be_is_refused),
        cmocka_unit_test(a_certificate_that_is_expired_is_told),
        cmocka_unit_test(a_chain_is_sent_whole),
        cmocka_unit_test(protocols_are_chosen_in_our_order),
        cmocka_unit_test(what_could_not_be_loaded_waits_for_a_change),
        cmocka_unit_test(what_was_refused_changes_nothing),
        cmocka_unit_test(a_file_in_the_place_of_another_is_a_change),
        cmocka_unit_test(texts_are_kept),
        cmocka_unit_test(what_was_exchanged_is_freed),
        cmocka_unit_test(one_bad_file_is_told),
        cmocka_unit_test(the_shortest_time_of_all_is_watched),
        cmocka_unit_test(want_of_memory_is_no_fault_of_the_peer),
        cmocka_unit_test(close_notify_instead_of_hands_ends_it),
    };
    return cmocka_run_group_tests_name("tls/tls_options", all, prepare_both, unprepare_both);
}
