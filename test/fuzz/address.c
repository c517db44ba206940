/* Fuzzes addresses: what carom_service_listen is given as text, and what a kernel may say of a
 * socket. A text that is accepted is described, and read again: it is the same address.
 *
 * Input: kind (1 byte), then a text, or the bytes of a socket address. */
#include "fuzz/support.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

#include "net/address.h"

#define MAX_TEXT 256

static void assert_described(const carom_address *address)
{
    carom_assert(memchr(address->text, '\0', sizeof address->text) != NULL);
    carom_assert(address->family >= CAROM_FAMILY_NONE && address->family <= CAROM_UNIX);
}

/* The address as one would write it for carom_service_listen. */
static void write_text(const carom_address *address, char *text, size_t size)
{
    if (address->family == CAROM_UNIX)
        snprintf(text, size, "unix:%s", address->text);
    else
        snprintf(text, size, address->family == CAROM_IPV6 ? "[%s]:%u" : "%s:%u", address->text,
                 address->port);
}

static void read_again(const struct carom_listen_spec *spec)
{
    carom_address address;
    struct carom_listen_spec again;
    struct sockaddr *copy = exact(&spec->address, spec->address_length);
    char text[MAX_TEXT];
    carom_address_describe(copy, spec->address_length, &address);
    free(copy);
    assert_described(&address);
    /* Such names cannot be written: they hold a NUL, or what would be read as options. */
    const struct sockaddr_un *un = (const struct sockaddr_un *)&spec->address;
    if (address.family == CAROM_UNIX && un->sun_path[0] != '\0')
        carom_assert(strcmp(un->sun_path, address.text) == 0);
    write_text(&address, text, sizeof text);
    carom_assert(carom_listen_parse(text, &again) == 0);
    carom_assert(again.kind == spec->kind && again.address_length == spec->address_length);
    carom_assert(memcmp(&again.address, &spec->address, spec->address_length) == 0);
}

static void parse(const struct input *input)
{
    struct carom_listen_spec spec;
    char *text = room_for(input->length + 1);
    if (input->length > 0)
        memcpy(text, input->data, input->length);
    text[input->length] = '\0';
    int error = carom_listen_parse(text, &spec);
    carom_assert(error == 0 || error == -CAROM_EADDRESS);
    free(text);
    if (error < 0)
        return;
    carom_assert(spec.mode == -1 || (spec.kind == CAROM_LISTEN_UNIX && spec.mode <= 0777));
    carom_assert((spec.fd >= 0) == (spec.kind == CAROM_LISTEN_FD));
    carom_assert(spec.address_length <= sizeof spec.address);
    if (spec.kind == CAROM_LISTEN_TCP || spec.kind == CAROM_LISTEN_UNIX)
        read_again(&spec);
}

/* What a kernel gives is at most a sockaddr_storage, but it may end anywhere. */
static void describe(const struct input *input)
{
    size_t length = input->length < sizeof(struct sockaddr_storage)
                        ? input->length
                        : sizeof(struct sockaddr_storage);
    struct sockaddr *address = exact(input->data, length);
    carom_address described;
    memset(&described, 'x', sizeof described);
    carom_address_describe(address, (socklen_t)length, &described);
    assert_described(&described);
    free(address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    if (take_byte(&input) & 1)
        describe(&input);
    else
        parse(&input);
    return 0;
}
