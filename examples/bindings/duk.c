/* A binding for Duktape, a small JavaScript engine: `duk 8080 duk.js` serves on
 * http://localhost:8080/ what all examples here serve. What JavaScript calls is made of the calls
 * of carom_vm.h; the application is in duk.js. Engine and JavaScript share one thread: wake() is
 * called in a turn, and runs JavaScript there and then. Strings of Duktape may have any bytes, so
 * those of a request are taken as they are.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <carom_vm.h>
#include <duktape.h>

#define MOST_LOANS 256

static carom_service *service;
static carom_vm *vm;
static duk_context *js;
static bool lent[MOST_LOANS]; /* by number; what is lent stays in Duktape's stash */

/* ---- what JavaScript is given ---- */

static void set_text(const char *name, carom_slice text)
{
    duk_push_lstring(js, text.data, text.length);
    duk_put_prop_string(js, -2, name);
}

static void set_number(const char *name, double number)
{
    duk_push_number(js, number);
    duk_put_prop_string(js, -2, name);
}

/* Add [name, value] to the array on top. */
static void add_pair(const carom_field *field, uint32_t index)
{
    duk_idx_t pair = duk_push_array(js);
    duk_push_lstring(js, field->name.data, field->name.length);
    duk_put_prop_index(js, pair, 0);
    duk_push_lstring(js, field->value.data, field->value.length);
    duk_put_prop_index(js, pair, 1);
    duk_put_prop_index(js, -2, index);
}

static void push_bytes(carom_slice bytes)
{
    void *copy = duk_push_fixed_buffer(js, bytes.length);
    if (bytes.length > 0)
        memcpy(copy, bytes.data, bytes.length);
}

/* What is known of a request; its slot is another's after RELEASE. */
static void push_request(const carom_vm_event *event)
{
    carom_field field;
    carom_slice content = carom_vm_content(vm, event->slot);
    duk_push_object(js);
    set_number("slot", event->slot);
    set_number("generation", event->generation);
    set_number("version", carom_vm_word(vm, event->slot, CAROM_SLOT_VERSION) & 255);
    set_number("length", (double)carom_vm_content_length(vm, event->slot));
    set_text("method", carom_vm_method(vm, event->slot));
    set_text("target", carom_vm_target(vm, event->slot));
    duk_push_array(js);
    for (uint32_t i = 0; carom_vm_field(vm, event->slot, i, &field); i++)
        add_pair(&field, i);
    duk_put_prop_string(js, -2, "fields");
    if (content.data != NULL) {
        push_bytes(content);
        duk_put_prop_string(js, -2, "content");
    }
}

/* ---- what JavaScript calls ---- */

static carom_slice text_at(duk_idx_t pair, duk_uarridx_t index)
{
    carom_slice text;
    duk_get_prop_index(js, pair, index);
    text.data = duk_require_lstring(js, -1, &text.length);
    duk_pop(js); /* the pair keeps it */
    return text;
}

typedef int add_line(carom_vm *vm, uint32_t slot, carom_slice name, carom_slice value);

/* Each [name, value] of an array, which may be missing. */
static void add_lines(duk_idx_t array, uint32_t slot, add_line *add)
{
    duk_size_t count = duk_is_array(js, array) ? duk_get_length(js, array) : 0;
    for (duk_uarridx_t i = 0; i < count; i++) {
        duk_get_prop_index(js, array, i);
        duk_idx_t pair = duk_get_top_index(js);
        if (add(vm, slot, text_at(pair, 0), text_at(pair, 1)) < 0)
            duk_range_error(js, "the fields do not fit into a slot");
        duk_pop(js);
    }
}

/* Content that is too long for a slot is lent, where it is. */
static void add_content(duk_idx_t value, uint32_t slot)
{
    duk_size_t length = 0;
    const void *data = duk_is_string(js, value) ? duk_get_lstring(js, value, &length)
                                                : duk_get_buffer_data(js, value, &length);
    uint32_t loan = 0;
    if (length <= 4096) {
        carom_vm_add_content(vm, slot, data, length);
        return;
    }
    while (loan < MOST_LOANS - 1 && lent[loan])
        loan++;
    if (lent[loan] || carom_ring_lend(carom_vm_ring(vm), loan, data, length) < 0)
        duk_range_error(js, "too much is lent");
    lent[loan] = true;
    duk_push_global_stash(js);
    duk_dup(js, value);
    duk_put_prop_index(js, -2, loan);
    duk_pop(js);
    carom_vm_add_loan(vm, slot, loan);
}

static void take_returns(void)
{
    int64_t loan;
    while ((loan = carom_vm_take_return(vm)) >= 0) {
        lent[loan] = false;
        duk_push_global_stash(js);
        duk_del_prop_index(js, -1, (duk_uarridx_t)loan);
        duk_pop(js);
    }
}

/* send(request, flags, status, fields, content, trailers, milliseconds): false: it is over. One
 * message follows another only when something was told between them, so the one before has been
 * taken. */
static duk_ret_t send_message(duk_context *context)
{
    duk_get_prop_string(context, 0, "slot");
    duk_get_prop_string(context, 0, "generation");
    uint32_t slot = duk_get_uint(context, -2), generation = duk_get_uint(context, -1);
    bool held = carom_vm_begin(vm, slot, generation, duk_get_uint(context, 2)) == 0;
    if (held) {
        add_lines(3, slot, carom_vm_add_field);
        add_content(4, slot);
        add_lines(5, slot, carom_vm_add_trailer);
        carom_vm_set_time(vm, slot, duk_get_uint(context, 6));
        carom_vm_send(vm, slot, duk_require_uint(context, 1));
    }
    duk_push_boolean(context, held);
    return 1;
}

/* ---- turns ---- */

/* hear(slot, news, request, piece, trailers) */
static void tell(const carom_vm_event *event)
{
    carom_field trailer;
    duk_get_global_string(js, "hear");
    duk_push_uint(js, event->slot);
    duk_push_uint(js, event->news);
    if (event->news & CAROM_NEWS_REQUEST)
        push_request(event);
    else
        duk_push_null(js);
    push_bytes(event->piece);
    duk_push_array(js);
    for (uint32_t i = 0; carom_vm_trailer(vm, event->slot, i, &trailer); i++)
        add_pair(&trailer, i);
    if (duk_pcall(js, 5) != DUK_EXEC_SUCCESS) { /* others do not feel it */
        fprintf(stderr, "duk: %s\n", duk_safe_to_string(js, -1));
        if (carom_vm_begin(vm, event->slot, event->generation, 0) == 0)
            carom_vm_send(vm, event->slot, CAROM_FLAG_RELEASE); /* a 500, or a reset */
    }
    duk_pop(js);
}

static void wake(void *data)
{
    carom_vm_event event;
    (void)data;
    take_returns();
    while (carom_vm_next(vm, &event))
        tell(&event);
}

static void stop(int number)
{
    (void)number;
    carom_shutdown(service, 1000);
}

/* Run a file of JavaScript; false: it has said why not. */
static bool load(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    bool read = file != NULL && getdelim(&text, &size, '\0', file) >= 0;
    bool done = read && duk_pcompile_string(js, 0, text) == 0 && duk_pcall(js, 0) == 0;
    if (!done)
        fprintf(stderr, "duk: %s: %s\n", path,
                read ? duk_safe_to_string(js, -1) : "cannot be read");
    if (file != NULL)
        fclose(file);
    free(text);
    return done;
}

int main(int argc, char **argv)
{
    const carom_ring_options ring = {.size = sizeof ring, .capacity = 1024, .wake = wake};
    carom_options options = CAROM_OPTIONS_INIT;
    carom_address address;
    char where[32];
    options.handler = carom_ring_handle;
    options.record_state = sizeof(void *);
    snprintf(where, sizeof where, "localhost:%.5s", argc > 1 ? argv[1] : "8080");
    js = duk_create_heap_default();
    duk_push_c_function(js, send_message, 7);
    duk_put_global_string(js, "send");
    if (!load(argc > 2 ? argv[2] : "examples/bindings/duk.js"))
        return 1;
    int error = carom_vm_create(&vm, &ring);
    if (error == 0)
        error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_ring_attach(carom_vm_ring(vm), service, 0);
    if (error == 0)
        error = carom_service_listen(service, where);
    if (error < 0) {
        fprintf(stderr, "duk: %s: %s\n", where, carom_error_text(error));
        return 1;
    }
    carom_service_listener(service, 0, &address);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);
    printf("http://localhost:%u/\n", address.port);
    fflush(stdout);
    error = carom_run(service); /* until all is answered */
    carom_service_destroy(service);
    carom_vm_destroy(vm);
    duk_destroy_heap(js);
    return error < 0;
}
