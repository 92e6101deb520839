/* SPDX-License-Identifier: Apache-2.0 */
/* One leader at a time, tokens that rise, and the order of the queue. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void a_lone_candidate_leads_with_a_token_and_a_deadline(void **state)
{
	struct tenure *t = open_session(*state, "alone");
	struct tenure_candidacy *c = campaign(t, "job");
	struct tenure_grant grant = { 0 };

	await_lead(c);
	assert_true(tenure_leads(c, &grant));
	assert_true(tenure_leads(c, NULL));
	assert_true(tenure_holds(c, grant.token));
	assert_false(tenure_holds(c, grant.token + 1));
	assert_true(tenure_may(c, TENURE_LEADER_ONLY, NULL));
	assert_true(tenure_may(c, TENURE_FOLLOWER_SAFE, NULL));
	assert_false(tenure_may(c, (enum tenure_operation)77, NULL));
	assert_true(fixture_has(HAS_ENDLESS_LEASE) == (grant.deadline_ns == TENURE_NS_NEVER));
	assert_true(fixture_has(HAS_ENDLESS_LEASE) == (tenure_ttl_ns(t) == TENURE_NS_NEVER));
	assert_true(tenure_ttl_ns(t) > 0);
	close_session(t);
}

static void tokens_rise_over_resigning_again_and_again(void **state)
{
	struct tenure *t = open_session(*state, "again");
	struct tenure_candidacy *c = campaign(t, "job");
	uint64_t last = 0;

	for (int i = 0; i < 10; i++) {
		uint64_t token = await_lead(c);

		assert_true(token > last);
		last = token;
		assert_int_equal(tenure_resign(c, NULL), 0);
		assert_true(!tenure_holds(c, token));
	}
	close_session(t);
}

static void tokens_rise_over_reopening_the_store(void **state)
{
	uint64_t last = 0;

	if (!fixture_has(HAS_DURABILITY))
		return;
	for (int i = 0; i < 5; i++) {
		struct tenure *t = open_session(*state, "reopened");
		uint64_t token = await_lead(campaign(t, "job"));

		assert_true(token > last);
		last = token;
		close_session(t);
	}
}

static void elections_of_one_session_are_led_side_by_side(void **state)
{
	struct tenure *t = open_session(*state, "many");
	struct tenure_candidacy *c[20];

	for (int i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "job-%d", i);
		c[i] = campaign(t, name);
	}
	for (int i = 0; i < 20; i++)
		await_lead(c[i]);
	for (int i = 0; i < 20; i++)
		assert_true(tenure_leads(c[i], NULL));
	close_session(t);
}

#define THOUSAND 1000

/* A lease for each would be a thousand renewals: one session renews them all. */
static void a_thousand_elections_of_one_session_stay_led_beyond_their_first_deadline(void **state)
{
	static struct tenure_candidacy *c[THOUSAND];
	static uint64_t tokens[THOUSAND];
	struct tenure_grant grant = { 0 };
	struct tenure *t;

	if (fixture_has(HAS_ENDLESS_LEASE))
		return; /* descriptors are what counts there */
	t = open_session(*state, "thousand");
	for (int i = 0; i < THOUSAND; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "job-%d", i);
		c[i] = campaign(t, name);
	}
	for (int i = 0; i < THOUSAND; i++)
		tokens[i] = await_lead(c[i]);
	assert_true(tenure_leads(c[THOUSAND - 1], &grant));
	while (now_ns() <= grant.deadline_ns)
		assert_int_equal(tenure_wait(c[0], TENURE_ENDED, MILLISECONDS(20)), TENURE_TIMEOUT);
	for (int i = 0; i < THOUSAND; i++)
		assert_true(tenure_holds(c[i], tokens[i]));
	close_session(t);
}

static void those_who_wait_lead_in_the_order_in_which_they_came(void **state)
{
	struct actor *a[5];
	struct tenure_campaign_options options = { .once = true };

	for (int i = 0; i < 5; i++) {
		char id[8];

		(void)snprintf(id, sizeof id, "c%d", i);
		a[i] = actor_new(*state, id, "job", options);
		if (i == 0)
			await_lead(a[0]->c);
		await_waiting(a[i]->t, "job", (size_t)i);
	}
	for (int i = 0; i < 5; i++) {
		await_lead(a[i]->c);
		for (int j = i + 1; j < 5; j++)
			assert_false(tenure_leads(a[j]->c, NULL));
		assert_int_equal(tenure_resign(a[i]->c, NULL), 0);
	}
	for (int i = 0; i < 5; i++)
		actor_free(a[i]);
}

static void a_higher_priority_goes_before_those_who_came_first(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct actor *first, *low, *high, *middle;
	struct tenure *t = open_session(*state, "x");
	struct tenure_candidacy *c = NULL;

	if (!fixture_has(HAS_PRIORITY)) {
		options.priority = 1;
		assert_int_equal(tenure_campaign(t, "job", &options, &c, NULL), TENURE_EUNSUPPORTED);
		assert_null(c);
		close_session(t);
		return;
	}
	options.once = true;
	first = actor_new(*state, "first", "job", options);
	await_lead(first->c);
	low = actor_new(*state, "low", "job", options);
	await_waiting(t, "job", 1);
	options.priority = 65535;
	high = actor_new(*state, "high", "job", options);
	options.priority = 7;
	middle = actor_new(*state, "middle", "job", options);
	await_waiting(t, "job", 3);
	assert_true(tenure_leads(first->c, NULL)); /* a priority is a place in the queue, no right to take over */
	assert_int_equal(tenure_resign(first->c, NULL), 0);
	await_lead(high->c);
	assert_int_equal(tenure_resign(high->c, NULL), 0);
	await_lead(middle->c);
	assert_int_equal(tenure_resign(middle->c, NULL), 0);
	await_lead(low->c);
	actor_free(first);
	actor_free(low);
	actor_free(high);
	actor_free(middle);
	close_session(t);
}

/* ---- many threads ---- */

#define CONTENDERS 8
#define ROUNDS     12

struct contender {
	pthread_t thread;
	const char *url;
	struct ledger *ledger;
	int who;
};

static void *contend(void *arg)
{
	const struct contender *me = arg;
	struct timespec moment = { .tv_nsec = 200000 };
	char id[16];
	struct tenure *t;
	struct tenure_candidacy *c;

	(void)snprintf(id, sizeof id, "thread-%d", me->who);
	t = open_session(me->url, id);
	c = campaign(t, "job");
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t token = await_lead(c);

		ledger_enter(me->ledger, me->who, token);
		(void)nanosleep(&moment, NULL);
		ledger_exit(me->ledger);
		(void)tenure_resign(c, NULL);
	}
	(void)tenure_close(t, GENEROUS);
	return NULL;
}

static void of_many_threads_never_two_lead_at_once(void **state)
{
	struct contender contenders[CONTENDERS];
	struct ledger *ledger = ledger_new();

	for (int i = 0; i < CONTENDERS; i++) {
		contenders[i] = (struct contender) { .url = *state, .ledger = ledger, .who = i };
		assert_int_equal(pthread_create(&contenders[i].thread, NULL, contend, &contenders[i]), 0);
	}
	for (int i = 0; i < CONTENDERS; i++)
		assert_int_equal(pthread_join(contenders[i].thread, NULL), 0);
	ledger_judge(ledger, (size_t)CONTENDERS * ROUNDS);
	ledger_free(ledger);
}

static void once_ends_after_one_tenure_without_an_error(void **state)
{
	struct tenure_campaign_options options = { .once = true };
	struct actor *a = actor_new(*state, "once", "job", options);
	struct tenure_error why = TENURE_ERROR_INIT;

	await_lead(a->c);
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	await_state(a->c, TENURE_ENDED);
	assert_int_equal(tenure_state_of(a->c, &why), TENURE_ENDED);
	assert_int_equal(why.code, 0);
	assert_int_equal(tenure_wait(a->c, TENURE_LEADING, BRIEFLY), TENURE_ESTATE);
	assert_int_equal(tenure_resign(a->c, NULL), TENURE_NOT_LEADING);
	actor_free(a);
}

static void without_once_a_candidate_that_resigns_waits_again_last_in_the_queue(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 }), *b;
	uint64_t first = await_lead(a->c), second;

	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	await_waiting(b->t, "job", 1);
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	second = await_lead(b->c);
	assert_true(second > first);
	await_waiting(b->t, "job", 1);
	assert_int_equal(tenure_resign(b->c, NULL), 0);
	assert_true(await_lead(a->c) > second);
	actor_free(a);
	actor_free(b);
}

static void one_that_is_not_eligible_neither_leads_nor_waits(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 }), *b;
	uint64_t token = await_lead(a->c);
	size_t at;

	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	await_waiting(b->t, "job", 1);
	assert_int_equal(tenure_set_eligible(a->c, false), 0);
	assert_false(tenure_leads(a->c, NULL));
	at = recorder_await_state(&a->r, 0, TENURE_STEPPING_DOWN);
	assert_int_equal(recorder_at(&a->r, at).cause, TENURE_BY_HEALTH);
	assert_true(await_lead(b->c) > token);
	await_waiting(b->t, "job", 0);
	assert_int_equal(tenure_set_eligible(b->c, false), 0);
	assert_int_equal(tenure_wait(a->c, TENURE_LEADING, BRIEFLY), TENURE_TIMEOUT);
	assert_int_equal(tenure_set_eligible(a->c, true), 0);
	await_lead(a->c);
	actor_free(a);
	actor_free(b);
}

static const struct CMUnitTest tests[] = {
	TEST(a_lone_candidate_leads_with_a_token_and_a_deadline),
	TEST(tokens_rise_over_resigning_again_and_again),
	TEST(tokens_rise_over_reopening_the_store),
	TEST(elections_of_one_session_are_led_side_by_side),
	TEST(a_thousand_elections_of_one_session_stay_led_beyond_their_first_deadline),
	TEST(those_who_wait_lead_in_the_order_in_which_they_came),
	TEST(a_higher_priority_goes_before_those_who_came_first),
	TEST(of_many_threads_never_two_lead_at_once),
	TEST(once_ends_after_one_tenure_without_an_error),
	TEST(without_once_a_candidate_that_resigns_waits_again_last_in_the_queue),
	TEST(one_that_is_not_eligible_neither_leads_nor_waits),
};
TESTS_OF(conform_elect, tests)
