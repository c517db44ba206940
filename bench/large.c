/* large: 1 MiB down and any size up, to measure the moving of bytes.
 *
 *     large [PORT [FOLDER]]
 *
 *     GET  /1m             1 MiB, lent to the library without a copy
 *     GET  /file           FOLDER/1m, which is made: opened and closed for each answer, as a static
 *                          server does it
 *     GET  /open-file      the same from one descriptor that stays open
 *     GET  /file/BYTES     so many bytes of FOLDER/sparse, a file of 1 GiB that is one hole
 *     POST                 the content is read to its end and dropped, then answered
 *     POST /file           the content is written to a file in FOLDER without a name, then answered
 *
 * PORT is 8080 unless given; 0 takes any free one. Without a FOLDER, nothing is answered from
 * files. POST /file writes at once and waits for the file system, as a worker of nginx does.
 */
#include <carom.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE   (1024 * 1024)
#define SPARSE (1024ll * 1024 * 1024)

struct upload {
    carom_record *record;
    carom_waker readable;
    int file; /* that is written; or -1 */
    bool failed;
};

static carom_service *service;
static char bytes[SIZE];
static int folder = -1, file_1m = -1;

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

static bool is(carom_slice slice, const char *text)
{
    return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

/* With give_back NULL the descriptor is closed by the library. */
static void finish_with_file(carom_record *record, carom_file file)
{
    carom_response response = {.status = 200};

    if (carom_respond_file(record, &response, &file) == 0)
        carom_release(record);
    else
        finish(record, 404, "no such file\n", 13);
}

static void get(carom_record *record, carom_slice target)
{
    carom_file file = {.length = CAROM_LENGTH_UNKNOWN};

    if (is(target, "/1m")) {
        finish(record, 200, bytes, sizeof bytes);
    } else if (is(target, "/file")) {
        file.descriptor = openat(folder, "1m", O_RDONLY | O_CLOEXEC);
        finish_with_file(record, file);
    } else if (is(target, "/open-file")) {
        file.descriptor = file_1m;
        file.give_back = carom_static_content;
        finish_with_file(record, file);
    } else if (target.length > 6 && target.length < 20 && memcmp(target.data, "/file/", 6) == 0) {
        char digits[20] = "";
        memcpy(digits, target.data + 6, target.length - 6);
        file.length = strtoull(digits, NULL, 10);
        file.descriptor = openat(folder, "sparse", O_RDONLY | O_CLOEXEC);
        finish_with_file(record, file);
    } else {
        finish(record, 404, "ask for /1m\n", 12);
    }
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
        if (result > 0 && upload->file >= 0 &&
            write(upload->file, piece.data, piece.length) != (ssize_t)piece.length)
            upload->failed = true;
    } while (result > 0);
    if (result == -CAROM_EAGAIN) {
        carom_wait(upload->record, CAROM_READABLE, &upload->readable);
        return;
    }
    if (upload->file >= 0)
        close(upload->file);
    finish(upload->record, upload->failed ? 507 : 200, "done\n", 5);
}

static void handle(carom_record *record, void *data)
{
    carom_slice method = carom_request_method(record);
    carom_slice target = carom_request_target(record);

    (void)data;
    if (is(method, "POST")) {
        struct upload *upload = carom_record_state(record);
        upload->record = record;
        upload->readable.wake = on_readable;
        upload->file = -1;
        if (is(target, "/file")) {
            upload->file = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
            upload->failed = upload->file < 0;
        }
        on_readable(&upload->readable, 0);
    } else {
        get(record, target);
    }
}

/* What is served from files. 0 or -1. */
static int make_files(const char *path)
{
    int sparse;

    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file_1m = openat(folder, "1m", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    sparse = openat(folder, "sparse", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file_1m < 0 || sparse < 0 || write(file_1m, bytes, sizeof bytes) != sizeof bytes ||
        ftruncate(sparse, SPARSE) < 0)
        return -1;
    return close(sparse);
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
    if (argc > 2 && make_files(argv[2]) < 0) {
        fprintf(stderr, "large: cannot make files in %s\n", argv[2]);
        return 1;
    }
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
