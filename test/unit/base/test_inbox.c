/* Tests of the inbox: its states one by one, then many producers against a consumer that sleeps on
 * an eventfd. A lost wake-up shows as a sleep that nothing ends. */
#include "unit/base/support.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#include "base/inbox.h"

static struct carom_inbox inbox;
static int wake_descriptor;

static int begin(void **state)
{
    (void)state;
    carom_inbox_init(&inbox);
    wake_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return wake_descriptor < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    carom_inbox_finish(&inbox);
    close(wake_descriptor);
    return 0;
}

/* What a worker does before it blocks, and how it comes back. False: nobody woke it for 20 s. */
static bool sleep_until_woken(void)
{
    bool woken = true;
    if (carom_inbox_sleep(&inbox)) {
        struct pollfd poll_descriptor = {.fd = wake_descriptor, .events = POLLIN};
        woken = poll(&poll_descriptor, 1, 20000) == 1;
    }
    carom_inbox_awake(&inbox);
    uint64_t count;
    (void)!read(wake_descriptor, &count, sizeof count);
    return woken;
}

static void wake(void)
{
    uint64_t one = 1;
    (void)!write(wake_descriptor, &one, sizeof one);
}

/* What carom_post does. */
static void post(struct carom_inbox_entry *message)
{
    carom_inbox_enter(&inbox);
    if (carom_inbox_post(&inbox, message))
        wake();
    carom_inbox_leave(&inbox);
}

static void takes_all_oldest_first(void **state)
{
    (void)state;
    struct carom_inbox_entry messages[3];
    assert_null(carom_inbox_take(&inbox));
    for (size_t i = 0; i < COUNT(messages); i++)
        assert_false(carom_inbox_post(&inbox, &messages[i]));
    struct carom_inbox_entry *message = carom_inbox_take(&inbox);
    for (size_t i = 0; i < COUNT(messages); i++, message = message->next)
        assert_ptr_equal(message, &messages[i]);
    assert_null(message);
    assert_null(carom_inbox_take(&inbox));
}

static void only_the_first_poster_wakes(void **state)
{
    (void)state;
    struct carom_inbox_entry messages[3];
    assert_true(carom_inbox_sleep(&inbox));
    assert_true(carom_inbox_post(&inbox, &messages[0]));
    assert_false(carom_inbox_post(&inbox, &messages[1]));
    carom_inbox_awake(&inbox);
    assert_false(carom_inbox_post(&inbox, &messages[2]));
    assert_false(carom_inbox_sleep(&inbox)); /* there is something to do */
    assert_ptr_equal(carom_inbox_take(&inbox), &messages[0]);
    assert_true(carom_inbox_sleep(&inbox));
}

static void a_refused_sleep_leaves_it_awake(void **state)
{
    (void)state;
    struct carom_inbox_entry messages[2];
    assert_false(carom_inbox_post(&inbox, &messages[0]));
    assert_false(carom_inbox_sleep(&inbox));
    assert_false(carom_inbox_post(&inbox, &messages[1])); /* no system call */
    assert_non_null(carom_inbox_take(&inbox));
}

static void a_closed_inbox_takes_no_more(void **state)
{
    (void)state;
    struct carom_inbox closed;
    struct carom_inbox_entry messages[3];
    carom_inbox_init(&closed);
    assert_int_equal(carom_inbox_offer(&closed, &messages[0]), 0);
    assert_true(carom_inbox_sleep(&closed) == false);
    assert_non_null(carom_inbox_take(&closed));
    assert_true(carom_inbox_sleep(&closed));
    assert_int_equal(carom_inbox_offer(&closed, &messages[0]), 1); /* it must be woken */
    assert_int_equal(carom_inbox_offer(&closed, &messages[1]), 0);
    const struct carom_inbox_entry *message = carom_inbox_close(&closed);
    assert_ptr_equal(message, &messages[0]);
    assert_ptr_equal(message->next, &messages[1]);
    assert_null(message->next->next);
    assert_int_equal(carom_inbox_offer(&closed, &messages[2]), -1);
    carom_inbox_finish(&closed);
}

static void a_rouse_is_never_lost(void **state)
{
    (void)state;
    assert_false(carom_inbox_rouse(&inbox)); /* awake: its next sleep fails */
    assert_false(carom_inbox_rouse(&inbox));
    assert_false(carom_inbox_sleep(&inbox));
    assert_true(carom_inbox_sleep(&inbox)); /* once */
    assert_true(carom_inbox_rouse(&inbox)); /* asleep: must be woken, once */
    assert_false(carom_inbox_rouse(&inbox));
    struct carom_inbox_entry message;
    assert_false(carom_inbox_post(&inbox, &message)); /* the rouser is about to */
    carom_inbox_awake(&inbox);
    assert_non_null(carom_inbox_take(&inbox));
    assert_true(carom_inbox_sleep(&inbox));
    assert_true(carom_inbox_post(&inbox, &message)); /* whom a post has woken may be roused */
    assert_false(carom_inbox_rouse(&inbox));
    carom_inbox_awake(&inbox);
    assert_non_null(carom_inbox_take(&inbox));
}

/* ---- many producers */

#define PRODUCERS 4

struct letter {
    struct carom_inbox_entry message; /* first member */
    unsigned producer, number;
};

struct producer {
    pthread_t thread;
    struct letter *letters;
    unsigned index, count;
};

static void *produce(void *data)
{
    struct producer *producer = data;
    uint64_t random = producer->index;
    for (unsigned i = 0; i < producer->count; i++) {
        struct letter *letter = &producer->letters[i];
        letter->producer = producer->index;
        letter->number = i;
        post(&letter->message);
        if (random_below(&random, 16) == 0)
            sched_yield(); /* so that the consumer falls asleep at times */
    }
    return NULL;
}

static void every_message_arrives_once_and_in_order(void **state)
{
    (void)state;
    struct producer producers[PRODUCERS];
    unsigned next[PRODUCERS] = {0}, count = rounds(100000), arrived = 0, sleeps = 0;
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.index = i, .count = count};
        producers[i].letters = calloc(count, sizeof(struct letter));
        assert_non_null(producers[i].letters);
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    while (arrived < PRODUCERS * count) {
        struct carom_inbox_entry *message = carom_inbox_take(&inbox);
        if (message == NULL) {
            assert_true(sleep_until_woken());
            sleeps++;
        }
        while (message != NULL) {
            struct letter *letter = (struct letter *)message;
            message = message->next;
            assert_true(letter->producer < PRODUCERS);
            assert_int_equal(letter->number, next[letter->producer]);
            next[letter->producer]++;
            arrived++;
        }
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i].thread, NULL);
        assert_int_equal(next[i], count);
        free(producers[i].letters);
    }
    assert_null(carom_inbox_take(&inbox));
    print_message("%u messages, %u times without one\n", arrived, sleeps);
}

/* ---- one message at a time: each may meet the consumer just as it lies down */

static atomic_uint answered;
static unsigned exchanges;

static void *ask(void *data)
{
    struct carom_inbox_entry *message = data;
    uint64_t random = 1;
    for (unsigned i = 0; i < exchanges; i++) {
        post(message);
        while (atomic_load_explicit(&answered, memory_order_acquire) != i + 1)
            sched_yield();
        /* Meet it at another point of its way to sleep each time. */
        for (volatile uint64_t spin = random_below(&random, 400); spin > 0; spin--)
            ;
    }
    return NULL;
}

static void no_wake_up_is_lost(void **state)
{
    (void)state;
    struct carom_inbox_entry message;
    pthread_t thread;
    exchanges = rounds(100000);
    atomic_store(&answered, 0);
    assert_int_equal(pthread_create(&thread, NULL, ask, &message), 0);
    for (unsigned i = 0; i < exchanges;) {
        if (carom_inbox_take(&inbox) != NULL)
            atomic_store_explicit(&answered, ++i, memory_order_release);
        else
            assert_true(sleep_until_woken());
    }
    pthread_join(thread, NULL);
}

/* ---- a rouse carries what was stored before it */

static unsigned told; /* not atomic: ThreadSanitizer checks that the inbox orders it */
static pthread_mutex_t told_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *tell(void *data)
{
    (void)data;
    for (unsigned i = 1; i <= exchanges; i++) {
        pthread_mutex_lock(&told_mutex);
        told = i;
        pthread_mutex_unlock(&told_mutex);
        carom_inbox_enter(&inbox);
        if (carom_inbox_rouse(&inbox))
            wake();
        carom_inbox_leave(&inbox);
        while (atomic_load_explicit(&answered, memory_order_acquire) != i)
            sched_yield();
    }
    return NULL;
}

static void no_rouse_is_lost(void **state)
{
    (void)state;
    pthread_t thread;
    exchanges = rounds(50000);
    told = 0;
    atomic_store(&answered, 0);
    assert_int_equal(pthread_create(&thread, NULL, tell, NULL), 0);
    for (unsigned i = 0; i < exchanges;) {
        pthread_mutex_lock(&told_mutex);
        bool news = told > i;
        pthread_mutex_unlock(&told_mutex);
        if (news)
            atomic_store_explicit(&answered, ++i, memory_order_release);
        else
            assert_true(sleep_until_woken());
    }
    pthread_join(thread, NULL);
}

/* The flag may be plain when the consumer reads it only after it was woken. */
static void *tell_plainly(void *data)
{
    *(int *)data = 42;
    if (carom_inbox_rouse(&inbox))
        wake();
    return NULL;
}

static void a_rouse_publishes_what_came_before(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        int value = 0;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, tell_plainly, &value), 0);
        if (i % 2 == 0)
            sched_yield();
        assert_true(sleep_until_woken());
        assert_int_equal(value, 42);
        pthread_join(thread, NULL);
    }
}

/* ---- finish waits for who is inside */

static atomic_bool left;

static void *stay_inside(void *data)
{
    (void)data;
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    atomic_store(&left, true);
    carom_inbox_leave(&inbox);
    return NULL;
}

static void finish_waits_for_producers(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&left, false);
    carom_inbox_enter(&inbox);
    assert_int_equal(pthread_create(&thread, NULL, stay_inside, NULL), 0);
    carom_inbox_finish(&inbox);
    assert_true(atomic_load(&left));
    pthread_join(thread, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(takes_all_oldest_first),
        TEST(only_the_first_poster_wakes),
        TEST(a_refused_sleep_leaves_it_awake),
        TEST(a_closed_inbox_takes_no_more),
        TEST(a_rouse_is_never_lost),
        TEST(every_message_arrives_once_and_in_order),
        TEST(no_wake_up_is_lost),
        TEST(no_rouse_is_lost),
        TEST(a_rouse_publishes_what_came_before),
        TEST(finish_waits_for_producers),
    };
    return cmocka_run_group_tests_name("base/inbox", tests, NULL, NULL);
}
