/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a candidacy and their allowed changes: one table (enum tenure_state in tenure.h). PURE. */
#ifndef TENURE_ELECTOR_STATE_H
#define TENURE_ELECTOR_STATE_H

#include <stdbool.h>

#include <tenure/tenure.h>

bool state_may_change(enum tenure_state from, enum tenure_state to);
/* States in which this candidacy believes that it leads (as long as its deadline lies ahead). */
bool state_believes(enum tenure_state state);
/* "connecting", "waiting", "contending", "leading", "at-risk", "stepping-down", "ended"; "?" for anything else. */
const char *state_name(enum tenure_state state);
/* "election", "resign", "transfer", "expiry", "store", "health"; "none" for 0. */
const char *state_cause_name(enum tenure_cause cause);

#endif
