/* SPDX-License-Identifier: Apache-2.0 */
/* Freeing and closing at every moment: nothing is left held, nothing is called afterwards. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void assert_free(const char *url, uint64_t above)
{
	struct tenure *t = open_session(url, "next");

	assert_true(await_lead(campaign(t, "job")) > above);
	await_waiting(t, "job", 0);
	close_session(t);
}

static void freeing_while_leading_lets_the_next_one_lead(void **state)
{
	struct tenure *t = open_session(*state, "a");
	struct tenure_candidacy *c = campaign(t, "job");
	uint64_t token = await_lead(c);

	tenure_candidacy_free(c);
	assert_free(*state, token);
	close_session(t);
}

static void freeing_while_waiting_leaves_the_queue(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 });
	struct tenure *b = open_session(*state, "b"), *d = open_session(*state, "d");
	struct tenure_candidacy *cb, *cd;
	uint64_t token = await_lead(a->c);

	cb = campaign(b, "job");
	await_waiting(a->t, "job", 1);
	cd = campaign(d, "job");
	await_waiting(a->t, "job", 2);
	tenure_candidacy_free(cb); /* the head */
	await_waiting(a->t, "job", 1);
	assert_true(tenure_leads(a->c, NULL));
	assert_int_equal(tenure_set_eligible(a->c, false), 0);
	assert_true(await_lead(cd) > token);
	close_session(b);
	close_session(d);
	actor_free(a);
}

static void freeing_right_after_campaigning_leaves_nothing(void **state)
{
	struct tenure *t = open_session(*state, "a");

	for (int i = 0; i < 50; i++)
		tenure_candidacy_free(campaign(t, "job"));
	close_session(t);
	assert_free(*state, 0);
}

static void closing_right_after_campaigning_leaves_nothing(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct tenure *t = open_session(*state, "a");

		(void)campaign(t, "job");
		close_session(t);
	}
	assert_free(*state, 0);
}

static void closing_while_leading_waiting_and_observing_releases_all(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 });
	struct tenure *b = open_session(*state, "b");
	struct tenure_observer *o;
	struct recorder r;
	uint64_t token = await_lead(a->c);

	recorder_init(&r);
	(void)campaign(b, "job");
	await_waiting(a->t, "job", 1);
	if (fixture_has(HAS_OBSERVE)) {
		assert_int_equal(tenure_observe(b, "job", recorder_event, &r, &o, NULL), 0);
		(void)recorder_await_leader(&r, 0, "a");
	}
	close_session(b);
	await_waiting(a->t, "job", 0);
	actor_free(a);
	assert_free(*state, token);
}

static void closing_without_patience_lets_go_all_the_same(void **state)
{
	struct tenure *t = open_session(*state, "a");
	uint64_t token = await_lead(campaign(t, "job"));
	int code = tenure_close(t, 0);

	assert_true(code == 0 || code == TENURE_TIMEOUT);
	assert_free(*state, token);
	t = open_embedded(*state, "b");
	(void)campaign(t, "job");
	for (int i = 0; i < 5; i++)
		drive(t);
	code = tenure_close(t, 0);
	assert_true(code == 0 || code == TENURE_TIMEOUT);
	assert_free(*state, token);
}

/* ---- in callbacks ---- */

struct suicide {
	_Atomic(struct tenure_candidacy *) c;
	enum tenure_state at;
	atomic_int calls, freed, late;
};

static void free_itself(void *arg, const struct tenure_event *e)
{
	struct suicide *s = arg;
	struct tenure_candidacy *c = atomic_load(&s->c);

	(void)atomic_fetch_add(&s->calls, 1);
	if (atomic_load(&s->freed))
		(void)atomic_fetch_add(&s->late, 1);
	else if (c && e->type == TENURE_EV_STATE && e->to == s->at) {
		atomic_store(&s->freed, 1);
		tenure_candidacy_free(c);
	}
}

static void a_candidacy_may_be_freed_in_its_own_callback(void **state)
{
	static const enum tenure_state moments[] = { TENURE_WAITING, TENURE_CONTENDING, TENURE_LEADING };
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;

	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
		struct tenure *t = open_embedded(*state, "a");
		struct suicide s = { .at = moments[i] };
		uint64_t end = now_ns() + GENEROUS;

		options.on_event = free_itself;
		options.arg = &s;
		atomic_store(&s.c, campaign_with(t, "job", &options));
		while (!atomic_load(&s.freed) && now_ns() < end)
			drive(t);
		assert_int_equal(atomic_load(&s.freed), 1);
		drive(t);
		close_session(t);
		assert_int_equal(atomic_load(&s.late), 0);
		assert_free(*state, 0);
	}
}

/* The callback is running on the loop's thread while another thread frees the handle: free waits for it. */
struct held {
	atomic_int inside, go, after_free;
	atomic_bool freed;
};

static void stay_inside(void *arg, const struct tenure_event *e)
{
	struct held *h = arg;

	(void)e;
	atomic_store(&h->inside, 1);
	while (!atomic_load(&h->go))
		;
	if (atomic_load(&h->freed))
		(void)atomic_fetch_add(&h->after_free, 1);
}

static void *let_go(void *arg)
{
	struct held *h = arg;

	atomic_store(&h->go, 1);
	return NULL;
}

static void freeing_waits_for_a_callback_that_is_running(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_session(*state, "a");
	struct held h = { .inside = 0 };
	struct tenure_candidacy *c;
	pthread_t thread;

	options.on_event = stay_inside;
	options.arg = &h;
	c = campaign_with(t, "job", &options);
	while (!atomic_load(&h.inside))
		;
	assert_int_equal(pthread_create(&thread, NULL, let_go, &h), 0);
	tenure_candidacy_free(c);
	atomic_store(&h.freed, true);
	assert_int_equal(atomic_load(&h.go), 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_session(t);
	assert_int_equal(atomic_load(&h.after_free), 0);
}

struct watcher {
	_Atomic(struct tenure_observer *) o;
	atomic_int freed, late;
};

static void free_observer(void *arg, const struct tenure_event *e)
{
	struct watcher *w = arg;
	struct tenure_observer *o = atomic_load(&w->o);

	(void)e;
	if (atomic_load(&w->freed))
		(void)atomic_fetch_add(&w->late, 1);
	else if (o) {
		atomic_store(&w->freed, 1);
		tenure_observer_free(o);
	}
}

static void an_observer_may_be_freed_in_its_own_callback(void **state)
{
	struct tenure_observer *o = NULL;
	struct watcher w = { .freed = 0 };
	uint64_t end = now_ns() + GENEROUS;
	struct tenure_candidacy *c;
	struct tenure *t;

	if (!fixture_has(HAS_OBSERVE))
		return;
	t = open_embedded(*state, "a");
	assert_int_equal(tenure_observe(t, "job", free_observer, &w, &o, NULL), 0);
	atomic_store(&w.o, o);
	c = campaign(t, "job");
	while ((!atomic_load(&w.freed) || !tenure_leads(c, NULL)) && now_ns() < end)
		drive(t);
	assert_int_equal(atomic_load(&w.freed), 1);
	assert_int_equal(tenure_resign(c, NULL), 0);
	for (int i = 0; i < 5; i++)
		drive(t);
	assert_int_equal(atomic_load(&w.late), 0);
	close_session(t);
}

static const struct CMUnitTest tests[] = {
	TEST(freeing_while_leading_lets_the_next_one_lead),
	TEST(freeing_while_waiting_leaves_the_queue),
	TEST(freeing_right_after_campaigning_leaves_nothing),
	TEST(closing_right_after_campaigning_leaves_nothing),
	TEST(closing_while_leading_waiting_and_observing_releases_all),
	TEST(closing_without_patience_lets_go_all_the_same),
	TEST(a_candidacy_may_be_freed_in_its_own_callback),
	TEST(freeing_waits_for_a_callback_that_is_running),
	TEST(an_observer_may_be_freed_in_its_own_callback),
};
TESTS_OF(conform_end, tests)
