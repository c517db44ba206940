/* Tests of the timing wheel: the edges of its levels, long gaps, re-arming while it fires, and
 * random operations against a plain list of deadlines. */
#include "unit/base/support.h"

#include "base/wheel.h"

#define TIMERS 200

static struct carom_wheel wheel;

/* A timer, and what the model knows of it. */
struct subject {
    struct carom_timer timer;
    uint64_t deadline; /* 0: must not fire */
    uint64_t fired_at;
    int fired;
};

static struct subject subjects[TIMERS];
static uint64_t clock_now; /* the time that advance was called with */

static void note(struct carom_timer *timer)
{
    struct subject *subject = (struct subject *)timer;
    assert_false(carom_timer_armed(timer));
    subject->fired++;
    subject->fired_at = clock_now;
}

static void advance(uint64_t now)
{
    clock_now = now;
    carom_wheel_advance(&wheel, now);
}

static void start(uint64_t now)
{
    carom_wheel_init(&wheel, now);
    clock_now = now;
    for (size_t i = 0; i < TIMERS; i++) {
        subjects[i] = (struct subject){0};
        carom_timer_init(&subjects[i].timer, note);
    }
}

/* Bits of `occupied` tell the truth, and `armed` is the number of timers in the buckets. */
static void assert_consistent(void)
{
    uint32_t count = 0;
    for (unsigned level = 0; level < CAROM_WHEEL_LEVELS; level++) {
        for (unsigned bucket = 0; bucket < CAROM_WHEEL_BUCKETS; bucket++) {
            const struct carom_node *head = &wheel.buckets[level][bucket];
            assert_int_equal(wheel.occupied[level] >> bucket & 1, !carom_node_alone(head));
            for (const struct carom_node *n = head->next; n != head; n = n->next)
                count++;
        }
    }
    assert_int_equal(wheel.armed, count);
}

/* Distances around the borders of levels, from clocks around them: fires at its time, not before.
 */
static void fires_at_its_time_at_every_border(void **state)
{
    (void)state;
    uint64_t borders[3 * CAROM_WHEEL_LEVELS + 2];
    size_t count = 0;
    borders[count++] = 0;
    borders[count++] = 1;
    for (unsigned level = 1; level <= CAROM_WHEEL_LEVELS; level++) {
        borders[count++] = ((uint64_t)1 << 6 * level) - 1;
        borders[count++] = (uint64_t)1 << 6 * level;
        borders[count++] = ((uint64_t)1 << 6 * level) + 1;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            uint64_t now = 1 + borders[i], deadline = now + borders[k];
            struct subject *subject = &subjects[0];
            start(now);
            carom_timer_arm(&wheel, &subject->timer, deadline);
            assert_consistent();
            assert_true(carom_wheel_next(&wheel) <= deadline);
            if (deadline > now) {
                advance(deadline - 1);
                assert_int_equal(subject->fired, 0);
                assert_consistent();
            }
            assert_true(carom_wheel_next(&wheel) <= deadline);
            advance(deadline);
            assert_int_equal(subject->fired, 1);
            assert_int_equal(carom_wheel_next(&wheel), UINT64_MAX);
            advance(deadline + 100);
            assert_int_equal(subject->fired, 1);
            assert_consistent();
        }
    }
}

/* A loop that sleeps until carom_wheel_next is on time to the millisecond, and woken few times. */
static void sleeping_until_next_is_on_time(void **state)
{
    (void)state;
    start(12345678901);
    const uint64_t distances[] = {5, 64, 100, 4095, 10000, 75000, 30000000, 5000000000};
    for (size_t i = 0; i < COUNT(distances); i++)
        carom_timer_arm(&wheel, &subjects[i].timer, clock_now + distances[i]);
    unsigned turns = 0;
    for (uint64_t next; (next = carom_wheel_next(&wheel)) != UINT64_MAX; turns++) {
        assert_true(next > clock_now);
        advance(next);
        assert_consistent();
    }
    for (size_t i = 0; i < COUNT(distances); i++)
        assert_int_equal(subjects[i].fired_at, 12345678901 + distances[i]);
    /* One cascade for each level, and one for each span of 2^30 ms of the last one. */
    assert_true(turns <= CAROM_WHEEL_LEVELS * (COUNT(distances) + 5));
}

/* Per millisecond, this would take hours. */
static void a_long_gap_takes_no_time(void **state)
{
    (void)state;
    start(1000);
    carom_timer_arm(&wheel, &subjects[0].timer, 2000);
    carom_timer_arm(&wheel, &subjects[1].timer, (uint64_t)1 << 41);
    carom_timer_arm(&wheel, &subjects[2].timer, ((uint64_t)1 << 42) + 1);
    carom_timer_arm(&wheel, &subjects[3].timer, UINT64_MAX);
    advance((uint64_t)1 << 42);
    assert_int_equal(subjects[0].fired, 1);
    assert_int_equal(subjects[1].fired, 1);
    assert_int_equal(subjects[2].fired, 0);
    assert_int_equal(subjects[3].fired, 0);
    advance(((uint64_t)1 << 42) + 1);
    assert_int_equal(subjects[2].fired, 1);
    assert_int_equal(wheel.armed, 1);
    assert_consistent();
}

static void a_passed_deadline_fires_at_the_next_advance(void **state)
{
    (void)state;
    start(1000);
    carom_timer_arm(&wheel, &subjects[0].timer, 1000);
    carom_timer_arm(&wheel, &subjects[1].timer, 3);
    carom_timer_arm(&wheel, &subjects[2].timer, 1001);
    assert_int_equal(carom_wheel_next(&wheel), 1000);
    advance(1000); /* the clock has not moved */
    assert_int_equal(subjects[0].fired, 1);
    assert_int_equal(subjects[1].fired, 1);
    assert_int_equal(subjects[2].fired, 0);
    advance(900); /* nor does it go back */
    assert_int_equal(wheel.now, 1000);
    assert_int_equal(carom_wheel_next(&wheel), 1001);
    carom_timer_arm(&wheel, &subjects[0].timer, 0); /* 0 arms too: long ago */
    assert_true(carom_timer_armed(&subjects[0].timer));
    advance(1000);
    assert_int_equal(subjects[0].fired, 2);
}

static void moves_and_disarms(void **state)
{
    (void)state;
    start(1);
    struct carom_timer *timer = &subjects[0].timer;
    assert_false(carom_timer_armed(timer));
    carom_timer_disarm(&wheel, timer);
    const uint64_t deadlines[] = {50, 50, 5000, 20, 2, 400000, 60};
    for (size_t i = 0; i < COUNT(deadlines); i++) {
        carom_timer_arm(&wheel, timer, deadlines[i]);
        assert_int_equal(wheel.armed, 1);
        assert_consistent();
    }
    advance(59);
    assert_int_equal(subjects[0].fired, 0);
    carom_timer_disarm(&wheel, timer);
    carom_timer_disarm(&wheel, timer);
    assert_false(carom_timer_armed(timer));
    assert_consistent();
    assert_int_equal(carom_wheel_next(&wheel), UINT64_MAX);
    advance(1000000);
    assert_int_equal(subjects[0].fired, 0);
    /* One of two in a bucket: the bucket stays occupied. */
    carom_timer_arm(&wheel, &subjects[0].timer, 1000010);
    carom_timer_arm(&wheel, &subjects[1].timer, 1000010);
    carom_timer_disarm(&wheel, &subjects[0].timer);
    assert_consistent();
    advance(1000010);
    assert_int_equal(subjects[1].fired, 1);
}

static void fires_otherwise(struct carom_timer *timer)
{
    note(timer);
}

static void those_of_one_kind_are_taken(void **state)
{
    (void)state;
    struct carom_node taken;
    start(1);
    carom_node_init(&taken);
    for (unsigned i = 0; i < 40; i++) {
        if (i % 2 == 1)
            carom_timer_init(&subjects[i].timer, fires_otherwise);
        carom_timer_arm(&wheel, &subjects[i].timer, 2 + i * i * i * i);
    }
    carom_wheel_take_all(&wheel, fires_otherwise, &taken);
    assert_int_equal(wheel.armed, 20);
    assert_consistent();
    for (unsigned count = 0; count < 20; count++) {
        const struct carom_node *node = carom_list_take(&taken);
        assert_non_null(node);
        const struct carom_timer *timer = (const struct carom_timer *)node;
        assert_ptr_equal(timer->fire, fires_otherwise);
        assert_false(carom_timer_armed(timer));
    }
    assert_true(carom_node_alone(&taken));
    advance(100000000);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(subjects[i].fired, i % 2 == 0);
}

/* ---- fire functions that arm and disarm */

static void again_for_the_past(struct carom_timer *timer)
{
    note(timer);
    carom_timer_arm(&wheel, timer, clock_now - 5);
}

static void again_in_a_moment(struct carom_timer *timer)
{
    note(timer);
    carom_timer_arm(&wheel, timer, clock_now + 1);
}

static void disarm_the_next(struct carom_timer *timer)
{
    note(timer);
    carom_timer_disarm(&wheel, &subjects[1].timer);
    carom_timer_disarm(&wheel, &subjects[1].timer);
    carom_timer_arm(&wheel, &subjects[2].timer, /* was due in this advance, for the same time */
                    subjects[2].timer.deadline);
    carom_timer_arm(&wheel, &subjects[3].timer, clock_now + 100); /* the same */
}

static void arming_for_the_past_waits_for_the_next_advance(void **state)
{
    (void)state;
    start(100);
    carom_timer_init(&subjects[0].timer, again_for_the_past);
    carom_timer_arm(&wheel, &subjects[0].timer, 150);
    for (int i = 1; i <= 5; i++) {
        advance(i < 3 ? 200 : 1000);
        assert_int_equal(subjects[0].fired, i);
        assert_int_equal(carom_wheel_next(&wheel), wheel.now);
        assert_consistent();
    }
}

/* Not once for each millisecond of a gap. */
static void a_periodic_timer_fires_once_in_an_advance(void **state)
{
    (void)state;
    start(100);
    carom_timer_init(&subjects[0].timer, again_in_a_moment);
    carom_timer_arm(&wheel, &subjects[0].timer, 101);
    advance(5000);
    assert_int_equal(subjects[0].fired, 1);
    assert_int_equal(carom_wheel_next(&wheel), 5001);
    advance(5001);
    assert_int_equal(subjects[0].fired, 2);
}

static void firing_may_disarm_and_move_what_is_due(void **state)
{
    (void)state;
    for (uint64_t spread = 0; spread <= 100; spread += 100) {
        start(100);
        carom_timer_init(&subjects[0].timer, disarm_the_next);
        for (uint64_t i = 0; i < 5; i++)
            carom_timer_arm(&wheel, &subjects[i].timer, 150 + i * spread);
        advance(1000);
        const int fired[] = {1, 0, 0, 0, 1};
        for (size_t i = 0; i < COUNT(fired); i++)
            assert_int_equal(subjects[i].fired, fired[i]);
        assert_int_equal(wheel.armed, 2);
        assert_consistent();
        advance(1000);
        assert_int_equal(subjects[2].fired, 1);
        advance(1100);
        assert_int_equal(subjects[3].fired, 1);
        assert_int_equal(wheel.armed, 0);
    }
}

/* ---- random operations against a model */

static uint64_t seed;
static uint64_t before;  /* the clock before this advance */
static uint64_t latest;  /* the latest time that fired in it, for the order */
static bool arms_others; /* fire functions arm timers */

/* Distances of all magnitudes, now and then one into the past. */
static uint64_t random_distance(void)
{
    return random_next(&seed) % ((uint64_t)1 << random_below(&seed, 36));
}

static void arm_random(struct subject *subject)
{
    uint64_t back = random_below(&seed, 4) == 0 ? random_below(&seed, 100) : 0;
    subject->deadline = clock_now + random_distance() - back;
    carom_timer_arm(&wheel, &subject->timer, subject->deadline);
}

static void compare_and_rearm(struct carom_timer *timer)
{
    struct subject *subject = (struct subject *)timer;
    assert_false(carom_timer_armed(timer));
    assert_int_not_equal(subject->deadline, 0);
    assert_true(subject->deadline <= clock_now); /* never early */
    uint64_t time = subject->deadline > before ? subject->deadline : before;
    assert_true(time >= latest); /* in order */
    latest = time;
    subject->deadline = 0;
    subject->fired_at = clock_now;
    if (!arms_others)
        return;
    struct subject *other = &subjects[random_below(&seed, TIMERS)];
    switch (random_below(&seed, 4)) {
    case 0:
        arm_random(subject);
        subject->fired_at = clock_now;
        break;
    case 1:
        arm_random(other);
        other->fired_at = clock_now; /* what is past may wait until the next advance */
        break;
    case 2:
        carom_timer_disarm(&wheel, &other->timer);
        other->deadline = 0;
        break;
    default:
        break;
    }
}

/* Whom the model expects to have fired by now; and what next must not be later than. */
static void assert_like_the_model(void)
{
    uint64_t earliest = UINT64_MAX;
    uint32_t armed = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        struct subject *subject = &subjects[i];
        assert_int_equal(carom_timer_armed(&subject->timer), subject->deadline != 0);
        if (subject->deadline == 0)
            continue;
        armed++;
        assert_int_equal(subject->timer.deadline, subject->deadline);
        uint64_t time = subject->deadline > wheel.now ? subject->deadline : wheel.now;
        if (time < earliest)
            earliest = time;
    }
    assert_int_equal(wheel.armed, armed);
    uint64_t next = carom_wheel_next(&wheel);
    assert_int_equal(next == UINT64_MAX, earliest == UINT64_MAX);
    assert_true(next <= earliest && next >= wheel.now);
}

static void random_operations_fire_like_the_model(void **state)
{
    (void)state;
    seed = random_seed("base/wheel");
    for (unsigned round = rounds(100); round-- > 0;) {
        start(1000 + random_distance());
        arms_others = round % 2 == 0;
        for (size_t i = 0; i < TIMERS; i++)
            carom_timer_init(&subjects[i].timer, compare_and_rearm);
        for (int step = 0; step < 2000; step++) {
            struct subject *subject = &subjects[random_below(&seed, TIMERS)];
            uint64_t what = random_below(&seed, 10);
            if (what < 6) {
                arm_random(subject);
            } else if (what < 7) {
                carom_timer_disarm(&wheel, &subject->timer);
                subject->deadline = 0;
            } else {
                before = latest = clock_now;
                /* Half of the time no further than to next, as a loop that slept would. */
                uint64_t next = carom_wheel_next(&wheel), gap = random_distance();
                advance(what == 7 && next != UINT64_MAX ? next : clock_now + gap);
                for (size_t i = 0; i < TIMERS; i++) /* not a tick late */
                    assert_true(subjects[i].deadline == 0 || subjects[i].deadline > clock_now ||
                                subjects[i].fired_at == clock_now);
            }
            assert_like_the_model();
        }
        assert_consistent();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_at_its_time_at_every_border),
        cmocka_unit_test(sleeping_until_next_is_on_time),
        cmocka_unit_test(a_long_gap_takes_no_time),
        cmocka_unit_test(a_passed_deadline_fires_at_the_next_advance),
        cmocka_unit_test(moves_and_disarms),
        cmocka_unit_test(those_of_one_kind_are_taken),
        cmocka_unit_test(arming_for_the_past_waits_for_the_next_advance),
        cmocka_unit_test(a_periodic_timer_fires_once_in_an_advance),
        cmocka_unit_test(firing_may_disarm_and_move_what_is_due),
        cmocka_unit_test(random_operations_fire_like_the_model),
    };
    return cmocka_run_group_tests_name("base/wheel", tests, NULL, NULL);
}
