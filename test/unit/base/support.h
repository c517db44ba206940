/* What the unit tests of src/base share: cmocka, random numbers from a printed seed, and a way to
 * see that an assertion of the library stops the program, and what it says. */
#ifndef CAROM_TEST_UNIT_BASE_SUPPORT_H
#define CAROM_TEST_UNIT_BASE_SUPPORT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Whether `run(data)` ends the process otherwise than by returning; tried in a child, silently. */
static inline bool dies(void (*run)(void *data), void *data)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        run(data);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* See that `run(data)` ends the process by abort, with this and nothing else on standard error;
 * tried in a child. */
static inline void assert_says(void (*run)(void *data), void *data, const char *text)
{
    int ends[2];
    char said[1024] = "";
    size_t length = 0;
    ssize_t got;
    fflush(NULL);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka, or a sanitizer, would have a word, too */
        dup2(ends[1], STDERR_FILENO);
        close(STDOUT_FILENO);
        run(data);
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    char *emulator = strstr(said, "qemu: "); /* tells of the abort, where one runs this */
    if (emulator != NULL)
        *emulator = '\0';
    assert_string_equal(said, text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* The seed of a random test: CAROM_SEED, or the clock's; printed, so that a failure can be
 * replayed. */
static inline uint64_t random_seed(const char *test)
{
    const char *given = getenv("CAROM_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    print_message("%s: CAROM_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

/* The next number of a sequence (splitmix64). */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The same, below `limit`. */
static inline size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) % limit);
}

/* Fewer rounds where each costs more: under valgrind, and under a sanitizer. */
static inline unsigned rounds(unsigned plain)
{
#ifdef SANITIZED
    return plain / 5;
#else
    return getenv("CAROM_VALGRIND") != NULL ? plain / 20 : plain;
#endif
}

/* CAROM_PART=2/4 in the environment: this run has the second, sixth, tenth... of the cases of a
 * long test, and others beside it have the rest. Without it a run has all: 1/1. */
struct part {
    unsigned first, step;
};

static inline struct part part_of_cases(void)
{
    const char *given = getenv("CAROM_PART");
    unsigned number = 1, parts = 1;
    if (given != NULL)
        assert_true(sscanf(given, "%u/%u", &number, &parts) == 2 && number >= 1 && number <= parts);
    return (struct part){number - 1, parts};
}

#endif
