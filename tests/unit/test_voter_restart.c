/* SPDX-License-Identifier: Apache-2.0 */
/* A voter's starts and stops: hold and quiet, snapshots, bounds of leases (R24 to R27), as transcripts. */
#include "voter_kit.h"

#include <stdio.h>

#include "base/crc32c.h"

static struct voter_slot look(struct kit *k, const char *election)
{
	struct voter_slot slot;

	assert_true(voter_look(k->v, election, k->now, &slot));
	return slot;
}

static void crash(struct kit *k)
{
	voter_free(k->v);
	k->writes = false;
	k->disk.run++;
	assert_int_equal(kit_start(k, VOTER_UNCLEAN, NULL, 0), 0);
	kit_after(k);
}

/* A clean stop and start; the snapshot is the caller's to free. */
static uint8_t *restart(struct kit *k, size_t *n_bytes)
{
	uint8_t *snapshot = voter_freeze(k->v, k->now, n_bytes);

	assert_non_null(snapshot);
	voter_free(k->v);
	k->disk.clean_run = k->disk.run;
	k->disk.run++;
	k->now = kit_time(k->now.at.boot_ns / QUORUM_NS_PER_MS - KIT_EPOCH_MS +
	                  60000); /* a downtime, which is not subtracted */
	assert_int_equal(kit_start(k, VOTER_CLEAN, snapshot, *n_bytes), 0);
	kit_after(k);
	return snapshot;
}

/* ---- R24 ---- */

static void a_new_store_votes_at_once(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a pre job 1", "pre_r job yes 0 0 0");
	SAY("a attach job 1", "att_ack job 1");
	kit_free(k);
}

static void after_a_crash_no_vote_is_given_for_max_ttl(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a vote job 5", "ack job 5 1000");
	crash(k);
	SAY("b hello", "new");
	SAY("b vote job 1048577", "nak job hold 1048576 10000");
	SAY("b pre job 1048577", "pre_r job no 1048576 10000 0");
	AT(9999);
	SAY("b vote job 1048577", "nak job hold 1048576 1");
	AT(10000);
	SAY("b vote job 1048576", "nak job term 1048576 0"); /* every term that may have been granted is refused */
	SAY("b vote job 1048577", "ack job 1048577 1000");
	SAY("b vote new 1048576", "nak new term 1048576 0"); /* of unknown elections too */
	kit_free(k);
}

static void the_ceiling_is_raised_before_the_hold_is_over(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	crash(k);
	assert_int_equal(k->disk.ceiling, 2u << 20);
	crash(k);
	assert_int_equal(k->disk.ceiling, 3u << 20);
	kit_free(k);
}

static void after_a_crash_sitting_leaders_are_adopted_once_quiet_has_passed(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 5);
	crash(k);
	SAY("a hello", "new");
	SAY("a attach job 5", "nak job quiet 1048576 1000");
	SAY("a renew job 5 10000", "nak job quiet 1048576 1000");
	AT(999);
	SAY("a attach job 5", "nak job quiet 1048576 1");
	SAY("a beat", "s_ack 10000 0");
	AT(1000);
	SAY("a attach job 5", "att_ack job 5");
	SAY("a vote job 1048577", "nak job hold 1048576 9999"); /* R12: the hold goes on, for the adopted holder too */
	kit_free(k);
}

static void sessions_of_an_earlier_run_are_unknown_after_a_crash(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	uint64_t sid;

	(void)state;
	SAY("a hello", "new");
	sid = kit_peer(k, 'a')->sid;
	crash(k);
	SAY("a hello", "new");
	assert_int_not_equal(kit_peer(k, 'a')->sid, sid);
	kit_peer(k, 'a')->sid = sid;
	SAY("a beat", "s_nak unknown");
	AT(1000);
	SAY("a attach job 5", "nak job session 1048576 0");
	kit_free(k);
}

/* ---- R25 ---- */

static void a_clean_restart_forgets_nothing_but_the_queue(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	size_t n_bytes;
	uint64_t sid;
	uint8_t *snapshot;

	(void)state;
	kit_lead(k, 'a', "job", 5);
	SAY("a value job 5 mine", "value_ok job 5");
	SAY("b hello", "new");
	SAY("b wait job 0 1", "queued job 0");
	SAY("b vote an-election-whose-name-is-longer-than-most-names-are 7 800",
	    "ack an-election-whose-name-is-longer-than-most-names-are 7 800");
	SAY("b vote over 3", "ack over 3 1000");
	SAY("b release over 4", "rel_ok over 0");
	SAY("w observe", "none");
	SAY("w ask job 5 b", "ask_ok job posted");
	AT(300);
	sid = kit_peer(k, 'a')->sid;
	snapshot = restart(k, &n_bytes);
	SAY("a hello", "resumed");
	assert_int_equal(kit_peer(k, 'a')->sid, sid);
	SAY("a beat", "s_ack 10000 1"); /* nothing has to be attached again */
	SAY("w observe", "none");
	SAY("w read job", "read_r job 5 live a 5 election 10000 mine");
	SAY("w read an-election-whose-name-is-longer-than-most-names-are",
	    "read_r an-election-whose-name-is-longer-than-most-names-are 7 live b 7 election 500 -");
	SAY("w read over", "read_r over 3 free - 4 resign 0 -");
	SAY("b hello", "resumed");
	SAY("b attach over 4", "nak over released 3 0");
	SAY("b vote over 3", "nak over term 3 0");
	SAY("a attach job 5", "att_ack job 5; asked job 5 b");
	SAY("b vote new 1", "ack new 1 1000"); /* no hold, and terms as they were */
	free(snapshot);
	kit_free(k);
}

static void what_was_left_of_a_session_begins_anew_at_the_start(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	size_t n_bytes;
	uint8_t *snapshot;

	(void)state;
	kit_lead(k, 'a', "job", 5);
	AT(4000);
	snapshot = restart(k, &n_bytes); /* at 64,000 */
	AT(64000 + 5999);
	assert_false(look(k, "job").free);
	AT(64000 + 6000);
	assert_true(look(k, "job").free);
	free(snapshot);
	kit_free(k);
}

static void what_was_left_of_hold_and_quiet_begins_anew_at_the_start(void **state)
{
	struct kit *k = kit_new(VOTER_UNCLEAN);
	size_t n_bytes;
	uint8_t *snapshot;

	(void)state;
	AT(400);
	snapshot = restart(k, &n_bytes); /* at 60,400 */
	SAY("a hello", "new");
	SAY("a attach job 5", "nak job quiet 1048576 600");
	SAY("a vote job 1048577", "nak job hold 1048576 9600");
	AT(60400 + 9600);
	SAY("a vote job 1048577", "ack job 1048577 1000");
	free(snapshot);
	kit_free(k);
}

static void a_clean_restart_nudges_who_waits_anew(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	size_t n_bytes;
	uint8_t *snapshot;

	(void)state;
	SAY("b hello", "new");
	SAY("b vote job 4", "ack job 4 1000");
	SAY("b give-up job 4", "rel_ok job 0");
	snapshot = restart(k, &n_bytes);
	SAY("b hello", "resumed");
	SAY("b wait job 0 1", "queued job 0; nudge job 4");
	free(snapshot);
	kit_free(k);
}

static void after_the_snapshot_nothing_is_processed_or_sent(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item vote = { .type = WIRE_VOTE, .term = 1u << 21, .lease.ttl_ms = 100 };
	size_t n_bytes;
	uint8_t *snapshot;

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	vote.handle = kit_handle(k, a, "job");
	(void)kit_heard(k, 'a');
	kit_send(k, a, &vote, 1); /* waits for the disk */
	snapshot = voter_freeze(k->v, k->now, &n_bytes);
	assert_non_null(snapshot);
	kit_disk(k);
	kit_receive(k, a);
	HEARS("a", "");
	assert_true(a->n_left > 0);
	assert_int_equal(look(k, "job").term, 0);
	assert_null(voter_next_to_send(k->v));
	assert_true(voter_next_ns(k->v) == UINT64_MAX);
	free(snapshot);
	kit_free(k);
}

/* Starts with these bytes, and says whether the voter took them. */
static bool serves(struct kit *k, const uint8_t *snapshot, size_t n_bytes)
{
	struct voter_stats stats;
	int code;

	voter_free(k->v);
	code = kit_start(k, VOTER_CLEAN, snapshot, n_bytes);
	assert_true(code == 0 || code == TENURE_EFOREIGN);
	voter_read_stats(k->v, k->now, &stats);
	assert_int_equal(stats.hold_left_ns > 0, code != 0); /* a bad one makes the start unclean */
	assert_int_equal(stats.elections, code == 0 ? 2 : 0);
	return code == 0;
}

static void a_snapshot_that_does_not_agree_is_none(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	size_t n_bytes;
	uint8_t *snapshot, *damaged;

	(void)state;
	kit_lead(k, 'a', "job", 5);
	SAY("a value job 5 v", "value_ok job 5");
	SAY("a vote other 6", "ack other 6 1000");
	snapshot = restart(k, &n_bytes);
	damaged = malloc(n_bytes + 1);
	assert_non_null(damaged);
	assert_true(serves(k, snapshot, n_bytes));
	for (size_t cut = 0; cut < n_bytes; cut++)
		assert_false(serves(k, snapshot, cut));
	for (size_t at = 0; at < n_bytes; at++) {
		memcpy(damaged, snapshot, n_bytes);
		damaged[at] ^= 1;
		assert_false(serves(k, damaged, n_bytes));
	}
	memcpy(damaged, snapshot, n_bytes);
	damaged[n_bytes] = 0;
	assert_false(serves(k, damaged, n_bytes + 1));
	k->disk.run++; /* that of another run: it serves once */
	assert_false(serves(k, snapshot, n_bytes));
	k->disk.run--;
	k->disk.vid.bytes[0] ^= 1; /* that of another voter */
	assert_false(serves(k, snapshot, n_bytes));
	k->disk.vid.bytes[0] ^= 1;
	assert_true(serves(k, snapshot, n_bytes));
	free(damaged);
	free(snapshot);
	kit_free(k);
}

/* Whoever can write the file can make the checksum too: nothing that it says is trusted. */
static void a_snapshot_with_a_forged_checksum_breaks_nothing(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	size_t n_bytes;
	uint8_t *snapshot, *forged;

	(void)state;
	kit_lead(k, 'a', "job", 5);
	SAY("a value job 5 v", "value_ok job 5");
	SAY("b hello", "new");
	SAY("b vote other 6", "ack other 6 1000");
	snapshot = restart(k, &n_bytes);
	forged = malloc(n_bytes);
	assert_non_null(forged);
	for (size_t at = 0; at < n_bytes - 4; at++) {
		static const uint8_t flips[] = { 1, 0x80, 0xff };

		for (unsigned i = 0; i < sizeof flips; i++) {
			uint32_t sum;

			memcpy(forged, snapshot, n_bytes);
			forged[at] ^= flips[i];
			sum = crc32c(forged, n_bytes - 4);
			for (unsigned b = 0; b < 4; b++)
				forged[n_bytes - 4 + b] = (uint8_t)(sum >> (8 * b));
			voter_free(k->v);
			(void)kit_start(k, VOTER_CLEAN, forged, n_bytes);
			assert_non_null(k->v);
			voter_tick(k->v, k->now);
		}
	}
	free(forged);
	free(snapshot);
	kit_free(k);
}

/* ---- R26 ---- */

static void a_longer_bound_is_granted_once_it_is_durable(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	k->slow_disk = true;
	SAY("a hello", "new");
	voter_set_max_ttl(k->v, 20000, 2000, k->now);
	SAY("a beat 20000", "s_ack 10000 0");
	SAY("a vote job 1 2000", "nak job ttl 0 0");
	assert_int_equal(k->writing.max_ttl_ms, 20000);
	assert_int_equal(k->writing.max_ttl_v_ms, 2000);
	kit_disk(k);
	SAY("a beat 20000", "s_ack 20000 0");
	SAY("a vote job 1 2000", "ack job 1 2000");
	kit_free(k);
}

static void a_shorter_bound_is_obeyed_at_once_and_durable_later(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a beat", "s_ack 10000 0");
	voter_set_max_ttl(k->v, 4000, 500, k->now);
	kit_after(k);
	SAY("a beat", "s_ack 4000 0");
	SAY("a vote job 1 501", "nak job ttl 0 0");
	AT(9999);
	assert_int_equal(k->disk.max_ttl_ms, 10000);
	AT(10000);
	assert_int_equal(k->disk.max_ttl_ms, 4000);
	assert_int_equal(k->disk.max_ttl_v_ms, 500);
	kit_free(k);
}

static void a_bound_that_was_lowered_and_raised_again_is_never_too_short(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	voter_set_max_ttl(k->v, 4000, 500, k->now);
	kit_after(k);
	AT(5000);
	voter_set_max_ttl(k->v, 8000, 1000, k->now);
	kit_after(k);
	AT(14999);
	assert_int_equal(k->disk.max_ttl_ms, 10000); /* counted anew */
	AT(15000);
	assert_int_equal(k->disk.max_ttl_ms, 8000);
	assert_int_equal(k->disk.max_ttl_v_ms, 1000);
	kit_free(k);
}

static void a_bound_raised_while_a_shorter_one_is_written_waits_for_its_own_write(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	voter_set_max_ttl(k->v, 4000, 500, k->now);
	kit_after(k);
	k->slow_disk = true;
	AT(10000);
	assert_int_equal(k->writing.max_ttl_ms, 4000);
	voter_set_max_ttl(k->v, 10000, 1000, k->now);
	SAY("b hello", "new");
	SAY("b beat", "s_ack 4000 0"); /* a crash now may find either */
	SAY("b vote job 1 501", "nak job ttl 0 0");
	kit_disk(k);
	SAY("b beat", "s_ack 4000 0");
	kit_disk(k);
	SAY("b beat", "s_ack 10000 0");
	assert_int_equal(k->disk.max_ttl_ms, 10000);
	kit_free(k);
}

static void a_clean_start_with_room_for_fewer_elections_loads_them_all(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct voter_slot slot;
	uint8_t *snapshot;
	size_t n_bytes;

	(void)state;
	SAY("a hello", "new");
	SAY("a vote one 1", "ack one 1 1000");
	SAY("a vote two 1", "ack two 1 1000");
	SAY("a vote three 1", "ack three 1 1000");
	snapshot = voter_freeze(k->v, k->now, &n_bytes);
	voter_free(k->v);
	k->disk.clean_run = k->disk.run++;
	k->limits = (struct voter_limits) { .max_elections = 2 };
	assert_int_equal(kit_start(k, VOTER_CLEAN, snapshot, n_bytes), 0);
	free(snapshot);
	assert_true(voter_look(k->v, "one", k->now, &slot) && !slot.free);
	assert_true(voter_look(k->v, "two", k->now, &slot) && !slot.free);
	assert_true(voter_look(k->v, "three", k->now, &slot) && !slot.free);
	kit_free(k);
}

static void a_crash_after_a_lowered_bound_holds_for_the_old_one(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct voter_stats stats;

	(void)state;
	voter_set_max_ttl(k->v, 1000, 200, k->now);
	kit_after(k);
	AT(9000);
	crash(k);
	voter_read_stats(k->v, k->now, &stats);
	assert_int_equal(stats.hold_left_ns, 10000 * QUORUM_NS_PER_MS);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_store_votes_at_once),
		cmocka_unit_test(after_a_crash_no_vote_is_given_for_max_ttl),
		cmocka_unit_test(the_ceiling_is_raised_before_the_hold_is_over),
		cmocka_unit_test(after_a_crash_sitting_leaders_are_adopted_once_quiet_has_passed),
		cmocka_unit_test(sessions_of_an_earlier_run_are_unknown_after_a_crash),
		cmocka_unit_test(a_clean_restart_forgets_nothing_but_the_queue),
		cmocka_unit_test(what_was_left_of_a_session_begins_anew_at_the_start),
		cmocka_unit_test(what_was_left_of_hold_and_quiet_begins_anew_at_the_start),
		cmocka_unit_test(a_clean_restart_nudges_who_waits_anew),
		cmocka_unit_test(after_the_snapshot_nothing_is_processed_or_sent),
		cmocka_unit_test(a_snapshot_that_does_not_agree_is_none),
		cmocka_unit_test(a_snapshot_with_a_forged_checksum_breaks_nothing),
		cmocka_unit_test(a_longer_bound_is_granted_once_it_is_durable),
		cmocka_unit_test(a_shorter_bound_is_obeyed_at_once_and_durable_later),
		cmocka_unit_test(a_bound_that_was_lowered_and_raised_again_is_never_too_short),
		cmocka_unit_test(a_bound_raised_while_a_shorter_one_is_written_waits_for_its_own_write),
		cmocka_unit_test(a_clean_start_with_room_for_fewer_elections_loads_them_all),
		cmocka_unit_test(a_crash_after_a_lowered_bound_holds_for_the_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
