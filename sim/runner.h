/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds one by one, and many over some processes. */
#ifndef TENURE_SIM_RUNNER_H
#define TENURE_SIM_RUNNER_H

#include "world.h"

struct runner_result {
	uint64_t seed, hash, true_ns;
	enum plan_profile profile;
	struct world_counts counts;
	struct world_violation violation;
};

struct runner_sum {
	uint64_t n_seeds, n_failed, hash, true_ns;
	uint64_t by_profile[PLAN_N_PROFILES];
	struct world_counts counts;
};

struct runner_order {
	uint64_t from, to; /* both included */
	enum plan_profile profile;
	unsigned n_jobs;
	uint64_t stop_after_failures; /* of one process; 0: never */
	bool quiet;
};

/* `limits` and `options` may be NULL. */
void runner_seed(struct runner_result *out, uint64_t seed, enum plan_profile profile, const struct plan_limits *limits,
                 const struct world_options *options);
/* Prints violations as they come. 0, or -1 where a process failed. */
int runner_many(struct runner_sum *out, const struct runner_order *order);
void runner_add(struct runner_sum *sum, const struct runner_result *r);
void runner_print(const struct runner_sum *sum, double wall_s, double cpu_s);
void runner_print_violation(const struct runner_result *r);
double runner_wall_s(void);
double runner_cpu_s(void);

#endif
