/* SPDX-License-Identifier: Apache-2.0 */
/* What `tenure demo` shows, step by step. */
#ifndef TENURE_CLI_DEMO_STORY_H
#define TENURE_CLI_DEMO_STORY_H

#include <stdbool.h>

#include "cli/cli.h"

enum demo_story_break {
	DEMO_STORY_WHOLE,
	DEMO_STORY_NO_GUARD,    /* the writers ask no guard */
	DEMO_STORY_NO_DEADLINE, /* the first candidate is no `tenure run`, and its network is cut */
	DEMO_STORY_NAIVE,       /* the first candidate is no `tenure run`, and is killed: nobody ends its program */
};

/* 0: the checker found no violation; 1: it did; 70: something did not happen; 128+signal: interrupted. All told. */
int demo_story_run(const struct cli *cli, enum demo_story_break broken, bool stay);

#endif
