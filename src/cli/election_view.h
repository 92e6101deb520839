/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one election or all of them, as the looking verbs do. */
#ifndef TENURE_CLI_ELECTION_VIEW_H
#define TENURE_CLI_ELECTION_VIEW_H

#include "cli/cli.h"
#include "cli/output.h"
#include "elector/store.h"

#define ELECTION_VIEW_LIMIT_NS 10000000000ULL

/* Returns owned, or NULL after a message with *exit_code set. tenure_status_free(). */
struct tenure_status *election_view_read(const struct cli *cli, struct tenure *t, const char *election, int *exit_code);

struct election_view_listing { /* both are filled in, one is shown */
	json_t *array;
	struct output_table table;
};

/* Adds one election to both. */
typedef void election_view_show(struct election_view_listing *l, struct tenure *t, const char *election,
                                const struct tenure_status *s);
/*
 * Shows every election of the store in the order of their names. One that cannot be read is told on stderr and left out, and
 * its exit code is the result: what is wrong with one must not hide the others.
 */
int election_view_all(const struct cli *cli, struct tenure *t, const char *const *heads, size_t n_heads,
                      election_view_show *show);

#endif
