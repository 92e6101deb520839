/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_start N COMMAND [ARG...]: starts the command N times, one after another, and prints the ns from just before its
 * start to what the program at its end (bench_stamp) writes: the instant at which its main() began.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static uint64_t bench_stamp_read(int fd)
{
	char text[64];
	size_t used = 0;

	while (used < sizeof text - 1) {
		ssize_t n = read(fd, text + used, sizeof text - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	text[used] = '\0';
	if (used == 0)
		bench_die("the command", "did not start its program");
	return strtoull(text, NULL, 10);
}

static uint64_t bench_start_once(char **command)
{
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], status;
	uint64_t began, stamp;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1) != 0)
		bench_die("pipe", "failed");
	began = bench_now_ns();
	if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0)
		bench_die(command[0], "could not be started");
	(void)close(pipe_fds[1]);
	stamp = bench_stamp_read(pipe_fds[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		bench_die(command[0], "failed");
	(void)close(pipe_fds[0]);
	(void)posix_spawn_file_actions_destroy(&actions);
	return stamp - began;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		bench_die("usage", "bench_start N COMMAND [ARG...]");
	for (unsigned n = bench_number(argv[1], 100000); n > 0; n--)
		printf("%llu\n", (unsigned long long)bench_start_once(argv + 2));
	return 0;
}
