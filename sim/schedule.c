/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <inttypes.h>
#include <string.h>

static void schedule_plan(struct plan *p, uint64_t seed, const struct schedule *s)
{
	/* One cluster of three, three candidates, one election, a lease of one second. */
	*p = (struct plan) { .seed = seed,
		             .profile = PLAN_proxy,
		             .n_voters = 3,
		             .n_candidates = 3,
		             .n_elections = 1,
		             .max_ttl_ms = 1000,
		             .max_ttl_v_ms = 500,
		             .rho_ppm = 1000,
		             .delay_ns = PLAN_MS / 5,
		             .jitter_ns = PLAN_MS / 10,
		             .heal_ns = 1000 * PLAN_S,
		             .end_ns = 1000 * PLAN_S };
	for (unsigned i = 0; i < PLAN_MAX_CANDIDATES; i++)
		p->ttl_ns[i] = PLAN_S;
	if (s->shape)
		s->shape(p);
}

static void schedule_one(struct runner_result *out, const struct schedule *s, uint64_t seed,
                         const struct world_options *options)
{
	struct world_options scripted = *options;
	struct plan plan;
	struct world *w;

	schedule_plan(&plan, seed, s);
	scripted.scripted = true;
	w = world_new(&plan, &scripted);
	s->tell(w);
	*out = (struct runner_result) { .seed = seed,
		                        .hash = w->hash,
		                        .true_ns = w->now_ns,
		                        .profile = plan.profile,
		                        .counts = w->counts,
		                        .violation = w->violation };
	world_free(w);
}

bool schedule_run(struct runner_result *out, const char *name, uint64_t seed, const struct world_options *options)
{
	for (size_t i = 0; i < schedule_count; i++)
		if (strcmp(schedule_table[i].name, name) == 0) {
			schedule_one(out, &schedule_table[i], seed, options);
			return true;
		}
	return false;
}

int schedule_all(uint64_t from, uint64_t to)
{
	static const struct world_options none;
	struct runner_result r;
	uint64_t n_failed = 0;

	for (size_t i = 0; i < schedule_count; i++) {
		uint64_t leaderships = 0, failed = 0;

		for (uint64_t seed = from; seed <= to; seed++) {
			schedule_one(&r, &schedule_table[i], seed, &none);
			leaderships += r.counts.leaderships;
			if (!r.violation.kind[0])
				continue;
			failed++;
			printf("VIOLATION %s schedule %s seed %" PRIu64 ": %s\n", r.violation.kind,
			       schedule_table[i].name, seed, r.violation.text);
		}
		n_failed += failed;
		printf("%-10s %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " leaderships: %s\n",
		       schedule_table[i].name, to - from + 1, failed, leaderships, schedule_table[i].what);
	}
	return n_failed ? 1 : 0;
}
