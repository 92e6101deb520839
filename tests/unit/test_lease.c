/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "elector/lease.h"

#define MS 1000000ULL
#define S  1000000000ULL

__extension__ typedef unsigned __int128 wide; /* the oracle: the plain formula in twice the bits */

static uint64_t allowance_by_formula(uint64_t ttl_ns, uint32_t ppm)
{
	wide scaled = (wide)ttl_ns * (1000000u - ppm) / (1000000u + ppm), granularity = LEASE_GRANULARITY_NS;

	return scaled > granularity ? (uint64_t)(scaled - granularity) : 0;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void the_allowance_of_ten_seconds_at_one_in_a_thousand_is_the_figure_of_the_protocol(void **state)
{
	(void)state;
	assert_int_equal(lease_allowance_ns(10 * S, 1000), 9978019980ULL);
	assert_int_equal(lease_allowance_ns(200 * MS, 1000), 197600399ULL);
	assert_int_equal(lease_allowance_ns(10 * S, 0), 10 * S - 2 * MS);
	assert_int_equal(lease_allowance_ns(3 * S, 200000), 2 * S - 2 * MS); /* 0.8 / 1.2 */
}

static void the_allowance_is_the_formula_rounded_down_over_the_whole_range(void **state)
{
	uint64_t seed = 88172645463325252ULL;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint64_t ttl_ns = next_random(&seed) >> (next_random(&seed) % 64);
		uint32_t ppm = (uint32_t)(next_random(&seed) % 1000000);

		if (ttl_ns == LEASE_NS_NEVER)
			continue;
		if (lease_allowance_ns(ttl_ns, ppm) != allowance_by_formula(ttl_ns, ppm))
			fail_msg("ttl %llu ns, %u ppm", (unsigned long long)ttl_ns, ppm);
	}
	assert_int_equal(lease_allowance_ns(UINT64_MAX - 1, 0), UINT64_MAX - 1 - 2 * MS);
	assert_int_equal(lease_allowance_ns(UINT64_MAX - 1, 999999), allowance_by_formula(UINT64_MAX - 1, 999999));
}

static void nothing_is_allowed_where_drift_and_granularity_eat_the_lease(void **state)
{
	(void)state;
	assert_int_equal(lease_allowance_ns(0, 1000), 0);
	assert_int_equal(lease_allowance_ns(2 * MS, 0), 0);
	assert_int_equal(lease_allowance_ns(2 * MS + 1, 0), 1);
	assert_int_equal(lease_allowance_ns(10 * S, 1000000), 0);
	assert_int_equal(lease_allowance_ns(10 * S, UINT32_MAX), 0);
}

static void an_endless_lease_stays_endless(void **state)
{
	(void)state;
	assert_int_equal(lease_allowance_ns(LEASE_NS_NEVER, 200000), LEASE_NS_NEVER);
	assert_int_equal(lease_provable_end_ns(123, LEASE_NS_NEVER, 1000), LEASE_NS_NEVER);
	assert_int_equal(lease_deadline_ns(LEASE_NS_NEVER, 100 * MS), LEASE_NS_NEVER);
	assert_int_equal(lease_soft_stop_ns(LEASE_NS_NEVER, 2 * S), LEASE_NS_NEVER);
	assert_int_equal(lease_left_ns(LEASE_NS_NEVER, UINT64_MAX - 1), LEASE_NS_NEVER);
	assert_true(lease_holds(LEASE_NS_NEVER, UINT64_MAX - 1));
}

static void a_lease_that_ends_never_becomes_endless_by_overflow(void **state)
{
	(void)state;
	assert_int_equal(lease_provable_end_ns(UINT64_MAX - 5, 10 * S, 1000), LEASE_NS_NEVER - 1);
	assert_int_equal(lease_provable_end_ns(UINT64_MAX, 10 * S, 1000), LEASE_NS_NEVER - 1);
	assert_int_equal(lease_provable_end_ns(UINT64_MAX, UINT64_MAX - 1, 0), LEASE_NS_NEVER - 1);
	assert_false(lease_holds(lease_provable_end_ns(UINT64_MAX, 10 * S, 1000), UINT64_MAX));
}

static void the_chain_from_send_time_to_soft_stop_is_counted_back_from_the_provable_end(void **state)
{
	uint64_t end_ns = lease_provable_end_ns(5 * S, 10 * S, 1000), deadline_ns = lease_deadline_ns(end_ns, 100 * MS);

	(void)state;
	assert_int_equal(end_ns, 5 * S + 9978019980ULL);
	assert_int_equal(deadline_ns, end_ns - 100 * MS);
	assert_int_equal(lease_soft_stop_ns(deadline_ns, 2 * S), end_ns - 100 * MS - 2 * S);
	assert_int_equal(lease_left_ns(deadline_ns, deadline_ns - 7), 7);
	assert_int_equal(lease_left_ns(deadline_ns, deadline_ns), 0);
	assert_int_equal(lease_left_ns(deadline_ns, deadline_ns + 1), 0);
	assert_int_equal(lease_deadline_ns(50 * MS, 100 * MS), 0);
	assert_int_equal(lease_soft_stop_ns(S, 2 * S), 0);
}

static void belief_ends_at_the_deadline_and_not_after_it(void **state)
{
	(void)state;
	assert_true(lease_holds(100, 99));
	assert_false(lease_holds(100, 100));
	assert_false(lease_holds(100, 101));
	assert_false(lease_holds(0, 0));
}

static void grace_is_a_fifth_of_the_lease_and_at_most_two_seconds(void **state)
{
	(void)state;
	assert_int_equal(lease_default_grace_ns(200 * MS), 40 * MS);
	assert_int_equal(lease_default_grace_ns(10 * S), 2 * S);
	assert_int_equal(lease_default_grace_ns(60 * S), 2 * S);
	assert_int_equal(lease_default_grace_ns(LEASE_NS_NEVER), 2 * S);
	assert_int_equal(lease_default_grace_ns(0), 0);
}

static struct lease_timing timing_of_run(uint64_t ttl_ns, uint64_t kill_margin_ns)
{
	return (struct lease_timing) { .ttl_ns = ttl_ns,
		                       .rate_error_ppm = LEASE_RATE_ERROR_PPM,
		                       .heartbeat_ns = ttl_ns / 4,
		                       .retry_ns = ttl_ns / 20,
		                       .grace_ns = lease_default_grace_ns(ttl_ns),
		                       .kill_margin_ns = kill_margin_ns };
}

static void two_hundred_milliseconds_need_the_fifo_margin_or_a_shorter_grace(void **state)
{
	struct lease_timing fifo = timing_of_run(200 * MS, LEASE_KILL_MARGIN_FIFO_NS),
	                    other = timing_of_run(200 * MS, LEASE_KILL_MARGIN_OTHER_NS), shorter = other;
	char message[256];

	(void)state;
	shorter.grace_ns = 20 * MS;
	assert_true(lease_is_safe(&fifo, message, sizeof message));
	assert_string_equal(message, "");
	assert_false(lease_is_safe(&other, message, sizeof message));
	assert_string_equal(message,
	                    "unsafe timings: D(ttl) >= h + 2 r + grace + kill_margin is broken: 197.600399ms < "
	                    "50ms + 2 x 10ms + 40ms + 100ms = 210ms (ttl 200ms); raise the ttl or lower the grace");
	assert_true(lease_is_safe(&shorter, message, sizeof message));
}

static void timings_are_safe_up_to_equality_and_not_a_nanosecond_further(void **state)
{
	struct lease_timing t = timing_of_run(10 * S, 0);

	(void)state;
	t.grace_ns = 0;
	t.heartbeat_ns = lease_allowance_ns(t.ttl_ns, t.rate_error_ppm) - 2 * t.retry_ns;
	assert_true(lease_is_safe(&t, NULL, 0));
	t.heartbeat_ns++;
	assert_false(lease_is_safe(&t, NULL, 0));
}

static void sums_that_overflow_are_unsafe(void **state)
{
	struct lease_timing t = timing_of_run(10 * S, 0);
	char message[256];

	(void)state;
	t.retry_ns = UINT64_MAX / 2 + 1; /* twice that is 0 in 64 bits */
	assert_false(lease_is_safe(&t, message, sizeof message));
	t.retry_ns = 0;
	t.grace_ns = UINT64_MAX;
	assert_false(lease_is_safe(&t, message, sizeof message));
	t.grace_ns = 0;
	t.kill_margin_ns = UINT64_MAX - t.heartbeat_ns + 1;
	assert_false(lease_is_safe(&t, message, sizeof message));
}

static void a_lease_without_allowance_and_a_clock_rate_beyond_the_bound_are_unsafe(void **state)
{
	struct lease_timing t = { .ttl_ns = MS, .rate_error_ppm = 1000 };
	char message[256];

	(void)state;
	assert_false(lease_is_safe(&t, message, sizeof message));
	t = timing_of_run(10 * S, 0);
	t.rate_error_ppm = LEASE_RATE_ERROR_MAX_PPM;
	assert_true(lease_is_safe(&t, message, sizeof message));
	t.rate_error_ppm++;
	assert_false(lease_is_safe(&t, message, sizeof message));
	assert_non_null(strstr(message, "200001 ppm is more than 200000 ppm"));
}

static void endless_leases_are_safe_whatever_the_rest_says(void **state)
{
	struct lease_timing t = { .ttl_ns = LEASE_NS_NEVER, .grace_ns = UINT64_MAX, .rate_error_ppm = UINT32_MAX };
	char message[256] = "old";

	(void)state;
	assert_true(lease_is_safe(&t, message, sizeof message));
	assert_string_equal(message, "");
}

static void a_message_without_enough_room_is_a_terminated_prefix(void **state)
{
	struct lease_timing t = timing_of_run(200 * MS, LEASE_KILL_MARGIN_OTHER_NS);
	char whole[256], cut[256];

	(void)state;
	assert_false(lease_is_safe(&t, whole, sizeof whole));
	for (size_t room = 0; room < sizeof cut; room++) {
		memset(cut, '!', sizeof cut);
		assert_false(lease_is_safe(&t, cut, room));
		if (room > 0)
			assert_memory_equal(cut, whole, strnlen(cut, room));
		if (room < sizeof cut)
			assert_int_equal(cut[room], '!');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_allowance_of_ten_seconds_at_one_in_a_thousand_is_the_figure_of_the_protocol),
		cmocka_unit_test(the_allowance_is_the_formula_rounded_down_over_the_whole_range),
		cmocka_unit_test(nothing_is_allowed_where_drift_and_granularity_eat_the_lease),
		cmocka_unit_test(an_endless_lease_stays_endless),
		cmocka_unit_test(a_lease_that_ends_never_becomes_endless_by_overflow),
		cmocka_unit_test(the_chain_from_send_time_to_soft_stop_is_counted_back_from_the_provable_end),
		cmocka_unit_test(belief_ends_at_the_deadline_and_not_after_it),
		cmocka_unit_test(grace_is_a_fifth_of_the_lease_and_at_most_two_seconds),
		cmocka_unit_test(two_hundred_milliseconds_need_the_fifo_margin_or_a_shorter_grace),
		cmocka_unit_test(timings_are_safe_up_to_equality_and_not_a_nanosecond_further),
		cmocka_unit_test(sums_that_overflow_are_unsafe),
		cmocka_unit_test(a_lease_without_allowance_and_a_clock_rate_beyond_the_bound_are_unsafe),
		cmocka_unit_test(endless_leases_are_safe_whatever_the_rest_says),
		cmocka_unit_test(a_message_without_enough_room_is_a_terminated_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
