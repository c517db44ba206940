/* What the VM asks of its sockets: each entry of the log is read once, checked, and becomes calls
 * on the socket. What makes no sense is counted and ignored; what is for a socket that has closed
 * meanwhile is ignored. */
#include <string.h>

#include "ring/block.h"
#include "ring/loan.h"
#include "ring/socket.h"

/* An entry as it was when it was taken. */
struct entry {
    uint32_t size; /* of its bytes */
    uint32_t kind, flags, number, value;
    const uint8_t *bytes; /* the VM's: it may change them under our eyes */
};

static void count_bad(struct carom_ring_sockets *sockets)
{
    sockets->words[CAROM_SOCKETS_BAD]++;
}

/* ---------------------------------------------------------------- accept */

struct accept {
    uint32_t slot, generation, settings;
};

static struct carom_slot *slot_of(const struct carom_ring *ring, const struct accept *accept)
{
    struct carom_slot *slot = carom_slot_at(ring, accept->slot);
    if (slot == NULL || slot->state != CAROM_SLOT_HELD || slot->generation != accept->generation ||
        atomic_load(carom_ring_atomic(slot->words, CAROM_SLOT_FLAGS)) != 0)
        return NULL;
    return slot;
}

/* 0: the record is the library's. */
static int accept_record(struct carom_ring_socket *socket, carom_record *record,
                         const uint8_t *fields_at, uint32_t length)
{
    struct carom_ring *ring = socket->ring;
    const carom_field *fields;
    int64_t count = carom_ring_fields_here(&ring->fields, fields_at, length, &fields);
    if (count < 0)
        return (int)count;
    return carom_websocket_accept(record, &socket->settings->options, fields, (size_t)count, socket,
                                  &socket->socket);
}

/* Whether a socket may be made with this number. */
static bool is_free(const struct carom_ring_sockets *sockets, uint32_t number)
{
    return number != 0 && number <= sockets->most && sockets->by_number[number] == NULL;
}

/* The slot is free in any case; a request that could not be accepted was answered, or is by its
 * release. */
static void do_accept(struct carom_ring_sockets *sockets, const struct entry *entry)
{
    uint8_t copy[CAROM_SOCKETS_MOST_ACCEPT];
    struct accept asked;
    if (entry->size < sizeof asked || entry->size > sizeof copy) {
        count_bad(sockets);
        return;
    }
    memcpy(copy, entry->bytes, entry->size);
    memcpy(&asked, copy, sizeof asked);
    struct carom_slot *slot = slot_of(sockets->ring, &asked);
    bool known = asked.settings < atomic_load(&sockets->settings_count);
    if (slot == NULL || !known || !is_free(sockets, entry->number)) {
        count_bad(sockets);
        return;
    }
    struct carom_ring_socket *socket = carom_ring_socket_make(sockets, entry->number);
    if (socket == NULL) {
        carom_slot_release(slot);
        carom_ring_sockets_tell_no_memory(sockets, entry->number);
        return;
    }
    socket->settings = sockets->settings[asked.settings];
    carom_record *record = slot->record;
    carom_waker *wakers[] = {&slot->ended, &slot->readable, &slot->writable, &slot->timer};
    for (size_t i = 0; i < sizeof wakers / sizeof *wakers; i++)
        carom_unwait(record, wakers[i]);
    int error =
        accept_record(socket, record, copy + sizeof asked, entry->size - (uint32_t)sizeof asked);
    if (error == 0) {
        carom_slot_give(slot);
        return;
    }
    carom_slot_release(slot);
    carom_ring_sockets_tell_refused(socket, error);
}

/* ---------------------------------------------------------------- messages */

/* The content of an entry, `skip` bytes into it, or the loan that it names; false: there is none.
 */
static bool content_of(struct carom_ring_sockets *sockets, const struct entry *entry, uint32_t skip,
                       carom_content *content)
{
    *content = (carom_content){.data = entry->bytes + skip, .length = entry->size - skip};
    if (!(entry->flags & CAROM_ENTRY_LENT))
        return true;
    struct carom_loan *loan = carom_loan_take(sockets->ring, entry->value + 1, CAROM_LOAN_BYTES);
    if (loan == NULL) {
        count_bad(sockets);
        return false;
    }
    *content = (carom_content){loan->data, (size_t)loan->length, carom_loan_return, loan};
    return true;
}

static carom_websocket_kind kind_of(const struct entry *entry, carom_websocket_kind kind)
{
    unsigned plain = entry->flags & CAROM_ENTRY_PLAIN ? CAROM_WEBSOCKET_PLAIN : 0;
    return (carom_websocket_kind)(kind | plain);
}

/* The VM has counted it, so it is counted here, too, whether it can be sent or not. */
static void do_send(struct carom_ring_sockets *sockets, const struct entry *entry,
                    struct carom_ring_socket *socket, carom_websocket_kind kind)
{
    carom_content content;
    if (!content_of(sockets, entry, 0, &content))
        return;
    if (socket == NULL || socket->socket == NULL) {
        if (content.give_back != NULL)
            content.give_back(content.owner);
        return;
    }
    uint32_t length = (uint32_t)content.length;
    if (entry->flags & CAROM_ENTRY_DRAIN)
        socket->wants_drained = true;
    socket->taken += length;
    if (carom_websocket_send(socket->socket, kind_of(entry, kind), &content) == -CAROM_ETOOBIG)
        carom_ring_socket_tell_dropped(socket, length);
    if (carom_node_alone(&socket->unsent))
        carom_list_append(&sockets->unsent, &socket->unsent);
}

static void do_publish(struct carom_ring_sockets *sockets, const struct entry *entry,
                       const struct carom_ring_socket *socket, carom_websocket_kind kind)
{
    char topic[255];
    uint32_t length = UINT32_MAX;
    carom_content content;
    if (entry->size >= sizeof length)
        memcpy(&length, entry->bytes, sizeof length);
    if (length > sizeof topic || entry->size < sizeof length + length) {
        count_bad(sockets);
        return;
    }
    memcpy(topic, entry->bytes + sizeof length, length);
    if (!content_of(sockets, entry, (uint32_t)sizeof length + length, &content))
        return;
    const carom_slice name = {topic, length};
    kind = kind_of(entry, kind);
    /* Who has ended, perhaps behind the message that is passed on, is subscribed to nothing. */
    if (socket != NULL && socket->socket != NULL)
        carom_websocket_publish(socket->socket, name, kind, &content);
    else
        carom_publish(sockets->ring->worker, name, kind, &content);
}

/* ---------------------------------------------------------------- the rest */

/* What is asked of an open socket with up to 255 bytes. */
static void ask(struct carom_ring_sockets *sockets, const struct entry *entry,
                struct carom_ring_socket *socket)
{
    char copy[255];
    if (entry->size > sizeof copy) {
        count_bad(sockets);
        return;
    }
    if (socket == NULL || socket->socket == NULL)
        return;
    memcpy(copy, entry->bytes, entry->size);
    const carom_slice bytes = {copy, entry->size};
    int error = 0;
    switch (entry->kind) {
    case CAROM_ASK_CLOSE:
        error = entry->value > UINT16_MAX
                    ? -CAROM_EINVAL
                    : carom_websocket_close(socket->socket, (uint16_t)entry->value, bytes);
        break;
    case CAROM_ASK_ABORT:
        carom_websocket_abort(socket->socket);
        break;
    case CAROM_ASK_PING:
        error = carom_websocket_ping(socket->socket, copy, entry->size);
        break;
    case CAROM_ASK_PONG:
        error = carom_websocket_pong(socket->socket, copy, entry->size);
        break;
    case CAROM_ASK_PAUSE:
        socket->paused = true;
        carom_websocket_pause(socket->socket);
        break;
    case CAROM_ASK_RESUME:
        socket->paused = false;
        if (socket->telling.kind == 0)
            carom_websocket_resume(socket->socket);
        break;
    case CAROM_ASK_DRAIN:
        socket->wants_room = true;
        socket->room_at = entry->value;
        carom_ring_socket_count(socket);
        break;
    case CAROM_ASK_SUBSCRIBE:
        error = carom_websocket_subscribe(socket->socket, bytes);
        break;
    default:
        carom_websocket_unsubscribe(socket->socket, bytes);
    }
    if (error == -CAROM_EINVAL || error == -CAROM_ETOOBIG)
        count_bad(sockets);
}

static void take_entry(struct carom_ring_sockets *sockets, const struct entry *entry)
{
    struct carom_ring_socket *socket = carom_ring_socket_of(sockets, entry->number);
    switch (entry->kind) {
    case CAROM_ENTRY_PADDING:
        break;
    case CAROM_ASK_ACCEPT:
        do_accept(sockets, entry);
        break;
    case CAROM_ASK_TEXT:
    case CAROM_ASK_BINARY:
        do_send(sockets, entry, socket,
                entry->kind == CAROM_ASK_TEXT ? CAROM_WEBSOCKET_TEXT : CAROM_WEBSOCKET_BINARY);
        break;
    case CAROM_ASK_PUBLISH_TEXT:
    case CAROM_ASK_PUBLISH_BINARY:
        do_publish(sockets, entry, socket,
                   entry->kind == CAROM_ASK_PUBLISH_TEXT ? CAROM_WEBSOCKET_TEXT
                                                         : CAROM_WEBSOCKET_BINARY);
        break;
    default:
        if (entry->kind > CAROM_ASK_DRAIN)
            count_bad(sockets);
        else
            ask(sockets, entry, socket);
    }
}

/* The entry at `at`, of which no more than `most` bytes were written; the bytes that it takes, or
 * 0: it is none, and where the next one begins is not known. */
static uint32_t read_entry(const struct carom_log *log, uint32_t at, uint32_t most,
                           struct entry *entry)
{
    const uint8_t *bytes = log->bytes + (at & log->mask);
    uint32_t head[4];
    uint32_t to_end = log->mask + 1 - (at & log->mask);
    if (most < sizeof head || to_end < sizeof head)
        return 0;
    memcpy(head, bytes, sizeof head);
    uint32_t room =
        head[CAROM_ENTRY_SIZE] > log->mask ? UINT32_MAX : carom_entry_room(head[CAROM_ENTRY_SIZE]);
    if (head[CAROM_ENTRY_SIZE] < CAROM_ENTRY_HEAD || room > most || room > to_end)
        return 0;
    *entry = (struct entry){
        .size = head[CAROM_ENTRY_SIZE] - CAROM_ENTRY_HEAD,
        .kind = head[CAROM_ENTRY_KIND] & 0xffff,
        .flags = head[CAROM_ENTRY_KIND] >> 16,
        .number = head[CAROM_ENTRY_SOCKET],
        .value = head[CAROM_ENTRY_VALUE],
        .bytes = bytes + CAROM_ENTRY_HEAD,
    };
    return room;
}

bool carom_ring_sockets_take(struct carom_ring_sockets *sockets)
{
    struct carom_log *log = &sockets->messages;
    uint32_t tail = atomic_load_explicit(
        carom_ring_atomic(sockets->words, CAROM_SOCKETS_MESSAGES_TAIL), memory_order_acquire);
    if (tail == log->at)
        return false;
    uint32_t left = tail - log->at;
    if (left > log->mask + 1 || left % CAROM_ENTRY_ALIGN != 0) /* no honest VM is there */
        left = 0;
    while (left > 0) {
        struct entry entry;
        uint32_t room = read_entry(log, log->at, left, &entry);
        if (room == 0)
            break;
        take_entry(sockets, &entry);
        log->at += room;
        left -= room;
    }
    if (log->at != tail)
        count_bad(sockets);
    log->at = tail;
    atomic_store(carom_ring_atomic(sockets->words, CAROM_SOCKETS_MESSAGES_HEAD), log->at);
    if (atomic_exchange(carom_ring_atomic(sockets->words, CAROM_SOCKETS_ROOM_WANTED), 0) != 0)
        sockets->ring->news = true;
    return true;
}
