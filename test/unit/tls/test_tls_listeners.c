/* The certificates of a service with several listeners: loaded again, replaced and watched, of each
 * that has TLS. */
#include "unit/http/tls_client.h"

#include <stdlib.h>
#include <unistd.h>

#include "tls/tls.h"

static carom_tls_certificate other; /* than that of the clients' header */
static char path[] = "/tmp/carom-certificate-XXXXXX";
static char said[200]; /* the last line of the log */
static int loaded_again;

static void note(void *data, carom_log_level level, const char *line)
{
    assert_ptr_equal(data, said);
    (void)level;
    snprintf(said, sizeof said, "%s", line);
    loaded_again += strstr(line, "a file has changed") != NULL;
}

static void write_file(const carom_tls_certificate *from)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fprintf(stream, "%.*s\n%.*s", (int)from->certificate.length, from->certificate.data,
            (int)from->key.length, from->key.data);
    fclose(stream);
}

static int prepare_both(void **state)
{
    int descriptor = mkstemp(path);
    close(descriptor);
    loaded_again = 0;
    if (descriptor < 0 || carom_tls_self_signed(&other, "other") < 0 || prepare(state) < 0)
        return -1;
    write_file(&certificate);
    return 0;
}

static int unprepare_both(void **state)
{
    unlink(path);
    strcpy(path + sizeof path - 7, "XXXXXX");
    carom_tls_certificate_free(&other);
    return unprepare(state);
}

static void create_noting(void)
{
    carom_options options = simulation_options();
    options.log = note;
    options.log_data = said;
    create(&options);
}

static struct carom_tls *tls_at(size_t listener)
{
    return sim.service->listeners.list[listener]->tls;
}

/* One without TLS between two that read the file. */
static void listen_thrice(uint32_t first_watch)
{
    const carom_tls_certificate named = {.certificate_file = path};
    carom_tls_options tls = tls_options();
    tls.certificates = &named;
    tls.watch = first_watch;
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), 0);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    tls.watch = 0;
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), 0);
}

static void all_are_loaded_again(void **state)
{
    (void)state;
    create_noting();
    listen_thrice(0);
    write_file(&other);
    assert_true(carom_tls_changed(tls_at(0)) && carom_tls_changed(tls_at(2)));
    assert_int_equal(carom_tls_reload(sim.service), 0);
    assert_string_equal(said, "TLS: loaded again");
    assert_false(carom_tls_changed(tls_at(0)) || carom_tls_changed(tls_at(2)));
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

/* What they have is of memory by then, so the file that changes is none of theirs. */
static void all_are_replaced(void **state)
{
    (void)state;
    const carom_tls_certificate missing = {.certificate_file = "/nonexistent/certificate"};
    carom_tls_options from_memory = tls_options(), bad = tls_options();
    bad.certificates = &missing;
    create_noting();
    listen_thrice(0);
    assert_int_equal(carom_tls_replace(sim.service, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_tls_replace(sim.service, &bad), -CAROM_ECERTIFICATE);
    assert_string_equal(said, "TLS: not replaced");
    write_file(&other);
    assert_true(carom_tls_changed(tls_at(0)) && carom_tls_changed(tls_at(2)));
    assert_int_equal(carom_tls_replace(sim.service, &from_memory), 0);
    assert_string_equal(said, "TLS: replaced");
    write_file(&certificate);
    assert_false(carom_tls_changed(tls_at(0)) || carom_tls_changed(tls_at(2)));
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

/* Not before its time, and only where it is watched and has changed. */
static void a_watched_file_is_looked_at_in_time(void **state)
{
    (void)state;
    create_noting();
    listen_thrice(5000);
    assert_int_equal(carom_service_start(sim.service), 0);
    for (int i = 0; i < 5; i++)
        pass(3000);
    assert_int_equal(loaded_again, 0);
    write_file(&other);
    pass(500);
    assert_true(carom_tls_changed(tls_at(0)));
    pass(5000);
    assert_int_equal(loaded_again, 1);
    assert_false(carom_tls_changed(tls_at(0)));
    assert_true(carom_tls_changed(tls_at(2))); /* nobody watches that one */
    pass(20000);
    assert_int_equal(loaded_again, 1);
    finish();
}

static void ticket_keys_are_set_of_all_that_have_tls(void **state)
{
    (void)state;
    static const char keys[2 * CAROM_TLS_TICKET_KEY] = {1};
    create_noting();
    listen_thrice(0);
    assert_int_equal(carom_tls_set_ticket_keys(sim.service, (carom_slice){keys, sizeof keys}), 0);
    assert_int_equal(carom_tls_set_ticket_keys(sim.service, (carom_slice){keys, 1}), -CAROM_EINVAL);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

static void a_name_that_is_none_is_told(void **state)
{
    (void)state;
    carom_tls_certificate named = certificate;
    carom_tls_options tls = tls_options();
    tls.certificates = &named;
    named.server_names = "good.example,not good,other.example";
    create_noting();
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), -CAROM_EINVAL);
    assert_string_equal(said, "TLS: options: not a server name: not good");
    named.server_names = "good.example,other.example";
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), 0);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare_both, unprepare_both)
    const struct CMUnitTest tests[] = {
        TEST(all_are_loaded_again),
        TEST(all_are_replaced),
        TEST(a_watched_file_is_looked_at_in_time),
        TEST(ticket_keys_are_set_of_all_that_have_tls),
        TEST(a_name_that_is_none_is_told),
    };
    return cmocka_run_group_tests_name("tls/listeners", tests, NULL, NULL);
}
