/* Tests of stapling on the simulated network: responses that are good, out of date, or of another
 * certificate. */
#include "service/service.h"
#include "tls/tls.h"
#include "unit/http/tls_client.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <unistd.h>

#define DAY 86400L

static char file[] = "/tmp/carom-ocsp-XXXXXX";
static char said[512];

static void note(void *data, carom_log_level level, const char *line)
{
    (void)data;
    (void)level;
    snprintf(said, sizeof said, "%s", line);
}

/* A response that a certificate is good, until so many seconds from now, signed with its own key;
 * 0: it does not say until when. */
static void write_response(const carom_tls_certificate *of, long seconds)
{
    BIO *pem = BIO_new_mem_buf(of->certificate.data, (int)of->certificate.length);
    BIO *key_pem = BIO_new_mem_buf(of->key.data, (int)of->key.length);
    X509 *subject = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, subject, subject);
    ASN1_TIME *from = X509_gmtime_adj(NULL, -30 * DAY);
    ASN1_TIME *until = seconds == 0 ? NULL : X509_gmtime_adj(NULL, seconds);
    assert_non_null(
        OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until));
    assert_int_equal(OCSP_basic_sign(basic, subject, key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    BIO *out = BIO_new_file(file, "w");
    assert_int_equal(i2d_OCSP_RESPONSE_bio(out, response), 1);
    BIO_free(out);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    EVP_PKEY_free(key);
    X509_free(subject);
    BIO_free(pem);
    BIO_free(key_pem);
}

/* How long what is stapled for a client is; -1: nothing is. */
static long stapled(void)
{
    struct client client;
    const unsigned char *bytes;
    client_init(&client);
    SSL_set_tlsext_status_type(client.ssl, TLSEXT_STATUSTYPE_ocsp);
    shake_hands(&client);
    long length = SSL_get_tlsext_status_ocsp_resp(client.ssl, &bytes);
    carom_peer_shutdown(client.peer);
    turn();
    client_finish(&client);
    return length;
}

static void only_what_is_good_is_stapled(void **state)
{
    (void)state;
    carom_tls_certificate with_response = certificate;
    with_response.ocsp_file = file;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.log = note;
    tls.certificates = &with_response;
    write_response(&certificate, DAY);
    begin_tls(&options, &tls);
    assert_true(stapled() > 0);
    write_response(&certificate, 0);
    assert_int_equal(carom_tls_reload(sim.service), 0);
    assert_true(stapled() > 0);
    finish();
    said[0] = '\0';
    write_response(&certificate, -DAY);
    create(&options);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), 0);
    assert_non_null(strstr(said, "out of date"));
    assert_int_equal(carom_service_start(sim.service), 0);
    assert_int_equal(stapled(), -1);
    finish();
}

static void another_certificate_is_another(void **state)
{
    (void)state;
    carom_tls_certificate with_response = certificate, other;
    with_response.ocsp_file = file;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.log = note;
    tls.certificates = &with_response;
    assert_int_equal(carom_tls_self_signed(&other, "localhost"), 0);
    write_response(&other, DAY);
    create(&options);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls),
                     -CAROM_ECERTIFICATE);
    assert_non_null(strstr(said, "for another certificate"));
    assert_int_equal(carom_service_destroy(sim.service), 0);
    carom_tls_certificate_free(&other);
}

/* A client would refuse the whole: it is one structure, and no byte behind it. */
static void bytes_behind_a_response_are_not_stapled(void **state)
{
    (void)state;
    carom_tls_certificate with_response = certificate;
    with_response.ocsp_file = file;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.certificates = &with_response;
    write_response(&certificate, DAY);
    FILE *stream = fopen(file, "a");
    assert_true(stream != NULL && fputs("x", stream) >= 0 && fclose(stream) == 0);
    create(&options);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls),
                     -CAROM_ECERTIFICATE);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

static void a_new_response_is_a_change(void **state)
{
    (void)state;
    carom_tls_certificate with_response = certificate;
    with_response.ocsp_file = file;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.certificates = &with_response;
    write_response(&certificate, DAY);
    begin_tls(&options, &tls);
    assert_false(carom_tls_changed(sim.service->listeners.list[0]->tls));
    write_response(&certificate, 0); /* which is shorter */
    assert_true(carom_tls_changed(sim.service->listeners.list[0]->tls));
    finish();
}

static int make_file(void **state)
{
    int descriptor = mkstemp(file);
    close(descriptor);
    return descriptor < 0 ? -1 : prepare(state);
}

static int remove_file(void **state)
{
    unlink(file);
    return unprepare(state);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(only_what_is_good_is_stapled),
        cmocka_unit_test(another_certificate_is_another),
        cmocka_unit_test(bytes_behind_a_response_are_not_stapled),
        cmocka_unit_test(a_new_response_is_a_change),
    };
    return cmocka_run_group_tests_name("tls/tls_ocsp", all, make_file, remove_file);
}
