/* embed: the engine inside the loop of another library, here libuv.
 *
 *     embed [PORT]
 *
 * A driven service has no thread of its own: it is one descriptor to poll and one function to call
 * when the descriptor is readable. The program's own timer, signals and the service share the
 * thread, so the handler may use what the timer writes without a lock.
 */
#define _POSIX_C_SOURCE 200809L
#include <carom.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define TICK_MILLISECONDS 50

/* What the program is about, besides serving. */
static struct program {
    carom_service *service;
    uv_poll_t engine;
    uv_timer_t ticker;
    uv_signal_t interrupt, terminate;
    unsigned long ticks;
    bool asked;
} program;

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    program.ticks++;
}

static void answer(carom_record *record, void *data)
{
    static const carom_field fields[] = {{CAROM_SLICE("content-type"), CAROM_SLICE("text/plain")}};
    struct program *own = data;
    char text[64];
    int length = snprintf(text, sizeof text, "%lu ticks\n", own->ticks);
    carom_response response = {
        .status = 200,
        .fields = fields,
        .field_count = 1,
        .content = {.data = text, .length = (size_t)length}, /* no give_back: copied */
    };

    carom_respond(record, &response);
    carom_release(record);
}

/* The engine has work. 0 says that a shutdown has drained: close what keeps the loop running. */
static void on_engine(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0 && carom_service_turn(program.service) > 0)
        return;
    uv_close((uv_handle_t *)poll, NULL);
    uv_close((uv_handle_t *)&program.ticker, NULL);
    uv_close((uv_handle_t *)&program.interrupt, NULL);
    uv_close((uv_handle_t *)&program.terminate, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    carom_shutdown(program.service, program.asked ? 0 : 10000);
    program.asked = true;
}

/* Make the service and listen; its descriptor, or an error. */
static int start(const char *listen_on, carom_address *address)
{
    carom_options options = CAROM_OPTIONS_INIT;
    int error;

    options.handler = answer;
    options.handler_data = &program;
    options.workers = 1; /* a driven service has exactly one */
    error = carom_service_create(&program.service, &options);
    if (error == 0)
        error = carom_service_listen(program.service, listen_on);
    if (error == 0)
        error = carom_service_listener(program.service, 0, address);
    return error == 0 ? carom_service_descriptor(program.service) : error;
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    carom_address address = {0};
    char listen_on[64];
    int descriptor, error;

    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    descriptor = start(listen_on, &address);
    if (descriptor < 0) {
        fprintf(stderr, "embed: cannot listen on %s: %s\n", listen_on,
                carom_error_text(descriptor));
        carom_service_destroy(program.service);
        return 1;
    }
    uv_poll_init(loop, &program.engine, descriptor);
    uv_timer_init(loop, &program.ticker);
    uv_signal_init(loop, &program.interrupt);
    uv_signal_init(loop, &program.terminate);
    uv_poll_start(&program.engine, UV_READABLE, on_engine);
    uv_timer_start(&program.ticker, on_tick, TICK_MILLISECONDS, TICK_MILLISECONDS);
    uv_signal_start(&program.interrupt, on_signal, SIGINT);
    uv_signal_start(&program.terminate, on_signal, SIGTERM);
    printf("embed: open http://localhost:%d/ and reload; Ctrl-C stops\n", address.port);
    fflush(stdout);

    uv_run(loop, UV_RUN_DEFAULT);

    error = carom_service_destroy(program.service);
    uv_loop_close(loop);
    return error != 0;
}
