/* libcurl's multi interface on a worker, for any program: the descriptors that curl waits for are
 * watched by carom_watch_worker, its times by carom_wait_time_worker. The program begins a transfer
 * by curl_multi_add_handle, with the owner of the transfer as CURLOPT_PRIVATE; when it ends, `done`
 * is called. */
#ifndef EXAMPLES_CURL_WORKER_H
#define EXAMPLES_CURL_WORKER_H

#include <carom.h>

#include <curl/curl.h>
#include <stdlib.h>

struct curl_worker {
    carom_worker *worker;
    CURLM *multi;
    carom_waker timer;
    void (*done)(void *owner, CURLcode result); /* it removes the handle from `multi` */
};

/* A socket of curl's: made when it is first waited for, freed when curl lets go of it. */
struct curl_worker_socket {
    carom_io io;
    struct curl_worker *of;
    curl_socket_t fd;
};

static void curl_worker_act(struct curl_worker *of, curl_socket_t fd, int events)
{
    int running, left;
    const CURLMsg *message;
    curl_multi_socket_action(of->multi, fd, events, &running);
    while ((message = curl_multi_info_read(of->multi, &left)) != NULL) {
        char *owner;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
        of->done(owner, message->data.result);
    }
}

static void curl_worker_ready(carom_io *io, int events)
{
    struct curl_worker_socket *socket = (struct curl_worker_socket *)(void *)io;
    if (events > 0) /* else the worker stops, and curl_worker_end follows */
        curl_worker_act(socket->of, socket->fd,
                        (events & CAROM_WATCH_READABLE ? CURL_CSELECT_IN : 0) |
                            (events & CAROM_WATCH_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static int curl_worker_socket(CURL *curl, curl_socket_t fd, int what, void *of, void *known)
{
    struct curl_worker_socket *socket = known;
    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            carom_unwatch(&socket->io);
        free(socket);
        return 0;
    }
    if (socket == NULL && (socket = calloc(1, sizeof *socket)) == NULL)
        return -1;
    if (known == NULL) {
        *socket = (struct curl_worker_socket){{.ready = curl_worker_ready}, of, fd};
        curl_multi_assign(socket->of->multi, fd, socket);
    }
    return carom_watch_worker(socket->of->worker, &socket->io, fd,
                              (what & CURL_POLL_IN ? CAROM_WATCH_READABLE : 0u) |
                                  (what & CURL_POLL_OUT ? CAROM_WATCH_WRITABLE : 0u));
}

static void curl_worker_time(carom_waker *waker, int status)
{
    if (status == 0)
        curl_worker_act(
            (struct curl_worker *)(void *)((char *)waker - offsetof(struct curl_worker, timer)),
            CURL_SOCKET_TIMEOUT, 0);
}

static int curl_worker_timer(CURLM *multi, long milliseconds, void *data)
{
    struct curl_worker *of = data;
    (void)multi;
    carom_unwait_worker(of->worker, &of->timer);
    if (milliseconds >= 0)
        carom_wait_time_worker(of->worker, (uint32_t)milliseconds, &of->timer);
    return 0;
}

/* In carom_on_start; `of` stays where it is. */
static inline int curl_worker_begin(struct curl_worker *of, carom_worker *worker,
                                    void (*done)(void *owner, CURLcode result))
{
    *of = (struct curl_worker){worker, curl_multi_init(), {.wake = curl_worker_time}, done};
    if (of->multi == NULL)
        return -CAROM_ENOMEM;
    curl_multi_setopt(of->multi, CURLMOPT_SOCKETFUNCTION, curl_worker_socket);
    curl_multi_setopt(of->multi, CURLMOPT_SOCKETDATA, of);
    curl_multi_setopt(of->multi, CURLMOPT_TIMERFUNCTION, curl_worker_timer);
    curl_multi_setopt(of->multi, CURLMOPT_TIMERDATA, of);
    return 0;
}

/* In carom_on_stop, when no transfer is left. */
static inline void curl_worker_end(struct curl_worker *of)
{
    curl_multi_cleanup(of->multi);
}

#endif
