/* SPDX-License-Identifier: Apache-2.0 */
/* Resigning to the next or to a named one, asking a leader to, and values. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static struct tenure_campaign_options once(void)
{
	return (struct tenure_campaign_options) { .once = true };
}

static void leadership_goes_to_the_next_when_no_name_is_given(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", once()), *b, *c;
	uint64_t token = await_lead(a->c);

	b = actor_new(*state, "b", "job", once());
	await_waiting(a->t, "job", 1);
	c = actor_new(*state, "c", "job", once());
	await_waiting(a->t, "job", 2);
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	assert_true(await_lead(b->c) > token);
	assert_false(tenure_leads(c->c, NULL));
	actor_free(a);
	actor_free(b);
	actor_free(c);
}

static void leadership_goes_to_the_one_that_is_named(void **state)
{
	struct actor *a, *b, *c;
	size_t at;

	if (!fixture_has(HAS_ASK))
		return; /* to_id is for stores that can name the next */
	a = actor_new(*state, "a", "job", once());
	await_lead(a->c);
	b = actor_new(*state, "b", "job", once());
	await_waiting(a->t, "job", 1);
	c = actor_new(*state, "c", "job", once());
	await_waiting(a->t, "job", 2);
	assert_int_equal(tenure_resign(a->c, "c"), 0);
	await_lead(c->c);
	at = recorder_await_state(&c->r, 0, TENURE_LEADING);
	assert_int_equal(recorder_at(&c->r, at).cause, TENURE_BY_TRANSFER);
	assert_false(tenure_leads(b->c, NULL));
	assert_int_equal(tenure_resign(c->c, NULL), 0);
	await_lead(b->c);
	at = recorder_await_state(&b->r, 0, TENURE_LEADING);
	assert_int_equal(recorder_at(&b->r, at).cause, TENURE_BY_ELECTION);
	actor_free(a);
	actor_free(b);
	actor_free(c);
}

static void a_name_that_does_not_wait_leaves_leadership_to_the_next(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", once()), *b;
	char long_id[200];

	await_lead(a->c);
	b = actor_new(*state, "b", "job", once());
	await_waiting(a->t, "job", 1);
	memset(long_id, 'x', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	assert_int_equal(tenure_resign(a->c, long_id), TENURE_EINVAL);
	assert_true(tenure_leads(a->c, NULL));
	assert_int_equal(tenure_resign(a->c, "nobody"), 0);
	await_lead(b->c);
	actor_free(a);
	actor_free(b);
}

static void asking_moves_leadership_and_tells_how_it_went(void **state)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure *t = open_session(*state, "asker");
	struct actor *a, *b;

	if (!fixture_has(HAS_ASK)) {
		assert_int_equal(tenure_ask_resign(t, "job", NULL, GENEROUS, &error), TENURE_EUNSUPPORTED);
		assert_true(error.message[0] != '\0');
		close_session(t);
		return;
	}
	assert_int_equal(tenure_ask_resign(t, "job", NULL, GENEROUS, &error), TENURE_NOT_LEADING);
	assert_int_equal(tenure_ask_resign(t, "a/b", NULL, GENEROUS, &error), TENURE_ENAME);
	a = actor_new(*state, "a", "job", once());
	await_lead(a->c);
	b = actor_new(*state, "b", "job", once());
	await_waiting(t, "job", 1);
	assert_int_equal(tenure_ask_resign(t, "job", "nobody", GENEROUS, &error), TENURE_ENOENT);
	assert_non_null(strstr(error.message, "nobody"));
	assert_true(tenure_leads(a->c, NULL));
	assert_int_equal(tenure_ask_resign(t, "job", NULL, GENEROUS, &error), 0);
	assert_int_equal(error.code, 0);
	assert_false(tenure_leads(a->c, NULL));
	await_lead(b->c);
	actor_free(a);
	actor_free(b);
	close_session(t);
}

static void asking_for_a_named_one_moves_leadership_there(void **state)
{
	struct tenure_status *status;
	struct tenure *t;
	struct actor *a, *b, *c;

	if (!fixture_has(HAS_ASK))
		return;
	t = open_session(*state, "asker");
	a = actor_new(*state, "a", "job", once());
	await_lead(a->c);
	b = actor_new(*state, "b", "job", once());
	await_waiting(t, "job", 1);
	c = actor_new(*state, "c", "job", once());
	await_waiting(t, "job", 2);
	assert_int_equal(tenure_ask_resign(t, "job", "c", GENEROUS, NULL), 0);
	await_lead(c->c);
	/* and back to b, by its identity, which is what it leads under */
	assert_int_equal(tenure_ask_resign(t, "job", "b", GENEROUS, NULL), 0);
	await_lead(b->c);
	assert_int_equal(tenure_read(t, "job", GENEROUS, &status, NULL), 0);
	assert_string_equal(tenure_status_leader(status), "b");
	tenure_status_free(status);
	actor_free(a);
	actor_free(b);
	actor_free(c);
	close_session(t);
}

static void an_ambiguous_id_is_refused_with_the_identities_that_it_means(void **state)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char identity[100] = "";
	const char *at;
	struct tenure *t;
	struct actor *a, *twins[2];

	if (!fixture_has(HAS_ASK))
		return;
	t = open_session(*state, "asker");
	a = actor_new(*state, "a", "job", once());
	await_lead(a->c);
	for (size_t i = 0; i < 2; i++) {
		twins[i] = actor_new(*state, "twin", "job", once());
		await_waiting(t, "job", i + 1);
	}
	assert_int_equal(tenure_ask_resign(t, "job", "twin", GENEROUS, &error), TENURE_EAMBIGUOUS);
	assert_true(tenure_leads(a->c, NULL));
	at = strstr(error.message, "twin_");
	assert_non_null(at);
	assert_non_null(strstr(at + 1, "twin_"));
	at = strstr(at + 1, "twin_"); /* the second one by its identity, past the first */
	memcpy(identity, at, strlen("twin_") + 16);
	assert_int_equal(tenure_ask_resign(t, "job", identity, GENEROUS, &error), 0);
	await_lead(twins[1]->c);
	assert_false(tenure_leads(twins[0]->c, NULL));
	actor_free(a);
	actor_free(twins[0]);
	actor_free(twins[1]);
	close_session(t);
}

static void a_leader_that_wants_to_be_asked_decides_itself(void **state)
{
	struct tenure_campaign_options options = { .once = true, .ask_first = true };
	struct recorded asked;
	struct tenure *t;
	struct actor *a, *b;

	if (!fixture_has(HAS_ASK))
		return;
	t = open_session(*state, "asker");
	a = actor_new(*state, "a", "job", options);
	await_lead(a->c);
	b = actor_new(*state, "b", "job", once());
	await_waiting(t, "job", 1);
	assert_int_equal(tenure_ask_resign(t, "job", "b", BRIEFLY, NULL), TENURE_TIMEOUT);
	asked = recorder_at(&a->r, recorder_await_type(&a->r, 0, TENURE_EV_ASKED));
	assert_true(tenure_leads(a->c, NULL));
	assert_true(asked.has_leader);
	assert_true(strncmp(asked.leader, "b_", 2) == 0);
	assert_int_equal(tenure_resign(a->c, asked.leader), 0);
	await_lead(b->c);
	actor_free(a);
	actor_free(b);
	close_session(t);
}

/* ---- values ---- */

static void assert_value(struct tenure *t, const void *value, size_t value_bytes)
{
	uint64_t end = now_ns() + GENEROUS;
	bool same = false;

	while (!same && now_ns() < end) {
		struct tenure_status *status;
		const void *found;
		size_t n = 0;

		assert_int_equal(tenure_read(t, "job", GENEROUS, &status, NULL), 0);
		found = tenure_status_value(status, &n);
		same = tenure_status_leader(status) && n == value_bytes && (found != NULL) == (n > 0) &&
		       (n == 0 || memcmp(found, value, n) == 0);
		tenure_status_free(status);
	}
	assert_true(same);
}

static void values_of_every_size_reach_the_readers_as_they_are(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_session(*state, "reader");
	struct tenure_candidacy *c = NULL;
	unsigned char value[4097];

	for (size_t i = 0; i < sizeof value; i++)
		value[i] = (unsigned char)(i * 7);
	options.value = value;
	options.value_bytes = 1;
	if (!fixture_has(HAS_VALUE)) {
		assert_int_equal(tenure_campaign(t, "job", &options, &c, NULL), TENURE_EUNSUPPORTED);
		c = campaign(t, "job");
		assert_int_equal(tenure_set_value(c, value, 1), TENURE_EUNSUPPORTED);
		close_session(t);
		return;
	}
	options.value_bytes = 4097;
	assert_int_equal(tenure_campaign(t, "job", &options, &c, NULL), TENURE_EINVAL);
	options.value = NULL;
	options.value_bytes = 1;
	assert_int_equal(tenure_campaign(t, "job", &options, &c, NULL), TENURE_EINVAL);
	options.value = value;
	options.value_bytes = 4096;
	c = campaign_with(t, "job", &options);
	await_lead(c);
	assert_value(t, value, 4096);
	for (size_t n = 0; n <= 4096; n = n * 2 + 1) {
		assert_int_equal(tenure_set_value(c, value, n), 0);
		assert_value(t, value, n);
	}
	assert_int_equal(tenure_set_value(c, value, 4097), TENURE_EINVAL);
	assert_int_equal(tenure_set_value(c, NULL, 1), TENURE_EINVAL);
	assert_int_equal(tenure_set_value(c, NULL, 0), 0);
	assert_value(t, NULL, 0);
	close_session(t);
}

static void a_value_set_while_waiting_is_shown_by_the_later_tenure(void **state)
{
	struct actor *a, *b;

	if (!fixture_has(HAS_VALUE))
		return;
	a = actor_new(*state, "a", "job", once());
	await_lead(a->c);
	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	await_waiting(a->t, "job", 1);
	assert_int_equal(tenure_set_value(b->c, "later", 5), 0);
	assert_value(a->t, NULL, 0);
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	await_lead(b->c);
	assert_value(a->t, "later", 5);
	assert_int_equal(tenure_resign(b->c, NULL), 0);
	await_lead(b->c);
	assert_value(a->t, "later", 5);
	actor_free(a);
	actor_free(b);
}

static const struct CMUnitTest tests[] = {
	TEST(leadership_goes_to_the_next_when_no_name_is_given),
	TEST(leadership_goes_to_the_one_that_is_named),
	TEST(a_name_that_does_not_wait_leaves_leadership_to_the_next),
	TEST(asking_moves_leadership_and_tells_how_it_went),
	TEST(asking_for_a_named_one_moves_leadership_there),
	TEST(an_ambiguous_id_is_refused_with_the_identities_that_it_means),
	TEST(a_leader_that_wants_to_be_asked_decides_itself),
	TEST(values_of_every_size_reach_the_readers_as_they_are),
	TEST(a_value_set_while_waiting_is_shown_by_the_later_tenure),
};
TESTS_OF(conform_handover, tests)
