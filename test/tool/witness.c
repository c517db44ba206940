/* A server that tells what it saw: witness ADDRESS. It answers every request, when it has come
 * whole, with five bytes of content and one field:
 *
 *     Saw: METHOD TARGET =CONTENT :NAME=VALUE... +TRAILER=VALUE...
 *
 * all percent-encoded: the answer to HEAD has it, too, and the content shows where even a head is
 * not sent (HTTP/0.9, by a proxy). It goes on for a client that has sent FIN. It prints "ready"
 * when it listens, and at SIGTERM how many requests it has answered.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carom.h"

/* Heads and cases of the oracles are of 8 KiB at most, and a byte takes three. */
#define SAW_MAX (31 * 1024)

static carom_service *service;
static unsigned long answered;

struct exchange {
    carom_record *record;
    carom_waker waker;
};

struct text {
    char data[SAW_MAX];
    size_t length;
};

static void add(struct text *text, const char *data, size_t length)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/";
    for (size_t i = 0; i < length && text->length + 3 <= SAW_MAX; i++) {
        unsigned byte = (unsigned char)data[i];
        if (byte != 0 && strchr(plain, (int)byte) != NULL)
            text->data[text->length++] = data[i];
        else
            text->length += (size_t)snprintf(text->data + text->length, 4, "%%%02X", byte & 0xff);
    }
}

/* A sign that stands for itself. */
static void add_mark(struct text *text, const char *mark)
{
    size_t length = strlen(mark);
    if (text->length + length <= SAW_MAX)
        memcpy(text->data + text->length, mark, length);
    text->length += length;
}

static void add_field(struct text *text, const char *mark, carom_field field)
{
    add_mark(text, mark);
    add(text, field.name.data, field.name.length);
    add_mark(text, "=");
    add(text, field.value.data, field.value.length);
}

static void respond(carom_waker *waker, int status)
{
    static struct text text; /* one worker */
    struct exchange *exchange = (void *)((char *)waker - offsetof(struct exchange, waker));
    carom_record *record = exchange->record;
    carom_slice method = carom_request_method(record);
    carom_slice target = carom_request_target(record);
    carom_slice piece;
    if (status == -CAROM_ECANCELED) {
        carom_release(record);
        return;
    }
    text.length = 0;
    add(&text, method.data, method.length);
    add_mark(&text, " ");
    add(&text, target.data, target.length);
    add_mark(&text, " =");
    while (carom_request_read(record, &piece) == 1)
        add(&text, piece.data, piece.length);
    for (size_t i = 0; i < carom_request_field_count(record); i++)
        add_field(&text, " :", carom_request_field_at(record, i));
    for (size_t i = 0; i < carom_request_trailer_count(record); i++)
        add_field(&text, " +", carom_request_trailer_at(record, i));
    bool connect = method.length == 7 && memcmp(method.data, "CONNECT", 7) == 0;
    bool whole = status == 0 && text.length <= SAW_MAX;
    const carom_field fields[] = {{CAROM_SLICE("Saw"), {text.data, whole ? text.length : 0}},
                                  {CAROM_SLICE("Connection"), CAROM_SLICE("close")}};
    /* What follows CONNECT is not HTTP: the connection ends there for every witness. */
    const carom_response response = {.status = connect ? 405 : 200,
                                     .fields = fields,
                                     .field_count = connect ? 2 : 1,
                                     .content = {"seen\n", 5, carom_static_content, NULL}};
    answered++;
    int error = carom_respond(record, &response);
    if (error < 0 && error != -CAROM_ECANCELED)
        (void)fprintf(stderr, "witness: %s\n", carom_error_name(error));
    carom_release(record);
}

static void handle(carom_record *record, void *data)
{
    (void)data;
    struct exchange *exchange = carom_record_state(record);
    exchange->record = record;
    exchange->waker.wake = respond;
    (void)carom_request_collect(record, UINT64_MAX, &exchange->waker);
}

static void on_signal(int number)
{
    (void)number;
    carom_shutdown(service, 0);
}

int main(int count, char **arguments)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = handle;
    options.record_state = sizeof(struct exchange);
    options.half_close = true;
    options.max_target = 4096;
    options.max_header_section = 8192;
    int error = count == 2 ? carom_service_create(&service, &options) : -CAROM_EINVAL;
    if (error == 0)
        error = carom_service_listen(service, arguments[1]);
    if (error < 0) {
        (void)fprintf(stderr, "witness: %s\n", carom_error_name(error));
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)puts("ready");
    (void)fflush(stdout);
    if (carom_run(service) < 0)
        return 1;
    (void)printf("answered %lu\n", answered);
    return carom_service_destroy(service) < 0;
}
