/* SPDX-License-Identifier: Apache-2.0 */
/* The file store on hosts that lack something: disk, descriptors, notices, /proc, a clock. Runs as root. */
#include "file_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static bool is_degraded(const struct recorded *e, const void *wanted)
{
	return e->type == TENURE_EV_HEALTH && e->health == *(const enum tenure_health *)wanted;
}

static size_t await_health(struct recorder *r, size_t from, enum tenure_health health)
{
	return recorder_await(r, from, is_degraded, &health);
}

/* ---- disks ---- */

static void shell(const char *command)
{
	if (kit_shell(command) != 0)
		fail_msg("failed: %s", command);
}

/* A small file system of its own at DIR/disk. */
static void mount_small(const char *url, char disk[FIXTURE_URL_ROOM])
{
	const char *dir = url + strlen("file:");
	char command[2000];

	(void)snprintf(disk, FIXTURE_URL_ROOM, "%.300s/disk", dir);
	(void)snprintf(command, sizeof command,
	               "cd %s && truncate -s 8M image && mkfs.ext4 -q -F -m 5 image && mkdir disk && "
	               "mount -o loop image disk",
	               dir);
	shell(command);
}

static void unmount(const char *disk)
{
	assert_int_equal(umount2(disk, MNT_DETACH), 0);
}

static void fill(const char *disk)
{
	char path[FIXTURE_URL_ROOM + 8], block[4096];
	int fd;

	memset(block, 'f', sizeof block);
	(void)snprintf(path, sizeof path, "%s/filler", disk);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
		;
	assert_int_equal(errno, ENOSPC);
	while (write(fd, block, 64) > 0)
		;
	(void)close(fd);
}

static void on_a_full_disk_the_leader_goes_on_candidates_wait_and_health_tells(void **state)
{
	struct tenure_campaign_options options = { 0 };
	char disk[FIXTURE_URL_ROOM], url[FIXTURE_URL_ROOM + 8], path[FIXTURE_URL_ROOM + 8], value[4096];
	struct actor *a, *b;
	uint64_t token;
	size_t at;

	memset(value, 'v', sizeof value);
	mount_small(*state, disk);
	(void)snprintf(url, sizeof url, "file:%s", disk);
	a = actor_new(url, "a", "job", options);
	token = await_lead(a->c);
	fill(disk);
	at = await_health(&a->r, 0, TENURE_DEGRADED);
	assert_int_equal(recorder_at(&a->r, at).code, TENURE_EIO);
	assert_true(tenure_holds(a->c, token));
	assert_true(tenure_may(a->c, TENURE_LEADER_ONLY, NULL));
	assert_false(tenure_may(a->c, TENURE_NOT_DEGRADED, NULL));
	assert_int_equal(tenure_set_value(a->c, value, sizeof value), 0); /* can't be stored now, but must be later */
	b = actor_new(url, "b", "job", options);
	(void)await_health(&b->r, 0, TENURE_DEGRADED);
	assert_false(tenure_leads(b->c, NULL));
	(void)snprintf(path, sizeof path, "%s/filler", disk);
	assert_int_equal(unlink(path), 0);
	(void)await_health(&a->r, at + 1, TENURE_HEALTHY);
	assert_true(tenure_holds(a->c, token));
	await_waiting(a->t, "job", 1);
	for (size_t found = 0; found != sizeof value;) {
		struct tenure_status *status;

		assert_int_equal(tenure_read(b->t, "job", GENEROUS, &status, NULL), 0);
		(void)tenure_status_value(status, &found);
		tenure_status_free(status);
	}
	assert_int_equal(tenure_resign(a->c, NULL), 0);
	assert_true(await_lead(b->c) > token);
	actor_free(a);
	actor_free(b);
	unmount(disk);
}

/* The last holder is gone, and the disk is full: whoever tries waits, without a storm of events. */
static void on_a_full_disk_a_candidate_waits_in_one_state_until_there_is_room(void **state)
{
	char disk[FIXTURE_URL_ROOM], url[FIXTURE_URL_ROOM + 8], path[FIXTURE_URL_ROOM + 8];
	struct actor *a;
	size_t at;

	mount_small(*state, disk);
	(void)snprintf(url, sizeof url, "file:%s", disk);
	fill(disk);
	a = actor_new(url, "a", "job", (struct tenure_campaign_options) { 0 });
	at = recorder_await_state(&a->r, 0, TENURE_CONNECTING);
	assert_int_equal(recorder_at(&a->r, at).code, TENURE_EIO);
	assert_int_equal(tenure_wait(a->c, TENURE_LEADING, SECONDS(3)), TENURE_TIMEOUT);
	for (size_t i = at + 1; i < recorder_count(&a->r); i++)
		assert_int_not_equal(recorder_at(&a->r, i).type, TENURE_EV_STATE);
	/* Withdrawn from the race and back while it can't be reached: it must not be forgotten. */
	assert_int_equal(tenure_set_eligible(a->c, false), 0);
	await_state(a->c, TENURE_WAITING);
	assert_int_equal(tenure_set_eligible(a->c, true), 0);
	(void)snprintf(path, sizeof path, "%s/filler", disk);
	assert_int_equal(unlink(path), 0);
	(void)await_lead(a->c);
	actor_free(a);
	unmount(disk);
}

static void read_only(const char *disk, bool on)
{
	assert_int_equal(mount("none", disk, NULL, MS_REMOUNT | MS_BIND | (on ? MS_RDONLY : 0), NULL), 0);
}

static void on_a_read_only_directory_candidates_wait_until_it_can_be_written(void **state)
{
	char disk[FIXTURE_URL_ROOM], url[FIXTURE_URL_ROOM + 8];
	struct actor *a;
	size_t at;

	mount_small(*state, disk);
	(void)snprintf(url, sizeof url, "file:%s", disk);
	read_only(disk, true);
	a = actor_new(url, "a", "job", (struct tenure_campaign_options) { 0 });
	at = await_health(&a->r, 0, TENURE_DEGRADED);
	assert_non_null(strstr(recorder_at(&a->r, at).message, disk));
	assert_int_equal(tenure_wait(a->c, TENURE_LEADING, BRIEFLY), TENURE_TIMEOUT);
	read_only(disk, false);
	(void)await_lead(a->c);
	(void)await_health(&a->r, at + 1, TENURE_HEALTHY);
	actor_free(a);
	unmount(disk);
}

static void a_directory_on_tmpfs_is_refused_by_name_unless_volatile_is_said(void **state)
{
	char path[FIXTURE_URL_ROOM], url[FIXTURE_URL_ROOM + 32];
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c;
	struct tenure *t;

	(void)snprintf(path, sizeof path, "%.300s/memory", (const char *)*state + strlen("file:"));
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	(void)snprintf(url, sizeof url, "file:%s", path);
	t = open_session(url, "x");
	assert_int_equal(tenure_campaign(t, "job", NULL, &c, &error), TENURE_EUNSAFE);
	assert_non_null(strstr(error.message, "tmpfs"));
	assert_non_null(strstr(error.message, path));
	close_session(t);
	assert_int_equal(kit_count(path), 0);
	(void)snprintf(url, sizeof url, "file:%s?volatile=yes", path);
	t = open_session(url, "x");
	(void)await_lead(campaign(t, "job"));
	close_session(t);
	unmount(path);
}

/* ---- notices and descriptors ---- */

/* Uses up every inotify instance that this user may have. */
static void without_notices(const void *arg)
{
	(void)arg;
	EXPECT(setgid(65534) == 0 && setuid(65534) == 0);
	while (inotify_init1(0) >= 0) /* not close-on-exec: kept by the candidate */
		;
	EXPECT(errno == EMFILE);
}

static void without_inotify_it_looks_from_time_to_time_and_hands_over_all_the_same(void **state)
{
	struct kit_process a, b;
	uint64_t token;

	assert_int_equal(chmod((const char *)*state + strlen("file:"), 0777), 0);
	a = kit_start(without_notices, NULL, "stay", *state, "job");
	token = kit_lead(&a);
	b = kit_start(NULL, NULL, "stay", *state, "job");
	assert_int_equal(kit_end(&a), 0);
	assert_true(kit_lead(&b) > token);
	token++;
	a = kit_start(without_notices, NULL, "stay", *state, "job");
	kit_kill(&b);
	assert_true(kit_lead(&a) > token);
	assert_int_equal(kit_end(&a), 0);
}

static void few_descriptors(const void *arg)
{
	struct rlimit limit = { 0 };

	limit.rlim_cur = limit.rlim_max = *(const rlim_t *)arg;
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void without_descriptors_it_says_so_at_every_step_and_leaves_nothing(void **state)
{
	char line[KIT_LINE], path[FIXTURE_URL_ROOM];
	bool refused = false, waited = false, led = false;

	for (rlim_t n = 3; n < 40 && !led; n++) {
		struct kit_process p = kit_start(few_descriptors, &n, "try", *state, "job");

		kit_line(&p, line);
		if (line[0] == '\0') { /* below what the program itself needs to be loaded */
			(void)kit_end(&p);
			continue;
		}
		led = strncmp(line, "lead ", 5) == 0;
		if (strncmp(line, "open -17 ", 9) == 0)
			refused = true;
		else if (strncmp(line, "waits -17 ", 10) == 0 || strncmp(line, "refused -17 ", 12) == 0 ||
		         strncmp(line, "waits -21 ", 10) == 0)
			waited = true;
		else if (!led)
			fail_msg("with %d descriptors it said: %s", (int)n, line);
		(void)kit_end(&p);
	}
	assert_true(refused && led);
	assert_true(waited);
	{
		struct tenure *t = open_session(*state, "after");

		(void)await_lead(campaign(t, "job"));
		close_session(t);
	}
	assert_int_equal(kit_count(kit_path(*state, "waiting", path)), 0);
}

/* ---- /proc, namespaces, clocks ---- */

static void without_proc(const void *arg)
{
	EXPECT(unshare(CLONE_NEWNS) == 0);
	EXPECT(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	EXPECT(mount(arg, "/proc", NULL, MS_BIND, NULL) == 0);
}

static void without_proc_it_leads_and_hands_over_by_the_lock_alone(void **state)
{
	char empty[FIXTURE_URL_ROOM];
	struct kit_process a, b;
	uint64_t token;

	fixture_directory(empty);
	a = kit_start(without_proc, empty, "try", *state, "job");
	token = kit_lead(&a);
	b = kit_start(without_proc, empty, "stay", *state, "job");
	kit_kill(&a);
	assert_true(kit_lead(&b) > token);
	(void)kit_end(&b); /* its exit code is a leak checker's, which needs /proc itself */
	fixture_remove(empty);
}

static void in_own_pids(const void *arg)
{
	pid_t child;

	(void)arg;
	EXPECT(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0);
	child = fork(); /* the first in the new namespace */
	EXPECT(child >= 0);
	if (child > 0) {
		int status = 0;

		(void)close(0);
		(void)close(1);
		(void)waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
	EXPECT(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	EXPECT(mount("proc", "/proc", "proc", 0, NULL) == 0);
}

static void expect_refusal(const char *url, void (*world)(const void *arg), const char *why)
{
	struct kit_process here = kit_start(world, NULL, "try", url, "job");
	char line[KIT_LINE];

	kit_line(&here, line);
	if (strncmp(line, "waits -21 ", 10) != 0 || !strstr(line, why))
		fail_msg("it said: %s", line);
	assert_int_equal(kit_end(&here), 3);
}

/*
 * A lone holder's lock proves its end everywhere. One whose lock was replaced can be judged from the host, which sees all
 * namespaces, and not from a third one.
 */
static void a_holder_in_another_pid_namespace_is_not_led_over_until_it_is_proven_over(void **state)
{
	struct kit_process inside = kit_start(in_own_pids, NULL, "stay", *state, "job"), here;
	char path[FIXTURE_URL_ROOM];
	uint64_t token = kit_lead(&inside);

	assert_int_equal(unlink(kit_path(*state, "lock", path)), 0);
	expect_refusal(*state, in_own_pids, "namespace");
	expect_refusal(*state, NULL, "replaced");
	here = kit_start(NULL, NULL, "stay", *state, "job");
	assert_int_equal(kit_end(&inside), 0); /* resigns: the record says that it is over */
	assert_true(kit_lead(&here) > token);
	assert_int_equal(kit_end(&here), 0);
}

static void a_killed_lone_holder_in_another_pid_namespace_is_over_with_its_lock(void **state)
{
	struct kit_process inside = kit_start(in_own_pids, NULL, "stay", *state, "job"), here;
	uint64_t token = kit_lead(&inside);
	char command[64];

	here = kit_start(NULL, NULL, "stay", *state, "job");
	(void)snprintf(command, sizeof command, "pkill -KILL -P %d", (int)inside.pid);
	shell(command);
	assert_true(kit_lead(&here) > token);
	assert_int_equal(kit_end(&here), 0);
	(void)kit_end(&inside);
}

static void clock_preloaded(const void *arg)
{
	EXPECT(setenv("LD_PRELOAD", arg, 1) == 0);
	EXPECT(setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1) == 0);
}

static void without_a_clock_no_session_is_opened(void **state)
{
	struct kit_process p;
	char line[KIT_LINE], *static_one = strdup(kit_tool("CANDIDATE"));

	assert_non_null(static_one);
	assert_int_equal(setenv("CANDIDATE", kit_tool("CANDIDATE_SHARED"), 1), 0);
	p = kit_start(clock_preloaded, kit_tool("CLOCKLESS"), "open", *state, "job");
	assert_int_equal(setenv("CANDIDATE", static_one, 1), 0);
	free(static_one);
	kit_line(&p, line);
	if (strncmp(line, "open -22 ", 9) != 0 || !strstr(line, "CLOCK_BOOTTIME"))
		fail_msg("it said: %s", line);
	assert_int_equal(kit_end(&p), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(on_a_full_disk_the_leader_goes_on_candidates_wait_and_health_tells),
		TEST(on_a_full_disk_a_candidate_waits_in_one_state_until_there_is_room),
		TEST(on_a_read_only_directory_candidates_wait_until_it_can_be_written),
		TEST(a_directory_on_tmpfs_is_refused_by_name_unless_volatile_is_said),
		TEST(without_inotify_it_looks_from_time_to_time_and_hands_over_all_the_same),
		TEST(without_descriptors_it_says_so_at_every_step_and_leaves_nothing),
		TEST(without_proc_it_leads_and_hands_over_by_the_lock_alone),
		TEST(a_holder_in_another_pid_namespace_is_not_led_over_until_it_is_proven_over),
		TEST(a_killed_lone_holder_in_another_pid_namespace_is_over_with_its_lock),
		TEST(without_a_clock_no_session_is_opened),
	};

	/* Mounts of these tests are theirs alone, and end with the process. */
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		perror("file_host runs as root, with a mount namespace of its own");
		return 1;
	}
	(void)fixture_choose("file");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
