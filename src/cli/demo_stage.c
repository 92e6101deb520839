/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/process.h"

#ifndef DEMO_STAGE_LIBEXEC
#define DEMO_STAGE_LIBEXEC "/usr/libexec/tenure"
#endif
#define DEMO_STAGE_END_NS   (10 * CLOCK_NS_PER_S)
#define DEMO_STAGE_LOG_TAIL 2000

/* ---- programs ---- */

/* Beside the command in a build directory, below its prefix where it is installed, else where it was to be installed. */
static bool demo_stage_find(const struct demo_stage *s, const char *name, const char *built, char out[PATH_MAX])
{
	const char *slash = strrchr(s->self, '/');
	int directory_bytes = (int)(slash - s->self), n;
	const struct {
		const char *infix, *name;
	} places[] = { { "/", built }, { "/../libexec/tenure/", name } };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		n = snprintf(out, PATH_MAX, "%.*s%s%s", directory_bytes, s->self, places[i].infix, places[i].name);
		if (n > 0 && n < PATH_MAX && access(out, X_OK) == 0)
			return true;
	}
	n = snprintf(out, PATH_MAX, "%s/%s", DEMO_STAGE_LIBEXEC, name);
	return n > 0 && n < PATH_MAX && access(out, X_OK) == 0;
}

static int demo_stage_programs(struct demo_stage *s)
{
	ssize_t n = readlink("/proc/self/exe", s->self, sizeof s->self - 1);

	if (n <= 0)
		return cli_fail_code(s->cli, 70, "cannot find this command's own file: is /proc mounted? (%s)",
		                     strerror(errno));
	s->self[n] = '\0';
	if (!demo_stage_find(s, "tenure-demo-writer", "tenure-demo-writer", s->writer) ||
	    !demo_stage_find(s, "tenure-checker", "../checker/tenure-checker", s->checker))
		return cli_fail_code(
		        s->cli, 70,
		        "tenure-demo-writer or tenure-checker is not installed: it belongs to this command, into "
		        "%s",
		        DEMO_STAGE_LIBEXEC);
	return 0;
}

/* ---- the directory ---- */

static int demo_stage_directory(struct demo_stage *s)
{
	const char *const places[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
	struct tenure_error error = TENURE_ERROR_INIT;
	char first[sizeof error.message] = "";

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		int n;

		if (!places[i] || places[i][0] != '/')
			continue;
		if (fs_check_local(places[i], false, &error) == 0) {
			n = snprintf(s->directory, sizeof s->directory, "%s/tenure-demo.XXXXXX", places[i]);
			if (n < (int)sizeof s->directory && mkdtemp(s->directory))
				return 0;
			(void)error_set(&error, TENURE_EIO, errno, "cannot make a directory in %.100s", places[i]);
		}
		s->directory[0] = '\0';
		if (!first[0])
			(void)snprintf(first, sizeof first, "%s", error.message);
	}
	return cli_fail_code(s->cli, 78, "no place for the store: %s. Set TMPDIR to a directory on a local disk",
	                     first);
}

static int demo_stage_remove(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info;
	(void)kind;
	(void)at;
	return remove(path);
}

const char *demo_stage_path(const struct demo_stage *s, const char *name, char out[DEMO_STAGE_PATH_ROOM])
{
	(void)snprintf(out, DEMO_STAGE_PATH_ROOM, "%s/%s", s->directory, name);
	return out;
}

/* ---- open, close ---- */

int demo_stage_open(struct demo_stage *s, const struct cli *cli)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	int code;

	*s = (struct demo_stage) { .cli = cli };
	sigemptyset(&s->signals);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct sigaction old;

		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&s->signals, numbers[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &s->signals, &s->before);
	(void)signal(SIGPIPE, SIG_IGN); /* whoever reads our output may go: the stage is cleared all the same */
	code = demo_stage_programs(s);
	if (code != 0)
		return code;
	/* Orphans come to us: nothing that the demo has started gets out of reach. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return cli_fail_code(cli, 70, "cannot adopt orphans: %s", strerror(errno));
	return demo_stage_directory(s);
}

static void demo_stage_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int demo_stage_close(struct demo_stage *s)
{
	const struct timespec pause = { .tv_nsec = 2 * CLOCK_NS_PER_MS };
	uint64_t end_ns = clock_add_ns(clock_now_or_zero_ns(), DEMO_STAGE_END_NS);
	int code = 0;

	while (process_kill_descendants((int32_t)getpid()) != 0) {
		demo_stage_reap();
		if (clock_now_or_zero_ns() >= end_ns) {
			code = cli_fail_code(s->cli, 70, "could not end all processes of the demo");
			break;
		}
		(void)nanosleep(&pause, NULL);
	}
	demo_stage_reap();
	if (s->directory[0] && nftw(s->directory, demo_stage_remove, 16, FTW_DEPTH | FTW_PHYS) != 0)
		code = cli_fail_code(s->cli, 70, "could not remove %s: %s", s->directory, strerror(errno));
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	return code;
}

int demo_stage_pause(const struct demo_stage *s, uint64_t ns)
{
	const struct timespec limit = { (time_t)(ns / CLOCK_NS_PER_S), (long)(ns % CLOCK_NS_PER_S) };
	int number = sigtimedwait(&s->signals, NULL, &limit);

	return number > 0 ? number : 0;
}

/* ---- processes ---- */

struct demo_stage_plan { /* of one child, for the code between fork and exec */
	int in, out, log, space;
	const char *const *arguments, *const *environment;
	const sigset_t *mask;
	const char *directory;
	pid_t parent;
};

static _Noreturn void demo_stage_child_main(const struct demo_stage_plan *p)
{
	char *arguments[DEMO_STAGE_ARGUMENTS];
	size_t n = 0;

	(void)setsid();
	/* Should the demo be killed, its candidates step down as on any other day. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	if (getppid() != p->parent)
		_exit(1);
	if (p->space >= 0 && setns(p->space, CLONE_NEWNET) != 0)
		_exit(127);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, p->mask, NULL);
	if (dup2(p->in, 0) < 0 || dup2(p->out, 1) < 0 || dup2(p->log, 2) < 0 || chdir(p->directory) != 0)
		_exit(127);
	/* What the user has set for other elections is not for this one; flags say the rest. */
	(void)unsetenv("TENURE_TTL");
	(void)unsetenv("TENURE_LOG_LEVEL");
	(void)unsetenv("TENURE_LOG_FORMAT");
	for (size_t i = 0; p->environment && p->environment[i]; i += 2)
		if (setenv(p->environment[i], p->environment[i + 1], 1) != 0)
			_exit(127);
	for (; p->arguments[n] && n + 1 < DEMO_STAGE_ARGUMENTS; n++)
		arguments[n] = (char *)(uintptr_t)p->arguments[n];
	arguments[n] = NULL;
	if (n == 0)
		_exit(127);
	(void)execv(arguments[0], arguments);
	(void)dprintf(2, "cannot execute %s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

static void demo_stage_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int demo_stage_start(struct demo_stage *s, struct demo_stage_child *child, const char *log, unsigned pipes,
                     const char *const *arguments, const char *const *environment)
{
	return demo_stage_start_in(s, child, log, pipes, -1, arguments, environment);
}

int demo_stage_start_in(struct demo_stage *s, struct demo_stage_child *child, const char *log, unsigned pipes,
                        int space, const char *const *arguments, const char *const *environment)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	char path[DEMO_STAGE_PATH_ROOM];
	struct demo_stage_plan p = { .space = space,
		                     .arguments = arguments,
		                     .environment = environment,
		                     .mask = &s->before,
		                     .directory = s->directory,
		                     .parent = getpid() };

	*child = (struct demo_stage_child) { .pid = -1, .in = -1, .out = -1 };
	p.log = open(demo_stage_path(s, log, path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (pipes & DEMO_STAGE_IN ? pipe2(in, O_CLOEXEC) != 0 : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		demo_stage_close_fd(&p.log);
	if (pipes & DEMO_STAGE_OUT && p.log >= 0 && pipe2(out, O_CLOEXEC) != 0)
		demo_stage_close_fd(&p.log);
	p.in = in[0];
	p.out = pipes & DEMO_STAGE_OUT ? out[1] : p.log;
	if (p.log >= 0)
		child->pid = fork();
	if (child->pid == 0)
		demo_stage_child_main(&p);
	child->in = in[1];
	child->out = out[0];
	demo_stage_close_fd(&in[0]);
	demo_stage_close_fd(&out[1]);
	demo_stage_close_fd(&p.log);
	if (child->pid > 0)
		return 0;
	demo_stage_close_fd(&child->in);
	demo_stage_close_fd(&child->out);
	return cli_fail_code(s->cli, 70, "cannot start %s: %s", arguments[0], strerror(errno));
}

int demo_stage_ended(struct demo_stage_child *child)
{
	int status;

	if (waitpid(child->pid, &status, WNOHANG) != child->pid)
		return -1;
	demo_stage_close_fd(&child->in);
	demo_stage_close_fd(&child->out);
	child->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void demo_stage_show_log(const struct demo_stage *s, const char *log)
{
	char path[DEMO_STAGE_PATH_ROOM], text[DEMO_STAGE_LOG_TAIL + 1];
	int fd = open(demo_stage_path(s, log, path), O_RDONLY | O_CLOEXEC);
	struct stat info;
	ssize_t n = 0;

	if (fd < 0)
		return;
	if (fstat(fd, &info) == 0)
		n = pread(fd, text, DEMO_STAGE_LOG_TAIL,
		          info.st_size > DEMO_STAGE_LOG_TAIL ? info.st_size - DEMO_STAGE_LOG_TAIL : 0);
	if (n > 0)
		(void)fprintf(stderr, "--- %s:\n%.*s", log, (int)n, text);
	(void)close(fd);
}
