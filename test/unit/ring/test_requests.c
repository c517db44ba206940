/* What the VM reads of a request: the words and bytes of its slot and of its pages, and when a slot
 * or a page is its own. */
#include "unit/ring/vm.h"

#define SLOTS   8
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define END     (CAROM_FLAG_HEAD | CAROM_FLAG_END | CAROM_FLAG_RELEASE)

static struct carom_peer *peer;

static uint32_t ask_text(const char *text)
{
    return ask(&peer, text);
}

static void vm_begin(void)
{
    carom_options options = simulation_options();
    vm_begin_with(&options, SLOTS);
}

static void finish_slot(uint32_t index)
{
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 204;
    command(index, END);
}

static const uint8_t *page_of(uint32_t page)
{
    return (const uint8_t *)vm.control + vm.control[CAROM_RING_PAGES_BYTE] +
           (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

/* The head's bytes, behind its table, and an entry of that. */
static const char *head_of(uint32_t index, uint32_t field, uint16_t entry[4])
{
    const uint32_t *words = slot_words(index);
    const uint8_t *table = words[CAROM_SLOT_HEAD_PAGE] == 0 ? (const uint8_t *)words + CAROM_SLOT_IN
                                                            : page_of(words[CAROM_SLOT_HEAD_PAGE]);
    memcpy(entry, table + (size_t)field * 8, 8);
    return (const char *)table + (size_t)words[CAROM_SLOT_FIELD_COUNT] * 8;
}

static void a_head_is_told_by_places_from_its_method_on(void **state)
{
    (void)state;
    static const char *const before[] = {"", "\r\n", "\r\n\r\n"};
    vm_begin();
    for (size_t i = 0; i < COUNT(before); i++) {
        char text[128];
        uint16_t entry[4];
        snprintf(text, sizeof text, "%sPUT /place HTTP/1.1\r\nHost: abc\r\nX-Y:z\r\n\r\n",
                 before[i]);
        uint32_t index = ask_text(text);
        const uint32_t *words = slot_words(index);
        const char *head = head_of(index, 0, entry);
        assert_int_equal(words[CAROM_SLOT_METHOD_LENGTH], 3);
        assert_memory_equal(head, "PUT", 3);
        assert_int_equal(words[CAROM_SLOT_TARGET], 4);
        assert_int_equal(words[CAROM_SLOT_TARGET_LENGTH], 6);
        assert_memory_equal(head + 4, "/place", 6);
        assert_int_equal(words[CAROM_SLOT_VERSION], 11);
        assert_int_equal(words[CAROM_SLOT_FIELD_COUNT], 2);
        assert_memory_equal(head + entry[0], "Host", entry[1]);
        assert_memory_equal(head + entry[2], "abc", entry[3]);
        assert_int_equal(entry[1] * 8 + entry[3], 4 * 8 + 3);
        head = head_of(index, 1, entry);
        assert_memory_equal(head + entry[0], "X-Y", entry[1]);
        assert_memory_equal(head + entry[2], "z", entry[3]);
        assert_int_equal(words[CAROM_SLOT_HEAD_LENGTH], entry[2] + entry[3]);
        assert_int_equal(words[CAROM_SLOT_LENGTH_LOW] | words[CAROM_SLOT_LENGTH_HIGH], 0);
        assert_int_equal(words[CAROM_SLOT_CONTENT_HERE] | words[CAROM_SLOT_PIECE_PAGE], 0);
        assert_int_equal(words[CAROM_SLOT_PEER] & 0xffff, CAROM_IPV4);
        assert_int_equal(words[CAROM_SLOT_PEER] >> 16, i + 1); /* the ports of the simulation */
        assert_memory_equal(&words[CAROM_SLOT_ADDRESS], "\177\0\0\1", 4);
        finish_slot(index);
    }
    vm_finish();
}

static void lengths_are_of_64_bits(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_content = UINT64_MAX;
    vm_begin_with(&options, SLOTS);
    uint32_t index = ask_text("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967298\r\n\r\n");
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_LOW], 2);
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_HIGH], 1);
    index = ask_text(CHUNKED);
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_LOW], UINT32_MAX);
    assert_int_equal(slot_words(index)[CAROM_SLOT_LENGTH_HIGH], UINT32_MAX);
    vm_finish();
}

/* Content that has come whole lies behind its head, up to the last byte of the area. */
static void content_goes_with_the_head_where_it_fits(void **state)
{
    (void)state;
    vm_begin();
    uint16_t entry[4];
    /* Table and head of a request whose length has four digits. */
    const uint32_t used =
        2 * 8 + (uint32_t)strlen("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000");
    const uint32_t room = CAROM_SLOT_OUT - CAROM_SLOT_IN - used;
    for (uint32_t length = room - 1; length <= room + 1; length++) {
        char text[4096];
        int head = snprintf(text, sizeof text,
                            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n", length);
        memset(text + head, 'c', length);
        text[(size_t)head + length] = '\0';
        slot_out(0)[0] = 'o';
        uint32_t index = ask_text(text);
        const uint32_t *words = slot_words(index);
        assert_int_equal(index, 0);
        assert_int_equal(words[CAROM_SLOT_CONTENT_HERE], length <= room ? length : 0);
        assert_int_equal(slot_out(0)[0], 'o');
        if (length <= room) {
            const char *content = head_of(index, 0, entry) + words[CAROM_SLOT_HEAD_LENGTH];
            assert_memory_equal(content, text + head, length);
        } else {
            command(index, CAROM_FLAG_READ);
            assert_int_equal(news_of(index) & CAROM_NEWS_CONTENT, CAROM_NEWS_CONTENT);
            assert_int_equal(words[CAROM_SLOT_PIECE_LENGTH], length);
            assert_memory_equal(page_of(words[CAROM_SLOT_PIECE_PAGE]), text + head, length);
        }
        finish_slot(index);
    }
    vm_finish();
}

/* Trailers are told with the end of the content, so that is not told before. */
static void content_with_trailers_is_read(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask_text(CHUNKED "3\r\nabc\r\n0\r\nX-T: uv\r\n\r\n");
    const uint32_t *words = slot_words(index);
    assert_int_equal(words[CAROM_SLOT_CONTENT_HERE], 0);
    command(index, CAROM_FLAG_READ);
    assert_int_equal(news_of(index), CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END);
    assert_int_equal(words[CAROM_SLOT_PIECE_LENGTH], 3);
    assert_int_equal(words[CAROM_SLOT_TRAILERS_LENGTH], 4 + 3 + 2);
    assert_memory_equal(page_of(words[CAROM_SLOT_PIECE_PAGE]), "abc\3\0\2\0X-Tuv", 3 + 9);
    finish_slot(index);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_head_is_told_by_places_from_its_method_on),
        cmocka_unit_test(lengths_are_of_64_bits),
        cmocka_unit_test(content_goes_with_the_head_where_it_fits),
        cmocka_unit_test(content_with_trailers_is_read),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
