/* SPDX-License-Identifier: Apache-2.0 */
/* The file store and what may stand, or be missing, in its directory. */
#include "file_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/slots.h"
#include "file/queue.h"

/* Campaigns until the candidacy has ended by itself; why. */
static void assert_fails(const char *url, int code, const char *says)
{
	struct tenure *t = open_session(url, "victim");
	struct tenure_error why = TENURE_ERROR_INIT;
	struct tenure_candidacy *c = campaign(t, "job");

	assert_int_equal(tenure_wait(c, TENURE_ENDED, GENEROUS), 0);
	assert_int_equal(tenure_state_of(c, &why), TENURE_ENDED);
	if (why.code != code || !strstr(why.message, says))
		fail_msg("wanted %d with '%s', got %d: %s", code, says, why.code, why.message);
	assert_false(tenure_leads(c, NULL));
	close_session(t);
}

static uint64_t lead_once(const char *url)
{
	struct tenure *t = open_session(url, "lead");
	uint64_t token = await_lead(campaign(t, "job"));

	close_session(t);
	return token;
}

/* ---- the counter ---- */

static void assert_counter_refused(const char *url, const void *bytes, size_t n, int code, const char *says)
{
	char path[FIXTURE_URL_ROOM], found[1024];

	kit_write(kit_path(url, "counter", path), bytes, n);
	assert_fails(url, code, says);
	assert_int_equal(kit_read(path, found, sizeof found), n);
	assert_memory_equal(found, bytes, n);
}

static void a_counter_cut_at_any_length_is_refused_and_left_as_it_is(void **state)
{
	unsigned char whole[SLOTS_BYTES];
	char path[FIXTURE_URL_ROOM];

	(void)lead_once(*state);
	assert_int_equal(kit_read(kit_path(*state, "counter", path), whole, sizeof whole), SLOTS_BYTES);
	for (size_t n = 0; n < SLOTS_BYTES; n += n < 4 ? 1 : 31)
		assert_counter_refused(*state, whole, n, TENURE_EIO, "truncated");
	kit_write(path, whole, sizeof whole);
	assert_true(lead_once(*state) > 1);
}

static void a_counter_that_something_else_wrote_is_refused(void **state)
{
	unsigned char bytes[SLOTS_BYTES + 1];

	(void)lead_once(*state);
	memset(bytes, 'x', sizeof bytes);
	assert_counter_refused(*state, bytes, SLOTS_BYTES, TENURE_EFOREIGN, "something else wrote it");
	assert_counter_refused(*state, bytes, SLOTS_BYTES + 1, TENURE_EFOREIGN, "129 bytes");
}

static void a_guards_mark_is_no_counter(void **state)
{
	unsigned char bytes[SLOTS_BYTES];

	(void)lead_once(*state);
	slots_encode(bytes, SLOTS_MAGIC_GUARD, 1, 5);
	slots_encode(bytes + 64, SLOTS_MAGIC_GUARD, 2, 6);
	assert_counter_refused(*state, bytes, sizeof bytes, TENURE_EFOREIGN, "something else wrote it");
}

static void a_counter_at_its_end_gives_no_token_any_more(void **state)
{
	unsigned char bytes[SLOTS_BYTES];
	char path[FIXTURE_URL_ROOM];

	(void)lead_once(*state);
	slots_encode(bytes, SLOTS_MAGIC_COUNTER, 1, SLOTS_VALUE_MAX - 2);
	slots_encode(bytes + 64, SLOTS_MAGIC_COUNTER, 2, SLOTS_VALUE_MAX - 1);
	kit_write(kit_path(*state, "counter", path), bytes, sizeof bytes);
	assert_true(lead_once(*state) == (uint64_t)TENURE_TOKEN_MAX);
	assert_int_equal(kit_read(path, bytes, sizeof bytes), SLOTS_BYTES);
	assert_counter_refused(*state, bytes, sizeof bytes, TENURE_ELIMIT, "no tokens left");
}

static void a_missing_counter_is_an_error_and_no_beginning(void **state)
{
	char path[FIXTURE_URL_ROOM];

	(void)lead_once(*state);
	assert_int_equal(unlink(kit_path(*state, "counter", path)), 0);
	assert_fails(*state, TENURE_EIO, "tokens would restart");
	assert_false(kit_exists(path));
}

/* A write of the next token that stops at any byte: the number that it was about is never given again. */
static void a_counter_torn_at_any_byte_goes_on_above_every_number_that_was_given(void **state)
{
	unsigned char before[SLOTS_BYTES], after[SLOTS_BYTES], torn[SLOTS_BYTES];
	char path[FIXTURE_URL_ROOM];
	uint64_t given;

	(void)lead_once(*state);
	(void)lead_once(*state);
	assert_int_equal(kit_read(kit_path(*state, "counter", path), before, sizeof before), SLOTS_BYTES);
	given = lead_once(*state);
	assert_int_equal(kit_read(path, after, sizeof after), SLOTS_BYTES);
	for (size_t cut = 0; cut <= 64; cut++) {
		size_t first = memcmp(before, after, 64) != 0 ? 0 : 64;
		uint64_t token;

		memcpy(torn, before, sizeof torn);
		memcpy(torn + first, after + first, cut);
		kit_write(path, torn, sizeof torn);
		token = lead_once(*state);
		assert_true(cut < 64 ? token >= given : token > given);
		if (memcmp(torn, before, sizeof torn) != 0) /* the write had begun: the number may have been used */
			assert_true(token > given || memcmp(torn, after, sizeof torn) != 0);
	}
}

/* ---- the record, the lock, the queue ---- */

static void a_record_that_is_damaged_foreign_or_newer_is_never_led_over(void **state)
{
	static const struct {
		const char *text, *says;
		int code;
	} cases[] = {
		{ "hello\n", "not a record", TENURE_EFOREIGN },
		{ "x", "not a record", TENURE_EFOREIGN },
		{ "tenure-record 1\nleading 1\n", "damaged", TENURE_EFOREIGN },
		{ "tenure-record 2\nleading 1\n", "version 2", TENURE_EVERSION },
		{ "tenure-record 99999999999999999999999\n", "not a record", TENURE_EFOREIGN },
	};
	char path[FIXTURE_URL_ROOM];

	(void)lead_once(*state);
	kit_path(*state, "holder", path);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		kit_write(path, cases[i].text, strlen(cases[i].text));
		assert_fails(*state, cases[i].code, cases[i].says);
	}
	kit_write(path, "", 0); /* lost with the power: nothing of it can live */
	assert_true(lead_once(*state) > 1);
}

static void files_of_the_wrong_kind_do_not_stop_the_loop(void **state)
{
	static const char *const names[] = { "holder", "counter", "lock", "ask" };
	char path[FIXTURE_URL_ROOM];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct tenure *t;
		struct tenure_status *status;
		struct tenure_candidacy *c;

		(void)mkdir(kit_path(*state, "", path), 0755);
		(void)unlink(kit_path(*state, names[i], path));
		assert_int_equal(mkfifo(path, 0600), 0);
		t = open_session(*state, "x");
		c = campaign(t, "job");
		/* Whatever it makes of it, it answers: a reader of a pipe that nobody writes would wait for ever. */
		(void)tenure_wait(c, TENURE_LEADING | TENURE_ENDED, BRIEFLY);
		if (tenure_read(t, "job", GENEROUS, &status, NULL) == 0)
			tenure_status_free(status);
		close_session(t);
		(void)unlink(path);
		(void)unlink(kit_path(*state, "holder", path));
	}
}

static void with_the_lock_file_replaced_the_newcomer_does_not_lead_while_the_holder_lives(void **state)
{
	struct kit_process old = kit_start(NULL, NULL, "stay", *state, "job"), new;
	uint64_t token = kit_lead(&old);
	char path[FIXTURE_URL_ROOM], line[KIT_LINE];

	assert_int_equal(unlink(kit_path(*state, "lock", path)), 0);
	kit_write(path, "", 0);
	new = kit_start(NULL, NULL, "try", *state, "job");
	kit_line(&new, line);
	if (strncmp(line, "waits -21 ", 10) != 0 || !strstr(line, "replaced"))
		fail_msg("the newcomer said: %s", line);
	assert_int_equal(kit_end(&new), 3);
	kit_kill(&old);
	assert_true(lead_once(*state) > token);
}

static bool is_taken_away(const struct recorded *e, const void *wanted)
{
	(void)wanted;
	return e->type == TENURE_EV_STATE && e->cause == TENURE_BY_STORE;
}

static void a_holder_whose_lock_is_removed_is_degraded_and_goes_on_while_its_record_stands(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 });
	char path[FIXTURE_URL_ROOM];
	size_t at;

	(void)await_lead(a->c);
	assert_int_equal(unlink(kit_path(*state, "lock", path)), 0);
	for (at = 0;
	     recorder_at(&a->r, at = recorder_await_type(&a->r, at, TENURE_EV_HEALTH)).health != TENURE_DEGRADED;)
		at++;
	assert_non_null(strstr(recorder_at(&a->r, at).message, "removed or replaced"));
	assert_true(tenure_leads(a->c, NULL));
	/* It stays so: no healthy moment in between, looks and all. */
	assert_int_equal(tenure_wait(a->c, TENURE_WAITING, SECONDS(2)), TENURE_TIMEOUT);
	assert_int_equal(tenure_health_of(a->t), TENURE_DEGRADED);
	assert_int_equal(unlink(kit_path(*state, "holder", path)), 0); /* now nothing protects it */
	at = recorder_await(&a->r, 0, is_taken_away, NULL);
	assert_int_equal(recorder_at(&a->r, at).from, TENURE_LEADING);
	assert_false(tenure_holds(a->c, 1));
	actor_free(a);
}

static void with_the_directory_removed_the_leader_leads_no_more(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { .once = true });
	uint64_t token = await_lead(a->c);
	char path[FIXTURE_URL_ROOM];

	fixture_remove(kit_path(*state, "", path));
	await_state(a->c, TENURE_ENDED);
	assert_false(tenure_holds(a->c, token));
	actor_free(a);
}

static void what_dead_candidates_left_in_the_queue_is_swept(void **state)
{
	struct tenure *t = open_session(*state, "lead");
	struct tenure_candidacy *c = campaign(t, "job");
	char path[FIXTURE_URL_ROOM];

	(void)await_lead(c);
	for (int i = 0; i < 5; i++) {
		struct kit_process p = kit_start(NULL, NULL, "try", *state, "job");

		await_waiting(t, "job", 1);
		kit_kill(&p);
		await_waiting(t, "job", 0);
	}
	assert_true(kit_count(kit_path(*state, "waiting", path)) >= 1);
	close_session(t);
	(void)lead_once(*state);
	assert_int_equal(kit_count(path), 0);
	assert_int_equal(kit_count(kit_path(*state, "", path)), 4); /* lock, counter, holder, waiting */
}

/* The head of the queue is killed while it waits: the next one moves up at once, not with the slow look. */
static void the_next_in_line_moves_up_when_the_head_is_killed(void **state)
{
	struct tenure *t = open_session(*state, "lead"), *u = open_session(*state, "next");
	struct tenure_candidacy *c = campaign(t, "job"), *d;

	(void)await_lead(c);
	for (int i = 0; i < 20; i++) {
		struct kit_process head = kit_start(NULL, NULL, "try", *state, "job");

		await_waiting(t, "job", 1);
		d = campaign(u, "job");
		assert_int_equal(tenure_wait(d, TENURE_WAITING, GENEROUS), 0);
		await_waiting(t, "job", 2);
		kit_kill(&head);
		/* 1, 2, 4, ... ms after the news; the slow look would take up to 5 s */
		assert_int_equal(tenure_wait(d, TENURE_CONTENDING, SECONDS(2)), 0);
		tenure_candidacy_free(d);
		await_waiting(t, "job", 0);
	}
	close_session(t);
	close_session(u);
}

static void files_about_to_get_their_name_are_left_alone(void **state)
{
	static const char *const names[] = { "waiting/.new-00000000000000aa", ".ask-00000000000000bb" };
	char path[FIXTURE_URL_ROOM];

	(void)lead_once(*state);
	for (size_t i = 0; i < 2; i++)
		kit_write(kit_path(*state, names[i], path), "", 0);
	(void)lead_once(*state);
	for (size_t i = 0; i < 2; i++)
		assert_true(kit_exists(kit_path(*state, names[i], path))); /* a living one may be about to name it */
}

/* ---- users ---- */

static void as_nobody(const void *umask_of)
{
	(void)umask(*(const mode_t *)umask_of);
	EXPECT(setgid(65534) == 0 && setuid(65534) == 0);
}

static void a_directory_without_permission_is_refused_by_name(void **state)
{
	static const mode_t mask = 022;
	char line[KIT_LINE];
	struct kit_process p;

	(void)lead_once(*state);
	assert_int_equal(chmod((const char *)*state + strlen("file:"), 0755), 0);
	p = kit_start(as_nobody, &mask, "try", *state, "job");
	kit_line(&p, line);
	if (strncmp(line, "refused -21 ", 12) != 0 || !strstr(line, (const char *)*state + strlen("file:")))
		fail_msg("it said: %s", line);
	assert_int_equal(kit_end(&p), 3);
}

/* A shared directory, sticky like /tmp, and users with a narrow umask: each can take over from each. */
static void users_who_share_a_directory_take_over_from_each_other(void **state)
{
	static const mode_t narrow = 077;
	uint64_t token = 0;

	assert_int_equal(chmod((const char *)*state + strlen("file:"), 01777), 0);
	for (int i = 0; i < 3; i++) {
		struct kit_process p = kit_start(as_nobody, &narrow, "try", *state, "job");
		uint64_t next = kit_lead(&p);

		assert_true(next > token);
		token = next;
		if (i % 2 == 0)
			kit_kill(&p); /* its record, and what it may have left, stay */
		else
			assert_int_equal(kit_end(&p), 0);
		next = lead_once(*state); /* root writes now, under its own umask */
		assert_true(next > token);
		token = next;
	}
}

#define F(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		F(a_counter_cut_at_any_length_is_refused_and_left_as_it_is),
		F(a_counter_that_something_else_wrote_is_refused),
		F(a_guards_mark_is_no_counter),
		F(a_counter_at_its_end_gives_no_token_any_more),
		F(a_missing_counter_is_an_error_and_no_beginning),
		F(a_counter_torn_at_any_byte_goes_on_above_every_number_that_was_given),
		F(a_record_that_is_damaged_foreign_or_newer_is_never_led_over),
		F(files_of_the_wrong_kind_do_not_stop_the_loop),
		F(with_the_lock_file_replaced_the_newcomer_does_not_lead_while_the_holder_lives),
		F(a_holder_whose_lock_is_removed_is_degraded_and_goes_on_while_its_record_stands),
		F(with_the_directory_removed_the_leader_leads_no_more),
		F(what_dead_candidates_left_in_the_queue_is_swept),
		F(the_next_in_line_moves_up_when_the_head_is_killed),
		F(files_about_to_get_their_name_are_left_alone),
		F(a_directory_without_permission_is_refused_by_name),
		F(users_who_share_a_directory_take_over_from_each_other),
	};

	(void)fixture_choose("file");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
