/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "elector/rate_watch.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

struct host { /* clocks that a test moves */
	struct rate_watch watch;
	struct rate_watch_reading now;
};

static void host_init(struct host *h, uint32_t bound_ppm)
{
	rate_watch_init(&h->watch, bound_ppm);
	h->now = (struct rate_watch_reading) {
		.boot_ns = 900 * S, .mono_ns = 700 * S, .raw_ns = 690 * S, .spread_ns = 500
	};
	assert_int_equal(rate_watch_step(&h->watch, &h->now), RATE_WATCH_OK);
}

/* `raw_ns` pass on RAW, and as much on the others but for their error in rate. */
static void pass(struct host *h, uint64_t raw_ns, int64_t ppm)
{
	uint64_t steered_ns = (uint64_t)((int64_t)raw_ns + (int64_t)raw_ns * ppm / 1000000);

	h->now.raw_ns += raw_ns;
	h->now.mono_ns += steered_ns;
	h->now.boot_ns += steered_ns;
}

static enum rate_watch_fault look(struct host *h)
{
	return rate_watch_step(&h->watch, &h->now);
}

static void clocks_within_the_bound_are_trusted_for_days(void **state)
{
	static const int64_t errors[] = { 0, 500, -500, 990, -990 };
	struct host h;

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		host_init(&h, 1000);
		for (int n = 0; n < 100000; n++) {
			pass(&h, 2500 * MS, errors[i]);
			assert_int_equal(look(&h), RATE_WATCH_OK);
		}
	}
}

static void a_clock_beyond_the_bound_is_seen_within_a_heartbeat(void **state)
{
	static const int64_t errors[] = { 1100, -1100, 80000, -80000 };
	struct host h;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		host_init(&h, 1000);
		pass(&h, 2500 * MS, 0);
		assert_int_equal(look(&h), RATE_WATCH_OK);
		pass(&h, 2500 * MS, errors[i]);
		assert_int_equal(look(&h), RATE_WATCH_DRIFTS);
		assert_int_equal(h.watch.seen_ppm, errors[i]);
		assert_non_null(strstr(rate_watch_explain(&h.watch, text, sizeof text), "1000 ppm"));
	}
}

/* A short ttl has short heartbeats: a slew of 8 % must not hide in each of them. */
static void short_looks_do_not_hide_what_a_window_shows(void **state)
{
	struct host h;
	unsigned n = 0;

	(void)state;
	host_init(&h, 1000);
	do {
		pass(&h, 10 * MS, 2500);
		n++;
	} while (look(&h) == RATE_WATCH_OK && n < 1000);
	assert_true(n < 10);
}

static void a_fault_is_over_only_after_a_whole_good_window(void **state)
{
	struct host h;

	(void)state;
	host_init(&h, 1000);
	pass(&h, S, 80000);
	assert_int_equal(look(&h), RATE_WATCH_DRIFTS);
	pass(&h, 400 * MS, 0);
	assert_int_equal(look(&h), RATE_WATCH_DRIFTS);
	pass(&h, 400 * MS, 0);
	assert_int_equal(look(&h), RATE_WATCH_DRIFTS);
	pass(&h, 400 * MS, 0);
	assert_int_equal(look(&h), RATE_WATCH_OK);
	assert_string_equal(rate_watch_explain(&h.watch, (char[8]) { "x" }, 8), "");
}

static void suspend_is_no_fault_and_is_counted(void **state)
{
	struct host h;

	(void)state;
	host_init(&h, 1000);
	pass(&h, S, 10);
	assert_int_equal(look(&h), RATE_WATCH_OK);
	h.now.boot_ns += 3600 * S;
	pass(&h, S, 10);
	assert_int_equal(look(&h), RATE_WATCH_OK);
	assert_true(h.watch.suspended_ns > 3599 * S && h.watch.suspended_ns < 3601 * S);
	pass(&h, S, 80000);
	assert_int_equal(look(&h), RATE_WATCH_DRIFTS);
}

static void an_order_to_slew_counts_before_it_shows(void **state)
{
	struct host h;
	char text[256];

	(void)state;
	host_init(&h, 1000);
	h.now.has_slew = true;
	h.now.slew_ppb = 500000;
	pass(&h, MS, 0);
	assert_int_equal(look(&h), RATE_WATCH_OK);
	h.now.slew_ppb = -83333000;
	pass(&h, MS, 0);
	assert_int_equal(look(&h), RATE_WATCH_SLEWED);
	assert_non_null(strstr(rate_watch_explain(&h.watch, text, sizeof text), "-83333 ppm"));
	h.now.slew_ppb = 0;
	pass(&h, S, 0);
	assert_int_equal(look(&h), RATE_WATCH_OK);
}

static void a_clock_that_goes_back_is_unusable(void **state)
{
	struct host h;

	(void)state;
	for (int which = 0; which < 3; which++) {
		host_init(&h, 1000);
		pass(&h, S, 0);
		assert_int_equal(look(&h), RATE_WATCH_OK);
		pass(&h, 100 * MS, 0);
		if (which == 0)
			h.now.boot_ns -= 200 * MS;
		else if (which == 1)
			h.now.mono_ns -= 200 * MS;
		else
			h.now.raw_ns -= 200 * MS;
		assert_int_equal(look(&h), RATE_WATCH_STEPPED);
	}
}

/* A reading in whose middle the process was put aside says nothing about the clocks. */
static void a_reading_that_took_long_is_given_that_much(void **state)
{
	struct host h;

	(void)state;
	host_init(&h, 1000);
	pass(&h, 10 * MS, 0);
	h.now.mono_ns += 20 * MS;
	h.now.boot_ns += 20 * MS;
	h.now.spread_ns = 21 * MS;
	assert_int_equal(look(&h), RATE_WATCH_OK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_within_the_bound_are_trusted_for_days),
		cmocka_unit_test(a_clock_beyond_the_bound_is_seen_within_a_heartbeat),
		cmocka_unit_test(short_looks_do_not_hide_what_a_window_shows),
		cmocka_unit_test(a_fault_is_over_only_after_a_whole_good_window),
		cmocka_unit_test(suspend_is_no_fault_and_is_counted),
		cmocka_unit_test(an_order_to_slew_counts_before_it_shows),
		cmocka_unit_test(a_clock_that_goes_back_is_unusable),
		cmocka_unit_test(a_reading_that_took_long_is_given_that_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
