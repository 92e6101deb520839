/* SPDX-License-Identifier: Apache-2.0 */
#include "elector/state.h"

#include <stddef.h>

struct state_row {
	enum tenure_state from;
	bool believes;
	unsigned to;   /* a set of enum tenure_state */
	char name[16]; /* not a pointer: it would have to be relocated, so that the table would not be read-only */
};

/*
 * The one table of allowed changes. STEPPING_DOWN follows also from the states that lead nothing: something was granted
 * that is not wanted any more, and has to be released unbelieved. There is no way from STEPPING_DOWN back into belief
 * (R20: a lapse is final), and none out of ENDED.
 */
static const struct state_row state_rows[] = {
	{ TENURE_CONNECTING, false, TENURE_WAITING | TENURE_LEADING | TENURE_STEPPING_DOWN | TENURE_ENDED,
	  "connecting" },
	{ TENURE_WAITING, false,
	  TENURE_CONNECTING | TENURE_CONTENDING | TENURE_LEADING | TENURE_STEPPING_DOWN | TENURE_ENDED, "waiting" },
	{ TENURE_CONTENDING, false,
	  TENURE_CONNECTING | TENURE_WAITING | TENURE_LEADING | TENURE_STEPPING_DOWN | TENURE_ENDED, "contending" },
	{ TENURE_LEADING, true, TENURE_AT_RISK | TENURE_WAITING | TENURE_STEPPING_DOWN | TENURE_ENDED, "leading" },
	{ TENURE_AT_RISK, true, TENURE_LEADING | TENURE_WAITING | TENURE_STEPPING_DOWN | TENURE_ENDED, "at-risk" },
	{ TENURE_STEPPING_DOWN, false, TENURE_WAITING | TENURE_ENDED, "stepping-down" },
	{ TENURE_ENDED, false, 0, "ended" },
};

static const struct state_row *state_row_of(enum tenure_state state)
{
	for (size_t i = 0; i < sizeof state_rows / sizeof state_rows[0]; i++)
		if (state_rows[i].from == state)
			return &state_rows[i];
	return NULL;
}

bool state_may_change(enum tenure_state from, enum tenure_state to)
{
	const struct state_row *row = state_row_of(from);

	/* `to` has to be one state, not a set of them */
	return row && state_row_of(to) && (row->to & (unsigned)to) != 0;
}

bool state_believes(enum tenure_state state)
{
	const struct state_row *row = state_row_of(state);

	return row && row->believes;
}

const char *state_name(enum tenure_state state)
{
	const struct state_row *row = state_row_of(state);

	return row ? row->name : "?";
}

const char *state_cause_name(enum tenure_cause cause)
{
	switch (cause) {
	case TENURE_BY_ELECTION:
		return "election";
	case TENURE_BY_RESIGN:
		return "resign";
	case TENURE_BY_TRANSFER:
		return "transfer";
	case TENURE_BY_EXPIRY:
		return "expiry";
	case TENURE_BY_STORE:
		return "store";
	case TENURE_BY_HEALTH:
		return "health";
	default:
		return (int)cause == 0 ? "none" : "?";
	}
}
