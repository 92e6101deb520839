/* SPDX-License-Identifier: Apache-2.0 */
/* The client over leases that end, and events that nobody takes: on the toy, whose answers a test can hold back. */
#include "fixture.h"

#include <string.h>

#include "client/session.h"
#include "toy/toy_store.h"

static void await_lead_driven(struct tenure *t, struct tenure_candidacy *c)
{
	uint64_t end = now_ns() + GENEROUS;

	while (!tenure_leads(c, NULL) && now_ns() < end)
		drive(t);
	assert_true(tenure_leads(c, NULL));
}

static void renewals_carry_a_tenure_beyond_its_first_deadline(void **state)
{
	struct tenure *t = open_session(*state, "a");
	struct tenure_candidacy *c = campaign(t, "job");
	struct tenure_grant first = { 0 }, later = { 0 };

	(void)await_lead(c);
	assert_true(tenure_leads(c, &first));
	while (now_ns() <= first.deadline_ns)
		assert_int_equal(tenure_wait(c, TENURE_ENDED, MILLISECONDS(20)), TENURE_TIMEOUT);
	assert_true(tenure_leads(c, &later));
	assert_true(later.token == first.token && later.deadline_ns > first.deadline_ns);
	close_session(t);
}

/* Nobody drives the session: the clock alone ends the belief, without anybody's help. */
static void leadership_ends_at_the_deadline_though_the_loop_stands_still(void **state)
{
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_candidacy *c = campaign(t, "job");
	struct tenure_grant grant = { 0 };

	await_lead_driven(t, c);
	assert_true(tenure_leads(c, &grant));
	assert_true(grant.deadline_ns > grant.now_ns && grant.deadline_ns != TENURE_NS_NEVER);
	while (now_ns() < grant.deadline_ns)
		;
	assert_false(tenure_leads(c, NULL));
	assert_false(tenure_holds(c, grant.token));
	assert_false(tenure_may(c, TENURE_LEADER_ONLY, NULL));
	close_session(t);
}

static void notice_comes_before_the_deadline_and_expiry_at_it(void **state)
{
	struct tenure_campaign_options options = { .notice_ns = MILLISECONDS(150), .once = true };
	struct actor *a = actor_new(*state, "a", "job", options);
	struct recorded e;
	uint64_t token = await_lead(a->c);
	struct tenure_error why = TENURE_ERROR_INIT;

	toy_stall(true);
	e = recorder_at(&a->r, recorder_await_state(&a->r, 0, TENURE_AT_RISK));
	assert_true(e.token == token);
	assert_true(e.deadline_ns > 0);
	e = recorder_at(&a->r, recorder_await_state(&a->r, 0, TENURE_STEPPING_DOWN));
	assert_int_equal(e.cause, TENURE_BY_EXPIRY);
	assert_false(tenure_holds(a->c, token));
	await_state(a->c, TENURE_ENDED);
	assert_int_equal(tenure_state_of(a->c, &why), TENURE_ENDED);
	assert_int_equal(why.code, 0);
	toy_stall(false);
	actor_free(a);
}

static void renewals_that_come_back_in_time_end_the_risk(void **state)
{
	struct tenure_campaign_options options = { .notice_ns = MILLISECONDS(350) };
	struct actor *a = actor_new(*state, "a", "job", options);
	uint64_t token = await_lead(a->c);
	size_t at;

	toy_stall(true);
	at = recorder_await_state(&a->r, 0, TENURE_AT_RISK);
	toy_stall(false);
	(void)recorder_await_state(&a->r, at, TENURE_LEADING);
	assert_true(tenure_holds(a->c, token));
	actor_free(a);
}

/* ---- sessions of supervised programs ---- */

struct deadlines {
	unsigned n;
	uint64_t token, last_ns, at_ns;
	bool rise;
};

static void note_deadline(void *arg, const struct tenure_candidacy *c, uint64_t token, uint64_t deadline_ns)
{
	struct deadlines *d = arg;

	(void)c;
	d->rise = d->n == 0 || (d->rise && deadline_ns > d->last_ns && token == d->token);
	d->n++;
	d->token = token;
	d->last_ns = deadline_ns;
	d->at_ns = now_ns();
}

static void drive_for(struct tenure *t, uint64_t span_ns)
{
	for (uint64_t end = now_ns() + span_ns; now_ns() < end;)
		drive(t);
}

static void timings_that_leave_no_room_for_the_grace_are_refused_in_numbers(void **state)
{
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c;

	assert_int_equal(client_supervise(t, MILLISECONDS(300), MILLISECONDS(100), &error), TENURE_EUNSAFE);
	assert_string_equal(error.message,
	                    "unsafe timings: D(ttl) >= h + 2 r + grace + kill_margin is broken: 398ms < 5ms "
	                    "+ 2 x 5ms + 300ms + 100ms = 415ms (ttl 400ms); raise the ttl or lower the grace");
	assert_int_equal(client_supervise(t, MILLISECONDS(283), MILLISECONDS(100), &error), 0);
	c = campaign(t, "job");
	assert_int_equal(client_supervise(t, 0, 0, &error), TENURE_ESTATE);
	await_lead_driven(t, c);
	tenure_candidacy_free(c);
	close_session(t);
}

static void each_deadline_is_told_and_lies_the_kill_margin_before_the_provable_end(void **state)
{
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct deadlines seen = { 0 };
	struct tenure_candidacy *c;
	struct tenure_grant grant = { 0 };

	assert_int_equal(client_supervise(t, 0, MILLISECONDS(100), &error), 0);
	client_deadlines_to(t, note_deadline, &seen);
	c = campaign(t, "job");
	await_lead_driven(t, c);
	while (seen.n < 10)
		drive(t);
	assert_true(seen.rise);
	assert_true(tenure_leads(c, &grant) && grant.token == seen.token && grant.deadline_ns == seen.last_ns);
	/* the toy's lease: 400 ms from the instant of the renewal, which is a little before it was told */
	assert_true(seen.last_ns <= seen.at_ns + MILLISECONDS(300));
	assert_true(seen.last_ns > seen.at_ns + MILLISECONDS(200));
	tenure_candidacy_free(c);
	close_session(t);
}

static void what_is_held_is_released_only_when_the_program_is_proven_dead(void **state)
{
	struct actor *b;
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_campaign_options once = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_candidacy *c;

	assert_int_equal(client_supervise(t, 0, MILLISECONDS(100), &error), 0);
	once.once = true;
	c = campaign_with(t, "job", &once);
	await_lead_driven(t, c);
	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	assert_int_equal(tenure_resign(c, NULL), 0);
	assert_false(tenure_leads(c, NULL));
	drive_for(t, MILLISECONDS(600)); /* longer than the lease: it is kept alive */
	assert_false(tenure_leads(b->c, NULL));
	assert_int_equal(tenure_state_of(c, NULL), TENURE_STEPPING_DOWN);
	client_proven_dead(c);
	(void)await_lead_driven(t, b->c);
	close_session(t);
	actor_free(b);
}

/* Belief is over at the deadline; what may still run is covered until E, and beyond, as long as the store answers. */
static void a_lapse_at_the_deadline_releases_nothing_under_a_living_program(void **state)
{
	struct actor *b;
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_campaign_options once = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_candidacy *c;
	struct tenure_grant grant = { 0 };

	assert_int_equal(client_supervise(t, 0, MILLISECONDS(300), &error), 0);
	once.once = true;
	c = campaign_with(t, "job", &once);
	await_lead_driven(t, c);
	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	toy_stall(true);
	drive_for(t, MILLISECONDS(20));
	while (tenure_leads(c, &grant))
		drive(t);
	toy_stall(false); /* between the deadline and E: the lease is renewed, the belief is not */
	drive_for(t, MILLISECONDS(600));
	assert_false(tenure_leads(c, NULL));
	assert_false(tenure_leads(b->c, NULL));
	assert_int_equal(tenure_state_of(c, NULL), TENURE_STEPPING_DOWN);
	client_proven_dead(c);
	(void)await_lead_driven(t, b->c);
	drive_for(t, MILLISECONDS(20));
	assert_int_equal(tenure_state_of(c, NULL), TENURE_ENDED);
	close_session(t);
	actor_free(b);
}

static void a_handle_that_is_freed_has_no_program_and_is_released(void **state)
{
	struct actor *b;
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_campaign_options once = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_candidacy *c;

	assert_int_equal(client_supervise(t, 0, MILLISECONDS(100), &error), 0);
	once.once = true;
	c = campaign_with(t, "job", &once);
	await_lead_driven(t, c);
	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	assert_int_equal(tenure_resign(c, NULL), 0);
	drive_for(t, MILLISECONDS(20));
	tenure_candidacy_free(c);
	(void)await_lead_driven(t, b->c);
	close_session(t);
	actor_free(b);
}

/* ---- what the store may do wrong ---- */

static void a_token_that_does_not_rise_ends_the_candidacy_and_says_why(void **state)
{
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_candidacy *c = campaign(t, "job");
	struct tenure_error why = TENURE_ERROR_INIT;
	struct tenure_grant grant = { 0 };
	uint64_t end = now_ns() + GENEROUS;

	await_lead_driven(t, c);
	assert_true(tenure_leads(c, &grant));
	assert_int_equal(tenure_resign(c, NULL), 0);
	session_lock(t);
	candidacy_input(c, &(struct elector_input) { .kind = ELECTOR_RELEASED, .now_ns = now_ns() }, NULL);
	candidacy_input(c,
	                &(struct elector_input) { .kind = ELECTOR_GRANTED,
	                                          .now_ns = now_ns(),
	                                          .token = grant.token,
	                                          .deadline_ns = TENURE_NS_NEVER },
	                NULL);
	session_unlock(t);
	assert_false(tenure_leads(c, NULL));
	session_wake(t);
	while (tenure_state_of(c, NULL) != TENURE_ENDED && now_ns() < end)
		drive(t);
	assert_int_equal(tenure_state_of(c, &why), TENURE_ENDED);
	assert_int_equal(why.code, TENURE_EPROTO);
	assert_non_null(strstr(why.message, "does not rise"));
	close_session(t);
}

/* A trouble that has passed is no reason of a later, wished-for end. */
static void an_end_that_was_wished_for_has_no_error_though_there_was_one_before(void **state)
{
	struct tenure_campaign_options options = { .once = true };
	struct tenure_error trouble = TENURE_ERROR_INIT, why = TENURE_ERROR_INIT;
	struct actor *a = actor_new(*state, "a", "job", options), *b;

	(void)await_lead(a->c);
	b = actor_new(*state, "b", "job", options);
	await_waiting(a->t, "job", 1);
	trouble.code = TENURE_EUNREACHABLE;
	session_lock(b->t);
	candidacy_input(b->c, &(struct elector_input) { .kind = ELECTOR_UNREACHED, .now_ns = now_ns() }, &trouble);
	candidacy_input(b->c, &(struct elector_input) { .kind = ELECTOR_REACHED, .now_ns = now_ns() }, NULL);
	session_unlock(b->t);
	session_wake(b->t);
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	(void)await_lead(b->c);
	assert_int_equal(tenure_resign(b->c, NULL), 0);
	await_state(b->c, TENURE_ENDED);
	assert_int_equal(tenure_state_of(b->c, &why), TENURE_ENDED);
	assert_int_equal(why.code, 0);
	actor_free(a);
	actor_free(b);
}

static void events_that_find_no_room_are_announced_by_one_gap_at_the_end(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_embedded(*state, "a");
	struct tenure_candidacy *c;
	struct recorder r;
	size_t queue = 0, gaps = 0, n;

	recorder_init(&r);
	options.on_event = recorder_event;
	options.arg = &r;
	c = campaign_with(t, "job", &options);
	await_lead_driven(t, c);
	session_lock(t);
	for (size_t i = 0; i < 200; i++)
		candidacy_position(c, i);
	session_unlock(t);
	session_wake(t);
	(void)recorder_count(&r);
	for (int i = 0; i < 3; i++)
		drive(t);
	n = recorder_count(&r);
	for (size_t i = 0; i < n; i++) {
		queue += recorder_at(&r, i).type == TENURE_EV_QUEUE;
		gaps += recorder_at(&r, i).type == TENURE_EV_GAP;
	}
	assert_int_equal(queue, SESSION_MAX_EVENTS);
	assert_int_equal(gaps, 1);
	assert_int_equal(recorder_at(&r, n - 1).type, TENURE_EV_GAP);
	close_session(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(renewals_carry_a_tenure_beyond_its_first_deadline),
		TEST(leadership_ends_at_the_deadline_though_the_loop_stands_still),
		TEST(notice_comes_before_the_deadline_and_expiry_at_it),
		TEST(renewals_that_come_back_in_time_end_the_risk),
		TEST(timings_that_leave_no_room_for_the_grace_are_refused_in_numbers),
		TEST(each_deadline_is_told_and_lies_the_kill_margin_before_the_provable_end),
		TEST(what_is_held_is_released_only_when_the_program_is_proven_dead),
		TEST(a_lapse_at_the_deadline_releases_nothing_under_a_living_program),
		TEST(a_handle_that_is_freed_has_no_program_and_is_released),
		TEST(a_token_that_does_not_rise_ends_the_candidacy_and_says_why),
		TEST(an_end_that_was_wished_for_has_no_error_though_there_was_one_before),
		TEST(events_that_find_no_room_are_announced_by_one_gap_at_the_end),
	};

	(void)fixture_choose("toy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
