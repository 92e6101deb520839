/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/election_view.h"
#include "cli/output.h"

static void verb_list_add(json_t *array, struct output_table *table, const char *election,
                          const struct tenure_status *s)
{
	const char *leader = tenure_status_leader(s);
	uint64_t token = leader ? tenure_status_token(s) : 0;
	char text[32];

	(void)json_array_append_new(array, json_pack("{s:s, s:o, s:o}", "election", election, "leader",
	                                             output_string_or_null(leader), "token",
	                                             token ? json_integer((json_int_t)token) : json_null()));
	(void)snprintf(text, sizeof text, "%" PRIu64, token);
	output_table_cell(table, election);
	output_table_cell(table, leader ? leader : "-");
	output_table_cell(table, token ? text : "-");
}

static int verb_list_all(struct cli *cli, struct tenure *t, json_t *array, struct output_table *table)
{
	struct election_view_names names;
	int code = election_view_list(cli, t, &names);

	for (size_t i = 0; code == 0 && i < names.n; i++) {
		struct tenure_status *s = election_view_read(cli, t, names.names[i], &code);

		if (s)
			verb_list_add(array, table, names.names[i], s);
		tenure_status_free(s);
	}
	election_view_names_free(&names);
	return code;
}

static int verb_list_run(struct cli *cli, void *options)
{
	static const char *const heads[] = { "ELECTION", "LEADER", "TOKEN" };
	struct output_table table;
	struct tenure *t;
	json_t *array;
	int code = cli_open(cli, false, &t);

	(void)options;
	cli_end_on_signals();
	if (code != 0)
		return code;
	array = json_array();
	output_table_init(&table, 3);
	for (size_t i = 0; i < 3; i++)
		output_table_cell(&table, heads[i]);
	code = verb_list_all(cli, t, array, &table);
	(void)tenure_close(t, 0);
	if (code == 0 && cli->format == CLI_TABLE) {
		code = output_table_print(cli, &table);
	} else {
		output_table_free(&table);
		code = code == 0 ? output_json(cli, json_incref(array)) : code;
	}
	json_decref(array);
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
	        "exit codes: 0 shown; 64 bad usage; 69 the store was not reached; 74 the disk failed.",
	.needs = CLI_STORE | CLI_OUTPUT,
	.run = verb_list_run,
};
