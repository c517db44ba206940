/* proxy: a reverse proxy by libcurl's multi interface, on the worker's own thread.
 *
 *     proxy [PORT [UPSTREAM]]     8080 and http://127.0.0.1:8081
 *
 * Content goes both ways as it comes, a piece at a time: who reads slowly slows the sender down, at
 * either end, because curl's transfer is paused while its other end cannot go on. A client that
 * leaves ends the request to the upstream, and an upstream that breaks off resets the client. */
#include "curl_worker.h"
#include "serve.h"

struct transfer {         /* in its record's state */
    carom_record *record; /* no carom_ref: finish alone releases it, and first ends curl's work */
    struct curl_worker *worker;
    CURL *curl;
    struct curl_slist *sent;      /* fields to the upstream */
    carom_slice piece;            /* of the request's content, not sent yet */
    carom_waker gone, more, room; /* the client has left; has sent more; takes more */
    bool begun;                   /* the answer's head is sent */
};

static const char *upstream;

static void finish(struct transfer *transfer)
{
    curl_multi_remove_handle(transfer->worker->multi, transfer->curl);
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->sent);
    carom_release(transfer->record); /* before its end: a reset */
}

static void on_more(carom_waker *waker, int status)
{
    if (status == 0)
        curl_easy_pause(OF(waker, struct transfer, more)->curl, CURLPAUSE_CONT);
}

static void on_room(carom_waker *waker, int status)
{
    if (status == 0)
        curl_easy_pause(OF(waker, struct transfer, room)->curl, CURLPAUSE_CONT);
}

static void on_gone(carom_waker *waker, int status)
{
    (void)status;
    finish(OF(waker, struct transfer, gone));
}

static size_t on_upload(char *to, size_t one, size_t room, void *data)
{
    struct transfer *transfer = data;
    carom_slice *piece = &transfer->piece;
    int result = piece->length > 0 ? 1 : carom_request_read(transfer->record, piece);
    if (result == -CAROM_EAGAIN) {
        carom_wait(transfer->record, CAROM_READABLE, &transfer->more);
        return CURL_READFUNC_PAUSE;
    }
    if (result <= 0)
        return result == 0 ? 0 : CURL_READFUNC_ABORT;
    size_t length = piece->length < one * room ? piece->length : one * room;
    memcpy(to, piece->data, length);
    *piece = (carom_slice){piece->data + length, piece->length - length};
    return length;
}

/* Whether a field is of one connection, or what both engines say themselves. */
static bool stays(const char *name, size_t length)
{
    static const char names[] = " connection keep-alive transfer-encoding te trailer upgrade host "
                                "content-length expect date ";
    char wanted[32];
    snprintf(wanted, sizeof wanted, " %.*s ", length < 29 ? (int)length : 29, name);
    return strcasestr(names, wanted) != NULL;
}

/* The head goes on when content has come, or its end. */
static int begin_answer(struct transfer *transfer)
{
    carom_field fields[64];
    size_t count = 0;
    const struct curl_header *header = NULL;
    long status;
    curl_off_t length;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    while (count < 64 && (header = curl_easy_nextheader(transfer->curl, CURLH_HEADER, -1,
                                                        (void *)header)) != NULL)
        if (!stays(header->name, strlen(header->name)))
            fields[count++] = (carom_field){{header->name, strlen(header->name)},
                                            {header->value, strlen(header->value)}};
    const carom_response response = {.status = (uint16_t)status,
                                     .fields = fields,
                                     .field_count = count,
                                     .content_length =
                                         length < 0 ? CAROM_LENGTH_UNKNOWN : (uint64_t)length};
    transfer->begun = true;
    return carom_respond_begin(transfer->record, &response);
}

static size_t on_download(const char *from, size_t one, size_t length, void *data)
{
    struct transfer *transfer = data;
    const carom_content content = {.data = from, .length = one * length};
    int error = transfer->begun ? 0 : begin_answer(transfer);
    if (error == 0)
        error = carom_write(transfer->record, &content);
    if (error == -CAROM_EAGAIN) {
        carom_wait(transfer->record, CAROM_WRITABLE, &transfer->room);
        return CURL_WRITEFUNC_PAUSE;
    }
    return error < 0 ? 0 : one * length;
}

static void on_done(void *owner, CURLcode result)
{
    struct transfer *transfer = owner;
    const carom_response failed = {.status = 502};
    if (result == CURLE_OK && (transfer->begun || begin_answer(transfer) == 0))
        carom_end(transfer->record, NULL, 0);
    else if (!transfer->begun)
        carom_respond(transfer->record, &failed);
    finish(transfer);
}

static void set_request(struct transfer *transfer)
{
    carom_record *record = transfer->record;
    carom_slice method = carom_request_method(record), target = carom_request_target(record);
    char text[20000];
    snprintf(text, sizeof text, "%s%.*s", upstream, (int)target.length, target.data);
    curl_easy_setopt(transfer->curl, CURLOPT_URL, text);
    snprintf(text, sizeof text, "%.*s", (int)method.length, method.data);
    curl_easy_setopt(transfer->curl, CURLOPT_CUSTOMREQUEST, text);
    curl_easy_setopt(transfer->curl, CURLOPT_NOBODY, (long)(strcmp(text, "HEAD") == 0));
    if (carom_request_content_length(record) != 0)
        curl_easy_setopt(transfer->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_INFILESIZE_LARGE,
                     (curl_off_t)carom_request_content_length(record));
    transfer->sent = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < carom_request_field_count(record); i++) {
        carom_field field = carom_request_field_at(record, i);
        if (stays(field.name.data, field.name.length))
            continue;
        snprintf(text, sizeof text, field.value.length > 0 ? "%.*s: %.*s" : "%.*s;%.*s",
                 (int)field.name.length, field.name.data, (int)field.value.length,
                 field.value.data);
        transfer->sent = curl_slist_append(transfer->sent, text);
    }
    curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, transfer->sent);
}

static void handle(carom_record *record, void *data)
{
    struct transfer *transfer = carom_record_state(record);
    (void)data;
    transfer->record = record;
    transfer->worker = carom_worker_data(carom_record_worker(record));
    transfer->curl = curl_easy_init();
    transfer->gone.wake = on_gone;
    transfer->more.wake = on_more;
    transfer->room.wake = on_room;
    set_request(transfer);
    curl_easy_setopt(transfer->curl, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(transfer->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(transfer->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(transfer->curl, CURLOPT_READDATA, transfer);
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, on_download);
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEDATA, transfer);
    carom_wait(record, CAROM_CANCELLED, &transfer->gone);
    curl_multi_add_handle(transfer->worker->multi, transfer->curl);
}

static int on_start(carom_worker *worker, void *workers)
{
    struct curl_worker *of = (struct curl_worker *)workers + carom_worker_index(worker);
    carom_worker_set_data(worker, of);
    return curl_worker_begin(of, worker, on_done);
}

static void on_stop(carom_worker *worker, void *workers)
{
    curl_worker_end((struct curl_worker *)workers + carom_worker_index(worker));
}

int main(int argc, char **argv)
{
    static struct curl_worker workers[2];
    carom_options options = CAROM_OPTIONS_INIT;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    upstream = argc > 2 ? argv[2] : "http://127.0.0.1:8081";
    options.handler = handle;
    options.record_state = sizeof(struct transfer);
    options.workers = 2;
    options.on_start = on_start;
    options.on_stop = on_stop;
    options.worker_data = workers;
    return serve_until_signal("proxy", &options, argv[1]);
}
