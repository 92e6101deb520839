/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkers know true time. Belief begins and is prolonged in calls of a candidate only, so they look after every call:
 * where a belief begins, nobody else may have one at that instant (I1), its token is nobody else's (I2) and above every
 * one that has led (I3). Voters: a term never falls (I4), a released slot stays so while it is its holder's (I6).
 */
#ifndef TENURE_SIM_CHECKER_H
#define TENURE_SIM_CHECKER_H

#include "world.h"

void checker_candidate(struct world *w, unsigned candidate);
void checker_voter(struct world *w, unsigned voter);
/* A voter's process has begun: what it must still know. */
void checker_voter_start(struct world *w, unsigned voter, bool clean);
/* After healing: every election led, from 4 max_ttl on (and some round trips and connection attempts). */
void checker_liveness(struct world *w);
bool checker_led(struct world *w, unsigned election);
void checker_deinit(struct world *w);

#endif
