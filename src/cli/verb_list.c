/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/election_view.h"
#include "cli/output.h"

static void verb_list_show(struct election_view_listing *l, struct tenure *t, const char *election,
                           const struct tenure_status *s)
{
	const char *leader = tenure_status_leader(s);
	uint64_t token = leader ? tenure_status_token(s) : 0;
	char text[32];

	(void)t;
	(void)json_array_append_new(l->array, json_pack("{s:s, s:o, s:o}", "election", election, "leader",
	                                                output_string_or_null(leader), "token",
	                                                token ? json_integer((json_int_t)token) : json_null()));
	(void)snprintf(text, sizeof text, "%" PRIu64, token);
	output_table_cell(&l->table, election);
	output_table_cell(&l->table, leader ? leader : "-");
	output_table_cell(&l->table, token ? text : "-");
}

static int verb_list_run(struct cli *cli, void *options)
{
	static const char *const heads[] = { "ELECTION", "LEADER", "TOKEN" };
	struct tenure *t;
	int code = cli_open(cli, false, &t);

	(void)options;
	cli_end_on_signals();
	if (code != 0)
		return code;
	code = election_view_all(cli, t, heads, 3, verb_list_show);
	(void)tenure_close(t, 0);
	return code;
}

const struct cli_verb verb_list = {
	.name = "list",
	.arguments = "",
	.summary = "all elections of the store, with their leaders",
	.help = "Lists the elections of the store in the order of their names: who leads, with which token. "
	        "'tenure status' without an election tells more.\n"
	        "\n"
	        "  tenure list\n"
	        "  tenure list -o json | jq -r '.[] | select(.leader == null) | .election'\n"
	        "\n"
	        "exit codes: 0 shown; 64 bad usage; 69 the store was not reached; 74 the disk failed; 76 an "
	        "election is damaged or of another version: the others are shown.",
	.needs = CLI_STORE | CLI_OUTPUT,
	.run = verb_list_run,
};
