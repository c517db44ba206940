/* The server of the system tests: every option of the library as `--name value`, listeners as
 * `--listen ADDRESS` (default 127.0.0.1:0). It prints one line "listening ADDRESS" for each, then
 * "ready"; at the end its statistics as a line of JSON. SIGTERM and SIGINT shut it down. Further
 * options: --deadline MS (of that shutdown), --embedded 1 (a loop of its own around the engine's
 * turns), --threads N (of /thread), --log 1, --build (prints the kind of build). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tool/serve/serve.h"

struct server server = {.deadline = CAROM_OFF};

#define LISTENERS_MAX 16

struct settings {
    carom_options options;
    const char *listen[LISTENERS_MAX];
    size_t listen_count;
    uint32_t threads;
    bool embedded;
    bool log;
};

static bool set_option(struct settings *settings, const char *name, const char *value)
{
    if (strcmp(name, "listen") == 0) {
        if (settings->listen_count == LISTENERS_MAX)
            return false;
        settings->listen[settings->listen_count++] = value;
        return true;
    }
    if (strcmp(name, "deadline") == 0) {
        server.deadline =
            strcmp(value, "off") == 0 ? CAROM_OFF : (uint32_t)strtoul(value, NULL, 10);
        return true;
    }
    if (strcmp(name, "threads") == 0)
        settings->threads = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "embedded") == 0)
        settings->embedded = strcmp(value, "1") == 0;
    else if (strcmp(name, "log") == 0)
        settings->log = strcmp(value, "1") == 0;
    else
        return tls_option(name, value) || carom_options_set(&settings->options, name, value) == 0;
    return true;
}

static bool read_arguments(struct settings *settings, int count, char **arguments)
{
    for (int i = 1; i < count; i += 2) {
        const char *name = arguments[i];
        if (strncmp(name, "--", 2) != 0 || i + 1 == count ||
            !set_option(settings, name + 2, arguments[i + 1])) {
            (void)fprintf(stderr, "serve: bad option %s\n", name);
            return false;
        }
    }
    if (settings->listen_count == 0)
        settings->listen[settings->listen_count++] = "127.0.0.1:0";
    return true;
}

static void log_to_stderr(void *data, carom_log_level level, const char *line)
{
    (void)data;
    static const char *const names[] = {"error", "warning", "info"};
    (void)fprintf(stderr, "log %s %s\n", names[level], line);
}

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    carom_shutdown(server.service, server.deadline);
    errno = saved;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

/* As many descriptors as the hard limit allows. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int fail(const char *what, int error)
{
    (void)fprintf(stderr, "serve: %s: %s\n", what, carom_error_name(error));
    return 1;
}

static int listen_all(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listen_count; i++) {
        int error = tls_listen(settings->listen[i]);
        if (error < 0)
            return fail(settings->listen[i], error);
    }
    for (size_t i = 0; i < carom_service_listener_count(server.service); i++) {
        carom_address at;
        int error = carom_service_listener(server.service, i, &at);
        if (error < 0)
            return fail("listener", error);
        if (at.family == CAROM_UNIX)
            (void)printf("listening unix:%s\n", at.text);
        else
            (void)printf(at.family == CAROM_IPV6 ? "listening [%s]:%u\n" : "listening %s:%u\n",
                         at.text, (unsigned)at.port);
    }
    return 0;
}

static bool drained;

static void on_drained(carom_waker *waker, int status)
{
    (void)waker;
    (void)status;
    drained = true;
}

/* The engine under a loop that is not its own. */
static int run_embedded(void)
{
    int fd = carom_service_descriptor(server.service);
    if (fd < 0)
        return fd;
    for (;;) {
        int alive = carom_service_turn(server.service);
        if (alive <= 0)
            return alive;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        (void)poll(&ready, 1, -1);
    }
}

static int run(const struct settings *settings)
{
    static carom_waker waker = {.wake = on_drained};
    int error = carom_service_wait_drained(server.service, &waker);
    if (error < 0)
        return fail("wait_drained", error);
    error = settings->embedded ? run_embedded() : carom_run(server.service);
    if (error < 0)
        return fail("run", error);
    if (!drained)
        (void)fprintf(stderr, "serve: the drained waker has not fired\n");
    return drained ? 0 : 1;
}

static int serve(const struct settings *settings)
{
    int result = listen_all(settings);
    if (result == 0) {
        catch_signals();
        (void)printf("ready\n");
        (void)fflush(stdout);
        result = run(settings);
    }
    threads_stop();
    char text[STATS_TEXT];
    (void)stats_text(text, sizeof(text));
    (void)printf("%s\n", text);
    int error = carom_service_destroy(server.service);
    if (error < 0)
        return fail("destroy", error);
    return result;
}

int main(int count, char **arguments)
{
    struct settings settings = {.options = CAROM_OPTIONS_INIT, .threads = 4};
    if (count == 2 && strcmp(arguments[1], "--build") == 0) {
        (void)printf("%s\n", allocations_build());
        return 0;
    }
    if (!read_arguments(&settings, count, arguments))
        return 2;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (char)('a' + i % PATTERN_PERIOD);
    server.pattern_file = memfd_create("pattern", MFD_CLOEXEC);
    if (write(server.pattern_file, pattern, sizeof(pattern)) != sizeof(pattern)) {
        perror("serve: a file of the pattern");
        return 1;
    }
    settings.options.handler = serve_handler;
    settings.options.record_state = sizeof(struct exchange);
    settings.options.log = settings.log ? log_to_stderr : NULL;
    raise_limits();
    int error = carom_service_create(&server.service, &settings.options);
    if (error < 0)
        return fail("create", error);
    if (threads_start(settings.threads) != 0)
        return 1;
    return serve(&settings);
}
