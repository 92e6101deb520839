/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who ends a program in time must get the processor in time: supervisor, warden and init run before everything that is
 * not real-time (SCHED_FIFO), in memory that is not swapped out. The program does not.
 *
 * All three need it. The kernel delivers the dead-man timer's SIGKILL at once, but the warden must run to die of it, and
 * only then init gets its own; under 500 busy processes that took seconds otherwise.
 */
#ifndef TENURE_SUPERVISOR_URGENCY_H
#define TENURE_SUPERVISOR_URGENCY_H

#include <stdbool.h>

struct urgency { /* of the caller of `tenure run`, for its program */
	int policy, nice;
};

void urgency_of_caller(struct urgency *u);
/*
 * For this process, not for its children (SCHED_RESET_ON_FORK): each of the three calls it. False: real-time scheduling
 * is not permitted, all else was done as far as it is.
 */
bool urgency_take(void);
/* May this user have it? 0, or errno. Tried in a child: nothing changes here. */
int urgency_probe(void);
/* In the child that becomes the program: as the caller was scheduled, but never real-time. */
void urgency_give_back(const struct urgency *u);

#endif
