/* SPDX-License-Identifier: Apache-2.0 */
/* Many elections in one process, many candidates in one election. Each test prints what it measured. */
#include "quorum_kit.h"

#include <stdlib.h>
#include <string.h>

#define ELECTIONS  10000
#define CANDIDATES 200

static int scale_setup(void **state)
{
	*state = cluster_new(3, "10s");
	return 0;
}

static int scale_teardown(void **state)
{
	cluster_free(*state);
	return 0;
}

static long memory_kb(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's numbers */
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	(void)fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void ten_thousand_elections_in_one_process_are_all_led(void **state)
{
	static struct tenure_candidacy *c[ELECTIONS];
	struct cluster *cluster = *state;
	uint64_t begin, led, released;
	long before = memory_kb(), after;
	struct tenure *t = open_session(cluster->url, "many");

	begin = now_ns();
	for (int i = 0; i < ELECTIONS; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "job-%05d", i);
		c[i] = campaign(t, name);
	}
	for (int i = 0; i < ELECTIONS; i++)
		assert_int_equal(tenure_wait(c[i], TENURE_LEADING, GENEROUS), 0);
	led = now_ns();
	for (int i = 0; i < ELECTIONS; i++)
		assert_true(tenure_leads(c[i], NULL));
	after = memory_kb();
	assert_int_equal(tenure_close(t, GENEROUS), 0);
	released = now_ns();
	print_message("# %d elections led after %.0f ms, released after %.0f ms more; %ld kB, %.2f kB an election\n",
	              ELECTIONS, (double)(led - begin) / 1e6, (double)(released - led) / 1e6, after - before,
	              (double)(after - before) / ELECTIONS);
}

/* ---- one election ---- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void two_hundred_candidates_of_one_election_lead_one_after_the_other(void **state)
{
	static struct actor *a[CANDIDATES];
	static uint64_t gaps[CANDIDATES];
	struct tenure_campaign_options options = { .once = true };
	struct cluster *cluster = *state;
	struct tenure *t = open_session(cluster->url, "gate");
	struct tenure_candidacy *gate = campaign(t, "job");
	uint64_t last = await_lead(gate), begin;

	for (int i = 0; i < CANDIDATES; i++)
		a[i] = actor_new(cluster->url, "waiter", "job", options);
	await_waiting(t, "job", CANDIDATES);
	begin = now_ns();
	assert_int_equal(tenure_set_eligible(gate, false), 0);
	for (int n = 0; n < CANDIDATES; n++) {
		struct tenure_grant grant = { 0 };
		struct actor *leader = NULL;
		uint64_t end = now_ns() + GENEROUS;

		while (!leader && now_ns() < end)
			for (int i = 0; i < CANDIDATES && !leader; i++)
				if (a[i] && tenure_leads(a[i]->c, &grant))
					leader = a[i];
		assert_non_null(leader);
		gaps[n] = now_ns() - begin;
		assert_true(grant.token > last);
		last = grant.token;
		begin = now_ns();
		assert_int_equal(tenure_resign(leader->c, NULL), 0);
		for (int i = 0; i < CANDIDATES; i++)
			if (a[i] == leader)
				a[i] = NULL;
		actor_free(leader);
	}
	qsort(gaps, CANDIDATES, sizeof gaps[0], compare);
	begin = gaps[CANDIDATES / 2];
	print_message("# %d candidates: a hand-over took %.2f ms at the median, %.2f ms at most\n", CANDIDATES,
	              (double)begin / 1e6, (double)gaps[CANDIDATES - 1] / 1e6);
	close_session(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ten_thousand_elections_in_one_process_are_all_led, scale_setup,
		                                scale_teardown),
		cmocka_unit_test_setup_teardown(two_hundred_candidates_of_one_election_lead_one_after_the_other,
		                                scale_setup, scale_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
