/* upload: the SHA-256 of a body, computed as it arrives.
 *
 *     upload [PORT]
 *     curl -T FILE http://localhost:PORT/
 *
 * The body is never gathered: each piece is hashed where it was received and dropped. The hash is
 * memory of our own beside the record, so it shows the rule for such things: one function ends an
 * upload, and every path, a client that left among them, comes through it.
 */
#define _POSIX_C_SOURCE 200809L
#include <carom.h>

#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* One upload, in the record's own state. */
struct upload {
    carom_record *record; /* no carom_ref: finish alone releases it, with its waker */
    carom_waker readable;
    EVP_MD_CTX *hash;
    uint64_t bytes;
};

static carom_service *service;

static int respond_text(carom_record *record, int status, const char *text)
{
    static const carom_field fields[] = {{CAROM_SLICE("content-type"), CAROM_SLICE("text/plain")},
                                         {CAROM_SLICE("allow"), CAROM_SLICE("POST, PUT")}};
    carom_response response = {
        .status = (uint16_t)status,
        .fields = fields,
        .field_count = status == 405 ? 2 : 1,
        .content = {.data = text, .length = strlen(text)}, /* no give_back: copied */
    };

    return carom_respond(record, &response);
}

/* The only end of an upload. */
static void finish(struct upload *upload)
{
    EVP_MD_CTX_free(upload->hash);
    carom_release(upload->record);
}

static void answer(struct upload *upload)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    char text[2 * EVP_MAX_MD_SIZE + 32];
    size_t used = 0;

    if (EVP_DigestFinal_ex(upload->hash, digest, &size) != 1) {
        respond_text(upload->record, 500, "The hash failed.\n");
        return;
    }
    for (unsigned int i = 0; i < size; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%02x", digest[i]);
    snprintf(text + used, sizeof text - used, "  %llu bytes\n", (unsigned long long)upload->bytes);
    respond_text(upload->record, 200, text);
}

/* Hash what is there; wait for more, or answer at the end. */
static void on_readable(carom_waker *waker, int status)
{
    struct upload *upload =
        (struct upload *)(void *)((char *)waker - offsetof(struct upload, readable));
    carom_slice piece;
    int result;

    (void)status; /* when the client has left, the read says so */
    while ((result = carom_request_read(upload->record, &piece)) > 0) {
        EVP_DigestUpdate(upload->hash, piece.data, piece.length);
        upload->bytes += piece.length;
    }
    if (result == -CAROM_EAGAIN) {
        carom_wait(upload->record, CAROM_READABLE, &upload->readable);
        return;
    }
    if (result == 0)
        answer(upload);
    else
        printf("upload: a client left after %llu bytes\n", (unsigned long long)upload->bytes);
    finish(upload);
}

static void handle(carom_record *record, void *data)
{
    struct upload *upload = carom_record_state(record);
    carom_slice method = carom_request_method(record);

    (void)data;
    upload->record = record;
    upload->readable.wake = on_readable;
    if (!(method.length == 4 && memcmp(method.data, "POST", 4) == 0) &&
        !(method.length == 3 && memcmp(method.data, "PUT", 3) == 0)) {
        respond_text(record, 405, "Send a body by POST or PUT: curl -T FILE URL\n");
        carom_release(record);
        return;
    }
    upload->hash = EVP_MD_CTX_new();
    if (upload->hash == NULL || EVP_DigestInit_ex(upload->hash, EVP_sha256(), NULL) != 1) {
        respond_text(record, 503, "No memory for the hash.\n");
        finish(upload); /* a body that was not read is the engine's to drop */
        return;
    }
    on_readable(&upload->readable, 0); /* some of it may be here already */
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
    options.record_state = sizeof(struct upload);
    options.max_content = UINT64_MAX; /* the default is 1 GiB, beyond which the answer is 413 */
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error != 0) {
        fprintf(stderr, "upload: cannot listen on %s: %s\n", listen_on, carom_error_text(error));
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("upload: try curl -T FILE http://localhost:%d/\n", address.port);

    error = carom_run(service);
    carom_service_destroy(service);
    return error != 0;
}
