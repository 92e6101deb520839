/* SPDX-License-Identifier: Apache-2.0 */
/* What quorum:// URLs and settings may say, and what is answered where nobody is. */
#include "quorum_kit.h"

#include <string.h>

struct refusal {
	const char *url;
	int code;
	const char *says;
};

static void malformed_urls_are_refused_with_the_place(void **state)
{
	static const struct refusal refusals[] = {
		{ "quorum:", TENURE_EURL, "missing" },
		{ "quorum://", TENURE_EURL, "missing" },
		{ "quorum://a,,b", TENURE_EURL, "voter 2" },
		{ "quorum://a,b,", TENURE_EURL, "voter 3" },
		{ "quorum://a:0,b", TENURE_EURL, "voter 1 ('a:0')" },
		{ "quorum://a,b:99999", TENURE_EURL, "voter 2 ('b:99999')" },
		{ "quorum://a,b:x", TENURE_EURL, "voter 2" },
		{ "quorum://a,b/", TENURE_EURL, "voter 2" },
		{ "quorum://a,[::1", TENURE_EURL, "voter 2" },
		{ "quorum://a,::1:7420", TENURE_EURL, "voter 2" },
		{ "quorum://a,b,a", TENURE_EURL, "voter 3 ('a') is there twice" },
		{ "quorum://a:7420,A", TENURE_EURL, "voter 2 ('A') is there twice" },
		{ "quorum://[::1]:7420,[::1]", TENURE_EURL, "twice" },
		{ "quorum://a,b,c,d,e,f,g,h,i,j", TENURE_EURL, "more than 9" },
		{ "quorum://a,b,c?colour=red", TENURE_EURL, "'colour'" },
		{ "quorum://a,b,c?ca=/x", TENURE_EUNSUPPORTED, "ca" },
		{ "quorum://a,b,c?password-file=/x", TENURE_EUNSUPPORTED, "password-file" },
	};
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure *t;

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		int code = tenure_open(&t, refusals[i].url, NULL, &error);

		if (code != refusals[i].code || !strstr(error.message, refusals[i].says))
			fail_msg("%s: %d, %s", refusals[i].url, code, error.message);
		assert_null(t);
	}
}

static void good_urls_are_taken_without_connecting(void **state)
{
	static const char *const urls[] = {
		"quorum://127.0.0.1:1",
		"quorum:127.0.0.1:1,127.0.0.1:2,127.0.0.1:3",
		"quorum://[::1]:7420,[::1]:7421,localhost",
		"quorum://voter-1.example.com,voter-2.example.com:7,voter-3.example.com",
		"quorum://a,b,c,d,e,f,g,h,i",
	};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
		close_session(open_embedded(urls[i], "x"));
}

static void unsafe_timings_are_refused_with_the_numbers(void **state)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure *t;

	(void)state;
	options.embedded = true;
	options.ttl_ns = MILLISECONDS(199);
	assert_int_equal(tenure_open(&t, "quorum://a,b,c", &options, &error), TENURE_EUNSAFE);
	assert_non_null(strstr(error.message, "199ms"));
	assert_non_null(strstr(error.message, "200 ms"));
	options.ttl_ns = MILLISECONDS(200);
	assert_int_equal(tenure_open(&t, "quorum://a,b,c", &options, &error), 0);
	close_session(t);
	options.rate_error_ppm = 200000;
	assert_int_equal(tenure_open(&t, "quorum://a,b,c", &options, &error), 0);
	close_session(t);
	options.ttl_ns = UINT64_MAX;
	assert_int_equal(tenure_open(&t, "quorum://a,b,c", &options, &error), TENURE_EUNSAFE);
	options.ttl_ns = 0;
	options.ca_file = "/etc/ssl/ca.pem";
	assert_int_equal(tenure_open(&t, "quorum://a,b,c", &options, &error), TENURE_EUNSUPPORTED);
	assert_non_null(strstr(error.message, "TLS"));
}

/* Ports on which nobody listens: the kernel gave them away and took them back. */
static void voters_that_nobody_runs_are_named(void **state)
{
	struct tenure *t = open_session("quorum://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3", "x");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_status *status;
	struct recorder r;
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct recorded e;
	uint64_t begin = now_ns();

	(void)state;
	assert_int_equal(tenure_read(t, "job", GENEROUS, &status, &error), TENURE_EUNREACHABLE);
	assert_true(now_ns() - begin < SECONDS(10));
	assert_non_null(strstr(error.message, "127.0.0.1:1"));
	assert_non_null(strstr(error.message, "127.0.0.1:3"));
	assert_non_null(strstr(error.message, "refused"));
	assert_true(error.retryable);
	recorder_init(&r);
	options.on_event = recorder_event;
	options.arg = &r;
	(void)campaign_with(t, "job", &options);
	e = recorder_at(&r, recorder_await_type(&r, 0, TENURE_EV_HEALTH));
	assert_int_equal(e.health, TENURE_DEGRADED);
	assert_non_null(strstr(e.message, "127.0.0.1:2"));
	assert_int_equal(tenure_health_of(t), TENURE_DEGRADED);
	assert_int_equal(tenure_ttl_ns(t), 0);
	close_session(t); /* nothing is held: it does not wait */
	assert_true(now_ns() - begin < SECONDS(20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_urls_are_refused_with_the_place),
		cmocka_unit_test(good_urls_are_taken_without_connecting),
		cmocka_unit_test(unsafe_timings_are_refused_with_the_numbers),
		cmocka_unit_test(voters_that_nobody_runs_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
