/* SPDX-License-Identifier: Apache-2.0 */
#include "file_kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

const char *kit_path(const char *url, const char *name, char out[FIXTURE_URL_ROOM])
{
	(void)snprintf(out, FIXTURE_URL_ROOM, "%.300s/job%s%s", url + strlen("file:"), name[0] ? "/" : "", name);
	return out;
}

void kit_write(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	(void)close(fd);
}

size_t kit_read(const char *path, void *bytes, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, room);
	(void)close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

bool kit_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

size_t kit_count(const char *directory)
{
	DIR *dir = opendir(directory);
	size_t n = 0;
	struct dirent *d;

	assert_non_null(dir);
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			n++;
	(void)closedir(dir);
	return n;
}

const char *kit_tool(const char *variable)
{
	const char *path = getenv(variable);

	if (!path)
		fail_msg("%s is not set: run this by 'meson test'", variable);
	return path;
}

struct kit_process kit_start(void (*before)(const void *arg), const void *arg, const char *mode, const char *url,
                             const char *election)
{
	const char *program = kit_tool("CANDIDATE");
	struct kit_process p;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p.pid = fork();
	assert_true(p.pid >= 0);
	if (p.pid == 0) {
		EXPECT(dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1);
		/* Not only at exec: one that forks first would keep its own standard input open. */
		(void)close(in[0]);
		(void)close(in[1]);
		(void)close(out[0]);
		(void)close(out[1]);
		if (before)
			before(arg);
		(void)execl(program, program, mode, url, election, (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	p.in = in[1];
	p.out = out[0];
	return p;
}

void kit_line(struct kit_process *p, char line[KIT_LINE])
{
	size_t n = 0;

	for (;;) {
		struct pollfd ready = { .fd = p->out, .events = POLLIN };

		if (poll(&ready, 1, 60000) != 1)
			fail_msg("the candidate said nothing");
		if (n + 1 == KIT_LINE || read(p->out, line + n, 1) != 1 || line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
}

uint64_t kit_lead(struct kit_process *p)
{
	char line[KIT_LINE];

	kit_line(p, line);
	if (strncmp(line, "lead ", 5) != 0)
		fail_msg("the candidate said: %s", line);
	return strtoull(line + 5, NULL, 10);
}

static int kit_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int kit_end(struct kit_process *p)
{
	(void)close(p->in);
	(void)close(p->out);
	return kit_wait(p->pid);
}

void kit_kill(struct kit_process *p)
{
	assert_int_equal(kill(p->pid, SIGKILL), 0);
	(void)kit_end(p);
}

int kit_shell(const char *command)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/bin/sh", "/bin/sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return kit_wait(pid);
}
