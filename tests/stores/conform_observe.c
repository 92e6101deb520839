/* SPDX-License-Identifier: Apache-2.0 */
/* What others see: observers, read, list and the accessors. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static struct tenure_observer *observe(struct tenure *t, struct recorder *r)
{
	struct tenure_observer *o = NULL;

	recorder_init(r);
	assert_int_equal(tenure_observe(t, "job", recorder_event, r, &o, NULL), 0);
	return o;
}

static void an_observer_sees_the_present_state_and_then_each_change_with_its_cause(void **state)
{
	struct tenure_campaign_options options = { .once = true, .value = "at:7", .value_bytes = 4 };
	struct tenure *t = open_session(*state, "observer");
	struct recorder r;
	struct actor *a, *b;
	struct tenure_observer *o = NULL;
	size_t at;

	if (!fixture_has(HAS_OBSERVE)) {
		assert_int_equal(tenure_observe(t, "job", recorder_event, &r, &o, NULL), TENURE_EUNSUPPORTED);
		assert_null(o);
		close_session(t);
		return;
	}
	o = observe(t, &r);
	at = recorder_await_type(&r, 0, TENURE_EV_LEADER);
	assert_false(recorder_at(&r, at).has_leader);
	assert_int_equal(recorder_at(&r, at).token, 0);
	a = actor_new(*state, "a", "job", options);
	at = recorder_await_leader(&r, at + 1, "a");
	assert_int_equal(recorder_at(&r, at).token, await_lead(a->c));
	assert_int_equal(recorder_at(&r, at).cause, TENURE_BY_ELECTION);
	assert_string_equal(recorder_at(&r, at).election, "job");
	assert_int_equal(recorder_at(&r, at).value_bytes, 4);
	assert_memory_equal(recorder_at(&r, at).value, "at:7", 4);
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	at = recorder_await_leader(&r, at + 1, NULL);
	assert_int_equal(recorder_at(&r, at).cause, TENURE_BY_RESIGN);
	b = actor_new(*state, "b", "job", options);
	at = recorder_await_leader(&r, at + 1, "b");
	assert_int_equal(recorder_at(&r, at).token, await_lead(b->c));
	assert_int_equal(tenure_set_eligible(b->c, false), 0);
	at = recorder_await_leader(&r, at + 1, NULL);
	assert_int_equal(recorder_at(&r, at).cause, TENURE_BY_HEALTH);
	tenure_observer_free(o);
	tenure_observer_free(NULL);
	actor_free(a);
	actor_free(b);
	close_session(t);
}

/* set_eligible(false) while it led nothing must not colour how a later tenure ends. */
static void the_cause_that_observers_see_is_that_of_this_end(void **state)
{
	struct tenure *t;
	struct recorder r;
	struct actor *a;
	size_t at;

	if (!fixture_has(HAS_OBSERVE))
		return;
	t = open_session(*state, "observer");
	a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 });
	await_lead(a->c);
	assert_int_equal(tenure_set_eligible(a->c, false), 0);
	await_state(a->c, TENURE_WAITING);
	assert_int_equal(tenure_set_eligible(a->c, false), 0);
	assert_int_equal(tenure_set_eligible(a->c, true), 0);
	await_lead(a->c);
	(void)observe(t, &r);
	at = recorder_await_leader(&r, 0, "a");
	tenure_candidacy_free(a->c);
	at = recorder_await_leader(&r, at + 1, NULL);
	assert_int_equal(recorder_at(&r, at).cause, TENURE_BY_RESIGN);
	actor_free(a);
	close_session(t);
}

static void an_observer_that_comes_late_sees_the_leader_at_once(void **state)
{
	struct actor *a;
	struct recorder r;
	size_t at;

	if (!fixture_has(HAS_OBSERVE))
		return;
	a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 });
	await_lead(a->c);
	(void)observe(a->t, &r);
	at = recorder_await_type(&r, 0, TENURE_EV_LEADER);
	assert_true(recorder_at(&r, at).has_leader);
	assert_string_equal(recorder_at(&r, at).leader, "a");
	actor_free(a);
}

static void a_status_shows_the_leader_and_those_who_wait(void **state)
{
	struct tenure_campaign_options options = { 0 };
	struct tenure_status *status;
	struct actor *a = actor_new(*state, "a", "job", options), *b, *c;
	uint64_t token = await_lead(a->c);
	const char *ids[2] = { NULL, NULL };
	unsigned up = 9, of = 9;
	size_t n = 9;

	b = actor_new(*state, "b", "job", options);
	await_waiting(a->t, "job", 1);
	c = actor_new(*state, "c", "job", options);
	await_waiting(a->t, "job", 2);
	assert_int_equal(tenure_read(a->t, "job", GENEROUS, &status, NULL), 0);
	assert_string_equal(tenure_status_leader(status), "a");
	assert_int_equal(strlen(tenure_status_identity(status)), 2 + 16);
	assert_memory_equal(tenure_status_identity(status), "a_", 2);
	assert_int_equal(tenure_status_token(status), token);
	assert_true(tenure_status_since_unix_ns(status) > 0);
	assert_true(tenure_status_expires_in_ns(status) > 0);
	assert_true(tenure_status_ttl_ns(status) == tenure_ttl_ns(a->t));
	assert_null(tenure_status_value(status, &n));
	assert_int_equal(n, 0);
	assert_null(tenure_status_value(status, NULL));
	tenure_status_voters(status, &up, &of);
	assert_int_equal(tenure_status_waiting(status, ids, 1), 2);
	assert_string_equal(ids[0], "b");
	assert_null(ids[1]);
	assert_int_equal(tenure_status_waiting(status, ids, 2), 2);
	assert_string_equal(ids[1], "c");
	tenure_status_free(status);
	tenure_status_free(NULL);
	actor_free(a);
	actor_free(b);
	actor_free(c);
}

static void an_election_that_was_never_used_reads_as_empty(void **state)
{
	struct tenure *t = open_session(*state, "reader");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_status *status;

	assert_int_equal(tenure_read(t, "nothing", GENEROUS, &status, &error), 0);
	assert_null(tenure_status_leader(status));
	assert_null(tenure_status_identity(status));
	assert_int_equal(tenure_status_token(status), 0);
	assert_int_equal(tenure_status_since_unix_ns(status), 0);
	assert_int_equal(tenure_status_expires_in_ns(status), 0);
	assert_int_equal(tenure_status_waiting(status, NULL, 0), 0);
	tenure_status_free(status);
	assert_int_equal(tenure_read(t, "no/thing", GENEROUS, &status, &error), TENURE_ENAME);
	assert_null(status);
	assert_int_equal(tenure_read(NULL, "a", GENEROUS, &status, &error), TENURE_EINVAL);
	close_session(t);
}

struct listing {
	unsigned n, stop_after;
	bool one, two, other;
};

static int listed(void *arg, const char *election)
{
	struct listing *l = arg;

	l->n++;
	if (strcmp(election, "one") == 0)
		l->one = true;
	else if (strcmp(election, "two") == 0)
		l->two = true;
	else
		l->other = true;
	return l->n == l->stop_after ? 42 : 0;
}

static void list_names_every_election_and_stops_where_it_is_told(void **state)
{
	struct tenure *t = open_session(*state, "lister");
	struct listing all = { 0 }, first = { .stop_after = 1 };

	if (!fixture_has(HAS_LIST)) {
		assert_int_equal(tenure_list(t, listed, &all, GENEROUS, NULL), TENURE_EUNSUPPORTED);
		close_session(t);
		return;
	}
	assert_int_equal(tenure_list(t, listed, &all, GENEROUS, NULL), 0);
	assert_int_equal(all.n, 0);
	await_lead(campaign(t, "one"));
	await_lead(campaign(t, "two"));
	assert_int_equal(tenure_list(t, listed, &all, GENEROUS, NULL), 0);
	assert_true(all.n == 2 && all.one && all.two && !all.other);
	assert_int_equal(tenure_list(t, listed, &first, GENEROUS, NULL), 42);
	assert_int_equal(first.n, 1);
	close_session(t);
}

static const struct CMUnitTest tests[] = {
	TEST(an_observer_sees_the_present_state_and_then_each_change_with_its_cause),
	TEST(the_cause_that_observers_see_is_that_of_this_end),
	TEST(an_observer_that_comes_late_sees_the_leader_at_once),
	TEST(a_status_shows_the_leader_and_those_who_wait),
	TEST(an_election_that_was_never_used_reads_as_empty),
	TEST(list_names_every_election_and_stops_where_it_is_told),
};
TESTS_OF(conform_observe, tests)
