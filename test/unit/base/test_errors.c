/* Tests of the names and texts of errors and reasons, and of what errno becomes. */
#include "unit/base/support.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/errors.h"
#include "carom.h"

static void every_error_has_its_name_and_text(void **state)
{
    (void)state;
#define X(name, number, text)                                                                      \
    assert_string_equal(carom_error_name(number), "CAROM_" #name);                                 \
    assert_string_equal(carom_error_name(-CAROM_##name), "CAROM_" #name);                          \
    assert_string_equal(carom_error_text(-(number)), text);                                        \
    assert_string_equal(carom_error_text(number), text);
    CAROM_ERROR_TABLE(X)
#undef X
    assert_string_equal(carom_error_text(0), "no error");
}

static void unknown_numbers_have_a_text_too(void **state)
{
    (void)state;
    const int unknown[] = {21, -21, 1000, INT_MAX, -INT_MAX, INT_MIN};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        assert_string_equal(carom_error_name(unknown[i]), "CAROM_UNKNOWN");
        assert_string_equal(carom_error_text(unknown[i]), "unknown error");
    }
    assert_string_equal(carom_reason_name(CAROM_REASON_COUNT), "unknown");
    assert_string_equal(carom_reason_text((carom_reason)-1), "unknown reason");
}

/* The name that the table's identifier stands for: lower case, '-' for '_'. */
static const char *lowered(const char *identifier)
{
    static char name[64];
    assert_true(strlen(identifier) < sizeof name);
    size_t i = 0;
    for (; identifier[i] != 0; i++)
        name[i] = identifier[i] == '_' ? '-' : (char)tolower((unsigned char)identifier[i]);
    name[i] = 0;
    return name;
}

static void every_reason_has_its_name_and_text(void **state)
{
    (void)state;
#define X(name, text)                                                                              \
    assert_string_equal(carom_reason_name(CAROM_REASON_##name), lowered(#name));                   \
    assert_string_equal(carom_reason_text(CAROM_REASON_##name), text);
    CAROM_REASON_TABLE(X)
#undef X
}

static void errno_becomes_an_error(void **state)
{
    (void)state;
    const struct {
        int system, ours;
    } pairs[] = {
        {EAGAIN, -CAROM_EAGAIN},
        {EWOULDBLOCK, -CAROM_EAGAIN},
        {ECANCELED, -CAROM_ECANCELED},
        {EINVAL, -CAROM_EINVAL},
        {ENOMEM, -CAROM_ENOMEM},
        {ENOBUFS, -CAROM_ENOMEM},
        {EADDRINUSE, -CAROM_EADDRINUSE},
        {EADDRNOTAVAIL, -CAROM_EADDRNOTAVAIL},
        {EACCES, -CAROM_EACCES},
        {EPERM, -CAROM_EACCES},
        {ENOENT, -CAROM_ENOENT},
        {EBADF, -CAROM_ENOENT},
        {EMFILE, -CAROM_EMFILE},
        {ENFILE, -CAROM_EMFILE},
        {ENOTSOCK, -CAROM_EADDRESS},
        {EAFNOSUPPORT, -CAROM_EUNSUPPORTED},
        {ENOSYS, -CAROM_EUNSUPPORTED},
        {EIO, -CAROM_ESYSTEM},
        {0, -CAROM_ESYSTEM},
        {123456, -CAROM_ESYSTEM},
        {-EAGAIN, -CAROM_ESYSTEM},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_int_equal(carom_error_from_errno(pairs[i].system), pairs[i].ours);
}

static void the_version_is_that_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(carom_version(), CAROM_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_name_and_text),
        cmocka_unit_test(unknown_numbers_have_a_text_too),
        cmocka_unit_test(every_reason_has_its_name_and_text),
        cmocka_unit_test(errno_becomes_an_error),
        cmocka_unit_test(the_version_is_that_of_the_header),
    };
    return cmocka_run_group_tests_name("base/errors", tests, NULL, NULL);
}
