/* The scenario of opening a service with several listeners and workers, on real sockets. */
#ifndef CAROM_TEST_UNIT_FAULT_OPENING_H
#define CAROM_TEST_UNIT_FAULT_OPENING_H

#include <fcntl.h>
#include <unistd.h>

#include "base/memory.h"
#include "unit/fault/scenarios.h"

#define LISTENERS 4

static struct {
    char path[64], unix_address[80], abstract[64];
} opening;

static inline void name_listeners(void)
{
    snprintf(opening.path, sizeof opening.path, "/tmp/carom-fault-%d.sock", (int)getpid());
    snprintf(opening.unix_address, sizeof opening.unix_address, "unix:%s?mode=0600", opening.path);
    snprintf(opening.abstract, sizeof opening.abstract, "unix:@carom-fault-%d", (int)getpid());
}

/* Open with all listeners; what is open when something fails is closed. The first error, or 0. */
static inline int open_service(carom_service **service)
{
    const char *const addresses[LISTENERS] = {"127.0.0.1:0", opening.unix_address, opening.abstract,
                                              "127.0.0.1:0"};
    carom_options options = fault_options();
    options.workers = 2;
    int error = carom_service_create(service, &options);
    if (error < 0)
        return error;
    for (size_t i = 0; i < LISTENERS && error == 0; i++)
        error = carom_service_listen(*service, addresses[i]);
    if (error < 0)
        assert_int_equal(carom_service_destroy(*service), 0);
    return error;
}

static inline int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 100; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Nothing is left of a service that was opened, or was not. */
static inline void assert_nothing_left(uint64_t held, int open)
{
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(open_descriptors(), open);
    assert_int_equal(access(opening.path, F_OK), -1);
}

#endif
