/* SPDX-License-Identifier: Apache-2.0 */
/* The faults of a plan, as they strike and end, and the healing. */
#ifndef TENURE_SIM_NEMESIS_H
#define TENURE_SIM_NEMESIS_H

#include "world.h"

/* Rates, offsets, and which clock is the wrong one. */
void nemesis_set_clocks(struct world *w);
void nemesis_strike(struct world *w, uint32_t index);
void nemesis_end(struct world *w, uint32_t index);
void nemesis_heal(struct world *w);

#endif
