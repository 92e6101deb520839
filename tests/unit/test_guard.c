/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenure/guard.h>

#include "base/clock.h"
#include "base/slots.h"

#define LONG_NS   (30 * CLOCK_NS_PER_S)
#define N_HANDLES 4

struct place {
	char root[64], dir[96], file[128];
	struct tenure_guard *g[N_HANDLES];
	struct tenure_error error;
	uint64_t high;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->error = (struct tenure_error)TENURE_ERROR_INIT;
	(void)snprintf(p->root, sizeof p->root, "/var/tmp/test_guard.XXXXXX");
	assert_non_null(mkdtemp(p->root));
	(void)snprintf(p->dir, sizeof p->dir, "%s/a/guard", p->root);
	(void)snprintf(p->file, sizeof p->file, "%s/job.guard", p->dir);
	for (int i = 0; i < N_HANDLES; i++)
		assert_int_equal(tenure_guard_open(&p->g[i], p->dir, "job", &p->error), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char path[128];

	for (int i = 0; i < N_HANDLES; i++)
		tenure_guard_free(p->g[i]);
	(void)unlink(p->file);
	(void)snprintf(path, sizeof path, "%s/ledger", p->root);
	(void)unlink(path);
	(void)rmdir(p->dir);
	(void)snprintf(path, sizeof path, "%s/a", p->root);
	(void)rmdir(path);
	/* Fails when anything else was left behind. */
	assert_int_equal(rmdir(p->root), 0);
	free(p);
	return 0;
}

static int enter(struct place *p, int i, uint64_t token, uint64_t limit_ns)
{
	p->high = 4711;
	p->error = (struct tenure_error)TENURE_ERROR_INIT;
	return tenure_guard_enter(p->g[i], token, limit_ns, &p->high, &p->error);
}

static void pass(struct place *p, int i, uint64_t token)
{
	assert_int_equal(enter(p, i, token, 0), 0);
	assert_int_equal(p->high, token);
	tenure_guard_leave(p->g[i]);
}

static void mark_is(struct place *p, uint64_t mark)
{
	uint64_t high = 4711;

	for (int i = 0; i < N_HANDLES; i++) {
		assert_int_equal(tenure_guard_read(p->g[i], &high, &p->error), 0);
		assert_int_equal(high, mark);
	}
}

static struct slots on_disk(const struct place *p)
{
	struct slots s;
	int fd = open(p->file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(slots_read(fd, &s, SLOTS_MAGIC_GUARD, p->file, NULL), 0);
	(void)close(fd);
	return s;
}

static void overwrite(const struct place *p, off_t at, const char *bytes)
{
	int fd = open(p->file, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
	(void)close(fd);
}

static void reading_makes_nothing(void **state)
{
	struct place *p = *state;

	mark_is(p, 0);
	assert_int_equal(access(p->dir, F_OK), -1);
}

static void the_first_token_makes_directory_and_file(void **state)
{
	struct place *p = *state;
	struct stat info;

	pass(p, 0, 7);
	assert_int_equal(stat(p->file, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_int_equal(info.st_size, SLOTS_BYTES);
	assert_int_equal(stat(p->dir, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0755);
	mark_is(p, 7);
}

static void a_smaller_token_is_refused_and_told_the_mark(void **state)
{
	struct place *p = *state;

	pass(p, 0, 7);
	assert_int_equal(enter(p, 0, 6, LONG_NS), TENURE_REFUSED);
	assert_int_equal(p->high, 7);
	assert_int_equal(p->error.code, TENURE_REFUSED);
	assert_non_null(strstr(p->error.message, "token 6 is refused, 7 was here already"));
	assert_int_equal(enter(p, 1, 1, LONG_NS), TENURE_REFUSED);
	pass(p, 1, 7);
	pass(p, 2, (uint64_t)INT64_MAX);
	assert_int_equal(enter(p, 1, (uint64_t)INT64_MAX - 1, 0), TENURE_REFUSED);
	mark_is(p, (uint64_t)INT64_MAX);
}

static void both_slots_carry_an_admitted_token(void **state)
{
	struct place *p = *state;

	for (uint64_t token = 1; token < 6; token++) {
		pass(p, (int)(token % 2), token);
		assert_int_equal(on_disk(p).value, token);
		assert_int_equal(on_disk(p).older, token);
	}
}

static void damage_to_either_slot_forgets_nothing(void **state)
{
	struct place *p = *state;

	pass(p, 0, 7);
	for (int slot = 0; slot < 2; slot++) {
		overwrite(p, slot * 64 + 17, "###");
		assert_true(on_disk(p).torn);
		mark_is(p, 7);
		assert_int_equal(enter(p, 1, 6, 0), TENURE_REFUSED);
		pass(p, slot, 7);
		assert_false(on_disk(p).torn);
	}
}

static void damage_to_both_slots_admits_nobody(void **state)
{
	struct place *p = *state;
	struct tenure_guard *g = NULL;
	uint64_t high;

	pass(p, 0, 7);
	overwrite(p, 17, "#");
	overwrite(p, 81, "#");
	assert_int_equal(enter(p, 0, 100, 0), TENURE_EIO);
	assert_non_null(strstr(p->error.message, "damaged, both copies"));
	assert_non_null(strstr(p->error.message, "tenure guard reset"));
	assert_int_equal(tenure_guard_read(p->g[0], &high, &p->error), TENURE_EIO);
	assert_int_equal(tenure_guard_reset(p->g[0], 7, 8, &p->error), TENURE_EIO);
	assert_int_equal(tenure_guard_open(&g, p->dir, "job", &p->error), TENURE_EIO);
	assert_null(g);
}

static void the_same_token_again_is_not_written_again(void **state)
{
	struct place *p = *state;
	uint64_t sequence;

	pass(p, 0, 7);
	sequence = on_disk(p).sequence;
	pass(p, 0, 7);
	assert_int_equal(on_disk(p).sequence, sequence);
	/* What another one wrote may not be durable: its writer may have been killed before it was. */
	pass(p, 1, 7);
	assert_true(on_disk(p).sequence > sequence);
	sequence = on_disk(p).sequence;
	pass(p, 0, 7);
	assert_true(on_disk(p).sequence > sequence);
}

static void who_is_inside_keeps_others_out(void **state)
{
	struct place *p = *state;

	assert_int_equal(enter(p, 0, 7, 0), 0);
	assert_int_equal(enter(p, 0, 7, 0), TENURE_ESTATE);
	assert_int_equal(enter(p, 1, 7, 0), TENURE_TIMEOUT);
	assert_int_equal(p->high, 7);
	assert_int_equal(p->error.code, TENURE_TIMEOUT);
	assert_int_equal(enter(p, 1, 7, 30 * CLOCK_NS_PER_MS), TENURE_TIMEOUT);
	tenure_guard_leave(p->g[0]);
	tenure_guard_leave(p->g[0]);
	pass(p, 1, 7);
}

static void the_limit_is_kept(void **state)
{
	struct place *p = *state;
	uint64_t before_ns, after_ns, limit_ns = 150 * CLOCK_NS_PER_MS;

	assert_int_equal(enter(p, 0, 7, 0), 0);
	assert_int_equal(clock_now_ns(&before_ns), 0);
	assert_int_equal(enter(p, 1, 8, limit_ns), TENURE_TIMEOUT);
	assert_int_equal(clock_now_ns(&after_ns), 0);
	assert_in_range(after_ns - before_ns, limit_ns, limit_ns + 5 * CLOCK_NS_PER_S);
}

static void a_token_that_waits_shuts_older_ones_out(void **state)
{
	struct place *p = *state;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	assert_int_equal(enter(p, 1, 7, 0), TENURE_TIMEOUT);
	mark_is(p, 7);
	assert_int_equal(enter(p, 2, 6, LONG_NS), TENURE_REFUSED);
	tenure_guard_leave(p->g[0]);
	assert_int_equal(enter(p, 0, 5, LONG_NS), TENURE_REFUSED);
	pass(p, 1, 7);
}

struct waiter {
	struct place *p;
	uint64_t token, high;
	int result;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	w->result = tenure_guard_enter(w->p->g[1], w->token, LONG_NS, &w->high, NULL);
	return NULL;
}

/* Until the waiter has raised the mark, which it does just before it waits. */
static void await_mark(struct place *p, uint64_t mark)
{
	uint64_t high = 0;

	while (high != mark)
		assert_int_equal(tenure_guard_read(p->g[3], &high, NULL), 0);
}

static void who_waits_enters_when_the_other_leaves(void **state)
{
	struct place *p = *state;
	struct waiter w = { .p = p, .token = 6, .result = -99 };
	pthread_t thread;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &w), 0);
	await_mark(p, 6);
	tenure_guard_leave(p->g[0]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.result, 0);
	assert_int_equal(w.high, 6);
	assert_int_equal(enter(p, 0, 6, 0), TENURE_TIMEOUT);
}

static void who_is_overtaken_while_he_waits_is_refused(void **state)
{
	struct place *p = *state;
	struct waiter w = { .p = p, .token = 6, .result = -99 };
	pthread_t thread;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &w), 0);
	await_mark(p, 6);
	assert_int_equal(enter(p, 2, 7, 0), TENURE_TIMEOUT);
	/* The one inside has not left. */
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.result, TENURE_REFUSED);
	assert_int_equal(w.high, 7);
}

/* The mark is compared once more when the lock is had: it was raised while nobody looked. */
static void who_is_overtaken_in_his_sleep_is_refused(void **state)
{
	struct place *p = *state;
	struct tenure_guard *g;
	int status;
	pid_t child;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	child = fork();
	if (child == 0)
		_exit(tenure_guard_open(&g, p->dir, "job", NULL) != 0 ? 99
		                                                      : tenure_guard_enter(g, 6, LONG_NS, NULL, NULL));
	assert_true(child > 0);
	await_mark(p, 6);
	/* This waits for the slots' lock: the child must not be stopped with it. */
	assert_int_equal(enter(p, 2, 6, 0), TENURE_TIMEOUT);
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(enter(p, 2, 7, 0), TENURE_TIMEOUT);
	tenure_guard_leave(p->g[0]);
	mark_is(p, 7);
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), TENURE_REFUSED);
}

static void waiting_works_without_a_descriptor_for_notice(void **state)
{
	struct place *p = *state;
	struct waiter w = { .p = p, .token = 6, .result = -99 };
	struct rlimit before, tight;
	pthread_t thread;
	int next;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	assert_int_equal(tenure_guard_read(p->g[1], &w.high, NULL), 0);
	assert_int_equal(tenure_guard_read(p->g[3], &w.high, NULL), 0);
	next = dup(0);
	(void)close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = (struct rlimit) { (rlim_t)next + 1, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &w), 0);
	await_mark(p, 6);
	tenure_guard_leave(p->g[0]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(w.result, 0);
}

static void without_descriptors_nobody_enters(void **state)
{
	struct place *p = *state;
	struct rlimit before, none;

	pass(p, 0, 5);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit) { 3, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(enter(p, 0, 6, 0), TENURE_ELIMIT);
	assert_int_equal(enter(p, 1, 6, 0), TENURE_ELIMIT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	pass(p, 1, 6);
}

/* A child that says so when it is ready and then waits to be killed. */
static pid_t start_child(int ready[2], struct place *p, void (*body)(struct place *p))
{
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		body(p);
		(void)!write(ready[1], "r", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	return child;
}

static pid_t child_that(struct place *p, void (*body)(struct place *p))
{
	int ready[2];
	char c;
	pid_t child = start_child(ready, p, body);

	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return child;
}

static void end_child(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void body_enters(struct place *p)
{
	struct tenure_guard *g;

	if (tenure_guard_open(&g, p->dir, "job", NULL) != 0 || tenure_guard_enter(g, 5, 0, NULL, NULL) != 0)
		_exit(1);
}

static void a_killed_process_has_left(void **state)
{
	struct place *p = *state;
	pid_t child = child_that(p, body_enters);

	assert_int_equal(enter(p, 0, 5, 0), TENURE_TIMEOUT);
	end_child(child);
	pass(p, 0, 5);
	assert_int_equal(enter(p, 0, 4, 0), TENURE_REFUSED);
}

static void body_nothing(struct place *p)
{
	(void)p;
}

static void a_child_forked_inside_does_not_keep_the_lock(void **state)
{
	struct place *p = *state;
	pid_t child;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	child = child_that(p, body_nothing);
	tenure_guard_leave(p->g[0]);
	pass(p, 1, 5);
	end_child(child);
}

static void body_frees(struct place *p)
{
	uint64_t high;

	tenure_guard_leave(p->g[0]);
	if (tenure_guard_enter(p->g[1], 9, 0, NULL, NULL) != TENURE_EFORKED ||
	    tenure_guard_read(p->g[1], &high, NULL) != TENURE_EFORKED ||
	    tenure_guard_reset(p->g[1], 5, 9, NULL) != TENURE_EFORKED)
		_exit(1);
	tenure_guard_free(p->g[0]);
	tenure_guard_free(p->g[1]);
}

static void a_child_can_neither_use_nor_free_its_parents_lock(void **state)
{
	struct place *p = *state;

	assert_int_equal(enter(p, 0, 5, 0), 0);
	end_child(child_that(p, body_frees));
	assert_int_equal(enter(p, 1, 5, 0), TENURE_TIMEOUT);
	mark_is(p, 5);
}

static void body_locks_slots(struct place *p)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int fd = open(p->file, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) != 0)
		_exit(1);
}

static void a_stopped_writer_is_named_and_the_mark_can_still_be_read(void **state)
{
	struct place *p = *state;
	pid_t child;

	pass(p, 0, 5);
	child = child_that(p, body_locks_slots);
	mark_is(p, 5);
	assert_int_equal(enter(p, 0, 5, 0), TENURE_TIMEOUT);
	assert_non_null(strstr(p->error.message, "is it stopped"));
	end_child(child);
	pass(p, 0, 5);
}

static void reset_wants_the_present_mark(void **state)
{
	struct place *p = *state;

	pass(p, 0, 7);
	assert_int_equal(tenure_guard_reset(p->g[1], 6, 3, &p->error), TENURE_ESTATE);
	assert_non_null(strstr(p->error.message, "the mark is 7 and not 6"));
	mark_is(p, 7);
	assert_int_equal(tenure_guard_reset(p->g[1], 7, 3, &p->error), 0);
	mark_is(p, 3);
	assert_int_equal(on_disk(p).older, 3);
	/* The handle that wrote 7 has not kept it in mind. */
	assert_int_equal(enter(p, 0, 2, 0), TENURE_REFUSED);
	assert_int_equal(p->high, 3);
	pass(p, 0, 7);
	mark_is(p, 7);
	assert_int_equal(enter(p, 1, 3, 0), TENURE_REFUSED);
	assert_int_equal(tenure_guard_reset(p->g[1], 7, 0, &p->error), 0);
	pass(p, 0, 1);
}

static void reset_makes_a_mark_where_none_was(void **state)
{
	struct place *p = *state;

	assert_int_equal(tenure_guard_reset(p->g[0], 1, 100, &p->error), TENURE_ESTATE);
	assert_int_equal(tenure_guard_reset(p->g[0], 0, 100, &p->error), 0);
	assert_int_equal(enter(p, 1, 99, 0), TENURE_REFUSED);
}

static void a_file_that_is_removed_or_replaced_is_noticed(void **state)
{
	struct place *p = *state;
	struct tenure_guard *fresh;
	uint64_t high;

	pass(p, 0, 7);
	mark_is(p, 7);
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(enter(p, 0, 8, 0), TENURE_EFOREIGN);
	assert_non_null(strstr(p->error.message, "removed or replaced"));
	assert_int_equal(tenure_guard_read(p->g[1], &high, &p->error), TENURE_EFOREIGN);
	assert_int_equal(tenure_guard_open(&fresh, p->dir, "job", &p->error), 0);
	assert_int_equal(tenure_guard_enter(fresh, 3, 0, NULL, &p->error), 0);
	assert_int_equal(enter(p, 0, 8, 0), TENURE_EFOREIGN);
	assert_int_equal(tenure_guard_reset(p->g[1], 7, 8, &p->error), TENURE_EFOREIGN);
	tenure_guard_free(fresh);
}

static void two_resources_are_apart(void **state)
{
	struct place *p = *state;
	struct tenure_guard *other;
	char path[128];

	assert_int_equal(enter(p, 0, 7, 0), 0);
	assert_int_equal(tenure_guard_open(&other, p->dir, "job.guard", &p->error), 0);
	assert_int_equal(tenure_guard_enter(other, 1, 0, NULL, &p->error), 0);
	tenure_guard_free(other);
	mark_is(p, 7);
	(void)snprintf(path, sizeof path, "%s/job.guard.guard", p->dir);
	assert_int_equal(unlink(path), 0);
}

static void bad_arguments_are_answered(void **state)
{
	static const char *const names[] = {
		"", "/", "..", "a/b", "a..b", ".a", "_a", "-a", "a b", "\xc3\xa9", "a\nb"
	};
	struct place *p = *state;
	struct tenure_guard *g = NULL;
	char longer[202];
	uint64_t high;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(tenure_guard_open(&g, p->dir, names[i], &p->error), TENURE_ENAME);
		assert_non_null(strstr(p->error.message, "bad resource name"));
	}
	memset(longer, 'a', sizeof longer);
	longer[201] = '\0';
	assert_int_equal(tenure_guard_open(&g, p->dir, longer, &p->error), TENURE_ENAME);
	assert_int_equal(tenure_guard_open(&g, "", "job", &p->error), TENURE_EINVAL);
	assert_int_equal(tenure_guard_open(&g, NULL, "job", &p->error), TENURE_EINVAL);
	assert_int_equal(tenure_guard_open(&g, p->dir, NULL, &p->error), TENURE_EINVAL);
	assert_int_equal(tenure_guard_open(NULL, p->dir, "job", NULL), TENURE_EINVAL);
	assert_null(g);
	assert_int_equal(enter(p, 0, 0, 0), TENURE_EINVAL);
	assert_int_equal(enter(p, 0, (uint64_t)INT64_MAX + 1, 0), TENURE_EINVAL);
	assert_int_equal(enter(p, 0, UINT64_MAX, 0), TENURE_EINVAL);
	assert_int_equal(tenure_guard_enter(NULL, 1, 0, NULL, NULL), TENURE_EINVAL);
	assert_int_equal(tenure_guard_read(NULL, &high, NULL), TENURE_EINVAL);
	assert_int_equal(tenure_guard_read(p->g[0], NULL, NULL), TENURE_EINVAL);
	assert_int_equal(tenure_guard_reset(p->g[0], 0, UINT64_MAX, NULL), TENURE_EINVAL);
	assert_int_equal(tenure_guard_reset(NULL, 0, 1, NULL), TENURE_EINVAL);
	tenure_guard_leave(NULL);
	tenure_guard_free(NULL);
	assert_int_equal(access(p->dir, F_OK), -1);
}

static void bad_places_are_refused(void **state)
{
	struct place *p = *state;
	struct tenure_guard *g = NULL;
	char *deep = malloc(8192);

	assert_non_null(deep);
	assert_int_equal(tenure_guard_open(&g, "/dev/shm/guard", "job", &p->error), TENURE_EUNSAFE);
	assert_non_null(strstr(p->error.message, "tmpfs"));
	assert_int_equal(tenure_guard_open(&g, "/dev/null", "job", &p->error), TENURE_EIO);
	memset(deep, 'a', 8191);
	deep[8191] = '\0';
	assert_int_equal(tenure_guard_open(&g, deep, "job", &p->error), TENURE_EINVAL);
	pass(p, 0, 1);
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(symlink("/dev/null", p->file), 0);
	assert_int_equal(tenure_guard_open(&g, p->dir, "job", &p->error), TENURE_EIO);
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_int_equal(tenure_guard_open(&g, p->dir, "job", &p->error), TENURE_EFOREIGN);
	assert_null(g);
	free(deep);
}

static void body_without_rights(struct place *p)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_guard *g;
	uint64_t high = 0;

	if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
		_exit(1);
	if (tenure_guard_open(&g, p->dir, "job", &error) != 0 || tenure_guard_read(g, &high, &error) != 0 || high != 7)
		_exit(2);
	if (tenure_guard_enter(g, 8, 0, NULL, &error) != TENURE_EIO || error.os_errno != EACCES)
		_exit(3);
	if (tenure_guard_reset(g, 7, 8, &error) != TENURE_EIO || error.os_errno != EACCES)
		_exit(4);
}

static void a_right_to_read_is_enough_to_read(void **state)
{
	struct place *p = *state;

	pass(p, 0, 7);
	assert_int_equal(chmod(p->root, 0755), 0);
	assert_int_equal(chmod(p->file, 0644), 0);
	end_child(child_that(p, body_without_rights));
	mark_is(p, 7);
}

static void a_relative_directory_stays_where_it_was(void **state)
{
	struct place *p = *state;
	struct tenure_guard *g;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(chdir(p->root), 0);
	assert_int_equal(tenure_guard_open(&g, "a/guard", "job", &p->error), 0);
	assert_int_equal(fchdir(here), 0);
	(void)close(here);
	assert_int_equal(tenure_guard_enter(g, 9, 0, NULL, &p->error), 0);
	tenure_guard_free(g);
	mark_is(p, 9);
}

/* Each writes "TOKEN" when it comes in and "." when it goes: a token without its dot is an overlap. */
static void torture(struct place *p, unsigned seed, int ledger)
{
	struct tenure_guard *g;
	char line[32];

	for (int round = 0; round < 60; round++) {
		uint64_t token = 1 + (uint64_t)round * 3 + (uint64_t)rand_r(&seed) % 20;
		int result;

		if (tenure_guard_open(&g, p->dir, "job", NULL) != 0)
			_exit(1);
		result = tenure_guard_enter(g, token, LONG_NS, NULL, NULL);
		if (result == 0) {
			int n = snprintf(line, sizeof line, "%d", (int)token);

			if (write(ledger, line, (size_t)n) != n || usleep((unsigned)rand_r(&seed) % 500) != 0 ||
			    write(ledger, ".\n", 2) != 2)
				_exit(2);
		} else if (result != TENURE_REFUSED) {
			_exit(3);
		}
		tenure_guard_free(g);
	}
	_exit(0);
}

static void many_processes_at_once_go_in_one_by_one_and_never_back(void **state)
{
	struct place *p = *state;
	char path[128];
	FILE *lines;
	int n_lines = 0, token, last = 0, status;
	pid_t children[6];
	int ledger;

	(void)snprintf(path, sizeof path, "%s/ledger", p->root);
	ledger = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	for (unsigned i = 0; i < 6; i++) {
		children[i] = fork();
		if (children[i] == 0)
			torture(p, i + 1, ledger);
	}
	for (int i = 0; i < 6; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	lines = fopen(path, "re");
	assert_non_null(lines);
	while (fgetc(lines) != EOF) {
		char dot[3];

		assert_int_equal(fseek(lines, -1, SEEK_CUR), 0);
		/* What does not convert fails one of the next lines. NOLINTNEXTLINE(cert-err34-c) */
		assert_int_equal(fscanf(lines, "%d%2[.\n]", &token, dot), 2);
		assert_string_equal(dot, ".\n");
		assert_true(token >= last);
		last = token;
		n_lines++;
	}
	(void)fclose(lines);
	(void)close(ledger);
	assert_in_range(n_lines, 6, 360);
	mark_is(p, (uint64_t)last);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reading_makes_nothing),
		TEST(the_first_token_makes_directory_and_file),
		TEST(a_smaller_token_is_refused_and_told_the_mark),
		TEST(both_slots_carry_an_admitted_token),
		TEST(damage_to_either_slot_forgets_nothing),
		TEST(damage_to_both_slots_admits_nobody),
		TEST(the_same_token_again_is_not_written_again),
		TEST(who_is_inside_keeps_others_out),
		TEST(the_limit_is_kept),
		TEST(a_token_that_waits_shuts_older_ones_out),
		TEST(who_waits_enters_when_the_other_leaves),
		TEST(who_is_overtaken_while_he_waits_is_refused),
		TEST(who_is_overtaken_in_his_sleep_is_refused),
		TEST(waiting_works_without_a_descriptor_for_notice),
		TEST(without_descriptors_nobody_enters),
		TEST(a_killed_process_has_left),
		TEST(a_child_forked_inside_does_not_keep_the_lock),
		TEST(a_child_can_neither_use_nor_free_its_parents_lock),
		TEST(a_stopped_writer_is_named_and_the_mark_can_still_be_read),
		TEST(reset_wants_the_present_mark),
		TEST(reset_makes_a_mark_where_none_was),
		TEST(a_file_that_is_removed_or_replaced_is_noticed),
		TEST(two_resources_are_apart),
		TEST(bad_arguments_are_answered),
		TEST(bad_places_are_refused),
		TEST(a_right_to_read_is_enough_to_read),
		TEST(a_relative_directory_stays_where_it_was),
		TEST(many_processes_at_once_go_in_one_by_one_and_never_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
