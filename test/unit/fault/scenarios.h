/* The scenarios of the fault tests: what a client says, a handler that answers it, and what may
 * come back. Whatever was made to fail, an answer is whole, or is seen to be cut, or is a refusal;
 * it is never another one. */
#ifndef CAROM_TEST_UNIT_FAULT_SCENARIOS_H
#define CAROM_TEST_UNIT_FAULT_SCENARIOS_H

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/base/support.h"
#include "unit/fault/h2_answers.h"
#include "unit/fault/sockets.h"

#include "base/assert.h"
#include "carom.h"

#define SAYS_MAX    6
#define ANSWERS_MAX 4

struct scenario {
    const char *name;
    const char *says[SAYS_MAX]; /* one after the other, each when all is quiet */
    size_t lengths[SAYS_MAX];   /* of them; 0: up to the zero. In HTTP/2 none is 0 */
    struct {
        int status;
        const char *content;
        size_t length;
    } answers[ANSWERS_MAX];
    size_t piece; /* bytes that the engine receives at a time; 0: all */
    bool slow;    /* the client takes little at a time */
    bool leaves;  /* FIN behind the last */
    bool drains;  /* a shutdown behind the last */
    bool is_socket;
};

/* ---------------------------------------------------------------- contents */

#define LARGE_LENGTH  100000
#define COPY_LENGTH   40000 /* more than a page */
#define STREAM_LENGTH 20000
#define STREAM_PIECE  700

/* Bytes that are different everywhere, for what is large or streamed. */
static char pattern[LARGE_LENGTH];

static inline void make_pattern(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)('a' + (i / 7 + i / 1000) % 26);
    make_socket_messages(pattern);
}

/* The same in a file, and once more in one that the kernel does not move, where a test says so. */
static int pattern_files[2];

static inline void make_files(void)
{
    for (int i = 0; i < 2; i++) {
        pattern_files[i] = memfd_create("pattern", MFD_CLOEXEC);
        assert_int_equal(pwrite(pattern_files[i], pattern, sizeof pattern, 0), sizeof pattern);
    }
}

/* Every so many runs are tried where each costs much more: under valgrind; under the thread
 * sanitizer, which has nothing to find in one thread. */
static inline unsigned sparsely(unsigned step)
{
#if defined(__SANITIZE_THREAD__)
    return step;
#else
    return getenv("CAROM_VALGRIND") != NULL ? step : 1;
#endif
}

/* ---------------------------------------------------------------- which run it is */

/* Printed when a test fails in it. */
static char this_run[128];

#define RUN(...) snprintf(this_run, sizeof this_run, __VA_ARGS__)

static inline int tell_run(void **state)
{
    (void)state;
    if (this_run[0] != '\0')
        print_message("it was: %s\n", this_run);
    return 0;
}

/* ---------------------------------------------------------------- the handler */

/* Two backends, which answer by becoming readable. */
#define BELLS 2

static struct {
    int descriptors[BELLS];
    void (*ring)(unsigned bell, bool on);
} bells;

/* What it keeps with a record. */
struct task {
    carom_waker waker;
    carom_io io;
    carom_record *record;
    struct task *next; /* of all that are not released */
    size_t length, sum;
    bool posts, holds; /* waits for the test: to be posted, to be answered */
    bool asks;         /* waits for the bell of its number */
    unsigned bell;
    bool early; /* the test has answered */
};

static struct {
    struct task *first; /* the latest */
    int lent, returned; /* contents */
    int early;          /* answers that a test gave in place of the handler's */
    void (*on_event)(void);
} tasks;

static void event(void)
{
    if (tasks.on_event != NULL)
        tasks.on_event();
}

static void finish_task(struct task *task)
{
    struct task **link = &tasks.first;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    carom_release(task->record);
}

/* Whatever it says: a refusal is told by the engine when the record is released. */
static void finish_with(struct task *task, const char *text)
{
    const carom_response response = {.status = 200, .content = {text, strlen(text), NULL, NULL}};
    carom_respond(task->record, &response);
    finish_task(task);
}

static void take_back(void *owner)
{
    (void)owner;
    tasks.returned++;
}

static void wait_for(struct task *task, carom_edge edge, carom_wake *wake)
{
    task->waker.wake = wake;
    assert_int_equal(carom_wait(task->record, edge, &task->waker), 0);
}

static struct task *task_of(carom_waker *waker)
{
    event();
    return carom_container(waker, struct task, waker);
}

/* "/read": the length and the sum of the content, pulled. */
static void read_on(carom_waker *waker, int status)
{
    struct task *task = task_of(waker);
    carom_slice bytes;
    (void)status;
    int result;
    while ((result = carom_request_read(task->record, &bytes)) > 0) {
        task->length += bytes.length;
        for (size_t i = 0; i < bytes.length; i++)
            task->sum += (unsigned char)bytes.data[i];
    }
    if (result == -CAROM_EAGAIN) {
        wait_for(task, CAROM_READABLE, read_on);
    } else if (result < 0) {
        finish_task(task);
    } else {
        char text[64];
        snprintf(text, sizeof text, "%zu %zu", task->length, task->sum);
        finish_with(task, text);
    }
}

/* "/stream": more than the write buffer has room for, copied and borrowed by turns. */
static void write_on(carom_waker *waker, int status)
{
    static const carom_field trailer = {CAROM_SLICE("X-Last"), CAROM_SLICE("yes")};
    struct task *task = task_of(waker);
    (void)status;
    int error = 0;
    while (task->length < STREAM_LENGTH && error == 0) {
        size_t rest = STREAM_LENGTH - task->length;
        carom_content piece = {pattern + task->length, rest < STREAM_PIECE ? rest : STREAM_PIECE,
                               NULL, NULL};
        if (task->sum++ % 2 == 0) {
            piece.give_back = take_back;
            tasks.lent++;
        }
        error = carom_write(task->record, &piece);
        if (error == 0)
            task->length += piece.length;
    }
    if (error == -CAROM_EAGAIN) {
        wait_for(task, CAROM_WRITABLE, write_on);
        return;
    }
    if (error == 0)
        carom_end(task->record, &trailer, 1);
    finish_task(task);
}

/* "/upgrade": an echo. */
static void echo_on(carom_waker *waker, int status)
{
    struct task *task = task_of(waker);
    carom_slice bytes;
    (void)status;
    int result;
    while ((result = carom_request_read(task->record, &bytes)) > 0) {
        const carom_content content = {bytes.data, bytes.length, NULL, NULL};
        if (carom_write(task->record, &content) < 0) {
            finish_task(task);
            return;
        }
    }
    if (result == -CAROM_EAGAIN) {
        wait_for(task, CAROM_READABLE, echo_on);
        return;
    }
    if (result == 0)
        carom_end(task->record, NULL, 0);
    finish_task(task);
}

static void answer_posted(carom_waker *waker, int status)
{
    struct task *task = task_of(waker);
    assert_int_equal(status, 0);
    finish_with(task, "hello");
}

static void on_bell(carom_io *io, int events)
{
    struct task *task = carom_container(io, struct task, io);
    event();
    task->asks = false;
    bells.ring(task->bell, false);
    assert_true(events == CAROM_WATCH_READABLE || events == -CAROM_ECANCELED);
    if (task->bell == 0)
        carom_unwatch(io);
    finish_with(task, "rung");
}

/* "/watch": a backend of the record's; "/watch-worker": one of the worker's, asked once. */
static void ask_backend(struct task *task, unsigned bell)
{
    task->io.ready = on_bell;
    task->bell = bell;
    int error =
        bell == 0
            ? carom_watch(task->record, &task->io, bells.descriptors[0], CAROM_WATCH_READABLE)
            : carom_watch_worker(carom_record_worker(task->record), &task->io, bells.descriptors[1],
                                 CAROM_WATCH_READABLE | CAROM_WATCH_ONCE);
    if (error < 0)
        finish_task(task);
    else
        task->asks = true;
}

static bool targets(const carom_record *record, const char *target)
{
    carom_slice slice = carom_request_target(record);
    return slice.length == strlen(target) && memcmp(slice.data, target, slice.length) == 0;
}

/* "/socket", "/socket-deflate". */
static void become_socket(struct task *task, bool deflates)
{
    begin_socket_program(event, take_back, &tasks.lent);
    struct task **link = &tasks.first;
    carom_record *record = task->record;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next; /* in a record that may be gone */
    if (accept_socket(record, deflates) < 0)
        carom_release(record);
}

static void fault_handler(carom_record *record, void *data)
{
    static const carom_field upgrade = {CAROM_SLICE("Upgrade"), CAROM_SLICE("echo")};
    struct task *task = carom_record_state(record);
    (void)data;
    task->record = record;
    task->next = tasks.first;
    tasks.first = task;
    event();
    if (targets(record, "/read")) {
        read_on(&task->waker, 0);
    } else if (targets(record, "/stream")) {
        const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
        carom_respond_begin(record, &response);
        write_on(&task->waker, 0);
    } else if (targets(record, "/large")) {
        const carom_response response = {.status = 200,
                                         .content = {pattern, LARGE_LENGTH, take_back, NULL}};
        tasks.lent++;
        carom_respond(record, &response);
        finish_task(task);
    } else if (targets(record, "/file") || targets(record, "/read-file")) {
        const carom_response response = {.status = 200};
        const carom_file file = {.descriptor = pattern_files[targets(record, "/read-file")],
                                 .length = LARGE_LENGTH,
                                 .give_back = take_back};
        tasks.lent++;
        carom_respond_file(record, &response, &file);
        finish_task(task);
    } else if (targets(record, "/given-file")) {
        const carom_response response = {.status = 200};
        const carom_file file = {.descriptor = fcntl(pattern_files[0], F_DUPFD_CLOEXEC, 0),
                                 .offset = 100,
                                 .length = 1000};
        carom_respond_file(record, &response, &file);
        finish_task(task);
    } else if (targets(record, "/copy")) {
        const carom_response response = {.status = 200,
                                         .content = {pattern, COPY_LENGTH, NULL, NULL}};
        carom_respond(record, &response);
        finish_task(task);
    } else if (targets(record, "/upgrade")) {
        const carom_response response = {.status = 101, .fields = &upgrade, .field_count = 1};
        if (carom_upgrade(record, &response) == 0)
            echo_on(&task->waker, 0);
        else
            finish_task(task);
    } else if (targets(record, "/socket") || targets(record, "/socket-deflate")) {
        become_socket(task, targets(record, "/socket-deflate"));
    } else if (targets(record, "/watch") || targets(record, "/watch-worker")) {
        ask_backend(task, targets(record, "/watch-worker"));
    } else if (targets(record, "/post")) {
        task->posts = true;
    } else if (targets(record, "/hold")) {
        task->holds = true;
    } else {
        finish_with(task, "hello");
    }
}

/* What another thread would do: come back by carom_post; and what a backend would: answer. */
static void post_tasks(void)
{
    for (struct task *task = tasks.first; task != NULL; task = task->next) {
        if (task->posts) {
            task->posts = false;
            task->waker.wake = answer_posted;
            carom_post(task->record, &task->waker);
        }
        if (task->asks)
            bells.ring(task->bell, true);
    }
}

/* Answer those that are held. */
static void answer_held(void)
{
    struct task *next;
    for (struct task *task = tasks.first; task != NULL; task = next) {
        next = task->next;
        if (task->holds)
            finish_with(task, "held");
    }
}

static inline void reset_tasks(void)
{
    memset(&tasks, 0, sizeof tasks);
}

static carom_options fault_options(void)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = fault_handler;
    options.record_state = sizeof(struct task);
    options.pool_floor = 1;
    options.write_buffer = 4096;
    options.h2_connect_protocol = true;
    options.backend = getenv("CAROM_BACKEND"); /* NULL: epoll */
    return options;
}

/* ---------------------------------------------------------------- what came back */

struct verdict {
    int whole;   /* right answers */
    int refused; /* answers of the engine in place of the right ones */
    bool cut;    /* the last one is not whole, and is seen to be */
};

/* The bytes of an answer that are content; chunks are decoded. */
struct content {
    const char *bytes, *end; /* not looked at yet */
    bool whole;
    size_t length;
};

/* Take `length` bytes, or those that are there; they must be those of `expected`. */
static inline void take_plain(struct content *content, size_t length, const char *expected,
                              size_t expected_length)
{
    size_t there = (size_t)(content->end - content->bytes);
    size_t taken = there < length ? there : length;
    assert_true(content->length + taken <= expected_length);
    assert_memory_equal(content->bytes, expected + content->length, taken);
    content->bytes += taken;
    content->length += taken;
    content->whole = taken == length;
}

static inline const char *find(const char *bytes, const char *end, const char *text)
{
    return memmem(bytes, (size_t)(end - bytes), text, strlen(text));
}

/* The bytes end with no zero. */
static inline size_t number(const char *bytes, const char *end, int base)
{
    char digits[20] = "";
    size_t there = (size_t)(end - bytes);
    memcpy(digits, bytes, there < sizeof digits ? there : sizeof digits - 1);
    return strtoul(digits, NULL, base);
}

static inline void take_chunks(struct content *content, const char *expected,
                               size_t expected_length)
{
    for (;;) {
        const char *line = find(content->bytes, content->end, "\r\n");
        content->whole = false;
        if (line == NULL)
            return;
        size_t length = number(content->bytes, line, 16);
        if (length == 0) {
            const char *end = find(line, content->end, "\r\n\r\n"); /* with trailers or without */
            content->whole = end != NULL;
            content->bytes = end != NULL ? end + 4 : content->end;
            return;
        }
        content->bytes = line + 2;
        take_plain(content, length, expected, expected_length);
        if (!content->whole || content->end - content->bytes < 2) {
            content->whole = false;
            return;
        }
        assert_memory_equal(content->bytes, "\r\n", 2);
        content->bytes += 2;
    }
}

/* An answer of the engine's own: a status that says so, and no word of the handler's. */
static inline bool is_refusal(int status)
{
    return status == 500 || status == 503 || status == 408;
}

/* Look at one answer; false when there is no further whole one. */
static inline bool judge_one(const struct scenario *scenario, const char **bytes, const char *end,
                             struct verdict *verdict)
{
    int index = verdict->whole + verdict->refused;
    const char *head_end = find(*bytes, end, "\r\n\r\n");
    size_t there = (size_t)(end - *bytes);
    assert_memory_equal(*bytes, "HTTP/1.1 ", there < 9 ? there : 9);
    verdict->cut = true;
    if (head_end == NULL)
        return false;
    int status = (int)number(*bytes + 9, head_end, 10);
    const char *length_line = find(*bytes, head_end + 2, "\r\nContent-Length: ");
    struct content content = {.bytes = head_end + 4, .end = end};
    *bytes = content.bytes;
    verdict->cut = false;
    if (status == 100) {
        assert_non_null(strstr(scenario->says[0], "100-continue"));
        return true;
    }
    assert_true(index < ANSWERS_MAX && scenario->answers[index].status != 0);
    const char *expected = scenario->answers[index].content;
    size_t expected_length = scenario->answers[index].length;
    bool refusal = is_refusal(status) && status != scenario->answers[index].status;
    bool early = tasks.early > 0 && status == 200 && content.bytes < end && *content.bytes == 'e';
    if (early) {
        expected = "early";
        expected_length = 5;
    }
    if (!refusal && !early)
        assert_int_equal(status, scenario->answers[index].status);
    if (length_line != NULL) {
        size_t length = number(length_line + strlen("\r\nContent-Length: "), end, 10);
        if (refusal) {
            content.whole = (size_t)(end - content.bytes) >= length;
            content.bytes = content.whole ? content.bytes + length : end;
        } else {
            assert_int_equal(length, expected_length);
            take_plain(&content, length, expected, expected_length);
        }
    } else if (status == 101 && scenario->is_socket) {
        enum socket_verdict socket =
            judge_socket(content.bytes, (size_t)(end - content.bytes), expected, expected_length);
        verdict->whole += socket == SOCKET_WHOLE;
        verdict->cut = socket == SOCKET_CUT;
        return false;
    } else if (status == 101) {
        take_plain(&content, (size_t)(end - content.bytes), expected, expected_length);
        content.whole = content.length == expected_length;
    } else {
        take_chunks(&content, expected, expected_length);
        assert_true(!content.whole || content.length == expected_length);
    }
    *bytes = content.bytes;
    verdict->cut = !content.whole;
    verdict->whole += content.whole && !refusal;
    verdict->refused += content.whole && refusal;
    return content.whole;
}

static inline void check_h2(const void *data, int index, size_t at, const char *bytes,
                            size_t length)
{
    const struct scenario *scenario = data;
    if (tasks.early > 0 && at + length <= 5 && memcmp(bytes, &"early"[at], length) == 0)
        return;
    if (scenario->is_socket) {
        take_on_stream(at, bytes, length);
        return;
    }
    assert_true(at + length <= scenario->answers[index].length);
    assert_memory_equal(bytes, scenario->answers[index].content + at, length);
}

/* A stream that is reset was refused, by a word of the engine. */
static inline struct verdict judge_h2(const struct scenario *scenario, const char *bytes,
                                      size_t length)
{
    struct verdict verdict = {0};
    struct h2_answers answers;
    h2_take(&answers, bytes, length, check_h2, scenario);
    for (int i = 0; i < H2_STREAMS && scenario->answers[i].status != 0; i++) {
        int status = answers.streams[i].status;
        bool early = tasks.early > 0 && answers.streams[i].length == 5;
        bool right = status == scenario->answers[i].status &&
                     (early || answers.streams[i].length == scenario->answers[i].length);
        if (scenario->is_socket && status == 200 && !early) {
            enum socket_verdict socket =
                judge_socket(socket_stream.bytes, answers.streams[i].length,
                             scenario->answers[i].content, scenario->answers[i].length);
            verdict.whole += socket == SOCKET_WHOLE;
            verdict.refused += socket == SOCKET_CUT && answers.streams[i].reset;
            verdict.cut |= socket == SOCKET_CUT && !answers.streams[i].reset;
        } else if (answers.streams[i].ended && !answers.streams[i].reset) {
            assert_true(right || is_refusal(status));
            verdict.whole += right;
            verdict.refused += !right;
        } else if (answers.streams[i].reset) {
            verdict.refused++;
        } else {
            verdict.cut |= status != 0;
        }
    }
    return verdict;
}

static inline size_t says_length(const struct scenario *scenario, int index)
{
    return scenario->lengths[0] > 0 ? scenario->lengths[index] : strlen(scenario->says[index]);
}

static inline struct verdict judge(const struct scenario *scenario, const char *bytes,
                                   size_t length)
{
    struct verdict verdict = {0};
    if (scenario->lengths[0] > 0)
        return judge_h2(scenario, bytes, length);
    const char *end = bytes + length;
    while (bytes < end && judge_one(scenario, &bytes, end, &verdict)) {
    }
    return verdict;
}

static inline int answers_of(const struct scenario *scenario)
{
    int count = 0;
    while (count < ANSWERS_MAX && scenario->answers[count].status != 0)
        count++;
    return count;
}

#include "unit/fault/scenario_table.h"

#endif
