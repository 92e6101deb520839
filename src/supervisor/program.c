/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "elector/lease.h"
#include "supervisor/descriptors.h"

static void program_set_environment(const char *const *pairs)
{
	for (; pairs[0]; pairs += 2) {
		if (pairs[1])
			(void)setenv(pairs[0], pairs[1], 1);
		else
			(void)unsetenv(pairs[0]);
	}
}

static void program_restore_oom(const char *value)
{
	int fd = value ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	(void)!write(fd, value, strlen(value));
	close(fd);
}

/* One directory of PATH. Returns errno of what failed. */
static int program_try(const char *directory, size_t n_bytes, char *const *command)
{
	char path[PATH_MAX];
	struct buf b;
	buf_init(&b, path, sizeof path);
	buf_bytes(&b, directory, n_bytes);
	if (n_bytes > 0)
		buf_char(&b, '/');
	buf_text(&b, command[0]);
	if (b.overflow)
		return ENAMETOOLONG;
	execve(path, command, environ);
	return errno;
}

/*
 * Like execvp(), but for what that does with a file that has no "#!": it would give it to a shell. Returns errno; a
 * file that is there and may not be executed is reported before one that is not there.
 */
static int program_search(char *const *command)
{
	const char *name = command[0], *path = getenv("PATH");
	if (strchr(name, '/') || name[0] == '\0') {
		execve(name, command, environ);
		return errno;
	}
	int worst = ENOENT;
	for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin";; at++) {
		size_t n_bytes = strcspn(at, ":");
		int failed = program_try(at, n_bytes, command);
		if (failed == EACCES)
			worst = EACCES;
		else if (failed != ENOENT && failed != ENOTDIR && failed != ENAMETOOLONG)
			return failed;
		at += n_bytes;
		if (*at == '\0')
			return worst;
	}
}

/* The last look before it runs: whatever was late on the way here. */
static bool program_may_run(const struct tenure_lease_page *page)
{
	uint64_t now_ns;
	return !page || (clock_now_ns(&now_ns) == 0 &&
	                 lease_holds(__atomic_load_n(&page->deadline_ns, __ATOMIC_ACQUIRE), now_ns));
}

_Noreturn void program_exec(const struct program *p, int failure_fd)
{
	program_set_environment(p->environment);
	program_restore_oom(p->oom_score_adj);
	descriptors_of_program(p->closed_standard, p->lease_fd);
	signals_restore(p->signals);
	if (p->urgency)
		urgency_give_back(p->urgency);
	int failed = program_may_run(p->page) ? program_search(p->command) : ETIME;
	(void)!write(failure_fd, &failed, sizeof failed);
	_exit(program_exit_code(failed));
}

int program_exit_code(int os_errno)
{
	return os_errno == ENOENT ? 127 : 126;
}
