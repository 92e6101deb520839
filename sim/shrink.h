/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a failing seed smaller: kinds of faults, then time, then people, then single faults are left out while it fails alike. */
#ifndef TENURE_SIM_SHRINK_H
#define TENURE_SIM_SHRINK_H

#include "world.h"

/* Prints what is left and how to replay it. 1: it fails; 0: it does not. */
int shrink_seed(uint64_t seed, enum plan_profile profile, const struct world_options *options, const char *mutant);

#endif
