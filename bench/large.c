/* large: 1 MiB down and any size up, to measure the moving of bytes.
 *
 *     large [PORT]
 *
 *     GET  /1m   1 MiB, lent to the library without a copy
 *     POST       the content is read to its end and dropped, then answered
 *
 * PORT is 8080 unless given; 0 takes any free one.
 */
#include <carom.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SIZE (1024 * 1024)

struct upload {
    carom_record *record;
    carom_waker readable;
};

static carom_service *service;
static char bytes[SIZE];

static void finish(carom_record *record, uint16_t status, const void *data, size_t length)
{
    static const carom_field fields[] = {
        {CAROM_SLICE("content-type"), CAROM_SLICE("application/octet-stream")}};
    carom_response response = {
        .status = status,
        .fields = fields,
        .field_count = 1,
        .content = {.data = data, .length = length, .give_back = carom_static_content},
    };

    carom_respond(record, &response); /* an error here means that the client has gone */
    carom_release(record);
}

static void on_readable(carom_waker *waker, int status)
{
    struct upload *upload =
        (struct upload *)(void *)((char *)waker - offsetof(struct upload, readable));
    carom_slice piece;
    int result;

    (void)status; /* when the client has left, the read says so */
    do {
        result = carom_request_read(upload->record, &piece);
    } while (result > 0);
    if (result == -CAROM_EAGAIN)
        carom_wait(upload->record, CAROM_READABLE, &upload->readable);
    else
        finish(upload->record, 200, "ok\n", 3);
}

static void handle(carom_record *record, void *data)
{
    carom_slice method = carom_request_method(record);
    carom_slice target = carom_request_target(record);

    (void)data;
    if (method.length == 4 && memcmp(method.data, "POST", 4) == 0) {
        struct upload *upload = carom_record_state(record);
        upload->record = record;
        upload->readable.wake = on_readable;
        on_readable(&upload->readable, 0);
    } else if (target.length == 3 && memcmp(target.data, "/1m", 3) == 0) {
        finish(record, 200, bytes, sizeof bytes);
    } else {
        finish(record, 404, "ask for /1m\n", 12);
    }
}

static void on_signal(int number)
{
    (void)number;
    carom_shutdown(service, 0);
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    carom_address address = {0};
    char listen_on[64];
    int error;

    memset(bytes, 'x', sizeof bytes);
    options.handler = handle;
    options.record_state = sizeof(struct upload);
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error < 0) {
        fprintf(stderr, "large: cannot listen on %s: %s\n", listen_on, carom_error_text(error));
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("large: http://127.0.0.1:%d/1m\n", address.port);
    fflush(stdout);

    error = carom_run(service);
    carom_service_destroy(service);
    return error < 0 ? 1 : 0;
}
