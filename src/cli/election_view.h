/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one election or all of them, as the looking verbs do. */
#ifndef TENURE_CLI_ELECTION_VIEW_H
#define TENURE_CLI_ELECTION_VIEW_H

#include "cli/cli.h"
#include "elector/store.h"

#define ELECTION_VIEW_LIMIT_NS 10000000000ULL

/* Returns owned, or NULL after a message with *exit_code set. tenure_status_free(). */
struct tenure_status *election_view_read(const struct cli *cli, struct tenure *t, const char *election, int *exit_code);

struct election_view_names { /* in the order of their letters */
	char **names;
	size_t n, room;
	bool failed;
};

/* 0, or the exit code after a message. Free in any case. */
int election_view_list(const struct cli *cli, struct tenure *t, struct election_view_names *names);
void election_view_names_free(struct election_view_names *names);

#endif
