/* Tests of addresses: what is parsed and what is not, the sockets that come of it, descriptions. */
#include "net/address.h"
#include "unit/base/support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static bool without_ipv6;
static int listen_error; /* errno of the next listen */

/* In front of those in libc. */
int socket(int family, int type, int protocol)
{
    if (without_ipv6 && family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

int listen(int fd, int backlog)
{
    errno = listen_error;
    listen_error = 0;
    return errno != 0 ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

static struct carom_listen_spec spec;
static char folder[64];
static int lowest; /* descriptor that is free when a test begins */

static int lowest_free(void)
{
    int fd = dup(STDIN_FILENO), number = fd;
    close(fd);
    return number;
}

/* Each test has a folder of its own. */
static int begin(void **state)
{
    (void)state;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    strcpy(folder, "/tmp/carom-address-XXXXXX");
    lowest = lowest_free();
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char path[100];
    snprintf(path, sizeof path, "%s/socket", folder);
    unlink(path);
    if (lowest_free() != lowest)
        return -1;        /* a descriptor is left open */
    return rmdir(folder); /* fails when a test left more behind */
}

static int open_text(const char *text)
{
    assert_int_equal(carom_listen_parse(text, &spec), 0);
    return carom_listen_open(&spec, false, 16);
}

/* ---------------------------------------------------------------- parsing */

static void tcp_addresses_are_parsed(void **state)
{
    (void)state;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&spec.address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&spec.address;
    assert_int_equal(carom_listen_parse("127.0.0.1:8080", &spec), 0);
    assert_int_equal(spec.kind, CAROM_LISTEN_TCP);
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohs(in->sin_port), 8080);
    assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(spec.address_length, sizeof *in);
    assert_false(spec.any);

    assert_int_equal(carom_listen_parse("[::1]:65535", &spec), 0);
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(in6->sin6_port), 65535);
    assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
    assert_int_equal(spec.address_length, sizeof *in6);
    assert_false(spec.any);

    assert_int_equal(carom_listen_parse("*:0", &spec), 0);
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_memory_equal(&in6->sin6_addr, &in6addr_any, sizeof in6addr_any);
    assert_true(spec.any);
    assert_int_equal(carom_listen_parse("[2001:0db8:0000:0000:0000:ffff:255.255.255.255]:1", &spec),
                     0);
}

static void short_forms_are_parsed(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"8080", "*:8080"}, {":8080", "*:8080"}, {":0", "*:0"}, {"localhost:80", "127.0.0.1:80"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct carom_listen_spec other;
        assert_int_equal(carom_listen_parse(pairs[i][0], &spec), 0);
        assert_int_equal(carom_listen_parse(pairs[i][1], &other), 0);
        assert_int_equal(spec.any, other.any);
        assert_int_equal(spec.address_length, other.address_length);
        assert_memory_equal(&spec.address, &other.address, other.address_length);
    }
}

static void unix_addresses_are_parsed(void **state)
{
    (void)state;
    const struct sockaddr_un *un = (const struct sockaddr_un *)&spec.address;
    assert_int_equal(carom_listen_parse("unix:/run/app.sock", &spec), 0);
    assert_int_equal(spec.kind, CAROM_LISTEN_UNIX);
    assert_int_equal(un->sun_family, AF_UNIX);
    assert_string_equal(un->sun_path, "/run/app.sock");
    assert_int_equal(spec.address_length, offsetof(struct sockaddr_un, sun_path) + 14);
    assert_int_equal(spec.mode, -1);
    assert_int_equal(carom_listen_parse("unix:app.sock?mode=0660", &spec), 0);
    assert_string_equal(un->sun_path, "app.sock");
    assert_int_equal(spec.mode, 0660);
    assert_int_equal(carom_listen_parse("unix:app.sock?mode=7", &spec), 0);
    assert_int_equal(spec.mode, 7);
    assert_int_equal(carom_listen_parse("unix:app.sock?mode=777", &spec), 0);
    assert_int_equal(spec.mode, 0777);
    assert_int_equal(carom_listen_parse("unix:@x", &spec), 0);
    assert_int_equal(spec.address_length, offsetof(struct sockaddr_un, sun_path) + 2);
    assert_int_equal(carom_listen_parse("unix:@name", &spec), 0);
    assert_memory_equal(un->sun_path, "\0name", 5);
    assert_int_equal(spec.address_length, offsetof(struct sockaddr_un, sun_path) + 5);

    char text[200] = "unix:/";
    memset(text + 6, 'x', 106);
    assert_int_equal(carom_listen_parse(text, &spec), 0); /* 107 and the zero */
    text[112] = 'x';
    assert_int_equal(carom_listen_parse(text, &spec), -CAROM_EADDRESS);
}

static void inherited_descriptors_are_parsed(void **state)
{
    (void)state;
    assert_int_equal(carom_listen_parse("fd:3", &spec), 0);
    assert_int_equal(spec.kind, CAROM_LISTEN_FD);
    assert_int_equal(spec.fd, 3);
    assert_int_equal(carom_listen_parse("systemd:", &spec), 0);
    assert_int_equal(spec.kind, CAROM_LISTEN_SYSTEMD);
}

static void anything_else_is_no_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        "80808",
        ":80808",
        "80a",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 80",
        "127.0.0.1:80 ",
        "127.0.0.1:0x50",
        "127.0.0:80",
        "256.0.0.1:80",
        "localhost",
        "localhost:",
        "localhosts:80",
        "localhosx:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1:80",
        "::1]:80",
        "a::1]:80",
        "[]:80",
        "[*]:80",
        "[127.0.0.1]:80",
        "[::g]:80",
        "**:80",
        "[2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
        "unix:",
        "unix:@",
        "unix:?mode=0600",
        "unix:/x?mode=",
        "unix:/x?mode=8",
        "unix:/x?mode=1000",
        "unix:/x?mode=-1",
        "unix:/x?mode=0600x",
        "unix:/x?mode=99999999999999999999",
        "unix:/x?user=me",
        "unix:@x?mode=0600",
        "fd:",
        "fd:-1",
        "fd:x",
        "fdx5",
        "fd:99999999999",
        "systemd:name",
        "http://127.0.0.1:80",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (carom_listen_parse(bad[i], &spec) != -CAROM_EADDRESS)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_int_equal(carom_listen_parse(NULL, &spec), -CAROM_EADDRESS);
}

/* ---------------------------------------------------------------- TCP */

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static void assert_listens(int fd)
{
    assert_true(fd >= 0);
    assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 name = {0};
    socklen_t length = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    return ntohs(name.sin6_port); /* at the same place in IPv4 */
}

static int connect_four(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

static void tcp_sockets_listen(void **state)
{
    (void)state;
    char text[40];
    int fd = open_text("127.0.0.1:0");
    assert_listens(fd);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    int client = connect_four(port_of(fd));
    int server = accept(fd, NULL, NULL);
    /* Inherited; of the second kind the kernel takes only so much for a client that takes nothing.
     */
    assert_int_equal(option(server, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(server, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 256 * 1024);
    snprintf(text, sizeof text, "127.0.0.1:%d", port_of(fd));
    assert_int_equal(open_text(text), -CAROM_EADDRINUSE);
    close(server);
    close(client);
    close(fd);
}

static void a_port_is_shared_when_asked_for(void **state)
{
    (void)state;
    assert_int_equal(carom_listen_parse("127.0.0.1:0", &spec), 0);
    int fd = carom_listen_open(&spec, true, 16);
    assert_listens(fd);
    ((struct sockaddr_in *)&spec.address)->sin_port = htons(port_of(fd));
    int other = carom_listen_open(&spec, true, 16);
    assert_listens(other);
    assert_int_equal(carom_listen_open(&spec, false, 16), -CAROM_EADDRINUSE);
    close(other);
    close(fd);
}

static void any_takes_both_families(void **state)
{
    (void)state;
    int fd = open_text("*:0");
    assert_listens(fd);
    close(connect_four(port_of(fd)));
    close(fd);
    fd = open_text("[::]:0");
    if (fd < 0) /* no IPv6 here */
        skip();
    assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    close(fd);
}

static void any_is_of_ipv4_where_there_is_no_ipv6(void **state)
{
    (void)state;
    assert_int_equal(carom_listen_parse("0.0.0.0:0", &spec), 0);
    int fd = carom_listen_open(&spec, true, 16);
    char text[16];
    snprintf(text, sizeof text, "*:%u", port_of(fd));
    assert_int_equal(carom_listen_parse(text, &spec), 0);
    without_ipv6 = true;
    int any = carom_listen_open(&spec, true, 16);
    without_ipv6 = false;
    assert_listens(any);
    assert_int_equal(option(any, SOL_SOCKET, SO_DOMAIN), AF_INET);
    assert_int_equal(port_of(any), port_of(fd));
    without_ipv6 = true;
    assert_int_equal(carom_listen_open(&spec, false, 16), -CAROM_EADDRINUSE);
    assert_int_equal(open_text("[::]:0"), -CAROM_EUNSUPPORTED);
    without_ipv6 = false;
    close(any);
    close(fd);
}

static void silence_is_asked_about_or_not(void **state)
{
    (void)state;
    static const int seconds[] = {30, 0, 1, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (size_t i = 0; i < COUNT(seconds); i++) {
        carom_socket_keep_alive(fd, seconds[i]);
        assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), seconds[i] > 0);
        if (seconds[i] > 0)
            assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), seconds[i]);
    }
    close(fd);
}

static void an_address_of_another_host_is_not_available(void **state)
{
    (void)state;
    assert_int_equal(open_text("192.0.2.1:0"), -CAROM_EADDRNOTAVAIL);
}

/* ---------------------------------------------------------------- Unix */

static const char *socket_text(const char *query)
{
    static char text[120];
    snprintf(text, sizeof text, "unix:%s/socket%s", folder, query);
    return text;
}

static mode_t mode_of_socket(void)
{
    char path[100];
    struct stat status;
    snprintf(path, sizeof path, "%s/socket", folder);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void unix_sockets_have_the_mode_asked_for(void **state)
{
    (void)state;
    int fd = open_text(socket_text("?mode=0623"));
    assert_listens(fd);
    assert_int_equal(mode_of_socket(), 0623);
    close(fd);
    mode_t before = umask(0027);
    fd = open_text(socket_text(""));
    umask(before);
    assert_listens(fd);
    assert_int_equal(mode_of_socket(), 0750);
    close(fd);
}

/* Neither the descriptor nor the file is left of a socket that cannot listen. */
static void a_socket_that_cannot_listen_leaves_nothing(void **state)
{
    (void)state;
    listen_error = ENOBUFS;
    assert_int_equal(open_text(socket_text("")), -CAROM_ENOMEM);
    assert_int_equal(access(socket_text("") + 5, F_OK), -1);
    listen_error = ENOBUFS;
    assert_int_equal(open_text("127.0.0.1:0"), -CAROM_ENOMEM);
}

static void a_stale_socket_file_is_replaced_and_a_live_one_is_not(void **state)
{
    (void)state;
    int fd = open_text(socket_text(""));
    assert_listens(fd);
    assert_int_equal(open_text(socket_text("")), -CAROM_EADDRINUSE);
    struct sockaddr_storage address = spec.address;
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, spec.address_length), 0);
    close(client);
    close(fd);
    fd = open_text(socket_text(""));
    assert_listens(fd);
    close(fd);
}

static void a_live_socket_with_a_full_backlog_is_not_stale(void **state)
{
    (void)state;
    int clients[8], count = 0;
    assert_int_equal(carom_listen_parse(socket_text(""), &spec), 0);
    int fd = carom_listen_open(&spec, false, 0);
    do {
        clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    } while (connect(clients[count++], (struct sockaddr *)&spec.address, spec.address_length) ==
                 0 &&
             count < 8);
    assert_true(count < 8);
    assert_int_equal(carom_listen_open(&spec, false, 0), -CAROM_EADDRINUSE);
    while (count > 0)
        close(clients[--count]);
    close(fd);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    char path[100];
    snprintf(path, sizeof path, "%s/socket", folder);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(open_text(socket_text("?mode=0666")), -CAROM_EADDRINUSE);
    assert_int_equal(mode_of_socket(), 0600);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_text("unix:/nonexistent/socket"), -CAROM_ENOENT);
}

static void abstract_names_need_no_file(void **state)
{
    (void)state;
    char text[60];
    snprintf(text, sizeof text, "unix:@carom-test-%d", (int)getpid());
    int fd = open_text(text);
    assert_listens(fd);
    assert_int_equal(open_text(text), -CAROM_EADDRINUSE);
    close(fd);
    fd = open_text(text);
    assert_listens(fd);
    close(fd);
}

/* ---------------------------------------------------------------- inherited */

static void a_listening_descriptor_is_taken_over(void **state)
{
    (void)state;
    char text[20];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    snprintf(text, sizeof text, "fd:%d", fd);
    assert_int_equal(open_text(text), -CAROM_ENOENT); /* it does not listen */
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(open_text(text), fd);
    assert_listens(fd);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 256 * 1024);
    spec.kind = CAROM_LISTEN_SYSTEMD;
    assert_int_equal(carom_listen_open(&spec, false, 1), fd);
    close(fd);
    assert_int_equal(open_text(text), -CAROM_ENOENT); /* it is closed */
    fd = open("/dev/null", O_RDONLY);
    snprintf(text, sizeof text, "fd:%d", fd);
    assert_int_equal(open_text(text), -CAROM_ENOENT); /* it is no socket */
    close(fd);
    fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un.sun_family), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(text, sizeof text, "fd:%d", fd);
    assert_int_equal(open_text(text), -CAROM_ENOENT); /* it is no stream */
    close(fd);
}

static void systemd_speaks_to_one_process(void **state)
{
    (void)state;
    char pid[20];
    assert_int_equal(carom_listen_systemd_count(), 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    assert_int_equal(carom_listen_systemd_count(), 0);
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(carom_listen_systemd_count(), 2);
    setenv("LISTEN_FDS", "-2", 1);
    assert_int_equal(carom_listen_systemd_count(), 0);
    setenv("LISTEN_FDS", "2x", 1);
    assert_int_equal(carom_listen_systemd_count(), 0);
    setenv("LISTEN_FDS", "2", 1);
    snprintf(pid, sizeof pid, "%d", (int)getppid());
    setenv("LISTEN_PID", pid, 1);
    assert_int_equal(carom_listen_systemd_count(), 0);
}

/* ---------------------------------------------------------------- description */

static carom_address described(const void *address, size_t length)
{
    carom_address to;
    memset(&to, 0x55, sizeof to);
    carom_address_describe(address, (socklen_t)length, &to);
    return to;
}

static void internet_endpoints_are_described(void **state)
{
    (void)state;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(8080)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
    inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
    carom_address to = described(&in, sizeof in);
    assert_int_equal(to.family, CAROM_IPV4);
    assert_int_equal(to.port, 8080);
    assert_string_equal(to.text, "192.0.2.1");
    to = described(&in6, sizeof in6);
    assert_int_equal(to.family, CAROM_IPV6);
    assert_int_equal(to.port, 443);
    assert_string_equal(to.text, "2001:db8::1");
}

static void unix_endpoints_are_described(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x.sock"};
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    carom_address to = described(&un, sizeof un);
    assert_int_equal(to.family, CAROM_UNIX);
    assert_int_equal(to.port, 0);
    assert_string_equal(to.text, "/run/x.sock");
    to = described(&un, offset + 11); /* as the kernel may say it: without the zero */
    assert_string_equal(to.text, "/run/x.sock");
    to = described(&un, offset); /* a client has no name */
    assert_int_equal(to.family, CAROM_UNIX);
    assert_string_equal(to.text, "");
    memcpy(un.sun_path, "/x\0junk", 7);
    to = described(&un, sizeof un);
    assert_string_equal(to.text, "/x");
    assert_int_equal(to.text[3], 0);
    memset(un.sun_path, 'x', sizeof un.sun_path);
    to = described(&un, sizeof un);
    assert_int_equal(strlen(to.text), sizeof un.sun_path);
    memcpy(un.sun_path, "\0abstract", 9);
    to = described(&un, offset + 9);
    assert_string_equal(to.text, "@abstract");
}

static void what_is_unknown_is_nothing(void **state)
{
    (void)state;
    struct sockaddr_storage storage = {.ss_family = AF_NETLINK};
    carom_address to = described(&storage, sizeof storage);
    assert_int_equal(to.family, CAROM_FAMILY_NONE);
    assert_string_equal(to.text, "");
    to = described(&storage, 0);
    assert_int_equal(to.family, CAROM_FAMILY_NONE);
    storage.ss_family = AF_INET;
    to = described(&storage, 4); /* cut short */
    assert_int_equal(to.family, CAROM_FAMILY_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(tcp_addresses_are_parsed),
        TEST(short_forms_are_parsed),
        TEST(unix_addresses_are_parsed),
        TEST(inherited_descriptors_are_parsed),
        TEST(anything_else_is_no_address),
        TEST(tcp_sockets_listen),
        TEST(a_port_is_shared_when_asked_for),
        TEST(any_takes_both_families),
        TEST(any_is_of_ipv4_where_there_is_no_ipv6),
        TEST(an_address_of_another_host_is_not_available),
        TEST(unix_sockets_have_the_mode_asked_for),
        TEST(silence_is_asked_about_or_not),
        TEST(a_socket_that_cannot_listen_leaves_nothing),
        TEST(a_stale_socket_file_is_replaced_and_a_live_one_is_not),
        TEST(a_live_socket_with_a_full_backlog_is_not_stale),
        TEST(a_file_that_is_no_socket_is_left_alone),
        TEST(abstract_names_need_no_file),
        TEST(a_listening_descriptor_is_taken_over),
        TEST(systemd_speaks_to_one_process),
        TEST(internet_endpoints_are_described),
        TEST(unix_endpoints_are_described),
        TEST(what_is_unknown_is_nothing),
    };
    return cmocka_run_group_tests_name("net/address", tests, NULL, NULL);
}
