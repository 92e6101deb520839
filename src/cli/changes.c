/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/changes.h"

#include "base/clock.h"
#include "cli/output.h"

const char *changes_name(const char *leader, enum tenure_cause cause)
{
	if (leader)
		return cause == TENURE_BY_TRANSFER ? "transferred" : "elected";
	switch (cause) {
	case TENURE_BY_RESIGN:
	case TENURE_BY_TRANSFER:
	case TENURE_BY_HEALTH:
		return "resigned";
	case TENURE_BY_EXPIRY:
	case TENURE_BY_STORE:
		return "expired";
	case TENURE_BY_ELECTION:
		break;
	}
	return "none";
}

int changes_print(const struct cli *cli, const char *election, const char *event, int64_t at_unix_ns,
                  const char *leader, uint64_t token)
{
	char at[OUTPUT_TIME_ROOM];

	return output_json(cli, json_pack("{s:s, s:s, s:s, s:o, s:o}", "at",
	                                  output_time(at, at_unix_ns ? at_unix_ns : clock_unix_ns()), "election",
	                                  election, "event", event, "leader", output_string_or_null(leader), "token",
	                                  token ? json_integer((json_int_t)token) : json_null()));
}
