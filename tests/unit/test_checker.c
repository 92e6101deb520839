/* SPDX-License-Identifier: Apache-2.0 */
/* The judge, on inputs made by hand: each violation is found and named, and clean runs are clean. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/checker.h"

struct judged {
	struct checker c;
	char *report;
	size_t report_bytes, n_violations;
};

static FILE *opened(const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(in);
	return in;
}

/* NULL: none */
static struct judged judged(const char *trace, const char *ledger)
{
	struct judged j = { 0 };
	FILE *report = open_memstream(&j.report, &j.report_bytes), *in;

	assert_non_null(report);
	checker_init(&j.c, report);
	if (trace) {
		in = opened(trace);
		assert_true(checker_read_trace(&j.c, in, "T"));
		(void)fclose(in);
	}
	if (ledger) {
		in = opened(ledger);
		assert_true(checker_read_ledger(&j.c, in, "L"));
		(void)fclose(in);
	}
	j.n_violations = checker_judge(&j.c);
	(void)fclose(report);
	return j;
}

static void done(struct judged *j)
{
	checker_deinit(&j->c);
	free(j->report);
}

static void expect(const char *trace, const char *ledger, enum checker_kind kind, size_t n, const char *words)
{
	struct judged j = judged(trace, ledger);

	if (j.c.n_malformed || j.n_violations != n || j.c.n_violations[kind] != n || !strstr(j.report, words))
		fail_msg("%zu malformed, %zu violations, %zu of this kind: %s", j.c.n_malformed, j.n_violations,
		         j.c.n_violations[kind], j.report);
	done(&j);
}

static void expect_clean(const char *trace, const char *ledger)
{
	struct judged j = judged(trace, ledger);

	if (j.c.n_malformed || j.n_violations)
		fail_msg("%s", j.report);
	assert_true(checker_has_input(&j.c));
	assert_int_equal(j.report_bytes, 0);
	done(&j);
}

static void expect_malformed(const char *trace, const char *ledger, const char *words)
{
	struct judged j = judged(trace, ledger);

	if (j.c.n_malformed != 1 || !strstr(j.report, words))
		fail_msg("%zu malformed: %s", j.c.n_malformed, j.report);
	done(&j);
}

#define STATE(at, node, from, to, token, deadline)                                                                     \
	"{\"seq\":1,\"node_ns\":\"" at "\",\"node\":\"" node                                                           \
	"\",\"election\":\"E\",\"event\":\"state\",\"from\":\"" from "\",\"to\":\"" to "\",\"token\":" token           \
	",\"deadline_ns\":\"" deadline "\",\"cause\":\"none\"}\n"
#define LEADS(at, node, token)      STATE(at, node, "contending", "leading", token, "never")
#define STEPS_DOWN(at, node, token) STATE(at, node, "leading", "stepping-down", token, "never")
#define NOTE(at, node)              "{\"node_ns\":\"" at "\",\"node\":\"" node "\",\"election\":\"E\",\"event\":\"killed\"}\n"

/* ---- traces ---- */

static void one_after_the_other_is_clean(void **state)
{
	(void)state;
	expect_clean(STATE("50", "a", "connecting", "waiting", "0", "never") LEADS("100", "a", "1")
	                     STEPS_DOWN("200", "a", "1") LEADS("200", "b", "2") STEPS_DOWN("300", "b", "2")
	                             LEADS("301", "a", "3"),
	             NULL);
}

static void two_candidates_that_believe_at_once_are_found(void **state)
{
	(void)state;
	expect(LEADS("100", "a", "1") STEPS_DOWN("201", "a", "1") LEADS("200", "b", "2") STEPS_DOWN("300", "b", "2"),
	       NULL, CHECKER_TWO_LEADERS, 1,
	       "two leaders at once: election E: a (token 1, T:1) believed until 201 ns, b (token 2, T:3) from 200 ns");
}

static void a_leader_at_risk_still_believes(void **state)
{
	(void)state;
	expect(LEADS("100", "a", "1") STATE("150", "a", "leading", "at-risk", "1", "never") STEPS_DOWN("300", "a", "1")
	               LEADS("200", "b", "2"),
	       NULL, CHECKER_TWO_LEADERS, 1, "a (token 1");
}

static void an_overlap_behind_a_short_tenure_between_is_found(void **state)
{
	(void)state;
	expect(LEADS("100", "a", "1") STEPS_DOWN("900", "a", "1") LEADS("200", "b", "2") STEPS_DOWN("210", "b", "2")
	               LEADS("400", "c", "3"),
	       NULL, CHECKER_TWO_LEADERS, 2, "c (token 3");
}

static void leaders_of_two_elections_are_no_violation(void **state)
{
	(void)state;
	expect_clean(LEADS("100", "a", "5") "{\"node_ns\":\"110\",\"node\":\"b\",\"election\":\"F\",\"event\":"
	                                    "\"state\",\"to\":\"leading\","
	                                    "\"token\":1,\"deadline_ns\":\"never\"}\n" STEPS_DOWN("300", "a", "5"),
	             NULL);
}

static void a_killed_leader_believed_as_long_as_it_was_seen(void **state)
{
	(void)state;
	expect_clean(LEADS("100", "a", "1") LEADS("200", "b", "2") NOTE("190", "a"), NULL);
	expect(LEADS("100", "a", "1") LEADS("200", "b", "2") NOTE("205", "a"), NULL, CHECKER_TWO_LEADERS, 1,
	       "until 205 ns");
}

static void a_lease_with_a_deadline_holds_until_then(void **state)
{
	(void)state;
	expect(STATE("100", "a", "contending", "leading", "1", "500") LEADS("400", "b", "2"), NULL, CHECKER_TWO_LEADERS,
	       1, "until 500 ns");
	expect_clean(STATE("100", "a", "contending", "leading", "1", "500") LEADS("500", "b", "2"), NULL);
	/* told late: belief was over at the deadline all the same */
	expect_clean(STATE("100", "a", "contending", "leading", "1", "500") LEADS("500", "b", "2")
	                     STATE("900", "a", "leading", "stepping-down", "1", "500"),
	             NULL);
}

static void a_token_that_does_not_rise_is_found(void **state)
{
	(void)state;
	expect(LEADS("100", "a", "7") STEPS_DOWN("200", "a", "7") LEADS("200", "b", "6"), NULL, CHECKER_NOT_RISING, 1,
	       "token not rising: election E: b got token 6 (T:3) after a had token 7 (T:1)");
	expect(LEADS("100", "a", "7") STEPS_DOWN("200", "a", "7") LEADS("300", "a", "7"), NULL, CHECKER_NOT_RISING, 1,
	       "a got token 7");
}

static void a_token_of_two_candidates_is_found(void **state)
{
	(void)state;
	expect(LEADS("100", "a", "7") STEPS_DOWN("200", "a", "7") LEADS("200", "b", "7"), NULL, CHECKER_SHARED_TOKEN, 1,
	       "one token used by two holders: election E: b got token 7 (T:3) after a had token 7");
}

/* ---- ledgers ---- */

static void programs_one_after_the_other_are_clean(void **state)
{
	(void)state;
	expect_clean(NULL, "100 1 5 begin - - 1 a\n"
	                   "101 1 6 run - - 1 a\n"
	                   "102 1 5 write db yes 2 a\n"
	                   "110 1 5 end - - 3 a   \n"
	                   "111 2 5 begin - - 1 b\n"
	                   "112 2 5 write db yes 2 b\n"
	                   "113 1 9 write db no 1 a\n");
}

static void programs_at_once_are_found(void **state)
{
	(void)state;
	expect(NULL,
	       "100 1 5 begin - - 1 a\n"
	       "150 2 7 begin - - 1 b\n"
	       "160 1 6 run - - 1 a\n"
	       "170 2 7 run - - 2 b\n",
	       CHECKER_TWO_PROGRAMS, 1,
	       "two programs at once: that of a (token 1) still ran at 160 ns (pid 6, L:3), that of b (token 2) ran "
	       "from "
	       "150 ns on (pid 7, L:2)");
}

static void lines_that_come_late_into_the_ledger_count_by_their_instant(void **state)
{
	(void)state;
	expect_clean(NULL, "200 2 7 begin - - 1 b\n"
	                   "150 1 5 run - - 1 a\n");
	expect(NULL,
	       "200 2 7 begin - - 1 b\n"
	       "130 1 5 run - - 1 a\n"
	       "150 1 5 run - - 2 a\n"
	       "140 2 8 run - - 1 b\n",
	       CHECKER_TWO_PROGRAMS, 1, "from 140 ns on");
}

static void a_late_write_is_no_sign_of_a_program(void **state)
{
	(void)state;
	expect_clean(NULL, "100 1 5 begin - - 1 a\n"
	                   "150 2 7 begin - - 1 b\n"
	                   "160 1 9 write db no 1 a\n"
	                   "170 2 7 run - - 2 b\n");
}

static void a_stale_write_is_found(void **state)
{
	(void)state;
	expect(NULL,
	       "100 1 5 write db yes 1 a\n"
	       "150 2 7 write db yes 1 b\n"
	       "160 1 9 write db yes 1 a\n"
	       "170 2 7 write db yes 2 b\n",
	       CHECKER_STALE_WRITE, 1,
	       "stale write admitted: db took a write with token 1 (of a, L:3) after one with token 2 (L:2)");
}

static void each_resource_has_a_mark_of_its_own(void **state)
{
	(void)state;
	expect_clean(NULL, "150 2 7 write db yes 1 b\n"
	                   "160 1 9 write disk yes 1 a\n"
	                   "170 2 7 write disk yes 2 b\n");
}

static void a_refused_write_raises_no_mark(void **state)
{
	(void)state;
	expect_clean(NULL, "150 9 7 write db no 1 b\n"
	                   "160 1 9 write db yes 1 a\n");
}

static void programs_with_tokens_that_fall_are_found(void **state)
{
	(void)state;
	expect(NULL,
	       "100 5 5 begin - - 1 a\n"
	       "150 4 7 begin - - 1 b\n",
	       CHECKER_NOT_RISING, 1, "the program of b began with token 4 (L:2) after that of a had token 5 (L:1)");
}

static void programs_of_two_holders_under_one_token_are_found_once(void **state)
{
	(void)state;
	expect(NULL,
	       "100 5 5 begin - - 1 a\n"
	       "150 5 7 begin - - 1 b\n"
	       "160 5 7 run - - 2 b\n",
	       CHECKER_SHARED_TOKEN, 1, "token 5 is used by a (L:1) and by b (L:2)");
}

static void gaps_between_programs_are_measured(void **state)
{
	struct judged j = judged(NULL, "100 1 5 begin - - 1 a\n"
	                               "200 1 5 end - - 2 a\n"
	                               "230 2 5 begin - - 1 b\n"
	                               "240 2 5 end - - 2 b\n"
	                               "340 3 5 begin - - 1 a\n");
	struct checker_gaps g;

	(void)state;
	checker_gaps(&j.c, &g);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.longest_ns, 100);
	done(&j);
}

/* ---- bad input ---- */

static void a_torn_last_line_is_counted_and_passed_over(void **state)
{
	struct judged j = judged(LEADS("100", "a", "1") "{\"seq\":2,\"node_ns", "100 1 5 begin - - 1 a\n101 1 5 ru");

	(void)state;
	assert_int_equal(j.c.n_torn, 2);
	assert_int_equal(j.c.n_malformed, 0);
	assert_int_equal(j.n_violations, 0);
	done(&j);
}

static void malformed_lines_of_a_ledger_are_named_with_their_place(void **state)
{
	static const struct {
		const char *line, *words;
	} bad[] = {
		{ "\n", "L:2: fewer than the 8 fields" },
		{ "100 1 5 begin - - 1\n", "L:2: fewer than the 8 fields" },
		{ "100 1 5 begin - - 1 a b\n", "L:2: more than 8" },
		{ "100  1 5 begin - - 1 a\n", "L:2: fewer" },
		{ "-1 1 5 begin - - 1 a\n", "L:2: NS" },
		{ "0 1 5 begin - - 1 a\n", "L:2: NS" },
		{ "100 0 5 begin - - 1 a\n", "L:2: TOKEN" },
		{ "100 9223372036854775808 5 begin - - 1 a\n", "L:2: TOKEN" },
		{ "100 1 x begin - - 1 a\n", "L:2: PID" },
		{ "100 1 5 sleep - - 1 a\n", "L:2: KIND" },
		{ "100 1 5 write db maybe 1 a\n", "L:2: ADMITTED" },
		{ "100 1 5 write - yes 1 a\n", "L:2: a write to no RESOURCE" },
		{ "100 1 5 run db yes 1 a\n", "L:2: RESOURCE and ADMITTED are not -" },
		{ "100 1 5 run - - x a\n", "L:2: SEQUENCE is no number" },
		{ "101 1 1 run - - 1 a\n", "L:2: SEQUENCE does not rise" },
	};
	char ledger[256];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(ledger, sizeof ledger, "90 1 1 begin - - 1 a\n%s102 1 1 run - - 3 a\n", bad[i].line);
		expect_malformed(NULL, ledger, bad[i].words);
	}
}

static void malformed_records_of_a_trace_are_named_with_their_place(void **state)
{
	(void)state;
	expect_malformed("nonsense\n", NULL, "T:1: not JSON");
	expect_malformed("[]\n", NULL, "T:1: not a JSON object");
	expect_malformed("{\"node_ns\":\"1\",\"node\":\"a\",\"event\":\"state\"}\n", NULL, "\"election\"");
	expect_malformed("{\"node_ns\":5,\"node\":\"a\",\"election\":\"E\",\"event\":\"x\"}\n", NULL, "\"node_ns\"");
	expect_malformed("{\"node_ns\":\"1\",\"node\":\"a\",\"election\":\"E\",\"event\":\"state\"}\n", NULL,
	                 "change of state without");
	expect_malformed(LEADS("100", "a", "0"), NULL, "leader without a token");
	expect_malformed(LEADS("100", "a", "-1"), NULL, "\"token\"");
	expect_malformed(STATE("100", "a", "contending", "leading", "1", "soon"), NULL, "\"deadline_ns\"");
	expect_malformed(LEADS("100", "a", "1") STEPS_DOWN("99", "a", "1"), NULL, "T:2: its instant lies before");
}

static void nothing_is_not_something_clean(void **state)
{
	struct judged j = judged(STATE("50", "a", "connecting", "waiting", "0", "never"), NULL);

	(void)state;
	assert_false(checker_has_input(&j.c));
	done(&j);
}

static void many_violations_are_counted_and_the_first_ones_shown(void **state)
{
	char *ledger = NULL;
	size_t bytes = 0, shown = 0;
	FILE *out = open_memstream(&ledger, &bytes);
	struct judged j;

	(void)state;
	assert_non_null(out);
	(void)fputs("1 9 1 write db yes 1 b\n", out);
	for (int i = 1; i <= 1000; i++)
		(void)fprintf(out, "%d 1 %d write db yes 1 a\n", i, i);
	(void)fclose(out);
	j = judged(NULL, ledger);
	for (const char *at = j.report; (at = strstr(at, "violation")) != NULL; at++)
		shown++;
	assert_int_equal(j.n_violations, 1000);
	assert_int_equal(shown, 20);
	done(&j);
	free(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other_is_clean),
		cmocka_unit_test(two_candidates_that_believe_at_once_are_found),
		cmocka_unit_test(a_leader_at_risk_still_believes),
		cmocka_unit_test(an_overlap_behind_a_short_tenure_between_is_found),
		cmocka_unit_test(leaders_of_two_elections_are_no_violation),
		cmocka_unit_test(a_killed_leader_believed_as_long_as_it_was_seen),
		cmocka_unit_test(a_lease_with_a_deadline_holds_until_then),
		cmocka_unit_test(a_token_that_does_not_rise_is_found),
		cmocka_unit_test(a_token_of_two_candidates_is_found),
		cmocka_unit_test(programs_one_after_the_other_are_clean),
		cmocka_unit_test(programs_at_once_are_found),
		cmocka_unit_test(lines_that_come_late_into_the_ledger_count_by_their_instant),
		cmocka_unit_test(a_late_write_is_no_sign_of_a_program),
		cmocka_unit_test(a_stale_write_is_found),
		cmocka_unit_test(each_resource_has_a_mark_of_its_own),
		cmocka_unit_test(a_refused_write_raises_no_mark),
		cmocka_unit_test(programs_with_tokens_that_fall_are_found),
		cmocka_unit_test(programs_of_two_holders_under_one_token_are_found_once),
		cmocka_unit_test(gaps_between_programs_are_measured),
		cmocka_unit_test(a_torn_last_line_is_counted_and_passed_over),
		cmocka_unit_test(malformed_lines_of_a_ledger_are_named_with_their_place),
		cmocka_unit_test(malformed_records_of_a_trace_are_named_with_their_place),
		cmocka_unit_test(nothing_is_not_something_clean),
		cmocka_unit_test(many_violations_are_counted_and_the_first_ones_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
