/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that several users share: what one of them puts there must not make another one's candidate do harm. */
#include "file_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/process.h"
#include "file/record.h"

#define SHARED_USER  65534
#define SHARED_GROUP 23456

static uint64_t lead_once(const char *url)
{
	struct tenure *t = open_session(url, "lead");
	uint64_t token = await_lead(campaign(t, "job"));

	close_session(t);
	return token;
}

static void assert_waits(const char *url)
{
	struct tenure *t = open_session(url, "victim");
	struct tenure_candidacy *c = campaign(t, "job");

	assert_int_equal(tenure_wait(c, TENURE_LEADING, BRIEFLY), TENURE_TIMEOUT);
	assert_int_equal(tenure_state_of(c, NULL), TENURE_CONNECTING);
	close_session(t);
}

static pid_t sleeper(struct process_id *id)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			(void)pause();
	assert_int_equal(process_identify(pid, id), 0);
	return pid;
}

static bool lives(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* The record of the last tenure as if it went on with this program, in a file of this user and mode. */
static void forge(const char *url, const struct process_id *init, const char *cgroup, uid_t owner, mode_t mode)
{
	char path[FIXTURE_URL_ROOM], text[RECORD_MAX_BYTES];
	struct record r;

	(void)kit_path(url, "holder", path);
	assert_int_equal(record_parse(&r, text, kit_read(path, text, sizeof text), path, NULL), 0);
	r.leading = r.has_tree = 1;
	r.warden = r.init = *init;
	(void)snprintf(r.containment, sizeof r.containment, "%s", cgroup[0] ? "cgroup" : "kernel");
	(void)snprintf(r.cgroup, sizeof r.cgroup, "%s", cgroup);
	kit_write(path, text, record_format(&r, text, sizeof text));
	assert_int_equal(chown(path, owner, (gid_t)-1), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_record_ends_what_its_own_user_runs(void **state)
{
	struct process_id init;
	pid_t pid = sleeper(&init);
	uint64_t token = lead_once(*state);
	int status;

	forge(*state, &init, "", geteuid(), 0644);
	assert_true(lead_once(*state) > token);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_record_of_another_user_ends_nothing_of_ours(void **state)
{
	char path[FIXTURE_URL_ROOM];
	struct process_id init;
	pid_t pid = sleeper(&init);

	(void)lead_once(*state);
	forge(*state, &init, "", SHARED_USER, 0644);
	assert_waits(*state);
	assert_true(lives(pid));
	/* As the message says. */
	assert_int_equal(unlink(kit_path(*state, "holder", path)), 0);
	(void)lead_once(*state);
	assert_true(lives(pid));
	end(pid);
}

static void a_record_that_others_can_write_ends_nothing(void **state)
{
	static const mode_t modes[] = { 0664, 0646, 0666 };
	struct process_id init;
	pid_t pid = sleeper(&init);

	(void)lead_once(*state);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		forge(*state, &init, "", geteuid(), modes[i]);
		assert_waits(*state);
		assert_true(lives(pid));
	}
	end(pid);
}

static void a_record_is_written_so_that_only_its_user_can_change_it(void **state)
{
	char path[FIXTURE_URL_ROOM];
	struct stat st;

	assert_int_equal(chmod((const char *)*state + strlen("file:"), 0777), 0);
	(void)lead_once(*state);
	assert_int_equal(stat(kit_path(*state, "holder", path), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(stat(kit_path(*state, "counter", path), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
}

/* A directory that looks like a cgroup, with a link to a file that only we may write. */
static void a_record_makes_nobody_write_elsewhere(void **state)
{
	static const char *const names[] = { "tenure-0123456789abcdef", "other" };
	char fake[FIXTURE_URL_ROOM], file[FIXTURE_URL_ROOM + 40], precious[FIXTURE_URL_ROOM], found[16];
	const struct process_id none = { 0 };

	(void)lead_once(*state);
	kit_write(kit_path(*state, "precious", precious), "precious", 8);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(mkdir(kit_path(*state, names[i], fake), 0755), 0);
		(void)snprintf(file, sizeof file, "%s/cgroup.kill", fake);
		assert_int_equal(symlink(precious, file), 0);
		(void)snprintf(file, sizeof file, "%s/cgroup.events", fake);
		kit_write(file, "populated 0\n", 12);
		forge(*state, &none, fake, geteuid(), 0644);
		assert_waits(*state);
		assert_int_equal(kit_read(precious, found, sizeof found), 8);
		assert_memory_equal(found, "precious", 8);
	}
}

static void an_election_that_is_a_link_to_elsewhere_is_not_used(void **state)
{
	char path[FIXTURE_URL_ROOM], elsewhere[FIXTURE_URL_ROOM];
	struct tenure_error why = TENURE_ERROR_INIT;
	struct tenure *t;
	struct tenure_candidacy *c;
	struct stat st;

	fixture_directory(elsewhere);
	assert_int_equal(chmod(elsewhere, 0700), 0);
	assert_int_equal(chmod((const char *)*state + strlen("file:"), 0777), 0);
	assert_int_equal(symlink(elsewhere, kit_path(*state, "", path)), 0);
	t = open_session(*state, "victim");
	c = campaign(t, "job");
	assert_int_equal(tenure_wait(c, TENURE_ENDED, GENEROUS), 0);
	assert_int_equal(tenure_state_of(c, &why), TENURE_ENDED);
	assert_int_equal(why.code, TENURE_EIO);
	close_session(t);
	assert_int_equal(stat(elsewhere, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(kit_count(elsewhere), 0);
	fixture_remove(elsewhere);
}

static void a_lock_that_is_another_name_of_a_file_keeps_the_permissions_of_that(void **state)
{
	char precious[FIXTURE_URL_ROOM], lock[FIXTURE_URL_ROOM];
	struct stat st;

	assert_int_equal(chmod((const char *)*state + strlen("file:"), 0777), 0);
	(void)lead_once(*state);
	kit_write(kit_path(*state, "precious", precious), "", 0);
	assert_int_equal(chmod(precious, 0600), 0);
	assert_int_equal(unlink(kit_path(*state, "lock", lock)), 0);
	assert_int_equal(link(precious, lock), 0);
	(void)lead_once(*state);
	assert_int_equal(stat(precious, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void as_member(const void *uid)
{
	gid_t group = SHARED_GROUP;
	gid_t own = (gid_t) * (const uid_t *)uid;

	(void)umask(077);
	EXPECT(setgroups(1, &group) == 0 && setgid(own) == 0 && setuid(*(const uid_t *)uid) == 0);
}

/* Each with a group of its own, as on most systems, and the shared one besides. */
static void members_of_a_group_take_over_from_each_other(void **state)
{
	static const uid_t users[] = { 23001, 23002, 23003 };
	uint64_t token = 0;

	assert_int_equal(chown((const char *)*state + strlen("file:"), (uid_t)-1, SHARED_GROUP), 0);
	assert_int_equal(chmod((const char *)*state + strlen("file:"), 0775), 0);
	for (size_t i = 0; i < 6; i++) {
		struct kit_process p = kit_start(as_member, &users[i % 3], "try", *state, "job");
		uint64_t next = kit_lead(&p);

		assert_true(next > token);
		token = next;
		if (i % 2 == 0)
			kit_kill(&p);
		else
			assert_int_equal(kit_end(&p), 0);
	}
}

#define F(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		F(a_record_ends_what_its_own_user_runs),
		F(a_record_of_another_user_ends_nothing_of_ours),
		F(a_record_that_others_can_write_ends_nothing),
		F(a_record_is_written_so_that_only_its_user_can_change_it),
		F(a_record_makes_nobody_write_elsewhere),
		F(an_election_that_is_a_link_to_elsewhere_is_not_used),
		F(a_lock_that_is_another_name_of_a_file_keeps_the_permissions_of_that),
		F(members_of_a_group_take_over_from_each_other),
	};

	(void)fixture_choose("file");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
