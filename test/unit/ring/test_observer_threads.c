/* Connections, as a VM on a thread of its own hears of them, while they open and close on the
 * worker's: for the thread sanitizer, and so that each is told once. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/net/support.h"

#include "carom_ring.h"
#include "service/service.h"

#define CAPACITY    16
#define CONNECTIONS 300 /* more than the table has at first */
#define AT_ONCE     100

static carom_service *service;
static carom_ring *ring;
static uint32_t *control;

static void nothing(void *data)
{
    (void)data;
}

static void *run(void *data)
{
    *(int *)data = carom_run(service);
    return NULL;
}

/* Clients that come and go: some close themselves, others wait until the VM has closed them. */
static void *connect_all(void *data)
{
    const struct sockaddr *address = data;
    int fds[AT_ONCE];
    for (int round = 0; round < CONNECTIONS / AT_ONCE; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            fds[i] = socket(AF_INET, SOCK_STREAM, 0);
            assert_int_equal(connect(fds[i], address, sizeof(struct sockaddr_in)), 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            char byte;
            if (i % 2 == 0)
                assert_true(read(fds[i], &byte, 1) <= 0);
            close(fds[i]);
        }
    }
    return NULL;
}

static void create(struct sockaddr_in *in)
{
    carom_options options = CAROM_OPTIONS_INIT;
    const carom_ring_options ring_options = {
        .size = sizeof(carom_ring_options), .capacity = CAPACITY, .wake = nothing, .watch = true};
    size_t size = (carom_ring_control_size(CAPACITY) + 63) / 64 * 64;
    carom_address address;
    control = aligned_alloc(64, size);
    memset(control, 0, size);
    options.handler = carom_ring_handle;
    options.record_state = sizeof(void *);
    assert_int_equal(carom_ring_create(&ring, &ring_options, control, size), 0);
    assert_int_equal(carom_service_create(&service, &options), 0);
    assert_int_equal(carom_ring_attach(ring, service, 0), 0);
    assert_int_equal(carom_service_listen(service, "127.0.0.1:0"), 0);
    assert_int_equal(carom_service_listener(service, 0, &address), 0);
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address.port)};
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void each_is_told_once_while_others_come_and_go(void **state)
{
    (void)state;
    struct sockaddr_in in;
    pthread_t runner, clients;
    int result = 1, opened = 0, closed = 0;
    bool open[CONNECTIONS + 1] = {false};
    create(&in);
    assert_int_equal(pthread_create(&runner, NULL, run, &result), 0);
    assert_int_equal(pthread_create(&clients, NULL, connect_all, &in), 0);
    while (closed < CONNECTIONS) {
        carom_ring_connection connection = CAROM_RING_CONNECTION_INIT;
        uint64_t received, sent;
        if (carom_ring_take_connection(ring, &connection) == 0) {
            sched_yield();
            continue;
        }
        assert_in_range(connection.number, 1, CONNECTIONS);
        if (connection.news & CAROM_RING_OPENED) {
            assert_false(open[connection.number]);
            open[connection.number] = true;
            opened++;
            carom_ring_traffic(ring, connection.number, &received, &sent);
            carom_ring_close_connection(ring, connection.number, CAROM_CLOSE_NOW);
        }
        if (connection.news & CAROM_RING_CLOSED) {
            assert_true(open[connection.number]);
            open[connection.number] = false;
            closed++;
            carom_ring_forget_connection(ring, connection.number);
        }
    }
    assert_int_equal(opened, CONNECTIONS);
    assert_int_equal(pthread_join(clients, NULL), 0);
    carom_ring_close_connection(ring, 0, CAROM_CLOSE_NOW);
    carom_shutdown(service, 0);
    assert_int_equal(pthread_join(runner, NULL), 0);
    assert_int_equal(result, 0);
    assert_int_equal(carom_service_destroy(service), 0);
    carom_ring_destroy(ring);
    free(control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once_while_others_come_and_go),
    };
    return cmocka_run_group_tests_name("ring/observer_threads", tests, NULL, NULL);
}
