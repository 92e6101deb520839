/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directed schedules: the short stories that random faults do not tell. Each is written for one rule, holds without
 * violation while every rule is kept, and has jitter: the seed moves its instants.
 */
#ifndef TENURE_SIM_SCHEDULE_H
#define TENURE_SIM_SCHEDULE_H

#include "runner.h"

struct schedule {
	const char *name, *what;
	void (*shape)(struct plan *p); /* voters, candidates, leases; may be NULL */
	void (*tell)(struct world *w);
};

extern const struct schedule schedule_table[];
extern const size_t schedule_count;

/* false: no such schedule. */
bool schedule_run(struct runner_result *out, const char *name, uint64_t seed, const struct world_options *options);
/* All of them over the seeds. 1: one found a violation. */
int schedule_all(uint64_t from, uint64_t to);

#endif
