/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BENCH_MAX_ROUNDS 10000
/* How long leadership is held: the other one has to stand in the queue when it is given up. */
#define BENCH_HOLD_US 5000

struct bench_shared {
	atomic_uint round;
	unsigned rounds;
	_Atomic uint64_t acquired_ns[BENCH_MAX_ROUNDS], released_ns[BENCH_MAX_ROUNDS];
};

uint64_t bench_now_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_BOOTTIME, &t) != 0)
		bench_die("clock_gettime", "failed");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_nap_us(long us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

void bench_die(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

unsigned bench_number(const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value == 0 || value > max)
		bench_die(text, "not a number in range");
	return (unsigned)value;
}

static void bench_play(const struct bench_side *side, struct bench_shared *shared, const char *where, unsigned number)
{
	void *arg = side->open(where, number);

	while (atomic_load(&shared->round) < shared->rounds) {
		unsigned round;

		side->acquire(arg);
		round = atomic_fetch_add(&shared->round, 1);
		if (round < shared->rounds)
			shared->acquired_ns[round] = bench_now_ns();
		bench_nap_us(BENCH_HOLD_US);
		if (round < shared->rounds)
			shared->released_ns[round] = bench_now_ns();
		side->release(arg);
		bench_nap_us(BENCH_HOLD_US / 5);
	}
	side->close(arg);
}

void bench_handover(const struct bench_side *side, const char *where, unsigned n)
{
	struct bench_shared *shared =
	        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		bench_die("mmap", "failed");
	shared->rounds = n < BENCH_MAX_ROUNDS ? n : BENCH_MAX_ROUNDS;
	for (unsigned number = 0; number < 2; number++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_die("fork", "failed");
		if (pid == 0) {
			bench_play(side, shared, where, number);
			exit(0);
		}
	}
	for (int status, left = 2; left > 0; left--)
		if (wait(&status) < 0 || status != 0)
			bench_die("hand-over", "one side failed");
	for (unsigned i = 1; i < shared->rounds; i++)
		printf("%llu\n", (unsigned long long)(shared->acquired_ns[i] - shared->released_ns[i - 1]));
}
