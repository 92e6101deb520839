/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same on flock(2): bench_flock cycle|handover FILE N [durable]. `durable` writes 64 bytes and makes them durable
 * once the lock is had, which is what a token costs at least.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bench.h"

#define BENCH_MOST 10000

struct bench_lock {
	int fd;
	bool durable;
};

static void *bench_lock_open(const char *path, bool durable)
{
	static struct bench_lock lock; /* one a process */

	lock.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock.fd < 0)
		bench_die(path, "cannot be opened");
	lock.durable = durable;
	return &lock;
}

static void *bench_lock_open_plain(const char *path, unsigned number)
{
	(void)number;
	return bench_lock_open(path, false);
}

static void *bench_lock_open_durable(const char *path, unsigned number)
{
	(void)number;
	return bench_lock_open(path, true);
}

static void bench_lock_take(void *arg)
{
	static const char zeros[64];
	const struct bench_lock *lock = arg;

	if (flock(lock->fd, LOCK_EX) != 0)
		bench_die("flock", "failed");
	if (lock->durable && (pwrite(lock->fd, zeros, sizeof zeros, 0) != sizeof zeros || fdatasync(lock->fd) != 0))
		bench_die("fdatasync", "failed");
}

static void bench_lock_drop(void *arg)
{
	const struct bench_lock *lock = arg;

	if (flock(lock->fd, LOCK_UN) != 0)
		bench_die("flock", "failed");
}

static void bench_lock_close(void *arg)
{
	const struct bench_lock *lock = arg;

	(void)close(lock->fd);
}

static void bench_cycle(const char *path, bool durable, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t began = bench_now_ns();
		void *lock = bench_lock_open(path, durable);

		bench_lock_take(lock);
		bench_lock_drop(lock);
		bench_lock_close(lock);
		printf("%llu\n", (unsigned long long)(bench_now_ns() - began));
	}
}

int main(int argc, char **argv)
{
	bool durable = argc == 5 && strcmp(argv[4], "durable") == 0;
	struct bench_side side = { bench_lock_open_plain, bench_lock_take, bench_lock_drop, bench_lock_close };

	if (durable)
		side.open = bench_lock_open_durable;
	if ((argc == 4 || durable) && strcmp(argv[1], "cycle") == 0)
		bench_cycle(argv[2], durable, bench_number(argv[3], BENCH_MOST));
	else if ((argc == 4 || durable) && strcmp(argv[1], "handover") == 0)
		bench_handover(&side, argv[2], bench_number(argv[3], BENCH_MOST));
	else
		bench_die("usage", "bench_flock cycle|handover FILE N [durable]");
	return 0;
}
