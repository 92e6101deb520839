/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "elector/state.h"

static const enum tenure_state states[] = {
	TENURE_CONNECTING, TENURE_WAITING,       TENURE_CONTENDING, TENURE_LEADING,
	TENURE_AT_RISK,    TENURE_STEPPING_DOWN, TENURE_ENDED,
};
#define N_STATES (sizeof states / sizeof states[0])

/* Written out by hand, and not derived from the table under test. Columns: to, in the order of states[]. */
static const char *const may[N_STATES] = {
	/* co wa ct le ar sd en */
	"  .  x  .  x  .  x  x", /* connecting */
	"  x  .  x  x  .  x  x", /* waiting */
	"  x  x  .  x  .  x  x", /* contending */
	"  .  x  .  .  x  x  x", /* leading */
	"  .  x  .  x  .  x  x", /* at risk */
	"  .  x  .  .  .  .  x", /* stepping down */
	"  .  .  .  .  .  .  .", /* ended */
};

static void every_change_is_allowed_or_refused_as_written_here(void **state)
{
	(void)state;
	for (size_t from = 0; from < N_STATES; from++)
		for (size_t to = 0; to < N_STATES; to++)
			if (state_may_change(states[from], states[to]) != (may[from][3 * to + 2] == 'x'))
				fail_msg("%s -> %s", state_name(states[from]), state_name(states[to]));
}

static void belief_is_entered_only_from_states_that_lead_nothing_or_between_leading_and_at_risk(void **state)
{
	(void)state;
	for (size_t from = 0; from < N_STATES; from++)
		for (size_t to = 0; to < N_STATES; to++)
			if (state_believes(states[to]) && state_may_change(states[from], states[to]))
				assert_true(states[from] != TENURE_STEPPING_DOWN && states[from] != TENURE_ENDED);
}

static void only_leading_and_at_risk_believe(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_STATES; i++)
		assert_int_equal(state_believes(states[i]), states[i] == TENURE_LEADING || states[i] == TENURE_AT_RISK);
	assert_false(state_believes((enum tenure_state)0));
	assert_false(state_believes((enum tenure_state)(TENURE_LEADING | TENURE_AT_RISK)));
}

static void what_is_no_single_state_is_refused_and_has_no_name(void **state)
{
	static const int wrong[] = { 0, -1, 3, 24, 127, 128, 1 << 30 };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_string_equal(state_name((enum tenure_state)wrong[i]), "?");
		for (size_t k = 0; k < N_STATES; k++) {
			assert_false(state_may_change((enum tenure_state)wrong[i], states[k]));
			assert_false(state_may_change(states[k], (enum tenure_state)wrong[i]));
		}
	}
}

static void states_and_causes_have_the_names_of_the_contract(void **state)
{
	static const char *const names[N_STATES] = { "connecting", "waiting",       "contending", "leading",
		                                     "at-risk",    "stepping-down", "ended" };
	static const char *const causes[] = { "none", "election", "resign", "transfer", "expiry", "store", "health" };

	(void)state;
	for (size_t i = 0; i < N_STATES; i++)
		assert_string_equal(state_name(states[i]), names[i]);
	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		assert_string_equal(state_cause_name((enum tenure_cause)i), causes[i]);
	assert_string_equal(state_cause_name((enum tenure_cause)7), "?");
	assert_string_equal(state_cause_name((enum tenure_cause) - 1), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_is_allowed_or_refused_as_written_here),
		cmocka_unit_test(belief_is_entered_only_from_states_that_lead_nothing_or_between_leading_and_at_risk),
		cmocka_unit_test(only_leading_and_at_risk_believe),
		cmocka_unit_test(what_is_no_single_state_is_refused_and_has_no_name),
		cmocka_unit_test(states_and_causes_have_the_names_of_the_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
