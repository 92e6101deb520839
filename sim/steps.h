/* SPDX-License-Identifier: Apache-2.0 */
/* The words that directed schedules are written in. Each runs the world up to a point, and nothing once a violation was seen. */
#ifndef TENURE_SIM_STEPS_H
#define TENURE_SIM_STEPS_H

#include "application.h"
#include "network.h"
#include "node.h"
#include "quorum/wire.h"
#include "world.h"

#define STEPS_BIT(type) (UINT64_C(1) << (type))

/* Everything is up, every candidate has entered every election. */
void steps_up(struct world *w);
void steps_run_ms(struct world *w, uint64_t ms);
/* Between the two, by the seed. */
void steps_some_ms(struct world *w, uint64_t low_ms, uint64_t high_ms);
void steps_until(struct world *w, uint64_t true_ns);
bool steps_leads(const struct world *w, unsigned candidate, unsigned election);
/* It joins, and leads at the end. */
void steps_lead(struct world *w, unsigned candidate, unsigned election);
void steps_join(struct world *w, unsigned candidate, unsigned election);
void steps_release(struct world *w, unsigned candidate, unsigned election, const char *to);
/* Old nudges come: it campaigns at once, if it waits. */
void steps_nudge(struct world *w, unsigned candidate);
/* Nudged again and again, until it leads or the time is over. */
void steps_push(struct world *w, unsigned candidate, uint64_t ms);
/* Nothing passes between them, or all of it again. */
void steps_cut(struct world *w, unsigned candidate, unsigned voter, bool cut);
void steps_hold(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction, uint64_t types);
void steps_let_go(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction);
/* Killed, and back at once; a proxy keeps the connections and opens those of the candidates in `again` (bits) at once. */
void steps_restart(struct world *w, unsigned voter, unsigned again);
void steps_pause_ms(struct world *w, unsigned candidate, uint64_t ms);
/* When the candidate's belief ends, as things stand: true time. */
uint64_t steps_end_ns(const struct world *w, unsigned candidate, unsigned election);

#endif
