/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/election_view.h"
#include "cli/output.h"
#include "client/client.h"

static json_t *verb_status_ms(uint64_t ns)
{
	return ns == NS_NEVER ? json_null() : json_integer((json_int_t)(ns / CLOCK_NS_PER_MS));
}

static json_t *verb_status_token(uint64_t token)
{
	return token ? json_integer((json_int_t)token) : json_null();
}

static json_t *verb_status_leader(const struct store_view *v)
{
	char since[OUTPUT_TIME_ROOM];

	if (!v->led)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "id", output_string_or_null(v->id), "identity",
	                 output_string_or_null(v->identity), "token", verb_status_token(v->token), "value",
	                 output_string((const char *)v->value, v->value_bytes), "since",
	                 v->since_unix_ns ? json_string(output_time(since, v->since_unix_ns)) : json_null(),
	                 "expires_in_ms", verb_status_ms(v->expires_in_ns));
}

static json_t *verb_status_waiting(const struct store_view *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_waiting; i++)
		(void)json_array_append_new(list,
		                            json_pack("{s:o, s:o, s:i}", "id", output_string_or_null(v->waiting[i].id),
		                                      "identity", output_string_or_null(v->waiting[i].identity),
		                                      "priority", (int)v->waiting[i].priority));
	return list;
}

static json_t *verb_status_json(struct tenure *t, const char *election, const struct store_view *v)
{
	json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:b, s:o}", "election", election, "store", client_scheme(t),
	                      "leader", verb_status_leader(v), "waiting", verb_status_waiting(v), "healthy", v->healthy,
	                      "ttl_ms", verb_status_ms(v->ttl_ns));

	if (o && v->voters_of > 0)
		(void)json_object_set_new(o, "voters",
		                          json_pack("{s:i, s:i}", "up", (int)v->voters_up, "of", (int)v->voters_of));
	return o;
}

static void verb_status_line(struct output_table *t, const char *name, const char *text)
{
	output_table_cell(t, name);
	output_table_cell(t, text);
}

static void verb_status_rows_of_leader(struct output_table *table, const struct store_view *v)
{
	char text[STORE_VALUE_MAX_BYTES + 64], at[OUTPUT_TIME_ROOM], age[64];
	int64_t since_s = (clock_unix_ns() - v->since_unix_ns) / (int64_t)CLOCK_NS_PER_S;

	(void)snprintf(text, sizeof text, "%s  (%s)", v->id, v->identity);
	verb_status_line(table, "leader", text);
	(void)snprintf(text, sizeof text, "%" PRIu64, v->token);
	verb_status_line(table, "token", v->token ? text : "unknown");
	if (v->since_unix_ns) {
		(void)text_from_duration(since_s > 0 ? (uint64_t)since_s * CLOCK_NS_PER_S : 0, age, sizeof age);
		(void)snprintf(text, sizeof text, "%s  (%s ago)", output_time(at, v->since_unix_ns), age);
		verb_status_line(table, "since", text);
	}
	if (v->expires_in_ns != NS_NEVER)
		verb_status_line(table, "expires in",
		                 text_from_duration(v->expires_in_ns - v->expires_in_ns % CLOCK_NS_PER_MS, text,
		                                    sizeof text));
	if (v->value_bytes > 0)
		verb_status_line(table, "value",
		                 output_printable(text, sizeof text, (const char *)v->value, v->value_bytes));
}

/* A leader's own ttl is not known to others: what is shown is what was negotiated for the settings of this call. */
static void verb_status_ttl(struct output_table *table, const struct store_view *v)
{
	char ttl[64], text[128];

	if (v->ttl_ns == NS_NEVER) {
		verb_status_line(table, "ttl", "none: leads until it ends or hands over");
		return;
	}
	(void)snprintf(text, sizeof text, "%s with these settings; the leader may have another",
	               text_from_duration(v->ttl_ns, ttl, sizeof ttl));
	verb_status_line(table, "ttl", text);
}

static int verb_status_table(const struct cli *cli, const char *election, const struct store_view *v)
{
	struct output_table table;
	char text[256];

	output_table_init(&table, 2);
	verb_status_line(&table, "election", election);
	verb_status_line(&table, "store", cli->store_url);
	if (v->led)
		verb_status_rows_of_leader(&table, v);
	else
		verb_status_line(&table, "leader", "none");
	verb_status_ttl(&table, v);
	if (v->voters_of > 0) {
		(void)snprintf(text, sizeof text, "%u of %u", v->voters_up, v->voters_of);
		verb_status_line(&table, "voters up", text);
	}
	verb_status_line(&table, "health", v->healthy ? "ok" : "degraded");
	for (size_t i = 0; i < v->n_waiting; i++) {
		char priority[24] = "";

		if (v->waiting[i].priority)
			(void)snprintf(priority, sizeof priority, "  priority %u", v->waiting[i].priority);
		(void)snprintf(text, sizeof text, "%zu. %s  (%s)%s", i + 1, v->waiting[i].id, v->waiting[i].identity,
		               priority);
		verb_status_line(&table, i == 0 ? "waiting" : "", text);
	}
	if (v->n_waiting == 0)
		verb_status_line(&table, "waiting", "nobody");
	return output_table_print(cli, &table);
}

static int verb_status_one(const struct cli *cli, struct tenure *t, const char *election)
{
	int code;
	struct tenure_status *s = election_view_read(cli, t, election, &code);

	if (!s)
		return code;
	if (cli->format == CLI_JSON)
		code = output_json(cli, verb_status_json(t, election, client_status_view(s)));
	else
		code = verb_status_table(cli, election, client_status_view(s));
	tenure_status_free(s);
	return code;
}

static void verb_status_row(struct output_table *table, const char *election, const struct store_view *v)
{
	char text[32];

	output_table_cell(table, election);
	output_table_cell(table, v->led ? v->id : "-");
	(void)snprintf(text, sizeof text, "%" PRIu64, v->token);
	output_table_cell(table, v->led && v->token ? text : "-");
	(void)snprintf(text, sizeof text, "%zu", v->n_waiting);
	output_table_cell(table, text);
	output_table_cell(table, v->healthy ? "ok" : "degraded");
}

static void verb_status_show(struct election_view_listing *l, struct tenure *t, const char *election,
                             const struct tenure_status *s)
{
	(void)json_array_append_new(l->array, verb_status_json(t, election, client_status_view(s)));
	verb_status_row(&l->table, election, client_status_view(s));
}

static int verb_status_all(const struct cli *cli, struct tenure *t)
{
	static const char *const heads[] = { "ELECTION", "LEADER", "TOKEN", "WAITING", "HEALTH" };

	return election_view_all(cli, t, heads, 5, verb_status_show);
}

static int verb_status_run(struct cli *cli, void *options)
{
	struct tenure *t;
	int code = cli->n_words ? cli_check_election(cli, cli->words[0]) : 0;

	(void)options;
	cli_end_on_signals();
	if (code == 0)
		code = cli_open(cli, false, &t);
	if (code != 0)
		return code;
	code = cli->n_words ? verb_status_one(cli, t, cli->words[0]) : verb_status_all(cli, t);
	(void)tenure_close(t, 0);
	return code;
}

const struct cli_verb verb_status = {
	.name = "status",
	.arguments = "[ELECTION]",
	.summary = "who leads, with which token, since when, and who waits",
	.help = "Shows one election: its leader, the token of the tenure, the value that the leader gave, who "
	        "waits in which order, and the health of the store. Without ELECTION it shows all of them, a "
	        "line each.\n"
	        "\n"
	        "  tenure status nightly-report\n"
	        "  tenure status nightly-report -o json | jq .leader.token\n"
	        "\n"
	        "An election that nobody ever led is shown without a leader; that is no error. On a file "
	        "store leases do not run out, so expires_in_ms and ttl_ms are null. On a quorum store voters tells "
	        "how many of them answer.\n"
	        "\n"
	        "exit codes: 0 shown; 64 bad usage; 69 the store was not reached; 74 the disk failed; 76 an "
	        "election is damaged or of another version: the others are shown.",
	.needs = CLI_STORE | CLI_OUTPUT,
	.run = verb_status_run,
};
