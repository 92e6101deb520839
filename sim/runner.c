/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

double runner_wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double runner_cpu_s(void)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
	                children.ru_stime.tv_sec) +
	       (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
	                children.ru_stime.tv_usec) /
	               1e6;
}

void runner_seed(struct runner_result *out, uint64_t seed, enum plan_profile profile, const struct plan_limits *limits,
                 const struct world_options *options)
{
	static const struct world_options none;
	struct plan plan;
	struct world *w;

	plan_make(&plan, seed, profile, limits);
	w = world_new(&plan, options ? options : &none);
	world_run(w);
	*out = (struct runner_result) { .seed = seed,
		                        .hash = w->hash,
		                        .true_ns = w->now_ns,
		                        .profile = plan.profile,
		                        .counts = w->counts,
		                        .violation = w->violation };
	world_free(w);
	plan_deinit(&plan);
}

static void runner_add_counts(struct world_counts *sum, const struct world_counts *c)
{
	sum->events += c->events;
	sum->frames += c->frames;
	sum->bytes += c->bytes;
	sum->leaderships += c->leaderships;
	sum->restarts += c->restarts;
	sum->requests_waited += c->requests_waited;
	sum->transfers += c->transfers;
	for (unsigned i = 0; i < FAULT_N_KINDS; i++)
		sum->faults[i] += c->faults[i];
	if (c->slowest_heal_ns > sum->slowest_heal_ns)
		sum->slowest_heal_ns = c->slowest_heal_ns;
	if (c->slowest_heal_ppm > sum->slowest_heal_ppm)
		sum->slowest_heal_ppm = c->slowest_heal_ppm;
}

void runner_add(struct runner_sum *sum, const struct runner_result *r)
{
	sum->n_seeds++;
	sum->n_failed += r->violation.kind[0] != 0;
	/* A sum: the order in which processes end does not matter. */
	sum->hash += dice_mix(r->hash ^ dice_mix(r->seed));
	sum->true_ns += r->true_ns;
	sum->by_profile[r->profile]++;
	runner_add_counts(&sum->counts, &r->counts);
}

void runner_print_violation(const struct runner_result *r)
{
	printf("VIOLATION %s seed %" PRIu64 " (%s) at %" PRIu64 ".%06" PRIu64 " s: %s\n", r->violation.kind, r->seed,
	       plan_profile_name(r->profile), r->violation.at_ns / PLAN_S, r->violation.at_ns % PLAN_S / 1000,
	       r->violation.text);
	fflush(stdout);
}

/* `*at` tells the parent which seed a process was at when it died. */
static void runner_share(struct runner_sum *sum, const struct runner_order *order, unsigned job, volatile uint64_t *at)
{
	struct runner_result r;

	memset(sum, 0, sizeof *sum);
	for (uint64_t seed = order->from + job; seed <= order->to; seed += order->n_jobs) {
		*at = seed;
		runner_seed(&r, seed, order->profile, NULL, NULL);
		runner_add(sum, &r);
		if (r.violation.kind[0])
			runner_print_violation(&r);
		if (order->stop_after_failures && sum->n_failed >= order->stop_after_failures)
			break;
	}
}

static int runner_collect(struct runner_sum *out, int fd)
{
	struct runner_sum part;
	size_t have = 0;
	ssize_t n;

	while (have < sizeof part && (n = read(fd, (char *)&part + have, sizeof part - have)) > 0)
		have += (size_t)n;
	close(fd);
	if (have < sizeof part)
		return -1;
	out->n_seeds += part.n_seeds;
	out->n_failed += part.n_failed;
	out->hash += part.hash;
	out->true_ns += part.true_ns;
	for (unsigned i = 0; i < PLAN_N_PROFILES; i++)
		out->by_profile[i] += part.by_profile[i];
	runner_add_counts(&out->counts, &part.counts);
	return 0;
}

int runner_many(struct runner_sum *out, const struct runner_order *order)
{
	int fds[64][2], code = 0, status;
	pid_t pids[64];
	void *pages = mmap(NULL, 64 * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile uint64_t *at = pages;

	CHECK(pages != MAP_FAILED);
	memset(out, 0, sizeof *out);
	fflush(stdout);
	for (unsigned i = 0; i < order->n_jobs; i++) {
		if (pipe(fds[i]) || (pids[i] = fork()) < 0) {
			perror("tenure-sim: cannot start a process");
			exit(2);
		}
		if (pids[i] == 0) {
			struct runner_sum sum;

			runner_share(&sum, order, i, &at[i]);
			_exit(write(fds[i][1], &sum, sizeof sum) == (ssize_t)sizeof sum ? 0 : 2);
		}
		close(fds[i][1]);
	}
	for (unsigned i = 0; i < order->n_jobs; i++) {
		if (runner_collect(out, fds[i][0]))
			code = -1;
		if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
			printf("VIOLATION crash: the process that ran seed %" PRIu64 " has died\n", at[i]);
			code = -1;
		}
	}
	munmap(pages, 64 * sizeof *at);
	return code;
}

void runner_print(const struct runner_sum *sum, double wall_s, double cpu_s)
{
	double simulated_s = (double)sum->true_ns / 1e9;
	uint64_t n_faults = 0;

	for (unsigned i = 0; i < FAULT_N_KINDS; i++)
		n_faults += sum->counts.faults[i];
	printf("%" PRIu64 " seeds, %" PRIu64
	       " failed; %.1f h simulated in %.1f s (%.1f s CPU): %.0f x real time a core\n",
	       sum->n_seeds, sum->n_failed, simulated_s / 3600, wall_s, cpu_s, simulated_s / cpu_s);
	printf("%" PRIu64 " leaderships, %" PRIu64 " events, %" PRIu64 " frames (%" PRIu64 " MB), %" PRIu64
	       " starts of voters, %" PRIu64 " requests waited for a disk, %" PRIu64 " named transfers\n",
	       sum->counts.leaderships, sum->counts.events, sum->counts.frames, sum->counts.bytes / 1000000,
	       sum->counts.restarts, sum->counts.requests_waited, sum->counts.transfers);
	printf("after healing every election was led within %.2f s, at most %.2f max_ttl\n",
	       (double)sum->counts.slowest_heal_ns / 1e9, (double)sum->counts.slowest_heal_ppm / 1e6);
	printf("seeds by profile:");
	for (unsigned i = 0; i < PLAN_N_PROFILES; i++)
		if (sum->by_profile[i])
			printf(" %s %" PRIu64, plan_profile_name(i), sum->by_profile[i]);
	printf("\nfaults: %" PRIu64 ":", n_faults);
	for (unsigned i = 0; i < FAULT_N_KINDS; i++)
		printf(" %s %" PRIu64, plan_fault_name(i), sum->counts.faults[i]);
	printf("\ntrace hash %016" PRIx64 "\n", sum->hash);
}
