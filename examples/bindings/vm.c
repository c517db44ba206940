/* A virtual machine in C: `vm 8080` serves on http://localhost:8080/ what all examples here serve.
 *
 * The engine runs on the main thread, the VM on one of its own; they meet in the memory of the
 * ring, by the calls of carom_vm.h. A runtime would have its interpreter where this has hear().
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <carom_vm.h>

#define CAPACITY   1024
#define MOST_LOANS 256
#define LARGE      (1u << 20)
#define PLAIN      (CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE)

static carom_service *service;
static carom_vm *vm;
static sem_t events;            /* posted when there are some, and at the end */
static void *loans[MOST_LOANS]; /* what the engine has yet to send, by number */
static bool held[CAPACITY];     /* by slot: it is of "/hold" */
static uint32_t head[CAPACITY]; /* HEAD, where an echo has not begun to answer */
static uint32_t owed[CAPACITY]; /* flags that wait for ROOM */
static unsigned left;           /* clients of "/hold" that did not wait */
static atomic_bool over;

static void wake(void *data)
{
    (void)data;
    sem_post(&events);
}

/* ---- loans: content that is too long for a slot is copied, and lent until it comes back ---- */

static void take_returns(void)
{
    int64_t loan;
    while ((loan = carom_vm_take_return(vm)) >= 0) {
        free(loans[loan]);
        loans[loan] = NULL;
    }
}

/* The number of a copy of these bytes; -1: there is no room. */
static int lend(const char *data, size_t length)
{
    int loan = 0;
    while (loan < MOST_LOANS && loans[loan] != NULL)
        loan++;
    char *copy = loan < MOST_LOANS ? malloc(length) : NULL;
    if (copy == NULL || carom_ring_lend(carom_vm_ring(vm), (uint32_t)loan,
                                        memcpy(copy, data, length), length) < 0) {
        free(copy);
        return -1;
    }
    loans[loan] = copy;
    return loan;
}

static carom_slice text(const char *string)
{
    return (carom_slice){string, strlen(string)};
}

/* False: there is no loan for it. */
static bool add_content(uint32_t slot, const char *data, size_t length)
{
    if (length <= 4096)
        return carom_vm_add_content(vm, slot, data, length) == length;
    int loan = lend(data, length);
    if (loan >= 0)
        carom_vm_add_loan(vm, slot, (uint32_t)loan);
    return loan >= 0;
}

static void answer(const carom_vm_event *event, uint32_t status, const char *data, size_t length)
{
    if (carom_vm_begin(vm, event->slot, event->generation, status) < 0)
        return;
    carom_vm_add_field(vm, event->slot, text("content-type"), text("text/plain"));
    bool whole = add_content(event->slot, data, length);
    carom_vm_send(vm, event->slot, whole ? PLAIN : CAROM_FLAG_RELEASE); /* the engine's 500 */
}

/* A message without content. It waits for ROOM where the one before has not been taken. */
static void say(const carom_vm_event *event, uint32_t status, uint32_t flags)
{
    int error = carom_vm_begin(vm, event->slot, event->generation, status);
    owed[event->slot] = error == -CAROM_EAGAIN ? flags : 0;
    if (error < 0)
        return;
    carom_vm_set_time(vm, event->slot, 10);
    carom_vm_send(vm, event->slot, flags);
}

/* The request as it came: method, target, version, and a line for each field. */
static void answer_fields(const carom_vm_event *event)
{
    carom_slice method = carom_vm_method(vm, event->slot),
                target = carom_vm_target(vm, event->slot);
    carom_field field;
    char *lines = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&lines, &length);
    if (stream == NULL)
        abort();
    fprintf(stream, "%.*s %.*s %u\n", (int)method.length, method.data, (int)target.length,
            target.data, carom_vm_word(vm, event->slot, CAROM_SLOT_VERSION) & 255);
    for (uint32_t i = 0; carom_vm_field(vm, event->slot, i, &field); i++)
        fprintf(stream, "%.*s: %.*s\n", (int)field.name.length, field.name.data,
                (int)field.value.length, field.value.data);
    fclose(stream);
    answer(event, 200, lines, length);
    free(lines);
}

/* ---- the echo: a piece goes back, and the next one is read when the engine has taken it ---- */

static void begin_echo(const carom_vm_event *event)
{
    carom_slice here = carom_vm_content(vm, event->slot);
    if (here.data != NULL || carom_vm_content_length(vm, event->slot) == 0)
        answer(event, 200, here.length > 0 ? here.data : "", here.length);
    else
        say(event, 0, CAROM_FLAG_READ); /* before the head: the client may wait for its 100 */
}

static void echo(const carom_vm_event *event)
{
    carom_field trailer;
    if (carom_vm_begin(vm, event->slot, event->generation, 200) < 0)
        return;
    bool whole = add_content(event->slot, event->piece.data, event->piece.length);
    for (uint32_t i = 0; carom_vm_trailer(vm, event->slot, i, &trailer); i++)
        carom_vm_add_trailer(vm, event->slot, trailer.name, trailer.value);
    bool last = (event->news & CAROM_NEWS_CONTENT_END) != 0;
    uint32_t flags = head[event->slot] | (event->piece.length > 0 ? CAROM_FLAG_DATA : 0);
    flags |= last ? CAROM_FLAG_END | CAROM_FLAG_RELEASE : CAROM_FLAG_READ;
    head[event->slot] = 0;
    carom_vm_send(vm, event->slot, whole ? flags : CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
}

static void hear_request(const carom_vm_event *event)
{
    static char large[LARGE];
    char number[16];
    carom_slice target = carom_vm_target(vm, event->slot);
#define IS(path) (target.length == strlen(path) && memcmp(target.data, path, target.length) == 0)
    owed[event->slot] = 0;
    held[event->slot] = IS("/hold");
    head[event->slot] = CAROM_FLAG_HEAD;
    if (held[event->slot])
        say(event, 200, CAROM_FLAG_HEAD); /* and no more: it waits until its client leaves */
    else if (IS("/"))
        answer(event, 200, "Hello, World!", 13);
    else if (IS("/echo"))
        begin_echo(event);
    else if (IS("/fields"))
        answer_fields(event);
    else if (IS("/left"))
        answer(event, 200, number, (size_t)sprintf(number, "%u", left));
    else if (IS("/late"))
        say(event, 0, CAROM_FLAG_TIMER);
    else if (IS("/large"))
        answer(event, 200, memset(large, 'x', LARGE), LARGE);
    else if (IS("/none"))
        say(event, 204, CAROM_FLAG_HEAD | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    else
        answer(event, 404, "nothing is here\n", 16);
}

static void hear(const carom_vm_event *event)
{
    if (event->news & CAROM_NEWS_REQUEST)
        hear_request(event);
    if (event->news & CAROM_NEWS_ENDED) { /* the client has left: nothing else matters */
        left += held[event->slot];
        say(event, 0, CAROM_FLAG_RELEASE);
    } else if (event->news & (CAROM_NEWS_ERROR | CAROM_NEWS_CONTENT_LOST)) {
        say(event, 0, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    } else if (event->news & (CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END)) {
        echo(event);
    } else if (owed[event->slot] != 0) { /* ROOM */
        say(event, 0, owed[event->slot]);
    } else if (event->news & CAROM_NEWS_TIME) {
        answer(event, 200, "late", 4);
    }
}

static void *run(void *data)
{
    carom_vm_event event;
    do {
        take_returns();
        while (carom_vm_next(vm, &event))
            hear(&event);
        sem_wait(&events);
    } while (!over);
    return data;
}

static void stop(int number)
{
    (void)number;
    carom_shutdown(service, 1000);
}

int main(int argc, char **argv)
{
    const carom_ring_options ring = {.size = sizeof ring, .capacity = CAPACITY, .wake = wake};
    carom_options options = CAROM_OPTIONS_INIT;
    carom_address address;
    char where[32];
    pthread_t thread;
    options.handler = carom_ring_handle;
    options.record_state = sizeof(void *);
    snprintf(where, sizeof where, "localhost:%.5s", argc > 1 ? argv[1] : "8080");
    sem_init(&events, 0, 0);
    int error = carom_vm_create(&vm, &ring);
    if (error == 0)
        error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_ring_attach(carom_vm_ring(vm), service, 0);
    if (error == 0)
        error = carom_service_listen(service, where);
    if (error < 0) {
        fprintf(stderr, "vm: %s: %s\n", where, carom_error_text(error));
        return 1;
    }
    carom_service_listener(service, 0, &address);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);
    printf("http://localhost:%u/\n", address.port);
    fflush(stdout);
    pthread_create(&thread, NULL, run, NULL);
    error = carom_run(service); /* until all is answered */
    over = true;
    sem_post(&events);
    pthread_join(thread, NULL);
    carom_service_destroy(service);
    take_returns();
    carom_vm_destroy(vm);
    return error < 0;
}
