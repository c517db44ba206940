/* A service on the simulated network for the fuzz targets: one worker, one thread, a clock that the
 * target moves. Everything that it takes must come back. */
#ifndef CAROM_TEST_FUZZ_NETWORK_H
#define CAROM_TEST_FUZZ_NETWORK_H

#include "fuzz/support.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "http/connection.h"
#include "net/loop_simulated.h"
#include "service/service.h"

/* Turns without an end are a finding, too. */
#define MOST_TURNS 20000

static struct network {
    carom_service *service;
    struct carom_worker *worker;
    struct carom_loop *loop;
    uint64_t memory; /* held before */
} network;

/* 0 or the error with which the options were refused. */
static inline int network_create(const carom_options *options)
{
    network = (struct network){.memory = carom_memory_held()};
    int error = carom_service_create_on(&network.service, options, carom_loop_simulated_create);
    if (error < 0) {
        carom_assert(carom_memory_held() == network.memory);
        return error;
    }
    network.worker = &network.service->workers[0];
    network.loop = network.worker->loop;
    return 0;
}

/* An acceptor of the simulated network needs no socket, but a listener does: a cheap one, again and
 * again. Plain when `tls` is NULL. */
static inline void network_start(const carom_tls_options *tls)
{
    static int listening = -1;
    char address[16];
    if (listening < 0) {
        const struct sockaddr_un any = {.sun_family = AF_UNIX};
        listening = socket(AF_UNIX, SOCK_STREAM, 0);
        carom_assert(bind(listening, (const struct sockaddr *)&any, sizeof any.sun_family) == 0 &&
                     listen(listening, 1) == 0);
    }
    snprintf(address, sizeof address, "fd:%d", dup(listening));
    int error = tls == NULL ? carom_service_listen(network.service, address)
                            : carom_service_listen_tls(network.service, address, tls);
    carom_assert(error == 0);
    error = carom_service_start(network.service);
    carom_assert(error == 0);
}

static inline bool network_busy(void)
{
    return carom_simulated_busy(network.loop) || carom_worker_busy(network.worker);
}

static inline void network_turn(void)
{
    int turns = 0;
    do {
        carom_worker_turn(network.worker, true); /* the simulated loop never sleeps */
        carom_assert(++turns < MOST_TURNS);
    } while (network_busy());
}

static inline void network_pass(uint64_t milliseconds)
{
    carom_simulated_advance(network.loop, milliseconds);
    network_turn();
}

/* Cancel what is in flight: the handler must let go of it. */
static inline void network_shut_down(void)
{
    carom_memory_fail_after(UINT64_MAX);
    network_turn();
    carom_shutdown(network.service, 0);
    network_turn();
    network_pass(1);
}

/* After the shutdown, and when the handler has released all. Returns the statistics. */
static inline carom_stats network_finish(void)
{
    carom_stats stats = CAROM_STATS_INIT;
    network_turn();
    carom_service_stats(network.service, &stats);
    carom_assert(stats.connections_open == 0 && stats.records_in_flight == 0);
    uint64_t ended = 0;
    for (int reason = 0; reason < CAROM_REASON_COUNT; reason++)
        ended += stats.ended[reason];
    carom_assert(ended == stats.records_recycled && stats.ended[CAROM_REASON_NONE] == 0);
    carom_assert(network.worker->drained);
    atomic_store(&network.service->state, CAROM_SERVICE_DRAINED);
    int error = carom_service_destroy(network.service);
    carom_assert(error == 0);
    return stats;
}

/* After everything else that took memory has given it. */
static inline void network_check_memory(void)
{
    carom_assert(carom_memory_held() == network.memory);
}

#endif
