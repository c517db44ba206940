/* What several examples have in common: they listen, print where, and run until SIGINT or SIGTERM.
 * Requests that are not answered within a second after that, or before the signal comes again, are
 * cancelled. */
#ifndef EXAMPLES_SERVE_H
#define EXAMPLES_SERVE_H

#include <carom.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { READ = CAROM_WATCH_READABLE, WRITE = CAROM_WATCH_WRITABLE };

/* The struct of which `pointer` is the member. */
#define OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static carom_service *service;
static uint32_t shutdown_deadline = 1000; /* milliseconds */

static void on_signal(int number)
{
    static volatile sig_atomic_t asked;
    (void)number;
    carom_shutdown(service, asked ? 0 : shutdown_deadline);
    asked = 1;
}

static inline int serve_until_signal(const char *name, const carom_options *options,
                                     const char *port)
{
    char listen_on[64];
    carom_address address;
    int error = carom_service_create(&service, options);
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", port != NULL ? port : "8080");
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error == 0) {
        const struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        printf("%s: http://localhost:%d/\n", name, address.port);
        fflush(stdout);
        error = carom_run(service);
    }
    if (error < 0)
        fprintf(stderr, "%s: %s\n", name, carom_error_text(error));
    carom_service_destroy(service);
    return error < 0;
}

#endif
