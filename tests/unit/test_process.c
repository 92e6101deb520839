/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "base/process.h"

/* A child that waits for ever, or until its end of the pipe closes. */
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

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Waits, without reaping, until the child is a zombie. */
static void until_zombie(pid_t pid)
{
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void the_scope_names_the_boot_and_both_namespaces(void **state)
{
	(void)state;
	struct process_scope scope;
	assert_int_equal(process_scope_read(&scope), 0);
	assert_int_equal(strlen(scope.boot_id), 36);
	assert_true(scope.pid_ns_inode != 0);
	assert_true(scope.time_ns_inode != 0);
}

static void a_process_is_alive_until_it_is_a_zombie(void **state)
{
	(void)state;
	struct process_id id;
	pid_t pid = sleeper();
	assert_int_equal(process_identify(pid, &id), 0);
	assert_int_equal(id.pid, pid);
	assert_true(id.start_ticks > 0);
	assert_int_equal(process_state_of(&id), PROCESS_ALIVE);
	kill(pid, SIGSTOP);
	assert_int_equal(process_state_of(&id), PROCESS_ALIVE);
	kill(pid, SIGKILL);
	until_zombie(pid);
	assert_int_equal(process_state_of(&id), PROCESS_DEAD);
	assert_int_equal(process_open(&id), TENURE_ENOENT);
	waitpid(pid, NULL, 0);
	assert_int_equal(process_state_of(&id), PROCESS_DEAD);
	assert_int_equal(process_identify(pid, &id), TENURE_ENOENT);
}

static void a_pid_with_another_start_time_is_another_process(void **state)
{
	(void)state;
	struct process_id id;
	pid_t pid = sleeper();
	assert_int_equal(process_identify(pid, &id), 0);
	id.start_ticks--;
	assert_int_equal(process_state_of(&id), PROCESS_DEAD);
	assert_int_equal(process_open(&id), TENURE_ENOENT);
	end(pid);
}

static void no_pid_is_no_process(void **state)
{
	(void)state;
	struct process_id id;
	assert_int_equal(process_identify(0, &id), TENURE_ENOENT);
	assert_int_equal(process_identify(-1, &id), TENURE_ENOENT);
	assert_int_equal(process_state_of(&(struct process_id) { 0 }), PROCESS_DEAD);
	assert_int_equal(process_open(&(struct process_id) { 0 }), TENURE_ENOENT);
}

static void a_pidfd_kills_and_tells_the_end(void **state)
{
	(void)state;
	struct process_id id;
	pid_t pid = sleeper();
	assert_int_equal(process_identify(pid, &id), 0);
	int fd = process_open(&id);
	assert_true(fd >= 0);
	assert_false(process_ended(fd));
	assert_int_equal(process_kill(fd), 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_true(process_ended(fd));
	waitpid(pid, NULL, 0);
	assert_true(process_ended(fd));
	assert_int_equal(process_kill(fd), TENURE_ENOENT);
	close(fd);
}

static void *pause_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* The main thread ends, which /proc shows as a zombie, and another thread goes on. */
static void a_process_whose_main_thread_ended_is_alive(void **state)
{
	(void)state;
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, pause_for_ever, NULL) != 0 || write(pipes[1], "x", 1) != 1)
			_exit(1);
		pthread_exit(NULL);
	}
	char byte;
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	struct process_id id;
	assert_int_equal(process_identify(pid, &id), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(process_state_of(&id), PROCESS_ALIVE);
		usleep(1000);
	}
	close(pipes[0]);
	close(pipes[1]);
	end(pid);
	assert_int_equal(process_state_of(&id), PROCESS_DEAD);
}

/* A tree of three generations, the last two in sessions of their own, the middle one ended. */
static void grow_tree(int ready)
{
	if (fork() == 0) {
		setsid();
		signal(SIGTERM, SIG_IGN);
		if (fork() == 0) {
			setsid();
			if (write(ready, "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		_exit(0);
	}
	if (fork() == 0) {
		if (write(ready, "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
}

static void every_descendant_of_a_subreaper_is_found_and_killed(void **state)
{
	(void)state;
	int ready[2];
	char bytes[2];
	assert_int_equal(pipe(ready), 0);
	pid_t root = fork();
	if (root == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		grow_tree(ready[1]);
		for (;;)
			pause();
	}
	for (size_t n = 0; n < 2; n++)
		assert_int_equal(read(ready[0], bytes, 1), 1);
	struct process_id root_id;
	assert_int_equal(process_identify(root, &root_id), 0);
	assert_true(process_kill_descendants(root) >= 2);
	int left = 1;
	for (int i = 0; i < 1000 && left != 0; i++) {
		left = process_kill_descendants(root);
		usleep(1000);
	}
	assert_int_equal(left, 0);
	assert_int_equal(process_state_of(&root_id), PROCESS_ALIVE);
	close(ready[0]);
	close(ready[1]);
	end(root);
}

static void a_process_without_descendants_has_none_to_be_killed(void **state)
{
	(void)state;
	pid_t pid = sleeper();
	assert_int_equal(process_kill_descendants(pid), 0);
	end(pid);
}

static void the_user_of_a_process_is_its_real_one_and_known_until_it_is_reaped(void **state)
{
	(void)state;
	uint32_t uid = 1;
	int ready[2];
	char c;
	assert_int_equal(process_user(getpid(), &uid), 0);
	assert_int_equal(uid, getuid());
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* what may not be dumped is root's in /proc, whoever runs it */
		if (setresuid(65534, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(process_user(pid, &uid), 0);
	assert_int_equal(uid, 65534);
	end(pid);
	assert_int_equal(process_user(pid, &uid), TENURE_ENOENT);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_user_of_a_process_is_its_real_one_and_known_until_it_is_reaped),
		cmocka_unit_test(the_scope_names_the_boot_and_both_namespaces),
		cmocka_unit_test(a_process_is_alive_until_it_is_a_zombie),
		cmocka_unit_test(a_pid_with_another_start_time_is_another_process),
		cmocka_unit_test(no_pid_is_no_process),
		cmocka_unit_test(a_pidfd_kills_and_tells_the_end),
		cmocka_unit_test(a_process_whose_main_thread_ended_is_alive),
		cmocka_unit_test(every_descendant_of_a_subreaper_is_found_and_killed),
		cmocka_unit_test(a_process_without_descendants_has_none_to_be_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
