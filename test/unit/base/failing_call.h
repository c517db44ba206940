/* One call of libc that fails, of those that a test puts in front of libc's. */
#ifndef CAROM_TEST_FAILING_CALL_H
#define CAROM_TEST_FAILING_CALL_H

#include <errno.h>
#include <stdbool.h>

static struct {
    int call;  /* that fails, by the test's own numbers */
    int error; /* 0: none does */
    int after; /* calls before it */
    bool failed;
} plan;

static bool fails(int call)
{
    if (plan.error == 0 || plan.failed || call != plan.call || plan.after-- > 0)
        return false;
    plan.failed = true;
    errno = plan.error;
    return true;
}

#endif
