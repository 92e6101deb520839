/* SPDX-License-Identifier: Apache-2.0 */
/* How calls answer: bad arguments, structs of other sizes, calls from callbacks, limits. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const bad_names[] = { "",    ".",    "..",   "a/b",      "/a", "a..b",  "_x",  "-x",         ".x",
	                                 "a b", "a\tb", "a\nb", "\xc3\xa4", "a%", "a\x7f", "a:b", "caf\xc3\xa9" };

static void bad_names_are_refused_by_every_call_and_touch_nothing(void **state)
{
	struct tenure *t = open_session(*state, "namer");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c;
	struct tenure_status *status;
	char name[202];

	for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
		assert_int_equal(tenure_campaign(t, bad_names[i], NULL, &c, &error), TENURE_ENAME);
		assert_null(c);
		assert_true(error.message[0] != '\0');
		assert_int_equal(tenure_read(t, bad_names[i], GENEROUS, &status, &error), TENURE_ENAME);
	}
	memset(name, 'n', sizeof name);
	name[201] = '\0';
	assert_int_equal(tenure_campaign(t, name, NULL, &c, &error), TENURE_ENAME);
	name[200] = '\0';
	await_lead(campaign(t, name));
	close_session(t);
}

static void one_session_campaigns_once_in_an_election(void **state)
{
	struct tenure *t = open_session(*state, "twice");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_candidacy *c, *d;

	options.once = true;
	c = campaign_with(t, "job", &options);
	assert_int_equal(tenure_campaign(t, "job", NULL, &d, &error), TENURE_EEXIST);
	await_lead(c);
	assert_int_equal(tenure_campaign(t, "job", NULL, &d, &error), TENURE_EEXIST);
	assert_int_equal(tenure_resign(c, NULL), 0);
	await_state(c, TENURE_ENDED);
	d = campaign(t, "job");
	await_lead(d);
	tenure_candidacy_free(d);
	assert_int_equal(tenure_campaign(t, "job", NULL, &d, &error), 0);
	await_lead(d);
	close_session(t);
}

static void missing_arguments_are_named(void **state)
{
	struct tenure *t = NULL;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c;

	assert_int_equal(tenure_open(NULL, *state, NULL, &error), TENURE_EINVAL);
	assert_int_equal(tenure_open(&t, NULL, NULL, &error), TENURE_EINVAL);
	assert_null(t);
	t = open_session(*state, "x");
	assert_int_equal(tenure_campaign(t, NULL, NULL, &c, &error), TENURE_EINVAL);
	assert_int_equal(tenure_campaign(NULL, "job", NULL, &c, &error), TENURE_EINVAL);
	assert_int_equal(tenure_campaign(t, "job", NULL, NULL, &error), TENURE_EINVAL);
	assert_int_equal(tenure_list(t, NULL, NULL, GENEROUS, &error), TENURE_EINVAL);
	assert_int_equal(tenure_ask_resign(t, NULL, NULL, GENEROUS, &error), TENURE_EINVAL);
	assert_int_equal(tenure_observe(t, "job", NULL, NULL, NULL, &error), TENURE_EINVAL);
	assert_true(error.message[0] != '\0');
	tenure_candidacy_free(NULL);
	close_session(t);
	assert_int_equal(tenure_close(NULL, 0), 0);
}

static void bad_ids_and_unknown_stores_are_refused(void **state)
{
	static const char *const ids[] = {
		"", "a b", "a/b", "a\n", "\xff", "12345678901234567890123456789012345678901234567890123456789012345"
	};
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure *t;

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		options.id = ids[i];
		assert_int_equal(tenure_open(&t, *state, &options, &error), TENURE_EINVAL);
		assert_null(t);
	}
	options.id = NULL;
	options.rate_error_ppm = 200001;
	assert_int_equal(tenure_open(&t, *state, &options, &error), TENURE_EINVAL);
	assert_int_equal(tenure_open(&t, "nosuch:thing", NULL, &error), TENURE_ENOSTORE);
	assert_non_null(strstr(error.message, "file"));
	assert_int_equal(tenure_open(&t, "no store", NULL, &error), TENURE_EURL);
}

/* ---- structs of other sizes ---- */

struct larger_options {
	struct tenure_options known;
	unsigned char later[32];
};

struct larger_campaign {
	struct tenure_campaign_options known;
	unsigned char later[32];
};

static void options_of_a_newer_program_pass_as_long_as_they_set_nothing_unknown(void **state)
{
	struct larger_options open = { .known = { .struct_size = sizeof open } };
	struct larger_campaign run = { .known = { .struct_size = sizeof run } };
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c;
	struct tenure *t;

	open.later[31] = 1;
	assert_int_equal(tenure_open(&t, *state, &open.known, &error), TENURE_EINVAL);
	assert_non_null(strstr(error.message, "does not know"));
	open.later[31] = 0;
	assert_int_equal(tenure_open(&t, *state, &open.known, &error), 0);
	run.later[0] = 1;
	assert_int_equal(tenure_campaign(t, "job", &run.known, &c, &error), TENURE_EINVAL);
	run.later[0] = 0;
	assert_int_equal(tenure_campaign(t, "job", &run.known, &c, &error), 0);
	await_lead(c);
	close_session(t);
}

static void options_of_an_older_program_are_read_no_further_than_they_go(void **state)
{
	/* On the heap, so that a sanitizer sees a byte read too many. */
	size_t open_bytes = offsetof(struct tenure_options, id),
	       run_bytes = offsetof(struct tenure_campaign_options, once);
	struct tenure_options *open = calloc(1, open_bytes);
	struct tenure_campaign_options *run = calloc(1, run_bytes);
	struct tenure_candidacy *c;
	struct tenure *t;

	assert_true(open && run);
	memcpy(open, &open_bytes, sizeof open_bytes);
	memcpy(run, &run_bytes, sizeof run_bytes);
	assert_int_equal(tenure_open(&t, *state, open, NULL), 0);
	assert_int_equal(tenure_campaign(t, "job", run, &c, NULL), 0);
	await_lead(c);
	close_session(t);
	memset(open, 0, sizeof open_bytes); /* no size at all */
	assert_int_equal(tenure_open(&t, *state, open, NULL), TENURE_EINVAL);
	free(open);
	free(run);
}

static void an_error_struct_is_never_written_beyond_its_size(void **state)
{
	struct tenure *t;

	for (size_t size = 0; size <= sizeof(struct tenure_error); size += 4) {
		union {
			struct tenure_error error;
			unsigned char bytes[sizeof(struct tenure_error) + 16];
		} u;
		size_t first = size < sizeof(size_t) ? sizeof(size_t) : size;

		memset(&u, 0xa5, sizeof u);
		u.error.struct_size = size;
		assert_int_equal(tenure_open(&t, "nosuch:thing", NULL, &u.error), TENURE_ENOSTORE);
		assert_int_equal(u.error.struct_size, size);
		for (size_t i = first; i < sizeof u; i++)
			assert_int_equal(u.bytes[i], 0xa5);
		if (size > offsetof(struct tenure_error, message) + 8)
			assert_true(memchr(u.error.message, '\0', size - offsetof(struct tenure_error, message)) !=
			            NULL);
	}
	(void)state;
}

/* ---- callbacks ---- */

struct caller {
	struct tenure *t;
	struct tenure_candidacy *c;
	atomic_int done, wait, read, list, ask, process, close;
};

static int nothing(void *arg, const char *election)
{
	(void)arg;
	(void)election;
	return 0;
}

static void call_all_that_wait(void *arg, const struct tenure_event *e)
{
	struct caller *caller = arg;
	struct tenure_status *status;

	if (e->type != TENURE_EV_STATE || e->to != TENURE_LEADING || atomic_load(&caller->done))
		return;
	if (caller->c)
		atomic_store(&caller->wait, tenure_wait(caller->c, TENURE_LEADING, GENEROUS));
	atomic_store(&caller->read, tenure_read(caller->t, "job", GENEROUS, &status, NULL));
	atomic_store(&caller->list, tenure_list(caller->t, nothing, NULL, GENEROUS, NULL));
	atomic_store(&caller->ask, tenure_ask_resign(caller->t, "job", NULL, GENEROUS, NULL));
	atomic_store(&caller->process, tenure_process(caller->t));
	atomic_store(&caller->close, tenure_close(caller->t, GENEROUS));
	atomic_store(&caller->done, 1);
}

static void calls_that_wait_are_refused_in_callbacks(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct caller caller = { .t = open_session(*state, "caller") };

	options.on_event = call_all_that_wait;
	options.arg = &caller;
	caller.c = campaign_with(caller.t, "job", &options);
	await_lead(caller.c);
	while (!atomic_load(&caller.done))
		;
	assert_int_equal(atomic_load(&caller.read), TENURE_ECALLBACK);
	assert_int_equal(atomic_load(&caller.list), fixture_has(HAS_LIST) ? TENURE_ECALLBACK : TENURE_EUNSUPPORTED);
	assert_int_equal(atomic_load(&caller.ask), fixture_has(HAS_ASK) ? TENURE_ECALLBACK : TENURE_EUNSUPPORTED);
	assert_int_equal(atomic_load(&caller.process), TENURE_ESTATE);
	assert_int_equal(atomic_load(&caller.close), TENURE_ECALLBACK);
	assert_true(tenure_leads(caller.c, NULL));
	close_session(caller.t);
}

struct resigner {
	_Atomic(struct tenure_candidacy *) c;
	atomic_int n;
};

static void resigns_when_it_leads(void *arg, const struct tenure_event *e)
{
	struct resigner *r = arg;
	struct tenure_candidacy *c = atomic_load(&r->c);

	if (e->type == TENURE_EV_STATE && e->to == TENURE_LEADING && c && atomic_load(&r->n) < 3) {
		(void)atomic_fetch_add(&r->n, 1);
		(void)tenure_resign(c, NULL);
	}
}

static void a_callback_may_resign_and_campaign(void **state)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_session(*state, "caller");
	struct resigner r = { .n = 0 };
	uint64_t end = now_ns() + GENEROUS;

	options.on_event = resigns_when_it_leads;
	options.arg = &r;
	atomic_store(&r.c, campaign_with(t, "job", &options));
	await_lead(r.c); /* the first may have been before c was there */
	(void)tenure_resign(r.c, NULL);
	while (atomic_load(&r.n) < 3 && now_ns() < end)
		await_state(r.c, TENURE_LEADING | TENURE_WAITING | TENURE_CONTENDING | TENURE_STEPPING_DOWN);
	assert_int_equal(atomic_load(&r.n), 3);
	close_session(t);
}

/* ---- waiting ---- */

static void waiting_takes_a_set_of_states_and_a_limit(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 }), *b;
	uint64_t begin;

	await_state(a->c, TENURE_LEADING);
	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	await_state(b->c, TENURE_WAITING | TENURE_CONTENDING);
	begin = now_ns();
	assert_int_equal(tenure_wait(b->c, TENURE_LEADING, MILLISECONDS(60)), TENURE_TIMEOUT);
	assert_true(now_ns() - begin >= MILLISECONDS(60));
	assert_int_equal(tenure_wait(b->c, TENURE_LEADING, 0), TENURE_TIMEOUT);
	assert_int_equal(tenure_wait(a->c, TENURE_LEADING | TENURE_ENDED, 0), 0);
	assert_int_equal(tenure_state_of(a->c, NULL), TENURE_LEADING);
	actor_free(a);
	actor_free(b);
}

static void the_store_is_healthy_and_says_so(void **state)
{
	struct tenure *t = open_session(*state, "well");
	struct tenure_candidacy *c = campaign(t, "job");

	await_lead(c);
	assert_int_equal(tenure_health_of(t), TENURE_HEALTHY);
	assert_true(tenure_may(c, TENURE_NOT_DEGRADED, NULL));
	close_session(t);
}

static const struct CMUnitTest tests[] = {
	TEST(bad_names_are_refused_by_every_call_and_touch_nothing),
	TEST(one_session_campaigns_once_in_an_election),
	TEST(missing_arguments_are_named),
	TEST(bad_ids_and_unknown_stores_are_refused),
	TEST(options_of_a_newer_program_pass_as_long_as_they_set_nothing_unknown),
	TEST(options_of_an_older_program_are_read_no_further_than_they_go),
	TEST(an_error_struct_is_never_written_beyond_its_size),
	TEST(calls_that_wait_are_refused_in_callbacks),
	TEST(a_callback_may_resign_and_campaign),
	TEST(waiting_takes_a_set_of_states_and_a_limit),
	TEST(the_store_is_healthy_and_says_so),
};
TESTS_OF(conform_call, tests)
