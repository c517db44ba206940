/* Options of sockets: checked, their defaults filled in, and shared by those that have the same. */
#include "websocket/settings.h"

#include <string.h>

#include "base/memory.h"
#include "websocket/shared.h"

/* More subprotocols or origins than this are not taken. */
#define WORDS_MOST 200

/* Who gives each socket other options has a struct for each, and nothing to find. */
#define LOOKED_AT 8

/* ---------------------------------------------------------------- lists */

static bool separates(char byte)
{
    return byte == ',' || byte == ' ' || byte == '\t';
}

/* The next word of a list; an empty one behind the last. */
static carom_slice next_word(const char **at)
{
    while (separates(**at))
        (*at)++;
    carom_slice word = {*at, 0};
    while (**at != '\0' && !separates(**at))
        (*at)++;
    word.length = (size_t)(*at - word.data);
    return word;
}

static uint16_t count_words(const char *list)
{
    uint16_t count = 0;
    while (list != NULL && next_word(&list).length > 0)
        count++;
    return count;
}

static void take_words(carom_slice *to, uint16_t count, const char *list)
{
    for (uint16_t i = 0; i < count; i++)
        to[i] = next_word(&list);
}

/* ---------------------------------------------------------------- defaults */

static uint32_t or_default(uint32_t given, uint32_t usual)
{
    return given == 0 ? usual : given;
}

static void fill_in(carom_websocket_options *options)
{
    if (options->max_message == 0)
        options->max_message = 1024 * 1024;
    options->max_fragments = or_default(options->max_fragments, 1024);
    options->write_limit = or_default(options->write_limit, 1024 * 1024);
    options->write_buffer = or_default(options->write_buffer, 64 * 1024);
    options->ping_interval = or_default(options->ping_interval, 25000);
    options->pong_timeout = or_default(options->pong_timeout, 20000);
    options->close_timeout = or_default(options->close_timeout, 5000);
    options->deflate_threshold = or_default(options->deflate_threshold, 64);
    options->deflate_window = (uint8_t)or_default(options->deflate_window, 12);
    options->deflate_memory = (uint8_t)or_default(options->deflate_memory, 5);
    options->deflate_level = (uint8_t)or_default(options->deflate_level, 1);
}

static bool is_valid(const carom_websocket_options *options)
{
    return options->deflate <= CAROM_WEBSOCKET_DEFLATE_OWN && options->deflate_window >= 9 &&
           options->deflate_window <= 15 && options->deflate_memory <= 9 &&
           options->deflate_level <= 9 && count_words(options->protocols) <= WORDS_MOST &&
           count_words(options->origins) <= WORDS_MOST;
}

static int check(const carom_websocket_options *options)
{
    bool known = options != NULL && options->size >= sizeof options->size &&
                 options->size <= sizeof *options && options->handlers != NULL;
    const carom_websocket_handlers *handlers = known ? options->handlers : NULL;
    return known && handlers->size >= sizeof handlers->size && handlers->size <= sizeof *handlers
               ? 0
               : -CAROM_EINVAL;
}

static struct carom_ws_settings *find(const struct carom_websockets *websockets,
                                      const carom_websocket_options *given,
                                      const carom_websocket_handlers *handlers)
{
    struct carom_ws_settings *settings = websockets->settings;
    for (int i = 0; i < LOOKED_AT && settings != NULL; i++, settings = settings->next)
        /* What differs in padding alone only costs a struct more. */
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): see above
        if (memcmp(&settings->given, given, sizeof *given) == 0 &&
            memcmp(&settings->handlers, handlers, sizeof *handlers) == 0)
            return settings;
    return NULL;
}

/* ---------------------------------------------------------------- made and freed */

static size_t size_of(const struct carom_ws_settings *settings)
{
    return sizeof *settings +
           sizeof(carom_slice) * ((size_t)settings->protocol_count + settings->origin_count);
}

static struct carom_ws_settings *make(const carom_websocket_options *options)
{
    const struct carom_ws_settings counts = {
        .protocol_count = count_words(options->protocols),
        .origin_count = count_words(options->origins),
    };
    struct carom_ws_settings *settings = carom_memory_take_zeroed(size_of(&counts));
    if (settings == NULL)
        return NULL;
    settings->options = *options;
    settings->holds = 1;
    settings->protocol_count = counts.protocol_count;
    settings->origin_count = counts.origin_count;
    settings->protocols = (carom_slice *)(void *)(settings + 1);
    settings->origins = settings->protocols + settings->protocol_count;
    take_words(settings->protocols, settings->protocol_count, options->protocols);
    take_words(settings->origins, settings->origin_count, options->origins);
    carom_ws_deflaters_init(&settings->deflaters, options->deflate_threshold,
                            options->deflate_level, options->deflate_memory);
    return settings;
}

int carom_ws_settings_take(struct carom_websockets *websockets,
                           const carom_websocket_options *options,
                           struct carom_ws_settings **settings)
{
    int error = check(options);
    if (error < 0)
        return error;
    carom_websocket_options given;
    carom_websocket_handlers handlers;
    memset(&given, 0, sizeof given);
    memset(&handlers, 0, sizeof handlers);
    memcpy(&given, options, options->size);
    memcpy(&handlers, options->handlers, options->handlers->size);
    given.handlers = NULL; /* they were copied, and the program's may go */
    *settings = find(websockets, &given, &handlers);
    if (*settings != NULL) {
        (*settings)->holds++;
        return 0;
    }
    carom_websocket_options filled = given;
    fill_in(&filled);
    if (!is_valid(&filled))
        return -CAROM_EINVAL;
    *settings = make(&filled);
    if (*settings == NULL)
        return -CAROM_ENOMEM;
    memcpy(&(*settings)->given, &given, sizeof given);
    memcpy(&(*settings)->handlers, &handlers, sizeof handlers);
    (*settings)->websockets = websockets;
    (*settings)->next = websockets->settings;
    websockets->settings = *settings;
    return 0;
}

void carom_ws_settings_give(struct carom_websockets *websockets, struct carom_ws_settings *settings)
{
    if (--settings->holds > 0)
        return;
    struct carom_ws_settings **at = &websockets->settings;
    while (*at != settings)
        at = &(*at)->next;
    *at = settings->next;
    carom_ws_deflaters_finish(&settings->deflaters);
    carom_memory_give(settings, size_of(settings));
}
