/* Runs seeds: `simulate [--seconds N] [--runs N] [--from SEED] [--marks]`, those given by
 * `--seeds N...`, or one with its log: `--seed N`. A seed that fails is run again with its log, of
 * which the end is printed. With --marks, a mark, an edge of a state machine or a reason that was
 * never reached is a failure. With --sockets only worlds of WebSockets are run, which otherwise
 * follow those of HTTP with every tenth seed. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mark.h"
#include "simulate/world.h"

#define LINES           300 /* of the log of a seed that failed */
#define WIDTH           200
#define ENOUGH          3000 /* runs, to have reached every mark */
#define SOCKETS_ONCE_IN 10   /* seeds there is a world of sockets, too */
#define HANGS           60   /* seconds after which a seed is said to hang */

bool world_logs;
static bool all_lines, replaying, only_sockets, in_sockets;
static char lines[LINES][WIDTH];
static unsigned line_count;

/* The engine sees the simulated clock, here too. */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock != CLOCK_MONOTONIC || world == NULL)
        return __real_clock_gettime(clock, time);
    time->tv_sec = (time_t)(world->clock / 1000);
    time->tv_nsec = (long)(world->clock % 1000) * 1000000;
    return 0;
}

static double seconds_now(void)
{
    struct timespec time;
    __real_clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void world_log(const char *format, ...)
{
    char *line = lines[line_count++ % LINES];
    va_list arguments;
    int used = snprintf(line, WIDTH, "%8llu ms  ", (unsigned long long)world->clock);
    va_start(arguments, format);
    vsnprintf(line + used, WIDTH - (size_t)used, format, arguments);
    va_end(arguments);
    if (all_lines)
        puts(line);
}

/* NOLINTBEGIN(bugprone-signal-handler): the program is at its end; at worst the report is lost */

/* The seed has failed: show how, by running it again with its log. */
static _Noreturn void failed(void)
{
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)world->seed);
    if (!replaying) {
        fprintf(stderr, "seed %s failed; make simulate SEED=%s shows all of it\n", seed, seed);
        execl("/proc/self/exe", "simulate", "--replay", seed,
              in_sockets ? "--sockets" : (char *)NULL, (char *)NULL);
    } else if (!all_lines) {
        for (unsigned i = line_count > LINES ? line_count - LINES : 0; i < line_count; i++)
            fprintf(stderr, "%s\n", lines[i % LINES]);
    }
    _exit(1);
}

void world_fail(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "simulate: seed %llu at %llu ms: ", (unsigned long long)world->seed,
            (unsigned long long)world->clock);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    failed();
}

/* An assertion of the engine, a sanitizer, or no end. */
static void on_signal(int number)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(number, SIG_DFL);
    fprintf(stderr, "simulate: seed %llu: %s\n", (unsigned long long)world->seed,
            number == SIGALRM ? "hangs" : strsignal(number));
    failed();
}

/* NOLINTEND(bugprone-signal-handler) */

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

/* ---------------------------------------------------------------- marks */

static bool missing(const char *what, const char *name, int from, int to)
{
    if (from < 0)
        fprintf(stderr, "simulate: never reached: %s \"%s\"\n", what, name);
    else
        fprintf(stderr, "simulate: never made: move %d to %d of the %s\n", from, to, name);
    return false;
}

#ifdef CAROM_MARKS

static bool all_marks_reached(void)
{
    bool all = true;
    struct carom_mark *const *mark = __start_carom_marks;
    for (; mark < __stop_carom_marks; mark++)
        if ((*mark)->count == 0)
            all = missing("mark", (*mark)->name, -1, -1);
    struct carom_mark_table *const *place = __start_carom_mark_tables;
    for (; place < __stop_carom_mark_tables; place++) {
        const struct carom_mark_table *table = *place;
        for (unsigned from = 0; from < table->states; from++)
            for (unsigned to = 0; to < table->states; to++)
                if ((table->moves[from] & 1u << to) && table->counts[from][to] == 0)
                    all = missing("move", table->name, (int)from, (int)to);
    }
    return all;
}

#else

static bool all_marks_reached(void)
{
    return missing("mark", "any: built without them", -1, -1);
}

#endif

static bool all_reached(void)
{
    bool all = all_marks_reached();
    for (int reason = CAROM_REASON_NONE + 1; reason < CAROM_REASON_COUNT; reason++)
        if (totals.ended[reason] == 0)
            all = missing("reason", carom_reason_name((carom_reason)reason), -1, -1);
    return all;
}

/* ---------------------------------------------------------------- */

static void run(uint64_t seed)
{
    alarm(HANGS);
    in_sockets = false;
    if (!only_sockets)
        world_run(seed);
    in_sockets = true;
    if (only_sockets || seed % SOCKETS_ONCE_IN == 0)
        sockets_run(seed);
    alarm(0);
}

int main(int count, char **arguments)
{
    uint64_t from = 1, runs = UINT64_MAX;
    double seconds = 1e9;
    bool marks = false, one = false;
    const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], on_signal);
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--seeds") == 0)
            for (runs = 0; i + 1 < count; i++)
                run(strtoull(arguments[i + 1], NULL, 10));
        bool is_seed = strcmp(arguments[i], "--seed") == 0;
        bool is_replay = strcmp(arguments[i], "--replay") == 0;
        only_sockets |= strcmp(arguments[i], "--sockets") == 0;
        marks |= strcmp(arguments[i], "--marks") == 0;
        if (strcmp(arguments[i], "--seconds") == 0)
            seconds = strtod(value, NULL);
        else if (strcmp(arguments[i], "--runs") == 0)
            runs = strtoull(value, NULL, 10);
        else if (is_seed || is_replay || strcmp(arguments[i], "--from") == 0)
            from = strtoull(value, NULL, 10);
        one |= is_seed || is_replay;
        all_lines |= is_seed;
    }
    replaying = world_logs = one;
    double begin = seconds_now();
    for (uint64_t seed = from; seed - from < (one ? 1 : runs) && seconds_now() - begin < seconds;
         seed++)
        run(seed);
    double took = seconds_now() - begin;
    printf(
        "%llu runs, %llu requests, %llu answered whole, %llu sockets, %llu turns in %.1f s: %.0f "
        "answers a second\n",
        (unsigned long long)totals.runs, (unsigned long long)totals.exchanges,
        (unsigned long long)totals.answers, (unsigned long long)totals.sockets,
        (unsigned long long)totals.turns, took, (double)totals.answers / took);
    return marks && totals.runs >= ENOUGH && !all_reached() ? 1 : 0;
}
