/* SPDX-License-Identifier: Apache-2.0 */
/* A candidate that is killed at each of its system calls: the next one leads, above every number that was announced. */
#include "file_kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static uint64_t lead_after(const char *url)
{
	struct tenure *t = open_embedded(url, "after");
	struct tenure_candidacy *c = campaign(t, "job");
	uint64_t end = now_ns() + GENEROUS;
	struct tenure_grant grant = { 0 };

	while (!tenure_leads(c, &grant) && now_ns() < end)
		drive(t);
	assert_true(grant.token > 0);
	close_session(t);
	return grant.token;
}

/* Runs "candidate once" and kills it at its n-th stop. True: it was; false: it ended by itself before. */
static bool killed_at(const char *url, unsigned n, const char *said, const char *result)
{
	char command[3000], text[64] = "";

	(void)snprintf(command, sizeof command, "exec %s -o %s %u -- %s once %s job >%s", kit_tool("KILLAT"), result, n,
	               kit_tool("CANDIDATE"), url, said);
	assert_int_equal(kit_shell(command), 0);
	(void)kit_read(result, text, sizeof text - 1);
	return strstr(text, "ended") == NULL;
}

static uint64_t announced(const char *said)
{
	char text[128] = "";

	(void)kit_read(said, text, sizeof text - 1);
	return strncmp(text, "lead ", 5) == 0 ? strtoull(text + 5, NULL, 10) : 0;
}

static void killed_at_any_system_call_it_leaves_an_election_that_goes_on(void **state)
{
	char own[FIXTURE_URL_ROOM], said[FIXTURE_URL_ROOM + 16], result[FIXTURE_URL_ROOM + 16], path[FIXTURE_URL_ROOM];
	uint64_t highest = 0, last, n_announced = 0;
	unsigned n = 0, killed = 0;

	fixture_directory(own);
	(void)snprintf(said, sizeof said, "%s/said", own);
	(void)snprintf(result, sizeof result, "%s/result", own);
	/* Every other stop is an entry; what is on the disk at an exit is what is there at the next entry. */
	for (n = 1; killed_at(*state, n, said, result); n += 2) {
		uint64_t token = announced(said);

		killed++;
		if (token > 0)
			n_announced++;
		if (token > highest)
			highest = token;
		last = lead_after(*state);
		assert_true(last > highest);
		highest = last;
	}
	print_message("# killed at %u stops; %llu of them after the announcement; tokens up to %llu\n", killed,
	              (unsigned long long)n_announced, (unsigned long long)highest);
	assert_true(killed > 100);
	assert_true(n_announced > 0);
	/* Nothing grew with the number of deaths. */
	assert_true(kit_count(kit_path(*state, "", path)) <= 6);
	assert_int_equal(kit_count(kit_path(*state, "waiting", path)), 0);
	fixture_remove(own);
}

/* The same on an election that nobody has used: directories, lock, counter and record are made for the first time. */
static void killed_while_making_an_election_it_leaves_one_that_can_be_led(void **state)
{
	char own[FIXTURE_URL_ROOM], said[FIXTURE_URL_ROOM + 16], result[FIXTURE_URL_ROOM + 16], url[FIXTURE_URL_ROOM];

	fixture_directory(own);
	(void)snprintf(said, sizeof said, "%s/said", own);
	(void)snprintf(result, sizeof result, "%s/result", own);
	for (unsigned n = 1, go_on = 1; go_on; n += 3) {
		(void)snprintf(url, sizeof url, "file:%.300s/%u", (const char *)*state + strlen("file:"), n);
		go_on = killed_at(url, n, said, result);
		assert_true(lead_after(url) > announced(said));
	}
	fixture_remove(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_at_any_system_call_it_leaves_an_election_that_goes_on),
		TEST(killed_while_making_an_election_it_leaves_one_that_can_be_led),
	};

	(void)fixture_choose("file");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
