/* hello: answer every request with "Hello, World!".
 *
 *     hello [PORT] [--workers N] [--backend epoll|uring]
 *
 * PORT is 8080 unless given; 0 takes any free port. Ctrl-C (SIGINT) or SIGTERM stops accepting,
 * answers what is in flight, and prints the statistics; a second one cancels what is still open.
 */
#define _POSIX_C_SOURCE 200809L
#include <carom.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MILLISECONDS 10000u

static carom_service *service; /* for on_signal: set before the signals are caught */

/* The whole of the service. `data` is options.handler_data, not needed here. Everything sent lives
 * for ever, so carom_static_content lends it to the library without a copy. */
static void answer(carom_record *record, void *data)
{
    static const carom_field fields[] = {{CAROM_SLICE("content-type"), CAROM_SLICE("text/plain")}};
    static const char text[] = "Hello, World!";
    static const carom_response response = {
        .status = 200,
        .fields = fields,
        .field_count = 1,
        .content = {.data = text, .length = sizeof text - 1, .give_back = carom_static_content},
    };

    (void)data;
    carom_respond(record, &response); /* an error here means that the client has gone */
    carom_release(record);            /* always, and last */
}

/* What the library has to say, such as which backend it could have. */
static void log_line(void *data, carom_log_level level, const char *line)
{
    (void)data;
    (void)level;
    fprintf(stderr, "hello: %s\n", line);
}

/* carom_shutdown is made to be called from here. A later call can only bring the end nearer. */
static void on_signal(int number)
{
    static volatile sig_atomic_t asked;

    (void)number;
    carom_shutdown(service, asked ? 0 : DRAIN_MILLISECONDS);
    asked = 1;
}

/* A whole decimal number from `least` to `most`, or -1. */
static long parse(const char *text, long least, long most)
{
    char *end;
    long value;

    if (*text < '0' || *text > '9')
        return -1;
    value = strtol(text, &end, 10); /* LONG_MAX when it is too big, so over `most` */
    return *end == '\0' && value >= least && value <= most ? value : -1;
}

/* Read the arguments into `options` and `*port`, or say what is wrong with one and return false. */
static bool read_arguments(int argc, char **argv, carom_options *options, long *port)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--workers") == 0) {
            long workers = i + 1 < argc ? parse(argv[++i], 1, 256) : -1;
            if (workers < 0) {
                fprintf(stderr, "hello: --workers needs a number from 1 to 256\n");
                return false;
            }
            options->workers = (uint32_t)workers;
        } else if (strcmp(word, "--backend") == 0) {
            const char *name = i + 1 < argc ? argv[++i] : "";
            if (strcmp(name, "epoll") != 0 && strcmp(name, "uring") != 0) {
                fprintf(stderr, "hello: --backend needs a name: epoll or uring\n");
                return false;
            }
            options->backend = name;
        } else if (word[0] == '-') {
            fprintf(stderr,
                    "hello: unknown option '%s'; use hello [PORT] [--workers N] "
                    "[--backend epoll|uring]\n",
                    word);
            return false;
        } else {
            *port = parse(word, 0, 65535);
            if (*port < 0) {
                fprintf(stderr,
                        "hello: '%s' is not a port; give a number from 0 (any free port) "
                        "to 65535\n",
                        word);
                return false;
            }
        }
    }
    return true;
}

/* Say in one line why the service cannot start, and the cure. */
static void explain(int error, const carom_options *options, long port)
{
    switch (-error) {
    case CAROM_EADDRINUSE:
        fprintf(stderr,
                "hello: port %ld is in use; stop what listens there, or give another port "
                "(0 takes any free one)\n",
                port);
        break;
    case CAROM_EACCES:
        fprintf(stderr, "hello: port %ld: permission denied; give a port above 1023\n", port);
        break;
    case CAROM_EUNSUPPORTED:
        fprintf(stderr, "hello: backend %s: %s; use --backend epoll\n",
                options->backend ? options->backend : "epoll", carom_error_text(error));
        break;
    default:
        fprintf(stderr, "hello: cannot start on port %ld: %s\n", port, carom_error_text(error));
    }
}

/* The numbers of the run, and why each record ended. */
static void print_statistics(void)
{
    carom_stats stats;

    carom_service_stats(service, &stats);
    printf("connections %llu\n", (unsigned long long)stats.connections_accepted);
    printf("requests %llu\n", (unsigned long long)stats.requests);
    printf("responses %llu\n", (unsigned long long)stats.responses);
    printf("bytes received %llu\n", (unsigned long long)stats.bytes_received);
    printf("bytes sent %llu\n", (unsigned long long)stats.bytes_sent);
    printf("records at once %llu\n", (unsigned long long)stats.records_peak);
    for (int reason = 1; reason < CAROM_REASON_COUNT; reason++)
        if (stats.ended[reason] > 0)
            printf("ended %s %llu\n", carom_reason_name((carom_reason)reason),
                   (unsigned long long)stats.ended[reason]);
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    carom_address address;
    char listen_on[16];
    long port = 8080;
    int error;

    options.handler = answer;
    options.log = log_line;
    if (!read_arguments(argc, argv, &options, &port))
        return 2;
    snprintf(listen_on, sizeof listen_on, "*:%ld", port);
    error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error != 0) {
        explain(error, &options, port);
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("hello: open http://localhost:%d/ in a browser; Ctrl-C stops\n", address.port);
    fflush(stdout);

    error = carom_run(service);
    if (error < 0)
        explain(error, &options, port);
    else
        print_statistics();
    carom_service_destroy(service);
    return error != 0;
}
