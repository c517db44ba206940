/* The beginning and end of a loop, on the backend that CAROM_BACKEND names: what it opens is no
 * child's, blocks nobody, and is closed; where a call fails that is told, and nothing is left. */
#include "unit/base/failing_call.h"
#include "unit/net/support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---------------------------------------------------------------- calls that fail */

enum call { CALL_EVENT, CALL_TIMER, CALL_SET, CALL_ADD, CALL_MAP, CALLS };

/* In front of those in libc. */
int eventfd(unsigned count, int flags)
{
    return fails(CALL_EVENT) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    return fails(CALL_TIMER) ? -1 : (int)syscall(SYS_timerfd_create, clock, flags);
}

int epoll_create1(int flags)
{
    return fails(CALL_SET) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fails(CALL_ADD))
        return -1;
    return (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}

/* What is mapped, and has not been given back. */
static struct {
    void *memory;
    size_t size;
} mapped[8];
static bool noting;

static void note_mapped(void *memory, size_t size)
{
    for (size_t i = 0; i < COUNT(mapped); i++)
        if (mapped[i].memory == NULL) {
            mapped[i].memory = memory;
            mapped[i].size = size;
            return;
        }
    fail_msg("no room to note a mapping");
}

static void *next_call(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    assert_non_null(found);
    return found;
}

/* A position of 64 bits is of another function, where a word has 32. */
#if defined __GLIBC__ && __SIZEOF_LONG__ == 4
#define MMAP "mmap64"
#else
#define MMAP "mmap"
#endif

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (fails(CALL_MAP))
        return MAP_FAILED;
    if (real == NULL)
        *(void **)&real = next_call(MMAP);
    void *memory = real(at, size, protection, flags, fd, offset);
    if (noting && memory != MAP_FAILED)
        note_mapped(memory, size);
    return memory;
}

int munmap(void *memory, size_t size)
{
    static int (*real)(void *, size_t);
    if (real == NULL)
        *(void **)&real = next_call("munmap");
    for (size_t i = 0; noting && i < COUNT(mapped); i++)
        if (mapped[i].memory == memory && mapped[i].size == size)
            mapped[i].memory = NULL;
    return real(memory, size);
}

/* ---------------------------------------------------------------- what is there */

#define NUMBERS 256

static bool open_before[NUMBERS];

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int first_new(int from)
{
    while (from < NUMBERS && (open_before[from] || !is_open(from)))
        from++;
    return from;
}

static size_t count_mapped(void)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT(mapped); i++)
        count += mapped[i].memory != NULL;
    return count;
}

static int begin(void **state)
{
    (void)state;
    for (int fd = 0; fd < NUMBERS; fd++)
        open_before[fd] = is_open(fd);
    carom_pages_init(&pages, CAROM_PAGE_SIZE, 4);
    carom_arena_init(&arena, &pages);
    memset(&plan, 0, sizeof plan);
    noting = true;
    return 0;
}

static int end(void **state)
{
    (void)state;
    noting = false;
    carom_arena_finish(&arena);
    carom_pages_finish(&pages);
    return first_new(0) == NUMBERS && count_mapped() == 0 && carom_memory_held() == 0 ? 0 : -1;
}

static int create(void)
{
    loop = NULL;
    return backend_is_uring() ? carom_loop_uring_create(&loop, &arena)
                              : carom_loop_epoll_create(&loop, &arena);
}

static int descriptor(void)
{
    return loop->ops->descriptor(loop);
}

static void destroy(void)
{
    loop->ops->destroy(loop);
}

/* ---------------------------------------------------------------- tests */

static void never(struct carom_descriptor *watched, unsigned events)
{
    (void)events;
    fail_msg("%d is told", watched->fd);
}

/* With all that it can have: a descriptor for another loop, and a set of those that it watches. */
static void make_whole(int fds[2])
{
    static struct carom_descriptor watched;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    open_before[fds[0]] = open_before[fds[1]] = true;
    watched = (struct carom_descriptor){.ready = never, .fd = fds[0]};
    assert_int_equal(create(), 0);
    assert_true(descriptor() >= 0);
    assert_int_equal(loop->ops->watch(loop, &watched, CAROM_WATCH_READABLE), 0);
}

static void unmake(const int fds[2])
{
    destroy();
    close(fds[0]);
    close(fds[1]);
    open_before[fds[0]] = open_before[fds[1]] = false;
}

static void what_it_opens_is_no_childs_and_blocks_nobody(void **state)
{
    (void)state;
    int fds[2], count = 0;
    make_whole(fds);
    for (int fd = first_new(0); fd < NUMBERS; fd = first_new(fd + 1)) {
        char path[40], what[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        assert_true(readlink(path, what, sizeof what - 1) > 0);
        if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            fail_msg("%s is inherited", what);
        bool is_read = strstr(what, "eventfd") != NULL || strstr(what, "timerfd") != NULL;
        if (is_read && !(fcntl(fd, F_GETFL) & O_NONBLOCK))
            fail_msg("%s blocks", what);
        count++;
    }
    assert_true(count >= 4); /* the set, one to wake, one for times, and the set of those watched */
    unmake(fds);
}

/* The memory of a ring is the kernel's, too: two that believe it theirs would each lose what the
 * other takes. */
static void a_child_that_runs_on_has_no_ring(void **state)
{
    (void)state;
    int fds[2], status = -1;
    make_whole(fds);
    assert_true(backend_is_uring() ? count_mapped() >= 2 : count_mapped() == 0);
    pid_t child = fork();
    if (child == 0) {
        int found = 0;
        for (size_t i = 0; i < COUNT(mapped); i++) {
            unsigned char there;
            if (mapped[i].memory != NULL && mincore(mapped[i].memory, 1, &there) == 0)
                found++;
        }
        _exit(found);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    unmake(fds);
}

/* Made again after it could not be, it tells of its alarm. */
static void assert_alarm_is_told(void)
{
    assert_true(descriptor() >= 0);
    loop->ops->wait(loop, 0);
    loop->ops->deliver(loop);
    loop->ops->alarm(loop, 0);
    struct pollfd told = {.fd = descriptor(), .events = POLLIN};
    assert_int_equal(poll(&told, 1, PATIENCE), 1);
}

/* The result of making all; where it fails, what was there before still is, and nothing else. */
static int make_or_leave_nothing(void)
{
    int error = create();
    if (error < 0) {
        assert_null(loop);
        return error;
    }
    bool made[NUMBERS];
    size_t maps = count_mapped();
    for (int fd = 0; fd < NUMBERS; fd++)
        made[fd] = is_open(fd);
    error = descriptor();
    if (error < 0)
        for (int fd = 0; fd < NUMBERS; fd++)
            assert_int_equal(is_open(fd), made[fd]);
    assert_int_equal(count_mapped(), maps);
    assert_alarm_is_told();
    destroy();
    return error < 0 ? error : 0;
}

static void where_a_call_fails_it_is_told_and_nothing_is_left(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int error, result;
    } cases[] = {
        {CALL_EVENT, EMFILE, -CAROM_EMFILE},     {CALL_TIMER, EMFILE, -CAROM_EMFILE},
        {CALL_SET, EMFILE, -CAROM_EMFILE},       {CALL_ADD, ENOMEM, -CAROM_ENOMEM},
        {CALL_MAP, ENOMEM, -CAROM_EUNSUPPORTED},
    };
    uint64_t held = carom_memory_held();
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int after = 0;; after++) {
            memset(&plan, 0, sizeof plan);
            plan.call = cases[i].call;
            plan.error = cases[i].error;
            plan.after = after;
            int result = make_or_leave_nothing();
            assert_int_equal(result, plan.failed ? cases[i].result : 0);
            assert_int_equal(first_new(0), NUMBERS);
            assert_int_equal(count_mapped(), 0);
            carom_arena_finish(&arena); /* the pages that it had */
            carom_pages_finish(&pages);
            assert_int_equal(carom_memory_held(), held);
            carom_pages_init(&pages, CAROM_PAGE_SIZE, 4);
            carom_arena_init(&arena, &pages);
            if (!plan.failed)
                break;
        }
    }
}

int main(void)
{
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_it_opens_is_no_childs_and_blocks_nobody),
        TEST(a_child_that_runs_on_has_no_ring),
        TEST(where_a_call_fails_it_is_told_and_nothing_is_left),
    };
    return cmocka_run_group_tests_name("net/loop_life", tests, NULL, NULL);
}
