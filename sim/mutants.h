/* SPDX-License-Identifier: Apache-2.0 */
/* One rule of the protocol dropped at a time: which of them the simulator must see, and whether it does. */
#ifndef TENURE_SIM_MUTANTS_H
#define TENURE_SIM_MUTANTS_H

#include "world.h"

/* false: unknown, or this program was built without mutations. */
bool mutants_set(struct quorum_mutations *m, const char *name);
/* Each mutant, or one: at most `seconds` of random seeds for it. Prints a table. 1: one that must be found was not. */
int mutants_all(double seconds, const char *only);

#endif
