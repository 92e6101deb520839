/* SPDX-License-Identifier: Apache-2.0 */
#include "shrink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "runner.h"

struct shrink {
	uint64_t seed;
	enum plan_profile profile;
	const struct world_options *options;
	char kind[16];
	struct plan_limits limits;
	uint8_t *on;
	size_t n;
	unsigned n_runs;
	uint64_t failed_at_ns;
};

static bool shrink_fails(struct shrink *s, const struct plan_limits *limits)
{
	struct runner_result r;

	s->n_runs++;
	runner_seed(&r, s->seed, s->profile, limits, s->options);
	if (strcmp(r.violation.kind, s->kind) != 0)
		return false;
	s->failed_at_ns = r.violation.at_ns;
	return true;
}

static bool shrink_try(struct shrink *s, const struct plan_limits *limits)
{
	if (!shrink_fails(s, limits))
		return false;
	s->limits = *limits;
	return true;
}

/* Runs of faults, from halves down to single ones, are turned off while it fails alike. */
static void shrink_faults(struct shrink *s)
{
	for (size_t width = (s->n + 1) / 2; width > 0; width /= 2) {
		for (size_t at = 0; at < s->n; at += width) {
			size_t end = at + width < s->n ? at + width : s->n;
			uint8_t saved[4096];

			CHECK(end - at <= sizeof saved);
			if (!memchr(s->on + at, 1, end - at))
				continue;
			memcpy(saved, s->on + at, end - at);
			memset(s->on + at, 0, end - at);
			if (!shrink_fails(s, &s->limits))
				memcpy(s->on + at, saved, end - at);
		}
	}
}

static void shrink_people(struct shrink *s, const struct plan *p)
{
	for (unsigned n = 1; n < p->n_elections; n++) {
		struct plan_limits less = s->limits;

		less.max_elections = n;
		if (shrink_try(s, &less))
			break;
	}
	for (unsigned n = 2; n < p->n_candidates; n++) {
		struct plan_limits less = s->limits;

		less.max_candidates = n;
		if (shrink_try(s, &less))
			break;
	}
}

static void shrink_weather(struct shrink *s)
{
	struct plan_limits less = s->limits;

	less.no_pauses = true;
	shrink_try(s, &less);
	less = s->limits;
	less.no_tails = true;
	shrink_try(s, &less);
}

static void shrink_time(struct shrink *s, const struct plan *p)
{
	/* Where it fails after healing, an earlier healing may do. */
	for (uint64_t heal_ns = p->heal_ns / 8; heal_ns < p->heal_ns; heal_ns += p->heal_ns / 8) {
		struct plan_limits less = s->limits;

		less.heal_ns = heal_ns;
		if (shrink_try(s, &less))
			return;
	}
}

static void shrink_print(const struct shrink *s, const struct plan *p, const char *mutant)
{
	const char *comma = "";
	size_t n_left = 0;

	printf("seed %" PRIu64 " (%s) fails with %s at %" PRIu64 ".%06" PRIu64 " s; %u runs; what is left:\n", s->seed,
	       plan_profile_name(p->profile), s->kind, s->failed_at_ns / PLAN_S, s->failed_at_ns % PLAN_S / 1000,
	       s->n_runs);
	for (size_t i = 0; i < s->n; i++) {
		if (!s->on[i] || p->faults[i].at_ns > s->failed_at_ns)
			continue;
		n_left++;
		printf("  fault %zu at %" PRIu64 " ms: %s, node %u, for %" PRIu64 " ms\n", i,
		       p->faults[i].at_ns / PLAN_MS, plan_fault_name(p->faults[i].kind), p->faults[i].node,
		       p->faults[i].for_ns / PLAN_MS);
	}
	printf("  %zu of %zu faults%s%s\n", n_left, s->n, s->limits.no_pauses ? ", no pauses by chance" : "",
	       s->limits.no_tails ? ", no tails and losses by chance" : "");
	printf("tenure-sim%s replay %" PRIu64 " --profile %s%s%s", mutant ? "-mutants" : "", s->seed,
	       plan_profile_name(s->profile), mutant ? " --mutant " : "", mutant ? mutant : "");
	if (s->limits.max_candidates)
		printf(" --candidates %u", s->limits.max_candidates);
	if (s->limits.max_elections)
		printf(" --elections %u", s->limits.max_elections);
	if (s->limits.heal_ns)
		printf(" --until-ns %" PRIu64, s->limits.heal_ns);
	printf("%s%s --keep ", s->limits.no_pauses ? " --no-pauses" : "", s->limits.no_tails ? " --no-tails" : "");
	for (size_t i = 0; i < s->n; i++) {
		if (!s->on[i] || p->faults[i].at_ns > s->failed_at_ns)
			continue;
		printf("%s%zu", comma, i);
		comma = ",";
	}
	printf("%s\n", n_left ? "" : "none");
}

int shrink_seed(uint64_t seed, enum plan_profile profile, const struct world_options *options, const char *mutant)
{
	struct shrink s = { .seed = seed, .profile = profile, .options = options };
	struct runner_result r;
	struct plan plan;

	runner_seed(&r, seed, profile, NULL, options);
	if (!r.violation.kind[0]) {
		printf("seed %" PRIu64 " does not fail\n", seed);
		return 0;
	}
	memcpy(s.kind, r.violation.kind, sizeof s.kind);
	plan_make(&plan, seed, profile, NULL);
	s.n = plan.n_faults;
	s.on = malloc(s.n + 1);
	CHECK(s.on);
	memset(s.on, 1, s.n + 1);
	s.limits.faults_on = s.on;
	s.limits.n_faults_on = s.n;
	s.failed_at_ns = r.violation.at_ns;
	for (unsigned kind = 0; kind < FAULT_N_KINDS; kind++) {
		struct plan_limits less = s.limits;

		less.without_kinds |= UINT32_C(1) << kind;
		shrink_try(&s, &less);
	}
	for (size_t i = 0; i < s.n; i++) /* the bits of left-out kinds become single faults */
		if (s.limits.without_kinds >> plan.faults[i].kind & 1)
			s.on[i] = 0;
	s.limits.without_kinds = 0;
	shrink_time(&s, &plan);
	shrink_people(&s, &plan);
	shrink_weather(&s);
	shrink_faults(&s);
	shrink_print(&s, &plan, mutant);
	plan_deinit(&plan);
	free(s.on);
	return 1;
}
