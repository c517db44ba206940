/* TLS in the test server: its options, and a route that shows what a record tells of it. An address
 * that begins with "tls:" is listened on with TLS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/serve/serve.h"

#define MOST 16

static struct {
    carom_tls_options options;
    carom_tls_certificate certificates[MOST];
    const char *protocols[MOST];
    char keys[8 * CAROM_TLS_TICKET_KEY];
} tls = {.options = CAROM_TLS_OPTIONS_INIT};

static bool read_keys(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    size_t length = fread(tls.keys, 1, sizeof tls.keys, file);
    (void)fclose(file);
    tls.options.ticket_keys = (carom_slice){tls.keys, length};
    return true;
}

bool tls_option(const char *name, const char *value)
{
    carom_tls_options *options = &tls.options;
    size_t count = options->certificate_count;
    if (strcmp(name, "certificate") == 0 && count < MOST) {
        tls.certificates[options->certificate_count++].certificate_file = value;
        options->certificates = tls.certificates;
    } else if (strcmp(name, "key") == 0 && count > 0) {
        tls.certificates[count - 1].key_file = value;
    } else if (strcmp(name, "ocsp") == 0 && count > 0) {
        tls.certificates[count - 1].ocsp_file = value;
    } else if (strcmp(name, "protocol") == 0 && options->protocol_count < MOST) {
        tls.protocols[options->protocol_count++] = value;
        options->protocols = tls.protocols;
    } else if (strcmp(name, "client") == 0) {
        options->client = (carom_tls_client)atoi(value);
    } else if (strcmp(name, "client_ca") == 0) {
        options->client_ca_file = value;
    } else if (strcmp(name, "min_version") == 0) {
        options->min_version = (uint16_t)atoi(value);
    } else if (strcmp(name, "ciphers") == 0) {
        options->ciphers = value;
    } else if (strcmp(name, "ticket_keys") == 0) {
        return read_keys(value);
    } else if (strcmp(name, "ticket_lifetime") == 0) {
        options->ticket_lifetime = strcmp(value, "off") == 0 ? CAROM_OFF : (uint32_t)atoi(value);
    } else if (strcmp(name, "watch") == 0) {
        options->watch = (uint32_t)atoi(value);
    } else if (strcmp(name, "refuse_unknown_names") == 0) {
        options->refuse_unknown_names = atoi(value) != 0;
    } else {
        return false;
    }
    return true;
}

int tls_listen(const char *address)
{
    if (strncmp(address, "tls:", 4) == 0)
        return carom_service_listen_tls(server.service, address + 4, &tls.options);
    return carom_service_listen(server.service, address);
}

/* /tls: version, cipher, protocol, server name, resumed, and the length of the client's
 * certificate.
 */
void route_tls(struct exchange *exchange)
{
    carom_tls_info info;
    carom_slice certificate;
    char text[512];
    if (carom_record_tls(exchange->record, &info) < 0) {
        answer_text(exchange, 200, "plain\n");
        return;
    }
    (void)carom_record_tls_certificate(exchange->record, &certificate);
    (void)snprintf(text, sizeof(text), "%.*s %.*s alpn=%.*s name=%.*s resumed=%d client=%d %zu\n",
                   (int)info.version.length, info.version.data, (int)info.cipher.length,
                   info.cipher.data, (int)info.protocol.length, info.protocol.data,
                   (int)info.server_name.length, info.server_name.data, info.resumed,
                   info.client_certificate, certificate.length);
    answer_text(exchange, 200, text);
}

/* /redirect?port=443, whatever follows. */
void route_redirect(struct exchange *exchange)
{
    uint64_t port = query_number(exchange->record, "port", 443);
    note_result(carom_redirect_to_https(exchange->record, (uint16_t)port));
    carom_release(exchange->record);
}

/* /reload: load the certificates again; its result. */
void route_reload(struct exchange *exchange)
{
    answer_text(exchange, 200, carom_error_name(carom_tls_reload(server.service)));
}
