/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, handles and sessions of a voter (R28 to R32), as transcripts; and what broken or greedy peers get. */
#include "voter_kit.h"

#include <stdio.h>

static struct voter_stats stats(struct kit *k)
{
	struct voter_stats s;

	voter_read_stats(k->v, k->now, &s);
	return s;
}

static struct voter_slot look(struct kit *k, const char *election)
{
	struct voter_slot slot;

	assert_true(voter_look(k->v, election, k->now, &slot));
	return slot;
}

/* ---- R28 ---- */

static void a_session_is_new_and_then_resumed_whatever_is_wanted(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	uint64_t sid;

	(void)state;
	SAY("a hello", "new");
	sid = kit_peer(k, 'a')->sid;
	assert_int_equal(sid >> 32, 1); /* the run */
	SAY("a drop", "");
	SAY("a hello", "resumed");
	assert_int_equal(kit_peer(k, 'a')->sid, sid);
	SAY("a drop", "");
	AT(1000); /* it began with ttl_v */
	SAY("a hello", "new");
	assert_int_not_equal(kit_peer(k, 'a')->sid, sid);
	kit_free(k);
}

static void a_newer_connection_closes_the_older_one(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct voter_peer *old, *p;
	struct wire_out o;
	struct wire_item vote = { .type = WIRE_VOTE, .term = 5, .lease.ttl_ms = 100 };
	size_t n_consumed;

	(void)state;
	SAY("a hello 1", "new");
	SAY("a vote job 1", "ack job 1 1000");
	old = a->p;
	a->p = voter_accept(k->v, a, k->now);
	{
		/* By hand, so that the old one is not dropped before it speaks again. */
		struct wire_item hello = { .type = WIRE_HELLO };

		hello.hello = (struct wire_hello) {
			.proto = WIRE_VERSION, .inc = kit_inc('a'), .conn_no = 2, .session = true
		};
		wire_out_init(&o);
		wire_out_begin(&o, 1, ++a->round);
		wire_out_put(&o, &hello);
		wire_out_close(&o);
		assert_int_equal(voter_receive(k->v, a->p, k->now, o.data, o.end, &n_consumed, NULL), VOTER_OK);
		wire_out_reset(&o);
		wire_out_begin(&o, 1, ++a->round);
		wire_out_put(&o, &vote);
		wire_out_close(&o);
		assert_int_equal(voter_receive(k->v, old, k->now, o.data + o.begin, wire_out_pending(&o), &n_consumed,
		                               NULL),
		                 VOTER_OK);
		assert_int_equal(n_consumed, wire_out_pending(&o)); /* swallowed */
		wire_out_deinit(&o);
	}
	assert_int_equal(look(k, "job").term, 1);
	p = voter_next_to_close(k->v);
	assert_ptr_equal(p, old);
	voter_drop(k->v, old, k->now);
	kit_after(k);
	HEARS("a", "resumed");
	SAY("a beat", "s_ack 10000 0");
	kit_free(k);
}

static void an_older_connection_is_refused(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello 5", "new");
	SAY("a drop", "");
	SAY("a hello 5", "refused conn_no");
	assert_null(kit_peer(k, 'a')->p);
	SAY("a hello 4", "refused conn_no");
	SAY("a hello 6", "resumed");
	SAY("a hello 6", "resumed"); /* again on the same connection: allowed */
	kit_free(k);
}

static void after_an_end_the_same_connection_says_hello_again(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello 1", "new");
	AT(1500);
	SAY("a beat", "s_nak ended");
	SAY("a hello 1", "new");
	SAY("a beat", "s_ack 10000 0");
	kit_free(k);
}

static void an_observer_has_no_session(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a observe", "none");
	SAY("a beat", "s_nak unknown");
	SAY("a attach job 1 4294967297", "nak job session 0 0");
	assert_int_equal(stats(k).sessions, 0);
	kit_free(k);
}

/* ---- R29, R30 ---- */

static void a_heartbeat_lengthens_the_session_and_all_that_rides_on_it(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "one", 1);
	kit_lead(k, 'a', "two", 1);
	AT(9000);
	SAY("a beat", "s_ack 10000 2");
	AT(18999);
	assert_false(look(k, "one").free);
	AT(19000);
	assert_true(look(k, "one").free);
	SAY("a beat", "s_nak ended"); /* for good */
	SAY("a beat", "s_nak ended");
	kit_free(k);
}

static void a_shorter_heartbeat_does_not_shorten_the_session(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a beat 300", "s_ack 300 1");
	AT(9999);
	assert_false(look(k, "job").free);
	kit_free(k);
}

static void an_end_that_a_message_sees_is_final(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	k->now = kit_time(10000); /* no timer ran */
	SAY("a attach job 1", "nak job session 1 0");
	SAY("a beat", "s_nak ended");
	assert_true(look(k, "job").free);
	kit_free(k);
}

static void an_ended_session_frees_what_was_attached_and_nothing_else(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "job", 1);
	SAY("a vote plain 1", "ack plain 1 1000");
	SAY("a renew plain 1 10000", "ack plain 1 10000");
	kit_lead(k, 'b', "other", 1);
	AT(5000);
	SAY("a renew plain 1 10000", "ack plain 1 10000");
	SAY("b beat", "s_ack 10000 1");
	AT(10000);
	assert_true(look(k, "job").free);
	assert_false(look(k, "plain").free);
	assert_false(look(k, "other").free);
	assert_int_equal(stats(k).held, 1);
	kit_free(k);
}

static void a_vote_does_not_ride_on_the_session(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("a beat", "s_ack 10000 0");
	SAY("a vote job 1", "ack job 1 1000");
	AT(1000);
	assert_true(look(k, "job").free);
	kit_free(k);
}

static void a_session_of_another_or_of_another_run_is_unknown(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	SAY("a hello", "new");
	SAY("b hello", "new");
	kit_peer(k, 'b')->sid = (uint64_t)77 << 32 | 1;
	SAY("b beat", "s_nak unknown");
	SAY("b attach job 1", "nak job session 0 0");
	kit_peer(k, 'b')->sid = kit_peer(k, 'a')->sid;
	SAY("b beat", "s_nak ended"); /* not its own: no use either */
	SAY("b attach job 1", "nak job session 0 0");
	SAY("a beat", "s_ack 10000 0");
	kit_free(k);
}

static void the_audit_lists_what_is_attached(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	kit_lead(k, 'a', "one", 1);
	kit_lead(k, 'a', "two", 2);
	SAY("a beat", "s_ack 10000 2");
	SAY("a list", "listed two 2; listed one 1; listed - 0");
	SAY("a release one 1", "rel_ok one 0");
	SAY("a list", "listed two 2; listed - 0");
	SAY("b hello", "new");
	kit_peer(k, 'b')->sid = kit_peer(k, 'a')->sid;
	SAY("b list", "listed - 0"); /* others' are nobody's business */
	kit_free(k);
}

/* ---- handles ---- */

static void a_handle_can_be_opened_again_for_another_name(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item open = { .type = WIRE_OPEN };

	(void)state;
	SAY("a hello", "new");
	SAY("a wait one 0 0", "queued one 0; nudge one 0");
	open.open.name = kit_text("two");
	(void)snprintf(a->names[0], sizeof a->names[0], "two");
	kit_send(k, a, &open, 1);
	HEARS("a", "open_r two ok");
	SAY("a vote two 1", "ack two 1 1000");
	assert_int_equal(stats(k).waiters, 0);
	kit_free(k);
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = { "", "_config", "-a", "a/b", "a..b", "a b" };
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item open = { .type = WIRE_OPEN }, vote = { .type = WIRE_VOTE, .term = 1 };

	(void)state;
	SAY("a hello", "new");
	(void)snprintf(a->names[0], sizeof a->names[0], "x");
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		open.open.name = kit_text(bad[i]);
		kit_send(k, a, &open, 1);
		HEARS("a", "open_r x denied denied");
	}
	open.open.name = (struct wire_bytes) { (const uint8_t *)"a\0b", 3 };
	kit_send(k, a, &open, 1);
	HEARS("a", "open_r x denied denied");
	kit_send(k, a, &vote, 1); /* of a handle that means nothing */
	HEARS("a", "open_r x denied denied");
	assert_int_equal(stats(k).elections, 0);
	kit_free(k);
}

static void what_was_only_looked_at_is_forgotten(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	char line[64];

	(void)state;
	SAY("a observe", "none");
	for (unsigned i = 0; i < KIT_ELECTIONS; i++) {
		(void)snprintf(line, sizeof line, "a watch e%u", i);
		(void)kit_say(k, line);
	}
	assert_int_equal(stats(k).elections, KIT_ELECTIONS);
	SAY("a drop", "");
	assert_int_equal(stats(k).elections, 0);
	kit_free(k);
}

static void a_full_voter_forgets_what_is_free_and_remembers_its_terms(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	voter_free(k->v);
	k->limits.max_elections = 2;
	assert_int_equal(kit_start(k, VOTER_FIRST, NULL, 0), 0);
	SAY("a hello", "new");
	SAY("a vote one 50", "ack one 50 1000");
	SAY("a vote two 1", "ack two 1 1000");
	SAY("b hello", "new");
	SAY("b vote three 51", "open_r three denied denied"); /* both are held: there was no room */
	SAY("b drop", "");
	SAY("a release one 50", "rel_ok one 0");
	SAY("a drop", "");
	SAY("c hello", "new");
	SAY("c vote three 50", "nak three term 50 0"); /* R27: the base term rose with what was dropped */
	SAY("c vote three 51", "ack three 51 1000");
	kit_free(k);
}

/* ---- nonsense ---- */

static void what_comes_before_hello_is_an_error(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item open = { .type = WIRE_OPEN };

	(void)state;
	a->p = voter_accept(k->v, a, k->now);
	open.open.name = kit_text("job");
	kit_send(k, a, &open, 1);
	assert_int_equal(a->code, TENURE_EPROTO);
	assert_null(a->p);
	assert_int_equal(stats(k).bad_frames, 1);
	kit_free(k);
}

static void another_version_or_cluster_is_told_and_closed(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item item = { .type = WIRE_HELLO };

	(void)state;
	item.hello = (struct wire_hello) { .proto = WIRE_VERSION + 1, .inc = kit_inc('a'), .conn_no = 1 };
	a->p = voter_accept(k->v, a, k->now);
	kit_send(k, a, &item, 1);
	HEARS("a", "refused version");
	assert_int_equal(a->code, TENURE_EVERSION);
	item.hello.proto = WIRE_VERSION;
	item.hello.cluster.bytes[0] = 8;
	a->p = voter_accept(k->v, a, k->now);
	kit_send(k, a, &item, 1);
	HEARS("a", "refused cluster");
	assert_int_equal(a->code, TENURE_ECLUSTER);
	item.hello.cluster.bytes[0] = 7;
	a->p = voter_accept(k->v, a, k->now);
	kit_send(k, a, &item, 1);
	HEARS("a", "none");
	kit_free(k);
}

static void what_only_voters_say_is_an_error(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item item = { .type = WIRE_ATT_ACK, .term = 1 };

	(void)state;
	SAY("a hello", "new");
	kit_send(k, a, &item, 1);
	assert_int_equal(a->code, TENURE_EPROTO);
	kit_free(k);
}

static void another_configuration_gets_no_lease(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item vote = { .type = WIRE_VOTE, .term = 1, .lease.ttl_ms = 100 };
	struct wire_out o;

	(void)state;
	SAY("a hello", "new");
	vote.handle = kit_handle(k, a, "job");
	(void)kit_heard(k, 'a');
	wire_out_init(&o);
	wire_out_begin(&o, 2, ++a->round); /* R38 */
	wire_out_put(&o, &vote);
	wire_out_close(&o);
	memcpy(a->left, o.data, o.end);
	a->n_left = o.end;
	kit_receive(k, a);
	HEARS("a", "nak job cver 0 0");
	wire_out_deinit(&o);
	kit_free(k);
}

static void who_does_not_read_is_closed(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a');
	struct wire_item reads[64];
	struct wire_out o;
	size_t n_consumed;
	int code = VOTER_OK;

	(void)state;
	voter_free(k->v);
	k->limits.max_out_bytes = 10000;
	assert_int_equal(kit_start(k, VOTER_FIRST, NULL, 0), 0);
	SAY("a hello", "new");
	for (unsigned i = 0; i < 64; i++)
		reads[i] = (struct wire_item) { .type = WIRE_READ, .handle = kit_handle(k, a, "job") };
	wire_out_init(&o);
	for (unsigned n = 0; n < 100 && code == VOTER_OK; n++) {
		wire_out_reset(&o);
		wire_out_begin(&o, 1, ++a->round);
		for (unsigned i = 0; i < 64; i++)
			wire_out_put(&o, &reads[i]);
		wire_out_close(&o);
		code = voter_receive(k->v, a->p, k->now, o.data + o.begin, wire_out_pending(&o), &n_consumed, NULL);
	}
	assert_int_equal(code, TENURE_ELIMIT);
	assert_true(voter_peer_out(a->p)->end < 20000);
	wire_out_deinit(&o);
	kit_free(k);
}

static void a_watcher_that_does_not_read_is_put_on_the_list(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct kit_peer *a = kit_peer(k, 'a'), *b = kit_peer(k, 'b');
	struct voter_peer *closed = NULL;
	struct wire_item vote = { .type = WIRE_VOTE, .lease.ttl_ms = 100 };
	struct wire_out o;
	size_t n_consumed;

	(void)state;
	voter_free(k->v);
	k->limits.max_out_bytes = 1000;
	assert_int_equal(kit_start(k, VOTER_FIRST, NULL, 0), 0);
	SAY("b observe", "none");
	assert_non_null(strstr(kit_say(k, "b watch job"), "read_r"));
	SAY("a hello", "new");
	vote.handle = kit_handle(k, a, "job");
	wire_out_init(&o);
	for (unsigned n = 1; n < 200 && !closed; n++) {
		vote.term = n;
		wire_out_reset(&o);
		wire_out_begin(&o, 1, ++a->round);
		wire_out_put(&o, &vote);
		wire_out_close(&o);
		assert_int_equal(voter_receive(k->v, a->p, k->now, o.data + o.begin, wire_out_pending(&o), &n_consumed,
		                               NULL),
		                 VOTER_OK);
		wire_out_reset(voter_peer_out(a->p));
		closed = voter_next_to_close(k->v);
	}
	assert_ptr_equal(closed, b->p);
	wire_out_deinit(&o);
	kit_free(k);
}

static void ten_thousand_idle_connections_come_and_go(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct voter_peer **peers = calloc(10000, sizeof(struct voter_peer *));

	(void)state;
	assert_non_null(peers);
	for (unsigned i = 0; i < 10000; i++) {
		peers[i] = voter_accept(k->v, NULL, k->now);
		assert_non_null(peers[i]);
	}
	assert_int_equal(stats(k).peers, 10000);
	SAY("a hello", "new");
	SAY("a vote job 1", "ack job 1 1000");
	for (unsigned i = 0; i < 10000; i++)
		voter_drop(k->v, peers[i], k->now);
	assert_int_equal(stats(k).peers, 1);
	free(peers);
	kit_free(k);
}

static void a_limit_of_connections_and_sessions_is_kept(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);

	(void)state;
	voter_free(k->v);
	k->limits.max_peers = 2;
	k->limits.max_sessions = 1;
	assert_int_equal(kit_start(k, VOTER_FIRST, NULL, 0), 0);
	SAY("a hello", "new");
	SAY("b hello", "refused limit");
	SAY("b observe", "none");
	assert_null(voter_accept(k->v, NULL, k->now));
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_new_and_then_resumed_whatever_is_wanted),
		cmocka_unit_test(a_newer_connection_closes_the_older_one),
		cmocka_unit_test(an_older_connection_is_refused),
		cmocka_unit_test(after_an_end_the_same_connection_says_hello_again),
		cmocka_unit_test(an_observer_has_no_session),
		cmocka_unit_test(a_heartbeat_lengthens_the_session_and_all_that_rides_on_it),
		cmocka_unit_test(a_shorter_heartbeat_does_not_shorten_the_session),
		cmocka_unit_test(an_end_that_a_message_sees_is_final),
		cmocka_unit_test(an_ended_session_frees_what_was_attached_and_nothing_else),
		cmocka_unit_test(a_vote_does_not_ride_on_the_session),
		cmocka_unit_test(a_session_of_another_or_of_another_run_is_unknown),
		cmocka_unit_test(the_audit_lists_what_is_attached),
		cmocka_unit_test(a_handle_can_be_opened_again_for_another_name),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(what_was_only_looked_at_is_forgotten),
		cmocka_unit_test(a_full_voter_forgets_what_is_free_and_remembers_its_terms),
		cmocka_unit_test(what_comes_before_hello_is_an_error),
		cmocka_unit_test(another_version_or_cluster_is_told_and_closed),
		cmocka_unit_test(what_only_voters_say_is_an_error),
		cmocka_unit_test(another_configuration_gets_no_lease),
		cmocka_unit_test(who_does_not_read_is_closed),
		cmocka_unit_test(a_watcher_that_does_not_read_is_put_on_the_list),
		cmocka_unit_test(ten_thousand_idle_connections_come_and_go),
		cmocka_unit_test(a_limit_of_connections_and_sessions_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
