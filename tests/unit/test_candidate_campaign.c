/* SPDX-License-Identifier: Apache-2.0 */
/* Campaigns, covers and releases of one candidate, against scripted voters: one test a rule (PROTOCOL section 8, 9). */
#include "candidate_kit.h"

static uint64_t d_ns(uint32_t ttl_ms)
{
	return lease_allowance_ns(ttl_ms * KIT_MS, LEASE_RATE_ERROR_PPM);
}

static void a_vote_follows_the_nudges_of_q_voters_and_not_of_fewer(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_join(k, "job");

	(void)state;
	assert_non_null(kit_said(k, 0, WIRE_WAIT));
	kit_nudge(k, 0, 0);
	assert_null(kit_said(k, 2, WIRE_VOTE));
	kit_nudge(k, 1, 0);
	for (unsigned v = 0; v < KIT_VOTERS; v++)
		assert_int_equal(kit_said(k, v, WIRE_VOTE)->term, 1);
	assert_false(kit_believes(k, e)); /* R34: a nudge is no grant */
	kit_free(k);
}

static void a_campaign_outbids_the_qth_smallest_known_term_not_the_highest(void **state)
{
	struct kit *k = kit_new();

	(void)state;
	(void)kit_join(k, "job");
	kit_nudge(k, 2, 5000000);
	kit_nudge(k, 0, 7);
	/* known: 7, none, 5000000; the second smallest is 7 (R16) */
	assert_int_equal(kit_said(k, 0, WIRE_VOTE)->term, 8);
	kit_free(k);
}

/* Where q voters are left, each of them has to be outbid: the third one's silence must not count as a low term. */
static void of_the_voters_that_are_left_the_qth_smallest_term_is_outbid(void **state)
{
	struct kit *k = kit_new();

	(void)state;
	(void)kit_join(k, "job");
	candidate_disconnected(k->c, 2, k->now, NULL);
	kit_nudge(k, 0, 7);
	kit_nudge(k, 1, 40);
	assert_int_equal(kit_said(k, 0, WIRE_VOTE)->term, 41);
	kit_free(k);
}

static void a_voter_in_its_hold_is_none_that_is_left(void **state)
{
	struct kit *k = kit_new();
	struct candidate_command command;
	struct wire_item hello;

	(void)state;
	(void)kit_join(k, "job");
	candidate_disconnected(k->c, 2, k->now, NULL);
	while (candidate_next_command(k->c, &command))
		;
	candidate_connected(k->c, 2, k->now);
	hello = kit_hello_r(k, 2, 202, 2, WIRE_SESSION_NEW);
	hello.hello_r.hold_left_ms = 5000;
	kit_says(k, 2, kit_said(k, 2, WIRE_HELLO)->round, hello);
	kit_nudge(k, 0, 7);
	kit_nudge(k, 1, 40);
	assert_int_equal(kit_said(k, 0, WIRE_VOTE)->term, 41);
	kit_free(k);
}

/* A SYN that was lost in a cut: the kernel repeats it too late. */
static void a_connection_that_does_not_come_about_is_begun_anew(void **state)
{
	struct kit *k = kit_new();
	struct candidate_command command;
	unsigned n_begun = 0;

	(void)state;
	candidate_disconnected(k->c, 2, k->now, NULL);
	while (candidate_next_command(k->c, &command))
		;
	for (unsigned i = 0; i < 600; i++) {
		k->now.at.boot_ns = k->now.at.raw_ns += 10 * KIT_MS;
		candidate_tick(k->c, k->now);
		while (candidate_next_command(k->c, &command))
			n_begun += command.voter == 2 && command.kind == CANDIDATE_CONNECT;
	}
	assert_in_range(n_begun, 1, 3); /* a heartbeat of 2.5 s each */
	kit_free(k);
}

static void q_answers_of_different_voters_win_and_one_voter_twice_does_not(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_join(k, "job");

	(void)state;
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	kit_ack(k, 0);
	kit_ack(k, 0);
	assert_int_equal(k->granted, 0); /* R9 */
	assert_false(kit_believes(k, e));
	kit_ack(k, 2);
	assert_int_equal(k->granted, 1);
	assert_int_equal(k->token, 1);
	assert_true(kit_believes(k, e));
	for (unsigned v = 0; v < KIT_VOTERS; v++) /* R17 */
		assert_int_equal(kit_said(k, v, WIRE_ATTACH)->sid, 100 + v);
	kit_free(k);
}

static void a_vote_lasts_from_the_send_time_of_its_own_round(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_join(k, "job");
	uint64_t sent_ns;

	(void)state;
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	sent_ns = k->now.at.boot_ns;
	kit_after(k, 20);
	kit_ack(k, 0);
	kit_ack(k, 1);
	/* R3, R4 */
	assert_int_equal(candidate_deadline(e).boot_ns, sent_ns + d_ns(KIT_TTL_V));
	assert_int_equal(candidate_deadline(e).raw_ns, sent_ns + d_ns(KIT_TTL_V));
	kit_free(k);
}

static void answers_after_the_deadline_win_nothing(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_join(k, "job");
	struct kit_said vote[2];

	(void)state;
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	vote[0] = *kit_said(k, 0, WIRE_VOTE);
	vote[1] = *kit_said(k, 1, WIRE_VOTE);
	k->now.at.boot_ns += 250 * KIT_MS; /* the process was paused: no timer fired */
	k->now.at.raw_ns += 250 * KIT_MS;
	for (unsigned v = 0; v < 2; v++)
		kit_says(k, v, vote[v].round,
		         (struct wire_item) { .type = WIRE_ACK,
		                              .handle = vote[v].handle,
		                              .term = vote[v].term,
		                              .ack = { .of = WIRE_VOTE, .ttl_ms = KIT_TTL_V } });
	assert_int_equal(k->granted, 0); /* R17 */
	assert_false(kit_believes(k, e));
	assert_int_equal(kit_said(k, 0, WIRE_RELEASE)->term, 1); /* R18 */
	kit_free(k);
}

static void a_lost_campaign_is_released_everywhere_and_its_term_is_not_used_again(void **state)
{
	struct kit *k = kit_new();

	(void)state;
	(void)kit_join(k, "job");
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	kit_forget(k);
	kit_after(k, KIT_TTL_V / 2);
	for (unsigned v = 0; v < KIT_VOTERS; v++) {
		assert_int_equal(kit_said(k, v, WIRE_RELEASE)->term, 1);
		assert_false(kit_said(k, v, WIRE_RELEASE)->led);
	}
	kit_says(k, 0, 0, (struct wire_item) { .type = WIRE_NUDGE, .handle = 0 });
	kit_says(k, 1, 0, (struct wire_item) { .type = WIRE_NUDGE, .handle = 0 });
	assert_int_equal(kit_said(k, 0, WIRE_VOTE)->term, 2); /* R21 */
	kit_free(k);
}

static void a_session_counts_only_for_what_is_attached_to_it(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_join(k, "job");
	uint64_t end_ns;

	(void)state;
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	kit_ack(k, 0);
	kit_ack(k, 1);
	end_ns = candidate_deadline(e).boot_ns;
	kit_att_ack(k, 0);
	assert_int_equal(candidate_deadline(e).boot_ns, end_ns); /* R19: one of two */
	kit_att_ack(k, 1);
	assert_true(candidate_deadline(e).boot_ns > end_ns + 9000 * KIT_MS);
	kit_free(k);
}

static void a_lapse_is_final_whatever_is_answered_afterwards(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_lead(k, "job");
	struct kit_said renew[2];

	(void)state;
	kit_after(k, 2600);
	renew[0] = *kit_said(k, 0, WIRE_SESSION_RENEW);
	renew[1] = *kit_said(k, 1, WIRE_SESSION_RENEW);
	k->now.at.boot_ns += 8000 * KIT_MS;
	k->now.at.raw_ns += 8000 * KIT_MS;
	for (unsigned v = 0; v < 2; v++)
		kit_says(k, v, renew[v].round,
		         (struct wire_item) { .type = WIRE_S_ACK,
		                              .s = { .sid = renew[v].sid, .ttl_ms = KIT_TTL_MS, .attached_n = 1 } });
	assert_false(kit_believes(k, e)); /* R20 */
	assert_int_equal(k->lost, 1);
	assert_true(kit_said(k, 0, WIRE_RELEASE)->led);
	kit_free(k);
}

static void either_clock_ends_a_lease(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_lead(k, "job");
	struct instant end = candidate_deadline(e), now = k->now.at;

	(void)state;
	now.raw_ns = end.raw_ns; /* R2 */
	assert_false(candidate_believes(e, now, NULL));
	now = k->now.at;
	now.boot_ns = end.boot_ns;
	assert_false(candidate_believes(e, now, NULL));
	now.boot_ns = end.boot_ns - 1;
	now.raw_ns = end.raw_ns - 1;
	assert_true(candidate_believes(e, now, NULL));
	kit_free(k);
}

static void a_release_ends_belief_first_and_is_repeated_until_every_voter_answered(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_lead(k, "job");

	(void)state;
	kit_forget(k);
	candidate_release(e, "", TENURE_BY_RESIGN, k->now);
	assert_false(kit_believes(k, e));
	for (unsigned v = 0; v < 2; v++)
		kit_says(k, v, kit_said(k, v, WIRE_RELEASE)->round,
		         (struct wire_item) { .type = WIRE_REL_OK, .handle = 0, .term = 1 });
	assert_int_equal(k->released, 1);
	kit_forget(k);
	kit_after(k, 600);
	assert_null(kit_said(k, 0, WIRE_RELEASE));
	assert_non_null(kit_said(k, 2, WIRE_RELEASE)); /* R32 */
	candidate_disconnected(k->c, 2, k->now, NULL);
	kit_forget(k);
	kit_connect(k, 2, 102, 1, WIRE_SESSION_RESUMED);
	assert_int_equal(kit_said(k, 2, WIRE_RELEASE)->term, 1);
	kit_free(k);
}

static void an_answer_for_what_is_over_is_released_once(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_join(k, "job");
	struct kit_said attach;

	(void)state;
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	kit_ack(k, 0);
	kit_ack(k, 1);
	attach = *kit_said(k, 2, WIRE_ATTACH);
	candidate_release(e, "", TENURE_BY_RESIGN, k->now);
	kit_forget(k);
	kit_says(k, 2, attach.round,
	         (struct wire_item) { .type = WIRE_ATT_ACK, .handle = 0, .term = 1, .attach.sid = 102 });
	assert_null(kit_said(k, 2, WIRE_RELEASE)); /* ours went out after the ATTACH: it finds the slot */
	attach.round = kit_said(k, 2, WIRE_SESSION_RENEW) ? attach.round : attach.round + 1;
	kit_says(k, 2, attach.round + 1,
	         (struct wire_item) { .type = WIRE_ATT_ACK, .handle = 0, .term = 1, .attach.sid = 102 });
	assert_int_equal(kit_said(k, 2, WIRE_RELEASE)->term, 1); /* R21 */
	kit_free(k);
}

static void a_new_session_counts_for_nothing_before_it_is_attached_anew(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_lead(k, "job");
	uint64_t end_ns = candidate_deadline(e).boot_ns;

	(void)state;
	kit_after(k, 1000);
	kit_forget(k);
	for (unsigned v = 0; v < 2; v++) {
		candidate_disconnected(k->c, v, k->now, NULL);
		assert_true(kit_believes(k, e)); /* R14 */
		kit_connect(k, v, 200 + v, 2, WIRE_SESSION_NEW);
		kit_s_ack(k, v, 0);
	}
	assert_int_equal(candidate_deadline(e).boot_ns, end_ns); /* R31: what was promised stands, no more */
	kit_att_ack(k, 0);
	kit_att_ack(k, 1);
	assert_true(candidate_deadline(e).boot_ns > end_ns);
	kit_free(k);
}

static void answers_with_an_old_session_count_for_nothing(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_lead(k, "job");
	uint64_t end_ns = candidate_deadline(e).boot_ns;

	(void)state;
	kit_after(k, 2600);
	for (unsigned v = 0; v < 2; v++)
		kit_says(k, v, kit_said(k, v, WIRE_SESSION_RENEW)->round,
		         (struct wire_item) { .type = WIRE_S_ACK, .s = { .sid = 9, .ttl_ms = KIT_TTL_MS } });
	assert_int_equal(candidate_deadline(e).boot_ns, end_ns); /* R31 */
	kit_free(k);
}

static void a_wrong_clock_stops_renewals_and_belief_runs_out(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e = kit_lead(k, "job");
	struct tenure_error why = { .struct_size = sizeof why, .code = TENURE_ECLOCK, .message = "slewed" };

	(void)state;
	candidate_set_clock_fault(k->c, &why, k->now);
	kit_forget(k);
	kit_after(k, 5000);
	assert_null(kit_said(k, 0, WIRE_SESSION_RENEW));
	assert_true(kit_believes(k, e));
	kit_after(k, 5000);
	assert_false(kit_believes(k, e));
	assert_int_equal(k->lost, 1);
	kit_free(k);
}

/* R32: a voter that lists what is being campaigned for, or never was, must not bring the candidate down. */
static void a_false_list_is_borne(void **state)
{
	struct kit *k = kit_new();
	struct candidate_election *e;

	(void)state;
	e = kit_join(k, "job");
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	assert_non_null(kit_said(k, 0, WIRE_VOTE));
	for (unsigned i = 0; i < 4; i++) {
		kit_after(k, 3000);
		if (kit_said(k, 0, WIRE_LIST))
			break;
		kit_s_ack(k, 0, 7);
		kit_s_ack(k, 1, 0);
		kit_s_ack(k, 2, 0);
	}
	assert_non_null(kit_said(k, 0, WIRE_LIST));
	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	kit_says(k, 0, kit_said(k, 0, WIRE_LIST)->round,
	         (struct wire_item) { .type = WIRE_LIST_R, .term = 0, .list.name = { (const uint8_t *)"never", 5 } });
	kit_says(k, 0, kit_said(k, 0, WIRE_LIST)->round,
	         (struct wire_item) { .type = WIRE_LIST_R,
	                              .term = kit_said(k, 0, WIRE_VOTE)->term,
	                              .list.name = { (const uint8_t *)"job", 3 } });
	kit_after(k, 600);
	assert_false(kit_believes(k, e));
	kit_free(k);
}

static void connection_numbers_rise(void **state)
{
	struct kit *k = kit_new();
	uint32_t first = kit_said(k, 0, WIRE_HELLO)->conn_no;

	(void)state;
	candidate_disconnected(k->c, 0, k->now, NULL);
	kit_connect(k, 0, 100, 1, WIRE_SESSION_RESUMED);
	assert_true(kit_said(k, 0, WIRE_HELLO)->conn_no > first); /* R28 */
	assert_non_null(kit_said(k, 0, WIRE_SESSION_RENEW));
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vote_follows_the_nudges_of_q_voters_and_not_of_fewer),
		cmocka_unit_test(a_campaign_outbids_the_qth_smallest_known_term_not_the_highest),
		cmocka_unit_test(of_the_voters_that_are_left_the_qth_smallest_term_is_outbid),
		cmocka_unit_test(a_voter_in_its_hold_is_none_that_is_left),
		cmocka_unit_test(a_connection_that_does_not_come_about_is_begun_anew),
		cmocka_unit_test(q_answers_of_different_voters_win_and_one_voter_twice_does_not),
		cmocka_unit_test(a_vote_lasts_from_the_send_time_of_its_own_round),
		cmocka_unit_test(answers_after_the_deadline_win_nothing),
		cmocka_unit_test(a_lost_campaign_is_released_everywhere_and_its_term_is_not_used_again),
		cmocka_unit_test(a_session_counts_only_for_what_is_attached_to_it),
		cmocka_unit_test(a_lapse_is_final_whatever_is_answered_afterwards),
		cmocka_unit_test(either_clock_ends_a_lease),
		cmocka_unit_test(a_release_ends_belief_first_and_is_repeated_until_every_voter_answered),
		cmocka_unit_test(an_answer_for_what_is_over_is_released_once),
		cmocka_unit_test(a_new_session_counts_for_nothing_before_it_is_attached_anew),
		cmocka_unit_test(answers_with_an_old_session_count_for_nothing),
		cmocka_unit_test(a_wrong_clock_stops_renewals_and_belief_runs_out),
		cmocka_unit_test(connection_numbers_rise),
		cmocka_unit_test(a_false_list_is_borne),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
