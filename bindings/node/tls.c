/* TLS for JavaScript: takes options that js/src/engine/tls-options.js has checked, tells what is
 * known of a request's connection, and passes on what the engine says of a certificate that it
 * cannot use. */
#include "server.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_LINE 512

/* ---------------------------------------------------------------- what the engine says */

/* Of the call that this thread is in: the first line of the highest level. */
static _Thread_local char line_said[LONGEST_LINE];
static _Thread_local carom_log_level level_said;

void tls_note(void *data, carom_log_level level, const char *line)
{
    (void)data;
    if (line_said[0] != '\0' && level >= level_said)
        return;
    level_said = level;
    strncpy(line_said, line, LONGEST_LINE - 1);
}

static void listen_to_engine(void)
{
    line_said[0] = '\0';
}

napi_value tls_said(napi_env env, napi_callback_info info)
{
    napi_value result = NULL;
    (void)info;
    if (line_said[0] != '\0' && level_said != CAROM_LOG_INFO)
        napi_create_string_utf8(env, line_said, NAPI_AUTO_LENGTH, &result);
    return result;
}

/* ---------------------------------------------------------------- options */

/* Texts that live as long as the call. */
struct text {
    struct text *next;
    char bytes[];
};

struct input {
    napi_env env;
    carom_tls_options options;
    carom_tls_certificate *certificates;
    const char **protocols;
    struct text *texts;
    bool failed; /* out of memory */
};

/* A string, or NULL. */
static const char *take_string(struct input *input, napi_value value)
{
    size_t length;
    if (napi_get_value_string_utf8(input->env, value, NULL, 0, &length) != napi_ok)
        return NULL;
    struct text *text = malloc(sizeof *text + length + 1);
    if (text == NULL) {
        input->failed = true;
        return NULL;
    }
    text->next = input->texts;
    input->texts = text;
    napi_get_value_string_utf8(input->env, value, text->bytes, length + 1, &length);
    return text->bytes;
}

static const char *take_text(struct input *input, napi_value object, const char *name)
{
    napi_value value;
    napi_get_named_property(input->env, object, name, &value);
    return take_string(input, value);
}

/* A property that is a Uint8Array, or nothing. */
static carom_slice take_bytes(struct input *input, napi_value object, const char *name)
{
    napi_value value;
    void *data;
    size_t length;
    napi_get_named_property(input->env, object, name, &value);
    if (napi_get_typedarray_info(input->env, value, NULL, &length, &data, NULL, NULL) != napi_ok)
        return (carom_slice){NULL, 0};
    return (carom_slice){data, length};
}

static uint32_t take_number(struct input *input, napi_value object, const char *name)
{
    napi_value value;
    uint32_t number = 0;
    napi_get_named_property(input->env, object, name, &value);
    napi_get_value_uint32(input->env, value, &number);
    return number;
}

/* A property that is an array, and how long it is. */
static uint32_t take_array(struct input *input, napi_value object, const char *name,
                           napi_value *array)
{
    uint32_t length = 0;
    napi_get_named_property(input->env, object, name, array);
    napi_get_array_length(input->env, *array, &length);
    return length;
}

static void take_certificates(struct input *input, napi_value object)
{
    napi_value list;
    uint32_t count = take_array(input, object, "certificates", &list);
    input->certificates = calloc(count + 1, sizeof *input->certificates);
    for (uint32_t i = 0; i < count && input->certificates != NULL; i++) {
        napi_value one;
        carom_tls_certificate *to = &input->certificates[i];
        napi_get_element(input->env, list, i, &one);
        to->certificate = take_bytes(input, one, "cert");
        to->key = take_bytes(input, one, "key");
        to->certificate_file = take_text(input, one, "certFile");
        to->key_file = take_text(input, one, "keyFile");
        to->ocsp_file = take_text(input, one, "ocspFile");
        to->server_names = take_text(input, one, "serverName");
    }
    input->failed |= input->certificates == NULL;
    input->options.certificates = input->certificates;
    input->options.certificate_count = count;
}

static void take_protocols(struct input *input, napi_value object)
{
    napi_value list;
    uint32_t count = take_array(input, object, "alpn", &list);
    input->protocols = calloc(count + 1, sizeof *input->protocols);
    for (uint32_t i = 0; i < count && input->protocols != NULL; i++) {
        napi_value one;
        napi_get_element(input->env, list, i, &one);
        input->protocols[i] = take_string(input, one);
    }
    input->failed |= input->protocols == NULL;
    input->options.protocols = input->protocols;
    input->options.protocol_count = count;
}

static void take_options(struct input *input, napi_env env, napi_value object)
{
    *input = (struct input){.env = env, .options = CAROM_TLS_OPTIONS_INIT};
    carom_tls_options *options = &input->options;
    take_certificates(input, object);
    take_protocols(input, object);
    options->min_version = (uint16_t)take_number(input, object, "minVersion");
    options->ciphers = take_text(input, object, "ciphers");
    options->suites = take_text(input, object, "suites");
    options->groups = take_text(input, object, "groups");
    options->client = (carom_tls_client)take_number(input, object, "client");
    options->client_ca = take_bytes(input, object, "ca");
    options->client_ca_file = take_text(input, object, "caFile");
    options->refuse_unknown_names = take_number(input, object, "refuseUnknownNames") != 0;
    options->ticket_keys = take_bytes(input, object, "ticketKeys");
    options->ticket_lifetime = take_number(input, object, "ticketLifetime");
}

static void free_input(struct input *input)
{
    while (input->texts != NULL) {
        struct text *text = input->texts;
        input->texts = text->next;
        free(text);
    }
    free(input->certificates);
    free(input->protocols);
}

int tls_listen(struct server *server, const char *address, napi_value object)
{
    struct input input;
    take_options(&input, server->env, object);
    listen_to_engine();
    int error = input.failed ? -CAROM_ENOMEM
                             : carom_service_listen_tls(server->service, address, &input.options);
    free_input(&input);
    return error;
}

int tls_replace(struct server *server, napi_value object)
{
    struct input input;
    take_options(&input, server->env, object);
    listen_to_engine();
    int error = input.failed ? -CAROM_ENOMEM : carom_tls_replace(server->service, &input.options);
    free_input(&input);
    return error;
}

/* ---------------------------------------------------------------- a certificate to try with */

napi_value tls_self_signed(napi_env env, napi_callback_info info)
{
    char names[1024];
    size_t length, count = 1;
    napi_value argument, result, text;
    carom_tls_certificate made;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    napi_get_value_string_utf8(env, argument, names, sizeof names, &length);
    int error = carom_tls_self_signed(&made, names);
    if (error < 0) {
        napi_create_int32(env, error, &result);
        return result;
    }
    napi_create_object(env, &result);
    napi_create_string_utf8(env, made.certificate.data, made.certificate.length, &text);
    napi_set_named_property(env, result, "cert", text);
    napi_create_string_utf8(env, made.key.data, made.key.length, &text);
    napi_set_named_property(env, result, "key", text);
    carom_tls_certificate_free(&made);
    return result;
}

/* ---------------------------------------------------------------- what a connection is */

/* The slice as a string; null for an empty one. */
static void set_text(napi_env env, napi_value object, const char *name, carom_slice slice)
{
    napi_value value;
    napi_create_string_utf8(env, slice.length > 0 ? slice.data : "", slice.length, &value);
    napi_set_named_property(env, object, name, value);
}

napi_value tls_describe(napi_env env, carom_ring *ring, uint32_t slot)
{
    carom_tls_info known;
    carom_slice der;
    napi_value result, value;
    if (carom_ring_tls(ring, slot, &known, &der) < 0) {
        napi_get_null(env, &result);
        return result;
    }
    napi_create_object(env, &result);
    set_text(env, result, "version", known.version);
    set_text(env, result, "cipher", known.cipher);
    set_text(env, result, "alpn", known.protocol);
    set_text(env, result, "serverName", known.server_name);
    napi_get_boolean(env, known.resumed, &value);
    napi_set_named_property(env, result, "resumed", value);
    napi_get_null(env, &value);
    if (der.length > 0) {
        void *copy;
        napi_value buffer;
        napi_create_arraybuffer(env, der.length, &copy, &buffer);
        memcpy(copy, der.data, der.length);
        napi_create_typedarray(env, napi_uint8_array, der.length, buffer, 0, &value);
    }
    napi_set_named_property(env, result, "peerCertificate", value);
    return result;
}
