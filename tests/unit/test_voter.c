/* SPDX-License-Identifier: Apache-2.0 */
/* The voter's rules for votes and leases (R6 to R15), as transcripts. */
#include "voter_kit.h"

#include <stdio.h>

static struct voter_slot look(struct kit *k, const char *election)
{
	struct voter_slot slot;

	assert_true(voter_look(k->v, election, k->now, &slot));
	return slot;
}

/* ---- R6, R7 ---- */

static void one_term_is_granted_to_one_candidate_for_ever(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 1000", "ack job 1 1000");
	SAY("b vote job 1 1000", "nak job term 1 1000");
	SAY("a give-up job 1", "rel_ok job 0");
	SAY("b vote job 1 1000", "nak job term 1 0");
	SAY("b vote job 2 1000", "ack job 2 1000");
	SAY("a vote job 1 1000", "nak job term 2 1000");
	kit_free(k);
}

static void a_term_must_be_above_the_one_that_was_voted_in(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 0 1000", "nak job term 0 0");
	SAY("a vote job 7 1000", "ack job 7 1000");
	SAY("a give-up job 7", "rel_ok job 0");
	SAY("a vote job 6 1000", "nak job term 7 0");
	SAY("a vote job 8 1000", "ack job 8 1000");
	kit_free(k);
}

static void a_held_slot_is_not_voted_away_and_a_free_one_is(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 400", "ack job 1 400");
	AT(100);
	SAY("b vote job 2 1000", "nak job held 1 300");
	AT(399);
	SAY("b vote job 2 1000", "nak job held 1 1");
	AT(400);
	SAY("b vote job 2 1000", "ack job 2 1000");
	kit_free(k);
}

static void the_holder_itself_may_have_a_higher_term(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	assert_true(look(k, "job").attached);
	SAY("a vote job 2 500", "ack job 2 500");
	assert_false(look(k, "job").attached); /* R6: att = 0, a vote never rides on a session */
	kit_free(k);
}

static void the_exception_of_a_vote_is_the_slots_holder_not_who_was_voted_for(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 5 500", "ack job 5 500"); /* voted = a */
	AT(500);
	SAY("b renew job 4 10000", "ack job 4 10000"); /* adopted: the slot is b's, term and voted stay */
	SAY("a vote job 6 500", "nak job held 5 10000");
	kit_free(k);
}

static void a_repeated_vote_lengthens_the_lease(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 400", "ack job 1 400");
	AT(300);
	SAY("a vote job 1 400", "ack job 1 400");
	AT(699);
	SAY("b vote job 2 400", "nak job held 1 1");
	AT(700);
	SAY("b vote job 2 400", "ack job 2 400");
	kit_free(k);
}

static void a_repeated_vote_leaves_the_slot_attached(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a vote job 1", "ack job 1 1000");
	assert_true(look(k, "job").attached);
	kit_free(k);
}

static void a_repeat_over_an_adopted_slot_is_refused(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 5 500", "ack job 5 500");
	SAY("a give-up job 5", "rel_ok job 0");
	SAY("b renew job 4 10000", "ack job 4 10000");
	SAY("a vote job 5 500", "nak job term 5 10000");
	kit_free(k);
}

static void a_repeat_after_its_release_is_refused(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 5 500", "ack job 5 500");
	SAY("a release job 5", "rel_ok job 0");
	SAY("a vote job 5 500", "nak job released 5 0");
	kit_free(k);
}

/* ---- R8 ---- */

static void a_lease_only_grows_while_its_holder_keeps_it(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 1000", "ack job 1 1000");
	SAY("a vote job 1 10", "ack job 1 10");
	SAY("a renew job 1 20", "ack job 1 20");
	AT(999);
	SAY("b vote job 2 100", "nak job held 1 1");
	kit_free(k);
}

static void a_longer_renewal_is_cut_and_the_answer_says_so(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1", "ack job 1 1000");
	SAY("a renew job 1 60000", "ack job 1 10000");
	SAY("a beat 60000", "s_ack 10000 0");
	SAY("b vote job 2", "nak job held 1 10000");
	kit_free(k);
}

static void a_vote_for_longer_than_max_ttl_v_is_refused(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 1 1001", "nak job ttl 0 0");
	assert_int_equal(look(k, "job").term, 0); /* R10 */
	kit_free(k);
}

static void both_clocks_must_have_passed_the_end(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 1000", "ack job 1 1000");
	k->now.at.boot_ns += 1500 * QUORUM_NS_PER_MS; /* R2: slewed, or the other one stood still in a suspend */
	SAY("b vote job 2 1000", "nak job held 1 1000");
	k->now.at.raw_ns += 1000 * QUORUM_NS_PER_MS;
	SAY("b vote job 2 1000", "ack job 2 1000");
	kit_free(k);
}

/* ---- R11 ---- */

static void a_release_frees_the_slot_and_touches_nothing_else(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 3);
	SAY("a release job 3", "rel_ok job 0");
	assert_true(look(k, "job").free);
	assert_false(look(k, "job").attached);
	assert_int_equal(look(k, "job").term, 3);
	SAY("a release job 3", "rel_ok job 0"); /* repeated: harmless */
	SAY("a beat", "s_ack 10000 0");
	kit_free(k);
}

static void a_release_acts_on_ones_own_slot_alone(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 5 500", "ack job 5 500"); /* voted = a */
	AT(500);
	SAY("b renew job 4 10000", "ack job 4 10000");
	SAY("a release job 5", "rel_ok job 0");
	assert_false(look(k, "job").free);
	SAY("b release job 3", "rel_ok job 0"); /* lt <= T */
	assert_false(look(k, "job").free);
	SAY("b release job 9", "rel_ok job 0");
	assert_true(look(k, "job").free);
	kit_free(k);
}

static void nothing_up_to_a_released_term_comes_back_into_the_slot(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 3", "ack job 3 1000");
	SAY("a release job 5", "rel_ok job 0");
	SAY("a attach job 3", "nak job released 3 0");
	SAY("a attach job 4", "nak job released 3 0");
	SAY("a attach job 5", "nak job released 3 0");
	SAY("a vote job 5", "nak job released 3 0");
	SAY("a vote job 6", "ack job 6 1000");
	kit_free(k);
}

static void a_release_does_not_end_the_hold(void **state)
{
	struct kit *k = kit_new(VOTER_UNCLEAN);

	(void)state;
	AT(1000);
	SAY("a hello", "new");
	SAY("a attach job 5", "att_ack job 5");
	SAY("a release job 5", "rel_ok job 0");
	SAY("a vote job 1048577", "nak job hold 1048576 9000");
	kit_free(k);
}

/* ---- R12 ---- */

static void a_sitting_leader_is_adopted_whatever_the_term(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 9 100", "ack job 9 100");
	AT(100);
	SAY("b attach job 4", "att_ack job 4"); /* R12c: T <= term, term and voted stay */
	assert_int_equal(look(k, "job").term, 9);
	assert_int_equal(look(k, "job").lt, 4);
	SAY("b attach other 12", "att_ack other 12"); /* T > term: the term follows */
	assert_int_equal(look(k, "other").term, 12);
	kit_free(k);
}

static void an_expired_lease_is_no_obstacle_for_its_own_holder(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 1 100", "ack job 1 100");
	AT(900);
	assert_true(look(k, "job").free);
	SAY("a attach job 1", "att_ack job 1"); /* R12a */
	assert_false(look(k, "job").free);
	kit_free(k);
}

static void a_released_slot_does_not_revive(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a release job 1", "rel_ok job 0");
	SAY("a attach job 1", "nak job released 1 0"); /* R12b */
	SAY("a renew job 1", "nak job released 1 0");
	kit_free(k);
}

static void a_live_foreign_slot_is_never_adopted(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 1000", "ack job 1 1000");   /* provisional */
	SAY("b attach job 2", "nak job held 1 1000"); /* R12d */
	SAY("b renew job 2 1000", "nak job held 1 1000");
	kit_free(k);
}

static void a_higher_term_of_the_same_holder_is_adopted_and_the_old_end_dropped(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1 100", "ack job 1 100");
	SAY("a renew job 1 10000", "ack job 1 10000");
	SAY("a renew job 2 500", "ack job 2 500");
	SAY("b vote job 3 100", "nak job held 2 500");
	SAY("a renew job 1 500", "nak job released 2 500"); /* R11: lower than the slot's */
	kit_free(k);
}

static void what_led_once_is_not_attached_below(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 7);
	SAY("a release job 7", "rel_ok job 0");
	SAY("b hello", "new");
	SAY("b attach job 5", "nak job term 7 0"); /* R13 */
	SAY("b attach job 8", "att_ack job 8");
	kit_free(k);
}

/* ---- R14, R15 ---- */

static void a_closed_connection_ends_no_lease(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("b vote mine 1", "ack mine 1 1000");
	SAY("a drop", "");
	SAY("b drop", "");
	SAY("c hello", "new");
	SAY("c vote job 2", "nak job held 1 10000");
	SAY("c vote mine 2", "nak mine held 1 1000");
	kit_free(k);
}

static void a_leap_is_limited_in_length_and_number(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	const unsigned ceiling = 1u << 20, leap = 1u << 28;
	char line[64];

	(void)state;
	SAY("a hello", "new");
	(void)snprintf(line, sizeof line, "a vote job %u", ceiling + leap + 1);
	SAY(line, "nak job limit 269484032 0"); /* the NAK tells it */
	(void)snprintf(line, sizeof line, "a vote job %u", ceiling + leap);
	SAY(line, "ack job 269484032 1000");
	assert_true(k->disk.ceiling > ceiling + leap);
	(void)snprintf(line, sizeof line, "a vote other %u", 2 * leap);
	assert_non_null(strstr(kit_say(k, line), "limit")); /* the second within 10 s */
	AT(10001);
	(void)snprintf(line, sizeof line, "a vote third %u", 2 * leap);
	SAY(line, "ack third 536870912 1000");
	kit_free(k);
}

/* ---- R22 ---- */

static void a_term_above_the_ceiling_waits_for_the_disk(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	SAY("a vote job 1048577", "");
	assert_true(voter_peer_waits(kit_peer(k, 'a')->p));
	assert_int_equal(look(k, "job").term, 0);
	SAY("a beat", ""); /* what comes later waits behind it */
	assert_int_equal(k->writing.ceiling, 3u << 20);
	kit_disk(k);
	HEARS("a", "ack job 1048577 1000; s_ack 10000 0");
	kit_free(k);
}

static void of_two_votes_of_one_term_that_waited_together_one_is_granted(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("a vote job 1048577", "");
	SAY("b vote job 1048577", "");
	AT(5);
	kit_disk(k);
	HEARS("a", "ack job 1048577 1000");
	HEARS("b", "nak job term 1048577 1000");
	kit_free(k);
}

static void what_waited_is_counted_from_a_fresh_clock(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("b vote other 1", "ack other 1 1000");
	SAY("a vote job 1048577", "");
	AT(700);
	kit_disk(k);
	HEARS("a", "ack job 1048577 1000");
	SAY("b vote job 1048578", "nak job held 1048577 1000");
	kit_free(k);
}

static void the_ceiling_is_raised_ahead_of_need(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	SAY("a vote job 100", "ack job 100 1000");
	assert_false(k->writes);
	SAY("a vote job 600000", "ack job 600000 1000"); /* within STEP/2: at once, and written in the background */
	assert_true(k->writes);
	assert_int_equal(k->writing.ceiling, 2u << 20);
	kit_disk(k);
	SAY("a vote job 1048577", "ack job 1048577 1000");
	kit_free(k);
}

static void a_part_of_a_frame_that_waits_was_answered_before(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item items[3] = { { .type = WIRE_VOTE, .term = 1, .lease.ttl_ms = 500 },
		                      { .type = WIRE_VOTE, .term = 1u << 21, .lease.ttl_ms = 500 },
		                      { .type = WIRE_VOTE, .term = 1, .lease.ttl_ms = 500 } };

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	items[0].handle = kit_handle(k, a, "one");
	items[1].handle = kit_handle(k, a, "two");
	items[2].handle = kit_handle(k, a, "three");
	(void)kit_heard(k, 'a');
	kit_send(k, a, items, 3);
	HEARS("a", "ack one 1 500");
	assert_true(a->n_left > 0); /* the frame is not consumed */
	kit_disk(k);
	HEARS("a", "ack two 2097152 500; ack three 1 500");
	assert_int_equal(a->n_left, 0);
	kit_free(k);
}

static void nobody_asks_for_a_pre_vote_in_vain(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	SAY("b pre job 1", "pre_r job yes 0 0 0");
	SAY("a vote job 4", "ack job 4 1000");
	SAY("b pre job 5", "pre_r job no 4 1000 0");
	SAY("b pre job 4", "pre_r job no 4 1000 0");
	SAY("a give-up job 4", "rel_ok job 0");
	SAY("b pre job 5", "pre_r job yes 4 0 0");
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_term_is_granted_to_one_candidate_for_ever),
		cmocka_unit_test(a_term_must_be_above_the_one_that_was_voted_in),
		cmocka_unit_test(a_held_slot_is_not_voted_away_and_a_free_one_is),
		cmocka_unit_test(the_holder_itself_may_have_a_higher_term),
		cmocka_unit_test(the_exception_of_a_vote_is_the_slots_holder_not_who_was_voted_for),
		cmocka_unit_test(a_repeated_vote_lengthens_the_lease),
		cmocka_unit_test(a_repeated_vote_leaves_the_slot_attached),
		cmocka_unit_test(a_repeat_over_an_adopted_slot_is_refused),
		cmocka_unit_test(a_repeat_after_its_release_is_refused),
		cmocka_unit_test(a_lease_only_grows_while_its_holder_keeps_it),
		cmocka_unit_test(a_longer_renewal_is_cut_and_the_answer_says_so),
		cmocka_unit_test(a_vote_for_longer_than_max_ttl_v_is_refused),
		cmocka_unit_test(both_clocks_must_have_passed_the_end),
		cmocka_unit_test(a_release_frees_the_slot_and_touches_nothing_else),
		cmocka_unit_test(a_release_acts_on_ones_own_slot_alone),
		cmocka_unit_test(nothing_up_to_a_released_term_comes_back_into_the_slot),
		cmocka_unit_test(a_release_does_not_end_the_hold),
		cmocka_unit_test(a_sitting_leader_is_adopted_whatever_the_term),
		cmocka_unit_test(an_expired_lease_is_no_obstacle_for_its_own_holder),
		cmocka_unit_test(a_released_slot_does_not_revive),
		cmocka_unit_test(a_live_foreign_slot_is_never_adopted),
		cmocka_unit_test(a_higher_term_of_the_same_holder_is_adopted_and_the_old_end_dropped),
		cmocka_unit_test(what_led_once_is_not_attached_below),
		cmocka_unit_test(a_closed_connection_ends_no_lease),
		cmocka_unit_test(a_leap_is_limited_in_length_and_number),
		cmocka_unit_test(a_term_above_the_ceiling_waits_for_the_disk),
		cmocka_unit_test(of_two_votes_of_one_term_that_waited_together_one_is_granted),
		cmocka_unit_test(what_waited_is_counted_from_a_fresh_clock),
		cmocka_unit_test(the_ceiling_is_raised_ahead_of_need),
		cmocka_unit_test(a_part_of_a_frame_that_waits_was_answered_before),
		cmocka_unit_test(nobody_asks_for_a_pre_vote_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
