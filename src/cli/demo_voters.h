/* SPDX-License-Identifier: Apache-2.0 */
/* The three voters of `tenure demo`: made, started, killed and started again. */
#ifndef TENURE_CLI_DEMO_VOTERS_H
#define TENURE_CLI_DEMO_VOTERS_H

#include "cli/demo_net.h"
#include "cli/demo_stage.h"

struct demo_voters {
	struct demo_stage *stage;
	struct demo_stage_child voters[DEMO_NET_VOTERS];
	char url[128];
};

/* All: 0, or the exit code after a message. */
int demo_voters_start(struct demo_voters *v, struct demo_stage *stage);
/* Clean stops, awaited. */
int demo_voters_stop(struct demo_voters *v);
/* kill -9 of voter i, which stays down until demo_voters_restart(). */
int demo_voters_kill(struct demo_voters *v, size_t i);
int demo_voters_restart(struct demo_voters *v, size_t i);

#endif
