/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of `tenure demo`: namespaces of its own, so that a cut is a cut. The demo itself and the voters are in one of
 * them, each candidate in another, joined to the first by a cable (a veth pair) that can be unplugged.
 */
#ifndef TENURE_CLI_DEMO_NET_H
#define TENURE_CLI_DEMO_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/demo_stage.h"

#define DEMO_NET_MAX     4 /* candidates */
#define DEMO_NET_VOTERS  3
#define DEMO_NET_ADDRESS "10.77.0.%d" /* voter 1, 2, 3: on the loopback device of the first namespace */

struct demo_net {
	struct demo_stage *stage;
	char ip[32]; /* the program ip(8) */
	size_t n;
	int spaces[DEMO_NET_MAX]; /* network namespaces; -1: none */
	bool user_namespace;
};

/* All: 0, or the exit code after a message. The calling process moves into the first namespace for good. */
int demo_net_open(struct demo_net *n, struct demo_stage *stage, size_t n_candidates);
void demo_net_close(struct demo_net *n);
/* Unplugs the cable of candidate i, or plugs it in again. */
int demo_net_cut(struct demo_net *n, size_t i, bool cut);

#endif
