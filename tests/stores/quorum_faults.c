/* SPDX-License-Identifier: Apache-2.0 */
/* Voters and candidates that are killed, stopped, mixed up. */
#include "quorum_kit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define TTL     "1s"
#define TTL_NS  SECONDS(1)
#define RTT_NS  MILLISECONDS(1)
#define BUSY_NS MILLISECONDS(700) /* what a loaded machine may add */

static int faults_setup(void **state)
{
	*state = cluster_new(3, TTL);
	return 0;
}

static int faults_teardown(void **state)
{
	cluster_free(*state);
	return 0;
}

/* ---- a candidate in a process of its own, without threads, that tells what it believes ---- */

struct believer {
	_Atomic uint64_t token, last_ns; /* it believed at last_ns, by its own test */
	pid_t pid;
};

static void believe(struct believer *b, const char *url)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_candidacy *c = NULL;
	struct tenure *t = NULL;

	options.embedded = true;
	EXPECT(tenure_open(&t, url, &options, NULL) == 0);
	EXPECT(tenure_campaign(t, "job", NULL, &c, NULL) == 0);
	for (;;) {
		struct timespec moment = { .tv_nsec = 1000000 };
		struct tenure_grant grant;

		EXPECT(tenure_process(t) == 0);
		if (tenure_leads(c, &grant)) {
			b->last_ns = grant.now_ns;
			b->token = grant.token;
		}
		(void)nanosleep(&moment, NULL);
	}
}

static struct believer *believer_start(const char *url)
{
	struct believer *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec moment = { .tv_nsec = 1000000 };
	uint64_t end = now_ns() + GENEROUS;
	pid_t pid;

	assert_true(b != MAP_FAILED);
	pid = fork(); /* not into the memory that both have */
	assert_true(pid >= 0);
	if (pid == 0)
		believe(b, url);
	b->pid = pid;
	while (b->token == 0 && now_ns() < end)
		(void)nanosleep(&moment, NULL);
	assert_true(b->token > 0);
	return b;
}

static void believer_end(struct believer *b)
{
	(void)kill(b->pid, SIGKILL);
	(void)waitpid(b->pid, NULL, 0);
	(void)munmap(b, sizeof *b);
}

static void a_killed_candidate_is_followed_within_its_lease_and_two_round_trips(void **state)
{
	struct cluster *cluster = *state;
	uint64_t begin, took, most = 0;

	for (int i = 0; i < 3; i++) {
		struct believer *b = believer_start(cluster->url);
		struct tenure *t = open_session(cluster->url, "next");
		struct tenure_candidacy *c = campaign(t, "job");
		uint64_t token = b->token;

		await_waiting(t, "job", 1);
		begin = now_ns();
		believer_end(b);
		assert_true(await_lead(c) > token);
		took = now_ns() - begin;
		most = took > most ? took : most;
		close_session(t);
	}
	print_message("# ttl %s: followed after at most %.0f ms\n", TTL, (double)most / 1e6);
	assert_true(most < TTL_NS * 1001 / 999 + 2 * RTT_NS + BUSY_NS);
}

static void a_stopped_leader_has_stopped_believing_before_the_next_one_leads(void **state)
{
	struct cluster *cluster = *state;
	struct believer *b = believer_start(cluster->url);
	struct tenure *t = open_session(cluster->url, "next");
	struct tenure_candidacy *c = campaign(t, "job");
	struct timespec moment = { .tv_nsec = 50000000 };
	struct tenure_grant grant = { 0 };
	uint64_t token = b->token;

	await_waiting(t, "job", 1);
	assert_int_equal(kill(b->pid, SIGSTOP), 0);
	assert_true(await_lead(c) > token);
	assert_true(tenure_leads(c, &grant));
	assert_int_equal(kill(b->pid, SIGCONT), 0);
	(void)nanosleep(&moment, NULL); /* it asks itself again and again */
	assert_true(b->token == token);
	assert_true(b->last_ns < grant.now_ns);
	assert_true(tenure_leads(c, NULL));
	close_session(t);
	believer_end(b);
}

/* ---- voters ---- */

static bool is_healthy(const struct recorded *e, const void *wanted)
{
	return e->type == TENURE_EV_HEALTH && e->health == *(const enum tenure_health *)wanted;
}

static void without_enough_voters_the_store_is_degraded_and_recovers_when_they_go_on(void **state)
{
	const enum tenure_health degraded = TENURE_DEGRADED, healthy = TENURE_HEALTHY;
	struct cluster *cluster = *state;
	struct actor *a = actor_new(cluster->url, "a", "job", (struct tenure_campaign_options) { 0 });
	uint64_t token = await_lead(a->c);
	struct recorded e;
	size_t at;

	cluster_signal(cluster, 1, SIGSTOP);
	cluster_signal(cluster, 2, SIGSTOP);
	at = recorder_await(&a->r, 0, is_healthy, &degraded);
	e = recorder_at(&a->r, at);
	assert_non_null(strstr(e.message, "127.0.0.1"));
	assert_false(tenure_may(a->c, TENURE_NOT_DEGRADED, NULL));
	(void)recorder_await_state(&a->r, 0, TENURE_STEPPING_DOWN);
	assert_false(tenure_leads(a->c, NULL));
	cluster_signal(cluster, 1, SIGCONT);
	cluster_signal(cluster, 2, SIGCONT);
	(void)recorder_await(&a->r, at, is_healthy, &healthy);
	assert_true(await_lead(a->c) > token);
	assert_int_equal(tenure_health_of(a->t), TENURE_HEALTHY);
	actor_free(a);
}

static void killed_voters_are_named_and_come_back(void **state)
{
	struct cluster *cluster = *state;
	struct tenure *t = open_session(cluster->url, "reader");
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_status *status;
	char address[64];
	unsigned up = 0, of = 0;

	assert_int_equal(tenure_read(t, "job", GENEROUS, &status, &error), 0);
	tenure_status_voters(status, &up, &of);
	assert_int_equal(of, 3);
	assert_true(up >= 2);
	tenure_status_free(status);
	cluster_kill(cluster, 0);
	assert_int_equal(tenure_read(t, "job", GENEROUS, &status, &error), 0);
	tenure_status_free(status);
	cluster_kill(cluster, 1);
	assert_int_equal(tenure_read(t, "job", GENEROUS, &status, &error), TENURE_EUNREACHABLE);
	assert_non_null(strstr(error.message, cluster_address(cluster, 0, address)));
	assert_non_null(strstr(error.message, cluster_address(cluster, 1, address)));
	assert_null(strstr(error.message, cluster_address(cluster, 2, address)));
	cluster_start(cluster, 0);
	cluster_start(cluster, 1);
	await_lead(campaign(t, "job"));
	close_session(t);
}

static void a_clean_restart_of_each_voter_in_turn_disturbs_no_leader(void **state)
{
	struct tenure_campaign_options options = { .notice_ns = TTL_NS / 4 };
	struct cluster *cluster = *state;
	struct actor *a = actor_new(cluster->url, "a", "job", options);
	uint64_t token = await_lead(a->c);
	struct timespec lease = { .tv_sec = 1 };
	size_t n;

	n = recorder_await_state(&a->r, 0, TENURE_LEADING) + 1;
	for (unsigned i = 0; i < cluster->n; i++) {
		assert_int_equal(cluster_stop(cluster, i), 0);
		cluster_start(cluster, i);
		(void)nanosleep(&lease, NULL); /* what would be lost is lost by then */
		assert_true(tenure_holds(a->c, token));
	}
	for (; n < recorder_count(&a->r); n++)
		assert_int_not_equal(recorder_at(&a->r, n).type, TENURE_EV_STATE);
	actor_free(a);
}

#define LEADERS 1000

struct watched {
	struct tenure_candidacy *c;
	_Atomic unsigned at_risk, lost;
};

static void watch_states(void *arg, const struct tenure_event *e)
{
	struct watched *w = arg;

	if (e->type == TENURE_EV_STATE && e->to == TENURE_AT_RISK)
		w->at_risk++;
	if (e->type == TENURE_EV_STATE && (e->from & (TENURE_LEADING | TENURE_AT_RISK)) != 0 &&
	    (e->to & (TENURE_LEADING | TENURE_AT_RISK)) == 0)
		w->lost++;
}

/* At risk is what has less than half of its lease: renewals come at three quarters. */
static void a_voter_killed_under_a_thousand_leaders_makes_no_renewal_late(void **state)
{
	static struct watched watched[LEADERS];
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct cluster *cluster = cluster_new(3, "2s");
	struct tenure *t = open_session(cluster->url, "thousand");
	struct timespec leases = { .tv_sec = 3 };
	unsigned at_risk = 0, lost = 0;

	(void)state;
	options.notice_ns = SECONDS(1);
	options.on_event = watch_states;
	for (int i = 0; i < LEADERS; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "job-%d", i);
		options.arg = &watched[i];
		watched[i].c = campaign_with(t, name, &options);
	}
	for (int i = 0; i < LEADERS; i++)
		await_lead(watched[i].c);
	cluster_kill(cluster, 0);
	(void)nanosleep(&leases, NULL);
	cluster_start(cluster, 0); /* uncleanly: it is in its hold, and is attached to again */
	(void)nanosleep(&leases, NULL);
	for (int i = 0; i < LEADERS; i++) {
		at_risk += watched[i].at_risk;
		lost += watched[i].lost;
		assert_true(tenure_leads(watched[i].c, NULL));
	}
	print_message("# %d leaders, a voter killed and started again: %u at risk, %u lost\n", LEADERS, at_risk, lost);
	assert_int_equal(at_risk, 0);
	assert_int_equal(lost, 0);
	close_session(t);
	cluster_free(cluster);
}

/* ---- the wrong voters ---- */

static void a_ttl_above_the_voters_is_refused_with_both(void **state)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct cluster *cluster = *state;
	struct tenure_candidacy *c;
	struct tenure *t;

	options.ttl_ns = SECONDS(60);
	assert_int_equal(tenure_open(&t, cluster->url, &options, &error), 0);
	c = campaign(t, "job");
	await_state(c, TENURE_ENDED);
	assert_int_equal(tenure_state_of(c, &error), TENURE_ENDED);
	assert_int_equal(error.code, TENURE_EUNSAFE);
	assert_non_null(strstr(error.message, "1m"));
	assert_non_null(strstr(error.message, "1s"));
	close_session(t);
}

static void voters_of_two_clusters_in_one_url_are_told_apart(void **state)
{
	struct cluster *one = *state, *two = cluster_new(3, TTL);
	char url[FIXTURE_URL_ROOM], a[64], b[64], d[64];
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c;
	struct tenure *t;

	/* No majority of either's: one each of two clusters, and somebody who is not there. */
	(void)snprintf(url, sizeof url, "quorum://%s,%s", cluster_address(one, 0, a), cluster_address(two, 0, b));
	t = open_session(url, "mixed");
	c = campaign(t, "job");
	await_state(c, TENURE_ENDED);
	assert_int_equal(tenure_state_of(c, &error), TENURE_ENDED);
	assert_int_equal(error.code, TENURE_ECLUSTER);
	assert_non_null(strstr(error.message, "127.0.0.1"));
	close_session(t);
	/* A majority of one's, and a stray of the other's, which never counts. */
	(void)snprintf(url, sizeof url, "quorum://%s,%s,%s", cluster_address(one, 0, a), cluster_address(one, 1, b),
	               cluster_address(two, 2, d));
	t = open_session(url, "stray");
	await_lead(campaign(t, "job"));
	close_session(t);
	cluster_free(two);
}

static void too_few_addresses_are_told(void **state)
{
	struct cluster *cluster = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_status *status;
	char url[FIXTURE_URL_ROOM], address[64];
	struct tenure *t;

	(void)snprintf(url, sizeof url, "quorum://%s", cluster_address(cluster, 0, address));
	t = open_session(url, "one");
	assert_int_equal(tenure_read(t, "job", GENEROUS, &status, &error), TENURE_EUNREACHABLE);
	assert_non_null(strstr(error.message, "3"));
	close_session(t);
}

#define FAULT(name) cmocka_unit_test_setup_teardown(name, faults_setup, faults_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT(a_killed_candidate_is_followed_within_its_lease_and_two_round_trips),
		FAULT(a_stopped_leader_has_stopped_believing_before_the_next_one_leads),
		FAULT(without_enough_voters_the_store_is_degraded_and_recovers_when_they_go_on),
		FAULT(killed_voters_are_named_and_come_back),
		FAULT(a_clean_restart_of_each_voter_in_turn_disturbs_no_leader),
		cmocka_unit_test(a_voter_killed_under_a_thousand_leaders_makes_no_renewal_late),
		FAULT(a_ttl_above_the_voters_is_refused_with_both),
		FAULT(voters_of_two_clusters_in_one_url_are_told_apart),
		FAULT(too_few_addresses_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
