/* app: what an application does, to measure it in C.
 *
 *     app [PORT [--backend epoll|uring] [--tls CERTIFICATE KEY]]
 *
 *     GET  /hello     "Hello, World!" at once
 *     GET  /later     the same after 1 ms, and /slow after 10
 *     GET  /64k       64 KiB, lent without a copy; /1m is 1 MiB
 *     POST /echo      JSON is parsed, and written again
 *
 * PORT is 8080 unless given; 0 takes any free one. */
#include <carom.h>

#include <jansson.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exchange {
    carom_record *record;
    carom_waker waker;
};

static carom_service *service;
static char page[1024 * 1024];

static void finish(carom_record *record, uint16_t status, const char *type, carom_content content)
{
    const carom_field field = {CAROM_SLICE("content-type"), {type, strlen(type)}};
    const carom_response response = {
        .status = status, .fields = &field, .field_count = 1, .content = content};

    carom_respond(record, &response); /* an error here means that the client has gone */
    carom_release(record);
}

static void hello(carom_record *record)
{
    finish(record, 200, "text/plain", (carom_content){"Hello, World!", 13, NULL, NULL});
}

static struct exchange *exchange_of(carom_waker *waker)
{
    return (struct exchange *)(void *)((char *)waker - offsetof(struct exchange, waker));
}

static void on_time(carom_waker *waker, int status)
{
    (void)status;
    hello(exchange_of(waker)->record);
}

static void on_content(carom_waker *waker, int status)
{
    carom_record *record = exchange_of(waker)->record;
    carom_slice bytes = {NULL, 0};
    json_t *value = NULL;
    char *text = NULL;

    if (status == 0 && carom_request_read(record, &bytes) == 1)
        value = json_loadb(bytes.data, bytes.length, 0, NULL);
    if (value != NULL)
        text = json_dumps(value, JSON_COMPACT);
    if (text != NULL)
        finish(record, 200, "application/json", (carom_content){text, strlen(text), free, text});
    else
        finish(record, 400, "text/plain", (carom_content){"no JSON\n", 8, NULL, NULL});
    json_decref(value);
}

static bool is(carom_slice slice, const char *text)
{
    return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

static void handle(carom_record *record, void *data)
{
    struct exchange *exchange = carom_record_state(record);
    carom_slice target = carom_request_target(record);

    (void)data;
    exchange->record = record;
    if (is(target, "/echo")) {
        exchange->waker.wake = on_content;
        carom_request_collect(record, 65536, &exchange->waker);
    } else if (is(target, "/later") || is(target, "/slow")) {
        exchange->waker.wake = on_time;
        carom_wait_time(record, is(target, "/slow") ? 10 : 1, &exchange->waker);
    } else if (is(target, "/64k") || is(target, "/1m")) {
        size_t length = is(target, "/1m") ? sizeof page : 65536;
        finish(record, 200, "text/plain",
               (carom_content){page, length, carom_static_content, NULL});
    } else {
        hello(record);
    }
}

static void on_signal(int number)
{
    (void)number;
    carom_shutdown(service, 0);
}

/* Listen, over TLS where the words say so. */
static int listen_as_told(const char *listen_on, int argc, char **argv)
{
    for (int i = 2; i + 2 < argc; i++) {
        const carom_tls_certificate certificate = {.certificate_file = argv[i + 1],
                                                   .key_file = argv[i + 2]};
        carom_tls_options tls = CAROM_TLS_OPTIONS_INIT;
        if (strcmp(argv[i], "--tls") != 0)
            continue;
        tls.certificates = &certificate;
        tls.certificate_count = 1;
        return carom_service_listen_tls(service, listen_on, &tls);
    }
    return carom_service_listen(service, listen_on);
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    carom_address address = {0};
    char listen_on[64];

    memset(page, 'x', sizeof page);
    options.handler = handle;
    options.record_state = sizeof(struct exchange);
    if (argc > 3 && strcmp(argv[2], "--backend") == 0 && strcmp(argv[3], "uring") == 0)
        options.backend = "uring";
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    int error = carom_service_create(&service, &options);
    if (error == 0)
        error = listen_as_told(listen_on, argc, argv);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error < 0) {
        fprintf(stderr, "app: cannot listen on %s: %s\n", listen_on, carom_error_text(error));
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("app: http://127.0.0.1:%d/hello\n", address.port);
    fflush(stdout);

    error = carom_run(service);
    carom_service_destroy(service);
    return error < 0 ? 1 : 0;
}
