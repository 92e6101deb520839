/* SPDX-License-Identifier: Apache-2.0 */
/* Forked children, and several processes in one election. */
#include "fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void assert_exit(pid_t child, int code)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

/*
 * Children drive their sessions themselves: a thread sanitizer allows no new threads in a child of a process that has
 * some.
 */
static struct tenure *child_open(const char *url)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure *t = NULL;

	options.embedded = true;
	EXPECT(tenure_open(&t, url, &options, NULL) == 0);
	return t;
}

static uint64_t child_lead(struct tenure *t, struct tenure_candidacy *c)
{
	uint64_t end = now_ns() + GENEROUS;
	struct tenure_grant grant = { 0 };

	while (!tenure_leads(c, &grant)) {
		struct pollfd ready = { .fd = tenure_fd(t), .events = POLLIN };

		EXPECT(now_ns() < end);
		(void)poll(&ready, 1, 20);
		EXPECT(tenure_process(t) == 0);
	}
	return grant.token;
}

static int nothing(void *arg, const char *election)
{
	(void)arg;
	(void)election;
	return 0;
}

static void expect_forked(struct tenure *t, struct tenure_candidacy *c)
{
	struct tenure_candidacy *other;
	struct tenure_status *status;
	struct tenure_observer *o;
	struct tenure_grant grant;
	int fd = 7;

	EXPECT(!tenure_leads(c, &grant) && !tenure_leads(c, NULL));
	EXPECT(!tenure_holds(c, 1));
	EXPECT(!tenure_may(c, TENURE_FOLLOWER_SAFE, NULL));
	EXPECT(tenure_state_of(c, NULL) == TENURE_ENDED);
	EXPECT(tenure_resign(c, NULL) == TENURE_EFORKED);
	EXPECT(tenure_wait(c, TENURE_LEADING, 0) == TENURE_EFORKED);
	EXPECT(tenure_set_eligible(c, false) == TENURE_EFORKED);
	EXPECT(tenure_set_value(c, NULL, 0) == TENURE_EFORKED);
	EXPECT(tenure_lease_fd(c, &fd) == TENURE_EFORKED && fd == -1);
	EXPECT(tenure_campaign(t, "other", NULL, &other, NULL) == TENURE_EFORKED);
	EXPECT(tenure_read(t, "job", GENEROUS, &status, NULL) == TENURE_EFORKED);
	EXPECT(!fixture_has(HAS_LIST) || tenure_list(t, nothing, NULL, GENEROUS, NULL) == TENURE_EFORKED);
	EXPECT(!fixture_has(HAS_ASK) || tenure_ask_resign(t, "job", NULL, GENEROUS, NULL) == TENURE_EFORKED);
	EXPECT(tenure_observe(t, "job", recorder_event, NULL, &o, NULL) == TENURE_EFORKED);
	EXPECT(tenure_process(t) == TENURE_EFORKED);
	EXPECT(tenure_fd(t) == -1);
	EXPECT(tenure_next_ns(t) == TENURE_NS_NEVER);
	EXPECT(tenure_health_of(t) == TENURE_HEALTH_UNKNOWN);
	EXPECT(tenure_ttl_ns(t) == 0);
	tenure_candidacy_free(c);
	EXPECT(tenure_close(t, GENEROUS) == TENURE_EFORKED);
}

static void in_a_forked_child_every_call_answers_that_the_handle_is_the_parents(void **state)
{
	struct tenure *t = open_session(*state, "parent");
	struct tenure_candidacy *c = campaign(t, "job");
	pid_t child;

	(void)await_lead(c);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		expect_forked(t, c);
		_exit(0);
	}
	assert_exit(child, 0);
	assert_true(tenure_leads(c, NULL)); /* untouched */
	assert_int_equal(tenure_resign(c, NULL), 0);
	(void)await_lead(c);
	close_session(t);
}

/* With the loop's thread at work in as many moments as chance gives. */
static void forking_in_the_middle_of_work_leaves_whole_handles_on_both_sides(void **state)
{
	struct tenure *t = open_session(*state, "parent");
	struct tenure_candidacy *c = campaign(t, "job");

	for (int i = 0; i < 30; i++) {
		pid_t child;

		(void)tenure_resign(c, NULL);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			expect_forked(t, c);
			_exit(0);
		}
		assert_exit(child, 0);
	}
	(void)await_lead(c);
	close_session(t);
}

static void a_child_may_open_a_session_of_its_own(void **state)
{
	struct tenure *t;
	pid_t child;

	if (!fixture_has(HAS_PROCESSES))
		return;
	t = open_session(*state, "parent");
	(void)await_lead(campaign(t, "job"));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct tenure_candidacy *c = NULL;
		struct tenure *own = child_open(*state);

		EXPECT(tenure_campaign(own, "other", NULL, &c, NULL) == 0);
		(void)child_lead(own, c);
		EXPECT(tenure_close(own, GENEROUS) == 0);
		_exit(0);
	}
	assert_exit(child, 0);
	close_session(t);
}

/* ---- several processes ---- */

static void wait_for_byte(int fd)
{
	char byte;

	assert_int_equal(read(fd, &byte, 1), 1);
}

/* A process that leads, forks a child that stays, and says so. */
static void lead_and_fork(const char *url, int ready_fd, int stay_fd)
{
	struct tenure_candidacy *c = NULL;
	struct tenure *t = child_open(url);
	char byte;

	EXPECT(tenure_campaign(t, "job", NULL, &c, NULL) == 0);
	(void)child_lead(t, c);
	if (fork() == 0) {
		EXPECT(!tenure_leads(c, NULL));
		EXPECT(write(ready_fd, "r", 1) == 1);
		(void)read(stay_fd, &byte, 1); /* until the test is over */
		_exit(0);
	}
	for (;;)
		(void)pause();
}

static void a_forked_child_does_not_keep_the_lead_of_a_killed_parent(void **state)
{
	struct tenure *t;
	struct tenure_candidacy *c;
	int ready[2], stay[2];
	pid_t child;

	if (!fixture_has(HAS_PROCESSES))
		return;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(stay), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(stay[1]);
		lead_and_fork(*state, ready[1], stay[0]);
	}
	(void)close(stay[0]);
	wait_for_byte(ready[0]);
	t = open_session(*state, "next");
	c = campaign(t, "job");
	assert_int_equal(tenure_wait(c, TENURE_LEADING, BRIEFLY), TENURE_TIMEOUT);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(await_lead(c) > 1);
	close_session(t);
	(void)close(stay[1]);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

#define PROCESSES       6
#define PROCESS_TENURES 8

static void lead_several_times(const char *url, struct ledger *ledger, int who)
{
	struct timespec moment = { .tv_nsec = 200000 };
	struct tenure_candidacy *c = NULL;
	struct tenure *t = child_open(url);

	EXPECT(tenure_campaign(t, "job", NULL, &c, NULL) == 0);
	for (int i = 0; i < PROCESS_TENURES; i++) {
		ledger_enter(ledger, who, child_lead(t, c));
		(void)nanosleep(&moment, NULL);
		ledger_exit(ledger);
		if (i + 1 < PROCESS_TENURES)
			EXPECT(tenure_resign(c, NULL) == 0);
	}
	if (who % 2 == 0)
		(void)kill(getpid(), SIGKILL); /* leading, without a word */
	EXPECT(tenure_close(t, GENEROUS) == 0);
	_exit(0);
}

static void of_many_processes_never_two_lead_at_once_though_half_of_them_are_killed(void **state)
{
	struct ledger *ledger;
	pid_t children[PROCESSES];

	if (!fixture_has(HAS_PROCESSES))
		return;
	ledger = ledger_new();
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			lead_several_times(*state, ledger, i);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(i % 2 == 0 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	ledger_judge(ledger, (size_t)PROCESSES * PROCESS_TENURES);
	ledger_free(ledger);
}

static const struct CMUnitTest tests[] = {
	TEST(in_a_forked_child_every_call_answers_that_the_handle_is_the_parents),
	TEST(forking_in_the_middle_of_work_leaves_whole_handles_on_both_sides),
	TEST(a_child_may_open_a_session_of_its_own),
	TEST(a_forked_child_does_not_keep_the_lead_of_a_killed_parent),
	TEST(of_many_processes_never_two_lead_at_once_though_half_of_them_are_killed),
};
TESTS_OF(conform_process, tests)
