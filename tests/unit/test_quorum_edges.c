/* SPDX-License-Identifier: Apache-2.0 */
/* What a candidate and its voters must bear at their edges: sparse handles, voters that lie, bounds that turn round. */
#include "pair_kit.h"

#include <stdio.h>

#define N_ENTERED 300

static void on_event(struct pair *p, unsigned k, const struct candidate_event *e)
{
	(void)k;
	*(unsigned *)p->arg += e->kind == CANDIDATE_GRANTED;
}

/* Only what has something to say is opened on a new connection: its handle may be far above the first. */
static void an_election_with_a_high_handle_is_opened_on_a_new_connection(void **state)
{
	struct pair *p = pair_new(PAIR_MS);
	struct candidate_election *last = NULL;
	unsigned n_granted = 0, k = pair_add(p, (struct candidate_settings) { 0 });

	(void)state;
	p->on_event = on_event;
	p->arg = &n_granted;
	for (unsigned i = 0; i < N_ENTERED; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "e%u", i);
		assert_int_equal(candidate_enter(p->candidates[k].c, &(struct candidate_entry) { .election = name },
		                                 &last),
		                 0);
	}
	pair_run(p, 20000);
	candidate_join(last, pair_now(p));
	pair_run(p, 100000);
	assert_int_equal(n_granted, 1);
	for (unsigned v = 0; v < PAIR_VOTERS; v++) {
		struct voter_slot slot;

		pair_break(p, k, v);
		pair_run(p, 3000000);
		assert_true(voter_look(p->voters[v], "e299", pair_voter_now(p), &slot));
		assert_true(slot.attached);
	}
	assert_true(candidate_believes(last, pair_now(p).at, NULL));
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_election_with_a_high_handle_is_opened_on_a_new_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
