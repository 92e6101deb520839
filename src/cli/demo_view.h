/* SPDX-License-Identifier: Apache-2.0 */
/* What `tenure demo` sees while it plays: the ledger as it grows, and the candidates' traces. */
#ifndef TENURE_CLI_DEMO_VIEW_H
#define TENURE_CLI_DEMO_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEMO_VIEW_HOLDER_ROOM 16
#define DEMO_VIEW_TENURES     64
#define DEMO_VIEW_NODE_ROOM   96

struct demo_view_tenure { /* what the ledger says of one token's program */
	uint64_t token, first_ns, last_ns;
	size_t n_signs, n_landed, n_refused;
	char holder[DEMO_VIEW_HOLDER_ROOM];
};

struct demo_view {
	int fd;                                             /* of the ledger; -1: none yet */
	struct demo_view_tenure tenures[DEMO_VIEW_TENURES]; /* the latest ones */
	size_t n_tenures;
	char rest[256]; /* of a line that is not whole yet */
	size_t rest_bytes;
};

void demo_view_init(struct demo_view *v);
void demo_view_deinit(struct demo_view *v);
/* Reads what has been added. */
void demo_view_look(struct demo_view *v, const char *path);
const struct demo_view_tenure *demo_view_find(const struct demo_view *v, uint64_t token); /* or NULL */
/* The one with the greatest token above `token`, or NULL. */
const struct demo_view_tenure *demo_view_after(const struct demo_view *v, uint64_t token);

struct demo_view_lead { /* from a trace: when a candidate began to lead */
	uint64_t at_ns, token;
	char node[DEMO_VIEW_NODE_ROOM];
};
/* The last time that the candidate of this trace did. False: never yet. */
bool demo_view_last_lead(const char *path, struct demo_view_lead *lead);

#endif
