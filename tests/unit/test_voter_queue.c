/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits and who watches: the queue, nudges, handover, observers (R33 to R36), as transcripts. */
#include "voter_kit.h"

#include <stdio.h>

/* 3*RTT + 20 ms, at the RTT that is taken before the first estimate */
#define NUDGE_MS UINT64_C(23)

/* ---- R33 ---- */

static void the_order_is_priority_then_ticket_then_incarnation(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("c hello", "new");
	SAY("b hello", "new");
	SAY("d hello", "new");
	SAY("e hello", "new");
	SAY("c wait job 0 100", "queued job 0");
	SAY("b wait job 0 100", "queued job 0"); /* the same ticket, a lower inc */
	SAY("d wait job 0 50", "queued job 0");
	SAY("e wait job 7 900", "queued job 0");
	SAY("c read job", "read_r job 1 live a 1 election 10000 - e d b c");
	SAY("c wait job 0 100", "queued job 3"); /* again: its place */
	SAY("c wait job 9 100", "queued job 0");
	kit_free(k);
}

static void a_ticket_is_clamped_to_ten_seconds(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	AT(3000);
	SAY("b beat", "s_nak ended");
	SAY("b wait job 0 2000000", "queued job 0"); /* far ahead: now + 10 s */
	SAY("c wait job 0 13001", "queued job 1");   /* clamped to the same, and c is behind b by inc */
	SAY("d hello", "new");
	SAY("d wait job 0 12999", "queued job 0");
	kit_free(k);
}

static void the_head_is_nudged_when_the_slot_is_released_and_the_next_after_it(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("a release job 1", "rel_ok job 2");
	HEARS("b", "nudge job 1");
	HEARS("c", "");
	AT(NUDGE_MS - 1);
	HEARS("c", "");
	AT(NUDGE_MS);
	HEARS("b", "");
	HEARS("c", "nudge job 1");
	AT(NUDGE_MS + 500);
	HEARS("b", "");
	AT(2 * NUDGE_MS + 1000); /* all in vain: from the head again */
	HEARS("b", "nudge job 1");
	kit_free(k);
}

static void a_nudge_counts_for_three_round_trips_of_the_one_that_is_nudged(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b beat 10000 20000", "s_ack 10000 0");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("a release job 1", "rel_ok job 2");
	HEARS("b", "nudge job 1");
	AT(79);
	HEARS("c", "");
	AT(80);
	HEARS("c", "nudge job 1");
	kit_free(k);
}

static void a_round_trip_is_clamped(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b beat 10000 4000000000", "s_ack 10000 0");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("a release job 1", "rel_ok job 2");
	AT(3019); /* c's own session is over by then; it waits all the same */
	HEARS("c", "");
	AT(3020);
	HEARS("c", "nudge job 1");
	kit_free(k);
}

static void the_head_is_nudged_when_a_lease_ends_by_itself(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 1 300", "ack job 1 300"); /* provisional */
	kit_lead(k, 'a', "two", 1);               /* by a session of 10 s */
	SAY("b hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("b wait two 0 1", "queued two 0");
	AT(299);
	HEARS("b", "");
	AT(300);
	HEARS("b", "nudge job 1");
	SAY("b vote job 2 1000", "ack job 2 1000");
	SAY("b unwait job", "");
	AT(9999);
	HEARS("b", "");
	AT(10000);
	HEARS("b", "nudge two 1");
	kit_free(k);
}

static void nobody_is_nudged_while_the_slot_is_held(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	AT(9000);
	HEARS("b", "");
	SAY("a beat", "s_ack 10000 1");
	AT(15000);
	HEARS("b", "");
	kit_free(k);
}

static void the_end_of_the_hold_nudges_the_heads(void **state)
{
	struct kit *k = kit_new(VOTER_UNCLEAN);

	(void)state;
	SAY("b hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c hello", "new");
	SAY("c wait job 0 2", "queued job 1");
	AT(9999);
	HEARS("b", "");
	AT(10000);
	HEARS("b", "nudge job 1048576");
	HEARS("c", "");
	kit_free(k);
}

static void who_comes_to_a_free_slot_is_nudged_at_once(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("b hello", "new");
	SAY("b wait job 0 1", "queued job 0; nudge job 0");
	SAY("c hello", "new");
	SAY("c wait job 0 2", "queued job 1"); /* b's nudge counts still */
	AT(NUDGE_MS);
	HEARS("c", "nudge job 0");
	kit_free(k);
}

static void a_broken_connection_drops_the_waiter_and_the_next_is_nudged(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("d hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("d wait job 0 3", "queued job 2");
	SAY("b drop", "");
	HEARS("c", "queued job 0"); /* next in line now, while the slot is held */
	HEARS("d", "");             /* 200 waiting must not mean 200 messages */
	SAY("a release job 1", "rel_ok job 2");
	HEARS("c", "nudge job 1");
	SAY("c drop", "");
	HEARS("d", "nudge job 1"); /* at once */
	kit_free(k);
}

static void a_won_election_ends_the_wait(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0; nudge job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("b vote job 1", "ack job 1 1000");
	SAY("c read job", "read_r job 1 live b 1 election 1000 - b c"); /* a vote alone wins nothing */
	SAY("b attach job 1", "att_ack job 1");
	HEARS("c", "queued job 0");
	SAY("c read job", "read_r job 1 live b 1 election 1000 - c");
	kit_free(k);
}

static void a_lost_campaign_nudges_the_head_again(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0; nudge job 0");
	SAY("c vote job 1", "ack job 1 1000");
	AT(NUDGE_MS * 2);
	HEARS("b", "");
	SAY("c give-up job 1", "rel_ok job 1");
	HEARS("b", "nudge job 1");
	kit_free(k);
}

static void a_full_queue_takes_nobody_in(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	voter_free(k->v);
	k->limits.max_waiters_per_election = 1;
	assert_int_equal(kit_start(k, VOTER_FIRST, NULL, 0), 0);
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 9 0", "queued job 1");
	SAY("c read job", "read_r job 1 live a 1 election 10000 - b");
	kit_free(k);
}

/* ---- R35 ---- */

static void a_named_successor_is_nudged_first_and_its_place_kept(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a beat 10000 2000", "s_ack 10000 1"); /* so 6 ms */
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("a release job 1 c", "rel_ok job 2");
	HEARS("c", "nudge job 1");
	HEARS("b", "");
	SAY("b vote job 2", "nak job held 1 6");
	SAY("b pre job 2", "pre_r job no 1 6 2");
	AT(3);
	SAY("a release job 1 c", "rel_ok job 2"); /* repeated: the time does not start anew */
	SAY("c vote job 2", "ack job 2 1000");
	SAY("b read job", "read_r job 2 live c 2 transfer 1000 - b c");
	kit_free(k);
}

static void the_place_is_kept_for_three_round_trips_only(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a beat 10000 2000", "s_ack 10000 1");
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	SAY("a release job 1 c", "rel_ok job 2");
	HEARS("c", "nudge job 1");
	AT(5);
	SAY("b vote job 2", "nak job held 1 1");
	AT(NUDGE_MS);
	HEARS("b", "nudge job 1");
	SAY("b vote job 2", "ack job 2 1000");
	kit_free(k);
}

static void a_successor_may_be_named_by_its_identity(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct quorum_id inc = kit_inc('c');
	char line[64];

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("c wait job 0 2", "queued job 1");
	(void)snprintf(line, sizeof line, "a release job 1 c_%016lx", quorum_public_hash(&inc));
	SAY(line, "rel_ok job 2");
	HEARS("c", "nudge job 1");
	HEARS("b", "");
	kit_free(k);
}

static void an_unknown_successor_means_the_next_in_line(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("b hello", "new");
	SAY("c hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("a release job 1 nobody", "rel_ok job 1");
	HEARS("b", "nudge job 1");
	SAY("c vote job 2", "ack job 2 1000"); /* no place is kept */
	kit_free(k);
}

/* ---- observers ---- */

static void a_watcher_hears_every_change_of_the_holder(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("w observe", "none");
	SAY("w watch job", "read_r job 0 free - 0 - 0 -");
	kit_lead(k, 'a', "job", 1);
	HEARS("w", "read_r job 1 live a 1 election 1000 -");
	SAY("a value job 1 hello", "value_ok job 1");
	HEARS("w", "read_r job 1 live a 1 election 10000 hello");
	SAY("a value job 1 hello", "value_ok job 1"); /* the same */
	SAY("a beat", "s_ack 10000 1");
	HEARS("w", "");
	SAY("b hello", "new");
	SAY("b wait job 0 1", "queued job 0"); /* waiters are for READ */
	HEARS("w", "");
	SAY("a release job 1", "rel_ok job 1");
	HEARS("w", "read_r job 1 free - 1 resign 0 -");
	SAY("b vote job 2 500", "ack job 2 500");
	HEARS("w", "read_r job 2 live b 2 election 500 -");
	AT(500);
	HEARS("w", "read_r job 2 free - 2 expiry 0 -");
	SAY("w unwatch job", "");
	SAY("b vote job 3 500", "ack job 3 500");
	HEARS("w", "");
	kit_free(k);
}

static void a_voter_in_its_hold_answers_unknown(void **state)
{
	struct kit *k = kit_new(VOTER_UNCLEAN);

	(void)state;
	SAY("w observe", "none");
	SAY("w read job", "read_r job 1048576 unknown - 0 - 10000 -");
	AT(1000);
	SAY("a hello", "new");
	SAY("a attach job 5", "att_ack job 5");
	SAY("w read job", "read_r job 1048576 live a 5 election 1000 -");
	AT(10000);
	SAY("w read job", "read_r job 1048576 free - 5 expiry 0 -");
	kit_free(k);
}

static void the_end_of_the_hold_is_told_to_who_watches(void **state)
{
	struct kit *k = kit_new(VOTER_UNCLEAN);

	(void)state;
	SAY("w observe", "none");
	SAY("w watch job", "read_r job 1048576 unknown - 0 - 10000 -");
	AT(9999);
	HEARS("w", "");
	AT(10000);
	HEARS("w", "read_r job 1048576 free - 0 - 0 -");
	kit_free(k);
}

static void any_cursor_of_names_is_answered(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *w = kit_peer(k, 'w');
	struct wire_item items[2] = { { .type = WIRE_NAMES }, { .type = WIRE_NAMES } };

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("w observe", "none");
	items[0].names.name = items[1].names.name = kit_text("j");
	kit_send(k, w, items, 2);
	HEARS("w", "name job 1 live; name - 0; name job 1 live; name - 0");
	items[0].names.cursor = 1000; /* beyond all: the end */
	kit_send(k, w, items, 1);
	HEARS("w", "name - 0");
	items[0].names.cursor = UINT64_MAX;
	kit_send(k, w, items, 1);
	HEARS("w", "name - 0");
	kit_free(k);
}

static void the_names_are_those_that_were_led(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "backup", 1);
	kit_lead(k, 'a', "batch", 2);
	kit_lead(k, 'a', "cron", 3);
	SAY("a release batch 2", "rel_ok batch 0");
	SAY("w observe", "none");
	SAY("w read looked-at", "read_r looked-at 0 free - 0 - 0 -");
	SAY("w names", "name backup 1 live; name batch 2; name cron 3 live; name - 0");
	SAY("w names ba", "name backup 1 live; name batch 2; name - 0");
	kit_free(k);
}

static void a_value_belongs_to_the_slot_and_is_gone_with_it(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a value job 1 mine", "value_ok job 1");
	SAY("b hello", "new");
	SAY("b value job 1 not-mine", ""); /* silence: not its slot */
	SAY("b read job", "read_r job 1 live a 1 election 10000 mine");
	SAY("a release job 1", "rel_ok job 0");
	SAY("b read job", "read_r job 1 free - 1 resign 0 -");
	SAY("b vote job 2", "ack job 2 1000");
	SAY("b read job", "read_r job 2 live b 2 election 1000 -");
	kit_free(k);
}

static void a_wish_reaches_the_holder_now_and_when_it_comes_back(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("w observe", "none");
	SAY("w ask job 1 b", "ask_ok job posted");
	HEARS("a", "asked job 1 b");
	SAY("a attach job 1", "att_ack job 1; asked job 1 b");
	SAY("a drop", "");
	SAY("a hello", "resumed");
	SAY("a pre job 2", "pre_r job yes 1 10000 0");
	SAY("w ask job 1", "ask_ok job posted"); /* a newer wish: the next in line */
	HEARS("a", "asked job 1 -");
	SAY("w ask job 7", "ask_ok job not_leading");
	SAY("a release job 1", "rel_ok job 0");
	SAY("w ask job 1", "ask_ok job not_leading");
	SAY("a vote job 2", "ack job 2 1000");
	SAY("a attach job 2", "att_ack job 2"); /* until T changes */
	kit_free(k);
}

static void a_wish_is_told_again_when_a_resumed_session_opens_the_election(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item open = { .type = WIRE_OPEN };

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a drop", "");
	SAY("w observe", "none");
	SAY("w ask job 0 b", "ask_ok job posted");
	SAY("a hello", "resumed");
	(void)snprintf(a->names[0], sizeof a->names[0], "job");
	open.open.name = kit_text("job");
	kit_send(k, a, &open, 1);
	HEARS("a", "open_r job ok; asked job 1 b");
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_is_priority_then_ticket_then_incarnation),
		cmocka_unit_test(a_ticket_is_clamped_to_ten_seconds),
		cmocka_unit_test(the_head_is_nudged_when_the_slot_is_released_and_the_next_after_it),
		cmocka_unit_test(a_nudge_counts_for_three_round_trips_of_the_one_that_is_nudged),
		cmocka_unit_test(a_round_trip_is_clamped),
		cmocka_unit_test(the_head_is_nudged_when_a_lease_ends_by_itself),
		cmocka_unit_test(nobody_is_nudged_while_the_slot_is_held),
		cmocka_unit_test(the_end_of_the_hold_nudges_the_heads),
		cmocka_unit_test(who_comes_to_a_free_slot_is_nudged_at_once),
		cmocka_unit_test(a_broken_connection_drops_the_waiter_and_the_next_is_nudged),
		cmocka_unit_test(a_won_election_ends_the_wait),
		cmocka_unit_test(a_lost_campaign_nudges_the_head_again),
		cmocka_unit_test(a_full_queue_takes_nobody_in),
		cmocka_unit_test(a_named_successor_is_nudged_first_and_its_place_kept),
		cmocka_unit_test(the_place_is_kept_for_three_round_trips_only),
		cmocka_unit_test(a_successor_may_be_named_by_its_identity),
		cmocka_unit_test(an_unknown_successor_means_the_next_in_line),
		cmocka_unit_test(a_watcher_hears_every_change_of_the_holder),
		cmocka_unit_test(a_voter_in_its_hold_answers_unknown),
		cmocka_unit_test(the_end_of_the_hold_is_told_to_who_watches),
		cmocka_unit_test(any_cursor_of_names_is_answered),
		cmocka_unit_test(the_names_are_those_that_were_led),
		cmocka_unit_test(a_value_belongs_to_the_slot_and_is_gone_with_it),
		cmocka_unit_test(a_wish_reaches_the_holder_now_and_when_it_comes_back),
		cmocka_unit_test(a_wish_is_told_again_when_a_resumed_session_opens_the_election),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
