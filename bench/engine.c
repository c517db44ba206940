/* engine: what a request costs in the engine alone, in user space, without a kernel below.
 *
 *     engine
 *
 * A hello on the simulated network, whose work is a few copies: prints nanoseconds per request,
 * alone and sixteen at once on a connection, the median of several rounds and the quickest round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carom.h"
#include "net/loop_simulated.h"
#include "service/service.h"
#include "service/worker.h"
#include "timing.h"

#define ROUNDS      9
#define CONNECTIONS 64
#define TURNS       400
#define MOST        16

static const char request[] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

static void answer(carom_record *record, void *data)
{
    const carom_field type = {CAROM_SLICE("content-type"), CAROM_SLICE("text/plain")};
    const carom_response response = {.status = 200,
                                     .fields = &type,
                                     .field_count = 1,
                                     .content = {"Hello, World!", 13, NULL, NULL}};

    (void)data;
    carom_respond(record, &response);
    carom_release(record);
}

static void must(bool well, const char *what)
{
    if (!well) {
        fprintf(stderr, "engine: %s\n", what);
        exit(1);
    }
}

static void turn(carom_service *service)
{
    carom_worker_turn(&service->workers[0], false);
}

static void stop(carom_service *service)
{
    carom_shutdown(service, 0);
    for (int i = 0; i < 4; i++)
        turn(service);
    atomic_store(&service->state, CAROM_SERVICE_DRAINED);
    must(carom_service_destroy(service) == 0, "the service does not end");
}

/* Nanoseconds per request of one round: every peer asks `depth` times in each turn. */
static double once(int depth)
{
    static char batch[MOST * sizeof request];
    struct carom_peer *peers[CONNECTIONS];
    carom_options options = CAROM_OPTIONS_INIT;
    carom_service *service = NULL;
    size_t length = sizeof request - 1;

    options.handler = answer;
    options.handler_timeout = CAROM_OFF;
    for (int i = 0; i < depth; i++)
        memcpy(batch + (size_t)i * length, request, length);
    must(carom_service_create_on(&service, &options, carom_loop_simulated_create) == 0 &&
             carom_service_listen(service, "127.0.0.1:0") == 0 && carom_service_start(service) == 0,
         "the service does not start");
    struct carom_loop *loop = service->workers[0].loop;
    for (int i = 0; i < CONNECTIONS; i++)
        must((peers[i] = carom_simulated_connect(loop)) != NULL, "out of memory");
    turn(service);
    double busy = 0;
    for (int k = 0; k < TURNS; k++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            carom_peer_forget(peers[i]);
            carom_peer_send(peers[i], batch, length * (size_t)depth);
        }
        double start = thread_time();
        turn(service);
        busy += thread_time() - start;
    }
    carom_stats stats = CAROM_STATS_INIT;
    carom_service_stats(service, &stats);
    must(stats.responses == (uint64_t)TURNS * CONNECTIONS * (uint64_t)depth,
         "not all were answered");
    stop(service);
    return busy / ((double)TURNS * CONNECTIONS * depth);
}

static void measure(const char *name, int depth)
{
    double times[ROUNDS];

    for (int i = 0; i < ROUNDS; i++)
        times[i] = once(depth);
    double middle = median(times, ROUNDS);
    printf("| %-12s | %6.1f | %6.1f |\n", name, middle, times[0]);
}

int main(void)
{
    printf("| requests | ns each, median | least |\n| --- | ---: | ---: |\n");
    measure("one by one", 1);
    measure("16 pipelined", 16);
    return 0;
}
