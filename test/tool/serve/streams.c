/* Routes of the test server whose content comes or goes in pieces: /stream, /echo, /count, /collect
 * and the tunnels (/tunnel by Upgrade, and CONNECT). */
#include <stdio.h>
#include <string.h>

#include "tool/serve/serve.h"

static void release_ended(carom_waker *waker, int status)
{
    (void)status;
    carom_release(EXCHANGE_OF(waker, waker)->record);
}

/* Let go now, or when the response has left. */
static void finish(struct exchange *exchange)
{
    if (exchange->wait_ended)
        wait_edge(exchange, CAROM_ENDED, release_ended);
    else
        carom_release(exchange->record);
}

static void stream_run(struct exchange *exchange);

static void stream_wake(carom_waker *waker, int status)
{
    (void)status; /* the next write says the same */
    stream_run(EXCHANGE_OF(waker, waker));
}

static void stream_end(struct exchange *exchange)
{
    static const carom_field trailer = {CAROM_SLICE("X-Sum"), CAROM_SLICE("done")};
    bool with = query_number(exchange->record, "trailer", 0) != 0;
    note_result(carom_end(exchange->record, &trailer, with ? 1 : 0));
    finish(exchange);
}

static void stream_run(struct exchange *exchange)
{
    while (exchange->left > 0) {
        uint64_t length = exchange->left < exchange->piece ? exchange->left : exchange->piece;
        carom_content content = {pattern + exchange->offset % PATTERN_PERIOD, (size_t)length,
                                 exchange->copy ? NULL : carom_static_content, NULL};
        int result = carom_write(exchange->record, &content);
        if (result == -CAROM_EAGAIN) {
            wait_edge(exchange, CAROM_WRITABLE, stream_wake);
            return;
        }
        if (result < 0) {
            note_result(result);
            finish(exchange);
            return;
        }
        exchange->offset += length;
        exchange->left -= length;
        if (exchange->milliseconds > 0 && exchange->left > 0) {
            exchange->waker.wake = stream_wake;
            note_result(
                carom_wait_time(exchange->record, exchange->milliseconds, &exchange->waker));
            return;
        }
    }
    stream_end(exchange);
}

/* /stream?size=N&piece=N: the pattern in pieces, as fast as the client takes it. length=1: with
 * Content-Length; copy=1: copied pieces; ms=N: with pauses; trailer=1; ended=1: held until it left.
 */
void route_stream(struct exchange *exchange)
{
    const carom_record *record = exchange->record;
    exchange->left = query_number(record, "size", 4096);
    exchange->piece = query_number(record, "piece", 1024);
    if (exchange->piece == 0 || exchange->piece > PIECE_MAX)
        exchange->piece = PIECE_MAX;
    exchange->copy = query_number(record, "copy", 0) != 0;
    exchange->wait_ended = query_number(record, "ended", 0) != 0;
    exchange->milliseconds = (uint32_t)query_number(record, "ms", 0);
    bool length = query_number(record, "length", 0) != 0;
    carom_response response = {.status = 200};
    response.content_length = length ? exchange->left : CAROM_LENGTH_UNKNOWN;
    note_result(carom_respond_begin(exchange->record, &response));
    stream_run(exchange);
}

/* ------------------------------------------------------------------ echo and tunnels */

static void echo_run(struct exchange *exchange);

static void echo_wake(carom_waker *waker, int status)
{
    (void)status;
    echo_run(EXCHANGE_OF(waker, waker));
}

static void echo_begin(struct exchange *exchange)
{
    if (exchange->begun)
        return;
    exchange->begun = true;
    carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    note_result(carom_respond_begin(exchange->record, &response));
}

#define TRAILERS_MAX 8

static void echo_end(struct exchange *exchange)
{
    carom_field trailers[TRAILERS_MAX];
    size_t count = carom_request_trailer_count(exchange->record);
    if (count > TRAILERS_MAX)
        count = TRAILERS_MAX;
    for (size_t i = 0; i < count; i++)
        trailers[i] = carom_request_trailer_at(exchange->record, i);
    note_result(carom_end(exchange->record, trailers, exchange->tunnel ? 0 : count));
    finish(exchange);
}

static void echo_run(struct exchange *exchange)
{
    for (;;) {
        if (exchange->pending.length == 0) {
            int got = carom_request_read(exchange->record, &exchange->pending);
            if (got == -CAROM_EAGAIN) {
                wait_edge(exchange, CAROM_READABLE, echo_wake);
                return;
            }
            if (got < 0) {
                note_result(got);
                finish(exchange);
                return;
            }
            echo_begin(exchange);
            if (got == 0) {
                echo_end(exchange);
                return;
            }
        }
        carom_content content = {exchange->pending.data, exchange->pending.length, NULL, NULL};
        int result = carom_write(exchange->record, &content);
        if (result == -CAROM_EAGAIN) {
            wait_edge(exchange, CAROM_WRITABLE, echo_wake);
            return;
        }
        if (result < 0) {
            note_result(result);
            finish(exchange);
            return;
        }
        exchange->pending.length = 0;
    }
}

/* /echo: the content, chunked, and its trailers. early=1: the head is sent before anything is read.
 */
void route_echo(struct exchange *exchange)
{
    exchange->wait_ended = query_number(exchange->record, "ended", 0) != 0;
    if (query_number(exchange->record, "early", 0) != 0)
        echo_begin(exchange);
    echo_run(exchange);
}

/* /tunnel with "Upgrade: echo", or CONNECT: raw bytes come back. */
void route_tunnel(struct exchange *exchange)
{
    static const carom_field upgrade = {CAROM_SLICE("Upgrade"), CAROM_SLICE("echo")};
    carom_slice method = carom_request_method(exchange->record);
    bool connect = method.length == 7;
    carom_response response = {.status = 101, .fields = &upgrade, .field_count = 1};
    if (connect)
        response = (carom_response){.status = 200};
    int result = carom_upgrade(exchange->record, &response);
    if (result == -CAROM_ESTATE) {
        answer_text(exchange, 426, "upgrade wanted\n");
        return;
    }
    note_result(result);
    exchange->begun = exchange->tunnel = true;
    echo_run(exchange);
}

/* ------------------------------------------------------------------ uploads */

static void count_answer(struct exchange *exchange)
{
    char text[48];
    (void)snprintf(text, sizeof(text), "%llu %llu\n", (unsigned long long)exchange->offset,
                   (unsigned long long)exchange->sum);
    answer_text(exchange, 200, text);
}

static void count_wake(carom_waker *waker, int status);

static void count_run(struct exchange *exchange)
{
    for (;;) {
        carom_slice bytes;
        int got = carom_request_read(exchange->record, &bytes);
        if (got == -CAROM_EAGAIN) {
            wait_edge(exchange, CAROM_READABLE, count_wake);
            return;
        }
        if (got <= 0) {
            note_result(got);
            count_answer(exchange);
            return;
        }
        exchange->offset += bytes.length;
        for (size_t i = 0; i < bytes.length; i++)
            exchange->sum += (unsigned char)bytes.data[i];
    }
}

static void count_wake(carom_waker *waker, int status)
{
    (void)status;
    count_run(EXCHANGE_OF(waker, waker));
}

/* /count: how many bytes were uploaded, and their sum. */
void route_count(struct exchange *exchange)
{
    count_run(exchange);
}

static void collected(carom_waker *waker, int status)
{
    struct exchange *exchange = EXCHANGE_OF(waker, waker);
    if (status == -CAROM_ETOOBIG) {
        answer_text(exchange, 413, "over the limit\n");
        return;
    }
    uint64_t buffered = carom_request_buffered(exchange->record);
    carom_record *record = exchange->record;
    if (status == 0 && (int64_t)buffered < carom_request_content_length(record)) {
        answer_text(exchange, 500, "collected too little\n");
        return;
    }
    count_run(exchange);
}

/* /collect?limit=N: the same, gathered first. */
void route_collect(struct exchange *exchange)
{
    exchange->waker.wake = collected;
    uint64_t limit = query_number(exchange->record, "limit", 65536);
    note_result(carom_request_collect(exchange->record, limit, &exchange->waker));
}
