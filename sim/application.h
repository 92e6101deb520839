/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs above the candidates do: join, hold, resign, hand over, leave, set values, read, ask. */
#ifndef TENURE_SIM_APPLICATION_H
#define TENURE_SIM_APPLICATION_H

#include "world.h"

#define APPLICATION_TALK 255u /* instead of an election: reads and asks of this candidate */

enum application_act {
	APPLICATION_NOTHING,
	APPLICATION_JOIN,
	APPLICATION_RELEASE,
	APPLICATION_GIVE_UP, /* leave the queue */
	APPLICATION_EXIT,
	APPLICATION_ENTER,
	APPLICATION_VALUE,
};

void application_start(struct world *w, unsigned candidate);
void application_event(struct world *w, unsigned candidate, const struct candidate_event *event);
/* EVENT_APPLICATION is due. */
void application_act(struct world *w, uint32_t node, uint64_t instance);
/* Faults are over: everybody wants every election, and who leads keeps it. */
void application_heal(struct world *w);
/* For schedules as well. */
void application_enter(struct world *w, unsigned candidate, unsigned election);
void application_join(struct world *w, unsigned candidate, unsigned election);
void application_release(struct world *w, unsigned candidate, unsigned election, const char *to);

#endif
