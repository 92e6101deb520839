/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/election_view.h"

#include <stdlib.h>
#include <string.h>

struct election_view_names { /* in the order of their letters */
	char **names;
	size_t n, room;
	bool failed;
};

/* A store that does not answer in time is one that was not reached: 69, not 124. */
static int election_view_fail(const struct cli *cli, int code, const struct tenure_error *error)
{
	if (code == TENURE_TIMEOUT)
		return cli_fail_code(cli, 69, "%s did not answer within 10s", cli->store_url);
	return cli_fail(cli, error);
}

struct tenure_status *election_view_read(const struct cli *cli, struct tenure *t, const char *election, int *exit_code)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_status *s = NULL;
	int code = tenure_read(t, election, ELECTION_VIEW_LIMIT_NS, &s, &error);

	*exit_code = code == 0 ? 0 : election_view_fail(cli, code, &error);
	return code == 0 ? s : NULL;
}

static int election_view_each(void *arg, const char *election)
{
	struct election_view_names *l = arg;

	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		char **names = realloc(l->names, room * sizeof *names);

		if (!names) {
			l->failed = true;
			return 1;
		}
		l->names = names;
		l->room = room;
	}
	l->names[l->n] = strdup(election);
	if (!l->names[l->n]) {
		l->failed = true;
		return 1;
	}
	l->n++;
	return 0;
}

static int election_view_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int election_view_list(const struct cli *cli, struct tenure *t, struct election_view_names *names)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int code;

	*names = (struct election_view_names) { .n = 0 };
	code = tenure_list(t, election_view_each, names, ELECTION_VIEW_LIMIT_NS, &error);
	if (names->failed)
		return cli_fail_code(cli, 69, "out of memory");
	if (code != 0)
		return election_view_fail(cli, code, &error);
	if (names->n > 1)
		qsort(names->names, names->n, sizeof *names->names, election_view_compare);
	return 0;
}

static void election_view_names_free(struct election_view_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
}

static int election_view_fill(const struct cli *cli, struct tenure *t, election_view_show *show,
                              struct election_view_listing *l)
{
	struct election_view_names names;
	int listed = election_view_list(cli, t, &names), worst = 0;

	for (size_t i = 0; listed == 0 && i < names.n; i++) {
		int code;
		struct tenure_status *s = election_view_read(cli, t, names.names[i], &code);

		if (s)
			show(l, t, names.names[i], s);
		else
			worst = code;
		tenure_status_free(s);
	}
	election_view_names_free(&names);
	return listed != 0 ? listed : worst;
}

int election_view_all(const struct cli *cli, struct tenure *t, const char *const *heads, size_t n_heads,
                      election_view_show *show)
{
	struct election_view_listing l = { .array = json_array() };
	int code, printed;

	output_table_init(&l.table, n_heads);
	for (size_t i = 0; i < n_heads; i++)
		output_table_cell(&l.table, heads[i]);
	code = election_view_fill(cli, t, show, &l);
	if (cli->format == CLI_TABLE) {
		printed = output_table_print(cli, &l.table);
		json_decref(l.array);
	} else {
		output_table_free(&l.table);
		printed = output_json(cli, l.array);
	}
	return code != 0 ? code : printed;
}
