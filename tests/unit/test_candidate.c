/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate and the voter together, in memory and in virtual time: what an application sees of them. */
#include "pair_kit.h"

#define N_HELD 10000

struct seen { /* by candidate */
	unsigned granted, lost, released, renewed, queued, contending, asked, changed, read, listed, ended;
	uint64_t token, granted_ns, released_ns;
	struct instant end;
	size_t ahead;
	enum tenure_health health;
	int reached, code;
	char text[256], leader[NAMES_ID_MAX_BYTES + 1], to[NAMES_IDENTITY_ROOM];
	struct store_view view;
};

struct world {
	struct pair *p;
	struct seen seen[PAIR_CANDIDATES];
	struct candidate_election *e[PAIR_CANDIDATES];
};

static void on_event(struct pair *p, unsigned k, const struct candidate_event *e)
{
	struct world *w = p->arg;
	struct seen *s = &w->seen[k];

	switch (e->kind) {
	case CANDIDATE_REACHED:
		s->reached = 1;
		break;
	case CANDIDATE_UNREACHED:
	case CANDIDATE_FAILED:
		s->reached = e->kind == CANDIDATE_FAILED ? -2 : -1;
		s->code = e->code;
		memcpy(s->text, e->error->message, sizeof s->text);
		break;
	case CANDIDATE_HEALTH:
		s->health = e->health;
		if (e->error)
			memcpy(s->text, e->error->message, sizeof s->text);
		break;
	case CANDIDATE_QUEUED:
		s->queued++;
		s->ahead = e->ahead;
		break;
	case CANDIDATE_CONTENDING:
		s->contending++;
		s->ahead = 0;
		break;
	case CANDIDATE_GRANTED:
		s->granted++;
		s->token = e->token;
		s->end = e->end;
		s->granted_ns = p->now_ns;
		break;
	case CANDIDATE_RENEWED:
		s->renewed++;
		assert_true(e->end.boot_ns > s->end.boot_ns || N_HELD);
		s->end = e->end;
		break;
	case CANDIDATE_LOST:
		assert_int_equal(e->cause, TENURE_BY_EXPIRY);
		s->lost++;
		break;
	case CANDIDATE_RELEASED:
		s->released++;
		s->released_ns = p->now_ns;
		break;
	case CANDIDATE_ASKED:
		s->asked++;
		memcpy(s->to, e->to, strlen(e->to) + 1);
		break;
	case CANDIDATE_CHANGED:
		s->changed++;
		s->view = *e->view;
		break;
	case CANDIDATE_READ:
		s->read++;
		s->code = e->code;
		s->view = *e->view;
		break;
	case CANDIDATE_LISTED:
		s->listed++;
		break;
	case CANDIDATE_LIST_END:
		s->ended++;
		break;
	case CANDIDATE_ASK_ANSWER:
		s->ended++;
		s->code = e->code;
		if (e->error)
			memcpy(s->text, e->error->message, sizeof s->text);
		break;
	default:
		fail_msg("event %d", e->kind);
	}
}

static struct world *world_new(unsigned n, uint64_t delay_us)
{
	static const char *const labels[] = { "a", "b", "c", "d" };
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->p = pair_new(delay_us * 1000);
	w->p->arg = w;
	w->p->on_event = on_event;
	for (unsigned k = 0; k < n; k++)
		(void)pair_add(w->p, (struct candidate_settings) { .label = labels[k % 4] });
	return w;
}

static void world_free(struct world *w)
{
	pair_free(w->p);
	free(w);
}

static void enter(struct world *w, unsigned k, const char *name)
{
	struct candidate_entry entry = { .election = name, .value = "here", .value_bytes = 4 };

	assert_int_equal(candidate_enter(w->p->candidates[k].c, &entry, &w->e[k]), 0);
	candidate_join(w->e[k], pair_now(w->p));
}

static bool leads(const struct world *w, unsigned k)
{
	return candidate_believes(w->e[k], pair_now(w->p).at, NULL);
}

static void a_single_candidate_leads_within_two_round_trips_and_goes_on(void **state)
{
	struct world *w = world_new(1, 500);

	(void)state;
	pair_run(w->p, 100000);
	assert_int_equal(w->seen[0].reached, 1);
	assert_int_equal(w->seen[0].health, TENURE_HEALTHY);
	enter(w, 0, "job");
	pair_run(w->p, 2100);
	assert_int_equal(w->seen[0].granted, 1);
	assert_int_equal(w->seen[0].token, 1);
	assert_true(leads(w, 0));
	pair_run(w->p, 60000000);
	assert_true(leads(w, 0));
	assert_int_equal(w->seen[0].lost, 0);
	/* about one a heartbeat: the end rises with q answers, once */
	assert_in_range(w->seen[0].renewed, 23, 27);
	world_free(w);
}

static void after_a_release_the_next_in_line_leads_within_two_round_trips_with_a_greater_token(void **state)
{
	struct world *w = world_new(2, 500);

	(void)state;
	pair_run(w->p, 100000);
	enter(w, 0, "job");
	pair_run(w->p, 10000);
	enter(w, 1, "job");
	pair_run(w->p, 1000000);
	assert_true(leads(w, 0));
	assert_int_equal(w->seen[1].granted, 0);
	assert_int_equal(w->seen[1].contending, 1);
	candidate_release(w->e[0], "", TENURE_BY_RESIGN, pair_now(w->p));
	assert_false(leads(w, 0));
	pair_run(w->p, 2100);
	assert_int_equal(w->seen[0].released, 1);
	assert_true(leads(w, 1));
	assert_true(w->seen[1].token > w->seen[0].token);
	world_free(w);
}

static void whoever_released_and_saw_nobody_waiting_leads_again_within_one_round_trip(void **state)
{
	struct world *w = world_new(1, 500);

	(void)state;
	pair_run(w->p, 100000);
	enter(w, 0, "job");
	pair_run(w->p, 10000);
	candidate_release(w->e[0], "", TENURE_BY_RESIGN, pair_now(w->p));
	pair_run(w->p, 1100);
	assert_int_equal(w->seen[0].released, 1);
	candidate_join(w->e[0], pair_now(w->p));
	pair_run(w->p, 1100);
	assert_int_equal(w->seen[0].granted, 2);
	assert_int_equal(w->seen[0].token, 2);
	world_free(w);
}

static void a_leader_that_is_cut_off_is_over_before_another_one_leads(void **state)
{
	struct world *w = world_new(2, 500);

	(void)state;
	pair_run(w->p, 100000);
	enter(w, 0, "job");
	pair_run(w->p, 10000);
	enter(w, 1, "job");
	pair_run(w->p, 3000000);
	for (unsigned v = 0; v < PAIR_VOTERS; v++)
		w->p->candidates[0].links[v].cut = true;
	for (unsigned i = 0; i < 13000 && !leads(w, 1); i++) {
		pair_run(w->p, 1000);
		assert_false(leads(w, 0) && leads(w, 1));
	}
	assert_true(leads(w, 1));
	assert_int_equal(w->seen[0].lost, 1);
	assert_int_equal(w->seen[0].health, TENURE_DEGRADED);
	assert_true(w->seen[1].granted_ns > w->seen[0].end.boot_ns);
	assert_true(w->seen[1].token > w->seen[0].token);
	world_free(w);
}

static void a_killed_voter_and_its_unclean_restart_disturb_no_leader(void **state)
{
	struct world *w = world_new(2, 500);

	(void)state;
	pair_run(w->p, 100000);
	enter(w, 0, "job");
	pair_run(w->p, 1000000);
	for (unsigned v = 0; v < PAIR_VOTERS; v++) {
		pair_kill_voter(w->p, v);
		pair_run(w->p, 1000000);
		assert_true(leads(w, 0));
		pair_start_voter(w->p, v, VOTER_UNCLEAN);
		pair_run(w->p, 11000000);
		assert_true(leads(w, 0));
	}
	assert_int_equal(w->seen[0].lost, 0);
	assert_int_equal(w->seen[0].health, TENURE_HEALTHY);
	world_free(w);
}

/* Section 12: re-attached after the quiet time, while nobody new can be elected. */
static void a_leader_lives_on_when_a_quorum_of_voters_was_killed_at_once(void **state)
{
	struct world *w = world_new(2, 500);

	(void)state;
	pair_run(w->p, 100000);
	enter(w, 0, "job");
	pair_run(w->p, 1000000);
	pair_kill_voter(w->p, 0);
	pair_kill_voter(w->p, 1);
	pair_start_voter(w->p, 0, VOTER_UNCLEAN);
	pair_start_voter(w->p, 1, VOTER_UNCLEAN);
	for (unsigned i = 0; i < 30; i++) {
		pair_run(w->p, 1000000);
		assert_true(leads(w, 0));
	}
	assert_int_equal(w->seen[0].lost, 0);
	world_free(w);
}

static void two_hundred_newcomers_get_one_leader_and_pass_it_on_in_order(void **state)
{
	struct world *w = world_new(200, 500);
	unsigned n_leading = 0, leader = 0;

	(void)state;
	pair_run(w->p, 100000);
	for (unsigned k = 0; k < 200; k++)
		enter(w, k, "job");
	pair_run(w->p, 20000);
	for (unsigned k = 0; k < 200; k++)
		if (leads(w, k)) {
			n_leading++;
			leader = k;
		}
	assert_int_equal(n_leading, 1);
	pair_run(w->p, 1000000);
	for (unsigned turn = 0; turn < 20; turn++) {
		uint64_t token = w->seen[leader].token, at_ns = w->p->now_ns;
		unsigned next = PAIR_CANDIDATES;

		candidate_release(w->e[leader], "", TENURE_BY_RESIGN, pair_now(w->p));
		pair_run(w->p, 2100);
		for (unsigned k = 0; k < 200; k++)
			if (leads(w, k))
				next = k;
		assert_true(next < PAIR_CANDIDATES);
		assert_true(w->seen[next].token > token);
		assert_true(w->seen[next].granted_ns - at_ns <= 2100000);
		leader = next;
		pair_run(w->p, 50000);
	}
	world_free(w);
}

static void ten_thousand_elections_cost_one_item_a_heartbeat_and_voter(void **state)
{
	static struct candidate_election *held[N_HELD];
	struct world *w = world_new(1, 500);
	struct candidate *c = w->p->candidates[0].c;
	struct candidate_facts before, after;

	(void)state;
	pair_run(w->p, 100000);
	for (unsigned i = 0; i < N_HELD; i++) {
		char name[16] = "e00000";
		struct candidate_entry entry = { .election = name };

		for (unsigned d = 5, n = i; d > 0; d--, n /= 10)
			name[d] = (char)('0' + n % 10);
		assert_int_equal(candidate_enter(c, &entry, &held[i]), 0);
		candidate_join(held[i], pair_now(w->p));
	}
	pair_run(w->p, 10000);
	assert_int_equal(w->seen[0].granted, N_HELD);
	pair_run(w->p, 3000000);
	candidate_read_facts(c, &before);
	pair_run(w->p, 10000000);
	candidate_read_facts(c, &after);
	assert_int_equal(after.n_led, N_HELD);
	assert_in_range(after.frames_sent - before.frames_sent, 9, 15);
	assert_int_equal(w->seen[0].lost, 0);
	world_free(w);
}

static void a_wish_reaches_the_leader_and_the_named_candidate_is_next(void **state)
{
	struct world *w = world_new(4, 500);

	(void)state;
	pair_run(w->p, 100000);
	for (unsigned k = 0; k < 3; k++) {
		enter(w, k, "job");
		pair_run(w->p, 20000);
	}
	assert_true(leads(w, 0));
	assert_int_equal(candidate_ask(w->p->candidates[3].c, "job", "c", NULL, pair_now(w->p)), 0);
	pair_run(w->p, 20000);
	assert_int_equal(w->seen[3].ended, 1);
	assert_int_equal(w->seen[3].code, 0);
	assert_int_equal(w->seen[0].asked, 1);
	assert_memory_equal(w->seen[0].to, "c_", 2);
	candidate_release(w->e[0], w->seen[0].to, TENURE_BY_TRANSFER, pair_now(w->p));
	pair_run(w->p, 5000);
	assert_true(leads(w, 2));
	assert_int_equal(candidate_ask(w->p->candidates[3].c, "job", "nobody", NULL, pair_now(w->p)), 0);
	pair_run(w->p, 20000);
	assert_int_equal(w->seen[3].code, TENURE_ENOENT);
	assert_int_equal(candidate_ask(w->p->candidates[3].c, "other", "", NULL, pair_now(w->p)), 0);
	pair_run(w->p, 20000);
	assert_int_equal(w->seen[3].code, TENURE_NOT_LEADING);
	world_free(w);
}

static void observers_are_told_who_leads_and_who_waits_when_that_changes_and_only_then(void **state)
{
	struct world *w = world_new(2, 500);
	unsigned o = pair_add(w->p, (struct candidate_settings) { .label = "o", .observer = true });
	struct candidate_watch *watch;

	(void)state;
	assert_int_equal(candidate_observe(w->p->candidates[o].c, "job", NULL, &watch, pair_now(w->p)), 0);
	pair_run(w->p, 100000);
	assert_int_equal(w->seen[o].changed, 1);
	assert_false(w->seen[o].view.led);
	enter(w, 0, "job");
	pair_run(w->p, 50000);
	assert_true(w->seen[o].view.led);
	assert_string_equal(w->seen[o].view.id, "a");
	assert_int_equal(w->seen[o].view.token, 1);
	assert_int_equal(w->seen[o].view.value_bytes, 4);
	assert_int_equal(w->seen[o].view.voters_up, 3);
	enter(w, 1, "job");
	{
		unsigned n = w->seen[o].changed;

		pair_run(w->p, 20000000);
		assert_int_equal(w->seen[o].changed, n);
	}
	candidate_release(w->e[0], "", TENURE_BY_RESIGN, pair_now(w->p));
	pair_run(w->p, 50000);
	assert_true(w->seen[o].view.led);
	assert_string_equal(w->seen[o].view.id, "b");
	candidate_join(w->e[0], pair_now(w->p));
	pair_run(w->p, 50000);
	assert_int_equal(candidate_read(w->p->candidates[o].c, "job", NULL, pair_now(w->p)), 0);
	assert_int_equal(candidate_list(w->p->candidates[o].c, NULL, pair_now(w->p)), 0);
	pair_run(w->p, 50000);
	assert_int_equal(w->seen[o].read, 1);
	assert_string_equal(w->seen[o].view.id, "b");
	assert_true(w->seen[o].view.expires_in_ns > 0);
	assert_int_equal(w->seen[o].view.n_waiting, 1);
	assert_int_equal(w->seen[o].listed, 1);
	assert_int_equal(w->seen[o].ended, 1);
	candidate_unobserve(watch, pair_now(w->p));
	world_free(w);
}

static void the_plain_form_leads_and_renews_without_sessions(void **state)
{
	struct world *w = world_new(0, 500);

	(void)state;
	(void)pair_add(w->p, (struct candidate_settings) { .label = "a", .plain = true });
	pair_run(w->p, 100000);
	enter(w, 0, "job");
	pair_run(w->p, 60000000);
	assert_int_equal(w->seen[0].granted, 1);
	assert_int_equal(w->seen[0].lost, 0);
	assert_true(leads(w, 0));
	assert_in_range(w->seen[0].renewed, 20, 60);
	world_free(w);
}

static void too_few_voters_are_named_with_the_reason(void **state)
{
	struct world *w = world_new(0, 500);

	(void)state;
	pair_kill_voter(w->p, 0);
	pair_kill_voter(w->p, 2);
	(void)pair_add(w->p, (struct candidate_settings) { .label = "a" });
	pair_run(w->p, 100000);
	assert_int_equal(w->seen[0].reached, -1);
	assert_int_equal(w->seen[0].code, TENURE_EUNREACHABLE);
	assert_non_null(strstr(w->seen[0].text, "connection refused"));
	pair_start_voter(w->p, 0, VOTER_FIRST);
	pair_run(w->p, 2000000);
	assert_int_equal(w->seen[0].reached, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_candidate_leads_within_two_round_trips_and_goes_on),
		cmocka_unit_test(after_a_release_the_next_in_line_leads_within_two_round_trips_with_a_greater_token),
		cmocka_unit_test(whoever_released_and_saw_nobody_waiting_leads_again_within_one_round_trip),
		cmocka_unit_test(a_leader_that_is_cut_off_is_over_before_another_one_leads),
		cmocka_unit_test(a_killed_voter_and_its_unclean_restart_disturb_no_leader),
		cmocka_unit_test(a_leader_lives_on_when_a_quorum_of_voters_was_killed_at_once),
		cmocka_unit_test(two_hundred_newcomers_get_one_leader_and_pass_it_on_in_order),
		cmocka_unit_test(ten_thousand_elections_cost_one_item_a_heartbeat_and_voter),
		cmocka_unit_test(a_wish_reaches_the_leader_and_the_named_candidate_is_next),
		cmocka_unit_test(observers_are_told_who_leads_and_who_waits_when_that_changes_and_only_then),
		cmocka_unit_test(the_plain_form_leads_and_renews_without_sessions),
		cmocka_unit_test(too_few_voters_are_named_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
