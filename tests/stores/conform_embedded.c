/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that the application drives. */
#include "fixture.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static bool leads(struct tenure *t, struct tenure_candidacy *c)
{
	uint64_t end = now_ns() + GENEROUS;

	while (!tenure_leads(c, NULL) && now_ns() < end)
		drive(t);
	return tenure_leads(c, NULL);
}

static void a_poll_loop_leads_by_descriptor_and_process_alone(void **state)
{
	struct tenure *t = open_embedded(*state, "embedded");
	struct tenure_candidacy *c = campaign(t, "job");
	int fd = tenure_fd(t);

	assert_true(fd >= 0);
	assert_false(tenure_leads(c, NULL)); /* nothing happens by itself */
	assert_true(leads(t, c));
	assert_int_equal(tenure_fd(t), fd);
	assert_int_equal(tenure_process(t), 0);
	assert_int_equal(tenure_process(t), 0); /* more often does no harm */
	assert_true(tenure_leads(c, NULL));
	close_session(t);
}

/* The instant alone: the descriptor is looked at without waiting, as a loop with its own timeouts does. */
static void the_next_instant_is_when_timers_are_due(void **state)
{
	struct tenure *t = open_embedded(*state, "embedded");
	struct tenure_candidacy *c = campaign(t, "job");
	uint64_t next;

	assert_true(leads(t, c));
	next = tenure_next_ns(t);
	assert_true(next != TENURE_NS_NEVER); /* each store looks after its health or its lease */
	while (now_ns() <= next)
		;
	{
		struct pollfd ready = { .fd = tenure_fd(t), .events = POLLIN };

		assert_int_equal(poll(&ready, 1, (int)(GENEROUS / MILLISECONDS(1))), 1);
	}
	assert_int_equal(tenure_process(t), 0);
	assert_true(tenure_next_ns(t) > next);
	close_session(t);
}

static void calls_that_wait_drive_the_loop_callbacks_included(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_embedded(*state, "embedded");
	struct tenure_status *status;
	struct tenure_candidacy *c;
	struct recorder r;
	uint64_t end = now_ns() + GENEROUS;

	recorder_init(&r);
	options.on_event = recorder_event;
	options.arg = &r;
	c = campaign_with(t, "job", &options);
	assert_int_equal(tenure_wait(c, TENURE_LEADING, GENEROUS), TENURE_ESTATE);
	while (!tenure_leads(c, NULL) && now_ns() < end) {
		assert_int_equal(tenure_read(t, "job", GENEROUS, &status, NULL), 0);
		tenure_status_free(status);
	}
	assert_true(tenure_leads(c, NULL));
	(void)recorder_await_state(&r, 0, TENURE_LEADING);
	close_session(t);
	(void)recorder_await_state(&r, 0, TENURE_ENDED); /* while tenure_close() drove it */
}

struct reentry {
	struct tenure *t;
	int process, read, n;
};

static void reenter(void *arg, const struct tenure_event *e)
{
	struct reentry *r = arg;
	struct tenure_status *status;

	(void)e;
	r->n++;
	r->process = tenure_process(r->t);
	r->read = tenure_read(r->t, "job", GENEROUS, &status, NULL);
}

static void processing_is_not_re_entered(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_embedded(*state, "embedded");
	struct reentry r = { .t = t };

	options.on_event = reenter;
	options.arg = &r;
	assert_true(leads(t, campaign_with(t, "job", &options)));
	assert_true(r.n > 0);
	assert_int_equal(r.process, TENURE_ESTATE);
	assert_int_equal(r.read, TENURE_ECALLBACK);
	close_session(t);
}

static void a_session_with_a_thread_of_its_own_is_not_driven(void **state)
{
	struct tenure *t = open_session(*state, "threaded");

	assert_int_equal(tenure_fd(t), -1);
	assert_int_equal(tenure_process(t), TENURE_ESTATE);
	assert_true(tenure_next_ns(t) == TENURE_NS_NEVER);
	close_session(t);
}

static void two_embedded_sessions_hand_over_in_one_thread(void **state)
{
	struct tenure *a = open_embedded(*state, "a"), *b = open_embedded(*state, "b");
	struct tenure_candidacy *ca = campaign(a, "job"), *cb;
	struct tenure_grant first = { 0 }, second = { 0 };
	uint64_t end = now_ns() + GENEROUS;

	assert_true(leads(a, ca));
	assert_true(tenure_leads(ca, &first));
	cb = campaign(b, "job");
	for (int i = 0; i < 5; i++) {
		drive(b);
		drive(a);
		assert_false(tenure_leads(cb, NULL));
	}
	assert_int_equal(tenure_resign(ca, NULL), 0);
	while (!tenure_leads(cb, NULL) && now_ns() < end) {
		drive(a);
		drive(b);
	}
	assert_true(tenure_leads(cb, &second));
	assert_true(second.token > first.token);
	assert_false(tenure_leads(ca, NULL));
	close_session(a);
	close_session(b);
}

/* What was never answered is freed as well: a leak checker sees it. */
static void a_call_that_timed_out_is_forgotten_with_the_session(void **state)
{
	struct tenure *t = open_embedded(*state, "embedded");
	struct tenure_status *status = NULL;

	assert_int_equal(tenure_read(t, "job", 0, &status, NULL), TENURE_TIMEOUT);
	assert_null(status);
	assert_int_equal(tenure_close(t, 0), 0);
}

static const struct CMUnitTest tests[] = {
	TEST(a_poll_loop_leads_by_descriptor_and_process_alone),   TEST(the_next_instant_is_when_timers_are_due),
	TEST(calls_that_wait_drive_the_loop_callbacks_included),   TEST(processing_is_not_re_entered),
	TEST(a_session_with_a_thread_of_its_own_is_not_driven),    TEST(two_embedded_sessions_hand_over_in_one_thread),
	TEST(a_call_that_timed_out_is_forgotten_with_the_session),
};
TESTS_OF(conform_embedded, tests)
