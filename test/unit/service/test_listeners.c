/* Opening listeners: where a call of the kernel fails that is told, and neither a descriptor nor a
 * file is left; sockets that systemd passes; ports that several workers have. */
#include "unit/base/failing_call.h"
#include "unit/http/simulation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit/base/libc.h"

/* ---------------------------------------------------------------- calls that fail */

enum call { CALL_SOCKET, CALL_OPTION, CALL_BIND, CALL_LISTEN, CALL_NAME, CALL_MODE, CALLS };

/* In front of those in libc. */
int socket(int family, int type, int protocol)
{
    return fails(CALL_SOCKET) ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    return fails(CALL_OPTION) ? -1 : (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

int bind(int fd, __CONST_SOCKADDR_ARG name, socklen_t length)
{
    return fails(CALL_BIND) ? -1 : (int)syscall(SYS_bind, fd, ADDRESS_OF(name), length);
}

int listen(int fd, int backlog)
{
    return fails(CALL_LISTEN) ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

int getsockname(int fd, __SOCKADDR_ARG name, socklen_t *restrict length)
{
    return fails(CALL_NAME) ? -1 : (int)syscall(SYS_getsockname, fd, ADDRESS_OF(name), length);
}

int chmod(const char *path, mode_t mode)
{
    return fails(CALL_MODE) ? -1 : (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}

/* ---------------------------------------------------------------- what is there */

static char folder[64], file[80];
static carom_service *service;

static int begin_test(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof plan);
    strcpy(folder, "/tmp/carom-listeners-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof file, "%s/socket", folder);
    return 0;
}

/* Fails when a test has left a file behind. */
static int end_test(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void make_service(uint32_t workers)
{
    carom_options options = simulation_options();
    options.workers = workers;
    assert_int_equal(carom_service_create(&service, &options), 0);
}

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static uint16_t port_of(size_t listener)
{
    carom_address address;
    assert_int_equal(carom_service_listener(service, listener, &address), 0);
    return address.port;
}

/* ---------------------------------------------------------------- tests */

/* What could not be opened before can be opened after. */
static void assert_opens_whole(const char *address)
{
    plan.error = 0;
    assert_int_equal(carom_service_listen(service, address), 0);
    assert_int_equal(carom_service_listener_count(service), 1);
    assert_int_equal(carom_service_destroy(service), 0);
    assert_int_equal(access(file, F_OK), -1);
}

/* Whether there was such a call. */
static bool fail_one(const char *address, uint32_t workers, enum call call, int after)
{
    static const struct {
        int error, result;
    } faults[CALLS] = {
        [CALL_SOCKET] = {EMFILE, -CAROM_EMFILE}, [CALL_OPTION] = {ENOMEM, -CAROM_ENOMEM},
        [CALL_BIND] = {EACCES, -CAROM_EACCES},   [CALL_LISTEN] = {ENOBUFS, -CAROM_ENOMEM},
        [CALL_NAME] = {ENOBUFS, -CAROM_ENOMEM},  [CALL_MODE] = {EACCES, -CAROM_EACCES},
    };
    make_service(workers);
    int open = count_open();
    memset(&plan, 0, sizeof plan);
    plan.call = call;
    plan.error = faults[call].error;
    plan.after = after;
    int result = carom_service_listen(service, address);
    if (plan.failed) {
        assert_int_equal(result, faults[call].result);
        assert_int_equal(carom_service_listener_count(service), 0);
        assert_int_equal(count_open(), open);
        assert_int_equal(access(file, F_OK), -1);
        assert_opens_whole(address);
        return true;
    }
    assert_int_equal(result, 0);
    assert_int_equal(carom_service_destroy(service), 0);
    return false;
}

static void where_a_call_fails_it_is_told_and_nothing_is_left(void **state)
{
    (void)state;
    char unix_address[120];
    snprintf(unix_address, sizeof unix_address, "unix:%s?mode=0600", file);
    const char *const addresses[] = {"127.0.0.1:0", "*:0", unix_address};
    for (size_t i = 0; i < COUNT(addresses); i++)
        for (uint32_t workers = 1; workers <= 3; workers += 2)
            for (enum call call = 0; call < CALLS; call++)
                for (int after = 0; fail_one(addresses[i], workers, call, after); after++) {
                }
}

/* A file that a server has left behind is looked at, and that may fail, too. */
static void a_file_that_cannot_be_looked_at_stays(void **state)
{
    (void)state;
    char address[120];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(address, sizeof address, "unix:%s", file);
    strcpy(un.sun_path, file);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    make_service(1);
    plan.call = CALL_SOCKET;
    plan.error = EMFILE;
    assert_int_equal(carom_service_listen(service, address), -CAROM_EMFILE);
    assert_int_equal(access(file, F_OK), 0);
    assert_opens_whole(address);
}

/* The others are not asked whether they want it shared. */
static void a_port_of_another_is_not_taken(void **state)
{
    (void)state;
    char address[40];
    for (uint32_t workers = 1; workers <= 3; workers += 2) {
        make_service(workers);
        assert_int_equal(carom_service_listen(service, "127.0.0.1:0"), 0);
        snprintf(address, sizeof address, "127.0.0.1:%u", port_of(0));
        int open = count_open();
        assert_int_equal(carom_service_listen(service, address), -CAROM_EADDRINUSE);
        assert_int_equal(carom_service_listener_count(service), 1);
        assert_int_equal(count_open(), open);
        assert_int_equal(carom_service_destroy(service), 0);
    }
}

/* The first descriptors that systemd passes. */
#define FIRST 3

static void pass_sockets(const char *count)
{
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
}

static void make_socket(int number, bool listens)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0); /* at some port of every address */
    assert_int_equal(dup2(fd, number), number);
    if (fd != number)
        close(fd);
}

static uint16_t port_at(int fd)
{
    struct sockaddr_in name = {0};
    socklen_t length = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    return ntohs(name.sin_port);
}

static void all_that_systemd_passes_are_listened_on(void **state)
{
    (void)state;
    make_socket(FIRST, true);
    make_socket(FIRST + 1, true);
    make_service(1);
    assert_int_equal(carom_service_listen(service, "systemd:"), -CAROM_ENOENT); /* none is passed */
    pass_sockets("2");
    const uint16_t first = port_at(FIRST), second = port_at(FIRST + 1);
    assert_int_equal(carom_service_listen(service, "systemd:"), 0);
    assert_int_equal(carom_service_listener_count(service), 2);
    assert_int_equal(port_of(0), first);
    assert_int_equal(port_of(1), second);
    assert_int_equal(carom_service_destroy(service), 0);
    assert_int_equal(fcntl(FIRST, F_GETFD), -1); /* they were given to the service */
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
}

static void one_that_does_not_listen_is_told(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        make_socket(FIRST, bad != 0);
        make_socket(FIRST + 1, bad != 1);
        make_service(1);
        pass_sockets("2");
        assert_int_equal(carom_service_listen(service, "systemd:"), -CAROM_ENOENT);
        assert_int_equal(carom_service_listener_count(service), bad);
        assert_int_equal(carom_service_destroy(service), 0);
        close(FIRST);
        close(FIRST + 1);
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
    }
}

int main(void)
{
    /* The numbers that systemd would pass are nobody's here. */
    for (int fd = FIRST; fd < FIRST + 2; fd++)
        dup2(STDIN_FILENO, fd);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)
    const struct CMUnitTest all[] = {
        TEST(where_a_call_fails_it_is_told_and_nothing_is_left),
        TEST(a_file_that_cannot_be_looked_at_stays),
        TEST(a_port_of_another_is_not_taken),
        TEST(all_that_systemd_passes_are_listened_on),
        TEST(one_that_does_not_listen_is_told),
    };
    return cmocka_run_group_tests_name("service/listeners", all, NULL, NULL);
}
