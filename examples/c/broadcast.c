/* broadcast: server-sent events to many clients, by one post a worker for each event.
 *
 *     broadcast [PORT [WORKERS]]
 *
 *     GET /       the events, from now on (curl -N)
 *     POST /      an event: its content goes to all who listen; answers how many posts that took
 *
 * Clients are listed by the worker that serves them, so an event goes to each worker once, and
 * there to its clients: no post, no lock and no copy for each of them. The event is freed when the
 * last one has been sent it. Who takes events too slowly misses some: a client that is owed more
 * than options.write_buffer gets none until it has read on.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "serve.h"

#define MOST_WORKERS 16
#define LARGEST      1024

struct event {
    atomic_uint uses; /* posts and borrowed content */
    size_t length;
    char text[LARGEST + 16];
    struct post {
        carom_waker waker;
        struct event *event;
        struct audience *audience;
    } posts[MOST_WORKERS];
};

struct listener {         /* in its record's state */
    carom_record *record; /* no carom_ref: it leaves the list before it is released, in `leave` */
    carom_waker wait;     /* for the end; of who posts, for the content */
    carom_waker drain;    /* the service shuts down */
    struct listener *next, **from;
};

struct audience { /* a worker's */
    struct listener *first;
};

static uint32_t workers;
static struct audience audiences[MOST_WORKERS];

static void give_back(void *owner)
{
    struct event *event = owner;
    if (atomic_fetch_sub(&event->uses, 1) == 1)
        free(event);
}

/* On each worker: write it to all who listen here. */
static void on_event(carom_waker *waker, int status)
{
    struct post *post = OF(waker, struct post, waker);
    struct event *event = post->event;
    struct listener *listener = status < 0 ? NULL : post->audience->first; /* the worker stops */
    for (; listener != NULL; listener = listener->next) {
        const carom_content content = {event->text, event->length, give_back, event};
        atomic_fetch_add(&event->uses, 1);
        carom_write(listener->record, &content); /* gives it back when it fails */
    }
    give_back(event);
}

static void finish(carom_record *record, uint16_t status, const char *text)
{
    const carom_response response = {.status = status,
                                     .content = {.data = text, .length = strlen(text)}};
    carom_respond(record, &response);
    carom_release(record);
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): it counts who uses it, which the analyser does not */
static void publish(struct event *event)
{
    atomic_init(&event->uses, workers + 1);
    for (uint32_t i = 0; i < workers; i++) {
        event->posts[i] = (struct post){{.wake = on_event}, event, &audiences[i]};
        if (carom_post_worker(carom_service_worker(service, i), &event->posts[i].waker) < 0)
            give_back(event); /* it has stopped */
    }
    give_back(event);
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

static void on_content(carom_waker *waker, int status)
{
    struct listener *listener = OF(waker, struct listener, wait);
    struct event *event = status == 0 ? malloc(sizeof *event) : NULL;
    carom_slice piece;
    char answer[32];
    if (event == NULL) {
        finish(listener->record, 413, "");
        return;
    }
    event->length = (size_t)snprintf(event->text, sizeof event->text, "data: ");
    while (carom_request_read(listener->record, &piece) > 0) {
        memcpy(event->text + event->length, piece.data, piece.length);
        event->length += piece.length;
    }
    memcpy(event->text + event->length, "\n\n", 2);
    event->length += 2;
    publish(event);
    snprintf(answer, sizeof answer, "%u\n", workers);
    finish(listener->record, 200, answer);
}

static void leave(struct listener *listener)
{
    *listener->from = listener->next;
    if (listener->next != NULL)
        listener->next->from = listener->from;
    carom_release(listener->record);
}

static void on_gone(carom_waker *waker, int status)
{
    (void)status;
    leave(OF(waker, struct listener, wait));
}

static void on_drain(carom_waker *waker, int status)
{
    struct listener *listener = OF(waker, struct listener, drain);
    if (status < 0)
        return; /* it is over, which on_gone is told */
    carom_end(listener->record, NULL, 0);
    leave(listener);
}

static void listen_on(struct audience *audience, struct listener *listener)
{
    static const carom_field type = {CAROM_SLICE("content-type"), CAROM_SLICE("text/event-stream")};
    const carom_response response = {
        .status = 200, .fields = &type, .field_count = 1, .content_length = CAROM_LENGTH_UNKNOWN};
    carom_respond_begin(listener->record, &response);
    listener->wait.wake = on_gone;
    listener->drain.wake = on_drain;
    listener->from = &audience->first;
    listener->next = audience->first;
    if (listener->next != NULL)
        listener->next->from = &listener->next;
    audience->first = listener;
    carom_wait(listener->record, CAROM_CANCELLED, &listener->wait);
    carom_wait(listener->record, CAROM_DRAINING, &listener->drain);
}

static void handle(carom_record *record, void *data)
{
    struct listener *listener = carom_record_state(record);
    (void)data;
    listener->record = record;
    if (carom_request_method(record).length == strlen("GET")) {
        listen_on(carom_worker_data(carom_record_worker(record)), listener);
    } else {
        listener->wait.wake = on_content;
        carom_request_collect(record, LARGEST, &listener->wait);
    }
}

static int on_start(carom_worker *worker, void *data)
{
    (void)data;
    carom_worker_set_data(worker, &audiences[carom_worker_index(worker)]);
    return 0;
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    workers = argc > 2 ? (uint32_t)atoi(argv[2]) : 2;
    if (workers < 1 || workers > MOST_WORKERS)
        return 2;
    options.handler = handle;
    options.record_state = sizeof(struct listener);
    options.workers = workers;
    options.on_start = on_start;
    return serve_until_signal("broadcast", &options, argv[1]);
}
