/* SPDX-License-Identifier: Apache-2.0 */
/* The acts of `tenure demo`: what happens to the candidates, and what is seen of it. */
#ifndef TENURE_CLI_DEMO_ACTS_H
#define TENURE_CLI_DEMO_ACTS_H

#include "cli/demo_cast.h"
#include "cli/demo_story.h"
#include "cli/demo_tell.h"

struct demo_acts {
	struct demo_cast cast;
	struct demo_tell tell;
	enum demo_story_break broken;
	uint64_t token;         /* of the present tenure */
	size_t leader;          /* its candidate */
	uint64_t courier_token; /* of the write that is on its way */
};

/* All: 0, or the exit code after a message. Each leaves a leader whose program writes. */
int demo_acts_elect(struct demo_acts *a);
int demo_acts_pause(struct demo_acts *a);      /* the leader's supervisor and warden are stopped */
int demo_acts_late_write(struct demo_acts *a); /* of the first leader */
int demo_acts_kill(struct demo_acts *a);       /* the leader's supervisor */
int demo_acts_cut(struct demo_acts *a);        /* the leader's network */
int demo_acts_voter(struct demo_acts *a);      /* one of three voters is killed, and comes back */
int demo_acts_transfer(struct demo_acts *a);

#endif
