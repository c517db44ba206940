/* Fields that lie in a loan, since they are too long for a slot. */
#include "ring/slot.h"
#include "unit/ring/vm.h"

#define ANSWER (CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END)

/* A request of a new client: its slot. */
static uint32_t begin_and_ask(struct carom_peer **peer)
{
    carom_options options = simulation_options();
    vm_begin_with(&options, CAPACITY);
    return ask(peer, GET("/"));
}

/* `count` fields "a" with values of `length` bytes, lent under the number `loan`: the bytes. */
static uint8_t *lend_fields(uint32_t loan, uint32_t count, uint32_t length)
{
    size_t size = count * (9 + (size_t)length);
    uint8_t *bytes = malloc(size), *to = bytes;
    assert_non_null(bytes);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t lengths[2] = {1, length};
        memcpy(to, lengths, 8);
        to[8] = 'a';
        memset(to + 9, 'v', length);
        to += 9 + length;
    }
    assert_int_equal(carom_ring_lend(vm.ring, loan, bytes, size), 0);
    return bytes;
}

static void answer_with_lent_fields(uint32_t index, uint32_t loan, uint32_t flags)
{
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_FIELDS_LOAN] = loan + 1;
    command(index, flags);
}

/* Or not at all: 0. */
static void assert_refused_for(uint32_t index, uint32_t error)
{
    assert_int_equal(news_of(index), error == 0 ? 0 : CAROM_NEWS_ERROR);
    if (error != 0)
        assert_int_equal(slot_words(index)[CAROM_SLOT_ERROR], error);
}

/* Up to options.max_response_head, in one field or in many. */
static void fields_in_a_loan_are_sent_up_to_the_limit(void **state)
{
    (void)state;
    static const struct {
        uint32_t count, length, error;
    } table[] = {{1, 65535, 0},
                 {1, 65536, CAROM_ETOOBIG},
                 {65536, 0, 0},
                 {65537, 0, CAROM_ETOOBIG},
                 {65538, 0, CAROM_ETOOBIG},
                 {16, 4095, 0},
                 {16, 4096, CAROM_ETOOBIG}};
    for (size_t i = 0; i < COUNT(table); i++) {
        struct carom_peer *peer;
        uint32_t index = begin_and_ask(&peer);
        uint8_t *bytes = lend_fields(5, table[i].count, table[i].length);
        answer_with_lent_fields(index, 5, ANSWER);
        assert_int_equal(returned(5), 1); /* at once */
        free(bytes);
        assert_refused_for(index, table[i].error);
        assert_int_equal(lines_of(peer), table[i].error == 0 ? table[i].count : 0);
        vm_finish();
    }
}

static void trailers_may_lie_in_a_loan(void **state)
{
    (void)state;
    struct carom_peer *peer;
    uint32_t index = begin_and_ask(&peer), *words = slot_words(index);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_DATA_LENGTH] = 3;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    memcpy(slot_out(index), "one", 3);
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
    assert_int_equal(news_of(index), 0);
    uint8_t *bytes = lend_fields(0, 3, 9000);
    answer_with_lent_fields(index, 0, CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    assert_int_equal(returned(0), 1);
    free(bytes);
    assert_int_equal(news_of(index), 0);
    assert_int_equal(lines_of(peer), 3);
    vm_finish();
}

static void lent_fields_that_are_wrong_are_refused_and_their_loan_comes_back(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t error;
    } table[] = {
        {WORD("\1") WORD("\0"), 8, CAROM_EFIELD},     /* lengths only */
        {WORD("\1") WORD("\1") "a", 9, CAROM_EFIELD}, /* a value past the loan */
        {WORD("\1") "\377\377\377\377"
                    "a",
         9, CAROM_EFIELD},                                    /* and far past it */
        {"\377\377\377\377" WORD("\2") "a", 9, CAROM_EFIELD}, /* together they wrap */
        {WORD("\1") WORD("\1") "a\n", 10, CAROM_EFIELD},      /* no value */
        {WORD("\1") WORD("\0") "a" WORD("\1") WORD("\0"), 17, CAROM_EFIELD},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct carom_peer *peer;
        uint32_t index = begin_and_ask(&peer);
        uint8_t *lent = malloc(table[i].length); /* and not a byte more */
        assert_non_null(lent);
        memcpy(lent, table[i].bytes, table[i].length);
        assert_int_equal(carom_ring_lend(vm.ring, 9, lent, table[i].length), 0);
        answer_with_lent_fields(index, 9, ANSWER | CAROM_FLAG_RELEASE);
        assert_int_equal(returned(9), 1);
        assert_refused_for(index, table[i].error);
        assert_string_equal(got(peer), "");
        answer_with_lent_fields(index, 12, ANSWER); /* it is not lent */
        assert_refused_for(index, CAROM_EINVAL);
        answer_with_lent_fields(index, CAROM_RING_LOANS, ANSWER); /* there is no such loan */
        assert_refused_for(index, CAROM_EINVAL);
        assert_string_equal(got(peer), "");
        vm_finish();
        free(lent);
    }
}

/* Content and end have no fields, whatever the word says that names their loan. */
static void a_loan_that_no_flag_mentions_stays_the_vms(void **state)
{
    (void)state;
    struct carom_peer *peer;
    uint32_t index = begin_and_ask(&peer), *words = slot_words(index);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    command(index, CAROM_FLAG_HEAD);
    uint8_t *bytes = lend_fields(5, 1, 3);
    words[CAROM_SLOT_FIELDS_LOAN] = 5 + 1;
    words[CAROM_SLOT_DATA_LENGTH] = 4;
    memcpy(slot_out(index), "fine", 4);
    command(index, CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    assert_int_equal(returned(5), 0);
    assert_got(peer, "\r\n4\r\nfine\r\n0\r\n\r\n");
    vm_finish();
    free(bytes);
}

static void what_long_fields_took_goes_back(void **state)
{
    (void)state;
    struct carom_peer *peer;
    uint32_t index = begin_and_ask(&peer);
    uint8_t *bytes = lend_fields(0, 3, 9000);
    answer_with_lent_fields(index, 0, ANSWER | CAROM_FLAG_RELEASE);
    assert_int_equal(lines_of(peer), 3);
    assert_true(vm.ring->fields.copy_size > 0);
    for (int i = 0; i < 3; i++)
        pass(CAROM_POOL_WINDOW);
    assert_int_equal(vm.ring->fields.copy_size, 0);
    assert_int_equal(vm.ring->fields.capacity, 0);
    free(bytes);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_in_a_loan_are_sent_up_to_the_limit),
        cmocka_unit_test(trailers_may_lie_in_a_loan),
        cmocka_unit_test(a_loan_that_no_flag_mentions_stays_the_vms),
        cmocka_unit_test(what_long_fields_took_goes_back),
        cmocka_unit_test(lent_fields_that_are_wrong_are_refused_and_their_loan_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
