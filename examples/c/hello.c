/* hello: answer every request with "Hello, World!".
 *
 *     hello [PORT] [--OPTION VALUE]... [--tls CERTIFICATE KEY | --tls-self-signed]
 *
 * PORT is 8080 unless given; 0 takes any free port. OPTION is one of the library's, as "--workers
 * 4" or "--keep_alive '30 s'" (docs/c/options.md). With --tls it speaks HTTPS: CERTIFICATE and KEY
 * are PEM files, which SIGHUP loads again. Ctrl-C (SIGINT) or SIGTERM stops accepting,
 * answers what is in flight, and prints the statistics; a second one cancels what is still open.
 */
#define _POSIX_C_SOURCE 200809L
#include <carom.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MILLISECONDS 10000u

static carom_service *service; /* for on_signal: set before the signals are caught */

/* What the command line asks for. */
struct settings {
    carom_options options;
    carom_tls_certificate certificate;
    bool tls, self_signed;
    bool reloads; /* the thread that does so runs */
    pthread_t reloader;
    long port;
};

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

/* Loads the certificate again at each SIGHUP. A signal handler may not, so this thread waits for
 * it; all others have it blocked. */
static void *reload(void *data)
{
    sigset_t *hangup = data;
    int number;

    for (;;)
        if (sigwait(hangup, &number) == 0)
            carom_tls_reload(service); /* an error is in the log, and the old one serves on */
    return NULL;
}

/* Read the arguments, or say what is wrong with one and return false. */
static bool read_arguments(int argc, char **argv, struct settings *settings)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--tls") == 0) {
            if (i + 2 >= argc) {
                fprintf(stderr, "hello: --tls needs two files: CERTIFICATE KEY\n");
                return false;
            }
            settings->certificate.certificate_file = argv[++i];
            settings->certificate.key_file = argv[++i];
            settings->tls = true;
        } else if (strcmp(word, "--tls-self-signed") == 0) {
            settings->tls = settings->self_signed = true;
        } else if (strncmp(word, "--", 2) == 0) {
            const char *value = i + 1 < argc ? argv[++i] : "";
            if (carom_options_set(&settings->options, word + 2, value) < 0)
                return false; /* log_line has said what is wrong */
        } else {
            settings->port = parse(word, 0, 65535);
            if (settings->port < 0) {
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
static void explain(int error, const struct settings *settings)
{
    const carom_options *options = &settings->options;
    long port = settings->port;

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
        if (settings->tls)
            fprintf(stderr, "hello: TLS: %s\n", carom_error_text(error));
        else
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
    carom_stats stats = CAROM_STATS_INIT;

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

/* Listen on the port, with TLS when that is asked for. */
static int open_port(struct settings *settings)
{
    static sigset_t hangup;
    carom_tls_options tls = CAROM_TLS_OPTIONS_INIT;
    char listen_on[16];
    int error = 0;

    snprintf(listen_on, sizeof listen_on, "*:%ld", settings->port);
    if (!settings->tls)
        return carom_service_listen(service, listen_on);
    if (settings->self_signed)
        error = carom_tls_self_signed(&settings->certificate, "localhost,127.0.0.1,::1");
    tls.certificates = &settings->certificate;
    tls.certificate_count = 1;
    if (error == 0)
        error = carom_service_listen_tls(service, listen_on, &tls);
    if (settings->self_signed)
        carom_tls_certificate_free(&settings->certificate);
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hangup, NULL);
    settings->reloads =
        error == 0 && pthread_create(&settings->reloader, NULL, reload, &hangup) == 0;
    return error == 0 && !settings->reloads ? -CAROM_ENOMEM : error;
}

int main(int argc, char **argv)
{
    struct settings settings = {.options = CAROM_OPTIONS_INIT, .port = 8080};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    carom_address address;
    int error;

    settings.options.handler = answer;
    settings.options.log = log_line;
    if (!read_arguments(argc, argv, &settings))
        return 2;
    error = carom_service_create(&service, &settings.options);
    if (error == 0)
        error = open_port(&settings);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error != 0) {
        explain(error, &settings);
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("hello: open %s://localhost:%d/ in a browser; Ctrl-C stops\n",
           settings.tls ? "https" : "http", address.port);
    fflush(stdout);

    error = carom_run(service);
    if (error < 0)
        explain(error, &settings);
    else
        print_statistics();
    if (settings.reloads) {
        pthread_cancel(settings.reloader);
        pthread_join(settings.reloader, NULL);
    }
    carom_service_destroy(service);
    return error != 0;
}
