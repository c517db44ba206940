/* echo: send a body of any size back, in constant memory.
 *
 *     echo [PORT]
 *     curl -T FILE http://localhost:PORT/
 *
 * The engine reads the socket only while somebody waits for content, and carom_write refuses more
 * when the client does not take what it was sent. So waiting on the right edge is all there is to
 * backpressure: a client that reads slowly is read from slowly.
 */
#define _POSIX_C_SOURCE 200809L
#include <carom.h>

#include <signal.h>
#include <stdio.h>

/* One echo, in the record's own state. */
struct echo {
    carom_record *record; /* no carom_ref: pump alone releases it, with its waker */
    carom_waker waker;    /* waits for one edge at a time */
    bool begun;
    carom_slice piece; /* read and not written yet; valid until the next read */
};

static carom_service *service;

/* The head has the request's own length and type. It follows the first read, which is what tells a
 * client that asks (Expect: 100-continue) to send its content. */
static int begin(struct echo *echo)
{
    int64_t length = carom_request_content_length(echo->record);
    carom_slice type = carom_request_field(echo->record, "content-type");
    carom_field field = {CAROM_SLICE("content-type"), type};
    carom_response head = {
        .status = 200,
        .fields = &field,
        .field_count = type.data != NULL ? 1 : 0,
        .content_length = length < 0 ? CAROM_LENGTH_UNKNOWN : (uint64_t)length,
    };

    echo->begun = true;
    if (length == 0)
        return carom_respond(echo->record, &head); /* nothing is to come */
    return carom_respond_begin(echo->record, &head);
}

/* Move pieces until one side would block, then wait for that side. Every way out but waiting ends
 * in the release: an end of content, a client that left (-CAROM_ECANCELED from any call). */
static void pump(struct echo *echo)
{
    int more, error = 0;

    do {
        more = 1;
        if (echo->piece.length == 0)
            more = carom_request_read(echo->record, &echo->piece);
        if (more == -CAROM_EAGAIN) {
            carom_wait(echo->record, CAROM_READABLE, &echo->waker);
            return;
        }
        if (more >= 0 && !echo->begun)
            error = begin(echo);
        if (more <= 0 || error < 0)
            break;
        carom_content content = {.data = echo->piece.data, .length = echo->piece.length};
        error = carom_write(echo->record, &content); /* no give_back: copied */
        if (error == -CAROM_EAGAIN) {
            carom_wait(echo->record, CAROM_WRITABLE, &echo->waker);
            return;
        }
        echo->piece.length = 0;
    } while (error == 0);
    if (more == 0 && error == 0)
        carom_end(echo->record, NULL, 0); /* refused, and rightly, after a whole response */
    carom_release(echo->record);
}

static void on_edge(carom_waker *waker, int status)
{
    (void)status; /* when it is an error, the next call says so too */
    pump((struct echo *)(void *)((char *)waker - offsetof(struct echo, waker)));
}

static void handle(carom_record *record, void *data)
{
    struct echo *echo = carom_record_state(record);

    (void)data;
    echo->record = record;
    echo->waker.wake = on_edge;
    pump(echo);
}

static void on_signal(int number)
{
    static volatile sig_atomic_t asked;

    (void)number;
    carom_shutdown(service, asked ? 0 : 10000);
    asked = 1;
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    carom_address address;
    char listen_on[64];
    int error;

    options.handler = handle;
    options.record_state = sizeof(struct echo);
    options.max_content = UINT64_MAX; /* memory does not grow with it, so there need be no limit */
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error != 0) {
        fprintf(stderr, "echo: cannot listen on %s: %s\n", listen_on, carom_error_text(error));
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("echo: try curl -T FILE http://localhost:%d/\n", address.port);
    fflush(stdout);

    error = carom_run(service);
    carom_service_destroy(service);
    return error != 0;
}
