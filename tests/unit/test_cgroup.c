/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"

static pid_t sleeper(void)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (;;)
			pause();
	}
	return pid;
}

static void a_new_cgroup_is_empty_and_goes_away(void **state)
{
	(void)state;
	char path[CGROUP_PATH_ROOM];
	struct tenure_error error = TENURE_ERROR_INIT;
	assert_int_equal(cgroup_make(path, &error), 0);
	assert_int_equal(cgroup_populated(path), 0);
	assert_int_equal(cgroup_kill(path), 0);
	cgroup_remove(path);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void two_cgroups_have_different_names(void **state)
{
	(void)state;
	char a[CGROUP_PATH_ROOM], b[CGROUP_PATH_ROOM];
	assert_int_equal(cgroup_make(a, NULL), 0);
	assert_int_equal(cgroup_make(b, NULL), 0);
	assert_string_not_equal(a, b);
	cgroup_remove(a);
	cgroup_remove(b);
}

static void killing_ends_all_that_is_in_it_and_populated_proves_it(void **state)
{
	(void)state;
	char path[CGROUP_PATH_ROOM];
	assert_int_equal(cgroup_make(path, NULL), 0);
	pid_t pids[3];
	for (size_t i = 0; i < 3; i++) {
		pids[i] = sleeper();
		assert_int_equal(cgroup_add(path, pids[i]), 0);
	}
	kill(pids[0], SIGSTOP);
	assert_int_equal(cgroup_populated(path), 1);
	assert_int_equal(cgroup_kill(path), 0);
	for (size_t i = 0; i < 3; i++) {
		int status = 0;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	assert_int_equal(cgroup_populated(path), 0);
	cgroup_remove(path);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void cgroups_made_inside_are_killed_and_removed_too(void **state)
{
	(void)state;
	char path[CGROUP_PATH_ROOM], below[CGROUP_PATH_ROOM + 16];
	assert_int_equal(cgroup_make(path, NULL), 0);
	snprintf(below, sizeof below, "%s/below", path);
	assert_int_equal(mkdir(below, 0755), 0);
	pid_t pid = sleeper();
	assert_int_equal(cgroup_add(below, pid), 0);
	assert_int_equal(cgroup_populated(path), 1);
	assert_int_equal(cgroup_kill(path), 0);
	waitpid(pid, NULL, 0);
	assert_int_equal(cgroup_populated(path), 0);
	cgroup_remove(path);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void a_cgroup_that_is_gone_is_proven_dead(void **state)
{
	(void)state;
	char path[CGROUP_PATH_ROOM];
	assert_int_equal(cgroup_make(path, NULL), 0);
	cgroup_remove(path);
	assert_int_equal(cgroup_populated(path), 0);
	assert_int_equal(cgroup_kill(path), 0);
	cgroup_remove(path);
}

static void a_directory_that_is_no_cgroup_proves_nothing(void **state)
{
	(void)state;
	assert_true(cgroup_populated("/tmp") < 0);
	assert_true(cgroup_kill("/tmp") < 0);
}

static void only_a_cgroup_of_that_user_with_our_name_is_taken_for_ours(void **state)
{
	(void)state;
	char path[CGROUP_PATH_ROOM], other[2 * CGROUP_PATH_ROOM];
	assert_int_equal(cgroup_make(path, NULL), 0);
	assert_int_equal(cgroup_is_of(path, geteuid()), 1);
	assert_int_equal(cgroup_is_of(path, geteuid() + 1), TENURE_EFOREIGN);
	/* the same by another name, and its parent, which is not ours to end */
	snprintf(other, sizeof other, "%s/.", path);
	assert_int_equal(cgroup_is_of(other, geteuid()), TENURE_EFOREIGN);
	snprintf(other, sizeof other, "%s/..", path);
	assert_int_equal(cgroup_is_of(other, geteuid()), TENURE_EFOREIGN);
	snprintf(other, sizeof other, "%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(cgroup_is_of(other, geteuid()), TENURE_EFOREIGN);
	cgroup_remove(path);
	assert_int_equal(cgroup_is_of(path, geteuid()), 0);
}

static void a_directory_that_is_no_cgroup_and_a_link_to_one_are_not_taken_for_one(void **state)
{
	(void)state;
	char path[CGROUP_PATH_ROOM], directory[] = "/tmp/tenure-test-XXXXXX", other[64];
	assert_non_null(mkdtemp(directory));
	snprintf(other, sizeof other, "%s/tenure-0123456789abcdef", directory);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(cgroup_is_of(other, geteuid()), TENURE_EFOREIGN);
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(cgroup_make(path, NULL), 0);
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(cgroup_is_of(other, geteuid()), TENURE_EFOREIGN);
	cgroup_remove(path);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_cgroup_of_that_user_with_our_name_is_taken_for_ours),
		cmocka_unit_test(a_directory_that_is_no_cgroup_and_a_link_to_one_are_not_taken_for_one),
		cmocka_unit_test(a_new_cgroup_is_empty_and_goes_away),
		cmocka_unit_test(two_cgroups_have_different_names),
		cmocka_unit_test(killing_ends_all_that_is_in_it_and_populated_proves_it),
		cmocka_unit_test(cgroups_made_inside_are_killed_and_removed_too),
		cmocka_unit_test(a_cgroup_that_is_gone_is_proven_dead),
		cmocka_unit_test(a_directory_that_is_no_cgroup_proves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
