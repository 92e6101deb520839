/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "elector/lease.h"
#include "elector/trace.h"

static const struct elector_notice elected = {
	.from = TENURE_CONTENDING,
	.to = TENURE_LEADING,
	.cause = TENURE_BY_ELECTION,
	.at_ns = 1000,
	.token = 7,
	.deadline_ns = 9007199254740993ULL, /* 2^53 + 1: a double can't hold it, and that is why instants are strings */
};

static struct trace_record record_of(const struct elector_notice *notice)
{
	return (struct trace_record) { .seq = 1,
		                       .true_ns = LEASE_NS_NEVER,
		                       .node = "a_0f0f0f0f0f0f0f0f",
		                       .election = "E",
		                       .event = "state",
		                       .notice = notice };
}

static void a_record_is_one_line_of_json_in_a_fixed_order(void **state)
{
	struct trace_record r = record_of(&elected);
	char line[TRACE_RECORD_ROOM];
	const char *want = "{\"seq\":1,\"node_ns\":\"1000\",\"node\":\"a_0f0f0f0f0f0f0f0f\",\"election\":\"E\","
	                   "\"event\":\"state\",\"from\":\"contending\",\"to\":\"leading\",\"token\":7,"
	                   "\"deadline_ns\":\"9007199254740993\",\"cause\":\"election\"}\n";

	(void)state;
	assert_int_equal(trace_format(&r, line, sizeof line), strlen(want));
	assert_string_equal(line, want);
}

static void simulated_time_and_endless_deadlines_are_shown(void **state)
{
	struct elector_notice n = elected;
	struct trace_record r = record_of(&n);
	char line[TRACE_RECORD_ROOM];

	(void)state;
	n.deadline_ns = LEASE_NS_NEVER;
	n.cause = (enum tenure_cause)0;
	n.token = INT64_MAX;
	r.true_ns = 42;
	assert_true(trace_format(&r, line, sizeof line) > 0);
	assert_non_null(strstr(line, "{\"seq\":1,\"true_ns\":\"42\",\"node_ns\":\"1000\","));
	assert_non_null(strstr(line, "\"token\":9223372036854775807,\"deadline_ns\":\"never\",\"cause\":\"none\"}\n"));
}

static void labels_of_any_bytes_stay_valid_json(void **state)
{
	struct trace_record r = record_of(&elected);
	char line[TRACE_RECORD_ROOM];

	(void)state;
	r.node = "a\"b\\c\n\x01\xff\xc3\xa9";
	assert_true(trace_format(&r, line, sizeof line) > 0);
	assert_non_null(strstr(line, "\"node\":\"a\\\"b\\\\c\\n\\u0001\xef\xbf\xbd\xc3\xa9\","));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void the_longest_names_fit_into_the_record_room(void **state)
{
	struct elector_notice n = { .from = TENURE_STEPPING_DOWN,
		                    .to = TENURE_CONTENDING,
		                    .cause = TENURE_BY_ELECTION,
		                    .at_ns = UINT64_MAX - 1,
		                    .token = INT64_MAX,
		                    .deadline_ns = UINT64_MAX - 1 };
	struct trace_record r = record_of(&n);
	char node[82], election[201], line[TRACE_RECORD_ROOM];

	(void)state;
	memset(node, '"', sizeof node - 1); /* every byte doubles */
	node[sizeof node - 1] = '\0';
	memset(election, 'e', sizeof election - 1);
	election[sizeof election - 1] = '\0';
	r.seq = UINT64_MAX;
	r.true_ns = UINT64_MAX - 1;
	r.node = node;
	r.election = election;
	assert_true(trace_format(&r, line, sizeof line) > 0);
}

static void a_record_that_does_not_fit_is_none_at_all(void **state)
{
	struct trace_record r = record_of(&elected);
	char line[TRACE_RECORD_ROOM];
	size_t length = trace_format(&r, line, sizeof line);

	(void)state;
	for (size_t room = 0; room <= length; room++) {
		memset(line, '!', sizeof line);
		assert_int_equal(trace_format(&r, line, room), 0);
		if (room > 0)
			assert_string_equal(line, "");
		assert_int_equal(line[room], '!');
	}
	assert_int_equal(trace_format(&r, line, length + 1), length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_one_line_of_json_in_a_fixed_order),
		cmocka_unit_test(simulated_time_and_endless_deadlines_are_shown),
		cmocka_unit_test(labels_of_any_bytes_stay_valid_json),
		cmocka_unit_test(the_longest_names_fit_into_the_record_room),
		cmocka_unit_test(a_record_that_does_not_fit_is_none_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
