/* The request as the VM sees it: head and content, copied into its memory. */
#include "ring/request.h"

#include <arpa/inet.h>
#include <string.h>

#include "ring/loan.h"
#include "ring/observer.h"

#define FIELD_ENTRY 8 /* four half-words */
#define ROOM_IN     (CAROM_SLOT_OUT - CAROM_SLOT_IN)

static uint32_t head_end(const struct carom_request_head *head)
{
    const struct carom_fields *fields = &head->fields;
    if (fields->count == 0)
        return head->target.offset + head->target.length;
    const struct carom_field_span *last = &fields->spans[fields->count - 1];
    uint32_t name = last->name.offset + last->name.length;
    uint32_t value = last->value.offset + last->value.length;
    return name > value ? name : value;
}

/* Field table and head, from the method on. */
static void write_head(uint8_t *to, const struct carom_request_head *head, uint32_t length)
{
    uint32_t start = head->method.offset; /* empty lines may come before it */
    for (uint32_t i = 0; i < head->fields.count; i++) {
        const struct carom_field_span *span = &head->fields.spans[i];
        const uint16_t entry[4] = {
            (uint16_t)(span->name.offset - start), (uint16_t)span->name.length,
            (uint16_t)(span->value.offset - start), (uint16_t)span->value.length};
        memcpy(to + (size_t)i * FIELD_ENTRY, entry, sizeof entry);
    }
    memcpy(to + (size_t)head->fields.count * FIELD_ENTRY, head->fields.base + start, length);
}

static void write_address(uint32_t *words, const struct carom_endpoint *name)
{
    words[0] = name->family | (uint32_t)ntohs(name->port) << 16;
    memcpy(&words[1], name->bytes, sizeof name->bytes);
}

/* Where the head says what the client would speak: half-words of offset and length; 0: it does not.
 */
static uint32_t place_of_protocol(const carom_record *record)
{
    const struct carom_request_head *head = &record->head;
    if (carom_likely(!head->wants_upgrade && head->protocol.length == 0))
        return 0;
    carom_slice protocol = carom_request_protocol(record);
    const char *start = (const char *)head->fields.base + head->method.offset;
    return (uint32_t)(protocol.data - start) | (uint32_t)protocol.length << 16;
}

static void write_numbers(struct carom_slot *slot, uint32_t head_length, uint32_t head_page)
{
    const carom_record *record = slot->record;
    const struct carom_request_head *head = &record->head;
    uint32_t *words = slot->words;
    int64_t length = carom_request_content_length(record);
    words[CAROM_SLOT_HEAD_PAGE] = head_page;
    words[CAROM_SLOT_METHOD_LENGTH] = head->method.length;
    words[CAROM_SLOT_VERSION] =
        head->version | (head->wants_upgrade ? 256u : 0u) | (uint32_t)record->refusal << 16;
    words[CAROM_SLOT_TARGET] = head->target.offset - head->method.offset;
    words[CAROM_SLOT_TARGET_LENGTH] = head->target.length;
    words[CAROM_SLOT_FIELD_COUNT] = head->fields.count;
    words[CAROM_SLOT_HEAD_LENGTH] = head_length;
    words[CAROM_SLOT_LENGTH_LOW] = (uint32_t)length;
    words[CAROM_SLOT_LENGTH_HIGH] = (uint32_t)((uint64_t)length >> 32);
    words[CAROM_SLOT_CONTENT_HERE] = 0;
    struct carom_core *core = record->ops->core(record);
    write_address(&words[CAROM_SLOT_PEER], &core->peer);
    write_address(&words[CAROM_SLOT_LOCAL], carom_core_local(core));
    words[CAROM_SLOT_PROTOCOL] = place_of_protocol(record);
    if (carom_unlikely(slot->ring->observer != NULL)) {
        words[CAROM_SLOT_REASON] = record->refusal_reason;
        words[CAROM_SLOT_CONNECTION] = carom_ring_observer_request(slot->ring->observer, record);
    }
}

/* Content that has come whole and fits goes with the head; what comes behind CONNECT is the
 * tunnel's. */
static void write_content(struct carom_slot *slot, uint32_t used)
{
    carom_record *record = slot->record;
    uint64_t length = record->content.length;
    if (record->request != CAROM_REQUEST_WHOLE || record->head.is_connect ||
        length > ROOM_IN - used || carom_request_trailer_count(record) > 0)
        return;
    uint8_t *to = (uint8_t *)slot->words + CAROM_SLOT_IN + used;
    carom_slice piece;
    while (carom_request_read(record, &piece) > 0) {
        memcpy(to, piece.data, piece.length);
        to += piece.length;
    }
    slot->words[CAROM_SLOT_CONTENT_HERE] = (uint32_t)length;
}

bool carom_slot_write_request(struct carom_slot *slot)
{
    const struct carom_request_head *head = &slot->record->head;
    uint32_t length = head_end(head) - head->method.offset;
    uint32_t used = head->fields.count * FIELD_ENTRY + length;
    uint8_t *to = (uint8_t *)slot->words + CAROM_SLOT_IN;
    uint32_t page = 0;
    if (used > ROOM_IN) {
        page = carom_ring_take_page(slot->ring);
        if (page == 0)
            return false;
        to = carom_ring_page(slot->ring, page);
        carom_assert(used <= CAROM_RING_PAGE_SIZE);
    }
    write_head(to, head, length);
    write_numbers(slot, length, page);
    if (slot->record->content.length > 0)
        write_content(slot, page == 0 ? used : 0);
    return true;
}

/* ---------------------------------------------------------------- content */

/* Trailers behind the content in the page, as the VM writes fields. */
static uint32_t write_trailers(const carom_record *record, uint8_t *to, uint32_t room)
{
    uint32_t used = 0;
    for (size_t i = 0; i < carom_request_trailer_count(record); i++) {
        carom_field field = carom_request_trailer_at(record, i);
        const uint16_t lengths[2] = {(uint16_t)field.name.length, (uint16_t)field.value.length};
        size_t size = sizeof lengths + lengths[0] + lengths[1];
        if (size > room - used)
            break;
        memcpy(to + used, lengths, sizeof lengths);
        memcpy(to + used + 4, field.name.data, lengths[0]);
        memcpy(to + used + 4 + lengths[0], field.value.data, lengths[1]);
        used += (uint32_t)size;
    }
    return used;
}

/* Copy pieces into a page as long as the next one fits whatever its size. Returns the last result
 * of carom_request_read. */
static int fill_page(struct carom_slot *slot, uint32_t page, uint32_t *used)
{
    uint8_t *to = carom_ring_page(slot->ring, page);
    uint32_t largest = slot->ring->records->pages.size;
    carom_slice piece;
    int result = 1;
    *used = 0;
    while (*used + largest <= CAROM_RING_PAGE_SIZE &&
           (result = carom_request_read(slot->record, &piece)) > 0) {
        memcpy(to + *used, piece.data, piece.length);
        *used += (uint32_t)piece.length;
    }
    return result;
}

static void wait_for_page(struct carom_slot *slot)
{
    if (carom_node_alone(&slot->link))
        carom_list_append(&slot->ring->starved, &slot->link);
}

/* Tell what a read has found: `used` bytes in the page, or in the room, and its `result`. Trailers
 * that lack a page wait for one. */
static void tell_content(struct carom_slot *slot, int result, uint32_t page, uint32_t used)
{
    uint32_t trailers = 0;
    uint32_t news = used > 0 ? CAROM_NEWS_CONTENT : 0;
    if (result == 0) {
        news |= CAROM_NEWS_CONTENT_END;
        if (page == 0 && carom_request_trailer_count(slot->record) > 0) {
            page = carom_ring_take_page(slot->ring);
            if (page == 0) {
                wait_for_page(slot);
                return;
            }
        }
        uint32_t behind = slot->room == NULL ? used : 0;
        if (page != 0)
            trailers = write_trailers(slot->record, carom_ring_page(slot->ring, page) + behind,
                                      CAROM_RING_PAGE_SIZE - behind);
    } else if (result < 0 && result != -CAROM_EAGAIN) {
        news |= CAROM_NEWS_CONTENT_LOST;
    }
    if (trailers == 0 && (used == 0 || slot->room != NULL)) {
        carom_ring_give_page(slot->ring, page);
        page = 0;
    }
    slot->reading = false;
    carom_node_remove(&slot->link); /* one that waited for a page has found one, or a room */
    carom_slot_return_room(slot);
    slot->piece_page = page; /* the VM's, from when it hears of it */
    slot->words[CAROM_SLOT_PIECE_PAGE] = page;
    slot->words[CAROM_SLOT_PIECE_LENGTH] = used;
    slot->words[CAROM_SLOT_TRAILERS_LENGTH] = trailers;
    if (news != 0)
        carom_slot_tell(slot, news);
}

static bool waits_for_content(struct carom_slot *slot, int result)
{
    return result == -CAROM_EAGAIN &&
           carom_wait(slot->record, CAROM_READABLE, &slot->readable) == 0;
}

static void read_into_room(struct carom_slot *slot)
{
    struct carom_loan *room = slot->room;
    size_t copied;
    int result = carom_request_copy(slot->record, room->room + slot->filled,
                                    (size_t)room->length - slot->filled, &copied);
    slot->filled += (uint32_t)copied;
    if ((slot->filled == 0 || slot->fills) && waits_for_content(slot, result))
        return;
    tell_content(slot, result, 0, slot->filled);
}

static void read_into_page(struct carom_slot *slot)
{
    uint32_t page = carom_ring_take_page(slot->ring);
    if (page == 0) {
        wait_for_page(slot);
        return;
    }
    uint32_t used;
    int result = fill_page(slot, page, &used);
    if (used == 0 && waits_for_content(slot, result))
        carom_ring_give_page(slot->ring, page);
    else
        tell_content(slot, result, page, used);
}

void carom_slot_read(struct carom_slot *slot)
{
    slot->reading = true;
    if (slot->room != NULL)
        read_into_room(slot);
    else
        read_into_page(slot);
}
